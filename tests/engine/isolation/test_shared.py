"""Memory that several processes look at: where it lies, and who may write to it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from xctrules.core.slices import ArraySlices, SlicesOnDemand
from xctrules.engine.isolation.shared import Place, SharedArray, array_on, open_place, place_of
from xctrules.engine.isolation.shown import ShownSlices

VOLUME = np.random.default_rng(1).integers(0, 2000, (6, 40, 50)).astype(np.uint16)

linux = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells where a map lies, and seals memory"
)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "a volume.raw"
    path.write_bytes(b"head" * 16 + VOLUME.tobytes())
    return path


def mapped(raw: Path, mode: str = "r") -> np.ndarray:
    return np.memmap(raw, VOLUME.dtype, mode, 64, VOLUME.shape)  # type: ignore[call-overload, no-any-return]


@linux
def test_a_mapped_file_is_found_again(raw: Path) -> None:
    volume = mapped(raw)
    for part in (volume, volume[2:], ArraySlices(volume)[1:4], np.asarray(memoryview(volume))[3]):
        place = place_of(part)
        assert place is not None and place.file == str(raw)
        np.testing.assert_array_equal(open_place(place), part)


@linux
def test_what_is_no_map_of_a_whole_file_has_no_place(raw: Path) -> None:
    assert place_of(VOLUME) is None
    assert place_of(mapped(raw, "r+")) is None  # what is written there may not be in the file yet
    assert place_of(mapped(raw, "c")) is None
    assert place_of(mapped(raw)[:, ::2]) is None
    volume = mapped(raw)
    raw.unlink()
    assert place_of(volume) is None
    raw.write_bytes(b"another")
    assert place_of(volume) is None


def test_what_is_no_file_is_not_mapped(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "short").write_bytes(b"1")
    for name in ("short", "absent"):
        with pytest.raises((OSError, ValueError)):
            open_place(Place(str(tmp_path / name), 0, "<u2", (3, 4, 5)))
    with pytest.raises(OSError):
        open_place(Place("/proc/self/mem", 0, "<u2", (3, 4, 5)))


def test_both_sides_see_what_is_written() -> None:
    memory = SharedArray(VOLUME.shape, VOLUME.dtype)
    other = array_on(memory.descriptor, VOLUME.dtype, VOLUME.shape, writable=False)
    memory.array[...] = VOLUME
    np.testing.assert_array_equal(other, VOLUME)
    with pytest.raises(ValueError, match="read-only"):
        other[0, 0, 0] = 1
    memory.close()
    np.testing.assert_array_equal(other, VOLUME)


@linux
def test_sealed_memory_cannot_be_written_to_nor_cut(tmp_path: Path) -> None:
    memory = SharedArray((100,), np.uint8)
    with pytest.raises(OSError):
        os.ftruncate(memory.descriptor, 10)
    memory.seal()
    memory.array[:] = 1  # by whoever made it
    with pytest.raises(OSError):
        array_on(memory.descriptor, np.uint8, (100,), writable=True)
    with pytest.raises(OSError):
        os.pwrite(memory.descriptor, b"x", 0)


def test_memory_that_cannot_be_had_is_an_error_here() -> None:
    with pytest.raises(MemoryError):
        SharedArray((2**62,), np.uint8)


def test_slices_are_copied_only_where_nobody_else_can_look(raw: Path) -> None:
    shown = ShownSlices()
    copied = shown.show(ArraySlices(VOLUME)).place
    assert isinstance(copied, SharedArray) and copied.sealed
    np.testing.assert_array_equal(copied.array, VOLUME)
    ready = shown.empty(VOLUME.shape, VOLUME.dtype)
    again = shown.show(ArraySlices(ready)).place
    assert isinstance(again, SharedArray) and again.array is ready
    if sys.platform == "linux":
        assert shown.show(ArraySlices(mapped(raw))).place == Place(str(raw), 64, "<u2", VOLUME.shape)
    asked = shown.show(SlicesOnDemand(lambda k: VOLUME[k], VOLUME.shape, VOLUME.dtype))
    assert asked.place is None
    np.testing.assert_array_equal(shown.read(asked.key, 3), VOLUME[3])


def test_the_same_slices_are_laid_out_once() -> None:
    shown, slices = ShownSlices(), ArraySlices(VOLUME)
    assert shown.show(slices) is shown.show(slices)
    shown.clear()
    with pytest.raises(KeyError):
        shown.read(id(slices), 0)
