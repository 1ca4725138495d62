"""The formulas of a validation: shares and their intervals, location and spread, detection curves.

In: counts, errors, sizes. Out: numbers, and nothing of what they are about.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

Z_95 = 1.959964
"""Half-width of a two-sided 95 % interval of the normal distribution, in standard deviations."""
Z_90_SIZE = 1.281552
"""Standard deviations from the size that is found half of the time to the one found in 90 %."""


# --- shares ----------------------------------------------------------------------------------------------


def wilson(count: int, n: int) -> tuple[float, float]:
    """95 % interval of a share of which ``count`` of ``n`` were seen (Wilson 1927); (0, 1) for n = 0."""
    if n == 0:
        return 0.0, 1.0
    z2 = Z_95**2
    share = count / n
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def upper_bound(count: int, n: int) -> float:
    """Upper 95 % bound of a rate of which ``count`` in ``n`` were seen (Clopper and Pearson, one-sided).

    With none seen it is 1 - 0.05^(1/n), close to 3 / n: the rule of three.
    """
    from scipy.special import betaincinv

    if n == 0 or count >= n:
        return 1.0
    return float(betaincinv(count + 1, n - count, 0.95))


@dataclass(frozen=True)
class Share:
    """``count`` of ``n``, with the 95 % interval of the share behind it."""

    count: int
    n: int

    @property
    def share(self) -> float | None:
        return self.count / self.n if self.n else None

    def as_json(self) -> dict[str, Any]:
        low, high = wilson(self.count, self.n)
        return {"count": self.count, "n": self.n, "share": self.share, "low": low, "high": high}


# --- location and spread ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Location:
    """Mean of repeated values with its standard error, and their standard deviation."""

    n: int
    mean: float | None
    standard_error: float | None
    sd: float | None

    @classmethod
    def of(cls, values: ArrayLike) -> Location:
        x = np.asarray(values, dtype=float)
        x = x[np.isfinite(x)]
        if not x.size:
            return cls(0, None, None, None)
        sd = float(x.std(ddof=1)) if x.size > 1 else None
        return cls(x.size, float(x.mean()), None if sd is None else sd / math.sqrt(x.size), sd)


def pooled_sd(groups: list[Floats]) -> tuple[float | None, int]:
    """Standard deviation within groups, pooled over their degrees of freedom, and those."""
    parts = [g[np.isfinite(g)] for g in groups]
    freedom = sum(max(g.size - 1, 0) for g in parts)
    if freedom == 0:
        return None, 0
    return math.sqrt(sum(float(((g - g.mean()) ** 2).sum()) for g in parts if g.size) / freedom), freedom


# --- detection -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DetectionCurve:
    """Probability of being found against size: Phi((size - middle) / spread).

    ``found_90`` is the size found with 90 % probability, ``found_90_upper`` its upper 95 % confidence bound
    (the a90 and a90/95 of MIL-HDBK-1823A); the bound is ``None`` where the cases leave it open.
    """

    middle: float
    spread: float
    found_90: float
    found_90_upper: float | None

    def probability(self, size: ArrayLike) -> Floats:
        from scipy.special import ndtr

        return np.asarray(ndtr((np.asarray(size, dtype=float) - self.middle) / self.spread))


def fit_detection(size: ArrayLike, found: ArrayLike) -> DetectionCurve | None:
    """Probit fit by maximum likelihood; ``None`` where nothing, or everything, was found.

    The likelihood is laid over a grid of (size found with 90 %, spread), and the bound is where its profile
    has fallen by half of chi-squared's 90 % point, one-sided 95 %. Faults that are all found above one size
    and never below leave the usual iteration without a maximum; the grid takes them as they come, with its
    narrowest spread, a hundredth of the range of sizes.
    """
    from scipy.special import log_ndtr

    x, hit = np.asarray(size, dtype=float), np.asarray(found, dtype=bool)
    if not hit.any() or hit.all():
        return None
    low, high = float(x.min()), float(x.max())
    span = max(high - low, 1e-9)
    at_90 = np.linspace(low - 0.5 * span, high + 1.5 * span, 401)
    spreads = span * np.geomspace(0.01, 2.0, 60)
    sign = np.where(hit, 1.0, -1.0)
    likelihood = np.empty((at_90.size, spreads.size))
    for j, spread in enumerate(spreads):
        middle = at_90 - Z_90_SIZE * spread
        likelihood[:, j] = log_ndtr(sign * (x - middle[:, None]) / spread).sum(axis=1)
    i, j = divmod(int(likelihood.argmax()), spreads.size)
    profile = likelihood.max(axis=1)
    within = np.flatnonzero(profile >= profile.max() - 2.7055 / 2)
    upper = None if within[-1] == at_90.size - 1 else float(at_90[within[-1]])
    return DetectionCurve(float(at_90[i] - Z_90_SIZE * spreads[j]), float(spreads[j]), float(at_90[i]), upper)
