"""What the report shows of the scan's quality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xctrules.core.figures import LineChart, Table
from xctrules.cylinder.surfaces import Floats
from xctrules_screening.edge import EdgeFit
from xctrules_screening.findings import Judged
from xctrules_screening.layers import Layers
from xctrules_screening.sampling import Unrolled


def levels_table(figures: Sequence[Judged]) -> Table:
    """Each figure with its levels."""
    return Table(
        id="screening-levels",
        title="Figures of the scan and their levels",
        caption="Each figure is taken inside the can. A warning leaves the verdict standing; a rejected "
        "figure makes it SCAN_REJECTED. docs/screening.md defines each and derives its levels.",
        columns=("figure", "value", "unit", "± (95 %)", "warns", "rejects", "judgement"),
        rows=tuple(_row(figure) for figure in figures),
    )


def _row(figure: Judged) -> tuple[Any, ...]:
    m, level = figure.measurement, figure.level
    name = m.name.removeprefix("screening.").replace("_", " ")
    if m.value is None or level is None:
        return name, None, m.unit, None, None, None, figure.judgement
    limits: list[str | None] = []
    for limit in (level.warn, level.reject):
        if limit is None:
            limits.append(None)
        elif m.name in ("screening.voxel_scale", "screening.height_scale"):
            limits.append(f"off by > {100 * limit:.3g} %")
        elif m.name == "screening.slice_spacing":
            limits.append(f"off by a factor > {limit:.3g}")
        else:
            limits.append(f"{'<' if level.bad == 'low' else '>'} {limit:.3g}")
    return name, m.value, m.unit, m.expanded_uncertainty, *limits, figure.judgement


def cupping_chart(radius_mm: Floats, cathode: Floats, gap_grey: float, cupping: float) -> LineChart:
    """The cathode's grey (nturns,) against the radius."""
    return LineChart(
        id="screening-cupping",
        title="Cathode's grey level from turn to turn",
        caption="Middle of the cathode coating, the same material in every turn. A sound scan gives a "
        "level line; one that sags towards the centre shows beam hardening (cupping), one that rises "
        "there shows it overcorrected.",
        alt=f"Grey level of the cathode against radius; inner third {100 * cupping:.1f} % below outer.",
        series=(
            ("cathode", "cathode", radius_mm, cathode),
            ("gap beside it", "note", radius_mm, np.full(radius_mm.size, gap_grey)),
        ),
        x_label="Radius (mm)",
        y_label="Grey level",
    )


def edge_chart(fit: EdgeFit) -> LineChart:
    return LineChart(
        id="screening-edge",
        title="The can's outer edge",
        caption="Mean grey level across the wall, from inside (left) to outside (right), with the blurred "
        "slab that was fitted to it. The steeper the flank on the right, the sharper the scan; a line that "
        "does not follow the dots means that the width should not be trusted.",
        alt=f"Edge profile of the can; its 10 to 90 % width is {fit.width_mm:.3f} mm.",
        series=(
            ("scan", "can", fit.away_mm, fit.profile),
            ("fit", "fit", fit.away_mm, fit.fitted),
        ),
        x_label="Distance from the outer surface (mm)",
        y_label="Grey level",
    )


def turn_chart(roll: Unrolled, layers: Layers) -> LineChart:
    def level(grey: float) -> tuple[Floats, Floats]:
        return np.array([0.0, 1.0]), np.array([grey, grey])

    return LineChart(
        id="screening-turn",
        title="One turn, averaged over the roll",
        caption="From one turn's copper (0) to the next one's (1). The cathode shows as the broad rise in "
        "the middle. Both valleys beside it should be clear; where they fill up, layers run into one.",
        alt="Mean grey level from copper to copper, with the levels of cathode and gap.",
        series=(
            ("mean of all turns", "anode", roll.phase, layers.profile),
            ("cathode", "cathode", *level(layers.cathode_grey)),
            ("gap", "note", *level(layers.gap_grey)),
        ),
        x_label="Place in the turn",
        y_label="Grey level",
    )
