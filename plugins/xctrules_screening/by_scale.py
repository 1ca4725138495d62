"""Whether the spacing of the slices fits the voxels within them: told by the cell itself."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from xctrules.core.measurement import Measurement
from xctrules.cylinder.surfaces import CylinderCell
from xctrules_screening import budget
from xctrules_screening.findings import Findings, Judged, absent, judged
from xctrules_screening.levels import LEVELS
from xctrules_screening.sheet import measure_sheet

SCALES = ("screening.slice_spacing", "screening.height_scale")

CUBE = 0.02
"""Relative difference of the slices' distance from the width of the voxels within them up to which these are
cubes: sizes are written with two digits at least. It would change an overhang of 0.6 mm by 0.012 mm."""


def scale_figures(cell: CylinderCell) -> Findings:
    """All of :data:`SCALES`."""
    if cell.frame.outer_radius_mm is None:
        return Findings(absent(SCALES, "the scan shows no can"))
    figures = _slice_spacing(cell), _height_scale(cell)
    doubt = doubted_spacing(cell, figures)
    return Findings(figures, rejections=(doubt,) if doubt else ())


def doubted_spacing(cell: CylinderCell, figures: Sequence[Judged]) -> str | None:
    """Why a distance between slices is not believed; ``None`` where nothing speaks against it.

    Reconstructions have voxels that are cubes. Slices are apart by more or less than that where some were
    left out, averaged or drawn in between, or where somebody made a mistake. Which it is, ``slice_step`` of
    the acquisition says, or the cell itself: a sheet's thickness, or a height, that is nearer to what it must
    be with the distance as it was given than with that of cubes.
    """
    dz, dy, dx = cell.frame.voxel_mm
    width = math.sqrt(dy * dx)
    step = dz / width
    told = cell.scan.acquisition.get("slice_step")
    if told is not None:
        return None if _alike(step, float(told)) else _not_as_told(dz, width, float(told))
    if _alike(step, 1.0):
        return None
    ratios = [f.measurement.value for f in figures if f.measurement.value is not None]
    if any(abs(math.log(ratio)) < abs(math.log(ratio / step)) for ratio in ratios):
        return None
    shown = "the cell itself fits cubes better" if ratios else "nothing in view shows how far apart they are"
    return (
        f"the spacing of the slices is given as {dz:.2g} mm, {step:.2f} times the width of the voxels within "
        f"them, {width:.2g} mm: a reconstruction's voxels are cubes, and {shown}; cure: check the voxel size "
        f"along z; where slices were left out or averaged, say in acquisition.yaml slice_step: {step:.4g}"
    )


def _alike(a: float, b: float) -> bool:
    return abs(math.log(a / b)) <= CUBE


def _not_as_told(dz: float, width: float, told: float) -> str:
    return (
        f"the spacing of the slices is given as {dz:.2g} mm, but a slice_step of {told:.4g} makes it "
        f"{told * width:.2g} mm with voxels {width:.2g} mm wide; cure: correct the one that is wrong"
    )


def _slice_spacing(cell: CylinderCell) -> Judged:
    """Thickness of the can's sheet along the axis over that across it; its factor from 1 is judged."""
    name = SCALES[0]
    sheet = measure_sheet(cell.scan, cell.frame)
    if isinstance(sheet, str):
        return absent((name,), sheet)[0]
    given = cell.frame.voxel_mm[0]
    level = dataclasses.replace(
        LEVELS[name],
        meaning=f"at the bead the can's sheet is {sheet.lying_mm:.2f} mm thick along the axis and "
        f"{sheet.standing_mm:.2f} mm across it: are the slices {given / sheet.ratio:.2g} mm apart, not "
        f"{given:.2g}?",
    )
    lines = (
        budget.scatter_between_half_planes(sheet.sigma),
        budget.forming_of_the_sheet(sheet.ratio),
    )
    m = Measurement(name, "1", value=sheet.ratio, n=sheet.angles, budget=lines)
    return judged(m, level, away=math.exp(abs(math.log(sheet.ratio))))


def _height_scale(cell: CylinderCell) -> Judged:
    """Height of the cell in view over the nominal one, where both ends are seen.

    Where more is in view than a cell is high, one end is enough.
    """
    name = SCALES[1]
    frame, nominal = cell.frame, cell.nominal.get("height")
    if not nominal:
        return absent((name,), "the spec gives no nominal height")[0]
    low, high = frame.seen_mm or (0.0, 0.0)
    level, ratio = LEVELS[name], (high - low) / nominal
    if len(frame.ends) < 2 and ratio < 1 + (level.reject or 0.0):
        return absent((name,), "only a part of the cell's height is in view")[0]
    level = dataclasses.replace(
        level,
        meaning=f"the cell is {high - low:.1f} mm high, the spec's nominal height is {nominal:g} mm: "
        "is this the right spec, and the right spacing of the slices?",
    )
    lines = (
        cell.scale.contribution(ratio),
        budget.slices_at_the_ends(frame.voxel_mm[0] / nominal),
    )
    return judged(Measurement(name, "1", value=ratio, budget=lines), level, away=abs(ratio - 1))
