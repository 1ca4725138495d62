"""Faults of the electrodes' edges are measured with their true signed value, or named as not explained.

Each is drawn into the small cell, whose voxels are 0.06 mm along the axis. Tolerances are those of a tip that
ends beside a cathode: one slice.
"""

from __future__ import annotations

import functools

import pytest
from xctrules_overhang.metric import OverhangMetric

from xctrules.core.ledger import Ledger
from xctrules.core.measurement import Measurement
from xctrules.cylinder.phantom import draw, small
from xctrules.cylinder.phantom.named_faults import with_faults
from xctrules.engine.testing import phantom_cell

FOUR = ";".join(f"cathode-high:0.9,turn={turn},width=40" for turn in (2, 3, 4, 5))


@functools.cache
def found(faults: str) -> tuple[dict[str, Measurement], Ledger, dict[str, float], float]:
    spec = with_faults(small(), faults)
    cell, truth = phantom_cell(draw(spec))
    result = OverhangMetric().measure(cell)
    (ledger,) = result.ledgers
    return {m.name: m for m in result.measurements}, ledger, dict(truth), spec.voxel_size_mm[0]


def longest(ledger: Ledger) -> float:
    return max((place.extent for place in ledger.unexplained), default=0.0)


@pytest.mark.parametrize(
    "faults",
    [
        "cathode-high:0.4",
        "cathode-high:0.7",
        "cathode-high:0.9",
        "cathode-high:1.2",
        FOUR,
        "anode-low:1.0",
        "anode-low:1.4,width=360",
        "anode-notch:0.5",
        "anode-end-low",
    ],
)
def test_the_smallest_overhang_is_that_drawn(faults: str) -> None:
    measured, _, truth, step_mm = found(faults)
    value = measured["overhang.length.min"].value
    assert value == pytest.approx(truth["overhang.length.min"], abs=step_mm)


def test_a_cathode_that_is_raised_all_round_is_below_zero_and_what_it_hides_is_said() -> None:
    measured, _, truth, _ = found("cathode-high:0.9,width=360")
    smallest = measured["overhang.length.min"]
    assert truth["overhang.length.min"] < 0
    assert smallest.value is not None and smallest.value < -smallest.expanded_uncertainty
    assert "may be hidden" in (smallest.reason or "")


def test_an_anode_that_stands_tall_all_round_is_the_largest_overhang() -> None:
    measured, ledger, truth, step_mm = found("anode-tall:0.6")
    value = measured["overhang.length.max"].value
    assert value == pytest.approx(truth["overhang.length.max"], abs=2 * step_mm)
    assert longest(ledger) == 0.0


@pytest.mark.parametrize("faults", ["anode-missing", "anode-missing:60"])
def test_a_missing_anode_leaves_no_smallest_overhang_and_a_place(faults: str) -> None:
    measured, ledger, _, _ = found(faults)
    assert measured["overhang.length.min"].status == "not_measured"
    assert longest(ledger) > 1.5
    assert measured["overhang.completeness"].value == pytest.approx(longest(ledger))


@pytest.mark.parametrize("degrees", [6.0, 15.0, 60.0])
@pytest.mark.parametrize("handedness", [1, -1])
def test_a_cathode_beyond_the_anodes_end_is_unexplained(degrees: float, handedness: int) -> None:
    spec = with_faults(small(handedness=handedness), f"anode-ends-early:{degrees}")
    cell, _ = phantom_cell(draw(spec))
    (ledger,) = OverhangMetric().measure(cell).ledgers
    places = [place for place in ledger.unexplained if "faces no anode" in place.reason]
    # The cathode's end is known to a few half-planes, by a median over neighbours, and near the can not
    # all of the dark beside it is as wide as an anode.
    length = degrees / 360 * 2 * 3.1416 * (spec.core_radius_mm + spec.turns * spec.pitch_mm)
    assert 0.7 * length - 0.2 < sum(place.extent for place in places) < 1.05 * length + 0.2


def test_a_sound_end_is_accounted_for() -> None:
    measured, ledger, _, _ = found("")
    assert not ledger.unexplained and measured["overhang.completeness"].value == 0.0


@pytest.mark.parametrize("faults", ["foil-curled", "foil-curled:150,turn=2", "foil-curled:90,turn=4"])
def test_a_foil_that_is_bent_over_has_no_length_and_is_unexplained(faults: str) -> None:
    measured, ledger, _, _ = found(faults)
    assert measured["overhang.length.min"].status == "not_measured"
    assert any("bent over" in place.reason and place.extent > 0.5 for place in ledger.unexplained)
