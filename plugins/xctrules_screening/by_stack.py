"""Whether the slices are one scan of one cell at rest: all there, once each, in order and in line."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from xctrules.core.measurement import Measurement
from xctrules.core.wording import significant, with_unit
from xctrules.cylinder.frame import CellFrame
from xctrules.cylinder.surfaces import CylinderCell, Floats
from xctrules_screening import budget
from xctrules_screening.brightness import brightness_steps
from xctrules_screening.continuity import SURE, Continuity, continuity
from xctrules_screening.descriptions import DESCRIPTIONS
from xctrules_screening.displacement import NEAR, Departures, Motion, aligning_motion, departures
from xctrules_screening.findings import Findings, Judged, absent, judged
from xctrules_screening.levels import LEVELS, SHIFT_REJECT_VOXELS
from xctrules_screening.neighbours import Neighbours, Sampler, compare, grid_of, seen_slices

STACKED = (
    "screening.repeated_slices",
    "screening.missing_slices",
    "screening.misplaced_slices",
    "screening.slice_turn",
    "screening.slice_shift",
    "screening.slice_scale",
    "screening.brightness_step",
)

LEAST_SLICES = 8
"""Slices of the cell in view from which on neighbours can be held against other neighbours."""

MOST_ALIGNED = 4
"""Pairs at most for which a motion is searched: where more do not follow on each other, the first will do."""

LIKELY = 4.0
"""Standard errors of a motion that names a fault which is certain already."""

WELL_KNOWN = 2.0
"""Pairs whose motion is less certain than so many times the usual do not stand for the scan."""

Flags = NDArray[np.bool_]


def stack_figures(cell: CylinderCell) -> Findings:
    """All of :data:`STACKED`."""
    frame = cell.frame
    if frame.outer_radius_mm is None:
        return Findings(absent(STACKED, "the scan shows no can"))
    slices = seen_slices(frame)
    if len(slices) < LEAST_SLICES:
        return Findings(absent(STACKED, f"fewer than {LEAST_SLICES} slices of the cell are in view"))
    n = compare(cell.scan, frame, slices, grid_of(frame))
    order = continuity(n)
    straight = straight_pairs(frame, n)
    away = departures(n.motions)
    aligned = _aligned(cell, n, order)
    moved = _moved(frame, away, order, straight, aligned)
    unexplained = order.gaps & ~moved.any(axis=1)
    return Findings(
        (
            _repeated(order, n),
            _missing(order, unexplained, n),
            _misplaced(order, n),
            *_motions(frame, n, away, straight, aligned, moved),
            _brightness(n, straight),
        )
    )


def straight_pairs(frame: CellFrame, n: Neighbours) -> Flags:
    """Pairs of slices (n - 1,) in the straight part of the can, clear of where it is formed."""
    low, high = frame.straight_mm or (0.0, 0.0)
    thickness = frame.voxel_mm[0] / frame.axis[2]
    k = np.arange(len(n.motions.value)) + n.first
    first, last = k[0] * thickness, (k[-1] + 1) * thickness
    low = low if low <= first else low + NEAR * thickness
    high = high if high >= last else high - NEAR * thickness
    return np.asarray((k * thickness >= low) & ((k + 1) * thickness <= high))


# --- order -------------------------------------------------------------------------------------------------


def numbers(slices: Sequence[int]) -> str:
    """Slices, counted from 1, in words: ``61``, ``61 to 65``, or ``61, 63 and 70 to 72``."""
    runs: list[list[int]] = []
    for k in sorted(slices):
        if runs and k == runs[-1][-1] + 1:
            runs[-1].append(k)
        else:
            runs.append([k])
    words = [f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _repeated(order: Continuity, n: Neighbours) -> Judged:
    name = "screening.repeated_slices"
    if not order.tells_copies:
        return _untold(name, "neighbouring slices hardly differ by noise, so that a copy does not stand out")
    # Pair i is slices i and i + 1 from the first seen; the second is the copy, and people count from 1.
    copies = [int(i) + n.first + 2 for i in np.flatnonzero(order.copies)]
    mixed = [int(i) + n.first + 2 for i in np.flatnonzero(order.mixed)]
    parts = []
    if copies:
        each = "repeats the slice" if len(copies) == 1 else "repeat the slices"
        parts.append(f"{_slices(copies)} {each} before")
    if mixed:
        each = "is" if len(mixed) == 1 else "are"
        parts.append(f"{_slices(mixed)} {each} too much like the ones before for the noise: mixed or copied")
    return _counted(name, len(copies) + len(mixed), n, "; ".join(parts))


def _missing(order: Continuity, unexplained: Flags, n: Neighbours) -> Judged:
    name = "screening.missing_slices"
    places = [int(i) + n.first + 1 for i in np.flatnonzero(unexplained)]
    if not places and not order.tells_gaps:
        why = (
            "neighbouring slices share no more noise than others, so that a missing slice does not stand out"
        )
        return _untold(name, why)
    where = ", ".join(f"{k} and {k + 1}" for k in places[:4]) + (" and others" if len(places) > 4 else "")
    said = f"between slices {where} the scan jumps: slices are missing there, or two scans were joined"
    return _counted(name, len(places), n, said)


def _misplaced(order: Continuity, n: Neighbours) -> Judged:
    name = "screening.misplaced_slices"
    if not order.tells_gaps and not order.misplaced.any():
        why = "neighbouring slices share no more noise than others, so that their order does not show"
        return _untold(name, why)
    places = [int(i) + n.first + 1 for i in np.flatnonzero(order.misplaced)]
    each = "does not belong between its neighbours" if len(places) == 1 else "are not in their right order"
    return _counted(name, len(places), n, f"{_slices(places)} {each}" if places else "")


def _slices(numbered: Sequence[int]) -> str:
    return f"slice{'' if len(numbered) == 1 else 's'} {numbers(numbered)}"


def _counted(name: str, count: int, n: Neighbours, said: str) -> Judged:
    level = dataclasses.replace(LEVELS[name], meaning=said) if count else LEVELS[name]
    return judged(Measurement(name, "1", value=float(count), n=len(n.change)), level)


def _untold(name: str, why: str) -> Judged:
    return absent((name,), why)[0]


# --- motion ------------------------------------------------------------------------------------------------


def _aligned(cell: CylinderCell, n: Neighbours, order: Continuity) -> Mapping[int, Motion]:
    """The motion, by pair, that explains why two slices do not follow on each other."""
    sampler = Sampler(cell.scan, cell.frame, n.grid)
    pairs = [int(k) for k in np.flatnonzero(order.gaps)[:MOST_ALIGNED]]
    found = {k: aligning_motion(sampler, n, k, cell.frame.can_grey) for k in pairs}
    return {k: motion for k, motion in found.items() if motion is not None}


def _rejected_from(frame: CellFrame) -> Floats:
    """Least motion that rejects: shift in mm, turn in degrees, scale; (3,)."""
    shift = SHIFT_REJECT_VOXELS * max(frame.voxel_mm[1:])
    turn = LEVELS["screening.slice_turn"].reject or 0.0
    return np.array([shift, turn, shift / (frame.outer_radius_mm or math.inf)])


def _sizes(motion: Floats) -> Floats:
    """Of motions (..., 4) their shift, turn and scale without direction, (..., 3)."""
    shift = np.hypot(motion[..., 0], motion[..., 1])
    return np.stack([shift, np.abs(motion[..., 2]), np.abs(motion[..., 3])], axis=-1)


def _uncertain(away: Departures) -> Floats:
    """Standard uncertainties of shift, turn and scale, (n, 3)."""
    s = away.sigma
    return np.stack([np.maximum(s[:, 0], s[:, 1]), s[:, 2], s[:, 3]], axis=-1)


def _moved(
    frame: CellFrame, away: Departures, order: Continuity, straight: Flags, aligned: Mapping[int, Motion]
) -> Flags:
    """Pairs (n, 3) whose shift, turn or scale is beyond its level for certain."""
    level, sizes, u = _rejected_from(frame), _sizes(away.value), _uncertain(away)
    agreed = np.stack([away.agreed[:, :2].all(axis=1), away.agreed[:, 2], away.agreed[:, 3]], axis=-1)
    # Of a pair that does not follow on, something is wrong for certain: what remains is its name.
    needed = np.where(order.gaps, LIKELY, SURE)[:, None]
    found = agreed & (sizes > level) & (sizes > needed * u) & straight[:, None]
    for k, motion in aligned.items():
        found[k] = _sizes(motion) > level
    return np.asarray(found)


def _motions(
    frame: CellFrame,
    n: Neighbours,
    away: Departures,
    straight: Flags,
    aligned: Mapping[int, Motion],
    moved: Flags,
) -> tuple[Judged, ...]:
    names = ("screening.slice_shift", "screening.slice_turn", "screening.slice_scale")
    verbs = ("shifted", "turned", "scaled")
    sizes, u, level = _sizes(away.value), _uncertain(away), _rejected_from(frame)
    for k, motion in aligned.items():
        sizes[k] = _sizes(motion)
    figures = []
    for i, (name, verb) in enumerate(zip(names, verbs, strict=True)):
        pairs = np.flatnonzero(straight & np.isfinite(u[:, i]))
        if not pairs.size and not moved[:, i].any():
            figures.append(_untold(name, "no two slices of the straight can show a motion between them"))
            continue
        usual = float(np.median(u[pairs, i])) if pairs.size else math.inf
        at = np.flatnonzero(moved[:, i])
        sure = pairs[sizes[pairs, i] > SURE * u[pairs, i]]
        known = pairs[u[pairs, i] <= WELL_KNOWN * usual]
        among = at if at.size else sure if sure.size else known
        k = int(among[np.argmax(sizes[among, i])])
        sigma = min(float(u[k, i]), WELL_KNOWN * usual)
        figures.append(
            _motion(name, verb, k + n.first + 2, float(sizes[k, i]), sigma, usual, level[i], bool(at.size))
        )
    shift, turn, scale = figures
    return turn, shift, scale  # a turn about any other axis than the cell's is a shift as well


def _motion(
    name: str, verb: str, k: int, size: float, sigma: float, usual: float, reject: float, found: bool
) -> Judged:
    """The figure of one kind of motion, from slice ``k`` on; ``usual`` is the usual standard uncertainty."""
    unit = DESCRIPTIONS[name].unit

    def shown(value: float) -> str:
        return f"{100 * value:.2g} %" if unit == "1" else with_unit(significant(value, 2), unit)

    meaning = f"from slice {k} on the content is {verb} by {shown(size)} against the slices before"
    level = dataclasses.replace(LEVELS[name], reject=reject, meaning=meaning)
    hidden = SURE * usual
    told = f"less than {shown(hidden)} does not show in this scan" if hidden > reject else None
    lines = (budget.agreement_of_the_rings(sigma), budget.own_ways_of_layers(reject))
    return judged(
        Measurement(name, unit, value=size, budget=lines, reason=told), level, away=None if found else 0.0
    )


# --- brightness --------------------------------------------------------------------------------------------


def _brightness(n: Neighbours, straight: Flags) -> Judged:
    name = "screening.brightness_step"
    if not straight.any():
        return _untold(name, "no two slices of the straight can are in view")
    found = brightness_steps(n, straight)
    level = LEVELS[name]
    size = np.where(straight, np.abs(found.step), 0.0)
    sure = size > SURE * found.sigma
    k = int(np.argmax(np.where(sure, size, 0.0) if (sure & (size > (level.warn or 0.0))).any() else size))
    word = "brighter" if found.step[k] > 0 else "darker"
    meaning = f"from slice {k + n.first + 2} on all is {100 * size[k]:.2g} % {word} than in the slices before"
    level = dataclasses.replace(level, meaning=meaning)
    lines = (budget.scatter_between_pairs(float(found.sigma[k])),)
    m = Measurement(name, "1", value=float(size[k]), n=int(straight.sum()), budget=lines)
    return judged(m, level, away=None if sure[k] else 0.0)
