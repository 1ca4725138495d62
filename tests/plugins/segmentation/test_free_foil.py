"""A foil is followed along its own ridge, also where another one beside it stands out more."""

from __future__ import annotations

import numpy as np
import pytest
from xctrules_segmentation.foil_contrast import FoilContrast
from xctrules_segmentation.free_foil import OneFoil, find_tip, strays
from xctrules_segmentation.layout import Layout
from xctrules_segmentation.sampling import Sampling
from xctrules_segmentation.window import Window

VOXEL_MM, PITCH_MM, ANGLES = 0.034, 0.385, 360
FOIL_MM = 8.0 + PITCH_MM * np.arange(5.0)
LEAN = -0.4  # inward, as the outermost foils lean under a bead
TIP_MM = 0.6
DRAWN = 3  # this turn has the other ridge beside it


def drawn(other: slice, gone: slice = slice(0)) -> tuple[Window, Layout]:
    """Leaning foils of grey 1 up to ``TIP_MM``; beside one of them, over the half-planes ``other``, a piece
    of grey 1.5 stands where the foil would stand upright, and over ``gone`` that foil is missing."""
    height = np.arange(-1.6, 3.2, 0.068)
    r = np.arange(7.0, 10.4, VOXEL_MM / 2)
    theta = np.arange(ANGLES, dtype=float)
    grey = np.zeros((height.size, ANGLES, r.size))
    free = np.clip(height, 0, None)[:, None]
    for turn, foil in enumerate(FOIL_MM):
        path = foil + LEAN * free
        ridge = np.exp(-0.5 * ((r - path) / VOXEL_MM) ** 2) * (height < TIP_MM)[:, None]
        plane = np.repeat(ridge[:, None], ANGLES, axis=1)
        if turn == DRAWN:
            plane[height > 0, gone] = 0
            piece = 1.5 * np.exp(-0.5 * ((r - foil - 0.04) / VOXEL_MM) ** 2)
            plane[(height > 0.05) & (height < 0.9), other] += piece
        grey += plane
    grey += np.random.default_rng(4).normal(0, 0.05, grey.shape)
    radius = np.repeat(FOIL_MM[:, None], ANGLES, axis=1)
    layout = Layout(theta, radius, radius - PITCH_MM / 2, radius + PITCH_MM / 2, 0.08, PITCH_MM, 1)
    return Window(grey.astype(np.float32), height, theta, r, 0.068), layout


def followed(window: Window, layout: Layout) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lean at half the tip's height and tip of the drawn turn, and where it strayed, each over the angles."""
    sampling = Sampling.of(window.step_mm, VOXEL_MM, 2.5 * VOXEL_MM)
    none = np.zeros((2, ANGLES), dtype=bool)

    def foil(turn: int) -> OneFoil:
        typical = FoilContrast(0.9, 0.9, 0.9, 0.9)
        return OneFoil(
            window, layout.foil_mm[turn], np.zeros(ANGLES), none, none[0], PITCH_MM, sampling, typical
        )

    turns = [find_tip(foil(turn)) for turn in range(FOIL_MM.size)]
    path = np.stack([turn.path for turn in turns], axis=1)
    off = strays(window, layout, path, np.stack([turn.tip for turn in turns]), sampling.side_mm)
    found = turns[DRAWN].replaced(find_tip(foil(DRAWN), off.usual(DRAWN)), off.where[DRAWN])
    half = int(np.argmin(np.abs(window.height_mm - TIP_MM / 2)))
    return found.path[half] - FOIL_MM[DRAWN], found.tip, off.where[DRAWN]


@pytest.mark.parametrize("first", [0, 120, 357])
def test_a_brighter_piece_beside_a_few_half_planes_does_not_draw_the_path(first: int) -> None:
    beside = slice(first, first + 3)
    lean, tip, strayed = followed(*drawn(beside))
    assert strayed[beside].any(), "the path was never drawn: this test shows nothing"
    assert lean[beside] == pytest.approx(LEAN * TIP_MM / 2, abs=VOXEL_MM)  # within a voxel of where it is
    assert tip[beside] == pytest.approx(TIP_MM, abs=0.068)  # and of its height: a slice


def test_a_foil_that_is_missing_is_not_made_up_from_its_sides() -> None:
    hole = slice(118, 125)
    _, tip, _ = followed(*drawn(slice(0), gone=hole))
    inner = tip[120:123]  # clear of what neighbouring half-planes are pooled with
    assert not np.any(inner > 0.15), "nothing stands there, and no long foil may be said to"


def test_sound_foils_do_not_stray() -> None:
    lean, tip, strayed = followed(*drawn(slice(0)))
    assert not strayed.any()
    assert tip == pytest.approx(TIP_MM, abs=0.068)
    assert lean == pytest.approx(LEAN * TIP_MM / 2, abs=VOXEL_MM)
