"""Where an edge lies below the voxel: pure functions on sampled profiles, no cell and no scan in sight.

A scanner shows an edge as a step blurred by its point-spread function, here taken as Gaussian. A wall only a
few blurs thick shows two such steps whose tails overlap: its grey never reaches the plateau, and the point
of half height moves inward on both sides. A :class:`Slabs` therefore fits both edges together. Where an edge
stands free, :func:`crossings` (half height between the levels of its two sides) is all that is needed.

Positions are in samples' own coordinates (any unit); profiles are stacked along the leading axis and treated
all at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Single = NDArray[np.float32]


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


# --- a slab under blur ------------------------------------------------------------------------------------

_CHUNK = 2048
"""Profiles fitted together: their arrays stay in the processor's cache."""

_SEEN_INSIDE, _SEEN_OUTSIDE, _FADE = 3.0, 4.0, 1.5
"""Samples count up to so many blurs beyond the inner and the outer face, less and less over the last few:
what lies farther off (the winding, a sleeve) is not part of the model."""

_LARGEST_STEP = 2.0
"""A face moves by at most so many blurs in one step: beyond that the model is no longer linear."""

_BLUR_RANGE = (0.4, 2.5)
"""A free blur stays within these multiples of the starting one."""

_THINNEST = 0.3
"""A slab cannot turn inside out on the way: its faces keep so many blurs apart."""

_DAMPING, _CALMER, _STRONGER = 1e-3, 0.2, 10.0
"""Levenberg and Marquardt's damping at first, and its factors after a step that helped and one that did
not."""


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


@dataclass(frozen=True)
class Slabs:
    r"""Slabs between two backgrounds under Gaussian blur, one for each of n profiles; in samples.

    .. math::
        g(x) = o + (w(x) - o)\,\Phi\!\left(\frac{x_o - x}{\sigma_o}\right)
                 - (w(x) - b)\,\Phi\!\left(\frac{x_i - x}{\sigma_i}\right)
                 - w_1 \left(\sigma_o\,\varphi_o - \sigma_i\,\varphi_i\right),
        \qquad w(x) = w_0 + w_1 (x - x_o)

    with inside grey *b*, outside grey *o*, and a slab whose grey may slope (beam hardening). The inside's
    grey may slope as well, in the same way. Six unknowns; one more with a prior, since the inside's slope
    needs one, and two more with free blurs. At least as many samples as unknowns have to lie within reach of
    the faces.

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

    @classmethod
    def estimate(
        cls,
        profiles: ArrayLike,
        outer: ArrayLike,
        inner: ArrayLike,
        *,
        blur: float,
        free_blur: bool = False,
        prior: SlabPrior | None = None,
        noise: float = 0.0,
        iterations: int = 6,
    ) -> Slabs:
        """Fit all profiles at once by Levenberg-Marquardt, in the window that each slab itself defines.

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
        Slabs
            NaN throughout where a profile has a missing sample or the fit ran away.
        """
        grey = np.ascontiguousarray(profiles, dtype=np.float64)
        n, m = grey.shape
        faces = np.empty((n, 2))
        faces[:, 0], faces[:, 1] = outer, inner
        result = np.full((n, _UNKNOWNS + 1), np.nan)
        usable = np.isfinite(grey).all(axis=1) & np.isfinite(faces).all(axis=1)
        for rows in np.array_split(np.flatnonzero(usable), max(1, math.ceil(usable.sum() / _CHUNK))):
            if rows.size:
                problem = _SlabProblem.of(grey[rows], blur, free_blur, prior, noise)
                result[rows] = problem.solved(faces[rows], iterations)
        thickness = result[:, 0] - result[:, 1]
        with np.errstate(invalid="ignore"):
            lost = ~(
                (thickness > 0) & (result[:, 0] < m) & (result[:, 1] > -1.0) & np.isfinite(result[:, -1])
            )
        result[lost] = np.nan
        return cls(*result.T)

    def predict(self, x: ArrayLike) -> Floats:
        """Grey (n, m) of each slab at the positions ``x`` (m,)."""
        unknowns = (
            self.outer, self.inner, self.wall, self.wall_slope, self.inside, self.outside,
            self.inside_slope, self.blur, self.inner_blur,
        )  # fmt: skip
        terms = _Terms.at(np.column_stack(unknowns), np.asarray(x, dtype=np.float32))
        return terms.grey().astype(np.float64)

    def residuals(self, profiles: ArrayLike) -> Floats:
        """Grey of ``profiles`` (n, m) less what each slab's would be, without weight."""
        grey = np.asarray(profiles, dtype=np.float64)
        return np.asarray(grey - self.predict(np.arange(grey.shape[1])))


_UNKNOWNS = 9
"""Of a slab, in the order of its attributes."""
_WALL, _WALL_SLOPE, _INSIDE, _OUTSIDE, _INSIDE_SLOPE, _BLUR = range(2, 8)
"""Columns of the unknowns behind the two faces; the inner face's blur is the last."""


@dataclass(frozen=True)
class _Terms:
    """What the model and its derivatives are made of, (n, m) or (n, 1) each.

    Single precision carries the model to 1e-5 of a grey level, far below any noise.
    """

    unknowns: Single
    u: Single
    v: Single
    cover_out: Single
    cover_in: Single
    peak_out: Single
    peak_in: Single
    along: Single
    below: Single
    metal: Single
    ramp: Single
    foot: Single

    @classmethod
    def at(cls, unknowns: Floats, x: Single) -> _Terms:
        single = unknowns.T[:, :, None].astype(np.float32)
        outer, inner, wall, slope, _, _, _, blur_out, blur_in = single
        u = (outer - x) / blur_out
        v = (inner - x) / blur_in
        cover_out, cover_in = _normal_cdf(u), _normal_cdf(v)
        along, below = x - outer, x - inner
        metal = wall + slope * along
        peak_out, peak_in = _normal_pdf(u), _normal_pdf(v)
        # Blur carries a sloping grey across the faces as well.
        ramp = blur_out * peak_out - blur_in * peak_in
        foot = below * cover_in - blur_in * peak_in
        return cls(single, u, v, cover_out, cover_in, peak_out, peak_in, along, below, metal, ramp, foot)

    def grey(self) -> Single:
        _, _, _, slope, level, outside, inside_slope, _, _ = self.unknowns
        model = outside + (self.metal - outside) * self.cover_out - (self.metal - level) * self.cover_in
        model += inside_slope * self.foot - slope * self.ramp
        return np.asarray(model)

    def weight(self) -> Single:
        """Samples too far from a face have no weight, so that the window follows the wall."""
        inside = np.clip((_SEEN_INSIDE - self.v) / _FADE, 0, 1)
        outside = np.clip((_SEEN_OUTSIDE + self.u) / _FADE, 0, 1)
        return np.asarray(np.minimum(inside, outside))

    def derivatives(self, inside_slopes: bool, free_blur: bool) -> Single:
        """(n, k, m) by the unknowns that are free."""
        _, _, _, slope, level, outside, inside_slope, blur_out, blur_in = self.unknowns
        n, m = self.u.shape
        jacobian = np.empty((n, 6 + inside_slopes + 2 * free_blur, m), dtype=np.float32)
        slab = self.cover_out - self.cover_in
        density_out = (self.metal - outside) * self.peak_out / blur_out
        density_in = (self.metal - level - inside_slope * self.below) * self.peak_in / blur_in
        jacobian[:, 0] = density_out - slope * slab
        jacobian[:, 1] = -density_in
        if inside_slopes:
            jacobian[:, 1] -= inside_slope * self.cover_in
            jacobian[:, _INSIDE_SLOPE] = self.foot
        jacobian[:, _WALL] = slab
        jacobian[:, _WALL_SLOPE] = self.along * slab - self.ramp
        jacobian[:, _INSIDE] = self.cover_in
        jacobian[:, _OUTSIDE] = 1.0 - self.cover_out
        if free_blur:
            jacobian[:, -2] = -density_out * self.u
            jacobian[:, -1] = density_in * self.v
        return jacobian


@dataclass
class _State:
    """Where the iteration stands: unknowns (n, 9), weighted residuals (n, m), their derivatives (n, k, m),
    weights (n, m), and the sum of squares (n,) with what the prior adds."""

    unknowns: Floats
    residual: Single
    jacobian: Single
    weight: Single
    cost: Floats

    def cost_per_weight(self) -> Floats:
        """The weights move with the faces, so that costs are compared per unit of weight."""
        return np.asarray(self.cost / self.weight.sum(axis=1))

    def take(self, trial: _State, where: NDArray[np.bool_]) -> None:
        """Go on from ``trial`` in the profiles ``where`` (n,)."""
        self.unknowns[where] = trial.unknowns[where]
        self.residual[where], self.jacobian[where] = trial.residual[where], trial.jacobian[where]
        self.weight[where], self.cost[where] = trial.weight[where], trial.cost[where]

    def rms(self) -> Floats:
        square = np.einsum("nm,nm->n", self.residual, self.residual)
        return np.asarray(np.sqrt(square / np.einsum("nm,nm->n", self.weight, self.weight)))


@dataclass(frozen=True)
class _SlabProblem:
    """The least-squares problem of some profiles ``grey`` (n, m): which unknowns are ``free``, and how
    stiffly each of these is held ``towards`` what is known of it."""

    grey: Single
    blur: float
    inside_slopes: bool
    free_blur: bool
    free: NDArray[np.intp]
    stiffness: Floats
    towards: Floats

    @classmethod
    def of(
        cls, grey: Floats, blur: float, free_blur: bool, prior: SlabPrior | None, noise: float
    ) -> _SlabProblem:
        known = prior is not None and noise > 0
        free = np.flatnonzero([True] * 6 + [known, free_blur, free_blur])
        stiffness, towards = np.zeros(_UNKNOWNS), np.zeros(_UNKNOWNS)
        if prior is not None and known:
            stiffness[_WALL] = (noise / prior.wall_sd) ** 2
            stiffness[_WALL_SLOPE] = (noise / prior.wall_slope_sd) ** 2
            stiffness[_INSIDE_SLOPE] = (noise / prior.inside_slope_sd) ** 2
            towards[_WALL], towards[_WALL_SLOPE] = prior.wall, prior.wall_slope
        return cls(
            grey.astype(np.float32), blur, known, free_blur, free, stiffness[free], towards[free]
        )  # fmt: skip

    def solved(self, faces: Floats, iterations: int) -> Floats:
        """The unknowns and the root-mean-square residual (n, 10), from ``faces`` (n, 2) to start with."""
        state = self.evaluated(self.start(faces))
        damping = np.full(faces.shape[0], _DAMPING)
        for _ in range(iterations):
            trial = self.evaluated(self.stepped(state, damping))
            better = trial.cost_per_weight() <= state.cost_per_weight() * (1 + 1e-9)
            state.take(trial, better)
            damping = np.where(better, damping * _CALMER, damping * _STRONGER)
        return np.column_stack([state.unknowns, state.rms()])

    def start(self, faces: Floats) -> Floats:
        """Levels half-way between the faces, two blurs inside of the slab and three outside of it."""
        n, m = self.grey.shape

        def grey_at(position: Floats) -> Single:
            sample = np.clip(np.rint(position), 0, m - 1).astype(int)
            return np.asarray(self.grey[np.arange(n), sample])

        outer, inner = faces.T
        unknowns = np.zeros((n, _UNKNOWNS))
        unknowns[:, :2] = faces
        unknowns[:, _WALL] = grey_at(0.5 * (outer + inner))
        unknowns[:, _INSIDE] = grey_at(inner - 2 * self.blur)
        unknowns[:, _OUTSIDE] = grey_at(outer + 3 * self.blur)
        unknowns[:, _BLUR:] = self.blur
        return unknowns

    def evaluated(self, unknowns: Floats) -> _State:
        terms = _Terms.at(unknowns, np.arange(self.grey.shape[1], dtype=np.float32))
        weight = terms.weight()
        residual = weight * (self.grey - terms.grey())
        jacobian = terms.derivatives(self.inside_slopes, self.free_blur)
        jacobian *= weight[:, None]
        cost = np.einsum("nm,nm->n", residual, residual).astype(np.float64)
        cost += (self.stiffness * (unknowns[:, self.free] - self.towards) ** 2).sum(axis=1)
        return _State(unknowns, residual, jacobian, weight, cost)

    def stepped(self, state: _State, damping: Floats) -> Floats:
        """The unknowns after one damped step, solved in double precision and kept within bounds."""
        jacobian = state.jacobian
        normal = (jacobian @ jacobian.transpose(0, 2, 1)).astype(np.float64)
        gradient = (jacobian @ state.residual[..., None])[..., 0]
        gradient = gradient - self.stiffness * (state.unknowns[:, self.free] - self.towards)
        diagonal = np.einsum("nii->ni", normal)
        diagonal += self.stiffness
        diagonal += damping[:, None] * diagonal + 1e-9
        step = np.linalg.solve(normal, gradient[..., None])[..., 0]
        step[:, :2] = np.clip(step[:, :2], -_LARGEST_STEP * self.blur, _LARGEST_STEP * self.blur)
        trial = state.unknowns.copy()
        trial[:, self.free] += step
        trial[:, _BLUR:] = np.clip(trial[:, _BLUR:], _BLUR_RANGE[0] * self.blur, _BLUR_RANGE[1] * self.blur)
        trial[:, 1] = np.minimum(trial[:, 1], trial[:, 0] - _THINNEST * self.blur)
        return trial


def _normal_cdf(x: Single) -> Single:
    from scipy.special import ndtr

    return np.asarray(ndtr(x), dtype=np.float32)


def _normal_pdf(x: Single) -> Single:
    return np.asarray(np.exp(np.float32(-0.5) * x * x) * np.float32(1 / math.sqrt(2 * math.pi)))
