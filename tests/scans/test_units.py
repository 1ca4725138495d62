"""Lengths as files state them, in millimetres."""

from __future__ import annotations

import math

import pytest

from xctrules.scans.units import known_voxel, length_mm, millimetres_in


@pytest.mark.parametrize(
    ("unit", "mm"),
    [("m", 1000), ("cm", 10), ("millimeter", 1), ("Millimetre", 1), (" mm ", 1), ("um", 1e-3),
     ("micron", 1e-3), ("\u00b5m", 1e-3), ("\u03bcm", 1e-3), ("nm", 1e-6), ("inch", 25.4)],
)  # fmt: skip
def test_units(unit: str, mm: float) -> None:
    """The micro sign and the Greek letter look alike and are two characters; files hold both."""
    assert millimetres_in(unit) == mm
    assert length_mm("2.5", unit) == pytest.approx(2.5 * mm)


@pytest.mark.parametrize("unit", ["", "pixel", "voxel", None, 1, ["mm"]])
def test_what_is_no_unit_of_length(unit: object) -> None:
    assert millimetres_in(unit) is None
    assert length_mm(1.0, unit) is None


@pytest.mark.parametrize("value", [0, -0.04, math.nan, math.inf, "", "wide", None, [1]])
def test_what_is_no_length(value: object) -> None:
    assert length_mm(value, "mm") is None


def test_a_voxel_is_known_when_one_of_its_sides_is() -> None:
    assert known_voxel(None, None, None) is None
    assert known_voxel(None, 0.04, None) == (None, 0.04, None)
