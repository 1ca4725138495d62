"""``xctrules certificate``: one or two pages for the customer, on a record that stands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xctrules.cli.console import DOES_NOT_HOLD, FINE, command, complain, say, warn
from xctrules.core.errors import XctrulesError
from xctrules.core.wording import visible

if TYPE_CHECKING:
    from xctrules.records.certificates.issuing import Certificate
    from xctrules.records.signing.checking import Trust
    from xctrules.records.verify import VerifyResult

EXIT_CODES = (
    "Exit codes: 0 the certificate was written, whatever its verdict; 1 it was refused, with a list; "
    "2 wrong usage, or something cannot be read."
)


@command
def certificate(
    record: Annotated[
        Path | None, typer.Argument(help="A cell's folder, or the record in it.", metavar="RECORD")
    ] = None,
    lab: Annotated[
        Path | None,
        typer.Option(
            help="The laboratory's profile; `example` is one that ships with the program.", metavar="FILE"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "--output", help="Folder for it; else the cell's own.", metavar="DIR"),
    ] = None,
    trust: Annotated[
        list[Path] | None,
        typer.Option(help="Public key of one more whose signature counts.", metavar="FILE.pub"),
    ] = None,
    example_lab: Annotated[
        bool, typer.Option("--example-lab", help="Print a laboratory's profile to fill in.")
    ] = False,
) -> int:
    """Write the certificate of a record: HTML, and PDF with the extra `pdf`.

    Refused, with a list, while a required field is missing, a limit is indicative, the voxel scale has no
    calibration behind it, or the record does not hold or was withdrawn.
    """
    from xctrules.records.certificates.issuing import Refused, issue_certificate, trust_of
    from xctrules.records.certificates.laboratory import example_profile, read_laboratory
    from xctrules.records.signing.keys import load_public_key

    if example_lab:
        say(example_profile().read_text(encoding="utf-8").rstrip())
        return FINE
    if record is None or lab is None:
        missing, todo = ("RECORD", "a cell's folder") if record is None else ("--lab", "a profile's file")
        raise XctrulesError("is missing", where=missing, todo=f"Give {todo}; --example-lab prints one.")
    folder = _folder(record)
    laboratory = read_laboratory(lab)
    trusted = trust_of(laboratory, [load_public_key(path) for path in trust or ()])
    try:
        drawn = issue_certificate(folder, laboratory, _verified(folder, trusted))
    except Refused as refused:
        complain(str(refused))
        for reason in refused.reasons:
            complain(visible(f"  {reason}"))
        return DOES_NOT_HOLD
    _write(drawn, folder, out)
    return FINE


def _folder(record: Path) -> Path:
    if record.is_dir():
        return record
    if record.name not in ("record.json", "report.html"):
        raise XctrulesError(
            "is no cell's folder, and no record in one",
            where=record,
            todo="Give the folder that holds record.json, report.html and images/.",
        )
    return record.parent


def _verified(folder: Path, trust: Trust) -> VerifyResult:
    from xctrules.records.archive.layout import archive_around
    from xctrules.records.archive.member import verify_member
    from xctrules.records.verify import verify_path

    archive = archive_around(folder / "record.json")
    return verify_path(folder, trust) if archive is None else verify_member(folder, archive, trust)


def _write(drawn: Certificate, folder: Path, out: Path | None) -> None:
    from xctrules.core.files import safe_file_stem, write_file
    from xctrules.pages.pdf import NoPdf, pdf_bytes
    from xctrules.records.archive.layout import archive_around
    from xctrules.records.folder import CERTIFICATE_STEM

    if out is None and archive_around(folder / "record.json") is not None:
        raise XctrulesError(
            "is missing", where="--out", todo="The record lies in an archive: give a folder outside of it."
        )
    stem = CERTIFICATE_STEM if out is None else f"{safe_file_stem(drawn.cell_id)}-{CERTIFICATE_STEM}"
    page = (folder if out is None else out) / f"{stem}.html"
    write_file(page, drawn.html.encode("utf-8"))
    say(visible(f"{drawn.cell_id}, {drawn.verdict}: certified by {drawn.laboratory}"))
    say(f"Certificate  {page}")
    paper = page.with_suffix(".pdf")
    try:
        write_file(paper, pdf_bytes(drawn.html))
    except NoPdf as error:
        paper.unlink(missing_ok=True)  # one of an earlier certificate would be taken for this one's
        warn(str(error))
    else:
        say(f"PDF          {paper}")
    say(f"Number       {drawn.number}")
