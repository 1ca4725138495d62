"""What a training came to, as one page: scores, learning curves, and the planes that it gets most wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xctrules.campaigns.training.scores import FOREGROUND, dice_of, gained, mean_dice, score_text
from xctrules.cylinder.half_planes import STANDARD_MM
from xctrules.cylinder.surfaces import LABELS
from xctrules.pages import charts
from xctrules.pages.embedding import data_uri
from xctrules.pages.environment import environment
from xctrules.pages.figure_views import FigureView, Overlay, table_view

if TYPE_CHECKING:
    from xctrules.campaigns.training.pairs import PlaneSequence
    from xctrules.cylinder.model_card import ModelCard

Looked = tuple["PlaneSequence", NDArray[np.int64], NDArray[np.uint8]]
"""A sequence, its counts by plane (``scores.counts_by_plane``), and what was found."""

WORST = 12

NO_GAIN = (
    "Nothing was gained: no epoch scored better on the validation planes than the model that was fine-tuned. "
    "The model written is that one, its weights as they were but for rounding to 16 bits."
)
WHAT_TO_TRY = (
    "Look at the worst planes: labels that are wrong teach it what is wrong. Correct them and train again.",
    "Label more planes, most of all of the kind that it gets wrong, and some of them to validate on.",
    "Train with another --rate (a third, or three times as much), or for more --epochs.",
    "Where its scores are good already, keep using the model that was fine-tuned.",
)

_STYLES = {"can": "role-can", "cathode": "role-cathode", "copper": "role-note", "overhang": "role-anode"}
_WRONG = (70, 60, 225)  # blue, green, red, as OpenCV writes them
_DARK, _BRIGHT = -0.3, 2.2
"""Greys on the standard scale that are drawn black and white."""


@dataclass(frozen=True)
class WorstPlane:
    """A plane with its labels drawn in, and the same with what the model found."""

    anchor: str
    title: str
    caption: str
    legend: tuple[tuple[str, str, bool], ...]
    labelled: FigureView
    found: FigureView


def draw(card: ModelCard, log: Sequence[Mapping[str, Any]], looked: Sequence[Looked]) -> str:
    """The page as HTML, complete in itself."""
    page = {
        "card": card,
        "dice": _score_table(looked, log),
        "curves": _curves(log),
        "planes": [_worst(i + 1, *which) for i, which in enumerate(_ranked(looked)[:WORST])],
        "count": sum(len(sequence) for sequence, _, _ in looked),
        "facts": _facts(card, log, [plane for sequence, _, _ in looked for plane in sequence.planes]),
        "no_gain": () if gained(log) else (NO_GAIN, *WHAT_TO_TRY),
    }
    return environment().get_template("training.html.j2").render(page=page)


def outlines(mask: NDArray[np.bool_]) -> str:
    """The border of a mask as an SVG path along the pixels' edges; pixel centres are whole numbers."""
    padded = np.pad(mask, 1).astype(np.int8)
    parts = []
    for axis, pen in ((0, "M{0:g} {1:g}h{2}"), (1, "M{1:g} {0:g}v{2}")):
        changes = np.diff(padded, axis=axis) != 0
        changes = changes[:, 1:-1] if axis == 0 else changes[1:-1].T
        for line, row in enumerate(changes):
            if row.any():  # unbroken runs along one line become one stroke
                ends = np.flatnonzero(np.diff(np.pad(row, 1).astype(np.int8)))
                parts += [pen.format(a - 0.5, line - 0.5, b - a) for a, b in ends.reshape(-1, 2).tolist()]
    return "".join(parts)


def _ranked(looked: Sequence[Looked]) -> list[tuple[PlaneSequence, int, NDArray[np.float64], Any]]:
    """Every plane with its scores and what was found in it, the worst first."""
    planes = [
        (sequence, i, dice_of(counts[i]), found[i])
        for sequence, counts, found in looked
        for i in range(len(sequence))
    ]
    return sorted(planes, key=lambda plane: mean_dice(_by_name(plane[2])))


def _by_name(scores: NDArray[np.float64]) -> dict[str, float]:
    return {name: float(scores[value]) for name, value in LABELS.items()}


def _worst(
    number: int, sequence: PlaneSequence, index: int, scores: NDArray[np.float64], found: NDArray[np.uint8]
) -> WorstPlane:
    from xctrules.campaigns.training.pairs import UNKNOWN

    labels = sequence.labels[index]
    known = labels != UNKNOWN
    wrong = known & (found != labels)
    said = ", ".join(
        f"{name} {score_text(value)}" for name, value in _by_name(scores).items() if name in FOREGROUND
    )
    anchor, name = f"plane-{number}", sequence.planes[index]
    return WorstPlane(
        anchor,
        f"{number}. {name}",
        f"Above: as labelled. Below: as found, pixels of another class than labelled in red "
        f"({100 * wrong.sum() / max(known.sum(), 1):.1f} %). Dice: {said}.",
        tuple((style, cls, False) for cls, style in _STYLES.items()),
        _view(f"{anchor}-labels", f"Labels of {name}", sequence.grey[index], labels, None),
        _view(f"{anchor}-found", f"Found in {name}", sequence.grey[index], np.where(known, found, 0), wrong),
    )


def _view(
    anchor: str,
    title: str,
    grey: NDArray[np.float32],
    labels: NDArray[np.uint8],
    wrong: NDArray[np.bool_] | None,
) -> FigureView:
    import cv2

    rows, columns = grey.shape
    level = np.clip((grey - _DARK) / (_BRIGHT - _DARK) * 255, 0, 255).astype(np.uint8)
    picture = np.repeat(level[..., None], 3, axis=2)
    if wrong is not None:
        picture[wrong] = (0.35 * picture[wrong] + 0.65 * np.array(_WRONG)).astype(np.uint8)
    data = cv2.imencode(".png", picture)[1].tobytes()
    lines = [
        Overlay(path, style, name, False)
        for name, style in _STYLES.items()
        if (path := outlines(labels == LABELS[name]))
    ]
    return FigureView(
        "image", anchor, title, "", title, wide=True, source=data_uri(data), file=f"{anchor}.png",
        width=columns, height=rows, aspect=round(columns / rows, 5), overlays=tuple(lines),
        legend=tuple((line.style, line.label, False) for line in lines),
        scale_bar=None if wrong is None else charts.scale_bar(columns * STANDARD_MM),
    )  # fmt: skip


def _score_table(looked: Sequence[Looked], log: Sequence[Mapping[str, Any]]) -> FigureView:
    counts = np.concatenate([c for _, c, _ in looked])
    total, each = dice_of(counts.sum(axis=0)), dice_of(counts)
    rows, tuned = [], log[0]["epoch"] == 0
    for name, value in LABELS.items():
        there = each[:, value][np.isfinite(each[:, value])]
        parts = (np.median(there), there.min()) if there.size else (math.nan, math.nan)
        row = [name, score_text(float(total[value])), *(score_text(float(part)) for part in parts)]
        if tuned:
            before = log[0].get(f"dice_{name}")
            row.append(score_text(before))
        rows.append(tuple(row))
    columns = ["Class", "Dice, all pixels", "Median plane", "Worst plane"]
    if tuned:
        columns.append("Before fine-tuning")
    return table_view("Dice by class", columns, rows)


def _curves(log: Sequence[Mapping[str, Any]]) -> list[FigureView]:
    epoch = np.array([row["epoch"] for row in log], dtype=float)

    def column(name: str) -> NDArray[np.float64]:
        return np.array([row[name] if row[name] is not None else np.nan for row in log], dtype=float)

    dice = [(name, style, epoch, column(f"dice_{name}")) for name, style in _STYLES.items()]
    loss = [("loss", "role-note", epoch, column("loss"))]
    return [
        FigureView(
            "chart", "curve-dice", "Validation Dice by epoch",
            "Good: all rise and level off together. A curve that falls again at the end shows that the model "
            "learns the training planes by heart: label more planes, or vary them more.",
            "Validation Dice of each class by epoch", chart=charts.line_chart(dice), x_label="epoch",
            y_label="Dice", legend=tuple((style, name, False) for name, style in _STYLES.items()),
        ),
        FigureView(
            "chart", "curve-loss", "Training loss by epoch",
            "Good: falls and levels off. Still falling at the end: train longer. Up and down: lower --rate.",
            "Training loss by epoch", chart=charts.line_chart(loss), x_label="epoch", y_label="loss",
        ),
    ]  # fmt: skip


def _facts(
    card: ModelCard, log: Sequence[Mapping[str, Any]], validated: Sequence[str]
) -> list[tuple[str, str]]:
    """What the page says of the training, as pairs of name and text."""
    from xctrules.campaigns.training.pairs import named

    best = max(log, key=lambda row: float(row["dice"]))
    export = card.scores["export"]
    assert isinstance(export, Mapping)
    told = [
        ("Data", card.training.data),
        ("Planes not trained on, only scored", named(validated)),
        ("Started from", card.training.started_from or "nothing: from scratch"),
        ("Epochs", f"{log[-1]['epoch']}, the best was {best['epoch'] or 'none: the model is as it was'}"),
        ("Time", f"{log[-1]['minutes']:.1f} min"),
        ("Seed", str(card.training.seed)),
        ("Exported model against trained", f"{export['largest_difference_in_probability']} in probability"),
        ("Licence", card.licence),
        *((f"Version of {name}", version) for name, version in card.versions.items()),
    ]
    for name, value in card.training.options.items():
        if isinstance(value, Mapping):
            told += [(f"{name} {part}", str(number)) for part, number in value.items()]
        else:
            told.append((name, "not set" if value is None else str(value)))
    return told
