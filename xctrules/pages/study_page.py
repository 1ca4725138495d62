"""A study as one HTML page, with the report's style sheet: what goes into the file of an audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xctrules.core.wording import counted
from xctrules.pages import charts
from xctrules.pages.environment import environment
from xctrules.rules.calibrated_studies import CalibratedStudy
from xctrules.rules.gauge_studies import GaugeStudy
from xctrules.rules.study_files import Study

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


def render_study(study: Study, rows: Sequence[str]) -> str:
    """The page; ``rows`` is the study as the terminal shows it, which the page repeats at its end."""
    judgement = study.result.judgement
    page = {
        "study": study.file,
        "result": study.result,
        "gauge": isinstance(study.result, GaugeStudy),
        "design": _design(study.result),
        "judgement": judgement,
        "css": _CSS.get(judgement, "is-incomplete"),
        "symbol": _SYMBOLS.get(judgement, "?"),
        "picture": _picture(study),
        "unit": "" if study.unit == "1" else study.unit,
        "text": "\n".join(rows),
        "width": WIDTH,
        "height": HEIGHT,
        "frame": {"left": _LEFT, "right": WIDTH - _RIGHT, "top": _TOP, "bottom": HEIGHT - _BOTTOM},
    }
    return environment().get_template("study.html.j2").render(page)


def _design(result: GaugeStudy | CalibratedStudy) -> str:
    if isinstance(result, CalibratedStudy):
        return counted(result.scans, "scan")
    counts = ((result.parts, "part"), (result.appraisers, "appraiser"), (result.repeats, "repeat"))
    return " × ".join(counted(number, word) for number, word in counts)


def _picture(study: Study) -> Picture:
    values = study.file.values
    parts = list(dict.fromkeys(value.part for value in values))
    appraisers = list(dict.fromkeys(value.appraiser for value in values))
    numbers = np.array([value.value for value in values])
    if isinstance(study.result, CalibratedStudy):
        deviations = numbers - study.result.calibrated_value
        places = [float(i) for i in range(len(values))]
        names = [str(i + 1) for i in range(len(values))]
        caption = (
            "Each scan minus the calibrated value, in the order of the scans. "
            "A trend is no scatter: find its cause."
        )
    else:
        index = np.array([parts.index(value.part) for value in values])
        means = np.bincount(index, numbers) / np.bincount(index)
        deviations = numbers - means[index]
        # Appraisers stand beside each other within a part, in their own order.
        step = 0.6 / max(1, len(appraisers))
        places = [
            float(i) + step * (appraisers.index(value.appraiser) - (len(appraisers) - 1) / 2)
            for i, value in zip(index, values, strict=True)
        ]
        names = parts
        caption = (
            "Each value minus the mean of its part. Good: one band of dots about zero. One appraiser always "
            "higher or lower is reproducibility; an order that changes from part to part is interaction; one "
            "part that scatters more than the others is hard to measure."
        )
    low, high = float(min(deviations.min(), 0)), float(max(deviations.max(), 0))
    span = (high - low) or 1.0
    low, high = low - 0.06 * span, high + 0.06 * span

    def x(place: float) -> float:
        return _LEFT + (place + 0.5) / max(1, len(names)) * (WIDTH - _LEFT - _RIGHT)

    def y(deviation: float) -> float:
        return HEIGHT - _BOTTOM - (deviation - low) / (high - low) * (HEIGHT - _BOTTOM - _TOP)

    dots = tuple(
        Dot(
            x(place),
            y(float(deviation)),
            _SHAPES[appraisers.index(value.appraiser) % len(_SHAPES)],
            f"part {value.part}, appraiser {value.appraiser}, repeat {value.repeat}: {value.value:.7g}",
        )
        for place, deviation, value in zip(places, deviations, values, strict=True)
    )
    every = -(-len(names) // _MANY)
    return Picture(
        dots,
        tuple(charts.Tick(x(i), name[:8]) for i, name in enumerate(names) if i % every == 0),
        tuple(charts.Tick(y(value), text) for value, text in charts.ticks(low, high, 5)),
        y(0.0),
        tuple((name, _SHAPES[i % len(_SHAPES)]) for i, name in enumerate(appraisers)),
        caption,
    )
