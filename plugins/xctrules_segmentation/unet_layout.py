"""The roll's layers as a network sees them: the foil followed in its copper, the cathodes in its cathode.

Where a scan is so noisy or flat that the foil cannot be followed in its greys, the network may still tell
copper from cathode, plane by plane. Its answers for all half-planes, put side by side, are an unrolled roll,
in which the foil is followed as in a label image.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.cylinder.half_planes import STANDARD_MM, Planes
from xctrules.cylinder.litert import Probabilities
from xctrules.cylinder.surfaces import FOIL_MM, LABELS, CanSurface, CylinderCell, Floats, FoilTrace
from xctrules_segmentation.faces import CathodeFaces
from xctrules_segmentation.layout import Layout
from xctrules_segmentation.polar import LAST_SAMPLE
from xctrules_segmentation.roll import trace_in_masks
from xctrules_segmentation.unrolling import HIDDEN_CAN, angles_to_trace, inside_of

_ROLL_MM = (-1.3, -0.3)
"""Heights, outward of the rough cathode edge, at which the foil is followed: clear of the cathode's edges."""

_BANDS = 3
"""Bands of height in that range: each some eight rows of the network's, whose doubts they average."""

_HELD = 0.5
"""Share of the heights over which, or probability with which, something is there."""

_USUAL_TURNS = 90
"""Percentile over the angle of the turns that are seen: a few angles with one too many make no rule."""


@dataclass(frozen=True)
class Fit:
    """How well a layout's foil and a network's copper cover each other, 0 to 1 each, a foil that was lost on
    part of the turn lying on none; and where (nturns, nt) it lies on copper, over half of the heights in the
    roll or more."""

    foil_on_copper: float
    copper_on_foil: float
    there: NDArray[np.bool_]

    @property
    def worse(self) -> float:
        return min(self.foil_on_copper, self.copper_on_foil)


def fit_of(layout: Layout, planes: Planes, probabilities: Probabilities) -> Fit:
    """Compare a layout, on the half-planes of ``planes``, with the copper that the network sees in the
    roll."""
    rows = _rows(planes, *_ROLL_MM)
    seen = _foil(probabilities[:, rows]).mean(axis=1)  # (nt, nr)
    copper = seen > _HELD
    foil = layout.foil_mm  # (nturns, nt)
    known = np.isfinite(foil)
    away = np.abs(planes.r_mm - np.where(known, foil, np.inf)[..., None]).min(axis=0)  # (nt, nr)
    column = np.clip(
        np.rint(np.nan_to_num(foil) / STANDARD_MM - 0.5).astype(np.intp), 0, planes.r_mm.size - 1
    )
    there = copper[np.arange(planes.theta_deg.size), column]
    near = away <= 0.5 * FOIL_MM + STANDARD_MM
    due = int(known.sum()) + _lost(known)
    return Fit(
        float(there[known].sum()) / due if due else 0.0,
        float(near[copper].mean()) if copper.any() else 0.0,
        there & known,
    )


def _lost(known: NDArray[np.bool_]) -> int:
    """Places at which a foil, known or not (nturns, nt), was lost: one spiral has as many turns at every
    angle, but for its begin and end."""
    turns = known.sum(axis=0)
    usual = int(np.percentile(turns, _USUAL_TURNS, method="lower"))
    return int(np.maximum(usual - 1 - turns, 0).sum())


def faced(layout: Layout, planes: Planes, probabilities: Probabilities, every: int) -> NDArray[np.bool_]:
    """Where (nturns, nt) the network holds a cathode beside the foil for likelier than anything else, over
    half of the heights in the roll or more."""
    rows = _rows(planes, *_ROLL_MM)
    cathode = (probabilities[::every, rows].argmax(axis=-1) == LABELS["cathode"]).mean(axis=1) > _HELD
    plane = np.arange(cathode.shape[0])
    result = np.zeros(layout.foil_mm.shape, dtype=bool)
    for face in (layout.inner_mm, layout.outer_mm):
        column = np.clip(np.rint(np.nan_to_num(face) / STANDARD_MM - 0.5), 0, planes.r_mm.size - 1)
        result |= np.isfinite(face) & cathode[plane, column.astype(np.intp)]
    return result


def trace_in(
    cell: CylinderCell, planes: Planes, probabilities: Probabilities, can: CanSurface | None
) -> tuple[FoilTrace, CathodeFaces]:
    """Follow the foil in a network's answer for half-planes equally spaced over the turn.

    Raises
    ------
    NotMeasurable
        When no foil can be followed there either.
    """
    assert planes.end is not None
    low, high = _ROLL_MM
    edges = np.linspace(low, high, _BANDS + 1)
    bands = [_rows(planes, a, b) for a, b in itertools.pairwise(edges)]
    bands = [rows for rows in bands if rows.any()]
    if not bands:
        raise NotMeasurable(f"too little of the roll is in view at the {planes.end.name} end")
    heights = np.array([planes.height_mm[rows].mean() for rows in bands])
    theta = angles_to_trace(cell.settings.angles)
    r_mm: Floats = np.arange(0.0, planes.r_mm[-1], 0.5 * STANDARD_MM)
    foil = np.stack([_foil(probabilities[:, rows]).mean(axis=1) for rows in bands])
    cathode = np.stack([probabilities[..., LABELS["cathode"]][:, rows].mean(axis=1) for rows in bands])
    return trace_in_masks(
        planes.end.z_mm + planes.end.outward * heights,
        r_mm,
        _resampled(foil, planes, theta, r_mm),
        _resampled(cathode, planes, theta, r_mm),
        _limit(cell, can, theta),
    )


def _foil(probabilities: Probabilities) -> Probabilities:
    """Copper and overhang are one foil."""
    found: Probabilities = probabilities[..., LABELS["copper"]] + probabilities[..., LABELS["overhang"]]
    return found


def _rows(planes: Planes, low_mm: float, high_mm: float) -> NDArray[np.bool_]:
    inside = (planes.height_mm >= low_mm) & (planes.height_mm < high_mm)
    return np.asarray(planes.seen & inside)


def _limit(cell: CylinderCell, can: CanSurface | None, theta_deg: Floats) -> Floats:
    """Radius (nt,) beyond which there is no roll."""
    assert cell.frame.outer_radius_mm is not None
    located = None if can is None else inside_of(can, theta_deg)
    return np.full(theta_deg.size, HIDDEN_CAN * cell.frame.outer_radius_mm) if located is None else located


def _resampled(values: Probabilities, planes: Planes, theta_deg: Floats, r_mm: Floats) -> Probabilities:
    """``values`` (nz, nt, nr) of the planes at other angles and radii, linear; nothing lies at the axis."""
    position = np.mod(
        (theta_deg - planes.theta_deg[0]) * (planes.theta_deg.size / 360.0), planes.theta_deg.size
    )
    low = position.astype(np.intp)
    share = (position - low).astype(np.float32)[:, None]
    turned = values[:, low] * (1 - share) + values[:, (low + 1) % planes.theta_deg.size] * share
    at = np.clip((r_mm - planes.r_mm[0]) / STANDARD_MM, 0, planes.r_mm.size - LAST_SAMPLE)
    left = at.astype(np.intp)
    part = (at - left).astype(np.float32)
    return np.asarray(turned[..., left] * (1 - part) + turned[..., left + 1] * part, dtype=np.float32)
