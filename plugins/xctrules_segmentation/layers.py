"""The layers of a roll as a radial wave: their pitch, which way they are wound, and lines along them.

At any one radius the layers of a spiral pass through a whole pitch in a turn, so that nothing but their mean
is alike all the way round; what is (can, centre pin, rings) is taken off first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.core.robust import longest_run
from xctrules_segmentation.polar import Floats, Image, Polar

Wave = NDArray[np.complex128]

LARGEST_PITCH = 3
"""A pitch fits at least so often into what was sampled: a period seen less often may be anything."""

LEAST_PITCH_SAMPLES = 6
"""Samples, half a voxel apart, in one pitch: finer layers are not resolved by any scan."""

LEAST_CORRELATION = 0.03
"""Least autocorrelation at a period that layers may have; noise alone gives a tenth of it."""

NEARLY_AS_GOOD = 0.8
"""Share of the best correlation from which on a shorter period is the pitch: the best may be a multiple."""

PITCHES_FROM_AXIS, PITCHES_FROM_CAN = 2.0, 1.0
"""Distance from the axis, where spirals are steep, and from the can, whose flank is no layer, within which
the wave is not judged."""

WAVE_WIDTH = 0.6
"""Standard deviation, in pitches, of the window in which the wave's phase and amplitude are taken: local, and
still wide enough to tell it from its harmonics."""

CATHODE_LEVEL = 80.0
"""Percentile of the roll's greys above which there is copper or the top of a cathode."""

CLEARER = 1.2
"""Times that another way of looking has to be clearer before the greys as they are give way to it."""

HELD_ROUND = 10.0
"""Percentile over the angle that a radius's amplitude is taken at for its vote: a wave that breaks off on the
way round has counted no whole turn."""

MAJORITY = 0.5
"""Share of the votes for one handedness below which the layers form no one spiral."""

SEEN_ROUND, USUAL_SEEN, SEEN_SHARE = 25.0, 75.0, 0.5
"""Percentile over the angle at which layers are seen nearly all the way round; and the share of that
amplitude's usual value (percentile over the radii) from which on they are."""

FIRST_STEPS, NEXT_STEPS = 3, 2
"""Newton steps onto a line of constant phase, from afar and from the angle before."""


def _wound(grey: Image) -> Image:
    """``grey`` (nt, nr) without what is alike all the way round."""
    return np.asarray(grey - grey.mean(axis=0), dtype=np.float32)


def pitch_of(polar: Polar) -> float:
    """Radial period of the layers, mm, from the autocorrelation of all columns' slopes.

    Raises
    ------
    NotMeasurable
        Where nothing repeats along the radius, or too finely.
    """
    slope: Image = np.asarray(np.gradient(_wound(polar.grey), axis=1))
    slope[polar.r_mm[None, :] > polar.limit_mm[:, None]] = 0.0
    n = slope.shape[1]
    size = 1 << (2 * n - 1).bit_length()
    power = (np.abs(np.fft.rfft(slope, size, axis=1)) ** 2).mean(axis=0)
    correlation = np.fft.irfft(power)[: n // LARGEST_PITCH]
    if correlation[0] <= 0:
        raise NotMeasurable("the roll shows no layers: its grey is uniform along the radius")
    correlation /= correlation[0]
    peaks = 1 + np.flatnonzero(
        (correlation[1:-1] >= correlation[:-2]) & (correlation[1:-1] > correlation[2:])
    )
    peaks = peaks[peaks >= LEAST_PITCH_SAMPLES]
    if peaks.size == 0 or correlation[peaks].max() < LEAST_CORRELATION:
        raise NotMeasurable("the roll's layers are not resolved: no period is found along the radius")
    best = correlation[peaks].max()
    first = int(peaks[correlation[peaks] >= NEARLY_AS_GOOD * best][0])
    left, mid, right = correlation[first - 1 : first + 2]
    shift = 0.5 * (left - right) / (left - 2 * mid + right)
    return float((first + shift) * polar.step_mm)


def _judged(polar: Polar, pitch: float) -> NDArray[np.bool_]:
    """Radii (nr,) at which the wave is judged."""
    return polar.between(PITCHES_FROM_AXIS * pitch, polar.limit_mm.min() - PITCHES_FROM_CAN * pitch)


def wave_of(polar: Polar, pitch: float) -> Wave:
    """Complex amplitude (nt, nr) of the layers' radial wave: exp(2 pi i r / pitch) demodulated.

    Copper lies half a pitch from the cathode; where it is much brighter their waves may cancel. The greys are
    therefore also tried cut off at the cathode's level, and above that level alone, and the clearest wave is
    taken.

    Raises
    ------
    NotMeasurable
        Where the pitch hardly fits between core and can.
    """
    from scipy.ndimage import gaussian_filter1d

    grey, roll = polar.grey, _judged(polar, pitch)
    sigma = WAVE_WIDTH * pitch / polar.step_mm
    turning = np.exp(-2j * np.pi * polar.r_mm / pitch)
    if not roll.any():
        raise NotMeasurable(
            "the roll's layers are not resolved: what repeats along the radius, "
            f"every {pitch:.2f} mm, does so fewer than four times"
        )
    level = np.percentile(grey[:, roll], CATHODE_LEVEL)
    best, clearest = -1.0, np.zeros(grey.shape, dtype=complex)
    for seen in (grey, np.minimum(grey, level), np.maximum(grey, level)):
        ac = _wound(seen)
        ac -= gaussian_filter1d(ac, sigma, axis=1)
        real = gaussian_filter1d(ac * turning.real.astype(np.float32), sigma, axis=1)
        imag = gaussian_filter1d(ac * turning.imag.astype(np.float32), sigma, axis=1)
        wave = real + 1j * imag
        clear = float(np.median(np.abs(wave[:, roll]))) / max(float(ac[:, roll].std()), 1e-9)
        if clear > CLEARER * best:
            best, clearest = clear, wave
    return clearest


def handedness_of(wave: Wave, polar: Polar, pitch: float) -> int:
    """+1 where the layers move outward with growing angle: their phase falls by one period in a turn.

    Raises
    ------
    NotMeasurable
        Where the radii do not agree on it.
    """
    step = np.angle(np.roll(wave, -1, axis=0) * wave.conj())
    periods = np.round(step.sum(axis=0) / (2 * np.pi)).astype(int)
    weight = np.where(_judged(polar, pitch), np.percentile(np.abs(wave), HELD_ROUND, axis=0) ** 2, 0.0)
    votes = {n: float(weight[periods == n].sum()) for n in (-1, 1)}
    if max(votes.values()) <= MAJORITY * float(weight.sum()):
        raise NotMeasurable("the layers of the roll do not form one spiral")
    return 1 if votes[-1] > votes[1] else -1


def layered_range(wave: Wave, polar: Polar) -> tuple[float, float]:
    """First and last radius of the widest run of radii at which layers are seen nearly all the way round: a
    pin and the can make a wave as well, with none beside it.

    Raises
    ------
    NotMeasurable
        Where there is no such run.
    """
    round_it = np.percentile(np.abs(wave), SEEN_ROUND, axis=0)
    power = np.where(polar.r_mm < polar.limit_mm.min(), round_it, 0.0)
    start, stop = longest_run(power > SEEN_SHARE * np.percentile(power[power > 0], USUAL_SEEN))
    if stop - start < 2:
        raise NotMeasurable("the roll's layers are not resolved")
    return float(polar.r_mm[start]), float(polar.r_mm[stop - 1])


def line_of_constant_phase(wave: Wave, polar: Polar, pitch: float, start_mm: float) -> Floats:
    """Radius (nt,) of a line of phase 0 of the layers' wave, from near ``start_mm`` at the first angle."""
    dr = polar.step_mm
    path = np.empty(wave.shape[0])
    r = start_mm
    for j in range(wave.shape[0]):
        for _ in range(FIRST_STEPS if j == 0 else NEXT_STEPS):
            i = min(max(int(r / dr), 0), polar.r_mm.size - 2)
            w = r / dr - i
            phase = np.angle(
                ((1 - w) * wave[j, i] + w * wave[j, i + 1]) * np.exp(2j * np.pi * (r % pitch) / pitch)
            )
            r -= phase * pitch / (2 * np.pi)
        path[j] = r
    return path
