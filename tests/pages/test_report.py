"""The report: everything from the record, nothing from elsewhere, safe with hostile text."""

from __future__ import annotations

import copy
import json
import re
from itertools import pairwise
from typing import Any

import pytest
from html_outline import Outline
from report_examples import (
    DECISION_RULES,
    HOSTILE,
    VERDICT_CODES,
    bare_record,
    full_record,
    hostile_record,
    with_verdict,
)

from xctrules.core.canonical import canonical_bytes
from xctrules.pages.embedding import embedded_images, embedded_record
from xctrules.pages.report import notebook_html, render_report


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


def test_notebook_shows_the_report_in_a_frame(example: tuple[dict[str, Any], dict[str, bytes]]) -> None:
    report = render_report(*example)
    (frame,) = Outline(notebook_html(report)).all("iframe")
    assert frame["srcdoc"] == report
    assert frame["sandbox"] == ""
    assert frame["title"]
