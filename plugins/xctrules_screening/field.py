"""What the image does to the cell: values at the end of the grey scale, a field of view too small."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from xctrules.cylinder.frame import CellFrame
from xctrules.cylinder.outline import OUTLINE_ANGLES
from xctrules.cylinder.surfaces import CylinderCell
from xctrules_screening.sampling import evenly

PILED_UP = 0.001
"""Share of voxels with the very highest value from which it is a limit and no chance."""

SPIKE = 3
"""How many times the next value's number that is, too: a histogram that ends by itself thins out."""

WALL_MM = (0.05, 0.15)
"""Depth below the can's outline at which there is wall, in the thinnest usual can of 0.2 mm too."""

AIR_MM = (0.3, 1.0)
"""Distance beyond the can's outline at which there is air: clear of the wall's blur, and near."""

NO_NOISE = 0.99
"""Share of the air's voxels that have one and the same value from which on its noise was cut off, too: what
is darker than the lowest grey is then darker by more than two standard deviations of the noise."""

DARK_PX = 5
"""Side of the squares of voxels that noise is averaged over before the darkest grey is looked for."""

DARK_EVERY, DARK_SHARE = 3, 0.005
"""Every third of these is enough, and so small a share of them may be darker by chance."""

INSIDE_SHARE, INSIDE_MM = 0.97, 0.3
"""The inside of the can ends at this share of its radius, less the thickness of its wall and its blur."""

LIVE_SLICES = 4
"""Slices that tell where the image is constant: what is alive in one of them is part of the field of view."""

TO_CORNERS = 0.98
"""A field of view that reaches this far towards the image's corners is no circle."""

NEAREST_RIM = 0.3
"""The can's outline is looked for from this share of the field's radius on."""

RIM_VOXELS, BEYOND_VOXELS = 1.5, 0.5
"""An outline within so many voxels of the field's rim may be the rim's own; one so far beyond it is cut."""

LEAST_SEEN = 0.3
"""Share of the directions in which the outline must be seen inside the field for a circle to complete it."""


@dataclass(frozen=True)
class Saturation:
    """Shares of voxels at the upper end of the grey scale; ``dark_grey`` is the darkest grey in the can.

    ``black`` is the share of the roll's voxels at its lower end, 0 where air shows its own noise there.
    """

    roll: float
    wall: float
    limit: float
    voxels: int
    dark_grey: float
    black: float


def saturation(cell: CylinderCell, inner_mm: float, outer_mm: float, slices: NDArray[np.intp]) -> Saturation:
    """Count voxels at the type's largest value, or at a largest value at which they pile up.

    Parameters
    ----------
    inner_mm, outer_mm
        Radii between which the roll lies.
    slices : (n,)
    """
    frame = cell.frame
    dz, dy, dx = frame.voxel_mm
    ax, ay, az = frame.axis
    y = (np.arange(frame.shape[1], dtype=np.float32) * dy)[:, None]
    x = (np.arange(frame.shape[2], dtype=np.float32) * dx)[None, :]
    roll_parts, wall_parts, air_parts, dark = [], [], [], []
    radius = frame.outer_radius_mm or outer_mm
    for k in slices:
        image = cell.scan.slices[int(k)]
        height = k * dz / az
        squared = (x - np.float32(frame.origin_mm[0] + height * ax)) ** 2 + (
            y - np.float32(frame.origin_mm[1] + height * ay)
        ) ** 2
        roll_parts.append(image[(squared > inner_mm**2) & (squared < outer_mm**2)])
        wall_parts.append(
            image[(squared > (radius - WALL_MM[1]) ** 2) & (squared < (radius - WALL_MM[0]) ** 2)]
        )
        air_parts.append(image[(squared > (radius + AIR_MM[0]) ** 2) & (squared < (radius + AIR_MM[1]) ** 2)])
        smooth = cv2.blur(np.ascontiguousarray(image, dtype=np.float32), (DARK_PX, DARK_PX))
        dark.append(smooth[squared < (INSIDE_SHARE * radius - INSIDE_MM) ** 2][::DARK_EVERY])
    roll, wall = np.concatenate(roll_parts), np.concatenate(wall_parts)
    air = np.concatenate(air_parts)
    black = _black(roll, air)
    limit = _limit(roll if black < 1.0 else wall, cell)  # a roll that is black all over ends no scale
    return Saturation(
        roll=float((roll >= limit).mean()) if roll.size else math.nan,
        wall=float((wall >= _limit(wall, cell)).mean()) if wall.size else math.nan,
        limit=limit,
        voxels=int(roll.size),
        dark_grey=float(np.quantile(np.concatenate(dark), DARK_SHARE)),
        black=black,
    )


def _black(roll: NDArray[np.generic], air: NDArray[np.generic]) -> float:
    """Share of the roll's voxels that are as dark as the darkest air, where that is all of one grey.

    Air without noise was cut off, or never shown: then nobody knows how much darker it is. Nothing in a roll
    is as dark as air, unless the scale ends above its gaps.
    """
    if roll.size == 0:
        return math.nan
    lowest = min(roll.min(), air.min()) if air.size else roll.min()
    if air.size and float((air == lowest).mean()) < NO_NOISE:
        return 0.0
    return float((roll == lowest).mean())


def _limit(greys: NDArray[np.generic], cell: CylinderCell) -> float:
    """The value at which the grey scale ends: the type's own, or a lower one to which greys were clipped."""
    dtype = cell.scan.slices.dtype
    end = float(np.iinfo(dtype).max) if dtype.kind in "iu" else math.inf
    if greys.size == 0:
        return end
    highest = float(greys.max())
    at = int((greys == highest).sum())
    below = greys[np.less(greys, highest)]
    next_one = int((below == below.max()).sum()) if below.size else 0
    return highest if at >= PILED_UP * greys.size and at > SPIKE * next_one else end


def truncation(cell: CylinderCell) -> float:
    """Share of the can's outline that lies beyond the image, or beyond a circular field of view."""
    frame = cell.frame
    return max(frame.outline_missing, _beyond_circle(cell))


def _beyond_circle(cell: CylinderCell) -> float:
    """Share of the outline beyond the reconstructed circle, where the image outside of it is constant.

    A scan that was clipped outside the can is constant there, too, but its can ends inside what was kept.
    """
    frame = cell.frame
    if frame.outer_radius_mm is None or frame.straight_mm is None:
        return 0.0
    z = frame.z_grid_mm()
    inside = np.flatnonzero((z >= frame.straight_mm[0]) & (z <= frame.straight_mm[1]))
    if inside.size == 0:
        return 0.0
    picked = evenly(inside, LIVE_SLICES)
    reach = _live_radius(cell, picked)
    if reach is None:
        return 0.0
    return _cut_by_circle(cell.scan.slices[int(picked[picked.size // 2])], reach, frame)


def _live_radius(cell: CylinderCell, picked: NDArray[np.intp]) -> float | None:
    """Radius, mm, about the image's middle within which it is not constant; ``None`` where that is no circle.

    The image's first corner says which value stands for "nothing here".
    """
    frame, slices = cell.frame, cell.scan.slices
    corner = slices[int(picked[0])][0, 0]
    live = np.zeros(frame.shape[1:], dtype=bool)
    for k in picked:
        live |= slices[int(k)] != corner
    _, dy, dx = frame.voxel_mm
    y = ((np.arange(frame.shape[1]) - 0.5 * (frame.shape[1] - 1)) * dy)[:, None]
    x = ((np.arange(frame.shape[2]) - 0.5 * (frame.shape[2] - 1)) * dx)[None, :]
    distance = np.hypot(y, x)[live]
    reach = float(distance.max()) if distance.size else math.inf
    half_diagonal = math.hypot(float(y[0, 0]), float(x[0, 0]))
    return reach if reach <= TO_CORNERS * half_diagonal else None


def _cut_by_circle(image: NDArray[np.generic], reach_mm: float, frame: CellFrame) -> float:
    """Share of directions in which the can, completed from what is seen of it, leaves a circle.

    The can's outline is taken where it lies inside the circle; a circle through that tells where the rest
    would be.
    """
    _, dy, dx = frame.voxel_mm
    voxel = max(dy, dx)
    theta = np.deg2rad(np.arange(OUTLINE_ANGLES) * (360.0 / OUTLINE_ANGLES))[:, None]
    r = np.arange(NEAREST_RIM * reach_mm, reach_mm + 2 * voxel, 0.5 * voxel)[None, :]
    map_x = (0.5 * (frame.shape[2] - 1) + r * np.cos(theta) / dx).astype(np.float32)
    map_y = (0.5 * (frame.shape[1] - 1) + r * np.sin(theta) / dy).astype(np.float32)
    grey = cv2.remap(np.ascontiguousarray(image, dtype=np.float32), map_x, map_y, cv2.INTER_LINEAR)
    bright = grey > 0.5 * frame.can_grey
    edge = r[0, r.shape[1] - 1 - np.argmax(bright[:, ::-1], axis=1)]
    seen = bright.any(axis=1) & (edge < reach_mm - RIM_VOXELS * voxel)
    if seen.mean() < LEAST_SEEN:
        return 0.0  # an outline along the whole circle, with a wall, is the can's own (see frame)
    x, y = edge * np.cos(theta[:, 0]), edge * np.sin(theta[:, 0])
    # Circle through the points (Kasa 1976): x^2 + y^2 = 2 a x + 2 b y + c.
    design = np.stack([2 * x, 2 * y, np.ones_like(x)], axis=1)[seen]
    a, b, c = np.linalg.lstsq(design, (x**2 + y**2)[seen], rcond=None)[0]
    along = a * np.cos(theta[:, 0]) + b * np.sin(theta[:, 0])
    outline = along + np.sqrt(np.maximum(along**2 + c, 0.0))
    return float((outline > reach_mm + BEYOND_VOXELS * voxel).mean())


def undersampling(cell: CylinderCell) -> str | None:
    """A warning where there are too few projections for the voxels; ``None`` where enough or not known.

    A view of N projections resolves a body of diameter D down to D * pi / (2 N) at its rim
    (Crowther's criterion), so that voxels of size v need N = pi / 2 * D / v.
    """
    projections = cell.scan.acquisition.get("projections")
    radius = cell.frame.outer_radius_mm
    if not projections or radius is None:
        return None
    acquisition = cell.scan.acquisition
    pixel = max(cell.frame.voxel_mm[1:])
    detector = acquisition.get("detector_pixel_mm")
    near, far = acquisition.get("source_to_object_mm"), acquisition.get("source_to_detector_mm")
    if detector and near and far:
        pixel = float(detector) * float(near) / float(far)
    swept = 2 * radius / pixel
    needed = math.ceil(math.pi / 2 * swept)
    if float(projections) >= needed:
        return None
    return (
        f"{int(projections)} projections are fewer than the {needed} that the {round(swept)} detector pixels "
        f"across the cell need (pi / 2 times as many): expect streaks and less sharpness towards the can. "
        f"Cure: take {needed} projections or more"
    )
