"""Outer and inner diameter: of the circle of equal area, mean over the straight part in view."""

from __future__ import annotations

import math

import numpy as np

from xctrules.core.following import Follows
from xctrules.core.measurement import Contribution, Measurement
from xctrules.cylinder.surfaces import CanSurface, CylinderCell
from xctrules_canister import budget
from xctrules_canister.budget import WallModel
from xctrules_canister.form import Floats, filled
from xctrules_canister.maps import TABLE, Maps, least_share, seen_all_round

LEAST_HEIGHTS = 5
"""Heights of which one may be left out to see what that does to the mean."""


def diameters(surface: CanSurface, maps: Maps, cell: CylinderCell, model: WallModel) -> list[Measurement]:
    """``canister.outer_diameter`` and ``canister.inner_diameter``."""
    outer, inner = surface.outer_mm[surface.straight], surface.inner_mm[surface.straight]
    inner_sigma = math.hypot(maps.outer_sigma, maps.wall_sigma)
    return [
        _diameter("outer", outer, maps.outer_sigma, _systematic(surface, cell, 0, model.outer), cell),
        _diameter("inner", inner, inner_sigma, _systematic(surface, cell, 1, model.inner), cell),
    ]


def _systematic(
    surface: CanSurface, cell: CylinderCell, face: int, model_mm: float
) -> tuple[Contribution, ...]:
    """What moves all edges of a face (0 outer, 1 inner) alike, twice as far in a diameter."""
    return (
        budget.model_in_diameter(model_mm),
        budget.slope_of_the_walls_grey(2 * surface.slope_shift_mm[face]),
        budget.unequal_blur(2 * surface.blur_shift_mm[face]),
    )


def _diameter(
    which: str, radius: Floats, sigma_mm: float, systematic: tuple[Contribution, ...], cell: CylinderCell
) -> Measurement:
    name = f"canister.{which}_diameter"
    # Heights seen only part of the way round count only where there are no others.
    enough = seen_all_round(radius)
    if not enough.any():
        return Measurement.absent(name, "mm", f"the can's {which} surface was not found at any height")
    each = equal_area(radius[enough])
    value = float(each.mean())
    n = int(np.isfinite(radius[enough]).sum())
    lines = (
        cell.scale.contribution(value),
        budget.noise_of_diameter(sigma_mm, n),
        *systematic,
        budget.tilt_in_diameter(value, cell.frame.tilt_sigma_deg),
    )
    if each.size >= LEAST_HEIGHTS:
        lines = (*lines, budget.limits_of_the_straight_part(each))
    follows = Follows(
        TABLE, f"{which}_radius_mm", "equal_area_diameter", by="z_mm", least_share=least_share(radius)
    )
    remark = _left_out(int((~enough).sum()))
    return Measurement(name, "mm", value=value, budget=lines, n=n, reason=remark, follows=follows)


def equal_area(radius: Floats) -> Floats:
    """Diameter (nz,) of the circle whose area the closed curve of each height (nz, nt) has.

    Sector formula, ``2 sqrt(mean r^2)``: exact for any centre that the curve goes round.
    """
    return np.asarray(2 * np.sqrt(np.mean(filled(radius) ** 2, axis=1)))


def _left_out(heights: int) -> str | None:
    """A remark on heights that do not count; none where all do."""
    if not heights:
        return None
    which = (
        "1 height, not seen all round, is" if heights == 1 else f"{heights} heights, not seen all round, are"
    )
    return f"{which} left out"
