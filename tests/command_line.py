"""The command as tests call it: inside the test's own process, or in one of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from typer.testing import CliRunner, Result

from xctrules.cli.main import app


def run(*args: object) -> Result:
    """``xctrules ARGS`` in this process: quick, and what it calls can be replaced by the test."""
    return CliRunner().invoke(app, [str(a) for a in args])


def command(*args: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """``xctrules ARGS`` as a shell starts it; ``options`` are those of :func:`subprocess.run`."""
    return subprocess.run(
        [sys.executable, "-m", "xctrules", *map(str, args)], capture_output=True, text=True, **options
    )
