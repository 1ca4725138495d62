"""Surfaces drawn into half-planes: what a network is to learn, and what its answer is compared with.

A pixel takes the class in which its centre lies. The foil is ``FOIL_MM`` wide about its centre line, copper
up to the edge of the worse of the two cathodes that face it and overhang from there to its tip; the foil goes
before the cathode that it touches, the can before all. Pixels of which nobody knows the class have the value
``NOT_KNOWN``: about foils whose edge was not measured, in rows that the scan does not hold, and beyond the
roll at heights at which the can was not located.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.cylinder.half_planes import STANDARD_MM, Planes
from xctrules.cylinder.surfaces import (
    FOIL_MM,
    LABELS,
    MEASURED,
    CylinderCell,
    EndEdges,
    Floats,
    Segmentation,
)
from xctrules_segmentation.drawing import CLASS_OF_COUNT, PolarGrid, Roll, Tube
from xctrules_segmentation.faces import CathodeFaces
from xctrules_segmentation.labels import Labels
from xctrules_segmentation.roll import facing_cathodes

NOT_KNOWN = 255

_BELOW_MM = 0.3
"""So far below the cathode's edge a tip that was not measured may lie."""


def label_planes(
    cell: CylinderCell, planes: Planes, surfaces: Segmentation, faces: CathodeFaces | None = None
) -> Labels:
    """Labels (nt, nh, nr) of ``planes``, drawn from the surfaces found in that cell.

    Parameters
    ----------
    planes
        As :func:`xctrules.cylinder.half_planes.standard_planes` samples them from ``cell``.
    faces
        The cathodes facing ``surfaces.foil``, where they were found already.

    Raises
    ------
    NotMeasurable
        When no foil was followed, or the edges of that end were not found.
    """
    if planes.end is None:
        raise ValueError("these planes were not sampled from a scan")
    name = planes.end.name
    foil = surfaces.need_foil()
    if name not in surfaces.ends:
        raise NotMeasurable(surfaces.missing.get(name, f"the {name} end was not segmented"))
    edges = surfaces.ends[name]
    if faces is None:
        faces = facing_cathodes(cell, foil, surfaces.can)
    roll = Roll.of(cell.frame, foil, faces, (edges,))
    z_mm = planes.end.z_mm + planes.end.outward * planes.height_mm
    canvas = _Canvas.of(planes)
    layers = _Layers.of(roll, z_mm, planes.theta_deg)
    canvas.draw_roll(layers)
    walled = np.zeros((planes.theta_deg.size, z_mm.size), dtype=bool)
    if surfaces.can is not None:
        walled = canvas.draw_can(Tube.of(surfaces.can), z_mm, planes.theta_deg)
    labels = canvas.labels()
    _forget_unmeasured(labels, planes, edges, layers)
    _forget_beyond(labels, planes, layers, walled)
    labels[:, ~planes.seen] = NOT_KNOWN
    return labels


@dataclass(frozen=True)
class _Layers:
    """The roll's layers where planes cut them: radii, NaN where there is none, and whether the foil is free.

    ``foil_mm`` and ``free`` are (nturns, nt, nh), as is ``all_foil_mm``, the foil as if it had no tip;
    ``cathode_mm`` is (nturns + 1, nt, nh); ``edge_mm`` (nturns, nt) is the height of the worse facing
    cathode's edge.
    """

    foil_mm: Floats
    all_foil_mm: Floats
    free: NDArray[np.bool_]
    cathode_mm: Floats
    half_width_mm: float
    edge_mm: Floats
    pitch_mm: float

    @classmethod
    def of(cls, roll: Roll, z_mm: Floats, theta_deg: Floats) -> _Layers:
        limit = roll.limits[0]  # of the end that was measured

        def at_planes(values: Floats) -> Floats:
            return _at_angles(values, theta_deg, roll.handedness)

        def at_heights(knots_mm: Floats, values: Floats) -> Floats:
            position = np.interp(z_mm, knots_mm, np.arange(knots_mm.size, dtype=float))
            low = np.minimum(position.astype(np.intp), max(knots_mm.size - 2, 0))
            high = np.minimum(low + 1, knots_mm.size - 1)
            table = np.moveaxis(at_planes(values), 0, -1)
            return np.asarray(table[..., low] + (position - low) * (table[..., high] - table[..., low]))

        foil = at_heights(roll.knots_mm, roll.foil_mm)
        moved = at_heights(roll.traced_mm, roll.moved_mm)
        # A gap moves as the foils on its two sides do, or the one that there is.
        unknown = np.full((1, *moved.shape[1:]), np.nan)
        inside, outside = np.concatenate([unknown, moved]), np.concatenate([moved, unknown])
        inside, outside = (np.where(np.isnan(a), b, a) for a, b in ((inside, outside), (outside, inside)))
        cathode = at_planes(roll.cathode_mm)[..., None] + np.nan_to_num(0.5 * (inside + outside))
        edge = at_planes(limit.worse_face())
        tip = at_planes(limit.foil_mm)
        gap_edge = at_planes(limit.cathode_mm)
        there = ~limit.beyond(z_mm, tip[..., None])
        coated = ~limit.beyond(z_mm, gap_edge[..., None])
        pitch = float(np.nanmedian(np.diff(roll.usual_mm, axis=0)))
        return cls(
            np.where(there, foil, np.nan),
            foil,
            limit.beyond(z_mm, edge[..., None]),
            np.where(coated, cathode, np.nan),
            roll.half_width_mm,
            edge,
            pitch,
        )


@dataclass(frozen=True)
class _Canvas:
    """Planes one below the other, as an image whose rows are planes and heights; see ``PolarGrid``."""

    shape: tuple[int, int, int]
    grid: PolarGrid
    image: Labels

    @classmethod
    def of(cls, planes: Planes) -> _Canvas:
        nt, nh, nr = planes.grey.shape
        grid = PolarGrid(nt * nh, nr, STANDARD_MM)
        return cls((nt, nh, nr), grid, np.zeros((nt * nh, nr + 1), dtype=np.uint8))

    def add(self, name: str, low_mm: Floats, high_mm: Floats) -> None:
        """Count a class between radii (n, nt, nh)."""
        half = 0.5 * STANDARD_MM  # the grid's first radius is 0, the planes' that of a pixel's centre
        n = low_mm.shape[0]
        self.grid.add(self.image, name, low_mm.reshape(n, -1) - half, high_mm.reshape(n, -1) - half)

    def draw_roll(self, layers: _Layers) -> None:
        half = layers.half_width_mm
        self.add("cathode", layers.cathode_mm - half, layers.cathode_mm + half)
        half = 0.5 * FOIL_MM
        for name, where in (("copper", ~layers.free), ("overhang", layers.free)):
            centre = np.where(where, layers.foil_mm, np.nan)
            self.add(name, centre - half, centre + half)

    def draw_can(self, tube: Tube, z_mm: Floats, theta_deg: Floats) -> NDArray[np.bool_]:
        """Draw the wall; where (nt, nh) it was located."""
        if tube.z_mm.size == 0:
            return np.zeros(self.shape[:2], dtype=bool)
        nearest = np.abs(tube.z_mm[:, None] - z_mm)
        there = nearest.min(axis=0) <= tube.spare_mm * 1.001
        position = np.interp(z_mm, tube.z_mm, np.arange(tube.z_mm.size, dtype=float))
        low = np.minimum(position.astype(np.intp), max(tube.z_mm.size - 2, 0))
        high = np.minimum(low + 1, tube.z_mm.size - 1)
        faces = []
        for surface in (tube.inner_mm, tube.outer_mm):
            table = _at_angles(surface, np.asarray(theta_deg), 0, period=tube.theta_deg)
            wall = table[low] + (position - low)[:, None] * (table[high] - table[low])
            faces.append(np.where(there[:, None], wall, np.nan).T[None])
        self.add("can", *faces)
        return np.asarray(np.isfinite(faces[0][0]))

    def labels(self) -> Labels:
        count = np.cumsum(self.image, axis=1, dtype=np.uint8)[:, :-1]
        return np.ascontiguousarray(CLASS_OF_COUNT[count].reshape(self.shape))


def _at_angles(values: Floats, theta_deg: Floats, shift: int, period: Floats | None = None) -> Floats:
    """``values`` (..., n, nt) at the angles ``theta_deg``, linear; row i goes on as row i + ``shift`` after a
    turn."""
    nt = values.shape[-1]
    after = np.full((*values.shape[:-1], 1), np.nan)
    if shift == 0:
        after[:] = values[..., :1]
    elif shift > 0:
        after[..., :-1, :] = values[..., 1:, :1]
    else:
        after[..., 1:, :] = values[..., :-1, :1]
    padded = np.concatenate([values, after], axis=-1)
    first = 0.0 if period is None else float(period[0])
    position = np.mod((theta_deg - first) * (nt / 360.0), nt)
    low = position.astype(np.intp)
    fraction = position - low
    with np.errstate(invalid="ignore"):
        between = padded[..., low] * (1 - fraction) + padded[..., low + 1] * fraction
    return np.asarray(np.where(fraction < 1e-9, padded[..., low], between))


def _forget_unmeasured(labels: Labels, planes: Planes, edges: EndEdges, layers: _Layers) -> None:
    """Mark half a pitch about foils whose edge was not measured, from a little below the cathode's edge on
    outward; what other foils are drawn there is kept."""
    column = np.abs((planes.theta_deg[:, None] - edges.theta_deg + 180.0) % 360.0 - 180.0).argmin(axis=1)
    state = edges.state[:, column]
    doubtful = (state != MEASURED) & np.isfinite(layers.all_foil_mm).any(axis=-1)
    assert planes.end is not None
    z_mm = planes.end.z_mm + planes.end.outward * planes.height_mm
    foil = np.isin(labels, (LABELS["copper"], LABELS["overhang"]))
    own = 0.5 * FOIL_MM + 0.5 * STANDARD_MM
    for turn, plane in np.argwhere(doubtful):
        away = np.abs(planes.r_mm - layers.all_foil_mm[turn, plane][:, None])
        edge = layers.edge_mm[turn, plane]
        height = edges.outward * (z_mm - edge) if np.isfinite(edge) else planes.height_mm
        rows = (height > -_BELOW_MM)[:, None]
        unknown = rows & (away < 0.5 * layers.pitch_mm) & (~foil[plane] | (away < own))
        labels[plane][unknown] = NOT_KNOWN


def _forget_beyond(labels: Labels, planes: Planes, layers: _Layers, walled: NDArray[np.bool_]) -> None:
    """Mark what lies beyond the roll at heights at which the can's wall was not located."""
    with np.errstate(invalid="ignore"):
        outermost = np.nanmax(np.nan_to_num(layers.all_foil_mm, nan=-np.inf), axis=0)
    beyond = planes.r_mm > outermost[..., None] + layers.pitch_mm
    labels[beyond & ~walled[..., None]] = NOT_KNOWN
