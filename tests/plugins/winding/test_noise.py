"""What of a departure is noise and what is shape, on drawn turns."""

from __future__ import annotations

import numpy as np
import pytest
from xctrules_winding.noise import (
    largest,
    largest_of_stepped,
    largest_size,
    root_mean_square,
    running_median,
    split,
    steadied,
)

from xctrules.cylinder.surfaces import FoilTrace

ANGLES = 360
THETA = np.arange(ANGLES) * (360.0 / ANGLES)
SIGMA = 0.004


def foil(heights: int = 4, spacing_mm: float = 1.0) -> FoilTrace:
    """A trace of which only heights and angles are looked at."""
    z = np.arange(heights) * spacing_mm
    return FoilTrace(z, THETA, np.zeros((heights, 1, ANGLES)), handedness=1, sigma_mm=SIGMA)


def wave(heights: int = 4, turns: int = 6, amplitude: float = 0.03) -> np.ndarray:
    """Twice round the turn, alike in all turns and heights."""
    return np.broadcast_to(amplitude * np.cos(np.deg2rad(2 * THETA)), (heights, turns, ANGLES))


def noise(heights: int = 4, turns: int = 6, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, SIGMA, (heights, turns, ANGLES))


def test_a_running_median_goes_round_the_turn_and_says_where_too_little_is_known() -> None:
    row = np.array([5.0, 1.0, 2.0, np.nan, np.nan, 3.0])
    # Windows of three: (3, 5, 1), (5, 1, 2), (1, 2, -), (2, -, -), (-, -, 3), (-, 3, 5)
    expected = [3.0, 2.0, 1.5, np.nan, np.nan, 4.0]
    assert running_median(row, 3) == pytest.approx(expected, nan_ok=True)


def test_one_stray_point_is_damped_and_a_fold_is_not() -> None:
    values = np.zeros((1, 1, ANGLES))
    values[..., 50] = 1.0
    values[..., 100:104] = 1.0  # four degrees: wider than the running median
    calm = steadied(values, foil(1))
    assert calm[..., 50] == 0.0
    assert calm[..., 101:103].min() == 1.0


def test_heights_that_show_the_same_fold_are_pooled_and_others_are_not() -> None:
    values = np.zeros((5, 1, ANGLES))
    values[2] = 1.0
    assert steadied(values, foil(5, 0.1)).max() == 0.0
    assert steadied(values, foil(5, 1.0)).max() == 1.0


def test_shape_and_noise_are_told_apart() -> None:
    smooth, rest = split(wave() + noise(), foil())
    # Over 15 degrees a wave of 180 loses 1 %; a fifteenth of the noise's variance stays in the smooth part.
    assert np.abs(smooth - wave()).std() < 0.3 * SIGMA
    assert rest.std() == pytest.approx(SIGMA, rel=0.05)


def test_a_root_mean_square_is_that_of_the_shape() -> None:
    found = root_mean_square(wave() + noise(), foil())
    true = 0.03 / np.sqrt(2)
    assert abs(found.value - true) < 0.02 * true
    assert found.noise > 0
    assert root_mean_square(noise(), foil()).value < 0.4 * SIGMA, "of a roll without errors little is left"


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_largest_departure_is_freed_of_noise_either_way(sign: float) -> None:
    values = np.zeros((4, 6, ANGLES))
    values[:, 2, 80:110] = sign * 0.05
    found, place = largest_size(values + noise(), foil())
    assert found.value == pytest.approx(0.05, abs=SIGMA)
    assert place["turn"] == 2 and 80 <= place["theta_deg"] < 110
    if sign > 0:
        assert largest(values + noise(), foil())[0].value == pytest.approx(0.05, abs=SIGMA)
    else:
        assert largest(values + noise(), foil())[0].value < 0.01, "only what lies outward counts"


def test_the_largest_of_noise_alone_is_mostly_taken_off() -> None:
    found = [largest_size(noise(seed=seed), foil())[0] for seed in range(8)]
    raw = [float(np.abs(steadied(noise(seed=seed), foil())).max()) for seed in range(8)]
    assert np.mean([f.value for f in found]) < 0.5 * np.mean(raw)


def test_a_step_is_no_noise_where_the_noise_is_known_from_elsewhere() -> None:
    """The gap to the can jumps by a pitch where the outer turn begins."""
    gap = np.where(THETA < 200.0, -0.30, -0.10) * np.ones((4, 1, 1))
    values = gap + noise(turns=1)
    found, place = largest_of_stepped(values, noise(turns=1, seed=2), foil())
    # Values serve as they are, noise included: not all of it is taken off, but the step stays whole.
    assert found.value == pytest.approx(-0.10, abs=1.5 * SIGMA)
    assert found.value < float(steadied(values, foil()).max())
    assert place["theta_deg"] >= 200.0
