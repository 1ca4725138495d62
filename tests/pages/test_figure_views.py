"""Figures as they are drawn, also where a plugin filled them with the wrong things."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from html_outline import Outline
from report_examples import (
    full_record,
)

from xctrules.core.errors import RecordError
from xctrules.pages.report import render_report


def test_two_figures_of_one_id_get_two_anchors() -> None:
    record, images = full_record()
    record["sections"].append(copy.deepcopy(record["sections"][0]))
    ids = [a["id"] for _, a in Outline(render_report(record, images)).elements if "id" in a]
    assert len(ids) == len(set(ids))


def test_a_missing_image_is_named(example: tuple[dict[str, Any], dict[str, bytes]]) -> None:
    record, images = example
    name = next(iter(images))
    with pytest.raises(RecordError, match=re.escape(name)):
        render_report(record, {other: data for other, data in images.items() if other != name})


def test_lines_of_one_role_can_be_told_apart() -> None:
    record, images = full_record()
    chart = next(f for f in record["sections"][0]["figures"] if f["kind"] == "lines")
    for series in chart["series"]:
        series["role"] = "can"
    curves = [
        p["class"] for p in Outline(render_report(record, images)).all("path") if "role-can" in p["class"]
    ]
    assert len(curves) == len(set(curves)) == len(chart["series"])


def test_a_line_without_a_label_goes_on_in_the_style_before_it() -> None:
    record, images = full_record()
    figure = next(f for f in record["sections"][0]["figures"] if f.get("overlays"))
    line = {"points": [[0, 0], [5, 5]], "role": "can", "marker": False, "closed": False}
    figure["overlays"] = [{**line, "label": label} for label in ("outer", "", "inner", "")]
    drawn = Outline(render_report(record, images)).all("use")
    styles = [use["class"] for use in drawn if "role-can" in use["class"]][:4]
    assert styles[0] == styles[1] != styles[2] == styles[3]


def test_figures_with_nothing_in_them_are_drawn() -> None:
    record, images = full_record()
    for section in record["sections"]:
        for figure in section["figures"]:
            if figure["kind"] == "histogram":
                figure.update(edges=[0.0, 0.5, 1.0], counts=[0, 0], marks=[["limit", None]])
            elif figure["kind"] == "lines":
                figure["series"] = [{"label": "none", "role": "fit", "x": [None, 1.0], "y": [1.0, None]}]
            elif figure["kind"] == "table":
                figure["rows"] = []
            else:
                figure["overlays"] = [{"points": [None, None], "role": "fit", "label": "none", "marker": False, "closed": True}]  # noqa: E501  # fmt: skip
    outline = Outline(render_report(record, images))
    assert outline.unbalanced == []
    assert "nan" not in {word.lower() for word in outline.text.split()}


@pytest.mark.parametrize(
    "change",
    [
        {"value_range": [None, None]},
        {"value_range": [0.2, 0.2]},
        {"value_range": None},
        {"x_axis": ["theta", None, 359.0], "y_axis": ["z", 1.0, 1.0]},
        {"pixel_mm": [None, 0.1]},
        {"pixel_mm": [0.0, 0.0]},
        {"edges": [None, None, None], "counts": [3, 4]},
        {"counts": [None] * 48},
        {"marks": [["limit", None], ["far", 1e300]]},
    ],
)
def test_numbers_that_a_plugin_lost_spoil_no_report(change: dict[str, Any]) -> None:
    """NaN and infinity stand as null in the record."""
    record, images = full_record()
    for section in record["sections"]:
        for figure in section["figures"]:
            figure.update({key: value for key, value in change.items() if key in figure})
    outline = Outline(render_report(record, images))
    assert outline.unbalanced == []
    for _, attributes in outline.elements:
        drawn = " ".join(
            attributes.get(key, "") for key in ("d", "x", "x1", "cx", "style", "viewbox", "width")
        )
        assert not re.search(r"nan|inf", drawn), drawn


def test_a_figure_filled_with_the_wrong_things_harms_no_other() -> None:
    record, images = full_record()
    figures = [f for s in record["sections"] for f in s["figures"]]
    table = next(f for f in figures if f["kind"] == "table")
    table["rows"][3] = [1]
    histogram = next(f for f in figures if f["kind"] == "histogram")
    histogram["edges"] = ["a", "b"]
    picture = next(f for f in figures if f["kind"] == "image")
    picture["colour_map"], picture["value_range"] = "rainbow", [0, 1]
    outline = Outline(render_report(record, images))
    assert outline.unbalanced == []
    assert outline.text.count("This figure cannot be drawn") == 3
    assert len(outline.all("figure")) == len(figures)
    assert table["title"] in outline.text


def test_a_figure_of_an_unknown_kind_is_refused() -> None:
    record, images = full_record()
    record["sections"][0]["figures"][0]["kind"] = "hologram"
    with pytest.raises(RecordError, match="hologram"):
        render_report(record, images)
