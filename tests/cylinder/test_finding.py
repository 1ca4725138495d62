"""The cell's frame as it is found: axis, tilt, straight part and ends of drawn tubes and cells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_tubes import VOXEL, tube
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xctrules.core.errors import NotMeasurable
from xctrules.core.slices import ArraySlices, Scan
from xctrules.cylinder.finding import CylinderFinder, InvertedScan, SaturatedScan
from xctrules.cylinder.frame import CellFrame
from xctrules.cylinder.phantom import draw, small


def axis_of(frame: CellFrame, z_mm: float) -> np.ndarray:
    """Where the axis is in the volume, (x, y) in mm, at volume height ``z_mm``."""
    slope = np.array(frame.axis[:2]) / frame.axis[2]
    return np.array(frame.origin_mm) + slope * z_mm


@pytest.mark.parametrize("tilt_deg", [0.0, 0.5, 2.0, 5.0])
@pytest.mark.parametrize("towards_deg", [0.0, 130.0])
def test_tilt_and_centre_of_a_drawn_tube(tilt_deg: float, towards_deg: float) -> None:
    tilt, towards = np.radians([tilt_deg, towards_deg])
    slope = (np.tan(tilt) * np.cos(towards), np.tan(tilt) * np.sin(towards))
    frame = CylinderFinder().find(tube(slope=slope, noise=4.0), {})
    # The centre of 180 outline points, each good to a tenth of a voxel, is good to a few hundredths.
    assert frame.tilt_deg == pytest.approx(tilt_deg, abs=0.05)
    for z in (0.0, 2.0):
        truth = np.array([5.0 + slope[0] * z, 5.2 + slope[1] * z])
        assert axis_of(frame, z) == pytest.approx(truth, abs=0.1 * VOXEL[1])
    assert frame.outer_radius_mm == pytest.approx(4.0, abs=0.2 * VOXEL[1])


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(
    dx=st.floats(-0.3, 0.3),
    dy=st.floats(-0.3, 0.3),
    gain=st.floats(0.2, 50.0),
    offset=st.floats(-100.0, 100.0),
)
def test_the_axis_moves_with_the_cell_and_not_with_its_greys(
    dx: float, dy: float, gain: float, offset: float
) -> None:
    scan = tube(centre_mm=(5.0 + dx, 5.2 + dy), shape=(8, 200, 204), noise=2.0)
    changed = Scan(scan.path, ArraySlices(scan.slices[:] * np.float32(gain) + np.float32(offset)), VOXEL, {})
    for one in (scan, changed):
        frame = CylinderFinder().find(one, {})
        assert axis_of(frame, 0.0) == pytest.approx([5.0 + dx, 5.2 + dy], abs=0.1 * VOXEL[1])


def test_turning_the_image_turns_the_axis() -> None:
    slope = (0.03, 0.01)
    scan = tube(slope=slope, shape=(40, 204, 204))
    turned = Scan(scan.path, ArraySlices(np.rot90(scan.slices[:], axes=(1, 2)).copy()), VOXEL, {})
    a, b = (CylinderFinder().find(s, {}) for s in (scan, turned))
    # np.rot90 takes (y, x) to (nx - 1 - x, y).
    assert b.axis == pytest.approx((a.axis[1], -a.axis[0], a.axis[2]), abs=1e-4)


def test_a_dent_does_not_pull_the_axis() -> None:
    scan = tube(shape=(12, 200, 204))
    y, x = np.mgrid[:200, :204] * VOXEL[1]
    volume = scan.slices[:].copy()
    volume[:, (x > 5.0 + 3.4) & (np.abs(y - 5.2) < 1.5)] = 0  # a flat of 1.5 mm depth over 45 degrees
    frame = CylinderFinder().find(replace(scan, slices=ArraySlices(volume)), {})
    assert axis_of(frame, 0.0) == pytest.approx([5.0, 5.2], abs=0.25 * VOXEL[1])


@pytest.mark.parametrize(
    ("name", "volume"),
    [
        ("noise", np.random.default_rng(0).normal(20, 5, (6, 120, 120)).astype(np.float32)),
        ("a block", np.pad(np.full((6, 60, 60), 90.0, np.float32), ((0, 0), (30, 30), (30, 30)))),
        ("one bright speck", np.pad(np.full((6, 2, 2), 90.0, np.float32), ((0, 0), (60, 60), (60, 60)))),
    ],
)
def test_without_a_can_there_is_no_frame_but_a_reason(name: str, volume: np.ndarray) -> None:
    with pytest.raises(NotMeasurable, match="no can was found"):
        CylinderFinder().find(Scan(Path(name), ArraySlices(volume), VOXEL, {}), {})


def test_a_solid_disc_is_no_can() -> None:
    y, x = np.mgrid[:160, :160]
    disc = np.where((x - 80) ** 2 + (y - 80) ** 2 < 60**2, 100.0, 0.0).astype(np.float32)
    grainy = disc * np.random.default_rng(3).uniform(0.95, 1.0, disc.shape).astype(np.float32)
    with pytest.raises(NotMeasurable, match="no brighter"):
        CylinderFinder().find(Scan(Path("disc"), ArraySlices(np.stack([grainy] * 6)), VOXEL, {}), {})
    # One and the same grey everywhere is what a clipped scale makes of any cell.
    with pytest.raises(SaturatedScan, match="saturated"):
        CylinderFinder().find(Scan(Path("clipped"), ArraySlices(np.stack([disc] * 6)), VOXEL, {}), {})


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int16"])
def test_an_inverted_scan_is_told_by_name(dtype: str) -> None:
    scan = tube()
    volume = scan.slices[:]
    dark = (200 - np.clip(volume, 0, 200) * (180 / volume.max())).astype(dtype)
    with pytest.raises(InvertedScan, match="inverted, with metal dark"):
        CylinderFinder().find(Scan(scan.path, ArraySlices(dark), scan.voxel_size_mm, {}), {})


def test_a_cut_off_can_tells_how_much_is_missing() -> None:
    scan = tube(shape=(6, 200, 204))
    cut = Scan(scan.path, ArraySlices(scan.slices[:][:, :, : round((5.0 + 3.0) / 0.05)].copy()), VOXEL, {})
    frame = CylinderFinder().find(cut, {})
    missing = 2 * np.degrees(np.arccos(3.0 / 4.0)) / 360
    assert frame.outline_missing == pytest.approx(missing, abs=0.03)  # directions are two degrees apart
    assert axis_of(frame, 0.0) == pytest.approx([5.0, 5.2], abs=0.3 * VOXEL[1])


@pytest.mark.parametrize("wide", [(60, 200, 204), (60, 430, 434)], ids=["whole", "thinned"])
@pytest.mark.parametrize(("axis", "order"), [("y", (1, 0, 2)), ("x", (2, 1, 0))])
def test_a_cell_that_lies_on_its_side_is_told_to_be_resliced(
    axis: str, order: tuple[int, int, int], wide: tuple[int, int, int]
) -> None:
    scan = tube(shape=wide)
    lying = Scan(scan.path, ArraySlices(np.transpose(scan.slices[:], order).copy()), VOXEL, {})
    with pytest.raises(NotMeasurable, match=f"lies along the volume's {axis} axis; reslice"):
        CylinderFinder().find(lying, {})


def test_empty_slices_inside_the_cell_are_told_and_not_bridged() -> None:
    drawn = tube(shape=(30, 200, 204))
    volume = drawn.slices[:].copy()
    volume[12:15] = 0
    scan = replace(drawn, slices=ArraySlices(volume))
    with pytest.raises(
        NotMeasurable, match="3 slices inside the cell are empty, the first of them number 13"
    ):
        CylinderFinder().find(scan, {})
    volume[:15] = 0  # before the cell begins they are the air above it
    assert CylinderFinder().find(scan, {}).outer_radius_mm == pytest.approx(4.0, abs=0.01)


@pytest.mark.parametrize("view", ["top", "bottom"])
def test_a_roll_of_weak_contrast_is_not_mistaken_for_its_free_foils(view: str) -> None:
    """Cathode half as far above the anode's coating, and blurred: only free foils repeat clearly then."""
    spec = small(view=view, fittings=False)
    grey = spec.greys
    half = 0.5 * (grey.cathode_coating + grey.anode_coating)
    spec = replace(
        spec,
        greys=replace(grey, cathode_coating=half, aluminium=0.5 * (grey.aluminium + grey.anode_coating)),
        imaging=replace(spec.imaging, blur_px=1.5),
    )
    phantom = draw(spec)
    frame = CylinderFinder().find(Scan(Path("weak"), ArraySlices(phantom.volume), spec.voxel_size_mm, {}), {})
    (end,) = frame.ends

    edge = np.nanmean(np.array(phantom.truth["samples"][view]["cathode_z_mm"], dtype=float))
    # Rough: a free foil stands 0.66 mm above it, the roll's turns telescope by 0.4 mm.
    assert abs(end.z_mm - edge) < 0.25
