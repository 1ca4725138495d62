"""Where the uncertainty of the can's figures comes from: one function for each line of a budget.

Each returns the line in the measurement's unit. Type A is from the scatter of this scan's own values, type B
from bounds, models and drawn cans (JCGM 100, 4.2, 4.3). A bound of half-width a within which nothing is
likelier than anything else counts as a / sqrt(3) (4.3.7 there). The voxel scale's line is the scan's own
(:meth:`xctrules.core.measurement.Scale.contribution`).

What remains of bias where slab and blur are no perfect picture of wall and scanner comes from drawn cans with
walls of 3.5 to 10 voxels, blur of 0.5 to 1.5 voxels, and roll, gap or liquid inside (``docs/phantoms.md``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from xctrules.core.measurement import Contribution
from xctrules.cylinder.axis import TILT_KNOWN_DEG
from xctrules_canister.form import DRAWS, Floats, eccentricity

OUTER_MODEL_VOXEL = 0.01
"""Standard uncertainty of one outer radius, in voxels, wall thicker than four blurs."""

WALL_MODEL_VOXEL = 0.01
"""The same of the mean wall thickness at a blur of one voxel; it grows with the cube of the blur, which mixes
in the inside."""

WALL_PLACE_MODEL_VOXEL = 0.05
"""The same at one place, with the square of the blur: what lies inside changes along the wall, and much of
it cancels in the mean."""

WORST_PLACE = 1.6
"""How much worse the model does at the thinnest or thickest place than at the usual one."""

WORST_OUTER_PLACE = 2.0
"""The same for the outer surface's deepest or highest place, which is one of many more."""

THIN_WALL_VOXEL, THIN_WALL_BLURS, THIN_WALL_SLOPE = 0.15, 2.3, 2.0
"""Below about three blurs thickness and grey of a wall are hard to tell apart: the first, in voxels, at a
wall of the second, in blurs, and growing by e for each half blur less."""

MOST_THIN_WALL_VOXEL = 0.3
"""That grows no further: the wall's grey is held by the rest of the can."""

SPREAD_OF_MODEL = 0.25
"""How much of what the model leaves at one place it leaves in the spread over all."""

ELLIPSE_SHARE = 0.5
"""How well the ellipse is known where a dent is, in robust deviations of the sound part from it: a third of
the outline carries it."""

CENTRE_MODEL_VOXEL = 0.003
"""Difference, in voxels, that the grid of voxels makes between the centres of the first and last height."""

LEAST_INDEPENDENT = 3.0
"""Centres that count as independent at least: a line through fewer would have no scatter."""

MOST_CORRELATED = 0.95
"""Correlation of neighbouring centres that is believed at most: more leaves nothing to count."""

WINDOW = 3.5
"""Samples that a Gaussian window of a standard deviation of one sample makes one: sqrt(4 pi)."""

LEAST_WINDOWS = 4.0
"""Windows that count at least, on however small a map."""


@dataclass(frozen=True)
class WallModel:
    """Standard uncertainties, in mm, that the model of the blurred wall leaves.

    Attributes
    ----------
    outer, wall
        Of one outer radius and of the mean thickness.
    wall_at_one_place
        Of the thinnest or thickest place.
    """

    outer: float
    wall: float
    wall_at_one_place: float

    @classmethod
    def of(cls, thickness_mm: float, blur_mm: float, voxel_mm: float) -> WallModel:
        """For a wall of mean ``thickness_mm`` under a blur of standard deviation ``blur_mm``."""
        too_thin = THIN_WALL_BLURS - thickness_mm / max(blur_mm, 1e-9)
        thin = THIN_WALL_VOXEL * math.exp(THIN_WALL_SLOPE * too_thin) * voxel_mm
        outer = OUTER_MODEL_VOXEL * voxel_mm + min(thin, MOST_THIN_WALL_VOXEL * voxel_mm)
        blur_voxels = blur_mm / voxel_mm
        mixed_in = blur_mm**2 / voxel_mm
        return cls(
            outer,
            math.hypot(WALL_MODEL_VOXEL * blur_voxels**3 * voxel_mm, outer),
            WORST_PLACE * (WALL_PLACE_MODEL_VOXEL * mixed_in + outer),
        )

    @property
    def inner(self) -> float:
        """Of one inner radius: the outer one less the thickness."""
        return math.hypot(self.outer, self.wall)


# --- noise -------------------------------------------------------------------------------------------------


def noise_of_diameter(sigma_mm: float, n: int) -> Contribution:
    """Noise of n edges in a mean diameter: ``2 sigma / sqrt(n)``, n - 1 degrees of freedom. Type A."""
    return Contribution("noise of the edge", 2 * sigma_mm / math.sqrt(n), degrees_of_freedom=max(n - 1, 1))


def noise_of_mean_wall(sigma_mm: float, n: int) -> Contribution:
    """Noise of n thicknesses in their mean: ``sigma / sqrt(n)``, n - 1 degrees of freedom. Type A."""
    return Contribution("noise of the edges", sigma_mm / math.sqrt(n), degrees_of_freedom=max(n - 1, 1))


def noise_of_spread(spread_mm: float, pooled_sd_mm: float, independent: float) -> Contribution:
    """Of a standard deviation of pooled thicknesses, noise included: ``s / sqrt(2 n)``. Type A.

    Parameters
    ----------
    independent
        n: pooling windows that the map holds.
    """
    seen = math.hypot(spread_mm, pooled_sd_mm)
    return Contribution("noise of the edges", seen / math.sqrt(2 * independent))


def noise_of_ovality(sd_mm: float) -> Contribution:
    """Spread of simulated worst heights, draws less one degrees of freedom. Type A."""
    return Contribution("noise of the edge", sd_mm, degrees_of_freedom=DRAWS - 1)


def noise_of_extreme(sd_mm: float) -> Contribution:
    """Spread of simulated extremes, draws less one degrees of freedom. Type A."""
    return Contribution("noise of the extreme", sd_mm, degrees_of_freedom=DRAWS - 1)


def noise_of_peak_and_valley(sd_mm: float) -> Contribution:
    """Spread of simulated peak-to-valley heights, draws less one degrees of freedom. Type A."""
    return Contribution("noise of the extremes", sd_mm, degrees_of_freedom=DRAWS - 1)


def correction_for_noise(bias_mm: float) -> Contribution:
    """The bias taken off, over sqrt(12). Type B.

    How well it is known rests on the map that noise was laid over: half of it either way, rectangular.
    """
    return Contribution("correction for noise", bias_mm / math.sqrt(12), type="B")


def noise_beyond_first_order(sigma_mm: float, voxel_mm: float) -> Contribution:
    """Variance of one thickness over the voxel. Type B.

    Where noise moves an edge by a fair part of a voxel, its errors are no longer symmetric.
    """
    return Contribution("noise beyond first order", sigma_mm**2 / voxel_mm, type="B")


def roughness_or_pattern(half_width_mm: float) -> Contribution:
    """Whether what neighbours share is the can's form or the image's: half-width over sqrt(3). Type B.

    The middle between "none of it is pattern" and "all of it is" is stated.
    """
    return Contribution("roughness or image pattern", half_width_mm / math.sqrt(3), type="B")


def noise_of_one_edge(sigma_mm: float) -> Contribution:
    """Noise of the one edge that lies deepest. Type A."""
    return Contribution("noise of the edge", sigma_mm)


def edge_of_a_narrow_dent(doubt_mm: float) -> Contribution:
    """Of the deepest edge: as the model leaves it, or half height where no wall could be fitted. Type B."""
    return Contribution("model of the blurred wall", doubt_mm, type="B")


def blur_over_a_narrow_dent(flattened_mm: float) -> Contribution:
    """Half of what blurring the surface once more takes off: the value was raised by all of it. Type B.

    The image's blur fills a dent a few blurs wide, by what the same blur would take off it again.
    """
    return Contribution("blur over a narrow dent", 0.5 * flattened_mm, type="B")


def between_the_places_looked_at(gain_mm: float) -> Contribution:
    """Depth between neighbouring heights and angles, over sqrt(3). Type B.

    The value was raised by a parabola's top; a dent is none where neighbours lie on its flanks. At the first
    and last height it may go on, by half the step to the next one.
    """
    return Contribution("between the places looked at", gain_mm / math.sqrt(3), type="B")


def smallest_dent_told_apart(detectable_mm: float) -> Contribution:
    """Of a dent of 0: one just below what would have shown, over sqrt(3). Type B."""
    return Contribution("smallest dent told apart", detectable_mm / math.sqrt(3), type="B")


# --- the model of the wall ---------------------------------------------------------------------------------


def model_in_diameter(radius_mm: float) -> Contribution:
    """Twice what the model leaves in a radius, see :class:`WallModel`. Type B."""
    return Contribution("model of the blurred wall", 2 * radius_mm, type="B")


def model_in_wall(thickness_mm: float) -> Contribution:
    """What the model leaves in a thickness, see :class:`WallModel`. Type B."""
    return Contribution("model of the blurred wall", thickness_mm, type="B")


def model_in_spread(wall_at_one_place_mm: float) -> Contribution:
    """:data:`SPREAD_OF_MODEL` of what the model leaves at one place. Type B."""
    return Contribution("model of the blurred wall", SPREAD_OF_MODEL * wall_at_one_place_mm, type="B")


def model_in_ovality(voxel_mm: float) -> Contribution:
    """Of two axis lengths, ``2 (a - b)``, with opposite errors on both. Type B."""
    return Contribution("model of the blurred wall", 4 * OUTER_MODEL_VOXEL * voxel_mm, type="B")


def model_in_roundness(voxel_mm: float) -> Contribution:
    """Of a highest and a lowest place, each where the model does worst, in quadrature. Type B."""
    both = WORST_OUTER_PLACE * math.sqrt(2) * OUTER_MODEL_VOXEL * voxel_mm
    return Contribution("model of the blurred wall", both, type="B")


def model_in_dent(voxel_mm: float) -> Contribution:
    """Of the deepest place, where the model does worst. Type B."""
    return Contribution("model of the blurred wall", worst_outer_place(voxel_mm), type="B")


def worst_outer_place(voxel_mm: float) -> float:
    """What the model leaves, in mm, at the worst of the outer surface's places."""
    return WORST_OUTER_PLACE * OUTER_MODEL_VOXEL * voxel_mm


def slope_of_the_walls_grey(shift_mm: float) -> Contribution:
    """Change of the measurement if the wall had one grey, over sqrt(3). Type B.

    The wall's grey may slope with beam hardening, not necessarily along a straight line: the truth lies
    within the whole effect of that line, as this scan itself shows it.
    """
    return Contribution("slope of the wall's grey", abs(shift_mm) / math.sqrt(3), type="B")


def unequal_blur(shift_mm: float) -> Contribution:
    """Change of the measurement with the blur of the less sharp face, in full. Type B.

    Something lies against that face, or signals were blurred before the logarithm.
    """
    return Contribution("unequal blur of the faces", abs(shift_mm), type="B")


# --- the axis, the straight part, the fits -----------------------------------------------------------------


def tilt_in_diameter(diameter_mm: float, tilt_sigma_deg: float) -> Contribution:
    """A section oblique by s is longer one way by 1 / cos s - 1: ``d s^2 / 4`` in the mean. Type B."""
    return Contribution("tilt of the axis", diameter_mm * _radians(tilt_sigma_deg) ** 2 / 4, type="B")


def tilt_in_ovality(radius_mm: float, tilt_sigma_deg: float) -> Contribution:
    """The same between the long and the short axis: ``r s^2``. Type B."""
    return Contribution("tilt of the axis", radius_mm * _radians(tilt_sigma_deg) ** 2, type="B")


def tilt_in_roundness(radius_mm: float, tilt_sigma_deg: float) -> Contribution:
    """The same from peak to valley: ``r s^2 / 2``. Type B."""
    return Contribution("tilt of the axis", 0.5 * (radius_mm * _radians(tilt_sigma_deg) ** 2), type="B")


def _radians(tilt_sigma_deg: float) -> float:
    """A cell taken as upright is off by no more than cells stand in a holder."""
    return math.radians(min(tilt_sigma_deg, TILT_KNOWN_DEG))


def limits_of_the_straight_part(each_mm: Floats) -> Contribution:
    """Change of a mean when the first or last height is left out, over sqrt(3). Type B.

    The straight part's limits are known to a slice or so.

    Parameters
    ----------
    each_mm : (nz,)
        Diameters, by height.
    """
    mean = float(each_mm.mean())
    change = max(abs(float(each_mm[1:].mean()) - mean), abs(float(each_mm[:-1].mean()) - mean))
    return Contribution("limits of the straight part", change / math.sqrt(3), type="B")


def pooling_window_of_wall(change_mm: float) -> Contribution:
    """What pooling once more would take off that place: the value is not corrected for it. Type B."""
    return Contribution("pooling window", abs(change_mm), type="B")


def pooling_window_of_form(flattened_mm: float) -> Contribution:
    """Half of what pooling takes off: the value was raised by all of it. Type B."""
    return Contribution("pooling window", 0.5 * flattened_mm, type="B")


def robust_fit_of_the_ellipse(change_mm: float) -> Contribution:
    """Change of the ovality when points count as dented from two instead of three scales on. Type B."""
    return Contribution("robust fit of the ellipse", change_mm, type="B")


def the_sound_cans_ellipse(form_mm: float) -> Contribution:
    """:data:`ELLIPSE_SHARE` of the robust deviation of that height's sound part from its ellipse. Type B."""
    return Contribution("the sound can's ellipse", ELLIPSE_SHARE * form_mm, type="B")


def ovality_in_eccentricity(ovality_mm: float, sigma_mm: float, radius_mm: float) -> Contribution:
    """Half-width of what the ovality's standard interval maps to; voxel scale cancels in it. Type B.

    Near a circle the eccentricity is the root of the ovality, so that no sensitivity says how it changes.
    """
    low = eccentricity(max(ovality_mm - sigma_mm, 0.0), radius_mm)
    half = 0.5 * (eccentricity(ovality_mm + sigma_mm, radius_mm) - low)
    return Contribution("ovality", half, type="B")


# --- tilt --------------------------------------------------------------------------------------------------


def centres_of_the_slices(residual_mm: Floats, z_mm: Floats) -> Contribution:
    """Scatter of centres about a line as an angle: ``s / (sd(z) sqrt(n))``, in degrees. Type A.

    Pooling, and what is alike in neighbouring slices, makes neighbours' centres one: n are as many as an
    autoregressive process of their correlation leaves, two of which the line takes as degrees of freedom.

    Parameters
    ----------
    residual_mm : (nz, 2)
    z_mm : (nz,)
    """
    scatter = math.sqrt(float((residual_mm**2).mean()))
    rho = float((residual_mm[1:] * residual_mm[:-1]).sum() / max(float((residual_mm**2).sum()), 1e-30))
    rho = min(max(rho, 0.0), MOST_CORRELATED)
    independent = max(z_mm.size * (1 - rho) / (1 + rho), LEAST_INDEPENDENT)
    angle = math.degrees(scatter / (float(z_mm.std()) * math.sqrt(independent)))
    return Contribution("centres of the slices", angle, degrees_of_freedom=max(independent - 2, 1.0))


def pattern_of_voxels(voxel_mm: float, height_mm: float) -> Contribution:
    """:data:`CENTRE_MODEL_VOXEL` over the height in view, in degrees. Type B."""
    return Contribution(
        "pattern of voxels", math.degrees(CENTRE_MODEL_VOXEL * voxel_mm / height_mm), type="B"
    )


def independent_windows(n: int, sd_samples: tuple[float, float]) -> float:
    """Pooling windows among n samples of a map, by the window's standard deviation along both axes."""
    sd_z, sd_theta = sd_samples
    return max(n / (max(1.0, WINDOW * sd_z) * max(1.0, WINDOW * sd_theta)), LEAST_WINDOWS)


def where_the_openings_rim_lies(area_mm2: float, voxel_mm: float) -> Contribution:
    """Area of an opening: its rim may lie a voxel further in or out, all the way round. mm2. Type B.

    a = 2 sqrt(pi A) h, the circumference of a circle of that area times the voxel h, as a half-width. The rim
    is taken where the wall's grey has fallen half way to what lies behind, which blur moves by less.
    """
    rim = 2.0 * math.sqrt(math.pi * area_mm2) * voxel_mm
    return Contribution("where the opening's rim lies", rim / math.sqrt(3), type="B")


def openings_too_small_to_see(smallest_mm2: float) -> Contribution:
    """Area where no opening was seen: one below the smallest that can be told may be there. mm2. Type B."""
    return Contribution("openings too small to see", smallest_mm2 / math.sqrt(3), type="B")


def smallest_groove_told_apart(depth_mm: float) -> Contribution:
    """Of a groove of 0: one just below what would have shown, over sqrt(3). Type B."""
    return Contribution("smallest groove told apart", depth_mm / math.sqrt(3), type="B")


def noise_of_the_straight_radii(noise_mm: float) -> Contribution:
    """Of one height's radius, from second differences along the height. Type A."""
    return Contribution("noise of the straight part's radii", noise_mm)


def groove_or_bulge(outward_mm: float) -> Contribution:
    """Half of how far the can goes out beyond its usual radius, over sqrt(3). Type B.

    If that is a bulge, the groove is as deep as it lies under the usual radius; if all else lies in a groove,
    it is deeper by the bulge. Half-way between them is stated.
    """
    return Contribution("groove or bulge", outward_mm / 2 / math.sqrt(3), type="B")


def half_height_along_the_can(voxels_mm: float) -> Contribution:
    """How far half height moves with what lies behind the wall, as a standard uncertainty. Type B."""
    return Contribution("half height along the can", voxels_mm, type="B")


def blur_over_a_narrow_groove(flattened_mm: float) -> Contribution:
    """Half of what blurring along the height once more takes off; the value was raised by it. Type B."""
    return Contribution("blur over a narrow groove", 0.5 * flattened_mm, type="B")


def rim_of_an_unexplained_place(area_mm2: float, voxel_mm: float) -> Contribution:
    """Area of a place of the can: its rim may lie a voxel off all the way round, mm2. Type B.

    a = 2 sqrt(pi A) h with the voxel h; at least the nine voxels below which nothing is told from noise.
    """
    rim = max(2.0 * math.sqrt(math.pi * area_mm2) * voxel_mm, 9.0 * voxel_mm**2)
    return Contribution("rim of the unexplained place", rim / math.sqrt(3), type="B")
