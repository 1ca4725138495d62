"""Faults of a stack of slices, over any scan that was drawn: what becomes of a sound volume on its way to a
file.

In: a volume and what goes wrong with it. Out: the volume as it would be stored. Nothing of the cell changes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

StackFaultKind = Literal[
    "repeated", "missing", "swapped", "reversed", "shifted", "turned", "brightness", "spacing", "voxel",
    "inverted", "blacks", "whites", "gamma", "hot", "beyond",
]  # fmt: skip

UNITS: dict[StackFaultKind, str] = {
    "repeated": "slices", "missing": "slices", "swapped": "slices", "reversed": "slices", "shifted": "mm",
    "turned": "deg", "brightness": "share", "spacing": "share", "voxel": "share", "inverted": "share",
    "blacks": "share", "whites": "share", "gamma": "exponent", "hot": "voxels", "beyond": "grey",
}  # fmt: skip
"""Unit of :attr:`StackFault.size`, and the kinds there are."""


GREY_KINDS = frozenset({"inverted", "blacks", "whites", "gamma", "hot", "beyond"})
"""Faults of the grey scale, which the whole scan has."""


@dataclass(frozen=True)
class StackFault:
    """What went wrong with a stack from a slice on, or with what its sidecar says.

    Attributes
    ----------
    kind
        ``repeated``: the slice at ``at`` stands there ``size`` times more. ``missing``: ``size`` slices from
        there on are left out, and nothing in the names shows it. ``swapped``: the slices at ``at`` and
        ``size`` further on have changed places. ``reversed``: ``size`` slices from there on stand in reverse
        order. ``shifted``, ``turned``: all slices from there on lie ``size`` mm further towards
        ``direction_deg``, or are turned by ``size`` degrees about the middle of the image. ``brightness``:
        their greys are larger by this share of the grey. ``spacing``, ``voxel``: the sidecar gives the
        spacing of the slices, or all of the voxel size, larger by this share (-0.5: half of it); the image is
        as it should be.

        Of all greys: ``inverted``: bright is dark. ``blacks``, ``whites``: all below, or above, this share of
        the bright metal's grey is clipped. ``gamma``: greys over the metal's are raised to this power.
        ``hot``: so many single voxels are as bright as the data type allows, or a thousand times the metal in
        floating point. ``beyond``: outside the circle that fits into a slice stands this grey.
    at
        Place in the stack, from 0 (first slice) to 1 (last).
    """

    kind: StackFaultKind = "missing"
    size: float = 5.0
    at: float = 0.5
    direction_deg: float = 0.0

    def first_slice(self, slices: int) -> int:
        """Index of the slice from which it shows in a stack of ``slices``."""
        return min(max(round(self.at * (slices - 1)), 0), slices - 1)


def spoil(volume: NDArray[Any], voxel_size_mm: Sequence[float], faults: Sequence[StackFault]) -> NDArray[Any]:
    """``volume`` (z, y, x) with all faults, one after the other; the volume itself is not changed.

    Shifts and turns resample by Lanczos' kernel of eight pixels, which
    keeps the noise's scatter to a few per cent: a part that is smoother than the other would give them away.
    """
    for fault in faults:
        volume = _spoilt(volume, voxel_size_mm, fault)
    return volume


def told_voxel_size_mm(
    voxel_size_mm: tuple[float, float, float], faults: Sequence[StackFault]
) -> tuple[float, float, float]:
    """The voxel size (z, y, x) that the sidecar gives."""
    z, y, x = voxel_size_mm
    for fault in faults:
        if fault.kind in ("spacing", "voxel"):
            z *= 1 + fault.size
        if fault.kind == "voxel":
            y, x = y * (1 + fault.size), x * (1 + fault.size)
    return z, y, x


def _spoilt(volume: NDArray[Any], voxel_size_mm: Sequence[float], fault: StackFault) -> NDArray[Any]:
    k, n = fault.first_slice(len(volume)), round(fault.size)
    if fault.kind == "repeated":
        return np.concatenate([volume[:k], np.repeat(volume[k : k + 1], n, axis=0), volume[k:]])
    if fault.kind == "missing":
        return np.concatenate([volume[:k], volume[k + n :]])
    if fault.kind in ("spacing", "voxel"):
        return volume
    if fault.kind in GREY_KINDS:
        return _other_greys(volume, fault)
    order = np.arange(len(volume))
    if fault.kind == "swapped":
        other = min(k + n, len(volume) - 1)
        order[[k, other]] = order[[other, k]]
        return volume[order]
    if fault.kind == "reversed":
        order[k : k + n] = order[k : k + n][::-1]
        return volume[order]
    out = volume.copy()
    for i in range(k, len(volume)):
        out[i] = _changed(volume[i], voxel_size_mm, fault)
    return out


def _other_greys(volume: NDArray[Any], fault: StackFault) -> NDArray[Any]:
    """The volume with its greys changed everywhere."""
    nz, ny, nx = volume.shape
    metal = float(np.percentile(volume[nz // 2], 99.5))
    whole = volume.dtype.kind != "f"
    top = float(np.iinfo(volume.dtype).max) if whole else 1000.0 * metal
    out = volume.copy()
    if fault.kind == "hot":
        rng = np.random.default_rng((round(fault.size), 7))
        out[tuple(rng.integers(0, n, round(fault.size)) for n in volume.shape)] = top
        return out
    y, x = np.ogrid[:ny, :nx]
    beyond = np.hypot(y - (ny - 1) / 2, x - (nx - 1) / 2) > min(ny, nx) / 2
    for k in range(nz):
        grey = volume[k].astype(np.float32)
        if fault.kind == "inverted":
            grey = np.float32(top if whole else metal) - grey
        elif fault.kind == "blacks":
            grey = np.maximum(grey, np.float32(fault.size * metal))
        elif fault.kind == "whites":
            grey = np.minimum(grey, np.float32(fault.size * metal))
        elif fault.kind == "gamma":
            grey = metal * (np.maximum(grey, 0) / metal) ** np.float32(fault.size)
        else:
            grey[beyond] = fault.size
        out[k] = _stored(grey, volume.dtype)
    return out


def _stored(grey: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Greys in a data type, clipped to what it holds."""
    if dtype.kind == "f":
        return np.asarray(grey, dtype)
    return np.asarray(np.clip(np.rint(grey), 0, np.iinfo(dtype).max), dtype)


def _changed(image: NDArray[Any], voxel_size_mm: Sequence[float], fault: StackFault) -> NDArray[Any]:
    """One slice shifted, turned or brightened, in its own data type."""
    import cv2

    grey = image.astype(np.float32)
    if fault.kind == "brightness":
        grey *= np.float32(1 + fault.size)
    else:
        ny, nx = image.shape
        if fault.kind == "turned":  # cv2 counts angles against y, which points down
            matrix = cv2.getRotationMatrix2D(((nx - 1) / 2, (ny - 1) / 2), -fault.size, 1.0)
        else:
            towards = math.radians(fault.direction_deg)
            by = (
                fault.size * math.cos(towards) / voxel_size_mm[2],
                fault.size * math.sin(towards) / voxel_size_mm[1],
            )
            matrix = np.array([[1.0, 0.0, by[0]], [0.0, 1.0, by[1]]])
        grey = cv2.warpAffine(
            grey, matrix, (nx, ny), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE
        )
    return _stored(grey, image.dtype)
