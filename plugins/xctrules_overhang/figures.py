"""What the report shows of the overhang at one end, worst place first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.core.figures import Figure, Histogram, ImageFigure, Polyline, Table
from xctrules.cylinder.surfaces import MEASURED, CylinderCell, EndEdges
from xctrules.pages.colour import sequential
from xctrules_overhang.end_values import EndValues
from xctrules_overhang.lengths import STATED_LENGTH_MM, Floats

BESIDE_MM = 0.9
"""How much is shown below the lowest cathode edge and above the highest tip."""

BEYOND_CAN_MM = 0.3
"""How much is shown beyond the can's radius."""

NEAR_ZERO_MM = 0.3
"""A shortest overhang below this has zero marked in the histogram: it would stretch the axis of others."""

FACE = np.array([0.22, 0.78])
"""Where between two foils a cathode's edge is drawn, in pitches from the foil: its coating, roughly."""

NOTHING = np.empty((0, 2))
"""A line without a point."""

BRIGHT_SHARE, BRIGHT_HEADROOM = 0.6, 1.15
"""Greys above the first, as a share of the range, are steel; the image reaches this far above all others."""

MAP_PIXELS = (240, 720)
"""Least height and width of the map: places are drawn larger until they fill it."""


def draw(cell: CylinderCell, end: EndValues) -> list[Figure]:
    """Planes, map, histograms and table for one end."""
    name, length = end.edges.end, end.length.each
    worst = int(np.unravel_index(np.nanargmin(length), length.shape)[1])
    opposite = (worst + length.shape[1] // 2) % length.shape[1]
    return [
        _plane(cell, end, worst, f"overhang-{name}-plane-worst", "with the shortest overhang"),
        _plane(cell, end, opposite, f"overhang-{name}-plane-opposite", "opposite"),
        _map(end.edges, length),
        _lengths(end),
        _deflections(end),
        _base_heights(end),
        _table(end),
    ]


def _lengths(end: EndValues) -> Histogram:
    name, length = end.edges.end, end.length.each
    return Histogram.of(
        length,
        id=f"overhang-{name}-length",
        title=f"Overhang length, {name} end",
        x_label="overhang",
        unit="mm",
        marks=(("no overhang", 0.0),) if np.nanmin(length) < NEAR_ZERO_MM else (),
        caption="All turns and angles. A sound cell gives a narrow hump well to the right of zero; values "
        "left of zero are places where the cathode reaches beyond the anode and lithium can plate.",
        alt=f"Histogram of the overhang lengths at the {name} end",
    )


def _deflections(end: EndValues) -> Histogram:
    name = end.edges.end
    return Histogram.of(
        end.deflection.each,
        id=f"overhang-{name}-deflection",
        title=f"Deflection of the free foil, {name} end",
        x_label="deflection, outward positive",
        unit="deg",
        caption="Lean of the free anode against the cell's axis. A common lean comes from the bead or the "
        "winding; single foils far out of the hump are bent and may touch their neighbours.",
        alt=f"Histogram of the foils' lean at the {name} end",
    )


def _base_heights(end: EndValues) -> Histogram:
    name, base = end.edges.end, end.base.each
    return Histogram.of(
        base - np.nanmean(base),
        id=f"overhang-{name}-base",
        title=f"Height of the cathode's edge, {name} end",
        x_label="height above the mean",
        unit="mm",
        caption="How evenly the cathode was wound. A wide or two-humped distribution means that the winding "
        "wandered or telescoped.",
        alt=f"Histogram of the cathode edge heights at the {name} end",
    )


# --- one half-plane ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cut:
    """One half-plane, sampled: grey (nz, nr), the end's outside at the top, on square pixels."""

    grey: NDArray[np.float32]
    z_mm: Floats
    r_mm: Floats
    pixel_mm: float

    def at(self, z_mm: Floats, r_mm: Floats) -> Floats:
        """Pixel coordinates (..., 2), x and y, of places in the plane."""
        return np.stack([r_mm / self.pixel_mm, np.abs(z_mm - self.z_mm[0]) / self.pixel_mm], axis=-1)


def _plane(cell: CylinderCell, end: EndValues, angle: int, figure_id: str, which: str) -> ImageFigure:
    """One half-plane through the axis with the edges found in it."""
    edges = end.edges
    theta = float(edges.theta_deg[angle])
    cut = _cut(cell, edges, theta)
    return ImageFigure(
        id=figure_id,
        title=f"Half-plane at {theta:.0f} degrees, {edges.end} end, {which}",
        caption="From the axis (left) to the can (right), the end's outside on top. Each foil's line should "
        "rise clear above the cathode edges on both its sides; a foil that ends below one of them is the "
        "fault to look for." + _shortest(end.length.each[:, angle]),
        alt=f"Plane through the axis at {theta:.0f} degrees with the edges of anode and cathode marked",
        image=to_grey(cut.grey),
        pixel_mm=(cut.pixel_mm, cut.pixel_mm),
        overlays=_edges_in(cut, edges, angle, cell.frame.roll_pitch_mm),
        x_axis=("distance from the axis (mm)", float(cut.r_mm[0]), float(cut.r_mm[-1])),
        y_axis=("height (mm)", float(cut.z_mm[0]), float(cut.z_mm[-1])),
    )


def _cut(cell: CylinderCell, edges: EndEdges, theta_deg: float) -> _Cut:
    """Sample from the axis to the can, about all edges of the end."""
    frame = cell.frame
    assert frame.outer_radius_mm is not None
    heights = np.concatenate([edges.anode_z_mm.ravel(), edges.cathode_z_mm.ravel()])
    grid, pixel = frame.z_grid_mm(), min(frame.voxel_mm[1:])
    low = max(float(np.nanmin(heights)) - BESIDE_MM, float(grid[0]))
    high = min(float(np.nanmax(heights)) + BESIDE_MM, float(grid[-1]))
    z = np.arange(low, high, pixel)
    z = z[::-1] if edges.outward > 0 else z
    r = np.arange(0.0, frame.outer_radius_mm + BEYOND_CAN_MM, pixel)
    return _Cut(frame.cylinder(cell.scan, z, np.array([theta_deg]), r)[:, 0], z, r, pixel)


def _edges_in(cut: _Cut, edges: EndEdges, angle: int, usual_pitch_mm: float) -> tuple[Polyline, ...]:
    """Cathode edges, free foils and their tips, as far as there are any."""
    foils, tips, base_r = [], [], np.full(edges.state.shape[0], np.nan)
    measured = np.flatnonzero(edges.state[:, angle] == MEASURED)
    for k in measured:
        known = np.isfinite(edges.path_z_mm[k, angle])
        if known.any():
            z, r = edges.path_z_mm[k, angle, known], edges.path_r_mm[k, angle, known]
            foils.append(cut.at(z, r))
            base_r[k] = r[np.argmin(edges.outward * z)]
            tips.append(cut.at(edges.anode_z_mm[[k], angle], r[[np.argmax(edges.outward * z)]]))
    between = np.diff(base_r)
    pitch = float(np.nanmedian(between)) if np.isfinite(between).any() else usual_pitch_mm
    faces = [
        cut.at(np.full(2, z_edge), base_r[k] + side * pitch * FACE)
        for k in measured[np.isfinite(base_r[measured])]
        for side, z_edge in zip((-1, 1), edges.cathode_z_mm[:, k, angle], strict=True)
        if np.isfinite(z_edge)
    ]
    return tuple(
        Polyline(points, role, label, marker)
        for points, role, label, marker in (
            (_broken(faces), "cathode", "cathode edge", False),
            (_broken(foils), "anode", "free copper foil", False),
            (np.concatenate(tips or [NOTHING]), "anode", "anode edge", True),
        )
        if points.size
    )


def _broken(parts: list[Floats]) -> Floats:
    """Parts of one line (n, 2), with a row of NaN between them."""
    gap = np.full((1, 2), np.nan)
    return np.concatenate([rows for part in parts for rows in (part, gap)] or [NOTHING])


def _shortest(length: Floats) -> str:
    """A sentence about the shortest overhang (nturns,) of one half-plane; none where it has none."""
    if not np.isfinite(length).any():
        return ""
    turn = int(np.nanargmin(length))
    return (
        f" The shortest overhang in it is {length[turn]:.3f} mm, at turn {turn}: one place by itself, with "
        "its noise. overhang.length.min, by which a rule decides, is a mean over "
        f"{STATED_LENGTH_MM:g} mm of foil or more, freed of noise, and so mostly somewhat longer."
    )


def to_grey(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Grey image that spreads the electrodes' contrast and lets the steel saturate."""
    from skimage.exposure import rescale_intensity

    finite = values[np.isfinite(values)]
    low, high = (float(q) for q in np.percentile(finite, (1, 99))) if finite.size else (0.0, 1.0)
    electrodes = finite[finite < low + BRIGHT_SHARE * (high - low)]
    if electrodes.size > 0.5 * finite.size:  # a wall far brighter than the rest would leave the rest dark
        high = min(high, float(np.percentile(electrodes, 99.5)) * BRIGHT_HEADROOM)
    known = np.nan_to_num(values, nan=low)
    return np.asarray(rescale_intensity(known, in_range=(low, high), out_range=np.uint8), dtype=np.uint8)


# --- all places --------------------------------------------------------------------------------------------


def _map(edges: EndEdges, length: Floats) -> ImageFigure:
    """Overhang over turn and angle as colour."""
    low, high = (float(q) for q in np.nanpercentile(length, (0.5, 99.5)))
    low, high = min(low, float(np.nanmin(length))), max(high, low + 1e-3)
    enlarged = length[::-1]
    for axis, pixels in enumerate(MAP_PIXELS):
        enlarged = np.repeat(enlarged, max(1, pixels // length.shape[axis]), axis=axis)
    return ImageFigure(
        id=f"overhang-{edges.end}-map",
        title=f"Overhang at every turn and angle, {edges.end} end",
        caption="Turn 0 is the innermost. Look for patches that differ from their surroundings: a short "
        "patch on one turn is a fold or a cut; a wave over the angle is a skewed electrode. Grey places were "
        "not measured.",
        alt=f"Colour map of the overhang at the {edges.end} end over turn and angle",
        image=sequential(enlarged, low, high),
        value_range=(low, high),
        value_label="overhang (mm)",
        colour_map="sequential",
        x_axis=("angle (deg)", 0.0, 360.0),
        y_axis=("turn", float(length.shape[0]), 0.0),
    )


def _table(end: EndValues) -> Table:
    rows = [
        (turn, *_row(length[np.isfinite(length)], lean[np.isfinite(lean)]))
        for turn, (length, lean) in enumerate(zip(end.length.each, end.deflection.each, strict=True))
    ]
    return Table(
        id=f"overhang-{end.edges.end}-turns",
        title=f"Turn by turn, {end.edges.end} end",
        caption="Turn 0 is the innermost. A turn that no cathode faces has no overhang.",
        columns=(
            "turn",
            "angles measured",
            "mean (mm)",
            "shortest (mm)",
            "longest (mm)",
            "mean deflection (deg)",
        ),
        rows=tuple(rows),
    )


def _row(length: Floats, lean: Floats) -> tuple[float | None, ...]:
    """What the table says of one turn, after its number."""
    if not length.size:
        return 0, None, None, None, None
    mean_lean = float(lean.mean()) if lean.size else None
    return int(length.size), float(length.mean()), float(length.min()), float(length.max()), mean_lean
