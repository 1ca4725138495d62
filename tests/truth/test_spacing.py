"""The spacing of the slices, told by the cell itself: a right one is borne, half and double are refused."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import numpy as np
import pytest
from xctrules_screening.by_scale import scale_figures
from xctrules_screening.findings import Findings, Judged
from xctrules_screening.sheet import chords

from xctrules.core.slices import ArraySlices
from xctrules.cylinder.finding import CylinderFinder
from xctrules.cylinder.phantom import Imaging, Phantom, draw, preset, small
from xctrules.cylinder.surfaces import CylinderCell, CylinderSettings


@cache
def drawn(**changes: Any) -> Phantom:
    return draw(small(**{"roll_in_view_mm": 1.0, **changes}))


def told(
    phantom: Phantom,
    spacing: float = 1.0,
    volume: np.ndarray | None = None,
    nominal: dict[str, float] | None = None,
) -> tuple[Judged, Judged]:
    """Figures of a scan whose slices are said to be ``spacing`` times as far apart as they are."""
    sheet, height = judged_scale(phantom, spacing, volume, nominal).judged
    return sheet, height


def judged_scale(
    phantom: Phantom,
    spacing: float = 1.0,
    volume: np.ndarray | None = None,
    nominal: dict[str, float] | None = None,
    **acquisition: Any,
) -> Findings:
    """The same with what it rejects; ``acquisition`` is said of the scan as well."""
    scan = phantom.scan()
    z, y, x = scan.voxel_size_mm
    scan = dataclasses.replace(
        scan, voxel_size_mm=(spacing * z, y, x), acquisition={**scan.acquisition, **acquisition}
    )
    if volume is not None:
        scan = dataclasses.replace(scan, slices=ArraySlices(volume))
    frame = CylinderFinder().find(scan, {})
    return scale_figures(CylinderCell(scan, frame, scan.scale, CylinderSettings(), nominal or {}))


SOUND: list[dict[str, Any]] = [
    {},
    {"imaging": Imaging(noise=0.2)},
    {"imaging": Imaging(noise=0.0)},
    {"imaging": Imaging(blur_px=1.5)},
    {"imaging": Imaging(cupping=0.15, rings=0.02)},
    {"voxel_size_mm": (0.08, 0.04, 0.04)},
    {"voxel_size_mm": (0.02, 0.04, 0.04)},
    {"voxel_size_mm": (0.06,) * 3},
    {"tilt_deg": 5.0},
    {"view": "both", "height_mm": 9.0},
    {"slice_order": "bottom_to_top"},
]


@pytest.mark.parametrize("changes", SOUND, ids=lambda c: ", ".join(map(str, c)) or "as it is")
def test_a_right_spacing_is_borne_and_half_and_double_are_refused(changes: dict[str, Any]) -> None:
    phantom = drawn(**changes)
    right, _ = told(phantom)
    assert right.judgement == "good"
    # Drawn from one sheet: no forming. Blur and leaning sheet leave 5 % of it.
    assert right.measurement.value == pytest.approx(1.0, abs=0.06)
    for factor in (0.5, 2.0):
        wrong, _ = told(phantom, factor)
        assert wrong.judgement == "rejected", factor
        assert "are the slices" in str(wrong.complaint)
    assert told(phantom, 0.5)[0].measurement.value == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("format", ["18650", "21700", "26650", "4680"])
def test_cells_of_all_formats(format: str) -> None:
    voxel = 0.1 if format == "4680" else 0.05
    phantom = draw(preset(format, roll_in_view_mm=1.5, voxel_size_mm=(voxel,) * 3))
    assert told(phantom)[0].judgement == "good"
    assert told(phantom, 0.5)[0].judgement == "rejected"


@pytest.mark.parametrize("how", ["thinned", "averaged", "smoothed along the axis", "smoothed in the slices"])
def test_what_is_done_to_slices_is_no_wrong_spacing(how: str) -> None:
    from scipy.ndimage import gaussian_filter

    volume = drawn().volume
    pairs = volume[: len(volume) // 2 * 2].reshape(-1, 2, *volume.shape[1:])
    changed, spacing = {
        "thinned": (pairs[:, 0], 2.0),
        "averaged": (np.rint(pairs.mean(axis=1)), 2.0),
        "smoothed along the axis": (gaussian_filter(volume.astype(np.float32), (1.5, 0, 0)), 1.0),
        "smoothed in the slices": (gaussian_filter(volume.astype(np.float32), (0, 1.0, 1.0)), 1.0),
    }[how]
    figure, _ = told(drawn(), spacing, np.asarray(changed).astype(np.uint8))
    assert figure.judgement in ("good", "not measured")


@pytest.mark.parametrize("view", ["bottom", "roll"])
def test_without_a_bead_nothing_is_said(view: str) -> None:
    for factor in (0.5, 1.0, 2.0):
        figure, _ = told(drawn(view=view), factor)
        assert figure.measurement.value is None
        assert "bead" in str(figure.measurement.reason)


def test_a_sheet_of_one_slice_is_not_measured() -> None:
    figure, _ = told(drawn(voxel_size_mm=(0.2, 0.04, 0.04)))
    assert figure.measurement.value is None


# --- voxels that are no cubes ------------------------------------------------------------------------------

UNEVEN = {"voxel_size_mm": (0.08, 0.04, 0.04)}


@pytest.mark.parametrize("view", ["top", "bottom", "roll"])
@pytest.mark.parametrize("spacing", [0.55, 0.8, 1.25, 1.48])
def test_a_spacing_unlike_the_voxels_width_is_not_believed_of_cubes(view: str, spacing: float) -> None:
    """Whether the bead shows that these are cubes, or nothing shows anything."""
    (said,) = judged_scale(drawn(view=view), spacing).rejections
    assert f"the spacing of the slices is given as {0.04 * spacing:.2g} mm" in said
    assert f"{spacing:.2f} times the width" in said and "slice_step" in said


@pytest.mark.parametrize("view", ["top", "bottom", "roll"])
def test_cubes_and_slices_whose_step_is_told_are_believed(view: str) -> None:
    assert judged_scale(drawn(view=view)).rejections == ()
    assert judged_scale(drawn(view=view), 1.01).rejections == ()  # rounded in the file
    uneven = drawn(view=view, **UNEVEN)  # its scan says why
    assert judged_scale(uneven).rejections == ()
    (wrong,) = judged_scale(uneven, 0.5).rejections
    assert "given as 0.04 mm" in wrong and "a slice_step of 2 makes it 0.08 mm" in wrong


@pytest.mark.parametrize(
    "changes", [UNEVEN, {"voxel_size_mm": (0.02, 0.04, 0.04)}, {"voxel_size_mm": (0.054, 0.04, 0.04)}]
)
def test_what_the_bead_shows_needs_no_word(changes: dict[str, Any]) -> None:
    assert judged_scale(drawn(**changes), slice_step=None).rejections == ()
    (hidden,) = judged_scale(drawn(view="bottom", **changes), slice_step=None).rejections
    assert "nothing in view shows" in hidden


def test_what_the_height_shows_needs_no_word() -> None:
    cell = drawn(view="both", height_mm=9.0, fittings=False, **UNEVEN)
    assert judged_scale(cell, slice_step=None, nominal={"height": 9.0}).rejections == ()


# --- the height --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("factor", "judgement"), [(1.0, "good"), (0.5, "rejected"), (1.2, "rejected")])
def test_the_height_is_held_against_the_nominal_one_where_both_ends_are_seen(
    factor: float, judgement: str
) -> None:
    phantom = drawn(view="both", height_mm=9.0)
    _, height = told(phantom, factor, nominal={"height": 9.0})
    assert height.judgement == judgement
    # The can's outline ends with its crimp, a little below the cap's top.
    assert height.measurement.value == pytest.approx(factor, rel=0.06)


def test_of_a_part_nothing_is_said_unless_it_is_higher_than_a_cell() -> None:
    _, part = told(drawn(), nominal={"height": 9.0})
    assert part.measurement.value is None and "part" in str(part.measurement.reason)
    _, more = told(drawn(), nominal={"height": 3.0})
    assert more.judgement == "rejected"
    _, unknown = told(drawn())
    assert "nominal height" in str(unknown.measurement.reason)


def test_chords_are_measured_between_half_heights() -> None:
    grey = np.array([[0.0, 0.25, 0.75, 1.0, 1.0, 0.0, 1.0]], dtype=np.float32)
    found = chords(grey, axis=1)[0]
    # From 1.5, where 0.25 rises to 0.75, to 4.5; the last run ends only where the image does.
    assert found[2:5] == pytest.approx([3.0] * 3)
    assert np.isnan(found[[0, 1, 5, 6]]).all()
