"""Writing an archive: what was acknowledged stays, and what was not leaves no trace.

The order does it. First ``pending`` tells what will be written. Then every file, entry and proof is written
and flushed, and every folder that names them. Only then does a new checkpoint take the old one's place, in
one step, and is flushed: at that moment, and not before, all of it is part of the archive. Nothing that was
part of it before is touched, so that a stop at any moment leaves the old archive or the new one. See
``pending`` for how the next writer cleans up.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xctrules.core.errors import OutputError, RecordError, XctrulesError
from xctrules.core.files import whole_folder
from xctrules.records.archive import entries, layout
from xctrules.records.archive.checkpoint import Checkpoint, check_origin, verifier_key
from xctrules.records.archive.disk import Disk, create_all, put_in_place
from xctrules.records.archive.lock import only_writer
from xctrules.records.archive.log import Log
from xctrules.records.archive.merkle import grown, leaf_hash, root_by_inclusion, root_of
from xctrules.records.archive.pending import announce, clean_up, done
from xctrules.records.archive.proof import InclusionProof, parse_proof
from xctrules.records.archive.trust import check_own_key
from xctrules.records.folder import RECORD_NAME
from xctrules.records.reading import read_bytes
from xctrules.records.signing.keys import SigningKey

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Item:
    """A record to put away.

    Attributes
    ----------
    record
        As it was read from ``files``.
    files
        Bytes by name, as they stand in the cell's folder; ``record.json`` among them.
    """

    record: Mapping[str, Any]
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Added:
    """What became of an item: the entries that stand for it, and how many of them are new."""

    record_sha256: str
    index: int
    new_entries: int

    @property
    def was_there(self) -> bool:
        return self.new_entries == 0


@dataclass
class _Batch:
    """The log as it will be, and all files that have to be written for it."""

    log: Log
    frontier: tuple[bytes, ...]
    key: SigningKey | None
    added: str
    head: Checkpoint = field(init=False)
    files: dict[str, bytes] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    known: dict[str, tuple[int, frozenset[str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.head = self.log.head

    def append(self, entry: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        """One more entry, its proof and its files; each has a signed checkpoint of its own."""
        index, data = self.head.size, entries.entry_bytes(entry)
        path = tuple(reversed(self.frontier))
        self.frontier = grown(self.frontier, index, leaf_hash(data))
        self.head = _signed(Checkpoint(self.head.origin, index + 1, root_of(self.frontier)), self.key)
        proof = InclusionProof(data, index, path, self.head)
        for name, content in files.items():
            self.files[layout.file_path(entry, name)] = content
        self.files[layout.entry_path(index)] = data
        self.files[layout.proof_path(entry, index)] = proof.text().encode("utf-8")
        self.paths += _announced(entry, index, files)


def create_archive(folder: Path, origin: str, key: SigningKey | None, *, now: datetime | None = None) -> None:
    """Make a new, empty archive: its README, its checker, and a first entry that names its key.

    Raises
    ------
    AlreadyThere, OutputError
        When there is something already, or it cannot be written.
    RecordError
        For an origin that cannot name a log.
    """
    check_origin(origin)
    files = {name: (HERE / name).read_bytes() for name in (layout.README, layout.CHECKER)}
    entry = {
        "schema": entries.SCHEMA, "kind": "archive", "index": 0, "added": _time(now), "origin": origin,
        "key": None if key is None else {"name": key.name, "verifier": verifier_key(origin, key.public)},
        "files": entries.listing(files),
    }  # fmt: skip
    batch = _Batch(Log(folder, Checkpoint(origin, 0, b"")), (), key, _time(now))
    batch.append(entry, files)
    with whole_folder(folder, replace=False) as temporary:
        for name, data in {**batch.files, layout.CHECKPOINT: batch.head.text().encode("utf-8")}.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_bytes(data)


def append(
    folder: Path,
    items: Sequence[Item],
    key: SigningKey | None = None,
    *,
    now: datetime | None = None,
    disk: Disk | None = None,
) -> list[Added]:
    """Put records away, all of them or none.

    When this returns, they are there, whatever happens to the program or the machine.

    Parameters
    ----------
    key
        The archive's own; ``None`` for an archive without one.

    Returns
    -------
    added
        One for each item. A record that was there already gets no second entry; files that came to it since,
        such as a signature, get one.

    Raises
    ------
    RecordError
        When the archive's end is damaged, or an item holds what cannot be put away.
    KeyFileError
        When the key is not the archive's.
    OutputError
        When it cannot be written: what was not made to last is not part of the archive then.
    """
    disk = disk or Disk()
    with only_writer(folder), _reported(folder):
        batch = _Batch(Log(folder, clean_up(disk, folder)), (), key, _time(now))
        check_own_key(batch.log, key)
        batch.frontier = _frontier(batch.log)
        results = [_put(batch, item) for item in items]
        if batch.files:
            _commit(disk, folder, batch)
        return results


def add_to_record(
    folder: Path,
    record_sha256: str,
    files: Mapping[str, bytes],
    about: str,
    key: SigningKey | None = None,
    *,
    now: datetime | None = None,
    disk: Disk | None = None,
) -> Added:
    """Add files to a record that is there: a signature, a review. As :func:`append`.

    Raises
    ------
    RecordError
        When there is no such record.
    """
    disk = disk or Disk()
    with only_writer(folder), _reported(folder):
        batch = _Batch(Log(folder, clean_up(disk, folder)), (), key, _time(now))
        check_own_key(batch.log, key)
        batch.frontier = _frontier(batch.log)
        known = _known(batch, record_sha256)
        if known is None:
            raise RecordError("there is no such record in the archive", where=record_sha256)
        result = _add_new_files(batch, record_sha256, files, about, *known)
        if batch.files:
            _commit(disk, folder, batch)
        return result


def _put(batch: _Batch, item: Item) -> Added:
    """Plan the entries of one item."""
    _check_names(item.files)
    entry = entries.record_entry(batch.head.size, item.record, item.files, batch.added)
    sha256 = entry["record"]
    known = _known(batch, sha256)
    if known is not None:
        return _add_new_files(batch, sha256, item.files, "files", *known)
    batch.known[sha256] = entry["index"], frozenset(file["sha256"] for file in entry["files"])
    batch.append(entry, item.files)
    return Added(sha256, entry["index"], 1)


def _add_new_files(
    batch: _Batch, sha256: str, files: Mapping[str, bytes], about: str, index: int, held: frozenset[str]
) -> Added:
    """Plan an entry for those files of a record that the archive does not hold yet."""
    hashes = {file["name"]: file["sha256"] for file in entries.listing(files)}
    fresh = {layout.added_name(h, name): files[name] for name, h in hashes.items() if h not in held}
    if not fresh:
        return Added(sha256, index, 0)
    batch.known[sha256] = index, held | frozenset(hashes.values())
    batch.append(entries.addition_entry(batch.head.size, sha256, fresh, batch.added, about), fresh)
    return Added(sha256, index, 1)


def _known(batch: _Batch, sha256: str) -> tuple[int, frozenset[str]] | None:
    """Where a record stands in the log, and the hashes of all files that it has; ``None`` for a new one."""
    if sha256 in batch.known:
        return batch.known[sha256]
    folder = batch.log.folder / layout.record_folder(sha256)
    if not folder.exists():
        return None
    index, entry = entry_of_record(batch.log, sha256)
    listed = {str(file["sha256"]) for file in entry["files"]}
    added = {path.name[:64] for path in (folder / layout.ADDED).glob("*")}
    return index, frozenset(listed | added)


def entry_of_record(log: Log, sha256: str) -> tuple[int, dict[str, Any]]:
    """A record's place in the log, by the proof beside it, and its entry.

    Raises
    ------
    RecordError
        When the two do not belong together.
    """
    where = f"{layout.record_folder(sha256)}/{layout.PROOF}"
    index = parse_proof(read_bytes(log.folder / where), where).index
    entry = log.entry(index) if index < log.head.size else {}
    if entry.get("kind") != "record" or entry.get("record") != sha256:
        raise RecordError("the log does not hold this record where its proof says", where=where, todo=_VERIFY)
    return index, entry


def _commit(disk: Disk, folder: Path, batch: _Batch) -> None:
    """Write all that is planned; the new checkpoint comes last."""
    try:
        announce(disk, folder, batch.log.head.size, batch.head.size, batch.paths)
        create_all(disk, folder, batch.files.items())
        put_in_place(disk, folder / layout.CHECKPOINT, batch.head.text().encode("utf-8"), layout.UNFINISHED)
        done(disk, folder)
    except BaseException:
        with contextlib.suppress(OSError, XctrulesError):  # the next writer does it
            clean_up(disk, folder)
        raise


def _announced(entry: Mapping[str, Any], index: int, files: Mapping[str, bytes]) -> list[str]:
    """The paths that an entry brings: a record's folder as a whole, which holds its proof."""
    paths = [layout.entry_path(index)]
    if entry["kind"] == "record":
        return [*paths, layout.record_folder(entry["record"])]
    return [*paths, layout.proof_path(entry, index), *(layout.file_path(entry, name) for name in files)]


def _frontier(log: Log) -> tuple[bytes, ...]:
    """The log's frontier, from its last entry and that one's proof, which lead to the checkpoint's root.

    Raises
    ------
    RecordError
        When they do not: nothing may be built on that.
    """
    last = log.head.size - 1
    leaf, path = leaf_hash(log.entry_bytes(last)), log.proof(last).path
    try:
        sound = root_by_inclusion(last, log.head.size, leaf, path) == log.head.root
    except ValueError:
        sound = False
    if not sound:
        what = "the last entry does not lead to the checkpoint, so that nothing is added"
        raise RecordError(what, where=log.folder / layout.entry_path(last), todo=_VERIFY)
    return grown(tuple(reversed(path)), last, leaf)


_VERIFY = "See what `xctrules verify` says of the archive, and bring back what was changed from a copy."


def _check_names(files: Mapping[str, bytes]) -> None:
    folded = [name.casefold() for name in files]
    for name in files:
        own = name == layout.PROOF or name.split("/")[0] == layout.ADDED
        if own or not layout.is_safe_name(name) or folded.count(name.casefold()) > 1:
            raise RecordError("a file of this name cannot be put into an archive", where=name)
    if RECORD_NAME not in files:
        raise RecordError(f"a record cannot be put away without {RECORD_NAME}")


def _signed(checkpoint: Checkpoint, key: SigningKey | None) -> Checkpoint:
    return checkpoint if key is None else checkpoint.signed(key)


def _time(now: datetime | None) -> str:
    return (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextlib.contextmanager
def _reported(folder: Path) -> Iterator[None]:
    """Errors of the file system as one sentence that says what to do."""
    try:
        yield
    except FileExistsError as error:
        where = error.filename or folder
        raise OutputError(
            "the archive holds a file that its log does not know", where=where, todo=_VERIFY
        ) from error
    except OSError as error:
        raise OutputError(
            f"it cannot be written ({error.strerror or error})",
            where=error.filename or folder,
            todo="Check permissions and free space, and add it again: nothing is added twice.",
        ) from error
