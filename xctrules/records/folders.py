"""Everything in a folder checked: cells' folders, loose records, loose reports; one bad one hides none."""

from __future__ import annotations

import dataclasses
import json
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xctrules.core.errors import RecordError
from xctrules.pages.embedding import embedded_record
from xctrules.records.checks import Finding
from xctrules.records.folder import RECORD_NAME, REPORT_NAME
from xctrules.records.reading import parse_record, read_bytes
from xctrules.records.signing.checking import NOBODY, Trust
from xctrules.records.verify import VerifyResult, verify_path, verify_without_record

PAGES = (".html", ".htm")
"""Endings of files that may be reports."""


def verify_all(path: str | Path, trust: Trust = NOBODY) -> list[VerifyResult]:
    """Check a file, a cell's folder, or whatever a folder holds at any depth, hidden folders left out.

    Signatures count where they are by a key of ``trust``.

    In a folder of several, what cannot be read is a result of its own (``unreadable``) and ends nothing.

    Raises
    ------
    RecordError
        When the path is not there, is a file that cannot be read as record or report, or is a folder in which
        there is nothing to check.
    """
    path = Path(path)
    if not path.is_dir():
        return [verify_path(path, trust)]
    results = [_named_as_it_is(result, given=path) for result in _results_in(path, trust)]
    if all(result.answer == "NOT CHECKED" and result.ok for result in results):  # none that could be one
        raise RecordError(f"the folder holds no {RECORD_NAME}", where=path, todo="Give a cell's folder.")
    return results


def _results_in(folder: Path, trust: Trust) -> Iterator[VerifyResult]:
    if _is_a_cells(folder):
        yield _checked(folder, trust)
        return
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        yield _unreadable(folder, f"cannot be looked into ({error.strerror or error})")
        return
    for entry in entries:
        if entry.is_dir():
            # A link may lead back to where it stands.
            yield from _results_in(entry, trust) if not entry.is_symlink() or _is_a_cells(entry) else ()
        elif entry.suffix.lower() in PAGES or entry.suffix.lower() == ".json":
            yield _loose(entry, trust)


def _is_a_cells(folder: Path) -> bool:
    """Whether a folder is, or was, that of one cell: also when its record is gone."""
    if (folder / RECORD_NAME).exists() or _holds_a_scans_list(folder):
        return True
    return (folder / REPORT_NAME).is_file() and (
        (folder / "samples").is_dir() or (folder / "images").is_dir() or _is_named_by_its_report(folder)
    )


def _holds_a_scans_list(folder: Path) -> bool:
    return (folder / "samples" / "scan.sha256").is_file()


def _is_named_by_its_report(folder: Path) -> bool:
    try:
        text = read_bytes(folder / REPORT_NAME).decode("utf-8")
        record = parse_record(embedded_record(text)[0], REPORT_NAME)
    except (RecordError, UnicodeDecodeError):
        return False
    return _same_name(folder.resolve().name, str(record.get("cell_id")))


def _checked(folder: Path, trust: Trust) -> VerifyResult:
    """A cell's folder, whatever is left of it."""
    if not (folder / RECORD_NAME).exists():
        return verify_without_record(folder, Finding(RECORD_NAME, "the record is missing", False), trust)
    try:
        return verify_path(folder, trust)
    except RecordError as error:
        rest = verify_without_record(folder, Finding(RECORD_NAME, str(error), False), trust)
        return dataclasses.replace(rest, unreadable=True)


def _loose(path: Path, trust: Trust) -> VerifyResult:
    """A record or a report by itself, or a file that only might be one."""
    try:
        data = read_bytes(path)
        if path.suffix.lower() == ".json" and _is_other_json(data):
            return _left_out(path, "no record: nothing was checked")
        return verify_path(path, trust)
    except RecordError as error:
        if path.suffix.lower() in PAGES:
            return _left_out(path, f"a page by itself proves nothing ({error})", needed=True)
        return _unreadable(path, str(error))


def _is_other_json(data: bytes) -> bool:
    """Whether it is sound JSON that does not claim to be a record."""
    try:
        value: Any = json.loads(data)
    except (ValueError, RecursionError):
        return False
    schema = value.get("schema") if isinstance(value, Mapping) else None
    return not str(schema).startswith("xctrules.record/")


def _left_out(path: Path, why: str, *, needed: bool = False) -> VerifyResult:
    return VerifyResult(path, "", "", (Finding(path.name, why, None, needed=needed),))


def _unreadable(path: Path, why: str) -> VerifyResult:
    return VerifyResult(path, "", "", (Finding(path.name, why, False),), unreadable=True)


def _named_as_it_is(result: VerifyResult, *, given: Path) -> VerifyResult:
    """The result, and a finding where a cell's folder has not its cell's name.

    Among several the name is how a cell is found, so that another one's record there would be taken for it;
    a folder that was given by itself may have been renamed on its way.
    """
    name = result.path.resolve().name
    if not result.cell_id or not result.path.is_dir() or _same_name(name, result.cell_id):
        return result
    what = f"the folder is called {name!r}, its record is of the cell {result.cell_id!r}"
    finding = Finding(RECORD_NAME, what, None if result.path == given else False)
    return dataclasses.replace(result, findings=(*result.findings, finding))


def _same_name(one: str, other: str) -> bool:
    """Whether two names are one, also on file systems that write letters with marks in two parts."""
    return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
