"""Minima and maxima are freed of what noise makes of them, and faults are kept."""

from __future__ import annotations

import numpy as np
import pytest
from plugins.overhang.drawn_noise import POOLING, pooled, shared_noise, sharing
from xctrules_overhang.extremes import extreme
from xctrules_overhang.noise import scatter


def test_the_bias_of_an_extreme_is_taken_out_where_neighbours_share_their_noise() -> None:
    rng = np.random.default_rng(8)
    shared, sigma = sharing(360, np.full(8, 3.0), POOLING), 0.02
    errors, covered = [], []
    for _ in range(30):
        values = 0.6 + sigma * shared_noise((8, 360), 3.0, rng)
        found = extreme(values, scatter(values, shared), -1, shared)
        errors.append(found.corrected - 0.6)
        covered.append(abs(errors[-1]) < 2 * np.hypot(found.spread, abs(found.bias) / np.sqrt(3)))
    # Uncorrected it is some 2.5 sigma.
    assert abs(np.mean(errors)) < 0.7 * sigma
    assert np.mean(covered) > 0.8


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(("angles", "pooling"), [(120, (1.0,)), (360, POOLING)])
def test_the_bias_of_an_extreme_is_taken_out(sign: int, angles: int, pooling: tuple[float, ...]) -> None:
    """Alike truths everywhere: whatever the extreme is beyond them is noise."""
    rng = np.random.default_rng(11)
    shared = sharing(angles, np.zeros(12), pooling)
    sigma, errors, spreads = 0.02, [], []
    for _ in range(40):
        noise = rng.normal(0, sigma, (12, angles))
        if pooling == POOLING:
            noise = pooled(noise) / np.sqrt(3 / 8)
        found = extreme(0.6 + noise, sigma, sign, shared)
        errors.append(found.corrected - 0.6)
        spreads.append(found.spread)
        assert sign * (found.value - 0.6) > 0
    # Uncorrected, the extreme of hundreds of values lies some 3 sigma (of the averaged values) out.
    assert abs(np.mean(errors)) < 0.5 * sigma
    # Neighbouring angles share their noise, so that 40 rolls are few: the spread is right to a factor of two.
    assert 0.5 < np.std(errors) / np.mean(spreads) < 2.5


def test_a_fault_is_not_corrected_away() -> None:
    rng = np.random.default_rng(4)
    values = 0.6 + rng.normal(0, 0.01, (12, 360))
    values[5, 100:120] -= 0.7
    found = extreme(values, 0.01, -1, sharing(360, np.zeros(12), POOLING))
    assert found.corrected == pytest.approx(-0.1, abs=0.015)
    assert found.index[0] == 5 and 99 <= found.index[1] <= 120
