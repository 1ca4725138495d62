"""Figures as JSON and PNG: the form in which a record holds them and pages draw them."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np

from xctrules.core.canonical import plain
from xctrules.core.figures import Figure, Histogram, ImageFigure, LineChart, Polyline, Table
from xctrules.core.files import safe_file_stem


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
