"""Every kind of slices, in memory, mapped, read or made on demand, keeps one and the same protocol."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from scan_files import DTYPES, Own, OwnMapped, OwnRereadable, opened, volume, write_slices

from xctrules.core.slices import ArraySlices, Slices, SlicesOnDemand, each_slice

zarr = pytest.importorskip("zarr")

NO_ROOM: dict[str, Any] = {"memory_limit_bytes": 0}
"""Nothing may come into memory: what is not mapped is read on demand."""


def array(folder: Path, data: Any) -> Slices:
    return ArraySlices(data)


def strided_array(folder: Path, data: Any) -> Slices:
    return ArraySlices(np.repeat(np.asfortranarray(data), 2, axis=1)[:, ::2])


def tiff_folder(folder: Path, data: Any) -> Slices:
    return opened(write_slices(folder / "s", data)).slices


def tiff_folder_on_demand(folder: Path, data: Any) -> Slices:
    return opened(write_slices(folder / "s", data), **NO_ROOM).slices


def mapped_tiff(folder: Path, data: Any) -> Slices:
    tifffile.imwrite(folder / "v.tif", data)
    return opened(folder / "v.tif", **NO_ROOM).slices


def packed_tiff_on_demand(folder: Path, data: Any) -> Slices:
    tifffile.imwrite(folder / "v.tif", data, compression="zlib")
    return opened(folder / "v.tif", **NO_ROOM).slices


def bigtiff_page_by_page_on_demand(folder: Path, data: Any) -> Slices:
    with tifffile.TiffWriter(folder / "v.tif", bigtiff=True) as writer:
        for image in data:
            writer.write(image, compression="zlib")
    return opened(folder / "v.tif", **NO_ROOM).slices


def big_endian_tiff_on_demand(folder: Path, data: Any) -> Slices:
    tifffile.imwrite(folder / "v.tif", data, byteorder=">")
    return opened(folder / "v.tif", **NO_ROOM).slices


def zarr_in_memory(folder: Path, data: Any) -> Slices:
    zarr.create_array(folder / "v.zarr", data=data, chunks=(2, 33, 90))
    return opened(folder / "v.zarr").slices


def zarr_on_demand(folder: Path, data: Any) -> Slices:
    zarr.create_array(folder / "v.zarr", data=data, chunks=(2, 33, 90))
    return opened(folder / "v.zarr", **NO_ROOM).slices


def sharded_zarr_on_demand(folder: Path, data: Any) -> Slices:
    zarr.create_array(folder / "v.zarr", data=data, chunks=(2, 40, 45), shards=(4, 80, 90))
    return opened(folder / "v.zarr", **NO_ROOM).slices


def mapped_raw(folder: Path, data: Any) -> Slices:
    return _raw(folder, data, "little")


def big_endian_raw_on_demand(folder: Path, data: Any) -> Slices:
    return _raw(folder, data, "big")


def _raw(folder: Path, data: Any, order: str) -> Slices:
    stored = data.astype(data.dtype.newbyteorder("<" if order == "little" else ">"))
    (folder / "v.raw").write_bytes(stored.tobytes())
    (folder / "acquisition.yaml").write_text(
        f"shape: {list(data.shape)}\ndtype: {data.dtype}\nbyte_order: {order}\n"
    )
    return opened(folder / "v.raw", **NO_ROOM).slices


def plugins_own(folder: Path, data: Any) -> Slices:
    return _by(Own(data), folder)


def plugins_rereadable_on_demand(folder: Path, data: Any) -> Slices:
    return _by(OwnRereadable(data), folder, **NO_ROOM)


def plugins_mapped(folder: Path, data: Any) -> Slices:
    return _by(OwnMapped(data), folder, **NO_ROOM)


def _by(reader: Own, folder: Path, **options: Any) -> Slices:
    (folder / "v.own").touch()
    return opened(folder / "v.own", readers=[reader], **options).slices


def made_of_another(folder: Path, data: Any) -> Slices:
    return each_slice(ArraySlices(data[:, ::-1]), lambda image: image[::-1], data.dtype)


KINDS: tuple[Callable[[Path, Any], Slices], ...] = (
    array,
    strided_array,
    tiff_folder,
    tiff_folder_on_demand,
    mapped_tiff,
    packed_tiff_on_demand,
    bigtiff_page_by_page_on_demand,
    big_endian_tiff_on_demand,
    zarr_in_memory,
    zarr_on_demand,
    sharded_zarr_on_demand,
    mapped_raw,
    big_endian_raw_on_demand,
    plugins_own,
    plugins_rereadable_on_demand,
    plugins_mapped,
    made_of_another,
)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> Callable[[Path, Any], Slices]:
    chosen: Callable[[Path, Any], Slices] = request.param
    return chosen


class TestEveryKind:
    """What :class:`xctrules.core.slices.Slices` promises, of each kind."""

    @pytest.fixture
    def data(self) -> Any:
        return volume()

    @pytest.fixture
    def slices(self, kind: Callable[[Path, Any], Slices], data: Any, tmp_path: Path) -> Slices:
        return kind(tmp_path, data)

    def test_is_of_the_protocol(self, slices: Slices, data: Any) -> None:
        assert isinstance(slices, Slices)
        assert slices.shape == data.shape
        assert type(slices.shape) is tuple
        assert slices.dtype == data.dtype
        assert len(slices) == len(data)

    def test_is_of_the_kind_that_it_is_called(
        self, slices: Slices, kind: Callable[[Path, Any], Slices]
    ) -> None:
        """So that no kind goes untested because another took its place."""
        on_demand = kind.__name__.endswith("on_demand") or kind is made_of_another
        assert type(slices) is (SlicesOnDemand if on_demand else ArraySlices)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_keeps_the_type_in_the_machines_byte_order(
        self, kind: Callable[[Path, Any], Slices], dtype: str, tmp_path: Path
    ) -> None:
        data = volume(dtype)
        slices = kind(tmp_path, data)
        for got in (slices[1], slices[1:3]):
            assert got.dtype == slices.dtype == data.dtype
            assert got.dtype.isnative
        np.testing.assert_array_equal(slices[:], data)

    def test_one_slice_by_any_integer(self, slices: Slices, data: Any) -> None:
        for k in range(-len(data), len(data)):
            for index in (k, np.int64(k), np.array(k)):
                assert slices[index].shape == data.shape[1:]
                np.testing.assert_array_equal(slices[index], data[k])
        np.testing.assert_array_equal(slices[np.uint8(3)], data[3])

    @pytest.mark.parametrize(
        "run",
        [slice(None), slice(1, 4), slice(-2, None), slice(None, None, 2), slice(1, 5, 3), slice(2, 99),
         slice(3, 1), slice(np.int64(1), np.int64(3))],
        ids=str,
    )  # fmt: skip
    def test_some_slices_by_a_run(self, slices: Slices, data: Any, run: slice) -> None:
        assert slices[run].shape == data[run].shape
        np.testing.assert_array_equal(slices[run], data[run])

    @pytest.mark.parametrize("k", [5, 1000, -6])
    def test_a_slice_that_is_not_there(self, slices: Slices, k: int) -> None:
        with pytest.raises(IndexError, match=rf"no slice {k}: the scan has 5"):
            slices[k]

    @pytest.mark.parametrize(
        "index",
        [(0, 1), (slice(None), 3), [0, 1], np.array([0, 1]), np.array([True] * 5), None, ..., 1.0, "1", True,
         np.True_],
        ids=repr,
    )  # fmt: skip
    def test_anything_else_is_told_how_to_ask(self, slices: Slices, index: Any) -> None:
        with pytest.raises(TypeError, match=r"slices\[k\].*slices\[a:b\]"):
            slices[index]

    @pytest.mark.parametrize("step", [-1, 0])
    def test_a_run_goes_forward(self, slices: Slices, step: int) -> None:
        with pytest.raises(ValueError, match="order"):
            slices[::step]

    @pytest.mark.parametrize("bounds", [slice(0.0, 2), slice("a"), slice(0, 4, 1.0)], ids=str)
    def test_a_run_is_bounded_by_integers(self, slices: Slices, bounds: slice) -> None:
        with pytest.raises(TypeError, match="integer"):
            slices[bounds]

    @pytest.mark.parametrize("index", [2, slice(1, 3)], ids=str)
    def test_nobody_can_change_what_the_next_one_gets(self, slices: Slices, data: Any, index: Any) -> None:
        before = data.copy()
        got = slices[index]
        with pytest.raises(ValueError, match="read-only"):
            got[:] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            got.flags.writeable = True
        with pytest.raises(ValueError, match="WRITEABLE"):
            got[...].flags.writeable = True
        np.testing.assert_array_equal(slices[:], before)

    def test_is_not_taken_for_an_array(self, slices: Slices) -> None:
        """Or one careless ``np.asarray`` would bring a scan into memory that does not fit."""
        for take in (np.asarray, np.array, np.mean, lambda s: np.asarray(s, dtype=float)):
            with pytest.raises(TypeError, match=r"slices\[k\]"):
                take(slices)

    def test_several_threads_may_ask_in_any_order(self, slices: Slices, data: Any) -> None:
        asked = [k for j in range(20) for k in ((j * 3) % 5, -1 - j % 5)]
        with ThreadPoolExecutor(4) as pool:
            for k, image in zip(asked, pool.map(slices.__getitem__, asked), strict=True):
                np.testing.assert_array_equal(image, data[k])


def test_slices_in_memory_are_views() -> None:
    """Sampling a cell takes every slice some twenty times: none of them may cost a copy."""
    data = volume()
    slices = ArraySlices(data)
    assert np.shares_memory(slices[2], data)
    assert np.shares_memory(slices[1:3], data)


def test_slices_on_demand_are_not_kept() -> None:
    asked: list[int] = []

    def read(k: int) -> Any:
        asked.append(k)
        return np.full((3, 4), k)

    slices = SlicesOnDemand(read, (5, 3, 4), np.uint8)
    assert slices[1].max() == 1
    assert slices[1:4].dtype == np.uint8
    assert slices[-1].min() == 4
    assert asked == [1, 1, 2, 3, 4]


def test_a_slice_of_another_shape_is_refused() -> None:
    slices = SlicesOnDemand(lambda k: np.zeros((3, 4 + k)), (5, 3, 4), np.uint8)
    slices[0]
    for wrong in (1, slice(0, 2)):
        with pytest.raises(ValueError, match=r"slice 2 has the shape \(3, 5\), not \(3, 4\)"):
            slices[wrong]
