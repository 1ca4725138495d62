"""One writer at a time: a lock that goes with its process, however that ends."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from xctrules.core.errors import OutputError
from xctrules.records.archive.layout import LOCK


@contextlib.contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Wait until no other process on this machine writes to the archive, and keep all others out.

    Raises
    ------
    OutputError
        When the file system knows no locks, or the archive may not be written.
    """
    try:
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise _cannot(folder, error) from error
    try:
        try:
            _wait_for(handle)
        except OSError as error:
            raise _cannot(folder, error) from error
        yield
    finally:
        os.close(handle)


def _cannot(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"the archive cannot be locked for writing ({error.strerror or error})",
        where=folder,
        todo="Check its permissions, and that it lies on a disk of this machine.",
    )


if sys.platform == "win32":

    def _wait_for(handle: int) -> None:
        import msvcrt

        while True:
            try:
                return msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            except PermissionError:  # another one has it
                time.sleep(0.02)

else:

    def _wait_for(handle: int) -> None:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX)
