"""The whole way from a scan's files to verdict, record and report. :func:`inspect` is the place to begin.

In: paths and wishes. Out: an :class:`Inspection`, written whole or not at all. What is measured, and in
which order, is :func:`xctrules.engine.measuring.measure`'s; here a scan is opened before it and a record
written after it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xctrules.core.canonical import canonical_bytes
from xctrules.core.cell import Cell
from xctrules.core.errors import NotMeasurable, OutputError, ScanError, XctrulesError
from xctrules.core.files import safe_file_stem
from xctrules.core.measurement import Measurement
from xctrules.core.progress import Progress
from xctrules.core.protocols import ExportsLabels
from xctrules.core.slices import Scan, each_slice
from xctrules.engine import accounts, fit_for_purpose
from xctrules.engine.clock import Clock
from xctrules.engine.faults import happened
from xctrules.engine.isolation.limits import Limits
from xctrules.engine.measuring import Findings, measure
from xctrules.engine.planning import Plan, for_geometry, plan_inspection
from xctrules.engine.registry import PluginInfo, Registry, load_plugins
from xctrules.pages.environment import prepare
from xctrules.pages.report import notebook_html
from xctrules.records.binding import bound_report
from xctrules.records.folder import (
    RECORD_NAME,
    REPORT_NAME,
    cell_files,
    cell_folder,
    check_cell_id,
    write_cell,
)
from xctrules.records.record import build_record
from xctrules.rules.cellspec import CellSpec
from xctrules.scans.opening import open_scan
from xctrules.scans.recorded import Recorded

if TYPE_CHECKING:
    from xctrules.records.signing.keys import SigningKey


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

    def write(
        self, out: str | Path, *, replace: bool = False, sign_key: SigningKey | None = None
    ) -> Inspection:
        """Write ``<out>/<cell_id>/`` with record, report and the other files, all of them or none.

        ``sign_key`` signs them as measured.

        Raises
        ------
        OutputError
            When there is another record of this cell and ``replace`` is not set, or nothing can be written.
        """
        folder = write_cell(
            Path(out),
            self.record,
            self.files,
            self.report_html,
            signatures=None if sign_key is None else self._signed(sign_key),
            replace=replace,
        )
        return dataclasses.replace(self, folder=folder)

    def _signed(self, key: SigningKey) -> dict[str, bytes]:
        from xctrules.records.signing.making import signature_of  # a library that unsigned runs do not need

        page = self.report_html.encode("utf-8")
        contents = {**self.files, RECORD_NAME: canonical_bytes(self.record), REPORT_NAME: page}
        name, envelope = signature_of(self.record, contents, key, "measured")
        return {name: envelope}


def inspect(
    scan_path: str | Path,
    spec: str | Path | CellSpec,
    *,
    out: str | Path | None = None,
    acquisition: str | Path | None = None,
    voxel_size_mm: Sequence[float] | None = None,
    cell_id: str | None = None,
    segmenter: str | None = None,
    segmentation: str | Path | None = None,
    export_labels: str | Path | None = None,
    plugins_dir: str | Path | None = None,
    third_party: bool = True,
    plugin_seconds: float | None = None,
    plugin_memory_gb: float | None = None,
    replace: bool = False,
    sign_key: SigningKey | None = None,
    strict: bool = False,
    full_paths: bool = False,
    progress: Progress | None = None,
    **options: Any,
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
    segmenter
        Name of a segmenter; wins over the spec's. ``NAME:MODEL`` gives one that takes a trained model
        another one, by name or path.
    segmentation
        A label image of the scan's shape that is used instead of segmenting.
    export_labels
        TIFF file in which the surfaces that were found are written as a label image.
    plugins_dir, third_party
        See :func:`xctrules.engine.registry.load_plugins`.
    plugin_seconds, plugin_memory_gb
        What each call of a third party's plugin may take; see
        :class:`xctrules.engine.isolation.limits.Limits`.
    replace
        Whether another record of this cell in ``out`` may be replaced.
    sign_key
        Signs what is written as measured; see :func:`xctrules.records.signing.keys.load_private_key`.
    strict
        Raise when there is any warning or any plugin did something wrong.
    full_paths
        Whether record and report name this machine and the scan's whole path; else its own name alone.
    options
        What can be chosen about cells of the spec's geometry, such as ``angles=720`` for a cylindrical one;
        ``None`` stands for the default.

    Raises
    ------
    XctrulesError
        When scan, spec, options or output folder cannot be used. What cannot be measured raises nothing.
    """
    clock = Clock(progress)
    warming = threading.Thread(target=_warm_up, daemon=True)
    warming.start()
    with clock("loading plugins"):
        limits = Limits.asked(plugin_seconds, plugin_memory_gb)
        registry = load_plugins(plugins_dir=plugins_dir, third_party=third_party, limits=limits)
    with registry:
        with clock("reading the spec"):
            with_labels = segmentation is not None
            plan = plan_inspection(
                spec, registry, segmenter=segmenter, with_labels=with_labels, options=options
            )
        label_export = (
            None if export_labels is None else _LabelExport.checked(Path(export_labels), plan, clock)
        )
        with clock("reading the scan"):
            scan = open_for(scan_path, acquisition, voxel_size_mm, plan, clock)
            name = _checked_name(cell_id, scan)
            if out is not None:
                _check_output(Path(out), name, replace)  # before the long part, not after it
            labels = None if segmentation is None else open_labels(segmentation, scan, plan)
        warming.join()  # two threads that import one library at once may find it half there
        label_image = None if labels is None else labels.slices
        findings = measure(scan, plan, labels=label_image, clock=clock, after_segmenting=label_export)
        unwritten = () if label_export is None else label_export.warnings
        inspection = _concluded(name, findings, labels, unwritten, clock, strict, full_paths)
        return inspection if out is None else inspection.write(out, replace=replace, sign_key=sign_key)


def _concluded(
    cell_id: str,
    findings: Findings,
    labels: Scan | None,
    warnings: Sequence[str],
    clock: Clock,
    strict: bool,
    full_paths: bool,
) -> Inspection:
    """Record and report of what was found."""
    gathered, scan = findings.gathered, findings.scan
    with clock("writing the samples"):
        files = cell_files(gathered.images, gathered.samples, scan.digest_text)
    with clock("judging"):
        run = _run_entry(clock, scan, findings.plan.registry, full_paths)
        record = record_of(findings, cell_id, files, labels=labels, run=run, more_warnings=warnings)
    if strict:
        _refuse_strictly(record)
    clock.tell("writing the report")
    record, page = bound_report(record, gathered.images)
    return Inspection(record, findings.measurements, page, files)


def _warm_up() -> None:
    """Load what is needed later while the slices are read: half a second of a line's time."""
    with contextlib.suppress(Exception):  # whatever is wrong here is met again, and told, where it is needed
        import scipy.ndimage
        import scipy.special  # noqa: F401

        prepare()


# --- before measuring --------------------------------------------------------------------------------------


def open_for(
    path: str | Path,
    acquisition: str | Path | None,
    voxel_size_mm: Sequence[float] | None,
    plan: Plan,
    clock: Clock | None = None,
    recorded: Recorded | None = None,
) -> Scan:
    """Open a scan for what is planned: with the plugins' readers, as a mask where it is one.

    ``recorded`` takes the place of what the files say of the acquisition.
    """
    tell = (clock or Clock()).tell
    return open_scan(
        path,
        acquisition_file=acquisition,
        voxel_size_mm=voxel_size_mm,
        mask=plan.scan_is_mask,
        readers=[provided.value for provided in plan.registry.readers],
        empty=plan.registry.empty,
        progress=tell,
        recorded=recorded,
    )


def open_labels(path: str | Path, scan: Scan, plan: Plan) -> Scan:
    """A label image of the scan's shape; a two-valued mask as labels of the one class that it shows."""
    readers = [provided.value for provided in plan.registry.readers]
    part = plan.mask_label
    labels = open_scan(path, voxel_size_mm=scan.voxel_size_mm, mask=part is not None, readers=readers)
    if labels.shape != scan.shape:
        raise ScanError(
            f"the label image has the shape {labels.shape}, the scan {scan.shape}",
            where=path,
            todo="Give one label for each voxel of the scan.",
        )
    if part is not None:
        lowest, value = min(labels.slices[k].min() for k in range(len(labels.slices))), np.uint8(part)
        inside = each_slice(labels.slices, lambda image: np.greater(image, lowest) * value, np.uint8)
        labels = dataclasses.replace(labels, slices=inside)
    return labels


@dataclass(frozen=True)
class _LabelExport:
    """Has what was found written as a label image, once the cell is segmented.

    ``warnings`` says afterwards why none was written, if so.
    """

    path: Path
    plan: Plan
    clock: Clock
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def checked(cls, path: Path, plan: Plan, clock: Clock) -> _LabelExport:
        """Refuse early a label image that could not be written in the end."""
        if plan.scan_is_mask:
            raise XctrulesError(
                "the scan is a mask, which is a label image already",
                where="--export-labels",
                todo="Leave it away.",
            )
        if path.suffix.lower() not in (".tif", ".tiff") or path.is_dir():
            raise XctrulesError(
                "a label image is written as a TIFF file", where=path, todo="Give a name that ends in .tif."
            )
        folder = path.absolute().parent
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(
                "cannot be written", where=path, todo="Give a folder that exists and can be written."
            )
        return cls(path, plan, clock)

    def __call__(self, cell: Cell[Any, Any, Any] | None, no_cell: str) -> None:
        if cell is None:
            self.warnings.append(f"no label image was written: {no_cell}")
            return
        with self.clock("writing the label image"):
            self._write(cell)

    def _write(self, cell: Cell[Any, Any, Any]) -> None:
        """Have the segmenter draw it; where it cannot, another one of the same geometry that can."""
        geometry, chosen = self.plan.spec.geometry, self.plan.segmenter
        fitting = for_geometry(self.plan.registry.segmenters, geometry)
        candidates = fitting if chosen is None else (chosen, *fitting)
        drawing = next((p for p in candidates if isinstance(p.value, ExportsLabels)), None)
        try:
            if drawing is None:
                raise NotMeasurable(f"no segmenter for {geometry} cells draws labels")
            drawing.value.export_labels(cell, self.path)
        except (KeyboardInterrupt, XctrulesError):
            raise
        except BaseException as error:  # a plugin in another language may raise beside Exception
            plugin = "" if drawing is None else f"the plugin {drawing.plugin} "
            why = error.reason if isinstance(error, NotMeasurable) else f"{plugin}{happened(error)}"
            raise OutputError(
                f"no label image can be written: {why}",
                where=self.path,
                todo="Leave --export-labels away.",
            ) from error


def name_of_scan(path: Path) -> str:
    """A cell's name for want of a better one: that of the scan's file or folder without its ending."""
    name = path.resolve().name
    for suffix in (".gz", ".tif", ".tiff", ".ome", ".zarr", ".raw", ".vol"):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            name = name[: -len(suffix)]
    return safe_file_stem(name)


def _checked_name(cell_id: str | None, scan: Scan) -> str:
    """The cell's name: as asked for, else as the acquisition has it, else the scan's own."""
    told = scan.acquisition.get("cell_id")
    name, where = (told, scan.sources.get("cell_id", "")) if cell_id is None else (cell_id, "--cell-id")
    if name is None:
        return name_of_scan(scan.path)
    check_cell_id(str(name), where)
    return str(name)


def _check_output(out: Path, cell_id: str, replace: bool) -> None:
    """Refuse early what could not be written in the end."""
    cell_folder(out, cell_id, replace=replace)
    existing = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(
            "cannot be written", where=existing, todo="Choose another --out, or see to its permissions."
        )


# --- the record --------------------------------------------------------------------------------------------


def record_of(
    findings: Findings,
    cell_id: str,
    files: Mapping[str, bytes],
    *,
    labels: Scan | None = None,
    run: Mapping[str, Any] | None = None,
    more_warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """The record of what was found: judged, rounded, sealed.

    Parameters
    ----------
    files
        All files that are to stand beside the record, by name.
    labels
        The label image that took the place of segmenting.
    run
        What differs from run to run.
    """
    scan, plan, gathered = findings.scan, findings.plan, findings.gathered
    return build_record(
        cell_id=cell_id,
        spec=plan.spec,
        measurements=findings.measurements,
        descriptions=findings.descriptions,
        ledgers=gathered.ledgers,
        nobody_looked=gathered.unaccounted,
        scope=findings.scope_entry,
        scale=scan.scale,
        scan=_described(scan),
        acquisition=scan.acquisition,
        acquisition_sources=scan.sources,
        files=files,
        sections=_sections(findings),
        plugins=[_taking_part(plugin) for plugin in plan.registry.plugins],
        parameters=_parameters(findings, labels),
        rejections=gathered.rejections,
        unscreened=findings.unscreened,
        warnings=list(dict.fromkeys([*findings.warnings, *more_warnings])),
        failures=findings.failures,
        run=run,
        fitness=findings.fitness,
    )


def _sections(findings: Findings) -> list[Mapping[str, Any]]:
    """The report's sections: the plugins', and between screens and metrics what the engine itself says."""
    gathered = findings.gathered
    screens, metrics = (
        gathered.sections[: gathered.screen_sections],
        gathered.sections[gathered.screen_sections :],
    )
    allowed = findings.plan.spec.resolved.get("completeness", {})
    own = (accounts.section(gathered.ledgers, allowed), fit_for_purpose.section(findings.fitness))
    return [*screens, *(section for section in own if section), *metrics]


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
    keys = ("name", "version", "sha256", "source", "process", "load_error")
    return {key: getattr(plugin, key) for key in keys}


def _run_entry(clock: Clock, scan: Scan, registry: Registry, full_paths: bool) -> dict[str, Any]:
    """What differs from run to run, and what third parties' plugins were allowed where there are any."""
    limits, run = registry.limits, clock.as_record(scan, full_paths=full_paths)
    if all(plugin.process == "inside" for plugin in registry.plugins):
        return run
    allowed = {"seconds": limits.seconds, "memory_gb": limits.memory_gb}
    return {**run, "plugin_limits": allowed}


def _parameters(findings: Findings, labels: Scan | None) -> dict[str, Any]:
    """Every parameter that took part, by the room that it belongs to."""
    plan, cell = findings.plan, findings.cell
    parameters: dict[str, Any] = {**dataclasses.asdict(plan.settings), **plan.options}
    if plan.settings.model is None:
        del parameters["model"]
    else:
        parameters["model"] = Path(plan.settings.model).name
    if labels is not None:
        parameters["segmenter"] = "labels"
        parameters["label_image"] = {
            "file": labels.path.name,
            # Of one file as sha256sum gives it; of several, of the list of their digests, as for the scan.
            "sha256": labels.digests[0][0] if len(labels.digests) == 1 else labels.scan_sha256,
            "files": len(labels.digests),
        }
    if findings.scan.greys:
        parameters["greys"] = findings.scan.greys
    if cell is not None:
        parameters["frame"] = cell.frame
        if cell.segmentation is not None and cell.segmentation.parameters:
            parameters["segmentation"] = cell.segmentation.parameters
    parameters["metrics"] = findings.gathered.parameters
    if findings.budget_uses is not None:
        parameters["budgets"] = findings.budget_uses
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
