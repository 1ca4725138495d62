"""How far the cell leans in the volume."""

from __future__ import annotations

import math

import numpy as np

from xctrules.core.measurement import Measurement
from xctrules.core.robust import robust_fit
from xctrules.cylinder.axis import TILT_KNOWN_DEG
from xctrules.cylinder.frame import CellFrame
from xctrules_canister import budget
from xctrules_canister.maps import Maps

NAME = "canister.tilt"

LEAST_HEIGHTS = 4
"""Heights whose centres a line is fitted to: two more than it has unknowns."""

LEAST_SCALE_VOXEL = 1e-3
"""Least scale of the centres' distances from their line, in voxels."""


def tilt(maps: Maps, frame: CellFrame) -> Measurement:
    """``canister.tilt``: the frame's axis, corrected by how far the ellipses' centres run off it."""
    rows = np.flatnonzero(np.isfinite(maps.ellipses.semi_axes).all(axis=1) & maps.whole)
    if not frame.tilt_sigma_deg <= TILT_KNOWN_DEG or rows.size < LEAST_HEIGHTS:
        reason = "the piece of can in view is too short to tell the direction of its axis"
        return Measurement.absent(NAME, "deg", reason)
    z = maps.z_mm[rows] - maps.z_mm[rows].mean()
    centres = maps.ellipses.centre[rows]
    design = np.stack([np.ones_like(z), z], axis=1)
    floor = LEAST_SCALE_VOXEL * maps.voxel_mm
    lines = np.stack([robust_fit(design, along, floor=floor)[0] for along in centres.T], axis=1)
    x, y, along = np.asarray(frame.axis) + lines[1] @ frame.directions([0.0, 90.0])
    return Measurement(
        NAME,
        "deg",
        value=math.degrees(math.atan2(math.hypot(x, y), along)),
        n=rows.size,
        budget=(
            budget.centres_of_the_slices(centres - design @ lines, z),
            budget.pattern_of_voxels(maps.voxel_mm, float(np.ptp(z))),
        ),
    )
