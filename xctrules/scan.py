"""Scan: one reconstructed volume, its voxel size in millimetres, and how it was acquired."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Volume = NDArray[Any]
Progress = Callable[[int, int], None]


class VolumeSource(Protocol):
    """A volume that a reader has opened but not yet read.

    Slices are asked for once each and in order, so that a source may hash and decode on the way through.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    names: tuple[str, ...]
    metadata: Mapping[str, Any]

    def slices(self) -> Iterator[Volume]:
        """Each slice (ny, nx), first to last."""
        ...

    def digests(self) -> Sequence[tuple[str, str]]:
        """(sha256, name) of the scan's files in slice order; complete once ``slices`` has ended."""
        ...


@runtime_checkable
class Reader(Protocol):
    """What a plugin's reader looks like to the engine; the first that ``can_read`` gets the scan."""

    name: str

    def can_read(self, path: Path) -> bool: ...

    def open(self, path: Path) -> VolumeSource: ...


@dataclass(frozen=True)
class Scan:
    """A volume in memory (or mapped from disk), first slice first.

    Attributes
    ----------
    volume : (nz, ny, nx)
        In the dtype of the files.
    voxel_size_mm
        (z, y, x).
    acquisition
        Flat mapping of what is known of the acquisition; ``None`` where not known.
    digests
        (sha256, name) of each file, in slice order.
    """

    path: Path
    volume: Volume
    voxel_size_mm: tuple[float, float, float]
    acquisition: Mapping[str, Any]
    digests: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    """Where each acquisition value came from: a file's name, or ``command line``."""
    reader: str = ""

    @property
    def shape(self) -> tuple[int, int, int]:
        nz, ny, nx = self.volume.shape
        return nz, ny, nx
