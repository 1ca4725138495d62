"""Outlines of drawn shapes, and the run of them that is straight."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_tubes import VOXEL, tube

from xctrules.cylinder.outline import Outline, Oval, cell_level, outlines_in, straight_run


@pytest.mark.parametrize("angle_deg", [0.0, 20.0, 45.0, 100.0])
def test_an_oval_is_recovered_beside_dents(angle_deg: float) -> None:
    t = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    turn = 2 * np.radians(angle_deg)
    true = 4.0 + 0.2 * np.cos(t) - 0.1 * np.sin(t) + 0.03 * np.cos(2 * t - turn)
    seen = true + np.random.default_rng(1).normal(0, 0.002, 180)
    seen[20:40] -= 0.4  # a dent of forty degrees
    oval = Oval.estimate(t, seen, floor=0.001)
    # 160 points of 2 um leave the coefficients known to 0.3 um; ten of these over the dent.
    assert oval.predict(t) == pytest.approx(true, abs=0.003)
    assert oval.residuals(t, seen)[20:40] == pytest.approx(np.full(20, -0.4), abs=0.01)


def test_the_outline_of_a_drawn_tube() -> None:
    scan = tube(slope=(0.02, 0.0), noise=3.0)
    found = outlines_in(scan, [0, 10, 39], cell_level(scan))
    assert [o.slice_index for o in found] == [0, 10, 39]
    for outline in found:
        # A tenth of a voxel, as for the axis; 180 points average the noise away.
        x = 5.0 + 0.02 * outline.slice_index * VOXEL[0]
        assert (outline.x_mm, outline.y_mm) == pytest.approx((x, 5.2), abs=0.1 * VOXEL[1])
        assert outline.radius_mm == pytest.approx(4.0, abs=0.2 * VOXEL[1])
        assert (outline.covered, outline.cut) == (1.0, 0.0)


def outlines(radii: list[float], indices: list[int] | None = None) -> list[Outline]:
    return [
        Outline(k, 5.0, 5.0, r, 1.0, 0.0, 0.001)
        for k, r in zip(indices or range(len(radii)), radii, strict=True)
    ]


def test_the_straight_run_leaves_bead_and_gaps_out() -> None:
    """Voxels of 0.1: radii within one of them of the run's median belong together."""
    radii = [3.0, 3.5, 4.0, 4.02, 4.05, 4.0, 3.98, 4.01, 3.6, 4.3, 4.3]
    run = straight_run(outlines(radii), 0.1)
    assert [o.slice_index for o in run] == [2, 3, 4, 5, 6, 7]
    # Where slices are missing within, the longer part is taken.
    run = straight_run(outlines([4.0] * 9, [0, 1, 2, 5, 6, 7, 8, 11, 12]), 0.1)
    assert [o.slice_index for o in run] == [5, 6, 7, 8]
    assert straight_run([], 0.1) == []
