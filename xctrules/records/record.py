"""The record of one cell: plain JSON that everything else, the report included, is drawn from."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from xctrules.core.canonical import EXACT_DIGITS, bytes_of_parts, canonical_parts, plain
from xctrules.core.ledger import Ledger, ledger_to_json, unaccounted
from xctrules.core.measurement import Measurement, Scale, measurement_to_json
from xctrules.core.names import Description
from xctrules.core.shipped import source_sha256
from xctrules.core.version import __version__
from xctrules.rules.cellspec import CellSpec
from xctrules.rules.judging import CellVerdict, Check, judge, lacking_of_calibration

SCHEMA = "xctrules.record/1"


def build_record(
    *,
    cell_id: str,
    spec: CellSpec,
    measurements: Mapping[str, Measurement],
    scope: Mapping[str, Any],
    scale: Scale,
    scan: Mapping[str, Any],
    acquisition: Mapping[str, Any],
    files: Mapping[str, bytes],
    sections: Sequence[Mapping[str, Any]] = (),
    plugins: Sequence[Any] = (),
    software: Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
    acquisition_sources: Mapping[str, str] | None = None,
    rejections: Sequence[str] = (),
    unscreened: Sequence[str] = (),
    warnings: Sequence[str] = (),
    failures: Sequence[Any] = (),
    fitness: Sequence[Mapping[str, Any]] = (),
    descriptions: Mapping[str, Description] | None = None,
    ledgers: Sequence[Ledger] = (),
    nobody_looked: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Judge the cell and put its record together.

    What is judged is the measurements as the record holds them, rounded, so that the verdict can be
    recomputed from the record to the last digit.

    Parameters
    ----------
    scope
        ``ends`` in view, ``height_seen_mm``, ``straight_can_mm``.
    scan
        ``shape``, ``dtype``, ``voxel_size_mm``, ``files``, ``sha256`` and whatever else is known of it.
    files
        All files that stand beside the record (see :func:`xctrules.records.folder.cell_files`), by name.
    sections
        ``{"metric", "title", "figures": [...]}`` with figures as :func:`figure_to_json` makes them.
    plugins, failures, parameters, software
        Mappings or dataclasses; taken over as they are.
    run
        What differs from run to run: ``started``, ``seconds``, ``host``, ``operator``.
    fitness
        For each rule, whether the scan can decide it (:func:`xctrules.engine.fit_for_purpose.assess`).
    descriptions
        What plugins say of their measurements, by name.
    ledgers, nobody_looked
        What of each part of the cell was looked at; parts that nobody looked at, and why.

    Returns
    -------
    record
        Plain JSON in the order of the contract.
    """
    entries = {name: measurement_to_json(m) for name, m in measurements.items()}
    resolved = plain(spec.resolved, digits=EXACT_DIGITS)
    seen = plain(scope)
    completeness = {ledger.part: ledger_to_json(ledger) for ledger in ledgers}
    completeness |= {part: unaccounted(why) for part, why in (nobody_looked or {}).items()}
    said = plain({name: d for name, d in (descriptions or {}).items() if name in entries})
    judged = judged_parts(
        {
            "measurements": entries, "scope": seen, "scale": {"stated": scale.stated},
            "rejections": rejections, "unscreened": unscreened, "completeness": completeness,
            "descriptions": said, "acquisition": acquisition,
        },
        resolved,
    )  # fmt: skip
    record = {
        "schema": SCHEMA,
        "cell_id": cell_id,
        "geometry": spec.geometry,
        **{key: judged[key] for key in _JUDGED_FIRST},
        "scope": seen,
        "spec": spec_entry(spec),
        "scan": scan,
        "scale": {"relative_uncertainty": scale.relative_uncertainty, "stated": scale.stated},
        "acquisition": acquisition,
        "acquisition_sources": acquisition_sources or {},
        "measurements": entries,
        "descriptions": said,
        "completeness": completeness,
        "checks": judged["checks"],
        "fitness": list(fitness),
        "rejections": list(rejections),
        "unscreened": list(unscreened),
        "warnings": list(warnings),
        "failures": list(failures),
        "plugins": list(plugins),
        "software": software if software is not None else software_versions(),
        "parameters": parameters or {},
        "sections": [],
        "files": [{"name": name, "sha256": _sha256(files[name])} for name in sorted(files)],
        "run": run or {},
    }
    # The spec's own numbers stay as they were written; everything measured is rounded.
    exact = {"spec": record["spec"], "sections": list(map(_section, sections))}
    return sealed({**plain(record), **exact})


_JUDGED_FIRST = ("verdict", "reasons", "probability_of_conformity", "verdict_under_other_rules")


def judge_record(record: Mapping[str, Any], resolved: Mapping[str, Any]) -> tuple[list[Check], CellVerdict]:
    """Judge what a record holds by a resolved spec: the one way, first, again, and by another spec.

    Parameters
    ----------
    record
        ``measurements``, ``scope``, ``scale``, ``rejections``, ``unscreened``, ``completeness``,
        ``descriptions`` and ``acquisition`` of it.
    """
    return judge(
        record["measurements"],
        resolved,
        record["scope"],
        record["scale"]["stated"],
        rejections=record["rejections"],
        unscreened=record["unscreened"],
        completeness=record.get("completeness"),
        descriptions=record.get("descriptions"),
        calibration_lacks=lacking_of_calibration(record["acquisition"]),
    )


def judged_parts(record: Mapping[str, Any], resolved: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a record that judging gives, as :func:`judge_record` takes it."""
    checks, verdict = judge_record(record, resolved)
    return {
        "verdict": verdict.verdict,
        "reasons": plain(verdict.reasons),
        "probability_of_conformity": plain(verdict.probability_of_conformity),
        "verdict_under_other_rules": dict(verdict.by_decision_rule),
        "checks": [plain(check) for check in checks],
    }


def spec_entry(spec: CellSpec) -> dict[str, Any]:
    """The record's ``spec``: its own numbers stay as they were written."""
    entry = {
        "name": spec.name,
        "version": spec.version,
        "file": spec.file,
        "sha256": spec.sha256,
        "text": spec.text,
        "parents": [{"name": p.name, "sha256": p.sha256, "text": p.text} for p in spec.parents],
        "resolved": spec.resolved,
    }
    exact: dict[str, Any] = plain(entry, digits=EXACT_DIGITS)
    return exact


def _section(section: Mapping[str, Any]) -> dict[str, Any]:
    """A section as the record holds it; its figures are plain already, and long."""
    rest = {key: value for key, value in section.items() if key != "figures"}
    return {**plain(rest), "figures": list(section.get("figures", ()))}


def software_versions() -> dict[str, str]:
    """Versions of everything whose change could change a number, and a hash of the program's own source."""
    return dict(_software_versions())


@functools.cache
def _software_versions() -> dict[str, str]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    versions = {
        "xctrules": __version__,
        "source_sha256": source_sha256(),
        "python": platform.python_version(),
    }
    for package in ("numpy", "scipy", "opencv-python-headless", "scikit-image", "tifffile"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "unknown"
    return {**versions, "machine": platform.machine()}


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with ``run.integrity_sha256``: the SHA-256 of its canonical bytes without that field.

    It shows any change made by accident or by hand. Whoever changes a record on purpose can renew it: proof
    of origin takes a signature. It stands in ``run`` because it covers what differs from run to run.
    """
    return sealed_bytes(record)[0]


def sealed_bytes(record: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """As :func:`sealed`, and the canonical bytes of what it returns: all but ``run`` is written once."""
    run = {key: value for key, value in record["run"].items() if key != "integrity_sha256"}
    parts = canonical_parts({**record, "run": run})
    run = {**run, "integrity_sha256": _sha256(bytes_of_parts(parts))}
    return {**record, "run": run}, bytes_of_parts({**parts, **canonical_parts({"run": run})})


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
