"""Memory that two processes look at: made on this side, handed to the other."""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import stat
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_F_SEAL_FUTURE_WRITE = 0x10
"""No writing but through what is mapped already (Linux 5.1); the fcntl module has had no name for it."""


@dataclass(frozen=True)
class Place:
    """Where an array lies in a file."""

    file: str
    offset: int
    dtype: str
    shape: tuple[int, ...]


class SharedArray:
    """An array in memory that other processes can be handed.

    Linux has memory that is handed on as an open file is, with no limit but the machine's. Elsewhere it is a
    file in the folder for temporary files.

    Raises
    ------
    MemoryError
        When there is not so much.
    """

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        kind = np.dtype(dtype)
        size = max(1, math.prod(shape) * kind.itemsize)
        try:
            self._file, self.name = _sized_file(size)
            self.array: NDArray[Any] = array_on(self._file.fileno(), kind, shape, writable=True)
            """To be filled here."""
        except OSError as error:
            raise MemoryError(f"{size / 1e9:.2f} GB of shared memory cannot be had ({error})") from error
        self.sealed = False

    @property
    def descriptor(self) -> int:
        """Of the open file."""
        return self._file.fileno()

    def seal(self) -> None:
        """Let nobody else write to it, where the system can tell its memory to refuse."""
        self.sealed = True
        if sys.platform == "linux":
            import fcntl

            with contextlib.suppress(OSError):
                fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, _F_SEAL_FUTURE_WRITE)

    def holds(self, array: NDArray[Any]) -> bool:
        """Whether ``array`` is this one, or a view of all of it."""
        ours, others = (a.__array_interface__["data"][0] for a in (self.array, array))
        return bool(ours == others and self.array.shape == array.shape and array.flags.c_contiguous)

    def close(self) -> None:
        """Hand it to nobody any more; what is mapped stays until it is let go."""
        with contextlib.suppress(OSError):
            self._file.close()
            if self.name is not None:
                Path(self.name).unlink()


def array_on(descriptor: int, dtype: DTypeLike, shape: tuple[int, ...], *, writable: bool) -> NDArray[Any]:
    """The array that lies in an open file, from its beginning."""
    kind, count = np.dtype(dtype), math.prod(shape)
    access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
    mapped = mmap.mmap(descriptor, max(1, count * kind.itemsize), access=access)
    return np.frombuffer(mapped, kind, count).reshape(shape)


def open_place(place: Place) -> NDArray[Any]:
    """The array that lies in a file; it cannot be written to.

    Raises
    ------
    OSError, ValueError
        When there is no such file, or it is too short.
    """
    with Path(place.file).open("rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(f"{place.file} is no file that can be mapped")
        mapped: NDArray[Any] = np.memmap(file.name, place.dtype, "r", place.offset, place.shape)
        return mapped


def place_of(array: NDArray[Any]) -> Place | None:
    """Where the file lies that an array is a read-only map of, so that others can map it as well.

    ``None`` for any other array, and where the system does not tell (it does on Linux).
    """
    if sys.platform != "linux" or array.size == 0 or not array.flags.c_contiguous:
        return None
    start = int(array.__array_interface__["data"][0])
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, rights, offset, _, inode, *name = line.split(maxsplit=5)
        first, end = (int(address, 16) for address in span.split("-"))
        if first <= start and start + array.nbytes <= end:
            if "w" in rights or not name or not _is_file(name[0], int(inode)):
                return None
            return Place(name[0], int(offset, 16) + start - first, array.dtype.str, array.shape)
    return None


def _is_file(name: str, inode: int) -> bool:
    """Whether this is still the file that was mapped."""
    try:
        return name.startswith("/") and os.stat(name).st_ino == inode  # noqa: PTH116 - no path is built
    except OSError:
        return False


def _sized_file(size: int) -> tuple[IO[bytes], str | None]:
    """A new file of that size, and its name where others need one to open it."""
    if sys.platform == "linux":
        import fcntl

        number = os.memfd_create("xctrules", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(number, size)
        # A process that could make it shorter could end this one with a bus error.
        fcntl.fcntl(number, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        return os.fdopen(number, "r+b"), None
    number, name = tempfile.mkstemp(prefix="xctrules-")
    os.truncate(number, size)
    return os.fdopen(number, "r+b"), name
