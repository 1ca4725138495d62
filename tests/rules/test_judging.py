"""Verdicts on cells: what each rule gives, and what stands above the rules."""

from __future__ import annotations

import math

import pytest
from judging_examples import BOTH, NAN_BUDGET, NO_END, TOP, judge, measured, outcome_of, rule, spec

from xctrules.core.measurement import Contribution, Measurement, measurement_to_json
from xctrules.rules.judging import judge as judge_entries
from xctrules.rules.judging import lacking_of_calibration


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


def test_no_rule_at_all_is_never_a_pass():
    _, verdict = judge([], spec(), BOTH, True)
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
    entry = measurement_to_json(measurement) if isinstance(measurement, Measurement) else measurement
    entries = {} if entry is None else {"canister.outer_diameter": entry}
    checks, verdict = judge_entries(entries, spec(rule(high=22.0)), BOTH, True)
    assert checks[0].outcome == verdict.verdict == "INCOMPLETE"
    assert word in verdict.reasons[0]
    assert verdict.probability_of_conformity is None
    assert set(checks[0].under_other_rules.values()) == {"INCOMPLETE"}


def test_a_failed_plugin_does_not_hide_a_failure():
    fail = measured("canister.outer_diameter", 23.0, 0.01)
    rules = (rule(high=22.0), rule("canister.dent_depth", None, 0.1))
    _, verdict = judge([fail], spec(*rules), BOTH, True)
    assert verdict.verdict == "FAIL"
    assert [r.split(":")[0] for r in verdict.reasons] == ["canister.outer_diameter", "canister.dent_depth"]


def test_rules_about_an_end_out_of_view_do_not_count_in_view_but_do_for_the_whole_cell():
    top = measured("overhang.top.length.min", 0.5, 0.01)
    rules = (rule(top.name, 0.0), rule("overhang.bottom.length.min", 0.0))
    checks, verdict = judge([top], spec(*rules), TOP, True)
    assert [c.outcome for c in checks] == ["PASS", "NOT_APPLICABLE"]
    assert verdict.verdict == "PASS"
    checks, verdict = judge([top], spec(*rules, scope="whole"), TOP, True)
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
        of_one_end = Measurement.absent("overhang.top.length.min", "mm", "not asked")  # what it joins
        checks, verdict = judge([measurement, of_one_end], whole, scope, True)
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


def test_an_uncertainty_of_the_scale_without_a_calibration_stays_named():
    can = measured("canister.outer_diameter", 21.0, 0.01)
    stated = {"voxel_scale_relative_uncertainty": 0.0005}
    known = {"calibration_artefact": "ball bar", "calibration_certificate": "C-1"}
    assert lacking_of_calibration({**stated, **known}) == ["date"]
    assert lacking_of_calibration(known) == []
    lacks = lacking_of_calibration(stated)
    _, verdict = judge([can], spec(rule(high=22.0)), BOTH, True, calibration_lacks=lacks)
    assert verdict.verdict == "PASS"
    assert "without the artefact, certificate and date of a calibration" in verdict.reasons[0]
    ratio = rule("canister.roundness", high=1.0, unit="1")
    _, of_ratios = judge([can], spec(ratio), BOTH, True, calibration_lacks=lacks)
    assert not any("calibration" in reason for reason in of_ratios.reasons)


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
        "by 0.060 mm",
        "z 6.10 mm",
        "40°",
    ):
        assert part in sentence
