"""Fits of wound layers: Archimedean spirals and straight turns. Pure functions on arrays, no cell and no
scan.

A layer that is wound without fault lies at ``r = start + pitch * angle`` about the roll's own axis, the angle
counted in turns. Radii come in about some other axis (the can's); the roll's centre is fitted along with the
spiral.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.core.robust import TUKEY, biweight, robust_sd, sd_about_zero, sds_about_zero

Floats = NDArray[np.float64]

LEAST_TURNS = 1.5
"""Turns that a spiral needs: one alone leaves its pitch and its centre apart by nothing but noise."""

SPIRAL_STEPS, LEAST_SPIRAL_STEPS = 40, 9
"""Steps of the reweighted fit at most, and at least: weights from least absolute deviations first, then
Tukey's."""

ABSOLUTE_STEPS = 6
"""First steps that are weighted for least absolute deviations: they find their way from any start."""

ABSOLUTE_FLOOR = 0.2
"""Share of the scale below which a deviation weighs no more: least absolute deviations would be infinitely
heavy at none."""

SETTLED_MM, SETTLED_WEIGHT = 1e-7, 1e-2
"""Move of the centre, and change of a weight, below which a spiral has settled."""

ARCS_DEG, ARC_EVERY, LEAST_ARC_TURNS, LEAST_ARC_PLACES = 180.0, 90, 1.4, 8
"""Length of the arc that may describe the roll without the rest, angles that are enough of a turn, and what
of the foil has to lie on it: both ends of a pitch, and twice as many places as unknowns."""

ARC_STEP_DEG = 30
"""Between the arcs that are tried: a tab's shadow is wider."""

FAR_ROUNDER = 0.7
"""Share of the whole's median residual below which an arc describes the roll far better."""

LINE_STEPS, LEAST_LINE_STEPS, ABSOLUTE_LINE_STEPS = 30, 15, 10
"""Steps of the fit of single turns at most and at least, and the first of them that leave nothing out."""

SETTLED_LINES_MM = 1e-6
"""Move of the centre below which straight turns have settled: a nanometre."""

WIDE = 4.0
"""How much wider the biweight of single turns is: a real turn's waves are a few of its scales high and count,
a buckle is many and does not."""

PREDICTION_STEPS = 12
"""Steps from a centre's radius to another's: each leaves less than a hundredth of the last."""


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


def _about_axis(start: Floats, residuals: Callable[[Floats], Floats]) -> Floats:
    """Radii about the frame's axis at which ``residuals`` of them are nothing, from those about a centre near
    it."""
    radius = start
    for _ in range(PREDICTION_STEPS):
        radius = radius - residuals(radius)
    return radius


# --- one spiral --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spiral:
    """An Archimedean spiral about a centre of its own.

    Model: ``r = start + pitch * angle`` about the centre: four unknowns, at least one and a half turns.

    Attributes
    ----------
    centre_mm
        (x, y) of the spiral's centre.
    start_mm
        Radius at angle 0.
    pitch_mm
        Advance for each turn.
    handedness
        +1 where it runs outward with growing theta, -1 otherwise.
    covariance : (4, 4)
        Of start, pitch, centre x and centre y, for independent residuals.
    """

    centre_mm: tuple[float, float]
    start_mm: float
    pitch_mm: float
    handedness: int
    covariance: Floats

    @classmethod
    def estimate(
        cls, radius: Floats, theta_deg: Floats, handedness: int, use: NDArray[np.bool_] | None = None
    ) -> Spiral:
        """Robust fit of one spiral and its centre.

        Iteratively reweighted least squares (Tukey's biweight after a start by least absolute deviations) in
        coordinates about the centre, which is moved until it stays. Where one half of the way round is
        described far better without the other, the start is that half.

        Parameters
        ----------
        radius : (turns, nt)
            About the frame's axis; NaN where not known. Turn and angle as in
            :class:`xctrules.cylinder.surfaces.FoilTrace`.
        use : (turns, nt) bool, optional
            Which places to fit; all by default.

        Raises
        ------
        ValueError
            With fewer than one and a half turns to fit.
        """
        good = np.isfinite(radius) if use is None else np.isfinite(radius) & use
        if good.sum() < LEAST_TURNS * theta_deg.size:
            raise ValueError("a spiral needs at least one and a half turns")
        places = _Places(radius, theta_deg, handedness, good)
        whole = places.reweighted()
        sound = places.sound_arc()
        if sound is not None and sound[1] < FAR_ROUNDER * whole.middling():
            # Half of the way round is that much rounder than what all of it agrees on: the rest is disturbed.
            whole = min(whole, places.reweighted(sound[0]), key=_Fit.middling)
        return whole.spiral(handedness)

    def predict(self, turns: int, theta_deg: Floats) -> Floats:
        """Radius (turns, nt) about the frame's axis."""
        about = self.start_mm + self.pitch_mm * winding_angle(turns, theta_deg, self.handedness)
        return _about_axis(about, lambda radius: self.residuals(radius, theta_deg))

    def residuals(self, radius: Floats, theta_deg: Floats) -> Floats:
        """Radius (turns, nt) about the spiral's centre less its own; positive where the layer lies too far
        out, NaN where it is not known."""
        r, turned = about_centre(radius, theta_deg, self.centre_mm)
        angle = winding_angle(radius.shape[0], theta_deg, self.handedness)
        return np.asarray(r - self.start_mm - self.pitch_mm * (angle + self.handedness * turned / 360.0))


@dataclass(frozen=True)
class _Fit:
    """A spiral's four unknowns and the centre that it was solved about, the unknowns' normal matrix inverted,
    and residuals and weights (n,) of the places."""

    solution: Floats
    centre: tuple[float, float]
    inverse: Floats
    residual: Floats
    weight: Floats

    def middling(self) -> float:
        """Median size of the residuals: that of the sound half, however bad the other one is."""
        return float(np.median(np.abs(self.residual)))

    def spiral(self, handedness: int) -> Spiral:
        spread = float((self.weight * self.residual**2).sum() / max(self.weight.sum() - 4.0, 1.0))
        start, pitch = (float(value) for value in self.solution[:2])
        return Spiral(self.centre, start, pitch, handedness, self.inverse * spread)


@dataclass(frozen=True)
class _Places:
    """Radii (turns, nt) about the frame's axis, and which of them are ``good`` to fit to."""

    radius: Floats
    theta_deg: Floats
    handedness: int
    good: NDArray[np.bool_]

    @property
    def angle(self) -> Floats:
        return winding_angle(self.radius.shape[0], self.theta_deg, self.handedness)

    def reweighted(self, start: Floats | None = None) -> _Fit:
        """Iteratively reweighted least squares; from ``start`` (turns, nt), radii without disturbance, or
        from least absolute deviations."""
        centre = np.zeros(2)
        weight = np.ones(int(self.good.sum()))
        if start is not None:
            off = (self.radius - start)[self.good]
            weight = _weights(off, sd_about_zero(off))
        for step in range(SPIRAL_STEPS):
            about = (float(centre[0]), float(centre[1]))
            solution, inverse, residual, off = self.solved(about, weight)
            previous = weight
            weight = self._next_weights(off, absolute=step < ABSOLUTE_STEPS and start is None)
            move = solution[2:]
            settled = np.abs(move).max() < SETTLED_MM and np.abs(weight - previous).max() < SETTLED_WEIGHT
            if step >= LEAST_SPIRAL_STEPS and settled:
                break
            centre = centre + move
        return _Fit(solution, about, inverse, residual, weight)

    def solved(self, centre: tuple[float, float], weight: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """One weighted linear step about ``centre``: start, pitch and the centre's move; the normal matrix
        inverted; and residuals (n,) without that move and with it."""
        r, turned = about_centre(self.radius, self.theta_deg, centre)
        phi = self.angle + self.handedness * turned / 360.0
        theta = np.deg2rad(self.theta_deg + turned)
        columns = (np.ones_like(r), phi, np.cos(theta), np.sin(theta))
        model = np.stack([c[self.good] for c in columns], axis=1)
        weighted = model * weight[:, None]
        inverse = np.linalg.inv(weighted.T @ model)
        solution = inverse @ (weighted.T @ r[self.good])
        residual = (r - solution[0] - solution[1] * phi)[self.good]
        return solution, inverse, residual, residual - model[:, 2:] @ solution[2:]

    @staticmethod
    def _next_weights(off: Floats, absolute: bool) -> Floats:
        scale = robust_sd(off)
        if absolute:
            weight = 1.0 / np.maximum(np.abs(off), ABSOLUTE_FLOOR * scale + 1e-12)
        else:
            weight = _weights(off, scale)
        return np.asarray(weight / weight.max())

    def sound_arc(self) -> tuple[Floats, float] | None:
        """Spiral (turns, nt) through that half of the way round which describes the most of it, and its
        median distance; least median of squares (Rousseeuw 1984), since a tab may lift nearly half of all
        turns, more than weights that start from all of them can stand."""
        theta = np.deg2rad(self.theta_deg)
        columns = (np.ones_like(self.angle), self.angle, np.cos(theta), np.sin(theta))
        model = np.stack([np.broadcast_to(c, self.angle.shape) for c in columns], axis=-1)
        best: tuple[Floats, float] | None = None
        every = max(1, self.theta_deg.size // ARC_EVERY)
        for first in range(0, 360, ARC_STEP_DEG):
            arc = self.good & ((self.theta_deg - first) % 360.0 < ARCS_DEG)
            arc[:, np.arange(self.theta_deg.size) % every != 0] = False
            if arc.sum() < LEAST_ARC_PLACES or np.ptp(self.angle[arc]) < LEAST_ARC_TURNS:
                continue
            solution, *_ = np.linalg.lstsq(model[arc], self.radius[arc], rcond=None)
            spiral = model @ solution
            size = float(np.median(np.abs((self.radius - spiral)[self.good])))
            if best is None or size < best[1]:
                best = spiral, size
        return best


def _weights(residual: Floats, scale: float) -> Floats:
    return biweight(residual / (TUKEY * max(scale, 1e-12)))


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


# --- straight turns ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StraightTurns:
    """Each turn as a straight line of radius against angle, about one common centre.

    Model: ``r = mean_k + slope_k * (angle - its middle)`` about the centre, one line for each turn k: two
    unknowns for each and two for all, at least one turn.

    Attributes
    ----------
    centre_mm
        (x, y) of the centre.
    mean_mm, slope_mm : (turns,)
        The line's radius at the turn's middle, and its advance over one turn; NaN for turns left out.
    handedness
        As in :class:`Spiral`.
    """

    centre_mm: tuple[float, float]
    mean_mm: Floats
    slope_mm: Floats
    handedness: int

    @classmethod
    def estimate(
        cls, radius: Floats, theta_deg: Floats, handedness: int, full: NDArray[np.bool_]
    ) -> StraightTurns:
        """Robust straight lines through the ``full`` turns, and the centre about which they are straightest.

        Least absolute deviations, from which in the end is left out what lies many of the turn's own scales
        away (Tukey's biweight, wide). A buckle over less than half of a turn stays in the residuals and does
        not bend the line; the waves of a turn that is wavy all the way round count.

        Parameters
        ----------
        radius : (turns, nt)
            About the frame's axis; NaN where not known.
        full : (turns,) bool
            Turns to fit; the others come back as NaN.
        """
        located = np.where(full[:, None], radius, np.nan)
        angle = winding_angle(radius.shape[0], theta_deg, handedness)
        known = np.isfinite(located)
        weight = known.astype(float)
        centre = np.zeros(2)
        for step in range(LINE_STEPS):
            about = (float(centre[0]), float(centre[1]))
            r, turned = about_centre(located, theta_deg, about)
            lines = _WeightedLines.through(angle + handedness * turned / 360.0, known, weight)
            off, move = lines.straightened(r, np.deg2rad(theta_deg + turned))
            if step >= LEAST_LINE_STEPS - 1 and np.abs(move).max() < SETTLED_LINES_MM:
                break
            centre = centre + move
            weight = _line_weights(off, known, wide=step < ABSOLUTE_LINE_STEPS)
        middle, slope = lines.line(r)
        mean = middle + slope * (0.5 - lines.middle % 1.0)
        left_out = np.where(full, 0.0, np.nan)
        return cls(about, mean[:, 0] + left_out, slope[:, 0] + left_out, handedness)

    def predict(self, theta_deg: Floats) -> Floats:
        """Radius (turns, nt) about the frame's axis; NaN for turns left out."""
        turns = self.mean_mm.size
        inside = winding_angle(1, theta_deg, self.handedness) - 0.5
        about = np.broadcast_to(self.mean_mm[:, None], (turns, theta_deg.size))
        about = about + self.slope_mm[:, None] * inside
        return _about_axis(about, lambda radius: self.residuals(radius, theta_deg))

    def residuals(self, radius: Floats, theta_deg: Floats) -> Floats:
        """Radius (turns, nt) about the centre less the line; positive outward, NaN where it is not known."""
        r, turned = about_centre(radius, theta_deg, self.centre_mm)
        inside = winding_angle(1, theta_deg, self.handedness) + self.handedness * turned / 360.0 - 0.5
        return np.asarray(r - self.mean_mm[:, None] - self.slope_mm[:, None] * inside)


@dataclass(frozen=True)
class _WeightedLines:
    """What weighted lines against the angle (turns, nt) take off values: for each turn a ``middle`` angle
    (turns, 1), the angles ``phi`` from there, and their weighted square sum ``spread``."""

    known: NDArray[np.bool_]
    weight: Floats
    middle: Floats
    phi: Floats
    spread: Floats

    @classmethod
    def through(cls, angle: Floats, known: NDArray[np.bool_], weight: Floats) -> _WeightedLines:
        plain = cls(known, weight, angle, angle, angle)
        phi, middle = plain.centred(angle)
        spread = np.maximum((weight * phi**2).sum(axis=1, keepdims=True), 1e-12)
        return cls(known, weight, middle, phi, spread)

    def centred(self, values: Floats) -> tuple[Floats, Floats]:
        """``values`` (turns, nt) less their mean (turns, 1) for each turn, and that."""
        filled = np.where(self.known, values, 0.0)
        total = np.maximum(self.weight.sum(axis=1, keepdims=True), 1e-12)
        mean = (self.weight * filled).sum(axis=1, keepdims=True) / total
        return filled - mean, mean

    def line(self, values: Floats) -> tuple[Floats, Floats]:
        """Mean and slope (turns, 1) of the lines through ``values`` (turns, nt)."""
        centred, mean = self.centred(values)
        return mean, (self.weight * self.phi * centred).sum(axis=1, keepdims=True) / self.spread

    def without_line(self, values: Floats) -> Floats:
        """``values`` (turns, nt) less their lines."""
        centred, _ = self.centred(values)
        return np.asarray(centred - self.line(values)[1] * self.phi)

    def straightened(self, r: Floats, theta: Floats) -> tuple[Floats, Floats]:
        """What the lines leave of ``r`` (turns, nt) when the centre is moved, and that move (2,); ``theta``
        in radians."""
        radial, cos, sin = (self.without_line(values) for values in (r, np.cos(theta), np.sin(theta)))
        weight = self.weight
        normal = np.array(
            [[(weight * cos * cos).sum(), (weight * cos * sin).sum()],
             [(weight * cos * sin).sum(), (weight * sin * sin).sum()]]
        )  # fmt: skip
        move = np.linalg.solve(
            normal, np.array([(weight * cos * radial).sum(), (weight * sin * radial).sum()])
        )
        return np.where(self.known, radial - move[0] * cos - move[1] * sin, 0.0), move


def _line_weights(off: Floats, known: NDArray[np.bool_], wide: bool) -> Floats:
    """Weights (turns, nt) for least absolute deviations ``off``; but for the first steps (``wide``) without
    what lies many scales away."""
    size = np.where(known, np.abs(off), np.nan)
    size[~known.any(axis=1)] = 0.0
    scale = sds_about_zero(size, axis=1) + 1e-12
    near = np.ones_like(off) if wide else _weights(off / scale, WIDE)
    weight = known * near / np.maximum(np.abs(off), ABSOLUTE_FLOOR * scale)
    return np.asarray(weight / np.maximum(weight.max(axis=1, keepdims=True), 1e-300))
