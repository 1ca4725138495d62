"""The whole way from a scan's files to verdict, record and report. :func:`inspect` is the place to begin.

What a plugin does wrong never ends an inspection: it is named in the record and the report, what it should
have measured is missing, and a rule that needed it makes the verdict INCOMPLETE.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import platform
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from xctrules.core.cell import Cell, Settings
from xctrules.core.errors import ModelError, NotMeasurable, OutputError, PluginError, ScanError, XctrulesError
from xctrules.core.figures import Samples
from xctrules.core.files import safe_file_stem
from xctrules.core.measurement import Measurement
from xctrules.core.progress import Progress
from xctrules.core.slices import Scan, each_slice
from xctrules.cylinder.frame import CellFrame, CylinderFinder
from xctrules.cylinder.surfaces import CylinderSettings, Segmentation
from xctrules.engine.fit_for_purpose import assess, quality_of, unmet_needs
from xctrules.engine.fit_for_purpose import section as fitness_section
from xctrules.engine.registry import (
    PluginInfo,
    PluginProblem,
    Provided,
    Registry,
    describe_exception,
    load_plugins,
    short_traceback,
)
from xctrules.engine.run_metric import MetricOutcome, absent_metric, run_metric
from xctrules.pages.environment import prepare
from xctrules.pages.report import notebook_html, render_report
from xctrules.records.folder import cell_files, cell_folder, write_cell
from xctrules.records.record import build_record
from xctrules.rules.cellspec import CellSpec, load_spec
from xctrules.scans.opening import open_scan

MaskOf = Literal["canister", "electrode"]
LABEL_SEGMENTER = "classical"
"""The segmenter that reads label images."""

CLASS_OF_MASK = {"canister": 1, "electrode": 3}
"""Value in a label image of what a mask is of; an electrode is followed as the copper is."""

ANGLES_RANGE = (8, 7200)
"""Half-planes that may be asked for: fewer show no winding, more than one per 0.05 degrees no more of it."""


@dataclass(frozen=True)
class Inspection:
    """What an inspection found. In a notebook it shows itself as its report.

    Attributes
    ----------
    record
        As in ``record.json``.
    measurements
        By name, with their uncertainty budgets.
    report_html
        The report, one HTML document.
    files
        What is written beside record and report, by name: the report's images, every single value behind
        the statistics as CSV, and the list of the scan's files.
    folder
        Where it was written; ``None`` when it was not.
    """

    record: Mapping[str, Any]
    measurements: Mapping[str, Measurement]
    report_html: str
    files: Mapping[str, bytes]
    folder: Path | None = None

    @property
    def verdict(self) -> str:
        """The cell's verdict; see :mod:`xctrules.rules.judging` for the six there are."""
        return str(self.record["verdict"])

    @property
    def images(self) -> dict[str, bytes]:
        """The report's images by file name."""
        return {name: data for name, data in self.files.items() if name.startswith("images/")}

    def _repr_html_(self) -> str:
        return notebook_html(self.report_html)

    def write(self, out: str | Path, *, replace: bool = False) -> Inspection:
        """Write ``<out>/<cell_id>/`` with record, report and the other files, all of them or none.

        Raises
        ------
        OutputError
            When there is another record of this cell and ``replace`` is not set, or nothing can be written.
        """
        folder = write_cell(Path(out), self.record, self.files, self.report_html, replace=replace)
        return dataclasses.replace(self, folder=folder)


def inspect(
    scan_path: str | Path,
    spec: str | Path | CellSpec,
    *,
    out: str | Path | None = None,
    acquisition: str | Path | None = None,
    voxel_size_mm: Sequence[float] | None = None,
    cell_id: str | None = None,
    angles: int = 360,
    segmenter: str | None = None,
    segmentation: str | Path | None = None,
    export_labels: str | Path | None = None,
    mask_of: MaskOf | None = None,
    plugins_dir: str | Path | None = None,
    third_party: bool = True,
    replace: bool = False,
    strict: bool = False,
    progress: Progress | None = None,
) -> Inspection:
    """Inspect one cell: scan in, verdict out.

    Parameters
    ----------
    scan_path, acquisition, voxel_size_mm
        See :func:`xctrules.scans.opening.open_scan`; ``acquisition`` is an ``acquisition.yaml``.
    spec
        Name or file of a cell-format spec, or one that was loaded before.
    out
        Folder in which ``<cell_id>/`` is written; nothing is written when it is ``None``.
    cell_id
        Wins over the one in the acquisition sidecar; the scan's own name is used where neither is given.
    angles
        Number of half-planes, equally spaced over the whole turn.
    segmenter
        Name of a segmenter; wins over the spec's. ``NAME:MODEL`` gives one that takes a trained model
        another one, by name or path.
    segmentation
        A label image of the scan's shape that is used instead of segmenting.
    export_labels
        TIFF file in which the surfaces that were found are written as a label image.
    mask_of
        The scan is a two-valued image of the ``"canister"`` or the ``"electrode"``; with ``segmentation``,
        that image is, and the scan is a scan.
    plugins_dir, third_party
        See :func:`xctrules.engine.registry.load_plugins`.
    replace
        Whether another record of this cell in ``out`` may be replaced.
    strict
        Raise when there is any warning or any plugin did something wrong.

    Raises
    ------
    XctrulesError
        When scan, spec, options or output folder cannot be used. What cannot be measured raises nothing.
    """
    clock = _Clock(progress)
    threading.Thread(target=_warm_up, daemon=True).start()
    _check_settings(angles, mask_of)
    _check_labels(segmenter, segmentation, export_labels, mask_of)
    with clock("loading plugins"):
        registry = load_plugins(plugins_dir=plugins_dir, third_party=third_party)
    with clock("reading the spec"):
        cell_spec = _load_spec(spec, registry)
    asked = segmenter if segmentation is None else LABEL_SEGMENTER
    scan_mask = mask_of if segmentation is None else None
    settings = _settings(angles, asked, scan_mask, cell_spec, registry)
    with clock("reading the scan"):
        scan = _open_scan(scan_path, acquisition, voxel_size_mm, scan_mask, registry, clock)
        cell_name = str(cell_id or scan.acquisition.get("cell_id") or name_of_scan(scan.path))
        if out is not None:
            _check_output(Path(out), cell_name, replace)  # before the long part, not after it
        labels = None if segmentation is None else _open_labels(segmentation, scan, mask_of, registry)
    notes = _Notes([*scan.warnings, *_format_warning(scan, cell_spec)], [])

    with clock("finding the cell"):
        frame, no_frame = _find_frame(scan, cell_spec, settings, registry, notes)
    cell = None
    if frame is not None:
        label_image = None if labels is None else labels.slices
        cell = Cell(scan, frame, scan.scale, settings, cell_spec.nominal_mm, labels=label_image)
        with clock("segmenting"):
            cell = dataclasses.replace(cell, segmentation=_segment(cell, registry, notes))
        if export_labels is not None:
            with clock("writing the label image"):
                _export_labels(Path(export_labels), cell, registry)
        outcomes = [_measure(screen, cell, clock) for screen in registry.screens]
        screened = {m.name: m for outcome in outcomes for m in outcome.measurements}
        waived = cell.segmentation.waives if cell.segmentation else {}
        held_against = {name: m for name, m in screened.items() if name not in waived}
        fit = assess(cell_spec.rules, cell_spec.nominal_mm, quality_of(cell, screened))
        outcomes += [_measure(metric, cell, clock, held_against) for metric in registry.metrics]
    else:
        if export_labels is not None:
            notes.warnings.append(f"no label image was written: {no_frame}")
        fit = assess(cell_spec.rules, cell_spec.nominal_mm, no_frame)
        outcomes = [absent_metric(provided, no_frame) for provided in (*registry.screens, *registry.metrics)]
    screens = {provided.value.name for provided in registry.screens}
    found = _Found.of(outcomes, screens, registry)
    measurements = {**_nobodys(cell_spec, found, registry), **found.measurements}
    measurements, budget_uses = _with_studies(measurements, cell_spec, scan, notes)

    with clock("writing the samples"):
        files = cell_files(found.images, found.samples, scan.digest_text)
    with clock("judging"):
        record = build_record(
            cell_id=cell_name,
            spec=cell_spec,
            measurements=measurements,
            scope=_scope(cell, cell_spec),
            scale=scan.scale,
            scan=_described(scan),
            acquisition=scan.acquisition,
            acquisition_sources=scan.sources,
            files=files,
            sections=_with_fitness(found.sections, fit, after=len(registry.screens)),
            plugins=[_taking_part(plugin) for plugin in registry.plugins],
            parameters={**_parameters(cell, settings, labels, mask_of, found), **budget_uses},
            rejections=found.rejections,
            unscreened=found.unscreened,
            warnings=list(dict.fromkeys([*notes.warnings, *found.warnings])),
            failures=[*registry.problems, *notes.failures, *found.failures],
            run=clock.as_record(scan),
            fitness=fit,
        )
    if strict:
        _refuse_strictly(record)
    clock.tell("writing the report")
    inspection = Inspection(record, measurements, render_report(record, found.images), files)
    return inspection if out is None else inspection.write(out, replace=replace)


def _warm_up() -> None:
    """Load what is needed later while the slices are read: half a second of a line's time."""
    with contextlib.suppress(Exception):  # whatever is wrong here is met again, and told, where it is needed
        import scipy.ndimage
        import scipy.special  # noqa: F401

        prepare()


# --- before measuring --------------------------------------------------------------------------------------


class _Clock:
    """Times the stages and tells the user of them."""

    def __init__(self, progress: Progress | None) -> None:
        self.progress = progress
        self.started = time.time()
        self.seconds: dict[str, float] = {}
        self._began = time.perf_counter()

    @contextlib.contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        self.tell(stage)
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began

    def tell(self, stage: str, done: int = 0, of: int = 0) -> None:
        if self.progress is not None:
            self.progress(stage, done, of)

    def as_record(self, scan: Scan) -> dict[str, Any]:
        """The record's ``run``: the only part of it that differs from run to run."""
        started = datetime.datetime.fromtimestamp(self.started, datetime.UTC)
        return {
            "started": started.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "seconds": round(time.perf_counter() - self._began, 3),
            "host": platform.node(),
            "operator": scan.acquisition.get("operator"),
            "path": str(scan.path),
            "steps": {stage: round(seconds, 4) for stage, seconds in self.seconds.items()},
        }


def _check_settings(angles: int, mask_of: str | None) -> None:
    low, high = ANGLES_RANGE
    if not low <= angles <= high:
        raise XctrulesError(
            f"{angles} half-planes cannot be measured", where="--angles", todo=f"Give {low} to {high}."
        )
    if mask_of not in (None, "canister", "electrode"):
        raise XctrulesError(
            f"{mask_of!r} is nothing that a mask can be of",
            where="--mask-of",
            todo="Give canister or electrode.",
        )


def _load_spec(spec: str | Path | CellSpec, registry: Registry) -> CellSpec:
    if isinstance(spec, CellSpec):
        return spec
    return load_spec(
        spec,
        folders=registry.spec_folders,
        known=registry.measurements,
        open_ended=bool(registry.not_loaded),
    )


def _open_scan(
    path: str | Path,
    acquisition: str | Path | None,
    voxel_size_mm: Sequence[float] | None,
    mask_of: str | None,
    registry: Registry,
    clock: _Clock,
) -> Scan:
    return open_scan(
        path,
        acquisition_file=acquisition,
        voxel_size_mm=voxel_size_mm,
        mask=mask_of is not None,
        readers=[provided.value for provided in registry.readers],
        progress=lambda done, of: clock.tell("reading the scan", done, of),
    )


def _check_labels(
    segmenter: str | None,
    segmentation: str | Path | None,
    export: str | Path | None,
    mask_of: str | None,
) -> None:
    """Refuse options about label images that contradict one another, before anything is read."""
    if segmentation is not None and segmenter not in (None, LABEL_SEGMENTER):
        raise XctrulesError(
            f"the segmenter {segmenter} does not run where a label image is brought in",
            where="--segmentation",
            todo="Give either --segmenter or --segmentation.",
        )
    if export is None:
        return
    if mask_of is not None and segmentation is None:
        raise XctrulesError(
            "the scan is a mask, which is a label image already",
            where="--export-labels",
            todo="Leave it away.",
        )
    path = Path(export)
    folder = path.absolute().parent
    if path.suffix.lower() not in (".tif", ".tiff") or path.is_dir():
        raise XctrulesError(
            "a label image is written as a TIFF file", where=path, todo="Give a name that ends in .tif."
        )
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(
            "cannot be written", where=path, todo="Give a folder that exists and can be written."
        )


def _open_labels(path: str | Path, scan: Scan, mask_of: str | None, registry: Registry) -> Scan:
    """A label image of the scan's shape; a two-valued mask as labels of the one class that it shows."""
    readers = [provided.value for provided in registry.readers]
    labels = open_scan(path, voxel_size_mm=scan.voxel_size_mm, mask=mask_of is not None, readers=readers)
    if labels.shape != scan.shape:
        raise ScanError(
            f"the label image has the shape {labels.shape}, the scan {scan.shape}",
            where=path,
            todo="Give one label for each voxel of the scan.",
        )
    if mask_of is not None:
        lowest = min(labels.slices[k].min() for k in range(len(labels.slices)))
        value = np.uint8(CLASS_OF_MASK[mask_of])
        inside = each_slice(labels.slices, lambda image: np.greater(image, lowest) * value, np.uint8)
        labels = dataclasses.replace(labels, slices=inside)
    return labels


def _export_labels(path: Path, cell: Cell, registry: Registry) -> None:
    """Have the segmenter draw what it found; the bundled one draws the surfaces of those that cannot."""
    by_name = {provided.value.name: provided.value for provided in registry.segmenters}
    segmenter = by_name[cell.settings.segmenter]
    if not hasattr(segmenter, "export_labels"):
        segmenter = by_name[LABEL_SEGMENTER]
    try:
        segmenter.export_labels(cell, path)
    except NotMeasurable as error:
        raise OutputError(
            f"no label image can be written: {error.reason}", where=path, todo="Leave --export-labels away."
        ) from error


def name_of_scan(path: Path) -> str:
    """A cell's name for want of a better one: that of the scan's file or folder without its ending."""
    name = path.resolve().name
    for suffix in (".gz", ".tif", ".tiff", ".ome", ".zarr", ".raw", ".vol"):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            name = name[: -len(suffix)]
    return safe_file_stem(name)


def _check_output(out: Path, cell_id: str, replace: bool) -> None:
    """Refuse early what could not be written in the end."""
    cell_folder(out, cell_id, replace=replace)
    existing = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(
            "cannot be written", where=existing, todo="Choose another --out, or see to its permissions."
        )


def _settings(
    angles: int, asked: str | None, mask_of: MaskOf | None, spec: CellSpec, registry: Registry
) -> Settings:
    """The settings, with a segmenter that is there and, where it takes a model, one that can be used."""
    name, colon, model = (asked or spec.segmenter).partition(":")
    where = "--segmenter" if asked else spec.file
    by_name = {provided.value.name: provided.value for provided in registry.segmenters}
    if name not in by_name:
        broken = f" Not loaded: {', '.join(registry.not_loaded)}." if registry.not_loaded else ""
        raise PluginError(
            f"there is no segmenter {name!r}",
            where=where,
            todo=f"Known segmenters: {', '.join(by_name) or 'none'}.{broken}",
        )
    if colon and not model:
        raise PluginError(
            f"there is no model after the colon of {name + colon!r}",
            where=where,
            todo=f"Give {name} alone for its own choice, or {name}:MODEL with a model's name or path.",
        )
    if model and not asked and spec.path is not None and (spec.path.parent / model).exists():
        model = str(spec.path.parent / model)  # relative to the spec, as other paths in it
    settings = CylinderSettings(name, model or None, angles, mask_of)
    check = getattr(by_name[name], "check", None)
    if model and check is None:
        raise PluginError(f"the segmenter {name} takes no model", where=where, todo=f"Give {name} alone.")
    if check is not None:
        try:
            check(settings)
        except XctrulesError:
            raise
        except Exception:  # what is wrong with a plugin is told where it segments
            pass
    return settings


def _format_warning(scan: Scan, spec: CellSpec) -> list[str]:
    said = scan.acquisition.get("format")
    family = [spec.name, *(Path(parent.name).stem for parent in spec.parents)]
    if not said or any(str(said).lower() in name.lower() for name in family):
        return []
    return [f"the acquisition says that the cell is a {said}, but the spec is {spec.name}"]


# --- measuring ---------------------------------------------------------------------------------------------


@dataclass
class _Notes:
    """What the reader of the report should know beside the measurements, as it comes up."""

    warnings: list[str]
    failures: list[PluginProblem]


def _find_frame(
    scan: Scan, spec: CellSpec, settings: Settings, registry: Registry, notes: _Notes
) -> tuple[CellFrame | None, str]:
    """The cell's coordinates, or ``None`` and the reason why there are none."""
    plugin, finder = next(
        ((p.plugin, p.value) for p in registry.frame_finders if p.value.geometry == spec.geometry),
        ("xctrules", CylinderFinder()),
    )
    if finder.geometry != spec.geometry:
        known = [CylinderFinder.geometry, *(p.value.geometry for p in registry.frame_finders)]
        raise PluginError(
            f"no plugin knows cells of the geometry {spec.geometry!r}",
            where=spec.file,
            todo=f"Known geometries: {', '.join(known)}.",
        )
    try:
        frame = finder.find(scan, spec.nominal_mm, settings.mask_of)
    except NotMeasurable as error:
        told = settings.mask_of or "saturated" in error.reason
        return None, error.reason + ("" if told else _saturation_note(scan))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if plugin == "xctrules":
            raise
        message = f"finding the cell raised {describe_exception(error)}"
        notes.failures.append(PluginProblem(plugin, message, short_traceback(error)))
        return None, f"the plugin {plugin} failed to find the cell"
    if plugin == "xctrules" or isinstance(frame, CellFrame):
        notes.warnings.extend(frame.warnings)
    return frame, ""


def _saturation_note(scan: Scan) -> str:
    """What to add where no cell was found: a clipped grey scale hides a can among what it holds."""
    image = scan.slices[scan.shape[0] // 2]
    share = float((image == image.max()).mean())
    if share < 0.05:
        return ""
    return (
        f"; {100 * share:.0f} % of the middle slice has its largest value: if the scan is saturated, "
        "save it again with a wider grey window, or as 16-bit or floating point"
    )


def _segment(cell: Cell, registry: Registry, notes: _Notes) -> Segmentation:
    """The segmentation; where there is none, an empty one that says why."""
    name = cell.settings.segmenter
    chosen = next(p for p in registry.segmenters if p.value.name == name)
    try:
        result = chosen.value.segment(cell)
        if not isinstance(result, Segmentation):
            raise TypeError(f"it returned {type(result).__name__}, not a Segmentation")
    except NotMeasurable as error:
        return _no_segmentation(name, error.reason)
    except (ScanError, ModelError):
        raise  # a label image or model that cannot be used is no fault of the plugin's
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        message = f"segmenter {name} raised {describe_exception(error)}"
        notes.failures.append(PluginProblem(chosen.plugin, message, short_traceback(error)))
        return _no_segmentation(name, f"the segmenter {name} failed ({describe_exception(error)})")
    notes.warnings.extend(result.warnings)
    return result


def _no_segmentation(name: str, reason: str) -> Segmentation:
    return Segmentation(segmenter=name, missing=dict.fromkeys(("can", "foil", "top", "bottom"), reason))


def _measure(
    provided: Provided, cell: Cell, clock: _Clock, screened: Mapping[str, Measurement] | None = None
) -> MetricOutcome:
    """Run a screen or metric, unless it declares that it needs a better scan than the screening found."""
    lacking = unmet_needs(getattr(provided.value, "needs", {}), screened or {})
    if lacking:
        return absent_metric(provided, lacking)
    with clock(f"measuring: {provided.value.name}"):
        return run_metric(provided, cell)


def _with_fitness(
    sections: Sequence[dict[str, Any]], fit: Sequence[Mapping[str, Any]], after: int
) -> list[dict[str, Any]]:
    """The report's sections with the fitness for purpose among them, behind the screening."""
    own = fitness_section(fit)
    return [*sections[:after], *([own] if own else []), *sections[after:]]


@dataclass(frozen=True)
class _Found:
    """What all screens and metrics found, put together."""

    outcomes: tuple[MetricOutcome, ...]
    measurements: dict[str, Measurement]
    images: dict[str, bytes]
    samples: tuple[Samples, ...]
    rejections: tuple[str, ...]
    unscreened: tuple[str, ...]
    warnings: tuple[str, ...]
    failures: tuple[PluginProblem, ...]
    sections: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, outcomes: Sequence[MetricOutcome], screens: set[str], registry: Registry) -> _Found:
        declared = registry.measurements
        measurements: dict[str, Measurement] = {}
        images: dict[str, bytes] = {}
        samples: dict[str, Samples] = {}
        rejections: list[str] = []
        unscreened: list[str] = []
        warnings: list[str] = []
        failures: list[PluginProblem] = []
        sections = []
        for outcome in outcomes:
            own = [m for m in outcome.measurements if m.name not in measurements]
            # A name that another metric declares is that metric's; the failure is listed all the same.
            own = [m for m in own if m.name not in declared or m.name in _declared_by(outcome, registry)]
            measurements.update({m.name: m for m in own})
            figures = []
            for figure in outcome.figures:
                files = {figure["image"]["file"]} if figure.get("kind") == "image" else set()
                if files & images.keys():
                    message = f"its figure {figure['id']!r} has the id of another metric's and is left out"
                    failures.append(PluginProblem(outcome.plugin, message, metric=outcome.metric))
                    continue
                figures.append(figure)
                images.update({name: outcome.images[name] for name in files})
            for table in outcome.samples:
                if safe_file_stem(table.name) in samples:
                    message = f"its samples {table.name!r} have the name of another metric's and are left out"
                    failures.append(PluginProblem(outcome.plugin, message, metric=outcome.metric))
                else:
                    samples[safe_file_stem(table.name)] = table
            if outcome.metric in screens:
                rejections.extend(outcome.rejections)
                if any(m.status == "failed" for m in outcome.measurements):
                    unscreened.append(outcome.metric)
            warnings.extend(outcome.warnings)
            failures.extend(outcome.failures)
            sections.append(
                {
                    "metric": outcome.metric,
                    "title": outcome.title,
                    "plugin": outcome.plugin,
                    "measurements": [m.name for m in own],
                    "figures": figures,
                }
            )
        return cls(
            tuple(outcomes), measurements, images, tuple(samples.values()), tuple(rejections),
            tuple(unscreened), tuple(warnings), tuple(failures), tuple(sections),
        )  # fmt: skip


def _declared_by(outcome: MetricOutcome, registry: Registry) -> set[str]:
    for provided in (*registry.screens, *registry.metrics):
        if provided.value.name == outcome.metric:
            return {str(name) for name in provided.value.declares}
    return set()


def _nobodys(spec: CellSpec, found: _Found, registry: Registry) -> dict[str, Measurement]:
    """What the spec asks for and no loaded plugin measures."""
    reason = "no loaded plugin measures it"
    if registry.not_loaded:
        reason += f" (not loaded: {', '.join(registry.not_loaded)})"
    asked = {str(rule["measurement"]): str(rule["unit"]) for rule in spec.rules}
    return {
        name: Measurement.absent(name, unit, reason)
        for name, unit in asked.items()
        if name not in found.measurements
    }


def _with_studies(
    measurements: dict[str, Measurement], spec: CellSpec, scan: Scan, notes: _Notes
) -> tuple[dict[str, Measurement], dict[str, Any]]:
    """Measurements with budgets from the studies that the spec names, and what the record says of it."""
    if not spec.budgets:
        return measurements, {}
    from xctrules.core.version import __version__
    from xctrules.rules.stated_budgets import ScanConditions, apply_budgets

    names = [spec.name, *(parent.name for parent in spec.parents)]
    conditions = ScanConditions.of(names, scan.acquisition, scan.voxel_size_mm, __version__)
    changed, uses, warnings = apply_budgets(spec.budgets, measurements, conditions)
    notes.warnings.extend(warnings)
    return changed, {"budgets": uses}


# --- judging and writing -----------------------------------------------------------------------------------


def _scope(cell: Cell | None, spec: CellSpec) -> dict[str, Any]:
    """What of the cell was seen. ``ends`` is ``None`` where that could not be told."""
    scope: dict[str, Any] = {
        "ends": None,
        "height_seen_mm": None,
        "straight_can_mm": None,
        "nominal_height_mm": spec.nominal_mm.get("height"),
    }
    if cell is None:
        return scope
    frame, found = cell.frame, cell.segmentation
    if frame.roll_mm is not None:
        scope["ends"] = sorted((end.name for end in frame.ends), reverse=True)  # top first
    if frame.seen_mm is not None:
        scope["height_seen_mm"] = frame.seen_mm[1] - frame.seen_mm[0]
    if found is not None and found.can is not None and found.can.straight.any():
        heights = found.can.z_mm
        spacing = float(heights[1] - heights[0]) if heights.size > 1 else frame.voxel_mm[0]
        scope["straight_can_mm"] = float(found.can.straight.sum()) * spacing
    return scope


def _described(scan: Scan) -> dict[str, Any]:
    """The record's ``scan``."""
    return {
        "shape": scan.shape,
        "dtype": str(scan.slices.dtype),
        "voxel_size_mm": scan.voxel_size_mm,
        "files": len(scan.digests),
        "sha256": scan.scan_sha256,
        "reader": scan.reader,
    }


def _taking_part(plugin: PluginInfo) -> dict[str, Any]:
    """A plugin as the record lists it."""
    return {key: getattr(plugin, key) for key in ("name", "version", "sha256", "source", "load_error")}


def _parameters(
    cell: Cell | None, settings: Settings, labels: Scan | None, mask_of: str | None, found: _Found
) -> dict[str, Any]:
    """Every parameter that took part, by the room that it belongs to."""
    parameters: dict[str, Any] = {**dataclasses.asdict(settings), "mask_of": mask_of}
    if settings.model is None:
        del parameters["model"]
    else:
        parameters["model"] = Path(settings.model).name
    if labels is not None:
        parameters["segmenter"] = "labels"
        parameters["label_image"] = {
            "file": labels.path.name,
            # Of one file as sha256sum gives it; of several, of the list of their digests, as for the scan.
            "sha256": labels.digests[0][0] if len(labels.digests) == 1 else labels.scan_sha256,
            "files": len(labels.digests),
        }
    if cell is not None:
        parameters["frame"] = cell.frame
        if cell.segmentation is not None and cell.segmentation.parameters:
            parameters["segmentation"] = cell.segmentation.parameters
    parameters["metrics"] = {o.metric: o.parameters for o in found.outcomes if o.parameters}
    return parameters


def _refuse_strictly(record: Mapping[str, Any]) -> None:
    """Raise where there is anything to complain of."""
    faults = [str(warning) for warning in record["warnings"]]
    for failure in record["failures"]:
        where = f"{failure['plugin']}, {failure['metric']}" if failure["metric"] else failure["plugin"]
        faults.append(f"plugin {where}: {failure['message']}")
    if faults:
        todo = "Cure this, or run again without --strict."
        raise XctrulesError("; ".join(faults), where="--strict", todo=todo)
