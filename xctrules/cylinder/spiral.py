"""Fits of wound layers: Archimedean spirals and straight turns. Pure functions on arrays, no cell and no
scan.

A layer that is wound without fault lies at ``r = start + pitch * angle`` about the roll's own axis, the angle
counted in turns. Radii come in about some other axis (the can's); the roll's centre is fitted along with the
spiral.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xctrules.core.robust import TUKEY, biweight, robust_sd, sd_about_zero, sds_about_zero

Floats = NDArray[np.float64]

_WIDE = 4.0
"""How much wider the biweight of single turns is: a real turn's waves are a few of its scales high and count,
a buckle is many and does not."""


@dataclass(frozen=True)
class Spiral:
    """``r = start_mm + pitch_mm * angle`` about ``centre_mm``.

    Attributes
    ----------
    centre_mm
        (x, y) of the spiral's centre.
    start_mm
        Radius at angle 0.
    pitch_mm
        Advance for each turn.
    covariance : (4, 4)
        Of start, pitch, centre x and centre y, for independent residuals.
    """

    centre_mm: tuple[float, float]
    start_mm: float
    pitch_mm: float
    covariance: Floats


def winding_angle(turns: int, theta_deg: Floats, handedness: int) -> Floats:
    """Angle (turns, nt) travelled along the layer, in turns, 0 where turn 0 begins."""
    share = theta_deg / 360.0 if handedness > 0 else 1.0 - theta_deg / 360.0
    return np.asarray(np.arange(turns)[:, None] + share[None, :])


def about_centre(radius: Floats, theta_deg: Floats, centre_mm: tuple[float, float]) -> tuple[Floats, Floats]:
    """Radius about another centre, and by how many degrees the angle differs there.

    Parameters
    ----------
    radius : (..., nt)
    theta_deg : (nt,)
    """
    theta = np.deg2rad(theta_deg)
    cos, sin = np.cos(theta), np.sin(theta)
    along = radius - (centre_mm[0] * cos + centre_mm[1] * sin)
    across = np.broadcast_to(centre_mm[0] * sin - centre_mm[1] * cos, along.shape)
    return np.sqrt(along**2 + across**2), np.rad2deg(np.arctan2(across, along))


def _weights(residual: Floats, scale: float) -> Floats:
    return biweight(residual / (TUKEY * max(scale, 1e-12)))


class _Fit(NamedTuple):
    solution: Floats
    centre: Floats
    inverse: Floats
    residual: Floats
    weight: Floats


def _middling(residual: Floats) -> float:
    """Median size: that of the sound half, however bad the other one is."""
    return float(np.median(np.abs(residual)))


def _reweighted(
    radius: Floats,
    theta_deg: Floats,
    handedness: int,
    angle: Floats,
    good: NDArray[np.bool_],
    start: Floats | None = None,
) -> _Fit:
    """Iteratively reweighted least squares; from ``start`` (turns, nt), radii without disturbance, or from
    least absolute deviations."""
    centre = np.zeros(2)
    weight = np.ones(int(good.sum()))
    if start is not None:
        off = (radius - start)[good]
        weight = _weights(off, sd_about_zero(off))
    solution = np.zeros(4)
    inverse = np.zeros((4, 4))
    residual = np.full(radius.shape, np.nan)
    for step in range(40):
        r, turned = about_centre(radius, theta_deg, (float(centre[0]), float(centre[1])))
        phi = angle + handedness * turned / 360.0
        theta = np.deg2rad(theta_deg + turned)
        columns = (np.ones_like(r), phi, np.cos(theta), np.sin(theta))
        model = np.stack([c[good] for c in columns], axis=1)
        weighted = model * weight[:, None]
        inverse = np.linalg.inv(weighted.T @ model)
        solution = inverse @ (weighted.T @ r[good])
        residual = r - solution[0] - solution[1] * phi
        off = residual[good] - model[:, 2:] @ solution[2:]
        scale = robust_sd(off)
        previous = weight
        if step < 6 and start is None:
            weight = 1.0 / np.maximum(np.abs(off), 0.2 * scale + 1e-12)
        else:
            weight = _weights(off, scale)
        weight = weight / weight.max()
        centre = centre + solution[2:]
        if step > 8 and np.abs(solution[2:]).max() < 1e-7 and np.abs(weight - previous).max() < 1e-2:
            break
    return _Fit(solution, centre, inverse, residual, weight)


def _sound_arc(
    radius: Floats, theta_deg: Floats, angle: Floats, good: NDArray[np.bool_]
) -> tuple[Floats, float] | None:
    """Spiral (turns, nt) through that half of the way round which describes the most of it, and its median
    distance; least median of squares (Rousseeuw 1984), since a tab may lift nearly half of all turns, more
    than weights that start from all of them can stand."""
    theta = np.deg2rad(theta_deg)
    columns = (np.ones_like(angle), angle, np.cos(theta), np.sin(theta))
    model = np.stack([np.broadcast_to(c, angle.shape) for c in columns], axis=-1)
    best: tuple[Floats, float] | None = None
    every = max(1, theta_deg.size // 90)
    for first in range(0, 360, 30):
        arc = good & ((theta_deg - first) % 360.0 < 180.0)
        arc[:, np.arange(theta_deg.size) % every != 0] = False
        if arc.sum() < 8 or np.ptp(angle[arc]) < 1.4:
            continue
        solution, *_ = np.linalg.lstsq(model[arc], radius[arc], rcond=None)
        spiral = model @ solution
        size = _middling((radius - spiral)[good])
        if best is None or size < best[1]:
            best = spiral, size
    return best


def fit_spiral(
    radius: Floats, theta_deg: Floats, handedness: int, use: NDArray[np.bool_] | None = None
) -> tuple[Spiral, Floats]:
    """Robust fit of one Archimedean spiral and its centre.

    Iteratively reweighted least squares (Tukey's biweight after a start by least absolute deviations) of
    ``r = start + pitch * angle`` in coordinates about the centre, which is moved until it stays. Where one
    half of the way round is described far better without the other, the start is that half.

    Parameters
    ----------
    radius : (turns, nt)
        About the frame's axis; NaN where not known. Turn and angle as in
        :class:`xctrules.cylinder.surfaces.FoilTrace`.
    use : (turns, nt) bool, optional
        Which places to fit; all by default.

    Returns
    -------
    spiral
    residual : (turns, nt)
        Radius about the fitted centre less the spiral's, at all places; positive where the layer lies too far
        out.

    Raises
    ------
    ValueError
        With fewer than one and a half turns to fit.
    """
    angle = winding_angle(radius.shape[0], theta_deg, handedness)
    good = np.isfinite(radius) if use is None else np.isfinite(radius) & use
    if good.sum() < 1.5 * theta_deg.size:
        raise ValueError("a spiral needs at least one and a half turns")
    whole = _reweighted(radius, theta_deg, handedness, angle, good)
    sound = _sound_arc(radius, theta_deg, angle, good)
    if sound is not None and sound[1] < 0.7 * _middling(whole.residual[good]):
        # Half of the way round is that much rounder than what all of it agrees on: the rest is disturbed.
        part = _reweighted(radius, theta_deg, handedness, angle, good, sound[0])
        whole = min(whole, part, key=lambda fit: _middling(fit.residual[good]))
    solution, centre, inverse, residual, weight = whole
    spread = float((weight * residual[good] ** 2).sum() / max(weight.sum() - 4.0, 1.0))
    spiral = Spiral(
        (float(centre[0]), float(centre[1])), float(solution[0]), float(solution[1]), inverse * spread
    )
    return spiral, residual


def plain_centre(radius: Floats, theta_deg: Floats, handedness: int) -> tuple[float, float]:
    """Centre of the Archimedean spiral through all places by least squares, for a centre near the axis: it
    follows every disturbance, and so tells how much there is to follow."""
    theta = np.deg2rad(theta_deg)
    columns = (
        np.ones_like(radius),
        winding_angle(radius.shape[0], theta_deg, handedness),
        np.broadcast_to(np.cos(theta), radius.shape),
        np.broadcast_to(np.sin(theta), radius.shape),
    )
    known = np.isfinite(radius)
    model = np.stack([c[known] for c in columns], axis=1)
    solution = np.linalg.solve(model.T @ model, model.T @ radius[known])
    return float(solution[2]), float(solution[3])


@dataclass(frozen=True)
class StraightTurns:
    """Each turn as a straight line of radius against angle, about one common centre.

    Attributes
    ----------
    centre_mm
        (x, y) of the centre.
    mean_mm, slope_mm : (turns,)
        The line's radius at the turn's middle, and its advance over one turn; NaN for turns left out.
    error_mm : (turns, nt)
        Radius less the line; positive outward.
    """

    centre_mm: tuple[float, float]
    mean_mm: Floats
    slope_mm: Floats
    error_mm: Floats


def fit_straight_turns(
    radius: Floats, theta_deg: Floats, handedness: int, full: NDArray[np.bool_]
) -> StraightTurns:
    """Robust straight lines through the ``full`` turns, and the centre about which they are straightest.

    Model: ``r = mean_k + slope_k * (angle - its mean) + cx cos(theta) + cy sin(theta)``, one line for each
    turn k, one centre for all; least absolute deviations, from which in the end is left out what lies many of
    the turn's own scales away (Tukey's biweight, wide). A buckle over less than half of a turn stays in the
    errors and does not bend the line; the waves of a turn that is wavy all the way round count.

    Parameters
    ----------
    radius : (turns, nt)
        About the frame's axis; NaN where not known.
    full : (turns,) bool
        Turns to fit; the others come back as NaN.
    """
    r0 = np.where(full[:, None], radius, np.nan)
    angle = winding_angle(radius.shape[0], theta_deg, handedness)
    known = np.isfinite(r0)
    weight = known.astype(float)
    centre = np.zeros(2)
    mean = slope = np.full(radius.shape[0], np.nan)
    error = np.full(radius.shape, np.nan)
    for step in range(30):
        r, turned = about_centre(r0, theta_deg, (float(centre[0]), float(centre[1])))
        theta = np.deg2rad(theta_deg + turned)
        total = np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)

        def centred(values: Floats, weight: Floats = weight, total: Floats = total) -> tuple[Floats, Floats]:
            filled = np.where(known, values, 0.0)
            middle = (weight * filled).sum(axis=1, keepdims=True) / total
            return filled - middle, middle

        phi, phi_mean = centred(angle + handedness * turned / 360.0)
        spread = np.maximum((weight * phi**2).sum(axis=1, keepdims=True), 1e-12)

        def without_line(
            values: Floats, weight: Floats = weight, phi: Floats = phi, spread: Floats = spread
        ) -> tuple[Floats, Floats]:
            incline = (weight * phi * values).sum(axis=1, keepdims=True) / spread
            return values - incline * phi, incline

        radial, radial_mean = centred(r)
        radial, incline = without_line(radial)
        cos, _ = without_line(centred(np.cos(theta))[0])
        sin, _ = without_line(centred(np.sin(theta))[0])
        normal = np.array(
            [[(weight * cos * cos).sum(), (weight * cos * sin).sum()],
             [(weight * cos * sin).sum(), (weight * sin * sin).sum()]]
        )  # fmt: skip
        move = np.linalg.solve(
            normal, np.array([(weight * cos * radial).sum(), (weight * sin * radial).sum()])
        )
        mean = np.where(full, (radial_mean + incline * (0.5 - phi_mean % 1.0))[:, 0], np.nan)
        slope = np.where(full, incline[:, 0], np.nan)
        error = np.where(known, radial, np.nan)
        if step >= 14 and np.abs(move).max() < 1e-6:  # a nanometre
            break
        centre = centre + move
        off = np.where(known, radial - move[0] * cos - move[1] * sin, 0.0)
        size = np.where(known, np.abs(off), np.nan)
        size[~known.any(axis=1)] = 0.0
        scale = sds_about_zero(size, axis=1) + 1e-12
        if step < 10:
            weight = known / np.maximum(np.abs(off), 0.2 * scale)
        else:
            near = _weights(off / scale, _WIDE)
            weight = known * near / np.maximum(np.abs(off), 0.2 * scale)
        weight /= np.maximum(weight.max(axis=1, keepdims=True), 1e-300)
    return StraightTurns((float(centre[0]), float(centre[1])), mean, slope, error)
