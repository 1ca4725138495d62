"""How large a dense body is, and where: from all of its grey, which blur spreads and does not change.

The grey that a body has over what lies around it, summed and divided by that of its own middle, is its
volume. Half height alone would find a ball of three voxels too small.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.core.measurement import Contribution
from xctrules.cylinder.surfaces import CylinderCell, FoilTrace
from xctrules_contamination import budget
from xctrules_contamination.bodies import Body
from xctrules_contamination.level import Box, Level
from xctrules_contamination.region import Mask, Region

Greys = NDArray[np.float64]

BLUR_VOXELS = 2
"""How far beyond half height a body's blurred grey is summed, in voxels: two standard deviations of a blur of
one, beyond which 2 % of an edge's step is left."""

AROUND_VOXELS = 3
"""Thickness, in voxels beyond that, of what counts as the body's surroundings."""

MIDDLE_SHARE = 0.9
"""Share of the way from its surroundings to its brightest voxels from which voxels are a body's middle."""


@dataclass(frozen=True)
class Sized:
    """A body with its size.

    Attributes
    ----------
    diameter_mm
        Of a ball of the same volume.
    at
        ``z_mm``, ``theta_deg`` and ``r_mm`` of its middle, and the ``turn`` inside which it lies where known.
    voxel
        Indices (z, y, x) of its middle.
    lines
        Budget of the diameter, the voxel scale's line left out.
    """

    diameter_mm: float
    at: Mapping[str, float]
    voxel: tuple[float, float, float]
    lines: tuple[Contribution, ...]


@dataclass(frozen=True)
class _Crop:
    """Greys around a body, (nz, ny, nx), which of them lie clear of the can, and the first one's indices."""

    grey: Greys
    known: Mask
    first: tuple[int, int, int]


def sized(region: Region, level: Level, box: Box, body: Body) -> Sized:
    """Size and place of a body; see the module."""
    from scipy.ndimage import binary_dilation

    cell = region.cell
    crop = _crop(region, box, body)
    core = _core(crop, level.joined)
    around = _mean(crop.grey, _shell(core, crop.known))
    around = level.layers if around is None else around
    full = _full_grey(crop.grey, core, around)
    half = _core(crop, 0.5 * (around + full))
    half = half if half.any() else core
    spread = binary_dilation(half, iterations=BLUR_VOXELS) & crop.known
    shell = _shell(half, crop.known)
    around = _mean(crop.grey, shell) or around
    full = _full_grey(crop.grey, half, around)
    excess = (crop.grey - around) / max(full - around, 1e-12)
    voxel_mm3 = float(np.prod(cell.frame.voxel_mm))
    voxels = max(float(excess[spread].sum()), 1.0)
    diameter = (6.0 * voxels * voxel_mm3 / math.pi) ** (1.0 / 3.0)
    # d = (6 V / pi)^(1/3): a share of the volume is a third of that share of the diameter
    third = diameter / 3.0
    uneven = _unevenness(crop.grey, shell, half) / max(full - around, 1e-12)
    middle = _middle(crop, excess, half)
    lines = (
        budget.layers_around_the_body(third * uneven * int(spread.sum()) / voxels),
        budget.grey_of_the_bodys_middle(third * _full_spread(crop.grey, half, around, full)),
        budget.voxels_of_the_body(float(np.cbrt(voxel_mm3))),
        *_cut(region, crop, half, diameter),
    )
    return Sized(diameter, _place(cell, middle), middle, lines)


def _crop(region: Region, box: Box, body: Body) -> _Crop:
    """The body with as much around it as is needed to size it."""
    margin = BLUR_VOXELS + AROUND_VOXELS + max(box.along, *box.across)
    shape = region.cell.frame.shape
    first = tuple(max(0, n - margin) for n in body.first)
    last = [min(size - 1, n + margin) for n, size in zip(body.last, shape, strict=True)]
    window = np.s_[first[1] : last[1] + 1, first[2] : last[2] + 1]
    slices = range(first[0], last[0] + 1)
    grey = np.stack([np.asarray(region.cell.scan.slices[k][window], dtype=np.float64) for k in slices])
    known = np.stack([region.inside(k)[window] for k in slices])
    return _Crop(grey, known & np.isfinite(grey), (first[0], first[1], first[2]))


def _core(crop: _Crop, level: float) -> Mask:
    """The largest connected place above ``level``."""
    from scipy.ndimage import label

    labels, count = label((crop.grey > level) & crop.known)
    if count == 0:
        return np.zeros(crop.grey.shape, dtype=bool)
    return np.asarray(labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:])))


def _shell(body: Mask, known: Mask) -> Mask:
    """What lies around a body, beyond its blur."""
    from scipy.ndimage import binary_dilation

    near = binary_dilation(body, iterations=BLUR_VOXELS)
    return np.asarray(binary_dilation(near, iterations=AROUND_VOXELS) & ~near & known)


def _mean(grey: Greys, mask: Mask) -> float | None:
    return float(grey[mask].mean()) if mask.any() else None


def _brightest(grey: Greys, body: Mask, around: float) -> Greys:
    """Greys of a body's middle."""
    values = grey[body]
    top = float(np.percentile(values, 95.0))
    return np.asarray(values[values >= around + MIDDLE_SHARE * (top - around)])


def _full_grey(grey: Greys, body: Mask, around: float) -> float:
    """The grey that a body has where nothing is mixed in."""
    return float(_brightest(grey, body, around).mean())


def _full_spread(grey: Greys, body: Mask, around: float, full: float) -> float:
    """Standard deviation of that grey, as a share of its excess: of a body with a plain middle, noise."""
    return float(_brightest(grey, body, around).std()) / max(full - around, 1e-12)


def _unevenness(grey: Greys, shell: Mask, body: Mask) -> float:
    """How much the surroundings' mean differs from one octant about the body to another."""
    where = np.argwhere(shell)
    if not len(where):
        return 0.0
    octant = ((where > np.argwhere(body).mean(axis=0)) * np.array([4, 2, 1])).sum(axis=1)
    values = grey[shell]
    means = [float(values[octant == n].mean()) for n in np.unique(octant)]
    return float(np.std(means))


def _cut(region: Region, crop: _Crop, body: Mask, diameter_mm: float) -> list[Contribution]:
    """Lines for what of a body may lie beyond the scan's ends, or so near the can that nothing is seen."""
    from scipy.ndimage import binary_dilation

    lines = []
    height = np.flatnonzero(body.any(axis=(1, 2))) + crop.first[0]
    if height.size and (height[0] == 0 or height[-1] == region.cell.frame.shape[0] - 1):
        lines.append(budget.body_beyond_the_scan(diameter_mm))
    across = np.ones((1, 3, 3), dtype=bool)
    if (binary_dilation(body, across) & ~crop.known).any():
        lines.append(budget.body_at_the_can(region.clear_mm))
    return lines


def _middle(crop: _Crop, excess: Greys, body: Mask) -> tuple[float, float, float]:
    """Centre of a body's excess, indices (z, y, x) of the volume."""
    z, y, x = np.nonzero(body)
    weight = excess[body]
    at = [float((n * weight).sum() / weight.sum()) for n in (z, y, x)]
    return at[0] + crop.first[0], at[1] + crop.first[1], at[2] + crop.first[2]


def _place(cell: CylinderCell, voxel: tuple[float, float, float]) -> dict[str, float]:
    z, theta, r = (float(v) for v in cell.frame.to_cell(*voxel))
    place = {"z_mm": z, "theta_deg": theta % 360.0, "r_mm": r}
    foil = cell.surfaces.foil
    turn = None if foil is None else _turn(foil, theta, r)
    return place if turn is None else {**place, "turn": float(turn)}


def _turn(foil: FoilTrace, theta_deg: float, r_mm: float) -> int | None:
    """The outermost turn whose foil lies inside that radius; ``None`` in the core or beyond the roll."""
    column = int(np.argmin(np.abs((foil.theta_deg - theta_deg + 180.0) % 360.0 - 180.0)))
    here = foil.radius_mm[:, :, column]
    found = np.isfinite(here).any(axis=0)
    turns = np.flatnonzero(found)
    radius = np.nanmedian(here[:, found], axis=0)
    inside = turns[radius <= r_mm]
    if not inside.size or inside[-1] == turns[-1]:
        return None
    return int(inside[-1])
