"""From single cases to what they show: plain figures, and whether they meet what is asked.

Errors are in voxels (along z for heights and overhangs, in the plane for everything else), in degrees for
angles, and in per cent for the pitch's bias.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from xctrules.campaigns.validation.ensemble import DIAMETER
from xctrules.campaigns.validation.statistics import (
    Z_95,
    DetectionCurve,
    Location,
    Optics,
    Share,
    fit_detection,
    pooled_sd,
    upper_bound,
)
from xctrules.core.measurement import VOXEL_SCALE

Row = Mapping[str, Any]

COVERAGE_RANGE = (0.90, 0.99)
"""Share of 95 % intervals that should hold the truth: fewer are a false promise, more are too wide."""
ENOUGH = 60
"""Intervals from which the share itself is held against the range; with fewer, its own interval is."""
LEAST = 10
"""Cases without which nothing is said."""

COVERED = (
    DIAMETER,
    "canister.wall_thickness.mean",
    "canister.dent_depth",
    "overhang.length.mean",
    "overhang.length.min",
    "overhang.length.max",
    "overhang.deflection.std",
    "winding.pitch",
    "winding.core_collapse",
)
"""Measurements whose coverage decides whether the validation holds."""

FAULT_ONLY = ("canister.dent_depth", "winding.core_collapse")
"""Depths that are zero on a sound part: their coverage and bias are those of the faulty cells alone."""

BIAS_LIMITS: Mapping[str, tuple[float, str]] = {
    DIAMETER: (0.03, "voxel"),
    "canister.wall_thickness.mean": (0.1, "voxel"),
    "canister.dent_depth": (0.15, "voxel"),
    "overhang.length.mean": (0.15, "voxel"),
    "overhang.length.min": (0.4, "voxel"),
    "winding.pitch": (0.1, "%"),
}
"""Largest bias at a published scan's voxel size, noise and blur."""

DETECTION_TARGETS: Mapping[str, float] = {"dent": 1.5, "negative overhang": 2.0}
"""Size in voxels that at least 95 % of scans must show."""
TARGET_SHARE = 0.95

FAIL_BEYOND: Mapping[str, float] = {"dent": 0.5, "negative overhang": 0.0, "buckle": 1.0}
"""Depth in voxels beyond which a fault counts as found, and on a sound cell as a false alarm.

For the negative overhang it is the bundled rule's limit. Nobody publishes limits on dents and buckles: these
lie well below the sizes that must be found.
"""

FOUND_IN_WORDS = {
    "dent": "a dent deeper than half a voxel, within the drawn dent's width",
    "negative overhang": "a smallest overhang below zero: a FAIL of the bundled rule",
    "buckle": "a core collapse deeper than one voxel, within the drawn buckle's width",
}

EDGE_DEG = 3.0
"""Stretch of a turn from which one cathode edge is read: three half-planes, 1 degree apart."""

NOISE_LINES = ("noise of the edge", "edge noise")
"""Budget lines that the Cramér-Rao bound speaks of."""

SOUND_CASES = 200
"""Sound cells without a false alarm that bound its rate at 1.5 %: with fewer nothing is said."""

STRATA: Mapping[str, tuple[tuple[str, float, float], ...]] = {
    "voxel size": (("15 to 25 µm", 0, 0.025), ("25 to 40 µm", 0.025, 0.040), ("40 to 60 µm", 0.040, 1)),
    "noise": (("below 2 %", 0, 0.0199), ("2 to 4 %", 0.0199, 0.04), ("above 4 %", 0.04, 10)),
    "blur": (("below 0.8 voxel", 0, 0.8), ("0.8 to 1.05 voxel", 0.8, 1.05), ("above 1.05 voxel", 1.05, 9)),
}
_STRATUM_OF: Mapping[str, Callable[[Row], float]] = {
    "voxel size": lambda spec: spec["voxel_size_mm"][2],
    "noise": lambda spec: spec["imaging"]["noise"],
    "blur": lambda spec: spec["imaging"]["blur_px"],
}


def find(rows: Iterable[Row], header: Mapping[str, Any]) -> dict[str, Any]:
    """All figures of a validation, ready for ``validation.json``.

    Parameters
    ----------
    rows
        Lines of ``cases.jsonl``.
    header
        What they are cases of: ``ensemble.json``.
    """
    rows = sorted(rows, key=lambda row: row["index"])
    whole = [row for row in rows if "error" not in row]
    fit = [row for row in whole if row["unfit"] is None]
    cells = _one_scan_of_each_cell(fit)
    measurements = {name: _measurement(name, cells) for name in _names(cells)}
    detection = {fault: _detection(fault, fit) for fault in FOUND_IN_WORDS}
    found: dict[str, Any] = {
        **header,
        "cases": _cases(rows),
        "measurements": measurements,
        "strata": {name: _strata(name, cells) for name in COVERED},
        "repeatability": _repeatability(fit),
        "bounds": _bounds(cells),
        "detection": detection,
        "false_alarms": _false_alarms(cells),
        "decisions": _decisions(cells),
        "unfit": [_unfit(row) for row in whole if row["unfit"] is not None],
        "errors": [{"index": row["index"], "error": row["error"]} for row in rows if "error" in row],
        "worst": _worst(fit),
    }
    criteria = _criteria(found)
    return {"holds": all(c["holds"] is not False for c in criteria), "criteria": criteria, **found}


def _one_scan_of_each_cell(rows: Sequence[Row]) -> list[Row]:
    """Repeat scans of a cell share its errors and must not count them several times: the first counts."""
    seen: set[int] = set()
    kept = []
    for row in rows:
        if row["group"] is None or row["group"] not in seen:
            kept.append(row)
        if row["group"] is not None:
            seen.add(row["group"])
    return kept


def _cases(rows: Sequence[Row]) -> dict[str, Any]:
    kinds: dict[str, int] = {}
    for row in rows:
        kinds[row["kind"]] = kinds.get(row["kind"], 0) + 1
    return {"n": len(rows), "kinds": dict(sorted(kinds.items()))}


def _names(rows: Sequence[Row]) -> list[str]:
    """Measurements with a truth, in the order in which they were declared; ends apart are left out."""
    names: dict[str, None] = {}
    for row in rows:
        for name, entry in row["measurements"].items():
            one_end = name.startswith(("overhang.top.", "overhang.bottom."))
            if entry["truth"] is not None and not one_end and not name.endswith("eccentricity"):
                names[name] = None
    return list(names)


# --- errors ----------------------------------------------------------------------------------------------


def unit_in(name: str, entry: Row, spec: Row) -> tuple[float, str]:
    """What one unit of the error is called, and how many of the measurement's unit it holds."""
    if entry["unit"] != "mm":
        return 1.0, {"1": "", "deg": "degree"}.get(entry["unit"], str(entry["unit"]))
    along_z = name.startswith(("overhang.length", "overhang.base", "overhang.top", "overhang.bottom"))
    return spec["voxel_size_mm"][0 if along_z else 2], "voxel"


def error(name: str, row: Row) -> float:
    """Value minus truth in voxels (degrees), without the told voxel size's own error; NaN if none."""
    entry = row["measurements"].get(name)
    if entry is None or entry.get("value") is None or entry["truth"] is None:
        return math.nan
    value = entry["value"]
    if entry["unit"] == "mm":
        value /= 1 + row["scale_error"]
    return float((value - entry["truth"]) / unit_in(name, entry, row["spec"])[0])


def half_width(name: str, row: Row) -> float:
    """Expanded uncertainty in voxels (degrees); NaN where nothing was measured."""
    entry = row["measurements"].get(name)
    if entry is None or entry.get("value") is None or entry["expanded_uncertainty"] is None:
        return math.nan
    return float(entry["expanded_uncertainty"] / unit_in(name, entry, row["spec"])[0])


def covered(name: str, row: Row) -> bool | None:
    """Whether the interval holds the truth, the told voxel size with its error left in; ``None`` if none."""
    entry = row["measurements"].get(name)
    if (
        entry is None
        or entry.get("value") is None
        or entry["truth"] is None
        or not entry["expanded_uncertainty"]
    ):
        return None  # a value without uncertainty, such as a count, promises no interval
    return bool(abs(entry["value"] - entry["truth"]) <= entry["expanded_uncertainty"] * (1 + 1e-9) + 1e-12)


def _counts(name: str, row: Row) -> bool:
    """Whether a case says anything about the bias and coverage of a measurement."""
    entry = row["measurements"].get(name)
    if entry is None or entry["truth"] is None:
        return False
    return name not in FAULT_ONLY or entry["truth"] > 0


def _coverage(name: str, rows: Iterable[Row]) -> dict[str, Any]:
    seen = [held for row in rows if (held := covered(name, row)) is not None]
    return Share(sum(seen), len(seen)).as_json()


def _measurement(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    relevant = [row for row in rows if _counts(name, row)]
    measured = [row for row in relevant if row["measurements"][name].get("value") is not None]
    errors = np.array([error(name, row) for row in measured])
    widths = np.array([half_width(name, row) for row in measured])
    entry = next(row["measurements"][name] for row in rows if name in row["measurements"])
    unit = unit_in(name, entry, rows[0]["spec"])[1]
    sound = [row for row in rows if name in FAULT_ONLY and not _counts(name, row)]
    reasons: dict[str, int] = {}
    for row in relevant:
        reason = row["measurements"][name].get("reason")
        if row["measurements"][name].get("value") is None and reason:
            reasons[reason] = reasons.get(reason, 0) + 1
    return {
        "unit": unit,
        "n": len(measured),
        "not_measured": len(relevant) - len(measured),
        "reasons": dict(sorted(reasons.items(), key=lambda item: -item[1])[:5]),
        "bias": _location(errors),
        "largest_error": float(np.abs(errors).max()) if errors.size else None,
        "rms_error": float(np.sqrt((errors**2).mean())) if errors.size else None,
        "median_half_width": float(np.median(widths)) if widths.size else None,
        "coverage": _coverage(name, measured),
        "coverage_on_sound": _coverage(name, sound) if sound else None,
        "published_bias": _published_bias(name, rows),
    }


def _location(values: Any) -> dict[str, Any]:
    found = Location.of(values)
    return {"n": found.n, "mean": found.mean, "standard_error": found.standard_error, "sd": found.sd}


def _published_bias(name: str, rows: Sequence[Row]) -> dict[str, Any] | None:
    """Bias on sound cells imaged as published; of a fault's depth, on faults of 1.5 voxels and more."""
    if name not in BIAS_LIMITS:
        return None
    limit, unit = BIAS_LIMITS[name]
    if name in FAULT_ONLY:
        chosen = [
            row for row in rows
            if row["kind"] == "faults"
            and (row["measurements"][name]["truth"] or 0) >= 1.5 * row["spec"]["voxel_size_mm"][2]
        ]  # fmt: skip
    else:
        chosen = [row for row in rows if row["kind"] in ("published", "full")]
    errors = np.array([error(name, row) for row in chosen])
    if unit == "%":
        scale = [row["spec"]["voxel_size_mm"][2] / row["measurements"][name]["truth"] * 100 for row in chosen]
        errors = errors * np.array(scale)
    return {**_location(errors), "limit": limit, "unit": unit}


def _strata(name: str, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Bias and coverage by voxel size, noise and blur."""
    table = []
    for by, bins in STRATA.items():
        for label, low, high in bins:
            chosen = [
                row for row in rows if _counts(name, row) and low <= _STRATUM_OF[by](row["spec"]) < high
            ]
            errors = [error(name, row) for row in chosen]
            widths = [w for row in chosen if math.isfinite(w := half_width(name, row))]
            table.append(
                {
                    "by": by,
                    "label": label,
                    "bias": _location(errors),
                    "median_half_width": float(np.median(widths)) if widths else None,
                    "coverage": _coverage(name, chosen),
                }
            )
    return table


def _worst(rows: Sequence[Row], count: int = 40) -> list[dict[str, Any]]:
    """Errors of the named measurements that lie farthest outside their intervals."""
    found = []
    for row in rows:
        for name in COVERED:
            if covered(name, row) is False:
                e, u = error(name, row), half_width(name, row)
                found.append(
                    {"index": row["index"], "measurement": name, "error": e, "half_width": u,
                     "ratio": abs(e) / u if u else None, "case": describe(row)}
                )  # fmt: skip
    return sorted(found, key=lambda item: -(item["ratio"] or math.inf))[:count]


def describe(row: Row) -> str:
    """A case in one line."""
    spec, imaging = row["spec"], row["spec"]["imaging"]
    z, _, x = (1000 * v for v in spec["voxel_size_mm"])
    parts = [
        row["kind"], f"{z:.0f}x{x:.0f} µm", f"{spec['view']} {spec['slice_order']}",
        f"noise {imaging['noise']:.3f}", f"blur {imaging['blur_px']:.2f}", imaging["dtype"],
        f"tilt {spec['tilt_deg']:.1f}°",
    ]  # fmt: skip
    for key in ("rings", "cupping", "streaks"):
        if imaging[key]:
            parts.append(f"{key} {imaging[key]:.3f}")
    for key, label in (
        ("ovality_mm", "ovality"),
        ("wall_variation_mm", "wall varies"),
        ("sleeve_mm", "sleeve"),
    ):
        if spec[key]:
            parts.append(f"{label} {spec[key]:.3f} mm")
    if spec["dents"]:
        parts.append(f"dent {spec['dents'][0]['depth_mm'] / spec['voxel_size_mm'][2]:.1f} vox")
    if spec["negative_overhangs"]:
        parts.append(
            f"short anode {spec['negative_overhangs'][0]['length_mm'] / spec['voxel_size_mm'][0]:.1f} vox"
        )
    if spec["buckle"]:
        parts.append(f"buckle {spec['buckle']['amplitude_mm'] / spec['voxel_size_mm'][2]:.1f} vox")
    parts += [f"{tab['electrode']} tab" for tab in spec["tabs"]] + (["centre pin"] if spec["pin"] else [])
    return ", ".join(parts)


# --- repeatability and bounds ----------------------------------------------------------------------------


def _repeatability(rows: Sequence[Row]) -> dict[str, Any]:
    """Scatter of each measurement over scans of the same cell that differ in their noise alone."""
    groups: dict[int, list[Row]] = {}
    for row in rows:
        if row["group"] is not None:
            groups.setdefault(row["group"], []).append(row)
    found = {}
    for name in _names(rows):
        sd, freedom = pooled_sd([np.array([error(name, row) for row in group]) for group in groups.values()])
        if freedom:
            found[name] = {"sd": sd, "degrees_of_freedom": freedom, "groups": len(groups)}
    return found


def optics(row: Row) -> Optics:
    """Blur and noise that a case was drawn with; rounding to whole grey levels counts as noise."""
    spec, imaging = row["spec"], row["spec"]["imaging"]
    z, y, x = spec["voxel_size_mm"]
    scale = imaging["grey_scale"] or (256.0 if imaging["dtype"] == "uint16" else 1.0)
    rounding = 0.0 if imaging["dtype"] == "float32" else 1 / (math.sqrt(12) * scale)
    noise = math.hypot(imaging["noise"] * spec["greys"]["cathode_coating"], rounding)
    return Optics((z, y, x), imaging["blur_px"] * x, noise, imaging["noise_correlation_px"])


def bounds(row: Row) -> dict[str, float]:
    """Smallest half-widths, in voxels, that noise and blur would allow: see ``docs/validation.md``."""
    spec, greys, scan = row["spec"], row["spec"]["greys"], optics(row)
    radius, height = spec["outer_diameter_mm"] / 2, abs(row["straight_mm"][1] - row["straight_mm"][0])
    outside = 0.0 if spec["sleeve_mm"] == 0 else greys["sleeve"]
    diameter = 2 * scan.face_bound_mm(greys["can"] - outside, 2 * math.pi * radius * height, axis=2)
    facing = max(spec["turns"] - spec["lead_in_turns"] - spec["lead_out_turns"], 0.5)
    middle = spec["core_radius_mm"] + spec["pitch_mm"] * spec["turns"] / 2
    tape = 2 * math.pi * middle * facing
    cathode = 2 * spec["layers"]["cathode_coating_mm"] + spec["layers"]["aluminium_mm"]
    step, foil = greys["cathode_coating"] - greys["electrolyte"], greys["copper"] - greys["electrolyte"]
    edges = scan.face_bound_mm(step, cathode * tape, axis=0)
    ends = scan.foil_end_bound_mm(foil, spec["layers"]["copper_mm"], tape)
    single = scan.patch_bound_mm(step, (cathode, middle * math.radians(EDGE_DEG)))
    z, x = spec["voxel_size_mm"][0], spec["voxel_size_mm"][2]
    return {
        DIAMETER: 1.96 * diameter / x,
        "overhang.length.mean": 1.96 * math.hypot(edges, ends) / z,
        "one cathode edge": single / z,
    }


def _bounds(rows: Sequence[Row]) -> dict[str, Any]:
    """What was stated, what of it is not the voxel scale, what is noise, and what noise and blur allow."""
    found: dict[str, Any] = {}
    per_row = [(row, bounds(row)) for row in rows]
    for name in (DIAMETER, "overhang.length.mean"):
        measured = [(row, b[name]) for row, b in per_row if math.isfinite(half_width(name, row))]
        found[name] = {
            "what": "half-width of the 95 % interval, voxels",
            "n": len(measured),
            "stated": _median([half_width(name, row) for row, _ in measured]),
            "without_scale": _median([_part(name, row, lambda s: s != VOXEL_SCALE) for row, _ in measured]),
            **_noise_against([_part(name, row, NOISE_LINES.__contains__) for row, _ in measured],
                             [bound for _, bound in measured]),
        }  # fmt: skip
    edges = [
        (row["cathode_sigma_mm"] / row["spec"]["voxel_size_mm"][0], b["one cathode edge"])
        for row, b in per_row
        if row["cathode_sigma_mm"] is not None
    ]
    found["one cathode edge"] = {
        "what": f"standard uncertainty from noise, {EDGE_DEG:g}° of one turn, voxels",
        "n": len(edges),
        "stated": None,
        "without_scale": None,
        **_noise_against([stated for stated, _ in edges], [bound for _, bound in edges]),
    }
    return found


def _part(name: str, row: Row, wanted: Callable[[str], bool]) -> float:
    """Half-width, in voxels, that the budget's ``wanted`` lines would give by themselves."""
    entry = row["measurements"][name]
    lines = [line["contribution"] for line in entry["budget"] if wanted(line["source"])]
    return Z_95 * math.hypot(*lines) / unit_in(name, entry, row["spec"])[0]


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None


def _noise_against(noise: Sequence[float], bound: Sequence[float]) -> dict[str, Any]:
    ratios = [stated / least for stated, least in zip(noise, bound, strict=True)]
    return {"noise": _median(noise), "bound": _median(bound), "ratio": _median(ratios)}


# --- faults ----------------------------------------------------------------------------------------------


def _near(entry: Row, theta_deg: float, within_deg: float) -> bool:
    place = entry.get("worst_at") or {}
    if "theta_deg" not in place:
        return False
    return bool(abs((place["theta_deg"] - theta_deg + 180) % 360 - 180) <= within_deg)


def fault_found(fault: str, row: Row) -> tuple[float, bool] | None:
    """Size of a drawn fault in voxels, and whether it was found; ``None`` where there is none to find.

    A fault counts as found only where it was drawn; a quantity that was not measured is a fault missed.
    """
    spec, measurements = row["spec"], row["measurements"]
    dz, _, dx = spec["voxel_size_mm"]
    if fault == "dent" and spec["dents"]:
        dent, entry = spec["dents"][0], measurements["canister.dent_depth"]
        if entry["truth"] is None:
            return None
        wide = math.degrees(dent["width_mm"] / spec["outer_diameter_mm"]) + 5
        deep = (entry.get("value") or 0) > FAIL_BEYOND[fault] * dx
        return entry["truth"] / dx, deep and _near(entry, dent["theta_deg"], wide)
    if fault == "negative overhang" and spec["negative_overhangs"]:
        entry = measurements["overhang.length.min"]
        if entry["truth"] is None:
            return None
        return -entry["truth"] / dz, entry.get("value") is not None and entry["value"] < 0
    if fault == "buckle" and spec["buckle"]:
        buckle, entry = spec["buckle"], measurements["winding.core_collapse"]
        wide = buckle["width_deg"] / 2 + 10
        deep = (entry.get("value") or 0) > FAIL_BEYOND[fault] * dx
        return entry["truth"] / dx, deep and _near(entry, buckle["theta_deg"], wide)
    return None


def _detection(fault: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Share found against size, at a published scan's noise."""
    faults = [row for row in rows if row["kind"] == "faults"]
    seen = [result for row in faults if (result := fault_found(fault, row)) is not None]
    sizes, hits = [size for size, _ in seen], [hit for _, hit in seen]
    curve = fit_detection(sizes, hits) if len(seen) >= LEAST else None
    target = DETECTION_TARGETS.get(fault)
    at_least = [hit for size, hit in seen if target is not None and size >= target]
    return {
        "found": FOUND_IN_WORDS[fault],
        "n": len(seen),
        "bins": _bins(sizes, hits),
        "curve": None if curve is None else vars(curve),
        "target": target,
        "at_target": _at(curve, target),
        "above_target": Share(sum(at_least), len(at_least)).as_json() if target is not None else None,
        "sizes": [round(size, 4) for size in sizes],
        "hits": hits,
    }


def _at(curve: DetectionCurve | None, size: float | None) -> float | None:
    return None if curve is None or size is None else float(curve.probability(size))


def _bins(sizes: Sequence[float], hits: Sequence[bool], step: float = 0.5) -> list[dict[str, Any]]:
    bins = []
    for k in sorted({math.floor(size / step) for size in sizes}):
        inside = [hit for size, hit in zip(sizes, hits, strict=True) if math.floor(size / step) == k]
        bins.append({"from": k * step, "to": (k + 1) * step, **Share(sum(inside), len(inside)).as_json()})
    return bins


def _false_alarms(rows: Sequence[Row]) -> dict[str, Any]:
    """Faults that were reported where none was drawn; 0 in n bounds the rate by about 3 / n.

    ``intervals_beyond_zero`` counts the sound cells whose stated interval excludes zero, however small the
    value: no false alarm, but a false interval.
    """
    checks = {
        "dent": ("canister.dent_depth", "dents", 1),
        "negative overhang": ("overhang.length.min", "negative_overhangs", -1),
        "buckle": ("winding.core_collapse", "buckle", 1),
    }
    found = {}
    for fault, (name, field, sign) in checks.items():
        sound = [row for row in rows if not row["spec"][field]]
        sound = [row for row in sound if row["measurements"].get(name, {}).get("value") is not None]
        alarms, beyond = [], 0
        for row in sound:
            entry, voxel = row["measurements"][name], row["spec"]["voxel_size_mm"][0 if sign < 0 else 2]
            if sign * entry["value"] > FAIL_BEYOND[fault] * voxel:
                alarms.append(row["index"])
            beyond += sign * entry["value"] > (entry["expanded_uncertainty"] or 0.0)
        found[fault] = {
            "measurement": name,
            "alarm": FOUND_IN_WORDS[fault].split(",")[0],
            **Share(len(alarms), len(sound)).as_json(),
            "upper": upper_bound(len(alarms), len(sound)),
            "cases": alarms,
            "intervals_beyond_zero": beyond,
        }
    return found


# --- decisions -------------------------------------------------------------------------------------------

_ACCEPTED, _REJECTED = ("PASS", "CONDITIONAL_PASS"), ("FAIL", "CONDITIONAL_FAIL")


def _decisions(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """At each limit: bad cells accepted and good ones rejected, by decision rule."""
    limits: dict[tuple[str, str], list[tuple[Row, bool]]] = {}
    for row in rows:
        for name, (low, high) in row["judged"]["limits"].items():
            truth = row["measurements"].get(name, {}).get("truth")
            if truth is None or row["measurements"][name].get("value") is None:
                continue
            sides = (("at least", low, truth >= (low or 0)), ("at most", high, truth <= (high or 0)))
            near = [side for side in sides if side[1] is not None]
            word, limit, _ = min(near, key=lambda side: abs(truth - side[1]))
            good = all(side[2] for side in near)
            limits.setdefault((name, f"{word} {limit:g} mm"), []).append((row, good))
    table = []
    for (name, limit), judged in sorted(limits.items(), key=lambda item: item[0]):
        rules = judged[0][0]["judged"]["checks"][name]
        for rule in sorted(rules):
            outcomes = [(row["judged"]["checks"][name][rule], conforms) for row, conforms in judged]
            fine = [outcome for outcome, conforms in outcomes if conforms]
            bad = [outcome for outcome, conforms in outcomes if not conforms]
            table.append(
                {
                    "measurement": name,
                    "limit": limit,
                    "decision_rule": rule,
                    "false_accept": _rate(bad, _ACCEPTED),
                    "false_accept_plain": _rate(bad, ("PASS",)),
                    "false_reject": _rate(fine, _REJECTED),
                    "false_reject_plain": _rate(fine, ("FAIL",)),
                }
            )
    return table


def _rate(outcomes: Sequence[str], counted: Sequence[str]) -> dict[str, Any]:
    count = sum(outcome in counted for outcome in outcomes)
    return {**Share(count, len(outcomes)).as_json(), "upper": upper_bound(count, len(outcomes))}


_RIGHT_WORDS: Mapping[str, tuple[str, ...]] = {
    "noise": ("noise",),
    "coarse": ("voxel", "resol"),
    "cut off": ("field of view", "image", "can "),
    "saturated": ("saturat",),
}
"""What the reason for a refusal must speak of."""


def _unfit(row: Row) -> dict[str, Any]:
    judged = row["judged"]
    verdict, said = judged["verdict"], " ".join((*judged["rejections"], *judged["reasons"]))
    return {
        "index": row["index"],
        "what": row["unfit"],
        "verdict": verdict,
        "refused": verdict in ("SCAN_REJECTED", "INCOMPLETE"),
        "right_reason": any(word in said for word in _RIGHT_WORDS[row["unfit"]]),
        "reasons": judged["rejections"] or judged["reasons"],
    }


# --- does it hold? ---------------------------------------------------------------------------------------


def _criteria(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each thing that is asked, what came out, and whether it holds; ``None`` where too few cases say so."""
    criteria = [_coverage_criterion(name, found["measurements"].get(name)) for name in COVERED]
    criteria += [_bias_criterion(name, found["measurements"].get(name)) for name in BIAS_LIMITS]
    criteria += [_detection_criterion(fault, found["detection"][fault]) for fault in DETECTION_TARGETS]
    for fault in DETECTION_TARGETS:
        alarms = found["false_alarms"][fault]
        criteria.append(
            {
                "id": f"false alarms: {fault}",
                "asked": f"none on {SOUND_CASES} sound parts or more: a rate below 1.5 %",
                "found": f"{alarms['count']} in {alarms['n']}: below {100 * alarms['upper']:.1f} % of scans",
                "holds": False if alarms["count"] else True if alarms["n"] >= SOUND_CASES else None,
            }
        )
    unfit = found["unfit"]
    for name, key in (("unfit scans are refused", "refused"), ("for the right reason", "right_reason")):
        count = sum(item[key] for item in unfit)
        criteria.append(
            {
                "id": name,
                "asked": "every one",
                "found": f"{count} of {len(unfit)}",
                "holds": None if not unfit else count == len(unfit),
            }
        )
    criteria.append(
        {
            "id": "every case could be measured",
            "asked": "no error inside xctrules",
            "found": f"{len(found['errors'])} of {found['cases']['n']} ended with an error",
            "holds": not found["errors"],
        }
    )
    return criteria


def _coverage_criterion(name: str, m: Mapping[str, Any] | None) -> dict[str, Any]:
    low, high = COVERAGE_RANGE
    entry = {"id": f"coverage: {name}", "asked": f"{100 * low:.0f} to {100 * high:.0f} %"}
    if m is None or m["coverage"]["n"] < LEAST:
        return {**entry, "found": f"{0 if m is None else m['coverage']['n']} intervals", "holds": None}
    c = m["coverage"]
    text = f"{100 * c['share']:.1f} % of {c['n']} ({100 * c['low']:.1f} to {100 * c['high']:.1f} %)"
    if low <= c["share"] <= high:
        return {**entry, "found": text, "holds": True}
    sure = c["n"] >= ENOUGH or c["high"] < low or c["low"] > high
    what = "too few hold the truth" if c["share"] < low else "wider than need be"
    return {**entry, "found": f"{text}: {what}" if sure else text, "holds": False if sure else None}


def _bias_criterion(name: str, m: Mapping[str, Any] | None) -> dict[str, Any]:
    limit, unit = BIAS_LIMITS[name]
    entry = {"id": f"bias: {name}", "asked": f"below {limit:g} {unit}"}
    b = None if m is None else m["published_bias"]
    if b is None or b["n"] < 2:
        return {**entry, "found": f"{0 if b is None else b['n']} cases", "holds": None}
    text = f"{b['mean']:+.3f} ± {1.96 * b['standard_error']:.3f} {unit} over {b['n']}"
    if b["n"] < LEAST:  # too few to hold the mean against the limit, enough to see that it is far beyond
        sure = abs(b["mean"]) - 4 * b["standard_error"] > limit
        return {**entry, "found": text, "holds": False if sure else None}
    return {**entry, "found": text, "holds": abs(b["mean"]) < limit}


def _detection_criterion(fault: str, d: Mapping[str, Any]) -> dict[str, Any]:
    entry = {"id": f"detection: {fault}", "asked": f"{d['target']:g} voxels in at least 95 % of scans"}
    above = d["above_target"]
    text = f"{above['count']} of {above['n']} of that size and more"
    if d["curve"] is not None:
        text += f"; fitted {100 * d['at_target']:.0f} % at that size"
    if above["n"] < LEAST:
        return {**entry, "found": text, "holds": None}
    fitted = d["at_target"] is None or d["at_target"] >= TARGET_SHARE
    return {**entry, "found": text, "holds": fitted and above["share"] >= TARGET_SHARE}
