"""The deepest dent: the deepest place below the sound can's ellipse.

Pooling tells shallow dents from noise, and flattens narrow ones. So the deepest place is looked for in both,
the pooled surface and the single edges, and where the single edges lie deeper than their noise can explain,
they tell the depth: the window is the wider of the two that agree (Lepski's choice of a bandwidth).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.core.measurement import Measurement, Scale
from xctrules.core.robust import robust_sd
from xctrules_canister import budget
from xctrules_canister.account import ALLOWED_MM2, unmeasured
from xctrules_canister.course import OUTLINE_VOXEL
from xctrules_canister.extremes import freed
from xctrules_canister.form import Floats, Pooling, most_that_noise_makes
from xctrules_canister.maps import Maps
from xctrules_canister.rays import Rays

NAME = "canister.dent_depth"

NARROW_SIGMAS = 6.0
"""Standard deviations of one edge by which single edges lie deeper than the pooled surface where a dent is
narrow: the deepest of some ten thousand lies four and a half deeper by noise alone."""

LEANING_VOXEL = 0.25
"""How much less half height tells, in voxels, where the outline leans by 45 degrees: blur rounds it off."""

NARROW_VOXEL = 0.1
"""The same in voxels at least: what pattern and model leave at the worst place."""


def dent_depth(maps: Maps, scale: Scale, hollows: Hollows, unmeasured_mm2: float) -> Measurement:
    """``canister.dent_depth``; 0 where noise alone would explain it, none where the deepest may not be known.

    Parameters
    ----------
    unmeasured_mm2
        Area of the largest place of the can whose wall is not known.
    """
    if unmeasured_mm2 > ALLOWED_MM2:
        return Measurement.absent(NAME, "mm", unmeasured(unmeasured_mm2))
    if not np.isfinite(maps.deviation).any():
        return Measurement.absent(NAME, "mm", "no ellipse fits the can's outer surface at any height")
    detectable = most_that_noise_makes(_deepest, maps.noise, maps.outer_sigma) + budget.worst_outer_place(
        maps.voxel_mm
    )
    narrow = _narrow_dent(hollows, maps, scale)
    if narrow is not None:
        return narrow
    if _deepest(-maps.deviation) <= detectable:
        return _no_dent(maps, detectable)
    return _dent(maps, scale)


def _deepest(inward: Floats) -> float:
    return float(np.nanmax(inward))


def _no_dent(maps: Maps, detectable_mm: float) -> Measurement:
    return Measurement(
        NAME,
        "mm",
        value=0.0,
        n=int(np.isfinite(maps.deviation).sum()),
        budget=(budget.smallest_dent_told_apart(detectable_mm), budget.model_in_dent(maps.voxel_mm)),
        reason=f"nothing deeper than noise explains; a dent of {detectable_mm:.3f} mm would have shown",
    )


def _dent(maps: Maps, scale: Scale) -> Measurement:
    deviation = maps.deviation
    row, column = (int(i) for i in np.unravel_index(int(np.nanargmin(deviation)), deviation.shape))
    found, doubt = freed(-deviation, maps.noise, maps, _deepest)
    flattened = _flattened(maps, row, column)
    value = max(found.value + flattened, 0.0)
    lines = (
        scale.contribution(value),
        budget.noise_of_extreme(found.sd),
        budget.correction_for_noise(found.bias),
        budget.roughness_or_pattern(doubt),
        budget.the_sound_cans_ellipse(robust_sd(deviation[row])),
        budget.pooling_window_of_form(flattened),
        budget.model_in_dent(maps.voxel_mm),
    )
    n = int(np.isfinite(deviation).sum())
    return Measurement(NAME, "mm", value=value, n=n, budget=lines, worst_at=maps.place(row, column))


def _flattened(maps: Maps, row: int, column: int) -> float:
    """What the pooling window takes off a narrow dent: as much as pooling once more would take."""
    again = maps.pooling.pool(maps.deviation)
    change = float(again[row, column] - maps.deviation[row, column])
    return max(change, 0.0) if math.isfinite(change) else 0.0


@dataclass(frozen=True)
class Hollows:
    """How far single edges lie inward of the sound can's outline, wherever the can is in view.

    Attributes
    ----------
    z_mm, theta_deg : (nz,), (nt,)
    inward_mm : (nz, nt)
        NaN where no edge is known.
    noise_mm : (nz,)
        Standard deviation of what is no hollow at each height: noise, and beside the straight part form.
    doubt_mm : (nz,)
        How well an edge is known: as fitted, or by half height.
    """

    z_mm: Floats
    theta_deg: Floats
    inward_mm: Floats
    noise_mm: Floats
    doubt_mm: Floats
    pooling: Pooling

    @classmethod
    def of(cls, maps: Maps, rays: Rays | None, walled: NDArray[np.bool_] | None) -> Hollows:
        """From the fitted faces of the straight part, and beyond it, and in holes of it, from the rays.

        Parameters
        ----------
        walled : (nz, nt) bool
            Where the rays meet a wall, nearly square.
        """
        fitted = -(maps.deviation + maps.unpooled - maps.outer)
        noise = np.full(maps.z_mm.size, maps.edge_sigma)
        doubt = np.full(maps.z_mm.size, budget.worst_outer_place(maps.voxel_mm))
        if rays is None or walled is None:
            return cls(maps.z_mm, maps.theta_deg, fitted, noise, doubt, maps.pooling)
        row = np.abs(maps.z_mm[None, :] - rays.z_mm[:, None]).argmin(axis=1)
        same = np.abs(maps.z_mm[row] - rays.z_mm) < rays.step_mm / 2
        sound = (maps.outer - maps.deviation)[row]
        inward = np.where(walled, sound - rays.outer_mm, np.nan)
        known = np.isfinite(inward).sum(axis=1) > 0.5 * inward.shape[1]
        inward[~known] = np.nan
        inward[known] -= np.nanmedian(inward[known], axis=1, keepdims=True)
        slope = np.gradient(rays.radius_mm, rays.z_mm)
        noise_there = np.full(rays.z_mm.size, np.inf)
        for k in np.flatnonzero(np.isfinite(inward).any(axis=1)):
            noise_there[k] = robust_sd(inward[k])
        beside = (OUTLINE_VOXEL + LEANING_VOXEL * np.abs(slope)) * maps.voxel_mm
        inward[same] = np.where(np.isfinite(fitted[row]), fitted[row], inward)[same]
        return cls(
            rays.z_mm,
            maps.theta_deg,
            inward,
            np.where(same, maps.edge_sigma, np.maximum(noise_there, maps.edge_sigma)),
            np.where(same, doubt[row], beside),
            maps.pooling.at_spacing(rays.step_mm),
        )


def _narrow_dent(hollows: Hollows, maps: Maps, scale: Scale) -> Measurement | None:
    """The deepest place by single edges; ``None`` where pooling takes off no more than noise adds."""
    inward = hollows.inward_mm
    least = np.maximum(NARROW_SIGMAS * hollows.noise_mm, NARROW_VOXEL * maps.voxel_mm)[:, None]
    pooled = _deepest(-maps.deviation)
    clear = np.where(inward - max(pooled, 0.0) > least, inward, np.nan)
    if not np.isfinite(clear).any():
        return None
    row, column = (int(i) for i in np.unravel_index(int(np.nanargmax(clear)), clear.shape))
    blurred = float(hollows.pooling.blurred(inward, maps.blur_mm)[row, column])
    flattened = max(float(inward[row, column]) - blurred, 0.0) if math.isfinite(blurred) else 0.0
    between = _between_samples(inward, row, column)
    value = float(inward[row, column]) + flattened + between
    lines = (
        scale.contribution(value),
        budget.noise_of_one_edge(float(hollows.noise_mm[row])),
        budget.the_sound_cans_ellipse(robust_sd(inward[row])),
        budget.blur_over_a_narrow_dent(flattened),
        budget.between_the_places_looked_at(between + _beyond_the_last_height(inward, row, column)),
        budget.edge_of_a_narrow_dent(float(hollows.doubt_mm[row])),
    )
    n = int(np.isfinite(inward).sum())
    at = {"z_mm": float(hollows.z_mm[row]), "theta_deg": float(hollows.theta_deg[column])}
    return Measurement(NAME, "mm", value=value, n=n, budget=lines, worst_at=at)


def _between_samples(inward: Floats, row: int, column: int) -> float:
    """How much deeper the tops of parabolas through neighbours along height and angle lie than the place."""
    rows, columns = inward.shape
    around = [inward[row, (column + i) % columns] for i in (-1, 0, 1)]
    along = [inward[row + i, column] for i in (-1, 0, 1)] if 0 < row < rows - 1 else around
    gain = 0.0
    for before, here, after in (around, along)[: 1 + (0 < row < rows - 1)]:
        curved = float(2 * here - before - after)
        if math.isfinite(curved) and curved > 0:
            gain += float(after - before) ** 2 / (8 * curved)
    return gain


def _beyond_the_last_height(inward: Floats, row: int, column: int) -> float:
    """Half the step to the next height where the deepest place is at the first or last: it goes on there."""
    rows = inward.shape[0]
    if rows < 2 or 0 < row < rows - 1:
        return 0.0
    step = float(inward[row, column] - inward[1 if row == 0 else rows - 2, column])
    return max(step, 0.0) / 2 if math.isfinite(step) else 0.0
