"""Records read back: strictly JSON, no key twice, of a schema that this version knows."""

from __future__ import annotations

import contextlib
import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xctrules.core.errors import RecordError
from xctrules.pages.embedding import embedded_record
from xctrules.records.folder import RECORD_NAME
from xctrules.records.record import SCHEMA


def read_bytes(path: Path) -> bytes:
    """A file's bytes; RecordError where there are none to read."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise RecordError("there is no such file or folder", where=path, todo="Check the path.") from error
    except OSError as error:
        raise RecordError(f"cannot be read ({error.strerror or error})", where=path) from error


def strict_json(data: bytes) -> Any:
    """JSON in UTF-8 by the letter: no NaN or infinity, no key twice.

    Raises
    ------
    ValueError, RecursionError
        When it is none.
    """

    def no_constant(text: str) -> Any:
        raise ValueError(f"{text} is no JSON number")

    def no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
            raise ValueError(f"the key {twice!r} is given twice")
        return values

    text = data.decode("utf-8")
    with _no_garbage_collection():
        return json.loads(text, parse_constant=no_constant, object_pairs_hook=no_twins)


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """A record is ten thousands of small lists, none of them garbage: looking at each again and again while
    they come takes as long as reading them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def parse_record(data: bytes, where: object) -> dict[str, Any]:
    """A record from its bytes; strictly JSON, no key twice, of a schema that this version knows.

    Raises
    ------
    RecordError
    """
    try:
        record = strict_json(data)
    except (ValueError, RecursionError) as error:
        todo = "It is no record, or it was cut off or changed."
        raise RecordError(f"not readable as a record ({error})", where=where, todo=todo) from error
    if not isinstance(record, dict) or "schema" not in record:
        raise RecordError("the file is no xctrules record", where=where)
    if record["schema"] != SCHEMA:
        raise RecordError(
            f"the record has the schema {record['schema']!r}, this version reads {SCHEMA!r}",
            where=where,
            todo="Use the version of xctrules that wrote it.",
        )
    return record


def read_record(path: Path) -> tuple[dict[str, Any], bytes]:
    """A record and its bytes, from a cell's folder, a ``record.json``, or the report that carries it.

    Raises
    ------
    RecordError
    """
    path = path / RECORD_NAME if path.is_dir() else path
    data = read_bytes(path)
    if data.lstrip()[:1] == b"<":
        try:
            data, _ = embedded_record(data.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise RecordError("the report is not UTF-8 text", where=path) from error
    return parse_record(data, path), data
