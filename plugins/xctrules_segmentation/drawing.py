"""A cell's layers drawn as intervals of the radius: roll and can, over angle and height.

A place takes the class in which it lies: the foil goes before the cathode that it touches, the can before
all.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.cylinder.frame import CellFrame
from xctrules.cylinder.surfaces import (
    FOIL_MM,
    LABELS,
    TAB,
    CanSurface,
    EndEdges,
    Floats,
    FoilTrace,
)
from xctrules_segmentation.faces import CathodeFaces
from xctrules_segmentation.labels import Labels

FOIL_VOXELS = 1.5
"""Least width of a drawn foil, in voxels, so that it is a closed line where ``FOIL_MM`` is less than that."""

_NEVER_MM = 1e6
"""A height that no scan reaches."""

_WEIGHT = {"cathode": 1, "copper": 4, "overhang": 16, "can": 64}
"""Each class counts in two bits of its own, so that one running sum holds all of them; up to three layers of
a class may overlap."""


def _classes() -> Labels:
    """Class of each running sum: the foil goes before the cathode that it touches, the can before all."""
    count = np.arange(256)
    result = np.zeros(256, dtype=np.uint8)
    for name, weight in _WEIGHT.items():
        result[count >= weight] = LABELS[name]
    return result


CLASS_OF_COUNT = _classes()


@dataclass(frozen=True)
class PolarGrid:
    """Angles over the whole turn, and radii ``step_mm`` apart from 0."""

    angles: int
    radii: int
    step_mm: float

    @property
    def theta_deg(self) -> Floats:
        return np.asarray(np.arange(self.angles) * (360.0 / self.angles))

    def add(self, image: Labels, name: str, low_mm: Floats, high_mm: Floats) -> None:
        """Count the class ``name`` between the radii ``low_mm`` and ``high_mm``, (n, angles); NaN adds
        nothing."""
        with np.errstate(invalid="ignore"):
            there = high_mm > low_mm
        rows = np.broadcast_to(np.arange(self.angles), there.shape)[there]
        weight = np.uint8(_WEIGHT[name])
        flat = image.ravel()
        for at, change in ((low_mm, np.add), (high_mm, np.subtract)):
            column = np.clip(np.ceil(at[there] / self.step_mm), 0, self.radii).astype(np.intp)
            change.at(flat, rows * image.shape[1] + column, weight)


def _height_in_slice(frame: CellFrame, k: int, theta_deg: Floats, r_mm: Floats) -> Floats:
    """Height along the axis of the points of slice ``k`` at angle (nt,) and radius (..., nt)."""
    lift = frame.directions(theta_deg)[:, 2]
    return np.asarray((k * frame.voxel_mm[0] - np.nan_to_num(r_mm) * lift) / frame.axis[2])


def _at_height(knots_mm: Floats, values: Floats, z_mm: Floats) -> Floats:
    """``values`` (nk, ...) linear between the heights ``knots_mm`` (nk,), at ``z_mm`` (...); held beyond."""
    position = np.interp(z_mm, knots_mm, np.arange(knots_mm.size))
    low = np.minimum(position.astype(np.intp), max(knots_mm.size - 2, 0))
    high = np.minimum(low + 1, knots_mm.size - 1)
    a = np.take_along_axis(values, low[None], axis=0)[0]
    b = np.take_along_axis(values, high[None], axis=0)[0]
    return np.asarray(a + (position - low) * (b - a))


def _along_turn(values: Floats, count: int, shift: int) -> Floats:
    """Values (n, nt) at ``count`` angles instead, linear; row i goes on as row i + ``shift`` after a turn."""
    n, nt = values.shape
    after = np.full((n, 1), np.nan)
    if shift == 0:
        after[:] = values[:, :1]
    elif shift > 0:
        after[:-1] = values[1:, :1]
    else:
        after[1:] = values[:-1, :1]
    padded = np.concatenate([values, after], axis=1)
    position = np.arange(count) * (nt / count)
    low = position.astype(np.intp)
    fraction = position - low
    with np.errstate(invalid="ignore"):
        result = padded[:, low] * (1 - fraction) + padded[:, low + 1] * fraction
    return np.asarray(np.where(fraction == 0, padded[:, low], result))


def _filled(values: Floats, otherwise: float) -> Floats:
    """Rows (n, nt) with gaps bridged along the angle; a row that is all gap takes ``otherwise``."""
    result = values.copy()
    angle = np.arange(values.shape[1])
    for row in result:
        known = np.isfinite(row)
        if not known.any():
            row[:] = otherwise
        elif not known.all():
            row[:] = np.interp(angle, angle[known], row[known], period=row.size)
    return result


@dataclass(frozen=True)
class _Limit:
    """Where foil and cathodes end on one side; heights (nturns, nt) and (nturns + 1, nt) of the gaps."""

    outward: int
    foil_mm: Floats
    cathode_mm: Floats

    @classmethod
    def of(cls, edges: EndEdges, usual_mm: float, nt: int, shift: int) -> _Limit:
        def anywhere(values: Floats) -> float:
            known = values[np.isfinite(values)]
            return float(np.median(known)) if known.size else usual_mm

        turns = edges.anode_z_mm.shape[0]
        # The gap between two turns holds one cathode, seen from both of them.
        seen = np.full((2, turns + 1, edges.theta_deg.size), np.nan)
        seen[0, :-1], seen[1, 1:] = edges.cathode_z_mm
        cathode = _filled(_mean(seen), anywhere(seen))
        foil = _filled(edges.anode_z_mm, anywhere(edges.anode_z_mm))
        foil[edges.state == TAB] = edges.outward * _NEVER_MM
        return cls(edges.outward, _along_turn(foil, nt, shift), _along_turn(cathode, nt, shift))

    def beyond(self, z_mm: Floats, limit_mm: Floats) -> NDArray[np.bool_]:
        return np.asarray(self.outward * (z_mm - limit_mm) > 0)

    def worse_face(self) -> Floats:
        """Height of the edge of the cathode that reaches further, on either side of each turn."""
        either = self.outward * self.cathode_mm
        return np.asarray(self.outward * np.fmax(either[:-1], either[1:]))


def _mean(values: Floats) -> Floats:
    """Mean over the first axis without regard to NaN."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NaN throughout is NaN
        return np.asarray(np.nanmean(values, axis=0))


@dataclass(frozen=True)
class Roll:
    """Foil and cathodes as tables over height, turn and angle.

    ``foil_mm`` (nk, nturns, nt) is the foil's radius at the heights ``knots_mm``; ``moved_mm`` how far it
    is from its usual place at the heights ``traced_mm``, and with it the cathodes; these have their usual
    middle in each gap between turns in ``cathode_mm`` (nturns + 1, nt).
    """

    frame: CellFrame
    theta_deg: Floats
    handedness: int
    knots_mm: Floats
    foil_mm: Floats
    traced_mm: Floats
    moved_mm: Floats
    usual_mm: Floats
    cathode_mm: Floats
    half_width_mm: float
    limits: tuple[_Limit, ...]

    @property
    def reach_mm(self) -> float:
        return float(np.nanmax(self.foil_mm)) + 2 * self.half_width_mm

    @classmethod
    def of(cls, frame: CellFrame, foil: FoilTrace, faces: CathodeFaces, ends: tuple[EndEdges, ...]) -> Roll:
        nt = foil.theta_deg.size
        order = np.argsort(foil.z_mm)
        traced, body = foil.z_mm[order], foil.radius_mm[order]
        usual = _mean(body)
        body = np.where(np.isnan(body), usual, body)
        gaps = np.full((2, body.shape[1] + 1, nt), np.nan)
        gaps[0, :-1], gaps[1, 1:] = faces.inner_mm, faces.outer_mm
        rough = {end.name: end.z_mm for end in frame.ends}
        limits = []
        knots, radii = traced, body
        for edges in ends:
            limit = _Limit.of(edges, rough.get(edges.end, float(traced.mean())), nt, foil.handedness)
            limits.append(limit)
            knots, radii = _with_free_path(knots, radii, edges, limit, nt, foil.handedness)
        for end in frame.ends:
            if end.name not in {edges.end for edges in ends}:  # in view, but not measured
                shape = body.shape[1:]
                limits.append(
                    _Limit(end.outward, np.full(shape, end.z_mm), np.full((shape[0] + 1, shape[1]), end.z_mm))
                )
        width = faces.half_width_mm if np.isfinite(faces.half_width_mm) else 0.0
        return cls(
            frame, foil.theta_deg, foil.handedness, knots, radii, traced, body - usual, usual, _mean(gaps),
            width, tuple(limits),
        )  # fmt: skip

    def draw(self, image: Labels, grid: PolarGrid, k: int) -> None:
        """Count the layers of slice ``k`` in its polar image."""

        def fine(values: Floats) -> Floats:
            return _along_turn(values, grid.angles, self.handedness)

        z = _height_in_slice(self.frame, k, self.theta_deg, self.usual_mm)
        radius = fine(_at_height(self.knots_mm, self.foil_mm, z))
        moved = np.full((2, *self.cathode_mm.shape), np.nan)
        moved[0, :-1] = moved[1, 1:] = _at_height(self.traced_mm, self.moved_mm, z)
        middle = fine(self.cathode_mm + np.nan_to_num(_mean(moved)))
        height = _height_in_slice(self.frame, k, grid.theta_deg, radius)
        gap_height = _height_in_slice(self.frame, k, grid.theta_deg, middle)

        foil_there = np.ones(radius.shape, dtype=bool)
        free = np.zeros(radius.shape, dtype=bool)
        coated = np.ones(middle.shape, dtype=bool)
        for limit in self.limits:
            foil_there &= ~limit.beyond(height, fine(limit.foil_mm))
            free |= limit.beyond(height, fine(limit.worse_face()))
            coated &= ~limit.beyond(gap_height, fine(limit.cathode_mm))
        half = 0.5 * max(FOIL_MM, FOIL_VOXELS * max(self.frame.voxel_mm[1:]))
        middle = np.where(coated, middle, np.nan)
        grid.add(image, "cathode", middle - self.half_width_mm, middle + self.half_width_mm)
        for name, where in (("copper", foil_there & ~free), ("overhang", foil_there & free)):
            centre = np.where(where, radius, np.nan)
            grid.add(image, name, centre - half, centre + half)


def _with_free_path(
    knots_mm: Floats, foil_mm: Floats, edges: EndEdges, limit: _Limit, nt: int, shift: int
) -> tuple[Floats, Floats]:
    """The foil's table with the heights of one end's free foil added; (nk,) and (nk, nturns, nt)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # heights at which no foil is free
        height = np.nanmax(edges.path_z_mm, axis=(0, 1))
    rows = np.flatnonzero(np.isfinite(height))
    if rows.size == 0:
        return knots_mm, foil_mm
    rows = rows[np.argsort(edges.outward * height[rows])]
    face = limit.worse_face()
    inward = edges.outward * (height[rows[0]] - knots_mm) > 0
    if inward.any():
        knots_mm, foil_mm = knots_mm[inward], foil_mm[inward]
    heights, radii = [], []
    last = None
    for row in rows:
        z = np.full(face.shape, height[row])
        straight = _at_height(knots_mm, foil_mm, z)
        held = straight if last is None else np.where(limit.beyond(z, face), last, straight)
        path = _along_turn(edges.path_r_mm[..., row], nt, shift)
        last = np.where(np.isfinite(path) & np.isfinite(straight), path, held)
        heights.append(height[row])
        radii.append(last)
    knots = np.concatenate([knots_mm, heights])
    order = np.argsort(knots)
    return knots[order], np.concatenate([foil_mm, np.stack(radii)])[order]


@dataclass(frozen=True)
class Tube:
    """The can's wall at the heights ``z_mm`` at which it was located; drawn up to ``spare_mm`` beyond."""

    z_mm: Floats
    theta_deg: Floats
    outer_mm: Floats
    inner_mm: Floats
    spare_mm: float

    @property
    def reach_mm(self) -> float:
        return float(self.outer_mm.max())

    @classmethod
    def of(cls, can: CanSurface) -> Tube:
        located = np.isfinite(can.outer_mm) & np.isfinite(can.inner_mm)
        rows = np.flatnonzero(located.mean(axis=1) >= 0.5)
        spacing = float(np.median(np.diff(can.z_mm))) if can.z_mm.size > 1 else _NEVER_MM
        order = rows[np.argsort(can.z_mm[rows])]
        outer, inner = (_filled(a[order], np.nan) for a in (can.outer_mm, can.inner_mm))
        return cls(can.z_mm[order], can.theta_deg, outer, inner, 0.5 * spacing)

    def draw(self, image: Labels, grid: PolarGrid, frame: CellFrame, k: int) -> None:
        """Count the wall of slice ``k`` in its polar image."""
        z = _height_in_slice(frame, k, self.theta_deg, self.outer_mm.mean(axis=0))
        after = np.searchsorted(self.z_mm, z).clip(0, self.z_mm.size - 1)
        away = np.minimum(np.abs(z - self.z_mm[after]), np.abs(z - self.z_mm[np.maximum(after - 1, 0)]))
        there = away <= self.spare_mm * 1.001
        low, high = (
            _along_turn(np.where(there, _at_height(self.z_mm, a, z), np.nan)[None], grid.angles, 0)
            for a in (self.inner_mm, self.outer_mm)
        )
        grid.add(image, "can", low, high)
