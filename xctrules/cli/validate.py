"""``xctrules validate``: how well xctrules measures, shown on cells whose dimensions are known."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from xctrules.cli.console import (
    DOES_NOT_HOLD,
    FINE,
    PluginsDir,
    check_range,
    command,
    say,
    say_json,
    say_table,
    working,
)
from xctrules.core.files import write_files
from xctrules.core.wording import NONE, fixed, signed

if TYPE_CHECKING:
    from xctrules.campaigns.validation.campaign import Wanted

EXIT_CODES = """\b
Exit codes: 0 the validation holds; 1 it does not;
2 it cannot be run."""

CASES, SHORT_CASES = 450, 12
ADVERSARIAL_CASES, SHORT_ADVERSARIAL_CASES = 800, 24
MOST_CASES, MOST_SEEDS, MOST_WORKERS = 100_000, 2**31 - 1, 1024

_WORDS = {True: "holds", False: "DOES NOT HOLD", None: "too few cases"}


@command
def validate(
    cases: Annotated[
        int | None,
        typer.Option(
            help=f"Number of phantoms; {CASES}, or {SHORT_CASES} with --short; of the adversarial part "
            f"{ADVERSARIAL_CASES} and {SHORT_ADVERSARIAL_CASES}.",
            metavar="N",
        ),
    ] = None,
    part: Annotated[
        Literal["accuracy", "adversarial"],
        typer.Option(help="How well is measured, or whether anything faulty passes."),
    ] = "accuracy",
    short: Annotated[
        bool, typer.Option("--short", help="A quick look on small phantoms, in less than a minute.")
    ] = False,
    geometry: Annotated[
        str, typer.Option(help="Geometry of the cells, as in a cell-format spec.", metavar="NAME")
    ] = "cylindrical",
    seed: Annotated[int, typer.Option(help="Draws another ensemble.", metavar="N")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for cases, figures and report; xctrules-validation, or xctrules-adversarial.",
            metavar="DIR",
        ),
    ] = None,
    draw: Annotated[
        int | None,
        typer.Option(
            help="Write one case to DIR, its scan and the spec it is judged by, and measure nothing.",
            metavar="CASE",
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes; one for each core unless given.", metavar="N")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume/--replace", help="Go on with the cases in DIR, or start afresh."),
    ] = True,
    plugins_dir: PluginsDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON on stdout.")] = False,
) -> int:
    """Measure phantoms and hold the results against the truth: bias, coverage, faults found, false alarms.

    With --part adversarial: sound cells of all kinds and faulty ones, and whether anything faulty passes.

    A run that was stopped goes on where it was, with the same command.
    """
    from xctrules.campaigns.validation.adversarial import find_adversarial
    from xctrules.campaigns.validation.adversarial_page import render_adversarial
    from xctrules.campaigns.validation.campaign import Wanted, open_campaign
    from xctrules.campaigns.validation.findings import find
    from xctrules.campaigns.validation.folder import REPORT_NAME, RESULT_NAME, header, prepare
    from xctrules.campaigns.validation.page import render
    from xctrules.campaigns.validation.run import run_cases
    from xctrules.core.canonical import canonical_bytes

    adversarial = part == "adversarial"
    usual = (ADVERSARIAL_CASES, SHORT_ADVERSARIAL_CASES) if adversarial else (CASES, SHORT_CASES)
    count = cases if cases is not None else usual[short]
    folder = out or Path("xctrules-adversarial" if adversarial else "xctrules-validation")
    check_range("--cases", count, 1, MOST_CASES)
    check_range("--seed", seed, 0, MOST_SEEDS)
    many = workers if workers is not None else _cores()
    check_range("--workers", many, 1, MOST_WORKERS)
    wanted = Wanted(geometry, seed, short, plugins_dir, part)
    if draw is not None:
        check_range("--draw", draw, 0, MOST_CASES)
        return _draw(wanted, draw, Path(f"case-{draw}") if out is None else out)
    with working(log_as="validate") as progress, open_campaign(wanted) as campaign:
        head = header(campaign)
        done = prepare(folder, head, replace=not resume)
        rows = [row for index, row in done.items() if index < count]
        missing = [index for index in range(count) if index not in done]
        rows += run_cases(campaign, missing, folder, workers=many, progress=progress, before=len(rows))
        figures = find_adversarial if adversarial else find
        found = figures(rows, head, campaign.source.targets, campaign.facts)
    page = render_adversarial(found) if adversarial else render(found)
    write_files({folder / RESULT_NAME: canonical_bytes(found), folder / REPORT_NAME: page.encode()})
    if as_json:
        say_json(found)
    elif adversarial:
        _tell_adversarial(found, folder / REPORT_NAME)
    else:
        _tell(found, folder / REPORT_NAME)
    return FINE if found["holds"] else DOES_NOT_HOLD


def _draw(wanted: Wanted, index: int, out: Path) -> int:
    """Write a case for whoever wants to look at it, and say how it is inspected."""
    from xctrules.campaigns.validation.campaign import open_campaign
    from xctrules.campaigns.validation.drawing import write_case

    with working(log_as="validate") as progress, open_campaign(wanted) as campaign:
        progress("drawing", 0, 0)
        command = write_case(campaign, index, out)
    say(command)
    return FINE


def _cores() -> int:
    """Cores that this process may use, which in a container may be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _tell(found: Mapping[str, Any], report: Path) -> None:
    """The outcome on the terminal: each measurement, each requirement, and where the rest stands."""
    say("Errors of lengths in voxels, angles in degrees; U: median half-width of the stated 95 % intervals.")
    table = [("Measurement", "Cases", "Bias", "Scatter", "Repeatability", "U", "Coverage")]
    for name, m in found["measurements"].items():
        c, repeat = m["coverage"], found["repeatability"].get(name, {}).get("sd")
        sizes = (fixed(size, 3) for size in (m["bias"]["sd"], repeat, m["median_half_width"]))
        covered = f"{c['count']} of {c['n']}" if c["n"] else NONE
        table.append((name, str(m["n"]), signed(m["bias"]["mean"], 3), *sizes, covered))
    say_table(table)
    say()
    rows = [("Requirement", "Asked", "Found", "")]
    rows += [(c["id"], c["asked"], c["found"], _WORDS[c["holds"]]) for c in found["criteria"]]
    say_table(rows)
    say()
    say(f"{found['cases']['n']} cases: the validation {'holds' if found['holds'] else 'DOES NOT HOLD'}")
    say(f"Report: {report}")


def _tell_adversarial(found: Mapping[str, Any], report: Path) -> None:
    """The outcome on the terminal: what passed wrongly, and by which command it is drawn again."""
    from xctrules.campaigns.validation.adversarial_page import draw_again, headline, size_of

    for line in headline(found):
        say(line)
    if found["passed_wrongly"]:
        say()
        rows = [("Wrong pass", "Size", "To draw it again")]
        rows += [
            (item["kind"], size_of(item), draw_again(item["index"], found["ensemble"]))
            for item in found["passed_wrongly"]
        ]
        say_table(rows)
    say()
    table = [("Kind of fault", "Wrong passes", "Named rightly", "Found with 90 %", "Bound")]
    for kind in found["kinds"]:
        wrong, named, curve = kind["wrong_passes"], kind["named"], kind["curve"]
        sizes = (
            NONE if a is None else f"{fixed(a, 2)} {kind['unit']}"
            for a in (curve["found_90"], curve["found_90_upper"])
        )
        counted = (f"{c['count']} of {c['n']}" for c in (wrong, named))
        table.append((kind["kind"], *counted, *sizes))
    say_table(table)
    say()
    asked = [("Requirement", "Asked", "Found", "")]
    asked += [(c["id"], c["asked"], c["found"], _WORDS[c["holds"]]) for c in found["criteria"]]
    say_table(asked)
    say()
    say(f"Report: {report}")
