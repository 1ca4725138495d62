"""May a record have a certificate, and what is on it?

What a certificate shows follows from the record, its images, and one small JSON that it carries (``issue``):
the profile, the signatures that counted, and the day. So it can be drawn again, and checked, from these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xctrules.core.canonical import canonical_bytes, plain
from xctrules.core.errors import RecordError
from xctrules.pages.certificate import render_certificate
from xctrules.records.certificates.laboratory import LaboratoryFile
from xctrules.records.certificates.required import (
    indicative_limits,
    lacking,
    rules_not_agreed,
    without_calibration,
)
from xctrules.records.checks import figure_images
from xctrules.records.folder import RECORD_NAME
from xctrules.records.reading import parse_record, read_bytes
from xctrules.records.signing.checking import Signature, Trust
from xctrules.records.signing.keys import PublicKey
from xctrules.records.verify import VerifyResult

Json = Mapping[str, Any]

SCHEMA = "xctrules.certificate/1"
DIGITS_OF_THE_NUMBER = 12
"""Characters of a SHA-256 in a certificate's number: one in 10^14 for two to agree."""
NO_DECISION = ("INCOMPLETE", "SCAN_REJECTED")


@dataclass(frozen=True)
class Certificate:
    """A certificate, drawn and not yet written."""

    cell_id: str
    verdict: str
    laboratory: str
    number: str
    html: str


class Refused(RecordError):
    """A record that may have no certificate, with every reason."""

    def __init__(self, folder: Path, reasons: Sequence[str]) -> None:
        super().__init__("no certificate was written", where=folder)
        self.reasons = tuple(reasons)


def trust_of(laboratory: LaboratoryFile, more: Sequence[PublicKey] = ()) -> Trust:
    """Whose signatures count on a laboratory's certificate: those of the keys that its profile names."""
    return Trust((*laboratory.keys, *more))


def issue_certificate(folder: Path, laboratory: LaboratoryFile, result: VerifyResult) -> Certificate:
    """Draw the certificate of a cell's record.

    Parameters
    ----------
    folder
        The cell's.
    result
        What ``verify`` found there, with the laboratory's keys trusted (:func:`trust_of`).

    Raises
    ------
    Refused
        With everything that is against it.
    RecordError
        When a file cannot be read.
    """
    data = read_bytes(folder / RECORD_NAME)
    record = parse_record(data, folder / RECORD_NAME)
    digest = hashlib.sha256(data).hexdigest()
    issue = _issue(folder, digest, laboratory, result)
    against = [
        *_not_standing(result),
        *_withdrawn(result.signatures),
        *_undecided(record),
        *lacking(laboratory.values, record, issue["issued"]),
        *rules_not_agreed(laboratory.values, record),
        *indicative_limits(record),
        *without_calibration(record),
    ]
    if digest != result.record_sha256:
        against.append("the record was changed while it was read")
    if against:
        raise Refused(folder, against)
    return Certificate(
        cell_id=str(record["cell_id"]),
        verdict=str(record["verdict"]),
        laboratory=str(issue["laboratory"]["laboratory"]["name"]),
        number=str(issue["number"]),
        html=draw(record, folder, issue),
    )


def draw(record: Json, folder: Path, issue: Json) -> str:
    """The certificate's page, from the record, the images beside it, and what the certificate carries.

    Raises
    ------
    RecordError
        When an image cannot be read.
    """
    images = {str(image["file"]): read_bytes(folder / str(image["file"])) for image in figure_images(record)}
    return render_certificate(record, images, issue)


def _issue(folder: Path, digest: str, laboratory: LaboratoryFile, result: VerifyResult) -> dict[str, Any]:
    """What a certificate carries: all that it shows and that is not in the record."""
    counted = sorted((s for s in result.signatures if s.state == "trusted"), key=lambda each: each.order)
    signatures = [_signature(folder, each) for each in counted]
    released = [s["time"][:10] for s in signatures if s["meaning"] == "released"]
    issue: dict[str, Any] = plain(
        {
            "schema": SCHEMA,
            "record_sha256": digest,
            "issued": laboratory.values.get("issued") or max(released, default=None),
            "signatures": signatures,
            "validation": laboratory.validation,
            "laboratory": laboratory.values,
        }
    )
    return {**issue, "number": number_of(issue)}


def number_of(issue: Json) -> str:
    """A certificate's number: the laboratory's prefix, and the beginning of the SHA-256 of what it carries.

    So no two that say different things have the same number, and the same one drawn twice has.
    """
    rest = {key: value for key, value in issue.items() if key != "number"}
    digest = hashlib.sha256(canonical_bytes(rest)).hexdigest()
    return f"{issue['laboratory'].get('number_prefix') or ''}{digest[:DIGITS_OF_THE_NUMBER]}"


def _signature(folder: Path, signature: Signature) -> dict[str, Any]:
    said = signature.statement
    assert said is not None
    return {
        "file": signature.file,
        "sha256": hashlib.sha256(read_bytes(folder / signature.file)).hexdigest(),
        "meaning": said.meaning,
        "name": signature.name,
        "key_id": said.signer.key_id,
        "time": said.time,
        "reason": said.reason,
    }


def _not_standing(result: VerifyResult) -> Iterator[str]:
    if not result.ok:
        for finding in (*result.failures, *(f for f in result.unchecked if f.needed)):
            yield f"the record does not hold: {finding.where}: {finding.what}"


def _withdrawn(signatures: Sequence[Signature]) -> Iterator[str]:
    """A withdrawal by anybody: one by a stranger is to be settled before a customer hears otherwise."""
    for each in signatures:
        if each.statement is None and each.state == "unknown":
            yield f"{each.file}: what is signed there is not known to this version, and may be a withdrawal"
        elif each.statement is not None and each.statement.meaning == "withdrawal":
            known = "" if each.state == "trusted" else ", whose key the profile does not name"
            yield f"the record was withdrawn: {each.line}{known}"


def _undecided(record: Json) -> Iterator[str]:
    if record.get("verdict") in NO_DECISION:
        yield f"the record carries no decision: its verdict is {record.get('verdict')}"
