"""What the foil looks like across the layers, and how much each place of the roll looks like it.

Along a line of constant phase the mean profile of one pitch tells the copper from the cathode: it is the
narrower of the two bright layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xctrules.core.errors import NotMeasurable
from xctrules_segmentation.polar import Floats, Image, Polar

STEPS_PER_PITCH = 24
"""Places in one pitch between which lines and profiles choose: a twentieth of a pitch is less than a voxel in
any scan that resolves the layers."""

PROFILE_STEPS = 4
"""Times as fine as that for the profile itself."""

LEVELS, OUTER_LEVELS = 42, 2
"""Levels between a profile's lowest and highest grey at which its bright runs are counted, and those at
either end that noise reaches."""

LEAST_LEVELS = 2
"""Levels at which there are exactly as many bright layers as there should be: one could be chance."""

TURNS_UP = 0.02
"""Share of the profile's height by which it rises again beyond the foil: the next layer begins there."""

REACH_BEYOND, REACH_IN_SLAB, REACH_RANGE = 1.1, 0.42, (3, 0.35)
"""The foil's reach is a tenth more than where the next layer begins; less than half the cathode's width, so
that on a cathode's middle it does not get to the dark beside it; and at least three samples, at most about a
third of a pitch."""

UNKNOWN_REACH = 1 / 3
"""Share of a pitch where no next layer shows."""

MASK_REACH = 0.45
"""Half-window around a mask's layer, as a share of the pitch: nearly up to the next."""

SMOOTHING = 0.2
"""Standard deviation, in reaches, over which greys are smoothed before flanks are looked for."""

PEAK_REACH = 0.75
"""Reaches to either side within which the brightest place counts."""

NOT_BRIGHTER, FADING = 1.9, 0.5
"""Contrast, over the mean foil's, from which on a place is no foil, and below that the span over which it
becomes one: a cathode's thin end may be as narrow as the foil, but is brighter."""

LONE_SIGMA = 2.2
"""Standard deviations within the profile's reach for a foil that stands alone."""

BRIGHTER_CATHODE, BRIGHT_FROM, BRIGHT_UPTO = 0.15, 0.4, 0.8
"""Share of the cathode's height above the dark by which it must outshine the foil for its grey to tell it;
and the shares of that from which on, and beyond which, a place is no foil."""

SOUND_TURNS = 70.0
"""Percentile over places that stands for those of sound turns: some lines may have no cathode beside
them."""


@dataclass(frozen=True)
class Ridge:
    """The mean profile across the followed layer.

    Attributes
    ----------
    x_mm, profile : (n,)
        Offsets and greys.
    strength : (nt,)
        Contrast at each angle over that of the profile.
    alone
        Times as high that a layer without a neighbour rises out of the dark.
    too_bright
        Greys from which on, and beyond which, a place is no foil but a cathode, where that is the brighter.
    full_grey
        Grey inside the layer where the scan is two-valued.
    """

    x_mm: Floats
    profile: Floats
    strength: Floats
    alone: float = 1.0
    too_bright: tuple[float, float] | None = None
    full_grey: float | None = None

    @property
    def half_mm(self) -> float:
        """The profile's reach to either side."""
        return float(self.x_mm[-1])


# --- the profile -------------------------------------------------------------------------------------------


def ridge_along(polar: Polar, lines: Floats, pitch: float, mask: bool, dark: float) -> tuple[Ridge, float]:
    """The profile across the layer to follow, from one pitch outward of ``lines`` (n, nt); and how far
    outside of the lines the layer lies (within half a pitch), mm.

    Raises
    ------
    NotMeasurable
        Where one pitch does not show the layers that it should.
    """
    n = PROFILE_STEPS * STEPS_PER_PITCH
    offsets = np.arange(n) * (pitch / n)
    across = np.concatenate([polar.at(line[:, None] + offsets) for line in lines])
    profile = _sound_profile(across, mask)
    centre, half = _followed_layer(profile, mask)
    x = np.arange(-half, half + 1)
    x_mm: Floats = x.astype(np.float64) * (pitch / n)
    shape = profile[(centre + x) % n]
    ones = np.ones(polar.grey.shape[0])
    shift = ((centre + n // 2) % n - n // 2) * pitch / n
    if mask:
        return Ridge(x_mm, shape, ones, full_grey=float(polar.grey.max())), shift
    peak, slab = float(profile[centre]), float(profile.max())
    return Ridge(x_mm, shape, ones, _lone_contrast(x_mm, shape, dark), _too_bright(peak, slab, dark)), shift


def _sound_profile(across: Image, mask: bool) -> Floats:
    """Greys (n,) over one pitch from those at all places (nplaces, n)."""
    mean: Floats = across.mean(axis=0).astype(np.float64)
    if mask:
        return mean
    upper: Floats = np.percentile(across, SOUND_TURNS, axis=0).astype(np.float64)
    try:
        _followed_layer(upper, mask)
    except NotMeasurable:  # lines that wander: the mean has to do
        return mean
    return upper


def _too_bright(peak: float, slab: float, dark: float) -> tuple[float, float] | None:
    if slab - peak <= BRIGHTER_CATHODE * (slab - dark):
        return None
    return peak + BRIGHT_FROM * (slab - peak), peak + BRIGHT_UPTO * (slab - peak)


@dataclass(frozen=True)
class _Bright:
    """The narrowest bright run at some level: where it begins, its length, and that of the widest."""

    start: int
    length: int
    widest: int


def _followed_layer(profile: Floats, mask: bool) -> tuple[int, int]:
    """Centre and half-window (samples) of the layer to follow in the mean profile of one pitch.

    Two bright layers share a pitch: the cathode, a slab, and the copper, a line. At any level at which there
    are exactly two bright runs the copper is the narrower; its grey may be above or below the cathode's.
    """
    n = profile.size
    layer = _narrower_layer(profile, layers=1 if mask else 2)
    if mask:
        return round((layer.start + (layer.length - 1) / 2) % n) % n, round(MASK_REACH * n)
    inner = (layer.start + np.arange(layer.length)) % n
    weight = profile[inner] - profile[inner].min() + 1e-9
    centre = round(layer.start + float((np.arange(layer.length) * weight).sum() / weight.sum())) % n
    reach = min(REACH_BEYOND * _reach_of(profile, centre, layer.length), REACH_IN_SLAB * layer.widest)
    return centre, int(np.clip(reach, REACH_RANGE[0], round(REACH_RANGE[1] * n)))


def _narrower_layer(profile: Floats, layers: int) -> _Bright:
    """The narrowest of so many bright runs, at the middle one of all levels at which there are so many."""
    low, high = float(profile.min()), float(profile.max())
    found: list[_Bright] = []
    for level in np.linspace(low, high, LEVELS)[OUTER_LEVELS:-OUTER_LEVELS]:
        runs = _runs_round(profile > level)
        if len(runs) == layers:
            lengths = [length for _, length in runs]
            start, length = runs[int(np.argmin(lengths))]
            found.append(_Bright(start, length, max(lengths)))
    if len(found) < LEAST_LEVELS:
        raise NotMeasurable(
            "the copper foil is not resolved from the cathode: one pitch of the roll shows "
            "no two separate bright layers"
        )
    return found[len(found) // 2]


def _runs_round(bright: Any) -> list[tuple[int, int]]:
    """Begin and length of each run of True in a profile (n,) that closes on itself."""
    runs = []
    for start in np.flatnonzero(bright & ~np.roll(bright, 1)).tolist():
        turned = np.roll(bright, -start)
        runs.append((start, int(turned.size if turned.all() else np.argmin(turned))))
    return runs


def _reach_of(profile: Floats, centre: int, length: int) -> float:
    """Samples, on average over both sides, from the centre to where the next layer begins."""
    n = profile.size
    least_rise = TURNS_UP * float(np.ptp(profile))
    ahead, behind = np.roll(profile, -centre)[: n // 2], np.roll(profile, -centre)[::-1][: n // 2]
    reach = []
    for side in (ahead, behind):
        rises = np.flatnonzero(np.diff(side) > least_rise)
        rises = rises[rises > length // 2]
        reach.append(int(rises[0]) if rises.size else int(n * UNKNOWN_REACH))
    return float(np.mean(reach))


def _template(offsets: Floats, profile: Floats) -> Floats:
    """``profile`` at ``offsets``, without mean and slope."""
    template = profile - profile.mean()
    return np.asarray(template - offsets * (template @ offsets) / (offsets @ offsets))


def _lone_contrast(offsets: Floats, profile: Floats, dark: float) -> float:
    """Contrast of a foil without cathodes beside it over that of ``profile``, which has their blurred flanks.

    The flanks fill up the dark beside the foil; alone it is a line as high as the whole profile above
    ``dark``, whose width is such that the profile's reach is a little over two standard deviations.
    """
    template = _template(offsets, profile)
    line = (profile.max() - dark) * np.exp(-0.5 * (LONE_SIGMA * offsets / offsets[-1]) ** 2)
    return max(1.0, float(template @ line / (template @ template)))


# --- the evidence ------------------------------------------------------------------------------------------


def evidence_of(polar: Polar, ridge: Ridge) -> tuple[Image, Image]:
    """How much each place (nt, nr) looks like the foil, 0 to 1; and its contrast over the mean foil's.

    Product of two ratios to the foil's typical contrast: the amplitude of its profile by least squares on a
    sloping background, which averages noise; and the height above the darker flanks *on both sides* within
    the reach of the profile, which is nothing on a cathode, because that is wider than the reach. Both count
    up to 1. Where the amplitude rises far above the foil's near by, there is none: a cathode's thin end may
    be as narrow as the foil, but is brighter.
    """
    from scipy.ndimage import correlate1d, maximum_filter1d

    x = ridge.x_mm / polar.step_mm
    half = max(2, int(np.floor(x[-1])))
    offsets = np.arange(-half, half + 1, dtype=float)
    template = _template(offsets, np.interp(offsets, x, ridge.profile))
    kernel = (template / (template @ template)).astype(np.float32)
    amplitude = correlate1d(polar.grey, kernel, axis=-1, mode="nearest")

    profile = np.interp(np.arange(-2 * half, 2 * half + 1), x, ridge.profile)
    strength = ridge.strength[:, None].astype(np.float32)
    typical = np.float32(np.max(_height(profile, half)))
    high = np.clip(_height(polar.grey, half) / (typical * strength), 0, 1)
    ratio = amplitude / (strength * np.float32(ridge.alone))
    brightest = maximum_filter1d(ratio, 2 * round(PEAK_REACH * half) + 1, axis=-1, mode="nearest")
    evidence = np.clip(amplitude / strength, 0, 1) * high
    evidence *= np.clip((NOT_BRIGHTER - brightest) / FADING, 0, 1)
    return _without_other_layers(evidence, polar.grey, ridge), amplitude


def _height(values: Any, half: int) -> Any:
    """Height of each place above the lowest grey within ``half`` of it on that side where this is higher."""
    from scipy.ndimage import gaussian_filter1d, minimum_filter1d

    smooth = gaussian_filter1d(values, SMOOTHING * half, axis=-1, mode="nearest")
    # The lowest grey of a side is read at that side's middle.
    lowest = minimum_filter1d(smooth, half, axis=-1, mode="nearest")
    shift = half - half // 2
    padded = np.pad(lowest, [(0, 0)] * (lowest.ndim - 1) + [(shift, shift)], mode="edge")
    n = smooth.shape[-1]
    return smooth - np.maximum(padded[..., :n], padded[..., 2 * shift : 2 * shift + n])


def _without_other_layers(evidence: Image, grey: Image, ridge: Ridge) -> Image:
    """Less where a place is as bright as only a cathode is; more where a mask is."""
    if ridge.too_bright is not None:
        low, top = ridge.too_bright
        evidence *= np.clip((np.float32(top) - grey) / np.float32(top - low), 0, 1)
    if ridge.full_grey is not None:
        # Nothing else is in a mask: a thin end (a cathode coated on one side) is the layer too.
        evidence = 0.5 * evidence + 0.5 * np.clip(grey / np.float32(ridge.full_grey), 0, 1)
    return np.asarray(evidence, dtype=np.float32)
