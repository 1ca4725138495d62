"""The one way from an open scan to findings. Nobody else orders the steps.

In: a scan and a :class:`~xctrules.engine.planning.Plan`. Out: :class:`Findings`: what was measured, and
everything that goes into the record beside it.

    find the cell → segment → screen → predict → gate and measure → budgets from studies → scope

What a plugin does wrong never ends it: the findings name the plugin, what it should have measured is missing,
and a rule that needed that is not passed. What cannot be looked at is said: a cell that was not found, a scan
that nothing screened.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xctrules.core.cell import Cell
from xctrules.core.errors import ModelError, NotMeasurable, ScanError
from xctrules.core.measurement import Measurement
from xctrules.core.names import Description
from xctrules.core.protocols import NeedsQuality, Predictor, Predicts, Scope, TellsScope
from xctrules.core.slices import Scan
from xctrules.core.version import __version__
from xctrules.engine import fit_for_purpose
from xctrules.engine.clock import Clock
from xctrules.engine.faults import Notes, PluginProblem, happened
from xctrules.engine.gathering import Gathered, gather
from xctrules.engine.planning import Plan, not_loaded
from xctrules.engine.registry import Provided
from xctrules.engine.returned import frame_fault, predictor_fault, scope_fault, sound, surfaces_fault
from xctrules.engine.run_metric import MetricOutcome, absent_metric, run_metric, withdrawn
from xctrules.rules.stated_budgets import ScanConditions, apply_budgets


@dataclass(frozen=True)
class Findings:
    """What was found on one scan.

    Attributes
    ----------
    cell
        The cell with its surfaces; ``None`` where none was found.
    measurements
        By name: all that screens and metrics declare, and what the spec asks for beyond that.
    descriptions
        What plugins say of their measurements, by name.
    fitness
        For each rule, whether this scan can decide it.
    unscreened
        Why it is not known whether the scan is fit: one sentence each; empty where it was screened.
    budget_uses
        Which studies took the place of measurements' own budgets.
    """

    plan: Plan
    scan: Scan
    cell: Cell[Any, Any, Any] | None
    scope: Scope
    measurements: Mapping[str, Measurement]
    descriptions: Mapping[str, Description]
    gathered: Gathered
    fitness: Sequence[Mapping[str, Any]]
    unscreened: tuple[str, ...]
    warnings: tuple[str, ...]
    failures: tuple[PluginProblem, ...]
    budget_uses: Sequence[Mapping[str, Any]] | None = None

    @property
    def scope_entry(self) -> dict[str, Any]:
        """The scope as the record holds it."""
        scope = self.scope
        places = {"places": dict(scope.places), "place_noun": scope.noun} if scope.places else {}
        return {**scope.figures, **places, "text": scope.text}


def measure(
    scan: Scan,
    plan: Plan,
    *,
    labels: Any = None,
    clock: Clock | None = None,
    after_segmenting: Callable[[Cell[Any, Any, Any] | None, str], None] | None = None,
) -> Findings:
    """Measure one scan.

    Parameters
    ----------
    labels : (nz, ny, nx), optional
        A label image in the place of segmenting.
    clock
        Times the steps and tells of them.
    after_segmenting
        Called with the segmented cell, or with ``None`` and the reason why there is none.

    Raises
    ------
    ScanError, ModelError
        When a label image or a model cannot be used. What cannot be measured raises nothing.
    """
    clock = clock or Clock()
    notes = Notes([*scan.warnings, *_format_warning(scan, plan)])
    with clock("finding the cell"):
        cell, no_cell = find_cell(scan, plan, notes, labels=labels)
    if cell is not None:
        with clock("segmenting"):
            cell = segment_as_planned(cell, plan, notes)
    if after_segmenting is not None:
        after_segmenting(cell, no_cell)

    screened = [_run(screen, cell, no_cell, clock) for screen in plan.screens]
    fitness = _fitness(scan, cell, no_cell, plan, screened, notes)
    quality = _held_against(cell, screened)
    measured = [_run(metric, cell, no_cell, clock, quality) for metric in plan.metrics]
    scope = _scope(cell, plan, notes)
    with clock("ending plugins' processes"):
        spoilt = _spoilt(plan, scan, notes)
    screened, measured = (_without(spoilt, outcomes) for outcomes in (screened, measured))
    gathered = gather(screened, measured, plan.registry.measurements)

    measurements = {**_nobodys(plan, gathered), **gathered.measurements}
    measurements, uses = _with_studies(measurements, plan, scan, notes)
    return Findings(
        plan=plan,
        scan=scan,
        cell=cell,
        scope=scope,
        measurements=measurements,
        descriptions=plan.descriptions,
        gathered=gathered,
        fitness=fitness,
        unscreened=_unscreened(plan, cell, screened),
        warnings=tuple(dict.fromkeys([*notes.warnings, *gathered.warnings])),
        failures=(*plan.registry.problems, *plan.failures, *notes.failures, *gathered.failures),
        budget_uses=uses,
    )


# --- the cell and its surfaces ---------------------------------------------------------------------------


def find_cell(
    scan: Scan, plan: Plan, notes: Notes | None = None, *, labels: Any = None
) -> tuple[Cell[Any, Any, Any] | None, str]:
    """The cell in its own coordinates, or ``None`` and the reason why there is none."""
    notes = notes or Notes()
    finder = plan.finder
    if finder is None or plan.no_cell:
        return None, plan.no_cell
    nominal = plan.spec.nominal_mm
    try:
        frame = sound(finder.value.find(scan, nominal, plan.settings), frame_fault)
    except NotMeasurable as error:
        return None, error.reason
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin in another language may raise beside Exception
        notes.failed(finder.plugin, f"finding the cell {happened(error)}", error)
        return None, f"the plugin {finder.plugin} failed to find the cell"
    notes.warnings.extend(frame.warnings)
    tabs = plan.spec.tabs
    return Cell(scan, frame, scan.scale, plan.settings, nominal, labels=labels, tabs=tabs), ""


def segment_as_planned(
    cell: Cell[Any, Any, Any], plan: Plan, notes: Notes | None = None
) -> Cell[Any, Any, Any]:
    """The cell with the surfaces of the plan's segmenter; without them where there is none to be used."""
    if plan.segmenter is None or plan.no_surfaces:
        return dataclasses.replace(cell, no_surfaces=plan.no_surfaces)
    return segment(cell, plan.segmenter, notes)


def segment(cell: Cell[Any, Any, Any], chosen: Provided, notes: Notes | None = None) -> Cell[Any, Any, Any]:
    """The cell with its surfaces; without them, and with the reason, where the segmenter finds none."""
    notes = notes or Notes()
    name = chosen.value.name
    try:
        surfaces = sound(chosen.value.segment(cell), surfaces_fault)
    except NotMeasurable as error:
        return dataclasses.replace(cell, no_surfaces=error.reason)
    except (ScanError, ModelError):
        raise  # a label image or model that cannot be used is no fault of the plugin's
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        what = happened(error)
        notes.failed(chosen.plugin, f"segmenter {name} {what}", error)
        return dataclasses.replace(cell, no_surfaces=f"the segmenter {name} failed (it {what})")
    notes.warnings.extend(surfaces.warnings)
    return dataclasses.replace(cell, segmentation=surfaces)


# --- screens and metrics ---------------------------------------------------------------------------------


def _run(
    provided: Provided,
    cell: Cell[Any, Any, Any] | None,
    no_cell: str,
    clock: Clock,
    quality: Mapping[str, Measurement] | None = None,
) -> MetricOutcome:
    """Run a screen or metric, unless there is no cell or it declares that it needs a better scan."""
    if cell is None:
        return absent_metric(provided, no_cell)
    needs = provided.value.needs if isinstance(provided.value, NeedsQuality) else {}
    lacking = fit_for_purpose.unmet_needs(needs, quality or {})
    if lacking:
        return absent_metric(provided, lacking)
    with clock(f"measuring: {provided.value.name}"):
        return run_metric(provided, cell)


def _by_name(outcomes: Sequence[MetricOutcome]) -> dict[str, Measurement]:
    return {m.name: m for outcome in outcomes for m in outcome.measurements}


def _held_against(
    cell: Cell[Any, Any, Any] | None, screened: Sequence[MetricOutcome]
) -> dict[str, Measurement]:
    """The screening figures that metrics' needs are held against: those that are not waived."""
    waived = cell.segmentation.waives if cell is not None and cell.segmentation is not None else {}
    return {name: m for name, m in _by_name(screened).items() if name not in waived}


def _unscreened(
    plan: Plan, cell: Cell[Any, Any, Any] | None, screened: Sequence[MetricOutcome]
) -> tuple[str, ...]:
    """Why what a screen would say of the scan is not known.

    A screen without a cell says it elsewhere, and a mask has no greys that a screen could look at.
    """
    if not plan.screens:
        return (f"no plugin brings a screen for {plan.spec.geometry} cells, so nothing screened this scan",)
    failed = [o.metric for o in screened if any(m.status == "failed" for m in o.measurements)]
    found = [m for outcome in screened for m in outcome.measurements]
    could_look = cell is not None and not plan.scan_is_mask
    if could_look and not failed and all(m.status == "not_measured" for m in found):
        return (f"no screen measured anything, because {found[0].reason}",)
    return tuple(f"the screen {name} failed" for name in failed)


def _spoilt(plan: Plan, scan: Scan, notes: Notes) -> dict[str, str]:
    """What happened to plugins' processes that spoils what they measured; by plugin.

    That of a plugin that read the scan, found the cell or segmented it spoils what all others measured.
    """
    spoilt = plan.registry.end_processes()
    for plugin, what in spoilt.items():
        notes.failed(plugin, f"it {what}")
    readers = [p.plugin for p in plan.registry.readers if p.value.name == scan.reader]
    first = [provided.plugin for provided in (plan.finder, plan.segmenter) if provided is not None]
    for plugin in (*readers, *first):
        if plugin in spoilt:
            all_plugins = [p.plugin for p in (*plan.screens, *plan.metrics)]
            return (
                dict.fromkeys(all_plugins, f"rests on the plugin {plugin}, which {spoilt[plugin]}") | spoilt
            )
    return spoilt


def _without(spoilt: Mapping[str, str], outcomes: Sequence[MetricOutcome]) -> list[MetricOutcome]:
    """The outcomes, with nothing measured by plugins whose results are spoilt."""
    return [withdrawn(o, f"it {spoilt[o.plugin]}") if o.plugin in spoilt else o for o in outcomes]


# --- what the scan can do, and what it shows -------------------------------------------------------------


def _fitness(
    scan: Scan,
    cell: Cell[Any, Any, Any] | None,
    no_cell: str,
    plan: Plan,
    screened: Sequence[MetricOutcome],
    notes: Notes,
) -> Sequence[Mapping[str, Any]]:
    """For each rule, whether this scan can decide it."""
    finder = plan.finder

    def assess(predictor: Predictor | str) -> Sequence[Mapping[str, Any]]:
        spec = plan.spec
        return fit_for_purpose.assess(spec.rules, spec.nominal_mm, plan.descriptions, predictor, scan.scale)

    def predicted() -> Sequence[Mapping[str, Any]]:
        if cell is None:
            return assess(no_cell)
        if finder is None or not isinstance(finder.value, Predicts):
            return assess(f"no formulas are known for {plan.spec.geometry} cells")
        return assess(sound(finder.value.predictor(cell, _by_name(screened)), predictor_fault))

    plugin = "" if finder is None else finder.plugin
    failed = assess(f"the plugin {plugin} failed to predict")
    return notes.guarded(plugin, "predicting uncertainties", predicted, failed)


def _scope(cell: Cell[Any, Any, Any] | None, plan: Plan, notes: Notes) -> Scope:
    if plan.finder is None or not isinstance(plan.finder.value, TellsScope):
        return Scope()
    finder = plan.finder.value

    def told() -> Scope:
        return sound(finder.scope(cell, plan.spec.nominal_mm), scope_fault)

    return notes.guarded(plan.finder.plugin, "telling what is in view", told, Scope())


def _format_warning(scan: Scan, plan: Plan) -> list[str]:
    """A warning where the acquisition says that the cell is of another format than the spec's family."""
    said, spec = scan.acquisition.get("format"), plan.spec
    family = [spec.name, *(parent.name.rpartition(".")[0] or parent.name for parent in spec.parents)]
    if not said or any(str(said).lower() in name.lower() for name in family):
        return []
    return [f"the acquisition says that the cell is a {said}, but the spec is {spec.name}"]


# --- what the spec asks beyond ---------------------------------------------------------------------------


def _nobodys(plan: Plan, gathered: Gathered) -> dict[str, Measurement]:
    """What the spec asks for and no plugin that ran measures."""
    registry = plan.registry
    others = {name: p for p in (*registry.screens, *registry.metrics) for name in p.value.declares}

    def reason(name: str) -> str:
        if name not in others:
            return f"no loaded plugin measures it{not_loaded(registry)}"
        plugin, geometry = others[name].plugin, others[name].value.geometry
        return f"the plugin {plugin} measures it for {geometry} cells, not for {plan.spec.geometry} cells"

    asked = {str(rule["measurement"]): str(rule["unit"]) for rule in plan.spec.rules}
    return {
        name: Measurement.absent(name, unit, reason(name))
        for name, unit in asked.items()
        if name not in gathered.measurements
    }


def _with_studies(
    measurements: dict[str, Measurement], plan: Plan, scan: Scan, notes: Notes
) -> tuple[dict[str, Measurement], Sequence[Mapping[str, Any]] | None]:
    """Measurements with budgets from the studies that the spec names, and what the record says of it."""
    spec = plan.spec
    if not spec.budgets:
        return measurements, None
    names = [spec.name, *(parent.name for parent in spec.parents)]
    conditions = ScanConditions.of(names, scan.acquisition, scan.voxel_size_mm, __version__)
    changed, uses, warnings = apply_budgets(spec.budgets, measurements, conditions)
    notes.warnings.extend(warnings)
    return changed, uses
