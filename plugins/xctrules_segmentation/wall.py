"""What the can's wall is like in a scan, and where its faces lie in profiles across it.

Every radial profile is fitted with what a scanner shows of a wall: a slab a few voxels thick under blur
(:class:`xctrules.cylinder.edges.Slabs`). The blur and the metal's grey are found first, on a sample of
profiles, and then held: one profile alone cannot tell a thin bright wall from a thick dim one.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.core.robust import robust_sd
from xctrules.core.slices import Scan
from xctrules.cylinder.edges import SlabPrior, Slabs, crossings
from xctrules.cylinder.frame import CellFrame, Floats

THICKEST_WALL_MM = 1.2
"""How deep the inner surface is looked for; twice the thickest wall in use."""

STEP_PX = 0.5
"""Spacing of the radial samples. Half a voxel keeps the interpolation's own blur out of the fit."""

WINDOW_THICKNESS, WINDOW_BLUR_IN, WINDOW_BLUR_OUT = 1.5, 5.0, 4.5
"""A fit's window reaches so many wall thicknesses and blurs inward of the outer face, and so many blurs
outward: as far as the slab's model weighs anything, wherever its faces may move."""

INSIDE_SLOPE = 0.05
"""Change of the grey next to the wall's inner face over one blur, as a share of the wall's contrast."""


@dataclass(frozen=True)
class RoughOutline:
    """The outermost half-height of the wall.

    Attributes
    ----------
    z_mm, theta_deg : (nz,), (nt,)
        Where it was looked for.
    radius_mm : (nz, nt)
    level, outside
        Grey level of half height, and outside of the cell.
    """

    z_mm: Floats
    theta_deg: Floats
    radius_mm: Floats
    level: float
    outside: float


@dataclass(frozen=True)
class Wall:
    """What a sample of profiles says of all: lengths in samples, greys as in the scan."""

    thickness: float
    blur: float
    noise: float
    prior: SlabPrior
    outside: float
    slope_shift: tuple[float, float]
    blur_shift: tuple[float, float]


# --- what the wall is like ---------------------------------------------------------------------------------

DEEPER_MM, HIGHER_PX = 0.3, 6.0
"""Profiles reach so much deeper than the thickest wall, and so many voxels beyond the outline."""

MEAN_OF_HEIGHTS, SAMPLE_GROUPS = 4, 8
"""Heights that are averaged in each profile of the sample, and how many such groups there are."""

ASIDE_PX = 2.0
"""Voxels to either side at which a profile is averaged with its neighbours: far enough for other noise."""

LEAST_PROFILES, LEAST_SOUND = 36, 12
"""Profiles in which the outline is seen, of some 580; and of these that a fit must succeed in."""

PLATEAU_MM = 0.6
"""Depth below the outer edge within which the wall's own grey is reached."""

FALL_MM = 0.1
"""Beyond half height the steepest fall is looked for within this: a blur or two of a usual scan."""

ROUNDS = (True, True, False)
"""Whether blur is free in each round of the fit. First each profile finds its blur, in a generous window;
then in the window that this blur asks for, with a grey inside that may slope, since a dark gap beside the
wall sharpens its face; at last thickness and grey at that blur."""

SAMPLE_STEPS, SHIFT_STEPS, PROFILE_STEPS = 10, 6, 4
"""Steps of the fits of the sample, of a changed model from its answer, and of every profile from a good
start."""

LEAST_NOISE = 1e-6
"""Grey levels; a drawn can may have none."""

LEAST_WALL_SD, LEAST_SLOPE_SD = 0.01, 0.002
"""Least standard deviations of the wall's grey and of its slope (for each sample), as shares of its contrast:
no metal is known better from one scan."""

LEVELLED = 1e-6
"""Factor on the slope's standard deviation that holds it at nothing."""


def learn_wall(
    frame: CellFrame, scan: Scan, rough: RoughOutline, rows: NDArray[np.intp], step: float
) -> Wall:
    """Thickness, blur and grey of the wall from a sample of profiles at the heights ``rows``.

    Each is the mean over four heights and three angles side by side: where the wall is thin, what noise does
    to a fit with a free blur does not average out afterwards.
    """
    grey, edge = _sample_of_profiles(frame, scan, rough, rows, step)
    grey, edge, typical = _edge_on_edge(grey, edge, int((THICKEST_WALL_MM + DEEPER_MM) / step))
    thickness, wall_grey = _rough_thickness(typical, step)
    return _fitted_wall(grey, edge, thickness, wall_grey, rough.outside)


def _sample_of_profiles(
    frame: CellFrame, scan: Scan, rough: RoughOutline, rows: NDArray[np.intp], step: float
) -> tuple[Floats, Floats]:
    """Profiles (n, m) across the wall, and the samples (n,) at which their outer edge lies."""
    assert frame.outer_radius_mm is not None
    count = min(rows.size, MEAN_OF_HEIGHTS)
    groups = min(rows.size, SAMPLE_GROUPS)
    starts = np.unique(np.linspace(0, rows.size - count, groups).round().astype(int))
    heights = rows[starts[:, None] + np.arange(count)]
    near = rough.radius_mm[rows]
    deepest = max(np.nanmin(near) - (THICKEST_WALL_MM + DEEPER_MM), step)
    r = np.arange(deepest, np.nanmax(near) + HIGHER_PX * step / STEP_PX, step)
    aside = np.rad2deg(ASIDE_PX * frame.voxel_mm[2] / frame.outer_radius_mm)
    angles = (rough.theta_deg[:, None] + np.array([-aside, 0.0, aside])).ravel()
    sampled = frame.cylinder(scan, rough.z_mm[heights.ravel()], angles, r)
    grouped = sampled.reshape(len(starts), count, rough.theta_deg.size, 3, r.size)
    grey = grouped.mean(axis=(1, 3), dtype=np.float64).reshape(-1, r.size)
    edge = grey.shape[1] - 1 - crossings(grey[:, ::-1], rough.level)
    usable = np.isfinite(edge) & np.isfinite(grey).all(axis=1)
    if usable.sum() < LEAST_PROFILES:
        raise NotMeasurable("the can's wall is cut off by the image's border or not closed")
    return grey[usable], edge[usable]


def _edge_on_edge(grey: Floats, edge: Floats, reach: int) -> tuple[Floats, Floats, Floats]:
    """The profiles that reach deep enough, their edges, and the typical profile (reach + 1,) by depth below
    the outer edge: what follows the wall adds up, what follows the winding smears."""
    first = np.floor(edge).astype(int) - reach
    keep = first >= 0
    grey, edge, first = grey[keep], edge[keep], first[keep]
    aligned = np.take_along_axis(grey, first[:, None] + np.arange(reach + 1), axis=1)
    return grey, edge, np.median(aligned, axis=0)[::-1]


def _rough_thickness(typical: Floats, step: float) -> tuple[float, float]:
    """Thickness in samples, and grey, of the wall in the typical profile by depth.

    The inner face is the steepest fall near the place where the grey first comes half-way down.
    """
    plateau = typical[: int(PLATEAU_MM / step) + 1]
    peak, wall_grey = int(np.argmax(plateau)), float(np.max(plateau))
    half = 0.5 * (wall_grey + float(typical[peak:].min()))
    below = np.flatnonzero(typical[peak:] < half)
    last = peak + int(below[0]) + int(FALL_MM / step) + 1 if below.size else typical.size
    return float(peak + np.argmax(-np.gradient(typical)[peak:last])), wall_grey


def _fitted_wall(grey: Floats, edge: Floats, thickness: float, wall_grey: float, outside: float) -> Wall:
    """The wall by fits to the sample's profiles, from a rough thickness and grey."""
    blur = 1.0 / STEP_PX
    other, noise, contrast = blur, 0.0, wall_grey - outside
    for free_blur in ROUNDS:
        windows, offset = _windows(grey, edge, thickness, blur)
        outer = edge - offset
        inner = _inner_start(windows, outer, thickness, blur)
        nothing_known = SlabPrior(wall_grey, np.inf, 0.0, np.inf, INSIDE_SLOPE * contrast / blur)
        fit = Slabs.estimate(
            windows, outer, inner,
            blur=blur, free_blur=free_blur, prior=nothing_known, noise=noise, iterations=SAMPLE_STEPS,
        )  # fmt: skip
        sound = _sound(fit, thickness, contrast)
        if sound.sum() < LEAST_SOUND:
            raise NotMeasurable(
                "what encloses the cell does not look like a wall: no profile across it could be fitted"
            )
        thickness = float(np.median((fit.outer - fit.inner)[sound]))
        noise = max(float(np.median(fit.rms[sound])), LEAST_NOISE)
        if free_blur:
            # What lies against a face, such as a sleeve, can only widen its edge: the sharper one is right.
            faces = (float(np.median(fit.blur[sound])), float(np.median(fit.inner_blur[sound])))
            blur, other = min(faces), max(faces)
    prior = SlabPrior(
        wall=float(np.median(fit.wall[sound])),
        wall_sd=max(robust_sd(fit.wall[sound]), LEAST_WALL_SD * contrast),
        wall_slope=float(np.median(fit.wall_slope[sound])),
        wall_slope_sd=max(robust_sd(fit.wall_slope[sound]), LEAST_SLOPE_SD * contrast),
        inside_slope_sd=INSIDE_SLOPE * contrast / blur,
    )
    slope_shift, blur_shift = _face_shifts(
        windows[sound], fit.outer[sound], fit.inner[sound], prior, noise, blur, other
    )
    return Wall(thickness, blur, noise, prior, outside, slope_shift, blur_shift)


def _face_shifts(
    windows: Floats, outer: Floats, inner: Floats, prior: SlabPrior, noise: float, blur: float, other: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """How far the faces move, in samples, with a wall of one grey, and with the other face's blur.

    Beam hardening makes the outside of the wall brighter than its inside, and the greys on either side of a
    face are then no constants: the first shift says how much rests on the slope that was fitted. Faces of
    unequal blur have something lying against one of them, or were blurred before the logarithm.
    """
    level = dataclasses.replace(prior, wall_slope=0.0, wall_slope_sd=LEVELLED * prior.wall_slope_sd)

    def faces(prior: SlabPrior, blur: float) -> Floats:
        fit = Slabs.estimate(
            windows, outer, inner, blur=blur, prior=prior, noise=noise, iterations=SHIFT_STEPS
        )
        return np.array([np.nanmedian(fit.outer - outer), np.nanmedian(fit.inner - inner)])

    usual = faces(prior, blur)
    slope, unequal = (np.nan_to_num(faces(*way) - usual) for way in ((level, blur), (prior, other)))
    return (float(slope[0]), float(slope[1])), (float(unequal[0]), float(unequal[1]))


# --- fits to profiles --------------------------------------------------------------------------------------

START_REACH_BLUR, START_REACH = 1.5, 0.3
"""Blurs, or share of the thickness, off its usual place within which the inner face is looked for, the larger
of the two."""

CLEAR_OF_OUTER = 1.2
"""Blurs inward of the outer face from which on it is looked for: the outer face's own flank has ended."""

THICKNESS_RANGE = (0.4, 2.0)
"""Times the usual thickness that a wall may have: thinner is noise, thicker is what lies against it."""

OVER_OUTSIDE, OVER_INSIDE = 0.4, 0.2
"""Share of the usual contrast by which a wall is brighter than what lies on either side of it."""

LARGEST_RMS = 0.1
"""Share of the contrast that may be left as residual: beyond that the profile is no slab."""

OUTER_REACH = 3.0
"""Blurs that the outer face may be off its half height."""


def _windows(
    grey: NDArray[np.floating], edge: Floats, thickness: float, blur: float
) -> tuple[Floats, Floats]:
    """The part of each profile (n, m) that matters to the fit, and the index (n,) at which it begins."""
    before = int(np.ceil(WINDOW_THICKNESS * thickness + WINDOW_BLUR_IN * blur)) + 1
    after = int(np.ceil(WINDOW_BLUR_OUT * blur)) + 1
    count = before + after
    offset = np.clip(np.floor(np.nan_to_num(edge)).astype(int) - before, 0, max(grey.shape[1] - count, 0))
    columns = np.minimum(offset[:, None] + np.arange(count), grey.shape[1] - 1)
    return np.take_along_axis(grey, columns, axis=1).astype(np.float64), offset.astype(np.float64)


def _inner_start(windows: Floats, outer: Floats, thickness: float, blur: float) -> Floats:
    """Steepest rise within reach of where the inner face should be, in samples."""
    rise = np.gradient(windows, axis=1)
    x = np.arange(windows.shape[1])
    expected = (outer - thickness)[:, None]
    reach = max(START_REACH_BLUR * blur, START_REACH * thickness)
    within = (np.abs(x - expected) <= reach) & (x < outer[:, None] - CLEAR_OF_OUTER * blur)
    start = np.where(within, rise, -np.inf).argmax(axis=1).astype(np.float64)
    return np.where(within.any(axis=1), start, outer - thickness)


def _sound(fit: Slabs, thickness: float, contrast: float) -> NDArray[np.bool_]:
    """Whether both faces of a fitted slab can be believed."""
    found = fit.outer - fit.inner
    with np.errstate(invalid="ignore"):
        return (
            np.isfinite(found)
            & (found > THICKNESS_RANGE[0] * thickness)
            & (found < THICKNESS_RANGE[1] * thickness)
            & (fit.wall - fit.outside > OVER_OUTSIDE * contrast)
            & (fit.wall - fit.inside > OVER_INSIDE * contrast)
            & (fit.rms < LARGEST_RMS * contrast)
        )


THIN_STARTS = (0.2, 0.35, 0.55)
"""Shares of the usual thickness from which a thinned wall is fitted: a fit finds what lies within a blur or
so of its start, and the usual start lies further from a wall of half the thickness."""

DOUBTFUL_RMS, DOUBTFUL = 3.0, 0.02
"""Times the usual residual, and share of the contrast, beyond which a profile may be of a thinned wall."""

CLEARLY_BETTER = 0.7
"""Share of the usual fit's residual that a thinned wall's must stay below."""

THIN_BLURS = 0.7
"""Thinnest wall that is believed, in blurs: below that its peak in the image is no longer told from a step in
what lies behind it."""


AT_THE_BORDER = 0.1
"""Share of the wall's contrast below which a profile has left the cell where it leaves the image."""


def fit_profiles(grey: NDArray[np.float32], level: float, wall: Wall) -> tuple[Floats, Floats]:
    """Outer and inner face of each profile, in samples from the first; NaN where they are not found."""
    grey = _beyond_the_image(grey, wall)
    edge = grey.shape[1] - 1 - crossings(grey[:, ::-1], level)
    windows, offset = _windows(grey, edge, wall.thickness, wall.blur)
    outer = edge - offset
    fit = _fitted(windows, outer, _inner_start(windows, outer, wall.thickness, wall.blur), wall)
    contrast = wall.prior.wall - wall.outside
    sound = _sound(fit, wall.thickness, contrast)
    with np.errstate(invalid="ignore"):
        # The outer face stands free; it is right even where something touches the wall from inside.
        outer_sound = np.abs(fit.outer - outer) < OUTER_REACH * wall.blur
        outer_sound &= fit.wall - fit.outside > OVER_OUTSIDE * contrast
    faces = np.where(outer_sound, fit.outer, np.nan), np.where(sound & outer_sound, fit.inner, np.nan)
    rms = np.where(sound & outer_sound, fit.rms, np.inf)
    thin = np.flatnonzero((rms > max(DOUBTFUL_RMS * wall.noise, DOUBTFUL * contrast)) & np.isfinite(outer))
    if thin.size:
        for face, thinned in zip(faces, _thinned(windows[thin], outer[thin], rms[thin], wall), strict=True):
            face[thin] = np.where(np.isfinite(thinned), thinned, face[thin])
    return faces[0] + offset, faces[1] + offset


def _beyond_the_image(grey: NDArray[np.float32], wall: Wall) -> NDArray[np.float32]:
    """Profiles (n, m) that run out of the image outside the cell, continued by their last grey.

    Only where that is the grey outside: a can that the image's border cuts has no outer face there.
    """
    missing = np.flatnonzero(np.isnan(grey[:, -1]))
    if not missing.size:
        return grey
    filled = grey.copy()
    faint = wall.outside + AT_THE_BORDER * (wall.prior.wall - wall.outside)
    for row in missing:
        known = np.flatnonzero(np.isfinite(grey[row]))
        if known.size and grey[row, known[-1]] < faint:
            filled[row, known[-1] + 1 :] = grey[row, known[-1]]
    return filled


def _fitted(windows: Floats, outer: Floats, inner: Floats, wall: Wall) -> Slabs:
    return Slabs.estimate(
        windows, outer, inner, blur=wall.blur, prior=wall.prior, noise=wall.noise, iterations=PROFILE_STEPS
    )


def _thinned(windows: Floats, outer: Floats, usual_rms: Floats, wall: Wall) -> tuple[Floats, Floats]:
    """Faces of profiles (n, m) across a wall much thinner than usual; NaN where the profile shows none.

    The wall's grey is held, as everywhere: what its blurred peak holds then tells its thickness, also where
    the peak is far from the wall's own grey.
    """
    contrast = wall.prior.wall - wall.outside
    best = CLEARLY_BETTER * usual_rms
    faces = np.full((2, outer.size), np.nan)
    for share in THIN_STARTS:
        fit = _fitted(windows, outer, outer - share * wall.thickness, wall)
        found = fit.outer - fit.inner
        with np.errstate(invalid="ignore"):
            believed = (found > THIN_BLURS * wall.blur) & (found < THICKNESS_RANGE[1] * wall.thickness)
            believed &= np.abs(fit.outer - outer) < OUTER_REACH * wall.blur
            believed &= (fit.rms < LARGEST_RMS * contrast) & (fit.rms < best)
            believed &= fit.wall - fit.inside > OVER_INSIDE * contrast
        best = np.where(believed, fit.rms, best)
        faces = np.where(believed, (fit.outer, fit.inner), faces)
    return faces[0], faces[1]
