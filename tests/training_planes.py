"""Planes that tests draw: stripes of cathode and foil below, free foils above, a can beside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

HEIGHT = 96
BACKGROUND, CAN, CATHODE, COPPER, OVERHANG = range(5)


def stripes(
    n: int, *, width: int = 144, seed: int = 0, noise: float = 0.1, cathode: float = 1.5, copper: float = 1.1
) -> tuple[np.ndarray, np.ndarray]:
    """Grey (n, HEIGHT, width), its void 0 and its roll about 1, and labels. The foil is 3 pixels wide."""
    rng = np.random.default_rng(seed)
    grey, labels = np.zeros((n, HEIGHT, width), np.float32), np.zeros((n, HEIGHT, width), np.uint8)
    for image, marks in zip(grey, labels, strict=True):
        pitch, edge, length = rng.uniform(10, 11), int(rng.integers(58, 63)), int(rng.integers(9, 15))
        phase = (np.arange(width) + rng.uniform(0, pitch)) % pitch
        foil, coat = phase < 3, (phase >= 4.5) & (phase < 8.5)
        image[edge:] = 0.7
        for stripe, bright, value in ((coat, cathode, CATHODE), (foil, copper, COPPER)):
            image[edge:, stripe], marks[edge:, stripe] = bright, value
        image[edge - length : edge, foil], marks[edge - length : edge, foil] = copper, OVERHANG
        image[:, -8:], marks[:, -8:] = 3.0, CAN
        image += rng.normal(0, noise, image.shape).astype(np.float32) if noise else 0
    return grey, labels


def write(data: Path, name: str, grey: np.ndarray, labels: np.ndarray) -> Path:
    """A pair of files; returns ``data``."""
    for folder, planes in (("images", grey), ("labels", labels)):
        (data / folder).mkdir(parents=True, exist_ok=True)
        save(data / folder / f"{name}.tif", planes)
    return data


def save(path: Path, planes: np.ndarray) -> None:
    """A plain TIFF file."""
    tifffile.imwrite(path, planes, photometric="minisblack")
