"""Runs one metric of a plugin, guarded, and holds what it returns against what it declared.

The engine uses this for every metric and screen, and so does :mod:`xctrules.engine.testing`: a plugin is held
to the same rules in its author's tests and in an inspection.
"""

from __future__ import annotations

import dataclasses
import numbers
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xctrules.core.canonical import plain
from xctrules.core.cell import Cell
from xctrules.core.errors import NotMeasurable
from xctrules.core.figures import Samples
from xctrules.core.following import is_well_formed
from xctrules.core.ledger import Ledger
from xctrules.core.measurement import Contribution, Measurement, MetricResult
from xctrules.core.protocols import AboutTheScan, AccountsFor
from xctrules.engine.faults import PluginProblem, describe_exception, happened, short_traceback
from xctrules.engine.forms import is_mapping, is_number, shown
from xctrules.engine.registry import Provided
from xctrules.engine.returned import LARGEST, result_fault, sound
from xctrules.pages.figures import figure_to_json

STATUSES = ("measured", "not_measured", "failed", "not_applicable")
EXACT_UNITS = ("1",)
"""Units in which a value may be exact (a count): all others should come with an uncertainty."""


@dataclass(frozen=True)
class MetricOutcome:
    """What came of running one metric, whatever it did.

    Attributes
    ----------
    measurements
        Everything that the metric declares, in that order, then what it returned beyond that (as failed).
    figures, images
        As JSON for the record, and the image files that they need.
    declared
        Names of the measurements that it declares.
    parts
        Parts of the cell that it is answerable for.
    about_the_scan
        Whether it says how good the scan is, not how good the cell.
    failures
        What the plugin did wrong, with the traceback where it raised.
    """

    plugin: str
    metric: str
    title: str
    measurements: tuple[Measurement, ...]
    figures: tuple[dict[str, Any], ...] = ()
    images: Mapping[str, bytes] = field(default_factory=dict)
    samples: tuple[Samples, ...] = ()
    ledgers: tuple[Ledger, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    rejections: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    failures: tuple[PluginProblem, ...] = ()
    seconds: float = 0.0
    declared: frozenset[str] = frozenset()
    parts: tuple[str, ...] = ()
    about_the_scan: bool = False


def run_metric(provided: Provided, cell: Cell[Any, Any, Any]) -> MetricOutcome:
    """Run a metric or screen on ``cell``. Never raises on the plugin's account."""
    started = time.perf_counter()
    try:
        outcome = _checked(provided, sound(provided.value.measure(cell), result_fault))
    except NotMeasurable as error:
        outcome = absent_metric(provided, error.reason)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin in another language may raise beside Exception
        outcome = _failed(provided, f"it {happened(error)}", error)
    return dataclasses.replace(_signed(outcome, provided), seconds=time.perf_counter() - started)


def absent_metric(provided: Provided, reason: str) -> MetricOutcome:
    """The outcome of a metric that could not measure anything: all that it declares, with the reason."""
    metric = provided.value
    absent = tuple(Measurement.absent(name, unit, reason) for name, unit in metric.declares.items())
    return _signed(MetricOutcome(provided.plugin, metric.name, metric.title, absent), provided)


def withdrawn(outcome: MetricOutcome, reason: str) -> MetricOutcome:
    """The outcome with nothing in it that was measured or shown, and why."""
    measurements = (m for m in outcome.measurements if m.name in outcome.declared)
    failed = tuple(Measurement.absent(m.name, m.unit, reason, status="failed") for m in measurements)
    return dataclasses.replace(
        outcome,
        measurements=failed,
        figures=(),
        images={},
        samples=(),
        ledgers=(),
        parameters={},
        rejections=(),
        warnings=(),
    )


def _signed(outcome: MetricOutcome, provided: Provided) -> MetricOutcome:
    """The outcome with what its metric says of itself."""
    metric = provided.value
    return dataclasses.replace(
        outcome,
        declared=frozenset(metric.declares),
        parts=tuple(metric.parts) if isinstance(metric, AccountsFor) else (),
        about_the_scan=isinstance(metric, AboutTheScan),
    )


def _failed(provided: Provided, message: str, error: BaseException) -> MetricOutcome:
    metric = provided.value
    problem = PluginProblem(provided.plugin, message, short_traceback(error), metric.name)
    failed = tuple(Measurement.absent(n, u, message, status="failed") for n, u in metric.declares.items())
    return MetricOutcome(provided.plugin, metric.name, metric.title, failed, failures=(problem,))


# --- what came back --------------------------------------------------------------------------------------


class _Faults:
    """What is wrong with the parts of one metric's result, as it comes up."""

    def __init__(self, provided: Provided) -> None:
        self.plugin, self.metric = provided.plugin, provided.value.name
        self.problems: list[PluginProblem] = []

    def add(self, message: str, error: BaseException | None = None) -> None:
        trace = None if error is None else short_traceback(error)
        self.problems.append(PluginProblem(self.plugin, message, trace, self.metric))


def _checked(provided: Provided, result: MetricResult) -> MetricOutcome:
    """A result that came back, with every part that breaks a rule replaced by the reason why."""
    metric, faults = provided.value, _Faults(provided)
    measurements = _measurements(result.measurements, metric.declares, faults)
    figures, images = _figures(result.figures, faults)
    samples = _samples(result.samples, faults)
    return MetricOutcome(
        plugin=provided.plugin,
        metric=metric.name,
        title=metric.title,
        measurements=measurements,
        figures=figures,
        images=images,
        samples=samples,
        ledgers=tuple(result.ledgers),
        parameters=plain(result.parameters),
        rejections=tuple(result.rejections),
        warnings=(*result.warnings, *_without_uncertainty(measurements, metric.name)),
        failures=tuple(faults.problems),
    )


def _measurements(
    returned: Sequence[Any], declares: Mapping[str, str], faults: _Faults
) -> tuple[Measurement, ...]:
    """All that is declared, in that order, and what came beyond that, as failed."""
    given: dict[str, Measurement] = {}
    for item in returned:
        if not isinstance(item, Measurement):
            faults.add(f"it returned a {type(item).__name__} among its measurements")
            continue
        name = str(item.name)
        fault = f"{name} was returned twice" if name in given else measurement_fault(item, declares.get(name))
        if fault is not None:
            faults.add(fault)
            given[name] = Measurement.absent(name, declares.get(name, str(item.unit)), fault, status="failed")
        else:
            given[name] = item if item.status == "measured" else _without_value(item)
    silent = "the metric reported nothing for it"
    declared = [given.get(name) or Measurement.absent(name, unit, silent) for name, unit in declares.items()]
    return (*declared, *(m for name, m in given.items() if name not in declares))


def _without_value(measurement: Measurement) -> Measurement:
    reason = measurement.reason or "the metric gave no reason"
    return dataclasses.replace(measurement, value=None, budget=(), reason=reason)


def _without_uncertainty(measurements: Sequence[Measurement], metric: str) -> list[str]:
    """A warning for each value that counts as exact and is no count or ratio."""
    return [
        f"{m.name} comes without an uncertainty and counts as exact (metric {metric})"
        for m in measurements
        if m.status == "measured" and m.unit not in EXACT_UNITS and not m.standard_uncertainty
    ]


def _figures(returned: Sequence[Any], faults: _Faults) -> tuple[tuple[dict[str, Any], ...], dict[str, bytes]]:
    """Figures as JSON, and the image files that they need, without those that cannot be drawn."""
    figures: dict[str, dict[str, Any]] = {}
    images: dict[str, bytes] = {}
    for figure in returned:
        try:
            data, files = figure_to_json(figure)
            if data["id"] in figures:
                raise ValueError(f"two figures have the id {data['id']!r}")
        except Exception as error:
            faults.add(f"a figure cannot be drawn ({describe_exception(error)})", error)
            continue
        figures[data["id"]] = data
        images.update(files)
    return tuple(figures.values()), images


def _samples(returned: Sequence[Any], faults: _Faults) -> tuple[Samples, ...]:
    """Tables of single values, without those that cannot be written."""
    kept = []
    for table in returned:
        fault = samples_fault(table)
        if fault is None:
            kept.append(table)
        else:
            faults.add(fault)
    return tuple(kept)


def measurement_fault(measurement: Measurement, declared_unit: str | None) -> str | None:
    """What is wrong with a measurement that a metric returned, in words; ``None`` when nothing is."""
    name, status = measurement.name, measurement.status
    if declared_unit is None:
        return f"{name} was returned but not declared"
    if measurement.unit != declared_unit:
        return f"{name} was returned in {shown(measurement.unit)}, but declared in {declared_unit!r}"
    if status not in STATUSES:
        return f"{name} has the status {shown(status)}, which does not exist"
    if measurement.reason is not None and not isinstance(measurement.reason, str):
        return f"{name} has the reason {shown(measurement.reason)}, which is no text"
    return _value_fault(measurement) if status == "measured" else None


def _value_fault(measurement: Measurement) -> str | None:
    """What is wrong with what a measured quantity has beside its name."""
    name, value = measurement.name, measurement.value
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        return f"{name} has the value {shown(value)}, which is no number"
    if not is_number(value) or abs(value) > LARGEST:
        return f"{name} has the value {shown(value)}, which is no finite number, or far too large"
    if not isinstance(measurement.budget, list | tuple):
        return f"{name} has a {type(measurement.budget).__name__} as its uncertainty budget"
    if measurement.n is not None and not isinstance(measurement.n, numbers.Integral):
        return f"{name} has {shown(measurement.n)} single values behind it, which is no whole number"
    if measurement.worst_at is not None and not is_mapping(measurement.worst_at):
        return f"{name} is worst at {shown(measurement.worst_at)}, which is no mapping of coordinates"
    if measurement.follows is not None and not is_well_formed(measurement.follows):
        return f"{name} follows from samples in a way that is not known: {shown(measurement.follows)}"
    faults = (_line_fault(name, line) for line in measurement.budget)
    return next((fault for fault in faults if fault is not None), None)


def _line_fault(name: str, line: Any) -> str | None:
    """What is wrong with one line of an uncertainty budget."""
    if not isinstance(line, Contribution):
        return f"{name} has a {type(line).__name__} in its uncertainty budget"
    if not isinstance(line.source, str):
        return f"{name}: the source {shown(line.source)} in its uncertainty budget is no text"
    if not is_number(line.contribution) or abs(line.contribution) > LARGEST:
        return f"{name}: the uncertainty from {shown(line.source)} is {shown(line.contribution)}"
    if line.type not in ("A", "B"):
        return f"{name}: {shown(line.source)} is of the type {shown(line.type)} instead of A or B"
    dof = line.degrees_of_freedom
    if not isinstance(dof, numbers.Real) or not dof > 0:
        return f"{name}: {shown(line.source)} has {shown(dof)} degrees of freedom"
    return None


def samples_fault(samples: Any) -> str | None:
    """What is wrong with a table of single values, in words; ``None`` when nothing is."""
    if not isinstance(samples, Samples):
        return f"it returned a {type(samples).__name__} among its samples"
    if not isinstance(samples.name, str) or not samples.name:
        return "it returned samples without a name"
    if not samples.columns or not is_mapping(samples.columns):
        return f"the samples {shown(samples.name)} have no columns"
    columns = {name: np.asarray(column) for name, column in samples.columns.items()}
    shapes = {column.shape for column in columns.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        return f"the columns of samples {shown(samples.name)} are not equally long lists"
    odd = [name for name, column in columns.items() if column.dtype.kind not in "biufUS"]
    return f"the samples {shown(samples.name)} hold no numbers or texts in {', '.join(odd)}" if odd else None
