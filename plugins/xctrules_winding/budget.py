"""Where the uncertainty of the winding's figures comes from: one function for each line of a budget.

Each returns the line in the measurement's unit. Type A is from the scatter of this scan's own values, type B
from bounds, models and phantoms (JCGM 100, 4.2, 4.3). A bound of half-width a within which nothing is
likelier than anything else counts as a / sqrt(3) (4.3.7 there). The voxel scale's line is the scan's own
(:meth:`xctrules.core.measurement.Scale.contribution`).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from xctrules.core.measurement import Contribution

Floats = NDArray[np.float64]

PATTERN_VOXELS = 0.18
"""Standard uncertainty, in voxels, of the largest departure, from what voxels make of a line thinner than
one: its place seems to swing by up to a quarter of a voxel where the foil runs along their rows (found on
phantoms; alike in all slices, so that more of them do not help)."""

POSITION_VOXELS = 0.02
"""Standard uncertainty, in voxels, of what all places of the fitted line have in common. From drawn rolls."""

FIT_BIAS_VOXELS = 0.05
"""The same between the first and the last turn, whose neighbours differ. From drawn rolls."""

GAP_EDGE_VOXELS = 0.1
"""The same of the can's inner edge where a roll lies close to it. From drawn cans."""

ONE_SIDED_VOXELS = 0.2
"""Half-width, in voxels, of how far the flank of its one cathode draws the fitted line of a foil that has one
on one side only. From drawn rolls."""

TAKEN_UP = 0.08
"""Standard uncertainty of a root-mean-square error, as a share of it: how much of a buckle's flanks the path
of its turn still takes up (found on phantoms)."""


def angle_of_the_ends(step_turns: float) -> Contribution:
    """One column of angle at either end, each rectangular: ``sqrt(2 / 3)`` of a step, in turns. Type B."""
    return Contribution("angle of the foil's ends", step_turns * math.sqrt(2 / 3), type="B")


# --- scatter -----------------------------------------------------------------------------------------------


def standard_error(values: Floats) -> tuple[float, float]:
    """Standard uncertainty of the mean of the finite ``values`` (n,), and its degrees of freedom.

    0 where there are fewer than two: one value shows no scatter.
    """
    good = values[np.isfinite(values)]
    if good.size < 2:
        return 0.0, math.inf
    return float(good.std(ddof=1) / math.sqrt(good.size)), good.size - 1


def slice_to_slice(by_height: Floats) -> Contribution:
    """Scatter of a quantity (nz,) over the heights, over the root of their number. Type A."""
    u, dof = standard_error(by_height)
    return Contribution("slice to slice", u, degrees_of_freedom=dof)


def slice_to_slice_of_largest(by_height: Floats) -> Contribution:
    """The same of a largest value, which lies above the heights' mean by about one deviation. Type A.

    What of the scatter over the heights is noise and what is the roll's is not known.

    Parameters
    ----------
    by_height : (nz,)
        The largest value of each height, finite.
    """
    n = max(1, by_height.size)
    scatter = float(np.std(by_height, ddof=1)) if by_height.size > 1 else 0.0
    return Contribution("slice to slice", scatter / math.sqrt(n), degrees_of_freedom=max(1, n - 1))


def pitch_beside_the_gap(by_sector: Floats) -> Contribution:
    """Standard deviation of the pitch (nsectors,) over the sectors of the roll. Type B.

    Which of them is the pitch of sound layers beside a gap is not known.
    """
    good = by_sector[np.isfinite(by_sector)]
    spread = float(good.std(ddof=1)) if good.size > 1 else 0.0
    return Contribution("pitch of sound layers beside the gap", spread, type="B")


def pitch_of_sectors(by_sector: Floats) -> Contribution:
    """Scatter of the pitch over sectors of the roll: how far one pitch describes it. Type A."""
    u, dof = standard_error(by_sector)
    return Contribution("pitch of sectors round the roll", u, degrees_of_freedom=dof)


# --- noise -------------------------------------------------------------------------------------------------


def noise_in_the_largest(sigma_mm: float) -> Contribution:
    """Spread of simulated extremes, and the bias taken off over sqrt(3), in quadrature. Type B.

    Parameters
    ----------
    sigma_mm
        See :func:`uncertainty_of_a_bias`.
    """
    return Contribution("noise in the largest of many values", sigma_mm, type="B")


def uncertainty_of_a_bias(spread_mm: float, bias_mm: float) -> float:
    """Standard uncertainty, mm, of an extreme freed of its noise.

    The smooth part that noise is laid over still holds some of the noise, and the noise may be some of the
    shape: the bias may be nothing or twice as large, a rectangular distribution.
    """
    return math.hypot(spread_mm, bias_mm / math.sqrt(3))


def how_much_is_noise(sigma_mm: float) -> Contribution:
    """In a root mean square freed of its fast part, see :func:`uncertainty_of_a_root_mean_square`. Type B."""
    return Contribution("how much of the errors is noise", sigma_mm, type="B")


def uncertainty_of_a_root_mean_square(square_mm2: float, noise_mm2: float) -> float:
    """Standard uncertainty, mm, of a root mean square from which the noise's variance was taken off.

    How much of that is noise indeed is known only to lie between nothing and twice as much: rectangular.
    """
    most, least = math.sqrt(square_mm2), math.sqrt(max(square_mm2 - 2 * noise_mm2, 0.0))
    return (most - least) / (2 * math.sqrt(3))


def noise_of_the_cans_edge(sigma_mm: float, angles: int) -> Contribution:
    """Noise of one inner edge over the root of the angles that a median goes over. Type B."""
    return Contribution("noise of the can's inner edge", sigma_mm / math.sqrt(angles), type="B")


# --- where the line lies -----------------------------------------------------------------------------------


def position_of_the_line(sigma_mm: float, angles: int) -> Contribution:
    """Noise of one radius over the root of the number of angles round the turn. Type B."""
    return Contribution("position of the fitted line", sigma_mm / math.sqrt(angles), type="B")


def pattern_of_voxels(voxel_mm: float, foils: int = 1) -> Contribution:
    """:data:`PATTERN_VOXELS` for each of the ``foils`` that a distance lies between. Type B."""
    pattern = PATTERN_VOXELS * voxel_mm * math.sqrt(foils)
    return Contribution("pattern of voxels along a thin foil", pattern, type="B")


def bias_of_the_fit_over_the_turns(voxel_mm: float, turns: int) -> Contribution:
    """:data:`FIT_BIAS_VOXELS` between the first and the last of the full turns. Type B."""
    bias = FIT_BIAS_VOXELS * voxel_mm / max(float(turns), 1.0)
    return Contribution("bias of the foil's fit, over the roll's turns", bias, type="B")


def fit_of_a_foil_without_a_cathode(voxel_mm: float) -> Contribution:
    """:data:`ONE_SIDED_VOXELS` of the first and last turn against their neighbours, rectangular. Type B."""
    drawn = ONE_SIDED_VOXELS * voxel_mm / math.sqrt(3)
    return Contribution("fit of a foil with a cathode on one side only", drawn, type="B")


def bias_of_the_fit_beside_unequal_gaps(voxel_mm: float) -> Contribution:
    """:data:`POSITION_VOXELS`. Type B."""
    return Contribution("bias of the foil's fit beside unequal gaps", POSITION_VOXELS * voxel_mm, type="B")


def position_over_the_roll(voxel_mm: float) -> Contribution:
    """:data:`POSITION_VOXELS`, in the roll's centre. Type B."""
    return Contribution("position of the fitted line, over the roll", POSITION_VOXELS * voxel_mm, type="B")


def edge_between_wall_and_roll(voxel_mm: float) -> Contribution:
    """:data:`GAP_EDGE_VOXELS`. Type B."""
    return Contribution("where the edge lies between wall and roll", GAP_EDGE_VOXELS * voxel_mm, type="B")


# --- the ideal shape ---------------------------------------------------------------------------------------


def taken_up_by_the_path(straight_mm: float, spiral_mm: float) -> Contribution:
    """What a fitted path takes up of a disturbance, in a root-mean-square error. Type B.

    A line through a disturbed turn takes up a part of the disturbance, a spiral another one: their difference
    over sqrt(3), and :data:`TAKEN_UP` of the larger, in quadrature.
    """
    apart, share = (straight_mm - spiral_mm) / math.sqrt(3), TAKEN_UP * max(straight_mm, spiral_mm)
    return Contribution("what the ideal path takes up of a disturbance", math.hypot(apart, share), type="B")


def taken_up_at_the_worst_place(straight_mm: float, spiral_mm: float) -> Contribution:
    """The same in the largest error: the difference over sqrt(3). Type B."""
    apart = abs(straight_mm - spiral_mm) / math.sqrt(3)
    return Contribution("what the ideal path takes up of a disturbance", apart, type="B")


def spiral_extrapolated_to_the_core(sigma_mm: float) -> Contribution:
    """Of a radius at the core, from the covariance of the outer turns' spiral. Type B."""
    return Contribution("spiral extrapolated to the core", sigma_mm, type="B")


def centre_of_what_is_not_round(distance_mm: float) -> Contribution:
    """Half the distance between the centres of straight turns and of one spiral. Type B.

    They are two fair models of a real roll; their mean is stated, their difference is doubt.
    """
    return Contribution("what counts as the centre of a roll that is not round", distance_mm / 2, type="B")


def centre_drawn_by_a_disturbance(distance_mm: float) -> Contribution:
    """Half the distance between a plain and a robust centre, over sqrt(3). Type B.

    Least squares follow a buckle or a tab altogether; up to half of that may be left in a robust fit.
    """
    drawn = distance_mm / (2 * math.sqrt(3))
    return Contribution("what a disturbance draws the centre by", drawn, type="B")


def axis_of_the_can(residual_mm: float) -> Contribution:
    """Root mean square of the slices' centres about the can's axis, in full. Type B."""
    return Contribution("the can's axis", residual_mm, type="B")


def rim_of_an_unexplained_region(area_mm2: float, voxel_mm: float) -> Contribution:
    """Area of a region that no layer explains: its rim may lie a voxel off all the way round, mm2. Type B.

    a = 2 sqrt(pi A) h with the voxel h; at least the nine voxels below which nothing is told from noise.
    """
    rim = max(2.0 * math.sqrt(math.pi * area_mm2) * voxel_mm, 9.0 * voxel_mm**2)
    return Contribution("rim of the unexplained region", rim / math.sqrt(3), type="B")
