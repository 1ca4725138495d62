"""Draw one case, inspect it as any scan is, and set what was found beside what was drawn.

In: a case. Out: one line of ``cases.jsonl``. The steps are those of :mod:`xctrules.engine.measuring`, and the
judgement is that of the record: what is validated is what is shipped.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from xctrules.campaigns.validation.ensemble import DIAMETER, Case
from xctrules.core.canonical import plain
from xctrules.cylinder.phantom import draw
from xctrules.engine.inspection import record_of
from xctrules.engine.measuring import Findings, measure
from xctrules.engine.planning import plan_inspection
from xctrules.engine.registry import Registry, load_plugins
from xctrules.rules.case import iter_limits
from xctrules.rules.cellspec import CellSpec, load_spec, parse_spec

ANY_SPEC = "21700"
"""Whose rule on the overhang every case is judged by; the bundled specs share it."""

Row = dict[str, Any]


def measure_case(case: Case) -> Row:
    """One line of ``cases.jsonl``: the case, all measurements beside the truth, and the verdict.

    Measurements stand as the record holds them, with the voxel size that the inspection was told. One that
    has no truth (``screening.cnr``) comes without it.
    """
    started = time.perf_counter()
    phantom = draw(case.spec, case.noise_seed)
    drawn = time.perf_counter()
    plan = plan_inspection(case_spec(case), _registry())
    findings = measure(phantom.scan(case.told_voxel_mm), plan)
    record = record_of(findings, f"case-{case.index}", {})
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
        "measurements": {
            name: {**entry, "truth": truth.get(name)} for name, entry in record["measurements"].items()
        },
        "cathode_sigma_mm": _cathode_sigma(findings),
        "judged": _judged(record),
        "failures": [str(failure) for failure in findings.failures],
        "seconds": {"draw": drawn - started, "measure": time.perf_counter() - drawn},
    }
    plain_row: Row = plain(row)
    return plain_row


@cache
def _registry() -> Registry:
    return load_plugins(third_party=False)


def _cathode_sigma(findings: Findings) -> float | None:
    """Stated noise of one located cathode edge, of the first end in view."""
    cell = findings.cell
    if cell is None or cell.segmentation is None:
        return None
    return next((end.cathode_sigma_mm for end in cell.segmentation.ends.values()), None)


def _judged(record: Mapping[str, Any]) -> dict[str, Any]:
    """Verdict, and each rule's outcome under every decision rule."""
    return {
        "verdict": record["verdict"],
        "reasons": record["reasons"],
        "rejections": record["rejections"],
        "checks": {
            check["measurement"]: {check["decision_rule"]: check["outcome"], **check["under_other_rules"]}
            for check in record["checks"]
        },
        "limits": {check["measurement"]: [check["min"], check["max"]] for check in record["checks"]},
    }


# --- what a case is judged by ----------------------------------------------------------------------------


def case_spec(case: Case) -> CellSpec:
    """The spec of a case: the nominal dimensions of the cell that was drawn, and the bundled rules."""
    return parse_spec(case_spec_text(case), file=f"case-{case.index}.yaml")


def case_spec_text(case: Case) -> str:
    """The same as the text of a spec file, for whoever inspects the case from outside."""
    nominal = {"outer_diameter": case.spec.outer_diameter_mm, "wall_thickness": case.spec.wall_mm}
    bundled = load_spec(case.judged_by or ANY_SPEC)
    values = {
        "schema": "xctrules.spec/1",
        "name": f"case-{case.index}",
        "version": "1",
        "geometry": bundled.geometry,
        "scope": bundled.scope,
        "nominal": {name: {"value": float(size), "unit": "mm"} for name, size in nominal.items()},
        "rules": [_rule_entry(rule) for rule in _rules_for(case, bundled)],
    }
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _rules_for(case: Case, bundled: CellSpec) -> list[Mapping[str, Any]]:
    """The bundled rules that a case is judged by: the diameter's only where the cell was drawn for it.

    A scan that must be refused is judged with a diameter that its cell keeps: nothing but the refusal may
    stand in the way of a PASS.
    """
    rules = []
    for rule in bundled.rules:
        if rule["measurement"] == DIAMETER and case.judged_by is None:
            if case.unfit is None:
                continue
            rule = {**rule, "max": {**rule["max"], "value": case.spec.outer_diameter_mm + 1.0}}
        if rule["measurement"] != DIAMETER and case.judged_by is not None:
            continue  # a slice of the can shows no end
        rules.append(rule)
    return rules


def _rule_entry(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved rule as a spec file writes it."""
    limits = {
        side: {key: limit[key] for key in ("value", "source", "status") if limit[key] is not None}
        for side, limit in iter_limits(rule)
    }
    kept = ("id", "title", "measurement", "unit", "severity", "decision_rule", "guard_band")
    return {**{key: rule[key] for key in kept if rule[key] is not None}, **limits}
