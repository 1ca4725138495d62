"""The can from outside, over its whole height in view: where each ray inward first meets metal.

Coarser than the fitted faces (half height, good to a twentieth of a voxel), but everywhere: at bead, crimp
and rim, in the deepest dent, where the wall is thin or gone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.cylinder.edges import crossings
from xctrules.cylinder.surfaces import CanSurface, CylinderCell, Floats

SEARCH = (0.8, 1.15)
"""Shares of the can's radius between which the outline is looked for: bead and crimp lie within."""

INWARD_MM, OUTWARD_MM = 1.5, 0.3
"""How far from the outline of its height a place may have its wall: dents go deeper than bulges, and a wall
that lies further in than this is no wall of this can."""

SEEN_SHARE = 0.5
"""Share of the angles at which a height's outline must be found for the height to count as can."""

LEVEL = 0.5
"""Share of the way from the grey outside to the can's own from which something is wall: the half height of
its edge. Electrodes have some 0.4 of the can's grey."""

SAMPLES_AT_ONCE = 500_000
"""Grey values that are held at a time: some 10 MB with what is worked out from them."""


@dataclass(frozen=True)
class Rays:
    """What each ray from outside meets, at the heights at which there is a can.

    Attributes
    ----------
    z_mm, theta_deg : (nz,), (nt,)
    seen : (nz, nt) bool
        Whether the image holds all of the ray: a tilted cell leaves it at its first and last height.
    outer_mm : (nz, nt)
        Radius where it meets metal; NaN where it meets none.
    grey, behind : (nz, nt)
        Mean from there on over the thickness of a wall, and over as much behind that.
    radius_mm : (nz,)
        Median of ``outer_mm`` at each height.
    """

    z_mm: Floats
    theta_deg: Floats
    seen: NDArray[np.bool_]
    outer_mm: Floats
    grey: Floats
    behind: Floats
    radius_mm: Floats

    @property
    def step_mm(self) -> float:
        """Distance between heights."""
        return float(np.median(np.diff(self.z_mm)))


def cast(cell: CylinderCell, can: CanSurface) -> Rays | None:
    """Rays all over the can in view; ``None`` where the scan has no greys to look at, or one height only."""
    frame = cell.frame
    if cell.settings.mask_of is not None or cell.labels is not None or frame.outer_radius_mm is None:
        return None
    z = frame.z_grid_mm()
    if frame.seen_mm is not None:
        z = z[(z >= frame.seen_mm[0]) & (z <= frame.seen_mm[1])]
    seen, outer, grey, behind = _met(cell, can, z, frame.outer_radius_mm)
    known = np.isfinite(outer).mean(axis=1) >= SEEN_SHARE
    if known.sum() < 2:
        return None
    radius = np.nanmedian(outer[known], axis=1)
    return Rays(z[known], can.theta_deg, seen[known], outer[known], grey[known], behind[known], radius)


def _met(
    cell: CylinderCell, can: CanSurface, z: Floats, radius_mm: float
) -> tuple[NDArray[np.bool_], Floats, Floats, Floats]:
    frame = cell.frame
    voxel = max(frame.voxel_mm[1:])
    with np.errstate(invalid="ignore"):
        wall = float(np.nanmedian((can.outer_mm - can.inner_mm)[can.straight]))
    deep = max(2.0, wall / voxel)
    # As far in as the deepest dent's wall and what lies behind it.
    innermost = min(SEARCH[0] * radius_mm, radius_mm - INWARD_MM - 3 * wall)
    r = np.arange(innermost, SEARCH[1] * radius_mm, voxel)
    at_the_can = r[::-1] <= radius_mm + OUTWARD_MM
    shape = (z.size, can.theta_deg.size)
    seen, found = np.zeros(shape, dtype=bool), [np.full(shape, np.nan) for _ in range(3)]
    for block in np.array_split(np.arange(z.size), max(1, z.size * shape[1] * r.size // SAMPLES_AT_ONCE)):
        grey = frame.cylinder(cell.scan, z[block], can.theta_deg, r)[..., ::-1]
        beyond = grey[..., r[::-1] > 1.05 * radius_mm + 3 * voxel]
        outside = float(np.nanmedian(beyond)) if np.isfinite(beyond).any() else 0.0
        seen[block] = np.isfinite(grey[..., at_the_can]).all(axis=-1)
        grey = np.where(np.isfinite(grey), grey, np.float32(outside))
        at = crossings(grey, outside + LEVEL * (frame.can_grey - outside), rising=True)
        found[0][block] = r[-1] - at * voxel
        found[1][block] = _mean_from(grey, at, deep)
        found[2][block] = _mean_from(grey, at + deep, deep)
    return seen, found[0], found[1], found[2]


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
