"""Hot and dead voxels that the grey scale still holds: mended and told; bodies and noise are left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scan_files import opened, write_slices
from scipy.ndimage import gaussian_filter

SHAPE = (6, 80, 90)


def body(noise: float = 2.0, dtype: str = "uint8") -> Any:
    """A blurred disc of 180 in air of 20."""
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]]
    disc = gaussian_filter(np.where(np.hypot(y - 39.5, x - 44.5) < 25, 180.0, 20.0), 0.8)
    grey = disc + np.random.default_rng(3).normal(0, noise, SHAPE)
    return np.clip(np.rint(grey), 0, 255).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32"])
@pytest.mark.parametrize("value", [255, 0])
def test_a_single_voxel_takes_the_nearest_grey_beside_it(tmp_path: Path, dtype: str, value: int) -> None:
    data = body(dtype=dtype)
    # In air, in the disc, on its edge, in the first and last slice, and two in one slice.
    wrong = [(0, 5, 5), (2, 40, 44), (2, 40, 20), (5, 30, 40)]
    spoilt = data.copy()
    for place in wrong:
        spoilt[place] = value
    # Where the disc is bright, a bright voxel has little to stand out by; and a dark one in air.
    out = [p for p in wrong if abs(float(data[p]) - value) > 60]
    scan = opened(write_slices(tmp_path / "s", spoilt))
    found = scan.slices[:]
    assert scan.greys["single_voxels"]["voxels"] == len(out) >= 2
    assert len(scan.warnings) == 1 and f"{len(out)} single voxels" in scan.warnings[0]
    expected = spoilt.copy()
    for k, i, j in out:
        beside = [spoilt[k, i + a, j + b] for a, b in ((0, 1), (0, -1), (1, 0), (-1, 0))]
        beside += [spoilt[m, i, j] for m in (k - 1, k + 1) if 0 <= m < len(spoilt)]
        expected[k, i, j] = max(beside) if value else min(beside)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("noise", [1.0, 10.0, 40.0])
def test_noise_is_left_alone(tmp_path: Path, noise: float) -> None:
    data = body(noise)
    scan = opened(write_slices(tmp_path / "s", data))
    assert scan.warnings == () and "single_voxels" not in scan.greys
    np.testing.assert_array_equal(scan.slices[:], data)


@pytest.mark.parametrize("blur", [0.5, 0.8])
def test_a_body_of_one_voxel_that_a_scanner_saw_is_left_alone(tmp_path: Path, blur: float) -> None:
    """A point, blurred by the scanner and by the voxel itself."""
    point = np.zeros(SHAPE)
    point[3, 40, 44] = 1.0
    seen = gaussian_filter(point, float(np.hypot(blur, 1 / np.sqrt(12))))
    data = np.rint(20 + 200 * seen / seen.max()).astype(np.uint8)
    data[:, 10:12, 10:60] = 200  # what gives the scan its range
    scan = opened(write_slices(tmp_path / "s", data))
    assert scan.warnings == ()
    np.testing.assert_array_equal(scan.slices[:], data)


def test_slices_of_air_before_the_cell_are_no_range_of_their_own(tmp_path: Path) -> None:
    data = body(4.0)
    data[:3] = np.clip(np.random.default_rng(8).normal(20, 4, data[:3].shape), 0, 255)
    assert opened(write_slices(tmp_path / "s", data)).warnings == ()
