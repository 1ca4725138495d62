"""``xctrules sign``: somebody vouches for a cell's record and all that stands beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from xctrules.cli.console import DOES_NOT_HOLD, FINE, command, complain, say
from xctrules.cli.keys import signing_key
from xctrules.core.errors import XctrulesError
from xctrules.core.wording import visible

EXIT_CODES = (
    "Exit codes: 0 signed; 1 the record does not hold, and nothing was signed; "
    "2 wrong usage, or something cannot be read."
)


@command
def sign(
    record: Annotated[Path, typer.Argument(help="A cell's folder, or the record in it.", metavar="RECORD")],
    key: Annotated[Path | None, typer.Option(help="Private key of who signs.", metavar="FILE.key")] = None,
    meaning: Annotated[
        Literal["measured", "reviewed", "released", "concession", "amendment", "withdrawal"] | None,
        typer.Option(help="What the signature says of the record."),
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option(help="Why; a concession, amendment or withdrawal needs it.", metavar="TEXT"),
    ] = None,
    timestamp: Annotated[
        Path | None,
        typer.Option(
            help="In place of signing: an RFC 3161 time stamp of one of the signatures, to be put beside it.",
            metavar="FILE.tsr",
        ),
    ] = None,
) -> int:
    """Sign a record, its report, its images and its single values, or put a time stamp beside a signature.

    The record is checked first; what does not hold is not signed.
    """
    from xctrules.records.archive.layout import archive_around

    folder = _folder(record)
    if archive_around(folder / "record.json") is not None:
        raise XctrulesError("lies in an archive", where=folder, todo="Use xctrules archive sign.")
    if timestamp is not None:
        if key is not None or meaning is not None or reason is not None:
            raise XctrulesError(
                "a time stamp is of a signature that is there already",
                where="--timestamp",
                todo="Sign first; give --timestamp alone then.",
            )
        return _attach(folder, timestamp)
    if key is None or meaning is None:
        missing = "--key" if key is None else "--meaning"
        raise XctrulesError("is missing", where=missing, todo="Give --key FILE.key and --meaning MEANING.")
    return _sign(folder, key, meaning, reason)


def _folder(record: Path) -> Path:
    """The cell's folder, of which all is signed."""
    if record.is_dir():
        return record
    if record.name not in ("record.json", "report.html"):
        raise XctrulesError(
            "is no cell's folder, and no record in one",
            where=record,
            todo="Give the folder that holds record.json, report.html and samples/.",
        )
    return record.parent


def _sign(folder: Path, key_file: Path, meaning: str, reason: str | None) -> int:
    from xctrules.records.signing.making import sign_folder
    from xctrules.records.signing.statement import check_reason
    from xctrules.records.verify import verify_path

    check_reason(meaning, reason)
    key = signing_key(key_file)
    result = verify_path(folder)
    if result.answer != "holds":
        complain(f"{folder}: nothing was signed: {result.answer}")
        for finding in (*result.failures, *(f for f in result.unchecked if f.needed)):
            complain(str(finding))
        return DOES_NOT_HOLD
    path = sign_folder(folder, key, meaning, reason=reason)
    say(visible(f"{result.cell_id}, {result.verdict}: signed as {meaning} by {key.name}"))
    say(f"Signature  {path}")
    return FINE


def _attach(folder: Path, token: Path) -> int:
    from xctrules.records.signing.making import attach_timestamp

    path, time = attach_timestamp(folder, token)
    say(f"Time stamp of {time}, beside its signature (whose stamp it is: verify --tsa-root FILE)")
    say(f"Time stamp  {path}")
    return FINE
