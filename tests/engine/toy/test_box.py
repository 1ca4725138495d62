"""A stranger's geometry goes the whole way: nothing of it is known to the engine, nothing else shows up."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest
from command_line import command, run

from xctrules import inspect
from xctrules.core.errors import XctrulesError
from xctrules.engine.inspection import Inspection
from xctrules.engine.registry import load_plugins
from xctrules.records.verify import verify_path
from xctrules.testing import assert_metric_conforms, phantom_cell

VOXEL_MM = 0.05
CYLINDERS_WORDS = re.compile(
    r"\b(theta\w*|foils?|turns?|half.?planes?|canisters?|cans|the can|overhang\w*|winding|cylind\w*)\b", re.I
)


PLACES = """\
schema: xctrules.spec/1
name: sides
version: "1"
geometry: box
scope: {scope}
nominal:
  length: {{value: 10.0, unit: mm}}
rules:
  - {{id: left-gap, measurement: box.left.gap, min: 0.5, unit: mm, source: drawing, status: drawing}}
  - {{id: right-gap, measurement: box.right.gap, min: 0.5, unit: mm, source: drawing, status: drawing}}
  - {{id: gap, measurement: box.gap, min: 0.5, unit: mm, source: drawing, status: drawing}}
"""


@pytest.fixture(scope="module")
def sound(scans: Path, plugins_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    return inspect(scans / "whole", "box", out=tmp_path_factory.mktemp("out"), plugins_dir=plugins_dir)


def seen_of(scans: Path, plugins_dir: Path, tmp_path: Path, view: str, scope: str) -> Inspection:
    spec = tmp_path / "sides.yaml"
    spec.write_text(PLACES.format(scope=scope))
    return inspect(scans / view, spec, plugins_dir=plugins_dir)


def outcomes(result: Inspection) -> dict[str, str]:
    return {check["rule"]: check["outcome"] for check in result.record["checks"]}


def visible(report: str) -> str:
    """What a reader of the report sees, but for the list of the plugins that were loaded."""
    shown = re.sub(r"<(style|script|template)\b.*?</\1>", "", report, flags=re.S)
    shown = re.sub(r"<table[^>]*>(?:(?!</table>).)*?SHA-256.*?</table>", "", shown, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", shown)).split())


# --- measured, judged and told in its own words -----------------------------------------------------------


def test_measured_is_what_was_drawn(sound: Inspection, scans: Path) -> None:
    """Edges at half height lie within a tenth of a voxel: the drawing is smooth, and noise averages out."""
    truth = json.loads((scans / "whole" / "truth.json").read_text())["measurements"]
    assert set(truth) == {"box.plates", "box.spacing", "box.gap", "box.left.gap", "box.right.gap"}
    for name, true in truth.items():
        found = sound.measurements[name]
        assert found.value == pytest.approx(true, abs=0.1 * VOXEL_MM), name
        if found.unit == "mm":
            assert abs(found.value - true) <= found.expanded_uncertainty, name
    assert sound.verdict == "PASS" and set(outcomes(sound).values()) == {"PASS"}
    assert not sound.record["failures"] and not sound.record["warnings"]


def test_nothing_but_its_own_plugins_measured(sound: Inspection) -> None:
    assert {name.partition(".")[0] for name in sound.measurements} == {"box", "box_image"}
    assert [s["metric"] for s in sound.record["sections"]] == ["box_image", "fitness", "box"]
    assert sound.record["geometry"] == "box" and sound.record["unscreened"] == []


def test_its_own_coordinates_are_recorded(sound: Inspection) -> None:
    """The tilt is that of the drawing within a tenth of a voxel over the box's length."""
    frame = sound.record["parameters"]["frame"]
    assert frame["tilt_deg"] == pytest.approx(2.0, abs=0.1)
    assert frame["sides"] == {"left": True, "right": True}


def test_its_own_screen_rejects(plugins_dir: Path, tmp_path: Path) -> None:
    with load_plugins(plugins_dir=plugins_dir) as registry:
        sources = registry.phantom_sources
        (boxes,) = (provided.value for provided in sources if provided.value.geometry == "box")
        scan = boxes.draw("box", {"noise": 100.0}).write(tmp_path / "noisy")
    result = inspect(scan, "box", plugins_dir=plugins_dir)
    assert result.verdict == "SCAN_REJECTED"
    assert any("over the noise" in reason for reason in result.record["reasons"])


def test_its_own_option(scans: Path, plugins_dir: Path) -> None:
    result = inspect(scans / "whole", "box", plugins_dir=plugins_dir, plates="7")
    assert result.record["parameters"]["plates"] == 7
    assert any("not 7" in warning for warning in result.record["warnings"])
    with pytest.raises(XctrulesError, match="out of range"):
        inspect(scans / "whole", "box", plugins_dir=plugins_dir, plates=0)
    with pytest.raises(XctrulesError, match="no option 'angles'"):
        inspect(scans / "whole", "box", plugins_dir=plugins_dir, angles=360)


def test_fitness_is_predicted_by_its_own_formulas(sound: Inspection) -> None:
    by_rule = {entry["rule"]: entry for entry in sound.record["fitness"]}
    found = sound.measurements["box.spacing"]
    predicted = by_rule["spacing"]["predicted_expanded_uncertainty"]
    assert found.expanded_uncertainty < predicted < 2 * found.expanded_uncertainty  # the noise comes on top
    assert by_rule["spacing"]["can_decide"] is True
    assert by_rule["plates"]["predicted_expanded_uncertainty"] is None


def test_report_has_its_words_and_none_of_the_cylinders(sound: Inspection) -> None:
    seen = visible(sound.report_html)
    for own in ("Plates in the box", "Image of the box", "for both sides", "Each plate is one peak"):
        assert own in seen, own
    for meaning in ("Number of plates", "Plates against gas, over noise"):
        assert meaning in html.unescape(sound.report_html), meaning
    assert 'id="metric-box"' in sound.report_html and "Grey value along the box" in sound.report_html
    assert not CYLINDERS_WORDS.findall(seen)


# --- places that are in view or not -----------------------------------------------------------------------


@pytest.mark.parametrize(("view", "hidden"), [("left", "right"), ("right", "left")])
def test_a_place_out_of_view_is_not_applicable(
    scans: Path, plugins_dir: Path, tmp_path: Path, view: str, hidden: str
) -> None:
    result = seen_of(scans, plugins_dir, tmp_path, view, "in_view")
    assert outcomes(result) == {f"{view}-gap": "PASS", f"{hidden}-gap": "NOT_APPLICABLE", "gap": "PASS"}
    assert result.verdict == "PASS"
    assert result.record["scope"]["places"] == {view: True, hidden: False}
    assert result.record["scope"]["text"].startswith(f"for the {view} side, ")
    assert f"for the {view} side" in visible(result.report_html)


@pytest.mark.parametrize(("view", "hidden"), [("left", "right"), ("right", "left")])
def test_a_place_that_is_wanted_and_out_of_view_makes_it_incomplete(
    scans: Path, plugins_dir: Path, tmp_path: Path, view: str, hidden: str
) -> None:
    result = seen_of(scans, plugins_dir, tmp_path, view, "whole")
    assert outcomes(result) == {f"{view}-gap": "PASS", f"{hidden}-gap": "INCOMPLETE", "gap": "INCOMPLETE"}
    assert result.verdict == "INCOMPLETE"
    assert any(hidden in reason and "not in view" in reason for reason in result.record["reasons"])


def test_whole_box_passes_as_a_whole(scans: Path, plugins_dir: Path, tmp_path: Path) -> None:
    result = seen_of(scans, plugins_dir, tmp_path, "whole", "whole")
    assert result.verdict == "PASS" and set(outcomes(result).values()) == {"PASS"}


# --- the commands -----------------------------------------------------------------------------------------


def test_inspected_and_verified_on_the_command_line(scans: Path, plugins_dir: Path, tmp_path: Path) -> None:
    """In a process of its own: nothing that another test has loaded can help."""
    arguments = ("--spec", "box", "--plugins-dir", plugins_dir, "--cell-id", "B-1")
    done = command("inspect", scans / "whole", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("B-1: PASS for both sides, 10.0 of 10.0 mm of the box seen\n")
    assert not CYLINDERS_WORDS.findall(done.stdout)
    folder = tmp_path / "xctrules-out" / "B-1"
    assert not [str(finding) for finding in verify_path(folder).findings if finding.holds is False]
    checked = command("verify", folder)
    assert checked.returncode == 0 and "drawn again" in checked.stdout


def test_specs_and_plugins_commands_know_it(plugins_dir: Path) -> None:
    at = ("--plugins-dir", plugins_dir)
    assert re.search(r"^box +1 +Box with plates", run("specs", "list", *at).stdout, re.M)
    assert "measurement: box.spacing" in run("specs", "show", "box", *at).stdout
    assert run("specs", "check", "box", *at).stdout == "box: 5 rules, 0 with an indicative limit\n"
    listed = json.loads(run("plugins", "--json", *at).stdout)
    (box,) = (plugin for plugin in listed if plugin["name"] == "xctrules_box")
    assert box["problems"] == [] and "box.left.gap" in box["measurements"]
    assert "xctrules_phantoms" in box["hooks"] and "xctrules_frames" in box["hooks"]


def test_phantom_command_draws_it_and_inspect_takes_its_options(plugins_dir: Path, tmp_path: Path) -> None:
    """The folder is told relative to that of the command, which is not where the plugin's process works."""
    at = ("--plugins-dir", plugins_dir)
    options = ("--format", "box", "--set", "plates=3", "--set", "tilt=-1.5")
    drawn = command("phantom", "three", *options, *at, cwd=tmp_path)
    assert (drawn.returncode, drawn.stderr) == (0, "")
    truth = json.loads((tmp_path / "three" / "truth.json").read_text())["measurements"]
    spec = tmp_path / "sides.yaml"
    spec.write_text(PLACES.format(scope="whole"))
    into = ("--spec", spec, "--out", tmp_path / "out", "--json")
    record = json.loads(run("inspect", tmp_path / "three", *into, "--set", "plates=3", *at).stdout)
    assert record["measurements"]["box.plates"]["value"] == truth["box.plates"] == 3
    assert record["verdict"] == "PASS" and not record["warnings"]
    refused = run("phantom", tmp_path / "none", "--format", "box", "--set", "turns=3", *at)
    assert refused.exit_code == 2 and "plates, left_gap, tilt, view, noise" in refused.stderr


def test_plugins_command_tells_what_the_measurements_are(plugins_dir: Path) -> None:
    told = run("plugins", "--plugins-dir", plugins_dir).stdout.split("\nxctrules_box ")[1]
    assert re.search(r"box\.spacing +mm +mean distance of plates", told)
    assert re.search(r"box_image\.contrast +1 +plates against gas, over noise", told)
    assert "plates: plates that the box should hold" in told


def test_its_author_can_test_its_metric(plugins_dir: Path) -> None:
    with load_plugins(plugins_dir=plugins_dir, apart=False) as registry:
        (boxes,) = (p.value for p in registry.phantom_sources if p.value.geometry == "box")
        (metric,) = (p.value for p in registry.metrics if p.value.name == "box")
    drawn = boxes.draw("box", {"plates": 4})
    cell, truth = phantom_cell(drawn, nominal_mm={"length": 10.0}, plugins_dir=plugins_dir, plates=4)
    found = assert_metric_conforms(metric, cell)
    assert found["box.left.gap"].value == pytest.approx(truth["box.left.gap"], abs=0.1 * VOXEL_MM)
