"""Limits against measurements: the outcome of each rule and the verdict on the cell.

Pure functions of plain data: what goes into the record is what is judged, so that a verdict can be
recomputed from the record alone, years later, by the same code. Decision rules after ILAC-G8:09/2019 and
ISO 14253-1:2017; probability of conformity after JCGM 106:2012, clause 7, for normally distributed errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xctrules.core.measurement import Measurement
from xctrules.core.names import ENDS, end_of, is_length, joins_ends
from xctrules.rules.cellspec import DECISION_RULES, SEVERITIES, CellSpec, iter_limits

PASS = "PASS"
CONDITIONAL_PASS = "CONDITIONAL_PASS"
INCOMPLETE = "INCOMPLETE"
CONDITIONAL_FAIL = "CONDITIONAL_FAIL"
FAIL = "FAIL"
NOT_APPLICABLE = "NOT_APPLICABLE"
SCAN_REJECTED = "SCAN_REJECTED"

ORDER = (PASS, CONDITIONAL_PASS, INCOMPLETE, CONDITIONAL_FAIL, FAIL)
"""Outcomes from best to worst; a cell's verdict is the worst of its rules."""

EXIT_CODES: Mapping[str, int] = {
    PASS: 0,
    CONDITIONAL_PASS: 0,
    CONDITIONAL_FAIL: 1,
    FAIL: 1,
    INCOMPLETE: 3,
    SCAN_REJECTED: 3,
}

PROOF = 0.95
"""Probability at which ISO 14253-1 takes conformity or non-conformity as proven."""


@dataclass(frozen=True)
class Quantity:
    """A measurement as the rules see it, whether it comes from a plugin or from a record.

    ``independent`` and ``shared`` split the standard uncertainty: ``shared`` holds the signed contributions
    whose sources are common to all measurements of the scan. ``has_budget`` tells no uncertainty from zero.
    """

    name: str
    unit: str
    value: float | None
    standard_uncertainty: float = 0.0
    expanded_uncertainty: float = 0.0
    independent: float = 0.0
    shared: Mapping[str, float] = field(default_factory=dict)
    has_budget: bool = True
    problem: str | None = None
    worst_at: Mapping[str, float] | None = None

    @classmethod
    def of(cls, name: str, measurement: Measurement | Mapping[str, Any]) -> Quantity:
        """Read a :class:`~xctrules.core.measurement.Measurement` or its form in the record."""
        if isinstance(measurement, Measurement):
            entry: Mapping[str, Any] = {
                key: getattr(measurement, key)
                for key in (
                    "status",
                    "value",
                    "unit",
                    "standard_uncertainty",
                    "expanded_uncertainty",
                    "reason",
                )
            }
            lines = [(c.source, c.contribution, c.shared) for c in measurement.budget]
            worst_at = measurement.worst_at
        else:
            entry = measurement
            budget = measurement.get("budget") or []
            lines = [(line["source"], line["contribution"], bool(line.get("shared"))) for line in budget]
            worst_at = measurement.get("worst_at")
        unit = str(entry.get("unit"))
        problem = _problem(entry, [contribution for _, contribution, _ in lines])
        if problem is not None:
            return cls(name, unit, None, problem=problem, has_budget=bool(lines))
        shared: dict[str, float] = {}
        for source, contribution, is_shared in lines:
            if is_shared:
                shared[source] = shared.get(source, 0.0) + float(contribution)
        standard = float(entry["standard_uncertainty"])
        return cls(
            name=name,
            unit=unit,
            value=float(entry["value"]),
            standard_uncertainty=standard,
            expanded_uncertainty=float(entry["expanded_uncertainty"]),
            independent=math.sqrt(sum(float(c) ** 2 for _, c, is_shared in lines if not is_shared)),
            shared=shared,
            has_budget=bool(lines),
            worst_at=worst_at,
        )


def _problem(entry: Mapping[str, Any], contributions: Sequence[Any]) -> str | None:
    """Why a measurement cannot be judged, or ``None``."""
    status = entry.get("status")
    if status == "failed":
        return f"its plugin failed ({entry.get('reason') or 'no reason given'})"
    if status != "measured":
        return str(entry.get("reason") or "it was not measured, and no reason is given")
    if not _finite(entry.get("value")):
        return "its plugin gave no finite value"
    wanted = [entry.get("standard_uncertainty"), entry.get("expanded_uncertainty"), *contributions]
    if not all(_finite(number) for number in wanted):
        return "its plugin gave no finite uncertainty"
    if float(wanted[0]) < 0 or float(wanted[1]) < 0:
        return "its uncertainty is negative"
    return None


def _finite(value: Any) -> bool:
    try:
        return isinstance(value, int | float | np.number) and math.isfinite(float(value))
    except OverflowError:
        return False


@dataclass(frozen=True)
class Check:
    """One rule against one measurement.

    Attributes
    ----------
    at
        ``file:line`` of the limit; of the nearer one where there are two.
    status
        ``indicative`` as soon as one of the limits is.
    guard_band
        Width w that was used, for the decision rules that have one.
    margin
        Distance to the nearer limit, positive inside.
    probability_of_conformity
        Of this rule alone (JCGM 106); ``None`` where nothing was measured.
    tur, c_m
        Test uncertainty ratio (TU - TL) / 2U and measurement capability index (TU - TL) / 4u; two-sided only.
    under_other_rules
        The outcome that each of the other decision rules would have given.
    reason
        One sentence where the outcome is no plain PASS.
    """

    rule: str
    title: str
    measurement: str
    min: float | None
    max: float | None
    unit: str
    at: str
    status: str
    source: str | None
    decision_rule: str
    severity: str
    outcome: str
    guard_band: float | None = None
    margin: float | None = None
    probability_of_conformity: float | None = None
    tur: float | None = None
    c_m: float | None = None
    under_other_rules: Mapping[str, str] = field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True)
class CellVerdict:
    """The verdict on a cell.

    ``probability_of_conformity`` is that of all rules at once, correlations kept; ``None`` while a rule
    could not be judged. ``by_decision_rule`` is the verdict if every rule were judged by that decision rule.
    """

    verdict: str
    reasons: tuple[str, ...]
    probability_of_conformity: float | None
    by_decision_rule: Mapping[str, str]


def judge(
    measurements: Mapping[str, Measurement | Mapping[str, Any]] | Iterable[Measurement],
    spec: CellSpec | Mapping[str, Any],
    scope: Mapping[str, Any],
    scale_stated: bool,
    *,
    rejections: Sequence[str] = (),
    unscreened: Sequence[str] = (),
) -> tuple[list[Check], CellVerdict]:
    """Judge a cell.

    Parameters
    ----------
    measurements
        By name: ``Measurement`` objects or their form in the record.
    spec
        A :class:`~xctrules.rules.cellspec.CellSpec`, or the resolved spec out of a record.
    scope
        What was seen: ``ends`` lists the ends in view. Without that key no rule is left out.
    scale_stated
        Whether the uncertainty of the voxel scale was stated; otherwise no rule on a length passes plainly.
    rejections
        Reasons why the scan can carry no decision, from screening.
    unscreened
        Screens that failed. What they would have said of the scan is not known: such a cell does not pass.
    """
    resolved: Mapping[str, Any] = spec.resolved if isinstance(spec, CellSpec) else spec
    if not isinstance(measurements, Mapping):
        measurements = {m.name: m for m in measurements}
    context = _Context(resolved, scope, scale_stated, tuple(unscreened))
    judged = [_judge_rule(rule, measurements, context) for rule in resolved["rules"]]
    checks = [check for check, _ in judged]
    verdict = context.verdict([check.outcome for check in checks])
    by_rule = {name: context.verdict([outcomes[name] for _, outcomes in judged]) for name in DECISION_RULES}
    if rejections:
        verdict, by_rule = SCAN_REJECTED, dict.fromkeys(DECISION_RULES, SCAN_REJECTED)
    reasons = (
        *(f"The scan cannot carry a decision: {reason}" for reason in rejections),
        *(f"The scan was not screened: the screen {screen} failed." for screen in unscreened),
        *context.opening(verdict, checks),
        *(check.reason for check in sorted(checks, key=_reading_order) if check.reason),
    )
    settled = verdict != SCAN_REJECTED and all(
        check.outcome == NOT_APPLICABLE or check.probability_of_conformity is not None for check in checks
    )
    joint = joint_probability(_intervals(checks, measurements)) if settled else None
    return checks, CellVerdict(verdict, reasons, joint, by_rule)


def worst(outcomes: Iterable[str]) -> str:
    """The worst of some outcomes; INCOMPLETE where nothing was judged at all."""
    counting = [outcome for outcome in outcomes if outcome != NOT_APPLICABLE]
    return max(counting, key=ORDER.index) if counting else INCOMPLETE


def scope_sentence(
    verdict: str, scope: Mapping[str, Any], height_mm: float | None = None, geometry: str = "cylindrical"
) -> str:
    """The verdict and what it holds for, e.g. ``PASS for the top end, 2.6 of 70.0 mm seen``.

    Parameters
    ----------
    scope
        As in the record: ``ends``, ``height_seen_mm``, ``straight_can_mm``.
    height_mm
        The cell's nominal height.
    """
    ends, seen, straight = (scope.get(key) for key in ("ends", "height_seen_mm", "straight_can_mm"))
    parts = []
    if ends is not None and geometry == "cylindrical":
        named = {0: "no end", 1: "the {} end", 2: "both ends"}[min(len(ends), 2)].format(*ends)
        parts.append(f"for {named}")
    if seen is not None:
        whole = f" of {height_mm:.1f}" if height_mm else ""
        parts.append(f"{seen:.1f}{whole} mm seen")
    if straight is not None:
        parts.append(
            f"{straight:.1f} mm of it straight can" if seen is not None else f"{straight:.1f} mm straight"
        )
    if not parts:
        return verdict
    glue = " " if parts[0].startswith("for") else ": "
    return f"{verdict}{glue}{', '.join(parts)}"


# --- one rule --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Context:
    """What all rules of one cell have in common."""

    resolved: Mapping[str, Any]
    scope: Mapping[str, Any]
    scale_stated: bool
    unscreened: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        return self.resolved.get("scope") == "whole"

    @property
    def ends_out_of_view(self) -> tuple[str, ...]:
        """Ends that the scan does not show; none where the scope does not speak of ends."""
        seen = self.scope.get("ends")
        return () if seen is None else _ends_beside(seen)

    @property
    def missing_ends(self) -> tuple[str, ...]:
        """Ends that the spec wants and the scan does not show."""
        cylinder = self.resolved.get("geometry", "cylindrical") == "cylindrical"
        return _ends_beside(self.scope.get("ends") or ()) if self.whole and cylinder else ()

    def leaves_out(self, name: str) -> bool:
        """Whether a measurement is about an end out of view that the spec lets the scan leave out."""
        return not self.whole and end_of(name) in self.ends_out_of_view

    def caps(self, rule: Mapping[str, Any], quantity: Quantity, decision_rule: str) -> list[str]:
        """Why a rule can do no better than CONDITIONAL_PASS: each with what would cure it."""
        caps = []
        if is_length(quantity.unit) and not self.scale_stated:
            caps.append(
                "the uncertainty of the voxel scale is assumed, not stated "
                "(cure: voxel_scale_relative_uncertainty in acquisition.yaml)"
            )
        if _status(rule) == "indicative":
            caps.append("its limit is indicative (cure: a limit from a drawing, datasheet or standard)")
        if not quantity.has_budget and quantity.unit != "1" and decision_rule != "simple":
            # A guard band of zero would reward a plugin for not stating its uncertainty.
            caps.append("its plugin states no uncertainty (cure: a budget)")
        return caps

    def verdict(self, outcomes: Sequence[str]) -> str:
        return worst([*outcomes, *([INCOMPLETE] if self.missing_ends or self.unscreened else [])])

    def opening(self, verdict: str, checks: Sequence[Check]) -> list[str]:
        """What a reader must know before the single rules."""
        lines = []
        resting = [c.title for c in checks if c.status == "indicative" and c.outcome == verdict]
        if resting:
            lines.append(
                f"This verdict rests on {_count(len(resting), 'indicative limit')}, backed by no drawing, "
                f"datasheet or standard: {', '.join(resting)}."
            )
        if not any(check.outcome != NOT_APPLICABLE for check in checks):
            what = (
                "the spec holds no rule" if not checks else "every rule is about an end that is not in view"
            )
            lines.append(f"Nothing was judged: {what}.")
        if self.missing_ends:
            ends = " and ".join(self.missing_ends)
            lines.append(f"The spec asks for the whole cell, but the {ends} end is not in view.")
        sleeved = [c for c in checks if c.measurement == "canister.outer_diameter"]
        if sleeved and self.resolved.get("includes_sleeve"):
            lines.append(
                "The limits on the outer diameter include the insulating sleeve; the scan gives the can "
                "alone, which is smaller by twice the sleeve's thickness."
            )
        return lines


def _ends_beside(seen: Iterable[str]) -> tuple[str, ...]:
    return tuple(end for end in ENDS if end not in set(seen))


def _judge_rule(
    rule: Mapping[str, Any], measurements: Mapping[str, Any], context: _Context
) -> tuple[Check, dict[str, str]]:
    """The check of one rule, and its outcome under every decision rule."""
    name = rule["measurement"]
    low, high = (None if rule[key] is None else float(rule[key]["value"]) for key in ("min", "max"))
    given = measurements.get(name)
    quantity = (
        Quantity(name, rule["unit"], None, problem="no plugin measured it")
        if given is None
        else Quantity.of(name, given)
    )
    if quantity.problem is None and quantity.unit != rule["unit"]:
        problem = f"its plugin gave it in {quantity.unit!r}, the limit is in {rule['unit']!r}"
        quantity = Quantity(name, rule["unit"], None, problem=problem)
    base = {
        "rule": rule["id"],
        "title": rule["title"],
        "measurement": name,
        "min": low,
        "max": high,
        "unit": rule["unit"],
        "at": _nearest_limit(rule, quantity.value)["at"],
        "status": _status(rule),
        "source": _nearest_limit(rule, quantity.value)["source"],
        "decision_rule": rule["decision_rule"],
        "severity": rule["severity"],
    }
    if quantity.value is None:
        if context.leaves_out(name):
            outcome = NOT_APPLICABLE
            reason = f"{rule['title']}: not applicable, since the {end_of(name)} end is not in view."
        else:
            outcome = INCOMPLETE
            reason = f"{rule['title']}: not judged, because {quantity.problem}.".replace("..", ".")
        others = {other: outcome for other in DECISION_RULES if other != rule["decision_rule"]}
        check = Check(**base, outcome=outcome, under_other_rules=others, reason=reason)
        return check, dict.fromkeys(DECISION_RULES, outcome)
    value = quantity.value
    probability = probability_of_conformity(value, quantity.standard_uncertainty, low, high)
    given_band = rule.get("guard_band")
    band = quantity.expanded_uncertainty if given_band is None else float(given_band)
    outcomes = {}
    for decision_rule in DECISION_RULES:
        outcome = decide(decision_rule, value, low, high, band, probability)
        if outcome == PASS and context.caps(rule, quantity, decision_rule):
            outcome = CONDITIONAL_PASS
        if joins_ends(name) and context.missing_ends:
            outcome = worst([outcome, INCOMPLETE])
        outcomes[decision_rule] = outcome
    chosen = rule["decision_rule"]
    width = high - low if low is not None and high is not None else None
    u, expanded = quantity.standard_uncertainty, quantity.expanded_uncertainty
    check = Check(
        **base,
        outcome=outcomes[chosen],
        guard_band=band if chosen in ("guarded", "four_state") else None,
        margin=margin(value, low, high),
        probability_of_conformity=probability,
        tur=width / (2 * expanded) if width is not None and expanded > 0 else None,
        c_m=width / (4 * u) if width is not None and u > 0 else None,
        under_other_rules={other: outcome for other, outcome in outcomes.items() if other != chosen},
        reason=_reason(rule, quantity, outcomes[chosen], band, probability, context),
    )
    return check, outcomes


def decide(
    decision_rule: str,
    value: float,
    low: float | None,
    high: float | None,
    guard_band: float,
    probability: float,
) -> str:
    """Outcome of a value between limits under one decision rule.

    Parameters
    ----------
    low, high
        The limits, either of which may be ``None``; a value on a limit conforms.
    guard_band
        Width w for ``guarded`` and ``four_state``.
    probability
        Probability of conformity, for ``iso14253``.
    """
    inside = _within(value, low, high)
    clear = _within(value, _shift(low, guard_band), _shift(high, -guard_band))
    if decision_rule == "simple":
        return PASS if inside else FAIL
    if decision_rule == "guarded":
        return (PASS if clear else CONDITIONAL_FAIL) if inside else FAIL
    if decision_rule == "iso14253":
        if probability >= PROOF:
            return PASS
        if 1.0 - probability >= PROOF:
            return FAIL
        return CONDITIONAL_PASS if inside else CONDITIONAL_FAIL
    if decision_rule == "four_state":
        if inside:
            return PASS if clear else CONDITIONAL_PASS
        near = _within(value, _shift(low, -guard_band), _shift(high, guard_band))
        return CONDITIONAL_FAIL if near else FAIL
    raise ValueError(f"unknown decision rule {decision_rule!r}; known: {', '.join(DECISION_RULES)}")


def margin(value: float, low: float | None, high: float | None) -> float:
    """Distance to the nearer limit, positive inside, in the unit of the value."""
    distances = [value - low] if low is not None else []
    if high is not None:
        distances.append(high - value)
    return min(distances)


def _shift(limit: float | None, by: float) -> float | None:
    return None if limit is None else limit + by


def _within(value: float, low: float | None, high: float | None) -> bool:
    """Whether low <= value <= high, where what the arithmetic of T - w loses does not count."""

    def at_most(a: float, b: float) -> bool:
        return a <= b or math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)

    return (low is None or at_most(low, value)) and (high is None or at_most(value, high))


def _nearest_limit(rule: Mapping[str, Any], value: float | None) -> Mapping[str, Any]:
    limits = [limit for _, limit in iter_limits(rule)]
    if value is None:
        return limits[-1]
    return min(limits, key=lambda limit: abs(float(limit["value"]) - value))


def _status(rule: Mapping[str, Any]) -> str:
    statuses = [str(limit["status"]) for _, limit in iter_limits(rule)]
    return "indicative" if "indicative" in statuses else statuses[-1]


# --- probability -----------------------------------------------------------------------------------------


def probability_of_conformity(value: float, u: float, low: float | None, high: float | None) -> float:
    """Probability that the true value lies between the limits.

    ``Phi((TU - y) / u) - Phi((TL - y) / u)`` for a normally distributed error of standard uncertainty ``u``
    and no prior knowledge of the quantity (JCGM 106:2012, clause 7). With ``u`` = 0 it is 1 inside the limits
    and 0 outside.
    """
    if u == 0:
        return 1.0 if _within(value, low, high) else 0.0
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


def _intervals(checks: Sequence[Check], measurements: Mapping[str, Any]) -> list[Interval]:
    """One interval for each measurement: rules about the same one intersect."""
    found: dict[str, Interval] = {}
    for check in checks:
        if check.outcome == NOT_APPLICABLE:
            continue
        low = -math.inf if check.min is None else check.min
        high = math.inf if check.max is None else check.max
        before = found.get(check.measurement)
        if before is None:
            quantity = Quantity.of(check.measurement, measurements[check.measurement])
            found[check.measurement] = Interval(quantity, low, high)
        else:
            found[check.measurement] = Interval(before.quantity, max(low, before.low), min(high, before.high))
    return list(found.values())


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


_REACH = 8.5  # standard deviations; what lies beyond has a probability of 2e-17


def _over_one_factor(parts: Sequence[_Part]) -> float:
    """Integral over one standard normal factor, in panels that break where a probability jumps."""
    marks = [point for part in parts for point in part.breakpoints() if abs(point) < _REACH]
    edges = np.unique(np.concatenate([np.linspace(-_REACH, _REACH, 35), marks]))
    nodes, weights = np.polynomial.legendre.leggauss(16)
    half = np.diff(edges)[:, None] / 2
    z = (edges[:-1, None] + half * (nodes + 1)).ravel()
    mass = (half * weights).ravel() * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    return float(mass @ _product(parts, z[:, None]))


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


# --- words -----------------------------------------------------------------------------------------------


def _reading_order(check: Check) -> tuple[int, int]:
    """Worst outcome first, then the gravest rule; what does not apply comes last."""
    badness = -1 if check.outcome == NOT_APPLICABLE else ORDER.index(check.outcome)
    return -badness, SEVERITIES.index(check.severity)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


_UNIT_TEXT = {"1": "", "deg": "°"}


def _with_unit(number: str, unit: str) -> str:
    return number + _UNIT_TEXT.get(unit, f" {unit}")


def value_text(value: float, expanded_uncertainty: float, unit: str) -> str:
    """A value with its uncertainty to two digits, e.g. ``21.213 ± 0.043 mm``."""
    if expanded_uncertainty <= 0:
        return _with_unit(f"{value:.6g}", unit)
    decimals = min(6, max(0, 1 - math.floor(math.log10(expanded_uncertainty))))
    return _with_unit(f"{value:.{decimals}f} ± {expanded_uncertainty:.{decimals}f}", unit)


def limits_text(low: float | None, high: float | None, unit: str) -> str:
    """Limits in words: ``at most 21.25 mm``, ``at least 0 mm``, ``26 to 26.4 mm``."""
    if low is None:
        return f"at most {_with_unit(f'{high:.9g}', unit)}"
    if high is None:
        return f"at least {_with_unit(f'{low:.9g}', unit)}"
    return f"{low:.9g} to {_with_unit(f'{high:.9g}', unit)}"


def _place(worst_at: Mapping[str, float] | None) -> str:
    """Where a value was found, in words."""
    if not worst_at:
        return ""
    words: dict[str, Callable[[float], str]] = {
        "z_mm": lambda v: f"z {v:.2f} mm",
        "theta_deg": lambda v: f"theta {v:.0f}°",
        "r_mm": lambda v: f"r {v:.2f} mm",
        "turn": lambda v: f"turn {v:.0f}",
    }
    named = [
        words[key](float(value)) if key in words and _finite(value) else f"{key} {value}"
        for key, value in worst_at.items()
        if value is not None
    ]
    return f" (at {', '.join(named)})" if named else ""


def _reason(
    rule: Mapping[str, Any],
    quantity: Quantity,
    outcome: str,
    band: float,
    probability: float,
    context: _Context,
) -> str | None:
    """One sentence on a rule whose outcome is no plain PASS."""
    if outcome == PASS:
        return None
    low, high = (None if rule[key] is None else float(rule[key]["value"]) for key in ("min", "max"))
    unit, decision_rule = rule["unit"], rule["decision_rule"]
    assert quantity.value is not None
    distance = margin(quantity.value, low, high)
    inside = _within(quantity.value, low, high)
    found = f"{rule['title']}: {value_text(quantity.value, quantity.expanded_uncertainty, unit)}"
    away = _with_unit(f"{abs(distance):.3g}", unit)
    found += (
        f"{_place(quantity.worst_at)} is {'inside' if inside else 'outside'} the limit of "
        f"{limits_text(low, high, unit)} by {away}"
    )
    caps = context.caps(rule, quantity, decision_rule)
    if outcome == INCOMPLETE:
        return f"{found}, but the {' and '.join(context.missing_ends)} end is not in view and may be worse."
    decided = decide(decision_rule, quantity.value, low, high, band, probability)
    if decided == PASS:
        return f"{found}, but can be no better than a conditional pass: {'; '.join(caps)}."
    unstated = is_length(unit) and not context.scale_stated
    cure = (
        "stating voxel_scale_relative_uncertainty in acquisition.yaml, or a finer scan, could settle it"
        if unstated
        else "a smaller uncertainty could settle it"
    )
    if decided == FAIL and inside:  # ISO 14253-1 with a tolerance far narrower than the uncertainty
        return f"{found}, but non-conformity has a probability of {1 - probability:.3f}: {cure}."
    if decided == FAIL:
        return f"{found}."
    if decision_rule == "iso14253":
        why = f"but that is not proven: the probability of conformity is {probability:.3f}"
    elif inside:
        why = f"but within the guard band of {_with_unit(f'{band:.3g}', unit)}"
    else:
        why = f"though by no more than the guard band of {_with_unit(f'{band:.3g}', unit)}"
    return f"{found}, {why}; {cure}."
