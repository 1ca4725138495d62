"""OME-Zarr 0.4 and 0.5, and plain Zarr arrays of version 2 and 3. Needs the extra ``zarr``."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from xctrules.core.errors import ScanError
from xctrules.core.slices import Volume
from xctrules.scans.series import natural_key
from xctrules.scans.units import length_mm, millimetres_in

_DOCUMENTS = ("zarr.json", ".zarray", ".zgroup", ".zattrs")


class ZarrReader:
    """Folders that are a Zarr array or group."""

    name = "zarr"

    def can_read(self, path: Path) -> bool:
        return path.is_dir() and (
            path.suffix.lower() == ".zarr" or any((path / document).is_file() for document in _DOCUMENTS)
        )

    def open(self, path: Path) -> ZarrVolume:
        """Open an array, the finest level of an OME-Zarr image, or a group's only array of three axes."""
        try:
            import zarr
        except ImportError as error:
            raise ScanError(
                "Zarr scans need the package zarr",
                where=path,
                todo="Install it with: pip install 'xctrules[zarr]'",
            ) from error
        store = _hashing_store(path)
        try:
            node = zarr.open(store=store, mode="r")
        except Exception as error:
            raise ScanError(f"not a readable Zarr array or group ({error})", where=path) from error
        if isinstance(node, zarr.Array):
            return ZarrVolume(path, node, store, names=_dimension_names(node))
        image = _image(node)
        if image is not None:
            return _ome_volume(path, node, image, store)
        arrays = sorted((name, array) for name, array in node.arrays() if array.ndim == 3)
        if len(arrays) != 1:
            found = ", ".join(name for name, _ in arrays) or "none"
            raise ScanError(
                f"the Zarr group is no OME image, and holds not one array of three axes (found: {found})",
                where=path,
                todo="Give the folder of the array.",
            )
        return ZarrVolume(path, arrays[0][1], store, names=_dimension_names(arrays[0][1]))


def _hashing_store(path: Path) -> Any:
    """A store that hashes what is read from it, whole values only; ``digests`` maps key to SHA-256."""
    from zarr.storage import LocalStore, WrapperStore

    class HashingStore(WrapperStore):  # type: ignore[misc]
        def __init__(self, store: Any) -> None:
            super().__init__(store)
            self.digests: dict[str, str] = {}

        async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
            value = await self._store.get(key, prototype, byte_range)
            if value is None or key in self.digests:
                return value
            # A shard may be read in pieces; the file is hashed as a whole all the same.
            whole = value if byte_range is None else await self._store.get(key, prototype)
            self.digests[key] = hashlib.sha256(whole.to_bytes()).hexdigest()
            return value

    return HashingStore(LocalStore(path, read_only=True))


class ZarrVolume:
    """A Zarr array with axes z, y, x (or y, x).

    It is read in slabs of one chunk's depth, so that each chunk is read and decoded once.
    """

    def __init__(
        self,
        path: Path,
        array: Any,
        store: Any,
        names: Sequence[str] = (),
        voxel_mm: Sequence[float | None] | None = None,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self._path, self._array, self._store = path, array, store
        self._kept = _spatial_axes(path, array.shape, names)
        shape = [int(array.shape[axis]) for axis in self._kept]
        shape = [1] * (3 - len(shape)) + shape
        self.shape = (shape[0], shape[1], shape[2])
        self.dtype: np.dtype[Any] = np.dtype(array.dtype).newbyteorder("=")
        self.warnings = warnings
        self._blocks: Sequence[int] = getattr(array, "shards", None) or array.chunks
        # Neighbouring slices share chunks. Two slabs: a segmenter may follow two parts of a cell at a time.
        self._kept_slab = lru_cache(maxsize=2)(self._slab)
        self.metadata: Mapping[str, Any] = {}
        if voxel_mm is not None and any(v is not None for v in voxel_mm):
            z, y, x = [None] * (3 - len(voxel_mm)) + list(voxel_mm)
            self.metadata = {"voxel_size_mm": (z, y, x)}

    def slices(self) -> Iterator[Volume]:
        # A shard is one file of many chunks: read whole, it is hashed in one piece.
        depth = self._depth_of(self._blocks)
        for start in range(0, self.shape[0], depth):
            yield from self._slab(start, depth)
        blocks = math.prod(-(-n // b) for n, b in zip(self._array.shape, self._blocks, strict=True))
        missing = blocks - sum(not self._is_document(key) for key in self._store.digests)
        if missing > 0:
            self.warnings += (
                f"{missing} of the array's chunks are not stored and count as {self._array.fill_value}",
            )

    def read_slice(self, k: int) -> Volume:
        depth = self._depth_of(self._array.chunks)
        image: Volume = self._kept_slab(k - k % depth, depth)[k % depth]
        return image

    def _depth_of(self, blocks: Sequence[int]) -> int:
        """Slices in one block of the array."""
        return int(blocks[self._kept[0]]) if len(self._kept) == 3 else 1

    def _slab(self, start: int, depth: int) -> Volume:
        """``depth`` slices from ``start``, or as many as there are."""
        picked: list[Any] = [0] * self._array.ndim  # a single channel or time step
        for axis in self._kept:
            picked[axis] = slice(None)
        if len(self._kept) == 3:
            picked[self._kept[0]] = slice(start, min(start + depth, self.shape[0]))
        slab = np.asarray(self._array[tuple(picked)])
        return slab.reshape(-1, *self.shape[1:]).astype(self.dtype, copy=False)

    def _is_document(self, key: str) -> bool:
        return key.rpartition("/")[2].startswith(".z") or key.rpartition("/")[2] == "zarr.json"

    def digests(self) -> Sequence[tuple[str, str]]:
        """Chunks and the array's own description, in natural order of their names."""
        # Which of the group's documents the zarr library looks at differs between its versions: not the
        # scan's bytes.
        own = {f"{self._array.path}/{name}".lstrip("/") for name in ("zarr.json", ".zarray")}
        keys = [key for key in self._store.digests if key in own or not self._is_document(key)]
        return tuple((self._store.digests[key], key) for key in sorted(keys, key=natural_key))


def _spatial_axes(path: Path, shape: Sequence[int], names: Sequence[str]) -> tuple[int, ...]:
    """Indices of z, y, x (or y, x) among the axes; all others must have one entry."""
    if names:
        wanted = [names.index(axis) for axis in "zyx" if axis in names]
        if len(wanted) < 2 or wanted != sorted(wanted):
            raise ScanError(
                f"the axes are {', '.join(names)}; z, y, x in this order are needed",
                where=path,
                todo="Save the volume with the slices along its first axis.",
            )
    else:
        wanted = list(range(max(0, len(shape) - 3), len(shape)))
    others = [n for axis, n in enumerate(shape) if axis not in wanted]
    if len(wanted) < 2 or any(n != 1 for n in others):
        raise ScanError(
            f"a scan has the axes z, y, x; this has {len(shape)} axes of {' x '.join(map(str, shape))}",
            where=path,
            todo="Save one channel and one time step alone.",
        )
    return tuple(wanted)


def _dimension_names(array: Any) -> tuple[str, ...]:
    """Names of a version 3 array's axes, where they are the usual letters."""
    names = tuple(str(n).lower() for n in (getattr(array.metadata, "dimension_names", None) or ()))
    return names if {"x", "y"} <= set(names) and len(names) == array.ndim else ()


# --- OME-Zarr --------------------------------------------------------------------------------------------


def _image(group: Any) -> Mapping[str, Any] | None:
    """The first image of the ``multiscales`` metadata: under ``ome`` since 0.5, at the top before."""
    attributes = dict(group.attrs)
    scales = (attributes.get("ome") or {}).get("multiscales") or attributes.get("multiscales")
    return scales[0] if scales else None


def _ome_volume(path: Path, group: Any, image: Mapping[str, Any], store: Any) -> ZarrVolume:
    try:
        level = image["datasets"][0]  # the finest comes first
        array = group[level["path"]]
        axes = [a if isinstance(a, Mapping) else {"name": a} for a in image.get("axes", ())]
        names = [str(axis["name"]).lower() for axis in axes]
        scale = np.ones(array.ndim)
        for transformation in (
            *level.get("coordinateTransformations", ()),
            *image.get("coordinateTransformations", ()),
        ):
            if transformation.get("type") == "scale":
                scale = scale * np.asarray(transformation["scale"], float)
        scaled = any(t.get("type") == "scale" for t in level.get("coordinateTransformations", ()))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ScanError(f"the OME-Zarr metadata are incomplete or wrong ({error!r})", where=path) from error
    voxel: list[float | None] = []
    unknown = []
    for axis in "zyx":
        if axis in names:
            k = names.index(axis)
            unit = axes[k].get("unit")
            if millimetres_in(unit) is None:
                unknown.append(axis)
            voxel.append(length_mm(scale[k], unit) if scaled else None)
    warnings: tuple[str, ...] = ()
    if unknown:
        # Without a unit the scale may as well count pixels: a guess here would be a wrong millimetre.
        warnings = (
            f"the OME-Zarr axes {', '.join(unknown)} have no known unit of length: their scale is not used",
        )
    return ZarrVolume(path, array, store, names, voxel, warnings)
