"""Tables of values, CSV or YAML, as rows of text with their lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xctrules.core.errors import StudyError
from xctrules.core.wording import did_you_mean
from xctrules.core.yaml_lines import Location, Yaml, read_yaml

COLUMNS = ("part", "appraiser", "repeat", "measurement", "value", "unit", "record")


@dataclass(frozen=True)
class Row:
    """One row of a table as text; ``where`` is ``file:line``."""

    cells: Mapping[str, str]
    where: str


def read_rows(data: bytes, path: Path) -> list[Row]:
    """The rows of a table, by the file's ending YAML or CSV.

    Raises
    ------
    StudyError
        With ``file:line`` of whatever is wrong.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StudyError("the table is not UTF-8 text", where=path, todo="Save it as UTF-8.") from error
    reader = _yaml_rows if path.suffix.lower() in (".yaml", ".yml") else _csv_rows
    rows = list(reader(text, path))
    if not rows:
        raise StudyError("the table holds no rows", where=path)
    return rows


def _csv_rows(text: str, path: Path) -> Iterator[Row]:
    """Rows of a CSV file, separated by comma, semicolon or tab; lines that begin with # are left out."""
    lines = text.splitlines()
    header_line = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    delimiter = max(",;\t", key=header_line.count)
    # A comment becomes an empty line, so that the line numbers stay true.
    kept = ["" if line.startswith("#") else line for line in lines]
    reader = csv.reader(io.StringIO("\n".join(kept)), delimiter=delimiter, strict=True)
    names: list[str] = []
    try:
        for cells in reader:
            where = f"{path}:{reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = [cell.strip().lower() for cell in cells]
                _check_names(names, where)
                continue
            if len(cells) != len(names):
                raise StudyError(
                    f"the row has {len(cells)} cells, the header {len(names)}", where=where,
                    todo="Is a decimal comma among them? Write decimals after a point.",
                )  # fmt: skip
            yield Row(dict(zip(names, (cell.strip() for cell in cells), strict=True)), where)
    except csv.Error as error:
        raise StudyError(f"not readable as CSV ({error})", where=f"{path}:{reader.line_num}") from error


def _check_names(names: Sequence[str], where: str) -> None:
    for name in names:
        if name not in COLUMNS:
            raise StudyError(
                f"unknown column {name!r}{did_you_mean(name, COLUMNS)}",
                where=where,
                todo=f"Columns are: {', '.join(COLUMNS)}.",
            )
        if list(names).count(name) > 1:
            raise StudyError(f"the column {name!r} is given twice", where=where)
    if "value" not in names and "record" not in names:
        raise StudyError("there is neither a column `value` nor a column `record`", where=where)


def _yaml_rows(text: str, path: Path) -> Iterator[Row]:
    """Rows of a YAML file: a list of mappings, or a mapping with such a list under ``rows``.

    What the mapping says beside its rows holds for all of them. Every value is taken as the text that stands
    there: ``part: 010`` stays 010, and ``appraiser: no`` stays no.
    """
    document = read_yaml(text, path, StudyError, as_text=lambda location: True)
    common: dict[str, str] = {}
    rows, at = document.value, tuple[str, ...]()
    if isinstance(rows, dict):
        common = _yaml_cells(document, {key: value for key, value in rows.items() if key != "rows"}, ())
        rows, at = rows.get("rows"), ("rows",)
    if not isinstance(rows, list):
        raise StudyError(
            "the table is neither a list of rows nor a mapping with `rows:`", where=document.where()
        )
    for number, item in enumerate(rows):
        where = document.where(*at, number)
        if not isinstance(item, dict):
            raise StudyError("a row is a mapping, such as {part: 1, value: 21.2}", where=where)
        cells = {**common, **_yaml_cells(document, item, (*at, number))}
        _check_names(list(cells), where)
        yield Row(cells, where)


def _yaml_cells(document: Yaml, pairs: Mapping[str, Any], at: Location) -> dict[str, str]:
    """Keys and values as text; nothing stays empty text."""
    for key, value in pairs.items():
        if isinstance(value, dict | list):
            raise StudyError("a row holds plain keys and values only", where=document.where(*at, key))
    return {key: "" if value is None else str(value).strip() for key, value in pairs.items()}
