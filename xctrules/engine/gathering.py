"""Puts together what all screens and metrics found, and keeps what one of them does from another's place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xctrules.core.figures import Samples
from xctrules.core.files import safe_file_stem
from xctrules.core.ledger import Ledger
from xctrules.core.measurement import Measurement
from xctrules.engine.faults import PluginProblem
from xctrules.engine.run_metric import MetricOutcome


@dataclass
class Gathered:
    """All that screens and metrics found.

    Attributes
    ----------
    measurements
        By name; of two that declare or return the same name, the one that declares it first.
    images, samples
        By file name and in order; every name once.
    rejections
        From the screens: reasons why the scan can carry no decision.
    sections
        One for each screen and metric, with figures as the record holds them.
    screen_sections
        How many of the sections are the screens'.
    parameters
        By metric, of those that have any.
    unaccounted
        Parts of the cell that nobody looked at, since the metric that is answerable for them failed: why.
    """

    measurements: dict[str, Measurement] = field(default_factory=dict)
    images: dict[str, bytes] = field(default_factory=dict)
    samples: list[Samples] = field(default_factory=list)
    rejections: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    failures: list[PluginProblem] = field(default_factory=list)
    sections: list[dict[str, Any]] = field(default_factory=list)
    screen_sections: int = 0
    ledgers: list[Ledger] = field(default_factory=list)
    unaccounted: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, Mapping[str, Any]] = field(default_factory=dict)


def gather(
    screened: Sequence[MetricOutcome], measured: Sequence[MetricOutcome], declared: Iterable[str]
) -> Gathered:
    """Put outcomes together, the screens' first.

    Parameters
    ----------
    declared
        Names of all measurements that any plugin declares: such a name is taken from nobody else.
    """
    gathered = Gathered(screen_sections=len(screened))
    taken = set(declared)
    for outcome in (*screened, *measured):
        own = _own_measurements(outcome, gathered, taken)
        gathered.measurements.update({m.name: m for m in own})
        gathered.sections.append(
            {
                "metric": outcome.metric,
                "title": outcome.title,
                "plugin": outcome.plugin,
                "about_the_scan": outcome.about_the_scan,
                "measurements": [m.name for m in own],
                "figures": _own_figures(outcome, gathered),
            }
        )
        _take_samples(outcome, gathered)
        _take_ledgers(outcome, gathered)
        gathered.warnings.extend(outcome.warnings)
        gathered.failures.extend(outcome.failures)
        if outcome.parameters:
            gathered.parameters[outcome.metric] = outcome.parameters
    for outcome in screened:
        gathered.rejections.extend(outcome.rejections)
    return gathered


def _own_measurements(outcome: MetricOutcome, gathered: Gathered, taken: set[str]) -> list[Measurement]:
    """Those that are this metric's: a name that another one declares stays that one's."""
    return [
        m
        for m in outcome.measurements
        if m.name not in gathered.measurements and (m.name not in taken or m.name in outcome.declared)
    ]


def _own_figures(outcome: MetricOutcome, gathered: Gathered) -> list[dict[str, Any]]:
    figures = []
    for figure in outcome.figures:
        files = {figure["image"]["file"]} if figure.get("kind") == "image" else set()
        if files & gathered.images.keys():
            message = f"its figure {figure['id']!r} has the id of another metric's and is left out"
            gathered.failures.append(PluginProblem(outcome.plugin, message, metric=outcome.metric))
            continue
        figures.append(figure)
        gathered.images.update({name: outcome.images[name] for name in files})
    return figures


def _take_ledgers(outcome: MetricOutcome, gathered: Gathered) -> None:
    taken = {ledger.part for ledger in gathered.ledgers}
    for ledger in outcome.ledgers:
        if ledger.part in taken:
            message = f"its ledger of the {ledger.part} is another metric's already and is left out"
            gathered.failures.append(PluginProblem(outcome.plugin, message, metric=outcome.metric))
        else:
            taken.add(ledger.part)
            gathered.ledgers.append(ledger)
    failed = next((m.reason for m in outcome.measurements if m.status == "failed"), None)
    if failed is not None:
        what = f"the metric {outcome.metric} failed ({failed})"
        gathered.unaccounted |= {part: what for part in outcome.parts if part not in taken}


def _take_samples(outcome: MetricOutcome, gathered: Gathered) -> None:
    names = {safe_file_stem(table.name) for table in gathered.samples}
    for table in outcome.samples:
        if safe_file_stem(table.name) in names:
            message = f"its samples {table.name!r} have the name of another metric's and are left out"
            gathered.failures.append(PluginProblem(outcome.plugin, message, metric=outcome.metric))
        else:
            names.add(safe_file_stem(table.name))
            gathered.samples.append(table)
