"""From which grey something inside the can is dense: brighter than any layer, and well on the way to metal.

The layers' grey is read from the scan itself, from slices all over the region; the can's wall is metal that
every scan holds. Foils are metal too, but a foil is thinner than the box that a body has to fill.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules_contamination.region import Region

Greys = NDArray[Any]

DENSE_SHARE = 1.0 / 3.0
"""Share of the way from the layers' grey to the can's from which a box of voxels is dense. A ball of the
can's own grey, three voxels across and blurred by one, still has half of its contrast in its middle."""

JOINED_SHARE = 0.5
"""Share of the way from the layers' grey to the dense level from which voxels belong to a dense body beside
them: what is bright in part, such as a tab, is one body, and not as many as it has bright spots."""

LAYERS_PERCENTILE = 90.0
"""Percentile of all greys in the region that stands for its brightest layer: cathodes fill some third of a
roll, and tabs or a centre pin a few hundredths of what lies in the can."""

NOISE_SIGMAS = 3.0
"""Least height of the dense level over the layers' grey, in standard deviations of one voxel's noise. All
voxels of a box must reach it: with two voxels each way, and noise that goes no further than from a voxel to
its neighbour, half of the eight are independent, a chance of 3e-12 for a box that lies in a cathode."""

MOST_SHARE = 0.5
"""Where noise drives the dense level beyond this share of the way to the can's grey, nothing is measured:
bodies of twice the stated size could go unseen."""

BOX_MM = 0.07
"""Least side of the box that a body has to fill: copper foils of 6 to 12 um, blurred by a voxel, are
thinner, and so are foils of 30 um."""

BOX_VOXELS = 2
"""Least side of that box in voxels, along each axis of the volume: a single voxel may be noise."""

ONE_SIGMA_PERCENTILE = 68.3
"""Percentile of the differences from slice to slice, either way, that lies one standard deviation out."""

SAMPLED_SLICES = 12
"""Slices, evenly over the region, that the layers' grey is read from."""

EVERY = 3
"""Of their pixels every third one along either axis: neighbours say the same."""


@dataclass(frozen=True)
class Level:
    """Greys of the scan: of the brightest layers, and from which a box is dense or belongs to a dense body.

    Attributes
    ----------
    noise
        Standard deviation of one voxel.
    """

    layers: float
    dense: float
    joined: float
    noise: float


@dataclass(frozen=True)
class Box:
    """Sides, in voxels, of the box that a body has to fill, and in mm the diameter of a ball as large."""

    along: int
    across: tuple[int, int]
    diameter_mm: float


def box_of(voxel_mm: tuple[float, float, float]) -> Box:
    """The box for voxels of that size (z, y, x)."""
    sides = [max(BOX_VOXELS, round(BOX_MM / side)) for side in voxel_mm]
    volume = float(np.prod([n * side for n, side in zip(sides, voxel_mm, strict=True)]))
    return Box(sides[0], (sides[1], sides[2]), (6.0 * volume / np.pi) ** (1.0 / 3.0))


def darkest_in_box(region: Region, k: int, box: Box) -> Greys:
    """Smallest grey (ny, nx) of the box that begins at slice ``k`` and lies about each pixel."""
    slices = region.cell.scan.slices
    least = usable(slices[k])
    for j in range(k + 1, k + box.along):
        least = np.minimum(least, usable(slices[j]))
    return np.asarray(cv2.erode(least, np.ones(box.across, dtype=np.uint8)))


def usable(image: Greys) -> Greys:
    """A slice in a type that OpenCV works on."""
    kept = image.dtype in (np.uint8, np.uint16, np.float32)
    return np.ascontiguousarray(image if kept else image.astype(np.float32))


def level_of(region: Region) -> Level:
    """The levels of a scan.

    Raises
    ------
    NotMeasurable
        Without the can's grey, or where noise hides what lies between the layers and the can.
    """
    can = region.cell.frame.can_grey
    greys, steps = _sampled(region)
    if not greys.size or not np.isfinite(can):
        raise NotMeasurable("the scan shows no greys inside the can")
    layers = float(np.percentile(greys, LAYERS_PERCENTILE))
    noise = float(np.percentile(np.abs(steps), ONE_SIGMA_PERCENTILE)) / math.sqrt(2.0)
    rise = max(DENSE_SHARE * (can - layers), NOISE_SIGMAS * noise)
    if not rise <= MOST_SHARE * (can - layers):
        raise NotMeasurable("noise hides what is denser than the layers and no denser than the can's wall")
    return Level(layers, layers + rise, layers + JOINED_SHARE * rise, noise)


def _sampled(region: Region) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Greys of sampled pixels of the region, and their differences from one slice to the next."""
    slices = region.cell.scan.slices
    pick = np.unique(np.linspace(0, len(region.slices) - 1, SAMPLED_SLICES).round().astype(int))
    greys, steps = [], []
    for k in (region.slices[i] for i in pick):
        mask = region.mask(k)[::EVERY, ::EVERY]
        other = k + 1 if k + 1 < len(slices) else k - 1
        here = np.asarray(slices[k][::EVERY, ::EVERY][mask], dtype=np.float32)
        greys.append(here)
        steps.append(np.asarray(slices[max(0, other)][::EVERY, ::EVERY][mask], dtype=np.float32) - here)
    return _finite(np.concatenate(greys)), _finite(np.concatenate(steps))


def _finite(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(values[np.isfinite(values)])
