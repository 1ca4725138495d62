"""Tables of single values as CSV."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xctrules.core.canonical import SIGNIFICANT_DIGITS
from xctrules.core.figures import Samples


def samples_csv(samples: Samples) -> bytes:
    """A table of single values as CSV (RFC 4180): nine significant digits, NaN empty."""
    columns = {name: np.asarray(values).ravel() for name, values in samples.columns.items()}
    if len({column.size for column in columns.values()}) > 1:
        sizes = ", ".join(f"{name} {column.size}" for name, column in columns.items())
        raise ValueError(f"columns of samples {samples.name!r} differ in length: {sizes}")
    rows = zip(*(_csv_cells(column) for column in columns.values()), strict=True)
    lines = [",".join(map(_csv_text, columns)), *map(",".join, rows)]
    return ("\r\n".join(lines) + "\r\n").encode("utf-8")


def _csv_cells(column: NDArray[Any]) -> list[str]:
    if column.dtype.kind in "US":  # a few names, repeated: quote each once
        names, which = np.unique(column, return_inverse=True)
        quoted = [_csv_text(name) for name in names.tolist()]
        return [quoted[i] for i in which.tolist()]
    if column.dtype.kind in "iu":
        return list(map(str, column.tolist()))
    if column.dtype.kind != "f":
        return [_csv_text(value) for value in column.tolist()]
    # One format call for the whole column: these tables hold hundreds of thousands of numbers.
    cells = (f"%.{SIGNIFICANT_DIGITS}g " * column.size % tuple(column.tolist())).split()
    for index in np.flatnonzero(~np.isfinite(column)).tolist():
        cells[index] = ""
    return cells


def _csv_text(value: Any) -> str:
    text = "" if value is None else str(value)
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text
