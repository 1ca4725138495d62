"""From single cases to what they show: plain figures, and whether they meet what is asked.

In: the lines of ``cases.jsonl``. Out: the content of ``validation.json``. Errors of lengths are in voxels,
others in the measurement's own unit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from xctrules.campaigns.validation import accuracy, bounds, decisions, faults
from xctrules.campaigns.validation.criteria import COVERAGE_RANGE, criteria
from xctrules.campaigns.validation.scored import ScoredCase
from xctrules.core.canonical import plain
from xctrules.core.validation import CaseFacts, Row, Targets


def find(
    rows: Iterable[Row], header: Mapping[str, Any], targets: Targets, facts: Callable[[Row], CaseFacts]
) -> dict[str, Any]:
    """All figures of a validation, ready for ``validation.json``.

    Parameters
    ----------
    rows
        Lines of ``cases.jsonl``.
    header
        What they are cases of: ``ensemble.json``.
    targets
        What the measurements are held to.
    facts
        Says what is to be known of a case, from its line.
    """
    rows = sorted(rows, key=lambda row: row["index"])
    whole = [row for row in rows if "error" not in row]
    fit = [ScoredCase(row, facts(row)) for row in whole if row["unfit"] is None]
    cells = _one_scan_of_each_cell(fit)
    figures: dict[str, Any] = {
        **header,
        "asked": _asked(targets),
        "cases": _cases(rows),
        "measurements": accuracy.by_measurement(cells, targets),
        "strata": accuracy.by_condition(cells, targets),
        "repeatability": accuracy.repeatability(fit, targets),
        "bounds": bounds.beside_bounds(cells, targets),
        "detection": {fault.name: faults.detection(fault, fit) for fault in targets.faults},
        "false_alarms": {fault.name: faults.false_alarms(fault, cells) for fault in targets.faults},
        "decisions": decisions.at_limits(cells),
        "unfit": [decisions.refusal(row, targets) for row in whole if row["unfit"] is not None],
        "errors": [{"index": row["index"], "error": row["error"]} for row in rows if "error" in row],
        "worst": accuracy.worst_misses(fit, targets),
    }
    held = criteria(figures, targets)
    found: dict[str, Any] = plain(
        {"holds": all(c["holds"] is not False for c in held), "criteria": held, **figures}
    )
    return found


def _one_scan_of_each_cell(cases: Sequence[ScoredCase]) -> list[ScoredCase]:
    """Repeat scans of a cell share its errors and must not count them several times: the first counts."""
    seen: set[int] = set()
    kept = []
    for case in cases:
        group = case.row["group"]
        if group is None or group not in seen:
            kept.append(case)
        if group is not None:
            seen.add(group)
    return kept


def _cases(rows: Sequence[Row]) -> dict[str, Any]:
    kinds: dict[str, int] = {}
    for row in rows:
        kinds[row["kind"]] = kinds.get(row["kind"], 0) + 1
    return {"n": len(rows), "kinds": dict(sorted(kinds.items()))}


def _asked(targets: Targets) -> dict[str, Any]:
    """What the page must say of the targets."""
    low, high = COVERAGE_RANGE
    return {
        "coverage": {"from": low, "to": high, "measurements": targets.covered},
        "bias": {name: {"limit": limit.limit, "unit": limit.unit} for name, limit in targets.bias.items()},
        "conditions": list(dict.fromkeys(stratum.condition for stratum in targets.strata)),
        "length_unit_note": targets.length_unit_note,
        "bias_note": targets.bias_note,
        "detection_note": targets.detection_note,
    }
