"""Cells' folders as items to put away: found, read whole, and checked before they are taken in."""

from __future__ import annotations

import os
from pathlib import Path

from xctrules.core.errors import RecordError
from xctrules.records.archive.layout import PROOF
from xctrules.records.archive.store import Item
from xctrules.records.folder import RECORD_NAME
from xctrules.records.reading import parse_record, read_bytes
from xctrules.records.verify import verify_path


def cell_folders(path: Path) -> list[Path]:
    """A cell's folder itself, or all of those in a folder at any depth, sorted; hidden ones left out.

    Raises
    ------
    RecordError
        When there is none.
    """
    path = path.parent if path.name == RECORD_NAME else path
    found = []
    for folder, names, files in os.walk(path):
        names[:] = sorted(name for name in names if not name.startswith("."))
        if RECORD_NAME in files:
            found.append(Path(folder))
            names.clear()
    if not found:
        raise RecordError(f"the folder holds no {RECORD_NAME}", where=path, todo="Give a cell's folder.")
    return found


def read_item(folder: Path) -> Item:
    """A cell's folder with all its files; a proof of another archive stays behind.

    Raises
    ------
    RecordError
        When it does not hold by itself, so that an archive would keep what is worth nothing; or when it
        cannot be read.
    """
    result = verify_path(folder)
    if result.failures:
        first = result.failures[0]
        raise RecordError(
            f"it does not hold and is not put away: {first.where}: {first.what}",
            where=folder,
            todo="See what `xctrules verify` says of it.",
        )
    files = {
        path.relative_to(folder).as_posix(): read_bytes(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != PROOF
    }
    return Item(parse_record(files[RECORD_NAME], folder / RECORD_NAME), files)
