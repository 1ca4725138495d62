"""Noise as edges have it along a turn, drawn by the tests' own means."""

from __future__ import annotations

import numpy as np
from xctrules_overhang.noise import SharedNoise

POOLING = (0.5, 0.25)
"""Half-planes averaged with their neighbours, at half weight."""


def pooled(noise: np.ndarray) -> np.ndarray:
    return np.asarray(0.25 * (np.roll(noise, 1, -1) + np.roll(noise, -1, -1)) + 0.5 * noise)


def shared_noise(shape: tuple[int, int], reach: float, rng: np.random.Generator) -> np.ndarray:
    """Unit noise that a Gaussian kernel of ``reach`` angles has smoothed, and pooling after it."""
    away = np.minimum(np.arange(shape[1]), shape[1] - np.arange(shape[1]))
    kernel = np.exp(-0.5 * (away / reach) ** 2)
    white = rng.normal(size=shape)
    noise = np.fft.irfft(np.fft.rfft(white) * np.fft.rfft(kernel), shape[1])
    noise = pooled(noise)
    return np.asarray(noise / noise.std())


def sharing(
    half_planes: int, reach: np.ndarray, pooling: tuple[float, ...] = (1.0,), half: int = 2
) -> SharedNoise:
    """How noise is shared on turns whose extremes are taken over five half-planes (or 2 ``half`` + 1)."""
    return SharedNoise(half_planes, reach, np.full(reach.size, half, dtype=np.intp), pooling)
