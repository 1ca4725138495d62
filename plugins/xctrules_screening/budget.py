"""Where the uncertainty of the scan's figures comes from: one function for each line of a budget.

Each returns the line in the figure's unit. Type A is from the scatter of this scan's own values, type B from
bounds, models and phantoms (JCGM 100, 4.2, 4.3). A bound of half-width a within which nothing is likelier
than anything else counts as a / sqrt(3) (4.3.7 there). The voxel scale's line is the scan's own
(:meth:`xctrules.core.measurement.Scale.contribution`).
"""

from __future__ import annotations

import math

from xctrules.core.measurement import Contribution

INTERPOLATION_SHARE = 0.06
"""How far the interpolation's effect on noise may be off, see ``sampling.INTERPOLATED_NOISE``."""

VALUES_ALIKE = 10
"""Second differences that stand for one independent value: neighbours share noise, three share a voxel."""

ARCS_ALIKE = 4
"""Arcs that stand for one: what makes layers run together (a tab, a bend) is wider than one arc."""

ELSEWHERE_SHARE = 0.02
"""How far noise and greys differ between the slices and turns that were looked at and others. From drawn
scans."""

PLACES = 1000
"""Independent places that a share of voxels is known from, since neighbouring slices are alike."""

LEAST_VARIANCE = 1e-4
"""Variance of a single place at least, however few of the others are saturated."""

RING_NOISE = 0.05
"""Rings that one radius shows of noise alone, over that noise: what twenty voxels and more leave of it."""

LEAST_SCATTER = 0.0005
"""Cupping is never known better: a grey level of an 8-bit scan in eight."""

WALL_SHARE = 0.02
"""What a slab under a Gaussian blur is off by, as a share of its width. From drawn scans."""

SATURATED_WALL = 0.3
"""Clipping at half of the wall's grey takes this share off the edge's width."""

FORMED_SHARE = 0.2
"""How far a can's sheet may be thinner or thicker where it is bent than beside it. A real can's was found
thicker by 6 %."""

LAYERS_SHARE = 0.1
"""What layers that begin or end seem to move a whole slice by, as a share of the motion that rejects. From
drawn scans."""

OUTLINE_VOXELS, EDGE_VOXELS = 0.02, 0.1
"""How well the frame's outlines are placed against each other, and the can's edge altogether, in voxels."""


# --- by layers ---------------------------------------------------------------------------------------------


def noise_of_single_voxels(value: float, noise: float, n: int) -> Contribution:
    """Of a figure that noise, known from n differences, divides. Type B.

    For the interpolation that the noise went through (:data:`INTERPOLATION_SHARE`) and for the number of
    values, in quadrature.
    """
    counted = noise / math.sqrt(max(n / VALUES_ALIKE, 1.0))
    relative = math.hypot(noise * INTERPOLATION_SHARE, counted) / noise
    return Contribution("noise of single voxels", abs(value) * relative, type="B")


def choice_of_slices_and_turns(value: float) -> Contribution:
    """:data:`ELSEWHERE_SHARE` of the figure. Type B."""
    return Contribution("choice of slices and turns", ELSEWHERE_SHARE * abs(value), type="B")


def counting(share: float, n: int) -> Contribution:
    """Of a share of n arcs: binomial, with the arcs that stand for one (:data:`ARCS_ALIKE`). Type A."""
    variance = max(share * (1 - share), 1 / n)
    return Contribution("counting", math.sqrt(variance / max(n / ARCS_ALIKE, 1)))


def number_of_radii(index: float, radii: int) -> Contribution:
    """As for a standard deviation of that many values, and the noise's own rings. Type A."""
    u = math.hypot(index / math.sqrt(2 * radii), RING_NOISE / math.sqrt(radii))
    return Contribution("number of radii", u)


def scatter_between_turns(scatter: float) -> Contribution:
    """Robust scatter of the turns over the root of their number, at least :data:`LEAST_SCATTER`. Type A."""
    return Contribution("scatter between turns", max(scatter, LEAST_SCATTER))


def grey_of_the_dark_reference(value: float) -> Contribution:
    """:data:`ELSEWHERE_SHARE` of the figure. Type B."""
    return Contribution("grey of the dark reference", ELSEWHERE_SHARE * abs(value), type="B")


def choice_of_slices(share: float) -> Contribution:
    """Of a share of voxels known from :data:`PLACES`: binomial. Type B."""
    variance = max(share * (1 - share), LEAST_VARIANCE)
    return Contribution("choice of slices", math.sqrt(variance / PLACES), type="B")


def noise_of_two_places(ratio: float, n: int) -> Contribution:
    """Of the ratio of two noises, each a standard deviation known from n differences. Type A.

    Neighbouring differences share places: two in three count.
    """
    return Contribution("noise of two places", ratio * math.sqrt(2 / (2 * max(n * 2 / 3, 1))))


# --- by the can's edge -------------------------------------------------------------------------------------


def fit_of_the_edge(sigma_mm: float) -> Contribution:
    """Scatter of the fitted width. Type A."""
    return Contribution("fit of the edge", sigma_mm)


def fits_of_the_edge(sigma: float) -> Contribution:
    """Scatter of the widths at two heights, as a relative difference. Type A."""
    return Contribution("fits of the edge", sigma)


def model_of_the_wall(width_mm: float, other_width_mm: float, saturated: bool) -> Contribution:
    """What a blurred slab leaves of a width, at least :data:`WALL_SHARE` of it. Type B.

    Rectangular, from the width that the segmenter's own fit of the wall gives; with it, of a saturated wall,
    :data:`SATURATED_WALL` of the width.
    """
    model = abs(width_mm - other_width_mm) / math.sqrt(3)
    if saturated:
        model = math.hypot(model, SATURATED_WALL * width_mm)
    return Contribution("model of the wall", max(model, WALL_SHARE * width_mm), type="B")


# --- by geometry -------------------------------------------------------------------------------------------


def directions_looked_at(directions: int) -> Contribution:
    """One direction of all, over sqrt(3). Type B."""
    return Contribution("directions looked at", 1 / directions / math.sqrt(3), type="B")


def number_of_slices(residual_mm: float, slices: float) -> Contribution:
    """As for a standard deviation of that many centres. Type A."""
    return Contribution("number of slices", residual_mm / math.sqrt(2 * slices))


def location_of_the_outlines(voxel_mm: float) -> Contribution:
    """:data:`OUTLINE_VOXELS`. Type B."""
    return Contribution("location of the outlines", OUTLINE_VOXELS * voxel_mm, type="B")


def location_of_the_edge(voxel_mm: float, nominal_mm: float) -> Contribution:
    """:data:`EDGE_VOXELS`, over the nominal diameter. Type B."""
    return Contribution("location of the edge", EDGE_VOXELS * voxel_mm / nominal_mm, type="B")


# --- by the stack ------------------------------------------------------------------------------------------


def agreement_of_the_rings(sigma: float) -> Contribution:
    """Of a motion between two slices: least squares, scaled up to the rings' own scatter and to that of the
    scan's other pairs. Type A."""
    return Contribution("agreement of the rings", sigma)


def own_ways_of_layers(level: float) -> Contribution:
    """:data:`LAYERS_SHARE` of the level that a motion is held against. Type B.

    Layers that begin, end or begin to lean within a few slices move by themselves.
    """
    return Contribution("own ways of layers", LAYERS_SHARE * level, type="B")


def scatter_between_pairs(sigma: float) -> Contribution:
    """Of a step of brightness: robust scatter of the wall over the pairs and of the blocks of one. Type A."""
    return Contribution("scatter between pairs", sigma)


# --- by the scale of height --------------------------------------------------------------------------------


def scatter_between_half_planes(sigma: float) -> Contribution:
    """Of the sheet's two thicknesses: robust scatter over the root of the number of half-planes. Type A."""
    return Contribution("scatter between angles", sigma)


def forming_of_the_sheet(ratio: float) -> Contribution:
    """Rectangular: rolling a bead changes a sheet's thickness by up to :data:`FORMED_SHARE`. Type B."""
    return Contribution("forming of the sheet", FORMED_SHARE * ratio / math.sqrt(3), type="B")


def slices_at_the_ends(slice_share: float) -> Contribution:
    """Rectangular, half a slice at each of the two ends, as a share of the height. Type B."""
    return Contribution("slices at the ends", slice_share * math.sqrt(2.0 / 12.0), type="B")
