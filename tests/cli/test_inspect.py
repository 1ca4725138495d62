"""``xctrules inspect``: exit codes, what goes to stdout, and what is written."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import command, run

Arguments = Callable[..., tuple[object, ...]]


@pytest.mark.parametrize(
    ("low", "high", "verdict", "code"),
    [(7.5, 8.5, "PASS", 0), (7.0, 7.9, "FAIL", 1), (8.1, 8.5, "FAIL", 1)],
)
def test_exit_code_follows_the_verdict(
    tube: Arguments, tmp_path: Path, low: float, high: float, verdict: str, code: int
) -> None:
    result = run(*tube(low, high))
    assert result.exit_code == code, result.output
    first = result.stdout.splitlines()[0]
    assert verdict in first
    (folder,) = (tmp_path / "out").iterdir()
    assert str(folder / "report.html") in result.stdout and (folder / "report.html").exists()


def test_missing_quantity_ends_with_3(can: Path, tmp_path: Path) -> None:
    result = run("inspect", can, "--spec", "18650", "--mask-of", "canister", "--out", tmp_path)
    assert result.exit_code == 3
    assert "overhang" in result.stdout.lower()


def test_json_is_the_record_and_nothing_else(tube: Arguments, tmp_path: Path) -> None:
    result = run(*tube(), "--json", "--cell-id", "C-1")
    assert json.loads(result.stdout)["cell_id"] == "C-1"
    assert result.stdout.encode() == (tmp_path / "out" / "C-1" / "record.json").read_bytes()


def test_prints_of_plugins_do_not_reach_stdout(tube: Arguments, tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "chatty.py").write_text("print('hello from a plugin')\n")
    result = run(*tube(), "--json", "--plugins-dir", tmp_path / "plugins")
    json.loads(result.stdout)
    assert "hello from a plugin" in result.stderr


def test_what_a_compiled_library_writes_does_not_reach_stdout(tube: Arguments, tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "chatty.py").write_text("import os\nos.write(1, b'hello from a library')\n")
    result = command(*tube(), "--json", "--plugins-dir", tmp_path / "plugins")
    json.loads(result.stdout)
    assert "hello from a library" in result.stderr


def test_strict_ends_with_2_and_writes_nothing(tube: Arguments, tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "broken.py").write_text("1 / 0\n")
    result = run(*tube(), "--strict", "--plugins-dir", tmp_path / "plugins")
    assert result.exit_code == 2 and "ZeroDivisionError" in result.stderr
    assert not (tmp_path / "out").exists()


def test_replace(tube: Arguments, tmp_path: Path) -> None:
    arguments = tube()
    assert run(*arguments).exit_code == 0
    again = run(*arguments)
    assert again.exit_code == 2 and "--replace" in again.stderr
    assert run(*arguments, "--replace").exit_code == 0


def test_an_option_of_the_geometry_means_the_same_by_name_and_by_set(tube: Arguments, tmp_path: Path) -> None:
    arguments = [word for word in tube() if word not in ("--mask-of", "canister")]
    results = [
        run(*arguments, "--json", "--replace", *told)
        for told in (
            ("--mask-of", "canister", "--angles", "36"),
            ("--set", "mask_of=canister", "--set", "angles=36"),
        )
    ]
    one, other = (json.loads(result.stdout) for result in results)
    assert one["parameters"] == other["parameters"] and one["measurements"] == other["measurements"]
    assert (one["parameters"]["angles"], one["parameters"]["mask_of"]) == (36, "canister")


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (("--set", "angles=many"), "'many' is not a whole number"),
        (("--set", "angles=3"), "8 to 7200"),
        (("--set", "plates=3"), "cylindrical cells have no option 'plates'"),
        (("--set", "out=elsewhere"), "out is no option of a geometry"),
        (("--angles", "36", "--set", "angles=36"), "angles is given twice"),
    ],
)
def test_a_setting_that_the_geometry_does_not_have_is_refused(
    tube: Arguments, tmp_path: Path, told: tuple[str, ...], words: str
) -> None:
    result = run(*tube(), *told)
    assert result.exit_code == 2 and words in result.stderr
    assert not (tmp_path / "out").exists()


def test_what_leaves_the_house_names_no_machine_and_no_folder_of_it(
    tube: Arguments, can: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "node", lambda: "machine-of-the-lab")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "broken.py").write_text("raise OSError('no ' + 'luck')\n")
    more = ("--plugins-dir", tmp_path / "broken", "--cell-id")
    assert run(*tube(), *more, "C-1").exit_code == 0
    assert run(*tube(), *more, "C-2", "--full-paths").exit_code == 0
    for name, asked in (("C-1", False), ("C-2", True)):
        for file in ("record.json", "report.html"):
            text = (tmp_path / "out" / name / file).read_text(encoding="utf-8")
            assert (str(can.parent) in text) == asked
            assert ("machine-of-the-lab" in text) == asked
            assert str(tmp_path) not in text and str(Path.home()) + "/" not in text
            assert str(Path(__file__).parents[2]) not in text
