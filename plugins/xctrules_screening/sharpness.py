"""Sharpness of the scan, and whether it is fine enough for the layers."""

from __future__ import annotations

import dataclasses
import math

from xctrules.core.measurement import Measurement
from xctrules.cylinder.surfaces import CanSurface, CylinderCell
from xctrules_screening import budget
from xctrules_screening.edge import TEN_TO_NINETY, EdgeFit, Heights, by_height, fit_edge
from xctrules_screening.figures import edge_chart
from xctrules_screening.findings import Findings, Judged, absent, judged
from xctrules_screening.levels import LEVELS
from xctrules_screening.sampling import edge_band

NAMES = ("screening.resolution", "screening.cone_beam_index")

LEAST_VOXELS_A_TURN = 4
"""Two layers in each turn need four voxels (Nyquist)."""

GOOD_VOXELS_A_TURN = 8
"""The cure asks for twice as many."""

DIP, CLEAR_DIP = 2.0, 2.8
"""Lines d apart show a dip while their blur is below d over the first (Sparrow), a clear one of 26 % while it
is below d over the second (Rayleigh)."""

SHORT_VIEW = 0.25
"""Height in view over diameter below which a cone beam looks the same everywhere: its rays rise by less than
a few degrees over it."""


def sharpness(cell: CylinderCell, pitch_mm: float, saturated: bool) -> Findings:
    """All of :data:`NAMES`; ``saturated`` says whether the can's wall is."""
    coarse = _too_coarse(max(cell.frame.voxel_mm[1:]), pitch_mm)
    rejections = () if coarse is None else (coarse,)
    can = None if cell.segmentation is None else cell.segmentation.can
    band = None if can is None else edge_band(cell, can)
    fit = None if band is None else fit_edge(band)
    if can is None or band is None or fit is None:
        reason = "" if cell.segmentation is None else cell.segmentation.missing.get("can", "")
        return Findings(absent(NAMES, reason or "the can's outer edge is not in view"), rejections=rejections)
    heights = by_height(band)
    profiles = int(band.grey.shape[0] * band.grey.shape[1])
    return Findings(
        (_resolution(cell, can, fit, heights, profiles, pitch_mm, saturated), *_cone_beam(cell, heights)),
        figures=(edge_chart(fit),),
        rejections=rejections,
    )


def _too_coarse(voxel_mm: float, pitch_mm: float) -> str | None:
    """A rejection where voxels cannot show two layers in each turn."""
    if voxel_mm <= pitch_mm / LEAST_VOXELS_A_TURN:
        return None
    return (
        f"voxels of {voxel_mm:.3g} mm cannot show two layers in each turn of {pitch_mm:.3g} mm: four voxels "
        "a turn are the least (Nyquist); cure: scan with voxels of "
        f"{pitch_mm / GOOD_VOXELS_A_TURN:.2g} mm or less"
    )


def _resolution(
    cell: CylinderCell,
    can: CanSurface,
    fit: EdgeFit,
    heights: Heights | None,
    profiles: int,
    pitch_mm: float,
    saturated: bool,
) -> Judged:
    """10-90 % width of the can's outer edge; copper and cathode are half a pitch apart."""
    apart = pitch_mm / 2
    level = dataclasses.replace(
        LEVELS["screening.resolution"],
        warn=TEN_TO_NINETY * apart / CLEAR_DIP,
        reject=TEN_TO_NINETY * apart / DIP,
    )
    lines = (
        budget.fit_of_the_edge(fit.width_sigma_mm),
        budget.model_of_the_wall(fit.width_mm, TEN_TO_NINETY * can.blur_mm, saturated),
        cell.scale.contribution(fit.width_mm),
    )
    told = None
    if saturated:
        told = "the can's wall is saturated, which makes its edge look sharper"
    elif heights is not None:
        each = ", ".join(f"{width:.3f}" for width in heights.width_mm)
        told = f"by height (first, middle, last third in view): {each}"
    figure = Measurement(
        "screening.resolution", "mm", value=fit.width_mm, n=profiles, budget=lines, reason=told
    )
    return judged(figure, level)


def _cone_beam(cell: CylinderCell, heights: Heights | None) -> tuple[Judged, ...]:
    name = "screening.cone_beam_index"
    low, high = cell.frame.straight_mm or (0.0, 0.0)
    diameter = 2 * (cell.frame.outer_radius_mm or math.inf)
    if heights is None or high - low < SHORT_VIEW * diameter:
        # Not the straight can of the scope, which is traced slice by slice and ends where a bead begins.
        over = f"the cell's axis was found over {high - low:.1f} mm of height"
        return absent((name,), f"{over}, too few for the beam's cone to tell")
    lines = (budget.fits_of_the_edge(heights.index_sigma),)
    return (judged(Measurement(name, "1", value=heights.index, n=len(heights.width_mm), budget=lines)),)
