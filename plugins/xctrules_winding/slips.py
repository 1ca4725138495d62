"""Where the followed line leaves its foil for another layer and comes back.

A coating that has come off its foil, or a cathode beside a wide gap, looks much like a foil, and the line may
run on it for a while. Whatever lifts or dents layers moves all of those outside it, or inside it, along; a
line that has slipped is alone: it nears one neighbour as quickly as it leaves the other.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from xctrules.cylinder.surfaces import Floats

STEP_PITCHES = 0.25
"""Step between its two neighbours from which a line has changed its layer. The nearest one, a cathode's
coating, lies a third to half of a pitch off the foil."""

WITHIN_DEG = 6.0
"""Angle within which it changes: so little of the roll that a bent foil's neighbours bend with it."""


def slipped(radius_mm: Floats, pitch_mm: float) -> NDArray[np.bool_]:
    """Places of the turns (nturns, nt) between two steps from layer to layer; all of a turn that makes one
    only.

    Which of the two stretches that the steps part lies on the foil is not known: the shorter one is told.
    """
    found = np.zeros(radius_mm.shape, dtype=bool)
    for turn, row in enumerate(_steps(radius_mm) > STEP_PITCHES * pitch_mm, start=1):
        at = _middles(row)
        if at.size % 2:
            found[turn] = True
        elif at.size:
            found[turn] = _between(at, row.size)
    return found & np.isfinite(radius_mm)


def _steps(radius_mm: Floats) -> Floats:
    """How far each turn but the first and the last steps from one neighbour towards the other within
    :data:`WITHIN_DEG` on from each angle, (nturns - 2, nt)."""
    columns = max(1, round(WITHIN_DEG * radius_mm.shape[1] / 360.0))
    spacing = np.diff(radius_mm, axis=0)
    step = np.nan_to_num(np.roll(spacing, -columns, axis=1) - spacing)
    inner, outer = step[:-1], step[1:]
    return np.asarray(np.maximum(np.minimum(inner, -outer), np.minimum(-inner, outer)))


def _middles(flags: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Middle column of each run of a row that closes to a circle."""
    if flags.all() or not flags.any():
        return np.flatnonzero(flags)[:1]
    first = int(np.flatnonzero(~flags)[0])
    index = np.flatnonzero(np.roll(flags, -first))
    runs = np.split(index, np.flatnonzero(np.diff(index) > 1) + 1)
    return np.sort([(int(run.mean()) + first) % flags.size for run in runs])


def _between(at: NDArray[np.intp], columns: int) -> NDArray[np.bool_]:
    """Every other stretch between an even number of columns of a circle: the choice that is shorter."""
    inside = np.zeros(columns, dtype=bool)
    for start, stop in list(pairwise(at))[::2]:
        inside[start:stop] = True
    return ~inside if inside.mean() > 0.5 else inside
