"""Verdicts beside what was drawn: wrong decisions at limits, and scans that must be refused.

In: cases and how they were judged. Out: plain figures for ``validation.json``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xctrules.campaigns.validation.scored import ScoredCase
from xctrules.campaigns.validation.statistics import Share, upper_bound
from xctrules.core.validation import Row, Targets

ACCEPTED, REJECTED = ("PASS", "CONDITIONAL_PASS"), ("FAIL", "CONDITIONAL_FAIL")
REFUSED = ("SCAN_REJECTED", "INCOMPLETE")


def at_limits(cases: Sequence[ScoredCase]) -> list[dict[str, Any]]:
    """At each limit: bad cells accepted and good ones rejected, by decision rule."""
    limits: dict[tuple[str, str], list[tuple[Mapping[str, str], bool]]] = {}
    for case in cases:
        for name, (low, high) in case.row["judged"]["limits"].items():
            truth = case.truth(name)
            if truth is None or case.value(name) is None:
                continue
            unit = case.row["measurements"][name]["unit"]
            limit, conforms = _nearest_limit(truth, low, high, unit)
            outcomes = case.row["judged"]["checks"][name]
            limits.setdefault((name, limit), []).append((outcomes, conforms))
    return [
        {"measurement": name, "limit": limit, "decision_rule": rule, **_wrong(rule, judged)}
        for (name, limit), judged in sorted(limits.items(), key=lambda item: item[0])
        for rule in sorted(judged[0][0])
    ]


def refusal(row: Row, targets: Targets) -> dict[str, Any]:
    """Whether a scan that must be refused was, and for the right reason."""
    judged = row["judged"]
    said = " ".join((*judged["rejections"], *judged["reasons"]))
    return {
        "index": row["index"],
        "what": row["unfit"],
        "verdict": judged["verdict"],
        "refused": judged["verdict"] in REFUSED,
        "right_reason": any(word in said for word in targets.refusal_words[row["unfit"]]),
        "reasons": judged["rejections"] or judged["reasons"],
    }


def _nearest_limit(truth: float, low: float | None, high: float | None, unit: str) -> tuple[str, bool]:
    """The limit nearer to the truth in words, and whether the truth keeps all limits."""
    sides = [
        (abs(truth - limit), f"{word} {limit:g} {unit}", kept)
        for word, limit, kept in (
            ("at least", low, low is not None and truth >= low),
            ("at most", high, high is not None and truth <= high),
        )
        if limit is not None
    ]
    return min(sides)[1], all(kept for *_, kept in sides)


def _wrong(rule: str, judged: Sequence[tuple[Mapping[str, str], bool]]) -> dict[str, Any]:
    """Wrong decisions under one decision rule."""
    good = [outcomes[rule] for outcomes, conforms in judged if conforms]
    bad = [outcomes[rule] for outcomes, conforms in judged if not conforms]
    return {
        "false_accept": _rate(bad, ACCEPTED),
        "false_accept_plain": _rate(bad, ("PASS",)),
        "false_reject": _rate(good, REJECTED),
        "false_reject_plain": _rate(good, ("FAIL",)),
    }


def _rate(outcomes: Sequence[str], counted: Sequence[str]) -> dict[str, Any]:
    count = sum(outcome in counted for outcome in outcomes)
    return {**Share(count, len(outcomes)).as_json(), "upper": upper_bound(count, len(outcomes))}
