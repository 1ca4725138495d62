"""The deepest dent: the deepest place below the sound can's ellipse."""

from __future__ import annotations

import math

import numpy as np

from xctrules.core.measurement import Measurement, Scale
from xctrules.core.robust import robust_sd
from xctrules_canister import budget
from xctrules_canister.extremes import freed
from xctrules_canister.form import Floats, most_that_noise_makes
from xctrules_canister.maps import Maps

NAME = "canister.dent_depth"


def dent_depth(maps: Maps, scale: Scale) -> Measurement:
    """``canister.dent_depth``; 0 where noise alone would explain it."""
    if not np.isfinite(maps.deviation).any():
        return Measurement.absent(NAME, "mm", "no ellipse fits the can's outer surface at any height")
    detectable = most_that_noise_makes(_deepest, maps.noise, maps.outer_sigma) + budget.worst_outer_place(
        maps.voxel_mm
    )
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
