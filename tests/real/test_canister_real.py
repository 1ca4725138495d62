"""The can of the real scans: published figures as a range of sanity, and what must not change when the scan
is changed.

The published notebooks threshold at one grey level (see their repository, doi 10.5281/zenodo.17625584); the
ranges here are theirs, widened by what a threshold does to a blurred wall.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tifffile
from conftest import shared_data
from xctrules_canister.metric import Canister
from xctrules_segmentation.can import segment_can

from xctrules.core.measurement import Measurement, Scale
from xctrules.core.slices import ArraySlices, Scan
from xctrules.cylinder.finding import CylinderFinder
from xctrules.cylinder.surfaces import CylinderCell, CylinderSettings, Segmentation

IN_PLANE = 0.03397


@cache
def cell_21700() -> Scan:
    folder = shared_data("cell_21700_top")
    slices = [tifffile.imread(path) for path in sorted(folder.glob("im*.tif"))]
    return Scan(folder, ArraySlices(np.stack(slices)), (0.06794, IN_PLANE, IN_PLANE), {})


def measure(scan: Scan, mask_of: str | None = None, angles: int = 180) -> dict[str, Measurement]:
    frame = CylinderFinder().find(scan, {}, mask_of)
    chosen = CylinderSettings(angles=angles, mask_of=mask_of)  # type: ignore[arg-type]
    cell = CylinderCell(scan, frame, Scale(0.0, True), chosen, {})
    with_can = replace(cell, segmentation=Segmentation(segmenter="test", can=segment_can(cell)))
    return {m.name.removeprefix("canister."): m for m in Canister().measure(with_can).measurements}


@cache
def as_scanned() -> dict[str, Measurement]:
    return measure(cell_21700())


def test_real_can() -> None:
    found = as_scanned()
    assert found["outer_diameter"].value == pytest.approx(21.21, abs=0.04)
    assert 0.20 <= (found["wall_thickness.mean"].value or 0) <= 0.24
    assert (found["wall_thickness.min"].value or 0) >= 0.17
    assert (found["wall_thickness.max"].value or 1) <= 0.28
    assert (found["eccentricity"].value or 1) < 0.07
    assert (found["dent_depth"].value or 0) < 0.03
    assert (found["tilt"].value or 0) < 1.0


def _upside_down(v: np.ndarray) -> np.ndarray:
    return v[::-1]


def _mirrored(v: np.ndarray) -> np.ndarray:
    return v[:, :, ::-1]


def _quarter_turn(v: np.ndarray) -> np.ndarray:
    return np.rot90(v, axes=(1, 2))


def _sixteen_bits(v: np.ndarray) -> np.ndarray:
    return v.astype(np.uint16) * 130 + 900


def _cropped(v: np.ndarray) -> np.ndarray:
    return v[:, 45:-35, 30:-40]


@pytest.mark.parametrize("change", [_upside_down, _mirrored, _quarter_turn, _sixteen_bits, _cropped])
def test_real_can_stays_the_same(change) -> None:  # type: ignore[no-untyped-def]
    scan = cell_21700()
    before = as_scanned()
    after = measure(replace(scan, slices=ArraySlices(np.ascontiguousarray(change(scan.slices[:])))))
    for name in ("outer_diameter", "inner_diameter", "wall_thickness.mean", "ovality", "dent_depth"):
        assert after[name].value == pytest.approx(before[name].value, abs=0.3 * IN_PLANE), name


def test_dented_mask() -> None:
    path = shared_data("canister_dent") / "mask.tif"
    mask = tifffile.imread(path)
    found = measure(
        Scan(Path(path), ArraySlices(mask[None]), (0.0479, 0.0479, 0.0479), {}),
        mask_of="canister",
        angles=360,
    )
    assert found["dent_depth"].value == pytest.approx(1.0, abs=0.1)
    assert found["eccentricity"].value == pytest.approx(0.498, abs=0.01)
    # Area counted voxel by voxel needs no model: wall and all that it encloses.
    from scipy.ndimage import binary_fill_holes

    area = float(binary_fill_holes(mask).sum()) * 0.0479**2
    assert found["outer_diameter"].value == pytest.approx(2 * np.sqrt(area / np.pi), abs=0.1 * 0.0479)
