"""``xctrules validate``: how well xctrules measures, shown on cells whose dimensions are known."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xctrules.cli.main import _complain, _say, aligned, command
from xctrules.core.errors import OutputError, XctrulesError

if TYPE_CHECKING:
    from xctrules.campaigns.validation.run import Progress

EXIT_CODES = """\b
Exit codes: 0 the validation holds; 1 it does not;
2 it cannot be run."""

CASES, SHORT_CASES = 450, 12
MOST_CASES = 100_000

_WORDS = {True: "holds", False: "DOES NOT HOLD", None: "too few cases"}


@command
def validate(
    cases: Annotated[
        int | None,
        typer.Option(help=f"Number of phantoms; {CASES}, or {SHORT_CASES} with --short.", metavar="N"),
    ] = None,
    short: Annotated[
        bool, typer.Option("--short", help="A quick look on small phantoms, in less than a minute.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Draws another ensemble.", metavar="N")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for cases, figures and report.", metavar="DIR")] = Path(
        "xctrules-validation"
    ),
    workers: Annotated[
        int | None, typer.Option(help="Worker processes; one for each core unless given.", metavar="N")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume/--replace", help="Go on with the cases in DIR, or start afresh."),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON on stdout.")] = False,
) -> int:
    """Measure phantoms and hold the results against the truth: bias, coverage, faults found, false alarms.

    A run that was stopped goes on where it was, with the same command.
    """
    from xctrules.campaigns.validation.ensemble import Ensemble
    from xctrules.campaigns.validation.findings import find
    from xctrules.campaigns.validation.report import render
    from xctrules.campaigns.validation.run import REPORT_NAME, RESULT_NAME, header, prepare, run_cases
    from xctrules.core.canonical import plain

    count = cases if cases is not None else SHORT_CASES if short else CASES
    _check("--cases", count, 1, MOST_CASES)
    _check("--seed", seed, 0, 2**31 - 1)
    many = workers if workers is not None else _cores()
    _check("--workers", many, 1, 1024)
    ensemble = Ensemble(seed, short)
    head = header(ensemble)
    done = prepare(out, head, replace=not resume)
    rows = [row for index, row in done.items() if index < count]
    missing = [index for index in range(count) if index not in done]
    with contextlib.redirect_stdout(sys.stderr), _progress(len(rows), count) as progress:
        rows += run_cases(ensemble, missing, out, workers=many, progress=progress)
    found = plain(find(rows, head))
    try:
        (out / RESULT_NAME).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        (out / REPORT_NAME).write_text(render(found), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot be written ({error.strerror})", where=out) from error
    if as_json:
        _say(json.dumps(found, indent=1))
    else:
        _tell(found, out / REPORT_NAME)
    return 0 if found["holds"] else 1


def register(app: typer.Typer) -> None:
    """Give ``app`` the command."""
    app.command(epilog=EXIT_CODES)(validate)


def _check(option: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise XctrulesError(f"{value} is out of range", where=option, todo=f"Give {low} to {high}.")


def _cores() -> int:
    """Cores that this process may use, which in a container may be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def _progress(before: int, count: int) -> Iterator[Progress | None]:
    """A bar on stderr; where that is no terminal, a line for every tenth of the way."""
    if not sys.stderr.isatty():
        told = -1

        def tell(done: int, of: int) -> None:
            nonlocal told
            tenth = 10 * (before + done) // max(count, 1)
            if tenth != told:
                told = tenth
                _complain(f"validate: {before + done} of {count} cases")

        yield tell
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("measuring phantoms"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("cases", total=count, completed=before)
        yield lambda done, of: bar.update(task, completed=before + done)


def _tell(found: Mapping[str, Any], report: Path) -> None:
    """The outcome on the terminal: each measurement, each requirement, and where the rest stands."""
    _say("Errors in voxels, angles in degrees; U: median half-width of the stated 95 % intervals.")
    table = [("Measurement", "Cases", "Bias", "Scatter", "Repeatability", "U", "Coverage")]
    for name, m in found["measurements"].items():
        c, repeat = m["coverage"], found["repeatability"].get(name, {}).get("sd")
        numbers = (m["bias"]["mean"], m["bias"]["sd"], repeat, m["median_half_width"])
        shown = ["-" if v is None else f"{v:+.3f}" if i == 0 else f"{v:.3f}" for i, v in enumerate(numbers)]
        table.append((name, str(m["n"]), *shown, f"{c['count']} of {c['n']}" if c["n"] else "-"))
    for line in aligned(table):
        _say(line)
    _say()
    rows = [("Requirement", "Asked", "Found", "")]
    rows += [(c["id"], c["asked"], c["found"], _WORDS[c["holds"]]) for c in found["criteria"]]
    for line in aligned(rows):
        _say(line)
    _say()
    _say(f"{found['cases']['n']} cases: the validation {'holds' if found['holds'] else 'DOES NOT HOLD'}")
    _say(f"Report: {report}")
