"""Every kind of TIFF, written here, comes back voxel for voxel, with the voxel size that it states."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from conftest import shared_data
from hypothesis import given, settings
from hypothesis import strategies as st
from scan_files import DTYPES, VOXEL, counted_opens, is_mapped, opened, refused, volume, write_slices

from xctrules.core.errors import ScanError
from xctrules.scans.opening import open_scan


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


# --- real scans ------------------------------------------------------------------------------------------


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


# --- units, and stacks that were cut or split ------------------------------------------------------------


@pytest.mark.parametrize(
    ("units", "per_unit_mm"),
    [
        ({"unit": "mm", "zunit": "um"}, (1e-3, 1.0, 1.0)),
        ({"unit": "inch", "yunit": "inch", "zunit": "cm"}, (10.0, 25.4, 25.4)),
        ({"unit": "micron", "yunit": "mm"}, (1e-3, 1.0, 1e-3)),
    ],
    ids=str,
)
def test_imagej_has_a_unit_for_each_axis(
    tmp_path: Path, units: dict[str, str], per_unit_mm: tuple[float, float, float]
) -> None:
    z, y, x = (edge / unit for edge, unit in zip(VOXEL, per_unit_mm, strict=True))
    tifffile.imwrite(
        tmp_path / "v.tif", volume(), imagej=True, resolution=(1 / x, 1 / y),
        metadata={"axes": "ZYX", "spacing": z, **units},
    )  # fmt: skip
    assert open_scan(tmp_path / "v.tif").voxel_size_mm == pytest.approx(VOXEL, rel=1e-5)


@pytest.mark.parametrize(
    ("told", "tag", "missing"),
    [
        ({"unit": "mm", "yunit": "pixel"}, None, "along y "),
        ({"unit": "mm", "zunit": "slices"}, None, "along z "),
        ({"unit": "cm"}, "INCH", "along y and x"),  # whose resolution is it?
    ],
    ids=str,
)
def test_imagej_axis_whose_unit_is_not_known(
    tmp_path: Path, told: dict[str, str], tag: Any, missing: str
) -> None:
    tifffile.imwrite(
        tmp_path / "v.tif", volume(), imagej=True, resolution=(25, 20), resolutionunit=tag,
        metadata={"axes": "ZYX", "spacing": 0.06, **told},
    )  # fmt: skip
    refused(tmp_path / "v.tif", missing, voxel_size_mm=None)


@pytest.mark.parametrize("keep", [0.25, 0.5, 0.99])
def test_imagej_stack_with_one_directory_that_is_cut_off(tmp_path: Path, keep: float) -> None:
    file = tmp_path / "v.tif"
    tifffile.imwrite(file, volume(), imagej=True, truncate=True, metadata={"axes": "ZYX"})
    data = file.read_bytes()
    file.write_bytes(data[: int(keep * len(data))])
    refused(file, "cut off: ImageJ wrote 5 slices, 1 can be read")


def test_stack_that_tiffsplit_took_apart(tmp_path: Path) -> None:
    """Names without a number; the first file still says what ImageJ wrote of all."""
    data = volume()
    for k, image in enumerate(data):
        told = "ImageJ=1.53t\nimages=5\nslices=5\nunit=mm\nspacing=0.06\n" if k == 0 else None
        tifffile.imwrite(
            tmp_path / f"xaa{'abcde'[k]}.tif", image, description=told, metadata=None, resolution=(25, 20)
        )
    scan = open_scan(tmp_path)
    np.testing.assert_array_equal(scan.slices[:], data)
    assert scan.voxel_size_mm == pytest.approx(VOXEL)
    assert scan.warnings == ()
    (tmp_path / "xaac.tif").unlink()
    assert "xaab.tif to xaad.tif" in open_scan(tmp_path).warnings[0]


def test_other_names_of_letters_are_no_series(tmp_path: Path) -> None:
    for name in ("top", "mid", "low"):
        tifffile.imwrite(tmp_path / f"{name}.tif", volume()[0])
    refused(tmp_path, "mixes 3 series")


def test_compression_whose_library_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(tmp_path / "v.tif", volume(), compression="zlib")

    def missing(*args: Any, **kwargs: Any) -> Any:
        raise ModuleNotFoundError("No module named 'compression'")

    monkeypatch.setattr(tifffile.TiffPage, "asarray", missing)
    refused(tmp_path / "v.tif", r"imagecodecs. Install it with: pip install 'xctrules\[compressed\]'")
