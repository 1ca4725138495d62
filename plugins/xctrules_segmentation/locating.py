"""Locates a foil, or a two-valued layer, below the voxel, near where it was followed."""

from __future__ import annotations

import numpy as np

from xctrules_segmentation.following import best_line
from xctrules_segmentation.polar import Floats, Polar
from xctrules_segmentation.ridge import STEPS_PER_PITCH

WITHIN = 0.33
"""Pitches to either side of its place at a height near by in which a foil is sought: up to where the cathode
beside it begins."""

AT_HOME = 2.0
"""Evidence that a place a whole pitch off the one near by loses, growing with the square: neighbouring
heights differ by little, and where noise hides the foil its place there is the best guess."""

WIDTHS, WIDTHS_TRIED = (0.15, 0.9), 31
"""Range of standard deviations of the foil's blurred line, in reaches of its profile, and how many of them
are tried: a fortieth of a reach apart, far less than a wrong width shifts a line that lies off the middle of
its neighbours."""

LEAST_HALF_SAMPLES = 3
"""Samples to either side of a line's centre: seven for five unknowns."""

FIT_STEPS = 3
"""Steps of a fit from within a fraction of the line's width; more do not move it."""

KEPT = 0.5
"""Share of the heights at which a place must have been located to count as the foil's."""


def near(evidence: Polar, reference: Floats, pitch: float) -> Floats:
    """All turns (nturns, nt) at one height, sought within a third of a pitch of those at a height near by."""
    window = np.arange(-WITHIN * pitch, WITHIN * pitch, pitch / STEPS_PER_PITCH)
    known = np.isfinite(reference)
    radius = np.where(known, reference, 0.0)[..., None] + window
    seen = np.where(known[..., None], evidence.at(radius), 0.0) - AT_HOME * (window / pitch) ** 2
    path = best_line(seen.astype(np.float32))
    return np.where(known, reference + window[path], np.nan)


def line_width(polar: Polar, radius: Floats, half_mm: float) -> float:
    """Standard deviation of the blurred foil's profile, mm, from the mean profile across it (nturns, nt)."""
    dr = polar.step_mm
    x = np.arange(-half_mm, half_mm + 0.5 * dr, 0.5 * dr)
    known = np.isfinite(radius)
    profile = polar.at(np.where(known, radius, 0.0)[..., None] + x)[known].mean(axis=0)
    best, width = np.inf, half_mm / 2
    for sigma in np.linspace(WIDTHS[0] * half_mm, WIDTHS[1] * half_mm, WIDTHS_TRIED):
        model = np.stack([np.exp(-0.5 * (x / sigma) ** 2), np.ones_like(x), x, x**2], axis=1)
        coefficients, *_ = np.linalg.lstsq(model, profile, rcond=None)
        residual = float(((profile - model @ coefficients) ** 2).sum())
        if residual < best and coefficients[0] > 0:
            best, width = residual, float(sigma)
    return width


def fit_line(polar: Polar, radius: Floats, sigma: float, half_mm: float) -> tuple[Floats, Floats]:
    """Centre and amplitude (nturns, nt) of a Gaussian line on a parabolic background, near ``radius``.

    Model: ``a exp(-(r - c)^2 / 2 sigma^2) + b0 + b1 r + b2 r^2``; the parabola takes up the tails of the two
    neighbouring slabs, which lie at unequal distances and would draw the centre towards the nearer one. Five
    unknowns, at least seven samples. Gauss-Newton on ``c``, all places at once.
    """
    dr, r_mm = polar.step_mm, polar.r_mm
    half = max(LEAST_HALF_SAMPLES, round(half_mm / dr))
    offsets = np.arange(-half, half + 1)
    valid = np.isfinite(radius) & (radius > half_mm) & (radius < r_mm[-1] - half_mm)
    turn, column = np.nonzero(valid)
    start = radius[valid] / dr
    centre = start.copy()
    nearest = np.round(start).astype(np.intp)
    index = np.clip(nearest[:, None] + offsets, 0, r_mm.size - 1)
    values = polar.grey[column[:, None], index].astype(np.float64)
    amplitude = np.zeros(centre.size)
    for _ in range(FIT_STEPS):
        shift, amplitude = _line_step(index - centre[:, None], values, offsets / half, sigma / dr)
        centre = np.clip(centre + np.clip(shift, -1.0, 1.0), start - half, start + half)
    out = np.full(radius.shape, np.nan)
    height = np.full(radius.shape, np.nan)
    out[turn, column] = centre * dr
    height[turn, column] = amplitude
    return out, height


def _line_step(x: Floats, values: Floats, scaled: Floats, sigma: float) -> tuple[Floats, Floats]:
    """Shift and amplitude (n,) of lines of width ``sigma`` at ``x`` = 0 in ``values`` (n, m), by one linear
    least-squares step; ``scaled`` (m,) is the background's own coordinate."""
    line = np.exp(-0.5 * (x / sigma) ** 2)
    model = np.empty((*x.shape, 5))
    model[..., 0] = line
    model[..., 1] = line * x / sigma**2
    model[..., 2] = 1.0
    model[..., 3] = scaled
    model[..., 4] = scaled**2
    transposed = model.transpose(0, 2, 1)
    normal = transposed @ model
    normal[:, np.arange(5), np.arange(5)] += 1e-9
    fitted = np.linalg.solve(normal, (transposed @ values[..., None]))[..., 0]
    amplitude = fitted[:, 0]
    sound = amplitude > 0
    return np.where(sound, fitted[:, 1] / np.where(sound, amplitude, 1.0), 0.0), amplitude


def fit_area(polar: Polar, radius: Floats, pitch: float) -> tuple[Floats, Floats]:
    """Centre by area, and area (nturns, nt), of a two-valued layer around ``radius``; its neighbours are left
    out."""
    dr = polar.step_mm
    x = np.arange(-0.5 * pitch, 0.5 * pitch + 0.5 * dr, 0.5 * dr)
    start = radius.copy()
    area = np.full(radius.shape, np.nan)
    # Half-way to the next turn begins what belongs to that: near the core two may lie closer than a pitch.
    between = np.full((radius.shape[0] + 1, radius.shape[1]), np.nan)
    between[1:-1] = 0.5 * (radius[:-1] + radius[1:])
    low = np.nan_to_num(between[:-1], nan=-np.inf)[..., None]
    high = np.nan_to_num(between[1:], nan=np.inf)[..., None]
    for _ in range(FIT_STEPS):
        at = np.where(np.isfinite(start), start, 0.0)[..., None] + x
        values = np.where((at > low) & (at < high), polar.at(at), 0.0)
        area = values.sum(axis=-1) * (0.5 * dr)
        with np.errstate(invalid="ignore", divide="ignore"):
            start = start + (values * x).sum(axis=-1) / values.sum(axis=-1)
    return start, area


def without_lost_ends(radius: Floats) -> Floats:
    """Cut (nz, nturns, nt) back to where most of the line was located; rows left empty go. The line runs
    outward."""
    line = np.isfinite(radius).mean(axis=0).ravel()
    kept = line >= KEPT
    gain = np.where(kept, 1.0, -1.0)
    # Either end: the greatest sum of located less lost places, counted from the line's middle.
    middle = int(np.flatnonzero(kept).mean()) if kept.any() else line.size // 2
    last = middle + int(np.argmax(np.cumsum(gain[middle:])))
    first = middle - int(np.argmax(np.cumsum(gain[: middle + 1][::-1])))
    place = np.arange(line.size).reshape(radius.shape[1:])
    inside = (place >= first) & (place <= last)
    return np.where(inside, radius, np.nan)[:, inside.any(axis=1)]
