"""The surfaces of a cylindrical cell: what a segmenter fills in and a metric reads.

In: grey values, or labels, through a segmenter. Out: arrays of positions in the cell's own coordinates (see
:mod:`xctrules.cylinder.frame`): height ``z_mm`` along the axis growing from the first slice to the last,
``theta_deg`` from +x towards +y, ``r_mm`` from the axis. NaN means "not found here". Neither side cares who
the other is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xctrules.core.cell import Cell, Settings, Surfaces
from xctrules.core.errors import NotMeasurable
from xctrules.cylinder.frame import CellFrame, End

Floats = NDArray[np.float64]

LABELS: Mapping[str, int] = {"background": 0, "can": 1, "cathode": 2, "copper": 3, "overhang": 4}
"""Values of a label image, and order of a network's classes. Copper and overhang are one foil: inside the
roll, and free above the cathode's edge."""

FOIL_MM = 0.10
"""Width at which the foil is labelled about its centre line. The foil itself, some 0.01 mm, is thinner than a
voxel."""


@dataclass(frozen=True)
class CanSurface:
    """The can's outer and inner surface, located below the voxel.

    Attributes
    ----------
    z_mm : (nz,)
    theta_deg : (nt,)
    outer_mm, inner_mm : (nz, nt)
        Radius from the axis.
    straight : (nz,) bool
        Whether the height belongs to the straight part of the can (no bead, crimp, or bottom radius).
    edge_sigma_mm
        Standard uncertainty of one located outer edge from noise alone.
    inner_sigma_mm
        The same for one inner edge.
    blur_mm
        Standard deviation of the scan's edge spread, as fitted at the sharper surface.
    slope_shift_mm, blur_shift_mm
        How far the outer and the inner radius would move if the wall were taken to be of one grey (it is
        not where beam hardening is left), and if it were fitted with the blur of its less sharp face.
    """

    z_mm: Floats
    theta_deg: Floats
    outer_mm: Floats
    inner_mm: Floats
    straight: NDArray[np.bool_]
    edge_sigma_mm: float
    inner_sigma_mm: float
    blur_mm: float
    slope_shift_mm: tuple[float, float] = (0.0, 0.0)
    blur_shift_mm: tuple[float, float] = (0.0, 0.0)


class Followed(StrEnum):
    """What a trace follows through the roll."""

    COPPER = "copper"
    ELECTRODE_MASK = "electrode mask"


@dataclass(frozen=True)
class FoilTrace:
    """The anode's copper foil (or the masked electrode) followed through the roll, turn by turn.

    Attributes
    ----------
    z_mm : (nz,)
        Heights at which it was followed, clear of both electrode edges.
    theta_deg : (nt,)
        Equally spaced over the whole turn, starting at 0.
    radius_mm : (nz, nturns, nt)
        Radius of the foil's centre. Turn 0 is the innermost. The foil is one line: with ``handedness`` +1
        turn k at the last angle goes on as turn k + 1 at the first one; with -1 turn k at the first angle
        goes on as turn k + 1 at the last one.
    handedness
        +1 when the foil moves outward with growing theta, -1 otherwise.
    sigma_mm
        Standard uncertainty of one located radius from noise alone.
    followed
        The electrode mask where a two-valued image of the electrode is the scan.
    """

    z_mm: Floats
    theta_deg: Floats
    radius_mm: Floats
    handedness: int
    sigma_mm: float
    followed: Followed = Followed.COPPER


#: Why an overhang has no value at a turn and angle (``EndEdges.state``).
MEASURED, NO_FOIL, NO_FACING_CATHODE, TAB, UNCLEAR, ACROSS = range(6)
STATE_NAMES = (
    "measured",
    "no foil here",
    "no cathode faces it",
    "hidden by a tab or other metal",
    "edge not clear",
    "bent over or something across the gap",
)


@dataclass(frozen=True)
class EndEdges:
    """The electrode edges at one end of the cell.

    Attributes
    ----------
    end
        ``"top"`` (cap) or ``"bottom"``.
    outward
        +1 where leaving the cell at this end means growing z, -1 otherwise.
    theta_deg : (nt,)
        The half-planes looked at.
    anode_z_mm : (nturns, nt)
        Height of the anode's (copper's) edge.
    cathode_z_mm : (2, nturns, nt)
        Height of the edge of the cathode facing the foil from inside [0] and from outside [1].
    path_z_mm : (nturns, nt, npath)
        Heights along the free foil, from the cathode's edge to the tip; NaN padded.
    path_r_mm : (nturns, nt, npath)
        Radius of the foil's centre at those heights.
    state : (nturns, nt) int
        ``MEASURED`` or why not.
    foil_mm : (nturns, nt)
        Radius of the foil in the roll, NaN where there is none.
    face : (2, nturns, nt) bool
        Whether the roll has a cathode that faces the foil from inside [0] and from outside [1].
    hidden : (2, nturns, nt) bool
        Where a tab stands in front of that cathode's edge.
    anode_sigma_mm, cathode_sigma_mm
        Standard uncertainty of one located edge from noise alone.
    threshold_shift_mm
        Mean change of length when the edge criterion moves from 50 % to 60 % of the step.
    inside_sigma_mm
        Standard uncertainty of an anode edge that lies below a cathode's, where a foil stands out less.
    handedness
        Of the foil, as in :class:`FoilTrace`: which way turn k goes on as turn k + 1.
    model_sigma_mm
        Standard uncertainty of a length between an anode's and a cathode's edge that is common to all edges,
        since a trained model found them; 0 where none did.
    pooling
        Weights with which grey was averaged over half-planes before edges were looked for: of the half-plane
        itself, then of each neighbour to either side, nearest first; ``(1.0,)`` where each stands by itself.
        Half-planes further apart than twice the number of these neighbours were made from none in common.
    """

    end: End
    outward: int
    theta_deg: Floats
    anode_z_mm: Floats
    cathode_z_mm: Floats
    path_z_mm: Floats
    path_r_mm: Floats
    state: NDArray[np.int8]
    foil_mm: Floats
    face: NDArray[np.bool_]
    hidden: NDArray[np.bool_]
    anode_sigma_mm: float
    cathode_sigma_mm: float
    threshold_shift_mm: float = float("nan")
    inside_sigma_mm: float = 0.0
    handedness: int = 1
    model_sigma_mm: float = 0.0
    pooling: tuple[float, ...] = (1.0,)


@dataclass(frozen=True)
class ConfidenceMap:
    """How sure a trained segmenter was of the edges at one end.

    Attributes
    ----------
    theta_deg : (nt,)
    confidence : (nturns, nt)
        Mean of the largest class probability around the edges of that overhang, 0 to 1; NaN where there was
        nothing to look at.
    least
        Below it, an overhang was not measured.
    example_deg
        Angle of the half-plane that is shown as an example.
    grey : (nh, nr) float32
        That half-plane on the standard grey scale, its first row outermost; see
        :mod:`xctrules.cylinder.half_planes`.
    labels : (nh, nr) uint8
        Its classes as the model sees them, values of ``LABELS``.
    pixel_mm
        Side of its pixels.
    """

    theta_deg: Floats
    confidence: Floats
    least: float
    example_deg: float
    grey: NDArray[np.float32]
    labels: NDArray[np.uint8]
    pixel_mm: float


@dataclass(frozen=True)
class Agreement:
    """How far two segmenters say the same of the same half-planes.

    Attributes
    ----------
    dice
        Dice score by class, over all half-planes of all ends that both segmented.
    plane_dice : (nplanes,)
        Mean over the classes, half-plane by half-plane.
    """

    dice: Mapping[str, float]
    plane_dice: Floats


@dataclass(frozen=True, kw_only=True)
class Segmentation(Surfaces):
    """What a segmenter found of a cylindrical cell; parts that may be missing are called ``can``, ``foil``,
    ``top`` and ``bottom``."""

    can: CanSurface | None = None
    foil: FoilTrace | None = None
    ends: Mapping[End, EndEdges] = field(default_factory=dict)
    separability: float | None = None
    confidence: Mapping[End, ConfidenceMap] = field(default_factory=dict)
    agreement: Agreement | None = None
    """With the classical segmenter; where there is none its reason is in ``missing`` or nothing was
    compared."""

    def need_can(self) -> CanSurface:
        """The can, or NotMeasurable with the reason why there is none."""
        if self.can is None:
            raise NotMeasurable(self.missing.get("can", "the can was not segmented"))
        return self.can

    def need_foil(self) -> FoilTrace:
        """The foil's trace, or NotMeasurable with the reason why there is none."""
        if self.foil is None:
            raise NotMeasurable(self.missing.get("foil", "the winding was not segmented"))
        return self.foil


MaskOf = Literal["canister", "electrode"]


@dataclass(frozen=True)
class CylinderSettings(Settings):
    """What the user asked of the inspection of a cylindrical cell."""

    segmenter: str = "classical"
    angles: int = 360
    """Half-planes, equally spaced over the whole turn."""
    mask_of: MaskOf | None = None
    """The scan is a two-valued image of this part."""


CylinderCell = Cell[CellFrame, Segmentation, CylinderSettings]
"""A cylindrical cell, as segmenters, screens and metrics of this geometry see it."""
