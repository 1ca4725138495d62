"""Faults of drawn cans: each is measured right, or its interval says that it cannot be told better.

What is found wrong stands in the can's account, with its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from xctrules_canister.metric import Canister
from xctrules_segmentation.can import segment_can

from xctrules.core.ledger import Ledger
from xctrules.core.measurement import Measurement, Scale
from xctrules.cylinder.finding import CylinderFinder
from xctrules.cylinder.phantom import Dent, Imaging, PhantomSpec, Ring, WallPatch, draw, small, truth
from xctrules.cylinder.surfaces import CylinderCell, CylinderSettings, Segmentation

Found = tuple[Mapping[str, Measurement], Ledger]

USUAL = {"roll_in_view_mm": 1.2}
COARSE = {"voxel_size_mm": (0.06, 0.06, 0.06), "imaging": Imaging(noise=0.04)}
UNEVEN = {"voxel_size_mm": (0.068, 0.034, 0.034), "slice_order": "bottom_to_top"}
TILTED = {"tilt_deg": 0.8, "tilt_direction_deg": 40.0, "imaging": Imaging(noise=0.05, blur_px=1.2)}
SCANS = pytest.mark.parametrize(
    "scan", [{}, COARSE, UNEVEN, TILTED], ids=["even", "coarse", "uneven", "tilted"]
)


def spec_of(scan: Mapping[str, Any], **faults: Any) -> PhantomSpec:
    return small(**USUAL | scan | faults)


@cache
def measured(spec: PhantomSpec) -> Found:
    scan = draw(spec).scan()
    frame = CylinderFinder().find(scan, {}, None)
    cell = CylinderCell(scan, frame, Scale(0.0, True), CylinderSettings(angles=360), {})
    can = segment_can(cell)
    result = Canister().measure(replace(cell, segmentation=Segmentation(segmenter="test", can=can)))
    return {m.name.removeprefix("canister."): m for m in result.measurements}, result.ledgers[0]


def holds(m: Measurement, true: float, more: float = 0.0) -> bool:
    """Whether the interval holds the truth, at 1.3 times its width: it is one of 95 %."""
    assert m.value is not None and m.expanded_uncertainty is not None, m
    return abs(m.value - true) <= 1.3 * m.expanded_uncertainty + more


def height(spec: PhantomSpec, out_mm: float) -> float:
    edge = truth(spec)["frame"]["edges"]["top"]
    return float(edge["z_mm"] + edge["outward"] * out_mm)


# --- nothing wrong -----------------------------------------------------------------------------------------

SOUND: dict[str, dict[str, Any]] = {
    "plain": {},
    "bottom": {"view": "bottom"},
    "a piece of the roll": {"view": "roll"},
    "both ends": {"view": "both", "height_mm": 9.0},
    "cut off at the bead": {"beyond_mm": 1.5},
    "thin wall": {"wall_mm": 0.15},
    "oval and uneven": {"ovality_mm": 0.1, "wall_variation_mm": 0.03},
    "sleeve": {"sleeve_mm": 0.1},
    "rings, streaks, cupping": {"imaging": Imaging(rings=0.05, cupping=0.1, streaks=0.03)},
    "poor scan": {"imaging": Imaging(noise=0.08, blur_px=1.5, clip_outside=False)},
    "open tube": {"fittings": False},
}


@pytest.mark.parametrize("kind", SOUND.values(), ids=SOUND.keys())
def test_sound_cans_have_no_finding(kind: dict[str, Any]) -> None:
    spec = spec_of({}, **kind)
    found, ledger = measured(spec)
    assert ledger.unexplained == () and ledger.expected == ledger.measured > 10
    assert found["opening.largest"].value == found["completeness"].value == 0.0
    assert holds(found["groove_depth"], 0.0)
    assert found["wall_thickness.min"].value == pytest.approx(
        truth(spec)["measurements"]["canister.wall_thickness.min"], abs=0.3 * spec.voxel_size_mm[2]
    )


@SCANS
def test_all_scans_of_a_sound_can_have_no_finding(scan: dict[str, Any]) -> None:
    assert measured(spec_of(scan))[1].unexplained == ()


@pytest.mark.parametrize("tilt", [0.4, 0.8, 2.0])
def test_a_tilt_makes_no_form(tilt: float) -> None:
    """Sections lie across the axis: oblique ones would be longer one way by 1 / cos, 5 um at 2 degrees."""
    spec = spec_of({}, tilt_deg=tilt, tilt_direction_deg=70.0, imaging=Imaging(noise=0.03))
    found, _ = measured(spec)
    for name in ("ovality", "dent_depth"):
        m = found[name]
        assert holds(m, 0.0) and m.value is not None and m.value < 0.1 * spec.voxel_size_mm[2]


# --- dents -------------------------------------------------------------------------------------------------

DENTS = {
    "as wide as deep": Dent(depth_mm=0.5, width_mm=0.5, height_mm=0.5, out_mm=-0.6),
    "deep and narrow": Dent(depth_mm=0.9, width_mm=1.5, height_mm=1.5, out_mm=-0.5),
    "a crease along the can": Dent(depth_mm=0.6, width_mm=0.9, height_mm=3.0, out_mm=-0.2),
    "shallow and narrow": Dent(depth_mm=0.2, width_mm=0.6, height_mm=0.6, out_mm=-0.6),
    "at the lowest slice": Dent(depth_mm=0.4, width_mm=2.0, height_mm=1.0, out_mm=-1.15),
    "on the bead's flank": Dent(depth_mm=0.4, width_mm=2.0, height_mm=1.0, out_mm=1.2),
    "wide and shallow": Dent(depth_mm=0.1, width_mm=6.0, height_mm=3.0, out_mm=-0.3),
}


UPRIGHT = pytest.mark.parametrize("scan", [{}, COARSE, UNEVEN], ids=["even", "coarse", "uneven"])


@UPRIGHT
@pytest.mark.parametrize("dent", DENTS.values(), ids=DENTS.keys())
def test_dents_of_any_width(dent: Dent, scan: dict[str, Any]) -> None:
    """A tenth of a voxel more is for what a dent as steep as it is wide shows between the voxels."""
    spec = spec_of(scan, dents=(dent,))
    depth = measured(spec)[0]["dent_depth"]
    voxel = spec.voxel_size_mm[2]
    assert holds(depth, truth(spec)["measurements"]["canister.dent_depth"], 0.1 * voxel)
    assert depth.expanded_uncertainty is not None and depth.expanded_uncertainty < 0.2 * dent.depth_mm + voxel
    assert depth.worst_at is not None and abs(depth.worst_at["theta_deg"] - 120) < 12


# --- a thinned wall ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("taken_from", ["inside", "outside"])
@pytest.mark.parametrize("voxels", [4.0, 3.0, 2.0])
@pytest.mark.parametrize("voxel", [0.034, 0.05])
def test_a_thinned_wall_is_stated_as_thin_as_it_is(taken_from: Any, voxels: float, voxel: float) -> None:
    """A patch of wall 40 degrees wide, two to four voxels thick.

    Half a voxel, since thickness and grey of so thin a wall hardly separate.
    """
    patch = WallPatch(
        theta_deg=100.0,
        wall_mm=voxels * voxel,
        width_mm=2.8,
        height_mm=1.0,
        out_mm=-0.6,
        taken_from=taken_from,
    )
    spec = spec_of({"voxel_size_mm": (voxel,) * 3}, wall_patches=(patch,))
    found, ledger = measured(spec)
    thinnest = found["wall_thickness.min"]
    assert holds(thinnest, patch.wall_mm)
    assert thinnest.value == pytest.approx(patch.wall_mm, abs=0.5 * voxel)
    assert thinnest.worst_at is not None and abs(thinnest.worst_at["theta_deg"] - 100) < 22
    assert holds(found["wall_thickness.max"], 0.25)
    if patch.wall_mm < 0.4 * 0.25:  # clearly below half of the wall
        assert any("half as thick" in place.reason for place in ledger.unexplained)


@SCANS
def test_a_wall_too_thin_to_be_seen_is_no_sound_one(scan: dict[str, Any]) -> None:
    patch = WallPatch(theta_deg=100.0, wall_mm=0.03, width_mm=2.8, height_mm=1.0, out_mm=-0.6)
    found, ledger = measured(spec_of(scan, wall_patches=(patch,)))
    thinnest = found["wall_thickness.min"]
    assert thinnest.status == "not_measured" or holds(thinnest, patch.wall_mm)
    place = max(ledger.unexplained, key=lambda one: one.extent)
    assert place.extent > 1.5 and abs(place.at["theta_deg"] - 100) < 3


# --- openings ----------------------------------------------------------------------------------------------

OPENINGS = {
    "hole": WallPatch(theta_deg=50.0, width_mm=0.4, height_mm=0.4, out_mm=-0.6),
    "crack along": WallPatch(theta_deg=90.0, width_mm=0.15, height_mm=1.5, out_mm=-0.3),
    "crack around": WallPatch(theta_deg=150.0, width_mm=3.0, height_mm=0.15, out_mm=-0.6),
    "below the bead": WallPatch(theta_deg=210.0, width_mm=0.5, height_mm=0.5, out_mm=0.7),
    "at the lowest slice": WallPatch(theta_deg=300.0, width_mm=0.6, height_mm=0.6, out_mm=-1.15),
    "across the seam": WallPatch(theta_deg=0.0, width_mm=0.6, height_mm=0.4, out_mm=-0.6),
    "in the shoulder": WallPatch(theta_deg=330.0, width_mm=0.9, height_mm=0.4, out_mm=2.2),
}


@SCANS
def test_openings_of_any_form(scan: dict[str, Any]) -> None:
    """Each has a place of its own, of its size: the rim may lie a voxel further in or out on each side."""
    spec = spec_of(scan, wall_patches=tuple(OPENINGS.values()))
    found, ledger = measured(spec)
    z, _, x = spec.voxel_size_mm
    last = truth(spec)["frame"]["straight_mm"]
    for name, patch in OPENINGS.items():
        at = [
            p for p in ledger.unexplained if abs((p.at["theta_deg"] - patch.theta_deg + 180) % 360 - 180) < 4
        ]
        assert at, name
        place = max(at, key=lambda one: one.extent)
        assert place.extent > ledger.allowed and "no wall" in place.reason, name
        low, high = (height(spec, patch.out_mm) + side * patch.height_mm / 2 for side in (-1, 1))
        seen = min(high, last[1]) - max(low, last[0])
        if name != "in the shoulder":  # of which the round part is looked at less sharply
            least, most = ((patch.width_mm + 2 * s * x) * (seen + 2 * s * z) for s in (-1, 1))
            assert least <= place.extent <= most, name
    assert found["opening.largest"].value == max(
        p.extent for p in ledger.unexplained if "no wall" in p.reason
    )
    assert found["wall_thickness.min"].status == found["dent_depth"].status == "not_measured"


# --- grooves and bulges ------------------------------------------------------------------------------------

GROOVES = {
    "over the roll": Ring(depth_mm=0.2, height_mm=0.6, out_mm=-0.6),
    "at the lowest slice": Ring(depth_mm=0.2, height_mm=0.6, out_mm=-1.15),
    "below the bead": Ring(depth_mm=0.2, height_mm=0.5, out_mm=0.4),
    "in the shoulder": Ring(depth_mm=0.3, height_mm=0.5, out_mm=2.3),
}


@UPRIGHT
@pytest.mark.parametrize("ring", GROOVES.values(), ids=GROOVES.keys())
def test_grooves_are_told_from_the_bead(ring: Ring, scan: dict[str, Any]) -> None:
    spec = spec_of(scan, rings=(ring,))
    found, ledger = measured(spec)
    groove = found["groove_depth"]
    # In the shoulder the depth counts from the lower of its two sides, of which a bead's is rounded.
    assert holds(
        groove, ring.depth_mm, 0.3 * ring.depth_mm if ring.out_mm > 2 else 0.1 * spec.voxel_size_mm[2]
    )
    assert groove.worst_at is not None
    assert abs(groove.worst_at["z_mm"] - height(spec, ring.out_mm)) < 0.2
    assert any("groove" in place.reason for place in ledger.unexplained)


@UPRIGHT
def test_a_bulge_or_a_taper_is_no_straight_can(scan: dict[str, Any]) -> None:
    _, ledger = measured(spec_of(scan, rings=(Ring(depth_mm=-0.2, height_mm=0.8, out_mm=-0.6),)))
    assert ["wider" in place.reason for place in ledger.unexplained] == [True]
    _, ledger = measured(spec_of(scan, view="roll", roll_in_view_mm=3.0, taper_deg=4.9))
    assert ledger.unexplained


def test_a_groove_at_the_bottom_is_no_corner() -> None:
    ring = Ring(depth_mm=0.2, height_mm=0.5, out_mm=0.6, end="bottom")
    found, _ = measured(spec_of({}, view="bottom", rings=(ring,)))
    assert holds(found["groove_depth"], 0.2)


MOSTLY = {"groove": 1.0, "bulge": -1.0}


@pytest.mark.parametrize("inward", MOSTLY.values(), ids=MOSTLY.keys())
def test_a_ring_over_most_of_the_height_in_view_is_no_straight_can(inward: float) -> None:
    """0.94 mm of 1.6: most of the straight part lies in the ring, all of it within a voxel of its middle."""
    ring = Ring(depth_mm=inward * 0.113, height_mm=0.94, out_mm=0.2)
    spec = spec_of(COARSE, view="roll", roll_in_view_mm=1.6, rings=(ring,))
    found, ledger = measured(spec)
    assert sum(place.extent for place in ledger.unexplained) > 1.0
    assert holds(found["groove_depth"], max(ring.depth_mm, 0.0), 0.1 * spec.voxel_size_mm[2])


def test_a_groove_beside_a_bulge_cannot_be_told_from_either() -> None:
    """Neither leaves 0.1 mm to the can between them; together they are more than a can may vary."""
    rings = tuple(
        Ring(depth_mm=depth, height_mm=0.6, out_mm=out) for depth, out in ((0.07, -0.5), (-0.07, 0.5))
    )
    found, ledger = measured(spec_of({}, view="roll", roll_in_view_mm=2.2, rings=rings))
    assert any("cannot be told apart" in place.reason for place in ledger.unexplained)
    groove = found["groove_depth"]
    assert holds(groove, 0.07) and holds(groove, 0.14)
