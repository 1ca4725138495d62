"""Where the uncertainty of a dense body's size comes from: one function for each line of a budget.

Each returns the line in mm of the equivalent diameter. Type B throughout: bounds and one scan's greys. The
voxel scale's line is the scan's own (:meth:`xctrules.core.measurement.Scale.contribution`).
"""

from __future__ import annotations

import math

from xctrules.core.measurement import Contribution

EDGE_VOXELS = 0.5
"""Half-width, in voxels, of what is left of a body's diameter by where its voxels lie on it. From drawn balls
of four to fifteen voxels."""


def layers_around_the_body(sigma_mm: float) -> Contribution:
    """How far the layers that the body hides may differ from those around it, in its diameter. Type B."""
    return Contribution("layers around the body", sigma_mm, type="B")


def grey_of_the_bodys_middle(sigma_mm: float) -> Contribution:
    """How far the grey that counts as the body's own is known, in its diameter. Type B."""
    return Contribution("grey of the body's middle", sigma_mm, type="B")


def voxels_of_the_body(voxel_mm: float) -> Contribution:
    """Half a voxel either way, rectangular: over sqrt(3). Type B."""
    return Contribution("voxels of the body", EDGE_VOXELS * voxel_mm / math.sqrt(3.0), type="B")


def body_at_the_can(clear_mm: float) -> Contribution:
    """A body that goes on to within ``clear_mm`` of the can: up to so much more of it. Type B.

    Rectangular: over sqrt(3).
    """
    return Contribution("body at the can", clear_mm / math.sqrt(3.0), type="B")


def body_beyond_the_scan(diameter_mm: float) -> Contribution:
    """A body that the scan's first or last slice cuts: it may be twice as large. Type B.

    Rectangular: over sqrt(3).
    """
    return Contribution("body beyond the scan", diameter_mm / math.sqrt(3.0), type="B")


def bodies_too_small_to_tell(diameter_mm: float) -> Contribution:
    """Where no body was found: one smaller than the box that bodies have to fill may be there. Type B.

    The smaller a speck, the less it shows, so that of those unseen larger ones are less likely: a density
    that falls in a straight line from zero to the box's size a. Its root mean square is a / sqrt(6) (JCGM
    100, 4.3.9).
    """
    return Contribution("bodies too small to tell", diameter_mm / math.sqrt(6.0), type="B")
