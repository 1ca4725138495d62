"""From which slice on the content is shifted, turned, scaled or brighter, against the slices before it.

Two ways, for small and for large. A small step shows in the least-squares motion of each pair
(:mod:`xctrules_screening.motion`), once what all pairs have in common is taken off: the lean of layers, or a
tilt of the axis. A large one is out of that method's reach, but then the two slices share hardly any noise
and grain, and the motion is looked for, coarse to fine, that makes them share as much as their neighbours do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from xctrules.core.robust import robust_sd
from xctrules.cylinder.surfaces import Floats
from xctrules_screening.continuity import SURE, significance
from xctrules_screening.motion import RINGS, Grid, Motions, motion_between
from xctrules_screening.neighbours import (
    FINE_SHARE,
    Neighbours,
    Sampled,
    Sampler,
    coherence_of,
    fine_structure,
)
from xctrules_screening.sampling import Greys

NEAR = 4
"""Pairs on each side whose median motion is taken off a pair's own: more than a step spreads over, fewer than
layers keep their lean for."""

LEAST_RINGS = 3
"""Rings of the four that a motion of the whole slice is seen by."""

ONE_RING = 0.8
"""Share of all weight above which one ring speaks for the others: of a turn, a tab or a layer's end alone
would then tell."""

LINEAR = 0.4
"""Share of a motion that one linear step may be off by in a ring: for shifts up to a voxel."""

COARSE_TO_FINE = (8.0, 4.0, 2.0, 0.0)
"""Blur in samples with which a large motion is looked for, step by step: it reaches as far as the blur, and
8 samples are two thirds of a usual pitch, so that no layer is taken for the next."""

STEPS = 3
"""Steps of least squares at each blur: the error left by one is a small part of the motion."""

RESTORED = 0.25
"""Share of the lost coherence that an alignment gives back at least: half and more of it is lost again where
slices were interpolated when they were turned, and when they are turned back."""

Motion = NDArray[np.float64]
"""x and y in mm, turn in degrees, scale relative: (4,)."""


@dataclass(frozen=True)
class Departures:
    """Motion of each pair beyond that of the pairs around it, and its standard uncertainty: (n, 4) each.

    ``agreed`` (n, 4) bool: rings of the cross-section see it alike, so that it is the slice's and no layer's.
    """

    value: Floats
    sigma: Floats
    agreed: NDArray[np.bool_]


def departures(motions: Motions) -> Departures:
    """What of each pair's motion its neighbours do not share, averaged over the rings."""
    value, sigma = motions.value[..., :4], motions.sigma[..., :4]
    beyond = value - usual(value)  # (n, RINGS, 4)
    sigma = sigma * _calibration(beyond, sigma)
    # Where layers begin or end within a pair or two, the model holds for none of the pairs around.
    sigma = np.maximum(sigma, 0.5 * _largest_around(sigma))
    with np.errstate(divide="ignore"):
        weight = np.where(np.isfinite(sigma) & (sigma > 0), 1 / sigma**2, 0.0)
    total = weight.sum(axis=1)
    safe = np.where(total > 0, total, 1.0)
    mean = (weight * beyond).sum(axis=1) / safe
    scatter = np.sqrt((weight * (beyond - mean[:, None]) ** 2).sum(axis=1) / (RINGS - 1))
    u = np.where(total > 0, np.maximum(1.0, scatter) / np.sqrt(safe), np.inf)  # Birge 1932
    # The linear model is off by some share of a motion of half a voxel, and not by the same in every ring.
    close = np.maximum(3 * sigma, LINEAR * np.abs(mean)[:, None])
    alike = np.abs(beyond - mean[:, None]) < close
    several = weight.max(axis=1) < ONE_RING * safe
    several[:, [0, 1, 3]] = True  # the straight wall is shifted or scaled by nothing but the slice
    agreed = (alike.sum(axis=1) >= LEAST_RINGS) & several & _seen_by_the_can(motions, mean)
    return Departures(mean, u, agreed)


def _seen_by_the_can(motions: Motions, mean: Floats) -> NDArray[np.bool_]:
    """Whether the can's outer face moves, or is scaled, by as much as the mean of the rings; (n, 4).

    Foils that lean, and layers that end over several turns, look like a change of scale in every ring but for
    the can, which neither leans nor ends. Of a turn a round face says nothing, nor of anything where it is
    not seen.
    """
    beyond = motions.face[:, :4] - usual(motions.face[:, :4])
    sigma = motions.face_sigma[:, :4]
    seen = np.isfinite(sigma)
    spread = np.array([[robust_sd(beyond[seen[:, i], i]) if seen[:, i].any() else 0.0 for i in range(4)]])
    close = np.maximum(SURE * np.maximum(sigma, spread), LINEAR * np.abs(mean))
    alike = np.abs(beyond - mean) < close
    alike[:, 2] = True
    return np.asarray(alike | ~seen)


def usual(values: Floats) -> Floats:
    """Median of the pairs around each, itself left out; (n, ...)."""
    usual = np.empty_like(values)
    for k in range(len(values)):
        around = np.concatenate([values[max(0, k - NEAR) : k], values[k + 1 : k + 1 + NEAR]])
        usual[k] = np.median(around, axis=0) if len(around) else values[k]
    return usual


def _calibration(beyond: Floats, sigma: Floats) -> Floats:
    """Scatter of the scan's own pairs over what least squares promises, at least 1; (1, RINGS, 4)."""
    result = np.ones((1, *beyond.shape[1:]))
    for ring in range(beyond.shape[1]):
        for unknown in range(beyond.shape[2]):
            u = sigma[:, ring, unknown]
            known = np.isfinite(u) & (u > 0)
            if known.sum() > NEAR:
                result[0, ring, unknown] = max(1.0, robust_sd(beyond[known, ring, unknown] / u[known]))
    return result


def _largest_around(sigma: Floats) -> Floats:
    """Largest of each value and the two before and after it, along the first axis."""
    padded = np.concatenate([sigma[:1], sigma[:1], sigma, sigma[-1:], sigma[-1:]])
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 5, axis=0).max(axis=-1))


# --- large motions -----------------------------------------------------------------------------------------


def aligning_motion(sampler: Sampler, n: Neighbours, pair: int, can_grey: float) -> Motion | None:
    """The motion after which the second slice of a pair shares as much with the first as neighbours do.

    ``None`` where there is none: something else is wrong with the pair.
    """
    k = n.first + pair
    one = Sampled.of(sampler.slice(k), n.grid)
    motion = np.zeros(4)
    for blur in COARSE_TO_FINE:  # the wall alone: layers may still be turned
        motion = _refined(sampler, n.grid, one, k + 1, motion, blur, rings=slice(-1, None), unknowns=[0, 1])
    motion[2] = _turn(one.fine, fine_structure(sampler.slice(k + 1, motion)))
    candidates = [motion]
    for unknowns in ([0, 1], [0, 1, 3], [0, 1, 2, 3]):  # layers that lean or end seem to turn
        refined = motion
        for blur in COARSE_TO_FINE[1:]:
            refined = _refined(sampler, n.grid, one, k + 1, refined, blur, unknowns=unknowns)
        candidates.append(refined)
    floor = np.float32((FINE_SHARE * can_grey) ** 2)

    def shared(candidate: Motion) -> Floats:
        return coherence_of(one, Sampled.of(sampler.slice(k + 1, candidate), n.grid), floor)

    motion = max(candidates, key=lambda candidate: float(np.nanmean(shared(candidate))))
    around = [n.coherence[j] for j in (pair - 2, pair - 1, pair + 1, pair + 2) if 0 <= j < len(n.coherence)]
    lost = float(np.nanmean(np.array(around))) - float(np.nanmean(n.coherence[pair]))
    gained = shared(motion) - n.coherence[pair]
    restored = significance(gained) > SURE and float(np.nanmean(gained)) > RESTORED * lost
    return motion if restored else None


def _refined(
    sampler: Sampler,
    grid: Grid,
    one: Sampled,
    k: int,
    motion: Motion,
    blur: float,
    rings: slice = slice(None),
    unknowns: Sequence[int] = (0, 1, 2, 3),
) -> Motion:
    """The motion after some steps of least squares, of some rings and in some of the unknowns."""
    for _ in range(STEPS):
        other = grid.by_arc(sampler.slice(k, motion))
        value, sigma = motion_between(_blurred(one.arcs, blur), _blurred(other, blur), grid)
        value, sigma = value[:RINGS][rings, :4], sigma[:RINGS][rings, :4]
        with np.errstate(divide="ignore"):
            weight = np.where(np.isfinite(sigma), 1 / sigma**2, 0.0)
        total = weight.sum(axis=0)
        step = (weight * np.where(weight > 0, value, 0.0)).sum(axis=0) / np.where(total > 0, total, 1.0)
        motion = motion.copy()
        motion[list(unknowns)] += step[list(unknowns)]
    return motion


def _turn(one: Greys, other: Greys) -> float:
    """Angle in degrees by which fine structure (nt, nr) lies further on in the other slice, to one sample.

    0 where no angle stands out.
    """
    first, second = np.fft.rfft(one, axis=0), np.fft.rfft(other, axis=0)
    shared = np.fft.irfft((np.conj(first) * second).sum(axis=1), n=one.shape[0])
    at = int(np.argmax(shared))
    if shared[at] < SURE * robust_sd(shared):
        return 0.0
    turn = at * 360.0 / one.shape[0]
    return float(turn - 360.0 if turn > 180.0 else turn)


def _blurred(arcs: Greys, blur: float) -> Greys:
    """Arcs (narcs, nr) blurred along the radius, and round the cell by as much at the middle radius."""
    if not blur:
        return arcs
    side = int(4 * blur) | 1
    wrapped = np.concatenate([arcs[-side:], arcs, arcs[:side]])
    soft = cv2.GaussianBlur(
        wrapped, (0, 0), sigmaX=blur, sigmaY=max(blur / 4, 0.5), borderType=cv2.BORDER_REPLICATE
    )
    return np.asarray(soft[side:-side])
