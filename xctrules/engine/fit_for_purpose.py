"""Is this scan fit for its purpose? Two answers before anything is measured.

:func:`unmet_needs` says whether a metric gets the least quality of scan that it declares; below it, its
numbers would be no measurements. :func:`assess` predicts, for each rule of the spec, the uncertainty that
this scan can give, and says whether that is small enough to decide the rule's limit, and what would make it
so.

The predictions are simple on purpose: one formula for each kind of quantity (``docs/screening.md``), from
voxel size, blur, noise and length scale alone. The budget of the measurement itself has the last word.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xctrules.core.measurement import Measurement, Scale

LEAST_CAPABILITY = 2.0
"""Least ratio of the room to the expanded uncertainty: at 1, the guard band takes all the room."""

COVERAGE = 2.0

_GAUSSIAN = 2.5631031310892007
"""10-90 % width of a Gaussian edge over its standard deviation."""

NOMINAL_FOR: Mapping[str, str] = {
    "canister.outer_diameter": "outer_diameter",
    "canister.inner_diameter": "inner_diameter",
    "canister.wall_thickness.mean": "wall_thickness",
    "canister.wall_thickness.min": "wall_thickness",
    "canister.wall_thickness.max": "wall_thickness",
    "winding.pitch": "pitch",
}
"""Nominal dimension of the spec that tells where a good cell's value lies."""

ZERO_IN_A_GOOD_CELL = (
    "canister.dent_depth", "canister.ovality", "canister.roundness", "winding.core_collapse",
    "overhang.negative_fraction",
)  # fmt: skip


def unmet_needs(
    needs: Mapping[str, tuple[float | None, float | None]], found: Mapping[str, Measurement]
) -> str | None:
    """Why a metric cannot be measured on this scan; ``None`` when all that it needs is there.

    Parameters
    ----------
    needs
        Least and largest value of screening figures, ``None`` for an open side.
    found
        The screening's measurements. A figure that was not measured excludes nothing: that a quality is
        unknown does not make it bad.
    """
    for name, (low, high) in needs.items():
        measurement = found.get(name)
        if measurement is None or measurement.status != "measured" or measurement.value is None:
            continue
        value, unit = measurement.value, "" if measurement.unit == "1" else f" {measurement.unit}"
        if low is not None and value < low:
            return (
                f"the scan is not good enough: {name} is {value:.3g}{unit}, at least {low:g}{unit} is needed"
            )
        if high is not None and value > high:
            return (
                f"the scan is not good enough: {name} is {value:.3g}{unit}, at most {high:g}{unit} is allowed"
            )
    return None


@dataclass(frozen=True)
class ScanQuality:
    """What the uncertainty of a measurement depends on.

    Attributes
    ----------
    voxel_mm
        (z, in the slice).
    blur_mm
        Standard deviation of the edge spread.
    noise
        Noise of single voxels over the contrast of cathode and gap.
    can_noise
        The same over the contrast of the can's wall.
    diameter_mm, height_mm, pitch_mm
        Of the can; straight height of it in view; distance between turns.
    angles
        Half-planes looked at.
    scale
    """

    voxel_mm: tuple[float, float]
    blur_mm: float
    noise: float
    can_noise: float
    diameter_mm: float
    height_mm: float
    pitch_mm: float
    angles: int
    scale: Scale

    @property
    def turns(self) -> float:
        """Turns of a roll that fills the can out to a core of a fifth of it."""
        return max(1.0, 0.4 * self.diameter_mm / self.pitch_mm)

    def edge(self, along_axis: bool = False, can: bool = False) -> float:
        """Standard uncertainty of one located edge from noise, in mm.

        Cramer-Rao bound of a step blurred by a Gaussian of standard deviation b, sampled every d, in white
        noise s on a contrast A: ``s / A * sqrt(2 sqrt(pi) b d)``.
        """
        spacing = self.voxel_mm[0] if along_axis else self.voxel_mm[1]
        blur = max(self.blur_mm, 0.5 * spacing)
        return (self.can_noise if can else self.noise) * math.sqrt(2 * math.sqrt(math.pi) * blur * spacing)


@dataclass(frozen=True)
class Prediction:
    """Standard uncertainty by its causes: ``scale`` the length scale, ``voxel`` what shrinks with the voxel,
    ``noise`` what shrinks with the noise."""

    scale: float
    voxel: float
    noise: float

    @property
    def expanded(self) -> float:
        return COVERAGE * math.sqrt(self.scale**2 + self.voxel**2 + self.noise**2)


_Formula = Callable[[ScanQuality, float], Prediction]
"""From the scan's quality and the size of the quantity."""


def _diameter(q: ScanQuality, size: float) -> Prediction:
    rays = max(1.0, q.angles * q.height_mm / q.voxel_mm[0])
    return Prediction(
        size * q.scale.relative_uncertainty, 0.05 * q.voxel_mm[1], 2 * q.edge(can=True) / math.sqrt(rays)
    )


def _wall_mean(q: ScanQuality, size: float) -> Prediction:
    rays = max(1.0, q.angles * q.height_mm / q.voxel_mm[0])
    noise = math.sqrt(2) * q.edge(can=True) / math.sqrt(rays)
    return Prediction(size * q.scale.relative_uncertainty, 0.1 * q.voxel_mm[1], noise)


def _can_place(q: ScanQuality, size: float) -> Prediction:
    """One place of the can, averaged over a few voxels each way: least wall, dent, ovality, roundness."""
    noise = math.sqrt(2) * q.edge(can=True) / 3
    return Prediction(size * q.scale.relative_uncertainty, 0.15 * q.voxel_mm[1], noise)


def _overhang_mean(q: ScanQuality, size: float) -> Prediction:
    count = q.turns * q.angles / 10  # neighbouring half-planes share voxels
    noise = math.sqrt(2) * q.edge(along_axis=True) / math.sqrt(max(count, 1.0))
    return Prediction(size * q.scale.relative_uncertainty, 0.15 * q.voxel_mm[0], noise)


def _overhang_place(q: ScanQuality, size: float) -> Prediction:
    """One overhang, the least or the largest: two edges, neither of them averaged over many."""
    noise = math.sqrt(2) * q.edge(along_axis=True)
    return Prediction(size * q.scale.relative_uncertainty, 0.25 * q.voxel_mm[0], noise)


def _deflection(q: ScanQuality, size: float) -> Prediction:
    """Angle of a foil of 0.6 mm free length, from its sideways place at both ends."""
    degrees = math.degrees(1 / 0.6)
    return Prediction(0.0, 0.1 * q.voxel_mm[1] * degrees, math.sqrt(2) * q.edge() * degrees)


def _pitch(q: ScanQuality, size: float) -> Prediction:
    noise = math.sqrt(2) * q.edge() / q.turns / math.sqrt(max(q.angles / 10, 1.0))
    return Prediction(size * q.scale.relative_uncertainty, 0.05 * q.voxel_mm[1] / q.turns, noise)


def _foil_place(q: ScanQuality, size: float) -> Prediction:
    """One place of the foil against a fitted line: winding errors, core collapse, gap to the can."""
    return Prediction(size * q.scale.relative_uncertainty, 0.1 * q.voxel_mm[1], q.edge())


_FORMULAS: Sequence[tuple[str, str, _Formula]] = (
    ("canister.", "diameter", _diameter),
    ("canister.wall_thickness", ".mean", _wall_mean),
    ("canister.wall_thickness", "", _can_place),
    ("canister.dent_depth", "", _can_place),
    ("canister.ovality", "", _can_place),
    ("canister.roundness", "", _can_place),
    ("overhang.", "deflection.mean", _deflection),
    ("overhang.", "deflection.std", _deflection),
    ("overhang.", "deflection.max_abs", _deflection),
    ("overhang.", "length.mean", _overhang_mean),
    ("overhang.", "length.std", _overhang_mean),
    ("overhang.", "length.min", _overhang_place),
    ("overhang.", "length.max", _overhang_place),
    ("overhang.", "base_height.std", _overhang_mean),
    ("overhang.", "base_height.range", _overhang_place),
    ("winding.pitch", "", _pitch),
    ("winding.", "error", _foil_place),
    ("winding.core_collapse", "", _foil_place),
    ("winding.concentricity", "", _foil_place),
    ("winding.can_gap", "", _foil_place),
)  # fmt: skip
"""(beginning of the name, its end, formula); the first that fits."""


def predict(measurement: str, quality: ScanQuality, size: float) -> Prediction | None:
    """Uncertainty that a scan can give for a measurement of about ``size``; ``None`` without a formula."""
    for start, end, formula in _FORMULAS:
        if measurement.startswith(start) and measurement.endswith(end):
            return formula(quality, abs(size))
    return None


def quality_of(cell: Any, found: Mapping[str, Measurement]) -> ScanQuality | str:
    """What the screening says of the scan, as the predictions need it; or why they cannot be made."""
    from xctrules.cylinder.frame import CellFrame

    if cell is None:
        return "the cell was not found in the scan"
    if not isinstance(cell.frame, CellFrame):
        return "the formulas are those of a cylindrical cell"
    if cell.settings.mask_of is not None:
        return "the scan is a mask: its edges' noise and blur are not known"

    def value(name: str) -> float | None:
        m = found.get(name)
        return None if m is None or m.status != "measured" else m.value

    radius, resolution = cell.frame.outer_radius_mm, value("screening.resolution")
    contrast, signal = value("screening.cnr"), value("screening.snr")
    if radius is None or resolution is None:
        return "the sharpness of the can's edge was not measured"
    if not contrast or contrast <= 0 or not signal or signal <= 0:
        return "the noise inside the roll was not measured"
    dz, dy, dx = cell.frame.voxel_mm
    low, high = cell.frame.straight_mm or (0.0, dz)
    pitch = cell.frame.roll_pitch_mm
    return ScanQuality(
        voxel_mm=(dz, max(dy, dx)),
        blur_mm=resolution / _GAUSSIAN,
        noise=1 / contrast,
        can_noise=1 / signal,  # of the cathode: the brighter can does better
        diameter_mm=2 * radius,
        height_mm=max(high - low, dz),
        pitch_mm=pitch if 0.1 < pitch < 1.0 else 0.4,
        angles=cell.settings.angles,
        scale=cell.scale,
    )


def assess(
    rules: Sequence[Mapping[str, Any]], nominal: Mapping[str, float], quality: ScanQuality | str
) -> list[dict[str, Any]]:
    """For each rule, whether this scan can decide it.

    Parameters
    ----------
    rules
        The spec's, resolved: ``id``, ``measurement``, ``unit``, ``min``, ``max``.
    nominal
        The spec's nominal dimensions in mm.
    quality
        Or a reason why it is not known.

    Returns
    -------
    list of dict
        ``rule``, ``measurement``, ``unit``; ``predicted_expanded_uncertainty``; ``room``, from where a good
        cell's value lies to the limit, or half of a two-sided tolerance; ``capability``, room over
        uncertainty; ``can_decide``: ``True`` when that is at least 2, ``None`` where not known; ``reason`` in
        words; ``cure``, ``None`` where none is needed.
    """
    return [_assess(rule, nominal, quality) for rule in rules]


def _assess(
    rule: Mapping[str, Any], nominal: Mapping[str, float], quality: ScanQuality | str
) -> dict[str, Any]:
    name, unit = str(rule["measurement"]), str(rule["unit"])
    entry: dict[str, Any] = {
        "rule": str(rule["id"]),
        "measurement": name,
        "unit": unit,
        "predicted_expanded_uncertainty": None,
        "room": None,
        "capability": None,
        "can_decide": None,
        "reason": "",
        "cure": None,
    }
    if isinstance(quality, str):
        return {**entry, "reason": f"no prediction: {quality}"}
    low, high = (_limit(rule.get(side)) for side in ("min", "max"))
    typical = _typical(name, nominal)
    size = next((v for v in (typical, high, low) if v), 0.7)  # 0.7 mm: a usual overhang, where all are zero
    prediction = predict(name, quality, size)
    if prediction is None:
        return {**entry, "reason": "no formula predicts this measurement's uncertainty"}
    expanded = prediction.expanded
    entry["predicted_expanded_uncertainty"] = expanded
    room = _room(low, high, typical)
    if room is None:
        entry["reason"] = (
            f"the spec does not say where a good cell's value lies: this scan decides cells whose value is "
            f"at least {_short(expanded)} {unit} away from the limit"
        )
        return entry
    capability = room / expanded if expanded > 0 else math.inf
    entry |= {"room": room, "capability": min(capability, 1e9), "can_decide": capability >= LEAST_CAPABILITY}
    if entry["can_decide"]:
        entry["reason"] = f"the room of {_short(room)} {unit} is {capability:.1f} times the uncertainty"
    else:
        entry["reason"] = (
            f"the room of {_short(room)} {unit} is only {capability:.1f} times the uncertainty, "
            f"at least {LEAST_CAPABILITY:g} times is needed"
        )
        entry["cure"] = _cure(prediction, room / LEAST_CAPABILITY / COVERAGE, quality, size)
    return entry


def _limit(value: Any) -> float | None:
    if isinstance(value, Mapping):
        value = value.get("value")
    return None if value is None else float(value)


def _typical(name: str, nominal: Mapping[str, float]) -> float | None:
    if name in ZERO_IN_A_GOOD_CELL:
        return 0.0
    return nominal.get(NOMINAL_FOR.get(name, ""))


def _room(low: float | None, high: float | None, typical: float | None) -> float | None:
    """Half of a two-sided tolerance; else from where a good cell lies to the limit, if that is inside it."""
    if low is not None and high is not None:
        return 0.5 * (high - low)
    if typical is None:
        return None
    room = high - typical if high is not None else typical - low if low is not None else 0.0
    return room if room > 0 else None


def _cure(prediction: Prediction, allowed: float, quality: ScanQuality, size: float) -> str:
    """What would bring the standard uncertainty down to ``allowed``, the largest cause first."""
    cures = []
    others = math.hypot(prediction.voxel, prediction.noise)
    # Half of the variance for each of the two, unless one of them can be left as it is.
    for_scale = math.sqrt(max(allowed**2 - others**2, 0.5 * allowed**2))
    for_image = math.sqrt(max(allowed**2 - prediction.scale**2, 0.5 * allowed**2))
    if prediction.scale > for_scale and size > 0:
        verb = "calibrate" if quality.scale.stated else "calibrate and state"
        cures.append(
            f"{verb} the voxel size to {100 * for_scale / size:.2g} % (standard uncertainty; now "
            f"{100 * quality.scale.relative_uncertainty:.2g} %)"
        )
    if others > for_image:
        share = for_image / others
        if prediction.voxel >= prediction.noise:
            z, inplane = (1000 * share * v for v in quality.voxel_mm)
            cures.append(
                f"scan with voxels of {min(z, inplane):.2g} um or less"
                if math.isclose(z, inplane, rel_tol=0.01)
                else f"scan with voxels of {z:.2g} um along the axis and {inplane:.2g} um across, or less"
            )
        else:
            cures.append(f"lower the noise to {100 * share:.2g} % of what it is (or the voxels' size)")
    return "; ".join(cures) or "lower noise and voxel size together"


def _short(value: float) -> str:
    return f"{value:.2g}"


def section(assessed: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The assessment as a section of the report; ``None`` when there is nothing to show."""
    from xctrules.core.figures import Table
    from xctrules.pages.figures import figure_to_json

    if not assessed:
        return None
    words = {True: "yes", False: "no", None: "depends on the value"}
    rows = tuple(
        (
            entry["rule"],
            entry["unit"],
            entry["predicted_expanded_uncertainty"],
            entry["room"],
            words[entry["can_decide"]]
            if entry["predicted_expanded_uncertainty"] is not None
            else "not known",
            entry["reason"],
            entry["cure"] or "",
        )
        for entry in assessed
    )
    table, _ = figure_to_json(
        Table(
            id="fitness-rules",
            title="Can this scan decide each limit?",
            caption="Predicted before measuring, from voxel size, blur, noise and length scale. Room is the "
            "distance from the nominal value to the limit, or half of a two-sided tolerance; a scan "
            "decides well when its uncertainty is at most half of the room.",
            columns=("rule", "unit", "expected ± (95 %)", "room", "can decide", "why", "what would help"),
            rows=rows,
        )
    )
    return {
        "metric": "fitness",
        "title": "Fit for purpose",
        "plugin": "xctrules",
        "measurements": [],
        "figures": [table],
    }
