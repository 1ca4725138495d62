"""What a writer is about to write, told before it does, so that the next one can clean up after it.

``pending`` names every path that will come to be, and the size of the log before and after. When the next
writer finds it, the checkpoint says what happened: it has the size after, and all is well; or the size
before, and what is there of these paths was never part of the archive and is removed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from xctrules.core.errors import RecordError
from xctrules.records.archive.checkpoint import Checkpoint
from xctrules.records.archive.disk import Disk, put_in_place, remove_all
from xctrules.records.archive.layout import (
    CHECKPOINT,
    LOG,
    PENDING,
    PROOF,
    RECORDS,
    UNFINISHED,
    entry_path,
    is_safe_name,
)  # fmt: skip
from xctrules.records.archive.log import Log, read_checkpoint
from xctrules.records.reading import read_bytes


def announce(disk: Disk, folder: Path, size: int, after: int, paths: Sequence[str]) -> None:
    """Say what will be written, before any of it is."""
    text = json.dumps({"size": size, "after": after, "paths": list(paths)}, ensure_ascii=False)
    put_in_place(disk, folder / PENDING, text.encode("utf-8"), UNFINISHED)


def clean_up(disk: Disk, folder: Path) -> Checkpoint:
    """Remove what a stopped writer left, and return the newest checkpoint.

    Raises
    ------
    RecordError
        When checkpoint or announcement cannot be read, or the latter names what is part of the archive.
    """
    remove_all(disk, folder, [CHECKPOINT + UNFINISHED, PENDING + UNFINISHED])
    head = read_checkpoint(folder)
    if (folder / PENDING).exists():
        remove_all(disk, folder, left_behind(folder, head))
        disk.remove(folder / PENDING)
        disk.sync_folder(folder)
    return head


def done(disk: Disk, folder: Path) -> None:
    """Take the announcement back once the checkpoint stands; where this is lost, the next writer does it."""
    disk.remove(folder / PENDING)


def left_behind(folder: Path, head: Checkpoint) -> list[str]:
    """Paths that a writer had announced, which are not part of the archive.

    Raises
    ------
    RecordError
        When the announcement cannot be trusted with removing anything.
    """
    if not (folder / PENDING).exists():
        return []
    where = folder / PENDING
    try:
        told = json.loads(read_bytes(where))
        size, after, paths = int(told["size"]), int(told["after"]), list(told["paths"])
        sound = size < after and all(map(is_safe_name, paths))
    except (ValueError, TypeError, KeyError) as error:
        raise _not_to_be_trusted(where, "cannot be read") from error
    if not sound or head.size not in (size, after):
        raise _not_to_be_trusted(where, "does not fit the checkpoint")
    if head.size == after:
        return []
    if any(_is_part_of(folder, head, path) for path in paths):
        raise _not_to_be_trusted(where, "names what is part of the archive")
    return paths


def _is_part_of(folder: Path, head: Checkpoint, path: str) -> bool:
    """Whether a path is one of an entry that the checkpoint covers: it is never removed."""
    parts = path.split("/")
    if parts[0] == LOG and len(parts) == 3:
        return parts[2][:9] < entry_path(head.size).split("/")[2][:9]
    if parts[0] != RECORDS or len(parts) not in (3, 5):
        return True  # no writer announces such a path
    proof = folder / "/".join(parts[:3]) / PROOF
    if len(parts) == 3:
        return proof.is_file() and _stands_in(Log(folder, head), read_bytes(proof), parts[2])
    return _lists_file(Log(folder, head), parts[2], "/".join(parts[3:]))


def _stands_in(log: Log, proof: bytes, record_sha256: str) -> bool:
    """Whether a record's proof points to an entry that is really there."""
    found = [line for line in proof.split(b"\n") if line.startswith(b"index ")]
    index = (
        int(found[0].removeprefix(b"index ")) if len(found) == 1 and found[0][6:].isdigit() else log.head.size
    )
    return index < log.head.size and log.entry(index).get("record") == record_sha256


def _lists_file(log: Log, record_sha256: str, name: str) -> bool:
    """Whether any entry brought a file to a record: seldom asked, and answered by reading them all."""
    return any(
        entry.get("record") == record_sha256 and any(file["name"] == name for file in entry["files"])
        for entry in log.entries()
    )


def _not_to_be_trusted(where: Path, why: str) -> RecordError:
    return RecordError(
        f"what a stopped writer left {why}, so that nothing is cleaned up by it",
        where=where,
        todo="See `xctrules verify` of the archive; move this file away once it is clear what happened.",
    )
