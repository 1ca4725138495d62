"""What the report shows of the can: its surface unrolled, the worst slice, the wall round the can."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xctrules.core.figures import Figure, ImageFigure, LineChart, Polyline
from xctrules.core.measurement import Measurement
from xctrules.cylinder.surfaces import CanSurface, CylinderCell
from xctrules.pages.colour import diverging
from xctrules_canister.form import Floats
from xctrules_canister.maps import Maps

MAP_PIXELS = (160, 720)
"""Height that the map is enlarged to, and width that it is thinned to."""

SLICE_PIXELS = 800
"""Side that a slice is averaged down to."""

MARGIN_PX = 6
"""Voxels of the slice that are shown beyond the outermost contour."""

LINE_POINTS = 360
"""Points of a contour or a chart's line at most, about: the record has to stay small."""


def draw(
    surface: CanSurface, maps: Maps, cell: CylinderCell, measured: Mapping[str, Measurement]
) -> list[Figure]:
    """Map, slice and chart; the slice is that of the deepest dent, or else of the largest ovality."""
    dent, ovality = measured["canister.dent_depth"], measured["canister.ovality"]
    where = dent.worst_at or ovality.worst_at or {"z_mm": float(maps.z_mm[maps.z_mm.size // 2])}
    row = int(np.argmin(np.abs(maps.z_mm - where["z_mm"])))
    return [
        _deviation_map(maps, dent),
        _slice(surface, maps, cell, row, dent if dent.worst_at else None),
        _wall_chart(maps),
    ]


def _every(size: int, most: int) -> int:
    """Step at which about ``most`` of ``size`` are left; 1 where there are no more."""
    return max(1, -(-size // most))


def _deviation_map(maps: Maps, dent: Measurement) -> ImageFigure:
    # One voxel at least, so that noise is not blown up to look like damage.
    finite = np.abs(maps.deviation[np.isfinite(maps.deviation)])
    limit = max(maps.voxel_mm, float(finite.max()) if finite.size else 0.0)
    thin = _every(maps.theta_deg.size, MAP_PIXELS[1])
    tall = _every(MAP_PIXELS[0], maps.z_mm.size)
    image = np.repeat(diverging(maps.deviation[:, ::thin], limit), tall, axis=0)
    overlays = []
    if dent.worst_at:
        x = dent.worst_at["theta_deg"] / 360.0 * maps.theta_deg.size / thin
        y = (float(np.argmin(np.abs(maps.z_mm - dent.worst_at["z_mm"]))) + 0.5) * tall - 0.5
        overlays.append(Polyline(np.array([[x, y]]), "worst", "deepest place", marker=True))
    return ImageFigure(
        id="canister-map",
        title="Outer surface against the sound can's ellipse",
        caption=(
            "The can's straight part unrolled: angle across, height down. White lies on the ellipse fitted "
            "to the sound part of the same height. A good can is pale all over. A dent is a blue patch with "
            "a dark middle; blue and orange stripes from top to bottom mean that the can is not round in a "
            "way no ellipse explains; grey marks places where no surface was found."
        ),
        alt="Map over angle and height of the outer surface's distance from the fitted ellipse",
        image=image,
        overlays=tuple(overlays),
        value_range=(-limit, limit),
        value_label="distance from the ellipse, mm (negative is inward)",
        colour_map="diverging",
        x_axis=("angle, degrees", 0.0, 360.0),
        y_axis=("height, mm", float(maps.z_mm[0]), float(maps.z_mm[-1])),
    )


@dataclass(frozen=True)
class _Contour:
    """A line in one slice, by angle: radius from the axis."""

    theta_deg: Floats
    radius_mm: Floats
    role: str
    label: str
    closed: bool = True


def _slice(
    surface: CanSurface, maps: Maps, cell: CylinderCell, row: int, dent: Measurement | None
) -> ImageFigure:
    """The slice of one of the maps' heights, as far as the can reaches in it, with its contours."""
    frame = cell.frame
    z = float(maps.z_mm[row])
    layer = int(np.clip(round(z * frame.axis[2] / frame.voxel_mm[0]), 0, frame.shape[0] - 1))
    contours = [(c, _in_voxels(c, cell, z)) for c in _contours(surface, maps, row, dent)]
    outline = np.concatenate([points for _, points in contours])
    x0, y0 = (max(0, math.floor(v) - MARGIN_PX) for v in np.nanmin(outline, axis=0))
    x1, y1 = (math.ceil(v) + MARGIN_PX + 1 for v in np.nanmax(outline, axis=0))
    crop = np.asarray(cell.scan.slices[layer])[y0:y1, x0:x1]
    bin_by = _every(max(crop.shape), SLICE_PIXELS)
    shift = (bin_by - 1) / 2
    corner = np.array([x0 + shift, y0 + shift])
    what = "the deepest dent" if dent else "the largest ovality"
    return ImageFigure(
        id="canister-slice",
        title=f"Slice with {what}, at {z:.2f} mm",
        caption=(
            f"The slice with {what}, with the can's outer and inner surface as found below the voxel and the "
            "ellipse through the sound part of the outer one. On a good can surface and ellipse are one line "
            "and the two surfaces run side by side. A dent is where the surface leaves the ellipse inward; a "
            "contour that jumps or breaks off shows where the wall was not found."
        ),
        alt=f"Axial slice at {z:.2f} mm with contours of the can's two surfaces and the fitted ellipse",
        image=to_grey(crop, bin_by),
        pixel_mm=(frame.voxel_mm[1] * bin_by, frame.voxel_mm[2] * bin_by),
        overlays=tuple(
            Polyline((points - corner) / bin_by, c.role, c.label, marker=not c.closed, closed=c.closed)
            for c, points in contours
        ),
    )


def _contours(surface: CanSurface, maps: Maps, row: int, dent: Measurement | None) -> list[_Contour]:
    """Both surfaces, the sound can's ellipse where there is one, and the deepest place."""
    theta = maps.theta_deg
    index = int(np.argmin(np.abs(surface.z_mm - maps.z_mm[row])))
    contours = [
        _Contour(theta, surface.outer_mm[index], "can", "outer surface"),
        _Contour(theta, surface.inner_mm[index], "can", "inner surface"),
    ]
    if np.isfinite(maps.ellipses.semi_axes[row]).all():
        x, y = maps.ellipses.predict(np.arange(360.0))[row].T
        contours.append(_Contour(np.rad2deg(np.arctan2(y, x)), np.hypot(x, y), "fit", "sound can's ellipse"))
    if dent and dent.worst_at:
        at = np.array([dent.worst_at["theta_deg"]])
        nearest = [int(np.argmin(np.abs(theta - at)))]
        contours.append(
            _Contour(at, surface.outer_mm[index, nearest], "worst", "deepest place", closed=False)
        )
    return contours


def _in_voxels(contour: _Contour, cell: CylinderCell, z_mm: float) -> Floats:
    """Points (n, 2) of a contour as (x, y) in voxels, thinned to some :data:`LINE_POINTS`."""
    thin = _every(contour.theta_deg.size, LINE_POINTS)
    _, y, x = cell.frame.to_voxel(z_mm, contour.theta_deg[::thin], contour.radius_mm[::thin])
    return np.column_stack([x, y])


def to_grey(plane: NDArray[Any], bin_by: int) -> NDArray[np.uint8]:
    """The slice in 8 bits, averaged over blocks of voxels; its extreme thousandths fill the range."""
    from skimage.exposure import rescale_intensity
    from skimage.measure import block_reduce

    ny, nx = (n // bin_by * bin_by for n in plane.shape)
    values = block_reduce(plane[:ny, :nx].astype(np.float32), (bin_by, bin_by), np.mean)
    limits = tuple(float(q) for q in np.percentile(values, (0.1, 99.9)))
    return np.asarray(rescale_intensity(values, in_range=limits, out_range=np.uint8), dtype=np.uint8)


def _wall_chart(maps: Maps) -> LineChart:
    thin = _every(maps.theta_deg.size, LINE_POINTS)
    theta = maps.theta_deg[::thin]
    wall = maps.wall[:, ::thin]
    known = np.isfinite(wall).any(axis=0)
    nothing = np.full(theta.size, np.nan)
    lines = {}
    for label, statistic in (("mean", np.nanmean), ("thinnest", np.nanmin), ("thickest", np.nanmax)):
        line = nothing.copy()
        if known.any():
            line[known] = statistic(wall[:, known], axis=0)
        lines[label] = np.round(line, 5)
    return LineChart(
        id="canister-wall",
        title="Wall thickness around the can",
        caption=(
            "Thickness normal to the wall at each angle: mean, thinnest and thickest over the height. A "
            "good can shows three flat lines close together. A slow wave in all three is a punch off centre "
            "in the die; a notch in the lowest line alone is a local thin spot; a spike in the highest is "
            "often a weld or something that touches the wall from inside."
        ),
        alt="Lines of mean, smallest and largest wall thickness against angle",
        series=(
            ("mean", "can", theta, lines["mean"]),
            ("thinnest", "worst", theta, lines["thinnest"]),
            ("thickest", "note", theta, lines["thickest"]),
        ),
        x_label="angle, degrees",
        y_label="wall thickness, mm",
    )
