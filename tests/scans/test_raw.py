"""Raw volumes, each with the header that a maker writes beside it, come back voxel for voxel."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scan_files import DTYPES, VOXEL, is_mapped, opened, volume

from xctrules.core.errors import ScanError
from xctrules.scans.opening import open_scan


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


@pytest.mark.parametrize(
    ("lines", "voxel"),
    [
        ('spacings: 0.04 0.05 60\nunits: "mm" "mm" "um"\n', VOXEL),
        ('space directions: (0.04,0,0) (0,0.05,0) (0,0,60)\nspace units: "mm" "mm" "um"\n', VOXEL),
        # The units are those of the space: here its first axis is the array's last.
        ('space directions: (0,0,0.04) (0,0.05,0) (60,0,0)\nspace units: "um" "mm" "mm"\n', VOXEL),
        ('spacings: 0.04 0.05 0.06\nunits: "" "" ""\n', VOXEL),
        ("spacings: 0.04 0.05 0.06\n", VOXEL),
        ('spacings: 0.04 0.05 0.06\nunits: "mm" "mm" "pixel"\n', None),
    ],
)
def test_nrrd_has_a_unit_for_each_axis(tmp_path: Path, lines: str, voxel: Any) -> None:
    data = volume("uint8")
    (tmp_path / "v.raw").write_bytes(data.tobytes())
    nz, ny, nx = data.shape
    (tmp_path / "v.nhdr").write_text(
        f"NRRD0004\ntype: uint8\nsizes: {nx} {ny} {nz}\nencoding: raw\n{lines}data file: v.raw\n"
    )
    if voxel is None:
        with pytest.raises(ScanError, match="no voxel size along z"):
            open_scan(tmp_path / "v.nhdr")
    else:
        assert open_scan(tmp_path / "v.nhdr").voxel_size_mm == pytest.approx(voxel)
