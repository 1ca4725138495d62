"""Archives of small records, quickly made, for tests of what becomes of them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from record_examples import example

from xctrules.core.canonical import canonical_bytes
from xctrules.records.archive.checking import verify_archive
from xctrules.records.archive.collecting import read_item
from xctrules.records.archive.log import Log
from xctrules.records.archive.store import Item, append, create_archive
from xctrules.records.binding import bound_report
from xctrules.records.folder import write_cell
from xctrules.records.record import sealed
from xctrules.records.signing.checking import Trust
from xctrules.records.signing.keys import SigningKey, new_key

KEY = new_key("Cell laboratory")


def cell(folder: Path, name: str, diameter: float = 21.2, **kw: Any) -> Path:
    """A cell's folder as an inspection leaves it; a diameter above 21.25 fails."""
    record, files = example(name, diameter=diameter, **kw)
    record, page = bound_report(record, files)
    return write_cell(folder, record, files, page)


def filled(folder: Path, key: SigningKey | None = KEY, count: int = 3) -> Path:
    """An archive ``folder/archive`` of whole cells, which lie in ``folder/cells``."""
    archive = folder / "archive"
    create_archive(archive, "example.org/cells", key)
    for i in range(count):
        append(archive, [read_item(cell(folder / "cells", f"cell-{i}"))], key)
    return archive


def small_item(name: str, **changed: Any) -> Item:
    """A record without report and with one picture, in half a millisecond; ``changed`` are parts of it."""
    record = sealed({**_small()[0], **changed, "cell_id": name})
    return Item(record, {"record.json": canonical_bytes(record), **_small()[1]})


@functools.cache
def _small() -> tuple[dict[str, Any], dict[str, bytes]]:
    record, files = example()
    return record, {"images/slice.png": files["images/slice.png"]}


def holds(archive: Path, key: SigningKey | None = KEY) -> bool:
    """Whether the archive holds, its verdicts and pages not worked out again."""
    trust = Trust(() if key is None else (key.public,))
    return all(result.ok for result in verify_archive(archive, trust, recompute=False))


def cells_in_log(archive: Path) -> list[str]:
    return [entry["cell_id"] for entry in Log.open(archive).entries() if entry["kind"] == "record"]
