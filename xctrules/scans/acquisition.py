"""How a scan was acquired: one flat set of named values, gathered from every file that tells of it.

The sources, each winning over those before it: the scanner's own file (Nikon ``.xtekct``, phoenix ``.pca``,
SkyScan ``.log``), the reconstruction's (``.xtekVolume``, ``.pcr``, ``.vgi``), the image's metadata or header,
``acquisition.yaml``, the command line. Where two of them disagree on the voxel size, or the geometry
contradicts it, a warning names both.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from xctrules.core.errors import ScanError
from xctrules.core.files import is_pipe_or_device
from xctrules.core.yaml_lines import Yaml, read_yaml
from xctrules.scans.units import Voxel

COMMAND_LINE = "command line"
DISAGREEMENT = 0.005
"""Relative difference from which two sources of one voxel size are said to disagree."""


def _plain(value: Any) -> Any:
    if isinstance(value, str) and "_" in value:  # Python would read 5 in 0_05
        raise ValueError("a plain number is expected")
    return value


Plain = BeforeValidator(_plain)
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), Plain]
Finite = Annotated[float, Field(allow_inf_nan=False), Plain]
Count = Annotated[int, Field(gt=0), Plain]

_VIEWS = {"both": "whole", "full": "whole", "none": "middle"}  # other words that people use


def _view(value: Any) -> Any:
    return _VIEWS.get(value.lower(), value.lower()) if isinstance(value, str) else value


FieldOfView = Annotated[Literal["top", "bottom", "whole", "middle"], BeforeValidator(_view)]

ROENTGEN = date(1895, 11, 8)
"""No scan, and no calibration of a scanner, is older than X-rays."""


def _possible(text: str) -> str:
    """A date as it was written, if there is such a day and it has come already."""
    found = re.match(r"(\d+)([-./])(\d+)\2(\d+)(?!\d)", text.strip())
    if found is None:
        return text  # a month's name, an hour beside it: whoever reads it knows
    a, b, c = int(found[1]), int(found[3]), int(found[4])
    orders = [(a, b, c)] if len(found[1]) == 4 else [(c, b, a)] + ([(c, a, b)] if found[2] == "/" else [])
    days = []
    for order in orders:
        try:
            days.append(date(*order))
        except ValueError:
            continue
    if not days:
        raise ValueError("there is no such day")
    if not any(ROENTGEN <= day <= datetime.now().date() + timedelta(days=1) for day in days):
        raise ValueError("the day has not come yet, or lies before X-rays were known")
    return text


Day = Annotated[str, AfterValidator(_possible)]
SliceOrder = Literal["top_to_bottom", "bottom_to_top"]


class Acquisition(BaseModel):
    """Every value that may be known of an acquisition; ``None`` where it is not.

    The names are the keys of ``acquisition.yaml`` (there ``calibration: {artefact: ...}`` may be nested), and
    units are part of the name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    cell_id: str | None = None
    format: str | None = None
    field_of_view: FieldOfView | None = None
    slice_order: SliceOrder | None = None
    voxel_size_mm: tuple[Positive, Positive, Positive] | None = None
    voxel_scale_relative_uncertainty: Annotated[float, Field(gt=0, le=0.05), Plain] | None = None
    calibration_artefact: str | None = None
    calibration_certificate: str | None = None
    calibration_date: Day | None = None
    scanned_at: Day | None = None
    operator: str | None = None
    temperature_c: Finite | None = None
    state_of_charge_percent: Annotated[float, Field(ge=0, le=100), Plain] | None = None
    cycle_count: Annotated[int, Field(ge=0), Plain] | None = None
    sleeve: bool | None = None
    instrument: str | None = None
    software: str | None = None
    tube_voltage_kv: Positive | None = None
    tube_current_ua: Positive | None = None
    filter: str | None = None
    exposure_ms: Positive | None = None
    frames_averaged: Count | None = None
    projections: Count | None = None
    angular_step_deg: Positive | None = None
    full_turn: bool | None = None
    source_to_object_mm: Positive | None = None
    source_to_detector_mm: Positive | None = None
    detector_pixel_mm: Positive | None = None
    detector_pixels_x: Count | None = None
    detector_pixels_y: Count | None = None
    detector_binning: Count | None = None
    slice_step: Positive | None = None
    """Distance between slices in voxels of the reconstruction: 2 where every second slice was kept, or two
    were averaged."""
    reconstruction: str | None = None
    notes: str | None = None
    shape: tuple[Count, Count, Count] | None = None
    dtype: str | None = None
    byte_order: Literal["little", "big"] | None = None
    header_bytes: Annotated[int, Field(ge=0), Plain] | None = None


LAYOUT_KEYS = ("shape", "dtype", "byte_order", "header_bytes")
"""Keys that describe a raw volume rather than its acquisition."""


@dataclass(frozen=True)
class Found:
    """What one source says, by the names of :class:`Acquisition`.

    ``voxel_size_mm`` may have ``None`` for an axis that the source does not know.
    """

    origin: str
    values: Mapping[str, Any]
    voxels: tuple[int | None, int | None, int | None] = (None, None, None)
    """Numbers of voxels (z, y, x) of the volume that it tells of; ``None`` where it does not say."""
    nominal_geometry: bool = False
    """Whether distances and detector pixel are round figures that do not give the voxel size exactly."""


@dataclass(frozen=True)
class Merged:
    """All sources together: the winning values, where each came from, and what they disagree on."""

    values: Mapping[str, Any]
    sources: Mapping[str, str]
    voxel_size_mm: Voxel
    voxel_origins: tuple[str | None, str | None, str | None] = (None, None, None)
    """Where the voxel size along z, y and x came from."""
    warnings: tuple[str, ...] = ()


def found_in_image(origin: str, metadata: Mapping[str, Any]) -> Found:
    """What a reader tells, checked like an ``acquisition.yaml``; keys that are not known are left out.

    Raises
    ------
    ValueError
        When a value cannot be (pydantic's ``ValidationError`` is one).
    """
    told = {k: v for k, v in metadata.items() if k in Acquisition.model_fields and k not in LAYOUT_KEYS}
    voxel = told.pop("voxel_size_mm", None)
    values = Acquisition.model_validate(told).model_dump(exclude_none=True)
    if voxel is not None:
        z, y, x = (None if v is None else float(v) for v in voxel)
        values["voxel_size_mm"] = (z, y, x)
    return Found(origin, values)


# --- acquisition.yaml ------------------------------------------------------------------------------------


def read_sidecar(file: Path, origin: str | None = None) -> Found:
    """Read an ``acquisition.yaml``; ``origin`` is how it is called in the record, by default its name.

    Raises
    ------
    ScanError
        With ``file:line``, when it is no YAML mapping, a key is unknown or given twice, or a value cannot be.
    """
    if is_pipe_or_device(file):
        raise ScanError("is a pipe or device", where=file, todo="Give an ordinary file.")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ScanError("the file is not UTF-8 text", where=file, todo="Save it as UTF-8.") from error
    except OSError as error:
        raise ScanError(
            f"the file cannot be read: {error.strerror}", where=file, todo="Check the path."
        ) from error
    # YAML's own idea of scalars is not used: it reads 1e-3 as text, 012 as ten and a date as an object.
    document = read_yaml(text, file, ScanError, as_text=lambda location: True)
    values, lines = _entries(document)
    if isinstance(values.get("voxel_size_mm"), str):  # one number: the voxels are cubes
        values["voxel_size_mm"] = [values["voxel_size_mm"]] * 3
    try:
        model = Acquisition.model_validate(values)
    except ValidationError as error:
        raise _invalid(error, values, lines, file) from error
    return Found(origin or file.name, model.model_dump(exclude_none=True))


def _entries(document: Yaml) -> tuple[dict[str, Any], dict[str, int]]:
    """Keys to values, and the line of each key; the parts of a calibration have keys of their own."""
    if document.value is None:
        return {}, {}
    if not isinstance(document.value, dict):
        raise ScanError("the file must hold lines of `key: value`", where=document.where())
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key, given in document.value.items():
        lines[key] = document.line(key)
        if key == "calibration":
            for part, value in _parts(document, key, ("artefact", "certificate", "date")).items():
                values[f"calibration_{part}"] = value
                lines[f"calibration_{part}"] = document.line(key, part)
        elif key == "voxel_size_mm" and isinstance(given, dict):
            values[key] = _by_axis(document, key)
            lines |= {f"{key}.{axis}": document.line(key, axis) for axis in given}
        elif key in Acquisition.model_fields:
            values[key] = _flat(document, key, given)
        else:
            raise _unknown(document, (key,), tuple(Acquisition.model_fields))
    return values, lines


def _by_axis(document: Yaml, key: str) -> list[Any] | None:
    """Lengths along z, y and x; ``None`` where all three are empty."""
    axes = _parts(document, key, ("z", "y", "x"))
    missing = [axis for axis in "zyx" if axes.get(axis) is None]
    if not missing:
        return [axes[axis] for axis in "zyx"]
    if len(missing) < 3:
        raise ScanError(
            f"{key} has no {' and no '.join(missing)}",
            where=document.where(key),
            todo="Give z, y and x in millimetres.",
        )
    return None


def _parts(document: Yaml, key: str, known: Sequence[str]) -> dict[str, Any]:
    """The parts of a nested key by name; none where it is empty."""
    parts = document.value[key]
    if parts is None:
        return {}
    if not isinstance(parts, dict):
        raise ScanError(f"{key} must be a mapping of {', '.join(known)}", where=document.where(key))
    for part in parts:
        if part not in known:
            raise _unknown(document, (key, part), known)
    return {part: _flat(document, key, value, part) for part, value in parts.items()}


def _flat(document: Yaml, key: str, value: Any, *inner: str) -> Any:
    """A scalar, or a list of scalars."""
    if isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(v, dict | list) for v in value)
    ):
        raise ScanError("a mapping or nested list is not expected here", where=document.where(key, *inner))
    return value


def _unknown(document: Yaml, location: tuple[str, ...], known: Sequence[str]) -> ScanError:
    near = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.5)
    todo = f"Did you mean {near[0]!r}?" if near else f"Known keys: {', '.join(known)}."
    return ScanError(f"unknown key {'.'.join(location)!r}", where=document.where(*location), todo=todo)


def _invalid(
    error: ValidationError, values: Mapping[str, Any], lines: Mapping[str, int], file: Path
) -> ScanError:
    """The first of pydantic's complaints as one sentence with its line."""
    first = error.errors()[0]
    key = str(first["loc"][0])
    shown, given = key, first["input"]
    if key == "voxel_size_mm" and len(first["loc"]) > 1 and isinstance(first["loc"][1], int):
        shown = f"{key}.{'zyx'[first['loc'][1]]}"
    line = lines.get(shown, lines.get(key, 1))
    todo = None
    if key == "voxel_scale_relative_uncertainty":
        todo = "Give the standard uncertainty of the length scale as a fraction, above 0 and up to 0.05."
    elif _with_comma(given):
        todo = "Write decimals with a point."
    elif key in ("calibration_date", "scanned_at"):
        todo = "Write the day as YYYY-MM-DD."
    what = first["msg"].removeprefix("Value error, ")
    what = what[0].lower() + what[1:]
    return ScanError(f"{shown}: {what} (found {given!r})", where=f"{file}:{line}", todo=todo)


def _with_comma(given: Any) -> bool:
    """Whether a number has a decimal comma; in a list such numbers fall into two."""
    if isinstance(given, list):
        return len(given) > 3 and all(isinstance(part, str) and part.isdigit() for part in given)
    return isinstance(given, str) and re.fullmatch(r"\s*[-+]?\d+,\d+\s*", given) is not None


# --- putting them together -------------------------------------------------------------------------------


def merge(found: Sequence[Found]) -> Merged:
    """Put sources together, later ones winning, and say where they disagree.

    Parameters
    ----------
    found
        From the least to the most trusted.
    """
    values: dict[str, Any] = {key: None for key in Acquisition.model_fields if key not in LAYOUT_KEYS}
    sources: dict[str, str] = {}
    voxel: list[float | None] = [None, None, None]
    origins: list[str | None] = [None, None, None]
    nominal: set[str] = set()
    for source in found:
        for key, value in source.values.items():
            if value is None or key not in values:
                continue  # the layout of a raw volume is no part of its acquisition
            if key == "voxel_size_mm":
                origins = [
                    old if new is None else source.origin for new, old in zip(value, origins, strict=True)
                ]
                voxel = [old if new is None else float(new) for new, old in zip(value, voxel, strict=True)]
            else:
                values[key] = value
            sources[key] = source.origin
            (nominal.add if source.nominal_geometry else nominal.discard)(key)
    z, y, x = voxel
    del values["voxel_size_mm"]
    warnings = _voxel_disagreements(found)
    warnings += _orphaned_uncertainty(found, values, sources, (z, y, x))
    if not nominal & set(_GEOMETRY):
        warnings += _geometry_disagreement(values, sources, (y, x))
    warnings += _rotation_disagreement(values, sources)
    return Merged(values, sources, (z, y, x), (origins[0], origins[1], origins[2]), tuple(warnings))


def _voxel_disagreements(found: Sequence[Found]) -> list[str]:
    """One warning for each pair of sources, an overruled one and the next above it that differs."""
    said = [s for s in found if s.values.get("voxel_size_mm")]
    warnings = []
    for k, source in enumerate(said):
        for winner in reversed(said[k + 1 :]):
            apart = [
                f"{axis} {theirs:.6g} against {ours:.6g} mm"
                for axis, theirs, ours in zip(
                    "zyx", source.values["voxel_size_mm"], winner.values["voxel_size_mm"], strict=True
                )
                if theirs is not None and ours is not None and _relative(theirs, ours) > DISAGREEMENT
            ]
            if apart:
                warnings.append(
                    f"{source.origin} and {winner.origin} disagree on the voxel size ({', '.join(apart)}); "
                    f"{winner.origin} is used"
                )
                break
    return warnings


def _orphaned_uncertainty(
    found: Sequence[Found], values: dict[str, Any], sources: dict[str, str], used: Voxel
) -> list[str]:
    """Drops a stated scale uncertainty whose own voxel size was overruled: it says nothing of another."""
    key = "voxel_scale_relative_uncertainty"
    stating = next((s for s in reversed(found) if s.values.get(key) is not None), None)
    if stating is None or not any(
        theirs is not None and ours is not None and _relative(theirs, ours) > DISAGREEMENT
        for theirs, ours in zip(stating.values.get("voxel_size_mm") or (), used, strict=False)
    ):
        return []
    values[key] = None
    del sources[key]
    return [
        f"the scale uncertainty in {stating.origin} belongs to the voxel size there, which is not in use; "
        "it is left out"
    ]


_GEOMETRY = ("detector_pixel_mm", "source_to_object_mm", "source_to_detector_mm")


def _geometry_disagreement(
    values: Mapping[str, Any], sources: Mapping[str, str], voxel_yx_mm: tuple[float | None, float | None]
) -> list[str]:
    """A warning where the voxel in the slice is not what the cone beam makes of it.

    That is the detector's pixel times the distance from source to object over that from source to detector.
    """
    pixel, to_object, to_detector = (values[key] for key in _GEOMETRY)
    if not (pixel and to_object and to_detector) or (values["detector_binning"] or 1) != 1:
        return []  # whether a binned detector's pixel is the small or the large one differs between makers
    expected = pixel * to_object / to_detector
    y, x = voxel_yx_mm
    apart = [v for v in (y, x) if v is not None and _relative(v, expected) > DISAGREEMENT]
    if not apart:
        return []
    origins = " and ".join(sorted({sources[key] for key in _GEOMETRY}))
    return [
        f"the voxel size {apart[0]:.6g} mm ({sources['voxel_size_mm']}) disagrees with detector pixel * "
        f"source-object / source-detector distance = {expected:.6g} mm ({origins}); the former is used"
    ]


def _rotation_disagreement(values: Mapping[str, Any], sources: Mapping[str, str]) -> list[str]:
    """A warning where angular step times projections is not the whole way round.

    One step more or less is none: the first view may be repeated at the end.
    """
    step, count = values["angular_step_deg"], values["projections"]
    if not (step and count) or values["full_turn"] is False or abs(step * count - 360) <= 1.01 * step:
        return []
    origins = " and ".join(sorted({sources["angular_step_deg"], sources["projections"]}))
    return [
        f"{count} projections in steps of {step:.6g} deg make {step * count:.6g} deg, not 360 ({origins})"
    ]


def _relative(a: float, b: float) -> float:
    return abs(a / b - 1) if b and math.isfinite(b) else math.inf
