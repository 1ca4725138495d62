"""Files and folders that are written whole or not at all, and names that can be those of files.

Everything is written under a temporary name beside the final one, flushed to disk, and renamed. Whenever the
program or the machine stops, what stands under the final name is the old or the new, never a mixture.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from xctrules.core.errors import OutputError

_ASIDE = ".replaced"
_LEFT_BEHIND = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


class AlreadyThere(OutputError):
    """Something stands where a folder was to be written that must not be replaced."""


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


def write_folder(
    folder: Path, contents: Mapping[str, bytes], *, replace: bool = True, keep: Sequence[Path] = ()
) -> None:
    """Make ``folder`` hold just ``contents`` (bytes by name, one folder deep), whole or not at all.

    Parameters
    ----------
    replace
        Whether a folder that is there may be replaced.
    keep
        Files of the folder that stay, by their path in it.

    Raises
    ------
    AlreadyThere, OutputError
        As :func:`whole_folder`.
    ValueError
        When a name leads out of the folder.
    """
    with whole_folder(folder, replace=replace) as temporary:
        for name, data in contents.items():
            path = temporary / name
            if not path.resolve().is_relative_to(temporary.resolve()):
                raise ValueError(f"the file name {name!r} leads out of the folder {folder.name}")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        for kept in keep:
            _take_over(folder / kept, temporary / kept)


def _take_over(old: Path, new: Path) -> None:
    """Have a file in both folders: one file with two names where the system can, else a copy."""
    if os.path.lexists(new):
        raise OutputError(
            "a file of this name, which is not the record's, is in the way of one that is",
            where=old,
            todo="Move it elsewhere.",
        )
    new.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(old, new, follow_symlinks=False)
    except OSError:
        shutil.copy2(old, new, follow_symlinks=False)


@contextlib.contextmanager
def whole_file(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """A temporary path to write to, which takes the place of ``path`` once the block has ended well.

    The block should do nothing but write: an ``OSError`` inside it is reported as one of writing ``path``.

    Raises
    ------
    AlreadyThere
        Without ``replace``, when there is such a file already; of two writers at once, the first one wins.
    OutputError
        When it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with _reported(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _sync(temporary)
            if replace:
                temporary.replace(path)
            else:
                _take_free_name(temporary, path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def _take_free_name(temporary: Path, path: Path) -> None:
    """Give a file a name that nothing has; without links, two writers at once are not told apart."""
    taken = "there is such a file already"
    try:
        os.link(temporary, path)
    except FileExistsError as error:
        raise AlreadyThere(taken, where=path) from error
    except OSError:
        if os.path.lexists(path):
            raise AlreadyThere(taken, where=path) from None
        temporary.replace(path)


@contextlib.contextmanager
def whole_folder(folder: Path, *, durable: bool = True, replace: bool = True) -> Iterator[Path]:
    """A new, empty folder to fill, which takes the place of ``folder`` once the block has ended well.

    As :func:`whole_file`; a folder that is there already is removed only when the new one stands. Without
    ``durable``, a stop of the machine may leave files in it cut off: for what can be made anew. What writers
    left beside it that were stopped is removed.

    Raises
    ------
    AlreadyThere
        Without ``replace``, when another writer's folder stands there by then: the first one wins.
    OutputError
        When it cannot be written.
    """
    with _reported(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        finish_interrupted_swap(folder)
        remove_left_behind(folder.parent)
        with _own_folder(folder) as temporary:
            yield temporary
            if durable:
                _sync_tree(temporary)
            _put_in_place(temporary, folder, replace)


@contextlib.contextmanager
def _own_folder(folder: Path) -> Iterator[Path]:
    """A new folder beside ``folder``, locked as long as this process lives and the block lasts."""
    while True:
        temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
        temporary.mkdir()
        lock = _locked(temporary, wait=True)
        if temporary.is_dir():  # else it was taken for left behind before it was locked
            break
        _unlocked(lock)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        _unlocked(lock)


def remove_left_behind(parent: Path) -> None:
    """Remove the temporary folders in ``parent`` whose writers were stopped; those at work hold a lock."""
    with contextlib.suppress(OSError):
        for path in parent.iterdir():
            if not _LEFT_BEHIND.fullmatch(path.name) or path.is_symlink() or not path.is_dir():
                continue
            lock = _locked(path, wait=False)
            if lock is not None:
                shutil.rmtree(path, ignore_errors=True)
                _unlocked(lock)


def _locked(folder: Path, *, wait: bool) -> int | None:
    """A handle that locks a folder; ``None`` where another holds it, or the system has no such locks.

    The lock goes with the process, however that ends.
    """
    try:
        import fcntl
    except ImportError:
        return None
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(handle)
        return None
    return handle


def _unlocked(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


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


def _put_in_place(temporary: Path, folder: Path, replace: bool) -> None:
    """Rename ``temporary`` to ``folder``; a folder that is in the way is removed only afterwards."""
    if not replace or not folder.exists():
        try:
            temporary.rename(folder)  # of two that try, the system lets one
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EACCES) or not folder.exists():
                raise
            raise AlreadyThere("something was written there meanwhile", where=folder) from error
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
        if path.is_symlink():
            continue
        if path.is_dir():
            _sync_tree(path)
        elif path.is_file() and os.access(path, os.W_OK):  # else it is not ours, and was there before
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
