"""Whether what stands in the files could be a scan: its shape, its voxel size, its grey values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from xctrules.core.errors import ScanError
from xctrules.core.slices import Slices, Volume, VolumeSource
from xctrules.scans.greys import (
    EVERY,
    LOOKED_AT,
    FieldOfView,
    Replaced,
    typical_range,
    without_far_values,
    without_outside,
)
from xctrules.scans.single_voxels import SingleVoxels

VOXEL_RANGE_MM = (0.0005, 0.5)
"""Voxel sizes from 0.5 um, below which no whole cell fits a detector, to 0.5 mm, wider than a can's wall."""

FIELD_OF_VIEW_RANGE_MM = (3.0, 500.0)
"""Width and height of what a scan may show: from less than the smallest pin cell to more than any cell."""

TRIMMED = 2
"""Voxels that programs leave out at a border: nobody scales by so little."""

_DTYPES = ("u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8")


def checked_shape(source: VolumeSource, path: Path) -> tuple[int, int, int]:
    """(nz, ny, nx), if shape and data type can be a scan's.

    Raises
    ------
    ScanError
        When there are not three axes, no voxels, or voxels of a type that no reconstruction writes.
    """
    shape = tuple(int(n) for n in source.shape)
    if len(shape) != 3:
        raise ScanError(f"a scan has three axes (z, y, x), this has {len(shape)}: {shape}", where=path)
    if 0 in shape:
        raise ScanError(f"the scan has no voxels: its shape is {shape}", where=path)
    dtype = np.dtype(source.dtype)
    if dtype.kind == "c":
        raise ScanError("the voxels are complex numbers", where=path, todo="Save their magnitude.")
    if dtype.kind != "b" and dtype.newbyteorder("=").str[1:] not in _DTYPES:
        raise ScanError(
            f"voxels of type {dtype} are not supported",
            where=path,
            todo="Save the scan as integers of 8, 16 or 32 bits, or as floating point of 16, 32 or 64 bits.",
        )
    return shape[0], shape[1], shape[2]


def checked_voxel_size(
    voxel_mm: Sequence[float | None],
    shape: tuple[int, int, int],
    path: Path,
    origin: str | None = None,
) -> tuple[float, float, float]:
    """(z, y, x) in mm, if it is there and could be true of a scanned cell.

    Raises
    ------
    ScanError
        When an axis has none, or when voxel or field of view lie outside :data:`VOXEL_RANGE_MM` or
        :data:`FIELD_OF_VIEW_RANGE_MM`; with the likely value where a slip of the unit explains it.
    """
    how = "Give --voxel-size Z,Y,X in mm, or voxel_size_mm in an acquisition.yaml beside the scan."
    if shape[0] == 1 and voxel_mm[0] is None:
        voxel_mm = (voxel_mm[2], *voxel_mm[1:])  # one slice alone has no height that could matter
    missing = [axis for axis, v in zip("zyx", voxel_mm, strict=True) if v is None]
    if len(missing) == 3:
        raise ScanError("the scan has no voxel size", where=path, todo=how)
    if missing:
        raise ScanError(
            f"the scan has no voxel size along {' and '.join(missing)} ({origin} does not give it)",
            where=path,
            todo=how,
        )
    given = tuple(float(v) for v in voxel_mm if v is not None)
    shown = ", ".join(f"{v:g}" for v in given)
    if not all(math.isfinite(v) and v > 0 for v in given):
        raise ScanError(f"a voxel size must be above zero, not {shown}", where=origin or path, todo=how)
    if not _plausible(given, shape):
        likely = next((fixed for fixed in _likely(given) if _plausible(fixed, shape)), None)
        width = max(given[1] * shape[1], given[2] * shape[2])
        hint = (
            f"Is it {', '.join(f'{v:g}' for v in likely)} mm? {how}"
            if likely
            else f"A cell's scan has voxels of {VOXEL_RANGE_MM[0]} to {VOXEL_RANGE_MM[1]} mm and is "
            f"{FIELD_OF_VIEW_RANGE_MM[0]:g} to {FIELD_OF_VIEW_RANGE_MM[1]:g} mm wide. {how}"
        )
        raise ScanError(
            f"the voxel size {shown} mm (z, y, x; from {origin}) cannot be true: "
            f"the slice would be {width:g} mm wide and the stack {given[0] * shape[0]:g} mm high",
            where=path,
            todo=hint,
        )
    return given[0], given[1], given[2]


def _plausible(voxel_mm: Sequence[float], shape: Sequence[int]) -> bool:
    low, high = VOXEL_RANGE_MM
    narrow, wide = FIELD_OF_VIEW_RANGE_MM
    extent = [v * n for v, n in zip(voxel_mm, shape, strict=True)]
    return all(low <= v <= high for v in voxel_mm) and max(extent[1:]) >= narrow and max(extent) <= wide


def _likely(voxel_mm: Sequence[float]) -> Iterator[tuple[float, ...]]:
    """What was meant, if um, m or nm were taken for mm: on all axes, or only on those that stand out."""
    low, high = VOXEL_RANGE_MM
    for factor in (1e-3, 1e3, 1e-6):
        yield tuple(v * factor for v in voxel_mm)
        yield tuple(v if low <= v <= high else v * factor for v in voxel_mm)


def check_export(
    told: Sequence[int | None], shape: tuple[int, int, int], origin: str, path: Path
) -> str | None:
    """A warning where a scan has fewer voxels than the volume whose voxel size it takes; else ``None``.

    A part that was cut out has the volume's voxels; what was scaled or thinned out has others.

    Parameters
    ----------
    told
        Numbers of voxels (z, y, x) in the file that gives the voxel size; ``None`` where it does not say.

    Raises
    ------
    ScanError
        When the numbers are those of a scaled or thinned volume, or of another one altogether.
    """
    known = [k for k, n in enumerate(told) if n is not None]
    if all(told[k] == shape[k] for k in known) or sorted(n or 0 for n in told) == sorted(shape):
        return None  # axes in another order are the same cubes
    there = " x ".join("?" if n is None else str(n) for n in told)
    here = " x ".join(map(str, shape))
    what = f"{origin} tells of a volume of {there} voxels (z, y, x), the scan has {here}"
    if any(shape[k] > (told[k] or 0) for k in known) or _may_be_scaled(told, shape):
        raise ScanError(
            f"{what}: its voxel size need not be that of these slices",
            where=path,
            todo="Give the voxel size of the slices as they are, by --voxel-size Z,Y,X in mm or in an "
            "acquisition.yaml: the one of the file if they were cut out of it, else another.",
        )
    return f"{what}: it is taken for a part that was cut out, with the same voxels"


def _may_be_scaled(told: Sequence[int | None], shape: Sequence[int]) -> bool:
    """Whether one factor gives the scan's width and height, or every second, third... slice its height."""
    z, y, x = told
    in_slice = (shape[1], shape[2])
    if y is not None and x is not None and (y, x) != in_slice:
        if y - shape[1] <= TRIMMED and x - shape[2] <= TRIMMED:
            return False
        # Rounding to whole voxels moves each by one at most.
        return abs(shape[1] * x - shape[2] * y) <= max(x, y)
    if z is None or z == shape[0]:
        return False
    every = round(z / shape[0])
    return every > 1 and abs(shape[0] * every - z) < every


class Values:
    """Checks of the grey values, slice by slice as they come.

    Parameters
    ----------
    path
        Named in errors.
    mask
        Whether there must be two values, and no more.
    slices
        How many slices there are.
    """

    def __init__(self, path: Path, mask: bool, slices: int) -> None:
        self._path = path
        self._mask = mask
        self._seen: set[float] = set()
        self._range: tuple[float, float] | None = None
        self._field: FieldOfView | None = None
        self._looked_at = {round(k) for k in np.linspace(0, slices - 1, LOOKED_AT)}
        self._some: list[Volume] = []
        self._single = SingleVoxels()

    def add(self, image: Volume, k: int) -> None:
        """Look at slice ``k``; ScanError for a value that cannot be."""
        if k == 0 and not self._mask:
            self._field = FieldOfView.told_by(image)
        values = image if self._field is None else image[self._field.live(image)]
        if not self._mask:
            self._single.add(image if self._field is None else self._field.filled(image))
        if values.size == 0:
            return
        if k in self._looked_at:
            self._some.append(values.ravel()[::EVERY])
        low, high = float(values.min()), float(values.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ScanError(
                f"slice {k + 1} holds values that are no numbers (NaN or infinite)",
                where=self._path,
                todo="Save the scan again, with the grey value of air where nothing was reconstructed.",
            )
        first = self._range or (low, high)
        self._range = min(first[0], low), max(first[1], high)
        if self._mask:
            self._seen |= {low, high}
            if len(self._seen) > 2 or not np.all((image == low) | (image == high)):
                raise ScanError(
                    f"a mask has two values, this has more (slice {k + 1})",
                    where=self._path,
                    todo="Give a two-valued image, or leave --mask-of away.",
                )

    def finish(self) -> None:
        """After the last slice; ScanError when nothing was scanned."""
        self._single.finish()
        if self._field is not None and not self._field.is_circle and not np.isfinite(self._field.corner):
            raise ScanError(
                "some of the field of view holds values that are no numbers (NaN or infinite)",
                where=self._path,
                todo="Save the scan again, with the grey value of air where nothing was reconstructed.",
            )
        if self._range and self._range[0] == self._range[1]:
            raise ScanError(
                f"all voxels have the same value, {self._range[0]:g}",
                where=self._path,
                todo="Nothing was scanned.",
            )

    def replaced(self, slices: Slices) -> Replaced:
        """The slices that were looked at, with grey values where others stood (see :mod:`greys`)."""
        if self._mask or self._range is None:
            return Replaced(slices, {})
        low, high = self._range
        field, outside = self._field, Replaced(slices, {})
        if field is not None and field.is_circle:
            outside = without_outside(slices, field)
        elif field is not None:  # the value stands for something else, or is one
            low, high = min(low, float(field.corner)), max(high, float(field.corner))
        if not self._some:
            return outside
        some = np.concatenate(self._some)
        between = some[(some != low) & (some != high)]  # a value for nothing may fill a region
        typical = typical_range(between if between.size else some)
        far = without_far_values(outside.slices, typical, low, high, self._path)
        single = self._single.replaced(far.slices)
        return Replaced(
            single.slices,
            {**outside.parameters, **far.parameters, **single.parameters},
            (*far.warnings, *single.warnings),
        )
