"""The page of a validation."""

from __future__ import annotations

import re

from validation_examples import found_in, invented

from xctrules.campaigns.validation.page import render


def test_a_case_that_crashed_is_told_and_does_not_hold() -> None:
    rows = [invented(i, {}, 0.1) for i in range(5)]
    rows.append({"index": 5, "kind": "mixed", "error": "Traceback: <oops>", "measurements": {}})
    found = found_in(rows)
    assert found["holds"] is False
    html = render(found)
    assert "&lt;oops&gt;" in html
    assert "<oops>" not in html


def test_the_page_needs_no_network_and_says_what_its_pictures_show() -> None:
    rows = [
        invented(
            i,
            {},
            0.1,
            kind="faults",
            spec={"buckle": {"theta_deg": 0.0, "width_deg": 90.0, "amplitude_mm": 0.1}},
        )
        for i in range(12)
    ]
    html = render(found_in(rows))
    assert not re.search(r'(?:src|href)="(?!#|data:)', html)
    pictures = re.findall(r"<svg[^>]*>|<img[^>]*>", html)
    assert len(pictures) >= 3
    for picture in pictures:
        assert re.search(r'(?:aria-label|alt)="[^"]{10,}"', picture), picture


def test_what_does_not_hold_stands_in_plain_words_at_the_top() -> None:
    found = found_in([invented(i, {"canister.outer_diameter": -0.5}, 1.0) for i in range(30)])
    html = render(found)
    top = html[: html.index("<nav")]
    assert "Validation does not hold" in top
    assert "bias: canister.outer_diameter (−0.500" in top.replace("\u00a0", " ")
