"""Draw a cell by area: each voxel gets the grey of what it holds, layer by layer.

A layer a few micrometres thick is far below the voxel, so nothing is sampled. The shadow that a rectangular
pixel casts along a surface's normal is a trapezoid; a layer's share of a pixel is the part of the trapezoid
between its two faces: its exact area, as far as the curvature within a pixel may be neglected. Along the axis
an edge covers a voxel by its exact share of the height.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from xctrules.cylinder.phantom.can_faults import push, reach_mm, sheet, touches
from xctrules.cylinder.phantom.geometry import (
    PHASES_PER_TURN,
    Can,
    Pose,
    Winding,
    dent_height,
    pose,
    wrap_deg,
)
from xctrules.cylinder.phantom.roll_faults import Crumple, Curl
from xctrules.cylinder.phantom.spec import EndName, PhantomSpec, Tab

Image = NDArray[np.float32]

_BINS = 2048
"""Entries of a layer table over one pitch: steps of 0.2 um."""
_ANGLES = 4096
"""Entries of a table over the full angle."""
_SHADOWS = 64
"""Directions for which the layers' shares are tabled, over the quadrant that stands for all."""


def share(distance: Any, width: Any) -> Any:
    """Share of a box of ``width`` centred ``distance`` inside an edge that lies on the edge's inner side."""
    return np.clip(distance / width + 0.5, 0.0, 1.0)


def trapezoid_share(distance: Any, wide: Any, narrow: Any) -> Any:
    """Share of a rectangular pixel on the inner side of a straight edge, ``distance`` from its centre.

    ``wide`` and ``narrow`` are the lengths of the shadows of the pixel's two sides on the edge's normal; the
    pixel's own shadow is the box of one convolved with the box of the other.
    """
    away = np.abs(distance)
    flat, foot = (wide - narrow) / 2, (wide + narrow) / 2
    slope = away / wide
    rest = np.maximum(foot - away, 0.0)
    # beyond the flat part a corner is left over: a triangle of legs rest / wide and rest / narrow
    beyond = 0.5 - rest * rest / np.maximum(2 * wide * narrow, 1e-12)
    return 0.5 + np.sign(distance) * np.where(away <= flat, slope, beyond)


@dataclass(frozen=True)
class _Pixels:
    """The pixels of one slice near the can, flat: where they are in the cell, and in the spiral."""

    index: NDArray[np.int64]
    s: Image | float
    r: Image
    theta_bin: NDArray[np.int32]
    phase: Image
    """Continuous phase of copper whose centre would lie here, from radius and angle."""
    within: Image
    """Share of a turn that the angle is past the copper's start, 0 to 1."""
    shadow: NDArray[np.int32]
    """First entry of the direction's row in the layer tables."""
    in_tab: tuple[Image, ...]
    """For each tab: share of the pixel inside the metal strip, without regard to height."""
    opened: Image | None
    """Share of the pixel in a gap that a tab holds open, or where layers part; ``None`` without."""
    across: tuple[Image, Image] | None
    """Where the pixels are across the cell's axis, in mm; ``None`` where nothing needs it."""


class Drawing:
    """Draws single slices of one cell, before blur and noise, in the spec's own pose or another one."""

    def __init__(self, spec: PhantomSpec, place: Pose | None = None) -> None:
        self.spec = spec
        self.place = pose(spec) if place is None else place
        self.winding = Winding(spec)
        self.can = Can(spec)
        dz, dy, dx = spec.voxel_size_mm
        tilt = math.radians(spec.tilt_deg)
        plane = (dy * dy + dx * dx) / 2
        # along radius and axis: width of the box that has the same variance as the voxel's shadow
        self.width_mm = math.sqrt(plane * (1 + math.cos(tilt) ** 2) / 2 + (dz * math.sin(tilt)) ** 2 / 2)
        self.width_z_mm = math.sqrt((dz * math.cos(tilt)) ** 2 + plane * math.sin(tilt) ** 2)
        self._plain: tuple[_Pixels, Image] | None = None
        self._bent_foils: dict[Curl, tuple[Image, tuple[float, float], float]] = {}

    # tables ----------------------------------------------------------------------------------------------

    @cached_property
    def stack(self) -> dict[str, Image]:
        """Share of each layer in a pixel: tables over (direction, offset from the electrode's centre), flat.

        Column i stands for an offset of (i + 0.5) / n - 0.5 pitches.
        """
        layers, pitch = self.spec.layers, self.spec.pitch_mm
        offset = ((np.arange(_BINS) + 0.5) / _BINS - 0.5)[None, :] * pitch
        across = (np.arange(_SHADOWS) + 0.5) * (np.pi / 2 / _SHADOWS)
        wide, narrow = (w[:, None] for w in self._shadow(across))

        def band(inner: float, outer: float) -> NDArray[np.float64]:
            upper = trapezoid_share(outer - offset, wide, narrow)
            return np.asarray(upper - trapezoid_share(inner - offset, wide, narrow))

        def both(inner: float, outer: float) -> NDArray[np.float64]:
            return band(inner, outer) + band(-outer, -inner)

        cathode = layers.cathode_mm / 2
        separator = pitch / 2 - cathode
        coat = separator - layers.separator_mm
        shares = {
            "copper": band(-layers.copper_mm / 2, layers.copper_mm / 2),
            "anode_coating": both(layers.copper_mm / 2, coat),
            "separator": both(coat, separator),
            "aluminium": band(-layers.aluminium_mm / 2, layers.aluminium_mm / 2),
            "cathode_coating": both(layers.aluminium_mm / 2, cathode),
        }
        return {name: value.astype(np.float32).ravel() for name, value in shares.items()}

    def _shadow(self, angle: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Longer and shorter shadow of a pixel's two sides on directions ``angle`` (radians) in the plane.

        A tilted cell sees a little of the voxel's height as well: both are widened to the true variance.
        """
        _, dy, dx = self.spec.voxel_size_mm
        sides = np.abs(dx * np.cos(angle)), np.abs(dy * np.sin(angle))
        widen = self.width_mm / math.sqrt((dy * dy + dx * dx) / 2)
        return np.maximum(*sides) * widen, np.minimum(*sides) * widen

    @cached_property
    def shadows(self) -> tuple[Image, Image]:
        """:meth:`_shadow` over ``_ANGLES`` bins of the angle."""
        wide, narrow = self._shadow((np.arange(_ANGLES) + 0.5) * (2 * np.pi / _ANGLES))
        return wide.astype(np.float32), narrow.astype(np.float32)

    def within(self, edge_mm: Any, px: _Pixels, here: Any = slice(None)) -> Any:
        """Share of each pixel that lies inside a radius about the axis."""
        wide, narrow = (w[px.theta_bin[here]] for w in self.shadows)
        return trapezoid_share(edge_mm - px.r[here], wide, narrow)

    @cached_property
    def edges(self) -> dict[EndName, dict[str, Image]]:
        """For each end in view: outward heights of the edges, and the lean's tangent, over the tape."""
        margin = self.spec.anode_margin_mm
        found: dict[EndName, dict[str, Image]] = {}
        for end in self.place.edges:
            anode = self.winding.anode_edge(end)
            for curl in self._curls(end):  # what is bent out of its line is drawn by itself
                first, last = self.winding.stretch(curl)
                at = (self.winding.phases >= first) & (self.winding.phases <= last)
                anode = np.where(at, self.winding.base_edge(end) + curl.straight_mm, anode)
            base = self.winding.base_edge(end)
            lean = np.where(self.winding.in_line(end), self.winding.deflection_deg(end), 0.0)
            found[end] = {
                "copper": anode.astype(np.float32),
                "coating": np.minimum(anode, np.maximum(base, anode - margin)).astype(np.float32),
                "separator": base.astype(np.float32),
                "cathode": self.winding.cathode_height(end).astype(np.float32),
                "base": base.astype(np.float32),
                "lean": np.tan(np.radians(lean)).astype(np.float32),
            }
        return found

    @cached_property
    def surfaces(self) -> tuple[Image, Image]:
        """Outer and inner radius of the sound can over ``_ANGLES`` bins of the angle."""
        theta = (np.arange(_ANGLES) + 0.5) * 360.0 / _ANGLES
        outer = self.can.sound_outer(theta)
        return outer.astype(np.float32), (outer - self.can.wall(theta)).astype(np.float32)

    @cached_property
    def fittings(self) -> dict[EndName, tuple[Image, float, float]]:
        """For each end in view: (maps, first height, step) of its round parts over (height outward, r).

        Channels: signed distance to the sheet's surface (positive outside the metal), box width along its
        normal, grey of all else.
        """
        if not self.spec.fittings:
            return {}
        first, last = self.place.seen_mm
        lean = self.can.outer_radius_mm * math.tan(math.radians(self.spec.tilt_deg))
        return {
            end: self._fitting_maps(end)
            for end, (edge, outward) in self.place.edges.items()
            if (last - edge if outward > 0 else edge - first) + lean > self.can.straight_out_mm(end) - 0.1
        }

    def _fitting_maps(self, end: EndName) -> tuple[Image, float, float]:
        from scipy.spatial import cKDTree

        spec, greys = self.spec, self.spec.greys
        profile = self.can.top_profile() if end == "top" else self.can.bottom_profile()
        step = max(0.01, min(0.5 * min(spec.voxel_size_mm), 0.04))
        first = self.can.straight_out_mm(end) - 2 * step
        top = self.can.end_height_mm(end) + spec.border_mm + 1.0
        z = first + step * np.arange(math.ceil((top - first) / step))
        r = step * np.arange(math.ceil((self.can.outer_radius_mm + spec.border_mm + 1.5) / step))
        grid = np.stack(np.meshgrid(z, r, indexing="ij"), axis=-1)

        distance, nearest = cKDTree(profile[:, :2]).query(grid.reshape(-1, 2))
        near = profile[nearest]
        normal = (grid.reshape(-1, 2) - near[:, :2]) / np.maximum(distance, 1e-9)[:, None]
        width = np.hypot(normal[:, 0] * self.width_z_mm, normal[:, 1] * self.width_mm)
        width = np.where(distance < step, (self.width_z_mm + self.width_mm) / 2, width)

        closed = np.vstack([profile[:, :2], [profile[-1, 0], -1.0], [profile[0, 0], -1.0]])
        inside = np.zeros(grid.shape[:2], np.uint8)  # its outline lies in the metal, so whole pixels do
        cv2.fillPoly(inside, [np.rint((closed - [first, 0.0]) / step).astype(np.int32)[:, ::-1]], 1)
        grey = np.where(inside > 0, greys.void, greys.outside)
        for z0, z1, r0, r1, value in self._parts(end):
            low_z, high_z = share(z - z0, self.width_z_mm), share(z1 - z, self.width_z_mm)
            low_r, high_r = share(r - r0, self.width_mm), share(r1 - r, self.width_mm)
            cover = np.minimum(low_z, high_z)[:, None] * np.minimum(low_r, high_r)[None, :]
            grey = grey + cover * (value - grey)
        flat = (distance - near[:, 2] / 2, width, grey.ravel())
        return np.stack([c.reshape(grid.shape[:2]) for c in flat], axis=-1).astype(np.float32), first, step

    def _parts(self, end: EndName) -> list[tuple[float, float, float, float, float]]:
        """Rings and discs at an end, (z0, z1, r0, r1, grey): insulator, gasket, cap and its terminal."""
        spec, greys = self.spec, self.spec.greys
        inner = self.can.outer_radius_mm - spec.wall_mm
        if end == "bottom":
            face = self.can.end_height_mm("bottom") - spec.bottom_mm
            return [(face - 0.3, face - 0.1, 0.3 * inner, inner - 0.15, greys.gasket)]
        profile = self.can.top_profile()
        lip = float(profile[-1, 0]) - spec.wall_mm / 2
        throat = float(profile[:, 1].min())
        z_outer = profile[profile[:, 1] > inner - 0.05]
        groove = float(z_outer[z_outer[:, 0] > spec.bead_out_mm + spec.bead_depth_mm / 2, 0].min())
        seat = groove + spec.wall_mm / 2
        rim = max(throat, inner - 0.4)
        thick = 0.35 * (lip - seat)
        return [
            (seat, lip, rim - 0.1, inner, greys.gasket),
            (seat + 0.2 * thick, seat + 1.4 * thick, -1.0, rim - 0.15, greys.cap),
            (seat + 1.0 * thick, lip + 0.25, -1.0, 0.35 * inner, greys.cap),
        ]

    # where the pixels are ----------------------------------------------------------------------------------

    def pixels(self, k: int) -> _Pixels:
        """The pixels of slice ``k`` that lie in or near the can."""
        spec, place = self.spec, self.place
        dz, dy, dx = spec.voxel_size_mm
        _, ny, nx = place.shape
        x = (np.arange(nx) * dx - place.origin_mm[0])[None, :]
        y = (np.arange(ny) * dy - place.origin_mm[1])[:, None]
        e = place.basis
        across = [np.float32(e[i, 0]) * x + np.float32(e[i, 1]) * y + e[i, 2] * (k * dz) for i in range(3)]
        bulge = reach_mm(spec)[1]
        reach = self.can.outer_radius_mm + abs(spec.ovality_mm) + spec.sleeve_mm + bulge + 3 * self.width_mm
        index = np.flatnonzero((across[0] ** 2 + across[1] ** 2 < reach**2).ravel())
        u, v = (a.astype(np.float32).ravel()[index] for a in across[:2])
        s: Image | float = across[2].astype(np.float32).ravel()[index] if spec.tilt_deg else k * dz
        return self._place(index, u, v, s)

    def _place(self, index: NDArray[np.int64], u: Image, v: Image, s: Image | float) -> _Pixels:
        """Points at (u, v) across the cell's axis and s along it, all in mm."""
        spec = self.spec
        r, angle = np.hypot(u, v), np.arctan2(v, u)
        theta_bin = (angle * np.float32(_ANGLES / (2 * np.pi))).astype(np.int32) & (_ANGLES - 1)
        ox, oy = spec.roll_offset_mm
        r_roll, roll_angle = r, angle
        if ox or oy:
            r_roll, roll_angle = (
                np.hypot(u - np.float32(ox), v - np.float32(oy)),
                np.arctan2(v - np.float32(oy), u - np.float32(ox)),
            )
        r_roll, in_tab, opened = self._undisturb(r_roll, roll_angle)
        fold = np.abs(roll_angle)
        fold = np.minimum(fold, np.float32(np.pi) - fold) * np.float32(2 / np.pi * _SHADOWS)
        shadow = np.clip(fold.astype(np.int32), 0, _SHADOWS - 1) * _BINS
        away = roll_angle * np.float32(1 / (2 * np.pi)) - np.float32(self.winding.start_deg / 360.0)
        within = np.float32(spec.handedness) * away
        within -= np.floor(within)
        phase = (r_roll - np.float32(spec.core_radius_mm)) * np.float32(1 / spec.pitch_mm)
        across = (u, v) if spec.particles else None
        return _Pixels(index, s, r, theta_bin, phase, within, shadow, in_tab, opened, across)

    def _undisturb(self, r: Image, angle: Image) -> tuple[Image, tuple[Image, ...], Image | None]:
        """Nominal radius of the material at each pixel: what displaced it is taken back in turn, the crumpled
        core, tabs and gaps, then the buckle. Also each tab's share, and that of what gapes."""
        spec, winding = self.spec, self.winding
        if not winding.lifters and not spec.buckle and not spec.crumple:
            return r, (), None
        theta = np.degrees(angle)
        if spec.crumple:
            r = self._uncrumple(spec.crumple, r, angle)
        strips: list[Image] = []
        gap: Image | None = None
        for lifter in reversed(winding.lifters):
            seat = winding.seat_radius(lifter, theta).astype(np.float32)
            lift = winding.lift(lifter, theta).astype(np.float32)
            if isinstance(lifter, Tab):
                strips.append(self._strip(lifter, r, theta, seat))
            free = (r > seat) & (r < seat + lift)
            low = np.maximum(r - self.width_mm / 2, seat)
            high = np.minimum(r + self.width_mm / 2, seat + lift)
            opened = np.maximum(high - low, 0) / np.float32(self.width_mm)
            gap = opened if gap is None else np.minimum(gap + opened, 1)
            lifted = np.flatnonzero((lift > 0) & (r >= seat + lift))
            r = np.where(free, seat, r)
            r[lifted] = _unlift(r[lifted], seat[lifted], lift[lifted], lifter.decay_mm)
        if spec.buckle:
            push = winding.buckle_push(spec.buckle, theta).astype(np.float32)
            pushed = np.flatnonzero(push)
            r = r.copy()
            r[pushed] = _unlift(r[pushed], spec.core_radius_mm, -push[pushed], spec.buckle.decay_mm)
        return r, tuple(reversed(strips)), gap

    def _uncrumple(self, crumple: Crumple, r: Image, angle: Image) -> Image:
        """Nominal radius of the material in a crumpled core."""
        here = np.flatnonzero(r < crumple.radius_mm)
        if not here.size:
            return r
        table, step = self._wander
        middle = table.shape[0] // 2
        column = (r[here] * np.cos(angle[here]) / np.float32(step)) + np.float32(middle)
        row = (r[here] * np.sin(angle[here]) / np.float32(step)) + np.float32(middle)
        dying = np.clip((crumple.radius_mm - r[here]) / np.float32(crumple.radius_mm / 4), 0, 1)
        found = r.copy()
        found[here] = r[here] - dying * _sample(table[..., None], row, column)[:, 0]
        return found

    @cached_property
    def _wander(self) -> tuple[Image, float]:
        """How far layers in a crumpled core lie from where they should, over the roll's plane; its step in
        mm."""
        crumple = self.spec.crumple
        assert crumple is not None
        step = crumple.grain_mm / 4
        half = math.ceil(crumple.radius_mm / step) + 2
        noise = np.random.default_rng((self.spec.seed, 6)).standard_normal((2 * half + 1,) * 2)
        smooth = cv2.GaussianBlur(noise, (0, 0), 4.0, borderType=cv2.BORDER_REFLECT)
        return (smooth * (crumple.amplitude_mm / smooth.std())).astype(np.float32), step

    def _strip(self, tab: Tab, r: Image, theta: NDArray[Any], seat: NDArray[Any]) -> Image:
        arc = np.radians(wrap_deg(theta - tab.theta_deg)) * r
        cover = share(tab.width_mm / 2 - np.abs(arc), self.width_mm)
        low = np.maximum(r - self.width_mm / 2, seat)
        high = np.minimum(r + self.width_mm / 2, seat + tab.thickness_mm)
        return np.asarray(cover * np.maximum(high - low, 0.0) / self.width_mm, dtype=np.float32)

    # any points, one slice ---------------------------------------------------------------------------------

    def at(self, u_mm: NDArray[Any], v_mm: NDArray[Any], s_mm: NDArray[Any]) -> Image:
        """Greys at points (u, v) across the cell's axis and s along it, each a mean over a voxel there.

        The three arrays have one shape, which is the result's. ``u`` points to the cell's angle 0.
        """
        u, v, s = (np.asarray(a, dtype=np.float32).ravel() for a in (u_mm, v_mm, s_mm))
        return self._greys(self._place(np.arange(u.size), u, v, s)).reshape(np.shape(u_mm))

    def slice(self, k: int) -> Image:
        """Slice ``k`` of the volume, float32 (ny, nx), in :class:`Greys` units."""
        untilted = self.spec.tilt_deg == 0
        plain = untilted and self._is_plain(k * self.spec.voxel_size_mm[0])
        if plain and self._plain is not None and self._plain[1].size:
            return self._plain[1]
        pixels = self._plain[0] if untilted and self._plain is not None else self.pixels(k)
        if untilted:
            pixels = replace(pixels, s=k * self.spec.voxel_size_mm[0])
        image = np.full(self.place.shape[1:], self.spec.greys.outside, np.float32)
        image.ravel()[pixels.index] = self._greys(pixels)
        if untilted and (self._plain is None or plain):
            self._plain = (pixels, image if plain else np.empty((0, 0), np.float32))
        return image

    def _is_plain(self, s: float) -> bool:
        """Whether an untilted slice lies where nothing changes along the axis."""
        half = self.width_z_mm
        for end, (edge, outward) in self.place.edges.items():
            tables = self.edges[end]
            lows = [float(table.min()) for name, table in tables.items() if name != "lean"]
            hanging = [float(tables["copper"].min()) + self._curl_map(c)[1][0] for c in self._curls(end)]
            low = min([*lows, *hanging, -(self.spec.pin.short_mm if self.spec.pin else 0.0), 0.0])
            if outward * (s - edge) > low - half:
                return False
        for ball in self.spec.particles:
            at = dent_height(ball.out_mm, ball.end, self.place)
            if at is not None and abs(s - at) < ball.diameter_mm / 2 + 2 * half:
                return False
        return not touches(self.spec, self.place, s - half, s + half)

    def _greys(self, px: _Pixels) -> Image:
        greys = self.spec.greys
        outward = {
            end: (direction * (px.s - np.float32(edge)))
            for end, (edge, direction) in self.place.edges.items()
        }
        grey = np.full(px.r.shape, greys.electrolyte, np.float32)
        for (
            out
        ) in outward.values():  # core and can's gap are full of liquid up to the nominal edge, gas beyond
            grey += share(np.asarray(out), self.width_z_mm) * np.float32(greys.void - greys.electrolyte)
        metal_maps = self._add_fittings(grey, px, outward)
        self._add_roll(grey, px, outward)
        self._add_tabs_and_pin(grey, px, outward)
        self._add_curls(grey, px, outward)
        self._add_particles(grey, px)
        self._add_can(grey, px, metal_maps)
        return grey

    def _add_fittings(
        self, grey: Image, px: _Pixels, outward: dict[EndName, Any]
    ) -> list[tuple[Any, Image, Image]]:
        """Replace the filler where an end's parts are; return what the can's sheet needs there."""
        found: list[tuple[Any, Image, Image]] = []
        for end, (maps, first, step) in self.fittings.items():
            out = np.asarray(outward[end])
            if float(out.max()) <= first + step:
                continue
            here = np.flatnonzero(np.broadcast_to(out > first + step, px.r.shape))
            outer, _ = self.surfaces
            shift = np.float32(self.can.outer_radius_mm) - outer[px.theta_bin[here]]
            if touches(self.spec, self.place, float(np.min(px.s)), float(np.max(px.s))):
                theta, s = self._theta(px, here), np.asarray(_take(px.s, here))
                shift = shift + push(self.spec, self.place, theta, s).astype(np.float32)
            radius = (px.r[here] + shift) * np.float32(1 / step)
            height = np.broadcast_to((out - np.float32(first)) * np.float32(1 / step), px.r.shape)[here]
            sampled = _sample(maps, np.minimum(height, maps.shape[0] - 1.001), radius)
            grey[here] = sampled[:, 2]
            found.append((here, sampled[:, 0], sampled[:, 1]))
        return found

    def _add_roll(self, grey: Image, px: _Pixels, outward: dict[EndName, Any]) -> None:
        greys, stack = self.spec.greys, self.stack
        tables = self.edges
        highest = (float(max(t["copper"].max(), t["cathode"].max())) for t in tables.values())
        reach = max(highest, default=0.0) + 1.0
        if any(float(np.min(out)) > reach for out in outward.values()):
            return
        void = grey.copy()
        phase = px.phase - px.within
        in_roll = np.flatnonzero((phase > -1.0) & (phase < self.spec.turns + 1.0))
        phase, within, under = phase[in_roll], px.within[in_roll], void[in_roll]
        shadow = px.shadow[in_roll]
        out = {end: _take(o, in_roll) for end, o in outward.items()}

        if out:  # within the roll the liquid ends where the winding does
            _, entry, along = self._locate(phase, within)
            wet = np.ones_like(phase)
            nominally: Any = np.float32(1.0)
            for end, o in out.items():
                wet *= self._covers(o, tables[end]["base"], entry, along, end)
                nominally = nominally * share(-o, self.width_z_mm)
            under = under + np.float32(greys.electrolyte - greys.void) * (wet - nominally)

        def add(layer_shares: Sequence[tuple[str, Image]], total: Image) -> None:
            for name, amount in layer_shares:
                total += amount * (np.float32(getattr(greys, name)) - under)

        total = np.zeros_like(under)
        # cathode: does not lean
        offset, entry, along = self._locate(phase - np.float32(0.5), within)
        present = self._on_tape(along, *self.winding.cathode_range)
        for end, o in out.items():
            present *= self._covers(o, tables[end]["cathode"], entry, along, end)
        add([(n, stack[n][shadow + offset] * present) for n in ("cathode_coating", "aluminium")], total)
        # anode with its separators: leans where it is free
        offset, entry, along = self._locate(self._unlean(phase, within, out), within)
        present = self._on_tape(along, 0.0, self.spec.turns)
        foil = present
        for fault in self.spec.missing_foils:
            foil = foil * (1 - self._on_tape(along, *self.winding.stretch(fault)))
        for name, edge in (("copper", "copper"), ("anode_coating", "coating"), ("separator", "separator")):
            amount = stack[name][shadow + offset] * (present if name == "separator" else foil)
            for end, o in out.items():
                amount *= self._covers(o, tables[end][edge], entry, along, end)
            add([(name, amount)], total)
        if px.opened is not None:
            total *= 1 - px.opened[in_roll]
        grey[in_roll] = under + total

    def _locate(self, phase: Image, within: Image) -> tuple[NDArray[np.int32], NDArray[np.int32], Image]:
        """Entries in the layer table and on the tape, and the phase on the tape, where a pixel lies."""
        turn = np.floor(phase + np.float32(0.5))
        offset = ((phase - turn + np.float32(0.5)) * np.float32(_BINS)).astype(np.int32)
        np.clip(offset, 0, _BINS - 1, out=offset)
        along = turn + within
        entry = (along * np.float32(PHASES_PER_TURN)).astype(np.int32)
        np.clip(entry, 0, self.winding.phases.size - 1, out=entry)
        return offset, entry, along

    def _on_tape(self, along: Image, first: float, last: float) -> Image:
        """Share of each pixel between two phases of the tape, whose ends are cut along the radius."""
        if last <= first:
            return np.zeros_like(along)
        arc = np.float32(2 * np.pi) * (self.spec.core_radius_mm + np.float32(self.spec.pitch_mm) * along)
        begun, ended = (along - np.float32(first)) * arc, (np.float32(last) - along) * arc
        return np.asarray(share(np.minimum(begun, ended), self.width_mm), dtype=np.float32)

    def _covers(self, out: Any, edge: Image, entry: NDArray[np.int32], along: Image, end: EndName) -> Any:
        """Share of the voxel inside an edge; 1 without a look at the table where far inside."""
        if float(np.max(out)) < float(edge.min()) - self.width_z_mm:
            return np.float32(1.0)
        cover = share(edge[entry] - out, self.width_z_mm)
        for group in self._steps[end]:
            self._step(cover, group, out, edge, along)
        return cover

    @cached_property
    def _steps(self) -> dict[EndName, list[list[tuple[float, int, int]]]]:
        """At each end: where faults make edges jump, as (phase, entry before, entry after), in groups of
        those so near to each other that a pixel may hold several."""
        groups: dict[EndName, list[list[tuple[float, int, int]]]] = {}
        for end in self.place.edges:
            phases = self.winding.steps(end)
            groups[end] = []
            for i, p in enumerate(phases):
                before = phases[i - 1] if i else p - 1.0
                after = phases[i + 1] if i + 1 < len(phases) else p + 1.0
                entry = 1.0 / PHASES_PER_TURN
                left, right = p - min(entry, (p - before) / 2), p + min(entry, (after - p) / 2)
                size = self.winding.phases.size
                last_in, first_out = (min(max(int(q / entry), 0), size - 1) for q in (left, right))
                step = (p, last_in, first_out)
                if i and (p - before) * self._around(p) < 3 * self.width_mm:
                    groups[end][-1].append(step)
                else:
                    groups[end].append([step])
        return groups

    def _around(self, phase: Any) -> Any:
        """Length of one turn of the tape at a phase."""
        return np.float32(2 * np.pi) * (self.spec.core_radius_mm + np.float32(self.spec.pitch_mm) * phase)

    def _step(
        self, cover: Image, group: list[tuple[float, int, int]], out: Any, edge: Image, along: Image
    ) -> None:
        """Replace shares where an edge jumps: a pixel has its part of the height on either side."""
        reach = max(self.width_mm / float(self._around(group[0][0])), 1.0 / PHASES_PER_TURN)
        near = np.flatnonzero((along > group[0][0] - reach) & (along < group[-1][0] + reach))
        if not near.size:
            return
        here, around = _take(out, near), self._around(along[near])
        total = share(edge[group[0][1]] - here, self.width_z_mm)
        for phase, before, after in group:
            past = share((along[near] - np.float32(phase)) * around, self.width_mm)
            jump = share(edge[after] - here, self.width_z_mm) - share(edge[before] - here, self.width_z_mm)
            total = total + past * jump
        cover[near] = total

    def _unlean(self, phase: Image, within: Image, out: dict[EndName, Any]) -> Image:
        """Phase that the material had before its foil leaned."""
        leaned = phase
        for end, o in out.items():
            tables = self.edges[end]
            if float(np.max(o)) < float(tables["base"].min()):
                continue
            upright = phase
            for _ in range(2):
                _, entry, _ = self._locate(upright, within)
                free = np.clip(o - tables["base"][entry], 0.0, None)
                upright = phase - tables["lean"][entry] * free * np.float32(1 / self.spec.pitch_mm)
            leaned = upright
        return leaned

    def _add_tabs_and_pin(self, grey: Image, px: _Pixels, outward: dict[EndName, Any]) -> None:
        greys = self.spec.greys
        for tab, strip in zip(self.spec.tabs, px.in_tab, strict=True):
            cover = strip
            if tab.end in outward:
                cover = cover * share(tab.beyond_mm - outward[tab.end], self.width_z_mm)
            other = [o for end, o in outward.items() if end != tab.end]
            for o in other:  # it is welded along most of the roll and ends short of the other edge
                cover = cover * share(-o - 1.0, self.width_z_mm)
            metal = greys.tab if tab.grey is None else tab.grey
            grey += cover * (np.float32(metal) - grey)
        pin = self.spec.pin
        if pin:
            outer = pin.outer_diameter_mm / 2
            cover = self.within(outer, px) - self.within(outer - pin.wall_mm, px)
            for o in outward.values():
                cover = cover * share(-pin.short_mm - o, self.width_z_mm)
            grey += cover * (np.float32(greys.pin) - grey)

    def _curls(self, end: EndName) -> tuple[Curl, ...]:
        return tuple(curl for curl in self.spec.curls if curl.end == end)

    def _add_curls(self, grey: Image, px: _Pixels, outward: dict[EndName, Any]) -> None:
        """Free foil that is bent out of its line, as a thin sheet along its own curve."""
        for end, out in outward.items():
            for curl in self._curls(end):
                first, last = self.winding.stretch(curl)
                middle, pitch = (first + last) / 2, self.spec.pitch_mm
                maps, (low, left), step = self._curl_map(curl)
                base = self.edges[end]["copper"]  # cut off where the bend begins
                # on the tape, at each pixel's own angle: the piece that lies nearest to the fault's middle
                along = np.rint(np.float32(middle) - px.within) + px.within
                around = np.float32(2 * np.pi) * (self.spec.core_radius_mm + np.float32(pitch) * along)
                ahead = np.minimum(along - np.float32(first), np.float32(last) - along) * around
                aside = (px.phase - along) * np.float32(pitch)
                entry = np.clip((along * PHASES_PER_TURN).astype(int), 0, base.size - 1)
                height = np.broadcast_to(np.asarray(out), along.shape) - base[entry]
                row, column = (height - low) / np.float32(step), (aside - left) / np.float32(step)
                here = np.flatnonzero(
                    (ahead > -self.width_mm) & (row >= 0) & (row <= maps.shape[0] - 1)
                    & (column >= 0) & (column <= maps.shape[1] - 1)
                )  # fmt: skip
                if not here.size:
                    continue
                cover = _sample(maps[..., None], row[here], column[here])[:, 0]
                cover = cover * share(ahead[here], self.width_mm)
                grey[here] += cover * (np.float32(self.spec.greys.copper) - grey[here])

    def _curl_map(self, curl: Curl) -> tuple[Image, tuple[float, float], float]:
        """:meth:`_bent`, made once."""
        if curl not in self._bent_foils:
            self._bent_foils[curl] = self._bent(curl)
        return self._bent_foils[curl]

    def _bent(self, curl: Curl) -> tuple[Image, tuple[float, float], float]:
        """Share of a voxel that the bent foil fills, over (height above the bend, way outward); the map's
        lowest
        height and way, and its step in mm."""
        from scipy.spatial import cKDTree

        width = (self.width_mm + self.width_z_mm) / 2
        thick = min(self.spec.layers.copper_mm, width)
        # An end is blunt in the map, half a disc of the voxel's width: so much shorter, its area is right.
        path = self._curl_path(curl, trim=math.pi * width / 8)
        step = width / 8
        low, left = path.min(axis=0) - 2 * width
        high, right = path.max(axis=0) + 2 * width
        rows, columns = math.ceil((high - low) / step) + 1, math.ceil((right - left) / step) + 1
        grid = np.stack(
            np.meshgrid(low + step * np.arange(rows), left + step * np.arange(columns), indexing="ij"), -1
        )
        away, _ = cKDTree(path).query(grid.reshape(-1, 2))
        inside = np.minimum(away + width / 2, thick / 2) - np.maximum(away - width / 2, -thick / 2)
        cover = np.clip(inside, 0.0, None) / width
        return cover.reshape(rows, columns).astype(np.float32), (float(low), float(left)), step

    def _curl_path(self, curl: Curl, trim: float) -> NDArray[np.float64]:
        """Points (height above the bend, way outward) of a bent foil that keeps its length."""
        end = curl.end
        first, last = self.winding.stretch(curl)
        entry = int(np.clip((first + last) / 2 * PHASES_PER_TURN, 0, self.winding.phases.size - 1))
        free = float(self.winding.anode_edge(end)[entry] - self.winding.base_edge(end)[entry])
        length = max(free - curl.straight_mm, 2.5 * trim)
        along = np.linspace(trim, length - trim, max(2, math.ceil((length - 2 * trim) / 0.002)))
        bend, radius = math.radians(abs(curl.bend_deg)), curl.bend_radius_mm
        angle = np.minimum(along / radius, bend)
        beyond = along - angle * radius
        height = radius * np.sin(angle) + beyond * np.cos(bend)
        outward = radius * (1 - np.cos(angle)) + beyond * np.sin(bend)
        return np.stack([height, math.copysign(1.0, curl.bend_deg) * outward], axis=-1)

    def _add_particles(self, grey: Image, px: _Pixels) -> None:
        """Balls of another material; each voxel is cut into 27 parts, so that their volume is right."""
        if px.across is None:
            return
        sides = (self.width_mm / 3, self.width_mm / 3, self.width_z_mm / 3)
        for ball in self.spec.particles:
            at = dent_height(ball.out_mm, ball.end, self.place)
            if at is None:
                continue
            theta, radius = math.radians(ball.theta_deg), ball.diameter_mm / 2
            u = px.across[0] - np.float32(ball.radius_mm * math.cos(theta))
            v = px.across[1] - np.float32(ball.radius_mm * math.sin(theta))
            s = np.broadcast_to(np.asarray(px.s - np.float32(at)), u.shape)
            here = np.flatnonzero(
                u * u + v * v + s * s < (radius + 2 * max(self.width_mm, self.width_z_mm)) ** 2
            )
            cover = np.zeros(here.size, np.float32)
            for i, j, k in np.ndindex(3, 3, 3):
                du, dv, ds = (np.float32((n - 1) * side) for n, side in zip((i, j, k), sides, strict=True))
                away = np.sqrt((u[here] + du) ** 2 + (v[here] + dv) ** 2 + (s[here] + ds) ** 2)
                cover += share(_ramped_radius(radius, self.width_mm / 3) - away, self.width_mm / 3)
            grey[here] += cover / 27 * (np.float32(ball.grey) - grey[here])

    def _add_can(self, grey: Image, px: _Pixels, fittings: list[tuple[Any, Image, Image]]) -> None:
        greys = self.spec.greys
        kept = [(here, grey[here].copy()) for here, _, _ in fittings]
        deepest, _ = reach_mm(self.spec)
        near = np.flatnonzero(px.r > self.surfaces[1].min() - deepest - 2 * self.width_mm)
        outer, inner = (surface[px.theta_bin[near]] for surface in self.surfaces)
        faulty = touches(self.spec, self.place, float(np.min(px.s)), float(np.max(px.s)))
        if faulty:
            outer, inner = self._faulty_surfaces(px, near, outer)
        in_outer, in_inner = self.within(outer, px, near), self.within(inner, px, near)
        around: Any = np.float32(greys.outside)
        if self.spec.sleeve_mm:
            sleeve = self.within(outer + np.float32(self.spec.sleeve_mm), px, near)
            around = greys.outside + sleeve * (greys.sleeve - greys.outside)
        can = (in_outer - in_inner) * np.float32(greys.can)
        grey[near] = grey[near] * in_inner + can + (1 - in_outer) * around
        for (here, before), (_, distance, width) in zip(kept, fittings, strict=True):
            theta = self._theta(px, here)
            if faulty:
                s = np.asarray(_take(px.s, here))
                half = sheet(self.spec, self.place, theta, s, self._soft)[0].astype(np.float32) / 2
                away = distance + np.float32(self.spec.wall_mm / 2)
                metal = share(half - away, width) - share(-half - away, width)
            else:
                thicker = (self.can.wall(theta) - self.spec.wall_mm) / 2
                metal = share(thicker.astype(np.float32) - distance, width)
            grey[here] = before + metal * (np.float32(greys.can) - before)

    @property
    def _soft(self) -> tuple[float, float]:
        """Widths over which a voxel spreads the border of a patch of the wall."""
        return self.width_mm, self.width_z_mm

    def _theta(self, px: _Pixels, here: NDArray[np.int64]) -> NDArray[Any]:
        return np.asarray((px.theta_bin[here] + 0.5) * (360.0 / _ANGLES))

    def _faulty_surfaces(self, px: _Pixels, near: NDArray[np.int64], outer: Image) -> tuple[Image, Image]:
        """Outer and inner radius at pixels where the can's sheet is pushed or worn; ``outer`` is sound."""
        theta, s = self._theta(px, near), np.asarray(_take(px.s, near))
        wall, taken = sheet(self.spec, self.place, theta, s, self._soft)
        pushed = outer - push(self.spec, self.place, theta, s).astype(np.float32) - taken.astype(np.float32)
        return pushed, pushed - wall.astype(np.float32)


def _ramped_radius(radius: float, width: float) -> float:
    """Radius at which a ball whose edge is a ramp of ``width`` has the volume of a sharp one of ``radius``.

    A ramp averages balls of radii within half a width of its own R, of mean volume 4/3 pi (R^3 + R width^2 /
    4).
    """
    found = radius
    for _ in range(20):
        found -= (found**3 + found * width**2 / 4 - radius**3) / (3 * found**2 + width**2 / 4)
    return found


def _take(value: Any, index: NDArray[np.int64]) -> Any:
    return value[index] if isinstance(value, np.ndarray) and value.ndim else value


def _unlift(r: Image, seat: Image | float, lift: Image, decay_mm: float) -> Image:
    """Solve y + lift exp(-max(y - seat, 0) / decay) = r for y by Newton's method."""
    y = r - lift
    for _ in range(4):  # quadratic from a start within the lift, which is a fraction of the decay
        e = lift * np.exp(np.minimum(seat - y, 0) * np.float32(1 / decay_mm))
        slope = np.where(y > seat, 1 - e * np.float32(1 / decay_mm), np.float32(1))
        y = y - (y + e - r) / np.maximum(slope, np.float32(0.2))
    return np.asarray(y)


def _sample(maps: Image, row: Image, column: Image) -> Image:
    """Bilinear values (n, channels) of ``maps`` (rows, columns, channels) at fractional places."""
    wide = 1024
    n = row.size
    rows = -(-n // wide)
    places = np.zeros((2, rows * wide), np.float32)
    places[0, :n], places[1, :n] = column, row
    grid = places.reshape(2, rows, wide)
    sampled = cv2.remap(maps, grid[0], grid[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(sampled).reshape(-1, maps.shape[2])[:n]
