"""Each fault of a drawn cell with its size and its place, from the spec alone.

In: a spec and how it lies in the volume. Out: plain entries for ``truth.json``, the same form for every
fault.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from xctrules.cylinder.phantom.geometry import Pose, Winding, dent_height
from xctrules.cylinder.phantom.roll_faults import Curl, EdgeFault, Gap, MissingFoil
from xctrules.cylinder.phantom.spec import NegativeOverhang, PhantomSpec
from xctrules.cylinder.phantom.stack_faults import GREY_KINDS, UNITS, StackFault


def faults(spec: PhantomSpec, place: Pose) -> list[dict[str, Any]]:
    """All that is wrong with a cell and its scan.

    Returns
    -------
    list of dict
        ``fault``: its kind; ``size`` in ``unit`` (mm unless a stack's slices, degrees or shares); ``at``:
        place in the cell's coordinates, what of ``turn``, ``theta_deg``, ``width_deg``, ``radius_mm``,
        ``z_mm`` and ``slice`` it has. Faults of an end that is out of view are left out.
    """
    found = [*_of_can(spec, place), *_of_edges(spec, place), *_of_roll(spec, place)]
    return found + [_of_stack(fault, place) for fault in spec.stack_faults]


def _entry(fault: str, size: float, at: Mapping[str, float | None], unit: str = "mm") -> dict[str, Any]:
    there = {name: value for name, value in at.items() if value is not None}
    return {"fault": fault, "size": size, "unit": unit, "at": there}


def _of_can(spec: PhantomSpec, place: Pose) -> Iterator[dict[str, Any]]:
    for dent in spec.dents:
        z = dent_height(dent.out_mm, dent.end, place)
        if z is not None:
            word = "dent" if dent.depth_mm >= 0 else "bump"
            yield _entry(word, abs(dent.depth_mm), {"theta_deg": dent.theta_deg, "z_mm": z})
    for ring in spec.rings:
        z = dent_height(ring.out_mm, ring.end, place)
        if z is not None:
            word = "groove" if ring.depth_mm >= 0 else "bulge"
            yield _entry(word, abs(ring.depth_mm), {"z_mm": z})
    for patch in spec.wall_patches:
        z = dent_height(patch.out_mm, patch.end, place)
        if z is None:
            continue
        at = {"theta_deg": patch.theta_deg, "z_mm": z}
        if patch.wall_mm == 0:
            yield _entry("can open", min(patch.width_mm, patch.height_mm), at)
        else:
            yield _entry("wall thin", spec.wall_mm - patch.wall_mm, at)
    if spec.taper_deg:
        yield _entry("taper", abs(spec.taper_deg), {}, "deg")


def _of_edges(spec: PhantomSpec, place: Pose) -> Iterator[dict[str, Any]]:
    winding = Winding(spec)

    def at(fault: NegativeOverhang | EdgeFault | Curl, width_deg: float) -> dict[str, float | None]:
        where = {"turn": fault.turn, "theta_deg": fault.theta_deg, "width_deg": width_deg}
        return {**where, "z_mm": place.edges[fault.end][0]}

    for short in spec.negative_overhangs:
        if short.end in place.edges:
            yield _entry("overhang", short.length_mm, at(short, short.width_deg))
    for fault in spec.edge_faults:
        if fault.end in place.edges:
            first, last = winding.stretch(fault)
            yield _entry(_edge_word(fault), abs(fault.by_mm), at(fault, round((last - first) * 360.0, 6)))
    for curl in spec.curls:
        if curl.end in place.edges:
            yield _entry("foil curled", abs(curl.bend_deg), at(curl, curl.width_deg), "deg")


def _edge_word(fault: EdgeFault) -> str:
    if fault.electrode == "both":
        return "roll telescoped"
    return f"{fault.electrode} {'high' if fault.by_mm > 0 else 'low'}"


def _of_roll(spec: PhantomSpec, place: Pose) -> Iterator[dict[str, Any]]:
    winding = Winding(spec)

    def at(fault: MissingFoil | Gap, radius_mm: float) -> dict[str, float | None]:
        where = {"turn": fault.turn, "theta_deg": fault.theta_deg, "width_deg": fault.width_deg}
        return {**where, "radius_mm": radius_mm}

    for missing in spec.missing_foils:
        first, last = winding.stretch(missing)
        middle = float(winding.nominal_radius((first + last) / 2))
        length = (last - first) * 2 * math.pi * middle
        yield _entry("anode missing", length, at(missing, middle))
    for gap in spec.gaps:
        seat = winding.seat_radius(gap, np.asarray(gap.theta_deg))
        yield _entry("delamination", gap.gap_mm, at(gap, float(seat)))
    bare = 360.0 * (1.0 - spec.lead_out_turns)
    if bare > 0:
        ends: dict[str, float | None] = {"theta_deg": float(winding.theta_deg(spec.turns)), "width_deg": bare}
        yield _entry("cathode bare", bare, ends, "deg")
    if spec.crumple:
        yield _entry("core crumpled", spec.crumple.radius_mm, {"radius_mm": 0.0})
    if spec.buckle:
        buckle = spec.buckle
        where = {"theta_deg": buckle.theta_deg, "width_deg": buckle.width_deg}
        yield _entry("buckle", buckle.amplitude_mm, {**where, "radius_mm": spec.core_radius_mm})
    for ball in spec.particles:
        z = dent_height(ball.out_mm, ball.end, place)
        if z is not None:
            there = {"theta_deg": ball.theta_deg, "radius_mm": ball.radius_mm, "z_mm": z}
            yield _entry("particle", ball.diameter_mm, there)


def _of_stack(fault: StackFault, place: Pose) -> dict[str, Any]:
    unit = UNITS[fault.kind]
    if fault.kind in GREY_KINDS:
        return _entry(f"greys: {fault.kind}", fault.size, {}, unit)
    if fault.kind in ("spacing", "voxel"):
        return _entry(f"{fault.kind} misstated", fault.size, {}, unit)
    first = fault.first_slice(place.shape[0])
    return _entry(f"slices {fault.kind}", fault.size, {"slice": first}, unit)
