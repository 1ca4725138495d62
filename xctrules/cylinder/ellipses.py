"""Ellipses through the sound part of closed curves: pure functions on points, no cell in sight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xctrules.core.robust import biweight, sd_about_zero

Floats = NDArray[np.float64]

_LEAST_POINTS = 12
"""Points that a curve needs, beside a third of all: five unknowns, and enough more to outvote a dent."""

_PLAIN_STEPS, _ROBUST_STEPS, _FOOT_STEPS = 3, 12, 4
"""Steps after which the plain fit, the reweighted fit and the foot of a point's normal no longer move."""


@dataclass(frozen=True)
class Ellipses:
    """Ellipses fitted to n closed curves, in the unit and about the origin of the points.

    Model ``A x² + B xy + C y² + D x + E y = 1``: five unknowns, at least twelve points.

    Attributes
    ----------
    centre : (n, 2)
        (x, y).
    semi_axes : (n, 2)
        Major, minor.
    angle_deg : (n,)
        Direction of the major axis from +x towards +y, 0 to 180.
    """

    centre: Floats
    semi_axes: Floats
    angle_deg: Floats

    @classmethod
    def estimate(
        cls,
        x: ArrayLike,
        y: ArrayLike,
        *,
        scale_floor: float,
        largest_gap_deg: float = 75.0,
        tukey: float = 3.0,
    ) -> Ellipses:
        """Ellipse through the sound part of each closed curve; a dent, however deep, does not pull it.

        Algebraic fit with each point divided by the length of the conic's gradient there, which makes its
        residual the distance from the ellipse (Sampson), reweighted with Tukey's biweight. The start is what
        makes it robust against a wide dent: the curve is also fitted with one sector left out, for sectors
        all round. Where one of them leaves less than half of the residual, it held a dent, and the fit
        without it is the start. A gentle form of three or more lobes does not do that (leaving out 75 degrees
        takes a third off the residual of three lobes), and is averaged, not cut up. Nothing is drawn at
        random.

        Parameters
        ----------
        x, y : (n, m)
            Points about an origin well inside; NaN are left out.
        scale_floor
            Smallest scale of the biweight, in the points' unit: noise of a point.
        largest_gap_deg
            Width of the left-out sector; dents up to two thirds of it are left out whole wherever they lie.
        tukey
            Residual, in scales, beyond which a point has no weight.

        Returns
        -------
        Ellipses
            NaN where fewer than a third of the points are there or no ellipse fits.
        """
        px, py = (np.atleast_2d(np.asarray(a, dtype=np.float64)) for a in (x, y))
        there = np.isfinite(px) & np.isfinite(py)
        enough = there.sum(axis=1) >= max(_LEAST_POINTS, px.shape[1] // 3)
        size = float(np.nanmedian(np.hypot(px, py))) if enough.any() else 1.0
        curves = _Curves(np.where(there, px, 0.0) / size, np.where(there, py, 0.0) / size, there)
        conic = curves.without_worst_sector(largest_gap_deg)
        for _ in range(_ROBUST_STEPS):
            residual = curves.distance(conic)[0]
            spread = [sd_about_zero(row[known]) for row, known in zip(residual, there, strict=True)]
            scale = np.maximum(spread, scale_floor / size)[:, None]
            weight = curves.plain_weight * biweight(residual / (tukey * scale))
            conic = curves.conic_step(weight, conic)
        return cls._of_conics(conic, size, enough)

    def residuals(self, x: ArrayLike, y: ArrayLike) -> Floats:
        """Distance of points (n, m) from their ellipse along its normal, positive outside.

        The foot point is found by Newton's method on its parameter, which converges at once for points that
        are near the ellipse compared with its radius of curvature.
        """
        tilt = np.deg2rad(self.angle_deg)[:, None]
        dx = np.asarray(x, dtype=np.float64) - self.centre[:, :1]
        dy = np.asarray(y, dtype=np.float64) - self.centre[:, 1:]
        u = dx * np.cos(tilt) + dy * np.sin(tilt)
        v = dy * np.cos(tilt) - dx * np.sin(tilt)
        a, b = self.semi_axes[:, :1], self.semi_axes[:, 1:]
        t = np.arctan2(v * a, u * b)
        for _ in range(_FOOT_STEPS):
            cos, sin = np.cos(t), np.sin(t)
            slope = (a * a - b * b) * cos * sin - u * a * sin + v * b * cos
            curvature = (a * a - b * b) * (cos * cos - sin * sin) - u * a * cos - v * b * sin
            t = t - slope / curvature
        cos, sin = np.cos(t), np.sin(t)
        normal = np.hypot(b * cos, a * sin)
        return np.asarray(((u - a * cos) * b * cos + (v - b * sin) * a * sin) / normal)

    def predict(self, parameter_deg: ArrayLike) -> Floats:
        """Points (n, m, 2) on each ellipse at its parameter (m,), counted from the major axis."""
        t = np.deg2rad(np.asarray(parameter_deg, dtype=np.float64))
        tilt = np.deg2rad(self.angle_deg)[:, None]
        along, across = self.semi_axes[:, :1] * np.cos(t), self.semi_axes[:, 1:] * np.sin(t)
        x = along * np.cos(tilt) - across * np.sin(tilt)
        y = along * np.sin(tilt) + across * np.cos(tilt)
        return np.asarray(self.centre[:, None] + np.stack([x, y], axis=-1))

    @classmethod
    def _of_conics(cls, conic: Floats, size: float, valid: NDArray[np.bool_]) -> Ellipses:
        a, b, c, d, e = conic.T
        determinant = 4 * a * c - b * b
        with np.errstate(invalid="ignore", divide="ignore"):
            x0 = (b * e - 2 * c * d) / determinant
            y0 = (b * d - 2 * a * e) / determinant
            constant = 1.0 + a * x0**2 + b * x0 * y0 + c * y0**2
            mean, half = 0.5 * (a + c), 0.5 * np.hypot(a - c, b)
            major, minor = np.sqrt(constant / (mean - half)), np.sqrt(constant / (mean + half))
            # The major axis lies where the quadratic form is smallest.
            angle = np.mod(0.5 * np.rad2deg(np.arctan2(-b, c - a)), 180.0)
        ok = valid & (determinant > 0) & np.isfinite(major)
        centre = np.where(ok[:, None], np.column_stack([x0, y0]) * size, np.nan)
        axes = np.where(ok[:, None], np.column_stack([major, minor]) * size, np.nan)
        return cls(centre, axes, np.where(ok, angle, np.nan))


@dataclass(frozen=True)
class _Curves:
    """The points (n, m) of n curves, near the unit circle, and which of them are ``there``; 0 elsewhere."""

    x: Floats
    y: Floats
    there: NDArray[np.bool_]

    @property
    def plain_weight(self) -> Floats:
        return self.there.astype(np.float64)

    def without_worst_sector(self, width_deg: float) -> Floats:
        """Conics (n, 5) through all points, or through those outside a sector of that width which holds a
        dent."""
        angle = np.arctan2(self.y, self.x)
        conic, rms = self.plain_fit(self.plain_weight)
        best = 0.5 * rms
        for sector in np.deg2rad(np.arange(0.0, 360.0, width_deg / 3)):
            away = np.abs(np.angle(np.exp(1j * (angle - sector)))) > np.deg2rad(width_deg / 2)
            trial, rms = self.plain_fit(self.plain_weight * away)
            take = rms < best
            best[take], conic[take] = rms[take], trial[take]
        return conic

    def plain_fit(self, weight: Floats) -> tuple[Floats, Floats]:
        """Conics (n, 5) through the weighted points, and the root-mean-square residual of those points."""
        conic = np.tile(np.array([1.0, 0.0, 1.0, 0.0, 0.0]), (self.x.shape[0], 1))
        for _ in range(_PLAIN_STEPS):
            conic = self.conic_step(weight, conic)
        residual = self.distance(conic)[0]
        rms = np.sqrt((weight * residual**2).sum(axis=1) / np.maximum(weight.sum(axis=1), 1.0))
        return conic, rms

    def conic_step(self, weight: Floats, conic: Floats) -> Floats:
        """One reweighted least-squares step for the conic's five coefficients."""
        x, y = self.x, self.y
        gradient = self.distance(conic)[1]
        design = np.stack([x * x, x * y, y * y, x, y], axis=-1)
        w = weight / gradient**2
        normal = (design * w[..., None]).transpose(0, 2, 1) @ design
        normal += 1e-12 * np.eye(5)
        solved: Any = np.linalg.solve(normal, (design.transpose(0, 2, 1) @ w[..., None]))
        return np.asarray(solved[..., 0], dtype=np.float64)

    def distance(self, conic: Floats) -> tuple[Floats, Floats]:
        """Distance of the points from a conic to first order, and the length of its gradient there."""
        x, y = self.x, self.y
        a, b, c, d, e = (k[:, None] for k in conic.T)
        value = a * x * x + b * x * y + c * y * y + d * x + e * y - 1.0
        gradient = np.hypot(2 * a * x + b * y + d, b * x + 2 * c * y + e)
        gradient = np.maximum(gradient, 1e-6)
        return value / gradient, gradient
