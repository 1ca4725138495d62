"""The pages of an archive: a list of cells to look through, and for each what was measured, judged and said.

In: rows of the archive's index. Out: text of files. All of it stands in one file of data, from which a script
draws what fits, as far as it is scrolled; who runs no scripts leafs through plain lists of the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xctrules.pages.environment import environment
from xctrules.pages.outcomes import VERDICTS, Outcome

Row = Mapping[str, Any]

PER_LIST = 200
"""Cells on a page of the lists that need no script, and at the beginning of the first page."""


@dataclass(frozen=True)
class Event:
    """A line of a cell's history; ``record`` is the SHA-256 of the record that it is about."""

    when: str
    what: str
    record: str


@dataclass(frozen=True)
class Cell:
    """A cell: its records, the newest first, and its history, the newest first."""

    cell_id: str
    records: tuple[Row, ...]
    history: tuple[Event, ...]

    @property
    def newest(self) -> Row:
        return self.records[0]


@dataclass(frozen=True)
class Head:
    """What the pages say of the log: whose it is, how far it goes, its checkpoint and key in words."""

    origin: str
    size: int
    newest: str
    checkpoint: str
    key: str | None
    nonce: str


def cells_of(records: Sequence[Row], said: Mapping[str, Sequence[Row]]) -> list[Cell]:
    """Cells in the order of their newest entries, the newest first.

    Parameters
    ----------
    records
        Rows of the index in the log's order.
    said
        What was said of each record, by its SHA-256.
    """
    of_cell: dict[str, list[Row]] = {}
    for row in records:
        of_cell.setdefault(str(row["cell_id"]), []).append(row)
    cells = [_cell(name, rows, said) for name, rows in of_cell.items()]
    return sorted(cells, key=lambda cell: int(cell.newest["entry"]), reverse=True)


def _cell(name: str, rows: Sequence[Row], said: Mapping[str, Sequence[Row]]) -> Cell:
    events = [(int(row["entry"]), 0, _about_record(row)) for row in rows]
    for row in rows:
        for each in said.get(str(row["record"]), ()):
            events.append((int(each["entry"]), 1 + int(each["rank"]), _about_said(each)))
    events.sort(key=lambda event: event[:2], reverse=True)
    newest_first = sorted(rows, key=lambda row: int(row["entry"]), reverse=True)
    return Cell(name, tuple(newest_first), tuple(event for *_, event in events))


def _about_record(row: Row) -> Event:
    how = "judged again" if row["rejudges"] else "measured and judged"
    verdict = Outcome.of(row["verdict"]).word
    return Event(day(row["added"]), f"{how} by {spec_of(row)}: {verdict}", str(row["record"]))


def _about_said(each: Row) -> Event:
    why = f": {each['reason']}" if each["reason"] else ""
    return Event(
        day(each["time"]), f"{each['meaning']}, signed as {each['signer']}{why}", str(each["record"])
    )


def spec_of(row: Row) -> str:
    return f"{row['spec']} {row['spec_version']}"


def day(time: str | None) -> str:
    return (time or "")[:10]


def facts_of(row: Row) -> str:
    """Format, lot, day and spec on one line; the script says the same."""
    lot = f"lot {row['lot']}" if row["lot"] else ""
    parts = (row["format"] or "", lot, day(row["measured"]), f"spec {spec_of(row)}")
    return " · ".join(part for part in parts if part)


def folder_of(record_sha256: str) -> str:
    return f"records/{record_sha256[:2]}/{record_sha256}"


def thumbnail_of(record_sha256: str) -> str:
    return f"pages/thumbnails/{record_sha256[:2]}/{record_sha256}.jpg"


def data_script(cells: Sequence[Cell], pictured: frozenset[str]) -> str:
    """The data as a script that the page loads: ASCII, arrays alone, no text that could end or become code.

    Parameters
    ----------
    pictured
        Records that have a thumbnail.
    """
    rows = [
        [
            cell.cell_id,
            [_record_data(row, str(row["record"]) in pictured) for row in cell.records],
            [[event.when, event.what, event.record] for event in cell.history],
        ]
        for cell in cells
    ]
    verdicts = [
        [code, Outcome.of(code).word, Outcome.of(code).symbol, Outcome.of(code).css] for code in VERDICTS
    ]
    data = {"verdicts": verdicts, "cells": rows}
    return f"globalThis.xctrulesArchive = {json.dumps(data, ensure_ascii=True, separators=(',', ':'))};\n"


def _record_data(row: Row, pictured: bool) -> list[Any]:
    return [
        row["entry"], row["record"], row["verdict"], row["state"], row["format"] or "", row["lot"] or "",
        row["spec"], row["spec_version"], day(row["measured"]), list(row["failed"]), int(pictured),
    ]  # fmt: skip


def render_archive(cells: Sequence[Cell], pictured: frozenset[str], head: Head) -> str:
    """The first page: what to look for, the newest cells, the log's head and how to check it."""
    pages = -(-len(cells) // PER_LIST)
    return _render("archive.html.j2", cells[:PER_LIST], pictured, head, up="", total=len(cells), pages=pages)


def render_list(cells: Sequence[Cell], number: int, pictured: frozenset[str], head: Head) -> str:
    """One of the plain lists, of which the first one has number 1."""
    some = cells[(number - 1) * PER_LIST : number * PER_LIST]
    pages = -(-len(cells) // PER_LIST)
    return _render(
        "archive_list.html.j2", some, pictured, head, up="../", total=len(cells), pages=pages, number=number
    )


def _render(
    name: str, cells: Sequence[Cell], pictured: frozenset[str], head: Head, up: str, **more: Any
) -> str:
    return environment().get_template(name).render(
        cells=cells, pictured=pictured, head=head, up=up, outcome=Outcome.of, facts_of=facts_of,
        folder_of=folder_of, thumbnail_of=thumbnail_of, **more,
    )  # fmt: skip
