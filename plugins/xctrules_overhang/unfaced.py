"""Cathodes that face no anode on one side: where the anode's foil ends before the cathode does.

A cathode lies between two turns of the foil. Beside the foil's two ends there may be one on one side of which
no foil was followed. There the anode ended too early, or its last turn lies so close against the can that it
could not be followed. What is missing leaves its room: a dark strip between the cathode and the can.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xctrules.cylinder.surfaces import CylinderCell, EndEdges, Floats

HEIGHTS = 8
"""Heights that are averaged, evenly over those at which the foil was followed: layers stay, noise goes."""

CLEAR_OF_WALL = 2.5
"""Edge spreads of the can's inner face after which less than 1 % of its step is left."""

HALF = 0.5
"""Share of the way from the dark beside a cathode to the cathode's own grey at which its flank lies, and from
which the dark has ended."""

ROOM = 0.4
"""Width of the dark, in pitches, from which the anode is missing: coating and copper take up half a pitch,
a separator a tenth of it."""


def unfaced(cell: CylinderCell, edges: EndEdges) -> NDArray[np.bool_]:
    """Places (nturns, nt) beside whose foil a cathode lies that faces no anode on its other side."""
    foil = np.isfinite(edges.foil_mm)
    nothing = np.zeros((1, foil.shape[1]), dtype=bool)
    further_in, further_out = np.vstack([nothing, foil[:-1]]), np.vstack([foil[1:], nothing])
    inside = foil & edges.face[0] & ~further_in
    outside = foil & edges.face[1] & ~further_out
    if outside.any():
        outside &= _room_at_the_can(cell, edges, outside)
    return np.asarray(inside | outside)


def _room_at_the_can(cell: CylinderCell, edges: EndEdges, where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where (nturns, nt) the cathode outside a turn has a dark strip beside it that an anode would fill.

    Everywhere, where the scan shows no greys or no can to look at.
    """
    can, trace = cell.surfaces.can, cell.surfaces.foil
    pitch = float(np.nanmedian(np.diff(edges.foil_mm, axis=0)))
    if can is None or trace is None or cell.labels is not None or not np.isfinite(pitch):
        return where
    inner = np.nanmedian(can.inner_mm, axis=0)
    known = np.isfinite(inner)
    if not known.any():
        return where
    columns = np.flatnonzero(where.any(axis=0))
    wall = np.interp(edges.theta_deg[columns], can.theta_deg[known], inner[known], period=360.0)
    step = 0.5 * max(cell.frame.voxel_mm[1:])
    r = np.arange(float(np.nanmin(edges.foil_mm[where])), float(wall.max()), step)
    z = trace.z_mm[np.unique(np.linspace(0, trace.z_mm.size - 1, HEIGHTS).round().astype(int))]
    grey = cell.frame.cylinder(cell.scan, z, edges.theta_deg[columns], r).mean(axis=0)
    found = np.zeros(where.shape, dtype=bool)
    for at, column in enumerate(columns):
        for turn in np.flatnonzero(where[:, column]):
            outward = r > edges.foil_mm[turn, column] + 0.5 * pitch
            free = outward & (r < wall[at] - CLEAR_OF_WALL * can.blur_mm)
            found[turn, column] = _dark(grey[at, free]) * step > ROOM * pitch
    return found


def _dark(profile: Floats) -> int:
    """Samples of the first dark strip of a profile outward from a cathode's middle."""
    if profile.size < 3 or not np.isfinite(profile).all():
        return 0
    low = profile < profile.min() + HALF * (profile[0] - profile.min())
    first = int(np.argmax(low))
    ended = np.flatnonzero(~low[first:])
    return int(ended[0]) if ended.size else int(low[first:].sum())
