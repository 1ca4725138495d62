"""What the roll says of the layers that come up to one of its ends."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.cylinder.surfaces import FoilTrace
from xctrules_segmentation.faces import CathodeFaces

Floats = NDArray[np.float64]

NEAR_SHARE = 4
"""A foil's place at an end is that over the nearest so-many-th part of the heights: it leans too little over
that to matter, and one height alone is noisy."""

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


def layout_near(foil: FoilTrace, faces: CathodeFaces, z_mm: float, angles: int) -> Layout:
    """The roll's layers as they come up to the end at ``z_mm``, on ``angles`` half-planes.

    The foil is taken from the heights nearest to the end (the mean of the nearest quarter of them); the
    cathodes, known on average over the roll, move with it.

    Raises
    ------
    NotMeasurable
        When fewer than two turns are in view.
    """
    order = np.argsort(np.abs(foil.z_mm - z_mm), kind="stable")
    count = max(1, order.size // NEAR_SHARE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # places without any foil
        near: Floats = np.nanmean(foil.radius_mm[order[:count]], axis=0)
        usual: Floats = np.nanmean(foil.radius_mm, axis=0)
    near = np.where(np.isnan(near), usual, near)
    moved = np.nan_to_num(near - usual)
    stride = max(1, foil.theta_deg.size // angles)
    pick = slice(None, None, stride)
    pitch = float(np.nanmedian(np.diff(near, axis=0))) if near.shape[0] > 1 else float("nan")
    if not np.isfinite(pitch):
        raise NotMeasurable("fewer than two turns of the foil are in view")
    return Layout(
        theta_deg=foil.theta_deg[pick],
        foil_mm=near[:, pick],
        inner_mm=(faces.inner_mm + moved)[:, pick],
        outer_mm=(faces.outer_mm + moved)[:, pick],
        half_width_mm=faces.half_width_mm,
        pitch_mm=pitch,
        handedness=foil.handedness,
    )
