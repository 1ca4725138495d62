"""A model's answer for half-planes: LiteRT, in batches of tiles of one size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import ModelError
from xctrules.core.redirection import redirected
from xctrules.cylinder.surfaces import LABELS

Probabilities = NDArray[np.float32]

THREADS = 2
BATCH = 6
"""Planes at a time: two cores are busy with them, and their features take some 50 MB."""

TILE, MARGIN = 384, 48
"""Columns of a tile, and how much of it at an inner border is only seen and not answered: more than the 44
pixels to either side that the bundled network looks at, so that no seam shows. Whole multiples of eight,
which keeps its pooling in step."""


def probabilities_of(
    data: bytes, grey: NDArray[np.float32], where: Path | None = None, threads: int = THREADS
) -> Probabilities:
    """Class probabilities (n, h, w, classes) of planes (n, h, w), w a multiple of eight.

    ``data`` is the model's ``.tflite``, ``where`` the file that errors name.

    Raises
    ------
    ModelError
        When the model cannot be run, or gives something else than probabilities of the classes.
    """
    interpreter = _interpreter(data, where, threads)
    put, get = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    n, h, w = grey.shape
    tiles = _tiles(w)
    width = tiles[0][1] - tiles[0][0]
    batch = np.zeros((min(BATCH, n), h, width, 1), dtype=np.float32)
    result = np.empty((n, h, w, len(LABELS)), dtype=np.float32)
    try:
        interpreter.resize_tensor_input(put["index"], batch.shape)
        with redirected([2]):  # LiteRT tells of its own affairs there
            interpreter.allocate_tensors()
        for first in range(0, n, batch.shape[0]):
            planes = slice(first, min(first + batch.shape[0], n))
            count = planes.stop - first
            for begin, end, low, high in tiles:
                batch[:count, ..., 0] = grey[planes, :, begin:end]
                interpreter.set_tensor(put["index"], batch)
                interpreter.invoke()
                found = interpreter.get_tensor(get["index"])
                if found.shape != (*batch.shape[:3], len(LABELS)):
                    raise ValueError(f"an output of shape {found.shape}")
                result[planes, :, low:high] = found[:count, :, low - begin : high - begin]
    except (ValueError, RuntimeError) as error:
        raise _unusable(where, str(error)) from None
    if not np.isfinite(result).all():
        raise _unusable(where, "it answers with values that are no numbers")
    return result


def _tiles(width: int) -> list[tuple[int, int, int, int]]:
    """Tiles of equal width: first and last column seen, first and last answered."""
    if width <= TILE:
        return [(0, width, 0, width)]
    starts = [*range(0, width - TILE, TILE - 2 * MARGIN), width - TILE]
    cuts = [0, *(start + MARGIN for start in starts[1:]), width]
    return [(s, s + TILE, low, high) for s, low, high in zip(starts, cuts, cuts[1:], strict=False)]


def _interpreter(data: bytes, where: Path | None, threads: int) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise ModelError(
            f"LiteRT, which runs the model, cannot be loaded ({error})",
            where=where,
            todo="Install it with: python -m pip install ai-edge-litert. Or use --segmenter classical.",
        ) from None
    if not data:
        raise _unusable(where, "its file is empty")
    try:
        interpreter = Interpreter(model_content=data, num_threads=threads)
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    except (ValueError, RuntimeError) as error:
        raise _unusable(where, str(error)) from None
    if len(inputs) != 1 or len(outputs) != 1 or inputs[0]["dtype"] != np.float32:
        raise _unusable(where, "it does not take one image of floating point numbers and give one")
    return interpreter


def _unusable(where: Path | None, what: str) -> ModelError:
    return ModelError(
        f"the model cannot be run: {' '.join(what.split())[:200]}",
        where=where,
        todo="Train or export it again, or use --segmenter classical.",
    )
