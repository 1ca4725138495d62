"""Whether what a metric states follows from what it hands over, through the CSVs that are written of it."""

from __future__ import annotations

import csv

from xctrules.core.following import work_out
from xctrules.core.measurement import MetricResult
from xctrules.records.samples import samples_csv


def contradictions(result: MetricResult) -> list[str]:
    """Measurements whose samples give another value, or another number of values, in words."""
    tables = {table.name: _columns(samples_csv(table)) for table in result.samples}
    wrong = []
    for m in result.measurements:
        if m.value is None or m.follows is None:
            continue
        found = work_out(tables[m.follows.table], m.follows)
        if not found.agrees(m.value, noise=m.follows.noise) or found.n != m.n:
            wrong.append(f"{m.name} is {m.value} of {m.n}, its samples give {found.value} of {found.n}")
    return wrong


def _columns(data: bytes) -> dict[str, list[str]]:
    head, *rows = csv.reader(data.decode().splitlines())
    return {name: list(cells) for name, cells in zip(head, zip(*rows, strict=True), strict=True)}
