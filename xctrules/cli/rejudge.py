"""``xctrules rejudge``: what would another spec say of what was measured?"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from xctrules.cli.console import (
    DOES_NOT_HOLD,
    FINE,
    UNUSABLE,
    AsJson,
    command,
    complain,
    say,
    say_json,
)
from xctrules.core.errors import RecordError, SpecError, XctrulesError
from xctrules.core.wording import counted, visible

if TYPE_CHECKING:
    from xctrules.records.archive.rejudging import Choose, Kept
    from xctrules.records.archive.store import Item
    from xctrules.records.rejudging import Rejudged
    from xctrules.records.signing.checking import Trust
    from xctrules.records.signing.keys import SigningKey
    from xctrules.rules.cellspec import CellSpec

EXIT_CODES = (
    "Exit codes: 0 no verdict flips; 1 at least one does; "
    "2 wrong usage, or a record could not be judged again (the others were)."
)


@command
def rejudge(
    records: Annotated[
        Path, typer.Argument(help="An archive, a folder of records, or a record.", metavar="ARCHIVE")
    ],
    spec: Annotated[
        str | None,
        typer.Option(
            help="Name of a cell-format spec, or its file; each record's own unless given.",
            metavar="NAME_OR_FILE",
        ),
    ] = None,
    decision_rule: Annotated[
        Literal["simple", "guarded", "iso14253", "four_state"] | None,
        typer.Option(help="Decide every rule by this decision rule."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the new records of cells that lie in no archive.", metavar="DIR"),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Private key of the archive.", metavar="FILE.key")] = None,
    trust: Annotated[
        list[Path] | None,
        typer.Option(
            help="Public key of somebody who may sign; a record that others signed is refused then.",
            metavar="FILE.pub",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what flips, and write nothing.")] = False,
    as_json: AsJson = False,
) -> int:
    """Judge what was measured by another spec or decision rule, list the verdicts that flip and why, and add
    the new records.

    No record is changed or replaced.
    """
    from xctrules.records.archive.layout import archive_around, is_archive
    from xctrules.records.archive.rejudging import in_batches
    from xctrules.records.signing.checking import Trust
    from xctrules.records.signing.keys import load_public_key

    if spec is None and decision_rule is None:
        raise XctrulesError("is missing", where="--spec", todo="Give --spec or --decision-rule, or both.")
    archive = records if is_archive(records) else None
    if archive is None and archive_around(records) is not None:
        raise XctrulesError("lies in an archive", where=records, todo="Give the archive's own folder.")
    if archive is None and out is None and not dry_run:
        raise XctrulesError(
            "is missing", where="--out", todo="Give a folder for the new records, or --dry-run."
        )
    if archive is not None and out is not None:
        raise XctrulesError("an archive keeps its own", where="--out", todo="Leave it away.")
    choose, by = _chosen(spec, decision_rule)
    signing = _signing(key)
    trusted = Trust(tuple(map(load_public_key, trust or ())))
    told: list[_Told] = []
    refused = 0
    for batch in in_batches(_found(records, archive)):
        judged = [_judged(kept, choose, trusted, draw=not dry_run) for kept in batch]
        done = [each for each in judged if isinstance(each, tuple)]
        refused += sum(each is False for each in judged)
        if not dry_run:
            refused += _written([item for _, item in done], archive, out, signing)
        told += [each for each, _ in done]
        if not as_json:
            for line in (line for each, _ in done if each.flipped for line in each.lines):
                say(visible(line))
    flipped = sum(each.flipped for each in told)
    if as_json:
        say_json([each.as_json() for each in told])
    else:
        say(visible(f"{counted(len(told), 'record')} judged by {by}: {flipped} flipped"))
    if refused:
        return UNUSABLE
    return DOES_NOT_HOLD if flipped else FINE


@dataclass(frozen=True)
class _Told:
    """What is said of a record that was judged again; the record itself is not held, since there may be many.

    ``by`` and ``was_by`` are specs with their versions.
    """

    path: Path
    cell_id: str
    then: str
    now: str
    by: str
    was_by: str
    causes: tuple[str, ...]

    @classmethod
    def of(cls, path: Path, each: Rejudged) -> _Told:
        by, was_by = (f"{r['spec']['name']} {r['spec']['version']}" for r in (each.now, each.then))
        then, now = (str(record["verdict"]) for record in (each.then, each.now))
        return cls(path, str(each.then["cell_id"]), then, now, by, was_by, each.causes)

    @property
    def flipped(self) -> bool:
        return self.then != self.now

    @property
    def lines(self) -> Iterator[str]:
        yield f"{self.cell_id}: {self.then} -> {self.now}"
        yield f"  by {self.by}, was by {self.was_by}"
        yield from (f"  {cause}" for cause in self.causes)

    def as_json(self) -> dict[str, object]:
        return {
            "path": str(self.path),
            "cell_id": self.cell_id,
            "verdict_then": self.then,
            "verdict_now": self.now,
            "flipped": self.flipped,
            "causes": list(self.causes),
        }


def _chosen(spec: str | None, decision_rule: str | None) -> tuple[Choose, str]:
    """By what each record is judged, and that in words."""
    from xctrules.records.embedded import embedded_spec
    from xctrules.rules.redeciding import by_decision_rule

    if spec is not None:
        loaded = _spec(spec)
        loaded = loaded if decision_rule is None else by_decision_rule(loaded, decision_rule)
        return lambda record: loaded, f"{loaded.name} {loaded.version}"
    assert decision_rule is not None

    @functools.lru_cache(maxsize=64)
    def other(entry: str) -> CellSpec:
        return by_decision_rule(embedded_spec(json.loads(entry)), decision_rule)

    def choose(record: Mapping[str, Any]) -> CellSpec:
        try:
            return other(json.dumps(record["spec"]))
        except (SpecError, KeyError, TypeError, AttributeError) as error:
            raise RecordError(f"the spec inside the record cannot be read again ({error})") from error

    return choose, f"the decision rule {decision_rule}"


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


def _found(records: Path, archive: Path | None) -> list[Kept]:
    from xctrules.records.archive.collecting import cell_folders
    from xctrules.records.archive.rejudging import Kept, kept_in

    return [Kept(folder) for folder in cell_folders(records)] if archive is None else kept_in(archive)


def _judged(kept: Kept, choose: Choose, trust: Trust, *, draw: bool) -> tuple[_Told, Item | None] | bool:
    """What came of a record, with the new one if that is to be drawn; else whether it is well as it is."""
    from xctrules.records.archive.rejudging import Withdrawn, judged_again, new_item

    try:
        rejudged = judged_again(kept, choose, trust)
        if rejudged is None:
            return True
        item = new_item(kept, rejudged) if draw else None
    except RecordError as error:
        complain(str(error) if error.where else f"{kept.folder}: {error}")
        return isinstance(error, Withdrawn)  # told, and no fault of anybody's
    return _Told.of(kept.folder, rejudged), item


def _written(
    items: Sequence[Item | None], archive: Path | None, out: Path | None, key: SigningKey | None
) -> int:
    """Write the new records; how many could not be, each of which is told."""
    from xctrules.records.archive.store import append
    from xctrules.records.folder import REPORT_NAME, SCAN_LIST_NAME, write_cell

    drawn = [item for item in items if item is not None]
    if archive is not None:
        if drawn:
            append(archive, drawn, key)
        return 0
    assert out is not None
    refused = 0
    for item in drawn:
        try:
            page = item.files[REPORT_NAME].decode("utf-8")
            write_cell(out, item.record, {SCAN_LIST_NAME: item.files[SCAN_LIST_NAME]}, page)
        except XctrulesError as error:
            complain(str(error))
            refused += 1
    return refused
