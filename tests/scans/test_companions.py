"""Scanners' files, read key by key, and which of the files beside a scan belongs to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from scanner_files import NIKON, PHOENIX, SKYSCAN, scanner, sidecar

from xctrules.core.errors import ScanError
from xctrules.scans.companions import find_sidecar, gather, read_scanner_file


def test_nikon(tmp_path: Path) -> None:
    values = read_scanner_file(scanner(tmp_path, "a.xtekct", NIKON)).values
    assert values == {
        "voxel_size_mm": (0.049751, 0.049751, 0.049751),
        "source_to_object_mm": 183.012,
        "source_to_detector_mm": 735.7075,
        "detector_pixel_mm": 0.2,
        "detector_pixels_x": 2000,
        "projections": 2500,  # the first section that has the key counts
        "angular_step_deg": 0.144,
        "tube_voltage_kv": 216,
        "tube_current_ua": 229,
        "filter": "1 mm Copper",
        "software": "CT Pro 3D V5.1",
    }


@pytest.mark.parametrize("placeholder", ["Unknown", "Please define a filter.", ""])
def test_nikon_placeholders_are_no_filter(tmp_path: Path, placeholder: str) -> None:
    text = NIKON.replace("Filter_Material=Copper", f"Filter_Material={placeholder}")
    assert "filter" not in read_scanner_file(scanner(tmp_path, "a.xtekct", text)).values


def test_phoenix(tmp_path: Path) -> None:
    values = read_scanner_file(scanner(tmp_path, "a.pca", PHOENIX)).values
    assert values == {
        "voxel_size_mm": (0.04065708, 0.04065708, 0.04065708),
        "source_to_object_mm": 163.1925,
        "source_to_detector_mm": 802.77534791,
        "detector_pixel_mm": 0.2,
        "detector_binning": 1,
        "projections": 1800,
        "angular_step_deg": 0.2,
        "tube_voltage_kv": 200,
        "tube_current_ua": 150,
        "filter": "0.1Cu",
        "exposure_ms": 333.096,
        "frames_averaged": 4,  # the detector's, not the calibration images'
        "instrument": "v|tome|x m",
        "software": "2.8.2.20099",
    }


@pytest.mark.parametrize(("code", "binning"), [(0, 1), (1, 2), (2, 4)])
def test_phoenix_binning_is_a_power_of_two(tmp_path: Path, code: int, binning: int) -> None:
    text = PHOENIX.replace("Binning=0", f"Binning={code}")
    assert read_scanner_file(scanner(tmp_path, "a.pca", text)).values["detector_binning"] == binning


def test_skyscan(tmp_path: Path) -> None:
    values = read_scanner_file(scanner(tmp_path, "a.log", SKYSCAN)).values
    assert values["voxel_size_mm"] == pytest.approx((0.007000817,) * 3)  # not the camera's 75 um
    assert values["detector_pixel_mm"] == pytest.approx(0.075)
    assert values["projections"] == 601
    assert values["frames_averaged"] == 4
    assert values["exposure_ms"] == 57
    assert values["tube_voltage_kv"] == 80
    assert values["tube_current_ua"] == 124
    assert values["instrument"] == "SkyScan1275, S/N 001"
    assert values["reconstruction"] == "NRecon"
    assert values["filter"] == "Al 1mm"


def test_skyscan_reconstruction_on_a_coarser_grid(tmp_path: Path) -> None:
    text = SKYSCAN + "Pixel Size (um)=14.00163\n"
    values = read_scanner_file(scanner(tmp_path, "a.log", text)).values
    assert values["voxel_size_mm"] == pytest.approx((0.01400163,) * 3)


def test_decimal_comma_latin1_and_utf16(tmp_path: Path) -> None:
    text = PHOENIX.replace("0.04065708", "0,04065708").replace("SystemName=", "SystemName=Prüfstand ")
    for encoding in ("latin-1", "utf-8", "utf-8-sig", "utf-16"):
        file = tmp_path / "a.pca"
        file.write_bytes(text.encode(encoding))
        values = read_scanner_file(file).values
        assert values["voxel_size_mm"][0] == 0.04065708
        assert values["instrument"].startswith("Prüfstand")


def test_zero_and_nonsense_are_not_known(tmp_path: Path) -> None:
    text = NIKON.replace("XraykV=216", "XraykV=0").replace("SrcToObject=183.012", "SrcToObject=n/a")
    values = read_scanner_file(scanner(tmp_path, "a.xtekct", text)).values
    assert not {"tube_voltage_kv", "source_to_object_mm"} & set(values)


# --- which file belongs to which scan --------------------------------------------------------------------


def folder(parent: Path, name: str) -> Path:
    made = parent / name
    made.mkdir(parents=True)
    return made


def test_sidecar_in_before_beside(tmp_path: Path) -> None:
    scan = folder(tmp_path, "cell")
    assert find_sidecar(scan) is None
    sidecar(tmp_path, "cell_id: beside\n")
    (told,) = gather(scan).sidecar
    assert told.values["cell_id"] == "beside"
    assert told.origin == "../acquisition.yaml"
    sidecar(scan, "cell_id: inside\n")
    assert gather(scan).sidecar[0].values["cell_id"] == "inside"
    other = tmp_path / "other.yaml"
    other.write_text("cell_id: other\n")
    assert gather(scan, other).sidecar[0].values["cell_id"] == "other"


def test_sidecar_of_the_files_own_name_comes_first(tmp_path: Path) -> None:
    sidecar(tmp_path, "cell_id: any\n")
    (tmp_path / "b.acquisition.yaml").write_text("cell_id: B\n")
    assert gather(tmp_path / "a.tif").sidecar[0].values["cell_id"] == "any"
    assert gather(tmp_path / "b.tif").sidecar[0].values["cell_id"] == "B"


@pytest.mark.parametrize(("name", "text"), [("x.xtekct", NIKON), ("x.pca", PHOENIX), ("x_rec.log", SKYSCAN)])
def test_scanner_file_inside(tmp_path: Path, name: str, text: str) -> None:
    scan = folder(tmp_path, "cell")
    scanner(scan, name, text)
    (found,) = gather(scan).scanner
    assert found.origin == name


def test_nikon_layout_slices_in_a_subfolder(tmp_path: Path) -> None:
    run = folder(tmp_path, "cell7")
    scan = folder(run, "slices")
    folder(run, "projections")
    scanner(run, "cell7.xtekct", NIKON)
    (found,) = gather(scan).scanner
    assert found.origin == "../cell7.xtekct"


def test_other_cells_file_is_not_taken(tmp_path: Path) -> None:
    """Another cell's voxel size is worse than none."""
    folder(tmp_path, "cell1")
    second = folder(tmp_path, "cell10")
    scanner(tmp_path, "cell1.xtekct", NIKON)
    told = gather(second)
    assert told.scanner == ()
    assert "cell1.xtekct" in told.warnings[0]
    assert gather(tmp_path / "cell1").scanner[0].origin == "../cell1.xtekct"
    (tmp_path / "a.tif").touch()
    (tmp_path / "b.tif").touch()
    assert gather(tmp_path / "a.tif").scanner == ()


def test_two_files_inside_and_logs_of_other_programs(tmp_path: Path) -> None:
    scan = folder(tmp_path, "cell")
    scanner(scan, "a.pca", PHOENIX)
    scanner(scan, "b.pca", PHOENIX)
    scanner(scan, "install.log", "2026-01-01 error=none\n")
    told = gather(scan)
    assert told.scanner == ()
    (warning,) = told.warnings
    assert "a.pca, b.pca" in warning


def test_skyscan_reconstruction_log_before_the_scans(tmp_path: Path) -> None:
    scan = folder(tmp_path, "cell")
    scanner(scan, "x.log", SKYSCAN.partition("[Reconstruction]")[0])
    scanner(scan, "x_rec.log", SKYSCAN)
    assert [f.origin for f in gather(scan).scanner] == ["x_rec.log"]


XTEK_VOLUME = (
    "[XTekCT]\nVoxelsX=90\nVoxelSizeX=0.04\nVoxelsY=80\nVoxelSizeY=0.05\nVoxelsZ=5\nVoxelSizeZ=0.06\n"
)
PCR = "[VolumeData]\nVolume_SizeX=90\nVolume_SizeY=80\nVolume_SizeZ=5\nVoxelSizeRec=0.0500\n"
VGI = (
    "{volume1}\n[representation]\nsize = 90 80 5\ndatatype = unsigned integer\nbitsperelement = 8\n"
    "{volumeprimitive1}\n[geometry]\nresolution = 40 50 60\nunit = um\n"
)


@pytest.mark.parametrize(
    ("name", "text", "voxel"),
    [
        ("a.xtekVolume", XTEK_VOLUME, (0.06, 0.05, 0.04)),
        ("a.xtekVolume", "[Volume]\nVoxel size = 0,05\n", (0.05, 0.05, 0.05)),
        ("a.pcr", PCR, (0.05, 0.05, 0.05)),
        ("a.vgi", VGI, (0.06, 0.05, 0.04)),
    ],
)
def test_files_of_the_reconstruction(
    tmp_path: Path, name: str, text: str, voxel: tuple[float, float, float]
) -> None:
    scan = folder(tmp_path, "cell")
    scanner(scan, name, text)
    (found,) = gather(scan).scanner
    assert found.origin == name
    assert found.values["voxel_size_mm"] == pytest.approx(voxel)
    assert found.voxels in ((5, 80, 90), (None, None, None))


def test_the_reconstructions_file_wins_over_the_scanners(tmp_path: Path) -> None:
    scan = folder(tmp_path, "cell")
    scanner(scan, "a.xtekct", NIKON)
    scanner(scan, "a.vgi", VGI)
    assert [found.origin for found in gather(scan).scanner] == ["a.xtekct", "a.vgi"]


@pytest.mark.parametrize("name", ["acquisition.yml", "Acquisition.YAML", "acquisition.YML"])
def test_other_spellings_of_the_sidecar(tmp_path: Path, name: str) -> None:
    scan = folder(tmp_path, "cell")
    (scan / name).write_text("cell_id: A\n")
    assert gather(scan).sidecar[0].values["cell_id"] == "A"


def test_two_sidecars_side_by_side(tmp_path: Path) -> None:
    scan = folder(tmp_path, "cell")
    for name in ("acquisition.yaml", "acquisition.yml"):
        (scan / name).write_text("cell_id: A\n")
    with pytest.raises(ScanError, match=r"acquisition\.yaml, acquisition\.yml stand side by side"):
        gather(scan)


@pytest.mark.parametrize(
    "name",
    ["aquisition.yaml", "acquisition.yaml.txt", "acquisition.json", "acquisition (1).yaml", "acquisition"],
)
def test_a_slip_of_the_sidecars_name_is_told(tmp_path: Path, name: str) -> None:
    scan = folder(tmp_path, "cell")
    (scan / name).write_text("cell_id: A\n")
    told = gather(scan)
    assert told.sidecar == ()
    assert told.warnings == (f"{name} is not read; if it tells of the scan, call it acquisition.yaml",)


def test_other_files_are_no_slips(tmp_path: Path) -> None:
    scan = folder(tmp_path, "cell")
    for name in ("notes.txt", "acquired.tif", "calibration.yaml", "README"):
        (scan / name).write_text("x")
    assert gather(scan).warnings == ()
