"""Studies: repeat scans and calibrated parts, gathered for an uncertainty budget.

In: tables of values, and xctrules' own records. Out: values with what tells them apart (part, appraiser,
repeat) and the conditions of the scans behind them; ``xctrules.rules`` computes with these, and
``xctrules.pages`` draws what it finds.

* ``tables`` reads CSV and YAML with line numbers, ``input`` puts tables and records together.
"""
