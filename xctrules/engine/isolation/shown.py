"""Slices of a scan that plugins' processes look at, laid out once for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from xctrules.core.slices import ArraySlices, Slices, Volume
from xctrules.engine.isolation.shared import Place, SharedArray, place_of


@dataclass(frozen=True)
class Shown:
    """Slices as another process is told of them.

    Attributes
    ----------
    key
        By which it asks for one of them where they lie nowhere that it could open.
    place
        The file or memory that they lie in, and over there the memory's array; ``None`` for slices that are
        read or made when one is asked for.
    """

    key: int
    place: Place | SharedArray | NDArray[Any] | None
    shape: tuple[int, int, int]
    dtype: np.dtype[np.generic]


class ShownSlices:
    """Keeps the slices that processes were told of, until they have all ended."""

    def __init__(self) -> None:
        self._shown: dict[int, tuple[Slices, Shown]] = {}
        self._memory: list[SharedArray] = []

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array for slices that will be shown: they need not be copied then.

        Raises
        ------
        MemoryError
            When there is not so much.
        """
        return self._new(shape, dtype).array

    def show(self, slices: Slices) -> Shown:
        """How a process gets at slices: in the file or the shared memory that they lie in.

        Those that lie in other memory are copied; those that lie nowhere are to be asked for one by one.
        """
        key = id(slices)
        if key not in self._shown:
            self._shown[key] = slices, Shown(key, self._placed(slices), slices.shape, slices.dtype)
        return self._shown[key][1]

    def read(self, key: int, index: int) -> Volume:
        """A slice that a process asks for."""
        return self._shown[key][0][index]

    def clear(self) -> None:
        """Let go of them all."""
        for memory in self._memory:
            memory.close()
        self._memory.clear()
        self._shown.clear()

    def _placed(self, slices: Slices) -> Place | SharedArray | None:
        if not isinstance(slices, ArraySlices):
            return None
        volume = slices[:]
        memory = next((one for one in self._memory if one.holds(volume)), None)
        if memory is None:
            place = place_of(volume)
            if place is not None:
                return place
            memory = self._new(slices.shape, slices.dtype)
            memory.array[...] = volume
        memory.seal()
        return memory

    def _new(self, shape: tuple[int, ...], dtype: DTypeLike) -> SharedArray:
        memory = SharedArray(shape, dtype)
        self._memory.append(memory)
        return memory
