"""Tests on tubes drawn here, so that their truth owes nothing to xctrules."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from xctrules_centre_pin.metric import CentrePinMetric

from xctrules.core.measurement import Scale
from xctrules.core.slices import ArraySlices, Scan
from xctrules.cylinder.finding import CylinderFinder
from xctrules.cylinder.phantom import CentrePin, draw, small
from xctrules.cylinder.surfaces import CylinderCell, CylinderSettings
from xctrules.engine.testing import assert_metric_conforms, phantom_cell

VOXEL_MM = 0.04


def ring(
    shape: int, x_mm: float, y_mm: float, outer_mm: float, inner_mm: float, blur_mm: float
) -> np.ndarray:
    """Share of each pixel that lies in a ring, under Gaussian blur across its edges."""
    grid = (np.arange(shape) - (shape - 1) / 2) * VOXEL_MM
    r = np.hypot(grid[None, :] - x_mm, grid[:, None] - y_mm)
    erf = np.vectorize(math.erf)

    def disc(radius: float) -> np.ndarray:
        return 0.5 * (1 - erf((r - radius) / (blur_mm * math.sqrt(2))))

    return disc(outer_mm) - (disc(inner_mm) if inner_mm > 0 else 0.0)


def drawn_cell(pin_diameter_mm: float | None, centre_mm: tuple[float, float] = (0.0, 0.0)) -> CylinderCell:
    """A can with a roll of concentric layers and, if asked for, a steel tube with a wall of 0.2 mm."""
    n, blur = 231, 0.04
    image = 197.0 * ring(n, 0, 0, 4.2, 4.0, blur)
    for turn in range(6):
        middle = 1.6 + 0.4 * turn
        image += 80.0 * ring(n, 0, 0, middle + 0.1, middle - 0.1, blur)
    if pin_diameter_mm is not None:
        radius = pin_diameter_mm / 2
        image += 190.0 * ring(n, *centre_mm, radius, radius - 0.2, blur)
    noise = np.random.default_rng(3).normal(0, 2.0, (20, n, n))
    volume = np.clip(np.rint(10 + image + noise), 0, 255).astype(np.uint8)
    scan = Scan(Path("drawn"), ArraySlices(volume), (VOXEL_MM,) * 3, {})
    frame = CylinderFinder().find(scan, {})
    frame = dataclasses.replace(frame, roll_mm=(0.0, 19 * VOXEL_MM))  # open rings show no end to find it by
    return CylinderCell(scan, frame, Scale(0.0005, stated=True), CylinderSettings(), {})


@pytest.mark.parametrize("diameter_mm", [1.2, 1.5, 1.83])
@pytest.mark.parametrize("centre_mm", [(0.0, 0.0), (0.09, -0.06)])
def test_diameter_of_a_drawn_tube(diameter_mm: float, centre_mm: tuple[float, float]) -> None:
    found = assert_metric_conforms(CentrePinMetric(), drawn_cell(diameter_mm, centre_mm))
    assert found["centre_pin.present"].value == 1
    pin = found["centre_pin.diameter"]
    assert pin.value is not None and pin.expanded_uncertainty is not None
    # Two faces, each located to a tenth of a voxel.
    assert pin.value == pytest.approx(diameter_mm, abs=0.2 * VOXEL_MM)
    assert abs(pin.value - diameter_mm) <= pin.expanded_uncertainty


def test_without_a_pin_there_is_none() -> None:
    found = assert_metric_conforms(CentrePinMetric(), drawn_cell(None))
    assert found["centre_pin.present"].value == 0
    assert found["centre_pin.diameter"].status == "not_measured"


def test_on_a_phantom_of_xctrules() -> None:
    cell, _ = phantom_cell(
        draw(small(pin=CentrePin(outer_diameter_mm=1.1, wall_mm=0.2))), segmented=False, angles=72
    )
    found = assert_metric_conforms(CentrePinMetric(), cell)
    assert found["centre_pin.diameter"].value == pytest.approx(1.1, abs=0.2 * VOXEL_MM)


SPEC = """\
schema: xctrules.spec/1
name: pinned
version: "1"
rules:
  - {id: pin, measurement: centre_pin.present, min: 1, unit: "1", decision_rule: simple,
     source: drawing 1, status: drawing}
  - {id: diameter, measurement: centre_pin.diameter, min: 1.0, max: 1.2, unit: mm,
     source: drawing 1, status: drawing}
"""


def test_the_whole_way(tmp_path: Path) -> None:
    """As installed: found through its entry point, judged by a rule, shown in the report."""
    from xctrules import inspect

    scan = draw(small(pin=CentrePin(outer_diameter_mm=1.1, wall_mm=0.2))).write(tmp_path / "scan")
    spec = tmp_path / "pinned.yaml"
    spec.write_text(SPEC)
    result = inspect(scan, spec, out=tmp_path / "out")
    assert result.verdict == "PASS"
    assert result.folder is not None
    record = json.loads((result.folder / "record.json").read_text())
    assert "centre-pin" in [plugin["name"] for plugin in record["plugins"]]
    assert "Centre pin" in result.report_html and "images/centre_pin-section.png" in result.images


def test_its_spec_is_known_by_name() -> None:
    from xctrules.engine.registry import load_plugins
    from xctrules.rules.cellspec import load_spec

    registry = load_plugins()
    spec = load_spec("21700-centre-pin", folders=registry.spec_folders, known=registry.measurements)
    inherited = load_spec("21700")
    assert {rule["id"] for rule in inherited.rules} < {rule["id"] for rule in spec.rules}
