"""Records judged again, out of an archive or a folder: which ones, and the new ones put away beside them.

What an archive's log holds is not looked at twice. Once its entries lead to its checkpoint, the SHA-256 of a
record in them stands for its bytes, and those of the files beside it for these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xctrules.core.errors import RecordError
from xctrules.records.archive import layout
from xctrules.records.archive.entries import parse_entry
from xctrules.records.archive.indexing import may_be_signed
from xctrules.records.archive.log import Log
from xctrules.records.archive.membership import check_signature
from xctrules.records.archive.merkle import grown, leaf_hash, root_of
from xctrules.records.archive.store import Item
from xctrules.records.archive.trust import key_of_archive
from xctrules.records.binding import bound_bytes
from xctrules.records.checks import sha256_of
from xctrules.records.folder import RECORD_NAME, REPORT_NAME, SCAN_LIST_NAME
from xctrules.records.reading import read_bytes, read_record
from xctrules.records.rejudging import Rejudged, rejudge
from xctrules.records.signing.checking import NOBODY, Present, Trust, check_signatures, digests_beside
from xctrules.rules.cellspec import CellSpec

Json = Mapping[str, Any]
Choose = Callable[[Json], CellSpec]
"""The spec by which a record is to be judged again."""

BATCH = 100
"""Records that are put away in one step: each is whole or not there, whenever it stops."""


class Withdrawn(RecordError):
    """A record upon which nobody is to act any more: it is not judged again."""


@dataclass(frozen=True)
class Kept:
    """A record that may be judged again.

    Attributes
    ----------
    folder
        Where it lies.
    digests
        SHA-256 of its files by name, as a log that was checked has them; ``None`` for a record in no archive.
    judged_by
        SHA-256 of the specs that have judged it already.
    """

    folder: Path
    digests: Mapping[str, str] | None = None
    judged_by: frozenset[str] = frozenset()


def kept_in(archive: Path) -> list[Kept]:
    """The records of an archive that were measured, in the log's order.

    Raises
    ------
    RecordError
        When the log's entries do not lead to its checkpoint, or that is not signed with the archive's key.
    """
    digests: dict[str, dict[str, str]] = {}
    judged_by: dict[str, set[str]] = {}
    for entry in _sound_entries(Log.open(archive)):
        if entry["kind"] == "archive":
            continue
        files = {str(file["name"]): str(file["sha256"]) for file in entry["files"]}
        if entry["kind"] == "addition":
            digests.get(entry["record"], {}).update(files)
        elif "rejudges" in entry:
            judged_by.setdefault(str(entry["rejudges"]), set()).add(entry["spec"]["sha256"])
        else:
            digests[entry["record"]] = files
            judged_by.setdefault(entry["record"], set()).add(entry["spec"]["sha256"])
    return [
        Kept(archive / layout.record_folder(sha256), files, frozenset(judged_by[sha256]))
        for sha256, files in digests.items()
    ]


def _sound_entries(log: Log) -> list[dict[str, Any]]:
    """All entries of a log, once it is known that they are what its checkpoint stands for."""
    found: list[dict[str, Any]] = []
    frontier: tuple[bytes, ...] = ()
    for index in range(log.head.size):
        data = log.entry_bytes(index)
        frontier = grown(frontier, index, leaf_hash(data))
        found.append(parse_entry(data, layout.entry_path(index)))
    what = None
    if root_of(frontier) != log.head.root:
        what = "the log's entries are not those that its checkpoint stands for"
    elif any(f.holds is False for f in check_signature(log.head, key_of_archive(found[0]))):
        what = "the checkpoint is not signed with the archive's key"
    if what is not None:
        raise RecordError(f"{what}, so that nothing is judged again", where=log.folder, todo=_VERIFY)
    return found


_VERIFY = "See what `xctrules verify` says of it."


def judged_again(kept: Kept, choose: Choose, trust: Trust = NOBODY) -> Rejudged | None:
    """A record judged again; ``None`` where that spec has judged it already.

    Parameters
    ----------
    trust
        Whose signatures count. Where it names keys, a record that others have signed is refused.

    Raises
    ------
    RecordError
        As :func:`xctrules.records.rejudging.rejudge`; when the record is not the one in the log; when a
        signature of it is broken, or by nobody who is trusted.
    Withdrawn
        When it was withdrawn, by whomever.
    """
    record, data = read_record(kept.folder)
    if kept.digests is not None and sha256_of(data) != kept.digests[RECORD_NAME]:
        what = "the record was changed: its SHA-256 is not the one in the log"
        raise RecordError(what, where=kept.folder, todo=_VERIFY)
    spec = choose(record)
    if spec.sha256 in kept.judged_by:
        return None
    _look_at_signatures(kept, record, data, trust)
    return rejudge(record, data, spec, logged=kept.digests is not None)


def _look_at_signatures(kept: Kept, record: Json, data: bytes, trust: Trust) -> None:
    for name, digest in (kept.digests or {}).items():
        path = kept.folder / name
        if may_be_signed(name) and (not path.is_file() or sha256_of(read_bytes(path)) != digest):
            what = f"it is not judged again: {name} is missing or was changed since it was logged"
            raise RecordError(what, where=kept.folder, todo=_VERIFY)
    digests = kept.digests if kept.digests is not None else digests_beside(record, data, kept.folder)
    for each in check_signatures(kept.folder, Present(record, digests, whole=False), trust):
        if each.state == "broken" or (each.state == "unknown" and trust.keys):
            what = f"it is not judged again: {each.file}: {each.findings[0].what}"
            raise RecordError(what, where=kept.folder, todo=_VERIFY)
        if each.statement is not None and each.statement.meaning == "withdrawal":
            raise Withdrawn(f"it is not judged again: {each.line}", where=kept.folder)


def new_item(kept: Kept, rejudged: Rejudged) -> Item:
    """The new record with its page and the list of the scan's files, to be put away.

    Raises
    ------
    RecordError
        When that list is not the record's.
    """
    scan_list = read_bytes(kept.folder / SCAN_LIST_NAME)
    if sha256_of(scan_list) != rejudged.then["scan"]["sha256"]:
        what = "the list of the scan's files was changed: its SHA-256 is not the recorded one"
        raise RecordError(what, where=kept.folder / SCAN_LIST_NAME, todo=_VERIFY)
    record, data, page = bound_bytes(rejudged.now, {})
    return Item(record, {RECORD_NAME: data, REPORT_NAME: page.encode("utf-8"), SCAN_LIST_NAME: scan_list})


def in_batches(all_kept: Sequence[Kept]) -> Iterable[Sequence[Kept]]:
    """As many at a time as are put away in one step."""
    return (all_kept[start : start + BATCH] for start in range(0, len(all_kept), BATCH))
