"""One entry checked: it is as it was logged, and so are its proof and its files."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xctrules.core.errors import RecordError
from xctrules.records.archive import layout
from xctrules.records.archive.checkpoint import Checkpoint
from xctrules.records.archive.entries import parse_entry, summary
from xctrules.records.archive.log import Log
from xctrules.records.archive.merkle import leaf_hash
from xctrules.records.archive.proof import InclusionProof, parse_proof
from xctrules.records.archive.trust import key_of_archive
from xctrules.records.checks import Finding
from xctrules.records.folder import RECORD_NAME, REPORT_NAME
from xctrules.records.reading import parse_record, read_bytes
from xctrules.records.signing.checking import Trust
from xctrules.records.signing.keys import PublicKey
from xctrules.records.verify import VerifyResult

Json = Mapping[str, Any]


@dataclass(frozen=True)
class EntryCheck:
    """What was found of one entry; ``entry`` and ``proof`` are ``None`` where they could not be read.

    ``leaf`` is the hash of the entry's bytes as they stand there.
    """

    index: int
    entry: Json | None
    proof: InclusionProof | None
    leaf: bytes | None
    findings: tuple[Finding, ...]

    @property
    def record_sha256(self) -> str | None:
        """The record that this entry put away; ``None`` where it brought none."""
        return str(self.entry["record"]) if self.entry and self.entry["kind"] == "record" else None


def check_entry(log: Log, index: int, key: PublicKey | None) -> EntryCheck:
    """Whether an entry, its proof and its files are there and agree, whatever stands before and after it.

    Parameters
    ----------
    key
        The archive's; ``None`` where it has none.
    """
    where = layout.entry_path(index)
    try:
        data = read_bytes(log.folder / where)
    except RecordError:
        return EntryCheck(index, None, None, None, (Finding(where, "the entry is missing", False),))
    leaf = leaf_hash(data)
    try:
        entry = parse_entry(data, where)
    except RecordError as error:
        return EntryCheck(index, None, None, leaf, (Finding(where, error.what, False),))
    findings = []
    if entry["index"] != index:
        findings.append(
            Finding(where, f"this is entry {entry['index']}, put in the place of entry {index}", False)
        )
    proof, of_proof = _check_proof(log, entry, index, data, key)
    findings += [*of_proof, *check_files(log.folder, entry)]
    return EntryCheck(index, entry, proof, leaf, tuple(findings))


def _check_proof(
    log: Log, entry: Json, index: int, data: bytes, key: PublicKey | None
) -> tuple[InclusionProof | None, list[Finding]]:
    where = layout.proof_path(entry, index)
    try:
        proof = parse_proof(read_bytes(log.folder / where), where)
    except RecordError as error:
        missing = not (log.folder / where).exists()
        return None, [Finding(where, "the proof is missing" if missing else error.what, False)]
    wrong = []
    if proof.index != index or proof.checkpoint.size != index + 1:
        wrong.append(f"it is the proof of entry {proof.index}, not of {index}")
    if proof.checkpoint.origin != log.head.origin:
        wrong.append(f"it is of another log, {proof.checkpoint.origin}")
    if not proof.holds():
        wrong.append("its hashes do not lead from its entry to its checkpoint")
    if key is not None and not proof.checkpoint.is_signed_by(key):
        wrong.append("its checkpoint is not signed with the archive's key")
    if key is None and proof.checkpoint.signatures:
        wrong.append("its checkpoint is signed, although the archive has no key")
    if wrong:
        return None, [Finding(where, what, False) for what in wrong]
    if proof.entry != data:
        what = "the entry is not the one whose proof lies in the archive: it was changed or exchanged"
        return proof, [Finding(layout.entry_path(index), what, False)]
    return proof, []


def check_files(folder: Path, entry: Json) -> list[Finding]:
    """Whether the files that an entry lists are there, unchanged."""
    findings = []
    for file in entry["files"]:
        where = layout.file_path(entry, file["name"])
        try:
            data = read_bytes(folder / where)
        except RecordError as error:
            missing = not (folder / where).exists()
            findings.append(Finding(where, "the file is missing" if missing else error.what, False))
            continue
        if (hashlib.sha256(data).hexdigest(), len(data)) != (file["sha256"], file["size"]):
            what = "the file was changed: its SHA-256 is not the one in the log"
            findings.append(Finding(where, what, False))
    if entry["kind"] == "record" and not findings:
        findings += _check_summary(folder, entry)
    return findings


def _check_summary(folder: Path, entry: Json) -> list[Finding]:
    """Whether what an entry says of its record is what the record says."""
    where = layout.file_path(entry, RECORD_NAME)
    try:
        said = summary(parse_record(read_bytes(folder / where), where))
    except RecordError as error:
        return [Finding(where, error.what, False)]
    except (KeyError, TypeError, AttributeError):
        return [Finding(where, "parts of the record are missing", False)]
    differing = [name for name, value in said.items() if entry.get(name) != value]
    what = f"the log says otherwise of this record ({', '.join(differing)})"
    return [Finding(where, what, False)] if differing else []


def whose_log(log: Log, keys: Sequence[PublicKey]) -> tuple[PublicKey | None, list[Finding]]:
    """The archive's key, and what can be said of it and of the newest checkpoint."""
    try:
        key = key_of_archive(log.entry(0))
    except RecordError as error:
        return None, [Finding(layout.entry_path(0), error.what, False)]
    return key, [*_check_key(key, keys), *check_signature(log.head, key)]


def _check_key(key: PublicKey | None, keys: Sequence[PublicKey]) -> list[Finding]:
    where = layout.entry_path(0)
    if key is None:
        if keys:
            return [Finding(where, "the archive is not signed, and a key was given to check it with", False)]
        what = "not signed: who writes the whole archive anew leaves no trace; keep checkpoints elsewhere"
        return [Finding(where, what, None)]
    named = f"{key.name} (key {key.key_id})"
    if not keys:
        what = f"whose key this is: the archive itself says {named}; compare it, or give the key with --trust"
        return [Finding(where, what, None)]
    if key.raw in {given.raw for given in keys}:
        return [Finding(where, f"the archive's key is one that was given: {named}", True)]
    return [Finding(where, f"the archive's key is none of those that were given: {named}", False)]


def check_signature(head: Checkpoint, key: PublicKey | None) -> list[Finding]:
    """Whether a checkpoint is signed with the archive's key; where there is none, that it is not signed."""
    if key is None:
        signed = "the checkpoint is signed, although the archive has no key"
        return [Finding(layout.CHECKPOINT, signed, False)] if head.signatures else []
    if head.is_signed_by(key):
        return [Finding(layout.CHECKPOINT, f"signed with the archive's key, for {head.size} entries", True)]
    return [Finding(layout.CHECKPOINT, "it is not signed with the archive's key", False)]


def vouched_by_proof(path: Path, trust: Trust) -> Trust:
    """Trust for a record outside of an archive: a proof beside it, which is checked, may stand for a
    signature."""
    folder = path if path.is_dir() else path.parent
    return dataclasses.replace(trust, vouched=(folder / layout.PROOF).is_file())


def check_proof_beside(result: VerifyResult, keys: Sequence[PublicKey] = ()) -> VerifyResult:
    """A result on a record, report or folder outside of an archive, with what a proof beside it says.

    Without the archive's key it is not said who signed: only that entry, path and checkpoint agree.
    """
    folder = result.path if result.path.is_dir() else result.path.parent
    if not (folder / layout.PROOF).is_file() or result.record_sha256 is None:
        return result
    try:
        proof = parse_proof(read_bytes(folder / layout.PROOF), layout.PROOF)
        entry = parse_entry(proof.entry, layout.PROOF)
    except RecordError as error:
        return with_findings(result, [Finding(layout.PROOF, error.what, False)], known={layout.PROOF})
    return with_findings(result, _check_alone(result, proof, entry, keys), known=known_names([entry]))


def _check_alone(
    result: VerifyResult, proof: InclusionProof, entry: Json, keys: Sequence[PublicKey]
) -> list[Finding]:
    where, hashes = layout.PROOF, {file["name"]: file["sha256"] for file in entry["files"]}
    wrong = [] if proof.holds() else ["its hashes do not lead from its entry to its checkpoint"]
    if hashes.get(RECORD_NAME) != result.record_sha256:
        wrong.append("its entry is of another record")
    folder = result.path if result.path.is_dir() else result.path.parent
    report = result.path if result.path.is_file() else folder / REPORT_NAME
    is_page = report.suffix == ".html" and report.is_file()
    if is_page and hashlib.sha256(read_bytes(report)).hexdigest() != hashes.get(REPORT_NAME):
        wrong.append("its entry is of another report")
    log = f"{proof.checkpoint.origin}, entry {proof.index} of {proof.checkpoint.size} then"
    if wrong:
        return [Finding(where, what, False) for what in wrong]
    if not keys:
        what = f"who signed that this stands in the log {log}: give the archive's key with --trust"
        return [
            Finding(where, f"entry, hashes and checkpoint agree ({log})", True),
            Finding(where, what, None),
        ]
    signed = any(proof.checkpoint.is_signed_by(key) for key in keys)
    what = f"stands in the log {log}, signed with a key that was given"
    return [
        Finding(where, what if signed else "its checkpoint is not signed with a key that was given", signed)
    ]


def known_names(entries: Iterable[Json]) -> set[str]:
    """Names in a record's folder that these entries of it answer for, listed in the record or not."""
    return {layout.PROOF, *(file["name"] for entry in entries for file in entry["files"])}


def with_findings(result: VerifyResult, findings: Sequence[Finding], known: set[str]) -> VerifyResult:
    """A result with more findings, and without those that wonder at files that are ``known``."""
    own = [f for f in result.findings if f.holds is not None or f.where not in known or f.needed]
    return dataclasses.replace(result, findings=(*own, *findings))
