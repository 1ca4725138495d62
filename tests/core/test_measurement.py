"""Measurements as the record holds them: uncertainties follow from their budget."""

from __future__ import annotations

import math

import pytest

from xctrules.core.canonical import canonical_bytes
from xctrules.core.measurement import Contribution, Measurement, measurement_to_json


def test_uncertainty_in_the_record_follows_from_its_budget():
    entry = measurement_to_json(
        Measurement(
            "a",
            "mm",
            value=1.0,
            budget=(Contribution("x", 3.0, degrees_of_freedom=9), Contribution("y", 4.0)),
        )
    )
    assert entry["standard_uncertainty"] == 5.0
    # Welch-Satterthwaite: 5^4 / (3^4 / 9) = 69.4; Student's t for 69 degrees of freedom and 95 % is 1.995.
    assert entry["degrees_of_freedom"] == pytest.approx(69.4444, abs=1e-3)
    assert entry["coverage_factor"] == pytest.approx(1.995, abs=5e-4)
    assert entry["expanded_uncertainty"] == pytest.approx(5 * 1.995, abs=3e-3)
    assert entry["budget"][1]["degrees_of_freedom"] is None


@pytest.mark.parametrize(
    "line",
    [Contribution("x", 1e200), Contribution("x", math.nan), Contribution("x", 1.0, degrees_of_freedom=0)],
)
def test_a_budget_that_makes_no_sense_gives_no_uncertainty(line):
    entry = measurement_to_json(Measurement("a", "mm", value=1.0, budget=(line, Contribution("y", 1.0))))
    assert entry["standard_uncertainty"] is None
    canonical_bytes(entry)
