"""What the report shows of the winding."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from xctrules.core.figures import Figure, ImageFigure, LineChart, Polyline, Table
from xctrules.cylinder.surfaces import CylinderCell, Floats, FoilTrace
from xctrules.pages import colour
from xctrules_winding.metric import Fits, smoothed

_MAX_POINTS = 6000
"""Points of the foil drawn over one image; the record has to stay small."""


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
        _table(foil, fits),
    ]


def _grey(image: NDArray[np.float32], roll: NDArray[np.float32]) -> NDArray[np.uint8]:
    """8-bit picture with the roll's own range of greys; the can may be cut off at white."""
    good = roll[np.isfinite(roll)]
    low, high = np.percentile(good, [1, 99]) if good.size else (0.0, 1.0)
    scaled = (np.nan_to_num(image, nan=low) - low) * (230.0 / max(float(high - low), 1e-9))
    return np.clip(scaled, 0, 255).astype(np.uint8)


def _worst_place(error: Floats) -> tuple[int, int] | None:
    if not np.isfinite(error).any():
        return None
    turn, column = np.unravel_index(int(np.nanargmax(np.abs(smoothed(error, 3)))), error.shape)
    return int(turn), int(column)


def _unrolled(cell: CylinderCell, foil: FoilTrace, radius: Floats, error: Floats) -> ImageFigure:
    pixel = max(cell.frame.voxel_mm[1:])
    z = float(foil.z_mm[foil.z_mm.size // 2])
    low = max(0.0, float(np.nanmin(radius)) - 0.6)
    high = float(np.nanmax(radius)) + 0.6
    step = max(pixel, (high - low) / 400)
    r = np.arange(high, low, -step)  # outward is up
    theta = np.arange(720) * 0.5
    image = cell.frame.cylinder(cell.scan, z_mm=np.array([z]), theta_deg=theta, r_mm=r[::-1])[0].T[::-1]
    turns, nt = radius.shape
    stride = max(1, -(-turns * nt // _MAX_POINTS))
    columns = np.arange(0, nt, stride)
    overlays = []
    for k in range(turns):
        points = np.stack([foil.theta_deg[columns] * 2.0, (high - radius[k, columns]) / step], axis=1)
        points[~np.isfinite(points[:, 1])] = np.nan
        overlays.append(Polyline(points, "anode", "followed foil" if k == 0 else ""))
    worst = _worst_place(error)
    if worst is not None:
        at = np.array([[foil.theta_deg[worst[1]] * 2.0, (high - radius[worst]) / step]])
        overlays.append(Polyline(at, "worst", f"largest error, turn {worst[0]}", marker=True))
    return ImageFigure(
        id="winding-unrolled",
        title="The roll, unrolled",
        caption=(
            f"Grey values at z = {z:.2f} mm, angle across, radius upward, with the {foil.followed} as it was "
            "followed (median over all heights). In a sound roll all lines run nearly straight and "
            "parallel. Look for "
            "waves that the inner turns share and the outer ones do not: a buckled core. A step that all "
            "turns outside "
            "one place share is a tab or a film's end below them. The line must lie on the foil "
            "everywhere; where it "
            "leaves it, do not trust the figures of that turn."
        ),
        alt=f"Unrolled cross-section of the roll with {turns} turns of the followed foil drawn over it",
        image=_grey(image, image),
        overlays=tuple(overlays),
        x_axis=("angle, degrees", 0.0, 359.5),
        y_axis=("radius, mm", float(r[0]), float(r[-1])),
    )


def _error_map(foil: FoilTrace, error: Floats) -> ImageFigure:
    full = np.flatnonzero(np.isfinite(error).any(axis=1))
    rows = error[full][::-1]
    limit = float(np.nanmax(np.abs(rows))) if rows.size else 1.0
    image = np.repeat(colour.diverging(rows, max(limit, 1e-6)), 10, axis=0)
    worst = _worst_place(error)
    overlays: tuple[Polyline, ...] = ()
    if worst is not None:
        row = int(np.flatnonzero(full[::-1] == worst[0])[0])
        at = np.array([[float(worst[1]), row * 10 + 4.5]])
        overlays = (
            Polyline(at, "worst", f"turn {worst[0]}, {foil.theta_deg[worst[1]]:.0f} degrees", marker=True),
        )
    return ImageFigure(
        id="winding-error-map",
        title="Distance of each turn from its ideal path",
        caption=(
            "One row for each full turn, the innermost at the bottom; median over the heights. Orange lies"
            " too far out, "
            "blue too far in. A pattern that runs through all rows alike is the roll's shape (a tab, an "
            "oval winding); "
            "a patch that fades outward from the innermost rows is a buckle."
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


def _slice(cell: CylinderCell, foil: FoilTrace, radius: Floats, error: Floats) -> ImageFigure:
    """A cut across the cell's axis, in the cell's own plane, with the foil as one line from end to end."""
    import cv2

    frame = cell.frame
    extent = float(np.nanmax(radius)) + 0.5
    if frame.outer_radius_mm is not None:
        extent = max(extent, frame.outer_radius_mm * 1.03)
    half = 280
    step = extent / half
    z = float(foil.z_mm[foil.z_mm.size // 2])
    index = (np.arange(2 * half + 1) - half) * step
    x, y = np.meshgrid(index, index)
    _, ys, xs = frame.to_voxel(z, np.rad2deg(np.arctan2(y, x)), np.hypot(x, y))
    k = int(np.clip(round(float(frame.to_voxel(z, 0.0, 0.0)[0])), 0, cell.scan.shape[0] - 1))
    plane = np.asarray(cell.scan.slices[k], dtype=np.float32)
    shrink = max(1, int(step / max(frame.voxel_mm[1:])))
    if shrink > 1:  # average what the picture's pixels would skip
        plane = cv2.blur(plane, (shrink, shrink))
    image = cv2.remap(plane, xs.astype(np.float32), ys.astype(np.float32), cv2.INTER_LINEAR)
    roll = np.hypot(x, y) < float(np.nanmax(radius))

    along = radius if foil.handedness > 0 else radius[:, ::-1]
    theta = foil.theta_deg if foil.handedness > 0 else foil.theta_deg[::-1]
    line = along.ravel()
    angle = np.deg2rad(np.tile(theta, radius.shape[0]))
    stride = max(1, -(-line.size // _MAX_POINTS))
    points = np.stack([half + line * np.cos(angle) / step, half + line * np.sin(angle) / step], axis=1)[
        ::stride
    ]
    overlays = [Polyline(points, "anode", "followed foil")]
    worst = _worst_place(error)
    if worst is not None:
        t = np.deg2rad(foil.theta_deg[worst[1]])
        at = half + radius[worst] / step * np.array([[np.cos(t), np.sin(t)]])
        overlays.append(Polyline(at, "worst", f"largest error, turn {worst[0]}", marker=True))
    return ImageFigure(
        id="winding-slice",
        title="The roll in cross-section",
        caption=(
            f"Slice at z = {z:.2f} mm with the followed foil as one line from its inner to its outer end. "
            "Look at the "
            "innermost turns: they should be round and keep their distance. A dent or fold towards the "
            "middle is a "
            "collapsing core."
        ),
        alt=f"Axial slice of the cell with the spiral of the followed foil, {radius.shape[0]} turns",
        image=_grey(image, image[roll]),
        pixel_mm=(step, step),
        overlays=tuple(overlays),
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
            "first turns is a "
            "core that gives way; a single high turn is a crease."
        ),
        alt="Root-mean-square and largest error against the number of the turn",
        series=(("root mean square", "anode", turn, rms), ("largest", "worst", turn, largest)),
        x_label="turn",
        y_label="error, mm",
    )


def _table(foil: FoilTrace, fits: Fits) -> Table:
    rms, largest = _per_turn(fits)
    mean = np.mean([t.mean_mm for t in fits.turns], axis=0)
    slope = np.mean([t.slope_mm for t in fits.turns], axis=0)
    rows = tuple(
        (int(k), float(mean[k]), float(slope[k]), float(rms[k]), float(largest[k]))
        for k in np.flatnonzero(fits.full)
    )
    return Table(
        id="winding-turns",
        title="Turn by turn",
        caption=(
            "Full turns only. Radius about the roll's own centre and advance within the turn from the "
            "turn's straight "
            "line; errors from that line, over all angles and heights."
        ),
        columns=("turn", "mean radius, mm", "advance, mm", "RMS error, mm", "largest error, mm"),
        rows=rows,
    )
