"""The formulas of a validation: are they right?"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtr

from xctrules.campaigns.validation.statistics import fit_detection, pooled_sd, upper_bound, wilson


def test_wilson_interval_of_a_textbook_share() -> None:
    # 81 of 263: 0.2553 to 0.3662 (Newcombe 1998, table I)
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20)[0] == 0.0
    assert wilson(20, 20)[1] == 1.0
    assert wilson(0, 0) == (0.0, 1.0)


def test_none_seen_bounds_the_rate_by_three_over_n() -> None:
    assert upper_bound(0, 200) == pytest.approx(3 / 200, rel=0.02)
    assert upper_bound(0, 30) == pytest.approx(1 - 0.05 ** (1 / 30))
    # with k seen, fewer than k + 1 would be a 5 % event at the bound
    p = upper_bound(2, 50)
    assert sum(math.comb(50, k) * p**k * (1 - p) ** (50 - k) for k in range(3)) == pytest.approx(0.05)


def test_scatter_within_groups_ignores_what_the_groups_differ_by() -> None:
    rng = np.random.default_rng(0)
    groups = [level + 0.3 * rng.standard_normal(6) for level in (0.0, 50.0, -7.0) * 40]
    sd, freedom = pooled_sd(groups)
    assert freedom == 120 * 5
    assert sd == pytest.approx(0.3, rel=0.1)  # standard error of a deviation over 600 degrees: 3 %


def test_detection_curve_is_found_again_and_its_bound_holds() -> None:
    middle, spread = 1.1, 0.35
    true_90 = middle + 1.2816 * spread
    held, sizes_found = 0, []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        size = rng.uniform(0, 4, 70)
        curve = fit_detection(size, rng.random(70) < ndtr((size - middle) / spread))
        assert curve is not None
        assert curve.found_90_upper is not None
        sizes_found.append(curve.found_90)
        held += curve.found_90_upper >= true_90
    assert np.mean(sizes_found) == pytest.approx(true_90, abs=0.15)
    assert held >= 33  # of 40 at 95 %: fewer than 35 is a 1 in 70 event, and the likelihood is asymptotic


def test_detection_without_overlap_or_without_contrast() -> None:
    size = np.linspace(0, 4, 41)
    sharp = fit_detection(size, size > 1.35)
    assert sharp is not None
    assert 1.3 <= sharp.found_90 <= 1.5
    assert sharp.found_90_upper is not None
    assert sharp.found_90_upper < 1.9
    assert fit_detection(size, np.ones(41, bool)) is None
    assert fit_detection(size, np.zeros(41, bool)) is None
