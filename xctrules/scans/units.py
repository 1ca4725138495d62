"""Lengths in files, in whatever unit they stand there, as millimetres."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

Voxel = tuple[float | None, float | None, float | None]
"""(z, y, x) in mm, ``None`` for an axis that is not known."""

_MILLIMETRES: Mapping[str, float] = {
    "m": 1e3, "meter": 1e3, "metre": 1e3, "cm": 10.0, "centimeter": 10.0, "centimetre": 10.0,
    "mm": 1.0, "millimeter": 1.0, "millimetre": 1.0,
    "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "micron": 1e-3, "microns": 1e-3,
    "micrometer": 1e-3, "micrometre": 1e-3,
    "nm": 1e-6, "nanometer": 1e-6, "nanometre": 1e-6, "inch": 25.4, "in": 25.4,
}  # fmt: skip
"""Millimetres in one of each unit, as OME, ImageJ, VGI, NRRD and Zarr call it (with both signs for micro)."""


def millimetres_in(unit: object) -> float | None:
    """Millimetres in one of ``unit``; ``None`` for what is no known unit of length."""
    return _MILLIMETRES.get(unit.strip().lower()) if isinstance(unit, str) else None


def length_mm(value: Any, unit: object) -> float | None:
    """A length above zero as it stands in a file, in mm; ``None`` where number or unit say nothing."""
    factor = millimetres_in(unit)
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number * factor if factor and math.isfinite(number) and number > 0 else None


def known_voxel(z: float | None, y: float | None, x: float | None) -> Voxel | None:
    """(z, y, x), or ``None`` where none of the three is known."""
    return None if z is None and y is None and x is None else (z, y, x)
