"""A study as one HTML page, with the report's style sheet: what goes into the file of an audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xctrules.core.wording import counted, uncertainty
from xctrules.pages import charts
from xctrules.pages.environment import environment
from xctrules.pages.typography import typeset

Json = Mapping[str, Any]

WIDTH, HEIGHT = 640.0, 260.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 72.0, 12.0, 12.0, 44.0
_SHAPES = ("circle", "square", "triangle", "cross")
_MANY = 24
"""More parts than this have no room for a label each."""

_CSS = {"acceptable": "is-pass", "conditional": "is-conditional-pass", "not acceptable": "is-fail"}
_SYMBOLS = {"acceptable": "✓", "conditional": "!", "not acceptable": "✗"}


@dataclass(frozen=True)
class Dot:
    """A value in the drawing; ``shape`` tells the appraisers apart, and ``title`` is read out."""

    x: float
    y: float
    shape: str
    title: str


@dataclass(frozen=True)
class Picture:
    """Deviations of the single values, from each part's mean or from the calibrated value."""

    dots: tuple[Dot, ...]
    x_ticks: tuple[charts.Tick, ...]
    y_ticks: tuple[charts.Tick, ...]
    zero: float
    legend: tuple[tuple[str, str], ...]
    caption: str


def render_study(study: Json, rows: Sequence[str]) -> str:
    """The page as one HTML document.

    Parameters
    ----------
    study
        The study file as plain JSON.
    rows
        The study as the terminal shows it, which the page repeats at its end.
    """
    judgement = str(study["results"]["judgement"])
    page = {
        "study": study,
        "result": study["results"],
        "gauge": study["kind"] == "grr",
        "design": _design(study),
        "judgement": judgement,
        "css": _CSS.get(judgement, "is-incomplete"),
        "symbol": _SYMBOLS.get(judgement, "?"),
        "picture": _picture(study),
        "unit": "" if study["unit"] == "1" else study["unit"],
        "expanded": _expanded(study),
        "text": "\n".join(rows),
        "width": WIDTH,
        "height": HEIGHT,
        "frame": {"left": _LEFT, "right": WIDTH - _RIGHT, "top": _TOP, "bottom": HEIGHT - _BOTTOM},
    }
    return environment().get_template("study.html.j2").render(page)


def _design(study: Json) -> str:
    result = study["results"]
    if study["kind"] == "calibrated":
        return counted(result["scans"], "scan")
    return " × ".join(counted(result[f"{word}s"], word) for word in ("part", "appraiser", "repeat"))


def _expanded(study: Json) -> str:
    """The expanded uncertainty with the bias left in; nothing for a gauge study, which knows none."""
    width = study["results"].get("expanded_uncorrected")
    return "" if width is None else typeset(uncertainty(float(width), str(study["unit"])))


def _picture(study: Json) -> Picture:
    values: Sequence[Json] = study["values"]
    appraisers = list(dict.fromkeys(value["appraiser"] for value in values))
    spread = _about_the_truth(study) if study["kind"] == "calibrated" else _about_each_part(study, appraisers)
    low, high = float(min(spread.deviations.min(), 0)), float(max(spread.deviations.max(), 0))
    span = (high - low) or 1.0
    low, high = low - 0.06 * span, high + 0.06 * span

    def x(place: float) -> float:
        return _LEFT + (place + 0.5) / max(1, len(spread.names)) * (WIDTH - _LEFT - _RIGHT)

    def y(deviation: float) -> float:
        return HEIGHT - _BOTTOM - (deviation - low) / (high - low) * (HEIGHT - _BOTTOM - _TOP)

    dots = tuple(
        Dot(
            x(place),
            y(float(deviation)),
            _SHAPES[appraisers.index(value["appraiser"]) % len(_SHAPES)],
            f"part {value['part']}, appraiser {value['appraiser']}, repeat {value['repeat']}: "
            f"{value['value']:.7g}",
        )
        for place, deviation, value in zip(spread.places, spread.deviations, values, strict=True)
    )
    every = -(-len(spread.names) // _MANY)
    return Picture(
        dots,
        tuple(charts.Tick(x(i), name[:8]) for i, name in enumerate(spread.names) if i % every == 0),
        tuple(charts.Tick(y(value), text) for value, text in charts.ticks(low, high, 5)),
        y(0.0),
        tuple((name, _SHAPES[i % len(_SHAPES)]) for i, name in enumerate(appraisers)),
        spread.caption,
    )


@dataclass(frozen=True)
class _Spread:
    """What is drawn: a deviation for each value, its place along the axis, and the names on that axis."""

    deviations: NDArray[np.float64]
    places: Sequence[float]
    names: Sequence[str]
    caption: str


def _about_the_truth(study: Json) -> _Spread:
    numbers = np.array([value["value"] for value in study["values"]])
    return _Spread(
        numbers - study["results"]["calibrated_value"],
        [float(i) for i in range(numbers.size)],
        [str(i + 1) for i in range(numbers.size)],
        "Each scan minus the calibrated value, in the order of the scans. "
        "A trend is no scatter: find its cause.",
    )


def _about_each_part(study: Json, appraisers: Sequence[str]) -> _Spread:
    values: Sequence[Json] = study["values"]
    parts = list(dict.fromkeys(value["part"] for value in values))
    numbers = np.array([value["value"] for value in values])
    index = np.array([parts.index(value["part"]) for value in values])
    means = np.bincount(index, numbers) / np.bincount(index)
    # Appraisers stand beside each other within a part, in their own order.
    step = 0.6 / max(1, len(appraisers))
    middle = (len(appraisers) - 1) / 2
    places = [
        float(i) + step * (appraisers.index(value["appraiser"]) - middle)
        for i, value in zip(index, values, strict=True)
    ]
    return _Spread(
        numbers - means[index],
        places,
        parts,
        "Each value minus the mean of its part. Good: one band of dots about zero. One appraiser always "
        "higher or lower is reproducibility; an order that changes from part to part is interaction; one "
        "part that scatters more than the others is hard to measure.",
    )
