"""What the validation's figures need to know of a drawn cylindrical cell, beside what was measured.

In: a line of ``cases.jsonl``. Out: :class:`~xctrules.core.validation.CaseFacts`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fnmatch import fnmatch
from typing import Any

from xctrules.core.cramer_rao import Optics
from xctrules.core.protocols import DrawnPhantom
from xctrules.core.validation import CaseFacts, Place, Row
from xctrules.cylinder.phantom.ensemble import DIAMETER
from xctrules.cylinder.phantom.targets import EDGE_DEG, MEAN_OVERHANG, ONE_EDGE, SURE_DENT_VOXELS, TARGETS
from xctrules.cylinder.surfaces import Segmentation

_ALONG_Z = ("overhang.length*", "overhang.base*", "overhang.top*", "overhang.bottom*")


def noted(phantom: DrawnPhantom, found: Segmentation | None) -> dict[str, Any]:
    """First and last height of the can's straight part, and the noise that is stated of one cathode edge, of
    the first end in view."""
    ends = () if found is None else found.ends.values()
    return {
        "straight_mm": phantom.truth["frame"]["straight_mm"],
        "cathode_sigma_mm": next((end.cathode_sigma_mm for end in ends), None),
    }


def facts(row: Row) -> CaseFacts:
    """What the validation's figures need to know of a case."""
    spec, measurements = row["spec"], row["measurements"]
    z, _, x = spec["voxel_size_mm"]
    noise = row["noted"]["cathode_sigma_mm"]
    return CaseFacts(
        text=in_one_line(row),
        voxel_mm={n: z if any(fnmatch(n, along) for along in _ALONG_Z) else x for n in measurements},
        conditions={
            "voxel size": x,
            "noise": spec["imaging"]["noise"],
            "blur": spec["imaging"]["blur_px"],
        },
        for_bias=tuple(name for name in TARGETS.bias if _counts_for_bias(name, row)),
        for_detection=row["kind"] == "faults",
        faults=drawn_faults(spec),
        least_voxels=least_uncertainties(row),
        noise_voxels={} if noise is None else {ONE_EDGE: noise / z},
    )


def _counts_for_bias(name: str, row: Row) -> bool:
    """Sound cells imaged as published; of a fault's depth, faults that stand out of the noise."""
    if name not in TARGETS.fault_only:
        return row["kind"] in ("published", "full")
    truth = row["measurements"].get(name, {}).get("truth") or 0.0
    return bool(row["kind"] == "faults" and truth >= SURE_DENT_VOXELS * row["spec"]["voxel_size_mm"][2])


def drawn_faults(spec: Mapping[str, Any]) -> dict[str, Place]:
    """The faults of a drawn cell by name, and where each must be found.

    A dent within its own width, a buckle within its own; a little more, since the deepest point of a shallow
    one wanders. A short anode is no place's: the bundled rule asks for the smallest overhang alone.
    """
    found: dict[str, Place] = {}
    if spec["dents"]:
        dent = spec["dents"][0]
        within_deg = math.degrees(dent["width_mm"] / spec["outer_diameter_mm"]) + 5
        found["dent"] = {"theta_deg": (dent["theta_deg"], within_deg)}
    if spec["negative_overhangs"]:
        found["negative overhang"] = {}
    if spec["buckle"]:
        buckle = spec["buckle"]
        found["buckle"] = {"theta_deg": (buckle["theta_deg"], buckle["width_deg"] / 2 + 10)}
    return found


def in_one_line(row: Row) -> str:
    """A case as a reader sees it: kind, voxel, view, image, what is particular about the cell."""
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


# --- what noise and blur allow ---------------------------------------------------------------------------


def optics(spec: Mapping[str, Any]) -> Optics:
    """Blur and noise that a cell was drawn with; rounding to whole grey levels counts as noise."""
    imaging = spec["imaging"]
    z, y, x = spec["voxel_size_mm"]
    scale = imaging["grey_scale"] or (256.0 if imaging["dtype"] == "uint16" else 1.0)
    rounding = 0.0 if imaging["dtype"] == "float32" else 1 / (math.sqrt(12) * scale)
    noise = math.hypot(imaging["noise"] * spec["greys"]["cathode_coating"], rounding)
    return Optics((z, y, x), imaging["blur_px"] * x, noise, imaging["noise_correlation_px"])


def least_uncertainties(row: Row) -> dict[str, float]:
    """Smallest standard uncertainties, in voxels, that noise and blur allow: see ``docs/validation.md``.

    Of the diameter, whose face is the straight part of the can in view; of the mean overhang, from the
    cathode's face and the foil's end over the whole tape; and of one cathode edge over :data:`EDGE_DEG`.
    """
    spec, greys, scan = row["spec"], row["spec"]["greys"], optics(row["spec"])
    low, high = row["noted"]["straight_mm"]
    radius, height = spec["outer_diameter_mm"] / 2, abs(high - low)
    outside = 0.0 if spec["sleeve_mm"] == 0 else greys["sleeve"]
    diameter = 2 * scan.face_bound_mm(greys["can"] - outside, 2 * math.pi * radius * height, axis=2)
    facing = max(spec["turns"] - spec["lead_in_turns"] - spec["lead_out_turns"], 0.5)
    middle = spec["core_radius_mm"] + spec["pitch_mm"] * spec["turns"] / 2
    tape = 2 * math.pi * middle * facing
    cathode = 2 * spec["layers"]["cathode_coating_mm"] + spec["layers"]["aluminium_mm"]
    step, foil = greys["cathode_coating"] - greys["electrolyte"], greys["copper"] - greys["electrolyte"]
    edges = scan.face_bound_mm(step, cathode * tape, axis=0)
    ends = scan.sheet_end_bound_mm(foil, spec["layers"]["copper_mm"], tape)
    single = scan.patch_bound_mm(step, (cathode, middle * math.radians(EDGE_DEG)))
    z, _, x = spec["voxel_size_mm"]
    return {DIAMETER: diameter / x, MEAN_OVERHANG: math.hypot(edges, ends) / z, ONE_EDGE: single / z}
