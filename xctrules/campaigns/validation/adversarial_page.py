"""The adversarial part's page: one HTML file, drawn from ``validation.json`` alone.

In: the figures of :func:`xctrules.campaigns.validation.adversarial.find_adversarial`. Out: HTML.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xctrules.campaigns.validation.hit_miss import HitMiss
from xctrules.campaigns.validation.page import provenance_of, requirements
from xctrules.core.wording import NONE, fixed, rounded, share
from xctrules.pages import charts
from xctrules.pages.environment import environment
from xctrules.pages.figure_views import FigureView, table_view
from xctrules.pages.typography import typeset

Json = Mapping[str, Any]

MOST_LISTED = 60
"""Cases in a table of the page; all of them are in ``validation.json``."""


def render_adversarial(found: Json) -> str:
    """The report as HTML; a pure function of the figures in ``validation.json``."""
    return environment().get_template("adversarial.html.j2").render(page=page(found))


def page(found: Json) -> dict[str, Any]:
    """Everything the template shows, as text and positions."""
    holds = found["holds"]
    return {
        "holds": holds,
        "title": "No faulty cell passed" if not found["wrong_passes"]["count"] else "Faulty cells passed",
        "word": "holds" if holds else "does not hold",
        "summary": [typeset(line) for line in headline(found)],
        "criteria": requirements(found),
        "cases": found["cases"],
        "passed": _case_table("Faulty cells that passed", found["passed_wrongly"], found["ensemble"]),
        "kinds": _kind_table(found["kinds"]),
        "curves": [_curve(kind) for kind in found["kinds"] if kind["curve"]["slope"] is not None],
        "families": _family_table(found["families"]),
        "failed": _case_table("Sound cells that failed", found["failed_wrongly"], found["ensemble"]),
        "undecided": _case_table(
            "Sound cells without a decision", found["left_undecided"], found["ensemble"]
        ),
        "named": _case_table(
            "Faults whose first reason names another place or part", found["named_wrongly"], found["ensemble"]
        ),
        "coverage": _coverage_table(found["coverage"]),
        "errors": [(str(e["index"]), e["error"]) for e in found["errors"]],
        "provenance": provenance_of(found, {"Cases": _cases(found["cases"])}),
    }


def headline(found: Json) -> list[str]:
    """Wrong passes, then wrong fails, then sound cells without a decision, each with its bound."""
    told = [
        (found["wrong_passes"], "faulty cells passed", "wrong passes"),
        (found["wrong_fails"], "sound cells failed", "wrong fails"),
        (found["undecided"], "sound cells were left without a decision", "sound cells without a decision"),
    ]
    lines = [
        f"{c['count']} of {c['n']} {what}: the rate of {rate} lies below {100 * c['upper']:.1f} % with "
        "95 % confidence."
        for c, what, rate in told
    ]
    named = found["named_rightly"]
    counted = f"{named['count']} of {named['n']} faulty cells"
    return [*lines, f"{counted} did not pass and had their fault named first."]


def draw_again(index: int, ensemble: Json) -> str:
    """The command that draws a case again."""
    seed = ensemble["seed"]
    return f"xctrules validate --part adversarial --seed {seed} --draw {index} --out case-{index}"


def size_of(item: Json) -> str:
    """A fault's size with its unit."""
    if item["size"] is None:
        return NONE
    if item["unit"] == "share":
        return share(item["size"])
    return f"{rounded(round(item['size'], 3))} {item['unit']}"


def _cases(cases: Json) -> str:
    kinds = f"{cases['sound']} sound, {cases['faulty']} faulty"
    return f"{cases['n']}: {kinds}, {cases['graded']} with faults smaller than what must be found"


def _case_table(title: str, items: Sequence[Json], ensemble: Json) -> FigureView:
    rows = [
        (
            str(item["index"]), item["kind"], size_of(item), item["verdict"], item["drawn"] or NONE,
            typeset(" ".join([*item["reasons"], *item["warnings"]]) or NONE),
            draw_again(item["index"], ensemble),
        )
        for item in items[:MOST_LISTED]
    ]  # fmt: skip
    columns = ("Case", "Kind", "Size", "Verdict", "What was drawn", "What was said", "To draw it again")
    return table_view(title, columns, rows, text_columns=7)


def _kind_table(kinds: Sequence[Json]) -> FigureView:
    rows = []
    for kind in kinds:
        curve, unit = kind["curve"], kind["unit"]
        wrong, named = kind["wrong_passes"], kind["named"]
        rows.append(
            (
                kind["kind"], _amount(kind["stated"], unit), f"{wrong['count']} of {wrong['n']}",
                f"{named['count']} of {named['n']}", f"{curve['hits']} of {curve['n']}",
                _amount(curve["found_90"], unit), _amount(curve["found_90_upper"], unit),
                curve["note"] or NONE,
            )
        )  # fmt: skip
    columns = (
        "Kind of fault", "Stated size", "Wrong passes", "Named rightly", "Found, of all sizes",
        "Found with 90 %", "Its upper 95 % bound", "Why there is no curve",
    )  # fmt: skip
    return table_view("Kinds of faults", columns, rows, text_columns=1)


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return NONE
    return share(value) if unit == "share" else f"{fixed(value, 2)} {unit}"


def _family_table(families: Sequence[Json]) -> FigureView:
    rows = [
        (f["kind"], str(f["n"]), str(f["pass"]), str(f["fail"]), str(f["none"]), typeset(f["reason"]) or NONE)
        for f in families
    ]
    columns = (
        "Kind of cell",
        "Cases",
        "Passed",
        "Failed",
        "No decision",
        "First reason of one that did not pass",
    )
    return table_view("Sound cells", columns, rows, text_columns=1)


def _coverage_table(coverage: Json) -> FigureView:
    rows = []
    for name, m in coverage.items():
        c = m["coverage"]
        bias = m["bias"]
        sizes = (fixed(v, 3) for v in (bias["mean"], bias["sd"], m["largest_error"], m["median_half_width"]))
        held = f"{c['count']} of {c['n']}" if c["n"] else NONE
        rows.append(
            (name, m["unit"] or NONE, *map(typeset, sizes), held, share(c["share"]) if c["n"] else NONE)
        )
    columns = (
        "Measurement",
        "Unit",
        "Bias",
        "Scatter",
        "Largest error",
        "Median U",
        "Intervals that hold",
        "",
    )
    return table_view("Coverage of the 95 % intervals", columns, rows, text_columns=2)


def _curve(kind: Json) -> FigureView:
    curve = HitMiss(**kind["curve"])
    sizes, hits = np.array(kind["sizes"]), np.array(kind["hits"])
    x = np.linspace(float(sizes.min()), float(sizes.max()), 120)

    def apart(values: Any, level: float) -> tuple[Any, Any]:
        """Dots: each a line of its own, of next to no length."""
        at = np.full(2 * len(values), math.nan)
        at[::2] = values
        return at, np.where(np.isnan(at), math.nan, level)

    series = [
        ("found", "role-can", *apart(sizes[hits], 100.0)),
        ("passed", "role-can", *apart(sizes[~hits], 0.0)),
        ("logistic fit", "role-fit", x, 100 * curve.probability(x)),
    ]
    unit = kind["unit"]
    text = f"found {curve.hits} of {curve.n}"
    if curve.found_90 is not None:
        text += f", 90 % at {_amount(curve.found_90, unit)}"
        text += f", at most {_amount(curve.found_90_upper, unit)}" if curve.found_90_upper else ""
        if curve.found_90 <= x[-1]:
            series.append(
                ("size found with 90 %", "role-worst", np.full(2, curve.found_90), np.array([0.0, 90.0]))
            )
    return FigureView(
        kind="lines",
        title=kind["kind"].capitalize(),
        caption=f"{text[0].upper()}{text[1:]} (95 % confidence).",
        alt=f"Probability that a cell with {kind['kind']} does not pass against the fault's size: {text}",
        chart=charts.line_chart(series),
        x_label=f"size, {unit}",
        y_label="does not pass, %",
        legend=tuple((style, label, style == "role-can") for label, style, _, _ in series),
        anchor=f"curve-{''.join(c if c.isalnum() else '-' for c in kind['kind'])}",
    )
