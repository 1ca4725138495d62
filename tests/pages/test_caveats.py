"""What a verdict rests on stands beside it."""

from __future__ import annotations

import copy
from typing import Any

from html_outline import Outline
from report_examples import (
    bare_record,
    check,
    with_verdict,
)

from xctrules.pages.report import render_report


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


def test_warnings_are_announced_beside_the_verdict(outline: Outline) -> None:
    head, rest = outline.text.split("Dot: measured value")
    assert "0.1 % of each length is assumed" in head and "0.1 % of each length is assumed" in rest


def test_of_many_warnings_the_first_stand_beside_the_verdict() -> None:
    record = bare_record()
    record["warnings"] = [f"oddity {k} <b>" for k in range(5)]
    head, rest = Outline(render_report(record, {})).text.split("Dot: measured value")
    assert [k for k in range(5) if f"oddity {k} <b>" in head] == [0, 1, 2]
    assert "2 more warnings are listed under Scan and acquisition" in head
    assert all(f"oddity {k} <b>" in rest for k in range(5))


def test_a_broken_plugin_is_named_beside_the_verdict(outline: Outline) -> None:
    head = outline.text.split("Dot: measured value")[0]
    assert "A plugin did something wrong (centre_pin)" in head
