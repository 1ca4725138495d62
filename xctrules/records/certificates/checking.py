"""A certificate that stands beside its record, held against it.

What it shows of the record and its signatures is checked. The laboratory's own words (customer, method) are
in no record and under no signature: whoever relies on them asks the laboratory by the certificate's number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xctrules.core.errors import RecordError
from xctrules.pages.certificate import carried_issue
from xctrules.records.archive.membership import with_findings
from xctrules.records.certificates.issuing import draw, number_of
from xctrules.records.checks import Finding, made_by, same_source
from xctrules.records.folder import CERTIFICATE_NAMES
from xctrules.records.reading import read_bytes, read_record
from xctrules.records.signing.checking import Signature
from xctrules.records.verify import VerifyResult

Json = Mapping[str, Any]

PAGE_NAME, PAPER_NAME = CERTIFICATE_NAMES


def check_certificate_beside(result: VerifyResult) -> VerifyResult:
    """A result on a cell's folder, with what is to be said of the certificate in it; as it is without one."""
    folder = result.path
    if not folder.is_dir() or result.record_sha256 is None:
        return result
    findings: list[Finding] = []
    if (folder / PAGE_NAME).is_file():
        try:
            findings += _check_page(folder, result)
        except (RecordError, KeyError, TypeError, AttributeError, ValueError) as error:
            findings.append(Finding(PAGE_NAME, f"the certificate cannot be checked ({error})", False))
    if (folder / PAPER_NAME).is_file():
        what = f"whether it shows what {PAGE_NAME} does: compare them, or draw it anew"
        findings.append(Finding(PAPER_NAME, what, None))
    return with_findings(result, findings, known=set(CERTIFICATE_NAMES))


def _check_page(folder: Path, result: VerifyResult) -> Iterator[Finding]:
    text = read_bytes(folder / PAGE_NAME).decode("utf-8")
    issue = carried_issue(text)
    number = issue["number"]
    if issue["record_sha256"] != result.record_sha256:
        yield Finding(PAGE_NAME, f"certificate {number} is of another record than the one beside it", False)
        return
    if number_of(issue) != number:
        yield Finding(PAGE_NAME, "its number is not the one that follows from what it says", False)
    yield from _check_signatures(folder, issue, result.signatures)
    record, _ = read_record(folder)
    if not same_source(record):
        what = f"whether this program would draw the same certificate: {made_by(record)}"
        yield Finding(PAGE_NAME, what, None)
    elif draw(record, folder, issue) == text:
        what = f"certificate {number} shows this record and its signatures, and a profile that nobody signed"
        yield Finding(PAGE_NAME, what, True)
    else:
        what = "what it shows is not what record, signatures and profile give: it was changed"
        yield Finding(PAGE_NAME, what, False)


def _check_signatures(folder: Path, issue: Json, there: tuple[Signature, ...]) -> Iterator[Finding]:
    """Whether the signatures that it states are there and say so, and what was signed since."""
    by_digest = {hashlib.sha256(read_bytes(folder / each.file)).hexdigest(): each for each in there}
    for stated in issue["signatures"]:
        found = by_digest.pop(stated["sha256"], None)
        said = None if found is None else found.statement
        if found is None or said is None or found.state == "broken":
            what = f"the signature that it states ({stated['meaning']} by {stated['name']}) is not there"
            yield Finding(PAGE_NAME, what, False)
            continue
        shown = tuple(stated[key] for key in ("meaning", "key_id", "time", "reason"))
        if shown != (said.meaning, said.signer.key_id, said.time, said.reason):
            yield Finding(PAGE_NAME, f"it states {found.file} otherwise than it is", False)
        elif stated["name"] not in (found.name, said.signer.name):
            what = f"whether {stated['name']!r} signed: {found.file} is by {found.name!r} (--trust tells)"
            yield Finding(PAGE_NAME, what, None, needed=True)
    for later in by_digest.values():
        if later.statement is not None and later.statement.meaning == "withdrawal":
            yield Finding(PAGE_NAME, f"the record was withdrawn: {later.line}", False)
        elif later.statement is not None:
            yield Finding(PAGE_NAME, f"it does not show what was signed as {later.line}", None)
