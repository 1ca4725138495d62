"""A stranger's geometry is validated: its cells, its targets, its words, and none of the cylinder's."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import run as xctrules

from xctrules.campaigns.validation.campaign import Campaign, Wanted, open_campaign
from xctrules.campaigns.validation.findings import find
from xctrules.campaigns.validation.folder import header
from xctrules.campaigns.validation.page import render
from xctrules.campaigns.validation.run import work
from xctrules.core.errors import PluginError

BOXES = Path(__file__).resolve().parents[2] / "engine" / "toy" / "plugins" / "xctrules_box"
CYLINDERS_WORDS = re.compile(
    r"\b(theta\w*|foils?|turns?|half.?planes?|canisters?|cans|overhang\w*|winding|cylind\w*|dents?)\b", re.I
)

CASES = '''
"""Boxes of which every other one has a narrow gap, and one of seven scans shows next to nothing."""

from xctrules.core.validation import BiasLimit, Case, CaseFacts, Fault, JudgedBy, Stratum, Targets

from . import phantom
from .phantom import VOXEL, DrawnBox


class BoxPhantoms(phantom.BoxPhantoms):
    targets = Targets(
        covered=("box.spacing", "box.gap"),
        fault_only=(),
        bias={"box.gap": BiasLimit(0.2, "voxel"), "box.spacing": BiasLimit(0.5, "%")},
        faults=(Fault("narrow gap", "box.gap", "small", -10.0, "a gap of fewer than ten voxels"),),
        strata=(Stratum("tilt", "upright", 0, 0.5), Stratum("tilt", "tilted", 0.5, 9)),
        refusal_words={"noise": ("noise",)},
        not_tabled=("box.left.*", "box.right.*"),
        length_unit_note="of 0.05 mm",
    )

    def identity(self, ensemble):
        return {"version": 3, "limits": [[limit.measurement, limit.value] for limit in ensemble.limits]}

    def case(self, ensemble, index):
        unfit = index % 7 == 6
        drawn = {
            "left_gap": 0.3 if index % 2 else 0.8,
            "tilt": 0.5 * (index % 5),
            "noise": 90.0 if unfit else 4.0,
        }
        return Case(
            index=index, kind="unfit" if unfit else "boxes", drawn=drawn, voxel_mm=(VOXEL,) * 3,
            nominal_mm={"length": phantom.LENGTH, "spacing": phantom.SPACING},
            judged_by=JudgedBy("box", leave_out=("box.plates",)), unfit="noise" if unfit else None,
        )

    def draw_case(self, case):
        return DrawnBox(**case.drawn)

    def noted(self, phantom, found):
        return {"plates": None if found is None else len(found.plates_mm)}

    def facts(self, row):
        assert row["noted"]["plates"] == row["measurements"]["box.plates"]["value"]
        return CaseFacts(
            text=f"a box with a gap of {row['spec']['left_gap']} mm",
            voxel_mm=dict.fromkeys(row["measurements"], VOXEL),
            conditions={"tilt": row["spec"]["tilt"]},
            for_bias=("box.gap", "box.spacing"),
            for_detection=True,
            faults={"narrow gap": {}} if row["spec"]["left_gap"] < 0.5 else {},
        )
'''


@pytest.fixture(scope="module")
def plugins_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The box's package, whose phantoms come as an ensemble."""
    folder = tmp_path_factory.mktemp("plugins")
    package = folder / BOXES.name
    shutil.copytree(BOXES, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "cases.py").write_text(CASES)
    door = package / "__init__.py"
    text = door.read_text()
    assert "from .phantom import BoxPhantoms" in text
    door.write_text(text.replace("from .phantom import BoxPhantoms", "from .cases import BoxPhantoms"))
    return folder


@pytest.fixture(scope="module")
def campaign(plugins_dir: Path) -> Iterator[Campaign]:
    with open_campaign(Wanted("box", plugins_dir=plugins_dir)) as opened:
        yield opened


@pytest.fixture(scope="module")
def found(campaign: Campaign) -> dict[str, Any]:
    rows = [work(campaign, index) for index in range(14)]
    return find(rows, header(campaign), campaign.source.targets, campaign.facts)


def test_its_cases_are_measured_and_held_to_its_targets(found: dict[str, Any]) -> None:
    assert not found["errors"], found["errors"]
    assert found["cases"]["kinds"] == {"boxes": 12, "unfit": 2}
    requirements = {c["id"]: c["holds"] for c in found["criteria"]}
    # drawn blurred edges, found at half height: a tenth of a voxel at most
    assert requirements["bias: box.gap"] is True
    assert requirements["bias: box.spacing"] is True
    assert requirements["unfit scans are refused"] is True
    assert set(found["measurements"]) == {"box.plates", "box.spacing", "box.gap"}
    narrow = found["detection"]["narrow gap"]
    assert (narrow["n"], sum(narrow["hits"])) == (6, 6)
    assert found["false_alarms"]["narrow gap"]["count"] == 0
    assert [s["bias"]["n"] for s in found["strata"]["box.gap"]] == [3, 9]


def test_it_is_judged_by_its_own_spec(found: dict[str, Any]) -> None:
    limits = {(line["measurement"], line["limit"]) for line in found["decisions"]}
    assert ("box.gap", "at least 0.5 mm") in limits
    assert ["box.gap", 0.5] in found["ensemble"]["limits"]
    assert not any("diameter" in name for name, _ in found["ensemble"]["limits"])
    assert all(line["false_accept"]["count"] == 0 for line in found["decisions"])


def test_its_page_has_its_words_and_not_the_cylinders(found: dict[str, Any]) -> None:
    html = render(found)
    shown = re.sub(r"<style>.*?</style>", "", html[: html.index('id="provenance"')], flags=re.S)
    shown = re.sub(r"<[^>]+>", " ", shown)
    assert "narrow gap" in shown and "of 0.05 mm" in shown and "by tilt" in shown
    assert not CYLINDERS_WORDS.findall(shown)


def test_the_command_finds_it_by_its_name(plugins_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["--geometry", "box", "--plugins-dir", plugins_dir, "--cases", 2, "--workers", 2]
    done = xctrules("validate", *arguments, "--out", out)
    assert done.exit_code == 0, done.output
    assert "box.gap" in done.output
    assert not CYLINDERS_WORDS.findall(done.stdout)
    refused = xctrules("validate", "--cases", 2, "--out", out)
    assert refused.exit_code == 2
    assert "another ensemble (box cells, seed 1)" in refused.output


def test_a_source_that_breaks_is_named(plugins_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    shutil.copytree(plugins_dir, folder)
    broken = folder / BOXES.name / "cases.py"
    text = broken.read_text()
    for line in ("def case(self, ensemble, index):", "def identity(self, ensemble):"):
        assert line in text
        text = text.replace(line, f"{line}\n        1 / 0")
    broken.write_text(text)
    with open_campaign(Wanted("box", plugins_dir=folder)) as campaign:
        with pytest.raises(PluginError, match=r"xctrules_box.*ZeroDivisionError"):
            campaign.identity()
        assert "ZeroDivisionError" in work(campaign, 0)["error"]
