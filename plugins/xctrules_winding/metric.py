"""The winding: number of turns, pitch, errors of each turn, core collapse, and how the roll sits in the can.

All of it comes from one thing, the copper foil as the segmenter followed it
(:class:`xctrules.cylinder.surfaces.FoilTrace`), at several heights. Each height is fitted by itself; means
are taken over the heights, extremes are the worst of them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.core.figures import Samples
from xctrules.core.measurement import Contribution, Measurement, MetricResult
from xctrules.core.names import Description
from xctrules.cylinder.frame import GEOMETRY
from xctrules.cylinder.spiral import (
    StraightTurns,
    about_centre,
    fit_spiral,
    fit_straight_turns,
    plain_centre,
    winding_angle,
)
from xctrules.cylinder.surfaces import CanSurface, CylinderCell, Floats, FoilTrace

_FULL = 0.95
"""Share of its angles at which a turn has to be located to count as a full one."""

_FOLD_HEIGHT_MM = 0.5
"""Heights closer than this show the same fold: a foil cannot bend along the axis as sharply as round it."""

_PATTERN_PX = 0.18
"""Standard uncertainty, in voxels, of the largest departure, from what voxels make of a line thinner than
one: its place seems to swing by up to a quarter of a voxel where the foil runs along their rows (found on
phantoms; alike in all slices, so that more of them do not help)."""

_POSITION_PX = 0.02
"""Standard uncertainty, in voxels, of what all places of the fitted line have in common."""

_TAKEN_UP = 0.08
"""Standard uncertainty of a root-mean-square error, as a share of it: how much of a buckle's flanks the path
of its turn still takes up (found on phantoms)."""

_ROUGH_DEG = 15.0
"""What changes faster than this round the roll is noise and the pattern of voxels along a foil thinner than
one; folds, tabs and buckles of a wound foil are wider."""

_REPEATS = 32

_SECTORS = 8
"""Sectors whose own pitch tells how far one pitch describes the roll."""

DESCRIPTIONS: Mapping[str, Description] = {
    "winding.turns": Description("1", "Turns", "number of turns of the anode's copper foil"),
    "winding.revolutions": Description(
        "1", "Revolutions", "angle from the inner to the outer end of the anode's copper foil, in turns"
    ),
    "winding.pitch": Description("mm", "Pitch", "mean radial advance for each turn", "nominal", "pitch"),
    "winding.max_abs_error": Description(
        "mm", "Largest winding error", "largest distance of a full turn from its ideal path", "smaller"
    ),
    "winding.rms_error": Description(
        "mm", "Winding error", "root-mean-square distance of the full turns from their ideal paths", "smaller"
    ),
    "winding.spiral_rms_error": Description(
        "mm", "Error against one spiral", "root-mean-square distance of the roll from one spiral", "smaller"
    ),
    "winding.core_collapse": Description(
        "mm", "Core collapse", "deepest inward departure of the innermost turns", "smaller",
        zero_when_good=True,
    ),
    "winding.concentricity": Description(
        "mm", "Concentricity", "distance between the roll's axis and the can's", "smaller"
    ),
    "winding.can_gap.min": Description("mm", "Smallest gap", "smallest gap between the roll and the can"),
    "winding.can_gap.mean": Description("mm", "Mean gap", "mean gap between the roll and the can"),
}  # fmt: skip


@dataclass(frozen=True)
class Fits:
    """The followed foil against its ideal shapes; heights first.

    Attributes
    ----------
    full : (nturns,) bool
        Turns located nearly all the way round.
    turns
        One fit for each height.
    error_mm : (nz, nturns, nt)
        Distance of full turns from their straight lines, positive outward.
    centre_mm : (nz, 2)
        The roll's own centre against the frame's axis, from its straight turns.
    spiral_centre_mm, plain_centre_mm : (nz, 2)
        The same from one spiral for the whole roll, robust and by least squares.
    pitch_mm : (nz,)
    spiral_error_mm : (nz, nturns, nt)
        Distance from one spiral for the whole roll.
    departure_mm : (nz, nturns, nt)
        Distance from the spiral through the outer turns alone; positive outward.
    inner : (nturns,) bool
        Turns that the spiral of ``departure_mm`` was not fitted to.
    """

    full: NDArray[np.bool_]
    turns: tuple[StraightTurns, ...]
    error_mm: Floats
    centre_mm: Floats
    spiral_centre_mm: Floats
    plain_centre_mm: Floats
    pitch_mm: Floats
    sector_pitch_mm: Floats
    spiral_error_mm: Floats
    departure_mm: Floats
    inner: NDArray[np.bool_]
    departure_sigma_mm: float


def _located(foil: FoilTrace) -> NDArray[np.bool_]:
    """(nturns, nt): where the foil was located at half of the heights or more."""
    return np.asarray(np.isfinite(foil.radius_mm).mean(axis=0) >= 0.5)


def revolutions(foil: FoilTrace) -> float:
    """Angle from the foil's inner to its outer end, in turns; places lost on the way count."""
    along = _located(foil) if foil.handedness > 0 else _located(foil)[:, ::-1]
    place = np.flatnonzero(along)
    return float(place[-1] - place[0] + 1) / foil.theta_deg.size if place.size else 0.0


def outermost(foil: FoilTrace) -> Floats:
    """Radius (nz, nt) of the outermost turn at each angle; NaN where none was located."""
    located = _located(foil)
    last = located.shape[0] - 1 - located[::-1].argmax(axis=0)
    radius = np.take_along_axis(foil.radius_mm, last[None, None, :], axis=1)[:, 0]
    return np.where(located.any(axis=0), radius, np.nan)


def fit_all(foil: FoilTrace) -> Fits:
    """Fit every height of the trace."""
    full = _located(foil).mean(axis=1) >= _FULL
    if full.sum() < 3:
        raise NotMeasurable(f"only {int(full.sum())} full turns of the roll were located; three are needed")
    count = foil.radius_mm.shape[1]
    # A buckled core reaches a few turns outward; the outer two thirds carry the roll's shape.
    first_sound = int(np.flatnonzero(full)[0] + max(1, round(full.sum() / 3)))
    inner = np.arange(count) < first_sound
    outer = np.broadcast_to(~inner[:, None], foil.radius_mm.shape[1:])
    covered = _covered(foil)
    turns, centres, spiral_centres, plain, pitches, sector, spiral_errors, departures = ([] for _ in range(8))
    sigma = []
    for radius in foil.radius_mm:
        straight = fit_straight_turns(radius, foil.theta_deg, foil.handedness, full)
        spiral, error = fit_spiral(radius, foil.theta_deg, foil.handedness)
        # Where a tab lifts the outer turns, the whole roll tells more of the core than they do.
        sound, departure = min(
            fit_spiral(radius, foil.theta_deg, foil.handedness, outer),
            (spiral, error),
            key=lambda fit: float(np.nanmedian(np.abs(fit[1]))),
        )
        turns.append(straight)
        centres.append(straight.centre_mm)
        spiral_centres.append(spiral.centre_mm)
        plain.append(plain_centre(radius, foil.theta_deg, foil.handedness))
        pitches.append(_sound_pitch(radius, foil, covered))
        sector.append(_sector_pitches(radius, foil, spiral.centre_mm, full))
        spiral_errors.append(error)
        departures.append(departure)
        sigma.append(math.sqrt(sound.covariance[0, 0] + max(sound.covariance[2, 2], sound.covariance[3, 3])))
    return Fits(
        full=full,
        turns=tuple(turns),
        error_mm=np.stack([t.error_mm for t in turns]),
        centre_mm=np.asarray(centres),
        spiral_centre_mm=np.asarray(spiral_centres),
        plain_centre_mm=np.asarray(plain),
        pitch_mm=np.asarray(pitches),
        sector_pitch_mm=np.stack(sector),
        spiral_error_mm=np.stack(spiral_errors),
        departure_mm=np.stack(departures),
        inner=inner,
        departure_sigma_mm=float(np.mean(sigma)),
    )


def _covered(foil: FoilTrace) -> NDArray[np.bool_]:
    """(nturns, nt): the foil without its first and last turn and a third, which have no cathode on one side:
    there the blurred flank of the other one draws the fitted line by up to a fifth of a voxel. All of a foil
    too short for that."""
    located = _located(foil)
    angle = winding_angle(located.shape[0], foil.theta_deg, foil.handedness)
    first, last = angle[located].min() + 4 / 3, angle[located].max() - 4 / 3
    return np.asarray((angle >= first) & (angle <= last) if last - first >= 2.5 else located)


def _sound_pitch(radius: Floats, foil: FoilTrace, use: NDArray[np.bool_]) -> float:
    """Advance for each turn of the spiral through ``use``; every third angle is enough."""
    part = slice(None, None, 3)
    spiral, _ = fit_spiral(radius[:, part], foil.theta_deg[part], foil.handedness, use[:, part])
    return spiral.pitch_mm


def _sector_pitches(
    radius: Floats, foil: FoilTrace, centre_mm: tuple[float, float], full: NDArray[np.bool_]
) -> Floats:
    """Advance for each turn in each of ``_SECTORS`` equal sectors: median of the slopes between all pairs of
    full turns."""
    r, _ = about_centre(radius[full], foil.theta_deg, centre_mm)
    turn = np.flatnonzero(full)
    sector = np.minimum((foil.theta_deg * _SECTORS / 360.0).astype(int), _SECTORS - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a sector may hold nothing of a turn
        mean = np.stack([np.nanmean(r[:, sector == k], axis=1) for k in range(_SECTORS)], axis=1)
        first, second = np.triu_indices(turn.size, 1)
        slopes = (mean[second] - mean[first]) / (turn[second] - turn[first])[:, None]
        return np.asarray(np.nanmedian(slopes, axis=0))


def smoothed(values: Floats, columns: int) -> Floats:
    """Running median (..., nt) round the circle over ``columns``; NaN where fewer than half of them are
    known."""
    half = columns // 2
    padded = np.concatenate([values[..., -half:], values, values[..., :half]], axis=-1) if half else values
    window = np.sort(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=-1), axis=-1)
    known = np.isfinite(window).sum(axis=-1)  # sorting puts NaN last
    low = np.take_along_axis(window, np.maximum(known - 1, 0)[..., None] // 2, axis=-1)[..., 0]
    high = np.take_along_axis(window, (known // 2)[..., None] % window.shape[-1], axis=-1)[..., 0]
    return np.asarray(np.where(2 * known > window.shape[-1], 0.5 * (low + high), np.nan))


def steadied(values: Floats, foil: FoilTrace) -> Floats:
    """``values`` (nz, ..., nt) with noise damped for extremes: running medians over 3 degrees, and over three
    heights where
    these are closer than any fold of a foil is high."""
    calm = smoothed(values, _smoothing(foil))
    if foil.z_mm.size < 3 or float(np.median(np.diff(foil.z_mm))) > _FOLD_HEIGHT_MM:
        return calm
    padded = np.concatenate([calm[:1], calm, calm[-1:]])
    return np.asarray(np.median([padded[:-2], padded[1:-1], padded[2:]], axis=0))


def split(values: Floats, foil: FoilTrace) -> tuple[Floats, Floats]:
    """``values`` (nz, ..., nt) as a running mean over ``_ROUGH_DEG`` and over heights that show the same
    fold, and the rest, which is noise; NaN where not known."""
    from scipy.ndimage import uniform_filter1d

    width = 2 * round(0.5 * _ROUGH_DEG * values.shape[-1] / 360.0) + 1
    known = np.isfinite(values)
    spacing = float(np.median(np.diff(foil.z_mm))) if foil.z_mm.size > 1 else math.inf
    heights = 2 * int(min(0.5 * _FOLD_HEIGHT_MM / spacing, foil.z_mm.size)) + 1

    def mean(part: Floats) -> Floats:
        round_it = uniform_filter1d(part, width, axis=-1, mode="wrap")
        return np.asarray(uniform_filter1d(round_it, heights, axis=0, mode="nearest"))

    total, share = mean(np.where(known, values, 0.0)), mean(known.astype(float))
    smooth = np.where(known, total / np.maximum(share, 1e-9), np.nan)
    # A running mean takes 1 / width of the variance of what is independent along the angle with it.
    rest = (values - smooth) * math.sqrt(width / (width - 1))
    # A sharp fold is no noise: it stands out of the rest of its turn.
    limit = 4.0 * 1.4826 * np.nanmedian(np.abs(rest), axis=(0, -1), keepdims=True)
    return smooth, np.clip(rest, -limit, limit)


@dataclass(frozen=True)
class Corrected:
    """A value with the noise's part taken out, and the standard uncertainty of that."""

    value: float
    noise: float


def _rms(values: Floats, foil: FoilTrace) -> Corrected:
    """Root mean square, less what changes so fast with the angle that it is noise.

    How much of that is noise indeed is known only to lie between nothing and twice as much: a rectangular
    distribution.
    """
    square, noise = float(np.nanmean(values**2)), float(np.nanmean(split(values, foil)[1] ** 2))
    most, least = math.sqrt(square), math.sqrt(max(square - 2 * noise, 0.0))
    return Corrected(math.sqrt(max(square - noise, 0.0)), (most - least) / (2 * math.sqrt(3)))


def _largest(
    values: Floats, foil: FoilTrace, *, noise: Floats | None = None, either_sign: bool = False
) -> tuple[Corrected, dict[str, float]]:
    """The largest of ``values`` (nz, nturns, nt), corrected for the noise's part in it, and where it lies.

    The largest of many noisy values is too large. How much, is tried out: the roll's own rough part, turned
    round the roll at random, is laid over its smooth part (parametric bootstrap, seeded). Values with a step
    have no smooth part of their own: they come with the ``noise`` of others, and serve as they are.
    """
    calm = steadied(np.abs(values) if either_sign else values, foil)
    seen, place = _worst(calm, foil)
    if noise is None:
        smooth, noise = split(values, foil)
    else:
        smooth = calm
    least = float(np.nanmax(np.abs(smooth) if either_sign else smooth))
    noise = np.nan_to_num(steadied(noise, foil))
    rng = np.random.default_rng(0)
    columns = np.arange(noise.shape[-1])
    trials = []
    for _ in range(_REPEATS):
        shift = rng.integers(columns.size, size=(noise.shape[1], 1))
        turned = np.take_along_axis(noise, ((columns - shift) % columns.size)[None], axis=-1)
        trial = smooth + rng.choice((-1.0, 1.0)) * turned
        trials.append(float(np.nanmax(np.abs(trial) if either_sign else trial)))
    bias = max(float(np.mean(trials)) - least, 0.0)
    # The smooth part still holds some of the noise, and the noise may be some of the shape: the bias may be
    # nothing or twice as large.
    return Corrected(seen - bias, math.hypot(float(np.std(trials)), bias / math.sqrt(3))), place


def can_gap(foil: FoilTrace, can: CanSurface) -> Floats:
    """Gap (nz, nt) between the centre of the outermost turn and the can's inner surface at the nearest
    height."""
    usable = np.flatnonzero(can.straight) if can.straight.any() else np.arange(can.z_mm.size)
    outer = outermost(foil)
    gap = np.full(outer.shape, np.nan)
    for i, z in enumerate(foil.z_mm):
        row = can.inner_mm[usable[int(np.argmin(np.abs(can.z_mm[usable] - z)))]]
        found = np.isfinite(row)
        if found.any():
            inner = np.interp(foil.theta_deg, can.theta_deg[found], row[found], period=360.0)
            gap[i] = inner - outer[i]
    return gap


class WindingMetric:
    """Measures the roll (see the module)."""

    geometry = GEOMETRY
    name = "winding"
    title = "Winding"
    describes: Mapping[str, Description] = DESCRIPTIONS
    declares: Mapping[str, str] = {name: d.unit for name, d in DESCRIPTIONS.items()}
    # Where most layers run into one, a foil followed may be any layer.
    needs: Mapping[str, tuple[float | None, float | None]] = {"screening.layer_separation": (0.5, None)}

    def measure(self, cell: CylinderCell) -> MetricResult:
        """All that the contract lists under ``winding.``, figures, and every located point."""
        foil = cell.surfaces.need_foil()
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", RuntimeWarning
            )  # heights, turns or angles at which nothing was located
            return self._measure(cell, foil)

    def _measure(self, cell: CylinderCell, foil: FoilTrace) -> MetricResult:
        from xctrules_winding.figures import figures

        fits = fit_all(foil)
        measurements = [
            *_turns(foil, _end_touches_can(cell, foil)),
            _pitch(cell, fits),
            *_errors(cell, foil, fits),
            _core_collapse(cell, foil, fits),
            *_seat(cell, foil, fits),
        ]
        return MetricResult(
            measurements=measurements,
            figures=figures(cell, foil, fits),
            samples=[_samples(foil, fits)],
            parameters={
                "heights": int(foil.z_mm.size),
                "angles": int(foil.theta_deg.size),
                "full turns": int(fits.full.sum()),
                "handedness": int(foil.handedness),
                "followed": foil.followed,
            },
        )


def _end_touches_can(cell: CylinderCell, foil: FoilTrace) -> bool:
    """Whether the outer end of the foil was lost against the can rather than seen to end."""
    can = cell.surfaces.can
    if can is None:
        return False
    along = _located(foil) if foil.handedness > 0 else _located(foil)[:, ::-1]
    column = int(np.flatnonzero(along)[-1]) % foil.theta_deg.size
    column = column if foil.handedness > 0 else foil.theta_deg.size - 1 - column
    gap = float(np.nanmedian(can_gap(foil, can)[:, column]))
    pitch = float(np.nanmedian(np.diff(foil.radius_mm, axis=1)))
    return gap < 0.5 * pitch


def _turns(foil: FoilTrace, end_touches_can: bool) -> list[Measurement]:
    """Revolutions as located, and the whole number of turns.

    A foil that runs into the can is lost there before it ends, so the located length is a lower bound: then a
    last part of more than a third of a turn counts as a turn, otherwise one of more than half.
    """
    seen = revolutions(foil)
    part = 1 / 3 if end_touches_can else 1 / 2
    step = 1.0 / foil.theta_deg.size
    ends = Contribution("angle of the foil's ends", step * math.sqrt(2 / 3), type="B")
    remark = "the outer end lies against the can, where the foil can no longer be told from it: a lower bound"
    n = int(np.isfinite(foil.radius_mm).sum())
    return [
        Measurement("winding.turns", "1", value=float(math.floor(seen + 1 - part)), n=n),
        Measurement(
            "winding.revolutions", "1", value=seen, budget=(ends,), n=n,
            reason=remark if end_touches_can else None,
        ),
    ]  # fmt: skip


def _scatter(source: str, values: Floats) -> Contribution:
    """Standard uncertainty of the mean of repeated ``values``."""
    good = values[np.isfinite(values)]
    if good.size < 2:
        return Contribution(source, 0.0)
    return Contribution(
        source, float(good.std(ddof=1) / math.sqrt(good.size)), degrees_of_freedom=good.size - 1
    )


def _pitch(cell: CylinderCell, fits: Fits) -> Measurement:
    pitch = float(fits.pitch_mm.mean())
    sectors = np.nanmean(fits.sector_pitch_mm, axis=0)
    return Measurement(
        "winding.pitch", "mm", value=pitch, n=int(np.isfinite(fits.error_mm).sum()),
        budget=(
            cell.scale.contribution(pitch),
            _scatter("pitch of sectors round the roll", sectors),
            _scatter("slice to slice", fits.pitch_mm),
            Contribution(
                "bias of the foil's fit, over the roll's turns",
                0.05 * _pixel(cell) / max(float(fits.full.sum()), 1.0), type="B",
            ),
        ),
    )  # fmt: skip


def _worst(values: Floats, foil: FoilTrace) -> tuple[float, dict[str, float]]:
    """Largest of (nz, nturns, nt) and where it lies."""
    z, turn, column = np.unravel_index(int(np.nanargmax(values)), values.shape)
    place = {
        "z_mm": float(foil.z_mm[z]),
        "theta_deg": float(foil.theta_deg[column]),
        "turn": float(turn),
    }
    return float(values[z, turn, column]), place


def _smoothing(foil: FoilTrace) -> int:
    """Columns in 3 degrees, odd: no fold of a foil is sharper, and the noise of one point no longer makes the
    extreme."""
    return 2 * (round(1.5 * foil.theta_deg.size / 360.0)) + 1


def _extreme(
    cell: CylinderCell, foil: FoilTrace, found: Corrected, by_height: Floats
) -> tuple[Contribution, ...]:
    """Budget of the largest of many smoothed values: scale, noise, and its scatter over the heights."""
    scatter = float(np.std(by_height, ddof=1)) if by_height.size > 1 else 0.0
    # The largest of n heights lies about one standard deviation above their mean; what is noise there is not
    # known.
    return (
        cell.scale.contribution(found.value),
        Contribution("noise in the largest of many values", found.noise, type="B"),
        Contribution("position of the fitted line", foil.sigma_mm / math.sqrt(foil.theta_deg.size), type="B"),
        Contribution(
            "slice to slice", scatter / math.sqrt(max(1, by_height.size)),
            degrees_of_freedom=max(1, by_height.size - 1),
        ),
        Contribution("pattern of voxels along a thin foil", _PATTERN_PX * _pixel(cell), type="B"),
    )  # fmt: skip


def _pixel(cell: CylinderCell) -> float:
    """Side of a voxel across the axis."""
    return max(cell.frame.voxel_mm[1:])


def _errors(cell: CylinderCell, foil: FoilTrace, fits: Fits) -> list[Measurement]:
    largest, place = _largest(fits.error_mm, foil, either_sign=True)
    largest = Corrected(max(largest.value, 0.0), largest.noise)
    n = int(np.isfinite(fits.error_mm).sum())
    calm = np.abs(steadied(fits.error_mm, foil))
    calm_spiral = np.abs(steadied(fits.spiral_error_mm[:, fits.full], foil))
    n_spiral = int(np.isfinite(fits.spiral_error_mm).sum())
    rms, spiral = _rms(fits.error_mm, foil), _rms(fits.spiral_error_mm, foil)
    fit_bias = Contribution(
        "bias of the foil's fit beside unequal gaps", _POSITION_PX * _pixel(cell), type="B"
    )
    # A line through a disturbed turn takes up a part of the disturbance, a spiral another one.
    model = Contribution(
        "what the ideal path takes up of a disturbance",
        math.hypot((rms.value - spiral.value) / math.sqrt(3), _TAKEN_UP * max(rms.value, spiral.value)),
        type="B",
    )

    def budget(whole: Corrected, errors: Floats) -> tuple[Contribution, ...]:
        each = np.sqrt(np.nanmean(errors.reshape(errors.shape[0], -1) ** 2, axis=1))
        return (
            cell.scale.contribution(whole.value),
            _scatter("slice to slice", each),
            Contribution("how much of the errors is noise", whole.noise, type="B"),
            model,
            fit_bias,
        )

    return [
        Measurement(
            "winding.max_abs_error", "mm", value=largest.value, n=n, worst_at=place,
            budget=(
                *_extreme(cell, foil, largest, np.nanmax(calm.reshape(calm.shape[0], -1), axis=1)),
                replace(
                    model, contribution=abs(float(np.nanmax(calm) - np.nanmax(calm_spiral))) / math.sqrt(3)
                ),
            ),
        ),
        Measurement("winding.rms_error", "mm", value=rms.value, n=n, budget=budget(rms, fits.error_mm)),
        Measurement(
            "winding.spiral_rms_error", "mm", value=spiral.value, n=n_spiral,
            budget=budget(spiral, fits.spiral_error_mm),
        ),
    ]  # fmt: skip


def _core_collapse(cell: CylinderCell, foil: FoilTrace, fits: Fits) -> Measurement:
    """Deepest inward departure of the inner third from the spiral through the outer ones, at least 0."""
    inward = -fits.departure_mm
    inward[:, ~fits.inner] = np.nan
    calm = steadied(inward, foil)
    if not np.isfinite(calm).any():
        return Measurement.absent("winding.core_collapse", "mm", "no inner turn was located")
    found, place = _largest(inward, foil)
    found = Corrected(max(found.value, 0.0), found.noise)
    by_height = np.nanmax(calm.reshape(calm.shape[0], -1), axis=1)
    return Measurement(
        "winding.core_collapse", "mm", value=found.value, n=int(np.isfinite(inward).sum()), worst_at=place,
        budget=(
            *_extreme(cell, foil, found, by_height[np.isfinite(by_height)]),
            Contribution("spiral extrapolated to the core", fits.departure_sigma_mm, type="B"),
        ),
    )  # fmt: skip


def _seat(cell: CylinderCell, foil: FoilTrace, fits: Fits) -> list[Measurement]:
    """How the roll sits in the can."""
    names = ("winding.concentricity", "winding.can_gap.min", "winding.can_gap.mean")
    if cell.frame.outer_radius_mm is None or cell.surfaces.can is None:
        reason = cell.surfaces.missing.get("can", "no can is in the scan")
        return [Measurement.absent(name, "mm", reason) for name in names]
    # Straight turns and one spiral are two fair models of a real roll; their mean is taken, their difference
    # is doubt.
    centre = 0.5 * (fits.centre_mm + fits.spiral_centre_mm)
    mean = centre.mean(axis=0)
    offset = float(np.hypot(*mean))
    model = float(np.hypot(*(fits.centre_mm - fits.spiral_centre_mm).mean(axis=0))) / 2
    along = mean / max(offset, 1e-12)
    # Least squares follow a buckle or a tab altogether; up to half of that may be left in a robust fit.
    drawn = float(np.hypot(*(fits.plain_centre_mm - fits.spiral_centre_mm).mean(axis=0))) / (2 * math.sqrt(3))
    concentricity = Measurement(
        names[0], "mm", value=offset, n=int(foil.z_mm.size),
        worst_at={"theta_deg": float(np.rad2deg(np.arctan2(mean[1], mean[0])) % 360.0)},
        budget=(
            cell.scale.contribution(offset),
            _scatter("slice to slice", centre @ along),
            Contribution("what counts as the centre of a roll that is not round", model, type="B"),
            Contribution("what a disturbance draws the centre by", drawn, type="B"),
            Contribution("position of the fitted line, over the roll", _POSITION_PX * _pixel(cell), type="B"),
            Contribution("the can's axis", cell.frame.axis_residual_mm, type="B"),
        ),
    )  # fmt: skip
    gap = can_gap(foil, cell.surfaces.can)
    if not np.isfinite(gap).any():
        return [
            concentricity,
            *(Measurement.absent(n, "mm", "the can's inner surface was not located") for n in names[1:]),
        ]
    last = int(np.flatnonzero(fits.full)[-1])
    noise = split(fits.error_mm[:, last : last + 1], foil)[1]
    nearest, place = _largest(-gap[:, None, :], foil, noise=noise)
    nearest = Corrected(-nearest.value, nearest.noise)
    place.pop("turn")
    gap = steadied(gap, foil)
    can = cell.surfaces.can
    edge = Contribution(
        "noise of the can's inner edge", can.inner_sigma_mm / math.sqrt(_smoothing(foil)), type="B"
    )
    level = Contribution("where the edge lies between wall and roll", 0.1 * _pixel(cell), type="B")
    by_height = np.nanmin(gap, axis=1)
    mean_gap = float(np.nanmean(gap))
    n = int(np.isfinite(gap).sum())
    return [
        concentricity,
        Measurement(
            names[1], "mm", value=nearest.value, n=n, worst_at=place,
            budget=(*_extreme(cell, foil, nearest, by_height), edge, level),
        ),
        Measurement(
            names[2], "mm", value=mean_gap, n=n,
            budget=(
                cell.scale.contribution(mean_gap), _scatter("slice to slice", np.nanmean(gap, axis=1)), level,
            ),
        ),
    ]  # fmt: skip


def _samples(foil: FoilTrace, fits: Fits) -> Samples:
    """Every located point."""
    z, turn, column = np.nonzero(np.isfinite(foil.radius_mm))
    return Samples(
        "winding_foil",
        {
            "z_mm": foil.z_mm[z],
            "turn": turn,
            "theta_deg": foil.theta_deg[column],
            "r_mm": foil.radius_mm[z, turn, column],
            "error_mm": fits.error_mm[z, turn, column],
        },
    )
