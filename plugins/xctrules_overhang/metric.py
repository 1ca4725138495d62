"""The overhang metric: ``overhang.*`` for all ends in view together and for each of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.core.figures import Samples
from xctrules.core.ledger import Ledger
from xctrules.core.measurement import Measurement, MetricResult
from xctrules.core.names import Description
from xctrules.cylinder.frame import GEOMETRY, End
from xctrules.cylinder.surfaces import MEASURED, STATE_NAMES, CylinderCell
from xctrules_overhang import figures
from xctrules_overhang.account import COMPLETENESS, PARTS, account, completeness
from xctrules_overhang.end_values import LEAST_STEPS, EndValues
from xctrules_overhang.lengths import stated_length_mm
from xctrules_overhang.statistics import BASE_TABLE, STATISTICS, TABLE, Ends, named, statistics
from xctrules_overhang.unseen import nothing_measured

ENDS: tuple[End, ...] = ("top", "bottom")


def _at(end: End) -> dict[str, Description]:
    """The statistics of one end, by name."""
    return {
        f"overhang.{end}.{statistic}": dataclasses.replace(
            d, title=f"{d.title}, {end} end", meaning=f"{d.meaning}, {end} end"
        )
        for statistic, d in STATISTICS.items()
    }


DESCRIPTIONS: Mapping[str, Description] = {
    **{f"overhang.{statistic}": description for statistic, description in STATISTICS.items()},
    **_at("top"),
    **_at("bottom"),
    COMPLETENESS: Description(
        "mm",
        "Longest unexplained stretch",
        "longest stretch along the foil in which an electrode's edge was neither measured nor explained",
        "smaller",
        zero_when_good=True,
    ),
}


class OverhangMetric:
    """Signed distance from the cathode's edge to the anode's, at every turn and angle and both ends."""

    geometry = GEOMETRY
    name = "overhang"
    title = "Electrode overhang"
    describes: Mapping[str, Description] = DESCRIPTIONS
    declares: Mapping[str, str] = {name: d.unit for name, d in DESCRIPTIONS.items()}
    parts = tuple(PARTS.values())
    # Where most layers run into one, an edge found may be any layer's. Rings do not average out from slice
    # to slice as noise does: from 0.6 of it on, one that lies along a turn moves that turn's edge by voxels.
    needs: Mapping[str, tuple[float | None, float | None]] = {
        "screening.layer_separation": (0.5, None),
        "screening.ring_index": (None, 0.6),
    }

    def measure(self, cell: CylinderCell) -> MetricResult:
        """Statistics, figures, every single value, and the account of every end in view.

        Raises
        ------
        NotMeasurable
            Where no end is in view, with the reason.
        """
        ends = _measured_ends(cell)
        absent = {end: _why_absent(cell, end) for end in ENDS if end not in ends}
        accounts = _accounts(cell)
        if not ends and not accounts:
            reasons = dict.fromkeys(reason for reason in absent.values() if "not in view" not in reason)
            raise NotMeasurable("; ".join(reasons) or "no end of the electrode roll is in view")
        together = (
            statistics(Ends.of(cell, list(ends.values())))
            if ends
            else _all_absent("; ".join(dict.fromkeys(absent.values())))
        )
        found = named(together, "overhang.")
        for end in ENDS:
            here = statistics(Ends.of(cell, [ends[end]])) if end in ends else _all_absent(absent[end])
            found += named(here, f"overhang.{end}.")
        return MetricResult(
            measurements=[*found, completeness(accounts)],
            figures=[figure for end in ends.values() for figure in figures.draw(cell, end)],
            samples=samples(list(ends.values())) if ends else [],
            ledgers=accounts,
            parameters={
                "angles": cell.settings.angles,
                "least_free_length_steps": LEAST_STEPS,
                "stated_length_mm": stated_length_mm(max(cell.frame.voxel_mm[1:])),
            },
        )


def _accounts(cell: CylinderCell) -> tuple[Ledger, ...]:
    """Of every end in view of a scan that has greys, or labels, to show electrodes by."""
    if cell.settings.mask_of is not None:
        return ()
    return tuple(account(cell, end) for end in cell.frame.ends)


def _measured_ends(cell: CylinderCell) -> dict[End, EndValues]:
    """The values of each end at which there is an overhang."""
    found = {end: cell.surfaces.ends.get(end) for end in ENDS}
    return {
        end: EndValues.of(cell, edges)
        for end, edges in found.items()
        if edges is not None and (edges.state == MEASURED).any()
    }


def _why_absent(cell: CylinderCell, end: End) -> str:
    return cell.surfaces.missing.get(end) or nothing_measured(cell.surfaces.ends.get(end))


def _all_absent(reason: str) -> list[Measurement]:
    return [Measurement.absent(statistic, d.unit, reason) for statistic, d in STATISTICS.items()]


def samples(ends: Sequence[EndValues]) -> list[Samples]:
    """Every turn and angle looked at, with its state; and the cathode's edge at every face and angle."""
    return [
        _joined(TABLE, [_columns(end) for end in ends]),
        _joined(BASE_TABLE, [_faces(end) for end in ends]),
    ]


def _joined(name: str, tables: Sequence[Mapping[str, NDArray[Any]]]) -> Samples:
    return Samples(
        name, {column: np.concatenate([table[column] for table in tables]) for column in tables[0]}
    )


def _faces(end: EndValues) -> dict[str, NDArray[Any]]:
    """Face 0 is the one inside turn 0, face k + 1 the one outside turn k."""
    faces, nt = end.base.each.shape
    return {
        "end": np.full(faces * nt, end.edges.end),
        "face": np.repeat(np.arange(faces), nt),
        "theta_deg": np.tile(end.edges.theta_deg, faces),
        "base_z_mm": end.base.each.ravel(),
    }


def _columns(end: EndValues) -> dict[str, NDArray[Any]]:
    edges, length = end.edges, end.length.each
    turns, nt = length.shape
    return {
        "end": np.full(turns * nt, edges.end),
        "turn": np.repeat(np.arange(turns), nt),
        "theta_deg": np.tile(edges.theta_deg, turns),
        "anode_z_mm": edges.anode_z_mm.ravel(),
        "cathode_inner_z_mm": edges.cathode_z_mm[0].ravel(),
        "cathode_outer_z_mm": edges.cathode_z_mm[1].ravel(),
        "length_mm": length.ravel(),
        "deflection_deg": end.deflection.each.ravel(),
        "state": np.array(STATE_NAMES)[edges.state.ravel()],
    }
