"""Probabilities of conformity against published values and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from xctrules.core.measurement import Contribution, Measurement, measurement_to_json
from xctrules.rules.probability import Interval, joint_probability, probability_of_conformity
from xctrules.rules.quantity import Quantity


def test_probability_of_conformity_meets_the_published_vector():
    # y = 13.6, u = 1.8, TL = 12.5, TU = 16.3 (field notes, section 4).
    assert probability_of_conformity(13.6, 1.8, 12.5, 16.3) == pytest.approx(0.6626, abs=5e-5)
    assert probability_of_conformity(-13.6, 1.8, -16.3, -12.5) == pytest.approx(0.6626, abs=5e-5)
    assert probability_of_conformity(10.0, 1.0, None, 10.0) == pytest.approx(0.5)
    assert probability_of_conformity(10.0, 0.0, None, 10.0) == 1.0
    assert probability_of_conformity(10.1, 0.0, None, 10.0) == 0.0


def interval(name, value, noise, shared, low=-math.inf, high=math.inf):
    budget = (Contribution("noise", noise), *(Contribution(k, v, "B", True) for k, v in shared.items()))
    return Interval(
        Quantity.of(name, measurement_to_json(Measurement(name, "mm", value=value, budget=budget))), low, high
    )


def simulate(intervals, n=400_000):
    rng = np.random.default_rng(7)
    factors = {s: rng.standard_normal(n) for i in intervals for s in i.quantity.shared}
    inside = np.ones(n, dtype=bool)
    for i in intervals:
        y = i.quantity.value + i.quantity.independent * rng.standard_normal(n)
        for source, share in i.quantity.shared.items():
            y = y + share * factors[source]
        inside &= (y >= i.low) & (y <= i.high)
    return inside.mean()


@pytest.mark.parametrize(
    "intervals",
    [
        [interval("a", 0, 1, {}, high=1), interval("b", 0, 1, {}, low=0)],
        [interval("a", 0, 0.5, {"s": 1.0}, high=0.5), interval("b", 0, 0.3, {"s": -0.8}, high=0.2)],
        [interval("a", 0, 0.5, {"s": 1.0}, high=0.5), interval("b", 0, 0.3, {"s": 0.8}, high=0.2)],
        [interval("a", 0, 1e-4, {"s": 1.0}, high=0.5), interval("b", 0, 0.0, {"s": 0.8}, -0.3, 0.2)],
        [interval("a", 0, 0.5, {"s": 1, "t": 0.4}, high=0.5),
         interval("b", 0, 0.3, {"s": -0.5, "t": 1}, high=0.2)],
        [interval("a", 0, 0.2, {"s": 1, "t": 0.4, "v": 1}, -1, 1),
         interval("b", 0, 0.1, {"s": -1, "t": 1}, -1, 1),
         interval("c", 0.1, 0.1, {"v": 0.5, "s": 0.1}, high=0.3)],
    ],
)  # fmt: skip
def test_joint_probability_agrees_with_simulation(intervals):
    # Simulated with 400,000 draws: standard error below 0.0008, so 0.004 is five of them.
    assert joint_probability(intervals) == pytest.approx(simulate(intervals), abs=0.004)


def test_fully_correlated_quantities_are_as_probable_as_the_worse_one():
    a = interval("a", 0, 0.0, {"s": 1.0}, high=1.0)
    b = interval("b", 0, 0.0, {"s": 1.0}, high=0.5)
    assert joint_probability([a, b]) == pytest.approx(0.691462, abs=1e-5)  # Phi(0.5), tables
    opposite = interval("b", 0, 0.0, {"s": -1.0}, high=0.5)
    assert joint_probability([a, opposite]) == pytest.approx(0.841345 - 0.308538, abs=1e-5)
