"""Outcomes at, just inside and just outside every boundary; probabilities against simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xctrules.core.measurement import Contribution, Measurement
from xctrules.rules.judging import (
    Interval,
    Quantity,
    decide,
    joint_probability,
    judge,
    limits_text,
    probability_of_conformity,
    scope_sentence,
    value_text,
    worst,
)

BOTH = {"ends": ["top", "bottom"], "height_seen_mm": 70.0, "straight_can_mm": 60.0}
TOP = {"ends": ["top"], "height_seen_mm": 6.8, "straight_can_mm": 2.6}
NO_END = {"ends": [], "height_seen_mm": 6.8, "straight_can_mm": 6.8}

NAN_BUDGET = (Contribution("noise", math.nan),)


def limit(value, status="drawing", at="s.yaml:1"):
    return None if value is None else {"value": value, "source": "drawing 1", "status": status, "at": at}


def rule(name="canister.outer_diameter", low=None, high=None, **kw):
    status = kw.pop("status", "drawing")
    return {
        "id": kw.pop("id", name), "title": kw.pop("title", name), "measurement": name,
        "unit": kw.pop("unit", "mm"),
        "min": limit(low, status), "max": limit(high, status, "s.yaml:2"), "severity": "major",
        "decision_rule": "guarded", "guard_band": None, **kw,
    }  # fmt: skip


def spec(*rules, **kw):
    return {
        "geometry": "cylindrical",
        "scope": "in_view",
        "includes_sleeve": None,
        "rules": list(rules),
        **kw,
    }


def measured(name, value, u, unit="mm", shared=0.0):
    """With k = 1.96 (infinite degrees of freedom), U = 1.96 u."""
    budget = [Contribution("noise", math.sqrt(u**2 - shared**2))] if u > abs(shared) else []
    if shared:
        budget.append(Contribution("voxel scale", shared, "B", shared=True))
    return Measurement(name, unit, value=value, budget=tuple(budget))


def outcome_of(a_rule, *measurements, scope=BOTH, stated=True, **kw):
    checks, _ = judge({m.name: m for m in measurements}, spec(a_rule, **kw), scope, stated)
    return checks[0].outcome


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


def test_guard_band_is_the_expanded_uncertainty_unless_given():
    y = measured("canister.outer_diameter", 9.9, 0.1)  # U = 0.196
    assert outcome_of(rule(high=10.0), y) == "CONDITIONAL_FAIL"
    assert outcome_of(rule(high=10.0, guard_band=0.05), y) == "PASS"


@pytest.mark.parametrize("decision_rule", ["simple", "guarded", "iso14253", "four_state"])
def test_zero_uncertainty_decides_by_the_value_alone(decision_rule):
    inside = Measurement("winding.turns", "1", value=20.0)
    outside = Measurement("winding.turns", "1", value=21.0)
    a_rule = rule("winding.turns", 19.0, 20.0, unit="1", decision_rule=decision_rule)
    assert outcome_of(a_rule, inside) == "PASS"
    assert outcome_of(a_rule, outside) == "FAIL"


def test_probability_of_conformity_meets_the_published_vector():
    # y = 13.6, u = 1.8, TL = 12.5, TU = 16.3 (field notes, section 4).
    assert probability_of_conformity(13.6, 1.8, 12.5, 16.3) == pytest.approx(0.6626, abs=5e-5)
    assert probability_of_conformity(-13.6, 1.8, -16.3, -12.5) == pytest.approx(0.6626, abs=5e-5)
    assert probability_of_conformity(10.0, 1.0, None, 10.0) == pytest.approx(0.5)
    assert probability_of_conformity(10.0, 0.0, None, 10.0) == 1.0
    assert probability_of_conformity(10.1, 0.0, None, 10.0) == 0.0


# --- cell verdict, scope, caps ---


def test_order_of_verdicts():
    order = ["PASS", "CONDITIONAL_PASS", "INCOMPLETE", "CONDITIONAL_FAIL", "FAIL"]
    for better, worse in itertools.combinations(order, 2):
        assert worst([better, worse]) == worst([worse, better]) == worse
    assert worst(["NOT_APPLICABLE", "PASS"]) == "PASS"
    assert worst(["NOT_APPLICABLE"]) == worst([]) == "INCOMPLETE"


def test_no_rule_at_all_is_never_a_pass():
    _, verdict = judge({}, spec(), BOTH, True)
    assert verdict.verdict == "INCOMPLETE"
    assert verdict.probability_of_conformity is None
    assert "no rule" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("measurement", "word"),
    [
        (None, "no plugin"),
        (Measurement.absent("canister.outer_diameter", "mm", "the can is cut off"), "cut off"),
        (Measurement.absent("canister.outer_diameter", "mm", "KeyError: 3", "failed"), "KeyError: 3"),
        (Measurement.absent("canister.outer_diameter", "mm", "n/a", "not_applicable"), "n/a"),
        (Measurement("canister.outer_diameter", "mm", value=math.nan), "finite"),
        (Measurement("canister.outer_diameter", "mm", value=math.inf), "finite"),
        (Measurement("canister.outer_diameter", "mm", value=1.0, budget=NAN_BUDGET), "finite"),
        (Measurement("canister.outer_diameter", "um", value=21000.0), "'um'"),
        ({"status": "measured", "value": "21", "unit": "mm"}, "finite"),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_is_incomplete_with_its_reason(measurement, word):
    given_ = {} if measurement is None else {"canister.outer_diameter": measurement}
    checks, verdict = judge(given_, spec(rule(high=22.0)), BOTH, True)
    assert checks[0].outcome == verdict.verdict == "INCOMPLETE"
    assert word in verdict.reasons[0]
    assert verdict.probability_of_conformity is None
    assert set(checks[0].under_other_rules.values()) == {"INCOMPLETE"}


def test_a_failed_plugin_does_not_hide_a_failure():
    fail = measured("canister.outer_diameter", 23.0, 0.01)
    rules = (rule(high=22.0), rule("canister.dent_depth", None, 0.1))
    _, verdict = judge({fail.name: fail}, spec(*rules), BOTH, True)
    assert verdict.verdict == "FAIL"
    assert [r.split(":")[0] for r in verdict.reasons] == ["canister.outer_diameter", "canister.dent_depth"]


def test_rules_about_an_end_out_of_view_do_not_count_in_view_but_do_for_the_whole_cell():
    top = measured("overhang.top.length.min", 0.5, 0.01)
    rules = (rule(top.name, 0.0), rule("overhang.bottom.length.min", 0.0))
    checks, verdict = judge({top.name: top}, spec(*rules), TOP, True)
    assert [c.outcome for c in checks] == ["PASS", "NOT_APPLICABLE"]
    assert verdict.verdict == "PASS"
    checks, verdict = judge({top.name: top}, spec(*rules, scope="whole"), TOP, True)
    assert [c.outcome for c in checks] == ["PASS", "INCOMPLETE"]
    assert verdict.verdict == "INCOMPLETE"


def test_overall_overhang_needs_some_end_in_view_and_both_for_the_whole_cell():
    good = measured("overhang.length.min", 0.5, 0.01)
    bad = measured("overhang.length.min", -0.5, 0.01)
    a_rule = rule("overhang.length.min", 0.0)
    assert outcome_of(a_rule, scope=NO_END) == "INCOMPLETE"
    assert outcome_of(a_rule, good, scope=TOP) == "PASS"
    for measurement, scope, expected in ((good, TOP, "INCOMPLETE"), (bad, TOP, "FAIL"), (good, BOTH, "PASS")):
        whole = {**spec(a_rule), "scope": "whole"}
        checks, verdict = judge([measurement], whole, scope, True)
        assert checks[0].outcome == verdict.verdict == expected


def test_a_missing_end_is_incomplete_for_a_whole_cell_even_without_a_rule_on_ends():
    can = measured("canister.outer_diameter", 21.0, 0.01)
    _, verdict = judge([can], spec(rule(high=22.0), scope="whole"), TOP, True)
    assert verdict.verdict == "INCOMPLETE"
    assert any("bottom end" in reason for reason in verdict.reasons)


def test_a_measured_end_is_judged_even_where_the_scope_does_not_list_it():
    bad = measured("overhang.bottom.length.min", -0.5, 0.01)
    assert outcome_of(rule(bad.name, 0.0), bad, scope=TOP) == "FAIL"


@pytest.mark.parametrize("decision_rule", ["simple", "guarded", "iso14253", "four_state"])
def test_unstated_scale_caps_lengths_only(decision_rule):
    can = measured("canister.outer_diameter", 21.0, 0.01)
    angle = measured("overhang.deflection.std", 1.0, 0.01, "deg")
    length_rule = rule(high=22.0, decision_rule=decision_rule)
    angle_rule = rule(angle.name, high=4.0, unit="deg", decision_rule=decision_rule)
    assert outcome_of(length_rule, can, stated=True) == "PASS"
    assert outcome_of(length_rule, can, stated=False) == "CONDITIONAL_PASS"
    assert outcome_of(angle_rule, angle, stated=False) == "PASS"
    assert outcome_of(rule(high=20.0, decision_rule=decision_rule), can, stated=False) == "FAIL"
    _, verdict = judge([can], spec(length_rule), BOTH, False)
    assert "voxel_scale_relative_uncertainty" in verdict.reasons[0]
    assert set(verdict.by_decision_rule.values()) == {"CONDITIONAL_PASS"}


def test_an_indicative_limit_caps_and_is_named_first():
    can = measured("canister.outer_diameter", 21.0, 0.01)
    dent = measured("canister.dent_depth", 0.01, 0.001)
    rules = (rule(high=22.0), rule(dent.name, None, 0.1, status="indicative", title="Dent depth"))
    checks, verdict = judge([can, dent], spec(*rules), BOTH, True)
    assert [c.outcome for c in checks] == ["PASS", "CONDITIONAL_PASS"]
    assert verdict.verdict == "CONDITIONAL_PASS"
    assert "indicative limit" in verdict.reasons[0]
    assert "Dent depth" in verdict.reasons[0]


def test_severity_never_softens():
    can = measured("canister.outer_diameter", 23.0, 0.01)
    _, verdict = judge([can], spec(rule(high=22.0, severity="minor")), BOTH, True)
    assert verdict.verdict == "FAIL"


def test_a_rejected_scan_goes_before_everything():
    can = measured("canister.outer_diameter", 23.0, 0.01)
    _, verdict = judge([can], spec(rule(high=22.0)), BOTH, True, rejections=["layers are not separated"])
    assert verdict.verdict == "SCAN_REJECTED"
    assert "layers are not separated" in verdict.reasons[0]
    assert verdict.probability_of_conformity is None


def test_what_was_not_screened_does_not_pass_and_stays_a_fail():
    for diameter, expected in ((21.0, "INCOMPLETE"), (23.0, "FAIL")):
        can = measured("canister.outer_diameter", diameter, 0.01)
        _, verdict = judge([can], spec(rule(high=22.0)), BOTH, True, unscreened=["screening"])
        assert verdict.verdict == expected
        assert "not screened" in verdict.reasons[0]


def test_a_plugin_that_states_no_uncertainty_gains_nothing_by_it():
    silent = Measurement("centre_pin.diameter", "mm", value=2.0)
    a_rule = rule(silent.name, None, 2.1)
    assert outcome_of(a_rule, silent) == "CONDITIONAL_PASS"
    assert outcome_of({**a_rule, "decision_rule": "simple"}, silent) == "PASS"


def test_margin_tur_and_nearest_limit():
    y = measured("canister.outer_diameter", 10.3, 0.1)
    checks, _ = judge([y], spec(rule(low=9.0, high=11.0)), BOTH, True)
    check = checks[0]
    assert check.margin == pytest.approx(0.7)
    assert check.at == "s.yaml:2"
    assert check.tur == pytest.approx(2.0 / (2 * 1.96 * 0.1), rel=1e-3)
    assert check.c_m == pytest.approx(2.0 / (4 * 0.1))
    low, _ = judge(
        [measured("canister.outer_diameter", 8.7, 0.1)], spec(rule(low=9.0, high=11.0)), BOTH, True
    )
    assert low[0].margin == pytest.approx(-0.3)
    assert low[0].at == "s.yaml:1"


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


# --- joint probability ---


def interval(name, value, noise, shared, low=-math.inf, high=math.inf):
    budget = (Contribution("noise", noise), *(Contribution(k, v, "B", True) for k, v in shared.items()))
    return Interval(Quantity.of(name, Measurement(name, "mm", value=value, budget=budget)), low, high)


def simulate(intervals, n=400_000):
    rng = np.random.default_rng(7)
    factors = {s: rng.standard_normal(n) for i in intervals for s in i.quantity.shared}
    inside = np.ones(n, dtype=bool)
    for i in intervals:
        y = i.quantity.value + i.quantity.independent * rng.standard_normal(n)
        for source, share in i.quantity.shared.items():
            y = y + share * factors[source]
        inside &= (y >= i.low) & (y <= i.high)
    return inside.mean()


@pytest.mark.parametrize(
    "intervals",
    [
        [interval("a", 0, 1, {}, high=1), interval("b", 0, 1, {}, low=0)],
        [interval("a", 0, 0.5, {"s": 1.0}, high=0.5), interval("b", 0, 0.3, {"s": -0.8}, high=0.2)],
        [interval("a", 0, 0.5, {"s": 1.0}, high=0.5), interval("b", 0, 0.3, {"s": 0.8}, high=0.2)],
        [interval("a", 0, 1e-4, {"s": 1.0}, high=0.5), interval("b", 0, 0.0, {"s": 0.8}, -0.3, 0.2)],
        [interval("a", 0, 0.5, {"s": 1, "t": 0.4}, high=0.5),
         interval("b", 0, 0.3, {"s": -0.5, "t": 1}, high=0.2)],
        [interval("a", 0, 0.2, {"s": 1, "t": 0.4, "v": 1}, -1, 1),
         interval("b", 0, 0.1, {"s": -1, "t": 1}, -1, 1),
         interval("c", 0.1, 0.1, {"v": 0.5, "s": 0.1}, high=0.3)],
    ],
)  # fmt: skip
def test_joint_probability_agrees_with_simulation(intervals):
    # Simulated with 400,000 draws: standard error below 0.0008, so 0.004 is five of them.
    assert joint_probability(intervals) == pytest.approx(simulate(intervals), abs=0.004)


def test_fully_correlated_quantities_are_as_probable_as_the_worse_one():
    a = interval("a", 0, 0.0, {"s": 1.0}, high=1.0)
    b = interval("b", 0, 0.0, {"s": 1.0}, high=0.5)
    assert joint_probability([a, b]) == pytest.approx(0.691462, abs=1e-5)  # Phi(0.5), tables
    opposite = interval("b", 0, 0.0, {"s": -1.0}, high=0.5)
    assert joint_probability([a, opposite]) == pytest.approx(0.841345 - 0.308538, abs=1e-5)


def test_two_rules_on_one_measurement_intersect():
    y = measured("canister.outer_diameter", 10.0, 1.0)
    rules = (rule(low=9.0, id="low"), rule(high=11.0, id="high"))
    _, verdict = judge([y], spec(*rules), BOTH, True)
    assert verdict.probability_of_conformity == pytest.approx(0.682689, abs=1e-6)  # one sigma either side
    _, empty = judge([y], spec(rule(low=11.0, id="low"), rule(high=9.0, id="high")), BOTH, True)
    assert empty.probability_of_conformity == 0.0


def test_one_rule_has_the_probability_of_the_cell():
    y = measured("canister.outer_diameter", 10.0, 0.5, shared=0.4)
    checks, verdict = judge([y], spec(rule(high=10.3)), BOTH, True)
    assert verdict.probability_of_conformity == pytest.approx(checks[0].probability_of_conformity, abs=1e-9)


# --- words ---


def test_words_carry_value_limit_unit_and_place():
    y = Measurement("canister.outer_diameter", "mm", value=21.31, budget=(Contribution("noise", 0.02),),
                    worst_at={"z_mm": 6.1, "theta_deg": 40.0})  # fmt: skip
    _, verdict = judge([y], spec(rule(high=21.25, title="Outer diameter")), BOTH, True)
    sentence = verdict.reasons[0]
    for part in (
        "Outer diameter",
        "21.310 ± 0.039 mm",
        "at most 21.25 mm",
        "outside",
        "0.06 mm",
        "z 6.10 mm",
        "40°",
    ):
        assert part in sentence
    assert value_text(4.123, 0.7, "deg") == "4.12 ± 0.70°"
    assert limits_text(26.0, 26.4, "mm") == "26 to 26.4 mm"


def test_scope_stands_beside_the_verdict():
    assert scope_sentence("PASS", {"ends": ["top"], "height_seen_mm": 2.6}, 70.0) == (
        "PASS for the top end, 2.6 of 70.0 mm seen"
    )
    assert scope_sentence("FAIL", BOTH, 70.0).startswith("FAIL for both ends, 70.0 of 70.0 mm seen")
    assert scope_sentence("PASS", NO_END, None).startswith("PASS for no end, 6.8 mm seen")
    assert scope_sentence("PASS", {}) == "PASS"
