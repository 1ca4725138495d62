"""What each figure of the scan is."""

from __future__ import annotations

from collections.abc import Mapping

from xctrules.core.names import Description

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
    "screening.clipped_blacks": Description(
        "1", "Clipped blacks", "share of the roll's voxels at the lower end of the grey scale", "smaller"
    ),
    "screening.saturated_wall": Description(
        "1", "Saturated wall", "share of the can wall's voxels at the upper end of the grey scale", "smaller"
    ),
    "screening.grey_linearity": Description(
        "1", "Grey linearity", "noise in the gap inside the can over that in its wall", "smaller"
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
    "screening.repeated_slices": Description(
        "1", "Repeated slices", "slices that repeat the one before them", "smaller"
    ),
    "screening.missing_slices": Description(
        "1", "Missing slices", "places in the stack at which slices are missing", "smaller"
    ),
    "screening.misplaced_slices": Description(
        "1", "Misplaced slices", "slices that do not belong between their neighbours", "smaller"
    ),
    "screening.slice_shift": Description(
        "mm", "Slice shift", "largest shift between neighbouring slices, beyond the usual one", "smaller"
    ),
    "screening.slice_turn": Description(
        "deg", "Slice turn", "largest turn between neighbouring slices, beyond the usual one", "smaller"
    ),
    "screening.slice_scale": Description(
        "1", "Slice scale", "largest relative change of scale between neighbouring slices", "smaller"
    ),
    "screening.brightness_step": Description(
        "1", "Brightness step", "largest relative step of brightness between neighbouring slices", "smaller"
    ),
    "screening.slice_spacing": Description(
        "1", "Slice spacing", "thickness of the can's sheet along the axis over that across it", "nominal"
    ),
    "screening.height_scale": Description(
        "1", "Height scale", "measured over nominal height, where both ends are in view", "nominal"
    ),
}  # fmt: skip
