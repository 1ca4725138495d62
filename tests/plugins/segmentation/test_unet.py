"""The segmenter ``unet`` behind its network, and the door through which a network comes in.

In most tests the network is an ideal one: it answers with what was drawn, rounded to whole pixels and a
little blurred, and knows nothing of the scan. What is then measured shows the way from class probabilities to
lengths. Nothing here depends on a trained model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import shared_data
from typer.testing import CliRunner
from xctrules_overhang.metric import OverhangMetric
from xctrules_segmentation.classical import ClassicalSegmenter
from xctrules_segmentation.quality import SegmentationQuality
from xctrules_segmentation.unet import LEAST_PLANES, UnetSegmenter

from xctrules.campaigns.training.phantom_planes import labels_in_frame
from xctrules.cli import main as cli
from xctrules.core.errors import ModelError, PluginError
from xctrules.core.measurement import Measurement
from xctrules.cylinder import litert
from xctrules.cylinder.half_planes import STANDARD_MM, Planes
from xctrules.cylinder.model_card import (
    CommonError,
    FoundModel,
    ModelCard,
    ModelScope,
    Training,
    find_model,
    write_card,
)
from xctrules.cylinder.phantom import NegativeOverhang, Phantom, PhantomSpec, draw, small
from xctrules.cylinder.surfaces import LABELS, MEASURED, UNCLEAR, CylinderCell, EndEdges, Segmentation
from xctrules.engine.inspection import inspect
from xctrules.engine.testing import assert_metric_conforms, phantom_cell

Network = Callable[[Planes], np.ndarray]


@pytest.fixture
def model(tmp_path: Path) -> str:
    """Path of a model that is never run."""
    return make_model(tmp_path)


def run(model: FoundModel, grey: np.ndarray) -> litert.Probabilities:
    return litert.probabilities_of(model.data, grey, model.tflite)


def make_model(folder: Path, data: bytes = b"never run", common_mm: float | None = None, **scope: Any) -> str:
    (folder / "ideal.tflite").write_bytes(data)
    limits = {"voxel_mm": (0.02, 0.07), "least_contrast": 3.0, "least_confidence": 0.6, **scope}
    card = ModelCard(
        name="ideal",
        title="What was drawn",
        version="7",
        training=Training(data="none", seed=0),
        scope=ModelScope(**limits),
        licence="MIT",
    )
    if common_mm is not None:
        card = card.model_copy(update={"common_error": CommonError(sigma_mm=common_mm, source="this test")})
    write_card(card, folder)
    return str(folder / "ideal")


def ideal(spec: PhantomSpec, cell: CylinderCell) -> Network:
    def run(planes: Planes) -> np.ndarray:
        return soft(labels_in_frame(spec, cell.frame, planes))

    return run


def soft(labels: np.ndarray) -> np.ndarray:
    """Probabilities of a network that is in doubt at the borders of its classes only."""
    sure = (np.where(labels > 4, 0, labels)[..., None] == np.arange(len(LABELS))).astype(np.float32)
    blurred = np.stack([cv2.GaussianBlur(plane, (0, 0), 0.5) for plane in sure])
    return np.asarray(blurred / blurred.sum(axis=-1, keepdims=True))


CASES: dict[str, dict[str, Any]] = {
    "sound": {},
    "turned": {"handedness": -1, "tilt_deg": 2.0, "tilt_direction_deg": 70.0, "view": "bottom"},
    "anisotropic": {"voxel_size_mm": (0.068, 0.04, 0.04)},
    "one negative": {
        "negative_overhangs": (NegativeOverhang(turn=4, theta_deg=100.0, width_deg=30.0, length_mm=-0.2),)
    },
}


@cache
def drawn(case: str) -> tuple[Phantom, CylinderCell, Any]:
    """A phantom, its cell, and what the classical segmenter finds in it."""
    phantom = draw(small(**CASES[case]))
    cell, _ = phantom_cell(phantom, angles=72, segmented=False)
    return phantom, cell, ClassicalSegmenter().segment_with_cathodes(cell)


@pytest.fixture
def classical(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has the classical segmenter find something else than it would."""

    def finds(found: Segmentation, faces: Any) -> None:
        monkeypatch.setattr(ClassicalSegmenter, "segment_with_cathodes", lambda self, cell: (found, faces))

    return finds


def lengths(edges: EndEdges) -> np.ndarray:
    reach = edges.outward * edges.cathode_z_mm
    return np.asarray(edges.outward * edges.anode_z_mm - np.fmax(*reach))


def true_lengths(phantom: Phantom, end: str) -> np.ndarray:
    """(nturns, 72)."""
    return np.array(phantom.truth["samples"][end]["length_mm"], dtype=float)[:, ::5]


# --- from probabilities to lengths -------------------------------------------------------------------------


@pytest.mark.parametrize("case", list(CASES))
def test_lengths_come_out_as_drawn(case: str, model: str, classical: Callable[..., None]) -> None:
    phantom, cell, found = drawn(case)
    classical(*found)
    seen = UnetSegmenter(model, ideal(phantom.spec, cell)).segment(cell)
    ((name, edges),) = seen.ends.items()
    assert seen.segmenter == "unet"
    truth = true_lengths(phantom, name)
    # Classes are rounded to whole pixels, at random from edge to edge: 0.29 of one each, 0.41 for both, and
    # nothing on average. Where a tip lies beside a cathode the drawn foil hardly shows: another pixel.
    assert np.nanmean(lengths(edges)) == pytest.approx(np.nanmean(truth), abs=0.25 * STANDARD_MM)
    assert (edges.state == MEASURED).sum() > 0.97 * np.isfinite(truth).sum()
    error = np.nanmedian(np.sort(np.abs(lengths(edges)), axis=None)) - np.nanmedian(np.abs(truth))
    assert abs(error) < 0.5 * STANDARD_MM
    shortest = float(np.nanmin(truth))
    assert np.nanmin(lengths(edges)) == pytest.approx(shortest, abs=2 * STANDARD_MM)


def test_no_figure_of_the_overhang_holds_an_unfilled_place(
    model: str, classical: Callable[..., None]
) -> None:
    phantom, cell, found = drawn("sound")
    classical(*found)
    cell = replace(cell, segmentation=UnetSegmenter(model, ideal(phantom.spec, cell)).segment(cell))
    figures: Any = OverhangMetric().measure(cell).figures
    assert figures
    for figure in figures:
        told = [figure.title, figure.caption, getattr(figure, "alt", ""), getattr(figure, "x_label", "")]
        assert not any(brace in text for text in told for brace in "{}"), figure.id
        assert "top end" in figure.title, figure.id


def test_paths_follow_the_foil(model: str, classical: Callable[..., None]) -> None:
    """For the deflection: the mean lean of the free foils is the drawn one."""
    phantom, cell, found = drawn("sound")
    classical(*found)
    edges = UnetSegmenter(model, ideal(phantom.spec, cell)).segment(cell).ends["top"]
    height, radius = edges.outward * edges.path_z_mm, edges.path_r_mm
    known = np.isfinite(height)
    many = known.sum(axis=-1) >= 8
    mean = [np.where(known, a, 0).sum(axis=-1) / np.maximum(known.sum(axis=-1), 1) for a in (height, radius)]
    dh, dr = (np.where(known, a - m[..., None], 0) for a, m in zip((height, radius), mean, strict=True))
    slope = (dh * dr).sum(axis=-1)[many] / (dh**2).sum(axis=-1)[many]
    truth = np.array(phantom.truth["samples"]["top"]["deflection_deg"], dtype=float)
    # A foil of whole pixels is off by up to one over its 0.6 mm, four degrees, either way: little on average.
    assert np.degrees(np.arctan(slope)).mean() == pytest.approx(np.nanmean(truth), abs=1.0)


def test_few_half_planes_are_measured_among_many(model: str) -> None:
    """The foil is followed from plane to plane, so that a network is asked more often than the user asks."""
    phantom, cell, _ = drawn("sound")
    cell = replace(cell, settings=replace(cell.settings, angles=12))
    asked = []

    def run(planes: Planes) -> np.ndarray:
        asked.append(planes.theta_deg)
        return ideal(phantom.spec, cell)(planes)

    edges = UnetSegmenter(model, run).segment(cell).ends["top"]
    assert asked[0].size >= LEAST_PLANES
    assert np.allclose(edges.theta_deg, np.arange(12) * 30.0)
    truth = np.array(phantom.truth["samples"]["top"]["length_mm"], dtype=float)[:, ::30]
    assert np.nanmean(lengths(edges)) == pytest.approx(np.nanmean(truth), abs=0.4 * STANDARD_MM)


# --- where the classical segmenter gives up ----------------------------------------------------------------


@pytest.mark.parametrize("case", ["sound", "turned"])
def test_the_foil_is_followed_in_the_networks_copper(
    case: str, model: str, classical: Callable[..., None]
) -> None:
    phantom, cell, (found, _) = drawn(case)
    classical(replace(found, foil=None, ends={}, missing={**found.missing, "foil": "too noisy"}), None)
    seen = UnetSegmenter(model, ideal(phantom.spec, cell)).segment(cell)
    ((name, edges),) = seen.ends.items()
    assert seen.parameters["ends"][name]["foil_followed_in"] == "network"  # type: ignore[index]
    assert "foil" not in seen.missing
    truth = true_lengths(phantom, name)
    assert (edges.state == MEASURED).sum() > 0.95 * np.isfinite(truth).sum()
    assert np.nanmean(lengths(edges)) == pytest.approx(np.nanmean(truth), abs=0.25 * STANDARD_MM)
    foil = seen.need_foil()
    assert foil.handedness == phantom.spec.handedness
    turns = np.isfinite(foil.radius_mm).any(axis=0).sum() / foil.theta_deg.size
    assert turns == pytest.approx(phantom.spec.turns, abs=0.15)  # ends are lost within their blur
    # The centre of two or three pixels, over a third of a millimetre of height: a tenth of a pixel on
    # average, and no place off by more than a pixel and a half.
    true = np.array(phantom.truth["samples"][name]["radius_mm"], dtype=float)
    radius = foil.radius_mm[0][:, :: foil.theta_deg.size // 72]
    away = np.abs(radius[:, None] - np.nan_to_num(true[None, :, ::5], nan=np.inf)).min(axis=1)
    away = away[np.isfinite(away)]
    assert away.size > 0.9 * np.isfinite(true[:, ::5]).sum()
    assert away.mean() < 0.5 * STANDARD_MM
    assert np.percentile(away, 99) < 1.5 * STANDARD_MM


def test_a_foil_traced_wrongly_is_not_believed(model: str, classical: Callable[..., None]) -> None:
    """Half a pitch off, as noise makes it, what was followed is the cathode."""
    phantom, cell, (found, faces) = drawn("sound")
    foil = found.need_foil()
    wrong = replace(foil, radius_mm=foil.radius_mm + 0.5 * phantom.spec.pitch_mm)
    moved = replace(
        faces,
        inner_mm=faces.inner_mm + 0.5 * phantom.spec.pitch_mm,
        outer_mm=faces.outer_mm + 0.5 * phantom.spec.pitch_mm,
    )
    classical(replace(found, foil=wrong), moved)
    seen = UnetSegmenter(model, ideal(phantom.spec, cell)).segment(cell)
    assert seen.parameters["ends"]["top"]["foil_followed_in"] == "network"  # type: ignore[index]
    truth = true_lengths(phantom, "top")
    assert np.nanmean(lengths(seen.ends["top"])) == pytest.approx(np.nanmean(truth), abs=0.25 * STANDARD_MM)


def test_a_network_that_sees_no_winding_measures_nothing(model: str, classical: Callable[..., None]) -> None:
    _, cell, (found, _) = drawn("sound")
    classical(replace(found, foil=None, ends={}, missing={**found.missing, "foil": "too noisy"}), None)

    def blind(planes: Planes) -> np.ndarray:
        return soft(np.zeros(planes.grey.shape, dtype=np.uint8))

    seen = UnetSegmenter(model, blind).segment(cell)
    assert not seen.ends
    assert "cannot be followed at the top end" in seen.missing["top"]
    assert seen.can is found.can, "the can does not depend on the network"


# --- trust -------------------------------------------------------------------------------------------------


def unsure(network: Network, sector: tuple[float, float]) -> Network:
    """The same answers, with hardly any margin in a sector of angles."""

    def run(planes: Planes) -> np.ndarray:
        answer = network(planes)
        doubt = (planes.theta_deg >= sector[0]) & (planes.theta_deg < sector[1])
        answer[doubt] = 0.4 * answer[doubt] + 0.6 / len(LABELS)
        return answer

    return run


def test_where_the_network_is_in_doubt_nothing_is_measured(
    model: str, classical: Callable[..., None]
) -> None:
    phantom, cell, found = drawn("sound")
    classical(*found)
    seen = UnetSegmenter(model, unsure(ideal(phantom.spec, cell), (90.0, 150.0))).segment(cell)
    edges, confidence = seen.ends["top"], seen.confidence["top"]
    doubt = (edges.theta_deg >= 90) & (edges.theta_deg < 150)
    assert not (edges.state[:, doubt] == MEASURED).any()
    assert (edges.state[:, doubt] == UNCLEAR).sum() > 0.8 * doubt.sum() * (phantom.spec.turns - 2)
    assert np.isnan(edges.anode_z_mm[edges.state != MEASURED]).all()
    assert (edges.state[:, ~doubt] == MEASURED).sum() > 0.8 * (~doubt).sum() * (phantom.spec.turns - 2)
    assert np.nanmax(confidence.confidence[:, doubt]) < 0.6 < np.nanmin(confidence.confidence[:, ~doubt])
    assert 90 <= confidence.example_deg < 150, "the report shows where to look first"
    assert any("confidence" in warning for warning in seen.warnings)


@pytest.mark.parametrize(("blind_deg", "waives"), [(0.0, True), (90.0, False), (360.0, False)])
def test_layers_need_not_show_where_the_network_tells_them_apart(
    blind_deg: float, waives: bool, model: str, classical: Callable[..., None]
) -> None:
    """Only then may the overhang be measured in a scan whose layers do not stand apart in its greys: never
    with a network that has no copper where the foil is, on a quarter of the turn or all of it."""
    phantom, cell, found = drawn("sound")
    classical(*found)

    def run(planes: Planes) -> np.ndarray:
        labels = labels_in_frame(phantom.spec, cell.frame, planes)
        foil = np.isin(labels, (LABELS["copper"], LABELS["overhang"]))
        labels[foil & (planes.theta_deg < blind_deg)[:, None, None]] = LABELS["cathode"]
        return soft(labels)

    waived = UnetSegmenter(model, run).segment(cell).waives
    assert set(waived) == ({"screening.layer_separation"} if waives else set())
    assert all("ideal" in reason and "copper" in reason for reason in waived.values())


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ({"voxel_mm": (0.01, 0.02)}, "voxels of 40 x 40 x 40 um are not between 10 and 20 um"),
        ({"voxel_mm": (0.05, 0.07)}, "are not between 50 and 70 um"),
        ({"least_contrast": 1e4}, "outside the model's scope at the top end"),
    ],
)
def test_outside_its_scope_a_model_does_not_measure(
    tmp_path: Path, scope: dict[str, Any], said: str, classical: Callable[..., None]
) -> None:
    phantom, cell, found = drawn("sound")
    classical(*found)
    seen = UnetSegmenter(make_model(tmp_path, **scope), ideal(phantom.spec, cell)).segment(cell)
    assert not seen.ends
    assert said in seen.missing["top"]


def test_agreement_compares_class_by_class(model: str, classical: Callable[..., None]) -> None:
    phantom, cell, found = drawn("sound")
    classical(*found)
    network = ideal(phantom.spec, cell)
    good = UnetSegmenter(model, network).segment(cell).agreement

    def shorter(planes: Planes) -> np.ndarray:
        labels = network(planes).argmax(axis=-1)
        labels[:, (planes.height_mm > 0.3) & (planes.height_mm < 1.2)] = LABELS["background"]
        return soft(labels)

    bad = UnetSegmenter(model, shorter).segment(cell).agreement
    assert good is not None and bad is not None
    # Outlines of a foil 2.5 pixels wide that differ by a fifth of a pixel on either side: 0.92.
    assert min(good.dice.values()) > 0.88
    assert bad.dice["cathode"] == pytest.approx(good.dice["cathode"], abs=0.01)
    assert bad.dice["overhang"] < 0.75, "half of each free foil is gone"
    cell = replace(cell, segmentation=UnetSegmenter(model, network).segment(cell))
    measured = {m.name: m for m in SegmentationQuality().measure(cell).measurements}
    assert measured["segmentation.agreement"].value == pytest.approx(np.mean(list(good.dice.values())))
    alone = {
        m.name: m for m in SegmentationQuality().measure(replace(cell, segmentation=found[0])).measurements
    }
    assert alone["segmentation.agreement"].value is None
    assert "only the classical" in str(alone["segmentation.agreement"].reason)


def test_the_report_shows_where_the_model_is_sure(model: str, classical: Callable[..., None]) -> None:
    phantom, cell, found = drawn("sound")
    classical(*found)
    cell = replace(cell, segmentation=UnetSegmenter(model, ideal(phantom.spec, cell)).segment(cell))
    assert_metric_conforms(SegmentationQuality(), cell)
    figures = {figure.id: figure for figure in SegmentationQuality().measure(cell).figures}
    assert {"segmentation-confidence-top", "segmentation-example-top"} <= set(figures)
    example: Any = figures["segmentation-example-top"]
    agreement = next(m for m in SegmentationQuality().measure(cell).measurements if "agreement" in m.name)
    assert f"segmenter is {agreement.value:.2f};" in example.caption
    outlines = {line.label: line.points for line in example.overlays}
    assert set(outlines) == {"can", "cathode", "copper", "overhang"}
    # Where the outline says that overhangs are, the drawn cathodes have ended: rows count from outside.
    lowest, highest = np.nanmax(outlines["overhang"][:, 1]), np.nanmin(outlines["cathode"][:, 1])
    edge = np.array(phantom.truth["samples"]["top"]["cathode_z_mm"], dtype=float)
    spread = float(np.nanmax(edge) - np.nanmin(edge))
    per_mm = 1 / example.pixel_mm[0]
    assert abs(lowest - highest) < (spread + 3 * STANDARD_MM) * per_mm


def test_the_record_names_the_model(model: str, classical: Callable[..., None]) -> None:
    phantom, cell, found = drawn("sound")
    classical(*found)
    parameters = UnetSegmenter(model, ideal(phantom.spec, cell)).segment(cell).parameters
    assert parameters["model"] == "ideal"
    assert parameters["model_version"] == "7"
    assert parameters["model_sha256"] == find_model(model).sha256
    assert parameters["common_error"] == find_model(model).card.common_error.model_dump()
    assert parameters["scope"] == find_model(model).card.scope.model_dump()


# --- the network's own error -------------------------------------------------------------------------------

NETWORK_LINE = "systematic error of the network"


def network_lines(measurements: Sequence[Measurement]) -> dict[str, float]:
    """By measurement, what the budget has for the network's own error."""
    return {
        m.name: line.contribution for m in measurements for line in m.budget if line.source == NETWORK_LINE
    }


def test_an_error_that_all_tips_have_in_common_is_in_the_budget(
    tmp_path: Path, classical: Callable[..., None]
) -> None:
    """The network takes every tip for a pixel too long: no scatter shows that, only the card can say it."""
    phantom, cell, found = drawn("sound")
    classical(*found)

    def long(planes: Planes) -> np.ndarray:
        labels = labels_in_frame(phantom.spec, cell.frame, planes)
        tip = (labels[:, :-1] == LABELS["background"]) & (labels[:, 1:] == LABELS["overhang"])
        labels[:, :-1][tip] = LABELS["overhang"]
        return soft(labels)

    seen = UnetSegmenter(make_model(tmp_path, common_mm=STANDARD_MM), long).segment(cell)
    known = {m.name: m for m in OverhangMetric().measure(replace(cell, segmentation=seen)).measurements}
    lines = network_lines(list(known.values()))
    for statistic in ("length.mean", "length.min", "length.max", "base_height.range"):
        assert lines[f"overhang.{statistic}"] == pytest.approx(STANDARD_MM)
        assert lines[f"overhang.top.{statistic}"] == pytest.approx(STANDARD_MM)
    for statistic in ("length.std", "base_height.std"):
        assert 0 < lines[f"overhang.{statistic}"] <= STANDARD_MM
    assert not any("deflection" in name or "count" in name for name in lines)

    mean = known["overhang.length.mean"]
    assert mean.value is not None and mean.standard_uncertainty and mean.expanded_uncertainty
    off = abs(mean.value - float(np.nanmean(true_lengths(phantom, "top"))))
    assert off > 0.5 * STANDARD_MM, "else the network is not what this test says"
    without = [line.contribution for line in mean.budget if line.source != NETWORK_LINE]
    assert 2 * np.linalg.norm(without) < off < mean.expanded_uncertainty


def test_lengths_that_all_may_be_too_long_hide_short_ones(
    tmp_path: Path, classical: Callable[..., None]
) -> None:
    phantom, cell, found = drawn("one negative")
    classical(*found)
    least = float(np.nanmin(true_lengths(phantom, "top")))
    assert least < -0.1
    model = make_model(tmp_path, common_mm=abs(least) + 0.05)
    seen = UnetSegmenter(model, ideal(phantom.spec, cell)).segment(cell)
    lines = network_lines(OverhangMetric().measure(replace(cell, segmentation=seen)).measurements)
    # The other way round than the lengths: where these are too long, too few are below zero.
    assert lines["overhang.negative_fraction"] < 0 < lines["overhang.length.mean"]


def test_without_a_network_there_is_no_such_line() -> None:
    _, cell, (found, _) = drawn("one negative")
    metric = OverhangMetric().measure(replace(cell, segmentation=found))
    assert not network_lines(metric.measurements)
    assert any(m.budget for m in metric.measurements)


# --- the door ----------------------------------------------------------------------------------------------


def test_a_changed_model_ends_the_command_with_one_sentence(
    tmp_path: Path,
) -> None:
    model = make_model(tmp_path)
    (tmp_path / "ideal.tflite").write_bytes(b"something else")
    scan = draw(small(view="slice")).write(tmp_path / "scan")
    options = ["--spec", "21700", "--segmenter", f"unet:{model}", "--out", str(tmp_path / "out")]
    told = CliRunner().invoke(cli.app, ["inspect", str(scan), *options])
    assert told.exit_code == 2
    assert told.stdout == ""
    assert "SHA-256 differs" in " ".join(told.stderr.split())
    assert "Traceback" not in told.stderr
    assert not (tmp_path / "out").exists()


def test_a_missing_model_is_told_before_the_scan_is_read(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.tflite|nowhere\.json|no such model"):
        inspect(tmp_path / "no such scan", "21700", segmenter=f"unet:{tmp_path / 'nowhere.tflite'}")


def test_a_spec_can_ask_for_a_model_beside_it(tmp_path: Path) -> None:
    model = make_model(tmp_path)
    (tmp_path / "ideal.tflite").write_bytes(b"something else")
    spec = tmp_path / "mine.yaml"
    spec.write_text(
        "schema: xctrules.spec/1\nname: mine\nversion: '1'\nextends: '21700'\n"
        f"segmenter: unet:{Path(model).name}.tflite\n"
    )
    with pytest.raises(ModelError, match="SHA-256 differs"):
        inspect(tmp_path / "no such scan", spec)


def test_a_segmenter_that_takes_no_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="classical takes no model"):
        inspect(tmp_path / "no such scan", "21700", segmenter="classical:something")


def test_a_colon_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="no model after the colon") as told:
        inspect(tmp_path / "no such scan", "21700", segmenter="unet:")
    assert "--segmenter" in str(told.value)


def test_more_half_planes_than_pixels_are_refused_before_the_scan_is_read(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="closer together than its pixels") as told:
        inspect(tmp_path / "no such scan", "21700", segmenter="unet", angles=7200)
    assert "--angles" in str(told.value)


def test_an_empty_model_is_told_as_empty(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="empty"):
        run(find_model(make_model(tmp_path, b"")), np.zeros((2, 96, 32), dtype=np.float32))


@pytest.mark.parametrize("data", [b"", b"never run", b"TFL3" * 300])
def test_a_file_that_is_no_model_is_told(tmp_path: Path, data: bytes) -> None:
    found = find_model(make_model(tmp_path, data))
    with pytest.raises(ModelError, match="cannot be run"):
        run(found, np.zeros((2, 96, 32), dtype=np.float32))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> FoundModel:
    """An untrained network of the shipped one's form, exported."""
    pytest.importorskip("tensorflow", reason="making a model needs TensorFlow: pip install xctrules[train]")
    from xctrules.campaigns.training import export, network

    network.tensorflow()
    import keras

    keras.utils.set_random_seed(3)
    folder = tmp_path_factory.mktemp("tiny")
    return find_model(make_model(folder, export.to_tflite(network.build(2))))


def test_tiles_and_batches_leave_no_seam(tiny: FoundModel, monkeypatch: pytest.MonkeyPatch) -> None:
    grey = np.random.default_rng(1).normal(0.5, 0.4, (5, 96, 2 * litert.TILE + 136)).astype(np.float32)
    tiled = run(tiny, grey)
    monkeypatch.setattr(litert, "TILE", grey.shape[2])
    monkeypatch.setattr(litert, "BATCH", 5)
    whole = run(tiny, grey)
    assert tiled.shape == (5, 96, grey.shape[2], len(LABELS))
    assert np.allclose(tiled.sum(axis=-1), 1, atol=1e-4)
    assert np.ptp(whole) > 0.1, "an answer that does not depend on the image would show no seam"
    # Half-precision weights, single-precision sums in another order.
    assert np.abs(tiled - whole).max() < 1e-4


def test_an_untrained_model_measures_nothing_and_breaks_nothing(tiny: FoundModel, tmp_path: Path) -> None:
    scan = draw(small()).write(tmp_path / "scan")
    found = inspect(scan, "21700", segmenter=f"unet:{tiny.tflite}", angles=24, third_party=False)
    record = found.record
    assert record["parameters"]["segmenter"] == "unet"
    assert record["parameters"]["segmentation"]["model_sha256"] == tiny.sha256
    assert not record["failures"]
    overhang = record["measurements"]["overhang.top.length.mean"]
    assert overhang["status"] == "not_measured"
    assert record["measurements"]["canister.outer_diameter"]["status"] == "measured"
    json.dumps(record)
    assert str(tmp_path) not in json.dumps(record["parameters"]), "paths of a machine are no parameters"


# --- the model that comes with the package -----------------------------------------------------------------


def test_the_bundled_model_measures_a_drawn_cell() -> None:
    """Of a size and winding of its own: no cell of this kind was among those that it was trained on."""
    phantom, cell, _ = drawn("anisotropic")
    seen = UnetSegmenter().segment(cell)
    edges, truth = seen.ends["top"], true_lengths(phantom, "top")
    assert (edges.state == MEASURED).sum() > 0.95 * np.isfinite(truth).sum()
    # What is asked of it on bad scans, of half of a slice on good ones.
    assert np.nanmean(lengths(edges)) == pytest.approx(np.nanmean(truth), abs=0.5 * 0.068)


def test_the_bundled_model_agrees_with_the_classical_segmenter_on_a_real_cell() -> None:
    found = inspect(shared_data("cell_21700_top"), "21700", segmenter="unet", angles=72, third_party=False)
    values = {name: m.value for name, m in found.measurements.items()}
    agreement, coverage = values["segmentation.agreement"], values["segmentation.coverage"]
    assert agreement is not None and agreement > 0.85
    assert coverage is not None and coverage > 0.98
    classical = inspect(shared_data("cell_21700_top"), "21700", angles=72, third_party=False).measurements
    mean, other = values["overhang.length.mean"], classical["overhang.length.mean"].value
    assert mean is not None and other is not None
    assert mean == pytest.approx(other, abs=0.5 * 0.068), "half a slice, as asked on planes kept for testing"
