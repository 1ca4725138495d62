"""Study files, and how a spec puts a study in the place of a measurement's own uncertainty budget.

``xctrules study`` writes a study file: the values, what they came from, the result, and the conditions under
which it holds. A spec may name it (``budgets:``); :func:`apply_budgets` then replaces the budget of that
measurement wherever the scan meets those conditions. All that is needed to work this out again stands in the
record: the study inside the resolved spec, the measurement's own budget among the parameters.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from xctrules.core.canonical import canonical_bytes, plain
from xctrules.core.errors import StudyError
from xctrules.core.measurement import Contribution, Measurement, measurement_to_json
from xctrules.core.version import __version__
from xctrules.rules.gauge_studies import (
    CalibratedStudy,
    GaugeStudy,
    JudgeBy,
    as_json,
    bias_as_contribution,
    calibrated_study,
    gauge_study,
)

SCHEMA = "xctrules.study/1"
BiasHandling = Literal["add", "correct"]

VOXEL_MARGIN = 0.05
"""How far, as a share, a scan's voxel size may lie outside those of the study: what the scatter of a
measurement would hardly notice, and what an instrument's magnification does not repeat exactly."""

_EXACT_DIGITS = 17
_RELATIVE, _ABSOLUTE = 1e-6, 1e-9

Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Triple = tuple[Positive, Positive, Positive]


# --- the study file --------------------------------------------------------------------------------------


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class VoxelRange(_Model):
    """Voxel sizes (z, y, x) in mm that the study was made at; ends included."""

    min: Triple
    max: Triple


class ValueRange(_Model):
    min: Number
    max: Number


class Conditions(_Model):
    """What a scan must have in common with a study for its result to hold; empty or ``None`` says nothing."""

    cell_formats: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    voxel_size_mm: VoxelRange | None = None
    value: ValueRange | None = None
    software: tuple[str, ...] = ()


class StudyValue(_Model):
    """One value; ``source`` and ``sha256`` name the record that it was read from, if it was."""

    part: str
    appraiser: str
    repeat: str
    value: Number
    source: str | None = None
    sha256: str | None = None


class GaugeSettings(_Model):
    tolerance: Positive | None = None
    judge_by: JudgeBy = "both"


class Calibration(_Model):
    """The calibrated part: value, expanded uncertainty and its coverage factor, and the certificate."""

    value: Number
    expanded_uncertainty: Positive
    coverage_factor: Positive = 2.0
    u_workpiece: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    certificate: str | None = None
    tolerance: Positive | None = None


class InputFile(_Model):
    name: str
    sha256: str


class StudyFile(_Model):
    """A study as it stands in its file, in this order."""

    schema_: Literal["xctrules.study/1"] = Field(alias="schema")
    name: Annotated[str, Field(min_length=1)]
    kind: Literal["grr", "calibrated"]
    measurement: Annotated[str, Field(min_length=1)]
    unit: Annotated[str, Field(min_length=1)]
    date: str
    valid: Conditions
    gauge: GaugeSettings | None = None
    calibration: Calibration | None = None
    results: dict[str, Any]
    values: tuple[StudyValue, ...]
    inputs: tuple[InputFile, ...] = ()
    software: dict[str, str] = Field(default_factory=dict)
    sha256: str


@dataclass(frozen=True)
class Study:
    """A study file that holds: its checksum is right, and its results follow from its values.

    ``content`` is the file as plain JSON.
    """

    content: Mapping[str, Any]
    file: StudyFile
    result: GaugeStudy | CalibratedStudy

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def measurement(self) -> str:
        return self.file.measurement

    @property
    def unit(self) -> str:
        return self.file.unit

    @property
    def sha256(self) -> str:
        return self.file.sha256


def make_study(
    *,
    name: str,
    measurement: str,
    unit: str,
    date: str,
    values: Sequence[StudyValue],
    settings: GaugeSettings | Calibration,
    valid: Conditions,
    inputs: Sequence[InputFile] = (),
) -> Study:
    """Analyse the values and put all that belongs to the study together.

    Raises
    ------
    StudyError
        When the values cannot be analysed: nothing repeated, an unbalanced design.
    """
    gauge = isinstance(settings, GaugeSettings)
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "name": name,
        "kind": "grr" if gauge else "calibrated",
        "measurement": measurement,
        "unit": unit,
        "date": date,
        "valid": valid.model_dump(),
        "gauge" if gauge else "calibration": settings.model_dump(),
        "results": as_json(_analysed(values, settings)),
        "values": [value.model_dump() for value in values],
        "inputs": [entry.model_dump() for entry in inputs],
        "software": {"xctrules": __version__},
    }
    content = plain(content, digits=_EXACT_DIGITS)
    return study_from_json({**content, "sha256": _checksum(content)}, where=name)


def study_bytes(study: Study) -> bytes:
    """The study file."""
    return canonical_bytes(study.content)


def read_study(data: bytes, where: object) -> Study:
    """A study from the bytes of its file.

    Raises
    ------
    StudyError
        When it is no study, was changed since it was written, or its results do not follow from its values.
    """
    try:
        content = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise StudyError(
            f"not readable as a study ({error})", where=where, todo="`xctrules study` writes such files."
        ) from error
    return study_from_json(content, where)


def study_from_json(content: Any, where: object) -> Study:
    """A study from its JSON; raises as :func:`read_study`."""
    if not isinstance(content, Mapping) or content.get("schema") != SCHEMA:
        raise StudyError(
            f"the file is no study of the schema {SCHEMA}",
            where=where,
            todo="Write one with `xctrules study grr` or `xctrules study calibrated`, option --out.",
        )
    if content.get("sha256") != _checksum(content):
        raise StudyError(
            "the study was changed since it was written: its contents do not match its sha256",
            where=where,
            todo="Make it anew with `xctrules study`.",
        )
    try:
        file = StudyFile.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise StudyError(f"the study is malformed: {place}: {first['msg']}", where=where) from error
    settings = file.gauge if file.kind == "grr" else file.calibration
    if settings is None:
        raise StudyError(f"the study is malformed: the settings of a {file.kind} are missing", where=where)
    result = _analysed(file.values, settings, where)
    if not _agree(as_json(result), content["results"]):
        raise StudyError(
            "the study's results do not follow from its values",
            where=where,
            todo="It was made by another version, or changed: make it anew with `xctrules study`.",
        )
    return Study(content, file, result)


def _checksum(content: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical bytes without the checksum itself."""
    bare = {key: value for key, value in content.items() if key != "sha256"}
    return hashlib.sha256(canonical_bytes(plain(bare, digits=_EXACT_DIGITS))).hexdigest()


def _analysed(
    values: Sequence[StudyValue], settings: GaugeSettings | Calibration, where: object = None
) -> GaugeStudy | CalibratedStudy:
    try:
        if isinstance(settings, GaugeSettings):
            table = crossed([(v.part, v.appraiser, v.value) for v in values])
            return gauge_study(table, tolerance=settings.tolerance, judge_by=settings.judge_by)
        parts = {value.part for value in values}
        if len(parts) > 1:
            raise ValueError(
                f"the values are of {len(parts)} parts ({', '.join(sorted(parts))}), and one is calibrated"
            )
        return calibrated_study(
            [value.value for value in values],
            calibrated_value=settings.value,
            calibration_expanded_uncertainty=settings.expanded_uncertainty,
            calibration_coverage_factor=settings.coverage_factor,
            u_workpiece=settings.u_workpiece,
            tolerance=settings.tolerance,
        )
    except ArithmeticError as error:
        raise StudyError("the values are too large or too small to be analysed", where=where) from error
    except ValueError as error:
        raise StudyError(str(error), where=where) from error


class Unbalanced(ValueError):
    """A part was measured less often by an appraiser than others were."""

    def __init__(self, part: str, appraiser: str, count: int, most: int) -> None:
        self.part, self.appraiser = part, appraiser
        super().__init__(
            f"part {part!r} was measured {_times(count)} by appraiser {appraiser!r}, others {_times(most)}: "
            "each appraiser must measure each part equally often"
        )


def crossed(rows: Iterable[tuple[str, str, float]]) -> list[list[list[float]]]:
    """(part, appraiser, value) as a table of parts, appraisers and repeats, in the order of appearance.

    Raises
    ------
    Unbalanced
        When not every appraiser measured every part equally often.
    """
    cells: dict[tuple[str, str], list[float]] = {}
    for part, appraiser, value in rows:
        cells.setdefault((part, appraiser), []).append(value)
    parts = list(dict.fromkeys(part for part, _ in cells))
    appraisers = list(dict.fromkeys(appraiser for _, appraiser in cells))
    table = [[cells.get((part, appraiser), []) for appraiser in appraisers] for part in parts]
    most = max((len(cell) for row in table for cell in row), default=0)
    for part, row in zip(parts, table, strict=True):
        for appraiser, cell in zip(appraisers, row, strict=True):
            if len(cell) != most:
                raise Unbalanced(part, appraiser, len(cell), most)
    return table


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")


def _agree(a: Any, b: Any) -> bool:
    """Whether two JSON values are the same but for the last digits of numbers; wording may differ."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_agree(a[k], b[k]) for k in a if k != "warnings")
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_agree, a, b))
    if isinstance(a, int | float) and isinstance(b, int | float):
        return math.isclose(a, b, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
    return bool(a == b)


# --- does it hold for a scan? ----------------------------------------------------------------------------


@dataclass(frozen=True)
class ScanConditions:
    """What of a scan decides whether a study holds for it.

    ``formats`` are the names of the spec and of all that it extends, and the format that the acquisition
    gives.
    """

    voxel_size_mm: Sequence[float]
    instrument: str | None
    formats: Sequence[str]
    software: str

    @classmethod
    def of(
        cls,
        spec_names: Sequence[str],
        acquisition: Mapping[str, Any],
        voxel_size_mm: Sequence[float],
        software: str,
    ) -> ScanConditions:
        """From the names of a spec's files, nearest first, and what is known of the scan."""
        formats = [str(name).removesuffix(".yaml").removesuffix(".yml") for name in spec_names]
        stated = acquisition.get("format")
        return cls(
            voxel_size_mm,
            acquisition.get("instrument"),
            [*formats, *([str(stated)] if stated else [])],
            software,
        )

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> ScanConditions:
        spec = record["spec"]
        return cls.of(
            [spec["name"], *(parent["name"] for parent in spec["parents"])],
            record["acquisition"],
            record["scan"]["voxel_size_mm"],
            str(record["software"]["xctrules"]),
        )


def unsuitable(study: Study, value: float, scan: ScanConditions) -> str | None:
    """Why a study does not hold for a measurement of a scan; ``None`` where it does."""
    valid = study.file.valid
    if valid.voxel_size_mm is not None:
        low, high = valid.voxel_size_mm.min, valid.voxel_size_mm.max
        inside = (
            a * (1 - VOXEL_MARGIN) <= size <= b * (1 + VOXEL_MARGIN)
            for a, size, b in zip(low, scan.voxel_size_mm, high, strict=True)
        )
        if not all(inside):
            return (
                f"the voxel size {_triple(scan.voxel_size_mm)} mm is not among those of the study "
                f"({_triple(low)}{'' if low == high else ' to ' + _triple(high)} mm)"
            )
    if valid.instruments and _folded(scan.instrument) not in map(_folded, valid.instruments):
        given = "is not stated" if not scan.instrument else f"is {scan.instrument}"
        return f"the scan's instrument {given}, the study's {' or '.join(valid.instruments)}"
    if valid.cell_formats and not any(
        wanted.casefold() in name.casefold() for wanted in valid.cell_formats for name in scan.formats
    ):
        return f"the spec is {scan.formats[0]}, the study is of {' and '.join(valid.cell_formats)}"
    if valid.value is not None and not valid.value.min <= value <= valid.value.max:
        return (
            f"the value {value:.6g} {study.unit} is outside the study's range "
            f"({valid.value.min:g} to {valid.value.max:g} {study.unit})"
        )
    return None


def cautions(study: Study, scan: ScanConditions) -> list[str]:
    """What does not stand against using a study, but should be known."""
    valid = study.file.valid
    found = []
    if not valid.instruments:
        found.append("it names no instrument, so that it is not known to be of this scan's")
    if study.result.judgement == "not acceptable":
        found.append("it found the measuring process not acceptable")
    if valid.software and scan.software not in valid.software:
        found.append(
            f"its values were measured by xctrules {' and '.join(valid.software)}, these by {scan.software}"
        )
    return found


def _folded(name: str | None) -> str:
    return " ".join(str(name or "").split()).casefold()


def _triple(sizes: Sequence[float]) -> str:
    return " x ".join(f"{size:g}" for size in sizes)


# --- in the place of a budget ----------------------------------------------------------------------------


def with_study(measurement: Measurement, study: Study, bias: BiasHandling) -> Measurement:
    """A measurement with its budget taken from a study.

    A calibrated part shows everything, the voxel scale included: its lines replace the whole budget. A gauge
    study shows scatter alone: its lines replace those found by statistics (type A), and what no repeat can
    show (type B, above all the voxel scale) stays.

    Parameters
    ----------
    bias
        What to do with the bias of a calibrated part: ``add`` leaves the value as it was measured and widens
        U by abs(bias); ``correct`` subtracts the bias from the value.
    """
    assert measurement.value is not None
    remark = f"uncertainty from the study {study.name} (sha256 {study.sha256[:12]})"
    value = measurement.value
    if isinstance(study.result, CalibratedStudy):
        budget = _calibrated_lines(study.result, study.name, bias)
        if bias == "correct":
            value -= study.result.bias
            remark += f"; corrected by {-study.result.bias:+.3g} {study.unit}, the bias found by it"
    else:
        kept = [line for line in measurement.budget if line.shared or line.type == "B"]
        budget = [*_gauge_lines(study.result, study.name), *kept]
    reason = f"{measurement.reason}; {remark}" if measurement.reason else remark
    return dataclasses.replace(measurement, value=value, budget=tuple(budget), reason=reason)


def _gauge_lines(result: GaugeStudy, name: str) -> list[Contribution]:
    words = {"EV": "repeatability", "AV": "reproducibility", "INT": "reproducibility, part by part"}
    return [
        Contribution(
            f"{words[key]} (study {name})",
            result.components[key].standard_deviation,
            "A",
            degrees_of_freedom=result.components[key].degrees_of_freedom,
        )
        for key in words
        if key in result.components
    ]


def _calibrated_lines(result: CalibratedStudy, name: str, bias: BiasHandling) -> list[Contribution]:
    lines = [
        Contribution(f"u_cal: calibration of the part (study {name})", result.u_cal, "B"),
        # One line for both: they come from one standard deviation and share its n - 1 degrees of freedom.
        Contribution(
            f"u_p, u_b: scatter of one scan, and of the bias found from {result.scans} (study {name})",
            math.hypot(result.u_p, result.u_b),
            "A",
            degrees_of_freedom=result.scans - 1,
        ),
        Contribution(f"u_w: workpiece, as stated (study {name})", result.u_w, "B"),
    ]
    if bias == "add":
        line, freedom = bias_as_contribution(
            result.standard_uncertainty, result.degrees_of_freedom, result.bias
        )
        what = f"b: bias of {result.bias:+.3g}, not corrected, so that U = k u + |b| (study {name})"
        lines.append(Contribution(what, line, "B", degrees_of_freedom=freedom))
    return lines


def apply_budgets(
    budgets: Sequence[Mapping[str, Any]], measurements: Mapping[str, Measurement], scan: ScanConditions
) -> tuple[dict[str, Measurement], list[dict[str, Any]], list[str]]:
    """Replace the budgets of the measurements for which a spec names a study.

    Parameters
    ----------
    budgets
        Those of the resolved spec, each with its whole study.

    Returns
    -------
    measurements
        All of them, with the budgets replaced where the studies hold.
    uses
        One entry for each of ``budgets``: whether it was used or why not, and the measurement's own value
        and budget, so that the record shows both.
    warnings
    """
    changed, uses, warnings = dict(measurements), [], []
    for entry in budgets:
        study = study_from_json(entry["study"], entry["file"])
        own = measurements.get(study.measurement)
        use = {
            "measurement": study.measurement,
            "study": study.name,
            "study_sha256": study.sha256,
            "bias": entry["bias"],
            "used": False,
            "reason": "it was not measured",
        }
        if own is not None and own.value is not None and own.unit == study.unit:
            use["reason"] = unsuitable(study, own.value, scan)
            use["used"] = use["reason"] is None
            told = f"budget of {study.measurement} from the study {study.name}"
            if use["used"]:
                changed[study.measurement] = with_study(own, study, entry["bias"])
                warnings += [f"{told}: {caution}" for caution in cautions(study, scan)]
            else:
                warnings.append(f"{told}: not used, {use['reason']}; its own budget stands")
            as_measured = measurement_to_json(own)
            use |= {"measured_value": as_measured["value"], "own_budget": as_measured["budget"]}
            use["own_remark"] = as_measured["reason"]
        uses.append(use)
    return changed, uses, warnings


def check_uses(record: Mapping[str, Any]) -> Iterator[str]:
    """What in a record does not follow from the studies in its spec, in words (for ``xctrules verify``)."""
    budgets = record["spec"]["resolved"].get("budgets", [])
    uses = record["parameters"].get("budgets", [])
    if [entry["measurement"] for entry in budgets] != [use["measurement"] for use in uses]:
        yield "the budgets taken from studies are not those that the spec names"
        return
    measurements = {use["measurement"]: _as_measured(use, record) for use in uses if "own_budget" in use}
    changed, again, _ = apply_budgets(budgets, measurements, ScanConditions.of_record(record))
    for use, mine in zip(uses, again, strict=True):
        name = use["measurement"]
        if not _agree(plain(mine), use):
            yield f"{name}: whether the study {use['study']} holds is stated otherwise than it follows"
        entry = record["measurements"].get(name, {})
        if name in changed:
            expected = measurement_to_json(changed[name])
            if not all(_agree(expected[key], entry.get(key)) for key in ("value", "budget", "reason")):
                yield f"{name}: value or budget are not those that follow from the study {use['study']}"
        elif entry.get("status") == "measured":
            yield f"{name}: it is measured, but not held against the study {use['study']}"


def _as_measured(use: Mapping[str, Any], record: Mapping[str, Any]) -> Measurement:
    lines = tuple(
        Contribution(
            str(line["source"]),
            float(line["contribution"]),
            line["type"],
            bool(line["shared"]),
            math.inf if line["degrees_of_freedom"] is None else float(line["degrees_of_freedom"]),
        )
        for line in use["own_budget"]
    )
    unit = str(record["measurements"][use["measurement"]]["unit"])
    value = float(use["measured_value"])
    return Measurement(use["measurement"], unit, value=value, budget=lines, reason=use.get("own_remark"))
