"""Whether all of the can is in view, on one axis, and of the size that the spec expects."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from xctrules.core.measurement import Measurement
from xctrules.cylinder.outline import OUTLINE_ANGLES
from xctrules.cylinder.surfaces import CylinderCell
from xctrules_screening import budget
from xctrules_screening.field import truncation
from xctrules_screening.findings import Findings, Judged, absent, judged
from xctrules_screening.levels import (
    AXIS_RESIDUAL_WARN_VOXELS,
    LEVELS,
    VOXEL_SCALE_REJECT,
    VOXEL_SCALE_WARN,
)

GEOMETRIC = ("screening.truncation", "screening.axis_residual", "screening.voxel_scale")

LEAST_SLICES = 4
"""Slices whose centres a line is held against: two more than it has unknowns."""


def geometric_figures(cell: CylinderCell) -> Findings:
    """All of :data:`GEOMETRIC`."""
    if cell.frame.outer_radius_mm is None:
        return Findings(absent(GEOMETRIC, "the scan shows no can"))
    return Findings((_truncation(cell), *_axis_residual(cell), *_voxel_scale(cell)))


def _truncation(cell: CylinderCell) -> Judged:
    lines = (budget.directions_looked_at(OUTLINE_ANGLES),)
    return judged(
        Measurement("screening.truncation", "1", value=truncation(cell), n=OUTLINE_ANGLES, budget=lines)
    )


def _axis_residual(cell: CylinderCell) -> tuple[Judged, ...]:
    name, frame = "screening.axis_residual", cell.frame
    low, high = frame.straight_mm or (0.0, 0.0)
    slices = (high - low) / frame.voxel_mm[0]
    if slices < LEAST_SLICES:
        return absent((name,), "fewer than four slices of straight can are in view")
    voxel, value = max(frame.voxel_mm[1:]), frame.axis_residual_mm
    lines = (
        budget.number_of_slices(value, slices),
        cell.scale.contribution(value),
        budget.location_of_the_outlines(voxel),
    )
    level = dataclasses.replace(LEVELS[name], warn=AXIS_RESIDUAL_WARN_VOXELS * voxel)
    return (judged(Measurement(name, "mm", value=value, n=int(slices), budget=lines), level),)


def _voxel_scale(cell: CylinderCell) -> tuple[Judged, ...]:
    """Measured over nominal outer diameter; its distance from 1 is judged."""
    name = "screening.voxel_scale"
    nominal = cell.nominal.get("outer_diameter")
    if not nominal:
        return absent((name,), "the spec gives no nominal outer diameter")
    diameter = _outer_diameter(cell)
    ratio = diameter / nominal
    level = dataclasses.replace(
        LEVELS[name],
        warn=VOXEL_SCALE_WARN,
        reject=VOXEL_SCALE_REJECT,
        meaning=f"the can measures {diameter:.2f} mm, the spec's nominal diameter is {nominal:g} mm: is "
        "this the right spec, and the right voxel size?",
    )
    lines = (
        cell.scale.contribution(ratio),
        budget.location_of_the_edge(max(cell.frame.voxel_mm[1:]), nominal),
    )
    return (judged(Measurement(name, "1", value=ratio, budget=lines), level, away=abs(ratio - 1)),)


def _outer_diameter(cell: CylinderCell) -> float:
    """Of the segmented can, mm; the frame's rough one where there is none."""
    can = None if cell.segmentation is None else cell.segmentation.can
    if can is not None and can.straight.any() and np.isfinite(can.outer_mm[can.straight]).any():
        return 2 * float(np.nanmean(can.outer_mm[can.straight]))
    return 2 * (cell.frame.outer_radius_mm or math.nan)
