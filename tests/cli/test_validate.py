"""``xctrules validate``: it measures, goes on where it was, and refuses what makes no sense."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from command_line import run as xctrules

from xctrules.campaigns.validation.campaign import Wanted, open_campaign
from xctrules.campaigns.validation.folder import CASES_NAME
from xctrules.campaigns.validation.run import work


def test_the_command_measures_draws_and_resumes(tmp_path: Path) -> None:
    out = tmp_path / "validation"
    # a seed whose first cases are small
    arguments = ["validate", "--short", "--seed", "35", "--out", str(out), "--workers", "2", "--cases"]
    first = xctrules(*arguments, "2")
    assert first.exit_code in (0, 1), first.output
    lines = (out / CASES_NAME).read_text().splitlines()
    second = xctrules(*arguments, "3", "--json")
    assert second.exit_code in (0, 1), second.output
    assert (out / CASES_NAME).read_text().splitlines()[:2] == lines  # kept, not measured again
    found = json.loads((out / "validation.json").read_text())
    assert json.loads(second.stdout) == found
    assert found["cases"]["n"] == 3
    assert not found["errors"], found["errors"]
    assert found["holds"] is (second.exit_code == 0)
    # the same bytes again from one process, since a case follows from its index
    with open_campaign(Wanted("cylindrical", seed=35, short=True)) as campaign:
        alone = work(campaign, 0)
    held = next(row for row in map(json.loads, lines) if row["index"] == 0)
    differing = {n for n, m in alone["measurements"].items() if m != held["measurements"].get(n)}
    assert not differing

    html = (out / "validation.html").read_text()
    assert not re.search(r'(?:src|href)="(?!#|data:)', html)
    for picture in re.findall(r"<svg[^>]*>|<img[^>]*>", html):
        assert re.search(r'(?:aria-label|alt)="[^"]{10,}"', picture), picture
    other = xctrules(*arguments, "2", "--seed", "5")  # the last --seed counts
    assert other.exit_code == 2
    assert "another ensemble" in other.output


def test_a_geometry_that_nobody_draws_is_refused(tmp_path: Path) -> None:
    result = xctrules("validate", "--geometry", "pouch", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "no plugin draws an ensemble of pouch cells" in result.output
    assert "cylindrical" in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "wrong", [["--cases", "0"], ["--workers", "0"], ["--seed", "-1"]], ids=["cases", "workers", "seed"]
)
def test_senseless_options_are_refused(tmp_path: Path, wrong: list[str]) -> None:
    result = xctrules("validate", "--out", tmp_path / "out", *wrong)
    assert result.exit_code == 2
    assert wrong[0] in result.output
