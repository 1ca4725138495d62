"""The measurement guide explains every measurement and every line of a budget, with the code's constants."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

from xctrules.core.measurement import VOXEL_SCALE
from xctrules.core.names import place_of
from xctrules.cylinder.geometry import ENDS
from xctrules.cylinder.phantom import Dent, NegativeOverhang, draw, small
from xctrules.engine.registry import load_plugins
from xctrules.engine.run_metric import run_metric
from xctrules.engine.testing import phantom_cell

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "measurement_guide.md"
PLUGINS = sorted((ROOT / "plugins").glob("xctrules_*"))


def rows(width: int) -> list[list[str]]:
    """Cells of all table rows of the guide that have ``width`` columns."""
    lines = re.findall(r"^\|(.*)\|$", GUIDE.read_text(encoding="utf-8"), re.M)
    split = [[cell.strip() for cell in line.split(" | ")] for line in lines]
    return [row for row in split if len(row) == width]


def budget_lines() -> set[tuple[str, str]]:
    """(source, type) of every budget line that the guide explains."""
    return {(source, kind) for source, kind, _, meaning in rows(4) if kind in ("A", "B") and meaning}


def defined() -> set[str]:
    """Measurements that have a row of their own, or share one, in a table of two columns."""
    return {name for row in rows(2) for name in re.findall(r"`([a-z_]+\.[a-z_.]+)`", row[0])}


def declared() -> set[str]:
    return set(load_plugins(third_party=False).measurements)


def test_everything_that_bundled_metrics_declare_is_defined() -> None:
    wanted = {name for name in declared() if place_of(name, ENDS) is None}
    assert wanted <= defined(), sorted(wanted - defined())
    text = GUIDE.read_text(encoding="utf-8")
    assert all(f"`overhang.{end}.…`" in text for end in ENDS)


def test_what_the_guide_defines_exists() -> None:
    assert defined() <= declared(), sorted(defined() - declared())


def test_every_budget_line_of_a_drawn_cell_is_explained() -> None:
    spec = small(
        dents=(Dent(depth_mm=0.1),),
        negative_overhangs=(NegativeOverhang(turn=4, theta_deg=100.0, width_deg=20.0, length_mm=-0.1),),
    )
    cell, _ = phantom_cell(draw(spec), angles=180, nominal_mm={"outer_diameter": spec.outer_diameter_mm})
    found = load_plugins(third_party=False)
    outcomes = [run_metric(provided, cell) for provided in (*found.screens, *found.metrics)]
    assert not [failure for outcome in outcomes for failure in outcome.failures]
    budgets = {m.name: m.budget for outcome in outcomes for m in outcome.measurements if m.value is not None}
    for group in ("canister", "overhang", "winding", "screening", "segmentation"):
        assert any(budgets[name] for name in budgets if name.startswith(group)), group
    used = {(line.source, line.type) for budget in budgets.values() for line in budget}
    assert used <= budget_lines(), sorted(used - budget_lines())


def sources(path: Path) -> set[str]:
    """First arguments of all ``Contribution(...)`` of a module that are plain text."""
    calls = (
        node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
    )
    return {
        str(call.args[0].value)
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "Contribution"
        and call.args and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    }  # fmt: skip


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_every_budget_line_of_the_code_is_explained(plugin: Path) -> None:
    """Those of rare branches too, which no one phantom goes through."""
    used = {source for path in plugin.glob("*.py") for source in sources(path)}
    explained = {source for source, _ in budget_lines()}
    assert used, "the plugin's budgets were not found: this test looks for the wrong thing"
    assert used <= explained, sorted(used - explained)


def test_the_guide_explains_no_line_that_is_gone() -> None:
    used = {source for plugin in PLUGINS for path in plugin.glob("*.py") for source in sources(path)}
    explained = {source for source, _ in budget_lines()}
    assert explained <= used | {VOXEL_SCALE}, sorted(explained - used)


def test_constants_are_those_of_the_code() -> None:
    table = [row for row in rows(3) if re.fullmatch(r"`xctrules[\w.]+`", row[0])]
    assert len(table) > 20
    for name, value, reason in table:
        module, _, constant = name.strip("`").rpartition(".")
        assert getattr(importlib.import_module(module), constant) == float(value), name
        assert reason, name
