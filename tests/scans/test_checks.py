"""Voxel sizes that could be true of a cell, and those that could not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xctrules.core.errors import ScanError
from xctrules.scans.checks import check_export, checked_voxel_size


def test_slip_on_one_axis() -> None:
    with pytest.raises(ScanError, match=r"Is it 0.068, 0.034, 0.034 mm\?"):
        checked_voxel_size((68, 0.034, 0.034), (100, 728, 728), Path("s"), "command line")


@pytest.mark.parametrize(
    ("voxel_mm", "shape"),
    [
        ((0.4, 0.4, 0.4), (100, 2000, 2000)),  # 0.8 m wide
        ((0.0006, 0.0006, 0.0006), (100, 1000, 1000)),  # 0.6 mm wide: no cell
        ((0.45, 0.03, 0.03), (2000, 700, 700)),  # 0.9 m high
        ((0.6, 0.6, 0.6), (10, 300, 300)),  # coarser than any wall
        ((0.0004, 0.0004, 0.0004), (100, 10000, 10000)),  # finer than any scan of a whole cell
        ((0.0, 0.03, 0.03), (100, 700, 700)),
        ((-0.03, 0.03, 0.03), (100, 700, 700)),
        ((float("nan"), 0.03, 0.03), (100, 700, 700)),
        ((float("inf"), 0.03, 0.03), (100, 700, 700)),
    ],
)
def test_impossible_voxel_sizes(voxel_mm: tuple[float, float, float], shape: tuple[int, int, int]) -> None:
    with pytest.raises(ScanError, match="voxel size"):
        checked_voxel_size(voxel_mm, shape, Path("s"))


@given(
    diameter_mm=st.floats(10, 50),
    pixels=st.integers(300, 4000),
    height_mm=st.floats(0.1, 100),
    anisotropy=st.floats(1, 4),
)
def test_real_cells_are_never_refused(
    diameter_mm: float, pixels: int, height_mm: float, anisotropy: float
) -> None:
    """Anything from a small 10440 to a 4680, at whatever resolution a detector gives."""
    x = diameter_mm * 1.1 / pixels
    z = min(x * anisotropy, 0.5)
    slices_ = max(1, round(height_mm / z))
    assert checked_voxel_size((z, x, x), (slices_, pixels, pixels), Path("s")) == (z, x, x)


@given(
    diameter_mm=st.floats(10, 50),
    pixels=st.integers(300, 3000),
    power=st.sampled_from([3, -3, -6, 6]),
    n=st.integers(1, 2000),
)
def test_a_slip_of_the_unit_is_always_refused(diameter_mm: float, pixels: int, power: int, n: int) -> None:
    x = diameter_mm / pixels
    wrong = x * 10.0**power
    with pytest.raises(ScanError, match="cannot be true") as caught:
        checked_voxel_size((wrong,) * 3, (n, pixels, pixels), Path("s"))
    if x * n < 500 and power in (3, -3) and x >= 0.0005:
        assert f"{x:g}, {x:g}, {x:g} mm?" in str(caught.value)


@pytest.mark.parametrize(
    ("told", "shape"),
    [
        ((5, 80, 90), (5, 80, 90)),
        ((None, 80, 90), (5, 80, 90)),
        ((None, None, None), (5, 80, 90)),
        ((90, 80, 5), (5, 80, 90)),  # the same cubes along other axes
    ],
)
def test_as_many_voxels_as_the_file_tells(told: Any, shape: Any) -> None:
    assert check_export(told, shape, "a.vgi", Path("scan")) is None


@pytest.mark.parametrize("told", [(7, 80, 90), (5, 100, 95), (5, 81, 92)])
def test_a_part_that_was_cut_out_is_told(told: Any) -> None:
    warning = check_export(told, (5, 80, 90), "a.vgi", Path("scan"))
    assert warning is not None and "a.vgi tells of a volume of" in warning and "cut out" in warning


@pytest.mark.parametrize(
    "told",
    [
        (10, 160, 180),  # binned
        (5, 160, 180),  # scaled in the slice alone
        (5, 107, 120),  # by three quarters, rounded
        (10, 80, 90),  # every other slice
        (14, 80, 90),  # every third one, the last one not whole
        (4, 80, 90),  # another volume
        (5, 70, 90),
    ],
)
def test_a_volume_that_was_scaled_or_thinned_is_refused(told: Any) -> None:
    with pytest.raises(ScanError, match=r"a\.vgi tells of a volume .*--voxel-size Z,Y,X"):
        check_export(told, (5, 80, 90), "a.vgi", Path("scan"))
