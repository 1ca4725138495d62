"""The archive's pages, written beside its records: ``index.html`` and ``pages/``, to look through it."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from xctrules.core.errors import OutputError, RecordError
from xctrules.core.files import whole_file
from xctrules.core.shipped import shipped_folder
from xctrules.pages import archive_page
from xctrules.pages.archive_page import Cell, Head
from xctrules.records.archive.index import open_index
from xctrules.records.archive.indexing import Row
from xctrules.records.archive.log import Log
from xctrules.records.archive.trust import key_of_archive
from xctrules.records.reading import read_bytes

PAGES = "pages"
THUMBNAIL_PIXELS = 144
"""Twice the 72 of the page, for screens that draw fine."""


def write_site(archive: Path, url: str | None = None) -> int:
    """Write the pages of an archive, as new as its log, and return how many cells they show.

    Thumbnails that are there already are kept. Of two who write at once, the last one's pages stay.

    Parameters
    ----------
    url
        Of the index's database, as :func:`xctrules.records.archive.index.open_index` takes it.

    Raises
    ------
    OutputError, RecordError
        When the archive cannot be written or read.
    """
    with open_index(archive, url) as index:
        records = index.records()
        cells = archive_page.cells_of(records, index.said())
    head = _head(Log.open(archive))
    with _reported(archive):
        pictured = frozenset(_thumbnails(archive, records))
        pages = archive / PAGES
        _write(pages / "archive.js", (shipped_folder("templates") / "archive.js").read_bytes())
        _write(pages / "data.js", archive_page.data_script(cells, pictured).encode())
        count = _lists(pages, cells, pictured, head)
        _write(pages / "index.html", archive_page.render_archive(cells, pictured, head).encode())
        (pages / "index.html").replace(archive / "index.html")  # nothing unfinished lies beside the records
        _drop_older_lists(pages, count)
    return len(cells)


def _lists(pages: Path, cells: Sequence[Cell], pictured: frozenset[str], head: Head) -> int:
    count = -(-len(cells) // archive_page.PER_LIST)
    for number in range(1, count + 1):
        text = archive_page.render_list(cells, number, pictured, head)
        _write(pages / f"list-{number}.html", text.encode())
    return count


def _drop_older_lists(pages: Path, count: int) -> None:
    for path in pages.glob("list-*.html"):
        number = path.stem.removeprefix("list-")
        if number.isdigit() and int(number) > count:
            path.unlink(missing_ok=True)


def _head(log: Log) -> Head:
    try:
        key = key_of_archive(log.entry(0))
    except RecordError:
        key = None
    return Head(
        origin=log.head.origin,
        size=log.head.size,
        newest=archive_page.day(str(log.entry(log.head.size - 1)["added"])),
        checkpoint=log.head.text().strip(),
        key=None if key is None else f"{key.name} (key {key.key_id})",
        # What was put away could not know it; and the same log gives the same page.
        nonce=hashlib.sha256(b"page" + log.head.root).hexdigest()[:32],
    )


def _thumbnails(archive: Path, records: Sequence[Row]) -> Iterator[str]:
    """Make the thumbnails that are missing; yields the records that have one."""
    for row in records:
        record, picture = str(row["record"]), row["picture"]
        path = archive / archive_page.thumbnail_of(record)
        if picture is None:
            continue
        if path.is_file() and path.stat().st_size:
            yield record
            continue
        small = _small(archive / archive_page.folder_of(record) / str(picture))
        if small is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f"{path.name}.{os.getpid()}.new")  # not waited for
            temporary.write_bytes(small)
            temporary.replace(path)
            yield record


def _small(path: Path) -> bytes | None:
    """A square from the middle of a picture as JPEG; ``None`` for what is no picture."""
    import cv2
    import numpy as np

    try:
        image = cv2.imdecode(np.frombuffer(read_bytes(path), np.uint8), cv2.IMREAD_COLOR)
    except (RecordError, cv2.error):
        return None
    if image is None:
        return None
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = image[top : top + side, left : left + side]
    size = (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS)
    done, encoded = cv2.imencode(".jpg", cv2.resize(square, size, interpolation=cv2.INTER_AREA))
    return encoded.tobytes() if done else None


def _write(path: Path, data: bytes) -> None:
    """Write a file of the pages, whole or not at all; what has not changed stays."""
    if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
        return
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


@contextlib.contextmanager
def _reported(archive: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"the pages cannot be written ({error.strerror or error})",
            where=error.filename or archive,
            todo="Check permissions and free space, and make them again: the records are untouched.",
        ) from error
