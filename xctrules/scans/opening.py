"""Scan: one reconstructed volume, its voxel size in millimetres, and how it was acquired.

:func:`open_scan` goes the whole way from files to a :class:`Scan`. Every slice is read once: hashed, decoded
and checked on the way through.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from xctrules.core.errors import ScanError
from xctrules.core.slices import ArraySlices, Reader, Scan, Slices, Volume, VolumeSource

Progress = Callable[[int, int], None]
"""Called with the number of slices that are read, and of all."""

VOXEL_RANGE_MM = (0.0005, 0.5)
"""Voxel sizes from 0.5 um, below which no whole cell fits a detector, to 0.5 mm, wider than a can's wall."""

FIELD_OF_VIEW_RANGE_MM = (3.0, 500.0)
"""Width and height of what a scan may show: from less than the smallest pin cell to more than any cell."""

_DTYPES = ("u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8")


def open_scan(
    path: Path | str,
    *,
    acquisition_file: Path | str | None = None,
    voxel_size_mm: Sequence[float] | None = None,
    mask: bool = False,
    readers: Sequence[Reader] = (),
    progress: Progress | None = None,
    memory_limit_bytes: int | None = None,
) -> Scan:
    """Read a scan from its files, each of them once.

    Parameters
    ----------
    path
        A folder of TIFF slices, a TIFF file, a Zarr array, a raw volume or its header, or what one of
        ``readers`` knows.
    acquisition_file
        An ``acquisition.yaml``; without it the one in or beside the scan is used, where there is one.
    voxel_size_mm
        (z, y, x) in mm; wins over all files.
    mask
        Whether the scan is a mask; then it must have two values.
    readers
        Asked before the bundled ones.
    progress
        Called after each slice.
    memory_limit_bytes
        Memory that the volume may take; without it what the machine has to spare.

    Raises
    ------
    ScanError
        When there is no such scan, it cannot be read whole, its voxel size is not known or cannot be true,
        its values cannot be a CT volume's, or it does not fit into memory.
    """
    from xctrules.scans import acquisition, companions

    path = Path(path)
    try:
        path.stat()
    except (OSError, ValueError) as error:
        what = "no such file or folder" if isinstance(error, FileNotFoundError | ValueError) else str(error)
        raise ScanError(what, where=path, todo="Check the path.") from error
    told = companions.gather(path, None if acquisition_file is None else Path(acquisition_file))
    reader, source, warnings = _opened(path, readers, told.layout)
    with _blamed_on(reader, path):
        shape = _checked_shape(source, path)
        origin = getattr(source, "origin", path.name)
        found = [*told.scanner, acquisition.found_in_image(origin, source.metadata), *told.sidecar]
    if voxel_size_mm is not None:
        if len(voxel_size_mm) != 3:
            raise ScanError("a voxel size is three numbers", where="--voxel-size", todo="Give Z,Y,X in mm.")
        found.append(acquisition.Found(acquisition.COMMAND_LINE, {"voxel_size_mm": tuple(voxel_size_mm)}))
    merged = acquisition.merge(found)
    voxel = checked_voxel_size(merged.voxel_size_mm, shape, path, merged.sources.get("voxel_size_mm"))
    slices = _read(source, path, mask, progress, memory_limit_bytes)
    with _blamed_on(reader, path):
        digests = tuple((str(sha256), str(name)) for sha256, name in source.digests())
    if told.layout.get("shape", shape) != shape:
        warnings.append(
            f"{told.sidecar[0].origin} gives the shape {told.layout['shape']}, the scan has {shape}"
        )
    return Scan(
        path=path,
        slices=slices,
        voxel_size_mm=voxel,
        acquisition=merged.values,
        digests=digests,
        warnings=(*warnings, *told.warnings, *getattr(source, "warnings", ()), *merged.warnings),
        sources=merged.sources,
        reader=reader.name,
    )


# --- choosing a reader -----------------------------------------------------------------------------------


def _opened(
    path: Path, readers: Sequence[Reader], layout: Mapping[str, Any]
) -> tuple[Reader, VolumeSource, list[str]]:
    """The first reader that knows the path, and the volume as it opened it.

    A plugin's reader that breaks while asked is named in a warning and passed over; one that breaks while
    opening what it said it can read ends the matter, since any other reading of the file would be a guess.
    """
    from xctrules.scans.bundled import bundled

    warnings: list[str] = []
    for reader in (*readers, *bundled(layout)):
        try:
            known = reader.can_read(path)
        except OSError as error:
            raise ScanError(f"cannot be read: {error.strerror or error}", where=path) from error
        except Exception as error:
            warnings.append(f"the reader {reader.name} broke when asked about {path.name}: {_named(error)}")
            continue
        if known:
            with _blamed_on(reader, path):
                return reader, reader.open(path), warnings
    raise _unknown_format(path)


def _unknown_format(path: Path) -> ScanError:
    known = "TIFF, OME-Zarr or Zarr, or a raw volume beside its header"
    if not path.is_dir():
        return ScanError("not a scan that any reader knows", where=path, todo=f"Give {known}.")
    entries = [p for p in sorted(path.iterdir()) if not p.name.startswith(".")]
    inner = [p for p in entries if any(p.glob("*.[tT][iI][fF]*"))]
    if inner:
        return ScanError(
            "the folder itself holds no scan", where=path, todo=f"Give the folder of the slices: {inner[0]}"
        )
    if not entries:
        return ScanError("the folder is empty", where=path, todo="Give the folder that holds the slices.")
    kinds = sorted({p.suffix or p.name for p in entries if p.is_file()})
    return ScanError(
        f"the folder holds no scan, only {', '.join(kinds[:6]) or 'folders'}",
        where=path,
        todo=f"Give {known}.",
    )


def _named(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


@contextmanager
def _blamed_on(reader: Reader, path: Path) -> Iterator[None]:
    """Turns whatever goes wrong in a reader, a plugin's perhaps, into an error that names it."""
    try:
        yield
    except ScanError:
        raise
    except Exception as error:
        raise ScanError(f"the reader {reader.name} broke on it ({_named(error)})", where=path) from error


# --- is it a volume that could be true? ------------------------------------------------------------------


def _checked_shape(source: VolumeSource, path: Path) -> tuple[int, int, int]:
    shape = tuple(int(n) for n in source.shape)
    if len(shape) != 3:
        raise ScanError(f"a scan has three axes (z, y, x), this has {len(shape)}: {shape}", where=path)
    if 0 in shape:
        raise ScanError(f"the scan has no voxels: its shape is {shape}", where=path)
    dtype = np.dtype(source.dtype)
    if dtype.kind == "c":
        raise ScanError("the voxels are complex numbers", where=path, todo="Save their magnitude.")
    if dtype.kind != "b" and dtype.newbyteorder("=").str[1:] not in _DTYPES:
        raise ScanError(
            f"voxels of type {dtype} are not supported",
            where=path,
            todo="Save the scan as integers of 8, 16 or 32 bits, or as floating point of 16, 32 or 64 bits.",
        )
    return shape[0], shape[1], shape[2]


def checked_voxel_size(
    voxel_mm: Sequence[float | None],
    shape: tuple[int, int, int],
    path: Path,
    origin: str | None = None,
) -> tuple[float, float, float]:
    """(z, y, x) in mm, if it is there and could be true of a scanned cell.

    Raises
    ------
    ScanError
        When an axis has none, or when voxel or field of view lie outside :data:`VOXEL_RANGE_MM` or
        :data:`FIELD_OF_VIEW_RANGE_MM`; with the likely value where a slip of the unit explains it.
    """
    how = "Give --voxel-size Z,Y,X in mm, or voxel_size_mm in an acquisition.yaml beside the scan."
    if shape[0] == 1 and voxel_mm[0] is None:
        voxel_mm = (voxel_mm[2], *voxel_mm[1:])  # one slice alone has no height that could matter
    missing = [axis for axis, v in zip("zyx", voxel_mm, strict=True) if v is None]
    if len(missing) == 3:
        raise ScanError("the scan has no voxel size", where=path, todo=how)
    if missing:
        raise ScanError(
            f"the scan has no voxel size along {' and '.join(missing)} ({origin} does not give it)",
            where=path,
            todo=how,
        )
    given = tuple(float(v) for v in voxel_mm if v is not None)
    shown = ", ".join(f"{v:g}" for v in given)
    if not all(math.isfinite(v) and v > 0 for v in given):
        raise ScanError(f"a voxel size must be above zero, not {shown}", where=origin or path, todo=how)
    if not _plausible(given, shape):
        likely = next((fixed for fixed in _likely(given) if _plausible(fixed, shape)), None)
        width = max(given[1] * shape[1], given[2] * shape[2])
        hint = (
            f"Is it {', '.join(f'{v:g}' for v in likely)} mm? {how}"
            if likely
            else f"A cell's scan has voxels of {VOXEL_RANGE_MM[0]} to {VOXEL_RANGE_MM[1]} mm and is "
            f"{FIELD_OF_VIEW_RANGE_MM[0]:g} to {FIELD_OF_VIEW_RANGE_MM[1]:g} mm wide. {how}"
        )
        raise ScanError(
            f"the voxel size {shown} mm (z, y, x; from {origin}) cannot be true: "
            f"the slice would be {width:g} mm wide and the stack {given[0] * shape[0]:g} mm high",
            where=path,
            todo=hint,
        )
    return given[0], given[1], given[2]


def _plausible(voxel_mm: Sequence[float], shape: Sequence[int]) -> bool:
    low, high = VOXEL_RANGE_MM
    narrow, wide = FIELD_OF_VIEW_RANGE_MM
    extent = [v * n for v, n in zip(voxel_mm, shape, strict=True)]
    return all(low <= v <= high for v in voxel_mm) and max(extent[1:]) >= narrow and max(extent) <= wide


def _likely(voxel_mm: Sequence[float]) -> Iterator[tuple[float, ...]]:
    """What was meant, if um, m or nm were taken for mm: on all axes, or only on those that stand out."""
    low, high = VOXEL_RANGE_MM
    for factor in (1e-3, 1e3, 1e-6):
        yield tuple(v * factor for v in voxel_mm)
        yield tuple(v if low <= v <= high else v * factor for v in voxel_mm)


# --- reading ---------------------------------------------------------------------------------------------


def _read(
    source: VolumeSource, path: Path, mask: bool, progress: Progress | None, memory_limit_bytes: int | None
) -> Slices:
    """All slices, each once: into one array, or checked in place where the source is mapped."""
    shape = source.shape
    mapped: Volume | None = getattr(source, "mapped", None)
    dtype = np.dtype(np.uint8) if source.dtype == bool else np.dtype(source.dtype).newbyteorder("=")
    volume = _allocated(shape, dtype, path, memory_limit_bytes) if mapped is None else mapped
    check = _Values(path, mask)
    done = 0
    try:
        for k, image in enumerate(source.slices()):
            if k >= shape[0] or image.shape != shape[1:]:
                raise ScanError(f"slice {k + 1} has the shape {image.shape}, not {shape[1:]}", where=path)
            if mapped is None:
                volume[k] = image
            check.add(volume[k], k)
            done = k + 1
            if progress is not None:
                progress(done, shape[0])
    except (ScanError, KeyboardInterrupt):
        raise
    except OSError as error:
        raise ScanError(f"slice {done + 1} cannot be read: {error}", where=path) from error
    except Exception as error:
        raise ScanError(f"slice {done + 1} cannot be read ({_named(error)})", where=path) from error
    if done != shape[0]:
        raise ScanError(f"only {done} of {shape[0]} slices are there", where=path)
    check.finish()
    return ArraySlices(volume)


class _Values:
    """Checks of the grey values, slice by slice as they come."""

    def __init__(self, path: Path, mask: bool) -> None:
        self._path = path
        self._mask = mask
        self._seen: set[float] = set()
        self._range: tuple[float, float] | None = None

    def add(self, image: Volume, k: int) -> None:
        low, high = float(image.min()), float(image.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ScanError(
                f"slice {k + 1} holds values that are no numbers (NaN or infinite)",
                where=self._path,
                todo="Save the scan again, with the grey value of air where nothing was reconstructed.",
            )
        first = self._range or (low, high)
        self._range = min(first[0], low), max(first[1], high)
        if self._mask:
            self._seen |= {low, high}
            if len(self._seen) > 2 or not np.all((image == low) | (image == high)):
                raise ScanError(
                    f"a mask has two values, this has more (slice {k + 1})",
                    where=self._path,
                    todo="Give a two-valued image, or leave --mask-of away.",
                )

    def finish(self) -> None:
        if self._range and self._range[0] == self._range[1]:
            raise ScanError(
                f"all voxels have the same value, {self._range[0]:g}",
                where=self._path,
                todo="Nothing was scanned.",
            )


def _allocated(shape: tuple[int, ...], dtype: np.dtype[Any], path: Path, limit_bytes: int | None) -> Volume:
    needed = math.prod(shape) * dtype.itemsize
    available = available_memory_bytes() if limit_bytes is None else limit_bytes
    message = f"the volume needs {_gigabytes(needed)} of memory"
    todo = "Crop it, save it with 8 bits, or as one uncompressed TIFF file, which is used without loading it."
    if available is not None and needed > available:
        raise ScanError(f"{message}, {_gigabytes(available)} is available", where=path, todo=todo)
    try:
        return np.empty(shape, dtype)
    except (MemoryError, ValueError) as error:  # numpy: ValueError when it exceeds the address space
        raise ScanError(f"{message}, which is not available", where=path, todo=todo) from error


def _gigabytes(n: int) -> str:
    return f"{n / 1e9:.2f} GB"


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
