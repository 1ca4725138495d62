"""Layers that no followed foil explains are found with place and size; a sound roll is explained whole."""

from __future__ import annotations

import dataclasses
import math
import warnings
from typing import Any

import numpy as np
import pytest
from xctrules_winding.unfollowed import ALLOWED_MM2, unfollowed

from xctrules.core.ledger import Ledger
from xctrules.cylinder.phantom import Buckle, CentrePin, Imaging, draw, small
from xctrules.cylinder.surfaces import CylinderCell, FoilTrace
from xctrules.engine.testing import phantom_cell


def drawn(**changes: Any) -> CylinderCell:
    return phantom_cell(draw(small(view="roll", roll_in_view_mm=0.8, **changes)), angles=120)[0]


@pytest.fixture(scope="module")
def sound() -> CylinderCell:
    return drawn()


def trace(cell: CylinderCell) -> FoilTrace:
    assert cell.segmentation is not None
    return cell.segmentation.need_foil()


def account(cell: CylinderCell, radius: np.ndarray | None = None) -> Ledger:
    foil = trace(cell)
    pitch = float(np.nanmedian(np.diff(foil.radius_mm, axis=1)))
    if radius is not None:
        foil = dataclasses.replace(foil, radius_mm=radius)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # angles at which a turn was not located
        found = unfollowed(cell, foil, pitch)
    assert found is not None
    return found


def ring_mm2(inner_mm: float, outer_mm: float, degrees: float = 360.0) -> float:
    return math.pi * (outer_mm**2 - inner_mm**2) * degrees / 360.0


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"imaging": Imaging(noise=0.06)}, {"pin": CentrePin(outer_diameter_mm=1.1)}, {"tilt_deg": 2.0},
        {"buckle": Buckle(amplitude_mm=0.15)},
    ],
)  # fmt: skip
def test_a_sound_roll_is_explained_whole(changes: dict[str, Any]) -> None:
    ledger = account(drawn(**changes))
    assert max((p.extent for p in ledger.unexplained), default=0.0) < 0.1 * ALLOWED_MM2
    assert ledger.measured > 0.6 * ledger.expected
    assert ledger.measured + sum(ledger.explained.values()) == pytest.approx(ledger.expected, rel=0.02)


def test_outer_turns_that_were_not_followed(sound: CylinderCell) -> None:
    radius = trace(sound).radius_mm.copy()
    lost = radius[:, -3:].copy()  # the last of them is a part of a turn
    radius[:, -3:] = np.nan
    ledger = account(sound, radius)
    largest = max(ledger.unexplained, key=lambda place: place.extent)
    assert "no followed foil" in largest.reason and largest.extent > ALLOWED_MM2
    # At least the layer of the outermost turn, without its blurred sides, all round where it was there.
    share = np.isfinite(lost[:, 1]).mean()
    assert largest.extent > 0.4 * share * ring_mm2(np.nanmean(lost[:, 0]), np.nanmean(lost[:, 1]))
    assert largest.at["r_mm"] > np.nanmean(lost[:, 0]) - 0.3


def test_inner_turns_that_were_not_followed(sound: CylinderCell) -> None:
    radius = trace(sound).radius_mm.copy()
    core = float(np.nanmean(radius[:, 2]))
    radius[:, :3] = np.nan
    largest = max(account(sound, radius).unexplained, key=lambda place: place.extent)
    assert largest.extent > ALLOWED_MM2 and largest.at["r_mm"] < core


def test_a_turn_missing_between_its_neighbours(sound: CylinderCell) -> None:
    radius = trace(sound).radius_mm.copy()
    middle = radius.shape[1] // 2
    pitch = float(np.nanmedian(np.diff(radius, axis=1)))
    theta = trace(sound).theta_deg
    gone = (theta >= 60.0) & (theta < 180.0)
    at = float(np.nanmean(radius[:, middle, gone]))
    radius[:, middle, gone] = np.nan
    largest = max(account(sound, radius).unexplained, key=lambda place: place.extent)
    assert "further apart" in largest.reason
    # Between the layers of the two neighbours one pitch is left: an arc of 120 degrees, one pitch wide.
    assert largest.extent == pytest.approx(ring_mm2(at - pitch / 2, at + pitch / 2, 120.0), rel=0.15)
    assert abs(largest.at["theta_deg"] - 120.0) < 5 and abs(largest.at["r_mm"] - at) < 0.1


@pytest.mark.parametrize("lifted", [0.0, 0.3])
def test_a_line_that_left_its_foil_and_came_back(sound: CylinderCell, lifted: float) -> None:
    """Onto the cathode's edge over 80 degrees; a tab that lifts all turns outside it changes nothing."""
    radius = trace(sound).radius_mm.copy()
    pitch = float(np.nanmedian(np.diff(radius, axis=1)))
    theta = trace(sound).theta_deg
    over = (theta >= 250.0) & (theta < 330.0)
    at = float(np.nanmean(radius[:, 4, over]))
    radius[:, 5:, (theta >= 220.0) & (theta < 345.0)] += lifted * pitch
    assert not any("steps from one layer" in p.reason for p in account(sound, radius).unexplained)
    radius[:, 4, over] += 0.4 * pitch
    largest = max(account(sound, radius).unexplained, key=lambda place: place.extent)
    assert "steps from one layer" in largest.reason
    # The turn's own layer, three quarters of a pitch to either side of the line.
    low, high = at - 0.35 * pitch, at + 1.15 * pitch
    assert largest.extent == pytest.approx(ring_mm2(low, high, 80.0), rel=0.15)
    assert abs(largest.at["theta_deg"] - 290.0) < 5
