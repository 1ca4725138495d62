"""From a path to a Scan, and every way in which that must fail with one clear message."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from scan_files import VOXEL, Own, refused

from xctrules.core.errors import ScanError
from xctrules.core.slices import ArraySlices, Scan
from xctrules.scans.opening import open_scan


def grey(shape: tuple[int, int, int] = (3, 80, 90), dtype: str = "uint16") -> Any:
    return np.random.default_rng(3).integers(0, 200, shape).astype(dtype)


def slices(folder: Path, data: Any, **options: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for k, image in enumerate(data):
        tifffile.imwrite(folder / f"im{k:03d}.tif", image, **options)
    return folder


# --- bad input -------------------------------------------------------------------------------------------


def test_no_such_path(tmp_path: Path) -> None:
    refused(tmp_path / "absent", "no such file or folder")
    refused(tmp_path / ("long" * 100), "name too long")


def test_empty_folder(tmp_path: Path) -> None:
    refused(tmp_path, "the folder is empty")
    (tmp_path / ".hidden.tif").touch()
    refused(tmp_path, "the folder is empty")


def test_folder_of_other_files(tmp_path: Path) -> None:
    (tmp_path / "im1.txt").touch()
    refused(tmp_path, r"only \.txt")


def test_folder_around_the_slices_is_told_where_they_are(tmp_path: Path) -> None:
    slices(tmp_path / "inner", grey())
    assert str(tmp_path / "inner") in refused(tmp_path, "holds no scan")


def test_unknown_file(tmp_path: Path) -> None:
    (tmp_path / "v.docx").write_bytes(b"PK")
    refused(tmp_path / "v.docx", "not a scan that any reader knows")


@pytest.mark.parametrize("keep", [0, 3, 8, 150, 4000, -1])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}], ids=str)
@pytest.mark.parametrize("broken", ["im000.tif", "im002.tif"])
def test_truncated_slice_is_named(tmp_path: Path, keep: int, options: dict[str, Any], broken: str) -> None:
    folder = slices(tmp_path / "s", grey(), **options)
    file = folder / broken
    file.write_bytes(file.read_bytes()[:keep])
    # With the directory whole, it can be told that bytes are missing; a shorter rest is no TIFF at all.
    reason = "cut off" if keep in (4000, -1) else "cannot be read|cut off"
    assert str(file) in refused(folder, reason)


@pytest.mark.parametrize("keep", [0, 5, 200, 30000, -40])  # tifffile ends a file with 16 bytes of padding
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"bigtiff": True}, {"ome": True}], ids=str)
def test_truncated_stack(tmp_path: Path, keep: int, options: dict[str, Any]) -> None:
    tifffile.imwrite(tmp_path / "v.tif", grey((5, 80, 90)), **options)
    data = (tmp_path / "v.tif").read_bytes()
    (tmp_path / "v.tif").write_bytes(data[:keep])
    refused(tmp_path / "v.tif", "cannot be read|cut off|empty|no pixels")


@settings(max_examples=150, deadline=None)
@given(
    where=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4),
    kind=st.sampled_from(["plain", "zlib", "ome", "imagej", "bigtiff"]),
)
def test_a_damaged_file_gives_a_scan_or_one_clear_error(
    tmp_path_factory: Any, where: list[tuple[float, int]], kind: str
) -> None:
    """Never a traceback; damage to grey values cannot be seen, damage to the file's structure can."""
    options: dict[str, Any] = {"plain": {}, "zlib": {"compression": "zlib"}}.get(kind, {kind: True})
    file = tmp_path_factory.mktemp("damaged") / "v.tif"
    tifffile.imwrite(file, grey((5, 20, 90)), **options)
    data = bytearray(file.read_bytes())
    for place, value in where:
        # Half of the damage in the first directory, which is small beside the pixels.
        end = 400 if value % 2 else len(data)
        data[int(place * end)] = value
    file.write_bytes(data)
    with suppress(ScanError):
        assert open_scan(file, voxel_size_mm=VOXEL).slices[:].ndim == 3


def test_slice_of_noise(tmp_path: Path) -> None:
    folder = slices(tmp_path / "s", grey())
    (folder / "im001.tif").write_bytes(np.random.default_rng(0).bytes(20000))
    assert "im001.tif" in refused(folder, "cannot be read")


def test_damaged_compression(tmp_path: Path) -> None:
    folder = slices(tmp_path / "s", grey(), compression="zlib")
    file = folder / "im001.tif"
    data = bytearray(file.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = bytes(400)
    file.write_bytes(data)
    assert "im001.tif" in refused(folder, "cannot be read")


def test_slices_of_different_size(tmp_path: Path) -> None:
    folder = slices(tmp_path / "s", grey())
    tifffile.imwrite(folder / "im001.tif", grey()[0, :79])
    assert "im001.tif" in refused(folder, "79 x 90.*80 x 90")


def test_slices_of_different_type(tmp_path: Path) -> None:
    folder = slices(tmp_path / "s", grey())
    tifffile.imwrite(folder / "im002.tif", grey()[0].astype("uint8"))
    assert "im002.tif" in refused(folder, "uint8.*uint16")


def test_stack_of_different_sizes(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "v.tif") as writer:
        writer.write(grey()[0])
        writer.write(grey()[0, :40])
    refused(tmp_path / "v.tif", "different size or type")


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colour_images(tmp_path: Path, planar: str) -> None:
    shape = (80, 90, 3) if planar == "contig" else (3, 80, 90)
    folder = slices(tmp_path / "s", [np.zeros(shape, "uint8")] * 2, photometric="rgb", planarconfig=planar)
    assert "im000.tif" in refused(folder, "colour")
    tifffile.imwrite(tmp_path / "v.tif", np.zeros((5, 80, 90, 3), "uint8"), photometric="rgb")
    refused(tmp_path / "v.tif", "colour")


def test_colour_palette(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(256, dtype="uint16") * 257, (3, 1))
    data = grey(dtype="uint8")
    np.testing.assert_array_equal(
        open_scan(slices(tmp_path / "g", data, colormap=ramp), voxel_size_mm=VOXEL).slices[:], data
    )
    ramp[0] = ramp[0][::-1]
    refused(slices(tmp_path / "c", data, colormap=ramp), "colour")


def test_constant_volume(tmp_path: Path) -> None:
    refused(slices(tmp_path / "s", np.full((3, 80, 90), 7, "uint8")), "all voxels have the same value, 7")
    data = np.zeros((3, 80, 90), "uint8")
    data[2] = 1  # each slice is constant, the volume is not
    open_scan(slices(tmp_path / "t", data), voxel_size_mm=VOXEL)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("stack", [False, True])
def test_values_that_are_no_numbers(tmp_path: Path, value: float, dtype: str, stack: bool) -> None:
    data = grey(dtype=dtype)
    data[1, 40, 50] = value
    if stack:
        tifffile.imwrite(tmp_path / "v.tif", data, photometric="minisblack")
    else:
        slices(tmp_path / "v.tif", data)
    refused(tmp_path / "v.tif", "slice 2 .*no numbers")


@pytest.mark.parametrize("dtype", ["complex64", "int64", "uint64"])
def test_types_that_are_no_ct_volume(tmp_path: Path, dtype: str) -> None:
    refused(slices(tmp_path / "s", grey(dtype=dtype)), "complex|not supported")


def test_two_series_in_one_folder(tmp_path: Path) -> None:
    folder = slices(tmp_path / "s", grey())
    tifffile.imwrite(folder / "mask001.tif", grey()[0])
    message = refused(folder, "mixes 2 series")
    assert "im000.tif (3)" in message
    assert "mask001.tif (1)" in message


def test_two_channels_in_one_folder(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for channel in range(2):
        for k in range(3):
            tifffile.imwrite(tmp_path / "s" / f"c{channel}_z{k:03d}.tif", grey()[k])
    refused(tmp_path / "s", "cannot be put in order")


def test_two_numbers_of_which_one_runs(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for k in range(12):
        tifffile.imwrite(tmp_path / "s" / f"run2_{k}_{k // 5}.tif", np.full((80, 90), k, "uint8"))
    scan = open_scan(tmp_path / "s", voxel_size_mm=VOXEL)
    np.testing.assert_array_equal(scan.slices[:][:, 0, 0], np.arange(12))


def test_stacks_in_a_folder_of_slices(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for k in range(2):
        tifffile.imwrite(tmp_path / "s" / f"part{k}.tif", grey((5, 80, 90)))
    assert "part0.tif" in refused(tmp_path / "s", "several pages")


def test_several_channels_in_one_file(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "v.ome.tif", grey((10, 80, 90)).reshape(2, 5, 80, 90), metadata={"axes": "CZYX"}
    )
    refused(tmp_path / "v.ome.tif", "more than one volume|planes")


def test_one_of_many_ome_files(tmp_path: Path) -> None:
    """Each file of such a series describes them all."""
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="I:0"><Pixels ID="P:0" '
        'DimensionOrder="XYZCT" Type="uint16" SizeX="90" SizeY="80" SizeZ="9" SizeC="1" SizeT="1">'
        "<TiffData/></Pixels></Image></OME>"
    )
    tifffile.imwrite(tmp_path / "v.ome.tif", grey()[0], description=xml, metadata=None)
    refused(tmp_path / "v.ome.tif", "9 planes")


# --- voxel size ------------------------------------------------------------------------------------------


def test_without_voxel_size(tmp_path: Path) -> None:
    message = refused(slices(tmp_path / "s", grey()), "no voxel size", voxel_size_mm=None)
    assert "--voxel-size Z,Y,X" in message
    assert "acquisition.yaml" in message


@pytest.mark.parametrize(
    ("given_mm", "meant"), [(34, "0.034"), (3.4e-5, "0.034"), (34000, "0.034"), (17.5, "0.0175")]
)
def test_slip_of_the_unit_is_refused_with_what_was_meant(tmp_path: Path, given_mm: float, meant: str) -> None:
    folder = slices(tmp_path / "s", grey((3, 300, 310), "uint8"))
    message = refused(folder, "cannot be true", voxel_size_mm=(given_mm,) * 3)
    assert f"Is it {meant}, {meant}, {meant} mm?" in message
    (folder / "acquisition.yaml").write_text(f"voxel_size_mm: {given_mm}\n")
    assert "acquisition.yaml" in refused(folder, meant, voxel_size_mm=None)


def test_order_of_sources(tmp_path: Path) -> None:
    """Scanner's file, image, acquisition.yaml, command line: the last wins, and each disagreement is said."""
    folder = tmp_path / "s"
    folder.mkdir()
    tifffile.imwrite(
        folder / "v.tif", grey((5, 80, 90)), imagej=True, resolution=(20, 20),
        metadata={"axes": "ZYX", "spacing": 0.05, "unit": "mm"},
    )  # fmt: skip
    (folder / "v.xtekct").write_text(
        "[XTekCT]\nVoxelSizeX=0.06\nVoxelSizeY=0.06\nVoxelSizeZ=0.06\n[Xrays]\nXraykV=180\n"
    )
    scan = open_scan(folder)
    assert scan.voxel_size_mm == pytest.approx((0.05,) * 3)
    assert scan.sources["voxel_size_mm"] == "v.tif"
    assert len(scan.warnings) == 1
    (folder / "acquisition.yaml").write_text("voxel_size_mm: 0.07\ntube_voltage_kv: 190\n")
    scan = open_scan(folder)
    assert scan.voxel_size_mm == (0.07,) * 3
    assert scan.acquisition["tube_voltage_kv"] == 190
    assert scan.sources["tube_voltage_kv"] == "acquisition.yaml"
    assert len(scan.warnings) == 2
    scan = open_scan(folder, voxel_size_mm=(0.08, 0.08, 0.08))
    assert scan.voxel_size_mm == (0.08,) * 3
    assert scan.sources["voxel_size_mm"] == "command line"
    assert len(scan.warnings) == 3
    assert all("command line" in w for w in scan.warnings)


def test_voxel_size_from_the_scanners_file_alone(tmp_path: Path) -> None:
    folder = slices(tmp_path / "s", grey())
    (folder / "s.pca").write_text("[Geometry]\nVoxelSizeX=0.04\nVoxelSizeY=0.04\n")
    scan = open_scan(folder)
    assert scan.voxel_size_mm == (0.04,) * 3
    assert scan.sources["voxel_size_mm"] == "s.pca"


# --- masks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [(0, 1), (0, 255), (3, 9)])
def test_mask_of_two_values(tmp_path: Path, levels: tuple[int, int]) -> None:
    data = np.where(grey() > 100, levels[1], levels[0]).astype("uint8")
    assert set(
        np.unique(open_scan(slices(tmp_path / "s", data), voxel_size_mm=VOXEL, mask=True).slices[:])
    ) == set(levels)


@pytest.mark.parametrize("where", ["within", "between"])
def test_mask_of_three_values(tmp_path: Path, where: str) -> None:
    data = (grey() > 100).astype("uint8")
    if where == "within":
        data *= 2
        data[1, 40, 40] = 1  # neither the least nor the greatest of its slice
    else:
        data[2] *= 2  # each slice has two values
    refused(slices(tmp_path / "s", data), "a mask has two values", mask=True)


# --- hashes, scale, progress -----------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not on this system")
def test_digest_is_what_sha256sum_checks(tmp_path: Path) -> None:
    folder = slices(tmp_path / "s", grey((12, 80, 90)))
    scan = open_scan(folder, voxel_size_mm=VOXEL)
    listing = tmp_path / "scan.sha256"
    listing.write_text(scan.digest_text)
    subprocess.run(
        ["sha256sum", "--check", "--strict", str(listing)], cwd=folder, check=True, capture_output=True
    )
    assert scan.scan_sha256 == hashlib.sha256(listing.read_bytes()).hexdigest()
    assert len(scan.digest_text.splitlines()) == 12


def test_digest_knows_one_bit_and_the_order(tmp_path: Path) -> None:
    folder = slices(tmp_path / "s", grey())
    before = open_scan(folder, voxel_size_mm=VOXEL).scan_sha256
    assert open_scan(folder, voxel_size_mm=(0.05,) * 3).scan_sha256 == before  # of the bytes alone
    first, second = folder / "im000.tif", folder / "im001.tif"
    data = first.read_bytes(), second.read_bytes()
    first.write_bytes(data[1])
    second.write_bytes(data[0])
    assert open_scan(folder, voxel_size_mm=VOXEL).scan_sha256 != before
    changed = bytearray(data[0])
    changed[-1] ^= 1
    first.write_bytes(changed)
    second.write_bytes(data[1])
    assert open_scan(folder, voxel_size_mm=VOXEL).scan_sha256 != before


def test_scale_stated_and_assumed(tmp_path: Path) -> None:
    folder = slices(tmp_path / "s", grey())
    assumed = open_scan(folder, voxel_size_mm=VOXEL).scale
    assert not assumed.stated
    assert 1e-4 < assumed.relative_uncertainty < 0.01
    (folder / "acquisition.yaml").write_text("voxel_scale_relative_uncertainty: 0.0004\n")
    stated = open_scan(folder, voxel_size_mm=VOXEL).scale
    assert stated.stated
    assert stated.relative_uncertainty == 0.0004


def test_progress_counts_slices(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    open_scan(slices(tmp_path / "s", grey()), voxel_size_mm=VOXEL, progress=lambda *said: seen.append(said))
    assert seen == [("reading the scan", k, 3) for k in (1, 2, 3)]


# --- readers of plugins ----------------------------------------------------------------------------------


@pytest.fixture
def own_file(tmp_path: Path) -> Path:
    (tmp_path / "v.own").touch()
    return tmp_path / "v.own"


def test_plugins_reader(own_file: Path) -> None:
    scan = open_scan(own_file, readers=[Own(grey(), {"voxel_size_mm": VOXEL, "tube_voltage_kv": 90})])
    np.testing.assert_array_equal(scan.slices[:], grey())
    assert scan.reader == "own"
    assert scan.voxel_size_mm == VOXEL
    assert scan.acquisition["tube_voltage_kv"] == 90
    assert scan.sources["tube_voltage_kv"] == "v.own"


def test_plugins_reader_comes_before_the_bundled(tmp_path: Path) -> None:
    class Greedy(Own):
        def can_read(self, path: Path) -> bool:
            return True

    folder = slices(tmp_path / "s", np.zeros((2, 80, 90), "uint8"))
    assert open_scan(folder, voxel_size_mm=VOXEL, readers=[Greedy(grey())]).reader == "own"


def test_plugins_reader_that_breaks_when_asked_is_passed_over(tmp_path: Path) -> None:
    class Broken(Own):
        name = "broken"

        def can_read(self, path: Path) -> bool:
            raise RuntimeError("no licence")

    scan = open_scan(slices(tmp_path / "s", grey()), voxel_size_mm=VOXEL, readers=[Broken(grey())])
    assert scan.reader == "tiff"
    assert any("broken" in w and "no licence" in w for w in scan.warnings)


def test_plugins_reader_that_breaks_later_is_named(own_file: Path) -> None:
    class NoOpen(Own):
        def open(self, path: Path) -> Own:
            raise KeyError("offset")

    class NoSlices(Own):
        def slices(self) -> Iterator[Any]:
            yield self.data[0]
            raise ValueError("lost")

    class TooFew(Own):
        def slices(self) -> Iterator[Any]:
            yield from self.data[:2]

    class TooMany(Own):
        def slices(self) -> Iterator[Any]:
            yield from self.data
            yield self.data[0]

    class WrongShape(Own):
        def slices(self) -> Iterator[Any]:
            yield from self.data[:, 1:]

    refused(own_file, "own broke.*offset", readers=[NoOpen(grey())])
    refused(own_file, "slice 2 .*lost", readers=[NoSlices(grey())])
    refused(own_file, "only 2 of 3", readers=[TooFew(grey())])
    refused(own_file, "slice 4", readers=[TooMany(grey())])
    refused(own_file, "slice 1", readers=[WrongShape(grey())])


@pytest.mark.parametrize(
    "metadata",
    [{"voxel_size_mm": (1, 2)}, {"voxel_size_mm": "wide"}, {"tube_voltage_kv": -1}, {"projections": "many"}],
)
def test_plugins_metadata_are_checked(own_file: Path, metadata: dict[str, Any]) -> None:
    refused(own_file, "the reader own broke", readers=[Own(grey(), metadata)])


def test_voxel_size_of_two_numbers(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="three numbers"):
        open_scan(slices(tmp_path / "s", grey()), voxel_size_mm=(0.03, 0.03))


def test_shape_in_the_sidecar_that_is_not_the_scans(tmp_path: Path) -> None:
    folder = slices(tmp_path / "s", grey())
    (folder / "acquisition.yaml").write_text("shape: [4, 80, 90]\nvoxel_size_mm: 0.05\n")
    (warning,) = open_scan(folder).warnings
    assert "(4, 80, 90)" in warning


def test_zero_sized_volume(own_file: Path) -> None:
    refused(own_file, "no voxels", readers=[Own(np.zeros((0, 80, 90), "uint8"))])


def test_scan_is_plain_data() -> None:
    scan = Scan(Path("s"), ArraySlices(grey()), VOXEL, {})
    assert scan.shape == (3, 80, 90)
    assert not scan.scale.stated
    assert scan.digest_text == ""


# --- what is no scan at all ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.dcm", b"", "DICOM"),
        ("IM0001", bytes(128) + b"DICM", "DICOM"),
        ("a.txm", bytes.fromhex("d0cf11e0a1b11ae1"), "Xradia"),
        ("a.dat", b"\x89HDF\r\n\x1a\n", "HDF5"),
        ("a.nii.gz", b"", "NIfTI"),
        ("a.npy", b"", "NumPy"),
        ("a.nrrd", b"NRRD0004\n", "NRRD with its data inside"),
        ("a.mha", b"", "MetaImage with its data inside"),
        ("a.zip", b"PK", "archive is a format that is not read here. Unpack it first"),
    ],
)
def test_formats_that_are_known_and_not_read(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / name).write_bytes(data)
    refused(folder / name, said)
    refused(folder, said)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes")
def test_pipes_and_devices_are_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    refused(pipe, "a pipe or device")
    refused(Path("/dev/zero"), "a pipe or device")
    folder = slices(tmp_path / "s", grey())
    with pytest.raises(ScanError, match="pipe: is a pipe or device"):
        open_scan(folder, voxel_size_mm=VOXEL, acquisition_file=pipe)
    os.mkfifo(folder / "im009.tif")
    assert "im009.tif" in refused(folder, "no ordinary file")
    raw = tmp_path / "r"
    raw.mkdir()
    os.mkfifo(raw / "a.raw")
    refused(raw, "holds no scan")


def test_link_to_a_slice_that_is_gone(tmp_path: Path) -> None:
    folder = slices(tmp_path / "s", grey())
    (folder / "im001.tif").unlink()
    (folder / "im001.tif").symlink_to("nowhere.tif")
    assert "im001.tif" in refused(folder, "a link to nothing")


def test_file_that_may_hold_the_missing_voxel_size_is_named(tmp_path: Path) -> None:
    folder = slices(tmp_path / "s", grey())
    (folder / "aquisition.yaml").write_text("voxel_size_mm: 0.05\n")
    refused(folder, r"no voxel size \(aquisition.yaml is not read", voxel_size_mm=None)


def test_export_of_another_size_needs_a_voxel_size_of_its_own(tmp_path: Path) -> None:
    folder = slices(tmp_path / "s", grey((3, 80, 90)))
    told = (
        "{volume1}\n[representation]\nsize = 180 160 6\n[geometry]\nresolution = 0.04 0.05 0.06\nunit = mm\n"
    )
    (folder / "a.vgi").write_text(told)
    refused(folder, "6 x 160 x 180 voxels .* 3 x 80 x 90", voxel_size_mm=None)
    scan = open_scan(folder, voxel_size_mm=(0.12, 0.1, 0.08))
    assert scan.voxel_size_mm == (0.12, 0.1, 0.08)
    (folder / "acquisition.yaml").write_text("voxel_size_mm: [0.12, 0.1, 0.08]\n")
    assert open_scan(folder).voxel_size_mm == (0.12, 0.1, 0.08)
    (folder / "a.vgi").write_text(told.replace("180 160 6", "120 100 3"))
    (folder / "acquisition.yaml").unlink()
    assert "cut out" in open_scan(folder).warnings[0]
