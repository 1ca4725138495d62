"""What a metric hands over: measurements with their uncertainty, figures and tables.

Everything here is plain data. It goes into the record as it stands, and the report is drawn from the
record, so that the two can never disagree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Status = Literal["measured", "not_measured", "failed", "not_applicable"]

VOXEL_SCALE = "voxel scale"
"""Name of the one uncertainty source that all lengths of a scan share."""


@dataclass(frozen=True)
class Contribution:
    """One line of an uncertainty budget (JCGM 100, 5.1).

    Attributes
    ----------
    source
        What it comes from, in plain words.
    contribution
        Sensitivity times standard uncertainty, in the unit of the measurement. Signed: contributions of the
        same ``shared`` source are fully correlated between measurements, and the sign says which way.
    type
        ``"A"`` from statistics of repeated values, ``"B"`` from anything else (JCGM 100, 4.2 and 4.3).
    shared
        Whether the source is common to all measurements of the scan.
    degrees_of_freedom
        Infinite when the standard uncertainty itself is taken as known.
    """

    source: str
    contribution: float
    type: Literal["A", "B"] = "A"
    shared: bool = False
    degrees_of_freedom: float = math.inf


@dataclass(frozen=True)
class Measurement:
    """One quantity of one cell, with the budget of its uncertainty.

    Attributes
    ----------
    name
        Dotted name with the statistic in it, e.g. ``overhang.length.min``.
    unit
        ``mm``, ``deg``, or ``1`` for counts and ratios.
    value
        ``None`` unless ``status`` is ``measured``.
    budget
        Contributions to the standard uncertainty; their root sum of squares is ``standard_uncertainty``.
    n
        Number of single values behind it.
    worst_at
        Where it is worst or found, e.g. ``{"z_mm": 6.1, "theta_deg": 40.0, "turn": 3}``.
    reason
        Why there is no value; for a measured one, a remark for the reader, or ``None``.
    """

    name: str
    unit: str
    status: Status = "measured"
    value: float | None = None
    budget: tuple[Contribution, ...] = ()
    n: int | None = None
    worst_at: Mapping[str, float] | None = None
    reason: str | None = None

    @classmethod
    def absent(cls, name: str, unit: str, reason: str, status: Status = "not_measured") -> Measurement:
        """A measurement without a value, and why."""
        return cls(name=name, unit=unit, status=status, reason=reason)

    @property
    def standard_uncertainty(self) -> float | None:
        """Combined standard uncertainty, root sum of squares of the budget (JCGM 100, 5.1.2)."""
        if self.value is None:
            return None
        return math.sqrt(sum(c.contribution**2 for c in self.budget))

    @property
    def degrees_of_freedom(self) -> float:
        """Effective degrees of freedom by Welch-Satterthwaite (JCGM 100, G.4.1); may be infinite."""
        u = self.standard_uncertainty
        if not u:
            return math.inf
        denominator = sum(
            c.contribution**4 / c.degrees_of_freedom
            for c in self.budget
            if math.isfinite(c.degrees_of_freedom)
        )
        return u**4 / denominator if denominator > 0 else math.inf

    @property
    def coverage_factor(self) -> float:
        """Factor for a 95 % interval: Student's t at the effective degrees of freedom; 1.96 when infinite."""
        return coverage_factor_95(self.degrees_of_freedom)

    @property
    def expanded_uncertainty(self) -> float | None:
        """Half-width of the 95 % interval, in ``unit``."""
        u = self.standard_uncertainty
        return None if u is None else self.coverage_factor * u


def coverage_factor_95(degrees_of_freedom: float) -> float:
    """Student's t for a two-sided 95 % interval (JCGM 100, table G.2)."""
    from scipy.special import stdtrit  # scipy.stats would cost half a second of import time

    dof = max(1.0, math.floor(degrees_of_freedom)) if math.isfinite(degrees_of_freedom) else 1e12
    return float(stdtrit(dof, 0.975))


@dataclass(frozen=True)
class Scale:
    """Relative standard uncertainty of the voxel size, common to every length of a scan."""

    relative_uncertainty: float
    stated: bool

    def contribution(self, length: float) -> Contribution:
        """The scale's line in the budget of a ``length`` (any unit of length; signed)."""
        return Contribution(VOXEL_SCALE, length * self.relative_uncertainty, type="B", shared=True)


# --- what people look at ---------------------------------------------------------------------------------


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


@dataclass(frozen=True)
class MetricResult:
    """All that one metric found: its measurements, what to show for them, and every single value."""

    measurements: Sequence[Measurement]
    figures: Sequence[Figure] = ()
    samples: Sequence[Samples] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    rejections: Sequence[str] = ()
    """Only heeded from a screen: reasons why the scan cannot carry any decision."""
    warnings: Sequence[str] = ()


@runtime_checkable
class Metric(Protocol):
    """What a plugin's metric looks like to the engine (a screen looks the same).

    ``name`` is also its section's anchor in the report; ``title`` the heading. ``declares`` maps every
    measurement that it can give to its unit. ``measure`` may raise
    :class:`~xctrules.core.errors.NotMeasurable`: then all that it declares becomes ``not_measured`` with that
    reason.

    A metric may describe its measurements: ``describes: Mapping[str, Description]``
    (:class:`xctrules.core.names.Description`), by name, with the units of ``declares``.

    A metric may also have ``needs: Mapping[str, tuple[float | None, float | None]]``: least and largest
    values of ``screening.*`` figures between which it measures anything. On a worse scan it is not run, and
    all that it declares becomes ``not_measured`` with that reason.
    """

    name: str
    title: str
    declares: Mapping[str, str]

    def measure(self, cell: Any) -> MetricResult: ...
