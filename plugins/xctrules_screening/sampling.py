"""Grey values at the places that screening compares: along the wound layers, and across the can's edge.

Screening judges noise, so it reads single slices, without averaging neighbours as
:meth:`xctrules.cylinder.frame.CellFrame.cylinder` does between slices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from xctrules.core.slices import Scan
from xctrules.cylinder.frame import CellFrame
from xctrules.cylinder.surfaces import CanSurface, CylinderCell, Floats, FoilTrace

Greys = NDArray[np.float32]

MAX_SLICES = 5
"""Slices of the roll that are looked at: noise and contrast change little along the height."""

INTERPOLATED_NOISE = 0.92
"""Standard deviation that cubic convolution leaves of a voxel's noise, averaged over all positions between
voxels: 0.86 when the voxels' noise is independent, 0.97 when it is correlated over 0.6 voxel, as
reconstructions filter it. The middle is off by 6 % at most."""

MOST_ANGLES = 360
"""Angles round the roll at most: half-planes a degree apart show what there is of layers."""

LIKE_PITCH = 0.4
"""Distance between two turns, off the usual one by this share, at which one was missed or two touch."""

LEAST_TURNS = 5
"""Distances between turns from which on the first and the last are left out."""

PHASES = (16, 32)
"""Samples between two turns: two for each voxel, within these bounds."""

EDGE_HEIGHTS, EDGE_ANGLES = 12, 120
"""Heights and angles at which the can's edge is sampled: some thousand profiles."""

EDGE_INSIDE_VOXELS, EDGE_OUTSIDE_VOXELS, EDGE_SAMPLES = 2, 6, 4
"""How far profiles go beyond the wall's two faces, and their samples for each voxel."""

USUAL_WALL_VOXELS = 5
"""Thickness of a wall whose inner surface was not located and which the spec does not give."""


def slice_greys(scan: Scan, frame: CellFrame, k: int, theta_deg: Floats, r_mm: Floats) -> Greys:
    """Grey values of slice ``k`` where the rays (theta, r) meet it, (nt, nr); NaN outside the image.

    Parameters
    ----------
    theta_deg : (nt,)
    r_mm : (nt, nr)
    """
    map_x, map_y = ray_maps(frame, k, theta_deg, r_mm)
    image = np.ascontiguousarray(scan.slices[k], dtype=np.float32)
    inside = (
        (map_x >= 0) & (map_x <= image.shape[1] - 1) & (map_y >= 0) & (map_y <= image.shape[0] - 1)
    )  # NaN is outside, too
    grey = cv2.remap(
        image,
        np.where(inside, map_x, 0),
        np.where(inside, map_y, 0),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.where(inside, grey, np.float32(np.nan))


def ray_maps(frame: CellFrame, k: int, theta_deg: Floats, r_mm: Floats) -> tuple[Greys, Greys]:
    """Column and row (nt, nr) at which the rays (theta, r) of :func:`slice_greys` meet slice ``k``."""
    direction = frame.directions(theta_deg)  # (nt, 3)
    ax, ay, az = frame.axis
    dz, dy, dx = frame.voxel_mm
    # Height along the axis at which the ray at radius r lies in the slice's plane.
    height = (k * dz - r_mm * direction[:, 2:3]) / az
    map_x = ((frame.origin_mm[0] + height * ax + r_mm * direction[:, 0:1]) / dx).astype(np.float32)
    map_y = ((frame.origin_mm[1] + height * ay + r_mm * direction[:, 1:2]) / dy).astype(np.float32)
    return map_x, map_y


def nearest_slices(frame: CellFrame, z_mm: Floats, at_most: int) -> NDArray[np.intp]:
    """Slices nearest to heights, evenly thinned out."""
    k = np.clip(np.rint(np.asarray(z_mm) * frame.axis[2] / frame.voxel_mm[0]), 0, frame.shape[0] - 1)
    every = np.unique(k.astype(np.intp))
    return evenly(every, at_most)


def evenly(indices: NDArray[np.intp], at_most: int) -> NDArray[np.intp]:
    """Some of ``indices`` (n,), evenly spaced from the first to the last."""
    picked = np.linspace(0, indices.size - 1, min(at_most, indices.size)).round().astype(np.intp)
    return np.asarray(indices[np.unique(picked)], dtype=np.intp)


@dataclass(frozen=True)
class Unrolled:
    """The roll, unrolled along its foil and scaled to one turn.

    Attributes
    ----------
    grey : (nz, nturns, nphase, nt)
        NaN where the foil was not located.
    phase : (nphase,)
        0 at one turn's foil, 1 at the next one's outward.
    radius_mm : (nturns, nt)
        Of the foil at phase 0.
    slices : (nz,)
    theta_deg : (nt,)
    pitch_mm
        Median distance between turns.
    """

    grey: Greys
    phase: Floats
    radius_mm: Floats
    slices: NDArray[np.intp]
    theta_deg: Floats
    pitch_mm: float


def unroll(cell: CylinderCell, foil: FoilTrace) -> Unrolled | None:
    """Sample between each turn of the foil and the next; ``None`` where no two turns lie side by side."""
    frame = cell.frame
    every = max(1, foil.theta_deg.size // MOST_ANGLES)
    theta = foil.theta_deg[::every]
    located = np.isfinite(foil.radius_mm).any(axis=0)
    radius = np.where(located, np.nanmedian(np.where(located, foil.radius_mm, 0.0), axis=0), np.nan)
    radius = radius[:, ::every]
    pitch = np.diff(radius, axis=0)
    if not np.isfinite(pitch).any():
        return None
    typical = float(np.nanmedian(pitch))
    # A turn missed in between, or two that touch, is no place to look at layers.
    with np.errstate(invalid="ignore"):
        pitch = np.where(np.abs(pitch / typical - 1) < LIKE_PITCH, pitch, np.nan)
    if pitch.shape[0] >= LEAST_TURNS:
        # Where the electrodes begin and end, copper winds on without a cathode: no layers to compare.
        pitch[[0, -1]] = np.nan
    voxel = max(frame.voxel_mm[1:])
    steps = int(np.clip(2 * math.ceil(typical / voxel), *PHASES))
    phase = (np.arange(steps) + 0.5) / steps
    start = radius[:-1]
    r = start[:, None] + phase[:, None] * pitch[:, None]  # (nturns, nphase, nt)
    r = r.reshape(-1, theta.size).T
    slices = nearest_slices(frame, foil.z_mm, MAX_SLICES)
    shape = (start.shape[0], steps, theta.size)
    grey = np.stack([slice_greys(cell.scan, frame, int(k), theta, r).T.reshape(shape) for k in slices])
    return Unrolled(grey, phase, start, slices, theta, typical)


@dataclass(frozen=True)
class EdgeBand:
    """Profiles across the can's outer surface, each shifted so that the surface lies at 0.

    ``grey`` is (nz, nt, nr), ``away_mm`` (nr,) grows outward, ``z_mm`` (nz,).
    """

    grey: Greys
    away_mm: Floats
    z_mm: Floats
    wall_mm: float
    edge_sigma_mm: float


def edge_band(cell: CylinderCell, can: CanSurface) -> EdgeBand | None:
    """Sample across the straight part of the can; ``None`` where its outer surface was not located."""
    frame = cell.frame
    voxel = max(frame.voxel_mm[1:])
    rows = np.flatnonzero(can.straight & np.isfinite(can.outer_mm).any(axis=1))
    if rows.size == 0:
        return None
    rows = evenly(rows, EDGE_HEIGHTS)
    every = max(1, can.theta_deg.size // EDGE_ANGLES)
    theta = can.theta_deg[::every]
    outer = can.outer_mm[:, ::every]
    wall = float(np.nanmedian(can.outer_mm[can.straight] - can.inner_mm[can.straight]))
    if not math.isfinite(wall):
        wall = float(cell.nominal.get("wall_thickness", USUAL_WALL_VOXELS * voxel))
    away = np.arange(-wall - EDGE_INSIDE_VOXELS * voxel, EDGE_OUTSIDE_VOXELS * voxel, voxel / EDGE_SAMPLES)
    grey = np.stack(
        [
            slice_greys(cell.scan, frame, _slice_of(frame, can.z_mm[i]), theta, outer[i][:, None] + away)
            for i in rows
        ]
    )
    return EdgeBand(grey, away, can.z_mm[rows], wall, can.edge_sigma_mm)


def _slice_of(frame: CellFrame, z_mm: float) -> int:
    return int(np.clip(round(z_mm * frame.axis[2] / frame.voxel_mm[0]), 0, frame.shape[0] - 1))
