"""The cell's coordinates and sampling in them, against geometry that the tests draw themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_tubes import VOXEL, tube
from hypothesis import given
from hypothesis import strategies as st

from xctrules.core.slices import ArraySlices
from xctrules.cylinder.frame import CellFrame


def frame_of(
    slope: tuple[float, float] = (0.0, 0.0), shape: tuple[int, int, int] = (40, 200, 204)
) -> CellFrame:
    """The frame of a drawn tube, from what it was drawn with."""
    axis = np.array([*slope, 1.0]) / np.sqrt(1 + slope[0] ** 2 + slope[1] ** 2)
    x, y, z = axis.tolist()
    return CellFrame((5.0, 5.2), (x, y, z), VOXEL, shape, 4.0, None, None)


def test_cylinder_reads_the_volume_in_the_cells_own_directions() -> None:
    tilt = np.radians(3.0)
    slope = (float(np.tan(tilt)), 0.0)
    r = np.linspace(1.0, 3.2, 45)
    grey = frame_of(slope).cylinder(
        tube(slope=slope, layers=True), [0.9, 1.1], np.arange(0.0, 360.0, 30.0), r
    )
    # Rings about the tilted axis are flat in its own coordinates; cubic interpolation of a wave of 8 voxels
    # is good to 2 % of its amplitude, linear one between slices that it crosses aslant to as much again.
    expected = 40 + 25 * np.sin(2 * np.pi * r / 0.4)
    assert np.abs(grey - expected).max() < 1.5


def test_points_go_to_voxels_and_outside_is_nan() -> None:
    scan, frame = tube(), frame_of()
    z, y, x = frame.to_voxel(1.0, 90.0, 2.0)
    assert (float(z), float(y), float(x)) == pytest.approx((20.0, (5.2 + 2.0) / 0.05, 100.0))
    assert np.isnan(frame.cylinder(scan, [1.0], [0.0], [50.0])).all()
    assert np.isnan(frame.cylinder(scan, [40.0], [0.0], [1.0])).all()


@given(
    slope=st.tuples(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1)),
    z=st.floats(-3.0, 3.0),
    theta=st.floats(0.0, 359.0),
    r=st.floats(0.1, 6.0),
)
def test_to_voxels_and_back(slope: tuple[float, float], z: float, theta: float, r: float) -> None:
    frame = frame_of(slope)
    back = frame.to_cell(*frame.to_voxel(z, theta, r))
    assert (float(back[0]), float(back[2])) == pytest.approx((z, r), abs=1e-9)
    assert (float(back[1]) - theta + 180.0) % 360.0 == pytest.approx(180.0, abs=1e-6)


@pytest.mark.parametrize("z_vox", [-0.5, -0.2, 0.0, 0.3, 5.0, 38.9, 39.0, 39.5])
def test_half_a_voxel_beyond_the_outer_slices_is_still_theirs_and_heights_in_any_order(z_vox: float) -> None:
    """Slices whose grey is their own number tell which of them were read."""
    drawn = tube()
    volume = np.broadcast_to(np.arange(40.0, dtype=np.float32)[:, None, None], drawn.shape)
    scan = replace(drawn, slices=ArraySlices(volume.copy()))
    z = np.array([z_vox, 7.25, -0.6, 39.6, 2.0]) * VOXEL[0]
    grey = frame_of().cylinder(scan, z, [0.0, 90.0], [1.0, 2.0])
    assert grey[0] == pytest.approx(np.full((2, 2), np.clip(z_vox, 0, 39)), abs=1e-4)
    assert grey[1] == pytest.approx(np.full((2, 2), 7.25), abs=1e-4)
    assert np.isnan(grey[2:4]).all()
    assert grey[4] == pytest.approx(np.full((2, 2), 2.0), abs=1e-4)
