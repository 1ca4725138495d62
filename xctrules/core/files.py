"""Files and folders that are written whole or not at all, and names that can be those of files.

Everything is written under a temporary name beside the final one, flushed to disk, and renamed. Whenever the
program or the machine stops, what stands under the final name is the old or the new, never a mixture.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from xctrules.core.errors import OutputError

_ASIDE = ".replaced"


def is_pipe_or_device(path: Path) -> bool:
    """Whether something is there that is neither file nor folder: to read it may never end."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def safe_file_stem(text: str) -> str:
    """``text`` with everything but letters, digits, dot, dash and underscore replaced by a dash."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in text).strip(".-")
    return kept[:80] or "unnamed"


def write_file(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, whole or not at all; a file that is there already is replaced.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write several files, each whole or not at all, in their order.

    All of them are on disk before the first takes its place, so that nothing is replaced when one cannot be
    written.

    Raises
    ------
    OutputError
        When one cannot be written.
    """
    with contextlib.ExitStack() as stack:
        for path, data in reversed(list(contents.items())):  # what is entered last takes its place first
            stack.enter_context(whole_file(path)).write_bytes(data)


def write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Make ``folder`` hold just ``contents`` (bytes by name, one folder deep), whole or not at all.

    Raises
    ------
    OutputError
        When it cannot be written.
    ValueError
        When a name leads out of the folder.
    """
    with whole_folder(folder) as temporary:
        for name, data in contents.items():
            path = temporary / name
            if not path.resolve().is_relative_to(temporary.resolve()):
                raise ValueError(f"the file name {name!r} leads out of the folder {folder.name}")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path to write to, which takes the place of ``path`` once the block has ended well.

    The block should do nothing but write: an ``OSError`` inside it is reported as one of writing ``path``.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with _reported(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _sync(temporary)
            temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(folder: Path, *, durable: bool = True) -> Iterator[Path]:
    """A new, empty folder to fill, which takes the place of ``folder`` once the block has ended well.

    As :func:`whole_file`; a folder that is there already is removed only when the new one stands. Without
    ``durable``, a stop of the machine may leave files in it cut off: for what can be made anew.
    """
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    with _reported(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        finish_interrupted_swap(folder)
        try:
            temporary.mkdir()
            yield temporary
            if durable:
                _sync_tree(temporary)
            _put_in_place(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def finish_interrupted_swap(folder: Path) -> None:
    """Bring back the old folder where a machine without atomic exchange stopped between two renames."""
    old = _aside(folder)
    if old.is_dir() and not folder.exists():
        old.rename(folder)


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Errors of the file system as one sentence that says what to do."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"cannot be written ({error.strerror or error})",
            where=error.filename or path,
            todo="Check the path, its permissions and the free space, or give another --out.",
        ) from error


def _put_in_place(temporary: Path, folder: Path) -> None:
    """Rename ``temporary`` to ``folder``; a folder that is in the way is removed only afterwards."""
    if not folder.exists():
        temporary.rename(folder)
    elif _exchange(temporary, folder):
        pass  # the old folder now has the temporary name and is removed by the caller
    else:
        old = _aside(folder)
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
        try:
            temporary.rename(folder)
        except OSError:
            old.rename(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)
    _sync_folder(folder.parent)


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}{_ASIDE}")


def _exchange(a: Path, b: Path) -> bool:
    """Swap two folders in one step (Linux, ``renameat2``); ``False`` where the system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    try:
        swap = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):
        return False
    return int(swap(here, os.fsencode(a), here, os.fsencode(b), exchange)) == 0


def _sync_tree(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            _sync_tree(path)
        else:
            _sync(path)
    _sync_folder(folder)


def _sync(path: Path) -> None:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Make renames in a folder last; not every system lets a folder be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
