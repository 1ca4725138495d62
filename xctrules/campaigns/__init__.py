"""Campaigns: many cells, scans or repeats with one question.

In: what the engine does for one cell. Out: what only many can tell.

* ``validation`` measures hundreds of drawn cells: bias, coverage, faults found;
* ``training`` makes the network behind a segmenter out of planes with labels;
* ``studies`` gathers repeat scans and calibrated parts for an uncertainty budget.
"""
