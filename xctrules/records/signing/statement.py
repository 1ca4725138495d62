"""What somebody signs: an in-toto statement (version 1) about a cell's files.

Its **subject** is each file by name and SHA-256: record, report, and all that the record lists; and the
signatures that were there already, so that none of them can be taken away from under a later one. Its
**predicate** says who means what by it, when, and of which cell and verdict: all of it under the signature.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from xctrules.core.canonical import canonical_bytes
from xctrules.core.errors import KeyFileError, RecordError
from xctrules.core.version import __version__
from xctrules.records.signing.dsse import Envelope
from xctrules.records.signing.keys import PublicKey, SigningKey, check_name

Json = Mapping[str, Any]

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:xctrules:signature:v1"

MEANINGS = {
    "measured": "this scan was inspected, and this is what came out",
    "reviewed": "I looked at the report, and its figures stand for what is said of them",
    "released": "the verdict may be acted upon",
    "concession": "the cell is used as it is, whatever the verdict, for the reason given",
    "amendment": "what the reason says is to be read along with the record",
    "withdrawal": "nobody is to act upon this record any more, for the reason given",
}
"""What a signature can mean, in the first person of who signs."""

WITH_REASON = frozenset({"concession", "amendment", "withdrawal"})
"""Meanings that say nothing without a reason. The verdict underneath stays as it is."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Statement:
    """What a signature says.

    Attributes
    ----------
    subjects
        SHA-256 of each file by its name in the cell's folder.
    meaning
        One of :data:`MEANINGS`.
    signer
        The key that the signature claims to be made with, and the name that its owner goes by.
    time
        By the signer's clock, in UTC.
    cell_id, verdict
        As in the record that was signed.
    reason
        Why, in the signer's words; ``None`` where none was given.
    """

    subjects: Mapping[str, str]
    meaning: str
    signer: PublicKey
    time: str
    cell_id: str
    verdict: str
    reason: str | None = None


class UnknownKind(RecordError):
    """Something is signed as it should be, but this version does not know what it says."""


def check_reason(meaning: str, reason: str | None) -> None:
    """Refuse a reason that is missing where one is needed, or that is no line of text.

    Raises
    ------
    RecordError
    """
    if reason is None and meaning not in WITH_REASON:
        return
    if reason is None or not reason.strip():
        raise RecordError(f"a {meaning} needs a reason", where="--reason", todo="Say why in a sentence.")
    if not reason.isprintable() or len(reason) > 2000:
        what = "the reason is longer than 2000 characters, or holds what cannot be printed"
        raise RecordError(what, where="--reason", todo="Give one line of text.")


def statement_bytes(
    record: Json,
    subjects: Mapping[str, str],
    key: SigningKey,
    meaning: str,
    when: datetime,
    reason: str | None = None,
) -> bytes:
    """The payload of a signature: canonical JSON of the statement.

    Raises
    ------
    ValueError
        For a meaning that there is not.
    RecordError
        As :func:`check_reason`.
    """
    if meaning not in MEANINGS:
        raise ValueError(f"a signature cannot mean {meaning!r}: {', '.join(MEANINGS)}")
    check_reason(meaning, reason)
    return canonical_bytes(
        {
            "_type": STATEMENT,
            "subject": [{"name": name, "digest": {"sha256": subjects[name]}} for name in sorted(subjects)],
            "predicateType": PREDICATE,
            "predicate": {
                "meaning": meaning,
                **({} if reason is None else {"reason": reason}),
                "signer": {
                    "name": key.name,
                    "key_id": key.key_id,
                    "public_key": base64.b64encode(key.public.raw).decode("ascii"),
                },
                "time": when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "cell_id": record["cell_id"],
                "verdict": record["verdict"],
                "software": {"xctrules": __version__},
            },
        }
    )


def read_statement(value: Json, envelope: Envelope) -> Statement:
    """A statement from the JSON inside an envelope, once the envelope is known to be signed by its signer.

    Raises
    ------
    RecordError
        When the signature is not of this payload by the key that the payload names, or the statement is
        malformed.
    UnknownKind
        When it is signed, but says what only another version knows.
    """
    try:
        signer = _signer(value["predicate"]["signer"], envelope)
        if not envelope.is_signed_by(signer):
            raise RecordError("the signature is not of what it is said to sign: one of the two was changed")
        if (value["_type"], value["predicateType"]) != (STATEMENT, PREDICATE):
            raise UnknownKind("what is signed is a statement of a kind that this version does not know")
        return _statement(value, signer)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordError(f"what is signed is malformed ({error!r})") from error


def _signer(told: Json, envelope: Envelope) -> PublicKey:
    try:
        name = check_name(str(told["name"]), "signer")
    except KeyFileError as error:
        raise RecordError(str(error)) from error
    try:
        raw = base64.b64decode(told["public_key"], validate=True)
    except binascii.Error as error:
        raise RecordError("its public key cannot be decoded") from error
    key = PublicKey(name, raw)
    if not key.key_id == told["key_id"] == envelope.key_id:
        raise RecordError("its key id is not that of its public key")
    return key


def _statement(value: Json, signer: PublicKey) -> Statement:
    predicate = value["predicate"]
    subjects = {str(each["name"]): str(each["digest"]["sha256"]) for each in value["subject"]}
    if len(subjects) != len(value["subject"]):
        raise RecordError("it names a file twice")
    if not all(_DIGEST.fullmatch(digest) for digest in subjects.values()):
        raise RecordError("a SHA-256 in it is none")
    if predicate["meaning"] not in MEANINGS:
        raise UnknownKind(f"it means {predicate['meaning']!r}, which this version does not know")
    if not _TIME.fullmatch(predicate["time"]):
        raise RecordError(f"its time {predicate['time']!r} is none")
    check_reason(str(predicate["meaning"]), predicate.get("reason"))
    return Statement(
        subjects, str(predicate["meaning"]), signer, str(predicate["time"]), str(predicate["cell_id"]),
        str(predicate["verdict"]), predicate.get("reason"),
    )  # fmt: skip
