"""The edges of the cathodes at an end of the roll, above the foils that they face.

Grey along the height, averaged over the middle of the slab: the step is first found as the most likely change
of level (the height up to which the summed excess over the half level is largest, which no single noisy voxel
can move), then located where the grey crosses half-way between the levels on its two sides.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules_segmentation.layout import Layout
from xctrules_segmentation.places import TALL_CATHODE_MM, as_strips, leaves, stands_tall, with_flanks
from xctrules_segmentation.sampling import Sampling
from xctrules_segmentation.steps import (
    CLEAR_CONTRAST,
    Floats,
    around,
    change_point,
    crossing,
    levels_beside,
    noise,
    pooled,
    rank,
)
from xctrules_segmentation.window import Window

MIDDLE_OF_SLAB = (-0.5, 0.0, 0.5)
"""Half-widths off the slab's middle at which its grey is read: neither its blurred flanks nor foils that lean
across weigh much."""

INSIDE_BELOW_MM, OUTSIDE_ABOVE_MM = -0.3, 0.1
"""Heights from which on a slab is there for certain, and is not; the rough edge is known to some tenths of a
millimetre."""

OUTSIDE_SHARE = 0.25
"""Quantile of the greys above that is taken for what lies there: foils that lean across are brighter."""

LARGEST_BACKGROUND = 0.3
"""Share of the step beyond which what lies just above an edge is no background, but a foil that leans
across."""

LEAST_OF_STEP = 0.35
"""An edge's own step is at least this share of that between roll and void."""

LEAST_DEPTH = 1e-3
"""Half a step, grey levels; keeps the search for one finite where there is none."""

LEAST_STEP, LARGEST_STEP = 0.5, 1.4
"""One cathode is as bright as the other: a step outside this range, as a share of the usual one, is some
other layer's or a centre pin's."""

FILLED = 0.6
"""Share of a cathode's usual step that both flanks of its slab show, where it is a cathode that stands up: a
strip of metal beside it fills one of them only."""

NEIGHBOURS_DEG = 15.0
"""To either side of an angle, over which a step's neighbours are looked at."""


@dataclass(frozen=True)
class Cathodes:
    """The cathodes facing each foil from inside [0] and outside [1].

    Attributes
    ----------
    edge : (2, nturns, nt)
        Height outward of the rough cathode edge; NaN where it was not seen.
    face : (2, nturns, nt) bool
        Whether the roll has one there.
    hidden : (2, nturns, nt) bool
        Where a tab stands in front of the edge.
    tall : (2, nturns, nt) bool
        Where something stands up beside the foil: a tab, or the cathode itself.
    """

    edge: Floats
    face: NDArray[np.bool_]
    hidden: NDArray[np.bool_]
    tall: NDArray[np.bool_]

    @property
    def raised(self) -> NDArray[np.bool_]:
        """Where (nturns, nt) a cathode itself stands up beside the foil."""
        return np.asarray((self.tall & ~self.hidden).any(axis=0))

    @property
    def facing(self) -> NDArray[np.bool_]:
        """Whether (nturns, nt) the roll has a cathode on either side."""
        return np.asarray(self.face.any(axis=0))

    @property
    def unseen(self) -> NDArray[np.bool_]:
        """Where (nturns, nt) neither edge was seen."""
        return np.asarray(np.isnan(self.edge).all(axis=0))

    @property
    def lower(self) -> Floats:
        """The lower edge of the two that face a foil, (nturns, nt); NaN where neither was seen."""
        return np.asarray(np.fmin(self.edge[0], self.edge[1]))

    def lower_or_usual(self) -> Floats:
        """:attr:`lower`, and the usual height of all edges where neither was seen."""
        edge = self.lower
        usual = float(np.nanmedian(edge)) if np.isfinite(edge).any() else 0.0
        return np.where(np.isnan(edge), usual, edge)


def find_cathodes(
    window: Window, layout: Layout, parted: NDArray[np.bool_], sampling: Sampling, pool: Executor
) -> Cathodes:
    """Locate the cathodes' edges on both sides of every turn, at every angle.

    ``parted`` (2, nturns, nt) says where something thick lies inside and outside a turn, see
    :func:`~xctrules_segmentation.places.parted`.
    """
    faces = np.stack([layout.inner_mm, layout.outer_mm])
    half_width = layout.half_width_mm

    def both_sides(turn: int) -> list[tuple[Floats, Floats, Floats]]:
        return [_edge(window, face, half_width, sampling) for face in faces[:, turn]]

    looked = list(pool.map(both_sides, range(faces.shape[1])))
    edge, step, flank = (
        np.array([[side[i] for side in turn] for turn in looked]).swapaxes(0, 1) for i in range(3)
    )
    other = np.isfinite(step) & ~_like_a_cathode(step)
    edge, faces = np.where(other, np.nan, edge), np.where(other, np.nan, faces)
    tall = stands_tall(edge, TALL_CATHODE_MM)
    hidden = with_flanks(_strips(edge, flank, tall, parted, window), layout.foil_mm, sampling.voxel_mm)
    return Cathodes(
        np.where(hidden, np.nan, edge),
        np.isfinite(faces),
        hidden,
        hidden | with_flanks(tall, layout.foil_mm, sampling.voxel_mm),
    )


def _strips(
    edge: Floats, flank: Floats, tall: NDArray[np.bool_], parted: NDArray[np.bool_], window: Window
) -> NDArray[np.bool_]:
    """Where (2, nturns, nt) what stands up is a strip of metal and no cathode.

    A tab goes on out of the window, or parts the turns between which it is wound in, or stands beside the
    slab's place. What does none of that, ends in the window and is a cathode's in grey and in width, is a
    cathode that stands up: its edge is where it ends.
    """
    usual = np.nanmedian(flank) if np.isfinite(flank).any() else np.nan
    with np.errstate(invalid="ignore"):
        beside = flank < FILLED * usual
    return np.asarray(leaves(edge, window) | as_strips(tall, parted | beside))


def _edge(
    window: Window, centre_mm: Floats, half_width_mm: float, sampling: Sampling
) -> tuple[Floats, Floats, Floats]:
    """Height of the edge of the cathode whose middle lies at ``centre_mm`` (nt,), the step in grey there, and
    that of the weaker of its two flanks.

    All are NaN where there is none to be seen.
    """
    if np.isnan(centre_mm).all():
        nothing = np.full(centre_mm.shape, np.nan)
        return nothing, nothing, nothing
    across = [pooled(window.at(centre_mm + k * half_width_mm)) for k in MIDDLE_OF_SLAB]
    profile = np.mean(across, axis=0)
    below = max(3, int((window.height_mm < INSIDE_BELOW_MM).sum()))
    inside = rank(profile[:below], 0.5)
    outside = rank(profile[window.height_mm > OUTSIDE_ABOVE_MM], OUTSIDE_SHARE)
    depth = np.maximum(0.5 * (inside - outside), LEAST_DEPTH)
    index = np.maximum(change_point(profile, 0.5 * (inside + outside), depth, sampling.stop), 0)
    high, low = levels_beside(profile, index, sampling.skip, sampling.level)
    low = np.fmin(low, outside + LARGEST_BACKGROUND * (inside - outside))
    at = crossing(profile, index, 0.5 * (high + low), sampling.search)
    with np.errstate(invalid="ignore"):
        clear = high - low > CLEAR_CONTRAST * noise(profile)
        clear &= high - low > LEAST_OF_STEP * (inside - outside)
    clear &= np.isfinite(at)
    flanks = [levels_beside(flank, index, sampling.skip, sampling.level)[0] - low for flank in across]
    found = window.height_at(at), high - low, np.fmin(flanks[0], flanks[-1])
    edge, step, flank = (np.where(clear, values, np.nan) for values in found)
    return edge, step, flank


def _like_a_cathode(step: Floats) -> NDArray[np.bool_]:
    """Where the step in grey (2, nturns, nt) at an edge is a cathode's, by itself and among its neighbours
    along theta."""
    usual = np.nanmedian(step) if np.isfinite(step).any() else np.nan
    beside = around(step, max(1, int(step.shape[-1] * NEIGHBOURS_DEG / 360)))
    with np.errstate(invalid="ignore"):
        return np.asarray((step > LEAST_STEP * usual) & (np.fmax(step, beside) < LARGEST_STEP * usual))
