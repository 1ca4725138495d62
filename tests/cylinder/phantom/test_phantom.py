"""Phantoms against geometry worked out here in other ways: sums of voxels, finer drawings, formulas."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from xctrules.core.errors import OutputError, ScanError
from xctrules.cylinder.phantom import (
    PRESETS,
    Buckle,
    CentrePin,
    Dent,
    Greys,
    Imaging,
    NegativeOverhang,
    Phantom,
    Tab,
    canister_mask,
    draw,
    electrode_mask,
    preset,
    small,
    spec_from_dict,
    spec_from_options,
    truth,
    turned,
)
from xctrules.scans.opening import open_scan

CLEAN = Imaging(blur_px=0.0, noise=0.0, dtype="float32", clip_outside=False)
STILL = {"overhang_sd_mm": 0.0, "edge_wave_mm": 0.0, "deflection_sd_deg": 0.0, "telescope_mm": 0.0}
UPRIGHT = STILL | {"deflection_inner_deg": 0.0, "deflection_outer_deg": 0.0}


def only(**greys: float) -> Greys:
    """Greys with 1 for the asked materials and 0 for all others, so that sums are volumes."""
    return Greys(**{name: 0.0 for name in vars(Greys())} | greys)


def drawn(**changes: object) -> Phantom:
    return draw(small(**{"imaging": CLEAN} | changes))


def cell_angle(p: Phantom) -> tuple[np.ndarray, np.ndarray]:
    """Radius (mm) and angle (degrees) of every pixel of an upright cell in the middle of its volume."""
    _, ny, nx = p.volume.shape
    _, dy, dx = p.spec.voxel_size_mm
    y, x = np.mgrid[:ny, :nx]
    x, y = (x - (nx - 1) / 2) * dx, (y - (ny - 1) / 2) * dy
    return np.hypot(x, y), np.degrees(np.arctan2(y, x)) % 360


# --- areas ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("voxel", [0.017, 0.04, 0.09])
def test_can_wall_has_the_area_of_its_ring(voxel: float) -> None:
    p = drawn(view="slice", voxel_size_mm=(voxel,) * 3, greys=only(can=1.0), wall_mm=0.213)
    ring = math.pi * (4.0**2 - (4.0 - 0.213) ** 2)
    assert p.volume.sum() * voxel**2 == pytest.approx(ring, rel=1e-4)


def test_oval_can_of_uneven_wall_has_its_area() -> None:
    changes = {"ovality_mm": 0.3, "ovality_deg": 25.0, "wall_variation_mm": 0.05, "wall_variation_deg": 100.0}
    solid = Greys(**{name: 1.0 for name in vars(Greys())} | {"outside": 0.0})
    p = drawn(view="slice", greys=solid, **changes)
    a, b = 4.0 + 0.075, 4.0 - 0.075
    assert p.volume.sum() * 0.04**2 == pytest.approx(math.pi * a * b, rel=1e-4)
    assert p.truth["measurements"]["canister.outer_diameter"] == pytest.approx(2 * math.sqrt(a * b), rel=1e-6)
    assert p.truth["measurements"]["canister.eccentricity"] == pytest.approx(math.sqrt(1 - (b / a) ** 2))


@pytest.mark.parametrize("handedness", [1, -1])
def test_copper_foil_has_the_area_of_its_spiral(handedness: int) -> None:
    p = drawn(view="slice", greys=only(copper=1.0), handedness=handedness)
    s = p.spec
    # length of the spiral to first order: the mean radius times the angle; the ends are cut to a pixel
    length = 2 * math.pi * s.turns * (s.core_radius_mm + s.pitch_mm * s.turns / 2)
    assert p.volume.sum() * 0.04**2 == pytest.approx(length * s.layers.copper_mm, rel=2e-3)


def test_layers_fill_the_pitch_without_gap_or_overlap() -> None:
    wound = ("copper", "anode_coating", "separator", "cathode_coating", "aluminium")
    p = drawn(
        view="slice", greys=only(**{name: 1.0 for name in wound}), lead_in_turns=0.0, lead_out_turns=1.0
    )
    r, _ = cell_angle(p)
    s = p.spec
    middle = (r > s.core_radius_mm + 1.5 * s.pitch_mm) & (r < s.core_radius_mm + (s.turns - 1.5) * s.pitch_mm)
    assert np.abs(p.volume[0][middle] - 1).max() < 2e-3


def test_volume_of_tilted_can_is_that_of_the_tube() -> None:
    p = drawn(view="roll", roll_in_view_mm=1.0, tilt_deg=4.0, tilt_direction_deg=35.0, greys=only(can=1.0))
    across = (
        math.pi * (4.0**2 - 3.75**2) / math.cos(math.radians(4.0))
    )  # slices cut a tilted tube in ellipses
    areas = p.volume.sum(axis=(1, 2)) * 0.04**2
    assert areas == pytest.approx(across, rel=5e-4)


# --- edges along the axis ---------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["top_to_bottom", "bottom_to_top"])
@pytest.mark.parametrize("overhang", [0.613, 0.25, -0.12])
def test_integrated_height_of_foil_and_cathode_gives_the_overhang(order: str, overhang: float) -> None:
    changes = UPRIGHT | {
        "overhang_mm": overhang,
        "slice_order": order,
        "fittings": False,
        "lead_in_turns": 0.0,
    }
    foil = drawn(greys=only(copper=1.0), **changes)
    cathode = drawn(greys=only(cathode_coating=1.0, aluminium=1.0), **changes)
    r, _ = cell_angle(foil)
    ring = (r > 1.4) & (r < 2.8)
    inner = 0 if order == "bottom_to_top" else -1  # a slice deep in the roll

    def height(p: Phantom) -> float:
        column = p.volume[:, ring].sum(axis=1)
        return float(column.sum() / column[inner]) * 0.04

    assert height(foil) - height(cathode) == pytest.approx(overhang, abs=2e-4)
    measured = foil.truth["measurements"]
    assert measured["overhang.top.length.mean"] == pytest.approx(overhang, abs=1e-9)
    assert measured["overhang.top.negative_fraction"] == (1.0 if overhang < 0 else 0.0)


def test_every_single_overhang_is_where_the_samples_say() -> None:
    """Foil and cathode edge by integrated height on single spots, against the table of samples."""
    fault = NegativeOverhang(turn=4, theta_deg=200.0, width_deg=30.0, length_mm=-0.1)
    changes = {
        "fittings": False, "deflection_inner_deg": 0.0, "deflection_outer_deg": 0.0, "deflection_sd_deg": 0.0,
        "overhang_sd_mm": 0.08, "telescope_mm": 0.3, "negative_overhangs": (fault,), "seed": 5,
    }  # fmt: skip
    foil = drawn(greys=only(copper=1.0), **changes)
    cathode = drawn(greys=only(cathode_coating=1.0, aluminium=1.0), **changes)
    r, theta = cell_angle(foil)
    top = foil.truth["samples"]["top"]
    s = foil.spec
    for turn in (2, 3, 4, 5):
        for angle in (90, 200, 205, 310):
            radius = top["radius_mm"][turn][angle]
            assert radius == pytest.approx(
                s.core_radius_mm + s.pitch_mm * (turn + (angle - s.start_deg) / 360)
            )
            near = np.abs((theta - angle + 180) % 360 - 180) * np.pi / 180 * r < 0.08
            foil_spot = near & (np.abs(r - radius) < s.pitch_mm / 4)
            faces = [near & (np.abs(r - radius - side * s.pitch_mm / 2) < s.pitch_mm / 6) for side in (-1, 1)]

            def height(p: Phantom, spot: np.ndarray) -> float:
                column = p.volume[:, spot].sum(axis=1)
                return float(column.sum() / column[-1]) * 0.04

            measured = height(foil, foil_spot) - max(height(cathode, face) for face in faces)
            # the spot is 0.16 mm wide along the tape, over which the drawn edges slope
            assert measured == pytest.approx(top["length_mm"][turn][angle], abs=6e-3)
    assert top["length_mm"][4][200] == pytest.approx(-0.1, abs=1e-6)
    assert foil.truth["measurements"]["overhang.length.min"] == pytest.approx(-0.1, abs=1e-6)


def test_free_foil_leans_by_the_deflection() -> None:
    lean = STILL | {
        "deflection_inner_deg": -9.0,
        "deflection_outer_deg": -9.0,
        "fittings": False,
        "turns": 6.0,
    }
    p = drawn(greys=only(copper=1.0), lead_in_turns=0.0, voxel_size_mm=(0.04, 0.02, 0.02), **lean)
    r, theta = cell_angle(p)
    s = p.spec
    edge, outward = p.truth["frame"]["edges"]["top"].values()
    z = np.arange(len(p.volume)) * 0.04
    out = outward * (z - edge)
    turn, angle = 3, 100
    home = s.core_radius_mm + s.pitch_mm * (turn + (angle - s.start_deg) / 360)
    spot = (np.abs(theta - angle) * np.pi / 180 * r < 0.1) & (np.abs(r - home + 0.06) < s.pitch_mm / 2.2)
    away = r[spot] - s.pitch_mm * (theta[spot] - angle) / 360 - home
    free = (out > 0.05) & (out < 0.55)
    centre = (p.volume[:, spot] * away).sum(axis=1)[free] / p.volume[:, spot].sum(axis=1)[free]
    slope = np.polyfit(out[free], centre, 1)[0]
    assert math.degrees(math.atan(slope)) == pytest.approx(-9.0, abs=0.15)
    assert p.truth["measurements"]["overhang.deflection.mean"] == pytest.approx(-9.0)
    assert p.truth["measurements"]["overhang.deflection.max_abs"] == pytest.approx(9.0)


def test_overhang_by_turn_and_around() -> None:
    changes = UPRIGHT | {
        "overhang_by_turn_mm": (0.2, 0.3, 0.4, 0.5),
        "overhang_wave_mm": 0.1,
        "overhang_wave_deg": 70.0,
    }
    table = np.array(truth(small(**changes))["samples"]["top"]["length_mm"], dtype=float)
    around = 0.1 * np.cos(np.radians(np.arange(360) - 70.0))
    for turn, mean in ((2, 0.4), (3, 0.5), (5, 0.5)):
        # the tape's table holds an entry for each quarter of a degree
        assert table[turn] == pytest.approx(mean + around, abs=0.1 * np.radians(0.25))


def test_both_ends_are_a_roll_apart() -> None:
    p = drawn(view="both", **UPRIGHT)
    frame, samples = p.truth["frame"], p.truth["samples"]
    assert frame["edges"]["top"]["outward"] == -frame["edges"]["bottom"]["outward"]
    assert set(samples) == {"theta_deg", "top", "bottom"}
    bottom_face, top_face = (np.flatnonzero(p.volume.max(axis=(1, 2)) > 50)[i] for i in (0, -1))
    # the cap's terminal stands above the can's lip by less than half a millimetre
    assert (top_face - bottom_face) * 0.04 == pytest.approx(p.spec.height_mm, abs=0.5)


# --- how fine the drawing is ------------------------------------------------------------------------------


FAULTY = {
    "tilt_deg": 1.3, "tilt_direction_deg": 70.0, "offset_mm": (0.11, -0.07), "roll_offset_mm": (0.05, 0.03),
    "ovality_mm": 0.1, "dents": (Dent(60.0, depth_mm=0.15, width_mm=3.0, height_mm=1.5, out_mm=-0.3),),
    "buckle": Buckle(amplitude_mm=0.15), "tabs": (Tab(turn=3, theta_deg=300.0),), "pin": CentrePin(1.0, 0.15),
}  # fmt: skip


@pytest.mark.parametrize("faults", [{}, FAULTY], ids=["sound", "faulty"])
def test_a_voxel_is_the_mean_of_its_finer_voxels(faults: dict[str, object]) -> None:
    changes = faults | {"field_of_view_mm": 8.64, "roll_in_view_mm": 0.48, "beyond_mm": 0.64}
    coarse = drawn(voxel_size_mm=(0.08,) * 3, **changes)
    fine = drawn(voxel_size_mm=(0.02,) * 3, **changes)
    assert fine.volume.shape == tuple(4 * n for n in coarse.volume.shape)
    nz, ny, nx = coarse.volume.shape
    mean = fine.volume.reshape(nz, 4, ny, 4, nx, 4).mean(axis=(1, 3, 5))
    away = np.abs(mean - coarse.volume)
    # 197 grey levels between can and air: 0.6 levels are an edge's shift of 0.003 voxels
    assert math.sqrt(np.mean(away**2)) < 0.6
    assert abs(float(np.mean(mean - coarse.volume))) < 0.05


def test_blur_spreads_and_keeps_the_grey() -> None:
    sharp = draw(small(view="roll", roll_in_view_mm=0.6, imaging=CLEAN))
    soft = draw(small(view="roll", roll_in_view_mm=0.6, imaging=replace(CLEAN, blur_px=1.2)))
    assert soft.volume.sum() == pytest.approx(sharp.volume.sum(), rel=1e-5)
    assert soft.volume.std() < 0.95 * sharp.volume.std()


def test_blur_along_z_has_the_same_length_as_across() -> None:
    """Variance that blur adds to the edge spread of the can's bottom, on voxels twice as high as wide."""

    def variance(blur_px: float) -> float:
        p = drawn(
            imaging=replace(CLEAN, blur_px=blur_px), view="bottom", voxel_size_mm=(0.04, 0.02, 0.02),
            greys=only(can=1.0), bottom_mm=1.0, slice_order="bottom_to_top", roll_in_view_mm=0.2,
            field_of_view_mm=1.0,
        )  # fmt: skip
        _, ny, nx = p.volume.shape
        weight = np.diff(p.volume[:20, ny // 2, nx // 2].astype(float))
        at = (np.arange(weight.size) + 0.5) * 0.04
        mean = (weight * at).sum() / weight.sum()
        return float((weight * (at - mean) ** 2).sum() / weight.sum())

    assert math.sqrt(variance(2.0) - variance(0.0)) == pytest.approx(2.0 * 0.02, rel=0.01)


# --- faults are in the picture and in the truth -----------------------------------------------------------


def test_dent_moves_the_wall_by_its_depth() -> None:
    dent = Dent(theta_deg=90.0, depth_mm=0.3, width_mm=4.0, height_mm=2.0, out_mm=0.1)
    p = drawn(view="roll", roll_in_view_mm=2.4, dents=(dent,), turns=5.0, greys=only(can=1.0))
    _, ny, nx = p.volume.shape
    columns = p.volume[:, ny // 2 :, nx // 2 - 1 : nx // 2 + 1].mean(axis=2)  # towards +y
    y = (np.arange(ny // 2, ny) - (ny - 1) / 2) * 0.04
    middle = (columns * y).sum(axis=1) / columns.sum(axis=1)
    z = (np.arange(len(middle)) - (len(middle) - 1) / 2) * 0.04
    expected = 3.875 - np.where(np.abs(z - 0.1) < 1, 0.3 * np.cos(np.pi * (z - 0.1) / 2) ** 2, 0)
    assert middle == pytest.approx(expected, abs=2e-3)
    measured = p.truth["measurements"]
    assert measured["canister.dent_depth"] == pytest.approx(0.3, abs=1e-6)
    assert measured["canister.outer_diameter"] < 8.0
    # a wall pushed inward along the radius gets thinner across its slope, never thicker
    assert measured["canister.wall_thickness.min"] < 0.25 <= measured["canister.wall_thickness.max"] + 1e-9


def test_roundness_of_an_ellipse_is_half_its_ovality() -> None:
    """Semi-axes differ by half of what the axes differ; an independent closed form."""
    assert truth(small(ovality_mm=0.2))["measurements"]["canister.roundness"] == pytest.approx(0.1, abs=1e-3)
    assert truth(small())["measurements"]["canister.roundness"] == pytest.approx(0.0, abs=1e-9)


def test_uneven_wall_statistics() -> None:
    m = truth(small(wall_variation_mm=0.03))["measurements"]
    assert m["canister.wall_thickness.min"] == pytest.approx(0.22, abs=1e-4)
    assert m["canister.wall_thickness.max"] == pytest.approx(0.28, abs=1e-4)
    assert m["canister.wall_thickness.std"] == pytest.approx(0.03 / math.sqrt(2), rel=1e-2)
    assert m["canister.wall_thickness.mean"] == pytest.approx(0.25, abs=1e-4)


def foil_radius(p: Phantom, theta_deg: float, low: float, high: float) -> float:
    """Centre of the copper along one ray, by first moment, in a slice of copper alone."""
    r, theta = cell_angle(p)
    near = (np.abs((theta - theta_deg + 180) % 360 - 180) * np.pi / 180 * r < 0.06) & (r > low) & (r < high)
    weight = p.volume[0][near]
    return float((weight * r[near]).sum() / weight.sum())


def test_buckle_pushes_the_inner_foil_by_its_amplitude() -> None:
    changes = {"view": "slice", "voxel_size_mm": (0.02,) * 3, "greys": only(copper=1.0), "start_deg": 0.0}
    sound = drawn(**changes)
    bent = drawn(buckle=Buckle(amplitude_mm=0.2, theta_deg=4.0, width_deg=90.0, decay_mm=1.0), **changes)
    before = foil_radius(sound, 4.0, 0.7, 1.0)
    after = foil_radius(bent, 4.0, 0.5, 0.8)
    assert before - after == pytest.approx(0.2, abs=0.004)
    assert bent.truth["measurements"]["winding.core_collapse"] == pytest.approx(0.2, abs=0.003)
    assert sound.truth["measurements"]["winding.core_collapse"] == 0.0
    further = foil_radius(sound, 4.0, 0.85 + 3 * 0.384 - 0.1, 0.85 + 3 * 0.384 + 0.15)
    pushed = foil_radius(bent, 4.0, 0.85 + 3 * 0.384 - 0.25, 0.85 + 3 * 0.384 + 0.15)
    assert further - pushed == pytest.approx(0.2 * math.exp(-3 * 0.384 / 1.0), abs=0.008)
    assert foil_radius(sound, 184.0, 1.0, 1.2) == pytest.approx(foil_radius(bent, 184.0, 1.0, 1.2), abs=1e-6)


def test_tab_lifts_what_lies_outside_it_and_stands_in_the_gap() -> None:
    changes = {"view": "slice", "voxel_size_mm": (0.02,) * 3, "start_deg": 0.0}
    tab = Tab(turn=3, theta_deg=90.0, electrode="cathode", thickness_mm=0.12, width_mm=1.5)
    seat = 0.85 + 0.384 * 3.25 + 0.192 + 0.007
    sound = drawn(greys=only(copper=1.0), **changes)
    lifted = drawn(greys=only(copper=1.0), tabs=(tab,), **changes)
    inside, outside = 0.85 + 0.384 * 3.25, 0.85 + 0.384 * 4.25
    for home, moved in ((inside, 0.0), (outside, 0.12 * math.exp(-(outside - seat) / 2.0))):
        was = foil_radius(sound, 90.0, home - 0.1, home + 0.1)
        now = foil_radius(lifted, 90.0, home + moved - 0.1, home + moved + 0.1)
        assert now - was == pytest.approx(moved, abs=0.004)
    strip = drawn(greys=only(tab=1.0), tabs=(tab,), **changes)
    assert strip.volume.sum() * 0.02**2 == pytest.approx(1.5 * 0.12, rel=0.03)


def test_roll_can_stand_off_the_cans_axis() -> None:
    p = drawn(view="slice", greys=only(copper=1.0), roll_offset_mm=(0.08, -0.05), turns=7.0)
    _, ny, nx = p.volume.shape
    y, x = np.mgrid[:ny, :nx]
    centred = drawn(view="slice", greys=only(copper=1.0))

    def centroid(image: np.ndarray) -> np.ndarray:
        return np.array([(image * x).sum(), (image * y).sum()]) / image.sum() * 0.04

    assert centroid(p.volume[0]) - centroid(centred.volume[0]) == pytest.approx([0.08, -0.05], abs=1e-3)
    m = p.truth["measurements"]
    assert m["winding.concentricity"] == pytest.approx(math.hypot(0.08, 0.05))
    assert m["winding.can_gap.min"] < truth(small())["measurements"]["winding.can_gap.min"]


def test_can_gap_of_a_centred_roll() -> None:
    s = small()
    m = truth(s)["measurements"]
    last = s.core_radius_mm + s.pitch_mm * s.turns
    assert m["winding.can_gap.min"] == pytest.approx(3.75 - last, abs=1e-3)
    assert m["winding.can_gap.mean"] == pytest.approx(3.75 - last + s.pitch_mm / 2, abs=1e-3)


def test_tilt_and_offset_place_the_axis() -> None:
    """Centroids of the can's slices lie on the line that the truth states."""
    p = drawn(view="roll", roll_in_view_mm=3.0, tilt_deg=3.0, tilt_direction_deg=120.0, offset_mm=(0.2, -0.1),
              greys=only(can=1.0))  # fmt: skip
    frame = p.truth["frame"]
    nz, ny, nx = p.volume.shape
    y, x = np.mgrid[:ny, :nx]
    for k in (0, nz // 2, nz - 1):
        image = p.volume[k]
        at = np.array([(image * x).sum(), (image * y).sum()]) / image.sum() * 0.04
        lean = np.array(frame["axis"][:2]) / frame["axis"][2]
        assert at == pytest.approx(np.array(frame["origin_mm"]) + k * 0.04 * lean, abs=1e-3)
    assert math.degrees(math.acos(frame["axis"][2])) == pytest.approx(3.0)
    assert p.truth["measurements"]["canister.tilt"] == 3.0
    middle = (
        np.array(frame["origin_mm"]) + (nz - 1) / 2 * 0.04 * np.array(frame["axis"][:2]) / frame["axis"][2]
    )
    assert middle == pytest.approx([(nx - 1) / 2 * 0.04 + 0.2, (ny - 1) / 2 * 0.04 - 0.1])


def test_turning_the_cell_turns_its_picture() -> None:
    """A quarter turn of the cell is a quarter turn of the image, faults and all."""
    spec = small(imaging=CLEAN, **{k: v for k, v in FAULTY.items() if k not in ("tilt_deg", "offset_mm")},
                 negative_overhangs=(NegativeOverhang(turn=3, theta_deg=340.0),))  # fmt: skip
    before, after = draw(spec), draw(turned(spec, 90.0))
    # theta runs from +x to +y, which is down in the image: a quarter turn is rot90 the other way round
    spun = np.rot90(before.volume, k=-1, axes=(1, 2))
    assert np.abs(spun - after.volume).mean() < 0.02
    for name in ("overhang.length.min", "canister.dent_depth", "winding.core_collapse"):
        was, now = before.truth["measurements"][name], after.truth["measurements"][name]
        assert now == pytest.approx(was, abs=2e-3)


def test_straight_part_ends_where_the_wall_leaves_its_radius() -> None:
    p = drawn(view="both", greys=only(can=1.0))
    low, high = p.truth["frame"]["straight_mm"]
    r, _ = cell_angle(p)
    area = p.volume.sum(axis=(1, 2)) * 0.04**2
    ring = math.pi * (4.0**2 - 3.75**2)
    z = np.arange(len(area)) * 0.04
    inside = (z > low + 0.05) & (z < high - 0.05)
    assert area[inside] == pytest.approx(ring, rel=1e-3)
    # a quarter of a millimetre on, bead or bottom corner has left the straight cylinder
    outer_edge = p.volume[:, np.abs(r - 3.98) < 0.02].mean(axis=1)
    for beyond in (low - 0.25, high + 0.25):
        assert outer_edge[round(beyond / 0.04)] < 0.8 * outer_edge[inside].mean()


def test_bead_cap_and_bottom_are_there() -> None:
    p = drawn(view="both", imaging=Imaging(blur_px=0.5, noise=0.0, dtype="float32"))
    _, ny, nx = p.volume.shape
    plane = p.volume[:, ny // 2]
    g = p.spec.greys
    radius_of_metal = [np.flatnonzero(row > 0.7 * g.can) for row in plane]
    widths = np.array([np.ptp(found) * 0.04 if found.size else 0.0 for found in radius_of_metal])
    assert widths.max() == pytest.approx(8.0, abs=0.09)
    edge = p.truth["frame"]["edges"]["top"]["z_mm"]
    above = widths[: round((edge - p.spec.bead_out_mm) / 0.04)]
    assert above[above > 0].min() < 8.0 - 2 * p.spec.bead_depth_mm + 0.8  # the groove's root
    on_axis = plane[:, nx // 2]
    assert np.abs(on_axis - g.cap).min() < 3
    bottom = np.clip(on_axis[-40:] - g.void, 0, None).sum() * 0.04 / (g.can - g.void)  # metal along the axis
    assert bottom == pytest.approx(p.spec.bottom_mm, abs=0.01)


def test_pin_is_a_tube() -> None:
    p = drawn(view="slice", greys=only(pin=1.0), pin=CentrePin(outer_diameter_mm=1.1, wall_mm=0.15))
    assert p.volume.sum() * 0.04**2 == pytest.approx(math.pi * (0.55**2 - 0.4**2), rel=1e-3)


# --- imaging ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("correlation", [0.0, 0.9, 1.4])
def test_noise_has_the_asked_deviation_also_when_correlated(correlation: float) -> None:
    im = replace(CLEAN, noise=0.05, noise_correlation_px=correlation)
    noisy, clean = (draw(small(view="roll", roll_in_view_mm=1.0, imaging=i)).volume for i in (im, CLEAN))
    noise = noisy - clean
    assert noise.std() == pytest.approx(0.05 * 78.0, rel=0.02)
    assert abs(noise.mean()) < 0.05
    for axis in range(3):
        pair = np.moveaxis(noise, axis, 0)
        seen = float((pair[1:] * pair[:-1]).mean() / noise.var())
        assert seen == pytest.approx(math.exp(-1 / (4 * correlation**2)) if correlation else 0.0, abs=0.03)


def test_seed_decides_everything() -> None:
    one, same, other = (draw(small(seed=s, roll_in_view_mm=0.4, beyond_mm=0.9)) for s in (3, 3, 4))
    assert np.array_equal(one.volume, same.volume)
    assert one.truth == same.truth
    assert not np.array_equal(one.volume, other.volume)
    assert one.truth["samples"]["top"] != other.truth["samples"]["top"]


def test_grey_scales_and_types() -> None:
    def of(**imaging: object) -> np.ndarray:
        return draw(small(roll_in_view_mm=0.4, beyond_mm=0.4, imaging=Imaging(**imaging))).volume

    volumes = {kind: of(dtype=kind, noise=0.01) for kind in ("uint8", "uint16", "float32")}
    for kind, volume in volumes.items():
        assert volume.dtype == np.dtype(kind)
    assert np.abs(volumes["uint16"] / 256.0 - volumes["float32"].clip(0, None)).max() < 0.01
    assert np.abs(volumes["uint8"] - volumes["float32"].clip(0, None)).max() <= 0.5 + 1e-3
    offset = of(dtype="uint16", noise=0.0, grey_scale=100.0, grey_offset=500.0)
    assert offset[0, 0, 0] == 500
    assert offset.max() == pytest.approx(500 + 100 * 197, rel=0.03)


def test_cupping_rings_streaks_and_clipping() -> None:
    def of(**imaging: object) -> np.ndarray:
        return draw(small(view="slice", imaging=replace(CLEAN, **imaging))).volume[0]

    clean = of()
    r, _ = cell_angle(draw(small(view="slice", imaging=CLEAN)))
    cupped = of(cupping=0.2)
    for radius in (0.3, 2.0, 3.9):
        ring = np.abs(r - radius) < 0.1
        expected = 1 - 0.2 * (1 - (radius / 4) ** 2)
        assert cupped[ring].mean() / clean[ring].mean() == pytest.approx(expected, abs=0.01)
    rings = of(rings=0.05) - clean
    assert rings.std() == pytest.approx(0.05 * 78, rel=0.2)
    # equal along a ring: what differs between opposite pixels is nothing
    assert np.abs(rings - rings[::-1, ::-1]).max() < 1e-3
    assert (of(streaks=0.05) - clean).std() > 0.1
    assert (draw(small(view="slice", imaging=replace(CLEAN, noise=0.1))).volume[0][r > 4.25] != 0).any()
    assert not of(noise=0.1, clip_outside=True)[r > 4.25].any()


def test_field_of_view_can_cut_the_cell_off() -> None:
    p = drawn(view="roll", roll_in_view_mm=0.2, field_of_view_mm=6.0)
    assert p.volume.shape[1:] == (150, 150)
    full = drawn(view="roll", roll_in_view_mm=0.2)
    start = (full.volume.shape[1] - 150) / 2
    if start.is_integer():
        cut = full.volume[:, int(start) : int(start) + 150, int(start) : int(start) + 150]
        assert np.abs(cut - p.volume).max() < 1e-3


# --- masks ------------------------------------------------------------------------------------------------


def test_canister_mask_is_the_can_and_nothing_else() -> None:
    p = canister_mask(small(view="roll", roll_in_view_mm=0.4, dents=(Dent(depth_mm=0.2, out_mm=0.0),)))
    assert set(np.unique(p.volume)) == {0, 255}
    r, theta = cell_angle(p)
    far = np.abs((theta - 120 + 180) % 360 - 180) > 40
    assert p.volume[0][far & (r > 3.8) & (r < 3.96)].all()
    assert not p.volume[0][far & ((r < 3.7) | (r > 4.05))].any()
    assert p.truth["measurements"]["canister.dent_depth"] == pytest.approx(0.2)


def test_electrode_mask_has_one_band_for_each_turn() -> None:
    p = electrode_mask(small(view="slice", voxel_size_mm=(0.03,) * 3))
    assert set(np.unique(p.volume)) == {0, 255}
    _, ny, nx = p.volume.shape
    ray = p.volume[0, ny // 2, nx // 2 :] > 0
    assert np.count_nonzero(np.diff(ray.astype(int)) == 1) == p.spec.turns


# --- specs, files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_presets_fit_their_can_and_give_all_contract_names(name: str) -> None:
    spec = preset(name)
    m = truth(spec)["measurements"]
    assert spec.format == name
    # room for the outermost anode coating and separator between copper and can
    assert m["winding.can_gap.min"] > spec.layers.separator_mm + 0.05
    for stem in ("overhang", "overhang.top"):
        for statistic in ("length.mean", "length.std", "length.min", "length.max", "deflection.mean", "count",
                          "deflection.std", "deflection.max_abs", "base_height.std", "base_height.range",
                          "negative_fraction"):  # fmt: skip
            assert f"{stem}.{statistic}" in m
    assert all(math.isfinite(v) for v in m.values())


def test_spec_survives_json() -> None:
    spec = small(dents=(Dent(),), tabs=(Tab(), Tab(electrode="anode")), buckle=Buckle(), pin=CentrePin(),
                 negative_overhangs=(NegativeOverhang(),), overhang_by_turn_mm=(0.5,))  # fmt: skip
    assert spec_from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize(
    "changes",
    [
        {"turns": 40.0}, {"turns": 0.0}, {"pitch_mm": 0.15}, {"voxel_size_mm": (0.0, 0.04, 0.04)},
        {"tilt_deg": 45.0}, {"buckle": Buckle(amplitude_mm=2.0)}, {"view": "side"},
    ],
    ids=lambda c: next(iter(c)),
)  # fmt: skip
def test_cells_that_cannot_be_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ScanError, match="phantom"):
        small(**changes)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ScanError, match="18660"):
        preset("18660")
    with pytest.raises(ScanError, match="overhnag"):
        spec_from_dict({"overhnag_mm": 1.0})


def test_options_of_the_command() -> None:
    spec = spec_from_options(
        "small", view="bottom", voxel_size_mm=0.05, turns=6.0, overhang_mm=0.5, negative_overhang_mm=0.2,
        dent_mm=0.15, tilt_deg=1.0, buckle_mm=0.1, tab=True, pin=True, noise=0.03, blur_px=1.1, bits=16,
    )  # fmt: skip
    m = truth(spec)["measurements"]
    assert m["overhang.bottom.length.min"] == pytest.approx(-0.2, abs=1e-6)
    assert m["canister.dent_depth"] == pytest.approx(0.15, abs=1e-6)
    assert spec.imaging.dtype == "uint16"
    assert spec.voxel_size_mm == (0.05, 0.05, 0.05)
    with pytest.raises(ScanError, match="12 bits"):
        spec_from_options("small", bits=12)


def test_written_folder_holds_scan_sidecar_and_truth(tmp_path: Path) -> None:
    import tifffile

    p = draw(small(roll_in_view_mm=0.5, beyond_mm=0.9))
    folder = p.write(tmp_path / "cell")
    slices = sorted(folder.glob("*.tif"))
    assert np.array_equal(np.stack([tifffile.imread(f) for f in slices]), p.volume)
    sidecar = yaml.safe_load((folder / "acquisition.yaml").read_text())
    assert sidecar["voxel_size_mm"] == {"z": 0.04, "y": 0.04, "x": 0.04}
    assert sidecar["field_of_view"] == "top"
    known = json.loads((folder / "truth.json").read_text())
    assert known["measurements"] == p.truth["measurements"]
    assert spec_from_dict(known["spec"]) == p.spec
    assert [f.name for f in tmp_path.iterdir()] == ["cell"]


def test_nothing_of_others_is_overwritten(tmp_path: Path) -> None:
    p = draw(small(view="slice"))
    p.write(tmp_path / "cell")
    with pytest.raises(OutputError, match="exists"):
        p.write(tmp_path / "cell")
    p.write(tmp_path / "cell", force=True)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("years of work")
    with pytest.raises(OutputError, match="no phantom"):
        p.write(tmp_path / "thesis", force=True)
    assert (tmp_path / "thesis" / "chapter1.txt").exists()


@pytest.mark.parametrize(
    "changes",
    [{}, {"sleeve_mm": 0.05, "slice_order": "bottom_to_top", "voxel_scale_relative_uncertainty": None}],
    ids=["plain", "sleeve"],
)
def test_its_scan_knows_what_its_folder_says(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Whoever measures a phantom without writing it measures the same as whoever inspects its files."""
    p = draw(small(view="slice", **changes))
    opened, scan = open_scan(p.write(tmp_path / "cell")), p.scan()
    assert scan.acquisition == opened.acquisition
    assert scan.voxel_size_mm == opened.voxel_size_mm
    assert scan.scale == opened.scale
