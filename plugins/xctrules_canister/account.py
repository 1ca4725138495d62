"""The can's account: every place of it in view is closed, as thick as a wall, and where the can should run.

What is not is a place with size, position and reason; the engine lets no cell pass with one that is larger
than may remain, whether a rule asks for it or not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xctrules.core.ledger import Ledger, Place
from xctrules.core.measurement import Measurement
from xctrules_canister import budget
from xctrules_canister.course import Course
from xctrules_canister.form import POOL_MM
from xctrules_canister.maps import Maps
from xctrules_canister.presence import WallPresence, patches, place

COMPLETENESS = "canister.completeness"
PART = "can wall"

ALLOWED_MM2 = 0.05
"""Largest place with which a cell may still pass: a hole of a quarter of a millimetre, or a crack of 50 um
over one millimetre."""

TOLD_MM2 = POOL_MM**2
"""Smallest place without a known thickness that counts: below the pooling window its surroundings tell it."""

WORN = 0.5
"""Share of its mean thickness below which a wall is worn and not uneven: makers' sheets vary by a tenth."""

WORN_SIGMAS = 4.0
"""Standard deviations of a pooled thickness by which it lies below that."""


def thickness_unknown(maps: Maps, presence: WallPresence) -> list[Place]:
    """Places of the straight part that have a wall of which no thickness can be told."""
    unknown = ~np.isfinite(maps.wall) & presence.walled(maps.z_mm, maps.theta_deg)
    return _places(maps, unknown, TOLD_MM2, "the can's wall was not told from what lies behind it")


def worn(maps: Maps) -> list[Place]:
    """Places of the straight part where the wall is less than half as thick as in the mean."""
    noise = WORN_SIGMAS * maps.wall_sigma * maps.noise_sd
    with np.errstate(invalid="ignore"):
        thin = maps.wall < WORN * maps.mean_wall - noise
    usual = f"{maps.mean_wall:.2f} mm in the mean"
    return _places(
        maps, thin, ALLOWED_MM2, f"the can's wall is less than half as thick as elsewhere, {usual}"
    )


def _places(maps: Maps, mask: NDArray[np.bool_], least_mm2: float, reason: str) -> list[Place]:
    height = float(np.median(np.diff(maps.z_mm))) if maps.z_mm.size > 1 else maps.voxel_mm
    width = math.radians(360.0 / maps.theta_deg.size) * np.nanmean(maps.outer, axis=1)
    found = [
        place(maps.z_mm, maps.theta_deg, height * width, rows, columns, reason)
        for rows, columns in patches(mask)
    ]
    return [one for one in found if one.extent >= least_mm2]


def account(
    presence: WallPresence, course: Course, maps: Maps, openings: Sequence[Place], unknown: Sequence[Place]
) -> Ledger:
    """The can's ledger; ``openings`` have no wall, ``unknown`` none of known thickness."""
    places = [*openings, *unknown, *worn(maps), *course.places()]
    expected = presence.area_mm2
    left = max(expected - sum(one.extent for one in places), 0.0)
    return Ledger(PART, "mm2", expected, left, ALLOWED_MM2, {}, tuple(places))


def largest_mm2(places: Sequence[Place]) -> float:
    """Area of the largest of some places, 0 where there is none."""
    return max((one.extent for one in places), default=0.0)


def unmeasured(area_mm2: float) -> str:
    """Why there is no least, greatest or deepest place while one is not known."""
    return f"a place of {area_mm2:.2f} mm2 has no wall, or none that could be told from what lies behind it"


def completeness(ledger: Ledger | None, voxel_mm: float) -> Measurement:
    """``canister.completeness``: the largest place neither measured nor explained, 0 where none is."""
    if ledger is None:
        return Measurement.absent(
            COMPLETENESS, "mm2", "the scan shows no greys of the wall, or one height only"
        )
    largest = max(ledger.unexplained, key=lambda one: one.extent, default=None)
    area = 0.0 if largest is None else largest.extent
    return Measurement(
        COMPLETENESS, "mm2", value=area, budget=(budget.rim_of_an_unexplained_place(area, voxel_mm),),
        worst_at=None if largest is None else largest.at, reason=None if largest is None else largest.reason,
    )  # fmt: skip
