"""How many turns the foil has, and how far apart they lie."""

from __future__ import annotations

import math

import numpy as np

from xctrules.core.ledger import Ledger
from xctrules.core.measurement import Measurement
from xctrules.cylinder.surfaces import CylinderCell, FoilTrace
from xctrules_winding import budget
from xctrules_winding.paths import Fits, along, located, revolutions
from xctrules_winding.seat import can_gap

WHOLE_TURN, WHOLE_TURN_AT_CAN = 1 / 2, 1 / 3
"""A last part of more than this counts as a turn; of less, where the foil is lost against the can before it
ends."""

AT_CAN = 0.5
"""Gap to the can, in pitches, below which a foil's outer end lies against it."""


def turns(cell: CylinderCell, foil: FoilTrace, account: Ledger | None) -> list[Measurement]:
    """``winding.turns`` and ``winding.revolutions``: a whole number, and the angle as located.

    A foil that runs into the can is lost there before it ends, so that the located angle is a lower bound.
    The number of turns is exact only where the followed foil fills the roll: ``account`` says whether it
    does.
    """
    if account is not None and any(place.extent > account.allowed for place in account.unexplained):
        why = "the followed foil does not fill the roll from core to can"
        return [Measurement.absent(name, "1", why) for name in ("winding.turns", "winding.revolutions")]
    seen, lost = revolutions(foil), _end_touches_can(cell, foil)
    part = WHOLE_TURN_AT_CAN if lost else WHOLE_TURN
    remark = "the outer end lies against the can, where the foil can no longer be told from it: a lower bound"
    n = int(np.isfinite(foil.radius_mm).sum())
    return [
        Measurement("winding.turns", "1", value=float(math.floor(seen + 1 - part)), n=n),
        Measurement(
            "winding.revolutions", "1", value=seen, n=n, reason=remark if lost else None,
            budget=(budget.angle_of_the_ends(1.0 / foil.theta_deg.size),),
        ),
    ]  # fmt: skip


def _end_touches_can(cell: CylinderCell, foil: FoilTrace) -> bool:
    """Whether the outer end of the foil was lost against the can rather than seen to end."""
    can = cell.surfaces.can
    if can is None:
        return False
    angles = foil.theta_deg.size
    last = int(np.flatnonzero(along(located(foil), foil))[-1]) % angles
    column = last if foil.handedness > 0 else angles - 1 - last
    gap = float(np.nanmedian(can_gap(foil, can)[:, column]))
    return gap < AT_CAN * float(np.nanmedian(np.diff(foil.radius_mm, axis=1)))


def pitch(cell: CylinderCell, fits: Fits) -> Measurement:
    """``winding.pitch``: mean over the heights."""
    value = float(fits.pitch_mm.mean())
    voxel = max(cell.frame.voxel_mm[1:])
    lines = (
        cell.scale.contribution(value),
        budget.pitch_of_sectors(np.nanmean(fits.sector_pitch_mm, axis=0)),
        budget.slice_to_slice(fits.pitch_mm),
        budget.bias_of_the_fit_over_the_turns(voxel, int(fits.full.sum())),
    )
    return Measurement(
        "winding.pitch", "mm", value=value, n=int(np.isfinite(fits.error_mm).sum()), budget=lines
    )
