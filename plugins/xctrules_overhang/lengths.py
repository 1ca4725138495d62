"""From electrode edges to overhangs, deflections and heights, by turn and angle. Pure functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xctrules.cylinder.surfaces import EndEdges

Floats = NDArray[np.float64]

SMOOTHING_ANGLES_DEG = 5.0
"""Width over which overhangs are averaged before they are compared or their extremes taken: 0.2 mm at the
core, 0.9 mm at the can."""

LEAST_POINTS = 4
"""Heights along a free foil that a lean is fitted to: twice as many as a line has unknowns."""


def lengths(edges: EndEdges) -> Floats:
    """Signed overhang at every turn and angle, (nturns, nt); NaN where not measured.

    The worse of the two facing cathodes counts. Which one that is is decided on their edges' means over
    ``SMOOTHING_ANGLES_DEG``: the larger of two noisy values would be too large on average.
    """
    reach = edges.outward * edges.cathode_z_mm
    half = half_width(edges.theta_deg.size)
    usual = np.stack([np.where(np.isnan(face), -np.inf, smoothed(face, half)) for face in reach])
    worse = np.where(usual[0] >= usual[1], reach[0], reach[1])
    return np.asarray(edges.outward * edges.anode_z_mm - worse)


def half_width(angles: int, width_deg: float = SMOOTHING_ANGLES_DEG) -> int:
    """Angles to either side within ``width_deg``, of ``angles`` round the turn."""
    return round(0.5 * width_deg * angles / 360)


def deflections(edges: EndEdges, least_length_mm: float) -> Floats:
    """Angle of the free foil against the axis, (nturns, nt), outward positive, in degrees.

    Slope of the least-squares line of radius against height over the free foil; NaN where it is shorter than
    ``least_length_mm`` or has fewer than ``LEAST_POINTS``, since a lean needs a length to show on.
    """
    height = edges.outward * edges.path_z_mm
    known = np.isfinite(height) & np.isfinite(edges.path_r_mm)
    n = known.sum(axis=-1)
    h = np.where(known, height, 0.0)
    r = np.where(known, edges.path_r_mm, 0.0)
    count = np.maximum(n, 1)
    h = np.where(known, h - (h.sum(axis=-1) / count)[..., None], 0.0)
    r = np.where(known, r - (r.sum(axis=-1) / count)[..., None], 0.0)
    spread = (h * h).sum(axis=-1)
    enough = (n >= LEAST_POINTS) & (lengths(edges) >= least_length_mm) & (spread > 0)
    slope = np.where(enough, (h * r).sum(axis=-1) / np.where(spread > 0, spread, 1.0), np.nan)
    return np.asarray(np.degrees(np.arctan(slope)))


def base_heights(edges: EndEdges) -> Floats:
    """Height of the cathode's edge, (nturns + 1, nt): row k + 1 is the face outside turn k, row 0 the one
    inside turn 0.

    Each face between two foils counts once.
    """
    inner, outer = edges.cathode_z_mm
    turns, nt = inner.shape
    base = np.full((turns + 1, nt), np.nan)
    base[1:] = outer
    base[:-1] = np.where(np.isnan(base[:-1]), inner, base[:-1])
    return base


def smoothed(values: NDArray[np.floating[Any]], half: int) -> Floats:
    """Mean over ``half`` neighbours to either side round the turn; NaN stays where it was."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    total, count = filled.copy(), known.astype(float)
    for shift in range(1, half + 1):
        for step in (-shift, shift):
            total += np.roll(filled, step, axis=-1)
            count += np.roll(known, step, axis=-1)
    return np.where(known, total / np.maximum(count, 1), np.nan)
