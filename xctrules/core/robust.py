"""Robust statistics: scales, weights and fits that what does not belong (a dent, a tab, a lost path) does not
pull.

A median absolute deviation is turned into a standard deviation here and nowhere else. Nothing of scipy.stats
is needed for it, whose import takes half a second.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

MAD_TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation: 1 / Phi^-1(3/4), rounded
(Rousseeuw and Croux 1993)."""

TUKEY = 4.685
"""Residual, in standard deviations, from which on Tukey's biweight leaves a point out: 95 % of least squares'
efficiency on normal noise (Holland and Welsch 1977)."""

HUBER = 1.345
"""Residual, in standard deviations, beyond which Huber's weight falls: the same efficiency (ibid.)."""

SECOND_DIFFERENCE_SD = math.sqrt(6.0)
"""Standard deviation of ``a - 2 b + c`` of independent values, over that of one: 1 + 4 + 1 variances."""


def robust_sd(values: ArrayLike) -> float:
    """Standard deviation about the median, from the median absolute deviation of the finite ``values``.

    NaN without any.
    """
    finite = _finite(values)
    if finite.size == 0:
        return math.nan
    return sd_about_zero(finite - np.median(finite))


def sd_about_zero(deviations: ArrayLike) -> float:
    """Standard deviation of finite ``deviations`` whose middle is known to be 0, such as residuals.

    NaN without any.
    """
    finite = _finite(deviations)
    return MAD_TO_SIGMA * float(np.median(np.abs(finite))) if finite.size else math.nan


def sds_about_zero(deviations: ArrayLike, axis: int | tuple[int, ...]) -> Floats:
    """:func:`sd_about_zero` along one or more axes, which stay with length 1; NaN are left out."""
    sizes = np.abs(np.asarray(deviations))
    return np.asarray(MAD_TO_SIGMA * np.nanmedian(sizes, axis=axis, keepdims=True))


def noise_of_second_differences(second: ArrayLike) -> float:
    """Standard deviation of one value from second differences ``a - 2 b + c`` of many, of either sign.

    Offset and slope drop out of second differences, so that noise scatters about zero. NaN without any.
    """
    return sd_about_zero(second) / SECOND_DIFFERENCE_SD


def noise_along(values: ArrayLike, *, step: int = 1, wrap: bool = False) -> float:
    """Noise of a smooth quantity sampled along its last axis, from second differences.

    As :func:`noise_of_second_differences`, but about their median: a quantity that is curved the same way
    throughout is no noisier for it.

    Parameters
    ----------
    values : (..., n)
        NaN are left out.
    step
        Far enough that the noise of two values is independent.
    wrap
        Whether the axis closes on itself.

    Returns
    -------
    float
        NaN where there are fewer than three values in a row.
    """
    a = np.asarray(values, dtype=np.float64)
    if wrap:
        second = np.roll(a, step, -1) - 2 * a + np.roll(a, -step, -1)
    elif a.shape[-1] > 2 * step:
        second = a[..., 2 * step :] - 2 * a[..., step:-step] + a[..., : -2 * step]
    else:
        return math.nan
    return robust_sd(second) / SECOND_DIFFERENCE_SD


def biweight(residual: Floats) -> Floats:
    """Tukey's weights, ``(1 - u^2)^2`` within 1 and 0 beyond.

    Parameters
    ----------
    residual
        Of any shape, in units of the residual from which on the weight is 0 (:data:`TUKEY` standard
        deviations, or wider).
    """
    return np.asarray(np.where(np.abs(residual) < 1, (1 - residual**2) ** 2, 0.0))


def robust_fit(design: Floats, values: Floats, floor: float, iterations: int = 12) -> tuple[Floats, float]:
    """Linear least squares that outliers do not pull: Tukey's biweight, started from Huber's weights.

    Parameters
    ----------
    design : (n, p)
    values : (n,)
    floor
        Least scale of the residuals, so that a perfect fit does not reject everything else.

    Returns
    -------
    coefficients : (p,)
    scale
        Standard deviation of the residuals, from their median size.
    """
    weights: Floats = np.ones(values.size)
    coefficients: Floats = np.zeros(design.shape[1])
    scale = floor
    for i in range(iterations):
        root = np.sqrt(weights)[:, None]
        coefficients = np.asarray(np.linalg.lstsq(design * root, values * root[:, 0], rcond=None)[0], float)
        residual = values - design @ coefficients
        scale = sd_about_zero(residual)
        u = np.abs(residual) / max(scale, floor)
        weights = HUBER / np.maximum(u, HUBER) if i < 3 else biweight(u / TUKEY)
        if weights.sum() < design.shape[1] + 1:
            weights = np.ones_like(values)
    return coefficients, scale


def longest_run(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """First index of the longest run of True in ``mask`` (n,), and the one after its last; 0, 0 without any.

    The first of several as long.
    """
    padded = np.concatenate([[False], mask, [False]])
    change = np.flatnonzero(padded[1:] != padded[:-1])
    if change.size == 0:
        return 0, 0
    starts, stops = change[::2], change[1::2]
    best = int(np.argmax(stops - starts))
    return int(starts[best]), int(stops[best])


def _finite(values: ArrayLike) -> NDArray[np.floating]:
    # As fine as they come: what is single precision is far noisier than its last digit.
    flat = np.asarray(values).ravel()
    return np.asarray(flat[np.isfinite(flat)])
