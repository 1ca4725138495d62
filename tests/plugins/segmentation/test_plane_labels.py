"""Labels of half-planes against a geometry that this test writes down itself.

A pixel's class is decided at its centre, so that every pixel farther than half a pixel from all boundaries
has to be right; what lies nearer may fall either way by rounding.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from xctrules_segmentation.classical import ClassicalSegmenter
from xctrules_segmentation.faces import CathodeFaces
from xctrules_segmentation.plane_labels import NOT_KNOWN, label_planes

from xctrules.core.errors import NotMeasurable
from xctrules.core.measurement import Scale
from xctrules.core.slices import ArraySlices, Scan
from xctrules.cylinder.frame import CellFrame, EndInView
from xctrules.cylinder.half_planes import INWARD_MM, ROWS, STANDARD_MM, Planes, standard_planes
from xctrules.cylinder.phantom import draw, small
from xctrules.cylinder.surfaces import (
    MEASURED,
    NO_FACING_CATHODE,
    TAB,
    UNCLEAR,
    CanSurface,
    CylinderCell,
    CylinderSettings,
    EndEdges,
    FoilTrace,
    Segmentation,
)
from xctrules.engine.testing import phantom_cell

BACKGROUND, CAN, CATHODE, COPPER, OVERHANG = range(5)

PITCH, INNERMOST, TURNS = 0.4, 2.0, 5
HALF_CATHODE = 0.085
ROUGH_Z = 4.0
LEAN = 0.2
"""Of the free foil, outward, as a slope."""

CAN_INNER, CAN_OUTER = 4.6, 4.9
CAN_UP_TO = 0.6
"""Height, outward of the rough edge, to which the can is located."""


def foil_mm(turn: np.ndarray, theta_deg: np.ndarray, handedness: int) -> np.ndarray:
    share = theta_deg / 360.0
    return INNERMOST + PITCH * (turn + (share if handedness > 0 else 1 - share))


def edge_of_gap(gap: np.ndarray) -> np.ndarray:
    """Height of each cathode's edge, outward of the rough one; gap g lies inside turn g."""
    return 0.05 * (gap % 3) - 0.05


def tip_of(turn: np.ndarray, theta_deg: np.ndarray) -> np.ndarray:
    return 0.6 + 0.05 * np.cos(np.radians(theta_deg)) + 0.02 * turn


def surfaces(outward: int, handedness: int, nt: int = 72) -> tuple[Segmentation, CathodeFaces]:
    theta = np.arange(nt) * (360.0 / nt)
    turn = np.arange(TURNS)[:, None]
    radius = foil_mm(turn, theta, handedness)
    inner = np.where(turn > 0, radius - PITCH / 2, np.nan)
    outer = np.where(turn < TURNS - 1, radius + PITCH / 2, np.nan)
    cathode = np.stack(
        [
            np.where(np.isnan(inner), np.nan, edge_of_gap(turn)),
            np.where(np.isnan(outer), np.nan, edge_of_gap(turn + 1)),
        ]
    )
    tip = tip_of(turn, theta)
    height = np.arange(-0.1, 0.9, 0.02)
    worse = np.nanmax(cathode, axis=0)
    free = (height >= worse[..., None]) & (height <= tip[..., None])
    path = radius[..., None] + LEAN * (height - worse[..., None])
    edges = EndEdges(
        "top" if outward > 0 else "bottom",
        outward,
        theta,
        ROUGH_Z + outward * tip,
        ROUGH_Z + outward * cathode,
        np.where(free, ROUGH_Z + outward * height, np.nan),
        np.where(free, path, np.nan),
        np.full(tip.shape, MEASURED, dtype=np.int8),
        radius,
        np.isfinite(cathode),
        np.zeros(cathode.shape, dtype=bool),
        0.001,
        0.001,
        handedness=handedness,
    )
    foil = FoilTrace(
        ROUGH_Z - outward * np.array([1.2, 0.6]), theta, np.stack([radius, radius]), handedness, 0.001
    )
    z = ROUGH_Z + outward * np.arange(-1.6, CAN_UP_TO, 0.05)
    wall = np.ones((z.size, nt))
    can = CanSurface(
        z, theta, CAN_OUTER * wall, CAN_INNER * wall, np.ones(z.size, dtype=bool), 0.001, 0.001, 0.02
    )
    found = Segmentation(segmenter="classical", can=can, foil=foil, ends={edges.end: edges})
    return found, CathodeFaces(inner, outer, HALF_CATHODE)


def planes_at(theta_deg: np.ndarray, outward: int) -> Planes:
    height = (np.arange(ROWS) + 0.5)[::-1] * STANDARD_MM - INWARD_MM
    r = (np.arange(128) + 0.5) * STANDARD_MM
    end = EndInView("top" if outward > 0 else "bottom", outward, ROUGH_Z, "this test")
    grey = np.zeros((theta_deg.size, ROWS, r.size), dtype=np.float32)
    return Planes(grey, np.ones(ROWS, dtype=bool), height, theta_deg, r, 0.0, 1.0, end)


def cell_with(end: EndInView) -> CylinderCell:
    frame = CellFrame(
        origin_mm=(6.0, 6.0),
        axis=(0.0, 0.0, 1.0),
        voxel_mm=(0.04, 0.04, 0.04),
        shape=(200, 300, 300),
        outer_radius_mm=CAN_OUTER,
        straight_mm=(0.0, 8.0),
        roll_mm=(1.0, ROUGH_Z),
        roll_pitch_mm=PITCH,
        ends=(end,),
    )
    scan = Scan(Path("drawn"), ArraySlices(np.zeros((200, 300, 300), dtype=np.uint8)), (0.04, 0.04, 0.04), {})
    return CylinderCell(scan, frame, Scale(0.001, True), CylinderSettings(angles=72), {})


def expected(planes: Planes, handedness: int, shift_h: float, shift_r: float) -> np.ndarray:
    """Class at points moved by a little from the pixels' centres, straight from the drawing."""
    h = planes.height_mm[None, :, None] + shift_h
    r = planes.r_mm[None, None, :] + shift_r
    theta = planes.theta_deg[:, None, None]
    result = np.full(np.broadcast_shapes(h.shape, r.shape, theta.shape), BACKGROUND)
    for gap in range(1, TURNS):
        middle = foil_mm(np.array(gap - 1), theta, handedness) + PITCH / 2
        result[(np.abs(r - middle) <= HALF_CATHODE) & (h <= edge_of_gap(np.array(gap)))] = CATHODE
    for turn in range(TURNS):
        faces = [edge_of_gap(np.array(g)) for g in (turn, turn + 1) if 0 < g < TURNS]
        edge = max(faces)
        centre = foil_mm(np.array(turn), theta, handedness) + LEAN * np.maximum(h - edge, 0)
        on = (np.abs(r - centre) <= 0.05) & (h <= tip_of(np.array(turn), theta))
        result[on & (h <= edge)] = COPPER
        result[on & (h > edge)] = OVERHANG
    result[np.broadcast_to((r >= CAN_INNER) & (r <= CAN_OUTER), result.shape)] = CAN
    return result


@pytest.mark.parametrize(("outward", "handedness"), [(1, 1), (1, -1), (-1, 1), (-1, -1)])
@pytest.mark.parametrize("theta", [np.arange(0.0, 360.0, 45.0), np.array([2.5, 17.5, 301.25])])
def test_each_pixel_has_the_class_that_was_drawn(outward: int, handedness: int, theta: np.ndarray) -> None:
    found, faces = surfaces(outward, handedness)
    planes = planes_at(theta, outward)
    assert planes.end is not None
    labels = label_planes(cell_with(planes.end), planes, found, faces)
    # Half a pixel, and what a table of heights 0.02 mm apart and angles five degrees apart leaves open.
    reach = 0.5 * STANDARD_MM + 0.004
    around = [expected(planes, handedness, dh, dr) for dh in (-reach, 0, reach) for dr in (-reach, 0, reach)]
    sure = np.all([around[0] == other for other in around[1:]], axis=0)
    sure &= labels != NOT_KNOWN
    wrong = sure & (labels != around[4])
    assert sure.mean() > 0.6
    assert not wrong.any(), np.argwhere(wrong)[:5]
    # Nearer than that a pixel may go either way, but no class gains or loses by it on the whole: one pixel
    # in twenty is four times what the rounding of a foil 2.5 pixels wide leaves.
    known = labels != NOT_KNOWN
    for value in (CAN, CATHODE, COPPER, OVERHANG):
        drawn = ((around[4] == value) & known).sum()
        assert (labels == value).sum() == pytest.approx(drawn, rel=0.05), value


def test_nothing_is_claimed_where_the_can_was_not_located() -> None:
    found, faces = surfaces(1, 1)
    planes = planes_at(np.array([0.0]), 1)
    assert planes.end is not None
    labels = label_planes(cell_with(planes.end), planes, found, faces)[0]
    outside = planes.r_mm > CAN_INNER
    assert (labels[planes.height_mm > CAN_UP_TO + 0.05][:, outside] == NOT_KNOWN).all()
    assert not (labels[planes.height_mm < CAN_UP_TO - 0.05] == NOT_KNOWN).any()


@pytest.mark.parametrize("state", [UNCLEAR, TAB, NO_FACING_CATHODE])
def test_a_foil_that_was_not_measured_is_not_known_above_the_cathode(state: int) -> None:
    found, faces = surfaces(1, 1)
    edges = found.ends["top"]
    doubtful = edges.state.copy()
    doubtful[2, 9] = state
    gone = np.zeros(doubtful.shape, dtype=bool)
    gone[2, 9] = True
    edges = replace(
        edges,
        state=doubtful,
        anode_z_mm=np.where(gone, np.nan, edges.anode_z_mm),
        path_r_mm=np.where(gone[..., None], np.nan, edges.path_r_mm),
        path_z_mm=np.where(gone[..., None], np.nan, edges.path_z_mm),
    )
    planes = planes_at(np.array([45.0, 180.0]), 1)
    assert planes.end is not None
    labels = label_planes(cell_with(planes.end), planes, replace(found, ends={"top": edges}), faces)
    here = np.abs(planes.r_mm - foil_mm(np.array(2), np.array(45.0), 1)) < 0.04
    above = (planes.height_mm > 0.1) & (planes.height_mm < 0.5)
    deep = planes.height_mm < -0.5
    assert (labels[0][above][:, here] == NOT_KNOWN).all()
    assert (labels[0][deep][:, here] == COPPER).all()
    # Its neighbours, and other planes, are as they were.
    beside = np.abs(planes.r_mm - foil_mm(np.array(3), np.array(45.0), 1) - LEAN * 0.3) < 0.02
    middle = np.abs(planes.height_mm - 0.3) < 0.03
    assert (labels[0][middle][:, beside] == OVERHANG).all()
    assert not (labels[1][above][:, planes.r_mm < CAN_INNER] == NOT_KNOWN).any()


def test_rows_that_the_scan_does_not_hold_are_not_known() -> None:
    found, faces = surfaces(1, 1)
    planes = planes_at(np.array([0.0]), 1)
    planes = replace(planes, seen=planes.height_mm < 1.0)
    assert planes.end is not None
    labels = label_planes(cell_with(planes.end), planes, found, faces)[0]
    assert (labels[planes.height_mm >= 1.0] == NOT_KNOWN).all()
    assert (labels[planes.height_mm < 0.5] != NOT_KNOWN).any()


def test_an_end_that_was_not_segmented_has_no_labels() -> None:
    found, faces = surfaces(1, 1)
    planes = planes_at(np.array([0.0]), -1)
    assert planes.end is not None
    with pytest.raises(NotMeasurable):
        label_planes(cell_with(planes.end), planes, found, faces)


def test_a_phantoms_planes_are_labelled_as_it_was_drawn() -> None:
    """The whole way: a scan, the classical segmenter's surfaces, labels in its planes."""
    spec = small(view="bottom", handedness=-1)
    cell, truth = phantom_cell(draw(spec), angles=72)
    (end,) = cell.frame.ends
    planes = standard_planes(cell, end, np.arange(0.0, 360.0, 15.0))
    labels = ClassicalSegmenter().label_planes(cell, planes)
    # Tallest pixel of overhang less that of copper in the columns of one foil is its length; their mean is
    # the drawn one to half a pixel, since each end of each foil is rounded to whole pixels at random.
    free = (labels == OVERHANG).sum(axis=(1, 2)) * STANDARD_MM**2
    foils = np.array([np.count_nonzero(np.diff((row == COPPER).astype(int)) == 1) for row in labels[:, -20]])
    assert foils.min() >= spec.turns - 1
    length = float((free / 0.1 / foils).mean())
    # The innermost and outermost foil have no cathode to measure against: their free part is not labelled.
    due = float((foils - 2).mean() / foils.mean())
    assert due * truth["overhang.length.mean"] - 0.06 < length < truth["overhang.length.mean"] + 0.02
    # Seen from outside to inside: overhangs above the cathodes.
    rows = {value: np.flatnonzero((labels == value).any(axis=(0, 2))) for value in (CATHODE, OVERHANG)}
    assert rows[OVERHANG][0] < rows[CATHODE][0]
