"""What of the roll no followed foil explains: layers beyond the last turn, gaps between turns, a filled core.

The cross-section of the roll, from its middle to the can, is sampled at the heights at which the foil was
followed and averaged over them. Around each turn of the foil lies its own layer, half a pitch either way.
What is left over is free space where it is dark. Where it is as bright as the electrodes, taken over a layer,
there are layers that nobody followed; and where two neighbouring turns lie further apart than a layer is
thick, one is missing between them, or they have come apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from xctrules.core.ledger import Ledger, Place
from xctrules.core.measurement import Measurement
from xctrules.cylinder.surfaces import CylinderCell, Floats, FoilTrace
from xctrules_winding import budget
from xctrules_winding.seat import can_gap
from xctrules_winding.slips import slipped

COMPLETENESS = "winding.completeness"
PART = "roll cross-section"

HEIGHTS = 12
"""Heights that are averaged, evenly over those at which the foil was followed: layers stay, noise goes."""

OWN_LAYER = 0.75
"""How far a turn's own layer reaches to either side of the copper, in pitches: half a pitch of anode, and the
quarter by which real turns stray."""

WIDEST_STEP = 1.5
"""Distance between neighbouring turns, in pitches, from which a layer is missing between them or they have
come apart: half way between one pitch and two."""

EDGE_VOXELS = 3
"""What lies nearer than this to the can, or to a metal part, is its blur."""

ELECTRODE_SHARE = 0.6
"""Share of the way from the darkest grey in the can to the mean of the followed roll from which something is
as bright as electrodes."""

METAL_SHARE, METAL_MM = 0.7, 0.1
"""Share of the can's own grey, and thickness, from which something is a metal part such as a centre pin, and
no layer: the copper of a layer is ten times thinner."""

LEAST_LAYER = 0.5
"""Thinnest strip, in pitches, that can be a layer: half a turn holds one electrode."""

APART = "neighbouring turns lie further apart than a layer is thick"

SLIPPED = "the followed line steps from one layer onto another and back, as where the foil is missing"

ALLOWED_MM2 = 1.0
"""Largest place with which a cell may still pass: some 3 mm along one layer."""


def completeness(ledger: Ledger | None, voxel_mm: float) -> Measurement:
    """``winding.completeness``: the largest region that no layer explains, 0 where there is none."""
    if ledger is None:
        return Measurement.absent(COMPLETENESS, "mm2", "the scan shows no greys between core and can")
    largest = max(ledger.unexplained, key=lambda place: place.extent, default=None)
    area = 0.0 if largest is None else largest.extent
    line = budget.rim_of_an_unexplained_region(area, voxel_mm)
    return Measurement(
        COMPLETENESS, "mm2", value=area, budget=(line,), worst_at=None if largest is None else largest.at,
        reason=None if largest is None else f"{largest.reason}",
    )  # fmt: skip


@dataclass(frozen=True)
class _Section:
    """The cross-section in polar coordinates, (nt, nr): greys, and the area of one sample."""

    theta_deg: Floats
    r_mm: Floats
    grey: Floats
    area_mm2: Floats


def unfollowed(cell: CylinderCell, foil: FoilTrace, pitch_mm: float) -> Ledger | None:
    """The roll's account; ``None`` where the scan has no greys, or no can, to look at."""
    can, frame = cell.surfaces.can, cell.frame
    if cell.settings.mask_of is not None or cell.labels is not None or can is None:
        return None
    radius = np.nanmedian(foil.radius_mm, axis=0)
    gap = np.nanmedian(can_gap(foil, can), axis=0)
    last = np.nanmax(radius, axis=0)
    wall = last + gap
    if not np.isfinite(wall).any() or not math.isfinite(pitch_mm):
        return None
    wall = np.where(np.isfinite(wall), wall, np.nanmedian(wall))
    section = _section(cell, foil, float(np.nanmax(wall)))
    voxel = max(frame.voxel_mm[1:])
    inside = section.r_mm[None, :] < wall[:, None] - EDGE_VOXELS * voxel
    own, apart = _by_turn(radius, section.r_mm, pitch_mm)
    dark = float(np.nanpercentile(section.grey[inside], 1.0))
    roll = float(np.nanmean(section.grey[own & inside])) if (own & inside).any() else dark
    level, metal = dark + ELECTRODE_SHARE * (roll - dark), dark + METAL_SHARE * (frame.can_grey - dark)
    slips = _own(np.where(slipped(radius, pitch_mm), radius, np.nan), section.r_mm, pitch_mm) & inside
    layers = _bright_layers(section, inside & ~own & ~apart, level, metal, pitch_mm)
    places = [
        *_places(section, layers, "layers lie that no followed foil explains"),
        *_places(section, apart & inside, APART),
        *(_with_turn(place, foil, radius) for place in _places(section, slips, SLIPPED)),
    ]
    total = np.where(inside, section.area_mm2[None, :], 0.0)
    free = float(total[inside & ~own & ~apart & ~layers].sum())
    return Ledger(
        PART, "mm2", float(total.sum()), float(total[own & inside & ~slips].sum()), ALLOWED_MM2,
        {"free space in the core and before the can": free}, tuple(places),
    )  # fmt: skip


def _section(cell: CylinderCell, foil: FoilTrace, outermost_mm: float) -> _Section:
    frame = cell.frame
    voxel = max(frame.voxel_mm[1:])
    r = np.arange(voxel, outermost_mm, voxel)
    pick = np.unique(np.linspace(0, foil.z_mm.size - 1, min(HEIGHTS, foil.z_mm.size)).round().astype(int))
    total = np.zeros((foil.theta_deg.size, r.size))
    for z in foil.z_mm[pick]:
        total += frame.cylinder(cell.scan, np.array([z]), foil.theta_deg, r)[0]
    width = math.radians(360.0 / foil.theta_deg.size)
    return _Section(foil.theta_deg, r, total / pick.size, r * width * voxel)


def _by_turn(radius: Floats, r: Floats, pitch_mm: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Samples that belong to a turn's own layer, and those between two turns that lie too far apart."""
    own = _own(radius, r, pitch_mm)
    apart = np.zeros_like(own)
    for column in range(radius.shape[1]):
        turns = radius[:, column]
        turns = np.sort(turns[np.isfinite(turns)])
        for low, high in pairwise(turns):
            if high - low > WIDEST_STEP * pitch_mm:
                apart[column] |= (r > low + 0.5 * pitch_mm) & (r < high - 0.5 * pitch_mm)
    return own & ~apart, apart


def _own(radius: Floats, r: Floats, pitch_mm: float) -> NDArray[np.bool_]:
    """Samples (nt, nr) that lie in the layer of one of the turns (nturns, nt)."""
    own = np.zeros((radius.shape[1], r.size), dtype=bool)
    for turn in radius:
        with np.errstate(invalid="ignore"):
            own |= np.abs(r[None, :] - turn[:, None]) < OWN_LAYER * pitch_mm
    return own


def _bright_layers(
    section: _Section, left: NDArray[np.bool_], level: float, metal: float, pitch_mm: float
) -> NDArray[np.bool_]:
    """Where what is left is as bright as the electrodes in the mean over a layer, away from metal parts.

    Parameters
    ----------
    left : (nt, nr) bool
        Samples that belong to no turn.
    level, metal
        Greys from which something is as bright as electrodes, and as metal.
    """
    from scipy.ndimage import binary_dilation, binary_opening, uniform_filter1d

    step = float(section.r_mm[1] - section.r_mm[0])
    layer, part, thick = (max(1, round(mm / step)) for mm in (pitch_mm, LEAST_LAYER * pitch_mm, METAL_MM))
    parts = binary_opening(section.grey > metal, np.ones((1, thick), dtype=bool))
    left = left & ~binary_dilation(parts, np.ones((1, 2 * EDGE_VOXELS + 1), dtype=bool))
    share = uniform_filter1d(left.astype(float), layer, axis=1, mode="constant")
    total = uniform_filter1d(np.where(left, section.grey, 0.0), layer, axis=1, mode="constant")
    bright = left & (total > level * share)
    return np.asarray(binary_opening(bright, np.ones((1, part), dtype=bool)))


def _places(section: _Section, mask: NDArray[np.bool_], reason: str) -> list[Place]:
    """Connected places of a mask over (theta, r); the last angle is the first one's neighbour."""
    from scipy.ndimage import label

    labels, _ = label(mask)
    for first, last in zip(labels[0], labels[-1], strict=True):
        if first and last and first != last:
            labels[labels == last] = first
    found = []
    for value in np.unique(labels[labels > 0]):
        rows, columns = np.nonzero(labels == value)
        turned = np.deg2rad(section.theta_deg[rows])
        middle = math.degrees(math.atan2(np.sin(turned).mean(), np.cos(turned).mean())) % 360.0
        at = {"r_mm": float(section.r_mm[columns].mean()), "theta_deg": middle}
        found.append(Place(float(section.area_mm2[columns].sum()), at, reason))
    return found


def _with_turn(place: Place, foil: FoilTrace, radius: Floats) -> Place:
    """A place of the cross-section with the number of the turn whose foil (nturns, nt) is the nearest."""
    column = int(np.argmin(np.abs(np.asarray(foil.theta_deg) - place.at["theta_deg"])))
    away = np.abs(radius[:, column] - place.at["r_mm"])
    return (
        replace(place, at={**place.at, "turn": int(np.nanargmin(away))}) if np.isfinite(away).any() else place
    )
