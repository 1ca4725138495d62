"""The noise of single values: how large it is, and how far it is shared along a turn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xctrules.core.robust import noise_of_second_differences
from xctrules.cylinder.surfaces import EndEdges
from xctrules_overhang.lengths import Floats, Halves, half_widths, stated_length_mm

NOISE_VOXELS = 0.9
"""Standard deviation, in in-plane voxels, of the Gaussian kernel that turns independent noise into that of
edges along a turn: near the core many half-planes look at the same voxels. From the errors on drawn ends,
whose correlation along the turn falls to a half at 1.5 voxels and to a quarter at 2."""

MOST_REACH_DEG = 15.0
"""The kernel is no wider than this, however near the core a turn is: differences over wider arcs would show
the roll's form."""

KERNEL_REACH = 3.0
"""Standard deviations of the kernel beyond which two values count as free of each other's noise: its
correlation has fallen to 0.1 there."""

REACH_STEP = 0.25
"""The kernel is drawn to a quarter of a half-plane, which is finer than it is known."""

DRAWS = 128
"""Draws of the noise for the bias of minima and maxima: their standard deviation is then known to 6 %."""

SEED = 0

TURNS_BESIDE, LEAST_VALUES = 2, 9
"""Noise is taken from a turn and as many on both sides, if they have the least number of differences."""


@dataclass(frozen=True)
class SharedNoise:
    """How far the noise of single values is shared along each turn.

    Attributes
    ----------
    half_planes
        Equally spaced round the turn.
    reach : (nrows,)
        Standard deviation of a Gaussian kernel, in half-planes, by turn or by face between two.
    half : (nrows,)
        Half-planes to either side over which values are averaged before their extremes are taken.
    pooling
        Weights with which half-planes were averaged, see :class:`EndEdges`.
    """

    half_planes: int
    reach: Floats
    half: Halves
    pooling: tuple[float, ...] = (1.0,)

    @classmethod
    def of(cls, edges: EndEdges, voxel_mm: float) -> SharedNoise:
        """By turn: :data:`NOISE_VOXELS` at the turn's radius, at most :data:`MOST_REACH_DEG`."""
        turns, nt = edges.state.shape
        known = np.isfinite(edges.path_r_mm)
        total = np.where(known, edges.path_r_mm, 0.0).sum(axis=(1, 2))
        count = known.sum(axis=(1, 2))
        half = half_widths(edges, stated_length_mm(voxel_mm))
        if not count.any():
            return cls(nt, np.zeros(turns), half, edges.pooling)
        place = np.flatnonzero(count)
        radius = np.interp(np.arange(turns), place, total[place] / count[place])
        step = 2 * np.pi / nt
        reach = np.clip(NOISE_VOXELS * voxel_mm / (radius * step), 0.0, nt * MOST_REACH_DEG / 360)
        return cls(nt, np.asarray(reach), half, edges.pooling)

    @property
    def of_faces(self) -> SharedNoise:
        """The same for the faces inside the first turn and outside of each, one row more."""
        reach, half = (np.concatenate([a[:1], a]) for a in (self.reach, self.half))
        return SharedNoise(self.half_planes, reach, half, self.pooling)

    @property
    def apart(self) -> NDArray[np.intp]:
        """Half-planes apart, (nrows,), at which two values share no noise."""
        pooled = 2 * len(self.pooling) - 1
        return np.asarray(pooled + np.ceil(KERNEL_REACH * self.reach), dtype=np.intp)

    @cached_property
    def draws(self) -> NDArray[np.float32]:
        """Draws (DRAWS, nrows, nt) of such noise, of unit variance in single values, averaged as values are
        before their extremes are taken."""
        nt = self.half_planes
        reach = np.round(self.reach / REACH_STEP) * REACH_STEP
        white = np.random.default_rng(SEED).standard_normal((DRAWS, reach.size, nt), dtype=np.float32)
        wave = np.asarray(2 * np.pi * np.fft.rfftfreq(nt), dtype=np.float64)
        kernel = np.exp(-0.5 * (reach[:, None] * wave) ** 2) * response(self.pooling, wave)
        # Parseval: all frequencies but the first (and, for an even number, the last) stand for two
        twice = np.full(wave.size, 2.0)
        twice[0] = 1.0
        if nt % 2 == 0:
            twice[-1] = 1.0
        kernel /= np.sqrt((twice * kernel**2).sum(axis=1) / nt)[:, None]
        shift = np.arange(1, int(self.half.max(initial=0)) + 1)
        beside = np.cumsum(2 * np.cos(shift[:, None] * wave), axis=0)
        total = 1 + np.concatenate([np.zeros((1, wave.size)), beside])
        mean = total[self.half] / (2 * self.half[:, None] + 1)
        return np.fft.irfft(np.fft.rfft(white, axis=-1) * (kernel * mean), nt, axis=-1).astype(np.float32)


def response(weights: tuple[float, ...], wave: Floats) -> Floats:
    """What a symmetric average of neighbours leaves of waves (n,), by their angle from one sample to the
    next."""
    beside = np.arange(1, len(weights))
    return np.asarray(weights[0] + 2 * np.cos(np.multiply.outer(wave, beside)) @ np.array(weights[1:]))


def scatter(values: Floats, shared: SharedNoise) -> Floats:
    """Noise of single values, turn by turn: robust standard deviation about the line through neighbours.

    Parameters
    ----------
    values : (nrows, nt)
        Equally spaced round the turn.
    shared
        Neighbours are taken from where they share no noise.

    Returns
    -------
    (nrows,)
        The same for all rows where five of them together have too few values; 0 where all have. Real
        changes from one angle to the next count as noise: an upper bound.
    """
    second = [
        np.roll(row, lag) - 2 * row + np.roll(row, -lag)
        for row, lag in zip(values, shared.apart, strict=True)
    ]
    near = (second[max(k - TURNS_BESIDE, 0) : k + TURNS_BESIDE + 1] for k in range(len(second)))
    each = np.array([_noise(rows) for rows in near])
    usual = _noise(second)
    return np.where(np.isnan(each), 0.0 if np.isnan(usual) else usual, each)


def _noise(second: list[Floats]) -> float:
    joined = np.concatenate(second)
    joined = joined[np.isfinite(joined)]
    return noise_of_second_differences(joined) if joined.size >= LEAST_VALUES else math.nan
