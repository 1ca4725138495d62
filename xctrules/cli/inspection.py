"""An inspection on the terminal: verdict and scope, reasons, rules, and where the rest stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from xctrules.cli.console import aligned, say, say_json, warn
from xctrules.core import wording

if TYPE_CHECKING:
    from xctrules.engine.inspection import Inspection


def show(result: Inspection, as_json: bool) -> int:
    """Print an inspection; returns the exit code of its verdict."""
    from xctrules.rules.deciding import EXIT_CODES

    for complaint in (*result.record["warnings"], *map(_failure_text, result.record["failures"])):
        warn(complaint)
    if as_json:
        say_json(result.record)
    else:
        for line in summary(result.record):
            say(line)
        if result.folder is not None:
            say()
            say(f"Report  {result.folder / 'report.html'}")
            say(f"Record  {result.folder / 'record.json'}")
    return EXIT_CODES[result.verdict]


def _failure_text(failure: Mapping[str, Any]) -> str:
    metric = f", metric {failure['metric']}" if failure["metric"] else ""
    return f"plugin {failure['plugin']}{metric}: {failure['message']}"


def summary(record: Mapping[str, Any]) -> Iterator[str]:
    """A record in lines: verdict and scope, reasons, rules."""
    yield f"{record['cell_id']}: {record['verdict']} {record['scope'].get('text', '')}".rstrip()
    spec = f"spec {record['spec']['name']} {record['spec']['version']}"
    probability = record["probability_of_conformity"]
    yield spec if probability is None else f"{spec}, probability of conformity {wording.percent(probability)}"
    if record["reasons"]:
        yield ""
        yield from (f"- {reason}" for reason in record["reasons"])
    yield ""
    head = ("Outcome", "Rule", "Measured", "Limits", "Decision rule", "Severity", "Limit's status")
    yield from aligned([head, *(_rule(check, record["measurements"]) for check in record["checks"])])


def _rule(check: Mapping[str, Any], measurements: Mapping[str, Any]) -> tuple[str, ...]:
    """A rule's row: what was asked, what was measured, how it came out."""
    found = measurements.get(check["measurement"], {})
    return (
        check["outcome"],
        check["title"],
        wording.quantity(found.get("value"), found.get("expanded_uncertainty"), check["unit"]),
        wording.limits(check["min"], check["max"], check["unit"]),
        check["decision_rule"],
        check["severity"],
        check["status"],
    )
