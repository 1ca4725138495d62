"""The straight part of the can as maps over height and angle: freed of spikes, pooled, with their noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xctrules.core.robust import noise_along, robust_sd
from xctrules.cylinder.ellipses import Ellipses
from xctrules.cylinder.surfaces import CanSurface, CylinderCell
from xctrules_canister.form import Floats, Pooling, filled, sound_ellipses

TABLE = "canister_surface"
"""Name of the table of single values."""

WHOLE = 0.9
"""Share of the angles that must be known for a height to count as seen all round."""

PARTLY_SEEN = 0.5
"""The same where no height is."""

APART_VOXELS = 3.0
"""In-plane voxels between two edges along the angle whose noise is independent."""

SHARED_VOXELS = 2.0
"""In-plane voxels along the angle over which noise is one and the same."""

SPIKE_SIGMAS = 5.0
"""A single place further than this, in standard deviations of an edge, from all around it is no surface."""

COMPANIONS, ACCOMPANIED = 2, 0.5
"""Neighbours of eight that go along with a place, by so large a share of its own way: then it is no spike but
a narrow dent or bump. The image's blur alone gives a true one so many companions at three voxels of width."""

LEAST_SCALE_VOXEL = 0.01
"""Least scale of a point's distance from an ellipse, in voxels: what the model of the wall leaves."""

LEAST_HEIGHTS, LEAST_PAIRS = 5, 101
"""Heights, and pairs of neighbours, that a correlation along the height is taken from."""

PAIR_SIGMAS = 4.0
"""What lies further out, in robust standard deviations, is no noise and stays out of the correlation."""

STEEP = 0.96
"""Cosine of 16 degrees: neighbouring edges would have to lie 0.3 of their distance apart by noise."""

MOST_CORRELATED = 0.9
"""Correlation of neighbouring heights that is believed at most: what is left of form adds to it."""


@dataclass(frozen=True)
class Maps:
    """The straight part of the can, pooled, (nz, nt).

    Attributes
    ----------
    outer, wall
        Outer radius, and thickness normal to the wall.
    unpooled
        The outer radius before pooling, single spikes left out.
    noise : (ndraws, nz, nt)
        Pooled noise of unit standard deviation before pooling.
    edge_sigma
        Noise of one outer edge by itself.
    blur_mm
        Standard deviation of the image's blur.
    outer_sigma, wall_sigma
        Noise of one edge and of one thickness before pooling, enlarged for what neighbours share.
    ellipses, deviation
        The sound can's ellipse of each height, and the outer surface's distance from it.
    scale_floor
        Least scale of the ellipses' fit, mm.
    whole : (nz,)
        Heights seen all round.
    """

    z_mm: Floats
    theta_deg: Floats
    outer: Floats
    unpooled: Floats
    wall: Floats
    pooling: Pooling
    noise: Floats
    edge_sigma: float
    blur_mm: float
    outer_sigma: float
    wall_sigma: float
    ellipses: Ellipses
    deviation: Floats
    scale_floor: float
    whole: NDArray[np.bool_]
    voxel_mm: float

    @cached_property
    def noise_sd(self) -> float:
        """Standard deviation that pooling leaves of noise of unit standard deviation."""
        return float(self.noise[:, np.isfinite(self.outer)].std())

    @property
    def mean_wall(self) -> float:
        """Mean thickness, mm; NaN where the inner surface was found nowhere."""
        return float(np.nanmean(self.wall)) if np.isfinite(self.wall).any() else math.nan

    @cached_property
    def wall_again(self) -> Floats:
        """The wall pooled once more: what pooling took off a place it takes again."""
        return self.pooling.pool(self.wall)

    def pattern_sigma(self, most: float) -> float:
        """The outer edge's noise if what is left of the usual place's deviation were noise, up to ``most``.

        What rings, streaks and the grid of voxels do to an edge is the same at neighbouring heights and
        angles, so that second differences do not show it; nor can it be told from the can's own roughness.
        """
        return max(self.outer_sigma, min(robust_sd(self.deviation), most) / self.noise_sd)

    def place(self, row: int, column: int) -> dict[str, float]:
        """Where a value of the maps lies."""
        return {"z_mm": float(self.z_mm[row]), "theta_deg": float(self.theta_deg[column])}

    @classmethod
    def of(cls, surface: CanSurface, cell: CylinderCell) -> Maps:
        """Pool the straight part of a located surface."""
        voxel = max(cell.frame.voxel_mm[1:])
        z, theta = surface.z_mm[surface.straight], surface.theta_deg
        located, inner = surface.outer_mm[surface.straight], surface.inner_mm[surface.straight]
        arc = math.radians(360.0 / theta.size) * float(np.nanmedian(located))
        height = float(np.median(np.diff(z))) if z.size > 1 else cell.frame.voxel_mm[0]
        pooling = Pooling.of((z.size, theta.size), (height, arc))
        outer = _without_spikes(located, pooling, surface.edge_sigma_mm, voxel)
        whole = seen_all_round(outer)
        # At the end of the image a tilted can is seen half-way round: pooling must not make up the rest.
        seen = np.isfinite(outer) | whole[:, None]
        pooled = np.where(seen, pooling.pool(outer), np.nan)
        thickness = (outer - inner) * np.fmin(
            _radial_to_normal(filled(pooled), z, theta), _at_steep_places(filled(outer), z, theta)
        )
        thickness = _without_spikes(thickness, pooling, surface.inner_sigma_mm, voxel)
        apart = max(1, math.ceil(APART_VOXELS * voxel / arc))
        shared = _neighbour_factor(outer, apart, SHARED_VOXELS * voxel / arc)
        outer_sigma = surface.edge_sigma_mm * shared
        wall_sigma = noise_along(thickness, step=apart, wrap=True) * shared
        noise = pooling.noise(np.isfinite(outer))
        floor = max(outer_sigma * float(noise[:, np.isfinite(pooled)].std()), LEAST_SCALE_VOXEL * voxel)
        ellipses, deviation = sound_ellipses(pooled, theta, floor, whole)
        return cls(
            z_mm=z,
            theta_deg=theta,
            outer=pooled,
            unpooled=np.where(seen, outer, np.nan),
            wall=np.where(seen, pooling.within_reach(pooling.pool(thickness), thickness), np.nan),
            pooling=pooling,
            noise=noise,
            edge_sigma=surface.edge_sigma_mm,
            blur_mm=surface.blur_mm,
            outer_sigma=outer_sigma,
            wall_sigma=wall_sigma if math.isfinite(wall_sigma) else outer_sigma,
            ellipses=ellipses,
            deviation=deviation,
            scale_floor=floor,
            whole=whole,
            voxel_mm=voxel,
        )


def seen_all_round(radius: Floats) -> NDArray[np.bool_]:
    """Heights (nz,) of a map (nz, nt) known nearly all round; where there is none, those known half-way."""
    return np.asarray(np.isfinite(radius).mean(axis=1) >= least_share(radius))


def least_share(radius: Floats) -> float:
    """Share of its angles for which a height of (nz, nt) must be known to count."""
    return WHOLE if (np.isfinite(radius).mean(axis=1) >= WHOLE).any() else PARTLY_SEEN


def _without_spikes(values: Floats, pooling: Pooling, sigma: float, voxel: float) -> Floats:
    """Leave out single places far from all around them: no scan shows anything that small."""
    away = np.nan_to_num(values - pooling.pool(values))
    far = np.abs(away) > max(voxel, SPIKE_SIGMAS * sigma)
    for row, column in np.argwhere(far):
        rows = slice(max(row - 1, 0), row + 2)
        columns = np.arange(column - 1, column + 2) % values.shape[1]
        along = away[rows][:, columns] / away[row, column] > ACCOMPANIED
        far[row, column] = along.sum() <= COMPANIONS  # itself is one of them
    return np.where(far, np.nan, values)


def _radial_to_normal(outer: Floats, z: Floats, theta_deg: Floats) -> Floats:
    """Cosine of the angle between the radial direction and the surface's normal."""
    turn = np.deg2rad(360.0 / theta_deg.size)
    around = (np.roll(outer, -1, 1) - np.roll(outer, 1, 1)) / (2 * turn) / outer
    along = np.gradient(outer, z, axis=0) if z.size > 2 else np.zeros_like(outer)
    return np.asarray(1.0 / np.sqrt(1.0 + around**2 + along**2))


def _at_steep_places(outer: Floats, z: Floats, theta_deg: Floats) -> Floats:
    """The same by single edges where these show a slope that no noise makes, as in narrow dents; else 1."""
    cosine = _radial_to_normal(outer, z, theta_deg)
    return np.where(cosine < STEEP, cosine, 1.0)


def _neighbour_factor(outer: Floats, apart: int, shared: float) -> float:
    """Factor on the noise of one edge that makes up for neighbours not being independent.

    Along the angle ``shared`` samples have one noise. Along the height the correlation of neighbouring slices
    is taken from the map, freed of form by second differences along the angle, ``apart`` samples wide.
    """
    rho = _correlation_along_height(outer, apart)
    return math.sqrt(max(1.0, shared) * ((1 + rho) / (1 - rho)))


def _correlation_along_height(outer: Floats, apart: int) -> float:
    """Correlation of the noise of neighbouring heights; 0 where there are too few to tell."""
    if outer.shape[0] < LEAST_HEIGHTS:
        return 0.0
    free = np.roll(outer, apart, 1) - 2 * outer + np.roll(outer, -apart, 1)
    a, b = free[:-1], free[1:]
    limit = PAIR_SIGMAS * robust_sd(free)
    both = np.isfinite(a) & np.isfinite(b) & (np.abs(a) < limit) & (np.abs(b) < limit)
    if both.sum() < LEAST_PAIRS:
        return 0.0
    return float(np.clip(np.corrcoef(a[both], b[both])[0, 1], 0.0, MOST_CORRELATED))
