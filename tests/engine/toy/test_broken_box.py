"""Whatever a stranger's geometry does wrong: a record that names the plugin, and never a pass in ignorance.

Each case is the sound package with a few lines at its end that break one thing.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from broken_boxes import CASES, Case, hook, method
from command_line import command

from xctrules import inspect
from xctrules.core.canonical import canonical_bytes
from xctrules.core.errors import OutputError, SpecError, XctrulesError
from xctrules.engine import inspection
from xctrules.engine.inspection import Inspection
from xctrules.engine.registry import load_plugins

PLUGIN = "xctrules_box"


@pytest.fixture(scope="module")
def broken(plugins_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder with the package, and lines at its end."""

    def make(lines: str) -> Path:
        folder = tmp_path_factory.mktemp("plugins")
        shutil.copytree(plugins_dir / PLUGIN, folder / PLUGIN, ignore=shutil.ignore_patterns("__pycache__"))
        with (folder / PLUGIN / "__init__.py").open("a") as file:
            file.write(f"\n\nfrom dataclasses import replace\nfrom xctrules import *\n{lines}\n")
        return folder

    return make


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others' plugins run in this process, which is quicker: what they give is taken in by the same code."""

    monkeypatch.setattr(inspection, "load_plugins", partial(load_plugins, apart=False))


def box_spec(folder: Path) -> Path:
    return folder / PLUGIN / "specs" / "box.yaml"


def inspected(scans: Path, folder: Path, **options: Any) -> Inspection:
    return inspect(scans / "whole", box_spec(folder), plugins_dir=folder, **options)


def check(case: Case, result: Inspection) -> None:
    """The record stands, names the plugin, and says what it did; the report too."""
    record = result.record
    assert record["verdict"] == case.verdict, record["reasons"]
    told = [failure["message"] for failure in record["failures"] if failure["plugin"] == PLUGIN]
    assert any(case.said in message for message in told), told
    assert PLUGIN in result.report_html
    assert " at 0x" not in canonical_bytes(record).decode()  # such an address differs from run to run


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_record_stands_and_names_the_plugin(
    scans: Path, broken: Callable[[str], Path], case: Case
) -> None:
    check(case, inspected(scans, broken(case.lines)))


IN_ITS_OWN_PROCESS = {
    "frames raises", "metrics exits", "Box.geometry raises", "Box.find() exits", "a frame without to_voxel",
    "a frame's warnings 5", "HalfHeight.segment gives an object", "BoxImage's rejections [None]",
    "BoxPlates.measure() raises", "scope gives Scope(['left'])", "predict Prediction(float('nan'), 0, 0)",
}  # fmt: skip


@pytest.mark.parametrize(
    "case",
    [c for c in CASES if c.name in IN_ITS_OWN_PROCESS],
    ids=lambda case: case.name,
)
def test_so_it_does_when_the_plugin_has_a_process_of_its_own(
    scans: Path, broken: Callable[[str], Path], case: Case
) -> None:
    check(case, inspected(scans, broken(case.lines)))


def test_all_cases_have_their_own_name() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) and set(names) >= IN_ITS_OWN_PROCESS


# --- what is missing, and is no fault ---------------------------------------------------------------------


@pytest.mark.usefixtures("inside")
def test_without_any_screen_nothing_screened_the_scan(scans: Path, broken: Callable[[str], Path]) -> None:
    result = inspected(scans, broken(hook("screens", "[]")))
    assert result.verdict == "INCOMPLETE"
    assert any("nothing screened this scan" in reason for reason in result.record["reasons"])
    assert {check["outcome"] for check in result.record["checks"]} == {"PASS"}


@pytest.mark.usefixtures("inside")
def test_a_screen_that_measures_nothing_did_not_screen(scans: Path, broken: Callable[[str], Path]) -> None:
    no = "def no(*given):\n    raise NotMeasurable('the noise is not known')\nBoxImage.measure = no"
    result = inspected(scans, broken(no))
    assert result.verdict == "INCOMPLETE"
    assert any("the noise is not known" in reason for reason in result.record["unscreened"])


@pytest.mark.usefixtures("inside")
def test_a_geometry_without_segmenter_says_so(scans: Path, broken: Callable[[str], Path]) -> None:
    result = inspected(scans, broken(hook("segmenters", "[]")))
    assert result.verdict == "INCOMPLETE" and not result.record["failures"]
    assert result.measurements["box.spacing"].reason == "there is no segmenter for box cells"


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("geometry", ["sphere", "cylindrical"])
def test_a_metric_for_another_geometry_is_named_in_the_reason(
    scans: Path, broken: Callable[[str], Path], geometry: str
) -> None:
    result = inspected(scans, broken(f"BoxPlates.geometry = {geometry!r}"))
    assert result.verdict == "INCOMPLETE"
    reason = result.measurements["box.spacing"].reason
    assert reason == f"the plugin {PLUGIN} measures it for {geometry} cells, not for box cells"


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("missing", ["del Box.scope", method("Box", "scope", "1 / 0")])
def test_the_whole_cell_is_not_passed_where_nothing_tells_what_was_seen(
    scans: Path, broken: Callable[[str], Path], missing: str
) -> None:
    folder = broken(missing)
    spec = box_spec(folder)
    assert inspected(scans, folder).verdict == "PASS"
    spec.write_text(spec.read_text().replace("scope: in_view", "scope: whole"))
    result = inspected(scans, folder)
    assert result.verdict == "INCOMPLETE"
    assert any("nothing tells which places" in reason for reason in result.record["reasons"])


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("owner", ["Box.find", "HalfHeight.segment", "BoxPlates.measure"])
def test_what_cannot_be_measured_has_the_plugins_reason(
    scans: Path, broken: Callable[[str], Path], owner: str
) -> None:
    result = inspected(scans, broken(f"def no(*given):\n    raise NotMeasurable('too dark')\n{owner} = no"))
    assert result.verdict == "INCOMPLETE" and not result.record["failures"]
    assert result.measurements["box.spacing"].reason == "too dark"


@pytest.mark.usefixtures("inside")
def test_a_reason_may_be_anything(scans: Path, broken: Callable[[str], Path]) -> None:
    silent = "class Silent(NotMeasurable):\n    def __init__(self): pass\ndef no(*given):\n    raise Silent\n"
    result = inspected(scans, broken(f"{silent}Box.find = no"))
    assert result.measurements["box.spacing"].reason == "the plugin gave no reason"


# --- what cannot be asked for -----------------------------------------------------------------------------


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("value", ["many", [1], 1.5, float("inf"), 100, True])
def test_an_option_that_cannot_be_used_is_refused(
    scans: Path, broken: Callable[[str], Path], value: Any
) -> None:
    if value is True:  # one plate, in Python
        assert inspected(scans, broken(""), plates=value).record["parameters"]["plates"] == 1
        return
    with pytest.raises(XctrulesError, match="--plates"):
        inspected(scans, broken(""), plates=value)


@pytest.mark.usefixtures("inside")
def test_a_label_image_that_breaks_the_segmenter_is_refused(
    scans: Path, broken: Callable[[str], Path], tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match=f"plugin {PLUGIN} raised ZeroDivisionError"):
        inspected(
            scans,
            broken(method("HalfHeight", "export_labels", "1 / 0")),
            export_labels=tmp_path / "labels.tif",
        )


@pytest.mark.usefixtures("inside")
def test_a_spec_of_a_plugin_that_broke_is_not_found_and_the_plugin_named(
    scans: Path, broken: Callable[[str], Path]
) -> None:
    with pytest.raises(SpecError, match=rf"not loaded: {PLUGIN}"):
        inspect(scans / "whole", "box", plugins_dir=broken(hook("spec_folders", "1 / 0")))


def test_no_geometry_of_that_name(scans: Path, plugins_dir: Path, tmp_path: Path) -> None:
    spec = tmp_path / "sphere.yaml"
    spec.write_text(box_spec(plugins_dir).read_text().replace("geometry: box", "geometry: sphere"))
    done = command("inspect", scans / "whole", "--spec", spec, "--plugins-dir", plugins_dir, cwd=tmp_path)
    assert done.returncode == 2 and not done.stdout
    (line,) = done.stderr.splitlines()
    assert "geometry 'sphere'" in line and "box" in line


def test_on_the_command_line_the_exit_code_is_the_verdicts(
    scans: Path, broken: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = broken(method("Box", "find", "1 / 0"))
    spec = box_spec(folder)
    done = command("inspect", scans / "whole", "--spec", spec, "--plugins-dir", folder, cwd=tmp_path)
    assert done.returncode == 3
    assert re.search(rf"plugin {PLUGIN}: finding the cell raised ZeroDivisionError", done.stderr)
    assert "Traceback" not in done.stderr and "went wrong inside" not in done.stderr


@pytest.mark.parametrize("expression", ["1 / 0", "None", "3", "[object()]", "[BoxPhantoms]"])
def test_broken_phantoms_are_told_by_the_list_of_plugins(
    broken: Callable[[str], Path], expression: str
) -> None:
    with load_plugins(plugins_dir=broken(hook("phantoms", expression))) as registry:
        registry.collect()
        assert [p.plugin for p in registry.problems if "xctrules_phantoms" in p.message] == [PLUGIN]
        assert "box" not in [provided.value.geometry for provided in registry.phantom_sources]
