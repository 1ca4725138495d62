"""What plugins look like to the engine: what each must have, and what it may have.

Each protocol below the line "may have" is an optional power: a plugin that has its attributes is asked for
them, one that lacks them is not. The engine asks ``isinstance(plugin, Power)`` and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from xctrules.core.cell import Frame, Settings, Surfaces
from xctrules.core.measurement import Measurement, MetricResult
from xctrules.core.names import Description
from xctrules.core.slices import Scan
from xctrules.core.validation import Case, CaseFacts, Ensemble, Row, Targets

# --- what each must have ---------------------------------------------------------------------------------


@runtime_checkable
class FrameFinder(Protocol):
    """Finds cells of one geometry in scans; ``geometry`` is the word for it in a cell-format spec."""

    geometry: str

    def find(self, scan: Scan, nominal_mm: Mapping[str, float], settings: Any) -> Frame:
        """The cell's own coordinates.

        Parameters
        ----------
        nominal_mm
            The spec's nominal lengths by name.
        settings
            As this finder's own :meth:`HasOptions.settings` made them.

        Raises
        ------
        NotMeasurable
            With the reason, when there is no such cell in the scan.
        """
        ...


@runtime_checkable
class Segmenter(Protocol):
    """Finds the surfaces of a cell; chosen by ``name``."""

    name: str

    def segment(self, cell: Any) -> Surfaces:
        """The surfaces; NotMeasurable with the reason when there are none at all."""
        ...


@runtime_checkable
class Metric(Protocol):
    """Measures a cell. A screen looks the same, but judges the scan, and may reject it.

    ``name`` is also its section's anchor in the report; ``title`` the heading. ``declares`` maps every
    measurement that it can give to its unit.
    """

    name: str
    title: str
    declares: Mapping[str, str]

    def measure(self, cell: Any) -> MetricResult:
        """What was found; after NotMeasurable, all that it declares is not measured for that reason."""
        ...


Screen = Metric


class DrawnPhantom(Protocol):
    """A synthetic cell that was drawn, and what a perfect measurement of it would find."""

    @property
    def geometry(self) -> str:
        """The word for its geometry in a cell-format spec."""
        ...

    @property
    def truth(self) -> Mapping[str, Any]:
        """At least ``measurements``: the true values by the measurements' names."""
        ...

    def scan(self) -> Scan:
        """The drawn volume as a scan that was just opened."""
        ...

    def write(self, folder: str | Path, force: bool = False) -> Path:
        """Write it as a scanner would, with an ``acquisition.yaml`` and its truth; returns the folder."""
        ...


@runtime_checkable
class PhantomSource(Protocol):
    """Draws synthetic cells of one geometry for ``xctrules phantom`` and whoever tests metrics.

    ``formats`` are the names of the cells that it can draw; ``options`` what can be chosen about one.
    """

    geometry: str
    formats: Sequence[str]
    options: Sequence[Option]

    def draw(self, format: str, values: Mapping[str, Any]) -> DrawnPhantom:
        """Draw a cell of ``format``; ``values`` hold those options that were given, by name.

        Raises
        ------
        XctrulesError
            When such a cell cannot be drawn.
        """
        ...


# --- what any of them may have ---------------------------------------------------------------------------


@runtime_checkable
class ForGeometry(Protocol):
    """A segmenter, screen or metric that is for cells of one geometry alone. Others are not asked to run."""

    geometry: str


# --- what a frame finder may have ------------------------------------------------------------------------


@dataclass(frozen=True)
class Option:
    """Something that can be chosen about an inspection, or about a phantom; ``--set NAME=VALUE``.

    Attributes
    ----------
    kind
        ``int``, ``float``, ``str`` or ``bool``.
    low, high
        Least and largest value of a number.
    choices
        The texts that are allowed; any when empty.
    unit
        Of a number, for the help.
    """

    name: str
    kind: type
    help: str
    default: Any = None
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""


@runtime_checkable
class HasOptions(Protocol):
    """Has options of its own, and keeps them in settings of its own class."""

    options: Sequence[Option]

    def settings(self, segmenter: str, model: str | None, values: Mapping[str, Any]) -> Settings:
        """The settings; ``values`` has an entry for each option, checked against it."""
        ...


@runtime_checkable
class TakesMasks(Protocol):
    """Knows scans that are two-valued images of one part of the cell.

    ``mask_option`` is the option that says so; ``mask_labels`` maps its values to that part's value in a
    label image.
    """

    mask_option: str
    mask_labels: Mapping[str, int]


@dataclass(frozen=True)
class Scope:
    """What of the cell was seen.

    Attributes
    ----------
    places
        Named places of a cell of this geometry (such as its ends), and whether each is in view; ``None``
        where that is not known. A measurement that has a place's name among its dotted words is about that
        place.
    noun
        What such a place is called: end, side.
    text
        What a verdict holds for, e.g. ``for the top end, 6.5 of 70.0 mm seen``; printed behind the verdict.
    figures
        The same as numbers, for the record's ``scope``.
    """

    places: Mapping[str, bool | None] = field(default_factory=dict)
    noun: str = "place"
    text: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class TellsScope(Protocol):
    """Says which named places the cell has, and what of it the scan shows."""

    def scope(self, cell: Any | None, nominal_mm: Mapping[str, float]) -> Scope:
        """The scope; ``cell`` is ``None`` where none was found."""
        ...


@dataclass(frozen=True)
class Prediction:
    """Standard uncertainty that a scan can give, by its causes.

    ``scale`` comes from the length scale, ``voxel`` shrinks with the voxel, ``noise`` with the noise.
    """

    scale: float
    voxel: float
    noise: float

    @property
    def expanded(self) -> float:
        """Half-width of the interval that is expected, for a coverage factor of 2."""
        return 2.0 * math.sqrt(self.scale**2 + self.voxel**2 + self.noise**2)


class Predictor(Protocol):
    """Formulas for the uncertainty that one scan can give, before anything is measured."""

    @property
    def voxel_um(self) -> Sequence[tuple[str, float]]:
        """The voxel's sizes, with the direction of each in words: for the advice to scan finer."""
        ...

    @property
    def usual_mm(self) -> float:
        """Size of a quantity where neither nominal value nor limit tells one."""
        ...

    def predict(self, measurement: str, size: float) -> Prediction | None:
        """For a measurement of about ``size``; ``None`` where no formula is known."""
        ...


@runtime_checkable
class Predicts(Protocol):
    """Predicts uncertainties from what the screening says of the scan."""

    def predictor(self, cell: Any, screened: Mapping[str, Measurement]) -> Predictor | str:
        """The formulas with this scan's quality put in, or why there are none."""
        ...


# --- what a phantom source may have ----------------------------------------------------------------------


@runtime_checkable
class DrawsCases(Protocol):
    """Draws what ``xctrules validate`` measures, and says what the measurements are held to."""

    geometry: str
    targets: Targets

    def identity(self, ensemble: Ensemble) -> Mapping[str, Any]:
        """What must agree, beside geometry, seed and size, for cases to be of one ensemble; plain JSON."""
        ...

    def case(self, ensemble: Ensemble, index: int) -> Case:
        """Case ``index``, from 0; the same for the same ensemble, whatever was asked before."""
        ...

    def draw_case(self, case: Case) -> DrawnPhantom:
        """Draw a case; the same bytes each time."""
        ...

    def noted(self, phantom: DrawnPhantom, found: Any | None) -> Mapping[str, Any]:
        """What :meth:`facts` needs beside what was drawn, as plain JSON; kept in the case's line.

        Parameters
        ----------
        phantom
            As it was drawn.
        found
            The surfaces that were found; ``None`` where there are none.
        """
        ...

    def facts(self, row: Row) -> CaseFacts:
        """What the figures need to know of a case, from its line: ``spec`` (what was drawn), ``noted``, and
        the measurements with their truth."""
        ...


@runtime_checkable
class DrawsAdversaries(DrawsCases, Protocol):
    """Draws sound cells of all kinds and faulty ones, for ``xctrules validate --part adversarial``."""

    def adversary(self, ensemble: Ensemble, index: int) -> Case:
        """Case ``index``, from 0, with what is :class:`~xctrules.core.validation.Expected` of it."""
        ...

    def adversaries_identity(self) -> Mapping[str, Any]:
        """What must agree for cases to be of one ensemble; plain JSON."""
        ...


# --- what a segmenter may have ---------------------------------------------------------------------------


@runtime_checkable
class ChecksSettings(Protocol):
    """Takes a trained model (``settings.model``), and can tell before the scan is read whether it will do."""

    def check(self, settings: Any) -> None:
        """Raise :class:`~xctrules.core.errors.ModelError` where the settings cannot be used."""
        ...


@runtime_checkable
class ReadsLabels(Protocol):
    """Takes its surfaces from a label image (``cell.labels``) where there is one."""

    reads_labels: Literal[True]


@runtime_checkable
class ExportsLabels(Protocol):
    """Can draw what was found as a label image."""

    def export_labels(self, cell: Any, path: Path) -> None:
        """Write the label image; NotMeasurable with the reason when there is nothing to draw."""
        ...


# --- what a metric or screen may have --------------------------------------------------------------------


@runtime_checkable
class Describes(Protocol):
    """Describes its own measurements: by name, what each is and which way is good."""

    describes: Mapping[str, Description]


@runtime_checkable
class NeedsQuality(Protocol):
    """Measures nothing on a worse scan: ``needs`` holds the least and largest values of screening figures.

    On such a scan it is not run, and all that it declares becomes ``not_measured`` with that reason. ``None``
    leaves a side open.
    """

    needs: Mapping[str, tuple[float | None, float | None]]


@runtime_checkable
class AboutTheScan(Protocol):
    """Says of the scan or its segmentation how good they are, not of the cell; the report shows it apart."""

    about_the_scan: Literal[True]


@runtime_checkable
class AccountsFor(Protocol):
    """Is answerable for parts of the cell: hands over a ledger of each, by these names.

    Where it fails, nobody has looked at them, and the cell does not pass.
    """

    parts: Sequence[str]
