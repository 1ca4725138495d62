"""How well noise and blur allow the place of an edge to be found: the Cramér-Rao bound.

Derived in ``docs/validation.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Optics:
    """Blur, noise and voxels of a scan, as far as they limit how well an edge can be located.

    Attributes
    ----------
    voxel_mm
        (z, y, x).
    blur_mm
        Standard deviation of the Gaussian point spread, the same along all axes.
    noise
        Standard deviation of the noise, in grey levels.
    correlation_px
        Sigma, in voxels, of the Gaussian that smoothed the noise.
    """

    voxel_mm: tuple[float, float, float]
    blur_mm: float
    noise: float
    correlation_px: float = 0.0

    def power_along(self, axis: int) -> float:
        """J along one axis, in 1/mm: mean over the band of the signal's power over the noise's spectrum.

        The signal is blurred by the point spread and by the voxel's own width. For white noise and a blur
        well above the voxel it is 1 / (2 sqrt(pi) blur).
        """
        d = self.voxel_mm[axis]
        k = np.linspace(-math.pi, math.pi, 2001)  # radians per voxel
        signal = np.exp(-((k * self.blur_mm / d) ** 2)) * np.sinc(k / (2 * math.pi)) ** 2
        return float(np.trapezoid(signal / self._spectrum(k), k) / (2 * math.pi * d))

    def _spectrum(self, k: Floats) -> Floats:
        """Noise's power along one axis relative to white noise of the same standard deviation."""
        if self.correlation_px <= 0:
            return np.ones_like(k)
        reach = max(1, math.ceil(4 * self.correlation_px))
        x = np.arange(-reach, reach + 1)
        kernel = np.exp(-0.5 * (x / self.correlation_px) ** 2)
        kernel /= kernel.sum()
        transfer = (kernel[None, :] * np.cos(k[:, None] * x)).sum(axis=1)
        return np.asarray(transfer**2 / (kernel**2).sum())

    @property
    def _at_rest(self) -> float:
        """The noise's relative power along an axis on which nothing changes."""
        return float(self._spectrum(np.zeros(1))[0])

    def face_bound_mm(self, step: float, area_mm2: float, axis: int) -> float:
        """Smallest standard deviation with which the place of a plane face can be found.

        A face of ``area_mm2``, at which the grey changes by ``step``, seen across ``axis``; the grey levels
        on both sides taken as known. See ``docs/validation.md`` for the derivation.
        """
        voxel = math.prod(self.voxel_mm)
        information = step**2 * area_mm2 * self.power_along(axis) / (self.noise**2 * voxel * self._at_rest**2)
        return 1 / math.sqrt(information)

    def _strip_power(self, axis: int, width_mm: float) -> float:
        """In mm: as :meth:`power_along`, for a strip of ``width_mm`` along the axis; its width if that is
        large and the noise white."""
        d = self.voxel_mm[axis]
        k = np.linspace(-math.pi, math.pi, 2001)
        strip = width_mm / d * np.sinc(k * width_mm / d / (2 * math.pi))
        signal = strip**2 * np.exp(-((k * self.blur_mm / d) ** 2)) * np.sinc(k / (2 * math.pi)) ** 2
        return float(np.trapezoid(signal / self._spectrum(k), k) / (2 * math.pi) * d)

    def patch_bound_mm(self, step: float, sides_mm: tuple[float, float]) -> float:
        """As :meth:`face_bound_mm` across z, for a small rectangle of which blur spills a part."""
        sides = self._strip_power(1, sides_mm[0]) * self._strip_power(2, sides_mm[1])
        information = step**2 * self.power_along(0) * sides / (self.noise**2 * math.prod(self.voxel_mm))
        return 1 / math.sqrt(information)

    def sheet_end_bound_mm(self, step: float, thickness_mm: float, length_mm: float) -> float:
        """The same along z for the end of a sheet thinner than the blur, ``length_mm`` long."""
        voxel = math.prod(self.voxel_mm)
        both = self.power_along(0) * self.power_along(2)
        information = (step * thickness_mm) ** 2 * length_mm * both / (self.noise**2 * voxel * self._at_rest)
        return 1 / math.sqrt(information)
