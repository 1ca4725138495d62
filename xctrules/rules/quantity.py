"""A measurement as the rules see it: a value with its uncertainty, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Quantity:
    """A measurement as the rules see it.

    ``independent`` and ``shared`` split the standard uncertainty: ``shared`` holds the signed contributions
    whose sources are common to all measurements of the scan. ``has_budget`` tells no uncertainty from zero.
    """

    name: str
    unit: str
    value: float | None
    standard_uncertainty: float = 0.0
    expanded_uncertainty: float = 0.0
    independent: float = 0.0
    shared: Mapping[str, float] = field(default_factory=dict)
    has_budget: bool = True
    problem: str | None = None
    worst_at: Mapping[str, float] | None = None

    @classmethod
    def of(cls, name: str, entry: Mapping[str, Any]) -> Quantity:
        """From an entry of the record (:func:`xctrules.core.measurement.measurement_to_json`)."""
        unit = str(entry.get("unit"))
        lines = entry.get("budget") or []
        problem = _problem(entry, [line["contribution"] for line in lines])
        if problem is not None:
            return cls(name, unit, None, problem=problem, has_budget=bool(lines))
        shared: dict[str, float] = {}
        for line in lines:
            if line.get("shared"):
                shared[line["source"]] = shared.get(line["source"], 0.0) + float(line["contribution"])
        own = [float(line["contribution"]) for line in lines if not line.get("shared")]
        return cls(
            name=name,
            unit=unit,
            value=float(entry["value"]),
            standard_uncertainty=float(entry["standard_uncertainty"]),
            expanded_uncertainty=float(entry["expanded_uncertainty"]),
            independent=math.sqrt(sum(contribution**2 for contribution in own)),
            shared=shared,
            has_budget=bool(lines),
            worst_at=entry.get("worst_at"),
        )


def _problem(entry: Mapping[str, Any], contributions: Sequence[Any]) -> str | None:
    """Why a measurement cannot be judged, or ``None``."""
    status = entry.get("status")
    if status == "failed":
        return f"its plugin failed ({entry.get('reason') or 'no reason given'})"
    if status != "measured":
        return str(entry.get("reason") or "it was not measured, and no reason is given")
    if not _finite(entry.get("value")):
        return "its plugin gave no finite value"
    wanted = [entry.get("standard_uncertainty"), entry.get("expanded_uncertainty"), *contributions]
    if not all(_finite(number) for number in wanted):
        return "its plugin gave no finite uncertainty"
    if float(wanted[0]) < 0 or float(wanted[1]) < 0:
        return "its uncertainty is negative"
    return None


def _finite(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and math.isfinite(float(value))
    except OverflowError:
        return False
