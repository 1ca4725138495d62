"""Edges, slabs and ellipses with known answers, drawn here."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from xctrules.core.robust import robust_sd
from xctrules.cylinder.edges import SlabPrior, crossings, fit_ellipses, fit_slab


def slab(
    outer: np.ndarray,
    thickness: float,
    blur: float,
    *,
    wall: float = 200,
    inside: float = 60,
    outside: float = 5,
) -> np.ndarray:
    """Profiles (n, 40): shares of each sample filled by the slab, blurred by an independent routine."""
    fine = 40  # finer samples for each one
    x = (np.arange(40 * fine) + 0.5) / fine - 0.5
    inner = (outer - thickness)[:, None]
    grey = np.where(x < inner, inside, np.where(x < outer[:, None], wall, outside)).astype(float)
    blurred = gaussian_filter1d(grey, blur * fine, axis=1, mode="nearest", truncate=6)
    return blurred[:, fine // 2 :: fine][:, :40]


@pytest.mark.parametrize("thickness", [3.5, 6.0, 10.0])
@pytest.mark.parametrize("blur", [0.8, 1.4])
def test_slab_is_recovered(thickness: float, blur: float) -> None:
    outer = np.linspace(24.0, 25.0, 9)
    fit = fit_slab(
        slab(outer, thickness, blur), outer + 0.6, outer - thickness - 0.5, blur=blur, iterations=15
    )
    # The finest samples are 1/40 apart; half of that is how well the drawing itself is placed.
    assert fit.outer == pytest.approx(outer, abs=0.02)
    assert fit.outer - fit.inner == pytest.approx(np.full(9, thickness), abs=0.03)
    assert fit.wall == pytest.approx(np.full(9, 200.0), abs=2.0)


def test_half_height_is_wrong_on_a_thin_wall_and_the_slab_is_not() -> None:
    """The reason for the model: a wall of 2.5 blurs never reaches its plateau."""
    outer, blur = np.array([25.0]), 1.4
    profile = slab(outer, 3.5, blur)
    half_height = 39 - crossings(profile[:, ::-1], 0.5 * (profile.max() + 5))
    fit = fit_slab(profile, outer + 0.3, outer - 3.2, blur=blur, iterations=20)
    assert abs(half_height[0] - 25.0) > 0.1
    assert fit.outer[0] == pytest.approx(25.0, abs=0.03)


def test_blur_is_found() -> None:
    outer = np.linspace(24, 25, 7)
    fit = fit_slab(slab(outer, 8.0, 1.2), outer, outer - 8, blur=1.0, free_blur=True, iterations=20)
    assert fit.blur == pytest.approx(np.full(7, 1.2), abs=0.02)


def test_prior_steadies_a_thin_slab_in_noise() -> None:
    rng = np.random.default_rng(4)
    outer = rng.uniform(24, 25, 400)
    noisy = slab(outer, 3.5, 1.2) + rng.normal(0, 4, (400, 40))
    prior = SlabPrior(200.0, 4.0, 0.0, 1.0, 2.0)
    free = fit_slab(noisy, outer, outer - 3.5, blur=1.2, iterations=10)
    held = fit_slab(noisy, outer, outer - 3.5, blur=1.2, prior=prior, noise=4.0, iterations=10)
    assert robust_sd(held.outer - outer) < robust_sd(free.outer - outer)
    assert np.nanmean(held.outer - outer) == pytest.approx(0.0, abs=0.02)


def test_missing_samples_give_no_fit() -> None:
    outer = np.array([25.0, 25.0])
    profiles = slab(outer, 6.0, 1.0)
    profiles[0, 22] = np.nan
    fit = fit_slab(profiles, outer, outer - 6, blur=1.0)
    assert np.isnan(fit.outer[0]) and np.isnan(fit.rms[0])
    assert fit.outer[1] == pytest.approx(25.0, abs=0.05)


def test_a_fit_does_not_depend_on_its_neighbours() -> None:
    outer = np.linspace(24, 25, 5000)
    profiles = slab(outer, 6.0, 1.0)
    together = fit_slab(profiles, outer, outer - 6, blur=1.0).outer
    alone = fit_slab(profiles[4321:4322], outer[4321:4322], outer[4321:4322] - 6, blur=1.0).outer
    assert together[4321] == pytest.approx(alone[0], abs=1e-4)


def test_crossings() -> None:
    profiles = np.array([[0, 0, 4, 8, 8.0], [8, 8, 8, 8, 8.0], [0, np.nan, 8, 0, 8.0]])
    assert crossings(profiles, 6.0)[0] == pytest.approx(2.5)
    assert np.isnan(crossings(profiles, 6.0)[1])
    assert crossings(profiles, 6.0)[2] == pytest.approx(3.75)  # the missing sample is not crossed
    assert crossings(-profiles, -6.0, rising=False)[0] == pytest.approx(2.5)
    assert crossings(profiles, 6.0, start=np.array([3, 0, 0]))[0] != pytest.approx(2.5)


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
    fit = fit_ellipses(px[None], py[None], scale_floor=1e-4)
    assert fit.semi_axes[0] == pytest.approx([10.0, 10.0 * ratio], abs=0.005)
    assert fit.centre[0] == pytest.approx([x0, y0], abs=0.005)
    if ratio < 0.98:
        assert abs((fit.angle_deg[0] - angle + 90) % 180 - 90) < 1.0
    deepest = fit.deviation(px[None], py[None]).min()
    # Pushed towards the centre, so at most by 5 % of the radius there, and seen along the normal.
    assert -0.5 * 1.02 <= deepest <= -0.5 * ratio * 0.97


def test_gentle_lobes_are_averaged_not_cut_up() -> None:
    """A three-lobed can of 0.02 mm is no can with dents: its ellipse stays nearly the circle."""
    t = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    r = 10 + 0.02 * np.cos(3 * t) + np.random.default_rng(2).normal(0, 0.001, 180)
    fit = fit_ellipses((r * np.cos(t))[None], (r * np.sin(t))[None], scale_floor=1e-3)
    assert np.ptp(fit.semi_axes[0]) < 0.003


def test_too_few_points_give_no_ellipse() -> None:
    x, y = ring(10, 9, 0, (0, 0))
    x[20:] = np.nan
    assert np.isnan(fit_ellipses(x[None], y[None], scale_floor=1e-3).semi_axes).all()


def test_contour_lies_on_the_ellipse() -> None:
    x, y = ring(10, 8, 35, (0.2, -0.3))
    fit = fit_ellipses(x[None], y[None], scale_floor=1e-4)
    points = fit.contour(0, 50)
    assert fit.deviation(points[None, :, 0], points[None, :, 1]) == pytest.approx(np.zeros((1, 50)), abs=1e-9)
