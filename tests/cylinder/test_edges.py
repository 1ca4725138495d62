"""Edges and slabs with known answers, drawn here."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from xctrules.core.robust import robust_sd
from xctrules.cylinder.edges import SlabPrior, Slabs, crossings


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
    fit = Slabs.estimate(
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
    fit = Slabs.estimate(profile, outer + 0.3, outer - 3.2, blur=blur, iterations=20)
    assert abs(half_height[0] - 25.0) > 0.1
    assert fit.outer[0] == pytest.approx(25.0, abs=0.03)


def test_blur_is_found() -> None:
    outer = np.linspace(24, 25, 7)
    fit = Slabs.estimate(slab(outer, 8.0, 1.2), outer, outer - 8, blur=1.0, free_blur=True, iterations=20)
    assert fit.blur == pytest.approx(np.full(7, 1.2), abs=0.02)


def test_prior_steadies_a_thin_slab_in_noise() -> None:
    rng = np.random.default_rng(4)
    outer = rng.uniform(24, 25, 400)
    noisy = slab(outer, 3.5, 1.2) + rng.normal(0, 4, (400, 40))
    prior = SlabPrior(200.0, 4.0, 0.0, 1.0, 2.0)
    free = Slabs.estimate(noisy, outer, outer - 3.5, blur=1.2, iterations=10)
    held = Slabs.estimate(noisy, outer, outer - 3.5, blur=1.2, prior=prior, noise=4.0, iterations=10)
    assert robust_sd(held.outer - outer) < robust_sd(free.outer - outer)
    assert np.nanmean(held.outer - outer) == pytest.approx(0.0, abs=0.02)


def test_missing_samples_give_no_fit() -> None:
    outer = np.array([25.0, 25.0])
    profiles = slab(outer, 6.0, 1.0)
    profiles[0, 22] = np.nan
    fit = Slabs.estimate(profiles, outer, outer - 6, blur=1.0)
    assert np.isnan(fit.outer[0]) and np.isnan(fit.rms[0])
    assert fit.outer[1] == pytest.approx(25.0, abs=0.05)


def test_a_fit_does_not_depend_on_its_neighbours() -> None:
    outer = np.linspace(24, 25, 5000)
    profiles = slab(outer, 6.0, 1.0)
    together = Slabs.estimate(profiles, outer, outer - 6, blur=1.0).outer
    alone = Slabs.estimate(profiles[4321:4322], outer[4321:4322], outer[4321:4322] - 6, blur=1.0).outer
    assert together[4321] == pytest.approx(alone[0], abs=1e-4)


def test_crossings() -> None:
    profiles = np.array([[0, 0, 4, 8, 8.0], [8, 8, 8, 8, 8.0], [0, np.nan, 8, 0, 8.0]])
    assert crossings(profiles, 6.0)[0] == pytest.approx(2.5)
    assert np.isnan(crossings(profiles, 6.0)[1])
    assert crossings(profiles, 6.0)[2] == pytest.approx(3.75)  # the missing sample is not crossed
    assert crossings(-profiles, -6.0, rising=False)[0] == pytest.approx(2.5)
    assert crossings(profiles, 6.0, start=np.array([3, 0, 0]))[0] != pytest.approx(2.5)


def test_residuals_of_what_a_slab_predicts_are_nothing_and_of_noise_are_the_noise() -> None:
    outer = np.linspace(24, 25, 7)
    profiles = slab(outer, 8.0, 1.2)
    fit = Slabs.estimate(profiles, outer, outer - 8, blur=1.2, iterations=15)
    x = np.arange(40)
    assert fit.predict(x) == pytest.approx(profiles, abs=0.5)  # the drawing places its faces to 1/80 sample
    noise = np.random.default_rng(6).normal(0, 3.0, profiles.shape)
    # Single precision: 1e-5 of the grey.
    assert fit.residuals(fit.predict(x) + noise) == pytest.approx(noise, abs=0.01)
