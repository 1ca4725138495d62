"""Unrolls a roll: greys in bands of height, over angle and radius, made ready to be followed."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.core.robust import noise_of_second_differences
from xctrules.cylinder.surfaces import CanSurface, CylinderCell
from xctrules_segmentation.layers import pitch_of
from xctrules_segmentation.polar import Floats, Image, Polar, Unrolled

# --- where the roll is sampled -----------------------------------------------------------------------------

BANDS, SLICES_PER_BAND = 8, 3
"""Bands of height, and slices that are averaged in each: the foil's lean and folds show over eight heights,
and three slices halve the noise."""

LEAST_ANGLES = 360
"""Angles at which the foil is traced, at least: from one degree to the next a line can be followed."""

EDGE_STEPS, EDGE_MM, EDGE_SHARE = 3, 0.3, 0.25
"""Distance of the bands from an electrode edge: three slices or 0.3 mm, since the edges' own heights scatter
by some tenths of a millimetre from turn to turn, but no more than a quarter of what is in view."""

SAMPLES_PER_VOXEL = 2
"""Along the radius: half a voxel keeps the interpolation's own blur out of what is fitted."""

BEYOND_CAN = 1.01
"""Radii go so far beyond the can's (in radii), for its flank to be seen whole."""

MASK_RADIUS = 0.75
"""Share of the image's width that the largest radius of a mask's electrode may have: it fits into it, about a
centre of its own."""


def unroll(
    cell: CylinderCell, can: CanSurface | None, *, two_valued: bool = False, sharpen: bool = True
) -> Unrolled:
    """Sample the roll on bands of height, all angles, and radii half a voxel apart.

    Parameters
    ----------
    can
        Bounds the roll where it was located already; found coarsely otherwise.
    two_valued
        The scan is a mask, whose greys are left as they are.
    sharpen
        Whether a blurred scan is sharpened.

    Raises
    ------
    NotMeasurable
        When no roll is in view.
    """
    frame = cell.frame
    heights = _band_heights(cell)
    theta = angles_to_trace(cell.settings.angles)
    voxel = min(cell.scan.voxel_size_mm[1:])
    r_mm = np.arange(0.0, _largest_radius(cell) * BEYOND_CAN, voxel / SAMPLES_PER_VOXEL)
    bands = []
    for band in heights:
        sampled = frame.cylinder(cell.scan, z_mm=band, theta_deg=theta, r_mm=r_mm)
        bands.append(np.nan_to_num(sampled, copy=False, nan=0.0).mean(axis=0))
    grey = np.stack(bands).astype(np.float32)
    limit = _limit(grey.mean(axis=0), r_mm, frame.outer_radius_mm, theta, can)
    scanned = Unrolled(heights.mean(axis=1), theta, r_mm, grey, grey, limit)
    return scanned if two_valued else _made_ready(scanned, voxel, frame.outer_radius_mm, sharpen)


def angles_to_trace(angles: int) -> Floats:
    """Angles (nt,), in degrees, that a foil is traced at where ``angles`` of them are measured."""
    count = _columns(angles)
    return np.asarray(np.arange(count, dtype=np.float64) * (360.0 / count))


def _columns(angles: int) -> int:
    """Number of angles to trace at: the multiple of ``angles`` that is at least ``LEAST_ANGLES``."""
    return angles * max(1, -(-LEAST_ANGLES // angles))


def _band_heights(cell: CylinderCell) -> Floats:
    """Heights (nbands, nslices) to sample in the roll, clear of the electrode's edges."""
    frame = cell.frame
    if frame.roll_mm is None:
        raise NotMeasurable("no electrode roll is in view")
    grid = np.asarray(frame.z_grid_mm(), dtype=float)
    step = abs(grid[1] - grid[0]) if grid.size > 1 else 1.0
    low, high = frame.roll_mm
    margin = min(max(EDGE_STEPS * step, EDGE_MM), EDGE_SHARE * (high - low))
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
    per_band = min(SLICES_PER_BAND, inside.size)
    bands = min(BANDS, inside.size // per_band)
    starts = np.round(np.linspace(0, inside.size - per_band, bands)).astype(int)
    return np.asarray(inside[starts[:, None] + np.arange(per_band)])


def _largest_radius(cell: CylinderCell) -> float:
    """The can's radius; without a can as far as the image goes."""
    frame = cell.frame
    if frame.outer_radius_mm is not None:
        return frame.outer_radius_mm
    voxel = min(cell.scan.voxel_size_mm[1:])
    ny, nx = cell.scan.shape[1:]
    x0, y0 = frame.origin_mm
    corner = float(np.hypot(max(x0, nx * voxel - x0), max(y0, ny * voxel - y0)))
    return min(corner, MASK_RADIUS * max(nx, ny) * voxel)


# --- where the roll ends -----------------------------------------------------------------------------------

ROLL = (0.4, 0.85)
"""Share of the can's radius that is roll in any cell: clear of the core, and of the can."""

RIM = 0.9
"""Share of its radius beyond which the can is."""

BRIGHT = 95.0
"""Percentile of the roll's greys that stands for its bright layers."""

OUTSHINES = 1.2
"""Times that grey (or their contrast) from which on a can stands out of the roll."""

HIDDEN_CAN = 0.985
"""Share of its outer radius at which a can begins that does not stand out: a usual wall is 2 % thick."""


def _limit(
    grey: Image, r_mm: Floats, outer_mm: float | None, theta_deg: Floats, can: CanSurface | None
) -> Floats:
    """Radius (nt,) at which the can begins, from where it was located, or seen from inside."""
    located = None if can is None else inside_of(can, theta_deg)
    if located is not None:
        return located
    if outer_mm is None:
        return np.full(grey.shape[0], r_mm[-1])
    roll = (r_mm > ROLL[0] * outer_mm) & (r_mm < ROLL[1] * outer_mm)
    bright = float(np.percentile(grey[:, roll], BRIGHT))
    rim = r_mm > RIM * outer_mm
    peak = grey[:, rim].argmax(axis=1) + int(np.argmax(rim))
    wall = float(np.median(grey[np.arange(grey.shape[0]), peak]))
    if wall < OUTSHINES * bright:
        return np.full(grey.shape[0], HIDDEN_CAN * outer_mm)
    level = 0.5 * (bright + wall)
    below = (grey < level) & (np.arange(r_mm.size) < peak[:, None])
    last = r_mm.size - 1 - below[:, ::-1].argmax(axis=1)
    return np.asarray(r_mm[last], dtype=float)


def inside_of(can: CanSurface, theta_deg: Floats) -> Floats | None:
    """Radius (nt,) of a can's inner surface, over its straight part; None where it was not located at all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # angles at which the can was not located
        inner = np.nanmedian(np.where(can.straight[:, None], can.inner_mm, np.nan), axis=0)
    found = np.isfinite(inner)
    if not found.any():
        return None
    return np.asarray(np.interp(theta_deg, can.theta_deg[found], inner[found], period=360.0))


# --- greys that show layers and nothing else ---------------------------------------------------------------

TOP, HEADROOM = 97.0, 1.05
"""Percentile of the roll's greys, and the factor on it, at which greys are cut: noise on a cathode's top
stays, can and pin do not."""

FLANK = 0.93
"""Share of the can's radius from which on its inner flank is looked for: the wall's, not a layer's."""

FLANK_SAMPLES = 16
"""Samples inward of the can's brightest place that hold its whole flank: eight voxels."""

CONTRAST = (5.0, 95.0)
"""Percentiles between which the roll's greys lie."""

SHARP = 0.06
"""Spread, in pitches, to which the greys are sharpened where the scan is blurred more than that."""

WIENER = 0.03
"""Least noise over signal in that filter: it gains at most a factor of 1 / (2 * 0.03)."""

NOISE_IN_FILTER = 0.5
"""Share of the noise between neighbouring angles that the filter allows for: what it lifts is averaged over
angles afterwards."""

CLEAR_OF_CAN = 2.0
"""Blurs inward of the can that are left unsharpened: its flank would make ripples that look like foils."""

PADDING = 64
"""Samples that are added beyond both ends for the filter's reach: it is a few blurs, each a few samples."""

QUIET, LOUD = 10.0, 90.0
"""Percentiles between which the layers' contrast is taken, against which noise is stated."""

CALM_RADII = (0.4, 0.95)
"""Share of the nearest limit between which the noise is judged."""

CALMING_DEG, MOST_CALMING_DEG, LEAST_CALMING = 12.0, 2.0, 0.4
"""Standard deviation over the angle for noise as large as the contrast, the largest one, and that (in
columns) below which averaging is not worth it: a foil bends over several degrees."""


def _made_ready(scanned: Unrolled, voxel_mm: float, outer_mm: float | None, sharpen: bool) -> Unrolled:
    """Cut down to the roll's greys, and sharpened where the scan is blurred."""
    limit, r_mm = scanned.limit_mm, scanned.r_mm
    roll = (r_mm > ROLL[0] * limit[:, None]) & (r_mm < limit[:, None] - voxel_mm)
    raw = _lowered(scanned.grey, roll)
    grey = raw
    if sharpen and outer_mm is not None:
        blur = _blur(scanned.grey.mean(axis=0), r_mm, outer_mm)
        if blur is not None:
            grey = _lowered(_sharpened(raw, r_mm, limit, blur), roll)
    return Unrolled(scanned.z_mm, scanned.theta_deg, r_mm, grey, raw, limit)


def _lowered(grey: Image, roll: NDArray[np.bool_]) -> Image:
    """``grey`` (nz, nt, nr) cut down to the greys of the ``roll`` (nt, nr): above them there is only the can,
    or a pin in the core, and so either looks like one more slab."""
    ceiling = np.float32(np.percentile(grey.mean(axis=0)[roll], TOP) * HEADROOM)
    return np.minimum(grey, ceiling)


def _blur(grey: Image, r_mm: Floats, outer_mm: float) -> float | None:
    """Standard deviation of the scan's edge spread along the radius, mm, from the can's inner flank; None
    where the can does not stand out.

    A step of height ``a`` under a Gaussian spread ``s`` rises by at most ``a / (s sqrt(2 pi))`` per length.
    """
    step = r_mm[1] - r_mm[0]
    rim = r_mm > FLANK * outer_mm
    peak = grey[:, rim].argmax(axis=1) + int(np.argmax(rim))
    count = min(FLANK_SAMPLES, int(peak.min()) + 1)
    inward = np.take_along_axis(grey, peak[:, None] - np.arange(count), axis=1)
    rise = inward[:, 0] - inward.min(axis=1)
    slope = (inward[:, :-2] - inward[:, 2:]).max(axis=1) / (2 * step)
    roll = grey[:, (r_mm > ROLL[0] * outer_mm) & (r_mm < ROLL[1] * outer_mm)]
    if float(np.median(rise)) < OUTSHINES * float(np.ptp(np.percentile(roll, CONTRAST))):
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
    mean = grey.mean(axis=0)
    try:
        pitch = pitch_of(Polar(mean, r_mm, limit))
    except NotMeasurable:
        return grey
    if blur <= SHARP * pitch:
        return grey
    last = np.searchsorted(r_mm, limit - CLEAR_OF_CAN * blur) - 1
    inside = np.arange(r_mm.size) <= last[:, None]
    held = np.where(inside, grey, grey[:, np.arange(last.size), last][..., None])
    pin = _round_about(held.mean(axis=0), pitch / (r_mm[1] - r_mm[0]))
    held -= pin
    sharp = _wiener(held, r_mm, blur, SHARP * pitch, _filter_noise(mean, r_mm, limit))
    return np.asarray(np.where(inside, sharp + pin, grey), dtype=np.float32)


def _filter_noise(mean: Image, r_mm: Floats, limit: Floats) -> float:
    """Noise over signal, squared, that the filter has to reckon with."""
    outer = float(np.median(limit))
    roll = (r_mm > ROLL[0] * outer) & (r_mm < ROLL[1] * outer)
    return max(WIENER, NOISE_IN_FILTER * _relative_noise(mean[:, roll])) ** 2


def _wiener(grey: Image, r_mm: Floats, seen_mm: float, wanted_mm: float, noise: float) -> Image:
    """``grey`` (..., nr) taken from one Gaussian spread along the radius to another."""
    from scipy import fft

    n = r_mm.size
    size = int(fft.next_fast_len(n + 2 * PADDING, real=True))
    omega = 2 * np.pi * fft.rfftfreq(size, r_mm[1] - r_mm[0])
    seen, wanted = (np.exp(-0.5 * (omega * spread) ** 2) for spread in (seen_mm, wanted_mm))
    gain = wanted * seen * (1 + noise) / (seen**2 + noise)
    # Mirrored at the axis, held at the outer end.
    beyond = np.repeat(grey[..., -1:], size - n - PADDING, axis=-1)
    spectrum = fft.rfft(np.concatenate([grey[..., PADDING:0:-1], grey, beyond], axis=-1), axis=-1)
    sharp = fft.irfft(spectrum * gain.astype(np.float32), size, axis=-1)
    return np.asarray(sharp[..., PADDING : PADDING + n])


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


def _relative_noise(roll: Image) -> float:
    """Noise of ``roll`` (nt, nr) between neighbouring angles over the contrast of its layers."""
    second = 2 * roll - (np.roll(roll, 1, axis=0) + np.roll(roll, -1, axis=0))
    contrast = float(np.ptp(np.percentile(roll, [QUIET, LOUD])))
    return noise_of_second_differences(second) / max(contrast, 1e-9)


def calmed(polar: Polar) -> Polar:
    """Averaged over as many neighbouring angles as the noise asks for, two degrees at most.

    Only for finding the way: the radius itself is fitted to the greys as they are.
    """
    from scipy.ndimage import gaussian_filter1d

    nearest = polar.limit_mm.min()
    noise = _relative_noise(polar.grey[:, polar.between(CALM_RADII[0] * nearest, CALM_RADII[1] * nearest)])
    columns = min(CALMING_DEG * noise, MOST_CALMING_DEG) * polar.grey.shape[0] / 360.0
    if columns < LEAST_CALMING:
        return polar
    return polar.showing(np.asarray(gaussian_filter1d(polar.grey, columns, axis=0, mode="wrap")))
