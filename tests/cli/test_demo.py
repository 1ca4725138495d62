"""``xctrules demo``: the whole way, with the truth beside what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import run
from conftest import Demo

from xctrules.cylinder.phantom import draw, small
from xctrules.engine import phantoms


def test_demo_goes_the_whole_way_and_shows_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = draw(small(roll_in_view_mm=1.6))  # the demo's own cell takes many seconds
    monkeypatch.setattr(phantoms, "draw_phantom", lambda *args: drawn)
    result = run("demo", "--out", tmp_path / "demo")
    assert result.exit_code == 3, result.output  # the small cell is no 21700, and screening says so
    row = next(line for line in result.stdout.splitlines() if line.startswith("canister.outer_diameter"))
    assert f"{drawn.truth['measurements']['canister.outer_diameter']:.4g} mm" in row
    verified = run("verify", tmp_path / "demo")
    assert verified.exit_code == 0
    (followed,) = (line for line in verified.stdout.splitlines() if "follow from their samples" in line)
    for name in ("canister.outer_diameter", "canister.wall_thickness.std", "winding.rms_error"):
        assert name in followed
    for statistic in (
        "length.mean",
        "length.min",
        "length.std",
        "deflection.max_abs",
        "count",
        "base_height.range",
    ):
        assert f"overhang.{statistic}" in followed and f"overhang.top.{statistic}" in followed
    assert run("demo", "--out", tmp_path / "demo").exit_code == result.exit_code, (
        "a second run must not stumble"
    )


def test_the_demo_ends_with_a_signed_certificate_and_the_command_that_checks_it(
    demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = (line for line in demo.printed.splitlines() if line.startswith("To check all of it: xctrules "))
    (page,) = (line.split()[1] for line in demo.printed.splitlines() if line.startswith("Certificate "))
    monkeypatch.chdir(demo.folder)
    assert "it certifies nothing" in Path(page).read_text(encoding="utf-8")
    verified = run(*line.split("xctrules ", 1)[1].split())
    assert verified.exit_code == 0, verified.output
    assert "signed: released by demo-key" in verified.stdout
    assert "shows this record and its signatures" in verified.stdout


def test_the_demos_own_cell_passes_and_every_interval_holds_its_truth(demo: Demo) -> None:
    assert demo.exit_code == 0
    rows = demo.printed[demo.printed.index("Interval covers the truth") :].splitlines()[1:]
    assert len(rows) >= 10 and all(row.endswith(" yes") for row in rows), demo.printed
