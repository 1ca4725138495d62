"""Faults found against their size, and false alarms on cells without them.

In: scored cases and a geometry's targets. Out: plain figures for ``validation.json``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from xctrules.campaigns.validation.scored import ScoredCase
from xctrules.campaigns.validation.statistics import Share, fit_detection, upper_bound
from xctrules.core.validation import Fault

FEWEST_FOR_CURVE = 10
"""Faults without which no curve is fitted."""
BIN_VOXELS = 0.5


def fault_found(fault: Fault, case: ScoredCase) -> tuple[float, bool] | None:
    """Size of a drawn fault in voxels, and whether it was found; ``None`` where there is none to find.

    A fault counts as found only where it was drawn; a quantity that was not measured is a fault missed.
    """
    truth = case.truth(fault.measurement)
    if fault.name not in case.facts.faults or truth is None:
        return None
    size = _badness(fault, truth) / case.one_unit(fault.measurement)
    return size, _shows(fault, case) and case.lies_at(fault.measurement, case.facts.faults[fault.name])


def detection(fault: Fault, cases: Sequence[ScoredCase]) -> dict[str, Any]:
    """Share found against size, over the cases that count for it."""
    counted = [case for case in cases if case.facts.for_detection]
    seen = [result for case in counted if (result := fault_found(fault, case)) is not None]
    sizes, hits = [size for size, _ in seen], [hit for _, hit in seen]
    curve = fit_detection(sizes, hits) if len(seen) >= FEWEST_FOR_CURVE else None
    target = fault.target_voxels
    at_least = [hit for size, hit in seen if target is not None and size >= target]
    return {
        "found": f"{fault.means}, {fault.place_means}" if fault.place_means else fault.means,
        "n": len(seen),
        "bins": _bins(sizes, hits),
        "curve": None if curve is None else vars(curve),
        "target": target,
        "at_target": None if curve is None or target is None else float(curve.probability(target)),
        "above_target": Share(sum(at_least), len(at_least)).as_json() if target is not None else None,
        "sizes": [round(size, 4) for size in sizes],
        "hits": hits,
    }


def false_alarms(fault: Fault, cases: Sequence[ScoredCase]) -> dict[str, Any]:
    """How often it was reported where none was drawn; 0 in n bounds the rate by about 3 / n.

    ``intervals_beyond_zero`` counts the sound cells whose stated interval excludes zero, however small the
    value: no false alarm, but a false interval.
    """
    name = fault.measurement
    without = [case for case in cases if fault.name not in case.facts.faults]
    sound = [case for case in without if case.value(name) is not None]
    alarms = [case.index for case in sound if _shows(fault, case)]
    return {
        "measurement": name,
        "alarm": fault.means,
        **Share(len(alarms), len(sound)).as_json(),
        "upper": upper_bound(len(alarms), len(sound)),
        "cases": alarms,
        "intervals_beyond_zero": sum(_beyond_zero(fault, case) for case in sound),
    }


def _badness(fault: Fault, value: float) -> float:
    """The larger, the worse."""
    return value if fault.bad == "large" else -value


def _shows(fault: Fault, case: ScoredCase) -> bool:
    """Whether the measured value is as bad as what counts as found."""
    value = case.value(fault.measurement)
    if value is None:
        return False
    return _badness(fault, value) > fault.beyond_voxels * case.one_unit(fault.measurement)


def _beyond_zero(fault: Fault, case: ScoredCase) -> bool:
    entry = case.row["measurements"][fault.measurement]
    return bool(_badness(fault, entry["value"]) > (entry["expanded_uncertainty"] or 0.0))


def _bins(sizes: Sequence[float], hits: Sequence[bool]) -> list[dict[str, Any]]:
    bins = []
    for k in sorted({math.floor(size / BIN_VOXELS) for size in sizes}):
        inside = [hit for size, hit in zip(sizes, hits, strict=True) if math.floor(size / BIN_VOXELS) == k]
        edges = {"from": k * BIN_VOXELS, "to": (k + 1) * BIN_VOXELS}
        bins.append({**edges, **Share(sum(inside), len(inside)).as_json()})
    return bins
