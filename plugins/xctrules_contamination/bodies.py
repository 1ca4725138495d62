"""Connected dense bodies, found in one walk through the slices, of which few are held at a time."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from xctrules_contamination.level import Box, Level, darkest_in_box
from xctrules_contamination.region import Region

Labels = NDArray[np.int32]


@dataclass(frozen=True)
class Body:
    """A connected place whose every box of voxels is brighter than any layer.

    Attributes
    ----------
    first, last
        Slices, rows and columns (z, y, x) between which its boxes have their middles, in voxels.
    low_mm, high_mm
        Heights along the axis between which they have.
    densest
        Largest of the boxes' smallest greys.
    """

    first: tuple[int, int, int]
    last: tuple[int, int, int]
    low_mm: float
    high_mm: float
    densest: float

    def joined(self, other: Body) -> Body:
        """Both as one."""
        first = tuple(min(a, b) for a, b in zip(self.first, other.first, strict=True))
        last = tuple(max(a, b) for a, b in zip(self.last, other.last, strict=True))
        return Body(
            (first[0], first[1], first[2]), (last[0], last[1], last[2]),
            min(self.low_mm, other.low_mm), max(self.high_mm, other.high_mm),
            max(self.densest, other.densest),
        )  # fmt: skip


def dense_bodies(region: Region, level: Level, box: Box) -> list[Body]:
    """All dense bodies of the region, in the order in which they begin."""
    bodies: dict[int, Body] = {}
    before: tuple[int, Labels] | None = None
    looked = set(region.slices)
    for k in region.slices:
        if any(k + j not in looked for j in range(box.along)):
            continue
        found = _in_slice(region, level, box, k)
        if found is None:
            before = None
            continue
        labels, parts = found
        above = before[1] if before is not None and before[0] == k - 1 else None
        before = k, _linked(bodies, labels, parts, above)
    return [body for body in bodies.values() if body.densest > level.dense]


def _in_slice(region: Region, level: Level, box: Box, k: int) -> tuple[Labels, list[Body]] | None:
    """Labels (ny, nx) of the parts of bodies that boxes from slice ``k`` on show, and those parts."""
    grey = darkest_in_box(region, k, box)
    bright = np.asarray(grey > level.joined)
    if not bright.any():
        return None
    bright &= region.mask(k) & region.mask(k + box.along - 1)
    if not bright.any():
        return None
    count, labels, stats, _ = cv2.connectedComponentsWithStats(bright.astype(np.uint8), connectivity=8)
    height = region.heights(k)
    parts = []
    for value in range(1, count):
        x, y, wide, high = (int(n) for n in stats[value, :4])
        window = np.s_[y : y + high, x : x + wide]
        own = labels[window] == value
        at = height[window][own]
        parts.append(
            Body(
                (k, y, x), (k, y + high - 1, x + wide - 1), float(at.min()), float(at.max()),
                float(grey[window][own].max()),
            )
        )  # fmt: skip
    return np.asarray(labels, dtype=np.int32), parts


def _linked(bodies: dict[int, Body], labels: Labels, parts: list[Body], above: Labels | None) -> Labels:
    """Add a slice's parts to the bodies that they touch in the slice before; labels by the bodies' keys."""
    keys = np.zeros(len(parts) + 1, dtype=np.int32)
    for value, part in enumerate(parts, start=1):
        key = max(bodies, default=0) + 1
        bodies[key] = part
        touched: list[int] = []
        if above is not None:
            window = np.s_[part.first[1] : part.last[1] + 1, part.first[2] : part.last[2] + 1]
            touched = [int(n) for n in np.unique(above[window][labels[window] == value]) if n]
        for other in touched:
            if other != key:
                bodies[key] = bodies[key].joined(bodies.pop(other))
                keys[keys == other] = key
                assert above is not None
                above[above == other] = key
        keys[value] = key
    return np.asarray(keys[labels], dtype=np.int32)
