"""The stack of slices against drawn ones: what is wrong with it is found and named, what is sound is not."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
from xctrules_screening.by_stack import STACKED, stack_figures
from xctrules_screening.findings import Judged

from xctrules.core.slices import ArraySlices
from xctrules.cylinder.phantom import Imaging, Phantom, draw, small
from xctrules.cylinder.phantom.named_faults import with_faults
from xctrules.cylinder.phantom.spec import CentrePin, Layers, Tab
from xctrules.cylinder.phantom.stack_faults import StackFault, spoil
from xctrules.cylinder.surfaces import CylinderCell
from xctrules.engine.testing import phantom_cell

VOXEL = 0.04

MIDDLE = 0.87
"""A place of the stack in the roll of the small phantom, which shows half of its slices below the bead."""


@cache
def drawn(**changes: Any) -> Phantom:
    return draw(small(**{"roll_in_view_mm": 1.0, **changes}))


def looked_at(phantom: Phantom, volume: np.ndarray | None = None) -> dict[str, Judged]:
    if volume is not None:
        phantom = dataclasses.replace(phantom, volume=volume)
    cell, _ = phantom_cell(phantom, segmented=False)
    figures = {j.measurement.name: j for j in stack_figures(cell).judged}
    assert tuple(figures) == STACKED
    return {name.removeprefix("screening."): figure for name, figure in figures.items()}


def complaints(found: dict[str, Judged]) -> dict[str, str]:
    return {name: figure.complaint for name, figure in found.items() if figure.complaint}


def spoilt(phantom: Phantom, *faults: StackFault) -> dict[str, Judged]:
    return looked_at(phantom, spoil(phantom.volume, phantom.spec.voxel_size_mm, faults))


def first_slice(phantom: Phantom, fault: StackFault) -> int:
    """Counted from 1, as people do."""
    return fault.first_slice(len(phantom.volume)) + 1


FLAT = {"telescope_mm": 0.0, "edge_wave_mm": 0.0, "overhang_sd_mm": 0.0}
"""All electrodes end in one plane: within a pair of slices, everything changes."""


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"imaging": Imaging(noise=0.006)},
        {"imaging": Imaging(noise=0.2)},
        {"imaging": Imaging(noise=0.0)},
        {"imaging": Imaging(noise=0.0, dtype="float32", blur_px=1.5)},
        {"imaging": Imaging(noise_correlation_px=0.0)},
        {"imaging": Imaging(noise_correlation_px=1.2)},
        {"imaging": Imaging(blur_px=0.5)},
        {"imaging": Imaging(rings=0.02, cupping=0.15, streaks=0.02, dtype="uint16")},
        FLAT,
        {**FLAT, "imaging": Imaging(noise=0.0, blur_z_px=0.3)},
        {**FLAT, "imaging": Imaging(blur_z_px=0.3)},
        {**FLAT, "voxel_size_mm": (0.08, 0.04, 0.04)},
        {"voxel_size_mm": (0.02, 0.04, 0.04)},
        {"voxel_size_mm": (0.06,) * 3},
        {"voxel_size_mm": (0.025,) * 3},
        {"tilt_deg": 5.0},
        {"view": "both", "height_mm": 9.0},
        {"view": "bottom"},
        {"view": "roll"},
        {"view": "slice"},
        {"pin": CentrePin(outer_diameter_mm=1.2), "tabs": (Tab(turn=3, width_mm=1.5),)},
        {"slice_order": "bottom_to_top", "offset_mm": (0.13, 0.21)},
    ],
    ids=lambda c: ", ".join(map(str, c)) or "as it is",
)
def test_nothing_is_wrong_with_a_sound_stack(changes: dict[str, Any]) -> None:
    assert complaints(looked_at(drawn(**changes))) == {}


@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_nothing_is_wrong_with_a_stack_that_was_smoothed_along_the_axis(sigma: float) -> None:
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(drawn().volume.astype(np.float32), sigma, axis=0)
    assert complaints(looked_at(drawn(), np.rint(smooth).astype(np.uint8))) == {}


@pytest.mark.parametrize("of", [2, 3])
@pytest.mark.parametrize("how", ["thinned", "averaged"])
def test_nothing_is_wrong_with_thinned_or_averaged_slices(of: int, how: str) -> None:
    volume = drawn().volume
    count = len(volume) // of
    groups = volume[: count * of].reshape(count, of, *volume.shape[1:])
    fewer = groups[:, 0] if how == "thinned" else np.rint(groups.mean(axis=1)).astype(np.uint8)
    spec = dataclasses.replace(drawn().spec, voxel_size_mm=(of * VOXEL, VOXEL, VOXEL))
    assert complaints(looked_at(dataclasses.replace(drawn(), spec=spec), fewer)) == {}


# --- repeated, missing, misplaced --------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0.2, 0.45, 0.7, 0.9])
@pytest.mark.parametrize("times", [1, 2, 5])
def test_repeated_slices_are_counted_and_named(times: int, at: float) -> None:
    fault = StackFault("repeated", times, at)
    found = spoilt(drawn(), fault)
    assert found["repeated_slices"].measurement.value == times
    first = first_slice(drawn(), fault) + 1
    named = f"slice {first} repeats" if times == 1 else f"slices {first} to {first + times - 1} repeat"
    assert named in complaints(found)["repeated_slices"]
    assert set(complaints(found)) == {"repeated_slices"}


@pytest.mark.parametrize("noise", [0.3, 0.6])
def test_a_copy_with_a_little_noise_of_its_own_is_one(noise: float) -> None:
    """The scan's noise is 1.6 grey levels (0.02 of 78): a third of that makes a tenth of its power."""
    volume = drawn(imaging=Imaging(dtype="float32", clip_outside=False)).volume
    copy = volume[70] + np.random.default_rng(3).normal(0, noise, volume[70].shape).astype(np.float32)
    found = looked_at(
        drawn(imaging=Imaging(dtype="float32", clip_outside=False)), np.insert(volume, 71, copy, axis=0)
    )
    assert "slice 72 " in complaints(found)["repeated_slices"]


def test_a_slice_made_up_from_its_neighbours_is_told() -> None:
    volume = drawn().volume
    between = np.rint(0.5 * (volume[80].astype(float) + volume[81])).astype(np.uint8)
    found = looked_at(drawn(), np.insert(volume, 81, between, axis=0))
    assert "too much like" in complaints(found)["repeated_slices"]


@pytest.mark.parametrize("at", [0.2, 0.45, 0.7, 0.9])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_missing_slices_are_found_anywhere(count: int, at: float) -> None:
    fault = StackFault("missing", count, at)
    found = spoilt(drawn(), fault)
    after = first_slice(drawn(), fault)
    assert found["missing_slices"].measurement.value == 1
    assert f"between slices {after - 1} and {after} " in complaints(found)["missing_slices"]
    assert set(complaints(found)) == {"missing_slices"}


@pytest.mark.parametrize("kind", ["swapped", "reversed"])
def test_slices_in_the_wrong_order_are_told(kind: Any) -> None:
    said = complaints(spoilt(drawn(), StackFault(kind, 1 if kind == "swapped" else 2, 0.7)))
    assert "order" in said["misplaced_slices"]
    assert "missing_slices" not in said


def test_what_no_noise_tells_is_not_measured_and_says_so() -> None:
    found = looked_at(drawn(imaging=Imaging(noise=0.0)))
    for name in ("repeated_slices", "missing_slices", "misplaced_slices"):
        assert found[name].measurement.value is None
        assert "noise" in str(found[name].measurement.reason)
    uncorrelated = looked_at(drawn(imaging=Imaging(noise_correlation_px=0.0)))
    assert uncorrelated["repeated_slices"].measurement.value == 0
    assert uncorrelated["missing_slices"].measurement.value is None


# --- motion ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("voxels", [0.5, 1.0, 3.0, 7.0])
@pytest.mark.parametrize("at", [0.55, MIDDLE])
def test_a_shift_is_found_and_measured(voxels: float, at: float) -> None:
    fault = StackFault("shifted", voxels * VOXEL, at, direction_deg=30.0)
    found = spoilt(drawn(), fault)
    # One linear step is off by a share of the motion: a fifth for these.
    assert found["slice_shift"].measurement.value == pytest.approx(voxels * VOXEL, rel=0.2)
    assert f"from slice {first_slice(drawn(), fault)} on" in complaints(found)["slice_shift"]
    assert "missing_slices" not in complaints(found)


@pytest.mark.parametrize("degrees", [3.0, 8.0, 30.0])
def test_a_turn_is_found(degrees: float) -> None:
    fault = StackFault("turned", degrees, MIDDLE)
    found = spoilt(drawn(), fault)
    assert f"from slice {first_slice(drawn(), fault)} on" in complaints(found)["slice_turn"]
    assert "missing_slices" not in complaints(found)


def test_a_shift_below_its_level_is_borne() -> None:
    found = spoilt(drawn(), StackFault("shifted", 0.2 * VOXEL, MIDDLE))
    assert complaints(found) == {}
    assert found["slice_shift"].measurement.value == pytest.approx(0.2 * VOXEL, rel=0.2)


@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_the_figures_of_a_sound_stack_hold_their_uncertainty(noise: float) -> None:
    """The truth is 0. The largest of some 60 pairs lies three standard uncertainties off, rarely five."""
    found = looked_at(drawn(imaging=Imaging(noise=noise)))
    for name in ("slice_shift", "slice_turn", "slice_scale"):
        m = found[name].measurement
        assert m.value is not None and m.standard_uncertainty is not None
        assert m.value < 5 * m.standard_uncertainty, name


# --- brightness --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "word"), [(0.1, "brighter"), (-0.1, "darker")])
def test_a_step_of_brightness_rejects(share: float, word: str) -> None:
    fault = StackFault("brightness", share, MIDDLE)
    found = spoilt(drawn(), fault)
    assert found["brightness_step"].judgement == "rejected"
    assert f"from slice {first_slice(drawn(), fault)} on" in complaints(found)["brightness_step"]
    assert word in complaints(found)["brightness_step"]
    assert found["brightness_step"].measurement.value == pytest.approx(abs(share), rel=0.1)


def test_a_mask_has_no_stack_to_look_at() -> None:
    from xctrules_screening.metric import Screening

    cell, _ = phantom_cell(drawn(view="roll"), segmented=False)
    settings = dataclasses.replace(cell.settings, mask_of="canister")
    masked: CylinderCell = dataclasses.replace(cell, settings=settings)
    found = {m.name: m for m in Screening().measure(masked).measurements}
    assert all(found[name].value is None and "mask" in str(found[name].reason) for name in STACKED)


def test_too_few_slices_are_told() -> None:
    cell, _ = phantom_cell(drawn(view="roll"), segmented=False)
    few = dataclasses.replace(cell.scan, slices=ArraySlices(cell.scan.slices[:5]))
    frame = dataclasses.replace(cell.frame, shape=few.shape)
    figures = stack_figures(dataclasses.replace(cell, scan=few, frame=frame)).judged
    assert all("slices" in str(j.measurement.reason) for j in figures)


# --- what only the can tells -------------------------------------------------------------------------------


def _enlarged(phantom: Phantom, share: float, first: int) -> np.ndarray:
    """Slices from ``first`` on larger by a share about the middle of the image, by Lanczos' kernel."""
    volume = phantom.volume.copy()
    ny, nx = volume.shape[1:]
    matrix = cv2.getRotationMatrix2D(((nx - 1) / 2, (ny - 1) / 2), 0.0, 1 + share)
    for k in range(first, len(volume)):
        volume[k] = cv2.warpAffine(volume[k], matrix, (nx, ny), flags=cv2.INTER_LANCZOS4)
    return volume


@pytest.mark.parametrize("share", [0.005, -0.01])
def test_a_change_of_scale_is_found_and_measured(share: float) -> None:
    phantom = drawn()
    first = round(MIDDLE * len(phantom.volume))
    found = looked_at(phantom, _enlarged(phantom, share, first))
    assert found["slice_scale"].measurement.value == pytest.approx(abs(share), rel=0.25)
    assert f"from slice {first + 1} on" in complaints(found)["slice_scale"]


def test_what_changes_in_the_roll_alone_is_no_change_of_scale() -> None:
    """Foils lean in the first slices in view, and cathodes stand high over four turns and 115 degrees: the
    rings see what looks like 0.27 % of scale, and the can's face less than half of it."""
    raised = [f"cathode-high:0.96,turn={turn},theta=303.31,width=114.73" for turn in (2, 3, 4, 5)]
    cell = small(
        outer_diameter_mm=9.5762, wall_mm=0.32451, height_mm=9.5, voxel_size_mm=(0.0395737,) * 3,
        roll_in_view_mm=1.49264, beyond_mm=1.36005, border_mm=0.326142, tilt_deg=1.0,
        tilt_direction_deg=330.56, offset_mm=(-0.22048, -0.29793), turns=7.929307,
        pitch_mm=0.427037, core_radius_mm=0.731058,
        handedness=-1, start_deg=52.332, layers=Layers(0.012, 0.014, 0.0867418, 0.014),
        roll_offset_mm=(0.0, 0.0457638), overhang_mm=0.50839, overhang_sd_mm=0.0389217,
        anode_margin_mm=0.615634, telescope_mm=-0.0738250, edge_wave_mm=0.0160143,
        deflection_inner_deg=5.4555, deflection_outer_deg=-0.164216, deflection_sd_deg=1.81363,
        imaging=Imaging(blur_px=0.735221, noise=0.0152183), seed=2022687935,
    )  # fmt: skip
    assert "slice_scale" not in complaints(looked_at(draw(with_faults(cell, ";".join(raised)))))
