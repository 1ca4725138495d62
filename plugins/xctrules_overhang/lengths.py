"""From electrode edges to overhangs, deflections and heights, by turn and angle. Pure functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xctrules.cylinder.surfaces import EndEdges

Floats = NDArray[np.float64]
Halves = NDArray[np.intp]

STATED_LENGTH_MM, STATED_LENGTH_VOXELS = 0.3, 3.0
"""Length along the foil over which overhangs are averaged before they are compared or their extremes taken,
the larger of the two: a shorter notch is too small to plate lithium on, or too small to be seen."""

LEAST_POINTS = 4
"""Heights along a free foil that a lean is fitted to: twice as many as a line has unknowns."""


def lengths(edges: EndEdges) -> Floats:
    """Signed overhang at every turn and angle, (nturns, nt); NaN where not measured.

    The worse of the two facing cathodes counts. Which one that is is decided on their edges' means over
    ``STATED_LENGTH_MM``: the larger of two noisy values would be too large on average.
    """
    reach = edges.outward * edges.cathode_z_mm
    half = half_widths(edges, STATED_LENGTH_MM)
    usual = np.stack([np.where(np.isnan(face), -np.inf, smoothed(face, half)) for face in reach])
    worse = np.where(usual[0] >= usual[1], reach[0], reach[1])
    return np.asarray(edges.outward * edges.anode_z_mm - worse)


def stated_length_mm(voxel_mm: float) -> float:
    """Length along the foil for which extremes are stated, in a scan of such in-plane voxels."""
    return max(STATED_LENGTH_MM, STATED_LENGTH_VOXELS * voxel_mm)


def half_widths(edges: EndEdges, length_mm: float) -> Halves:
    """Half-planes (nturns,) to either side of one that lie within ``length_mm`` of foil about it.

    At most a sixteenth of a turn: near the core less than the length.
    """
    nt = edges.theta_deg.size
    known = np.isfinite(edges.foil_mm)
    radius = np.where(known, edges.foil_mm, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    step_mm = np.maximum(radius, 1e-9) * (2 * np.pi / nt)
    return np.asarray(np.clip(np.rint(0.5 * length_mm / step_mm), 0, nt // 16), dtype=np.intp)


def half_width(angles: int, width_deg: float) -> int:
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


def smoothed(values: NDArray[np.floating[Any]], half: int | Halves) -> Floats:
    """Mean (..., nrows, nt) over ``half`` neighbours to either side round the turn, row by row or alike for
    all; NaN stays where it was."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    total, count = filled.copy(), known.astype(float)
    each = np.broadcast_to(half, values.shape[-2:-1])
    for shift in range(1, int(each.max(initial=0)) + 1):
        rows = each >= shift
        for step in (-shift, shift):
            total[..., rows, :] += np.roll(filled[..., rows, :], step, axis=-1)
            count[..., rows, :] += np.roll(known[..., rows, :], step, axis=-1)
    return np.where(known, total / np.maximum(count, 1), np.nan)
