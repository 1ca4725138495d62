"""The axis through drawn centres, over many tilts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from xctrules.cylinder.axis import AxisLine

Z = np.arange(0.0, 7.0, 0.05)


def centres(slope: tuple[float, float], noise: float = 0.0) -> np.ndarray:
    line = np.array([10.0, 11.0]) + np.outer(Z, slope)
    return line + np.random.default_rng(5).normal(0, noise, line.shape) if noise else line


@pytest.mark.parametrize("tilt_deg", [0.0, 0.3, 4.0])
@pytest.mark.parametrize("towards_deg", [0.0, 75.0, 200.0])
def test_a_noisy_line_is_recovered_within_what_it_says(tilt_deg: float, towards_deg: float) -> None:
    tilt, towards = np.radians([tilt_deg, towards_deg])
    slope = (float(np.tan(tilt) * np.cos(towards)), float(np.tan(tilt) * np.sin(towards)))
    line = AxisLine.estimate(Z, centres(slope, noise=0.005))
    # Sixty times the noise in the same direction is no chance: a fifth of the centres lie off by that.
    pulled = centres(slope, noise=0.005)
    pulled[::5] += 0.3
    for fit in (line, AxisLine.estimate(Z, pulled)):
        # 140 centres of 5 um: the middle to 0.4 um, the slope to 0.2 um/mm (0.012 degrees); four of these.
        assert fit.predict(3.5) == pytest.approx(np.array([10.0, 11.0]) + 3.5 * np.array(slope), abs=0.003)
        assert fit.slope == pytest.approx(slope, abs=0.001)
    assert math.hypot(*line.direction) == pytest.approx(1.0)
    assert line.residual_mm == pytest.approx(0.005 * math.sqrt(2), rel=0.15)
    assert abs(line.slope[0] - slope[0]) < 4 * math.radians(line.tilt_sigma_deg)


def test_what_is_predicted_has_no_residual_and_what_is_off_has_its_distance() -> None:
    line = AxisLine.estimate(Z, centres((0.02, -0.01)))
    predicted = line.predict(Z)
    assert line.residuals(Z, predicted) == pytest.approx(np.zeros(Z.size), abs=1e-12)
    assert line.residuals(Z, predicted + np.array([0.3, 0.4])) == pytest.approx(np.full(Z.size, 0.5))


def test_too_short_a_piece_of_can_is_taken_as_upright() -> None:
    few = AxisLine.estimate(Z[:3], centres((0.5, 0.0))[:3])
    assert few.direction == (0.0, 0.0, 1.0) and math.isinf(few.tilt_sigma_deg)
    noisy = AxisLine.estimate(Z[:8], centres((0.02, 0.0), noise=0.05)[:8])
    assert noisy.direction == (0.0, 0.0, 1.0) and noisy.tilt_sigma_deg > 1.0
