"""Cylindrical cells as the engine meets them: how they are found, what can be chosen, what a scan shows.

In: an open scan. Out: a :class:`~xctrules.cylinder.frame.CellFrame` and what follows from it for a verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xctrules.core.errors import NotMeasurable
from xctrules.core.measurement import Measurement
from xctrules.core.protocols import Option, Predictor, Scope
from xctrules.core.slices import Scan
from xctrules.cylinder.finding import CylinderFinder, InvertedScan, SaturatedScan
from xctrules.cylinder.frame import GEOMETRY, CellFrame
from xctrules.cylinder.predictions import quality_of
from xctrules.cylinder.surfaces import LABELS, CylinderCell, CylinderSettings

ENDS = ("top", "bottom")
"""The two named places of a cylindrical cell; the top is where the cap is."""

FEWEST_ANGLES, MOST_ANGLES = 8, 7200
"""Half-planes that may be asked for: fewer show no winding, more than one per 0.05 degrees no more of it."""

NOTABLE_SATURATION = 0.05
"""Share of a slice at its largest value from which a clipped grey scale may be why no can stands out."""


class Cylinder:
    """The geometry ``cylindrical``: a straight can with a wound roll in it."""

    geometry = GEOMETRY
    options: Sequence[Option] = (
        Option(
            "angles", int, "half-planes around the axis, equally spaced over the whole turn",
            default=CylinderSettings.angles, low=FEWEST_ANGLES, high=MOST_ANGLES,
        ),
        Option(
            "mask_of", str, "the scan (or the label image given) is a two-valued image of this part",
            choices=("canister", "electrode"),
        ),
    )  # fmt: skip
    mask_option = "mask_of"
    mask_labels: Mapping[str, int] = {"canister": LABELS["can"], "electrode": LABELS["copper"]}
    """An electrode is followed as the copper is."""

    def settings(self, segmenter: str, model: str | None, values: Mapping[str, Any]) -> CylinderSettings:
        """The settings of an inspection of a cylindrical cell."""
        return CylinderSettings(segmenter, model, values["angles"], values["mask_of"])

    def find(self, scan: Scan, nominal_mm: Mapping[str, float], settings: CylinderSettings) -> CellFrame:
        """The cell's axis and what was seen of it on the way; see :class:`CylinderFinder`."""
        try:
            return CylinderFinder().find(scan, nominal_mm, settings.mask_of)
        except (SaturatedScan, InvertedScan):
            raise
        except NotMeasurable as error:
            note = "" if settings.mask_of else _saturation_note(scan)
            raise NotMeasurable(error.reason + note) from error

    def scope(self, cell: CylinderCell | None, nominal_mm: Mapping[str, float]) -> Scope:
        """Which ends are in view, and how much of the can."""
        height = nominal_mm.get("height")
        if cell is None:
            return _scope(None, None, None, height)
        frame, found = cell.frame, cell.segmentation
        ends = None if frame.roll_mm is None else [end.name for end in frame.ends]
        seen = None if frame.seen_mm is None else frame.seen_mm[1] - frame.seen_mm[0]
        straight = None
        if found is not None and found.can is not None and found.can.straight.any():
            heights = found.can.z_mm
            spacing = float(heights[1] - heights[0]) if heights.size > 1 else frame.voxel_mm[0]
            straight = float(found.can.straight.sum()) * spacing
        return _scope(ends, seen, straight, height)

    def predictor(self, cell: CylinderCell, screened: Mapping[str, Measurement]) -> Predictor | str:
        """Formulas for what this scan can give."""
        return quality_of(cell, screened)


def _scope(
    ends: Sequence[str] | None, seen_mm: float | None, straight_mm: float | None, height_mm: float | None
) -> Scope:
    in_view = None if ends is None else [end for end in ENDS if end in ends]
    figures = {
        "ends": in_view,
        "height_seen_mm": seen_mm,
        "straight_can_mm": straight_mm,
        "nominal_height_mm": height_mm,
    }
    places = {end: None if in_view is None else end in in_view for end in ENDS}
    return Scope(places, "end", _scope_text(in_view, seen_mm, straight_mm, height_mm), figures)


def _scope_text(
    ends: Sequence[str] | None, seen_mm: float | None, straight_mm: float | None, height_mm: float | None
) -> str:
    """``for the top end, 6.8 of 70.0 mm seen, 2.6 mm of it straight can``."""
    parts = []
    if ends is not None:
        named = {0: "no end", 1: "the {} end", 2: "both ends"}[len(ends)]
        parts.append(f"for {named.format(*ends)}")
    if seen_mm is not None:
        whole = f" of {height_mm:.1f}" if height_mm else ""
        parts.append(f"{seen_mm:.1f}{whole} mm seen")
    if straight_mm is not None:
        parts.append(f"{straight_mm:.1f} mm " + ("of it straight can" if seen_mm else "straight can"))
    if not parts:
        return "for an unknown part of the cell"
    return ", ".join(parts if ends is not None else ["for a part of the cell", *parts])


def _saturation_note(scan: Scan) -> str:
    """What to add where no cell was found: a clipped grey scale hides a can among what it holds."""
    image = scan.slices[scan.shape[0] // 2]
    share = float((image == image.max()).mean())
    if share < NOTABLE_SATURATION:
        return ""
    return (
        f"; {100 * share:.0f} % of the middle slice has its largest value: if the scan is saturated, "
        "save it again with a wider grey window, or as 16-bit or floating point"
    )
