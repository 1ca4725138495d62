"""Errors, coverage and repeatability over cases."""

from __future__ import annotations

import numpy as np
import pytest
from validation_examples import found_in, invented


def test_scans_of_one_cell_count_once_and_give_its_repeatability() -> None:
    rng = np.random.default_rng(4)
    rows = []
    for cell in range(60):
        of_cell = rng.standard_normal()
        rows += [
            invented(5 * cell + i, {"winding.pitch": of_cell + 0.1 * rng.standard_normal()}, 1.0, group=cell)
            for i in range(5)
        ]
    found = found_in(rows)
    assert found["cases"]["n"] == 300
    assert found["measurements"]["winding.pitch"]["n"] == 60
    assert found["measurements"]["winding.pitch"]["bias"]["sd"] == pytest.approx(1.0, rel=0.3)
    # 240 degrees of freedom give a deviation to 4.6 %
    assert found["repeatability"]["winding.pitch"]["sd"] == pytest.approx(0.1, rel=0.15)


def test_the_depth_of_a_fault_is_judged_on_faulty_cells_alone() -> None:
    rows = [invented(i, {"canister.dent_depth": 0.2}, 0.1) for i in range(20)]  # intervals that exclude zero
    for row in rows[:5]:
        row["measurements"]["canister.dent_depth"].update(truth=0.1, value=0.1)
    found = found_in(rows)["measurements"]["canister.dent_depth"]
    assert (found["n"], found["coverage"]["share"]) == (5, 1.0)
    assert (found["coverage_on_sound"]["n"], found["coverage_on_sound"]["share"]) == (15, 0.0)


def test_what_was_not_measured_is_counted_with_its_reasons() -> None:
    rows = [invented(i, {}, 1.0) for i in range(6)]
    for i, row in enumerate(rows[:3]):
        reason = "too dark" if i < 2 else "too bright"
        row["measurements"]["winding.pitch"] = {"unit": "mm", "truth": 0.4, "value": None, "reason": reason}
    found = found_in(rows)["measurements"]["winding.pitch"]
    assert (found["n"], found["not_measured"]) == (3, 3)
    assert found["reasons"] == {"too dark": 2, "too bright": 1}


def test_cases_fall_into_strata_by_how_they_were_scanned() -> None:
    rows = [invented(i, {}, 1.0) for i in range(3)]
    for row, voxel in zip(rows, (0.02, 0.03, 0.05), strict=True):
        row["spec"]["voxel_size_mm"] = (voxel, voxel, voxel)
    strata = found_in(rows)["strata"]["winding.pitch"]
    assert [s["bias"]["n"] for s in strata if s["by"] == "voxel size"] == [1, 1, 1]


def test_the_worst_miss_comes_first() -> None:
    rows = [invented(i, {"winding.pitch": error}, 1.0) for i, error in enumerate((0.5, 1.5, -4.0))]
    worst = found_in(rows)["worst"]
    assert [(w["index"], w["ratio"]) for w in worst] == [(2, pytest.approx(4.0)), (1, pytest.approx(1.5))]
