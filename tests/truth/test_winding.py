"""The winding against rolls drawn here, by area, from formulas of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from xctrules_segmentation.roll import facing_cathodes, trace_from_labels, trace_with_cathodes
from xctrules_winding.metric import WindingMetric

from xctrules.core.errors import NotMeasurable
from xctrules.core.measurement import Measurement, Scale
from xctrules.core.slices import ArraySlices, Scan
from xctrules.cylinder.frame import CellFrame
from xctrules.cylinder.phantom import CentrePin, Gap, Imaging, PhantomSpec, small
from xctrules.cylinder.phantom import draw as draw_cell
from xctrules.cylinder.surfaces import (
    CanSurface,
    CylinderCell,
    CylinderSettings,
    FoilTrace,
    Segmentation,
)
from xctrules.engine.testing import phantom_cell

Floats = NDArray[np.float64]

VOXEL_MM = 0.034
SIZE = 400
CENTRE_PX = (199.3, 201.6)
CAN_PX = 180.0  # outer radius of the can
WALL_PX = 6.5
GREYS = {"void": 12.0, "dark": 38.0, "copper": 240.0, "cathode": 76.0, "can": 220.0}


@dataclass(frozen=True)
class Roll:
    """A drawn roll; lengths in voxels, angles in degrees, the foil's angle in turns from its inner end."""

    turns: float = 11.0
    pitch: float = 11.3
    core: float = 32.0
    handedness: int = 1
    start_deg: float = 30.0
    centre: tuple[float, float] = (0.0, 0.0)
    lead_in: float = 1.0
    lead_out: float = 1.1
    cathode_thickness: float = 4.6
    copper_thickness: float = 0.3
    buckle: float = 0.0
    buckle_deg: float = 200.0
    buckle_width_deg: float = 90.0
    buckle_decay: float = 30.0
    lift: float = 0.0
    """Turns outside the fourth are pushed outward by this at 100 degrees: a tab."""

    def foil(self, phase: Floats) -> Floats:
        """Radius about the roll's centre, undisturbed."""
        return self.core + self.pitch * phase

    def push(self, radius: Floats, theta_deg: Floats) -> Floats:
        """How far material at an undisturbed radius is pushed outward."""
        away = (theta_deg - self.buckle_deg + 180.0) % 360.0 - 180.0
        near = np.abs(away) < self.buckle_width_deg / 2
        bump = np.where(near, np.cos(np.pi * away / self.buckle_width_deg) ** 2, 0.0)
        inward = self.buckle * bump * np.exp(-np.maximum(radius - self.core, 0.0) / self.buckle_decay)
        away = (theta_deg - 100.0 + 180.0) % 360.0 - 180.0
        bump = np.where(np.abs(away) < 60.0, np.cos(np.pi * away / 120.0) ** 2, 0.0)
        seat = self.foil(4.25 + self.handedness * away / 360.0)
        outward = self.lift * bump * (radius > seat)
        return np.asarray(outward - inward)

    def phase(self, turn: Floats, theta_deg: Floats) -> Floats:
        """Angle from the inner end, in turns, at a turn and angle counted as a FoilTrace does."""
        away = self.handedness * (theta_deg - self.start_deg) / 360.0
        return np.asarray(turn + away)

    def radius_about_axis(self, phase: Floats) -> tuple[Floats, Floats]:
        """(angle in degrees, radius) about the frame's axis of places on the foil."""
        theta = self.start_deg + self.handedness * 360.0 * phase
        nominal = self.foil(phase)
        r = nominal + self.push(nominal, theta)
        x = r * np.cos(np.deg2rad(theta)) + self.centre[0]
        y = r * np.sin(np.deg2rad(theta)) + self.centre[1]
        return np.rad2deg(np.arctan2(y, x)) % 360.0, np.hypot(x, y)


def draw(
    roll: Roll,
    *,
    slices: int = 9,
    blur: float = 1.0,
    noise: float = 0.0,
    greys: dict[str, float] = GREYS,
    missing: tuple[float, float] | None = None,
) -> NDArray[np.float32]:
    """(slices, SIZE, SIZE): the drawn roll, blurred and with white noise."""
    from scipy.ndimage import gaussian_filter

    volume = np.repeat(
        gaussian_filter(voxels(roll, tuple(greys.items()), missing), blur)[None], slices, axis=0
    )
    return volume + np.float32(noise) * np.random.default_rng(7).standard_normal(
        volume.shape, dtype=np.float32
    )


def layers(roll: Roll, fine: int) -> dict[str, NDArray[np.float32]]:
    """For each point of an image ``fine`` times finer than the voxels: distances from axis, foil and coating,
    and the phases
    of foil and coating there."""
    n = SIZE * fine
    axis = ((np.arange(n) + 0.5) / fine - 0.5).astype(np.float32)
    x, y = np.meshgrid(axis - np.float32(CENTRE_PX[0]), axis - np.float32(CENTRE_PX[1]))
    from_axis = np.hypot(x, y)
    x -= np.float32(roll.centre[0])
    y -= np.float32(roll.centre[1])
    r = np.hypot(x, y)
    theta = np.rad2deg(np.arctan2(y, x))
    nominal = r
    if roll.buckle or roll.lift:
        for _ in range(4):  # undo the push: find the undisturbed radius of what lies here
            nominal = (r - roll.push(nominal, theta)).astype(np.float32)
    turn = (np.float32(roll.handedness / 360.0) * (theta - np.float32(roll.start_deg))) % np.float32(1.0)
    along = (nominal - np.float32(roll.core)) / np.float32(roll.pitch) - turn
    foil, coat = np.round(along), np.floor(along)
    return {
        "from_axis": from_axis,
        "nominal": nominal,
        "foil": np.abs(along - foil) * np.float32(roll.pitch),
        "phase": foil + turn,
        "coat": np.abs(along - coat - np.float32(0.5)) * np.float32(roll.pitch),
        "coated": coat + turn,
    }


@cache
def voxels(
    roll: Roll, greys: tuple[tuple[str, float], ...], missing: tuple[float, float] | None
) -> NDArray[np.float32]:
    """(SIZE, SIZE): each voxel the mean grey of 4 x 4 points."""
    grey, at = dict(greys), layers(roll, 4)
    phase, coated = at["phase"], at["coated"]
    copper = (at["foil"] < roll.copper_thickness / 2) & (phase >= 0) & (phase <= roll.turns)
    if missing is not None:
        copper &= ~((phase > missing[0]) & (phase < missing[1]))
    cathode = at["coat"] < roll.cathode_thickness / 2
    cathode &= (coated >= roll.lead_in) & (coated <= roll.turns - roll.lead_out)
    image = np.full(phase.shape, grey["void"], dtype=np.float32)
    outside = roll.core + roll.pitch * (roll.turns + 0.4)
    image[(phase > -0.4) & (at["nominal"] < outside)] = grey["dark"]
    image[cathode] = grey["cathode"]
    image[copper] = grey["copper"]
    image[(at["from_axis"] < CAN_PX) & (at["from_axis"] > CAN_PX - WALL_PX)] = grey["can"]
    return image.reshape(SIZE, 4, SIZE, 4).mean(axis=(1, 3))


def copper_labels(roll: Roll) -> NDArray[np.uint8]:
    """(9, SIZE, SIZE): 3 where a voxel's centre lies within one voxel of the foil's centre, else 0."""
    at = layers(roll, 1)
    copper = (at["foil"] < 1.0) & (at["phase"] >= 0) & (at["phase"] <= roll.turns)
    return np.repeat(np.where(copper, 3, 0).astype(np.uint8)[None], 9, axis=0)


def make_cell(volume: NDArray[np.float32], *, mask_of: str | None = None, angles: int = 360) -> CylinderCell:
    nz = volume.shape[0]
    outer = None if mask_of == "electrode" else CAN_PX * VOXEL_MM
    span = (0.0, (nz - 1) * VOXEL_MM)
    frame = CellFrame(
        origin_mm=(CENTRE_PX[0] * VOXEL_MM, CENTRE_PX[1] * VOXEL_MM), axis=(0.0, 0.0, 1.0),
        voxel_mm=(VOXEL_MM,) * 3, shape=volume.shape, outer_radius_mm=outer,
        straight_mm=None if outer is None else span, roll_mm=span,
    )  # fmt: skip
    scan = Scan(Path("drawn"), ArraySlices(volume), (VOXEL_MM,) * 3, {})
    return CylinderCell(scan, frame, Scale(0.001, True), CylinderSettings(angles=angles, mask_of=mask_of), {})  # type: ignore[arg-type]


def drawn_can() -> CanSurface:
    z, theta = np.array([0.0, 0.034]), np.arange(0.0, 360.0, 4.0)
    outer = np.full((2, theta.size), CAN_PX * VOXEL_MM)
    inner = outer - WALL_PX * VOXEL_MM
    return CanSurface(z, theta, outer, inner, np.ones(2, dtype=bool), 0.0005, 0.0005, 0.03)


def measure(
    cell: CylinderCell, foil: FoilTrace | None = None, can: CanSurface | None = None
) -> dict[str, Measurement]:
    foil = foil or trace_with_cathodes(cell)[0]
    found = replace(cell, segmentation=Segmentation(segmenter="drawn", can=can, foil=foil))
    return {m.name: m for m in WindingMetric().measure(found).measurements}


def foil_error_px(foil: FoilTrace, roll: Roll) -> Floats:
    """Located radius less the drawn one, in voxels, (nturns, nt), matched to the nearest drawn turn."""
    theta, radius = roll.radius_about_axis(np.arange(0.0, roll.turns, 1 / 3600))
    located = np.isfinite(foil.radius_mm).any(axis=0)
    mean = np.full(located.shape, np.nan)
    mean[located] = np.nanmedian(foil.radius_mm[:, located], axis=0) / VOXEL_MM
    error = np.full(mean.shape, np.nan)
    for j, at in enumerate(foil.theta_deg):
        drawn = radius[np.abs((theta - at + 180.0) % 360.0 - 180.0) < 0.06]
        nearest = np.abs(mean[:, j, None] - drawn).argmin(axis=1)
        error[:, j] = mean[:, j] - drawn[nearest]
    return error


ROLLS: dict[str, Roll] = {
    "plain": Roll(),
    "left-handed": Roll(handedness=-1, start_deg=275.0),
    "off-centre": Roll(centre=(2.3, -1.7)),
    "buckled": Roll(buckle=4.0),
    "tab": Roll(lift=5.0, handedness=-1),
    "short lead": Roll(lead_in=0.3, lead_out=0.3, turns=10.0),
}


@pytest.mark.parametrize("name", ROLLS)
def test_foil_is_followed_on_its_own_line_from_end_to_end(name: str) -> None:
    roll = ROLLS[name]
    foil, _ = trace_with_cathodes(make_cell(draw(roll, noise=3.0)))
    error = foil_error_px(foil, roll)
    assert foil.handedness == roll.handedness
    # A third of a pitch away lies the cathode; the drawn line itself must be met to 0.15 voxel on average:
    # the blurred slabs on either side leave about a twentieth of a voxel.
    inner = error[2:-2]  # with a cathode on both sides
    assert np.nanpercentile(np.abs(inner), 98) < 0.5
    assert abs(np.nanmedian(inner)) < 0.03
    assert np.nanstd(inner) < 0.15
    # With a cathode on one side only its blurred edge draws the line by up to a seventh of a voxel, more at
    # the very end.
    assert np.nanpercentile(np.abs(error), 97) < 0.7
    # Both ends: the foil's length in turns, to 8 degrees at either end (the blurred end is 2 voxels wide: 4
    # degrees inside).
    seen = np.isfinite(error).sum() / error.shape[1]
    assert seen == pytest.approx(roll.turns, abs=16 / 360)


@pytest.mark.parametrize("name", ROLLS)
def test_turns_and_pitch(name: str) -> None:
    roll = ROLLS[name]
    got = measure(make_cell(draw(roll, noise=3.0)))
    assert got["winding.turns"].value == roll.turns
    pitch = got["winding.pitch"]
    # 0.15 % where nothing disturbs the spiral, else the promised 0.5 %; and never beyond what its uncertainty
    # covers.
    disturbed = roll.buckle or roll.lift
    assert pitch.value == pytest.approx(roll.pitch * VOXEL_MM, rel=0.005 if disturbed else 0.0015)
    assert pitch.expanded_uncertainty is not None
    assert abs(pitch.value - roll.pitch * VOXEL_MM) < 2 * pitch.expanded_uncertainty


#: What blurs the foil into the cathode's flank, or leaves it alone: (roll, blur in voxels, noise).
HARD_ROLLS: dict[str, tuple[Roll, float, float]] = {
    "blur": (Roll(), 1.35, 4.0),
    "blur, left-handed, off-centre": (Roll(handedness=-1, centre=(2.3, -1.7)), 1.35, 4.0),
    "more blur": (Roll(), 1.6, 2.0),
    "coarse voxels": (Roll(pitch=7.0, cathode_thickness=2.9, copper_thickness=0.2, turns=16.0), 1.0, 2.0),
    "no lead": (Roll(lead_in=0.0, lead_out=0.0, handedness=-1, start_deg=200.0), 1.2, 3.0),
    "long lead": (Roll(lead_in=1.5, lead_out=1.7), 1.2, 3.0),
}


@pytest.mark.parametrize("name", HARD_ROLLS)
def test_every_turn_is_found_where_blur_joins_foil_and_cathode(name: str) -> None:
    roll, blur, noise = HARD_ROLLS[name]
    cell = make_cell(draw(roll, blur=blur, noise=noise))
    foil, _ = trace_with_cathodes(cell)
    got = measure(cell, foil, drawn_can())
    assert got["winding.turns"].value == roll.turns
    # Eight degrees at either end.
    assert got["winding.revolutions"].value == pytest.approx(roll.turns, abs=16 / 360)
    error = foil_error_px(foil, roll)
    # On the foil everywhere, the lone turns too: the cathode's middle is half a pitch away.
    assert np.nanpercentile(np.abs(error), 99) < 0.12 * roll.pitch
    assert got["winding.pitch"].value == pytest.approx(roll.pitch * VOXEL_MM, rel=0.0015)


@pytest.mark.parametrize("blur", [0.8, 1.1])
@pytest.mark.parametrize("centre", [(0.0, 0.0), (2.3, -1.7)])
def test_a_sound_roll_lies_within_its_uncertainties(blur: float, centre: tuple[float, float]) -> None:
    # A foil of 0.3 voxel is drawn here by one or two of the four points to a voxel, which moves it by itself.
    roll = Roll(centre=centre, copper_thickness=1.0)
    greys = {**GREYS, "copper": 100.0}
    got = measure(make_cell(draw(roll, blur=blur, noise=3.0, greys=greys)), can=drawn_can())
    phase = np.arange(roll.turns - 1.0, roll.turns, 0.001)
    gap = CAN_PX - WALL_PX - roll.radius_about_axis(phase)[1]
    drawn_px = {
        "pitch": roll.pitch, "max_abs_error": 0.0, "rms_error": 0.0, "spiral_rms_error": 0.0,
        "core_collapse": 0.0, "concentricity": float(np.hypot(*centre)),
        "can_gap.min": float(gap.min()), "can_gap.mean": float(gap.mean()),
    }  # fmt: skip
    # No wider than would make a limit of one voxel not worth judging.
    for name, drawn in drawn_px.items():
        found = got[f"winding.{name}"]
        assert found.value is not None and found.expanded_uncertainty is not None
        width = found.expanded_uncertainty / VOXEL_MM
        assert abs(found.value / VOXEL_MM - drawn) <= width, name
        assert width < 0.8, name


def test_sound_roll_shows_no_error_and_no_collapse() -> None:
    got = measure(make_cell(draw(Roll(), noise=3.0)))
    assert got["winding.rms_error"].value < 0.1 * VOXEL_MM
    assert got["winding.spiral_rms_error"].value < 0.15 * VOXEL_MM
    assert got["winding.max_abs_error"].value < 0.5 * VOXEL_MM
    assert got["winding.core_collapse"].value < 0.75 * VOXEL_MM


COARSE = (0.058, 0.058, 0.058)
CELLS: dict[str, PhantomSpec] = {
    # At both ends of a tilted scan some slices show only one side of the cell.
    "tilted": small(view="roll", roll_in_view_mm=1.0, tilt_deg=2.5),
    "pin": small(view="roll", roll_in_view_mm=0.5, turns=6.8, pin=CentrePin(outer_diameter_mm=1.2)),
    "wide can": small(view="roll", roll_in_view_mm=0.5, turns=5.6),
    "coarse": small(
        view="roll",
        roll_in_view_mm=0.6,
        turns=7.2,
        voxel_size_mm=COARSE,
        imaging=Imaging(blur_px=1.2, noise=0.03),
    ),
}


@pytest.mark.parametrize("name", CELLS)
def test_sound_cells_show_their_turns_and_no_collapse(name: str) -> None:
    """What is no foil (a pin, a void, the can's flank, the dark beside a cut slice) is not taken for one."""
    spec = CELLS[name]
    cell, _ = phantom_cell(draw_cell(spec), segmented=False, angles=72)
    foil, _ = trace_with_cathodes(cell)
    got = measure(cell, foil)
    voxel = spec.voxel_size_mm[1]
    # Two columns at either end, and ten degrees where noise hides an end.
    assert got["winding.revolutions"].value == pytest.approx(spec.turns, abs=0.05)
    assert got["winding.pitch"].value == pytest.approx(spec.pitch_mm, rel=0.005)
    # A foil thinner than a voxel seems to swing by a quarter of one; coarse and noisy by up to one.
    limit = 1.0 if name == "coarse" else 0.5
    for quantity in ("winding.core_collapse", "winding.max_abs_error"):
        value = got[quantity].value
        assert value is not None and value < limit * voxel, quantity
    # Noise as slow as a bend of the foil stays in the largest value: a quarter of a voxel.
    apart = got["winding.delamination.largest"]
    assert apart.value is not None and apart.value < (apart.expanded_uncertainty or 0.0) + 0.25 * voxel


@pytest.mark.parametrize("depth", [1.5, 3.0, 6.0])
@pytest.mark.parametrize("handedness", [1, -1])
def test_core_collapse_has_the_depth_and_place_that_were_drawn(depth: float, handedness: int) -> None:
    roll = Roll(buckle=depth, handedness=handedness, start_deg=300.0)
    got = measure(make_cell(draw(roll, noise=3.0)))["winding.core_collapse"]
    phase = np.arange(0.0, 2.0, 0.001)
    theta = roll.start_deg + handedness * 360.0 * phase
    deepest = float((-roll.push(roll.foil(phase), theta)).max())
    # Half a voxel: the foil's bend is averaged over 3 degrees and over the blur.
    assert got.value == pytest.approx(deepest * VOXEL_MM, abs=0.5 * VOXEL_MM)
    assert got.worst_at is not None
    # A raised cosine 90 degrees wide is flat at its top: at 20 degrees it still has six tenths of its depth.
    assert abs((got.worst_at["theta_deg"] - roll.buckle_deg + 180) % 360 - 180) < 20


@pytest.mark.parametrize(
    ("gap_mm", "outside"), [(0.11, "anode"), (0.11, "cathode"), (0.32, "anode"), (0.32, "separator")]
)
def test_layers_apart_are_stated_as_far_as_they_were_drawn(gap_mm: float, outside: Any) -> None:
    gap = Gap(turn=3, theta_deg=200.0, width_deg=120.0, gap_mm=gap_mm, outside=outside)
    wide = small().outer_diameter_mm + 2 * gap_mm
    spec = small(view="roll", roll_in_view_mm=0.5, turns=7.3, gaps=(gap,), outer_diameter_mm=wide)
    cell, _ = phantom_cell(draw_cell(spec), segmented=False, angles=180)
    found = measure(cell, trace_with_cathodes(cell)[0])["winding.delamination.largest"]
    # Averaged over 3 degrees of a raised cosine, beside the pattern of voxels along a thin foil.
    assert found.value == pytest.approx(gap_mm, abs=0.5 * spec.voxel_size_mm[1])
    assert abs(found.value - gap_mm) <= (found.expanded_uncertainty or 0.0)
    assert found.worst_at is not None
    assert abs((found.worst_at["theta_deg"] - 200.0 + 180) % 360 - 180) < 25
    assert abs(found.worst_at["turn"] - 3) <= 1


def test_a_coating_off_its_foil_is_not_followed_in_silence() -> None:
    """Half of a cathode between two gaps looks like a foil, and lies nearer to the next turn than it."""
    gap = Gap(turn=3, theta_deg=200.0, width_deg=120.0, gap_mm=0.32, outside="cathode")
    wide = small().outer_diameter_mm + 2 * gap.gap_mm
    spec = small(view="roll", roll_in_view_mm=0.5, turns=7.3, gaps=(gap,), outer_diameter_mm=wide)
    cell, _ = phantom_cell(draw_cell(spec), angles=180)
    found = {m.name: m for m in WindingMetric().measure(cell).measurements}
    apart, left = found["winding.delamination.largest"], found["winding.completeness"]
    if apart.value is None:
        assert left.value is not None and left.value > 1.0
        assert left.worst_at is not None
        assert abs((left.worst_at["theta_deg"] - 200.0 + 180) % 360 - 180) < 30
    else:
        assert abs(apart.value - gap.gap_mm) <= (apart.expanded_uncertainty or 0.0)


def test_largest_error_is_the_drawn_one_where_it_was_drawn() -> None:
    roll = Roll(lift=4.0, buckle=0.0)
    got = measure(make_cell(draw(roll, noise=3.0)))["winding.max_abs_error"]
    # The line through the disturbed turn takes up an eighth of a bump over a third of it; 0.1 voxel of noise.
    assert got.value == pytest.approx(4.0 * VOXEL_MM, abs=0.6 * VOXEL_MM)
    assert abs(got.value - 4.0 * VOXEL_MM) <= (got.expanded_uncertainty or 0.0)
    assert got.worst_at is not None
    assert abs(got.worst_at["theta_deg"] - 100.0) < 10


@pytest.mark.parametrize("centre", [(0.0, 0.0), (2.0, 1.0), (-4.0, 3.0)])
def test_concentricity_and_gap(centre: tuple[float, float]) -> None:
    roll = Roll(centre=centre)
    got = measure(make_cell(draw(roll, noise=3.0)), can=drawn_can())
    drawn = float(np.hypot(*centre))
    assert got["winding.concentricity"].value == pytest.approx(drawn * VOXEL_MM, abs=0.1 * VOXEL_MM)
    phase = np.arange(roll.turns - 1.0, roll.turns, 0.001)
    gap = CAN_PX - WALL_PX - roll.radius_about_axis(phase)[1]
    assert got["winding.can_gap.min"].value == pytest.approx(gap.min() * VOXEL_MM, abs=0.5 * VOXEL_MM)
    assert got["winding.can_gap.mean"].value == pytest.approx(gap.mean() * VOXEL_MM, abs=0.2 * VOXEL_MM)


@pytest.mark.parametrize(
    "greys",
    [
        {**GREYS, "copper": 600.0},  # copper's line brighter than the cathode even under blur
        {**GREYS, "cathode": 62.0, "copper": 200.0},
        {**GREYS, "can": 80.0},  # the can no brighter than the cathode
        {k: 120 * v + 3000 for k, v in GREYS.items()},  # 16 bit
    ],
    ids=["copper brighter", "pale cathode", "dark can", "16 bit"],
)
def test_greys_do_not_matter(greys: dict[str, float]) -> None:
    roll = Roll()
    contrast = greys["cathode"] - greys["dark"]
    got = measure(make_cell(draw(roll, noise=0.08 * contrast, greys=greys)))
    assert got["winding.turns"].value == roll.turns
    assert got["winding.pitch"].value == pytest.approx(roll.pitch * VOXEL_MM, rel=0.0015)


@pytest.mark.parametrize("noise", [4.0, 6.0])
def test_one_noisy_slice_is_enough(noise: float) -> None:
    roll = Roll(buckle=3.0, lift=3.0)
    foil, _ = trace_with_cathodes(make_cell(draw(roll, slices=1, noise=noise)))
    error = foil_error_px(foil, roll)
    assert (np.abs(error[np.isfinite(error)]) < 1.5).mean() > 0.98
    assert measure(make_cell(draw(roll, slices=1, noise=noise)))["winding.turns"].value == roll.turns


def test_a_torn_foil_is_followed_across_the_tear() -> None:
    roll = Roll()
    foil, _ = trace_with_cathodes(make_cell(draw(roll, noise=3.0, missing=(5.2, 5.35))))
    assert measure(make_cell(draw(roll)), foil)["winding.turns"].value == roll.turns
    lost = (~np.isfinite(foil.radius_mm)).mean(axis=0)
    phase = roll.phase(np.arange(lost.shape[0])[:, None], foil.theta_deg[None, :])
    torn = (phase > 5.22) & (phase < 5.33)
    whole = (phase > 0.1) & (phase < roll.turns - 0.1) & ~((phase > 5.15) & (phase < 5.4))
    assert lost[torn].mean() > 0.5
    assert lost[whole].mean() < 0.01


CHANGES: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "turned by 90 degrees": lambda v: np.rot90(v, axes=(1, 2)),
    "mirrored": lambda v: v[:, :, ::-1],
    "end to end": lambda v: v[::-1],
    "16 bit": lambda v: np.round(np.clip(v, 0, 255) * 200).astype(np.uint16),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_way_the_scan_lies_does_not_matter(change: str) -> None:
    """The frame stays at CENTRE_PX, so that the turned roll is also off-centre by up to 3 voxels."""
    volume = draw(Roll(buckle=3.0), noise=3.0)
    before = measure(make_cell(volume))
    after = measure(make_cell(np.ascontiguousarray(CHANGES[change](volume))))
    assert after["winding.turns"].value == before["winding.turns"].value
    assert after["winding.pitch"].value == pytest.approx(before["winding.pitch"].value, rel=0.0015)
    for name in ("winding.rms_error", "winding.core_collapse"):
        assert after[name].value == pytest.approx(before[name].value, abs=0.2 * VOXEL_MM)


@pytest.mark.parametrize("traced_before", [False, True])
def test_facing_cathodes_are_where_they_were_drawn(traced_before: bool) -> None:
    roll = Roll(lead_in=1.3, lead_out=1.4)
    cell = make_cell(draw(roll, noise=3.0))
    foil, faces = trace_with_cathodes(cell)
    if traced_before:
        faces = facing_cathodes(cell, foil)
    phase = roll.phase(np.arange(foil.radius_mm.shape[1])[:, None], foil.theta_deg[None, :])
    there = np.isfinite(foil.radius_mm).mean(axis=0) > 0.5
    for found, coat in ((faces.inner_mm, phase - 1.0), (faces.outer_mm, phase)):
        # Outside it lies the cathode wound on from this phase, inside the one of a turn before.
        inside = there & (coat > roll.lead_in + 0.02) & (coat < roll.turns - roll.lead_out - 0.02)
        outside = there & ((coat < roll.lead_in - 0.02) | (coat > roll.turns - roll.lead_out + 0.02))
        assert np.isfinite(found[inside]).mean() > 0.995
        assert np.isfinite(found[outside]).mean() < 0.005
        error = found[inside] / VOXEL_MM - (roll.foil(coat[inside]) + roll.pitch / 2)
        assert abs(np.nanmean(error)) < 0.1
        assert np.nanstd(error) < 0.25
    assert faces.half_width_mm == pytest.approx(roll.cathode_thickness / 2 * VOXEL_MM, abs=0.3 * VOXEL_MM)


def test_mask_of_the_electrode() -> None:
    """Only the drawn cathode is left, two-valued; its own turns count."""
    roll = Roll(turns=9.0, lead_in=0.0, lead_out=0.0)
    greys = {"void": 0.0, "dark": 0.0, "copper": 0.0, "cathode": 255.0, "can": 0.0}
    volume = draw(roll, slices=1, blur=0.0, greys=greys)
    mask = np.where(volume > 127, 255, 0).astype(np.uint8)
    got = measure(make_cell(mask, mask_of="electrode"))  # type: ignore[arg-type]
    assert got["winding.turns"].value == roll.turns
    assert got["winding.pitch"].value == pytest.approx(roll.pitch * VOXEL_MM, rel=0.0015)
    # Whole voxels scatter an area centre by some tenths of a voxel.
    assert got["winding.max_abs_error"].value < 0.6 * VOXEL_MM
    assert got["winding.can_gap.min"].status == "not_measured"


def test_copper_of_a_label_image() -> None:
    roll = Roll()
    cell = make_cell(draw(roll))
    foil = trace_from_labels(cell, ArraySlices(copper_labels(roll)), 3)
    got = measure(cell, foil)
    assert got["winding.turns"].value == roll.turns
    assert got["winding.pitch"].value == pytest.approx(roll.pitch * VOXEL_MM, rel=0.0015)


def test_a_period_that_hardly_fits_between_core_and_can_is_no_roll() -> None:
    """A pattern that repeats three times along the radius may be anything."""
    volume = np.full((2, SIZE, SIZE), 40.0, dtype=np.float32)
    y, x = np.mgrid[:SIZE, :SIZE]
    r = np.hypot(x - CENTRE_PX[0], y - CENTRE_PX[1])
    volume += (30 * np.cos(2 * np.pi * r / (0.3 * CAN_PX))).astype(np.float32)
    volume[:, (r < CAN_PX) & (r > CAN_PX - WALL_PX)] = 220.0
    with pytest.raises(NotMeasurable, match="not resolved"):
        trace_with_cathodes(make_cell(volume))


@pytest.mark.parametrize("kind", ["empty", "noise", "rings", "no copper"])
def test_what_is_no_roll_is_not_measured(kind: str) -> None:
    if kind == "no copper":  # one bright layer for each pitch: cathode and copper cannot be told apart
        volume = draw(Roll(), greys={**GREYS, "copper": GREYS["dark"]}, noise=1.0)
    else:
        volume = np.full((2, SIZE, SIZE), 40.0, dtype=np.float32)
        y, x = np.mgrid[:SIZE, :SIZE]
        r = np.hypot(x - CENTRE_PX[0], y - CENTRE_PX[1])
        if kind == "noise":
            volume += np.random.default_rng(3).standard_normal(volume.shape).astype(np.float32) * 10
        if kind == "rings":
            volume += (30 * np.cos(2 * np.pi * r / 11.0) + 15 * np.cos(4 * np.pi * r / 11.0)).astype(
                np.float32
            )
        volume[:, (r < CAN_PX) & (r > CAN_PX - WALL_PX)] = 220.0
    with pytest.raises(NotMeasurable):
        trace_with_cathodes(make_cell(volume))
