"""What the report shows of foreign bodies: the largest in its slice, and a list."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from xctrules.core.figures import Figure, ImageFigure, Polyline, Table
from xctrules.cylinder.surfaces import CylinderCell
from xctrules_contamination.sizing import Sized

AROUND_MM = 2.0
"""How far the picture reaches to either side of the body."""

PICTURE = 480
"""Side of the picture in its pixels."""

MOST_ROWS = 20
"""Rows of the list."""

RING = 2.0
"""Radius of the ring around the body, in the body's own."""


def figures(cell: CylinderCell, foreign: Sequence[Sized]) -> list[Figure]:
    """The largest body in its slice, and a table of all; nothing where there is none."""
    if not foreign:
        return []
    return [_slice(cell, foreign[0]), _table(foreign)]


def _slice(cell: CylinderCell, body: Sized) -> ImageFigure:
    """A cut through the largest body, with a ring around it."""
    dy, dx = cell.frame.voxel_mm[1:]
    k = int(np.clip(round(body.voxel[0]), 0, cell.scan.shape[0] - 1))
    step = 2.0 * AROUND_MM / (PICTURE - 1)
    offset = (np.arange(PICTURE) - (PICTURE - 1) / 2) * step
    x, y = np.meshgrid(body.voxel[2] + offset / dx, body.voxel[1] + offset / dy)
    plane = np.asarray(cell.scan.slices[k], dtype=np.float32)
    grey = cv2.remap(plane, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)
    low, high = float(np.nanmin(grey)), float(np.nanmax(grey))
    image = np.nan_to_num((grey - low) / max(high - low, 1e-12) * 255.0).astype(np.uint8)
    angle = np.linspace(0.0, 2.0 * np.pi, 73)
    radius = RING * 0.5 * body.diameter_mm / step
    middle = (PICTURE - 1) / 2
    ring = np.stack([middle + radius * np.cos(angle), middle + radius * np.sin(angle)], axis=1)
    return ImageFigure(
        id="contamination-largest",
        title="The largest foreign body",
        caption=(
            f"Slice at z = {body.at['z_mm']:.2f} mm; the body of {body.diameter_mm:.2f} mm is ringed. Look "
            "whether it stands apart from the layers: a fold or a weld is part of one."
        ),
        alt=f"Part of a slice with a dense body of {body.diameter_mm:.2f} mm in its middle",
        image=image,
        pixel_mm=(step, step),
        overlays=(Polyline(ring, "worst", f"{body.diameter_mm:.2f} mm"),),
    )


def _table(foreign: Sequence[Sized]) -> Table:
    rows = tuple(
        (b.diameter_mm, b.at["z_mm"], b.at["theta_deg"], b.at["r_mm"], b.at.get("turn"))
        for b in foreign[:MOST_ROWS]
    )
    return Table(
        id="contamination-bodies",
        title="Foreign bodies",
        caption="The largest first. The turn is the one whose foil lies next inside the body.",
        columns=("diameter, mm", "z, mm", "theta, degrees", "r, mm", "turn"),
        rows=rows,
    )
