"""Signatures checked: what each one says, whether it is of these very files, and whose key made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xctrules.core.errors import RecordError
from xctrules.core.wording import counted
from xctrules.records.checks import Finding, sha256_of
from xctrules.records.folder import (
    ADDED_FOLDER,
    RECORD_NAME,
    REPORT_NAME,
    SIGNATURE_SUFFIX,
    SIGNATURES_FOLDER,
    TIMESTAMP_SUFFIX,
    can_be_listed,
)
from xctrules.records.reading import read_bytes
from xctrules.records.signing.dsse import read_envelope, read_payload
from xctrules.records.signing.keys import PublicKey
from xctrules.records.signing.making import envelopes, name_in
from xctrules.records.signing.statement import MEANINGS, Statement, UnknownKind, read_statement
from xctrules.records.signing.timestamps import is_about, read_token, time_of, vouched_for

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Trust:
    """Whom the reader trusts, and what they ask for.

    Attributes
    ----------
    keys
        Public keys whose signatures count.
    meanings
        What must have been signed by one of them.
    authorities
        Root certificates of time-stamp authorities.
    vouched
        Whether a log that is checked as well vouches for the record: then it needs no signature of its own,
        but those with one of ``meanings``.
    """

    keys: tuple[PublicKey, ...] = ()
    meanings: tuple[str, ...] = ()
    authorities: tuple[Certificate, ...] = ()
    vouched: bool = False


NOBODY = Trust()


@dataclass(frozen=True)
class Signature:
    """One signature, as it was found.

    Attributes
    ----------
    file
        Its name in the cell's folder.
    statement
        What it says; ``None`` where that cannot be read.
    state
        ``trusted``: of these files, by a key that the reader trusts. ``unknown``: by a key that nobody
        vouched for, or of a kind that this version does not know: it counts for nothing. ``broken``: not of
        these files, or changed.
    name
        The signer's, as the trusted key's file has it; else as the signature has it.
    stamped
        The time of a time stamp that a trusted authority has given.
    findings
        A line on the signature, and one on its time stamp where there is one.
    """

    file: str
    statement: Statement | None
    state: str
    name: str
    stamped: str | None
    findings: tuple[Finding, ...]

    @property
    def line(self) -> str:
        """Who, what and when, in a few words."""
        if self.statement is None:
            return ""
        when = self.statement.time.replace("T", " ").replace("Z", " UTC")
        why = "" if self.statement.reason is None else f": {self.statement.reason}"
        return f"{self.statement.meaning} by {self.name}, {when}{why}"

    @property
    def order(self) -> tuple[int, str]:
        """Later ones are larger: each signs those that were there; then by the signers' clocks."""
        said = self.statement
        return (0, "") if said is None else (len(said.subjects), said.time)


@dataclass(frozen=True)
class Present:
    """What stands there to be compared with what was signed.

    Attributes
    ----------
    record
        The record; its id and verdict are compared as well.
    digests
        SHA-256 of each file by its name in the cell's folder.
    whole
        Whether all of the cell's files must be there; else those that are there are compared.
    """

    record: Json
    digests: Mapping[str, str]
    whole: bool


def digests_beside(record: Json, record_data: bytes, folder: Path) -> dict[str, str]:
    """SHA-256 of the record, and of what stands beside it of what is signed with it, by name."""
    listed = (str(entry["name"]) for entry in _files(record))
    names = [REPORT_NAME, *filter(can_be_listed, listed)]
    names += [name_in(folder, path) for path in envelopes(folder)]
    there = {name: sha256_of(read_bytes(folder / name)) for name in names if (folder / name).is_file()}
    return {**there, RECORD_NAME: sha256_of(record_data)}


def signing_files(folder: Path) -> set[str]:
    """Signatures, and the time stamps beside them, by name."""
    names = [name_in(folder, path) for path in envelopes(folder)]
    return {*names, *(name + TIMESTAMP_SUFFIX for name in names)}


def check_signatures(folder: Path, present: Present, trust: Trust = NOBODY) -> list[Signature]:
    """Check every signature in a cell's folder, in the order of their names."""
    return [_check(folder, path, present, trust) for path in envelopes(folder)]


def check_wanted(signatures: list[Signature], trust: Trust) -> Iterator[Finding]:
    """Whether those whom the reader trusts have signed, and what was asked for; nothing where nobody is."""
    good = [each for each in signatures if each.state == "trusted"]
    if trust.keys and not good and not trust.vouched:
        yield Finding(SIGNATURES_FOLDER, "no signature is by a key that you trust (--trust)", False)
    withdrawn = [e for e in good if e.statement is not None and e.statement.meaning == "withdrawal"]
    if trust.meanings and withdrawn:
        yield Finding(
            SIGNATURES_FOLDER,
            f"the record was withdrawn: {max(withdrawn, key=lambda e: e.order).line}",
            False,
        )
    for meaning in trust.meanings:
        if not any(each.statement is not None and each.statement.meaning == meaning for each in good):
            what = f"nobody whom you trust has signed it as {meaning} (--require)"
            yield Finding(SIGNATURES_FOLDER, what, False)


def _check(folder: Path, path: Path, present: Present, trust: Trust) -> Signature:
    file = name_in(folder, path)
    try:
        data = read_bytes(path)
        envelope = read_envelope(data)
        statement = read_statement(read_payload(envelope), envelope)
        wrong = list(_differences(statement, present))
    except UnknownKind as error:
        finding = Finding(file, str(error), None)
        return Signature(file, None, "unknown", "", None, (finding,))
    except RecordError as error:
        return Signature(file, None, "broken", "", None, (Finding(file, f"broken: {error}", False),))
    trusted = next((key for key in trust.keys if key.raw == statement.signer.raw), None)
    name = statement.signer.name if trusted is None else trusted.name
    state = "broken" if wrong else "unknown" if trusted is None else "trusted"
    said = _said(statement, name, wrong, trusted, present)
    stamped, stamps = _timestamp(path, data, trust)
    return Signature(file, statement, state, name, stamped, (Finding(file, *said), *stamps))


def _differences(statement: Statement, present: Present) -> Iterator[str]:
    """What is not as it was signed, in words."""
    record, signed = present.record, statement.subjects
    if signed.get(RECORD_NAME) != present.digests[RECORD_NAME]:
        yield f"it signs another {RECORD_NAME}, of the cell {statement.cell_id!r}: {statement.verdict}"
        return  # the other files are another cell's as well, or the record was changed
    if (statement.cell_id, statement.verdict) != (record.get("cell_id"), record.get("verdict")):
        yield "cell or verdict in it are not those of the record"
    needed = {RECORD_NAME, REPORT_NAME, *(str(entry["name"]) for entry in _files(record))}
    for name in sorted(needed - signed.keys()):
        yield f"it does not sign {name}"
    for name in sorted(signed.keys() - needed):
        if not _is_a_signatures(name):
            yield f"it signs {name!r}, of which the record knows nothing"
    for name in sorted(signed.keys() - {RECORD_NAME}):
        found = present.digests.get(name)
        if _is_a_signatures(name) and signed[name] in present.digests.values():
            continue  # an archive keeps it under another name
        if found is None and present.whole:
            yield f"{name} was signed and is missing"
        elif found is not None and found != signed[name]:
            yield f"{name} is not as it was signed"


def _is_a_signatures(name: str) -> bool:
    loose = name.startswith(f"{SIGNATURES_FOLDER}/") and name.endswith(SIGNATURE_SUFFIX)
    return loose or (name.startswith(f"{ADDED_FOLDER}/") and name.endswith(".json"))


def _files(record: Json) -> list[Json]:
    files = record.get("files")
    return [e for e in files if isinstance(e, Mapping) and "name" in e] if isinstance(files, list) else []


def _said(
    statement: Statement, name: str, wrong: list[str], trusted: PublicKey | None, present: Present
) -> tuple[str, bool | None]:
    """A signature's line, and whether it holds."""
    who = f"{statement.meaning} by {name}"
    if name != statement.signer.name:
        who += f" (who signs as {statement.signer.name!r})"
    who += f", {statement.time} by the signer's clock, key {statement.signer.key_id[:16]}"
    if statement.reason is not None:
        who += f", because: {statement.reason}"
    if wrong:
        return f"broken: {who}: {'; '.join(wrong)}", False
    if trusted is None:
        said = f"counts for nothing: {who}: the key is none that you trust, and anybody can make one"
        return said, None
    there = counted(len(statement.subjects.keys() & present.digests.keys()), "file")
    return f"{who}: signed by a key that you trust, and {there} as signed", True


def _timestamp(path: Path, envelope: bytes, trust: Trust) -> tuple[str | None, list[Finding]]:
    """The time by an authority that the reader trusts, and a line on the token beside a signature."""
    beside = path.with_name(path.name + TIMESTAMP_SUFFIX)
    if not beside.exists():
        return None, []
    file = f"{SIGNATURES_FOLDER}/{beside.name}"
    try:
        token = read_token(read_bytes(beside))
        time = time_of(token)
        if not is_about(token, envelope):
            return None, [Finding(file, "the time stamp is not of the signature beside it", False)]
    except RecordError as error:
        return None, [Finding(file, f"the time stamp cannot be used: {error}", False)]
    if not trust.authorities:
        said = f"time stamp of {time}, of the signature beside it; whose it is: give --tsa-root to check"
        return None, [Finding(file, said, None)]
    problem = vouched_for(token, envelope, trust.authorities)
    if problem is not None:
        said = f"the time stamp of {time} is by no authority that you trust ({problem})"
        return None, [Finding(file, said, False)]
    said = f"the signature was there at {time}, says an authority that you trust"
    return time, [Finding(file, f"{said} (whether its certificate was revoked was not looked up)", True)]


def check_meaning(meaning: str, where: str) -> str:
    """A meaning, refused when there is none of that name.

    Raises
    ------
    RecordError
    """
    if meaning not in MEANINGS:
        raise RecordError(f"{meaning!r} is no meaning", where=where, todo=f"Give {', '.join(MEANINGS)}.")
    return meaning
