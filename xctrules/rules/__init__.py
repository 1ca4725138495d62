"""Rules: from a spec and measurements to outcomes and a verdict, all of it pure functions of plain data.

In: the text of a spec (and of those that it extends, and of the studies that it names), and measurements as
the record holds them. Out: a :class:`~xctrules.rules.cellspec.CellSpec`, a
:class:`~xctrules.rules.judging.Check` for each rule and a :class:`~xctrules.rules.judging.CellVerdict`; a
:class:`~xctrules.core.errors.SpecError` or :class:`~xctrules.core.errors.StudyError` with file and line.

* a spec: ``spec_file`` (what a file may hold), ``merging`` (parents, rules, studies), ``cellspec`` (finding,
  loading);
* judging: ``deciding`` (the four decision rules), ``probability`` (of conformity), ``quantity`` and ``case``
  (what a rule is judged from), ``completeness`` (what was not looked at), ``judging`` (rule by rule, then
  the cell), ``reasons`` (in sentences);
* studies: ``gauge_studies`` and ``calibrated_studies`` (statistics), ``study_files``, ``stated_budgets`` (a
  study in the place of a measurement's own budget).
"""
