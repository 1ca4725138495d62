"""Robust statistics recover the scale, line and run that were put in, whatever else was."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xctrules.core.robust import (
    TUKEY,
    biweight,
    longest_run,
    noise_along,
    noise_of_second_differences,
    robust_fit,
    robust_sd,
    sd_about_zero,
    sds_about_zero,
)


def test_robust_sd_of_a_gaussian_with_outliers() -> None:
    values = np.random.default_rng(1).normal(7.0, 2.0, 20000)
    values[:1000] += 100
    values[1000] = np.nan
    # 5 % of outliers move the median size by 0.07 of the scale.
    assert robust_sd(values) == pytest.approx(2.0, rel=0.08)
    assert sd_about_zero(values - 7.0) == pytest.approx(2.0, rel=0.08)
    assert sd_about_zero(values) > 7.0  # what is not centred counts
    assert math.isnan(robust_sd([np.nan])) and math.isnan(sd_about_zero([]))


def test_scales_along_an_axis() -> None:
    sigma = np.array([0.5, 1.0, 4.0])
    residual = np.random.default_rng(2).normal(0, 1, (3, 20000)) * sigma[:, None]
    residual[:, ::50] = np.nan
    # Relative standard error of a robust scale from 20,000 values is 0.8 %.
    assert sds_about_zero(residual, axis=1)[:, 0] == pytest.approx(sigma, rel=0.03)


def test_noise_is_told_from_form() -> None:
    rng = np.random.default_rng(1)
    t = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    values = 5 + np.cos(2 * t) + rng.normal(0, 0.02, (40, 360))
    values[3, 5] = np.nan
    # Relative standard error of a robust estimate from 14,400 values is about 1 %.
    assert noise_along(values, step=2, wrap=True) == pytest.approx(0.02, rel=0.05)
    second = values[:, :-2] - 2 * values[:, 1:-1] + values[:, 2:]
    assert noise_of_second_differences(second) == pytest.approx(0.02, rel=0.05)
    assert math.isnan(noise_along(values[:, :2], step=1))


def test_biweight_falls_to_nothing_at_one_and_is_even() -> None:
    u = np.array([-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, np.inf])
    assert biweight(u) == pytest.approx([0, 0, 0.5625, 1, 0.5625, 0, 0])


def test_a_biweight_mean_keeps_95_percent_of_the_efficiency() -> None:
    """What the constant promises: the variance of the weighted mean is 1 / 0.95 of the plain mean's."""
    draws = np.random.default_rng(3).normal(0, 1, (4000, 100))
    mean = np.zeros((4000, 1))
    for _ in range(10):
        weight = biweight((draws - mean) / TUKEY)
        mean = (weight * draws).sum(axis=1, keepdims=True) / weight.sum(axis=1, keepdims=True)
    # Both variances come from the same draws, which leaves 1 % of their ratio.
    assert draws.mean(axis=1).var() / mean.var() == pytest.approx(0.95, abs=0.02)


def test_robust_fit_ignores_a_third_of_wild_values() -> None:
    rng = np.random.default_rng(1)
    x = np.linspace(-1, 1, 90)
    y = 2.0 + 0.5 * x + rng.normal(0, 0.01, x.size)
    y[::3] += rng.uniform(0.5, 5.0, 30)
    (a, b), scale = robust_fit(np.stack([np.ones_like(x), x], axis=1), y, floor=1e-6)
    assert (a, b) == pytest.approx((2.0, 0.5), abs=0.01)  # three standard errors of 60 values
    assert scale < 0.05


@given(st.lists(st.booleans(), max_size=40))
def test_longest_run_is_what_counting_finds(mask: list[bool]) -> None:
    text = "".join("x" if m else " " for m in mask)
    longest = max(text.split(" "), key=len)
    start, stop = longest_run(np.array(mask, dtype=bool))
    assert (start, stop) == ((text.index(longest), text.index(longest) + len(longest)) if longest else (0, 0))
