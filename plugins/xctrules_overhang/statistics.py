"""Statistics of the overhangs over one end or all ends in view, each with its budget."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xctrules.core.following import Follows
from xctrules.core.measurement import Contribution, Measurement, Scale
from xctrules.core.names import Description
from xctrules.cylinder.surfaces import UNCLEAR, CylinderCell
from xctrules_overhang import budget
from xctrules_overhang.end_values import EndValues
from xctrules_overhang.extremes import Extreme
from xctrules_overhang.lengths import Floats, stated_length_mm
from xctrules_overhang.unseen import hidden_places, longest_unclear

Place = Mapping[str, float]

TABLE = "overhang"
"""Name of the table of single values."""

BASE_TABLE = "overhang_base"
"""Name of the table of heights of the cathode's edge, by face between two foils."""

STATISTICS: Mapping[str, Description] = {
    "length.mean": Description(
        "mm", "Mean overhang",
        "mean overhang over the cathode of the anode's copper, which stands for the anode", "nominal",
    ),
    "length.std": Description(
        "mm", "Spread of the overhang", "standard deviation of the overhang", "smaller"
    ),
    "length.min": Description(
        "mm", "Smallest overhang",
        "smallest overhang; negative where the cathode reaches further than the anode's copper", "larger",
    ),
    "length.max": Description("mm", "Largest overhang", "largest overhang"),
    "deflection.mean": Description(
        "deg", "Mean deflection", "mean angle of the free anode against the axis, positive outward", "nominal"
    ),
    "deflection.std": Description(
        "deg", "Spread of the deflection", "standard deviation of the free anode's angle", "smaller"
    ),
    "deflection.max_abs": Description(
        "deg", "Largest deflection", "largest angle of the free anode, either way", "smaller"
    ),
    "base_height.std": Description(
        "mm", "Spread of the base height", "standard deviation of the height of the cathode's edge", "smaller"
    ),
    "base_height.range": Description(
        "mm", "Range of the base height", "range of the height of the cathode's edge", "smaller"
    ),
    "count": Description("1", "Overhangs measured", "number of overhangs measured"),
    "negative_fraction": Description(
        "1", "Share of negative overhangs", "share of the overhangs that are shorter than zero", "smaller",
        zero_when_good=True,
    ),
}  # fmt: skip
"""What is said of the overhangs of one end, or of all ends together."""


@dataclass(frozen=True)
class Ends:
    """The ends that statistics are taken over, and what bears on all of them alike.

    Attributes
    ----------
    step_mm, voxel_mm
        Step between slices along the axis; side of a voxel across it.
    tilt_sigma_deg
        Standard uncertainty of the axis's direction.
    """

    each: tuple[EndValues, ...]
    scale: Scale
    step_mm: float
    voxel_mm: float
    tilt_sigma_deg: float

    @classmethod
    def of(cls, cell: CylinderCell, each: Sequence[EndValues]) -> Ends:
        """One end or more of a cell."""
        frame = cell.frame
        return cls(tuple(each), cell.scale, frame.voxel_mm[0], max(frame.voxel_mm[1:]), frame.tilt_sigma_deg)

    @cached_property
    def lengths(self) -> Floats:
        """All overhangs measured, (n,)."""
        return np.concatenate([end.length.known for end in self.each])

    @property
    def length_sigma(self) -> float:
        """Noise of a single length, the ends alike."""
        return _root_mean_square([end.length.sigma for end in self.each])

    @property
    def threshold_shift_mm(self) -> float:
        """Change of a length with the edge criterion, at the end where it is larger."""
        return float(np.nanmax([abs(end.edges.threshold_shift_mm) for end in self.each]))

    @property
    def inside_sigma_mm(self) -> float:
        """Uncertainty of a tip beside a cathode, at the end where it is larger."""
        return max(end.edges.inside_sigma_mm for end in self.each)

    @property
    def network_sigma_mm(self) -> float:
        """A trained network's own error; 0 where none took part."""
        return max(end.edges.model_sigma_mm for end in self.each)


def statistics(ends: Ends) -> list[Measurement]:
    """All of :data:`STATISTICS` over the ends together, named as there."""
    return [
        _mean_length(ends),
        _spread_of_lengths(ends),
        _smallest_length(ends),
        _largest_length(ends),
        *_deflections(ends),
        _spread_of_base_heights(ends),
        _range_of_base_heights(ends),
        _count(ends),
        _negative_fraction(ends),
    ]


def named(measurements: Sequence[Measurement], prefix: str) -> list[Measurement]:
    """The same measurements with ``prefix`` before their names."""
    return [dataclasses.replace(m, name=prefix + m.name) for m in measurements]


def _measured(
    name: str,
    value: float,
    lines: tuple[Contribution, ...],
    n: int,
    worst_at: Place | None = None,
    reason: str | None = None,
    follows: Follows | None = None,
) -> Measurement:
    unit = STATISTICS[name].unit
    return Measurement(name, unit, "measured", value, lines, n, worst_at, reason, follows)


def _from(column: str, statistic: str, ends: Ends, noise: float = 0.0) -> Follows:
    """How a figure over all places of these ends follows from the table; of one end, from its rows alone."""
    degrees = int(statistic == "std")
    return Follows(TABLE, column, statistic, where=_rows(ends.each), noise=noise, degrees=degrees)


def _rows(ends: Sequence[EndValues]) -> Mapping[str, str]:
    return {"end": ends[0].edges.end} if len(ends) == 1 else {}


def _from_extreme(column: str, statistic: str, ends: Ends, found: Extreme, at: EndValues) -> Follows:
    """The same of an extreme: the end where it lies, the averages along the foil, and the bias taken off."""
    return dataclasses.replace(
        _from(column, statistic, ends),
        chosen={"end": at.edges.end} if len(ends.each) > 1 else {},
        along="turn",
        half=tuple(int(each) for each in at.length.shared.half),
        bias=found.bias,
    )


def _root_mean_square(values: Sequence[float]) -> float:
    return math.sqrt(float(np.mean([value**2 for value in values])))


def _without_noise(std: float, sigma: float) -> float:
    """A standard deviation from which noise is taken out again, down to zero."""
    return math.sqrt(max(std**2 - sigma**2, 0.0))


# --- lengths -----------------------------------------------------------------------------------------------


def _mean_length(ends: Ends) -> Measurement:
    n, mean = ends.lengths.size, float(ends.lengths.mean())
    lines = (
        budget.edge_noise_of_mean(ends.length_sigma, n),
        budget.choice_of_angles([end.length.each for end in ends.each]),
        *_systematic(ends),
        ends.scale.contribution(mean),
    )
    return _measured("length.mean", mean, lines, n, follows=_from("length_mm", "mean", ends))


def _systematic(ends: Ends) -> tuple[Contribution, ...]:
    """What moves all lengths alike, the voxel scale left out."""
    return (
        budget.edge_criterion(ends.threshold_shift_mm),
        budget.interpolation_between_slices(ends.step_mm),
        *budget.network(ends.network_sigma_mm),
    )


def _spread_of_lengths(ends: Ends) -> Measurement:
    n, sigma = ends.lengths.size, ends.length_sigma
    std = _without_noise(float(ends.lengths.std(ddof=1)) if n > 1 else 0.0, sigma)
    lines = (
        budget.edge_noise_of_spread(sigma, n),
        budget.interpolation_between_slices(ends.step_mm),
        *budget.network_in_spread(std, ends.network_sigma_mm),
        ends.scale.contribution(std),
    )
    return _measured("length.std", std, lines, n, follows=_from("length_mm", "std", ends, sigma))


def _smallest_length(ends: Ends) -> Measurement:
    """The smallest overhang; absent where a stretch that is not clear could hide one that decides.

    What is below zero beyond its uncertainty is stated all the same: what is hidden can only be worse.
    """
    found = [(end.length.smallest, end) for end in ends.each]
    smallest = _extreme_length(ends, "length.min", *min(found, key=_corrected))
    unclear = longest_unclear([end.edges for end in ends.each], stated_length_mm(ends.voxel_mm))
    if unclear is None:
        return smallest
    assert smallest.value is not None
    if smallest.value + (smallest.expanded_uncertainty or 0.0) < 0.0:
        return dataclasses.replace(smallest, reason=f"a smaller one may be hidden: {unclear}")
    return Measurement.absent("length.min", "mm", unclear)


def _largest_length(ends: Ends) -> Measurement:
    found = [(end.length.largest, end) for end in ends.each]
    return _extreme_length(ends, "length.max", *max(found, key=_corrected))


def _corrected(found: tuple[Extreme, EndValues]) -> float:
    return found[0].corrected


def _extreme_length(ends: Ends, name: str, found: Extreme, at: EndValues) -> Measurement:
    lines = (
        budget.edge_noise_of_extreme(found.spread, ends.length_sigma),
        budget.bias_of_the_extreme(found.bias),
        *_systematic(ends),
        ends.scale.contribution(found.corrected),
    )
    if found.corrected < budget.STUB_VOXELS * ends.voxel_mm:
        lines = (*lines, budget.tip_near_the_cathode(ends.inside_sigma_mm))
    hidden = hidden_places([each.edges for each in ends.each])
    follows = _from_extreme("length_mm", name.removeprefix("length."), ends, found, at)
    return _measured(name, found.corrected, lines, ends.lengths.size, _place(found, at), hidden, follows)


def _place(found: Extreme, at: EndValues) -> Place:
    """Where an extreme by turn and angle lies: at the tip of its foil."""
    turn, angle = found.index
    return {
        "z_mm": float(at.edges.anode_z_mm[turn, angle]),
        "theta_deg": float(at.edges.theta_deg[angle]),
        "turn": float(turn),
    }


# --- deflections -------------------------------------------------------------------------------------------


def _deflections(ends: Ends) -> list[Measurement]:
    values = np.concatenate([end.deflection.known for end in ends.each])
    if values.size < 2:
        reason = "no free foil is long enough to show a lean"
        names = ("deflection.mean", "deflection.std", "deflection.max_abs")
        return [Measurement.absent(name, "deg", reason) for name in names]
    sigma = _root_mean_square([end.deflection.sigma for end in ends.each])
    typical = float(np.nanmedian(np.concatenate([end.length.each.ravel() for end in ends.each])))
    pull = budget.pull(ends.voxel_mm, max(typical, ends.step_mm))
    return [
        _mean_deflection(ends, values, sigma, pull),
        _spread_of_deflections(ends, values, sigma, pull),
        _largest_deflection(ends, values.size, sigma, pull),
    ]


def _mean_deflection(ends: Ends, values: Floats, sigma: float, pull: float) -> Measurement:
    lines = (
        budget.ridge_noise_of_mean(sigma, values.size),
        budget.choice_of_angles([end.deflection.each for end in ends.each]),
        budget.neighbouring_layers_over_all(pull),
    )
    follows = _from("deflection_deg", "mean", ends)
    return _measured("deflection.mean", float(values.mean()), lines, values.size, follows=follows)


def _spread_of_deflections(ends: Ends, values: Floats, sigma: float, pull: float) -> Measurement:
    std = math.sqrt(max(float(values.var(ddof=1)) - sigma**2, 0.0))
    lines = (
        budget.ridge_noise_of_spread(sigma, values.size),
        budget.neighbouring_layers_over_all(pull),
    )
    follows = _from("deflection_deg", "std", ends, sigma)
    return _measured("deflection.std", std, lines, values.size, follows=follows)


def _largest_deflection(ends: Ends, n: int, sigma: float, pull: float) -> Measurement:
    found, at = max(((end.lean.largest, end) for end in ends.each if end.lean.known.size), key=_corrected)
    lines = (
        budget.ridge_noise_of_extreme(found.spread, sigma),
        budget.bias_of_the_extreme(found.bias),
        budget.neighbouring_layers(pull),
        budget.direction_of_the_axis(ends.tilt_sigma_deg),
    )
    follows = _from_extreme("deflection_deg", "max_abs", ends, found, at)
    follows = dataclasses.replace(follows, at_least=0.0)
    value = max(found.corrected, 0.0)
    return _measured("deflection.max_abs", value, lines, n, _place(found, at), follows=follows)


# --- heights of the cathode's edge -------------------------------------------------------------------------


def _with_base(ends: Ends) -> list[EndValues]:
    """Ends with enough heights of the cathode's edge to speak of their spread."""
    return [end for end in ends.each if end.base.known.size >= 2]


def _base_count(ends: Ends) -> int:
    return sum(end.base.known.size for end in _with_base(ends))


def _base_sigma(ends: Ends) -> float:
    return _root_mean_square([end.base.sigma for end in ends.each])


def _spread_of_base_heights(ends: Ends) -> Measurement:
    """About each end's own mean."""
    n, sigma = _base_count(ends), _base_sigma(ends)
    bases = [end.base.known for end in _with_base(ends)]
    squares = sum(float(((base - base.mean()) ** 2).sum()) for base in bases)
    std = math.sqrt(max(squares / max(n - 1, 1) - sigma**2, 0.0))
    lines = (
        budget.edge_noise_of_spread(sigma, n),
        budget.interpolation_between_slices(ends.step_mm),
        *budget.network_in_spread(std, ends.network_sigma_mm),
        ends.scale.contribution(std),
    )
    return _measured("base_height.std", std, lines, n, follows=_from_base(ends, "std", noise=sigma))


def _from_base(ends: Ends, statistic: str, noise: float = 0.0) -> Follows | None:
    """How a figure of these heights follows from their table; not stated where an end has too few."""
    if len(_with_base(ends)) < len(ends.each):
        return None
    about, degrees = ("end", 1) if statistic == "std" else (None, 0)
    where = _rows(ends.each)
    return Follows(BASE_TABLE, "base_z_mm", statistic, where=where, about=about, noise=noise, degrees=degrees)


def _from_base_range(ends: Ends, at: EndValues | None) -> Follows | None:
    """The same of their range, at the end where it is widest."""
    follows = _from_base(ends, "range")
    if follows is None or at is None:
        return None
    return dataclasses.replace(
        follows,
        chosen={"end": at.edges.end} if len(ends.each) > 1 else {},
        along="face",
        half=tuple(int(each) for each in at.base.shared.half),
        bias=at.base.largest.bias - at.base.smallest.bias,
    )


def _range_of_base_heights(ends: Ends) -> Measurement:
    """Largest less smallest, at the end where that is more."""
    width = spread = 0.0
    at = None
    for end in _with_base(ends):
        low, high = end.base.smallest, end.base.largest
        if high.corrected - low.corrected >= width:
            at, width = end, high.corrected - low.corrected
            spread = budget.spread_of_range((low.spread, high.spread), (low.bias, high.bias))
    lines = (
        budget.edge_noise_of_range(spread, _base_sigma(ends)),
        budget.form_of_the_edges(ends.step_mm),
        budget.interpolation_between_slices(ends.step_mm),
        *budget.network_in_range(ends.network_sigma_mm),
        ends.scale.contribution(width),
    )
    follows = _from_base_range(ends, at)
    return _measured("base_height.range", width, lines, _base_count(ends), follows=follows)


# --- counts ------------------------------------------------------------------------------------------------


def _count(ends: Ends) -> Measurement:
    n = ends.lengths.size
    return _measured("count", float(n), (), n, follows=_from("length_mm", "count", ends))


def _negative_fraction(ends: Ends) -> Measurement:
    n = ends.lengths.size
    lines = (
        budget.edge_noise_of_share(_doubtful(ends), n),
        *budget.network_in_share(ends.lengths, ends.network_sigma_mm),
    )
    share = np.count_nonzero(ends.lengths < 0) / n
    follows = _from("length_mm", "share_below_zero", ends)
    return _measured("negative_fraction", share, lines, n, follows=follows)


def _doubtful(ends: Ends) -> float:
    """Standard uncertainty of the number of overhangs below zero: half a place, and what each end adds."""
    doubt = 0.5
    for end in ends.each:
        sigma = np.hypot(end.length.sigmas[:, None], end.edges.inside_sigma_mm)
        doubt += budget.doubtful_places(end.length.each, sigma, end.edges.state == UNCLEAR)
    return doubt
