"""What noise and blur allow: against the information of single voxels, and against an estimator."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtr

from xctrules.core.cramer_rao import Optics


@pytest.mark.parametrize("correlation_px", [0.0, 0.6])
def test_bound_of_a_small_patch_is_the_information_of_its_voxels(correlation_px: float) -> None:
    """Against s' C^-1 s for one axis at a time: signal and noise are products of one-dimensional ones."""
    voxel, blur, step, noise, width = 0.034, 0.03, 50.0, 5.0, (0.17, 0.06)
    x = (np.arange(121) - 60) * voxel
    wide = math.sqrt(blur**2 + voxel**2 / 12)  # the voxel's own width, here as a Gaussian
    kernel = np.exp(-0.5 * (np.arange(-4, 5) / max(correlation_px, 1e-3)) ** 2)
    kernel /= np.linalg.norm(kernel)
    smooth = sum(weight * np.roll(np.eye(121), i, axis=1) for i, weight in enumerate(kernel, start=-4))
    covariance = smooth @ smooth.T  # closed on itself, unit variance

    def information(signal: np.ndarray) -> float:
        return float(signal @ np.linalg.solve(covariance, signal))

    across = np.exp(-0.5 * (x / wide) ** 2) / (wide * math.sqrt(2 * math.pi))
    sides = [ndtr((x + w / 2) / wide) - ndtr((x - w / 2) / wide) for w in width]
    total = (step / noise) ** 2 * information(across) * math.prod(map(information, sides))
    bound = Optics((voxel,) * 3, blur, noise, correlation_px).patch_bound_mm(step, width)
    assert bound == pytest.approx(1 / math.sqrt(total), rel=0.03)  # the voxel is no Gaussian


def located(sigma_px: float, correlation_px: float, seeds: int) -> tuple[float, Optics, float]:
    """Scatter of a least-squares edge over noise, its optics, and the face's area: voxels of 1 mm."""
    from scipy.ndimage import gaussian_filter

    n, across, step, noise = 41, 24, 50.0, 5.0
    z = np.arange(n) - n // 2
    width = math.sqrt(sigma_px**2 + 1 / 12)  # the voxel's own width blurs as well
    slope = -step * np.exp(-0.5 * (z / width) ** 2) / (width * math.sqrt(2 * math.pi))
    shifts = []
    for seed in range(seeds):
        field = np.random.default_rng(seed).standard_normal((n, across, across))
        if correlation_px:
            field = gaussian_filter(field, correlation_px, mode="wrap")
        field *= noise / field.std()
        mean = field.mean(axis=(1, 2))
        shifts.append(float(slope @ mean / (slope @ slope)))  # one Gauss-Newton step from the truth
    return float(np.std(shifts)), Optics((1.0, 1.0, 1.0), sigma_px, noise, correlation_px), across**2 * 1.0


def test_least_squares_reaches_the_cramer_rao_bound_in_white_noise() -> None:
    scatter, scan, area = located(1.2, 0.0, 400)
    bound = scan.face_bound_mm(50.0, area, axis=0)
    # an efficient estimator; 400 draws give its scatter to 3.5 %
    assert scatter == pytest.approx(bound, rel=0.12)


def test_nothing_beats_the_bound_in_correlated_noise() -> None:
    scatter, scan, area = located(1.5, 0.8, 400)
    bound = scan.face_bound_mm(50.0, area, axis=0)
    white = Optics(scan.voxel_mm, scan.blur_mm, scan.noise).face_bound_mm(50.0, area, axis=0)
    assert 0.9 * bound < scatter < 1.6 * bound
    assert bound > 2 * white  # noise that hangs together does not average out


def test_bound_for_white_noise_has_its_closed_form() -> None:
    # u = (s / A) sqrt(2 sqrt(pi) sigma V / S) where the blur is well above the voxel
    scan = Optics((0.01, 0.02, 0.02), 0.05, 2.0)
    assert scan.face_bound_mm(80.0, 3.0, axis=0) == pytest.approx(
        2 / 80 * math.sqrt(2 * math.sqrt(math.pi) * 0.05 * 0.01 * 0.02 * 0.02 / 3), rel=0.02
    )
