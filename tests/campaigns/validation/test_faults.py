"""Faults found, and false alarms."""

from __future__ import annotations

import pytest
from validation_examples import criterion, found_in, invented, scored

from xctrules.campaigns.validation.faults import detection, false_alarms, fault_found
from xctrules.cylinder.phantom.targets import TARGETS

DENT = next(fault for fault in TARGETS.faults if fault.name == "dent")


def test_one_false_alarm_is_enough() -> None:
    rows = [invented(i, {}, 0.1) for i in range(200)]
    found = found_in(rows)
    assert criterion(found, "false alarms: negative overhang") is True
    assert found["false_alarms"]["negative overhang"]["upper"] == pytest.approx(0.0149, abs=1e-4)
    assert criterion(found_in(rows[:30]), "false alarms: negative overhang") is None  # bounds 10 %
    rows[3] = invented(3, {"overhang.length.min": -7.5 / rows[3]["spec"]["voxel_size_mm"][0] - 0.1}, 0.1)
    found = found_in(rows[:30])
    assert criterion(found, "false alarms: negative overhang") is False
    assert found["false_alarms"]["negative overhang"]["cases"] == [3]
    assert found["holds"] is False


def test_a_dent_found_elsewhere_is_not_found() -> None:
    dent = {
        "theta_deg": 120.0,
        "depth_mm": 0.1,
        "width_mm": 3.0,
        "height_mm": 1.0,
        "out_mm": -1.0,
        "end": "top",
    }
    row = invented(0, {}, 0.1, spec={"dents": [dent]})
    entry = row["measurements"]["canister.dent_depth"]
    entry.update(truth=0.1, value=0.1, worst_at={"theta_deg": 125.0})
    assert fault_found(DENT, scored(row)) == (pytest.approx(0.1 / 0.034), True)
    entry["worst_at"] = {"theta_deg": 300.0}
    assert fault_found(DENT, scored(row)) == (pytest.approx(0.1 / 0.034), False)
    entry.update(value=None)
    assert fault_found(DENT, scored(row)) == (pytest.approx(0.1 / 0.034), False)


def test_an_interval_beyond_zero_is_told_and_is_no_alarm() -> None:
    row = invented(0, {"canister.dent_depth": 0.3}, 0.1)
    alarms = false_alarms(DENT, [scored(row)])
    assert (alarms["count"], alarms["n"], alarms["intervals_beyond_zero"]) == (0, 1, 1)
    alarms = false_alarms(DENT, [scored(invented(0, {"canister.dent_depth": 0.6}, 0.1))])
    assert alarms["cases"] == [0]


def test_faults_at_another_noise_do_not_count_for_the_curve() -> None:
    dent = {
        "theta_deg": 0.0,
        "depth_mm": 0.1,
        "width_mm": 3.0,
        "height_mm": 1.0,
        "out_mm": -1.0,
        "end": "top",
    }
    rows = [
        invented(i, {}, 0.1, kind=kind, spec={"dents": [dent]}) for i, kind in enumerate(("faults", "mixed"))
    ]
    for row in rows:
        row["measurements"]["canister.dent_depth"].update(truth=0.1, value=0.1)
    found = detection(DENT, [scored(row) for row in rows])
    assert found["n"] == 1
    assert found["hits"] == [True]
