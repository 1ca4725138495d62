"""Each thing that is asked, what came out, and whether it holds.

In: the figures of a validation. Out: criteria as ``validation.json`` holds them; ``holds`` is ``None`` where
too few cases say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xctrules.campaigns.validation.statistics import Z_95
from xctrules.core.validation import BiasLimit, Fault, Targets

COVERAGE_RANGE = (0.90, 0.99)
"""Share of 95 % intervals that should hold the truth: fewer are a false promise, more are too wide."""
ENOUGH = 60
"""Intervals from which the share itself is held against the range; with fewer, its own interval is."""
LEAST = 10
"""Cases without which nothing is said."""
FAR_BEYOND = 4.0
"""Standard errors beyond its limit from which a bias is sure, also over fewer than :data:`LEAST` cases."""
TARGET_SHARE = 0.95
"""Share of scans that must show a fault of the size that is asked for."""
SOUND_CASES = 200
"""Sound cells without a false alarm that bound its rate at 1.5 %: with fewer nothing is said."""

Json = Mapping[str, Any]


def criteria(found: Json, targets: Targets) -> list[dict[str, Any]]:
    """All criteria, in the order in which a reader asks."""
    measured, asked = found["measurements"], [f for f in targets.faults if f.target_voxels is not None]
    return [
        *(coverage(name, measured.get(name)) for name in targets.covered),
        *(bias(name, limit, measured.get(name)) for name, limit in targets.bias.items()),
        *(detection(fault, found["detection"][fault.name]) for fault in asked),
        *(false_alarms(fault, found["false_alarms"][fault.name]) for fault in asked),
        _refusals("unfit scans are refused", "refused", found["unfit"]),
        _refusals("for the right reason", "right_reason", found["unfit"]),
        _every_case(found),
    ]


def coverage(name: str, measurement: Json | None) -> dict[str, Any]:
    """Whether the stated intervals hold the truth as often as they should, and not more often."""
    low, high = COVERAGE_RANGE
    entry = {"id": f"coverage: {name}", "asked": f"{100 * low:.0f} to {100 * high:.0f} %"}
    if measurement is None or measurement["coverage"]["n"] < LEAST:
        intervals = 0 if measurement is None else measurement["coverage"]["n"]
        return {**entry, "found": f"{intervals} intervals", "holds": None}
    c = measurement["coverage"]
    text = f"{100 * c['share']:.1f} % of {c['n']} ({100 * c['low']:.1f} to {100 * c['high']:.1f} %)"
    if low <= c["share"] <= high:
        return {**entry, "found": text, "holds": True}
    sure = c["n"] >= ENOUGH or c["high"] < low or c["low"] > high
    what = "too few hold the truth" if c["share"] < low else "wider than need be"
    return {**entry, "found": f"{text}: {what}" if sure else text, "holds": False if sure else None}


def bias(name: str, limit: BiasLimit, measurement: Json | None) -> dict[str, Any]:
    """Whether the mean error lies within its limit."""
    entry = {"id": f"bias: {name}", "asked": f"below {limit.limit:g} {limit.unit}"}
    b = None if measurement is None else measurement["published_bias"]
    if b is None or b["n"] < 2:
        return {**entry, "found": f"{0 if b is None else b['n']} cases", "holds": None}
    text = f"{b['mean']:+.3f} ± {Z_95 * b['standard_error']:.3f} {limit.unit} over {b['n']}"
    if b["n"] < LEAST:  # too few to hold the mean against the limit, enough to see that it is far beyond
        sure = abs(b["mean"]) - FAR_BEYOND * b["standard_error"] > limit.limit
        return {**entry, "found": text, "holds": False if sure else None}
    return {**entry, "found": text, "holds": abs(b["mean"]) < limit.limit}


def detection(fault: Fault, found: Json) -> dict[str, Any]:
    """Whether nearly all faults of the size that is asked for were found."""
    share = f"at least {100 * TARGET_SHARE:.0f} % of scans"
    entry = {"id": f"detection: {fault.name}", "asked": f"{fault.target_voxels:g} voxels in {share}"}
    above = found["above_target"]
    text = f"{above['count']} of {above['n']} of that size and more"
    if found["curve"] is not None:
        text += f"; fitted {100 * found['at_target']:.0f} % at that size"
    if above["n"] < LEAST:
        return {**entry, "found": text, "holds": None}
    fitted = found["at_target"] is None or found["at_target"] >= TARGET_SHARE
    return {**entry, "found": text, "holds": fitted and above["share"] >= TARGET_SHARE}


def false_alarms(fault: Fault, found: Json) -> dict[str, Any]:
    """Whether no sound part was taken for a fault, over enough of them."""
    return {
        "id": f"false alarms: {fault.name}",
        "asked": f"none on {SOUND_CASES} sound parts or more: a rate below 1.5 %",
        "found": f"{found['count']} in {found['n']}: below {100 * found['upper']:.1f} % of scans",
        "holds": False if found["count"] else True if found["n"] >= SOUND_CASES else None,
    }


def _refusals(name: str, key: str, unfit: Sequence[Json]) -> dict[str, Any]:
    count = sum(item[key] for item in unfit)
    return {
        "id": name,
        "asked": "every one",
        "found": f"{count} of {len(unfit)}",
        "holds": None if not unfit else count == len(unfit),
    }


def _every_case(found: Json) -> dict[str, Any]:
    return {
        "id": "every case could be measured",
        "asked": "no error inside xctrules",
        "found": f"{len(found['errors'])} of {found['cases']['n']} ended with an error",
        "holds": not found["errors"],
    }
