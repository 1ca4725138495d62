"""Gauge repeatability and reproducibility (AIAG MSA 4): how far results scatter from scan to scan."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xctrules.core.wording import counted

CONFIDENCE = 0.95
POOLING_P = 0.25
"""An interaction whose F-test has a larger p is taken to be none, and pooled with the repeatability."""

ACCEPTABLE_PERCENT, REJECT_PERCENT = 10.0, 30.0
MIN_CATEGORIES = 5
LEAST_PARTS, LEAST_APPRAISERS, LEAST_REPEATS = 10, 2, 2
"""Smallest crossed design that AIAG MSA 4 recommends."""

Judgement = Literal["acceptable", "conditional", "not acceptable", "not judged"]
JudgeBy = Literal["both", "total", "tolerance"]
SAME_VALUES = "is it the same scan each time, or are the values rounded too far?"
_WORSE = ("not judged", "acceptable", "conditional", "not acceptable")


@dataclass(frozen=True)
class AnovaRow:
    """One line of the analysis of variance; ``f`` and ``p`` are ``None`` where nothing is tested."""

    source: str
    sum_of_squares: float
    degrees_of_freedom: int
    mean_square: float
    f: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class Component:
    """A variance component as a standard deviation, with its 95 % confidence interval.

    ``low`` and ``high`` are ``None`` where no interval is known. ``degrees_of_freedom`` are effective ones
    after Satterthwaite. ``percent_of_total`` compares standard deviations, ``contribution_percent``
    variances.
    """

    name: str
    standard_deviation: float
    degrees_of_freedom: float
    low: float | None = None
    high: float | None = None
    percent_of_total: float | None = None
    contribution_percent: float | None = None
    percent_of_tolerance: float | None = None


@dataclass(frozen=True)
class GaugeStudy:
    """Result of a gauge repeatability and reproducibility study.

    Attributes
    ----------
    components
        By name: ``EV`` (repeatability), ``AV`` (appraisers), ``INT`` (parts by appraisers), ``GRR``, ``PV``
        (parts) and ``TV``, of which there are as many as the design can tell apart.
    interaction, interaction_p
        ``kept``, ``pooled`` or ``none`` (the design cannot show one), and the p of its F-test.
    categories
        ndc, the number of distinct categories of parts that the gauge can tell apart; ``None`` without parts
        or without any scatter.
    """

    parts: int
    appraisers: int
    repeats: int
    mean: float
    anova: tuple[AnovaRow, ...]
    interaction: Literal["kept", "pooled", "none"]
    interaction_p: float | None
    components: Mapping[str, Component]
    tolerance: float | None
    categories: int | None
    judgement: Judgement
    warnings: tuple[str, ...]


def gauge_study(
    values: ArrayLike, *, tolerance: float | None = None, judge_by: JudgeBy = "both"
) -> GaugeStudy:
    """Analyse a balanced crossed study by analysis of variance (AIAG MSA 4, chapter III B).

    Model: value = mean + part + appraiser + part x appraiser + repeat, all effects random. Negative
    estimates of a variance are set to zero. With one appraiser the result is repeatability alone; with one
    part there is no part variation to compare it with.

    Parameters
    ----------
    values : (parts, appraisers, repeats)
        Measured values, in any unit.
    tolerance
        Upper minus lower limit, in the unit of the values.
    judge_by
        Whether %GRR of the total variation, of the tolerance, or the worse of those there are decides.

    Raises
    ------
    ValueError
        When nothing is repeated, or a value is not finite.

    Notes
    -----
    Confidence intervals at 95 %: exact by chi-square for EV; modified large sample for the others, after
    Graybill and Wang for sums and after Ting et al. for differences of mean squares (Burdick, Borror and
    Montgomery 2005, Design and Analysis of Gauge R&R Studies, chapters 2 and 3).
    """
    table = np.asarray(values, dtype=float)
    if table.ndim != 3 or table.size == 0:
        raise ValueError("the values must be a table of parts, appraisers and repeats")
    if not np.isfinite(table).all():
        raise ValueError("a value is not a finite number")
    if tolerance is not None and not (math.isfinite(tolerance) and tolerance > 0):
        raise ValueError(f"the tolerance {tolerance:g} is not above zero")
    parts, appraisers, repeats = table.shape
    if repeats < 2 and (parts < 2 or appraisers < 2):
        raise ValueError("nothing is repeated: give at least two repeats of each part by each appraiser")
    separate = _mean_squares(table)
    squares, interaction = _pooled(separate)
    combinations = _combinations(squares, table.shape)
    components = _components(combinations, squares, tolerance)
    categories = _categories(components)
    return GaugeStudy(
        parts, appraisers, repeats, float(table.mean()), tuple(squares.values()), interaction,
        separate["PA"].p if "PA" in separate else None, components, tolerance, categories,
        _judge(components, categories, judge_by),
        tuple(_gauge_warnings(table.shape, components)),
    )  # fmt: skip


def _mean_squares(table: NDArray[np.float64]) -> dict[str, AnovaRow]:
    """Mean squares by source: P parts, A appraisers, PA interaction, E repeats; those that exist."""
    parts, appraisers, repeats = table.shape
    of_part, of_appraiser = table.mean(axis=(1, 2)), table.mean(axis=(0, 2))
    of_cell, grand = table.mean(axis=2), table.mean()
    within = of_cell - of_part[:, None] - of_appraiser[None, :] + grand
    sums = {
        "P": ("parts", appraisers * repeats * ((of_part - grand) ** 2).sum(), parts - 1),
        "A": ("appraisers", parts * repeats * ((of_appraiser - grand) ** 2).sum(), appraisers - 1),
        "PA": ("parts x appraisers", repeats * (within**2).sum(), (parts - 1) * (appraisers - 1)),
        "E": ("repeats", ((table - of_cell[:, :, None]) ** 2).sum(), parts * appraisers * (repeats - 1)),
    }
    # Means of equal numbers may differ in their last digit: that is no variation.
    rounding = table.size * (4 * np.finfo(float).eps * np.abs(table).max()) ** 2
    rows = {}
    for key, (name, squares, freedom) in sums.items():
        if freedom:
            total = float(squares) if squares > rounding else 0.0
            rows[key] = AnovaRow(name, total, freedom, total / freedom)
    return _tested(rows, {"P": "PA" if "PA" in rows else "E", "A": "PA" if "PA" in rows else "E", "PA": "E"})


def _tested(rows: dict[str, AnovaRow], against: Mapping[str, str]) -> dict[str, AnovaRow]:
    """The rows with F and p of each against the mean square that it would equal without its own effect."""
    from scipy.special import fdtrc

    tested = dict(rows)
    for key, other in against.items():
        if key in rows and other in rows:
            top, below = rows[key], rows[other]
            if below.mean_square > 0:
                f = top.mean_square / below.mean_square
                p = float(fdtrc(top.degrees_of_freedom, below.degrees_of_freedom, f))
            else:
                f, p = (math.inf, 0.0) if top.mean_square > 0 else (0.0, 1.0)
            tested[key] = AnovaRow(
                top.source, top.sum_of_squares, top.degrees_of_freedom, top.mean_square, f, p
            )
    return tested


def _pooled(rows: dict[str, AnovaRow]) -> tuple[dict[str, AnovaRow], Literal["kept", "pooled", "none"]]:
    """The rows, the interaction pooled with the repeats where it shows none."""
    if "PA" not in rows:
        return rows, "none"
    interaction = rows["PA"]
    if "E" in rows and interaction.p is not None and interaction.p <= POOLING_P:
        return rows, "kept"
    joined = [rows[key] for key in ("PA", "E") if key in rows]
    total = sum(row.sum_of_squares for row in joined)
    freedom = sum(row.degrees_of_freedom for row in joined)
    name = "repeats, interaction pooled" if "E" in rows else "parts x appraisers, in place of repeats"
    error = AnovaRow(name, total, freedom, total / freedom)
    return _tested({"P": rows["P"], "A": rows["A"], "E": error}, {"P": "E", "A": "E"}), "pooled"


Combination = dict[str, float]


def _combinations(rows: Mapping[str, AnovaRow], shape: tuple[int, ...]) -> dict[str, Combination]:
    """Each variance component as a linear combination of mean squares."""
    parts, appraisers, repeats = shape
    inner = "PA" if "PA" in rows else "E"  # what the mean square of a main effect holds beside that effect
    found: dict[str, Combination] = {"EV": {"E": 1.0}}
    if "PA" in rows:
        found["INT"] = {"PA": 1 / repeats, "E": -1 / repeats}
    if "A" in rows:
        found["AV"] = {"A": 1 / (parts * repeats), inner: -1 / (parts * repeats)}
    if "P" in rows:
        found["PV"] = {"P": 1 / (appraisers * repeats), inner: -1 / (appraisers * repeats)}
    return found


def _components(
    combinations: Mapping[str, Combination], rows: Mapping[str, AnovaRow], tolerance: float | None
) -> dict[str, Component]:
    gauge = [name for name in ("EV", "AV", "INT") if name in combinations]
    whole = {name: [name] for name in combinations} | {"GRR": gauge}
    if "PV" in combinations:
        whole["TV"] = [*gauge, "PV"]
    # The estimate adds up what is left of each part at zero; the interval is that of the plain combination.
    single = {name: max(0.0, _value(c, rows)) for name, c in combinations.items()}
    variances = {name: sum(single[part] for part in made_of) for name, made_of in whole.items()}
    total = variances.get("TV")
    found: dict[str, Component] = {}
    for name in ("EV", "AV", "INT", "GRR", "PV", "TV"):
        if name not in whole:
            continue
        combination = _added(combinations[part] for part in whole[name])
        low, high = _interval(combination, rows)
        deviation = math.sqrt(variances[name])
        found[name] = Component(
            name,
            deviation,
            _freedom(combination, rows),
            math.sqrt(low),
            math.sqrt(high),
            100 * deviation / math.sqrt(total) if total else None,
            100 * variances[name] / total if total else None,
            100 * 6 * deviation / tolerance if tolerance else None,
        )
    return found


def _added(combinations: Iterable[Combination]) -> Combination:
    added: Combination = {}
    for combination in combinations:
        for key, factor in combination.items():
            added[key] = added.get(key, 0.0) + factor
    return {key: factor for key, factor in added.items() if abs(factor) > 1e-12}


def _value(combination: Combination, rows: Mapping[str, AnovaRow]) -> float:
    return sum(factor * rows[key].mean_square for key, factor in combination.items())


def _freedom(combination: Combination, rows: Mapping[str, AnovaRow]) -> float:
    """Effective degrees of freedom (Satterthwaite 1946); of the leading mean square where none is left."""
    spread = sum(
        (factor * rows[key].mean_square) ** 2 / rows[key].degrees_of_freedom
        for key, factor in combination.items()
    )
    value = _value(combination, rows)
    if value <= 0 or spread <= 0:
        return float(rows[max(combination, key=lambda key: combination[key])].degrees_of_freedom)
    return value**2 / spread


def _interval(combination: Combination, rows: Mapping[str, AnovaRow]) -> tuple[float, float]:
    """95 % confidence interval of a variance that is a combination of mean squares, not below zero."""
    from scipy.special import chdtri, fdtri

    tail = (1 - CONFIDENCE) / 2
    terms = [(f * rows[k].mean_square, rows[k].degrees_of_freedom) for k, f in combination.items()]
    added = [(value, dof) for value, dof in terms if value >= 0]
    taken = [(-value, dof) for value, dof in terms if value < 0]

    def upper(dof: int) -> float:  # upper tail point of F with infinitely many degrees below
        return float(chdtri(dof, tail)) / dof

    def lower(dof: int) -> float:
        return float(chdtri(dof, 1 - tail)) / dof

    below = sum(((1 - 1 / upper(d)) * v) ** 2 for v, d in added)
    above = sum(((1 / lower(d) - 1) * v) ** 2 for v, d in added)
    below += sum(((1 / lower(d) - 1) * v) ** 2 for v, d in taken)
    above += sum(((1 - 1 / upper(d)) * v) ** 2 for v, d in taken)
    if taken:
        # Every combination with a minus sign is a difference of two mean squares. The cross terms make the
        # interval exact where one of the two vanishes.
        ((v1, d1),), ((v2, d2),) = added, taken
        big, small = float(fdtri(d1, d2, 1 - tail)), float(fdtri(d1, d2, tail))
        g1, h2 = 1 - 1 / upper(d1), 1 / lower(d2) - 1
        h1, g2 = 1 / lower(d1) - 1, 1 - 1 / upper(d2)
        below += ((big - 1) ** 2 - (g1 * big) ** 2 - h2**2) / big * v1 * v2
        above += ((1 - small) ** 2 - (h1 * small) ** 2 - g2**2) / small * v1 * v2
    value = sum(v for v, _ in added) - sum(v for v, _ in taken)
    return max(0.0, value - math.sqrt(max(0.0, below))), max(0.0, value + math.sqrt(max(0.0, above)))


def _categories(components: Mapping[str, Component]) -> int | None:
    gauge = components["GRR"].standard_deviation
    if "PV" not in components or gauge == 0:
        return None
    return math.trunc(1.41 * components["PV"].standard_deviation / gauge)


def _judge(components: Mapping[str, Component], categories: int | None, judge_by: JudgeBy) -> Judgement:
    gauge = components["GRR"]
    total = gauge.percent_of_total if judge_by != "tolerance" else None
    tolerance = gauge.percent_of_tolerance if judge_by != "total" else None
    found: list[Judgement] = [_graded(percent) for percent in (total, tolerance) if percent is not None]
    if total is not None and categories is not None and categories < MIN_CATEGORIES:
        found.append("conditional")
    return max(found, key=_WORSE.index, default="not judged")


def _graded(percent: float) -> Judgement:
    if percent < ACCEPTABLE_PERCENT:
        return "acceptable"
    return "conditional" if percent <= REJECT_PERCENT else "not acceptable"


def _gauge_warnings(shape: Sequence[int], components: Mapping[str, Component]) -> Iterable[str]:
    wanted = ((LEAST_PARTS, "part"), (LEAST_APPRAISERS, "appraiser"), (LEAST_REPEATS, "repeat"))
    missing = [
        f"{counted(least - got, f'more {word}')} (there {'is' if got == 1 else 'are'} {got})"
        for got, (least, word) in zip(shape, wanted, strict=True)
        if got < least
    ]
    if missing:
        least = " x ".join(counted(n, word) for n, word in wanted)
        yield f"the design is smaller than {least}; it lacks {', '.join(missing)}"
    if shape[0] == 1:
        yield "one part shows no part variation: there is no %GRR of the total variation and no ndc"
    if shape[1] == 1:
        yield "one appraiser shows no reproducibility: GRR is the repeatability alone"
    if shape[2] == 1:
        yield "without repeats, interaction and repeatability cannot be told apart"
    if components["GRR"].standard_deviation == 0:
        yield f"all repeats are the same to the last digit: {SAME_VALUES}"
