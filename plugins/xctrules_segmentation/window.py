"""The grey values around one end of the roll, sampled on half-planes through the axis."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xctrules.cylinder.frame import EndInView
from xctrules.cylinder.surfaces import CylinderCell

Floats = NDArray[np.float64]
Greys = NDArray[np.float32]

INWARD_MM = 1.6
"""How far below the rough cathode edge the electrodes are looked at: deeper than a negative overhang that
still lets a cell be wound."""

OUTWARD_MM = 3.2
"""How far above it: some five times a usual overhang; only tabs stand taller."""

SAMPLES_PER_VOXEL = 2
"""Radial samples: half a voxel keeps the interpolation's own blur out of what is measured."""


@dataclass(frozen=True)
class Window:
    """Grey values around one end, ordered outward: sample i lies ``height_mm[i]`` outward of the rough
    cathode edge."""

    grey: Greys  # (nh, nt, nr)
    height_mm: Floats
    theta_deg: Floats
    r_mm: Floats
    step_mm: float

    def rows(self, which: slice) -> Window:
        """The part between two heights."""
        return dataclasses.replace(self, grey=self.grey[which], height_mm=self.height_mm[which])

    def height_at(self, index: NDArray[Any]) -> Floats:
        """Heights at fractional indices."""
        return np.asarray(self.height_mm[0] + index * self.step_mm)

    def at(self, r_mm: Floats) -> Floats:
        """Grey at radii ``r_mm``, (..., nt), for every height: (nh, ..., nt), linear in r; NaN beyond the
        window."""
        dr = self.r_mm[1] - self.r_mm[0]
        position = (np.asarray(r_mm, dtype=np.float32) - np.float32(self.r_mm[0])) / np.float32(dr)
        nr = self.r_mm.size
        with np.errstate(invalid="ignore"):
            inside = (position >= 0) & (position <= nr - 1)
        position = np.where(inside, position, 0)
        low = np.minimum(position.astype(np.int32), nr - 2)
        fraction = position - low
        theta = np.broadcast_to(np.arange(self.theta_deg.size, dtype=np.int32), low.shape)
        flat = self.grey.reshape(self.grey.shape[0], -1)
        index = theta * nr + low
        value = flat[:, index] * (1 - fraction) + flat[:, index + 1] * fraction
        value[:, ~inside] = np.nan
        return np.asarray(value, dtype=np.float64)

    def around(self, centre_mm: Floats, shift_mm: Floats) -> Floats:
        """Grey at ``centre_mm`` (nt,) + ``shift_mm`` (ns,), for every height: (nh, nt, ns)."""
        return np.ascontiguousarray(np.moveaxis(self.at(centre_mm + shift_mm[:, None]), 1, 2))

    def along(self, path_mm: Floats) -> Greys:
        """Grey along paths of radius (nh, nt), one value for each height and angle; NaN beyond the window."""
        position = (path_mm - self.r_mm[0]) / (self.r_mm[1] - self.r_mm[0])
        with np.errstate(invalid="ignore"):
            inside = (position >= 0) & (position <= self.r_mm.size - 1)
        position = np.where(inside, position, 0)
        low = np.minimum(position.astype(np.intp), self.r_mm.size - 2)
        pair = np.take_along_axis(self.grey, low[..., None] + np.arange(2), axis=2)
        value = pair[..., 0] + (position - low) * (pair[..., 1] - pair[..., 0])
        return np.where(inside, value, np.nan).astype(np.float32)


def sample_window(cell: CylinderCell, end: EndInView, theta_deg: Floats) -> Window:
    """Read the grey values around one end of the roll on half-planes at ``theta_deg``."""
    frame = cell.frame
    assert frame.outer_radius_mm is not None
    dz = frame.voxel_mm[0] / frame.axis[2]
    limits = np.array([-INWARD_MM, OUTWARD_MM]) * end.outward + end.z_mm
    z = frame.z_grid_mm()
    z = z[(z >= limits.min()) & (z <= limits.max())]
    if end.outward < 0:
        z = z[::-1]
    dr = min(frame.voxel_mm[1:]) / SAMPLES_PER_VOXEL
    r = np.arange(0.0, frame.outer_radius_mm + dr, dr)
    grey = frame.cylinder(cell.scan, z, theta_deg, r)
    return Window(grey, end.outward * (z - end.z_mm), theta_deg, r, dz)
