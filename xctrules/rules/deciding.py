"""The outcome of a value between limits, under each of the four decision rules.

After ILAC-G8:09/2019 and ISO 14253-1:2017. This set is closed: limits and decision rules are data, not code.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

DecisionRule = Literal["simple", "guarded", "iso14253", "four_state"]
DECISION_RULES: tuple[str, ...] = get_args(DecisionRule)
GUARDED_RULES = ("guarded", "four_state")
"""Decision rules that heed a guard band."""

Severity = Literal["critical", "major", "minor"]
SEVERITIES: tuple[str, ...] = get_args(Severity)

PASS = "PASS"
CONDITIONAL_PASS = "CONDITIONAL_PASS"
INCOMPLETE = "INCOMPLETE"
CONDITIONAL_FAIL = "CONDITIONAL_FAIL"
FAIL = "FAIL"
NOT_APPLICABLE = "NOT_APPLICABLE"
SCAN_REJECTED = "SCAN_REJECTED"

ORDER = (PASS, CONDITIONAL_PASS, INCOMPLETE, CONDITIONAL_FAIL, FAIL)
"""Outcomes from best to worst; a cell's verdict is the worst of its rules."""

EXIT_CODES: Mapping[str, int] = {
    PASS: 0,
    CONDITIONAL_PASS: 0,
    CONDITIONAL_FAIL: 1,
    FAIL: 1,
    INCOMPLETE: 3,
    SCAN_REJECTED: 3,
}

PROOF = 0.95
"""Probability at which ISO 14253-1 takes conformity or non-conformity as proven."""


def worst(outcomes: Iterable[str]) -> str:
    """The worst of some outcomes; INCOMPLETE where nothing was judged at all."""
    counting = [outcome for outcome in outcomes if outcome != NOT_APPLICABLE]
    return max(counting, key=ORDER.index) if counting else INCOMPLETE


def decide(
    decision_rule: str,
    value: float,
    low: float | None,
    high: float | None,
    guard_band: float,
    probability: float,
) -> str:
    """Outcome of a value between limits under one decision rule.

    Parameters
    ----------
    low, high
        The limits, either of which may be ``None``; a value on a limit conforms.
    guard_band
        Width w for ``guarded`` and ``four_state``.
    probability
        Probability of conformity, for ``iso14253``.
    """
    inside = within(value, low, high)
    clear = within(value, _shift(low, guard_band), _shift(high, -guard_band))
    if decision_rule == "simple":
        return PASS if inside else FAIL
    if decision_rule == "guarded":
        return (PASS if clear else CONDITIONAL_FAIL) if inside else FAIL
    if decision_rule == "iso14253":
        if probability >= PROOF:
            return PASS
        if 1.0 - probability >= PROOF:
            return FAIL
        return CONDITIONAL_PASS if inside else CONDITIONAL_FAIL
    if decision_rule == "four_state":
        if inside:
            return PASS if clear else CONDITIONAL_PASS
        near = within(value, _shift(low, -guard_band), _shift(high, guard_band))
        return CONDITIONAL_FAIL if near else FAIL
    raise ValueError(f"unknown decision rule {decision_rule!r}; known: {', '.join(DECISION_RULES)}")


def margin(value: float, low: float | None, high: float | None) -> float:
    """Distance to the nearer limit, positive inside, in the unit of the value."""
    distances = [value - low] if low is not None else []
    if high is not None:
        distances.append(high - value)
    return min(distances)


def _shift(limit: float | None, by: float) -> float | None:
    return None if limit is None else limit + by


def within(value: float, low: float | None, high: float | None) -> bool:
    """Whether low <= value <= high, where what the arithmetic of T - w loses does not count."""

    def at_most(a: float, b: float) -> bool:
        return a <= b or math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)

    return (low is None or at_most(low, value)) and (high is None or at_most(value, high))
