"""Half-planes of phantoms for training: no two alike, with labels that follow from what was drawn.

What a scan shows of one half-plane is drawn on that plane alone, in the scan's own voxels: by area, then
blur, artefacts, noise and bit depth, then sampled as :func:`xctrules.cylinder.half_planes.standard_planes`
samples a scan. That costs a thousandth of the whole volume, so that each stack of planes can be another cell,
seen by another scanner. Labels are drawings of the same cell with one part bright and all others dark
(:func:`drawn_labels`); no segmenter has a part in them.

Cells have more kinds of parts above their electrodes than any phantom: insulators, films, spot-welded tabs,
liquid. Shapes of all these kinds (:class:`_Clutter`) are put there at random and are background.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.cylinder.frame import CellFrame
from xctrules.cylinder.half_planes import INWARD_MM, ROWS, STANDARD_MM, Planes, levels
from xctrules.cylinder.phantom import (
    Buckle,
    CentrePin,
    Dent,
    Greys,
    Imaging,
    Layers,
    NegativeOverhang,
    PhantomSpec,
    Tab,
    preset,
)
from xctrules.cylinder.phantom.drawing import Drawing
from xctrules.cylinder.phantom.geometry import Pose, pose
from xctrules.cylinder.surfaces import FOIL_MM, LABELS

Image = NDArray[np.float32]
Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.uint8]

VERSION = 2
"""Goes up when the same seed and index no longer give the same planes."""

UNKNOWN = 255
"""Label of pixels of which nothing is asked."""

_NO_GREYS = {name: 0.0 for name in Greys.__dataclass_fields__}


@dataclass(frozen=True)
class PlaneStack:
    """Planes of one cell: ``grey`` (n, nh, nr) float32 on the standard scale, ``label`` of the same shape."""

    name: str
    grey: Image
    label: Labels


@dataclass(frozen=True)
class PhantomPlanes:
    """A seeded, endless list of stacks; each follows from the seed and its own index alone."""

    seed: int = 1
    planes: int = 6
    """Planes of each cell, a random angle apart."""

    def stack(self, index: int) -> PlaneStack:
        """Stack ``index``; the same for the same seed, whatever was asked before."""
        for attempt in range(100):
            rng = np.random.default_rng((self.seed, VERSION, index, attempt))
            try:
                return _stack(rng, f"phantom_{index:05d}", self.planes)
            except NotMeasurable:  # a cell of so little contrast that no step shows in it
                continue
        raise AssertionError("no phantom with a visible step in 100 draws")

    def __iter__(self) -> Iterator[PlaneStack]:
        index = 0
        while True:
            yield self.stack(index)
            index += 1


# --- labels ----------------------------------------------------------------------------------------------


def drawn_labels(
    spec: PhantomSpec,
    place: Pose,
    u_mm: NDArray[Any],
    v_mm: NDArray[Any],
    s_mm: NDArray[Any],
) -> Labels:
    """Label of pixels at points of a drawn cell: the class that fills at least half of the pixel.

    Parameters
    ----------
    place
        The pose in which the spec itself is drawn; that of a finer drawing would differ by rounding.
    u_mm, v_mm, s_mm
        Points as in :meth:`xctrules.cylinder.phantom.drawing.Drawing.at`.

    Returns
    -------
    uint8, of the points' shape
        Foil goes before cathode, the can before both. ``UNKNOWN`` where a foil lies against its tab.
    """
    from scipy.ndimage import binary_dilation

    # Thin separators make room for the wide foil; parts of the ends would only cost time.
    bare = replace(
        spec,
        voxel_size_mm=(STANDARD_MM,) * 3,
        tilt_deg=0.0,
        layers=replace(spec.layers, copper_mm=FOIL_MM, separator_mm=1e-3),
        fittings=False,
    )
    within_roll = replace(
        bare,
        overhang_mm=0.0,
        overhang_sd_mm=0.0,
        overhang_by_turn_mm=(),
        overhang_wave_mm=0.0,
        negative_overhangs=(),
    )

    def filled(spec: PhantomSpec, *parts: str) -> NDArray[np.bool_]:
        greys = Greys(**{**_NO_GREYS, **dict.fromkeys(parts, 1.0)})
        share = Drawing(replace(spec, greys=greys), place).at(u_mm, v_mm, s_mm)
        return np.asarray(share >= 0.5)

    label = np.zeros(np.shape(u_mm), np.uint8)
    label[filled(bare, "cathode_coating", "aluminium")] = LABELS["cathode"]
    foil = filled(bare, "copper")
    label[foil] = LABELS["overhang"]
    label[foil & filled(within_roll, "copper")] = LABELS["copper"]
    for tab in spec.tabs:
        strip = replace(bare, tabs=tuple(replace(t, grey=1.0 if t is tab else 0.0) for t in spec.tabs))
        metal = filled(strip)
        near = binary_dilation(metal, np.ones((1,) * (metal.ndim - 2) + (3, 3), dtype=bool))
        label[near & foil] = UNKNOWN
        label[metal] = LABELS["background"]
    can = replace(spec, voxel_size_mm=(STANDARD_MM,) * 3, tilt_deg=0.0)
    label[filled(can, "can")] = LABELS["can"]
    return label


def labels_in_frame(spec: PhantomSpec, frame: CellFrame, planes: Planes) -> Labels:
    """True labels (nt, nh, nr) of planes sampled from a drawn volume in a frame that was found in it.

    ``UNKNOWN`` in rows that the scan does not hold.
    """
    assert planes.end is not None
    place = pose(spec)
    z = (planes.end.z_mm + planes.end.outward * planes.height_mm)[None, :, None]
    index = frame.to_voxel(z, planes.theta_deg[:, None, None], planes.r_mm[None, None, :])
    at_z, at_y, at_x = (i * v for i, v in zip(index, spec.voxel_size_mm, strict=True))
    at = np.stack([at_x - place.origin_mm[0], at_y - place.origin_mm[1], at_z])
    u, v, s = np.tensordot(place.basis, at, axes=1)
    label = drawn_labels(spec, place, u, v, s)
    label[:, ~planes.seen] = UNKNOWN
    return label


# --- one stack -------------------------------------------------------------------------------------------


def _stack(rng: np.random.Generator, name: str, count: int) -> PlaneStack:
    spec = random_spec(rng)
    place = pose(spec)
    end = "top" if spec.view == "top" else "bottom"
    edge, outward = place.edges[end]  # type: ignore[index]
    # The rough edge that a frame finder gives is off by some tenths of a millimetre, its axis by a hundredth.
    edge += outward * float(np.clip(rng.normal(0.0, 0.12), -0.35, 0.35))
    off = rng.normal(0.0, 0.01, 2)
    theta = _angles(rng, spec, count)
    bend = _Bend.random(rng, spec)
    clutter = _Clutter(rng, spec, count)
    drawing = Drawing(spec, place)

    def points(theta_deg: float, height_mm: Floats, r_mm: Floats) -> tuple[Floats, Floats, Floats]:
        h, r = np.meshgrid(height_mm, r_mm, indexing="ij")
        r = bend.undone(h, r)
        t = math.radians(theta_deg)
        return r * math.cos(t) + off[0], r * math.sin(t) + off[1], edge + outward * h

    rows = (np.arange(ROWS) + 0.5) * STANDARD_MM - INWARD_MM
    columns = math.ceil((spec.outer_diameter_mm / 2 + 4 * STANDARD_MM) / STANDARD_MM / 8) * 8
    r = (np.arange(columns) + 0.5) * STANDARD_MM
    scanner = _PlaneScanner(rng, spec, rows, r)
    grey = np.stack(
        [
            scanner.expose(clutter.over(k, drawing.at(*points(t, *scanner.grid)), *scanner.grid))
            for k, t in enumerate(theta)
        ]
    )
    at = [np.stack(a) for a in zip(*(points(t, rows, r) for t in theta), strict=True)]
    label = drawn_labels(spec, place, *at)

    seen = _seen(rng, spec, rows)
    held = np.flatnonzero(seen)
    grey = grey[:, held[np.argmin(np.abs(np.arange(ROWS)[:, None] - held), axis=1)]]
    label[:, ~seen] = UNKNOWN
    void, roll = levels(grey[:, seen], np.asarray(rows[seen], dtype=np.float64))
    if roll - void < 0.1 * spec.greys.cathode_coating:
        raise NotMeasurable("the roll hardly stands out")
    grey = np.clip((grey - np.float32(void)) / np.float32(roll - void), -2, 6)
    return PlaneStack(name, np.ascontiguousarray(grey[:, ::-1]), np.ascontiguousarray(label[:, ::-1]))


def _angles(rng: np.random.Generator, spec: PhantomSpec, count: int) -> Floats:
    """Where the planes lie; with a tab, half of them cut it."""
    theta = rng.uniform(0, 360, count)
    for tab in spec.tabs:
        half = math.degrees(0.5 * tab.width_mm / (spec.core_radius_mm + spec.pitch_mm * tab.turn))
        near = tab.theta_deg + rng.uniform(-1.2, 1.2, count) * half
        theta = np.where(rng.random(count) < 0.5, near % 360, theta)
    return theta


def _seen(rng: np.random.Generator, spec: PhantomSpec, rows: Floats) -> NDArray[np.bool_]:
    """Rows in view: some scans are cut off a little above the tips, or show little of the roll."""
    tips = spec.overhang_mm + 0.5 * abs(spec.telescope_mm) + 0.5
    top = rng.uniform(tips, 2.4) if rng.random() < 0.35 and tips < 2.4 else math.inf
    bottom = -rng.uniform(0.7, INWARD_MM) if rng.random() < 0.2 else -math.inf
    return np.asarray((rows < top) & (rows > bottom))


class _PlaneScanner:
    """Turns a drawn plane into what a scan of this cell would give there, before the grey scale is set."""

    def __init__(self, rng: np.random.Generator, spec: PhantomSpec, rows: Floats, r: Floats) -> None:
        self.rng, self.spec = rng, spec
        dz, _, dx = spec.voxel_size_mm
        fine, split = max(1, round(STANDARD_MM / dz)), max(1, math.ceil(STANDARD_MM / dx))
        height = (np.arange(rows.size * fine) + 0.5) * (STANDARD_MM / fine) - INWARD_MM
        radius = (np.arange(r.size * split) + 0.5) * (STANDARD_MM / split)
        first = height[0] - (4 + rng.random()) * dz
        start = -(4 + rng.random()) * dx
        self.grid = (
            first + dz * np.arange(math.ceil((height[-1] - first) / dz) + 5),
            start + dx * np.arange(math.ceil((radius[-1] - start) / dx) + 5),
        )
        self._row = (height - first) / dz
        self._column = ((radius - start) / dx).astype(np.float32)
        self._shape = rows.size, r.size
        # Between the voxels' centres interpolation takes some noise away, more or less by the angle.
        self._off_grid = rng.uniform(0.75, 1.0)
        self._vignette = _smooth(rng, 12, 1.0) * rng.choice([0.0, 0.0, 0.02, 0.06])

    def expose(self, image: Image) -> Image:
        """(rows, columns) of the standard grid from a drawing on :attr:`grid`."""
        im, rng = self.spec.imaging, self.rng
        dz, _, dx = self.spec.voxel_size_mm
        cathode = self.spec.greys.cathode_coating
        grey = cv2.GaussianBlur(image, (0, 0), im.blur_px, sigmaY=im.blur_px * dx / dz)
        outer = self.spec.outer_diameter_mm / 2
        share = np.minimum(np.abs(self.grid[1]) / outer, 1.0)
        grey = grey * (
            1 - im.cupping * (1 - share**2) + np.interp(share, np.linspace(0, 1, 12), self._vignette)
        )
        column = im.rings * cathode * rng.standard_normal(self.grid[1].size)
        for _ in range(3 if im.streaks else 0):  # a streak crosses a half-plane at one radius
            at, width = rng.uniform(0, outer), rng.uniform(0.05, 0.4)
            away = (self.grid[1] - at) / width
            column += im.streaks * cathode * rng.choice([-1, 1]) * np.exp(-0.5 * away**2)
        grey = grey + column
        noise = rng.standard_normal(grey.shape)
        if im.noise_correlation_px:
            noise = cv2.GaussianBlur(noise, (0, 0), im.noise_correlation_px)
            noise /= noise.std()
        shown = (self.grid[1] < outer + 0.15) if im.clip_outside else np.ones(self.grid[1].size, dtype=bool)
        grey = (grey + noise * (im.noise * cathode * self._off_grid)) * shown
        if im.dtype == "uint8":
            grey = np.clip(np.rint(grey), 0, 255)
        return self._sample(grey.astype(np.float32))

    def _sample(self, grey: Image) -> Image:
        """Cubic along the radius, linear between slices, then averaged down, as whole scans are."""
        map_x, map_y = np.meshgrid(self._column, np.arange(grey.shape[0], dtype=np.float32))
        across = cv2.remap(grey, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        low = self._row.astype(np.intp)
        part = (self._row - low).astype(np.float32)[:, None]
        fine = across[low] * (1 - part) + across[low + 1] * part
        rows, columns = self._shape
        return np.asarray(cv2.resize(fine, (columns, rows), interpolation=cv2.INTER_AREA))


def _smooth(rng: np.random.Generator, n: int, sd: float) -> Floats:
    """A smooth random line of ``n`` values about 0."""
    x = np.linspace(0, 1, n)
    return np.asarray(
        sum(rng.normal(0, sd / k) * np.sin(np.pi * k * x + rng.uniform(0, 6.3)) for k in (1, 2, 3))
    )


@dataclass(frozen=True)
class _Bend:
    """Free foils that curve: material at radius r moves by ``curve_per_mm * free**2``, less near the can.

    It acts on the points at which grey and labels are drawn, so that both see the same.
    """

    start_mm: float
    curve_per_mm: float
    reach_mm: float

    @classmethod
    def random(cls, rng: np.random.Generator, spec: PhantomSpec) -> _Bend:
        curve = float(rng.uniform(-0.25, 0.25)) if rng.random() < 0.5 else 0.0
        return cls(float(rng.uniform(-0.1, 0.3)), curve, spec.outer_diameter_mm / 2 - spec.wall_mm)

    def undone(self, height_mm: Floats, r_mm: Floats) -> Floats:
        """Radius that what now lies at ``r_mm`` had before."""
        free = np.clip(height_mm - self.start_mm, 0.0, 1.2)
        inside = np.clip(1 - np.abs(r_mm / self.reach_mm) ** 6, 0.0, 1.0)
        return np.asarray(r_mm - self.curve_per_mm * free**2 * inside)


# --- what else lies above the electrodes -----------------------------------------------------------------


class _Clutter:
    """Shapes of no class above the foils, in the core and about the tips; alike on a cell's planes."""

    def __init__(self, rng: np.random.Generator, spec: PhantomSpec, planes: int) -> None:
        g = spec.greys
        self._inner = spec.outer_diameter_mm / 2 - spec.wall_mm
        self._core = spec.core_radius_mm
        tips = spec.overhang_mm
        plain = rng.random() < 0.2
        low, high = g.void, 1.3 * g.cathode_coating
        self._shapes: list[dict[str, Any]] = []
        for _ in range(0 if plain else rng.integers(0, 5)):  # insulator plates, cap parts
            bright = rng.random() < 0.15
            self._shapes.append(
                self._layer(rng, tips + rng.uniform(-0.05, 1.4), rng.uniform(0.08, 0.9))
                | {"grey": rng.uniform(1.0, 2.2) * g.cathode_coating if bright else rng.uniform(low, high)}
            )
        for _ in range(0 if plain else rng.integers(0, 7)):  # films and tabs laid over the end
            self._shapes.append(
                self._layer(rng, tips + rng.uniform(-0.15, 1.2), rng.uniform(0.015, 0.09))
                | {"grey": rng.uniform(low, high) * rng.choice([1.0, 1.0, 2.0])}
            )
        self._upright = [
            (
                rng.uniform(0.0, 1.1) * self._core,
                rng.uniform(0.01, 0.06),
                rng.uniform(-0.3, 1.4),
                rng.uniform(low, high),
            )
            for _ in range(0 if plain else rng.integers(0, 4))
        ]
        # Separators stand above the electrodes and scatter a little, brighter than what lies above them.
        self._haze = (rng.uniform(0.0, 0.35) * (g.anode_coating - g.void), tips + rng.uniform(-0.3, 0.4))
        self._wander = rng.normal(0.0, 0.05, (planes, len(self._shapes)))
        self._patches = [
            _patch(rng, rng.uniform(-0.3, 0.3) * g.cathode_coating) for _ in range(rng.integers(0, 4))
        ]
        self._tips, self._void, self._can = tips, g.void, g.can

    def _layer(self, rng: np.random.Generator, height: float, thick: float) -> dict[str, Any]:
        """A layer about ``height``, over part of the radius, sloped and curved."""
        a, b = np.sort(rng.uniform(-0.4, 1.4, 2)) * self._inner
        return {
            "height": height,
            "thick": thick,
            "from": a,
            "to": b,
            "line": _smooth(rng, 24, rng.choice([0.02, 0.1, 0.25])),
            "cover": rng.choice([1.0, 1.0, rng.uniform(0.3, 1.0)]),
        }

    def over(self, plane: int, image: Image, height_mm: Floats, r_mm: Floats) -> Image:
        """The drawing of one plane with the clutter on it."""
        h, r = height_mm[:, None], r_mm[None, :]
        out = image.copy()
        not_can = np.clip(2 - 4 * (image - self._void) / (self._can - self._void), 0, 1)
        amount, top = self._haze
        in_roll = (r > self._core) & (r < self._inner)
        out += amount * np.clip((top - h) / 0.2 + 0.5, 0, 1) * np.clip(h / 0.2 + 0.5, 0, 1) * in_roll
        for shift, s in zip(self._wander[plane], self._shapes, strict=True):
            line = np.interp(r_mm / self._inner, np.linspace(0, 1, 24), s["line"])[None, :]
            middle = s["height"] + s["thick"] / 2 + np.maximum(line, -0.1) + shift
            inside = np.clip((s["thick"] / 2 - np.abs(h - middle)) / 0.02 + 0.5, 0, 1)
            inside = inside * ((r > s["from"]) & (r < s["to"]) & (r < self._inner)) * s["cover"]
            # It takes the void's place; a foil that reaches into it stands out of it as much as before.
            out += inside * not_can * (s["grey"] - self._void)
        for at, half, top_mm, grey in self._upright:
            inside = (np.abs(r - at) < half) & (h < self._tips + top_mm)
            out = np.where(inside & (out < grey) & (not_can > 0), grey, out)
        for patch in self._patches:
            middle_h, middle_r, size_h, size_r, value = patch
            away = ((h - self._tips - middle_h) / size_h) ** 2 + ((r - middle_r * self._inner) / size_r) ** 2
            out += value * np.exp(-0.5 * away)
        # The can stays as it was drawn, whatever lies against it.
        return np.asarray(np.where(r < self._inner, out, image), dtype=np.float32)


def _patch(rng: np.random.Generator, grey: float) -> tuple[float, float, float, float, float]:
    return (
        float(rng.uniform(0.1, 1.5)),
        float(rng.uniform(0, 1)),
        float(rng.uniform(0.1, 0.4)),
        float(rng.uniform(0.2, 1.5)),
        grey,
    )


# --- cells -----------------------------------------------------------------------------------------------


def _sometimes(rng: np.random.Generator, share: float, low: float, high: float) -> float:
    """Zero, but in a ``share`` of cases a value from ``low`` to ``high``."""
    value = float(rng.uniform(low, high))
    return value if rng.random() < share else 0.0


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def random_spec(rng: np.random.Generator) -> PhantomSpec:
    """A cell and a scanner out of a range wider than is met: what a network has seen, it need not guess."""
    pitch = float(rng.uniform(0.30, 0.46))
    large = rng.random() < 0.2
    turns = float(rng.uniform(14, 24) if large else rng.uniform(5.5, 10))
    core = float(rng.uniform(0.6, 2.2))
    wall = float(rng.uniform(0.14, 0.45))
    gap = float(rng.uniform(0.08, 0.6))
    greys = _greys(rng)
    voxel = _log_uniform(rng, 0.015, 0.060)
    voxel_z = min(voxel * float(rng.choice([1.0, 1.0, 1.5, 2.0, 2.0])), 0.09)
    overhang = float(rng.uniform(0.1, 1.2))
    end: Any = rng.choice(["top", "bottom"])
    strong = rng.random() < 0.25
    lean = rng.normal(0, 14.0 if strong else 5.0, 2)
    lead_in, lead_out = (float(rng.choice([rng.uniform(0.2, 1.2), rng.uniform(0.2, 2.2)])) for _ in range(2))
    layers = _layers(rng, pitch)
    spec = preset(
        "small",
        outer_diameter_mm=2 * (core + pitch * turns + gap + wall),
        wall_mm=wall,
        height_mm=40.0,
        view=str(end),
        voxel_size_mm=(voxel_z, voxel, voxel),
        turns=turns,
        pitch_mm=pitch,
        core_radius_mm=core,
        handedness=int(rng.choice([1, -1])),
        start_deg=float(rng.uniform(0, 360)),
        lead_in_turns=lead_in,
        lead_out_turns=lead_out,
        layers=layers,
        roll_offset_mm=(_sometimes(rng, 0.3, -0.07, 0.07), _sometimes(rng, 0.3, -0.07, 0.07)),
        overhang_mm=overhang,
        overhang_sd_mm=float(rng.uniform(0.0, 0.12)) * min(1.0, 2 * overhang),
        overhang_by_turn_mm=_by_turn(rng, overhang, turns),
        overhang_wave_mm=_sometimes(rng, 0.3, 0.0, 0.15),
        anode_margin_mm=_sometimes(rng, 0.85, 0.1, 1.5),
        telescope_mm=float(rng.uniform(-0.5, 0.5)) * min(1.0, turns / 14),
        edge_wave_mm=float(rng.uniform(0.0, 0.05)),
        deflection_inner_deg=float(np.clip(lean[0], -30, 30)),
        deflection_outer_deg=float(np.clip(lean[1], -30, 30)),
        deflection_sd_deg=float(rng.uniform(0.5, 4.0)),
        negative_overhangs=_negative(rng, end, turns),
        ovality_mm=_sometimes(rng, 0.3, 0.0, 0.1),
        dents=_dents(rng, end),
        fittings=bool(rng.random() < 0.8),
        bead_out_mm=overhang + float(rng.uniform(-0.1, 1.0)),
        bead_depth_mm=float(rng.uniform(0.5, 1.8)),
        bottom_gap_mm=overhang + float(rng.uniform(0.3, 1.2)),
        bottom_mm=float(rng.uniform(0.2, 0.5)),
        sleeve_mm=_sometimes(rng, 0.3, 0.05, 0.12),
        greys=greys,
        imaging=_imaging(rng),
        seed=int(rng.integers(1, 1 << 31)),
    )
    if rng.random() < 0.12:
        spec = replace(spec, buckle=Buckle(float(rng.uniform(0.03, 0.3)), float(rng.uniform(0, 360))))
    if rng.random() < 0.2:
        spec = replace(
            spec, pin=CentrePin(2 * core * float(rng.uniform(0.5, 0.85)), 0.2, float(rng.uniform(-1, 1)))
        )
    if rng.random() < 0.25:
        tab = Tab(
            turn=int(rng.integers(1, int(turns))),
            theta_deg=float(rng.uniform(0, 360)),
            electrode="anode" if rng.random() < 0.5 else "cathode",
            end=end,
            width_mm=float(rng.uniform(1.5, 4.0)),
            beyond_mm=float(rng.uniform(0.5, 3.0)),
            thickness_mm=float(rng.uniform(0.06, 0.14)),
        )
        # A tab lifts the turns outside it: they need the room.
        spec = replace(spec, tabs=(tab,), outer_diameter_mm=spec.outer_diameter_mm + 0.3)
    return spec


def _layers(rng: np.random.Generator, pitch: float) -> Layers:
    """Layers that leave an anode coating; the labelled foil must clear the cathode's face."""
    cathode = pitch * float(rng.uniform(0.34, 0.5))
    aluminium = float(rng.uniform(0.008, 0.018))
    separator = float(rng.uniform(0.008, 0.020))
    coating = min(cathode, pitch - FOIL_MM - 0.02 - 2 * separator) - aluminium
    return Layers(float(rng.uniform(0.006, 0.016)), separator, coating / 2, aluminium)


def _greys(rng: np.random.Generator) -> Greys:
    """Materials' greys: the cathode stays 78, and all else moves about the published ones."""
    cathode = 78.0
    anode = cathode - 50.0 * float(rng.uniform(0.3, 1.2))
    void = float(rng.uniform(0.05, 1.2)) * anode * float(rng.choice([1.0, 0.4]))
    return Greys(
        outside=float(rng.choice([0.0, void * rng.uniform(0.3, 1.2)])),
        void=void,
        electrolyte=void if rng.random() < 0.4 else float(rng.uniform(0.1, 1.1)) * anode,
        separator=anode + float(rng.uniform(-12, 8)),
        anode_coating=anode,
        copper=anode + 207.0 * float(rng.uniform(0.35, 1.3)),
        cathode_coating=cathode,
        aluminium=cathode + float(rng.uniform(-30, 10)),
        can=cathode * float(rng.uniform(1.5, 4.5)),
        cap=cathode * float(rng.uniform(0.5, 3.0)),
        gasket=float(rng.uniform(5, 60)),
        tab=float(rng.choice([rng.uniform(20, 70), rng.uniform(40, 240)])),  # aluminium, nickel or copper
        pin=float(rng.uniform(90, 260)),
        sleeve=float(rng.uniform(5, 40)),
    )


def _imaging(rng: np.random.Generator) -> Imaging:
    return Imaging(
        blur_px=float(rng.uniform(0.6, 1.8)),
        noise=_log_uniform(rng, 0.005, 0.12),
        noise_correlation_px=float(rng.choice([0.0, 0.5, 0.6, 0.8, 1.0])),
        rings=_sometimes(rng, 0.35, 0.002, 0.03),
        cupping=_sometimes(rng, 0.4, 0.02, 0.25),
        streaks=_sometimes(rng, 0.3, 0.01, 0.1),
        dtype=str(rng.choice(["uint8", "uint16", "float32"])),  # type: ignore[arg-type]
        clip_outside=bool(rng.random() < 0.5),
    )


def _by_turn(rng: np.random.Generator, overhang: float, turns: float) -> tuple[float, ...]:
    if rng.random() < 0.7:
        return ()
    change = rng.normal(0, 0.12 * min(1.0, 2 * overhang), math.ceil(turns) + 2)
    return tuple(float(v) for v in np.clip(overhang + change, 0.03, 1.5))


def _negative(rng: np.random.Generator, end: Any, turns: float) -> tuple[NegativeOverhang, ...]:
    count = int(rng.integers(1, 5)) if rng.random() < 0.35 else 0
    return tuple(
        NegativeOverhang(
            end=end,
            turn=int(rng.integers(0, max(1, int(turns)))),
            theta_deg=float(rng.uniform(0, 360)),
            width_deg=float(rng.uniform(20, 200)),
            length_mm=float(rng.uniform(-0.6, 0.15)),
            shoulder_deg=float(rng.uniform(2, 20)),
        )
        for _ in range(count)
    )


def _dents(rng: np.random.Generator, end: Any) -> Sequence[Any]:
    if rng.random() < 0.85:
        return ()
    return (
        Dent(
            theta_deg=float(rng.uniform(0, 360)),
            depth_mm=float(rng.uniform(0.02, 0.12)),
            width_mm=6.0,
            out_mm=float(rng.uniform(-1.5, 0)),
            end=end,
        ),
    )
