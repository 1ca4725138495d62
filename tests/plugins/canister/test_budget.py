"""Lines of the can's budget that are more than one number times another, on drawn residuals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from xctrules_canister.budget import (
    WallModel,
    centres_of_the_slices,
    limits_of_the_straight_part,
    ovality_in_eccentricity,
)


def test_a_wall_of_few_blurs_is_known_less_well() -> None:
    thick, thin, thinner = (WallModel.of(blurs * 0.04, 0.04, 0.04) for blurs in (8.0, 3.0, 1.5))
    for figure in ("outer", "wall", "wall_at_one_place", "inner"):
        assert getattr(thick, figure) < getattr(thin, figure) < getattr(thinner, figure)
    assert WallModel.of(0.0, 0.04, 0.04).outer < 0.4 * 0.04, "the can's other places hold the wall's grey"


def test_independent_centres_give_the_angle_of_a_line_through_them() -> None:
    z = np.linspace(-2.0, 2.0, 400)
    residual = np.random.default_rng(2).normal(0, 0.001, (400, 2))
    line = centres_of_the_slices(residual, z)
    expected = math.degrees(0.001 / (z.std() * math.sqrt(400)))
    # A correlation of 800 pairs is known to 4 %, and makes up to 8 % of the number of independent ones.
    assert line.contribution == pytest.approx(expected, rel=0.15)
    assert line.degrees_of_freedom == pytest.approx(398, rel=0.2)


def test_centres_that_hang_together_count_as_fewer() -> None:
    z = np.linspace(-2.0, 2.0, 400)
    alike = np.repeat(np.random.default_rng(2).normal(0, 0.001, (40, 2)), 10, axis=0)
    line = centres_of_the_slices(alike, z)
    # Runs of ten: an autoregressive process of their correlation, 0.9, leaves 400 (1 - 0.9) / (1 + 0.9).
    assert line.degrees_of_freedom == pytest.approx(400 / 19 - 2, rel=0.3)


def test_the_limits_matter_by_what_the_first_or_last_height_changes() -> None:
    each = np.array([20.0, 20.0, 20.0, 20.0, 20.5])
    # Mean 20.1 with the last height, 20.0 without.
    assert limits_of_the_straight_part(each).contribution == pytest.approx(0.1 / math.sqrt(3))


@pytest.mark.parametrize("ovality", [0.0, 0.001, 0.1])
def test_eccentricity_has_a_finite_uncertainty_at_a_circle(ovality: float) -> None:
    u = ovality_in_eccentricity(ovality, 0.002, 10.0).contribution
    low, high = max(ovality - 0.002, 0.0), ovality + 0.002
    # e^2 = 1 - (b / a)^2, about the difference of both axes' lengths over the mean radius.
    assert u == pytest.approx(0.5 * (math.sqrt(high / 10.0) - math.sqrt(low / 10.0)), rel=0.02)
