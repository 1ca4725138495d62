"""Ellipses with known answers, drawn here."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xctrules.cylinder.ellipses import Ellipses


def ring(a: float, b: float, angle: float, centre: tuple[float, float], count: int = 180) -> np.ndarray:
    """Points (2, count) on an ellipse at equal angles seen from the origin."""
    t = np.linspace(0, 2 * np.pi, count, endpoint=False)
    tilt = np.deg2rad(angle)
    u, v = a * np.cos(t), b * np.sin(t)
    return np.stack(
        [centre[0] + u * np.cos(tilt) - v * np.sin(tilt), centre[1] + u * np.sin(tilt) + v * np.cos(tilt)]
    )


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    ratio=st.floats(0.85, 0.999),
    angle=st.floats(0, 180),
    x0=st.floats(-0.5, 0.5),
    y0=st.floats(-0.5, 0.5),
    dented=st.integers(0, 179),
)
def test_ellipse_with_a_dent_is_recovered(
    ratio: float, angle: float, x0: float, y0: float, dented: int
) -> None:
    """Fifty degrees pushed in by 5 %: the ellipse through the rest is what it was."""
    x, y = ring(10.0, 10.0 * ratio, angle, (x0, y0))
    push = np.ones(180)
    push[:25] = 1 - 0.05 * np.sin(np.pi * np.arange(25) / 25)
    push = np.roll(push, dented)
    px, py = x0 + (x - x0) * push, y0 + (y - y0) * push
    fit = Ellipses.estimate(px[None], py[None], scale_floor=1e-4)
    assert fit.semi_axes[0] == pytest.approx([10.0, 10.0 * ratio], abs=0.005)
    assert fit.centre[0] == pytest.approx([x0, y0], abs=0.005)
    if ratio < 0.98:
        assert abs((fit.angle_deg[0] - angle + 90) % 180 - 90) < 1.0
    deepest = fit.residuals(px[None], py[None]).min()
    # Pushed towards the centre, so at most by 5 % of the radius there, and seen along the normal.
    assert -0.5 * 1.02 <= deepest <= -0.5 * ratio * 0.97


def test_gentle_lobes_are_averaged_not_cut_up() -> None:
    """A three-lobed can of 0.02 mm is no can with dents: its ellipse stays nearly the circle."""
    t = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    r = 10 + 0.02 * np.cos(3 * t) + np.random.default_rng(2).normal(0, 0.001, 180)
    fit = Ellipses.estimate((r * np.cos(t))[None], (r * np.sin(t))[None], scale_floor=1e-3)
    assert np.ptp(fit.semi_axes[0]) < 0.003


def test_too_few_points_give_no_ellipse() -> None:
    x, y = ring(10, 9, 0, (0, 0))
    x[20:] = np.nan
    assert np.isnan(Ellipses.estimate(x[None], y[None], scale_floor=1e-3).semi_axes).all()


def test_what_is_predicted_lies_on_the_ellipse() -> None:
    x, y = ring(10, 8, 35, (0.2, -0.3))
    fit = Ellipses.estimate(x[None], y[None], scale_floor=1e-4)
    points = fit.predict(np.linspace(0, 360, 50, endpoint=False))
    assert fit.residuals(points[..., 0], points[..., 1]) == pytest.approx(np.zeros((1, 50)), abs=1e-9)
