"""The record of one cell: plain JSON that everything else, the report included, is drawn from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xctrules.measurement import Figure, Histogram, ImageFigure, LineChart, Polyline, Table

SIGNIFICANT_DIGITS = 9


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
        # Adding 0.0 turns -0.0 into 0.0, so that equal values have equal bytes.
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
    return str(value)


# --- figures ---------------------------------------------------------------------------------------------


def figure_to_json(figure: Figure) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A figure as JSON, and the image files it needs.

    Returns
    -------
    data
        The figure's fields under their own names, and ``kind``: ``image``, ``histogram``, ``lines`` or
        ``table``. An image's pixels become ``{"file", "sha256", "width", "height"}``; a polyline's points
        ``[[x, y], ...]`` in pixels with two decimals, with ``null`` where the line breaks. A line chart's
        series is a list of ``{"label", "role", "x", "y"}``, with ``null`` in ``y`` where the line breaks.
    images
        PNG bytes by name (``images/<id>.png``).
    """
    if isinstance(figure, ImageFigure):
        return _image_to_json(figure)
    if isinstance(figure, Histogram):
        return {"kind": "histogram", **plain(figure)}, {}
    if isinstance(figure, LineChart):
        data = {"kind": "lines", **plain(dataclasses.replace(figure, series=()))}
        data["series"] = [
            {"label": label, "role": role, "x": plain(x, digits=6), "y": plain(y, digits=6)}
            for label, role, x, y in figure.series
        ]
        return data, {}
    if isinstance(figure, Table):
        return {"kind": "table", **plain(figure)}, {}
    raise TypeError(f"{type(figure).__name__} is no figure that a report can draw")


def _image_to_json(figure: ImageFigure) -> tuple[dict[str, Any], dict[str, bytes]]:
    pixels = np.ascontiguousarray(figure.image)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise ValueError(
            f"image of figure {figure.id!r} must be uint8, (height, width) or (height, width, 3), "
            f"not {pixels.dtype} {pixels.shape}"
        )
    name = f"images/{safe_file_stem(figure.id)}.png"
    encoded = encode_png(pixels)
    height, width = pixels.shape[:2]
    data: dict[str, Any] = {"kind": "image"}
    for field in dataclasses.fields(figure):
        if field.name == "image":
            digest = hashlib.sha256(encoded).hexdigest()
            data["image"] = {"file": name, "sha256": digest, "width": width, "height": height}
        elif field.name == "overlays":
            data["overlays"] = [_polyline_to_json(line) for line in figure.overlays]
        else:
            data[field.name] = plain(getattr(figure, field.name))
    return data, {name: encoded}


def _polyline_to_json(line: Polyline) -> dict[str, Any]:
    points = np.asarray(line.points, dtype=float).reshape(-1, 2)
    broken = ~np.isfinite(points).all(axis=1)
    rounded = np.round(points, 2) + 0.0
    listed = [None if gap else pair for gap, pair in zip(broken, rounded.tolist(), strict=True)]
    return {
        "points": listed,
        "role": line.role,
        "label": line.label,
        "marker": bool(line.marker),
        "closed": bool(line.closed),
    }


def encode_png(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """PNG bytes of a grey (height, width) or RGB (height, width, 3) image."""
    import cv2

    ordered = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[:, :, ::-1])
    done, encoded = cv2.imencode(".png", ordered, [cv2.IMWRITE_PNG_COMPRESSION, 6])
    if not done:
        raise ValueError(f"an image of {pixels.shape} could not be encoded as PNG")
    return bytes(encoded.tobytes())


def safe_file_stem(text: str) -> str:
    """``text`` with everything but letters, digits, dot, dash and underscore replaced by a dash."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in text).strip(".-")
    return kept[:80] or "unnamed"


# --- bytes -----------------------------------------------------------------------------------------------


def record_bytes(record: Mapping[str, Any]) -> bytes:
    """The record's canonical bytes, as they are written to disk and embedded in the report.

    UTF-8 JSON in the order in which the record was built, indented by one space, except that a list of
    numbers (or of pairs of numbers) stays on one line: contours would otherwise be one number per line. Ends
    with a newline. Reading these bytes as JSON and writing them again gives the same bytes.
    """
    return (_write(record, 0) + "\n").encode("utf-8")


def _write(value: Any, depth: int) -> str:
    if isinstance(value, Mapping) and value:
        pad = "\n" + " " * (depth + 1)
        items = (
            f"{json.dumps(str(k), ensure_ascii=False)}: {_write(v, depth + 1)}" for k, v in value.items()
        )
        return "{" + pad + ("," + pad).join(items) + "\n" + " " * depth + "}"
    if isinstance(value, list | tuple) and value and not _is_numeric(value):
        pad = "\n" + " " * (depth + 1)
        return "[" + pad + ("," + pad).join(_write(v, depth + 1) for v in value) + "\n" + " " * depth + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _is_numeric(items: Sequence[Any]) -> bool:
    """Whether a list holds numbers, nulls, or short lists of these only."""
    return all(
        item is None
        or isinstance(item, int | float)
        or (isinstance(item, list | tuple) and all(i is None or isinstance(i, int | float) for i in item))
        for item in items
    )
