"""What the report shows of the winding."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from xctrules.core.figures import Figure, ImageFigure, LineChart, Polyline, Table
from xctrules.cylinder.surfaces import CylinderCell, Floats, FoilTrace
from xctrules.pages import colour
from xctrules_winding.noise import running_median
from xctrules_winding.paths import Fits, along

MOST_POINTS = 6000
"""Points of the foil drawn over one image; the record has to stay small."""

BESIDE_ROLL_MM = 0.6
"""How much the unrolled picture shows inside the first turn and outside the last."""

UNROLLED_PIXELS = (400, 720)
"""Height, at most, and width of the unrolled picture."""

SLICE_HALF = 280
"""Half the side of the picture of a slice, in its pixels; the cell's axis is in the middle."""

AROUND_ROLL_MM, AROUND_CAN = 0.5, 1.03
"""How far the slice reaches beyond the roll, and beyond the can as a factor, whichever is more."""

ROW_PIXELS = 10
"""Height of a turn in the map of errors."""

NARROW = 3
"""Columns of the running median that tells the worst place from a single stray one."""

HEADROOM = 255 / 230
"""The roll's own range of greys ends this far below white, so that what is brighter still shows."""


def figures(cell: CylinderCell, foil: FoilTrace, fits: Fits) -> list[Figure]:
    """Unrolled winding, slice, error map, chart and table, worst place first where one has a place."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows of turns that are not full
        error = np.nanmedian(fits.error_mm, axis=0)
        radius = np.nanmedian(foil.radius_mm, axis=0)
    return [
        _unrolled(cell, foil, radius, error),
        _error_map(foil, error),
        _slice(cell, foil, radius, error),
        _error_chart(fits),
        _table(fits),
    ]


def to_grey(image: NDArray[np.float32], roll: NDArray[np.float32]) -> NDArray[np.uint8]:
    """8-bit picture with the range of greys of ``roll``, a part of it; the can may be cut off at white."""
    from skimage.exposure import rescale_intensity

    good = roll[np.isfinite(roll)]
    low, high = (float(q) for q in np.percentile(good, [1, 99])) if good.size else (0.0, 1.0)
    limits = (low, low + (high - low) * HEADROOM)
    known = np.nan_to_num(image, nan=low)
    return np.asarray(rescale_intensity(known, in_range=limits, out_range=np.uint8), dtype=np.uint8)


def _worst_place(error: Floats) -> tuple[int, int] | None:
    """Turn and column of the largest error (nturns, nt); ``None`` where there is none."""
    if not np.isfinite(error).any():
        return None
    turn, column = np.unravel_index(int(np.nanargmax(np.abs(running_median(error, NARROW)))), error.shape)
    return int(turn), int(column)


def _middle_height(foil: FoilTrace) -> float:
    return float(foil.z_mm[foil.z_mm.size // 2])


# --- the roll, unrolled ------------------------------------------------------------------------------------


def _unrolled(cell: CylinderCell, foil: FoilTrace, radius: Floats, error: Floats) -> ImageFigure:
    """Angle across, radius upward, at one height."""
    height, width = UNROLLED_PIXELS
    z = _middle_height(foil)
    low = max(0.0, float(np.nanmin(radius)) - BESIDE_ROLL_MM)
    high = float(np.nanmax(radius)) + BESIDE_ROLL_MM
    step = max(max(cell.frame.voxel_mm[1:]), (high - low) / height)
    r = np.arange(high, low, -step)  # outward is up
    theta = np.arange(width) * (360.0 / width)
    image = cell.frame.cylinder(cell.scan, z_mm=np.array([z]), theta_deg=theta, r_mm=r[::-1])[0].T[::-1]
    return ImageFigure(
        id="winding-unrolled",
        title="The roll, unrolled",
        caption=(
            f"Grey values at z = {z:.2f} mm, angle across, radius upward, with the {foil.followed} as it was "
            "followed (median over all heights). In a sound roll all lines run nearly straight and parallel. "
            "Look for waves that the inner turns share and the outer ones do not: a buckled core. A step "
            "that all turns outside one place share is a tab or a film's end below them. The line must lie "
            "on the foil everywhere; where it leaves it, do not trust the figures of that turn."
        ),
        alt=f"Unrolled cross-section of the roll with {len(radius)} turns of the followed foil drawn over it",
        image=to_grey(image, image),
        overlays=_unrolled_lines(foil, radius, error, width / 360.0, high, step),
        x_axis=("angle, degrees", 0.0, float(theta[-1])),
        y_axis=("radius, mm", float(r[0]), float(r[-1])),
    )


def _unrolled_lines(
    foil: FoilTrace, radius: Floats, error: Floats, per_degree: float, top_mm: float, step_mm: float
) -> tuple[Polyline, ...]:
    """Each turn as a line, and the worst place; ``per_degree`` and ``step_mm`` are the picture's pixels."""

    def at(theta_deg: Floats, radius_mm: Floats) -> Floats:
        points = np.stack([theta_deg * per_degree, (top_mm - radius_mm) / step_mm], axis=1)
        points[~np.isfinite(points[:, 1])] = np.nan
        return points

    columns = np.arange(0, radius.shape[1], max(1, -(-radius.size // MOST_POINTS)))
    lines = [
        Polyline(at(foil.theta_deg[columns], turn[columns]), "anode", "followed foil" if k == 0 else "")
        for k, turn in enumerate(radius)
    ]
    worst = _worst_place(error)
    if worst is not None:
        turn, column = worst
        point = at(foil.theta_deg[[column]], radius[turn, [column]])
        lines.append(Polyline(point, "worst", f"largest error, turn {turn}", marker=True))
    return tuple(lines)


# --- the roll, in a slice ----------------------------------------------------------------------------------


def _slice(cell: CylinderCell, foil: FoilTrace, radius: Floats, error: Floats) -> ImageFigure:
    """A cut across the cell's axis, in the cell's own plane, with the foil as one line from end to end."""
    z = _middle_height(foil)
    outer = float(np.nanmax(radius))
    extent = max(outer + AROUND_ROLL_MM, (cell.frame.outer_radius_mm or 0.0) * AROUND_CAN)
    step = extent / SLICE_HALF
    index = (np.arange(2 * SLICE_HALF + 1) - SLICE_HALF) * step
    x, y = np.meshgrid(index, index)
    image = _cut(cell, z, x, y, step)
    return ImageFigure(
        id="winding-slice",
        title="The roll in cross-section",
        caption=(
            f"Slice at z = {z:.2f} mm with the followed foil as one line from its inner to its outer end. "
            "Look at the innermost turns: they should be round and keep their distance. A dent or fold "
            "towards the middle is a collapsing core."
        ),
        alt=f"Axial slice of the cell with the spiral of the followed foil, {len(radius)} turns",
        image=to_grey(image, image[np.hypot(x, y) < outer]),
        pixel_mm=(step, step),
        overlays=_slice_lines(foil, radius, error, step),
    )


def _cut(cell: CylinderCell, z_mm: float, x: Floats, y: Floats, step_mm: float) -> NDArray[np.float32]:
    """Grey at places (n, n) of the plane across the axis, out of the slice that lies nearest on the axis."""
    import cv2

    frame = cell.frame
    _, ys, xs = frame.to_voxel(z_mm, np.rad2deg(np.arctan2(y, x)), np.hypot(x, y))
    k = int(np.clip(round(float(frame.to_voxel(z_mm, 0.0, 0.0)[0])), 0, cell.scan.shape[0] - 1))
    plane = np.asarray(cell.scan.slices[k], dtype=np.float32)
    shrink = max(1, int(step_mm / max(frame.voxel_mm[1:])))
    if shrink > 1:  # average what the picture's pixels would skip
        plane = cv2.blur(plane, (shrink, shrink))
    image = cv2.remap(plane, xs.astype(np.float32), ys.astype(np.float32), cv2.INTER_LINEAR)
    return np.asarray(image, dtype=np.float32)


def _slice_lines(foil: FoilTrace, radius: Floats, error: Floats, step_mm: float) -> tuple[Polyline, ...]:
    """The foil as one line, and the worst place, in pixels of the slice."""

    def at(theta_deg: Floats, radius_mm: Floats) -> Floats:
        angle = np.deg2rad(theta_deg)
        x, y = radius_mm * np.cos(angle), radius_mm * np.sin(angle)
        return np.stack([SLICE_HALF + x / step_mm, SLICE_HALF + y / step_mm], axis=1)

    theta = np.broadcast_to(foil.theta_deg, radius.shape)
    points = at(along(theta, foil).ravel(), along(radius, foil).ravel())
    lines = [Polyline(points[:: max(1, -(-radius.size // MOST_POINTS))], "anode", "followed foil")]
    worst = _worst_place(error)
    if worst is not None:
        turn, column = worst
        point = at(foil.theta_deg[[column]], radius[turn, [column]])
        lines.append(Polyline(point, "worst", f"largest error, turn {turn}", marker=True))
    return tuple(lines)


# --- errors ------------------------------------------------------------------------------------------------


def _error_map(foil: FoilTrace, error: Floats) -> ImageFigure:
    full = np.flatnonzero(np.isfinite(error).any(axis=1))
    rows = error[full][::-1]
    limit = float(np.nanmax(np.abs(rows))) if rows.size else 1.0
    image = np.repeat(colour.diverging(rows, max(limit, 1e-6)), ROW_PIXELS, axis=0)
    worst = _worst_place(error)
    overlays: tuple[Polyline, ...] = ()
    if worst is not None:
        row = int(np.flatnonzero(full[::-1] == worst[0])[0])
        at = np.array([[float(worst[1]), (row + 0.5) * ROW_PIXELS - 0.5]])
        overlays = (
            Polyline(at, "worst", f"turn {worst[0]}, {foil.theta_deg[worst[1]]:.0f} degrees", marker=True),
        )
    return ImageFigure(
        id="winding-error-map",
        title="Distance of each turn from its ideal path",
        caption=(
            "One row for each full turn, the innermost at the bottom; median over the heights. Orange lies "
            "too far out, blue too far in. A pattern that runs through all rows alike is the roll's shape (a "
            "tab, an oval winding); a patch that fades outward from the innermost rows is a buckle."
        ),
        alt=f"Colour map of the winding error, {rows.shape[0]} turns by angle, within {limit:.3f} mm",
        image=np.asarray(image, dtype=np.uint8),
        overlays=overlays,
        value_range=(-limit, limit),
        value_label="radial error, mm",
        colour_map="diverging",
        x_axis=("angle, degrees", 0.0, float(foil.theta_deg[-1])),
        y_axis=("turn", float(full[-1]) if full.size else 0.0, float(full[0]) if full.size else 0.0),
    )


def _per_turn(fits: Fits) -> tuple[Floats, Floats]:
    """RMS and largest error (nturns,) over angles and heights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        rms = np.sqrt(np.nanmean(fits.error_mm**2, axis=(0, 2)))
        largest = np.nanmax(np.abs(fits.error_mm), axis=(0, 2))
    return np.asarray(rms), np.asarray(largest)


def _error_chart(fits: Fits) -> LineChart:
    rms, largest = _per_turn(fits)
    turn = np.arange(rms.size, dtype=float)
    return LineChart(
        id="winding-error-turns",
        title="Error of each turn",
        caption=(
            "Turns count from the centre. In a sound roll both lines are low and flat. A rise towards the "
            "first turns is a core that gives way; a single high turn is a crease."
        ),
        alt="Root-mean-square and largest error against the number of the turn",
        series=(("root mean square", "anode", turn, rms), ("largest", "worst", turn, largest)),
        x_label="turn",
        y_label="error, mm",
    )


def _table(fits: Fits) -> Table:
    rms, largest = _per_turn(fits)
    mean = np.mean([fit.straight.mean_mm for fit in fits.heights], axis=0)
    slope = np.mean([fit.straight.slope_mm for fit in fits.heights], axis=0)
    rows = tuple(
        (int(k), float(mean[k]), float(slope[k]), float(rms[k]), float(largest[k]))
        for k in np.flatnonzero(fits.full)
    )
    return Table(
        id="winding-turns",
        title="Turn by turn",
        caption=(
            "Full turns only. Radius about the roll's own centre and advance within the turn from the "
            "turn's straight line; errors from that line, over all angles and heights."
        ),
        columns=("turn", "mean radius, mm", "advance, mm", "RMS error, mm", "largest error, mm"),
        rows=rows,
    )
