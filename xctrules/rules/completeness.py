"""What could not be looked at never counts as sound: what bars a pass, whatever the rules say.

In: the record's ``completeness`` and measurements, and the resolved spec. Out: one sentence for each open
point. A cell with an open point is INCOMPLETE at best.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from xctrules.core import wording

IDENTITY = 0.03
"""Relative departure from the nominal dimension beyond which this is another cell, or the voxel size is
wrong, unless the spec's ``identity`` gives another one. Formats by name lie further apart (20 and 21 mm by
5 %), and makers' cells of one format closer together (18650: 18.2 to 18.4 mm in data sheets)."""


def open_points(
    completeness: Mapping[str, Mapping[str, Any]],
    measurements: Mapping[str, Mapping[str, Any]],
    descriptions: Mapping[str, Mapping[str, Any]],
    resolved: Mapping[str, Any],
) -> list[str]:
    """Why it is not known whether all of the cell is sound, one sentence each.

    Another cell first, then parts that nobody looked at, then those of which the most remains unexplained,
    held against what may: what hides a whole region comes before what follows from it at a region's border.

    Parameters
    ----------
    completeness
        By part, as :func:`xctrules.core.ledger.ledger_to_json` gives it.
    measurements, descriptions, resolved
        As the record holds them.
    """
    points = [
        point
        for name, said in descriptions.items()
        if said.get("identifies") and (point := _another_cell(name, said, measurements, resolved))
    ]
    allowed = resolved.get("completeness") or {}
    worst_first = sorted(
        completeness.items(), key=lambda item: -_times_allowed(item[1], allowed.get(item[0]))
    )
    for part, account in worst_first:
        point = _unseen(part, account, allowed.get(part))
        if point:
            points.append(point)
    return points


def _another_cell(
    name: str,
    said: Mapping[str, Any],
    measurements: Mapping[str, Mapping[str, Any]],
    resolved: Mapping[str, Any],
) -> str | None:
    entry = measurements.get(name) or {}
    nominal = (resolved.get("nominal") or {}).get(said.get("nominal")) or {}
    value, expected = entry.get("value"), nominal.get("value")
    if value is None or not expected or nominal.get("unit") != entry.get("unit"):
        return None
    limit = float(resolved.get("identity", IDENTITY))
    if abs(value / expected - 1) <= limit:
        return None
    measured = wording.quantity(value, entry.get("expanded_uncertainty"), str(entry.get("unit")))
    return (
        f"{said.get('title') or name}: {measured}, where the spec's nominal one is {expected:g} "
        f"{nominal['unit']}: {100 * abs(value / expected - 1):.1f} % apart, more than {100 * limit:g} %, so "
        "that this is another cell than the one that the spec is for, or the voxel size is wrong."
    )


def _times_allowed(account: Mapping[str, Any], allowed: Mapping[str, Any] | None) -> float:
    """How far the largest unexplained place is beyond what may remain; without bound for all of a part."""
    if account.get("unaccounted"):
        return math.inf
    limit = _limit(account, allowed)
    return float(account["largest"]) / limit if limit else math.inf


def _limit(account: Mapping[str, Any], allowed: Mapping[str, Any] | None) -> float:
    return float(account["allowed"] if allowed is None else allowed["value"])


def _unseen(part: str, account: Mapping[str, Any], allowed: Mapping[str, Any] | None) -> str | None:
    if account.get("unaccounted"):
        return f"The {part} was not looked at: {account['unaccounted']}."
    limit = _limit(account, allowed)
    largest, unit = float(account["largest"]), str(account["unit"])
    if largest <= limit:
        return None
    places = account["places"]
    where = wording.place(places[0]["at"]) if places else ""
    others = sum(float(place["extent"]) > limit for place in places) - 1
    more = f" ({wording.counted(others, 'more place')} like it)" if others > 0 else ""
    return (
        f"The {part} is not known to be sound: {wording.rounded(largest)} {unit}"
        f"{f' at {where}' if where else ''} where {places[0]['reason']}{more}. "
        f"At most {wording.rounded(limit)} {unit} may remain unexplained."
    )
