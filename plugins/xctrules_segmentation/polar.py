"""A roll unrolled: greys over angle and radius at one height, and at several."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Image = NDArray[np.float32]

LAST_SAMPLE = 1.001
"""Samples before the end at which the radius is held, so that there is always one beyond it to interpolate
with."""


@dataclass(frozen=True)
class Polar:
    """Greys at one height.

    Attributes
    ----------
    grey : (nt, nr) float32
        At equally spaced angles over the whole turn.
    r_mm : (nr,)
        Equally spaced from 0.
    limit_mm : (nt,)
        Radius beyond which there is no roll: the can's inner surface, or the end of what was sampled.
    """

    grey: Image
    r_mm: Floats
    limit_mm: Floats

    @property
    def step_mm(self) -> np.float64:
        """Distance between radii. As numpy's own number it makes single precision double."""
        return np.float64(self.r_mm[1] - self.r_mm[0])

    def showing(self, grey: Image) -> Polar:
        """The same place with other greys."""
        return dataclasses.replace(self, grey=grey)

    def between(self, low: Floats | float, high: Floats | float) -> NDArray[np.bool_]:
        """Which radii lie between two, (nr,), or (nt, nr) where these are given (nt, 1)."""
        return np.asarray((self.r_mm > low) & (self.r_mm < high))

    def at(self, radius_mm: Floats) -> Image:
        """Grey at radii (..., nt, n), linear in r: (..., nt, n); ends are held."""
        position = np.clip(radius_mm / self.step_mm, 0.0, self.r_mm.size - LAST_SAMPLE)
        index = position.astype(np.intp)
        fraction = (position - index).astype(np.float32)
        rows = np.arange(self.grey.shape[0])[:, None]
        return np.asarray(self.grey[rows, index] * (1 - fraction) + self.grey[rows, index + 1] * fraction)


@dataclass(frozen=True)
class Unrolled:
    """Greys (nz, nt, nr) of the roll in bands of height, the can's grey clipped down to that of the roll.

    Attributes
    ----------
    z_mm, theta_deg, r_mm : (nz,), (nt,), (nr,)
    grey
        May be sharpened.
    raw
        The same, as scanned.
    limit_mm : (nt,)
        As in :class:`Polar`.
    """

    z_mm: Floats
    theta_deg: Floats
    r_mm: Floats
    grey: Image
    raw: Image
    limit_mm: Floats

    def polar(self, grey: Image) -> Polar:
        """One height's greys, or a mean over some, with the radii and limit of all."""
        return Polar(grey, self.r_mm, self.limit_mm)

    def mirrored(self) -> Unrolled:
        """As seen from the other end, where the angle runs the other way."""
        return dataclasses.replace(
            self, grey=self.grey[:, ::-1], raw=self.raw[:, ::-1], limit_mm=self.limit_mm[::-1]
        )
