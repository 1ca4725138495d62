"""The can's sheet as a gauge of the slices' spacing: as thick where it lies across as where it stands.

A can is drawn from one sheet and beaded by rolling; that changes the sheet's thickness by a fifth or so, and
not by a half. At the bead the sheet turns: beside its straight wall, whose thickness is measured in voxels of
the slice, there are shoulders that lie across the axis, whose thickness is measured in slices. The ratio of
the two, in mm, is 1 when both spacings are right, and half when that of the slices is given as half.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.core.robust import robust_sd
from xctrules.core.slices import Scan
from xctrules.cylinder.frame import CellFrame
from xctrules.cylinder.surfaces import Floats
from xctrules_screening.motion import Grid
from xctrules_screening.neighbours import Sampler, seen_slices

HALF = 0.5
"""Share of the can's grey at which a face of its sheet is taken: outside and gaps are dark."""

INNERMOST, BEYOND_VOXELS = 0.75, 4
"""Share of the can's radius from which on a bead is looked for, deeper than any, and voxels beyond it."""

ANGLES = 36
"""Half-planes in which the sheet is looked at."""

MOST_SLICES = 600
"""Slices at most: of a finer scan the sheet is seen in every n-th just as well."""

INTO_STRAIGHT_MM = 1.5
"""How much of the straight wall beside the bead is looked at."""

LYING, STANDING = 1.0, 2.0
"""A sheet lies where it is so much wider along the radius than along the axis, and stands where it is so much
higher than wide: both are found with a spacing that is off by a factor of two."""

GOES_ON = 1.0
"""Height of standing sheet, in its thicknesses, that there is on both sides of a bead's shoulder: beyond a
bottom or a lid there is only their rounding."""

LEAST_ANGLES = 9
"""Half-planes, a quarter of all, in which the sheet must be seen both ways."""

LEAST_SLICES = 2.0
"""Thickness in slices from which on a lying sheet's two faces are seen apart."""

NO_BEAD = "no bead is in view, at whose shoulders the can's sheet lies across the axis"

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Sheet:
    """Thickness of the can's sheet about its bead, mm: across the radius and along the axis.

    ``ratio`` is along over across; ``sigma`` its standard error over ``angles`` half-planes.
    """

    standing_mm: float
    lying_mm: float
    ratio: float
    sigma: float
    angles: int


def measure_sheet(scan: Scan, frame: CellFrame) -> Sheet | str:
    """The sheet's two thicknesses; the reason where they cannot be measured."""
    reasons = [NO_BEAD]
    for slices in _beside_the_straight_part(frame):
        found = _from_planes(*_planes(scan, frame, slices))
        if isinstance(found, Sheet):
            return found
        reasons.append(found)
    return reasons[-1]


def _beside_the_straight_part(frame: CellFrame) -> list[range]:
    """Slices before and after the straight part of the can, with some of it."""
    seen = seen_slices(frame)
    thickness = frame.voxel_mm[0] / frame.axis[2]
    low, high = (edge / thickness for edge in frame.straight_mm or (-np.inf, np.inf))
    sides = []
    if low > seen.start + LEAST_SLICES:
        sides.append(range(seen.start, min(seen.stop, int(low + INTO_STRAIGHT_MM / thickness) + 1)))
    if high < seen.stop - 1 - LEAST_SLICES:
        sides.append(range(max(seen.start, int(high - INTO_STRAIGHT_MM / thickness)), seen.stop))
    return sides


def _planes(scan: Scan, frame: CellFrame, slices: range) -> tuple[Image, float, float]:
    """Half-planes (nz, nt, nr) on the can's scale, and their samples' distances along r and z in mm."""
    voxel = max(frame.voxel_mm[1:])
    radius = frame.outer_radius_mm or 0.0
    r: Floats = np.arange(INNERMOST * radius, radius + BEYOND_VOXELS * voxel, voxel, dtype=np.float64)
    theta: Floats = np.arange(ANGLES, dtype=np.float64) * (360.0 / ANGLES)
    sampler = Sampler(scan, frame, Grid(theta, r, 1))
    picked = slices[:: max(1, -(-len(slices) // MOST_SLICES))]
    grey = np.stack([sampler.slice(k) for k in picked]) / np.float32(frame.can_grey)
    return grey, voxel, picked.step * frame.voxel_mm[0] / frame.axis[2]


def _from_planes(grey: Image, voxel_mm: float, spacing_mm: float) -> Sheet | str:
    """Of half-planes (nz, nt, nr) on the can's scale."""
    on = grey > HALF
    across, along = chords(grey, axis=2) * voxel_mm, chords(grey, axis=0) * spacing_mm
    middle = _middle_of_outermost(on)[..., None]  # (nz, nt, 1)
    width = np.take_along_axis(across, middle, axis=2)[..., 0]
    height = np.take_along_axis(along, middle, axis=2)[..., 0]
    there = np.isfinite(width)
    # A wall that goes on beyond what was looked at is higher than could be told.
    stands = there & ~(height < STANDING * width)
    lies = there & np.isfinite(height) & (width > LYING * height)
    wall = float(np.median(width[stands])) if stands.any() else 0.0
    lies &= _between(stands, GOES_ON * wall / spacing_mm)
    each = []
    for i in range(grey.shape[1]):
        if lies[:, i].any() and stands[:, i].any():
            near = _near(lies[:, i], INTO_STRAIGHT_MM / spacing_mm) & stands[:, i]
            if near.any():
                w, h = width[lies[:, i], i], height[lies[:, i], i]
                # A sheet that leans is wider and higher than it is thick.
                each.append((np.median(width[near, i]), np.median(h / np.hypot(1.0, h / w))))
    if len(each) < LEAST_ANGLES:
        return NO_BEAD
    standing, lying = np.array(each).T
    if np.median(lying) < LEAST_SLICES * spacing_mm:
        return "the can's sheet is hardly thicker than a slice: how thick it is along the axis does not show"
    ratio = lying / standing
    sigma = max(robust_sd(ratio), 1e-3) / np.sqrt(len(each))
    return Sheet(
        float(np.median(standing)), float(np.median(lying)), float(np.median(ratio)), float(sigma), len(each)
    )


def chords(grey: Image, axis: int) -> Floats:
    """Length in samples, along an axis, of the bright run that each sample lies in, between its half heights.

    NaN where the sample is dark, or its run ends only where the image does.
    """
    grey = np.moveaxis(grey, axis, -1)
    n = grey.shape[-1]
    dark = grey <= HALF
    index = np.arange(n)
    before = np.maximum.accumulate(np.where(dark, index, -1), axis=-1)
    after = np.minimum.accumulate(np.where(dark, index, n)[..., ::-1], axis=-1)[..., ::-1]
    closed = ~dark & (before >= 0) & (after < n)
    a, b = np.where(closed, before, 0), np.where(closed, after, n - 1)

    def at(k: NDArray[np.intp]) -> Floats:
        return np.take_along_axis(grey, k, axis=-1).astype(np.float64)

    with np.errstate(divide="ignore", invalid="ignore"):
        low = a + (HALF - at(a)) / (at(a + 1) - at(a))
        high = b - (HALF - at(b)) / (at(b - 1) - at(b))
        length = np.where(closed, high - low, np.nan)
    return np.moveaxis(length, -1, axis)


def _middle_of_outermost(on: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Index along the last axis of the middle of the outermost bright run; some other where there is none."""
    n = on.shape[-1]
    last = n - 1 - np.argmax(on[..., ::-1], axis=-1)
    dark_before = np.maximum.accumulate(np.where(on, -1, np.arange(n)), axis=-1)
    first = np.take_along_axis(dark_before, last[..., None], axis=-1)[..., 0] + 1
    return np.asarray((np.minimum(first, last) + last) // 2, dtype=np.intp)


def _between(stands: NDArray[np.bool_], samples: float) -> NDArray[np.bool_]:
    """Where a wall stands further down and further up, over so many samples each."""
    below = np.cumsum(stands, axis=0)
    return np.asarray((below >= samples) & (below[-1] - below >= samples))


def _near(lies: NDArray[np.bool_], samples: float) -> NDArray[np.bool_]:
    """Samples within so many of any that lies."""
    at = np.flatnonzero(lies)
    return np.asarray(np.abs(np.arange(lies.size)[:, None] - at).min(axis=1) <= samples)
