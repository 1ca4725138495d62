"""The documents say what is so: hooks, links, commands and code blocks."""

from __future__ import annotations

import ast
import html
import inspect
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from command_line import run
from conftest import Demo
from typer.main import get_command

from xctrules.cli import main as cli
from xctrules.core import hookspecs, protocols
from xctrules.cylinder.model_card import models_folder
from xctrules.engine.loading import HOOKS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
PLUGIN_GUIDE = ROOT / "docs" / "writing_a_plugin.md"


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.M | re.S)


def commands(path: Path) -> list[list[str]]:
    """Every xctrules command in a document's shell blocks and inline code."""
    text = path.read_text()
    lines = [line for block in blocks(path, "sh") for line in block.splitlines()]
    lines += [line for line, _ in shown(path)]
    lines += re.findall(r"`(xctrules [^`\n]*)`", text)
    if path.name == "README.md":  # its table leaves out what stands above it
        lines += [f"xctrules {words}" for words in re.findall(r"^\| `([a-z]+[^`\n]*)` \|", text, re.M)]
    found = []
    for line in lines:
        for part in line.split("&&"):
            words = shlex.split(part)
            if words and Path(words[0]).name == "xctrules":
                found.append(words[1:])
    return found


def shown(path: Path) -> list[tuple[str, list[str]]]:
    """The commands that a document shows with what they print, in its order."""
    found: list[tuple[str, list[str]]] = []
    for block in blocks(path, "console"):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ "), []))
            else:
                found[-1][1].append(line)
    return found


FIGURE = re.compile(r"\d+(?:\.\d+)?")


def says_the_same(line: str, printed: str) -> bool:
    """Whether two lines agree, but for the last decimal of a figure: processors differ in the last bit of a
    number, and that may round it the other way."""
    if FIGURE.split(line) != FIGURE.split(printed):
        return False
    for one, other in zip(FIGURE.findall(line), FIGURE.findall(printed), strict=True):
        decimals = len(one.partition(".")[2])
        if abs(float(one) - float(other)) > (1.01 * 10.0**-decimals if decimals else 0):
            return False
    return True


def test_every_hook_and_its_arguments_are_documented() -> None:
    text = PLUGIN_GUIDE.read_text()
    for name in HOOKS:
        assert f"`{name}`" in text, f"{name} is not in the guide"
        for argument in inspect.signature(getattr(hookspecs, name)).parameters:
            assert f"`{argument}`" in text, f"argument {argument} of {name} is not in the guide"
    assert set(re.findall(r"`(xctrules_[a-z_]+)`", text)) <= set(HOOKS), "the guide names a hook that is none"


def test_every_power_of_a_plugin_is_documented() -> None:
    """Each protocol that the engine asks for, with all that it has."""
    text = PLUGIN_GUIDE.read_text()
    own = [each for each in vars(protocols).values() if getattr(each, "__module__", "") == protocols.__name__]
    asked = [each for each in own if getattr(each, "_is_protocol", False)]
    assert len(asked) > 10
    for protocol in asked:
        assert f"`{protocol.__name__}`" in text, protocol
        if getattr(protocol, "_is_runtime_protocol", False):
            for name in (*protocol.__annotations__, *(n for n in vars(protocol) if not n.startswith("_"))):
                assert re.search(rf"`[^`]*\b{name}\b", text), f"{name} of {protocol.__name__}"


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
    """Modules, functions and constants that a document names in code by their whole path, or imports."""
    for block in blocks(path, "python"):
        for line in ast.walk(ast.parse(block)):
            if isinstance(line, ast.ImportFrom) and (line.module or "").startswith("xctrules"):
                for alias in line.names:
                    pkgutil.resolve_name(f"{line.module}:{alias.name}")
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
    result = run("specs", "check", path)
    assert result.exit_code == 0, result.output
    assert any(f"specs check {path.name}" in line for line, _ in shown(ROOT / "README.md"))


def test_readme_python_runs(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = blocks(ROOT / "README.md", "python")
    monkeypatch.chdir(demo.folder)
    names: dict[str, object] = {}
    exec(code, names)
    assert names["result"].verdict in demo.printed  # type: ignore[attr-defined]


@pytest.fixture
def fresh(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a reader stands who has run the demo, and has a model that somebody changed."""
    (tmp_path / "xctrules-demo").symlink_to(demo.folder / "xctrules-demo")
    (tmp_path / "changed").mkdir()
    for suffix in (".json", ".tflite"):
        model = models_folder() / f"overhang_unet{suffix}"
        (tmp_path / "changed" / model.name).write_bytes(model.read_bytes())
    with (tmp_path / "changed" / "overhang_unet.tflite").open("ab") as file:
        file.write(b"\0")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if shown(path)], ids=lambda p: p.name)
def test_commands_print_what_a_document_shows(path: Path, fresh: Path) -> None:
    """Each command as it stands there, one after the other; a line of three dots stands for any lines."""
    for text in blocks(path, "yaml"):
        if name := yaml.safe_load(text).get("name"):
            (fresh / f"{name}.yaml").write_text(text)
    for line, expected in shown(path):
        program, *words = shlex.split(line)
        assert Path(program).name == "xctrules", line
        result = run(*words)
        printed = result.output.splitlines()
        if expected[-1] == "...":
            expected.pop()
            del printed[len(expected) :]
        assert len(printed) == len(expected), f"{line} prints\n{result.output}"
        for told, found in zip(expected, printed, strict=True):
            assert says_the_same(told, found), f"{line} prints\n{result.output}"


def test_the_reading_guide_quotes_the_report_of_the_demo(demo: Demo) -> None:
    """Whatever stands in quotation marks there, and the line of the spec that a rule stands on."""
    (report,) = demo.folder.glob("xctrules-demo/*/report.html")
    bare = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", "", report.read_text(encoding="utf-8"), flags=re.S)
    page = " ".join(html.unescape(bare).split())
    guide = (ROOT / "docs" / "reading_the_report.md").read_text(encoding="utf-8")
    prose = " ".join(re.sub(r"`[^`]*`", "", guide).split())
    quoted = re.findall(r'"([^"]+)"', prose) + re.findall(r"`(\w+\.yaml:\d+)`", guide)
    assert len(quoted) >= 4
    for words in quoted:
        pattern = FIGURE.sub(r"\\d+(?:\\.\\d+)?", re.escape(words).replace(r"\.", "."))
        found = re.findall(pattern, page)
        assert any(says_the_same(words, each) for each in found), words


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
