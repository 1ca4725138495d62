"""Training data: do labels tell the truth, do parts stay apart, does a stopped build go on?"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from xctrules.campaigns.training import build, evaluate, scan_planes
from xctrules.campaigns.training.phantom_planes import UNKNOWN, PhantomPlanes, labels_in_frame
from xctrules.core.errors import OutputError
from xctrules.core.slices import ArraySlices
from xctrules.cylinder.half_planes import ROWS, STANDARD_MM, Planes, standard_planes
from xctrules.cylinder.phantom import Greys, Imaging, Tab, draw, small
from xctrules.cylinder.surfaces import LABELS
from xctrules.engine.testing import phantom_cell

NO_GREYS = {name: 0.0 for name in Greys.__dataclass_fields__}


@pytest.fixture(scope="module")
def drawn():
    """A leaning, telescoping cell of few turns in a tilted scan, its frame and planes."""
    spec = small(
        turns=5.0,
        outer_diameter_mm=6.2,
        view="top",
        roll_in_view_mm=1.6,
        beyond_mm=1.4,
        tilt_deg=1.0,
        overhang_mm=0.7,
        telescope_mm=0.3,
        deflection_inner_deg=8.0,
        deflection_outer_deg=-10.0,
        bead_out_mm=1.1,
    )
    cell, _ = phantom_cell(draw(spec), angles=36, segmented=False)
    planes = standard_planes(cell, cell.frame.ends[0], np.arange(5.0, 360.0, 45.0))
    return spec, cell, planes, labels_in_frame(spec, cell.frame, planes)


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize(
    ("parts", "names", "least"),
    [
        # A cathode is 4 pixels wide, the labelled foil 2.5, the can 6: sampling a volume between its voxels
        # moves a border by up to a quarter of a pixel, which is that much of the area on either side.
        (("cathode_coating", "aluminium"), ("cathode",), 0.94),
        (("copper",), ("copper", "overhang"), 0.88),
        (("can",), ("can",), 0.95),
    ],
)
def test_labels_are_what_a_drawing_of_that_part_alone_shows(drawn, parts, names, least):
    spec, cell, planes, label = drawn
    layers = dataclasses.replace(spec.layers, copper_mm=0.10, separator_mm=1e-3)
    alone = dataclasses.replace(
        spec,
        layers=layers,
        greys=Greys(**{**NO_GREYS, **dict.fromkeys(parts, 1.0)}),
        imaging=Imaging(blur_px=0.0, noise=0.0, dtype="float32", clip_outside=False),
    )
    volume = dataclasses.replace(cell.scan, slices=ArraySlices(draw(alone).volume))
    z = planes.end.z_mm + planes.end.outward * planes.height_mm
    order = np.argsort(z)
    sampled = np.empty((z.size, planes.theta_deg.size, planes.r_mm.size))
    sampled[order] = cell.frame.cylinder(volume, z[order], planes.theta_deg, planes.r_mm)
    shown = np.nan_to_num(sampled).swapaxes(0, 1) >= 0.5
    mine = np.isin(label, [LABELS[name] for name in names])
    known = label != UNKNOWN
    assert known.any() and mine.any()
    assert dice(shown & known, mine & known) > least


def test_tips_and_feet_of_labelled_overhangs_lie_at_the_true_heights(drawn):
    spec, cell, _, _ = drawn
    truth = draw(spec).truth
    samples = truth["samples"]["top"]
    frame = dataclasses.replace(
        cell.frame,
        origin_mm=tuple(truth["frame"]["origin_mm"]),
        axis=tuple(truth["frame"]["axis"]),
    )
    cell = dataclasses.replace(cell, frame=frame)
    theta = np.arange(0, 360, 30)
    planes = standard_planes(cell, frame.ends[0], theta.astype(float))
    label = labels_in_frame(spec, frame, planes)
    anode, length, radius = (
        np.array(samples[name], dtype=float)[:, theta] for name in ("anode_z_mm", "length_mm", "radius_mm")
    )
    compared = 0
    for turn, k in np.argwhere(np.isfinite(length)):
        here = np.abs(planes.r_mm - radius[turn, k]) < 0.16  # what a lean of 10 degrees takes it aside
        rows = np.flatnonzero((label[k][:, here] == LABELS["overhang"]).any(axis=1))
        if not rows.size:
            continue
        tip = planes.height_mm[rows[0]] + STANDARD_MM / 2
        foot = planes.height_mm[rows[-1]] - STANDARD_MM / 2
        true_tip = planes.end.outward * (anode[turn, k] - planes.end.z_mm)
        # A pixel is labelled where half of it is filled: half a pixel, and as much again for leaning foils.
        assert abs(tip - true_tip) < STANDARD_MM
        assert abs((tip - foot) - length[turn, k]) < 1.5 * STANDARD_MM
        compared += 1
    assert compared > 0.9 * np.isfinite(length).sum()


def test_a_tab_is_background_and_the_foil_at_it_unknown():
    tab = Tab(turn=2, theta_deg=90.0, electrode="anode", width_mm=1.5, beyond_mm=1.0)
    spec = small(
        turns=5.0, outer_diameter_mm=6.6, view="top", roll_in_view_mm=1.2, beyond_mm=1.4, tabs=(tab,)
    )
    cell, _ = phantom_cell(draw(spec), angles=36, segmented=False)
    planes = standard_planes(cell, cell.frame.ends[0], np.array([90.0, 270.0]))
    label = labels_in_frame(spec, cell.frame, planes)
    rows = planes.seen & (planes.height_mm < -0.3)
    assert (label[0, rows] == UNKNOWN).any()
    assert not (label[1, rows] == UNKNOWN).any()
    # At most a foil that the tab's own turn lost differs between the two half-planes' heights beyond tips.
    high = planes.seen & (planes.height_mm > 0.85) & (planes.height_mm < 1.0)
    roll = planes.r_mm < spec.outer_diameter_mm / 2 - 1.0
    assert (label[0][np.ix_(high, roll)] == LABELS["background"]).all()


def test_stacks_follow_from_seed_and_index_alone():
    first, other = PhantomPlanes(1, 2), PhantomPlanes(2, 2)
    again = PhantomPlanes(1, 2)
    again.stack(0)
    a, b, c = first.stack(3), again.stack(3), other.stack(3)
    assert np.array_equal(a.grey, b.grey) and np.array_equal(a.label, b.label)
    assert a.grey.shape != c.grey.shape or not np.array_equal(a.grey, c.grey)
    assert a.grey.dtype == np.float32 and np.isfinite(a.grey).all()
    assert a.grey.shape[:2] == (2, ROWS) and a.grey.shape[2] % 8 == 0
    assert set(np.unique(a.label)) <= {*LABELS.values(), UNKNOWN}
    assert np.median(a.grey[a.label == LABELS["cathode"]]) > 0.5


@pytest.mark.parametrize(("count", "shift"), [(360, 0.0), (72, 2.5), (1000, 0.1)])
def test_thirds_do_not_come_near_each_other(count, shift):
    theta = np.arange(count) * 360.0 / count + shift
    parts = scan_planes.split_by_angle(theta)
    taken = np.concatenate(list(parts.values()))
    assert taken.size == np.unique(taken).size
    names = list(parts)
    for i, one in enumerate(names):
        assert parts[one].size > 0.25 * count
        assert np.ptp(theta[parts[one]]) < 120
        for two in names[i + 1 :]:
            away = np.abs(theta[parts[one]][:, None] - theta[parts[two]])
            assert np.minimum(away, 360 - away).min() >= 2 * scan_planes.GUARD_DEG


def test_a_correction_changes_what_it_names_and_nothing_else():
    n = 40
    label = np.full((3, n, n), LABELS["background"], np.uint8)
    label[:, :, 20] = LABELS["overhang"]
    label[:, :, 30] = LABELS["can"]
    planes = Planes(
        np.zeros(label.shape, np.float32), np.ones(n, bool), np.linspace(1, -1, n),
        np.array([0.0, 10.0, 20.0]), np.arange(n) * 0.04, 0.0, 1.0,
    )  # fmt: skip
    before = label.copy()
    scan_planes.Correction((5, 15), (0.7, 1.3), (0.0, 0.5), UNKNOWN).apply(label, planes)
    changed = label != before
    assert changed[1].any() and not changed[[0, 2]].any()
    assert not changed[before == LABELS["can"]].any()
    height = planes.height_mm[np.nonzero(changed[1])[0]]
    assert height.min() >= 0 and height.max() < 0.5
    scan_planes.Correction((0, 5), (0, 9), (-9, 9), UNKNOWN, (LABELS["overhang"],)).apply(label, planes)
    assert (label[0] == UNKNOWN).sum() == (before[0] == LABELS["overhang"]).sum()


def test_corrections_are_for_one_scan_only(drawn):
    _, cell, _, _ = drawn
    assert scan_planes.corrections_of(cell.scan) == ()


RECIPE = build.Recipe(stacks=3, planes=1, validation_stacks=1, validation_planes=1, published=0)


def test_a_stopped_build_makes_what_is_missing_and_the_same_again(tmp_path: Path):
    build.make_data(tmp_path, RECIPE, tell=lambda text: None)
    images = sorted((tmp_path / "images").glob("*.tif"))
    assert len(images) == 3 and len(list((tmp_path / "validation" / "images").glob("*.tif"))) == 1
    content = {path: path.read_bytes() for path in images}
    times = {path: path.stat().st_mtime_ns for path in images}
    images[1].unlink()
    build.make_data(tmp_path, RECIPE, tell=lambda text: None)
    assert {path: path.read_bytes() for path in images} == content
    untouched = (images[0], images[2])
    assert {p: p.stat().st_mtime_ns for p in untouched} == {p: times[p] for p in untouched}
    assert not list(tmp_path.rglob("*.part"))
    with pytest.raises(OutputError, match="another build"):
        build.make_data(tmp_path, dataclasses.replace(RECIPE, seed=5), tell=lambda text: None)


# --- evaluation ------------------------------------------------------------------------------------------


def _planes_with_foils():
    label = np.zeros((6, 40, 60), np.uint8)
    for column in (10, 25, 40):
        label[:, 10:30, column : column + 3] = LABELS["overhang"]
    return label


def _found(label, found):
    n, rows, columns = label.shape
    grey = np.zeros(label.shape, np.float32)
    return evaluate.disagreements(
        grey, label, found, np.arange(n, dtype=float), np.arange(rows) * -0.04, np.arange(columns) * 0.04
    )


def test_a_foil_missed_on_neighbouring_planes_is_one_disagreement():
    label = _planes_with_foils()
    found = label.copy()
    found[2:5, :, 24:29] = LABELS["background"]
    (place,) = _found(label, found)
    assert (place.first_deg, place.last_deg, place.planes) == (2.0, 4.0, 3)
    assert (place.said, place.labelled) == ("background", "overhang")
    assert place.r_mm == pytest.approx(26 * 0.04)


def test_borders_that_differ_by_a_pixel_are_no_disagreement():
    label = _planes_with_foils()
    assert _found(label, np.roll(label, 1, axis=2)) == []
    unknown = label.copy()
    unknown[:, :, 22:32] = UNKNOWN
    found = label.copy()
    found[:, :, 24:29] = LABELS["background"]
    assert _found(unknown, found) == []


def test_dice_leaves_unknown_pixels_out():
    label = _planes_with_foils()
    found = label.copy()
    found[:, :, 40:43] = LABELS["copper"]
    label[:, :, 38:46] = UNKNOWN
    counts = evaluate.agreement(found, label)
    assert counts.shape == (6, len(LABELS), 3)
    both, guessed, labelled = counts[:, LABELS["overhang"]].T
    assert (both == labelled).all() and (both == guessed).all() and both[0] == 2 * 20 * 3
    assert counts[:, LABELS["copper"]].sum() == 0


def test_a_step_that_was_not_measured_on_every_cell_does_not_hold():
    def row(cell, step, error, share):
        return {
            "cell": cell,
            "step": step,
            "classical": {"error": None, "share": 0.0},
            "unet": {"error": error, "share": share},
        }

    rows = [row("a", step, 0.2, 0.9) for step, *_ in evaluate.STEPS]
    rows += [row("b", step, None if step == evaluate.ALL_THREE else -0.3, 0.8) for step, *_ in evaluate.STEPS]
    table = evaluate.ladder_table(rows)
    scores = {
        "phantoms": {"dice": {"cathode": 0.96, "copper": 0.89, "overhang": 0.9}},
        "ladder": {"table": table},
        "voxel_sizes": [{"error": 0.1}, {"error": -0.2}],
    }
    holds = {c["id"]: c["holds"] for c in evaluate.criteria(scores)}
    assert holds["noise x 3: mean overhang"] is True
    assert holds["all three: mean overhang"] is False
    assert holds["all three: share measured"] is True
    assert holds["phantoms: Dice of copper"] is False and holds["phantoms: Dice of cathode"] is True
    assert next(line for line in table if line["step"] == "noise x 3")["unet"]["worst_error"] == -0.3


def test_the_error_common_to_all_lengths_is_in_mm_and_keeps_its_mean():
    one, two, *_ = evaluate.ladder_cells().items()

    def row(cell, error_mm, share=0.9):
        voxel = cell[1].voxel_size_mm[0]
        return {
            "cell": cell[0], "step": "published",
            "unet": {"error": None if error_mm is None else error_mm / voxel, "share": share},
        }  # fmt: skip

    assert one[1].voxel_size_mm[0] != two[1].voxel_size_mm[0]
    rows = [row(one, 0.03), row(two, 0.04), row(one, 9.0, share=0.1), row(two, None, share=0.0)]
    found = evaluate.common_error(rows)
    assert found.sigma_mm == pytest.approx(np.sqrt((0.03**2 + 0.04**2) / 2), abs=1e-5)
    assert "2 scans" in found.source
    assert evaluate.common_error(rows[2:]) is None


def test_the_least_contrast_is_the_last_that_was_right_above_all_that_were_wrong():
    def row(contrast, error, share=0.9):
        return {"contrast": contrast, "unet": {"error": error, "share": share}}

    good = [row(12.25, 0.1), row(8.49, -0.9), row(6.02, 0.5)]
    assert evaluate.least_contrast(good) == 6.0
    assert evaluate.least_contrast([*good, row(4.6, -2.0)]) == 6.0
    assert evaluate.least_contrast([*good, row(7.0, 1.1)]) == 8.4, "another cell fails earlier"
    assert evaluate.least_contrast([*good, row(5.0, 0.1, share=0.3)]) == 6.0, "too little of it was seen"
    assert evaluate.least_contrast([*good, row(5.0, None, share=0.0)]) == 6.0
    assert evaluate.least_contrast([row(12.0, 1.5)]) is None
    assert evaluate.least_contrast([]) is None


def test_what_the_evaluation_found_goes_into_the_card():
    from xctrules.cylinder.model_card import ModelCard, Training

    before = ModelCard(
        name="m", title="t", version="1", training=Training(data="d", seed=1), scope=build.SCOPE,
        licence="MIT", scores={"export": {}},
    )  # fmt: skip
    cell, spec = next(iter(evaluate.ladder_cells().items()))
    measured = {"unet": {"error": 0.5, "share": 1.0}}
    rows = [{"cell": cell, "step": "published", **measured}]
    after = build.scored(before, {"ladder": {"rows": rows}, "noise": [{"contrast": 5.5, **measured}]})
    assert after.common_error.sigma_mm == pytest.approx(0.5 * spec.voxel_size_mm[0])
    assert after.scope.least_contrast == 5.5 and after.scope.voxel_mm == before.scope.voxel_mm
    assert set(after.scores) == {"export", "ladder", "noise"}
    nothing = build.scored(before, {"ladder": {"rows": []}})
    assert (nothing.common_error, nothing.scope) == (before.common_error, before.scope)


def test_halved_contrast_keeps_the_scanner_s_noise():
    spec = small()
    worse = evaluate.degraded(spec, 3.0, 1.5, True)
    before, after = spec.greys, worse.greys
    assert after.cathode_coating - after.anode_coating == pytest.approx(
        (before.cathode_coating - before.anode_coating) / 2
    )
    noise = [s.imaging.noise * s.greys.cathode_coating for s in (spec, worse)]
    assert noise[1] == pytest.approx(3 * noise[0])
    assert worse.imaging.blur_px == 1.5


# --- the shipped model -----------------------------------------------------------------------------------


def test_the_shipped_model_has_its_card_scores_and_page():
    from xctrules.cylinder.model_card import find_model, models_folder

    found = find_model("overhang_unet")
    scores = found.card.scores
    asked = {line["id"] for line in scores["criteria"]}
    assert {f"phantoms: Dice of {name}" for name in ("cathode", "copper", "overhang")} <= asked
    steps = {line["step"] for line in scores["ladder"]["table"]}
    assert {"published", "noise x 3", "blur 1.5 voxels", "contrast halved", "all three"} <= steps
    assert found.tflite.stat().st_size < 4_000_000
    page = models_folder() / "overhang_unet.html"
    text = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 1_500_000
    assert found.sha256 in text  # the page is this model's and no other's
    assert "://" not in text  # nothing is loaded from elsewhere
    assert all(str(line["id"]) in text for line in scores["criteria"])
    assert text.count("University College London") >= 1


def test_a_model_without_a_scan_says_so():
    words = build._words(build.Recipe(), None)
    assert "no scan" in words and "University" not in words


def test_the_page_of_a_model_that_falls_short_says_where():
    from xctrules.campaigns.training.model_page import render
    from xctrules.cylinder.model_card import find_model

    card = find_model("overhang_unet").card
    worse = [{**line, "holds": False} if "copper" in line["id"] else line for line in card.scores["criteria"]]
    scores = {**card.scores, "criteria": worse}
    scores.pop("scan", None)
    text = render(card.model_copy(update={"scores": scores}), [])
    assert "1 requirement is not met" in text
    assert "Not met: phantoms: Dice of copper" in text
    assert "No real scan had a part" in text
    assert "Differences from the labels" not in text
