"""Wall thickness normal to the wall: mean, thinnest and thickest place, and spread."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from xctrules.core.following import Follows
from xctrules.core.measurement import Contribution, Measurement, Scale
from xctrules.cylinder.surfaces import CanSurface
from xctrules_canister import budget
from xctrules_canister.account import ALLOWED_MM2, unmeasured
from xctrules_canister.budget import WallModel
from xctrules_canister.form import Corrected, free_of_noise
from xctrules_canister.maps import TABLE, Maps

THINNED = 0.75
"""Share of the mean thickness below which a place is thin by itself, and not by the model's error."""

LEAST_KNOWN = 0.25
"""Share of the wall's places that must be known."""

NAMES = tuple(f"canister.wall_thickness.{part}" for part in ("mean", "min", "max", "std"))


@dataclass(frozen=True)
class _Wall:
    """The map of the wall, and the lines that its figures' budgets have in common."""

    maps: Maps
    scale: Scale
    model: WallModel
    grey: tuple[Contribution, ...]

    @property
    def n(self) -> int:
        """Places known."""
        return int(np.isfinite(self.maps.wall).sum())


def wall_thickness(
    surface: CanSurface, maps: Maps, scale: Scale, model: WallModel, unmeasured_mm2: float
) -> list[Measurement]:
    """``canister.wall_thickness.*``; no extremes where more than the allowed area was not measured.

    Parameters
    ----------
    unmeasured_mm2
        Area of the largest place of the wall of which no thickness is known.
    """
    wall = _Wall(maps, scale, model, _grey_lines(surface))
    if wall.n < LEAST_KNOWN * maps.wall.size:
        reason = "the wall's inner surface was found at too few places"
        return [Measurement.absent(name, "mm", reason) for name in NAMES]
    if unmeasured_mm2 > ALLOWED_MM2:
        reason = unmeasured(unmeasured_mm2)
        extremes = [Measurement.absent(name, "mm", reason) for name in NAMES[1:3]]
    else:
        extremes = [_thinnest(wall), _thickest(wall)]
    return [_mean(wall), *extremes, _spread(wall)]


def _grey_lines(surface: CanSurface) -> tuple[Contribution, ...]:
    """What the two faces' shifts leave open in the thickness between them."""
    slope, blur = surface.slope_shift_mm, surface.blur_shift_mm
    return budget.slope_of_the_walls_grey(slope[0] - slope[1]), budget.unequal_blur(blur[0] - blur[1])


def _mean(wall: _Wall) -> Measurement:
    mean = wall.maps.mean_wall
    lines = (
        wall.scale.contribution(mean),
        budget.noise_of_mean_wall(wall.maps.wall_sigma, wall.n),
        budget.model_in_wall(wall.model.wall),
        *wall.grey,
    )
    return Measurement(NAMES[0], "mm", value=mean, n=wall.n, budget=lines, follows=_from("mean"))


def _from(statistic: str, **corrections: float) -> Follows:
    """How a figure of the wall follows from the table."""
    return Follows(TABLE, "wall_mm", statistic, **corrections)  # type: ignore[arg-type]


def _thinnest(wall: _Wall) -> Measurement:
    maps = wall.maps
    found = free_of_noise(
        maps.wall, maps.noise, maps.wall_sigma, lambda a: float(np.nanmin(a)), maps.mean_wall
    )
    # The correction for noise is uncertain itself; the thinnest place is no thicker than the mean.
    follows = _from("min", bias=found.bias, at_most=maps.mean_wall)
    return _extreme(wall, NAMES[1], found, follows, int(np.nanargmin(maps.wall)))


def _thickest(wall: _Wall) -> Measurement:
    maps = wall.maps
    found = free_of_noise(
        maps.wall, maps.noise, maps.wall_sigma, lambda a: float(np.nanmax(a)), maps.mean_wall
    )
    follows = _from("max", bias=found.bias, at_least=maps.mean_wall)
    return _extreme(wall, NAMES[2], found, follows, int(np.nanargmax(maps.wall)))


def _extreme(wall: _Wall, name: str, found: Corrected, follows: Follows, index: int) -> Measurement:
    maps, value = wall.maps, follows.bounded(found.value)
    row, column = (int(i) for i in np.unravel_index(index, maps.wall.shape))
    lines = (
        wall.scale.contribution(value),
        budget.noise_of_extreme(found.sd),
        budget.correction_for_noise(found.bias),
        budget.model_in_wall(_model_at(wall, value)),
        *wall.grey,
        budget.pooling_window_of_wall(float(maps.wall_again[row, column] - maps.wall[row, column])),
        budget.noise_beyond_first_order(maps.wall_sigma, maps.voxel_mm),
    )
    place = maps.place(row, column)
    return Measurement(name, "mm", value=value, n=wall.n, budget=lines, worst_at=place, follows=follows)


def _model_at(wall: _Wall, thickness_mm: float) -> float:
    """What the model leaves at one place: of a thinned wall, as much as of a wall that thin."""
    if thickness_mm > THINNED * wall.maps.mean_wall:
        return wall.model.wall_at_one_place
    return WallModel.of(thickness_mm, wall.maps.blur_mm, wall.maps.voxel_mm).wall_at_one_place


def _spread(wall: _Wall) -> Measurement:
    """Standard deviation over height and angle, the noise's variance taken off."""
    maps = wall.maps
    pooled_sd = maps.wall_sigma * maps.noise_sd
    spread = math.sqrt(max(float(np.nanstd(maps.wall)) ** 2 - pooled_sd**2, 0.0))
    independent = budget.independent_windows(wall.n, maps.pooling.sd_samples)
    lines = (
        wall.scale.contribution(spread),
        budget.noise_of_spread(spread, pooled_sd, independent),
        budget.model_in_spread(wall.model.wall_at_one_place),
    )
    follows = _from("std", noise=pooled_sd)
    return Measurement(NAMES[3], "mm", value=spread, n=wall.n, budget=lines, follows=follows)
