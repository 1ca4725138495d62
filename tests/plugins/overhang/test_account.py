"""Every place of an end is measured, explained or unexplained, and none is counted twice."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from plugins.overhang import drawn_edges
from xctrules_overhang.account import (
    BARE,
    BARE_WIDTHS,
    BEHIND_TAB,
    NO_CATHODE,
    OWN_END,
    account,
    completeness,
)

from xctrules.core.cell import Tabs
from xctrules.core.ledger import Ledger, ledger_fault
from xctrules.cylinder.phantom import draw, small
from xctrules.cylinder.surfaces import (
    NO_FACING_CATHODE,
    NO_FOIL,
    TAB,
    UNCLEAR,
    EndEdges,
    Segmentation,
)
from xctrules.engine.testing import phantom_cell

TURN_MM = 2 * np.pi * 5.0
DEGREE_MM = TURN_MM / 360
USUAL = Tabs()
WIDEST_BARE_MM = BARE_WIDTHS * USUAL.width_mm


def state() -> np.ndarray:
    return np.zeros((5, 360), dtype=np.int8)


def edges(**changes: Any) -> EndEdges:
    """Drawn edges of a roll that begins and ends with its anode: no cathode lies beyond it on either side."""
    found = drawn_edges.edges(**changes)
    found.face[0, 0] = found.face[1, -1] = False
    found.cathode_z_mm[~found.face] = np.nan
    return found


def looked_at(found: EndEdges | None, tabs: Tabs = USUAL) -> Ledger:
    """The account of the top end of a drawn cell whose edges are ``found``."""
    cell, _ = phantom_cell(draw(small(roll_in_view_mm=0.6)), segmented=False)
    ends = {} if found is None else {"top": found}
    surfaces = Segmentation(segmenter="drawn", ends=ends)
    end = cell.frame.ends[0]
    ledger = account(dataclasses.replace(cell, segmentation=surfaces, tabs=tabs), end)
    assert ledger_fault(ledger) is None
    return ledger


def adds_up(ledger: Ledger) -> bool:
    told = ledger.measured + sum(ledger.explained.values())
    return told + sum(place.extent for place in ledger.unexplained) == pytest.approx(ledger.expected)


def test_all_measured_is_all_accounted_for() -> None:
    ledger = looked_at(edges(state=state()))
    assert ledger.measured == ledger.expected == pytest.approx(5 * TURN_MM)
    assert completeness([ledger]).value == 0.0


@pytest.mark.parametrize("handedness", [1, -1])
def test_what_is_not_clear_is_unexplained_with_its_length_and_place(handedness: int) -> None:
    unclear = state()
    unclear[2, 100:120] = UNCLEAR
    ledger = looked_at(edges(state=unclear, handedness=handedness))
    (place,) = ledger.unexplained
    assert adds_up(ledger)
    assert place.extent == pytest.approx(20 * DEGREE_MM)
    assert place.at["turn"] == 2 and place.at["theta_deg"] == pytest.approx(110, abs=1)


def test_a_face_that_was_not_seen_counts_though_the_other_one_was() -> None:
    found = edges(state=state())
    found.cathode_z_mm[1, 2, 40:50] = np.nan
    (place,) = looked_at(found).unexplained
    assert place.extent == pytest.approx(10 * DEGREE_MM)


def test_the_foils_ends_and_places_without_a_cathode_there_are_explained() -> None:
    ends = state()
    ends[0, :30], ends[0, 30:90], ends[4, 300:] = NO_FOIL, NO_FACING_CATHODE, NO_FOIL
    found = edges(state=ends)
    found.face[0, 0, 90:200] = False  # the first turn faces a cathode from outside only
    found.face[:, 0, 30:90] = False
    found.cathode_z_mm[~found.face] = np.nan
    ledger = looked_at(found)
    assert adds_up(ledger) and not ledger.unexplained
    assert ledger.explained[OWN_END] == pytest.approx(90 * DEGREE_MM)
    assert ledger.explained[NO_CATHODE] == pytest.approx(60 * DEGREE_MM)


@pytest.mark.parametrize(("wide_mm", "explained"), [(WIDEST_BARE_MM - 2, True), (WIDEST_BARE_MM + 2, False)])
def test_a_cathode_may_be_missing_as_far_as_beside_a_tab(wide_mm: float, explained: bool) -> None:
    found = edges(state=state())
    width = round(wide_mm / DEGREE_MM)
    found.face[1, 2, 20 : 20 + width] = False
    found.cathode_z_mm[~found.face] = np.nan
    assert (not looked_at(found).unexplained) == explained
    assert BARE not in looked_at(found).explained  # the other face was measured


@pytest.mark.parametrize(("wide_mm", "explained"), [(USUAL.width_mm - 1, True), (USUAL.width_mm + 1, False)])
def test_a_tab_explains_what_it_hides_as_far_as_tabs_are_wide(wide_mm: float, explained: bool) -> None:
    hidden = state()
    hidden[1:3, 50 : 50 + round(wide_mm / DEGREE_MM)] = TAB  # before both turns beside it
    ledger = looked_at(edges(state=hidden))
    assert adds_up(ledger)
    assert (not ledger.unexplained) == explained
    assert (BEHIND_TAB in ledger.explained) == explained


def test_more_strips_than_tabs_are_unexplained() -> None:
    hidden = state()
    for turn, column in ((0, 20), (1, 120), (3, 220), (4, 320)):
        hidden[turn, column : column + 20] = TAB
    (place,) = looked_at(edges(state=hidden)).unexplained
    assert place.extent == pytest.approx(20 * DEGREE_MM)
    assert "no tab by width or number" in place.reason


@pytest.mark.parametrize(
    ("tabs", "explained"), [(Tabs(4.0, 1), True), (Tabs(3.0, 1), False), (Tabs(4.0, 0), False)]
)
def test_a_spec_says_how_wide_and_how_many_tabs_are(tabs: Tabs, explained: bool) -> None:
    hidden = state()
    hidden[1:3, 50 : 50 + round(3.5 / DEGREE_MM)] = TAB
    assert (not looked_at(edges(state=hidden), tabs).unexplained) == explained


def test_an_end_in_view_without_edges_is_unexplained_as_a_whole() -> None:
    ledger = looked_at(None)
    (place,) = ledger.unexplained
    assert ledger.measured == 0 and place.extent == ledger.expected > 1.0


def test_half_planes_too_far_apart_leave_out_what_lies_between_them() -> None:
    coarse = np.zeros((5, 72), dtype=np.int8)  # 0.44 mm apart at a radius of 5 mm
    (place,) = looked_at(edges(state=coarse)).unexplained
    assert place.extent == pytest.approx(5 * DEGREE_MM)
    assert "take 105 or more" in place.reason
