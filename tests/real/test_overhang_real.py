"""The overhang on the published scan of a real 21700's top, and what must not change it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from conftest import shared_data
from xctrules_overhang.lengths import lengths
from xctrules_overhang.metric import OverhangMetric
from xctrules_segmentation.classical import ClassicalSegmenter

from xctrules.core.measurement import Measurement
from xctrules.core.slices import ArraySlices, Scan
from xctrules.cylinder.finding import CylinderFinder
from xctrules.cylinder.surfaces import CylinderCell, CylinderSettings
from xctrules.scans.opening import open_scan

Volume = np.ndarray[Any, Any]


@cache
def scan() -> Scan:
    return open_scan(shared_data("cell_21700_top"))


def segmented(one: Scan, angles: int) -> CylinderCell:
    cell = CylinderCell(one, CylinderFinder().find(one, {}), one.scale, CylinderSettings(angles=angles), {})
    return dataclasses.replace(cell, segmentation=ClassicalSegmenter().segment(cell))


@cache
def original(angles: int = 72) -> tuple[CylinderCell, dict[str, Measurement]]:
    cell = segmented(scan(), angles)
    return cell, {m.name: m for m in OverhangMetric().measure(cell).measurements}


def value(name: str, angles: int = 72) -> float:
    found = original(angles)[1][name].value
    assert found is not None
    return found


def test_the_figures_of_the_published_cell() -> None:
    # Ranges from the independent traces named in the reference values.
    assert value("overhang.count") >= 1300
    assert value("overhang.length.mean") == pytest.approx(0.66, abs=0.05)
    assert value("overhang.deflection.mean") == pytest.approx(-3.5, abs=1.0)
    assert value("overhang.deflection.std") == pytest.approx(4.1, abs=0.7)


@pytest.mark.parametrize("angles", [72, 360])
def test_no_negative_overhang_is_invented(angles: int) -> None:
    assert value("overhang.negative_fraction", angles) == 0
    smallest = original(angles)[1]["overhang.length.min"].value
    # Half-planes 0.9 mm apart vouch for nothing between them: one that is not clear leaves no smallest.
    assert (smallest is None and angles == 72) or smallest > 0.3


def test_the_upper_end_is_in_view_and_the_lower_one_is_not() -> None:
    cell, found = original()
    assert cell.segmentation is not None
    assert set(cell.segmentation.ends) == {"top"}
    assert found["overhang.bottom.length.min"].status == "not_measured"


def test_more_angles_tell_the_same() -> None:
    step = scan().voxel_size_mm[0]
    assert value("overhang.length.mean", 360) == pytest.approx(value("overhang.length.mean"), abs=0.1 * step)


def _rotated(volume: Volume, angle_deg: float) -> Volume:
    import cv2

    ny, nx = volume.shape[1:]
    turn = cv2.getRotationMatrix2D((nx / 2, ny / 2), angle_deg, 1.0)
    return np.stack([cv2.warpAffine(s, turn, (nx, ny), flags=cv2.INTER_CUBIC) for s in volume])


def _cropped(volume: Volume) -> Volume:
    bright = (volume > 120).mean(axis=0) > 0.3  # the wall, not the streaks at the border
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    assert rows[0] > 4 and columns[0] > 4
    return volume[:, rows[0] - 4 : rows[-1] + 5, columns[0] - 4 : columns[-1] + 5].copy()


CHANGES: dict[str, Callable[[Volume], Volume]] = {
    "turned by 90 degrees": lambda v: np.rot90(v, axes=(1, 2)).copy(),
    "turned by 33 degrees": lambda v: _rotated(v, 33.0),
    "end to end": lambda v: v[::-1].copy(),
    "mirrored": lambda v: v[:, :, ::-1].copy(),
    "16 bit": lambda v: v.astype(np.uint16) * 257,
    "grey rescaled": lambda v: (v * 0.4 + 20).astype(np.float32),
    "empty border cropped": _cropped,
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_does_not_change_the_cell_does_not_change_the_overhang(name: str) -> None:
    changed = dataclasses.replace(scan(), slices=ArraySlices(CHANGES[name](scan().slices[:])))
    cell = segmented(changed, 72)
    found = {m.name: m for m in OverhangMetric().measure(cell).measurements}
    step = scan().voxel_size_mm[0]
    mean = found["overhang.length.mean"].value
    assert mean == pytest.approx(value("overhang.length.mean"), abs=0.3 * step)
    assert found["overhang.negative_fraction"].value == 0
    assert found["overhang.count"].value >= 0.98 * value("overhang.count")
    # Mirroring and turning end to end change the sense of the winding, not the lean outward.
    lean = found["overhang.deflection.mean"].value
    assert lean == pytest.approx(value("overhang.deflection.mean"), abs=0.5)


def test_thrice_the_noise_is_still_measured() -> None:
    noisy = scan().slices[:] + np.random.default_rng(5).normal(0, 4.5, scan().shape).astype(np.float32)
    cell = segmented(dataclasses.replace(scan(), slices=ArraySlices(noisy.astype(np.float32))), 72)
    assert cell.segmentation is not None
    found = lengths(cell.segmentation.ends["top"])
    step = scan().voxel_size_mm[0]
    assert np.nanmean(found) == pytest.approx(value("overhang.length.mean"), abs=0.3 * step)
    assert np.isfinite(found).sum() >= 0.95 * value("overhang.count")
    assert np.nanmin(found) > 0
