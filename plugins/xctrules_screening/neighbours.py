"""What each slice has in common with the slices beside it: the same places of the cell, slice after slice.

Every slice is read once and sampled at the same angles and radii about the cell's axis, so that nothing but
the slices' own order, place and content differs from one to the next. Of each pair of neighbours three things
are kept, block by block of the cross-section:

* the *change*, mean absolute difference of the greys;
* the *coherence*, correlation coefficient of what changes from voxel to voxel along the angle: noise and
  grain of the materials, from which the wound layers drop out. It is 1 for a slice and its copy, falls with
  the distance between two slices, and needs no edge, so that it speaks in the straight roll as well;
* the *motion* that turns one into the other, see :mod:`xctrules_screening.motion`.

Of each slice by itself its brightness is kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from xctrules.core.slices import Scan
from xctrules.cylinder.frame import CellFrame
from xctrules.cylinder.surfaces import Floats
from xctrules_screening.motion import Grid, Motions, motion_between
from xctrules_screening.sampling import Greys, ray_maps

ARCS = 144
"""Arcs of 2.5 degrees that motion is looked for in; angles are sampled in a multiple of them."""

ARC_SAMPLES = (1, 4)
"""Least and largest number of angles in an arc: two voxels apart at the middle radius within these bounds."""

INNERMOST = 0.2
"""Share of the can's radius within which neighbouring angles see the same voxels."""

MOST_RADII = 300
"""Radii at most: a fine scan is looked at in steps of several voxels."""

BEYOND_VOXELS = 3.0
"""Voxels beyond the can's outline that are looked at, so that its edge is whole."""

BLOCKS = (12, 8)
"""Blocks of the cross-section, round it and across it, that are looked at one by one."""

WALL_FROM = 0.9
"""Share of the can's radius beyond which the brightest along each ray is its wall."""

FINE_SHARE = 1e-3
"""Fine structure, as a share of the can's grey, below which a block shows none: less than half a grey level
of an 8-bit scan."""


@dataclass(frozen=True)
class Neighbours:
    """Slices ``first`` to ``first + n - 1`` (0 is the scan's first) against those before them.

    Attributes
    ----------
    coherence, change : (n - 1, nblocks)
        Between slice i and the next; coherence is NaN where a block shows no fine structure.
    coherence_over_two, change_over_two : (n - 2, nblocks)
        Between slice i and the next but one.
    motions
        From slice i to the next, (n - 1, ...).
    brightness : (n, nblocks)
        Mean grey of each slice.
    wall : (n,)
        Grey of the can's wall in each.
    """

    first: int
    grid: Grid
    coherence: Floats
    coherence_over_two: Floats
    change: Floats
    change_over_two: Floats
    motions: Motions
    brightness: Floats
    wall: Floats


def seen_slices(frame: CellFrame) -> range:
    """Slices in which the cell's outline is seen."""
    low, high = frame.seen_mm or (0.0, math.inf)
    to_slice = frame.axis[2] / frame.voxel_mm[0]
    last = frame.shape[0] - 1 if math.isinf(high) else min(frame.shape[0] - 1, math.floor(high * to_slice))
    return range(max(0, math.ceil(low * to_slice)), last + 1)


def grid_of(frame: CellFrame) -> Grid:
    """Angles and radii at which slices are compared."""
    voxel = max(frame.voxel_mm[1:])
    radius = frame.outer_radius_mm or 0.0
    middle = 0.5 * (1 + INNERMOST) * radius
    each = int(np.clip(round(math.pi * middle / voxel / ARCS), *ARC_SAMPLES))
    theta = np.arange(ARCS * each, dtype=np.float64) * (360.0 / (ARCS * each))
    step = max(voxel, radius / MOST_RADII)
    return Grid(theta, np.arange(INNERMOST * radius, radius + BEYOND_VOXELS * voxel, step), each)


class Sampler:
    """Samples slices on one grid about the cell's axis."""

    def __init__(self, scan: Scan, frame: CellFrame, grid: Grid) -> None:
        self._scan, self._frame = scan, frame
        r = np.broadcast_to(grid.r_mm, (grid.theta_deg.size, grid.r_mm.size))
        self._map_x, self._map_y = ray_maps(frame, 0, grid.theta_deg, r)
        dz, dy, dx = frame.voxel_mm
        ax, ay, az = frame.axis
        self._drift = np.float32(dz * ax / az / dx), np.float32(dz * ay / az / dy)

    def slice(self, k: int, motion: Floats | None = None) -> Greys:
        """Greys (nt, nr) of slice ``k``, of places that moved by ``motion`` (x and y in mm, turn in degrees,
        scale) in it."""
        image = np.ascontiguousarray(self._scan.slices[k], dtype=np.float32)
        step = np.float32(k)
        map_x, map_y = self._map_x + step * self._drift[0], self._map_y + step * self._drift[1]
        if motion is not None:
            map_x, map_y = self._moved(map_x, map_y, k, motion)
        return np.asarray(cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))

    def _moved(self, map_x: Greys, map_y: Greys, k: int, motion: Floats) -> tuple[Greys, Greys]:
        _, dy, dx = self._frame.voxel_mm
        x0, y0 = self._frame.origin_mm
        middle = x0 / dx + k * float(self._drift[0]), y0 / dy + k * float(self._drift[1])
        turn, enlarge = math.radians(motion[2]), 1 + motion[3]
        cos, sin = enlarge * math.cos(turn), enlarge * math.sin(turn)
        x, y = (map_x - middle[0]) * dx, (map_y - middle[1]) * dy
        moved_x = middle[0] + (motion[0] + cos * x - sin * y) / dx
        moved_y = middle[1] + (motion[1] + sin * x + cos * y) / dy
        return moved_x.astype(np.float32), moved_y.astype(np.float32)


def compare(scan: Scan, frame: CellFrame, slices: range, grid: Grid) -> Neighbours:
    """Compare each of the slices with the two before it; none is kept longer."""
    sampler = Sampler(scan, frame, grid)
    floor = np.float32((FINE_SHARE * frame.can_grey) ** 2)
    coherence, coherence_over_two, change, change_over_two, motions = [], [], [], [], []
    brightness, wall = [], []
    near_wall = grid.r_mm > WALL_FROM * (frame.outer_radius_mm or 0.0)
    past: list[Sampled] = []
    for k in slices:
        here = Sampled.of(sampler.slice(k), grid)
        brightness.append(blocks(here.grey))
        wall.append(float(np.median(here.arcs[:, near_wall].max(axis=1))))
        if past:
            coherence.append(coherence_of(past[-1], here, floor))
            change.append(blocks(np.abs(here.grey - past[-1].grey)))
            motions.append(motion_between(past[-1].arcs, here.arcs, grid))
        if len(past) > 1:
            coherence_over_two.append(coherence_of(past[-2], here, floor))
            change_over_two.append(blocks(np.abs(here.grey - past[-2].grey)))
        past = [*past[-1:], here]
    return Neighbours(
        slices.start,
        grid,
        np.array(coherence),
        np.array(coherence_over_two),
        np.array(change),
        np.array(change_over_two),
        Motions.of(motions),
        np.array(brightness),
        np.array(wall),
    )


@dataclass(frozen=True)
class Sampled:
    """One slice: greys (nt, nr), their fine structure, its power by block, and greys by arc (ARCS, nr)."""

    grey: Greys
    fine: Greys
    power: Greys
    arcs: Greys

    @classmethod
    def of(cls, grey: Greys, grid: Grid) -> Sampled:
        fine = fine_structure(grey)
        return cls(grey, fine, blocks(fine * fine), grid.by_arc(grey))


def fine_structure(grey: Greys) -> Greys:
    """What of (nt, nr) changes from one angle to the next: second differences along the angle."""
    fine = np.empty_like(grey)
    fine[1:-1] = grey[1:-1] - 0.5 * (grey[2:] + grey[:-2])
    fine[0] = grey[0] - 0.5 * (grey[1] + grey[-1])
    fine[-1] = grey[-1] - 0.5 * (grey[0] + grey[-2])
    return fine


def coherence_of(one: Sampled, other: Sampled, floor: np.float32) -> Floats:
    power = np.sqrt(one.power * other.power)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where(power > floor, blocks(one.fine * other.fine) / power, np.nan)
    return np.asarray(found, dtype=np.float64)


def blocks(values: Greys) -> Greys:
    """Means over the blocks, (nblocks,)."""
    nt, nr = values.shape
    means = _averaging(BLOCKS[0], nt) @ values @ _averaging(BLOCKS[1], nr).T
    return np.asarray(means.ravel())


@cache
def _averaging(blocks: int, n: int) -> Greys:
    """(blocks, n) that takes the mean of n samples over each of so many blocks of about the same length."""
    block = np.arange(n) * blocks // n
    member = block == np.arange(blocks)[:, None]
    return np.asarray(member / member.sum(axis=1, keepdims=True), dtype=np.float32)
