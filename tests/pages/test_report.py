"""The report: everything from the record, nothing from elsewhere, safe with hostile text."""

from __future__ import annotations

import copy
import hashlib
import html
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from report_examples import (
    DECISION_RULES,
    VERDICT_CODES,
    bare_record,
    check,
    full_record,
    hostile_texts,
    measured,
    with_verdict,
)

from xctrules.core.canonical import canonical_bytes
from xctrules.core.errors import RecordError
from xctrules.pages.embedding import embedded_images, embedded_record
from xctrules.pages.report import notebook_html, render_report

VOID = {"meta", "img", "br", "wbr", "link", "hr", "input"}
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><script>",
    "<!--",
    "{{ 7 * 7 }}",
    "a\\u003cb",
    "\\\\u003c<",
    "'\"&amp;&lt;",
    "]]>\u2028\u00e9",
)


class Outline(HTMLParser):
    """Every element of a document with its attributes, and the text outside of scripts and styles."""

    def __init__(self, document: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(document)
        self.close()
        self.unbalanced += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1] == tag:
            self._open.pop()
        else:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self._open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words).replace("\u00a0", " "))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def example() -> tuple[dict[str, Any], dict[str, bytes]]:
    return full_record()


@pytest.fixture(scope="module")
def outline(example: tuple[dict[str, Any], dict[str, bytes]]) -> Outline:
    return Outline(render_report(*example))


# --- the file --------------------------------------------------------------------------------------------


def test_elements_nest(outline: Outline) -> None:
    assert outline.unbalanced == []


def test_nothing_is_fetched_and_nothing_runs(outline: Outline) -> None:
    for tag, attributes in outline.elements:
        for name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
            if name in attributes:
                assert attributes[name].startswith(("data:image/", "#")), (tag, name, attributes[name][:60])
        assert not [name for name in attributes if name.startswith("on")], tag
        assert tag not in ("link", "iframe", "object", "embed", "base")
    assert [s["type"] for s in outline.all("script")] == ["application/json"]


def test_styles_fetch_nothing(example: tuple[dict[str, Any], dict[str, bytes]]) -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", render_report(*example), re.S)
    assert "@import" not in style
    assert "url(" not in style


def test_images_and_drawings_can_be_read_aloud(outline: Outline) -> None:
    assert outline.all("img")
    assert all(image["alt"].strip() for image in outline.all("img"))
    assert outline.all("svg")
    assert all(svg["role"] == "img" and svg["aria-label"].strip() for svg in outline.all("svg"))


def test_ids_are_unique_and_links_lead_somewhere(outline: Outline) -> None:
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {link["href"][1:] for tag in ("a", "use") for link in outline.all(tag)}
    assert targets <= set(ids)
    painted = {
        match
        for _, attributes in outline.elements
        for match in re.findall(r"url\(#([^)]+)\)", attributes.get("fill", ""))
    }
    assert painted
    assert painted <= set(ids)


def test_headings_skip_no_level(outline: Outline) -> None:
    levels = [int(tag[1]) for tag, _ in outline.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_drawing_twice_gives_the_same_text(example: tuple[dict[str, Any], dict[str, bytes]]) -> None:
    record, images = example
    again = json.loads(canonical_bytes(record))
    shuffled = dict(reversed(list(images.items())))
    assert render_report(record, images) == render_report(again, shuffled)


def test_drawing_leaves_the_record_alone() -> None:
    record, images = full_record()
    before = copy.deepcopy(record)
    render_report(record, images)
    assert record == before


def test_two_figures_of_one_id_get_two_anchors() -> None:
    record, images = full_record()
    record["sections"].append(copy.deepcopy(record["sections"][0]))
    ids = [a["id"] for _, a in Outline(render_report(record, images)).elements if "id" in a]
    assert len(ids) == len(set(ids))


# --- the record inside -----------------------------------------------------------------------------------


def hostile_record(text: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    record, images = full_record()
    hostile_texts(record, text)
    return record, images


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    record, images = hostile_record(text)
    report = render_report(record, images)
    outline = Outline(report)
    assert outline.unbalanced == []
    assert len(outline.all("script")) == 1
    assert not [a for _, a in outline.elements if any(name.startswith("on") for name in a)]
    assert re.sub(r"\s+", " ", text).strip() in outline.text
    assert embedded_record(report)[0] == canonical_bytes(record)
    assert embedded_images(report) == images


def test_record_and_images_come_back_byte_for_byte(example: tuple[dict[str, Any], dict[str, bytes]]) -> None:
    record, images = example
    found, stated = embedded_record(render_report(record, images))
    assert found == canonical_bytes(record)
    assert stated == hashlib.sha256(canonical_bytes(record)).hexdigest()
    assert embedded_images(render_report(record, images)) == images


def test_embedded_record_is_json_as_it_stands(example: tuple[dict[str, Any], dict[str, bytes]]) -> None:
    """Other programs need not know of the escape: to a JSON parser it is the same value."""
    record, images = hostile_record(HOSTILE[0])
    script = re.findall(r'id="record"[^>]*>(.*?)</script>', render_report(record, images), re.S)
    assert json.loads(script[0]) == json.loads(canonical_bytes(record))


def test_a_report_without_its_record_is_refused(example: tuple[dict[str, Any], dict[str, bytes]]) -> None:
    report = render_report(*example)
    start = report.index('<script type="application/json"')
    with pytest.raises(RecordError, match="no record"):
        embedded_record(report[:start])
    with pytest.raises(RecordError, match="2 records"):
        embedded_record(report + report[start:])


def test_a_changed_image_is_noticed(example: tuple[dict[str, Any], dict[str, bytes]]) -> None:
    report = render_report(*example)
    start = report.index("base64,") + len("base64,")
    broken = report[:start] + "=" + report[start + 1 :]
    with pytest.raises(RecordError, match="decoded"):
        embedded_images(broken)
    image = report[report.index("<img") :]
    image = image[: image.index(">") + 1]
    other = image.replace("base64,", "base64,AAAA")
    with pytest.raises(RecordError, match="different"):
        embedded_images(report + other)


def test_a_missing_image_is_named(example: tuple[dict[str, Any], dict[str, bytes]]) -> None:
    record, images = example
    name = next(iter(images))
    with pytest.raises(RecordError, match=re.escape(name)):
        render_report(record, {other: data for other, data in images.items() if other != name})


# --- what it says ----------------------------------------------------------------------------------------


WORDS = {
    "PASS": "Pass",
    "CONDITIONAL_PASS": "Conditional pass",
    "INCOMPLETE": "Incomplete",
    "CONDITIONAL_FAIL": "Conditional fail",
    "FAIL": "Fail",
    "SCAN_REJECTED": "Scan rejected",
}


@pytest.mark.parametrize("code", [*VERDICT_CODES, "INCOMPLETE", "SCAN_REJECTED"])
def test_verdict_stands_first_in_words_with_its_scope(
    code: str, example: tuple[dict[str, Any], dict[str, bytes]]
) -> None:
    record, images = example
    text = Outline(render_report(with_verdict(record, code), images)).text
    place = text.index(f"{WORDS[code]} for the top end, 6.8 of 70.0 mm seen", text.index("inspection report"))
    assert place < text.index("Why") < text.index("Measured")
    assert all(reason in text for reason in record["reasons"])


def test_order_is_verdict_rules_evidence_provenance(outline: Outline) -> None:
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    wanted = ["verdict", "rules", "other-rules", "metric-canister", "metric-overhang", "metric-winding",
              "scan", "metric-screening", "provenance", "record"]  # fmt: skip
    assert [i for i in ids if i in wanted] == wanted


def test_shaky_ground_is_named_beside_the_verdict(example: tuple[dict[str, Any], dict[str, bytes]]) -> None:
    record, images = copy.deepcopy(example)
    head = Outline(render_report(record, images)).text.split("Dot: measured value")[0]
    assert "limits in use are indicative" in head
    assert "The uncertainty of the voxel size was not stated" in head
    record["acquisition"]["voxel_scale_relative_uncertainty"] = 0.0005
    for one in record["checks"]:
        one["status"] = "drawing"
    head = Outline(render_report(record, images)).text.split("Dot: measured value")[0]
    assert "indicative" not in head
    assert "was not stated" not in head


def test_a_rejected_scan_rests_on_nothing_else() -> None:
    head = Outline(render_report(with_verdict(bare_record(), "SCAN_REJECTED"), {})).text
    assert "What the verdict rests on" not in head
    assert "cannot be given" in head


def test_a_rule_out_of_scope_makes_no_shaky_ground() -> None:
    record = bare_record()
    record["checks"] = [
        check("Lower end", "overhang.bottom.length.min", "NOT_APPLICABLE", status="indicative")
    ]
    assert "indicative, backed" not in Outline(render_report(record, {})).text


def test_each_rule_shows_what_it_was_decided_from(outline: Outline) -> None:
    for wanted in ("21.210 ± 0.043 mm", "at most 21.25 mm", "21700.yaml:14", "Samsung INR21700-50S", "97.1 %",
                   "0.1 to 0.34 mm", "14.8 : 1", "guard band 0.043 mm", "no value"):  # fmt: skip
        assert wanted in outline.text, wanted


def test_verdict_under_each_other_rule() -> None:
    record, images = full_record()
    record["verdict_under_other_rules"] = dict(
        zip(DECISION_RULES, ("PASS", "FAIL", "CONDITIONAL_PASS", "CONDITIONAL_FAIL"), strict=True)
    )
    part = Outline(render_report(record, images)).text.split("The cell ")[1].split("Outer diameter")[0]
    assert re.findall(r"(?:Conditional )?(?:[Pp]ass|[Ff]ail)", part) == [
        "Pass",
        "Fail",
        "Conditional pass",
        "Conditional fail",
    ]


def test_missing_and_failed_measurements_say_why(outline: Outline) -> None:
    assert "could not be followed at any height: winding.core_collapse" in outline.text
    assert "less than 10 mm of height in view: screening.cone_beam_index" in outline.text
    assert "not applicable: the lower end is not in view: overhang.bottom.length.min" in outline.text
    failed = outline.text.split("plugin centre_pin failed: division by zero: ")[1]
    assert failed.startswith("centre_pin.diameter")
    assert 'File "pin.py", line 12' in failed


def test_warnings_are_announced_beside_the_verdict(outline: Outline) -> None:
    head, rest = outline.text.split("Dot: measured value")
    assert "1 warning about the scan is listed under Scan and acquisition" in head
    assert "0.1 % of each length is assumed" in rest


def test_a_broken_plugin_is_named_beside_the_verdict(outline: Outline) -> None:
    head = outline.text.split("Dot: measured value")[0]
    assert "A plugin did something wrong (centre_pin)" in head


def test_measurements_of_one_end_are_folded_but_there() -> None:
    record, images = full_record()
    record["measurements"]["overhang.top.length.min"] = record["measurements"]["overhang.length.min"]
    outline = Outline(render_report(record, images))
    assert "Each end by itself: 1 measurement" in outline.text
    assert "overhang.top.length.min" in outline.text


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


def test_what_is_known_of_the_acquisition_says_where_from(outline: Outline) -> None:
    part = outline.text.split("Taken from")[1].split("How to check this report")[0]
    assert "slice_ordertop_to_bottomacquisition.yaml" in part  # cells of one row
    unknown = part.split("Not stated:")[1]
    assert "tube_voltage_kv" in unknown
    assert "slice_order" not in unknown


def test_every_measurement_of_the_record_is_in_the_report(
    example: tuple[dict[str, Any], dict[str, bytes]], outline: Outline
) -> None:
    for name in example[0]["measurements"]:
        assert name in outline.text, name


def test_measurements_of_a_section_are_those_that_it_names() -> None:
    record, images = full_record()
    record["measurements"] = {"shaft.width": measured(2.5, "mm", ("noise", 0.01, "A", False))}
    record["checks"] = []
    record["sections"] = [
        {"metric": "core", "title": "Core", "measurements": ["shaft.width"], "figures": []},
        {"metric": "can", "title": "Can", "measurements": [], "figures": []},
    ]
    text = Outline(render_report(record, images)).text
    core = text[text.index("Core", text.index("Rules The spec")) : text.index("Can Nothing to show")]
    assert "shaft.width" in core
    assert "Shaft" not in text


def test_provenance_is_complete(example: tuple[dict[str, Any], dict[str, bytes]], outline: Outline) -> None:
    record, _ = example
    for plugin in record["plugins"]:
        assert plugin["sha256"] in outline.text
    for wanted in (record["spec"]["sha256"], record["scan"]["sha256"], "lab-ct-3", "samples/overhang.csv",
                   "bb" * 32, "xctrules verify", "edge_level", "acquisition.yaml", "height_mm: 70.0 # <mm>",
                   hashlib.sha256(canonical_bytes(record)).hexdigest()):  # fmt: skip
        assert wanted in outline.text, wanted


@pytest.mark.parametrize("verdict", ["INCOMPLETE", "SCAN_REJECTED"])
def test_a_record_with_nothing_measured_is_drawn(verdict: str) -> None:
    outline = Outline(render_report(with_verdict(bare_record(), verdict), {}))
    assert WORDS[verdict] in outline.text
    assert outline.unbalanced == []
    assert "the can was not found in the scan" in outline.text


def test_a_record_with_the_least_is_drawn() -> None:
    least = {
        "schema": "xctrules.record/1",
        "cell_id": "x",
        "verdict": "INCOMPLETE",
        "measurements": {},
        "checks": [],
    }
    outline = Outline(render_report(least, {}))
    assert "Incomplete for an unknown part of the cell" in outline.text
    assert outline.unbalanced == []


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


def test_notebook_shows_the_report_in_a_frame(example: tuple[dict[str, Any], dict[str, bytes]]) -> None:
    report = render_report(*example)
    (frame,) = Outline(notebook_html(report)).all("iframe")
    assert frame["srcdoc"] == report
    assert frame["sandbox"] == ""
    assert frame["title"]


def test_html_entities_in_image_names_survive() -> None:
    record, images = full_record()
    figure = next(f for s in record["sections"] for f in s["figures"] if f["kind"] == "image")
    name = 'images/a&b"<c>.png'
    images[name] = images.pop(figure["image"]["file"])
    figure["image"]["file"] = name
    report = render_report(record, images)
    assert html.escape(name) in report or html.escape(name, quote=True).replace("&quot;", "&#34;") in report
    assert embedded_images(report) == images
