"""The can's outer and inner surface, below the voxel, wherever its straight part is in view.

The band around the wall is sampled in the cell's own coordinates; what the wall is like, and where its faces
lie in each radial profile, stands in :mod:`xctrules_segmentation.wall`.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.core.robust import longest_run, noise_along, robust_sd
from xctrules.core.slices import Scan, Slices, each_slice
from xctrules.cylinder.edges import crossings
from xctrules.cylinder.frame import CellFrame, Floats
from xctrules.cylinder.surfaces import CanSurface, CylinderCell
from xctrules_segmentation.wall import (
    STEP_PX,
    WINDOW_BLUR_IN,
    WINDOW_BLUR_OUT,
    RoughOutline,
    Wall,
    fit_profiles,
    learn_wall,
)

MAX_HEIGHTS = 128
"""Heights at which the can is looked at; the slices are thinned out evenly when there are more."""

NEAR_STRAIGHT = 0.03
"""Heights whose radius differs by more than this share from the straight part's are bead, crimp or rim."""

STRAIGHT_PX, ROUGHLY_STRAIGHT_PX = 1.0, 2.0
"""Voxels that the radius of the straight part may be off its median (see the contract), and that of the rough
outline, which is good to a voxel."""

NARROWING_PX, NARROWING_SD = 0.1, 5.0
"""Change of the outer radius, in voxels, at which bead or bottom begin; more where the can itself varies, by
so many of its own standard deviations."""

LARGEST_GAP = 2
"""Heights in a row without a radius that do not end a straight run: more may hide a bead."""

MASK_BLUR_PX = 1.0
"""Smoothing that gives a two-valued image edges whose half height is the edge of its area."""

PROBE_STEP_DEG = 5.0
"""Between the angles at which the rough outline is looked for: enough to tell straight heights apart."""

ROUGH_BAND = (0.8, 1.15)
"""Share of the frame's radius within which the rough outline is looked for: bead and dents lie inside."""

OUTSIDE, OUTSIDE_PX = 1.05, 3.0
"""Share of that radius, and voxels more, beyond which there is nothing of the cell."""

DENT_PX, BEYOND_PX = 8.0, 3.0
"""Voxels inward that a dent narrower than the probe's step may lie deeper than it saw, and outward that the
outline may be off."""

MOST_SAMPLES = 4_000_000
"""Grey values held at once: some 16 MB."""

COMMON_PX = 3.0
"""Voxels apart at which two places of an edge share no noise."""


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
    rough = _rough_outline(frame, scan, frame.outer_radius_mm, voxel)
    rows = _near_rows(rough, frame.outer_radius_mm, voxel)
    wall = learn_wall(frame, scan, rough, rows, step)
    theta: Floats = np.arange(cell.settings.angles, dtype=np.float64) * (360.0 / cell.settings.angles)
    outer, inner = _faces(frame, scan, rough, rows, theta, wall, step)
    straight = _straight_part(outer, inner, voxel)
    between_angles = np.deg2rad(360.0 / theta.size) * frame.outer_radius_mm
    apart = max(1, int(np.ceil(COMMON_PX * voxel / between_angles)))
    return CanSurface(
        z_mm=rough.z_mm,
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


def _near_rows(rough: RoughOutline, radius_mm: float, voxel: float) -> NDArray[np.intp]:
    """Heights at which the rough outline is about straight."""
    radius = _median_by_row(rough.radius_mm)
    radius[np.abs(radius / radius_mm - 1) > NEAR_STRAIGHT] = np.nan
    near = straight_run(radius, ROUGHLY_STRAIGHT_PX * voxel)
    if not near.any():
        raise NotMeasurable("the can's straight part is not in view")
    return np.flatnonzero(near)


def _faces(
    frame: CellFrame,
    scan: Scan,
    rough: RoughOutline,
    rows: NDArray[np.intp],
    theta: Floats,
    wall: Wall,
    step: float,
) -> tuple[Floats, Floats]:
    """Radius (nz, nt) of the outer and the inner face at the heights ``rows``; NaN where not found."""
    voxel = step / STEP_PX
    inward = (wall.thickness + WINDOW_BLUR_IN * wall.blur) * step + DENT_PX * voxel
    outward = WINDOW_BLUR_OUT * wall.blur * step + BEYOND_PX * voxel
    near = rough.radius_mm[rows]
    r = np.arange(np.nanmin(near) - inward, np.nanmax(near) + outward, step)
    outer = np.full((rough.z_mm.size, theta.size), np.nan)
    inner = np.full_like(outer, np.nan)
    for block in np.array_split(rows, max(1, rows.size * theta.size * r.size // MOST_SAMPLES)):
        grey = frame.cylinder(scan, rough.z_mm[block], theta, r).reshape(-1, r.size)
        located = fit_profiles(grey, rough.level, wall)
        outer[block] = (r[0] + located[0] * step).reshape(block.size, theta.size)
        inner[block] = (r[0] + located[1] * step).reshape(block.size, theta.size)
    return outer, inner


def _straight_part(outer: Floats, inner: Floats, voxel: float) -> NDArray[np.bool_]:
    """Heights (nz,) of the straight part of the can."""
    across = _median_by_row(outer)
    straight = straight_run(across, STRAIGHT_PX * voxel)
    straight = without_formed_mouth(straight, _median_by_row(inner), voxel)
    # Where bead or bottom begin the radius falls by tenths of a voxel first.
    own = NARROWING_SD * robust_sd(across[straight])
    straight = without_formed_mouth(straight, across, max(NARROWING_PX * voxel, own))
    if not straight.any():
        raise NotMeasurable("the can's wall could not be told from what lies beside it at any height")
    return straight


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
            if (
                end_of_gap - gap <= LARGEST_GAP
                and np.abs(run[there] - np.median(run[there])).max() <= tolerance
            ):
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


def _rough_outline(frame: CellFrame, scan: Scan, radius_mm: float, voxel: float) -> RoughOutline:
    grid = frame.z_grid_mm()
    z = grid[:: max(1, -(-grid.size // MAX_HEIGHTS))]
    theta = np.arange(0.0, 360.0, PROBE_STEP_DEG)
    r = np.arange(ROUGH_BAND[0] * radius_mm, ROUGH_BAND[1] * radius_mm, voxel)
    grey = frame.cylinder(scan, z, theta, r)
    beyond = grey[..., r > OUTSIDE * radius_mm + OUTSIDE_PX * voxel]
    outside = float(np.nanmedian(beyond)) if np.isfinite(beyond).any() else 0.0
    level = 0.5 * (frame.can_grey + outside)
    inward = crossings(grey[..., ::-1], level, rising=True)
    return RoughOutline(z, theta, r[-1] - inward * voxel, level, outside)
