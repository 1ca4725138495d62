"""What is mounted, and how soon ``xctrules`` answers."""

from __future__ import annotations

import subprocess
import sys

import pytest
from command_line import command, run

from xctrules.core.version import __version__

COMMANDS = (
    "inspect",
    "demo",
    "verify",
    "replay",
    "rejudge",
    "specs",
    "plugins",
    "phantom",
    "validate",
    "study",
    "planes",
    "train",
)


def test_help_of_every_command_needs_no_heavy_import() -> None:
    """What is imported is what costs: none of these takes part in answering --help."""
    code = (
        "import sys; sys.argv = ['xctrules', '--help']\n"
        "from xctrules.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "names = {'numpy', 'cv2', 'scipy', 'pydantic', 'jinja2', 'tifffile', 'skimage', 'rich', 'yaml',\n"
        "         'tensorflow', 'ai_edge_litert', 'xctrules.engine', 'xctrules.rules', 'xctrules.cylinder'}\n"
        "heavy = names & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize(
    "name",
    [*((name,) for name in COMMANDS), ("specs", "list"), ("study", "grr"), ("study", "calibrated")],
    ids=" ".join,
)
def test_every_command_has_help(name: tuple[str, ...]) -> None:
    result = run(*name, "--help")
    assert result.exit_code == 0 and "Usage" in result.stdout


@pytest.mark.parametrize("args", [(), ("inspect",), ("inspect", "x"), ("nonsense",), ("verify",)])
def test_wrong_usage_ends_with_2(args: tuple[str, ...]) -> None:
    assert run(*args).exit_code == 2


def test_version() -> None:
    done = command("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"xctrules {__version__}\n", "")
