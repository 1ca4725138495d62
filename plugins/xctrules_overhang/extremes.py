"""Minima and maxima over many noisy values, freed of the bias that noise gives them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules_overhang.lengths import Floats, half_width, smoothed
from xctrules_overhang.noise import SharedNoise

WIDE_ANGLES_DEG = 30.0
"""Width over which overhangs are averaged to stand in for the true ones when the noise is drawn."""

FAULT_SIGMAS = 4.0
"""A value that departs from its surroundings by this many standard uncertainties is no noise: of some ten
thousand independent averages, noise alone makes fewer than one."""

FEW_DRAWS = 8
"""Draws from which the variance of the noise's wide averages is taken: thousands of values."""


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


def extreme(values: Floats, sigma: float | Floats, sign: int, shared: SharedNoise) -> Extreme:
    """Minimum (``sign`` -1) or maximum (+1) of noisy values, with the bias that the noise gives it.

    The values are averaged along the foil first, ``shared.half`` to either side: what is shorter than that is
    not stated. The smallest of many values still owes part of its smallness to noise. That bias is
    simulated: averages over ``WIDE_ANGLES_DEG`` stand in for the true values, but one that departs from them
    by ``FAULT_SIGMAS`` stands for itself, since then it is no noise. Noise of standard deviation ``sigma``,
    shared as ``shared`` says and averaged as the values are, is added to them again and again (fixed seed).

    Parameters
    ----------
    values : (nrows, nt)
        At least one finite.
    sigma : (nrows,) or one for all
        Noise of single values.
    """
    local = sign * smoothed(values, shared.half)
    at = int(np.argmax(np.where(np.isfinite(local), local, -np.inf)))
    top = float(local.ravel()[at])
    bias = spread = 0.0
    deviation = np.broadcast_to(np.asarray(sigma, dtype=np.float32), values.shape[:1])
    if deviation.any():
        noise = deviation[:, None] * shared.draws
        stand_in = _stand_in(local, noise)
        known = np.where(np.isfinite(stand_in), stand_in, -np.inf).astype(np.float32)
        drawn = (known + noise).max(axis=(1, 2))
        bias, spread = float(drawn.mean() - known.max()), float(drawn.std(ddof=1))
    index = tuple(int(i) for i in np.unravel_index(at, values.shape))
    return Extreme(sign * top, index, sign * bias, spread)


def _stand_in(local: Floats, noise: NDArray[np.float32]) -> Floats:
    """A guess at the true values behind ``local`` (nrows, nt), to lay ``noise`` (ndraws, nrows, nt) over.

    Wide averages, shrunk towards each turn's mean as far as noise explains their variation (James and
    Stein), since the largest of noisy averages is too large as well; a value that departs by
    ``FAULT_SIGMAS`` stays.
    """
    half = half_width(local.shape[-1], WIDE_ANGLES_DEG)
    wide = smoothed(local, half)
    known = np.isfinite(wide)
    mean = np.where(known, wide, 0).sum(axis=-1) / np.maximum(known.sum(axis=-1), 1)
    away = np.where(known, wide - mean[:, None], 0.0)
    fault = known & (np.abs(local - wide) > FAULT_SIGMAS * noise.std(axis=(0, 2))[:, None])
    plain = known & ~fault
    varies = float((away[plain] ** 2).mean()) if plain.any() else 0.0
    by_noise = float(smoothed(noise[:FEW_DRAWS], half).var())
    keep = max(0.0, 1.0 - by_noise / varies) if varies > 0 else 0.0
    return np.where(fault, local, np.where(known, mean[:, None] + keep * away, np.nan))
