"""Each measurement stands in its section, and what could not be measured says why."""

from __future__ import annotations

from typing import Any

from html_outline import Outline
from report_examples import (
    full_record,
    measured,
)

from xctrules.pages.report import render_report


def test_missing_and_failed_measurements_say_why(outline: Outline) -> None:
    assert "could not be followed at any height: winding.core_collapse" in outline.text
    assert "less than 10 mm of height in view: screening.cone_beam_index" in outline.text
    assert "not applicable: the lower end is not in view: overhang.bottom.length.min" in outline.text
    failed = outline.text.split("plugin centre_pin failed: division by zero: ")[1]
    assert failed.startswith("centre_pin.diameter")
    assert 'File "pin.py", line 12' in failed


def test_measurements_of_one_end_are_folded_but_there() -> None:
    record, images = full_record()
    record["measurements"]["overhang.top.length.min"] = record["measurements"]["overhang.length.min"]
    outline = Outline(render_report(record, images))
    assert "Each end by itself: 1 measurement" in outline.text
    assert "overhang.top.length.min" in outline.text


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
