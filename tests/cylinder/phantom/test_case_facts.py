"""What a validation's figures need to know of a drawn cylindrical cell."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from xctrules.core.cramer_rao import Optics
from xctrules.cylinder.phantom import Buckle, Dent, Imaging, NegativeOverhang, PhantomSpec, Tab, small
from xctrules.cylinder.phantom.case_facts import facts, in_one_line, optics
from xctrules.cylinder.phantom.targets import TARGETS


def row_of(spec: PhantomSpec, kind: str = "mixed", **truths: float) -> dict[str, Any]:
    names = {name: truths.get(name.replace(".", "_")) for name in TARGETS.covered}
    return {
        "kind": kind,
        "spec": spec.to_dict(),
        "noted": {"straight_mm": [0.5, 2.5], "cathode_sigma_mm": 0.002},
        "measurements": {name: {"unit": "mm", "truth": truth} for name, truth in names.items()},
    }


def test_overhangs_are_counted_in_slices_and_the_rest_in_pixels() -> None:
    known = facts(row_of(small(voxel_size_mm=(0.08, 0.04, 0.04))))
    assert {name for name, voxel in known.voxel_mm.items() if voxel == 0.08} == {
        "overhang.length.mean",
        "overhang.length.min",
        "overhang.length.max",
    }
    assert set(known.voxel_mm.values()) == {0.04, 0.08}
    assert known.noise_voxels == {"one cathode edge": pytest.approx(0.002 / 0.08)}


def test_every_case_falls_into_one_stratum_of_each_condition() -> None:
    for voxel, noise, blur in ((0.016, 0.008, 0.6), (0.025, 0.0199, 0.8), (0.06, 0.08, 1.3)):
        spec = small(voxel_size_mm=(voxel,) * 3, imaging=Imaging(noise=noise, blur_px=blur))
        conditions = facts(row_of(spec)).conditions
        for condition, value in conditions.items():
            inside = [s for s in TARGETS.strata if s.condition == condition and s.low <= value < s.high]
            assert len(inside) == 1, (condition, value)


def test_faults_must_be_found_where_they_were_drawn() -> None:
    spec = small(
        dents=(Dent(theta_deg=100.0, width_mm=2.0, depth_mm=0.1),),
        negative_overhangs=(NegativeOverhang(turn=3, length_mm=-0.1),),
        buckle=Buckle(0.1, 250.0, 80.0),
    )
    faults = facts(row_of(spec)).faults
    assert set(faults) == {fault.name for fault in TARGETS.faults}
    # 2 mm of a can of 8 mm are 14.3 degrees to either side of the middle... and 5 degrees more
    assert faults["dent"]["theta_deg"] == (100.0, pytest.approx(math.degrees(2.0 / 8.0) + 5.0))
    assert faults["buckle"]["theta_deg"] == (250.0, pytest.approx(50.0))
    assert facts(row_of(small())).faults == {}


def test_bias_is_that_of_sound_cells_imaged_as_published_and_of_clear_dents() -> None:
    sound = facts(row_of(small(), kind="published", canister_dent_depth=0.0)).for_bias
    assert "canister.outer_diameter" in sound and "canister.dent_depth" not in sound
    clear = facts(row_of(small(), kind="faults", canister_dent_depth=0.07)).for_bias
    assert clear == ("canister.dent_depth",)
    assert facts(row_of(small(), kind="faults", canister_dent_depth=0.05)).for_bias == ()
    assert facts(row_of(small(), kind="mixed", canister_dent_depth=0.07)).for_bias == ()


def test_rounding_to_grey_levels_counts_as_noise() -> None:
    fine = small(imaging=Imaging(noise=0.02, dtype="float32"))
    coarse = replace(fine, imaging=replace(fine.imaging, dtype="uint8"))
    noise = fine.imaging.noise * fine.greys.cathode_coating
    assert optics(fine.to_dict()).noise == pytest.approx(noise)
    assert optics(coarse.to_dict()).noise == pytest.approx(math.hypot(noise, 1 / math.sqrt(12)))


def test_the_bound_of_the_diameter_is_that_of_the_straight_can_in_view() -> None:
    """Both radii of a diameter move with the face: twice the bound of its area, over the voxel."""
    spec = small(imaging=Imaging(noise=0.02, dtype="float32", noise_correlation_px=0.0, blur_px=1.0))
    noise = 0.02 * spec.greys.cathode_coating
    scan = Optics(spec.voxel_size_mm, 0.04, noise)
    face = scan.face_bound_mm(spec.greys.can, math.pi * spec.outer_diameter_mm * 2.0, axis=2)
    least = facts(row_of(spec)).least_voxels
    assert least["canister.outer_diameter"] == pytest.approx(2 * face / 0.04)
    assert least["one cathode edge"] > 10 * least["overhang.length.mean"]  # one place against the whole tape


def test_a_case_in_one_line_tells_what_is_particular_about_it() -> None:
    plain = in_one_line(row_of(small(), kind="published"))
    assert plain.startswith("published, 40x40 µm")
    assert "tab" not in plain and "dent" not in plain and "rings" not in plain
    spec = small(tabs=(Tab(turn=3),), imaging=Imaging(rings=0.01), sleeve_mm=0.07)
    shown = in_one_line(row_of(spec))
    assert "rings 0.010" in shown and "cathode tab" in shown and "sleeve 0.070 mm" in shown
