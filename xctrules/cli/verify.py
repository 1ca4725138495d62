"""``xctrules verify``: are reports and records whole, and does the verdict follow from them?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xctrules.cli.console import DOES_NOT_HOLD, FINE, UNUSABLE, AsJson, command, complain, say, say_json
from xctrules.core.errors import XctrulesError

if TYPE_CHECKING:
    from xctrules.records.verify import VerifyResult

UNSIGNED = (
    "not signed: shows what was changed by accident or by hand, not what was made anew; record's SHA-256"
)
"""What stands before the hash that a copy kept elsewhere is compared with."""

EXIT_CODES = (
    "Exit codes: 0 everything holds; 1 something does not, or a page could not be checked; "
    "2 something cannot be read."
)


@command
def verify(
    paths: Annotated[
        list[Path], typer.Argument(help="Reports, records, or folders of cells.", metavar="PATH...")
    ],
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what does not hold.")] = False,
) -> int:
    """Check reports and records offline: are they whole, and does the verdict follow from them?"""
    from xctrules.records.folders import verify_all

    results: list[VerifyResult] = []
    unreadable = False
    for path in paths:
        try:
            results.extend(verify_all(path))
        except XctrulesError as error:  # the other paths are still worth checking
            complain(str(error))
            unreadable = True
    if as_json:
        say_json([_as_json(result) for result in results])
    else:
        for result in results:
            _show(result, quiet)
    if unreadable or any(result.unreadable for result in results):
        return UNUSABLE
    return FINE if all(result.ok for result in results) else DOES_NOT_HOLD


def _show(result: VerifyResult, quiet: bool) -> None:
    more = ", but for what was not checked" if result.unchecked and result.answer == "holds" else ""
    whose = f"{result.cell_id}, {result.verdict}: " if result.cell_id else ""
    say(f"{result.path}: {whose}{result.answer}{more}")
    if result.record_sha256 and not quiet:
        say(f"  {UNSIGNED} {result.record_sha256}")
    for finding in result.findings:
        if not quiet or finding.holds is False or (finding.needed and finding.holds is None):
            say(f"  {finding}")


def _as_json(result: VerifyResult) -> dict[str, Any]:
    findings = [{"where": f.where, "what": f.what, "holds": f.holds} for f in result.findings]
    return {
        "path": str(result.path),
        "cell_id": result.cell_id,
        "verdict": result.verdict,
        "holds": result.answer == "holds",
        "answer": result.answer,
        "record_sha256": result.record_sha256,
        "findings": findings,
    }
