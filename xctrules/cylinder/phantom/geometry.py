"""Where everything in a phantom cell is: the analytic shapes that both the drawing and the truth read.

The winding is described along its own length by the *phase* p, counted in turns from the copper's inner
end: the copper's centre has radius r0 + pitch p, and the cathode wound outside it lies half a pitch further
out. Everything that changes along the tape (edges, lean) is a table over p; nothing jumps where one turn
becomes the next.

Positions are in the cell's frame: s_mm along the axis from the axis's point at volume z = 0, theta from +x
towards +y, r from the axis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xctrules.cylinder.phantom.roll_faults import Curl, EdgeFault, Gap, MissingFoil
from xctrules.cylinder.phantom.spec import Buckle, EndName, NegativeOverhang, PhantomSpec, Tab

Floats = NDArray[np.float64]

PHASES_PER_TURN = 1440
"""Entries of a tape table in one turn: 0.25 degrees, 40 um at a radius of 10 mm."""


def raised_cosine(x: ArrayLike, full_width: float) -> Floats:
    """cos^2 bump of height 1 at 0, zero from ``full_width / 2`` on."""
    u = np.clip(np.abs(np.asarray(x)) / full_width, 0.0, 0.5)
    return np.asarray(np.cos(np.pi * u) ** 2)


def wrap_deg(angle: ArrayLike) -> Floats:
    """Angle difference folded into [-180, 180]; keeps the dtype of floats."""
    a = np.asarray(angle)
    return np.asarray(a - 360.0 * np.rint(a / 360.0))


def smooth_random(n: int, sd: float, correlation: float, seed: tuple[int, int]) -> Floats:
    """Gaussian-smoothed noise with mean 0 and standard deviation ``sd`` over its ``n`` entries.

    ``correlation`` is the smoothing's sigma in entries.
    """
    from scipy.ndimage import gaussian_filter1d

    if sd == 0.0:
        return np.zeros(n)
    noise = gaussian_filter1d(np.random.default_rng(seed).standard_normal(n), correlation, mode="reflect")
    noise -= noise.mean()
    return np.asarray(noise * (sd / noise.std()), dtype=float)


# --- the winding -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Winding:
    """The spiral, its disturbances, and what varies along the tape."""

    spec: PhantomSpec

    @cached_property
    def start_deg(self) -> float:
        """Angle of the copper's inner end, such that turn 0 is never empty."""
        start = self.spec.start_deg % 360.0
        return 360.0 if self.spec.handedness < 0 and start == 0.0 else start

    def phase(self, turn: ArrayLike, theta_deg: ArrayLike) -> Floats:
        """Phase of the copper at a turn and angle; turns are counted where the angle passes 0 degrees."""
        away = self.spec.handedness * (np.asarray(theta_deg, dtype=float) - self.start_deg)
        return np.asarray(np.asarray(turn, dtype=float) + away / 360.0)

    def theta_deg(self, phase: ArrayLike) -> Floats:
        """Angle about the roll's axis at a phase."""
        return (self.start_deg + self.spec.handedness * 360.0 * np.asarray(phase, dtype=float)) % 360.0

    def turn(self, phase: ArrayLike) -> NDArray[np.int64]:
        """Number of the turn that a phase belongs to."""
        p = np.asarray(phase, dtype=float)
        offset = self.start_deg / 360.0 if self.spec.handedness > 0 else 1.0 - self.start_deg / 360.0
        return np.floor(p + offset + 1e-9).astype(np.int64)

    def nominal_radius(self, phase: ArrayLike) -> Floats:
        """Radius of the undisturbed copper's centre about the roll's axis."""
        return np.asarray(self.spec.core_radius_mm + self.spec.pitch_mm * np.asarray(phase, dtype=float))

    def foil_radius(self, phase: ArrayLike) -> Floats:
        """Radius of the copper's centre about the roll's axis, buckle and tabs included."""
        return self.displaced(self.nominal_radius(phase), self.theta_deg(phase))

    def displaced(self, nominal_mm: Floats, theta_deg: Floats) -> Floats:
        """Where material of a nominal radius lies in the disturbed roll."""
        r = nominal_mm
        if self.spec.buckle:
            b = self.spec.buckle
            decay = np.exp(-np.maximum(nominal_mm - self.spec.core_radius_mm, 0.0) / b.decay_mm)
            r = r - b.amplitude_mm * raised_cosine(wrap_deg(theta_deg - b.theta_deg), b.width_deg) * decay
        for lifter in self.lifters:
            seat = self.seat_radius(lifter, theta_deg)
            lift = self.lift(lifter, theta_deg)
            r = np.where(r > seat, r + lift * np.exp(-np.maximum(r - seat, 0.0) / lifter.decay_mm), r)
        return np.asarray(r)

    @property
    def lifters(self) -> tuple[Tab | Gap, ...]:
        """All that pushes the turns outside it further out."""
        return *self.spec.tabs, *self.spec.gaps

    def seat_radius(self, lifter: Tab | Gap, theta_deg: Floats) -> Floats:
        """Nominal radius of the surface that a tab sits on, or a gap opens at, at any angle near it."""
        layers, pitch = self.spec.layers, self.spec.pitch_mm
        on = {
            "anode": layers.copper_mm / 2,
            "separator": pitch / 2 - layers.cathode_mm / 2,
            "cathode": pitch / 2 + layers.aluminium_mm / 2,
        }[lifter.electrode if isinstance(lifter, Tab) else lifter.outside]
        away = self.spec.handedness * wrap_deg(theta_deg - lifter.theta_deg) / 360.0
        return self.nominal_radius(self.phase(lifter.turn, lifter.theta_deg) + away) + on

    def lift(self, lifter: Tab | Gap, theta_deg: Floats) -> Floats:
        """How far a tab or a gap lifts the turns outside it."""
        high, wide = (
            (lifter.thickness_mm, lifter.lift_deg)
            if isinstance(lifter, Tab)
            else (lifter.gap_mm, lifter.width_deg)
        )
        return high * raised_cosine(wrap_deg(theta_deg - lifter.theta_deg), wide)

    def buckle_push(self, buckle: Buckle, theta_deg: Floats) -> Floats:
        """Inward push of the innermost turn over the angle."""
        return buckle.amplitude_mm * raised_cosine(wrap_deg(theta_deg - buckle.theta_deg), buckle.width_deg)

    # tables along the tape ------------------------------------------------------------------------------

    @cached_property
    def phases(self) -> Floats:
        """Phases of the tables' entries."""
        n = math.ceil(self.spec.turns * PHASES_PER_TURN)
        return (np.arange(n) + 0.5) / PHASES_PER_TURN

    @cached_property
    def cathode_range(self) -> tuple[float, float]:
        """First and last phase at which cathode lies outside the copper."""
        return self.spec.lead_in_turns, max(
            self.spec.turns - self.spec.lead_out_turns, self.spec.lead_in_turns
        )

    @cached_property
    def tape_shift_mm(self) -> Floats:
        """Shift of the wound tape along the axis, towards the top."""
        s = self.spec
        wave = smooth_random(self.phases.size, s.edge_wave_mm, PHASES_PER_TURN / 6, (s.seed, 1))
        return np.asarray(wave - s.telescope_mm * (self.phases / s.turns - 0.5))

    def cathode_edge(self, end: EndName) -> Floats:
        """Outward height of the cathode's edge over the tape; -inf where there is no cathode."""
        first, last = self.cathode_range
        there = (self.phases >= first) & (self.phases <= last)
        return np.where(there, self.cathode_height(end), -np.inf)

    def cathode_height(self, end: EndName) -> Floats:
        """The same wherever there is tape."""
        return self.tape_shift_mm * (1.0 if end == "top" else -1.0) + self.edge_shift("cathode", end)

    def facing_edge(self, end: EndName) -> Floats:
        """Outward height of the nearer (worse) of the two cathode faces at the copper; -inf where none."""
        return _facing(self.cathode_edge(end))

    def base_edge(self, end: EndName) -> Floats:
        """Height from which the foil is free: the facing edge, or the tape's own where none faces it."""
        facing = self.facing_edge(end)
        return np.where(np.isfinite(facing), facing, self.cathode_height(end))

    def sound_base_edge(self, end: EndName) -> Floats:
        """The same in a roll without faults of its edges, from which the anode was cut and wound."""
        shift = self.edge_shift("cathode", end)
        facing = _facing(self.cathode_edge(end) - shift)
        return np.where(np.isfinite(facing), facing, self.cathode_height(end) - shift)

    def overhang(self, end: EndName) -> Floats:
        """Overhang over the tape, faults included."""
        s = self.spec
        seed = (s.seed, 2 if end == "top" else 3)
        sigma = s.overhang_correlation_deg / 360.0 * PHASES_PER_TURN
        mean: Floats | float = s.overhang_mm
        if s.overhang_by_turn_mm:
            given = np.asarray(s.overhang_by_turn_mm, dtype=float)
            mean = given[np.minimum(self.turn(self.phases), given.size - 1)]
        if s.overhang_wave_mm:
            away = np.radians(self.theta_deg(self.phases) - s.overhang_wave_deg)
            mean = mean + s.overhang_wave_mm * np.cos(away)
        value = mean + smooth_random(self.phases.size, s.overhang_sd_mm, sigma, seed)
        for fault in s.negative_overhangs:
            if fault.end != end:
                continue
            away = np.abs(self.phases - self.phase(fault.turn, fault.theta_deg)) * 360.0
            beyond = np.maximum(away - fault.width_deg / 2, 0.0)
            weight = (
                raised_cosine(beyond, 2 * fault.shoulder_deg) if fault.shoulder_deg else (beyond == 0) * 1.0
            )
            value = (1.0 - weight) * value + weight * fault.length_mm
        return np.asarray(value)

    def anode_edge(self, end: EndName) -> Floats:
        """Outward height of the copper's edge over the tape."""
        return self.sound_base_edge(end) + self.overhang(end) + self.edge_shift("anode", end)

    # faults ----------------------------------------------------------------------------------------------

    def stretch(self, fault: EdgeFault | MissingFoil | Curl) -> tuple[float, float]:
        """First and last phase of a fault's stretch of tape, shoulders left out."""
        middle = float(self.phase(fault.turn, fault.theta_deg))
        if isinstance(fault, EdgeFault) and fault.width_mm is not None:
            around = 2 * math.pi * float(self.nominal_radius(middle))
            width = fault.width_mm / around
        else:
            width = fault.width_deg / 360.0
        return middle - width / 2, middle + width / 2

    def edge_shift(self, electrode: Literal["anode", "cathode"], end: EndName) -> Floats:
        """How far faults move an electrode's edge outward over the tape."""
        total = np.zeros(self.phases.size)
        for fault in self.spec.edge_faults:
            if fault.end == end and fault.electrode in (electrode, "both"):
                first, last = self.stretch(fault)
                total[(self.phases >= first) & (self.phases <= last)] += fault.by_mm
        return total

    def steps(self, end: EndName) -> tuple[float, ...]:
        """Phases at which faults make an edge at an end jump, in order.

        A cathode's fault shows at the foil inside it, and a turn further on at the one outside it.
        """
        found: set[float] = set()
        for edge in self.spec.edge_faults:
            if edge.end == end:
                found.update(self.stretch(edge))
                if edge.electrode != "anode":
                    found.update(p + 1.0 for p in self.stretch(edge))
        for curl in self.spec.curls:
            if curl.end == end:
                found.update(self.stretch(curl))
        return tuple(sorted(p for p in found if 0.0 < p < self.spec.turns))

    def anode_there(self) -> NDArray[np.bool_]:
        """Whether there is any anode, over the tape."""
        there = np.ones(self.phases.size, dtype=bool)
        for fault in self.spec.missing_foils:
            first, last = self.stretch(fault)
            there &= (self.phases < first) | (self.phases > last)
        return there

    def in_line(self, end: EndName) -> NDArray[np.bool_]:
        """Whether the free foil at an end stands as wound, and is not curled."""
        straight = np.ones(self.phases.size, dtype=bool)
        for curl in self.spec.curls:
            if curl.end == end:
                first, last = self.stretch(curl)
                straight &= (self.phases < first) | (self.phases > last)
        return straight

    def deflection_deg(self, end: EndName) -> Floats:
        """Lean of the free foil over the tape, positive outward."""
        s = self.spec
        share = self.phases / s.turns
        lean = s.deflection_inner_deg + share * (s.deflection_outer_deg - s.deflection_inner_deg)
        seed = (s.seed, 4 if end == "top" else 5)
        return lean + smooth_random(self.phases.size, s.deflection_sd_deg, PHASES_PER_TURN / 8, seed)


def _facing(outside: Floats) -> Floats:
    """The higher of the cathode outside each piece of foil and the one inside it, a turn earlier on the
    tape."""
    inside = np.full_like(outside, -np.inf)
    inside[PHASES_PER_TURN:] = outside[:-PHASES_PER_TURN]
    return np.maximum(outside, inside)


# --- the can ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Can:
    """The can's surfaces in its straight part, and the profile of its ends."""

    spec: PhantomSpec

    @property
    def outer_radius_mm(self) -> float:
        return self.spec.outer_diameter_mm / 2

    def sound_outer(self, theta_deg: ArrayLike) -> Floats:
        """Radius of the outer surface without dents: an ellipse about the axis."""
        s = self.spec
        a, b = self.outer_radius_mm + s.ovality_mm / 4, self.outer_radius_mm - s.ovality_mm / 4
        t = np.radians(np.asarray(theta_deg, dtype=float) - s.ovality_deg)
        return np.asarray(a * b / np.hypot(b * np.cos(t), a * np.sin(t)))

    def wall(self, theta_deg: ArrayLike) -> Floats:
        """Radial thickness of the wall."""
        s = self.spec
        t = np.radians(np.asarray(theta_deg, dtype=float) - s.wall_variation_deg)
        return s.wall_mm + s.wall_variation_mm * np.cos(t)

    def end_height_mm(self, end: EndName) -> float:
        """From the nominal cathode edge to the cell's outermost face at that end."""
        if not self.spec.fittings:
            return self.spec.bead_out_mm
        if end == "bottom":
            return self.spec.bottom_gap_mm + self.spec.bottom_mm
        return float(self.top_profile()[:, 0].max()) + self.spec.wall_mm / 2

    def straight_out_mm(self, end: EndName) -> float:
        """Outward height at which the straight part ends."""
        if not self.spec.fittings:
            return math.inf
        return self.spec.bead_out_mm if end == "top" else self.end_height_mm("bottom") - self._corner_mm

    def flank_mm(self, end: EndName) -> float:
        """From there on, the height over which the outline leans less than 27 degrees (sin 27 = 0.447)."""
        if not self.spec.fittings:
            return 0.0
        bend = max(0.3 * self.spec.bead_depth_mm, 0.75 * self.spec.wall_mm)
        return 0.447 * (bend if end == "top" else self._corner_mm)

    @property
    def _corner_mm(self) -> float:
        """Outer radius of the bottom's corner; the bottom's thickness lies within it."""
        return max(0.6, 2.0 * self.spec.wall_mm, 1.3 * self.spec.bottom_mm)

    def top_profile(self) -> Floats:
        """Middle line of the sheet at the can's top, (n, 3): height outward, radius, thickness."""
        s = self.spec
        radius = self.outer_radius_mm - s.wall_mm / 2
        depth = s.bead_depth_mm
        bend, root = max(0.3 * depth, 0.75 * s.wall_mm), max(0.25 * depth, 0.6 * s.wall_mm)
        depth = max(depth, bend + root)
        quarter = np.linspace(0.0, np.pi / 2, 60)
        half = np.linspace(0.0, np.pi, 90)
        z = s.bead_out_mm
        throat = radius - depth + root
        top = z + 2 * bend + 2 * root
        rim = top + max(0.7 * depth, 2 * s.wall_mm)
        pieces = [
            _line((z - 2.0, radius), (z, radius)),
            np.c_[z + bend * np.sin(quarter), radius - bend + bend * np.cos(quarter)],
            _line((z + bend, radius - bend), (z + bend, throat)),
            np.c_[z + bend + root - root * np.cos(half), throat - root * np.sin(half)],
            _line((z + bend + 2 * root, throat), (z + bend + 2 * root, radius - bend)),
            np.c_[top - bend * np.cos(quarter), radius - bend + bend * np.sin(quarter)],
            _line((top, radius), (rim, radius)),
            np.c_[rim + bend * np.sin(quarter), radius - bend + bend * np.cos(quarter)],
            _line((rim + bend, radius - bend), (rim + bend, radius - depth)),
        ]
        path = np.vstack(pieces)
        return np.asarray(np.c_[path, np.full(len(path), s.wall_mm)], dtype=float)

    def bottom_profile(self) -> Floats:
        """Middle line of the sheet at the can's bottom, (n, 3) like :meth:`top_profile`."""
        s = self.spec
        face = self.end_height_mm("bottom")
        corner = self._corner_mm
        quarter = np.linspace(0.0, np.pi / 2, 90)
        # the outer surface is a quarter circle; the sheet thickens along it from wall to bottom
        sheet = s.wall_mm + (s.bottom_mm - s.wall_mm) * quarter / (np.pi / 2)
        arc_r = self.outer_radius_mm - corner + (corner - sheet / 2) * np.cos(quarter)
        arc_z = face - corner + (corner - sheet / 2) * np.sin(quarter)
        wall = _line((face - corner - 2.0, self.outer_radius_mm - s.wall_mm / 2), (arc_z[0], arc_r[0]))
        flat = _line((arc_z[-1], arc_r[-1]), (arc_z[-1], 0.0))
        return np.vstack(
            [
                np.c_[wall, np.full(len(wall), s.wall_mm)],
                np.c_[arc_z, arc_r, sheet],
                np.c_[flat, np.full(len(flat), s.bottom_mm)],
            ]
        )


def _line(start: tuple[float, float], stop: tuple[float, float], step: float = 0.01) -> Floats:
    """Points from start to stop, about ``step`` apart."""
    n = max(2, math.ceil(math.dist(start, stop) / step))
    return np.linspace(start, stop, n)


# --- how the cell stands in the volume -------------------------------------------------------------------


@dataclass(frozen=True)
class Pose:
    """Axis, size of the volume, and the heights along the axis of both ends' nominal cathode edges.

    Attributes
    ----------
    shape
        (nz, ny, nx) of the volume.
    axis
        Unit vector (x, y, z), z positive.
    origin_mm
        (x, y) of the axis at volume z = 0, from the first voxel's centre.
    edges
        End in view -> (s of its nominal cathode edge, +1 where outward means growing z).
    seen_mm
        First and last s of the volume on the axis.
    """

    shape: tuple[int, int, int]
    axis: tuple[float, float, float]
    origin_mm: tuple[float, float]
    edges: dict[EndName, tuple[float, int]]
    seen_mm: tuple[float, float]

    @cached_property
    def basis(self) -> Floats:
        """(3, 3): rows are the cell's x, y and z directions; the least turn that takes z to the axis."""
        ax, ay, az = self.axis
        k = 1.0 / (1.0 + az)
        return np.array(
            [[1 - k * ax * ax, -k * ax * ay, -ax], [-k * ax * ay, 1 - k * ay * ay, -ay], [ax, ay, az]]
        )


def pose(spec: PhantomSpec) -> Pose:
    """Lay the cell into a volume that holds the asked view."""
    can = Can(spec)
    dz, dy, dx = spec.voxel_size_mm
    tilt, towards = math.radians(spec.tilt_deg), math.radians(spec.tilt_direction_deg)
    axis = (math.sin(tilt) * math.cos(towards), math.sin(tilt) * math.sin(towards), math.cos(tilt))

    def beyond(end: EndName) -> float:
        return can.end_height_mm(end) + spec.border_mm if spec.beyond_mm is None else spec.beyond_mm

    roll = spec.roll_in_view_mm
    if spec.view == "both":
        roll = spec.height_mm - can.end_height_mm("top") - can.end_height_mm("bottom")
    views: dict[str, tuple[EndName, ...]] = {
        "top": ("top",),
        "bottom": ("bottom",),
        "both": ("top", "bottom"),
    }
    ends = views.get(spec.view, ())
    length = dz if spec.view == "slice" else roll + sum(beyond(e) for e in ends)
    nz = 1 if spec.view == "slice" else max(1, round(length / (dz * axis[2])))
    lean = 0.0 if spec.field_of_view_mm else nz * dz * math.tan(tilt)
    across = [
        (spec.field_of_view_mm or spec.outer_diameter_mm + 2 * (spec.border_mm + abs(o)) + lean)
        for o in spec.offset_mm
    ]
    ny, nx = max(8, round(across[1] / dy)), max(8, round(across[0] / dx))

    middle_z = (nz - 1) / 2 * dz
    x0 = (nx - 1) / 2 * dx + spec.offset_mm[0] - middle_z * axis[0] / axis[2]
    y0 = (ny - 1) / 2 * dy + spec.offset_mm[1] - middle_z * axis[1] / axis[2]
    first, last = -dz / 2 / axis[2], (nz - 0.5) * dz / axis[2]
    first_is_top = spec.slice_order == "top_to_bottom"
    edges: dict[EndName, tuple[float, int]] = {}
    for end in ends:
        lies_first = (end == "top") == first_is_top
        edges[end] = (first + beyond(end), -1) if lies_first else (last - beyond(end), +1)
    return Pose((nz, ny, nx), axis, (x0, y0), edges, (first, last))


OnTape = TypeVar("OnTape", Tab, NegativeOverhang, EdgeFault, MissingFoil, Gap, Curl)
"""What has its place at a turn and an angle."""


def turned(spec: PhantomSpec, angle_deg: float) -> PhantomSpec:
    """The same cell turned about its own axis by ``angle_deg``, every fault going with it."""
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    before = Winding(spec)
    after = Winding(replace(spec, start_deg=(spec.start_deg + angle_deg) % 360.0))

    def turned_too(there: OnTape) -> OnTape:
        turn = int(after.turn(before.phase(there.turn, there.theta_deg)))
        return replace(there, theta_deg=(there.theta_deg + angle_deg) % 360.0, turn=turn)

    x, y = spec.roll_offset_mm
    return replace(
        after.spec,
        roll_offset_mm=(c * x - s * y, s * x + c * y),
        ovality_deg=spec.ovality_deg + angle_deg,
        wall_variation_deg=spec.wall_variation_deg + angle_deg,
        overhang_wave_deg=spec.overhang_wave_deg + angle_deg,
        dents=tuple(replace(d, theta_deg=(d.theta_deg + angle_deg) % 360.0) for d in spec.dents),
        wall_patches=tuple(
            replace(p, theta_deg=(p.theta_deg + angle_deg) % 360.0) for p in spec.wall_patches
        ),
        buckle=spec.buckle and replace(spec.buckle, theta_deg=(spec.buckle.theta_deg + angle_deg) % 360.0),
        tabs=tuple(turned_too(t) for t in spec.tabs),
        negative_overhangs=tuple(turned_too(f) for f in spec.negative_overhangs),
        edge_faults=tuple(turned_too(f) for f in spec.edge_faults),
        missing_foils=tuple(turned_too(f) for f in spec.missing_foils),
        gaps=tuple(turned_too(f) for f in spec.gaps),
        curls=tuple(turned_too(f) for f in spec.curls),
        particles=tuple(replace(b, theta_deg=(b.theta_deg + angle_deg) % 360.0) for b in spec.particles),
    )


def dent_height(out_mm: float, end: EndName, place: Pose) -> float | None:
    """Height s of a dent; ``None`` when its end is out of view (a roll's dent counts from the middle)."""
    if end in place.edges:
        edge, outward = place.edges[end]
        return edge + outward * out_mm
    return None if place.edges else sum(place.seen_mm) / 2 + out_mm
