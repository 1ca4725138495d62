"""``xctrules archive``: records put away so that nothing can be changed, dropped or slipped in unseen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from xctrules.cli.console import (
    DOES_NOT_HOLD,
    FINE,
    AsJson,
    command,
    complain,
    group,
    say,
    say_json,
    say_table,
)
from xctrules.core.errors import OutputError, RecordError, XctrulesError
from xctrules.core.wording import counted, visible

if TYPE_CHECKING:
    from xctrules.records.archive.log import Log
    from xctrules.records.signing.keys import SigningKey

app = group("A folder of records with a log that shows when one was changed, dropped or slipped in.")

KeyFile = Annotated[
    Path | None, typer.Option("--key", help="Private key of the archive.", metavar="FILE.key")
]
IndexUrl = Annotated[
    str | None,
    typer.Option("--index", help="Database of the index; ARCHIVE/index.sqlite unless given.", metavar="URL"),
]
Archive = Annotated[Path, typer.Argument(help="The archive's folder.", metavar="ARCHIVE")]


@app.command()
@command
def init(
    archive: Annotated[Path, typer.Argument(help="Folder to make.", metavar="ARCHIVE")],
    key: KeyFile = None,
    origin: Annotated[
        str | None, typer.Option(help="The log's name, such as example.org/cells; the folder's unless given.")
    ] = None,
) -> int:
    """Make an empty archive, with a key of its own where one is given."""
    from xctrules.records.archive.layout import CHECKER
    from xctrules.records.archive.store import create_archive

    if archive.exists() and (not archive.is_dir() or any(archive.iterdir())):
        raise OutputError("there is something already", where=archive, todo="Give the name of a new folder.")
    name = origin or "-".join(archive.resolve().name.split())
    signing = _signing(key)
    create_archive(archive, name, signing)
    say(f"Archive  {archive}, its log named {name}")
    say(f"Checker  {archive / CHECKER} (needs no xctrules)")
    if signing is None:
        say("Key      none: who writes the whole archive anew leaves no trace (xctrules keys new)")
    else:
        say(f"Key      {signing.key_id} of {signing.name}")
    return FINE


@app.command()
@command
def add(
    archive: Archive,
    folders: Annotated[
        list[Path], typer.Argument(help="Cells' folders, or folders of them.", metavar="FOLDER...")
    ],
    key: KeyFile = None,
) -> int:
    """Put records away with their reports, pictures and samples; each is safe once its line is printed."""
    from xctrules.records.archive.collecting import cell_folders, read_item
    from xctrules.records.archive.store import append

    _opened(archive)
    signing, refused = _signing(key), 0
    for folder in (found for path in folders for found in cell_folders(path)):
        try:
            item = read_item(folder)
        except RecordError as error:  # the other ones are still put away
            complain(str(error))
            refused += 1
            continue
        (added,) = append(archive, [item], signing)
        news = "was there already" if added.was_there else "added"
        say(f"{folder}: {news}, entry {added.index}, record {added.record_sha256}")
    return DOES_NOT_HOLD if refused else FINE


@app.command("list")
@command
def list_(
    archive: Archive,
    verdict: Annotated[str | None, typer.Option(help="PASS, FAIL, ... as records say it.")] = None,
    lot: Annotated[str | None, typer.Option(help="The lot that the acquisition names.")] = None,
    failed: Annotated[str | None, typer.Option(help="A rule that was not passed.", metavar="RULE")] = None,
    since: Annotated[str | None, typer.Option(help="Measured then or later.", metavar="DATE")] = None,
    cell_format: Annotated[str | None, typer.Option("--format", help="Cell format, such as 21700.")] = None,
    spec: Annotated[str | None, typer.Option(help="Name of the spec that was judged by.")] = None,
    state: Annotated[
        str | None, typer.Option(help="What was said last, such as released or withdrawal; or none.")
    ] = None,
    index: IndexUrl = None,
    as_json: AsJson = False,
) -> int:
    """List the records that fit, in the order in which they came; the index is brought up to date first."""
    from xctrules.records.archive.index import Wanted, open_index

    _opened(archive)
    wanted = Wanted(verdict, lot, failed, _day(since), cell_format, spec, state)
    with open_index(archive, index) as opened:
        records = opened.records(wanted)
    if as_json:
        say_json(records)
    else:
        say_table([_HEAD, *map(_row, records)])
    return FINE


@app.command("index")
@command
def index_(archive: Archive, index: IndexUrl = None) -> int:
    """Make the index anew from the log: a database to search, on which nothing that is verified relies."""
    import time

    from xctrules.records.archive.index import INDEX, open_index

    _opened(archive)
    began = time.perf_counter()
    with open_index(archive, index, anew=True) as opened:
        count = opened.count()
    where = "the database that was given" if index else archive / INDEX
    say(f"{counted(count, 'record')} in {where}, {time.perf_counter() - began:.1f} s")
    return FINE


@app.command()
@command
def pages(archive: Archive, index: IndexUrl = None) -> int:
    """Write index.html and pages/: the cells to look through from a file share, without a server."""
    from xctrules.records.archive.site import write_site

    _opened(archive)
    count = write_site(archive, index)
    say(f"{counted(count, 'cell')} in {archive / 'index.html'}")
    return FINE


@app.command()
@command
def show(
    archive: Archive,
    cell: Annotated[
        str, typer.Argument(help="A cell's id, or how its record's SHA-256 begins.", metavar="CELL")
    ],
    as_json: AsJson = False,
) -> int:
    """Show what the log says of a cell: every record of it, and what came to these later."""
    log = _opened(archive)
    entries = list(log.entries())
    wanted = {
        entry["record"]
        for entry in entries
        if entry["kind"] == "record"
        and (entry["cell_id"] == cell or (len(cell) >= 8 and entry["record"].startswith(cell)))
    }
    found = [entry for entry in entries if entry.get("record") in wanted]
    if not found:
        raise RecordError(
            f"the archive knows no cell {cell!r}", where=archive, todo="See xctrules archive list."
        )
    if as_json:
        say_json(found)
        return FINE
    for entry in found:
        say(f"entry {entry['index']}, {entry['added']}: {_about(entry)}")
        for file in entry["files"]:
            say(f"  {file['sha256']}  {file['name']}")
    return FINE


@app.command()
@command
def sign(
    archive: Archive,
    record: Annotated[str, typer.Argument(help="SHA-256 of the record, or how it begins.", metavar="RECORD")],
    sign_key: Annotated[Path, typer.Option(help="Private key of who signs.", metavar="FILE.key")],
    meaning: Annotated[
        Literal["reviewed", "released", "concession", "amendment", "withdrawal"],
        typer.Option(help="What is said of the record."),
    ],
    reason: Annotated[
        str | None, typer.Option(help="Why; a concession, amendment or withdrawal needs it.", metavar="TEXT")
    ] = None,
    key: KeyFile = None,
) -> int:
    """Say something of a record, signed, in an entry of its own; the record stays as it is."""
    from xctrules.records.archive.layout import record_folder
    from xctrules.records.archive.member import verify_member
    from xctrules.records.archive.store import add_to_record
    from xctrules.records.signing.making import signature_in

    known = {entry["record"] for entry in _opened(archive).entries() if entry["kind"] == "record"}
    found = [sha256 for sha256 in known if len(record) >= 8 and sha256.startswith(record)]
    if len(found) != 1:
        what = f"{len(found)} records begin with {record!r}"
        raise RecordError(what, where=archive, todo="See xctrules archive list --json.")
    (sha256,) = found
    folder = archive / record_folder(sha256)
    signer, own = _signing(sign_key), _signing(key)
    assert signer is not None
    result = verify_member(folder, archive)
    if result.failures:
        complain(f"nothing was signed: {result.failures[0]}")
        return DOES_NOT_HOLD
    name, envelope = signature_in(folder, signer, meaning, reason=reason)
    added = add_to_record(archive, sha256, {name: envelope}, "signature", own)
    say(visible(f"{result.cell_id}, {result.verdict}: signed as {meaning} by {signer.name}"))
    say(f"Record {added.record_sha256}, {added.new_entries} new entry")
    return FINE


@app.command()
@command
def checkpoint(archive: Archive) -> int:
    """Print the newest checkpoint: five lines to send out of the house, by which others can hold the log."""
    say(_opened(archive).head.text().removesuffix("\n"))
    return FINE


_HEAD = ("entry", "measured", "cell", "lot", "verdict", "state", "spec", "not passed", "record")


def _row(record: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(record["entry"]), (record["measured"] or "")[:10], record["cell_id"], record["lot"] or "",
        record["verdict"], "" if record["state"] == "none" else record["state"],
        f"{record['spec']} {record['spec_version']}", ", ".join(record["failed"]), record["record"][:16],
    )  # fmt: skip


def _day(text: str | None) -> str | None:
    """A date or time as the index holds it, in UTC."""
    from xctrules.records.archive.indexing import utc

    if text is None:
        return None
    when = utc(text)
    if when is None:
        todo = "Give a day such as 2026-11-30, or a time such as 2026-11-30T12:00Z."
        raise XctrulesError(f"{text!r} is no date", where="--since", todo=todo)
    return when


def _about(entry: dict[str, Any]) -> str:
    if entry["kind"] == "record":
        return f"{entry['cell_id']}, {entry['verdict']}, record {entry['record']}"
    return f"{entry['about']} came to record {entry['record']}"


def _signing(path: Path | None) -> SigningKey | None:
    from xctrules.cli.keys import signing_key

    return None if path is None else signing_key(path)


def _opened(archive: Path) -> Log:
    from xctrules.records.archive.layout import is_archive
    from xctrules.records.archive.log import Log

    if not is_archive(archive):
        raise XctrulesError("this is no archive", where=archive, todo="Make one: xctrules archive init.")
    return Log.open(archive)
