"""How far neighbouring layers have come apart: the widest distance between two turns beyond the pitch.

Two neighbouring turns of one foil lie a pitch apart as long as the layers between them touch. Whatever opens
between them, wherever between the two, moves them apart by as much.
"""

from __future__ import annotations

import numpy as np

from xctrules.core.ledger import Ledger
from xctrules.core.measurement import Measurement
from xctrules.cylinder.surfaces import CylinderCell, Floats, FoilTrace
from xctrules_winding import budget
from xctrules_winding.errors import largest_by_height, lines_of_largest
from xctrules_winding.noise import largest, steadied
from xctrules_winding.paths import Fits
from xctrules_winding.unfollowed import APART, SLIPPED

DELAMINATION = "winding.delamination.largest"


def delamination(cell: CylinderCell, foil: FoilTrace, fits: Fits, account: Ledger | None) -> Measurement:
    """``winding.delamination.largest``, at least 0; its place is the inner one of the two turns.

    Where part of the roll was not followed the layers there may lie further apart than any that were, and
    there is no largest gap. Two turns so far apart that a whole layer might lie between them are followed.
    """
    lost = account is not None and any(
        place.reason == SLIPPED or (place.extent > account.allowed and place.reason != APART)
        for place in account.unexplained
    )
    if lost:
        why = "the followed foil does not fill the roll from core to can, or steps onto another layer"
        return Measurement.absent(DELAMINATION, "mm", why)
    gap = beyond_the_pitch(foil, fits.pitch_mm)
    calm = steadied(gap, foil)
    if not np.isfinite(calm).any():
        return Measurement.absent(DELAMINATION, "mm", "no two neighbouring turns were located")
    found, place = largest(gap, foil)
    found = found.at_least_zero
    by_height = largest_by_height(calm)
    lines = (
        *lines_of_largest(cell, foil, found, by_height[np.isfinite(by_height)], foils=2),
        budget.fit_of_a_foil_without_a_cathode(max(cell.frame.voxel_mm[1:])),
        budget.pitch_beside_the_gap(np.nanmean(fits.sector_pitch_mm, axis=0)),
    )
    n = int(np.isfinite(gap).sum())
    return Measurement(DELAMINATION, "mm", value=found.value, n=n, worst_at=place, budget=lines)


def beyond_the_pitch(foil: FoilTrace, pitch_mm: Floats) -> Floats:
    """Distance from each turn to the next one out that was located, beyond the pitches between the two.

    Parameters
    ----------
    pitch_mm : (nz,)
        Of each height.

    Returns
    -------
    (nz, nturns - 1, nt)
        In mm; NaN where there is no turn or none further out. The roll's axis need not be the frame's: both
        turns are seen from the same point.
    """
    radius = foil.radius_mm
    gap = np.full((radius.shape[0], radius.shape[1] - 1, radius.shape[2]), np.nan)
    outer, turn = radius[:, -1].copy(), np.full(radius[:, -1].shape, radius.shape[1] - 1)
    for inner in reversed(range(gap.shape[1])):
        gap[:, inner] = outer - radius[:, inner] - (turn - inner) * pitch_mm[:, None]
        there = np.isfinite(radius[:, inner])
        outer, turn = np.where(there, radius[:, inner], outer), np.where(there, inner, turn)
    return gap
