"""The example package: found as a folder and as an installed distribution, and its own tests pass."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from xctrules.engine.registry import load_plugins
from xctrules.rules.cellspec import load_spec

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "xctrules-centre-pin"


def test_as_a_folder() -> None:
    with load_plugins(plugins_dir=EXAMPLE) as registry:
        registry.collect()
    info = next(p for p in registry.plugins if p.name == "xctrules_centre_pin")
    if any(p.source == "entry point" for p in registry.plugins):
        pytest.skip("the package is installed too, and one of the two is left out by right")
    assert info.load_error is None
    assert set(info.measurements) == {"centre_pin.present", "centre_pin.diameter"}
    spec = load_spec("21700-centre-pin", folders=registry.spec_folders, known=registry.measurements)
    assert {rule["measurement"] for rule in spec.rules} >= set(info.measurements)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as pip installs it, in a folder of its own."""
    pytest.importorskip("hatchling", reason="installing without a network needs hatchling")
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run([*pip, "--target", str(folder), str(EXAMPLE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_as_an_installed_distribution(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(site)
    with load_plugins() as registry:
        info = next(p for p in registry.plugins if p.name == "centre-pin")
    version = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]["version"]
    assert (info.source, info.version, info.load_error) == ("entry point", version, None)
    assert info.sha256 and "xctrules_metrics" in info.hooks
    assert "centre-pin" not in [p.name for p in load_plugins(third_party=False).plugins]


def test_its_own_tests_pass(site: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", str(EXAMPLE / "tests")],
        cwd=EXAMPLE, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
