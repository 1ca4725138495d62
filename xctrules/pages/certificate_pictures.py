"""Pictures of a certificate: the cell, its worst place, and the QR code, as plain positions and paths.

Each picture becomes one self-contained SVG: a browser and a PDF writer draw it alike, without a style sheet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from xctrules.core.errors import RecordError
from xctrules.pages import charts
from xctrules.pages.embedding import data_uri
from xctrules.pages.typography import typeset

Json = Mapping[str, Any]

WIDTH = 1000.0
"""Of a picture's own units."""

TALLEST_MM = 62.0
"""Height of a picture on paper, at most."""

COLOURS = {
    "anode": "#ffa94d", "cathode": "#66c7ff", "can": "#4fe0ad", "fit": "#ffe14d", "worst": "#ff5c5c",
    "note": "#ffffff",
}  # fmt: skip
"""Of lines on a grey image, by role; each has a dark rim."""

_GRAVITY = ("FAIL", "CONDITIONAL_FAIL", "INCOMPLETE", "CONDITIONAL_PASS", "PASS")
_LINES_NAMED = 4


@dataclass(frozen=True)
class Line:
    """A line on a picture."""

    path: str
    colour: str
    marker: bool


@dataclass(frozen=True)
class Picture:
    """An image with lines, in units of which :data:`WIDTH` go across it."""

    title: str
    alt: str
    source: str
    height: float
    lines: tuple[Line, ...]
    key: tuple[tuple[str, str], ...]
    across: str
    share: str
    widest: str


@dataclass(frozen=True)
class QrCode:
    """A QR code as one path: ``size`` modules each way, the quiet zone included."""

    path: str
    size: int
    text: str


def qr_code(text: str) -> QrCode:
    """A QR code of a text, with error correction for a quarter of it (level Q)."""
    import segno

    code = segno.make(text, error="q", micro=False, boost_error=False)
    dark = [(x, y) for y, row in enumerate(code.matrix_iter(border=4)) for x, on in enumerate(row) if on]
    width, _ = code.symbol_size(border=4)
    return QrCode("".join(f"M{x} {y}h1v1h-1z" for x, y in dark), int(width), text)


def pictures(record: Json, images: Mapping[str, bytes]) -> tuple[Picture, ...]:
    """The cell, and the place that decides: up to two images of the record that are true to scale.

    The rule with the worst outcome and the least room decides; its place is shown by the first image of the
    section that measured it, one on which the worst place is marked before any other.

    Raises
    ------
    RecordError
        When an image is missing.
    """
    found = list(_to_scale(record))
    if not found:
        return ()
    name = str(_decisive(record).get("measurement") or "")
    of_place = sorted(found, key=lambda each: (name not in each[0], not _marks_worst(each[1])))[0][1]
    others = [figure for _, figure in found if figure is not of_place]
    cell = min(others, key=lambda figure: abs(_aspect(figure) - 1), default=None)
    return tuple(_picture(figure, images) for figure in (cell, of_place) if figure is not None)


def _to_scale(record: Json) -> Iterator[tuple[tuple[str, ...], Json]]:
    """(measurements of its section, figure) of each image whose pixels have a size."""
    for section in record.get("sections") or ():
        if section.get("about_the_scan"):
            continue
        for figure in section.get("figures") or ():
            pixel = figure.get("pixel_mm") if figure.get("kind") == "image" else None
            if pixel and all(isinstance(v, int | float) and v > 0 for v in pixel):
                yield tuple(map(str, section.get("measurements") or ())), figure


def _decisive(record: Json) -> Json:
    """The rule with the worst outcome; among several, that with the least margin for its uncertainty."""
    checks = [c for c in record.get("checks") or () if c.get("outcome") in _GRAVITY]
    measurements = record.get("measurements") or {}

    def room(check: Json) -> tuple[int, float]:
        u = (measurements.get(check.get("measurement")) or {}).get("expanded_uncertainty") or 1.0
        margin = check.get("margin")
        return _GRAVITY.index(check["outcome"]), float("inf") if margin is None else margin / u

    placed = [c for c in checks if (measurements.get(c.get("measurement")) or {}).get("worst_at")]
    return min(placed or checks, key=room, default={})


def _marks_worst(figure: Json) -> bool:
    marked = any(line.get("role") == "worst" for line in figure.get("overlays") or ())
    return marked or "worst" in str(figure.get("id"))


def _aspect(figure: Json) -> float:
    """Width over height, as the cell has them."""
    image, pixel = figure["image"], figure["pixel_mm"]
    return (int(image["width"]) * float(pixel[1])) / (int(image["height"]) * float(pixel[0]))


def _picture(figure: Json, images: Mapping[str, bytes]) -> Picture:
    image, pixel = figure["image"], figure["pixel_mm"]
    file, width, height = str(image["file"]), int(image["width"]), int(image["height"])
    if file not in images:
        raise RecordError(f"the certificate needs the image {file}, which is missing")
    drawn = WIDTH / _aspect(figure)
    scale = np.array([WIDTH / width, drawn / height])
    lines: list[Line] = []
    key: dict[str, str] = {}
    for line in figure.get("overlays") or ():
        colour = COLOURS.get(str(line.get("role")), COLOURS["note"])
        marker, closed = bool(line.get("marker")), bool(line.get("closed"))
        path = charts.path((charts.points(line["points"]) + 0.5) * scale, marker=marker, closed=closed)
        if path:
            lines.append(Line(path, colour, marker))
            if line.get("label"):
                key.setdefault(str(line["label"]), colour)
    return Picture(
        title=str(figure.get("title") or ""), alt=str(figure.get("alt") or ""),
        source=data_uri(images[file]), height=round(drawn, 2), lines=tuple(lines),
        key=tuple(key.items())[:_LINES_NAMED],
        across=typeset(f"{width * float(pixel[1]):.3g} mm across."),
        share=f"{min(max(_aspect(figure), 0.7), 2.0):.2f}", widest=f"{TALLEST_MM * _aspect(figure):.1f}",
    )  # fmt: skip
