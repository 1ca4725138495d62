"""What a perfect measurement of a phantom would find, under the names of the contract."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xctrules.cylinder.phantom.can_faults import (
    dent_depth,
    groove_mm,
    open_area_mm2,
    push,
    sheet,
    straight_heights,
)
from xctrules.cylinder.phantom.fault_truth import faults
from xctrules.cylinder.phantom.geometry import (
    PHASES_PER_TURN,
    Can,
    Pose,
    Winding,
    dent_height,
    pose,
)
from xctrules.cylinder.phantom.spec import EndName, PhantomSpec

Floats = NDArray[np.floating[Any]]

SAMPLE_ANGLES = 360


def truth(spec: PhantomSpec) -> dict[str, Any]:
    """Measurements and single values of a drawn cell, computed from its geometry and never from its voxels.

    Returns
    -------
    dict
        ``measurements``: contract name -> value; ``samples``: overhang, deflection and edge heights for
        each turn and angle, per end; ``frame``: axis, origin, straight part; ``definitions``: what a name
        leaves open; ``faults``: each with its size and place, see
        :func:`xctrules.cylinder.phantom.fault_truth.faults`. What a fault leaves without
        a meaning (the smallest overhang of a foil that is missing or curled) is left out.
    """
    place = pose(spec)
    measurements: dict[str, float | int] = {"canister.tilt": spec.tilt_deg}
    measurements |= _canister(spec, place)
    measurements |= _winding(spec, place)
    overhang, samples = _overhang(spec, place)
    measurements |= overhang
    measurements |= _contamination(spec, place)
    return {
        "measurements": measurements,
        "samples": samples,
        "frame": {
            "origin_mm": list(place.origin_mm),
            "axis": list(place.axis),
            "outer_radius_mm": spec.outer_diameter_mm / 2,
            "straight_mm": list(straight_part(spec, place)),
            "edges": {end: {"z_mm": s, "outward": out} for end, (s, out) in place.edges.items()},
            "slice_order": spec.slice_order,
        },
        "faults": faults(spec, place),
        "definitions": {
            "winding.turns": "angle of the copper from its inner to its outer end, over 360 degrees",
            "winding.max_abs_error": "of full turns, from the undisturbed spiral; likewise rms_error",
            "winding.can_gap": "from the centre of the copper's outermost turn to the can's inner surface",
            "overhang": "every turn and angle at which a cathode faces the copper from at least one side",
        },
    }


# --- can -------------------------------------------------------------------------------------------------


def straight_part(spec: PhantomSpec, place: Pose) -> tuple[float, float]:
    """First and last height s of the can's straight part in view."""
    low, high = place.seen_mm
    can = Can(spec)
    for end, (edge, outward) in place.edges.items():
        limit = edge + outward * min(can.straight_out_mm(end), can.end_height_mm(end))
        low, high = (max(low, limit), high) if outward < 0 else (low, min(high, limit))
    return low, high


def level_part(spec: PhantomSpec, place: Pose) -> tuple[float, float]:
    """First and last height s in view where the outline leans less than 27 degrees: dents count there."""
    low, high = straight_part(spec, place)
    first, last = place.seen_mm
    can = Can(spec)
    for end, (_, outward) in place.edges.items():
        more = can.flank_mm(end)
        low, high = (max(low - more, first), high) if outward < 0 else (low, min(high + more, last))
    return low, high


def can_surfaces(spec: PhantomSpec, s_mm: Floats, theta_deg: Floats) -> tuple[Floats, Floats]:
    """Outer and inner radius (ns, nt) of the straight can about its axis."""
    can, place = Can(spec), pose(spec)
    grid = theta_deg[None, :], s_mm[:, None]
    wall, taken = sheet(spec, place, *grid, (0.0, 0.0))
    outer = can.sound_outer(theta_deg)[None, :] - push(spec, place, *grid) - taken
    return outer, outer - wall


def _canister(spec: PhantomSpec, place: Pose) -> dict[str, float | int]:
    low, high = straight_part(spec, place)
    if high <= low:
        return {}
    s = np.linspace(low, high, 1 if spec.view == "slice" else 161)
    if s.size > 1:
        s = s[straight_heights(spec, place, s)]
    theta = np.arange(1440) * 0.25
    outer, inner = can_surfaces(spec, s, theta)

    def diameter(r: Floats) -> float:
        return float(np.mean(2 * np.sqrt(np.mean(r**2, axis=1))))  # area is half the integral of r^2

    # radial thickness to thickness along the normal of the wall's middle surface
    # A worn place's border is a step and no slope of the wall.
    both = can_surfaces(replace(spec, wall_patches=()), s, theta)
    middle = (both[0] + both[1]) / 2
    slope_round = (
        np.gradient(np.c_[middle[:, -1:], middle, middle[:, :1]], axis=1)[:, 1:-1] / np.radians(0.25) / middle
    )
    slope_along = np.gradient(middle, s, axis=0) if s.size > 1 else np.zeros_like(middle)
    wall = (outer - inner) / np.sqrt(1 + slope_round**2 + slope_along**2)

    low, high = level_part(spec, place)
    s = np.linspace(low, high, 1 if spec.view == "slice" else 161)
    depth = dent_depth(spec, place, theta[None, :], s[:, None])
    peaks = [dent_height(d.out_mm, d.end, place) for d in spec.dents]
    at_peak = np.array([p for p in peaks if p is not None and low <= p <= high])
    if at_peak.size:  # the deepest point need not lie on the grid
        angles = np.array([d.theta_deg for d in spec.dents])
        depth = np.append(depth.ravel(), dent_depth(spec, place, angles[None, :], at_peak[:, None]).ravel())
    a, b = spec.outer_diameter_mm / 2 + spec.ovality_mm / 4, spec.outer_diameter_mm / 2 - spec.ovality_mm / 4
    opening = open_area_mm2(spec, place)
    # A wall with a hole in it has no thinnest place.
    thickness = {} if opening else {
        "canister.wall_thickness.mean": float(wall.mean()),
        "canister.wall_thickness.min": float(wall.min()),
        "canister.wall_thickness.max": float(wall.max()),
        "canister.wall_thickness.std": float(wall.std()),
    }  # fmt: skip
    return thickness | {
        "canister.outer_diameter": diameter(outer),
        "canister.inner_diameter": diameter(inner),
        "canister.opening.largest": opening,
        "canister.groove_depth": groove_mm(spec, place),
        "canister.ovality": spec.ovality_mm,
        "canister.eccentricity": math.sqrt(max(0.0, 1 - (b / a) ** 2)),
        "canister.roundness": max(roundness(row, theta) for row in outer),
        "canister.dent_depth": float(depth.max(initial=0.0)),
    }


def roundness(radius: Floats, theta_deg: Floats) -> float:
    """Peak-to-valley deviation from the least-squares circle (ISO 12181) of a full outline."""
    t = np.radians(theta_deg)
    x, y = radius * np.cos(t), radius * np.sin(t)
    centre = np.zeros(2)
    for _ in range(6):  # Gauss-Newton on the distances
        dx, dy = x - centre[0], y - centre[1]
        d = np.hypot(dx, dy)
        design = np.c_[dx / d, dy / d, np.ones_like(d)]
        centre = centre + np.linalg.lstsq(design, d, rcond=None)[0][:2]
    return float(np.ptp(np.hypot(x - centre[0], y - centre[1])))


# --- winding ---------------------------------------------------------------------------------------------


def _winding(spec: PhantomSpec, place: Pose) -> dict[str, float | int]:
    winding = Winding(spec)
    p = np.linspace(0.0, spec.turns, round(spec.turns * 720) + 1)
    nominal, drawn = winding.nominal_radius(p), winding.foil_radius(p)
    theta = np.radians(winding.theta_deg(p))
    ox, oy = spec.roll_offset_mm
    x, y = drawn * np.cos(theta) + ox, drawn * np.sin(theta) + oy
    outermost = p >= spec.turns - 1
    turn = winding.turn(p)
    size = np.bincount(turn, minlength=1)[turn]
    full = size >= 719  # turns that go all the way round; 720 steps a turn, less one at a seam
    low, high = straight_part(spec, place)
    s = np.linspace(low, high, 1 if spec.view == "slice" else 81)
    grid = np.arange(1440) * 0.25
    _, inner = can_surfaces(spec, s, grid)
    angle = np.degrees(np.arctan2(y, x))[outermost] % 360.0
    foil = np.hypot(x, y)[outermost]
    gap = inner[:, np.rint(angle / 0.25).astype(int) % 1440] - foil[None, :]
    # a can dented into the roll hides the foil there; the drawing has no gap that could be measured
    gaps = {"winding.can_gap.min": float(gap.min()), "winding.can_gap.mean": float(gap.mean())}
    found = {
        "winding.turns": spec.turns,
        "winding.pitch": spec.pitch_mm,
        "winding.concentricity": math.hypot(ox, oy),
    } | (gaps if gap.min() > 0 else {})
    if not spec.tabs:  # beside a tab's strip its neighbours stand apart as well
        found["winding.delamination.largest"] = max((each.gap_mm for each in spec.gaps), default=0.0)
    if spec.crumple:  # where its layers are no more, a path has no error
        return found
    return found | {
        "winding.max_abs_error": float(np.abs(drawn - nominal)[full].max(initial=0.0)),
        "winding.rms_error": float(np.sqrt(np.mean((drawn - nominal)[full] ** 2))) if full.any() else 0.0,
        "winding.core_collapse": float(max(0.0, (nominal - drawn).max())),
        "winding.spiral_rms_error": float(np.sqrt(np.mean((drawn - nominal) ** 2))),
    }


def _contamination(spec: PhantomSpec, place: Pose) -> dict[str, float | int]:
    sizes = [
        ball.diameter_mm for ball in spec.particles if dent_height(ball.out_mm, ball.end, place) is not None
    ]
    return {"contamination.count": len(sizes), "contamination.largest": max(sizes, default=0.0)}


# --- overhang --------------------------------------------------------------------------------------------


def _overhang(spec: PhantomSpec, place: Pose) -> tuple[dict[str, float | int], dict[str, Any]]:
    """Statistics over all turns and angles, for both ends together and each end, and the single values."""
    winding = Winding(spec)
    theta = np.arange(SAMPLE_ANGLES) * 360.0 / SAMPLE_ANGLES
    turns = int(winding.turn(spec.turns)) + 1
    phase = winding.phase(np.arange(turns)[:, None], theta[None, :])
    there = (phase >= 0) & (phase < spec.turns)
    entry = np.clip((phase * PHASES_PER_TURN).astype(int), 0, winding.phases.size - 1)

    measurements: dict[str, float | int] = {}
    samples: dict[str, Any] = {"theta_deg": theta.tolist()}
    unknown: dict[EndName, bool] = {}
    per_end: dict[EndName, tuple[Floats, Floats, Floats]] = {}
    for end, (edge, outward) in place.edges.items():
        facing = np.where(there, winding.facing_edge(end)[entry], -np.inf)
        measured = np.isfinite(facing)
        anode_edge = np.where(winding.anode_there() & winding.in_line(end), winding.anode_edge(end), np.nan)
        length = np.where(measured, anode_edge[entry] - np.where(measured, facing, 0.0), np.nan)
        unknown[end] = bool(np.isnan(length[measured]).any())
        lean = np.where(measured & (length > 0), winding.deflection_deg(end)[entry], np.nan)
        cathode = np.where(there, winding.cathode_edge(end)[entry], -np.inf)
        height = np.where(np.isfinite(cathode), edge + outward * cathode, np.nan)
        per_end[end] = (length, lean, height)
        anode = np.where(there, edge + outward * anode_edge[entry], np.nan)
        samples[end] = {
            "length_mm": _listed(length),
            "deflection_deg": _listed(lean),
            "cathode_z_mm": _listed(height),
            "anode_z_mm": _listed(anode),
            "radius_mm": _listed(
                np.where(there, winding.foil_radius(phase.ravel()).reshape(phase.shape), np.nan)
            ),
        }
        measurements |= _known(_statistics(f"overhang.{end}", [length], [lean], [height]), unknown[end])
    if per_end:
        lengths, leans, heights = (list(group) for group in zip(*per_end.values(), strict=True))
        measurements |= _known(_statistics("overhang", lengths, leans, heights), any(unknown.values()))
    return measurements, samples


def _known(statistics: dict[str, float | int], without_some: bool) -> dict[str, float | int]:
    """What is still true where the foil is missing or curled in places: the heights of the cathode."""
    if not without_some:
        return statistics
    return {name: value for name, value in statistics.items() if ".base_height." in name}


def _statistics(
    prefix: str, lengths: list[Floats], leans: list[Floats], heights: list[Floats]
) -> dict[str, float | int]:
    """The contract's statistics; base heights about each end's own mean, since the ends lie a cell apart."""
    length = np.concatenate([a[np.isfinite(a)] for a in lengths])
    lean = np.concatenate([a[np.isfinite(a)] for a in leans])
    base = [a[np.isfinite(a)] for a in heights]
    if not length.size:
        return {f"{prefix}.count": 0}
    found: dict[str, float | int] = {
        "length.mean": float(length.mean()),
        "length.std": float(length.std()),
        "length.min": float(length.min()),
        "length.max": float(length.max()),
        "count": int(length.size),
        "negative_fraction": float(np.mean(length < 0)),
    }
    if lean.size:
        found |= {
            "deflection.mean": float(lean.mean()),
            "deflection.std": float(lean.std()),
            "deflection.max_abs": float(np.abs(lean).max()),
        }
    if all(b.size for b in base):
        centred = np.concatenate([b - b.mean() for b in base])
        found |= {
            "base_height.std": float(centred.std()),
            "base_height.range": max(float(np.ptp(b)) for b in base),
        }
    return {f"{prefix}.{name}": value for name, value in found.items()}


def _listed(values: Floats) -> list[list[float | None]]:
    """Nested lists for JSON; ``None`` for NaN."""
    return [[None if math.isnan(v) else round(float(v), 7) for v in row] for row in values]
