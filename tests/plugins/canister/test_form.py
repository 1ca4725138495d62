"""Form of the can's surface on drawn maps: pooling, circles, ellipses, and what noise adds to an extreme."""

from __future__ import annotations

import math

import numpy as np
import pytest
from xctrules_canister.diameters import equal_area
from xctrules_canister.form import (
    Pooling,
    about_least_squares_circle,
    eccentricity,
    filled,
    free_of_noise,
    most_that_noise_makes,
)

THETA = np.arange(0.0, 360.0, 1.0)


def off_centre_circle(radius: float, x: float, y: float) -> np.ndarray:
    """Distance from the origin of a circle about (x, y), by angle seen from the origin: (1, 360)."""
    t = np.deg2rad(THETA)
    along = x * np.cos(t) + y * np.sin(t)
    return (along + np.sqrt(along**2 + radius**2 - x**2 - y**2))[None]


@pytest.mark.parametrize(("x", "y"), [(0.0, 0.0), (0.5, 0.0), (-1.0, 2.0)])
def test_a_circle_has_its_diameter_and_is_round_wherever_its_centre_is(x: float, y: float) -> None:
    radius = off_centre_circle(10.0, x, y)
    assert equal_area(radius) == pytest.approx([20.0], abs=1e-9)
    # Three steps from a centre a fifth of the radius away leave far less than any edge is known to.
    assert about_least_squares_circle(radius, THETA) == pytest.approx(np.zeros((1, 360)), abs=1e-4)


def test_a_gap_is_bridged_round_the_seam() -> None:
    row = np.array([[np.nan, 1.0, 2.0, 3.0, np.nan, np.nan]])
    assert filled(row)[0] == pytest.approx([1.5, 1.0, 2.0, 3.0, 2.5, 2.0])
    assert np.isnan(filled(np.full((1, 4), np.nan))).all(), "where nothing is known, nothing is made up"


def test_pooling_keeps_a_wide_dent_and_takes_noise_away() -> None:
    pooling = Pooling.of((40, 360), (0.1, 0.18))
    z, t = np.meshgrid(np.arange(40) * 0.1 - 2.0, THETA * 0.18 - 32.0, indexing="ij")
    dent = -0.2 * np.exp(-(z**2 + t**2) / (2 * 0.8**2))
    # A Gaussian dent under a Gaussian window, twice less once more: 1.6 of 200 um are lost, plain smoothing
    # would lose 13.
    q = (0.5 / 2.3548 / 0.8) ** 2
    left = 2 / (1 + q) - 1 / (1 + 2 * q)
    assert pooling.pool(10.0 + dent).min() - 10.0 == pytest.approx(dent.min() * left, abs=5e-5)
    noise = np.random.default_rng(1).normal(0, 0.01, (40, 360))
    assert pooling.pool(noise)[5:-5].std() < 0.006


def test_an_extreme_is_freed_of_what_noise_adds() -> None:
    """A sound map: whatever stands out is noise, and its largest value comes back to nothing."""
    pooling, sigma = Pooling.of((30, 360), (0.1, 0.18)), 0.02
    unit = pooling.noise(np.ones((30, 360), dtype=bool))
    rng = np.random.default_rng(3)
    found = [
        free_of_noise(
            pooling.pool(rng.normal(0, sigma, (30, 360))), unit, sigma, lambda a: float(a.max()), 0.0
        )
        for _ in range(12)
    ]
    raw = np.mean([f.value + f.bias for f in found])
    # What stands out by more than three deviations is kept for real, so that a part of the bias stays.
    assert abs(np.mean([f.value for f in found])) < 0.5 * raw
    assert most_that_noise_makes(lambda a: float(a.max()), unit, sigma) > raw


@pytest.mark.parametrize("ratio", [1.0, 0.99, 0.8])
def test_eccentricity_is_that_of_the_ellipse_with_those_axes(ratio: float) -> None:
    a, b = 10.0, 10.0 * ratio
    assert eccentricity(2 * (a - b), 0.5 * (a + b)) == pytest.approx(math.sqrt(1 - ratio**2), abs=1e-9)
