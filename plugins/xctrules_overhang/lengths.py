"""From electrode edges to overhangs: lengths, deflections and the uncertainty of their extremes. Pure
functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.cell import EndEdges

Floats = NDArray[np.float64]

EXTREME_DRAWS = 200
"""Draws of the noise for the bias of minima and maxima: their standard deviation is then known to 5 %."""

NOISE_REACH = 3
"""Half-planes apart at which the noise of two edges is independent, where neighbours are pooled (180 of them
or more)."""

SMOOTHING_ANGLES_DEG = 5.0
"""Width over which overhangs are averaged to stand in for the true ones when the noise is drawn."""


@dataclass(frozen=True)
class Extreme:
    """A minimum or maximum over many noisy values.

    ``bias`` is how far noise alone moves it (negative for a minimum); ``spread`` the standard deviation of
    that.
    """

    value: float
    index: tuple[int, ...]
    bias: float
    spread: float

    @property
    def corrected(self) -> float:
        return self.value - self.bias


def lengths(edges: EndEdges) -> Floats:
    """Signed overhang at every turn and angle, (nturns, nt); the shorter of the two faces counts, NaN where
    not measured."""
    return np.fmin(*(edges.outward * (edges.anode_z_mm - edges.cathode_z_mm)))


def deflections(edges: EndEdges, least_length_mm: float) -> Floats:
    """Angle of the free foil against the axis, (nturns, nt), outward positive, in degrees.

    Slope of the least-squares line of radius against height over the free foil; NaN where it is shorter than
    ``least_length_mm`` or has fewer than four points, since a lean needs a length to show on.
    """
    height = edges.outward * edges.path_z_mm
    known = np.isfinite(height) & np.isfinite(edges.path_r_mm)
    n = known.sum(axis=-1)
    h = np.where(known, height, 0.0)
    r = np.where(known, edges.path_r_mm, 0.0)
    count = np.maximum(n, 1)
    h = np.where(known, h - (h.sum(axis=-1) / count)[..., None], 0.0)
    r = np.where(known, r - (r.sum(axis=-1) / count)[..., None], 0.0)
    spread = (h * h).sum(axis=-1)
    enough = (n >= 4) & (lengths(edges) >= least_length_mm) & (spread > 0)
    slope = np.where(enough, (h * r).sum(axis=-1) / np.where(spread > 0, spread, 1.0), np.nan)
    return np.asarray(np.degrees(np.arctan(slope)))


def base_heights(edges: EndEdges) -> Floats:
    """Height of the cathode's edge, (nturns + 1, nt): row k + 1 is the face outside turn k, row 0 the one
    inside turn 0.

    Each face between two foils counts once.
    """
    inner, outer = edges.cathode_z_mm
    turns, nt = inner.shape
    base = np.full((turns + 1, nt), np.nan)
    base[1:] = outer
    base[:-1] = np.where(np.isnan(base[:-1]), inner, base[:-1])
    return base


def scatter(values: Floats) -> float:
    """Noise of single values: robust standard deviation about the line through their neighbours along theta.

    Parameters
    ----------
    values : (nturns, nt)
        Equally spaced round the turn.

    Returns
    -------
    float
        0 where there are too few values. Real changes from one angle to the next count as noise: an upper
        bound.
    """
    lag = NOISE_REACH if values.shape[-1] >= 180 else 1
    second = np.roll(values, lag, axis=-1) - 2 * values + np.roll(values, -lag, axis=-1)
    finite = np.abs(second[np.isfinite(second)])
    return float(1.4826 * np.median(finite) / np.sqrt(6)) if finite.size > 8 else 0.0


def smoothed(values: Floats, half: int) -> Floats:
    """Mean over ``half`` neighbours to either side round the turn; NaN stays where it was."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    total, count = filled.copy(), known.astype(float)
    for shift in range(1, half + 1):
        for step in (-shift, shift):
            total += np.roll(filled, step, axis=-1)
            count += np.roll(known, step, axis=-1)
    return np.where(known, total / np.maximum(count, 1), np.nan)


def extreme(values: Floats, sigma: float, sign: int, seed: int = 0) -> Extreme:
    """Minimum (``sign`` -1) or maximum (+1) of noisy values, with the bias that the noise gives it.

    The smallest of many values owes part of its smallness to noise. The bias is simulated: the values,
    averaged over ``SMOOTHING_ANGLES_DEG``, stand in for the true ones; noise of standard deviation ``sigma``
    is added ``EXTREME_DRAWS`` times (fixed seed). Only values within eight sigma of the extreme can become
    it, so only those are drawn.

    Parameters
    ----------
    values : (nturns, nt)
        At least one finite.
    """
    flat = np.where(np.isfinite(values), sign * values, -np.inf)
    at = int(np.argmax(flat))
    top = float(flat.ravel()[at])
    bias = spread = 0.0
    if sigma > 0:
        half = max(1, round(0.5 * SMOOTHING_ANGLES_DEG * values.shape[-1] / 360))
        stand_in = sign * smoothed(values, half)
        peak = float(np.nanmax(stand_in))
        rows = np.nanmax(np.where(np.isnan(stand_in), -np.inf, stand_in), axis=1) > peak - 8 * sigma
        noise = np.random.default_rng(seed).normal(
            0.0, sigma, (EXTREME_DRAWS, int(rows.sum()), values.shape[-1])
        )
        if (
            values.shape[-1] >= 180
        ):  # pooled half-planes share their noise; 3/8 of the variance is left by pooling
            noise = (0.25 * (np.roll(noise, 1, -1) + np.roll(noise, -1, -1)) + 0.5 * noise) / np.sqrt(3 / 8)
        drawn = np.nanmax(stand_in[rows] + noise, axis=(1, 2))
        bias, spread = float(drawn.mean() - peak), float(drawn.std(ddof=1))
    index = tuple(int(i) for i in np.unravel_index(at, values.shape))
    return Extreme(sign * top, index, sign * bias, spread)
