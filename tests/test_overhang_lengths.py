"""From edges to overhangs: lengths, leans, bases, the noise of extremes, on numbers made up by the tests."""

from __future__ import annotations

import numpy as np
import pytest
from xctrules_overhang.lengths import base_heights, deflections, extreme, lengths, scatter, smoothed
from xctrules_segmentation.ends import best_path, change_point, crossing, rank

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


def shared_noise(shape: tuple[int, int], reach: float, rng: np.random.Generator) -> np.ndarray:
    """Unit noise that a Gaussian kernel of ``reach`` angles has smoothed, and pooling after it."""
    away = np.minimum(np.arange(shape[1]), shape[1] - np.arange(shape[1]))
    kernel = np.exp(-0.5 * (away / reach) ** 2)
    white = rng.normal(size=shape)
    noise = np.fft.irfft(np.fft.rfft(white) * np.fft.rfft(kernel), shape[1])
    noise = 0.25 * (np.roll(noise, 1, -1) + np.roll(noise, -1, -1)) + 0.5 * noise
    return np.asarray(noise / noise.std())


def test_noise_that_neighbours_share_is_seen_in_full() -> None:
    """Near the core ten half-planes look at the same voxels and agree with one another."""
    values = 0.02 * shared_noise((6, 360), 4.0, np.random.default_rng(5))
    # Some 25 independent places on each of six turns: good to a seventh.
    assert scatter(values, np.full(6, 4.0)) == pytest.approx(0.02, rel=0.35)
    assert np.max(scatter(values)) < 0.012


def test_the_bias_of_an_extreme_is_taken_out_where_neighbours_share_their_noise() -> None:
    rng = np.random.default_rng(8)
    reach, sigma = np.full(8, 3.0), 0.02
    errors, covered = [], []
    for _ in range(30):
        values = 0.6 + sigma * shared_noise((8, 360), 3.0, rng)
        found = extreme(values, scatter(values, reach), -1, reach)
        errors.append(found.corrected - 0.6)
        covered.append(abs(errors[-1]) < 2 * np.hypot(found.spread, abs(found.bias) / np.sqrt(3)))
    # Uncorrected it is some 2.5 sigma.
    assert abs(np.mean(errors)) < 0.7 * sigma
    assert np.mean(covered) > 0.8


def test_smoothing_goes_round_the_turn_and_keeps_gaps() -> None:
    values = np.array([[0.0, 3.0, 0.0, NAN, 6.0]])
    assert smoothed(values, 1)[0] == pytest.approx([3.0, 1.0, 1.5, NAN, 3.0], nan_ok=True)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("angles", [120, 360])
def test_the_bias_of_an_extreme_is_taken_out(sign: int, angles: int) -> None:
    """Alike truths everywhere: whatever the extreme is beyond them is noise."""
    rng = np.random.default_rng(11)
    sigma, errors, spreads = 0.02, [], []
    for _ in range(40):
        noise = rng.normal(0, sigma, (12, angles))
        if angles >= 180:  # as pooled half-planes have it
            noise = (0.25 * (np.roll(noise, 1, -1) + np.roll(noise, -1, -1)) + 0.5 * noise) / np.sqrt(3 / 8)
        found = extreme(0.6 + noise, sigma, sign)
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
    found = extreme(values, 0.01, -1)
    assert found.corrected == pytest.approx(-0.1, abs=0.015)
    assert found.index[0] == 5 and 99 <= found.index[1] <= 120


def test_the_step_is_where_most_speaks_for_it() -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(10, 27, 200)
    level = np.where(np.arange(40)[:, None] <= true, 10.0, 0.0)
    profile = (level + rng.normal(0, 2.5, level.shape)).astype(np.float32)
    profile[5] = 0.0  # one dark voxel does not end an electrode
    profile[36:] = 12.0  # something else, beyond a dark stretch
    half = np.full(200, 5.0, dtype=np.float32)
    found = change_point(profile, half, half, stop=5)
    assert np.mean(found == true) > 0.8
    assert np.abs(found - true).max() <= 2


def test_only_where_it_can_be_seen_does_a_dark_stretch_end_a_foil() -> None:
    profile = np.zeros((60, 1), dtype=np.float32)
    profile[:6] = profile[30:45] = 10.0
    profile[6:30] = 3.5  # between two cathodes it hardly shows, above them it does
    profile[55:] = 30.0  # something else
    half = np.full(1, 5.0, dtype=np.float32)
    free = (np.arange(60) >= 30)[:, None]
    assert change_point(profile, half, half, 5, free)[0] == 44
    assert change_point(profile, half, half, 5)[0] == 5
    short = profile.copy()
    short[6:26] = 10.0
    short[26:45] = 0.0
    assert change_point(short, half, half, 5, free)[0] == 25


def test_a_crossing_is_found_between_samples_and_only_near() -> None:
    profile = np.array([[9.0], [9.0], [7.0], [3.0], [1.0], [1.0]], dtype=np.float32)
    index = np.array([2])
    assert crossing(profile, index, np.array([5.0], dtype=np.float32), 2) == pytest.approx([2.5])
    assert np.isnan(crossing(profile, index, np.array([20.0], dtype=np.float32), 2)).all()


def test_rank_ignores_what_is_unknown() -> None:
    values = np.array([[3.0, NAN], [1.0, NAN], [NAN, NAN], [2.0, NAN]], dtype=np.float32)
    assert rank(values, 0.5) == pytest.approx([2.0, NAN], nan_ok=True)
    assert rank(values, 0.0)[0] == 1.0


def test_the_path_follows_a_leaning_ridge_past_a_gap() -> None:
    true = np.clip(np.arange(30) // 3, 0, 14)
    gain = np.full((30, 1, 15), -0.2, dtype=np.float32)
    gain[np.arange(30), 0, true] = 1.0
    gain[12:15] = 0.0  # nothing to be seen
    assert np.array_equal(best_path(gain, reach=2, cost=0.1)[:, 0][:12], true[:12])
    assert np.array_equal(best_path(gain, reach=2, cost=0.1)[:, 0][15:], true[15:])


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
