"""What was looked at, as a section of the report: the parts' ledgers, and their open places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xctrules.core import wording
from xctrules.core.figures import Table
from xctrules.core.ledger import Ledger
from xctrules.pages.figures import figure_to_json

MOST_SHOWN = 20
"""Open places that the report lists, the largest first; the record has more."""


def section(ledgers: Sequence[Ledger], allowed: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """The section; ``None`` where no metric accounts for a part.

    Parameters
    ----------
    allowed
        The spec's ``completeness``: by part, the largest place that may remain unexplained.
    """
    if not ledgers:
        return None
    parts = Table(
        id="completeness-parts",
        title="Was all of it seen?",
        caption="For each part of the cell in view: how much of it there is, how much was measured, how much "
        "is left out for a known reason, and how much is neither. What could not be looked at does not count "
        "as sound: a place larger than the last column leaves the verdict open.",
        columns=(
            "part",
            "unit",
            "in view",
            "measured",
            "explained",
            "unexplained",
            "largest place",
            "may remain",
        ),
        rows=tuple(_part(ledger, allowed) for ledger in ledgers),
    )
    tables = [parts]
    places = sorted(
        ((ledger, place) for ledger in ledgers for place in ledger.unexplained),
        key=lambda pair: -pair[1].extent,
    )
    if places:
        tables.append(
            Table(
                id="completeness-places",
                title="Places that are not explained",
                caption=f"The largest {MOST_SHOWN} of {len(places)}."
                if len(places) > MOST_SHOWN
                else "All of them.",
                columns=("part", "size", "unit", "where", "what is there"),
                rows=tuple(
                    (ledger.part, place.extent, ledger.unit, wording.place(place.at), place.reason)
                    for ledger, place in places[:MOST_SHOWN]
                ),
            )
        )
    return {
        "metric": "completeness",
        "title": "What was looked at",
        "plugin": "xctrules",
        "measurements": [],
        "figures": [figure_to_json(table)[0] for table in tables],
    }


def _part(ledger: Ledger, allowed: Mapping[str, Mapping[str, Any]]) -> tuple[Any, ...]:
    sizes = [place.extent for place in ledger.unexplained]
    limit = allowed[ledger.part]["value"] if ledger.part in allowed else ledger.allowed
    return (
        ledger.part, ledger.unit, ledger.expected, ledger.measured, sum(ledger.explained.values()),
        sum(sizes), max(sizes, default=0.0), limit,
    )  # fmt: skip
