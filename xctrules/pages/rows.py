"""Rules and measurements as rows of text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xctrules.core import wording
from xctrules.pages import charts
from xctrules.pages.outcomes import Outcome
from xctrules.pages.typography import typeset

Json = Mapping[str, Any]


DECISION_RULES = {
    "simple": "simple acceptance",
    "guarded": "guarded acceptance",
    "iso14253": "ISO 14253-1",
    "four_state": "four states (ILAC-G8)",
}


LIMIT_STATUS = {
    "drawing": "from a drawing",
    "datasheet": "from a datasheet",
    "standard": "from a standard",
    "indicative": "indicative only",
}


@dataclass(frozen=True)
class RuleRow:
    """One rule of the spec against one measurement."""

    name: str
    measurement: str
    severity: str
    value: str
    note: str
    limits: str
    limit_source: str
    limit_status: str
    indicative: bool
    at: str
    decision_rule: str
    guard: str
    outcome: Outcome
    reason: str
    margin: str
    probability: str
    tur: str
    picture: charts.LimitPicture
    picture_label: str
    others: Mapping[str, Outcome]


@dataclass(frozen=True)
class BudgetLine:
    source: str
    type: str
    contribution: str
    share: str
    share_percent: float
    shared: bool
    degrees_of_freedom: str


@dataclass(frozen=True)
class MeasurementRow:
    """One measurement with all that belongs to it."""

    name: str
    meaning: str
    status: str
    unit: str
    full: str
    value: str
    u: str
    expanded: str
    k: str
    degrees_of_freedom: str
    n: str
    where: str
    reason: str
    largest: str
    budget: tuple[BudgetLine, ...]


def rule_row(check: Json, measurements: Mapping[str, Json]) -> RuleRow:
    """A check of the record beside the measurement that it is about, as text and as a picture."""
    name = str(check.get("measurement") or "")
    measurement = measurements.get(name, {})
    unit = str(check.get("unit") or measurement.get("unit") or "")
    value, expanded = measurement.get("value"), measurement.get("expanded_uncertainty")
    low, high = check.get("min"), check.get("max")
    shown = "no value" if value is None else typeset(wording.quantity(value, expanded, unit))
    limits = typeset(wording.limits(low, high, unit))
    outcome = Outcome.of(check.get("outcome"))
    guard = _guard_width(check, measurement) if value is not None else 0.0
    stated_guard = guard > 0 and check.get("guard_band")
    status, decision_rule = (str(check.get(key) or "") for key in ("status", "decision_rule"))
    return RuleRow(
        name=str(check.get("title") or check.get("rule") or name),
        measurement=name,
        severity=str(check.get("severity") or ""),
        value=shown,
        note=_coverage(measurement),
        limits=limits,
        limit_source=str(check.get("source") or ""),
        limit_status=LIMIT_STATUS.get(status, status),
        indicative=status == "indicative",
        at=str(check.get("at") or ""),
        decision_rule=DECISION_RULES.get(decision_rule, decision_rule),
        guard=typeset(wording.guard_band(guard, expanded, unit)) if stated_guard else "",
        outcome=outcome,
        reason=str(measurement.get("reason") or check.get("reason") or "") if value is None else "",
        margin=typeset(wording.margin(check.get("margin"), expanded, unit)),
        probability=typeset(wording.percent(check.get("probability_of_conformity"))),
        tur=wording.NONE if check.get("tur") is None else typeset(f"{float(check['tur']):.1f} : 1"),
        picture=charts.limit_picture(value, expanded, low, high, guard),
        picture_label=f"{shown} against {limits}: {outcome.word.lower()}",
        others=_other_outcomes(check),
    )


def _coverage(measurement: Json) -> str:
    """``95 %, k = 1.98``: what the interval behind a value holds; nothing where there is none."""
    k = measurement.get("coverage_factor")
    has_interval = measurement.get("value") is not None and measurement.get("expanded_uncertainty")
    return f"95 %, k = {k:.2f}" if has_interval and k else ""


def _guard_width(check: Json, measurement: Json) -> float:
    """Width of the band that the decision rule keeps clear of a limit, for the picture."""
    stated = check.get("guard_band")
    if isinstance(stated, int | float):
        return float(stated)
    rule = check.get("decision_rule")
    if rule in ("guarded", "four_state"):
        return float(measurement.get("expanded_uncertainty") or 0.0)
    if rule == "iso14253":  # one-sided 95 %
        return 1.645 * float(measurement.get("standard_uncertainty") or 0.0)
    return 0.0


def _other_outcomes(check: Json) -> dict[str, Outcome]:
    """Outcome under each decision rule; the rule's own one included."""
    others = check.get("under_other_rules") or {}
    outcomes = {str(rule): Outcome.of(code) for rule, code in others.items() if isinstance(code, str)}
    if check.get("decision_rule"):
        outcomes.setdefault(str(check["decision_rule"]), Outcome.of(check.get("outcome")))
    return outcomes


def measurement_row(name: str, m: Json, description: Json) -> MeasurementRow:
    """A measurement, and what its plugin says of it."""
    value, unit = m.get("value"), str(m.get("unit") or "")
    expanded, u = m.get("expanded_uncertainty"), m.get("standard_uncertainty")
    places = wording.decimals_for(expanded, value)
    dof = m.get("degrees_of_freedom")
    budget = _budget(m)
    meaning = str(description.get("meaning") or "")
    return MeasurementRow(
        name=name,
        meaning=meaning[:1].upper() + meaning[1:],
        status=str(m.get("status") or "not_measured"),
        unit=unit or "1",
        full=typeset(wording.quantity(value, expanded, unit)),
        value=typeset(wording.fixed(value, places)),
        u=wording.fixed(u, wording.decimals_for(u)) if u else wording.NONE,
        expanded=wording.fixed(expanded, places) if expanded else wording.NONE,
        k=f"{m['coverage_factor']:.2f}" if expanded and m.get("coverage_factor") else wording.NONE,
        degrees_of_freedom=_dof_text(dof) if expanded else wording.NONE,
        n=wording.rounded(m.get("n")),
        where=typeset(wording.place(m.get("worst_at"))),
        reason=str(m.get("reason") or ""),
        largest=f"{budget[0].source}, {budget[0].share}" if budget and expanded else "",
        budget=budget,
    )


def _budget(measurement: Json) -> tuple[BudgetLine, ...]:
    lines = [line for line in measurement.get("budget") or () if line.get("contribution") is not None]
    total = sum(float(line["contribution"]) ** 2 for line in lines)
    decimals = wording.decimals_for(math.sqrt(total)) + 1 if total > 0 else 3
    result = []
    for line in sorted(lines, key=lambda one: -abs(float(one["contribution"]))):
        share = 100 * float(line["contribution"]) ** 2 / total if total > 0 else 0.0
        dof = line.get("degrees_of_freedom")
        result.append(
            BudgetLine(
                source=str(line.get("source") or ""),
                type=str(line.get("type") or ""),
                contribution=typeset(wording.fixed(float(line["contribution"]), decimals)),
                share=typeset(f"{share:.0f} %" if share >= 0.5 else "< 1 %"),
                share_percent=round(share, 1),
                shared=bool(line.get("shared")),
                degrees_of_freedom=_dof_text(dof),
            )
        )
    return tuple(result)


def _dof_text(degrees_of_freedom: float | None) -> str:
    if degrees_of_freedom is None:
        return "∞"
    return f"{degrees_of_freedom:.0f}" if degrees_of_freedom <= 1000 else typeset("> 1000")
