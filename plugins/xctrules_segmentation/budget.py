"""Where the uncertainty of what is said of a segmentation comes from: one function for each line of a budget.

Each returns the line in the measurement's unit. Type A is from the scatter of this scan's own values, type B
from bounds and models (JCGM 100, 4.2, 4.3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from xctrules.core.measurement import Contribution
from xctrules.cylinder.surfaces import Floats

ALIKE = 10
"""Neighbouring angles, or half-planes, that stand for one: they show much the same piece of foil."""

SEPARABILITY_SIGMA = 0.01
"""Standard uncertainty of the separability from the five slices that it is taken in. From drawn scans."""

LEAST_SPREAD = 1e-3
"""Spread of the Dice scores at least: a single half-plane shows none."""


def counting(share: float, n: int) -> Contribution:
    """Of a share of n places: binomial, with the places that stand for one (:data:`ALIKE`). Type A."""
    variance = max(share * (1 - share), 1 / max(n, 1))
    return Contribution("counting", math.sqrt(variance / max(n / ALIKE, 1)))


def edge_noise(sigmas_mm: Sequence[float], n: int) -> Contribution:
    """Noise of one edge, mean over the ends, over the root of the places that stand for one. Type A."""
    mean = sum(sigmas_mm) / len(sigmas_mm)
    return Contribution("edge noise", mean / math.sqrt(max(n / ALIKE, 1)))


def choice_of_slices() -> Contribution:
    """:data:`SEPARABILITY_SIGMA`. Type B."""
    return Contribution("choice of slices", SEPARABILITY_SIGMA, type="B")


def scatter_between_half_planes(dice: Floats) -> Contribution:
    """Standard deviation (nplanes,) over the root of the half-planes that stand for one. Type A."""
    spread = float(dice.std(ddof=1)) if dice.size > 1 else 0.0
    u = max(spread, LEAST_SPREAD) / math.sqrt(max(dice.size / ALIKE, 1))
    return Contribution("scatter between half-planes", u)
