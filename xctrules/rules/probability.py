"""Probability of conformity, of one rule and of all rules at once (JCGM 106:2012, clause 7)."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.rules.deciding import within
from xctrules.rules.quantity import Quantity

_REACH = 8.5  # standard deviations; what lies beyond has a probability of 2e-17


def probability_of_conformity(value: float, u: float, low: float | None, high: float | None) -> float:
    """Probability that the true value lies between the limits.

    ``Phi((TU - y) / u) - Phi((TL - y) / u)`` for a normally distributed error of standard uncertainty ``u``
    and no prior knowledge of the quantity (JCGM 106:2012, clause 7). With ``u`` = 0 it is 1 inside the limits
    and 0 outside.
    """
    if u == 0:
        return 1.0 if within(value, low, high) else 0.0
    return float(_normal_interval(np.array(value), u, low, high))


def _normal_interval(
    mean: NDArray[np.float64], sigma: float, low: float | None, high: float | None
) -> NDArray[np.float64]:
    """Probability mass of a normal distribution between two limits, for each ``mean``."""
    from scipy.special import ndtr

    with np.errstate(over="ignore"):  # infinitely many standard deviations is a fair answer
        lower = np.full_like(mean, -np.inf) if low is None else (low - mean) / sigma
        upper = np.full_like(mean, np.inf) if high is None else (high - mean) / sigma
    # In the upper tail the difference of two numbers close to one would lose all digits: mirror it.
    mirrored = lower > 0
    a, b = np.where(mirrored, -upper, lower), np.where(mirrored, -lower, upper)
    return np.asarray(np.clip(ndtr(b) - ndtr(a), 0.0, 1.0), dtype=float)


@dataclass(frozen=True)
class Interval:
    """A quantity and the interval in which all rules about it want it to be."""

    quantity: Quantity
    low: float
    high: float


def joint_probability(intervals: Sequence[Interval]) -> float | None:
    """Probability that all quantities lie in their intervals at once.

    Each error is an independent normal part plus signed shares of factors that several quantities have in
    common (the voxel scale). Given the factors, the quantities are independent, so that the product of their
    probabilities is integrated over the factors: by Gauss-Legendre quadrature for one factor, by a
    quasi-random lattice for more. Correlation that the budgets do not tell of counts as none.
    ``None`` without any interval.
    """
    if not intervals:
        return None
    if any(interval.low > interval.high for interval in intervals):
        return 0.0
    counts: dict[str, int] = {}
    for interval in intervals:
        for source, share in interval.quantity.shared.items():
            counts[source] = counts.get(source, 0) + (share != 0)
    common = [source for source, count in counts.items() if count > 1]
    parts = [_Part.of(interval, common) for interval in intervals]
    if not common:
        result = float(np.prod([part.probability(np.zeros((1, 0)))[0] for part in parts]))
    elif len(common) == 1:
        result = _over_one_factor(parts)
    else:
        result = _over_factors(parts, len(common))
    return min(1.0, max(0.0, result))


@dataclass(frozen=True)
class _Part:
    """One quantity, given the common factors: y + shares . z + sigma e."""

    value: float
    sigma: float
    shares: NDArray[np.float64]
    low: float
    high: float

    @classmethod
    def of(cls, interval: Interval, common: Sequence[str]) -> _Part:
        quantity = interval.quantity
        assert quantity.value is not None
        # A factor that no other quantity shares is just one more independent contribution.
        own = [share for source, share in quantity.shared.items() if source not in common]
        sigma = math.sqrt(quantity.independent**2 + sum(share**2 for share in own))
        shares = np.array([quantity.shared.get(source, 0.0) for source in common])
        return cls(quantity.value, sigma, shares, interval.low, interval.high)

    def probability(self, factors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of lying inside, for each row of ``factors`` (n, n_factors) in standard deviations."""
        mean = self.value + factors @ self.shares
        if self.sigma > 0:
            return _normal_interval(mean, self.sigma, self.low, self.high)
        slack = 1e-12 * max(1.0, abs(self.value))
        return np.asarray((mean >= self.low - slack) & (mean <= self.high + slack), dtype=float)

    def breakpoints(self) -> list[float]:
        """Values of the one factor around which the probability changes fast."""
        share = float(self.shares[0])
        if share == 0:
            return []
        width = self.sigma / abs(share)
        edges = [(limit - self.value) / share for limit in (self.low, self.high) if math.isfinite(limit)]
        return [edge + step * width for edge in edges for step in (-6, -3, -1, 0, 1, 3, 6)]


def _over_one_factor(parts: Sequence[_Part]) -> float:
    """Integral over one standard normal factor, in panels that break where a probability jumps."""
    marks = [point for part in parts for point in part.breakpoints() if abs(point) < _REACH]
    edges = np.unique(np.concatenate([np.linspace(-_REACH, _REACH, 35), marks]))
    nodes, weights = _gauss_legendre()
    half = np.diff(edges)[:, None] / 2
    z = (edges[:-1, None] + half * (nodes + 1)).ravel()
    mass = (half * weights).ravel() * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    return float(mass @ _product(parts, z[:, None]))


@functools.cache
def _gauss_legendre() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights on each panel: finding them takes longer than using them."""
    nodes, weights = np.polynomial.legendre.leggauss(16)
    return nodes, weights


def _over_factors(parts: Sequence[_Part], count: int, points: int = 1 << 15) -> float:
    """Integral over several factors: an additive lattice of generalised golden ratios, always the same."""
    from scipy.special import ndtri

    ratio = 2.0
    for _ in range(60):  # positive root of x^(count + 1) = x + 1
        ratio = (1 + ratio) ** (1 / (count + 1))
    steps = ratio ** -np.arange(1.0, count + 1)
    uniform = (0.5 + np.arange(1, points + 1)[:, None] * steps) % 1.0
    z = ndtri(np.clip(uniform, 1e-12, 1 - 1e-12))
    return float(_product(parts, z).mean())


def _product(parts: Sequence[_Part], factors: NDArray[np.float64]) -> NDArray[np.float64]:
    product = np.ones(len(factors))
    for part in parts:
        product *= part.probability(factors)
    return product
