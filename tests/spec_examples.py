"""Specs as text, for tests of reading and merging them."""

from __future__ import annotations

from pathlib import Path

KNOWN = {
    "canister.outer_diameter": "mm", "canister.inner_diameter": "mm", "canister.tilt": "deg",
    "winding.turns": "1",    "overhang.length.min": "mm",
}  # fmt: skip

HEAD = """\
schema: xctrules.spec/1
name: mine
version: "1"
"""

GOOD = """\
schema: xctrules.spec/1
name: mine
version: 1.10
nominal:
  outer_diameter: {value: 21, unit: mm}
rules:
  - id: od
    measurement: canister.outer_diameter
    min: {value: 20.9, source: "drawing A", status: drawing}
    max: 21.25
    unit: mm
    source: datasheet B
    status: datasheet
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path
