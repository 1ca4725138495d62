"""What becomes of each place, turn by turn and angle by angle, at an end of the roll: measured, or why not.

Tabs, corners of the foil, lone finds and jumps are told from electrode edges by what lies beside them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xctrules.core.robust import noise_of_second_differences, sd_about_zero
from xctrules_segmentation.steps import LEAST_POOLED, Floats, around, over_turns, rank
from xctrules_segmentation.window import Window

TALL_CATHODE_MM, TALL_ANODE_MM = 0.8, 0.35
"""What stands this much above its neighbours is looked at again: an electrode that stands up there, or a tab.
Less for the anode, which starts higher."""

BRIGHT_STRIP = 2.0
"""A tab of copper or nickel is some ten times as thick as the foil and stands out that much more: twice
is no foil any more."""

LIFT_MM, LIFT_SIGMAS = 0.04, 4.0
"""Distance by which a strip of metal parts the turns on its two sides: tabs are 0.05 mm thick and more. It
has to stand out of the usual unevenness of the turns as well."""

HALF = 0.5
"""Share of a stretch that shows what it is: its rims, and a place here and there, do not."""

LIFT_DEG = 10.0
"""Width over which a lift is averaged: the turns beside a strip come back to their places over more."""

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


def stands_tall(height: Floats, tall_mm: float) -> NDArray[np.bool_]:
    """Where an edge (..., nturns, nt) stands far above its neighbours.

    Neighbours are 45 degrees to either side on this and the two next turns on both sides: a tab stands on
    one turn, and near the core it may take up a quarter of it.
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(height > usual_height(height) + tall_mm)


def as_strips(tall: NDArray[np.bool_], sign: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of what stands tall, (..., nturns, nt), the stretches that show a sign of being a strip of metal over
    half of their width and more: one stretch is one thing."""
    found = np.zeros(tall.shape, dtype=bool)
    for turn in np.ndindex(tall.shape[:-1]):
        if not tall[turn].any():
            continue
        if tall[turn].all():
            found[turn] = sign[turn].mean() >= HALF
            continue
        begin = int(np.flatnonzero(~tall[turn])[0])  # so that no stretch runs over the end
        row, signs = np.roll(tall[turn], -begin), np.roll(sign[turn], -begin)
        label = np.cumsum(np.diff(row.astype(np.int8), prepend=0) == 1) * row
        share = np.bincount(label, signs) / np.maximum(np.bincount(label), 1)
        found[turn] = np.roll(row & (share[label] >= HALF), begin)
    return found


def leaves(height: Floats, window: Window) -> NDArray[np.bool_]:
    """Where an edge (..., nturns, nt) goes on beyond the end of the window."""
    with np.errstate(invalid="ignore"):
        return np.asarray(height > window.height_mm[-1] - TOP_STEPS * window.step_mm)


def with_flanks(strip: NDArray[np.bool_], foil_mm: Floats, voxel_mm: float) -> NDArray[np.bool_]:
    """A strip (..., nturns, nt) and its flanks, as far as the blur reaches."""
    flank = BLUR_VOXELS * voxel_mm / np.nan_to_num(foil_mm, nan=np.inf)  # in radians
    reach = np.ceil(flank * strip.shape[-1] / (2 * np.pi)).astype(int)
    wide = strip.copy()
    for shift in range(1, int(reach.max(initial=0)) + 1):
        near = np.roll(strip, shift, axis=-1) | np.roll(strip, -shift, axis=-1)
        wide |= near & (shift <= reach)
    return wide


def parted(foil_mm: Floats) -> NDArray[np.bool_]:
    """Where something thick lies inside [0] and outside [1] of each turn, (2, nturns, nt).

    A tab parts the turns between which it is wound in by its own thickness; an electrode that was wound in
    too high does not.
    """
    turns, nt = foil_mm.shape
    found = np.zeros((2, turns, nt), dtype=bool)
    if turns < 2:
        return found
    gap = np.diff(foil_mm, axis=0)
    away = gap - around(gap, nt // 2)  # what is usual over a turn: beside a tab it takes up to half of one
    level = around(away, max(1, round(0.5 * LIFT_DEG * nt / 360)))
    with np.errstate(invalid="ignore"):
        wide = level > np.fmax(LIFT_MM, LIFT_SIGMAS * sd_about_zero(level))
    found[0, 1:], found[1, :-1] = wide, wide
    return found


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
