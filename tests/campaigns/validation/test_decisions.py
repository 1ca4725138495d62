"""Verdicts beside what was drawn."""

from __future__ import annotations

from typing import Any

import pytest
from validation_examples import criterion, found_in, invented, scored

from xctrules.campaigns.validation.decisions import at_limits


def test_a_judged_scan_that_should_be_refused_does_not_hold() -> None:
    rows = [invented(i, {}, 0.1) for i in range(5)]
    rows.append(invented(5, {}, 0.1, unfit="coarse"))
    assert criterion(found_in(rows), "unfit scans are refused") is False
    rows[-1]["judged"]["verdict"] = "SCAN_REJECTED"
    assert criterion(found_in(rows), "unfit scans are refused") is True
    assert criterion(found_in(rows), "for the right reason") is False
    rows[-1]["judged"]["rejections"] = ["voxels of 0.12 mm cannot show two layers in a turn"]
    assert criterion(found_in(rows), "for the right reason") is True


def judged(outcome: str, truth: float, low: float | None, high: float | None) -> Any:
    """A cell of a true diameter, and what was said of it."""
    row = invented(0, {}, 0.1)
    name = "canister.outer_diameter"
    row["measurements"][name]["truth"] = truth
    row["judged"].update(checks={name: {"simple": outcome}}, limits={name: [low, high]})
    return scored(row)


@pytest.mark.parametrize(
    ("outcome", "truth", "wrong"),
    [
        ("PASS", 7.05, ""),
        ("PASS", 7.2, "false_accept"),
        ("CONDITIONAL_PASS", 6.8, "false_accept"),
        ("FAIL", 7.2, ""),
        ("FAIL", 7.05, "false_reject"),
        ("CONDITIONAL_FAIL", 7.05, "false_reject"),
    ],
)
def test_wrong_decisions_are_counted_at_the_nearer_limit(outcome: str, truth: float, wrong: str) -> None:
    (line,) = at_limits([judged(outcome, truth, 6.9, 7.1)])
    assert line["limit"] == ("at least 6.9 mm" if truth < 7.0 else "at most 7.1 mm")
    for kind in ("false_accept", "false_reject"):
        assert line[kind]["count"] == (kind == wrong)
        assert line[f"{kind}_plain"]["count"] == (kind == wrong and not outcome.startswith("CONDITIONAL"))
