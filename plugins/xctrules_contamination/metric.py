"""Contamination: dense foreign bodies inside the can, counted, located, and the largest of them sized."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xctrules.core.errors import NotMeasurable
from xctrules.core.figures import Samples
from xctrules.core.measurement import Measurement, MetricResult
from xctrules.core.names import Description
from xctrules.cylinder.frame import GEOMETRY
from xctrules.cylinder.surfaces import CylinderCell
from xctrules_contamination import budget
from xctrules_contamination.bodies import Body, dense_bodies
from xctrules_contamination.figures import figures
from xctrules_contamination.level import Box, Level, box_of, level_of
from xctrules_contamination.region import Region, region_of
from xctrules_contamination.sizing import Sized, sized

COUNT, LARGEST = "contamination.count", "contamination.largest"

PART_MM = 1.0
"""Length from which a dense body that runs out of the region looked at is a part of the cell: tabs and centre
pins are longer, and each of them comes out of the roll. A shorter one is a foreign body wherever it lies."""

TOLD_BOXES = 1.7
"""Diameter, in that of a ball as large as the box, from which a ball as dense as the can is told wherever it
lies among the voxels: blur takes a voxel off it all round. From drawn balls."""

MOST_SIZED = 200
"""Bodies that are sized, those with the densest boxes: a cell with as many needs no further one."""

DESCRIPTIONS: Mapping[str, Description] = {
    COUNT: Description(
        "1", "Dense foreign bodies",
        "number of dense bodies in the roll and the free space beside it that belong to no part of the cell",
        "smaller", zero_when_good=True,
    ),
    LARGEST: Description(
        "mm", "Largest foreign body", "diameter of a ball as large as the largest dense foreign body",
        "smaller", zero_when_good=True,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What was found: foreign bodies, largest first, and the parts of the cell among the dense bodies."""

    region: Region
    level: Level
    box: Box
    foreign: tuple[Sized, ...]
    unsized: int
    parts: tuple[Body, ...]


class Contamination:
    """Looks for dense foreign bodies (see the module)."""

    geometry = GEOMETRY
    name = "contamination"
    title = "Foreign bodies"
    describes: Mapping[str, Description] = DESCRIPTIONS
    declares: Mapping[str, str] = {name: d.unit for name, d in DESCRIPTIONS.items()}

    def measure(self, cell: CylinderCell) -> MetricResult:
        """Number and largest size, a warning for the largest, and every single body.

        Raises
        ------
        NotMeasurable
            Where the scan has no greys, no can or no roll, or where noise hides dense bodies.
        """
        if cell.settings.mask_of is not None or cell.labels is not None:
            raise NotMeasurable("the scan shows no greys inside the can")
        found = look(cell)
        return MetricResult(
            measurements=[_count(found), _largest(found)],
            figures=figures(cell, found.foreign),
            samples=[samples(found.foreign)],
            warnings=_warnings(found),
            parameters={
                "contamination.box_voxels": [found.box.along, *found.box.across],
                "contamination.dense_grey": found.level.dense,
                "contamination.layers_grey": found.level.layers,
                "contamination.from_z_mm": found.region.low_mm,
                "contamination.to_z_mm": found.region.high_mm,
                "contamination.parts": len(found.parts),
            },
        )


def look(cell: CylinderCell) -> Found:
    """Find and size all dense bodies of a cell.

    Raises
    ------
    NotMeasurable
        See :meth:`Contamination.measure`.
    """
    region, box = region_of(cell), box_of(cell.frame.voxel_mm)
    level = level_of(region)
    bodies = dense_bodies(region, level, box)
    parts = tuple(body for body in bodies if is_part(region, box, body))
    foreign = sorted((body for body in bodies if body not in parts), key=lambda body: -body.densest)
    ranked = sorted(
        (sized(region, level, box, body) for body in foreign[:MOST_SIZED]), key=lambda one: -one.diameter_mm
    )
    return Found(region, level, box, tuple(ranked), max(0, len(foreign) - MOST_SIZED), parts)


def is_part(region: Region, box: Box, body: Body) -> bool:
    """Whether a dense body runs out of the region looked at, and is as long as a part of the cell."""
    dz, dy, dx = region.cell.frame.voxel_mm
    long = max((b - a + 1) * side for a, b, side in zip(body.first, body.last, (dz, dy, dx), strict=True))
    reach = (box.along + 1) * dz
    first, last = region.slices[0], region.slices[-1]
    ends = (
        body.low_mm <= region.low_mm + reach
        or body.high_mm >= region.high_mm - reach
        or body.first[0] <= first
        or body.last[0] + box.along > last
    )
    return bool(ends and long >= PART_MM)


def _unknown(found: Found) -> str | None:
    """Why nothing can be said although nothing was found; ``None`` where something can."""
    left_out = found.region.unbounded
    if found.foreign or not left_out:
        return None
    return (
        f"the can's inner face is not known at {left_out} of {left_out + len(found.region.slices)} slices "
        "beside the roll, and nothing was found in the others"
    )


def _count(found: Found) -> Measurement:
    unknown = _unknown(found)
    if unknown is not None:
        return Measurement.absent(COUNT, "1", unknown)
    number = len(found.foreign) + found.unsized
    return Measurement(
        COUNT, "1", value=float(number), n=len(found.region.slices),
        worst_at=found.foreign[0].at if found.foreign else None, reason=_remark(found),
    )  # fmt: skip


def _largest(found: Found) -> Measurement:
    unknown = _unknown(found)
    if unknown is not None:
        return Measurement.absent(LARGEST, "mm", unknown)
    if not found.foreign:
        line = budget.bodies_too_small_to_tell(found.box.diameter_mm)
        return Measurement(LARGEST, "mm", value=0.0, budget=(line,), n=0, reason=_remark(found))
    largest = found.foreign[0]
    lines = (found.region.cell.scale.contribution(largest.diameter_mm), *largest.lines)
    return Measurement(
        LARGEST, "mm", value=largest.diameter_mm, budget=lines, n=len(found.foreign), worst_at=largest.at,
        reason=_remark(found),
    )  # fmt: skip


def _remark(found: Found) -> str:
    """What was looked at, and what was not."""
    region = found.region
    said = [
        f"looked at from z {region.low_mm:.2f} to {region.high_mm:.2f} mm, more than {region.clear_mm:.2f} "
        f"mm inside the can; bodies smaller than {TOLD_BOXES * found.box.diameter_mm:.2f} mm, or less dense "
        "than the can, may go unseen"
    ]
    if found.parts:
        noun = "a dense body runs" if len(found.parts) == 1 else f"{len(found.parts)} dense bodies run"
        said.append(f"{noun} out of the roll at an end, as tabs and centre pins do, and is not counted")
    if region.unbounded:
        said.append(f"{region.unbounded} slices were left out, since the can's inner face is not known there")
    return "; ".join(said)


def _warnings(found: Found) -> Sequence[str]:
    if not found.foreign:
        return ()
    largest = found.foreign[0]
    at = largest.at
    turn = f", turn {at['turn']:.0f}" if "turn" in at else ""
    others = len(found.foreign) + found.unsized - 1
    more = "" if not others else f"; {others} more" if others > 1 else "; one more"
    return (
        f"a dense foreign particle of {largest.diameter_mm:.2f} mm lies at z {at['z_mm']:.2f} mm, "
        f"theta {at['theta_deg']:.0f} degrees, r {at['r_mm']:.2f} mm{turn}{more}",
    )


def samples(foreign: Sequence[Sized]) -> Samples:
    """Every foreign body, the largest first."""
    columns = {
        name: np.array([body.at.get(name, np.nan) for body in foreign], dtype=float)
        for name in ("z_mm", "theta_deg", "r_mm", "turn")
    }
    size = np.array([body.diameter_mm for body in foreign], dtype=float)
    return Samples("contamination_bodies", {**columns, "diameter_mm": size})
