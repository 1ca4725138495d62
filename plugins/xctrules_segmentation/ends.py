"""The electrode edges at one end of the roll: the cathode's edge and the anode's copper tip, turn by turn.

In a half-plane through the axis each copper foil is a thin bright ridge that rises out of the roll and
stands free above the cathode, a bright slab between two foils. Both end in a blurred step along the height.
Model and method:

* cathode edge: grey along the height, averaged over the middle of the slab; the step is first found as the
  most likely change of level (the height up to which the summed excess over the half level is largest, which
  no single noisy voxel can move), then located where the grey crosses half-way between the levels on its two
  sides;
* foil: the ridge is followed outward by the path of largest summed ridge contrast among all paths whose lean
  changes no faster than a foil can bend (dynamic programming), so that it holds through noise and beside its
  neighbours;
* anode edge: the same step search in the contrast of the ridge against what lies beside it. It may lie below
  the cathode's edge: lengths are signed.
"""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.core.robust import noise_of_second_differences
from xctrules.cylinder.frame import EndInView
from xctrules.cylinder.surfaces import (
    MEASURED,
    NO_FACING_CATHODE,
    NO_FOIL,
    TAB,
    UNCLEAR,
    CylinderCell,
    EndEdges,
)

Floats = NDArray[np.float64]
Greys = NDArray[np.float32]

INWARD_MM = 1.6
"""How far below the rough cathode edge the electrodes are looked at: deeper than a negative overhang that
still lets a cell be wound."""

OUTWARD_MM = 3.2
"""How far above it: some five times a usual overhang; only tabs stand taller."""

STEEPEST = 1.0
"""Largest lean of a free foil that is followed, as a slope (45 degrees)."""

CORNER_MM, CORNER_DROP_MM = 3.0, 0.1
"""So far from its begin and end a foil's edge may be cut or folded back, or lie against another end of it:
an edge that drops by more than this against its neighbours, or does not show, is not told from such a corner
and not measured."""

RIDGE_VOXELS = 1.0
"""A foil's ridge is averaged over this many in-plane voxels to either side: half of it and more."""

STRAY = 0.45
"""A foil that leans by this share of the pitch more than its neighbours has come upon another one: free
foils stand side by side and cannot cross."""

INSIDE_VOXELS = 0.5
"""Standard uncertainty, in in-plane voxels, of the shortest of the tips that end beside a cathode, for a foil
that stands out there as well as in the void. Between two bright slabs the level that it falls to is not that
of the void. Type B: root mean square error on phantoms with short stretches."""

LEAST_STEP, LARGEST_STEP = 0.5, 1.4
"""One cathode is as bright as the other: a step outside this range, as a share of the usual one, is some
other layer's or a centre pin's."""

LEAST_POOLED = 180
"""Half-planes round the turn from which neighbours are pooled: two degrees apart or nearer, they see the same
piece of foil."""

CLEAR_CONTRAST = 3.0
"""A step counts as seen when it is this many times the noise of the values it is found in."""


@dataclass(frozen=True)
class Window:
    """Grey values around one end, ordered outward: sample i lies ``height_mm[i]`` outward of the rough
    cathode edge."""

    grey: Greys  # (nh, nt, nr)
    height_mm: Floats
    theta_deg: Floats
    r_mm: Floats
    step_mm: float

    def rows(self, which: slice) -> Window:
        """The part between two heights."""
        return dataclasses.replace(self, grey=self.grey[which], height_mm=self.height_mm[which])

    def at(self, r_mm: Floats) -> Greys:
        """Grey at radii ``r_mm``, (..., nt), for every height: (nh, ..., nt), linear in r; NaN beyond the
        window."""
        dr = self.r_mm[1] - self.r_mm[0]
        position = (np.asarray(r_mm, dtype=np.float32) - np.float32(self.r_mm[0])) / np.float32(dr)
        nr = self.r_mm.size
        with np.errstate(invalid="ignore"):
            inside = (position >= 0) & (position <= nr - 1)
        position = np.where(inside, position, 0)
        low = np.minimum(position.astype(np.int32), nr - 2)
        fraction = position - low
        theta = np.broadcast_to(np.arange(self.theta_deg.size, dtype=np.int32), low.shape)
        flat = self.grey.reshape(self.grey.shape[0], -1)
        index = theta * nr + low
        value = flat[:, index] * (1 - fraction) + flat[:, index + 1] * fraction
        value[:, ~inside] = np.nan
        return value

    def around(self, centre_mm: Floats, shift_mm: Floats) -> Greys:
        """Grey at ``centre_mm`` (nt,) + ``shift_mm`` (ns,), for every height: (nh, nt, ns)."""
        return np.ascontiguousarray(np.moveaxis(self.at(centre_mm + shift_mm[:, None]), 1, 2))

    def along(self, path_mm: Floats) -> Greys:
        """Grey along paths of radius (nh, nt), one value for each height and angle; NaN beyond the window."""
        position = (path_mm - self.r_mm[0]) / (self.r_mm[1] - self.r_mm[0])
        with np.errstate(invalid="ignore"):
            inside = (position >= 0) & (position <= self.r_mm.size - 1)
        position = np.where(inside, position, 0)
        low = np.minimum(position.astype(np.intp), self.r_mm.size - 2)
        pair = np.take_along_axis(self.grey, low[..., None] + np.arange(2), axis=2)
        value = pair[..., 0] + (position - low) * (pair[..., 1] - pair[..., 0])
        return np.where(inside, value, np.nan).astype(np.float32)


def sample_window(cell: CylinderCell, end: EndInView, theta_deg: Floats) -> Window:
    """Read the grey values around one end of the roll on half-planes at ``theta_deg``."""
    frame = cell.frame
    assert frame.outer_radius_mm is not None
    dz = frame.voxel_mm[0] / frame.axis[2]
    limits = np.array([-INWARD_MM, OUTWARD_MM]) * end.outward + end.z_mm
    z = frame.z_grid_mm()
    z = z[(z >= limits.min()) & (z <= limits.max())]
    if end.outward < 0:
        z = z[::-1]
    dr = 0.5 * min(frame.voxel_mm[1:])
    r = np.arange(0.0, frame.outer_radius_mm + dr, dr)
    grey = frame.cylinder(cell.scan, z, theta_deg, r)
    return Window(grey, end.outward * (z - end.z_mm), theta_deg, r, dz)


@dataclass(frozen=True)
class Layout:
    """What the roll says of the layers that come up to an end; all radii (nturns, nt), NaN where there is
    none.

    ``foil_mm`` is the copper foil, ``inner_mm`` and ``outer_mm`` the middles of the cathodes that face it
    from inside and outside.
    """

    theta_deg: Floats
    foil_mm: Floats
    inner_mm: Floats
    outer_mm: Floats
    half_width_mm: float
    pitch_mm: float
    handedness: int

    def ends_of_foil(self, reach_mm: float) -> NDArray[np.bool_]:
        """Places (nturns, nt) on the foil within ``reach_mm`` of where it begins or ends, or of a gap in
        it."""
        line = self.foil_mm[:, :: self.handedness].ravel()
        known = np.isfinite(line)
        step_mm = np.nan_to_num(line, nan=np.inf) * (2 * np.pi / self.theta_deg.size)
        # At the core a few millimetres are half a turn; more than a twentieth of one is no corner.
        steps = np.minimum(np.ceil(reach_mm / step_mm), np.ceil(self.theta_deg.size / 20))
        near = np.zeros(line.size, dtype=bool)
        for shift in range(1, int(steps.max(initial=0)) + 1):
            lost = np.zeros(line.size, dtype=bool)
            lost[shift:] |= ~known[:-shift]
            lost[:-shift] |= ~known[shift:]
            near |= lost & (shift <= steps)
        return (near & known).reshape(self.foil_mm.shape)[:, :: self.handedness]


def bridged(layout: Layout) -> Layout:
    """``layout`` with the gaps in its foil filled along the line, and the cathodes beside them where both
    rims have one.

    A foil is one piece from its inner to its outer end: where it was lost on the way (beside a tab, say) it
    is still there, and has to be looked at. Nothing is added before its first and after its last place.
    """
    turned = slice(None, None, layout.handedness)
    shape = layout.foil_mm.shape
    line = layout.foil_mm[:, turned].ravel()
    known = np.flatnonzero(np.isfinite(line))
    if known.size == 0:
        return layout
    place = np.arange(line.size)
    gap = np.isnan(line) & (place > known[0]) & (place < known[-1])
    # The pitch is in the line, so that a straight bridge follows the spiral.
    foil = np.where(gap, np.interp(place, known, line[known]), line)
    sides = []
    for side in (layout.inner_mm, layout.outer_mm):
        away = side[:, turned].ravel() - line
        before = known[np.clip(np.searchsorted(known, place) - 1, 0, None)]
        after = known[np.clip(np.searchsorted(known, place), None, known.size - 1)]
        between = 0.5 * (away[before] + away[after])  # NaN where either rim has no cathode
        sides.append((foil + np.where(gap, between, away)).reshape(shape)[:, turned])
    return dataclasses.replace(
        layout, foil_mm=foil.reshape(shape)[:, turned], inner_mm=sides[0], outer_mm=sides[1]
    )


@dataclass(frozen=True)
class _Sampling:
    """Lengths of the method in samples along the height: ``skip`` clears an edge's blur, ``level`` averages
    a level, ``stop`` is a dark stretch that ends an electrode; ``side_mm`` reaches from a foil to the dark
    beside it."""

    skip: int
    level: int
    stop: int
    voxel_mm: float
    side_mm: float

    @classmethod
    def of(cls, step_mm: float, voxel_mm: float, side_mm: float) -> _Sampling:
        # A scanner's edge spread is about 1.3 in-plane voxels; 2.2 of them leave 1 % of the step.
        skip = max(1, int(np.ceil(2.2 * 1.3 * voxel_mm / step_mm)))
        return cls(skip, max(3, round(0.25 / step_mm)), max(3, round(0.3 / step_mm)), voxel_mm, side_mm)


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
    if below < 4 or window.height_mm.size - below < 4:
        raise NotMeasurable(f"too few slices on either side of the electrode edge at the {end.name}")
    sampling = _Sampling.of(window.step_mm, voxel, _side_mm(window, layout, voxel))
    turns = range(layout.foil_mm.shape[0])
    faces = np.stack([layout.inner_mm, layout.outer_mm])
    with ThreadPoolExecutor(2) as pool:
        looked = list(
            pool.map(
                lambda k: [_cathode_edge(window, f, layout.half_width_mm, sampling) for f in faces[:, k]],
                turns,
            )
        )
        cathode, step = (
            np.array([[face[i] for face in turn] for turn in looked]).swapaxes(0, 1) for i in (0, 1)
        )
        other = np.isfinite(step) & ~_like_a_cathode(step)
        cathode, faces = np.where(other, np.nan, cathode), np.where(other, np.nan, faces)
        hidden = _stands_tall(cathode, TALL_CATHODE_MM, window, layout.foil_mm, voxel)
        cathode = np.where(hidden, np.nan, cathode)
        edge = np.fmin(*cathode)
        usual = float(np.nanmedian(edge)) if np.isfinite(edge).any() else 0.0
        edge = np.where(np.isnan(edge), usual, edge)
        contrast = _foil_contrast(window, layout, edge, sampling.side_mm)

        def follow(k: int, usual: Floats | None = None) -> _Turn:
            return _turn(window, layout, k, edge[k], hidden[:, k], sampling, contrast, usual)

        found = list(pool.map(follow, turns))
        usual, strayed = _strays(window, layout, found)
        for k in np.flatnonzero(strayed.any(axis=1)):
            found[k] = found[k].replaced(follow(int(k), usual[:, k]), strayed[k])
    short = np.stack([t.short for t in found])
    tip = np.stack([t.tip for t in found])
    clear = np.stack([t.clear for t in found])
    shift = np.stack([t.shift for t in found])
    path = np.stack([t.path for t in found], axis=1)

    no_face = np.isnan(cathode).all(axis=0)
    state = np.full(tip.shape, MEASURED, dtype=np.int8)
    state[no_face | ~(clear | short)] = UNCLEAR
    state[
        _stands_tall(tip, TALL_ANODE_MM, window, layout.foil_mm, voxel) | (no_face & hidden.any(axis=0))
    ] = TAB
    state[np.isnan(faces).all(axis=0)] = NO_FACING_CATHODE
    # Within the blur of its own begin and end a foil fades, and so does its edge.
    state[np.isnan(layout.foil_mm) | layout.ends_of_foil(3 * voxel)] = NO_FOIL
    with np.errstate(invalid="ignore"):
        dropped = tip < _usual(tip) - CORNER_DROP_MM
    state[(short | ~clear | dropped) & layout.ends_of_foil(CORNER_MM)] = NO_FOIL
    state[_outlying(np.where(state == MEASURED, tip, np.nan), window.step_mm)] = UNCLEAR
    state[(state == MEASURED) & _lonely(state == MEASURED)] = UNCLEAR
    bad = state != MEASURED
    tip = np.where(bad, np.nan, tip)
    lower = np.fmin(*cathode)
    path_h, path_r = _free_path(window, path, lower, tip)
    return EndEdges(
        end=end.name,
        outward=end.outward,
        theta_deg=layout.theta_deg,
        anode_z_mm=end.z_mm + end.outward * tip,
        cathode_z_mm=end.z_mm + end.outward * np.where(bad, np.nan, cathode),
        path_z_mm=end.z_mm + end.outward * path_h,
        path_r_mm=path_r,
        state=state,
        anode_sigma_mm=_scatter(tip, layout.foil_mm, voxel),
        inside_sigma_mm=INSIDE_VOXELS * voxel * min(max(contrast.free_mean / contrast.roll_mean, 1.0), 6.0),
        cathode_sigma_mm=_scatter(np.where(bad, np.nan, cathode), layout.foil_mm, voxel),
        handedness=layout.handedness,
        threshold_shift_mm=float(np.mean(shift[~bad])) if not bad.all() else float("nan"),
        pooling=pooling(layout.theta_deg.size),
    )


@dataclass(frozen=True)
class _Turn:
    """One turn's foil, in heights outward of the rough cathode edge."""

    tip: Floats  # (nt,)
    clear: NDArray[np.bool_]  # (nt,)
    short: NDArray[np.bool_]  # (nt,) whether the foil is there in the roll and nothing of it stands above
    shift: Floats  # (nt,)
    path: Greys  # (nh, nt)

    def replaced(self, other: _Turn, where: NDArray[np.bool_]) -> _Turn:
        """This turn with the other's results at the angles ``where`` (nt,)."""
        names = ("tip", "clear", "short", "shift", "path")
        return _Turn(*(np.where(where, getattr(other, n), getattr(self, n)) for n in names))


@dataclass(frozen=True)
class _FoilContrast:
    """How far a scan's foils stand out of what is beside them: in the roll, and free above the cathode's
    edge.

    ``*_mean`` is against the mean of the two sides, ``*_max`` against the brighter one.
    """

    roll_mean: float
    free_mean: float
    roll_max: float
    free_max: float

    def expected(self, window: Window, edge: Floats, which: str) -> Greys:
        """Contrast to be expected at every height (nh, nt), given the cathode's edge (nt,)."""
        roll, free = (getattr(self, f"{part}_{which}") for part in ("roll", "free"))
        return np.where(window.height_mm[:, None] < edge, np.float32(roll), np.float32(free))


def _turn(
    window: Window,
    layout: Layout,
    k: int,
    edge: Floats,
    hidden: NDArray[np.bool_],
    sampling: _Sampling,
    foils: _FoilContrast,
    usual: Floats | None = None,
) -> _Turn:
    path, contrast = _follow_foil(
        window, layout.foil_mm[k], edge, hidden, layout.pitch_mm, sampling, foils, usual
    )
    expected = _expected_here(window, contrast, edge, foils)
    last = _last_of_foil(contrast, expected, window.height_mm[:, None] > edge, sampling)
    # Only what lies around the tips is looked at again.
    reach = sampling.skip + sampling.level + 3
    known = last[np.isfinite(layout.foil_mm[k])]
    low = max(int(known.min(initial=last.max())) - reach, 0)
    part = window.rows(slice(low, int(known.max(initial=0)) + reach))
    within = slice(low, low + part.height_mm.size)
    beyond = _contrast_beyond(part, path[within], last - low, hidden, sampling)
    noise = _noise(pooled(contrast))
    tip, clear, shift = _tip(part, beyond, expected[within], last - low, edge, noise, sampling)
    short = ~clear & _is_short(window, contrast, edge, foils)
    # Where the step does not show, the likeliest place still does.
    tip = np.where(short & np.isnan(tip), _height(window, last + 0.5), tip)
    return _Turn(tip, clear, short, shift, path)


def _strays(window: Window, layout: Layout, found: list[_Turn]) -> tuple[Floats, NDArray[np.bool_]]:
    """The lean that is usual at every place, (nh, nturns, nt) in mm, and where (nturns, nt) a path strays
    from it.

    Where a foil is missing its path takes the next one for it. Usual is the median over five turns at the
    same angle.
    """
    lean = np.stack([t.path - layout.foil_mm[k] for k, t in enumerate(found)], axis=1).astype(np.float32)
    tips = np.stack([t.tip for t in found])
    height = window.height_mm[:, None, None]
    with np.errstate(invalid="ignore"):
        usual = _over_turns(np.where(height <= tips, lean, np.float32(np.nan)))
        # A path that leaves its foil half-way finds a tip there: one that ends far below its neighbours' tips
        # or nowhere is looked at up to where they end.
        neighbours = _over_turns(tips[None])[0]
        upto = np.where(np.isnan(tips) | (tips < neighbours - CORNER_DROP_MM), neighbours, tips)
        looked_at = height <= upto
    for i in range(1, usual.shape[0]):  # above the neighbours' tips their last lean goes on
        usual[i] = np.where(np.isnan(usual[i]), usual[i - 1], usual[i])
    with np.errstate(invalid="ignore"):
        strayed = (looked_at & (np.abs(lean - usual) > STRAY * layout.pitch_mm)).any(axis=0)
    return np.nan_to_num(usual).astype(float), strayed


def _over_turns(values: Greys) -> Greys:
    """Median over five neighbouring turns at the same angle, (n, nturns, nt)."""
    n, turns, nt = values.shape
    padded = np.full((n, turns + 4, nt), np.nan, dtype=values.dtype)
    padded[:, 2:-2] = values
    return rank(np.stack([padded[:, k : k + turns] for k in range(5)]), 0.5)


def _scatter(values: Floats, radius_mm: Floats, voxel_mm: float) -> float:
    """Standard deviation of single values (..., nturns, nt) about their neighbours along theta, robust (from
    second differences).

    Neighbours are the nearest that share no noise: three in-plane voxels on, and three half-planes more where
    these are pooled. Nearer ones differ by less than their noise.
    """
    nt = values.shape[-1]
    known = np.isfinite(radius_mm)
    mean = np.where(known, radius_mm, 0.0).sum(axis=-1) / np.maximum(known.sum(axis=-1), 1)
    apart = 3 * voxel_mm / np.maximum(mean, voxel_mm) * nt / (2 * np.pi)
    lags = np.clip(np.ceil(apart), 1, nt // 8).astype(int) + (3 if nt >= 180 else 0)
    away = []
    for k, lag in enumerate(lags):
        row = values[..., k, :]
        away.append((np.roll(row, lag, axis=-1) - 2 * row + np.roll(row, -lag, axis=-1)).ravel())
    return noise_of_second_differences(np.concatenate(away))


def _like_a_cathode(step: Floats) -> NDArray[np.bool_]:
    """Where the step in grey (2, nturns, nt) at an edge is a cathode's, by itself and among its neighbours
    along theta."""
    usual = np.nanmedian(step) if np.isfinite(step).any() else np.nan
    around = _around(step, max(1, step.shape[-1] // 24))
    with np.errstate(invalid="ignore"):
        return np.asarray((step > LEAST_STEP * usual) & (np.fmax(step, around) < LARGEST_STEP * usual))


def change_point(
    profile: Greys, half: Greys, depth: Greys, stop: int, ends: NDArray[np.bool_] | None = None
) -> NDArray[np.intp]:
    """Index of the last sample on the high side of the first lasting step down.

    For noise that is alike everywhere, the likeliest position of a step between two levels is where the sum
    of (value - half level), taken from the start, is largest. What lies beyond a dark stretch as long as
    ``stop`` samples belongs to something else (the bead, a tab, another foil) and is left out.

    Parameters
    ----------
    profile : (n, nt)
    half, depth : (nt,)
        Mean of the two levels, and half their difference.
    stop
        Length of the dark stretch, in samples.
    ends : (n, nt)
        Where a dark stretch ends the electrode; everywhere, unless given.

    Returns
    -------
    (nt,)
        -1 where every value lies below.
    """
    excess = np.where(np.isnan(profile), 0, np.clip(profile - half, -1.5 * depth, 1.5 * depth))
    total = np.cumsum(excess, axis=0)
    peak = np.maximum.accumulate(np.maximum(total, 0), axis=0)
    fallen = peak - total
    if ends is not None:
        there = np.cumsum(np.where(ends, excess, 0), axis=0)
        fallen = np.maximum.accumulate(np.maximum(there, 0), axis=0) - there
    ended = np.maximum.accumulate((peak > 0) & (fallen > stop * depth), axis=0)
    total = np.where(ended, -np.inf, total)
    best = np.argmax(total, axis=0)
    return np.where(np.take_along_axis(total, best[None], axis=0)[0] > 0, best, -1)


def rank(values: Greys, share: float) -> Greys:
    """Quantile over the first axis without regard to NaN, (n, ...) to (...); NaN where nothing is known.

    The nearest ranked value is taken, not interpolated: numpy's own ``nanquantile`` goes column by column in
    Python.
    """
    ordered = np.sort(values, axis=0)  # NaN goes last
    known = np.isfinite(ordered).sum(axis=0)
    index = np.clip(np.rint(share * (known - 1)), 0, None).astype(np.intp)
    return np.asarray(np.take_along_axis(ordered, index[None], axis=0)[0])


def _take(profile: Greys, index: NDArray[np.intp]) -> Greys:
    """Values of ``profile`` (n, nt) at ``index`` (m, nt); NaN outside."""
    n = profile.shape[0]
    value = np.take_along_axis(profile, np.clip(index, 0, n - 1), axis=0)
    return np.where((index >= 0) & (index < n), value, np.float32(np.nan))


def levels_beside(profile: Greys, index: NDArray[np.intp], skip: int, count: int) -> tuple[Greys, Greys]:
    """Levels on the two sides of a step: medians of ``count`` and half as many samples, ``skip`` samples
    away from it."""
    inner = index[None] - skip - np.arange(count)[:, None]
    outer = index[None] + 1 + skip + np.arange(max(2, count // 2))[:, None]
    return rank(_take(profile, inner), 0.5), rank(_take(profile, outer), 0.5)


def crossing(profile: Greys, index: NDArray[np.intp], target: Greys, reach: int) -> Floats:
    """Fractional index at which ``profile`` (n, nt) falls through ``target`` (nt,), nearest to ``index``
    (nt,).

    ``reach`` samples to either side are searched; NaN where it does not cross there.
    """
    offsets = np.arange(-reach, reach + 1)[:, None]
    low = index[None] + offsets
    a, b = _take(profile, low), _take(profile, low + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        falls = (a >= target) & (b < target)
        at = low + (a - target) / (a - b)
    distance = np.where(falls, np.abs(at - index - 0.5), np.inf)
    best = np.argmin(distance, axis=0)[None]
    found = np.isfinite(np.take_along_axis(distance, best, axis=0)[0])
    return np.where(found, np.take_along_axis(at, best, axis=0)[0], np.nan)


def _height(window: Window, index: Floats) -> Floats:
    """Heights at fractional indices."""
    return window.height_mm[0] + index * window.step_mm


def _noise(profile: Greys) -> float:
    """Noise of a single value, from second differences along the height (levels and slopes drop out)."""
    second = profile[:-2] - 2 * profile[1:-1] + profile[2:]
    return noise_of_second_differences(second) if np.isfinite(second).any() else np.inf


def _cathode_edge(
    window: Window, centre_mm: Floats, half_width_mm: float, sampling: _Sampling
) -> tuple[Floats, Floats]:
    """Height of the edge of the cathode whose middle lies at ``centre_mm`` (nt,), and the step in grey there.

    Both are NaN where there is none to be seen.
    """
    if np.isnan(centre_mm).all():
        return np.full(centre_mm.shape, np.nan), np.full(centre_mm.shape, np.nan)
    # The middle half of the slab: neither its blurred flanks nor foils that lean across weigh much.
    profile = pooled(np.mean([window.at(centre_mm + k * half_width_mm) for k in (-0.5, 0.0, 0.5)], axis=0))
    inside = rank(profile[: max(3, int((window.height_mm < -0.3).sum()))], 0.5)
    outside = rank(profile[window.height_mm > 0.1], 0.25)
    depth = np.maximum(0.5 * (inside - outside), 1e-3)
    index = np.maximum(change_point(profile, 0.5 * (inside + outside), depth, sampling.stop), 0)
    high, low = levels_beside(profile, index, sampling.skip, sampling.level)
    # A foil that leans across just above the edge would pass for background.
    low = np.fmin(low, outside + 0.3 * (inside - outside))
    at = crossing(profile, index, 0.5 * (high + low), sampling.skip + 2)
    with np.errstate(invalid="ignore"):
        clear = (high - low > CLEAR_CONTRAST * _noise(profile)) & (high - low > 0.35 * (inside - outside))
    clear &= np.isfinite(at)
    return np.where(clear, _height(window, at), np.nan), np.where(clear, high - low, np.nan)


def _side_mm(window: Window, layout: Layout, voxel_mm: float) -> float:
    """Distance from a foil's middle to the darkest place beside it in the roll, where its blur and the next
    layer's meet."""
    rows = window.height_mm < -0.3 if (window.height_mm < -0.3).sum() >= 2 else window.height_mm < 0
    roll = np.nan_to_num(window.grey[rows]).mean(axis=0, keepdims=True)  # outside the image it is dark
    part = Window(roll, window.height_mm[:1], window.theta_deg, window.r_mm, window.step_mm)
    distance = np.arange(1.2 * voxel_mm, max(0.45 * layout.pitch_mm, 1.5 * voxel_mm), 0.2 * voxel_mm)
    either = [[float(np.nanmean(part.at(layout.foil_mm + s * d))) for d in distance] for s in (-1, 1)]
    return float(np.mean([distance[int(np.argmin(grey))] for grey in either]))


def _foil_contrast(window: Window, layout: Layout, edge: Floats, side: float) -> _FoilContrast:
    """Typical contrast of the foils over all turns and angles, below and just above the cathode's edge
    (nturns, nt)."""
    height = window.height_mm[:, None, None] - edge
    near = (window.height_mm > np.nanmin(edge) - 0.6) & (window.height_mm < np.nanmax(edge) + 0.3)
    part = Window(window.grey[near], window.height_mm[near], window.theta_deg, window.r_mm, window.step_mm)
    middle, left, right = (part.at(layout.foil_mm + d) for d in (0.0, -side, side))
    below, above = height[near] < -0.1, (height[near] > 0.05) & (height[near] < 0.25)

    def typical(contrast: Greys, where: NDArray[np.bool_]) -> float:
        values = contrast[where & np.isfinite(contrast)]
        return float(np.median(values)) if values.size else 0.0

    found = []
    for sides in (0.5 * (left + right), np.maximum(left, right)):
        roll, free = typical(middle - sides, below), typical(middle - sides, above)
        # Where most anodes end below the cathode nothing stands free; where layers touch, nothing stands out
        # of the roll.
        found.append((max(roll, 0.2 * free), max(free, 0.5 * roll)))
    if not min(found[0]) > 0:
        raise NotMeasurable("the copper foil cannot be told from the layers beside it")
    return _FoilContrast(found[0][0], found[0][1], max(found[1][0], 1e-3), max(found[1][1], 1e-3))


def _follow_foil(
    window: Window,
    foil_mm: Floats,
    edge: Floats,
    hidden: NDArray[np.bool_],
    pitch_mm: float,
    sampling: _Sampling,
    foils: _FoilContrast,
    usual: Floats | None,
) -> tuple[Greys, Greys]:
    """Radius of one turn's foil at every height, and the contrast of the ridge there: (nh, nt) each.

    The contrast is against the mean of both sides, or of the one where no tab stands (``hidden``, (2, nt)).
    Sides that differ by more than a foil's own contrast are a flank's, such as the can's: what they differ
    by more is taken off.

    With ``usual`` (nh, nt), the lean of the neighbours in mm, the path keeps to it within ``STRAY``.

    The path maximises the sum of the ridge's contrast less a cost of bending. Below the cathode's edge it
    stays near the foil's place in the roll; above, it may lean by ``STEEPEST``.
    """
    if np.isnan(foil_mm).all():
        nothing = np.full((window.height_mm.size, foil_mm.size), np.nan, dtype=np.float32)
        return nothing, nothing.copy()
    dd = 0.75 * sampling.voxel_mm
    states = max(3, int(np.ceil(0.85 * pitch_mm / dd)))
    lag = max(1, round(sampling.side_mm / dd))
    shift = np.arange(-states - lag, states + lag + 1) * dd
    grey = window.around(foil_mm, shift)  # (nh, nt, states and the sides)
    grey = np.where(np.isnan(grey), 0, grey)
    ridge = grey[..., lag:-lag] - np.maximum(grey[..., : -2 * lag], grey[..., 2 * lag :])
    ridge = pooled(ridge)
    gain = np.clip(ridge / foils.expected(window, edge, "max")[..., None], -1.0, 1.5)
    allowed = 0.22 * pitch_mm + STEEPEST * np.maximum(window.height_mm[:, None] - edge, 0.0)
    gain[np.abs(shift[lag:-lag]) > allowed[..., None]] = -4.0
    if usual is not None:
        gain[np.abs(shift[lag:-lag] - usual[..., None]) > STRAY * pitch_mm] = -4.0
    best = best_path(gain, reach=max(1, int(np.ceil(STEEPEST * window.step_mm / dd))), cost=0.12)[..., None]

    def beside(offset: int) -> Greys:
        return np.take_along_axis(grey, best + lag + offset, axis=-1)[..., 0]

    middle, a, b = beside(0), beside(-1), beside(1)
    curvature = a - 2 * middle + b
    with np.errstate(divide="ignore", invalid="ignore"):
        vertex = np.where(curvature < 0, 0.5 * (a - b) / curvature, 0.0)
    radius = foil_mm + shift[best[..., 0] + lag] + np.clip(vertex, -0.5, 0.5) * dd
    left, right = beside(-lag), beside(lag)
    left, right = np.where(hidden[0], right, left), np.where(hidden[1], left, right)
    flank = np.maximum(0.5 * np.abs(left - right) - np.float32(0.5 * foils.free_mean), 0)
    contrast = middle - 0.5 * (left + right) - flank
    contrast[:, np.isnan(foil_mm)] = np.nan
    return radius.astype(np.float32), contrast


def pooling(half_planes: int) -> tuple[float, ...]:
    """Weights of :func:`pooled`, as :class:`EndEdges` states them."""
    return (0.5, 0.25) if half_planes >= LEAST_POOLED else (1.0,)


def pooled(values: Greys) -> Greys:
    """Mean of each half-plane and, at half weight, its two neighbours; (n, nt, ...), round the turn.

    Half-planes within two degrees of one another see the same piece of foil; wider apart they are left alone.
    """
    if len(pooling(values.shape[1])) == 1:
        return values
    mean = 0.25 * (np.roll(values, 1, axis=1) + np.roll(values, -1, axis=1)) + 0.5 * values
    return np.asarray(np.where(np.isnan(mean), values, mean))


def best_path(gain: Greys, reach: int, cost: float) -> NDArray[np.intp]:
    """States that maximise the summed gain less ``cost`` times each squared step, by dynamic programming.

    Parameters
    ----------
    gain : (nh, nt, nstates)
    reach
        Largest step from one height to the next, in states.
    cost
        Price of a step of one state; larger steps cost with their square.

    Returns
    -------
    (nh, nt) int
    """
    # Forward only the best sums are kept; which step led to each is asked again on the way back, along the
    # one path that is wanted.
    total = np.empty_like(gain)
    total[0] = gain[0]
    for i in range(1, gain.shape[0]):
        last, best = total[i - 1], total[i]
        best[...] = last
        for step in range(1, reach + 1):
            reached = last - np.float32(cost * step * step)
            np.maximum(best[:, step:], reached[:, :-step], out=best[:, step:])
            np.maximum(best[:, :-step], reached[:, step:], out=best[:, :-step])
        best += gain[i]
    steps = np.arange(-reach, reach + 1)
    price = (cost * steps * steps).astype(np.float32)
    path = np.empty(gain.shape[:-1], dtype=np.intp)
    path[-1] = np.argmax(total[-1], axis=-1)
    for i in range(gain.shape[0] - 1, 0, -1):
        come = path[i][:, None] + steps
        inside = (come >= 0) & (come < gain.shape[-1])
        value = np.take_along_axis(total[i - 1], np.clip(come, 0, gain.shape[-1] - 1), axis=-1) - price
        choice = np.argmax(np.where(inside, value, -np.inf), axis=-1)
        path[i - 1] = np.take_along_axis(come, choice[:, None], axis=-1)[:, 0]
    return path


def _expected_here(window: Window, contrast: Greys, edge: Floats, foils: _FoilContrast) -> Greys:
    """Contrast to be expected of one turn's foil at every height (nh, nt).

    In the roll a foil stands out more or less from turn to turn, as cathodes lie nearer to it or farther off:
    it is as clear near its end as 15 degrees around deeper in, within bounds that noise must not carry it
    over.
    """
    deep = contrast[window.height_mm < 0.5 * window.height_mm[0]]
    own = _around(rank(deep, 0.5), max(1, deep.shape[1] // 24)) if deep.size else contrast[0]
    typical = foils.roll_mean
    own = np.where(np.isnan(own), typical, np.clip(own, 0.3 * typical, 2 * typical))
    free = foils.expected(window, edge, "mean")
    return np.where(window.height_mm[:, None] < edge, own, free).astype(np.float32)


def _last_of_foil(
    contrast: Greys, expected: Greys, free: NDArray[np.bool_], sampling: _Sampling
) -> NDArray[np.intp]:
    """Index (nt,) of the last height at which the foil is there.

    Only in the void (``free``, (nh, nt)) does a dark stretch end it: between two cathodes a foil may hardly
    show over many samples, and is seen again where it comes out above them.

    For equal noise the log likelihood of "foil here" against "none" is e * (c - e / 2), with e the contrast
    to be expected and c the one found: places where a foil would hardly show weigh little.
    """
    weight = expected / expected[-1]
    evidence = weight * (pooled(pooled(pooled(contrast))) / expected[-1] - 0.5 * weight)
    half = np.full(contrast.shape[1], 0.5, dtype=np.float32)
    return np.maximum(change_point(evidence, 0 * half, half, sampling.stop, free), 0)


def _is_short(window: Window, contrast: Greys, edge: Floats, foils: _FoilContrast) -> NDArray[np.bool_]:
    """Where (nt,) a foil is seen in the roll but nothing of it above the cathode's edge: an anode that is
    too short.

    Its tip may not show, since a foil hardly stands out between two cathodes; that it is missing above them
    does.
    """
    away = window.height_mm[:, None] - edge
    even = pooled(pooled(pooled(contrast)))

    def mean(low: float, high: float) -> Floats:
        inside = (away > low) & (away < high) & np.isfinite(even)
        return np.where(inside, even, 0).sum(axis=0) / np.maximum(inside.sum(axis=0), 1)

    there = mean(-0.9, -0.3) > 0.5 * foils.roll_mean
    return there & (mean(0.08, 0.35) < 0.3 * foils.free_mean) & (foils.roll_mean > 2 * _noise(even))


def _contrast_beyond(
    window: Window,
    path: Greys,
    last: NDArray[np.intp],
    hidden: NDArray[np.bool_],
    sampling: _Sampling,
) -> Greys:
    """Contrast (nh, nt) along the foil, and beyond its tip along the straight line that it would go on in.

    A path that is free beyond the tip seeks out the noise's own ridges and lifts the level there; a straight
    one does not, and leaves the step as it is.
    """
    n = window.height_mm.size
    rows = np.arange(n)[:, None]
    fit = (rows <= last) & (rows > last - max(3, sampling.level))
    fit &= np.isfinite(path)
    count = np.maximum(fit.sum(axis=0), 1)
    centre = np.where(fit, rows, 0).sum(axis=0) / count
    mean = np.where(fit, path, 0).sum(axis=0) / count
    away = np.where(fit, rows - centre, 0.0)
    slope = (away * np.where(fit, path - mean, 0.0)).sum(axis=0) / np.maximum((away**2).sum(axis=0), 1.0)
    line = np.where(rows <= last, path, mean + slope * (rows - centre))
    left, right = (window.along(line + shift) for shift in (-sampling.side_mm, sampling.side_mm))
    # The sum across the ridge does not care where between two voxels a thin foil lies, its peak does.
    half = min(RIDGE_VOXELS * sampling.voxel_mm, 0.6 * sampling.side_mm)
    middle = sum(window.along(line + shift) for shift in (-half, 0.0, half)) / np.float32(3)
    # Beside a tab only the other side is dark.
    left, right = np.where(hidden[0], right, left), np.where(hidden[1], left, right)
    return np.asarray(middle - 0.5 * (left + right), dtype=np.float32)


def _tip(
    window: Window,
    contrast: Greys,
    expected: Greys,
    last: NDArray[np.intp],
    edge: Floats,
    noise: float,
    sampling: _Sampling,
) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Height of the foil's tip, whether its step is clear, and how far it moves at 60 % of the step; (nt,)
    each."""
    contrast = pooled(contrast)
    half = 0.5 * _take(expected, last[None])[0]
    high, low = levels_beside(contrast, last, sampling.skip, sampling.level)
    high, low = np.where(np.isnan(high), 2 * half, high), np.where(np.isnan(low), 0, low)
    clear = high - low > CLEAR_CONTRAST * noise / np.sqrt(sampling.level / 2)
    # Where a stub is all that stands above the cathode, the level inside of it is the roll's. What it falls
    # from is a free foil's, which others along the turn show; too short a stub stays below half of it.
    outside = _height(window, last) >= edge
    stub = outside & (_height(window, last - sampling.skip - sampling.level // 2) < edge)
    free = high[clear & outside & ~stub]
    level = np.fmax(high, np.median(free) if free.size else 2 * half)
    at = {}
    for q in (0.5, 0.6):
        plain = crossing(contrast, last, (1 - q) * low + q * high, sampling.skip + 2)
        if stub.any():
            raised = crossing(contrast, last, (1 - q) * low + q * level, sampling.skip + 2)
            plain = np.where(stub & np.isfinite(raised), raised, plain)
        at[q] = plain
    tip = _height(window, at[0.5])
    return tip, clear & np.isfinite(tip), np.nan_to_num(_height(window, at[0.6]) - tip)


def _around(values: Floats, half: int) -> Floats:
    """Median over ``half`` angles to either side, round the turn, of (..., nt); NaN where nothing is
    known."""
    padded = np.concatenate([values[..., -half:], values, values[..., :half]], axis=-1)
    view = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=-1)
    return np.asarray(rank(np.moveaxis(view, -1, 0), 0.5))


TALL_CATHODE_MM, TALL_ANODE_MM = 0.8, 0.35
"""A strip that stands this much above its neighbours is a tab's, not an electrode's edge. Less for the
anode: it starts higher, and what is lost by taking a long overhang for a tab is a long overhang, not a short
one."""


def _usual(height: Floats) -> Floats:
    """What a height (..., nturns, nt) is among its neighbours: the median over 45 degrees to either side,
    then over this and the two next turns on both sides."""
    turns, nt = height.shape[-2:]
    own = _around(height, max(2, nt // 8))
    padded = np.concatenate(
        [np.full((*own.shape[:-2], 2, nt), np.nan), own, np.full((*own.shape[:-2], 2, nt), np.nan)], -2
    )
    # The lower middle: with four neighbours, of which two are hidden by the bead, the other two count.
    return rank(np.stack([padded[..., k : k + turns, :] for k in range(5)]), 0.4)


def _stands_tall(
    height: Floats, tall_mm: float, window: Window, foil_mm: Floats, voxel_mm: float
) -> NDArray[np.bool_]:
    """Where an edge (..., nturns, nt) stands up like a tab: to the end of the window, or far above its
    neighbours.

    Neighbours are 45 degrees to either side on this and the two next turns on both sides: a tab stands on
    one turn, and near the core it may take up a quarter of it. Its flanks count to it as far as the blur
    reaches.
    """
    nt = height.shape[-1]
    usual = _usual(height)
    with np.errstate(invalid="ignore"):
        tall = (height > usual + tall_mm) | (height > window.height_mm[-1] - 2 * window.step_mm)
    flank = 3 * voxel_mm / np.nan_to_num(foil_mm, nan=np.inf)  # in radians
    reach = np.ceil(flank * nt / (2 * np.pi)).astype(int)
    wide = tall.copy()
    for shift in range(1, int(reach.max(initial=0)) + 1):
        near = np.roll(tall, shift, axis=-1) | np.roll(tall, -shift, axis=-1)
        wide |= near & (shift <= reach)
    return wide


def _outlying(tip: Floats, step_mm: float) -> NDArray[np.bool_]:
    """Places (nturns, nt) whose tip stands apart from those of the next three angles on both sides, by
    itself.

    A foil's edge does not jump by three slices (or 0.1 mm) and back within two degrees; a lost path does.
    """
    if tip.shape[1] < 180:
        return np.zeros(tip.shape, dtype=bool)
    near = np.stack([np.roll(tip, shift, axis=1) for shift in range(-3, 4)])
    away = max(3 * step_mm, 0.1)
    with np.errstate(invalid="ignore"):
        alike = (np.abs(near - tip) < away).sum(axis=0)
        return np.asarray((np.abs(tip - rank(near, 0.5)) > away) & (alike <= 2))


def _lonely(measured: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Places (nturns, nt) of whose five nearest angles fewer than three were measured: more likely chance
    than edge."""
    if measured.shape[1] < 180:  # too far apart to vouch for one another
        return np.zeros(measured.shape, dtype=bool)
    near = np.sum([np.roll(measured, shift, axis=1) for shift in range(-2, 3)], axis=0)
    return np.asarray(near < 3)


def _free_path(window: Window, path_mm: Greys, edge: Floats, tip: Floats) -> tuple[Floats, Floats]:
    """Heights and radii (nturns, nt, npath) of the free foil, from the cathode's edge to the tip; NaN
    elsewhere."""
    height = np.broadcast_to(window.height_mm[:, None, None], path_mm.shape)
    with np.errstate(invalid="ignore"):
        # At the tip the ridge fades, and its position with it: a quarter of a sample is left off.
        free = (height >= edge) & (height <= tip - 0.25 * window.step_mm)
    rows = np.flatnonzero(free.any(axis=(1, 2)))
    keep = slice(rows[0], rows[-1] + 1) if rows.size else slice(0, 1)
    h, r = (np.where(free, a, np.nan)[keep] for a in (height, path_mm))
    return np.moveaxis(h, 0, -1), np.moveaxis(r, 0, -1).astype(float)
