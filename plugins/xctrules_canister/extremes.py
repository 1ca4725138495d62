"""Extremes of the outer surface freed of noise, between two bounds on what counts as noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from xctrules_canister.form import Corrected, Floats, free_of_noise, most_that_noise_makes
from xctrules_canister.maps import Maps

PATTERN_VOXEL = 0.02
"""Largest standard deviation over the surface, in voxels, that rings, streaks and the grid of voxels gave it
on drawn cans."""


def freed(
    values: Floats, noise: Floats, maps: Maps, statistic: Callable[[Floats], float]
) -> tuple[Corrected, float]:
    """An extreme of the outer surface freed of noise, and the half-width of what counts as noise.

    The truth lies between two bounds: that all which second differences do not show is the can's form, and
    that it is the image's pattern, as far as images have any. Half-way between them is stated.

    Parameters
    ----------
    values : (nz, nt)
        Of the outer surface, pooled.
    noise : (ndraws, nz, nt)
        Pooled noise of unit standard deviation before pooling.
    """
    pattern = maps.pattern_sigma(PATTERN_VOXEL * maps.voxel_mm)
    most = free_of_noise(values, noise, maps.outer_sigma, statistic, 0.0)
    least = free_of_noise(values, noise, pattern, statistic, 0.0)
    if statistic(values) <= most_that_noise_makes(statistic, noise, pattern):
        least = replace(least, value=0.0)
    high = max(most.value, 0.0)
    low = min(max(least.value, 0.0), high)
    return replace(most, value=0.5 * (high + low)), 0.5 * (high - low)
