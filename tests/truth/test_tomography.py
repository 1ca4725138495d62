"""Projected phantoms against physics and geometry worked out here: chords, rings, cups, edges."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner
from xctrules_canister.metric import Canister
from xctrules_overhang.metric import OverhangMetric
from xctrules_winding.metric import WindingMetric

from xctrules.cli.main import app
from xctrules.core.errors import ScanError
from xctrules.cylinder.phantom import (
    CentrePin,
    Greys,
    Imaging,
    PhantomSpec,
    Tab,
    Tomography,
    draw,
    small,
    spec_from_dict,
)
from xctrules.cylinder.phantom.beam import MATERIALS, attenuation, mass_attenuation, spectrum
from xctrules.cylinder.phantom.drawing import Drawing
from xctrules.cylinder.phantom.geometry import Winding
from xctrules.cylinder.phantom.tomography import Rays, Tomograph, Views, blurred_along, curves, exposure
from xctrules.engine.testing import phantom_cell

VOXEL = 0.05
CLEAN = Imaging(noise=0.0, dtype="float32", clip_outside=False)
SLICE = small(view="slice", voxel_size_mm=(VOXEL,) * 3, imaging=CLEAN)
CORE, PITCH = SLICE.core_radius_mm, SLICE.pitch_mm


def slice_of(spec: PhantomSpec = SLICE, **tube: Any) -> np.ndarray:
    """The only slice of a spec, reconstructed without noise, 1/mm."""
    return next(Tomograph(spec, Tomography(**{"projections": 360} | tube)).attenuation())


def places_mm(image: np.ndarray, voxel: float = VOXEL) -> tuple[np.ndarray, np.ndarray]:
    """(x, y) of every pixel from the image's middle."""
    ny, nx = image.shape
    y, x = np.mgrid[:ny, :nx]
    return (x - (nx - 1) / 2) * voxel, (y - (ny - 1) / 2) * voxel


def ring_mean(image: np.ndarray, first_mm: float, last_mm: float) -> float:
    r = np.hypot(*places_mm(image))
    return float(image[(r >= first_mm) & (r < last_mm)].mean())


def cup(image: np.ndarray) -> float:
    """Loss of the roll's mean towards the core: two inner turns against two outer ones, all with cathode."""
    inner = ring_mean(image, CORE + 1.5 * PITCH, CORE + 3.5 * PITCH)
    return 1 - inner / ring_mean(image, CORE + 3.5 * PITCH, CORE + 5.5 * PITCH)


# --- attenuation -----------------------------------------------------------------------------------------


def klein_nishina(energy_kev: float) -> float:
    """Cross-section of a free electron for scattering, barn."""
    a = energy_kev / 510.999
    log = math.log(1 + 2 * a)
    first = (1 + a) / a**2 * (2 * (1 + a) / (1 + 2 * a) - log / a)
    return 2 * math.pi * 0.0794079 * (first + log / (2 * a) - (1 + 3 * a) / (1 + 2 * a) ** 2)


ELEMENTS = {
    "H": (1, 1.008), "Li": (3, 6.94), "C": (6, 12.011), "O": (8, 15.999), "Al": (13, 26.982),
    "Mn": (25, 54.938), "Fe": (26, 55.845), "Co": (27, 58.933), "Ni": (28, 58.693), "Cu": (29, 63.546),
}  # fmt: skip


@pytest.mark.parametrize("element", ["H", "Li", "C", "O"])
@pytest.mark.parametrize("energy", [150.0, 200.0, 300.0])
def test_light_elements_scatter_as_free_electrons_do(element: str, energy: float) -> None:
    z, weight = ELEMENTS[element]
    expected = 0.602214 * z / weight * klein_nishina(energy)
    # coherent scattering and the rest of photoelectric absorption add up to 3 % in oxygen at 150 keV
    assert expected * 0.99 < mass_attenuation(element, energy) < expected * 1.03


@pytest.mark.parametrize("energy", [20.0, 30.0, 40.0, 50.0, 60.0, 80.0])
def test_metals_follow_one_power_of_the_atomic_number(energy: float) -> None:
    metals = ["Mn", "Fe", "Co", "Ni", "Cu"]
    z, weight = np.array([ELEMENTS[m] for m in metals]).T
    absorbed = np.array([float(mass_attenuation(m, energy)) for m in metals]) * weight / 0.602214
    absorbed -= z * klein_nishina(energy)
    power, offset = np.polyfit(np.log(z), np.log(absorbed), 1)
    assert 3.5 < power < 4.5  # of the photoelectric effect, some coherent scattering with it
    np.testing.assert_allclose(np.log(absorbed), power * np.log(z) + offset, atol=0.01)


def test_all_that_is_there_attenuates_less_at_higher_energy() -> None:
    energy = np.linspace(20.0, 300.0, 200)
    for name in set(MATERIALS) - {"outside", "void"}:
        mu = attenuation(name, energy)
        assert np.all(mu > 0) and np.all(np.diff(mu) < 0), name


@pytest.mark.parametrize(
    "tube", [Tomography(), Tomography(tube_voltage_kv=300.0), Tomography(energy_kev=70.0)]
)
def test_few_curves_hold_every_material(tube: Tomography) -> None:
    beam = spectrum(tube)
    found = curves(beam)
    for name in MATERIALS:
        summed = found.coefficients[name] @ found.curves
        # the tables' own digits are worth no more
        np.testing.assert_allclose(summed, attenuation(name, beam.energy_kev), rtol=1e-3, atol=1e-9)


def test_filter_hardens_the_beam() -> None:
    def mean(**tube: Any) -> float:
        beam = spectrum(Tomography(**tube))
        assert beam.photons.sum() == pytest.approx(1.0)
        return float(beam.photons @ beam.energy_kev)

    assert mean(filter_material=None) < mean(filter_mm=0.1) < mean(filter_mm=1.0) < 160.0
    assert mean(tube_voltage_kv=100.0) < mean(tube_voltage_kv=200.0)


# --- rays and back ---------------------------------------------------------------------------------------


def disc(
    radius: float, centre: tuple[float, float], pixel: tuple[float, float], shape: tuple[int, int]
) -> Any:
    """Shares of area of a disc, from 8 x 8 points in each pixel; (y, x, 1)."""
    fine = (np.arange(8) - 3.5) / 8
    y = ((np.arange(shape[0]) - (shape[0] - 1) / 2)[:, None] + fine).ravel() * pixel[0] - centre[1]
    x = ((np.arange(shape[1]) - (shape[1] - 1) / 2)[:, None] + fine).ravel() * pixel[1] - centre[0]
    inside = np.hypot(x[None, :], y[:, None]) < radius
    return inside.reshape(shape[0], 8, shape[1], 8).mean(axis=(1, 3), dtype=np.float32)[..., None]


@pytest.mark.parametrize("pixel", [(0.05, 0.05), (0.08, 0.05)])
@pytest.mark.parametrize("centre", [(0.0, 0.0), (0.9, -0.6)])
def test_line_integrals_are_chords(pixel: tuple[float, float], centre: tuple[float, float]) -> None:
    angles = np.radians([0.0, 17.0, 45.0, 90.0, 133.3])
    shape = (round(8.0 / pixel[0]), round(8.0 / pixel[1]))
    through = Rays(shape, pixel, 201, 0.05, angles)
    found = through.forward(disc(2.5, centre, pixel, shape))[..., 0]
    for row, angle in zip(found, angles, strict=True):
        away = through.places_mm - centre[0] * math.cos(angle) - centre[1] * math.sin(angle)
        chord = 2 * np.sqrt(np.maximum(2.5**2 - away**2, 0))
        well_inside = np.abs(away) < 2.3  # towards the edge a chord changes much within a pixel
        np.testing.assert_allclose(row[well_inside], chord[well_inside], atol=0.008 * 5.0)
        assert np.sqrt(np.mean((row - chord)[well_inside] ** 2)) < 0.002 * 5.0
        assert row.sum() * 0.05 == pytest.approx(math.pi * 2.5**2, rel=0.002)
        assert (row * through.places_mm).sum() / row.sum() == pytest.approx(
            centre[0] * math.cos(angle) + centre[1] * math.sin(angle), abs=0.05 * 0.02
        )


def test_chords_of_a_drawn_cell() -> None:
    solid = Greys(**{name: 1.0 for name in vars(Greys())} | {"outside": 0.0})
    image = Drawing(replace(SLICE, greys=solid)).slice(0)
    through = Tomograph(SLICE, Tomography(projections=60)).rays
    found = through.forward(image[..., None])[..., 0]
    t = through.places_mm
    chord = 2 * np.sqrt(np.maximum(4.0**2 - t**2, 0))
    inside = np.abs(t) < 3.8
    assert np.abs(found - chord)[:, inside].max() < 0.005 * 8.0
    np.testing.assert_allclose(found.sum(axis=1) * VOXEL, math.pi * 4.0**2, rtol=5e-4)


@pytest.mark.parametrize("centre", [(0.0, 0.0), (0.9, -0.6)])
def test_a_disc_comes_back_with_its_value_and_place(centre: tuple[float, float]) -> None:
    shape = (160, 160)
    through = Rays(shape, (0.05, 0.05), 161, 0.05, np.arange(250) * np.pi / 250)
    back = through.reconstruct(through.forward(disc(2.5, centre, (0.05, 0.05), shape)))[..., 0]
    x, y = places_mm(back)
    away = np.hypot(x - centre[0], y - centre[1])
    assert back[away < 2.2].mean() == pytest.approx(1.0, abs=1e-3)
    assert abs(back[(away > 2.8) & (np.hypot(x, y) < 3.9)].mean()) < 2e-3
    assert (back * x).sum() / back.sum() == pytest.approx(centre[0], abs=0.05 * 0.05)
    assert (back * y).sum() / back.sum() == pytest.approx(centre[1], abs=0.05 * 0.05)


def test_a_monochromatic_beam_gives_the_attenuation_of_its_energy() -> None:
    thick = replace(SLICE, wall_mm=0.9, turns=5.0, imaging=replace(CLEAN, blur_px=0.6))
    image = slice_of(thick, energy_kev=80.0)
    assert ring_mean(image, 3.4, 3.7) == pytest.approx(float(attenuation("can", 80.0)), rel=0.01)
    # where the can's blurred rim scales a signal of e^-2, a few thousandths of the can are left over
    liquid = float(attenuation("electrolyte", 80.0))
    assert ring_mean(image, 0.0, 0.6) == pytest.approx(liquid, abs=0.005 * float(attenuation("can", 80.0)))


def test_blur_is_that_of_the_painted_phantom() -> None:
    """A thin can's attenuation is small, so that blurring signals blurs line integrals."""
    air = {name: 0.0 for name in vars(Greys())}
    scan = Tomograph(SLICE, Tomography(projections=400))
    image = Drawing(replace(SLICE, greys=Greys(**air | {"can": 1e-3, "outside": 0.0}))).slice(0)
    through = scan.rays.forward(image[..., None])[..., 0]

    signal = scan.expose(Views(np.stack([np.exp(-through)] * 2), through), math.inf, np.random.default_rng(0))
    back = scan.rays.reconstruct(scan.integrals(signal)[..., None])[..., 0] * 1e3
    painted = draw(replace(SLICE, greys=Greys(**air | {"can": 1.0}))).volume[0]
    for r in (3.65, 3.75, 3.85, 3.95, 4.05):  # 0.02 of the can is a shift of 0.04 voxel on its flank
        assert ring_mean(back, r - 0.02, r + 0.02) == pytest.approx(
            ring_mean(painted, r - 0.02, r + 0.02), abs=0.02
        )


# --- beam hardening --------------------------------------------------------------------------------------


def test_cupping_comes_with_the_spectrum_and_goes_without() -> None:
    mono = cup(slice_of(energy_kev=80.0))
    hard, usual, soft = (
        cup(slice_of(**tube))
        for tube in ({"filter_mm": 2.0}, {}, {"tube_voltage_kv": 90.0, "filter_material": "aluminium"})
    )
    assert abs(mono) < 0.003  # turns of other lengths within two pitches make up the rest
    assert mono + 0.004 < hard < usual < soft
    assert usual > 0.015
    assert abs(cup(slice_of(linearised=True)) - mono) < 0.3 * (usual - mono)


def test_hardening_brightens_the_outside_of_the_can() -> None:
    fine = replace(SLICE, voxel_size_mm=(0.025,) * 3, imaging=replace(CLEAN, blur_px=0.6))

    def slope(**tube: Any) -> float:
        image = slice_of(fine, **tube)
        r = np.hypot(*places_mm(image, 0.025))
        inside, outside = (image[np.abs(r - at) < 0.015].mean() for at in (3.82, 3.93))
        return float(outside / inside - 1)

    assert abs(slope(energy_kev=80.0)) < 0.01
    assert slope() > 0.05


def test_more_in_the_beam_lets_less_through_at_less_than_its_first_rate() -> None:
    """Signals fall with thickness, and their logarithm bends: the beam hardens."""
    scan = Tomograph(SLICE, Tomography(projections=20))
    mono = Tomograph(SLICE, Tomography(projections=20, energy_kev=80.0))

    def signal(which: Tomograph, times: float) -> np.ndarray:
        return which.views(which.maps.slice(0) * np.float32(times)).signal

    once, twice, thrice = (signal(scan, t) for t in (1.0, 2.0, 3.0))
    inside = np.abs(scan.rays.places_mm) < 3.8
    assert np.all((once > 0) & (once <= 1 + 1e-6))
    assert np.all(twice[..., inside] < once[..., inside])
    p1, p2, p3 = (-np.log(s[..., inside]) for s in (once, twice, thrice))
    assert np.all(p2 < 2 * p1) and np.all(p3 - p2 < p2 - p1)
    m1, m2 = (-np.log(signal(mono, t)[..., inside]) for t in (1.0, 2.0))
    np.testing.assert_allclose(m2, 2 * m1, rtol=1e-4)
    pinned = replace(SLICE, pin=CentrePin(outer_diameter_mm=1.2))
    with_pin = Tomograph(pinned, Tomography(projections=20))
    assert np.all(with_pin.views(with_pin.maps.slice(0)).signal <= once + 1e-6)


def test_opposite_views_see_the_same() -> None:
    scan = Tomograph(SLICE, Tomography(projections=20))
    views = scan.views(scan.maps.slice(0))
    np.testing.assert_array_equal(views.signal[0], views.signal[1][:, ::-1])


def test_nickel_tab_throws_dark_streaks_along_its_strip() -> None:
    """What hardening adds to a monochromatic image, on the strip's line and on the mirrored line."""
    seat = float(Winding(SLICE).nominal_radius(Winding(SLICE).phase(3, 180.0))) + 0.1
    tab = Tab(turn=3, theta_deg=180.0, electrode="anode", width_mm=2.0, thickness_mm=0.15)

    def added(tabs: tuple[Tab, ...], **tube: Any) -> float:
        spec = replace(SLICE, tabs=tabs)
        image, mono = slice_of(spec, **tube), slice_of(spec, energy_kev=70.0)
        x, y = places_mm(image)
        roll = np.hypot(x, y) < 3.6
        extra = image - np.polyval(np.polyfit(mono[roll], image[roll], 1), mono)
        past_the_strip = (np.abs(y) > 1.2) & (np.abs(y) < 2.4)
        near, mirrored = (extra[past_the_strip & (np.abs(x - at) < 0.1)].mean() for at in (-seat, seat))
        return float(near - mirrored)

    soft = {"tube_voltage_kv": 120.0, "filter_material": "aluminium"}
    streak = added((tab,), **soft) - added((), **soft)  # less what the spiral's asymmetry makes of a cup
    other_energy = added((tab,), energy_kev=80.0) - added((), energy_kev=80.0)
    assert streak < -0.005 * float(attenuation("cathode_coating", 70.0))
    assert abs(other_energy) < 0.2 * abs(streak)


# --- detector --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("column", "error"), [(40, -0.05), (-63, 0.03), (25, -1.0)])
def test_a_bad_column_makes_a_ring_at_its_radius(column: int, error: float) -> None:
    change = slice_of(bad_columns=((column, error),)) - slice_of()
    x, y = places_mm(change, 1.0)
    r, theta = np.hypot(x, y), np.degrees(np.arctan2(y, x)) % 360
    bins = np.arange(5, 78)
    profile = np.array([change[np.abs(r - k) < 0.5].mean() for k in bins])
    assert bins[np.abs(profile).argmax()] == abs(column)
    on_ring = np.abs(r - abs(column)) < 0.5
    parts = [change[on_ring & (np.abs(theta - at) < 30)].mean() for at in range(30, 360, 60)]
    assert np.all(np.sign(parts) == -np.sign(error))  # less light looks like more matter, all the way round


def test_gain_errors_make_rings_and_differ_from_slice_to_slice() -> None:
    spec = small(view="roll", roll_in_view_mm=0.4, voxel_size_mm=(0.1, 0.1, 0.1), imaging=CLEAN)
    clean, ringed = (
        np.stack(list(Tomograph(spec, Tomography(gain_sd=sd)).attenuation())) for sd in (0.0, 0.01)
    )
    change = ringed - clean
    x, y = places_mm(change[0], 1.0)
    r = np.hypot(x, y)
    profiles = np.array([[d[np.abs(r - k) < 0.5].mean() for k in range(4, 36)] for d in change])
    around = np.array([[d[np.abs(r - k) < 0.5].std() for k in range(4, 36)] for d in change])
    white = np.sqrt(np.mean(around**2)) / math.sqrt(2 * math.pi * 10)  # of a ring's mean, were it noise
    assert profiles.std() > 3 * white
    apart = np.corrcoef(profiles)[np.triu_indices(len(profiles), 1)]
    assert np.abs(apart).mean() < 0.5


def test_noise_is_what_was_asked_for() -> None:
    spec = small(
        view="roll", roll_in_view_mm=0.6, voxel_size_mm=(0.06,) * 3, imaging=replace(CLEAN, noise=0.05)
    )
    spec = replace(spec, tomography=Tomography(projections=300))
    first, second = (draw(spec, noise_seed=seed).volume for seed in (1, 2))
    x, y = places_mm(first[0], 0.06)
    roll = (np.hypot(x, y) > CORE + 2 * PITCH) & (np.hypot(x, y) < CORE + 5 * PITCH)
    noise = (first - second)[1:-1, roll].std() / math.sqrt(2)  # the outermost slices lack a neighbour
    assert noise == pytest.approx(0.05 * spec.greys.cathode_coating, rel=0.1)


def test_can_and_cathode_are_as_bright_as_painted() -> None:
    spec = replace(SLICE, tomography=Tomography())
    painted, projected = draw(SLICE).volume[0], draw(spec).volume[0]
    assert ring_mean(projected, 3.84, 3.91) == pytest.approx(ring_mean(painted, 3.84, 3.91), abs=4.0)
    nothing = {name: 0.0 for name in vars(Greys())}
    cathode = draw(replace(SLICE, greys=Greys(**nothing | {"cathode_coating": 1.0}))).volume[0]
    thick = cathode > 0.9 * cathode.max()
    assert projected[thick].mean() == pytest.approx(painted[thick].mean(), abs=1.0)


def test_rows_are_blurred_along_the_axis_by_the_asked_amount() -> None:
    rows = [np.full((2, 3), float(k == 10), np.float32) for k in range(21)]
    out = np.array([image[0, 0] for image in blurred_along(iter(rows), 1.3)])
    k = np.arange(21) - 10
    assert len(out) == 21
    assert out.sum() == pytest.approx(1.0)
    assert math.sqrt((out * k**2).sum()) == pytest.approx(1.3, rel=0.01)
    even = [np.ones((2, 3), np.float32)] * 3  # fewer rows than the kernel is long
    assert np.allclose(list(blurred_along(iter(even), 1.3)), 1.0)


# --- the volume ------------------------------------------------------------------------------------------


def test_same_spec_same_bytes_and_another_noise_keeps_the_rings() -> None:
    spec = small(
        view="roll", roll_in_view_mm=0.4, voxel_size_mm=(0.1,) * 3, imaging=replace(CLEAN, noise=0.01)
    )
    spec = replace(spec, tomography=Tomography(projections=200, bad_columns=((20, -0.2),)))
    one, again, other = draw(spec).volume, draw(spec).volume, draw(spec, noise_seed=9).volume
    assert one.tobytes() == again.tobytes()
    assert one.tobytes() != other.tobytes()
    clean = draw(replace(spec, tomography=Tomography(projections=200))).volume
    x, y = places_mm(one[0], 1.0)
    ring = np.abs(np.hypot(x, y) - 20) < 0.5
    assert (one - clean)[:, ring].mean() == pytest.approx((other - clean)[:, ring].mean(), rel=0.1)
    assert (one - clean)[:, ring].mean() > 5 * abs((one - clean)[:, np.hypot(x, y) < 15].mean())


def test_spec_goes_through_json() -> None:
    spec = small(tomography=Tomography(bad_columns=((3, -0.1),), projections=400, linearised=True))
    assert spec_from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert spec_from_dict(json.loads(json.dumps(small().to_dict()))) == small()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"imaging": Imaging(rings=0.02)}, "painted"),
        ({"imaging": Imaging(cupping=0.1)}, "painted"),
        ({"field_of_view_mm": 6.0}, "field of view"),
        ({"tomography": Tomography(bad_columns=((500, -1.0),))}, "column"),
    ],
)
def test_what_cannot_be_projected_is_refused(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(ScanError, match=word):
        draw(small(**{"view": "slice", "tomography": Tomography()} | changes))


@pytest.mark.parametrize(
    "tube",
    [
        {"tube_voltage_kv": 10.0},
        {"energy_kev": 5.0},
        {"filter_material": "gold"},
        {"projections": 1},
        {"bad_columns": ((0, -2.0),)},
    ],
)
def test_a_tube_that_is_not_known_is_refused(tube: dict[str, Any]) -> None:
    with pytest.raises(ScanError):
        small(tomography=Tomography(**tube))


def test_no_cathode_no_greys() -> None:
    empty = replace(SLICE, lead_in_turns=SLICE.turns)
    with pytest.raises(ScanError, match="cathode"):
        exposure(empty, Tomography(projections=20))


def test_command_writes_a_projected_phantom_and_its_beam(tmp_path: Path) -> None:
    options = ["--format", "small", "--view", "slice", "--voxel-size", "0.1", "--formation", "projected"]
    result = CliRunner().invoke(app, ["phantom", str(tmp_path / "p"), *options])
    assert result.exit_code == 0, result.output
    sidecar = yaml.safe_load((tmp_path / "p" / "acquisition.yaml").read_text())
    assert sidecar["tube_voltage_kv"] == 160.0
    assert sidecar["projections"] >= math.pi * 80
    assert json.loads((tmp_path / "p" / "truth.json").read_text())["spec"]["tomography"]["filter_mm"] == 0.5


# --- what the measurements make of it --------------------------------------------------------------------


def test_without_hardening_and_blurred_signals_the_can_is_where_it_was_drawn() -> None:
    """Interpolation alone blurs line integrals, not signals, and so moves no edge."""
    spec = small(
        view="roll",
        roll_in_view_mm=0.4,
        imaging=Imaging(noise=0.005, blur_px=0.57, blur_z_px=0.57),
        tomography=Tomography(energy_kev=90.0, projections=400),
    )
    cell, truth = phantom_cell(draw(spec), angles=72)
    found = {m.name: m.value for m in Canister().measure(cell).measurements}
    for name in ("canister.outer_diameter", "canister.inner_diameter", "canister.wall_thickness.mean"):
        assert found[name] == pytest.approx(truth[name], abs=0.1 * 0.04), name


@cache
def measured() -> tuple[dict[str, float], dict[str, Any]]:
    """One end, hardened beam, noise and faint rings; values and truth by name."""
    spec = small(roll_in_view_mm=1.4, beyond_mm=1.3, tomography=Tomography(projections=400, gain_sd=0.002))
    cell, truth = phantom_cell(draw(spec), angles=120)
    found = {}
    for metric in (Canister(), OverhangMetric(), WindingMetric()):
        found |= {m.name: m.value for m in metric.measure(cell).measurements if m.value is not None}
    return found, dict(truth)


@pytest.mark.parametrize(
    ("name", "voxels"),
    [
        # hardening moves the can's edges apart by some 0.2 voxel of diameter; blurred signals move the outer
        # one back by nearly as much
        ("canister.outer_diameter", 0.15),
        ("canister.inner_diameter", 0.35),
        ("canister.dent_depth", 0.15),
        ("overhang.length.mean", 0.3),
        ("overhang.length.min", 0.6),
        ("winding.pitch", 0.02),
    ],
)
def test_edges_are_measured_where_they_were_drawn(name: str, voxels: float) -> None:
    found, truth = measured()
    assert found[name] == pytest.approx(truth[name], abs=voxels * 0.04)


def test_turns_are_counted_and_no_overhang_is_invented_negative() -> None:
    found, truth = measured()
    assert found["winding.turns"] == truth["winding.turns"]
    assert found["overhang.negative_fraction"] == 0.0
