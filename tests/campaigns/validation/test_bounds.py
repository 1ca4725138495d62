"""Stated uncertainties beside the Cramér-Rao bound."""

from __future__ import annotations

import pytest
from validation_examples import found_in, invented


def test_the_bound_is_held_against_the_noise_alone() -> None:
    found = found_in([invented(i, {}, 0.1) for i in range(3)])["bounds"]["overhang.length.mean"]
    assert found["stated"] == pytest.approx(0.1)
    assert found["noise"] == pytest.approx(1.96 * 0.04, rel=1e-3)
    assert found["without_scale"] == pytest.approx(found["noise"])  # no line but scale and noise
    assert found["ratio"] == pytest.approx(found["noise"] / found["bound"])


def test_an_edge_whose_noise_nobody_stated_is_left_out() -> None:
    rows = [invented(i, {}, 0.1) for i in range(3)]
    assert found_in(rows)["bounds"]["one cathode edge"]["n"] == 3
    rows[1]["noted"]["cathode_sigma_mm"] = None
    found = found_in(rows)["bounds"]["one cathode edge"]
    assert found["n"] == 2
    assert found["noise"] == pytest.approx(0.001 / rows[0]["spec"]["voxel_size_mm"][0])
