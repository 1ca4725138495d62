"""Single voxels that stand out of all that lies beside them: hot or dead, within the grey scale.

What a scanner sees is blurred over its detector's pixels, the focal spot and the reconstruction: a body as
small as a voxel raises the voxels beside it, too. A voxel that is brighter, or darker, than all six of its
neighbours by a large part of the scan's range, and has not raised them, is none of the cell's; and a single
one moves an edge.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from xctrules.core.slices import Slices, SlicesOnDemand, Volume
from xctrules.scans.greys import EVERY, FAR, SINGLE_SHARE, Replaced, typical_range

STANDS_OUT = 0.25
"""Part of the range of grey values by which such a voxel is beyond its neighbours. In sound scans, a real one
and drawn ones of all kinds, none is beyond by more than 0.06."""

RAISED = 0.15
"""Part of what a body stands out by that the voxels beside it stand out, too: 0.22 where the blur has a
standard deviation of half a voxel, beside the voxel's own 0.29."""

_BESIDE = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.uint8)
_AS_THEY_ARE = ("uint8", "uint16", "int16", "float32", "float64")

Picked = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[Any], NDArray[np.float64]]
"""Rows, columns, the greys that are put there, and by how much those that stand there are beyond them."""


class SingleVoxels:
    """Looks for them in slices (ny, nx) that come one after the other; three are kept at a time."""

    def __init__(self) -> None:
        self._past: list[Volume] = []
        self._done = 0
        self._voxels = 0
        self._range = 0.0
        self._found: dict[int, Picked] = {}

    def add(self, image: Volume) -> None:
        """The next slice."""
        self._past.append(np.array(image))
        self._voxels += image.size
        if len(self._past) == 3:
            self._look(1)
            self._past.pop(0)
        elif len(self._past) == 2:
            self._look(0)

    def finish(self) -> None:
        """After the last slice."""
        if len(self._past) > 1:
            self._look(len(self._past) - 1)
        self._past = []

    def _look(self, at: int) -> None:
        """At one of the slices that are kept, with what lies below and above it."""
        image = self._past[at]
        low, high = typical_range(image.ravel()[::EVERY])
        # A slice of air has the range of its noise: what counts is the widest so far, and at last of all.
        wide = self._range = max(self._range, high - low)
        greys = [i if i.dtype.name in _AS_THEY_ARE else i.astype(np.float32) for i in self._past]
        others = [grey for k, grey in enumerate(greys) if k != at]
        brightest, darkest = (
            np.asarray(most(greys[at], _BESIDE, borderType=cv2.BORDER_REPLICATE))
            for most in (cv2.dilate, cv2.erode)
        )
        for other in others:
            brightest, darkest = np.maximum(brightest, other), np.minimum(darkest, other)
        # compared and not subtracted: whole numbers without a sign would run over
        bright, dark = greys[at] > brightest, greys[at] < darkest
        rows, columns = np.nonzero(bright | dark)
        value = greys[at][rows, columns].astype(np.float64)
        beside = np.where(bright[rows, columns], brightest[rows, columns], darkest[rows, columns])
        beyond = np.abs(value - beside.astype(np.float64))
        out = (beyond > STANDS_OUT * wide) & (beyond <= FAR * wide)
        out &= _raised(greys[at], rows, columns) < RAISED
        if out.any():
            greys_beside = beside[out].astype(image.dtype)
            self._found[self._done] = (rows[out], columns[out], greys_beside, beyond[out])
        self._done += 1

    def replaced(self, slices: Slices) -> Replaced:
        """The slices with the nearest grey of a neighbour in their place.

        Unchanged where there are none, or more than single ones: then it is the scan's noise.
        """
        least = STANDS_OUT * self._range
        found = {
            k: (rows[beyond > least], columns[beyond > least], greys[beyond > least])
            for k, (rows, columns, greys, beyond) in self._found.items()
            if (beyond > least).any()
        }
        count = sum(rows.size for rows, _, _ in found.values())
        if not count or count > SINGLE_SHARE * self._voxels:
            return Replaced(slices, {})

        def mended(k: int) -> Volume:
            image = slices[k]
            if k in found:
                rows, columns, greys = found[k]
                image = np.array(image)
                image[rows, columns] = greys
            return image

        stand = "1 single voxel stands" if count == 1 else f"{count} single voxels stand"
        warning = (
            f"{stand} out of the greys of all six voxels beside, sharper than a blur leaves a body (a hot or "
            "dead pixel); the nearest of their neighbours' greys was put there"
        )
        return Replaced(
            SlicesOnDemand(mended, slices.shape, slices.dtype),
            {"single_voxels": {"voxels": count, "share": count / math.prod(slices.shape)}},
            (warning,),
        )


def _raised(image: Volume, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
    """By how much the voxels beside some (n,) stand out of the next but one, over what those stand out by.

    Along rows or columns, whichever is less: a wall raises them along one.
    """
    ny, nx = image.shape

    def mean(by_rows: int, by_columns: int) -> NDArray[np.float64]:
        pair = (
            image[np.clip(rows + sign * by_rows, 0, ny - 1), np.clip(columns + sign * by_columns, 0, nx - 1)]
            for sign in (1, -1)
        )
        return np.asarray(sum(grey.astype(np.float64) for grey in pair)) / 2

    value = image[rows, columns].astype(np.float64)
    shares = []
    for step in ((1, 0), (0, 1)):
        first, second = mean(*step), mean(2 * step[0], 2 * step[1])
        shares.append((first - second) / np.where(value == first, np.inf, value - first))
    return np.minimum(*shares)
