"""The overhang metric: ``overhang.*`` for all ends in view together and for each of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from xctrules.core.errors import NotMeasurable
from xctrules.core.figures import Figure, Samples
from xctrules.core.measurement import Contribution, Measurement, MetricResult
from xctrules.core.names import Description
from xctrules.cylinder.surfaces import MEASURED, STATE_NAMES, TAB, UNCLEAR, CylinderCell, End, EndEdges
from xctrules_overhang import figures
from xctrules_overhang.lengths import (
    Floats,
    base_heights,
    deflections,
    extreme,
    lengths,
    reaches,
    scatter,
)

STATISTICS: Mapping[str, Description] = {
    "length.mean": Description(
        "mm", "Mean overhang", "mean overhang of the anode over the cathode", "nominal"
    ),
    "length.std": Description(
        "mm", "Spread of the overhang", "standard deviation of the overhang", "smaller"
    ),
    "length.min": Description(
        "mm", "Smallest overhang",
        "smallest overhang; negative where the cathode reaches further than the anode", "larger",
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


def _at(end: End) -> dict[str, Description]:
    """The statistics of one end, by name."""
    return {
        f"overhang.{end}.{statistic}": replace(
            d, title=f"{d.title}, {end} end", meaning=f"{d.meaning}, {end} end"
        )
        for statistic, d in STATISTICS.items()
    }


DESCRIPTIONS: Mapping[str, Description] = {
    **{f"overhang.{statistic}": description for statistic, description in STATISTICS.items()},
    **_at("top"),
    **_at("bottom"),
}

LEAST_STEPS = 3.0
"""A deflection is given where the free foil is at least this many height samples long."""

MODEL_STEPS = 0.1
"""Standard uncertainty of a single length beyond its noise, in steps between slices: how a tip's and an
edge's form, and where they fall between two slices, move the place of half height. Type B, from noise-free
phantoms."""

STUB_VOXELS = 1.0
"""A foil that stands less than this many in-plane voxels above the cathode does not come up to half the level
of a free one through a scanner's blur: its tip is as uncertain as one between two cathodes."""

LONGEST_UNCLEAR_DEG = 5.0
"""A longer stretch of a turn whose edge is not clear could hide a fault: then no smallest overhang is
stated."""

PATH_VOXELS = 0.35
"""Standard uncertainty of a foil's sideways position at one height, in in-plane voxels, common to a whole
free foil: a bright neighbour pulls the ridge that far where foils nearly touch. Type B, from phantoms."""


class OverhangMetric:
    """Signed distance from the cathode's edge to the anode's, at every turn and angle and both ends."""

    name = "overhang"
    title = "Electrode overhang"
    describes: Mapping[str, Description] = DESCRIPTIONS
    declares: Mapping[str, str] = {name: d.unit for name, d in DESCRIPTIONS.items()}
    # Where most layers run into one, an edge found may be any layer's. Rings do not average out from slice
    # to slice as noise does: from 0.6 of it on, one that lies along a turn moves that turn's edge by voxels.
    needs: Mapping[str, tuple[float | None, float | None]] = {
        "screening.layer_separation": (0.5, None),
        "screening.ring_index": (None, 0.6),
    }

    def measure(self, cell: CylinderCell) -> MetricResult:
        surfaces = cell.surfaces
        found: list[Measurement] = []
        charts: list[Figure] = []
        rows: list[EndValues] = []
        for end in ("top", "bottom"):
            edges = surfaces.ends.get(end)
            if edges is None or not (edges.state == MEASURED).any():
                reason = surfaces.missing.get(end) or _nothing_measured(edges)
                found += [
                    Measurement.absent(f"overhang.{end}.{s}", d.unit, reason) for s, d in STATISTICS.items()
                ]
                continue
            values = EndValues(cell, edges)
            rows.append(values)
            found += statistics(cell, [values], f"overhang.{end}.")
        if not rows:
            reasons = dict.fromkeys(
                str(m.reason)
                for m in found
                if m.name.endswith("length.mean") and "not in view" not in str(m.reason)
            )
            raise NotMeasurable("; ".join(reasons) or "no end of the electrode roll is in view")
        found += statistics(cell, rows, "overhang.")
        for values in rows:
            charts += figures.draw(cell, values.edges, values.length, values.deflection, values.base)
        return MetricResult(
            measurements=found,
            figures=charts,
            samples=[
                samples([v.edges for v in rows], [v.length for v in rows], [v.deflection for v in rows])
            ],
            parameters={"angles": cell.settings.angles, "least_free_length_steps": LEAST_STEPS},
        )


class EndValues:
    """The single values at one end, and their noise."""

    def __init__(self, cell: CylinderCell, edges: EndEdges) -> None:
        self.edges = edges
        self.step_mm = cell.frame.voxel_mm[0]
        self.length: Floats = lengths(edges)
        self.deflection: Floats = deflections(edges, LEAST_STEPS * self.step_mm)
        self.base: Floats = base_heights(edges)
        self.reach = reaches(edges, max(cell.frame.voxel_mm[1:]))
        self.base_reach = np.concatenate([self.reach[:1], self.reach])
        self.length_sigmas = np.hypot(
            scatter(self.length, self.reach, edges.pooling), MODEL_STEPS * self.step_mm
        )
        self.deflection_sigmas = scatter(self.deflection, self.reach, edges.pooling)
        self.base_sigmas = scatter(self.base, self.base_reach, edges.pooling)

    @property
    def length_sigma(self) -> float:
        """Noise of a single length, over all turns."""
        return _over_all(self.length_sigmas, self.length)

    @property
    def deflection_sigma(self) -> float:
        """Noise of a single deflection, over all turns."""
        return _over_all(self.deflection_sigmas, self.deflection)

    @property
    def base_sigma(self) -> float:
        """Noise of a single height of the cathode's edge, over all turns."""
        return _over_all(self.base_sigmas, self.base)


def _over_all(sigmas: Floats, values: Floats) -> float:
    """Root mean square of each turn's noise (nturns,), a turn counting by its values (nturns, nt)."""
    count = np.isfinite(values).sum(axis=1)
    return math.sqrt(float((count * sigmas**2).sum() / max(count.sum(), 1)))


def _nothing_measured(edges: EndEdges | None) -> str:
    if edges is None:
        return "this end is not in view"
    counts = np.bincount(edges.state.ravel(), minlength=len(STATE_NAMES))
    worst = int(np.argmax(counts))
    return f"no overhang could be measured: {STATE_NAMES[worst]} at most turns and angles"


def statistics(cell: CylinderCell, ends: list[EndValues], prefix: str) -> list[Measurement]:
    """All statistics over the given ends together, as measurements named ``prefix`` + statistic."""
    length = np.concatenate([e.length.ravel() for e in ends])
    length = length[np.isfinite(length)]
    n = length.size
    sigma = math.sqrt(float(np.mean([e.length_sigma**2 for e in ends])))
    step = ends[0].step_mm
    # Half height is where a blurred edge is; but the two levels that it is half of are known to some 5 % of
    # the step only (what lies beside differs). One level moves all lengths together: rectangular, from the
    # shift at 60 %.
    shift = float(np.nanmax([abs(e.edges.threshold_shift_mm) for e in ends]))
    criterion = 0.5 * shift / math.sqrt(3)
    systematic = (
        Contribution("edge criterion", criterion, type="B"),
        Contribution("interpolation between slices", 0.03 * step, type="B"),
    )
    scale = cell.scale
    network = max(e.edges.model_sigma_mm for e in ends)
    common = _network(network, shared=True)

    def made(
        name: str, value: float, budget: tuple[Contribution, ...], count: int = n, **more: Any
    ) -> Measurement:
        return Measurement(prefix + name, STATISTICS[name].unit, value=value, budget=budget, n=count, **more)

    mean, std = float(length.mean()), float(length.std(ddof=1)) if n > 1 else 0.0
    # The noise adds to the spread; it is taken out again, down to zero.
    std = math.sqrt(max(std**2 - sigma**2, 0.0))
    noise = sigma / math.sqrt(n)
    out = [
        made("length.mean", mean, (
            Contribution("edge noise", noise, degrees_of_freedom=max(n - 1, 1)),
            Contribution("choice of angles", _half_split([e.length for e in ends])),
            *systematic,
            *common,
            scale.contribution(mean),
        )),
        made("length.std", std, (
            Contribution("edge noise", sigma / math.sqrt(2 * max(n - 1, 1)) + 0.1 * sigma),
            Contribution("interpolation between slices", 0.03 * step, type="B"),
            *_network(_added(std, network)),
            scale.contribution(std),
        )),
    ]  # fmt: skip
    for name, sign in (("length.min", -1), ("length.max", 1)):
        best, where = _extreme([e.length for e in ends], [e.length_sigmas for e in ends], ends, sign)
        budget = (
            Contribution("edge noise", math.hypot(best.spread, sigma / 2)),
            Contribution("bias of the extreme", abs(best.bias) / math.sqrt(3), type="B"),
            *systematic,
            *common,
            scale.contribution(best.corrected),
        )
        if best.corrected < STUB_VOXELS * max(cell.frame.voxel_mm[1:]):
            inside = max(e.edges.inside_sigma_mm for e in ends)
            budget = (*budget, Contribution("tip near the cathode's edge", inside, type="B"))
        if sign < 0 and (unclear := longest_unclear(ends)):
            out.append(Measurement.absent(prefix + name, "mm", unclear))
            continue
        out.append(made(name, best.corrected, budget, worst_at=where, reason=hidden_places(ends)))
    out += _deflection_statistics(cell, ends, made)
    out += _base_statistics(ends, made, scale.contribution)
    out.append(made("count", float(n), ()))
    negative = np.count_nonzero(length < 0) / n
    # Lengths that are all too long hide short ones: the other way round than for the lengths.
    hidden = (np.count_nonzero(length < -network) - np.count_nonzero(length < network)) / (2 * n)
    doubt = Contribution("edge noise", _doubtful(ends, n) / n, type="B")
    out.append(made("negative_fraction", negative, (doubt, *_network(hidden, shared=True))))
    return out


def _network(contribution: float, shared: bool = False) -> tuple[Contribution, ...]:
    """The line of the network's own error; none where no network took part."""
    if not contribution:
        return ()
    return (Contribution("systematic error of the network", contribution, type="B", shared=shared),)


def _added(std: float, sigma: float) -> float:
    """By how much a standard deviation is raised by an error, of standard deviation ``sigma``, that changes
    slowly from place to place."""
    return math.hypot(std, sigma) - std


def _doubtful(ends: list[EndValues], n: int) -> float:
    """Standard uncertainty of the number of overhangs below zero, of ``n`` in all.

    Half of those that noise may have put on either side of zero; half a place for all, for each rim of a
    short stretch (half-planes are pooled across it), and for each place in or beside one that is not clear.
    """
    doubt = 0.5
    for end in ends:
        noise = end.length_sigmas[:, None]
        near = np.abs(end.length) < 2 * np.hypot(noise, end.edges.inside_sigma_mm)
        short = end.length < 0
        rims = np.count_nonzero(short != np.roll(short, 1, axis=-1))
        beside = np.any([np.roll(short, shift, axis=-1) for shift in range(-3, 4)], axis=0)
        unclear = np.count_nonzero(beside & (end.edges.state == UNCLEAR))
        doubt += 0.5 * (np.count_nonzero(near) + rims + unclear)
    return doubt


def hidden_places(ends: list[EndValues]) -> str | None:
    """A remark for the reader on places that a tab hides: nothing is known of the overhang there."""
    parts = []
    for end in ends:
        hidden = end.edges.state == TAB
        for turn in np.flatnonzero(hidden.any(axis=1)):
            angles = end.edges.theta_deg[hidden[turn]]
            parts.append(f"{end.edges.end} end, turn {turn}: {angles.size} of {hidden.shape[1]} angles")
    if not parts:
        return None
    shown = "; ".join(parts[:4]) + (f"; and {len(parts) - 4} more turns" if len(parts) > 4 else "")
    return f"not seen behind a tab or other metal, and not judged there: {shown}"


def longest_unclear(ends: list[EndValues]) -> str | None:
    """A sentence about the longest stretch whose edge is not clear, if it is longer than
    ``LONGEST_UNCLEAR_DEG``."""
    longest, text = LONGEST_UNCLEAR_DEG, None
    for end in ends:
        edges = end.edges
        angles = edges.theta_deg.size
        step = 360.0 / angles
        # Along the foil, so that a stretch goes on into the next turn.
        unclear = (edges.state == UNCLEAR)[:, :: edges.handedness].ravel()
        change = np.flatnonzero(np.diff(np.concatenate([[False], unclear, [False]]).astype(int)))
        for first, stop in zip(change[::2], change[1::2], strict=True):
            if (stop - first) * step > longest:
                longest = (stop - first) * step
                turn, angle = divmod(int(first), angles)
                begins = edges.theta_deg[:: edges.handedness][angle]
                text = (
                    f"at the {edges.end} end the edges are not clear over {longest:.0f} degrees from turn "
                    f"{turn}, {begins:.0f} degrees on, where a short overhang could not be seen; a scan with "
                    "less noise or smaller voxels would show it"
                )
    return text


def _half_split(values: list[Floats]) -> float:
    """Standard uncertainty of a mean from having looked at some angles only: half the difference of odd and
    even ones."""
    parts = [np.concatenate([v[:, i::2].ravel() for v in values]) for i in (0, 1)]
    means = [float(np.nanmean(p)) for p in parts if np.isfinite(p).any()]
    return abs(means[0] - means[1]) / 2 if len(means) == 2 else 0.0


def _extreme(
    values: list[Floats], sigmas: list[Floats], ends: list[EndValues], sign: int
) -> tuple[Any, dict[str, float]]:
    """The extreme over all ends and where it is."""
    each = [
        (extreme(v, s, sign, e.reach, e.edges.pooling), e)
        for v, s, e in zip(values, sigmas, ends, strict=True)
        if np.isfinite(v).any()
    ]
    best, end = max(each, key=lambda pair: sign * pair[0].corrected)
    turn, angle = best.index
    z = end.edges.anode_z_mm[turn, angle]
    return best, {"z_mm": float(z), "theta_deg": float(end.edges.theta_deg[angle]), "turn": float(turn)}


def _deflection_statistics(cell: CylinderCell, ends: list[EndValues], made: Any) -> list[Measurement]:
    values = np.concatenate([e.deflection.ravel() for e in ends])
    values = values[np.isfinite(values)]
    names = ("deflection.mean", "deflection.std", "deflection.max_abs")
    if values.size < 2:
        prefix = made("deflection.mean", 0.0, ()).name.removesuffix("deflection.mean")
        reason = "no free foil is long enough to show a lean"
        return [Measurement.absent(prefix + n, "deg", reason) for n in names]
    sigma = math.sqrt(float(np.mean([e.deflection_sigma**2 for e in ends])))
    typical = float(np.nanmedian(np.concatenate([e.length.ravel() for e in ends])))
    common = math.degrees(PATH_VOXELS * max(cell.frame.voxel_mm[1:]) / max(typical, ends[0].step_mm))
    tilt = Contribution(
        "direction of the axis", min(cell.frame.tilt_sigma_deg, 1.0) / math.sqrt(2), type="B", shared=False
    )
    mean = float(values.mean())
    std = math.sqrt(max(float(values.var(ddof=1)) - sigma**2, 0.0))
    n = values.size
    magnitudes = [np.abs(e.deflection) for e in ends]
    best, where = _extreme(magnitudes, [e.deflection_sigmas for e in ends], ends, 1)
    return [
        made("deflection.mean", mean, (
            Contribution("ridge noise", sigma / math.sqrt(n), degrees_of_freedom=n - 1),
            Contribution("choice of angles", _half_split([e.deflection for e in ends])),
            Contribution("neighbouring layers", 0.25 * common, type="B"),
        ), n),
        made("deflection.std", std, (
            Contribution("ridge noise", sigma / math.sqrt(2 * (n - 1)) + 0.1 * sigma),
            Contribution("neighbouring layers", 0.25 * common, type="B"),
        ), n),
        made("deflection.max_abs", max(best.corrected, 0.0), (
            Contribution("ridge noise", max(best.spread, sigma / 2)),
            Contribution("bias of the extreme", abs(best.bias) / math.sqrt(3), type="B"),
            Contribution("neighbouring layers", common, type="B"),
            tilt,
        ), n, worst_at=where),
    ]  # fmt: skip


def _base_statistics(ends: list[EndValues], made: Any, scaled: Any) -> list[Measurement]:
    spread, count, width, widths_u = 0.0, 0, 0.0, 0.0
    step = ends[0].step_mm
    for e in ends:
        base = e.base[np.isfinite(e.base)]
        if base.size < 2:
            continue
        spread += float(((base - base.mean()) ** 2).sum())
        count += base.size
        low, high = (extreme(e.base, e.base_sigmas, sign, e.base_reach, e.edges.pooling) for sign in (-1, 1))
        if high.corrected - low.corrected >= width:
            width = high.corrected - low.corrected
            widths_u = math.hypot(low.spread, high.spread, (abs(low.bias) + abs(high.bias)) / math.sqrt(3))
    sigma = math.sqrt(float(np.mean([e.base_sigma**2 for e in ends])))
    std = math.sqrt(max(spread / max(count - 1, 1) - sigma**2, 0.0))
    between = Contribution("interpolation between slices", 0.03 * step, type="B")
    network = max(e.edges.model_sigma_mm for e in ends)
    return [
        made("base_height.std", std, (
            Contribution("edge noise", sigma / math.sqrt(2 * max(count - 1, 1)) + 0.1 * sigma),
            between,
            *_network(_added(std, network)),
            scaled(std),
        ), count),
        made("base_height.range", max(width, 0.0), (
            Contribution("edge noise", max(widths_u, sigma / 2)),
            Contribution("form of the edges", MODEL_STEPS * step, type="B"),
            between,
            *_network(network),
            scaled(width),
        ), count),
    ]  # fmt: skip


def samples(edges: list[EndEdges], length: list[Floats], deflection: list[Floats]) -> Samples:
    """Every turn and angle looked at, with its state."""
    columns: dict[str, list[Any]] = {
        name: []
        for name in (
            "end", "turn", "theta_deg", "anode_z_mm", "cathode_inner_z_mm", "cathode_outer_z_mm", "length_mm",
            "deflection_deg", "state",
        )
    }  # fmt: skip
    for e, values, lean in zip(edges, length, deflection, strict=True):
        turns, nt = values.shape
        columns["end"].append(np.full(turns * nt, e.end))
        columns["turn"].append(np.repeat(np.arange(turns), nt))
        columns["theta_deg"].append(np.tile(e.theta_deg, turns))
        columns["anode_z_mm"].append(e.anode_z_mm.ravel())
        columns["cathode_inner_z_mm"].append(e.cathode_z_mm[0].ravel())
        columns["cathode_outer_z_mm"].append(e.cathode_z_mm[1].ravel())
        columns["length_mm"].append(values.ravel())
        columns["deflection_deg"].append(lean.ravel())
        columns["state"].append(np.array(STATE_NAMES)[e.state.ravel()])
    return Samples("overhang", {name: np.concatenate(parts) for name, parts in columns.items()})
