"""From electrode edges to overhangs: lengths, deflections and the uncertainty of their extremes. Pure
functions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from xctrules.cylinder.surfaces import EndEdges

Floats = NDArray[np.float64]

EXTREME_DRAWS = 128
"""Draws of the noise for the bias of minima and maxima: their standard deviation is then known to 6 %."""

NOISE_VOXELS = 0.9
"""Standard deviation, in in-plane voxels, of the Gaussian kernel that turns independent noise into that of
edges along a turn: near the core many half-planes look at the same voxels. From the errors on drawn ends,
whose correlation along the turn falls to a half at 1.5 voxels and to a quarter at 2."""

SMOOTHING_ANGLES_DEG = 5.0
"""Width over which overhangs are averaged before their extremes are taken: 0.2 mm at the core, 0.9 mm at the
can."""


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


WIDE_ANGLES_DEG = 30.0
"""Width over which overhangs are averaged to stand in for the true ones when the noise is drawn."""


def lengths(edges: EndEdges) -> Floats:
    """Signed overhang at every turn and angle, (nturns, nt); NaN where not measured.

    The worse of the two facing cathodes counts. Which one that is is decided on their edges' means over
    ``SMOOTHING_ANGLES_DEG``: the larger of two noisy values would be too large on average.
    """
    reach = edges.outward * edges.cathode_z_mm
    half = _half_width(edges.theta_deg.size)
    usual = np.stack([np.where(np.isnan(face), -np.inf, smoothed(face, half)) for face in reach])
    worse = np.where(usual[0] >= usual[1], reach[0], reach[1])
    return np.asarray(edges.outward * edges.anode_z_mm - worse)


def _half_width(angles: int) -> int:
    """Angles to either side within ``SMOOTHING_ANGLES_DEG``."""
    return round(0.5 * SMOOTHING_ANGLES_DEG * angles / 360)


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


def reaches(edges: EndEdges, voxel_mm: float) -> Floats:
    """Standard deviation of the noise's kernel along each turn, in half-planes: (nturns,).

    :data:`NOISE_VOXELS` at the turn's radius; at most 15 degrees.
    """
    turns, nt = edges.state.shape
    known = np.isfinite(edges.path_r_mm)
    total = np.where(known, edges.path_r_mm, 0.0).sum(axis=(1, 2))
    count = known.sum(axis=(1, 2))
    if not count.any():
        return np.zeros(turns)
    place = np.flatnonzero(count)
    radius = np.interp(np.arange(turns), place, total[place] / count[place])
    step = 2 * np.pi / nt
    return np.asarray(np.clip(NOISE_VOXELS * voxel_mm / (radius * step), 0.0, nt / 24))


def scatter(values: Floats, reach: Floats | None = None, pooling: tuple[float, ...] = (1.0,)) -> Floats:
    """Noise of single values, turn by turn: robust standard deviation about the line through neighbours.

    Parameters
    ----------
    values : (nturns, nt)
        Equally spaced round the turn.
    reach : (nturns,)
        How far the noise is shared along each turn, see :func:`reaches`; neighbours beyond it are taken.
    pooling
        Weights with which half-planes were averaged, see :class:`EndEdges`; neighbours beyond that, too.

    Returns
    -------
    (nturns,)
        The same for all turns where five of them together have too few values; 0 where all have. Real
        changes from one angle to the next count as noise: an upper bound.
    """
    turns = values.shape[0]
    reach = np.zeros(turns) if reach is None else reach
    lags = 2 * len(pooling) - 1 + np.ceil(3 * reach).astype(int)
    away = [
        np.abs(np.roll(row, lag) - 2 * row + np.roll(row, -lag))
        for row, lag in zip(values, lags, strict=True)
    ]

    def robust(rows: list[Floats]) -> float:
        finite = np.concatenate(rows)
        finite = finite[np.isfinite(finite)]
        return float(1.4826 * np.median(finite) / np.sqrt(6)) if finite.size > 8 else np.nan

    each = np.array([robust(away[max(k - 2, 0) : k + 3]) for k in range(turns)])
    usual = robust(away)
    return np.where(np.isnan(each), 0.0 if np.isnan(usual) else usual, each)


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


@lru_cache(maxsize=4)
def _unit_noise(
    nt: int, half: int, reach: tuple[float, ...], pooling: tuple[float, ...]
) -> NDArray[np.float32]:
    """Draws (ndraws, nturns, nt) of noise with the correlation of single values of unit variance, averaged
    over ``half`` angles to either side."""
    white = np.random.default_rng(0).standard_normal((EXTREME_DRAWS, len(reach), nt), dtype=np.float32)
    wave = 2 * np.pi * np.fft.rfftfreq(nt)
    kernel = np.exp(-0.5 * (np.array(reach)[:, None] * wave) ** 2)
    kernel = kernel * _response(pooling, wave)
    # Parseval: all frequencies but the first (and, for an even number, the last) stand for two
    twice = np.full(wave.size, 2.0)
    twice[0] = 1.0
    if nt % 2 == 0:
        twice[-1] = 1.0
    kernel /= np.sqrt((twice * kernel**2).sum(axis=1) / nt)[:, None]
    mean = (1 + 2 * np.cos(np.arange(1, half + 1)[:, None] * wave).sum(axis=0)) / (2 * half + 1)
    return np.fft.irfft(np.fft.rfft(white, axis=-1) * (kernel * mean), nt, axis=-1).astype(np.float32)


def _response(weights: tuple[float, ...], wave: Floats) -> Floats:
    """What a symmetric average of neighbours leaves of a wave, by its angle from one sample to the next."""
    beside = np.arange(1, len(weights))
    return np.asarray(weights[0] + 2 * np.cos(np.multiply.outer(wave, beside)) @ np.array(weights[1:]))


def _stand_in(local: Floats, noise: NDArray[np.float32]) -> Floats:
    """A guess at the true values behind ``local`` (nturns, nt), for drawing ``noise`` (ndraws, nturns, nt)
    onto.

    Wide averages, shrunk towards each turn's mean as far as noise explains their variation (James and
    Stein), since the largest of noisy averages is too large as well; a value that departs by four standard
    uncertainties stays.
    """
    half = round(WIDE_ANGLES_DEG / 2 * local.shape[-1] / 360)
    wide = smoothed(local, half)
    known = np.isfinite(wide)
    mean = np.where(known, wide, 0).sum(axis=-1) / np.maximum(known.sum(axis=-1), 1)
    away = np.where(known, wide - mean[:, None], 0.0)
    fault = known & (np.abs(local - wide) > 4 * noise.std(axis=(0, 2))[:, None])
    plain = known & ~fault
    varies = float((away[plain] ** 2).mean()) if plain.any() else 0.0
    by_noise = float(smoothed(noise[:8], half).var())
    keep = max(0.0, 1.0 - by_noise / varies) if varies > 0 else 0.0
    return np.where(fault, local, np.where(known, mean[:, None] + keep * away, np.nan))


def extreme(
    values: Floats,
    sigma: float | Floats,
    sign: int,
    reach: Floats | None = None,
    pooling: tuple[float, ...] = (1.0,),
) -> Extreme:
    """Minimum (``sign`` -1) or maximum (+1) of noisy values, with the bias that the noise gives it.

    The values are averaged over ``SMOOTHING_ANGLES_DEG`` first: an edge does not jump from one degree to the
    next, its noise does. The smallest of many values still owes part of its smallness to noise. That bias is
    simulated: averages over ``WIDE_ANGLES_DEG`` stand in for the true values, but one that departs from them
    by four of its standard uncertainties stands for itself, since then it is no noise. Noise of standard
    deviation ``sigma``, correlated as voxels, pooling and averaging make it, is added ``EXTREME_DRAWS`` times
    (fixed seed).

    Parameters
    ----------
    values : (nturns, nt)
        At least one finite.
    sigma : (nturns,) or one for all
        Noise of single values.
    reach : (nturns,)
        How far it is shared along each turn, see :func:`reaches`; not at all unless given.
    pooling
        Weights with which half-planes were averaged, see :class:`EndEdges`.
    """
    half = _half_width(values.shape[-1])
    local = sign * smoothed(values, half)
    at = int(np.argmax(np.where(np.isfinite(local), local, -np.inf)))
    top = float(local.ravel()[at])
    bias = spread = 0.0
    deviation = np.broadcast_to(np.asarray(sigma, dtype=np.float32), values.shape[:1])
    if deviation.any():
        shared = np.zeros(values.shape[0]) if reach is None else np.round(4 * reach) / 4
        noise = deviation[:, None] * _unit_noise(values.shape[1], half, tuple(shared.tolist()), pooling)
        stand_in = _stand_in(local, noise)
        known = np.where(np.isfinite(stand_in), stand_in, -np.inf).astype(np.float32)
        drawn = (known + noise).max(axis=(1, 2))
        bias, spread = float(drawn.mean() - known.max()), float(drawn.std(ddof=1))
    index = tuple(int(i) for i in np.unravel_index(at, values.shape))
    return Extreme(sign * top, index, sign * bias, spread)
