"""What the log says, as rows of an index: for each record, each rule not passed, each thing that was said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xctrules.core.errors import RecordError
from xctrules.records.archive import layout
from xctrules.records.archive.log import Log
from xctrules.records.folder import RECORD_NAME, SIGNATURE_SUFFIX, SIGNATURES_FOLDER
from xctrules.records.reading import read_bytes, read_record
from xctrules.records.signing.dsse import read_envelope, read_payload
from xctrules.records.signing.statement import Statement, read_statement

Json = Mapping[str, Any]
Row = dict[str, Any]


@dataclass
class Rows:
    """Rows by table, as the index holds them."""

    records: list[Row] = field(default_factory=list)
    failed: list[Row] = field(default_factory=list)
    said: list[Row] = field(default_factory=list)


def rows_of(log: Log, start: int, formats: dict[str, str], at_most: int = 2000) -> Iterator[Rows]:
    """Rows of the entries from ``start`` on, some thousand at a time.

    Parameters
    ----------
    formats
        Cell format by the spec's SHA-256; what is found is added, so that one record is read for each spec.

    Raises
    ------
    RecordError
        When an entry cannot be read: verify the archive then.
    """
    rows = Rows()
    for index, entry in enumerate(log.entries(start), start):
        _add_entry(rows, log, index, entry, formats)
        if len(rows.records) + len(rows.said) >= at_most:
            yield rows
            rows = Rows()
    yield rows


def _add_entry(rows: Rows, log: Log, index: int, entry: Json, formats: dict[str, str]) -> None:
    if entry["kind"] == "archive":
        return
    if entry["kind"] == "record":
        rows.records.append(_record_row(log, index, entry, formats))
        rows.failed += [
            {"record": entry["record"], "rule": clean(rule)} for rule in sorted(set(entry["not_passed"]))
        ]
    rows.said += [
        _said_row(index, entry, file, log) for file in entry["files"] if may_be_signed(file["name"])
    ]


def _record_row(log: Log, index: int, entry: Json, formats: dict[str, str]) -> Row:
    spec = entry["spec"]
    if spec["sha256"] not in formats:
        formats[spec["sha256"]] = _format(log, entry)
    return {
        "entry": index, "record": entry["record"], "cell_id": clean(entry["cell_id"]),
        "format": formats[spec["sha256"]], "lot": clean(entry["lot"]), "verdict": clean(entry["verdict"]),
        "spec": clean(spec["name"]), "spec_version": clean(spec["version"]),
        "spec_sha256": clean(spec["sha256"]),
        "measured": utc(entry["started"]), "added": clean(entry["added"]),
        "rejudges": clean(entry.get("rejudges")), "picture": _picture(entry),
    }  # fmt: skip


def _format(log: Log, entry: Json) -> str:
    """The format that a spec is of: the last one that it extends, or itself."""
    spec = entry["spec"]
    try:
        record, _ = read_record(log.folder / layout.file_path(entry, RECORD_NAME))
        names = [Path(str(parent["name"])).name for parent in record["spec"]["parents"]]
    except (RecordError, KeyError, TypeError):
        names = []  # the archive no longer holds there; its index is no place to say so
    return str(clean([spec["name"], *names][-1])).removesuffix(".yaml").removesuffix(".yml")


def _picture(entry: Json) -> str | None:
    """The picture to know a cell by: a slice where there is one."""
    names = [file["name"] for file in entry["files"] if file["name"].startswith("images/")]
    return min(names, key=lambda name: ("slice" not in name, name), default=None)


def may_be_signed(name: str) -> bool:
    """Whether a file of a record may be a signature, by its name."""
    loose = name.startswith(f"{SIGNATURES_FOLDER}/") and name.endswith(SIGNATURE_SUFFIX)
    return loose or (name.startswith(f"{layout.ADDED}/") and name.endswith(".json"))


def _said_row(index: int, entry: Json, file: Json, log: Log) -> Row:
    """What a signature says; of anything else, only that it came."""
    head = {"entry": index, "record": entry["record"], "file": file["name"], "added": clean(entry["added"])}
    statement = _statement(log, layout.file_path(entry, file["name"]))
    if statement is None:
        return {**head, "meaning": None, "signer": None, "time": None, "reason": None, "rank": 0}
    return {
        **head, "meaning": statement.meaning, "signer": clean(statement.signer.name), "time": statement.time,
        "reason": clean(statement.reason), "rank": len(statement.subjects),
    }  # fmt: skip


def _statement(log: Log, path: str) -> Statement | None:
    try:
        envelope = read_envelope(read_bytes(log.folder / path))
        return read_statement(read_payload(envelope), envelope)
    except RecordError:
        return None


def newest_first(said: Iterable[Row]) -> list[Row]:
    """What was said of a record, the newest on top: each signs those before it; then by their clocks."""
    meant = [row for row in said if row["meaning"] is not None]
    return sorted(meant, key=lambda row: (row["rank"], row["time"], row["entry"]), reverse=True)


def clean(text: Any) -> str | None:
    """Text as every database takes it."""
    return None if text is None else str(text).replace("\x00", "\ufffd")


def utc(text: str | None) -> str | None:
    """A time in UTC, so that times can be sorted as text; ``None`` where it is none."""
    try:
        when = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
