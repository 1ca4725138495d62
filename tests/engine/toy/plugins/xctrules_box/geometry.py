"""Boxes that lie in a scan along x, turned about z: where one is, and which of its sides are in view."""

from dataclasses import dataclass

import cv2
import numpy as np
from skimage.filters import threshold_otsu

from xctrules import NotMeasurable, Option, Prediction, Scope, Settings

EDGE_VOXELS = 0.05
"""Standard uncertainty of an edge found at half height."""


@dataclass(frozen=True)
class BoxSettings(Settings):
    plates: int | None = None


@dataclass(frozen=True)
class BoxFrame:
    """Millimetres from a corner of the box: x along it, y across it, z from the first slice.

    A point (x, y) of a slice is treated as one complex number.
    """

    corner_mm: tuple[float, float]
    tilt_deg: float
    size_mm: tuple[float, float]
    voxel_mm: tuple[float, float, float]
    sides: dict[str, bool]
    warnings: tuple[str, ...] = ()

    @property
    def _turn(self):
        return np.exp(1j * np.radians(self.tilt_deg))

    def to_voxel(self, x, y, z):
        at, (dz, dy, dx) = complex(*self.corner_mm) + (x + 1j * y) * self._turn, self.voxel_mm
        return np.broadcast_arrays(z / dz, at.imag / dy, at.real / dx)

    def to_cell(self, z, y, x):
        dz, dy, dx = self.voxel_mm
        own = (x * dx + 1j * y * dy - complex(*self.corner_mm)) / self._turn
        return np.broadcast_arrays(own.real, own.imag, z * dz)


@dataclass(frozen=True)
class BoxPredictor:
    edges_mm: float
    scale: float
    contrast: float
    voxel_um: tuple
    usual_mm: float = 1.0

    def predict(self, measurement, size):
        if measurement == "box.plates":
            return None
        return Prediction(size * self.scale, voxel=self.edges_mm, noise=self.edges_mm / self.contrast)


class Box:
    geometry = "box"
    options = (Option("plates", int, "plates that the box should hold", low=1, high=99),)

    def settings(self, segmenter, model, values):
        return BoxSettings(segmenter, model, values["plates"])

    def find(self, scan, nominal_mm, settings):
        """The smallest rectangle around all that is metal, in the mean of all slices."""
        slices, voxel_mm = scan.slices, scan.voxel_size_mm
        image = sum(slices[k].astype(float) for k in range(len(slices))) / len(slices)
        if np.ptp(image) < 1:
            raise NotMeasurable("no box stands out in the scan")
        metal = image > threshold_otsu(image)
        points = np.argwhere(metal)[:, ::-1] * np.float32(voxel_mm[:0:-1])
        corners = cv2.boxPoints(cv2.minAreaRect(points.astype(np.float32))) @ [1, 1j]
        along = max(corners[1] - corners[0], corners[2] - corners[1], key=lambda edge: abs(edge.real))
        turn = along / abs(along) * np.sign(along.real)
        own = corners / turn
        corner = complex(own.real.min(), own.imag.min()) * turn
        sides = {"left": not metal[:, 0].any(), "right": not metal[:, -1].any()}
        size = float(np.ptp(own.real)), float(np.ptp(own.imag))
        return BoxFrame((corner.real, corner.imag), float(np.angle(turn, deg=True)), size, voxel_mm, sides)

    def scope(self, cell, nominal_mm):
        if cell is None:
            return Scope({"left": None, "right": None}, "side")
        seen, length = [s for s, there in cell.frame.sides.items() if there], cell.frame.size_mm[0]
        what = "both sides" if len(seen) == 2 else f"the {seen[0]} side" if seen else "no side"
        text = f"for {what}, {length:.1f} of {nominal_mm['length']:.1f} mm of the box seen"
        return Scope(cell.frame.sides, "side", text, {"length_seen_mm": length})

    def predictor(self, cell, screened):
        contrast = screened["box_image.contrast"].value
        if contrast is None:
            return "the contrast of the plates is not known"
        voxel_mm = cell.frame.voxel_mm[2]
        edges_mm = 2**0.5 * EDGE_VOXELS * voxel_mm
        return BoxPredictor(edges_mm, cell.scale.relative_uncertainty, contrast, (("", 1000 * voxel_mm),))
