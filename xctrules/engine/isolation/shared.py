"""Memory that two processes look at: made on this side, opened by name on the other."""

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
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

_F_SEAL_FUTURE_WRITE = 0x10
"""No writing but through what is mapped already (Linux 5.1); the fcntl module has had no name for it."""


@dataclass(frozen=True)
class Place:
    """Where an array lies in a file, or in memory that has a file's name."""

    file: str
    offset: int
    dtype: str
    shape: tuple[int, ...]


class SharedArray:
    """An array in memory that other processes can open by its :attr:`place`.

    Linux has memory with a file's name and no limit but the machine's; elsewhere it is a file in the folder
    for temporary files. Either goes when the last process has closed it.

    Raises
    ------
    MemoryError
        When there is not so much.
    """

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        kind = np.dtype(dtype)
        size = max(1, math.prod(shape) * kind.itemsize)
        try:
            self._file = _sized_file(size)
            self._map = mmap.mmap(self._file.fileno(), size)
        except OSError as error:
            raise MemoryError(f"{size / 1e9:.2f} GB of shared memory cannot be had ({error})") from error
        self.array: NDArray[Any] = np.frombuffer(self._map, kind, math.prod(shape)).reshape(shape)
        """To be filled here."""
        self.place = Place(_name_of(self._file), 0, kind.str, tuple(shape))

    def seal(self) -> None:
        """Let nobody else write to it, where the system can tell its memory to refuse."""
        if sys.platform == "linux":
            import fcntl

            with contextlib.suppress(OSError):
                fcntl.fcntl(self._file.fileno(), fcntl.F_ADD_SEALS, _F_SEAL_FUTURE_WRITE)

    def holds(self, array: NDArray[Any]) -> bool:
        """Whether ``array`` is this one, or a view of all of it."""
        ours, others = (a.__array_interface__["data"][0] for a in (self.array, array))
        return bool(ours == others and self.array.shape == array.shape and array.flags.c_contiguous)

    def close(self) -> None:
        """Give the name up; what is mapped stays until it is let go."""
        with contextlib.suppress(OSError):
            self._file.close()
        if sys.platform != "linux":
            with contextlib.suppress(OSError):
                Path(self.place.file).unlink()


def open_place(place: Place, *, writable: bool = False) -> NDArray[Any]:
    """The array that lies in another process's memory, or in a file.

    Raises
    ------
    OSError, ValueError
        When there is no such file, or it is too short.
    """
    with Path(place.file).open("r+b" if writable else "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(f"{place.file} is no file that can be mapped")
        mode: Literal["r+", "r"] = "r+" if writable else "r"
        mapped: NDArray[Any] = np.memmap(place.file, place.dtype, mode, place.offset, place.shape)
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


def _sized_file(size: int) -> IO[bytes]:
    """A new file of that size, without a name that others could come upon."""
    if sys.platform == "linux":
        import fcntl

        number = os.memfd_create("xctrules", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        file: IO[bytes] = os.fdopen(number, "r+b")
        os.ftruncate(number, size)
        # A process that could make it shorter could end this one with a bus error.
        fcntl.fcntl(number, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        return file
    number, _ = tempfile.mkstemp(prefix="xctrules-")
    os.truncate(number, size)
    return os.fdopen(number, "r+b")


def _name_of(file: IO[bytes]) -> str:
    return f"/proc/{os.getpid()}/fd/{file.fileno()}" if sys.platform == "linux" else str(file.name)
