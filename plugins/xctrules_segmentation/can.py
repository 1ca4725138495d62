"""The can's outer and inner surface, below the voxel, wherever its straight part is in view.

The band around the wall is sampled in the cell's own coordinates and every radial profile is fitted with
what a scanner shows of a wall: a slab a few voxels thick under blur
(:class:`xctrules.cylinder.edges.Slabs`). The blur and the metal's grey are found first, on a sample of
profiles, and then held: one profile alone cannot tell a thin bright wall from a thick dim one.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.core.robust import longest_run, noise_along, robust_sd
from xctrules.core.slices import Scan, Slices, each_slice
from xctrules.cylinder.edges import Floats, SlabPrior, Slabs, crossings
from xctrules.cylinder.frame import CellFrame
from xctrules.cylinder.surfaces import CanSurface, CylinderCell

MAX_HEIGHTS = 128
"""Heights at which the can is looked at; the slices are thinned out evenly when there are more."""

THICKEST_WALL_MM = 1.2
"""How deep the inner surface is looked for; twice the thickest wall in use."""

NEAR_STRAIGHT = 0.03
"""Heights whose radius differs by more than this share from the straight part's are bead, crimp or rim."""

NARROWING_PX = 0.1
"""Change of the outer radius, in voxels, at which bead or bottom begin; more where the can itself varies."""

MASK_BLUR_PX = 1.0
"""Smoothing that gives a two-valued image edges whose half height is the edge of its area."""

STEP_PX = 0.5
"""Spacing of the radial samples. Half a voxel keeps the interpolation's own blur out of the fit."""


INSIDE_SLOPE = 0.05
"""Change of the grey next to the wall's inner face over one blur, as a share of the wall's contrast."""


@dataclass(frozen=True)
class _Wall:
    """What a sample of profiles says of all: lengths in samples, greys as in the scan."""

    thickness: float
    blur: float
    noise: float
    prior: SlabPrior
    outside: float
    slope_shift: tuple[float, float]
    blur_shift: tuple[float, float]


def segment_can(cell: CylinderCell) -> CanSurface:
    """Locate both surfaces of the can at every angle and up to 128 heights.

    With ``cell.settings.mask_of == "canister"`` the scan is a two-valued image of the wall, of one slice or
    more.

    Raises
    ------
    NotMeasurable
        When the frame knows no can, or no straight part of it can be fitted.
    """
    if cell.settings.mask_of == "canister":
        return _locate_in_mask(cell, cell.scan.slices, None)
    if cell.settings.mask_of == "electrode":
        raise NotMeasurable("the scan is a mask of the electrode: it shows no can")
    return _locate(cell, cell.scan)


def can_from_labels(cell: CylinderCell, labels: Slices) -> CanSurface:
    """The can's surfaces from a label image instead of the scan's greys.

    Parameters
    ----------
    labels
        1 where there is can.

    Raises
    ------
    NotMeasurable
        When no voxel is labelled can, or what is labelled is no closed wall.
    """
    if not any((labels[k] == 1).any() for k in range(len(labels))):
        raise NotMeasurable("the label image has no voxel of the class can (1)")
    return _locate_in_mask(cell, labels, 1)


def _locate_in_mask(cell: CylinderCell, mask: Slices, label: int | None) -> CanSurface:
    def smoothed(image: NDArray[np.generic]) -> NDArray[np.float32]:
        solid = np.ascontiguousarray(image == label if label is not None else image != 0)
        return np.asarray(cv2.GaussianBlur(solid.astype(np.float32), (0, 0), MASK_BLUR_PX))

    scan = dataclasses.replace(cell.scan, slices=each_slice(mask, smoothed, np.float32))
    return _locate(dataclasses.replace(cell, frame=dataclasses.replace(cell.frame, can_grey=1.0)), scan)


def _locate(cell: CylinderCell, scan: Scan) -> CanSurface:
    frame = cell.frame
    if frame.outer_radius_mm is None:
        raise NotMeasurable("the frame shows no can")
    voxel = max(frame.voxel_mm[1:])
    step = STEP_PX * voxel
    theta: Floats = np.arange(cell.settings.angles, dtype=np.float64) * (360.0 / cell.settings.angles)
    grid = frame.z_grid_mm()
    z = grid[:: max(1, -(-grid.size // MAX_HEIGHTS))]

    probe_theta = np.arange(0.0, 360.0, 5.0)
    rough, level, outside = _rough_outline(frame, scan, z, probe_theta, voxel)
    radius = _median_by_row(rough)
    radius[np.abs(radius / frame.outer_radius_mm - 1) > NEAR_STRAIGHT] = np.nan
    near = straight_run(radius, 2 * voxel)
    if not near.any():
        raise NotMeasurable("the can's straight part is not in view")

    wall = _learn_wall(frame, scan, z, np.flatnonzero(near), probe_theta, rough, level, outside, step)

    # Dents narrower than the probe's five degrees may lie deeper than it saw.
    inward = (wall.thickness + 5 * wall.blur) * step + 8 * voxel
    outward = 4.5 * wall.blur * step + 3 * voxel
    r = np.arange(np.nanmin(rough[near]) - inward, np.nanmax(rough[near]) + outward, step)
    rows = np.flatnonzero(near)
    outer = np.full((z.size, theta.size), np.nan)
    inner = np.full_like(outer, np.nan)
    for block in np.array_split(rows, max(1, rows.size * theta.size * r.size // 4_000_000)):
        grey = frame.cylinder(scan, z[block], theta, r).reshape(-1, r.size)
        located = _fit_profiles(grey, level, wall)
        outer[block] = (r[0] + located[0] * step).reshape(block.size, theta.size)
        inner[block] = (r[0] + located[1] * step).reshape(block.size, theta.size)

    across = _median_by_row(outer)
    straight = without_formed_mouth(straight_run(across, voxel), _median_by_row(inner), voxel)
    # Where bead or bottom begin the radius falls by tenths of a voxel first.
    straight = without_formed_mouth(
        straight, across, max(NARROWING_PX * voxel, 5 * robust_sd(across[straight]))
    )
    if not straight.any():
        raise NotMeasurable("the can's wall could not be told from what lies beside it at any height")
    apart = max(1, int(np.ceil(3 * voxel / (np.deg2rad(360.0 / theta.size) * frame.outer_radius_mm))))
    return CanSurface(
        z_mm=z,
        theta_deg=theta,
        outer_mm=outer,
        inner_mm=inner,
        straight=straight,
        edge_sigma_mm=noise_along(outer[straight], step=apart, wrap=True),
        inner_sigma_mm=noise_along(inner[straight], step=apart, wrap=True),
        blur_mm=wall.blur * step,
        slope_shift_mm=(wall.slope_shift[0] * step, wall.slope_shift[1] * step),
        blur_shift_mm=(wall.blur_shift[0] * step, wall.blur_shift[1] * step),
    )


def _median_by_row(values: Floats) -> Floats:
    """Median of each row's finite values; NaN where fewer than half are finite."""
    enough = np.isfinite(values).mean(axis=1) >= 0.5
    result = np.full(values.shape[0], np.nan)
    if enough.any():
        result[enough] = np.nanmedian(values[enough], axis=1)
    return result


def straight_run(radius: Floats, tolerance: float) -> NDArray[np.bool_]:
    """The longest run of heights whose radius stays within ``tolerance`` of the run's own median.

    Parameters
    ----------
    radius : (nz,)
        Robust radius of each height (dents left out); NaN where there is none. Up to two heights in a row
        without a radius do not end a run.

    Returns
    -------
    (nz,) bool
    """
    n = radius.size
    result = np.zeros(n, dtype=bool)
    finite = np.isfinite(radius)
    for length in range(n, 0, -1):  # the first that fits is the longest
        runs = np.lib.stride_tricks.sliding_window_view(radius, length)
        with np.errstate(invalid="ignore"):
            spread = np.fmax.reduce(runs, axis=1) - np.fmin.reduce(runs, axis=1)
            candidates = np.flatnonzero(spread <= 2 * tolerance)
        for start in candidates:
            run, there = runs[start], finite[start : start + length]
            gap, end_of_gap = longest_run(~there)
            if end_of_gap - gap <= 2 and np.abs(run[there] - np.median(run[there])).max() <= tolerance:
                result[start : start + length] = there
                return result
    return result


def without_formed_mouth(straight: NDArray[np.bool_], radius: Floats, tolerance: float) -> NDArray[np.bool_]:
    """Shorten the straight part at both ends by the heights whose (inner) radius is off its median.

    Below its bead, and above its bottom, a drawn can is thicker while its outer radius is already straight:
    that is forming, not wall. Only the ends are trimmed; a thin or thick ring in the middle is a finding and
    stays.
    """
    kept = straight.copy()
    for _ in range(8):
        inside = np.flatnonzero(kept)
        known = inside[np.isfinite(radius[inside])]
        if known.size == 0:
            return straight
        good = known[np.abs(radius[known] - np.median(radius[known])) <= tolerance]
        trimmed = kept.copy()
        trimmed[: good[0]] = False
        trimmed[good[-1] + 1 :] = False
        if (trimmed == kept).all():
            break
        kept = trimmed
    return kept


def _rough_outline(
    frame: CellFrame, scan: Scan, z: Floats, theta: Floats, voxel: float
) -> tuple[Floats, float, float]:
    """Outermost half-height of the wall (nz, ntheta), that level, and the grey outside."""
    assert frame.outer_radius_mm is not None
    radius = frame.outer_radius_mm
    r = np.arange(0.8 * radius, 1.15 * radius, voxel)
    grey = frame.cylinder(scan, z, theta, r)
    beyond = grey[..., r > 1.05 * radius + 3 * voxel]
    outside = float(np.nanmedian(beyond)) if np.isfinite(beyond).any() else 0.0
    level = 0.5 * (frame.can_grey + outside)
    inward = crossings(grey[..., ::-1], level, rising=True)
    return r[-1] - inward * voxel, level, outside


def _learn_wall(
    frame: CellFrame,
    scan: Scan,
    z: Floats,
    rows: NDArray[np.intp],
    theta: Floats,
    rough: Floats,
    level: float,
    outside: float,
    step: float,
) -> _Wall:
    """Thickness, blur and grey of the wall from a sample of profiles at the heights ``rows`` of ``z``.

    Each is the mean over four heights and three angles side by side: where the wall is thin, what noise does
    to a fit with a free blur does not average out afterwards.
    """
    assert frame.outer_radius_mm is not None
    deep = THICKEST_WALL_MM + 0.3
    high = 6 * step / STEP_PX
    count = min(rows.size, 4)
    starts = np.unique(np.linspace(0, rows.size - count, min(rows.size, 8)).round().astype(int))
    groups = rows[starts[:, None] + np.arange(count)]
    r = np.arange(max(np.nanmin(rough[rows]) - deep, step), np.nanmax(rough[rows]) + high, step)
    aside = np.rad2deg(2.0 * frame.voxel_mm[2] / frame.outer_radius_mm)  # far enough for other noise
    angles = (theta[:, None] + np.array([-aside, 0.0, aside])).ravel()
    sampled = frame.cylinder(scan, z[groups.ravel()], angles, r)
    grey = sampled.reshape(len(starts), count, theta.size, 3, r.size).mean(axis=(1, 3), dtype=np.float64)
    grey = grey.reshape(-1, r.size)
    from_outside = grey.shape[1] - 1 - crossings(grey[:, ::-1], level)
    usable = np.isfinite(from_outside) & np.isfinite(grey).all(axis=1)
    if usable.sum() < 36:
        raise NotMeasurable("the can's wall is cut off by the image's border or not closed")
    grey, edge = grey[usable], from_outside[usable]
    # All profiles laid edge on edge: what follows the wall adds up, what follows the winding smears.
    reach = int(deep / step)
    first = np.floor(edge).astype(int) - reach
    keep = first >= 0
    grey, edge, first = grey[keep], edge[keep], first[keep]
    aligned = np.take_along_axis(grey, first[:, None] + np.arange(reach + 1), axis=1)
    typical = np.median(aligned, axis=0)[::-1]  # by depth below the outer edge
    wall_grey = float(np.max(typical[: int(0.6 / step) + 1]))
    peak = int(np.argmax(typical[: int(0.6 / step) + 1]))
    # The inner face is the steepest fall near the place where the grey first comes half-way down.
    half = 0.5 * (wall_grey + float(typical[peak:].min()))
    below = np.flatnonzero(typical[peak:] < half)
    last = peak + int(below[0]) + int(0.1 / step) + 1 if below.size else typical.size
    thickness = float(peak + np.argmax(-np.gradient(typical)[peak:last]))

    blur = 1.0 / STEP_PX
    # First round: each profile finds its blur, in a generous window. Second: in the window that this blur
    # asks for, with a grey inside that may slope, since a dark gap beside the wall sharpens its face. Third:
    # thickness and grey at that blur.
    other, noise, contrast = blur, 0.0, wall_grey - outside
    for free_blur in (True, True, False):
        windows, offset = _windows(grey, edge, thickness, blur)
        outer = edge - offset
        inner = _inner_start(windows, outer, thickness, blur)
        nothing_known = SlabPrior(wall_grey, np.inf, 0.0, np.inf, INSIDE_SLOPE * contrast / blur)
        fit = Slabs.estimate(
            windows, outer, inner,
            blur=blur, free_blur=free_blur, prior=nothing_known, noise=noise, iterations=10,
        )  # fmt: skip
        sound = _sound(fit, thickness, contrast)
        if sound.sum() < 12:
            raise NotMeasurable(
                "what encloses the cell does not look like a wall: no profile across it could be fitted"
            )
        thickness = float(np.median((fit.outer - fit.inner)[sound]))
        noise = max(float(np.median(fit.rms[sound])), 1e-6)
        if free_blur:
            # What lies against a face, such as a sleeve, can only widen its edge: the sharper one is right.
            faces = (float(np.median(fit.blur[sound])), float(np.median(fit.inner_blur[sound])))
            blur, other = min(faces), max(faces)
    prior = SlabPrior(
        wall=float(np.median(fit.wall[sound])),
        wall_sd=max(robust_sd(fit.wall[sound]), 0.01 * contrast),
        wall_slope=float(np.median(fit.wall_slope[sound])),
        wall_slope_sd=max(robust_sd(fit.wall_slope[sound]), 0.002 * contrast),
        inside_slope_sd=INSIDE_SLOPE * contrast / blur,
    )
    slope_shift, blur_shift = _face_shifts(
        windows[sound], fit.outer[sound], fit.inner[sound], prior, noise, blur, other
    )
    return _Wall(
        thickness=thickness,
        blur=blur,
        noise=noise,
        prior=prior,
        outside=outside,
        slope_shift=slope_shift,
        blur_shift=blur_shift,
    )


def _face_shifts(
    windows: Floats, outer: Floats, inner: Floats, prior: SlabPrior, noise: float, blur: float, other: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """How far the faces move, in samples, with a wall of one grey, and with the other face's blur.

    Beam hardening makes the outside of the wall brighter than its inside, and the greys on either side of a
    face are then no constants: the first shift says how much rests on the slope that was fitted. Faces of
    unequal blur have something lying against one of them, or were blurred before the logarithm.
    """
    level = dataclasses.replace(prior, wall_slope=0.0, wall_slope_sd=1e-6 * prior.wall_slope_sd)

    def faces(prior: SlabPrior, blur: float) -> Floats:
        fit = Slabs.estimate(windows, outer, inner, blur=blur, prior=prior, noise=noise, iterations=6)
        return np.array([np.nanmedian(fit.outer - outer), np.nanmedian(fit.inner - inner)])

    usual = faces(prior, blur)
    slope, unequal = (np.nan_to_num(faces(*way) - usual) for way in ((level, blur), (prior, other)))
    return (float(slope[0]), float(slope[1])), (float(unequal[0]), float(unequal[1]))


def _windows(
    grey: NDArray[np.floating], edge: Floats, thickness: float, blur: float
) -> tuple[Floats, Floats]:
    """The part of each profile (n, m) that matters to the fit, and the index (n,) at which it begins."""
    before = int(np.ceil(1.5 * thickness + 5 * blur)) + 1
    after = int(np.ceil(4.5 * blur)) + 1
    count = before + after
    offset = np.clip(np.floor(np.nan_to_num(edge)).astype(int) - before, 0, max(grey.shape[1] - count, 0))
    columns = np.minimum(offset[:, None] + np.arange(count), grey.shape[1] - 1)
    return np.take_along_axis(grey, columns, axis=1).astype(np.float64), offset.astype(np.float64)


def _inner_start(windows: Floats, outer: Floats, thickness: float, blur: float) -> Floats:
    """Steepest rise within reach of where the inner face should be, in samples."""
    rise = np.gradient(windows, axis=1)
    x = np.arange(windows.shape[1])
    expected = (outer - thickness)[:, None]
    reach = max(1.5 * blur, 0.3 * thickness)
    within = (np.abs(x - expected) <= reach) & (x < outer[:, None] - 1.2 * blur)
    start = np.where(within, rise, -np.inf).argmax(axis=1).astype(np.float64)
    return np.where(within.any(axis=1), start, outer - thickness)


def _sound(fit: Slabs, thickness: float, contrast: float) -> NDArray[np.bool_]:
    """Whether both faces of a fitted slab can be believed."""
    found = fit.outer - fit.inner
    with np.errstate(invalid="ignore"):
        return (
            np.isfinite(found)
            & (found > 0.4 * thickness)
            & (found < 2.0 * thickness)
            & (fit.wall - fit.outside > 0.4 * contrast)
            & (fit.wall - fit.inside > 0.2 * contrast)
            & (fit.rms < 0.1 * contrast)
        )


def _fit_profiles(grey: NDArray[np.float32], level: float, wall: _Wall) -> tuple[Floats, Floats]:
    """Outer and inner face of each profile, in samples from the first; NaN where they are not found."""
    edge = grey.shape[1] - 1 - crossings(grey[:, ::-1], level)
    windows, offset = _windows(grey, edge, wall.thickness, wall.blur)
    outer = edge - offset
    inner = _inner_start(windows, outer, wall.thickness, wall.blur)
    fit = Slabs.estimate(
        windows, outer, inner, blur=wall.blur, prior=wall.prior, noise=wall.noise, iterations=4
    )
    contrast = wall.prior.wall - wall.outside
    sound = _sound(fit, wall.thickness, contrast)
    with np.errstate(invalid="ignore"):
        # The outer face stands free; it is right even where something touches the wall from inside.
        outer_sound = (np.abs(fit.outer - outer) < 3 * wall.blur) & (fit.wall - fit.outside > 0.4 * contrast)
    return (
        np.where(outer_sound, fit.outer + offset, np.nan),
        np.where(sound & outer_sound, fit.inner + offset, np.nan),
    )
