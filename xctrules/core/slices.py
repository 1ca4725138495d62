"""A scan as everyone sees it: slices, their size in millimetres, and how they were acquired.

The least that a volume must be is :class:`Slices`: its shape and data type, one slice, some slices. Whether
they lie in memory, in a mapped file or in files that are read when a slice is asked for is a reader's affair
and nobody else's: :class:`ArraySlices` and :class:`SlicesOnDemand` are the two kinds there are. Readers open
a :class:`VolumeSource`; what comes out of :func:`xctrules.scans.opening.open_scan` is a :class:`Scan`.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Protocol, SupportsIndex, runtime_checkable

import numpy as np
from numpy.typing import DTypeLike, NDArray

from xctrules.core.measurement import Scale

Volume = NDArray[Any]
"""(nz, ny, nx), or one slice (ny, nx)."""

ASSUMED_SCALE_RELATIVE_UNCERTAINTY = 0.002
"""Relative standard uncertainty of the voxel size where the acquisition states none.

The voxel size of an industrial cone-beam CT follows from its magnification, the ratio of two distances that
are known from the axes' positions alone unless a calibrated artefact was scanned along; the drifting focal
spot and the place of the rotation axis leave some tenths of a per cent. Two parts in a thousand is our
assumption, not a figure from the scan: the record and the report name it, and no rule on a length does better
than a conditional pass on it.
"""


# --- slices ----------------------------------------------------------------------------------------------


@runtime_checkable
class Slices(Protocol):
    """A volume, slice by slice: the least that everything that measures can rely on.

    ``slices[k]`` is one slice (ny, nx), ``slices[a:b]`` some of them (n, ny, nx). k may be any integer, and
    counts from the end where it is negative, as in a list; the step of ``a:b:step`` is positive. Anything
    else is a TypeError, IndexError or ValueError that says what is meant. What is handed out cannot be
    written to.
    """

    @property
    def shape(self) -> tuple[int, int, int]:
        """(nz, ny, nx)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __len__(self) -> int:
        """Number of slices, nz."""
        ...

    def __getitem__(self, index: SupportsIndex | slice, /) -> Volume: ...


class _Indexed:
    """What the kinds of slices share: which slices an index means, and a shape to count them by."""

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({' x '.join(map(str, self.shape))} {self.dtype})"

    def __array__(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a scan is no array: take one slice, slices[k], or some, slices[a:b]")

    def _picked(self, index: object) -> int | range:
        """The number of the slice that is meant, or those of all."""
        count = len(self)
        if isinstance(index, slice):
            if index.step is not None and operator.index(index.step) < 1:
                raise ValueError(f"slices are handed out in their own order, not in steps of {index.step}")
            return range(*index.indices(count))
        k = _whole_number(index)
        if k is None:
            raise TypeError(
                f"slices are taken by one number, slices[k], or as a run, slices[a:b], not by {index!r}; "
                "for a part of a slice, slices[k][rows, columns]"
            )
        if not -count <= k < count:
            raise IndexError(f"there is no slice {k}: the scan has {count}")
        return k % count


class ArraySlices(_Indexed):
    """Slices that lie in memory, or in a file that is mapped into it; what is handed out are views.

    Parameters
    ----------
    array : (nz, ny, nx)
        Is not copied. Whoever made it can still write to it; nobody can through these slices.
    """

    def __init__(self, array: Volume) -> None:
        nz, ny, nx = array.shape
        self.shape = (nz, ny, nx)
        self.dtype = array.dtype
        self._array = _read_only(array)

    def __getitem__(self, index: SupportsIndex | slice, /) -> Volume:
        picked = self._picked(index)
        if isinstance(picked, int):
            return np.asarray(self._array[picked])
        return np.asarray(self._array[picked.start : picked.stop : picked.step])


class SlicesOnDemand(_Indexed):
    """Slices that a function reads, or makes, whenever one is asked for; none is kept.

    Parameters
    ----------
    read
        Gives slice k, 0 first, as an array (ny, nx); it is turned into ``dtype``.
    """

    def __init__(self, read: Callable[[int], Volume], shape: tuple[int, int, int], dtype: DTypeLike) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._read = read

    def __getitem__(self, index: SupportsIndex | slice, /) -> Volume:
        picked = self._picked(index)
        if isinstance(picked, int):
            return _read_only(self._slice(picked))
        block = np.empty((len(picked), *self.shape[1:]), self.dtype)
        for place, k in enumerate(picked):
            block[place] = self._slice(k)
        return _read_only(block)

    def _slice(self, k: int) -> Volume:
        image = np.asarray(self._read(k))
        if image.shape != self.shape[1:]:
            raise ValueError(f"slice {k + 1} has the shape {image.shape}, not {self.shape[1:]}")
        return image.astype(self.dtype, copy=False)


def each_slice(slices: Slices, make: Callable[[Volume], Volume], dtype: DTypeLike) -> SlicesOnDemand:
    """Slices of the same shape, each made from one of ``slices`` when it is asked for."""
    return SlicesOnDemand(lambda k: make(slices[k]), slices.shape, dtype)


def _whole_number(index: object) -> int | None:
    """``index`` as an int where it is one of any type; true and false are none."""
    try:
        return None if isinstance(index, bool) else operator.index(index)  # type: ignore[arg-type]
    except TypeError:
        return None


def _read_only(array: Volume) -> Volume:
    """A view that cannot be made writable again, whoever owns the memory."""
    return np.asarray(array.data.toreadonly())


# --- where they come from --------------------------------------------------------------------------------


class VolumeSource(Protocol):
    """A volume that a reader has opened but not yet read.

    Slices are asked for once each and in order, so that a source may hash and decode on the way through.
    ``metadata`` may hold any value of :class:`xctrules.scans.acquisition.Acquisition`, above all
    ``voxel_size_mm`` as (z, y, x) with ``None`` for an axis that is not known.

    That is all that a source must be. What else it can do, it says by being :class:`Mapped`,
    :class:`Rereadable`, :class:`Warned` or :class:`Originated` as well.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    metadata: Mapping[str, Any]

    def slices(self) -> Iterator[Volume]:
        """Each slice (ny, nx), first to last."""
        ...

    def digests(self) -> Sequence[tuple[str, str]]:
        """(sha256, name) of the scan's files in slice order; complete once ``slices`` has ended."""
        ...


@runtime_checkable
class Mapped(Protocol):
    """A source whose pixels may lie in its file as they are used: they then never come into memory."""

    mapped: Volume | None
    """(nz, ny, nx) on the file itself, the same pixels that ``slices`` gives; ``None`` where they are stored
    in another form."""


@runtime_checkable
class Rereadable(Protocol):
    """A source that can read any of its slices again, for a volume that does not fit into memory."""

    def read_slice(self, k: int) -> Volume:
        """Slice ``k``, 0 first, as ``slices`` gave it. Several threads may ask at a time."""
        ...


@runtime_checkable
class Warned(Protocol):
    """A source with something to say in the report."""

    warnings: tuple[str, ...]
    """One sentence each; complete once ``slices`` has ended."""


@runtime_checkable
class Originated(Protocol):
    """A source whose metadata do not stand in the file that was given as the scan."""

    origin: str
    """The name of the file that they stand in."""


@runtime_checkable
class Reader(Protocol):
    """What a plugin's reader looks like to the engine; the first that ``can_read`` gets the scan."""

    name: str

    def can_read(self, path: Path) -> bool: ...

    def open(self, path: Path) -> VolumeSource: ...


@dataclass(frozen=True)
class Scan:
    """A volume, first slice first, and what is known of it.

    Attributes
    ----------
    slices
        In the dtype of the files.
    voxel_size_mm
        (z, y, x).
    acquisition
        Flat mapping of what is known of the acquisition; ``None`` where not known.
    digests
        (sha256, name) of each file, in slice order.
    """

    path: Path
    slices: Slices
    voxel_size_mm: tuple[float, float, float]
    acquisition: Mapping[str, Any]
    digests: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    """Where each acquisition value came from: a file's name, or ``command line``."""
    reader: str = ""
    greys: Mapping[str, Any] = field(default_factory=dict)
    """What was put in the place of values that are no grey values; empty where there were none."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(nz, ny, nx)."""
        return self.slices.shape

    @property
    def scale(self) -> Scale:
        """The voxel size's relative uncertainty: as stated, or the assumed one where none is."""
        stated = self.acquisition.get("voxel_scale_relative_uncertainty")
        if stated is None:
            return Scale(ASSUMED_SCALE_RELATIVE_UNCERTAINTY, stated=False)
        return Scale(float(stated), stated=True)

    @property
    def digest_text(self) -> str:
        """One line ``sha256  name`` for each file, in slice order, as ``sha256sum`` writes and checks it."""
        return "".join(f"{sha256}  {name}\n" for sha256, name in self.digests)

    @property
    def scan_sha256(self) -> str:
        """SHA-256 of :attr:`digest_text`: one number for all bytes and their order."""
        return hashlib.sha256(self.digest_text.encode()).hexdigest()
