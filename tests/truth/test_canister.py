"""The canister metric against cans drawn here, by area, with every dimension known."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from xctrules_canister.metric import Canister
from xctrules_segmentation.can import can_from_labels, segment_can, straight_run, without_formed_mouth

from xctrules.core.errors import NotMeasurable
from xctrules.core.figures import ImageFigure, LineChart
from xctrules.core.measurement import Measurement, MetricResult, Scale
from xctrules.core.slices import ArraySlices, Scan
from xctrules.cylinder.finding import CylinderFinder
from xctrules.cylinder.phantom import Imaging, small
from xctrules.cylinder.phantom import draw as draw_cell
from xctrules.cylinder.surfaces import CylinderCell, CylinderSettings, Segmentation
from xctrules.engine.testing import phantom_cell

VOXEL = 0.035


@dataclass(frozen=True)
class Can:
    """A drawn can; lengths in mm, angles in degrees, greys between 0 and 1."""

    radius: float = 3.5
    wall: float = 0.25
    ovality: float = 0.0  # major minus minor axis length
    oval_at: float = 20.0
    dent: float = 0.0
    dent_at: tuple[float, float] = (130.0, 0.6)  # theta, z
    dent_size: tuple[float, float] = (8.0, 0.4)  # standard deviations, degrees and mm
    thin: float = 0.0  # the wall is thinner by this, opposite the dent
    tilt: float = 0.0
    tilt_to: float = 35.0
    offset: tuple[float, float] = (0.0, 0.0)
    voxel: tuple[float, float] = (0.06, VOXEL)  # z, in plane
    heights: int = 20
    blur: float = 1.0  # standard deviation in voxels
    noise: float = 0.03
    inside: str = "roll"  # roll, gap, liquid
    slope: float = 0.0  # grey of the wall rises outward by this over its thickness
    bits: int = 8
    seed: int = 1

    def outer(self, theta: np.ndarray, z: np.ndarray) -> np.ndarray:
        a, b = self.radius + self.ovality / 4, self.radius - self.ovality / 4
        t = np.deg2rad(theta - self.oval_at)
        return a * b / np.hypot(b * np.cos(t), a * np.sin(t)) - self.dent * self.bump(theta, z)

    def bump(self, theta: np.ndarray, z: np.ndarray, turn: float = 0.0) -> np.ndarray:
        away = (theta - self.dent_at[0] - turn + 180) % 360 - 180
        return np.exp(
            -0.5 * (away / self.dent_size[0]) ** 2 - 0.5 * ((z - self.dent_at[1]) / self.dent_size[1]) ** 2
        )

    def inner(self, theta: np.ndarray, z: np.ndarray) -> np.ndarray:
        return self.outer(theta, z) - self.wall + self.thin * self.bump(theta, z, 180.0)


def draw(c: Can) -> Scan:
    """The volume a scanner would show of it: shares of area, blurred, with noise, in whole grey levels."""
    dz, dx = c.voxel
    n = 2 * math.ceil((c.radius * 1.12 + max(map(abs, c.offset))) / dx)
    lean = math.tan(math.radians(c.tilt)) * np.array(
        [math.cos(math.radians(c.tilt_to)), math.sin(math.radians(c.tilt_to))]
    )
    axis = np.array([*lean, 1.0]) / math.hypot(1.0, *lean)
    middle = (n - 1) / 2 * dx
    fine = 3  # samples for each voxel and direction; each of them a ramp as wide as itself
    sub = (np.arange(fine) + 0.5) / fine - 0.5
    yy, xx = np.mgrid[:n, :n] * dx
    volume = np.zeros((c.heights, n, n), dtype=np.float32)
    for k in range(c.heights):
        x0, y0 = middle + c.offset[0] + k * dz * lean[0], middle + c.offset[1] + k * dz * lean[1]
        rough = np.hypot(xx - x0, yy - y0)
        rows, columns = np.nonzero(rough < c.radius + c.ovality + 3 * dx)
        total = np.zeros(rows.size)
        for sy in sub:
            for sx in sub:
                px = (columns + sx) * dx - x0
                py = (rows + sy) * dx - y0
                # Height and foot point on the axis, which passes (x0, y0) in this slice.
                along = px * axis[0] + py * axis[1]
                rx, ry = px - along * axis[0], py - along * axis[1]
                r = np.sqrt(px**2 + py**2 - along**2)
                theta, z = np.rad2deg(np.arctan2(ry, rx)), k * dz / axis[2] + along
                outer, inner = c.outer(theta, z), c.inner(theta, z)
                w = dx / fine
                in_outer = np.clip((outer - r) / w + 0.5, 0, 1)
                in_inner = np.clip((inner - r) / w + 0.5, 0, 1)
                metal = 1.0 + c.slope * ((r - inner) / c.wall - 0.5)
                if c.inside == "roll":  # layers that touch the wall and wander, as a spiral does
                    content = 0.3 + 0.15 * np.cos(2 * np.pi * ((r - inner) / 0.38 + theta / 360))
                elif c.inside == "gap":
                    content = np.where(inner - r > 0.15, 0.4, 0.05)
                else:
                    content = np.full_like(r, 0.15)
                total += (in_outer - in_inner) * metal + in_inner * content
        volume[k, rows, columns] = total / fine**2
    volume = gaussian_filter(volume, (0.0, c.blur, c.blur), truncate=5.0)
    volume += np.random.default_rng(c.seed).normal(0, c.noise, volume.shape).astype(np.float32)
    top = {8: 255, 16: 65535}[c.bits]
    grey = np.clip(np.rint((0.1 + 0.65 * volume) * top), 0, top).astype(f"uint{c.bits}")
    return Scan(Path("drawn"), ArraySlices(grey), (dz, dx, dx), {})


def cell_of(scan: Scan, angles: int = 180, mask_of: str | None = None) -> CylinderCell:
    frame = CylinderFinder().find(scan, {}, mask_of)
    chosen = CylinderSettings(angles=angles, mask_of=mask_of)  # type: ignore[arg-type]
    return CylinderCell(scan, frame, Scale(0.0, True), chosen, {})


def measure(
    scan: Scan, angles: int = 180, mask_of: str | None = None
) -> tuple[dict[str, Measurement], MetricResult]:
    cell = cell_of(scan, angles, mask_of)
    result = Canister().measure(
        replace(cell, segmentation=Segmentation(segmenter="test", can=segment_can(cell)))
    )
    return {m.name: m for m in result.measurements}, result


def value(found: dict[str, Measurement], name: str) -> float:
    measured = found[f"canister.{name}"].value
    assert measured is not None
    return measured


# --- size --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "drawn",
    [
        pytest.param(Can(wall=6 * VOXEL, blur=0.5), id="sharp"),
        pytest.param(Can(wall=3.5 * VOXEL, blur=1.0, inside="liquid"), id="thin"),
        pytest.param(Can(wall=6 * VOXEL, blur=1.0, slope=0.15, bits=16), id="grey slopes"),
        pytest.param(Can(wall=6.5 * VOXEL, blur=1.3, noise=0.05), id="blurred and noisy"),
        pytest.param(Can(wall=10 * VOXEL, blur=1.5, inside="gap"), id="thick, roll behind a gap"),
        pytest.param(Can(tilt=1.0, offset=(0.31, -0.17), ovality=0.1), id="tilted, off centre, oval"),
    ],
)
def test_diameter_and_wall(drawn: Can) -> None:
    """The outer diameter within 0.03 voxel; the wall within 0.1, since the grey that touches it is not
    known."""
    found, _ = measure(draw(drawn))
    a, b = drawn.radius + drawn.ovality / 4, drawn.radius - drawn.ovality / 4
    assert value(found, "outer_diameter") == pytest.approx(2 * math.sqrt(a * b), abs=0.03 * VOXEL)
    assert value(found, "wall_thickness.mean") == pytest.approx(drawn.wall, abs=0.1 * VOXEL)
    assert value(found, "inner_diameter") == pytest.approx(
        2 * math.sqrt(a * b) - 2 * drawn.wall, abs=0.2 * VOXEL
    )
    assert value(found, "ovality") == pytest.approx(drawn.ovality, abs=0.15 * VOXEL)
    assert value(found, "eccentricity") == pytest.approx(math.sqrt(1 - (b / a) ** 2), abs=0.04)
    assert value(found, "tilt") == pytest.approx(drawn.tilt, abs=0.1)
    assert value(found, "dent_depth") <= 0.15 * VOXEL  # none was drawn
    for name, truth in (("outer_diameter", 2 * math.sqrt(a * b)), ("wall_thickness.mean", drawn.wall)):
        half_width = found[f"canister.{name}"].expanded_uncertainty
        assert half_width is not None
        # The interval must hold the truth and still say something.
        assert abs(value(found, name) - truth) <= half_width <= 0.3 * VOXEL


def test_thickness_of_an_oval_wall_is_normal_to_it() -> None:
    """A strongly oval can's wall is drawn along the radius, so it is thinner by the cosine of the slope."""
    drawn = Can(ovality=1.6, wall=0.3)
    found, _ = measure(draw(drawn))
    t = np.linspace(0, 360, 3600, endpoint=False)
    r = drawn.outer(t, np.zeros_like(t))
    slope = np.gradient(r, np.deg2rad(0.1)) / r
    expected = float(np.mean(drawn.wall / np.sqrt(1 + slope**2)))
    assert expected < drawn.wall - 0.04 * VOXEL  # or the test would prove nothing
    assert value(found, "wall_thickness.mean") == pytest.approx(expected, abs=0.1 * VOXEL)


def test_a_thin_spot_is_found_where_it_is() -> None:
    drawn = Can(thin=2 * VOXEL, inside="liquid")
    found, _ = measure(draw(drawn))
    thinnest = found["canister.wall_thickness.min"]
    assert value(found, "wall_thickness.min") == pytest.approx(drawn.wall - drawn.thin, abs=0.3 * VOXEL)
    assert thinnest.worst_at is not None
    assert thinnest.worst_at["theta_deg"] == pytest.approx(310, abs=6)
    assert value(found, "wall_thickness.max") == pytest.approx(drawn.wall, abs=0.25 * VOXEL)


def test_noise_turns_no_thinnest_wall_into_the_thickest() -> None:
    """Extremes are freed of what noise adds to them; where that is nearly all, they must not cross."""
    imaging = Imaging(noise=0.06, blur_px=1.5, noise_correlation_px=1.2)
    cell, _ = phantom_cell(draw_cell(small(view="roll", roll_in_view_mm=0.6, imaging=imaging)), angles=90)
    found = {m.name: m for m in Canister().measure(cell).measurements}
    low, mean, high = (value(found, f"wall_thickness.{name}") for name in ("min", "mean", "max"))
    assert low <= mean <= high


# --- form and dents ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "drawn",
    [
        pytest.param(Can(dent=1.5 * VOXEL), id="small"),
        pytest.param(Can(dent=1.5 * VOXEL, dent_size=(18.0, 0.4)), id="shallow and sixty degrees wide"),
        pytest.param(Can(dent=5 * VOXEL, dent_size=(15.0, 0.5), ovality=0.2), id="deep, on an oval can"),
        pytest.param(Can(dent=4 * VOXEL, dent_at=(300.0, 0.1)), id="at the end of the straight part"),
        pytest.param(Can(dent=1.5 * VOXEL, noise=0.06, blur=1.3), id="small, in a poor scan"),
    ],
)
def test_dent(drawn: Can) -> None:
    """Within 0.2 voxel, or where the interval says that it cannot be told better."""
    scan = draw(drawn)
    found, _ = measure(scan)
    dent = found["canister.dent_depth"]
    assert value(found, "dent_depth") == pytest.approx(drawn.dent, abs=0.2 * VOXEL)
    assert dent.worst_at is not None
    assert dent.worst_at["theta_deg"] == pytest.approx(drawn.dent_at[0], abs=6)
    assert dent.worst_at["z_mm"] == pytest.approx(drawn.dent_at[1], abs=0.25)
    assert value(found, "ovality") == pytest.approx(drawn.ovality, abs=0.3 * VOXEL)
    # The dented heights stay in.
    assert dent.n is not None and dent.n >= 0.95 * scan.shape[0] * 180


def test_sound_cans_have_no_dent() -> None:
    for seed in range(3):
        found, _ = measure(draw(Can(seed=seed, heights=12, noise=0.06)))
        assert value(found, "dent_depth") <= 0.15 * VOXEL


def test_roundness_is_peak_to_valley() -> None:
    """An ellipse of axes 2a and 2b departs from its least-squares circle by a - b from peak to valley."""
    drawn = Can(ovality=0.2)
    found, _ = measure(draw(drawn))
    assert value(found, "roundness") == pytest.approx(drawn.ovality / 2, abs=0.12 * VOXEL)


def test_bead_and_mouth_are_not_straight() -> None:
    radius = np.full(60, 10.0)
    radius[:12] = 9.4  # bead
    radius[12:15] = np.nan
    radius[50:] = np.linspace(9.95, 9.0, 10)  # bottom radius
    straight = straight_run(radius, 0.034)
    assert np.flatnonzero(straight).tolist() == list(range(15, 50))
    inner = np.full(60, 9.78)
    inner[15:22] = 9.70  # thicker mouth below the bead
    inner[35] = 9.70  # a ring inside the straight part is a finding
    trimmed = without_formed_mouth(straight, inner, 0.034)
    assert np.flatnonzero(trimmed).tolist() == list(range(22, 50))


# --- masks and labels --------------------------------------------------------------------------------------


def test_mask_of_one_slice() -> None:
    """A two-valued image has edges to a fraction of a voxel once many of them are averaged."""
    drawn = Can(dent=8 * VOXEL, dent_size=(12.0, 9.0), ovality=0.4)
    n = 230
    yy, xx = np.mgrid[:n, :n] * VOXEL
    r, theta = np.hypot(xx - 4.01, yy - 4.07), np.rad2deg(np.arctan2(yy - 4.07, xx - 4.01))
    outer, inner = drawn.outer(theta, np.full_like(r, 0.6)), drawn.inner(theta, np.full_like(r, 0.6))
    mask = ((r < outer) & (r > inner))[None]
    t = np.linspace(0, 360, 3600, endpoint=False)
    area = float(np.mean(drawn.outer(t, np.full_like(t, 0.6)) ** 2))
    for volume in (mask, mask.astype(np.uint8) * 255):
        found, _ = measure(
            Scan(Path("drawn"), ArraySlices(volume), (VOXEL, VOXEL, VOXEL), {}), mask_of="canister"
        )
        assert value(found, "outer_diameter") == pytest.approx(2 * math.sqrt(area), abs=0.1 * VOXEL)
        assert value(found, "wall_thickness.mean") == pytest.approx(drawn.wall, abs=0.25 * VOXEL)
        assert value(found, "dent_depth") == pytest.approx(drawn.dent, abs=0.5 * VOXEL)
        assert value(found, "ovality") == pytest.approx(drawn.ovality, abs=0.5 * VOXEL)
        assert found["canister.tilt"].status == "not_measured"


def test_labels_and_greys_agree() -> None:
    drawn = Can(noise=0.0, inside="liquid", heights=10)
    scan = draw(drawn)
    cell = cell_of(scan)
    labels = (scan.slices[:] > 0.1 * 255 + 0.65 * 0.5 * 255).astype(np.uint8)
    surface = can_from_labels(cell, ArraySlices(labels))
    diameter = 2 * np.nanmean(surface.outer_mm[surface.straight])
    assert diameter == pytest.approx(2 * drawn.radius, abs=0.2 * VOXEL)
    with pytest.raises(NotMeasurable, match="class can"):
        can_from_labels(cell, ArraySlices(np.zeros_like(labels)))


# --- invariance --------------------------------------------------------------------------------------------


@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    turn=st.floats(0, 360),
    shift=st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)),
    bits=st.sampled_from([8, 16]),
    flip=st.booleans(),
    mirror=st.booleans(),
    gain=st.floats(0.5, 1.0),
)
def test_nothing_depends_on_how_the_can_lies(
    turn: float, shift: tuple[float, float], bits: int, flip: bool, mirror: bool, gain: float
) -> None:
    """Turned, shifted, flipped, mirrored and rescaled, the can stays what it is."""
    drawn = Can(
        ovality=0.1,
        dent=3 * VOXEL,
        oval_at=20 + turn,
        dent_at=(130 + turn, 0.5),
        offset=shift,
        bits=bits,
        heights=16,
    )
    scan = draw(drawn)
    volume = scan.slices[:][::-1] if flip else scan.slices[:]
    volume = volume[:, :, ::-1] if mirror else volume
    volume = np.ascontiguousarray((volume * gain).astype(volume.dtype))
    found, _ = measure(replace(scan, slices=ArraySlices(volume)))
    a, b = drawn.radius + drawn.ovality / 4, drawn.radius - drawn.ovality / 4
    t, z = np.arange(0.0, 360.0)[None], np.linspace(0, 0.9, 16)[:, None]
    dented = float(np.mean(2 * np.sqrt(np.mean(drawn.outer(t, z) ** 2, axis=1))))
    assert value(found, "outer_diameter") == pytest.approx(dented, abs=0.05 * VOXEL)
    assert value(found, "wall_thickness.mean") == pytest.approx(drawn.wall, abs=0.1 * VOXEL)
    assert value(found, "ovality") == pytest.approx(2 * (a - b), abs=0.2 * VOXEL)
    assert value(found, "dent_depth") == pytest.approx(drawn.dent, abs=0.2 * VOXEL)


# --- what is handed over -----------------------------------------------------------------------------------


def test_result_is_complete() -> None:
    found, result = measure(draw(Can(dent=3 * VOXEL, heights=12)))
    assert set(found) == set(Canister.declares)
    for m in found.values():
        assert m.unit == Canister.declares[m.name]
        assert m.status == "measured" and m.value is not None and math.isfinite(m.value)
        assert all(math.isfinite(c.contribution) for c in m.budget)
    for figure in result.figures:
        assert figure.caption and figure.alt
        if isinstance(figure, ImageFigure):
            assert figure.image.dtype == np.uint8
            for line in figure.overlays:
                height, width = figure.image.shape[:2]
                inside = line.points[np.isfinite(line.points).all(axis=1)]
                assert (inside > -1).all() and (inside < [width, height]).all()
        if isinstance(figure, LineChart):
            assert all(x.size <= 720 for _, _, x, _ in figure.series)
    (table,) = result.samples
    assert {len(column) for column in table.columns.values()} == {12 * 180}


def test_no_can_no_number() -> None:
    scan = draw(Can(heights=8))
    cell = cell_of(scan)
    with pytest.raises(NotMeasurable):
        Canister().measure(
            replace(cell, segmentation=Segmentation(segmenter="test", missing={"can": "not in view"}))
        )
    nothing = replace(scan, slices=ArraySlices(np.zeros_like(scan.slices[:])))
    with pytest.raises(NotMeasurable):
        segment_can(replace(cell, scan=nothing))
