"""Probability of detection against size from hits and misses, after MIL-HDBK-1823A.

In: sizes, and whether each was found. Out: a logistic curve over the logarithm of the size, the size that is
found with 90 % probability and its upper 95 % bound; or, where the cases determine no curve, the reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xctrules.campaigns.validation.statistics import Floats

FEWEST = 8
"""Cases without which no curve is fitted: four parameters' worth for each of its two."""
CHI_SQUARED_90 = 2.705543
"""90 % point of chi-squared with one degree of freedom: one-sided 95 % for a profile of the likelihood."""
AT_90 = math.log(9.0)
"""Logit of 0.9."""


@dataclass(frozen=True)
class HitMiss:
    """Hits and misses of one kind of fault, and what they say.

    Attributes
    ----------
    n, hits
        Cases, and those that were found.
    largest_missed, smallest_found
        Sizes; ``None`` where nothing was missed, or nothing found.
    intercept, slope
        Of the logit over the natural logarithm of the size; ``None`` without a curve.
    found_90, found_90_upper
        a90 and a90/95; the bound is ``None`` where the cases leave it open.
    note
        Why there is no curve, in words; empty where there is one.
    """

    n: int
    hits: int
    largest_missed: float | None
    smallest_found: float | None
    intercept: float | None = None
    slope: float | None = None
    found_90: float | None = None
    found_90_upper: float | None = None
    note: str = ""

    def probability(self, size: ArrayLike) -> Floats:
        """Fitted probability of being found; NaN without a curve."""
        if self.intercept is None or self.slope is None:
            return np.full(np.shape(size), np.nan)
        return np.asarray(_logistic(self.intercept + self.slope * np.log(np.asarray(size, dtype=float))))


def hit_miss(size: ArrayLike, found: ArrayLike) -> HitMiss:
    """Fit a curve by maximum likelihood, with likelihood-ratio bounds as MIL-HDBK-1823A, appendix G asks.

    Sizes that are missed and found must overlap: where every one that was found is larger than every one
    that was missed, the likelihood grows without end as the curve becomes a step, and any a90 between the
    two would do. Such cases are told as what they are.
    """
    a, hit = np.asarray(size, dtype=float), np.asarray(found, dtype=bool)
    missed, seen = a[~hit], a[hit]
    counts = HitMiss(
        a.size,
        int(hit.sum()),
        float(missed.max()) if missed.size else None,
        float(seen.min()) if seen.size else None,
    )
    why = _why_no_curve(a, missed, seen)
    if why:
        return _with(counts, note=why)
    x = np.log(a)
    intercept, slope = _fitted(x, hit)
    if slope <= 0:
        return _with(counts, note="larger ones were not found more often than smaller ones")
    at_90 = (AT_90 - intercept) / slope
    upper = _upper_bound(x, hit, at_90, _likelihood(intercept + slope * x, hit))
    return _with(
        counts,
        intercept=intercept,
        slope=slope,
        found_90=math.exp(at_90),
        found_90_upper=None if upper is None else math.exp(upper),
    )


def _with(counts: HitMiss, **more: Any) -> HitMiss:
    from dataclasses import replace

    return replace(counts, **more)


def _why_no_curve(a: Floats, missed: Floats, seen: Floats) -> str:
    if a.size < FEWEST:
        return f"too few for a curve, which asks for {FEWEST}"
    if not missed.size:
        return f"all were found, down to {a.min():.3g}"
    if not seen.size:
        return f"none was found, up to {a.max():.3g}"
    if missed.max() <= seen.min():
        return f"found from {seen.min():.3g} on and missed up to {missed.max():.3g}: a step, and no curve"
    return ""


def _logistic(z: Any) -> Floats:
    from scipy.special import expit

    return np.asarray(expit(z))


def _likelihood(z: Floats, hit: NDArray[np.bool_]) -> float:
    """Logarithm of the likelihood at logits ``z``."""
    return float(-np.logaddexp(0.0, np.where(hit, -z, z)).sum())


def _fitted(x: Floats, hit: NDArray[np.bool_]) -> tuple[float, float]:
    """Intercept and slope at the likelihood's maximum, which overlapping sizes have, and one only."""
    from scipy.optimize import minimize

    middle, spread = float(x.mean()), max(float(x.std()), 1e-9)
    z = (x - middle) / spread

    def loss(b: Floats) -> tuple[float, Floats]:
        p = _logistic(b[0] + b[1] * z)
        excess = p - hit
        return -_likelihood(b[0] + b[1] * z, hit), np.array([excess.sum(), (excess * z).sum()])

    b = minimize(loss, np.array([0.0, 1.0]), jac=True, method="BFGS").x
    slope = float(b[1] / spread)
    return float(b[0]) - slope * middle, slope


def _upper_bound(x: Floats, hit: NDArray[np.bool_], at_90: float, best: float) -> float | None:
    """Logarithm of the size up to which a90 may lie before the profile has fallen by half of chi-squared's
    90 % point; ``None`` where it never falls so far."""
    from scipy.optimize import brentq, minimize_scalar

    def fall(at: float) -> float:
        """Twice the logarithm of the likelihood's ratio, with a90 at ``at`` and any slope."""

        def loss(log_slope: float) -> float:
            return -_likelihood(AT_90 + math.exp(log_slope) * (x - at), hit)

        found = minimize_scalar(loss, bounds=(-8.0, 8.0), method="bounded")
        return 2 * (best + float(found.fun)) - CHI_SQUARED_90

    reach = max(float(np.ptp(x)), 0.1)
    for step in (0.1, 0.3, 1.0, 2.0, 4.0):
        if fall(at_90 + step * reach) > 0:
            return float(brentq(fall, at_90, at_90 + step * reach, xtol=1e-6))
    return None
