"""What was not seen is told of: the stretch that could hide a fault, and the places behind a tab."""

from __future__ import annotations

import numpy as np
import pytest
from plugins.overhang.drawn_edges import edges
from xctrules_overhang.unseen import hidden_places, longest_unclear, nothing_measured

from xctrules.cylinder.surfaces import NO_FOIL, TAB, UNCLEAR


@pytest.mark.parametrize("handedness", [1, -1])
def test_an_unclear_stretch_goes_on_into_the_next_turn(handedness: int) -> None:
    state = np.zeros((3, 360), dtype=np.int8)
    line = state.reshape(-1) if handedness > 0 else state[:, ::-1].reshape(-1).copy()
    line[357:363] = UNCLEAR  # three degrees on either side of the seam
    if handedness < 0:
        state = line.reshape(3, 360)[:, ::-1].copy()
    text = longest_unclear([edges(state=state, handedness=handedness)], 0.3)
    assert text is not None and "(6 degrees) from turn 0" in text
    state[state == UNCLEAR] = 0
    assert longest_unclear([edges(state=state, handedness=handedness)], 0.3) is None


def test_the_longest_unclear_stretch_of_all_ends_is_told_of() -> None:
    short, long = np.zeros((2, 3, 360), dtype=np.int8)
    short[0, 10:20] = UNCLEAR
    long[1, 40:60] = UNCLEAR
    text = longest_unclear([edges(state=short), edges(state=long)], 0.3)
    assert text is not None and "1.7 mm of foil (20 degrees) from turn 1, 40 degrees on" in text
    three = np.zeros((3, 360), dtype=np.int8)
    three[0, 10:13] = UNCLEAR  # 0.26 mm at a radius of 5 mm: less than what extremes are stated over
    assert longest_unclear([edges(state=three)], 0.3) is None


def test_places_behind_a_tab_are_listed_turn_by_turn() -> None:
    state = np.zeros((7, 360), dtype=np.int8)
    assert hidden_places([edges(state=state)]) is None
    state[2, :5] = TAB
    assert "top end, turn 2: 5 of 360 angles" in (hidden_places([edges(state=state)]) or "")
    state[:, 0] = TAB
    assert "and 3 more turns" in (hidden_places([edges(state=state)]) or "")


def test_an_end_without_an_overhang_says_why() -> None:
    assert nothing_measured(None) == "this end is not in view"
    state = np.full((3, 360), NO_FOIL, dtype=np.int8)
    assert "no foil here at most turns and angles" in nothing_measured(edges(state=state))
