"""From edges to overhangs: lengths, leans and bases, on numbers made up by the tests."""

from __future__ import annotations

import numpy as np
import pytest
from plugins.overhang.drawn_edges import edges
from xctrules_overhang.lengths import base_heights, deflections, lengths, smoothed

NAN = float("nan")


@pytest.mark.parametrize("outward", [1, -1])
def test_the_worse_of_two_cathodes_counts_and_the_sign_is_the_ends_own(outward: int) -> None:
    assert lengths(edges(2.0, 1.3, 1.5, outward)) == pytest.approx(np.full((3, 24), 0.5))
    assert lengths(edges(1.4, 1.3, 1.5, outward)) == pytest.approx(np.full((3, 24), -0.1))


def test_one_face_alone_is_enough_and_none_is_not() -> None:
    assert lengths(edges(2.0, NAN, 1.5)) == pytest.approx(np.full((3, 24), 0.5))
    assert lengths(edges(2.0, 1.5, NAN)) == pytest.approx(np.full((3, 24), 0.5))
    assert np.isnan(lengths(edges(2.0, NAN, NAN))).all()


@pytest.mark.parametrize("outward", [1, -1])
@pytest.mark.parametrize("lean", [-12.0, 0.0, 25.0])
def test_a_lean_is_outward_positive_at_both_ends(outward: int, lean: float) -> None:
    assert deflections(edges(2.1, 1.5, 1.5, outward, lean), 0.1) == pytest.approx(np.full((3, 24), lean))


def test_too_short_a_foil_has_no_lean() -> None:
    assert np.isnan(deflections(edges(1.55, 1.5, 1.5), 0.1)).all()


def test_each_cathode_edge_counts_once() -> None:
    base = base_heights(edges(2.0, 1.3, 1.5))
    assert base.shape == (4, 24)
    assert base[0] == pytest.approx(np.full(24, 1.3))  # inside the innermost turn
    assert base[1:] == pytest.approx(np.full((3, 24), 1.5))


def test_smoothing_goes_round_the_turn_and_keeps_gaps() -> None:
    values = np.array([[0.0, 3.0, 0.0, NAN, 6.0]])
    assert smoothed(values, 1)[0] == pytest.approx([3.0, 1.0, 1.5, NAN, 3.0], nan_ok=True)
