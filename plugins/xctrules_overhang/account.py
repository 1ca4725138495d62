"""What of the electrodes' edges was looked at: the account of every end of the roll that is in view.

Each place, a turn at an angle, counts as measured where the anode's edge was found and that of every cathode
that faces it. What was not found is explained where the foil itself begins or ends, where the roll has no
cathode, and behind tabs, as far as these are no wider and no more than tabs are. All else is unexplained: a
fault may lie there. Places are counted along the foil, in mm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.core.cell import Tabs
from xctrules.core.ledger import Ledger, Place
from xctrules.core.measurement import Measurement
from xctrules.cylinder.frame import End, EndInView
from xctrules.cylinder.surfaces import (
    ACROSS,
    MEASURED,
    NO_FACING_CATHODE,
    NO_FOIL,
    TAB,
    CylinderCell,
    EndEdges,
    Floats,
)
from xctrules_overhang import budget
from xctrules_overhang.lengths import stated_length_mm
from xctrules_overhang.unfaced import unfaced
from xctrules_overhang.unseen import runs

PARTS: dict[End, str] = {"top": "electrode edges, top end", "bottom": "electrode edges, bottom end"}

COMPLETENESS = "overhang.completeness"

BARE_WIDTHS = 2.5
"""Longest stretch within the roll in which a cathode may be missing beside the foil, in widths of the widest
tab: the collector is left bare where the tab is welded on, for some three widths of a usual one."""

OWN_END = "the foil's own beginning and end"
NO_CATHODE = "no cathode faces the foil"
BARE = "the cathode's collector is bare, as beside a tab"
BEHIND_TAB = "behind a tab"

SEEN, ENDING, UNFACED, UNCOATED, BEHIND, UNKNOWN = range(6)


def account(cell: CylinderCell, end: EndInView) -> Ledger:
    """The account of one end in view, whether its edges were found or not."""
    allowed = stated_length_mm(max(cell.frame.voxel_mm[1:]))
    edges = cell.surfaces.ends.get(end.name)
    if edges is None:
        return _nothing_found(cell, end, allowed)
    along = _AlongFoil.of(edges, unfaced(cell, edges), cell.tabs)
    kinds = along.kinds()
    places = [*along.unknown(kinds), *_between_half_planes(along, allowed)]
    sizes = {kind: float(along.step_mm[kinds == kind].sum()) for kind in range(6)}
    explained = {OWN_END: ENDING, NO_CATHODE: UNFACED, BARE: UNCOATED, BEHIND_TAB: BEHIND}
    return Ledger(
        PARTS[end.name], "mm", float(along.step_mm.sum()), sizes[SEEN], allowed,
        {reason: sizes[kind] for reason, kind in explained.items() if sizes[kind] > 0}, tuple(places),
    )  # fmt: skip


def completeness(accounts: Sequence[Ledger]) -> Measurement:
    """The longest stretch of an end's edges that is neither measured nor explained; 0 where there is none."""
    if not accounts:
        return Measurement.absent(COMPLETENESS, "mm", "the scan shows no electrode edges")
    places = [place for ledger in accounts for place in ledger.unexplained]
    largest = max(places, key=lambda place: place.extent, default=None)
    return Measurement(
        COMPLETENESS, "mm", value=0.0 if largest is None else largest.extent,
        budget=(budget.ends_of_a_stretch(accounts[0].allowed),),
        worst_at=None if largest is None else largest.at,
        reason=None if largest is None else largest.reason,
    )  # fmt: skip


def _nothing_found(cell: CylinderCell, end: EndInView, allowed_mm: float) -> Ledger:
    """All of an end whose edges were not found; as long as the foil, or once round the can."""
    foil = cell.surfaces.foil
    radius = cell.frame.outer_radius_mm or 0.0
    length = 2 * math.pi * radius
    if foil is not None and np.isfinite(foil.radius_mm).any():
        usual = foil.radius_mm[foil.radius_mm.shape[0] // 2]
        length = max(float(np.nansum(usual) * 2 * np.pi / foil.theta_deg.size), length)
    reason = cell.surfaces.missing.get(end.name, "the edges were not found")
    place = Place(length, {"z_mm": end.z_mm}, f"no electrode edge was found at all: {reason}")
    return Ledger(PARTS[end.name], "mm", length, 0.0, allowed_mm, {}, (place,))


@dataclass(frozen=True)
class _AlongFoil:
    """The places of one end in the order in which the foil runs outward, (n,) each.

    ``unfaced`` says where a cathode beside the foil faces no anode on its other side.
    ``step_mm`` is the length of foil that a place stands for, 0 where there is no foil; ``face`` and
    ``known`` (2, n) whether the roll has a cathode on either side, and whether its edge was found.
    """

    edges: EndEdges
    tabs: Tabs
    state: NDArray[np.int8]
    step_mm: Floats
    face: NDArray[np.bool_]
    known: NDArray[np.bool_]
    hidden: NDArray[np.bool_]
    unfaced: NDArray[np.bool_]

    @classmethod
    def of(cls, edges: EndEdges, unfaced: NDArray[np.bool_], tabs: Tabs) -> _AlongFoil:
        order = slice(None, None, edges.handedness)

        def line(values: NDArray[np.generic]) -> NDArray[np.generic]:
            return values[..., order].reshape(*values.shape[:-2], -1)

        step = np.nan_to_num(edges.foil_mm) * (2 * np.pi / edges.theta_deg.size)
        known = np.isfinite(edges.cathode_z_mm)
        lines = (line(a) for a in (edges.state, step, edges.face, known, edges.hidden, unfaced))
        return cls(edges, tabs, *lines)  # type: ignore[arg-type]

    def kinds(self) -> NDArray[np.int8]:
        """What became of each place: one of the six kinds."""
        there = self.step_mm > 0
        kind = np.full(self.state.shape, UNKNOWN, dtype=np.int8)
        unseen = self.face & ~self.known
        measured = self.state == MEASURED
        kind[measured & ~unseen.any(axis=0)] = SEEN
        kind[self.state == NO_FOIL] = ENDING
        kind[self.state == NO_FACING_CATHODE] = UNFACED
        self._bound(kind, ~self.face.any(axis=0) & there, UNFACED)
        for side in (0, 1):
            self._bound(kind, ~self.face[side] & there, UNCOATED)
        behind = (self.state == TAB) | (unseen & self.hidden).any(axis=0)
        self._bound_tabs(kind, behind & (kind != ENDING) & (kind != UNFACED))
        kind[self.unfaced] = UNKNOWN
        kind[~there] = ENDING
        return kind

    def _bound(self, kind: NDArray[np.int8], where: NDArray[np.bool_], as_kind: int) -> None:
        """Runs without a cathode: explained at the foil's beginning and end, and as far as a tab's bare
        collector reaches; what has an own cathode on the other side is measured all the same."""
        first, last = self._foil()
        for start, stop in runs(where):
            own_end = start <= first or stop > last
            if not own_end and self._length(start, stop) > BARE_WIDTHS * self.tabs.width_mm:
                kind[start:stop] = UNKNOWN
            elif as_kind == UNFACED:
                kind[start:stop] = UNFACED

    def _foil(self) -> tuple[int, int]:
        """First and last place that is not the foil's own beginning or end."""
        inside = np.flatnonzero((self.step_mm > 0) & (self.state != NO_FOIL))
        return (int(inside[0]), int(inside[-1])) if inside.size else (0, 0)

    def _bound_tabs(self, kind: NDArray[np.int8], behind: NDArray[np.bool_]) -> None:
        """Stretches behind tabs: explained where none is wider and they are not more than tabs are; both
        faces of a foil beside a tab count to the same tab."""
        kind[behind] = UNKNOWN
        groups = self._tabs(list(runs(behind)))
        fitting = [g for g in groups if max(self._length(*run) for run in g) <= self.tabs.width_mm]
        fitting.sort(key=lambda g: -max(self._length(*run) for run in g))
        for group in fitting[: self.tabs.number]:
            for start, stop in group:
                kind[start:stop] = BEHIND

    def _tabs(self, runs: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
        """Runs by the tab that they lie behind: it stands before turns that lie beside each other."""
        turn = self.edges.theta_deg.size
        groups: list[list[tuple[int, int]]] = []
        for start, stop in runs:
            for group in groups:
                if any(start - turn < b and stop - turn > a for a, b in group) or any(
                    0 <= start - b <= turn / 8 for _, b in group
                ):
                    group.append((start, stop))
                    break
            else:
                groups.append([(start, stop)])
        return groups

    def _length(self, start: int, stop: int) -> float:
        return float(self.step_mm[start:stop].sum())

    def unknown(self, kinds: NDArray[np.int8]) -> list[Place]:
        """All stretches that are neither measured nor explained."""
        return [
            Place(self._length(start, stop), self._at((start + stop - 1) // 2), self._why(start, stop))
            for start, stop in runs(kinds == UNKNOWN)
        ]

    def _why(self, start: int, stop: int) -> str:
        which = slice(start, stop)
        if self.unfaced[which].any():
            return "a cathode lies beside the foil that faces no anode on its other side"
        if ((self.state[which] == TAB) | self.hidden[:, which].any(axis=0)).any():
            return "something stands in front of the electrode edges that is no tab by width or number"
        if (self.state[which] == ACROSS).any():
            return "a foil is bent over, or something lies across the gap between two foils"
        if not self.face[:, which].all():
            return "no cathode is to be seen over more than a tab's bare collector"
        return "an electrode edge is not clear"

    def _at(self, place: int) -> dict[str, float]:
        turn, column = divmod(place, self.edges.theta_deg.size)
        theta = float(self.edges.theta_deg[:: self.edges.handedness][column])
        cathode = self.edges.cathode_z_mm
        z = float(np.nanmedian(cathode)) if np.isfinite(cathode).any() else 0.0
        return {"z_mm": z, "theta_deg": theta, "turn": float(turn)}


def _between_half_planes(along: _AlongFoil, allowed_mm: float) -> list[Place]:
    """What half-planes leave out between them, where that is longer than what may stay unseen."""
    apart = float(along.step_mm.max(initial=0.0))
    if apart <= allowed_mm:
        return []
    least = math.ceil(along.edges.theta_deg.size * apart / allowed_mm)
    reason = f"half-planes lie {apart:.2f} mm apart and a fault may lie between them: take {least} or more"
    return [Place(apart, along._at(int(np.argmax(along.step_mm))), reason)]
