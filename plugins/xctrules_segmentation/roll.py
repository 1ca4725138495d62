"""Follows the anode's copper foil through the wound roll, and finds where a cathode faces it.

The roll is unrolled (height, angle, radius). All layers are then lines that run roughly along the angle, one
pitch apart, and the foil is one single line: turn k goes on as turn k + 1 where the angle starts anew.

1. The phase of the layers' radial wave gives pitch, handedness and one sound turn to start from. Along a line
   of constant phase the mean profile of one pitch tells the copper from the cathode: it is the narrower one.
2. From that turn the foil is followed inward and outward. Each next turn is sought relative to the one just
   found (minimum-cost path), so buckles, tabs and ovality that neighbours share cost nothing, and it has to
   start where the last one ended. It ends where the evidence along the line stops adding up.
3. At each height the radius is located below the voxel by fitting a blurred line on a curved background.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.core.robust import longest_run, noise_along, noise_of_second_differences
from xctrules.core.slices import Slices, each_slice
from xctrules.cylinder.surfaces import CanSurface, CylinderCell, Floats, FoilTrace
from xctrules_segmentation.best_path import best_path, squared_price

Image = NDArray[np.float32]

_BANDS, _SLICES_PER_BAND = 8, 3
_REFERENCE_HEIGHT_MM = 3.0
"""Bands this near to the middle one are averaged for the first trace; farther ones are reached band by
band."""
_FOLD_HEIGHT_MM = 0.5
"""Height over which a foil, which cannot bend both ways at once, keeps its folds."""
_STEPS_PER_PITCH = 24
_REACH = 3
"""Largest step of a line from one angle to the next, in 24ths of a pitch: an eighth of it in a degree."""
_STIFFNESS = 0.1
"""Cost of one step (a 24th of a pitch) in one degree, against at most 1 of evidence for each angle: at a tab
or at the
cathode's inner end neighbouring turns part by half a pitch within some 20 degrees, which costs 0.7."""


_LASTING_DEG = 30.0
"""Length along the foil over which its line and its contrast are averaged to tell it from noise: that of the
quickest change of a foil's path, at a tab."""
_SHARP = 0.06
"""Spread, in pitches, to which the greys are sharpened where the scan is blurred more than that."""
_WIENER = 0.03
"""Least noise over signal in that filter: it gains at most a factor of 1 / (2 * 0.03)."""


@dataclass(frozen=True)
class CathodeFaces:
    """Where a cathode faces the foil.

    Attributes
    ----------
    inner_mm, outer_mm : (nturns, nt)
        Radius of the centre of the cathode next to the foil on its inner and outer side; NaN where none is
        there.
    half_width_mm
        Half the cathode's thickness (median over the roll).
    """

    inner_mm: Floats
    outer_mm: Floats
    half_width_mm: float


@dataclass(frozen=True)
class _Unrolled:
    """Grey values (nz, nt, nr) of the roll, the can's grey clipped down to that of the roll."""

    z_mm: Floats
    theta_deg: Floats
    r_mm: Floats
    grey: Image
    raw: Image
    """The same, as scanned: ``grey`` may be sharpened."""
    limit_mm: Floats
    """(nt,) radius beyond which there is no roll: the can's inner surface, or the end of what was sampled."""


@dataclass(frozen=True)
class _Ridge:
    """The mean profile across the followed layer: ``profile`` at offsets ``x_mm``; at each angle its contrast
    is ``strength`` (nt,) times that. A layer without a neighbour rises ``alone`` times as high out of the
    dark."""

    x_mm: Floats
    profile: Floats
    strength: Floats
    alone: float = 1.0
    too_bright: tuple[float, float] | None = None
    """Greys from which on, and beyond which, a place is no foil but a cathode, where that is the brighter."""
    full_grey: float | None = None
    """Grey inside the layer where the scan is two-valued."""


# --- sampling --------------------------------------------------------------------------------------------


def _columns(angles: int) -> int:
    """Number of angles to trace at: the multiple of ``angles`` that is at least 360."""
    return angles * max(1, -(-360 // angles))


def _band_heights(cell: CylinderCell) -> tuple[Floats, Floats]:
    """Heights (nbands, nslices) to sample in the roll clear of the electrode's edges, and the bands' mean
    heights."""
    frame = cell.frame
    if frame.roll_mm is None:
        raise NotMeasurable("no electrode roll is in view")
    grid = np.asarray(frame.z_grid_mm(), dtype=float)
    step = abs(grid[1] - grid[0]) if grid.size > 1 else 1.0
    low, high = frame.roll_mm
    # The edges' own heights scatter by some tenths of a millimetre from turn to turn.
    margin = min(max(3 * step, 0.3), 0.25 * (high - low))
    for end in frame.ends:
        if end.outward > 0:
            high = min(high, end.z_mm) - margin
        else:
            low = max(low, end.z_mm) + margin
    # Of a tilted cell the scan's first and last slices show only a part of the way round.
    lean = (frame.outer_radius_mm or 0.0) * np.tan(np.deg2rad(frame.tilt_deg))
    low, high = max(low, grid.min() + lean), min(high, grid.max() - lean)
    inside = grid[(grid >= low - 1e-9) & (grid <= high + 1e-9)]
    if inside.size == 0:
        inside = grid[[int(np.argmin(np.abs(grid - 0.5 * (low + high))))]]
    per_band = min(_SLICES_PER_BAND, inside.size)
    bands = min(_BANDS, inside.size // per_band)
    starts = np.round(np.linspace(0, inside.size - per_band, bands)).astype(int)
    heights = inside[starts[:, None] + np.arange(per_band)]
    return heights, heights.mean(axis=1)


def _unroll(
    cell: CylinderCell, can: CanSurface | None, *, two_valued: bool = False, sharpen: bool = True
) -> _Unrolled:
    """Sample the roll on bands of height, all angles, and radii half a voxel apart."""
    frame = cell.frame
    heights, z_mm = _band_heights(cell)
    count = _columns(cell.settings.angles)
    theta: Floats = np.arange(count, dtype=np.float64) * (360.0 / count)
    voxel = min(cell.scan.voxel_size_mm[1:])
    radius = frame.outer_radius_mm
    if radius is None:
        ny, nx = cell.scan.shape[1:]
        x0, y0 = frame.origin_mm
        radius = min(np.hypot(max(x0, nx * voxel - x0), max(y0, ny * voxel - y0)), 0.75 * max(nx, ny) * voxel)
    r_mm = np.arange(0.0, radius * 1.01, 0.5 * voxel)
    bands = []
    for band in heights:
        grey = frame.cylinder(cell.scan, z_mm=band, theta_deg=theta, r_mm=r_mm)
        bands.append(np.nan_to_num(grey, copy=False, nan=0.0).mean(axis=0))
    grey = np.stack(bands).astype(np.float32)
    limit = _roll_limit(grey.mean(axis=0), r_mm, frame.outer_radius_mm)
    if can is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # angles at which the can was not located
            inner = np.nanmedian(np.where(can.straight[:, None], can.inner_mm, np.nan), axis=0)
        found = np.isfinite(inner)
        if found.any():
            limit = np.interp(theta, can.theta_deg[found], inner[found], period=360.0)
    if two_valued:
        return _Unrolled(z_mm, theta, r_mm, grey, grey, limit)
    roll = (r_mm > 0.4 * limit[:, None]) & (r_mm < limit[:, None] - voxel)
    raw = _lowered(grey, roll)
    if sharpen and frame.outer_radius_mm is not None:
        blur = _blur(grey.mean(axis=0), r_mm, frame.outer_radius_mm)
        if blur is not None:
            sharp = _sharpened(raw, r_mm, limit, blur)
            return _Unrolled(z_mm, theta, r_mm, _lowered(sharp, roll), raw, limit)
    return _Unrolled(z_mm, theta, r_mm, raw, raw, limit)


def _lowered(grey: Image, roll: NDArray[np.bool_]) -> Image:
    """``grey`` (nz, nt, nr) cut down to the greys of the ``roll`` (nt, nr): above them there is only the can,
    or a pin in the core, and so either looks like one more slab."""
    ceiling = np.float32(np.percentile(grey.mean(axis=0)[roll], 97.0) * 1.05)
    return np.minimum(grey, ceiling)


def _blur(grey: Image, r_mm: Floats, outer_mm: float) -> float | None:
    """Standard deviation of the scan's edge spread along the radius, mm, from the can's inner flank; None
    where the can does not stand out.

    A step of height ``a`` under a Gaussian spread ``s`` rises by at most ``a / (s sqrt(2 pi))`` per length.
    """
    step = r_mm[1] - r_mm[0]
    rim = r_mm > 0.93 * outer_mm
    peak = grey[:, rim].argmax(axis=1) + int(np.argmax(rim))
    inward = np.take_along_axis(grey, peak[:, None] - np.arange(min(16, int(peak.min()) + 1)), axis=1)
    rise = inward[:, 0] - inward.min(axis=1)
    slope = (inward[:, :-2] - inward[:, 2:]).max(axis=1) / (2 * step)
    roll = grey[:, (r_mm > 0.4 * outer_mm) & (r_mm < 0.85 * outer_mm)]
    if float(np.median(rise)) < 1.2 * float(np.ptp(np.percentile(roll, [5.0, 95.0]))):
        return None
    return float(np.median(rise / np.maximum(slope, 1e-9)) / np.sqrt(2 * np.pi))


def _sharpened(grey: Image, r_mm: Floats, limit: Floats, blur: float) -> Image:
    """``grey`` (nz, nt, nr), blurred by ``blur`` mm, as a scanner of less blur would show it.

    Foil and cathode lie a fifth of a pitch apart: under a spread of more than a tenth the foil is a mere
    shoulder of the cathode's flank, and looks unlike the foil that stands alone at the roll's ends. Wiener's
    filter along the radius, from the spread seen at the can to the wanted one. Beside a can or a pin it would
    make ripples that look like foils: what lies beyond ``limit`` is left out, with its flank, and so is what
    is round.
    """
    from scipy import fft

    mean = grey.mean(axis=0)
    try:
        pitch = _pitch(mean, r_mm, limit)
    except NotMeasurable:
        return grey
    wanted = _SHARP * pitch
    if blur <= wanted:
        return grey
    n, pad = r_mm.size, 64
    size = int(fft.next_fast_len(n + 2 * pad, real=True))
    omega = 2 * np.pi * fft.rfftfreq(size, r_mm[1] - r_mm[0])
    seen = np.exp(-0.5 * (omega * blur) ** 2)
    target = np.exp(-0.5 * (omega * wanted) ** 2)
    outer = float(np.median(limit))
    roll = (r_mm > 0.4 * outer) & (r_mm < 0.85 * outer)
    floor = max(_WIENER, 0.5 * _relative_noise(mean[:, roll])) ** 2
    gain = target * seen * (1 + floor) / (seen**2 + floor)
    last = np.searchsorted(r_mm, limit - 2 * blur) - 1
    inside = np.arange(n) <= last[:, None]
    held = np.where(inside, grey, grey[:, np.arange(last.size), last][..., None])
    pin = _round_about(held.mean(axis=0), pitch / (r_mm[1] - r_mm[0]))
    held -= pin
    # Mirrored at the axis, held at the outer end.
    beyond = np.repeat(held[..., -1:], size - n - pad, axis=-1)
    spectrum = fft.rfft(np.concatenate([held[..., pad:0:-1], held, beyond], axis=-1), axis=-1)
    sharp = fft.irfft(spectrum * gain.astype(np.float32), size, axis=-1)[..., pad : pad + n]
    return np.asarray(np.where(inside, sharp + pin, grey), dtype=np.float32)


def _round_about(grey: Image, pitch: float) -> Image:
    """Mean (nr,) of ``grey`` (nt, nr) over the angle where the greys follow it, as those of a pin do, and
    nothing elsewhere; ``pitch`` in samples."""
    from scipy.ndimage import gaussian_filter1d

    alike = grey.mean(axis=0)
    wave = alike - gaussian_filter1d(alike, pitch)
    power = gaussian_filter1d(wave**2, 0.5 * pitch)
    rest = gaussian_filter1d(((grey - alike) ** 2).mean(axis=0), 0.5 * pitch)
    share = gaussian_filter1d((power > rest).astype(np.float32), 0.25 * pitch)
    return np.asarray(share * alike, dtype=np.float32)


def _roll_limit(grey: Image, r_mm: Floats, outer_mm: float | None) -> Floats:
    """Radius (nt,) at which the can begins, seen from inside; the end of the samples without a can."""
    limit = np.full(grey.shape[0], r_mm[-1])
    if outer_mm is None:
        return limit
    roll = (r_mm > 0.4 * outer_mm) & (r_mm < 0.85 * outer_mm)
    bright = float(np.percentile(grey[:, roll], 95.0))
    rim = r_mm > 0.9 * outer_mm
    offset = int(np.argmax(rim))
    peak = grey[:, rim].argmax(axis=1) + offset
    wall = float(np.median(grey[np.arange(grey.shape[0]), peak]))
    if wall < 1.2 * bright:
        return np.full(grey.shape[0], 0.985 * outer_mm)
    level = 0.5 * (bright + wall)
    below = (grey < level) & (np.arange(r_mm.size) < peak[:, None])
    last = r_mm.size - 1 - below[:, ::-1].argmax(axis=1)
    return np.asarray(r_mm[last], dtype=float)


def _relative_noise(roll: Image) -> float:
    """Noise of ``roll`` (nt, nr) between neighbouring angles over the contrast of its layers."""
    second = 2 * roll - (np.roll(roll, 1, axis=0) + np.roll(roll, -1, axis=0))
    noise = noise_of_second_differences(second)
    return noise / max(float(np.ptp(np.percentile(roll, [10, 90]))), 1e-9)


def _calmed(grey: Image, r_mm: Floats, limit: Floats) -> Image:
    """``grey`` (nt, nr) averaged over as many neighbouring angles as its noise asks for, two degrees at most.

    Only for finding the way: the radius itself is fitted to the greys as they are.
    """
    from scipy.ndimage import gaussian_filter1d

    noise = _relative_noise(grey[:, (r_mm > 0.4 * limit.min()) & (r_mm < 0.95 * limit.min())])
    columns = min(12.0 * noise, 2.0) * grey.shape[0] / 360.0
    if columns < 0.4:
        return grey
    return np.asarray(gaussian_filter1d(grey, columns, axis=0, mode="wrap"))


# --- pitch, handedness, and the profile of one pitch ------------------------------------------------------


def _wound(grey: Image) -> Image:
    """``grey`` (nt, nr) without what is alike all the way round: can, centre pin and rings.

    At any one radius the layers of a spiral pass through a whole pitch in a turn, so that nothing but their
    mean goes with it.
    """
    return np.asarray(grey - grey.mean(axis=0), dtype=np.float32)


def _pitch(grey: Image, r_mm: Floats, limit: Floats) -> float:
    """Radial period of the layers, from the autocorrelation of all columns' slopes."""
    slope: NDArray[Any] = np.asarray(np.gradient(_wound(grey), axis=1))
    slope[r_mm[None, :] > limit[:, None]] = 0.0
    n = slope.shape[1]
    size = 1 << (2 * n - 1).bit_length()
    power = (np.abs(np.fft.rfft(slope, size, axis=1)) ** 2).mean(axis=0)
    correlation = np.fft.irfft(power)[: n // 3]
    if correlation[0] <= 0:
        raise NotMeasurable("the roll shows no layers: its grey is uniform along the radius")
    correlation /= correlation[0]
    peaks = 1 + np.flatnonzero(
        (correlation[1:-1] >= correlation[:-2]) & (correlation[1:-1] > correlation[2:])
    )
    peaks = peaks[peaks >= 6]  # six half-voxels: finer layers are not resolved by any scan
    if peaks.size == 0 or correlation[peaks].max() < 0.03:
        raise NotMeasurable("the roll's layers are not resolved: no period is found along the radius")
    best = correlation[peaks].max()
    # The first period nearly as good as the best: the best may be a multiple of the pitch.
    first = int(peaks[correlation[peaks] >= 0.8 * best][0])
    left, mid, right = correlation[first - 1 : first + 2]
    shift = 0.5 * (left - right) / (left - 2 * mid + right)
    return float((first + shift) * (r_mm[1] - r_mm[0]))


def _wave(grey: Image, r_mm: Floats, limit: Floats, pitch: float) -> NDArray[np.complex128]:
    """Complex amplitude (nt, nr) of the layers' radial wave: exp(2 pi i r / pitch) demodulated.

    Copper lies half a pitch from the cathode; where it is much brighter their waves may cancel. The greys are
    therefore also tried cut off at the cathode's level, and above that level alone, and the clearest wave is
    taken.
    """
    from scipy.ndimage import gaussian_filter1d

    roll = (r_mm > 2 * pitch) & (r_mm < limit.min() - pitch)
    sigma = 0.6 * pitch / (r_mm[1] - r_mm[0])
    turning = np.exp(-2j * np.pi * r_mm / pitch)
    if not roll.any():
        raise NotMeasurable(
            "the roll's layers are not resolved: what repeats along the radius, "
            f"every {pitch:.2f} mm, does so fewer than four times"
        )
    level = np.percentile(grey[:, roll], 80.0)
    best, clearest = -1.0, np.zeros(grey.shape, dtype=complex)
    for seen in (grey, np.minimum(grey, level), np.maximum(grey, level)):
        ac = _wound(seen)
        ac -= gaussian_filter1d(ac, sigma, axis=1)
        real = gaussian_filter1d(ac * turning.real.astype(np.float32), sigma, axis=1)
        imag = gaussian_filter1d(ac * turning.imag.astype(np.float32), sigma, axis=1)
        wave = real + 1j * imag
        clear = float(np.median(np.abs(wave[:, roll]))) / max(float(ac[:, roll].std()), 1e-9)
        if clear > 1.2 * best:  # the greys as they are, unless another way is clearer by far
            best, clearest = clear, wave
    return clearest


def _handedness(wave: NDArray[np.complex128], r_mm: Floats, limit: Floats, pitch: float) -> int:
    """+1 where the layers move outward with growing angle: their phase falls by one period in a turn."""
    step = np.angle(np.roll(wave, -1, axis=0) * wave.conj())
    periods = np.round(step.sum(axis=0) / (2 * np.pi)).astype(int)
    inside = (r_mm > 2 * pitch) & (r_mm < limit.min() - pitch)
    weight = np.where(inside, np.percentile(np.abs(wave), 10, axis=0) ** 2, 0.0)
    votes = {n: float(weight[periods == n].sum()) for n in (-1, 1)}
    if max(votes.values()) <= 0.5 * float(weight.sum()):
        raise NotMeasurable("the layers of the roll do not form one spiral")
    return 1 if votes[-1] > votes[1] else -1


def _layered(wave: NDArray[np.complex128], r_mm: Floats, limit: Floats) -> tuple[float, float]:
    """First and last radius of the widest run of radii at which layers are seen nearly all the way round: a
    pin and the can make a wave as well, with none beside it."""
    power = np.where(r_mm < limit.min(), np.percentile(np.abs(wave), 25, axis=0), 0.0)
    start, stop = longest_run(power > 0.5 * np.percentile(power[power > 0], 75))
    if stop - start < 2:
        raise NotMeasurable("the roll's layers are not resolved")
    return float(r_mm[start]), float(r_mm[stop - 1])


def _constant_phase(wave: NDArray[np.complex128], r_mm: Floats, pitch: float, start_mm: float) -> Floats:
    """Radius (nt,) of a line of phase 0 of the layers' wave, from near ``start_mm`` at the first angle."""
    dr = r_mm[1] - r_mm[0]
    path = np.empty(wave.shape[0])
    r = start_mm
    for j in range(wave.shape[0]):
        for _ in range(3 if j == 0 else 2):
            i = min(max(int(r / dr), 0), r_mm.size - 2)
            w = r / dr - i
            phase = np.angle(
                ((1 - w) * wave[j, i] + w * wave[j, i + 1]) * np.exp(2j * np.pi * (r % pitch) / pitch)
            )
            r -= phase * pitch / (2 * np.pi)
        path[j] = r
    return path


def _sample(grey: Image, r_mm: Floats, radius: Floats) -> Image:
    """Linear interpolation along r: grey (nt, nr) at radius (..., nt, n) -> (..., nt, n); ends are held."""
    dr = r_mm[1] - r_mm[0]
    position = np.clip(radius / dr, 0.0, r_mm.size - 1.001)
    index = position.astype(np.intp)
    fraction = (position - index).astype(np.float32)
    rows = np.arange(grey.shape[0])[:, None]
    return np.asarray(grey[rows, index] * (1 - fraction) + grey[rows, index + 1] * fraction)


def _followed_layer(profile: Floats, mask: bool) -> tuple[int, int]:
    """Centre and half-window (samples) of the layer to follow in the mean profile of one pitch.

    Two bright layers share a pitch: the cathode, a slab, and the copper, a line. At any level at which there
    are exactly two bright runs the copper is the narrower; its grey may be above or below the cathode's.
    """
    n = profile.size
    low, high = float(profile.min()), float(profile.max())
    wanted = 1 if mask else 2
    # At each level: start and length of the narrowest run, length of the widest.
    found: list[tuple[int, int, int]] = []
    for level in np.linspace(low, high, 42)[2:-2]:
        bright = profile > level
        starts = np.flatnonzero(bright & ~np.roll(bright, 1))
        lengths = []
        for s in starts:
            run = np.roll(bright, -s)
            lengths.append(int(n if run.all() else np.argmin(run)))
        if len(starts) == wanted:
            k = int(np.argmin(lengths))
            found.append((int(starts[k]), lengths[k], max(lengths)))
    if len(found) < 2:
        raise NotMeasurable(
            "the copper foil is not resolved from the cathode: one pitch of the roll shows "
            "no two separate bright layers"
        )
    start, length, slab = found[len(found) // 2]
    inner = (start + np.arange(length)) % n
    if mask:
        centre = (start + (length - 1) / 2) % n
        return round(centre) % n, round(0.45 * n)
    weight = profile[inner] - profile[inner].min() + 1e-9
    centre = round(start + float((np.arange(length) * weight).sum() / weight.sum())) % n
    ahead = np.roll(profile, -centre)[: n // 2]
    behind = np.roll(profile, -centre)[::-1][: n // 2]
    reach = []
    for side in (ahead, behind):
        turn = np.flatnonzero(np.diff(side) > 0.02 * (high - low))
        reach.append(int(turn[turn > length // 2][0]) if (turn > length // 2).any() else n // 3)
    # Within the cathode the reach must not get from its middle to the dark beside it (see _evidence).
    return centre, int(np.clip(min(1.1 * float(np.mean(reach)), 0.42 * slab), 3, round(0.35 * n)))


# --- evidence for the foil, and the path through it -------------------------------------------------------


def _evidence(grey: Image, r_mm: Floats, ridge: _Ridge) -> tuple[Image, Image]:
    """How much each place of ``grey`` (nt, nr) looks like the foil, 0 to 1; and its contrast over the mean
    foil's.

    Product of two ratios to the foil's typical contrast: the amplitude of its profile by least squares on a
    sloping background, which averages noise; and the height above the darker flanks *on both sides* within
    the reach of the profile, which is nothing on a cathode, because that is wider than the reach. Both count
    up to 1. Where the amplitude rises far above the foil's near by, there is none: a cathode's thin end may
    be as narrow as the foil, but is brighter.
    """
    from scipy.ndimage import correlate1d, gaussian_filter1d, maximum_filter1d, minimum_filter1d

    x = ridge.x_mm / (r_mm[1] - r_mm[0])
    half = max(2, int(np.floor(x[-1])))
    offsets = np.arange(-half, half + 1, dtype=float)
    template = _template(offsets, np.interp(offsets, x, ridge.profile))
    kernel = (template / (template @ template)).astype(np.float32)
    amplitude = correlate1d(grey, kernel, axis=-1, mode="nearest")

    def height(values: Any) -> Any:
        smooth = gaussian_filter1d(values, 0.2 * half, axis=-1, mode="nearest")
        # The lowest grey within `half` on either side, read at the middle of that side.
        lowest = minimum_filter1d(smooth, half, axis=-1, mode="nearest")
        shift = half - half // 2
        pad = [(0, 0)] * (lowest.ndim - 1) + [(shift, shift)]
        padded = np.pad(lowest, pad, mode="edge")
        n = smooth.shape[-1]
        return smooth - np.maximum(padded[..., :n], padded[..., 2 * shift : 2 * shift + n])

    profile = np.interp(np.arange(-2 * half, 2 * half + 1), x, ridge.profile)
    strength = ridge.strength[:, None].astype(np.float32)
    high = np.clip(height(grey) / (np.float32(np.max(height(profile))) * strength), 0, 1)
    ratio = amplitude / (strength * np.float32(ridge.alone))
    brightest = maximum_filter1d(ratio, 2 * round(0.75 * half) + 1, axis=-1, mode="nearest")
    evidence = np.clip(amplitude / strength, 0, 1) * high * np.clip((1.9 - brightest) / 0.5, 0, 1)
    if ridge.too_bright is not None:
        low, top = ridge.too_bright
        evidence *= np.clip((np.float32(top) - grey) / np.float32(top - low), 0, 1)
    if ridge.full_grey is not None:
        # Nothing else is in a mask: a thin end (a cathode coated on one side) is the layer too.
        evidence = 0.5 * evidence + 0.5 * np.clip(grey / np.float32(ridge.full_grey), 0, 1)
    return np.asarray(evidence, dtype=np.float32), amplitude


def _template(offsets: Floats, profile: Floats) -> Floats:
    """``profile`` at ``offsets``, without mean and slope."""
    template = profile - profile.mean()
    return np.asarray(template - offsets * (template @ offsets) / (offsets @ offsets))


def _lone_contrast(offsets: Floats, profile: Floats, dark: float) -> float:
    """Contrast of a foil without cathodes beside it over that of ``profile``, which has their blurred flanks.

    The flanks fill up the dark beside the foil; alone it is a line as high as the whole profile above
    ``dark``, whose width is such that the profile's reach is a little over two standard deviations.
    """
    template = _template(offsets, profile)
    line = (profile.max() - dark) * np.exp(-0.5 * (2.2 * offsets / offsets[-1]) ** 2)
    return max(1.0, float(template @ line / (template @ template)))


def _best_line(seen: Image, start: Floats | None = None) -> NDArray[np.intp]:
    """Path (..., nt) through ``seen`` (..., nt, nd) with the greatest sum of evidence less the price of its
    steps; ``start`` (nd,) is added at the first angle."""
    nt, nd = seen.shape[-2:]
    gain = np.moveaxis(seen.reshape(-1, nt, nd), 1, 0).astype(np.float64)
    if start is not None:
        gain[0] += start
    path = best_path(gain, squared_price(_REACH, _STIFFNESS * nt / 360.0))
    return path.T.reshape(seen.shape[:-1])


def _next_turn(
    evidence: Image, r_mm: Floats, limit: Floats, turn: Floats, pitch: float, outward: bool
) -> tuple[Floats, Floats]:
    """The turn next to ``turn`` and the evidence along it, (nt,) each; the foil runs outward with the
    angle."""
    step = pitch / _STEPS_PER_PITCH
    sign = 1.0 if outward else -1.0
    offsets = sign * np.arange(0.25 * pitch, 1.75 * pitch, step)
    radius = turn[:, None] + offsets
    seen = _sample(evidence, r_mm, radius)
    seen = np.where((radius > 0) & (radius < limit[:, None]), seen, 0.0).astype(np.float32)
    # Between two lines that look alike the one a pitch away is meant; a line that stands alone is found
    # anywhere.
    seen -= (0.3 * (np.abs(offsets) / pitch - 1.0) ** 2).astype(np.float32)
    # One line: the next turn starts at the radius at which this one ends.
    joint = (turn[-1] - turn[0]) if outward else (turn[0] - turn[-1])
    start = -4.0 * np.abs(offsets - joint) / pitch
    if not outward:
        seen = seen[::-1]
    path = _best_line(seen, start)
    along = seen[np.arange(seen.shape[0]), path]
    found = offsets[path]
    if not outward:
        along, found = along[::-1], found[::-1]
    return turn + found, np.asarray(along, dtype=float)


def _follow(
    grey: Image,
    evidence: Image,
    contrast: Image,
    r_mm: Floats,
    limit: Floats,
    seed: Floats,
    seed_evidence: Floats,
    pitch: float,
) -> Floats:
    """All turns (nturns, nt) of the foil, NaN before its inner and after its outer end.

    ``contrast`` (nt, nr) is that of :func:`_evidence` over the mean foil's at each angle.
    """
    sound = float(np.median(seed_evidence))
    turns, gains = [seed], [seed_evidence]
    for outward in (True, False):
        while len(turns) < 400:
            last = turns[-1] if outward else turns[0]
            turn, gain = _next_turn(evidence, r_mm, limit, last, pitch, outward)
            if outward:
                turns.append(turn)
                gains.append(gain)
            else:
                turns.insert(0, turn)
                gains.insert(0, gain)
            if (gain > 0.5 * sound).mean() < 0.2:
                break
    table = np.stack(turns)
    at = next(i for i, t in enumerate(turns) if t is seed)
    lasting = _lasting(table, grey, contrast, r_mm, pitch, table[at])
    margin = np.minimum(np.concatenate(gains) / sound, lasting) - 0.5
    seed_at = at * seed.size
    # The evidence beyond an end no longer outweighs its lack: the greatest sum marks the end.
    end = seed_at + int(np.argmax(np.cumsum(margin[seed_at:])))
    begin = seed_at - int(np.argmax(np.cumsum(margin[: seed_at + 1][::-1])))
    radius = table.ravel()
    radius[:begin] = np.nan
    radius[end + 1 :] = np.nan
    return np.asarray(table[np.isfinite(table).any(axis=1)])


def _lasting(turns: Floats, grey: Image, contrast: Image, r_mm: Floats, pitch: float, seed: Floats) -> Floats:
    """Contrast along ``turns`` (nturns, nt), one after the other, over that of a foil in the same
    surroundings; what stays of it when line and contrast are smoothed.

    A path through noise alone has evidence as well, since it goes from one bright grain to the next. What it
    gains so is gone beside it; a foil is a smooth line and stays. The blurred flanks of the cathodes fill up
    the dark beside the foil, in proportion to their grey: a foil that lost one of the two, as that of the
    roll's outermost turn did, tells how much a foil without any stands out.
    """
    from scipy.ndimage import maximum_filter1d, uniform_filter1d

    window = max(3, round(_LASTING_DEG * turns.shape[1] / 360.0))

    def steady(values: NDArray[Any]) -> Floats:
        return np.asarray(uniform_filter1d(values.ravel(), window, mode="nearest"), dtype=np.float64)

    beside = np.linspace(0.35, 0.65, 5) * pitch
    beside = np.concatenate([-beside[::-1], beside])
    line = steady(turns).reshape(turns.shape)
    seen = steady(_sample(contrast, r_mm, line[..., None]))
    around = steady(_sample(grey, r_mm, line[..., None] + beside).mean(axis=-1))
    full = float(np.median(_sample(grey, r_mm, seed[:, None] + beside)))
    dark = float(np.percentile(grey[:, r_mm < turns.max()], 2.0))
    share = np.clip((around - dark) / max(full - dark, 1e-9), 0.0, 1.0)
    between = (share > 0.8) & (seen > 0)
    one_sided = (share > 0.35) & (share < 0.65)
    usual = float(np.median(seen[between])) if between.any() else 1.0
    gain = 0.0
    if one_sided.sum() > 0.25 * turns.shape[1]:  # a quarter of a turn, and more of it foil than not
        gain = max(2 * (float(np.percentile(seen[one_sided], 70.0)) - usual), 0.0)
    left = np.clip(seen / (usual + gain * (1.0 - share)), 0.0, 1.0)
    # Half of what smoothing took off the foil's ends.
    return np.asarray(maximum_filter1d(left, window // 2, mode="nearest"), dtype=np.float64)


def _seed(
    unrolled_mean: Image,
    wave: NDArray[np.complex128],
    r_mm: Floats,
    limit: Floats,
    pitch: float,
    mask: bool,
) -> tuple[Image, Image, _Ridge, Floats, Floats]:
    """Images of evidence and contrast, profile, and the soundest turn to start from with the evidence along
    it."""
    from scipy.ndimage import median_filter

    low, high = _layered(wave, r_mm, limit)
    lines: list[Floats] = []
    for share in (0.3, 0.42, 0.54, 0.66, 0.78):
        line = _constant_phase(wave, r_mm, pitch, low + share * (high - low))
        # A line that slipped onto a neighbour does not come out one pitch further where it began.
        closes = abs(line[-1] - line[0] - pitch) < 0.4 * pitch and np.abs(np.diff(line)).max() < 0.4 * pitch
        within = line.min() > 1.2 * pitch and line.max() < min(high + pitch, r_mm[-1] - 1.2 * pitch)
        known = any(float(np.abs(line - other).max()) < 0.3 * pitch for other in lines)
        if closes and within and not known:
            lines.append(line)
    if not lines:
        raise NotMeasurable("no turn of the roll can be followed all the way round")
    table = np.stack(lines)
    dark = float(np.percentile(unrolled_mean[:, r_mm < limit.min()], 2.0))
    ridge, shift = _ridge(unrolled_mean, r_mm, table, pitch, mask, dark)
    window = np.arange(-0.3 * pitch, 0.3 * pitch, pitch / _STEPS_PER_PITCH)

    def along(evidence: Image, table: Floats) -> tuple[Floats, Floats]:
        starts = table[..., None] + window
        seen = _sample(evidence, r_mm, starts)
        path = _best_line(seen)[..., None]
        gain = np.take_along_axis(seen, path, -1)[..., 0].astype(np.float64)
        return np.take_along_axis(starts, path, -1)[..., 0], gain

    # Lines of constant phase wander about the foil, which smears the profile: once more along the foil.
    table, _ = along(_evidence(unrolled_mean, r_mm, replace(ridge, alone=np.inf))[0], table + shift)
    ridge, shift = _ridge(unrolled_mean, r_mm, table, pitch, mask, dark)
    table = table + shift
    # Streaks and a tab's shadow change the contrast with the angle, alike in all turns.
    evidence, contrast = _evidence(unrolled_mean, r_mm, ridge)
    found = _sample(contrast, r_mm, along(evidence, table)[0][..., None])[..., 0]
    strength = median_filter(np.median(found, axis=0), 15, mode="wrap")
    ridge = replace(ridge, strength=np.clip(strength, 0.4, 2.5))
    evidence, contrast = _evidence(unrolled_mean, r_mm, ridge)
    contrast = np.asarray(contrast / ridge.strength[:, None], dtype=np.float32)
    turns, gains = along(evidence, table)
    best = int(np.argmax(np.percentile(gains, 5, axis=1)))
    seed, gain = np.asarray(turns[best], dtype=float), np.asarray(gains[best], dtype=float)
    return evidence, contrast, ridge, seed, gain


def _ridge(
    grey: Image, r_mm: Floats, lines: Floats, pitch: float, mask: bool, dark: float
) -> tuple[_Ridge, float]:
    """The profile across the layer to follow, from one pitch outward of ``lines`` (n, nt); and how far
    outside of the lines the layer lies (within half a pitch), mm."""
    n = 4 * _STEPS_PER_PITCH
    offsets = np.arange(n) * (pitch / n)
    across = np.concatenate([_sample(grey, r_mm, line[:, None] + offsets) for line in lines])
    profile = across.mean(axis=0).astype(float)
    if not mask:
        # Some of the lines may have no cathode outside them: the upper values are those of the sound turns.
        upper = np.percentile(across, 70.0, axis=0).astype(float)
        try:
            _followed_layer(upper, mask)
            profile = upper
        except NotMeasurable:  # lines that wander: the mean has to do
            pass
    centre, half = _followed_layer(profile, mask)
    x = np.arange(-half, half + 1)
    x_mm: Floats = x.astype(np.float64) * (pitch / n)
    shape = profile[(centre + x) % n]
    ones = np.ones(grey.shape[0])
    shift = ((centre + n // 2) % n - n // 2) * pitch / n
    if mask:
        return _Ridge(x_mm, shape, ones, full_grey=float(grey.max())), shift
    peak, slab = float(profile[centre]), float(profile.max())
    too_bright = None
    if slab - peak > 0.15 * (slab - dark):
        too_bright = (peak + 0.4 * (slab - peak), peak + 0.8 * (slab - peak))
    return _Ridge(x_mm, shape, ones, _lone_contrast(x_mm, shape, dark), too_bright), shift


# --- below the voxel --------------------------------------------------------------------------------------


def _line_width(grey: Image, r_mm: Floats, radius: Floats, half_mm: float) -> float:
    """Standard deviation of the blurred foil's profile, mm, from the mean profile across it."""
    dr = r_mm[1] - r_mm[0]
    x = np.arange(-half_mm, half_mm + 0.5 * dr, 0.5 * dr)
    at = np.where(np.isfinite(radius), radius, 0.0)[..., None] + x
    profile = _sample(grey, r_mm, at)[np.isfinite(radius)].mean(axis=0)
    best, width = np.inf, half_mm / 2
    for sigma in np.linspace(0.15 * half_mm, 0.9 * half_mm, 31):
        model = np.stack([np.exp(-0.5 * (x / sigma) ** 2), np.ones_like(x), x, x**2], axis=1)
        coefficients, *_ = np.linalg.lstsq(model, profile, rcond=None)
        residual = float(((profile - model @ coefficients) ** 2).sum())
        if residual < best and coefficients[0] > 0:
            best, width = residual, float(sigma)
    return width


def _fit_line(
    grey: Image, r_mm: Floats, radius: Floats, sigma: float, half_mm: float
) -> tuple[Floats, Floats]:
    """Centre and amplitude (nturns, nt) of a Gaussian line on a parabolic background, near ``radius``.

    Model: ``a exp(-(r - c)^2 / 2 sigma^2) + b0 + b1 r + b2 r^2``; the parabola takes up the tails of the two
    neighbouring slabs, which lie at unequal distances and would draw the centre towards the nearer one.
    Gauss-Newton on ``c``, all places at once.
    """
    dr = r_mm[1] - r_mm[0]
    half = max(3, round(half_mm / dr))
    offsets = np.arange(-half, half + 1)
    valid = np.isfinite(radius) & (radius > half_mm) & (radius < r_mm[-1] - half_mm)
    turn, column = np.nonzero(valid)
    start = radius[valid] / dr
    centre = start.copy()
    nearest = np.round(start).astype(np.intp)
    index = np.clip(nearest[:, None] + offsets, 0, r_mm.size - 1)
    values = grey[column[:, None], index].astype(np.float64)
    s = sigma / dr
    amplitude = np.zeros(centre.size)
    scaled = offsets / half
    for _ in range(3):
        x = index - centre[:, None]
        line = np.exp(-0.5 * (x / s) ** 2)
        model = np.empty((*x.shape, 5))
        model[..., 0] = line
        model[..., 1] = line * x / s**2
        model[..., 2] = 1.0
        model[..., 3] = scaled
        model[..., 4] = scaled**2
        transposed = model.transpose(0, 2, 1)
        normal = transposed @ model
        normal[:, np.arange(5), np.arange(5)] += 1e-9
        fitted = np.linalg.solve(normal, (transposed @ values[..., None]))[..., 0]
        amplitude = fitted[:, 0]
        sound = amplitude > 0
        shift = np.where(sound, fitted[:, 1] / np.where(sound, amplitude, 1.0), 0.0)
        centre = np.clip(centre + np.clip(shift, -1.0, 1.0), start - half, start + half)
    out = np.full(radius.shape, np.nan)
    height = np.full(radius.shape, np.nan)
    out[turn, column] = centre * dr
    height[turn, column] = amplitude
    return out, height


def _fit_area(grey: Image, r_mm: Floats, radius: Floats, pitch: float) -> tuple[Floats, Floats]:
    """Centre by area, and area (nturns, nt), of a two-valued layer around ``radius``; its neighbours are left
    out."""
    dr = r_mm[1] - r_mm[0]
    x = np.arange(-0.5 * pitch, 0.5 * pitch + 0.5 * dr, 0.5 * dr)
    start = radius.copy()
    area = np.full(radius.shape, np.nan)
    # Half-way to the next turn begins what belongs to that: near the core two may lie closer than a pitch.
    between = np.full((radius.shape[0] + 1, radius.shape[1]), np.nan)
    between[1:-1] = 0.5 * (radius[:-1] + radius[1:])
    low = np.nan_to_num(between[:-1], nan=-np.inf)[..., None]
    high = np.nan_to_num(between[1:], nan=np.inf)[..., None]
    for _ in range(3):
        at = np.where(np.isfinite(start), start, 0.0)[..., None] + x
        values = np.where((at > low) & (at < high), _sample(grey, r_mm, at), 0.0)
        area = values.sum(axis=-1) * (0.5 * dr)
        with np.errstate(invalid="ignore", divide="ignore"):
            start = start + (values * x).sum(axis=-1) / values.sum(axis=-1)
    return start, area


def _reach(evidence: Image, r_mm: Floats, reference: Floats, pitch: float) -> Floats:
    """All turns at one height, (nturns, nt), sought within a third of a pitch of those at a height near
    by."""
    window = np.arange(-0.33 * pitch, 0.331 * pitch, pitch / _STEPS_PER_PITCH)
    known = np.isfinite(reference)
    radius = np.where(known, reference, 0.0)[..., None] + window
    # Neighbouring heights differ by little: where noise hides the foil, its place at the other height is the
    # best guess.
    seen = np.where(known[..., None], _sample(evidence, r_mm, radius), 0.0) - 2.0 * (window / pitch) ** 2
    path = _best_line(seen.astype(np.float32))
    return np.where(known, reference + window[path], np.nan)


def _without_lost_ends(radius: Floats) -> Floats:
    """Cut (nz, nturns, nt) back to where most of the line was located; rows left empty go. The line runs
    outward."""
    line = np.isfinite(radius).mean(axis=0).ravel()
    gain = np.where(line >= 0.5, 1.0, -1.0)
    # Either end: the greatest sum of located less lost places, counted from the line's middle.
    middle = int(np.flatnonzero(line >= 0.5).mean()) if (line >= 0.5).any() else line.size // 2
    last = middle + int(np.argmax(np.cumsum(gain[middle:])))
    first = middle - int(np.argmax(np.cumsum(gain[: middle + 1][::-1])))
    place = np.arange(line.size).reshape(radius.shape[1:])
    inside = (place >= first) & (place <= last)
    return np.where(inside, radius, np.nan)[:, inside.any(axis=1)]


# --- the two public entrances -----------------------------------------------------------------------------


def trace_foil(cell: CylinderCell, can: CanSurface | None = None) -> FoilTrace:
    """Follow the copper foil (or the masked electrode) from its inner to its outer end.

    Parameters
    ----------
    cell
        Needs ``scan``, ``frame`` and ``settings`` only.
    can
        The can, where it was located already: bounds the roll outside. Found coarsely here otherwise.

    Raises
    ------
    NotMeasurable
        When no layers, no spiral, or no separate copper foil is seen.
    """
    mask = cell.settings.mask_of == "electrode"
    return _trace(_unroll(cell, can, two_valued=mask), mask)


def trace_with_cathodes(cell: CylinderCell) -> tuple[FoilTrace, CathodeFaces]:
    """:func:`trace_foil` and :func:`facing_cathodes` on one sampling of the roll, which costs the most."""
    mask = cell.settings.mask_of == "electrode"
    unrolled = _unroll(cell, None, two_valued=mask)
    foil = _trace(unrolled, mask)
    if mask:
        return foil, facing_cathodes(cell, foil)
    return foil, _faces(unrolled, foil)


def trace_from_labels(
    cell: CylinderCell, labels: Slices, copper_value: int, can: CanSurface | None = None
) -> FoilTrace:
    """:func:`trace_foil` in a label image in which voxels of the copper have the value
    ``copper_value``."""
    if not any((labels[k] == copper_value).any() for k in range(len(labels))):
        raise NotMeasurable(f"the label image holds no copper (value {copper_value})")
    copper = each_slice(labels, lambda image: image == copper_value, np.uint8)
    labelled = replace(cell, scan=replace(cell.scan, slices=copper))
    return replace(_trace(_unroll(labelled, can, two_valued=True), mask=True), followed="copper")


def _trace(unrolled: _Unrolled, mask: bool) -> FoilTrace:
    """:func:`trace_foil` on an unrolled roll."""
    from scipy.ndimage import uniform_filter1d

    r_mm, limit, bands = unrolled.r_mm, unrolled.limit_mm, unrolled.grey
    near = np.abs(unrolled.z_mm - np.median(unrolled.z_mm)) <= 0.5 * _REFERENCE_HEIGHT_MM
    if not near.any():
        near[np.argmin(np.abs(unrolled.z_mm - np.median(unrolled.z_mm)))] = True
    mean = bands[near].mean(axis=0)
    raw = unrolled.raw[near].mean(axis=0)
    pitch = _pitch(raw, r_mm, limit)
    wave = _wave(raw, r_mm, limit, pitch)
    handedness = _handedness(wave, r_mm, limit, pitch)
    if handedness < 0:  # seen from the other end the foil runs outward with the angle
        bands, mean, limit, wave = bands[:, ::-1], mean[::-1], limit[::-1], wave[::-1]
    mean = mean if mask else _calmed(mean, r_mm, limit)
    evidence, contrast, ridge, seed, seed_evidence = _seed(mean, wave, r_mm, limit, pitch, mask)
    turns = _follow(mean, evidence, contrast, r_mm, limit, seed, seed_evidence, pitch)

    half_mm = float(ridge.x_mm[-1])
    sigma = 0.0 if mask else _line_width(mean, r_mm, turns, half_mm)
    radius = np.empty((bands.shape[0], *turns.shape))

    def locate(band: int, reference: Floats) -> Floats:
        # The way is found in what shows the same folds, the radius in this band alone.
        alike = np.abs(unrolled.z_mm - unrolled.z_mm[band]) <= 0.5 * _FOLD_HEIGHT_MM
        calm = bands[band] if mask else _calmed(bands[alike].mean(axis=0), r_mm, limit)
        coarse = _reach(_evidence(calm, r_mm, ridge)[0], r_mm, reference, pitch)
        if mask:
            fitted, weight = _fit_area(bands[band], r_mm, coarse, pitch)
        else:
            fitted, weight = _fit_line(bands[band], r_mm, coarse, sigma, half_mm)
        # A tear is longer than five columns; a single weak one is noise.
        weight = uniform_filter1d(np.nan_to_num(weight).ravel(), 5).reshape(weight.shape)
        lost = (np.abs(fitted - coarse) > 0.15 * pitch) | ~(weight > 0.3 * np.median(weight[weight > 0]))
        radius[band] = np.where(lost, np.nan, fitted)
        return coarse

    centre = int(np.argmin(np.abs(unrolled.z_mm - np.median(unrolled.z_mm))))
    for order in (range(centre, bands.shape[0]), range(centre - 1, -1, -1)):
        reference = turns
        for band in order:
            coarse = locate(band, turns if near[band] else reference)
            reference = coarse
    radius = _without_lost_ends(radius)
    if handedness < 0:
        radius = radius[..., ::-1]
    return FoilTrace(
        z_mm=unrolled.z_mm,
        theta_deg=unrolled.theta_deg,
        radius_mm=radius,
        handedness=handedness,
        sigma_mm=noise_along(radius),
        followed="electrode mask" if mask else "copper",
    )


def trace_in_masks(
    z_mm: Floats, r_mm: Floats, foil: Image, cathode: Image, limit_mm: Floats
) -> tuple[FoilTrace, CathodeFaces]:
    """:func:`trace_with_cathodes` in two images (nz, nt, nr) of a roll unrolled already: 1 where the copper,
    or a cathode, is and 0 elsewhere, on equal angles over the whole turn; ``limit_mm`` (nt,) bounds the
    roll."""
    theta: Floats = np.arange(foil.shape[1], dtype=np.float64) * (360.0 / foil.shape[1])
    unrolled = _Unrolled(z_mm, theta, r_mm, foil, foil, limit_mm)
    trace = replace(_trace(unrolled, mask=True), followed="copper")
    return trace, _faces(replace(unrolled, raw=cathode), trace)


def facing_cathodes(cell: CylinderCell, foil: FoilTrace, can: CanSurface | None = None) -> CathodeFaces:
    """Where a cathode lies next to the foil, on either side, at every turn and angle.

    A gap between neighbouring turns holds a cathode where a slab as wide and bright as the roll's typical one
    fits into it. At the core, at the outer end, and where a tab interrupts the coating, there is none.

    Parameters
    ----------
    foil
        Traced at the same angles as :func:`trace_foil` uses.
    can
        Bounds the outermost gap; found coarsely otherwise.
    """
    missing = np.full(foil.radius_mm.shape[1:], np.nan)
    if foil.followed != "copper":
        return CathodeFaces(missing, missing, float("nan"))
    return _faces(_unroll(cell, can, sharpen=False), foil)


def _faces(unrolled: _Unrolled, foil: FoilTrace) -> CathodeFaces:
    """:func:`facing_cathodes` on an unrolled roll."""
    from scipy.ndimage import convolve1d, median_filter, uniform_filter1d

    turns, nt = foil.radius_mm.shape[1:]
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # places without any foil
        typical = np.nanmedian(foil.radius_mm, axis=0)
        pitch = float(np.nanmedian(np.diff(typical, axis=0)))
    if not np.isfinite(pitch) or pitch <= 0:
        nothing = np.full((turns, nt), np.nan)
        return CathodeFaces(nothing, nothing, float("nan"))

    # Gap g lies between turns g - 1 and g; beyond the foil's ends it reaches one pitch, or to the can.
    def gaps(radius: Floats) -> tuple[Floats, Floats]:
        edge = np.full((1, nt), np.nan)
        low, high = np.vstack([edge, radius]), np.vstack([radius, edge])
        low = np.where(np.isfinite(low), low, high - 1.05 * pitch)
        high = np.where(np.isfinite(high), high, np.minimum(low + 1.05 * pitch, unrolled.limit_mm))
        return low, high

    step = pitch / _STEPS_PER_PITCH
    x = np.arange(0.0, 2.0 * pitch, step)
    total = np.zeros((turns + 1, nt, x.size))
    for band in range(foil.z_mm.size):
        radius = np.where(np.isfinite(foil.radius_mm[band]), foil.radius_mm[band], typical)
        low, _ = gaps(radius)
        total += _sample(unrolled.raw[band], unrolled.r_mm, np.nan_to_num(low)[..., None] + x)
    grey = total / foil.z_mm.size
    low, high = gaps(typical)
    width = high - low

    # Typical slab at each angle, from gaps of ordinary width with foil on both sides.
    known = np.isfinite(typical)
    sound = np.zeros(width.shape, dtype=bool)
    sound[1:-1] = known[1:] & known[:-1] & (np.abs(width[1:-1] - pitch) < 0.15 * pitch)
    one_pitch = x <= pitch
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # angles without any ordinary gap
        profile = np.nanmedian(np.where(sound[..., None], grey, np.nan)[..., one_pitch], axis=0)
    if not np.isfinite(profile).any():
        return CathodeFaces(np.full((turns, nt), np.nan), np.full((turns, nt), np.nan), float("nan"))
    profile = np.where(np.isfinite(profile), profile, np.nanmedian(profile, axis=0))
    profile = uniform_filter1d(profile, 9, axis=0, mode="wrap")
    inner = (x[one_pitch] > 0.1 * pitch) & (x[one_pitch] < 0.9 * pitch)
    dark = profile[:, inner].min(axis=1)[:, None]
    bright = profile[:, (x[one_pitch] > 0.3 * pitch) & (x[one_pitch] < 0.7 * pitch)].max(axis=1)[:, None]
    scale = np.maximum(bright - dark, 1e-6)
    slab = float(np.clip((profile[:, inner] - dark) / scale, 0, 1).sum(axis=1).mean() * step)

    share = np.clip((grey - dark) / scale, -0.5, 1.2)
    clear = 0.13 * pitch  # the foil's own blurred line
    share[(x < clear) | (x > width[..., None] - clear)] = 0.0
    # Half its thickness: at its ends a cathode may be coated on one side only.
    kernel = np.ones(max(1, round(0.5 * slab / step)))
    filled = convolve1d(share, kernel / kernel.size, axis=-1, mode="constant")
    at = filled.argmax(axis=-1)
    level = np.take_along_axis(filled, at[..., None], -1)[..., 0]
    near = np.abs(x - x[at][..., None]) <= 0.8 * slab
    weight = np.where(near, np.clip(share, 0, 1), 0.0)
    area = weight.sum(axis=-1)
    centre = low + (weight * x).sum(axis=-1) / np.maximum(area, 1e-6)
    present = (level > 0.6) & (area * step > 0.4 * slab) & np.isfinite(width)
    present = median_filter(present.astype(np.uint8), (1, 5), mode="wrap").astype(bool) & np.isfinite(width)
    centre = np.where(present, centre, np.nan)
    inner_mm = np.where(known, centre[:-1], np.nan)
    outer_mm = np.where(known, centre[1:], np.nan)
    ordinary = present & sound
    half_width = 0.5 * float(np.median(area[ordinary]) * step) if ordinary.any() else 0.5 * slab
    return CathodeFaces(inner_mm, outer_mm, half_width)
