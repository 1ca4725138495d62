"""Where the marks of the report's charts go: plain numbers and SVG paths, no markup and no colour.

The templates make SVG of them. Everything is a pure function of its arguments, so that the same record
always draws the same report.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHART_WIDTH, CHART_HEIGHT = 440.0, 220.0
_RIGHT, _BOTTOM = 14.0, 40.0
_CHARACTER = 6.4  # mean width of a character at the charts' text size
_ROW = 14.0  # height of one row of mark labels


@dataclass(frozen=True)
class Tick:
    """A labelled position on an axis, in the units of the drawing."""

    at: float
    label: str


@dataclass(frozen=True)
class MarkLabel:
    """A vertical line at ``at`` with its text beside it, ``anchor`` being SVG's ``text-anchor``."""

    at: float
    text: str
    text_x: float
    text_y: float
    anchor: str


@dataclass(frozen=True)
class Curve:
    """One line of a chart."""

    label: str
    style: str
    path: str


@dataclass(frozen=True)
class Chart:
    """A chart with both axes: frame (left, top, right, bottom), ticks, and what is drawn inside."""

    left: float
    top: float
    right: float
    bottom: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    bars: str = ""
    curves: tuple[Curve, ...] = ()
    marks: tuple[MarkLabel, ...] = ()


@dataclass(frozen=True)
class LimitPicture:
    """A value with its interval against its limits: everything as x within 0 to ``width``.

    ``accept`` is the interval of values that conform, ``guards`` the bands inside it that the decision rule
    keeps clear, ``limits`` the limits with their labels; ``value`` and ``interval`` may be ``None``.
    """

    width: float
    accept: tuple[float, float]
    guards: tuple[tuple[float, float], ...]
    limits: tuple[Tick, ...]
    value: float | None
    interval: tuple[float, float] | None


def number(value: float) -> str:
    """A coordinate with two decimals at most, short, and never ``-0``."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def nice_step(span: float, count: int, *, whole: bool = False) -> float:
    """The largest of 1, 2, 2.5, 5 times a power of ten that cuts ``span`` into at least ``count`` parts.

    With ``whole`` it is a whole number, and the parts may be fewer.
    """
    if whole:
        power = 10 ** max(0, math.floor(math.log10(max(span / count, 1.0))))
        return float(max(m * power for m in (1, 2, 5) if m * power <= max(span / count, 1.0)))
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    return max(m * power for m in (1.0, 2.0, 2.5, 5.0) if m * power <= rough * (1 + 1e-9))


def ticks(low: float, high: float, count: int = 5, *, whole: bool = False) -> tuple[tuple[float, str], ...]:
    """About ``count`` round values from ``low`` to ``high`` (either order) with labels of equal precision.

    ``whole`` keeps to whole numbers, for things that are counted.
    """
    low, high = min(low, high), max(low, high)
    if not (math.isfinite(low) and math.isfinite(high)) or high - low <= 1e-12 * max(abs(low), abs(high)):
        return ((low, f"{low:.4g}"),) if math.isfinite(low) else ()
    step = nice_step(high - low, count, whole=whole)
    while (high - low) / step > 1.7 * count:
        step = nice_step(step * 2.6, 1, whole=whole)
    mantissa = step / 10.0 ** math.floor(math.log10(step) + 1e-9)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9) + (1 if abs(mantissa - 2.5) < 1e-6 else 0))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(
        (i * step, f"{i * step + 0.0:.{decimals}f}".replace("-", "−")) for i in range(first, last + 1)
    )


def floats(values: Iterable[Any]) -> NDArray[np.float64]:
    """JSON numbers as an array; ``null`` becomes NaN."""
    return np.array(list(values), dtype=np.float64)


def points(rows: Iterable[Sequence[Any] | None]) -> NDArray[np.float64]:
    """JSON pairs as an (n, 2) array; ``null``, in a pair or instead of one, becomes NaN."""
    gap = (None, None)
    return np.array([gap if row is None else row for row in rows], dtype=np.float64).reshape(-1, 2)


def path(xy: NDArray[np.float64], *, marker: bool = False, closed: bool = False) -> str:
    """SVG path through the points (n, 2); a point that is not finite breaks the line.

    A point alone, and every point of a ``marker`` line, becomes a stroke of next to no length, which round
    line caps show as a dot whose size does not depend on the drawing's scale.
    """
    parts: list[str] = []
    pen_down = False
    rounded = (np.round(xy, 2) + 0.0).tolist()  # adding zero leaves no -0
    finite = [math.isfinite(x) and math.isfinite(y) for x, y in rounded]
    for i, (x, y) in enumerate(rounded):
        if not finite[i]:
            pen_down = False
            continue
        if marker or not pen_down:
            parts.append(f"M{x:.8g} {y:.8g}")
            if marker or i + 1 == len(rounded) or not finite[i + 1]:
                parts.append("h.01")
        else:
            parts.append(f"L{x:.8g} {y:.8g}")
        pen_down = True
    if closed and not marker and len(rounded) > 2 and all(finite):
        parts.append("Z")
    return "".join(parts)


def _place_marks(
    marks: Sequence[tuple[str, float]], left: float, right: float, baseline: float
) -> tuple[tuple[MarkLabel, ...], int]:
    """Labels of vertical marks in as few rows as keep them from touching, and the number of rows."""
    row_ends: list[float] = []
    placed: list[MarkLabel] = []
    for text, at in sorted(marks, key=lambda mark: mark[1]):
        width = _CHARACTER * len(text)
        flip = at + 4 + width > right and at - 4 - width >= left
        start = at - 4 - width if flip else at + 4
        row = next((i for i, end in enumerate(row_ends) if end < start - 4), len(row_ends))
        row_ends[row : row + 1] = [max(start + width, at)]
        x = at - 4 if flip else at + 4
        placed.append(MarkLabel(at, text, x, baseline + row * _ROW, "end" if flip else "start"))
    return tuple(placed), len(row_ends)


def _left_margin(labels: Iterable[tuple[float, str]]) -> float:
    """Room for the axis's name and the longest of its tick labels."""
    return 28.0 + _CHARACTER * max((len(text) for _, text in labels), default=1)


def _axis(low: float, high: float) -> tuple[float, float]:
    """A range that can be drawn: finite and not empty."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return 0.0, 1.0
    if high <= low:
        margin = abs(low) * 0.05 or 0.5
        return low - margin, high + margin
    return low, high


def histogram(
    edges: NDArray[np.float64], counts: NDArray[np.float64], marks: Sequence[tuple[str, float]] = ()
) -> Chart:
    """Bars of ``counts`` between ``edges`` as one path, with labelled vertical ``marks`` (label, value)."""
    known = edges[np.isfinite(edges)]
    low, high = _axis(float(known[0]), float(known[-1])) if known.size else (0.0, 1.0)
    shown = [(text, value) for text, value in marks if math.isfinite(value)]
    for (
        _,
        value,
    ) in shown:  # a mark, such as a limit, stays in sight unless it would squeeze the bars together
        if low - 1.5 * (high - low) <= value <= high + 1.5 * (high - low):
            low, high = min(low, value), max(high, value)
    low, high = low - 0.02 * (high - low), high + 0.02 * (high - low)
    shown = [(text, value) for text, value in shown if low <= value <= high]
    peak = max(float(np.nanmax(counts, initial=0.0)), 1.0)
    y_ticks = [(v, text) for v, text in ticks(0.0, peak, 3) if v == round(v)]
    left, right, bottom = _left_margin(y_ticks), CHART_WIDTH - _RIGHT, CHART_HEIGHT - _BOTTOM

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    labels, rows = _place_marks([(text, x(value)) for text, value in shown], left, right, 14.0)
    top = 10.0 + rows * _ROW

    def y(count: float) -> float:
        return bottom - count / (1.04 * peak) * (bottom - top)

    bars = "".join(
        f"M{number(x(a))} {number(bottom)}V{number(y(c))}H{number(x(b))}V{number(bottom)}Z"
        for a, b, c in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=False)
        if c > 0 and math.isfinite(a) and math.isfinite(b)
    )
    return Chart(
        left, top, right, bottom,
        x_ticks=tuple(Tick(x(v), text) for v, text in ticks(low, high, 5)),
        y_ticks=tuple(Tick(y(v), text) for v, text in y_ticks),
        bars=bars, marks=labels,
    )  # fmt: skip


def line_chart(series: Sequence[tuple[str, str, NDArray[np.float64], NDArray[np.float64]]]) -> Chart:
    """Lines of (label, style, x, y) in one frame that holds them all."""
    finite = [np.isfinite(x) & np.isfinite(y) for _, _, x, y in series]
    xs = np.concatenate([x[ok] for (_, _, x, _), ok in zip(series, finite, strict=True)] or [np.empty(0)])
    ys = np.concatenate([y[ok] for (_, _, _, y), ok in zip(series, finite, strict=True)] or [np.empty(0)])
    whole = bool((xs == np.round(xs)).all())
    x0, x1 = _axis(float(xs.min()), float(xs.max())) if xs.size else (0.0, 1.0)
    y0, y1 = _axis(float(ys.min()), float(ys.max())) if ys.size else (0.0, 1.0)
    y0, y1 = y0 - 0.06 * (y1 - y0), y1 + 0.06 * (y1 - y0)
    y_ticks = ticks(y0, y1, 4)
    left, top, right, bottom = _left_margin(y_ticks), 12.0, CHART_WIDTH - _RIGHT, CHART_HEIGHT - _BOTTOM

    def x_of(value: Any) -> Any:
        return left + (value - x0) / (x1 - x0) * (right - left)

    def y_of(value: Any) -> Any:
        return bottom - (value - y0) / (y1 - y0) * (bottom - top)

    return Chart(
        left, top, right, bottom,
        x_ticks=tuple(Tick(x_of(v), text) for v, text in ticks(x0, x1, 5, whole=whole)),
        y_ticks=tuple(Tick(y_of(v), text) for v, text in y_ticks),
        curves=tuple(
            Curve(label, style, path(np.column_stack([x_of(x), y_of(y)]))) for label, style, x, y in series
        ),
    )  # fmt: skip


def limit_picture(
    value: float | None,
    expanded: float | None,
    low: float | None,
    high: float | None,
    guard: float = 0.0,
    width: float = 200.0,
) -> LimitPicture:
    """Dot and whisker against limits.

    Parameters
    ----------
    value, expanded
        The measurement and the half-width of its interval; ``None`` draws the limits alone.
    low, high
        Lower and upper limit; ``None`` where there is none.
    guard
        Width of the guard band inside each limit.
    """
    u = expanded or 0.0
    landmarks = [v for v in (low, high) if v is not None]
    if value is not None:
        landmarks += [value - u, value + u]
    first, last = (min(landmarks), max(landmarks)) if landmarks else (0.0, 1.0)
    span = last - first or max(abs(first), 1.0) * 0.1
    first, last = first - 0.14 * span, last + 0.14 * span

    def x(v: float) -> float:
        return (min(max(v, first), last) - first) / (last - first) * width

    guards = []
    if guard > 0 and low is not None:
        guards.append((x(low), x(min(low + guard, high if high is not None else last))))
    if guard > 0 and high is not None:
        guards.append((x(max(high - guard, low if low is not None else first)), x(high)))
    return LimitPicture(
        width=width,
        accept=(0.0 if low is None else x(low), width if high is None else x(high)),
        guards=tuple(guards),
        limits=tuple(Tick(x(v), f"{v:g}".replace("-", "−")) for v in (low, high) if v is not None),
        value=None if value is None else x(value),
        interval=None if value is None or not u else (x(value - u), x(value + u)),
    )


def scale_bar(width_mm: float) -> tuple[float, str]:
    """A round length for a picture ``width_mm`` wide: its share of the width and its label."""
    length = nice_step(width_mm, 4)
    return length / width_mm, f"{length:g} mm"


def image_ticks(first: float, last: float, pixels: int, count: int = 6) -> tuple[Tick, ...]:
    """Labels along an image whose first and last pixel centres are at these values; ``at`` is a share."""
    if first == last or pixels < 2:
        return (Tick(0.5, f"{first:g}"),)

    def share(value: float) -> float:
        return (0.5 + (value - first) / (last - first) * (pixels - 1)) / pixels

    whole = first == round(first) and last == round(last)
    return tuple(Tick(share(v), text) for v, text in ticks(first, last, count, whole=whole))
