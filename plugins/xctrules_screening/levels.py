"""The levels at which a screening figure warns or rejects. ``docs/screening.md`` says why there.

None of them was fitted to a scan: they follow from what a measurement needs of the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ROSE = 5.0
"""Signal over noise from which one sees a thing reliably (Rose 1973)."""

APART = 3.0
"""A valley this many standard deviations deep is no chance of the noise (one in 700)."""


@dataclass(frozen=True)
class Level:
    """When one figure is bad.

    Attributes
    ----------
    bad
        The direction in which it gets worse.
    warn, reject
        ``None`` where it never does.
    meaning
        What a bad value means, as the middle of a sentence.
    cure
        What to do about it.
    """

    bad: Literal["low", "high"]
    warn: float | None
    reject: float | None
    meaning: str
    cure: str

    def judgement(self, value: float) -> Literal["good", "warning", "rejected"]:
        """Which side of the levels a value lies on; a value on a level is still good."""

        def beyond(level: float | None) -> bool:
            return level is not None and (value < level if self.bad == "low" else value > level)

        return "rejected" if beyond(self.reject) else "warning" if beyond(self.warn) else "good"


CLIPPED_BLACKS = 0.001
"""Share of the roll's voxels at the lower end of the grey scale. Noise that is cut off at three of its
standard deviations below the grey of gaps leaves 0.0013 of them there: the end then lies well above air, and
by how much is not known."""

SATURATED_WALL = 0.5
"""Where more than half of the wall's voxels are at the end of the scale its own grey is not known, and so not
where half of its height is."""

LINEARITY_WARN, LINEARITY_REJECT = 1.25, 1.41
"""Noise of the gap over that of the wall beside it. With slopes of the grey scale in the ratio k at its ends
an edge is found 0.63 (k - 1) / (k + 1) of its blur's standard deviation from where it is: at the root of 2 by
a tenth, which is a tenth of a voxel in a scan as sharp as its voxels, and what edges are located to."""

_LESS_NOISE = "average more frames, expose longer, or take more projections"
_EXPORT_AGAIN = "export or reconstruct the slices again"
_HOLD = "see that the cell stands firm and the parts of the scan are joined rightly; scan again"
_FINER = "scan with smaller voxels, a smaller focal spot, or a sharper reconstruction filter"

SPACING_WARN, SPACING_REJECT = 1.25, 1.4
"""Factor between the can's sheet along the axis and across it. Forming a bead changes a sheet by up to a
fifth; the square root of 2 is half-way to a spacing that is off by a factor of two."""

LEVELS: Mapping[str, Level] = {
    "screening.snr": Level("low", ROSE, None, "single voxels of the cathode are lost in noise", _LESS_NOISE),
    "screening.cnr": Level(
        "low", APART, None, "single voxels of cathode and gap are mistaken for each other", _LESS_NOISE
    ),
    "screening.resolution": Level(
        "high", None, None, "neighbouring electrode layers run into one", _FINER
    ),
    "screening.layer_separation": Level(
        "low", 0.9, 0.5, "copper and cathode do not show apart", f"{_LESS_NOISE}; or {_FINER}"
    ),
    "screening.cupping": Level(
        "high", None, None, "one material has different greys inside and outside the roll",
        "filter the beam harder, raise the tube's voltage, or correct for beam hardening",
    ),
    "screening.ring_index": Level(
        "high", 1.0, None, "rings are as strong as the noise and do not average out over the angle",
        "calibrate the detector's flat field again, or move the detector between projections",
    ),
    "screening.cone_beam_index": Level(
        "high", 0.41, None, "the scan is less sharp towards its upper and lower border",
        "put the region of interest at mid-height of the detector, or scan along a helix",
    ),
    "screening.saturation": Level(
        "high", 0.05, 0.2, "the electrodes are as white as the grey scale goes",
        "save the scan again with a wider grey window, or as 16-bit or floating point",
    ),
    "screening.clipped_blacks": Level(
        "high", None, CLIPPED_BLACKS,
        "what is dark in the roll is cut off at the lower end of the grey scale",
        "save the scan again with a wider grey window that reaches below air, or as 16-bit or floating point",
    ),
    "screening.saturated_wall": Level(
        "high", SATURATED_WALL, None,
        "the can's wall is as white as the grey scale goes, so that its faces cannot be located",
        "save the scan again with a wider grey window, or as 16-bit or floating point",
    ),
    "screening.grey_linearity": Level(
        "high", LINEARITY_WARN, LINEARITY_REJECT, "the grey scale is not linear",
        "save the scan again without gamma or contrast curve, as the reconstruction gave it",
    ),
    "screening.truncation": Level(
        "high", 0.0, 0.02, "the can runs out of the field of view",
        "centre the cell, lower the magnification, or widen the field of view (offset or extended scan)",
    ),
    "screening.axis_residual": Level(
        "high", None, None, "the slices are not centred on one straight line",
        "see that the cell stands firm and the stage has settled; scan again, or inspect the cell for bow",
    ),
    "screening.voxel_scale": Level(
        "high", None, None, "the measured diameter is not the nominal one",
        "check the spec and the voxel size (and its unit), and calibrate the length scale",
    ),
    "screening.repeated_slices": Level(
        "high", None, 0.0, "slices repeat their neighbours", _EXPORT_AGAIN,
    ),
    "screening.missing_slices": Level(
        "high", None, 0.0, "slices are missing",
        f"{_EXPORT_AGAIN}, or inspect the parts as scans of their own",
    ),
    "screening.misplaced_slices": Level(
        "high", None, 0.0, "slices stand in the wrong place",
        f"put the slices in their order, or {_EXPORT_AGAIN}",
    ),
    "screening.slice_shift": Level("high", None, None, "slices are shifted against each other", _HOLD),
    "screening.slice_turn": Level("high", None, 0.1, "slices are turned against each other", _HOLD),
    "screening.slice_scale": Level("high", None, None, "slices are scaled against each other", _HOLD),
    "screening.brightness_step": Level(
        "high", 0.02, 0.05, "slices are brighter or darker than those before them",
        "join the parts with equal grey scales, or inspect them as scans of their own",
    ),
    "screening.slice_spacing": Level(
        "high", SPACING_WARN, SPACING_REJECT, "the spacing of the slices is not what the image shows",
        "check the voxel size along z, and whether slices were left out or averaged when they were exported",
    ),
    "screening.height_scale": Level(
        "high", None, 0.1, "the measured height is not the nominal one",
        "check the spec and the voxel size along z",
    ),
}  # fmt: skip

SHIFT_REJECT_VOXELS = 0.3
"""A slice's shift, at the can's edge also its scale, in voxels: the edges of can and layers are located to a
tenth, and a whole part of the scan that is off by three times as much is no longer one cell."""

VOXEL_SCALE_WARN, VOXEL_SCALE_REJECT = 0.01, 0.12
"""Relative departure of the diameter from the nominal one. No scanner is off by the latter; the nearest
formats, 18650 and 21700, are 13 % apart, and an 18650 would pass as a slim 21700."""

AXIS_RESIDUAL_WARN_VOXELS = 1.0
