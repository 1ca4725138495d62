"""Label images made: surfaces drawn into the scan's own voxels.

A voxel takes the class in which its centre lies. Each slice is drawn once in its own polar coordinates about
the cell's axis, where every layer is an interval of the radius, and looked up at the voxels' centres from
there; the memory needed is that of one slice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.core.files import whole_file
from xctrules.cylinder.frame import CellFrame
from xctrules.cylinder.surfaces import (
    LABELS,
    CanSurface,
    CylinderCell,
    FoilTrace,
)
from xctrules_segmentation.drawing import CLASS_OF_COUNT, PolarGrid, Roll, Tube
from xctrules_segmentation.faces import CathodeFaces
from xctrules_segmentation.labels import Labels, as_greys, checked_labels
from xctrules_segmentation.roll import facing_cathodes

_OVERSAMPLING = 4
"""Radial samples per voxel of the polar image: a layer's face is then drawn to an eighth of a voxel."""

_MOST_ANGLES = 2880
"""Of the polar image. A layer that leans by 45 degrees, as a buckle may at 4 mm, is off by 4 um."""


def label_image(cell: CylinderCell) -> Iterator[Labels]:
    """The surfaces that were found, drawn into the scan's voxels slice by slice.

    The can is drawn where its wall was located; the roll over its whole height in view: what was followed at
    some heights is taken straight from one to the next, and on to the slices beyond the last. Where a foil's
    edge was not clear, its neighbours' along the turn is drawn; where a tab stands, the foil goes on to the
    last slice.

    Yields
    ------
    (ny, nx) uint8
        Values of :data:`LABELS`.

    Raises
    ------
    NotMeasurable
        When nothing was found that could be drawn.
    """
    surfaces = cell.surfaces
    frame = cell.frame
    if surfaces.can is None and surfaces.foil is None:
        reason = next(iter(surfaces.missing.values()), "nothing was segmented")
        raise NotMeasurable(f"there is nothing to draw: {reason}")
    roll = None
    if surfaces.foil is not None:
        seen = cell if cell.labels is None else as_greys(cell, checked_labels(cell.labels))
        faces = _faces(seen, surfaces.foil, surfaces.can)
        roll = Roll.of(frame, surfaces.foil, faces, tuple(surfaces.ends.values()))
    tube = None if surfaces.can is None else Tube.of(surfaces.can)
    # Made here and not in the generator, so that errors come at once.
    return _draw(frame, cell.scan.shape, roll, tube)


def write_label_image(path: str | Path, cell: CylinderCell) -> None:
    """Write :func:`label_image` as a TIFF file that napari, Fiji and xctrules itself read.

    One zlib-compressed page for each slice, with the voxel size in millimetres in ImageJ's metadata. The file
    is there whole or not at all.

    Raises
    ------
    NotMeasurable
        When there is nothing to draw.
    OutputError
        When the file cannot be written.
    """
    _write(Path(path), label_image(cell), cell.scan.shape, cell.frame.voxel_mm)


def _write(
    path: Path, slices: Iterable[Labels], shape: tuple[int, int, int], voxel_mm: tuple[float, float, float]
) -> None:
    from tifffile import TiffWriter

    dz, dy, dx = voxel_mm
    classes = "\n".join(f"{value} = {name}" for name, value in LABELS.items())
    with whole_file(path) as temporary, TiffWriter(temporary, imagej=True) as tiff:
        tiff.write(
            iter(slices),
            shape=shape,
            dtype=np.uint8,
            compression="zlib",
            compressionargs={"level": 3},
            photometric="minisblack",
            resolution=(1 / dx, 1 / dy),
            metadata={
                "axes": "ZYX", "spacing": dz, "unit": "mm", "min": 0.0,
                "max": float(max(LABELS.values())), "Info": classes,
            },
        )  # fmt: skip


def _faces(cell: CylinderCell, foil: FoilTrace, can: CanSurface | None) -> CathodeFaces:
    try:
        return facing_cathodes(cell, foil, can)
    except NotMeasurable:
        return CathodeFaces.none(*foil.radius_mm.shape[1:])


def _draw(
    frame: CellFrame, shape: tuple[int, int, int], roll: Roll | None, tube: Tube | None
) -> Iterator[Labels]:
    voxel = min(frame.voxel_mm[1:])
    reach = max([tube.reach_mm] if tube else [roll.reach_mm] if roll else [0.0]) + voxel
    oversampling = min(_OVERSAMPLING, 32_000 / (reach / voxel))  # OpenCV's largest image
    grid = PolarGrid(
        angles=min(_MOST_ANGLES, 360 * max(1, -(-int(2 * np.pi * reach / voxel) // 360))),
        radii=int(reach / voxel * oversampling) + 2,
        step_mm=voxel / oversampling,
    )
    lookup = _SliceLookup(frame, shape, grid)
    for k in range(shape[0]):
        image = np.zeros((grid.angles + 1, grid.radii + 1), dtype=np.uint8)
        if roll is not None:
            roll.draw(image, grid, k)
        if tube is not None:
            tube.draw(image, grid, frame, k)
        np.cumsum(image, axis=1, dtype=np.uint8, out=image)
        image[-1] = image[0]
        yield CLASS_OF_COUNT[lookup.at(image, k)]


class _SliceLookup:
    """Looks the polar image up at the centres of a slice's voxels."""

    def __init__(self, frame: CellFrame, shape: tuple[int, int, int], grid: PolarGrid) -> None:
        self._frame, self._shape, self._grid = frame, shape, grid
        self._made_for: tuple[float, float] | None = None
        self._maps: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
        # In the plane of a slice the ray of angle theta points along across_x cos + across_y sin.
        axis = np.asarray(frame.axis)
        rays = frame.directions([0.0, 90.0])
        inplane = rays[:, :2] - rays[:, 2:] * axis[:2] / axis[2]
        self._inverse = np.linalg.inv(inplane.T).astype(np.float32)

    def at(self, image: Labels, k: int) -> Labels:
        dz, dy, dx = self._frame.voxel_mm
        ax, ay, az = self._frame.axis
        x0 = self._frame.origin_mm[0] + k * dz * ax / az
        y0 = self._frame.origin_mm[1] + k * dz * ay / az
        old = self._made_for
        if old is None or max(abs(x0 - old[0]), abs(y0 - old[1])) > min(dx, dy) / 16:
            x = (np.arange(self._shape[2]) * dx - x0).astype(np.float32)
            y = (np.arange(self._shape[1]) * dy - y0).astype(np.float32)[:, None]
            m = self._inverse
            across, up = m[0, 0] * x + m[0, 1] * y, m[1, 0] * x + m[1, 1] * y
            turn = np.arctan2(up, across) * np.float32(self._grid.angles / (2 * np.pi))
            turn[turn < 0] += self._grid.angles
            self._maps = np.hypot(across, up) / np.float32(self._grid.step_mm), turn
            self._made_for = x0, y0
        assert self._maps is not None
        return np.asarray(
            cv2.remap(image, *self._maps, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT), dtype=np.uint8
        )
