"""Proof on phantoms: how far measurements lie from the truth, and whether their intervals hold it.

:mod:`~xctrules.validation.ensemble` says which cells are drawn, :mod:`~xctrules.validation.measuring`
measures one of them and :mod:`~xctrules.validation.run` all; :mod:`~xctrules.validation.findings` sums up,
with the formulas of :mod:`~xctrules.validation.statistics`; :mod:`~xctrules.validation.report` draws it.
"""
