"""The record and its images inside a report come back as they went in."""

from __future__ import annotations

import hashlib
import html
import json
import re
from typing import Any

import pytest
from report_examples import (
    HOSTILE,
    full_record,
    hostile_record,
)

from xctrules.core.canonical import canonical_bytes
from xctrules.core.errors import RecordError
from xctrules.pages.embedding import embedded_images, embedded_record
from xctrules.pages.report import render_report


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


def test_html_entities_in_image_names_survive() -> None:
    record, images = full_record()
    figure = next(f for s in record["sections"] for f in s["figures"] if f["kind"] == "image")
    name = 'images/a&b"<c>.png'
    images[name] = images.pop(figure["image"]["file"])
    figure["image"]["file"] = name
    report = render_report(record, images)
    assert html.escape(name) in report or html.escape(name, quote=True).replace("&quot;", "&#34;") in report
    assert embedded_images(report) == images
