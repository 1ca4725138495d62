"""How far the segmentation can be relied on: ``segmentation.*``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xctrules.core.figures import Figure, Table
from xctrules.core.measurement import Measurement, MetricResult, Scale
from xctrules.core.names import Description
from xctrules.cylinder.frame import GEOMETRY
from xctrules.cylinder.surfaces import (
    MEASURED,
    NO_FACING_CATHODE,
    NO_FOIL,
    STATE_NAMES,
    CylinderCell,
    Segmentation,
)
from xctrules_segmentation import budget
from xctrules_segmentation.confidence_figures import draw_confidence, draw_example

DESCRIPTIONS: Mapping[str, Description] = {
    "segmentation.coverage": Description("1", "Coverage", "share of turns and angles segmented", "larger"),
    "segmentation.separability": Description(
        "1", "Separability", "between-class over total grey variance", "larger"
    ),
    "segmentation.threshold_sensitivity": Description(
        "mm", "Threshold sensitivity", "change of mean overhang for a 10 % shift of the edge criterion",
        "nominal",
    ),
    "segmentation.agreement": Description(
        "1", "Agreement", "Dice score against the classical segmenter", "larger"
    ),
}  # fmt: skip


class SegmentationQuality:
    """Coverage, separability and sensitivity of the segmentation in use."""

    geometry = GEOMETRY
    about_the_scan: Literal[True] = True
    name = "segmentation"
    title = "Segmentation"
    describes: Mapping[str, Description] = DESCRIPTIONS
    declares: Mapping[str, str] = {name: d.unit for name, d in DESCRIPTIONS.items()}

    def measure(self, cell: CylinderCell) -> MetricResult:
        """All that can be said of the segmentation in use, and the states of all places looked at."""
        surfaces = cell.surfaces
        agreement = _agreement(surfaces)
        found = [
            *_coverage(surfaces),
            *_threshold_sensitivity(surfaces, cell.scale),
            *_separability(surfaces),
            agreement,
        ]
        figures: list[Figure] = [_states(surfaces)] if surfaces.ends else []
        for end, confidence in surfaces.confidence.items():
            figures += [draw_confidence(end, confidence), draw_example(end, confidence, agreement.value)]
        have = {m.name for m in found}
        reason = next(iter(surfaces.missing.values()), "no end of the roll is in view")
        absent = [Measurement.absent(n, u, reason) for n, u in self.declares.items() if n not in have]
        return MetricResult(measurements=[*found, *absent], figures=figures, warnings=surfaces.warnings)


def _due(surfaces: Segmentation) -> NDArray[np.int8]:
    """States (n,) of the places where an overhang was to be measured: all but those without foil or facing
    cathode."""
    state = np.concatenate([edges.state.ravel() for edges in surfaces.ends.values()])
    return np.asarray(state[~np.isin(state, (NO_FOIL, NO_FACING_CATHODE))])


def _coverage(surfaces: Segmentation) -> list[Measurement]:
    if not surfaces.ends:
        return []
    due = _due(surfaces)
    share = float((due == MEASURED).mean()) if due.size else 0.0
    line = budget.counting(share, due.size)
    return [Measurement("segmentation.coverage", "1", value=share, n=due.size, budget=(line,))]


def _threshold_sensitivity(surfaces: Segmentation, scale: Scale) -> list[Measurement]:
    """Change of an overhang with the edge criterion, at the end where it is larger."""
    shifts = [(e.threshold_shift_mm, e.anode_sigma_mm) for e in surfaces.ends.values()]
    # Where too few places were measured, what an edge's noise is cannot be told.
    shifts = [pair for pair in shifts if np.isfinite(pair).all()]
    if not shifts:
        return []
    n = _due(surfaces).size
    worst = max((shift for shift, _ in shifts), key=abs)
    lines = (budget.edge_noise([sigma for _, sigma in shifts], n), scale.contribution(worst))
    return [Measurement("segmentation.threshold_sensitivity", "mm", value=worst, n=n, budget=lines)]


def _separability(surfaces: Segmentation) -> list[Measurement]:
    if surfaces.separability is None:
        return []
    lines = (budget.choice_of_slices(),)
    return [Measurement("segmentation.separability", "1", value=surfaces.separability, budget=lines)]


def _agreement(surfaces: Segmentation) -> Measurement:
    name, unit = "segmentation.agreement", "1"
    agreement = surfaces.agreement
    if agreement is None:
        usual = {
            "classical": "only the classical segmenter ran",
            "labels": "the labels were brought in: no segmenter ran",
        }
        reason = usual.get(surfaces.segmenter, f"the segmenter {surfaces.segmenter} compared nothing")
        return Measurement.absent(name, unit, surfaces.missing.get("agreement", reason))
    value = float(np.mean(list(agreement.dice.values())))
    lines = (budget.scatter_between_half_planes(agreement.plane_dice),)
    return Measurement(name, unit, value=value, n=int(agreement.plane_dice.size), budget=lines)


def _states(surfaces: Segmentation) -> Table:
    return Table(
        id="segmentation-states",
        title="Places looked at",
        caption="How many turns and angles were measured, and why the others were not. "
        "Many places in the last column mean that the scan is too noisy or too coarse.",
        columns=("end", *STATE_NAMES),
        rows=tuple(
            (edges.end, *(int((edges.state == i).sum()) for i in range(len(STATE_NAMES))))
            for edges in surfaces.ends.values()
        ),
    )
