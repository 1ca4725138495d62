"""Lengths of the method at an end of the roll, in samples along the height of the scan at hand."""

from __future__ import annotations

import math
from dataclasses import dataclass

EDGE_SPREAD_VOXELS = 1.3
"""Standard deviation of a usual scanner's edge spread along the height, in in-plane voxels. It only says how
far from an edge its levels are taken."""

CLEAR_OF_EDGE = 2.2
"""Edge spreads after which 1 % of the step is left."""

LEVEL_MM = 0.25
"""Height over which a level beside an edge is averaged: shorter than any free foil that counts."""

STOP_MM = 0.3
"""A dark stretch as long as this ends an electrode: noise and a dim place in a foil are shorter."""

LEAST_SAMPLES = 3
"""Of a level and of a dark stretch: a median of fewer is a single value."""


@dataclass(frozen=True)
class Sampling:
    """``skip`` clears an edge's blur, ``level`` averages a level, ``stop`` is a dark stretch that ends an
    electrode, all in samples along the height; ``side_mm`` reaches from a foil to the dark beside it."""

    skip: int
    level: int
    stop: int
    voxel_mm: float
    side_mm: float

    @classmethod
    def of(cls, step_mm: float, voxel_mm: float, side_mm: float) -> Sampling:
        """For samples ``step_mm`` apart of a scan with in-plane voxels of ``voxel_mm``."""
        return cls(
            skip=max(1, math.ceil(CLEAR_OF_EDGE * EDGE_SPREAD_VOXELS * voxel_mm / step_mm)),
            level=max(LEAST_SAMPLES, round(LEVEL_MM / step_mm)),
            stop=max(LEAST_SAMPLES, round(STOP_MM / step_mm)),
            voxel_mm=voxel_mm,
            side_mm=side_mm,
        )

    @property
    def search(self) -> int:
        """Samples to either side of a step in which its level is crossed."""
        return self.skip + 2
