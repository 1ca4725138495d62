"""The electrode edges at one end of the roll: the cathode's edge and the anode's copper tip, turn by turn.

In a half-plane through the axis each copper foil is a thin bright ridge that rises out of the roll and
stands free above the cathode, a bright slab between two foils. Both end in a blurred step along the height.
What is looked at stands in :mod:`xctrules_segmentation.window`, how a step is located in
:mod:`xctrules_segmentation.steps`, the cathodes' edges in :mod:`xctrules_segmentation.cathode_edges`, the
foils' tips in :mod:`xctrules_segmentation.free_foil`, and what becomes of each place in
:mod:`xctrules_segmentation.places`.
"""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.cylinder.frame import EndInView
from xctrules.cylinder.surfaces import (
    ACROSS,
    MEASURED,
    NO_FACING_CATHODE,
    NO_FOIL,
    TAB,
    UNCLEAR,
    CylinderCell,
    EndEdges,
)
from xctrules_segmentation.across import across
from xctrules_segmentation.cathode_edges import Cathodes, find_cathodes
from xctrules_segmentation.foil_contrast import FoilContrast, side_mm
from xctrules_segmentation.free_foil import OneFoil, Turn, find_tip, strays
from xctrules_segmentation.layout import Layout, bridged
from xctrules_segmentation.places import (
    BLUR_VOXELS,
    BRIGHT_STRIP,
    TALL_ANODE_MM,
    as_strips,
    leaves,
    lonely,
    outlying,
    parted,
    scatter,
    stands_tall,
    usual_height,
    with_flanks,
)
from xctrules_segmentation.sampling import Sampling
from xctrules_segmentation.steps import Floats, Greys, pooling
from xctrules_segmentation.window import Window, sample_window

WORKERS = 2
"""Threads: half of the work is numpy's own, which lets the other one go on."""

LEAST_SLICES = 4
"""Slices on either side of the rough edge: a level, and the blur that parts it from the edge."""

CORNER_MM, CORNER_DROP_MM = 3.0, 0.1
"""So far from its begin and end a foil's edge may be cut or folded back, or lie against another end of it:
an edge that drops by more than this against its neighbours, or does not show, is not told from such a corner
and not measured."""

INSIDE_VOXELS = 0.5
"""Standard uncertainty, in in-plane voxels, of the shortest of the tips that end beside a cathode, for a foil
that stands out there as well as in the void. Between two bright slabs the level that it falls to is not that
of the void. Type B: root mean square error on phantoms with short stretches."""

MOST_INSIDE = 6.0
"""Largest factor on that for foils that stand out less beside cathodes: then a tip is known to some three
voxels at worst, and beyond that it is not seen at all."""

TIP_LEFT_OFF = 0.25
"""Part of a sample that is left off the free foil's path: at the tip the ridge fades, and its position with
it."""


@dataclass(frozen=True)
class _Foils:
    """All turns' foils: ``tip`` and ``shift`` (nturns, nt) in mm, ``clear``, ``short`` and ``step``
    (nturns, nt) as in :class:`~xctrules_segmentation.free_foil.Turn`, ``path`` (nh, nturns, nt)."""

    tip: Floats
    clear: NDArray[np.bool_]
    short: NDArray[np.bool_]
    shift: Floats
    step: Floats
    path: Greys

    @classmethod
    def of(cls, turns: list[Turn]) -> _Foils:
        return cls(
            tip=np.stack([turn.tip for turn in turns]),
            clear=np.stack([turn.clear for turn in turns]),
            short=np.stack([turn.short for turn in turns]),
            shift=np.stack([turn.shift for turn in turns]),
            step=np.stack([turn.step for turn in turns]),
            path=np.stack([turn.path for turn in turns], axis=1),
        )


def find_end(cell: CylinderCell, end: EndInView, layout: Layout, window: Window | None = None) -> EndEdges:
    """Locate the electrode edges at one end, at every turn and angle of ``layout``.

    ``window`` holds the greys on the half-planes of ``layout`` where they are not the scan's own, such as
    those that a network has restored; its radii are then one pixel apart.

    Raises
    ------
    NotMeasurable
        Where the scan shows too little of the end.
    """
    layout = bridged(layout)
    if window is None:
        window = sample_window(cell, end, layout.theta_deg)
        voxel = max(cell.frame.voxel_mm[1:])
    else:
        voxel = float(window.r_mm[1] - window.r_mm[0])
    below = int((window.height_mm < 0).sum())
    if below < LEAST_SLICES or window.height_mm.size - below < LEAST_SLICES:
        raise NotMeasurable(f"too few slices on either side of the electrode edge at the {end.name}")
    sampling = Sampling.of(window.step_mm, voxel, side_mm(window, layout, voxel))
    with ThreadPoolExecutor(WORKERS) as pool:
        thick = parted(layout.foil_mm)
        cathodes = find_cathodes(window, layout, thick, sampling, pool)
        typical = FoilContrast.of(window, layout, cathodes.lower_or_usual(), sampling.side_mm)
        foils = _find_tips(window, layout, cathodes, sampling, typical, pool)
    bent = across(window, cathodes, foils.tip, foils.path, typical.free_mean, sampling)
    strips = _strips(window, layout, foils, thick[0] | thick[1], voxel)
    state = _states(window, layout, cathodes, foils, strips, voxel, sampling.search * window.step_mm)
    state[(state == MEASURED) & bent] = ACROSS
    return _edges(end, window, layout, cathodes, foils, typical, state, voxel)


def _find_tips(
    window: Window,
    layout: Layout,
    cathodes: Cathodes,
    sampling: Sampling,
    typical: FoilContrast,
    pool: Executor,
) -> _Foils:
    """Follow every turn's foil to its tip, and those that strayed once more beside their neighbours."""
    edge = cathodes.lower_or_usual()

    def foil(turn: int) -> OneFoil:
        return OneFoil(
            window, layout.foil_mm[turn], edge[turn], cathodes.tall[:, turn], cathodes.raised[turn],
            layout.pitch_mm, sampling, typical,
        )  # fmt: skip

    turns = list(pool.map(lambda turn: find_tip(foil(turn)), range(edge.shape[0])))
    found = _Foils.of(turns)
    off = strays(window, layout, found.path, found.tip, sampling.side_mm)
    strayed = off.where | cathodes.raised
    for turn in np.flatnonzero(strayed.any(axis=1)).tolist():
        beside = find_tip(foil(turn), off.usual(turn))
        turns[turn] = turns[turn].replaced(beside, strayed[turn])
    return _Foils.of(turns)


def _states(
    window: Window,
    layout: Layout,
    cathodes: Cathodes,
    foils: _Foils,
    strips: NDArray[np.bool_],
    voxel_mm: float,
    reach_mm: float,
) -> NDArray[np.int8]:
    """What became of each place (nturns, nt); what is said later goes before what was said first."""
    no_edge = cathodes.unseen
    state = np.full(foils.tip.shape, MEASURED, dtype=np.int8)
    state[no_edge | ~(foils.clear | foils.short)] = UNCLEAR
    state[_at_a_cathodes_edge(foils.tip, cathodes.edge, reach_mm)] = UNCLEAR
    state[strips | (no_edge & cathodes.hidden.any(axis=0))] = TAB
    state[~cathodes.facing] = NO_FACING_CATHODE
    # Within the blur of its own begin and end a foil fades, and so does its edge.
    state[np.isnan(layout.foil_mm) | layout.ends_of_foil(BLUR_VOXELS * voxel_mm)] = NO_FOIL
    with np.errstate(invalid="ignore"):
        dropped = foils.tip < usual_height(foils.tip) - CORNER_DROP_MM
    state[(foils.short | ~foils.clear | dropped) & layout.ends_of_foil(CORNER_MM)] = NO_FOIL
    state[outlying(np.where(state == MEASURED, foils.tip, np.nan), window.step_mm)] = UNCLEAR
    state[(state == MEASURED) & lonely(state == MEASURED)] = UNCLEAR
    return state


def _at_a_cathodes_edge(tip: Floats, edge: Floats, reach_mm: float) -> NDArray[np.bool_]:
    """Where (nturns, nt) a tip cannot be told from the edge of a cathode that stands up beside the foil.

    ``edge`` is (2, nturns, nt). The flank of a bright slab looks like the ridge of a thin foil, up to the
    slab's end: a tip that stands above its neighbours' just there is the slab's, or nobody knows.
    """
    with np.errstate(invalid="ignore"):
        raised = stands_tall(edge, TALL_ANODE_MM) & (np.abs(edge - tip) < reach_mm)
        above = tip > usual_height(tip) + reach_mm
    return np.asarray(raised.any(axis=0) & above)


def _strips(
    window: Window, layout: Layout, foils: _Foils, thick: NDArray[np.bool_], voxel_mm: float
) -> NDArray[np.bool_]:
    """Where (nturns, nt) what stands up is a strip of metal and no foil: it goes on out of the window, stands
    out far more than a foil, or parts the turns between which it is wound in."""
    with np.errstate(invalid="ignore"):
        metal = (foils.step > BRIGHT_STRIP) | thick
    strip = leaves(foils.tip, window) | as_strips(stands_tall(foils.tip, TALL_ANODE_MM), metal)
    return with_flanks(strip, layout.foil_mm, voxel_mm)


def _edges(
    end: EndInView,
    window: Window,
    layout: Layout,
    cathodes: Cathodes,
    foils: _Foils,
    typical: FoilContrast,
    state: NDArray[np.int8],
    voxel_mm: float,
) -> EndEdges:
    """What was found, in the cell's own heights, where it was measured."""
    bad = state != MEASURED
    tip, cathode = np.where(bad, np.nan, foils.tip), np.where(bad, np.nan, cathodes.edge)
    path_h, path_r = _free_path(window, foils.path, cathodes.lower, tip)
    less_clear = min(max(typical.free_mean / typical.roll_mean, 1.0), MOST_INSIDE)
    return EndEdges(
        end=end.name,
        outward=end.outward,
        theta_deg=layout.theta_deg,
        anode_z_mm=end.z_mm + end.outward * tip,
        cathode_z_mm=end.z_mm + end.outward * cathode,
        path_z_mm=end.z_mm + end.outward * path_h,
        path_r_mm=path_r,
        state=state,
        anode_sigma_mm=scatter(tip, layout.foil_mm, voxel_mm),
        inside_sigma_mm=INSIDE_VOXELS * voxel_mm * less_clear,
        cathode_sigma_mm=scatter(cathode, layout.foil_mm, voxel_mm),
        handedness=layout.handedness,
        foil_mm=layout.foil_mm,
        face=cathodes.face,
        hidden=cathodes.hidden,
        threshold_shift_mm=float("nan") if bad.all() else float(np.mean(foils.shift[~bad])),
        pooling=pooling(layout.theta_deg.size),
    )


def _free_path(window: Window, path_mm: Greys, edge: Floats, tip: Floats) -> tuple[Floats, Floats]:
    """Heights and radii (nturns, nt, npath) of the free foil, from the cathode's edge to the tip; NaN
    elsewhere."""
    height = np.broadcast_to(window.height_mm[:, None, None], path_mm.shape)
    with np.errstate(invalid="ignore"):
        free = (height >= edge) & (height <= tip - TIP_LEFT_OFF * window.step_mm)
    rows = np.flatnonzero(free.any(axis=(1, 2)))
    keep = slice(rows[0], rows[-1] + 1) if rows.size else slice(0, 1)
    h, r = (np.where(free, a, np.nan)[keep] for a in (height, path_mm))
    return np.moveaxis(h, 0, -1), np.moveaxis(r, 0, -1).astype(float)
