"""What is asked, and whether it holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from validation_examples import criterion, found_in, invented

from xctrules.cylinder.phantom.targets import TARGETS


@pytest.mark.parametrize(
    ("sigma", "holds"), [(0.5, True), (1.0, False), (0.1, False)], ids=["honest", "too small", "too wide"]
)
def test_coverage_is_held_against_its_range(sigma: float, holds: bool) -> None:
    rng = np.random.default_rng(1)
    names = [name for name in TARGETS.covered if name not in ("canister.dent_depth", "winding.core_collapse")]
    rows = [invented(i, {name: sigma * rng.standard_normal() for name in names}, 0.98) for i in range(300)]
    found = found_in(rows)
    for name in names:
        assert criterion(found, f"coverage: {name}") is holds, found["measurements"][name]["coverage"]


def test_bias_is_held_against_its_limit() -> None:
    rng = np.random.default_rng(2)
    for bias, holds in ((0.01, True), (0.05, False)):
        rows = [
            invented(i, {"canister.outer_diameter": bias + 0.01 * rng.standard_normal()}, 1.0)
            for i in range(30)
        ]
        assert criterion(found_in(rows), "bias: canister.outer_diameter") is holds


def test_few_cases_say_nothing_unless_they_are_far_off() -> None:
    rng = np.random.default_rng(3)

    def rows(bias: float) -> list[dict[str, Any]]:
        errors = bias + 0.005 * rng.standard_normal(6)
        return [invented(i, {"canister.outer_diameter": e}, 1.0) for i, e in enumerate(errors)]

    assert criterion(found_in(rows(0.0)), "bias: canister.outer_diameter") is None
    assert criterion(found_in(rows(0.3)), "bias: canister.outer_diameter") is False
    assert criterion(found_in(rows(0.0)), "coverage: canister.outer_diameter") is None


@pytest.mark.parametrize(("missed", "holds"), [(0, True), (3, False)])
def test_faults_of_the_size_that_is_asked_for_are_found(missed: int, holds: bool) -> None:
    rows = []
    for i in range(20):
        row = invented(i, {}, 0.1, kind="faults", spec={"negative_overhangs": [{"length_mm": -0.1}]})
        entry = row["measurements"]["overhang.length.min"]
        entry.update(truth=-3 * row["spec"]["voxel_size_mm"][0], value=0.1 if i < missed else -0.1)
        rows.append(row)
    found = found_in(rows)
    assert found["detection"]["negative overhang"]["above_target"]["n"] == 20
    assert criterion(found, "detection: negative overhang") is holds
