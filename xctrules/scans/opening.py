"""From a path to a :class:`~xctrules.core.slices.Scan`: which reader knows it, and all that follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xctrules.core.errors import ScanError
from xctrules.core.files import is_pipe_or_device
from xctrules.core.progress import Progress, silent
from xctrules.core.slices import Originated, Reader, Scan, VolumeSource, Warned
from xctrules.scans import acquisition, companions, reading
from xctrules.scans.bundled import bundled
from xctrules.scans.checks import check_export, checked_shape, checked_voxel_size
from xctrules.scans.formats import Format, common_format, format_of
from xctrules.scans.recorded import Recorded


def open_scan(
    path: Path | str,
    *,
    acquisition_file: Path | str | None = None,
    voxel_size_mm: Sequence[float] | None = None,
    mask: bool = False,
    readers: Sequence[Reader] = (),
    progress: Progress = silent,
    memory_limit_bytes: int | None = None,
    empty: reading.Empty | None = None,
    recorded: Recorded | None = None,
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
        Memory that the slices may take; without it what the machine has to spare. Where they do not fit, they
        are read again whenever one is asked for, if the reader can.
    empty
        Makes the array that slices come into, in the place of numpy's ``empty``; that of a registry is seen
        by its plugins' processes as well.
    recorded
        What a record says of the acquisition: it stands over all files and ``voxel_size_mm``.

    Raises
    ------
    ScanError
        When there is no such scan, it cannot be read whole, its voxel size is not known or cannot be true,
        its values cannot be a CT volume's, or it does not fit into memory and its reader can
        read it but once.
    """
    path = Path(path)
    _require_there(path)
    told = companions.gather(path, None if acquisition_file is None else Path(acquisition_file))
    reader, source, warnings = _opened(path, readers, told.layout)
    with _blamed_on(reader, path):
        shape = checked_shape(source, path)
        origin = source.origin if isinstance(source, Originated) else path.name
        found = [*told.scanner, acquisition.found_in_image(origin, source.metadata), *told.sidecar]
    merged = acquisition.merge([*found, *_asked(voxel_size_mm)])
    if recorded is not None:
        merged = recorded.over(merged)
    try:
        voxel = checked_voxel_size(merged.voxel_size_mm, shape, path, merged.sources.get("voxel_size_mm"))
    except ScanError as error:
        unread = "; ".join((*told.warnings, *warnings))  # perhaps the voxel size stands there
        raise ScanError(
            f"{error.what} ({unread})" if unread else error.what, where=error.where, todo=error.todo
        ) from error
    warnings += _other_volumes(told.scanner, merged, shape, path)
    read = reading.read(source, shape, path, mask, progress, memory_limit_bytes, empty)
    with _blamed_on(reader, path):
        digests = tuple((str(sha256), str(name)) for sha256, name in source.digests())
        said = source.warnings if isinstance(source, Warned) else ()
    if told.layout.get("shape", shape) != shape:
        warnings.append(
            f"{told.sidecar[0].origin} gives the shape {told.layout['shape']}, the scan has {shape}"
        )
    return Scan(
        path=path,
        slices=read.slices,
        voxel_size_mm=voxel,
        acquisition=merged.values,
        digests=digests,
        warnings=(*warnings, *told.warnings, *said, *merged.warnings, *read.warnings),
        sources=merged.sources,
        reader=reader.name,
        greys=read.parameters,
    )


def _other_volumes(
    scanner: Sequence[acquisition.Found], merged: acquisition.Merged, shape: tuple[int, int, int], path: Path
) -> list[str]:
    """Warnings of scanners' files that tell of another number of voxels, where their voxel size is in use."""
    told = (
        check_export(s.voxels, shape, s.origin, path) for s in scanner if s.origin in merged.voxel_origins
    )
    return [warning for warning in told if warning]


def _require_there(path: Path) -> None:
    try:
        path.stat()
    except (OSError, ValueError) as error:
        what = "no such file or folder" if isinstance(error, FileNotFoundError | ValueError) else str(error)
        raise ScanError(what, where=path, todo="Check the path.") from error
    if is_pipe_or_device(path):
        raise ScanError(
            "is neither a file nor a folder, but a pipe or device",
            where=path,
            todo="Give the scan's own path.",
        )


def _asked(voxel_size_mm: Sequence[float] | None) -> list[acquisition.Found]:
    """What the user says of the scan, where anything."""
    if voxel_size_mm is None:
        return []
    if len(voxel_size_mm) != 3:
        raise ScanError("a voxel size is three numbers", where="--voxel-size", todo="Give Z,Y,X in mm.")
    return [acquisition.Found(acquisition.COMMAND_LINE, {"voxel_size_mm": tuple(voxel_size_mm)})]


# --- choosing a reader -----------------------------------------------------------------------------------


def _opened(
    path: Path, readers: Sequence[Reader], layout: Mapping[str, Any]
) -> tuple[Reader, VolumeSource, list[str]]:
    """The first reader that knows the path, and the volume as it opened it.

    A plugin's reader that breaks while asked is named in a warning and passed over; one that breaks while
    opening what it said it can read ends the matter, since any other reading of the file would be a guess.
    """
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
        unread = format_of(path)
        if unread is not None:
            return _not_read(unread, path)
        return ScanError("not a scan that any reader knows", where=path, todo=f"Give {known}.")
    entries = [p for p in sorted(path.iterdir()) if not p.name.startswith(".")]
    inner = [p for p in entries if any(p.glob("*.[tT][iI][fF]*"))]
    if inner:
        return ScanError(
            "the folder itself holds no scan", where=path, todo=f"Give the folder of the slices: {inner[0]}"
        )
    if not entries:
        return ScanError("the folder is empty", where=path, todo="Give the folder that holds the slices.")
    unread = common_format([p for p in entries if p.is_file()])
    if unread is not None:
        return _not_read(unread, path)
    kinds = sorted({p.suffix or p.name for p in entries if p.is_file()})
    return ScanError(
        f"the folder holds no scan, only {', '.join(kinds[:6]) or 'folders'}",
        where=path,
        todo=f"Give {known}.",
    )


def _not_read(unread: Format, path: Path) -> ScanError:
    return ScanError(
        f"{unread.name} is a format that is not read here",
        where=path,
        todo=f"{unread.way} Or install a plugin that reads it.",
    )


def _named(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


@contextmanager
def _blamed_on(reader: Reader, path: Path) -> Iterator[None]:
    """Makes of whatever goes wrong in a reader, a plugin's perhaps, an error that names it."""
    try:
        yield
    except ScanError:
        raise
    except Exception as error:
        raise ScanError(f"the reader {reader.name} broke on it ({_named(error)})", where=path) from error
