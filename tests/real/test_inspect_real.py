"""The published 21700 scan through the whole command, from a cold start."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from conftest import shared_data

from xctrules.engine.inspection import Inspection, inspect


@pytest.fixture(scope="module")
def scan() -> Path:
    return shared_data("cell_21700_top")


@pytest.fixture(scope="module")
def result(scan: Path, tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    return inspect(scan, "21700", out=tmp_path_factory.mktemp("out"), third_party=False)


def value(result: Inspection, name: str) -> float:
    found = result.measurements[name]
    assert found.value is not None, found.reason
    return found.value


def test_dimensions_agree_with_what_is_published(result: Inspection) -> None:
    assert value(result, "canister.outer_diameter") == pytest.approx(21.21, abs=0.04)
    assert 0.20 <= value(result, "canister.wall_thickness.mean") <= 0.24
    assert value(result, "canister.eccentricity") < 0.07
    assert value(result, "canister.dent_depth") < 0.03
    assert value(result, "winding.pitch") == pytest.approx(0.384, abs=0.004)


def test_overhang_agrees_with_what_is_published(result: Inspection) -> None:
    assert value(result, "overhang.count") >= 1300
    assert value(result, "overhang.length.mean") == pytest.approx(0.66, abs=0.05)
    assert value(result, "overhang.deflection.mean") == pytest.approx(-3.5, abs=1.0)
    assert value(result, "overhang.deflection.std") == pytest.approx(4.1, abs=0.7)
    assert value(result, "overhang.negative_fraction") == 0
    assert value(result, "overhang.length.min") > 0


def test_scope_and_verdict_of_a_scale_without_stated_uncertainty(result: Inspection) -> None:
    record = result.record
    assert record["scope"]["ends"] == ["top"]
    assert record["scale"]["stated"] is False
    assert result.measurements["overhang.bottom.length.min"].status == "not_measured"
    for check in record["checks"]:
        assert check["outcome"] != "PASS", "no rule on a length passes plainly on an assumed scale"
    assert result.verdict != "PASS"
    assert "voxel_scale_relative_uncertainty" in result.report_html


def test_no_plugin_failed(result: Inspection) -> None:
    assert not result.record["failures"]


def overhang(volume: np.ndarray, voxel: tuple[float, ...], folder: Path) -> float:
    tifffile.imwrite(folder / "volume.tif", volume)
    found = inspect(folder / "volume.tif", "21700", voxel_size_mm=voxel, angles=72, third_party=False)
    return value(found, "overhang.length.mean")


def turned(volume: np.ndarray) -> np.ndarray:
    """Turned by 37 degrees about the image's middle."""
    import cv2

    ny, nx = volume.shape[1:]
    turn = cv2.getRotationMatrix2D(((nx - 1) / 2, (ny - 1) / 2), 37.0, 1.0)
    return np.stack([cv2.warpAffine(one, turn, (nx, ny), flags=cv2.INTER_CUBIC) for one in volume])


CHANGES = {
    "turned": turned,
    "flipped end to end": lambda v: v[::-1],
    "mirrored": lambda v: v[:, :, ::-1],
    "sixteen bit": lambda v: v.astype(np.uint16) * 257,
    "grey rescaled": lambda v: (v * 0.7 + 30).round().astype(np.uint8),
    "border cropped": lambda v: v[:, 40:-20, 30:-30],
}


@pytest.mark.parametrize("what", CHANGES)
def test_overhang_does_not_depend_on_how_the_scan_lies(
    scan: Path, result: Inspection, tmp_path: Path, what: str
) -> None:
    volume = np.stack([tifffile.imread(path) for path in sorted(scan.glob("*.tif"))])
    voxel = tuple(result.record["scan"]["voxel_size_mm"])
    changed = overhang(np.ascontiguousarray(CHANGES[what](volume)), voxel, tmp_path)
    assert changed == pytest.approx(value(result, "overhang.length.mean"), abs=0.3 * voxel[0])


def test_the_command_from_scan_to_report(scan: Path, tmp_path: Path) -> None:
    """As a user runs it; seconds are printed, not asserted (see benchmarks/)."""
    done = subprocess.run(
        [sys.executable, "-m", "xctrules", "inspect", str(scan), "--spec", "21700", "--out", str(tmp_path)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    (folder,) = tmp_path.iterdir()
    assert folder.name == "UCL-21700-A"
    record = json.loads((folder / "record.json").read_text())
    assert "top end" in done.stdout.splitlines()[0] and record["verdict"] in done.stdout.splitlines()[0]
    report = (folder / "report.html").read_text()
    assert len(report.encode()) < 5_000_000
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", report)
    verified = subprocess.run([sys.executable, "-m", "xctrules", "verify", str(folder)], capture_output=True)
    assert verified.returncode == 0, verified.stdout.decode()


PEAK = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "xctrules", *sys.argv[1:]], stdout=sys.stderr, check=False)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kB on Linux")
def test_memory_of_the_whole_command(scan: Path, tmp_path: Path) -> None:
    """Run from a small process: a peak counts what the parent had when it started the child."""
    args = ["inspect", str(scan), "--spec", "21700", "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", PEAK, *args], capture_output=True, text=True)
    assert (tmp_path / "UCL-21700-A" / "record.json").exists(), done.stderr
    assert int(done.stdout) / 1024 < 700
