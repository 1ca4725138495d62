"""Whether the spacing of the slices fits the voxels within them: told by the cell itself."""

from __future__ import annotations

import dataclasses
import math

from xctrules.core.measurement import Measurement
from xctrules.cylinder.surfaces import CylinderCell
from xctrules_screening import budget
from xctrules_screening.findings import Findings, Judged, absent, judged
from xctrules_screening.levels import LEVELS
from xctrules_screening.sheet import measure_sheet

SCALES = ("screening.slice_spacing", "screening.height_scale")


def scale_figures(cell: CylinderCell) -> Findings:
    """All of :data:`SCALES`."""
    if cell.frame.outer_radius_mm is None:
        return Findings(absent(SCALES, "the scan shows no can"))
    return Findings((_slice_spacing(cell), _height_scale(cell)))


UNEVEN = 0.03
"""Relative difference between the slices' spacing and the voxels in them from which on it needs a witness: a
reconstruction's voxels are cubes, and slices are left out or averaged by whole numbers."""


def unconfirmed_spacing(cell: CylinderCell, found: Findings) -> str | None:
    """A warning where slices are said to lie otherwise than the voxels in them and nothing in view shows it.

    Parameters
    ----------
    found
        Of :func:`scale_figures`.
    """
    along, *across = cell.frame.voxel_mm
    if abs(along / max(across) - 1) <= UNEVEN or len(cell.scan.slices) == 1:
        return None
    if any(figure.measurement.value is not None for figure in found.judged):
        return None
    return (
        f"the slices are said to be {along:.3g} mm apart and the voxels in them {max(across):.3g} mm wide, "
        "and nothing in view shows whether that is so (a bead, or both ends of the cell): every length along "
        "the axis rests on that number alone; see that slices were left out or averaged, and how many"
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
