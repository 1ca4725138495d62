"""The report: one HTML file drawn from the record and its images, and from nothing else.

The file needs no network, no JavaScript and no second file. It carries the record's bytes and every image,
so that ``xctrules verify`` can check it, and draw it again, from the file alone. What is shown is worked out
here as plain text and numbers; ``templates/report.html.j2`` only arranges it.

How the record is embedded: the bytes of ``record.json`` are the content of the element ``<script
type="application/json" id="record" data-sha256="…">``, with every ``<`` written as the escape ``\\u003c``,
so that no text in them can end it. The content is therefore JSON of the same value as it stands, and
:func:`embedded_record` gives back the exact bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import html
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xctrules.core.errors import RecordError
from xctrules.core.names import MEANINGS, end_of
from xctrules.pages import charts, colour

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

Json = Mapping[str, Any]

MINUS, NBSP = "−", "\u00a0"

VERDICTS: dict[str, tuple[str, str, str]] = {
    # code: (word, symbol, what it means)
    "PASS": ("Pass", "✓", "Every rule is met with its decision rule."),
    "CONDITIONAL_PASS": (
        "Conditional pass",
        "✓",
        "Every rule is met, but at least one not beyond the doubt named below.",
    ),
    "INCOMPLETE": ("Incomplete", "?", "A quantity that a rule needs was not measured."),
    "CONDITIONAL_FAIL": (
        "Conditional fail",
        "!",
        "At least one rule cannot be shown to be met within the uncertainty.",
    ),
    "FAIL": ("Fail", "✗", "At least one limit is broken."),
    "SCAN_REJECTED": ("Scan rejected", "⊘", "This scan cannot carry a decision about the cell."),
    "NOT_APPLICABLE": ("Not applicable", "–", "The part is out of view, and the spec allows that."),
}
_ORDER = ("PASS", "CONDITIONAL_PASS", "INCOMPLETE", "CONDITIONAL_FAIL", "FAIL", "SCAN_REJECTED")

DECISION_RULES = {
    "simple": "simple acceptance",
    "guarded": "guarded acceptance",
    "iso14253": "ISO 14253-1",
    "four_state": "four states (ILAC-G8)",
}
LIMIT_STATUS = {
    "drawing": "from a drawing",
    "datasheet": "from a datasheet",
    "standard": "from a standard",
    "indicative": "indicative only",
}
UNITS = {"deg": "°", "1": ""}

# --- numbers ---------------------------------------------------------------------------------------------


def decimals_for(uncertainty: float | None, value: float | None = None) -> int:
    """Decimals that show the second significant digit of the uncertainty (JCGM 100, 7.2.6).

    Without an uncertainty, those that show four significant digits of the value.
    """
    digits, guide = (2, uncertainty) if uncertainty else (4, value)
    if not guide or not math.isfinite(guide):
        return 0 if value == 0 and not uncertainty else 3
    rounded = float(f"{abs(guide):.{digits - 1}e}")
    return min(max(digits - 1 - math.floor(math.log10(rounded) + 1e-12), 0), 9)


def fixed(value: float | None, decimals: int) -> str:
    """A number with so many decimals and a true minus sign; an en dash for none."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:.{decimals}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def plain_number(value: Any) -> str:
    """Any JSON scalar as the reader expects it: whole numbers whole, others with four significant digits."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value).replace("-", MINUS)
    if isinstance(value, float):
        if not math.isfinite(value):
            return "–"
        text = f"{value:.0f}" if value == round(value) and abs(value) < 1e6 else f"{value:.4g}"
        return text.replace("-", MINUS)
    return str(value)


def exact_number(value: Any) -> str:
    """A JSON scalar without rounding, for parameters and acquisition values."""
    return f"{value!r}".replace("-", MINUS) if isinstance(value, float) else plain_number(value)


def with_unit(text: str, unit: str) -> str:
    """A number's text with its unit behind it."""
    shown = UNITS.get(unit, unit)
    if not shown or text == "–":
        return text
    return f"{text}{shown}" if shown == "°" else f"{text}{NBSP}{shown}"


def quantity(value: float | None, expanded: float | None, unit: str) -> str:
    """``21.210 ± 0.037 mm``; without an uncertainty the value alone."""
    if value is None:
        return "–"
    places = decimals_for(expanded, value)
    if not expanded:
        return with_unit(fixed(value, places) if value != round(value) else fixed(value, 0), unit)
    shown = UNITS.get(unit, unit)
    pair = f"{fixed(value, places)}{NBSP}±{NBSP}{fixed(expanded, places)}"
    if shown == "°":
        return f"({pair})°"
    return f"{pair}{NBSP}{shown}" if shown else pair


def percent(probability: float | None) -> str:
    """A probability in per cent, never rounded to certainty."""
    if probability is None:
        return "–"
    if probability > 0.9995:
        return f">{NBSP}99.9{NBSP}%"
    if probability < 0.0005:
        return f"<{NBSP}0.1{NBSP}%"
    return f"{100 * probability:.1f}{NBSP}%"


# --- what the page shows ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """A verdict or outcome in words, with the symbol that goes beside it."""

    code: str
    word: str
    symbol: str
    meaning: str
    css: str

    @classmethod
    def of(cls, code: str | None) -> Outcome:
        word, symbol, meaning = VERDICTS.get(
            code or "", ((code or "none").replace("_", " ").capitalize(), "·", "")
        )
        known = code if code in VERDICTS else "NOT_APPLICABLE"
        return cls(code or "", word, symbol, meaning, "is-" + str(known).lower().replace("_", "-"))


@dataclass(frozen=True)
class RuleRow:
    """One rule of the spec against one measurement."""

    name: str
    measurement: str
    severity: str
    value: str
    note: str
    limits: str
    limit_source: str
    limit_status: str
    indicative: bool
    at: str
    decision_rule: str
    guard: str
    outcome: Outcome
    reason: str
    margin: str
    probability: str
    tur: str
    picture: charts.LimitPicture
    picture_label: str
    others: Mapping[str, Outcome]


@dataclass(frozen=True)
class BudgetLine:
    source: str
    type: str
    contribution: str
    share: str
    share_percent: float
    shared: bool
    degrees_of_freedom: str


@dataclass(frozen=True)
class MeasurementRow:
    """One measurement with all that belongs to it."""

    name: str
    meaning: str
    status: str
    unit: str
    full: str
    value: str
    u: str
    expanded: str
    k: str
    degrees_of_freedom: str
    n: str
    where: str
    reason: str
    largest: str
    budget: tuple[BudgetLine, ...]


@dataclass(frozen=True)
class Absent:
    """Measurements without a value for one common reason."""

    names: tuple[str, ...]
    reason: str


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


@dataclass(frozen=True)
class Failure:
    """A plugin that stopped with an error."""

    plugin: str
    metric: str
    message: str
    traceback: str


@dataclass(frozen=True)
class Plugin:
    """A plugin that took part."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True)
class SectionView:
    """One metric: its figures and its measurements."""

    anchor: str
    title: str
    figures: tuple[FigureView, ...]
    measured: tuple[MeasurementRow, ...]
    by_end: tuple[MeasurementRow, ...]
    absent: tuple[Absent, ...]
    failed: tuple[Absent, ...]
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True)
class Page:
    """Everything that the template shows, already as text."""

    cell_id: str
    verdict: Outcome
    verdict_code: str
    scope: str
    reasons: tuple[str, ...]
    caveats: tuple[str, ...]
    probability: str
    headline: tuple[tuple[str, str], ...]
    rules: tuple[RuleRow, ...]
    other_rules: tuple[tuple[str, str, Outcome, bool], ...]
    sections: tuple[SectionView, ...]
    quality: tuple[SectionView, ...]
    warnings: tuple[str, ...]
    failures: tuple[Failure, ...]
    acquisition: tuple[tuple[str, str, str], ...]
    not_stated: tuple[str, ...]
    scan: tuple[tuple[str, str], ...]
    scan_sha256: str
    spec_text: str
    spec_sha256: str
    parameters: tuple[tuple[str, str], ...]
    plugins: tuple[Plugin, ...]
    software: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, str], ...]
    run: tuple[tuple[str, str], ...]
    steps: tuple[tuple[str, str], ...]
    record_text: str
    record_sha256: str
    record_length: int
    decision_rules: Mapping[str, str] = field(default_factory=lambda: DECISION_RULES)


class _Anchors:
    """Element ids that are safe in HTML and never given twice."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def new(self, text: str) -> str:
        stem = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "part"
        candidate, number = stem, 2
        while candidate in self._given:
            candidate, number = f"{stem}-{number}", number + 1
        self._given.add(candidate)
        return candidate


# --- from record to page ---------------------------------------------------------------------------------


def _limits_text(check: Json) -> str:
    low, high, unit = check.get("min"), check.get("max"), str(check.get("unit") or "")

    def shown(limit: float) -> str:
        return with_unit(f"{limit:g}".replace("-", MINUS), unit)

    if low is not None and high is not None:
        return f"{shown(low)} to {shown(high)}"
    if high is not None:
        return f"≤{NBSP}{shown(high)}"
    if low is not None:
        return f"≥{NBSP}{shown(low)}"
    return "–"


def _guard_width(check: Json, measurement: Json) -> float:
    """Width of the band that the decision rule keeps clear of a limit, for the picture."""
    stated = check.get("guard_band")
    if isinstance(stated, int | float):
        return float(stated)
    rule = check.get("decision_rule")
    if rule in ("guarded", "four_state"):
        return float(measurement.get("expanded_uncertainty") or 0.0)
    if rule == "iso14253":  # one-sided 95 %
        return 1.645 * float(measurement.get("standard_uncertainty") or 0.0)
    return 0.0


def _other_outcomes(check: Json) -> dict[str, Outcome]:
    """Outcome under each decision rule; the rule's own one included."""
    others = check.get("under_other_rules") or {}
    outcomes = {str(rule): Outcome.of(code) for rule, code in others.items() if isinstance(code, str)}
    if check.get("decision_rule"):
        outcomes.setdefault(str(check["decision_rule"]), Outcome.of(check.get("outcome")))
    return outcomes


def _rule_row(check: Json, measurements: Mapping[str, Json]) -> RuleRow:
    name = str(check.get("measurement") or "")
    measurement = measurements.get(name, {})
    value = measurement.get("value")
    expanded = measurement.get("expanded_uncertainty")
    unit = str(check.get("unit") or measurement.get("unit") or "")
    guard = _guard_width(check, measurement) if value is not None else 0.0
    k = measurement.get("coverage_factor")
    outcome = Outcome.of(check.get("outcome"))
    limits = _limits_text(check)
    shown = quantity(value, expanded, unit)
    label = (
        f"{shown} against {limits}: {outcome.word.lower()}"
        if value is not None
        else f"no value against {limits}: {outcome.word.lower()}"
    )
    status = str(check.get("status") or "")
    return RuleRow(
        name=str(check.get("title") or check.get("rule") or name),
        measurement=name,
        severity=str(check.get("severity") or ""),
        value=shown if value is not None else "no value",
        note=f"95 %, k = {k:.2f}" if value is not None and k and expanded else "",
        limits=limits,
        limit_source=str(check.get("source") or ""),
        limit_status=LIMIT_STATUS.get(status, status),
        indicative=status == "indicative",
        at=str(check.get("at") or ""),
        decision_rule=DECISION_RULES.get(
            str(check.get("decision_rule")), str(check.get("decision_rule") or "")
        ),
        guard=with_unit(fixed(guard, decimals_for(guard)), unit)
        if guard > 0 and check.get("guard_band")
        else "",
        outcome=outcome,
        reason=str(measurement.get("reason") or check.get("reason") or "") if value is None else "",
        margin=with_unit(fixed(check.get("margin"), decimals_for(expanded, check.get("margin"))), unit),
        probability=percent(check.get("probability_of_conformity")),
        tur="–" if check.get("tur") is None else f"{float(check['tur']):.1f}{NBSP}:{NBSP}1",
        picture=charts.limit_picture(value, expanded, check.get("min"), check.get("max"), guard),
        picture_label=label,
        others=_other_outcomes(check),
    )


def _worst(codes: Iterable[str]) -> str | None:
    """The worst outcome in the contract's order; ``None`` when no rule counts."""
    counted = [code for code in codes if code in _ORDER]
    return max(counted, key=_ORDER.index) if counted else None


def _verdicts_under_other_rules(
    record: Json, rows: Sequence[RuleRow]
) -> tuple[tuple[str, str, Outcome, bool], ...]:
    """(rule, its words, the cell's verdict, whether every rule of the spec uses it already)."""
    used = {str(check.get("decision_rule")) for check in record.get("checks", ())}
    stated = record.get("verdict_under_other_rules") or {}
    result = []
    for rule, words in DECISION_RULES.items():
        code = stated.get(rule)
        if code is None and rows and all(rule in row.others for row in rows):
            code = _worst(row.others[rule].code for row in rows)
        if record.get("verdict") == "SCAN_REJECTED":
            code = "SCAN_REJECTED"
        if code:
            result.append((rule, words, Outcome.of(code), used == {rule}))
    return tuple(result)


_PLACES = {
    "z_mm": ("z", "mm"),
    "theta_deg": ("θ", "deg"),
    "r_mm": ("r", "mm"),
    "x_mm": ("x", "mm"),
    "y_mm": ("y", "mm"),
}


def _where(place: Json | None) -> str:
    """``z 6.10 mm, θ 40.0°, turn 3``."""
    parts = []
    for key, value in (place or {}).items():
        if value is None:
            continue
        label, unit = _PLACES.get(key, (key.replace("_", " "), ""))
        if unit and isinstance(value, int | float):
            text = with_unit(fixed(float(value), 1 if unit == "deg" else 2), unit)
        else:
            text = plain_number(value)
        parts.append(f"{label}{NBSP}{text}")
    return ", ".join(parts)


def _dof_text(degrees_of_freedom: float | None) -> str:
    if degrees_of_freedom is None:
        return "∞"
    return f"{degrees_of_freedom:.0f}" if degrees_of_freedom <= 1000 else f">{NBSP}1000"


def _budget(measurement: Json) -> tuple[BudgetLine, ...]:
    lines = [line for line in measurement.get("budget") or () if line.get("contribution") is not None]
    total = sum(float(line["contribution"]) ** 2 for line in lines)
    decimals = decimals_for(math.sqrt(total)) + 1 if total > 0 else 3
    result = []
    for line in sorted(lines, key=lambda one: -abs(float(one["contribution"]))):
        share = 100 * float(line["contribution"]) ** 2 / total if total > 0 else 0.0
        dof = line.get("degrees_of_freedom")
        result.append(
            BudgetLine(
                source=str(line.get("source") or ""),
                type=str(line.get("type") or ""),
                contribution=fixed(float(line["contribution"]), decimals),
                share=f"{share:.0f}{NBSP}%" if share >= 0.5 else f"<{NBSP}1{NBSP}%",
                share_percent=round(share, 1),
                shared=bool(line.get("shared")),
                degrees_of_freedom=_dof_text(dof),
            )
        )
    return tuple(result)


def _measurement_row(name: str, m: Json) -> MeasurementRow:
    value, unit = m.get("value"), str(m.get("unit") or "")
    expanded, u = m.get("expanded_uncertainty"), m.get("standard_uncertainty")
    places = decimals_for(expanded, value)
    if value is not None and not expanded and value == round(value):
        places = 0
    dof = m.get("degrees_of_freedom")
    budget = _budget(m)
    meaning = MEANINGS.get(name, "")
    return MeasurementRow(
        name=name,
        meaning=meaning[:1].upper() + meaning[1:],
        status=str(m.get("status") or "not_measured"),
        unit=unit or "1",
        full=quantity(value, expanded, unit),
        value=fixed(value, places),
        u=fixed(u, min(decimals_for(u), 9)) if u else "–",
        expanded=fixed(expanded, places) if expanded else "–",
        k=f"{m['coverage_factor']:.2f}" if expanded and m.get("coverage_factor") else "–",
        degrees_of_freedom=_dof_text(dof) if expanded else "–",
        n=plain_number(m.get("n")),
        where=_where(m.get("worst_at")),
        reason=str(m.get("reason") or ""),
        largest=f"{budget[0].source}, {budget[0].share}" if budget and expanded else "",
        budget=budget,
    )


def _data_uri(data: bytes) -> str:
    kind = "image/jpeg" if data[:3] == b"\xff\xd8\xff" else "image/png"
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _pair(values: Any) -> tuple[float, float] | None:
    """Two numbers; ``None`` where either is missing, as it is where a plugin gave NaN."""
    if not values or len(values) != 2 or any(value is None for value in values):
        return None
    return float(values[0]), float(values[1])


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
        wide=aspect > 1.7, source=_data_uri(images[name]), file=name, width=width, height=height,
        aspect=round(aspect, 5), overlays=tuple(o for o in overlays if o.path), legend=legend,
        scale_bar=bar, colour_bar=bar_view,
        x_label=str(x_axis[0]) if x_axis else "", y_label=str(y_axis[0]) if y_axis else "",
        x_ticks=charts.image_ticks(*x_ends, width) if x_ends else (),
        y_ticks=charts.image_ticks(*y_ends, height, 4) if y_ends else (),
    )  # fmt: skip


_ROLES = frozenset({"anode", "cathode", "can", "fit", "worst", "note"})


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


def _figure_view(figure: Json, anchors: _Anchors, images: Mapping[str, bytes]) -> FigureView:
    """A figure; one that a plugin filled with the wrong things says so in its place and harms no other."""
    anchor = anchors.new(f"figure-{figure.get('id')}")
    try:
        return _drawn_figure(figure, anchor, images)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        reason = f"This figure cannot be drawn: {type(error).__name__}, {error}."
        return FigureView("broken", anchor, str(figure.get("title") or figure.get("id")), reason, reason)


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
            return fixed(value, decimals)
        return plain_number(value)

    return tuple(tuple(cell(row[i], i) for i in range(width)) for row in rows)


def _failures(record: Json) -> tuple[Failure, ...]:
    return tuple(
        Failure(
            plugin=str(f.get("plugin") or "unknown"),
            metric=str(f.get("metric") or ""),
            message=str(f.get("message") or "stopped with an error"),
            traceback=str(f.get("traceback") or ""),
        )
        for f in record.get("failures") or ()
    )


def _absent(rows: Sequence[MeasurementRow]) -> tuple[Absent, ...]:
    """Measurements without a value, those of one reason together."""
    names: dict[str, list[str]] = {}
    for row in rows:
        reason = row.reason or "no reason was given"
        if row.status == "not_applicable":
            reason = f"not applicable: {reason}"
        names.setdefault(reason, []).append(row.name)
    return tuple(Absent(tuple(listed), reason) for reason, listed in names.items())


def _sections(record: Json, images: Mapping[str, bytes], anchors: _Anchors) -> tuple[SectionView, ...]:
    """One section for each metric, in the record's order; the rest of the measurements follow."""
    rows = {name: _measurement_row(name, m) for name, m in record.get("measurements", {}).items()}
    failures = _failures(record)
    taken: set[str] = set()
    views = []
    described = list(record.get("sections") or ())
    known = {str(section["metric"]) for section in described}
    strays = dict.fromkeys(name.split(".")[0] for name in rows)
    named = {str(n) for section in described for n in section.get("measurements") or ()}
    described += [
        {"metric": stem, "title": stem.replace("_", " ").capitalize(), "figures": []}
        for stem in strays
        if stem not in known and any(n.split(".")[0] == stem and n not in named for n in rows)
    ]
    for section in described:
        metric = str(section["metric"])
        own = section.get("measurements")
        names = [
            name
            for name in rows
            if name not in taken and (name in own if own is not None else name.split(".")[0] == metric)
        ]
        taken.update(names)
        mine = [rows[name] for name in names]
        measured = [row for row in mine if row.status == "measured"]
        views.append(
            SectionView(
                anchor=anchors.new(f"metric-{metric}"),
                title=str(section.get("title") or metric),
                figures=tuple(_figure_view(f, anchors, images) for f in section.get("figures") or ()),
                measured=tuple(row for row in measured if end_of(row.name) is None),
                by_end=tuple(row for row in measured if end_of(row.name) is not None),
                absent=_absent([row for row in mine if row.status not in ("measured", "failed")]),
                failed=_absent([row for row in mine if row.status == "failed"]),
                failures=tuple(f for f in failures if f.metric == metric),
            )
        )
    return tuple(views)


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested JSON as dotted names and text."""
    if isinstance(value, Mapping):
        if not value:
            return [(prefix, "none")] if prefix else []
        return [
            pair
            for key, item in value.items()
            for pair in _flat(item, f"{prefix}.{key}" if prefix else str(key))
        ]
    if isinstance(value, list | tuple):
        if all(not isinstance(item, Mapping | list | tuple) for item in value):
            return [(prefix, ", ".join(exact_number(item) for item in value) or "none")]
        return [pair for i, item in enumerate(value) for pair in _flat(item, f"{prefix}[{i}]")]
    return [(prefix, exact_number(value))]


def _join(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def _scope(record: Json) -> str:
    """What the verdict holds for: ``for the top end, 6.8 of 70.0 mm seen, 2.6 mm of it straight can``."""
    scope = record.get("scope") or {}
    ends = scope.get("ends")
    parts = []
    if ends is not None:
        named = {0: "no end", 1: "the {} end", 2: "both ends"}[min(len(ends), 2)]
        parts.append(f"for {named.format(*ends)}")
    nominal = ((record.get("spec") or {}).get("resolved") or {}).get("nominal") or {}
    height = nominal.get("height")
    whole = scope.get("nominal_height_mm") or (height.get("value") if isinstance(height, Mapping) else None)
    seen, straight = scope.get("height_seen_mm"), scope.get("straight_can_mm")
    if seen is not None:
        parts.append(f"{seen:.1f}" + (f" of {whole:.1f}" if whole else "") + f"{NBSP}mm seen")
    if straight is not None:
        parts.append(
            f"{straight:.1f}{NBSP}mm " + ("of it straight can" if seen is not None else "straight can")
        )
    return ", ".join(parts) or "for an unknown part of the cell"


def _voxel_scale_assumed(record: Json) -> bool:
    scale = record.get("scale")
    if isinstance(scale, Mapping) and "stated" in scale:
        return not scale["stated"]
    acquisition = record.get("acquisition") or {}
    return (
        "voxel_scale_relative_uncertainty" in acquisition
        and acquisition["voxel_scale_relative_uncertainty"] is None
    )


def _caveats(record: Json) -> tuple[str, ...]:
    """What the verdict rests on that is not firm ground."""
    caveats = []
    decided = record.get("verdict") != "SCAN_REJECTED"
    counted = [c for c in record.get("checks", ()) if c.get("outcome") != "NOT_APPLICABLE"]
    soft = [c for c in counted if c.get("status") == "indicative"]
    if soft and decided:
        names = list(
            dict.fromkeys(str(c.get("title") or c.get("rule") or c.get("measurement")) for c in soft)
        )
        shown = _join(names) if len(names) <= 6 else ", ".join(names[:5]) + f" and {len(names) - 5} more"
        caveats.append(
            f"{len(soft)} of {len(counted)} limits in use {'is' if len(soft) == 1 else 'are'} indicative, "
            f"backed by no drawing, datasheet or standard: {shown}."
        )
    if decided and _voxel_scale_assumed(record):
        scale = record.get("scale") or {}
        u = scale.get("relative_uncertainty") if isinstance(scale, Mapping) else None
        size = (
            f" ({100 * u:.2g}{NBSP}% of each length, standard uncertainty)"
            if isinstance(u, int | float)
            else ""
        )
        caveats.append(
            f"The uncertainty of the voxel size was not stated; an assumed one is used{size}, and no rule on "
            "a length does better than a conditional pass."
        )
    broken = list(dict.fromkeys(failure.plugin for failure in _failures(record)))
    if broken:
        caveats.append(
            f"{'A plugin' if len(broken) == 1 else f'{len(broken)} plugins'} did something wrong "
            f"({_join(broken)}): what is wrong is told below, and a rule that needed it is not passed."
        )
    warnings = len(record.get("warnings") or ())
    if warnings:
        caveats.append(
            f"{warnings} warning{'' if warnings == 1 else 's'} about the scan "
            f"{'is' if warnings == 1 else 'are'} listed under Scan and acquisition."
        )
    return tuple(caveats)


def _acquisition(record: Json) -> tuple[tuple[tuple[str, str, str], ...], tuple[str, ...]]:
    """What is known of the acquisition as (name, value, where it came from), and the names of what is not."""
    sources = record.get("acquisition_sources") or (record.get("scan") or {}).get("sources") or {}
    known, unknown = [], []
    for name, value in _flat(record.get("acquisition") or {}):
        if value == "–":
            unknown.append(name)
        else:
            known.append((name, value, str(sources.get(name) or sources.get(name.split(".")[0]) or "–")))
    return tuple(known), tuple(unknown)


def _spec_name(record: Json) -> str:
    spec = record.get("spec") or {}
    version = spec.get("version")
    return f"{spec.get('name', 'none')}" + (f", version {version}" if version else "")


def _headline(record: Json) -> tuple[tuple[str, str], ...]:
    scan, run = record.get("scan") or {}, record.get("run") or {}
    rows = [("Cell", str(record.get("cell_id", ""))), ("Spec", _spec_name(record))]
    if run.get("started"):
        rows.append(("Inspected", _time_text(str(run["started"]))))
    if run.get("operator"):
        rows.append(("Operator", str(run["operator"])))
    if scan.get("shape"):
        size = " × ".join(str(n) for n in scan["shape"])
        voxel = scan.get("voxel_size_mm")
        rows.append(("Scan", f"{size} voxels" + (f" of {_voxel_text(voxel)}" if voxel else "")))
    return tuple(rows)


def _time_text(stamp: str) -> str:
    """An ISO 8601 time in the form that people read: space for T, UTC in words, no fractions."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)?", stamp)
    if match is None:
        return stamp
    date, time, zone = match.groups()
    return f"{date} {time}" + ({"Z": " UTC", "+00:00": " UTC"}.get(zone, f" {zone}") if zone else "")


def _voxel_text(voxel: Sequence[float]) -> str:
    return " × ".join(f"{1000 * float(v):.4g}" for v in voxel) + f"{NBSP}µm (z, y, x)"


def _scan(record: Json) -> tuple[tuple[str, str], ...]:
    scan = record.get("scan") or {}
    rows = []
    for key, value in scan.items():
        if key in ("sha256", "sources", "warnings"):
            continue
        if key == "voxel_size_mm" and value:
            rows.append(("voxel size (z, y, x)", " × ".join(f"{float(v):.6g}" for v in value) + f"{NBSP}mm"))
        elif key == "shape" and value:
            rows.append(("shape (z, y, x)", " × ".join(str(v) for v in value)))
        else:
            rows += [(name.replace("_", " "), text) for name, text in _flat(value, key)]
    return tuple(rows)


def _steps(run: Json) -> tuple[tuple[str, str], ...]:
    steps = run.get("steps") or {}
    pairs = (
        steps.items()
        if isinstance(steps, Mapping)
        else ((s.get("name", ""), s.get("seconds")) for s in steps if isinstance(s, Mapping))
    )
    return tuple(
        (str(n), f"{float(s):.2f}{NBSP}s" if isinstance(s, int | float) else plain_number(s))
        for n, s in pairs
    )


def _files(record: Json) -> tuple[tuple[str, str], ...]:
    files = record.get("files") or ()
    if isinstance(files, Mapping):
        return tuple((str(name), str(digest)) for name, digest in files.items())
    return tuple((str(f.get("name", f.get("file", ""))), str(f.get("sha256", ""))) for f in files)


def page(record: Json, images: Mapping[str, bytes]) -> Page:
    """All that the report says about a record, as text: the template adds nothing of its own.

    Raises
    ------
    RecordError
        Where a figure's image is missing or of an unknown kind.
    """
    from xctrules.core.canonical import canonical_bytes

    anchors = _Anchors()
    measurements: Mapping[str, Json] = record.get("measurements") or {}
    rows = [_rule_row(check, measurements) for check in record.get("checks") or ()]
    rows.sort(key=lambda row: row.outcome.code == "NOT_APPLICABLE")  # stable: the others keep their order
    views = _sections(record, images, anchors)
    quality = tuple(v for v in views if v.anchor in ("metric-screening", "metric-segmentation"))
    shown = tuple(v for v in views if v not in quality)
    in_sections = {failure for view in views for failure in view.failures}
    data = canonical_bytes(record)
    known, unknown = _acquisition(record)
    run = record.get("run") or {}
    spec = record.get("spec") or {}
    verdict = Outcome.of(record.get("verdict"))
    return Page(
        cell_id=str(record.get("cell_id", "")),
        verdict=verdict,
        verdict_code=str(record.get("verdict", "")),
        scope=_scope(record),
        reasons=tuple(map(str, record.get("reasons") or ())),
        caveats=_caveats(record),
        probability=percent(record.get("probability_of_conformity")).replace("–", "cannot be given"),
        headline=_headline(record),
        rules=tuple(rows),
        other_rules=_verdicts_under_other_rules(record, rows),
        sections=shown,
        quality=quality,
        warnings=tuple(map(str, record.get("warnings") or ())),
        failures=tuple(failure for failure in _failures(record) if failure not in in_sections),
        acquisition=known,
        not_stated=unknown,
        scan=_scan(record),
        scan_sha256=str((record.get("scan") or {}).get("sha256") or ""),
        spec_text=str(spec.get("text") or ""),
        spec_sha256=str(spec.get("sha256") or ""),
        parameters=tuple(_flat(record.get("parameters") or {})),
        plugins=tuple(
            Plugin(*(str(p.get(key) or "–") for key in ("name", "version", "sha256")))
            for p in record.get("plugins") or ()
        ),
        software=tuple(_flat(record.get("software") or {})),
        files=_files(record),
        run=tuple(
            (name.replace("_", " "), text)
            for name, text in _flat({k: v for k, v in run.items() if k != "steps"})
        ),
        steps=_steps(run),
        record_text=data.decode("utf-8").replace("<", "\\u003c"),
        record_sha256=hashlib.sha256(data).hexdigest(),
        record_length=len(data),
    )


# --- drawing and reading back ----------------------------------------------------------------------------


def template_folder() -> Path:
    """Where the templates are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "templates"
    return inside if inside.is_dir() else package.parent / "templates"


def _breakable(name: str) -> Markup:
    """A dotted name that may be broken behind its dots and underscores."""
    from markupsafe import Markup

    return Markup("<wbr>").join(re.split(r"(?<=[._])", name))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(template_folder()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["px"] = charts.number
    environment.filters["breakable"] = _breakable
    return environment


def render_report(record: Json, images: Mapping[str, bytes]) -> str:
    """The report as one HTML document.

    Parameters
    ----------
    record
        The record, ``record.json`` as a dict, with ``sections`` holding the figures.
    images
        PNG or JPEG bytes by the name under which a figure refers to them.

    Returns
    -------
    HTML
        A pure function of both arguments: the same record and images give the same text.

    Raises
    ------
    RecordError
        Where a figure's image is missing or its kind unknown.
    """
    return _environment().get_template("report.html.j2").render(page=page(record, images))


def prepare() -> None:
    """Compile the templates, so that the first report is drawn as fast as the next ones."""
    for name in ("report.css", "figures.html.j2", "report.html.j2"):
        _environment().get_template(name)


_RECORD = re.compile(
    r'<script type="application/json" id="record" data-sha256="([0-9a-f]{64})">(.*?)</script>', re.S
)
_IMAGE = re.compile(
    r'<img [^<>]*?data-name="([^"]*)"[^<>]*? src="data:image/(?:png|jpeg);base64,([A-Za-z0-9+/=]*)"'
)
# An escaped "<" is "\u003c" behind an even number of backslashes: behind an odd one the first of its own is
# itself escaped and belongs to the text.
_ESCAPED = re.compile(r"(?<!\\)((?:\\\\)*)\\u003c")


def embedded_record(html_text: str) -> tuple[bytes, str]:
    """The bytes of the record inside a report, and the SHA-256 that the report states for them.

    Whether the two agree is for the caller to check.

    Raises
    ------
    RecordError
        When there is no record in it, or more than one.
    """
    found = _RECORD.findall(html_text)
    if len(found) != 1:
        what = "holds no record" if not found else f"holds {len(found)} records, where one is allowed"
        raise RecordError(f"the report {what}", todo="It was not written by xctrules, or it was changed.")
    stated, text = found[0]
    return _ESCAPED.sub(r"\1<", text).encode("utf-8"), stated


def embedded_images(html_text: str) -> dict[str, bytes]:
    """The images inside a report by name.

    Raises
    ------
    RecordError
        When an image cannot be decoded, or a name stands for two different ones.
    """
    images: dict[str, bytes] = {}
    for name, text in _IMAGE.findall(html_text):
        name = html.unescape(name)
        try:
            data = base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise RecordError(
                "the image cannot be decoded", where=name, todo="The report was changed."
            ) from error
        if images.setdefault(name, data) != data:
            raise RecordError(
                "two different images have this name", where=name, todo="The report was changed."
            )
    return images


def notebook_html(report_html: str, height_px: int = 900) -> str:
    """The report in a frame of its own, for ``_repr_html_``: its styles cannot touch the notebook's."""
    return (
        f'<iframe title="Inspection report" sandbox="" width="100%" height="{height_px:d}" '
        f'style="border:1px solid #8888" srcdoc="{html.escape(report_html, quote=True)}"></iframe>'
    )
