"""The outline along the height: what of it is wall that should run straight, what is bead, crimp or bottom.

A can is straight over its roll; beyond the roll's ends it has one bead and a rim at the top, a rounded bottom
at the other end. What goes in or out anywhere else, all or most of the way round, is no part of the design: a
groove, a bulge, a taper. Beads are told from grooves by where they sit, not by what they look like.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.core.ledger import Place
from xctrules.core.measurement import Measurement, Scale
from xctrules.core.robust import noise_along
from xctrules.cylinder.frame import CellFrame, EndInView, NamedBy
from xctrules.cylinder.surfaces import CanSurface, Floats
from xctrules_canister import budget
from xctrules_canister.rays import Rays

GROOVE = "canister.groove_depth"

STEP_MM = 0.1
"""Departure of the outline's radius from the straight part's, all or most of the way round, with which a cell
may still pass: as much as makers' limits on the diameter leave to a can (0.2 mm). Waists of 0.02 mm beside a
bead are usual."""

BEAD_MM = 0.5
"""Depth from which a waist beyond the roll's end is the bead: a gasket and a cap must rest on it."""

LEANING = 0.5
"""Slope of the outline along the height, 27 degrees, up to which a ray inward meets the wall nearly square: a
bead's flank, the shoulder below the rim. Beyond it holes and dents are not told from the form."""

LEAST_FOR_NOISE = 3
"""Heights that a second difference needs."""

NOISE_SIGMAS = 3.0
"""Standard deviations of one height's radius up to which a step is noise."""

OUTLINE_VOXEL = 0.05
"""How well half height tells a radius's change along the height, in voxels: what lies behind the wall changes
as well, and moves the edge of a wall of few voxels."""

REFINED = 3
"""Times that the usual radius and the heights that should have it are found from each other."""


@dataclass(frozen=True)
class Course:
    """The outline's radius along the height.

    Attributes
    ----------
    z_mm, inward_mm : (nz,)
        Heights, and how far the outline lies inward of the straight part's radius.
    plain : (nz,) bool
        Heights at which the can should be straight.
    level : (nz,) bool
        Heights at which the outline leans less than :data:`LEANING`, straight or formed.
    extra_mm : (nz,)
        How deep a second waist beyond the roll's end is; 0 elsewhere.
    straight_mm
        The usual radius: the one that most of the heights have at which the can should be straight.
    noise_mm
        Standard deviation of one height's radius.
    told_mm
        Smallest difference between radii that is none of noise.
    area_mm2
        Of the surface at each height.
    """

    z_mm: Floats
    inward_mm: Floats
    plain: NDArray[np.bool_]
    level: NDArray[np.bool_]
    extra_mm: Floats
    straight_mm: float
    noise_mm: float
    told_mm: float
    area_mm2: Floats

    @classmethod
    def of(cls, rays: Rays, can: CanSurface, frame: CellFrame) -> Course:
        """From where the rays meet the can; the segmenter's straight part is where to begin."""
        low, high = can.z_mm[can.straight][[0, -1]]
        half = rays.step_mm / 2
        within = (rays.z_mm >= low - half) & (rays.z_mm <= high + half)
        within = plain = within if within.any() else np.ones(rays.z_mm.size, dtype=bool)
        voxel = max(frame.voxel_mm[1:])
        for _ in range(REFINED):
            radii = rays.radius_mm[plain if plain.any() else within]
            # Second differences of neighbours: a groove of some heights hardly has any.
            noise = noise_along(radii) if radii.size >= LEAST_FOR_NOISE else 0.0
            told = max(NOISE_SIGMAS * noise, OUTLINE_VOXEL * voxel)
            radius = usual_radius(radii, told)
            inward = radius - rays.radius_mm
            plain, extra = np.ones(rays.z_mm.size, dtype=bool), np.zeros(rays.z_mm.size)
            for end in frame.ends:
                _formed(rays.z_mm, inward, end, plain, extra)
        area = 2 * np.pi * rays.radius_mm * rays.step_mm
        level = plain | (np.abs(np.gradient(rays.radius_mm, rays.z_mm)) < LEANING)
        return cls(rays.z_mm, inward, plain, level, extra, radius, noise, told, area)

    @property
    def depth_mm(self) -> Floats:
        """(nz,) How deep a groove is at each height; 0 where there is none."""
        return np.maximum(np.where(self.plain, self.inward_mm, self.extra_mm), 0.0)

    @property
    def outward_mm(self) -> float:
        """How far the can goes out beyond its usual radius, where it should have it: 0 where noise does it.

        If not the usual radius but this one is the sound can's, what looks like a bulge is none, and all
        else lies in a groove. The scan does not show which.
        """
        out = float(-self.inward_mm[self.plain].min(initial=0.0))
        return out if out > self.told_mm else 0.0

    def flattened_mm(self, row: int, blur_mm: float) -> float:
        """What the image's blur takes off a groove at one height: as much as it would take again."""
        from scipy.ndimage import gaussian_filter1d

        step = float(np.median(np.diff(self.z_mm)))
        again = gaussian_filter1d(self.inward_mm, blur_mm / step, mode="nearest")
        return float(max(self.inward_mm[row] - again[row], 0.0))

    def places(self) -> list[Place]:
        """Heights at which the can departs from its straight part where it should not."""
        groove = self.depth_mm > STEP_MM
        bulge = self.plain & (self.inward_mm < -STEP_MM)
        between = float(self.depth_mm[self.plain].max(initial=0.0)) + self.outward_mm
        either = self.plain & (np.abs(self.inward_mm) > self.told_mm)
        found = [
            *self._bands(groove, self.depth_mm, "a groove of {:.2f} mm runs round the can"),
            *self._bands(bulge, -self.inward_mm, "the can is wider by {:.2f} mm all the way round"),
        ]
        if found or between <= STEP_MM:
            return found
        what = f"the can's radius changes by {between:.2f} mm: groove and bulge cannot be told apart"
        return self._bands(either, np.abs(self.inward_mm), what)

    def _bands(self, heights: NDArray[np.bool_], size_mm: Floats, what: str) -> list[Place]:
        found = []
        for rows in _runs(heights):
            worst = rows[int(np.argmax(size_mm[rows]))]
            at = {"z_mm": float(self.z_mm[worst])}
            found.append(Place(float(self.area_mm2[rows].sum()), at, what.format(float(size_mm[worst]))))
        return found


def _formed(z: Floats, inward: Floats, end: EndInView, plain: NDArray[np.bool_], extra: Floats) -> None:
    """Take an end's bead, rim or bottom out of ``plain``, and note second waists in ``extra``."""
    beyond = np.flatnonzero(end.outward * (z - end.z_mm) > 0)
    if not beyond.size:
        return
    beyond = beyond[np.argsort(end.outward * z[beyond])]  # outward
    depth = inward[beyond]
    beaded = end.name == "top" or end.named_by is NamedBy.PLACE
    start = _where_forming_begins(depth, beaded)
    plain[beyond[start:]] = False
    waists = [(rows, size) for rows, size in _waists(depth) if rows[-1] >= start]
    for rows, size in waists[1:] if beaded else waists:
        extra[beyond[rows]] = size


def _where_forming_begins(depth: Floats, beaded: bool) -> int:
    """Index, going outward from the roll's end, from which on a can is bead and rim, or a bottom's corner."""
    deep = np.flatnonzero(depth > BEAD_MM)
    if beaded and deep.size:
        first = int(deep[0])
    else:  # as much as is seen of either: what goes in to the can's or the image's end
        returns = np.flatnonzero(depth <= STEP_MM)
        first = int(returns[-1]) + 1 if returns.size else 0
    begun = np.flatnonzero(depth[: first + 1] <= STEP_MM)
    start = int(begun[-1]) + 1 if begun.size else 0
    start = min(start, depth.size - 1)
    while start > 0 and depth[start - 1] < depth[start]:
        start -= 1  # its flank begins where the outline last ran level
    return start


def _waists(depth: Floats) -> list[tuple[NDArray[np.intp], float]]:
    """Heights of each waist with wider can on both of its sides, and its depth; the deepest first."""
    found: list[tuple[NDArray[np.intp], float]] = []
    rest = depth.copy()
    while True:
        before, after = np.minimum.accumulate(rest), np.minimum.accumulate(rest[::-1])[::-1]
        sunk = rest - np.maximum(before, after)
        lowest = int(np.argmax(sunk)) if sunk.size else 0
        if not sunk.size or sunk[lowest] <= STEP_MM:
            return sorted(found, key=lambda waist: -waist[1])
        rows = next(run for run in _runs(sunk > STEP_MM / 2) if lowest in run)
        found.append((rows, float(sunk[lowest])))
        rest[rows] = np.maximum(before, after)[rows]


def _runs(flags: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """Indices of each run of True."""
    index = np.flatnonzero(flags)
    return [run for run in np.split(index, np.flatnonzero(np.diff(index) > 1) + 1) if run.size]


def usual_radius(radius_mm: Floats, told_mm: float) -> float:
    """The radius that most of some heights have, give or take ``told_mm``: no groove, however wide, moves it
    as long as more heights are level without it than run level in it."""
    ordered = np.sort(radius_mm)
    last = np.searchsorted(ordered, ordered + 2 * told_mm, side="right")
    most = int(np.argmax(last - np.arange(ordered.size)))
    return float(np.median(ordered[most : last[most]]))


def groove_depth(course: Course | None, scale: Scale, voxel_mm: float, blur_mm: float) -> Measurement:
    """``canister.groove_depth``: the deepest inward step all or most of the way round, 0 where none is."""
    if course is None:
        return Measurement.absent(GROOVE, "mm", "the scan shows no greys of the wall, or one height only")
    deepest = int(np.argmax(course.depth_mm))
    flattened = course.flattened_mm(deepest, blur_mm)
    depth, outward = float(course.depth_mm[deepest]) + flattened, course.outward_mm
    if depth <= course.told_mm and not outward:
        line = budget.smallest_groove_told_apart(course.told_mm)
        return Measurement(
            GROOVE, "mm", value=0.0, budget=(line,), n=course.z_mm.size,
            reason=f"a groove of {course.told_mm:.3f} mm would have shown",
        )  # fmt: skip
    depth += outward / 2
    lines = (
        scale.contribution(depth),
        budget.noise_of_the_straight_radii(course.noise_mm),
        budget.half_height_along_the_can(OUTLINE_VOXEL * voxel_mm),
        budget.blur_over_a_narrow_groove(flattened),
        budget.groove_or_bulge(outward),
    )
    at = {"z_mm": float(course.z_mm[deepest])}
    remark = f"a bulge of {outward:.3f} mm, or all else lies in a groove" if outward else None
    return Measurement(
        GROOVE, "mm", value=depth, budget=lines, n=course.z_mm.size, worst_at=at, reason=remark
    )  # fmt: skip
