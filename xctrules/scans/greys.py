"""Values that are no grey values: what stands where nothing was reconstructed, and single voxels gone wrong.

A reconstruction fills a circle; many programs write a value of its own beyond it (-1000, -1e30, NaN). A dead
or hot pixel of the detector, or a division by nearly nothing, leaves single voxels thousands of times as
bright as any metal. Neither is a part of the cell, and both would decide what its greys are held against.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import ScanError
from xctrules.core.slices import Slices, Volume, each_slice

INNER = 0.9
"""Part of the largest circle inside the image that is surely reconstructed."""

RIM_PX = 3.0
"""What lies further inside the field of view than this, and holds the value of what lies outside, is a hole:
a circle's rim runs within a pixel or two of itself."""

GOES_ON = 0.1
"""Part of the range of grey values within which what lies next to the value is the same as the value: then it
is a grey value itself, such as black that a grey window cut off around a cell that fills the image."""

AIR_SHARE = 0.05
"""So much of the rim is at most as bright as the grey that is put where nothing is. Air is the darkest there
is, and a can that reaches the rim somewhere leaves air in the gaps."""

TYPICAL_SHARE = 0.0005
"""Share of voxels that may be darker, or brighter, than what counts as the range of grey values."""

FAR = 10.0
"""Ranges beyond which a value is no grey value. Metal artefacts reach two or three."""

SINGLE_SHARE = 1e-4
"""Share of the voxels up to which they are single ones. Whatever is more is a region, and may be the cell."""

LOOKED_AT, EVERY = 5, 7
"""Slices that tell the range of grey values, and every which voxel of them: some ten thousand at least."""


class FieldOfView:
    """The circle that was reconstructed, where a value that is no grey value stands beyond it.

    Parameters
    ----------
    corner
        That value: it fills the corners of the first slice, and is brighter or darker than all within
        :data:`INNER`, or no number.
    shape
        (ny, nx) of the slices.

    Attributes
    ----------
    air
        The grey that is put in its place.
    """

    def __init__(self, corner: np.generic, shape: tuple[int, int]) -> None:
        self.corner = corner
        y, x = (np.arange(n, dtype=np.float32) - np.float32(0.5 * (n - 1)) for n in shape)
        self._radius_px = np.hypot(y[:, None], x[None, :])
        self._reach_px = 0.0
        self._nearest_px = math.inf
        self.air = corner

    @classmethod
    def told_by(cls, image: Volume) -> FieldOfView | None:
        """That of a slice (ny, nx); ``None`` where its corners hold grey values as the rest does."""
        corner = image[0, 0]
        if not all(_same(image[k], corner) for k in ((0, -1), (-1, 0), (-1, -1))):
            return None
        field = cls(corner, (image.shape[0], image.shape[1]))
        inner = image[field._radius_px < INNER * 0.5 * min(image.shape)]
        inner = inner[np.isfinite(inner)]
        if inner.size == 0:
            return None
        if inner.min() <= corner <= inner.max():
            return None
        live = field.live(image)
        if _goes_on(image, live, inner):
            return None
        rim = image[live & (field._radius_px >= field._reach_px - RIM_PX)]
        field.air = at_share(rim[np.isfinite(rim)], AIR_SHARE)
        return field

    def live(self, image: Volume) -> NDArray[np.bool_]:
        """Where a slice holds other values; the circle grows to hold them."""
        live = ~np.isnan(image) if _is_nan(self.corner) else image != self.corner
        if live.any():
            self._reach_px = max(self._reach_px, float(self._radius_px[live].max()))
        if not live.all():
            self._nearest_px = min(self._nearest_px, float(self._radius_px[~live].min()))
        return np.asarray(live)

    @property
    def is_circle(self) -> bool:
        """Whether the value stands nowhere inside."""
        return self._nearest_px > self._reach_px - RIM_PX

    @property
    def reach_px(self) -> float:
        """Radius about the image's middle within which everything lies that is no such value, pixels."""
        return self._reach_px

    def filled(self, image: Volume) -> Volume:
        """A slice with air's grey for that value."""
        empty = np.isnan(image) if _is_nan(self.corner) else image == self.corner
        return np.where(empty, self.air, image)


def _goes_on(image: Volume, live: NDArray[np.bool_], inner: Volume) -> bool:
    """Whether the value in the corners of a slice (ny, nx) goes over into what lies next to it (ny, nx)."""
    corner = float(image[0, 0])
    if not math.isfinite(corner):
        return False
    dead = ~live
    beside = np.zeros_like(live)
    beside[1:] |= dead[:-1]
    beside[:-1] |= dead[1:]
    beside[:, 1:] |= dead[:, :-1]
    beside[:, :-1] |= dead[:, 1:]
    next_to_it = image[beside & live].astype(np.float64)
    low, high = (float(value) for value in typical_range(inner))
    return bool(abs(np.median(next_to_it) - corner) < GOES_ON * (high - low))


def _is_nan(value: np.generic) -> bool:
    return bool(np.isnan(value)) if np.issubdtype(value.dtype, np.inexact) else False


def _same(a: np.generic, b: np.generic) -> bool:
    return bool(a == b) or (_is_nan(a) and _is_nan(b))


@dataclass(frozen=True)
class Replaced:
    """Slices without the values that are none, and what was put in their place.

    ``parameters`` are for the record, empty where nothing was; ``warnings`` for its reader.
    """

    slices: Slices
    parameters: Mapping[str, Any]
    warnings: tuple[str, ...] = ()


def without_outside(slices: Slices, field: FieldOfView) -> Replaced:
    """Slices with air's grey where nothing was reconstructed."""
    parameters = {
        "outside_field_of_view": {
            "value": str(field.corner),
            "radius_px": round(field.reach_px, 1),
            "taken_for": float(field.air),
        }
    }
    return Replaced(each_slice(slices, field.filled, slices.dtype), parameters)


def without_far_values(
    slices: Slices, typical: tuple[float, float], lowest: float, highest: float, path: object
) -> Replaced:
    """Slices whose values lie within :data:`FAR` ranges of the typical ones; single voxels are moved there.

    Parameters
    ----------
    typical
        Range of grey values, :data:`TYPICAL_SHARE` left out at either end.
    lowest, highest
        Of all values.
    path
        Named in errors.

    Raises
    ------
    ScanError
        When more than single voxels lie beyond.
    """
    room = FAR * (typical[1] - typical[0])
    low, high = typical[0] - room, typical[1] + room
    if room <= 0 or (low <= lowest and highest <= high):
        return Replaced(slices, {})
    far = sum(int(np.count_nonzero((slices[k] < low) | (slices[k] > high))) for k in range(len(slices)))
    worst = lowest if low - lowest > highest - high else highest
    if far > SINGLE_SHARE * math.prod(slices.shape):
        raise ScanError(
            f"{far} voxels hold values such as {worst:g}, far from the grey values of all others "
            f"({typical[0]:g} to {typical[1]:g})",
            where=path,
            todo="Save the scan again, with the grey value of air where nothing was reconstructed.",
        )
    bounds = np.array([max(low, lowest), min(high, highest)]).astype(slices.dtype)
    holds = "1 single voxel holds a value" if far == 1 else f"{far} single voxels hold values"
    warning = (
        f"{holds} such as {worst:g}, far from the grey values of all others ({typical[0]:g} to "
        f"{typical[1]:g}); {bounds[0]:g} and {bounds[1]:g} are taken for what lies beyond them"
    )
    return Replaced(
        each_slice(slices, lambda image: np.clip(image, bounds[0], bounds[1]), slices.dtype),
        {"far_values": {"voxels": far, "lowest": float(bounds[0]), "highest": float(bounds[1])}},
        (warning,),
    )


def typical_range(values: Volume) -> tuple[float, float]:
    """Range of some of the grey values (n,), :data:`TYPICAL_SHARE` left out at either end."""
    return float(at_share(values, TYPICAL_SHARE)), float(at_share(values, 1 - TYPICAL_SHARE))


def at_share(values: Volume, share: float) -> Any:
    """The one of the values (n,) below which there are so many of them."""
    k = min(values.size - 1, int(share * values.size))
    return np.partition(values, k)[k]
