"""Every line of a budget comes from a function of its own that says what it is and of which type."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
BUDGETS = sorted(PLUGINS.glob("xctrules_*/budget.py"))
OTHERS = sorted(set(PLUGINS.glob("xctrules_*/*.py")) - set(BUDGETS))


def lines(tree: ast.AST) -> list[ast.Call]:
    """All calls of ``Contribution``."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Contribution"]


def stated_type(call: ast.Call) -> str:
    """``A`` unless the call says otherwise, as in the class itself."""
    given = [k.value.value for k in call.keywords if k.arg == "type" and isinstance(k.value, ast.Constant)]
    return str(given[0]) if given else "A"


@pytest.mark.parametrize("path", BUDGETS, ids=lambda path: path.parent.name)
def test_each_function_of_a_budget_says_its_type_and_gives_that(path: Path) -> None:
    functions = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
    found = [(function, call) for function in functions for call in lines(function)]
    assert found, "the lines were not found: this test looks for the wrong thing"
    for function, call in found:
        said = re.findall(r"\bType ([AB])\.", ast.get_docstring(function) or "")
        assert said == [stated_type(call)], f"{function.name} says type {said}"


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_line_is_made_up_on_the_spot(path: Path) -> None:
    assert not lines(ast.parse(path.read_text())), "lines of a budget belong into the plugin's budget.py"
