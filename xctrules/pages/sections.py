"""One section for each metric: its figures, its measurements, and what could not be measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xctrules.core.names import place_of, places_in_view
from xctrules.pages.anchors import Anchors
from xctrules.pages.figure_views import FigureView, figure_view
from xctrules.pages.rows import MeasurementRow, measurement_row

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Failure:
    """A plugin that stopped with an error."""

    plugin: str
    metric: str
    message: str
    traceback: str


@dataclass(frozen=True)
class Absent:
    """Measurements without a value for one common reason."""

    names: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class SectionView:
    """One metric: its figures and its measurements."""

    anchor: str
    title: str
    about_the_scan: bool
    figures: tuple[FigureView, ...]
    measured: tuple[MeasurementRow, ...]
    by_place: tuple[MeasurementRow, ...]
    absent: tuple[Absent, ...]
    failed: tuple[Absent, ...]
    failures: tuple[Failure, ...] = ()


def sections(record: Json, images: Mapping[str, bytes], anchors: Anchors) -> tuple[SectionView, ...]:
    """One section for each metric, in the record's order; the rest of the measurements follow."""
    descriptions = record.get("descriptions") or {}
    rows = {
        name: measurement_row(name, m, descriptions.get(name) or {})
        for name, m in (record.get("measurements") or {}).items()
    }
    places = places_in_view(record.get("scope") or {})
    broken = failures(record)
    taken: set[str] = set()
    views = []
    described = list(record.get("sections") or ())
    known = {str(section["metric"]) for section in described}
    strays = dict.fromkeys(name.split(".")[0] for name in rows)
    named = {str(n) for section in described for n in section.get("measurements") or ()}
    described += [
        {"metric": stem, "title": stem.replace("_", " ").capitalize(), "figures": []}
        for stem in strays
        if stem not in known and any(n.split(".")[0] == stem and n not in named for n in rows)
    ]
    for section in described:
        metric = str(section["metric"])
        own = section.get("measurements")
        names = [
            name
            for name in rows
            if name not in taken and (name in own if own is not None else name.split(".")[0] == metric)
        ]
        taken.update(names)
        mine = [rows[name] for name in names]
        measured = [row for row in mine if row.status == "measured"]
        views.append(
            SectionView(
                anchor=anchors.new(f"metric-{metric}"),
                title=str(section.get("title") or metric),
                about_the_scan=bool(section.get("about_the_scan")),
                figures=tuple(figure_view(f, anchors, images) for f in section.get("figures") or ()),
                measured=tuple(row for row in measured if place_of(row.name, places) is None),
                by_place=tuple(row for row in measured if place_of(row.name, places) is not None),
                absent=_absent([row for row in mine if row.status not in ("measured", "failed")]),
                failed=_absent([row for row in mine if row.status == "failed"]),
                failures=tuple(f for f in broken if f.metric == metric),
            )
        )
    return tuple(views)


def _absent(rows: Sequence[MeasurementRow]) -> tuple[Absent, ...]:
    """Measurements without a value, those of one reason together."""
    names: dict[str, list[str]] = {}
    for row in rows:
        reason = row.reason or "no reason was given"
        if row.status == "not_applicable":
            reason = f"not applicable: {reason}"
        names.setdefault(reason, []).append(row.name)
    return tuple(Absent(tuple(listed), reason) for reason, listed in names.items())


def failures(record: Json) -> tuple[Failure, ...]:
    """Every plugin's error that the record holds."""
    return tuple(
        Failure(
            plugin=str(f.get("plugin") or "unknown"),
            metric=str(f.get("metric") or ""),
            message=str(f.get("message") or "stopped with an error"),
            traceback=str(f.get("traceback") or ""),
        )
        for f in record.get("failures") or ()
    )
