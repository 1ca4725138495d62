"""Faults of the roll and of the stack against sums of voxels and heights worked out here."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xctrules.core.errors import ScanError
from xctrules.cylinder.phantom import (
    Crumple,
    Curl,
    EdgeFault,
    Gap,
    Greys,
    Imaging,
    MissingFoil,
    Particle,
    Phantom,
    PhantomSpec,
    StackFault,
    draw,
    preset,
    small,
    spec_from_dict,
    spec_from_options,
    spoil,
    truth,
    turned,
)
from xctrules.cylinder.phantom.geometry import Winding
from xctrules.cylinder.phantom.named_faults import FAULTS, with_fault, with_faults
from xctrules.scans.opening import open_scan

CLEAN = Imaging(blur_px=0.0, noise=0.0, dtype="float32", clip_outside=False)
EVEN = {
    "overhang_sd_mm": 0.0, "edge_wave_mm": 0.0, "deflection_sd_deg": 0.0, "telescope_mm": 0.0,
    "deflection_inner_deg": 0.0, "deflection_outer_deg": 0.0, "fittings": False,
}  # fmt: skip
VOXEL = 0.04


def only(**greys: float) -> Greys:
    """Greys with 1 for the asked materials and 0 for all others, so that sums are volumes."""
    return Greys(**{name: 0.0 for name in vars(Greys())} | greys)


COPPER, CATHODE = only(copper=1.0), only(cathode_coating=1.0, aluminium=1.0)


def drawn(**changes: object) -> Phantom:
    return draw(small(**{"imaging": CLEAN, "roll_in_view_mm": 1.6} | EVEN | changes))


def volume_mm3(p: Phantom) -> float:
    return float(p.volume.astype(np.float64).sum()) * VOXEL**3


def foil_length(spec: PhantomSpec, first: float, last: float) -> float:
    """Length of the copper's spiral between two phases: the mean radius times the angle."""
    middle = spec.core_radius_mm + spec.pitch_mm * (first + last) / 2
    return 2 * math.pi * middle * (last - first)


# --- edges ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("electrode", ["anode", "cathode"])
@pytest.mark.parametrize(("by_mm", "width_deg"), [(0.5, 40.0), (-0.7, 360.0), (-0.3, 3.0), (0.4, 720.0)])
def test_an_edge_moved_over_a_stretch_has_its_area(electrode: str, by_mm: float, width_deg: float) -> None:
    fault = EdgeFault(electrode, by_mm, turn=4, theta_deg=70.0, width_deg=width_deg)
    greys = COPPER if electrode == "anode" else CATHODE
    more = volume_mm3(drawn(greys=greys, edge_faults=(fault,))) - volume_mm3(drawn(greys=greys))
    spec = small()
    half_a_pitch = 0.5 if electrode == "cathode" else 0.0  # the cathode lies so far outside its copper
    first, last = (p + half_a_pitch for p in Winding(spec).stretch(fault))
    thick = spec.layers.copper_mm if electrode == "anode" else spec.layers.cathode_mm
    # a cathode is half a per cent wider at its outside than inside; both ends are cut to a tenth of a voxel
    wanted = by_mm * thick * foil_length(spec, first, last)
    assert more == pytest.approx(wanted, rel=0.005, abs=abs(by_mm) * thick * 2 * 0.1 * VOXEL)


def test_a_notch_of_one_voxel_has_its_area() -> None:
    fault = EdgeFault("anode", -1.0, turn=5, theta_deg=11.0, width_mm=VOXEL)
    less = volume_mm3(drawn(greys=COPPER)) - volume_mm3(drawn(greys=COPPER, edge_faults=(fault,)))
    # each of its two sides cut to a tenth of a voxel
    assert less == pytest.approx(1.0 * VOXEL * small().layers.copper_mm, rel=0.2)


def test_a_raised_cathode_does_not_raise_the_anode_and_makes_both_its_foils_short() -> None:
    fault = EdgeFault("cathode", 1.0, turn=4, theta_deg=100.0, width_deg=30.0)
    p = drawn(edge_faults=(fault,))
    length = np.array(p.truth["samples"]["top"]["length_mm"], dtype=float)
    assert length[4, 100] == pytest.approx(0.66 - 1.0, abs=1e-9)  # the cathode lies outside it
    assert length[5, 100] == pytest.approx(0.66 - 1.0, abs=1e-9)  # and inside this one
    assert length[3, 100] == length[6, 100] == pytest.approx(0.66, abs=1e-9)
    assert length[4, 120] == length[4, 80] == pytest.approx(0.66, abs=1e-9)
    assert p.truth["measurements"]["overhang.length.min"] == pytest.approx(-0.34, abs=1e-9)
    (told,) = p.truth["faults"]
    assert (told["fault"], told["size"], told["unit"]) == ("cathode high", 1.0, "mm")
    assert (told["at"]["turn"], told["at"]["theta_deg"], told["at"]["width_deg"]) == (4, 100.0, 30.0)


def test_a_telescoped_roll_is_short_only_where_it_slipped() -> None:
    spec = with_fault(small(**EVEN), "roll-telescoped:1.0,turn=4,theta=30")
    length = np.array(truth(spec)["samples"]["top"]["length_mm"], dtype=float)
    # the foil of the first turn that slipped lies outside a cathode that did not
    assert length[4, 40:].min() == length[4, 40:].max() == pytest.approx(0.66 - 1.0, abs=1e-9)
    assert np.nanmin(length[:4]) == np.nanmin(length[6:]) == pytest.approx(0.66, abs=1e-9)
    heights = np.array(truth(spec)["samples"]["top"]["anode_z_mm"], dtype=float)
    assert heights[6, 100] - heights[2, 100] == pytest.approx(
        1.0, abs=1e-9
    )  # z grows inward, away from the top


def test_the_last_degrees_that_face_a_cathode_are_low() -> None:
    spec = with_fault(small(**EVEN), "anode-end-low:1.0,degrees=15")
    winding = Winding(spec)
    length = winding.anode_edge("top") - winding.facing_edge("top")
    short = np.isfinite(winding.facing_edge("top")) & (length < 0)
    assert short.sum() / 1440 * 360 == pytest.approx(15.0, abs=0.5)
    assert winding.phases[short].max() == pytest.approx(spec.turns - 0.1, abs=0.001)


def test_an_anode_that_ends_early_is_told() -> None:
    p = truth(with_fault(small(), "anode-ends-early:15"))
    (told,) = p["faults"]
    assert (told["fault"], told["unit"]) == ("cathode bare", "deg")
    assert told["size"] == pytest.approx(15.0)


# --- missing, parted, crumpled, curled --------------------------------------------------------------------


@pytest.mark.parametrize("width_deg", [2.0, 60.0, 360.0])
def test_missing_anode_has_its_area_and_leaves_no_overhang(width_deg: float) -> None:
    fault = MissingFoil(turn=4, theta_deg=100.0, width_deg=width_deg)
    whole, short = (
        drawn(greys=COPPER, view="slice"),
        drawn(greys=COPPER, view="slice", missing_foils=(fault,)),
    )
    spec = small()
    length = foil_length(spec, *Winding(spec).stretch(fault))
    less = (volume_mm3(whole) - volume_mm3(short)) / VOXEL
    # both ends of the gap are cut to a tenth of a voxel
    assert less == pytest.approx(length * spec.layers.copper_mm, abs=2 * 0.1 * VOXEL * spec.layers.copper_mm)
    told = truth(small(missing_foils=(fault,)))
    assert told["samples"]["top"]["length_mm"][4][100] is None
    assert "overhang.length.min" not in told["measurements"]
    assert "overhang.base_height.std" in told["measurements"]
    assert told["faults"][0]["size"] == pytest.approx(length)


def test_a_delamination_parts_layers_by_its_width_and_fills_with_liquid() -> None:
    gap = Gap(turn=3, theta_deg=0.0, width_deg=150.0, gap_mm=0.15)
    fine = {"view": "slice", "voxel_size_mm": (0.01,) * 3, "outer_diameter_mm": 8.6}

    def foils(**changes: object) -> np.ndarray:
        p = drawn(greys=COPPER, **fine, **changes)
        row = p.volume[0, p.volume.shape[1] // 2, p.volume.shape[2] // 2 :]  # outward along theta 0
        peaks = [k for k in range(1, len(row) - 1) if row[k] >= row[k - 1] and row[k] > row[k + 1] > -1]
        return np.array([k for k in peaks if row[k] > 0.5]) * 0.01

    sound, parted = foils(), foils(gaps=(gap,))
    apart = parted - sound
    # the seat of the gap lies outside the copper of turn 3, which is the third or fourth from inside here
    assert apart[:3] == pytest.approx(0.0, abs=0.011)
    assert apart[3] == pytest.approx(0.15, abs=0.011) or apart[4] == pytest.approx(0.15, abs=0.011)
    assert (
        truth(small(gaps=(gap,), outer_diameter_mm=8.6))["measurements"]["winding.delamination.largest"]
        == 0.15
    )


def test_a_gap_that_would_push_the_roll_into_the_can_is_refused() -> None:
    with pytest.raises(ScanError, match="into the can"):
        small(gaps=(Gap(gap_mm=0.5),))


def test_a_crumpled_core_changes_nothing_outside_its_radius() -> None:
    sound, crumpled = drawn(view="slice"), drawn(view="slice", crumple=Crumple(radius_mm=2.0))
    ny, nx = sound.volume.shape[1:]
    y, x = np.mgrid[:ny, :nx]
    r = np.hypot(x - (nx - 1) / 2, y - (ny - 1) / 2) * VOXEL
    change = np.abs(sound.volume[0] - crumpled.volume[0])
    assert change[r > 2.0].max() == 0.0
    assert change[(r > 0.9) & (r < 1.6)].mean() > 10.0
    assert "winding.max_abs_error" not in crumpled.truth["measurements"]


@pytest.mark.parametrize(("turn", "bend_deg"), [(3, -60.0), (0, -120.0), (3, -180.0), (6, 90.0)])
def test_curled_foil_keeps_its_length_and_its_thickness(turn: int, bend_deg: float) -> None:
    curl = Curl(turn=turn, theta_deg=100.0, width_deg=60.0, bend_deg=bend_deg, bend_radius_mm=0.08)
    wide = {"greys": COPPER, "outer_diameter_mm": 9.5}  # so that it lies in nobody's way
    sound, bent = drawn(**wide), drawn(**wide, curls=(curl,))
    spec = small()
    first, last = Winding(spec).stretch(curl)
    # the bent part's middle lies nearer to the axis or further out than the foil's line, and is as wide there
    bend, free = math.radians(abs(bend_deg)), 0.66 - curl.straight_mm
    arc = bend * curl.bend_radius_mm
    on_arc = curl.bend_radius_mm * (1 - math.sin(bend) / bend)
    after = curl.bend_radius_mm * (1 - math.cos(bend)) + (free - arc) / 2 * math.sin(bend)
    aside = math.copysign((arc * on_arc + (free - arc) * after) / free, bend_deg)
    more = 2 * math.pi * (last - first) * aside * free * spec.layers.copper_mm
    whole = foil_length(spec, first, last) * free * spec.layers.copper_mm
    # beside that, the map's mesh and the cuts at both sides: a per cent each
    assert volume_mm3(bent) - volume_mm3(sound) == pytest.approx(more, abs=0.02 * whole)
    assert bent.truth["samples"]["top"]["length_mm"][turn][100] is None
    assert bent.truth["faults"][0]["fault"] == "foil curled"


@pytest.mark.parametrize("diameter", [0.1, 0.3])
@pytest.mark.parametrize("tilt_deg", [0.0, 2.0])
def test_a_particle_has_its_volume_and_its_place(diameter: float, tilt_deg: float) -> None:
    ball = Particle(diameter, radius_mm=2.31, theta_deg=57.0, out_mm=-0.7, grey=1.0)
    p = drawn(greys=only(), particles=(ball,), tilt_deg=tilt_deg)
    assert volume_mm3(p) == pytest.approx(math.pi / 6 * diameter**3, rel=0.02)
    z, y, x = (float((index * p.volume).sum() / p.volume.sum()) for index in np.indices(p.volume.shape))
    ox, oy = p.truth["frame"]["origin_mm"]
    ax, ay, az = p.truth["frame"]["axis"]
    x, y = x * VOXEL - ox - z * VOXEL * ax / az, y * VOXEL - oy - z * VOXEL * ay / az
    # a tilted cell's own plane differs from the slice by the square of the tilt
    assert math.hypot(x, y) == pytest.approx(2.31, abs=0.01)
    assert math.degrees(math.atan2(y, x)) == pytest.approx(57.0, abs=0.3)
    assert p.truth["measurements"]["contamination.largest"] == diameter
    assert p.truth["measurements"]["contamination.count"] == 1


# --- the stack --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def noisy() -> Phantom:
    return draw(small(view="roll", roll_in_view_mm=0.6))


def test_slices_are_repeated_left_out_swapped_and_reversed(noisy: Phantom) -> None:
    volume, n = noisy.volume, len(noisy.volume)

    def order(kind: str, size: float) -> list[int]:
        stack = np.arange(n)[:, None, None]
        return [
            int(k) for k in spoil(stack, (VOXEL,) * 3, (StackFault(kind, size, at=4 / (n - 1)),))[:, 0, 0]
        ]

    assert order("repeated", 2) == [0, 1, 2, 3, 4, 4, *range(4, n)]
    assert order("missing", 3) == [0, 1, 2, 3, *range(7, n)]
    assert order("swapped", 2) == [0, 1, 2, 3, 6, 5, 4, *range(7, n)]
    assert order("reversed", 3) == [0, 1, 2, 3, 6, 5, 4, *range(7, n)]
    assert volume.shape[0] == n  # the drawn volume is as it was


@pytest.mark.parametrize("towards", [0.0, 90.0, 210.0])
def test_shifted_slices_lie_aside_with_their_noise(noisy: Phantom, towards: float) -> None:
    fault = StackFault("shifted", 0.13, at=0.5, direction_deg=towards)
    spoilt = spoil(noisy.volume, (VOXEL,) * 3, (fault,))
    k = fault.first_slice(len(spoilt))
    assert (spoilt[:k] == noisy.volume[:k]).all()

    def middle(image: np.ndarray) -> np.ndarray:
        y, x = np.indices(image.shape)
        return np.array([(x * image).sum(), (y * image).sum()]) / image.sum() * VOXEL

    moved = middle(spoilt[k].astype(float)) - middle(noisy.volume[k].astype(float))
    direction = np.array([math.cos(math.radians(towards)), math.sin(math.radians(towards))])
    assert moved == pytest.approx(0.13 * direction, abs=0.004)
    core = slice(95, 120), slice(95, 120)  # liquid, where there is nothing but noise
    assert spoilt[k][core].std() == pytest.approx(noisy.volume[k][core].std(), rel=0.15)


def test_turned_slices_are_those_of_the_turned_cell() -> None:
    spec = small(view="roll", roll_in_view_mm=0.12, imaging=replace(CLEAN, blur_px=1.2))
    by_stack = spoil(draw(spec).volume, (VOXEL,) * 3, (StackFault("turned", 20.0, at=0.0),))
    by_cell = draw(turned(spec, 20.0)).volume
    plain = draw(spec).volume
    assert np.abs(by_stack - by_cell).mean() < 0.2 * np.abs(plain - by_cell).mean()


def test_a_step_of_brightness_and_misstated_sizes(noisy: Phantom) -> None:
    brighter = spoil(noisy.volume, (VOXEL,) * 3, (StackFault("brightness", 0.1, at=0.5),))
    k = StackFault("brightness", 0.1, at=0.5).first_slice(len(brighter))
    assert brighter[k].mean() / noisy.volume[k].mean() == pytest.approx(1.1, abs=0.01)
    told = draw(
        small(view="slice", stack_faults=(StackFault("spacing", -0.5), StackFault("voxel", 0.1)))
    ).scan()
    assert told.voxel_size_mm == pytest.approx((0.022, 0.044, 0.044))


def test_greys_are_spoilt_everywhere_and_nowhere_else(noisy: Phantom) -> None:
    volume = noisy.volume.astype(np.float32)
    metal = np.percentile(noisy.volume[len(volume) // 2], 99.5)

    def spoilt(kind: str, size: float, of: np.ndarray = noisy.volume) -> np.ndarray:
        return spoil(of, (VOXEL,) * 3, (StackFault(kind, size),)).astype(np.float32)

    assert (spoilt("inverted", 1.0) == 255 - volume).all()
    assert (spoilt("blacks", 0.3) == np.maximum(volume, np.rint(0.3 * metal))).all()
    assert (spoilt("whites", 0.5) == np.minimum(volume, np.rint(0.5 * metal))).all()
    assert spoilt("gamma", 0.5)[3, 100, 100] == np.rint(metal * (volume[3, 100, 100] / metal) ** 0.5)
    hot = spoilt("hot", 20)
    assert 15 <= (hot != volume).sum() <= 20 and hot[hot != volume].min() == 255
    beyond = spoilt("beyond", -1000.0, of=volume)
    ny, nx = volume.shape[1:]
    y, x = np.ogrid[:ny, :nx]
    outside = np.hypot(y - (ny - 1) / 2, x - (nx - 1) / 2) > min(ny, nx) / 2
    assert (beyond[:, outside] == -1000).all() and (beyond[:, ~outside] == volume[:, ~outside]).all()


def test_a_spoilt_stack_is_written_with_what_its_sidecar_says(tmp_path: Path) -> None:
    spec = small(
        view="roll", roll_in_view_mm=0.4, stack_faults=(StackFault("missing", 3), StackFault("spacing", 1.0))
    )
    scan = open_scan(draw(spec).write(tmp_path / "cell"))
    assert scan.shape[0] == draw(replace(spec, stack_faults=())).volume.shape[0] - 3
    assert scan.voxel_size_mm[0] == pytest.approx(0.08)


# --- by name ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAULTS)
def test_every_named_fault_is_drawn_and_told_with_its_size(name: str) -> None:
    kind = FAULTS[name]
    spec = with_fault(small(), name)
    (told,) = truth(spec)["faults"]
    if name == "anode-notch":  # its size runs along the foil
        assert told["at"]["width_deg"] == pytest.approx(14.08, abs=0.01)
    elif name == "anode-missing":  # asked for by its angle, told by its length
        assert told["at"]["width_deg"] == kind.values["size"]
    else:
        assert told["size"] == pytest.approx(kind.values["size"])
    assert spec_from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    changed = draw(replace(spec, view="roll" if name.startswith("slices") else spec.view))
    assert changed.volume.size


@pytest.mark.parametrize("name", ["cathode-high", "anode-missing", "foil-curled", "delamination", "particle"])
def test_faults_turn_with_the_cell(name: str) -> None:
    spec = with_fault(small(imaging=CLEAN, roll_in_view_mm=1.0, **EVEN), name)
    quarter = draw(turned(spec, 90.0)).volume
    plain = draw(spec).volume
    assert np.abs(np.rot90(plain, -1, axes=(1, 2)) - quarter).mean() < 0.3


def test_faults_combine_and_a_drawing_is_the_same_each_time() -> None:
    spec = with_faults(small(), "cathode-high:0.8,turn=3; particle:0.2; slices-missing:2")
    assert [f["fault"] for f in truth(spec)["faults"]] == ["cathode high", "particle", "slices missing"]
    assert draw(spec).volume.tobytes() == draw(spec).volume.tobytes()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cathode-hihg:1", "cathode-high"),
        ("anode-low:1,trun=4", "trun"),
        ("anode-low:much", "no number"),
        ("anode-low:1,turn=inf", "no number"),
    ],
)
def test_what_cannot_be_a_fault_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(ScanError, match=words):
        with_fault(small(), text)


def test_other_cells_are_drawn_from_options() -> None:
    spec = spec_from_options(
        "18650",
        pitch_mm=0.24,
        turns=29.0,
        chemistry="lfp",
        handedness=-1,
        tabs=3,
        pin=True,
        core_radius_mm=1.5,
    )
    assert len(spec.tabs) == 3 and spec.pin is not None and spec.handedness == -1
    assert spec.greys.cathode_coating - spec.greys.anode_coating < 0.1 * spec.greys.copper
    room = spec.pitch_mm - spec.layers.copper_mm - 2 * spec.layers.separator_mm - spec.layers.cathode_mm
    assert 0.3 < room / (2 * spec.layers.cathode_coating_mm) < 1.5  # anode about as thick as the cathode
    thick = spec_from_options("4680", pitch_mm=0.6, turns=30.0)
    assert thick.layers.cathode_coating_mm > preset("4680").layers.cathode_coating_mm
    with pytest.raises(ScanError, match="handedness"):
        spec_from_options("small", handedness=0)


def test_the_documentation_names_every_fault() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "phantoms.md").read_text(encoding="utf-8")
    section = text.split("## Faults by name")[1].split("## What its truth means")[0]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", section, flags=re.M)) == set(FAULTS)
