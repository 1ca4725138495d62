"""Faults of a drawn roll: what is wrong, how large, and where.

Plain and frozen like the rest of a spec: lengths in mm, angles in degrees, heights outward from an end's
nominal cathode edge. Positions along the foil are a turn and an angle; widths go along the tape, so that 360
degrees are one whole turn and 720 two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EndName = Literal["top", "bottom"]
Electrode = Literal["anode", "cathode", "both"]


@dataclass(frozen=True)
class EdgeFault:
    """A stretch of an electrode whose edge stands ``by_mm`` further out (negative: further in) than it
    should.

    ``both`` moves anode and cathode together, as where a roll has telescoped. The stretch has sharp corners.
    ``width_mm``, where given, is the width along the foil in place of ``width_deg``.
    """

    electrode: Electrode = "cathode"
    by_mm: float = 1.0
    end: EndName = "top"
    turn: int = 5
    theta_deg: float = 60.0
    width_deg: float = 30.0
    width_mm: float | None = None


@dataclass(frozen=True)
class MissingFoil:
    """A stretch of the tape where there is no anode, neither copper nor coating; its separators are there."""

    turn: int = 5
    theta_deg: float = 200.0
    width_deg: float = 360.0


@dataclass(frozen=True)
class Gap:
    """A delamination: layers that stand apart by up to ``gap_mm``, a raised cosine of full width
    ``width_deg``.

    What lies outside is pushed outward, less so with ``exp(-distance / decay_mm)``; liquid fills the gap. It
    opens on the outer face of the named layer, ``separator`` being the one inside the cathode.
    """

    turn: int = 5
    theta_deg: float = 120.0
    width_deg: float = 120.0
    gap_mm: float = 0.3
    outside: Literal["anode", "separator", "cathode"] = "separator"
    decay_mm: float = 20.0


@dataclass(frozen=True)
class Crumple:
    """A core crumpled beyond recognition: within ``radius_mm`` the layers wander to and fro at random.

    ``amplitude_mm`` is the standard deviation of the wandering and ``grain_mm`` the length over which it
    changes; where it changes by more than it is long, layers lie in folds. It dies off over the outer
    quarter. Layers keep their place in the drawing, not their thickness: the sum of their areas is no longer
    exact.
    """

    radius_mm: float = 2.0
    amplitude_mm: float = 0.25
    grain_mm: float = 0.25


@dataclass(frozen=True)
class Particle:
    """A ball of ``diameter_mm`` at a distance from the can's axis; it takes the place of whatever is
    there."""

    diameter_mm: float = 0.3
    radius_mm: float = 2.5
    theta_deg: float = 130.0
    out_mm: float = -1.0
    end: EndName = "top"
    grey: float = 235.0


@dataclass(frozen=True)
class Curl:
    """Free foil bent out of its line: up by ``straight_mm``, through ``bend_deg``, then on in the new
    direction.

    The foil keeps its length, which is the overhang there. Negative ``bend_deg`` is inward: -90 lies flat
    towards the core, -180 is folded back. ``width_deg`` is at most one turn.
    """

    turn: int = 1
    theta_deg: float = 100.0
    width_deg: float = 60.0
    end: EndName = "top"
    bend_deg: float = -120.0
    bend_radius_mm: float = 0.1
    straight_mm: float = 0.1
