"""A scan as everyone sees it: slices, their size in millimetres, and how they were acquired.

Readers open a :class:`VolumeSource`; what comes out of :func:`xctrules.scans.opening.open_scan` is a
:class:`Scan`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from xctrules.core.measurement import Scale

Volume = NDArray[Any]

ASSUMED_SCALE_RELATIVE_UNCERTAINTY = 0.002
"""Relative standard uncertainty of the voxel size where the acquisition states none.

The voxel size of an industrial cone-beam CT follows from its magnification, the ratio of two distances that
are known from the axes' positions alone unless a calibrated artefact was scanned along; the drifting focal
spot and the place of the rotation axis leave some tenths of a per cent. Two parts in a thousand is our
assumption, not a figure from the scan: the record and the report name it, and no rule on a length does better
than a conditional pass on it.
"""


class VolumeSource(Protocol):
    """A volume that a reader has opened but not yet read.

    Slices are asked for once each and in order, so that a source may hash and decode on the way through.
    ``metadata`` may hold any value of :class:`xctrules.scans.acquisition.Acquisition`, above all
    ``voxel_size_mm`` as (z, y, x) with ``None`` for an axis that is not known.

    Three attributes are optional: ``mapped``, the volume as an array on the file itself, where its pixels lie
    there uncompressed (it is then used in place, and ``slices`` gives its slices); ``warnings``, a tuple of
    sentences for the report; and ``origin``, the name of the file that the metadata stand in.
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
