"""How far the electrodes stand out of what lies between them, before anything is segmented."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xctrules.cylinder.surfaces import CylinderCell

HEIGHTS = 5
"""Heights of the roll that are looked at, clear of its ends; the middle one of a scan of a few slices."""

FEW_SLICES = 4
"""Slices up to which one height is all there is."""

RADII, RADIAL_STEP = (0.3, 0.9), 0.002
"""Share of the can's radius that is roll in any cell, and the step: some 20 um, finer than any voxel."""

ANGLE_STEP_DEG = 10.0
"""Between the radial profiles: thirty-six of them have every grey of the roll."""

LEAST_VALUES = 100
"""Grey values that tell a distribution."""

BINS = 256
"""Of the histogram; the best threshold does not depend on them."""


def separability(cell: CylinderCell) -> float | None:
    """Otsu's eta of the roll's grey values; None where no roll is seen, or nothing but one grey.

    Near 1 the electrodes stand out of what lies between them; Pietsch 2018 uses it to predict how uncertain
    a segmentation is.
    """
    frame = cell.frame
    if frame.roll_mm is None or frame.outer_radius_mm is None or cell.settings.mask_of:
        return None
    heights = HEIGHTS if cell.scan.shape[0] > FEW_SLICES else 1
    z = np.linspace(*frame.roll_mm, heights + 2)[1:-1]
    r = np.arange(*RADII, RADIAL_STEP) * frame.outer_radius_mm
    grey = frame.cylinder(cell.scan, z, np.arange(0.0, 360.0, ANGLE_STEP_DEG), r)
    grey = grey[np.isfinite(grey)]
    if grey.size < LEAST_VALUES or np.ptp(grey) == 0:
        return None
    return otsu_eta(grey)


def otsu_eta(grey: NDArray[np.floating]) -> float:
    """Variance between two classes over the whole variance, at the threshold (Otsu 1979) that makes it
    largest: 0 to 1."""
    from skimage.filters import threshold_otsu

    counts, edges = np.histogram(grey, bins=BINS)
    middle = (0.5 * (edges[1:] + edges[:-1])).astype(np.float64)
    low = middle <= threshold_otsu(hist=(counts, middle))
    share = counts / counts.sum()
    below = float(share[low].sum())
    darker, brighter = (float((share * middle)[side].sum()) for side in (low, ~low))
    mean = darker + brighter
    variance = float((share * (middle - mean) ** 2).sum())
    return below * (1 - below) * (darker / below - brighter / (1 - below)) ** 2 / variance
