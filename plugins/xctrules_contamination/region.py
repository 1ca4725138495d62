"""Where foreign bodies are looked for: inside the can, from the roll to the tips of its free foils.

Beyond the tips lie parts of the cell as bright as any foreign body: tabs, insulators, bead, cap, bottom. They
are left out, and so is what lies so near the can that its blur reaches it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.cylinder.surfaces import CanSurface, CylinderCell, Floats

Mask = NDArray[np.bool_]

CLEAR_OF_WALL = 3.0
"""Distance from the can's inner face, in voxels or edge spreads, whichever are longer, from which its grey no
longer counts: beyond three standard deviations of a blurred edge 0.1 % of its step is left."""

KNOWN_SHARE = 0.9
"""Share of the angles at which a height must show the can's inner face to bound what lies inside it."""

NEAR_MM = 0.3
"""How far along the can its inner face is taken to go on unchanged: it is straight beside the roll, and
dents are wider."""


@dataclass(frozen=True)
class Region:
    """Where is looked.

    Attributes
    ----------
    low_mm, high_mm
        Heights along the axis.
    slices
        Indices of the slices that have a part in it, consecutive but for those without a known inner face.
    unbounded
        Number of slices left out since the can's inner face is not known there.
    """

    cell: CylinderCell
    low_mm: float
    high_mm: float
    slices: tuple[int, ...]
    unbounded: int
    plane: NDArray[np.float32]

    @property
    def clear_mm(self) -> float:
        """Distance from the can's inner face from which on is looked."""
        return _clear_mm(self.cell)

    def heights(self, k: int) -> NDArray[np.float32]:
        """Height along the axis, mm, of the pixels (ny, nx) of slice ``k``."""
        frame = self.cell.frame
        return np.asarray(self.plane + np.float32(k * frame.voxel_mm[0] * frame.axis[2]))

    def inside(self, k: int) -> Mask:
        """Pixels (ny, nx) of slice ``k`` that lie inside the can, clear of it, at whatever height."""
        inside = np.zeros(self.plane.shape, dtype=np.uint8)
        outline = _outline(self.cell, k)
        if outline is not None:
            cv2.fillPoly(inside, [np.round(outline).astype(np.int32)], 1)
        return np.asarray(inside > 0)

    def mask(self, k: int) -> Mask:
        """Pixels (ny, nx) of slice ``k`` that are looked at."""
        height = self.heights(k)
        return np.asarray(self.inside(k) & (height >= self.low_mm) & (height <= self.high_mm))


def region_of(cell: CylinderCell) -> Region:
    """The region of a cell.

    Raises
    ------
    NotMeasurable
        Without a can, a roll, or a height that shows both.
    """
    cell.surfaces.need_can()
    if cell.frame.roll_mm is None:
        raise NotMeasurable("no roll was found to look for foreign bodies in")
    low, high = _heights(cell, cell.frame.roll_mm)
    plane = _height_plane(cell)
    step = cell.frame.voxel_mm[0] * cell.frame.axis[2]
    first = max(0, math.ceil((low - float(plane.max())) / step))
    last = min(cell.frame.shape[0] - 1, math.floor((high - float(plane.min())) / step))
    slices = range(first, last + 1)
    bounded = tuple(k for k in slices if _outline(cell, k) is not None)
    if not bounded:
        raise NotMeasurable("the can's inner face is nowhere known beside the roll")
    return Region(cell, low, high, bounded, len(slices) - len(bounded), plane)


def _heights(cell: CylinderCell, roll_mm: tuple[float, float]) -> tuple[float, float]:
    """From the roll to the free foils' tips, half of which reach as far, at the ends that were segmented."""
    low, high = roll_mm
    for edges in cell.surfaces.ends.values():
        if not np.isfinite(edges.anode_z_mm).any():
            continue
        tip = float(np.nanmedian(edges.anode_z_mm))
        low, high = (low, max(high, tip)) if edges.outward > 0 else (min(low, tip), high)
    return low, high


def _height_plane(cell: CylinderCell) -> NDArray[np.float32]:
    """Height along the axis, mm, of the first slice's pixels: a plane."""
    ny, nx = cell.frame.shape[1:]
    height = cell.frame.to_cell(0.0, np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0]))[0]
    along_x, along_y = height[1] - height[0], height[2] - height[0]
    plane = height[0] + along_y * np.arange(ny)[:, None] + along_x * np.arange(nx)[None, :]
    return np.asarray(plane, dtype=np.float32)


def _outline(cell: CylinderCell, k: int) -> Floats | None:
    """Points (n, 2) as (x, y), in voxels, of the outline inside which slice ``k`` is looked at."""
    can = cell.surfaces.need_can()
    z = float(cell.frame.z_grid_mm()[k])
    row = _inner_face(can, z)
    if row is None:
        return None
    _, y, x = cell.frame.to_voxel(z, can.theta_deg, row - _clear_mm(cell))
    return np.stack([x, y], axis=1)


def _clear_mm(cell: CylinderCell) -> float:
    return CLEAR_OF_WALL * max(cell.surfaces.need_can().blur_mm, *cell.frame.voxel_mm[1:])


def _inner_face(can: CanSurface, z_mm: float) -> Floats | None:
    """Radius (nt,) of the inner face at the nearest height that shows it, across gaps of the angle."""
    known = np.isfinite(can.inner_mm).mean(axis=1) >= KNOWN_SHARE
    away = np.where(known, np.abs(can.z_mm - z_mm), np.inf)
    nearest = int(np.argmin(away))
    if not away[nearest] <= NEAR_MM:
        return None
    row = can.inner_mm[nearest]
    found = np.isfinite(row)
    return np.asarray(np.interp(can.theta_deg, can.theta_deg[found], row[found], period=360.0))
