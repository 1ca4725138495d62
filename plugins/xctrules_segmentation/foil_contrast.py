"""Where the dark beside a foil is at an end of the roll, and how far the foils stand out of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules_segmentation.layout import Layout
from xctrules_segmentation.steps import Floats, Greys
from xctrules_segmentation.window import Window

IN_ROLL_MM = -0.3
"""Below this height the roll is whole: cathode edges scatter by some tenths of a millimetre."""

NEAREST_SIDE_VOXELS, SIDE_STEP_VOXELS = 1.2, 0.2
"""The dark beside a foil is looked for from outside its own blur on, in steps of a fifth of a voxel."""

FARTHEST_SIDE = 0.45
"""Share of the pitch up to which it is looked for: half-way to the next foil lies the cathode."""

LEAST_FARTHEST_VOXELS = 1.5
"""Where layers are hardly wider than voxels, at least as far as this."""

ROLL_BELOW_MM, FREE_BAND_MM = -0.1, (0.05, 0.25)
"""Heights, outward of the cathode's edge, at which foils are in the roll for certain and at which most stand
free: clear of the edge's blur, and below the tips."""

MARGIN_BELOW_MM, MARGIN_ABOVE_MM = 0.6, 0.3
"""What is read of the window to that end, below the lowest and above the highest edge."""

ROLL_OF_FREE, FREE_OF_ROLL = 0.2, 0.5
"""Least contrast in the roll as a share of the free one, and the other way round: where most anodes end below
the cathode nothing stands free; where layers touch, nothing stands out of the roll."""

LEAST_CONTRAST = 1e-3
"""Grey levels; keeps a ratio finite."""


@dataclass(frozen=True)
class FoilContrast:
    """How far a scan's foils stand out of what is beside them: in the roll, and free above the cathode's
    edge.

    ``*_mean`` is against the mean of the two sides, ``*_max`` against the brighter one.
    """

    roll_mean: float
    free_mean: float
    roll_max: float
    free_max: float

    @classmethod
    def of(cls, window: Window, layout: Layout, edge: Floats, side_mm: float) -> FoilContrast:
        """Typical over all turns and angles, below and just above the cathode's edge (nturns, nt).

        Raises
        ------
        NotMeasurable
            Where no foil stands out of its surroundings.
        """
        height = window.height_mm[:, None, None] - edge
        near = window.height_mm > np.nanmin(edge) - MARGIN_BELOW_MM
        near &= window.height_mm < np.nanmax(edge) + MARGIN_ABOVE_MM
        part = dataclasses.replace(window, grey=window.grey[near], height_mm=window.height_mm[near])
        middle, left, right = (part.at(layout.foil_mm + d) for d in (0.0, -side_mm, side_mm))
        below = height[near] < ROLL_BELOW_MM
        above = (height[near] > FREE_BAND_MM[0]) & (height[near] < FREE_BAND_MM[1])
        roll_mean, free_mean = _either_place(middle - 0.5 * (left + right), below, above)
        roll_max, free_max = _either_place(middle - np.maximum(left, right), below, above)
        if not min(roll_mean, free_mean) > 0:
            raise NotMeasurable("the copper foil cannot be told from the layers beside it")
        return cls(roll_mean, free_mean, max(roll_max, LEAST_CONTRAST), max(free_max, LEAST_CONTRAST))

    def expected_mean(self, height_mm: Floats, edge: Floats) -> Greys:
        """Contrast to be expected at every height (nh, nt), given the cathode's edge (nt,)."""
        return _either_side(height_mm, edge, self.roll_mean, self.free_mean)

    def expected_max(self, height_mm: Floats, edge: Floats) -> Greys:
        """The same against the brighter side."""
        return _either_side(height_mm, edge, self.roll_max, self.free_max)


def _either_side(height_mm: Floats, edge: Floats, roll: float, free: float) -> Greys:
    return np.where(height_mm[:, None] < edge, np.float32(roll), np.float32(free))


def _either_place(
    contrast: Floats, below: NDArray[np.bool_], above: NDArray[np.bool_]
) -> tuple[float, float]:
    """Median contrast in the roll and free above it, neither far below the other."""

    def typical(where: NDArray[np.bool_]) -> float:
        values = contrast[where & np.isfinite(contrast)]
        return float(np.median(values)) if values.size else 0.0

    roll, free = typical(below), typical(above)
    return max(roll, ROLL_OF_FREE * free), max(free, FREE_OF_ROLL * roll)


def side_mm(window: Window, layout: Layout, voxel_mm: float) -> float:
    """Distance from a foil's middle to the darkest place beside it in the roll, where its blur and the next
    layer's meet."""
    deep = window.height_mm < IN_ROLL_MM
    rows = deep if deep.sum() >= 2 else window.height_mm < 0
    roll = np.nan_to_num(window.grey[rows]).mean(axis=0, keepdims=True)  # outside the image it is dark
    part = dataclasses.replace(window, grey=roll, height_mm=window.height_mm[:1])
    farthest = max(FARTHEST_SIDE * layout.pitch_mm, LEAST_FARTHEST_VOXELS * voxel_mm)
    distance = np.arange(NEAREST_SIDE_VOXELS * voxel_mm, farthest, SIDE_STEP_VOXELS * voxel_mm)
    either = [[float(np.nanmean(part.at(layout.foil_mm + s * d))) for d in distance] for s in (-1, 1)]
    return float(np.mean([distance[int(np.argmin(grey))] for grey in either]))
