"""Records of an archive judged again: which ones, and the new ones put away beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from xctrules.records.archive import layout
from xctrules.records.archive.log import Log
from xctrules.records.archive.store import Item, append
from xctrules.records.binding import bound_report
from xctrules.records.folder import RECORD_NAME, REPORT_NAME, SCAN_LIST_NAME
from xctrules.records.reading import read_bytes
from xctrules.records.rejudging import Rejudged
from xctrules.records.signing.keys import SigningKey
from xctrules.rules.cellspec import CellSpec

BATCH = 100
"""Records that are put away in one step: each is whole or not there, whenever it stops."""


def to_be_judged(archive: Path, spec: CellSpec) -> Iterator[Path]:
    """Folders of the records that were measured, without those that this spec has judged already."""
    entries = [entry for entry in Log.open(archive).entries() if entry["kind"] == "record"]
    done = {
        entry["rejudges"]
        for entry in entries
        if entry["spec"]["sha256"] == spec.sha256 and "rejudges" in entry
    }
    for entry in entries:
        judged = entry["spec"]["sha256"] == spec.sha256 or entry["record"] in done
        if "rejudges" not in entry and not judged:
            yield archive / layout.record_folder(entry["record"])


def put_away(archive: Path, pairs: Sequence[tuple[Path, Rejudged]], key: SigningKey | None) -> None:
    """Add the new records to the archive, as entries of their own that name the one they judge again.

    Parameters
    ----------
    pairs
        Folder of the first record, and what came of it.

    Raises
    ------
    XctrulesError
        As :func:`xctrules.records.archive.store.append`.
    """
    for start in range(0, len(pairs), BATCH):
        append(archive, [_item(folder, each) for folder, each in pairs[start : start + BATCH]], key)


def _item(folder: Path, rejudged: Rejudged) -> Item:
    from xctrules.core.canonical import canonical_bytes

    record, page = bound_report(rejudged.now, {})
    files = {
        RECORD_NAME: canonical_bytes(record),
        REPORT_NAME: page.encode("utf-8"),
        SCAN_LIST_NAME: read_bytes(folder / SCAN_LIST_NAME),
    }
    return Item(record, files)
