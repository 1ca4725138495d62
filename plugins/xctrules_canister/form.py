"""The can's surface as a map over height and angle: pooled, compared with ellipses, extremes freed of noise.

Everything here works on plain arrays (nz, nt) over heights and equally spaced angles that close on
themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.cylinder.ellipses import Ellipses

Floats = NDArray[np.float64]

POOL_MM = 0.5
"""Full width at half maximum of the pooling window: the finest dent or thin spot that is told from noise."""

DRAWS = 40
"""Noise maps in the Monte Carlo for extremes: their mean is known to a sixth of their spread."""

SEED = 20251122


FWHM = 2.3548
"""Full width at half maximum of a Gaussian over its standard deviation: 2 sqrt(2 ln 2)."""

LEAST_POOLED = 0.5
"""Share of the window that must be known for a pooled value."""

FITTED_POINTS = 180
"""Points of a height that an ellipse is fitted to: they carry its five numbers as well as 720 do."""

CIRCLE_STEPS = 3
"""Gauss-Newton steps to the least-squares circle: from a centre within a tenth of the radius each squares the
relative error."""

CLEAR_SIGMAS = 3.0
"""Standard deviations of pooled noise up to which a deviation counts as noise where noise is laid over it."""

NOISE_SIGMAS = 2.5
"""Standard deviations above its mean that a statistic of noise alone hardly exceeds: one in 160."""


@dataclass(frozen=True)
class Pooling:
    """The pooling window for maps of one spacing.

    ``sd_samples`` is the standard deviation of the Gaussian window along (height, angle), in samples.
    """

    sd_samples: tuple[float, float]

    @classmethod
    def of(cls, shape: tuple[int, int], spacing_mm: tuple[float, float]) -> Pooling:
        """For maps of ``shape`` with ``spacing_mm`` between heights and, along the arc, between angles."""
        sd_mm = POOL_MM / FWHM
        return cls((sd_mm / spacing_mm[0] if shape[0] > 1 else 0.0, sd_mm / spacing_mm[1]))

    def at_spacing(self, height_mm: float) -> Pooling:
        """The same window where heights lie ``height_mm`` apart."""
        return Pooling((POOL_MM / FWHM / height_mm, self.sd_samples[1]))

    def pool(self, values: Floats) -> Floats:
        """Weighted mean of each value's surroundings; NaN where less than half of them is known."""
        return _twiced(values, self.sd_samples)

    def within_reach(self, pooled: Floats, values: Floats) -> Floats:
        """A pooled map held between what its surroundings are in the mean over half a window.

        Twicing overshoots beside a step, such as the border of a thinned wall, by some 6 % of it; a plain
        mean does not.
        """
        from scipy.ndimage import maximum_filter, minimum_filter

        light = self.blurred(values, 0.5 * POOL_MM / FWHM)
        size = tuple(2 * round(FWHM * sd) + 1 for sd in self.sd_samples)
        modes = ("nearest", "wrap")
        low = minimum_filter(np.where(np.isfinite(light), light, np.inf), size, mode=modes)
        high = maximum_filter(np.where(np.isfinite(light), light, -np.inf), size, mode=modes)
        return np.where(low <= high, np.clip(pooled, low, high), pooled)

    def blurred(self, values: Floats, sd_mm: float) -> Floats:
        """Mean under a Gaussian of ``sd_mm``; NaN where less than half of it is known."""
        along, around = (sd * sd_mm * FWHM / POOL_MM for sd in self.sd_samples)
        known = np.isfinite(values).astype(np.float64)
        share = _gaussian(known, (along, around))
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = _gaussian(np.nan_to_num(values), (along, around)) / share
        return np.where(share >= LEAST_POOLED, mean, np.nan)

    def noise(self, known: NDArray[np.bool_]) -> Floats:
        """White noise of unit standard deviation after pooling, (DRAWS, nz, nt); 0 where none is ``known``.

        Where little of the window is known, at borders and gaps, less is averaged and more noise is left.
        """
        white = np.random.default_rng(SEED).standard_normal((DRAWS, *known.shape))
        return np.stack(
            [np.nan_to_num(_twiced(np.where(known, draw, np.nan), self.sd_samples)) for draw in white]
        )


def _twiced(values: Floats, sd: tuple[float, float]) -> Floats:
    """Gaussian smoothing plus the smoothed remainder (Tukey's twicing).

    Plain smoothing flattens a dent by its curvature; twicing takes that error off to first order.
    """
    known = np.isfinite(values).astype(np.float64)
    share = _gaussian(known, sd)
    middle = float(np.nanmean(values)) if known.any() else 0.0
    plain = np.where(known > 0, values - middle, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        once = _gaussian(plain, sd) / share
        remainder = np.where(known > 0, plain - once, 0.0)
        twice = once + _gaussian(remainder, sd) / share
    # ``share`` also falls at the first and last height, by the window's part beyond them: to one half.
    enough = share >= LEAST_POOLED * _gaussian(np.ones_like(known), sd)
    return np.where(enough, twice + middle, np.nan)


def _gaussian(values: Floats, sd: tuple[float, float]) -> Floats:
    from scipy.ndimage import gaussian_filter1d

    smooth = values
    if sd[1] > 0:
        smooth = gaussian_filter1d(smooth, sd[1], axis=1, mode="wrap")
    if sd[0] > 0:
        smooth = gaussian_filter1d(smooth, sd[0], axis=0, mode="constant")
    return np.asarray(smooth, dtype=np.float64)


def filled(values: Floats) -> Floats:
    """NaN replaced along each row by a straight line between its neighbours; rows are closed."""
    n = values.shape[1]
    index = np.arange(n)
    result = values.copy()
    for row in result:
        known = np.isfinite(row)
        if known.any() and not known.all():
            row[~known] = np.interp(index[~known], index[known], row[known], period=n)
    return result


def sound_ellipses(
    radius: Floats, theta_deg: Floats, scale_floor: float, whole: NDArray[np.bool_], tukey: float = 3.0
) -> tuple[Ellipses, Floats]:
    """The robust ellipse of each height, and each place's distance from it (nz, nt), positive outside.

    Heights that are not seen all round (``whole`` is False) take the ellipse of the nearest one that is, in
    their own size: at the image's end the can may already narrow towards its bead.
    """
    theta = np.deg2rad(theta_deg)
    x, y = radius * np.cos(theta), radius * np.sin(theta)
    thin = max(1, theta.size // FITTED_POINTS)
    rows = np.flatnonzero(whole) if whole.any() else np.arange(radius.shape[0])
    fitted = Ellipses.estimate(x[rows, ::thin], y[rows, ::thin], scale_floor=scale_floor, tukey=tukey)
    nearest = np.abs(np.arange(radius.shape[0])[:, None] - rows).argmin(axis=1)
    ellipses = Ellipses(fitted.centre[nearest], fitted.semi_axes[nearest], fitted.angle_deg[nearest])
    deviation = ellipses.residuals(x, y)
    for row in np.flatnonzero(~whole) if whole.any() else ():
        if np.isfinite(deviation[row]).any():
            deviation[row] -= np.nanmedian(deviation[row])
    return ellipses, deviation


def about_least_squares_circle(radius: Floats, theta_deg: Floats) -> Floats:
    """Radial deviation (nz, nt) from each height's least-squares circle (ISO 12181-1); no NaN allowed."""
    theta = np.deg2rad(theta_deg)
    x, y = radius * np.cos(theta), radius * np.sin(theta)
    centre = np.zeros((radius.shape[0], 2))
    for _ in range(CIRCLE_STEPS):
        dx, dy = x - centre[:, :1], y - centre[:, 1:]
        r = np.hypot(dx, dy)
        design = np.stack([np.ones_like(r), dx / r, dy / r], axis=-1)
        normal = design.transpose(0, 2, 1) @ design
        solved = np.linalg.solve(normal, design.transpose(0, 2, 1) @ r[..., None])[..., 0]
        centre = centre + solved[:, 1:]
    dx, dy = x - centre[:, :1], y - centre[:, 1:]
    r = np.hypot(dx, dy)
    return np.asarray(r - r.mean(axis=1, keepdims=True))


def garrote(deviation: Floats, threshold: float) -> Floats:
    """Deviations that noise explains become 0, large ones stay (non-negative garrote, Breiman 1995)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = deviation * (1 - (threshold / deviation) ** 2)
    return np.where(np.abs(deviation) > threshold, kept, 0.0)


@dataclass(frozen=True)
class Corrected:
    """A statistic freed from the bias that noise gives it; ``sd`` is what noise leaves of uncertainty."""

    value: float
    bias: float
    sd: float


def free_of_noise(
    values: Floats, noise: Floats, sigma: float, statistic: Callable[[Floats], float], centre: Floats | float
) -> Corrected:
    """Take from a statistic of a noisy map what noise adds to it on average.

    An extreme over many places is biased outward by noise, and less so the more it stands out. What noise
    does is found on a map like the one seen but without what noise explains (:func:`garrote` at
    ``CLEAR_SIGMAS``): noise is added to it again and again, with the neighbourhood correlation that pooling
    gives it.

    Parameters
    ----------
    values : (nz, nt)
        The pooled map; NaN are left out.
    noise : (ndraws, nz, nt)
        Pooled noise for white noise of unit sigma.
    sigma
        Standard deviation of the noise before pooling.
    statistic
        Of one map.
    centre
        Values about which deviations are judged.
    """
    pooled_sd = sigma * float(noise.std())
    base = centre + garrote(values - centre, CLEAR_SIGMAS * pooled_sd)
    there = np.isfinite(values)
    base = np.where(there, base, np.nan)
    seen, clean = statistic(values), statistic(base)
    drawn = np.array([statistic(base + sigma * draw) for draw in noise])
    bias = float(drawn.mean()) - clean
    return Corrected(seen - bias, bias, float(drawn.std()))


def most_that_noise_makes(statistic: Callable[[Floats], float], noise: Floats, sigma: float) -> float:
    """What a statistic of a map of noise alone hardly exceeds, see ``NOISE_SIGMAS``; ``noise`` as above."""
    drawn = np.array([statistic(sigma * draw) for draw in noise])
    return float(drawn.mean() + NOISE_SIGMAS * drawn.std())


def eccentricity(ovality: float, mean_radius: float) -> float:
    """Of the ellipse with that mean semi-axis and difference of axis lengths."""
    a, b = mean_radius + ovality / 4, mean_radius - ovality / 4
    return math.sqrt(max(0.0, 1.0 - (b / a) ** 2))
