"""What of a part of the cell was looked at: places expected, measured, explained, and those that are neither.

A metric or screen hands over a :class:`Ledger` for each part that it is answerable for; the engine counts.
What could not be looked at never counts as sound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from xctrules.core.canonical import plain

MOST_PLACES = 50
"""Unexplained places that the record lists, the largest first: it says how many there are in all."""


@dataclass(frozen=True)
class Place:
    """One connected place of a part that is neither measured nor explained.

    Attributes
    ----------
    extent
        Its size in the ledger's unit.
    at
        Where its middle is, in the cell's coordinates, e.g. ``{"z_mm": 5.1, "phi_deg": 300.0}``.
    reason
        What is to be seen there, or why nothing is: completes "where ...", e.g. ``there is no wall``.
    """

    extent: float
    at: Mapping[str, float]
    reason: str


@dataclass(frozen=True)
class Ledger:
    """The account of one part of the cell that is in view.

    Attributes
    ----------
    part
        What it is called, e.g. ``can wall``.
    unit
        Of all sizes here.
    expected, measured
        What there is in view, and what of it was measured.
    explained
        What is not measured for a known reason, by that reason.
    unexplained
        All places that are neither.
    allowed
        Largest unexplained place with which a cell may still pass, where the spec says nothing else.
    """

    part: str
    unit: Literal["mm", "mm2"]
    expected: float
    measured: float
    allowed: float
    explained: Mapping[str, float] = field(default_factory=dict)
    unexplained: tuple[Place, ...] = ()


def ledger_fault(ledger: Any) -> str | None:
    """What is wrong with a ledger that a plugin handed over, in words; ``None`` when nothing is."""
    if not isinstance(ledger, Ledger):
        return f"a {type(ledger).__name__} is among the ledgers"
    if not isinstance(ledger.part, str) or not ledger.part:
        return "a ledger is of no part"
    whose = f"the ledger of the {ledger.part}"
    if ledger.unit not in ("mm", "mm2"):
        return f"{whose} is neither in mm nor in mm2"
    places = ledger.unexplained
    if not isinstance(places, list | tuple) or not all(isinstance(place, Place) for place in places):
        return f"{whose} holds something else than places"
    if not all(_is_named(place.at) and isinstance(place.reason, str) for place in places):
        return f"{whose} holds a place without coordinates or reason"
    if not _is_named(ledger.explained):
        return f"{whose} explains by something else than reasons"
    sizes = [ledger.expected, ledger.measured, ledger.allowed, *ledger.explained.values()]
    if not all(_is_size(size) for size in [*sizes, *(place.extent for place in places)]):
        return f"{whose} holds a size that is no number, or below zero"
    return None


def _is_named(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


def _is_size(value: Any) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    )


def ledger_to_json(ledger: Ledger) -> dict[str, Any]:
    """A ledger as the record holds it under its part's name."""
    places = sorted(ledger.unexplained, key=lambda place: -place.extent)
    return {
        "unit": ledger.unit,
        "expected": plain(float(ledger.expected)),
        "measured": plain(float(ledger.measured)),
        "explained": plain({reason: float(size) for reason, size in ledger.explained.items()}),
        "unexplained": plain(float(sum(place.extent for place in places))),
        "largest": plain(float(places[0].extent)) if places else 0.0,
        "allowed": plain(float(ledger.allowed)),
        "count": len(places),
        "unaccounted": None,
        "places": [
            {"extent": plain(float(p.extent)), "at": plain(p.at), "reason": plain(p.reason)}
            for p in places[:MOST_PLACES]
        ],
    }


def unaccounted(reason: str) -> dict[str, Any]:
    """What stands in the record for a part that nobody has looked at, and why."""
    sizes = dict.fromkeys(("unit", "expected", "measured", "unexplained", "largest", "allowed"))
    return {**sizes, "explained": {}, "count": 0, "places": [], "unaccounted": plain(reason)}
