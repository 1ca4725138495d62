"""The outer outline of the cell, slice by slice: where it is, how much of it is seen, and where it is
straight."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.core.robust import robust_fit
from xctrules.core.slices import Scan

Floats = NDArray[np.float64]
Grey = NDArray[np.float32]
Point = tuple[float, float]

# --- the grey level of the outline -------------------------------------------------------------------------

LEVEL_SLICES = 24
"""Slices that the can's grey is taken from: the median of twenty-four is steady, reading more takes time."""

LEVEL_PIXELS = 360
"""Pixels across such a slice, of those that there are: a wall of 2 % of the radius is still three wide."""

DARKEST, BRIGHTEST = 5.0, 99.5
"""Percentiles between which Otsu's threshold is sought: single specks and dead pixels lie beyond."""

LEAST_BRIGHT = 16
"""Pixels above that threshold in a slice that shows anything."""

BULK = (0.5, 99.5)
"""Percentiles of their rows and columns that bound the cell: single specks must not widen the bound."""

IN_THE_WALL = 99.0
"""Percentile of the greys within that bound that lies in the wall: one of 2 % of the radius covers more than
3 % of it."""


def cell_level(scan: Scan) -> float:
    """Grey level half-way from the surroundings to the can, from a sample of slices.

    The can is the brightest large part of a cylindrical cell. A first threshold (Otsu's) bounds the cell;
    inside that bound the 99th percentile lies in the wall, however much empty border the image has.

    Raises
    ------
    NotMeasurable
        When no slice shows anything.
    """
    nz = scan.shape[0]
    picked = np.unique(np.linspace(0, nz - 1, min(nz, LEVEL_SLICES)).round().astype(int))
    levels = [pair for pair in (_dark_and_wall(scan.slices[int(k)]) for k in picked) if pair is not None]
    if not levels:
        raise NotMeasurable("no can was found: the scan shows nothing brighter than its surroundings")
    low = float(np.median([dark for dark, _ in levels]))
    # Slices beyond the cell have no wall; the upper half of the slices speaks for it.
    high = float(np.median(sorted(wall for _, wall in levels)[len(levels) // 2 :]))
    return low + 0.5 * (high - low)


def _dark_and_wall(image: NDArray[np.generic]) -> tuple[float, float] | None:
    """Grey of the surroundings and of the wall in one slice; None where there is nothing in it."""
    stride = max(1, min(image.shape) // LEVEL_PIXELS)
    small = cv2.blur(np.ascontiguousarray(image).astype(np.float32), (3, 3))[::stride, ::stride]
    low, high = (float(q) for q in np.percentile(small, (DARKEST, BRIGHTEST)))
    if high <= low:
        return None
    scaled = np.clip((small - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    cut, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    rows, columns = np.nonzero(scaled > cut)
    if rows.size < LEAST_BRIGHT:
        return None
    (r0, r1), (c0, c1) = (np.percentile(places, BULK).astype(int) for places in (rows, columns))
    return low, float(np.percentile(small[r0 : r1 + 1, c0 : c1 + 1], IN_THE_WALL))


# --- the outline in one slice ------------------------------------------------------------------------------

OUTLINE_ANGLES = 180
"""Directions in which each slice's outline is looked for: one per 2 degrees, 0.4 mm on a 21 mm can."""

LEAST_SEEN = 0.3
"""Share of the directions in which an outline must be seen: fewer do not tell a circle from an arc."""

CLOSED = 0.8
"""Share of the directions from which on one slice's centre is where the next one's is looked for."""

MOST_MOVES = 3
"""Times that an outline is looked for from its own centre: the second hardly moves it."""

SETTLED = 0.5
"""Pixels by which the centre may move and count as settled: what is left changes no direction's edge."""

SPREAD_FLOOR = 0.25
"""Least scale of the outline's residuals, in pixels: that of linear interpolation between two."""

LEAST_ACROSS = 8
"""Rows and columns of a bulk that is worth looking at."""

BEYOND_FARTHEST, LEAST_REACH = 1.1, 10
"""Rays reach a tenth beyond the farthest border of the image seen from the centre, and ten pixels at
least."""

BORDER = 0.5
"""Pixels off the middle of the outermost ones: an outline farther out lies outside the image."""


@dataclass(frozen=True)
class Outline:
    """The outer outline of the cell in one slice: a robust ellipse-like curve through it, in mm.

    ``covered`` is the share of directions in which the outline was seen; ``cut`` the share in which it
    lies outside the image; ``spread_mm`` a robust standard deviation of the outline about the
    curve.
    """

    slice_index: int
    x_mm: float
    y_mm: float
    radius_mm: float
    covered: float
    cut: float
    spread_mm: float


@dataclass(frozen=True)
class Oval:
    """A nearly round closed curve about a point near its centre.

    Model: ``r = radius + x cos t + y sin t + a cos 2t + b sin 2t``, to first order a circle of that radius
    about (x, y) with the ovality (a, b): five unknowns, at least six points.

    Attributes
    ----------
    coefficients : (5,)
    spread : float
        Robust standard deviation of the points about the curve.
    """

    coefficients: Floats
    spread: float

    @classmethod
    def estimate(cls, angle: Floats, radius: Floats, floor: float) -> Oval:
        """Robust fit (Tukey's biweight) to points (n,) at angles in radians; ``floor`` is the least scale."""
        return cls(*robust_fit(_harmonics(angle), radius, floor=floor))

    def predict(self, angle: Floats) -> Floats:
        """Radius (n,) at angles in radians."""
        return np.asarray(_harmonics(angle) @ self.coefficients)

    def residuals(self, angle: Floats, radius: Floats) -> Floats:
        """Radius of points less the curve's, (n,)."""
        return np.asarray(radius - self.predict(angle))


def _harmonics(angle: Floats) -> Floats:
    ones = np.ones_like(angle)
    return np.stack([ones, np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)], axis=1)


def outlines_in(scan: Scan, picked: Sequence[int], level: float) -> list[Outline]:
    """The outer outline in each of the ``picked`` slices in which there is one."""
    dy, dx = scan.voxel_size_mm[1:]
    found: list[Outline] = []
    centre: Point | None = None
    for k in picked:
        image = np.ascontiguousarray(scan.slices[k])
        grey = image.astype(np.float32) if image.dtype != np.float32 else image
        start = centre or _middle_of_bulk(grey > level, dy, dx)
        if start is None:
            continue
        outline = _Rays(grey, level, dy, dx).settled_outline(k, start)
        if outline is not None:
            found.append(outline)
            centre = (outline.x_mm, outline.y_mm) if outline.covered > CLOSED else None
    return found


def _middle_of_bulk(mask: NDArray[np.bool_], dy: float, dx: float) -> Point | None:
    """Middle of the bounding box of a mask's bulk, in mm (x, y): a ring cut by the border still bounds
    itself."""
    rows, columns = np.flatnonzero(mask.sum(axis=1) > 1), np.flatnonzero(mask.sum(axis=0) > 1)
    if rows.size < LEAST_ACROSS or columns.size < LEAST_ACROSS:
        return None
    return 0.5 * (columns[0] + columns[-1]) * dx, 0.5 * (rows[0] + rows[-1]) * dy


@dataclass(frozen=True)
class _Rays:
    """Rays in one slice, from some point in all directions, to the outermost place above ``level``."""

    grey: Grey
    level: float
    dy: float
    dx: float

    @property
    def step(self) -> float:
        return min(self.dy, self.dx)

    def settled_outline(self, k: int, start: Point) -> Outline | None:
        """The outline seen from its own centre, found from ``start``."""
        x0, y0 = start
        outline = None
        for _ in range(MOST_MOVES):
            outline = self.outline_from(k, x0, y0)
            if outline is None:
                return None
            moved = math.hypot(outline.x_mm - x0, outline.y_mm - y0)
            x0, y0 = outline.x_mm, outline.y_mm
            if moved < SETTLED * self.step:
                break
        return outline

    def outline_from(self, k: int, x0: float, y0: float) -> Outline | None:
        """The outline seen from (x0, y0); None where it shows in too few directions."""
        angle = np.deg2rad(np.arange(OUTLINE_ANGLES) * (360.0 / OUTLINE_ANGLES))
        radius, good = self.edges_from(x0, y0, angle)
        if good.sum() < LEAST_SEEN * good.size:
            return None
        oval = Oval.estimate(angle[good], radius[good], floor=SPREAD_FLOOR * self.step)
        # The can is cut off where its outline, carried on, lies outside the image.
        edge = oval.predict(angle)
        cut = ~good & self.outside(x0 + np.cos(angle) * edge, y0 + np.sin(angle) * edge)
        return Outline(
            slice_index=k,
            x_mm=x0 + oval.coefficients[1],
            y_mm=y0 + oval.coefficients[2],
            radius_mm=float(oval.coefficients[0]),
            covered=float(good.mean()),
            cut=float(cut.mean()),
            spread_mm=oval.spread,
        )

    def edges_from(self, x0: float, y0: float, angle: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """Radius (nangles,) at which each ray last falls through the level, and whether that was seen."""
        ny, nx = self.grey.shape
        farthest = math.hypot(max(x0, nx * self.dx - x0), max(y0, ny * self.dy - y0))
        whole = math.hypot(nx * self.dx, ny * self.dy)
        far = min(whole, BEYOND_FARTHEST * max(farthest, LEAST_REACH * self.step))
        r = np.arange(0.0, far, self.step)
        map_x = ((x0 + np.cos(angle)[:, None] * r) / self.dx).astype(np.float32)
        map_y = ((y0 + np.sin(angle)[:, None] * r) / self.dy).astype(np.float32)
        inside = (map_x >= 0) & (map_x <= nx - 1) & (map_y >= 0) & (map_y <= ny - 1)
        ray = cv2.remap(self.grey, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        ray = cv2.blur(ray, (3, 1), borderType=cv2.BORDER_REPLICATE)
        bright = (ray > self.level) & inside
        each = np.arange(angle.size)
        last = r.size - 1 - np.argmax(bright[:, ::-1], axis=1)
        after = np.minimum(last + 1, r.size - 1)
        a, b = ray[each, last], ray[each, after]
        radius = r[last] + self.step * (a - self.level) / np.maximum(a - b, 1e-6)
        return radius, bright.any(axis=1) & inside[each, after]

    def outside(self, x_mm: Floats, y_mm: Floats) -> NDArray[np.bool_]:
        """Whether points lie beyond the image's outermost pixels."""
        ny, nx = self.grey.shape
        x, y = x_mm / self.dx, y_mm / self.dy
        beyond = (x < BORDER) | (x > nx - 1 - BORDER) | (y < BORDER) | (y > ny - 1 - BORDER)
        return np.asarray(beyond)


# --- the straight part -------------------------------------------------------------------------------------

USABLE_SEEN, USABLE_SEEN_OR_CUT = 0.55, 0.8
"""Share of the directions in which a usable outline is seen, and is either seen or outside the image: more
than half pins its centre, and what is neither is a hole."""

ROUND_VOXELS, ROUND_SHARE = 3.0, 0.02
"""Spread about its curve, in voxels and as a share of its radius, below which an outline is a round one:
dents and noise stay below either."""

STRAIGHT_VOXELS = 1.0
"""Voxels that the radius of the straight part may be off the run's median (see the contract)."""

MEDIAN_STEP, MEDIAN_OFF = 0.25, 0.5
"""Voxels between the medians that are tried for a run, and by which its own may differ from the one tried."""


def straight_run(outlines: list[Outline], voxel_mm: float) -> list[Outline]:
    """The longest unbroken run of slices whose radius stays within one voxel of the run's median."""
    usable = [outline for outline in outlines if _is_usable(outline, voxel_mm)]
    if not usable:
        return []
    spacing = min((b.slice_index - a.slice_index for a, b in pairwise(outlines)), default=1)
    radii = np.array([outline.radius_mm for outline in usable])
    adjoins = np.array(
        [False] + [b.slice_index - a.slice_index == spacing for a, b in pairwise(usable)], dtype=bool
    )
    step = MEDIAN_STEP * voxel_mm
    best = (0, 0)
    for median in np.unique(np.round(radii / step)) * step:
        for start, stop in _runs(np.abs(radii - median) <= STRAIGHT_VOXELS * voxel_mm, adjoins):
            own = float(np.median(radii[start:stop]))
            if stop - start > best[1] - best[0] and abs(own - median) <= MEDIAN_OFF * voxel_mm:
                best = (start, stop)
    return usable[best[0] : best[1]] if best[1] > best[0] else usable[:1]


def _is_usable(outline: Outline, voxel_mm: float) -> bool:
    return (
        outline.covered >= USABLE_SEEN
        and outline.covered + outline.cut >= USABLE_SEEN_OR_CUT
        and outline.spread_mm < max(ROUND_VOXELS * voxel_mm, ROUND_SHARE * outline.radius_mm)
    )


def _runs(near: NDArray[np.bool_], adjoins: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Begin and end of each run of True in ``near`` whose places adjoin the one before."""
    begins = near & ~(np.concatenate([[False], near[:-1]]) & adjoins)
    ends = near & ~np.concatenate([near[1:] & adjoins[1:], [False]])
    starts, stops = np.flatnonzero(begins), np.flatnonzero(ends) + 1
    return list(zip(starts.tolist(), stops.tolist(), strict=True))
