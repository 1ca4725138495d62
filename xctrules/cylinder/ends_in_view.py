"""Which ends of the roll are in view, and their names: the cap's end has a bead, the other a flat bottom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from xctrules.core.slices import Scan
from xctrules.cylinder.frame import CellFrame, End, EndInView, NamedBy
from xctrules.cylinder.outline import Outline

BEYOND_EDGE_SLICES = 3
"""An end counts as seen when the scan goes on beyond the cathode's edge by more slices than these: the edge's
own blur."""

BEYOND_SEEN = 0.6
"""Share of the directions in which an outline beyond the roll is seen: half of one says nothing of its
size."""

WAIST, WIDER = 0.97, 0.02
"""Share of the can's radius below which it narrows to a bead, and by which it is wider again behind: more
than a bottom's rounding, and than noise."""

LEAST_WIDER = 2
"""Slices that are wider again: one could be a torn rim."""

STOPS_BEFORE = 2
"""Slices without an outline before the scan's border that show that the can just stops there."""

OPPOSITE: Mapping[End, End] = {"top": "bottom", "bottom": "top"}

VIEWS: Mapping[str, tuple[End, ...]] = {
    "top": ("top",),
    "bottom": ("bottom",),
    "both": ("top", "bottom"),
    "whole": ("top", "bottom"),
}
"""Ends that the sidecar's ``field_of_view`` claims."""

ORDERS: Mapping[str, Mapping[int, End]] = {
    "top_to_bottom": {-1: "top", 1: "bottom"},
    "bottom_to_top": {-1: "bottom", 1: "top"},
}
"""The end at the first (-1) and the last slice by the sidecar's ``slice_order``."""

Sides = Mapping[int, float]
"""Height of the roll's edge towards the first (-1) and the last slice (+1), where its end is seen."""


@dataclass(frozen=True)
class _Claim:
    """What the sidecar says of the ends in view."""

    ends: tuple[End, ...]
    by_order: Mapping[int, End]

    @classmethod
    def of(cls, acquisition: Mapping[str, Any]) -> _Claim:
        view, order = (str(acquisition.get(key) or "").lower() for key in ("field_of_view", "slice_order"))
        return cls(VIEWS.get(view, ()), ORDERS.get(order, {}))

    def at(self, side: int, alone: bool) -> End | None:
        """The end that it puts at one side; the one that it says is in view, where only one is seen."""
        return self.ends[0] if alone and len(self.ends) == 1 else self.by_order.get(side)


def name_ends(
    scan: Scan, frame: CellFrame, outlines: list[Outline]
) -> tuple[tuple[EndInView, ...], tuple[str, ...]]:
    """The ends of the roll in view, and warnings.

    The image decides; where it shows nothing, the sidecar's ``field_of_view`` and ``slice_order`` do, and
    otherwise the place among the slices. A contradiction is reported.
    """
    sides = _sides_in_view(frame)
    shapes = _told_apart({side: _by_shape(frame, outlines, side, edge) for side, edge in sides.items()})
    claim = _Claim.of(scan.acquisition)
    claimed = {side: claim.at(side, alone=len(sides) == 1) for side in sides}
    ends = tuple(_named(side, edge, shapes[side], claimed[side]) for side, edge in sides.items())
    contradicted = tuple(warning for end in ends for warning in _doubts(end, claimed[end.outward]))
    unseen = () if any(_contradicts(end, claimed[end.outward]) for end in ends) else _unseen(claim, ends)
    return ends, contradicted + unseen


def _sides_in_view(frame: CellFrame) -> dict[int, float]:
    assert frame.roll_mm is not None
    z = frame.z_grid_mm()
    margin = BEYOND_EDGE_SLICES * frame.voxel_mm[0]
    low, high = frame.roll_mm
    beyond = {-1: low - z[0], +1: z[-1] - high}
    return {side: edge for side, edge in ((-1, low), (+1, high)) if beyond[side] >= margin}


def _by_shape(frame: CellFrame, outlines: list[Outline], side: int, edge: float) -> End | None:
    """``top`` where a bead narrows the can beyond the roll's edge, ``bottom`` where the can just stops."""
    assert frame.outer_radius_mm is not None
    dz = frame.voxel_mm[0] / frame.axis[2]
    beyond = [o for o in outlines if side * (o.slice_index * dz - edge) > 0 and o.covered > BEYOND_SEEN]
    if not beyond:
        return None
    beyond.sort(key=lambda o: side * o.slice_index)
    ratio = np.array([o.radius_mm for o in beyond]) / frame.outer_radius_mm
    waist = np.minimum.accumulate(ratio)
    wider_again = (waist < WAIST) & (ratio > waist + WIDER)
    if np.count_nonzero(wider_again) >= LEAST_WIDER:
        return "top"
    last = beyond[-1].slice_index
    left = frame.shape[0] - 1 - last if side > 0 else last
    return "bottom" if left >= STOPS_BEFORE else None


def _told_apart(shapes: dict[int, End | None]) -> dict[int, End | None]:
    """No cell has two ends alike: two such shapes are not understood, and naming one end names the other."""
    if len(shapes) < 2:
        return shapes
    first, last = shapes[-1], shapes[1]
    if first == last:
        return {-1: None, 1: None}
    return {-1: first or (last and OPPOSITE[last]), 1: last or (first and OPPOSITE[first])}


def _named(side: int, edge: float, shape: End | None, claimed: End | None) -> EndInView:
    if shape is not None:
        return EndInView(shape, side, edge, NamedBy.SHAPE)
    if claimed is not None:
        return EndInView(claimed, side, edge, NamedBy.SIDECAR)
    return EndInView("top" if side < 0 else "bottom", side, edge, NamedBy.PLACE)


def _contradicts(end: EndInView, claimed: End | None) -> bool:
    return claimed is not None and claimed != end.name


def _doubts(end: EndInView, claimed: End | None) -> list[str]:
    """What has to be said of an end's name."""
    if end.named_by is NamedBy.PLACE:
        return [
            f"nothing in the scan or its sidecar tells which end of the cell is in view; the one at "
            f"{end.z_mm:.1f} mm is called the {end.name} because of its place among the slices"
        ]
    if _contradicts(end, claimed):
        return [
            f"the sidecar says that the {claimed} end is at {end.z_mm:.1f} mm, "
            f"the can's shape says {end.name}"
        ]
    return []


def _unseen(claim: _Claim, ends: tuple[EndInView, ...]) -> tuple[str, ...]:
    """What the sidecar claims to be in view, and is not."""
    seen = {end.name for end in ends}
    return tuple(
        f"the sidecar says that the {name} end is in view, but the scan does not show it"
        for name in claim.ends
        if name not in seen
    )
