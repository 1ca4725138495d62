"""Faults of a drawn can lie where the spec puts them, by the metal that a slice holds."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from xctrules.core.errors import ScanError
from xctrules.cylinder.phantom import (
    Dent,
    Greys,
    PhantomSpec,
    Ring,
    WallPatch,
    draw,
    small,
    spec_from_dict,
    truth,
)
from xctrules.cylinder.phantom.can_faults import touches
from xctrules.cylinder.phantom.drawing import Drawing
from xctrules.cylinder.phantom.geometry import pose

BARE = {name: 0.0 for name in dataclasses.asdict(Greys())} | {"can": 1.0}


def metal(spec: PhantomSpec, s_mm: float) -> tuple[np.ndarray, Drawing]:
    """Share of can in each pixel of the slice at a height."""
    drawing = Drawing(dataclasses.replace(spec, greys=Greys(**BARE)))
    return drawing.slice(round(s_mm / spec.voxel_size_mm[0])), drawing


def area(spec: PhantomSpec, s_mm: float) -> float:
    return float(metal(spec, s_mm)[0].sum()) * spec.voxel_size_mm[1] * spec.voxel_size_mm[2]


def test_an_opening_takes_its_own_metal_away() -> None:
    """A slice through it loses width x wall, to a thousandth of a square voxel for each of its borders."""
    sound = small(view="roll", roll_in_view_mm=1.6)
    for taken_from in ("inside", "outside"):
        patch = WallPatch(width_mm=1.0, height_mm=0.8, out_mm=0.0, taken_from=taken_from)  # type: ignore[arg-type]
        faulty = dataclasses.replace(sound, wall_patches=(patch,))
        lost = area(sound, 0.8) - area(faulty, 0.8)
        # The wall's middle line is shorter than its outer arc, by which the patch's width is counted.
        expected = 1.0 * (1 - 0.125 / 4.0) * sound.wall_mm
        assert lost == pytest.approx(expected, abs=0.04**2)
        assert area(faulty, 0.2) == pytest.approx(area(sound, 0.2), abs=1e-9)


def test_a_thinned_wall_keeps_its_other_face() -> None:
    sound = small(view="roll", roll_in_view_mm=1.6)
    for taken_from, face in (("inside", "outer"), ("outside", "inner")):
        patch = WallPatch(theta_deg=0.0, wall_mm=0.1, width_mm=2.0, out_mm=0.0, taken_from=taken_from)  # type: ignore[arg-type]
        image, drawing = metal(dataclasses.replace(sound, wall_patches=(patch,)), 0.8)
        x0, y0 = (round(at / 0.04) for at in drawing.place.origin_mm)
        ray = image[y0, x0:]
        radius = np.arange(ray.size) * 0.04 + (x0 * 0.04 - drawing.place.origin_mm[0])
        assert ray.sum() * 0.04 == pytest.approx(0.1, abs=0.004)
        middle = float((ray * radius).sum() / ray.sum())
        expected = 4.0 - 0.05 if face == "outer" else 3.75 + 0.05
        assert middle == pytest.approx(expected, abs=0.005)


def test_a_ring_moves_the_whole_outline() -> None:
    spec = small(view="roll", roll_in_view_mm=2.4, rings=(Ring(depth_mm=0.2, height_mm=0.8, out_mm=0.0),))
    lost = area(small(view="roll", roll_in_view_mm=2.4), 1.2) - area(spec, 1.2)
    # The deepest slice's ring of metal is as thick on a radius shorter by the depth.
    assert lost == pytest.approx(2 * math.pi * 0.2 * spec.wall_mm, rel=0.05)
    assert truth(spec)["measurements"]["canister.groove_depth"] == 0.2


def test_a_dent_at_the_bead_is_drawn_into_it() -> None:
    sound = small(roll_in_view_mm=1.6)
    dent = Dent(theta_deg=0.0, depth_mm=0.3, width_mm=2.0, height_mm=0.8, out_mm=1.25)
    place = pose(sound)
    edge, outward = place.edges["top"]
    s = edge + outward * 1.25
    with_dent, drawing = metal(dataclasses.replace(sound, dents=(dent,)), s)
    without, _ = metal(sound, s)
    x0, y0 = (round(at / 0.04) for at in drawing.place.origin_mm)
    columns = np.arange(without.shape[1])

    def middle(image: np.ndarray) -> float:
        ray = np.where(columns > x0 + 80, image[y0], 0.0)
        return float((ray * columns).sum() / ray.sum()) * 0.04

    assert middle(without) - middle(with_dent) == pytest.approx(0.3, abs=0.04)


def test_truth_knows_openings_and_leaves_the_ring_out_of_the_diameter() -> None:
    spec = small(
        wall_patches=(WallPatch(width_mm=0.5, height_mm=0.4),), rings=(Ring(depth_mm=-0.2, out_mm=-1.5),)
    )
    found = truth(spec)["measurements"]
    assert found["canister.opening.largest"] == pytest.approx(0.2)
    assert "canister.wall_thickness.min" not in found
    assert found["canister.groove_depth"] == 0.0
    assert found["canister.outer_diameter"] == pytest.approx(8.0, abs=0.02)


def test_plain_heights_stay_plain_and_specs_survive_json() -> None:
    spec = small(rings=(Ring(height_mm=0.8, out_mm=-1.0),), wall_patches=(WallPatch(out_mm=-1.0),))
    assert spec_from_dict(spec.to_dict()) == spec
    edge, outward = pose(spec).edges["top"]
    beside, at = edge - outward * 1.7, edge - outward * 1.0
    assert touches(spec, pose(spec), at, at) and not touches(spec, pose(spec), beside, beside)
    assert touches(small(taper_deg=0.5), pose(spec), beside, beside)


@pytest.mark.parametrize(
    "changes",
    [
        {"wall_patches": (WallPatch(width_mm=0.0),)},
        {"rings": (Ring(flat_mm=1.0, height_mm=0.5),)},
        {"taper_deg": 9.0},
    ],
)
def test_what_cannot_be_drawn_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ScanError):
        small(**changes)


def test_a_bulge_is_not_cut_off_where_a_scan_is_zero_outside_the_can() -> None:
    """With no grey outside and no noise, setting the outside to zero must change nothing."""
    bulge = small(view="roll", roll_in_view_mm=0.8, border_mm=0.8, rings=(Ring(depth_mm=-0.4, out_mm=0.0),))
    volumes = [
        draw(
            dataclasses.replace(
                bulge, imaging=dataclasses.replace(bulge.imaging, noise=0.0, clip_outside=clip)
            )
        ).volume
        for clip in (False, True)
    ]
    assert (volumes[0] == volumes[1]).all()
