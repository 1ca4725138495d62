"""Where along the axis the electrode roll is seen, roughly: it is what repeats along the radius."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from xctrules.core.robust import longest_run
from xctrules.core.slices import Scan
from xctrules.cylinder.frame import CellFrame

Floats = NDArray[np.float64]
Greys = NDArray[np.float32]

MOST_HEIGHTS = 256
"""Heights that are looked at; the roll's edges are then known to some tenths of a millimetre in any cell."""

ANGLE_STEP_DEG = 10.0
"""Between the radial profiles: what is alike in thirty-six of them is the cell's."""

RADII = (0.15, 0.95)
"""Share of the can's radius that is looked at: clear of a pin in the core, and of the can."""

RADIAL_STEP_VOXELS, RADIAL_STEP_MM = 0.75, 0.05
"""Distance between radii, the smaller of the two: no voxel is passed over, and no layer of a coarse scan."""

BACKGROUND_MM = 0.5
"""Width of the running mean that is taken off the profiles: more than one pitch of a usual cell."""

PERIOD_VOXELS, PERIOD_MM = 2.5, (0.1, 1.0)
"""Periods that a roll may have: resolved by the scan, and between those of a thin cell of paper-like sheets
and of the thickest coatings wound."""

SHEET_MM, SHEET_GREY, SHEET_SHARE = 0.12, 0.75, 0.05
"""Bead, cap and bottom are sheet: as wide as this along the radius, of at least this share of the can's grey,
over more than this share of a height. Foils and coatings are thinner or darker."""

LEAST_ELSEWHERE = 0.01
"""Share of the strongest pattern that must be left where there is no sheet, for that to be believed."""

LAYERED = 0.1
"""Share of the strongest pattern from which on a height is layered."""

BRIGHTER_HALF = 60.0
"""Percentile of the layered heights' greys above which they are the roll's: free foils, without the cathode,
are darker."""

LEAST_SHARPNESS = 0.15
"""Share of the spectrum's power in one line, below which what repeats is noise."""

OF_THE_ROLL = 0.5
"""Share of the roll's own pattern at which it ends: the cathode's edge."""

LINE_WIDTH = 2
"""Bins of the spectrum, to either side of a peak, that belong to the same line."""

BEYOND_MM, BEYOND_HEIGHTS = 0.3, 3
"""A roll beside what was found is at least so high (and so many heights), and no farther off than that."""

FAR_BRIGHTER = 2.0
"""Times the grey (above the void's) that a roll has over the free foils of its own end."""


@dataclass(frozen=True)
class RollInView:
    """First and last height of the roll with its cathode, and the rough distance between turns."""

    z_mm: tuple[float, float]
    pitch_mm: float


@dataclass(frozen=True)
class _Heights:
    """Radial profiles ``grey`` (nz, nt, nr) at heights ``z_mm`` and radii ``r_mm``, and what repeats in them:
    ``pattern`` of the same shape, its ``power`` (nz, nf) at the periods ``period_mm`` (nf,)."""

    z_mm: Floats
    r_mm: Floats
    grey: Greys
    pattern: Greys
    period_mm: Floats
    power: Floats

    @property
    def spacing_mm(self) -> float:
        return float(self.z_mm[1] - self.z_mm[0])


def find_roll(scan: Scan, frame: CellFrame) -> RollInView | None:
    """Height range in which the roll with its cathode is seen, and the rough distance between turns.

    Each height's radial profiles are compared with those of the roll's own heights: the share of that pattern
    is about 1 in the roll, and falls to half at the cathode's edge.
    """
    heights = _sampled(scan, frame)
    band = _possible_periods(heights.period_mm, max(frame.voxel_mm[1:]))
    if not band.any():
        return None
    sharp = np.array([_peak_share(power[band]) for power in heights.power])
    own = _own_heights(heights, band, sharp, frame.can_grey)
    if own is None:
        return None
    mean_pattern = heights.pattern[own].mean(axis=0)
    energy = float((mean_pattern**2).sum())
    if energy <= 0 or float(sharp[own].mean()) < LEAST_SHARPNESS:
        return None
    share = np.tensordot(heights.pattern, mean_pattern, axes=2) / energy
    first, stop = longest_run(share > OF_THE_ROLL)
    last = stop - 1
    if last <= first and heights.z_mm.size > 1:
        return None
    pitch = float(heights.period_mm[int(np.argmax(heights.power[own].mean(axis=0) * band))])
    spacing = heights.spacing_mm if heights.z_mm.size > 1 else frame.voxel_mm[0]
    beyond = _roll_beyond(heights, band, first, last, round(BEYOND_MM / spacing))
    if beyond is not None:
        first, last, share = _by_grey(heights.grey, first, last, beyond)
    z = heights.z_mm
    z_mm = _crossing(z, share, first, -1, spacing), _crossing(z, share, last, +1, spacing)
    return RollInView(z_mm, pitch)


def _sampled(scan: Scan, frame: CellFrame) -> _Heights:
    assert frame.outer_radius_mm is not None
    grid = frame.z_grid_mm()
    z = grid[:: max(1, -(-grid.size // MOST_HEIGHTS))]
    theta = np.arange(0.0, 360.0, ANGLE_STEP_DEG)
    low, high = (share * frame.outer_radius_mm for share in RADII)
    r = np.arange(low, high, min(RADIAL_STEP_VOXELS * max(frame.voxel_mm[1:]), RADIAL_STEP_MM))
    grey = frame.cylinder(scan, z, theta, r)
    grey = np.where(np.isnan(grey), 0, grey)
    width = max(3, round(BACKGROUND_MM / (r[1] - r[0])) | 1)
    smooth = np.stack([cv2.blur(plane, (width, 1), borderType=cv2.BORDER_REFLECT) for plane in grey])
    pattern = (grey - smooth) * np.hanning(r.size).astype(np.float32)
    period = (r[-1] - r[0]) / np.maximum(np.arange(r.size // 2 + 1), 1e-9)
    power = np.mean(np.abs(np.fft.rfft(pattern, axis=2)) ** 2, axis=1)[:, : period.size]
    return _Heights(z, r, grey, pattern, period, power)


def _possible_periods(period_mm: Floats, voxel_mm: float) -> NDArray[np.bool_]:
    resolved = period_mm > PERIOD_VOXELS * voxel_mm
    return np.asarray(resolved & (period_mm > PERIOD_MM[0]) & (period_mm < PERIOD_MM[1]))


def _own_heights(
    heights: _Heights, band: NDArray[np.bool_], sharp: Floats, can_grey: float
) -> NDArray[np.bool_] | None:
    """Heights (nz,) that are the roll's for certain; None where nothing repeats.

    Both foils' heights repeat along the radius; the roll proper, which has the cathode too, is the brighter.
    """
    strength = heights.power[:, band].sum(axis=1) * sharp
    # Rings of sheet repeat along the radius too, and outshine a roll of weak contrast.
    elsewhere = np.where(_sheet_share(heights, can_grey) < SHEET_SHARE, strength, 0.0)
    if can_grey > 0 and elsewhere.max() > LEAST_ELSEWHERE * strength.max():
        strength = elsewhere
    if strength.max() <= 0:
        return None
    layered = strength > LAYERED * strength.max()
    level = heights.grey.mean(axis=(1, 2))
    return np.asarray(layered & (level >= np.percentile(level[layered], BRIGHTER_HALF)))


def _sheet_share(heights: _Heights, can_grey: float) -> Floats:
    """Share of each height (nz,) that bead, cap or bottom take up."""
    across = max(3, round(SHEET_MM / (heights.r_mm[1] - heights.r_mm[0])))
    return np.array([(cv2.blur(plane, (across, 1)) > SHEET_GREY * can_grey).mean() for plane in heights.grey])


def _peak_share(power: Floats) -> float:
    """Share of the power in the strongest line (with its neighbours) of a spectrum."""
    peak = int(np.argmax(power))
    total = float(power.sum())
    if total <= 0:
        return 0.0
    return float(power[max(0, peak - LINE_WIDTH) : peak + LINE_WIDTH + 1].sum()) / total


def _roll_beyond(
    heights: _Heights, band: NDArray[np.bool_], first: int, last: int, least: int
) -> slice | None:
    """Heights beside ``first`` to ``last`` that are far brighter and repeat alike, ``least`` of them or more.

    Where a scan hardly tells cathode from anode, what repeats most clearly are the free foils and not the
    roll. Beside a roll nothing is brighter and repeats: only foils adjoin it.
    """
    power = heights.power * band
    level = heights.grey.mean(axis=(1, 2))
    peak = int(np.argmax(power[first : last + 1].mean(axis=0)))
    strongest = np.argmax(power, axis=1)
    alike = (np.abs(strongest - peak) <= 1) | (np.abs(strongest - 2 * peak) <= 2)
    void = float(level.min())
    brighter = level - void > FAR_BRIGHTER * (float(np.median(level[first : last + 1])) - void)
    start, stop = longest_run(alike & brighter)
    away = max(start - last, first - stop + 1)
    least = max(least, BEYOND_HEIGHTS)
    return None if stop - start < least or away > least else slice(start, stop)


def _by_grey(grey: Greys, first: int, last: int, roll: slice) -> tuple[int, int, Floats]:
    """First and last height around ``roll``, and the share (nz,) of its grey over that of the free foils from
    ``first`` to ``last``."""
    level = grey.mean(axis=(1, 2))
    low, high = float(np.median(level[first : last + 1])), float(np.median(level[roll]))
    share = (level - low) / (high - low)
    middle = (roll.start + roll.stop) // 2
    dark = np.flatnonzero(share <= OF_THE_ROLL)
    before, after = dark[dark < middle].max(initial=-1), dark[dark > middle].min(initial=level.size)
    return int(before) + 1, int(after) - 1, share


def _crossing(z: Floats, share: Floats, index: int, side: int, spacing: float) -> float:
    """Height at which ``share`` falls to one half beyond ``index``; the scan's own border where it does
    not."""
    beyond = index + side
    if beyond < 0 or beyond >= z.size:
        return float(z[index] + side * 0.5 * spacing)
    a, b = float(share[index]), float(share[beyond])
    return float(z[index] + side * spacing * (a - OF_THE_ROLL) / max(a - b, 1e-9))
