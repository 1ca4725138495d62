"""Where two segmenters do not say the same of a place, nobody knows; a poor second one says nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from plugins.overhang.drawn_edges import edges
from xctrules_segmentation.second_opinion import ABLE, SAME_VOXELS, contradicted

from xctrules.cylinder.surfaces import ACROSS, MEASURED, NO_FACING_CATHODE, TAB, UNCLEAR, EndEdges

VOXEL_MM = 0.05
RADII_MM = 5.0 + 0.2 * np.arange(5.0)


def seen(turns: slice = slice(None), outward: int = 1) -> EndEdges:
    """Five turns 0.2 mm apart, or some of them, at 100 half-planes; overhang 0.5 mm."""
    radii = RADII_MM[turns]
    found = edges(state=np.zeros((radii.size, 100), dtype=np.int8), outward=outward)
    return dataclasses.replace(found, foil_mm=np.repeat(radii[:, None], 100, axis=1))


@pytest.mark.parametrize("outward", [1, -1])
def test_lengths_that_differ_are_not_clear(outward: int) -> None:
    first, second = seen(outward=outward), seen(outward=outward)
    second.cathode_z_mm[1, 2, 10:20] += outward * (SAME_VOXELS + 0.1) * VOXEL_MM
    second.cathode_z_mm[1, 3, 10:20] += outward * (SAME_VOXELS - 0.1) * VOXEL_MM
    state = contradicted(first, second, VOXEL_MM)
    assert np.all(state[2, 10:20] == UNCLEAR)
    assert np.count_nonzero(state != MEASURED) == 10
    assert np.all(first.state == MEASURED), "it is not changed itself"


def test_turns_are_told_by_where_they_lie_and_not_by_their_number() -> None:
    first, second = seen(slice(2, None)), seen()
    second.state[3, 5:9] = ACROSS
    state = contradicted(first, second, VOXEL_MM)
    assert np.all(state[1, 5:9] == ACROSS) and np.count_nonzero(state) == 4


def test_a_doubt_counts_and_so_does_what_was_overlooked() -> None:
    first, second = seen(), seen()
    second.state[0, :5], second.state[1, :5] = UNCLEAR, TAB
    first.state[2, :5], first.state[3, :5] = TAB, NO_FACING_CATHODE
    state = contradicted(first, second, VOXEL_MM)
    assert np.all(state[:4, :5] == UNCLEAR) and np.count_nonzero(state) == 20


@pytest.mark.parametrize(("share", "counts"), [(ABLE + 0.02, True), (ABLE - 0.02, False)])
def test_a_poor_second_opinion_says_nothing(share: float, counts: bool) -> None:
    second = seen()
    second.state.reshape(-1)[round(share * second.state.size) :] = UNCLEAR
    assert (contradicted(seen(), second, VOXEL_MM) != MEASURED).any() == counts


def test_a_fault_of_several_turns_does_not_silence_it() -> None:
    second = seen()
    second.state[1:3] = UNCLEAR  # two of five turns all round
    assert np.all(contradicted(seen(), second, VOXEL_MM)[1:3] == UNCLEAR)


def test_another_foil_says_nothing_of_this_one() -> None:
    second = dataclasses.replace(seen(), foil_mm=seen().foil_mm + 0.1)
    second.state[:] = UNCLEAR
    assert np.all(contradicted(seen(), second, VOXEL_MM) == MEASURED)
