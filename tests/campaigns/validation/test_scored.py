"""One case's values beside their truth."""

from __future__ import annotations

import math

import pytest
from validation_examples import invented, scored


def test_error_leaves_the_told_scale_out_and_the_interval_leaves_it_in() -> None:
    row = invented(0, {"canister.outer_diameter": 0.25}, 1.0, scale_error=0.001)
    assert scored(row).error("canister.outer_diameter") == pytest.approx(0.25)
    assert scored(row).half_width("canister.outer_diameter") == pytest.approx(1.0)
    # 7.5 mm are off by 7.5 um for the scale and 8.5 um for the edge, against a U of 34 um
    assert scored(row).covered("canister.outer_diameter") is True
    far = invented(0, {"canister.outer_diameter": 0.95}, 1.0, scale_error=0.001)
    assert scored(far).covered("canister.outer_diameter") is False


def test_an_angle_is_counted_in_degrees_and_knows_no_scale() -> None:
    row = invented(0, {"overhang.deflection.std": 0.5}, 1.0, scale_error=0.01)
    row["measurements"]["overhang.deflection.std"]["value"] = 8.0
    assert scored(row).error("overhang.deflection.std") == pytest.approx(0.5)
    assert scored(row).unit_word("overhang.deflection.std") == "degree"


def test_lengths_along_the_axis_are_counted_in_slices() -> None:
    row = invented(0, {"overhang.length.mean": 0.5, "winding.pitch": 0.5}, 1.0)
    z, _, x = row["spec"]["voxel_size_mm"]
    row["spec"]["voxel_size_mm"] = (2 * z, x, x)
    assert scored(row).error("overhang.length.mean") == pytest.approx(0.25)
    assert scored(row).error("winding.pitch") == pytest.approx(0.5)


def test_what_was_not_measured_has_no_error_and_promises_no_interval() -> None:
    row = invented(0, {}, 1.0)
    row["measurements"]["winding.pitch"] = {"unit": "mm", "truth": 0.4, "value": None, "reason": "too dark"}
    case = scored(row)
    assert math.isnan(case.error("winding.pitch"))
    assert math.isnan(case.half_width("winding.pitch"))
    assert case.covered("winding.pitch") is None
    row["measurements"]["winding.pitch"] = {
        "unit": "mm", "truth": 0.4, "value": 0.4, "expanded_uncertainty": 0.0, "budget": []
    }  # fmt: skip
    assert scored(row).covered("winding.pitch") is None


@pytest.mark.parametrize(("seen_deg", "there"), [(5.0, True), (355.0, True), (12.0, False), (200.0, False)])
def test_a_place_goes_round(seen_deg: float, there: bool) -> None:
    row = invented(0, {}, 1.0)
    row["measurements"]["canister.dent_depth"]["worst_at"] = {"theta_deg": seen_deg, "z_mm": 1.0}
    assert scored(row).lies_at("canister.dent_depth", {"theta_deg": (0.0, 10.0)}) is there
    assert scored(row).lies_at("canister.dent_depth", {"theta_deg": (0.0, 10.0), "z_mm": (1.5, 0.2)}) is False
    assert scored(row).lies_at("canister.dent_depth", {})
