"""How far the segmentation can be relied on: ``segmentation.*``."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from xctrules.cell import MEASURED, NO_FACING_CATHODE, NO_FOIL, STATE_NAMES, Cell
from xctrules.measurement import Contribution, Measurement, MetricResult, Table


class SegmentationQuality:
    """Coverage, separability and sensitivity of the segmentation in use."""

    name = "segmentation"
    title = "Segmentation"
    declares: Mapping[str, str] = {
        "segmentation.coverage": "1",
        "segmentation.separability": "1",
        "segmentation.threshold_sensitivity": "mm",
    }

    def measure(self, cell: Cell) -> MetricResult:
        surfaces = cell.surfaces
        found: list[Measurement] = []
        tables = []
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
            shift = np.array([e.threshold_shift_mm for e in surfaces.ends.values()])
            if np.isfinite(shift).any():
                worst = float(shift[np.nanargmax(np.abs(shift))])
                u = float(np.nanmean([e.anode_sigma_mm for e in surfaces.ends.values()])) / math.sqrt(
                    max(n / 10, 1)
                )
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
            tables.append(
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
        have = {m.name for m in found}
        reason = next(iter(surfaces.missing.values()), "no end of the roll is in view")
        absent = [Measurement.absent(n, u, reason) for n, u in self.declares.items() if n not in have]
        return MetricResult(measurements=[*found, *absent], figures=tables, warnings=surfaces.warnings)
