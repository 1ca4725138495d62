"""What a metric has to show: images, histograms, lines, tables, and every single value behind them.

Everything here is plain data. The record takes it over as it stands, and pages are drawn from the record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Polyline:
    """A line drawn over an image, in pixel coordinates of that image (x to the right, y down).

    ``points`` is (n, 2) as (x, y), pixel centres at whole numbers; NaN rows break the line. ``role`` picks
    the colour: one of ``anode``, ``cathode``, ``can``, ``fit``, ``worst``, ``note``. ``marker`` draws dots
    instead of a line.
    """

    points: NDArray[np.float64]
    role: str
    label: str = ""
    marker: bool = False
    closed: bool = False


@dataclass(frozen=True)
class ImageFigure:
    """A grey or colour image with contours, a scale bar, and a caption that says what to look for.

    ``image`` is uint8, (height, width) or (height, width, 3) RGB. ``pixel_mm`` is (vertical, horizontal);
    ``None`` where an axis is not a length. ``value_range`` with ``value_label`` draws a colour bar for a map
    whose colours were made by :func:`xctrules.pages.colour.diverging` or
    :func:`~xctrules.pages.colour.sequential`; ``colour_map`` names which. ``x_axis`` and ``y_axis`` are
    (label, first, last) in the axis's unit.
    """

    id: str
    title: str
    caption: str
    alt: str
    image: NDArray[np.uint8]
    pixel_mm: tuple[float, float] | None = None
    overlays: tuple[Polyline, ...] = ()
    value_range: tuple[float, float] | None = None
    value_label: str = ""
    colour_map: str = ""
    x_axis: tuple[str, float, float] | None = None
    y_axis: tuple[str, float, float] | None = None


@dataclass(frozen=True)
class Histogram:
    """Counts over equal bins; ``edges`` has one entry more than ``counts``."""

    id: str
    title: str
    caption: str
    alt: str
    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    x_label: str
    unit: str
    marks: tuple[tuple[str, float], ...] = ()

    @classmethod
    def of(
        cls, values: NDArray[np.floating[Any]], *, id: str, title: str, caption: str, alt: str,
        x_label: str, unit: str, bins: int = 48, marks: Sequence[tuple[str, float]] = (),
    ) -> Histogram:  # fmt: skip
        """Count finite ``values`` (any shape) into ``bins`` equal bins over their range."""
        finite = np.asarray(values, dtype=float).ravel()
        finite = finite[np.isfinite(finite)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        if high <= low:
            low, high = low - 0.5, high + 0.5
        counts, edges = np.histogram(finite, bins=bins, range=(low, high))
        return cls(id, title, caption, alt, edges, counts.astype(np.int64), x_label, unit, tuple(marks))


@dataclass(frozen=True)
class LineChart:
    """Lines of y against x; each series is (label, role, x (n,), y (n,)), NaN breaks a line."""

    id: str
    title: str
    caption: str
    alt: str
    series: tuple[tuple[str, str, NDArray[np.float64], NDArray[np.float64]], ...]
    x_label: str
    y_label: str


@dataclass(frozen=True)
class Table:
    """A small table for the report. Rows hold numbers, text, or ``None``; numbers are rounded when shown."""

    id: str
    title: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


Figure = ImageFigure | Histogram | LineChart | Table


@dataclass(frozen=True)
class Samples:
    """Every single value behind the statistics, written to ``samples/<name>.csv``.

    ``columns`` maps the column's name (with its unit) to equally long 1-D arrays; NaN is written empty.
    """

    name: str
    columns: Mapping[str, NDArray[Any]]
