"""Drawn dense bodies are found, located and sized; sound cells have none, and no part of a cell is one."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from xctrules_contamination.metric import Contamination

from xctrules.core.errors import NotMeasurable
from xctrules.core.measurement import MetricResult
from xctrules.core.slices import ArraySlices
from xctrules.cylinder.phantom import Buckle, CentrePin, Curl, Greys, Imaging, Tab, draw, small
from xctrules.cylinder.surfaces import CylinderCell
from xctrules.engine.testing import assert_metric_conforms, phantom_cell

VOXEL = 0.04
INNER = 3.75
"""Inner radius of the drawn can."""
METAL = 197.0
"""Grey of the drawn can."""


@cache
def drawn(**changes: Any) -> CylinderCell:
    return phantom_cell(draw(small(roll_in_view_mm=1.2, **changes)), angles=120)[0]


def plain(seed: int = 1, **changes: Any) -> CylinderCell:
    return drawn(seed=seed, **changes)


def with_ball(
    cell: CylinderCell, diameter: float, grey: float, z: float, theta: float, r: float, blur: float = 1.0
) -> CylinderCell:
    """The cell with a ball drawn into its greys here: shares of volume, blurred by so many voxels."""
    from scipy.ndimage import gaussian_filter

    volume = np.array(cell.scan.slices[0 : cell.scan.shape[0]], dtype=np.float64)
    middle = np.array([float(v) for v in cell.frame.to_voxel(z, theta, r)])
    sides = np.array(cell.scan.voxel_size_mm)
    reach = np.ceil(diameter / sides).astype(int) + 6
    low = np.maximum(middle.round().astype(int) - reach, 0)
    high = np.minimum(middle.round().astype(int) + reach + 1, volume.shape)
    window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    fine = 5
    sub = (np.arange(fine) + 0.5) / fine - 0.5
    axes = [
        (((np.arange(a, b)[:, None] + sub).ravel() - m) * side) ** 2
        for a, b, m, side in zip(low, high, middle, sides, strict=True)
    ]
    inside = (axes[0][:, None, None] + axes[1][None, :, None] + axes[2]) < (diameter / 2) ** 2
    n = high - low
    share = inside.reshape(n[0], fine, n[1], fine, n[2], fine).mean(axis=(1, 3, 5))
    share = gaussian_filter(share, blur)
    volume[window] += share * (grey - volume[window])
    greys = ArraySlices(np.clip(np.rint(volume), 0, 255).astype(np.uint8))
    return replace(cell, scan=replace(cell.scan, slices=greys))


def found(cell: CylinderCell) -> tuple[MetricResult, float, float]:
    result = Contamination().measure(cell)
    values = {m.name: m.value for m in result.measurements}
    count, largest = values["contamination.count"], values["contamination.largest"]
    assert count is not None and largest is not None
    return result, count, largest


def level(cell: CylinderCell, below_edge_mm: float) -> float:
    """A height so far inside the roll."""
    (end,) = cell.frame.ends
    return end.z_mm - end.outward * below_edge_mm


PLACES = {
    "in the roll": (0.6, 130.0, 2.62),
    "beside the copper": (0.5, 250.0, 2.45),
    "in the core": (0.6, 40.0, 0.3),
    "before the can": (0.6, 200.0, 3.55),
    "among the free foils": (-0.3, 60.0, 1.9),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("diameter", "grey"), [(0.24, 150.0), (0.24, 235.0), (0.3, METAL), (0.45, 180.0)])
def test_a_ball_is_found_where_it_is_and_as_large_as_it_is(place: str, diameter: float, grey: float) -> None:
    """From twice the stated detection size on, as dense as half-way from the cathodes to the can.

    Half a voxel: the layers that a ball hides are not known, and they are a third of its contrast.
    """
    depth, theta, r = PLACES[place]
    r = min(r, INNER - 3 * VOXEL - diameter / 2)  # clear of the can's blur
    cell = plain()
    z = level(cell, depth)
    result, count, largest = found(with_ball(cell, diameter, grey, z, theta, r))
    assert count == 1
    assert largest == pytest.approx(diameter, abs=0.5 * VOXEL)
    measured = result.measurements[1]
    assert measured.worst_at is not None and measured.expanded_uncertainty is not None
    assert abs(largest - diameter) < measured.expanded_uncertainty
    at = measured.worst_at
    assert at["z_mm"] == pytest.approx(z, abs=VOXEL)
    away = math.hypot(at["r_mm"] - r, math.radians((at["theta_deg"] - theta + 180) % 360 - 180) * r)
    assert away < VOXEL
    (warning,) = result.warnings
    assert f"{largest:.2f} mm" in warning and f"theta {at['theta_deg']:.0f}" in warning


def test_the_phantoms_own_particle_is_found_with_its_turn() -> None:
    from xctrules.cylinder.phantom import Particle

    spec = small(roll_in_view_mm=1.2)
    radius = spec.core_radius_mm + 3.5 * spec.pitch_mm
    cell = drawn(particles=(Particle(0.3, radius, 130.0, -0.6, "top", 235.0),))
    result, count, largest = found(cell)
    assert (count, largest) == (1, pytest.approx(0.3, abs=0.3 * VOXEL))
    at = result.measurements[1].worst_at
    assert at is not None
    assert cell.segmentation is not None and cell.segmentation.foil is not None
    radii = np.median(cell.segmentation.foil.radius_mm[:, :, 43], axis=0)  # 43 columns of 3 degrees are 129
    assert radii[int(at["turn"])] < radius < radii[int(at["turn"]) + 1]


def test_a_ball_that_the_scan_cuts_is_found_and_may_be_twice_as_large() -> None:
    cell = plain()
    _, high = cell.frame.roll_mm or (math.nan, math.nan)
    result, count, largest = found(with_ball(cell, 0.4, METAL, high, 20.0, 2.6))
    assert count == 1
    u = result.measurements[1].expanded_uncertainty
    assert u is not None
    assert largest < 0.4 < largest + u


def test_a_ball_at_the_can_is_found_and_may_go_on_to_it() -> None:
    """It touches the wall; what of it lies in the wall's blur is not seen, and is in the interval."""
    cell = plain()
    result, count, largest = found(with_ball(cell, 0.3, METAL, level(cell, 0.6), 200.0, INNER - 0.15))
    assert count == 1
    u = result.measurements[1].expanded_uncertainty
    assert u is not None
    assert abs(largest - 0.3) < u


def test_two_balls_are_two_and_the_larger_is_sized() -> None:
    cell = plain()
    z = level(cell, 0.6)
    one = with_ball(cell, 0.24, METAL, z, 20.0, 2.2)
    _, count, largest = found(with_ball(one, 0.36, METAL, z, 300.0, 2.9))
    assert count == 2
    assert largest == pytest.approx(0.36, abs=0.5 * VOXEL)


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5, 0.75])
def test_a_ball_as_dense_as_the_can_is_told_from_the_stated_size_on(shift: float) -> None:
    """Wherever its middle lies among the voxels, in the darkest place there is."""
    cell = plain()
    stated = 1.7 * (6 / math.pi) ** (1 / 3) * 2 * VOXEL  # a ball as large as two voxels each way, and blur
    z = level(cell, 0.6) + shift * VOXEL
    _, count, _ = found(with_ball(cell, stated, METAL, z, 20.0, 0.3 + shift * VOXEL))
    assert count == 1


def test_a_ball_no_denser_than_a_cathode_is_none() -> None:
    cell = plain()
    result, count, largest = found(with_ball(cell, 0.5, 78.0, level(cell, 0.6), 20.0, 2.6))
    assert (count, largest) == (0, 0)
    assert not result.warnings


SOUND: dict[str, dict[str, Any]] = {
    "plain": {},
    "noisy": {"imaging": Imaging(noise=0.05, blur_px=0.8)},
    "sharp": {"imaging": Imaging(noise=0.02, blur_px=0.4)},
    "blurred": {"imaging": Imaging(noise=0.02, blur_px=1.4)},
    "rings and cupping": {"imaging": Imaging(noise=0.02, rings=0.02, cupping=0.15)},
    "16 bit": {"imaging": Imaging(dtype="uint16", grey_scale=150.0, grey_offset=2000.0)},
    "floating point": {"imaging": Imaging(dtype="float32", grey_scale=0.004, grey_offset=-0.03)},
    "no end in view": {"view": "roll"},
    "both ends": {"view": "both", "height_mm": 8.0},
    "lower end": {"view": "bottom"},
    "tilted": {"tilt_deg": 2.0, "tilt_direction_deg": 70.0},
    "cathode's tab": {"tabs": (Tab(turn=3, theta_deg=80.0, width_mm=1.5),)},
    "anode's tab": {"tabs": (Tab(turn=4, theta_deg=200.0, width_mm=2.0, electrode="anode", grey=225.0),)},
    "centre pin": {"core_radius_mm": 1.3, "outer_diameter_mm": 8.9, "pin": CentrePin(1.8, 0.2)},
    "buckle": {"buckle": Buckle(0.2)},
    "foil folded back": {"curls": (Curl(turn=3, bend_deg=-180.0),)},
    "iron phosphate": {"greys": replace(Greys(), cathode_coating=40.0, anode_coating=30.0)},
    "whole end": {"beyond_mm": None},
}


@pytest.mark.parametrize("kind", SOUND)
def test_a_cell_without_a_ball_has_none(kind: str) -> None:
    result, count, largest = found(drawn(**SOUND[kind]))
    assert (count, largest) == (0, 0)
    assert not result.warnings
    parts = result.parameters["contamination.parts"]
    assert (parts > 0) == (kind in ("anode's tab", "centre pin")), "a tab or a pin is seen, and is a part"


@pytest.mark.parametrize("kind", ["anode's tab", "centre pin", "lower end", "both ends", "tilted"])
def test_a_ball_is_found_beside_parts_and_in_any_view(kind: str) -> None:
    cell = drawn(**SOUND[kind])
    low, high = cell.frame.roll_mm or (math.nan, math.nan)
    _, count, largest = found(with_ball(cell, 0.3, METAL, 0.5 * (low + high), 300.0, 3.1))
    assert count == 1
    assert largest == pytest.approx(0.3, abs=0.5 * VOXEL)


def test_noise_that_hides_dense_bodies_is_said() -> None:
    cell = plain()
    rng = np.random.default_rng(3)
    volume = np.array(cell.scan.slices[0 : cell.scan.shape[0]], dtype=np.float64)
    greys = np.clip(volume + rng.normal(0.0, 25.0, volume.shape), 0, 255).astype(np.uint8)
    with pytest.raises(NotMeasurable, match="noise"):
        Contamination().measure(replace(cell, scan=replace(cell.scan, slices=ArraySlices(greys))))


def test_a_height_that_cannot_be_looked_at_leaves_no_sound_cell() -> None:
    """The can's inner face is lost over half of the roll: what was found elsewhere still counts."""
    cell = plain()
    assert cell.segmentation is not None and cell.segmentation.can is not None
    can = cell.segmentation.can
    lost = np.abs(can.z_mm - level(cell, 1.0)) < 0.5
    inner = np.where(lost[:, None], np.nan, can.inner_mm)
    partly = replace(cell, segmentation=replace(cell.segmentation, can=replace(can, inner_mm=inner)))
    for measured in Contamination().measure(partly).measurements:
        assert measured.status == "not_measured" and "inner face" in (measured.reason or "")
    _, count, _ = found(with_ball(partly, 0.3, METAL, level(cell, -0.2), 20.0, 0.4))
    assert count == 1


def test_a_mask_has_no_greys_to_look_at() -> None:
    cell = plain()
    with pytest.raises(NotMeasurable, match="greys"):
        Contamination().measure(replace(cell, settings=replace(cell.settings, mask_of="electrode")))


def test_the_metric_conforms() -> None:
    assert_metric_conforms(Contamination(), plain())
    cell = plain()
    assert_metric_conforms(Contamination(), with_ball(cell, 0.3, METAL, level(cell, 0.6), 130.0, 2.6))
