"""Every scan format, written here with the library that owns the format, comes back voxel for voxel."""

from __future__ import annotations

import builtins
import hashlib
import mmap
import random
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from conftest import shared_data
from hypothesis import given, settings
from hypothesis import strategies as st

from xctrules.core.errors import ScanError
from xctrules.core.slices import Reader, Scan
from xctrules.scans.bundled import BUNDLED
from xctrules.scans.opening import open_scan
from xctrules.scans.tiff import natural_key

VOXEL = (0.06, 0.05, 0.04)
DTYPES = ["uint8", "uint16", "uint32", "int8", "int16", "int32", "float16", "float32", "float64"]


def volume(dtype: str = "uint16", shape: tuple[int, int, int] = (5, 80, 90)) -> Any:
    """A volume without any symmetry, so that no swap of axes and no wrong order of slices goes unseen."""
    values = np.random.default_rng(7).integers(0, 120, shape)
    values[:, 0, 0] = np.arange(shape[0])
    return values.astype(dtype)


def write_slices(folder: Path, data: Any, name: str = "im{}.tif", first: int = 8, **options: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for k, image in enumerate(data):
        tifffile.imwrite(folder / name.format(first + k), image, **options)
    return folder


def opened(path: Path, **options: Any) -> Scan:
    return open_scan(path, voxel_size_mm=VOXEL, **options)


def is_mapped(array: Any) -> bool:
    """Whether the array's memory is a mapped file."""
    while isinstance(array, np.ndarray | memoryview):
        array = array.base if isinstance(array, np.ndarray) else array.obj
    return isinstance(array, mmap.mmap)


_watch: list[Counter[str] | None] = [None]


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and _watch[0] is not None and isinstance(args[0], (str, Path)):
        _watch[0][Path(args[0]).name] += 1


@contextmanager
def counted_opens() -> Iterator[Counter[str]]:
    """Counts how often the process opens each file name, whoever does (audit hooks cannot be taken off)."""
    if not getattr(builtins, "_xctrules_hooked", False):
        sys.addaudithook(_hook)
        builtins._xctrules_hooked = True  # type: ignore[attr-defined]
    _watch[0] = Counter()
    try:
        yield _watch[0]
    finally:
        _watch[0] = None


# --- TIFF ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_folder_keeps_dtype_and_voxels(tmp_path: Path, dtype: str, byteorder: str) -> None:
    data = volume(dtype)
    scan = opened(write_slices(tmp_path / "s", data, byteorder=byteorder))
    assert scan.slices.dtype == np.dtype(dtype)
    assert scan.slices.dtype.isnative
    np.testing.assert_array_equal(scan.slices[:], data)
    assert scan.voxel_size_mm == VOXEL
    assert scan.shape == data.shape


@pytest.mark.parametrize("compression", ["zlib", "lzw", "packbits"])
def test_compressed_slices(tmp_path: Path, compression: str) -> None:
    data = volume()
    np.testing.assert_array_equal(
        opened(write_slices(tmp_path / "s", data, compression=compression)).slices[:], data
    )
    tifffile.imwrite(tmp_path / "stack.tif", data, compression=compression)
    stack = opened(tmp_path / "stack.tif")
    np.testing.assert_array_equal(stack.slices[:], data)
    assert not is_mapped(stack.slices[:])


def test_tiled_and_striped_slices(tmp_path: Path) -> None:
    data = volume(shape=(3, 100, 130))
    np.testing.assert_array_equal(opened(write_slices(tmp_path / "t", data, tile=(32, 32))).slices[:], data)
    np.testing.assert_array_equal(opened(write_slices(tmp_path / "r", data, rowsperstrip=7)).slices[:], data)


def test_slices_come_in_natural_order(tmp_path: Path) -> None:
    data = volume(shape=(12, 80, 90))
    folder = write_slices(tmp_path / "s", data, first=1)  # im1 ... im12: im10 sorts before im2 as text
    scan = opened(folder)
    np.testing.assert_array_equal(scan.slices[:][:, 0, 0], np.arange(12))
    assert [name for _, name in scan.digests] == [f"im{n}.tif" for n in range(1, 13)]


@given(numbers=st.lists(st.integers(0, 10**6), unique=True, min_size=2), width=st.integers(0, 7))
def test_natural_key_orders_by_number(numbers: list[int], width: int) -> None:
    names = [f"scan7_im{n:0{width}d}.tif" for n in numbers]
    random.Random(1).shuffle(names)
    assert sorted(names, key=natural_key) == [f"scan7_im{n:0{width}d}.tif" for n in sorted(numbers)]


def test_hidden_and_other_files_are_ignored(tmp_path: Path) -> None:
    data = volume()
    folder = write_slices(tmp_path / "s", data, name="im{}.TIFF")
    (folder / "._im8.TIFF").write_bytes(b"what macOS leaves on other disks")
    (folder / "Thumbs.db").write_bytes(b"")
    (folder / "notes.txt").write_text("seen on Monday")
    (folder / "old.tif").mkdir()
    np.testing.assert_array_equal(opened(folder).slices[:], data)


@pytest.mark.parametrize(
    "options", [{}, {"bigtiff": True}, {"ome": True}, {"imagej": True}, {"byteorder": ">"}], ids=str
)
def test_stack_in_one_file(tmp_path: Path, options: dict[str, Any]) -> None:
    data = volume()
    file = tmp_path / ("v.ome.tif" if options.get("ome") else "v.tif")
    tifffile.imwrite(file, data, **options)
    scan = opened(file)
    np.testing.assert_array_equal(scan.slices[:], data)
    assert scan.digests == ((hashlib.sha256(file.read_bytes()).hexdigest(), file.name),)


@pytest.mark.parametrize("dtype", DTYPES)
def test_uncompressed_stack_is_mapped(tmp_path: Path, dtype: str) -> None:
    data = volume(dtype)
    tifffile.imwrite(tmp_path / "v.tif", data)
    scan = opened(tmp_path / "v.tif", memory_limit_bytes=0)  # it takes no memory of its own
    assert is_mapped(scan.slices[:])
    np.testing.assert_array_equal(scan.slices[:], data)


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_imagej_stack_with_one_directory(tmp_path: Path, byteorder: str) -> None:
    """ImageJ writes stacks above 4 GB so: big-endian, and only the first slice has a directory."""
    data = volume()
    tifffile.imwrite(
        tmp_path / "v.tif", data, imagej=True, truncate=True, byteorder=byteorder, metadata={"axes": "ZYX"}
    )
    with tifffile.TiffFile(tmp_path / "v.tif") as tiff:
        assert len(tiff.pages) == 1
    scan = opened(tmp_path / "v.tif")
    np.testing.assert_array_equal(scan.slices[:], data)
    assert scan.slices.dtype.isnative
    assert is_mapped(scan.slices[:]) is (byteorder == "<" if sys.byteorder == "little" else byteorder == ">")
    assert scan.digests[0][0] == hashlib.sha256((tmp_path / "v.tif").read_bytes()).hexdigest()


def test_stack_written_page_by_page(tmp_path: Path) -> None:
    """Many programs append pages one at a time, which makes each a series of its own."""
    data = volume()
    with tifffile.TiffWriter(tmp_path / "v.tif") as writer:
        for image in data:
            writer.write(image)
    np.testing.assert_array_equal(opened(tmp_path / "v.tif").slices[:], data)


def test_single_slice_file_and_folder_of_one(tmp_path: Path) -> None:
    data = volume(shape=(1, 80, 90))
    tifffile.imwrite(tmp_path / "one.tif", data[0])
    for path in (tmp_path / "one.tif", tmp_path):
        scan = opened(path)
        assert scan.shape == (1, 80, 90)
        np.testing.assert_array_equal(scan.slices[:], data)


def test_folder_with_one_stack(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "v.tif", volume())
    np.testing.assert_array_equal(opened(tmp_path).slices[:], volume())


def test_one_slice_of_a_series_is_told_its_fellows(tmp_path: Path) -> None:
    folder = write_slices(tmp_path / "s", volume())
    (warning,) = opened(folder / "im9.tif").warnings
    assert "one of 5 slices" in warning
    tifffile.imwrite(tmp_path / "slice.tif", volume()[0])
    tifffile.imwrite(tmp_path / "mask.tif", volume()[0])
    assert opened(tmp_path / "slice.tif").warnings == ()


@pytest.mark.parametrize("stack", [False, True])
def test_bilevel_masks_come_as_uint8(tmp_path: Path, stack: bool) -> None:
    mask = volume() > 60
    if stack:
        tifffile.imwrite(tmp_path / "m.tif", mask)
        scan = opened(tmp_path / "m.tif", mask=True)
    else:
        scan = opened(write_slices(tmp_path / "m", mask), mask=True)
    assert scan.slices.dtype == np.uint8
    np.testing.assert_array_equal(scan.slices[:], mask.astype(np.uint8))


@pytest.mark.parametrize(("unit", "per_mm"), [("mm", 1.0), ("µm", 1e3), ("nm", 1e6), ("cm", 0.1)])
def test_ome_voxel_size(tmp_path: Path, unit: str, per_mm: float) -> None:
    metadata = {"axes": "ZYX"}
    for axis, size in zip("ZYX", VOXEL, strict=True):
        metadata |= {f"PhysicalSize{axis}": size * per_mm, f"PhysicalSize{axis}Unit": unit}  # type: ignore[dict-item]
    tifffile.imwrite(tmp_path / "v.ome.tif", volume(), metadata=metadata)
    scan = open_scan(tmp_path / "v.ome.tif")
    assert scan.voxel_size_mm == pytest.approx(VOXEL, rel=1e-9)
    assert scan.sources["voxel_size_mm"] == "v.ome.tif"


def test_ome_length_without_unit_is_in_micrometres(tmp_path: Path) -> None:
    """The OME schema's default."""
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="I:0"><Pixels ID="P:0" '
        'DimensionOrder="XYZCT" Type="uint16" SizeX="90" SizeY="80" SizeZ="5" SizeC="1" SizeT="1" '
        'PhysicalSizeX="40" PhysicalSizeY="50" PhysicalSizeZ="60"><TiffData/></Pixels></Image></OME>'
    )
    tifffile.imwrite(tmp_path / "v.ome.tif", volume(), description=xml, metadata=None)
    assert open_scan(tmp_path / "v.ome.tif").voxel_size_mm == pytest.approx(VOXEL)


@pytest.mark.parametrize(("unit", "per_mm"), [("mm", 1.0), ("um", 1e3), ("\\u00B5m", 1e3), ("micron", 1e3)])
def test_imagej_voxel_size(tmp_path: Path, unit: str, per_mm: float) -> None:
    z, y, x = (v * per_mm for v in VOXEL)
    tifffile.imwrite(
        tmp_path / "v.tif", volume(), imagej=True, resolution=(1 / x, 1 / y),
        metadata={"axes": "ZYX", "spacing": z, "unit": unit},
    )  # fmt: skip
    # Resolution is a fraction of two 32-bit integers in the file.
    assert open_scan(tmp_path / "v.tif").voxel_size_mm == pytest.approx(VOXEL, rel=1e-6)


@pytest.mark.parametrize("options", [{"resolutionunit": "CENTIMETER"}, {"imagej": True}], ids=str)
def test_resolution_without_calibration_is_not_trusted(tmp_path: Path, options: dict[str, Any]) -> None:
    tifffile.imwrite(tmp_path / "v.tif", volume(), resolution=(250, 250), **options)
    with pytest.raises(ScanError, match="no voxel size"):
        open_scan(tmp_path / "v.tif")


def test_imagej_stack_without_spacing_lacks_only_z(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "v.tif", volume(), imagej=True, resolution=(25, 20), metadata={"axes": "ZYX", "unit": "mm"}
    )
    with pytest.raises(ScanError, match=r"no voxel size along z .*v\.tif"):
        open_scan(tmp_path / "v.tif")


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


# --- read once, hashed on the way ------------------------------------------------------------------------


def test_each_slice_is_opened_once_and_its_bytes_are_hashed(tmp_path: Path) -> None:
    folder = write_slices(tmp_path / "s", volume(shape=(9, 80, 90)))
    with counted_opens() as opens:
        scan = opened(folder)
    assert {name: n for name, n in opens.items() if name.endswith(".tif")} == {
        f"im{k}.tif": 1 for k in range(8, 17)
    }
    expected = [
        (hashlib.sha256((folder / f"im{k}.tif").read_bytes()).hexdigest(), f"im{k}.tif") for k in range(8, 17)
    ]
    assert list(scan.digests) == expected


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}], ids=str)
def test_a_stack_is_opened_once(tmp_path: Path, options: dict[str, Any]) -> None:
    tifffile.imwrite(tmp_path / "v.tif", volume(), **options)
    with counted_opens() as opens:
        opened(tmp_path / "v.tif")
    assert opens["v.tif"] == 1


# --- raw -------------------------------------------------------------------------------------------------


def mhd(data: Any, name: str) -> str:
    kind = {"uint8": "MET_UCHAR", "int16": "MET_SHORT", "uint16": "MET_USHORT", "float32": "MET_FLOAT"}[
        str(data.dtype)
    ]
    z, y, x = data.shape
    return (
        f"ObjectType = Image\nNDims = 3\nDimSize = {x} {y} {z}\nElementSpacing = 0.04 0.05 0.06\n"
        f"ElementType = {kind}\nElementByteOrderMSB = False\nElementDataFile = {name}\n"
    )


def nhdr(data: Any, name: str) -> str:
    z, y, x = data.shape
    return (
        f"NRRD0004\n# made by hand\ntype: {data.dtype}\ndimension: 3\nsizes: {x} {y} {z}\nencoding: raw\n"
        f"endian: little\nspace dimension: 3\nspace directions: (40,0,0) (0,50,0) (0,0,60)\n"
        f'space units: "um" "um" "um"\ndata file: {name}\n'
    ).replace("float32", "float")


def vgi(data: Any, name: str) -> str:
    z, y, x = data.shape
    kind = (
        "float"
        if data.dtype.kind == "f"
        else "unsigned integer"
        if data.dtype.kind == "u"
        else "signed integer"
    )
    return (
        f"{{volume1}}\n[representation]\nsize = {x} {y} {z}\ndatatype = {kind}\nbitsperelement = "
        f"{data.dtype.itemsize * 8}\n[file1]\nSkipHeader = 0\nName = C:\\scans\\{name}\n"
        "[geometry]\nresolution = 0.04 0.05 0.06\nunit = mm\n"
    )


def own(data: Any, name: str) -> str:
    return (
        f"shape: {list(data.shape)}\ndtype: {data.dtype}\nbyte_order: little\n"
        "voxel_size_mm: {z: 0.06, y: 0.05, x: 0.04}\n"
    )


HEADERS = {".mhd": mhd, ".nhdr": nhdr, ".vgi": vgi, ".yaml": own}


@pytest.mark.parametrize("suffix", HEADERS)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
def test_raw_volume_with_header(tmp_path: Path, suffix: str, dtype: str) -> None:
    data = volume(dtype)
    (tmp_path / "v.raw").write_bytes(data.tobytes())
    (tmp_path / f"v{suffix}").write_text(HEADERS[suffix](data, "v.raw"))
    for path in (tmp_path / "v.raw", tmp_path / f"v{suffix}", tmp_path):
        scan = open_scan(path)
        np.testing.assert_array_equal(scan.slices[:], data)
        assert scan.slices.dtype == data.dtype
        assert scan.voxel_size_mm == pytest.approx(VOXEL)
        assert scan.sources["voxel_size_mm"] == f"v{suffix}"
        assert scan.digests == ((hashlib.sha256(data.tobytes()).hexdigest(), "v.raw"),)
        assert is_mapped(scan.slices[:])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ["little", "big"])
def test_raw_volume_described_by_acquisition_yaml(tmp_path: Path, dtype: str, order: str) -> None:
    data = volume(dtype)
    stored = data.astype(data.dtype.newbyteorder("<" if order == "little" else ">"))
    (tmp_path / "v.bin").write_bytes(b"header!" + stored.tobytes())
    (tmp_path / "acquisition.yaml").write_text(
        f"shape: [5, 80, 90]\ndtype: {dtype}\nbyte_order: {order}\nheader_bytes: 7\nvoxel_size_mm: 0.04\n"
    )
    scan = open_scan(tmp_path / "v.bin")
    np.testing.assert_array_equal(scan.slices[:], data)
    assert scan.slices.dtype.isnative
    assert scan.voxel_size_mm == (0.04, 0.04, 0.04)
    assert scan.scan_sha256 != ""


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_nikon_volume(tmp_path: Path, dtype: str) -> None:
    """The header gives no data type: the file's size tells 16 bits from 32."""
    data = volume(dtype)
    (tmp_path / "cell.vol").write_bytes(data.tobytes())
    (tmp_path / "cell.xtekct").write_text(
        "[XTekCT]\nVoxelsX=90\nVoxelsY=80\nVoxelsZ=5\nVoxelSizeX=0.04\nVoxelSizeY=0.05\nVoxelSizeZ=0.06\n"
        "[Xrays]\nXraykV=200\n"
    )
    scan = open_scan(tmp_path / "cell.vol")
    np.testing.assert_array_equal(scan.slices[:], data)
    assert scan.voxel_size_mm == pytest.approx(VOXEL)
    assert scan.acquisition["tube_voltage_kv"] == 200
    assert scan.warnings == ()


def test_phoenix_volume(tmp_path: Path) -> None:
    data = volume("float32")
    (tmp_path / "cell.vol").write_bytes(data.tobytes())
    (tmp_path / "cell.pcr").write_text(
        "[VolumeData]\nVolume_SizeX=90\nVolume_SizeY=80\nVolume_SizeZ=5\nVoxelSizeRec=0.04\n"
    )
    scan = open_scan(tmp_path / "cell.vol")
    np.testing.assert_array_equal(scan.slices[:], data)
    assert scan.voxel_size_mm == (0.04,) * 3


@pytest.mark.parametrize("header_size", [0, 16, -1])
def test_metaimage_big_endian_with_header(tmp_path: Path, header_size: int) -> None:
    data = volume("int16")
    before = b"x" * (11 if header_size < 0 else header_size)  # -1: the voxels are at the end
    (tmp_path / "v.raw").write_bytes(before + data.astype(">i2").tobytes())
    text = mhd(data, "v.raw").replace("MSB = False", "MSB = True")
    (tmp_path / "v.mhd").write_text(f"HeaderSize = {header_size}\n{text}")
    scan = open_scan(tmp_path / "v.mhd")
    np.testing.assert_array_equal(scan.slices[:], data)
    assert scan.slices.dtype.isnative


def test_nrrd_spacings(tmp_path: Path) -> None:
    data = volume("uint8")
    (tmp_path / "v.raw").write_bytes(data.tobytes())
    (tmp_path / "v.nhdr").write_text(
        "NRRD0001\ntype: unsigned char\ndimension: 3\nsizes: 90 80 5\nspacings: 0.04 0.05 0.06\n"
        "encoding: raw\ndata file: ./v.raw\n"
    )
    assert open_scan(tmp_path / "v.nhdr").voxel_size_mm == pytest.approx(VOXEL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw[:-1], "cut off"),
        (lambda raw: raw + b"\0", "has 72001"),
        (lambda raw: b"", "cut off|empty"),
    ],
)
def test_raw_volume_of_wrong_size(tmp_path: Path, change: Any, message: str) -> None:
    data = volume("uint16")
    (tmp_path / "v.raw").write_bytes(change(data.tobytes()))
    (tmp_path / "v.mhd").write_text(mhd(data, "v.raw"))
    with pytest.raises(ScanError, match=message) as caught:
        open_scan(tmp_path / "v.raw")
    assert "v.raw" in str(caught.value)


def test_raw_volume_without_header(tmp_path: Path) -> None:
    (tmp_path / "v.raw").write_bytes(bytes(100))
    with pytest.raises(ScanError, match=r"shape and type .* acquisition\.yaml"):
        opened(tmp_path / "v.raw")
    (tmp_path / "acquisition.yaml").write_text("shape: [1, 10, 10]\n")
    with pytest.raises(ScanError, match="dtype is not given"):
        opened(tmp_path / "v.raw")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("MET_USHORT", "MET_BANANA"),
        ("DimSize = 90 80 5", "DimSize = 90 80"),
        ("DimSize = 90 80 5", "DimSize = 90 80 0"),
        ("ElementDataFile = v.raw", "ElementDataFile = elsewhere.raw"),
        ("NDims = 3", "CompressedData = True"),
    ],
)
def test_broken_header(tmp_path: Path, old: str, new: str) -> None:
    data = volume("uint16")
    (tmp_path / "w.raw" if "elsewhere" in new else tmp_path / "v.raw").write_bytes(data.tobytes())
    (tmp_path / "v.mhd").write_text(mhd(data, "v.raw").replace(old, new))
    with pytest.raises(ScanError):
        open_scan(tmp_path / "v.mhd")


# --- Zarr ------------------------------------------------------------------------------------------------

zarr = pytest.importorskip("zarr")


def file_digests(folder: Path, chunks: list[Path]) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in chunks}


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("chunks", [(1, 80, 90), (3, 33, 90), (5, 80, 90)], ids=str)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float16", "float32", "float64"])
def test_zarr_array(tmp_path: Path, version: int, chunks: tuple[int, int, int], dtype: str) -> None:
    data = volume(dtype, (5, 80, 90))
    folder = tmp_path / "v.zarr"
    zarr.create_array(folder, data=data, chunks=chunks, zarr_format=version)
    with counted_opens() as opens:
        scan = opened(folder)
    np.testing.assert_array_equal(scan.slices[:], data)
    assert scan.slices.dtype == data.dtype
    stored = [p for p in folder.rglob("*") if p.is_file() and p.name != ".zattrs"]
    assert {name: sha for sha, name in scan.digests} == file_digests(folder, stored)
    assert scan.reader == "zarr"
    assert scan.warnings == ()
    described = 1  # the array's own description is among the files; chunks are opened once each
    assert len(stored) - described == np.prod([-(-n // c) for n, c in zip(data.shape, chunks, strict=True)])
    if version == 2:  # names of version 2 chunks are unlike any other file's
        assert all(opens[p.name] == 1 for p in stored if p.name[0].isdigit())


def test_sharded_zarr(tmp_path: Path) -> None:
    data = volume(shape=(6, 80, 90))
    zarr.create_array(tmp_path / "v.zarr", data=data, chunks=(1, 40, 45), shards=(2, 80, 90))
    scan = opened(tmp_path / "v.zarr")
    np.testing.assert_array_equal(scan.slices[:], data)
    stored = [p for p in (tmp_path / "v.zarr").rglob("*") if p.is_file()]
    assert {name: sha for sha, name in scan.digests} == file_digests(tmp_path / "v.zarr", stored)


def ome_zarr(folder: Path, data: Any, version: str, axes: str, unit: str | None, factor: float) -> Path:
    """An OME-Zarr image with two levels; scales of the axes z, y, x are VOXEL times ``factor``."""
    group = zarr.open_group(folder, mode="w", zarr_format=2 if version == "0.4" else 3)
    sizes = dict(zip("zyx", VOXEL, strict=True))
    shape = [data.shape["zyx".index(a)] if a in "zyx" else 1 for a in axes]
    group.create_array("0", data=data.reshape(shape), chunks=[min(n, 64) for n in shape])
    group.create_array("1", data=data.reshape(shape)[..., ::2, ::2], chunks=[min(n, 64) for n in shape])
    described = [
        {"name": a, "type": "space", **({"unit": unit} if unit else {})}
        if a in "zyx"
        else {"name": a, "type": "time"}
        for a in axes
    ]

    def level(name: str, coarser: int) -> dict[str, Any]:
        # Half of the scale stands at the level, half at the image: both hold.
        scale = [sizes[a] * factor / 2 * (coarser if a in "yx" else 1) if a in sizes else 1.0 for a in axes]
        return {"path": name, "coordinateTransformations": [{"type": "scale", "scale": scale}]}

    image = {
        "axes": described,
        "datasets": [level("0", 1), level("1", 2)],
        "coordinateTransformations": [{"type": "scale", "scale": [2.0 if a in sizes else 1.0 for a in axes]}],
    }
    if version == "0.4":
        group.attrs["multiscales"] = [{"version": "0.4", **image}]
    else:
        group.attrs["ome"] = {"version": version, "multiscales": [image]}
    return folder


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["zyx", "tczyx"])
@pytest.mark.parametrize(("unit", "factor"), [("millimeter", 1.0), ("micrometer", 1e3)])
def test_ome_zarr(tmp_path: Path, version: str, axes: str, unit: str, factor: float) -> None:
    data = volume()
    scan = open_scan(ome_zarr(tmp_path / "v.ome.zarr", data, version, axes, unit, factor))
    np.testing.assert_array_equal(scan.slices[:], data)
    assert scan.voxel_size_mm == pytest.approx(VOXEL)


def test_ome_zarr_without_unit_has_no_voxel_size(tmp_path: Path) -> None:
    folder = ome_zarr(tmp_path / "v.ome.zarr", volume(), "0.5", "zyx", None, 1.0)
    with pytest.raises(ScanError, match="no voxel size"):
        open_scan(folder)
    assert any("unit" in w for w in opened(folder).warnings)


def test_zarr_with_several_volumes_or_wrong_axes(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "c.zarr", data=np.stack([volume(), volume()]))
    with pytest.raises(ScanError, match="2 x 5 x 80 x 90"):
        opened(tmp_path / "c.zarr")
    zarr.create_array(tmp_path / "x.zarr", data=volume(), dimension_names=["x", "y", "z"])
    with pytest.raises(ScanError, match="x, y, z"):
        opened(tmp_path / "x.zarr")
    group = zarr.open_group(tmp_path / "g.zarr", mode="w")
    group.create_array("a", data=volume())
    np.testing.assert_array_equal(opened(tmp_path / "g.zarr").slices[:], volume())
    group.create_array("b", data=volume())
    with pytest.raises(ScanError, match="a, b"):
        opened(tmp_path / "g.zarr")


def test_missing_chunks_are_said(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "v.zarr", data=volume(), chunks=(1, 80, 90), zarr_format=2)
    (tmp_path / "v.zarr" / "2.0.0").unlink()
    assert any("1 of the array's chunks" in w for w in opened(tmp_path / "v.zarr").warnings)


def test_broken_chunk_and_broken_document(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "v.zarr", data=volume(), chunks=(1, 80, 90), zarr_format=2)
    chunk = tmp_path / "v.zarr" / "2.0.0"
    chunk.write_bytes(chunk.read_bytes()[:20])
    with pytest.raises(ScanError, match="slice 3"):
        opened(tmp_path / "v.zarr")
    (tmp_path / "v.zarr" / ".zarray").write_text("{")
    with pytest.raises(ScanError, match="not a readable Zarr"):
        opened(tmp_path / "v.zarr")


def test_zarr_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zarr.create_array(tmp_path / "v.zarr", data=volume())
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ScanError, match=r"pip install 'xctrules\[zarr\]'"):
        opened(tmp_path / "v.zarr")


# --- the readers as objects ------------------------------------------------------------------------------


def test_bundled_readers_keep_the_protocol() -> None:
    assert [reader.name for reader in BUNDLED] == ["zarr", "tiff", "raw"]
    assert all(isinstance(reader, Reader) for reader in BUNDLED)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 6), st.integers(75, 90), st.integers(75, 90)),
    dtype=st.sampled_from(DTYPES),
    one_file=st.booleans(),
    compression=st.sampled_from([None, "zlib"]),
)
def test_any_volume_survives(
    tmp_path_factory: Any, shape: tuple[int, int, int], dtype: str, one_file: bool, compression: str | None
) -> None:
    folder = tmp_path_factory.mktemp("any")
    data = volume(dtype, shape)
    if one_file:
        tifffile.imwrite(folder / "v.tif", data, compression=compression, photometric="minisblack")
        scan = opened(folder / "v.tif")
    else:
        scan = opened(write_slices(folder / "s", data, compression=compression))
    np.testing.assert_array_equal(scan.slices[:], data)


def test_real_scan() -> None:
    folder = shared_data("cell_21700_top")
    with counted_opens() as opens:
        scan = open_scan(folder)
    assert scan.shape == (100, 728, 728)
    assert scan.slices.dtype == np.uint8
    assert scan.voxel_size_mm == (0.06794, 0.03397, 0.03397)
    assert scan.sources["voxel_size_mm"] == "acquisition.yaml"
    assert scan.acquisition["cell_id"] == "UCL-21700-A"
    assert scan.acquisition["format"] == "21700"
    assert scan.warnings == ()
    assert {n for name, n in opens.items() if name.endswith(".tif")} == {1}
    for k in (0, 57, 99):
        np.testing.assert_array_equal(scan.slices[k], tifffile.imread(folder / f"im{k + 1:03d}.tif"))


@pytest.mark.parametrize(
    ("name", "dtype", "levels"),
    [
        ("winding_18650/slice.tif", "uint16", None),
        ("winding_18650/electrode_mask.tif", "uint8", [0, 255]),
        ("canister_dent/mask.tif", "uint8", [0, 1]),
    ],
)
def test_real_single_slices(name: str, dtype: str, levels: list[int] | None) -> None:
    scan = open_scan(shared_data(name), voxel_size_mm=(0.0479,) * 3, mask=levels is not None)
    assert scan.shape == (1, 576, 576)
    assert scan.slices.dtype == np.dtype(dtype)
    if levels:
        assert np.unique(scan.slices[:]).tolist() == levels
