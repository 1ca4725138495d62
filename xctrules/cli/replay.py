"""``xctrules replay``: does measuring the scan again give the record's numbers?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xctrules.cli.console import (
    DOES_NOT_HOLD,
    FINE,
    Acquisition,
    AsJson,
    PluginsDir,
    ScanPath,
    aligned,
    command,
    complain,
    say,
    say_json,
    warn,
    working,
)
from xctrules.core import wording

if TYPE_CHECKING:
    from xctrules.engine.replay import Replay
    from xctrules.records.comparing import Comparison, Difference

EXIT_CODES = (
    "Exit codes: 0 every number is identical or within its uncertainty, and the verdict is the same; "
    "1 something is different, or the record itself does not hold; "
    "2 something cannot be read, or the scan is not the record's."
)


@command
def replay(
    record: Annotated[
        Path, typer.Argument(help="A cell's folder, its record or its report.", metavar="RECORD")
    ],
    scan: ScanPath,
    acquisition: Acquisition = None,
    segmentation: Annotated[
        Path | None,
        typer.Option(help="The label image that was used instead of segmenting.", metavar="FILE"),
    ] = None,
    segmenter: Annotated[
        str | None,
        typer.Option(
            help="NAME:MODEL, where the model that was used stands elsewhere today.", metavar="NAME"
        ),
    ] = None,
    plugins_dir: PluginsDir = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="List only numbers that are not identical.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Measure a record's scan again, by the record's own spec and options, and compare each number."""
    from xctrules.engine import replay as engine
    from xctrules.records.checks import check_record
    from xctrules.records.reading import read_record

    then, data = read_record(record)
    broken = [finding for finding in check_record(then, data) if finding.holds is False]
    for finding in broken:
        complain(f"the record itself does not hold: {finding.where}: {finding.what}")
    with working() as progress:
        result = engine.replay(
            then,
            scan,
            scan_list=_scan_list(record),
            acquisition=acquisition,
            segmentation=segmentation,
            segmenter=segmenter,
            plugins_dir=plugins_dir,
            progress=progress,
        )
    for warning in result.record["warnings"]:
        if warning not in then["warnings"]:
            warn(warning)
    if as_json:
        say_json(_as_json(then, result))
    else:
        for line in _lines(then, result.comparison, quiet):
            say(wording.visible(line))
    return FINE if result.comparison.holds and not broken else DOES_NOT_HOLD


def _scan_list(record: Path) -> str | None:
    """The list of the scan's files beside a record, where it is there."""
    from xctrules.records.folder import SCAN_LIST_NAME

    path = (record if record.is_dir() else record.parent) / SCAN_LIST_NAME
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _lines(then: Mapping[str, Any], found: Comparison, quiet: bool) -> Iterator[str]:
    from xctrules.records.comparing import ABSENT, DIFFERENT, IDENTICAL, NEW, WITHIN

    yield f"{then['cell_id']}, {then['verdict']}: measured again: {found.answer}"
    counts = [(found.count(state), state) for state in (IDENTICAL, WITHIN, DIFFERENT, ABSENT, NEW)]
    yield f"  numbers: {', '.join(f'{count} {state}' for count, state in counts if count)}"
    yield from _differing("software", found.software, "the same xctrules, plugins, libraries and Python")
    yield from _differing("outcome", found.outcomes, "verdict and every rule came out the same")
    if found.same_to_the_byte:
        yield "  record: the same to the byte, but for when and where it was measured; so are all its files"
    else:
        for what, names in (("other parts of the record", found.parts), ("files", found.files)):
            if names:
                yield f"  {what} that are not the same: {', '.join(names)}"
    shown = [number for number in found.numbers if not quiet or number.state not in (IDENTICAL, ABSENT)]
    if shown:
        yield ""
        rows = [(n.state, n.name, _value(n.then), _value(n.now)) for n in shown]
        yield from aligned([("State", "Measurement", "Then", "Now"), *rows])


def _differing(word: str, differences: tuple[Difference, ...], none: str) -> Iterator[str]:
    if not differences:
        yield f"  {word}: {none}"
    for each in differences:
        then, now = (_NOT_THERE if text is None else _shortened(text) for text in (each.then, each.now))
        yield f"  {word}: {_NAMES.get(each.name, each.name)}: {then} then, {now} now"


_NAMES = {"source_sha256": "source of xctrules", "python": "Python", "machine": "kind of processor"}
_NOT_THERE = "not there"


def _shortened(text: str) -> str:
    """A hash by its beginning, anything else as it is."""
    return f"{text[:12]}..." if len(text) == 64 and set(text) <= set("0123456789abcdef") else text


def _value(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return wording.NONE
    if entry.get("value") is None:
        return str(entry["status"]).replace("_", " ")
    uncertainty = entry.get("expanded_uncertainty")
    return wording.quantity(entry["value"], uncertainty, entry["unit"])


def _as_json(then: Mapping[str, Any], result: Replay) -> dict[str, Any]:
    found = result.comparison
    return {
        "cell_id": then["cell_id"],
        "verdict": then["verdict"],
        "answer": found.answer,
        "holds": found.holds,
        "same_to_the_byte": found.same_to_the_byte,
        "numbers": [
            {
                "name": n.name,
                "state": n.state,
                **{k: _short(e) for k, e in (("then", n.then), ("now", n.now))},
            }
            for n in found.numbers
        ],
        "software": list(map(vars, found.software)),
        "outcomes": list(map(vars, found.outcomes)),
        "parts": list(found.parts),
        "files": list(found.files),
    }


def _short(entry: Mapping[str, Any] | None) -> dict[str, Any] | None:
    keys = ("status", "value", "expanded_uncertainty", "unit")
    return None if entry is None else {key: entry.get(key) for key in keys}
