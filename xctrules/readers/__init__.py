"""Readers of the scan formats that xctrules knows by itself.

A reader says by ``can_read`` whether a path is its own, and opens it as a
:class:`~xctrules.scan.VolumeSource`. Readers of plugins are asked before these and look the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xctrules.readers.tiff import TiffReader
from xctrules.scan import Reader

BUNDLED: tuple[Reader, ...] = (TiffReader(),)
"""In the order in which they are asked."""


def bundled(layout: Mapping[str, Any]) -> tuple[Reader, ...]:
    """The bundled readers, with what an ``acquisition.yaml`` says of a raw volume's ``layout``."""
    return BUNDLED


__all__ = ["BUNDLED", "TiffReader", "bundled"]
