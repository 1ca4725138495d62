"""Two segmenters on the same end: where they do not say the same, nobody knows.

A network that was never shown a raised cathode may answer with the sound cell that it knows, and be sure of
it. What the scan's own greys say is held against it, wherever these are clear enough to say anything.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xctrules.cylinder.surfaces import (
    ACROSS,
    MEASURED,
    NO_FACING_CATHODE,
    TAB,
    UNCLEAR,
    EndEdges,
    Floats,
)

SAME_VOXELS = 3.0
"""Overhangs that differ by no more than this, in voxels along the axis, are the same. At all places of a
sound real cell the two lie within two voxels of each other, and within a quarter of one in the mean."""

ABLE = 0.5
"""Share of the places that the first one measured from which on the second one counts. Below it the scan is
taken to be too poor for the second one, whose doubt then says nothing of the cell. A fault takes the second
one's view as well, but hardly that of half a roll: a higher share would hide faults of several turns."""

SAME_FOIL = 0.25
"""Part of the pitch within which two traces are of the same turn."""


def contradicted(edges: EndEdges, other: EndEdges, height_mm: float) -> NDArray[np.int8]:
    """What becomes of each place (nturns, nt) of ``edges`` in the light of another's.

    Its own state, but UNCLEAR, or ACROSS where the other one says so, where both do not say the same.

    Parameters
    ----------
    edges, other
        Of one end, on the same half-planes; their turns may be counted from different foils.
    height_mm
        Of a voxel along the axis.
    """
    state = edges.state.copy()
    beside, known = _matched(edges, other)

    theirs = np.where(known, np.take_along_axis(other.state, beside, axis=0), np.int8(UNCLEAR))
    measured = (state == MEASURED) & known
    if not measured.any() or (theirs[measured] == MEASURED).mean() < ABLE:
        return state
    with np.errstate(invalid="ignore"):
        apart = (
            np.abs(_overhang(edges) - np.take_along_axis(_overhang(other), beside, axis=0))
            > SAME_VOXELS * height_mm
        )
    doubted = measured & (np.isin(theirs, (UNCLEAR, ACROSS, TAB)) | ((theirs == MEASURED) & apart))
    overlooked = np.isin(state, (TAB, NO_FACING_CATHODE)) & known & (theirs == MEASURED)
    state[doubted | overlooked] = UNCLEAR
    state[doubted & (theirs == ACROSS)] = ACROSS
    return state


def _matched(edges: EndEdges, other: EndEdges) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The other's turn at each place (nturns, nt), and whether it is of the same foil."""
    away = np.abs(edges.foil_mm[:, None] - other.foil_mm[None])  # (nturns, their turns, nt)
    away = np.where(np.isnan(away), np.inf, away)
    beside = away.argmin(axis=1)
    nearest = np.take_along_axis(away, beside[:, None], axis=1)[:, 0]
    pitch = np.diff(edges.foil_mm, axis=0)
    pitch = pitch[np.isfinite(pitch)]
    return beside, nearest <= SAME_FOIL * (float(np.median(pitch)) if pitch.size else np.inf)


def _overhang(edges: EndEdges) -> Floats:
    """Length (nturns, nt) above the higher one of the facing cathodes, mm."""
    cathode = edges.outward * edges.cathode_z_mm
    return np.asarray(edges.outward * edges.anode_z_mm - np.fmax(cathode[0], cathode[1]))
