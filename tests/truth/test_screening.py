"""The screening against drawn cells: each figure against its own truth, each level from below and above."""

from __future__ import annotations

import dataclasses
import math
import re
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from xctrules_screening.layers import find_layers
from xctrules_screening.linearity import beside_each_other
from xctrules_screening.metric import Screening
from xctrules_screening.sampling import unroll

from xctrules.core.measurement import Measurement, MetricResult
from xctrules.cylinder.phantom import Imaging, Phantom, canister_mask, draw, small
from xctrules.cylinder.surfaces import CylinderCell
from xctrules.engine.testing import assert_metric_conforms, phantom_cell

NOMINAL = {"outer_diameter": 8.0, "wall_thickness": 0.25}
VOXEL = 0.04
RADIUS = 4.0


@cache
def drawn(**changes: Any) -> Phantom:
    return draw(small(**{"roll_in_view_mm": 1.0, **changes}))


def screened(
    phantom: Phantom, volume: np.ndarray | None = None, nominal: dict[str, float] | None = None
) -> tuple[dict[str, Measurement], MetricResult, CylinderCell]:
    if volume is not None:
        phantom = dataclasses.replace(phantom, volume=volume)
    cell, _ = phantom_cell(phantom, nominal_mm=NOMINAL if nominal is None else nominal, angles=72)
    result = Screening().measure(cell)
    return {m.name.removeprefix("screening."): m for m in result.measurements}, result, cell


def value(found: dict[str, Measurement], name: str) -> float:
    number = found[name].value
    assert number is not None, found[name].reason
    return number


# --- sound scans -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"imaging": Imaging(noise=0.06)},
        {"voxel_size_mm": (0.05,) * 3},
        {"voxel_size_mm": (0.034,) * 3},
        {"imaging": Imaging(dtype="uint16", grey_offset=2000.0)},
        {"imaging": Imaging(dtype="float32", clip_outside=False)},
        # On a scale like Hounsfield's, every grey value may lie below zero.
        {"imaging": Imaging(dtype="float32", clip_outside=False, grey_scale=100.0, grey_offset=-20000.0)},
        {"tilt_deg": 2.0, "tilt_direction_deg": 50.0},
        {"slice_order": "bottom_to_top", "offset_mm": (0.3, -0.2)},
        {"view": "bottom"},
        {"view": "slice"},
    ],
    ids=lambda c: ", ".join(map(str, c)) or "as it is",
)
def test_a_sound_scan_is_neither_rejected_nor_warned_of(changes: dict[str, Any]) -> None:
    found, result, _ = screened(drawn(**changes))
    assert not result.rejections
    assert not result.warnings
    assert value(found, "layer_separation") > 0.9


def test_it_keeps_the_rules_for_metrics() -> None:
    cell, _ = phantom_cell(drawn(), nominal_mm=NOMINAL, angles=72)
    found = assert_metric_conforms(Screening(), cell)
    assert set(found) == set(Screening.declares)


# --- noise and contrast ------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.02, 0.06, 0.12])
def test_noise_is_that_of_single_voxels(noise: float) -> None:
    noisy = drawn(imaging=Imaging(noise=noise, dtype="float32"))
    clean = drawn(imaging=Imaging(noise=0.0, dtype="float32"))
    true = float(np.std(noisy.volume[-20:, 60:150, 60:150] - clean.volume[-20:, 60:150, 60:150]))
    _, _, cell = screened(noisy)
    assert cell.segmentation is not None
    roll = unroll(cell, cell.segmentation.need_foil())
    assert roll is not None
    layers = find_layers(roll, VOXEL)
    assert layers is not None
    # Interpolation is made up for to 6 %; layers that are not quite the same along the angle add some.
    assert layers.noise == pytest.approx(true, rel=0.12)


def test_snr_and_cnr_fall_as_the_noise_grows_and_ignore_the_grey_scale() -> None:
    base, _, _ = screened(drawn(imaging=Imaging(dtype="float32")))
    worse, _, _ = screened(drawn(imaging=Imaging(noise=0.06, dtype="float32")))
    scaled, _, _ = screened(drawn(imaging=Imaging(dtype="uint16", grey_offset=3000.0)))
    for name in ("snr", "cnr"):
        assert value(base, name) / value(worse, name) == pytest.approx(3.0, rel=0.12)
        assert value(scaled, name) == pytest.approx(value(base, name), rel=0.03)
    assert value(base, "cnr") < value(base, "snr")


@pytest.mark.parametrize("noise", [0.3, 0.8, 1.5])
def test_layers_lost_in_noise_reject_the_scan(noise: float) -> None:
    found, result, _ = screened(drawn(imaging=Imaging(noise=noise)))
    assert result.rejections
    said = " ".join(result.rejections)
    assert "layer" in said or "copper and cathode" in said
    assert "average more frames" in said
    share = found["layer_separation"].value
    assert share is None or share < 0.5


def test_a_segmenter_that_tells_the_layers_apart_is_not_held_to_their_contrast() -> None:
    phantom = drawn(imaging=Imaging(noise=0.3))
    _, result, cell = screened(phantom)
    assert any("copper and cathode" in said for said in result.rejections)
    assert cell.segmentation is not None
    waives = {"screening.layer_separation": "told apart by other means"}
    able = dataclasses.replace(cell, segmentation=dataclasses.replace(cell.segmentation, waives=waives))
    again = Screening().measure(able)
    assert not any("copper and cathode" in said for said in again.rejections)
    (warning,) = (said for said in again.warnings if "copper and cathode" in said)
    assert "told apart by other means" in warning


def test_an_empty_can_is_no_noisy_scan() -> None:
    phantom = drawn(imaging=Imaging(dtype="float32"))
    volume = phantom.volume.copy()
    ny, nx = volume.shape[1:]
    y, x = np.mgrid[:ny, :nx]
    inside = np.hypot(y - (ny - 1) / 2, x - (nx - 1) / 2) * VOXEL < 3.6
    volume[:, inside] = 10.0 + np.random.default_rng(1).normal(0, 1.5, (volume.shape[0], int(inside.sum())))
    found, result, _ = screened(phantom, volume)
    assert not result.rejections
    assert found["layer_separation"].value is None
    assert found["layer_separation"].reason


# --- sharpness ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blur_px", [0.7, 0.9, 1.3])
def test_resolution_is_the_blur_with_the_voxel_itself(blur_px: float) -> None:
    found, _, _ = screened(drawn(imaging=Imaging(blur_px=blur_px)))
    # A voxel averages over itself: 1/12 of its square adds to the variance. 2.563: 10 to 90 % of a Gaussian.
    true = 2.563 * VOXEL * math.sqrt(blur_px**2 + 1 / 12)
    assert value(found, "resolution") == pytest.approx(true, abs=0.15 * VOXEL)


def test_voxels_of_120_um_reject_the_scan_and_say_which_would_do() -> None:
    phantom = drawn(voxel_size_mm=(0.12,) * 3)
    _, result, _ = screened(phantom)
    (said,) = (r for r in result.rejections if "voxels of 0.12 mm" in r)
    cure = re.search(r"voxels of ([\d.]+) mm or less", said)
    assert cure is not None
    # Eight voxels a turn; such a scan does not tell the pitch better than to a twentieth.
    assert float(cure[1]) == pytest.approx(phantom.spec.pitch_mm / 8, rel=0.05)


def test_blur_that_runs_layers_into_one_is_told_of() -> None:
    phantom = drawn(imaging=Imaging(dtype="float32", noise=0.0))
    rng = np.random.default_rng(2)
    verdicts = []
    for extra_px in (0.0, 2.0, 3.2):  # copper and cathode lie 0.19 mm, 4.8 voxels, apart
        volume = gaussian_filter(phantom.volume, (0, extra_px, extra_px))
        volume += rng.normal(0, 1.0, volume.shape).astype(np.float32)
        found, result, _ = screened(phantom, volume)
        verdicts.append((bool(result.rejections), found["resolution"].value))
    assert not verdicts[0][0]
    assert verdicts[2][0]
    assert verdicts[0][1] < verdicts[1][1] < verdicts[2][1]


def test_blur_that_grows_towards_the_border_shows() -> None:
    phantom = drawn(imaging=Imaging(dtype="float32", noise=0.0), roll_in_view_mm=2.6)
    sound, _, cell = screened(phantom)
    assert abs(value(sound, "cone_beam_index")) < 0.1
    assert cell.frame.straight_mm is not None
    low, high = (round(z / VOXEL) for z in cell.frame.straight_mm)
    volume = phantom.volume.copy()
    for k in range(low + (high - low) * 2 // 3, volume.shape[0]):
        volume[k] = gaussian_filter(volume[k], 1.2)
    found, result, _ = screened(phantom, volume)
    # From 0.95 voxel (with the voxel itself) to sqrt(0.95^2 + 1.2^2) = 1.53.
    assert value(found, "cone_beam_index") == pytest.approx(1.53 / 0.95 - 1, abs=0.15)
    assert any("less sharp towards" in w for w in result.warnings)


def test_a_short_view_says_nothing_of_the_cone() -> None:
    found, _, _ = screened(drawn(view="slice"))
    assert found["cone_beam_index"].value is None
    assert "too few for the beam's cone" in str(found["cone_beam_index"].reason)


# --- grey levels over the slice ----------------------------------------------------------------------------


@pytest.mark.parametrize("cupping", [-0.15, 0.0, 0.15, 0.3])
def test_cupping_is_what_was_painted(cupping: float) -> None:
    found, _, _ = screened(drawn(imaging=Imaging(cupping=cupping, dtype="float32")))

    def factor(r_mm: float) -> float:
        return 1 - cupping * (1 - (r_mm / RADIUS) ** 2)

    # Turns 1 to 6 of 8, of 0.384 mm from a core of 0.85 mm: inner third 1.8, outer third 3.2 mm on average.
    inner, outer = factor(1.8), factor(3.2)
    # Greys count from the dark of the can's inside, about 0.15 of the cathode.
    expected = (outer - inner) / (outer - 0.15)
    assert value(found, "cupping") == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.6, -0.4)])
def test_rings_are_found_about_the_scanners_axis_and_turns_are_none(offset: tuple[float, float]) -> None:
    none, _, _ = screened(drawn(offset_mm=offset))
    assert value(none, "ring_index") < 0.2
    begun_late, _, _ = screened(drawn(offset_mm=offset, lead_in_turns=1.4, lead_out_turns=1.7))
    assert value(begun_late, "ring_index") < 0.2
    found, _, _ = screened(drawn(offset_mm=offset, imaging=Imaging(noise=0.02, rings=0.02)))
    more, result, _ = screened(drawn(offset_mm=offset, imaging=Imaging(noise=0.01, rings=0.04)))
    # Rings were painted as strong as the noise, one value for each radius, linear between: that and the bins
    # of one voxel leave two thirds to all of it.
    assert 0.4 < value(found, "ring_index") < 1.1
    assert value(more, "ring_index") > 2 * value(found, "ring_index")
    assert any("rings" in w for w in result.warnings)


def _in_roll(phantom: Phantom) -> np.ndarray:
    ny, nx = phantom.volume.shape[1:]
    y, x = np.mgrid[:ny, :nx]
    r = np.hypot(y - (ny - 1) / 2, x - (nx - 1) / 2) * VOXEL
    return (r > 1.3) & (r < 3.3)


@pytest.mark.parametrize(("share", "outcome"), [(0.02, "good"), (0.1, "warned"), (0.3, "rejected")])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_saturated_roll_is_told_from_a_saturated_wall(share: float, outcome: str, dtype: str) -> None:
    phantom = drawn(imaging=Imaging(dtype="float32"))
    greys = phantom.volume[-20:, _in_roll(phantom)]
    limit = float(np.quantile(greys, 1 - share))
    clipped = np.minimum(phantom.volume, np.float32(limit))
    if dtype == "uint8":
        clipped = np.clip(clipped / limit * 255, 0, 255).round().astype(np.uint8)
    found, result, _ = screened(phantom, clipped)
    # Rounding lets a band of greys just below the limit count, too.
    assert value(found, "saturation") == pytest.approx(share, abs=0.03 + 0.1 * share)
    assert any("white as the grey scale" in r for r in result.rejections) == (outcome == "rejected")
    assert any("electrodes are as white" in w for w in result.warnings) == (outcome == "warned")


def test_saturation_is_seen_where_something_else_was_taken_for_the_roll() -> None:
    """Clipped layers hardly stand out, so that free foils may be taken for the roll; no foil is followed."""
    phantom = drawn(roll_in_view_mm=2.0, imaging=Imaging(grey_scale=4.5))
    cell, _ = phantom_cell(phantom, nominal_mm=NOMINAL, segmented=False, angles=72)
    low, high = cell.frame.roll_mm or (0.0, 0.0)
    beyond = (low - 0.5, low) if cell.frame.ends[0].outward < 0 else (high, high + 0.5)
    astray = dataclasses.replace(cell, frame=dataclasses.replace(cell.frame, roll_mm=beyond))
    result = Screening().measure(astray)
    assert any("white as the grey scale" in said for said in result.rejections)


def test_a_saturated_wall_alone_is_no_fault() -> None:
    phantom = drawn(imaging=Imaging(dtype="float32"))
    volume = phantom.volume.copy()
    ny, nx = volume.shape[1:]
    y, x = np.mgrid[:ny, :nx]
    wall = np.hypot(y - (ny - 1) / 2, x - (nx - 1) / 2) * VOXEL > 3.6
    volume[:, wall] = np.minimum(volume[:, wall] * 1.5, 240.0)
    found, result, _ = screened(phantom, np.clip(volume, 0, 255).astype(np.uint8))
    assert not result.rejections
    assert value(found, "saturation") < 0.01
    assert value(found, "saturated_wall") > 0.9
    assert any("its faces cannot be located" in w for w in result.warnings)


def _raised(phantom: Phantom, power: float) -> np.ndarray:
    """Greys over the wall's, raised to a power, in the volume's own type."""
    volume = phantom.volume.astype(np.float64)
    wall = float(np.percentile(volume[len(volume) // 2], 99.5))
    return (wall * (np.maximum(volume, 0) / wall) ** power).astype(phantom.volume.dtype)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize(("power", "outcome"), [(1.0, "good"), (0.88, "warned"), (0.6, "rejected")])
def test_a_curved_grey_scale_shows_as_noise_of_what_is_dark(power: float, outcome: str, dtype: str) -> None:
    scale = 100.0 if dtype == "uint16" else 1.0
    phantom = drawn(imaging=Imaging(noise=0.03, dtype=dtype, grey_scale=scale))  # type: ignore[arg-type]
    found, result, cell = screened(phantom, _raised(phantom, power))
    ratio = value(found, "grey_linearity")
    # The curve's own slopes at the greys that gap and wall have in it.
    beside = beside_each_other(cell, cell.segmentation.can)  # type: ignore[union-attr, arg-type]
    assert not isinstance(beside, str)
    slope = (beside.gap_grey / beside.wall_grey) ** ((power - 1) / power)
    assert ratio / slope == pytest.approx(1.0, abs=0.12)
    assert any("grey scale is not linear" in text for text in result.rejections) == (outcome == "rejected")
    assert any("grey scale is not linear" in text for text in result.warnings) == (outcome == "warned")


def test_linearity_is_not_told_without_noise_or_with_a_wall_at_the_end_of_the_scale() -> None:
    clean = drawn(imaging=Imaging(noise=0.0))
    assert "noise" in (screened(clean)[0]["grey_linearity"].reason or "")
    noisy = drawn(imaging=Imaging(noise=0.03))
    wall = np.percentile(noisy.volume[len(noisy.volume) // 2], 99.5)
    found, _, _ = screened(noisy, np.minimum(noisy.volume, np.uint8(0.97 * wall)))
    assert "cut off" in (found["grey_linearity"].reason or "")


def test_a_wall_of_which_half_is_cut_off() -> None:
    """The median of its greys is still its own."""
    phantom = drawn(imaging=Imaging(dtype="float32"))
    ny, nx = phantom.volume.shape[1:]
    y, x = np.mgrid[:ny, :nx]
    r = np.hypot(y - (ny - 1) / 2, x - (nx - 1) / 2) * VOXEL
    outer = NOMINAL["outer_diameter"] / 2
    greys = phantom.volume[-20:, (r > outer - 0.15) & (r < outer - 0.05)]
    for share in (0.25, 0.75):
        clipped = np.minimum(phantom.volume, np.float32(np.quantile(greys, 1 - share)))
        found, result, _ = screened(phantom, clipped)
        assert value(found, "saturated_wall") == pytest.approx(share, abs=0.1)
        assert any("its faces cannot be located" in w for w in result.warnings) == (share > 0.5)


@pytest.mark.parametrize(
    ("at", "rejected"),
    [("below air", False), ("air", False), ("among the gaps", True), ("above the gaps", True)],
)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_blacks_that_are_cut_off_above_air_are_told(at: str, rejected: bool, dtype: str) -> None:
    phantom = drawn(imaging=Imaging(dtype="float32"))
    ny, nx = phantom.volume.shape[1:]
    y, x = np.mgrid[:ny, :nx]
    r = np.hypot(y - (ny - 1) / 2, x - (nx - 1) / 2) * VOXEL
    outside = phantom.volume[-20:, r > NOMINAL["outer_diameter"] / 2 + 0.3]
    roll = phantom.volume[-20:, _in_roll(phantom)]
    end = {
        "below air": float(outside.min()) - 1,
        "air": float(np.median(outside)),
        "among the gaps": float(np.quantile(roll, 0.1)),
        "above the gaps": float(np.quantile(roll, 0.4)),
    }[at]
    top = float(phantom.volume.max())
    clipped = np.maximum(phantom.volume, np.float32(end))
    if dtype == "uint8":
        clipped = ((clipped - end) / (top - end) * 250).round().astype(np.uint8)
    _, result, _ = screened(phantom, clipped)
    assert any("cut off at the lower end" in said for said in result.rejections) == rejected


def test_air_that_was_painted_black_is_no_clipped_scale() -> None:
    """Published scans are masked outside their can; what lies inside keeps its greys."""
    phantom = drawn(imaging=Imaging(dtype="float32"))
    ny, nx = phantom.volume.shape[1:]
    y, x = np.mgrid[:ny, :nx]
    r = np.hypot(y - (ny - 1) / 2, x - (nx - 1) / 2) * VOXEL
    masked = phantom.volume.copy()
    masked[:, r > NOMINAL["outer_diameter"] / 2 + 0.2] = 0
    found, result, _ = screened(phantom, masked)
    assert value(found, "clipped_blacks") < 0.001
    assert not any("cut off" in said for said in result.rejections)


# --- geometry ----------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Mean of empty slice")  # of segmenting what is cut off
@pytest.mark.parametrize("width_mm", [7.8, 7.94])
def test_a_can_cut_by_the_images_border(width_mm: float) -> None:
    phantom = drawn(field_of_view_mm=width_mm)
    found, result, _ = screened(phantom)
    half = phantom.volume.shape[2] * VOXEL / 2
    true = 4 * math.acos(min(1.0, half / RADIUS)) / math.pi
    assert value(found, "truncation") == pytest.approx(true, abs=0.12)  # a voxel at a grazing border
    assert value(found, "truncation") > 0.02
    assert any("field of view" in r and "centre the cell" in r for r in result.rejections)


@pytest.mark.parametrize("cut", [False, True])
def test_a_can_cut_by_the_circle_of_reconstruction(cut: bool) -> None:
    phantom = drawn(offset_mm=(0.5, 0.0))
    volume = phantom.volume.copy()
    ny, nx = volume.shape[1:]
    y, x = np.mgrid[:ny, :nx]
    circle = 4.2 if cut else 4.6
    volume[:, np.hypot(y - (ny - 1) / 2, x - (nx - 1) / 2) * VOXEL > circle] = 0
    found, result, _ = screened(phantom, volume)
    # Law of cosines: directions in which the outline lies more than 4.2 mm from the image's middle. Only the
    # heights where the frame still found a round outline count, and there the can may be narrower.
    limit = math.acos((circle**2 - RADIUS**2 - 0.25) / (2 * RADIUS * 0.5)) / math.pi if cut else 0.0
    assert value(found, "truncation") == pytest.approx(limit, abs=0.15)
    assert bool(result.rejections) == cut


@pytest.mark.parametrize(
    ("nominal", "outcome"),
    [(8.0, "good"), (8.2, "warned"), (7.3, "warned"), (9.3, "rejected"), (5.0, "rejected")],
)
def test_the_scale_is_held_against_the_nominal_diameter(nominal: float, outcome: str) -> None:
    found, result, cell = screened(drawn(), nominal={"outer_diameter": nominal})
    assert value(found, "voxel_scale") == pytest.approx(8.0 / nominal, rel=0.002)
    assert any("right voxel size" in r for r in result.rejections) == (outcome == "rejected")
    assert any("right voxel size" in w for w in result.warnings) == (outcome == "warned")
    assert cell.frame.voxel_mm == (VOXEL,) * 3  # told of, never rescaled


def test_no_nominal_diameter_no_scale() -> None:
    found, _, _ = screened(drawn(), nominal={})
    assert found["voxel_scale"].value is None
    assert "nominal" in str(found["voxel_scale"].reason)


def test_slices_that_wander_show_as_residual_of_the_axis() -> None:
    phantom = drawn()
    sound, _, _ = screened(phantom)
    assert value(sound, "axis_residual") < 0.1 * VOXEL
    # Thirds of two voxels each: slow enough to be followed, too far for one straight line.
    shift = [round(2.5 * math.sin(k / 4)) for k in range(phantom.volume.shape[0])]
    volume = np.stack([np.roll(image, s, axis=1) for image, s in zip(phantom.volume, shift, strict=True)])
    found, result, _ = screened(phantom, volume)
    assert value(found, "axis_residual") == pytest.approx(2.5 / math.sqrt(2) * VOXEL, rel=0.4)
    assert any("straight line" in w for w in result.warnings)


@pytest.mark.parametrize(("projections", "warned"), [(200, True), (400, False), (None, False)])
def test_too_few_projections(projections: int | None, warned: bool) -> None:
    cell, _ = phantom_cell(drawn(), nominal_mm=NOMINAL, angles=72)
    told = {**cell.scan.acquisition, "projections": projections}
    cell = dataclasses.replace(cell, scan=dataclasses.replace(cell.scan, acquisition=told))
    # 200 voxels across the can need pi / 2 * 200 = 314 projections.
    result = Screening().measure(cell)
    assert any("projections" in w for w in result.warnings) == warned
    assert not result.rejections


# --- masks -------------------------------------------------------------------------------------------------


def test_a_mask_has_no_grey_levels_to_judge() -> None:
    from pathlib import Path

    from xctrules.core.measurement import Scale
    from xctrules.core.slices import ArraySlices, Scan
    from xctrules.cylinder.finding import CylinderFinder
    from xctrules.cylinder.surfaces import CylinderSettings

    mask = canister_mask(small(view="roll", roll_in_view_mm=0.4)).volume > 0
    scan = Scan(Path("mask"), ArraySlices(mask.astype(np.uint8)), (VOXEL,) * 3, {})
    frame = CylinderFinder().find(scan, {}, "canister")
    cell = CylinderCell(
        scan, frame, Scale(0.001, True), CylinderSettings(mask_of="canister"), {"outer_diameter": 21.2}
    )
    result = Screening().measure(cell)
    found = {m.name: m for m in result.measurements}
    assert set(found) == set(Screening.declares)
    assert found["screening.snr"].value is None and "mask" in str(found["screening.snr"].reason)
    assert not result.rejections
    assert any("right voxel size" in w for w in result.warnings)
