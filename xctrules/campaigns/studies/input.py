"""What a repeat study is made of: tables of values (CSV, YAML) and xctrules' own records.

A table has one row for each value, with the columns ``part``, ``appraiser``, ``repeat``, ``measurement``,
``value`` and ``unit``. Instead of ``value`` a row may name a ``record``, a path relative to the table: the
value is then read from it. Columns that say the same in every row may be left out.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from xctrules.campaigns.studies.tables import COLUMNS, Row, read_rows
from xctrules.core.errors import RecordError, StudyError
from xctrules.engine.registry import load_plugins
from xctrules.records.folder import RECORD_NAME
from xctrules.records.reading import parse_record
from xctrules.records.record import sealed

AppraiserFrom = Literal["operator", "instrument", "software", "none"]
_ALONE = "1"
"""Name of a part or appraiser where there is one only and nobody named it."""


@dataclass(frozen=True)
class Value:
    """One value of one measurement; ``where`` is ``file:line`` or the record that it stands in.

    ``source`` and ``sha256`` name the record that it was read from, ``scan`` is the SHA-256 of that scan.
    """

    measurement: str
    unit: str
    part: str
    appraiser: str
    repeat: str
    value: float
    where: str
    source: str | None = None
    sha256: str | None = None
    scan: str | None = None


@dataclass
class Inputs:
    """All values, the files that they came from, and the conditions of the scans behind them."""

    values: list[Value] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    voxel_sizes_mm: list[tuple[float, float, float]] = field(default_factory=list)
    instruments: list[str] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)
    software: list[str] = field(default_factory=list)

    def measurements(self) -> list[str]:
        """Names of all measurements, in the order of appearance."""
        return list(dict.fromkeys(value.measurement for value in self.values))

    def of(self, measurement: str) -> list[Value]:
        return [value for value in self.values if value.measurement == measurement]


def read_inputs(
    paths: Sequence[Path], measurement: str | None = None, appraiser_from: AppraiserFrom = "none"
) -> Inputs:
    """Read tables, records (``record.json``) and folders of records.

    Parameters
    ----------
    measurement
        The only one to take; also the name for tables that give none. Without it, all are taken that every
        record measured.
    appraiser_from
        What tells records apart that no table assigns to an appraiser: a field of their acquisition, or the
        version of xctrules that measured. Their part is the cell's id.

    Raises
    ------
    StudyError
        With ``file:line`` of whatever is wrong.
    """
    found = Inputs()
    for path in paths:
        if path.is_dir() or path.suffix.lower() == ".json":
            record, digest, file = _read_record(path, str(path))
            part = str(record["cell_id"])
            appraiser = _appraiser_of(record, appraiser_from, file)
            _add_record(found, record, digest, file, (part, appraiser, ""), measurement, str(file))
        else:
            _add_table(found, path, measurement)
    if measurement is not None:
        found.values = [value for value in found.values if value.measurement == measurement]
    else:
        _keep_common(found)
    if not found.values:
        what = "there are no values" if measurement is None else f"there are no values of {measurement}"
        raise StudyError(what, where=", ".join(map(str, paths)))
    _refuse_twins(found)
    _check_units(found)
    return found


# --- tables ------------------------------------------------------------------------------------------------


def _add_table(found: Inputs, path: Path, measurement: str | None) -> None:
    data = _read(path)
    found.files[path.name] = hashlib.sha256(data).hexdigest()
    for row in read_rows(data, path):
        _add_row(found, row, path.parent, measurement)


def _add_row(found: Inputs, row: Row, folder: Path, measurement: str | None) -> None:
    cells = row.cells
    empty = [name for name, text in cells.items() if not text and name in COLUMNS[:3]]
    if empty:
        raise StudyError(f"the {empty[0]} is empty", where=row.where)
    place = (cells.get("part", _ALONE), cells.get("appraiser", _ALONE), cells.get("repeat", ""))
    name = cells.get("measurement") or measurement
    if bool(cells.get("record")) == bool(cells.get("value")):
        raise StudyError(
            "a row needs a value, or a record to read it from, and not both",
            where=row.where,
            todo="Fill the column `value` or the column `record`.",
        )
    if cells.get("record"):
        path = folder / Path(cells["record"]).expanduser()
        record, digest, file = _read_record(path, row.where)
        _add_record(found, record, digest, file, place, name, row.where)
        return
    if name is None:
        raise StudyError(
            "the row names no measurement",
            where=row.where,
            todo="Add a column `measurement`, or give --measurement NAME.",
        )
    unit = cells.get("unit") or _units().get(name)
    if unit is None:
        raise StudyError(
            f"the unit of {name} is not known", where=row.where, todo="Add a column `unit`, such as mm."
        )
    part, appraiser, repeat = place
    found.values.append(
        Value(name, unit, part, appraiser, repeat, _number(cells["value"], row.where), row.where)
    )


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        hint = "Write the decimals after a point." if "," in text else "Give a plain number."
        raise StudyError(f"the value {text!r} is not a number", where=where, todo=hint) from None
    if not math.isfinite(number):
        raise StudyError(f"the value {text!r} is not a finite number", where=where)
    return number


# --- records -----------------------------------------------------------------------------------------------


def _read_record(path: Path, where: str) -> tuple[dict[str, Any], str, Path]:
    """A record that was not changed since it was made, the SHA-256 of its file, and the file's path."""
    file = path / RECORD_NAME if path.is_dir() else path
    data = _read(file, where)
    try:
        record = parse_record(data, file)
        intact = sealed(record)["run"]["integrity_sha256"] == record["run"].get("integrity_sha256")
        _ = record["cell_id"], record["measurements"].items(), record["scan"]["sha256"], record["acquisition"]
    except RecordError as error:
        raise StudyError(error.what, where=error.where, todo=error.todo) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise StudyError(
            "the record is malformed", where=file, todo=f"See `xctrules verify {file}`."
        ) from error
    if not intact:
        raise StudyError(
            "the record was changed since it was made", where=file, todo=f"See `xctrules verify {file}`."
        )
    return record, hashlib.sha256(data).hexdigest(), file


def _appraiser_of(record: Mapping[str, Any], source: AppraiserFrom, file: Path) -> str:
    if source == "none":
        return _ALONE
    holder = record["software"] if source == "software" else record["acquisition"]
    said = holder.get("xctrules" if source == "software" else source)
    if not said:
        raise StudyError(
            f"the record states no {source}",
            where=file,
            todo="Assign records to appraisers in a table with the columns part, appraiser and record.",
        )
    return str(said)


def _add_record(
    found: Inputs,
    record: Mapping[str, Any],
    digest: str,
    file: Path,
    place: tuple[str, str, str],
    measurement: str | None,
    where: str,
) -> None:
    part, appraiser, repeat = place
    found.files[str(file)] = digest
    _note(found.voxel_sizes_mm, tuple(record["scan"]["voxel_size_mm"]))
    _note(found.software, str(record["software"]["xctrules"]))
    _note(found.formats, str(record["acquisition"].get("format") or record["spec"]["name"]))
    if record["acquisition"].get("instrument"):
        _note(found.instruments, str(record["acquisition"]["instrument"]))
    names = [measurement] if measurement is not None else list(record["measurements"])
    for name in names:
        entry = record["measurements"].get(name)
        if entry is None or entry["value"] is None:
            if measurement is None:
                continue
            why = "does not know it" if entry is None else f"has none ({entry['reason']})"
            raise StudyError(f"a value of {name} is wanted, but the record {file} {why}", where=where)
        found.values.append(
            Value(
                name, str(entry["unit"]), part, appraiser, repeat, _as_measured(record, name, entry), where,
                str(file), digest, str(record["scan"]["sha256"]),
            )
        )  # fmt: skip


def _as_measured(record: Mapping[str, Any], name: str, entry: Mapping[str, Any]) -> float:
    """The value before an earlier study corrected it: a study is of the instrument, not of corrections."""
    for use in record["parameters"].get("budgets", ()):
        if use["measurement"] == name and use["used"]:
            return float(use["measured_value"])
    return float(entry["value"])


def _note(seen: list[Any], value: Any) -> None:
    if value not in seen:
        seen.append(value)


# --- all together ------------------------------------------------------------------------------------------


def _read(path: Path, where: str | None = None) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StudyError(
            f"{path} cannot be read ({error.strerror or error})", where=where if where != str(path) else None,
            todo="Check the path.",
        ) from error  # fmt: skip


def _keep_common(found: Inputs) -> None:
    """Of records, keep what all of them measured: what one lacks cannot be compared."""
    if not any(value.source for value in found.values):
        return
    places = {(v.part, v.appraiser, v.repeat, v.where) for v in found.values}
    for name in found.measurements():
        if len({(v.part, v.appraiser, v.repeat, v.where) for v in found.of(name)}) < len(places):
            found.values = [value for value in found.values if value.measurement != name]


def _refuse_twins(found: Inputs) -> None:
    """Refuse the same repeat twice, and the same scan as two repeats."""
    labels: dict[tuple[str, ...], str] = {}
    scans: dict[tuple[str, ...], str] = {}
    for value in found.values:
        place = (value.measurement, value.part, value.appraiser)
        who = f"part {value.part!r}, appraiser {value.appraiser!r}"
        if value.repeat and (*place, value.repeat) in labels:
            first = labels[(*place, value.repeat)]
            raise StudyError(
                f"{who}, repeat {value.repeat!r} is given twice (first in {first})", where=value.where
            )
        labels[(*place, value.repeat)] = value.where
        if value.scan is not None and (*place, value.scan) in scans:
            raise StudyError(
                f"{who}: the record {value.source} is of the same scan as {scans[(*place, value.scan)]}",
                where=value.where,
                todo="Measuring one scan again is no repeat: give records of separate scans.",
            )
        scans[(*place, value.scan or value.where)] = value.source or value.where


@cache
def _units() -> Mapping[str, str]:
    """Units of what the bundled plugins measure, for tables that give none."""
    return load_plugins(third_party=False).measurements


def _check_units(found: Inputs) -> None:
    units: dict[str, str] = {}
    for value in found.values:
        expected = units.setdefault(value.measurement, _units().get(value.measurement, value.unit))
        if value.unit != expected:
            raise StudyError(
                f"{value.measurement} is in {expected!r}, not in {value.unit!r}",
                where=value.where,
                todo=f"Give all its values in {expected!r}.",
            )
