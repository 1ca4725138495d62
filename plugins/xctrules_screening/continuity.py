"""Slices that repeat another, that are missing, or that stand in the wrong place: told by coherence alone.

What two neighbouring slices share of their noise and grain is much the same all along a scan, and less the
further two slices are apart. A copy shares all of it; across missing slices less is shared than across the
pairs on both sides; and a slice in the wrong place shares more with the next but one than with the next. None
of it asks what the slices show, so that an edge, a lid or a foil's end is not taken for a fault; where slices
share nothing, or where there is no noise at all, nothing can be told this way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.cylinder.surfaces import Floats
from xctrules_screening.neighbours import Neighbours

LEAST_BLOCKS = 24
"""Blocks with fine structure, a quarter of all, from which a pair of slices is judged."""

SURE, ALIKE_SHARE = 6.0, 0.7
"""A difference of coherence counts when it is so many standard errors over the blocks, and of one sign in so
large a share of them: what happens at one place of the cross-section is no fault of the slice."""

IDENTICAL = 0.02
"""Incoherence of a slice and its exact copy: 0, and rounding."""

LEAST_INCOHERENCE = 0.12
"""Where even the most alike of a scan's neighbours differ by less, there is hardly any noise, or it was
smoothed along the axis: likeness is then no sign of a copy. Noise smoothed over 1.2 voxels has 0.13."""

LIVE_SHARE = 0.85
"""Share of the blocks that show fine structure from which on there is noise everywhere: in a drawing without
any, the fine structure is that of edges, and a third of the blocks has none."""

MOST_ALIKE = 1 / 3
"""Share of identical neighbours from which on a scan is a drawing and not one with copies in it."""

COPIED, MIXED = 0.1, 0.4
"""Incoherence, over that of the pairs on both sides, of a copy with noise of a tenth of the power on top, and
of a slice made by averaging its two neighbours (0.29 for noise that neighbours do not share at all, 0.27
where they share half)."""

LIKE_TWO = 0.6
"""Share of what slices two apart lose in coherence that a pair across a missing slice loses at least: all of
it, but for how well either is known. At an edge all round the roll pairs lose a quarter."""

AROUND, FAR = 3, 10
"""Pairs on each side that a pair is held against: its coherence, and how far slices can be alike at all."""


@dataclass(frozen=True)
class Continuity:
    """What was found of the order of the slices; pair i is slices i and i + 1, counted from the first seen.

    Attributes
    ----------
    copies, mixed, gaps : (n - 1,) bool
        Pairs of which the second repeats the first; is too much like it for its own noise; between which
        slices are missing.
    misplaced : (n,) bool
        Slices that do not belong between their neighbours.
    tells_copies, tells_gaps
        Whether a copy, and a single missing slice, would have been seen.
    """

    copies: NDArray[np.bool_]
    mixed: NDArray[np.bool_]
    gaps: NDArray[np.bool_]
    misplaced: NDArray[np.bool_]
    tells_copies: bool
    tells_gaps: bool


def continuity(n: Neighbours) -> Continuity:
    """Judge each pair of neighbours by its coherence."""
    pairs = len(n.coherence)
    apart = 1 - _means(n.coherence)  # (n - 1,)
    identical = apart < IDENTICAL
    differing = apart[~identical & np.isfinite(apart)]
    tells_copies = bool(
        differing.size
        and np.isfinite(n.coherence).mean() > LIVE_SHARE
        and identical.sum() <= MOST_ALIKE * pairs
        and np.quantile(differing, 0.1) > LEAST_INCOHERENCE
    )
    alike = _against_both_sides(np.where(identical, np.nan, apart), apart) if tells_copies else np.ones(pairs)
    copies, mixed = alike < COPIED, (alike >= COPIED) & (alike < MIXED)
    usable = np.where((copies | mixed)[:, None], np.nan, n.coherence)
    misplaced, gaps = np.zeros(pairs + 1, dtype=bool), np.zeros(pairs, dtype=bool)
    if tells_copies:
        misplaced = _misplaced(usable, n.coherence_over_two)
        gaps = _dips(usable, n.coherence_over_two) & ~_near(misplaced, pairs)
    return Continuity(copies, mixed, gaps, misplaced, tells_copies, tells_copies and _tells_gaps(n))


def _means(coherence: Floats) -> Floats:
    """Mean over the blocks of each pair; NaN where too few show any fine structure."""
    live = np.isfinite(coherence)
    enough = live.sum(axis=1) >= LEAST_BLOCKS
    total = np.where(live, coherence, 0.0).sum(axis=1)
    return np.where(enough, total / np.maximum(live.sum(axis=1), 1), np.nan)


def _against_both_sides(reference: Floats, values: Floats) -> Floats:
    """Values (n,) over the smaller of the medians of ``reference`` on their two sides; 1 where unknown."""
    result = np.ones(values.size)
    for k, value in enumerate(values):
        sides = (reference[max(0, k - FAR) : k], reference[k + 1 : k + 1 + FAR])
        medians = [float(np.nanmedian(side)) for side in sides if np.isfinite(side).any()]
        if medians and np.isfinite(value):
            result[k] = value / min(medians)
    return result


def significance(differences: Floats) -> float:
    """Mean of differences by block over its standard error; 0 where it is not seen all over the slice."""
    known = differences[np.isfinite(differences)]
    if known.size < LEAST_BLOCKS or (known > 0).mean() < ALIKE_SHARE:
        return 0.0
    return float(known.mean() / (known.std() / np.sqrt(known.size) + 1e-12))


def _dips(coherence: Floats, over_two: Floats) -> NDArray[np.bool_]:
    """Pairs (n - 1,) that share less than the pairs on both sides do, everywhere in the slice, and as little
    as slices that lie two apart."""
    found = np.zeros(len(coherence), dtype=bool)
    loss = 0.5 * (coherence[1:] + coherence[:-1]) - over_two  # (n - 2, nblocks)
    for k in range(2, len(coherence) - 2):
        sides = [_mean_of(coherence[max(0, k - AROUND) : k]), _mean_of(coherence[k + 1 : k + 1 + AROUND])]
        dip = 0.5 * (sides[0] + sides[1]) - coherence[k]
        # Of slices that lie on one side of the pair alone.
        usual = np.concatenate([loss[max(0, k - AROUND) : k - 1], loss[k + 1 : k + AROUND]])
        enough = LIKE_TWO * float(np.nanmean(usual)) if np.isfinite(usual).any() else 0.0
        found[k] = significance(dip) > SURE and float(np.nanmean(dip)) > enough
    return found


def _mean_of(rows: Floats) -> Floats:
    """Mean of the known values by block; NaN where there is none."""
    known = np.isfinite(rows)
    count = known.sum(axis=0)
    return np.where(count, np.where(known, rows, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


def _misplaced(coherence: Floats, over_two: Floats) -> NDArray[np.bool_]:
    """Slices (n,) whose neighbours share more with each other than with them."""
    found = np.zeros(len(coherence) + 1, dtype=bool)
    for k, across in enumerate(over_two):
        found[k + 1] = (
            max(significance(across - coherence[k]), significance(across - coherence[k + 1])) > SURE
        )
    return found


def _near(slices: NDArray[np.bool_], pairs: int) -> NDArray[np.bool_]:
    """Pairs next to any of the slices, or next but one."""
    near = np.zeros(pairs, dtype=bool)
    for k in np.flatnonzero(slices):
        near[max(0, k - 2) : k + 2] = True
    return near


def _tells_gaps(n: Neighbours) -> bool:
    """Whether neighbours share so much more than slices two apart that one missing slice stands out."""
    one = 0.5 * (n.coherence[1:] + n.coherence[:-1])
    lost = [significance(here - across) for here, across in zip(one, n.coherence_over_two, strict=True)]
    return bool(lost) and float(np.median(lost)) > SURE
