"""From which slice on everything is brighter or darker, as where two scans were joined.

A step of brightness is one of the can's wall and of all blocks of the cross-section at once. Where layers
begin or end, some blocks change; where the can is formed, its wall does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.core.robust import robust_sd
from xctrules.cylinder.surfaces import Floats
from xctrules_screening.displacement import usual
from xctrules_screening.neighbours import Neighbours

BLOCKS_ALIKE = 4
"""Blocks that stand for one independent one: an edge of a layer passes through several."""


@dataclass(frozen=True)
class Brightness:
    """Relative step of brightness of each pair beyond its neighbours', and its uncertainty; (n - 1,)."""

    step: Floats
    sigma: Floats


def brightness_steps(n: Neighbours, straight: NDArray[np.bool_]) -> Brightness:
    """The step that wall and blocks have in common: the smaller of both, 0 where their signs differ.

    ``straight`` (n - 1,) are the pairs in the can's straight part.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        wall = n.wall[1:] / n.wall[:-1] - 1
        blocks = n.brightness[1:] / n.brightness[:-1] - 1
    wall, blocks = (np.where(np.isfinite(ratio), ratio, 0.0) for ratio in (wall, blocks))
    wall, blocks = wall - usual(wall), blocks - usual(blocks)
    inside = np.median(blocks, axis=1)
    agree = np.sign(wall) == np.sign(inside)
    step = np.where(agree, np.sign(wall) * np.minimum(np.abs(wall), np.abs(inside)), 0.0)
    among = np.array([robust_sd(row) for row in blocks]) / np.sqrt(blocks.shape[1] / BLOCKS_ALIKE)
    return Brightness(step, np.hypot(robust_sd(wall[straight]), among))
