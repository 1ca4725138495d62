"""Presence and outer diameter of the steel tube in the core.

Model: the pin is a round tube of the can's metal, along the cell's axis but not necessarily on it. In the
mean of many heights each half-plane shows its wall as a slab under blur; its outer face is located below the
voxel, and a circle through these points, with a centre of its own, gives the diameter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.core.figures import ImageFigure, Polyline, Samples
from xctrules.core.measurement import Contribution, Measurement, MetricResult
from xctrules.core.names import Description
from xctrules.cylinder.edges import Slabs
from xctrules.cylinder.frame import GEOMETRY
from xctrules.cylinder.surfaces import CylinderCell

PRESENT, DIAMETER = "centre_pin.present", "centre_pin.diameter"

HEIGHTS = 24
"""Heights that are averaged: a tube is the same along the cell, noise is not."""

ANGLES = 180
"""Half-planes: on a pin of 3 mm one for each 50 um, finer than a voxel of most scans is wide."""

REACH = 0.3
"""Radius within which a pin is looked for, as a share of the can's; the roll's turns begin inside it."""

METAL = 0.55
"""Share of the can's grey from which something is taken for metal; electrodes have about 0.4."""

CLOSED = 0.8
"""Share of the angles at which there must be metal for a closed ring."""

MODEL_ERROR_PX = 0.1
"""Half-width of what the slab model may be off by, in voxels; drawn tubes stay well within it."""

DESCRIPTIONS: Mapping[str, Description] = {
    PRESENT: Description("1", "Centre pin", "1 where there is a steel tube in the core, else 0", "larger"),
    DIAMETER: Description("mm", "Pin diameter", "outer diameter of the steel tube in the core", "nominal"),
}


class CentrePinMetric:
    """The centre pin. Bad is: missing, or of another diameter than drawn."""

    geometry = GEOMETRY
    name = "centre_pin"
    title = "Centre pin"
    describes: Mapping[str, Description] = DESCRIPTIONS
    declares: Mapping[str, str] = {name: d.unit for name, d in DESCRIPTIONS.items()}

    def measure(self, cell: CylinderCell) -> MetricResult:
        frame = cell.frame
        if frame.outer_radius_mm is None or frame.roll_mm is None:
            raise NotMeasurable("neither can nor roll is in view, so the core cannot be told")
        z = _heights(frame.roll_mm, frame.voxel_mm[0])
        theta = np.arange(ANGLES) * (360.0 / ANGLES)
        voxel = max(frame.voxel_mm[1:])
        r = np.arange(0.0, REACH * frame.outer_radius_mm, 0.5 * voxel)
        profiles = frame.cylinder(cell.scan, z, theta, r).mean(axis=0)
        outer = _outer_face(profiles, METAL * frame.can_grey)
        if np.isfinite(outer).mean() < CLOSED:
            absent = Measurement.absent(DIAMETER, "mm", "there is no closed metal ring in the core")
            return MetricResult([Measurement(PRESENT, "1", value=0.0), absent])

        radius = outer * (r[1] - r[0])
        x0, y0, size, residual = _circle(radius, theta)
        n = int(np.isfinite(radius).sum())
        budget = (
            scatter_about_the_circle(residual, n, 2 * size, voxel),
            slab_model(voxel),
            cell.scale.contribution(2 * size),
        )
        return MetricResult(
            measurements=[
                Measurement(PRESENT, "1", value=1.0),
                Measurement(DIAMETER, "mm", value=2 * size, budget=budget, n=n),
            ],
            figures=[_section(cell, float(z[z.size // 2]), x0, y0, size)],
            samples=[Samples("centre_pin", {"theta_deg": theta, "radius_mm": radius})],
            parameters={"heights": z.size, "angles": ANGLES, "metal": METAL, "reach": REACH},
        )


def scatter_about_the_circle(residual_mm: float, n: int, diameter_mm: float, voxel_mm: float) -> Contribution:
    """Scatter of n points in twice the mean radius, ``2 s / sqrt(n)``, three unknowns less. Type A.

    Points closer together than the blur share their error; about two voxels apart they do not.
    """
    independent = min(n, math.pi * diameter_mm / (2 * voxel_mm))
    return Contribution(
        "scatter of the outer face about the circle",
        2 * residual_mm / math.sqrt(independent),
        degrees_of_freedom=max(1.0, independent - 3),
    )


def slab_model(voxel_mm: float) -> Contribution:
    """Twice :data:`MODEL_ERROR_PX`, a bound: over sqrt(3). Type B."""
    return Contribution("slab model of the wall", 2 * MODEL_ERROR_PX * voxel_mm / math.sqrt(3), type="B")


def _heights(roll_mm: tuple[float, float], spacing_mm: float) -> NDArray[np.float64]:
    """Heights inside the roll, clear of its edges by a tenth of what is seen."""
    margin = 0.1 * (roll_mm[1] - roll_mm[0])
    count = max(1, min(HEIGHTS, int((roll_mm[1] - roll_mm[0] - 2 * margin) / spacing_mm)))
    return np.linspace(roll_mm[0] + margin, roll_mm[1] - margin, count)


def _outer_face(profiles: NDArray[np.float32], level: float) -> NDArray[np.float64]:
    """Position of the outermost metal's outer face (nt,), in samples; NaN where there is none."""
    metal = profiles > level
    seen = metal.any(axis=1)
    last = metal.shape[1] - 1 - np.argmax(metal[:, ::-1], axis=1)
    # Metal that reaches the end of the profile is no tube in the core.
    seen &= last < metal.shape[1] - 4
    if not seen.any():
        return np.full(len(profiles), np.nan)
    # Walking inward from the face, the wall ends where the grey falls below the level again.
    below = ~metal & (np.arange(metal.shape[1]) < last[:, None])
    first = np.where(below.any(axis=1), metal.shape[1] - 1 - np.argmax(below[:, ::-1], axis=1), 0)
    start_outer = np.where(seen, last + 0.5, np.nan)
    start_inner = np.where(seen, first + 0.5, np.nan)
    return Slabs.estimate(profiles, start_outer, start_inner, blur=2.0, free_blur=True).outer


def _circle(
    radius_mm: NDArray[np.float64], theta_deg: NDArray[np.float64]
) -> tuple[float, float, float, float]:
    """Centre x, y, radius and residual standard deviation of a circle; twice trimmed at 3 sigma."""
    t = np.deg2rad(theta_deg)
    x, y = radius_mm * np.cos(t), radius_mm * np.sin(t)
    good = np.isfinite(radius_mm)
    for _ in range(3):
        design = np.column_stack([2 * x[good], 2 * y[good], np.ones(good.sum())])
        a, b, c = np.linalg.lstsq(design, x[good] ** 2 + y[good] ** 2, rcond=None)[0]
        size = math.sqrt(c + a**2 + b**2)
        distance = np.hypot(x - a, y - b) - size
        spread = float(np.std(distance[good]))
        good = np.abs(distance) <= max(3 * spread, 1e-9)
    return float(a), float(b), size, spread


def _section(cell: CylinderCell, z_mm: float, x0: float, y0: float, size: float) -> ImageFigure:
    """The core in one slice with the circle that was found."""
    frame = cell.frame
    t = np.linspace(0, 2 * np.pi, 181)
    x, y = x0 + size * np.cos(t), y0 + size * np.sin(t)
    k, row, column = frame.to_voxel(z_mm, np.rad2deg(np.arctan2(y, x)), np.hypot(x, y))
    k0 = int(np.clip(round(float(k.mean())), 0, cell.scan.shape[0] - 1))
    half = 1.6 * size / min(frame.voxel_mm[1:])
    top, left = (max(0, int(c.mean() - half)) for c in (row, column))
    image = np.asarray(cell.scan.slices[k0], dtype=float)
    image = image[top : int(row.mean() + half) + 1, left : int(column.mean() + half) + 1]
    low, high = np.percentile(image, (0.5, 99.5))
    grey = np.clip((image - low) / max(high - low, 1e-9) * 255, 0, 255).astype(np.uint8)
    return ImageFigure(
        id="centre_pin-section",
        title=f"The core at z = {z_mm:.2f} mm",
        caption=(
            "The circle should lie on the outer rim of the bright ring. A ring that is open, flattened or "
            "missing, or a circle that leaves it, is a fault of the pin or of this measurement."
        ),
        alt="Slice through the core of the cell with a circle around the centre pin",
        image=grey,
        pixel_mm=(frame.voxel_mm[1], frame.voxel_mm[2]),
        overlays=(Polyline(np.column_stack([column - left, row - top]), "fit", "circle found", closed=True),),
    )
