"""Half-planes on the standard scale, of drawn cells and of made-up planes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xctrules.core.errors import NotMeasurable
from xctrules.cylinder.half_planes import (
    COLUMNS_MULTIPLE_OF,
    INWARD_MM,
    ROWS,
    STANDARD_MM,
    Planes,
    contrast,
    levels,
    standard_planes,
)
from xctrules.cylinder.phantom import draw, small
from xctrules.cylinder.surfaces import CylinderCell
from xctrules.engine.testing import phantom_cell

THETA = np.array([10.0, 100.0, 250.0])


@pytest.fixture(scope="module")
def cell() -> CylinderCell:
    spec = small(view="top", roll_in_view_mm=1.6, beyond_mm=1.4)
    return phantom_cell(draw(spec), angles=36, segmented=False)[0]


def test_planes_of_a_drawn_cell_are_0_in_the_void_and_1_in_the_roll_with_outward_on_top(
    cell: CylinderCell,
) -> None:
    planes = standard_planes(cell, cell.frame.ends[0], THETA)
    assert planes.grey.shape[:2] == (3, ROWS) and planes.grey.shape[2] % COLUMNS_MULTIPLE_OF == 0
    assert np.diff(planes.height_mm) == pytest.approx(np.full(ROWS - 1, -STANDARD_MM))
    assert planes.height_mm[-1] == pytest.approx(0.5 * STANDARD_MM - INWARD_MM)
    layers = (planes.r_mm > 1.3) & (planes.r_mm < 3.1)
    middle = planes.grey[..., layers].mean(axis=(0, 2))
    # The levels are taken over a little more than the layers: the core's and the gap's greys weigh a tenth.
    assert middle[planes.seen & (planes.height_mm < -0.5)].mean() == pytest.approx(1.0, abs=0.15)
    assert middle[planes.seen & (planes.height_mm > 0.2)].min() == pytest.approx(0.0, abs=0.15)
    # The can: brightest of all, at its radius.
    brightest = planes.r_mm[planes.grey[:, -10].argmax(axis=-1)]
    assert brightest == pytest.approx(np.full(3, cell.frame.outer_radius_mm), abs=0.3)


def test_rows_beyond_the_scan_are_told_and_repeat_the_last_that_it_holds(cell: CylinderCell) -> None:
    planes = standard_planes(cell, cell.frame.ends[0], THETA)
    top = np.flatnonzero(planes.seen)[0]
    assert top > 0, "the scan ends 1.4 mm beyond the roll, the planes 2.4 mm"
    assert (planes.grey[:, :top] == planes.grey[:, top][:, None]).all()


def test_a_scan_that_shows_too_little_of_an_end_is_refused(cell: CylinderCell) -> None:
    end = cell.frame.ends[0]
    last, first = cell.frame.z_grid_mm()[-1], cell.frame.z_grid_mm()[0]
    outer, inner = (last, first) if end.outward > 0 else (first, last)
    with pytest.raises(NotMeasurable, match="too little beyond"):
        standard_planes(cell, replace(end, z_mm=outer - end.outward * 0.2), THETA)
    with pytest.raises(NotMeasurable, match="too little of the roll"):
        standard_planes(cell, replace(end, z_mm=inner + end.outward * 0.3), THETA)


def drawn_planes(noise: float) -> Planes:
    """A roll of grey 60 below the edge, a void of 10 above, a cap of 90 from 1.5 mm on."""
    height = (np.arange(ROWS)[::-1] + 0.5) * STANDARD_MM - INWARD_MM
    row = np.where(height < 0, 60.0, np.where(height < 1.5, 10.0, 90.0))
    grey = np.broadcast_to(row[None, :, None], (4, ROWS, 200))
    grey = (grey + np.random.default_rng(2).normal(0, noise, grey.shape)).astype(np.float32)
    r = (np.arange(200) + 0.5) * STANDARD_MM
    return Planes(grey, np.ones(ROWS, dtype=bool), height, np.arange(4.0), r, 0.0, 1.0)


def test_levels_are_those_of_void_and_roll() -> None:
    planes = drawn_planes(3.0)
    # Means over hundreds of pixels; the least of some thirty of them lies two of their errors low.
    assert levels(planes.grey, planes.height_mm) == pytest.approx((10.0, 60.0), abs=0.3)


@pytest.mark.parametrize("noise", [0.05, 0.25])
def test_contrast_is_the_step_over_the_noise_of_a_pixel(noise: float) -> None:
    planes = drawn_planes(50 * noise)
    planes = replace(planes, grey=(planes.grey - 10.0) / np.float32(50.0))
    # A robust spread of 440 second differences in each row is known to 4 %, and the calmest third is taken.
    assert contrast(planes) == pytest.approx(1 / noise, rel=0.08)
