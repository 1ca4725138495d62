"""Proof on phantoms: how far measurements lie from the truth, and whether their intervals hold it.

:mod:`~xctrules.campaigns.validation.ensemble` says which cells are drawn,
:mod:`~xctrules.campaigns.validation.measuring` measures one of them and
:mod:`~xctrules.campaigns.validation.run` all; :mod:`~xctrules.campaigns.validation.findings` sums up, with
the formulas of :mod:`~xctrules.campaigns.validation.statistics`; :mod:`~xctrules.campaigns.validation.report`
draws it.
"""
