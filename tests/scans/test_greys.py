"""Values that are no grey values: what stands beyond the field of view, and single voxels gone wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from scan_files import VOXEL, opened, refused, write_slices

from xctrules.scans.greys import FieldOfView


def body(dtype: str = "float32", offset: float = 0.0) -> Any:
    """Noise about 100, and air about 10 around it."""
    rng = np.random.default_rng(5)
    air, metal = rng.normal(10, 1, (5, 80, 90)), rng.normal(100, 1, (5, 80, 90))
    y, x = np.mgrid[:80, :90]
    return (np.where(np.hypot(y - 39.5, x - 44.5) < 20, metal, air) + offset).astype(dtype)


def circled(data: Any, value: Any, radius: float = 40.0) -> Any:
    y, x = np.mgrid[: data.shape[1], : data.shape[2]]
    away = np.hypot(y - 0.5 * (data.shape[1] - 1), x - 0.5 * (data.shape[2] - 1))
    return np.where(away > radius, np.asarray(value, data.dtype), data)


@pytest.mark.parametrize("value", [-1000, -1e30, 1e30, np.nan, -np.inf])
def test_what_lies_beyond_the_circle_counts_as_air(tmp_path: Path, value: float) -> None:
    data = body()
    scan = opened(write_slices(tmp_path / "s", circled(data, value)))
    found = scan.slices[:]
    inside = np.isfinite(circled(data, np.nan))
    np.testing.assert_array_equal(found[inside], data[inside])
    # Air is 10 with a noise of 1; a twentieth of what is inside is darker than what is taken.
    assert 6 < found[~inside].min() == found[~inside].max() < 10
    assert scan.warnings == ()
    told = scan.greys["outside_field_of_view"]
    assert told["value"] == str(np.float32(value)) and told["radius_px"] == pytest.approx(40, abs=1)


@pytest.mark.parametrize(
    ("dtype", "value"), [("uint8", 255), ("uint16", 65535), ("int16", -32768), ("uint16", 0)]
)
def test_whole_numbers_beyond_the_circle(tmp_path: Path, dtype: str, value: int) -> None:
    scan = opened(write_slices(tmp_path / "s", circled(body(dtype), value)))
    assert scan.slices.dtype == dtype
    assert scan.slices[:].min() > 0 and scan.slices[:].max() < 120


@pytest.mark.parametrize("stack", [True, False])
@pytest.mark.parametrize("limit", [None, 0])
def test_wherever_the_slices_are(tmp_path: Path, stack: bool, limit: int | None) -> None:
    """Mapped, in memory, and read again."""
    data = circled(body(), -1e30)
    path = tmp_path / "v.tif"
    if stack:
        tifffile.imwrite(path, data)
    else:
        write_slices(path, data)
    scan = opened(path, memory_limit_bytes=limit)
    assert scan.slices[3].min() > 0 and scan.slices[1:3].min() > 0


def test_corners_that_hold_grey_values_stay(tmp_path: Path) -> None:
    """Clipped to zero outside the can, as published scans are: zero is a grey of the rest as well."""
    data = np.maximum(body("int16") - 10, 0).astype("uint16")
    data[:, 0, :], data[:, -1, :] = 0, 0
    scan = opened(write_slices(tmp_path / "s", data))
    np.testing.assert_array_equal(scan.slices[:], data)
    assert scan.greys == {}
    assert FieldOfView.told_by(data[0]) is None


def test_a_cell_that_fills_the_image_keeps_the_black_around_it(tmp_path: Path) -> None:
    """Cut-off black beyond a blurred outline fills a circle's outside too, and is air as it stands."""
    y, x = np.mgrid[:80, :80]
    metal = 200 / (1 + np.exp(np.hypot(y - 39.5, x - 39.5) - 36.0))
    data = np.broadcast_to(np.floor(metal), (5, 80, 80)).astype("u1")
    scan = opened(write_slices(tmp_path / "s", data))
    np.testing.assert_array_equal(scan.slices[:], data)
    assert not scan.greys


def test_no_number_inside_the_circle_is_refused(tmp_path: Path) -> None:
    data = circled(body(), np.nan)
    data[2, 40, 50] = np.nan
    refused(write_slices(tmp_path / "s", data), "no numbers")
    half = body()
    half[:, :, :30] = np.nan  # not a circle
    refused(write_slices(tmp_path / "t", half), "slice 1 .*no numbers")


def test_another_value_in_a_region_is_refused(tmp_path: Path) -> None:
    data = body()
    data[:, 30:50, 60:80] = -1e30
    message = refused(write_slices(tmp_path / "s", data), "2000 voxels hold values such as -1e[+]30")
    assert "air where nothing was reconstructed" in message


@pytest.mark.parametrize("value", [1e6, -1e6, 3e38])
def test_a_single_voxel_gone_wrong_is_brought_back(tmp_path: Path, value: float) -> None:
    data = body()
    data[2, 40, 50] = value
    scan = opened(write_slices(tmp_path / "s", data))
    # Ten ranges of the grey values, which lie between about 7 and 103.
    assert abs(scan.slices[:]).max() < 1100
    (warning,) = scan.warnings
    assert warning.startswith("1 single voxel holds a value such as")
    assert scan.greys["far_values"]["voxels"] == 1
    rest = np.ones(data.shape, bool)
    rest[2, 40, 50] = False
    np.testing.assert_array_equal(scan.slices[:][rest], data[rest])


def test_hot_voxels_of_whole_numbers_keep_their_type(tmp_path: Path) -> None:
    data = body("uint16")
    data[2, 40, 50] = 65535
    scan = opened(write_slices(tmp_path / "s", data))
    assert scan.slices.dtype == np.uint16 and 100 < scan.slices[:].max() < 1100 and scan.slices[:].min() >= 0


def test_bright_metal_is_no_mistake(tmp_path: Path) -> None:
    """A wire, as few voxels as it may fill and nine times as bright as all else."""
    data = body()
    data[:, 40, 50:52] = 900
    scan = opened(write_slices(tmp_path / "s", data))
    np.testing.assert_array_equal(scan.slices[:], data)
    assert scan.warnings == ()


def test_a_mask_is_left_alone(tmp_path: Path) -> None:
    data = np.zeros((5, 80, 90), "uint8")
    data[:, 30:50, 30:60] = 255
    from xctrules.scans.opening import open_scan

    scan = open_scan(write_slices(tmp_path / "s", data), voxel_size_mm=VOXEL, mask=True)
    np.testing.assert_array_equal(scan.slices[:], data)
