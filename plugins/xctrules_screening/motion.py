"""How far one slice is moved, turned or scaled against the next, and how much brighter it is.

Model: the next slice shows the same cross-section, shifted by (x, y), turned about the cell's axis, enlarged
from it, and with greys multiplied by a gain and raised by an offset. For small motions the difference of two
slices is linear in these six, with the image's own gradients as coefficients (Lucas and Kanade 1981), and
least squares finds them. Each of several rings of the cross-section has its own fit: a motion of the slice is
seen by all rings alike, while layers that lean, end or begin differ from ring to ring.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from xctrules.cylinder.surfaces import Floats
from xctrules_screening.sampling import Greys

RINGS = 4
"""Rings of the cross-section that are fitted by themselves; the outermost holds the can's wall."""

UNKNOWNS = ("x", "y", "turn", "scale", "gain", "offset")

FACE_SAMPLES = 6
"""Outermost samples of the radius, which hold the can's outer face and nothing of the roll: three voxels on
either side of it."""

ALIKE = 4.0
"""Samples that stand for one independent residual: neighbouring radii share their blur and noise."""

RIDGE = 1e-6
"""Share of its own weight by which an unknown that an image says nothing of is held at zero."""


@dataclass(frozen=True)
class Grid:
    """Places in a slice: angles (nt,), radii (nr,), and how many angles make an arc."""

    theta_deg: Floats
    r_mm: Floats
    each: int

    @property
    def arc_theta(self) -> Floats:
        """Middle of each arc in radians."""
        return np.asarray(np.deg2rad(self.theta_deg.reshape(-1, self.each).mean(axis=1)), dtype=np.float64)

    def by_arc(self, grey: Greys) -> Greys:
        """Means (narcs, nr) of greys (nt, nr) over the arcs."""
        if self.each == 1:
            return grey
        total = grey[:: self.each].copy()
        for i in range(1, self.each):
            total += grey[i :: self.each]
        total /= np.float32(self.each)
        return total


@dataclass(frozen=True)
class Motions:
    """Of each pair of slices and ring: values and standard uncertainties, (n, RINGS, 6) each.

    In the order of :data:`UNKNOWNS`: x and y in mm, turn in degrees, scale and gain relative. ``face`` and
    ``face_sigma`` (n, 6) are those of the can's outer face by itself, of which the turn says nothing.
    """

    value: Floats
    sigma: Floats
    face: Floats
    face_sigma: Floats

    @classmethod
    def of(cls, pairs: Sequence[tuple[Floats, Floats]]) -> Motions:
        empty = np.zeros((0, RINGS, len(UNKNOWNS)))
        if not pairs:
            return cls(empty, empty, empty[:, 0], empty[:, 0])
        value, sigma = np.array([v for v, _ in pairs]), np.array([s for _, s in pairs])
        return cls(value[:, :RINGS], sigma[:, :RINGS], value[:, RINGS], sigma[:, RINGS])


def motion_between(one: Greys, other: Greys, grid: Grid) -> tuple[Floats, Floats]:
    """Motion from one slice's arcs (narcs, nr) to the other's, by ring: values and their uncertainties.

    (RINGS + 1, 6) each; the last row is of the can's outer face by itself.
    """
    theta = grid.arc_theta[:, None]
    cos, sin = np.cos(theta).astype(np.float32), np.sin(theta).astype(np.float32)
    r = grid.r_mm[None, :].astype(np.float32)
    middle = 0.5 * (one + other)
    outward = np.gradient(middle, grid.r_mm[1] - grid.r_mm[0], axis=1).astype(np.float32)
    step = np.float32(2.0 * (theta[1, 0] - theta[0, 0]))
    along = (np.roll(middle, -1, axis=0) - np.roll(middle, 1, axis=0)) / step
    rows = np.stack(
        [
            along / r * sin - outward * cos,
            -along / r * cos - outward * sin,
            -along,
            -outward * r,
            middle,
            np.ones_like(middle),
        ]
    )
    change = other - one
    edges = np.linspace(0, grid.r_mm.size, RINGS + 1).astype(int)
    parts = [slice(low, high) for low, high in pairwise(edges)]
    value = np.zeros((RINGS + 1, len(UNKNOWNS)))
    sigma = np.full_like(value, np.inf)
    for ring, within in enumerate([*parts, slice(-FACE_SAMPLES, None)]):
        value[ring], sigma[ring] = _solve(
            rows[:, :, within].reshape(len(UNKNOWNS), -1), np.ascontiguousarray(change[:, within]).ravel()
        )
    value[:, 2] = np.rad2deg(value[:, 2])
    sigma[:, 2] = np.rad2deg(sigma[:, 2])
    return value, sigma


def _solve(rows: Greys, change: Greys) -> tuple[Floats, Floats]:
    """Least squares of ``change`` (n,) on ``rows`` (6, n); infinitely uncertain where the image is blank."""
    normal = np.asarray(rows @ rows.T, dtype=np.float64)
    weight = np.diag(normal).copy()
    if not (weight > 0).all():
        return np.zeros(len(UNKNOWNS)), np.full(len(UNKNOWNS), np.inf)
    inverse = np.linalg.inv(normal + RIDGE * np.diag(weight))
    found = np.asarray(inverse @ np.asarray(rows @ change, dtype=np.float64))
    left = change - found.astype(np.float32) @ rows
    variance = ALIKE * float(np.mean(left * left))
    spread = variance * np.diag(inverse)
    # Rounding leaves nothing of an unknown that hardly differs from another.
    return found, np.sqrt(np.where(spread > 0, spread, np.inf))
