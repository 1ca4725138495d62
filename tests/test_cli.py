"""The command line: exit codes, what goes to stdout and stderr, and how it ends when it is cut short."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from xctrules.cli import main as cli
from xctrules.cli.console import parse_voxel_size
from xctrules.cylinder.phantom import canister_mask, draw, small
from xctrules.engine import inspection

MASK_RULES = """\
schema: xctrules.spec/1
name: tube
version: "1"
rules:
  - {{id: diameter, measurement: canister.outer_diameter, min: {low}, max: {high}, unit: mm,
     source: drawing 1, status: drawing}}
"""


def run(*args: object) -> Result:
    return CliRunner().invoke(cli.app, [str(a) for a in args])


def command(*args: object, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "xctrules", *map(str, args)], capture_output=True, text=True, **options
    )


@pytest.fixture(scope="module")
def can(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mask of a can 8 mm wide, quick to inspect."""
    folder = tmp_path_factory.mktemp("can") / "can"
    return canister_mask(small(view="roll", roll_in_view_mm=0.4)).write(folder)


def spec(folder: Path, low: float, high: float) -> Path:
    path = folder / "tube.yaml"
    path.write_text(MASK_RULES.format(low=low, high=high))
    return path


def judged(can: Path, folder: Path) -> tuple[object, ...]:
    """Arguments that inspect the can by a spec that it meets."""
    return (
        "inspect",
        can,
        "--spec",
        spec(folder, 7.5, 8.5),
        "--mask-of",
        "canister",
        "--out",
        folder / "out",
    )


@pytest.mark.parametrize(
    ("low", "high", "verdict", "code"),
    [(7.5, 8.5, "PASS", 0), (7.0, 7.9, "FAIL", 1), (8.1, 8.5, "FAIL", 1)],
)
def test_exit_code_follows_the_verdict(
    can: Path, tmp_path: Path, low: float, high: float, verdict: str, code: int
) -> None:
    result = run(
        "inspect",
        can,
        "--spec",
        spec(tmp_path, low, high),
        "--mask-of",
        "canister",
        "--out",
        tmp_path / "out",
    )
    assert result.exit_code == code, result.output
    first = result.stdout.splitlines()[0]
    assert verdict in first
    (folder,) = (tmp_path / "out").iterdir()
    assert str(folder / "report.html") in result.stdout and (folder / "report.html").exists()


def test_missing_quantity_ends_with_3(can: Path, tmp_path: Path) -> None:
    result = run("inspect", can, "--spec", "18650", "--mask-of", "canister", "--out", tmp_path)
    assert result.exit_code == 3
    assert "overhang" in result.stdout.lower()


def test_json_is_the_record_and_nothing_else(can: Path, tmp_path: Path) -> None:
    result = run(*judged(can, tmp_path), "--json", "--cell-id", "C-1")
    assert json.loads(result.stdout)["cell_id"] == "C-1"
    assert result.stdout.encode() == (tmp_path / "out" / "C-1" / "record.json").read_bytes()


def test_prints_of_plugins_do_not_reach_stdout(can: Path, tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "chatty.py").write_text("print('hello from a plugin')\n")
    result = run(*judged(can, tmp_path), "--json", "--plugins-dir", tmp_path / "plugins")
    json.loads(result.stdout)
    assert "hello from a plugin" in result.stderr


def test_what_a_compiled_library_writes_does_not_reach_stdout(can: Path, tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "chatty.py").write_text("import os\nos.write(1, b'hello from a library')\n")
    result = command(*judged(can, tmp_path), "--json", "--plugins-dir", tmp_path / "plugins")
    json.loads(result.stdout)
    assert "hello from a library" in result.stderr


def test_strict_ends_with_2_and_writes_nothing(can: Path, tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "broken.py").write_text("1 / 0\n")
    result = run(*judged(can, tmp_path), "--strict", "--plugins-dir", tmp_path / "plugins")
    assert result.exit_code == 2 and "ZeroDivisionError" in result.stderr
    assert not (tmp_path / "out").exists()


def test_replace(can: Path, tmp_path: Path) -> None:
    common = (
        "inspect",
        can,
        "--spec",
        spec(tmp_path, 7.5, 8.5),
        "--mask-of",
        "canister",
        "--out",
        tmp_path / "o",
    )
    assert run(*common).exit_code == 0
    again = run(*common)
    assert again.exit_code == 2 and "--replace" in again.stderr
    assert run(*common, "--replace").exit_code == 0


def test_unexpected_error_is_one_message(can: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("deep inside")

    monkeypatch.setattr(inspection, "open_scan", broken)
    monkeypatch.delenv("XCTRULES_DEBUG", raising=False)
    result = run("inspect", can, "--spec", "21700", "--out", tmp_path)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr and result.stderr.count("\n") == 1
    assert "deep inside" in result.stderr and "XCTRULES_DEBUG" in result.stderr
    monkeypatch.setenv("XCTRULES_DEBUG", "1")
    assert isinstance(run("inspect", can, "--spec", "21700", "--out", tmp_path).exception, ZeroDivisionError)


def test_interrupt_ends_with_130(can: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(inspection, "open_scan", interrupted)
    result = run("inspect", can, "--spec", "21700")
    assert result.exit_code == 130 and "Traceback" not in result.stderr


def test_sigint_from_outside(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "xctrules", "phantom", tmp_path / "big", "--view=both", "--voxel-size=0.03"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=2.5)  # far less than drawing two ends at this voxel size takes
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in error
    assert not (tmp_path / "big").exists()


@pytest.mark.skipif(os.name != "posix", reason="pipes as a POSIX shell makes them")
def test_reader_that_goes_away(tmp_path: Path) -> None:
    script = f"{sys.executable} -m xctrules specs schema | head -c 1 >/dev/null; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.strip() == "0"


def test_help_of_every_command_needs_no_heavy_import() -> None:
    """What is imported is what costs: none of these takes part in answering --help."""
    code = (
        "import sys; sys.argv = ['xctrules', '--help']\n"
        "from xctrules.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "names = {'numpy', 'cv2', 'scipy', 'pydantic', 'jinja2', 'tifffile', 'skimage', 'rich'}\n"
        "heavy = names & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in ("inspect", "demo", "specs", "plugins", "phantom", "verify"):
        assert name in done.stdout


@pytest.mark.parametrize(
    "name", [("inspect",), ("demo",), ("phantom",), ("plugins",), ("verify",), ("specs", "list")]
)
def test_every_command_has_help(name: tuple[str, ...]) -> None:
    result = run(*name, "--help")
    assert result.exit_code == 0 and "Usage" in result.stdout


@pytest.mark.parametrize("args", [(), ("inspect",), ("inspect", "x"), ("nonsense",), ("verify",)])
def test_wrong_usage_ends_with_2(args: tuple[str, ...]) -> None:
    assert run(*args).exit_code == 2


def test_specs_list_and_show() -> None:
    listed = json.loads(run("specs", "list", "--json", "--no-third-party").stdout)
    assert {"18650", "21700", "26650", "4680"} <= {entry["name"] for entry in listed}
    for entry in listed:
        shown = run("specs", "show", entry["name"])
        assert shown.exit_code == 0
        assert shown.stdout == Path(entry["path"]).read_text().rstrip("\n") + "\n"
        resolved = json.loads(run("specs", "show", entry["name"], "--resolved").stdout)
        assert resolved["name"] == entry["name"]
        assert run("specs", "check", entry["path"]).exit_code == 0


def test_specs_schema_is_json_schema_and_holds_for_the_bundled_specs() -> None:
    import jsonschema
    import yaml

    schema = json.loads(run("specs", "schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(run("specs", "show", "21700").stdout), schema)


def test_plugins_json() -> None:
    found = json.loads(run("plugins", "--json", "--no-third-party").stdout)
    assert {"canister", "overhang", "segmentation", "winding"} <= {plugin["name"] for plugin in found}
    for plugin in found:
        assert {"name", "version", "source", "hooks", "measurements", "load_error"} <= set(plugin)


def test_plugins_names_a_broken_one(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import no_such_module_here\n")
    result = run("plugins", "--plugins-dir", tmp_path)
    assert result.exit_code == 0
    assert "broken" in result.stdout and "no_such_module_here" in result.stdout


def test_verify_holds_and_does_not_hold(can: Path, tmp_path: Path) -> None:
    done = run(*judged(can, tmp_path), "--cell-id", "C-1")
    assert done.exit_code == 0
    folder = tmp_path / "out" / "C-1"
    for path in (folder, folder / "report.html", folder / "record.json", tmp_path / "out"):
        assert run("verify", path).exit_code == 0
    assert run("verify", folder, tmp_path / "nothing-here").exit_code == 2
    record = (folder / "record.json").read_text()
    (folder / "record.json").write_text(record.replace('"PASS"', '"FAIL"', 1))
    spoilt = run("verify", folder, "--json")
    assert spoilt.exit_code == 1
    assert any(finding["holds"] is False for finding in json.loads(spoilt.stdout)[0]["findings"])


def test_phantom_and_its_truth(tmp_path: Path) -> None:
    result = run(
        *("phantom", tmp_path / "p", "--format", "small", "--view", "slice", "--voxel-size", "0.05"),
        *("--dent", "0.2", "--seed", "4"),
    )
    assert result.exit_code == 0, result.output
    truth = json.loads((tmp_path / "p" / "truth.json").read_text())
    assert truth["spec"]["seed"] == 4 and truth["spec"]["voxel_size_mm"] == [0.05, 0.05, 0.05]
    assert run("phantom", tmp_path / "p", "--format", "small").exit_code == 2


def test_demo_goes_the_whole_way_and_shows_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from xctrules.cylinder import phantom

    drawn = draw(small(roll_in_view_mm=1.6))
    monkeypatch.setattr(phantom, "draw", lambda spec: drawn)  # the demo's own cell takes many seconds
    result = run("demo", "--out", tmp_path / "demo")
    assert result.exit_code == 3, result.output  # the small cell is no 21700, and screening says so
    row = next(line for line in result.stdout.splitlines() if line.startswith("canister.outer_diameter"))
    assert f"{drawn.truth['measurements']['canister.outer_diameter']:.4g} mm" in row
    assert run("verify", tmp_path / "demo").exit_code == 0
    assert run("demo", "--out", tmp_path / "demo").exit_code == result.exit_code, (
        "a second run must not stumble"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0.03", (0.03,) * 3), ("0.07,0.03,0.03", (0.07, 0.03, 0.03)), ("1x2x3", (1.0, 2.0, 3.0))],
)
def test_voxel_size(text: str, expected: tuple[float, ...]) -> None:
    assert parse_voxel_size(text) == expected


def test_terminal_that_cannot_show_a_character(tmp_path: Path) -> None:
    done = command(
        "specs", "show", "21700", env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr
