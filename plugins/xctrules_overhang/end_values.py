"""All single values at one end with their noise, and their extremes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xctrules.cylinder.surfaces import CylinderCell, EndEdges
from xctrules_overhang.budget import MODEL_STEPS
from xctrules_overhang.extremes import Extreme, extreme
from xctrules_overhang.lengths import Floats, base_heights, deflections, lengths
from xctrules_overhang.noise import SharedNoise, scatter

LEAST_STEPS = 3.0
"""A deflection is given where the free foil is at least this many height samples long."""


@dataclass(frozen=True)
class Values:
    """One quantity at one end, in its unit.

    Attributes
    ----------
    each : (nrows, nt)
        One row for each turn, or each face between two; NaN where not measured.
    sigmas : (nrows,)
        Standard deviation of a single value's noise.
    shared
        How far noise is shared along each row.
    """

    each: Floats
    sigmas: Floats
    shared: SharedNoise

    @property
    def known(self) -> Floats:
        """All that are finite, (n,)."""
        return self.each[np.isfinite(self.each)]

    @property
    def sigma(self) -> float:
        """Noise of a single value: root mean square over the rows, a row counting by its values."""
        count = np.isfinite(self.each).sum(axis=1)
        return math.sqrt(float((count * self.sigmas**2).sum() / max(count.sum(), 1)))

    @cached_property
    def smallest(self) -> Extreme:
        """The smallest of them, with the bias that noise gives it."""
        return extreme(self.each, self.sigmas, -1, self.shared)

    @cached_property
    def largest(self) -> Extreme:
        """The largest of them, with the bias that noise gives it."""
        return extreme(self.each, self.sigmas, 1, self.shared)


@dataclass(frozen=True)
class EndValues:
    """Everything that was measured at one end.

    Attributes
    ----------
    length
        Overhangs, mm, by turn and angle.
    deflection, lean
        Angles of the free foil, degrees, outward positive; and their magnitudes.
    base
        Heights of the cathode's edge, mm, by face and angle.
    """

    edges: EndEdges
    length: Values
    deflection: Values
    lean: Values
    base: Values

    @classmethod
    def of(cls, cell: CylinderCell, edges: EndEdges) -> EndValues:
        """Values of ``edges``, at least one of which was measured."""
        step_mm = cell.frame.voxel_mm[0]
        shared = SharedNoise.of(edges, max(cell.frame.voxel_mm[1:]))
        length, deflection, base = (
            lengths(edges),
            deflections(edges, LEAST_STEPS * step_mm),
            base_heights(edges),
        )
        lean_sigmas = scatter(deflection, shared)
        return cls(
            edges=edges,
            length=Values(length, np.hypot(scatter(length, shared), MODEL_STEPS * step_mm), shared),
            deflection=Values(deflection, lean_sigmas, shared),
            lean=Values(np.abs(deflection), lean_sigmas, shared),
            base=Values(base, scatter(base, shared.of_faces), shared.of_faces),
        )
