"""Steps, crossings and ranks that the ends of the roll are found by, on made-up numbers."""

from __future__ import annotations

import numpy as np
import pytest
from xctrules_segmentation.steps import change_point, crossing, over_turns, pooled, pooling, rank

NAN = float("nan")


@pytest.mark.parametrize("half_planes", [72, 179, 180, 360])
def test_what_is_said_of_pooling_is_what_was_done(half_planes: int) -> None:
    """One half-plane that differs shows up beside itself with the weights that the surface states."""
    values = np.zeros((1, half_planes, 1), dtype=np.float32)
    values[0, 10] = 1.0
    weights = pooling(half_planes)
    beside = np.zeros(half_planes)
    for away, weight in enumerate(weights):
        beside[[10 - away, 10 + away]] = weight
    assert pooled(values)[0, :, 0] == pytest.approx(beside, abs=1e-6)
    assert weights[0] + 2 * sum(weights[1:]) == pytest.approx(1.0)
    assert (len(weights) > 1) == (360 / half_planes <= 2.0), "two degrees apart or nearer"


def test_the_step_is_where_most_speaks_for_it() -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(10, 27, 200)
    level = np.where(np.arange(40)[:, None] <= true, 10.0, 0.0)
    profile = (level + rng.normal(0, 2.5, level.shape)).astype(np.float32)
    profile[5] = 0.0  # one dark voxel does not end an electrode
    profile[36:] = 12.0  # something else, beyond a dark stretch
    half = np.full(200, 5.0, dtype=np.float32)
    found = change_point(profile, half, half, stop=5)
    assert np.mean(found == true) > 0.8
    assert np.abs(found - true).max() <= 2


def test_only_where_it_can_be_seen_does_a_dark_stretch_end_a_foil() -> None:
    profile = np.zeros((60, 1), dtype=np.float32)
    profile[:6] = profile[30:45] = 10.0
    profile[6:30] = 3.5  # between two cathodes it hardly shows, above them it does
    profile[55:] = 30.0  # something else
    half = np.full(1, 5.0, dtype=np.float32)
    free = (np.arange(60) >= 30)[:, None]
    assert change_point(profile, half, half, 5, free)[0] == 44
    assert change_point(profile, half, half, 5)[0] == 5
    short = profile.copy()
    short[6:26] = 10.0
    short[26:45] = 0.0
    assert change_point(short, half, half, 5, free)[0] == 25


def test_a_crossing_is_found_between_samples_and_only_near() -> None:
    profile = np.array([[9.0], [9.0], [7.0], [3.0], [1.0], [1.0]], dtype=np.float32)
    index = np.array([2])
    assert crossing(profile, index, np.array([5.0], dtype=np.float32), 2) == pytest.approx([2.5])
    assert np.isnan(crossing(profile, index, np.array([20.0], dtype=np.float32), 2)).all()


def test_rank_ignores_what_is_unknown() -> None:
    values = np.array([[3.0, NAN], [1.0, NAN], [NAN, NAN], [2.0, NAN]], dtype=np.float32)
    assert rank(values, 0.5) == pytest.approx([2.0, NAN], nan_ok=True)
    assert rank(values, 0.0)[0] == 1.0


def test_over_turns_takes_this_and_the_two_next_turns_on_both_sides() -> None:
    values = np.array([[1.0], [2.0], [3.0], [40.0], [NAN], [6.0]])
    # Medians of (1 2 3), (1 2 3 40), (1 2 3 40), (2 3 40 6), (3 40 6) and (40 6): the nearest rank, halves to
    # the even one.
    assert over_turns(values, 0.5)[:, 0] == pytest.approx([2.0, 3.0, 3.0, 6.0, 6.0, 6.0])
    assert over_turns(values[None], 0.0)[0, :, 0] == pytest.approx([1.0, 1.0, 1.0, 2.0, 3.0, 6.0])
