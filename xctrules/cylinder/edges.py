"""Where an edge lies below the voxel: pure functions on sampled profiles, no cell and no scan in sight.

A scanner shows an edge as a step blurred by its point-spread function, here taken as Gaussian. A wall only a
few blurs thick shows two such steps whose tails overlap: its grey never reaches the plateau, and the point
of half height moves inward on both sides. :func:`fit_slab` therefore fits both edges together. Where an edge
stands free, :func:`crossings` (half height between the levels of its two sides) is all that is needed.

Positions are in samples' own coordinates (any unit); profiles are stacked along the leading axis and treated
all at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xctrules.core.robust import biweight, sd_about_zero

Floats = NDArray[np.float64]

_CHUNK = 2048  # profiles fitted together: their arrays stay in the processor's cache
# outer, inner, wall, wall slope, inside, outside, inside slope, blur outside, blur inside
_SLAB_PARAMETERS = 9


def crossings(
    profiles: ArrayLike, levels: ArrayLike, *, start: ArrayLike | None = None, rising: bool = True
) -> Floats:
    """First position at which each profile crosses its level, interpolated linearly between samples.

    Parameters
    ----------
    profiles : (..., n)
        Grey values; NaN never counts as a crossing.
    levels : (...)
        Grey level for each profile, or one for all.
    start : (...), optional
        Index of the first sample looked at; the first one unless given.
    rising
        Look for a passage from below the level to at least the level; otherwise from above to at most it.

    Returns
    -------
    positions : (...)
        In samples from the first one; NaN where the level is not crossed.
    """
    grey = np.asarray(profiles, dtype=np.float64)
    above = grey - np.asarray(levels, dtype=np.float64)[..., None]
    if not rising:
        above = -above
    with np.errstate(invalid="ignore"):
        passes = (above[..., :-1] < 0) & (above[..., 1:] >= 0)
    if start is not None:
        passes &= np.arange(grey.shape[-1] - 1) >= np.asarray(start)[..., None]
    found = passes.any(axis=-1)
    index = passes.argmax(axis=-1)[..., None]
    before = np.take_along_axis(above, index, axis=-1)[..., 0]
    after = np.take_along_axis(above, index + 1, axis=-1)[..., 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        position = index[..., 0] + before / (before - after)
    return np.where(found, position, np.nan)


@dataclass(frozen=True)
class SlabFit:
    """A slab under blur, fitted to each of n profiles; positions and lengths in samples.

    Attributes
    ----------
    outer, inner : (n,)
        Positions of the two faces; outer > inner.
    wall, wall_slope : (n,)
        Grey of the slab at its outer face, and its change for each sample going outward.
    inside, outside : (n,)
        Grey on either side, next to the slab.
    inside_slope : (n,)
        Change of the inside's grey for each sample going outward.
    blur, inner_blur : (n,)
        Standard deviation of the Gaussian blur at the outer and the inner face.
    rms : (n,)
        Weighted root-mean-square residual, grey values.
    """

    outer: Floats
    inner: Floats
    wall: Floats
    wall_slope: Floats
    inside: Floats
    outside: Floats
    inside_slope: Floats
    blur: Floats
    inner_blur: Floats
    rms: Floats


@dataclass(frozen=True)
class SlabPrior:
    """What is known of the slab's grey from the rest of the same scan: mean and standard deviation.

    The grey inside is flat next to the slab, give or take ``inside_slope_sd`` for each sample.

    A slab thinner than about three blurs shows little more than the product of its grey and its thickness;
    that the same metal has the same grey nearby is what separates the two.
    """

    wall: float
    wall_sd: float
    wall_slope: float
    wall_slope_sd: float
    inside_slope_sd: float


def fit_slab(
    profiles: ArrayLike,
    outer: ArrayLike,
    inner: ArrayLike,
    *,
    blur: float,
    free_blur: bool = False,
    prior: SlabPrior | None = None,
    noise: float = 0.0,
    iterations: int = 6,
) -> SlabFit:
    r"""Fit a slab between two backgrounds under Gaussian blur, for all profiles at once.

    .. math::
        g(x) = o + (w(x) - o)\,\Phi\!\left(\frac{x_o - x}{\sigma_o}\right)
                 - (w(x) - b)\,\Phi\!\left(\frac{x_i - x}{\sigma_i}\right)
                 - w_1 \left(\sigma_o\,\varphi_o - \sigma_i\,\varphi_i\right),
        \qquad w(x) = w_0 + w_1 (x - x_o)

    with inside grey *b*, outside grey *o*, and a slab whose grey may slope (beam hardening). With a
    ``prior`` the inside's grey may slope as well, in the same way. Solved by
    Levenberg-Marquardt. Samples count fully up to 2.5 blurs beyond each face and fade out over a further
    blur and a half: what lies farther off (the winding, a sleeve) is not part of the model.

    Parameters
    ----------
    profiles : (n, m)
        Grey along x = 0 ... m - 1, going from inside to outside.
    outer, inner : (n,)
        Starting positions, within about two blurs of the truth.
    blur
        Standard deviation of the blur in samples; the starting value with ``free_blur``.
    free_blur
        Whether each profile finds its own blur, one for either face.
    prior
        Knowledge of the slab's grey, weighted against ``noise``.
    noise
        Standard deviation of one sample's grey (only the prior's weight depends on it).
    iterations
        Fixed number of steps, so that the answer does not depend on what else is in the batch.

    Returns
    -------
    SlabFit
        NaN throughout where a profile has a missing sample or the fit ran away.
    """
    grey = np.ascontiguousarray(profiles, dtype=np.float64)
    n, m = grey.shape
    start = np.empty((n, 2))
    start[:, 0], start[:, 1] = outer, inner
    result = np.full((n, _SLAB_PARAMETERS + 1), np.nan)
    usable = np.isfinite(grey).all(axis=1) & np.isfinite(start).all(axis=1)
    for rows in np.array_split(np.flatnonzero(usable), max(1, math.ceil(usable.sum() / _CHUNK))):
        if rows.size:
            result[rows] = _fit_slab_chunk(grey[rows], start[rows], blur, free_blur, prior, noise, iterations)
    thickness = result[:, 0] - result[:, 1]
    with np.errstate(invalid="ignore"):
        lost = ~((thickness > 0) & (result[:, 0] < m) & (result[:, 1] > -1.0) & np.isfinite(result[:, -1]))
    result[lost] = np.nan
    return SlabFit(*result.T)


def _fit_slab_chunk(
    grey: Floats,
    start: Floats,
    blur: float,
    free_blur: bool,
    prior: SlabPrior | None,
    noise: float,
    iterations: int,
) -> Floats:
    # Single precision carries the model to 1e-5 of a grey level, far below any noise; the steps are solved
    # in double.
    grey = grey.astype(np.float32)
    n, m = grey.shape
    x = np.arange(m, dtype=np.float32)
    p = np.empty((n, _SLAB_PARAMETERS))
    p[:, :2] = start
    # Starting grey levels: the wall half a blur below its outer face's plateau, each side two blurs beyond.
    row = np.arange(n)
    middle = 0.5 * (start[:, 0] + start[:, 1])
    p[:, 2] = grey[row, np.clip(np.rint(middle), 0, m - 1).astype(int)]
    p[:, 3] = 0.0
    p[:, 4] = grey[row, np.clip(np.rint(start[:, 1] - 2 * blur), 0, m - 1).astype(int)]
    p[:, 5] = grey[row, np.clip(np.rint(start[:, 0] + 3 * blur), 0, m - 1).astype(int)]
    p[:, 6] = 0.0
    p[:, 7:] = blur
    known = prior is not None and noise > 0
    free = np.flatnonzero([True] * 6 + [known, free_blur, free_blur])

    stiffness = np.zeros(_SLAB_PARAMETERS)
    towards = np.zeros(_SLAB_PARAMETERS)
    if prior is not None and known:
        stiffness[2:4] = (noise / prior.wall_sd) ** 2, (noise / prior.wall_slope_sd) ** 2
        stiffness[6] = (noise / prior.inside_slope_sd) ** 2
        towards[2:4] = prior.wall, prior.wall_slope
    stiffness, towards = stiffness[free], towards[free]

    def evaluate(p: Floats) -> tuple[Any, Any, Any, Floats]:
        """Weighted residual (n, m), its Jacobian (n, k, m), weights (n, m), cost (n,)."""
        single = p.T[:, :, None].astype(np.float32)
        outer, inner, wall, slope, level, outside, inside_slope, blur_out, blur_in = single
        u = (outer - x) / blur_out
        v = (inner - x) / blur_in
        # Samples too far from a face have no weight, so that the window follows the wall.
        weight = np.minimum(np.clip((3.0 - v) / 1.5, 0, 1), np.clip((4.0 + u) / 1.5, 0, 1))
        cover_out, cover_in = _normal_cdf(u), _normal_cdf(v)
        along = x - outer
        metal = wall + slope * along
        below = x - inner
        peak_out, peak_in = _normal_pdf(u), _normal_pdf(v)
        # Blur carries a sloping grey across the faces as well.
        ramp = blur_out * peak_out - blur_in * peak_in
        foot = below * cover_in - blur_in * peak_in
        model = outside + (metal - outside) * cover_out - (metal - level) * cover_in
        model += inside_slope * foot - slope * ramp
        residual = weight * (grey - model)
        jacobian = np.empty((p.shape[0], free.size, m), dtype=np.float32)
        slab = cover_out - cover_in
        density_out = (metal - outside) * peak_out / blur_out
        density_in = (metal - level - inside_slope * below) * peak_in / blur_in
        jacobian[:, 0] = density_out - slope * slab
        jacobian[:, 1] = -density_in
        if known:
            jacobian[:, 1] -= inside_slope * cover_in
            jacobian[:, 6] = foot
        jacobian[:, 2] = slab
        jacobian[:, 3] = along * slab - ramp
        jacobian[:, 4] = cover_in
        jacobian[:, 5] = 1.0 - cover_out
        if free_blur:
            jacobian[:, -2] = -density_out * u
            jacobian[:, -1] = density_in * v
        jacobian *= weight[:, None]
        cost = np.einsum("nm,nm->n", residual, residual).astype(np.float64)
        cost += (stiffness * (p[:, free] - towards) ** 2).sum(axis=1)
        return residual, jacobian, weight, cost

    damping = np.full(n, 1e-3)
    residual, jacobian, weight, cost = evaluate(p)
    for _ in range(iterations):
        normal = (jacobian @ jacobian.transpose(0, 2, 1)).astype(np.float64)
        gradient = (jacobian @ residual[..., None])[..., 0] - stiffness * (p[:, free] - towards)
        diagonal = np.einsum("nii->ni", normal)
        diagonal += stiffness
        diagonal += damping[:, None] * diagonal + 1e-9
        step = np.linalg.solve(normal, gradient[..., None])[..., 0]
        step[:, :2] = np.clip(step[:, :2], -2 * blur, 2 * blur)
        trial = p.copy()
        trial[:, free] += step
        trial[:, 7:] = np.clip(trial[:, 7:], 0.4 * blur, 2.5 * blur)
        # A slab cannot turn inside out on the way.
        trial[:, 1] = np.minimum(trial[:, 1], trial[:, 0] - 0.3 * blur)
        new_residual, new_jacobian, new_weight, new_cost = evaluate(trial)
        # The weights move with the faces, so costs are compared per unit of weight.
        better = new_cost / new_weight.sum(axis=1) <= cost / weight.sum(axis=1) * (1 + 1e-9)
        p[better] = trial[better]
        residual[better], jacobian[better] = new_residual[better], new_jacobian[better]
        weight[better], cost[better] = new_weight[better], new_cost[better]
        damping = np.where(better, damping * 0.2, damping * 10.0)
    rms = np.sqrt(np.einsum("nm,nm->n", residual, residual) / np.einsum("nm,nm->n", weight, weight))
    return np.column_stack([p, rms])


def _normal_cdf(x: NDArray[np.float32]) -> NDArray[np.float32]:
    from scipy.special import ndtr

    return np.asarray(ndtr(x), dtype=np.float32)


def _normal_pdf(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.exp(np.float32(-0.5) * x * x) * np.float32(1 / math.sqrt(2 * math.pi)))


# --- smooth closed curves ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ellipses:
    """Ellipses fitted to n closed curves, in the unit and about the origin of the points.

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

    def contour(self, index: int, count: int = 360) -> Floats:
        """Points (count, 2) on one of the ellipses."""
        t = np.linspace(0, 2 * np.pi, count, endpoint=False)
        tilt = np.deg2rad(self.angle_deg[index])
        a, b = self.semi_axes[index]
        along, across = a * np.cos(t), b * np.sin(t)
        x = along * np.cos(tilt) - across * np.sin(tilt)
        y = along * np.sin(tilt) + across * np.cos(tilt)
        return np.asarray(self.centre[index] + np.column_stack([x, y]))

    def deviation(self, x: ArrayLike, y: ArrayLike) -> Floats:
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
        for _ in range(4):
            cos, sin = np.cos(t), np.sin(t)
            slope = (a * a - b * b) * cos * sin - u * a * sin + v * b * cos
            curvature = (a * a - b * b) * (cos * cos - sin * sin) - u * a * cos - v * b * sin
            t = t - slope / curvature
        cos, sin = np.cos(t), np.sin(t)
        normal = np.hypot(b * cos, a * sin)
        return np.asarray(((u - a * cos) * b * cos + (v - b * sin) * a * sin) / normal)


def fit_ellipses(
    x: ArrayLike, y: ArrayLike, *, scale_floor: float, largest_gap_deg: float = 75.0, tukey: float = 3.0
) -> Ellipses:
    """Ellipse through the sound part of each closed curve; a dent, however deep, does not pull it.

    Algebraic fit of ``A x² + B xy + C y² + D x + E y = 1`` with each point divided by the length of the
    conic's gradient there, which makes its residual the distance from the ellipse (Sampson), reweighted with
    Tukey's biweight. The start is what makes it robust against a wide dent: the curve is also fitted with
    one sector left out, for sectors all round. Where one of them leaves less than half of the residual, it
    held a dent, and the fit without it is the start. A gentle form of three or more lobes does not do that
    (leaving out 75 degrees takes a third off the residual of three lobes), and is averaged, not cut up.
    Nothing is drawn at random.

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
    px, py = np.atleast_2d(np.asarray(x, dtype=np.float64)), np.atleast_2d(np.asarray(y, dtype=np.float64))
    n, m = px.shape
    there = np.isfinite(px) & np.isfinite(py)
    enough = there.sum(axis=1) >= max(12, m // 3)
    size = float(np.nanmedian(np.hypot(px, py))) if enough.any() else 1.0
    xs, ys = np.where(there, px, 0.0) / size, np.where(there, py, 0.0) / size
    angle = np.arctan2(ys, xs)
    weight0 = there.astype(np.float64)

    def fitted(weight: Floats) -> tuple[Floats, Floats]:
        """Conics through the weighted points, and the root-mean-square residual of those points."""
        trial = np.tile(np.array([1.0, 0.0, 1.0, 0.0, 0.0]), (n, 1))
        for _ in range(3):
            trial = _conic_step(xs, ys, weight, trial)
        residual = _sampson(xs, ys, trial)[0]
        return trial, np.sqrt((weight * residual**2).sum(axis=1) / np.maximum(weight.sum(axis=1), 1.0))

    conic, rms = fitted(weight0)
    best = 0.5 * rms
    for sector in np.deg2rad(np.arange(0.0, 360.0, largest_gap_deg / 3)):
        away = np.abs(np.angle(np.exp(1j * (angle - sector)))) > np.deg2rad(largest_gap_deg / 2)
        trial, rms = fitted(weight0 * away)
        take = rms < best
        best[take], conic[take] = rms[take], trial[take]

    for _ in range(12):
        residual = _sampson(xs, ys, conic)[0]
        spread = np.array([sd_about_zero(residual[i][there[i]]) if enough[i] else 1.0 for i in range(n)])
        scale = np.maximum(spread, scale_floor / size)[:, None]
        weight = weight0 * biweight(residual / (tukey * scale))
        conic = _conic_step(xs, ys, weight, conic)
    return _ellipses_of(conic, size, enough)


def _sampson(x: Floats, y: Floats, conic: Floats) -> tuple[Floats, Floats]:
    """Distance of points from a conic to first order, and the length of its gradient there."""
    a, b, c, d, e = (k[:, None] for k in conic.T)
    value = a * x * x + b * x * y + c * y * y + d * x + e * y - 1.0
    gradient = np.hypot(2 * a * x + b * y + d, b * x + 2 * c * y + e)
    gradient = np.maximum(gradient, 1e-6)
    return value / gradient, gradient


def _conic_step(x: Floats, y: Floats, weight: Floats, conic: Floats) -> Floats:
    """One reweighted least-squares step for the conic's five coefficients."""
    gradient = _sampson(x, y, conic)[1]
    design = np.stack([x * x, x * y, y * y, x, y], axis=-1)
    w = weight / gradient**2
    normal = (design * w[..., None]).transpose(0, 2, 1) @ design
    normal += 1e-12 * np.eye(5)
    solved: Any = np.linalg.solve(normal, (design.transpose(0, 2, 1) @ w[..., None]))
    return np.asarray(solved[..., 0], dtype=np.float64)


def _ellipses_of(conic: Floats, size: float, valid: NDArray[np.bool_]) -> Ellipses:
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
    return Ellipses(centre, axes, np.where(ok, angle, np.nan))
