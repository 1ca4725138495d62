"""What a metric hands over: measurements with their uncertainty, and what to show for them.

Everything here is plain data. It goes into the record as it stands, and the report is drawn from the
record, so that the two can never disagree.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from xctrules.core.canonical import plain
from xctrules.core.figures import Figure, Samples
from xctrules.core.files import safe_file_stem
from xctrules.core.following import Follows
from xctrules.core.ledger import Ledger

Status = Literal["measured", "not_measured", "failed", "not_applicable"]

VOXEL_SCALE = "voxel scale"
"""Name of the one uncertainty source that all lengths of a scan share."""


@dataclass(frozen=True)
class Contribution:
    """One line of an uncertainty budget (JCGM 100, 5.1).

    Attributes
    ----------
    source
        What it comes from, in plain words.
    contribution
        Sensitivity times standard uncertainty, in the unit of the measurement. Signed: contributions of the
        same ``shared`` source are fully correlated between measurements, and the sign says which way.
    type
        ``"A"`` from statistics of repeated values, ``"B"`` from anything else (JCGM 100, 4.2 and 4.3).
    shared
        Whether the source is common to all measurements of the scan.
    degrees_of_freedom
        Infinite when the standard uncertainty itself is taken as known.
    """

    source: str
    contribution: float
    type: Literal["A", "B"] = "A"
    shared: bool = False
    degrees_of_freedom: float = math.inf


@dataclass(frozen=True)
class Measurement:
    """One quantity of one cell, with the budget of its uncertainty.

    Attributes
    ----------
    name
        Dotted name with the statistic in it, e.g. ``overhang.length.min``.
    unit
        ``mm``, ``deg``, or ``1`` for counts and ratios.
    value
        ``None`` unless ``status`` is ``measured``.
    budget
        Contributions to the standard uncertainty; their root sum of squares is ``standard_uncertainty``.
    n
        Number of single values behind it.
    worst_at
        Where it is worst or found, e.g. ``{"z_mm": 6.1, "phi_deg": 40.0, "layer": 3}``: names carry
        their unit.
    reason
        Why there is no value; for a measured one, a remark for the reader, or ``None``.
    follows
        How the value follows from the metric's samples, so that anyone can work it out again; ``None`` where
        it does not follow from them alone.
    """

    name: str
    unit: str
    status: Status = "measured"
    value: float | None = None
    budget: tuple[Contribution, ...] = ()
    n: int | None = None
    worst_at: Mapping[str, float] | None = None
    reason: str | None = None
    follows: Follows | None = None

    @classmethod
    def absent(cls, name: str, unit: str, reason: str, status: Status = "not_measured") -> Measurement:
        """A measurement without a value, and why."""
        return cls(name=name, unit=unit, status=status, reason=reason)

    @property
    def standard_uncertainty(self) -> float | None:
        """Combined standard uncertainty, root sum of squares of the budget (JCGM 100, 5.1.2)."""
        if self.value is None:
            return None
        return math.sqrt(sum(c.contribution**2 for c in self.budget))

    @property
    def degrees_of_freedom(self) -> float:
        """Effective degrees of freedom by Welch-Satterthwaite (JCGM 100, G.4.1); may be infinite."""
        u = self.standard_uncertainty
        if not u:
            return math.inf
        denominator = sum(
            c.contribution**4 / c.degrees_of_freedom
            for c in self.budget
            if math.isfinite(c.degrees_of_freedom)
        )
        return u**4 / denominator if denominator > 0 else math.inf

    @property
    def coverage_factor(self) -> float:
        """Factor for a 95 % interval: Student's t at the effective degrees of freedom; 1.96 when infinite."""
        return coverage_factor_95(self.degrees_of_freedom)

    @property
    def expanded_uncertainty(self) -> float | None:
        """Half-width of the 95 % interval, in ``unit``."""
        u = self.standard_uncertainty
        return None if u is None else self.coverage_factor * u


@functools.lru_cache(maxsize=4096)
def coverage_factor_95(degrees_of_freedom: float) -> float:
    """Student's t for a two-sided 95 % interval (JCGM 100, table G.2)."""
    from scipy.special import stdtrit  # scipy.stats would cost half a second of import time

    dof = max(1.0, math.floor(degrees_of_freedom)) if math.isfinite(degrees_of_freedom) else 1e12
    return float(stdtrit(dof, 0.975))


def measurement_to_json(measurement: Measurement) -> dict[str, Any]:
    """A measurement as the record holds it; without a value, only its status, unit and reason."""
    if measurement.status != "measured":
        return {
            "status": measurement.status,
            "value": None,
            "unit": measurement.unit,
            "reason": plain(measurement.reason),
        }
    budget = [
        {
            "source": plain(line.source),
            "type": line.type,
            "contribution": plain(line.contribution),
            "shared": bool(line.shared),
            "degrees_of_freedom": plain(line.degrees_of_freedom),
        }
        for line in measurement.budget
    ]
    return {
        "status": "measured",
        "value": plain(float("nan") if measurement.value is None else float(measurement.value)),
        "unit": measurement.unit,
        **combined_uncertainty(budget),
        "n": plain(measurement.n),
        "worst_at": plain(measurement.worst_at),
        "reason": plain(measurement.reason),
        "budget": budget,
        **({} if measurement.follows is None else {"from_samples": _follows_to_json(measurement.follows)}),
    }


def _follows_to_json(follows: Follows) -> dict[str, Any]:
    """With the file's name in place of the table's, and without what was left as it is by default."""
    usual = Follows("", "", "")
    said = {name: value for name, value in vars(follows).items() if value != getattr(usual, name)}
    table = safe_file_stem(str(said.pop("table", "")))
    return {"file": f"samples/{table}.csv", **plain(said)}


def combined_uncertainty(budget: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Standard and expanded uncertainty, coverage factor and degrees of freedom of a recorded budget.

    Root sum of squares (JCGM 100, 5.1.2), Welch-Satterthwaite (G.4.1) and Student's t for 95 %. Worked out
    from the rounded contributions, so that whoever reads the record gets the same numbers. Infinite degrees
    of freedom are ``None``; all are ``None`` when a contribution is.
    """
    unknown: dict[str, float | None] = dict.fromkeys(
        ("standard_uncertainty", "expanded_uncertainty", "coverage_factor", "degrees_of_freedom")
    )
    if any(line.get("contribution") is None for line in budget):
        return unknown
    parts = tuple(
        Contribution(
            source="",
            contribution=float(line["contribution"]),
            degrees_of_freedom=math.inf
            if line.get("degrees_of_freedom") is None
            else float(line["degrees_of_freedom"]),
        )
        for line in budget
    )
    combined = Measurement("", "", value=0.0, budget=parts)
    try:
        freedom = plain(combined.degrees_of_freedom)
    except ArithmeticError:  # numbers that no budget should hold: 1e200, or no degree of freedom at all
        return unknown
    factor = plain(coverage_factor_95(math.inf if freedom is None else freedom))
    u = plain(combined.standard_uncertainty)
    return {
        "standard_uncertainty": u,
        "expanded_uncertainty": plain(u * factor),
        "coverage_factor": factor,
        "degrees_of_freedom": freedom,
    }


@dataclass(frozen=True)
class Scale:
    """Relative standard uncertainty of the voxel size, common to every length of a scan."""

    relative_uncertainty: float
    stated: bool

    def contribution(self, length: float) -> Contribution:
        """The scale's line in the budget of a ``length`` (any unit of length; signed)."""
        return Contribution(VOXEL_SCALE, length * self.relative_uncertainty, type="B", shared=True)


@dataclass(frozen=True)
class MetricResult:
    """All that one metric found: its measurements, what to show for them, and every single value."""

    measurements: Sequence[Measurement]
    figures: Sequence[Figure] = ()
    samples: Sequence[Samples] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    rejections: Sequence[str] = ()
    """Only heeded from a screen: reasons why the scan cannot carry any decision."""
    warnings: Sequence[str] = ()
    ledgers: Sequence[Ledger] = ()
    """What of each part of the cell that this metric is answerable for was looked at."""
