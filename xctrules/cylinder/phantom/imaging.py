"""From the drawn cell to a scan: blur, cupping, rings, streaks, noise, grey scale and clipping."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from xctrules.cylinder.phantom.can_faults import reach_mm
from xctrules.cylinder.phantom.geometry import Pose
from xctrules.cylinder.phantom.spec import PhantomSpec

Image = NDArray[np.float32]


def gaussian_kernel(sigma: float) -> NDArray[np.float64]:
    """Samples of a Gaussian out to 4 sigma, adding up to 1; a single 1 for sigma 0.

    The voxel's own box is in the drawing already.
    """
    if sigma <= 0:
        return np.ones(1)
    reach = max(1, math.ceil(4 * sigma))
    x = np.arange(-reach, reach + 1)
    k = np.exp(-0.5 * (x / sigma) ** 2)
    return np.asarray(k / k.sum())


def blur_plane(image: Image, sigma_px: tuple[float, float]) -> Image:
    """Blur one slice; sigmas along (y, x) in pixels."""
    ky, kx = (gaussian_kernel(s) for s in sigma_px)
    if ky.size == kx.size == 1:
        return image
    return np.asarray(cv2.sepFilter2D(image, cv2.CV_32F, kx, ky, borderType=cv2.BORDER_REPLICATE))


def blur_height(volume: Image, sigma_px: float) -> None:
    """Blur along z in place, a few rows at a time."""
    kernel = gaussian_kernel(sigma_px)
    if kernel.size == 1 or volume.shape[0] == 1:
        return
    nz, ny, nx = volume.shape
    rows = max(1, (1 << 21) // (nz * nx))
    for y in range(0, ny, rows):
        part = volume[:, y : y + rows]
        flat = np.ascontiguousarray(part).reshape(nz, -1)
        done = cv2.sepFilter2D(flat, cv2.CV_32F, np.ones(1), kernel, borderType=cv2.BORDER_REPLICATE)
        part[:] = done.reshape(part.shape)


class Scanner:
    """Adds what a scanner does to each slice of one phantom, in slice order."""

    def __init__(self, spec: PhantomSpec, place: Pose, noise_seed: int | None = None) -> None:
        self.spec, self.place = spec, place
        self.im = spec.imaging
        self.scale = self.im.grey_scale or (256.0 if self.im.dtype == "uint16" else 1.0)
        self.dtype = np.dtype(self.im.dtype)
        self._noise_rng = np.random.default_rng((spec.seed if noise_seed is None else noise_seed, 11))
        self._recent: list[Image] = []
        _, ny, nx = place.shape
        _, dy, dx = spec.voxel_size_mm
        self._x = (np.arange(nx, dtype=np.float32) * dx)[None, :]
        self._y = (np.arange(ny, dtype=np.float32) * dy)[:, None]
        self._fixed = self._rings_and_streaks()

    def _rings_and_streaks(self) -> Image | None:
        """Artefacts that are the same in every slice, about the scanner's axis in the volume's middle."""
        im, grey = self.im, self.spec.greys.cathode_coating
        if not im.rings and not im.streaks:
            return None
        rng = np.random.default_rng((self.spec.seed, 12))
        x, y = self._x - self._x.mean(), self._y - self._y.mean()
        pixel = self.spec.voxel_size_mm[2]
        total = np.zeros((y.size, x.size), np.float32)
        if im.rings:
            r = np.hypot(x, y) / pixel
            profile = rng.standard_normal(int(r.max()) + 3)
            total += im.rings * grey * np.interp(r, np.arange(profile.size), profile)
        if im.streaks:
            for angle in rng.uniform(0, np.pi, 6):
                away = (x * np.sin(angle) - y * np.cos(angle)) / (3 * pixel)
                total += im.streaks * grey * rng.choice([-1.0, 1.0]) * np.exp(-0.5 * away**2)
        return total

    def _axis_distance(self, k: int) -> Image:
        """Distance of slice ``k``'s pixels from the cell's axis, seen along z."""
        z = k * self.spec.voxel_size_mm[0]
        ax, ay, az = self.place.axis
        x0, y0 = self.place.origin_mm[0] + z * ax / az, self.place.origin_mm[1] + z * ay / az
        return np.asarray(np.hypot(self._x - np.float32(x0), self._y - np.float32(y0)), dtype=np.float32)

    def _white(self) -> Image:
        shape = self.place.shape[1:]
        noise = self._noise_rng.standard_normal(shape, dtype=np.float32)
        sigma = self.im.noise_correlation_px
        if sigma > 0:
            kernel = gaussian_kernel(sigma)
            noise = blur_plane(noise, (sigma, sigma)) / np.float32((kernel**2).sum())
        return noise

    def _noise(self) -> Image:
        """The next slice's noise with unit standard deviation, correlated with its neighbours' too."""
        weights = gaussian_kernel(self.im.noise_correlation_px)
        while len(self._recent) < weights.size:
            self._recent.append(self._white())
        total = sum(w * n for w, n in zip(weights.astype(np.float32), self._recent, strict=True))
        self._recent.pop(0)
        return np.asarray(total / np.float32(np.sqrt((weights**2).sum())), dtype=np.float32)

    def expose(self, k: int, image: Image) -> NDArray[Any]:
        """Slice ``k`` as the scanner would store it, from its blurred drawing."""
        im, grey = self.im, image
        outer = self.spec.outer_diameter_mm / 2
        r = self._axis_distance(k) if im.cupping or im.clip_outside else None
        if im.cupping and r is not None:
            grey = grey * (1 - np.float32(im.cupping) * (1 - np.minimum(r / np.float32(outer), 1.0) ** 2))
        if self._fixed is not None:
            grey = grey + self._fixed
        if im.noise:
            grey = grey + np.float32(im.noise * self.spec.greys.cathode_coating) * self._noise()
        if im.clip_outside and r is not None:
            _, bulging = reach_mm(self.spec)
            reach = outer + self.spec.ovality_mm + self.spec.sleeve_mm + 5 * self._blur_mm + bulging
            grey = np.where(r < np.float32(reach), grey, np.float32(0))
        grey = grey * np.float32(self.scale) + np.float32(im.grey_offset)
        if self.dtype.kind == "f":
            return grey.astype(self.dtype)
        top = np.iinfo(self.dtype).max
        return np.clip(np.rint(grey), 0, top).astype(self.dtype)

    @property
    def _blur_mm(self) -> float:
        return max(self.im.blur_px, 0.5) * self.spec.voxel_size_mm[2]
