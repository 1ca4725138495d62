"""Otsu's eta of distributions whose classes were drawn."""

from __future__ import annotations

import numpy as np
import pytest
from xctrules_segmentation.separability import otsu_eta


def test_two_sharp_classes_are_told_apart_wholly() -> None:
    grey = np.repeat(np.array([20.0, 200.0]), [300, 700])
    assert otsu_eta(grey) == pytest.approx(1.0)


@pytest.mark.parametrize("apart", [4.0, 8.0])
@pytest.mark.parametrize("share", [0.3, 0.5])
def test_blurred_classes_as_their_distances_say(apart: float, share: float) -> None:
    """Two normal classes so far apart that hardly any value is on the other's side: variance between over
    the whole is w (1 - w) d^2 / (w (1 - w) d^2 + 1)."""
    rng = np.random.default_rng(7)
    n = 100_000
    grey = np.concatenate([rng.normal(0, 1, round(n * share)), rng.normal(apart, 1, round(n * (1 - share)))])
    between = share * (1 - share) * apart**2
    # At 4 standard deviations 2 % of the values fall on the wrong side, which makes the classes sharper.
    assert otsu_eta(grey) == pytest.approx(between / (between + 1), abs=0.02)


def test_scale_and_offset_of_the_greys_do_not_matter() -> None:
    grey = np.random.default_rng(1).gamma(2.0, 10.0, 5000)
    assert otsu_eta(3.0 * grey - 40.0) == pytest.approx(otsu_eta(grey), abs=1e-6)
