"""An index of an archive: a database to search, made from the log at any time, which proves nothing.

SQLite in the archive's folder (``index.sqlite``), or any database of SQLAlchemy's by its URL. Nothing that is
verified ever reads it. It names the entry up to which it goes and the log's root there, so that it goes on
from there, and is made anew where that is not this log's.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, SQLAlchemyError

from xctrules.core.errors import OutputError, RecordError, XctrulesError
from xctrules.records.archive.indexing import Row, newest_first, rows_of
from xctrules.records.archive.log import Log

INDEX = "index.sqlite"
SCHEMA = "xctrules.index/1"
UNSAID = "none"
"""The newest state of a record of which nothing was said."""

_TABLES = sa.MetaData()
_META = sa.Table(
    "xctrules_index",
    _TABLES,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("schema", sa.Text, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("root", sa.Text, nullable=False),
)
RECORDS = sa.Table(
    "xctrules_records",
    _TABLES,
    sa.Column("entry", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("record", sa.String(64), unique=True, nullable=False),
    sa.Column("cell_id", sa.Text, index=True, nullable=False),
    sa.Column("format", sa.Text, index=True),
    sa.Column("lot", sa.Text, index=True),
    sa.Column("verdict", sa.Text, index=True, nullable=False),
    sa.Column("state", sa.Text, index=True, nullable=False, server_default=UNSAID),
    sa.Column("spec", sa.Text, index=True, nullable=False),
    sa.Column("spec_version", sa.Text, nullable=False),
    sa.Column("spec_sha256", sa.Text, nullable=False),
    sa.Column("measured", sa.Text, index=True),
    sa.Column("added", sa.Text, nullable=False),
    sa.Column("rejudges", sa.Text),
    sa.Column("picture", sa.Text),
)
FAILED = sa.Table(
    "xctrules_failed",
    _TABLES,
    sa.Column("record", sa.String(64), primary_key=True),
    sa.Column("rule", sa.Text, primary_key=True, index=True),
)
SAID = sa.Table(
    "xctrules_said",
    _TABLES,
    sa.Column("entry", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("file", sa.Text, primary_key=True),
    sa.Column("record", sa.String(64), index=True, nullable=False),
    sa.Column("added", sa.Text, nullable=False),
    sa.Column("meaning", sa.Text),
    sa.Column("signer", sa.Text),
    sa.Column("time", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("rank", sa.Integer, nullable=False),
)


@dataclass(frozen=True)
class Wanted:
    """What to look for; ``None`` for anything.

    Attributes
    ----------
    failed
        A rule that was not passed.
    since
        Measured on that day or later, as ISO 8601 in UTC.
    """

    verdict: str | None = None
    lot: str | None = None
    failed: str | None = None
    since: str | None = None
    format: str | None = None
    spec: str | None = None
    state: str | None = None


class Index:
    """An open index, as new as the log was when it was opened."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def records(self, wanted: Wanted = Wanted()) -> list[Row]:
        """Records that fit, in the log's order, each with ``failed``, the rules that it did not pass."""
        query = sa.select(RECORDS).order_by(RECORDS.c.entry)
        for each in fields(Wanted):
            value = getattr(wanted, each.name)
            if value is None:
                continue
            if each.name == "failed":
                having = sa.select(FAILED.c.record).where(FAILED.c.rule == value)
                query = query.where(RECORDS.c.record.in_(having))
            elif each.name == "since":
                query = query.where(RECORDS.c.measured >= value)
            else:
                query = query.where(RECORDS.c[each.name] == value)
        rules: dict[str, list[str]] = {}
        with self._engine.connect() as connection:
            found = [dict(row) for row in connection.execute(query).mappings()]
            for record, rule in connection.execute(sa.select(FAILED).order_by(FAILED.c.rule)):
                rules.setdefault(record, []).append(rule)
        return [{**row, "failed": rules.get(row["record"], [])} for row in found]

    def count(self) -> int:
        """How many records there are."""
        with self._engine.connect() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(RECORDS)).scalar_one())

    def said(self) -> dict[str, list[Row]]:
        """What was said of each record, the newest on top."""
        found: dict[str, list[Row]] = {}
        with self._engine.connect() as connection:
            for row in connection.execute(sa.select(SAID)).mappings():
                found.setdefault(row["record"], []).append(dict(row))
        return {record: newest_first(rows) for record, rows in found.items()}


@contextlib.contextmanager
def open_index(archive: Path, url: str | None = None, *, anew: bool = False) -> Iterator[Index]:
    """An archive's index, brought up to the log's newest checkpoint first.

    Parameters
    ----------
    url
        Of a database; ``index.sqlite`` in the archive unless given. Where the archive cannot be written to,
        that is made in memory.
    anew
        Whether all of it is made anew.

    Raises
    ------
    OutputError
        When the database cannot be reached or written, or holds the index of another archive.
    RecordError
        When the log cannot be read.
    """
    log = Log.open(archive)
    with _reported(url or str(archive / INDEX)):
        engine = _engine(url) if url else _own(archive, log, anew)
        try:
            if url:
                _bring_up_to_date(engine, log, anew)
            yield Index(engine)
        finally:
            engine.dispose()


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        return sa.create_engine(parsed)
    except (ArgumentError, NoSuchModuleError) as error:
        raise XctrulesError(
            "this is no address of a database that SQLAlchemy knows", where="--index",
            todo="Give one such as postgresql://user@host/name, or sqlite:////folder/index.sqlite.",
        ) from error  # fmt: skip
    except ModuleNotFoundError as error:
        raise XctrulesError(
            f"the driver {error.name} is not installed", where="--index",
            todo='For PostgreSQL: pip install "xctrules[postgresql]".',
        ) from error  # fmt: skip


def _own(archive: Path, log: Log, anew: bool) -> sa.Engine:
    """``index.sqlite`` up to date: made anew where it is damaged, in memory where it cannot be written."""
    path = archive / INDEX
    for attempt in ("as it is", "without the old file", "in memory"):
        if attempt == "without the old file":
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        where = sa.URL.create("sqlite", database=None if attempt == "in memory" else str(path))
        engine = sa.create_engine(where, connect_args={"timeout": 60})
        try:
            _bring_up_to_date(engine, log, anew)
            return engine
        except DatabaseError as error:
            engine.dispose()
            if attempt == "in memory" or "locked" in str(error.orig):
                raise
    raise AssertionError  # the last attempt returns or raises


def _bring_up_to_date(engine: sa.Engine, log: Log, anew: bool) -> None:
    """Index the entries that came since; everything where what is there is not of this log."""
    _TABLES.create_all(engine)
    with engine.begin() as connection:
        connection.execute(sa.update(_META).values(id=_META.c.id))  # others wait here until this is done
        meta = connection.execute(sa.select(_META)).mappings().one_or_none()
        if meta is not None and meta["origin"] != log.head.origin:
            raise OutputError(
                f"this database holds the index of another archive, {meta['origin']}",
                where=engine.url.render_as_string(), todo="Give each archive a database of its own.",
            )  # fmt: skip
        start = 0 if anew or meta is None else _goes_up_to(log, meta)
        if start == 0:
            for table in reversed(_TABLES.sorted_tables):
                connection.execute(sa.delete(table))
        elif start == log.head.size:
            return
        _fill(connection, log, start)
        connection.execute(sa.delete(_META))
        connection.execute(
            sa.insert(_META).values(
                id=1, schema=SCHEMA, origin=log.head.origin, size=log.head.size, root=_text(log.head.root)
            )
        )


def _goes_up_to(log: Log, meta: sa.RowMapping) -> int:
    """How many entries the index holds of this very log; 0 where it is none of it."""
    size = int(meta["size"])
    if meta["schema"] != SCHEMA or not 0 < size <= log.head.size:
        return 0
    try:
        root = log.head.root if size == log.head.size else log.proof(size - 1).checkpoint.root
    except RecordError:
        return 0
    return size if _text(root) == meta["root"] else 0


def _fill(connection: sa.Connection, log: Log, start: int) -> None:
    known = sa.select(RECORDS.c.spec_sha256, sa.func.min(RECORDS.c.format)).group_by(RECORDS.c.spec_sha256)
    formats = {str(sha256): str(name) for sha256, name in connection.execute(known)}
    touched: set[str] = set()
    for rows in rows_of(log, start, formats):
        for table, new in ((RECORDS, rows.records), (FAILED, rows.failed), (SAID, rows.said)):
            if new:
                connection.execute(sa.insert(table), new)
        touched |= {row["record"] for row in rows.said}
    _state(connection, sorted(touched))


def _state(connection: sa.Connection, touched: Sequence[str]) -> None:
    """Give each of these records the newest thing that was said of it as its state."""
    for first in range(0, len(touched), 500):
        of_these = SAID.c.record.in_(touched[first : first + 500])
        said: dict[str, list[Row]] = {}
        for row in connection.execute(sa.select(SAID).where(of_these)).mappings():
            said.setdefault(row["record"], []).append(dict(row))
        newest = {record: newest_first(rows) for record, rows in said.items()}
        states: list[dict[str, Any]] = [
            {"of": record, "now": rows[0]["meaning"]} for record, rows in newest.items() if rows
        ]
        if states:
            change = sa.update(RECORDS).where(RECORDS.c.record == sa.bindparam("of"))
            connection.execute(change.values(state=sa.bindparam("now")), states)


@contextlib.contextmanager
def _reported(where: str) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        what = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise OutputError(
            f"the database of the index cannot be used ({what})",
            where=_shown(where), todo="Check its address, and that it may be written to.",
        ) from error  # fmt: skip


def _shown(where: str) -> str:
    """An address without its password."""
    return sa.make_url(where).render_as_string() if "://" in where else where


def _text(root: bytes) -> str:
    return base64.b64encode(root).decode()
