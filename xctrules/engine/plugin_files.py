"""Where plugins come from: entry points, folders, files and their hashes. Nothing is imported to tell."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from xctrules.bundled import BUNDLED

GROUP = "xctrules"
Source = Literal["bundled", "entry point", "folder"]


@dataclass(frozen=True)
class PluginFiles:
    """A plugin that was found, before anything of it is imported.

    Attributes
    ----------
    distribution
        That the entry point belongs to; ``None`` for a plugin from a folder.
    target
        What to import: an entry point's value (``module`` or ``module:attribute``), or a file's path.
    sha256
        Over the list ``sha256  name`` of all files of its package, sorted by name; ``None`` when not found.
    """

    name: str
    source: Source
    target: str
    version: str | None = None
    distribution: str | None = None
    sha256: str | None = None

    @property
    def module(self) -> str:
        """The module that an entry point names."""
        return self.target.partition(":")[0].strip()

    @property
    def package(self) -> str:
        """The top-level package that this module lies in."""
        return self.module.partition(".")[0]


def bundled_plugins() -> list[PluginFiles]:
    """The plugins of the distribution ``xctrules``, in the order of the report's sections."""
    order = {name: i for i, name in enumerate(BUNDLED)}
    points = [point for point in _entry_points() if _is_bundled(point)]
    points.sort(key=lambda point: order.get(point.name, len(order)))
    return [_of_entry_point(point, "bundled") for point in points]


def installed_plugins() -> list[PluginFiles]:
    """The plugins of other installed distributions, by name."""
    points = [point for point in _entry_points() if not _is_bundled(point)]
    points.sort(key=lambda point: (point.name, point.value))
    return [_of_entry_point(point, "entry point") for point in points]


def plugins_in_folder(folder: Path) -> list[PluginFiles]:
    """The modules (``NAME.py``) and packages (``NAME/__init__.py``) in a folder, by name.

    Names that begin with a dot or underscore are passed over.
    """
    found = []
    for path in _modules_in(folder):
        files = path.parent if path.name == "__init__.py" else path
        found.append(PluginFiles(files.stem, "folder", str(path.resolve()), sha256=hash_of_files(files)))
    return found


def _entry_points() -> list[importlib.metadata.EntryPoint]:
    return list(importlib.metadata.entry_points(group=GROUP))


def _is_bundled(point: importlib.metadata.EntryPoint) -> bool:
    return point.dist is not None and point.dist.name.lower() == "xctrules"


def _of_entry_point(point: importlib.metadata.EntryPoint, source: Source) -> PluginFiles:
    distribution = None if point.dist is None else point.dist.name
    version = None if point.dist is None else point.dist.version
    files = PluginFiles(point.name, source, point.value, version, distribution)
    # A part of xctrules itself that is a plugin is hashed by itself: the rest is not the plugin's.
    part = files.module.rpartition(".")[0] if files.package == "xctrules" else files.package
    return dataclasses.replace(files, sha256=_hash_of_package(part))


def _modules_in(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "_")):
            continue
        if path.is_dir() and (path / "__init__.py").is_file():
            yield path / "__init__.py"
        elif path.suffix == ".py":
            yield path


def _hash_of_package(name: str) -> str | None:
    """Hash of a package or module; ``None`` when it is not found."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):  # AttributeError: a loaded module with an odd __spec__
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return hash_of_files(*(Path(p) for p in spec.submodule_search_locations))
    return hash_of_files(Path(spec.origin)) if spec.origin else None


def hash_of_files(*paths: Path) -> str | None:
    """SHA-256 of the list ``sha256  name`` of files, sorted by name; compiled files do not count."""
    listed: list[tuple[str, Path]] = []
    for path in paths:
        if path.is_file():
            listed.append((path.name, path))
            continue
        for file in path.rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts and file.suffix not in (".pyc", ".pyo"):
                listed.append((file.relative_to(path.parent).as_posix(), file))
    if not listed:
        return None
    try:
        hashed = [(hashlib.sha256(file.read_bytes()).hexdigest(), name) for name, file in sorted(listed)]
    except OSError:
        return None
    return hashlib.sha256("".join(f"{digest}  {name}\n" for digest, name in hashed).encode()).hexdigest()
