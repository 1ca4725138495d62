"""The noise of single values is found in full, however far along a turn it is shared."""

from __future__ import annotations

import numpy as np
import pytest
from plugins.overhang.drawn_noise import POOLING, pooled, shared_noise, sharing
from xctrules_overhang.noise import scatter


def test_scatter_is_the_noise_and_not_the_wave() -> None:
    rng = np.random.default_rng(2)
    theta = np.radians(np.arange(120) * 3.0)
    values = 0.5 + 0.2 * np.cos(theta) + rng.normal(0, 0.01, (20, 120))
    # 2400 values: the median absolute deviation is good to 3 %; the wave's curvature adds less.
    assert scatter(values, sharing(120, np.zeros(20))) == pytest.approx(0.01, rel=0.1)


def test_noise_that_neighbours_share_is_seen_in_full() -> None:
    """Near the core ten half-planes look at the same voxels and agree with one another."""
    values = 0.02 * shared_noise((6, 360), 4.0, np.random.default_rng(5))
    # Some 25 independent places on each of six turns: good to a seventh.
    seen = scatter(values, sharing(360, np.full(6, 4.0), POOLING))
    assert seen == pytest.approx(0.02, rel=0.35)
    assert np.max(scatter(values, sharing(360, np.zeros(6), POOLING))) < 0.012


def test_the_noise_of_pooled_half_planes_is_seen_in_full() -> None:
    """Neighbours that were averaged over one another differ by less than their noise."""
    values = np.random.default_rng(3).normal(0, 0.02, (20, 360))
    values = pooled(values) / np.sqrt(3 / 8)
    # 7200 values: good to 2 %; second differences of neighbours show a third of the variance, 0.012.
    assert scatter(values, sharing(360, np.zeros(20), POOLING)) == pytest.approx(0.02, rel=0.15)
    assert np.max(scatter(values, sharing(360, np.zeros(20)))) < 0.015


def test_drawn_noise_is_what_single_values_have_and_averaging_leaves() -> None:
    """Independent half-planes: a mean of five has a fifth of the variance; neighbours of it share four."""
    draws = sharing(360, np.zeros(4)).draws
    # 128 draws of four turns with 72 independent means each: good to half a per cent.
    assert draws.std() == pytest.approx(np.sqrt(1 / 5), rel=0.02)
    assert np.mean(draws * np.roll(draws, 1, -1)) == pytest.approx(4 / 25, rel=0.05)


def test_drawn_noise_of_shared_half_planes_is_shared_as_far() -> None:
    rng = np.random.default_rng(6)
    own = shared_noise((400, 360), 3.0, rng)
    own = sum(np.roll(own, k, -1) for k in range(-2, 3)) / 5
    draws = sharing(360, np.full(4, 3.0), POOLING).draws
    for lag in (0, 2, 5, 9):
        expected = np.mean(own * np.roll(own, lag, -1))
        # Some 25 independent places on each of 400 and 512 turns: good to two per cent of the variance.
        assert np.mean(draws * np.roll(draws, lag, -1)) == pytest.approx(expected, abs=0.05)
