"""How far the foil departs from its ideal paths."""

from __future__ import annotations

import numpy as np

from xctrules.core.following import Follows
from xctrules.core.measurement import Contribution, Measurement
from xctrules.cylinder.surfaces import CylinderCell, Floats, FoilTrace
from xctrules_winding import budget
from xctrules_winding.noise import Corrected, largest, largest_size, root_mean_square, steadied
from xctrules_winding.paths import Fits

TABLE = "winding_foil"
"""Name of the table of single values."""


def errors(cell: CylinderCell, foil: FoilTrace, fits: Fits) -> list[Measurement]:
    """``winding.max_abs_error``, ``winding.rms_error`` and ``winding.spiral_rms_error``."""
    straight = root_mean_square(fits.error_mm, foil)
    spiral = root_mean_square(fits.spiral_error_mm, foil)
    taken_up = budget.taken_up_by_the_path(straight.value, spiral.value)
    return [
        _largest_error(cell, foil, fits),
        _error("winding.rms_error", straight, fits.error_mm, taken_up, cell, "error_mm"),
        _error("winding.spiral_rms_error", spiral, fits.spiral_error_mm, taken_up, cell, "spiral_error_mm"),
    ]


def _error(
    name: str, found: Corrected, errors_mm: Floats, taken_up: Contribution, cell: CylinderCell, column: str
) -> Measurement:
    """A root mean square; ``errors_mm`` (nz, nturns, nt) are those that it is taken over, in a column of the
    table."""
    by_height = np.sqrt(np.nanmean(errors_mm.reshape(errors_mm.shape[0], -1) ** 2, axis=1))
    lines = (
        cell.scale.contribution(found.value),
        budget.slice_to_slice(by_height),
        budget.how_much_is_noise(found.noise),
        taken_up,
        budget.bias_of_the_fit_beside_unequal_gaps(max(cell.frame.voxel_mm[1:])),
    )
    n = int(np.isfinite(errors_mm).sum())
    follows = Follows(TABLE, column, "rms", noise=found.taken_out)
    return Measurement(name, "mm", value=found.value, n=n, budget=lines, follows=follows)


def _largest_error(cell: CylinderCell, foil: FoilTrace, fits: Fits) -> Measurement:
    found, place = largest_size(fits.error_mm, foil)
    found = found.at_least_zero
    calm = np.abs(steadied(fits.error_mm, foil))
    calm_spiral = np.abs(steadied(fits.spiral_error_mm[:, fits.full], foil))
    lines = (
        *lines_of_largest(cell, foil, found, largest_by_height(calm)),
        budget.taken_up_at_the_worst_place(float(np.nanmax(calm)), float(np.nanmax(calm_spiral))),
    )
    n = int(np.isfinite(fits.error_mm).sum())
    return Measurement("winding.max_abs_error", "mm", value=found.value, n=n, worst_at=place, budget=lines)


def largest_by_height(values: Floats) -> Floats:
    """Largest of (nz, ...) at each height, (nz,)."""
    return np.asarray(np.nanmax(values.reshape(values.shape[0], -1), axis=1))


def lines_of_largest(
    cell: CylinderCell, foil: FoilTrace, found: Corrected, by_height: Floats, foils: int = 1
) -> tuple[Contribution, ...]:
    """What all extremes of the foil's place have in common; ``by_height`` (nz,) are those of each height, and
    the value is a distance between so many ``foils``."""
    angles = foil.theta_deg.size
    return (
        cell.scale.contribution(found.value),
        budget.noise_in_the_largest(found.noise),
        budget.position_of_the_line(foil.sigma_mm, angles),
        budget.slice_to_slice_of_largest(by_height),
        budget.pattern_of_voxels(max(cell.frame.voxel_mm[1:]), foils),
    )


def core_collapse(cell: CylinderCell, foil: FoilTrace, fits: Fits) -> Measurement:
    """``winding.core_collapse``: deepest inward departure of the inner turns from the outer ones' spiral, at
    least 0."""
    name = "winding.core_collapse"
    inward = np.where(fits.inner[:, None], -fits.departure_mm, np.nan)
    calm = steadied(inward, foil)
    if not np.isfinite(calm).any():
        return Measurement.absent(name, "mm", "no inner turn was located")
    found, place = largest(inward, foil)
    found = found.at_least_zero
    by_height = largest_by_height(calm)
    lines = (
        *lines_of_largest(cell, foil, found, by_height[np.isfinite(by_height)]),
        budget.spiral_extrapolated_to_the_core(fits.departure_sigma_mm),
    )
    n = int(np.isfinite(inward).sum())
    return Measurement(name, "mm", value=found.value, n=n, worst_at=place, budget=lines)
