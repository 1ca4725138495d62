"""Label images: drawn from what was found, and measured again from the labels alone.

A label knows nothing below the voxel: a single edge is off by up to half of one, and by 0.29 on average.
Means over hundreds of edges, whose phases differ, lose far less; extremes and single lengths may lose a whole
voxel, half of it at either edge.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from conftest import shared_data
from xctrules_canister.metric import Canister
from xctrules_overhang.metric import OverhangMetric
from xctrules_segmentation.classical import ClassicalSegmenter
from xctrules_segmentation.label_images import label_image, write_label_image
from xctrules_segmentation.labels import checked_labels
from xctrules_winding.metric import WindingMetric

from xctrules.core.errors import NotMeasurable, OutputError, ScanError, XctrulesError
from xctrules.core.measurement import Scale
from xctrules.core.slices import ArraySlices, Scan
from xctrules.cylinder.finding import CylinderFinder
from xctrules.cylinder.phantom import Dent, NegativeOverhang, Phantom, Tab, draw, small
from xctrules.cylinder.surfaces import CylinderCell, CylinderSettings
from xctrules.engine.inspection import inspect
from xctrules.scans.opening import open_scan

CAN, CATHODE, COPPER, OVERHANG = 1, 2, 3, 4
ANGLES = 180

CASES: dict[str, dict[str, Any]] = {
    "sound": {},
    "tilted": {"tilt_deg": 2.0, "tilt_direction_deg": 40.0, "handedness": -1},
    "lower end": {"view": "bottom"},
    "one negative": {
        "negative_overhangs": (NegativeOverhang(turn=4, theta_deg=100.0, width_deg=20.0, length_mm=-0.2),)
    },
    "dent": {"dents": (Dent(theta_deg=70.0, depth_mm=0.3),)},
    "tab": {"tabs": (Tab(turn=3),)},
}


@cache
def phantom(case: str) -> Phantom:
    return draw(dataclasses.replace(small(), **CASES[case]))


def segmented(scan: Scan, labels: np.ndarray | None = None) -> CylinderCell:
    frame = CylinderFinder().find(scan, {})
    brought = None if labels is None else ArraySlices(labels)
    cell = CylinderCell(scan, frame, Scale(0.0005, True), CylinderSettings(angles=ANGLES), {}, labels=brought)
    return dataclasses.replace(cell, segmentation=ClassicalSegmenter().segment(cell))


@cache
def found(case: str) -> CylinderCell:
    made = phantom(case)
    return segmented(Scan(Path(case), ArraySlices(made.volume), made.spec.voxel_size_mm, {}))


@cache
def labels(case: str) -> np.ndarray:
    return np.stack(list(label_image(found(case))))


@cache
def again(case: str) -> CylinderCell:
    return segmented(found(case).scan, labels(case))


def values(cell: CylinderCell) -> dict[str, float | None]:
    metrics = (OverhangMetric(), Canister(), WindingMetric())
    return {m.name: m.value for metric in metrics for m in metric.measure(cell).measurements}


@cache
def measured(case: str) -> dict[str, float | None]:
    return values(again(case))


def error_in_voxels(case: str, name: str) -> float:
    value = measured(case)[name]
    assert value is not None, name
    return float((value - phantom(case).truth["measurements"][name]) / phantom(case).spec.voxel_size_mm[0])


def distance_from_axis(case: str, k: int) -> np.ndarray:
    """Of each voxel of slice ``k`` from the drawn cell's axis where it stands upright in the middle."""
    step = phantom(case).spec.voxel_size_mm[1]
    ny, nx = labels(case).shape[1:]
    y, x = np.mgrid[:ny, :nx]
    return np.hypot(x - (nx - 1) / 2, y - (ny - 1) / 2) * step


# --- what is drawn -----------------------------------------------------------------------------------------


def test_the_can_is_drawn_where_it_was_put() -> None:
    spec, image = phantom("sound").spec, labels("sound")
    truth = phantom("sound").truth["measurements"]
    outer = 0.5 * truth["canister.outer_diameter"]
    inner = outer - truth["canister.wall_thickness.mean"]
    k = image.shape[0] - 10  # far below the bead
    r = distance_from_axis("sound", k)
    # Voxel centres decide: half a voxel's diagonal either way cannot be got wrong.
    sure = 0.71 * spec.voxel_size_mm[1]
    assert (image[k][(r > inner + sure) & (r < outer - sure)] == CAN).all()
    assert (image[k][(r > outer + sure) | (r < inner - sure)] != CAN).all()
    # The wall is six voxels thick; what rounding adds on one side it takes on the other.
    area = (image[k] == CAN).sum() * spec.voxel_size_mm[1] ** 2
    assert area == pytest.approx(np.pi * (outer**2 - inner**2), rel=0.02)


def test_slices_are_bytes_of_known_classes() -> None:
    for case in CASES:
        image = labels(case)
        assert image.dtype == np.uint8
        assert image.shape == phantom(case).volume.shape
        assert set(np.unique(image)) == {0, CAN, CATHODE, COPPER, OVERHANG}


def test_the_foil_goes_on_as_overhang_above_the_cathode() -> None:
    image = labels("sound")
    heights = {c: np.flatnonzero((image == c).any(axis=(1, 2))) for c in (CATHODE, COPPER, OVERHANG)}
    last = image.shape[0] - 1
    # The roll runs out of view below: every slice down to the last one shows it, not only those followed.
    assert heights[CATHODE][-1] == heights[COPPER][-1] == last
    assert np.array_equal(heights[COPPER], np.arange(heights[COPPER][0], last + 1))
    assert heights[OVERHANG][0] < heights[CATHODE][0] <= heights[OVERHANG][-1] + 1
    spread = phantom("sound").truth["measurements"]["overhang.base_height.range"]
    below = heights[CATHODE][0] + spread / phantom("sound").spec.voxel_size_mm[0] + 2
    assert heights[OVERHANG][-1] <= below


def test_each_turn_is_a_closed_line() -> None:
    image = labels("sound")[-10]
    centre = np.array(image.shape) // 2
    spec = phantom("sound").spec
    step = spec.voxel_size_mm[1]
    turns = phantom("sound").truth["measurements"]["winding.turns"]
    # Looking outward each ray meets the foil once for every turn (one fewer or more at the foil's ends).
    r = np.arange(0.0, 3.9, 0.25 * step)
    for theta in np.deg2rad(np.arange(0.0, 360.0, 5.0)):
        ray = image[
            np.rint(centre[0] + r * np.sin(theta) / step).astype(int),
            np.rint(centre[1] + r * np.cos(theta) / step).astype(int),
        ]
        copper = (ray == COPPER).astype(int)
        assert abs((np.diff(copper) == 1).sum() - turns) <= 1, np.rad2deg(theta)


# --- measured again ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_labels_give_back_the_drawn_cell(case: str) -> None:
    for name, voxels in {
        "canister.outer_diameter": 0.3,
        "canister.wall_thickness.mean": 0.3,
        "overhang.length.mean": 0.5,
        "overhang.length.min": 1.5,  # an extreme over edges rounded to a voxel each, and noise before that
        "overhang.length.max": 1.5,
    }.items():
        if case == "tab" and name.endswith("max"):
            continue  # the flank of a tab belongs to the tab or to the foil as the blur has it
        if case == "tab" and name.endswith("min") and measured(case)[name] is None:
            continue  # what labels leave unclear beside the tab states no minimum, which is the honest answer
        assert abs(error_in_voxels(case, name)) < voxels, name
    truth = phantom(case).truth["measurements"]
    assert measured(case)["winding.turns"] == truth["winding.turns"]
    # A tab lifts all turns outside it, by a step that labels round to a voxel: 0.04 mm over seven turns of
    # 0.38 mm.
    lifted = 0.01 if case == "tab" else 0.005
    assert measured(case)["winding.pitch"] == pytest.approx(truth["winding.pitch"], rel=lifted)
    # A voxel sideways over a free length of 16 is 3.6 degrees for one foil; 2300 of them even out.
    assert measured(case)["overhang.deflection.mean"] == pytest.approx(
        truth["overhang.deflection.mean"], abs=0.8
    )


@pytest.mark.parametrize("case", CASES)
def test_what_was_measured_is_measured_again(case: str) -> None:
    before, after = values(found(case))["overhang.count"], measured(case)["overhang.count"]
    assert before is not None and after is not None
    assert after == pytest.approx(
        before, rel=0.03
    )  # a voxel more or less at each end of foil, cathode or tab


def test_a_negative_overhang_stays_one_and_none_is_invented() -> None:
    truth = phantom("one negative").truth["measurements"]["overhang.negative_fraction"]
    assert truth > 0
    assert measured("one negative")["overhang.negative_fraction"] == pytest.approx(truth, abs=0.005)
    for case in CASES:
        if case != "one negative":
            assert measured(case)["overhang.negative_fraction"] == 0


def test_a_dent_stays_one_and_none_is_invented() -> None:
    assert abs(error_in_voxels("dent", "canister.dent_depth")) < 1.0
    for case in CASES:
        if case != "dent":
            assert abs(error_in_voxels(case, "canister.dent_depth")) < 1.0


def test_only_what_is_labelled_is_measured_and_the_rest_has_its_reason() -> None:
    scan = found("sound").scan
    image = labels("sound")
    only_can = segmented(scan, np.where(image == CAN, image, 0).astype(np.uint8)).surfaces
    assert only_can.can is not None and only_can.foil is None
    assert "copper" in only_can.missing["foil"]
    no_cathode = segmented(scan, np.where(image == CATHODE, 0, image).astype(np.uint8)).surfaces
    assert no_cathode.foil is not None and not no_cathode.ends
    assert "cathode" in no_cathode.missing["top"]
    no_can = segmented(scan, np.where(image == CAN, 0, image).astype(np.uint8)).surfaces
    assert no_can.can is None and "can (1)" in no_can.missing["can"]
    assert no_can.foil is not None and "top" in no_can.ends


def test_labels_of_any_number_type_are_the_same_labels() -> None:
    image = labels("sound")
    for dtype in (np.int8, np.uint16, np.int32, np.float32):
        assert np.array_equal(checked_labels(ArraySlices(image.astype(dtype)))[:], image)


@pytest.mark.parametrize("wrong", [9, -1, 255, 259, 1.5])
def test_values_that_stand_for_nothing_are_named(wrong: float) -> None:
    image = labels("sound").astype(np.float32)
    image[-1, 0, 0] = wrong
    with pytest.raises(ScanError, match=rf"stand for nothing: {wrong:g}\."):
        checked_labels(ArraySlices(image))


# --- files and the whole command ---------------------------------------------------------------------------


def test_the_file_holds_labels_and_voxel_size(tmp_path: Path) -> None:
    path = tmp_path / "labels.tif"
    write_label_image(path, found("tilted"))
    assert [p.name for p in tmp_path.iterdir()] == ["labels.tif"]
    read = open_scan(path)
    assert np.array_equal(read.slices[:], labels("tilted"))
    assert read.voxel_size_mm == pytest.approx(phantom("tilted").spec.voxel_size_mm, rel=1e-4)
    assert path.stat().st_size < 0.2 * read.slices[:].nbytes


def test_a_file_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tmp_path / "labels.tif"
    before.write_bytes(b"older")
    with pytest.raises(OutputError):
        write_label_image(before / "labels.tif", found("sound"))

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match=os.strerror(28)):
        write_label_image(before, found("sound"))
    assert [p.name for p in tmp_path.iterdir()] == ["labels.tif"]
    assert before.read_bytes() == b"older"


def test_nothing_found_is_nothing_drawn() -> None:
    bare = dataclasses.replace(
        found("sound"),
        segmentation=dataclasses.replace(found("sound").surfaces, can=None, foil=None, ends={}),
    )
    with pytest.raises(NotMeasurable):
        label_image(bare)


def test_the_command_exports_brings_in_and_says_so(tmp_path: Path) -> None:
    scan = phantom("sound").write(tmp_path / "scan")
    path = tmp_path / "labels.tif"
    first = inspect(scan, "18650", angles=72, export_labels=path)
    assert first.record["parameters"]["segmenter"] == "classical"
    assert "label_image" not in first.record["parameters"]
    second = inspect(scan, "18650", angles=72, segmentation=path)
    assert second.record["parameters"]["segmenter"] == "labels"
    assert second.record["parameters"]["label_image"]["file"] == "labels.tif"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert second.record["parameters"]["label_image"]["sha256"] == digest
    # Screening judges the scan and not the labels, which have no noise at all; it only looks where the
    # surfaces are, which labels move by a fraction of a voxel.
    for name in ("screening.snr", "screening.cnr"):
        expected = first.measurements[name].value
        assert second.measurements[name].value == pytest.approx(expected, rel=0.15), name

    mask = tmp_path / "mask.tif"
    tifffile.imwrite(mask, np.where(labels("sound") == CAN, 255, 0).astype(np.uint8))
    with pytest.raises(ScanError, match="--mask-of"):
        inspect(scan, "18650", angles=72, segmentation=mask)
    third = inspect(scan, "18650", angles=72, segmentation=mask, mask_of="canister")
    assert third.record["parameters"]["mask_of"] == "canister"
    diameter = third.measurements["canister.outer_diameter"]
    assert diameter.value == pytest.approx(first.measurements["canister.outer_diameter"].value, abs=0.012)
    assert third.measurements["overhang.length.mean"].status == "not_measured"


@pytest.mark.parametrize(
    "options",
    [
        {"export_labels": "labels.png"},
        {"export_labels": "no such folder/labels.tif"},
        {"export_labels": "labels.tif", "mask_of": "canister"},
        {"segmentation": "labels.tif", "segmenter": "other"},
    ],
)
def test_options_that_contradict_one_another_are_refused(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(XctrulesError, match=r"Give|Leave"):
        inspect(tmp_path, "18650", **options)


def test_the_real_scan_measured_from_its_own_labels() -> None:
    scan = open_scan(shared_data("cell_21700_top"))
    cell = segmented(scan)
    before = values(cell)
    after = values(segmented(scan, np.stack(list(label_image(cell)))))

    def change(name: str) -> float:
        first, second = before[name], after[name]
        assert first is not None and second is not None
        return second - first

    dz, dy, _ = scan.voxel_size_mm
    assert abs(change("overhang.length.mean")) < 0.3 * dz
    assert abs(change("overhang.count")) < 0.02 * (before["overhang.count"] or 0)
    assert abs(change("overhang.deflection.mean")) < 0.3
    assert abs(change("canister.outer_diameter")) < 0.3 * dy
    assert abs(change("canister.wall_thickness.mean")) < 0.3 * dy
    assert change("winding.turns") == 0
    assert abs(change("winding.pitch")) < 0.001
