"""CellFrame: the cell's own axis and cylindrical coordinates, and sampling in them.

Everything is measured in cylindrical coordinates about the cell's axis, so that tilt and decentring cost no
accuracy:

* ``z_mm``, height along the axis, 0 where the axis meets the first slice, growing towards the last;
* ``theta_deg``, angle in the plane across the axis, 0 at the volume's +x, growing towards its +y;
* ``r_mm``, distance from the axis.

How the axis is found stands in :mod:`xctrules.cylinder.finding`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from xctrules.core.slices import Scan

Floats = NDArray[np.float64]
Greys = NDArray[np.float32]
End = Literal["top", "bottom"]

GEOMETRY = "cylindrical"
"""The word for this geometry in a cell-format spec, and in what a plugin is for."""

ROUNDING = 1e-9
"""Part of a slice by which a height may miss it through rounding, and is on it all the same."""

ON_SLICE = 1e-6
"""Part of a slice below which a point is taken to lie on it: the neighbour would count for less than a grey
level in a million."""

BORDER = 0.5
"""Voxels beyond the middle of the outermost ones that still belong to them."""


class NamedBy(StrEnum):
    """What the name of an end rests on."""

    SHAPE = "the can's shape"
    SIDECAR = "the acquisition sidecar"
    PLACE = "its place in the scan, for want of anything better"


@dataclass(frozen=True)
class EndInView:
    """An end of the electrode roll that the scan shows.

    ``z_mm`` is the rough height of the cathode's edge. ``outward`` is +1 where
    leaving the cell there means growing z, and -1 otherwise.
    """

    name: End
    outward: int
    z_mm: float
    named_by: NamedBy


@dataclass(frozen=True)
class CellFrame:
    """The cell's axis in the volume, and what was seen of the cell on the way.

    Attributes
    ----------
    origin_mm
        (x, y) of the axis in the plane of the first slice, in mm from the centre of the first voxel.
    axis
        Unit vector (x, y, z) along the axis, z component positive.
    voxel_mm
        (z, y, x).
    shape
        Of the volume, (nz, ny, nx).
    outer_radius_mm
        Radius of the can's straight part; ``None`` for a scan that shows no can (a mask of the electrode).
    straight_mm, roll_mm
        First and last height of the straight part of the can, and of the roll with its cathode; ``None`` if
        not seen.
    seen_mm
        First and last height at which the cell's outline is seen; ``None`` without a can.
    ends
        Ends of the roll in view.
    tilt_sigma_deg, axis_residual_mm
        Standard uncertainty of the tilt; root-mean-square distance of the slice centres from the axis.
    outline_missing
        Share of the outline's directions in which the can runs out of the image.
    can_grey, roll_pitch_mm
        Grey level of the wall; rough distance between turns; 0 where not seen.
    """

    origin_mm: tuple[float, float]
    axis: tuple[float, float, float]
    voxel_mm: tuple[float, float, float]
    shape: tuple[int, int, int]
    outer_radius_mm: float | None
    straight_mm: tuple[float, float] | None
    roll_mm: tuple[float, float] | None
    seen_mm: tuple[float, float] | None = None
    ends: tuple[EndInView, ...] = ()
    tilt_sigma_deg: float = 0.0
    axis_residual_mm: float = 0.0
    outline_missing: float = 0.0
    can_grey: float = 0.0
    roll_pitch_mm: float = 0.0
    warnings: tuple[str, ...] = ()

    @property
    def tilt_deg(self) -> float:
        """Angle between the cell's axis and the volume's z axis."""
        return math.degrees(math.atan2(math.hypot(self.axis[0], self.axis[1]), self.axis[2]))

    def z_grid_mm(self) -> Floats:
        """Heights at which the axis meets the slices, (nz,)."""
        return np.asarray(np.arange(self.shape[0]) * (self.voxel_mm[0] / self.axis[2]), dtype=np.float64)

    def directions(self, theta_deg: ArrayLike) -> Floats:
        """Unit vectors (..., 3) as (x, y, z) that point from the axis outward at ``theta_deg``."""
        theta = np.deg2rad(np.asarray(theta_deg, dtype=float))[..., None]
        axis = np.asarray(self.axis)
        across_x = np.array([1.0, 0.0, 0.0]) - axis[0] * axis
        across_x /= np.linalg.norm(across_x)
        across_y = np.cross(axis, across_x)
        return np.asarray(np.cos(theta) * across_x + np.sin(theta) * across_y)

    def to_voxel(
        self, z_mm: ArrayLike, theta_deg: ArrayLike, r_mm: ArrayLike
    ) -> tuple[Floats, Floats, Floats]:
        """Voxel indices (z, y, x) of points in the cell's coordinates; the arguments broadcast."""
        z, theta, r = np.broadcast_arrays(*(np.asarray(a, dtype=float) for a in (z_mm, theta_deg, r_mm)))
        point = z[..., None] * np.asarray(self.axis) + r[..., None] * self.directions(theta)
        dz, dy, dx = self.voxel_mm
        return (
            point[..., 2] / dz,
            (self.origin_mm[1] + point[..., 1]) / dy,
            (self.origin_mm[0] + point[..., 0]) / dx,
        )

    def to_cell(self, z: ArrayLike, y: ArrayLike, x: ArrayLike) -> tuple[Floats, Floats, Floats]:
        """Height in mm, angle in degrees (0 to 360) and radius in mm of voxel indices (z, y, x)."""
        dz, dy, dx = self.voxel_mm
        k, j, i = np.broadcast_arrays(*(np.asarray(a, dtype=float) for a in (z, y, x)))
        point = np.stack([i * dx - self.origin_mm[0], j * dy - self.origin_mm[1], k * dz], axis=-1)
        height = point @ np.asarray(self.axis)
        across = point - height[..., None] * np.asarray(self.axis)
        east, north = (across @ self.directions(angle) for angle in (0.0, 90.0))
        theta = np.rad2deg(np.arctan2(north, east)) % 360.0
        return height, theta, np.hypot(east, north)

    def cylinder(self, scan: Scan, z_mm: ArrayLike, theta_deg: ArrayLike, r_mm: ArrayLike) -> Greys:
        """Grey values on the grid ``z_mm`` x ``theta_deg`` x ``r_mm``.

        Each slice is resampled once, by cubic convolution, where the half-planes cut it; between slices the
        value is linear along the ray of constant (theta, r), which for an upright cell is the slices' own
        direction.

        Parameters
        ----------
        z_mm, theta_deg, r_mm : (nz,), (nt,), (nr,)
            ``r_mm`` may also be (nt, nr): other radii for each angle.

        Returns
        -------
        (nz, nt, nr) float32
            NaN outside the volume.
        """
        z = np.atleast_1d(np.asarray(z_mm, dtype=float))
        theta = np.atleast_1d(np.asarray(theta_deg, dtype=float))
        r = np.atleast_1d(np.asarray(r_mm, dtype=float))
        slices = _CutSlices(scan, _Rays.of(self, theta, np.broadcast_to(r, (theta.size, r.shape[-1]))))
        position = z * self.axis[2] / self.voxel_mm[0]  # slice index at which the axis has that height
        out = np.full((z.size, theta.size, r.shape[-1]), np.nan, dtype=np.float32)
        for i in np.argsort(position, kind="stable"):  # upwards, so that each slice is needed but once
            slices.fill(out[i], position[i])
        return out


@dataclass(frozen=True)
class _Rays:
    """Rays of constant angle and radius, parallel to the cell's axis, as they pass through the slices.

    ``x0_px`` and ``y0_px`` (nt, nr) are where they meet slice 0, ``drift_mm`` how far in (x, y) they move for
    each mm of z, and ``lift`` (nt, nr) by how many slices a point lies above the axis's own at that height.
    """

    x0_px: Floats
    y0_px: Floats
    drift_mm: tuple[float, float]
    lift: Floats
    voxel_mm: tuple[float, float, float]

    @classmethod
    def of(cls, frame: CellFrame, theta_deg: Floats, r_mm: Floats) -> _Rays:
        """At angles (nt,) and radii (nt, nr)."""
        dz, dy, dx = frame.voxel_mm
        ax, ay, az = frame.axis
        drift_x, drift_y = ax / az, ay / az
        ray = frame.directions(theta_deg)[:, None, :] * r_mm[:, :, None]
        # A ray of constant (theta, r) meets slice k at height (k * dz - ray_z) / az.
        x0 = (frame.origin_mm[0] + ray[..., 0] - ray[..., 2] * drift_x) / dx
        y0 = (frame.origin_mm[1] + ray[..., 1] - ray[..., 2] * drift_y) / dy
        lift = ray[..., 2] / dz
        if np.ptp(lift) < ON_SLICE:
            lift = np.zeros_like(lift)
        return cls(x0, y0, (drift_x, drift_y), lift, frame.voxel_mm)

    def in_slice(self, k: int) -> tuple[Greys, Greys]:
        """Column and row (nt, nr) at which they meet slice ``k``."""
        dz, dy, dx = self.voxel_mm
        x = self.x0_px + k * dz * self.drift_mm[0] / dx
        y = self.y0_px + k * dz * self.drift_mm[1] / dy
        return x.astype(np.float32), y.astype(np.float32)


class _CutSlices:
    """A scan's slices resampled where rays meet them, each once and no longer than it is needed."""

    def __init__(self, scan: Scan, rays: _Rays) -> None:
        self._scan, self._rays = scan, rays
        self._lowest = float(rays.lift.min())
        self._cut: dict[int, Greys] = {}

    def fill(self, out: Greys, position: float) -> None:
        """Greys (nt, nr) of one height, linear between slices; what lies outside the volume stays as it is.

        ``position`` is the slice index at which the axis has that height; it may only grow from one call to
        the next.
        """
        self._forget_below(math.floor(position + self._lowest + ROUNDING))
        index = position + self._rays.lift
        base = np.floor(index + ROUNDING).astype(np.intp)
        for k in range(int(base.min()), int(base.max()) + 1):
            here = base == k
            where = ... if here.all() else here
            fraction = index[where] - k
            on_slice = bool(np.all(fraction < ON_SLICE))
            if k < 0 or k + (not on_slice) >= len(self._scan.slices):
                self._fill_border(out, index, here, k)
                continue
            grey = self._at(k)[where]
            if not on_slice:
                grey = grey + fraction.astype(np.float32) * (self._at(k + 1)[where] - grey)
            out[where] = grey

    def _fill_border(self, out: Greys, index: Floats, here: NDArray[np.bool_], k: int) -> None:
        """Half a voxel beyond the outer slices still belongs to them."""
        last = len(self._scan.slices) - 1
        edge = here & (np.abs(np.clip(index, 0, last) - index) <= BORDER)
        if edge.any():
            out[edge] = self._at(0 if k < 0 else last)[edge]

    def _at(self, k: int) -> Greys:
        if k not in self._cut:
            self._cut[k] = _resampled(self._scan.slices[k], *self._rays.in_slice(k))
        return self._cut[k]

    def _forget_below(self, k: int) -> None:
        for passed in [j for j in self._cut if j < k]:
            del self._cut[passed]


def _resampled(image: NDArray[np.generic], map_x: Greys, map_y: Greys) -> Greys:
    """Cubic convolution of one slice at (map_x, map_y); NaN outside it."""
    ny, nx = image.shape
    grey = image if image.dtype == np.float32 else image.astype(np.float32)
    value = cv2.remap(
        np.ascontiguousarray(grey), map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    outside = (map_x < -BORDER) | (map_x > nx - 1 + BORDER) | (map_y < -BORDER) | (map_y > ny - 1 + BORDER)
    if outside.any():
        value[outside] = np.nan
    return np.asarray(value, dtype=np.float32)
