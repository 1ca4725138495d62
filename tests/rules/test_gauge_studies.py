"""Gauge studies and calibrated parts against published figures, plain sums and known variances."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from xctrules.rules.calibrated_studies import bias_as_contribution, calibrated_study
from xctrules.rules.gauge_studies import gauge_study

AIAG = """\
0.29 -0.56 1.34 0.47 -0.80 0.02 0.59 -0.31 2.26 -1.36
0.41 -0.68 1.17 0.50 -0.92 -0.11 0.75 -0.20 1.99 -1.25
0.64 -0.58 1.27 0.64 -0.84 -0.21 0.66 -0.17 2.01 -1.31
0.08 -0.47 1.19 0.01 -0.56 -0.20 0.47 -0.63 1.80 -1.68
0.25 -1.22 0.94 1.03 -1.20 0.22 0.55 0.08 2.12 -1.62
0.07 -0.68 1.34 0.20 -1.28 0.06 0.83 -0.34 2.19 -1.50
0.04 -1.38 0.88 0.14 -1.46 -0.29 0.02 -0.46 1.77 -1.49
-0.11 -1.13 1.09 0.20 -1.07 -0.67 0.01 -0.56 1.45 -1.77
-0.15 -0.96 0.67 0.11 -1.45 -0.49 0.21 -0.49 1.87 -2.16
"""
"""Example of the AIAG MSA manual: rows are appraiser A, B, C by trial 1, 2, 3; columns parts 1 to 10."""


def aiag() -> np.ndarray:
    rows = np.array([[float(word) for word in line.split()] for line in AIAG.splitlines()])
    return rows.reshape(3, 3, 10).transpose(2, 0, 1)


def test_the_example_of_the_aiag_manual():
    """Published for it: EV 0.199933, AV 0.226838, GRR 0.302373, PV 1.04233, TV 1.08530, 27.86 %, ndc 4.

    The fourth digit of the published standard deviations hangs on rounded mean squares.
    """
    found = gauge_study(aiag())
    deviations = {name: c.standard_deviation for name, c in found.components.items()}
    published = {"EV": 0.199933, "AV": 0.226838, "GRR": 0.302373, "PV": 1.04233, "TV": 1.08530}
    assert deviations == pytest.approx(published, rel=2e-5)
    assert found.components["GRR"].percent_of_total == pytest.approx(27.86, abs=0.005)
    assert found.categories == 4
    assert found.judgement == "conditional"
    assert found.interaction == "pooled"
    assert found.interaction_p == pytest.approx(0.974, abs=0.001)
    assert [row.sum_of_squares for row in found.anova][:2] == pytest.approx([88.3619, 3.1673], abs=1e-4)
    assert found.warnings == ()


def variances_by_sums(table: np.ndarray) -> dict[str, float]:
    """Two-way random-effects ANOVA from the raw sums of squares over totals, as in a hand calculation."""
    n, k, r = table.shape
    correction = table.sum() ** 2 / table.size
    parts = sum(table[i].sum() ** 2 for i in range(n)) / (k * r) - correction
    appraisers = sum(table[:, j].sum() ** 2 for j in range(k)) / (n * r) - correction
    cells = sum(table[i, j].sum() ** 2 for i in range(n) for j in range(k)) / r - correction
    total = (table**2).sum() - correction
    inter, error = cells - parts - appraisers, total - cells
    ms_p, ms_a = parts / (n - 1), appraisers / (k - 1)
    ms_i, ms_e = inter / ((n - 1) * (k - 1)), error / (n * k * (r - 1))
    p = stats.f.sf(ms_i / ms_e, (n - 1) * (k - 1), n * k * (r - 1))
    if p > 0.25:
        ms_i = ms_e = (inter + error) / ((n - 1) * (k - 1) + n * k * (r - 1))
    return {
        "EV": ms_e,
        "INT": max(0.0, (ms_i - ms_e) / r),
        "AV": max(0.0, (ms_a - ms_i) / (n * r)),
        "PV": max(0.0, (ms_p - ms_i) / (k * r)),
    }


def simulated(
    rng: np.random.Generator, shape: tuple[int, int, int], part=0.0, appraiser=0.0, both=0.0, repeat=1.0
) -> np.ndarray:
    n, k, r = shape
    return (
        part * rng.standard_normal((n, 1, 1))
        + appraiser * rng.standard_normal((1, k, 1))
        + both * rng.standard_normal((n, k, 1))
        + repeat * rng.standard_normal((n, k, r))
    )


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("both", [0.0, 2.0])
def test_components_agree_with_plain_sums(seed, both):
    table = simulated(np.random.default_rng(seed), (7, 3, 2), part=5, appraiser=1, both=both)
    expected = variances_by_sums(table)
    found = gauge_study(table, tolerance=20)
    for name, component in found.components.items():
        if name in expected:
            assert component.standard_deviation**2 == pytest.approx(expected[name], abs=1e-9), name
    grr = math.sqrt(expected["EV"] + expected["INT"] + expected["AV"])
    gauge = found.components["GRR"]
    assert gauge.standard_deviation == pytest.approx(grr)
    assert gauge.percent_of_tolerance == pytest.approx(100 * 6 * grr / 20)
    assert gauge.percent_of_total == pytest.approx(100 * grr / math.sqrt(sum(expected.values())))
    assert found.categories == int(1.41 * math.sqrt(expected["PV"]) / grr)


def test_an_interaction_is_kept_where_it_shows():
    table = simulated(np.random.default_rng(3), (10, 3, 2), part=3, both=3, repeat=0.3)
    found = gauge_study(table)
    assert found.interaction == "kept"
    assert found.components["INT"].standard_deviation > found.components["EV"].standard_deviation


def test_variance_components_are_unbiased():
    """Means over 400 studies against the variances drawn from, within 4 standard errors of those means.

    The interaction is strong, so that hardly any study pools it, and no component is near zero, where
    setting negative estimates to zero would bias the mean.
    """
    rng = np.random.default_rng(11)
    true = {"EV": 1.0, "INT": 9.0, "AV": 16.0, "PV": 100.0}
    found = {name: [] for name in true}
    for _ in range(400):
        study = gauge_study(simulated(rng, (10, 6, 2), part=10, appraiser=4, both=3))
        for name, values in found.items():
            values.append(study.components[name].standard_deviation ** 2)
    for name, values in found.items():
        error = np.std(values) / math.sqrt(len(values))
        assert abs(np.mean(values) - true[name]) < 4 * error, name


@pytest.mark.parametrize("both", [0.0, 3.0])
def test_confidence_intervals_cover_in_19_of_20_studies(both):
    """Over 600 studies the share that covers has a standard error of 0.9 %; modified large sample intervals
    are approximate to about a per cent. EV with an interaction is exact."""
    rng = np.random.default_rng(5)
    truth = {"EV": 1.0, "AV": 2.0, "PV": 10.0, "GRR": math.sqrt(1 + 4 + both**2)}
    truth["TV"] = math.hypot(truth["GRR"], truth["PV"])
    hits = dict.fromkeys(truth, 0)
    runs = 600
    for _ in range(runs):
        study = gauge_study(simulated(rng, (10, 4, 3), part=10, appraiser=2, both=both))
        for name, true in truth.items():
            component = study.components[name]
            hits[name] += component.low <= true <= component.high
    for name, count in hits.items():
        assert 0.92 < count / runs < 0.98, (name, count / runs)


def test_the_repeatabilitys_interval_is_that_of_chi_square():
    table = simulated(np.random.default_rng(2), (1, 1, 12))
    component = gauge_study(table).components["EV"]
    s = table.std(ddof=1)
    assert component.standard_deviation == pytest.approx(s)
    assert component.low == pytest.approx(s * math.sqrt(11 / stats.chi2.ppf(0.975, 11)))
    assert component.high == pytest.approx(s * math.sqrt(11 / stats.chi2.ppf(0.025, 11)))


def test_one_appraiser_gives_repeatability_only():
    table = simulated(np.random.default_rng(0), (12, 1, 3), part=10)
    found = gauge_study(table)
    assert set(found.components) == {"EV", "GRR", "PV", "TV"}
    groups = [table[i, 0] for i in range(12)]
    within = np.mean([group.var(ddof=1) for group in groups])
    assert found.components["GRR"].standard_deviation == pytest.approx(math.sqrt(within))
    (row,) = [row for row in found.anova if row.source == "parts"]
    f, p = stats.f_oneway(*groups)
    assert row.f == pytest.approx(f)
    assert row.p == pytest.approx(p)
    assert any("repeatability alone" in warning for warning in found.warnings)


def test_one_cell_scanned_again_and_again_is_judged_by_the_tolerance_alone():
    table = simulated(np.random.default_rng(0), (1, 3, 10), appraiser=0.5)
    assert gauge_study(table).judgement == "not judged"
    found = gauge_study(table, tolerance=1000)
    assert set(found.components) == {"EV", "AV", "GRR"}
    assert found.categories is None
    assert found.judgement == "acceptable"
    assert gauge_study(table, tolerance=6).judgement == "not acceptable"


def test_without_repeats_the_interaction_stands_in_for_them():
    table = simulated(np.random.default_rng(4), (10, 3, 1), part=10)
    found = gauge_study(table)
    residual = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0, keepdims=True) + table.mean()
    assert found.components["EV"].standard_deviation == pytest.approx(
        math.sqrt((residual**2).sum() / (9 * 2))
    )
    assert any("cannot be told apart" in warning for warning in found.warnings)


def test_what_a_small_design_lacks_is_said():
    found = gauge_study(simulated(np.random.default_rng(0), (4, 1, 2), part=5))
    (told,) = [w for w in found.warnings if "lacks" in w]
    assert "6 more parts" in told
    assert "1 more appraiser" in told
    assert "repeat (" not in told


def test_negative_estimates_are_zero():
    """Appraisers whose means are all the same: less apart than chance would have them."""
    table = simulated(np.random.default_rng(0), (10, 3, 2), part=5)
    table -= table.mean(axis=(0, 2), keepdims=True)
    found = gauge_study(table)
    assert found.components["AV"].standard_deviation == 0
    assert found.components["AV"].low == 0
    assert math.isfinite(found.components["AV"].high)


@pytest.mark.parametrize("judge_by, expected", [("both", "not acceptable"), ("total", "acceptable"),
                                                ("tolerance", "not acceptable")])  # fmt: skip
def test_what_decides_can_be_chosen(judge_by, expected):
    table = simulated(np.random.default_rng(0), (10, 3, 2), part=100)
    assert gauge_study(table, tolerance=1, judge_by=judge_by).judgement == expected


@pytest.mark.parametrize(
    "ratio, judgement", [(0.08, "acceptable"), (0.2, "conditional"), (0.5, "not acceptable")]
)
def test_the_limits_are_ten_and_thirty_per_cent(ratio, judgement):
    """Repeats at fixed distances, so that 6 s / tolerance is exactly the ratio wanted."""
    table = np.zeros((10, 2, 2))
    table[..., 1] = 1.0  # every pair 1 apart: 20 variances of 1/2, and no other effect
    s = gauge_study(table).components["GRR"].standard_deviation
    assert s == pytest.approx(math.sqrt(20 * 0.5 / 29))  # 20 degrees, and 9 of the interaction
    assert gauge_study(table, tolerance=6 * s / ratio, judge_by="tolerance").judgement == judgement


def test_the_same_value_every_time_is_suspicious_and_no_crash():
    found = gauge_study(np.full((10, 2, 2), 3.2), tolerance=1)
    assert found.categories is None
    assert found.components["TV"].percent_of_total is None
    assert any("same scan" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    "table, tolerance",
    [
        (np.zeros((3, 1, 1)), None),
        (np.zeros((1, 3, 1)), None),
        (np.full((2, 2, 2), np.nan), None),
        (np.zeros((2, 2)), None),
        (np.zeros((0, 2, 2)), None),
        (np.zeros((2, 2, 2)), 0.0),
        (np.zeros((2, 2, 2)), math.inf),
    ],
)
def test_what_cannot_be_analysed_is_refused(table, tolerance):
    with pytest.raises(ValueError):
        gauge_study(table, tolerance=tolerance)


# --- calibrated part ---------------------------------------------------------------------------------------


def test_calibrated_part_by_hand():
    """Five scans 10.01 .. 10.05: mean 10.03, s = sqrt(0.00025); U_cal 0.004 with k 2; u_w 0.003.

    u^2 = 0.002^2 + 0.00025 + 0.003^2 + 0.00005 = 0.000313; degrees of freedom 4 * (313 / 300)^2 = 4.354;
    k is Student's t at 4 degrees, 2.7764 (tables).
    """
    found = calibrated_study(
        [10.01, 10.02, 10.03, 10.04, 10.05],
        calibrated_value=10.0, calibration_expanded_uncertainty=0.004, u_workpiece=0.003, tolerance=1.0,
    )  # fmt: skip
    u = math.sqrt(0.000313)
    assert found.bias == pytest.approx(0.03)
    assert found.u_cal == pytest.approx(0.002)
    assert found.u_p**2 == pytest.approx(0.00025)
    assert found.u_b**2 == pytest.approx(0.00005)
    assert found.standard_uncertainty == pytest.approx(u)
    assert found.degrees_of_freedom == pytest.approx(4 * (313 / 300) ** 2)
    assert found.coverage_factor == pytest.approx(2.7764, abs=1e-4)
    assert found.expanded_corrected == pytest.approx(2.7764 * u, rel=1e-4)
    assert found.expanded_uncorrected == pytest.approx(2.7764 * u + 0.03, rel=1e-4)
    assert found.percent_of_tolerance == pytest.approx(200 * (2.7764 * u + 0.03), rel=1e-4)
    assert found.judgement == "acceptable"
    assert any("at least 20" in warning for warning in found.warnings)


def test_twenty_scans_without_bias_warn_of_nothing_but_what_is_not_stated():
    values = 5 + 0.01 * stats.norm.ppf((np.arange(20) + 0.5) / 20)
    told = calibrated_study(values, calibrated_value=5, calibration_expanded_uncertainty=0.001).warnings
    assert len(told) == 1
    assert "u_w" in told[0]


@pytest.mark.parametrize("bias", [0.0, 0.5, 3.0])
def test_intervals_cover_the_truth(bias):
    """Each run: a part calibrated with an error of its own, a study of it, and one later scan.

    The interval of the later scan holds its true value in 95 % of 2000 runs (binomial standard error 0.5 %,
    three of them allowed). With the bias left in, U may cover more, but not less.
    """
    rng = np.random.default_rng(9)
    u_cal, s, runs = 0.4, 1.0, 2000
    inside = {"corrected": 0, "uncorrected": 0}
    for _ in range(runs):
        stated = 100 + u_cal * rng.standard_normal()
        study = calibrated_study(
            100 + bias + s * rng.standard_normal(20),
            calibrated_value=stated, calibration_expanded_uncertainty=2 * u_cal, u_workpiece=0.0,
        )  # fmt: skip
        error = bias + s * rng.standard_normal()
        inside["corrected"] += abs(error - study.bias) <= study.expanded_corrected
        inside["uncorrected"] += abs(error) <= study.expanded_uncorrected
    assert 0.935 < inside["corrected"] / runs < 0.97
    assert inside["uncorrected"] / runs > 0.935


@pytest.mark.parametrize("freedom", [4.4, 19.0, math.inf])
@pytest.mark.parametrize("bias", [-0.8, 0.0, 1e-4, 20.0])
def test_a_bias_in_the_budget_gives_u_plus_bias(freedom, bias):
    """As a record works it out: root sum of squares, Welch-Satterthwaite, Student's t."""
    u = 0.3
    line, own = bias_as_contribution(u, freedom, bias)
    total = math.hypot(u, line)
    spread = (u**4 / freedom) + (line**4 / own if line else 0.0)
    together = total**4 / spread if spread else math.inf
    k = stats.norm.ppf(0.975) if math.isinf(freedom) else stats.t.ppf(0.975, math.floor(freedom))
    assert together == pytest.approx(freedom)
    assert k * total == pytest.approx(k * u + abs(bias), rel=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"values": [1.0]},
        {"values": [1.0, math.nan]},
        {"calibrated_value": math.inf},
        {"calibration_expanded_uncertainty": 0.0},
        {"calibration_coverage_factor": -1.0},
        {"u_workpiece": -0.1},
        {"tolerance": 0.0},
    ],
)
def test_a_calibration_that_makes_no_sense_is_refused(change):
    good = {"values": [1.0, 1.1], "calibrated_value": 1.0, "calibration_expanded_uncertainty": 0.1}
    with pytest.raises(ValueError):
        calibrated_study(**(good | change))
