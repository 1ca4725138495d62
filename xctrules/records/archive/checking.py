"""A whole archive checked: every file, entry, proof and checkpoint, with the place of every fault."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from xctrules.core.errors import RecordError
from xctrules.records.archive import layout
from xctrules.records.archive.checkpoint import Checkpoint
from xctrules.records.archive.log import Log
from xctrules.records.archive.membership import EntryCheck, check_entry, known_names, whose_log, with_findings
from xctrules.records.archive.merkle import grown, leaf_hash, root_of
from xctrules.records.archive.pending import left_behind
from xctrules.records.checks import Finding
from xctrules.records.signing.checking import NOBODY, Trust
from xctrules.records.signing.keys import PublicKey
from xctrules.records.verify import VerifyResult, verify_path


def verify_archive(
    folder: Path,
    trust: Trust = NOBODY,
    earlier: Mapping[str, Checkpoint] | None = None,
    *,
    recompute: bool = True,
) -> Iterator[VerifyResult]:
    """Check an archive: first the log as a whole, then record by record.

    Parameters
    ----------
    trust
        Whom the reader trusts; where that names keys, the archive's own must be among them.
    earlier
        Checkpoints that were kept elsewhere, by what to call them: the log must go on from each.
    recompute
        Whether verdict, statistics and page of each record are worked out again, as for a single record.

    Yields
    ------
    result
        Of the archive, then of each record in the log's order.
    """
    try:
        log = Log.open(folder)
    except RecordError as error:
        missing = not (folder / layout.CHECKPOINT).exists()
        what = "the checkpoint is missing" if missing else error.what
        yield VerifyResult(folder, "", "", (Finding(layout.CHECKPOINT, what, False),), unreadable=True)
        return
    key, findings = whose_log(log, trust.keys)
    walk = _Walk(wanted={c.size for c in (earlier or {}).values()})
    checks = []
    for index in range(log.head.size):
        checks.append(check_entry(log, index, key))
        findings += walk.step(checks[-1])
    findings += _check_head(log, walk, checks)
    findings += [_check_earlier(log, walk, name, old, key) for name, old in (earlier or {}).items()]
    findings += _check_surplus(log, checks)
    findings += [f for check in checks if check.record_sha256 is None for f in check.findings]
    yield VerifyResult(folder, "", "", tuple(findings))
    by_record = defaultdict(list)
    for entry in (check.entry for check in checks if check.entry is not None):
        by_record[entry.get("record")].append(entry)
    for check in checks:
        if check.record_sha256 is not None:
            yield _of_record(folder, check, by_record[check.record_sha256], trust, recompute)


@dataclass
class _Walk:
    """The tree as it grows along the log, so that a fault shows where it is and not only at the end."""

    wanted: set[int]
    frontier: tuple[bytes, ...] | None = ()
    roots: dict[int, bytes] = field(default_factory=dict)

    def step(self, check: EntryCheck) -> Iterator[Finding]:
        """Go one entry on, and tell where its proof does not fit the entries before it.

        Where an entry was changed, its proof still says how the log went on, so that later ones are not
        blamed for it.
        """
        index, proof = check.index, check.proof
        before = self.frontier if proof is None else tuple(reversed(proof.path))
        if proof is not None and self.frontier is not None and before != self.frontier:
            where = layout.entry_path(index)
            yield Finding(
                where, "it does not go on from the entries before it, of which some were changed", False
            )
        leaf = check.leaf if proof is None else leaf_hash(proof.entry)
        known = before is not None and leaf is not None and len(before) == index.bit_count()
        self.frontier = (
            grown(before, index, leaf) if known and before is not None and leaf is not None else None
        )
        if index + 1 in self.wanted and self.frontier is not None:
            self.roots[index + 1] = root_of(self.frontier)


def _check_head(log: Log, walk: _Walk, checks: Sequence[EntryCheck]) -> list[Finding]:
    """Whether entries and checkpoint give the same root."""
    leaves_sound = all(check.leaf is not None for check in checks)
    frontier: tuple[bytes, ...] = ()
    for check in checks if leaves_sound else ():
        assert check.leaf is not None
        frontier = grown(frontier, check.index, check.leaf)
    if leaves_sound and root_of(frontier) == log.head.root:
        what = f"its root is that of the {log.head.size} entries of {log.head.origin}, in their order"
        return [Finding(layout.CHECKPOINT, what, True)]
    what = f"its root is not that of the {log.head.size} entries: one was changed, dropped, added or moved"
    return [Finding(layout.CHECKPOINT, what, False)]


def _check_earlier(log: Log, walk: _Walk, name: str, old: Checkpoint, key: PublicKey | None) -> Finding:
    """Whether the log goes on from a checkpoint that was kept elsewhere."""
    if old.origin != log.head.origin:
        return Finding(name, f"this checkpoint is of another log, {old.origin}", False)
    if key is not None and not old.is_signed_by(key):
        return Finding(name, "this checkpoint is not signed with the archive's key", False)
    if old.size > log.head.size:
        what = f"it knows {old.size} entries, the archive holds {log.head.size}: some were taken away"
        return Finding(name, what, False)
    if walk.roots.get(old.size) == old.root:
        return Finding(name, f"the log goes on from these {old.size} entries", True)
    return Finding(name, f"the log's first {old.size} entries are not those of this checkpoint", False)


def _check_surplus(log: Log, checks: Sequence[EntryCheck]) -> Iterator[Finding]:
    """Files that the log does not know, and those that a writer is about to add or left behind."""
    owned = {layout.CHECKPOINT} | layout.TRANSIENT
    for check in checks:
        owned |= _paths_of(check.entry, check.index)
    try:
        newer = Log.open(log.folder)  # what was added since the check began
        for index in range(log.head.size, newer.head.size):
            owned |= _paths_of(newer.entry(index), index)
        unfinished = tuple(left_behind(log.folder, newer.head))
    except RecordError as error:
        yield Finding(str(error.where), error.what, False)
        unfinished = ()
    under_way = False
    for path in sorted(log.folder.rglob("*")):
        name = path.relative_to(log.folder).as_posix()
        if (path.is_dir() and not path.is_symlink()) or name in owned or _is_derived(name):
            continue
        if any(name == path or name.startswith(f"{path}/") for path in unfinished):
            under_way = True
        elif not any(check.entry is None for check in checks) or not name.startswith(layout.RECORDS):
            yield Finding(name, "the log does not know this file", False)
        else:
            what = "whether the log knows this file: not all entries could be read"
            yield Finding(name, what, None)
    if under_way:
        what = "files that a writer is about to add, or left when it was stopped; the next one removes these"
        yield Finding(layout.PENDING, what, None)


def _paths_of(entry: Mapping[str, Any] | None, index: int) -> set[str]:
    if entry is None:
        return {layout.entry_path(index), layout.entry_path(index).removesuffix(".json") + ".tlog-proof"}
    files = (layout.file_path(entry, file["name"]) for file in entry["files"])
    return {layout.entry_path(index), layout.proof_path(entry, index), *files}


def _is_derived(name: str) -> bool:
    return name in layout.DERIVED_FILES or name.split("/")[0] in layout.DERIVED_FOLDERS


def _of_record(
    folder: Path, check: EntryCheck, entries: Sequence[Mapping[str, Any]], trust: Trust, recompute: bool
) -> VerifyResult:
    """A record's result: what its entry gave, and what it gives by itself; ``entries`` are all of it."""
    entry = check.entry
    assert entry is not None
    where = folder / layout.record_folder(entry["record"])
    logged = list(check.findings)
    if not any(f.holds is False for f in logged):
        what = f"entry {check.index}: its {len(entry['files'])} files and its proof are as they were logged"
        logged.append(Finding(layout.entry_path(check.index), what, True))
    bare = VerifyResult(
        where, str(entry["cell_id"]), str(entry["verdict"]), (), record_sha256=entry["record"]
    )
    if not recompute:
        return with_findings(bare, logged, set())
    try:
        result = verify_path(where, replace(trust, vouched=True))
    except RecordError as error:
        finding = Finding(layout.file_path(entry, "record.json"), error.what, False)
        return with_findings(bare, [finding, *logged], set())
    return with_findings(result, logged, known_names(entries))
