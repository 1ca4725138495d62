"""Where a verdict comes from, as text: the scan, the acquisition, the software, the run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from xctrules.core import wording
from xctrules.pages.typography import typeset

Json = Mapping[str, Any]


def headline(record: Json) -> tuple[tuple[str, str], ...]:
    """What stands under the verdict: cell, spec, time, operator, scan, each as (name, text)."""
    scan, run = record.get("scan") or {}, record.get("run") or {}
    rows = [("Cell", str(record.get("cell_id", ""))), ("Spec", _spec_name(record))]
    if run.get("started"):
        rows.append(("Inspected", _time_text(str(run["started"]))))
    if run.get("operator"):
        rows.append(("Operator", str(run["operator"])))
    if scan.get("shape"):
        size = " × ".join(str(n) for n in scan["shape"])
        voxel = scan.get("voxel_size_mm")
        rows.append(("Scan", f"{size} voxels" + (f" of {_voxel_text(voxel)}" if voxel else "")))
    return tuple(rows)


def _spec_name(record: Json) -> str:
    spec = record.get("spec") or {}
    version = spec.get("version")
    return f"{spec.get('name', 'none')}" + (f", version {version}" if version else "")


def _time_text(stamp: str) -> str:
    """An ISO 8601 time in the form that people read: space for T, UTC in words, no fractions."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)?", stamp)
    if match is None:
        return stamp
    date, time, zone = match.groups()
    return f"{date} {time}" + ({"Z": " UTC", "+00:00": " UTC"}.get(zone, f" {zone}") if zone else "")


def _voxel_text(voxel: Sequence[float]) -> str:
    return " × ".join(f"{1000 * float(v):.4g}" for v in voxel) + "\u00a0µm (z, y, x)"


def scan(record: Json) -> tuple[tuple[str, str], ...]:
    """All that the record knows of the scan, as (name, text)."""
    scan = record.get("scan") or {}
    rows = []
    for key, value in scan.items():
        if key in ("sha256", "sources", "warnings"):
            continue
        if key == "voxel_size_mm" and value:
            rows.append(("voxel size (z, y, x)", " × ".join(f"{float(v):.6g}" for v in value) + "\u00a0mm"))
        elif key == "shape" and value:
            rows.append(("shape (z, y, x)", " × ".join(str(v) for v in value)))
        else:
            rows += [(name.replace("_", " "), text) for name, text in flat(value, key)]
    return tuple(rows)


def acquisition(record: Json) -> tuple[tuple[tuple[str, str, str], ...], tuple[str, ...]]:
    """What is known of the acquisition as (name, value, where it came from), and the names of what is not."""
    sources = record.get("acquisition_sources") or (record.get("scan") or {}).get("sources") or {}
    known, unknown = [], []
    for name, value in flat(record.get("acquisition") or {}):
        if value == wording.NONE:
            unknown.append(name)
        else:
            known.append(
                (name, value, str(sources.get(name) or sources.get(name.split(".")[0]) or wording.NONE))
            )
    return tuple(known), tuple(unknown)


def steps(run: Json) -> tuple[tuple[str, str], ...]:
    """How long each step of the run took, as (name, text)."""
    steps = run.get("steps") or {}
    pairs = (
        steps.items()
        if isinstance(steps, Mapping)
        else ((s.get("name", ""), s.get("seconds")) for s in steps if isinstance(s, Mapping))
    )
    return tuple(
        (str(n), typeset(f"{float(s):.2f} s") if isinstance(s, int | float) else wording.rounded(s))
        for n, s in pairs
    )


def files(record: Json) -> tuple[tuple[str, str], ...]:
    """Name and SHA-256 of every file beside the record."""
    files = record.get("files") or ()
    if isinstance(files, Mapping):
        return tuple((str(name), str(digest)) for name, digest in files.items())
    return tuple((str(f.get("name", f.get("file", ""))), str(f.get("sha256", ""))) for f in files)


def flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested JSON as dotted names and text."""
    if isinstance(value, Mapping):
        if not value:
            return [(prefix, "none")] if prefix else []
        return [
            pair
            for key, item in value.items()
            for pair in flat(item, f"{prefix}.{key}" if prefix else str(key))
        ]
    if isinstance(value, list | tuple):
        if all(not isinstance(item, Mapping | list | tuple) for item in value):
            return [(prefix, ", ".join(_exact(item) for item in value) or "none")]
        return [pair for i, item in enumerate(value) for pair in flat(item, f"{prefix}[{i}]")]
    return [(prefix, _exact(value))]


def _exact(value: Any) -> str:
    return typeset(wording.exact(value)) if isinstance(value, float) else wording.exact(value)
