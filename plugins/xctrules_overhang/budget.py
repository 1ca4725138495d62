"""Where the uncertainty of an overhang comes from: one function for each line of a budget.

Each returns the line in the measurement's unit: mm for lengths and heights, degrees for deflections. Type A
is from the scatter of this scan's own values, type B from bounds, models and phantoms (JCGM 100, 4.2, 4.3). A
bound of half-width a within which nothing is likelier than anything else counts as a / sqrt(3) (4.3.7 there).
The voxel scale's line is the scan's own (:meth:`xctrules.core.measurement.Scale.contribution`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xctrules.core.measurement import Contribution
from xctrules.cylinder.axis import TILT_KNOWN_DEG

Floats = NDArray[np.float64]

MODEL_STEPS = 0.1
"""Standard uncertainty of a single length beyond its noise, in steps between slices: how a tip's and an
edge's form, and where they fall between two slices, move the place of half height. Type B, from noise-free
phantoms."""

INTERPOLATION_STEPS = 0.03
"""What linear interpolation between slices does to the place of half height, in steps between slices. Type B,
from noise-free phantoms."""

LEVEL_SHARE = 0.5
"""Half height lies between two levels that are known to some 5 % of the step, since what lies beside an edge
differs: half of the 10 % by which the criterion was moved to see what that does."""

NOISE_KNOWN_TO = 0.1
"""Relative uncertainty of the noise that is taken off a standard deviation: neighbours share some of it."""

STUB_VOXELS = 1.0
"""A foil that stands less than this many in-plane voxels above the cathode does not come up to half the level
of a free one through a scanner's blur: its tip is as uncertain as one between two cathodes."""

PATH_VOXELS = 0.35
"""Standard uncertainty of a foil's sideways position at one height, in in-plane voxels, common to a whole
free foil: a bright neighbour pulls the ridge that far where foils nearly touch. Type B, from phantoms."""

PULLED_SHARE = 0.25
"""How much of one foil's pull is left in the mean and the spread of all: foils that nearly touch are few, and
are pulled either way. Type B, from phantoms."""

SIGN_SIGMAS = 2.0
"""Within this many standard uncertainties of zero, noise may have put an overhang on either side of it."""

BESIDE = 3
"""Half-planes to either side of a short overhang within which a place that is not clear may be short too."""


# --- lengths and heights ---------------------------------------------------------------------------------


def edge_noise_of_mean(sigma_mm: float, n: int) -> Contribution:
    """Noise of single lengths in the mean of n: ``sigma / sqrt(n)``, n - 1 degrees of freedom. Type A.

    Half-planes that were pooled share noise, which makes it up to 1.6 times as large; it is by far the
    smallest line of its budget.
    """
    return Contribution("edge noise", sigma_mm / math.sqrt(n), degrees_of_freedom=max(n - 1, 1))


def edge_noise_of_spread(sigma_mm: float, n: int) -> Contribution:
    """Noise in a standard deviation from which it was taken off. Type A.

    ``sigma / sqrt(2 (n - 1))`` as for any standard deviation, and what is left where the noise itself is
    wrong, see :data:`NOISE_KNOWN_TO`.
    """
    return Contribution("edge noise", _noise_of_spread(sigma_mm, n))


def edge_noise_of_extreme(spread_mm: float, sigma_mm: float) -> Contribution:
    """Noise in the smallest or largest length. Type A.

    The spread of simulated extremes and half of one length's noise, in quadrature: what one place has of
    noise that no neighbour shows.
    """
    return Contribution("edge noise", math.hypot(spread_mm, sigma_mm / 2))


def edge_noise_of_range(spread_mm: float, sigma_mm: float) -> Contribution:
    """Noise in a largest less a smallest height: that of the two extremes, or half of one height's. Type A.

    Parameters
    ----------
    spread_mm
        See :func:`spread_of_range`.
    """
    return Contribution("edge noise", max(spread_mm, sigma_mm / 2))


def spread_of_range(spreads_mm: tuple[float, float], biases_mm: tuple[float, float]) -> float:
    """Standard uncertainty, mm, of a range from its two simulated extremes.

    Their spreads, and the biases that were taken off as one rectangular distribution, in quadrature.
    """
    return math.hypot(*spreads_mm, (abs(biases_mm[0]) + abs(biases_mm[1])) / math.sqrt(3))


def ends_of_a_stretch(length_mm: float) -> Contribution:
    """Length of an unexplained stretch: either end may lie off by half of what is told apart. Type B."""
    return Contribution("ends of the stretch", length_mm / math.sqrt(6), type="B")


def bias_of_the_extreme(bias: float) -> Contribution:
    """The bias that was taken off an extreme (mm or degrees), over sqrt(3). Type B.

    How much of it was noise rests on the stand-in for the true values: nothing of it, or all of it twice.
    """
    return Contribution("bias of the extreme", abs(bias) / math.sqrt(3), type="B")


def choice_of_angles(values: Sequence[Floats]) -> Contribution:
    """What looking at some angles only does to a mean: half the difference of odd and even ones. Type A.

    Parameters
    ----------
    values
        Of each end, (nturns, nt) in the measurement's unit.
    """
    parts = [np.concatenate([v[:, first::2].ravel() for v in values]) for first in (0, 1)]
    means = [float(np.nanmean(part)) for part in parts if np.isfinite(part).any()]
    return Contribution("choice of angles", abs(means[0] - means[1]) / 2 if len(means) == 2 else 0.0)


def edge_criterion(shift_mm: float) -> Contribution:
    """What the level that stands for an edge leaves open, alike in all lengths. Type B.

    Half height is where a blurred edge is, but its two levels are not known exactly: rectangular, from the
    mean change of a length when the criterion moves from 50 % to 60 % of the step (:data:`LEVEL_SHARE`).
    """
    return Contribution("edge criterion", LEVEL_SHARE * shift_mm / math.sqrt(3), type="B")


def interpolation_between_slices(step_mm: float) -> Contribution:
    """:data:`INTERPOLATION_STEPS` of the step between slices. Type B."""
    return Contribution("interpolation between slices", INTERPOLATION_STEPS * step_mm, type="B")


def form_of_the_edges(step_mm: float) -> Contribution:
    """:data:`MODEL_STEPS` of the step between slices, for the two edges that a range lies between. Type B.

    In a single length it is part of the noise; here it changes slowly along the turn and shows no scatter.
    """
    return Contribution("form of the edges", MODEL_STEPS * step_mm, type="B")


def tip_near_the_cathode(inside_sigma_mm: float) -> Contribution:
    """Of a tip no higher than :data:`STUB_VOXELS`, as the segmenter states it. Type B.

    Between two bright slabs the level that a tip falls to is not that of the void.
    """
    return Contribution("tip near the cathode's edge", inside_sigma_mm, type="B")


# --- what a trained network adds -------------------------------------------------------------------------


def network(sigma: float) -> tuple[Contribution, ...]:
    """A network's own error where all edges move alike with it, in full and shared by the scan. Type B.

    From the model's card: root mean square error of the mean overhang of drawn cells. No line where no
    network took part (``sigma`` 0).
    """
    return _network(sigma, shared=True)


def network_in_range(sigma_mm: float) -> tuple[Contribution, ...]:
    """The same between a highest and a lowest edge, in full, since they lie in different pixels. Type B."""
    return _network(sigma_mm)


def network_in_spread(std_mm: float, sigma_mm: float) -> tuple[Contribution, ...]:
    """What an error that changes slowly from place to place adds to a standard deviation. Type B.

    ``sqrt(s^2 + sigma^2) - s``.
    """
    return _network(math.hypot(std_mm, sigma_mm) - std_mm)


def network_in_share(lengths_mm: Floats, sigma_mm: float) -> tuple[Contribution, ...]:
    """Half the share of places within the error of zero, shared by the scan. Type B.

    With the opposite sign of the lengths': lengths that are all too long hide short ones.

    Parameters
    ----------
    lengths_mm : (n,)
        All finite.
    """
    below, above = np.count_nonzero(lengths_mm < -sigma_mm), np.count_nonzero(lengths_mm < sigma_mm)
    return _network((below - above) / (2 * lengths_mm.size), shared=True)


def _network(contribution: float, shared: bool = False) -> tuple[Contribution, ...]:
    """The line of the network's own error; none where it is 0. Type B."""
    if not contribution:
        return ()
    return (Contribution("systematic error of the network", contribution, type="B", shared=shared),)


# --- the share of short places ---------------------------------------------------------------------------


def edge_noise_of_share(doubtful: float, n: int) -> Contribution:
    """Places that may be counted wrongly, see :func:`doubtful_places`, over all n. Type B."""
    return Contribution("edge noise", doubtful / n, type="B")


def doubtful_places(length_mm: Floats, sigma_mm: Floats, unclear: NDArray[np.bool_]) -> float:
    """Standard uncertainty of the number of overhangs below zero at one end, in places.

    Half of those that noise may have put on either side of zero; half a place for each rim of a short stretch
    (half-planes are pooled across it), and for each place in or beside one that is not clear.

    Parameters
    ----------
    length_mm, sigma_mm, unclear : (nturns, nt)
        Lengths, NaN where not measured; their standard uncertainties; where an edge was not clear.
    """
    near = np.abs(length_mm) < SIGN_SIGMAS * sigma_mm
    short = length_mm < 0
    rims = short != np.roll(short, 1, axis=-1)
    beside = np.any([np.roll(short, shift, axis=-1) for shift in range(-BESIDE, BESIDE + 1)], axis=0)
    return 0.5 * sum(np.count_nonzero(doubt) for doubt in (near, rims, beside & unclear))


# --- deflections -----------------------------------------------------------------------------------------


def ridge_noise_of_mean(sigma_deg: float, n: int) -> Contribution:
    """Noise of single deflections in the mean of n, ``sigma / sqrt(n)``, n - 1 degrees of freedom. Type A."""
    return Contribution("ridge noise", sigma_deg / math.sqrt(n), degrees_of_freedom=n - 1)


def ridge_noise_of_spread(sigma_deg: float, n: int) -> Contribution:
    """As :func:`edge_noise_of_spread`, of deflections. Type A."""
    return Contribution("ridge noise", _noise_of_spread(sigma_deg, n))


def ridge_noise_of_extreme(spread_deg: float, sigma_deg: float) -> Contribution:
    """The spread of simulated extremes, or half of one deflection's noise where that is more. Type A."""
    return Contribution("ridge noise", max(spread_deg, sigma_deg / 2))


def neighbouring_layers(pull_deg: float) -> Contribution:
    """A foil that nearly touches another seems to lean towards it, see :func:`pull`. Type B."""
    return Contribution("neighbouring layers", pull_deg, type="B")


def neighbouring_layers_over_all(pull_deg: float) -> Contribution:
    """The same in a mean or a spread over all foils: :data:`PULLED_SHARE` of it. Type B."""
    return Contribution("neighbouring layers", PULLED_SHARE * pull_deg, type="B")


def pull(voxel_mm: float, free_mm: float) -> float:
    """Degrees by which a foil whose free length is ``free_mm`` leans when one end of it is pulled aside by
    :data:`PATH_VOXELS`."""
    return math.degrees(PATH_VOXELS * voxel_mm / free_mm)


def direction_of_the_axis(tilt_sigma_deg: float) -> Contribution:
    """The tilt's uncertainty in one plane through the axis, ``sigma / sqrt(2)``. Type B.

    It is alike at all angles but for its sign, so that it cancels in a mean. A cell taken as upright is off
    by :data:`~xctrules.cylinder.axis.TILT_KNOWN_DEG`.
    """
    return Contribution("direction of the axis", min(tilt_sigma_deg, TILT_KNOWN_DEG) / math.sqrt(2), type="B")


def _noise_of_spread(sigma: float, n: int) -> float:
    return sigma / math.sqrt(2 * max(n - 1, 1)) + NOISE_KNOWN_TO * sigma
