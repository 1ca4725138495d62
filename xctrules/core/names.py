"""The measurements that every installation knows: name, unit, and what each one means.

Plugins may declare more; for a name that is listed here and declared by a plugin, the plugin's unit holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

End = Literal["top", "bottom"]
ENDS: tuple[End, ...] = ("top", "bottom")

LENGTH_UNIT = "mm"


@dataclass(frozen=True)
class Description:
    """What a metric says of one of its measurements (``describes``, by the measurement's name).

    Attributes
    ----------
    unit
        ``mm``, ``deg``, or ``1`` for counts and ratios.
    title
        A few words that can stand for the name, as in a heading: "Outer diameter".
    meaning
        One line on what the number is, without a full stop: "outer diameter of the can".
    better
        Which way is good: ``"smaller"``, ``"larger"``, ``"nominal"`` (near a nominal value, bad on both
        sides), or ``""`` where that depends on the cell or nothing is good or bad about it.
    nominal
        Name of the spec's nominal dimension where a good cell's value lies, such as ``outer_diameter``.
    zero_when_good
        Whether a good cell's value is zero but for the measurement's own uncertainty.
    """

    unit: str
    title: str = ""
    meaning: str = ""
    better: Literal["smaller", "larger", "nominal", ""] = ""
    nominal: str = ""
    zero_when_good: bool = False


_OVERHANG = {
    "length.mean": ("mm", "mean overhang of the anode over the cathode"),
    "length.std": ("mm", "standard deviation of the overhang"),
    "length.min": ("mm", "smallest overhang; negative where the cathode reaches further than the anode"),
    "length.max": ("mm", "largest overhang"),
    "deflection.mean": ("deg", "mean angle of the free anode against the axis, positive outward"),
    "deflection.std": ("deg", "standard deviation of the free anode's angle"),
    "deflection.max_abs": ("deg", "largest angle of the free anode, either way"),
    "base_height.std": ("mm", "standard deviation of the height of the cathode's edge"),
    "base_height.range": ("mm", "range of the height of the cathode's edge"),
    "count": ("1", "number of overhangs measured"),
    "negative_fraction": ("1", "share of the overhangs that are shorter than zero"),
}

_BUNDLED = {
    "canister.outer_diameter": ("mm", "outer diameter of the can"),
    "canister.inner_diameter": ("mm", "inner diameter of the can"),
    "canister.wall_thickness.mean": ("mm", "mean thickness of the can's wall"),
    "canister.wall_thickness.min": ("mm", "smallest thickness of the can's wall"),
    "canister.wall_thickness.max": ("mm", "largest thickness of the can's wall"),
    "canister.wall_thickness.std": ("mm", "standard deviation of the thickness of the can's wall"),
    "canister.eccentricity": ("1", "eccentricity of the can's outline, worst slice"),
    "canister.ovality": ("mm", "long minus short axis of the can's outline, worst slice"),
    "canister.roundness": ("mm", "peak-to-valley deviation of the can's outline from a circle, worst slice"),
    "canister.dent_depth": ("mm", "depth of the deepest dent in the can"),
    "canister.tilt": ("deg", "angle between the cell's axis and the volume's z axis"),
    "winding.turns": ("1", "number of turns of the anode's copper foil"),
    "winding.pitch": ("mm", "mean radial advance for each turn"),
    "winding.max_abs_error": ("mm", "largest distance of a full turn from its ideal path"),
    "winding.rms_error": ("mm", "root-mean-square distance of the full turns from their ideal paths"),
    "winding.spiral_rms_error": ("mm", "root-mean-square distance of the roll from one spiral"),
    "winding.core_collapse": ("mm", "deepest inward departure of the innermost turns"),
    "winding.concentricity": ("mm", "distance between the roll's axis and the can's"),
    "winding.can_gap.min": ("mm", "smallest gap between the roll and the can"),
    "winding.can_gap.mean": ("mm", "mean gap between the roll and the can"),
    "screening.snr": ("1", "signal-to-noise ratio"),
    "screening.cnr": ("1", "contrast-to-noise ratio between cathode and anode"),
    "screening.resolution": ("mm", "width of the can's edge from 10 % to 90 %"),
    "screening.layer_separation": ("1", "how clearly neighbouring electrode layers are told apart"),
    "screening.cupping": ("1", "relative grey-level rise from the roll's core to its rim"),
    "screening.ring_index": ("1", "strength of ring artefacts against noise"),
    "screening.cone_beam_index": ("1", "growth of blur towards the ends of the volume"),
    "screening.saturation": ("1", "share of voxels at the end of the grey scale"),
    "screening.truncation": ("1", "share of the can's outline cut off by the field of view"),
    "screening.axis_residual": ("mm", "residual of the slices' centres from a straight axis"),
    "screening.voxel_scale": ("1", "measured over nominal outer diameter"),
    "segmentation.coverage": ("1", "share of turns and angles segmented"),
    "segmentation.separability": ("1", "between-class over total grey variance"),
    "segmentation.threshold_sensitivity": (
        "mm",
        "change of mean overhang for a 10 % shift of the edge criterion",
    ),
    "segmentation.agreement": ("1", "Dice score against the classical segmenter"),
}

_ALL: dict[str, tuple[str, str]] = {
    **_BUNDLED,
    **{f"overhang.{rest}": entry for rest, entry in _OVERHANG.items()},
    **{
        f"overhang.{end}.{rest}": (unit, f"{meaning}, {end} end")
        for end in ENDS
        for rest, (unit, meaning) in _OVERHANG.items()
    },
}

UNITS: Mapping[str, str] = {name: unit for name, (unit, _) in _ALL.items()}
"""Unit of every measurement of the contract, by name."""

MEANINGS: Mapping[str, str] = {name: meaning for name, (_, meaning) in _ALL.items()}
"""One line on every measurement of the contract, by name."""


def known_units(declared: Mapping[str, str] | None = None) -> dict[str, str]:
    """Units of all measurements that may be asked for: the contract's and the plugins' ``declared`` ones."""
    return {**UNITS, **(declared or {})}


def end_of(name: str) -> End | None:
    """The end of the cell that a measurement is about, or ``None`` where it is about no single end."""
    parts = name.split(".")
    for end in ENDS:
        if end in parts[1:]:
            return end
    return None


def joins_ends(name: str) -> bool:
    """Whether a measurement takes all ends in view together (``overhang.length.min``)."""
    return name.startswith("overhang.") and end_of(name) is None


def is_length(unit: str) -> bool:
    """Whether a measurement in ``unit`` is a length, and so depends on the voxel scale."""
    return unit == LENGTH_UNIT
