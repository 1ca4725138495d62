"""Curves of detection against maxima found by another way, cases of known answer, and their own promise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from xctrules.campaigns.validation.hit_miss import hit_miss


def drawn(seed: int, n: int, middle: float = 0.3, slope: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    """Sizes and hits of a fault that is found with 1 / (1 + (middle / size)^slope)."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.uniform(math.log(0.08), math.log(1.2), n))
    return size, rng.random(n) < 1 / (1 + (middle / size) ** slope)


def newton(size: np.ndarray, hit: np.ndarray) -> np.ndarray:
    """Logistic regression over the logarithm by Newton's steps, as textbooks have it."""
    x = np.c_[np.ones(size.size), np.log(size)]
    b = np.zeros(2)
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ b))
        b = b + np.linalg.solve((x.T * (p * (1 - p))) @ x, x.T @ (hit - p))
    return b


def test_the_curve_is_the_likelihoods_maximum() -> None:
    size, hit = drawn(1, 80)
    found = hit_miss(size, hit)
    assert (found.intercept, found.slope) == pytest.approx(tuple(newton(size, hit)), rel=1e-4)
    assert found.n == 80 and found.hits == hit.sum() and found.note == ""


def test_the_size_found_with_90_percent_is_that_of_the_drawing() -> None:
    size, hit = drawn(2, 20_000)
    found = hit_miss(size, hit)
    truth = 0.3 * 9 ** (1 / 4.0)  # where (middle / size)^slope is a ninth
    assert found.found_90 == pytest.approx(truth, rel=0.02)
    assert found.probability(found.found_90) == pytest.approx(0.9, abs=1e-6)
    assert found.found_90_upper is not None and found.found_90 < found.found_90_upper < 1.05 * truth


def test_the_upper_bound_keeps_its_promise() -> None:
    truth = 0.3 * 9 ** (1 / 4.0)
    bounds = [hit_miss(*drawn(seed, 60)).found_90_upper for seed in range(200)]
    kept = sum(bound is None or bound >= truth for bound in bounds)
    # 95 % of 200 is 190; a binomial of that mean lies below 180 once in two thousand
    assert kept >= 180
    assert sum(bound is not None for bound in bounds) > 150


@pytest.mark.parametrize(
    ("size", "hit", "words"),
    [
        (
            [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
            [0, 0, 0, 0, 1, 1, 1, 1],
            "from 0.5 on and missed up to 0.4",
        ),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], [1] * 8, "all were found, down to 0.1"),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], [0] * 8, "none was found, up to 0.8"),
        ([0.1, 0.2, 0.3], [0, 1, 1], "too few"),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], [1, 1, 1, 0, 1, 0, 0, 0], "not found more often"),
    ],
)
def test_what_determines_no_curve_is_said(size: list[float], hit: list[int], words: str) -> None:
    found = hit_miss(size, np.array(hit, dtype=bool))
    assert words in found.note
    assert found.slope is None and found.found_90 is None and found.found_90_upper is None
    assert np.isnan(found.probability([0.3])).all()
