"""What becomes of each place, turn by turn and angle by angle, at an end of the roll: measured, or why not.

Tabs, corners of the foil, lone finds and jumps are told from electrode edges by what lies beside them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xctrules.core.robust import noise_of_second_differences
from xctrules_segmentation.steps import LEAST_POOLED, Floats, around, over_turns, rank
from xctrules_segmentation.window import Window

TALL_CATHODE_MM, TALL_ANODE_MM = 0.8, 0.35
"""A strip that stands this much above its neighbours is a tab's, not an electrode's edge. Less for the
anode: it starts higher, and what is lost by taking a long overhang for a tab is a long overhang, not a short
one."""

NEIGHBOURHOOD = 1 / 8
"""Share of a turn, to either side, that makes up an edge's neighbours: a tab may take up a quarter of one."""

LOWER_MIDDLE = 0.4
"""Quantile over five turns: with four neighbours, of which two are hidden by the bead, the other two
count."""

BLUR_VOXELS = 3.0
"""In-plane voxels beyond which an edge's blur has ended, and beyond which two places share no noise."""

TOP_STEPS = 2.0
"""An edge so few samples below the window's end goes on beyond it."""

JUMP_STEPS, JUMP_MM = 3.0, 0.1
"""A foil's edge does not jump by so many slices (nor by so much) and back within two degrees; a lost path
does."""

JUMP_REACH, JUMP_COMPANY = 3, 2
"""Angles to either side that are compared with one another; a find that no more than these (itself among
them) are near to stands alone."""

VOUCHING_REACH, LEAST_VOUCHING = 2, 3
"""Angles to either side that vouch for one another; a place with fewer of them measured (itself among them)
is more likely chance than edge."""

MOST_LAG = 1 / 8
"""Share of a turn beyond which neighbours say nothing of one another's noise."""

POOLED_LAG = 3
"""Half-planes more between neighbours whose noise is independent, where these are pooled."""


def usual_height(height: Floats) -> Floats:
    """What a height (..., nturns, nt) is among its neighbours: the median over 45 degrees to either side,
    then over this and the two next turns on both sides."""
    own = around(height, max(2, int(height.shape[-1] * NEIGHBOURHOOD)))
    return over_turns(own, LOWER_MIDDLE)


def stands_tall(
    height: Floats, tall_mm: float, window: Window, foil_mm: Floats, voxel_mm: float
) -> NDArray[np.bool_]:
    """Where an edge (..., nturns, nt) stands up like a tab: to the end of the window, or far above its
    neighbours.

    Neighbours are 45 degrees to either side on this and the two next turns on both sides: a tab stands on
    one turn, and near the core it may take up a quarter of it. Its flanks count to it as far as the blur
    reaches.
    """
    usual = usual_height(height)
    with np.errstate(invalid="ignore"):
        tall = height > usual + tall_mm
        tall |= height > window.height_mm[-1] - TOP_STEPS * window.step_mm
    flank = BLUR_VOXELS * voxel_mm / np.nan_to_num(foil_mm, nan=np.inf)  # in radians
    reach = np.ceil(flank * height.shape[-1] / (2 * np.pi)).astype(int)
    wide = tall.copy()
    for shift in range(1, int(reach.max(initial=0)) + 1):
        near = np.roll(tall, shift, axis=-1) | np.roll(tall, -shift, axis=-1)
        wide |= near & (shift <= reach)
    return wide


def outlying(tip: Floats, step_mm: float) -> NDArray[np.bool_]:
    """Places (nturns, nt) whose tip stands apart from those of the next three angles on both sides, by
    itself; none where half-planes are too far apart to vouch for one another."""
    if tip.shape[1] < LEAST_POOLED:
        return np.zeros(tip.shape, dtype=bool)
    near = np.stack([np.roll(tip, shift, axis=1) for shift in range(-JUMP_REACH, JUMP_REACH + 1)])
    away = max(JUMP_STEPS * step_mm, JUMP_MM)
    with np.errstate(invalid="ignore"):
        alike = (np.abs(near - tip) < away).sum(axis=0)
        return np.asarray((np.abs(tip - rank(near, 0.5)) > away) & (alike <= JUMP_COMPANY))


def lonely(measured: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Places (nturns, nt) of whose five nearest angles fewer than three were measured; none where half-planes
    are too far apart to vouch for one another."""
    if measured.shape[1] < LEAST_POOLED:
        return np.zeros(measured.shape, dtype=bool)
    reach = range(-VOUCHING_REACH, VOUCHING_REACH + 1)
    near = np.sum([np.roll(measured, shift, axis=1) for shift in reach], axis=0)
    return np.asarray(near < LEAST_VOUCHING)


def scatter(values: Floats, radius_mm: Floats, voxel_mm: float) -> float:
    """Standard deviation of single values (..., nturns, nt) about their neighbours along theta, robust (from
    second differences); NaN where too few are known.

    Neighbours are the nearest that share no noise: three in-plane voxels on, and three half-planes more where
    these are pooled. Nearer ones differ by less than their noise.
    """
    nt = values.shape[-1]
    known = np.isfinite(radius_mm)
    mean = np.where(known, radius_mm, 0.0).sum(axis=-1) / np.maximum(known.sum(axis=-1), 1)
    apart = BLUR_VOXELS * voxel_mm / np.maximum(mean, voxel_mm) * nt / (2 * np.pi)
    lags = np.clip(np.ceil(apart), 1, int(nt * MOST_LAG)).astype(int)
    lags += POOLED_LAG if nt >= LEAST_POOLED else 0
    rows = (values[..., k, :] for k in range(lags.size))
    away = [
        np.roll(row, lag, axis=-1) - 2 * row + np.roll(row, -lag, axis=-1)
        for row, lag in zip(rows, lags, strict=True)
    ]
    return noise_of_second_differences(np.concatenate([second.ravel() for second in away]))
