"""A volume to write in every format, and what tests ask of the scan that comes back."""

from __future__ import annotations

import builtins
import mmap
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from xctrules.core.errors import ScanError
from xctrules.core.slices import Scan
from xctrules.scans.opening import open_scan

VOXEL = (0.06, 0.05, 0.04)
DTYPES = ["uint8", "uint16", "uint32", "int8", "int16", "int32", "float16", "float32", "float64"]


def volume(dtype: str = "uint16", shape: tuple[int, int, int] = (5, 80, 90)) -> Any:
    """A volume without any symmetry, so that no swap of axes and no wrong order of slices goes unseen."""
    values = np.random.default_rng(7).integers(0, 120, shape)
    values[:, 0, 0] = np.arange(shape[0])
    return values.astype(dtype)


def write_slices(folder: Path, data: Any, name: str = "im{}.tif", first: int = 8, **options: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for k, image in enumerate(data):
        tifffile.imwrite(folder / name.format(first + k), image, **options)
    return folder


def opened(path: Path, **options: Any) -> Scan:
    return open_scan(path, voxel_size_mm=VOXEL, **options)


def is_mapped(array: Any) -> bool:
    """Whether the array's memory is a mapped file."""
    while isinstance(array, np.ndarray | memoryview):
        array = array.base if isinstance(array, np.ndarray) else array.obj
    return isinstance(array, mmap.mmap)


_watch: list[Counter[str] | None] = [None]


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and _watch[0] is not None and isinstance(args[0], (str, Path)):
        _watch[0][Path(args[0]).name] += 1


@contextmanager
def counted_opens() -> Iterator[Counter[str]]:
    """Counts how often the process opens each file name, whoever does (audit hooks cannot be taken off)."""
    if not getattr(builtins, "_xctrules_hooked", False):
        sys.addaudithook(_hook)
        builtins._xctrules_hooked = True  # type: ignore[attr-defined]
    _watch[0] = Counter()
    try:
        yield _watch[0]
    finally:
        _watch[0] = None


def refused(path: Path, match: str, **options: Any) -> str:
    """The message with which a scan is refused; it must name the scan, one of its files, or their folder."""
    with pytest.raises(ScanError, match=match) as caught:
        open_scan(path, **{"voxel_size_mm": VOXEL, **options})
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    return message


class Own:
    """The least that a plugin's reader must be, and the source that it opens: itself."""

    name = "own"

    def __init__(self, data: Any, metadata: Mapping[str, Any] | None = None) -> None:
        self.data, self.metadata = data, metadata or {}
        self.shape, self.dtype = data.shape, data.dtype

    def can_read(self, path: Path) -> bool:
        return path.suffix == ".own"

    def open(self, path: Path) -> Own:
        return self

    def slices(self) -> Iterator[Any]:
        yield from self.data

    def digests(self) -> Sequence[tuple[str, str]]:
        return [("0" * 64, "v.own")]


class OwnRereadable(Own):
    """One that can read each slice again."""

    def read_slice(self, k: int) -> Any:
        return self.data[k]


class OwnMapped(Own):
    """One whose pixels lie in its file as they are used."""

    @property
    def mapped(self) -> Any:
        return self.data
