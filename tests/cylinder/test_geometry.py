"""What a scan of a cylindrical cell shows, in words and by place."""

from __future__ import annotations

from typing import Any

import pytest

from xctrules.core.errors import NotMeasurable
from xctrules.cylinder.geometry import Cylinder
from xctrules.cylinder.phantom import draw, small
from xctrules.engine.testing import phantom_cell

NOMINAL = {"height": 20.0}


@pytest.mark.parametrize(
    ("view", "places", "words"),
    [
        ("top", {"top": True, "bottom": False}, "for the top end, "),
        ("roll", {"top": False, "bottom": False}, "for no end, "),
        ("both", {"top": True, "bottom": True}, "for both ends, "),
    ],
)
def test_scope_says_which_ends_and_how_much_was_seen(view: Any, places: dict[str, bool], words: str) -> None:
    cell, _ = phantom_cell(draw(small(view=view, roll_in_view_mm=0.8)), angles=36)
    scope = Cylinder().scope(cell, NOMINAL)
    assert scope.places == places
    assert scope.noun == "end"
    assert scope.figures["ends"] == [end for end, seen in places.items() if seen]
    seen, straight = scope.figures["height_seen_mm"], scope.figures["straight_can_mm"]
    assert scope.text == f"{words}{seen:.1f} of 20.0 mm seen, {straight:.1f} mm of it straight can"


def test_without_a_cell_nothing_is_known_of_its_places() -> None:
    scope = Cylinder().scope(None, NOMINAL)
    assert scope.places == {"top": None, "bottom": None}
    assert scope.text == "for an unknown part of the cell"
    assert scope.figures["ends"] is None


def test_a_clipped_grey_scale_is_named_where_no_can_stands_out() -> None:
    import numpy as np

    from xctrules.core.slices import ArraySlices, Scan
    from xctrules.cylinder.surfaces import CylinderSettings

    grey = np.full((4, 200, 200), 255, np.uint8)
    grey[:, :20] = 30
    scan = Scan("flat", ArraySlices(grey), (0.1, 0.1, 0.1), {})  # type: ignore[arg-type]
    with pytest.raises(NotMeasurable, match="has its largest value"):
        Cylinder().find(scan, {}, CylinderSettings())
