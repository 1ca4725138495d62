"""How the roll sits in the can: how far off its centre, and with which gap."""

from __future__ import annotations

import numpy as np

from xctrules.core.measurement import Measurement
from xctrules.cylinder.surfaces import CanSurface, CylinderCell, Floats, FoilTrace
from xctrules_winding import budget
from xctrules_winding.errors import lines_of_largest
from xctrules_winding.noise import Corrected, largest_of_stepped, split, steadied, steady_columns
from xctrules_winding.paths import Fits, outermost

CONCENTRICITY = "winding.concentricity"
GAPS = ("winding.can_gap.min", "winding.can_gap.mean")


def seat(cell: CylinderCell, foil: FoilTrace, fits: Fits) -> list[Measurement]:
    """``winding.concentricity`` and ``winding.can_gap.*``."""
    can = cell.surfaces.can
    if cell.frame.outer_radius_mm is None or can is None:
        reason = cell.surfaces.missing.get("can", "no can is in the scan")
        return [Measurement.absent(name, "mm", reason) for name in (CONCENTRICITY, *GAPS)]
    return [_concentricity(cell, foil, fits), *_gaps(cell, foil, fits, can)]


def _concentricity(cell: CylinderCell, foil: FoilTrace, fits: Fits) -> Measurement:
    """Straight turns and one spiral are two fair models of a real roll: the mean of their centres."""
    centre = 0.5 * (fits.centre_mm + fits.spiral_centre_mm)
    mean = centre.mean(axis=0)
    offset = float(np.hypot(*mean))
    lines = (
        cell.scale.contribution(offset),
        budget.slice_to_slice(centre @ (mean / max(offset, 1e-12))),
        budget.centre_of_what_is_not_round(_apart(fits.centre_mm, fits.spiral_centre_mm)),
        budget.centre_drawn_by_a_disturbance(_apart(fits.plain_centre_mm, fits.spiral_centre_mm)),
        budget.position_over_the_roll(max(cell.frame.voxel_mm[1:])),
        budget.axis_of_the_can(cell.frame.axis_residual_mm),
    )
    where = {"theta_deg": float(np.rad2deg(np.arctan2(mean[1], mean[0])) % 360.0)}
    return Measurement(CONCENTRICITY, "mm", value=offset, n=int(foil.z_mm.size), worst_at=where, budget=lines)


def _apart(one: Floats, other: Floats) -> float:
    """Distance between two centres (nz, 2), each the mean over the heights."""
    return float(np.hypot(*(one - other).mean(axis=0)))


def _gaps(cell: CylinderCell, foil: FoilTrace, fits: Fits, can: CanSurface) -> list[Measurement]:
    gap = can_gap(foil, can)
    if not np.isfinite(gap).any():
        reason = "the can's inner surface was not located"
        return [Measurement.absent(name, "mm", reason) for name in GAPS]
    return [_smallest_gap(cell, foil, fits, can, gap), _mean_gap(cell, steadied(gap, foil))]


def _smallest_gap(
    cell: CylinderCell, foil: FoilTrace, fits: Fits, can: CanSurface, gap: Floats
) -> Measurement:
    """The gap jumps where the outer turn begins: its noise is that of the last full turn."""
    last = int(np.flatnonzero(fits.full)[-1])
    noise = split(fits.error_mm[:, last : last + 1], foil)[1]
    found, place = largest_of_stepped(-gap[:, None, :], noise, foil)
    found = Corrected(-found.value, found.noise)
    calm = steadied(gap, foil)
    lines = (
        *lines_of_largest(cell, foil, found, np.nanmin(calm, axis=1)),
        budget.noise_of_the_cans_edge(can.inner_sigma_mm, steady_columns(foil)),
        budget.edge_between_wall_and_roll(max(cell.frame.voxel_mm[1:])),
    )
    where = {axis: value for axis, value in place.items() if axis != "turn"}
    return Measurement(
        GAPS[0], "mm", value=found.value, n=int(np.isfinite(calm).sum()), worst_at=where, budget=lines
    )


def _mean_gap(cell: CylinderCell, gap: Floats) -> Measurement:
    mean = float(np.nanmean(gap))
    lines = (
        cell.scale.contribution(mean),
        budget.slice_to_slice(np.nanmean(gap, axis=1)),
        budget.edge_between_wall_and_roll(max(cell.frame.voxel_mm[1:])),
    )
    return Measurement(GAPS[1], "mm", value=mean, n=int(np.isfinite(gap).sum()), budget=lines)


def can_gap(foil: FoilTrace, can: CanSurface) -> Floats:
    """Gap (nz, nt) between the centre of the outermost turn and the can's inner surface at the nearest
    height."""
    usable = np.flatnonzero(can.straight) if can.straight.any() else np.arange(can.z_mm.size)
    outer = outermost(foil)
    gap = np.full(outer.shape, np.nan)
    for i, z in enumerate(foil.z_mm):
        row = can.inner_mm[usable[int(np.argmin(np.abs(can.z_mm[usable] - z)))]]
        found = np.isfinite(row)
        if found.any():
            inner = np.interp(foil.theta_deg, can.theta_deg[found], row[found], period=360.0)
            gap[i] = inner - outer[i]
    return gap
