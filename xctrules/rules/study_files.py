"""Study files: the values of a study, what they came from, its result, and when it holds."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from xctrules.core.canonical import EXACT_DIGITS, canonical_bytes, plain
from xctrules.core.errors import StudyError
from xctrules.core.version import __version__
from xctrules.rules.calibrated_studies import CalibratedStudy, calibrated_study
from xctrules.rules.gauge_studies import GaugeStudy, JudgeBy, gauge_study

SCHEMA = "xctrules.study/1"

_RELATIVE, _ABSOLUTE = 1e-6, 1e-9  # what differs between processors in the last digits of a result

Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Triple = tuple[Positive, Positive, Positive]


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
        "results": plain(_analysed(values, settings)),
        "values": [value.model_dump() for value in values],
        "inputs": [entry.model_dump() for entry in inputs],
        "software": {"xctrules": __version__},
    }
    content = plain(content, digits=EXACT_DIGITS)
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
    if not agree(plain(result), content["results"]):
        raise StudyError(
            "the study's results do not follow from its values",
            where=where,
            todo="It was made by another version, or changed: make it anew with `xctrules study`.",
        )
    return Study(content, file, result)


def _checksum(content: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical bytes without the checksum itself."""
    bare = {key: value for key, value in content.items() if key != "sha256"}
    return hashlib.sha256(canonical_bytes(plain(bare, digits=EXACT_DIGITS))).hexdigest()


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


def agree(a: Any, b: Any) -> bool:
    """Whether two JSON values are the same but for the last digits of numbers; wording may differ."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(agree(a[k], b[k]) for k in a if k != "warnings")
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(agree, a, b))
    if isinstance(a, int | float) and isinstance(b, int | float):
        return math.isclose(a, b, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
    return bool(a == b)
