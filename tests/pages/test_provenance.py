"""What is known of a scan says where from."""

from __future__ import annotations

import hashlib
from typing import Any

from html_outline import Outline

from xctrules.core.canonical import canonical_bytes


def test_what_is_known_of_the_acquisition_says_where_from(outline: Outline) -> None:
    part = outline.text.split("Taken from")[1].split("How to check this report")[0]
    assert "slice_ordertop_to_bottomacquisition.yaml" in part  # cells of one row
    unknown = part.split("Not stated:")[1]
    assert "tube_voltage_kv" in unknown
    assert "slice_order" not in unknown


def test_provenance_is_complete(example: tuple[dict[str, Any], dict[str, bytes]], outline: Outline) -> None:
    record, _ = example
    for plugin in record["plugins"]:
        assert plugin["sha256"] in outline.text
    for wanted in (record["spec"]["sha256"], record["scan"]["sha256"], "lab-ct-3", "samples/overhang.csv",
                   "bb" * 32, "xctrules verify", "edge_level", "acquisition.yaml", "height_mm: 70.0 # <mm>",
                   hashlib.sha256(canonical_bytes(record)).hexdigest()):  # fmt: skip
        assert wanted in outline.text, wanted
