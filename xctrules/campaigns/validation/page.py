"""The validation's page: one HTML file, drawn from ``validation.json`` alone.

In: the figures. Out: HTML.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xctrules.campaigns.validation.statistics import Z_95, DetectionCurve
from xctrules.core.wording import NONE, exact, fixed, joined, share, signed
from xctrules.pages import charts
from xctrules.pages.environment import environment
from xctrules.pages.figure_views import FigureView, table_view
from xctrules.pages.typography import typeset

Json = Mapping[str, Any]

Row = tuple[str, float | None, float | None, float | None, tuple[float, float] | None, str]
"""Label, value, low, high, band and text of one interval."""

WIDTH, LABELS, ROW, TOP = 700.0, 216.0, 22.0, 12.0
"""Size of a chart with one line of text and one interval in each row."""


@dataclass(frozen=True)
class ForestRow:
    """One interval of a :class:`Forest`, as positions in the drawing; ``None`` where there is nothing."""

    label: str
    y: float
    dot: float | None
    low: float | None
    high: float | None
    band: tuple[float, float] | None
    text: str


@dataclass(frozen=True)
class Forest:
    """A chart of intervals, one row each, over a common axis."""

    id: str
    title: str
    caption: str
    alt: str
    x_label: str
    rows: tuple[ForestRow, ...]
    ticks: tuple[charts.Tick, ...]
    left: float
    right: float
    width: float
    height: float


def render(found: Json) -> str:
    """The report as HTML; a pure function of the figures in ``validation.json``."""
    return environment().get_template("validation.html.j2").render(page=page(found))


def page(found: Json) -> dict[str, Any]:
    """Everything the template shows, as text and positions."""
    failing = [c for c in found["criteria"] if c["holds"] is False]
    open_ = [c for c in found["criteria"] if c["holds"] is None]
    return {
        "holds": found["holds"],
        "title": "Validation holds" if found["holds"] else "Validation does not hold",
        "summary": _summary(found, failing, open_),
        "criteria": requirements(found),
        "cases": found["cases"],
        "length_unit_note": found["asked"]["length_unit_note"],
        "conditions": joined(found["asked"]["conditions"]),
        "coverage": _coverage_chart(found["asked"]["coverage"], found["measurements"]),
        "bias": _bias_chart(found["asked"], found["measurements"]),
        "detection": [
            _detection_chart(fault, d, found["asked"]["detection_note"])
            for fault, d in found["detection"].items()
            if d["n"]
        ],
        "measurements": _measurement_table(found),
        "strata": [_stratum_table(name, rows) for name, rows in found["strata"].items()],
        "bounds": _bound_table(found),
        "detected": _detection_table(found["detection"]),
        "alarms": _alarm_table(found["false_alarms"]),
        "decisions": _decision_table(found["decisions"]),
        "unfit": _unfit_table(found["unfit"]),
        "worst": _worst_table(found["worst"]),
        "errors": [(str(e["index"]), e["error"]) for e in found["errors"]],
        "provenance": provenance_of(found, {"Cases by kind": _by_kind(found["cases"]["kinds"])}),
    }


def requirements(found: Json) -> list[tuple[str, str, str, tuple[str, str], str]]:
    """Each requirement with what was asked and found, its mark and its style."""
    return [
        (c["id"], typeset(c["asked"]), typeset(c["found"]), _MARKS[c["holds"]], _CSS[c["holds"]])
        for c in found["criteria"]
    ]


_MARKS = {True: ("✓", "holds"), False: ("✕", "does not hold"), None: ("○", "too few cases to say")}
_CSS = {True: "is-pass", False: "is-fail", None: "is-incomplete"}


# --- in words --------------------------------------------------------------------------------------------


def _summary(found: Json, failing: Sequence[Json], open_: Sequence[Json]) -> list[str]:
    n, unfit = found["cases"]["n"], len(found["unfit"])
    lines = [f"{n} synthetic scans of known cells were measured; {unfit} of them must be refused."]
    if failing:
        lines.append(
            f"{len(failing)} of {len(found['criteria'])} requirements are not met: "
            + "; ".join(f"{c['id']} ({typeset(c['found'])})" for c in failing)
            + "."
        )
    else:
        lines.append("No requirement is violated.")
    if open_:
        lines.append(
            f"{len(open_)} cannot be decided with so few cases: " + "; ".join(c["id"] for c in open_) + "."
        )
    for fault, d in found["detection"].items():
        if d["curve"] is None:
            continue
        at = d["curve"]["found_90"]
        if at <= 0:
            continue
        upper = d["curve"]["found_90_upper"]
        bound = f", {upper:.1f} at most with 95 % confidence" if upper is not None else ""
        lines.append(f"A {fault} of {at:.1f} voxels is found with 90 % probability{bound}.")
    for fault, a in found["false_alarms"].items():
        if a["n"]:
            lines.append(
                f"Sound cells with a false alarm of a {fault}: {a['count']} of {a['n']}, a rate below "
                f"{100 * a['upper']:.1f} % (95 % confidence)."
            )
    return lines


def _number(value: float | None, decimals: int = 3) -> str:
    return typeset(fixed(value, decimals))


def _signed(value: float | None, decimals: int = 3) -> str:
    return typeset(signed(value, decimals))


def _share(c: Json) -> str:
    if not c["n"]:
        return NONE
    return f"{share(c['share'])} of {c['n']} ({100 * c['low']:.0f} to {100 * c['high']:.0f} %)"


def _of(c: Json) -> str:
    return f"{c['count']} of {c['n']}" if c["n"] else NONE


# --- charts ----------------------------------------------------------------------------------------------


def _forest(
    id: str,
    title: str,
    caption: str,
    x_label: str,
    rows: Sequence[Row],
    span: tuple[float, float],
) -> Forest:
    """Rows of (label, value, low, high, band, text) over ``span``; what lies outside is drawn at its edge."""
    left, right = LABELS, WIDTH - 180.0

    def x(value: float | None) -> float | None:
        if value is None or not math.isfinite(value):
            return None
        return left + (min(max(value, span[0]), span[1]) - span[0]) / (span[1] - span[0]) * (right - left)

    placed = []
    for i, (label, value, low, high, band, text) in enumerate(rows):
        a, b = (x(band[0]), x(band[1])) if band else (None, None)
        drawn = (a, b) if a is not None and b is not None else None
        placed.append(ForestRow(label, TOP + (i + 0.5) * ROW, x(value), x(low), x(high), drawn, text))
    alt = f"{title}. " + "; ".join(f"{label}: {text}" for label, *_, text in rows)
    ticks = tuple(charts.Tick(at, text) for v, text in charts.ticks(*span, 5) if (at := x(v)) is not None)
    height = TOP + len(rows) * ROW + 42
    return Forest(id, title, caption, alt, x_label, tuple(placed), ticks, left, right, WIDTH, height)


def _coverage_chart(asked: Json, measurements: Json) -> Forest:
    low, high = 100 * asked["from"], 100 * asked["to"]
    rows: list[Row] = []
    for name in asked["measurements"]:
        m = measurements.get(name, {})
        c = m.get("coverage")
        if not c or not c["n"]:
            rows.append((name, None, None, None, (low, high), "no cases"))
        else:
            rows.append(
                (
                    name,
                    100 * c["share"],
                    100 * c["low"],
                    100 * c["high"],
                    (low, high),
                    f"{c['count']} of {c['n']}, U {_number(m['median_half_width'], 2)} {m['unit']}",
                )
            )
    lowest = min((row[2] for row in rows if row[2] is not None), default=80.0)
    return _forest(
        "coverage",
        "Coverage of the 95 % intervals",
        "Dot: share of the stated intervals that hold the truth. Line: what that many cases can tell (95 % "
        f"interval, Wilson). Band: {low:.0f} to {high:.0f} %, where it should be. A dot left of the band "
        "means that the stated uncertainty is too small, a dot right of it that it is larger than need be. "
        "U: median half-width of the intervals.",
        "Intervals that hold the truth, %",
        rows,
        (max(0.0, min(80.0, 10 * math.floor(lowest / 10))), 100.0),
    )


def _bias_chart(asked: Json, measurements: Json) -> Forest:
    rows: list[Row] = []
    for name, held_to in asked["bias"].items():
        limit, unit = held_to["limit"], held_to["unit"]
        b = measurements.get(name, {}).get("published_bias")
        if not b or b["mean"] is None:
            rows.append((name, None, None, None, (-1.0, 1.0), "no cases"))
            continue
        half = Z_95 * (b["standard_error"] or 0.0)
        rows.append(
            (name, b["mean"] / limit, (b["mean"] - half) / limit, (b["mean"] + half) / limit, (-1.0, 1.0),
             f"{_signed(b['mean'])} of ±{limit:g} {unit}")
        )  # fmt: skip
    reach = max((abs(v) for row in rows for v in row[2:4] if v is not None), default=1.0)
    return _forest(
        "bias",
        "Bias against its limits",
        "Mean error over the limit that is set to it. Line: 95 % interval of the mean. Band: within the "
        f"limit. {asked['bias_note']}",
        "Mean error / limit",
        rows,
        (-min(max(1.5, 1.1 * reach), 6.0), min(max(1.5, 1.1 * reach), 6.0)),
    )


def _detection_chart(fault: str, d: Json, note: str) -> FigureView:
    bins = [b for b in d["bins"] if b["n"]]
    middle = np.array([(b["from"] + b["to"]) / 2 for b in bins])
    series = []
    whiskers: list[float] = []
    ends: list[float] = []
    for x, b in zip(middle.tolist(), bins, strict=True):
        whiskers += [x, x, math.nan]
        ends += [100 * b["low"], 100 * b["high"], math.nan]
    series.append(("95 % interval", "role-note", np.array(whiskers), np.array(ends)))
    gaps = np.full(middle.size * 2, np.nan)
    gaps[::2] = middle
    seen = np.full(middle.size * 2, np.nan)
    seen[::2] = [100 * b["share"] for b in bins]
    series.append(("share found, by half a voxel", "role-can", gaps, seen))
    curve = d["curve"]
    text = f"found {sum(d['hits'])} of {d['n']}"
    if curve is not None:
        x = np.linspace(min(d["sizes"]), max(d["sizes"]), 120)
        series.append(("probit fit", "role-fit", x, 100 * DetectionCurve(**curve).probability(x)))
        at_90 = curve["found_90"]
        if x[0] <= at_90 <= x[-1]:
            series.append(("size found with 90 %", "role-worst", np.full(2, at_90), np.array([0.0, 90.0])))
        text += f", fitted: 90 % at {curve['found_90']:.2f} voxels"
    chart = charts.line_chart(series)
    # dots: every point of the share is a line of its own, of next to no length
    return FigureView(
        kind="lines",
        title=f"Found {fault}s against size",
        caption=f"Found means {d['found']}. {note}",
        alt=f"Share of {fault}s found against their size in voxels: {text}",
        chart=chart,
        x_label="size, voxels",
        y_label="found, %",
        legend=tuple((style, label, style == "role-can") for label, style, _, _ in series),
        anchor=f"detection-{fault.replace(' ', '-')}",
    )


# --- tables ----------------------------------------------------------------------------------------------


def _measurement_table(found: Json) -> FigureView:
    rows = []
    for name, m in found["measurements"].items():
        repeat = found["repeatability"].get(name)
        rows.append(
            (
                name, m["unit"] or NONE, str(m["n"]), str(m["not_measured"]), _signed(m["bias"]["mean"]),
                _number(m["bias"]["sd"]), _number(m["largest_error"]), _number(m["median_half_width"]),
                _share(m["coverage"]), _number(repeat["sd"] if repeat else None, 4),
            )
        )  # fmt: skip
    columns = (
        "Measurement", "Unit", "Cases", "Not measured", "Bias", "Scatter", "Largest error",
        "Median half-width U", "Coverage", "Repeatability",
    )  # fmt: skip
    return table_view("All measurements", columns, rows, text_columns=2)


def _stratum_table(name: str, strata: Sequence[Json]) -> FigureView:
    rows = [
        (s["by"], s["label"], str(s["coverage"]["n"]), _signed(s["bias"]["mean"]), _number(s["bias"]["sd"]),
         _number(s["median_half_width"]), _share(s["coverage"]))
        for s in strata
    ]  # fmt: skip
    return table_view(
        name, ("By", "", "Cases", "Bias", "Scatter", "Median U", "Coverage"), rows, text_columns=2
    )


def _bound_table(found: Json) -> FigureView:
    rows = [
        (
            name, b["what"], str(b["n"]),
            *(_number(b[key], 4) for key in ("stated", "without_scale", "noise", "bound")),
            _number(b["ratio"], 2),
        )
        for name, b in found["bounds"].items()
    ]  # fmt: skip
    columns = (
        "Measurement", "What", "Cases", "Stated", "Without voxel scale", "Noise alone", "Cramér-Rao bound",
        "Noise / bound",
    )  # fmt: skip
    return table_view("Stated uncertainty and the bound, medians", columns, rows, text_columns=2)


def _detection_table(detection: Json) -> FigureView:
    rows = []
    for fault, d in detection.items():
        curve = d["curve"]
        rows.append(
            (
                fault, d["found"], str(d["n"]),
                _number(curve["found_90"] if curve else None, 2),
                _number(curve["found_90_upper"] if curve else None, 2),
                NONE if d["target"] is None else f"{d['target']:g}",
                NONE if d["above_target"] is None else _share(d["above_target"]),
            )
        )  # fmt: skip
    columns = (
        "Fault", "What counts as found", "Cases", "Found with 90 %, voxels", "Its upper 95 % bound",
        "Size asked for", "Found at that size and more",
    )  # fmt: skip
    return table_view("Faults found", columns, rows, text_columns=2)


def _alarm_table(alarms: Json) -> FigureView:
    rows = [
        (
            fault, a["alarm"], _of(a), f"{100 * a['upper']:.1f} %",
            ", ".join(map(str, a["cases"][:20])) or NONE, str(a["intervals_beyond_zero"]),
        )
        for fault, a in alarms.items()
    ]  # fmt: skip
    columns = (
        "Fault", "False alarm", "Seen", "Rate at most (95 %)", "Cases", "Intervals that exclude zero",
    )  # fmt: skip
    return table_view("False alarms", columns, rows, text_columns=2)


def _decision_table(decisions: Sequence[Json]) -> FigureView:
    rows = [
        (
            d["measurement"], d["limit"], d["decision_rule"],
            _of(d["false_accept"]), _of(d["false_accept_plain"]),
            _of(d["false_reject"]), _of(d["false_reject_plain"]),
        )
        for d in decisions
    ]  # fmt: skip
    columns = (
        "Measurement", "Limit", "Decision rule", "Bad cells accepted", "of these plain PASS",
        "Good cells rejected", "of these plain FAIL",
    )  # fmt: skip
    return table_view("Decisions at the limits", columns, rows, text_columns=3)


def _unfit_table(unfit: Sequence[Json]) -> FigureView:
    rows = [
        (
            str(u["index"]),
            u["what"],
            u["verdict"],
            "yes" if u["refused"] else "NO",
            "right" if u["right_reason"] else "WRONG",
            " ".join(u["reasons"]),
        )
        for u in unfit
    ]
    return table_view(
        "Scans that must be refused",
        ("Case", "What is wrong", "Verdict", "Refused", "Reason", "Reason given"),
        rows,
        text_columns=6,
    )


def _worst_table(worst: Sequence[Json]) -> FigureView:
    rows = [
        (w["measurement"], w["case"], str(w["index"]), _signed(w["error"]), _number(w["half_width"]),
         NONE if w["ratio"] is None else f"{w['ratio']:.1f}")
        for w in worst
    ]  # fmt: skip
    return table_view(
        "Intervals that miss the truth",
        ("Measurement", "Case", "Index", "Error", "U", "Ratio"),
        rows,
        text_columns=2,
    )


def _by_kind(kinds: Json) -> str:
    return ", ".join(f"{n} {kind}" for kind, n in kinds.items())


def provenance_of(found: Json, cases: Mapping[str, str]) -> list[tuple[str, str]]:
    """Which cases were measured, and by what software."""
    ensemble = found["ensemble"]
    asked = f"{ensemble['geometry']} cells, seed {ensemble['seed']}" + (
        ", short" if ensemble["short"] else ""
    )
    own = [key for key in ensemble if key not in ("geometry", "seed", "short")]
    return [
        ("Ensemble", asked),
        *((f"Ensemble, {key.replace('_', ' ')}", _flat(ensemble[key])) for key in own),
        *cases.items(),
        *((f"Plugin {p['name']} {p['version']}, SHA-256", p["sha256"] or NONE) for p in found["plugins"]),
        *((name.replace("_sha256", ", SHA-256"), text) for name, text in found["software"].items()),
    ]


def _flat(value: Any) -> str:
    """A JSON value on one line: the parts of a list apart by commas, of a list in it by spaces."""
    if not isinstance(value, list):
        return exact(value)
    return ", ".join(" ".join(map(exact, part)) if isinstance(part, list) else exact(part) for part in value)
