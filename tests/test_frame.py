"""The cell's frame: axis, tilt, straight part and ends, against geometry that the tests draw themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xctrules.core.errors import NotMeasurable
from xctrules.core.slices import ArraySlices, Scan
from xctrules.cylinder.frame import CellFrame, CylinderFinder
from xctrules.cylinder.phantom import draw, small

VOXEL = (0.05, 0.05, 0.05)


def tube(
    *,
    radius_mm: float = 4.0,
    wall_mm: float = 0.3,
    centre_mm: tuple[float, float] = (5.0, 5.2),
    slope: tuple[float, float] = (0.0, 0.0),
    shape: tuple[int, int, int] = (40, 200, 204),
    noise: float = 0.0,
    layers: bool = False,
) -> Scan:
    """A bright tube drawn by area (the edge's share of each voxel), its axis through ``centre_mm`` at the
    first slice and moving by ``slope`` mm per mm of height; with ``layers``, concentric rings inside it."""
    rng = np.random.default_rng(3)
    nz, ny, nx = shape
    y, x = np.mgrid[:ny, :nx] * VOXEL[1]
    cos = 1 / np.hypot(1.0, np.hypot(*slope))
    volume = np.empty(shape, dtype=np.float32)
    for k in range(nz):
        dx = x - centre_mm[0] - slope[0] * k * VOXEL[0]
        dy = y - centre_mm[1] - slope[1] * k * VOXEL[0]
        along = (dx * slope[0] + dy * slope[1]) * cos
        r = np.sqrt(dx**2 + dy**2 - along**2)  # distance from a line, not from a point
        inside = np.clip((radius_mm - r) / VOXEL[1] + 0.5, 0, 1)
        hollow = np.clip((radius_mm - wall_mm - r) / VOXEL[1] + 0.5, 0, 1)
        filling = 40 + 25 * np.sin(2 * np.pi * r / 0.4) if layers else 30.0
        volume[k] = 200 * (inside - hollow) + filling * hollow
    volume += rng.normal(0, noise, shape).astype(np.float32) if noise else 0
    return Scan(Path("drawn"), ArraySlices(volume), VOXEL, {})


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


def test_cylinder_reads_the_volume_in_the_cells_own_directions() -> None:
    tilt = np.radians(3.0)
    scan = tube(slope=(np.tan(tilt), 0.0), layers=True)
    frame = CylinderFinder().find(scan, {})
    theta = np.arange(0.0, 360.0, 30.0)
    r = np.linspace(1.0, 3.2, 45)
    grey = frame.cylinder(scan, [0.9, 1.1], theta, r)
    # Rings about the tilted axis are flat in its own coordinates; cubic interpolation of a wave of 8 voxels
    # is good to 2 % of its amplitude, and one tenth of a voxel of decentring moves it by 2 of 25 grey levels.
    expected = 40 + 25 * np.sin(2 * np.pi * r / 0.4)
    assert np.abs(grey - expected).max() < 4.0


def test_points_go_to_voxels_and_outside_is_nan() -> None:
    scan = tube()
    frame = CylinderFinder().find(scan, {})
    z, y, x = frame.to_voxel(1.0, 90.0, 2.0)
    assert (float(z), float(y), float(x)) == pytest.approx((20.0, (5.2 + 2.0) / 0.05, 100.0), abs=0.1)
    assert np.isnan(frame.cylinder(scan, [1.0], [0.0], [50.0])).all()
    assert np.isnan(frame.cylinder(scan, [40.0], [0.0], [1.0])).all()


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
    with pytest.raises(NotMeasurable, match="saturated"):
        CylinderFinder().find(Scan(Path("clipped"), ArraySlices(np.stack([disc] * 6)), VOXEL, {}), {})


def test_a_cut_off_can_tells_how_much_is_missing() -> None:
    scan = tube(shape=(6, 200, 204))
    cut = Scan(scan.path, ArraySlices(scan.slices[:][:, :, : round((5.0 + 3.0) / 0.05)].copy()), VOXEL, {})
    frame = CylinderFinder().find(cut, {})
    missing = 2 * np.degrees(np.arccos(3.0 / 4.0)) / 360
    assert frame.outline_missing == pytest.approx(missing, abs=0.03)  # directions are two degrees apart
    assert axis_of(frame, 0.0) == pytest.approx([5.0, 5.2], abs=0.3 * VOXEL[1])


@pytest.mark.parametrize(("axis", "order"), [("y", (1, 0, 2)), ("x", (2, 1, 0))])
def test_a_cell_that_lies_on_its_side_is_told_to_be_resliced(axis: str, order: tuple[int, int, int]) -> None:
    scan = tube(shape=(60, 200, 204))
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
