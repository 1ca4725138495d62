"""Statistics worked out again from the single values beside a record."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xctrules.core.following import Follows, work_out
from xctrules.records.checks import Finding

Json = Mapping[str, Any]
Columns = Mapping[str, Sequence[str]]


def check_statistics(record: Json, read: Callable[[str], bytes | None], where: str) -> list[Finding]:
    """Whether each value whose samples the record names follows from them, and which could not be checked.

    Parameters
    ----------
    read
        Gives the bytes of a file beside the record by its name; ``None`` where it is not there.
    where
        What the findings call the record.
    """
    measurements = record.get("measurements")
    if not isinstance(measurements, Mapping):
        return []  # told by the checks of the record
    measured = {name: m for name, m in measurements.items() if _is_measured(m)}
    stated = {name: m for name, m in measured.items() if m.get("from_samples") is not None}
    tables = _Tables(read)
    wrong, absent, right = [], [], []
    for name, entry in stated.items():
        said = _said_of(entry, tables)
        if said is None:
            right.append(name)
        elif said is _ABSENT:
            absent.append(name)
        else:
            wrong.append(Finding(where, f"{name}: {said}", False))
    findings = wrong
    if right:
        findings.append(
            Finding(where, f"{len(right)} values follow from their samples: {', '.join(right)}", True)
        )
    unstated = [name for name in measured if name not in stated]
    for names, why in (
        (absent, "their samples are not beside the record"),
        (unstated, "the record does not say how they follow from samples"),
    ):
        if names:
            what = f"where {len(names)} values come from: {why}: {', '.join(names)}"
            findings.append(Finding(where, what, None))
    return findings


_ABSENT = "absent"


def _is_measured(entry: Any) -> bool:
    return isinstance(entry, Mapping) and entry.get("status") == "measured"


def _said_of(entry: Json, tables: _Tables) -> str | None:
    """What is wrong with a value; ``None`` when nothing is, :data:`_ABSENT` when its table is not there."""
    try:
        stated = dict(entry["from_samples"])
        columns = tables.get(str(stated.pop("file")))
        if columns is None:
            return _ABSENT
        known = {field.name for field in dataclasses.fields(Follows)}
        if unknown := sorted(stated.keys() - known):  # a later version's
            return f"how it follows from samples is not known here ({', '.join(unknown)})"
        follows = Follows(table="", **stated)
        worked = work_out(columns, follows)
        value, n = float(entry["value"]), entry.get("n")
        if not worked.agrees(value, noise=follows.noise):
            return f"is stated as {value:.9g}, but its samples give {worked.value:.9g}"
        return None if n is None or n == worked.n else f"rests on {worked.n} samples, not on {n} as stated"
    except Exception as error:  # whatever a changed record or table holds, it must end as a finding
        return f"cannot be worked out from its samples ({error!r})"


class _Tables:
    """CSV files by name, each read once."""

    def __init__(self, read: Callable[[str], bytes | None]) -> None:
        self._read = read
        self._known: dict[str, Columns | None] = {}

    def get(self, name: str) -> Columns | None:
        if name not in self._known:
            data = self._read(name)
            self._known[name] = None if data is None else _columns(data)
        return self._known[name]


def _columns(data: bytes) -> Columns:
    head, *rows = csv.reader(io.StringIO(data.decode("utf-8"), newline=""))
    if len(set(head)) < len(head):
        raise ValueError("two columns have one name")
    cells = list(zip(*rows, strict=True)) or [() for _ in head]
    return dict(zip(head, cells, strict=True))
