"""Lines of an overhang's budget that are more than one number times another, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from xctrules_overhang.budget import (
    choice_of_angles,
    doubtful_places,
    edge_noise_of_share,
    network,
    network_in_share,
    network_in_spread,
    pull,
)


def test_angles_matter_by_half_of_what_odd_and_even_ones_differ_by() -> None:
    values = np.tile([0.5, 0.7], (3, 10))
    assert choice_of_angles([values]).contribution == pytest.approx(0.1)
    assert choice_of_angles([np.full((3, 20), 0.6)]).contribution == 0.0
    values[:, 1::2] = np.nan
    assert choice_of_angles([values]).contribution == 0.0, "odd angles alone tell nothing of even ones"


def test_places_whose_sign_is_in_doubt_are_counted_by_halves() -> None:
    length = np.full((1, 20), 0.5)
    length[0, 5:10] = -0.3  # two rims
    sigma = np.full((1, 20), 0.02)
    unclear = np.zeros((1, 20), dtype=bool)
    assert doubtful_places(length, sigma, unclear) == 0.5 * 2
    length[0, 15] = 0.03  # within two standard uncertainties of zero
    assert doubtful_places(length, sigma, unclear) == 0.5 * 3
    unclear[0, [2, 12, 14]] = True  # beside the short stretch, beside it, and away from it
    assert doubtful_places(length, sigma, unclear) == 0.5 * 5
    assert edge_noise_of_share(doubtful_places(length, sigma, unclear), 20).contribution == 2.5 / 20


def test_a_networks_error_hides_short_places_when_lengths_come_out_too_long() -> None:
    lengths = np.array([-0.3, -0.01, 0.01, 0.02, 0.5, 0.6, 0.7, 0.8])
    (line,) = network_in_share(lengths, 0.05)
    assert line.contribution == pytest.approx(-3 / 16), "half of three places in eight, the other way round"
    assert line.shared and line.type == "B"
    assert network(0.0) == () and network_in_share(lengths, 0.0) == ()


def test_a_slow_error_adds_to_a_spread_in_quadrature() -> None:
    (line,) = network_in_spread(0.03, 0.04)
    assert line.contribution == pytest.approx(0.05 - 0.03)


def test_a_foil_pulled_aside_at_one_end_leans() -> None:
    assert pull(0.04, 0.8) == pytest.approx(math.degrees(0.35 * 0.04 / 0.8))
