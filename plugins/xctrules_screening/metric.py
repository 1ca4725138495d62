"""The screening metric: is this scan good enough to judge a cell by it, and if not, what would cure it?

Definitions, formulas and the reason for every level stand in ``docs/screening.md``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from xctrules.core.figures import Figure, LineChart, Table
from xctrules.core.measurement import Contribution, Measurement, MetricResult
from xctrules.core.names import Description
from xctrules.cylinder.frame import GEOMETRY
from xctrules.cylinder.surfaces import CylinderCell, Floats
from xctrules_screening.edge import TEN_TO_NINETY, EdgeFit, Heights, by_height, fit_edge
from xctrules_screening.field import Saturation, saturation, truncation, undersampling
from xctrules_screening.layers import Layers, cathode_by_turn, find_layers, ring_sd, separation
from xctrules_screening.levels import (
    APART,
    AXIS_RESIDUAL_WARN_VOXELS,
    LEVELS,
    VOXEL_SCALE_REJECT,
    VOXEL_SCALE_WARN,
    Level,
)
from xctrules_screening.sampling import (
    MAX_SLICES,
    Unrolled,
    edge_band,
    nearest_slices,
    robust_sd,
    slice_greys,
    unroll,
)

USUAL_PITCH_MM = 0.4
"""Distance between turns where the scan shows none: that of commercial cells with thick electrodes."""

SHORT_VIEW = 0.25
"""Height in view over diameter below which a cone beam looks the same everywhere: its rays rise by less than
a few degrees over it."""

DESCRIPTIONS: Mapping[str, Description] = {
    "screening.snr": Description("1", "Signal to noise", "signal-to-noise ratio", "larger"),
    "screening.cnr": Description(
        "1", "Contrast to noise", "contrast-to-noise ratio between cathode and anode", "larger"
    ),
    "screening.resolution": Description(
        "mm", "Resolution", "width of the can's edge from 10 % to 90 %", "smaller"
    ),
    "screening.layer_separation": Description(
        "1", "Layer separation", "how clearly neighbouring electrode layers are told apart", "larger"
    ),
    "screening.cupping": Description(
        "1", "Cupping", "relative grey-level rise from the roll's core to its rim", "nominal"
    ),
    "screening.ring_index": Description(
        "1", "Ring index", "strength of ring artefacts against noise", "smaller"
    ),
    "screening.cone_beam_index": Description(
        "1", "Cone beam index", "growth of blur towards the ends of the volume", "smaller"
    ),
    "screening.saturation": Description(
        "1", "Saturation", "share of voxels at the end of the grey scale", "smaller"
    ),
    "screening.truncation": Description(
        "1", "Truncation", "share of the can's outline cut off by the field of view", "smaller"
    ),
    "screening.axis_residual": Description(
        "mm", "Axis residual", "residual of the slices' centres from a straight axis", "smaller"
    ),
    "screening.voxel_scale": Description(
        "1", "Voxel scale", "measured over nominal outer diameter", "nominal"
    ),
}  # fmt: skip


@dataclass
class _Findings:
    """Figures with their levels, as they come up; ``waived`` are those that reject no scan, with reasons."""

    waived: Mapping[str, str] = field(default_factory=dict)
    measurements: dict[str, Measurement] = field(default_factory=dict)
    levels: dict[str, Level] = field(default_factory=dict)
    rejections: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, measurement: Measurement, level: Level | None = None, value: float | None = None) -> None:
        """Take a figure and hold it against its level; ``value`` where another one than its own is judged."""
        level = LEVELS[measurement.name] if level is None else level
        self.measurements[measurement.name] = measurement
        self.levels[measurement.name] = level
        if measurement.value is None:
            return
        judged = measurement.value if value is None else value
        judgement = level.judgement(judged)
        if judgement == "good":
            return
        limit = level.reject if judgement == "rejected" else level.warn
        word = "below" if level.bad == "low" else "above"
        unit = "" if measurement.unit == "1" else f" {measurement.unit}"
        text = (
            f"{level.meaning} ({measurement.name} is {judged:.3g}{unit}, {word} {limit:.3g}{unit}); "
            f"cure: {level.cure}"
        )
        waiver = self.waived.get(measurement.name)
        if judgement == "rejected" and waiver is None:
            self.rejections.append(text)
        else:
            self.warnings.append(text if waiver is None else f"{text}; not held against the scan: {waiver}")

    def absent(self, names: tuple[str, ...], reason: str) -> None:
        for name in names:
            self.measurements[name] = Measurement.absent(name, Screening.declares[name], reason)


class Screening:
    """Grey-level and geometry checks of the scan: ``screening.*``."""

    geometry = GEOMETRY
    about_the_scan: Literal[True] = True
    name = "screening"
    title = "Scan quality"
    describes: Mapping[str, Description] = DESCRIPTIONS
    declares: Mapping[str, str] = {name: d.unit for name, d in DESCRIPTIONS.items()}

    def measure(self, cell: CylinderCell) -> MetricResult:
        """All figures that the scan allows; a mask is judged by its geometry alone."""
        found = _Findings(cell.segmentation.waives if cell.segmentation else {})
        figures: list[Figure] = []
        if cell.settings.mask_of is None:
            _by_grey(cell, found, figures)
        else:
            grey = tuple(n for n in self.declares if n not in _GEOMETRIC)
            found.absent(grey, f"the scan is a mask of the {cell.settings.mask_of}: it has no grey levels")
        _by_geometry(cell, found)
        if cell.settings.mask_of is not None:
            # Whoever drew the mask has judged the scan.
            found.warnings, found.rejections = [*found.warnings, *found.rejections], []
        short = undersampling(cell)
        if short:
            found.warnings.append(short)
        measurements = [found.measurements[name] for name in self.declares]
        return MetricResult(
            measurements=measurements,
            figures=[_table(measurements, found.levels), *figures],
            parameters={
                name: {"bad": level.bad, "warn": level.warn, "reject": level.reject}
                for name, level in found.levels.items()
            },
            rejections=tuple(found.rejections),
            warnings=tuple(found.warnings),
        )


_GEOMETRIC = ("screening.truncation", "screening.axis_residual", "screening.voxel_scale")
_LAYERED = ("screening.snr", "screening.cnr", "screening.layer_separation", "screening.cupping",
            "screening.ring_index")  # fmt: skip


# --- by grey levels ----------------------------------------------------------------------------------------


def _by_grey(cell: CylinderCell, found: _Findings, figures: list[Figure]) -> None:
    segmentation = cell.segmentation
    foil = None if segmentation is None else segmentation.foil
    roll = None if foil is None or foil.followed != "copper" else unroll(cell, foil)
    voxel = max(cell.frame.voxel_mm[1:])
    layers = None if roll is None else find_layers(roll, voxel)
    grey = _saturation(cell, roll, found)
    if roll is None or layers is None:
        why = "the winding was not segmented"
        if segmentation is not None:
            why = segmentation.missing.get("foil", why)
        found.absent(_LAYERED, why)
        no_layers = _why_no_layers(cell, grey)
        if no_layers:
            found.rejections.append(no_layers)
    else:
        _layers(cell, roll, layers, grey, found, figures)
    # Without a followed foil the frame's rough period may be anything, a multiple of the pitch included.
    _sharpness(cell, USUAL_PITCH_MM if roll is None else roll.pitch_mm, grey.wall > 0.05, found, figures)


def _saturation(cell: CylinderCell, roll: Unrolled | None, found: _Findings) -> Saturation:
    frame = cell.frame
    radius = frame.outer_radius_mm or 0.0
    inner, outer = 0.2 * radius, 0.93 * radius
    if roll is not None:
        located = roll.radius_mm[np.isfinite(roll.radius_mm)]
        inner, outer = float(located.min()), float(located.max())
    parts = [_slices(cell)]
    if roll is None:
        # What was taken for the roll need not be it, but it fills one half of the straight can, or both.
        parts = [half for half in np.array_split(_between(cell, cell.frame.straight_mm), 2) if half.size]
    grey = max((saturation(cell, inner, outer, part) for part in parts), key=lambda found: found.roll)
    if math.isnan(grey.roll):
        found.absent(("screening.saturation",), "no voxel lies inside the roll")
    else:
        # Neighbouring slices are alike: the share is known from some thousands of places.
        u = math.sqrt(max(grey.roll * (1 - grey.roll), 1e-4) / 1000)
        found.add(
            Measurement(
                "screening.saturation", "1", value=grey.roll, n=grey.voxels,
                budget=(Contribution("choice of slices", u, type="B"),),
                reason=f"so is {100 * grey.wall:.0f} % of the can's wall" if grey.wall > 0.01 else None,
            )
        )  # fmt: skip
    return grey


def _slices(cell: CylinderCell) -> np.ndarray:
    """Slices in which the roll is looked at: where the foil was followed, else the roll's, else the can's."""
    foil = None if cell.segmentation is None else cell.segmentation.foil
    if foil is not None:
        return nearest_slices(cell.frame, foil.z_mm, MAX_SLICES)
    return _between(cell, cell.frame.roll_mm or cell.frame.straight_mm)


def _between(cell: CylinderCell, heights_mm: tuple[float, float] | None) -> np.ndarray:
    """Slices in the middle four fifths of some heights; of all heights where none are given."""
    low, high = heights_mm or (0.0, math.inf)
    z = cell.frame.z_grid_mm()
    middle, half = 0.5 * (low + min(high, z[-1])), 0.4 * (min(high, z[-1]) - low)
    inside = z[np.abs(z - middle) <= max(half, 0.51 * cell.frame.voxel_mm[0])]
    return nearest_slices(cell.frame, inside if inside.size else z, MAX_SLICES)


def _why_no_layers(cell: CylinderCell, grey: Saturation) -> str | None:
    """A rejection where the noise hides the layers; ``None`` where there may be none to see, or they show.

    Rays are averaged over all slices looked at and arcs of 5 degrees. Layers are hidden when what changes
    along the radius is no more than what changes from one arc to the next.
    """
    frame = cell.frame
    if frame.outer_radius_mm is None:
        return None
    voxel = max(frame.voxel_mm[1:])
    r = np.arange(0.25, 0.9, 0.5 * voxel / frame.outer_radius_mm) * frame.outer_radius_mm
    theta = np.arange(0.0, 360.0, 1.0)
    rays = np.broadcast_to(r, (theta.size, r.size))
    mean = np.mean([slice_greys(cell.scan, frame, int(k), theta, rays) for k in _slices(cell)], axis=0)
    arcs = mean.reshape(72, 5, r.size).mean(axis=1).astype(np.float64)
    width = max(3, round(0.5 / (r[1] - r[0])) | 1)
    kernel = np.ones(width) / width
    fine = arcs - np.stack([np.convolve(a, kernel, mode="same") for a in arcs])
    fine = fine[:, width:-width]
    if fine.size == 0 or not np.isfinite(fine).any():
        return None
    noise = robust_sd(np.roll(fine, 1, 0) - 2 * fine + np.roll(fine, -1, 0)) / math.sqrt(6)
    pattern = math.sqrt(max(float(np.nanmean(fine**2)) - noise**2, 0.0))
    # A wave's valley is sqrt(8) of its standard deviation deep; that between copper and cathode, of which
    # there are two a turn, is no more than half as deep.
    if 0.5 * math.sqrt(8) * pattern > APART * math.sqrt(2) * noise:
        return None
    # Layers differ by a tenth of the can's own contrast or more: had there been any, would they have shown?
    if APART * math.sqrt(2) * noise < 0.1 * (cell.frame.can_grey - grey.dark_grey):
        return None
    level = LEVELS["screening.layer_separation"]
    return (
        f"no electrode layers stand out from the noise inside the can, even averaged over arcs of 5 degrees; "
        f"cure: {level.cure}"
    )


def _layers(
    cell: CylinderCell,
    roll: Unrolled,
    layers: Layers,
    grey: Saturation,
    found: _Findings,
    figures: list[Figure],
) -> None:
    u_noise = layers.noise * 0.06  # interpolation, see sampling.INTERPOLATED_NOISE
    counted = layers.noise / math.sqrt(max(layers.n / 10, 1.0))
    relative = math.hypot(u_noise, counted) / layers.noise if layers.noise > 0 else math.inf
    signal, contrast = layers.cathode_grey - grey.dark_grey, layers.cathode_grey - layers.gap_grey
    for name, height in (("screening.snr", signal), ("screening.cnr", contrast)):
        if layers.noise <= 0:
            found.absent((name,), "the scan shows no noise at all in the cathode")
            continue
        value = height / layers.noise
        found.add(
            Measurement(
                name, "1", value=value, n=layers.n,
                budget=(
                    Contribution("noise of single voxels", abs(value) * relative, type="B"),
                    Contribution("choice of slices and turns", 0.02 * abs(value), type="B"),
                ),
            )
        )  # fmt: skip
    apart = separation(roll, layers)
    if apart is None:
        found.absent(("screening.layer_separation",), "no turn was located over a whole arc")
    else:
        share = float(apart.mean())
        u = math.sqrt(max(share * (1 - share), 1 / apart.size) / max(apart.size / 4, 1))
        found.add(
            Measurement(
                "screening.layer_separation", "1", value=share, n=int(apart.size),
                budget=(Contribution("counting", u),),
            )
        )  # fmt: skip
    _cupping(roll, layers, grey, found, figures)
    rings, radii = ring_sd(roll, layers, cell.frame)
    if math.isnan(rings) or layers.noise <= 0:
        found.absent(("screening.ring_index",), "too little of the roll is in view to tell rings from layers")
    else:
        index = rings / layers.noise
        u = math.hypot(index / math.sqrt(2 * radii), 0.05 / math.sqrt(radii))
        found.add(
            Measurement(
                "screening.ring_index", "1", value=index, n=radii,
                budget=(
                    Contribution("number of radii", u),
                    Contribution("noise of single voxels", index * relative, type="B"),
                ),
            )
        )  # fmt: skip
    figures.append(_turn_chart(roll, layers))


def _cupping(
    roll: Unrolled, layers: Layers, grey: Saturation, found: _Findings, figures: list[Figure]
) -> None:
    by_turn = cathode_by_turn(roll, layers)
    radius = np.full(by_turn.size, np.nan)
    for i in np.flatnonzero(np.isfinite(by_turn)):
        radius[i] = float(np.nanmedian(roll.radius_mm[i])) + 0.5 * roll.pitch_mm
    turns = np.flatnonzero(np.isfinite(by_turn))
    contrast = layers.cathode_grey - layers.gap_grey
    if turns.size < 3 or not layers.cathode_grey > grey.dark_grey:
        found.absent(
            ("screening.cupping",), "fewer than three turns between the first and the last were located"
        )
        return
    third = turns.size // 3
    inside, outside = by_turn[turns[:third]], by_turn[turns[-third:]]
    height = float(np.median(outside)) - grey.dark_grey
    if height <= 0:
        found.absent(
            ("screening.cupping",), "the outer turns are no brighter than the darkest part of the can"
        )
        return
    value = (float(np.median(outside)) - float(np.median(inside))) / height
    scatter = robust_sd(np.diff(by_turn[turns])) / math.sqrt(third) / height
    # Half of the contrast: from there on one global threshold would take gap for cathode, or the reverse.
    half = 0.5 * contrast / max(layers.cathode_grey - grey.dark_grey, 1e-9)
    found.add(
        Measurement(
            "screening.cupping", "1", value=value, n=int(turns.size),
            budget=(Contribution("scatter between turns", max(scatter, 0.0005)),
                    Contribution("grey of the dark reference", 0.02 * abs(value), type="B")),
        ),
        dataclasses.replace(LEVELS["screening.cupping"], warn=max(half, 0.0)),
        abs(value),
    )  # fmt: skip
    figures.append(
        LineChart(
            id="screening-cupping",
            title="Cathode's grey level from turn to turn",
            caption="Middle of the cathode coating, the same material in every turn. A sound scan gives a "
            "level line; one that sags towards the centre shows beam hardening (cupping), one that rises "
            "there shows it overcorrected.",
            alt=f"Grey level of the cathode against radius; inner third {100 * value:.1f} % below outer.",
            series=(
                ("cathode", "cathode", radius[turns], by_turn[turns]),
                ("gap beside it", "note", radius[turns], np.full(turns.size, layers.gap_grey)),
            ),
            x_label="Radius (mm)",
            y_label="Grey level",
        )
    )


# --- sharpness ---------------------------------------------------------------------------------------------


def _sharpness(
    cell: CylinderCell, pitch_mm: float, saturated: bool, found: _Findings, figures: list[Figure]
) -> None:
    names = ("screening.resolution", "screening.cone_beam_index")
    voxel = max(cell.frame.voxel_mm[1:])
    if voxel > pitch_mm / 4:
        found.rejections.append(
            f"voxels of {voxel:.3g} mm cannot show two layers in each turn of {pitch_mm:.3g} mm: four voxels "
            f"a turn are the least (Nyquist); cure: scan with voxels of {pitch_mm / 8:.2g} mm or less"
        )
    can = None if cell.segmentation is None else cell.segmentation.can
    band = None if can is None else edge_band(cell, can)
    fit = None if band is None else fit_edge(band)
    if can is None or band is None or fit is None:
        reason = "" if cell.segmentation is None else cell.segmentation.missing.get("can", "")
        found.absent(names, reason or "the can's outer edge is not in view")
        return
    heights = by_height(band)
    model = abs(fit.width_mm - TEN_TO_NINETY * can.blur_mm) / math.sqrt(3)
    # Lines d apart show a dip while their blur is below d / 2 (Sparrow), a clear one of 26 % below d / 2.8
    # (Rayleigh). Copper and cathode are half a pitch apart.
    level = dataclasses.replace(
        LEVELS["screening.resolution"],
        warn=TEN_TO_NINETY * pitch_mm / 5.6,
        reject=TEN_TO_NINETY * pitch_mm / 4,
    )
    told = "the can's wall is saturated, which makes its edge look sharper" if saturated else None
    if saturated:
        model = math.hypot(
            model, 0.3 * fit.width_mm
        )  # clipping at half of the wall's grey takes that much off
    elif heights is not None:
        told = "by height (first, middle, last third in view): " + ", ".join(
            f"{w:.3f}" for w in heights.width_mm
        )
    found.add(
        Measurement(
            "screening.resolution", "mm", value=fit.width_mm, n=int(band.grey.shape[0] * band.grey.shape[1]),
            budget=(
                Contribution("fit of the edge", fit.width_sigma_mm),
                Contribution("model of the wall", max(model, 0.02 * fit.width_mm), type="B"),
                cell.scale.contribution(fit.width_mm),
            ),
            reason=told,
        ),
        level,
    )  # fmt: skip
    _cone_beam(cell, heights, found)
    figures.append(_edge_chart(fit))


def _cone_beam(cell: CylinderCell, heights: Heights | None, found: _Findings) -> None:
    name = "screening.cone_beam_index"
    low, high = cell.frame.straight_mm or (0.0, 0.0)
    diameter = 2 * (cell.frame.outer_radius_mm or math.inf)
    if heights is None or high - low < SHORT_VIEW * diameter:
        seen = f"{high - low:.1f} mm of straight can in view are"
        found.absent((name,), f"the {seen} too few for the beam's cone to tell")
        return
    found.add(
        Measurement(
            name, "1", value=heights.index, n=3,
            budget=(Contribution("fits of the edge", heights.index_sigma),),
        )
    )  # fmt: skip


# --- by geometry -------------------------------------------------------------------------------------------


def _by_geometry(cell: CylinderCell, found: _Findings) -> None:
    frame = cell.frame
    if frame.outer_radius_mm is None:
        found.absent(_GEOMETRIC, "the scan shows no can")
        return
    voxel = max(frame.voxel_mm[1:])
    share = truncation(cell)
    found.add(
        Measurement(
            "screening.truncation", "1", value=share, n=180,
            budget=(Contribution("directions looked at", 1 / 180 / math.sqrt(3), type="B"),),
        )
    )  # fmt: skip
    low, high = frame.straight_mm or (0.0, 0.0)
    slices = (high - low) / frame.voxel_mm[0]
    if slices < 4:
        found.absent(("screening.axis_residual",), "fewer than four slices of straight can are in view")
    else:
        value = frame.axis_residual_mm
        found.add(
            Measurement(
                "screening.axis_residual", "mm", value=value, n=int(slices),
                budget=(
                    Contribution("number of slices", value / math.sqrt(2 * slices)),
                    cell.scale.contribution(value),
                    Contribution("location of the outlines", 0.02 * voxel, type="B"),
                ),
            ),
            dataclasses.replace(
                LEVELS["screening.axis_residual"], warn=AXIS_RESIDUAL_WARN_VOXELS * voxel
            ),
        )  # fmt: skip
    _voxel_scale(cell, found)


def _voxel_scale(cell: CylinderCell, found: _Findings) -> None:
    name = "screening.voxel_scale"
    nominal = cell.nominal.get("outer_diameter")
    if not nominal:
        found.absent((name,), "the spec gives no nominal outer diameter")
        return
    can = None if cell.segmentation is None else cell.segmentation.can
    diameter = 2 * (cell.frame.outer_radius_mm or math.nan)
    if can is not None and can.straight.any() and np.isfinite(can.outer_mm[can.straight]).any():
        diameter = 2 * float(np.nanmean(can.outer_mm[can.straight]))
    ratio = diameter / nominal
    away = abs(ratio - 1)
    level = dataclasses.replace(
        LEVELS[name],
        warn=VOXEL_SCALE_WARN,
        reject=VOXEL_SCALE_REJECT,
        meaning=f"the can measures {diameter:.2f} mm, the spec's nominal diameter is {nominal:g} mm: is "
        "this the right spec, and the right voxel size?",
    )
    found.add(
        Measurement(
            name, "1", value=ratio,
            budget=(
                cell.scale.contribution(ratio),
                Contribution("location of the edge", 0.1 * max(cell.frame.voxel_mm[1:]) / nominal, type="B"),
            ),
        ),
        level,
        away,
    )  # fmt: skip


# --- what people look at -----------------------------------------------------------------------------------


def _table(measurements: list[Measurement], levels: Mapping[str, Level]) -> Table:
    rows: list[tuple[Any, ...]] = []
    for m in measurements:
        level = levels.get(m.name)
        name = m.name.removeprefix("screening.").replace("_", " ")
        if m.value is None or level is None:
            rows.append((name, None, m.unit, None, None, None, "not measured"))
            continue
        value = m.value
        if m.name == "screening.voxel_scale":
            value = abs(m.value - 1)
        elif m.name == "screening.cupping":
            value = abs(m.value)
        sign = "<" if level.bad == "low" else ">"
        limits = [None if v is None else f"{sign} {v:.3g}" for v in (level.warn, level.reject)]
        if m.name == "screening.voxel_scale":
            limits = [None if v is None else f"off by > {100 * v:.3g} %" for v in (level.warn, level.reject)]
        rows.append(
            (name, m.value, m.unit, m.expanded_uncertainty, limits[0], limits[1], level.judgement(value))
        )
    return Table(
        id="screening-levels",
        title="Figures of the scan and their levels",
        caption="Each figure is taken inside the can. A warning leaves the verdict standing; a rejected "
        "figure makes it SCAN_REJECTED. docs/screening.md defines each and derives its levels.",
        columns=("figure", "value", "unit", "± (95 %)", "warns", "rejects", "judgement"),
        rows=tuple(rows),
    )


def _edge_chart(fit: EdgeFit) -> LineChart:
    return LineChart(
        id="screening-edge",
        title="The can's outer edge",
        caption="Mean grey level across the wall, from inside (left) to outside (right), with the blurred "
        "slab that was fitted to it. The steeper the flank on the right, the sharper the scan; a line that "
        "does not follow the dots means that the width should not be trusted.",
        alt=f"Edge profile of the can; its 10 to 90 % width is {fit.width_mm:.3f} mm.",
        series=(
            ("scan", "can", fit.away_mm, fit.profile),
            ("fit", "fit", fit.away_mm, fit.fitted),
        ),
        x_label="Distance from the outer surface (mm)",
        y_label="Grey level",
    )


def _turn_chart(roll: Unrolled, layers: Layers) -> LineChart:
    def level(grey: float) -> tuple[Floats, Floats]:
        return np.array([0.0, 1.0]), np.array([grey, grey])

    return LineChart(
        id="screening-turn",
        title="One turn, averaged over the roll",
        caption="From one turn's copper (0) to the next one's (1). The cathode shows as the broad rise in "
        "the middle. Both valleys beside it should be clear; where they fill up, layers run into one.",
        alt="Mean grey level from copper to copper, with the levels of cathode and gap.",
        series=(
            ("mean of all turns", "anode", roll.phase, layers.profile),
            ("cathode", "cathode", *level(layers.cathode_grey)),
            ("gap", "note", *level(layers.gap_grey)),
        ),
        x_label="Place in the turn",
        y_label="Grey level",
    )
