"""Draw one case, inspect it as any scan is, and set what was found beside what was drawn.

In: a case. Out: one line of ``cases.jsonl``. The steps are those of :mod:`xctrules.engine.measuring`, and the
judgement is that of the record: what is validated is what is shipped.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

from xctrules.campaigns.validation.campaign import Campaign
from xctrules.campaigns.validation.case_spec import case_spec
from xctrules.core.canonical import plain
from xctrules.core.cell import Cell
from xctrules.core.validation import Case, Row
from xctrules.engine.inspection import record_of
from xctrules.engine.measuring import measure
from xctrules.engine.planning import plan_inspection
from xctrules.scans.reading import as_read


def measure_case(case: Case, campaign: Campaign) -> Row:
    """One line of ``cases.jsonl``: the case, all measurements beside the truth, and the verdict.

    Measurements stand as the record holds them, with the voxel size that the inspection was told. One that
    has no truth (``screening.cnr``) comes without it.
    """
    started = time.perf_counter()
    phantom = campaign.source.draw_case(case)
    drawn = time.perf_counter()
    noted: dict[str, Any] = {}

    def note(cell: Cell[Any, Any, Any] | None, no_cell: str) -> None:
        noted.update(campaign.source.noted(phantom, None if cell is None else cell.segmentation))

    plan = plan_inspection(case_spec(case, campaign.registry), campaign.registry)
    scan = as_read(dataclasses.replace(phantom.scan(), voxel_size_mm=case.told_voxel_mm))
    findings = measure(scan, plan, after_segmenting=note)
    record = record_of(findings, f"case-{case.index}", {})
    truth = phantom.truth["measurements"]
    row: Row = plain(
        {
            "index": case.index,
            "kind": case.kind,
            "group": case.group,
            "unfit": case.unfit,
            **({} if case.expected is None else {"expected": dataclasses.asdict(case.expected)}),
            "scale_error": case.scale_error,
            "spec": case.drawn,
            "shape": scan.shape,
            "noted": noted,
            "measurements": {
                name: {**entry, "truth": truth.get(name)} for name, entry in record["measurements"].items()
            },
            "judged": judged(record),
            "failures": [str(failure) for failure in findings.failures],
            "seconds": {"draw": drawn - started, "measure": time.perf_counter() - drawn},
        }
    )
    return row


def judged(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a line keeps of a record's judgement: verdict, reasons, warnings, the largest unexplained place of
    each part, and the outcome under each decision rule."""
    return {
        "verdict": record["verdict"],
        "reasons": record["reasons"],
        "rejections": record["rejections"],
        "warnings": record["warnings"],
        "unexplained": {
            part: {key: account[key] for key in ("unit", "largest", "allowed", "unaccounted")}
            for part, account in record["completeness"].items()
        },
        "checks": {
            check["measurement"]: {check["decision_rule"]: check["outcome"], **check["under_other_rules"]}
            for check in record["checks"]
        },
        "limits": {check["measurement"]: [check["min"], check["max"]] for check in record["checks"]},
    }
