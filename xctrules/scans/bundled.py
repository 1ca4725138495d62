"""Readers of the scan formats that xctrules knows by itself.

A reader says by ``can_read`` whether a path is its own, and opens it as a
:class:`~xctrules.core.slices.VolumeSource`. Readers of plugins are asked before these and look the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xctrules.core.slices import Reader
from xctrules.scans.raw import RawReader
from xctrules.scans.tiff import TiffReader
from xctrules.scans.zarr import ZarrReader


def bundled(layout: Mapping[str, Any]) -> tuple[Reader, ...]:
    """The bundled readers, in the order in which they are asked.

    Parameters
    ----------
    layout
        What an ``acquisition.yaml`` says of a raw volume; see :class:`~xctrules.scans.raw.RawReader`.
    """
    return (ZarrReader(), TiffReader(), RawReader(layout))
