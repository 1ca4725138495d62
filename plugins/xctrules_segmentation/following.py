"""Follows the foil through the roll at one height, turn by turn, from its inner to its outer end.

All layers are lines that run roughly along the angle, one pitch apart, and the foil is one single line: turn
k goes on as turn k + 1 where the angle starts anew. From one sound turn it is followed inward and outward.
Each next turn is sought relative to the one just found (minimum-cost path), so buckles, tabs and ovality that
neighbours share cost nothing, and it has to start where the last one ended. It ends where the evidence along
the line stops adding up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules_segmentation.best_path import best_path, squared_price
from xctrules_segmentation.layers import Wave, layered_range, line_of_constant_phase
from xctrules_segmentation.polar import Floats, Image, Polar
from xctrules_segmentation.ridge import STEPS_PER_PITCH, Ridge, evidence_of, ridge_along

# --- lines of best evidence --------------------------------------------------------------------------------

REACH = 3
"""Largest step of a line from one angle to the next, in 24ths of a pitch: an eighth of it in a degree."""

STIFFNESS = 0.1
"""Cost of one step (a 24th of a pitch) in one degree, against at most 1 of evidence for each angle: at a tab
or at the cathode's inner end neighbouring turns part by half a pitch within some 20 degrees, which costs
0.7."""


def best_line(seen: Image, start: Floats | None = None) -> NDArray[np.intp]:
    """Path (..., nt) through ``seen`` (..., nt, nd) with the greatest sum of evidence less the price of its
    steps; ``start`` (nd,) is added at the first angle."""
    nt, nd = seen.shape[-2:]
    gain = np.moveaxis(seen.reshape(-1, nt, nd), 1, 0).astype(np.float64)
    if start is not None:
        gain[0] += start
    path = best_path(gain, squared_price(REACH, STIFFNESS * nt / 360.0))
    return path.T.reshape(seen.shape[:-1])


# --- a sound turn to start from ----------------------------------------------------------------------------

STARTS = (0.3, 0.42, 0.54, 0.66, 0.78)
"""Shares of the layered range at which lines are tried: clear of core and outer end, where spirals part."""

CLOSES = 0.4
"""Pitches by which a line may miss its own next turn where it began, and by which it may step: beyond half a
pitch it has slipped onto a neighbour."""

CLEAR_OF_BORDERS = 1.2
"""Pitches that a line keeps from the axis and from the last radius, for a whole one to be seen beside it."""

SAME_LINE = 0.3
"""Pitches within which two lines are the same."""

DARK = 2.0
"""Percentile of the greys that stands for the dark between the layers."""

ALONG = 0.3
"""Pitches to either side of a line in which the foil is sought along it."""

STREAK_COLUMNS = 15
"""Angles over which the foil's contrast is a running median: streaks and a tab's shadow are wider, noise is
not."""

STRENGTH_RANGE = (0.4, 2.5)
"""Bounds of the contrast at one angle over the usual: a streak does not hide a foil altogether."""

SOUNDEST = 5.0
"""Percentile of the evidence along a turn by which the soundest one is picked: its worst place but for a
few."""


@dataclass(frozen=True)
class Seed:
    """What the foil is followed by, and a turn to begin with.

    Attributes
    ----------
    evidence, contrast : (nt, nr)
        Of :func:`~xctrules_segmentation.ridge.evidence_of`; the contrast is over the mean foil's at each
        angle.
    ridge
    radius, gain : (nt,)
        The soundest turn, and the evidence along it.
    """

    evidence: Image
    contrast: Image
    ridge: Ridge
    radius: Floats
    gain: Floats


def find_seed(polar: Polar, wave: Wave, pitch: float, mask: bool) -> Seed:
    """The foil's profile, and the soundest turn to start from.

    Raises
    ------
    NotMeasurable
        When no turn can be followed all the way round, or no foil is seen in a pitch.
    """
    from scipy.ndimage import median_filter

    lines = _closing_lines(polar, wave, pitch)
    dark = float(np.percentile(polar.grey[:, polar.r_mm < polar.limit_mm.min()], DARK))
    ridge, shift = ridge_along(polar, lines, pitch, mask, dark)
    # Lines of constant phase wander about the foil, which smears the profile: once more along the foil.
    plain = polar.showing(evidence_of(polar, replace(ridge, alone=np.inf))[0])
    lines, _ = _along(plain, lines + shift, pitch)
    ridge, shift = ridge_along(polar, lines, pitch, mask, dark)
    lines = lines + shift
    # Streaks and a tab's shadow change the contrast with the angle, alike in all turns.
    evidence, contrast = evidence_of(polar, ridge)
    found, _ = _along(polar.showing(evidence), lines, pitch)
    seen = polar.showing(contrast).at(found[..., None])[..., 0]
    strength = median_filter(np.median(seen, axis=0), STREAK_COLUMNS, mode="wrap")
    ridge = replace(ridge, strength=np.clip(strength, *STRENGTH_RANGE))
    evidence, contrast = evidence_of(polar, ridge)
    turns, gains = _along(polar.showing(evidence), lines, pitch)
    best = int(np.argmax(np.percentile(gains, SOUNDEST, axis=1)))
    return Seed(
        evidence=evidence,
        contrast=np.asarray(contrast / ridge.strength[:, None], dtype=np.float32),
        ridge=ridge,
        radius=turns[best],
        gain=gains[best],
    )


def _closing_lines(polar: Polar, wave: Wave, pitch: float) -> Floats:
    """Lines of constant phase (n, nt) that come out one pitch further where they began."""
    low, high = layered_range(wave, polar)
    lines: list[Floats] = []
    for share in STARTS:
        line = line_of_constant_phase(wave, polar, pitch, low + share * (high - low))
        closes = abs(line[-1] - line[0] - pitch) < CLOSES * pitch
        closes = closes and np.abs(np.diff(line)).max() < CLOSES * pitch
        farthest = min(high + pitch, polar.r_mm[-1] - CLEAR_OF_BORDERS * pitch)
        within = line.min() > CLEAR_OF_BORDERS * pitch and line.max() < farthest
        known = any(float(np.abs(line - other).max()) < SAME_LINE * pitch for other in lines)
        if closes and within and not known:
            lines.append(line)
    if not lines:
        raise NotMeasurable("no turn of the roll can be followed all the way round")
    return np.stack(lines)


def _along(evidence: Polar, lines: Floats, pitch: float) -> tuple[Floats, Floats]:
    """Radius and evidence (n, nt) of the foil near ``lines`` (n, nt)."""
    starts = lines[..., None] + np.arange(-ALONG * pitch, ALONG * pitch, pitch / STEPS_PER_PITCH)
    seen = evidence.at(starts)
    path = best_line(seen)[..., None]
    gain = np.take_along_axis(seen, path, -1)[..., 0].astype(np.float64)
    return np.take_along_axis(starts, path, -1)[..., 0], gain


# --- from turn to turn -------------------------------------------------------------------------------------

NEXT = (0.25, 1.75)
"""Pitches within which the next turn is sought: it may lie near where the layer between is missing, and far
where a tab or a fold is in between."""

NEAR_A_PITCH = 0.3
"""Evidence that a line loses by being a whole pitch off where it is expected, growing with the square:
between two lines that look alike the one a pitch away is meant; a line that stands alone is found
anywhere."""

JOINT = 4.0
"""Evidence that a turn loses for each pitch by which it does not start where the last one ended: more than a
lucky start can win, since the foil is one line."""

MOST_TURNS = 400
"""No roll has more: thin cells have some 60."""

SOUND, LEAST_SOUND = 0.5, 0.2
"""Share of the seed's evidence from which on a place is sound, and share of a turn's places that are, below
which nothing is followed any further."""

END_SHARE = 0.5
"""Share of a foil's evidence, and of its contrast, below which a place speaks against its going on."""


def follow(polar: Polar, seed: Seed, pitch: float) -> Floats:
    """All turns (nturns, nt) of the foil, NaN before its inner and after its outer end."""
    sound = float(np.median(seed.gain))
    evidence = polar.showing(seed.evidence)
    outer = _turns_on(evidence, seed, pitch, sound, outward=True, most=MOST_TURNS - 1)
    inner = _turns_on(evidence, seed, pitch, sound, outward=False, most=MOST_TURNS - 1 - len(outer))
    turns = [*reversed(inner), (seed.radius, seed.gain), *outer]
    table = np.stack([turn for turn, _ in turns])
    gains = np.concatenate([gain for _, gain in turns])
    lasting = _lasting(table, polar, seed.contrast, pitch, seed.radius)
    margin = np.minimum(gains / sound, lasting) - END_SHARE
    at = len(inner) * seed.radius.size
    # The evidence beyond an end no longer outweighs its lack: the greatest sum marks the end.
    end = at + int(np.argmax(np.cumsum(margin[at:])))
    begin = at - int(np.argmax(np.cumsum(margin[: at + 1][::-1])))
    radius = table.ravel()
    radius[:begin] = np.nan
    radius[end + 1 :] = np.nan
    return np.asarray(table[np.isfinite(table).any(axis=1)])


def _turns_on(
    evidence: Polar, seed: Seed, pitch: float, sound: float, outward: bool, most: int
) -> list[tuple[Floats, Floats]]:
    """Radius and evidence of the turns from the seed on, until hardly anything is sound any more."""
    turns: list[tuple[Floats, Floats]] = []
    last = seed.radius
    while len(turns) < most:
        last, gain = _next_turn(evidence, last, pitch, outward)
        turns.append((last, gain))
        if (gain > SOUND * sound).mean() < LEAST_SOUND:
            break
    return turns


def _next_turn(evidence: Polar, turn: Floats, pitch: float, outward: bool) -> tuple[Floats, Floats]:
    """The turn next to ``turn`` and the evidence along it, (nt,) each; the foil runs outward with the
    angle."""
    sign = 1.0 if outward else -1.0
    offsets = sign * np.arange(NEXT[0] * pitch, NEXT[1] * pitch, pitch / STEPS_PER_PITCH)
    radius = turn[:, None] + offsets
    seen = evidence.at(radius)
    seen = np.where((radius > 0) & (radius < evidence.limit_mm[:, None]), seen, 0.0).astype(np.float32)
    seen -= (NEAR_A_PITCH * (np.abs(offsets) / pitch - 1.0) ** 2).astype(np.float32)
    # One line: the next turn starts at the radius at which this one ends.
    joint = (turn[-1] - turn[0]) if outward else (turn[0] - turn[-1])
    start = -JOINT * np.abs(offsets - joint) / pitch
    if not outward:
        seen = seen[::-1]
    path = best_line(seen, start)
    along = seen[np.arange(seen.shape[0]), path]
    found = offsets[path]
    if not outward:
        along, found = along[::-1], found[::-1]
    return turn + found, np.asarray(along, dtype=float)


# --- what of it lasts --------------------------------------------------------------------------------------

LASTING_DEG = 30.0
"""Length along the foil over which its line and its contrast are averaged to tell it from noise: that of the
quickest change of a foil's path, at a tab."""

BESIDE = (0.35, 0.65)
"""Pitches off the foil, to either side, at which a cathode lies beside it."""

BETWEEN_TWO, BESIDE_ONE = 0.8, (0.35, 0.65)
"""Share of the usual grey beside a foil from which on it lies between two cathodes, and that of one alone."""

LEAST_BESIDE_ONE = 0.25
"""Of a turn, that has to lie beside one cathode to tell what a foil gains by it; and more of it foil than
not."""

GAINED = 70.0
"""Percentile over these places of their contrast, since not all of them are foil."""


def _lasting(turns: Floats, polar: Polar, contrast: Image, pitch: float, seed: Floats) -> Floats:
    """Contrast along ``turns`` (nturns, nt), one after the other, over that of a foil in the same
    surroundings; what stays of it when line and contrast are smoothed.

    A path through noise alone has evidence as well, since it goes from one bright grain to the next. What it
    gains so is gone beside it; a foil is a smooth line and stays. The blurred flanks of the cathodes fill up
    the dark beside the foil, in proportion to their grey: a foil that lost one of the two, as that of the
    roll's outermost turn did, tells how much a foil without any stands out.
    """
    from scipy.ndimage import maximum_filter1d, uniform_filter1d

    window = max(3, round(LASTING_DEG * turns.shape[1] / 360.0))

    def steady(values: NDArray[Any]) -> Floats:
        return np.asarray(uniform_filter1d(values.ravel(), window, mode="nearest"), dtype=np.float64)

    beside = np.linspace(*BESIDE, 5) * pitch
    beside = np.concatenate([-beside[::-1], beside])
    line = steady(turns).reshape(turns.shape)
    seen = steady(polar.showing(contrast).at(line[..., None]))
    around = steady(polar.at(line[..., None] + beside).mean(axis=-1))
    full = float(np.median(polar.at(seed[:, None] + beside)))
    dark = float(np.percentile(polar.grey[:, polar.r_mm < turns.max()], DARK))
    share = np.clip((around - dark) / max(full - dark, 1e-9), 0.0, 1.0)
    between = (share > BETWEEN_TWO) & (seen > 0)
    one_sided = (share > BESIDE_ONE[0]) & (share < BESIDE_ONE[1])
    usual = float(np.median(seen[between])) if between.any() else 1.0
    gain = 0.0
    if one_sided.sum() > LEAST_BESIDE_ONE * turns.shape[1]:
        gain = max(2 * (float(np.percentile(seen[one_sided], GAINED)) - usual), 0.0)
    left = np.clip(seen / (usual + gain * (1.0 - share)), 0.0, 1.0)
    # Half of what smoothing took off the foil's ends.
    return np.asarray(maximum_filter1d(left, window // 2, mode="nearest"), dtype=np.float64)
