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

from xctrules.cylinder.frame import CellFrame
from xctrules.cylinder.surfaces import Floats
from xctrules_screening.levels import APART
from xctrules_screening.sampling import INTERPOLATED_NOISE, Unrolled, robust_sd

BLOCK_DEG = 5.0
"""Arc over which layers are averaged before they are looked at one by one."""

HALF_WINDOW = 0.06
"""Half-width, in turns, of the cathode's middle: some 20 um, well inside its 150 um."""


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
    middle = np.flatnonzero((phase > 0.25) & (phase < 0.75))
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
        lag = max(1, math.ceil(3 * voxel_mm / (radius * math.radians(step_deg))))
        v = values[:, turn]
        differences.append((np.roll(v, lag, -1) - 2 * v + np.roll(v, -lag, -1)).ravel())
    joined = np.concatenate(differences) if differences else np.empty(0)
    finite = joined[np.isfinite(joined)]
    return robust_sd(finite) / math.sqrt(6) / INTERPOLATED_NOISE, int(finite.size)


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
    second = np.roll(valleys[:2], 1, -1) - 2 * valleys[:2] + np.roll(valleys[:2], -1, -1)
    spread = robust_sd(second) / math.sqrt(6)
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
    nz, nturns, _, nt = roll.grey.shape
    phases = np.unique([*layers.cathode, *layers.gaps])
    grey = roll.grey[:, :, phases]
    rest = grey - mean_of_finite(grey, (0, 3))[None, :, :, None]
    rest = np.clip(rest, -4 * layers.noise, 4 * layers.noise)  # a tab is no ring
    rest -= mean_of_finite(rest, (0, 3))[None, :, :, None]
    r = roll.radius_mm[:, None, :] + roll.phase[phases][None, :, None] * roll.pitch_mm
    theta = np.broadcast_to(roll.theta_deg, (nturns, phases.size, nt))
    sector = (theta // 30).astype(np.intp) % 2
    centre = 0.5 * (frame.shape[1] - 1), 0.5 * (frame.shape[2] - 1)
    size = math.ceil(math.hypot(*frame.shape[1:])) + 2
    total, number = np.zeros((2, size)), np.zeros((2, size))
    for i in range(nz):
        height = roll.slices[i] * frame.voxel_mm[0] / frame.axis[2]
        _, y, x = frame.to_voxel(height, theta, r)
        distance = np.hypot(y - centre[0], x - centre[1])
        usable = np.isfinite(rest[i]) & np.isfinite(distance)
        place = np.rint(distance[usable]).astype(np.intp) * 2 + sector[usable]
        inside = place < 2 * size
        total += (
            np.bincount(place[inside], rest[i][usable][inside], minlength=2 * size)[: 2 * size]
            .reshape(size, 2)
            .T
        )
        number += np.bincount(place[inside], minlength=2 * size)[: 2 * size].reshape(size, 2).T
    enough = (number >= 20).all(axis=0)
    if enough.sum() < 20:
        return math.nan, 0
    mean = total[:, enough] / number[:, enough]
    width = 15  # radii; slower changes are cupping
    kernel = np.ones(width) / width
    slow = np.stack([np.convolve(np.pad(m, width // 2, mode="edge"), kernel, mode="valid") for m in mean])
    fast = mean - slow
    return math.sqrt(max(float(np.mean(fast[0] * fast[1])), 0.0)), int(enough.sum())
