"""Openings in the can: holes and slits that the test cuts are found, sound cans are closed."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from xctrules_canister.account import ALLOWED_MM2
from xctrules_canister.course import Course
from xctrules_canister.presence import OPENING, WallPresence, largest_opening, wall_presence
from xctrules_canister.rays import cast

from xctrules.core.slices import ArraySlices
from xctrules.cylinder.phantom import Dent, Imaging, draw, small
from xctrules.cylinder.surfaces import CylinderCell
from xctrules.engine.testing import phantom_cell

VOXEL = 0.04


def cut(cell: CylinderCell, theta_deg: float, z_mm: float, width_mm: float, height_mm: float) -> CylinderCell:
    """The cell with the wall taken away where its middle lies within a rectangle of the can's surface."""
    frame, radius = cell.frame, cell.frame.outer_radius_mm
    assert radius is not None
    volume = np.array(cell.scan.slices[:])
    k, j, i = np.indices(volume.shape, dtype=np.float32)
    z, theta, r = frame.to_cell(k, j, i)
    across = np.abs((theta - theta_deg + 180) % 360 - 180) * math.radians(1.0) * radius
    gone = (
        (across < width_mm / 2)
        & (np.abs(z - z_mm) < height_mm / 2)
        & (r > radius - 0.45)
        & (r < radius + 0.2)
    )
    volume[gone] = np.median(volume[:, :4, :4])
    return dataclasses.replace(cell, scan=dataclasses.replace(cell.scan, slices=ArraySlices(volume)))


def drawn(**changes: Any) -> CylinderCell:
    return phantom_cell(draw(small(roll_in_view_mm=1.6, **changes)), angles=180)[0]


def looked_at(cell: CylinderCell, sound: CylinderCell) -> WallPresence:
    """The wall of a cell whose can's surfaces are those of the sound one."""
    can = sound.surfaces.need_can()
    rays = cast(cell, can)
    assert rays is not None
    return wall_presence(cell, can, rays, Course.of(rays, can, cell.frame))


@pytest.fixture(scope="module")
def sound() -> CylinderCell:
    return drawn()


@pytest.mark.parametrize(
    ("theta", "z", "width", "height"), [(40.0, 3.0, 1.0, 1.0), (359.0, 3.4, 0.7, 0.7), (200.0, 3.2, 0.5, 1.5)]
)
def test_a_hole_is_found_where_it_was_cut(
    sound: CylinderCell, theta: float, z: float, width: float, height: float
) -> None:
    presence = looked_at(cut(sound, theta, z, width, height), sound)
    (hole,) = presence.openings()
    assert abs((hole.at["theta_deg"] - theta + 180) % 360 - 180) < 3 and abs(hole.at["z_mm"] - z) < 3 * VOXEL
    # The rim may be a voxel off on each side, since the blur closes a hole and the cubic kernel opens it; a
    # tenth more because voxels are cut out whole.
    off = 2.2 * VOXEL
    assert (width - off) * (height - off) < hole.extent < (width + off) * (height + off)
    assert hole.extent > ALLOWED_MM2
    measured = largest_opening(presence, VOXEL)
    assert measured.name == OPENING and measured.value == hole.extent
    assert abs(hole.extent - width * height) <= 1.3 * (measured.expanded_uncertainty or 0)


def test_a_slit_over_the_whole_height_is_found_across_the_seam(sound: CylinderCell) -> None:
    presence = looked_at(cut(sound, 0.0, 3.0, 0.6, 50.0), sound)
    slit = presence.openings()[0]  # the formed mouth above it is cut as well
    assert min(slit.at["theta_deg"], 360 - slit.at["theta_deg"]) < 3


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"tilt_deg": 3.0}, {"imaging": Imaging(noise=0.06)},
        {"dents": (Dent(depth_mm=0.8, width_mm=1.6, end="top", out_mm=-0.8),)},
        {"view": "bottom"}, {"view": "both"},
    ],
)  # fmt: skip
def test_a_sound_can_is_closed(changes: dict[str, Any]) -> None:
    cell = drawn(**changes)
    presence = looked_at(cell, cell)
    assert presence.area_mm2 > 10
    assert presence.openings() == []
    assert largest_opening(presence, VOXEL).value == 0.0
