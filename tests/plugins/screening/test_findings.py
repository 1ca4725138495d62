"""What figures of the scan, held against their levels, say of the scan."""

from __future__ import annotations

import pytest
from xctrules_screening.findings import Findings, absent, conclude, judged
from xctrules_screening.levels import Level

from xctrules.core.measurement import Measurement

HIGH = Level("high", 1.0, 2.0, "it is too much", "take less")
LOW = Level("low", 1.0, 0.5, "it is too little", "take more")


def figure(value: float, level: Level, away: float | None = None):
    return judged(Measurement("screening.ring_index", "1", value=value), level, away)


@pytest.mark.parametrize(
    ("value", "level", "judgement"),
    [
        (1.0, HIGH, "good"),
        (1.5, HIGH, "warning"),
        (2.0, HIGH, "warning"),
        (2.5, HIGH, "rejected"),
        (1.0, LOW, "good"),
        (0.7, LOW, "warning"),
        (0.4, LOW, "rejected"),
    ],
)
def test_a_value_on_a_level_is_still_on_the_good_side(value: float, level: Level, judgement: str) -> None:
    assert figure(value, level).judgement == judgement


def test_a_complaint_says_what_is_bad_by_how_much_and_what_cures_it() -> None:
    assert figure(0.5, HIGH).complaint is None
    text = figure(2.5, HIGH).complaint
    assert text == "it is too much (screening.ring_index is 2.5, above 2); cure: take less"
    assert figure(0.7, LOW).complaint == (
        "it is too little (screening.ring_index is 0.7, below 1); cure: take more"
    )


def test_what_is_judged_may_be_another_number_than_the_figure() -> None:
    assert figure(-3.0, HIGH).judgement == "good"
    found = figure(-3.0, HIGH, away=3.0)
    assert found.judgement == "rejected" and found.measurement.value == -3.0
    assert "is off by 3, above 2" in (found.complaint or "")


def test_what_was_not_measured_is_neither_good_nor_bad() -> None:
    (found,) = absent(("screening.resolution",), "no edge in view")
    assert (found.judgement, found.complaint) == ("not measured", None)
    assert (found.measurement.unit, found.measurement.reason) == ("mm", "no edge in view")


def test_conclusions_keep_the_order_and_a_waiver_makes_a_warning_of_a_rejection() -> None:
    parts = [
        Findings((figure(1.5, HIGH), figure(0.1, HIGH)), rejections=("voxels are too coarse",)),
        Findings((figure(2.5, HIGH),)),
    ]
    plain = conclude(parts, {})
    assert [text.split(" (")[0] for text in plain.rejections] == ["voxels are too coarse", "it is too much"]
    assert len(plain.warnings) == 1 and "is 1.5" in plain.warnings[0]
    waived = conclude(parts, {"screening.ring_index": "the network sees through it"})
    assert waived.rejections == ("voxels are too coarse",)
    assert [w.split("; ")[-1] for w in waived.warnings] == [
        "not held against the scan: the network sees through it"
    ] * 2
