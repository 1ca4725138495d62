"""A record's scan measured again, by the record's own spec and options, and held against the record.

In: a record and its scan. Out: a :class:`Replay`. What is measured, and in which order, is
:func:`xctrules.engine.measuring.measure`'s, as it was the first time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xctrules.core.errors import RecordError, ScanError, SpecError, XctrulesError
from xctrules.core.progress import Progress
from xctrules.core.protocols import HasOptions
from xctrules.core.slices import Scan
from xctrules.core.wording import counted
from xctrules.engine.clock import Clock
from xctrules.engine.inspection import open_for, open_labels, record_of
from xctrules.engine.isolation.limits import Limits
from xctrules.engine.measuring import measure
from xctrules.engine.planning import Plan, plan_inspection
from xctrules.engine.registry import Registry, load_plugins
from xctrules.records.comparing import Comparison, compare
from xctrules.records.embedded import embedded_spec
from xctrules.records.folder import cell_files
from xctrules.rules.cellspec import CellSpec
from xctrules.scans.recorded import Recorded

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Replay:
    """What came of measuring a record's scan again.

    Attributes
    ----------
    record
        The new one, as an inspection makes it, without a report.
    comparison
        Of the old record with it.
    """

    record: Json
    comparison: Comparison


def replay(
    record: Json,
    scan_path: str | Path,
    *,
    scan_list: str | None = None,
    acquisition: str | Path | None = None,
    segmentation: str | Path | None = None,
    segmenter: str | None = None,
    plugins_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> Replay:
    """Measure a record's scan again and compare.

    The spec is the one inside the record, the options are those in its ``parameters``, and what the record
    says of the acquisition stands over the files beside the scan. Others' plugins take part where they did.

    Parameters
    ----------
    scan_list
        The record's ``samples/scan.sha256``, where it is at hand: says which files are not the record's.
    acquisition
        An ``acquisition.yaml``, for a raw volume that no header describes.
    segmentation
        The label image that took the place of segmenting, where one did.
    segmenter
        In place of the record's: ``NAME:MODEL`` where its model stands elsewhere today.

    Raises
    ------
    RecordError
        When the record does not say how it was measured.
    ScanError
        When the scan is not the record's, or cannot be read.
    XctrulesError
        When spec or options cannot be used by this version.
    """
    clock = Clock(progress)
    asked = _Asked.of_record(record)
    if (asked.label_image is None) != (segmentation is None):
        raise _labels_missing() if segmentation is None else _labels_surplus()
    with clock("loading plugins"):
        others = asked.others_took_part or plugins_dir is not None
        registry = load_plugins(plugins_dir=plugins_dir, third_party=others, limits=asked.limits)
    with registry:
        plan = _planned(asked, registry, segmenter)
        with clock("reading the scan"):
            scan = open_for(scan_path, acquisition, None, plan, clock, recorded=Recorded.of_record(record))
            _require_the_same(scan, record, scan_list)
            labels = None if segmentation is None else open_labels(segmentation, scan, plan)
            if labels is not None and asked.label_image is not None:
                _require_the_same_labels(labels, asked.label_image)
        findings = measure(scan, plan, labels=None if labels is None else labels.slices, clock=clock)
        with clock("comparing"):
            gathered = findings.gathered
            files = cell_files(gathered.images, gathered.samples, scan.digest_text)
            now = record_of(findings, str(record["cell_id"]), files, labels=labels)
            with _of_the_record():
                return Replay(now, compare(record, now))


# --- what was asked then -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Asked:
    """What a record says of how it was measured.

    Attributes
    ----------
    parameters
        Options of the geometry among them.
    segmenter
        ``NAME`` or ``NAME:MODEL``; ``None`` where a label image took its place.
    label_image
        ``file`` and ``sha256``; ``None`` where there was none.
    limits
        That others' plugins had.
    """

    spec: CellSpec
    parameters: Json
    segmenter: str | None
    label_image: Json | None
    others_took_part: bool
    limits: Limits

    @classmethod
    def of_record(cls, record: Json) -> _Asked:
        with _of_the_record():
            parameters, labels = record["parameters"], record["parameters"].get("label_image")
            name, model = parameters.get("segmenter") or None, parameters.get("model")
            allowed = record["run"].get("plugin_limits") or {}
            return cls(
                spec=_spec_of(record),
                parameters=parameters,
                segmenter=None if labels else f"{name}:{model}" if name and model else name,
                label_image=labels,
                others_took_part=any(each["source"] != "bundled" for each in record["plugins"]),
                limits=Limits.asked(allowed.get("seconds"), allowed.get("memory_gb")),
            )


@contextlib.contextmanager
def _of_the_record() -> Iterator[None]:
    """Whatever is missing in a record ends as one sentence."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RecordError(
            f"the record does not say how it was measured, or parts of it are malformed ({error!r})",
            todo="See what `xctrules verify` says of it.",
        ) from error


def _planned(asked: _Asked, registry: Registry, segmenter: str | None) -> Plan:
    """What was asked of the inspection, asked again."""
    parameters = asked.parameters
    options = {name: parameters[name] for name in _options(registry, asked.spec) if name in parameters}
    return plan_inspection(
        asked.spec,
        registry,
        segmenter=segmenter or asked.segmenter,
        with_labels=asked.label_image is not None,
        options=options,
    )


def _spec_of(record: Json) -> CellSpec:
    try:
        return embedded_spec(record["spec"])
    except SpecError as error:
        what = f"the spec inside the record cannot be read by this version: {error.what}"
        raise RecordError(
            what, where=error.where, todo="Use the version of xctrules that wrote it."
        ) from error


def _options(registry: Registry, spec: CellSpec) -> Iterator[str]:
    """Names of what can be chosen about cells of the spec's geometry."""
    for provided in registry.frame_finders:
        if provided.value.geometry == spec.geometry and isinstance(provided.value, HasOptions):
            yield from (option.name for option in provided.value.options)


# --- the same scan? ----------------------------------------------------------------------------------------


def _require_the_same(scan: Scan, record: Json, scan_list: str | None) -> None:
    """Refuse a scan whose digest is not the record's.

    Raises
    ------
    ScanError
        Says which files differ where that is known.
    """
    stated = record["scan"]["sha256"]
    if scan.scan_sha256 == stated:
        return
    differing = "" if scan_list is None else _what_differs(scan.digest_text, scan_list)
    raise ScanError(
        f"this is not the scan of the record: its SHA-256 is {scan.scan_sha256[:12]}..., the record's "
        f"{stated[:12]}...{differing}, so that nothing was measured",
        where=scan.path,
        todo=f"Give the scan of {record['cell_id']} as it was inspected: "
        "samples/scan.sha256 beside the record lists its files.",
    )


def _what_differs(now: str, then: str) -> str:
    """Which files of a scan are not those of a list, in words."""
    new, old = (_by_name(text) for text in (now, then))
    if sorted(new.values()) == sorted(old.values()):
        return " (the same contents, but the files are named, or ordered, otherwise)"
    changed = [name for name in old if name in new and new[name] != old[name]]
    missing = [name for name in old if name not in new]
    more = [name for name in new if name not in old]
    parts = [
        f"{counted(len(names), 'file')} {word}, such as {names[0]}"
        for names, word in ((changed, "changed"), (missing, "missing"), (more, "more"))
        if names
    ]
    return f" ({'; '.join(parts)})" if parts else ""


def _by_name(text: str) -> dict[str, str]:
    lines = (line.partition("  ") for line in text.splitlines() if line)
    return {name: digest for digest, _, name in lines}


def _require_the_same_labels(labels: Scan, entry: Json) -> None:
    found = labels.digests[0][0] if len(labels.digests) == 1 else labels.scan_sha256
    if found != entry["sha256"]:
        raise ScanError(
            f"this is not the label image of the record: its SHA-256 is {found[:12]}..., the record's "
            f"{str(entry['sha256'])[:12]}...",
            where=labels.path,
            todo=f"Give {entry['file']} as it was.",
        )


def _labels_missing() -> XctrulesError:
    return XctrulesError(
        "the record rests on a label image",
        where="--segmentation",
        todo="Give that file; the record names it under parameters, label_image.",
    )


def _labels_surplus() -> XctrulesError:
    return XctrulesError(
        "no label image took part in the record", where="--segmentation", todo="Leave it away."
    )
