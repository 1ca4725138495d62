"""What the report shows of the overhang at one end, worst place first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xctrules.core.figures import Figure, Histogram, ImageFigure, Polyline, Table
from xctrules.cylinder.surfaces import MEASURED, CylinderCell, EndEdges
from xctrules.pages.colour import sequential
from xctrules_overhang.lengths import SMOOTHING_ANGLES_DEG, Floats

BESIDE_MM = 0.9
"""How much is shown below the lowest cathode edge and above the highest tip."""


def draw(
    cell: CylinderCell, edges: EndEdges, length: Floats, deflection: Floats, base: Floats
) -> list[Figure]:
    """Planes, map, histograms and table for one end."""
    end = edges.end
    worst = int(np.unravel_index(np.nanargmin(length), length.shape)[1])
    nt = edges.theta_deg.size
    shown: list[Figure] = [
        _plane(cell, edges, length, worst, f"overhang-{end}-plane-worst", "with the shortest overhang"),
        _plane(cell, edges, length, (worst + nt // 2) % nt, f"overhang-{end}-plane-opposite", "opposite"),
        _map(edges, length),
        Histogram.of(
            length, id=f"overhang-{end}-length", title=f"Overhang length, {end} end",
            x_label="overhang", unit="mm",
            marks=(("no overhang", 0.0),) if np.nanmin(length) < 0.3 else (),
            caption="All turns and angles. A sound cell gives a narrow hump well to the right of zero; "
            "values left "
            "of zero are places where the cathode reaches beyond the anode and lithium can plate.",
            alt=f"Histogram of the overhang lengths at the {end} end",
        ),
        Histogram.of(
            deflection, id=f"overhang-{end}-deflection", title=f"Deflection of the free foil, {end} end",
            x_label="deflection, outward positive", unit="deg",
            caption="Lean of the free anode against the cell's axis. A common lean comes from the bead or "
            "the "
            "winding; single foils far out of the hump are bent and may touch their neighbours.",
            alt=f"Histogram of the foils' lean at the {end} end",
        ),
        Histogram.of(
            base - np.nanmean(base), id=f"overhang-{end}-base",
            title=f"Height of the cathode's edge, {end} end",
            x_label="height above the mean", unit="mm",
            caption="How evenly the cathode was wound. A wide or two-humped distribution means that the "
            "winding "
            "wandered or telescoped.",
            alt=f"Histogram of the cathode edge heights at the {end} end",
        ),
        _table(edges, length, deflection),
    ]  # fmt: skip
    return shown


def _plane(
    cell: CylinderCell, edges: EndEdges, length: Floats, angle: int, figure_id: str, which: str
) -> ImageFigure:
    """One half-plane through the axis with the edges found in it; the end's outside is at the top."""
    frame = cell.frame
    assert frame.outer_radius_mm is not None
    heights = np.concatenate([edges.anode_z_mm.ravel(), edges.cathode_z_mm.ravel()])
    low = float(np.nanmin(heights)) - BESIDE_MM
    high = float(np.nanmax(heights)) + BESIDE_MM
    grid = frame.z_grid_mm()
    low, high = max(low, float(grid[0])), min(high, float(grid[-1]))
    pixel = min(frame.voxel_mm[1:])
    z = np.arange(low, high, pixel)
    z = z[::-1] if edges.outward > 0 else z  # the outside on top
    r = np.arange(0.0, frame.outer_radius_mm + 0.3, pixel)
    grey = frame.cylinder(cell.scan, z, edges.theta_deg[[angle]], r)[:, 0]

    def at(z_mm: Floats, r_mm: Floats) -> Floats:
        return np.stack([r_mm / pixel, np.abs(z_mm - z[0]) / pixel], axis=-1)

    theta = float(edges.theta_deg[angle])
    measured = edges.state[:, angle] == MEASURED
    foil, tips, faces = [], [], []
    gap = np.full((1, 2), np.nan)
    base_r = np.full(length.shape[0], np.nan)
    for k in np.flatnonzero(measured):
        known = np.isfinite(edges.path_z_mm[k, angle])
        if known.any():
            foil += [at(edges.path_z_mm[k, angle, known], edges.path_r_mm[k, angle, known]), gap]
            lowest = np.argmin(edges.outward * edges.path_z_mm[k, angle, known])
            highest = np.argmax(edges.outward * edges.path_z_mm[k, angle, known])
            base_r[k] = edges.path_r_mm[k, angle, known][lowest]
            tips.append(at(edges.anode_z_mm[[k], angle], edges.path_r_mm[k, angle, known][[highest]]))
    pitch = (
        float(np.nanmedian(np.diff(base_r))) if np.isfinite(np.diff(base_r)).any() else frame.roll_pitch_mm
    )
    for k in np.flatnonzero(measured & np.isfinite(base_r)):
        for side, z_edge in zip((-1, 1), edges.cathode_z_mm[:, k, angle], strict=True):
            if np.isfinite(z_edge):
                faces += [at(np.full(2, z_edge), base_r[k] + side * pitch * np.array([0.22, 0.78])), gap]
    overlays = [
        Polyline(np.concatenate(parts), role, label, marker)
        for parts, role, label, marker in (
            (faces, "cathode", "cathode edge", False),
            (foil, "anode", "free copper foil", False),
            (tips, "anode", "anode edge", True),
        )
        if parts
    ]
    shortest = ""
    if np.isfinite(length[:, angle]).any():
        k = int(np.nanargmin(length[:, angle]))
        shortest = (
            f" The shortest overhang in it is {length[k, angle]:.3f} mm, at turn {k}: one place by itself, "
            "with its noise. overhang.length.min, by which a rule decides, is a mean over "
            f"{SMOOTHING_ANGLES_DEG:g} degrees, freed of noise, and so mostly somewhat longer."
        )
    return ImageFigure(
        id=figure_id,
        title=f"Half-plane at {theta:.0f} degrees, {edges.end} end, {which}",
        caption="From the axis (left) to the can (right), the end's outside on top. Each foil's line "
        "should rise "
        "clear above the cathode edges on both its sides; a foil that ends below one of them is the fault "
        "to look for." + shortest,
        alt=f"Plane through the axis at {theta:.0f} degrees with the edges of anode and cathode marked",
        image=to_grey(grey),
        pixel_mm=(pixel, pixel),
        overlays=tuple(overlays),
        x_axis=("distance from the axis (mm)", float(r[0]), float(r[-1])),
        y_axis=("height (mm)", float(z[0]), float(z[-1])),
    )


def to_grey(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Grey image that spreads the electrodes' contrast and lets the steel saturate."""
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, (1, 99)) if finite.size else (0.0, 1.0)
    bright = finite[finite < low + 0.6 * (high - low)]
    if bright.size > 0.5 * finite.size:  # a wall far brighter than the rest would leave the rest dark
        high = min(high, float(np.percentile(bright, 99.5)) * 1.15)
    scaled = (np.nan_to_num(values, nan=float(low)) - low) / max(float(high - low), 1e-9)
    return np.clip(scaled * 255, 0, 255).astype(np.uint8)


def _map(edges: EndEdges, length: Floats) -> ImageFigure:
    """Overhang over turn and angle as colour."""
    low, high = (float(q) for q in np.nanpercentile(length, (0.5, 99.5)))
    low, high = min(low, float(np.nanmin(length))), max(high, low + 1e-3)
    rows = np.repeat(length[::-1], max(1, 240 // length.shape[0]), axis=0)
    columns = np.repeat(rows, max(1, 720 // length.shape[1]), axis=1)
    return ImageFigure(
        id=f"overhang-{edges.end}-map",
        title=f"Overhang at every turn and angle, {edges.end} end",
        caption="Turn 0 is the innermost. Look for patches that differ from their surroundings: a short "
        "patch on "
        "one turn is a fold or a cut; a wave over the angle is a skewed electrode. Grey places were not "
        "measured.",
        alt=f"Colour map of the overhang at the {edges.end} end over turn and angle",
        image=sequential(columns, low, high),
        value_range=(low, high),
        value_label="overhang (mm)",
        colour_map="sequential",
        x_axis=("angle (deg)", 0.0, 360.0),
        y_axis=("turn", float(length.shape[0]), 0.0),
    )


def _table(edges: EndEdges, length: Floats, deflection: Floats) -> Table:
    rows = []
    for k in range(length.shape[0]):
        known = np.isfinite(length[k])
        if not known.any():
            rows.append((k, 0, None, None, None, None))
            continue
        lean = deflection[k][np.isfinite(deflection[k])]
        rows.append(
            (k, int(known.sum()), float(length[k][known].mean()), float(length[k][known].min()),
             float(length[k][known].max()), float(lean.mean()) if lean.size else None)
        )  # fmt: skip
    return Table(
        id=f"overhang-{edges.end}-turns",
        title=f"Turn by turn, {edges.end} end",
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
