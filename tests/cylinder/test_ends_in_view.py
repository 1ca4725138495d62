"""Names of the ends in view: the can's shape goes before the sidecar, and the sidecar before the place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xctrules.core.slices import ArraySlices, Scan
from xctrules.cylinder.ends_in_view import name_ends
from xctrules.cylinder.frame import CellFrame, EndInView, NamedBy
from xctrules.cylinder.outline import Outline

VOXEL = (0.1, 0.1, 0.1)
SHAPE = (100, 20, 20)
BEAD = [4.0] * 3 + [3.8, 3.7, 3.7, 3.8] + [4.0] * 3
"""Radii going outward beyond the roll: a waist, and wider again."""


def named(
    roll: tuple[float, float], before: list[float], after: list[float], **sidecar: Any
) -> tuple[tuple[EndInView, ...], tuple[str, ...]]:
    """Ends of a roll between two heights in a scan of 10 mm. ``before`` and ``after`` are the radii of the
    outlines beyond it, going outward; beyond the last of them there is nothing."""
    first, last = round(roll[0] * 10), round(roll[1] * 10)
    radius = {k: 4.0 for k in range(first, last + 1)}
    radius |= {first - 1 - i: r for i, r in enumerate(before)}
    radius |= {last + 1 + i: r for i, r in enumerate(after)}
    outlines = [Outline(k, 1.0, 1.0, radius[k], 1.0, 0.0, 0.0) for k in sorted(radius)]
    frame = CellFrame((1.0, 1.0), (0.0, 0.0, 1.0), VOXEL, SHAPE, 4.0, None, roll)
    scan = Scan(Path("drawn"), ArraySlices(np.zeros(SHAPE, np.uint8)), VOXEL, sidecar)
    return name_ends(scan, frame, outlines)


def test_a_bead_is_the_top_and_a_can_that_stops_the_bottom() -> None:
    ends, warnings = named((2.0, 8.0), [4.0] * 5, BEAD)
    assert [(e.name, e.outward, e.z_mm) for e in ends] == [("bottom", -1, 2.0), ("top", 1, 8.0)]
    assert {e.named_by for e in ends} == {NamedBy.SHAPE} and warnings == ()


def test_one_end_that_is_understood_names_the_other() -> None:
    ends, _ = named((2.0, 8.0), BEAD, [4.0] * 19)  # at the upper border nothing tells
    assert [e.name for e in ends] == ["top", "bottom"]


def test_two_ends_alike_are_not_understood() -> None:
    ends, warnings = named((2.0, 8.0), BEAD, BEAD, slice_order="bottom_to_top")
    assert [(e.name, e.named_by) for e in ends] == [("bottom", NamedBy.SIDECAR), ("top", NamedBy.SIDECAR)]
    assert warnings == ()


@pytest.mark.parametrize("field_of_view", ["top", "bottom"])
def test_the_sidecar_names_the_one_end_that_nothing_else_names(field_of_view: str) -> None:
    ends, warnings = named((-1.0, 8.0), [], [4.0] * 19, field_of_view=field_of_view)
    assert [(e.name, e.named_by) for e in ends] == [(field_of_view, NamedBy.SIDECAR)]
    assert warnings == ()


def test_without_any_word_the_place_among_the_slices_names_an_end_and_is_told() -> None:
    ends, warnings = named((-1.0, 8.0), [], [4.0] * 19)
    assert [(e.name, e.named_by) for e in ends] == [("bottom", NamedBy.PLACE)]
    assert len(warnings) == 1 and "because of its place among the slices" in warnings[0]


def test_a_contradiction_is_told_once() -> None:
    ends, warnings = named((-1.0, 8.0), [], BEAD, field_of_view="bottom")
    assert [e.name for e in ends] == ["top"]
    assert warnings == ("the sidecar says that the bottom end is at 8.0 mm, the can's shape says top",)


def test_an_end_that_the_sidecar_claims_and_the_scan_does_not_show_is_told() -> None:
    ends, warnings = named((-1.0, 8.0), [], BEAD, field_of_view="both")
    assert [e.name for e in ends] == ["top"]
    assert warnings == ("the sidecar says that the bottom end is in view, but the scan does not show it",)
    none, warnings = named((-1.0, 9.9), [], [], field_of_view="whole")
    assert none == () and len(warnings) == 2


def test_an_end_counts_as_seen_three_slices_beyond_the_edge() -> None:
    assert named((0.2, 9.7), [], [])[0] == ()
    assert [e.outward for e in named((0.31, 9.7), [], [])[0]] == [-1]
