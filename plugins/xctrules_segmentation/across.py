"""What lies across the gap between two free foils: a foil that is bent over or folded, or a loose piece.

Above a cathode's edge the gap between its two foils is void. Half-way between the two foils, wherever they
lean, nothing is to be seen: what is as bright there as a foil is none of the two as they should stand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xctrules_segmentation.cathode_edges import Cathodes
from xctrules_segmentation.places import usual_height
from xctrules_segmentation.sampling import Sampling
from xctrules_segmentation.steps import CLEAR_CONTRAST, Floats, Greys, noise, thrice_pooled
from xctrules_segmentation.window import Window

BRIGHT = 0.8
"""Share of a free foil's contrast from which something lies across: separators, which meet half-way between
foils, have up to a third of it and twice that in noise."""

ROOM_SIDES = 2.0
"""Least distance of the two foils, in distances from a foil to the dark beside it: nearer ones blur into one
another half-way."""


def across(
    window: Window, cathodes: Cathodes, tip: Floats, path: Greys, free_contrast: float, sampling: Sampling
) -> NDArray[np.bool_]:
    """Places (nturns, nt) beside whose foil something lies across the gap above a cathode's edge.

    ``tip`` is (nturns, nt), ``path`` (nh, nturns, nt) as found; ``free_contrast`` that of a free foil.
    """
    usual = usual_height(tip)
    foil = _held_beyond(window, path, tip)
    clear_mm = sampling.skip * window.step_mm
    known = cathodes.edge[np.isfinite(cathodes.edge)]
    usual_edge = float(np.median(known)) if known.size else 0.0
    found = np.zeros(tip.shape, dtype=bool)
    for turn in range(tip.shape[0] - 1):
        inner, outer = foil[:, turn], foil[:, turn + 1]
        grey = thrice_pooled(window.along(0.5 * (inner + outer)))
        edge = np.fmax(cathodes.edge[1, turn], cathodes.edge[0, turn + 1])
        # Before the first cathode the gap is void as well; where one is left out beside a tab there is tape.
        core = ~cathodes.face[0, turn] & ~cathodes.face[1, turn]
        edge = np.where(core, usual_edge, edge)
        top = np.fmin(usual[turn], usual[turn + 1])
        height = window.height_mm[:, None]
        with np.errstate(invalid="ignore"):
            looked_at = (height > edge + clear_mm) & (height < top - clear_mm)
            looked_at &= outer - inner > ROOM_SIDES * sampling.side_mm
        values = grey[looked_at & np.isfinite(grey)]
        if values.size == 0:
            continue
        level = max(BRIGHT * free_contrast, CLEAR_CONTRAST * noise(grey))
        with np.errstate(invalid="ignore"):
            bright = (looked_at & (grey > np.median(values) + level)).any(axis=0)
        found[turn] |= bright
        found[turn + 1] |= bright
    return found


def _held_beyond(window: Window, path: Greys, tip: Floats) -> Floats:
    """``path`` (nh, nturns, nt) up to each ``tip``, and its radius there further out."""
    last = np.clip(np.nan_to_num((tip - window.height_mm[0]) / window.step_mm), 0, path.shape[0] - 1)
    row = np.minimum(np.arange(path.shape[0])[:, None, None], last.astype(np.intp)[None])
    return np.take_along_axis(path, row, axis=0).astype(float)
