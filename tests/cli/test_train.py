"""``xctrules train``: options that mean nothing are refused in one line, before any work."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import run
from training_planes import stripes, write

needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow, the extra “train”, is not installed"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for i in range(5):
        write(folder, f"cell_{i}", *stripes(6, seed=i))
    return folder


@needs_tensorflow
@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--loss", "l2", "no loss"),
        ("--epochs", 0, "out of range"),
        ("--minutes", -1, "out of range"),
        ("--augment", "fog=1", "no setting"),
        ("--augment", "noise=much", "no setting"),
        ("--augment", "noise=9", "out of range"),
        ("--from", "nowhere.keras", "no such model"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    data: Path, tmp_path: Path, option: str, value: object, words: str
) -> None:
    result = run("train", data, "--out", tmp_path / "models" / "m", option, value)
    assert result.exit_code == 2 and words in result.stderr and "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_tensorflow_one_line_says_how_to_get_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    result = run("train", data, "--out", tmp_path / "m")
    assert result.exit_code == 2 and 'pip install "xctrules[train]"' in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_help_imports_no_tensorflow() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from xctrules.cli import main as cli;"
        "r = CliRunner().invoke(cli.app, ['train', '--help']);"
        "print(r.exit_code, 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "False"]
