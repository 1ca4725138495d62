"""One pass over a scan's slices, and where they are from then on.

Each slice is read once: hashed and decoded by its source, checked here. They stay in the file where they lie
there as they are used, come into memory where there is room for them, and are read again whenever one is
asked for where there is not. What is measured is the same in all three.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from xctrules.core.errors import ScanError
from xctrules.core.progress import Progress
from xctrules.core.slices import (
    ArraySlices,
    Mapped,
    Rereadable,
    Scan,
    Slices,
    SlicesOnDemand,
    Volume,
    VolumeSource,
)
from xctrules.scans.checks import Values
from xctrules.scans.greys import Replaced

Empty = Callable[[tuple[int, int, int], np.dtype[Any]], Volume]
"""Makes an array of that shape, not yet filled."""

STAGE = "reading the scan"
"""What goes on, in the words of a progress bar."""


def read(
    source: VolumeSource,
    shape: tuple[int, int, int],
    path: Path,
    mask: bool,
    progress: Progress,
    memory_limit_bytes: int | None,
    empty: Empty | None = None,
) -> Replaced:
    """All slices, each read once and checked on the way; without values that are no grey values.

    Parameters
    ----------
    shape
        (nz, ny, nx), as it was checked.
    path
        Named in errors.
    mask
        Whether there must be two values, and no more.
    progress
        Called after each slice.
    memory_limit_bytes
        Memory that the slices may take; without it what the machine has to spare.
    empty
        Makes the array that they come into, or raises MemoryError or ValueError; numpy's where not given.

    Raises
    ------
    ScanError
        When a slice cannot be read, is missing or too many, or holds what no scan does; when they do not fit
        into memory and cannot be read again.
    """
    place = _place_for(source, shape, path, memory_limit_bytes, empty)
    check = Values(path, mask, shape[0])
    done = 0
    try:
        for k, image in enumerate(source.slices()):
            if k >= shape[0] or image.shape != shape[1:]:
                raise ScanError(f"slice {k + 1} has the shape {image.shape}, not {shape[1:]}", where=path)
            check.add(place.put(k, image), k)
            done = k + 1
            progress(STAGE, done, shape[0])
    except (ScanError, KeyboardInterrupt):
        raise
    except Exception as error:
        raise _unreadable(done, error, path) from error
    if done != shape[0]:
        raise ScanError(f"only {done} of {shape[0]} slices are there", where=path)
    check.finish()
    return check.replaced(place.slices())


def as_read(scan: Scan) -> Scan:
    """A scan that is in memory, with the grey values that it would have were it written and read again.

    Raises
    ------
    ScanError
        When it holds what no scan does.
    """
    check = Values(scan.path, False, len(scan.slices))
    for k in range(len(scan.slices)):
        check.add(scan.slices[k], k)
    check.finish()
    read = check.replaced(scan.slices)
    return replace(scan, slices=read.slices, greys=read.parameters, warnings=(*scan.warnings, *read.warnings))


def _unreadable(k: int, error: Exception, path: Path) -> ScanError:
    problem = str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
    return ScanError(f"slice {k + 1} cannot be read ({' '.join(problem.split())})", where=path)


# --- where they are --------------------------------------------------------------------------------------


class _Place(Protocol):
    def put(self, k: int, image: Volume) -> Volume:
        """Take slice ``k`` and give it back as it will be handed out."""
        ...

    def slices(self) -> Slices: ...


def _place_for(
    source: VolumeSource,
    shape: tuple[int, int, int],
    path: Path,
    limit_bytes: int | None,
    empty: Empty | None,
) -> _Place:
    """The quickest place that there is room for."""
    if isinstance(source, Mapped) and source.mapped is not None:
        if source.mapped.shape != shape:
            raise ScanError(f"the shape is {shape}, but {source.mapped.shape} is mapped", where=path)
        return _InFile(source.mapped)
    dtype = np.dtype(np.uint8) if source.dtype == bool else np.dtype(source.dtype).newbyteorder("=")
    needed = math.prod(shape) * dtype.itemsize
    available = available_memory_bytes() if limit_bytes is None else limit_bytes
    fits = available is None or needed <= available
    if fits:
        with suppress(MemoryError, ValueError):  # numpy: ValueError when it exceeds the address space
            return _InMemory((empty or np.empty)(shape, dtype))
    if isinstance(source, Rereadable):
        return _OnDemand(source, shape, dtype, path)
    room = "which is not available" if fits or available is None else f"{available / 1e9:.2f} GB is available"
    raise ScanError(
        f"the volume needs {needed / 1e9:.2f} GB of memory, {room}",
        where=path,
        todo="Crop it, save it with 8 bits, or as TIFF, which need not be in memory.",
    )


class _InFile:
    """On the mapped file itself."""

    def __init__(self, mapped: Volume) -> None:
        self._mapped = mapped

    def put(self, k: int, image: Volume) -> Volume:
        slice_in_file: Volume = self._mapped[k]
        return slice_in_file

    def slices(self) -> Slices:
        return ArraySlices(self._mapped)


class _InMemory:
    """In one array."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume

    def put(self, k: int, image: Volume) -> Volume:
        self._volume[k] = image
        kept: Volume = self._volume[k]
        return kept

    def slices(self) -> Slices:
        return ArraySlices(self._volume)


class _OnDemand:
    """In files that are read again whenever a slice is asked for.

    What comes then must be what was hashed and checked now, whatever became of the files in between.
    """

    def __init__(
        self, source: Rereadable, shape: tuple[int, int, int], dtype: np.dtype[Any], path: Path
    ) -> None:
        self._source, self._shape, self._dtype, self._path = source, shape, dtype, path
        self._digests: list[bytes] = []

    def put(self, k: int, image: Volume) -> Volume:
        kept = np.ascontiguousarray(image, self._dtype)
        self._digests.append(_digest(kept))
        return kept

    def slices(self) -> Slices:
        return SlicesOnDemand(self._again, self._shape, self._dtype)

    def _again(self, k: int) -> Volume:
        try:
            image = np.ascontiguousarray(self._source.read_slice(k), self._dtype)
        except ScanError:
            raise
        except Exception as error:
            raise _unreadable(k, error, self._path) from error
        if _digest(image) != self._digests[k]:
            raise ScanError(
                f"slice {k + 1} has changed since the scan was opened",
                where=self._path,
                todo="Inspect the scan again when nothing writes to it any more.",
            )
        return image


def _digest(image: Volume) -> bytes:
    return hashlib.sha256(image.data).digest()


# --- how much memory there is ----------------------------------------------------------------------------


def available_memory_bytes() -> int | None:
    """Memory that can be had without swapping, or ``None`` where the system does not say."""
    found = []
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) * 1024)
    with suppress(OSError, ValueError):  # a container may have less than its host
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        if limit != "max":
            found.append(max(0, int(limit) - int(Path("/sys/fs/cgroup/memory.current").read_text())))
    if not found and hasattr(os, "sysconf"):
        with suppress(OSError, ValueError):
            found.append(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(found, default=None)
