"""Bad input, end to end: one clear message, exit code 2, no traceback, and nothing written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from command_line import run
from typer.testing import Result

from xctrules.scans import reading

VOXEL = ("--voxel-size", "0.1")


def image(shape: tuple[int, ...] = (64, 64), dtype: str = "uint8") -> np.ndarray:
    return np.random.default_rng(1).integers(0, 200, shape).astype(dtype)


def slices(folder: Path, *images: np.ndarray) -> Path:
    folder.mkdir()
    for k, one in enumerate(images):
        tifffile.imwrite(folder / f"im{k:03d}.tif", one, photometric=None if one.ndim == 2 else "rgb")
    return folder


def nowhere(tmp: Path) -> Path:
    return tmp / "nowhere"


def empty_folder(tmp: Path) -> Path:
    (tmp / "empty").mkdir()
    return tmp / "empty"


def truncated_slice(tmp: Path) -> Path:
    folder = slices(tmp / "cut", *[image()] * 5)
    data = (folder / "im003.tif").read_bytes()
    (folder / "im003.tif").write_bytes(data[: len(data) // 2])
    return folder


def unreadable_slice(tmp: Path) -> Path:
    folder = slices(tmp / "torn", *[image()] * 5)
    (folder / "im002.tif").write_bytes(b"this is no image")
    return folder


def different_sizes(tmp: Path) -> Path:
    return slices(tmp / "sizes", image(), image(), image((64, 60)))


def different_types(tmp: Path) -> Path:
    return slices(tmp / "types", image(), image(), image(dtype="uint16"))


def colour(tmp: Path) -> Path:
    return slices(tmp / "colour", *[image((64, 64, 3))] * 3)


def constant(tmp: Path) -> Path:
    return slices(tmp / "constant", *[np.full((64, 64), 7, np.uint8)] * 3)


def not_a_number(tmp: Path) -> Path:
    bad = image(dtype="float32")
    bad[10, 10] = np.nan
    return slices(tmp / "nan", image(dtype="float32"), bad)


def sound(tmp: Path) -> Path:
    return slices(tmp / "sound", *[image()] * 3)


def bad_id(tmp: Path) -> Path:
    folder = sound(tmp)
    (folder / "acquisition.yaml").write_text("cell_id: a/b\n")
    return folder


def wide(tmp: Path) -> Path:
    """Wide enough for a cell at 0.034 mm."""
    return slices(tmp / "wide", *[image((200, 200))] * 3)


def text_file(tmp: Path) -> Path:
    (tmp / "notes.txt").write_text("not a scan")
    return tmp / "notes.txt"


SCANS: list[tuple[Callable[[Path], Path], tuple[str, ...], str]] = [
    (nowhere, VOXEL, "no such file or folder"),
    (empty_folder, VOXEL, "empty"),
    (text_file, VOXEL, "notes.txt"),
    (truncated_slice, VOXEL, "im003.tif"),
    (unreadable_slice, VOXEL, "im002.tif"),
    (different_sizes, VOXEL, "im002.tif"),
    (different_types, VOXEL, "im002.tif"),
    (colour, VOXEL, "colour"),
    (constant, VOXEL, "same value"),
    (not_a_number, VOXEL, "slice 2"),
    (sound, (), "--voxel-size"),
    (wide, ("--voxel-size", "34"), "0.034"),
    (sound, ("--voxel-size", "0"), "voxel size"),
    (sound, ("--voxel-size", "-0.03"), "voxel size"),
    (sound, ("--voxel-size", "nan"), "voxel size"),
    (sound, ("--voxel-size", "0.1,0.1"), "Z,Y,X"),
    (sound, ("--voxel-size", "thick"), "Z,Y,X"),
    (sound, (*VOXEL, "--angles", "2"), "--angles"),
    (sound, (*VOXEL, "--segmenter", "u-net-9000"), "u-net-9000"),
    (sound, (*VOXEL, "--segmentation", "no-such-labels.tif"), "no-such-labels.tif"),
    (sound, (*VOXEL, "--acquisition", "no-such.yaml"), "no-such.yaml"),
    (sound, (*VOXEL, "--plugins-dir", "no-such-folder"), "no-such-folder"),
    (sound, (*VOXEL, "--cell-id", "../escape"), "--cell-id"),
    (sound, (*VOXEL, "--cell-id", ""), "--cell-id: the cell id '' is empty"),
    (bad_id, VOXEL, "acquisition.yaml: the cell id 'a/b' holds '/'"),
    (sound, ("--voxel-size", "0,034"), "decimals with a point"),
    (sound, ("--voxel-size", "0.0_5"), "Z,Y,X"),
    (sound, (*VOXEL, "--mask-of", "canister"), "mask"),
]


def inspect(tmp: Path, path: Path, *options: object, spec: object = "21700") -> Result:
    return run("inspect", path, "--spec", spec, "--out", tmp / "out", *options)


def assert_refused(result: Result, tmp: Path, said: str) -> None:
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.output and "something went wrong inside" not in result.output
    assert result.stdout == ""
    assert result.stderr.startswith("xctrules: "), "one message, and nothing before it"
    assert not (tmp / "out").exists()


@pytest.mark.parametrize(
    ("make", "options", "said"), SCANS, ids=[f"{make.__name__} {' '.join(o)}" for make, o, _ in SCANS]
)
def test_scan_that_cannot_be_used(
    tmp_path: Path, make: Callable[[Path], Path], options: tuple[str, ...], said: str
) -> None:
    assert_refused(inspect(tmp_path, make(tmp_path), *options), tmp_path, said)


OWN_FORMAT = """\
import numpy as np

from xctrules import hookimpl


class Volume:
    shape, dtype, names, metadata = (6, 64, 64), np.dtype("uint8"), ("a.own",), {}

    def slices(self):
        return iter(np.zeros(self.shape, self.dtype))

    def digests(self):
        return [("0" * 64, "a.own")]


class Reader:
    name = "own"

    def can_read(self, path):
        return path.suffix == ".own"

    def open(self, path):
        return Volume()


@hookimpl
def xctrules_readers():
    return [Reader()]
"""


def test_not_enough_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a format that can be read once only; slices of TIFF files are read again instead."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "own_format.py").write_text(OWN_FORMAT)
    (tmp_path / "a.own").touch()
    monkeypatch.setattr(reading, "available_memory_bytes", lambda: 1000)
    options = (*VOXEL, "--plugins-dir", tmp_path / "plugins")
    assert_refused(inspect(tmp_path, tmp_path / "a.own", *options), tmp_path, "GB of memory")


SPEC = """\
schema: xctrules.spec/1
name: mine
version: "1"
rules:
  - id: diameter
    measurement: canister.outer_diameter
    max: 21.25
    unit: mm
"""

SPECS = {
    "typo in a key": (("measurement:", "measurment:"), "measurement", 6),
    "unknown measurement": (
        ("canister.outer_diameter", "canister.outer_diametre"),
        "canister.outer_diameter",
        6,
    ),
    "min above max": (("    max: 21.25\n", "    min: 22\n    max: 21.25\n"), "above max", 7),
    "wrong unit": (("unit: mm", "unit: um"), "'um'", 8),
    "no number": (("21.25", "wide"), "wide", 7),
    "key given twice": (("    unit: mm", "    unit: mm\n    unit: mm"), "unit", 9),
    "broken YAML": (("rules:", "rules: ["), "mine.yaml", None),
}


@pytest.mark.parametrize("what", SPECS)
def test_spec_that_cannot_be_used(tmp_path: Path, what: str) -> None:
    (old, new), said, line = SPECS[what]
    assert old in SPEC
    path = tmp_path / "mine.yaml"
    path.write_text(SPEC.replace(old, new))
    result = inspect(tmp_path, sound(tmp_path), *VOXEL, spec=path)
    assert_refused(result, tmp_path, said)
    if line is not None:
        assert f"mine.yaml:{line}" in result.stderr


@pytest.mark.parametrize("name", ["27100", "no/such/spec.yaml"])
def test_spec_that_is_not_there(tmp_path: Path, name: str) -> None:
    assert_refused(inspect(tmp_path, sound(tmp_path), *VOXEL, spec=name), tmp_path, name)


def test_output_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    path = sound(tmp_path)
    result = run("inspect", path, "--spec", "21700", "--out", tmp_path / "taken", *VOXEL)
    assert result.exit_code == 2 and "taken" in result.stderr and "Traceback" not in result.output
    assert (tmp_path / "taken").read_text() == "a file"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_output_folder_that_is_not_writable(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    path = sound(tmp_path)
    result = run("inspect", path, "--spec", "21700", "--out", tmp_path / "locked" / "o", *VOXEL)
    assert result.exit_code == 2 and "locked" in result.stderr
