"""One record checked as a part of its archive: its entry, what was said of it later, and nothing besides."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from xctrules.core.errors import RecordError
from xctrules.core.wording import counted
from xctrules.records.archive import layout
from xctrules.records.archive.log import Log
from xctrules.records.archive.membership import EntryCheck, check_entry, known_names, whose_log, with_findings
from xctrules.records.archive.merkle import root_by_inclusion
from xctrules.records.archive.pending import left_behind
from xctrules.records.archive.store import entry_of_record
from xctrules.records.checks import Finding
from xctrules.records.signing.checking import NOBODY, Trust
from xctrules.records.signing.keys import PublicKey
from xctrules.records.verify import VerifyResult, verify_path


def verify_member(path: Path, archive: Path, trust: Trust = NOBODY) -> VerifyResult:
    """Check a record, a report or a cell's folder that lies in an archive, and that it belongs there.

    Raises
    ------
    RecordError
        As :func:`xctrules.records.verify.verify_path`, and when the archive's checkpoint cannot be read.
    """
    result = verify_path(path, dataclasses.replace(trust, vouched=True))
    folder = path if path.is_dir() else path.parent
    log = Log.open(archive)
    try:
        index, _ = entry_of_record(log, folder.resolve().name)
        findings, known = _as_member(log, folder.resolve(), index, trust.keys)
    except RecordError as error:
        return with_findings(result, [Finding(str(error.where), error.what, False)], known={layout.PROOF})
    return with_findings(result, findings, known)


def _as_member(
    log: Log, folder: Path, index: int, keys: Sequence[PublicKey]
) -> tuple[list[Finding], set[str]]:
    """What the log says of a record's folder, and the names in it that the log answers for.

    The first entry is looked at as well: it names the key that all the others are held against.
    """
    key, findings = whose_log(log, keys)
    own_proofs = _with_own_proof(log)
    additions = _additions(log, folder.name, own_proofs, index)
    checks = [check_entry(log, each, key) for each in (0, index, *additions)]
    for check in checks:
        findings += check.findings
        findings += _stands_in_head(log, check)
    entries = [check.entry for check in checks[1:] if check.entry is not None]
    known = known_names(entries)
    findings += _check_strays(log, folder, known)
    findings.append(_said_later(log, own_proofs, len(additions)))
    return findings, known


def _additions(log: Log, record_sha256: str, own_proofs: Sequence[int], index: int) -> list[int]:
    """Entries of what came to a record after its own entry ``index``."""
    named = record_sha256.encode()
    found = (each for each in own_proofs if index < each < log.head.size)
    return [each for each in found if named in log.entry_bytes(each)]


def _with_own_proof(log: Log) -> list[int]:
    """Entries that bring no record: their proof lies beside them, so that not all entries need be read."""
    names = (name for folder in _listed(log.folder / layout.LOG) for name in _names(folder))
    proofs = (name.removesuffix(".tlog-proof") for name in names if name.endswith(".tlog-proof"))
    return sorted(int(number) for number in proofs if number.isdigit())


def _listed(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []


def _names(folder: Path) -> list[str]:
    return os.listdir(folder)  # noqa: PTH208 - a Path for each of 100 000 names would take most of the time


def _said_later(log: Log, own_proofs: Sequence[int], count: int) -> Finding:
    """How much was said of the record later, and whether the log has entries that were not looked at."""
    records = sum(len(_names(folder)) for folder in _listed(log.folder / layout.RECORDS))
    if len(own_proofs) + records < log.head.size:
        what = "whether all that was said of it later is there: proofs are missing; verify the whole archive"
        return Finding(layout.LOG, what, None)
    what = "nothing was said of it later" if count == 0 else f"{counted(count, 'addition')} to it"
    return Finding(layout.LOG, f"{what}, by all entries that bring no record of their own", True)


def _stands_in_head(log: Log, check: EntryCheck) -> list[Finding]:
    """Whether the newest checkpoint leads to an entry; nothing where the entry itself does not hold."""
    if check.leaf is None or any(f.holds is False for f in check.findings):
        return []
    size, what = log.head.size, f"entry {check.index} of {log.head.size} stands in the newest checkpoint"
    try:
        holds = (
            root_by_inclusion(check.index, size, check.leaf, log.path_to_head(check.index)) == log.head.root
        )
    except (RecordError, ValueError):
        holds = False
    if not holds:
        where = layout.entry_path(check.index)
        what = f"the log's newest checkpoint does not lead to {where}: verify the whole archive"
    return [Finding(layout.CHECKPOINT, what, holds)]


def _check_strays(log: Log, folder: Path, known: set[str]) -> Iterator[Finding]:
    """Files in the record's folder that no entry of it lists."""
    unfinished = set(left_behind(log.folder, log.head))
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if (path.is_dir() and not path.is_symlink()) or name in known:
            continue
        if f"{layout.record_folder(folder.name)}/{name}" in unfinished:
            yield Finding(name, "a writer is about to add this file, or was stopped", None)
        else:
            yield Finding(name, "the log does not know this file", False)
