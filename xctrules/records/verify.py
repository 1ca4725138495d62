"""Checks a record, a report or a cell's folder offline: is it whole, and does the verdict follow from it?

Nothing but the files themselves is needed: no scan, no plugin, no network. Hashes show whether a part was
changed; the verdict is worked out again, by the code that judged it, from the measurements and the spec's
text inside.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xctrules.core import wording
from xctrules.core.errors import RecordError
from xctrules.pages.embedding import embedded_images, embedded_record
from xctrules.pages.report import render_report
from xctrules.records.binding import stated_page, what_differs
from xctrules.records.checks import Finding, check_record, figure_images, made_by, same_source, sha256_of
from xctrules.records.folder import RECORD_NAME, REPORT_NAME, can_be_listed
from xctrules.records.reading import parse_record, read_bytes
from xctrules.records.recomputing import check_statistics
from xctrules.records.signing.checking import (
    NOBODY,
    Present,
    Signature,
    Trust,
    check_signatures,
    check_wanted,
    digests_beside,
    signing_files,
)

Json = Mapping[str, Any]


@dataclass(frozen=True)
class VerifyResult:
    """All findings on one path.

    ``record_sha256`` is that of the record's bytes as they are, to be compared with a copy kept elsewhere;
    ``cell_id`` and ``verdict`` are empty where no record could be read; ``unreadable`` where what had to be
    read could not be. What is said of ``signatures`` stands among the findings as well.
    """

    path: Path
    cell_id: str
    verdict: str
    findings: tuple[Finding, ...]
    unreadable: bool = False
    record_sha256: str | None = None
    signatures: tuple[Signature, ...] = ()

    @property
    def standing(self) -> str:
        """Whether it is signed, and what may be said for that: one sentence, for the first lines."""
        good = (each for each in self.signatures if each.state == "trusted")
        trusted = sorted(good, key=lambda each: each.order, reverse=True)  # the newest state first
        if trusted:
            who = "; ".join(each.line for each in trusted)
            return f"signed: {who}: {wording.SIGNED}" if self.answer == "holds" else f"signed: {who}"
        signed = "not signed by anybody whom you trust (--trust)" if self.signatures else "not signed"
        return f"{signed}: {wording.UNSIGNED}" if self.answer == "holds" else signed

    @property
    def ok(self) -> bool:
        """Whether nothing that was checked failed, and nothing that a reader goes by was left unchecked."""
        return not self.failures and not any(f.needed and f.holds is None for f in self.findings)

    @property
    def answer(self) -> str:
        """``holds``, ``DOES NOT HOLD``, ``CANNOT BE READ``, or ``NOT CHECKED`` where what a reader goes by
        could not be, or where there was nothing to check."""
        if self.unreadable:
            return "CANNOT BE READ"
        if self.failures:
            return "DOES NOT HOLD"
        return "holds" if self.ok and any(f.holds for f in self.findings) else "NOT CHECKED"

    @property
    def unchecked(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.holds is None)

    @property
    def failures(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.holds is False)


def verify_path(path: str | Path, trust: Trust = NOBODY) -> VerifyResult:
    """Check a ``record.json``, a ``report.html``, or the folder of a cell.

    Signatures count where they are by a key of ``trust``.

    Raises
    ------
    RecordError
        When there is nothing that could be checked: no such path, not a record, of an unknown schema.
    """
    path = Path(path)
    if path.is_dir():
        return _verify_folder(path, trust)
    data = read_bytes(path)
    if data.lstrip()[:1] == b"<":
        return _verify_report(path, data, trust=trust)
    record = parse_record(data, path)
    findings = [
        *check_record(record, data, path.name),
        *_check_files(record, path.parent, alone=True),
        *_check_samples(record, path.parent),
    ]
    beside = path.parent if path.name == RECORD_NAME else None
    present = Present(record, digests_beside(record, data, path.parent), whole=False)
    return _result(path, present, findings, beside, trust)


def verify_without_record(folder: Path, why: Finding, trust: Trust = NOBODY) -> VerifyResult:
    """Check what is left of a cell's folder whose record is missing or cannot be read (``why``).

    The record inside the report, where there is one, stands in for it.
    """
    report = folder / REPORT_NAME
    if not report.is_file():
        return VerifyResult(folder, "", "", (why, Finding(REPORT_NAME, "the report is missing", False)))
    try:
        data = read_bytes(report)
        inside = parse_record(embedded_record(_report_text(data, report))[0], report)
        rest = _verify_report(report, data, folder, trust)
    except RecordError as error:
        return VerifyResult(folder, "", "", (why, Finding(REPORT_NAME, str(error), False)))
    files = _check_files(inside, folder, alone=False)
    return dataclasses.replace(rest, path=folder, findings=(why, *rest.findings, *files))


def _result(
    path: Path, present: Present, findings: Iterable[Finding], signed_in: Path | None, trust: Trust
) -> VerifyResult:
    """A result, with what is said of the signatures in the folder ``signed_in``."""
    signatures = [] if signed_in is None else check_signatures(signed_in, present, trust)
    lines = (line for each in signatures for line in each.findings)
    return VerifyResult(
        path,
        str(present.record.get("cell_id")),
        str(present.record.get("verdict")),
        (*check_wanted(signatures, trust), *lines, *findings),
        record_sha256=present.digests[RECORD_NAME],
        signatures=tuple(signatures),
    )


def _check_files(record: Json, folder: Path, *, alone: bool) -> list[Finding]:
    """Whether the files that the record lists stand beside it unchanged.

    ``alone``: the record may have been sent without them.
    """
    try:
        listed = {str(entry["name"]): str(entry["sha256"]) for entry in record["files"]}
    except (KeyError, TypeError):
        return [Finding(RECORD_NAME, "its list of files is missing or malformed", False)]
    if alone and not any((folder / name).exists() for name in listed if can_be_listed(name)):
        return [Finding(RECORD_NAME, f"the {len(listed)} files that it lists are not beside it", None)]
    findings = []
    for name, digest in listed.items():
        path = folder / name
        if not can_be_listed(name):
            findings.append(Finding(name, "the record lists a file outside its folder", False))
        elif not path.is_file():
            findings.append(Finding(name, "the file is missing", False))
        elif sha256_of(read_bytes(path)) != digest:
            findings.append(Finding(name, "the file was changed: its SHA-256 is not the recorded one", False))
    if not findings:
        findings.append(Finding(RECORD_NAME, f"all {len(listed)} files that it lists are unchanged", True))
    return findings


def _check_samples(record: Json, folder: Path | None) -> list[Finding]:
    """Whether values follow from the samples beside the record; ``None`` where nothing can be beside it."""

    def read(name: str) -> bytes | None:
        if folder is None or not can_be_listed(name) or not (folder / name).is_file():
            return None
        return read_bytes(folder / name)

    return check_statistics(record, read, RECORD_NAME)


def _verify_folder(folder: Path, trust: Trust) -> VerifyResult:
    path = folder / RECORD_NAME
    if not path.exists():
        raise RecordError(f"the folder holds no {RECORD_NAME}", where=folder, todo="Give a cell's folder.")
    data = read_bytes(path)
    record = parse_record(data, path)
    findings = [
        *check_record(record, data),
        *_check_files(record, folder, alone=False),
        *_check_samples(record, folder),
    ]
    report = folder / REPORT_NAME
    if not report.is_file():
        findings.append(Finding(REPORT_NAME, "the report is missing", False))
    else:
        findings += _check_report_of(record, data, read_bytes(report))
    listed = {entry["name"] for entry in record["files"]} if _listable(record) else set()
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    for name in sorted(present - listed - {RECORD_NAME, REPORT_NAME} - signing_files(folder)):
        findings.append(Finding(name, "the record does not list this file", None))
    held = Present(record, digests_beside(record, data, folder), whole=True)
    return _result(folder, held, findings, folder, trust)


def _listable(record: Json) -> bool:
    files = record.get("files")
    return isinstance(files, list) and all(isinstance(f, Mapping) and "name" in f for f in files)


def _verify_report(
    path: Path, data: bytes, folder: Path | None = None, trust: Trust = NOBODY
) -> VerifyResult:
    """A report; ``folder`` is where its samples stand, ``None`` where it was sent alone."""
    text = _report_text(data, path)
    record_data, stated = embedded_record(text)
    record = parse_record(record_data, path)
    findings = [
        _check_stated(record_data, stated),
        *check_record(record, record_data, "record inside the report"),
        *_check_samples(record, folder),
        *_check_drawing(record, text),
    ]
    present = Present(
        record, {RECORD_NAME: sha256_of(record_data), REPORT_NAME: sha256_of(data)}, whole=False
    )
    beside = path.parent if path.name == REPORT_NAME else None
    return _result(path, present, findings, beside, trust)


def _check_report_of(record: Json, record_data: bytes, report: bytes) -> list[Finding]:
    """The report in a cell's folder: it must carry that very record, and be drawn from it."""
    try:
        text = _report_text(report, REPORT_NAME)
        inside, stated = embedded_record(text)
    except RecordError as error:
        return [Finding(REPORT_NAME, str(error), False)]
    findings = [_check_stated(inside, stated)]
    if inside != record_data:
        findings.append(Finding(REPORT_NAME, f"the record inside it is not {RECORD_NAME}", False))
        try:
            record = parse_record(inside, REPORT_NAME)
        except RecordError as error:
            return [*findings, Finding(REPORT_NAME, str(error), False)]
    return [*findings, *_check_drawing(record, text)]


def _report_text(data: bytes, where: object) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecordError("the report is not UTF-8 text", where=where) from error


def _check_stated(record_data: bytes, stated: str) -> Finding:
    if sha256_of(record_data) == stated:
        return Finding(REPORT_NAME, "the record inside it matches its SHA-256", True)
    return Finding(REPORT_NAME, "the record inside it does not match the SHA-256 stated for it", False)


def _check_drawing(record: Json, text: str) -> list[Finding]:
    """Whether a report shows the record and its images, and nothing else."""
    try:
        wanted = {str(image["file"]): str(image["sha256"]) for image in figure_images(record)}
        images = embedded_images(text)
    except (RecordError, KeyError, TypeError) as error:
        return [Finding(REPORT_NAME, f"its images cannot be checked ({error})", False)]
    findings = []
    for name in sorted(wanted.keys() | images.keys()):
        if name not in images:
            findings.append(Finding(REPORT_NAME, f"the image {name} is missing", False))
        elif name not in wanted:
            findings.append(Finding(REPORT_NAME, f"the image {name} does not belong to the record", False))
        elif sha256_of(images[name]) != wanted[name]:
            findings.append(Finding(REPORT_NAME, f"the image {name} was changed", False))
    if findings:
        return findings
    findings.append(Finding(REPORT_NAME, f"its {len(images)} images are those of the record", True))
    return [*findings, *_check_page(record, text), *_check_redrawing(record, images, text)]


def _check_page(record: Json, text: str) -> list[Finding]:
    """Whether what a report shows is what was written with its record, whichever version wrote it."""
    stated = stated_page(record)
    if stated is not None:
        differs = what_differs(text, stated)
        said = differs or "what it shows is what was written with the record"
        return [Finding(REPORT_NAME, said, not differs)]
    if same_source(record):
        return []  # drawing it again says more
    what = (
        "what it shows: its record does not state the page's SHA-256, as records did not before they stated "
        "run.page_sha256, so that the text may have been changed; go by the record"
    )
    return [Finding(REPORT_NAME, what, None, needed=True)]


def _check_redrawing(record: Json, images: Mapping[str, bytes], text: str) -> list[Finding]:
    """The same source draws the same page, to the byte; another is not asked."""
    if not same_source(record):
        what = f"whether this program would draw the same page: {made_by(record)}"
        return [Finding(REPORT_NAME, what, None)]
    try:
        same = render_report(record, images) == text
    except Exception as error:  # a changed record may break the drawing anywhere
        return [Finding(REPORT_NAME, f"it cannot be drawn again ({error!r})", False)]
    what = (
        "drawn again from the record and its images, it is the same to the byte"
        if same
        else "what it shows is not what the record and its images give: its text was changed"
    )
    return [Finding(REPORT_NAME, what, same)]
