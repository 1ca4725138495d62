"""What all tests share: where the real scans are, and how to skip without them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from command_line import command

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Demo:
    """What ``xctrules demo`` made, in a folder of its own, and what it printed."""

    folder: Path
    printed: str
    exit_code: int


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """``xctrules demo`` as a user runs it, once for all tests that look at what it makes."""
    folder = tmp_path_factory.mktemp("demo")
    done = command("demo", cwd=folder)
    assert not done.stderr, done.stderr
    return Demo(folder, done.stdout, done.returncode)


def shared_data(name: str) -> Path:
    """Path of a real scan that stands beside the checkout; skips the test where it is absent."""
    path = SHARED_DATA / name
    if not path.exists():
        pytest.skip(f"real scan {name} is not beside this checkout")
    return path
