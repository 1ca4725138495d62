"""Where slices are once they were read: in memory, in their file, or read again; and what holds in each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from scan_files import Own, OwnMapped, OwnRereadable, opened, refused, volume, write_slices

from xctrules import inspect
from xctrules.core.errors import ScanError
from xctrules.core.slices import ArraySlices, Mapped, Rereadable, SlicesOnDemand
from xctrules.cylinder.phantom import draw, small
from xctrules.scans import reading
from xctrules.scans.reading import available_memory_bytes

BYTES = 5 * 80 * 90 * 2
"""Of :func:`volume` with 16 bits."""


@pytest.fixture
def own_file(tmp_path: Path) -> Path:
    (tmp_path / "v.own").touch()
    return tmp_path / "v.own"


# --- room for them ---------------------------------------------------------------------------------------


def test_what_just_fits_comes_into_memory(tmp_path: Path) -> None:
    scan = opened(write_slices(tmp_path / "s", volume()), memory_limit_bytes=BYTES)
    assert isinstance(scan.slices, ArraySlices)


def test_what_does_not_fit_is_read_again_when_asked_for(tmp_path: Path) -> None:
    scan = opened(write_slices(tmp_path / "s", volume()), memory_limit_bytes=BYTES - 1)
    assert isinstance(scan.slices, SlicesOnDemand)
    np.testing.assert_array_equal(scan.slices[:], volume())


@pytest.mark.parametrize("limit", [0, BYTES - 1])
def test_what_neither_fits_nor_can_be_read_again_is_refused(own_file: Path, limit: int) -> None:
    refused(own_file, "needs .*GB.* is available", readers=[Own(volume())], memory_limit_bytes=limit)


def test_memory_is_checked_before_any_slice_is_read(own_file: Path) -> None:
    class Unread(Own):
        def slices(self) -> Any:
            raise AssertionError("no slice is wanted")

    refused(own_file, "memory", readers=[Unread(volume())], memory_limit_bytes=10)


def test_an_array_that_cannot_be_had_is_done_without(own_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system does not say what it has, the attempt tells."""

    def none_left(*_: Any) -> Any:
        raise MemoryError

    again, once = OwnRereadable(volume()), Own(volume())
    monkeypatch.setattr(reading, "available_memory_bytes", lambda: None)
    monkeypatch.setattr(np, "empty", none_left)
    assert isinstance(opened(own_file, readers=[again]).slices, SlicesOnDemand)
    refused(own_file, "needs .*GB.* not available", readers=[once])


def test_available_memory_is_the_systems() -> None:
    available = available_memory_bytes()
    assert available is None or 2**20 < available < 2**50


# --- what a plugin's source can do beside ----------------------------------------------------------------


def test_powers_are_told_by_what_a_source_has() -> None:
    least, again, mapped = Own(volume()), OwnRereadable(volume()), OwnMapped(volume())
    assert not isinstance(least, Rereadable | Mapped)
    assert isinstance(again, Rereadable) and not isinstance(again, Mapped)
    assert isinstance(mapped, Mapped) and not isinstance(mapped, Rereadable)


def test_a_map_of_another_shape_is_refused(own_file: Path) -> None:
    class Wrong(OwnMapped):
        @property
        def mapped(self) -> Any:
            return self.data[1:]

    refused(own_file, r"\(5, 80, 90\), but \(4, 80, 90\) is mapped", readers=[Wrong(volume())])


def test_a_plugins_slices_are_turned_into_the_machines_types(own_file: Path) -> None:
    for data in (volume().astype(">u2"), volume() > 60):
        scan = opened(own_file, readers=[OwnRereadable(data)], memory_limit_bytes=0)
        assert scan.slices.dtype == (np.uint8 if data.dtype == bool else np.uint16)
        assert scan.slices[2].dtype.isnative
        np.testing.assert_array_equal(scan.slices[:], data)


# --- what was hashed and checked is what is measured -----------------------------------------------------


@pytest.mark.parametrize("limit", [None, 0])
def test_hashes_are_those_of_the_files_whichever_way(tmp_path: Path, limit: int | None) -> None:
    folder = write_slices(tmp_path / "s", volume(), compression="zlib")
    expected = [(hashlib.sha256(p.read_bytes()).hexdigest(), p.name) for p in folder.iterdir()]
    scan = opened(folder, memory_limit_bytes=limit)
    assert sorted(scan.digests, key=lambda d: d[1]) == sorted(expected, key=lambda d: d[1])


def test_values_are_checked_though_they_are_not_kept(tmp_path: Path) -> None:
    data = volume("float32")
    data[3, 40, 40] = np.nan
    refused(write_slices(tmp_path / "s", data), "slice 4 .*no numbers", memory_limit_bytes=0)
    constant = np.full((3, 80, 90), 7, "uint8")
    refused(write_slices(tmp_path / "c", constant), "the same value", memory_limit_bytes=0)
    three = (volume() > 60).astype("uint8")
    three[1, 40, 40] = 2
    refused(write_slices(tmp_path / "m", three), "two values", mask=True, memory_limit_bytes=0)


def test_a_slice_that_changed_since_is_refused(tmp_path: Path) -> None:
    """A measurement of other pixels than those whose hash the record states would be worse than none."""
    data = volume()
    folder = write_slices(tmp_path / "s", data)
    scan = opened(folder, memory_limit_bytes=0)
    changed = data[2].copy()
    changed[40, 40] += 1
    tifffile.imwrite(folder / "im10.tif", changed)
    np.testing.assert_array_equal(scan.slices[1], data[1])
    for index in (2, slice(1, 4)):
        with pytest.raises(ScanError, match="slice 3 has changed since"):
            scan.slices[index]
    (folder / "im10.tif").unlink()
    with pytest.raises(ScanError, match=r"im10\.tif.*cannot be read"):
        scan.slices[2]


def test_a_plugins_source_that_breaks_later_is_named(own_file: Path) -> None:
    class Breaking(OwnRereadable):
        def read_slice(self, k: int) -> Any:
            raise RuntimeError("the drive was taken out")

    scan = opened(own_file, readers=[Breaking(volume())], memory_limit_bytes=0)
    with pytest.raises(ScanError, match=r"v\.own.*slice 4 .*RuntimeError: the drive was taken out"):
        scan.slices[3]


@pytest.mark.parametrize(
    "write",
    [
        lambda folder, data: write_slices(folder / "cell", data),
        lambda folder, data: tifffile.imwrite(folder / "cell.tif", data, compression="zlib"),
        lambda folder, data: tifffile.imwrite(folder / "cell.tif", data),
    ],
    ids=["folder", "packed stack", "mapped stack"],
)
def test_the_record_is_the_same_wherever_the_slices_are(
    tmp_path: Path, write: Callable[[Path, Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    phantom = draw(small(view="top", roll_in_view_mm=0.8))
    write(tmp_path, phantom.volume)
    path = next(tmp_path.iterdir())

    def record() -> str:
        found = inspect(path, "18650", angles=36, voxel_size_mm=phantom.spec.voxel_size_mm, third_party=False)
        return json.dumps({key: value for key, value in found.record.items() if key != "run"})

    in_memory = record()
    monkeypatch.setattr(reading, "available_memory_bytes", lambda: 0)
    assert record() == in_memory
