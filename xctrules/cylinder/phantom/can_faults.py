"""What may be wrong with a drawn can's sheet: where its surfaces lie, and how thick it is, faults included.

In: the spec's dents, rings, taper and patches. Out: lengths in mm at any angle and height, which both the
drawing and the truth read.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xctrules.cylinder.phantom.geometry import Can, Floats, Pose, dent_height, raised_cosine, wrap_deg
from xctrules.cylinder.phantom.spec import Dent, PhantomSpec, Ring, WallPatch


def dent_depth(spec: PhantomSpec, place: Pose, theta_deg: ArrayLike, s_mm: ArrayLike) -> Floats:
    """How far dents push the can's surfaces inward at an angle and height (broadcast)."""
    theta, s = np.asarray(theta_deg, dtype=float), np.asarray(s_mm, dtype=float)
    total = np.zeros(np.broadcast_shapes(theta.shape, s.shape))
    for dent in spec.dents:
        at = dent_height(dent.out_mm, dent.end, place)
        if at is None:
            continue
        width_deg = math.degrees(dent.width_mm / (spec.outer_diameter_mm / 2))
        around = raised_cosine(wrap_deg(theta - dent.theta_deg), width_deg)
        total = total + dent.depth_mm * around * raised_cosine(s - at, dent.height_mm)
    return total


def narrowed(spec: PhantomSpec, place: Pose, s_mm: ArrayLike) -> Floats:
    """How far the can's surfaces lie inward all the way round at a height: rings and taper."""
    s = np.asarray(s_mm, dtype=float)
    total = -math.tan(math.radians(spec.taper_deg)) * (s - sum(place.seen_mm) / 2)
    for ring in spec.rings:
        at = dent_height(ring.out_mm, ring.end, place)
        if at is not None:
            beside = np.maximum(np.abs(s - at) - ring.flat_mm / 2, 0.0)
            total = total + ring.depth_mm * raised_cosine(beside, ring.height_mm - ring.flat_mm)
    return np.asarray(total)


def push(spec: PhantomSpec, place: Pose, theta_deg: ArrayLike, s_mm: ArrayLike) -> Floats:
    """How far the can's surfaces lie inward of the sound can's at an angle and height (broadcast)."""
    return np.asarray(dent_depth(spec, place, theta_deg, s_mm) + narrowed(spec, place, s_mm))


def sheet(
    spec: PhantomSpec, place: Pose, theta_deg: ArrayLike, s_mm: ArrayLike, soft: tuple[float, float]
) -> tuple[Floats, Floats]:
    """Thickness of the sheet, and how far its outer surface has been taken off (both broadcast).

    Parameters
    ----------
    soft
        Widths in mm, along the circumference and the axis, over which the drawing of a patch's border is
        spread: a voxel that holds half of it has half of what is missing. (0, 0) for the truth.
    """
    theta, s = np.asarray(theta_deg, dtype=float), np.asarray(s_mm, dtype=float)
    shape = np.broadcast_shapes(theta.shape, s.shape)
    sound = np.broadcast_to(Can(spec).wall(theta), shape)
    wall, taken = sound.astype(float), np.zeros(shape)
    for patch in spec.wall_patches:
        here = _covered(spec, place, patch, theta, s, soft)
        missing = here * np.maximum(wall - patch.wall_mm, 0.0)
        wall = wall - missing
        if patch.taken_from == "outside":
            taken = taken + missing
    return wall, taken


def _covered(
    spec: PhantomSpec, place: Pose, patch: WallPatch, theta: Floats, s: Floats, soft: tuple[float, float]
) -> Floats:
    """Share of each place that lies within a patch."""
    at = dent_height(patch.out_mm, patch.end, place)
    if at is None:
        return np.zeros(np.broadcast_shapes(theta.shape, s.shape))
    arc = np.radians(np.abs(wrap_deg(theta - patch.theta_deg))) * (spec.outer_diameter_mm / 2)
    around = _soft_step(patch.width_mm / 2 - arc, soft[0])
    if patch.width_mm >= math.pi * spec.outer_diameter_mm:
        around = np.ones_like(arc)
    return np.asarray(around * _soft_step(patch.height_mm / 2 - np.abs(s - at), soft[1]))


def _soft_step(inside_mm: Floats, width_mm: float) -> Floats:
    if width_mm <= 0:
        return np.asarray(inside_mm >= 0, dtype=float)
    return np.clip(inside_mm / width_mm + 0.5, 0.0, 1.0)


def touches(spec: PhantomSpec, place: Pose, low_mm: float, high_mm: float) -> bool:
    """Whether any fault of the can changes its sheet between two heights."""
    if spec.taper_deg:
        return True
    faults: tuple[Dent | Ring | WallPatch, ...] = (*spec.dents, *spec.rings, *spec.wall_patches)
    for fault in faults:
        at = dent_height(fault.out_mm, fault.end, place)
        if at is not None and low_mm - fault.height_mm / 2 < at < high_mm + fault.height_mm / 2:
            return True
    return False


def reach_mm(spec: PhantomSpec) -> tuple[float, float]:
    """How far inward and outward, at most, faults move the can's surfaces."""
    lean = math.tan(math.radians(abs(spec.taper_deg))) * spec.height_mm / 2
    depths = [dent.depth_mm for dent in spec.dents] + [ring.depth_mm for ring in spec.rings]
    return lean + sum(max(d, 0.0) for d in depths), lean + sum(max(-d, 0.0) for d in depths)


def open_area_mm2(spec: PhantomSpec, place: Pose) -> float:
    """Area of the largest patch without any wall that is in view, as much of it as is seen; 0 where none is.

    Patches that touch count each for itself.
    """
    low, high = place.seen_mm
    largest = 0.0
    for patch in spec.wall_patches:
        at = dent_height(patch.out_mm, patch.end, place)
        if at is None or patch.wall_mm > 0:
            continue
        height = min(at + patch.height_mm / 2, high) - max(at - patch.height_mm / 2, low)
        width = min(patch.width_mm, math.pi * spec.outer_diameter_mm)
        largest = max(largest, width * max(height, 0.0))
    return largest


def groove_mm(spec: PhantomSpec, place: Pose) -> float:
    """Depth of the deepest ring in view that goes inward; 0 where there is none."""
    low, high = place.seen_mm
    deepest = 0.0
    for ring in spec.rings:
        at = dent_height(ring.out_mm, ring.end, place)
        if at is not None and low <= at <= high:
            deepest = max(deepest, ring.depth_mm)
    return deepest


def straight_heights(spec: PhantomSpec, place: Pose, s_mm: Floats) -> NDArray[np.bool_]:
    """Of heights (ns,) between the ends' fittings, those of the straight part, (ns,).

    It is the longest run in which the radius, dents left out, stays within a voxel of the run's median.
    """
    radius = -narrowed(spec, place, s_mm)
    voxel = spec.voxel_size_mm[2]
    best = (0, 0)
    for start in range(radius.size):
        for stop in range(radius.size, start + best[1] - best[0], -1):
            run = radius[start:stop]
            if np.abs(run - np.median(run)).max() <= voxel:
                best = (start, stop)
                break
    within = np.zeros(radius.size, dtype=bool)
    within[best[0] : best[1]] = True
    return within
