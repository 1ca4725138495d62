"""How well labels found by a network agree with those that were given."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xctrules.campaigns.training.pairs import UNKNOWN, PlaneSequence
from xctrules.core.wording import fixed
from xctrules.cylinder.half_planes import ROWS
from xctrules.cylinder.surfaces import LABELS

FOREGROUND = tuple(name for name in LABELS if name != "background")

_BATCH_PIXELS = 16 * ROWS * 272
"""Pixels looked at in one go: more would need more memory and be no faster."""


def predict(model: Any, grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities (n, rows, width, classes) of planes (n, rows, width), some at a time."""
    n, rows, width = grey.shape
    many = max(1, _BATCH_PIXELS // (rows * width))
    parts = [
        np.asarray(model(grey[first : first + many, ..., None], training=False))
        for first in range(0, n, many)
    ]
    return np.concatenate(parts)


def counts_by_plane(model: Any, sequence: PlaneSequence) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Pixels by plane and class: (n, classes, 3) in both, predicted and true; and the predicted labels."""
    found = np.empty(sequence.labels.shape, np.uint8)
    for first in range(0, len(sequence), 32):
        part = slice(first, first + 32)
        found[part] = predict(model, sequence.grey[part]).argmax(axis=-1)
    known = sequence.labels != UNKNOWN
    counts = np.empty((len(sequence), len(LABELS), 3), np.int64)
    for value in LABELS.values():
        guess, truth = (found == value) & known, sequence.labels == value
        for i, mask in enumerate((guess & truth, guess, truth)):
            counts[:, value, i] = mask.sum(axis=(1, 2))
    return counts, found


def dice_of(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Dice scores from counts (..., 3) of pixels in both, predicted and true; NaN where there are none."""
    both, guess, truth = np.moveaxis(counts.astype(float), -1, 0)
    size = guess + truth
    return np.where(size > 0, 2 * both / np.maximum(size, 1), np.nan)


def dice_by_class(model: Any, sequences: Sequence[PlaneSequence]) -> dict[str, float]:
    """Dice of each class over all pixels of all planes."""
    total = sum(counts_by_plane(model, sequence)[0].sum(axis=0) for sequence in sequences)
    scores = dice_of(np.asarray(total))
    return {name: float(scores[value]) for name, value in LABELS.items()}


def mean_dice(dice: Mapping[str, float]) -> float:
    """Mean over the classes that are there, background left out."""
    there = [dice[name] for name in FOREGROUND if math.isfinite(dice[name])]
    return float(np.mean(there)) if there else 0.0


def score_text(score: float | None) -> str:
    """A score to three decimals; a dash where there is none."""
    return fixed(score, 3)


def gained(log: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the best row of a training's log is an epoch, not the model that it started from (epoch 0)."""
    return int(max(log, key=lambda row: float(row["dice"]))["epoch"]) > 0
