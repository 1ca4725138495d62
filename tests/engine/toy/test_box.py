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
from xctrules.records.verify import verify_path

VOXEL_MM = 0.05
CYLINDERS_WORDS = re.compile(
    r"\b(theta\w*|foils?|turns?|half.?planes?|canisters?|cans|the can|overhang\w*|winding|cylind\w*)\b", re.I
)


@pytest.fixture(scope="module")
def sound(scans: Path, plugins_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    return inspect(scans / "whole", "box", out=tmp_path_factory.mktemp("out"), plugins_dir=plugins_dir)


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
    from xctrules.engine.registry import load_plugins

    sources = load_plugins(plugins_dir=plugins_dir).phantom_sources
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


# --- the commands -----------------------------------------------------------------------------------------


def test_inspected_and_verified_on_the_command_line(scans: Path, plugins_dir: Path, tmp_path: Path) -> None:
    """In a process of its own: nothing that another test has loaded can help."""
    arguments = ("--spec", "box", "--plugins-dir", plugins_dir, "--cell-id", "B-1")
    done = command("inspect", scans / "whole", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("B-1: PASS")
    assert not CYLINDERS_WORDS.findall(done.stdout)
    folder = tmp_path / "xctrules-out" / "B-1"
    assert all(finding.holds for finding in verify_path(folder).findings)
    assert command("verify", folder).returncode == 0


def test_specs_and_plugins_commands_know_it(plugins_dir: Path) -> None:
    at = ("--plugins-dir", plugins_dir)
    assert re.search(r"^box +1 +Box with plates", run("specs", "list", *at).stdout, re.M)
    assert "measurement: box.spacing" in run("specs", "show", "box", *at).stdout
    assert run("specs", "check", "box", *at).stdout == "box: 5 rules, 0 with an indicative limit\n"
    listed = json.loads(run("plugins", "--json", *at).stdout)
    (box,) = (plugin for plugin in listed if plugin["name"] == "xctrules_box")
    assert box["problems"] == [] and "box.left.gap" in box["measurements"]
    assert "xctrules_phantoms" in box["hooks"] and "xctrules_frames" in box["hooks"]
