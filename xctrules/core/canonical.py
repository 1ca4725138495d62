"""Canonical JSON: the one form in which records, studies and results are rounded, hashed and written."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring
from typing import Any

import numpy as np

SIGNIFICANT_DIGITS = 9
EXACT_DIGITS = 17
"""Enough to give every float back as it was."""
_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
"""One for all: ``json.dumps`` with options makes an encoder for every value that it writes."""


def plain(value: Any, *, digits: int = SIGNIFICANT_DIGITS) -> Any:
    """``value`` as JSON holds it: floats to ``digits`` significant digits, NaN and infinity as ``None``.

    Takes mappings, sequences, numpy scalars and arrays and dataclasses; anything else becomes its text.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # a file name may hold what UTF-8 cannot
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        number = float(value)
        # Adding 0.0 makes -0.0 a plain 0.0, so that equal values have equal bytes.
        return float(f"{number:.{digits}g}") + 0.0 if math.isfinite(number) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item, digits=digits) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist(), digits=digits)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: plain(getattr(value, name), digits=digits) for name in names}
    if isinstance(value, set | frozenset):
        return sorted((plain(item, digits=digits) for item in value), key=str)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [plain(item, digits=digits) for item in value]
    return re.sub(r" at 0x[0-9a-fA-F]+", "", str(value))  # an address is another one in every run


def canonical_bytes(value: Any) -> bytes:
    """The canonical bytes of plain JSON, as they are hashed, written to disk and embedded in a report.

    :func:`canonical_text` in UTF-8, and a newline.
    """
    return (canonical_text(value) + "\n").encode("utf-8")


def canonical_parts(value: Mapping[str, Any]) -> dict[str, str]:
    """The canonical text of each value of a mapping, as it stands within the mapping's own.

    Where one of them changes, the others need not be written again: a record is long, and sealing it changes
    one line.
    """
    return {str(key): _write(item, 1) for key, item in value.items()}


def bytes_of_parts(parts: Mapping[str, str]) -> bytes:
    """The canonical bytes of the mapping whose :func:`canonical_parts` these are, in their order."""
    items = [f"{encode_basestring(key)}: {text}" for key, text in parts.items()]
    text = "{\n " + ",\n ".join(items) + "\n}" if items else "{}"
    return (text + "\n").encode("utf-8")


def canonical_text(value: Any) -> str:
    """The canonical text of plain JSON.

    JSON in the order in which ``value`` was built, indented by one space, except that a list of numbers (or
    of pairs of numbers) stays on one line: contours would otherwise be one number per line. Reading it as
    JSON and writing it again gives the same text.
    """
    return _write(value, 0)


def _write(value: Any, depth: int) -> str:
    kind = type(value)  # asked for by itself first: a record holds ten thousands of plain values
    if kind is str:
        return encode_basestring(value)
    if kind is float and math.isfinite(value):
        return float.__repr__(value)
    if kind is int:
        return int.__repr__(value)
    if value is None or kind is bool:
        return "null" if value is None else "true" if value else "false"
    if isinstance(value, list | tuple) and value and not _is_numeric(value):
        pad = "\n" + " " * (depth + 1)
        return "[" + pad + ("," + pad).join([_write(v, depth + 1) for v in value]) + "\n" + " " * depth + "]"
    if (kind is dict or isinstance(value, Mapping)) and value:
        pad = "\n" + " " * (depth + 1)
        items = [f"{encode_basestring(str(k))}: {_write(v, depth + 1)}" for k, v in value.items()]
        return "{" + pad + ("," + pad).join(items) + "\n" + " " * depth + "}"
    return _ENCODE(value)


def _is_numeric(items: Sequence[Any]) -> bool:
    """Whether a list, by its first item, is one of numbers or of lists of numbers (contours are long)."""
    first = next((item for item in items if item is not None), None)
    if isinstance(first, list | tuple) and first:
        first = first[0]
    return first is None or isinstance(first, int | float)
