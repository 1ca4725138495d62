"""Canister metric: diameters, wall thickness, form, dents and tilt, each with its budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xctrules.core.figures import Figure, ImageFigure, LineChart, Polyline, Samples
from xctrules.core.measurement import Contribution, Measurement, MetricResult
from xctrules.core.names import Description
from xctrules.core.robust import noise_along, robust_fit, robust_sd
from xctrules.cylinder.ellipses import Ellipses
from xctrules.cylinder.surfaces import CanSurface, CylinderCell
from xctrules.pages.colour import diverging
from xctrules_canister.form import (
    DRAWS,
    POOL_MM,
    SEED,
    Corrected,
    Floats,
    Pooling,
    about_least_squares_circle,
    filled,
    free_of_noise,
    garrote,
    sound_ellipses,
)

# What remains of bias where slab and blur are no perfect picture of wall and scanner, as standard
# uncertainties in voxels, from drawn cans with walls of 3.5 to 10 voxels, blur of 0.5 to 1.5 voxels, and
# roll, gap or liquid inside (tests/truth/test_canister.py).
OUTER_MODEL_VOXEL = 0.01
"""One outer radius, wall thicker than four blurs."""
WALL_MODEL_VOXEL = 0.01
"""Mean wall thickness at a blur of one voxel; it grows with the cube of the blur, which mixes in the
inside."""
WALL_PLACE_MODEL_VOXEL = 0.05
"""The same at one place, with the square of the blur: what lies inside changes along the wall, and much of
it cancels in the mean."""


PATTERN_VOXEL = 0.02
"""Largest standard deviation over the surface that rings, streaks and the grid of voxels gave it."""
CENTRE_MODEL_VOXEL = 0.003
"""Difference between the centres of the first and the last height that the grid of voxels makes."""

WHOLE = 0.9
"""Share of the angles that must be known for a height to count as seen all round."""

DESCRIPTIONS: Mapping[str, Description] = {
    "canister.outer_diameter": Description(
        "mm", "Outer diameter", "outer diameter of the can", "nominal", "outer_diameter"
    ),
    "canister.inner_diameter": Description(
        "mm", "Inner diameter", "inner diameter of the can", "nominal", "inner_diameter"
    ),
    "canister.wall_thickness.mean": Description(
        "mm", "Mean wall thickness", "mean thickness of the can's wall", "nominal", "wall_thickness"
    ),
    "canister.wall_thickness.min": Description(
        "mm", "Thinnest place of the wall", "smallest thickness of the can's wall", "larger", "wall_thickness"
    ),
    "canister.wall_thickness.max": Description(
        "mm", "Thickest place of the wall", "largest thickness of the can's wall", "smaller", "wall_thickness"
    ),
    "canister.wall_thickness.std": Description(
        "mm", "Spread of the wall thickness", "standard deviation of the thickness of the can's wall",
        "smaller",
    ),
    "canister.eccentricity": Description(
        "1", "Eccentricity", "eccentricity of the can's outline, worst slice", "smaller"
    ),
    "canister.ovality": Description(
        "mm", "Ovality", "long minus short axis of the can's outline, worst slice", "smaller",
        zero_when_good=True,
    ),
    "canister.roundness": Description(
        "mm", "Roundness", "peak-to-valley deviation of the can's outline from a circle, worst slice",
        "smaller", zero_when_good=True,
    ),
    "canister.dent_depth": Description(
        "mm", "Dent depth", "depth of the deepest dent in the can", "smaller", zero_when_good=True
    ),
    "canister.tilt": Description("deg", "Tilt", "angle between the cell's axis and the volume's z axis"),
}  # fmt: skip


@dataclass(frozen=True)
class _Maps:
    """The straight part of the can, pooled, (nz, nt); ``whole`` are the heights seen all round.

    ``noise`` is pooled noise of unit standard deviation before pooling, (ndraws, nz, nt).
    """

    z_mm: Floats
    theta_deg: Floats
    outer: Floats
    wall: Floats
    pooling: Pooling
    noise: Floats
    outer_sigma: float
    wall_sigma: float
    ellipses: Ellipses
    deviation: Floats
    scale_floor: float
    whole: NDArray[np.bool_]

    @property
    def noise_sd(self) -> float:
        """Standard deviation that pooling leaves of noise of unit standard deviation."""
        return float(self.noise[:, np.isfinite(self.outer)].std())

    def pattern_sigma(self, most: float) -> float:
        """The outer edge's noise if what is left of the usual place's deviation were noise, up to ``most``.

        What rings, streaks and the grid of voxels do to an edge is the same at neighbouring heights and
        angles, so that second differences do not show it; nor can it be told from the can's own roughness.
        """
        return max(self.outer_sigma, min(robust_sd(self.deviation), most) / self.noise_sd)


class Canister:
    """Size and form of the can over the whole straight part in view."""

    name = "canister"
    title = "Canister"
    describes: Mapping[str, Description] = DESCRIPTIONS
    declares: Mapping[str, str] = {name: d.unit for name, d in DESCRIPTIONS.items()}
    # A wall of 0.2 mm, the thinnest usual one, is 1.5 standard deviations of such a blur: below that,
    # thickness and grey of the wall cannot be told apart.
    needs: Mapping[str, tuple[float | None, float | None]] = {"screening.resolution": (None, 0.35)}

    def measure(self, cell: CylinderCell) -> MetricResult:
        """All canister measurements.

        Raises
        ------
        NotMeasurable
            When the segmenter found no can.
        """
        surface = cell.surfaces.need_can()
        voxel = max(cell.frame.voxel_mm[1:])
        maps = _pooled_maps(surface, cell)
        model = _model_uncertainty(surface, maps, voxel)
        dent = _dent(maps, cell, voxel)
        measurements = [
            *_diameters(surface, maps, cell, model),
            *_wall(surface, maps, cell, model),
            *_form(maps, cell, voxel),
            dent,
            _tilt(maps, cell, voxel),
        ]
        return MetricResult(
            measurements=measurements,
            figures=_figures(surface, maps, cell, measurements, voxel),
            samples=(_samples(surface, maps),),
            parameters={
                "canister.pool_mm": POOL_MM,
                "canister.noise_draws": DRAWS,
                "canister.seed": SEED,
                "canister.heights": int(maps.z_mm.size),
                "canister.angles": int(maps.theta_deg.size),
                "canister.edge_sigma_mm": surface.edge_sigma_mm,
                "canister.blur_mm": surface.blur_mm,
                "canister.outer_not_found": float(np.isnan(surface.outer_mm[surface.straight]).mean()),
                "canister.inner_not_found": float(np.isnan(surface.inner_mm[surface.straight]).mean()),
            },
        )


# --- the maps ----------------------------------------------------------------------------------------------


def _pooled_maps(surface: CanSurface, cell: CylinderCell) -> _Maps:
    z = surface.z_mm[surface.straight]
    theta = surface.theta_deg
    outer, inner = surface.outer_mm[surface.straight], surface.inner_mm[surface.straight]
    radius = float(np.nanmedian(outer))
    voxel = max(cell.frame.voxel_mm[1:])
    arc = math.radians(360.0 / theta.size) * radius
    height = float(np.median(np.diff(z))) if z.size > 1 else cell.frame.voxel_mm[0]
    pooling = Pooling.of((z.size, theta.size), (height, arc))
    apart = max(1, math.ceil(3 * voxel / arc))
    outer = _without_spikes(outer, pooling, surface.edge_sigma_mm, voxel)
    share = np.isfinite(outer).mean(axis=1)
    whole = share >= (WHOLE if (share >= WHOLE).any() else 0.5)
    # At the end of the image a tilted can is seen half-way round: pooling must not make up the other half.
    seen = np.isfinite(outer) | whole[:, None]
    pooled = np.where(seen, pooling.pool(outer), np.nan)
    thickness = (outer - inner) * _radial_to_normal(filled(pooled), z, theta)
    thickness = _without_spikes(thickness, pooling, surface.inner_sigma_mm, voxel)
    correlation = _neighbour_factor(outer, apart, arc, voxel)
    outer_sigma = surface.edge_sigma_mm * correlation
    wall_sigma = noise_along(thickness, step=apart, wrap=True) * correlation
    noise = pooling.noise(np.isfinite(outer))
    floor = max(outer_sigma * float(noise[:, np.isfinite(pooled)].std()), 0.01 * voxel)
    ellipses, deviation = sound_ellipses(pooled, theta, floor, whole)
    return _Maps(
        z_mm=z,
        theta_deg=theta,
        outer=pooled,
        wall=np.where(seen, pooling.pool(thickness), np.nan),
        pooling=pooling,
        noise=noise,
        outer_sigma=outer_sigma,
        wall_sigma=wall_sigma if math.isfinite(wall_sigma) else outer_sigma,
        ellipses=ellipses,
        deviation=deviation,
        scale_floor=floor,
        whole=whole,
    )


def _without_spikes(values: Floats, pooling: Pooling, sigma: float, voxel: float) -> Floats:
    """Leave out single places far from all around them: no scan shows anything that small."""
    away = np.abs(values - pooling.pool(values))
    with np.errstate(invalid="ignore"):
        return np.where(away > max(voxel, 5 * sigma), np.nan, values)


def _radial_to_normal(outer: Floats, z: Floats, theta_deg: Floats) -> Floats:
    """Cosine of the angle between the radial direction and the surface's normal."""
    turn = np.deg2rad(360.0 / theta_deg.size)
    around = (np.roll(outer, -1, 1) - np.roll(outer, 1, 1)) / (2 * turn) / outer
    along = np.gradient(outer, z, axis=0) if z.size > 2 else np.zeros_like(outer)
    return np.asarray(1.0 / np.sqrt(1.0 + around**2 + along**2))


def _neighbour_factor(outer: Floats, apart: int, arc: float, voxel: float) -> float:
    """Factor on the noise of one edge that makes up for neighbours not being independent.

    Along the angle, noise is one and the same within about two voxels. Along the height the correlation of
    neighbouring slices is taken from the map, freed of form by second differences along the angle.
    """
    along_angle = max(1.0, 2.0 * voxel / arc)
    along_height = 1.0
    if outer.shape[0] > 4:
        free = np.roll(outer, apart, 1) - 2 * outer + np.roll(outer, -apart, 1)
        a, b = free[:-1], free[1:]
        limit = 4 * robust_sd(free)
        both = np.isfinite(a) & np.isfinite(b) & (np.abs(a) < limit) & (np.abs(b) < limit)
        if both.sum() > 100:
            rho = float(np.clip(np.corrcoef(a[both], b[both])[0, 1], 0.0, 0.9))
            along_height = (1 + rho) / (1 - rho)
    return math.sqrt(along_angle * along_height)


@dataclass(frozen=True)
class _Model:
    """Standard uncertainties, in mm, that the model of the wall leaves: outer radius, thickness."""

    outer: float
    wall: float
    wall_at_one_place: float


def _model_uncertainty(surface: CanSurface, maps: _Maps, voxel: float) -> _Model:
    blur = surface.blur_mm
    thickness = float(np.nanmean(maps.wall)) if np.isfinite(maps.wall).any() else 10 * blur
    # Below about three blurs thickness and grey of the wall are hard to tell apart.
    thin = 0.15 * math.exp(-2.0 * (thickness / max(blur, 1e-9) - 2.3)) * voxel
    outer = OUTER_MODEL_VOXEL * voxel + min(thin, 0.3 * voxel)
    mixed_in = blur**2 / voxel
    return _Model(
        outer,
        math.hypot(WALL_MODEL_VOXEL * (blur / voxel) ** 3 * voxel, outer),
        1.6 * (WALL_PLACE_MODEL_VOXEL * mixed_in + outer),
    )


def _grey_lines(surface: CanSurface, of: Callable[[float, float], float]) -> list[Contribution]:
    """What beam hardening and things that touch the wall leave open, as this scan itself shows it.

    ``of`` makes the measurement's change from that of outer and inner radius. The wall's grey may not change
    along a straight line: the truth lies within the whole effect of that line.
    """
    return [
        Contribution("slope of the wall's grey", abs(of(*surface.slope_shift_mm)) / math.sqrt(3), type="B"),
        Contribution("unequal blur of the faces", abs(of(*surface.blur_shift_mm)), type="B"),
    ]


# --- diameters ---------------------------------------------------------------------------------------------


def _diameters(surface: CanSurface, maps: _Maps, cell: CylinderCell, model: _Model) -> list[Measurement]:
    straight = surface.straight
    found = []
    for name, radius, sigma, u_model, side in (
        ("canister.outer_diameter", surface.outer_mm[straight], maps.outer_sigma, model.outer, 0),
        (
            "canister.inner_diameter",
            surface.inner_mm[straight],
            math.hypot(maps.outer_sigma, maps.wall_sigma),
            math.hypot(model.outer, model.wall),
            1,
        ),
    ):
        # Heights seen only part of the way round count only where there are no others.
        share = np.isfinite(radius).mean(axis=1)
        enough = share >= (WHOLE if (share >= WHOLE).any() else 0.5)
        if not enough.any():
            which = ("outer", "inner")[side]
            found.append(
                Measurement.absent(name, "mm", f"the can's {which} surface was not found at any height")
            )
            continue
        # Area by the sector formula; exact for any centre that the curve goes round.
        each = 2 * np.sqrt(np.mean(filled(radius[enough]) ** 2, axis=1))
        value = float(each.mean())
        n = int(np.isfinite(radius[enough]).sum())
        tilt = math.radians(min(cell.frame.tilt_sigma_deg, 1.0))
        budget = [
            cell.scale.contribution(value),
            Contribution("noise of the edge", 2 * sigma / math.sqrt(n), degrees_of_freedom=max(n - 1, 1)),
            Contribution("model of the blurred wall", 2 * u_model, type="B"),
            *_grey_lines(surface, lambda *radii, side=side: 2 * radii[side]),
            Contribution("tilt of the axis", value * tilt**2 / 4, type="B"),
        ]
        if each.size > 4:
            # The limits of the straight part are known to a slice or so.
            change = max(abs(float(each[1:].mean()) - value), abs(float(each[:-1].mean()) - value))
            budget.append(Contribution("limits of the straight part", change / math.sqrt(3), type="B"))
        partial = int((~enough).sum())
        heights = (
            "1 height, not seen all round, is"
            if partial == 1
            else f"{partial} heights, not seen all round, are"
        )
        left_out = f"{heights} left out" if partial else None
        found.append(
            Measurement(
                name, "mm", value=value, budget=tuple(budget), n=n,
                reason=left_out,
            )
        )  # fmt: skip
    return found


# --- wall --------------------------------------------------------------------------------------------------


def _wall(surface: CanSurface, maps: _Maps, cell: CylinderCell, model: _Model) -> list[Measurement]:
    names = [f"canister.wall_thickness.{part}" for part in ("mean", "min", "max", "std")]
    wall = maps.wall
    n = int(np.isfinite(wall).sum())
    if n < 0.25 * wall.size:
        reason = "the wall's inner surface was found at too few places"
        return [Measurement.absent(name, "mm", reason) for name in names]
    mean = float(np.nanmean(wall))
    noise, sigma = maps.noise, maps.wall_sigma
    low = free_of_noise(wall, noise, sigma, lambda a: float(np.nanmin(a)), mean)
    high = free_of_noise(wall, noise, sigma, lambda a: float(np.nanmax(a)), mean)
    seen = float(np.nanstd(wall))
    pooled_sd = sigma * maps.noise_sd
    spread = math.sqrt(max(seen**2 - pooled_sd**2, 0.0))
    independent = max(n / _window_samples(maps), 4.0)
    model_line = Contribution("model of the blurred wall", model.wall, type="B")
    grey_lines = _grey_lines(surface, lambda outer, inner: outer - inner)
    again = maps.pooling.pool(wall)

    def extreme(name: str, found: Corrected, value: float, index: int) -> Measurement:
        row, column = np.unravel_index(index, wall.shape)
        return Measurement(
            name, "mm", value=value, n=n,
            budget=(
                cell.scale.contribution(value),
                Contribution("noise of the extreme", found.sd, degrees_of_freedom=DRAWS - 1),
                Contribution("correction for noise", found.bias / math.sqrt(12), type="B"),
                Contribution("model of the blurred wall", model.wall_at_one_place, type="B"),
                *grey_lines,
                Contribution("pooling window", abs(float(again[row, column] - wall[row, column])), type="B"),
                # Where noise moves an edge by a fair part of a voxel, its errors are no longer symmetric.
                Contribution("noise beyond first order", sigma**2 / max(cell.frame.voxel_mm[1:]), type="B"),
            ),
            worst_at=_place(maps, int(row), int(column)),
        )  # fmt: skip

    return [
        Measurement(
            names[0], "mm", value=mean, n=n,
            budget=(
                cell.scale.contribution(mean),
                Contribution("noise of the edges", sigma / math.sqrt(n), degrees_of_freedom=max(n - 1, 1)),
                model_line,
                *grey_lines,
            ),
        ),
        # The correction for noise is uncertain itself; the thinnest place is no thicker than the mean.
        extreme(names[1], low, min(low.value, mean), int(np.nanargmin(wall))),
        extreme(names[2], high, max(high.value, mean), int(np.nanargmax(wall))),
        Measurement(
            names[3], "mm", value=spread, n=n,
            budget=(
                cell.scale.contribution(spread),
                Contribution(
                    "noise of the edges", math.hypot(spread, pooled_sd) / math.sqrt(2 * independent)
                ),
                Contribution("model of the blurred wall", 0.25 * model.wall_at_one_place, type="B"),
            ),
        ),
    ]  # fmt: skip


def _window_samples(maps: _Maps) -> float:
    """Samples of the map that one pooling window makes one."""
    sd_z, sd_theta = maps.pooling.sd_samples
    return max(1.0, 3.5 * sd_z) * max(1.0, 3.5 * sd_theta)


# --- form --------------------------------------------------------------------------------------------------


def _form(maps: _Maps, cell: CylinderCell, voxel: float) -> list[Measurement]:
    axes = maps.ellipses.semi_axes
    fitted = np.isfinite(axes).all(axis=1) & maps.whole
    names = ("canister.eccentricity", "canister.ovality", "canister.roundness")
    if not fitted.any():
        reason = "no ellipse fits the can's outer surface at any height"
        units = ("1", "mm", "mm")
        return [Measurement.absent(name, unit, reason) for name, unit in zip(names, units, strict=True)]
    ovality_each = np.where(fitted, 2 * (axes[:, 0] - axes[:, 1]), -np.inf)
    worst = int(np.argmax(ovality_each))
    corrected = _ovality_free_of_noise(maps, fitted)
    ovality = max(corrected.value, 0.0)
    mean_radius = float(axes[worst].mean())
    model = 4 * OUTER_MODEL_VOXEL * voxel  # 2 (a - b), with opposite errors on both axes
    budget = (
        cell.scale.contribution(ovality),
        Contribution("noise of the edge", corrected.sd, degrees_of_freedom=DRAWS - 1),
        Contribution("correction for noise", corrected.bias / math.sqrt(12), type="B"),
        Contribution("model of the blurred wall", model, type="B"),
        Contribution("robust fit of the ellipse", _fit_sensitivity(maps, worst), type="B"),
        Contribution("tilt of the axis", _tilt_ovality(cell, mean_radius), type="B"),
    )
    where = {"z_mm": float(maps.z_mm[worst]), "theta_deg": float(maps.ellipses.angle_deg[worst])}
    measured = Measurement(names[1], "mm", value=ovality, budget=budget, n=int(fitted.sum()), worst_at=where)
    u = measured.standard_uncertainty or 0.0
    eccentricity = _eccentricity(ovality, mean_radius)
    # Near a circle the eccentricity is the root of the ovality: its uncertainty is the half-width of what the
    # ovality's own interval maps to. Voxel scale cancels in it.
    half = 0.5 * (_eccentricity(ovality + u, mean_radius) - _eccentricity(max(ovality - u, 0.0), mean_radius))
    return [
        Measurement(
            names[0], "1", value=eccentricity, n=int(fitted.sum()), worst_at=where,
            budget=(Contribution("ovality", half, type="B"),),
        ),
        measured,
        _roundness(maps, cell, voxel),
    ]  # fmt: skip


def _fit_sensitivity(maps: _Maps, row: int) -> float:
    """Change of one height's ovality when points count as dented at two instead of three scales."""
    one = slice(row, row + 1)
    stricter, _ = sound_ellipses(
        maps.outer[one], maps.theta_deg, maps.scale_floor, maps.whole[one], tukey=2.0
    )
    change = np.diff(stricter.semi_axes[0] - maps.ellipses.semi_axes[row])
    return 2 * abs(float(change[0])) if np.isfinite(change).all() else 0.0


def _eccentricity(ovality: float, mean_radius: float) -> float:
    """Eccentricity of the ellipse with that mean semi-axis and difference of axis lengths."""
    a, b = mean_radius + ovality / 4, mean_radius - ovality / 4
    return math.sqrt(max(0.0, 1.0 - (b / a) ** 2))


def _tilt_ovality(cell: CylinderCell, radius: float) -> float:
    """A section oblique by the axis's uncertainty is longer one way by 1 / cos - 1."""
    return radius * math.radians(min(cell.frame.tilt_sigma_deg, 1.0)) ** 2


def _ovality_free_of_noise(maps: _Maps, fitted: NDArray[np.bool_]) -> Corrected:
    """The worst height's ovality less what noise adds to an amplitude and to the worst of many."""
    axes, angle = maps.ellipses.semi_axes[fitted], np.deg2rad(2 * maps.ellipses.angle_deg[fitted])
    vector = 2 * (axes[:, 0] - axes[:, 1]) * np.exp(1j * angle)
    theta = np.deg2rad(maps.theta_deg)
    # Radius r0 + c cos 2(theta - phi) has axes that differ by 4 c.
    noise = 4 * maps.outer_sigma * 2 * (maps.noise[:, fitted] * np.exp(2j * theta)).mean(axis=2)
    sd = float(np.abs(noise).std()) + float(np.abs(noise).mean())
    base = vector * garrote(np.abs(vector), 1.5 * sd) / np.maximum(np.abs(vector), 1e-12)
    drawn = np.abs(base + noise).max(axis=1)
    bias = float(drawn.mean() - np.abs(base).max())
    return Corrected(float(np.abs(vector).max()) - bias, bias, float(drawn.std()))


def _roundness(maps: _Maps, cell: CylinderCell, voxel: float) -> Measurement:
    """Peak-to-valley deviation from the least-squares circle, worst height (ISO 12181-1)."""
    whole = np.isfinite(maps.outer).mean(axis=1) >= 0.9
    if not whole.any():
        return Measurement.absent(
            "canister.roundness", "mm", "no height shows nine tenths of the can's outline"
        )
    form = about_least_squares_circle(filled(maps.outer[whole]), maps.theta_deg)
    found, doubt = _freed(form, maps.noise[:, whole], maps, voxel, lambda a: float(np.ptp(a, axis=1).max()))
    worst = int(np.argmax(np.ptp(form, axis=1)))
    row = int(np.flatnonzero(whole)[worst])
    radius = float(np.nanmean(maps.outer))
    # What pooling took off a narrow dent it would take again; off noise it took what is no form.
    clear = garrote(form, 3 * maps.outer_sigma * maps.noise_sd)
    again = maps.pooling.pool(clear)
    flattened = max(float(np.ptp(clear, axis=1).max() - np.ptp(again, axis=1).max()), 0.0)
    value = max(found.value + flattened, 0.0)
    return Measurement(
        "canister.roundness", "mm", value=value, n=int(whole.sum()),
        budget=(
            cell.scale.contribution(value),
            Contribution("noise of the extremes", found.sd, degrees_of_freedom=DRAWS - 1),
            Contribution("correction for noise", found.bias / math.sqrt(12), type="B"),
            Contribution("roughness or image pattern", doubt, type="B"),
            # Of a highest and a lowest place, each where the model does worst: twice as far off as usual.
            Contribution(
                "model of the blurred wall", 2 * math.sqrt(2) * OUTER_MODEL_VOXEL * voxel, type="B"
            ),
            Contribution("pooling window", 0.5 * flattened, type="B"),
            Contribution("tilt of the axis", 0.5 * _tilt_ovality(cell, radius), type="B"),
        ),
        worst_at=_place(maps, row, int(np.argmax(np.abs(form[worst])))),
    )  # fmt: skip


def _freed(
    values: Floats, noise: Floats, maps: _Maps, voxel: float, statistic: Callable[[Floats], float]
) -> tuple[Corrected, float]:
    """An extreme of the outer surface freed of noise, and the standard uncertainty of what counts as noise.

    The truth lies between two bounds: that all which second differences do not show is the can's form, and
    that it is the image's pattern, as far as images have any. Half-way between them is stated.
    """
    pattern = maps.pattern_sigma(PATTERN_VOXEL * voxel)
    most = free_of_noise(values, noise, maps.outer_sigma, statistic, 0.0)
    least = free_of_noise(values, noise, pattern, statistic, 0.0)
    if statistic(values) <= _most_that_noise_makes(statistic, noise, pattern):
        least = replace(least, value=0.0)
    high = max(most.value, 0.0)
    low = min(max(least.value, 0.0), high)
    return replace(most, value=0.5 * (high + low)), 0.5 * (high - low) / math.sqrt(3)


def _most_that_noise_makes(statistic: Callable[[Floats], float], noise: Floats, sigma: float) -> float:
    """What a statistic of noise alone hardly exceeds: its mean and 2.5 standard deviations."""
    drawn = np.array([statistic(sigma * draw) for draw in noise])
    return float(drawn.mean() + 2.5 * drawn.std())


def _dent(maps: _Maps, cell: CylinderCell, voxel: float) -> Measurement:
    """Deepest place below the sound can's ellipse; 0 where noise alone would explain it."""
    deviation = maps.deviation
    if not np.isfinite(deviation).any():
        return Measurement.absent(
            "canister.dent_depth", "mm", "no ellipse fits the can's outer surface at any height"
        )
    n = int(np.isfinite(deviation).sum())

    def deepest(inward: Floats) -> float:
        return float(np.nanmax(inward))

    # The deepest of many places is where the model does worst: twice as far off as the usual one.
    worst_model = 2 * OUTER_MODEL_VOXEL * voxel
    detectable = _most_that_noise_makes(deepest, maps.noise, maps.outer_sigma) + worst_model
    seen = -float(np.nanmin(deviation))
    model = Contribution("model of the blurred wall", worst_model, type="B")
    if seen <= detectable:
        return Measurement(
            "canister.dent_depth", "mm", value=0.0, n=n,
            budget=(Contribution("smallest dent told apart", detectable / math.sqrt(3), type="B"), model),
            reason=f"nothing deeper than noise explains; a dent of {detectable:.3f} mm would have shown",
        )  # fmt: skip
    row, column = np.unravel_index(int(np.nanargmin(deviation)), deviation.shape)
    found, doubt = _freed(-deviation, maps.noise, maps, voxel, deepest)
    flattened = _flattening(maps, int(row), int(column))
    value = max(found.value + flattened, 0.0)
    # How well the sound part of the can is an ellipse says how well the ellipse is known where the dent is.
    form = robust_sd(deviation[row])
    return Measurement(
        "canister.dent_depth", "mm", value=value, n=n,
        budget=(
            cell.scale.contribution(value),
            Contribution("noise of the extreme", found.sd, degrees_of_freedom=DRAWS - 1),
            Contribution("correction for noise", found.bias / math.sqrt(12), type="B"),
            Contribution("roughness or image pattern", doubt, type="B"),
            Contribution("the sound can's ellipse", 0.5 * form, type="B"),
            Contribution("pooling window", 0.5 * flattened, type="B"),
            model,
        ),
        worst_at=_place(maps, int(row), int(column)),
    )  # fmt: skip


def _flattening(maps: _Maps, row: int, column: int) -> float:
    """What the pooling window takes off a narrow dent: as much as pooling once more would take."""
    again = maps.pooling.pool(maps.deviation)
    change = float(again[row, column] - maps.deviation[row, column])
    return max(change, 0.0) if math.isfinite(change) else 0.0


def _tilt(maps: _Maps, cell: CylinderCell, voxel: float) -> Measurement:
    """The frame's axis, corrected by how far the ellipses' centres run off it."""
    frame = cell.frame
    rows = np.flatnonzero(np.isfinite(maps.ellipses.semi_axes).all(axis=1) & maps.whole)
    if not math.isfinite(frame.tilt_sigma_deg) or frame.tilt_sigma_deg > 1.0 or rows.size < 4:
        return Measurement.absent(
            "canister.tilt", "deg", "the piece of can in view is too short to tell the direction of its axis"
        )
    z = maps.z_mm[rows] - maps.z_mm[rows].mean()
    centres = maps.ellipses.centre[rows]
    design = np.stack([np.ones_like(z), z], axis=1)
    lines = np.stack([robust_fit(design, along, floor=1e-3 * voxel)[0] for along in centres.T], axis=1)
    off = lines[1] @ frame.directions([0.0, 90.0])
    direction = np.asarray(frame.axis) + off
    residual = centres - design @ lines
    scatter = math.sqrt(float((residual**2).mean()))
    # Pooling, and what is alike in neighbouring slices, makes neighbours' centres one: as many count as an
    # autoregressive process of their correlation leaves.
    rho = float((residual[1:] * residual[:-1]).sum() / max(float((residual**2).sum()), 1e-30))
    rho = min(max(rho, 0.0), 0.95)
    independent = max(rows.size * (1 - rho) / (1 + rho), 3.0)
    return Measurement(
        "canister.tilt", "deg",
        value=math.degrees(math.atan2(math.hypot(direction[0], direction[1]), direction[2])), n=rows.size,
        budget=(
            Contribution(
                "centres of the slices",
                math.degrees(scatter / (float(z.std()) * math.sqrt(independent))),
                degrees_of_freedom=max(independent - 2, 1.0),
            ),
            Contribution(
                "pattern of voxels", math.degrees(CENTRE_MODEL_VOXEL * voxel / float(np.ptp(z))), type="B"
            ),
        ),
    )  # fmt: skip


def _place(maps: _Maps, row: int, column: int) -> dict[str, float]:
    return {"z_mm": float(maps.z_mm[row]), "theta_deg": float(maps.theta_deg[column])}


# --- what people look at -----------------------------------------------------------------------------------


def _samples(surface: CanSurface, maps: _Maps) -> Samples:
    straight = surface.straight
    shape = surface.outer_mm[straight].shape
    z, theta = np.broadcast_arrays(maps.z_mm[:, None], maps.theta_deg[None, :])
    assert z.shape == shape
    return Samples(
        "canister_surface",
        {
            "z_mm": np.round(z.ravel(), 5),
            "theta_deg": np.round(theta.ravel(), 4),
            "outer_radius_mm": np.round(surface.outer_mm[straight].ravel(), 6),
            "inner_radius_mm": np.round(surface.inner_mm[straight].ravel(), 6),
            "deviation_mm": np.round(maps.deviation.ravel(), 6),
        },
    )


def _figures(
    surface: CanSurface, maps: _Maps, cell: CylinderCell, measurements: Sequence[Measurement], voxel: float
) -> list[Figure]:
    by_name = {m.name: m for m in measurements}
    dent, ovality = by_name["canister.dent_depth"], by_name["canister.ovality"]
    shown = dent if dent.worst_at else ovality
    row = int(
        np.argmin(np.abs(maps.z_mm - (shown.worst_at or {"z_mm": maps.z_mm[maps.z_mm.size // 2]})["z_mm"]))
    )
    return [
        _deviation_map(maps, dent, voxel),
        _slice(surface, maps, cell, row, dent if dent.worst_at else None),
        _wall_chart(maps),
    ]


def _deviation_map(maps: _Maps, dent: Measurement, voxel: float) -> ImageFigure:
    # One voxel at least, so that noise is not blown up to look like damage.
    finite = np.abs(maps.deviation[np.isfinite(maps.deviation)])
    limit = max(voxel, float(finite.max()) if finite.size else 0.0)
    thin = max(1, -(-maps.theta_deg.size // 720))
    image = diverging(maps.deviation[:, ::thin], limit)
    tall = max(1, -(-160 // image.shape[0]))
    image = np.repeat(image, tall, axis=0)
    overlays = []
    if dent.worst_at:
        x = dent.worst_at["theta_deg"] / 360.0 * maps.theta_deg.size / thin
        y = (float(np.argmin(np.abs(maps.z_mm - dent.worst_at["z_mm"]))) + 0.5) * tall - 0.5
        overlays.append(Polyline(np.array([[x, y]]), "worst", "deepest place", marker=True))
    return ImageFigure(
        id="canister-map",
        title="Outer surface against the sound can's ellipse",
        caption=(
            "The can's straight part unrolled: angle across, height down. White lies on the ellipse fitted "
            "to the sound part of the same height. A good can is pale all over. A dent is a blue patch with "
            "a dark middle; blue and orange stripes from top to bottom mean that the can is not round in a "
            "way no ellipse explains; grey marks places where no surface was found."
        ),
        alt="Map over angle and height of the outer surface's distance from the fitted ellipse",
        image=image,
        overlays=tuple(overlays),
        value_range=(-limit, limit),
        value_label="distance from the ellipse, mm (negative is inward)",
        colour_map="diverging",
        x_axis=("angle, degrees", 0.0, 360.0),
        y_axis=("height, mm", float(maps.z_mm[0]), float(maps.z_mm[-1])),
    )


def _slice(
    surface: CanSurface, maps: _Maps, cell: CylinderCell, row: int, dent: Measurement | None
) -> ImageFigure:
    frame = cell.frame
    z = float(maps.z_mm[row])
    theta = maps.theta_deg
    index = int(np.argmin(np.abs(surface.z_mm - z)))
    layer = int(np.clip(round(z * frame.axis[2] / frame.voxel_mm[0]), 0, frame.shape[0] - 1))
    plane = cell.scan.slices[layer]

    contours: list[tuple[Floats, Floats, str, str, bool]] = [
        (theta, surface.outer_mm[index], "can", "outer surface", True),
        (theta, surface.inner_mm[index], "can", "inner surface", True),
    ]
    if np.isfinite(maps.ellipses.semi_axes[row]).all():
        points = maps.ellipses.predict(np.arange(360.0))[row]
        angle = np.rad2deg(np.arctan2(points[:, 1], points[:, 0]))
        contours.append((angle, np.hypot(points[:, 0], points[:, 1]), "fit", "sound can's ellipse", True))
    if dent and dent.worst_at:
        at = np.array([dent.worst_at["theta_deg"]])
        nearest = np.argmin(np.abs(theta - at))
        contours.append((at, surface.outer_mm[index, nearest : nearest + 1], "worst", "deepest place", False))

    in_voxels = []
    for angle, radius, role, label, closed in contours:
        thin = max(1, -(-angle.size // 360))
        _, y, x = frame.to_voxel(z, angle[::thin], radius[::thin])
        in_voxels.append((np.column_stack([x, y]), role, label, closed))
    outline = np.concatenate([points for points, *_ in in_voxels])
    margin = 6
    x0, y0 = (max(0, math.floor(v) - margin) for v in np.nanmin(outline, axis=0))
    x1, y1 = (math.ceil(v) + margin + 1 for v in np.nanmax(outline, axis=0))
    crop = plane[y0:y1, x0:x1]
    bin_by = max(1, -(-max(crop.shape) // 800))
    image = _as_grey(crop, bin_by)
    shift = (bin_by - 1) / 2
    overlays = tuple(
        Polyline((points - [x0 + shift, y0 + shift]) / bin_by, role, label, marker=not closed, closed=closed)
        for points, role, label, closed in in_voxels
    )
    what = "the deepest dent" if dent else "the largest ovality"
    return ImageFigure(
        id="canister-slice",
        title=f"Slice with {what}, at {z:.2f} mm",
        caption=(
            f"The slice with {what}, with the can's outer and inner surface as found below the voxel and the "
            "ellipse through the sound part of the outer one. On a good can surface and ellipse are one line "
            "and the two surfaces run side by side. A dent is where the surface leaves the ellipse inward; a "
            "contour that jumps or breaks off shows where the wall was not found."
        ),
        alt=f"Axial slice at {z:.2f} mm with contours of the can's two surfaces and the fitted ellipse",
        image=image,
        pixel_mm=(frame.voxel_mm[1] * bin_by, frame.voxel_mm[2] * bin_by),
        overlays=overlays,
    )


def _as_grey(plane: NDArray[Any], bin_by: int) -> NDArray[np.uint8]:
    """The slice in 8 bits, averaged over blocks of voxels; its extreme thousandths fill the range."""
    values = plane.astype(np.float32)
    if bin_by > 1:
        ny, nx = (n // bin_by * bin_by for n in values.shape)
        values = values[:ny, :nx].reshape(ny // bin_by, bin_by, nx // bin_by, bin_by).mean(axis=(1, 3))
    low, high = (float(q) for q in np.percentile(values, (0.1, 99.9)))
    scaled = np.clip((values - low) / max(high - low, 1e-9) * 255, 0, 255)
    return np.asarray(scaled, dtype=np.uint8)


def _wall_chart(maps: _Maps) -> LineChart:
    thin = max(1, -(-maps.theta_deg.size // 360))
    theta = maps.theta_deg[::thin]
    wall = maps.wall[:, ::thin]
    known = np.isfinite(wall).any(axis=0)
    nothing = np.full(theta.size, np.nan)
    lines = {}
    for label, statistic in (("mean", np.nanmean), ("thinnest", np.nanmin), ("thickest", np.nanmax)):
        line = nothing.copy()
        if known.any():
            line[known] = statistic(wall[:, known], axis=0)
        lines[label] = np.round(line, 5)
    return LineChart(
        id="canister-wall",
        title="Wall thickness around the can",
        caption=(
            "Thickness normal to the wall at each angle: mean, thinnest and thickest over the height. A "
            "good can shows three flat lines close together. A slow wave in all three is a punch off centre "
            "in the die; a notch in the lowest line alone is a local thin spot; a spike in the highest is "
            "often a weld or something that touches the wall from inside."
        ),
        alt="Lines of mean, smallest and largest wall thickness against angle",
        series=(
            ("mean", "can", theta, lines["mean"]),
            ("thinnest", "worst", theta, lines["thinnest"]),
            ("thickest", "note", theta, lines["thickest"]),
        ),
        x_label="angle, degrees",
        y_label="wall thickness, mm",
    )
