"""Limits against measurements: the outcome of each rule and the verdict on the cell.

Pure functions of plain data: what goes into the record is what is judged, so that a verdict can be
recomputed from the record alone, years later, by the same code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xctrules.rules.case import Case, Circumstances
from xctrules.rules.completeness import open_points
from xctrules.rules.deciding import (
    CONDITIONAL_PASS,
    DECISION_RULES,
    GUARDED_RULES,
    INCOMPLETE,
    NOT_APPLICABLE,
    ORDER,
    PASS,
    SCAN_REJECTED,
    SEVERITIES,
    worst,
)
from xctrules.rules.probability import Interval, joint_probability
from xctrules.rules.quantity import Quantity
from xctrules.rules.reasons import opening, reason, without_value


@dataclass(frozen=True)
class Check:
    """One rule against one measurement.

    Attributes
    ----------
    at
        ``file:line`` of the limit; of the nearer one where there are two.
    status
        ``indicative`` as soon as one of the limits is.
    guard_band
        Width w that was used, for the decision rules that have one.
    margin
        Distance to the nearer limit, positive inside.
    probability_of_conformity
        Of this rule alone (JCGM 106); ``None`` where nothing was measured.
    tur, c_m
        Test uncertainty ratio (TU - TL) / 2U and measurement capability index (TU - TL) / 4u; two-sided only.
    under_other_rules
        The outcome that each of the other decision rules would have given.
    reason
        One sentence where the outcome is no plain PASS.
    """

    rule: str
    title: str
    measurement: str
    min: float | None
    max: float | None
    unit: str
    at: str
    status: str
    source: str | None
    decision_rule: str
    severity: str
    outcome: str
    guard_band: float | None = None
    margin: float | None = None
    probability_of_conformity: float | None = None
    tur: float | None = None
    c_m: float | None = None
    under_other_rules: Mapping[str, str] = field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True)
class CellVerdict:
    """The verdict on a cell.

    ``probability_of_conformity`` is that of all rules at once, correlations kept; ``None`` while a rule
    could not be judged. ``by_decision_rule`` is the verdict if every rule were judged by that decision rule.
    """

    verdict: str
    reasons: tuple[str, ...]
    probability_of_conformity: float | None
    by_decision_rule: Mapping[str, str]


def judge(
    measurements: Mapping[str, Mapping[str, Any]],
    resolved: Mapping[str, Any],
    scope: Mapping[str, Any],
    scale_stated: bool,
    *,
    rejections: Sequence[str] = (),
    unscreened: Sequence[str] = (),
    completeness: Mapping[str, Mapping[str, Any]] | None = None,
    descriptions: Mapping[str, Mapping[str, Any]] | None = None,
    calibration_lacks: Sequence[str] = (),
) -> tuple[list[Check], CellVerdict]:
    """Judge a cell.

    Parameters
    ----------
    measurements
        By name, as the record holds them (:func:`xctrules.core.measurement.measurement_to_json`).
    resolved
        The resolved spec (:attr:`xctrules.rules.cellspec.CellSpec.resolved`).
    scope
        What was seen: ``places`` says of each named place whether it is in view. Where it says nothing of
        places, no rule is left out.
    scale_stated
        Whether the uncertainty of the voxel scale was stated; otherwise no rule on a length passes plainly.
    rejections
        Reasons why the scan can carry no decision, from screening.
    unscreened
        Why it is not known whether the scan is fit, one reason each, such as a screen that failed: such a
        cell does not pass.
    completeness
        What of each part of the cell was looked at (:func:`xctrules.core.ledger.ledger_to_json`).
    descriptions
        What is said of the measurements: which of them identifies the cell.
    calibration_lacks
        What is not told of the calibration behind the stated uncertainty of the voxel scale
        (:func:`lacking_of_calibration`): the reasons name it.
    """
    points = [
        *(f"The scan was not screened: {why}." for why in unscreened),
        *open_points(completeness or {}, measurements, descriptions or {}, resolved),
    ]
    circumstances = Circumstances(
        resolved, scope, scale_stated, tuple(points), tuple(calibration_lacks), frozenset(measurements)
    )
    judged = [
        _judge_rule(Case.of(rule, measurements.get(rule["measurement"])), circumstances)
        for rule in resolved["rules"]
    ]
    checks = [check for check, _ in judged]
    verdicts = {
        name: _verdict([outcomes[name] for _, outcomes in judged], rejections, circumstances)
        for name in DECISION_RULES
    }
    verdict = _verdict([check.outcome for check in checks], rejections, circumstances)
    reasons = _reasons(verdict, checks, rejections, circumstances)
    return checks, CellVerdict(verdict, reasons, _joint(verdict, checks, measurements), verdicts)


CALIBRATION = {
    "calibration_artefact": "artefact", "calibration_certificate": "certificate", "calibration_date": "date",
}  # fmt: skip
"""What backs an uncertainty of the voxel scale: keys of an acquisition, in words."""


def lacking_of_calibration(acquisition: Mapping[str, Any]) -> list[str]:
    """What is not told of the calibration, in words, where an uncertainty of the voxel scale is stated."""
    if acquisition.get("voxel_scale_relative_uncertainty") is None:
        return []
    return [word for key, word in CALIBRATION.items() if not acquisition.get(key)]


# --- the cell --------------------------------------------------------------------------------------------


def _verdict(outcomes: Sequence[str], rejections: Sequence[str], circumstances: Circumstances) -> str:
    if rejections:
        return SCAN_REJECTED
    unknown = circumstances.missing_places or circumstances.nothing_told or circumstances.open_points
    return worst([*outcomes, INCOMPLETE] if unknown else outcomes)


def _reasons(
    verdict: str, checks: Sequence[Check], rejections: Sequence[str], circumstances: Circumstances
) -> tuple[str, ...]:
    """Everything that keeps the verdict from a plain PASS, the gravest first."""
    resting = [check.title for check in checks if check.status == "indicative" and check.outcome == verdict]
    nothing_judged = all(check.outcome == NOT_APPLICABLE for check in checks)
    about = [check.measurement for check in checks]
    return (
        *(f"The scan cannot carry a decision: {rejection}" for rejection in rejections),
        *circumstances.open_points,
        *opening(resting, nothing_judged, about, circumstances),
        *(check.reason for check in sorted(checks, key=_reading_order) if check.reason),
    )


def _reading_order(check: Check) -> tuple[int, int]:
    """Worst outcome first, then the gravest rule; what does not apply comes last."""
    badness = -1 if check.outcome == NOT_APPLICABLE else ORDER.index(check.outcome)
    return -badness, SEVERITIES.index(check.severity)


def _joint(
    verdict: str, checks: Sequence[Check], measurements: Mapping[str, Mapping[str, Any]]
) -> float | None:
    """Probability that all rules hold at once; ``None`` while one could not be judged."""
    counting = [check for check in checks if check.outcome != NOT_APPLICABLE]
    unsettled = any(check.probability_of_conformity is None for check in counting)
    if verdict == SCAN_REJECTED or unsettled:
        return None
    return joint_probability(_intervals(counting, measurements))


def _intervals(checks: Sequence[Check], measurements: Mapping[str, Mapping[str, Any]]) -> list[Interval]:
    """One interval for each measurement: rules about the same one intersect."""
    found: dict[str, Interval] = {}
    for check in checks:
        low = -math.inf if check.min is None else check.min
        high = math.inf if check.max is None else check.max
        before = found.get(check.measurement)
        if before is None:
            quantity = Quantity.of(check.measurement, measurements[check.measurement])
            found[check.measurement] = Interval(quantity, low, high)
        else:
            found[check.measurement] = Interval(before.quantity, max(low, before.low), min(high, before.high))
    return list(found.values())


# --- one rule --------------------------------------------------------------------------------------------


def _judge_rule(case: Case, circumstances: Circumstances) -> tuple[Check, dict[str, str]]:
    """The check of one rule, and its outcome under every decision rule."""
    if case.quantity.value is None:
        return _without_value(case, circumstances)
    outcomes = {name: _outcome(case, name, circumstances) for name in DECISION_RULES}
    outcome = outcomes[case.decision_rule]
    check = Check(
        **_stated(case),
        outcome=outcome,
        guard_band=case.guard_band if case.decision_rule in GUARDED_RULES else None,
        margin=case.margin,
        probability_of_conformity=case.probability,
        tur=_tolerance_over(2 * case.quantity.expanded_uncertainty, case),
        c_m=_tolerance_over(4 * case.quantity.standard_uncertainty, case),
        under_other_rules=_others(outcomes, case),
        reason=reason(case, outcome, circumstances),
    )
    return check, outcomes


def _without_value(case: Case, circumstances: Circumstances) -> tuple[Check, dict[str, str]]:
    left_out = circumstances.left_out(case.quantity.name)
    outcomes = dict.fromkeys(DECISION_RULES, INCOMPLETE if left_out is None else NOT_APPLICABLE)
    check = Check(
        **_stated(case),
        outcome=outcomes[case.decision_rule],
        under_other_rules=_others(outcomes, case),
        reason=without_value(case, left_out),
    )
    return check, outcomes


def _stated(case: Case) -> dict[str, Any]:
    """What a check takes over from the rule."""
    rule, limit = case.rule, case.nearest_limit
    return {
        "rule": rule["id"],
        "title": rule["title"],
        "measurement": rule["measurement"],
        "min": case.low,
        "max": case.high,
        "unit": rule["unit"],
        "at": limit["at"],
        "status": case.status,
        "source": limit["source"],
        "decision_rule": rule["decision_rule"],
        "severity": rule["severity"],
    }


def _outcome(case: Case, decision_rule: str, circumstances: Circumstances) -> str:
    """The outcome under one decision rule, with all that stands against a plain pass."""
    outcome = case.decided(decision_rule)
    if outcome == PASS and circumstances.caps(case, decision_rule):
        outcome = CONDITIONAL_PASS
    if circumstances.may_be_worse(case.quantity.name):
        outcome = worst([outcome, INCOMPLETE])
    return outcome


def _others(outcomes: Mapping[str, str], case: Case) -> dict[str, str]:
    return {name: outcome for name, outcome in outcomes.items() if name != case.decision_rule}


def _tolerance_over(width: float, case: Case) -> float | None:
    """Upper minus lower limit over ``width``; ``None`` for one limit alone or no width."""
    if case.low is None or case.high is None or width <= 0:
        return None
    return (case.high - case.low) / width
