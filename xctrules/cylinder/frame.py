"""CellFrame: the cell's own axis and cylindrical coordinates, found from its can, and sampling in them.

Model: the can is a straight tube. In each slice its outer outline is a circle with a few per cent of
ovality, dents and bead left out robustly; the circles' centres lie on one straight line, the cell's axis.
Everything else is measured in cylindrical coordinates about that line, so that tilt and decentring cost no
accuracy:

* ``z_mm``, height along the axis, 0 where the axis meets the first slice, growing towards the last;
* ``theta_deg``, angle in the plane across the axis, 0 at the volume's +x, growing towards its +y;
* ``r_mm``, distance from the axis.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Protocol

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.core.robust import longest_run, robust_fit
from xctrules.core.slices import ArraySlices, Scan

Floats = NDArray[np.float64]

GEOMETRY = "cylindrical"
"""The word for this geometry in a cell-format spec, and in what a plugin is for."""

OUTLINE_ANGLES = 180
"""Directions in which each slice's outline is looked for: one per 2 degrees, 0.4 mm on a 21 mm can."""

SATURATED = 0.2
"""Share of voxels at the upper end of the grey scale beyond which more than can and copper are there."""

MAX_OUTLINE_SLICES = 256
"""Slices whose outline is looked for; more would not make the axis better known than its model."""

TILT_KNOWN_DEG = 1.0
"""Standard uncertainty of the axis's direction above which a piece of can is too short to tell it: the cell
is then taken as upright. Cells stand in a scanner's holder to about this much."""

THINNED_VOXELS = 400
"""Voxels along an axis that show whether a can lies along it: a wall of 0.2 mm on 21 mm is then four wide."""


class SaturatedScan(NotMeasurable):
    """No can was found, since the grey scale is clipped: the reason says so already."""


@dataclass(frozen=True)
class EndInView:
    """An end of the electrode roll that the scan shows.

    ``z_mm`` is the rough height of the cathode's edge. ``named_by`` says what the name rests on.
    """

    name: Literal["top", "bottom"]
    outward: int
    z_mm: float
    named_by: str


@dataclass(frozen=True)
class CellFrame:
    """The cell's axis in the volume, and what was seen of the cell on the way.

    Attributes
    ----------
    origin_mm
        (x, y) of the axis in the plane of the first slice, in mm from the centre of the first voxel.
    axis
        Unit vector (x, y, z) along the axis, z component positive.
    voxel_mm
        (z, y, x).
    shape
        Of the volume, (nz, ny, nx).
    outer_radius_mm
        Radius of the can's straight part; ``None`` for a scan that shows no can (a mask of the electrode).
    straight_mm, roll_mm
        First and last height of the straight part of the can, and of the roll with its cathode; ``None`` if
        not seen.
    seen_mm
        First and last height at which the cell's outline is seen; ``None`` without a can.
    ends
        Ends of the roll in view.
    tilt_sigma_deg, axis_residual_mm
        Standard uncertainty of the tilt; root-mean-square distance of the slice centres from the axis.
    outline_missing
        Share of the outline's directions in which the can runs out of the image.
    can_grey, roll_pitch_mm
        Grey level of the wall; rough distance between turns; 0 where not seen.
    """

    origin_mm: tuple[float, float]
    axis: tuple[float, float, float]
    voxel_mm: tuple[float, float, float]
    shape: tuple[int, int, int]
    outer_radius_mm: float | None
    straight_mm: tuple[float, float] | None
    roll_mm: tuple[float, float] | None
    seen_mm: tuple[float, float] | None = None
    ends: tuple[EndInView, ...] = ()
    tilt_sigma_deg: float = 0.0
    axis_residual_mm: float = 0.0
    outline_missing: float = 0.0
    can_grey: float = 0.0
    roll_pitch_mm: float = 0.0
    warnings: tuple[str, ...] = ()

    @property
    def tilt_deg(self) -> float:
        """Angle between the cell's axis and the volume's z axis."""
        return math.degrees(math.atan2(math.hypot(self.axis[0], self.axis[1]), self.axis[2]))

    def z_grid_mm(self) -> Floats:
        """Heights at which the axis meets the slices, (nz,)."""
        return np.asarray(np.arange(self.shape[0]) * (self.voxel_mm[0] / self.axis[2]), dtype=np.float64)

    def directions(self, theta_deg: ArrayLike) -> Floats:
        """Unit vectors (..., 3) as (x, y, z) that point from the axis outward at ``theta_deg``."""
        theta = np.deg2rad(np.asarray(theta_deg, dtype=float))[..., None]
        axis = np.asarray(self.axis)
        across_x = np.array([1.0, 0.0, 0.0]) - axis[0] * axis
        across_x /= np.linalg.norm(across_x)
        across_y = np.cross(axis, across_x)
        return np.asarray(np.cos(theta) * across_x + np.sin(theta) * across_y)

    def to_voxel(
        self, z_mm: ArrayLike, theta_deg: ArrayLike, r_mm: ArrayLike
    ) -> tuple[Floats, Floats, Floats]:
        """Voxel indices (z, y, x) of points in the cell's coordinates; the arguments broadcast."""
        z, theta, r = np.broadcast_arrays(*(np.asarray(a, dtype=float) for a in (z_mm, theta_deg, r_mm)))
        point = z[..., None] * np.asarray(self.axis) + r[..., None] * self.directions(theta)
        dz, dy, dx = self.voxel_mm
        return (
            point[..., 2] / dz,
            (self.origin_mm[1] + point[..., 1]) / dy,
            (self.origin_mm[0] + point[..., 0]) / dx,
        )

    def to_cell(self, z: ArrayLike, y: ArrayLike, x: ArrayLike) -> tuple[Floats, Floats, Floats]:
        """Height in mm, angle in degrees (0 to 360) and radius in mm of voxel indices (z, y, x)."""
        dz, dy, dx = self.voxel_mm
        k, j, i = np.broadcast_arrays(*(np.asarray(a, dtype=float) for a in (z, y, x)))
        point = np.stack([i * dx - self.origin_mm[0], j * dy - self.origin_mm[1], k * dz], axis=-1)
        height = point @ np.asarray(self.axis)
        across = point - height[..., None] * np.asarray(self.axis)
        east, north = (across @ self.directions(angle) for angle in (0.0, 90.0))
        theta = np.rad2deg(np.arctan2(north, east)) % 360.0
        return height, theta, np.hypot(east, north)

    def cylinder(
        self, scan: Scan, z_mm: ArrayLike, theta_deg: ArrayLike, r_mm: ArrayLike
    ) -> NDArray[np.float32]:
        """Grey values on the grid ``z_mm`` x ``theta_deg`` x ``r_mm``.

        Each slice is resampled once, by cubic convolution, where the half-planes cut it; between slices the
        value is linear along the ray of constant (theta, r), which for an upright cell is the slices' own
        direction.

        Parameters
        ----------
        z_mm, theta_deg, r_mm : (nz,), (nt,), (nr,)
            ``r_mm`` may also be (nt, nr): other radii for each angle.

        Returns
        -------
        (nz, nt, nr) float32
            NaN outside the volume.
        """
        z = np.atleast_1d(np.asarray(z_mm, dtype=float))
        theta = np.atleast_1d(np.asarray(theta_deg, dtype=float))
        r = np.atleast_1d(np.asarray(r_mm, dtype=float))
        r = np.broadcast_to(r, (theta.size, r.shape[-1]))
        dz, dy, dx = self.voxel_mm
        ax, ay, az = self.axis
        ray = self.directions(theta)[:, None, :] * r[:, :, None]
        # A ray of constant (theta, r) meets slice k at height (k * dz - ray_z) / az.
        slope_x, slope_y = ax / az, ay / az
        x0 = (self.origin_mm[0] + ray[..., 0] - ray[..., 2] * slope_x) / dx
        y0 = (self.origin_mm[1] + ray[..., 1] - ray[..., 2] * slope_y) / dy
        lift = ray[..., 2] / dz  # slices by which the point at (theta, r) lies above the axis's own
        if np.ptp(lift) < 1e-6:
            lift = np.zeros_like(lift)
        position = z * az / dz  # slice index at which the axis has that height
        nz = self.shape[0]
        out = np.full((z.size, *x0.shape), np.nan, dtype=np.float32)
        order = np.argsort(position, kind="stable")
        cache: dict[int, NDArray[np.float32]] = {}
        reach = (float(lift.min()), float(lift.max()))

        def slice_at(k: int) -> NDArray[np.float32]:
            if k not in cache:
                image = scan.slices[k]
                map_x = (x0 + k * dz * slope_x / dx).astype(np.float32)
                map_y = (y0 + k * dz * slope_y / dy).astype(np.float32)
                cache[k] = _resample(image, map_x, map_y)
            return cache[k]

        for i in order:
            first = math.floor(position[i] + reach[0] + 1e-9)
            for k in [k for k in cache if k < first]:
                del cache[k]
            index = position[i] + lift
            base = np.floor(index + 1e-9).astype(np.intp)
            for k in range(int(base.min()), int(base.max()) + 1):
                here = base == k
                whole = bool(here.all())
                fraction = (index if whole else index[here]) - k
                tiny = bool(np.all(fraction < 1e-6))
                if k < 0 or k >= nz or (k + 1 >= nz and not tiny):
                    # Half a voxel beyond the outer slices still belongs to them.
                    near = np.abs(np.clip(index, 0, nz - 1) - index) <= 0.5
                    edge = here & near
                    if edge.any():
                        out[i][edge] = slice_at(0 if k < 0 else nz - 1)[edge]
                    continue
                low = slice_at(k) if whole else slice_at(k)[here]
                if tiny:
                    value = low
                else:
                    high = slice_at(k + 1) if whole else slice_at(k + 1)[here]
                    value = low + fraction.astype(np.float32) * (high - low)
                if whole:
                    out[i] = value
                else:
                    out[i][here] = value
        return out


def _resample(
    image: NDArray[np.generic], map_x: NDArray[np.float32], map_y: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Cubic convolution of one slice at (map_x, map_y); NaN outside it."""
    ny, nx = image.shape
    grey = image if image.dtype == np.float32 else image.astype(np.float32)
    value = cv2.remap(
        np.ascontiguousarray(grey), map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    outside = (map_x < -0.5) | (map_x > nx - 0.5) | (map_y < -0.5) | (map_y > ny - 0.5)
    if outside.any():
        value[outside] = np.nan
    return np.asarray(value, dtype=np.float32)


class FrameFinder(Protocol):
    """Finds the coordinates of a cell of one geometry; plugins may add others."""

    geometry: str

    def find(self, scan: Scan, nominal: Mapping[str, float], mask_of: str | None) -> CellFrame: ...


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


class CylinderFinder:
    """Finds the frame of a cylindrical cell; the engine's own."""

    geometry = "cylindrical"

    def find(self, scan: Scan, nominal: Mapping[str, float], mask_of: str | None = None) -> CellFrame:
        """Locate axis, straight part, roll and ends; see the module's docstring for the model.

        Raises
        ------
        NotMeasurable
            When no closed, round can is in view; the reason says what was seen instead.
        """
        try:
            return self._find(scan, mask_of)
        except NotMeasurable as upright:
            lying = None if mask_of else self._lies_along(scan)
            if lying is None:
                raise
            raise NotMeasurable(
                f"the cell lies along the volume's {lying} axis; "
                "reslice the scan so that its slices run across the cell"
            ) from upright

    def _lies_along(self, scan: Scan) -> str | None:
        """The volume's other axis along which a can is found, if there is one."""
        import dataclasses

        volume, size = _thinned(scan)
        for name, order in (("y", (1, 0, 2)), ("x", (2, 1, 0))):
            turned = dataclasses.replace(
                scan,
                slices=ArraySlices(np.transpose(volume, order)),
                voxel_size_mm=(size[order[0]], size[order[1]], size[order[2]]),
            )
            try:
                frame = self._find(turned, None)
            except NotMeasurable:
                continue
            if frame.outline_missing < 0.1:
                return name
        return None

    def _find(self, scan: Scan, mask_of: str | None) -> CellFrame:
        level = 0.5 if mask_of else _cell_level(scan)
        step = max(1, -(-scan.shape[0] // MAX_OUTLINE_SLICES))
        outlines = _outlines(scan, range(0, scan.shape[0], step), level)
        straight = _straight_run(outlines, max(scan.voxel_size_mm[1:]))
        if not straight:
            raise NotMeasurable(
                "no can was found: no slice shows a closed round outline"
                + (" (the cell runs out of the image)" if any(o.cut > 0.1 for o in outlines) else "")
            )
        if mask_of is None:
            _require_all_inside(scan, straight, level)
            _require_no_empty_slice(scan, outlines, step)
        origin, axis, tilt_sigma, residual = _fit_axis(straight, scan.voxel_size_mm[0])
        dz = scan.voxel_size_mm[0] / axis[2]
        half = 0.5 * step * dz
        radius = float(np.median([o.radius_mm for o in straight]))
        seen = [o.slice_index for o in outlines if o.radius_mm > 0.5 * radius]
        frame = CellFrame(
            origin_mm=origin,
            axis=axis,
            voxel_mm=scan.voxel_size_mm,
            shape=scan.shape,
            outer_radius_mm=radius,
            straight_mm=(straight[0].slice_index * dz - half, straight[-1].slice_index * dz + half),
            roll_mm=None,
            seen_mm=(seen[0] * dz - half, seen[-1] * dz + half),
            tilt_sigma_deg=tilt_sigma,
            axis_residual_mm=residual,
            outline_missing=float(np.mean([o.cut for o in straight])),
            can_grey=2 * level,
        )
        if mask_of == "electrode":
            whole = _whole(frame)
            return _replaced(
                frame, outer_radius_mm=None, straight_mm=None, roll_mm=whole, seen_mm=None, can_grey=1.0
            )
        if mask_of == "canister":
            return _replaced(frame, can_grey=1.0)
        frame = _replaced(frame, can_grey=_require_wall(scan, frame))
        roll_mm, pitch_mm = _find_roll(scan, frame)
        if roll_mm is None:
            return frame
        frame = _replaced(frame, roll_mm=roll_mm, roll_pitch_mm=pitch_mm)
        ends, warnings = _name_ends(scan, frame, outlines)
        return _replaced(frame, ends=ends, warnings=warnings)


def _thinned(scan: Scan) -> tuple[NDArray[np.generic], tuple[float, float, float]]:
    """Every n-th voxel along each axis, at most :data:`THINNED_VOXELS` of them, and their distance in mm."""
    z, y, x = (-(-count // THINNED_VOXELS) for count in scan.shape)
    _, rows, columns = (-(-count // n) for count, n in zip(scan.shape, (z, y, x), strict=True))
    picked = range(0, scan.shape[0], z)
    volume = np.empty((len(picked), rows, columns), scan.slices.dtype)
    for place, k in enumerate(picked):
        volume[place] = scan.slices[k][::y, ::x]
    dz, dy, dx = scan.voxel_size_mm
    return volume, (z * dz, y * dy, x * dx)


def _replaced(frame: CellFrame, **changes: object) -> CellFrame:
    import dataclasses

    return dataclasses.replace(frame, **changes)  # type: ignore[arg-type]


def _whole(frame: CellFrame) -> tuple[float, float]:
    z = frame.z_grid_mm()
    half = 0.5 * frame.voxel_mm[0]
    return float(z[0] - half), float(z[-1] + half)


def _cell_level(scan: Scan) -> float:
    """Grey level half-way from the surroundings to the can, from a sample of slices.

    The can is the brightest large part of a cylindrical cell. A first threshold (Otsu's) bounds the cell;
    inside that bound a wall of 2 % of the radius covers more than 3 % of the area, so that the 99th
    percentile lies in it, however much empty border the image has.
    """
    nz, ny, nx = scan.shape
    stride = max(1, min(ny, nx) // 360)
    levels = []
    for k in np.unique(np.linspace(0, nz - 1, min(nz, 24)).round().astype(int)):
        image = np.ascontiguousarray(scan.slices[k]).astype(np.float32)
        small = cv2.blur(image, (3, 3))[::stride, ::stride]
        low, high = (float(q) for q in np.percentile(small, (5, 99.5)))
        if high <= low:
            continue
        scaled = np.clip((small - low) / (high - low) * 255, 0, 255).astype(np.uint8)
        cut, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        rows, columns = np.nonzero(scaled > cut)
        if rows.size < 16:
            continue
        # The middle 99 % keeps single specks from widening the bound.
        r0, r1 = np.percentile(rows, (0.5, 99.5)).astype(int)
        c0, c1 = np.percentile(columns, (0.5, 99.5)).astype(int)
        box = small[r0 : r1 + 1, c0 : c1 + 1]
        levels.append((low, float(np.percentile(box, 99))))
    if not levels:
        raise NotMeasurable("no can was found: the scan shows nothing brighter than its surroundings")
    low = float(np.median([p[0] for p in levels]))
    # Slices beyond the cell have no wall; the upper half of the slices speaks for it.
    high = float(np.median(sorted(p[1] for p in levels)[len(levels) // 2 :]))
    return low + 0.5 * (high - low)


def _outlines(scan: Scan, slices: range, level: float) -> list[Outline]:
    """The outer outline in each of ``slices`` in which there is one."""
    dy, dx = scan.voxel_size_mm[1:]
    ny, nx = scan.shape[1:]
    theta = np.deg2rad(np.arange(OUTLINE_ANGLES) * (360.0 / OUTLINE_ANGLES))
    cos, sin = np.cos(theta), np.sin(theta)
    design = np.stack([np.ones_like(theta), cos, sin, np.cos(2 * theta), np.sin(2 * theta)], axis=1)
    step = min(dy, dx)
    reach = math.hypot(nx * dx, ny * dy)
    found: list[Outline] = []
    centre: tuple[float, float] | None = None
    for k in slices:
        image = np.ascontiguousarray(scan.slices[k])
        grey = image.astype(np.float32) if image.dtype != np.float32 else image
        start = centre or _centre_of_mass(grey > level, dy, dx)
        if start is None:
            continue
        x0, y0 = start
        outline = None
        for _ in range(3):
            outline = _outline_once(grey, k, x0, y0, level, cos, sin, design, step, reach, dy, dx)
            if outline is None:
                break
            moved = math.hypot(outline.x_mm - x0, outline.y_mm - y0)
            x0, y0 = outline.x_mm, outline.y_mm
            if moved < 0.5 * step:
                break
        if outline is not None:
            found.append(outline)
            centre = (outline.x_mm, outline.y_mm) if outline.covered > 0.8 else None
    return found


def _centre_of_mass(mask: NDArray[np.bool_], dy: float, dx: float) -> tuple[float, float] | None:
    """Middle of the bounding box of a mask's bulk, in mm (x, y): a ring cut by the border still bounds
    itself."""
    rows, columns = np.flatnonzero(mask.sum(axis=1) > 1), np.flatnonzero(mask.sum(axis=0) > 1)
    if rows.size < 8 or columns.size < 8:
        return None
    return 0.5 * (columns[0] + columns[-1]) * dx, 0.5 * (rows[0] + rows[-1]) * dy


def _outline_once(
    grey: NDArray[np.float32], k: int, x0: float, y0: float, level: float, cos: Floats, sin: Floats,
    design: Floats, step: float, reach: float, dy: float, dx: float,
) -> Outline | None:  # fmt: skip
    ny, nx = grey.shape
    far = min(reach, 1.1 * max(math.hypot(max(x0, nx * dx - x0), max(y0, ny * dy - y0)), 10 * step))
    r = np.arange(0.0, far, step)
    map_x = ((x0 + cos[:, None] * r) / dx).astype(np.float32)
    map_y = ((y0 + sin[:, None] * r) / dy).astype(np.float32)
    inside = (map_x >= 0) & (map_x <= nx - 1) & (map_y >= 0) & (map_y <= ny - 1)
    ray = cv2.remap(grey, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    ray = cv2.blur(ray, (3, 1), borderType=cv2.BORDER_REPLICATE)
    bright = (ray > level) & inside
    seen = bright.any(axis=1)
    last = r.size - 1 - np.argmax(bright[:, ::-1], axis=1)
    edge_inside = inside[np.arange(last.size), np.minimum(last + 1, r.size - 1)]
    good = seen & edge_inside
    if good.sum() < 0.3 * good.size:
        return None
    a = ray[np.arange(last.size), last]
    b = ray[np.arange(last.size), np.minimum(last + 1, r.size - 1)]
    radius = r[last] + step * (a - level) / np.maximum(a - b, 1e-6)
    coefficients, spread = robust_fit(design[good], radius[good], floor=0.25 * step)
    # The can is cut off where its outline, carried on, lies outside the image.
    outline = design @ coefficients
    edge_x, edge_y = (x0 + cos * outline) / dx, (y0 + sin * outline) / dy
    cut = ~good & ((edge_x < 0.5) | (edge_x > nx - 1.5) | (edge_y < 0.5) | (edge_y > ny - 1.5))
    return Outline(
        slice_index=k,
        x_mm=x0 + coefficients[1],
        y_mm=y0 + coefficients[2],
        radius_mm=float(coefficients[0]),
        covered=float(good.mean()),
        cut=float(cut.mean()),
        spread_mm=spread,
    )


def _straight_run(outlines: list[Outline], voxel_mm: float) -> list[Outline]:
    """The longest unbroken run of slices whose radius stays within one voxel of the run's median."""
    usable = [
        o
        for o in outlines
        if o.covered >= 0.55
        and o.covered + o.cut >= 0.8
        and o.spread_mm < max(3 * voxel_mm, 0.02 * o.radius_mm)
    ]
    if not usable:
        return []
    spacing = min((b.slice_index - a.slice_index for a, b in pairwise(outlines)), default=1)
    radii = np.array([o.radius_mm for o in usable])
    best = (0, 0)
    for median in np.unique(np.round(radii / (0.25 * voxel_mm))) * (0.25 * voxel_mm):
        start = None
        for i in range(len(usable) + 1):
            joined = (
                i < len(usable)
                and abs(radii[i] - median) <= voxel_mm
                and (start is None or usable[i].slice_index - usable[i - 1].slice_index == spacing)
            )
            if joined and start is None:
                start = i
            elif not joined and start is not None:
                own = float(np.median(radii[start:i]))
                if i - start > best[1] - best[0] and abs(own - median) <= 0.5 * voxel_mm:
                    best = (start, i)
                start = i if i < len(usable) and abs(radii[i] - median) <= voxel_mm else None
    return usable[best[0] : best[1]] if best[1] > best[0] else usable[:1]


def _fit_axis(
    run: list[Outline], dz: float
) -> tuple[tuple[float, float], tuple[float, float, float], float, float]:
    """A straight line through the slices' centres: origin, unit axis, tilt's standard uncertainty, residual
    rms."""
    k = np.array([o.slice_index for o in run], dtype=float)
    centres = np.array([(o.x_mm, o.y_mm) for o in run])
    z = k * dz
    middle = float(z.mean())
    if len(run) < 4:
        x, y = (float(c) for c in np.median(centres, axis=0))
        return (x, y), (0.0, 0.0, 1.0), math.inf, 0.0
    design = np.stack([np.ones_like(z), z - middle], axis=1)
    fits = [robust_fit(design, centres[:, i], floor=1e-4) for i in (0, 1)]
    slope = np.array([f[0][1] for f in fits])
    at_middle = np.array([f[0][0] for f in fits])
    residual = np.hypot(*(centres - (design @ np.stack([f[0] for f in fits], axis=1))).T)
    rms = float(np.sqrt(np.mean(residual**2)))
    # Neighbouring slices' centres are not independent (bow, shared ring artefacts); every fourth counts.
    independent = max(len(run) / 4, 2.0)
    sigma = rms / math.sqrt(2) / (float(np.std(z)) * math.sqrt(independent))
    sigma_deg = math.degrees(sigma)
    if sigma_deg > TILT_KNOWN_DEG:
        slope = np.zeros(2)
    length = math.sqrt(1 + float(slope @ slope))
    axis = (slope[0] / length, slope[1] / length, 1 / length)
    # The axis meets the plane of the first slice (z = 0) here.
    origin = at_middle - slope * middle
    return (
        (float(origin[0]), float(origin[1])),
        (float(axis[0]), float(axis[1]), float(axis[2])),
        sigma_deg,
        rms,
    )


def _require_no_empty_slice(scan: Scan, outlines: list[Outline], step: int) -> None:
    """NotMeasurable where slices within the cell hold nothing: heights across them, and what is in them, are
    unknown."""
    seen = {o.slice_index for o in outlines}
    inside = range(outlines[0].slice_index, outlines[-1].slice_index, step)
    empty = [k for k in inside if k not in seen and np.ptp(scan.slices[k]) == 0]
    if empty:
        raise NotMeasurable(
            f"{len(empty)} slices inside the cell are empty, the first of them number {empty[0] + 1}; "
            "reconstruct or export them again"
        )


def _require_all_inside(scan: Scan, run: list[Outline], level: float) -> None:
    """NotMeasurable where much of what is bright lies outside the outlines: then they are some part's, not
    the can's."""
    dy, dx = scan.voxel_size_mm[1:]
    bright = outside = 0
    for outline in run[:: max(1, len(run) // 6)]:
        rows, columns = np.nonzero(scan.slices[outline.slice_index] > level)
        away = np.hypot(rows * dy - outline.y_mm, columns * dx - outline.x_mm)
        bright += rows.size
        outside += int(np.count_nonzero(away > 1.05 * outline.radius_mm + 2 * max(dy, dx)))
    if outside > 0.2 * bright:
        raise NotMeasurable(
            "no can was found: the round outline in the slices holds only a part of what is there"
        )


def _require_wall(scan: Scan, frame: CellFrame) -> float:
    """Grey level of the can's wall; NotMeasurable where the outline is no can's.

    A can's wall outshines whatever lies inside it. The outermost layer of a bare roll, or the rim of a disc,
    does not.
    """
    assert frame.outer_radius_mm is not None and frame.straight_mm is not None
    r = frame.outer_radius_mm + np.arange(-2.0, 0.2, min(frame.voxel_mm[1:]))
    z = frame.z_grid_mm()
    inside = z[(z >= frame.straight_mm[0]) & (z <= frame.straight_mm[1])]
    pick = inside[np.unique(np.linspace(0, inside.size - 1, min(inside.size, 12)).round().astype(int))]
    band = frame.cylinder(scan, pick, np.arange(0.0, 360.0, 6.0), r[r > 0])
    if np.isnan(band).all():
        raise NotMeasurable("no can was found: its outline lies outside the image")
    profile = np.nanmedian(band.reshape(-1, band.shape[-1]), axis=0)
    depth = frame.outer_radius_mm - r[r > 0]
    profile = np.convolve(
        profile, np.full(3, 1 / 3), mode="same"
    )  # sharp edges overshoot under cubic interpolation
    wall = float(profile[depth < 0.6].max())
    deeper = profile[depth >= 0.9]
    if deeper.size and wall < 1.1 * float(deeper.max()):
        saturated = _saturated_share(scan, frame, pick)
        if saturated > SATURATED:
            raise SaturatedScan(
                f"the image is saturated: {100 * saturated:.0f} % of what lies inside the outline is at the "
                "upper end of the grey scale, so that the can does not stand out; save the scan again with a "
                "wider grey window, or as 16-bit or floating point"
            )
        raise NotMeasurable("no can was found: the outermost layer is no brighter than what it holds")
    return wall


def _saturated_share(scan: Scan, frame: CellFrame, z_mm: Floats) -> float:
    """Share of the voxels inside the outline that have the largest grey of all, at some of the heights."""
    radius = 0.0 if frame.outer_radius_mm is None else frame.outer_radius_mm
    dz, dy, dx = frame.voxel_mm
    inside = []
    for z in z_mm[:: max(1, z_mm.size // 3)]:
        image = scan.slices[round(z * frame.axis[2] / dz)]
        x, y = (frame.origin_mm[i] + z * frame.axis[i] for i in (0, 1))
        rows, columns = np.ogrid[: image.shape[0], : image.shape[1]]
        inside.append(image[np.hypot(rows * dy - y, columns * dx - x) < radius])
    grey = np.concatenate(inside)
    return float((grey == grey.max()).mean())


def _find_roll(scan: Scan, frame: CellFrame) -> tuple[tuple[float, float] | None, float]:
    """Height range in which the roll with its cathode is seen, and the rough distance between turns.

    The roll is what repeats along the radius. Each height's radial profiles are compared with those of the
    roll's own heights: the share of that pattern is about 1 in the roll, and falls to half at the cathode's
    edge.
    """
    assert frame.outer_radius_mm is not None
    voxel = max(frame.voxel_mm[1:])
    z = frame.z_grid_mm()
    z = z[:: max(1, -(-z.size // 256))]
    theta = np.arange(0.0, 360.0, 10.0)
    r = np.arange(0.15 * frame.outer_radius_mm, 0.95 * frame.outer_radius_mm, min(0.75 * voxel, 0.05))
    grey = frame.cylinder(scan, z, theta, r)
    grey = np.where(np.isnan(grey), 0, grey)
    width = max(3, round(0.5 / (r[1] - r[0])) | 1)
    smooth = np.stack([cv2.blur(plane, (width, 1), borderType=cv2.BORDER_REFLECT) for plane in grey])
    pattern = (grey - smooth) * np.hanning(r.size).astype(np.float32)
    period = (r[-1] - r[0]) / np.maximum(np.arange(r.size // 2 + 1), 1e-9)
    band = (period > 2.5 * voxel) & (period > 0.1) & (period < 1.0)
    if not band.any():
        return None, 0.0
    power = np.mean(np.abs(np.fft.rfft(pattern, axis=2)) ** 2, axis=1)[:, : period.size]
    total = power[:, band].sum(axis=1)
    sharp = np.array([_peak_share(p[band]) for p in power])
    strength = total * sharp
    # Bead, cap and bottom: rings of sheet repeat along the radius too, and outshine a roll of weak contrast.
    across = max(3, round(0.12 / (r[1] - r[0])))
    sheet = np.array([(cv2.blur(plane, (across, 1)) > 0.75 * frame.can_grey).mean() for plane in grey])
    elsewhere = np.where(sheet < 0.05, strength, 0.0)
    if frame.can_grey > 0 and elsewhere.max() > 0.01 * strength.max():
        strength = elsewhere
    if strength.max() <= 0:
        return None, 0.0
    layered = strength > 0.1 * strength.max()
    level = grey.mean(axis=(1, 2))
    # Both foils' heights repeat along the radius; the roll proper, which has the cathode too, is the
    # brighter.
    reference = layered & (level >= np.percentile(level[layered], 60))
    mean_pattern = pattern[reference].mean(axis=0)
    energy = float((mean_pattern**2).sum())
    if energy <= 0 or float(sharp[reference].mean()) < 0.15:
        return None, 0.0
    share = np.tensordot(pattern, mean_pattern, axes=2) / energy
    first, stop = longest_run(share > 0.5)
    last = stop - 1
    if last <= first and z.size > 1:
        return None, 0.0
    mean_power = power[reference].mean(axis=0) * band
    pitch = float(period[int(np.argmax(mean_power))])
    spacing = float(z[1] - z[0]) if z.size > 1 else frame.voxel_mm[0]
    beyond = _roll_beyond(level, power * band, first, last, round(0.3 / spacing))
    if beyond is not None:
        low, high = float(np.median(level[first : last + 1])), float(np.median(level[beyond]))
        share = (level - low) / (high - low)
        middle = (beyond.start + beyond.stop) // 2
        dark = np.flatnonzero(share <= 0.5)
        first = int(dark[dark < middle].max(initial=-1)) + 1
        last = int(dark[dark > middle].min(initial=z.size)) - 1
    return (_crossing(z, share, first, -1, spacing), _crossing(z, share, last, +1, spacing)), pitch


def _roll_beyond(level: Floats, power: Floats, first: int, last: int, least: int) -> slice | None:
    """Heights beside ``first`` to ``last`` that are far brighter and repeat alike, ``least`` of them or more.

    Where a scan hardly tells cathode from anode, what repeats most clearly are the free foils and not the
    roll. Beside a roll nothing is brighter and repeats: only foils adjoin it.
    """
    found = power[first : last + 1].mean(axis=0)
    peak = int(np.argmax(found))
    strongest = np.argmax(power, axis=1)
    alike = (np.abs(strongest - peak) <= 1) | (np.abs(strongest - 2 * peak) <= 2)
    void = float(level.min())
    brighter = level - void > 2 * (float(np.median(level[first : last + 1])) - void)
    start, stop = longest_run(alike & brighter)
    away = max(start - last, first - stop + 1)
    if stop - start < max(least, 3) or away > max(least, 3):
        return None
    return slice(start, stop)


def _peak_share(power: Floats) -> float:
    """Share of the power in the strongest line (with its neighbours) of a spectrum and its double."""
    peak = int(np.argmax(power))
    total = float(power.sum())
    if total <= 0:
        return 0.0
    lines = {i for p in (peak,) for i in range(max(0, p - 2), min(power.size, p + 3))}
    return float(power[sorted(lines)].sum()) / total


def _crossing(z: Floats, share: Floats, index: int, side: int, spacing: float) -> float:
    """Height at which ``share`` falls to one half beyond ``index``; the scan's own border where it does
    not."""
    beyond = index + side
    if beyond < 0 or beyond >= z.size:
        return float(z[index] + side * 0.5 * spacing)
    a, b = float(share[index]), float(share[beyond])
    return float(z[index] + side * spacing * (a - 0.5) / max(a - b, 1e-9))


def _name_ends(
    scan: Scan, frame: CellFrame, outlines: list[Outline]
) -> tuple[tuple[EndInView, ...], tuple[str, ...]]:
    """Which ends of the roll are in view, and their names: the cap's end has a bead, the other a flat bottom.

    The image decides; where it shows neither, the sidecar's ``field_of_view`` does. A contradiction is
    reported.
    """
    assert frame.roll_mm is not None and frame.outer_radius_mm is not None
    z = frame.z_grid_mm()
    # An end counts as seen when the scan goes on beyond the cathode's edge by more than the edge's own blur.
    margin = 3 * frame.voxel_mm[0]
    sides = [
        (side, edge)
        for side, edge in ((-1, frame.roll_mm[0]), (+1, frame.roll_mm[1]))
        if (edge - z[0] if side < 0 else z[-1] - edge) >= margin
    ]
    said = str(scan.acquisition.get("field_of_view") or "").lower()
    order = str(scan.acquisition.get("slice_order") or "").lower()
    seen = {side: _end_by_shape(frame, outlines, side, edge) for side, edge in sides}
    if len(seen) == 2 and seen[-1] == seen[1]:
        seen = dict.fromkeys(seen)  # no cell has two ends alike: the shapes are not understood
    elif len(seen) == 2:  # naming one end names the other
        for side in (-1, 1):
            other = {"top": "bottom", "bottom": "top", None: None}[seen[-side]]
            if seen[side] is None and other:
                seen[side] = other
    by_order = {"top_to_bottom": {-1: "top", 1: "bottom"}, "bottom_to_top": {-1: "bottom", 1: "top"}}.get(
        order, {}
    )
    ends, warnings = [], []
    for side, edge in sides:
        by_view = said if said in ("top", "bottom") and len(sides) == 1 else by_order.get(side)
        name, named_by = seen[side], "the can's shape"
        if name is None:
            name, named_by = by_view, "the acquisition sidecar"
        if name is None:
            name, named_by = (
                ("top" if side < 0 else "bottom"),
                "its place in the scan, for want of anything better",
            )
            warnings.append(
                f"nothing in the scan or its sidecar tells which end of the cell is in view; the one at "
                f"{edge:.1f} mm is called the {name} because of its place among the slices"
            )
        elif by_view and by_view != name:
            warnings.append(
                f"the sidecar says that the {by_view} end is at {edge:.1f} mm, the can's shape says {name}"
            )
        ends.append(EndInView(name=name, outward=side, z_mm=edge, named_by=named_by))  # type: ignore[arg-type]
    names = {e.name for e in ends}
    for end in {
        "top": ["top"],
        "bottom": ["bottom"],
        "both": ["top", "bottom"],
        "whole": ["top", "bottom"],
    }.get(said, []):
        if end not in names and not any("sidecar says" in w for w in warnings):
            warnings.append(f"the sidecar says that the {end} end is in view, but the scan does not show it")
    return tuple(ends), tuple(warnings)


def _end_by_shape(frame: CellFrame, outlines: list[Outline], side: int, edge: float) -> str | None:
    """``top`` where a bead narrows the can beyond the roll's edge, ``bottom`` where the can just stops."""
    assert frame.outer_radius_mm is not None
    dz = frame.voxel_mm[0] / frame.axis[2]
    beyond = [o for o in outlines if side * (o.slice_index * dz - edge) > 0 and o.covered > 0.6]
    if not beyond:
        return None
    beyond.sort(key=lambda o: side * o.slice_index)
    ratio = np.array([o.radius_mm for o in beyond]) / frame.outer_radius_mm
    waist = np.minimum.accumulate(ratio)
    wider_again = (waist < 0.97) & (ratio > waist + 0.02)
    if np.count_nonzero(wider_again) >= 2:  # a bead; one slice could be a torn rim
        return "top"
    last = beyond[-1]
    stops = (frame.shape[0] - 1 - last.slice_index if side > 0 else last.slice_index) >= 2
    return "bottom" if stops else None
