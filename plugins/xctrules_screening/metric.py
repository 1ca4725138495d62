"""The screening metric: is this scan good enough to judge a cell by it, and if not, what would cure it?

Definitions, formulas and the reason for every level stand in ``docs/screening.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from xctrules.core.measurement import MetricResult
from xctrules.core.names import Description
from xctrules.cylinder.frame import GEOMETRY
from xctrules.cylinder.surfaces import CylinderCell, Followed
from xctrules_screening.by_geometry import GEOMETRIC, geometric_figures
from xctrules_screening.by_greys import roll_saturation, why_no_layers
from xctrules_screening.by_layers import LAYERED, layer_figures
from xctrules_screening.by_scale import scale_figures
from xctrules_screening.by_stack import stack_figures
from xctrules_screening.descriptions import DESCRIPTIONS
from xctrules_screening.field import Saturation, undersampling
from xctrules_screening.figures import levels_table
from xctrules_screening.findings import Conclusion, Findings, absent, conclude
from xctrules_screening.layers import find_layers
from xctrules_screening.linearity import linearity
from xctrules_screening.sampling import Unrolled, unroll
from xctrules_screening.sharpness import sharpness

USUAL_PITCH_MM = 0.4
"""Distance between turns where the scan shows none: that of commercial cells with thick electrodes."""

SATURATED_WALL = 0.05
"""Share of the wall's voxels at the end of the grey scale from which its edge looks steeper than it is."""


class Screening:
    """Grey-level and geometry checks of the scan: ``screening.*``."""

    geometry = GEOMETRY
    about_the_scan: Literal[True] = True
    name = "screening"
    title = "Scan quality"
    describes: Mapping[str, Description] = DESCRIPTIONS
    declares: Mapping[str, str] = {name: d.unit for name, d in DESCRIPTIONS.items()}

    def measure(self, cell: CylinderCell) -> MetricResult:
        """All figures that the scan allows; a mask is judged by its geometry alone."""
        parts = [*_of_the_stack(cell), *_by_grey(cell), geometric_figures(cell)]
        by_name = {figure.measurement.name: figure for part in parts for figure in part.judged}
        judged = [by_name[name] for name in self.declares]
        conclusion = _of_a_mask(parts) if cell.settings.mask_of else conclude(parts, _waived(cell))
        short = undersampling(cell)
        return MetricResult(
            measurements=[figure.measurement for figure in judged],
            figures=[levels_table(judged), *(figure for part in parts for figure in part.figures)],
            parameters={
                figure.measurement.name: {"bad": level.bad, "warn": level.warn, "reject": level.reject}
                for figure in judged
                if (level := figure.level)
            },
            rejections=conclusion.rejections,
            warnings=(*conclusion.warnings, *((short,) if short else ())),
        )


def _waived(cell: CylinderCell) -> Mapping[str, str]:
    """Figures that are not held against the scan, with the segmenter's reason."""
    return cell.segmentation.waives if cell.segmentation else {}


def _of_a_mask(parts: Sequence[Findings]) -> Conclusion:
    """Whoever drew the mask has judged the scan: nothing rejects it."""
    conclusion = conclude(parts, {})
    return Conclusion((), (*conclusion.warnings, *conclusion.rejections))


def _of_the_stack(cell: CylinderCell) -> list[Findings]:
    """Whether the slices are one scan at rest, at their right distance; :func:`_by_grey` tells of a mask."""
    return [] if cell.settings.mask_of else [stack_figures(cell), scale_figures(cell)]


def _by_grey(cell: CylinderCell) -> list[Findings]:
    """Saturation, layers and sharpness; all absent where the scan is a mask."""
    if cell.settings.mask_of is not None:
        names = [name for name in DESCRIPTIONS if name not in GEOMETRIC]
        reason = f"the scan is a mask of the {cell.settings.mask_of}: it has no grey levels"
        return [Findings(absent(names, reason))]
    foil = None if cell.segmentation is None else cell.segmentation.foil
    roll = None if foil is None or foil.followed is not Followed.COPPER else unroll(cell, foil)
    saturated, grey = roll_saturation(cell, roll)
    # Without a followed foil the frame's rough period may be anything, a multiple of the pitch included.
    pitch = USUAL_PITCH_MM if roll is None else roll.pitch_mm
    return [
        saturated,
        linearity(cell, grey.wall),
        _layers(cell, roll, grey),
        sharpness(cell, pitch, grey.wall > SATURATED_WALL),
    ]


def _layers(cell: CylinderCell, roll: Unrolled | None, grey: Saturation) -> Findings:
    layers = None if roll is None else find_layers(roll, max(cell.frame.voxel_mm[1:]))
    if roll is not None and layers is not None:
        return layer_figures(cell, roll, layers, grey.dark_grey)
    segmentation = cell.segmentation
    why = "the winding was not segmented"
    if segmentation is not None:
        why = segmentation.missing.get("foil", why)
    hidden = why_no_layers(cell, grey.dark_grey)
    return Findings(absent(LAYERED, why), rejections=(hidden,) if hidden else ())
