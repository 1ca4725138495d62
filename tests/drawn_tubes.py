"""Tubes drawn by area, for what is found and sampled in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from xctrules.core.slices import ArraySlices, Scan

VOXEL = (0.05, 0.05, 0.05)


def tube(
    *,
    radius_mm: float = 4.0,
    wall_mm: float = 0.3,
    centre_mm: tuple[float, float] = (5.0, 5.2),
    slope: tuple[float, float] = (0.0, 0.0),
    shape: tuple[int, int, int] = (40, 200, 204),
    noise: float = 0.0,
    layers: bool = False,
) -> Scan:
    """A bright tube drawn by area (the edge's share of each voxel), its axis through ``centre_mm`` at the
    first slice and moving by ``slope`` mm per mm of height; with ``layers``, concentric rings inside it."""
    rng = np.random.default_rng(3)
    nz, ny, nx = shape
    y, x = np.mgrid[:ny, :nx] * VOXEL[1]
    cos = 1 / np.hypot(1.0, np.hypot(*slope))
    volume = np.empty(shape, dtype=np.float32)
    for k in range(nz):
        dx = x - centre_mm[0] - slope[0] * k * VOXEL[0]
        dy = y - centre_mm[1] - slope[1] * k * VOXEL[0]
        along = (dx * slope[0] + dy * slope[1]) * cos
        r = np.sqrt(dx**2 + dy**2 - along**2)  # distance from a line, not from a point
        inside = np.clip((radius_mm - r) / VOXEL[1] + 0.5, 0, 1)
        hollow = np.clip((radius_mm - wall_mm - r) / VOXEL[1] + 0.5, 0, 1)
        filling = 40 + 25 * np.sin(2 * np.pi * r / 0.4) if layers else 30.0
        volume[k] = 200 * (inside - hollow) + filling * hollow
    volume += rng.normal(0, noise, shape).astype(np.float32) if noise else 0
    return Scan(Path("drawn"), ArraySlices(volume), VOXEL, {})
