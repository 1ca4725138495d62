"""Where the grey scale ends, and whether layers show at all: what can be told without a followed foil."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xctrules.core.measurement import Measurement
from xctrules.core.robust import noise_along
from xctrules.cylinder.surfaces import CylinderCell, Floats
from xctrules_screening import budget
from xctrules_screening.field import Saturation, saturation
from xctrules_screening.findings import Findings, Judged, absent, judged
from xctrules_screening.levels import APART, LEVELS
from xctrules_screening.sampling import MAX_SLICES, Unrolled, nearest_slices, slice_greys

ROLL_SHARE = (0.2, 0.93)
"""Where the roll lies between axis and can, where none was followed."""

MIDDLE_SHARE = 0.8
"""Share of the heights in view that is looked at: ends of the roll and cone-beam borders are left out."""

RAYS_SHARE = (0.25, 0.9)
"""Part of the radius along which layers are looked for: clear of core, pin and can."""

CLIPPED = ("screening.saturation", "screening.clipped_blacks", "screening.saturated_wall")

HALF = 0.5
"""Of more than half of what is looked at not even the median is known."""

RAYS, ARCS = 360, 72
"""Rays round the cell, and arcs of 5 degrees that they are averaged over."""

SLOW_MM = 0.5
"""What changes more slowly than this along the radius is no layer: it is more than a pitch."""

VALLEY_SHARE = 0.5
"""Depth of the valley between copper and cathode, two of which lie in a turn, over that of the whole wave."""

LEAST_CONTRAST = 0.1
"""Contrast of layers at least, as a share of the can's own."""


def roll_saturation(cell: CylinderCell, roll: Unrolled | None) -> tuple[Findings, Saturation]:
    """All of :data:`CLIPPED`, and the counts behind them."""
    name = "screening.saturation"
    inner, outer = _roll_radii(cell, roll)
    counted = [saturation(cell, inner, outer, part) for part in _parts(cell, roll)]
    grey = max(counted, key=lambda found: found.roll)
    if math.isnan(grey.roll):
        return Findings(absent(CLIPPED, "no voxel lies inside the roll")), grey
    black = _black(min(found.black for found in counted), grey, followed=roll is not None)
    white = (budget.choice_of_slices(grey.wall),)
    wall = Measurement("screening.saturated_wall", "1", value=grey.wall, n=grey.voxels, budget=white)
    if black.value is not None and black.value > HALF:  # all of one grey is no white
        why = "the roll lies at the lower end of the grey scale"
        return Findings((*absent((name,), why), black, judged(wall))), grey
    remark = f"so is {100 * grey.wall:.0f} % of the can's wall" if grey.wall > 0.01 else None
    figure = Measurement(
        name, "1", value=grey.roll, n=grey.voxels, budget=(budget.choice_of_slices(grey.roll),), reason=remark
    )
    return Findings((judged(figure), black, judged(wall))), grey


def _black(share: float, grey: Saturation, *, followed: bool) -> Judged:
    """``screening.clipped_blacks``; without a followed foil what lies inside the can need not be a roll."""
    name = "screening.clipped_blacks"
    figure = Measurement(name, "1", value=share, n=grey.voxels, budget=(budget.choice_of_slices(share),))
    level = LEVELS[name]
    return judged(figure, level if followed else dataclasses.replace(level, reject=HALF))


def _roll_radii(cell: CylinderCell, roll: Unrolled | None) -> tuple[float, float]:
    """Where the roll begins and ends, mm."""
    if roll is None:
        radius = cell.frame.outer_radius_mm or 0.0
        return ROLL_SHARE[0] * radius, ROLL_SHARE[1] * radius
    located = roll.radius_mm[np.isfinite(roll.radius_mm)]
    return float(located.min()), float(located.max())


def _parts(cell: CylinderCell, roll: Unrolled | None) -> Sequence[NDArray[np.intp]]:
    """Slices to count in, each part by itself."""
    if roll is not None:
        return [_roll_slices(cell)]
    # What was taken for the roll need not be it, but it fills one half of the straight can, or both.
    return [half for half in np.array_split(_between(cell, cell.frame.straight_mm), 2) if half.size]


def _roll_slices(cell: CylinderCell) -> NDArray[np.intp]:
    """Slices in which the roll is looked at: where the foil was followed, else the roll's, else the can's."""
    foil = None if cell.segmentation is None else cell.segmentation.foil
    if foil is not None:
        return nearest_slices(cell.frame, foil.z_mm, MAX_SLICES)
    return _between(cell, cell.frame.roll_mm or cell.frame.straight_mm)


def _between(cell: CylinderCell, heights_mm: tuple[float, float] | None) -> NDArray[np.intp]:
    """Slices in the middle of some heights; of all heights where none are given."""
    low, high = heights_mm or (0.0, math.inf)
    z = cell.frame.z_grid_mm()
    middle, half = 0.5 * (low + min(high, z[-1])), 0.5 * MIDDLE_SHARE * (min(high, z[-1]) - low)
    inside = z[np.abs(z - middle) <= max(half, 0.51 * cell.frame.voxel_mm[0])]
    return nearest_slices(cell.frame, inside if inside.size else z, MAX_SLICES)


def why_no_layers(cell: CylinderCell, dark_grey: float) -> str | None:
    """A rejection where the noise hides the layers; ``None`` where there may be none to see, or they show.

    Layers are hidden when what changes along the radius is no more than what changes from one arc to the
    next, and when layers, had there been any, would not have shown.
    """
    if cell.frame.outer_radius_mm is None:
        return None
    fine = _fine_pattern(cell, cell.frame.outer_radius_mm)
    if fine.size == 0 or not np.isfinite(fine).any():
        return None
    noise = noise_along(fine.T, wrap=True)
    pattern = math.sqrt(max(float(np.nanmean(fine**2)) - noise**2, 0.0))
    shows = APART * math.sqrt(2) * noise
    # A wave's valley is sqrt(8) of its standard deviation deep.
    if VALLEY_SHARE * math.sqrt(8) * pattern > shows:
        return None
    if shows < LEAST_CONTRAST * (cell.frame.can_grey - dark_grey):
        return None
    return (
        "no electrode layers stand out from the noise inside the can, even averaged over arcs of 5 degrees; "
        f"cure: {LEVELS['screening.layer_separation'].cure}"
    )


def _fine_pattern(cell: CylinderCell, outer_mm: float) -> Floats:
    """What changes fast along the radius, (narcs, nr): means over slices and arcs, less their slow part."""
    frame = cell.frame
    voxel = max(frame.voxel_mm[1:])
    r = np.arange(*RAYS_SHARE, 0.5 * voxel / outer_mm) * outer_mm
    theta = np.arange(RAYS, dtype=np.float64) * (360.0 / RAYS)
    rays = np.broadcast_to(r, (RAYS, r.size))
    mean = np.mean([slice_greys(cell.scan, frame, int(k), theta, rays) for k in _roll_slices(cell)], axis=0)
    arcs = mean.reshape(ARCS, RAYS // ARCS, r.size).mean(axis=1).astype(np.float64)
    width = max(3, round(SLOW_MM / (r[1] - r[0])) | 1)
    kernel = np.ones(width) / width
    fine = arcs - np.stack([np.convolve(arc, kernel, mode="same") for arc in arcs])
    return np.asarray(fine[:, width:-width])
