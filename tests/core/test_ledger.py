"""The account of a part: what goes into the record, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from xctrules.core.ledger import MOST_PLACES, Ledger, Place, ledger_fault, ledger_to_json


def ledger(**changes: Any) -> Ledger:
    given = {"part": "lid", "unit": "mm2", "expected": 10.0, "measured": 7.0, "allowed": 0.5} | changes
    return Ledger(**given)


def place(extent: float) -> Place:
    return Place(extent, {"z_mm": 1.0}, "nothing is there")


def test_the_record_lists_the_largest_places_and_counts_them_all() -> None:
    many = tuple(place(0.01 * (i + 1)) for i in range(MOST_PLACES + 10))
    held = ledger_to_json(ledger(unexplained=many, explained={"a lid begins": 1.5}))
    assert held["count"] == MOST_PLACES + 10 and len(held["places"]) == MOST_PLACES
    assert held["largest"] == held["places"][0]["extent"] == pytest.approx(0.01 * (MOST_PLACES + 10))
    assert held["unexplained"] == pytest.approx(sum(p.extent for p in many))
    assert held["explained"] == {"a lid begins": 1.5}


def test_without_open_places_the_largest_is_zero() -> None:
    assert ledger_to_json(ledger())["largest"] == 0.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"expected": -1.0}, {"measured": math.nan}, {"allowed": math.inf}, {"expected": True},
        {"explained": {"x": "much"}}, {"unexplained": (place(-0.1),)}, {"unexplained": (3,)},
        {"unexplained": 3}, {"unexplained": (Place(0.1, [5.0], "dark"),)}, {"unit": "m"}, {"explained": [1]},
        {"unexplained": (Place(0.1, {1: 5.0}, "dark"),)}, {"unexplained": (Place(0.1, {}, None),)},
    ],
)  # fmt: skip
def test_sizes_and_places_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    assert "lid" in str(ledger_fault(ledger(**wrong)))


def test_a_good_one_has_no_fault() -> None:
    assert ledger_fault(ledger(unexplained=(place(0.1),))) is None
    assert "int" in str(ledger_fault(3))
