"""Is there a wall everywhere? The can over its whole height in view, place by place.

A place has wall where its ray, inward from outside, meets metal within reach of where the can's outline
runs at that height, and as bright as the can over the thickness of its wall: behind an opening lie
electrodes, which are bright in places but not all through. What has none is an opening: a hole, a crack, a
side left open. Thickness and form are measured elsewhere; here nothing counts but that the can is closed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.core.ledger import Ledger, Place
from xctrules.core.measurement import Measurement
from xctrules.cylinder.edges import crossings
from xctrules.cylinder.surfaces import CanSurface, CylinderCell, Floats
from xctrules_canister.budget import openings_too_small_to_see, where_the_openings_rim_lies

OPENING = "canister.opening.largest"
PART = "can wall"

SEARCH = (0.8, 1.15)
"""Shares of the can's radius between which the outline is looked for: bead and crimp lie within."""

INWARD_MM, OUTWARD_MM = 1.2, 0.3
"""How far from the outline of its height a place may have its wall: dents go deeper than bulges, and a wall
that lies further in than this is no wall of this can."""

FORMED = 0.005
"""Heights whose outline differs by more than this share from the can's radius are bead, crimp or rim: their
wall runs aslant or across, and any metal that a ray meets within the search is taken for it."""

SEEN_SHARE = 0.5
"""Share of the angles at which a height's outline must be found for the height to count as can."""

LEVEL = 0.5
"""Share of the way from the grey outside to the can's own from which something is wall: the half height of
its edge. Electrodes have some 0.4 of the can's grey."""

ALLOWED_MM2 = 0.2
"""Largest place without wall with which a cell may still pass: a hole of half a millimetre."""

SAMPLES_AT_ONCE = 500_000
"""Grey values that are held at a time: some 10 MB with what is worked out from them."""

LEAST_VOXELS = 9
"""Smallest opening, in voxels of the surface: three each way. Below that, blur closes a hole that is there
and noise opens one that is not."""


@dataclass(frozen=True)
class WallPresence:
    """Where the can has a wall.

    Attributes
    ----------
    z_mm : (nz,)
        Heights at which an outline was found.
    theta_deg : (nt,)
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

    def openings(self) -> list[Place]:
        """Connected places without wall, the largest first."""
        found = []
        for rows, columns in _patches(self.seen & ~self.there):
            area = float(self.place_mm2[rows].sum())
            if area < self.smallest_mm2:
                continue
            turned = np.deg2rad(self.theta_deg[columns])
            middle = math.degrees(math.atan2(np.sin(turned).mean(), np.cos(turned).mean())) % 360.0
            at = {"z_mm": float(self.z_mm[rows].mean()), "theta_deg": middle}
            found.append(Place(area, at, "the can has no wall"))
        return sorted(found, key=lambda place: -place.extent)

    def ledger(self) -> Ledger:
        """The can's account: closed wherever it is in view, or open where it says."""
        openings = self.openings()
        open_mm2 = sum(place.extent for place in openings)
        return Ledger(PART, "mm2", self.area_mm2, self.area_mm2 - open_mm2, ALLOWED_MM2, {}, tuple(openings))


def wall_presence(cell: CylinderCell, can: CanSurface) -> WallPresence | None:
    """Look for the wall all over the can in view; ``None`` where the scan has no greys to look at."""
    frame = cell.frame
    if cell.settings.mask_of is not None or cell.labels is not None or frame.outer_radius_mm is None:
        return None
    z = frame.z_grid_mm()
    if frame.seen_mm is not None:
        z = z[(z >= frame.seen_mm[0]) & (z <= frame.seen_mm[1])]
    rays = _cast(cell, can, z)
    known = np.isfinite(rays.outer_mm).mean(axis=1) >= SEEN_SHARE
    rays, z = rays.of(known), z[known]
    outline = np.nanmedian(rays.outer_mm, axis=1, keepdims=True) if z.size else rays.outer_mm
    formed = np.abs(outline / frame.outer_radius_mm - 1) > FORMED
    with np.errstate(invalid="ignore"):
        near = (rays.outer_mm > outline - INWARD_MM) & (rays.outer_mm < outline + OUTWARD_MM)
        solid = near & (rays.grey > _solid_level(rays, ~formed[:, 0]))
    found = np.isfinite(rays.outer_mm)
    # A wall that runs across is met at the neighbouring height, where blur has spread it out at its own.
    beside = found.copy()
    beside[1:] |= found[:-1]
    beside[:-1] |= found[1:]
    there = np.where(formed, beside, solid)
    step = float(np.median(np.diff(z))) if z.size > 1 else frame.voxel_mm[0]
    width = np.deg2rad(360.0 / can.theta_deg.size) * outline[:, 0]
    return WallPresence(z, can.theta_deg, rays.seen, there, np.asarray(step * width))


@dataclass(frozen=True)
class _Rays:
    """What each ray from outside meets, (nz, nt).

    ``seen``: whether the image holds all of it. ``outer_mm``: radius where it meets metal. ``grey``: mean
    from there on over the thickness of a wall; ``behind``: mean over as much behind that.
    """

    seen: NDArray[np.bool_]
    outer_mm: Floats
    grey: Floats
    behind: Floats

    def of(self, rows: NDArray[np.bool_]) -> _Rays:
        return _Rays(self.seen[rows], self.outer_mm[rows], self.grey[rows], self.behind[rows])


def _cast(cell: CylinderCell, can: CanSurface, z: Floats) -> _Rays:
    frame = cell.frame
    assert frame.outer_radius_mm is not None
    voxel = max(frame.voxel_mm[1:])
    with np.errstate(invalid="ignore"):
        wall = float(np.nanmedian((can.outer_mm - can.inner_mm)[can.straight]))
    deep = max(2.0, wall / voxel)
    # As far in as the deepest dent's wall and what lies behind it.
    innermost = min(SEARCH[0] * frame.outer_radius_mm, frame.outer_radius_mm - INWARD_MM - 3 * wall)
    r = np.arange(innermost, SEARCH[1] * frame.outer_radius_mm, voxel)
    at_the_can = r[::-1] <= frame.outer_radius_mm + OUTWARD_MM
    shape = (z.size, can.theta_deg.size)
    seen, found = np.zeros(shape, dtype=bool), [np.full(shape, np.nan) for _ in range(3)]
    for block in np.array_split(np.arange(z.size), max(1, z.size * shape[1] * r.size // SAMPLES_AT_ONCE)):
        grey = frame.cylinder(cell.scan, z[block], can.theta_deg, r)[..., ::-1]
        beyond = grey[..., r[::-1] > 1.05 * frame.outer_radius_mm + 3 * voxel]
        outside = float(np.nanmedian(beyond)) if np.isfinite(beyond).any() else 0.0
        seen[block] = np.isfinite(grey[..., at_the_can]).all(axis=-1)
        grey = np.where(np.isfinite(grey), grey, np.float32(outside))
        at = crossings(grey, outside + LEVEL * (frame.can_grey - outside), rising=True)
        found[0][block] = r[-1] - at * voxel
        found[1][block] = _mean_from(grey, at, deep)
        found[2][block] = _mean_from(grey, at + deep, deep)
    return _Rays(seen, *found)


def _mean_from(grey: NDArray[np.float32], start: Floats, length: float) -> Floats:
    """Mean grey of each ray over ``length`` samples from ``start`` on, below the sample."""
    total = np.concatenate(
        [np.zeros((*grey.shape[:-1], 1)), np.cumsum(grey, axis=-1, dtype=np.float64)], axis=-1
    )

    def up_to(position: Floats) -> Floats:
        inside = np.clip(np.nan_to_num(position), 0.0, total.shape[-1] - 1.001)
        low = inside.astype(np.intp)[..., None]
        first, next_ = (np.take_along_axis(total, low + i, axis=-1)[..., 0] for i in (0, 1))
        return np.asarray(first + (inside - low[..., 0]) * (next_ - first))

    mean = (up_to(start + 0.5 + length) - up_to(start + 0.5)) / length
    return np.where(np.isfinite(start), mean, np.nan)


def _solid_level(rays: _Rays, rows: NDArray[np.bool_]) -> float:
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


def _patches(mask: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows and columns of each connected patch of True; the last column is the first one's neighbour."""
    from scipy.ndimage import label

    labels, _ = label(mask)
    for first, last in zip(labels[:, 0], labels[:, -1], strict=True):  # join across the seam
        if first and last and first != last:
            labels[labels == last] = first
    for value in np.unique(labels[labels > 0]):
        rows, columns = np.nonzero(labels == value)
        yield rows, columns
