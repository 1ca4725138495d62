"""The engine's law: what could not be looked at never counts as sound, whatever the rules say."""

from __future__ import annotations

from typing import Any

import pytest
from judging_examples import BOTH, judge, measured, rule, spec

from xctrules.core.ledger import Ledger, Place, ledger_to_json, unaccounted

GOOD = measured("canister.outer_diameter", 21.0, 0.01)
DIAMETER = {"canister.outer_diameter": {"identifies": True, "nominal": "outer_diameter", "title": "Diameter"}}


def lid(*extents: float, allowed: float = 0.5) -> dict[str, Any]:
    places = tuple(Place(size, {"z_mm": 5.1, "theta_deg": 300.0}, "the lid is open") for size in extents)
    return {"lid": ledger_to_json(Ledger("lid", "mm2", 10.0, 7.0, allowed, {}, places))}


def verdict_of(accounts: dict[str, Any], *, limit: float = 22.0, **resolved: Any) -> Any:
    return judge([GOOD], spec(rule(high=limit), **resolved), BOTH, True, completeness=accounts)[1]


@pytest.mark.parametrize(("size", "expected"), [(0.0, "PASS"), (0.5, "PASS"), (0.51, "INCOMPLETE")])
def test_a_place_beyond_what_is_allowed_leaves_the_verdict_open(size: float, expected: str) -> None:
    assert verdict_of(lid(size)).verdict == expected


def test_the_first_reason_says_what_where_and_why() -> None:
    first = verdict_of(lid(1.25, 0.9, 0.1)).reasons[0]
    for words in ("lid", "1.25 mm2", "z 5.10 mm", "theta 300°", "the lid is open", "1 more place", "0.5 mm2"):
        assert words in first


def test_it_never_makes_a_failing_cell_better() -> None:
    assert verdict_of(lid(3.0), limit=20.0).verdict == "FAIL"


def test_it_holds_under_every_decision_rule() -> None:
    assert set(verdict_of(lid(3.0)).by_decision_rule.values()) == {"INCOMPLETE"}


def test_a_spec_may_allow_more_or_less() -> None:
    for size, allowed, expected in ((3.0, 4.0, "PASS"), (0.4, 0.3, "INCOMPLETE")):
        allow = {"lid": {"value": allowed, "unit": "mm2"}}
        assert verdict_of(lid(size), completeness=allow).verdict == expected


@pytest.mark.parametrize(
    ("nominal", "identity", "expected"),
    [
        (21.0, None, "PASS"), (21.6, None, "PASS"), (21.7, None, "INCOMPLETE"), (20.35, None, "INCOMPLETE"),
        (21.0 / 1.009, 0.01, "PASS"), (21.0 / 1.011, 0.01, "INCOMPLETE"),
    ],
)  # fmt: skip
def test_a_can_far_from_its_nominal_size_is_another_cell(
    nominal: float, identity: float | None, expected: str
) -> None:
    resolved = {"nominal": {"outer_diameter": {"value": nominal, "unit": "mm"}}}
    if identity is not None:
        resolved["identity"] = identity  # type: ignore[assignment]
    _, verdict = judge([GOOD], spec(rule(high=22.0), **resolved), BOTH, True, descriptions=DIAMETER)
    assert verdict.verdict == expected
    assert any("another cell" in reason for reason in verdict.reasons) == (expected == "INCOMPLETE")


def test_a_part_that_nobody_looked_at_leaves_the_verdict_open() -> None:
    verdict = verdict_of({"lid": unaccounted("the metric lid failed (it raised ValueError)")})
    assert verdict.verdict == "INCOMPLETE"
    assert "lid was not looked at" in verdict.reasons[0] and "ValueError" in verdict.reasons[0]


def test_what_is_furthest_beyond_its_allowance_comes_first() -> None:
    floor = {"floor": ledger_to_json(Ledger("floor", "mm", 90.0, 80.0, 5.0, {}, (Place(9.0, {}, "dim"),)))}
    nobody = {"roof": unaccounted("no metric takes it")}
    reasons = verdict_of(floor | lid(3.0) | nobody).reasons
    assert [reason.split()[1] for reason in reasons[:3]] == ["roof", "lid", "floor"]
