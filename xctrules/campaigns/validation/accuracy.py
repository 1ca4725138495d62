"""How far off measurements are, and whether their intervals say so: by measurement, by condition, by cell.

In: scored cases and a geometry's targets. Out: plain figures for ``validation.json``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from xctrules.campaigns.validation.scored import ScoredCase
from xctrules.campaigns.validation.statistics import Location, Share, pooled_sd
from xctrules.core.validation import Targets

MOST_REASONS = 5
"""Reasons for not measuring that are listed for a measurement, the commonest first."""
MOST_MISSES = 40
"""Intervals that miss the truth that are listed, the worst first."""


def names_with_truth(cases: Sequence[ScoredCase], targets: Targets) -> list[str]:
    """Measurements that have a truth and are to be listed, in the order in which they were declared."""
    names: dict[str, None] = {}
    for case in cases:
        for name in case.row["measurements"]:
            hidden = any(fnmatch(name, pattern) for pattern in targets.not_tabled)
            if case.truth(name) is not None and not hidden:
                names[name] = None
    return list(names)


def by_measurement(cases: Sequence[ScoredCase], targets: Targets) -> dict[str, Any]:
    """Errors, half-widths and coverage of each measurement."""
    return {name: _measurement(name, cases, targets) for name in names_with_truth(cases, targets)}


def by_condition(cases: Sequence[ScoredCase], targets: Targets) -> dict[str, Any]:
    """Bias and coverage of the measurements that decide, by stratum."""
    return {name: _strata(name, cases, targets) for name in targets.covered}


def repeatability(cases: Sequence[ScoredCase], targets: Targets) -> dict[str, Any]:
    """Scatter of each measurement over scans of the same cell that differ in their noise alone."""
    groups: dict[int, list[ScoredCase]] = {}
    for case in cases:
        if case.row["group"] is not None:
            groups.setdefault(case.row["group"], []).append(case)
    found = {}
    for name in names_with_truth(cases, targets):
        errors = [np.array([case.error(name) for case in group]) for group in groups.values()]
        sd, freedom = pooled_sd(errors)
        if freedom:
            found[name] = {"sd": sd, "degrees_of_freedom": freedom, "groups": len(groups)}
    return found


def worst_misses(cases: Sequence[ScoredCase], targets: Targets) -> list[dict[str, Any]]:
    """Errors of the measurements that decide which lie farthest outside their intervals."""
    found: list[dict[str, Any]] = []
    for case in cases:
        for name in targets.covered:
            if case.covered(name) is False:
                error, half = case.error(name), case.half_width(name)
                found.append(
                    {
                        "index": case.index,
                        "measurement": name,
                        "error": error,
                        "half_width": half,
                        "ratio": abs(error) / half if half else None,
                        "case": case.facts.text,
                    }
                )
    return sorted(found, key=lambda item: -(item["ratio"] or math.inf))[:MOST_MISSES]


def _says_something(name: str, case: ScoredCase, targets: Targets) -> bool:
    """Whether a case says anything about the bias and coverage of a measurement."""
    truth = case.truth(name)
    return truth is not None and (name not in targets.fault_only or truth > 0)


def _coverage(name: str, cases: Iterable[ScoredCase]) -> dict[str, Any]:
    seen = [held for case in cases if (held := case.covered(name)) is not None]
    return Share(sum(seen), len(seen)).as_json()


def _location(values: ArrayLike) -> dict[str, Any]:
    return vars(Location.of(values))


def _measurement(name: str, cases: Sequence[ScoredCase], targets: Targets) -> dict[str, Any]:
    relevant = [case for case in cases if _says_something(name, case, targets)]
    measured = [case for case in relevant if case.value(name) is not None]
    errors = np.array([case.error(name) for case in measured])
    widths = np.array([case.half_width(name) for case in measured])
    having = next(case for case in cases if case.entry(name) is not None)
    faultless = name in targets.fault_only
    sound = [case for case in cases if faultless and not _says_something(name, case, targets)]
    return {
        "unit": having.unit_word(name),
        "n": len(measured),
        "not_measured": len(relevant) - len(measured),
        "reasons": _commonest_reasons(name, relevant),
        "bias": _location(errors),
        "largest_error": float(np.abs(errors).max()) if errors.size else None,
        "rms_error": float(np.sqrt((errors**2).mean())) if errors.size else None,
        "median_half_width": float(np.median(widths)) if widths.size else None,
        "coverage": _coverage(name, measured),
        "coverage_on_sound": _coverage(name, sound) if sound else None,
        "published_bias": _bias_against_limit(name, cases, targets),
    }


def _commonest_reasons(name: str, cases: Iterable[ScoredCase]) -> dict[str, int]:
    """Why it was not measured, with the number of cases."""
    counts: dict[str, int] = {}
    for case in cases:
        reason = case.row["measurements"][name].get("reason")
        if case.value(name) is None and reason:
            counts[reason] = counts.get(reason, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1])[:MOST_REASONS])


def _bias_against_limit(name: str, cases: Sequence[ScoredCase], targets: Targets) -> dict[str, Any] | None:
    """Bias over the cases that its limit speaks of, in the limit's unit."""
    limit = targets.bias.get(name)
    if limit is None:
        return None
    chosen = [case for case in cases if name in case.facts.for_bias]
    errors = np.array([case.error(name) for case in chosen])
    if limit.unit == "%":
        percent = [case.one_unit(name) / (case.truth(name) or math.nan) * 100 for case in chosen]
        errors = errors * np.array(percent)
    return {**_location(errors), "limit": limit.limit, "unit": limit.unit}


def _strata(name: str, cases: Sequence[ScoredCase], targets: Targets) -> list[dict[str, Any]]:
    table = []
    for stratum in targets.strata:
        chosen = [
            case
            for case in cases
            if _says_something(name, case, targets)
            and stratum.low <= case.facts.conditions[stratum.condition] < stratum.high
        ]
        widths = [width for case in chosen if math.isfinite(width := case.half_width(name))]
        table.append(
            {
                "by": stratum.condition,
                "label": stratum.label,
                "bias": _location([case.error(name) for case in chosen]),
                "median_half_width": float(np.median(widths)) if widths else None,
                "coverage": _coverage(name, chosen),
            }
        )
    return table
