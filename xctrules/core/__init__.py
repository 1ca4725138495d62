"""What every other room rests on, and what plugins are written against. It imports nothing of ours.

In: nothing but values. Out: the words that the rooms speak to each other, and what must be said only once.

* the way's data: ``slices`` (a scan), ``cell`` (all that a plugin may look at), ``measurement`` (values with
  their uncertainty budgets), ``figures`` (what there is to show for them), ``ledger`` (what of a part was
  looked at), ``validation`` (what a campaign over drawn cells is made of);
* the door: ``hookspecs``, and the ``protocols`` that what comes through it keeps to; ``names`` of
  measurements;
* said once: ``canonical`` (JSON), ``wording`` (numbers in words), ``yaml_lines`` (YAML with line numbers),
  ``files`` (writing whole or not at all), ``robust`` (robust statistics), ``cramer_rao`` (what noise
  allows), ``voxel_size`` (as options give it), ``shipped`` (files that came along), ``progress``,
  ``redirection``, ``errors``, ``version``.
"""
