"""The cell's axis: a straight line through the centres of its outline in the slices."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xctrules.core.robust import robust_fit

Floats = NDArray[np.float64]

LEAST_CENTRES = 4
"""Centres that tell a direction: fewer than one more than a line has unknowns in each plane is no check."""

TILT_KNOWN_DEG = 1.0
"""Standard uncertainty of the axis's direction above which a piece of can is too short to tell it: the cell
is then taken as upright. Cells stand in a scanner's holder to about this much."""

CENTRE_FLOOR_MM = 1e-4
"""Least scale of the centres' residuals: far below what any scan shows, and not nothing for a drawn can."""

INDEPENDENT = 1 / 4
"""Share of the centres that counts: neighbouring slices' are not independent (bow, shared ring
artefacts)."""


@dataclass(frozen=True)
class AxisLine:
    """A straight line in space, not far from the volume's z axis.

    Model: ``centre = origin + slope * z``: four unknowns, at least four centres. With fewer it is the upright
    line through their median.

    Attributes
    ----------
    origin_mm
        (x, y) at z = 0.
    slope
        Change of (x, y) for each mm of z.
    residual_mm
        Root-mean-square distance of the centres from their line.
    tilt_sigma_deg
        Standard uncertainty of the tilt; infinite where it was not fitted.
    """

    origin_mm: tuple[float, float]
    slope: tuple[float, float] = (0.0, 0.0)
    residual_mm: float = 0.0
    tilt_sigma_deg: float = math.inf

    @classmethod
    def estimate(cls, z_mm: Floats, centres_mm: Floats) -> AxisLine:
        """Robust line (Tukey's biweight) through centres (n, 2) at heights (n,) of the volume.

        Where the direction's uncertainty is above :data:`TILT_KNOWN_DEG`, the line is upright.
        """
        if z_mm.size < LEAST_CENTRES:
            x, y = (float(c) for c in np.median(centres_mm, axis=0))
            return cls((x, y))
        middle = float(z_mm.mean())
        design = np.stack([np.ones_like(z_mm), z_mm - middle], axis=1)
        lines = [robust_fit(design, centres_mm[:, i], floor=CENTRE_FLOOR_MM)[0] for i in (0, 1)]
        at_middle, slope = np.stack(lines, axis=1)
        fitted = cls._through(at_middle, slope, middle)
        rms = float(np.sqrt(np.mean(fitted.residuals(z_mm, centres_mm) ** 2)))
        independent = max(z_mm.size * INDEPENDENT, 2.0)
        sigma = rms / math.sqrt(2) / (float(np.std(z_mm)) * math.sqrt(independent))
        sigma_deg = math.degrees(sigma)
        if sigma_deg > TILT_KNOWN_DEG:
            slope = np.zeros(2)
        line = cls._through(at_middle, slope, middle)
        return cls(line.origin_mm, line.slope, rms, sigma_deg)

    @classmethod
    def _through(cls, at_middle: Floats, slope: Floats, middle: float) -> AxisLine:
        origin = at_middle - slope * middle
        return cls((float(origin[0]), float(origin[1])), (float(slope[0]), float(slope[1])))

    @property
    def direction(self) -> tuple[float, float, float]:
        """Unit vector (x, y, z), z positive."""
        slope = np.asarray(self.slope)
        length = math.sqrt(1 + float(slope @ slope))
        return self.slope[0] / length, self.slope[1] / length, 1 / length

    def predict(self, z_mm: ArrayLike) -> Floats:
        """Centre (..., 2) at heights (...) of the volume."""
        z = np.asarray(z_mm, dtype=np.float64)[..., None]
        return np.asarray(np.asarray(self.origin_mm) + np.asarray(self.slope) * z)

    def residuals(self, z_mm: Floats, centres_mm: Floats) -> Floats:
        """Distance (n,) of centres (n, 2) from the line, in the slices' plane."""
        away = centres_mm - self.predict(z_mm)
        return np.asarray(np.hypot(away[:, 0], away[:, 1]))
