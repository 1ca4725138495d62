"""Variation of the training planes: what differs from scanner to scanner and from cell to cell.

Every call draws from a generator that the caller seeds, so that a training can be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from xctrules.campaigns.training.pairs import UNKNOWN
from xctrules.core.errors import XctrulesError
from xctrules.cylinder.half_planes import Greys
from xctrules.cylinder.surfaces import LABELS

Labels = NDArray[np.uint8]

CROP_WIDTH = 128


@dataclass(frozen=True)
class Augmentation:
    """How far planes are varied; 0 leaves a thing as it is.

    Attributes
    ----------
    gain
        Contrast of the whole image: largest relative change.
    offset
        Brightness: largest shift, as a share of the roll's grey.
    gamma
        Bend of the tone curve: largest change of the exponent.
    phase_contrast
        Contrast of cathode, copper and can against the rest of the roll: the largest share that is lost, or
        half as much gained.
    noise
        Standard deviation of added noise, at most, as a share of the roll's grey.
    correlated_noise
        The same for noise that is alike in neighbouring pixels, as a reconstruction filter leaves it.
    blur_px
        Standard deviation of added blur, at most.
    stripes
        Standard deviation of the grey of whole columns, which are what a ring looks like in a plane.
    stretch
        Largest relative change of the radial scale, and with it of the winding's pitch.
    shift_px
        Largest move up or down.
    """

    gain: float = 0.10
    offset: float = 0.06
    gamma: float = 0.20
    phase_contrast: float = 0.55
    noise: float = 0.30
    correlated_noise: float = 0.15
    blur_px: float = 1.3
    stripes: float = 0.08
    stretch: float = 0.20
    shift_px: int = 10

    def __post_init__(self) -> None:
        for field in fields(self):
            value, most = getattr(self, field.name), _MOST.get(field.name, 1.0)
            if not 0 <= value <= most:
                raise XctrulesError(
                    f"{value} is out of range",
                    where=f"augmentation {field.name}",
                    todo=f"Give 0 to {most:g}.",
                )

    def scaled(self, strength: float) -> Augmentation:
        """The same with everything ``strength`` times as strong."""
        values = {f.name: getattr(self, f.name) * strength for f in fields(self)}
        return Augmentation(**{**values, "shift_px": round(values["shift_px"])})


_MOST = {"phase_contrast": 0.9, "gamma": 0.9, "gain": 0.9, "blur_px": 5.0, "stretch": 0.5, "shift_px": 24.0}


def vary(
    grey: Greys, labels: Labels, how: Augmentation, rng: np.random.Generator, width: int = CROP_WIDTH
) -> tuple[Greys, Labels]:
    """One varied crop of a plane: (rows, ``width``) grey and labels.

    Parameters
    ----------
    grey, labels : (rows, columns)
        On the standard scale; values of ``LABELS`` or ``UNKNOWN``.
    """
    grey, labels = _place(grey, labels, how, rng, width)
    grey = _phases(grey, labels, how, rng)
    grey = _tone(grey, how, rng)
    grey = _blur(grey, how.blur_px * rng.random() ** 2)
    grey = grey + _noise(grey.shape, how, rng)
    return np.clip(grey, -2, 6).astype(np.float32), labels


def _place(
    grey: Greys, labels: Labels, how: Augmentation, rng: np.random.Generator, width: int
) -> tuple[Greys, Labels]:
    """Stretched, cut out and shifted. What lies outside repeats the nearest pixel, and its label."""
    import cv2

    rows, columns = grey.shape
    factor = 1 + how.stretch * rng.uniform(-1, 1)
    total = columns * factor
    # An eighth of the crops begin at the axis, another one ends at the can.
    start = float(np.clip(rng.uniform(-0.17, 1.17), 0, 1)) * max(total - width, 0)
    x = (start + np.arange(width) + 0.5) / factor - 0.5
    y = np.arange(rows) + rng.integers(-how.shift_px, how.shift_px + 1)
    map_x = np.broadcast_to(x, (rows, width)).astype(np.float32)
    map_y = np.broadcast_to(y[:, None], (rows, width)).astype(np.float32)
    moved = cv2.remap(grey, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    marks = cv2.remap(labels, map_x, map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    marks[:, x > columns - 0.5] = UNKNOWN
    return moved, marks


def _phases(grey: Greys, labels: Labels, how: Augmentation, rng: np.random.Generator) -> Greys:
    """Move each class's grey towards or away from that of its surroundings."""
    import cv2

    if not how.phase_contrast:
        return grey
    around = cv2.GaussianBlur(grey, (0, 0), 6.0)
    loss = how.phase_contrast * rng.uniform(-0.5, 1.0)  # common to the roll, as an energy's change is
    share = np.zeros_like(grey)
    for name in ("can", "cathode", "copper", "overhang"):
        mask = (labels == LABELS[name]).astype(np.float32)
        share += mask * np.float32(0.3 * how.phase_contrast * rng.uniform(-1, 1))
    inside = np.isin(labels, (LABELS["cathode"], LABELS["copper"], LABELS["background"])).astype(np.float32)
    share = cv2.GaussianBlur(share + inside * np.float32(loss), (0, 0), 1.0)
    moved: Greys = grey - share * (grey - around)
    return moved


def _tone(grey: Greys, how: Augmentation, rng: np.random.Generator) -> Greys:
    """Bend the tone curve, keeping void and roll, then change contrast and brightness."""
    bend = 1 + how.gamma * rng.uniform(-1, 1)
    bright = np.maximum(grey, 0)
    bent = np.where(grey > 0, bright**bend, grey)
    gain, offset = 1 + how.gain * rng.uniform(-1, 1), how.offset * rng.uniform(-1, 1)
    toned: Greys = bent * np.float32(gain) + np.float32(offset)
    return toned


def _blur(grey: Greys, sigma: float) -> Greys:
    import cv2

    if sigma < 0.2:
        return grey
    out: Greys = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return out


def _noise(shape: tuple[int, ...], how: Augmentation, rng: np.random.Generator) -> Greys:
    """White and correlated noise and stripes. Half of the planes get little: squares of a uniform draw."""
    import cv2

    out = rng.standard_normal(shape, dtype=np.float32) * np.float32(how.noise * rng.random() ** 2)
    size = rng.uniform(0.6, 2.0)
    coarse = cv2.GaussianBlur(rng.standard_normal(shape, dtype=np.float32), (0, 0), size)
    out += coarse * np.float32(how.correlated_noise * rng.random() ** 2 / max(float(coarse.std()), 1e-6))
    columns = rng.standard_normal((1, shape[1]), dtype=np.float32)
    return out + columns * np.float32(how.stripes * rng.random() ** 3)
