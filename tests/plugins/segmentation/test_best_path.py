"""The best path through drawn evidence, and against trying all paths."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from xctrules_segmentation.best_path import best_path, squared_price


def test_the_path_follows_a_leaning_ridge_past_a_gap() -> None:
    true = np.clip(np.arange(30) // 3, 0, 14)
    gain = np.full((30, 1, 15), -0.2, dtype=np.float32)
    gain[np.arange(30), 0, true] = 1.0
    gain[12:15] = 0.0  # nothing to be seen
    assert np.array_equal(best_path(gain, squared_price(2, 0.1))[:, 0][:12], true[:12])
    assert np.array_equal(best_path(gain, squared_price(2, 0.1))[:, 0][15:], true[15:])


@pytest.mark.parametrize("reach", [1, 2])
def test_no_path_is_worth_more_than_the_best_one(reach: int) -> None:
    """All 4^6 paths of each of five lines."""
    gain = np.random.default_rng(reach).normal(size=(6, 5, 4))
    found = best_path(gain, squared_price(reach, 0.3))
    every = np.array(list(product(range(4), repeat=6)))
    step = np.diff(every, axis=1)
    allowed = (np.abs(step) <= reach).all(axis=1)
    for line in range(5):
        worth = gain[np.arange(6), line, every].sum(axis=1) - 0.3 * (step**2).sum(axis=1)
        assert found[:, line].tolist() == every[np.argmax(np.where(allowed, worth, -np.inf))].tolist()
