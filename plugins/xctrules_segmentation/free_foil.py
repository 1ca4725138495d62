"""One copper foil at an end of the roll: followed outward along its ridge, and its tip, where that ends.

In a half-plane through the axis a foil is a thin bright ridge that rises out of the roll and stands free
above the cathode. The ridge is followed by the path of largest summed contrast among all paths whose lean
changes no faster than a foil can bend, so that it holds through noise and beside its neighbours; the tip is
the step down in the contrast along it. It may lie below the cathode's edge: lengths are signed.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules_segmentation.best_path import best_path, squared_price
from xctrules_segmentation.foil_contrast import FoilContrast
from xctrules_segmentation.layout import Layout
from xctrules_segmentation.sampling import Sampling
from xctrules_segmentation.steps import (
    CLEAR_CONTRAST,
    Floats,
    Greys,
    Values,
    around,
    change_point,
    crossing,
    levels_beside,
    noise,
    over_turns,
    pooled,
    rank,
    take,
    thrice_pooled,
)
from xctrules_segmentation.window import Window

# --- one foil ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OneFoil:
    """What is looked at to follow one turn's foil.

    Attributes
    ----------
    foil_mm, edge : (nt,)
        Its radius in the roll, and the height of the cathode's edge beside it.
    hidden : (2, nt)
        Where a tab, or a cathode, stands up inside and outside of it.
    raised : (nt,)
        Where it is a cathode.
    typical
        How far the scan's foils stand out.
    """

    window: Window
    foil_mm: Floats
    edge: Floats
    hidden: NDArray[np.bool_]
    raised: NDArray[np.bool_]
    pitch_mm: float
    sampling: Sampling
    typical: FoilContrast

    def rows(self, which: slice) -> OneFoil:
        """The part between two heights."""
        return dataclasses.replace(self, window=self.window.rows(which))

    def open_sides(self, left: Values, right: Values) -> tuple[Values, Values]:
        """Greys of the two sides; beside a tab only the other one is dark, and stands for both."""
        return np.where(self.hidden[0], right, left), np.where(self.hidden[1], left, right)


@dataclass(frozen=True)
class Turn:
    """One turn's foil, in heights outward of the rough cathode edge.

    Attributes
    ----------
    tip : (nt,)
    clear : (nt,) bool
        Whether the step at the tip stands out of the noise.
    short : (nt,) bool
        Whether the foil is there in the roll and nothing of it stands above.
    shift : (nt,)
        How far the tip moves when the criterion moves from 50 % to 60 % of the step.
    step : (nt,)
        The step in contrast at the tip, in contrasts of a free foil: a strip of metal has more.
    path : (nh, nt)
        Radius at every height.
    """

    tip: Floats
    clear: NDArray[np.bool_]
    short: NDArray[np.bool_]
    shift: Floats
    step: Floats
    path: Greys

    def replaced(self, other: Turn, where: NDArray[np.bool_]) -> Turn:
        """This turn with the other's results at the angles ``where`` (nt,)."""
        return Turn(
            tip=np.where(where, other.tip, self.tip),
            clear=np.where(where, other.clear, self.clear),
            short=np.where(where, other.short, self.short),
            shift=np.where(where, other.shift, self.shift),
            step=np.where(where, other.step, self.step),
            path=np.where(where, other.path, self.path),
        )


@dataclass(frozen=True)
class Usual:
    """The lean of a foil's neighbours, ``lean_mm`` (nh, nt), and how far ``within_mm`` (nt,) its path may be
    off it."""

    lean_mm: Floats
    within_mm: Floats


def find_tip(foil: OneFoil, usual: Usual | None = None) -> Turn:
    """Follow one foil and find its tip; with ``usual``, beside its neighbours.

    Where a cathode stands up beside the foil, it takes the neighbours' lean as it is: the flank of a bright
    slab would draw it.
    """
    window, sampling = foil.window, foil.sampling
    path, contrast = _followed(foil, usual)
    expected = _expected_here(foil, contrast)
    last = _last_of_foil(foil, contrast, expected)
    # Only what lies around the tips is looked at again.
    reach = sampling.skip + sampling.level + 3
    known = last[np.isfinite(foil.foil_mm)]
    low = max(int(known.min(initial=last.max())) - reach, 0)
    part = foil.rows(slice(low, int(known.max(initial=0)) + reach))
    within = slice(low, low + part.window.height_mm.size)
    beyond = _contrast_beyond(part, path[within], last - low)
    tip, clear, shift, step = _tip(part, beyond, expected[within], last - low, noise(pooled(contrast)))
    short = ~clear & _is_short(foil, contrast)
    # Where the step does not show, the likeliest place still does.
    tip = np.where(short & np.isnan(tip), window.height_at(last + 0.5), tip)
    return Turn(tip, clear, short, shift, step, path)


# --- the ridge and the path along it -----------------------------------------------------------------------

STEEPEST = 1.0
"""Largest lean of a free foil that is followed, as a slope (45 degrees)."""

STRAY = 0.45
"""A foil that leans by this share of the pitch more than its neighbours has come upon another one: free
foils stand side by side and cannot cross."""

LANE_VOXELS = 0.75
"""Distance between the places that a path may take, in in-plane voxels: fine enough for a parabola through
three of them to find the ridge between."""

FARTHEST_LANE = 0.85
"""Share of the pitch that a path may be off its foil's place in the roll: farther out the next foil's begins,
less its own half-width."""

AT_HOME = 0.22
"""Share of the pitch that a foil may be off its place where it is still in the roll: the dark beside it."""

LEAST_GAIN, LARGEST_GAIN = -1.0, 1.5
"""Bounds of one place's contrast over a foil's own: a single bright or dark voxel must not make a path."""

FORBIDDEN = -4.0
"""Gain of a place where the foil cannot be: what four of its own places would make good."""

BENDING_COST = 0.12
"""Price of a step by one place, in foil's contrasts: a foil bends over several samples, noise at once."""


@dataclass(frozen=True)
class _Lanes:
    """Places beside a foil's own that its path may take: ``shift_mm`` (nlanes and the sides); the dark beside
    a lane lies ``lag`` lanes off."""

    step_mm: float
    lag: int
    shift_mm: Floats

    @classmethod
    def of(cls, foil: OneFoil) -> _Lanes:
        step_mm = LANE_VOXELS * foil.sampling.voxel_mm
        lanes = max(3, math.ceil(FARTHEST_LANE * foil.pitch_mm / step_mm))
        lag = max(1, round(foil.sampling.side_mm / step_mm))
        shift: Floats = np.arange(-lanes - lag, lanes + lag + 1, dtype=np.float64) * step_mm
        return cls(step_mm, lag, shift)

    @property
    def own_mm(self) -> Floats:
        """Shift of the lanes without the sides."""
        return self.shift_mm[self.lag : -self.lag]


def _followed(foil: OneFoil, usual: Usual | None) -> tuple[Greys, Floats]:
    """Radius of one turn's foil at every height, and the contrast of the ridge there: (nh, nt) each.

    The path maximises the sum of the ridge's contrast less a cost of bending.
    """
    window = foil.window
    if np.isnan(foil.foil_mm).all():
        nothing = np.full((window.height_mm.size, foil.foil_mm.size), np.nan, dtype=np.float32)
        return nothing, nothing.astype(float)
    lanes = _Lanes.of(foil)
    grey = window.around(foil.foil_mm, lanes.shift_mm)  # (nh, nt, lanes and the sides)
    grey = np.where(np.isnan(grey), 0, grey)
    reach = max(1, math.ceil(STEEPEST * window.step_mm / lanes.step_mm))
    price = squared_price(reach, BENDING_COST).astype(np.float32)  # as fine as greys are
    lane = best_path(_ridge_gain(foil, lanes, grey, usual), price) + lanes.lag
    radius = foil.foil_mm + lanes.shift_mm[lane] + _vertex(grey, lane) * lanes.step_mm
    contrast = _contrast_along(foil, grey, lane, lanes.lag)
    contrast[:, np.isnan(foil.foil_mm)] = np.nan
    return radius.astype(np.float32), contrast


def _ridge_gain(foil: OneFoil, lanes: _Lanes, grey: Floats, usual: Usual | None) -> Floats:
    """How much each lane looks like a foil's ridge, (nh, nt, nlanes), in a foil's own contrasts.

    Below the cathode's edge a foil stays near its place in the roll; above, it may lean by ``STEEPEST``.
    """
    height, lag = foil.window.height_mm, lanes.lag
    ridge = pooled(grey[..., lag:-lag] - np.maximum(grey[..., : -2 * lag], grey[..., 2 * lag :]))
    own = foil.typical.expected_max(height, foil.edge)
    gain = np.clip(ridge / own[..., None], LEAST_GAIN, LARGEST_GAIN)
    allowed = AT_HOME * foil.pitch_mm + STEEPEST * np.maximum(height[:, None] - foil.edge, 0.0)
    gain[np.abs(lanes.own_mm) > allowed[..., None]] = FORBIDDEN
    if usual is not None:
        within_mm = np.where(foil.raised, 0.5 * lanes.step_mm, usual.within_mm)
        gain[np.abs(lanes.own_mm - usual.lean_mm[..., None]) > within_mm[:, None]] = FORBIDDEN
    return gain


def _on_lane(grey: Floats, lane: NDArray[np.intp]) -> Floats:
    """Grey (nh, nt) on a lane (nh, nt) of ``grey`` (nh, nt, nlanes)."""
    return np.asarray(np.take_along_axis(grey, lane[..., None], axis=-1)[..., 0])


def _vertex(grey: Floats, lane: NDArray[np.intp]) -> Floats:
    """How far the ridge's top lies off its lane, in lanes, by a parabola through it and its neighbours."""
    middle, before, after = _on_lane(grey, lane), _on_lane(grey, lane - 1), _on_lane(grey, lane + 1)
    curvature = before - 2 * middle + after
    with np.errstate(divide="ignore", invalid="ignore"):
        vertex = np.where(curvature < 0, 0.5 * (before - after) / curvature, 0.0)
    return np.clip(vertex, -0.5, 0.5)


def _contrast_along(foil: OneFoil, grey: Floats, lane: NDArray[np.intp], lag: int) -> Floats:
    """Contrast of the ridge on its lane (nh, nt): against the mean of both sides, or of the one where no tab
    stands.

    Sides that differ by more than a foil's own contrast are a flank's, such as the can's: what they differ
    by more is taken off.
    """
    left, right = foil.open_sides(_on_lane(grey, lane - lag), _on_lane(grey, lane + lag))
    flank = np.maximum(0.5 * np.abs(left - right) - np.float32(0.5 * foil.typical.free_mean), 0)
    return _on_lane(grey, lane) - 0.5 * (left + right) - flank


# --- the end of the path -----------------------------------------------------------------------------------

DEEP = 0.5
"""Share of the window's depth below which a foil's contrast in the roll is taken: clear of edge and tip."""

OWN_CONTRAST_DEG = 15.0
"""To either side of an angle, over which a foil's own contrast in the roll is the median: cathodes come
nearer and go off more slowly than that."""

OWN_CONTRAST_RANGE = (0.3, 2.0)
"""Bounds of that contrast over the typical one, which noise must not carry it over."""

THERE_MM, GONE_MM = (-0.9, -0.3), (0.08, 0.35)
"""Heights outward of the cathode's edge at which a foil that is too short is there, and is not: clear of the
edge's blur, and no farther up than the least free length that is usual."""

THERE_SHARE, GONE_SHARE = 0.5, 0.3
"""Of a foil's contrast: more of it is a foil, less is none."""

SEEN_IN_ROLL = 2.0
"""Foils stand out of the roll, if they do so by this many times the noise of one (pooled) value."""

RIDGE_VOXELS = 1.0
"""A foil's ridge is averaged over this many in-plane voxels to either side: half of it and more."""

RIDGE_OF_SIDE = 0.6
"""But over no more than this share of the way to the dark beside it."""

CRITERION, OTHER_CRITERION = 0.5, 0.6
"""Share of the step at which an edge is, and to which the criterion is moved to see how much rests on it."""


def _expected_here(foil: OneFoil, contrast: Floats) -> Greys:
    """Contrast to be expected of one turn's foil at every height (nh, nt).

    In the roll a foil stands out more or less from turn to turn, as cathodes lie nearer to it or farther off:
    it is as clear near its end as around it deeper in.
    """
    height, typical = foil.window.height_mm, foil.typical.roll_mean
    deep = contrast[height < DEEP * height[0]]
    beside = max(1, int(deep.shape[1] * OWN_CONTRAST_DEG / 360))
    own = around(rank(deep, 0.5), beside) if deep.size else contrast[0]
    least, most = (share * typical for share in OWN_CONTRAST_RANGE)
    own = np.where(np.isnan(own), typical, np.clip(own, least, most))
    free = foil.typical.expected_mean(height, foil.edge)
    return np.where(height[:, None] < foil.edge, own, free).astype(np.float32)


def _last_of_foil(foil: OneFoil, contrast: Floats, expected: Greys) -> NDArray[np.intp]:
    """Index (nt,) of the last height at which the foil is there.

    Only in the void does a dark stretch end it: between two cathodes a foil may hardly show over many
    samples, and is seen again where it comes out above them.

    For equal noise the log likelihood of "foil here" against "none" is e * (c - e / 2), with e the contrast
    to be expected and c the one found: places where a foil would hardly show weigh little.
    """
    weight = expected / expected[-1]
    evidence = weight * (thrice_pooled(contrast) / expected[-1] - 0.5 * weight)
    depth = np.full(contrast.shape[1], 0.5, dtype=np.float32)
    void = foil.window.height_mm[:, None] > foil.edge
    return np.maximum(change_point(evidence, 0 * depth, depth, foil.sampling.stop, void), 0)


def _is_short(foil: OneFoil, contrast: Floats) -> NDArray[np.bool_]:
    """Where (nt,) a foil is seen in the roll but nothing of it above the cathode's edge: an anode that is
    too short.

    Its tip may not show, since a foil hardly stands out between two cathodes; that it is missing above them
    does.
    """
    away = foil.window.height_mm[:, None] - foil.edge
    even = thrice_pooled(contrast)

    def mean(band_mm: tuple[float, float]) -> Floats:
        inside = (away > band_mm[0]) & (away < band_mm[1]) & np.isfinite(even)
        return np.asarray(np.where(inside, even, 0).sum(axis=0) / np.maximum(inside.sum(axis=0), 1))

    there = mean(THERE_MM) > THERE_SHARE * foil.typical.roll_mean
    gone = mean(GONE_MM) < GONE_SHARE * foil.typical.free_mean
    return np.asarray(there & gone & (foil.typical.roll_mean > SEEN_IN_ROLL * noise(even)))


def _contrast_beyond(foil: OneFoil, path: Greys, last: NDArray[np.intp]) -> Greys:
    """Contrast (nh, nt) along the foil, and beyond its tip along the straight line that it would go on in.

    A path that is free beyond the tip seeks out the noise's own ridges and lifts the level there; a straight
    one does not, and leaves the step as it is.
    """
    window, sampling = foil.window, foil.sampling
    line = _straight_beyond(path, last, max(3, sampling.level))
    left, right = (window.along(line + shift) for shift in (-sampling.side_mm, sampling.side_mm))
    # The sum across the ridge does not care where between two voxels a thin foil lies, its peak does.
    half = min(RIDGE_VOXELS * sampling.voxel_mm, RIDGE_OF_SIDE * sampling.side_mm)
    middle = sum(window.along(line + shift) for shift in (-half, 0.0, half)) / np.float32(3)
    left, right = foil.open_sides(left, right)
    return np.asarray(middle - 0.5 * (left + right), dtype=np.float32)


def _straight_beyond(path: Greys, last: NDArray[np.intp], count: int) -> Floats:
    """``path`` (nh, nt) up to ``last`` (nt,), and from there on the least-squares line through its last
    ``count`` samples."""
    rows = np.arange(path.shape[0])[:, None]
    fit = (rows <= last) & (rows > last - count) & np.isfinite(path)
    known = np.maximum(fit.sum(axis=0), 1)
    centre = np.where(fit, rows, 0).sum(axis=0) / known
    mean = np.where(fit, path, 0).sum(axis=0) / known
    away = np.where(fit, rows - centre, 0.0)
    slope = (away * np.where(fit, path - mean, 0.0)).sum(axis=0) / np.maximum((away**2).sum(axis=0), 1.0)
    return np.asarray(np.where(rows <= last, path, mean + slope * (rows - centre)))


def _tip(
    foil: OneFoil, contrast: Greys, expected: Greys, last: NDArray[np.intp], noise_of_one: float
) -> tuple[Floats, NDArray[np.bool_], Floats, Floats]:
    """Height of the foil's tip, whether its step is clear, how far it moves at 60 % of the step, and the step
    in contrasts of a free foil; (nt,) each."""
    window, sampling = foil.window, foil.sampling
    contrast = pooled(contrast)
    half = 0.5 * take(expected, last[None])[0]
    high, low = levels_beside(contrast, last, sampling.skip, sampling.level)
    high, low = np.where(np.isnan(high), 2 * half, high), np.where(np.isnan(low), 0, low)
    clear = high - low > CLEAR_CONTRAST * noise_of_one / np.sqrt(sampling.level / 2)
    # Where a stub is all that stands above the cathode, the level inside of it is the roll's. What it falls
    # from is a free foil's, which others along the turn show; too short a stub stays below half of it.
    outside = window.height_at(last) >= foil.edge
    stub = outside & (window.height_at(last - sampling.skip - sampling.level // 2) < foil.edge)
    free = high[clear & outside & ~stub]
    level = np.fmax(high, np.median(free) if free.size else 2 * half)

    def fallen_to(share: float) -> Floats:
        plain = crossing(contrast, last, (1 - share) * low + share * high, sampling.search)
        if stub.any():
            raised = crossing(contrast, last, (1 - share) * low + share * level, sampling.search)
            plain = np.where(stub & np.isfinite(raised), raised, plain)
        return window.height_at(plain)

    tip = fallen_to(CRITERION)
    shift = np.nan_to_num(fallen_to(OTHER_CRITERION) - tip)
    return tip, clear & np.isfinite(tip), shift, np.asarray((high - low) / foil.typical.free_mean)


# --- paths that have come upon another foil ----------------------------------------------------------------

STRAY_DROP_MM = 0.1
"""A path that ends this far below its neighbours' tips may have left its foil half-way: it is looked at up to
where they end."""


APART_DEG = 5.0
"""A path that lies off those so far on to both sides of it, and off both to the same side, has jumped: a foil
is one sheet, and is not pulled out and back within twice this."""


@dataclass(frozen=True)
class Strays:
    """Where paths have come upon another foil, ``where`` (nturns, nt), and what to follow them by:
    ``lean_mm`` (nh, nturns, nt), the neighbours' lean, and ``within_mm`` (nturns, nt)."""

    where: NDArray[np.bool_]
    lean_mm: Floats
    within_mm: Floats

    def usual(self, turn: int) -> Usual:
        """For one turn."""
        return Usual(self.lean_mm[:, turn], self.within_mm[turn])


def strays(window: Window, layout: Layout, path: Greys, tip: Floats, side_mm: float) -> Strays:
    """Paths that have left their foil: against the next turns, and against the same turn to both sides.

    Where a foil is missing its path takes the next one for it, over any length. Usual is the median over five
    turns at the same angle. A path that jumped over a few degrees onto what lies beside it is told by its own
    turn: usual is the middle between the two sides. ``path`` is (nh, nturns, nt), ``tip`` (nturns, nt);
    ``side_mm`` as in :class:`~xctrules_segmentation.sampling.Sampling`.
    """
    lean = (path - layout.foil_mm).astype(np.float32)
    height = window.height_mm[:, None, None]
    with np.errstate(invalid="ignore"):
        usual = over_turns(np.where(height <= tip, lean, np.float32(np.nan)), 0.5)
        # A path that leaves its foil half-way finds a tip there.
        neighbours = over_turns(tip, 0.5)
        upto = np.where(np.isnan(tip) | (tip < neighbours - STRAY_DROP_MM), neighbours, tip)
        looked_at = height <= upto
    for i in range(1, usual.shape[0]):  # above the neighbours' tips their last lean goes on
        usual[i] = np.where(np.isnan(usual[i]), usual[i - 1], usual[i])
    with np.errstate(invalid="ignore"):
        off = (looked_at & (np.abs(lean - usual) > STRAY * layout.pitch_mm)).any(axis=0)
    jumped, between = _jumped(lean, looked_at, window.theta_deg.size, side_mm)
    jumped &= ~off
    return Strays(
        where=off | jumped,
        lean_mm=np.nan_to_num(np.where(jumped, between, usual)).astype(float),
        within_mm=np.where(jumped, side_mm, STRAY * layout.pitch_mm),
    )


def _jumped(
    lean: Greys, looked_at: NDArray[np.bool_], half_planes: int, side_mm: float
) -> tuple[NDArray[np.bool_], Greys]:
    """Where (nturns, nt) a path is nearer to another ridge than to those ``APART_DEG`` to both sides of it,
    and the middle between these (nh, nturns, nt)."""
    lag = max(1, round(APART_DEG * half_planes / 360))
    before, after = np.roll(lean, lag, axis=-1), np.roll(lean, -lag, axis=-1)
    with np.errstate(invalid="ignore"):
        outward = np.minimum(lean - before, lean - after) > side_mm
        inward = np.maximum(lean - before, lean - after) < -side_mm
    jumped = (looked_at & (outward | inward)).any(axis=0)
    return jumped, np.asarray(0.5 * (before + after), dtype=np.float32)
