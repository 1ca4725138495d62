"""One hash stands for every module and template, and for nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from xctrules.core.shipped import PACKAGE, shipped_folder, source_sha256


def hash_of_copy(folder: Path) -> str:
    code = "from xctrules.core.shipped import source_sha256; print(source_sha256())"
    run = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(folder)!r}); {code}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return run.stdout.strip()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The package as a wheel installs it: its templates inside it."""
    shutil.copytree(PACKAGE, tmp_path / "xctrules", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(shipped_folder("templates"), tmp_path / "xctrules" / "templates", dirs_exist_ok=True)
    return tmp_path


def test_checkout_and_installed_package_have_the_same_hash(copied: Path) -> None:
    assert hash_of_copy(copied) == source_sha256()


@pytest.mark.parametrize("name", ["rules/deciding.py", "cylinder/frame.py", "templates/report.html.j2"])
def test_any_change_of_code_or_template_changes_it(copied: Path, name: str) -> None:
    file = copied / "xctrules" / name
    file.write_text(file.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert hash_of_copy(copied) != source_sha256()


def test_compiled_files_do_not_change_it(copied: Path) -> None:
    (copied / "xctrules" / "__pycache__").mkdir()
    (copied / "xctrules" / "__pycache__" / "x.cpython-311.pyc").write_bytes(b"\0")
    assert hash_of_copy(copied) == source_sha256()
