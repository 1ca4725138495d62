"""What the roll says of the layers that come up to one of its ends."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LONGEST_CORNER = 1 / 20
"""Share of a turn that a foil's corner takes up at most: at the core its few millimetres would be half a
turn."""


@dataclass(frozen=True)
class Layout:
    """What the roll says of the layers that come up to an end; all radii (nturns, nt), NaN where there is
    none.

    ``foil_mm`` is the copper foil, ``inner_mm`` and ``outer_mm`` the middles of the cathodes that face it
    from inside and outside.
    """

    theta_deg: Floats
    foil_mm: Floats
    inner_mm: Floats
    outer_mm: Floats
    half_width_mm: float
    pitch_mm: float
    handedness: int

    def ends_of_foil(self, reach_mm: float) -> NDArray[np.bool_]:
        """Places (nturns, nt) on the foil within ``reach_mm`` of where it begins or ends, or of a gap in
        it."""
        line = self.foil_mm[:, :: self.handedness].ravel()
        known = np.isfinite(line)
        step_mm = np.nan_to_num(line, nan=np.inf) * (2 * np.pi / self.theta_deg.size)
        longest = np.ceil(LONGEST_CORNER * self.theta_deg.size)
        steps = np.minimum(np.ceil(reach_mm / step_mm), longest)
        near = np.zeros(line.size, dtype=bool)
        for shift in range(1, int(steps.max(initial=0)) + 1):
            lost = np.zeros(line.size, dtype=bool)
            lost[shift:] |= ~known[:-shift]
            lost[:-shift] |= ~known[shift:]
            near |= lost & (shift <= steps)
        return (near & known).reshape(self.foil_mm.shape)[:, :: self.handedness]


def bridged(layout: Layout) -> Layout:
    """``layout`` with the gaps in its foil filled along the line, and the cathodes beside them where both
    rims have one.

    A foil is one piece from its inner to its outer end: where it was lost on the way (beside a tab, say) it
    is still there, and has to be looked at. Nothing is added before its first and after its last place.
    """
    turned = slice(None, None, layout.handedness)
    shape = layout.foil_mm.shape
    line = layout.foil_mm[:, turned].ravel()
    known = np.flatnonzero(np.isfinite(line))
    if known.size == 0:
        return layout
    place = np.arange(line.size)
    gap = np.isnan(line) & (place > known[0]) & (place < known[-1])
    # The pitch is in the line, so that a straight bridge follows the spiral.
    foil = np.where(gap, np.interp(place, known, line[known]), line)
    sides = []
    for side in (layout.inner_mm, layout.outer_mm):
        away = side[:, turned].ravel() - line
        before = known[np.clip(np.searchsorted(known, place) - 1, 0, None)]
        after = known[np.clip(np.searchsorted(known, place), None, known.size - 1)]
        between = 0.5 * (away[before] + away[after])  # NaN where either rim has no cathode
        sides.append((foil + np.where(gap, between, away)).reshape(shape)[:, turned])
    return dataclasses.replace(
        layout, foil_mm=foil.reshape(shape)[:, turned], inner_mm=sides[0], outer_mm=sides[1]
    )
