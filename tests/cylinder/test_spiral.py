"""Spiral fits on points computed here."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from xctrules.cylinder.spiral import Spiral, StraightTurns, about_centre, winding_angle

Floats = NDArray[np.float64]
THETA = np.arange(0.0, 360.0, 2.0)


def points(centre: tuple[float, float], start: float, pitch: float, turns: int, handedness: int) -> Floats:
    """Exact radius (turns, nt) about (0, 0) of a spiral about ``centre``, solved on each ray by bisection-
    free iteration."""
    radius = np.empty((turns, THETA.size))
    t = np.deg2rad(THETA)
    for k in range(turns):
        r = np.full(THETA.size, start + pitch * k)
        for _ in range(60):
            x, y = r * np.cos(t) - centre[0], r * np.sin(t) - centre[1]
            turned = (np.arctan2(y, x) - t + np.pi) % (2 * np.pi) - np.pi
            share = THETA / 360 if handedness > 0 else 1 - THETA / 360
            own = start + pitch * (k + share + handedness * turned / (2 * np.pi))
            r = r + own - np.hypot(x, y)
        radius[k] = r
    return radius


@pytest.mark.parametrize("handedness", [1, -1])
@pytest.mark.parametrize("centre", [(0.0, 0.0), (0.11, -0.06), (-0.4, 0.3)])
def test_exact_spiral_is_recovered_to_rounding(centre: tuple[float, float], handedness: int) -> None:
    radius = points(centre, 1.9, 0.384, 15, handedness)
    spiral = Spiral.estimate(radius, THETA, handedness)
    residual = spiral.residuals(radius, THETA)
    assert spiral.centre_mm == pytest.approx(centre, abs=1e-6)
    assert spiral.pitch_mm == pytest.approx(0.384, abs=1e-7)
    assert spiral.start_mm == pytest.approx(1.9, abs=1e-6)
    assert np.abs(residual).max() < 1e-6
    assert spiral.predict(15, THETA) == pytest.approx(radius, abs=1e-6)


def test_covariance_is_that_of_repeated_noise() -> None:
    rng = np.random.default_rng(5)
    exact = points((0.05, 0.02), 2.0, 0.38, 8, 1)
    fits = [Spiral.estimate(exact + rng.normal(0, 0.01, exact.shape), THETA, 1) for _ in range(60)]
    found = np.array([[s.start_mm, s.pitch_mm, *s.centre_mm] for s in fits])
    claimed = np.sqrt(np.mean([np.diag(s.covariance) for s in fits], axis=0))
    # 60 repeats know a standard deviation to 9 %; three times that, and Tukey's 5 % loss.
    assert found.std(axis=0) == pytest.approx(claimed, rel=0.35)
    assert np.abs(found.mean(axis=0) - [2.0, 0.38, 0.05, 0.02]).max() < 4 * claimed.max() / np.sqrt(60)


def test_bumps_and_gaps_do_not_move_the_fit() -> None:
    radius = points((0.1, 0.1), 2.0, 0.38, 12, 1)
    radius[:5, 100:140] -= 0.2  # a buckle
    radius[7:, 20:60] += 0.15  # a tab
    radius[3, 10:30] = np.nan
    radius[0, :50] = np.nan
    spiral = Spiral.estimate(radius, THETA, 1)
    residual = spiral.residuals(radius, THETA)
    assert spiral.pitch_mm == pytest.approx(0.38, rel=1e-3)
    assert spiral.centre_mm == pytest.approx((0.1, 0.1), abs=0.005)
    assert residual[2, 120] == pytest.approx(-0.2, abs=0.01)
    assert np.isnan(residual[3, 15])


def test_turns_lifted_by_a_tab_do_not_pull_the_spiral_after_them() -> None:
    """Over 150 degrees all turns lie up to 0.1 mm further out, as outside a tab."""
    rng = np.random.default_rng(2)
    radius = points((0.05, -0.03), 1.5, 0.34, 5, 1)
    bump = np.maximum(np.cos(np.pi * (THETA - 200.0) / 150.0), 0.0) ** 2 * (np.abs(THETA - 200.0) < 75.0)
    radius += 0.1 * bump + rng.normal(0.0, 0.001, radius.shape)
    spiral = Spiral.estimate(radius, THETA, 1)
    residual = spiral.residuals(radius, THETA)
    # The lift begins gently: of its first few micrometres the fit may take some along.
    assert np.hypot(spiral.centre_mm[0] - 0.05, spiral.centre_mm[1] + 0.03) < 0.004
    assert residual.max() == pytest.approx(0.1, abs=0.006)
    assert residual.min() > -0.008


@pytest.mark.parametrize("depth", [0.05, 0.2])
def test_a_buckle_is_not_split_between_line_and_error(depth: float) -> None:
    rng = np.random.default_rng(3)
    radius = points((0.0, 0.0), 1.5, 0.38, 7, 1)
    away = np.abs(THETA - 120.0)
    push = depth * np.where(away < 50.0, np.cos(np.pi * away / 100.0) ** 2, 0.0)
    radius -= push * np.exp(-0.38 / 1.2 * np.arange(7))[:, None]
    radius += rng.normal(0.0, 0.002, radius.shape)
    turns = StraightTurns.estimate(radius, THETA, 1, np.ones(7, dtype=bool))
    # Three standard deviations of a single place, and a fifth of the depth for its gentle flanks.
    assert -np.nanmin(turns.residuals(radius, THETA)[0]) == pytest.approx(depth, abs=0.006 + 0.2 * depth)
    assert np.hypot(*turns.centre_mm) < 0.002 + 0.06 * depth


def test_too_little_of_a_spiral_is_refused() -> None:
    with pytest.raises(ValueError, match="one and a half"):
        Spiral.estimate(points((0, 0), 2.0, 0.38, 1, 1), THETA, 1)


@pytest.mark.parametrize("handedness", [1, -1])
def test_straight_turns_of_uneven_pitch_about_their_centre(handedness: int) -> None:
    """Turns with steps between them: no single spiral, but each turn is straight."""
    radius = points((0.07, -0.03), 2.0, 0.38, 8, handedness)
    full = np.ones(8, dtype=bool)
    full[0] = False
    fit = StraightTurns.estimate(radius, THETA, handedness, full)
    assert fit.centre_mm == pytest.approx((0.07, -0.03), abs=1e-6)
    assert fit.slope_mm[1:] == pytest.approx(np.full(7, 0.38), abs=1e-5)
    error = fit.residuals(radius, THETA)
    assert np.nanmax(np.abs(error)) < 1e-5
    assert np.isnan(fit.slope_mm[0])
    assert np.isnan(error[0]).all()
    # The line at the turn's middle: start + pitch (k + 1/2).
    assert fit.mean_mm[1:] == pytest.approx(2.0 + 0.38 * (np.arange(1, 8) + 0.5), abs=1e-4)
    assert fit.predict(THETA)[1:] == pytest.approx(radius[1:], abs=1e-5)


def test_a_bump_stays_in_the_error_and_does_not_bend_the_line() -> None:
    radius = points((0.0, 0.0), 2.0, 0.38, 6, 1)
    bump = 0.1 * np.cos(np.pi * np.clip((THETA - 120) / 100, -0.5, 0.5)) ** 2
    rng = np.random.default_rng(2)
    noisy = radius + bump + rng.normal(0, 0.002, radius.shape)
    fit = StraightTurns.estimate(noisy, THETA, 1, np.ones(6, dtype=bool))
    # A bump over 100 of 360 degrees, alike in all turns, may draw the centre by a fifth of its height, not
    # more.
    assert fit.centre_mm == pytest.approx((0.0, 0.0), abs=0.1 / 5)
    error = fit.residuals(noisy, THETA)
    assert error[:, 60] == pytest.approx(np.full(6, 0.1), abs=0.1 / 5)
    assert np.abs(error[:, 120:]).max() < 0.1 / 5 + 4 * 0.002


def test_change_of_centre_there_and_back() -> None:
    radius = np.full((1, THETA.size), 3.0)
    r, turned = about_centre(radius, THETA, (1.0, 0.0))
    assert r[0, 0] == pytest.approx(2.0)
    assert r[0, 90] == pytest.approx(4.0)
    assert turned[0, 45] == pytest.approx(np.rad2deg(np.arctan2(3.0, -1.0)) - 90.0)


def test_angle_along_the_layer_is_unbroken_at_the_seam() -> None:
    step = 2.0 / 360
    right = winding_angle(3, THETA, 1)
    assert right[1, 0] - right[0, -1] == pytest.approx(step)
    left = winding_angle(3, THETA, -1)
    # Turn k goes on from the first angle to the last one of turn k + 1.
    assert left[1, -1] - left[0, 0] == pytest.approx(step)
