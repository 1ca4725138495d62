"""The colour maps: even in lightness, apart for colour-blind readers, and honest about missing values."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from xctrules.pages import colour

STEPS = np.linspace(-1.0, 1.0, 101)


def linear_rgb(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """IEC 61966-2-1."""
    encoded = rgb / 255.0
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def cielab(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIE 1976 L*a*b* for white D65, a space other than the one that the maps were made in."""
    xyz = linear @ np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
    f = np.cbrt(xyz / [0.9505, 1.0, 1.089])
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def deuteranope(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is left without the green-sensitive cones (Machado, Oliveira, Fernandes 2009, severity 1)."""
    return np.clip(
        linear
        @ np.array(
            [[0.367322, 0.280085, -0.011820], [0.860646, 0.672501, 0.042940], [-0.227968, 0.047413, 0.968881]]
        ),
        0,
        1,
    )


def lightness(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    return cielab(linear_rgb(rgb))[..., 0]


def test_sequential_brightens_evenly() -> None:
    steps = np.diff(lightness(colour.sequential(STEPS, -1.0, 1.0)))
    assert (steps > 0).all()
    # 8-bit colours alone move L* by up to 0.3, a third of the mean step.
    assert steps.max() < 2.0 * steps.mean()


def test_diverging_darkens_alike_on_both_sides() -> None:
    light = lightness(colour.diverging(STEPS, 1.0))
    assert np.argmax(light) == 50
    assert (np.diff(light[:51]) > 0).all()
    assert (np.diff(light[50:]) < 0).all()
    # Two values of one size must look equally strong: within 2 L*, about one just noticeable difference.
    assert np.abs(light - light[::-1]).max() < 2.0


def test_signs_stay_apart_for_colour_blind_readers() -> None:
    half = colour.diverging(np.array([-0.5, 0.5]), 1.0)
    for seen in (linear_rgb(half), deuteranope(linear_rgb(half))):
        below, above = cielab(seen)
        assert np.linalg.norm(below - above) > 20  # about 10 times what can just be told apart


def test_values_beyond_the_limit_keep_its_colour() -> None:
    inside, outside = (
        colour.diverging(np.array([-1.0, 1.0]), 1.0),
        colour.diverging(np.array([-9.0, 9.0]), 1.0),
    )
    assert (inside == outside).all()
    assert (
        colour.sequential(np.array([0.0, 5.0]), 2.0, 3.0) == colour.sequential(np.array([2.0, 3.0]), 2.0, 3.0)
    ).all()


@pytest.mark.parametrize("shape", [(), (0,), (5,), (3, 4), (2, 3, 4)])
def test_shape_and_type(shape: tuple[int, ...]) -> None:
    for rgb in (colour.diverging(np.zeros(shape), 1.0), colour.sequential(np.zeros(shape), 0.0, 1.0)):
        assert rgb.shape == (*shape, 3)
        assert rgb.dtype == np.uint8


def test_missing_values_are_grey_and_nothing_else_is_that_grey() -> None:
    missing = np.array([np.nan, np.inf, -np.inf])
    for rgb in (colour.diverging(missing, 1.0), colour.sequential(missing, 0.0, 1.0)):
        assert (np.ptp(rgb, axis=-1) == 0).all()
        grey = rgb[0]
        for ramp in (colour.diverging(STEPS, 1.0), colour.sequential(STEPS, -1.0, 1.0)):
            apart = np.linalg.norm(cielab(linear_rgb(ramp)) - cielab(linear_rgb(grey)), axis=-1)
            assert apart.min() > 10


def test_a_field_without_spread_has_one_colour() -> None:
    assert np.ptp(colour.diverging(np.zeros(4), 0.0), axis=0).max() == 0
    assert np.ptp(colour.sequential(np.full(4, 7.0), 7.0, 7.0), axis=0).max() == 0


def test_zero_is_the_middle_of_the_bar() -> None:
    bar = dict(colour.colour_bar("diverging"))
    assert bar[0.5] == "#" + bytes(colour.diverging(np.zeros(1), 1.0)[0]).hex()
    assert bar[0.0] == "#" + bytes(colour.diverging(np.array([-1.0]), 1.0)[0]).hex()
    assert (
        dict(colour.colour_bar("sequential"))[1.0]
        == "#" + bytes(colour.sequential(np.ones(1), 0, 1)[0]).hex()
    )


def test_the_shared_table_cannot_be_spoilt() -> None:
    colours = colour.diverging(np.zeros(1), 1.0)
    colours[:] = 0
    assert colour.diverging(np.zeros(1), 1.0).max() > 0


def test_unknown_map_is_named() -> None:
    with pytest.raises(ValueError, match="rainbow"):
        colour.colour_bar("rainbow")
