"""From edges to overhangs: lengths, leans, bases, the noise of extremes, on numbers made up by the tests."""

from __future__ import annotations

import numpy as np
import pytest
from xctrules_overhang.lengths import base_heights, deflections, extreme, lengths, scatter, smoothed

from xctrules.cylinder.surfaces import EndEdges

NAN = float("nan")


def edges(anode: float, inner: float, outer: float, outward: int = 1, lean_deg: float = 0.0) -> EndEdges:
    """Three turns and 24 angles, all alike."""
    shape = (3, 24)
    reach = np.linspace(0.0, 1.0, 9)
    path_z = outward * max(inner, outer) + outward * reach * 0.6
    path_r = 5.0 + np.tan(np.radians(lean_deg)) * reach * 0.6
    return EndEdges(
        end="top",
        outward=outward,
        theta_deg=np.arange(24) * 15.0,
        anode_z_mm=np.full(shape, outward * anode),
        cathode_z_mm=outward * np.stack([np.full(shape, inner), np.full(shape, outer)]),
        path_z_mm=np.broadcast_to(path_z, (*shape, 9)),
        path_r_mm=np.broadcast_to(path_r, (*shape, 9)),
        state=np.zeros(shape, dtype=np.int8),
        anode_sigma_mm=0.0,
        cathode_sigma_mm=0.0,
    )


@pytest.mark.parametrize("outward", [1, -1])
def test_the_worse_of_two_cathodes_counts_and_the_sign_is_the_ends_own(outward: int) -> None:
    assert lengths(edges(2.0, 1.3, 1.5, outward)) == pytest.approx(np.full((3, 24), 0.5))
    assert lengths(edges(1.4, 1.3, 1.5, outward)) == pytest.approx(np.full((3, 24), -0.1))


def test_one_face_alone_is_enough_and_none_is_not() -> None:
    assert lengths(edges(2.0, NAN, 1.5)) == pytest.approx(np.full((3, 24), 0.5))
    assert lengths(edges(2.0, 1.5, NAN)) == pytest.approx(np.full((3, 24), 0.5))
    assert np.isnan(lengths(edges(2.0, NAN, NAN))).all()


@pytest.mark.parametrize("outward", [1, -1])
@pytest.mark.parametrize("lean", [-12.0, 0.0, 25.0])
def test_a_lean_is_outward_positive_at_both_ends(outward: int, lean: float) -> None:
    assert deflections(edges(2.1, 1.5, 1.5, outward, lean), 0.1) == pytest.approx(np.full((3, 24), lean))


def test_too_short_a_foil_has_no_lean() -> None:
    assert np.isnan(deflections(edges(1.55, 1.5, 1.5), 0.1)).all()


def test_each_cathode_edge_counts_once() -> None:
    base = base_heights(edges(2.0, 1.3, 1.5))
    assert base.shape == (4, 24)
    assert base[0] == pytest.approx(np.full(24, 1.3))  # inside the innermost turn
    assert base[1:] == pytest.approx(np.full((3, 24), 1.5))


def test_scatter_is_the_noise_and_not_the_wave() -> None:
    rng = np.random.default_rng(2)
    theta = np.radians(np.arange(120) * 3.0)
    values = 0.5 + 0.2 * np.cos(theta) + rng.normal(0, 0.01, (20, 120))
    # 2400 values: the median absolute deviation is good to 3 %; the wave's curvature adds less.
    assert scatter(values) == pytest.approx(0.01, rel=0.1)


POOLING = (0.5, 0.25)
"""Half-planes averaged with their neighbours, at half weight."""


def pooled(noise: np.ndarray) -> np.ndarray:
    return np.asarray(0.25 * (np.roll(noise, 1, -1) + np.roll(noise, -1, -1)) + 0.5 * noise)


def shared_noise(shape: tuple[int, int], reach: float, rng: np.random.Generator) -> np.ndarray:
    """Unit noise that a Gaussian kernel of ``reach`` angles has smoothed, and pooling after it."""
    away = np.minimum(np.arange(shape[1]), shape[1] - np.arange(shape[1]))
    kernel = np.exp(-0.5 * (away / reach) ** 2)
    white = rng.normal(size=shape)
    noise = np.fft.irfft(np.fft.rfft(white) * np.fft.rfft(kernel), shape[1])
    noise = pooled(noise)
    return np.asarray(noise / noise.std())


def test_noise_that_neighbours_share_is_seen_in_full() -> None:
    """Near the core ten half-planes look at the same voxels and agree with one another."""
    values = 0.02 * shared_noise((6, 360), 4.0, np.random.default_rng(5))
    # Some 25 independent places on each of six turns: good to a seventh.
    assert scatter(values, np.full(6, 4.0), POOLING) == pytest.approx(0.02, rel=0.35)
    assert np.max(scatter(values, pooling=POOLING)) < 0.012


def test_the_noise_of_pooled_half_planes_is_seen_in_full() -> None:
    """Neighbours that were averaged over one another differ by less than their noise."""
    values = np.random.default_rng(3).normal(0, 0.02, (20, 360))
    values = pooled(values) / np.sqrt(3 / 8)
    # 7200 values: good to 2 %; second differences of neighbours show a third of the variance, 0.012.
    assert scatter(values, pooling=POOLING) == pytest.approx(0.02, rel=0.15)
    assert np.max(scatter(values)) < 0.015


def test_the_bias_of_an_extreme_is_taken_out_where_neighbours_share_their_noise() -> None:
    rng = np.random.default_rng(8)
    reach, sigma = np.full(8, 3.0), 0.02
    errors, covered = [], []
    for _ in range(30):
        values = 0.6 + sigma * shared_noise((8, 360), 3.0, rng)
        found = extreme(values, scatter(values, reach, POOLING), -1, reach, POOLING)
        errors.append(found.corrected - 0.6)
        covered.append(abs(errors[-1]) < 2 * np.hypot(found.spread, abs(found.bias) / np.sqrt(3)))
    # Uncorrected it is some 2.5 sigma.
    assert abs(np.mean(errors)) < 0.7 * sigma
    assert np.mean(covered) > 0.8


def test_smoothing_goes_round_the_turn_and_keeps_gaps() -> None:
    values = np.array([[0.0, 3.0, 0.0, NAN, 6.0]])
    assert smoothed(values, 1)[0] == pytest.approx([3.0, 1.0, 1.5, NAN, 3.0], nan_ok=True)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(("angles", "pooling"), [(120, (1.0,)), (360, POOLING)])
def test_the_bias_of_an_extreme_is_taken_out(sign: int, angles: int, pooling: tuple[float, ...]) -> None:
    """Alike truths everywhere: whatever the extreme is beyond them is noise."""
    rng = np.random.default_rng(11)
    sigma, errors, spreads = 0.02, [], []
    for _ in range(40):
        noise = rng.normal(0, sigma, (12, angles))
        if pooling == POOLING:
            noise = pooled(noise) / np.sqrt(3 / 8)
        found = extreme(0.6 + noise, sigma, sign, pooling=pooling)
        errors.append(found.corrected - 0.6)
        spreads.append(found.spread)
        assert sign * (found.value - 0.6) > 0
    # Uncorrected, the extreme of hundreds of values lies some 3 sigma (of the averaged values) out.
    assert abs(np.mean(errors)) < 0.5 * sigma
    # Neighbouring angles share their noise, so that 40 rolls are few: the spread is right to a factor of two.
    assert 0.5 < np.std(errors) / np.mean(spreads) < 2.5


def test_a_fault_is_not_corrected_away() -> None:
    rng = np.random.default_rng(4)
    values = 0.6 + rng.normal(0, 0.01, (12, 360))
    values[5, 100:120] -= 0.7
    found = extreme(values, 0.01, -1, pooling=POOLING)
    assert found.corrected == pytest.approx(-0.1, abs=0.015)
    assert found.index[0] == 5 and 99 <= found.index[1] <= 120


@pytest.mark.parametrize("handedness", [1, -1])
def test_an_unclear_stretch_goes_on_into_the_next_turn(handedness: int) -> None:
    from types import SimpleNamespace

    from xctrules_overhang.metric import longest_unclear

    from xctrules.cylinder.surfaces import UNCLEAR

    state = np.zeros((3, 360), dtype=np.int8)
    line = state.reshape(-1) if handedness > 0 else state[:, ::-1].reshape(-1).copy()
    line[357:363] = UNCLEAR  # three degrees on either side of the seam
    if handedness < 0:
        state = line.reshape(3, 360)[:, ::-1].copy()
    found = SimpleNamespace(
        edges=SimpleNamespace(end="top", state=state, theta_deg=np.arange(360.0), handedness=handedness)
    )
    text = longest_unclear([found])  # type: ignore[list-item]
    assert text is not None and "over 6 degrees from turn 0" in text
    state[state == UNCLEAR] = 0
    assert longest_unclear([found]) is None  # type: ignore[list-item]
