"""Steps down in noisy profiles: where they are, the levels on their two sides, and where they are crossed.

Pure functions on samples along the height (n, nt), one profile for each angle; no cell in sight.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from xctrules.core.robust import noise_of_second_differences

Floats = NDArray[np.float64]
Greys = NDArray[np.float32]
Profile = Floats | Greys
Values = TypeVar("Values", Floats, Greys)

LEAST_POOLED = 180
"""Half-planes round the turn from which neighbours are pooled: two degrees apart or nearer, they see the same
piece of foil."""

CLIPPED = 1.5
"""A single value counts at most this much of half the step's height: 1 is a level itself, and what is far off
both (a bright speck) must not outvote its neighbours."""

CLEAR_CONTRAST = 3.0
"""A step counts as seen when it is this many times the noise of the values it is found in."""


def pooling(half_planes: int) -> tuple[float, ...]:
    """Weights of :func:`pooled`, as :class:`xctrules.cylinder.surfaces.EndEdges` states them."""
    return (0.5, 0.25) if half_planes >= LEAST_POOLED else (1.0,)


def pooled(values: Values) -> Values:
    """Mean of each half-plane and, at half weight, its two neighbours; (n, nt, ...), round the turn.

    Half-planes within two degrees of one another see the same piece of foil; wider apart they are left alone.
    """
    if len(pooling(values.shape[1])) == 1:
        return values
    mean = 0.25 * (np.roll(values, 1, axis=1) + np.roll(values, -1, axis=1)) + 0.5 * values
    return np.where(np.isnan(mean), values, mean)


def thrice_pooled(values: Values) -> Values:
    """:func:`pooled` three times: for what changes slowly round the turn, a foil's being there."""
    return pooled(pooled(pooled(values)))


def around(values: Values, half: int) -> Values:
    """Median over ``half`` angles to either side, round the turn, of (..., nt); NaN where nothing is
    known."""
    padded = np.concatenate([values[..., -half:], values, values[..., :half]], axis=-1)
    view = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=-1)
    return rank(np.moveaxis(view, -1, 0), 0.5)


def over_turns(values: Values, share: float) -> Values:
    """Quantile over each turn and the two next ones on both sides, at the same angle, (..., nturns, nt)."""
    turns, nt = values.shape[-2:]
    beyond = np.full((*values.shape[:-2], 2, nt), np.nan, dtype=values.dtype)
    padded = np.concatenate([beyond, values, beyond], axis=-2)
    return rank(np.stack([padded[..., k : k + turns, :] for k in range(5)]), share)


def rank(values: Values, share: float) -> Values:
    """Quantile over the first axis without regard to NaN, (n, ...) to (...); NaN where nothing is known.

    The nearest ranked value is taken, not interpolated: numpy's own ``nanquantile`` goes column by column in
    Python.
    """
    ordered = np.sort(values, axis=0)  # NaN goes last
    known = np.isfinite(ordered).sum(axis=0)
    index = np.clip(np.rint(share * (known - 1)), 0, None).astype(np.intp)
    taken: Values = np.take_along_axis(ordered, index[None], axis=0)[0]
    return taken


def noise(profile: Profile) -> float:
    """Noise of a single value, from second differences along the height (levels and slopes drop out).

    Infinite where there are too few values to tell.
    """
    second = profile[:-2] - 2 * profile[1:-1] + profile[2:]
    found = noise_of_second_differences(second)
    return math.inf if math.isnan(found) else found


def change_point(
    profile: Profile, half: Profile, depth: Profile, stop: int, ends: NDArray[np.bool_] | None = None
) -> NDArray[np.intp]:
    """Index of the last sample on the high side of the first lasting step down.

    For noise that is alike everywhere, the likeliest position of a step between two levels is where the sum
    of (value - half level), taken from the start, is largest. What lies beyond a dark stretch as long as
    ``stop`` samples belongs to something else (the bead, a tab, another foil) and is left out.

    Parameters
    ----------
    profile : (n, nt)
    half, depth : (nt,)
        Mean of the two levels, and half their difference.
    stop
        Length of the dark stretch, in samples.
    ends : (n, nt)
        Where a dark stretch ends the electrode; everywhere, unless given.

    Returns
    -------
    (nt,)
        -1 where every value lies below.
    """
    excess = np.where(np.isnan(profile), 0, np.clip(profile - half, -CLIPPED * depth, CLIPPED * depth))
    total = np.cumsum(excess, axis=0)
    peak = np.maximum.accumulate(np.maximum(total, 0), axis=0)
    fallen = peak - total
    if ends is not None:
        there = np.cumsum(np.where(ends, excess, 0), axis=0)
        fallen = np.maximum.accumulate(np.maximum(there, 0), axis=0) - there
    ended = np.maximum.accumulate((peak > 0) & (fallen > stop * depth), axis=0)
    total = np.where(ended, -np.inf, total)
    best = np.argmax(total, axis=0)
    return np.where(np.take_along_axis(total, best[None], axis=0)[0] > 0, best, -1)


def take(profile: Values, index: NDArray[np.intp]) -> Values:
    """Values of ``profile`` (n, nt) at ``index`` (m, nt); NaN outside."""
    n = profile.shape[0]
    value = np.take_along_axis(profile, np.clip(index, 0, n - 1), axis=0)
    inside = (index >= 0) & (index < n)
    return np.where(inside, value, value.dtype.type(np.nan))


def levels_beside(profile: Values, index: NDArray[np.intp], skip: int, count: int) -> tuple[Values, Values]:
    """Levels on the two sides of a step: medians of ``count`` and half as many samples, ``skip`` samples
    away from it."""
    inner = index[None] - skip - np.arange(count)[:, None]
    outer = index[None] + 1 + skip + np.arange(max(2, count // 2))[:, None]
    return rank(take(profile, inner), 0.5), rank(take(profile, outer), 0.5)


def crossing(profile: Values, index: NDArray[np.intp], target: Profile, reach: int) -> Floats:
    """Fractional index at which ``profile`` (n, nt) falls through ``target`` (nt,), nearest to ``index``
    (nt,).

    ``reach`` samples to either side are searched; NaN where it does not cross there.
    """
    offsets = np.arange(-reach, reach + 1)[:, None]
    low = index[None] + offsets
    a, b = take(profile, low), take(profile, low + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        falls = (a >= target) & (b < target)
        at = low + (a - target) / (a - b)
    distance = np.where(falls, np.abs(at - index - 0.5), np.inf)
    best = np.argmin(distance, axis=0)[None]
    found = np.isfinite(np.take_along_axis(distance, best, axis=0)[0])
    return np.where(found, np.take_along_axis(at, best, axis=0)[0], np.nan)
