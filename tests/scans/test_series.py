"""Which files are one series, in which order, and whether one of them is missing."""

from __future__ import annotations

import random
from pathlib import Path

import tifffile
from hypothesis import given
from hypothesis import strategies as st
from scan_files import opened, volume, write_slices

from xctrules.scans.series import natural_key


@given(numbers=st.lists(st.integers(0, 10**6), unique=True, min_size=2), width=st.integers(0, 7))
def test_natural_key_orders_by_number(numbers: list[int], width: int) -> None:
    names = [f"scan7_im{n:0{width}d}.tif" for n in numbers]
    random.Random(1).shuffle(names)
    assert sorted(names, key=natural_key) == [f"scan7_im{n:0{width}d}.tif" for n in sorted(numbers)]


def test_skipped_number_is_said(tmp_path: Path) -> None:
    folder = write_slices(tmp_path / "s", volume(shape=(6, 80, 90)))
    assert opened(folder).warnings == ()
    (folder / "im10.tif").unlink()
    (warning,) = opened(folder).warnings
    assert "im9.tif" in warning
    assert "im11.tif" in warning


def test_a_position_that_runs_unevenly_is_no_gap(tmp_path: Path) -> None:
    """One even running number is enough: the other may be a time."""
    (tmp_path / "s").mkdir()
    for k, (image, time) in enumerate(zip(volume(), (0, 3, 7, 8, 20), strict=True)):
        tifffile.imwrite(tmp_path / "s" / f"im{k}_t{time}.tif", image)
    assert opened(tmp_path / "s").warnings == ()


def test_every_second_slice_is_no_gap(tmp_path: Path) -> None:
    folder = write_slices(tmp_path / "s", volume(shape=(7, 80, 90)))
    for n in (9, 11, 13):
        (folder / f"im{n}.tif").unlink()
    assert opened(folder).warnings == ()
