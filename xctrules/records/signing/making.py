"""Signing a cell's files: the envelope is written beside the record, and never replaces another one."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from xctrules.core.errors import OutputError, RecordError
from xctrules.core.files import AlreadyThere, whole_file
from xctrules.records.folder import (
    ADDED_FOLDER,
    RECORD_NAME,
    REPORT_NAME,
    SIGNATURE_SUFFIX,
    SIGNATURES_FOLDER,
    TIMESTAMP_SUFFIX,
)
from xctrules.records.reading import parse_record, read_bytes
from xctrules.records.signing.dsse import IN_TOTO, signed
from xctrules.records.signing.keys import SigningKey
from xctrules.records.signing.statement import WITH_REASON, statement_bytes
from xctrules.records.signing.timestamps import is_about, now, read_token, time_of

Json = Mapping[str, Any]


def signature_name(meaning: str, key: SigningKey, there: Collection[str] = ()) -> str:
    """Where a signature stands in a cell's folder: one for each meaning and key.

    What is said with a reason may be said again with another one: each has a number that is free ``there``.
    """
    stem = f"{SIGNATURES_FOLDER}/{meaning}-{key.key_id[:16]}"
    if meaning not in WITH_REASON:
        return stem + SIGNATURE_SUFFIX
    names = (f"{stem}-{number}{SIGNATURE_SUFFIX}" for number in itertools.count(1))
    return next(name for name in names if name not in there)


def signature_of(
    record: Json,
    contents: Mapping[str, bytes],
    key: SigningKey,
    meaning: str,
    when: datetime | None = None,
    reason: str | None = None,
) -> tuple[str, bytes]:
    """A signature of a cell's files.

    Parameters
    ----------
    contents
        All files of the cell by name: record, report, what the record lists, and signatures that are there.
    when
        This computer's time where none is given.

    Returns
    -------
    name, data
        The envelope as a file of the cell's folder.
    """
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    payload = statement_bytes(record, digests, key, meaning, when or now(), reason)
    return signature_name(meaning, key, contents.keys()), signed(payload, IN_TOTO, key).to_bytes()


def signature_in(
    folder: Path, key: SigningKey, meaning: str, when: datetime | None = None, reason: str | None = None
) -> tuple[str, bytes]:
    """A signature of what stands in a cell's folder; whether it holds is for the caller to look at before.

    Returns
    -------
    name, data
        The envelope as a file of the cell's folder; nothing is written.

    Raises
    ------
    RecordError
        When record, report or a file that the record lists is missing or cannot be read.
    """
    data = read_bytes(folder / RECORD_NAME)
    record = parse_record(data, folder / RECORD_NAME)
    names = [REPORT_NAME, *(str(entry["name"]) for entry in record["files"])]
    names += [name_in(folder, path) for path in envelopes(folder)]
    contents = {RECORD_NAME: data, **{name: read_bytes(folder / name) for name in names}}
    return signature_of(record, contents, key, meaning, when, reason)


def sign_folder(
    folder: Path, key: SigningKey, meaning: str, when: datetime | None = None, reason: str | None = None
) -> Path:
    """Sign what stands in a cell's folder, and write the envelope there; it never replaces another one.

    Returns
    -------
    path
        Of the envelope.

    Raises
    ------
    RecordError
        As :func:`signature_in`.
    OutputError
        When that key has signed with that meaning already, or the envelope cannot be written.
    """
    name, envelope = signature_in(folder, key, meaning, when, reason)
    try:
        with whole_file(folder / name, replace=False) as temporary:
            temporary.write_bytes(envelope)
    except AlreadyThere as error:
        raise OutputError(
            f"this key has signed it as {meaning} already", where=folder / name, todo="Nothing was changed."
        ) from error
    return folder / name


def envelopes(folder: Path) -> list[Path]:
    """The signatures in a cell's folder, sorted by name; those that came to it in an archive last."""
    later = (p for p in sorted((folder / ADDED_FOLDER).glob("*.json")) if b'"payloadType"' in read_bytes(p))
    return [*sorted((folder / SIGNATURES_FOLDER).glob(f"*{SIGNATURE_SUFFIX}")), *later]


def name_in(folder: Path, path: Path) -> str:
    """A file's name in a cell's folder."""
    return path.relative_to(folder).as_posix()


def attach_timestamp(folder: Path, token_file: Path) -> tuple[Path, str]:
    """Put a time-stamp token beside the signature that it is about.

    Returns
    -------
    path, time
        Of the token, and the time that it states.

    Raises
    ------
    RecordError
        When it is no token, or about none of the folder's signatures.
    OutputError
        When that signature has another one already, or it cannot be written.
    """
    data = read_bytes(token_file)
    try:
        token = read_token(data)
        about = [path for path in envelopes(folder) if is_about(token, read_bytes(path))]
    except RecordError as error:
        raise RecordError(error.what, where=token_file) from error
    if not about:
        raise RecordError(
            f"the time stamp is about none of the signatures in {folder}",
            where=token_file,
            todo="Ask the authority for one of the file signatures/...dsse.json as it is.",
        )
    path = about[0].with_name(about[0].name + TIMESTAMP_SUFFIX)
    if not path.exists() or path.read_bytes() != data:
        with whole_file(path, replace=False) as temporary:
            temporary.write_bytes(data)
    return path, time_of(token)
