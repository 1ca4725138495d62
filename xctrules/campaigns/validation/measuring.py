"""Draw one case, measure it as an inspection would, and set what was found beside what was drawn."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from xctrules.campaigns.validation.ensemble import DIAMETER, Case
from xctrules.core.canonical import plain
from xctrules.core.errors import NotMeasurable
from xctrules.core.measurement import Measurement, measurement_to_json
from xctrules.core.slices import ArraySlices, Scan
from xctrules.cylinder.frame import CylinderFinder
from xctrules.cylinder.phantom import Phantom, draw
from xctrules.cylinder.surfaces import CylinderCell, CylinderSettings, Segmentation
from xctrules.engine.registry import Registry, load_plugins
from xctrules.engine.run_metric import MetricOutcome, absent_metric, run_metric
from xctrules.rules.judging import judge

SEGMENTER = "classical"
ANY_SPEC = "21700"
"""Whose rule on the overhang every case is judged by; the bundled specs share it."""

Row = dict[str, Any]


def measure_case(case: Case) -> Row:
    """One line of ``cases.jsonl``: the case, all measurements beside the truth, and the verdict.

    Values and intervals are as the inspection gave them, with the voxel size that it was told. A measurement
    that has no truth (``screening.cnr``) comes without one.
    """
    started = time.perf_counter()
    phantom = draw(case.spec, case.noise_seed)
    drawn = time.perf_counter()
    cell, outcomes = _inspected(phantom, case)
    measured = {m.name: m for outcome in outcomes for m in outcome.measurements}
    truth = phantom.truth["measurements"]
    row = {
        "index": case.index,
        "kind": case.kind,
        "group": case.group,
        "unfit": case.unfit,
        "scale_error": case.scale_error,
        "spec": case.spec.to_dict(),
        "shape": phantom.volume.shape,
        "straight_mm": phantom.truth["frame"]["straight_mm"],
        "measurements": {name: _beside(m, truth.get(name)) for name, m in measured.items()},
        "cathode_sigma_mm": _cathode_sigma(cell),
        "judged": _judged(case, cell, measured, outcomes),
        "failures": [str(f) for outcome in outcomes for f in outcome.failures],
        "seconds": {"draw": drawn - started, "measure": time.perf_counter() - drawn},
    }
    plain_row: Row = plain(row)
    return plain_row


@cache
def _registry() -> Registry:
    return load_plugins(third_party=False)


def _inspected(phantom: Phantom, case: Case) -> tuple[CylinderCell | None, list[MetricOutcome]]:
    """The way of :func:`xctrules.engine.inspection.inspect` from the volume on, without files."""
    registry = _registry()
    metrics = (*registry.screens, *registry.metrics)
    stated = case.spec.voxel_scale_relative_uncertainty
    scan = Scan(
        Path(f"case-{case.index}"),
        ArraySlices(phantom.volume),
        case.told_voxel_mm,
        {"voxel_scale_relative_uncertainty": stated, "slice_order": case.spec.slice_order},
    )
    try:
        frame = CylinderFinder().find(scan, {})
    except NotMeasurable as error:
        return None, [absent_metric(metric, error.reason) for metric in metrics]
    settings = CylinderSettings(segmenter=SEGMENTER)
    cell = CylinderCell(scan, frame, scan.scale, settings, {})
    segmenter = next(p.value for p in registry.segmenters if p.value.name == SEGMENTER)
    try:
        found = segmenter.segment(cell)
    except NotMeasurable as error:
        found = Segmentation(
            segmenter=SEGMENTER, missing=dict.fromkeys(("can", "foil", "top", "bottom"), error.reason)
        )
    cell = dataclasses.replace(cell, segmentation=found)
    return cell, [run_metric(metric, cell) for metric in metrics]


def _beside(m: Measurement, truth: float | None) -> dict[str, Any]:
    """A measurement as the table holds it."""
    if m.value is None:
        return {"unit": m.unit, "truth": truth, "status": m.status, "reason": m.reason}
    return {
        "unit": m.unit,
        "truth": truth,
        "value": m.value,
        "u": m.standard_uncertainty,
        "U": m.expanded_uncertainty,
        "worst_at": None if m.worst_at is None else dict(m.worst_at),
        "budget": {c.source: c.contribution for c in m.budget},
    }


def _cathode_sigma(cell: CylinderCell | None) -> float | None:
    """Stated noise of one located cathode edge, of the first end in view."""
    if cell is None or cell.segmentation is None:
        return None
    return next((end.cathode_sigma_mm for end in cell.segmentation.ends.values()), None)


def _judged(
    case: Case, cell: CylinderCell | None, measured: Mapping[str, Measurement], outcomes: list[MetricOutcome]
) -> dict[str, Any]:
    """Verdict, and each rule's outcome under every decision rule."""
    screens = {provided.value.name for provided in _registry().screens}
    rejections = [r for outcome in outcomes if outcome.metric in screens for r in outcome.rejections]
    ends = None if cell is None else [end.name for end in cell.frame.ends]
    spec = _rules_for(case)
    entries = {name: measurement_to_json(measurement) for name, measurement in measured.items()}
    checks, verdict = judge(entries, spec, {"ends": ends}, True, rejections=rejections)
    return {
        "verdict": verdict.verdict,
        "reasons": list(verdict.reasons),
        "rejections": rejections,
        "checks": {
            check.measurement: {check.decision_rule: check.outcome, **check.under_other_rules}
            for check in checks
        },
        "limits": {check.measurement: [check.min, check.max] for check in checks},
    }


def _rules_for(case: Case) -> dict[str, Any]:
    """The bundled rules that a case is judged by: the diameter's only where the cell was drawn for it.

    A scan that must be refused is judged with a diameter that its cell keeps: nothing but the refusal may
    stand in the way of a PASS.
    """
    from xctrules.rules.cellspec import load_spec

    resolved = dict(load_spec(case.judged_by or ANY_SPEC).resolved)
    rules = []
    for rule in resolved["rules"]:
        if rule["measurement"] == DIAMETER and case.judged_by is None:
            if case.unfit is None:
                continue
            rule = {**rule, "max": {**rule["max"], "value": case.spec.outer_diameter_mm + 1.0}}
        if rule["measurement"] != DIAMETER and case.judged_by is not None:
            continue  # a slice of the can shows no end
        rules.append(rule)
    return {**resolved, "rules": rules}
