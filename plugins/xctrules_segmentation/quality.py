"""How far the segmentation can be relied on: ``segmentation.*``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np

from xctrules.core.figures import Figure, Table
from xctrules.core.measurement import Contribution, Measurement, MetricResult
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
        surfaces = cell.surfaces
        found: list[Measurement] = []
        figures: list[Figure] = []
        if surfaces.ends:
            state = np.concatenate([edges.state.ravel() for edges in surfaces.ends.values()])
            due = ~np.isin(state, (NO_FOIL, NO_FACING_CATHODE))
            share = float((state[due] == MEASURED).mean()) if due.any() else 0.0
            n = int(due.sum())
            # A share of n trials; neighbours hang together over about ten angles.
            u = math.sqrt(max(share * (1 - share), 1 / max(n, 1)) / max(n / 10, 1))
            found.append(
                Measurement(
                    "segmentation.coverage", "1", value=share, n=n, budget=(Contribution("counting", u),)
                )
            )
            shifts = [(e.threshold_shift_mm, e.anode_sigma_mm) for e in surfaces.ends.values()]
            # Where too few places were measured, what an edge's noise is cannot be told.
            shifts = [pair for pair in shifts if np.isfinite(pair).all()]
            if shifts:
                worst = max((shift for shift, _ in shifts), key=abs)
                u = sum(sigma for _, sigma in shifts) / len(shifts) / math.sqrt(max(n / 10, 1))
                found.append(
                    Measurement(
                        "segmentation.threshold_sensitivity", "mm", value=worst, n=n,
                        budget=(Contribution("edge noise", u), cell.scale.contribution(worst)),
                    )
                )  # fmt: skip
            rows = tuple(
                (edges.end, *(int((edges.state == i).sum()) for i in range(len(STATE_NAMES))))
                for edges in surfaces.ends.values()
            )
            figures.append(
                Table(
                    id="segmentation-states",
                    title="Places looked at",
                    caption="How many turns and angles were measured, and why the others were not. "
                    "Many places in the last column mean that the scan is too noisy or too coarse.",
                    columns=("end", *STATE_NAMES),
                    rows=rows,
                )
            )
        if surfaces.separability is not None:
            found.append(
                Measurement(
                    "segmentation.separability", "1", value=surfaces.separability,
                    budget=(Contribution("choice of slices", 0.01, type="B"),),
                )
            )  # fmt: skip
        found.append(_agreement(surfaces))
        for end, confidence in surfaces.confidence.items():
            figures += [draw_confidence(end, confidence), draw_example(end, confidence, found[-1].value)]
        have = {m.name for m in found}
        reason = next(iter(surfaces.missing.values()), "no end of the roll is in view")
        absent = [Measurement.absent(n, u, reason) for n, u in self.declares.items() if n not in have]
        return MetricResult(measurements=[*found, *absent], figures=figures, warnings=surfaces.warnings)


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
    planes = agreement.plane_dice
    # Neighbouring half-planes show much the same, as neighbouring angles do.
    spread = float(planes.std(ddof=1)) if planes.size > 1 else 0.0
    u = max(spread, 1e-3) / math.sqrt(max(planes.size / 10, 1))
    return Measurement(
        name,
        unit,
        value=float(np.mean(list(agreement.dice.values()))),
        n=int(planes.size),
        budget=(Contribution("scatter between half-planes", u),),
    )
