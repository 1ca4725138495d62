"""Whether grey is proportional to attenuation, told by the noise: a curve stretches it where it is steep.

Filtered back-projection is linear, and the noise of two places close to each other comes from much the same
rays: what is dark is as noisy as the bright thing beside it. The gap between roll and can and the can's wall
lie side by side, and neither has a grain of its own. A curve that brightens what is dark (a gamma below 1, a
logarithm) multiplies the noise there by its slope, and with it moves every edge at half height.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from xctrules.core.measurement import Measurement
from xctrules.core.robust import SECOND_DIFFERENCE_SD, sd_about_zero
from xctrules.cylinder.surfaces import CanSurface, CylinderCell, Floats
from xctrules_screening import budget
from xctrules_screening.findings import Findings, Judged, absent, judged
from xctrules_screening.levels import LEVELS
from xctrules_screening.sampling import EDGE_HEIGHTS, Greys, evenly, nearest_slices, slice_greys

NAME = "screening.grey_linearity"

APART_VOXELS = 3.0
"""Distance of samples along the wall: noise is correlated over less than a voxel."""

SAMPLES = 2
"""Samples for each voxel along the radius."""

GAP_VOXELS = (2.5, 12.0)
"""How far inside the wall's inner face the gap is looked for: beyond the blur, and not in the roll."""

EVEN = 0.05
"""Change of grey over two voxels, as a share of that from gap to wall, below which a place is even: a slope
turns what is uncertain in the face's place into noise."""

LEAST_NOISE = 0.5
"""Noise in grey levels from which on rounding to whole ones is a small part of it: that is 0.29."""

OUTLIER = 4.0
"""Standard deviations beyond which a difference is something else than noise."""

LEAST_VALUES = 300
"""Differences at least: noise is then known to 7 %."""

SATURATED = 0.01
"""Share of the wall's voxels at the end of the grey scale from which its noise is cut off."""


@dataclasses.dataclass(frozen=True)
class Beside:
    """Median grey and noise of single voxels in the gap and in the wall beside it; n differences each."""

    gap_grey: float
    gap_noise: float
    wall_grey: float
    wall_noise: float
    n: int


def linearity(cell: CylinderCell, saturated_wall: float) -> Findings:
    """The one figure :data:`NAME`; ``saturated_wall`` is the share of the wall at the end of the scale."""
    can = None if cell.segmentation is None else cell.segmentation.can
    if can is None:
        return Findings(absent((NAME,), "the can was not located"))
    if saturated_wall > SATURATED:
        return Findings(absent((NAME,), "the wall's noise is cut off at the end of the grey scale"))
    found = beside_each_other(cell, can)
    if isinstance(found, str):
        return Findings(absent((NAME,), found))
    return Findings((_judged(found),))


def _judged(found: Beside) -> Judged:
    ratio = found.gap_noise / found.wall_noise
    level = dataclasses.replace(
        LEVELS[NAME],
        meaning=f"the grey scale is not linear: the dark gap inside the can is {ratio:.2g} times as "
        "noisy as the bright wall beside it, as after a gamma or another curve",
    )
    lines = (budget.noise_of_two_places(ratio, found.n),)
    return judged(Measurement(NAME, "1", value=ratio, n=found.n, budget=lines), level)


def beside_each_other(cell: CylinderCell, can: CanSurface) -> Beside | str:
    """Noise on both sides of the wall's inner face; the reason where it cannot be told."""
    voxel = max(cell.frame.voxel_mm[1:])
    located = np.isfinite(can.outer_mm) & np.isfinite(can.inner_mm)
    rows = np.flatnonzero(can.straight & located.any(axis=1))
    if rows.size == 0:
        return "the can's two faces are not in view"
    wall = float(np.nanmedian((can.outer_mm - can.inner_mm)[rows]))
    inward = wall + np.arange(GAP_VOXELS[0], GAP_VOXELS[1], 1 / SAMPLES) * voxel
    grey = _along_the_wall(cell, can, evenly(rows, EDGE_HEIGHTS), -np.append(inward, 0.5 * wall))
    middle = np.nanmedian(grey, axis=(0, 1)).astype(np.float64)
    dark = _darkest_even(middle[:-1], float(middle[-1]))
    if dark is None:
        return "roll and can leave no even gap between them"
    (gap_noise, n), (wall_noise, m) = noise_of(grey[..., dark]), noise_of(grey[..., -1])
    if min(n, m) < LEAST_VALUES:
        return "too little of the can's wall is in view"
    step = 1.0 if np.issubdtype(cell.scan.slices.dtype, np.integer) else 0.0
    if gap_noise <= LEAST_NOISE * step or not wall_noise > 0:
        return "the noise is less than a step of the grey scale"
    return Beside(float(middle[dark]), gap_noise, float(middle[-1]), wall_noise, min(n, m))


def _along_the_wall(cell: CylinderCell, can: CanSurface, rows: NDArray[np.intp], away_mm: Floats) -> Greys:
    """Greys (nz, nt, nr) at distances from the can's outer surface, and at angles some voxels apart."""
    frame = cell.frame
    voxel = max(frame.voxel_mm[1:])
    around = 2 * math.pi * float(np.nanmedian(can.outer_mm)) / (APART_VOXELS * voxel)
    steps = max(8, int(around))
    theta: Floats = np.arange(steps, dtype=np.float64) * (360.0 / steps)
    greys = []
    for row in rows:
        outer = can.outer_mm[row]
        known = np.isfinite(outer)
        surface = np.interp(theta, can.theta_deg[known], outer[known], period=360.0)
        k = int(nearest_slices(frame, can.z_mm[row : row + 1], 1)[0])
        rays: Floats = np.asarray(surface[:, None] + away_mm, dtype=np.float64)
        greys.append(slice_greys(cell.scan, frame, k, theta, rays))
    return np.stack(greys)


def _darkest_even(grey: Floats, wall_grey: float) -> int | None:
    """Index of the darkest place about which the grey (nr,) does not change; ``None`` if it always does."""
    change = np.full(grey.size, np.inf)
    change[SAMPLES:-SAMPLES] = np.abs(grey[2 * SAMPLES :] - grey[: -2 * SAMPLES])
    even = change < EVEN * (wall_grey - np.nanmin(grey))
    return int(np.argmin(np.where(even, grey, np.inf))) if even.any() else None


def noise_of(grey: Greys) -> tuple[float, int]:
    """Noise of independent greys (nz, nt) round the cell, and how many differences told it.

    Root mean square of second differences, outliers left out; a median would stick to whole grey levels.
    """
    values = grey.astype(np.float64)
    second = np.roll(values, 1, axis=1) - 2 * values + np.roll(values, -1, axis=1)
    second = second[np.isfinite(second)] / SECOND_DIFFERENCE_SD
    if second.size == 0:
        return 0.0, 0
    bound = OUTLIER * max(sd_about_zero(second), float(np.abs(second).mean()))
    kept = second[np.abs(second) <= bound]
    return math.sqrt(float(np.mean(kept**2))), kept.size
