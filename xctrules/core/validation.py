"""What the validation of one geometry is made of, as plain data: what is asked, and what was drawn.

A geometry's phantom source brings it (:class:`xctrules.core.protocols.DrawsCases`). ``xctrules validate``
draws, measures and counts by it, and knows no geometry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Side = Literal["min", "max"]
"""A lower or an upper limit."""

Part = Literal["accuracy", "adversarial"]
"""Parts of a validation."""

Place = Mapping[str, tuple[float, float]]
"""Where something must be found: coordinates of a measurement's ``worst_at``, each with the farthest distance
from it. Those in degrees go round."""

Row = Mapping[str, Any]
"""One line of ``cases.jsonl``: a case that was drawn, and all that was measured of it."""


# --- what a case is drawn and judged by ------------------------------------------------------------------


@dataclass(frozen=True)
class SpecLimit:
    """A limit that a cell-format spec sets.

    Attributes
    ----------
    spec
        The spec's name.
    value
        In ``unit``.
    """

    spec: str
    measurement: str
    side: Side
    value: float
    unit: str


@dataclass(frozen=True)
class JudgedBy:
    """The rules that a case is judged by: those of a spec, but for what the case cannot show.

    Attributes
    ----------
    spec
        The spec's name.
    leave_out
        Measurements whose rules are left out.
    upper_limits
        By measurement, in the rule's unit: what takes the place of the spec's own upper limit.
    further
        Limits of the case's own beside them; those on a measurement that no plugin makes are left out.
    """

    spec: str
    leave_out: tuple[str, ...] = ()
    upper_limits: Mapping[str, float] = field(default_factory=dict)
    further: tuple[SpecLimit, ...] = ()


@dataclass(frozen=True)
class Ensemble:
    """A seeded, endless list of cases, as a user asks for it.

    Attributes
    ----------
    short
        Whether all cells are to be small, for a quick look.
    limits
        All limits that specs for the geometry set, for cells that lie near them.
    part
        What the cases are for: how well is measured, or whether anything faulty passes.
    """

    seed: int = 1
    short: bool = False
    limits: tuple[SpecLimit, ...] = ()
    part: Part = "accuracy"


@dataclass(frozen=True)
class Expected:
    """What must come of an adversarial case.

    Attributes
    ----------
    fault
        Its kind in words; empty for a sound cell.
    outcome
        ``pass``: it is sound. ``no pass``: its fault is large enough that it must not pass. ``graded``: the
        fault is smaller than that, and counts for the curve of detection alone. ``right or refused``: the
        cell is sound and the scan's greys are not; it may pass where all that decides is measured right.
    size, unit
        Of the fault; mm, deg, slices or share.
    stated
        The detection size that is stated for this kind.
    drawn
        The fault as it was asked for.
    words
        Of these the first reason must have one, if it is to name the fault.
    place
        Where it is: of these coordinates the first reason must have one, and have it right; none where the
        fault is in no one place.
    scan_is_true
        Whether the scan shows the cell as it is, so that what is measured may be held against the truth: not
        where the fault is the scan's own.
    """

    fault: str
    outcome: Literal["pass", "no pass", "graded", "right or refused"]
    size: float | None = None
    unit: str = ""
    stated: float | None = None
    drawn: str = ""
    words: tuple[str, ...] = ()
    place: Place = field(default_factory=dict)
    scan_is_true: bool = True


@dataclass(frozen=True)
class Case:
    """One phantom of an ensemble: what is drawn, what the inspection is told of it, by what it is judged.

    Attributes
    ----------
    index
        Its number in the ensemble, from 0.
    kind
        Why it is in the ensemble, in a word.
    drawn
        The cell and its scan, as plain JSON.
    voxel_mm
        True voxel size (z, y, x).
    nominal_mm
        The nominal dimensions that the inspection is told, by name.
    scale_error
        Relative error of the voxel size that the inspection is told, drawn from the uncertainty that is
        stated beside it. An interval that allows for the scale is tested only where the scale is off.
    noise_seed
        Noise other than the cell's own, where the same cell is scanned again.
    group
        Which cell is scanned repeatedly; ``None`` for a cell scanned once.
    unfit
        What is wrong with a scan that must not be judged; see :attr:`Targets.refusal_words`.
    expected
        What must come of an adversarial case; ``None`` for others.
    """

    index: int
    kind: str
    drawn: Mapping[str, Any]
    voxel_mm: tuple[float, float, float]
    nominal_mm: Mapping[str, float]
    judged_by: JudgedBy
    scale_error: float = 0.0
    noise_seed: int | None = None
    group: int | None = None
    unfit: str | None = None
    expected: Expected | None = None

    @property
    def told_voxel_mm(self) -> tuple[float, float, float]:
        """The voxel size that the inspection is told."""
        z, y, x = (size * (1 + self.scale_error) for size in self.voxel_mm)
        return z, y, x


# --- what is asked ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BiasLimit:
    """Largest mean error, in voxels or in per cent of the true value."""

    limit: float
    unit: Literal["voxel", "%"]


@dataclass(frozen=True)
class Fault:
    """A fault of graded size, and what counts as finding it.

    Attributes
    ----------
    measurement
        Whose value shows it.
    bad
        Which values are bad: ``large`` ones, or ``small`` ones (then the fault's size is the value's
        negative).
    beyond_voxels
        Size from which it counts as found, and on a sound cell as a false alarm.
    means
        The same in words: "a hollow deeper than half a voxel".
    place_means
        Where it must be found, in words; empty where anywhere will do.
    target_voxels
        Size that nearly all scans must show; ``None`` where none is asked.
    """

    name: str
    measurement: str
    bad: Literal["large", "small"]
    beyond_voxels: float
    means: str
    place_means: str = ""
    target_voxels: float | None = None


@dataclass(frozen=True)
class Stratum:
    """Cases with a condition of scanning from ``low`` to below ``high``; see :attr:`CaseFacts.conditions`."""

    condition: str
    label: str
    low: float
    high: float


@dataclass(frozen=True)
class Targets:
    """What a geometry's measurements are held to.

    Attributes
    ----------
    covered
        Measurements whose coverage decides whether the validation holds.
    fault_only
        Measurements that are zero on a sound part: their coverage and bias are those of the faulty cells
        alone.
    bias
        By measurement.
    not_tabled
        Patterns (as of :mod:`fnmatch`) of measurements that have a truth and are not listed by themselves.
    bounded
        Measurements whose stated uncertainty is set beside the Cramér-Rao bound.
    bounded_noise
        What else is set beside it: quantities that are no measurement of the record, by name, each with what
        is given of it in words.
    noise_lines
        Sources in the measurements' budgets that speak of noise, with which the bound compares.
    refusal_words
        By what is wrong with a scan that must be refused: words of which the reason must have one.
    length_unit_note, bias_note, detection_note
        Sentences for the report: what a voxel is in errors of lengths; over which cases bias is taken; and
        over which faults detection.
    """

    covered: tuple[str, ...]
    fault_only: tuple[str, ...]
    bias: Mapping[str, BiasLimit]
    faults: tuple[Fault, ...]
    strata: tuple[Stratum, ...]
    refusal_words: Mapping[str, tuple[str, ...]]
    not_tabled: tuple[str, ...] = ()
    bounded: tuple[str, ...] = ()
    bounded_noise: Mapping[str, str] = field(default_factory=dict)
    noise_lines: tuple[str, ...] = ()
    length_unit_note: str = ""
    bias_note: str = ""
    detection_note: str = ""


# --- what is known of a case -----------------------------------------------------------------------------


@dataclass(frozen=True)
class CaseFacts:
    """What the figures need to know of a case, beside what was measured.

    Attributes
    ----------
    text
        The case in one line, for whoever looks for the reason of a miss.
    voxel_mm
        By measurement of a length: the voxel in the direction in which it is taken, the unit of its errors.
    conditions
        By :attr:`Stratum.condition`.
    for_bias
        Measurements whose bias is taken over this case, among others.
    for_detection
        Whether its faults count for the share that is found.
    faults
        The faults that were drawn, by :attr:`Fault.name`, with the place where each must be found.
    least_voxels
        Smallest standard uncertainty that noise and blur allow, in voxels, of all that is bounded.
    noise_voxels
        Standard uncertainty from noise that was stated of :attr:`Targets.bounded_noise`, in voxels, where it
        was.
    """

    text: str
    voxel_mm: Mapping[str, float]
    conditions: Mapping[str, float]
    for_bias: tuple[str, ...] = ()
    for_detection: bool = False
    faults: Mapping[str, Place] = field(default_factory=dict)
    least_voxels: Mapping[str, float] = field(default_factory=dict)
    noise_voxels: Mapping[str, float] = field(default_factory=dict)
