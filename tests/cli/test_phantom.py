"""``xctrules phantom``: what was asked for is what the truth says, whichever way it was asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import run

SLICE = ("--format", "small", "--view", "slice", "--voxel-size", "0.05")

BOXES = """\
import json

from xctrules import Option, hookimpl


class Box:
    truth = {"measurements": {}}

    def __init__(self, plates):
        self.plates = plates

    def write(self, folder, force=False):
        folder.mkdir(parents=True)
        (folder / "truth.json").write_text(json.dumps({"plates": self.plates}))
        return folder


class Boxes:
    geometry = "box"
    formats = ("crate", "nothing")
    options = (Option("plates", int, "number of plates", low=1, high=50),)

    def draw(self, format, values):
        if format == "nothing":
            return None
        return Box(10 // (values["plates"] - 7))


@hookimpl
def xctrules_phantoms():
    return [Boxes()]
"""


def test_phantom_and_its_truth(tmp_path: Path) -> None:
    result = run("phantom", tmp_path / "p", *SLICE, "--dent", "0.2", "--seed", "4", "--tab")
    assert result.exit_code == 0, result.output
    truth = json.loads((tmp_path / "p" / "truth.json").read_text())
    assert truth["spec"]["seed"] == 4 and truth["spec"]["voxel_size_mm"] == [0.05, 0.05, 0.05]
    assert truth["spec"]["dents"][0]["depth_mm"] == 0.2 and len(truth["spec"]["tabs"]) == 1
    assert run("phantom", tmp_path / "p", "--format", "small").exit_code == 2


def test_an_option_means_the_same_by_name_and_by_set(tmp_path: Path) -> None:
    by_name = run("phantom", tmp_path / "a", *SLICE, "--ovality", "0.1", "--pin")
    by_set = run("phantom", tmp_path / "b", *SLICE, "--set", "ovality=0.1", "--set", "pin=yes")
    assert (by_name.exit_code, by_set.exit_code) == (0, 0), by_set.output
    one, other = (json.loads((tmp_path / name / "truth.json").read_text()) for name in "ab")
    assert one == other and one["spec"]["ovality_mm"] == 0.1 and one["spec"]["pin"]


def test_phantoms_of_another_geometry_come_from_its_plugin(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "boxes.py").write_text(BOXES)
    plugins = ("--plugins-dir", tmp_path / "plugins")
    result = run("phantom", tmp_path / "p", "--format", "crate", "--set", "plates=9", *plugins)
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "p" / "truth.json").read_text()) == {"plates": 5}
    for name, told, words in (
        ("crate", ("--set", "plates=99"), "1 to 50"),
        ("crate", ("--tilt", "0.5"), "have no option 'tilt'. Known options: plates"),
        ("crate", ("--set", "plates=7"), "boxes broke on drawing it (it raised ZeroDivisionError"),
        ("nothing", (), "drew NoneType, no phantom"),
        ("pouch", (), "no plugin draws cells of the format 'pouch'"),
    ):
        refused = run("phantom", tmp_path / "q", "--format", name, *told, *plugins)
        assert refused.exit_code == 2 and words in refused.stderr, refused.stderr
        assert not (tmp_path / "q").exists()


@pytest.mark.parametrize(
    "told",
    [("--voxel-size", "wide"), ("--set", "seed=odd"), ("--set", "views=top"), ("--bits", "12")],
    ids=" ".join,
)
def test_what_cannot_be_drawn_is_refused_in_a_line(tmp_path: Path, told: tuple[str, ...]) -> None:
    result = run("phantom", tmp_path / "p", "--format", "small", *told)
    assert result.exit_code == 2 and result.stderr.count("\n") == 1, result.stderr
    assert list(tmp_path.iterdir()) == []


def test_faults_by_name_may_be_given_again(tmp_path: Path) -> None:
    out = tmp_path / "cell"
    given = ("--fault", "cathode-high:0.8,turn=3", "--fault", "slices-missing:2", "--set", "chemistry=lfp")
    assert run("phantom", out, "--format", "small", *given).exit_code == 0
    truth = json.loads((out / "truth.json").read_text(encoding="utf-8"))
    assert [fault["fault"] for fault in truth["faults"]] == ["cathode high", "slices missing"]
    assert truth["spec"]["greys"]["cathode_coating"] < 50


def test_an_unknown_fault_is_refused_with_those_there_are(tmp_path: Path) -> None:
    told = run("phantom", tmp_path / "cell", "--format", "small", "--fault", "hole:1")
    assert told.exit_code == 2
    assert "can-hole" in told.stderr and "--fault" in told.stderr
