"""The wheel holds what git knows of, and puts nothing generic beside the user's other packages."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

MOVED = {
    "plugins/": "",
    "specs/": "xctrules/specs/",
    "templates/": "xctrules/templates/",
    "models/": "xctrules/models/",
}


def installed_as(path: str) -> str:
    """Where a file of the repository lies in site-packages."""
    for before, after in MOVED.items():
        if path.startswith(before):
            return after + path.removeprefix(before)
    return path


@pytest.fixture(scope="module")
def tracked() -> set[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("this is no git checkout")
    return {line for line in listed.stdout.splitlines() if (ROOT / line).is_file()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    pytest.importorskip("hatchling", reason="building without a network needs hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return {name for name in zipfile.ZipFile(path).namelist() if not name.endswith("/")}


def test_wheel_holds_exactly_the_tracked_files(wheel: set[str], tracked: set[str]) -> None:
    parts = ("xctrules/", "plugins/", "specs/", "templates/", "models/")
    expected = {installed_as(path) for path in tracked if path.startswith(parts)}
    packed = {name for name in wheel if ".dist-info/" not in name}
    assert expected - packed == set(), "tracked, but not in the wheel"
    assert packed - expected == set(), "in the wheel, but not tracked (commit it, or have git ignore it)"


def test_nothing_generic_in_site_packages(wheel: set[str]) -> None:
    top = {name.split("/")[0] for name in wheel if ".dist-info/" not in name}
    assert top, "an empty wheel"
    assert all(name == "xctrules" or name.startswith("xctrules_") for name in top), top


def test_entry_points_lead_to_packages_of_the_wheel(wheel: set[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for module in project["entry-points"]["xctrules"].values():
        path = module.replace(".", "/")
        assert {f"{path}/__init__.py", f"{path}.py"} & wheel
    assert project["scripts"]["xctrules"] == "xctrules.cli.main:main"


def test_version_is_said_once_and_the_same() -> None:
    from xctrules.core.version import __version__

    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__


def test_typed_marker_and_licence(wheel: set[str]) -> None:
    assert "xctrules/py.typed" in wheel
    assert any(name.endswith("LICENSE") for name in wheel)


def test_repository_names_no_machine_and_no_registry(tracked: set[str]) -> None:
    """Paths and hosts of whoever develops this have no place in it."""
    home, hosts = "/".join(("", "work", "")), ("pypi" + ".org", "pythonhosted" + ".org")
    for path in sorted(tracked):
        data = (ROOT / path).read_bytes()
        if b"\0" in data[:4096]:
            continue
        text = data.decode("utf-8")
        assert home not in text, path
        assert not any(host in text for host in hosts), path
