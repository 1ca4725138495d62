"""CylinderFinder: finds a cylindrical cell's axis from its can, and what of the cell is in view.

Model: the can is a straight tube. In each slice its outer outline is a circle with a few per cent of
ovality, dents and bead left out robustly; the circles' centres lie on one straight line, the cell's axis.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.core.slices import ArraySlices, Scan
from xctrules.cylinder.axis import AxisLine
from xctrules.cylinder.ends_in_view import name_ends
from xctrules.cylinder.frame import GEOMETRY, CellFrame, Floats
from xctrules.cylinder.outline import Outline, cell_level, outlines_in, straight_run
from xctrules.cylinder.roll_in_view import find_roll

MAX_OUTLINE_SLICES = 256
"""Slices whose outline is looked for; more would not make the axis better known than its model."""

MASK_LEVEL = 0.5
"""Half-way between the two values of a mask."""

THINNED_VOXELS = 400
"""Voxels along an axis that show whether a can lies along it: a wall of 0.2 mm on 21 mm is then four wide."""

HARDLY_CUT = 0.1
"""Share of an outline outside the image from which on a cell is said to run out of it."""

SEEN_RADIUS = 0.5
"""Share of the can's radius from which on an outline is the cell's: bead and cap are wider, a pin is not."""

PROBED = 6
"""Slices of the straight part in which it is checked that the outline holds all there is."""

OUTSIDE_RADIUS, OUTSIDE_VOXELS = 1.05, 2.0
"""Beyond so much of the outline's radius, and so many voxels, a voxel lies outside of it."""

LARGEST_OUTSIDE = 0.2
"""Share of the bright voxels outside the outline from which on it is some part's, not the can's."""

WALL_HEIGHTS, WALL_ANGLE_STEP_DEG = 12, 6.0
"""Heights and angles at which the wall's grey is looked at: 720 profiles for one number."""

WALL_BAND_MM = (-2.0, 0.2)
"""Band about the outline that is read for it: wall and the outermost layers of what it holds."""

WALL_DEPTH_MM, WITHIN_DEPTH_MM = 0.6, 0.9
"""Depth below the outline up to which there is wall (the thickest in use), and from which on there is
none."""

OUTSHINES = 1.1
"""Times the grey of what it holds that a can's wall has at least."""

SATURATED = 0.2
"""Share of voxels at the upper end of the grey scale beyond which more than can and copper are there."""

SATURATION_HEIGHTS = 3
"""Heights in which that share is counted."""


class SaturatedScan(NotMeasurable):
    """No can was found, since the grey scale is clipped: the reason says so already."""


class InvertedScan(NotMeasurable):
    """No can was found, since metal is dark in the image: the reason says so already."""


class CylinderFinder:
    """Finds the frame of a cylindrical cell."""

    geometry = GEOMETRY

    def find(self, scan: Scan, nominal: Mapping[str, float], mask_of: str | None = None) -> CellFrame:
        """Locate axis, straight part, roll and ends; see the module's docstring for the model.

        Raises
        ------
        NotMeasurable
            When no closed, round can is in view; the reason says what was seen instead.
        SaturatedScan, InvertedScan
            When none stands out, since the image is saturated, or since metal is dark in it.
        """
        try:
            return _find(scan, mask_of)
        except NotMeasurable as upright:
            if mask_of is None and _is_inverted(scan):
                raise InvertedScan(
                    "no can was found: the scan is inverted, with metal dark and air bright; "
                    "save it again with metal bright"
                ) from upright
            lying = None if mask_of else _lies_along(scan)
            if lying is None:
                raise
            raise NotMeasurable(
                f"the cell lies along the volume's {lying} axis; "
                "reslice the scan so that its slices run across the cell"
            ) from upright


def _find(scan: Scan, mask_of: str | None) -> CellFrame:
    level = MASK_LEVEL if mask_of else cell_level(scan)
    step = max(1, -(-scan.shape[0] // MAX_OUTLINE_SLICES))
    outlines = outlines_in(scan, range(0, scan.shape[0], step), level)
    straight = straight_run(outlines, max(scan.voxel_size_mm[1:]))
    if not straight:
        cut = any(o.cut > HARDLY_CUT for o in outlines)
        raise NotMeasurable(
            "no can was found: no slice shows a closed round outline"
            + (" (the cell runs out of the image)" if cut else "")
        )
    if mask_of is None:
        _require_all_inside(scan, straight, level)
        _require_no_empty_slice(scan, outlines, step)
    frame = _of_outlines(scan, outlines, straight, step)
    if mask_of == "electrode":
        return _of_electrode(frame)
    if mask_of == "canister":
        return dataclasses.replace(frame, can_grey=1.0)
    frame = dataclasses.replace(frame, can_grey=_wall_grey(scan, frame))
    roll = find_roll(scan, frame)
    if roll is None:
        return frame
    frame = dataclasses.replace(frame, roll_mm=roll.z_mm, roll_pitch_mm=roll.pitch_mm)
    ends, warnings = name_ends(scan, frame, outlines)
    return dataclasses.replace(frame, ends=ends, warnings=warnings)


def _of_outlines(scan: Scan, outlines: list[Outline], straight: list[Outline], step: int) -> CellFrame:
    """The frame as far as the outlines tell it: axis, radius and the heights at which the can is seen."""
    k = np.array([o.slice_index for o in straight], dtype=float)
    centres = np.array([(o.x_mm, o.y_mm) for o in straight])
    line = AxisLine.estimate(k * scan.voxel_size_mm[0], centres)
    dz = scan.voxel_size_mm[0] / line.direction[2]
    half = 0.5 * step * dz
    radius = float(np.median([o.radius_mm for o in straight]))
    seen = [o.slice_index for o in outlines if o.radius_mm > SEEN_RADIUS * radius]
    return CellFrame(
        origin_mm=line.origin_mm,
        axis=line.direction,
        voxel_mm=scan.voxel_size_mm,
        shape=scan.shape,
        outer_radius_mm=radius,
        straight_mm=(straight[0].slice_index * dz - half, straight[-1].slice_index * dz + half),
        roll_mm=None,
        seen_mm=(seen[0] * dz - half, seen[-1] * dz + half),
        tilt_sigma_deg=line.tilt_sigma_deg,
        axis_residual_mm=line.residual_mm,
        outline_missing=float(np.mean([o.cut for o in straight])),
    )


def _of_electrode(frame: CellFrame) -> CellFrame:
    """The frame of a mask of the electrode: no can, and roll from the first slice to the last."""
    z = frame.z_grid_mm()
    half = 0.5 * frame.voxel_mm[0]
    whole = (float(z[0] - half), float(z[-1] + half))
    return dataclasses.replace(
        frame, outer_radius_mm=None, straight_mm=None, roll_mm=whole, seen_mm=None, can_grey=1.0
    )


# --- what is no upright can --------------------------------------------------------------------------------


def _lies_along(scan: Scan) -> str | None:
    """The volume's other axis along which a can is found, if there is one."""
    volume, size = _thinned(scan)
    for name, order in (("y", (1, 0, 2)), ("x", (2, 1, 0))):
        turned = dataclasses.replace(
            scan,
            slices=ArraySlices(np.transpose(volume, order)),
            voxel_size_mm=(size[order[0]], size[order[1]], size[order[2]]),
        )
        try:
            frame = _find(turned, None)
        except NotMeasurable:
            continue
        if frame.outline_missing < HARDLY_CUT:
            return name
    return None


def _is_inverted(scan: Scan) -> bool:
    """Whether a can is found when bright is taken for dark."""
    volume, size = _thinned(scan)
    lowest, highest = volume.min(), volume.max()
    turned = lowest + (highest - volume) if volume.dtype.kind in "uf" else np.invert(volume)
    try:
        frame = _find(dataclasses.replace(scan, slices=ArraySlices(turned), voxel_size_mm=size), None)
    except NotMeasurable:
        return False
    return frame.outline_missing < HARDLY_CUT


def _thinned(scan: Scan) -> tuple[NDArray[np.generic], tuple[float, float, float]]:
    """Every n-th voxel along each axis, at most :data:`THINNED_VOXELS` of them, and their distance in mm."""
    z, y, x = (-(-count // THINNED_VOXELS) for count in scan.shape)
    _, rows, columns = (-(-count // n) for count, n in zip(scan.shape, (z, y, x), strict=True))
    picked = range(0, scan.shape[0], z)
    volume = np.empty((len(picked), rows, columns), scan.slices.dtype)
    for place, k in enumerate(picked):
        volume[place] = scan.slices[k][::y, ::x]
    dz, dy, dx = scan.voxel_size_mm
    return volume, (z * dz, y * dy, x * dx)


def _require_no_empty_slice(scan: Scan, outlines: list[Outline], step: int) -> None:
    """NotMeasurable where slices within the cell hold nothing: heights across them, and what is in them, are
    unknown."""
    seen = {o.slice_index for o in outlines}
    inside = range(outlines[0].slice_index, outlines[-1].slice_index, step)
    empty = [k for k in inside if k not in seen and np.ptp(scan.slices[k]) == 0]
    if empty:
        raise NotMeasurable(
            f"{len(empty)} slices inside the cell are empty, the first of them number {empty[0] + 1}; "
            "reconstruct or export them again"
        )


def _require_all_inside(scan: Scan, run: list[Outline], level: float) -> None:
    """NotMeasurable where much of what is bright lies outside the outlines: then they are some part's, not
    the can's."""
    dy, dx = scan.voxel_size_mm[1:]
    bright = outside = 0
    for outline in run[:: max(1, len(run) // PROBED)]:
        rows, columns = np.nonzero(scan.slices[outline.slice_index] > level)
        away = np.hypot(rows * dy - outline.y_mm, columns * dx - outline.x_mm)
        bright += rows.size
        limit = OUTSIDE_RADIUS * outline.radius_mm + OUTSIDE_VOXELS * max(dy, dx)
        outside += int(np.count_nonzero(away > limit))
    if outside > LARGEST_OUTSIDE * bright:
        raise NotMeasurable(
            "no can was found: the round outline in the slices holds only a part of what is there"
        )


def _wall_grey(scan: Scan, frame: CellFrame) -> float:
    """Grey level of the can's wall; NotMeasurable where the outline is no can's.

    A can's wall outshines whatever lies inside it. The outermost layer of a bare roll, or the rim of a disc,
    does not.
    """
    assert frame.outer_radius_mm is not None and frame.straight_mm is not None
    r = frame.outer_radius_mm + np.arange(*WALL_BAND_MM, min(frame.voxel_mm[1:]))
    r = r[r > 0]
    z = frame.z_grid_mm()
    inside = z[(z >= frame.straight_mm[0]) & (z <= frame.straight_mm[1])]
    count = min(inside.size, WALL_HEIGHTS)
    pick = inside[np.unique(np.linspace(0, inside.size - 1, count).round().astype(int))]
    band = frame.cylinder(scan, pick, np.arange(0.0, 360.0, WALL_ANGLE_STEP_DEG), r)
    if np.isnan(band).all():
        raise NotMeasurable("no can was found: its outline lies outside the image")
    profile = np.nanmedian(band.reshape(-1, band.shape[-1]), axis=0)
    # Sharp edges overshoot under cubic interpolation.
    profile = np.convolve(profile, np.full(3, 1 / 3), mode="same")
    depth = frame.outer_radius_mm - r
    wall = float(profile[depth < WALL_DEPTH_MM].max())
    deeper = profile[depth >= WITHIN_DEPTH_MM]
    if deeper.size and wall < OUTSHINES * float(deeper.max()):
        _raise_if_saturated(scan, frame, pick)
        raise NotMeasurable("no can was found: the outermost layer is no brighter than what it holds")
    return wall


def _raise_if_saturated(scan: Scan, frame: CellFrame, z_mm: Floats) -> None:
    saturated = _saturated_share(scan, frame, z_mm)
    if saturated > SATURATED:
        raise SaturatedScan(
            f"the image is saturated: {100 * saturated:.0f} % of what lies inside the outline is at the "
            "upper end of the grey scale, so that the can does not stand out; save the scan again with a "
            "wider grey window, or as 16-bit or floating point"
        )


def _saturated_share(scan: Scan, frame: CellFrame, z_mm: Floats) -> float:
    """Share of the voxels inside the outline that have the largest grey of all, at some of the heights."""
    radius = 0.0 if frame.outer_radius_mm is None else frame.outer_radius_mm
    dz, dy, dx = frame.voxel_mm
    inside = []
    for z in z_mm[:: max(1, z_mm.size // SATURATION_HEIGHTS)]:
        image = scan.slices[round(z * frame.axis[2] / dz)]
        x, y = (frame.origin_mm[i] + z * frame.axis[i] for i in (0, 1))
        rows, columns = np.ogrid[: image.shape[0], : image.shape[1]]
        inside.append(image[np.hypot(rows * dy - y, columns * dx - x) < radius])
    grey = np.concatenate(inside)
    return float((grey == grey.max()).mean())
