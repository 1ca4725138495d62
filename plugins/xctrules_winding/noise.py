"""What of a departure is noise: damped, split off, and taken out of extremes and root mean squares."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from xctrules.core.robust import sds_about_zero
from xctrules.cylinder.surfaces import Floats, FoilTrace
from xctrules_winding import budget

STEADY_DEG = 3.0
"""Width of the running median: no fold of a foil is sharper, and the noise of one point no longer makes the
extreme."""

FOLD_HEIGHT_MM = 0.5
"""Heights closer than this show the same fold: a foil cannot bend along the axis as sharply as round it."""

ROUGH_DEG = 15.0
"""What changes faster than this round the roll is noise and the pattern of voxels along a foil thinner than
one; folds, tabs and buckles of a wound foil are wider."""

FOLD_SIGMAS = 4.0
"""A sharp fold is no noise: it stands out of the rest of its turn by more than this."""

REPEATS = 32
"""Draws of the noise: the bias is then known to a sixth of its spread."""

SEED = 0


@dataclass(frozen=True)
class Corrected:
    """A value with the noise's part taken out, and the standard uncertainty of that, mm.

    ``taken_out`` is the noise's standard deviation that was taken out of a root mean square.
    """

    value: float
    noise: float
    taken_out: float = 0.0

    @property
    def at_least_zero(self) -> Corrected:
        """The same of a size, which noise alone may push below zero."""
        return Corrected(max(self.value, 0.0), self.noise)


Place = dict[str, float]


def running_median(values: Floats, columns: int) -> Floats:
    """Running median (..., nt) round the circle over ``columns``; NaN where fewer than half of them are
    known."""
    half = columns // 2
    padded = np.concatenate([values[..., -half:], values, values[..., :half]], axis=-1) if half else values
    window = np.sort(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=-1), axis=-1)
    known = np.isfinite(window).sum(axis=-1)  # sorting puts NaN last
    low = np.take_along_axis(window, np.maximum(known - 1, 0)[..., None] // 2, axis=-1)[..., 0]
    high = np.take_along_axis(window, (known // 2)[..., None] % window.shape[-1], axis=-1)[..., 0]
    return np.asarray(np.where(2 * known > window.shape[-1], 0.5 * (low + high), np.nan))


def steadied(values: Floats, foil: FoilTrace) -> Floats:
    """``values`` (nz, ..., nt) with noise damped for extremes.

    Running medians over ``STEADY_DEG``, and over three heights where these are closer than any fold of a foil
    is high.
    """
    calm = running_median(values, steady_columns(foil))
    if foil.z_mm.size < 3 or float(np.median(np.diff(foil.z_mm))) > FOLD_HEIGHT_MM:
        return calm
    padded = np.concatenate([calm[:1], calm, calm[-1:]])
    return np.asarray(np.median([padded[:-2], padded[1:-1], padded[2:]], axis=0))


def steady_columns(foil: FoilTrace) -> int:
    """Columns in ``STEADY_DEG``, odd."""
    return _columns(STEADY_DEG, foil.theta_deg.size)


def _columns(width_deg: float, angles: int) -> int:
    return 2 * round(0.5 * width_deg * angles / 360.0) + 1


def split(values: Floats, foil: FoilTrace) -> tuple[Floats, Floats]:
    """``values`` (nz, ..., nt) as a running mean over ``ROUGH_DEG`` and over heights that show the same
    fold, and the rest, which is noise; NaN where not known."""
    from scipy.ndimage import uniform_filter1d

    width = _columns(ROUGH_DEG, values.shape[-1])
    known = np.isfinite(values)
    spacing = float(np.median(np.diff(foil.z_mm))) if foil.z_mm.size > 1 else math.inf
    heights = 2 * int(min(0.5 * FOLD_HEIGHT_MM / spacing, foil.z_mm.size)) + 1

    def mean(part: Floats) -> Floats:
        round_it = uniform_filter1d(part, width, axis=-1, mode="wrap")
        return np.asarray(uniform_filter1d(round_it, heights, axis=0, mode="nearest"))

    total, share = mean(np.where(known, values, 0.0)), mean(known.astype(float))
    smooth = np.where(known, total / np.maximum(share, 1e-9), np.nan)
    # A running mean takes 1 / width of the variance of what is independent along the angle with it.
    rest = (values - smooth) * math.sqrt(width / (width - 1))
    limit = FOLD_SIGMAS * sds_about_zero(rest, axis=(0, -1))
    return smooth, np.clip(rest, -limit, limit)


def root_mean_square(values: Floats, foil: FoilTrace) -> Corrected:
    """Root mean square of (nz, nturns, nt), less what changes so fast with the angle that it is noise."""
    square, noise = float(np.nanmean(values**2)), float(np.nanmean(split(values, foil)[1] ** 2))
    return Corrected(
        math.sqrt(max(square - noise, 0.0)),
        budget.uncertainty_of_a_root_mean_square(square, noise),
        math.sqrt(noise),
    )


def largest_size(values: Floats, foil: FoilTrace) -> tuple[Corrected, Place]:
    """The largest of ``values`` (nz, nturns, nt), either way, as :func:`largest`."""
    smooth, noise = split(values, foil)
    seen, place = worst(steadied(np.abs(values), foil), foil)
    trials = [float(np.nanmax(np.abs(smooth + noisy))) for noisy in _drawn(noise, foil)]
    return _freed(seen, trials, float(np.nanmax(np.abs(smooth)))), place


def largest(values: Floats, foil: FoilTrace) -> tuple[Corrected, Place]:
    """The largest of ``values`` (nz, nturns, nt), corrected for the noise's part in it, and where it lies.

    The largest of many noisy values is too large. How much, is tried out: the roll's own rough part, turned
    round the roll at random, is laid over its smooth part (parametric bootstrap, seeded).
    """
    smooth, noise = split(values, foil)
    return _largest_over(smooth, steadied(values, foil), noise, foil)


def largest_of_stepped(values: Floats, noise: Floats, foil: FoilTrace) -> tuple[Corrected, Place]:
    """The same of values with a step, which have no smooth part of their own.

    They come with the ``noise`` of others, and serve as they are.
    """
    calm = steadied(values, foil)
    return _largest_over(calm, calm, noise, foil)


def worst(values: Floats, foil: FoilTrace) -> tuple[float, Place]:
    """Largest of (nz, nturns, nt) and where it lies."""
    z, turn, column = np.unravel_index(int(np.nanargmax(values)), values.shape)
    place = {
        "z_mm": float(foil.z_mm[z]),
        "theta_deg": float(foil.theta_deg[column]),
        "turn": float(turn),
    }
    return float(values[z, turn, column]), place


def _largest_over(smooth: Floats, calm: Floats, noise: Floats, foil: FoilTrace) -> tuple[Corrected, Place]:
    seen, place = worst(calm, foil)
    trials = [float(np.nanmax(smooth + noisy)) for noisy in _drawn(noise, foil)]
    return _freed(seen, trials, float(np.nanmax(smooth))), place


def _drawn(noise: Floats, foil: FoilTrace) -> Iterator[Floats]:
    """``noise`` (nz, nturns, nt) damped as values are, each turn turned round at random, either sign."""
    damped = np.nan_to_num(steadied(noise, foil))
    rng = np.random.default_rng(SEED)
    columns = np.arange(damped.shape[-1])
    for _ in range(REPEATS):
        shift = rng.integers(columns.size, size=(damped.shape[1], 1))
        turned = np.take_along_axis(damped, ((columns - shift) % columns.size)[None], axis=-1)
        yield rng.choice((-1.0, 1.0)) * turned


def _freed(seen: float, trials: list[float], least: float) -> Corrected:
    """What was seen less the bias of ``trials``, extremes with noise, against ``least``, that without it."""
    bias = max(float(np.mean(trials)) - least, 0.0)
    return Corrected(seen - bias, budget.uncertainty_of_a_bias(float(np.std(trials)), bias))
