"""The winding: number of turns, pitch, errors of each turn, core collapse, and how the roll sits in the can.

All of it comes from one thing, the copper foil as the segmenter followed it
(:class:`xctrules.cylinder.surfaces.FoilTrace`), at several heights. Each height is fitted by itself; means
are taken over the heights, extremes are the worst of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from xctrules.core.figures import Samples
from xctrules.core.measurement import MetricResult
from xctrules.core.names import Description
from xctrules.cylinder.frame import GEOMETRY
from xctrules.cylinder.surfaces import CylinderCell, FoilTrace
from xctrules_winding.delamination import DELAMINATION, delamination
from xctrules_winding.errors import TABLE, core_collapse, errors
from xctrules_winding.figures import figures
from xctrules_winding.paths import Fits, fit_all
from xctrules_winding.seat import seat
from xctrules_winding.turns import pitch, turns
from xctrules_winding.unfollowed import COMPLETENESS, PART, completeness, unfollowed

DESCRIPTIONS: Mapping[str, Description] = {
    "winding.turns": Description("1", "Turns", "number of turns of the anode's copper foil"),
    "winding.revolutions": Description(
        "1", "Revolutions", "angle from the inner to the outer end of the anode's copper foil, in turns"
    ),
    "winding.pitch": Description("mm", "Pitch", "mean radial advance for each turn", "nominal", "pitch"),
    "winding.max_abs_error": Description(
        "mm", "Largest winding error", "largest distance of a full turn from its ideal path", "smaller"
    ),
    "winding.rms_error": Description(
        "mm", "Winding error", "root-mean-square distance of the full turns from their ideal paths", "smaller"
    ),
    "winding.spiral_rms_error": Description(
        "mm", "Error against one spiral", "root-mean-square distance of the roll from one spiral", "smaller"
    ),
    "winding.core_collapse": Description(
        "mm", "Core collapse", "deepest inward departure of the innermost turns", "smaller",
        zero_when_good=True,
    ),
    DELAMINATION: Description(
        "mm", "Widest gap in the roll", "widest gap between neighbouring layers beyond the pitch", "smaller",
        zero_when_good=True,
    ),
    "winding.concentricity": Description(
        "mm", "Concentricity", "distance between the roll's axis and the can's", "smaller"
    ),
    "winding.can_gap.min": Description("mm", "Smallest gap", "smallest gap between the roll and the can"),
    "winding.can_gap.mean": Description("mm", "Mean gap", "mean gap between the roll and the can"),
    COMPLETENESS: Description(
        "mm2", "Largest unexplained region",
        "largest region of a cross-section between core and can that no layer explains", "smaller",
        zero_when_good=True,
    ),
}  # fmt: skip


class WindingMetric:
    """Measures the roll (see the module)."""

    geometry = GEOMETRY
    name = "winding"
    title = "Winding"
    describes: Mapping[str, Description] = DESCRIPTIONS
    declares: Mapping[str, str] = {name: d.unit for name, d in DESCRIPTIONS.items()}
    parts = (PART,)
    # Where most layers run into one, a foil followed may be any layer.
    needs: Mapping[str, tuple[float | None, float | None]] = {"screening.layer_separation": (0.5, None)}

    def measure(self, cell: CylinderCell) -> MetricResult:
        """All that the contract lists under ``winding.``, figures, and every located point.

        Raises
        ------
        NotMeasurable
            When no foil was followed, or too few turns of it.
        """
        foil = cell.surfaces.need_foil()
        with warnings.catch_warnings():
            # Heights, turns or angles at which nothing was located are NaN throughout, as they should be.
            warnings.simplefilter("ignore", RuntimeWarning)
            fits = fit_all(foil)
            account = unfollowed(cell, foil, float(fits.pitch_mm.mean()))
            return MetricResult(
                ledgers=() if account is None else (account,),
                measurements=[
                    *turns(cell, foil, account),
                    completeness(account, max(cell.frame.voxel_mm[1:])),
                    pitch(cell, fits),
                    *errors(cell, foil, fits),
                    core_collapse(cell, foil, fits),
                    delamination(cell, foil, fits, account),
                    *seat(cell, foil, fits),
                ],
                figures=figures(cell, foil, fits),
                samples=[samples(foil, fits)],
                parameters={
                    "heights": int(foil.z_mm.size),
                    "angles": int(foil.theta_deg.size),
                    "full turns": int(fits.full.sum()),
                    "handedness": int(foil.handedness),
                    "followed": foil.followed,
                },
            )


def samples(foil: FoilTrace, fits: Fits) -> Samples:
    """Every located point."""
    z, turn, column = np.nonzero(np.isfinite(foil.radius_mm))
    return Samples(
        TABLE,
        {
            "z_mm": foil.z_mm[z],
            "turn": turn,
            "theta_deg": foil.theta_deg[column],
            "r_mm": foil.radius_mm[z, turn, column],
            "error_mm": fits.error_mm[z, turn, column],
            "spiral_error_mm": fits.spiral_error_mm[z, turn, column],
        },
    )
