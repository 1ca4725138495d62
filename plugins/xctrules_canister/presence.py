"""Is there a wall everywhere? The can over its whole height in view, place by place.

A place has wall where its ray, inward from outside, meets metal within reach of where the can's outline
runs at that height, and as bright as the can over the thickness of its wall: behind an opening lie
electrodes, which are bright in places but not all through. What has none is an opening: a hole, a crack, a
side left open. Cracks are narrower than the angles at which the can's form is measured lie apart, so the wall
is looked at from voxel to voxel here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.core.ledger import Place
from xctrules.core.measurement import Measurement
from xctrules.cylinder.surfaces import CanSurface, CylinderCell, Floats
from xctrules_canister.budget import openings_too_small_to_see, where_the_openings_rim_lies
from xctrules_canister.course import Course
from xctrules_canister.rays import INWARD_MM, OUTWARD_MM, Rays

OPENING = "canister.opening.largest"

LEAST_VOXELS = 9
"""Smallest opening, in voxels of the surface: three each way, or a slit of two over five. Below that, blur
closes a hole that is there and noise opens one that is not."""

MARGIN_PX = 2.0
"""Voxels in and out of the outline within which the wall is looked for from voxel to voxel: beyond them, as
in a steep dent, the coarser look must do."""

WORN = 0.8
"""Share of the usual thickness below which a wall is worn: it is darker over that thickness, and there all
the same."""

BLOCK = 8
"""Heights with one outline for that look."""


@dataclass(frozen=True)
class WallPresence:
    """Where the can has a wall.

    Attributes
    ----------
    z_mm : (nz,)
        Heights at which an outline was found.
    theta_deg : (nt,)
        From voxel to voxel.
    seen : (nz, nt) bool
        Whether the image shows the place: a tilted cell leaves it at its first and last height.
    there : (nz, nt) bool
        Whether there is a wall.
    place_mm2 : (nz,)
        Area of the surface that one entry stands for.
    """

    z_mm: Floats
    theta_deg: Floats
    seen: NDArray[np.bool_]
    there: NDArray[np.bool_]
    place_mm2: Floats

    @property
    def area_mm2(self) -> float:
        """Area of the can in view."""
        return float((self.place_mm2[:, None] * self.seen).sum())

    @property
    def smallest_mm2(self) -> float:
        """Area below which something without wall is blur or noise."""
        return LEAST_VOXELS * float(np.median(self.place_mm2)) if self.place_mm2.size else 0.0

    def walled(self, z_mm: Floats, theta_deg: Floats) -> NDArray[np.bool_]:
        """Whether the image shows a wall at heights (n,) and angles (m,), (n, m)."""
        row = np.abs(self.z_mm[None, :] - z_mm[:, None]).argmin(axis=1)
        column = np.rint(theta_deg * (self.theta_deg.size / 360.0)).astype(np.intp) % self.theta_deg.size
        return np.asarray((self.seen & self.there)[row][:, column])

    def openings(self) -> list[Place]:
        """Connected places without wall, the largest first."""
        found = [
            place(self.z_mm, self.theta_deg, self.place_mm2, rows, columns, "the can has no wall")
            for rows, columns in patches(self.seen & ~self.there)
        ]
        large = [one for one in found if one.extent >= self.smallest_mm2]
        return sorted(large, key=lambda one: -one.extent)


def wall_presence(cell: CylinderCell, can: CanSurface, rays: Rays, course: Course) -> WallPresence:
    """Look for the wall all over the can in view."""
    outline = rays.radius_mm[:, None]
    with np.errstate(invalid="ignore"):
        near = (rays.outer_mm > outline - INWARD_MM) & (rays.outer_mm < outline + OUTWARD_MM)
        bright = rays.grey > _solid_level(rays, course.plain)
    thin = near & _worn(can, rays)
    solid = near & (bright | thin)
    found = np.isfinite(rays.outer_mm)
    # A wall that runs across is met at the neighbouring height, where blur has spread it out at its own.
    beside = found.copy()
    beside[1:] |= found[:-1]
    beside[:-1] |= found[1:]
    there = np.where(course.level[:, None], solid, beside)
    voxel = max(cell.frame.voxel_mm[1:])
    count = max(rays.theta_deg.size, math.ceil(2 * math.pi * course.straight_mm / voxel))
    theta: Floats = np.arange(count, dtype=np.float64) * (360.0 / count)
    nearest = np.rint(theta * (rays.theta_deg.size / 360.0)).astype(np.intp) % rays.theta_deg.size
    there, seen = there[:, nearest], rays.seen[:, nearest]
    there &= ~(_gone_between(cell, can, rays, course, theta) & ~thin[:, nearest])
    area = np.asarray(rays.step_mm * math.radians(360.0 / count) * rays.radius_mm)
    return WallPresence(rays.z_mm, theta, seen, there, area)


def _worn(can: CanSurface, rays: Rays) -> NDArray[np.bool_]:
    """Where both faces of a wall were fitted that is much thinner than usual, (nz, nt) of the rays."""
    from scipy.ndimage import binary_dilation, binary_opening

    row = np.abs(can.z_mm[None, :] - rays.z_mm[:, None]).argmin(axis=1)
    apart = float(np.median(np.diff(can.z_mm))) if can.z_mm.size > 1 else rays.step_mm
    same = np.abs(can.z_mm[row] - rays.z_mm) <= apart / 2 + rays.step_mm / 2
    thickness = (can.outer_mm - can.inner_mm)[row]
    with np.errstate(invalid="ignore"):
        usual = float(np.nanmedian((can.outer_mm - can.inner_mm)[can.straight]))
        worn = (thickness < WORN * usual) & same[:, None]
    # What is worn over less than three places is the rim of a crack. At its border a worn wall is neither:
    # blur makes it thicker than it is and darker than a sound one.
    around = np.ones((3, 3), dtype=bool)
    wide = np.pad(worn, ((0, 0), (3, 3)), mode="wrap")
    return np.asarray(binary_dilation(binary_opening(wide, around), around)[:, 3:-3])


def _gone_between(
    cell: CylinderCell, can: CanSurface, rays: Rays, course: Course, theta: Floats
) -> NDArray[np.bool_]:
    """Where no wall shows from voxel to voxel (nz, nt), at heights at which the outline hardly leans."""
    voxel = max(cell.frame.voxel_mm[1:])
    with np.errstate(invalid="ignore"):
        wall = float(np.nanmedian((can.outer_mm - can.inner_mm)[can.straight]))
    deep, margin = max(1, round(wall / voxel)), MARGIN_PX * voxel
    depth = np.arange(-margin, wall + margin + voxel / 2, voxel)
    rows = np.flatnonzero(course.level)
    mean = np.full((rays.z_mm.size, theta.size), np.nan, dtype=np.float32)
    for block in np.array_split(rows, max(1, math.ceil(rows.size / BLOCK))):
        outline = _outline_of(rays.outer_mm[block])
        fine = np.interp(theta, rays.theta_deg, outline, period=360.0)
        grey = cell.frame.cylinder(cell.scan, rays.z_mm[block], theta, fine[:, None] - depth)
        total = np.cumsum(np.nan_to_num(grey), axis=-1)
        within = np.abs(rays.outer_mm[block] - outline).max(axis=0) <= margin
        known = np.interp(theta, rays.theta_deg, within.astype(float), period=360.0) > 1 - 1e-9
        shown = (total[..., deep:] - total[..., :-deep]).max(axis=-1) / deep
        mean[block] = np.where(known, shown, np.nan)
    if not np.isfinite(mean).any():
        return np.zeros(mean.shape, dtype=bool)
    level = 0.5 * (float(np.nanmedian(mean)) + float(np.nanmedian(rays.behind[rows])))
    return np.asarray(mean < level)


def _outline_of(outer: Floats) -> Floats:
    """Median radius (nt,) of some heights (nz, nt); across angles without any, their neighbours'."""
    with np.errstate(invalid="ignore"):
        outline = np.full(outer.shape[1], np.nan)
        known = np.isfinite(outer).any(axis=0)
        outline[known] = np.nanmedian(outer[:, known], axis=0)
    index = np.arange(outline.size)
    outline[~known] = np.interp(index[~known], index[known], outline[known], period=outline.size)
    return outline


def _solid_level(rays: Rays, rows: NDArray[np.bool_]) -> float:
    """Mean grey over a wall's thickness half way between wall and what lies behind an opening."""
    if not rows.any():
        return -math.inf
    return 0.5 * (float(np.nanmedian(rays.grey[rows])) + float(np.nanmedian(rays.behind[rows])))


def largest_opening(presence: WallPresence | None, voxel_mm: float) -> Measurement:
    """Area of the largest opening, 0 where there is none above the smallest that can be seen."""
    if presence is None:
        return Measurement.absent(OPENING, "mm2", "the scan shows no greys of the wall")
    openings = presence.openings()
    area = openings[0].extent if openings else 0.0
    line = (
        where_the_openings_rim_lies(area, voxel_mm)
        if area
        else openings_too_small_to_see(presence.smallest_mm2)
    )
    return Measurement(
        OPENING, "mm2", value=area, budget=(line,), n=presence.there.size,
        worst_at=openings[0].at if openings else None,
        reason=f"smaller ones than {presence.smallest_mm2:.2g} mm2 are not told from blur and noise",
    )  # fmt: skip


def place(
    z_mm: Floats, theta_deg: Floats, area_mm2: Floats, rows: NDArray[np.int64], columns: NDArray[np.int64],
    reason: str,
) -> Place:  # fmt: skip
    """A patch of a map (nz, nt) as a place; ``area_mm2`` (nz,) is that of one entry."""
    turned = np.deg2rad(theta_deg[columns])
    middle = math.degrees(math.atan2(np.sin(turned).mean(), np.cos(turned).mean())) % 360.0
    return Place(float(area_mm2[rows].sum()), {"z_mm": float(z_mm[rows].mean()), "theta_deg": middle}, reason)


def patches(mask: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows and columns of each connected patch of True; the last column is the first one's neighbour."""
    from scipy.ndimage import find_objects, label

    labels, count = label(mask)
    for first, last in zip(labels[:, 0], labels[:, -1], strict=True):  # join across the seam
        if first and last and first != last:
            labels[labels == last] = first
    for value, box in enumerate(find_objects(labels, count), start=1):
        if box is None:
            continue
        rows, columns = np.nonzero(labels[box] == value)
        yield rows + box[0].start, columns + box[1].start
