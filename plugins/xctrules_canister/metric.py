"""Canister metric: diameters, wall thickness, form, dents and tilt, each with its budget."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from xctrules.core.figures import Samples
from xctrules.core.measurement import MetricResult
from xctrules.core.names import Description
from xctrules.cylinder.frame import GEOMETRY
from xctrules.cylinder.surfaces import CanSurface, CylinderCell
from xctrules_canister.account import (
    COMPLETENESS,
    PART,
    account,
    completeness,
    largest_mm2,
    thickness_unknown,
)
from xctrules_canister.budget import WallModel
from xctrules_canister.course import GROOVE, Course, groove_depth
from xctrules_canister.dent import Hollows, dent_depth
from xctrules_canister.diameters import diameters
from xctrules_canister.figures import draw
from xctrules_canister.form import DRAWS, POOL_MM, SEED
from xctrules_canister.maps import TABLE, Maps
from xctrules_canister.outline import outline
from xctrules_canister.presence import OPENING, WallPresence, largest_opening, wall_presence
from xctrules_canister.rays import cast
from xctrules_canister.tilt import tilt
from xctrules_canister.wall import wall_thickness

THICK_BLURS = 10.0
"""Thickness, in blurs, that a wall is taken to have whose inner surface was found nowhere: its outer surface
then is a free edge."""

DESCRIPTIONS: Mapping[str, Description] = {
    "canister.outer_diameter": Description(
        "mm", "Outer diameter", "outer diameter of the can", "nominal", "outer_diameter", identifies=True
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
    OPENING: Description(
        "mm2", "Largest opening", "largest place of the can in view that has no wall", "smaller",
        zero_when_good=True,
    ),
    GROOVE: Description(
        "mm", "Groove depth", "depth of the deepest groove that runs round the can", "smaller",
        zero_when_good=True,
    ),
    COMPLETENESS: Description(
        "mm2", "Largest unexplained place of the can",
        "largest place of the can in view that is neither measured nor explained", "smaller",
        zero_when_good=True,
    ),
    "canister.tilt": Description("deg", "Tilt", "angle between the cell's axis and the volume's z axis"),
}  # fmt: skip


class Canister:
    """Size and form of the can over the whole straight part in view."""

    geometry = GEOMETRY
    name = "canister"
    title = "Canister"
    describes: Mapping[str, Description] = DESCRIPTIONS
    declares: Mapping[str, str] = {name: d.unit for name, d in DESCRIPTIONS.items()}
    parts = (PART,)
    # A wall of 0.2 mm, the thinnest usual one, is 1.5 standard deviations of such a blur: below that,
    # thickness and grey of the wall cannot be told apart.
    needs: Mapping[str, tuple[float | None, float | None]] = {
        "screening.resolution": (None, 0.35),
        # Faces lie at half of the wall's height, which nobody knows where the wall is cut off.
        "screening.saturated_wall": (None, 0.5),
    }

    def measure(self, cell: CylinderCell) -> MetricResult:
        """All canister measurements.

        Raises
        ------
        NotMeasurable
            When the segmenter found no can.
        """
        surface = cell.surfaces.need_can()
        maps = Maps.of(surface, cell)
        model = _wall_model(surface, maps)
        rays = cast(cell, surface)
        course = None if rays is None else Course.of(rays, surface, cell.frame)
        presence = None if rays is None or course is None else wall_presence(cell, surface, rays, course)
        openings = () if presence is None else presence.openings()
        unknown = () if presence is None else thickness_unknown(maps, presence)
        ledger = None
        if presence is not None and course is not None:
            ledger = account(presence, course, maps, openings, unknown)
        hollows = Hollows.of(maps, rays, _walled(presence, course, maps.theta_deg))
        voxel = max(cell.frame.voxel_mm)
        measurements = [
            *diameters(surface, maps, cell, model),
            *wall_thickness(surface, maps, cell.scale, model, largest_mm2([*openings, *unknown])),
            *outline(maps, cell),
            dent_depth(maps, cell.scale, hollows, largest_mm2(openings)),
            largest_opening(presence, voxel),
            groove_depth(course, cell.scale, max(cell.frame.voxel_mm[1:]), surface.blur_mm),
            completeness(ledger, voxel),
            tilt(maps, cell.frame),
        ]
        return MetricResult(
            measurements=measurements,
            figures=draw(surface, maps, cell, {m.name: m for m in measurements}),
            samples=(samples(surface, maps),),
            ledgers=() if ledger is None else (ledger,),
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


def _walled(
    presence: WallPresence | None, course: Course | None, theta_deg: NDArray[np.float64]
) -> NDArray[np.bool_] | None:
    """Where rays meet a wall nearly square."""
    if presence is None or course is None:
        return None
    return np.asarray(presence.walled(course.z_mm, theta_deg) & course.level[:, None])


def _wall_model(surface: CanSurface, maps: Maps) -> WallModel:
    thickness = maps.mean_wall if math.isfinite(maps.mean_wall) else THICK_BLURS * surface.blur_mm
    return WallModel.of(thickness, surface.blur_mm, maps.voxel_mm)


def samples(surface: CanSurface, maps: Maps) -> Samples:
    """Both surfaces at every height and angle of the straight part, the outer one's deviation, and the wall's
    thickness, pooled, as its statistics are taken over it."""
    straight = surface.straight
    z, theta = np.broadcast_arrays(maps.z_mm[:, None], maps.theta_deg[None, :])
    return Samples(
        TABLE,
        {
            "z_mm": np.round(z.ravel(), 5),
            "theta_deg": np.round(theta.ravel(), 4),
            "outer_radius_mm": np.round(surface.outer_mm[straight].ravel(), 6),
            "inner_radius_mm": np.round(surface.inner_mm[straight].ravel(), 6),
            "deviation_mm": np.round(maps.deviation.ravel(), 6),
            "wall_mm": maps.wall.ravel(),
        },
    )
