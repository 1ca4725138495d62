"""Outcomes at, just inside and just outside every boundary."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judging_examples import measured, outcome_of, rule

from xctrules.rules.deciding import decide, worst
from xctrules.rules.probability import probability_of_conformity


# Upper limit 10, guard band 1: the boundaries belong to the better side, as the contract's brackets say.
@pytest.mark.parametrize(
    ("decision_rule", "expected"),
    [
        ("simple", ["PASS", "PASS", "PASS", "PASS", "FAIL", "FAIL", "FAIL"]),
        ("guarded", ["PASS", "PASS", "CONDITIONAL_FAIL", "CONDITIONAL_FAIL", "FAIL", "FAIL", "FAIL"]),
        ("four_state", ["PASS", "PASS", "CONDITIONAL_PASS", "CONDITIONAL_PASS", "CONDITIONAL_FAIL",
                        "CONDITIONAL_FAIL", "FAIL"]),
    ],
)  # fmt: skip
def test_boundaries_belong_to_the_better_side(decision_rule, expected):
    values = [8.0, 9.0, 9.0 + 1e-6, 10.0, 10.0 + 1e-6, 11.0, 11.0 + 1e-6]
    upper = [decide(decision_rule, y, None, 10.0, 1.0, 0.5) for y in values]
    lower = [decide(decision_rule, -y, -10.0, None, 1.0, 0.5) for y in values]
    both = [decide(decision_rule, y, -100.0, 10.0, 1.0, 0.5) for y in values]
    assert upper == expected
    assert lower == expected
    assert both == expected


def test_rounding_of_the_guarded_limit_does_not_decide():
    assert 0.3 - 0.1 < 0.2  # in binary
    assert decide("guarded", 0.2, None, 0.3, 0.1, 0.5) == "PASS"


@pytest.mark.parametrize(
    ("sigmas", "expected"),
    # One-sided 95 % lies at 1.645 standard uncertainties (tables of the normal distribution).
    [(-1.66, "PASS"), (-1.63, "CONDITIONAL_PASS"), (0.0, "CONDITIONAL_PASS"), (0.01, "CONDITIONAL_FAIL"),
     (1.63, "CONDITIONAL_FAIL"), (1.66, "FAIL")],
)  # fmt: skip
def test_iso14253_wants_proof_either_way(sigmas, expected):
    y = measured("canister.outer_diameter", 10 + sigmas * 0.1, 0.1)
    assert outcome_of(rule(high=10.0, decision_rule="iso14253"), y) == expected
    mirrored = measured("canister.outer_diameter", -10 - sigmas * 0.1, 0.1)
    assert outcome_of(rule(low=-10.0, decision_rule="iso14253"), mirrored) == expected


def test_iso14253_never_proves_conformity_with_a_tolerance_narrower_than_the_uncertainty():
    y = measured("canister.outer_diameter", 10.0, 0.1)
    assert outcome_of(rule(low=9.9, high=10.1, decision_rule="iso14253"), y) == "CONDITIONAL_PASS"


def test_order_of_verdicts():
    order = ["PASS", "CONDITIONAL_PASS", "INCOMPLETE", "CONDITIONAL_FAIL", "FAIL"]
    for better, worse in itertools.combinations(order, 2):
        assert worst([better, worse]) == worst([worse, better]) == worse
    assert worst(["NOT_APPLICABLE", "PASS"]) == "PASS"
    assert worst(["NOT_APPLICABLE"]) == worst([]) == "INCOMPLETE"


@settings(max_examples=200, deadline=None)
@given(
    y=st.floats(-50, 50), u=st.floats(0, 10), low=st.floats(-20, 20), width=st.floats(0, 20),
    decision_rule=st.sampled_from(["simple", "guarded", "iso14253", "four_state"]),
)  # fmt: skip
def test_relations_that_always_hold(y, u, low, width, decision_rule):
    high = low + width
    p = probability_of_conformity(y, u, low, high)
    outcome = decide(decision_rule, y, low, high, 2 * u, p)
    assert 0 <= p <= 1
    if outcome == "FAIL" and decision_rule != "iso14253":
        assert not low <= y <= high
    if outcome == "PASS":
        assert low - 1e-9 <= y <= high + 1e-9
    assert outcome == decide(
        decision_rule, -y, -high, -low, 2 * u, probability_of_conformity(-y, u, -high, -low)
    )
