"""The followed foil against its ideal paths, height by height: straight turns, and one spiral for all."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.cylinder.spiral import (
    Spiral,
    StraightTurns,
    about_centre,
    plain_centre,
    winding_angle,
)
from xctrules.cylinder.surfaces import Floats, FoilTrace

T = TypeVar("T", bound=np.generic)

LOCATED = 0.5
"""Share of the heights at which a place of the foil must be located."""

FULL = 0.95
"""Share of its angles at which a turn has to be located to count as a full one."""

LEAST_TURNS = 3
"""Full turns, without which there is no telling a roll's shape from its faults."""

CORE = 1 / 3
"""Share of the full turns that a buckled core may reach; the others carry the roll's shape."""

ONE_SIDED_TURNS = 4 / 3
"""Turns at either end that have no cathode on one side: there the blurred flank of the other one draws the
fitted line by up to a fifth of a voxel."""

LEAST_COVERED_TURNS = 2.5
"""Turns that must remain without those, or else all are taken."""

EVERY_ANGLE = 3
"""Every third angle is enough for a pitch: neighbours show the same."""

SECTORS = 8
"""Sectors whose own pitch tells how far one pitch describes the roll."""


@dataclass(frozen=True)
class HeightFits:
    """One height of the foil against its ideal paths.

    Attributes
    ----------
    straight, error_mm : (nturns, nt)
        A straight line of radius against angle for each turn, about a common centre, and the distance from
        it, positive outward.
    spiral, spiral_error_mm : (nturns, nt)
        One spiral for the whole roll, and the distance from it, positive outward.
    plain_centre_mm
        The roll's centre by least squares alone.
    pitch_mm
        Advance for each turn where a cathode lies on both sides.
    sector_pitch_mm : (nsectors,)
    departure_mm : (nturns, nt)
        Distance from the spiral through the outer turns alone; positive outward.
    departure_sigma_mm
        Standard uncertainty of that spiral at the core.
    """

    straight: StraightTurns
    error_mm: Floats
    spiral: Spiral
    spiral_error_mm: Floats
    plain_centre_mm: tuple[float, float]
    pitch_mm: float
    sector_pitch_mm: Floats
    departure_mm: Floats
    departure_sigma_mm: float


@dataclass(frozen=True)
class Fits:
    """The followed foil against its ideal paths.

    Attributes
    ----------
    full : (nturns,) bool
        Turns located nearly all the way round.
    inner : (nturns,) bool
        Turns that may belong to a buckled core: ``departure_mm`` was not fitted to them.
    heights
        One for each.
    """

    full: NDArray[np.bool_]
    inner: NDArray[np.bool_]
    heights: tuple[HeightFits, ...]

    @cached_property
    def error_mm(self) -> Floats:
        """Distance of full turns from their straight lines, (nz, nturns, nt), positive outward."""
        return np.stack([fit.error_mm for fit in self.heights])

    @cached_property
    def spiral_error_mm(self) -> Floats:
        """Distance from one spiral for the whole roll, (nz, nturns, nt)."""
        return np.stack([fit.spiral_error_mm for fit in self.heights])

    @cached_property
    def departure_mm(self) -> Floats:
        """Distance from the spiral through the outer turns, (nz, nturns, nt)."""
        return np.stack([fit.departure_mm for fit in self.heights])

    @property
    def centre_mm(self) -> Floats:
        """The roll's own centre against the frame's axis, from its straight turns, (nz, 2)."""
        return np.asarray([fit.straight.centre_mm for fit in self.heights])

    @property
    def spiral_centre_mm(self) -> Floats:
        """The same from one spiral for the whole roll, (nz, 2)."""
        return np.asarray([fit.spiral.centre_mm for fit in self.heights])

    @property
    def plain_centre_mm(self) -> Floats:
        """The same by least squares alone, (nz, 2)."""
        return np.asarray([fit.plain_centre_mm for fit in self.heights])

    @property
    def pitch_mm(self) -> Floats:
        """Advance for each turn, (nz,)."""
        return np.asarray([fit.pitch_mm for fit in self.heights])

    @property
    def sector_pitch_mm(self) -> Floats:
        """The same by sector, (nz, nsectors)."""
        return np.stack([fit.sector_pitch_mm for fit in self.heights])

    @property
    def departure_sigma_mm(self) -> float:
        """Standard uncertainty of the outer turns' spiral at the core, mean over the heights."""
        return float(np.mean([fit.departure_sigma_mm for fit in self.heights]))


def fit_all(foil: FoilTrace) -> Fits:
    """Fit every height of the trace.

    Raises
    ------
    NotMeasurable
        With fewer than :data:`LEAST_TURNS` full turns.
    """
    full = located(foil).mean(axis=1) >= FULL
    if full.sum() < LEAST_TURNS:
        raise NotMeasurable(f"only {int(full.sum())} full turns of the roll were located; three are needed")
    first_sound = int(np.flatnonzero(full)[0] + max(1, round(full.sum() * CORE)))
    inner = np.arange(full.size) < first_sound
    covered = _covered(foil)
    return Fits(full, inner, tuple(_fit(radius, foil, full, inner, covered) for radius in foil.radius_mm))


def _fit(
    radius: Floats,
    foil: FoilTrace,
    full: NDArray[np.bool_],
    inner: NDArray[np.bool_],
    covered: NDArray[np.bool_],
) -> HeightFits:
    theta, handedness = foil.theta_deg, foil.handedness
    straight = StraightTurns.estimate(radius, theta, handedness, full)
    spiral = Spiral.estimate(radius, theta, handedness)
    outer = Spiral.estimate(radius, theta, handedness, np.broadcast_to(~inner[:, None], radius.shape))
    # Where a tab lifts the outer turns, the whole roll tells more of the core than they do.
    sound = min(outer, spiral, key=lambda fit: float(np.nanmedian(np.abs(fit.residuals(radius, theta)))))
    return HeightFits(
        straight=straight,
        error_mm=straight.residuals(radius, theta),
        spiral=spiral,
        spiral_error_mm=spiral.residuals(radius, theta),
        plain_centre_mm=plain_centre(radius, theta, handedness),
        pitch_mm=_pitch(radius, foil, covered),
        sector_pitch_mm=_sector_pitches(radius, foil, spiral.centre_mm, full),
        departure_mm=sound.residuals(radius, theta),
        departure_sigma_mm=_sigma_at_the_core(sound),
    )


def _sigma_at_the_core(spiral: Spiral) -> float:
    """Standard uncertainty, mm, of a spiral's radius where its angle is 0, in its worse direction."""
    start, x, y = spiral.covariance[[0, 2, 3], [0, 2, 3]]
    return math.sqrt(start + max(x, y))


def _covered(foil: FoilTrace) -> NDArray[np.bool_]:
    """(nturns, nt): the foil without :data:`ONE_SIDED_TURNS` at either end; all of one too short for that."""
    there = located(foil)
    angle = winding_angle(there.shape[0], foil.theta_deg, foil.handedness)
    first, last = angle[there].min() + ONE_SIDED_TURNS, angle[there].max() - ONE_SIDED_TURNS
    return np.asarray((angle >= first) & (angle <= last) if last - first >= LEAST_COVERED_TURNS else there)


def _pitch(radius: Floats, foil: FoilTrace, use: NDArray[np.bool_]) -> float:
    """Advance for each turn of the spiral through ``use`` (nturns, nt)."""
    part = slice(None, None, EVERY_ANGLE)
    return Spiral.estimate(radius[:, part], foil.theta_deg[part], foil.handedness, use[:, part]).pitch_mm


def _sector_pitches(
    radius: Floats, foil: FoilTrace, centre_mm: tuple[float, float], full: NDArray[np.bool_]
) -> Floats:
    """Advance for each turn in each of ``SECTORS`` equal sectors: median of the slopes between all pairs of
    full turns (Theil and Sen)."""
    r, _ = about_centre(radius[full], foil.theta_deg, centre_mm)
    turn = np.flatnonzero(full)
    sector = np.minimum((foil.theta_deg * SECTORS / 360.0).astype(int), SECTORS - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a sector may hold nothing of a turn
        mean = np.stack([np.nanmean(r[:, sector == k], axis=1) for k in range(SECTORS)], axis=1)
        first, second = np.triu_indices(turn.size, 1)
        slopes = (mean[second] - mean[first]) / (turn[second] - turn[first])[:, None]
        return np.asarray(np.nanmedian(slopes, axis=0))


# --- the foil itself ---------------------------------------------------------------------------------------


def located(foil: FoilTrace) -> NDArray[np.bool_]:
    """(nturns, nt): where the foil was located at :data:`LOCATED` of the heights or more."""
    return np.asarray(np.isfinite(foil.radius_mm).mean(axis=0) >= LOCATED)


def along(values: NDArray[T], foil: FoilTrace) -> NDArray[T]:
    """``values`` (nturns, nt) with the angles in the order in which the foil goes outward."""
    return values if foil.handedness > 0 else values[:, ::-1]


def revolutions(foil: FoilTrace) -> float:
    """Angle from the foil's inner to its outer end, in turns; places lost on the way count."""
    place = np.flatnonzero(along(located(foil), foil))
    return float(place[-1] - place[0] + 1) / foil.theta_deg.size if place.size else 0.0


def outermost(foil: FoilTrace) -> Floats:
    """Radius (nz, nt) of the outermost turn at each angle; NaN where none was located."""
    there = located(foil)
    last = there.shape[0] - 1 - there[::-1].argmax(axis=0)
    radius = np.take_along_axis(foil.radius_mm, last[None, None, :], axis=1)[:, 0]
    return np.where(there.any(axis=0), radius, np.nan)
