"""Numbers in words: digits follow the uncertainty, and names carry their units."""

from __future__ import annotations

import pytest

from xctrules.core import wording


@pytest.mark.parametrize(
    ("value", "expanded", "unit", "text"),
    [
        (21.2098, 0.0429, "mm", "21.210 ± 0.043 mm"),
        (21.2098, 0.0999, "mm", "21.21 ± 0.10 mm"),  # rounds up into the next decade
        (-3.5049, 1.26, "deg", "(-3.5 ± 1.3)°"),
        (0.0000004, 0.00012, "mm", "0.00000 ± 0.00012 mm"),
        (-0.00004, 0.012, "mm", "0.000 ± 0.012 mm"),  # no minus before zero
        (1234.6, 120.0, "1", "1235 ± 120"),
        (26, None, "1", "26"),
        (0.6594, None, "mm", "0.6594 mm"),
        (0, 0, "1", "0"),
        (None, None, "mm", "–"),
    ],
)
def test_quantity(value: float | None, expanded: float | None, unit: str, text: str) -> None:
    assert wording.quantity(value, expanded, unit) == text


@pytest.mark.parametrize("power", range(-8, 4))
@pytest.mark.parametrize("digits", [1.0, 1.94, 1.96, 9.4, 9.96])
def test_decimals_keep_two_digits_of_the_uncertainty(power: int, digits: float) -> None:
    uncertainty = digits * 10.0**power
    shown = f"{uncertainty:.{wording.decimals_for(uncertainty)}f}"
    # Rounding to two significant digits changes a number by at most 5 %; three would show a needless digit.
    assert float(shown) == pytest.approx(uncertainty, rel=0.05) or power >= 1
    assert len(shown.replace(".", "").lstrip("0")) == 2 or power >= 1


def test_probability_is_never_rounded_to_certainty() -> None:
    assert wording.percent(0.99999) == "> 99.9 %"
    assert wording.percent(1e-9) == "< 0.1 %"
    assert wording.percent(0.9706) == "97.1 %"
    assert wording.percent(None) == "–"


def test_limits_keep_every_digit_that_was_stated():
    assert wording.limits(26.0, 26.4, "mm") == "26 to 26.4 mm"
    assert wording.limits(None, 21.2500001, "mm") == "at most 21.2500001 mm"
    assert wording.limits(-0.5, None, "deg") == "at least -0.5°"
    assert wording.limits(0.0, None, "1") == "at least 0"


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ({"z_mm": 6.1, "phi_deg": 40.0}, "z 6.10 mm, phi 40°"),
        ({"phi_deg": 319.46, "layer": 3}, "phi 319.5°, layer 3"),
        ({"edge_distance_mm": -0.001}, "edge distance 0.00 mm"),
        ({"side": "upper", "z_mm": None}, "side upper"),
        ({}, ""),
        (None, ""),
    ],
)
def test_places_are_read_off_the_names_of_their_coordinates(place, text):
    assert wording.place(place) == text


def test_a_margin_has_the_digits_of_its_value():
    assert wording.quantity(21.2144, 0.0836, "mm") == "21.214 ± 0.084 mm"
    assert wording.margin(21.25 - 21.2144, 0.0836, "mm") == "0.036 mm"
    assert wording.margin(2.0, None, "1") == "2"
    assert wording.margin(1 / 3, None, "1") == "0.3333"


def test_a_guard_band_that_was_stated_is_not_rounded():
    assert wording.guard_band(0.0836123, 0.0836123, "mm") == "0.084 mm"
    assert wording.guard_band(0.125, 0.0836123, "mm") == "0.125 mm"


def test_words_are_counted_and_joined():
    assert [wording.counted(n, "rule") for n in (0, 1, 2)] == ["0 rules", "1 rule", "2 rules"]
    assert [wording.joined(list("abc"[:n])) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
