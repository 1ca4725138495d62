"""Runs one metric of a plugin, guarded, and holds what it returns against what it declared.

The engine uses this for every metric and screen, and so does :mod:`xctrules.engine.testing`: a plugin is held
to the same rules in its author's tests and in an inspection.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xctrules.core.cell import Cell
from xctrules.core.errors import NotMeasurable
from xctrules.core.figures import Samples
from xctrules.core.ledger import Ledger, ledger_fault
from xctrules.core.measurement import Contribution, Measurement, MetricResult
from xctrules.core.protocols import AboutTheScan
from xctrules.engine.faults import PluginProblem, describe_exception, happened, short_traceback
from xctrules.engine.registry import Provided
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
    about_the_scan: bool = False


def run_metric(provided: Provided, cell: Cell[Any, Any, Any]) -> MetricOutcome:
    """Run a metric or screen on ``cell``. Never raises on the plugin's account."""
    metric = provided.value
    declares = {str(name): str(unit) for name, unit in metric.declares.items()}
    started = time.perf_counter()
    try:
        result = metric.measure(cell)
    except NotMeasurable as error:
        outcome = absent_metric(provided, error.reason)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin in another language may raise beside Exception
        outcome = _failed(provided, declares, f"it {happened(error)}", error)
    else:
        if isinstance(result, MetricResult):
            outcome = _checked(provided, declares, result)
        else:
            outcome = _failed(provided, declares, f"it returned {type(result).__name__}, not a MetricResult")
    return dataclasses.replace(_signed(outcome, provided), seconds=time.perf_counter() - started)


def absent_metric(provided: Provided, reason: str) -> MetricOutcome:
    """The outcome of a metric that could not measure anything: all that it declares, with the reason."""
    metric = provided.value
    absent = tuple(Measurement.absent(str(n), str(u), reason) for n, u in metric.declares.items())
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
        parameters={},
        rejections=(),
        warnings=(),
    )


def _signed(outcome: MetricOutcome, provided: Provided) -> MetricOutcome:
    """The outcome with what its metric says of itself."""
    metric = provided.value
    return dataclasses.replace(
        outcome,
        declared=frozenset(str(name) for name in metric.declares),
        about_the_scan=isinstance(metric, AboutTheScan),
    )


def _failed(
    provided: Provided, declares: Mapping[str, str], message: str, error: BaseException | None = None
) -> MetricOutcome:
    metric = provided.value
    problem = _problem(provided, message, error)
    failed = tuple(Measurement.absent(n, u, message, status="failed") for n, u in declares.items())
    return MetricOutcome(provided.plugin, metric.name, metric.title, failed, failures=(problem,))


def _problem(provided: Provided, message: str, error: BaseException | None = None) -> PluginProblem:
    trace = short_traceback(error) if error else None
    return PluginProblem(provided.plugin, message, trace, provided.value.name)


def _checked(provided: Provided, declares: Mapping[str, str], result: MetricResult) -> MetricOutcome:
    """A result that came back, with every part that breaks a rule replaced by the reason why."""
    plugin, metric = provided.plugin, provided.value
    problems: list[PluginProblem] = []

    def problem(message: str, error: BaseException | None = None) -> None:
        problems.append(_problem(provided, message, error))

    given: dict[str, Measurement] = {}
    for item in _listed(result.measurements):
        if not isinstance(item, Measurement):
            problem(f"it returned a {type(item).__name__} among its measurements")
            continue
        name = str(item.name)
        if name in given:
            fault: str | None = f"{name} was returned twice"
        else:
            fault = measurement_fault(item, declares.get(name))
        if fault is not None:
            problem(fault)
            given[name] = Measurement.absent(name, declares.get(name, str(item.unit)), fault, status="failed")
        elif item.status == "measured":
            given[name] = item
        else:
            reason = item.reason or "the metric gave no reason"
            given[name] = dataclasses.replace(item, value=None, budget=(), reason=reason)
    silent = "the metric reported nothing for it"
    measurements = [given.get(n) or Measurement.absent(n, u, silent) for n, u in declares.items()]
    measurements += [m for n, m in given.items() if n not in declares]
    warnings = [str(w) for w in _listed(result.warnings)]
    warnings += [
        f"{m.name} comes without an uncertainty and counts as exact (metric {metric.name})"
        for m in measurements
        if m.status == "measured" and m.unit not in EXACT_UNITS and not m.standard_uncertainty
    ]

    figures: list[dict[str, Any]] = []
    images: dict[str, bytes] = {}
    for figure in _listed(result.figures):
        try:
            data, files = figure_to_json(figure)
            if any(f["id"] == data["id"] for f in figures):
                raise ValueError(f"two figures have the id {data['id']!r}")
        except Exception as error:
            problem(f"a figure cannot be drawn ({describe_exception(error)})", error)
            continue
        figures.append(data)
        images.update(files)
    ledgers = []
    for ledger in _listed(result.ledgers):
        fault = ledger_fault(ledger)
        if fault:
            problem(fault)
        else:
            ledgers.append(ledger)
    samples = []
    for table in _listed(result.samples):
        sample_fault = samples_fault(table)
        if sample_fault:
            problem(sample_fault)
        else:
            samples.append(table)
    parameters = result.parameters
    if not isinstance(parameters, Mapping):
        problem("its parameters are no mapping")
        parameters = {}
    return MetricOutcome(
        plugin=plugin,
        metric=metric.name,
        title=metric.title,
        measurements=tuple(measurements),
        figures=tuple(figures),
        images=images,
        samples=tuple(samples),
        ledgers=tuple(ledgers),
        parameters=parameters,
        rejections=tuple(str(r) for r in _listed(result.rejections)),
        warnings=tuple(warnings),
        failures=tuple(problems),
    )


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]


def measurement_fault(measurement: Measurement, declared_unit: str | None) -> str | None:
    """What is wrong with a measurement that a metric returned, in words; ``None`` when nothing is."""
    name = measurement.name
    if declared_unit is None:
        return f"{name} was returned but not declared"
    if measurement.unit != declared_unit:
        return f"{name} was returned in {measurement.unit!r}, but declared in {declared_unit!r}"
    if measurement.status not in STATUSES:
        return f"{name} has the status {measurement.status!r}, which does not exist"
    if measurement.status != "measured":
        return None
    value = measurement.value
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        return f"{name} has the value {value!r}, which is no number"
    if not math.isfinite(value):
        return f"{name} has the value {float(value)}, which is no finite number"
    budget = _listed(measurement.budget)
    for line in budget:
        if not isinstance(line, Contribution):
            return f"{name} has a {type(line).__name__} in its uncertainty budget"
        if not isinstance(line.contribution, numbers.Real) or not math.isfinite(line.contribution):
            return f"{name}: the uncertainty from {line.source!r} is {line.contribution!r}"
        dof = line.degrees_of_freedom
        if not isinstance(dof, numbers.Real) or math.isnan(dof) or dof <= 0:
            return f"{name}: {line.source!r} has {dof!r} degrees of freedom"
    return None


def samples_fault(samples: Any) -> str | None:
    """What is wrong with a table of single values, in words; ``None`` when nothing is."""
    if not isinstance(samples, Samples):
        return f"it returned a {type(samples).__name__} among its samples"
    if not samples.name or not isinstance(samples.columns, Mapping) or not samples.columns:
        return "it returned samples without a name or without columns"
    shapes = {np.shape(column) for column in samples.columns.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        return f"the columns of samples {samples.name!r} are not equally long lists"
    return None
