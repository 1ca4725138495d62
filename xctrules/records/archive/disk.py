"""All that a writer of the archive does to the file system, in steps that last.

A file's bytes last once they were flushed, and its name once its folder was: both are done here or asked for
by name, so that a test can stop the machine between any two steps and look at what would be left.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


class Disk:
    """The file system under an archive."""

    def at_once(self, do: Callable[[T], None], of: Sequence[T]) -> None:
        """Do the same to several things, in any order; all have ended when this returns or raises."""
        with ThreadPoolExecutor(min(8, len(of) or 1)) as threads:
            for _ in threads.map(do, of):
                pass

    def make_folder(self, path: Path) -> None:
        """Make a folder whose parent is there; its name lasts once the parent is synced."""
        path.mkdir(exist_ok=True)

    def create(self, path: Path, data: bytes) -> None:
        """Write a new file, its bytes flushed; its name lasts once its folder is synced.

        Raises
        ------
        FileExistsError
            When there is such a file: none is ever written over.
        """
        with path.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())

    def rename(self, path: Path, target: Path) -> None:
        """Let a file take another one's place; lasts once the folder is synced."""
        path.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file or a folder with all that it holds; lasts once the folder around it is synced."""
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder last; not every system lets a folder be opened."""
        if os.name != "posix":
            return
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def create_all(disk: Disk, root: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write new files below ``root``, with the folders that they need, so that all of it lasts.

    Files are flushed at the same time: a disk that is asked for several at once waits once for all of them.
    """
    touched: set[Path] = set()
    paths = [(root / name, data) for name, data in files]
    for path, _ in paths:
        _make_folders(disk, root, path.parent, touched)
        touched.add(path.parent)
    disk.at_once(lambda each: disk.create(*each), paths)
    disk.at_once(disk.sync_folder, sorted(touched, key=lambda p: len(p.parts), reverse=True))


def _make_folders(disk: Disk, root: Path, folder: Path, touched: set[Path]) -> None:
    if folder == root or folder.is_dir():
        return
    _make_folders(disk, root, folder.parent, touched)
    disk.make_folder(folder)
    touched.add(folder.parent)


def put_in_place(disk: Disk, path: Path, data: bytes, unfinished: str) -> None:
    """Write a file that may be there already, the old one or the new one at any moment, so that it lasts."""
    temporary = path.with_name(path.name + unfinished)
    disk.remove(temporary)
    disk.create(temporary, data)
    disk.rename(temporary, path)
    disk.sync_folder(path.parent)


def remove_all(disk: Disk, root: Path, names: Iterable[str]) -> None:
    """Remove files and folders below ``root``, so that it lasts; what is not there is left at that."""
    touched = set()
    for name in names:
        path = root / name
        if os.path.lexists(path):
            disk.remove(path)
            touched.add(path.parent)
    for folder in touched:
        with contextlib.suppress(FileNotFoundError):
            disk.sync_folder(folder)
