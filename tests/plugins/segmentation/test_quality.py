"""How far a segmentation can be relied on, from what it holds alone."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from xctrules_segmentation.quality import SegmentationQuality

from xctrules.cylinder.phantom import draw, small
from xctrules.cylinder.surfaces import MEASURED, NO_FOIL, UNCLEAR, EndEdges, Segmentation
from xctrules.engine.testing import assert_metric_conforms, phantom_cell


@pytest.fixture(scope="module")
def tube():
    """A drawn cell without an end in view; each test puts its own segmentation in."""
    return phantom_cell(draw(small(view="roll", roll_in_view_mm=0.4)), angles=16, segmented=False)[0]


def edges(state: np.ndarray, **values: float) -> EndEdges:
    nothing = np.full(state.shape, np.nan)
    known = {"anode_sigma_mm": 0.01, "cathode_sigma_mm": 0.01, "threshold_shift_mm": -0.004, **values}
    return EndEdges(
        "top", 1, np.arange(state.shape[1]) * 10.0, nothing, np.stack([nothing, nothing]),
        nothing[..., None], nothing[..., None], state, nothing,
        np.isfinite(np.stack([nothing, nothing])), np.zeros((2, *state.shape), dtype=bool), **known,
    )  # fmt: skip


def quality(tube, found: EndEdges):
    cell = dataclasses.replace(tube, segmentation=Segmentation(segmenter="classical", ends={"top": found}))
    return assert_metric_conforms(SegmentationQuality(), cell)


def test_coverage_counts_places_that_have_a_foil_and_a_cathode(tube) -> None:
    state = np.full((4, 10), MEASURED, dtype=np.int8)
    state[0] = NO_FOIL
    state[1, :6] = UNCLEAR
    assert quality(tube, edges(state))["segmentation.coverage"].value == pytest.approx(24 / 30)


def test_sensitivity_is_the_shift_of_the_edge_criterion(tube) -> None:
    found = quality(tube, edges(np.full((4, 10), MEASURED, dtype=np.int8)))
    sensitivity = found["segmentation.threshold_sensitivity"]
    assert sensitivity.value == pytest.approx(-0.004)
    assert sensitivity.standard_uncertainty > 0


def test_no_sensitivity_where_too_few_edges_tell_their_noise(tube) -> None:
    state = np.full((4, 10), UNCLEAR, dtype=np.int8)
    state[2, 3] = MEASURED
    found = quality(tube, edges(state, anode_sigma_mm=math.nan))
    assert found["segmentation.threshold_sensitivity"].status == "not_measured"
