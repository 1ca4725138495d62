"""How well the wound layers show: noise, contrast, separation, cupping and rings, all inside the roll.

Everything compares the same phase of the winding (the same material) at different places, so that neither the
layers themselves nor grey levels outside the can count as noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xctrules.core.robust import SECOND_DIFFERENCE_SD, noise_along, robust_sd
from xctrules.cylinder.frame import CellFrame
from xctrules.cylinder.surfaces import Floats
from xctrules_screening.levels import APART
from xctrules_screening.sampling import INTERPOLATED_NOISE, Unrolled

BLOCK_DEG = 5.0
"""Arc over which layers are averaged before they are looked at one by one."""

HALF_WINDOW = 0.06
"""Half-width, in turns, of the cathode's middle: some 20 um, well inside its 150 um."""

CATHODE_PHASES = (0.25, 0.75)
"""Where between one turn's copper and the next one's the cathode's middle may lie."""

APART_VOXELS = 3.0
"""Voxels along a layer at which single ones' noise is independent."""

TAB_SIGMAS = 4.0
"""What stands out by more than this from its turn's pattern is a tab, and no ring."""

SECTOR_DEG = 30.0
"""Even and odd sectors of this width are averaged by themselves: wide enough for twenty voxels at a radius,
narrow enough that both see all sides of the roll."""

HALF_HEIGHT = 0.5
"""Share of the usual step from gap to cathode below which a sector of a turn has no cathode."""

LEAST_VOXELS, LEAST_RADII = 20, 20
"""Voxels in an average at one radius, and radii that rings are judged by."""

SLOW_RADII = 15
"""What changes more slowly than over so many radii is cupping."""


@dataclass(frozen=True)
class Layers:
    """The mean pattern of one turn, and the noise on it.

    Attributes
    ----------
    profile : (nphase,)
        Mean grey level over all turns, angles and slices.
    cathode, gaps
        Indices of the cathode's middle, and of the darkest phase on each side of it.
    cathode_grey, gap_grey, noise
        Grey levels; ``noise`` is the standard deviation of single voxels in the cathode.
    n
        Values that the noise was taken from.
    """

    profile: Floats
    cathode: NDArray[np.intp]
    gaps: tuple[int, int]
    cathode_grey: float
    gap_grey: float
    noise: float
    n: int


def mean_of_finite(values: NDArray[np.floating[Any]], axes: tuple[int, ...]) -> Floats:
    """Mean of what is finite, NaN where nothing is; numpy's own warns of that."""
    finite = np.isfinite(values)
    total = np.where(finite, values, 0.0).sum(axis=axes, dtype=np.float64)
    count = finite.sum(axis=axes)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def find_layers(roll: Unrolled, voxel_mm: float) -> Layers | None:
    """Where in a turn the cathode and the gaps beside it lie, and how noisy the cathode is."""
    if not np.isfinite(roll.grey).any():
        return None
    profile = mean_of_finite(roll.grey, (0, 1, 3))
    if not np.isfinite(profile).all():
        return None
    phase = roll.phase
    near = np.abs(phase[:, None] - phase[None, :]) <= HALF_WINDOW + 1e-9
    smooth = (near * profile).sum(axis=1) / near.sum(axis=1)
    middle = np.flatnonzero((phase > CATHODE_PHASES[0]) & (phase < CATHODE_PHASES[1]))
    top = int(middle[np.argmax(smooth[middle])])
    inner, outer = int(np.argmin(profile[:top])), top + 1 + int(np.argmin(profile[top + 1 :]))
    cathode = np.flatnonzero(near[top])
    values = roll.grey[:, :, cathode]
    noise, n = _noise(values, roll, voxel_mm)
    return Layers(
        profile=profile,
        cathode=cathode,
        gaps=(inner, outer),
        cathode_grey=float(np.nanmedian(values)),
        gap_grey=float(np.nanmedian(roll.grey[:, :, [inner, outer]])),
        noise=noise,
        n=n,
    )


def _noise(values: NDArray[np.float32], roll: Unrolled, voxel_mm: float) -> tuple[float, int]:
    """Standard deviation of single voxels, from second differences along the layer.

    Places three voxels apart are independent; a second difference removes what changes slowly along the
    layer (cupping, beam hardening) and keeps sqrt(6) of the noise.
    """
    step_deg = 360.0 / roll.theta_deg.size
    differences = []
    for turn in range(values.shape[1]):
        radius = float(np.nanmedian(roll.radius_mm[turn]))
        if not math.isfinite(radius):
            continue
        lag = max(1, math.ceil(APART_VOXELS * voxel_mm / (radius * math.radians(step_deg))))
        v = values[:, turn]
        differences.append((np.roll(v, lag, -1) - 2 * v + np.roll(v, -lag, -1)).ravel())
    joined = np.concatenate(differences) if differences else np.empty(0)
    finite = joined[np.isfinite(joined)]
    return robust_sd(finite) / SECOND_DIFFERENCE_SD / INTERPOLATED_NOISE, int(finite.size)


def separation(roll: Unrolled, layers: Layers) -> NDArray[np.bool_] | None:
    """At which places copper and cathode show as separate maxima with a significant valley between them.

    Returns
    -------
    (n,)
        One entry for each turn and arc of ``BLOCK_DEG`` where the foil was located; ``None`` without any.
    """
    per_block = max(1, round(BLOCK_DEG * roll.theta_deg.size / 360.0))
    count = roll.theta_deg.size // per_block
    used = roll.grey[..., : count * per_block]
    mean = mean_of_finite(used.reshape(*used.shape[:-1], count, per_block), (0, 4))  # turns, phase, block
    whole = np.isfinite(mean).all(axis=1)
    if not whole.any():
        return None
    inner, outer = layers.gaps
    cathode = mean[:, layers.cathode].mean(axis=1)
    near_gap, far_gap = mean[:, inner], mean[:, outer]
    copper, next_copper = mean[:, 0], mean[:, -1]
    valleys = np.stack(
        [cathode - near_gap, cathode - far_gap, copper - near_gap, next_copper - far_gap]
    )  # (4, turns, blocks)
    # The noise of a valley's depth, from places side by side, where the layers themselves are the same.
    spread = noise_along(valleys[:2], wrap=True)
    apart = np.asarray((valleys > APART * spread).all(axis=0))
    return np.asarray(apart[whole])


def cathode_by_turn(roll: Unrolled, layers: Layers) -> Floats:
    """Grey level of the cathode's middle in each turn, (nturns,)."""
    values = roll.grey[:, :, layers.cathode]
    found = np.isfinite(values).any(axis=(0, 2, 3))
    out = np.full(values.shape[1], np.nan)
    for turn in np.flatnonzero(found):
        out[turn] = np.nanmedian(values[:, turn])
    return out


def ring_sd(roll: Unrolled, layers: Layers, frame: CellFrame) -> tuple[float, int]:
    """Standard deviation of rings about the scanner's axis, in grey levels, and the number of radii.

    The mean pattern of each turn is taken off first: turns look like rings. What remains is averaged at equal
    distance from the middle of the image, once over even and once over odd sectors. A ring is in both
    averages, noise in neither: their covariance is the rings' variance.
    """
    phases = np.unique([*layers.cathode, *layers.gaps])
    grey = np.where(_whole_turns(roll, layers)[:, None, None], roll.grey[:, :, phases], np.nan)
    total, number = _by_distance(_without_turns(grey, layers.noise), phases, roll, frame)
    enough = (number >= LEAST_VOXELS).all(axis=0)
    if enough.sum() < LEAST_RADII:
        return math.nan, 0
    mean = total[:, enough] / number[:, enough]
    kernel = np.ones(SLOW_RADII) / SLOW_RADII
    padded = np.pad(mean, ((0, 0), (SLOW_RADII // 2, SLOW_RADII // 2)), mode="edge")
    slow = np.stack([np.convolve(row, kernel, mode="valid") for row in padded])
    fast = mean - slow
    return math.sqrt(max(float(np.mean(fast[0] * fast[1])), 0.0)), int(enough.sum())


def _whole_turns(roll: Unrolled, layers: Layers) -> NDArray[np.bool_]:
    """Which turns (nturns,) are none in which the cathode begins or ends, nor lie beyond.

    Where it does so within a turn, its pattern has no mean that could be taken off, and the step would look
    like a ring. That is the innermost and the outermost turn with any cathode; further in, what hides a
    cathode is itself a strong ring.
    """
    per_sector = max(1, round(SECTOR_DEG * roll.theta_deg.size / 360.0))
    count = roll.theta_deg.size // per_sector
    grey = roll.grey[..., : count * per_sector]
    by_sector = mean_of_finite(grey.reshape(*grey.shape[:-1], count, per_sector), (0, 4))
    height = by_sector[:, layers.cathode].mean(axis=1) - by_sector[:, list(layers.gaps)].mean(axis=1)
    least = HALF_HEIGHT * (layers.cathode_grey - layers.gap_grey)
    with np.errstate(invalid="ignore"):
        some, lacks = (height >= least).any(axis=1), (height < least).any(axis=1)
    turns = np.flatnonzero(some)
    if turns.size == 0:
        return np.zeros(some.size, dtype=bool)
    first, last = turns[0] + bool(lacks[turns[0]]), turns[-1] - bool(lacks[turns[-1]])
    turn = np.arange(some.size)
    return np.asarray((turn >= first) & (turn <= last))


def _without_turns(grey: NDArray[np.float32], noise: float) -> Floats:
    """Grey (nz, nturns, nphase, nt) without the mean pattern of each turn, and without tabs."""
    rest = grey - mean_of_finite(grey, (0, 3))[None, :, :, None]
    rest = np.clip(rest, -TAB_SIGMAS * noise, TAB_SIGMAS * noise)
    return np.asarray(rest - mean_of_finite(rest, (0, 3))[None, :, :, None])


def _by_distance(
    rest: Floats, phases: NDArray[np.intp], roll: Unrolled, frame: CellFrame
) -> tuple[Floats, Floats]:
    """Sums and numbers (2, nradii) of ``rest`` over even and odd sectors, by distance, in whole voxels, from
    the middle of the image."""
    r = roll.radius_mm[:, None, :] + roll.phase[phases][None, :, None] * roll.pitch_mm
    theta = np.broadcast_to(roll.theta_deg, r.shape)
    sector = (theta // SECTOR_DEG).astype(np.intp) % 2
    middle = 0.5 * (frame.shape[1] - 1), 0.5 * (frame.shape[2] - 1)
    size = math.ceil(math.hypot(*frame.shape[1:])) + 2
    total, number = np.zeros(2 * size), np.zeros(2 * size)
    for k, values in zip(roll.slices, rest, strict=True):
        _, y, x = frame.to_voxel(k * frame.voxel_mm[0] / frame.axis[2], theta, r)
        distance = np.hypot(y - middle[0], x - middle[1])
        usable = np.isfinite(values) & np.isfinite(distance)
        place = np.rint(distance[usable]).astype(np.intp) * 2 + sector[usable]
        inside = place < 2 * size
        total += np.bincount(place[inside], values[usable][inside], minlength=2 * size)
        number += np.bincount(place[inside], minlength=2 * size)
    return total.reshape(size, 2).T, number.reshape(size, 2).T
