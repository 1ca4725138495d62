"""What measurements of cylindrical cells are held to by ``xctrules validate``: tables, and their reasons."""

from __future__ import annotations

from xctrules.core.validation import BiasLimit, Fault, Stratum, Targets
from xctrules.cylinder.phantom.ensemble import DIAMETER, SMALLEST_OVERHANG

MEAN_OVERHANG = "overhang.length.mean"
DENT_DEPTH, CORE_COLLAPSE = "canister.dent_depth", "winding.core_collapse"
ONE_EDGE = "one cathode edge"

EDGE_DEG = 3.0
"""Stretch of a turn from which one cathode edge is read: three half-planes, 1 degree apart."""

SURE_DENT_VOXELS = 1.5
"""Depth from which a dent counts for the bias of depths: shallower ones lie in the noise of the maximum."""

TARGETS = Targets(
    covered=(
        DIAMETER,
        "canister.wall_thickness.mean",
        DENT_DEPTH,
        MEAN_OVERHANG,
        SMALLEST_OVERHANG,
        "overhang.length.max",
        "overhang.deflection.std",
        "winding.pitch",
        CORE_COLLAPSE,
    ),
    fault_only=(DENT_DEPTH, CORE_COLLAPSE),
    bias={
        DIAMETER: BiasLimit(0.03, "voxel"),
        "canister.wall_thickness.mean": BiasLimit(0.1, "voxel"),
        DENT_DEPTH: BiasLimit(0.15, "voxel"),
        MEAN_OVERHANG: BiasLimit(0.15, "voxel"),
        SMALLEST_OVERHANG: BiasLimit(0.4, "voxel"),
        "winding.pitch": BiasLimit(0.1, "%"),
    },
    # Nobody publishes limits on dents and buckles: what counts as found lies well below what must be found.
    faults=(
        Fault(
            "dent", DENT_DEPTH, "large", 0.5, "a dent deeper than half a voxel",
            "within the drawn dent's width", target_voxels=1.5,
        ),
        Fault(
            "negative overhang", SMALLEST_OVERHANG, "small", 0.0,
            "a smallest overhang below zero: a FAIL of the bundled rule", target_voxels=2.0,
        ),
        Fault(
            "buckle", CORE_COLLAPSE, "large", 1.0, "a core collapse deeper than one voxel",
            "within the drawn buckle's width",
        ),
    ),
    strata=(
        Stratum("voxel size", "15 to 25 µm", 0, 0.025),
        Stratum("voxel size", "25 to 40 µm", 0.025, 0.040),
        Stratum("voxel size", "40 to 60 µm", 0.040, 1),
        Stratum("noise", "below 2 %", 0, 0.0199),
        Stratum("noise", "2 to 4 %", 0.0199, 0.04),
        Stratum("noise", "above 4 %", 0.04, 10),
        Stratum("blur", "below 0.8 voxel", 0, 0.8),
        Stratum("blur", "0.8 to 1.05 voxel", 0.8, 1.05),
        Stratum("blur", "above 1.05 voxel", 1.05, 9),
    ),
    refusal_words={
        "noise": ("noise",),
        "coarse": ("voxel", "resol"),
        "cut off": ("field of view", "image", "can "),
        "saturated": ("saturat",),
    },
    not_tabled=("overhang.top.*", "overhang.bottom.*", "*eccentricity"),
    bounded=(DIAMETER, MEAN_OVERHANG),
    bounded_noise={ONE_EDGE: f"standard uncertainty from noise, {EDGE_DEG:g}° of one turn, voxels"},
    noise_lines=("noise of the edge", "edge noise"),
    length_unit_note=(
        "in slice spacings for overhangs and edge heights, in pixels of the slice for everything else"
    ),
    bias_note=(
        "Over sound cells, imaged as published; the depth of a dent is that of drawn dents of "
        f"{SURE_DENT_VOXELS:g} voxels and more."
    ),
    detection_note="Each case is a cell of its own at a published scan's noise.",
)  # fmt: skip
"""The limits on bias hold at a published scan's voxel size, noise and blur. The negative overhang is found
by the bundled rule's own limit."""
