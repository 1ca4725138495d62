"""Sharpness of the scan, from the can's outer edge."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from xctrules.cylinder.surfaces import Floats
from xctrules_screening.sampling import EdgeBand

TEN_TO_NINETY = 2.5631031310892007
"""10-90 % width of a Gaussian edge in standard deviations: 2 * 1.2816."""

LEAST_PROFILES = 8
"""Profiles without a gap, of whose median the edge is fitted."""

NEAR_MIDDLE = 0.6
"""Part of the wall, in its thicknesses about its middle, whose brightest grey is the fit's first guess."""

CLEAR_SAMPLES, FIRST_BLUR_SAMPLES = 10, 6
"""Samples beyond the surface from which on grey is that of the outside, and the blur of the first guess: some
two and a half voxels and one and a half."""

BEHIND_WEIGHT = 0.2
"""Weight of what lies behind the wall: it differs from place to place, and only has to end the slab."""

SHARPEST = 0.2
"""Share of the fitted blur that is left at least when the noise of the surface is taken off."""

ALIKE_BLURS = 2.5
"""Blurs over which samples count as one value."""


@dataclass(frozen=True)
class EdgeFit:
    """The mean profile across the can's outer surface, and a blurred slab fitted to it.

    ``width_mm`` is the 10-90 % width, ``width_sigma_mm`` its standard uncertainty; ``wall_grey``,
    ``outside_grey`` and ``inside_grey`` are those of the fit.
    """

    away_mm: Floats
    profile: Floats
    fitted: Floats
    width_mm: float
    width_sigma_mm: float
    outside_grey: float
    wall_grey: float
    inside_grey: float


def fit_edge(band: EdgeBand, rows: slice = slice(None)) -> EdgeFit | None:
    """Fit a slab of known thickness under a Gaussian blur to the mean of profiles; ``None`` without any.

    Model: ``inside + (wall - inside) * F((x + t) / s) - (wall - outside) * F((x - x0) / s)`` with the normal
    distribution function F, thickness t and blur s (ASTM E1695 takes the derivative of the same edge; a fit
    needs no smoothing and knows that a thin wall never reaches its full grey).
    """
    from scipy.optimize import least_squares
    from scipy.special import ndtr

    grey = band.grey[rows].reshape(-1, band.away_mm.size)
    whole = grey[np.isfinite(grey).all(axis=1)].astype(np.float64)
    if whole.shape[0] < LEAST_PROFILES:
        return None
    x = band.away_mm
    profile = np.median(whole, axis=0)
    spread = whole.std(axis=0) / math.sqrt(whole.shape[0])
    top = float(profile[np.abs(x + 0.5 * band.wall_mm) <= NEAR_MIDDLE * band.wall_mm].max())
    step = x[1] - x[0]
    outside = float(np.median(profile[x > CLEAR_SAMPLES * step]))
    start = [0.0, math.log(FIRST_BLUR_SAMPLES * step), top, outside, float(profile[0])]
    if not top > outside:
        return None

    def model(p: Floats) -> Floats:
        s = math.exp(p[1])
        return np.asarray(
            p[4] + (p[2] - p[4]) * ndtr((x + band.wall_mm - p[0]) / s) - (p[2] - p[3]) * ndtr((x - p[0]) / s)
        )

    weight = np.where(x < -band.wall_mm, BEHIND_WEIGHT, 1.0)

    def residual(p: Floats) -> Floats:
        return np.asarray((model(p) - profile) * weight)

    contrast = top - min(start[3:])  # above zero whatever grey the scan calls zero
    found = least_squares(residual, start, x_scale=[step, 1.0, contrast, contrast, contrast])
    blur = math.exp(float(found.x[1]))
    # The surface to which profiles were shifted is itself known to its noise only.
    sharp = math.sqrt(max(blur**2 - band.edge_sigma_mm**2, (SHARPEST * blur) ** 2))
    jacobian = np.asarray(found.jac, dtype=float)
    normal = jacobian.T @ jacobian
    scatter = max(float(np.mean(spread)), float(np.std(found.fun)))
    # Four samples for each voxel, and a blur that correlates them.
    alike = max(1.0, ALIKE_BLURS * blur / step)
    sigma = blur * scatter * math.sqrt(alike * float(np.linalg.pinv(normal)[1, 1]))
    return EdgeFit(
        away_mm=x,
        profile=profile,
        fitted=model(found.x),
        width_mm=TEN_TO_NINETY * sharp,
        width_sigma_mm=TEN_TO_NINETY * sigma,
        outside_grey=float(found.x[3]),
        wall_grey=float(found.x[2]),
        inside_grey=float(found.x[4]),
    )


@dataclass(frozen=True)
class Heights:
    """10-90 % widths at the upper, middle and lower third of the straight can in view, in slice order."""

    z_mm: tuple[float, float, float]
    width_mm: tuple[float, float, float]
    sigma_mm: tuple[float, float, float]

    @property
    def index(self) -> float:
        """By how much the less sharp border is less sharp than the middle, as a fraction."""
        return max(self.width_mm[0], self.width_mm[2]) / self.width_mm[1] - 1.0

    @property
    def index_sigma(self) -> float:
        worse = 0 if self.width_mm[0] >= self.width_mm[2] else 2
        relative = math.hypot(
            self.sigma_mm[worse] / self.width_mm[worse], self.sigma_mm[1] / self.width_mm[1]
        )
        return (1.0 + self.index) * relative


def by_height(band: EdgeBand) -> Heights | None:
    """Edge widths at three heights; ``None`` with fewer than three slices."""
    n = band.z_mm.size
    if n < 3:
        return None
    cuts = (slice(0, n // 3), slice(n // 3, n - n // 3), slice(n - n // 3, n))
    fits = [fit_edge(band, cut) for cut in cuts]
    if any(fit is None for fit in fits):
        return None
    z = [float(band.z_mm[cut].mean()) for cut in cuts]
    widths = [fit.width_mm for fit in fits if fit]
    sigmas = [fit.width_sigma_mm for fit in fits if fit]
    return Heights((z[0], z[1], z[2]), (widths[0], widths[1], widths[2]), (sigmas[0], sigmas[1], sigmas[2]))
