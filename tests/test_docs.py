"""The documents say what is so: hooks, links, commands and code blocks."""

from __future__ import annotations

import inspect
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner

from xctrules.cli import main as cli
from xctrules.core import hookspecs
from xctrules.engine.registry import HOOKS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
PLUGIN_GUIDE = ROOT / "docs" / "writing_a_plugin.md"


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.M | re.S)


def commands(path: Path) -> list[list[str]]:
    """Every xctrules command in a document's shell blocks and inline code."""
    text = path.read_text()
    lines = [line for block in blocks(path, "sh") for line in block.splitlines()]
    lines += re.findall(r"`(xctrules [^`\n]*)`", text)
    found = []
    for line in lines:
        for part in line.split("&&"):
            words = shlex.split(part)
            if words and Path(words[0]).name == "xctrules":
                found.append(words[1:])
    return found


def test_every_hook_and_its_arguments_are_documented() -> None:
    text = PLUGIN_GUIDE.read_text()
    for name in HOOKS:
        assert f"`{name}`" in text, f"{name} is not in the guide"
        for argument in inspect.signature(getattr(hookspecs, name)).parameters:
            assert f"`{argument}`" in text, f"argument {argument} of {name} is not in the guide"
    assert set(re.findall(r"`(xctrules_[a-z_]+)`", text)) <= set(HOOKS), "the guide names a hook that is none"


def test_every_attribute_of_a_cell_is_documented() -> None:
    import dataclasses

    from xctrules.core.cell import Cell
    from xctrules.core.measurement import MetricResult

    text = PLUGIN_GUIDE.read_text()
    for field in dataclasses.fields(Cell):
        name = "surfaces" if field.name == "segmentation" else field.name
        assert f"`cell.{name}`" in text, name
    for field in dataclasses.fields(MetricResult):
        assert f"| `{field.name}` |" in text, field.name


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_commands_in_documents_exist(path: Path) -> None:
    """Each subcommand and option that a document shows is one that the command line knows."""
    for words in commands(path):
        known = get_command(cli.app)
        options = {name for option in known.params for name in (*option.opts, *option.secondary_opts)}
        for word in words:
            if word.startswith("--"):
                assert word.split("=")[0] in options | {"--help"}, f"{path.name}: xctrules {' '.join(words)}"
            elif hasattr(known, "commands") and word in known.commands:
                known = known.commands[word]
                options = {name for option in known.params for name in (*option.opts, *option.secondary_opts)}
        assert known.name != get_command(cli.app).name or words[:1] == ["--help"], words


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_python_names_in_documents_exist(path: Path) -> None:
    """Modules, functions and constants that a document names in code, by their whole path."""
    code = [*blocks(path, "python"), *re.findall(r"`([^`\n]+)`", path.read_text())]
    for name in re.findall(r"\bxctrules(?:\.[A-Za-z_]\w*)+(?![\w./])", "\n".join(code)):
        pkgutil.resolve_name(name)


def test_ci_runs_the_readmes_own_commands() -> None:
    """CI takes its commands out of the README, by these words: each must name one line, and no other."""
    lines = [line for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines()]
    script = (ROOT / ".ci" / "run").read_text()
    wanted = re.findall(r'readme_command "([^"]+)"\)', script)
    assert len(wanted) == 2
    for words in wanted:
        assert len([line for line in lines if words in line]) == 1, words


def test_readme_spec_is_one(tmp_path: Path) -> None:
    (text,) = blocks(ROOT / "README.md", "yaml")
    path = tmp_path / f"{yaml.safe_load(text)['name']}.yaml"
    path.write_text(text)
    result = CliRunner().invoke(cli.app, ["specs", "check", str(path)])
    assert result.exit_code == 0, result.output
    assert f"xctrules specs check {path.name}" in (ROOT / "README.md").read_text()


def test_readme_python_runs(tmp_path: Path) -> None:
    """The README's Python on a drawn cell instead of the scan that it names."""
    from xctrules.cylinder.phantom import draw, small

    (code,) = blocks(ROOT / "README.md", "python")
    scan = draw(small(roll_in_view_mm=1.6)).write(tmp_path / "cell")
    named = re.search(r'inspect\("([^"]+)"', code)
    assert named
    names: dict[str, object] = {}
    exec(code.replace(named.group(1), str(scan)), names)
    assert names["result"].verdict  # type: ignore[attr-defined]


def test_readme_exit_codes_are_those_of_the_engine() -> None:
    from xctrules.rules.deciding import EXIT_CODES

    rows = re.findall(r"^\| `([A-Z_]+)` \|.*\| (\d) \|$", (ROOT / "README.md").read_text(), re.M)
    assert {verdict: int(code) for verdict, code in rows} == dict(EXIT_CODES)


def test_plugin_of_the_guide_works_as_written(tmp_path: Path) -> None:
    """Its module in a folder, its spec beside it, and its test, all as they stand in the guide."""
    from xctrules.cylinder.phantom import draw, small

    plugin, test = blocks(PLUGIN_GUIDE, "python")
    (spec,) = blocks(PLUGIN_GUIDE, "yaml")
    (tmp_path / "my-plugins").mkdir()
    (tmp_path / "my-plugins" / "can_height.py").write_text(plugin)
    (tmp_path / "my-plugins" / "test_can_height.py").write_text(test)
    (tmp_path / "tall.yaml").write_text(spec)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_can_height.py"],
        cwd=tmp_path / "my-plugins", capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "my-plugins" / "test_can_height.py").unlink()

    from xctrules import inspect

    scan = draw(small(roll_in_view_mm=1.6)).write(tmp_path / "cell")
    result = inspect(scan, tmp_path / "tall.yaml", plugins_dir=tmp_path / "my-plugins", angles=24)
    outcomes = {check["rule"]: check["outcome"] for check in result.record["checks"]}
    assert outcomes["enough-can"] in ("PASS", "CONDITIONAL_PASS")
    assert "Height of can in view" in result.report_html
