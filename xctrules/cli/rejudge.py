"""``xctrules rejudge``: what would another spec say of what was measured?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xctrules.cli.console import (
    DOES_NOT_HOLD,
    FINE,
    UNUSABLE,
    AsJson,
    SpecName,
    command,
    complain,
    say,
    say_json,
)
from xctrules.core.errors import RecordError, XctrulesError
from xctrules.core.wording import counted, visible

if TYPE_CHECKING:
    from xctrules.records.rejudging import Rejudged
    from xctrules.records.signing.keys import SigningKey
    from xctrules.rules.cellspec import CellSpec

EXIT_CODES = (
    "Exit codes: 0 no verdict flips; 1 at least one does; "
    "2 wrong usage, or a record could not be judged again (the others were)."
)

Pair = tuple[Path, "Rejudged"]


@command
def rejudge(
    records: Annotated[
        Path, typer.Argument(help="An archive, a folder of records, or a record.", metavar="ARCHIVE")
    ],
    spec: SpecName,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the new records of cells that lie in no archive.", metavar="DIR"),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Private key of the archive.", metavar="FILE.key")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what flips, and write nothing.")] = False,
    as_json: AsJson = False,
) -> int:
    """Judge what was measured by another spec, list the verdicts that flip and why, and add the new records.

    No record is changed or replaced.
    """
    from xctrules.records.archive.layout import archive_around, is_archive

    archive = records if is_archive(records) else None
    if archive is None and archive_around(records) is not None:
        raise XctrulesError("lies in an archive", where=records, todo="Give the archive's own folder.")
    if archive is None and out is None and not dry_run:
        raise XctrulesError(
            "is missing", where="--out", todo="Give a folder for the new records, or --dry-run."
        )
    if archive is not None and out is not None:
        raise XctrulesError("an archive keeps its own", where="--out", todo="Leave it away.")
    loaded = _spec(spec)
    signing = _signing(key)
    pairs, refused = _judged(_folders(records, archive, loaded), loaded)
    if not dry_run:
        refused += _written(pairs, archive, out, signing)
    flipped = [each for _, each in pairs if each.flipped]
    if as_json:
        say_json([_as_json(path, each) for path, each in pairs])
    else:
        for line in _lines(flipped, len(pairs), loaded):
            say(visible(line))
    if refused:
        return UNUSABLE
    return DOES_NOT_HOLD if flipped else FINE


def _spec(name: str) -> CellSpec:
    """The spec, which may name what the installed plugins measure."""
    from xctrules.cli.console import stdout_for_results
    from xctrules.engine.planning import spec_of
    from xctrules.engine.registry import load_plugins

    with stdout_for_results(), load_plugins() as registry:
        return spec_of(name, registry)


def _signing(path: Path | None) -> SigningKey | None:
    from xctrules.cli.keys import signing_key

    return None if path is None else signing_key(path)


def _folders(records: Path, archive: Path | None, spec: CellSpec) -> list[Path]:
    from xctrules.records.archive.collecting import cell_folders
    from xctrules.records.archive.rejudging import to_be_judged

    return cell_folders(records) if archive is None else list(to_be_judged(archive, spec))


def _judged(folders: list[Path], spec: CellSpec) -> tuple[list[Pair], int]:
    """What came of each record, and how many could not be judged."""
    from xctrules.records.reading import read_record
    from xctrules.records.rejudging import rejudge

    pairs, refused = [], 0
    for folder in folders:
        try:
            pairs.append((folder, rejudge(*read_record(folder), spec)))
        except RecordError as error:
            complain(str(error) if error.where else f"{folder}: {error}")
            refused += 1
    return pairs, refused


def _written(pairs: list[Pair], archive: Path | None, out: Path | None, key: SigningKey | None) -> int:
    """Write the new records; how many could not be, each of which is told."""
    from xctrules.records.archive.rejudging import put_away
    from xctrules.records.binding import bound_report
    from xctrules.records.folder import SCAN_LIST_NAME, write_cell
    from xctrules.records.reading import read_bytes

    if archive is not None:
        put_away(archive, pairs, key)
        return 0
    refused = 0
    for folder, each in pairs:
        assert out is not None
        try:
            files = {SCAN_LIST_NAME: read_bytes(folder / SCAN_LIST_NAME)}
            record, page = bound_report(each.now, {})
            write_cell(out, record, files, page)
        except XctrulesError as error:
            complain(str(error))
            refused += 1
    return refused


def _lines(flipped: list[Rejudged], count: int, spec: CellSpec) -> Iterator[str]:
    for each in flipped:
        old = each.then["spec"]
        yield f"{each.then['cell_id']}: {each.then['verdict']} -> {each.now['verdict']}"
        yield f"  by {spec.name} {spec.version}, was by {old['name']} {old['version']}"
        yield from (f"  {cause}" for cause in each.causes)
    yield f"{counted(count, 'record')} judged by {spec.name} {spec.version}: {len(flipped)} flipped"


def _as_json(path: Path, each: Rejudged) -> dict[str, object]:
    return {
        "path": str(path),
        "cell_id": each.then["cell_id"],
        "verdict_then": each.then["verdict"],
        "verdict_now": each.now["verdict"],
        "flipped": each.flipped,
        "causes": list(each.causes),
    }
