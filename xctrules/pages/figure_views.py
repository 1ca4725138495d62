"""Figures as the templates draw them: paths, positions, labels and styles, no markup."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xctrules.core import wording
from xctrules.core.errors import RecordError
from xctrules.pages import charts, colour
from xctrules.pages.anchors import Anchors
from xctrules.pages.embedding import data_uri
from xctrules.pages.typography import typeset

Json = Mapping[str, Any]

_ROLES = frozenset({"anode", "cathode", "can", "fit", "worst", "note"})


@dataclass(frozen=True)
class Overlay:
    path: str
    style: str
    label: str
    marker: bool


@dataclass(frozen=True)
class ColourBar:
    stops: tuple[tuple[float, str], ...]
    ticks: tuple[charts.Tick, ...]
    label: str


@dataclass(frozen=True)
class FigureView:
    """One figure; ``kind`` says which of the optional parts are there."""

    kind: str
    anchor: str
    title: str
    caption: str
    alt: str
    wide: bool = False
    # image
    source: str = ""
    file: str = ""
    width: int = 0
    height: int = 0
    aspect: float = 1.0
    overlays: tuple[Overlay, ...] = ()
    legend: tuple[tuple[str, str, bool], ...] = ()
    scale_bar: tuple[float, str] | None = None
    colour_bar: ColourBar | None = None
    x_ticks: tuple[charts.Tick, ...] = ()
    y_ticks: tuple[charts.Tick, ...] = ()
    # charts
    chart: charts.Chart | None = None
    x_label: str = ""
    y_label: str = ""
    # table
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    numeric: tuple[bool, ...] = ()


def figure_view(figure: Json, anchors: Anchors, images: Mapping[str, bytes]) -> FigureView:
    """A figure; one that a plugin filled with the wrong things says so in its place and harms no other."""
    anchor = anchors.new(f"figure-{figure.get('id')}")
    try:
        return _drawn_figure(figure, anchor, images)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        reason = f"This figure cannot be drawn: {type(error).__name__}, {error}."
        return FigureView("broken", anchor, str(figure.get("title") or figure.get("id")), reason, reason)


def table_view(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, text_columns: int = 1
) -> FigureView:
    """A table of text: so many columns from the left hold words, the rest numbers."""
    numeric = tuple(i >= text_columns for i in range(len(columns)))
    cells = tuple(tuple(row) for row in rows)
    return FigureView("table", "", title, "", title, columns=tuple(columns), rows=cells, numeric=numeric)


def _drawn_figure(figure: Json, anchor: str, images: Mapping[str, bytes]) -> FigureView:
    kind = figure["kind"]
    if kind == "image":
        return _image_view(figure, anchor, images)
    head = (str(figure["title"]), str(figure.get("caption") or ""), str(figure.get("alt") or figure["title"]))
    if kind == "histogram":
        marks = [
            (str(label), float(value)) for label, value in figure.get("marks") or () if value is not None
        ]
        unit = str(figure.get("unit") or "")
        return FigureView(
            "histogram", anchor, *head,
            chart=charts.histogram(charts.floats(figure["edges"]), charts.floats(figure["counts"]), marks),
            x_label=f"{figure['x_label']} / {unit}" if unit not in ("", "1") else str(figure["x_label"]),
            y_label="count",
        )  # fmt: skip
    if kind == "lines":
        styles = _styles((s.get("role"), s["label"]) for s in figure["series"])
        series = [
            (str(s["label"]), style, charts.floats(s["x"]), charts.floats(s["y"]))
            for s, style in zip(figure["series"], styles, strict=True)
        ]
        return FigureView(
            "lines", anchor, *head, chart=charts.line_chart(series),
            legend=tuple(dict.fromkeys((style, label, False) for label, style, _, _ in series if label)),
            x_label=str(figure["x_label"]), y_label=str(figure["y_label"]),
        )  # fmt: skip
    if kind == "table":
        columns, rows = tuple(map(str, figure["columns"])), figure["rows"]
        numeric = tuple(
            all(row[i] is None or isinstance(row[i], int | float) for row in rows)
            for i in range(len(columns))
        )
        return FigureView(
            "table", anchor, *head, wide=len(columns) > 5, columns=columns, numeric=numeric,
            rows=_table_text(rows, len(columns)),
        )  # fmt: skip
    raise RecordError(f"a figure of kind {kind!r} cannot be drawn", where=f"figure {figure.get('id')}")


def _image_view(figure: Json, anchor: str, images: Mapping[str, bytes]) -> FigureView:
    image = figure["image"]
    name, width, height = str(image["file"]), int(image["width"]), int(image["height"])
    if name not in images:
        raise RecordError(f"the report needs the image {name}, which is missing", where="report")
    pixel = _pair(figure.get("pixel_mm"))
    if pixel and min(pixel) > 0:
        aspect = (width * pixel[1]) / (height * pixel[0])
        bar = charts.scale_bar(width * pixel[1])
    else:  # not a length on both axes: any shape is as true as another, so take one that reads well
        aspect, bar = min(max(width / height, 2.0), 3.2), None
    lines = figure.get("overlays") or ()
    overlays = tuple(
        Overlay(
            path=charts.path(
                charts.points(line["points"]),
                marker=bool(line.get("marker")),
                closed=bool(line.get("closed")),
            ),
            style=style,
            label=str(line.get("label") or ""),
            marker=bool(line.get("marker")),
        )
        for line, style in zip(
            lines, _styles((line.get("role"), line.get("label")) for line in lines), strict=True
        )
    )
    legend = tuple(dict.fromkeys((o.style, o.label, o.marker) for o in overlays if o.label and o.path))
    value_range, bar_view = _pair(figure.get("value_range")), None
    if value_range and figure.get("colour_map"):
        low, high = value_range
        span = high - low or 1.0
        bar_view = ColourBar(
            colour.colour_bar(str(figure["colour_map"])),
            tuple(charts.Tick((v - low) / span, text) for v, text in charts.ticks(low, high, 4)),
            str(figure.get("value_label") or ""),
        )
    x_axis, y_axis = figure.get("x_axis"), figure.get("y_axis")
    x_ends, y_ends = (_pair(axis[1:]) if axis else None for axis in (x_axis, y_axis))
    return FigureView(
        "image", anchor, str(figure["title"]), str(figure["caption"]), str(figure["alt"]),
        wide=aspect > 1.7, source=data_uri(images[name]), file=name, width=width, height=height,
        aspect=round(aspect, 5), overlays=tuple(o for o in overlays if o.path), legend=legend,
        scale_bar=bar, colour_bar=bar_view,
        x_label=str(x_axis[0]) if x_axis else "", y_label=str(y_axis[0]) if y_axis else "",
        x_ticks=charts.image_ticks(*x_ends, width) if x_ends else (),
        y_ticks=charts.image_ticks(*y_ends, height, 4) if y_ends else (),
    )  # fmt: skip


def _pair(values: Any) -> tuple[float, float] | None:
    """Two numbers; ``None`` where either is missing, as it is where a plugin gave NaN."""
    if not values or len(values) != 2 or any(value is None for value in values):
        return None
    return float(values[0]), float(values[1])


def _role(role: Any) -> str:
    return str(role) if role in _ROLES else "note"


def _styles(lines: Iterable[tuple[Any, Any]]) -> list[str]:
    """CSS classes for lines of (role, label): the role's colour, and another dash for another label of it.

    A line without a label goes on in the style of the one before it.
    """
    labels: dict[str, list[str]] = {}
    styles = []
    for role, label in lines:
        known = labels.setdefault(_role(role), [])
        if label and str(label) not in known:
            known.append(str(label))
        variant = (known.index(str(label)) if label else max(len(known) - 1, 0)) % 3
        styles.append(f"role-{_role(role)}" + (f" variant-{variant}" if variant else ""))
    return styles


def _table_text(rows: Sequence[Sequence[Any]], width: int) -> tuple[tuple[str, ...], ...]:
    """Cells as text; the numbers of a column share their decimals, enough for four digits of the largest."""
    places: list[int | None] = []
    for i in range(width):
        numbers = [row[i] for row in rows if isinstance(row[i], float) and math.isfinite(row[i])]
        whole = all(value == round(value) for value in numbers)
        largest = max((abs(value) for value in numbers), default=0.0)
        places.append(
            0 if whole else min(max(3 - math.floor(math.log10(largest)), 0), 6) if numbers else None
        )

    def cell(value: Any, i: int) -> str:
        decimals = places[i]
        if isinstance(value, float) and decimals is not None:
            return typeset(wording.fixed(value, decimals))
        return typeset(wording.rounded(value)) if isinstance(value, float) else wording.rounded(value)

    return tuple(tuple(cell(row[i], i) for i in range(width)) for row in rows)
