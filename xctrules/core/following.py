"""How a value follows from a table of single values: stated by who measured it, worked out again by anyone.

A metric hands over its single values as a table and its statistics as numbers. Where it also says how one
gives the other (:class:`Follows`), the record holds that, and ``xctrules verify`` works the number out from
the CSV beside it. Corrections are stated as numbers: what noise was taken out, what bias was taken off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ACCURACY = 1e-6
"""Relative, and in the value's unit: CSV and record are written to nine significant digits and sums of many
such values keep seven; some columns are rounded to a millionth."""


@dataclass(frozen=True)
class Follows:
    """How a value follows from single values, in this order.

    Attributes
    ----------
    table, column
        Name of the :class:`~xctrules.core.figures.Samples` and of its column. Empty places do not count.
    statistic
        One of :data:`STATISTICS`.
    where
        Column and text of the rows that count; all rows where there is none.
    chosen
        Of these, the rows that the statistic is taken over, where an extreme lies at one of several ends that
        all count in ``n``.
    along, half
        Before the statistic, a running mean along the closed runs of rows that share ``along``'s value, over
        so many rows to either side, one number for each value from 0 on.
    by, least_share
        For ``equal_area_diameter``: the column that groups rows into closed outlines, and the share of an
        outline that must be known for it to count.
    about
        Column of groups whose own means are taken off before the statistic.
    noise
        Standard deviation taken out: ``sqrt(max(statistic^2 - noise^2, 0))``.
    bias
        Taken off after that.
    at_least, at_most
        Bounds that the result is brought to.
    degrees
        What is taken off the number of values in a standard deviation (0 or 1).
    """

    table: str
    column: str
    statistic: str
    where: Mapping[str, str] = field(default_factory=dict)
    chosen: Mapping[str, str] = field(default_factory=dict)
    along: str | None = None
    half: Sequence[int] = ()
    by: str | None = None
    least_share: float | None = None
    about: str | None = None
    noise: float = 0.0
    bias: float = 0.0
    at_least: float | None = None
    at_most: float | None = None
    degrees: int = 0

    def less(self, bias: float) -> Follows | None:
        """How a value follows from which another bias was taken off; ``None`` where bounds come before it."""
        if self.at_least is not None or self.at_most is not None:
            return None
        return replace(self, bias=self.bias + bias)

    def bounded(self, value: float) -> float:
        """A value brought to ``at_least`` and ``at_most``."""
        low = -math.inf if self.at_least is None else self.at_least
        high = math.inf if self.at_most is None else self.at_most
        return min(max(value, low), high)


@dataclass(frozen=True)
class Worked:
    """A value worked out again, the number ``n`` of values that it rests on, and the statistic ``raw`` before
    anything was taken out of it."""

    value: float
    n: int
    raw: float

    def agrees(self, stated: float, *, noise: float) -> bool:
        """Whether a stated value is this one, to what the files' digits allow.

        Where noise was taken out, squares are compared: what is left of two that are nearly equal can be off
        by far more than either of them.
        """
        off = ACCURACY * (1.0 + max(abs(self.raw), abs(self.value)))
        if noise:
            return abs(self.value**2 - stated**2) <= (2 * abs(self.raw) + off) * off
        return abs(self.value - stated) <= off


STATISTICS: Mapping[str, Callable[[Floats, int], float]] = {
    "count": lambda x, degrees: float(x.size),
    "mean": lambda x, degrees: float(x.mean()),
    "std": lambda x, degrees: float(x.std(ddof=degrees)) if x.size > degrees else 0.0,
    "min": lambda x, degrees: float(x.min()),
    "max": lambda x, degrees: float(x.max()),
    "max_abs": lambda x, degrees: float(np.abs(x).max()),
    "range": lambda x, degrees: float(np.ptp(x)),
    "rms": lambda x, degrees: math.sqrt(float((x**2).mean())),
    "share_below_zero": lambda x, degrees: np.count_nonzero(x < 0) / x.size,
    "equal_area_diameter": lambda x, degrees: float(x.mean()),
}
"""Of the values (n,) that count; ``equal_area_diameter`` of the diameters of outlines."""


def is_well_formed(follows: Any) -> bool:
    """Whether what somebody else's plugin says of a value can be written down and worked out again."""
    if not isinstance(follows, Follows) or follows.statistic not in list(STATISTICS):
        return False
    names = (follows.along, follows.by, follows.about)
    numbers = (follows.noise, follows.bias, follows.least_share, follows.at_least, follows.at_most)
    return (
        all(isinstance(text, str) for text in (follows.table, follows.column))
        and all(name is None or isinstance(name, str) for name in names)
        and all(number is None or _is_finite(number) for number in numbers)
        and all(isinstance(rows, Mapping) and _are_texts(rows) for rows in (follows.where, follows.chosen))
        and isinstance(follows.half, list | tuple)
        and all(isinstance(width, int) for width in (*follows.half, follows.degrees))
    )


def _is_finite(number: Any) -> bool:
    return isinstance(number, int | float) and math.isfinite(number)


def _are_texts(rows: Mapping[Any, Any]) -> bool:
    return all(isinstance(text, str) for item in rows.items() for text in item)


def work_out(columns: Mapping[str, Sequence[str]], follows: Follows) -> Worked:
    """A value from the columns of a table, as text.

    Raises
    ------
    ValueError
        Where a column is missing or no number, or no value counts.
    """
    counting = _rows(columns, follows.where)
    rows = counting & _rows(columns, follows.chosen)
    each = _numbers(columns, follows.column)
    values, n = each[rows], int(np.isfinite(each[counting]).sum())
    if follows.statistic == "max_abs":
        values = np.abs(values)
    if follows.by is not None:
        values, n = _diameters(values, _numbers(columns, follows.by)[rows], follows.least_share or 0.0)
    elif follows.along is not None:
        values = _running_mean(values, _numbers(columns, follows.along)[rows], follows.half)
    elif follows.about is not None:
        values = _about_own_means(values, np.asarray(_column(columns, follows.about))[rows])
    known = values[np.isfinite(values)]
    if not known.size and follows.statistic != "count":
        raise ValueError(f"the column {follows.column!r} holds no value that counts")
    raw = STATISTICS[follows.statistic](known, follows.degrees)
    return Worked(_corrected(raw, follows), n, raw)


def _rows(columns: Mapping[str, Sequence[str]], where: Mapping[str, str]) -> NDArray[np.bool_]:
    rows = np.ones(len(next(iter(columns.values()), ())), dtype=bool)
    for name, text in where.items():
        rows &= np.array([cell == text for cell in _column(columns, name)], dtype=bool)
    return rows


def _corrected(raw: float, follows: Follows) -> float:
    value = math.sqrt(max(raw**2 - follows.noise**2, 0.0)) if follows.noise else raw
    return follows.bounded(value - follows.bias)


def _column(columns: Mapping[str, Sequence[str]], name: str) -> Sequence[str]:
    if name not in columns:
        raise ValueError(f"there is no column {name!r}")
    return columns[name]


def _numbers(columns: Mapping[str, Sequence[str]], name: str) -> Floats:
    return np.array([float(cell) if cell else math.nan for cell in _column(columns, name)], dtype=np.float64)


def _running_mean(values: Floats, run: Floats, half: Sequence[int]) -> Floats:
    """Mean (n,) over the rows to either side within each run, which closes on itself; NaN stays NaN."""
    result = values.copy()
    for label in np.unique(run):
        rows = np.flatnonzero(run == label)
        part = values[rows]
        known = np.isfinite(part)
        filled = np.where(known, part, 0.0)
        shifts = range(-int(half[int(label)]), int(half[int(label)]) + 1)
        total = sum((np.roll(filled, shift) for shift in shifts), np.zeros(part.size))
        count = sum((np.roll(known, shift) for shift in shifts), np.zeros(part.size))
        result[rows] = np.where(known, total / np.maximum(count, 1), np.nan)
    return result


def _about_own_means(values: Floats, group: NDArray[np.str_]) -> Floats:
    """Values (n,) less the mean of their group."""
    result = values.copy()
    for label in np.unique(group):
        rows = group == label
        if np.isfinite(values[rows]).any():
            result[rows] -= np.nanmean(values[rows])
    return result


def _diameters(radius: Floats, group: Floats, least_share: float) -> tuple[Floats, int]:
    """Diameters of the circles of equal area, one for each outline seen for so large a share, and the number
    of radii behind them; gaps are bridged by straight lines."""
    found, n = [], 0
    for label in np.unique(group):
        part = radius[group == label]
        known = np.isfinite(part)
        if known.mean() < least_share or not known.any():
            continue
        index = np.arange(part.size)
        whole = np.interp(index, index[known], part[known], period=part.size)
        found.append(2 * math.sqrt(float((whole**2).mean())))
        n += int(known.sum())
    return np.array(found, dtype=np.float64), n
