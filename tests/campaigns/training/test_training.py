"""Training of the network on stripes that the tests draw: the whole path, its pieces, and what it refuses."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from command_line import run as xctrules
from training_planes import CATHODE, COPPER, OVERHANG, stripes, write
from typer.testing import Result

from xctrules.campaigns.training import fit, network
from xctrules.campaigns.training.export import disagreement, to_tflite
from xctrules.campaigns.training.fit import Options, batches, class_weights, schedule, train
from xctrules.campaigns.training.pairs import UNKNOWN, PlaneSequence, read_pairs
from xctrules.campaigns.training.qc import outlines
from xctrules.campaigns.training.scores import counts_by_plane, dice_by_class, dice_of, mean_dice, predict
from xctrules.core.errors import ModelError
from xctrules.cylinder.litert import probabilities_of
from xctrules.cylinder.model_card import CommonError, find_model, sha256_of

WITHOUT_TENSORFLOW = importlib.util.find_spec("tensorflow") is None
pytestmark = pytest.mark.skipif(WITHOUT_TENSORFLOW, reason="TensorFlow, the extra “train”, is not installed")

QUICK = ("--channels", 4, "--batch", 8, "--rate", 0.01)
EPOCHS = 6


def run(*args: object) -> Result:
    return xctrules("train", *args)


def sequence(grey: np.ndarray, labels: np.ndarray) -> PlaneSequence:
    return PlaneSequence("drawn", grey, labels, tuple(f"plane {i + 1}" for i in range(len(grey))))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for i in range(5):
        write(folder, f"cell_{i}", *stripes(6, seed=i))
    return folder


@pytest.fixture(scope="module")
def base(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A model trained by the command, and what the command said."""
    out = tmp_path_factory.mktemp("models") / "base"
    return out, run(
        data, "--out", out, "--epochs", EPOCHS, "--crops", 96, *QUICK, "--augment", "strength=0.3"
    )


# --- the whole path --------------------------------------------------------------------------------------


def test_the_command_writes_a_model_that_can_be_used(base, data):
    out, result = base
    assert result.exit_code == 0, result.output
    assert {p.name for p in out.parent.iterdir()} == {
        f"base{suffix}" for suffix in (".keras", ".tflite", ".json", ".html", ".csv")
    }
    found = find_model(out.with_suffix(".json"))  # compares all hashes
    assert found.card.sha256["base.keras"] == sha256_of(out.with_suffix(".keras"))
    assert found.card.training.planes == 24 and read_pairs(data).sha256 in found.card.training.data
    assert "Validation Dice" in result.stdout and "loss" not in result.stdout


def test_it_learns_what_was_drawn(base):
    """On planes drawn anew, not merely on those held out, through the file that measures.

    So short a training tells cathode from foil; how well does not matter here, only that it is no chance:
    stripes guessed without looking score 0.4 at most, the share of the roll that they take.
    """
    grey, labels = stripes(4, width=208, seed=77)
    guess = probabilities_of(find_model(base[0].with_suffix(".json")).data, grey).argmax(axis=-1)
    for value in (CATHODE, COPPER):
        both = ((guess == value) & (labels == value)).sum()
        assert 2 * both / ((guess == value).sum() + (labels == value).sum()) > 0.6


def test_every_epoch_is_in_the_log_with_its_scores(base):
    with base[0].with_suffix(".csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, EPOCHS + 1))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert all(0 <= float(row[f"dice_{name}"]) <= 1 for row in rows for name in ("can", "copper", "overhang"))
    lines = [line for line in base[1].stderr.splitlines() if "validation Dice" in line]
    assert len(lines) == EPOCHS and all("cathode" in line and "overhang" in line for line in lines)


def test_the_page_stands_alone_and_shows_the_worst_planes(base):
    page = base[0].with_suffix(".html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page) and "<script" not in page
    assert page.count("data:image/png;base64,") == 2 * 6  # of six held out planes: as labelled, as found
    assert all(f"plane {i} of 6" in page for i in range(1, 7))
    assert re.search(r"only scored</dt><dd>cell_\d\.tif \(planes 1 to 6\)<", page)
    assert "prefers-color-scheme: dark" in page


def test_a_model_is_not_replaced_unless_asked(base, data):
    before = base[0].with_suffix(".keras").read_bytes()
    result = run(data, "--out", base[0], "--epochs", 1, *QUICK)
    assert result.exit_code == 2 and "--replace" in result.stderr and "base.keras" in result.stderr
    assert base[0].with_suffix(".keras").read_bytes() == before


def test_fine_tuning_on_eight_planes_of_another_contrast_improves_the_scores(base, tmp_path):
    """The foil is now as bright as the cathode was, and the cathode as dim as the foil."""
    other = {"cathode": 0.95, "copper": 1.6, "noise": 0.2}
    write(tmp_path / "data", "few", *stripes(8, seed=31, **other))
    result = run(
        tmp_path / "data", "--out", tmp_path / "tuned", "--from", base[0].with_suffix(".keras"),
        "--epochs", 3, "--crops", 64, "--batch", 8, "--rate", 0.004,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    unseen = sequence(*stripes(4, seed=32, **other))
    scores = [
        mean_dice(dice_by_class(network.load(path.with_suffix(".keras")), [unseen]))
        for path in (base[0], tmp_path / "tuned")
    ]
    assert scores[1] > scores[0] + 0.05
    card = json.loads((tmp_path / "tuned.json").read_text())
    assert sha256_of(base[0].with_suffix(".keras")) in card["training"]["started_from"]
    assert card["scope"] == json.loads(base[0].with_suffix(".json").read_text())["scope"]
    assert card["common_error"]["sigma_mm"] == pytest.approx(0.02) and "assumed" in str(card["common_error"])
    with (tmp_path / "tuned.csv").open() as file:
        first = next(csv.DictReader(file))
    assert first["epoch"] == "0" and first["rate"] == ""  # where it started from, before any step
    assert "Before fine-tuning" in result.stdout and f"{float(first['dice_cathode']):.3f}" in result.stdout
    assert "gained" not in result.stdout + (tmp_path / "tuned.html").read_text(encoding="utf-8")
    held = re.search(r"not trained on, only scored: few\.tif \(planes? (.*)\)", result.stderr)
    assert held and held[1] in ("1 to 2", "7 to 8")  # a fifth of eight, at one end


def test_fine_tuning_that_gains_nothing_says_so_and_keeps_the_model(base, data, tmp_path):
    """A rate so large that it spoils the weights: the best is what it started from."""
    parent = base[0].with_suffix(".keras")
    result = run(
        data, "--out", tmp_path / "m", "--from", parent,
        "--epochs", 1, "--crops", 8, "--batch", 8, "--rate", 1, "--warm-up", 0,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    page = (tmp_path / "m.html").read_text(encoding="utf-8")
    for text in (result.stdout, page):
        assert "Nothing was gained" in text and "--rate" in text
    assert page.index("Nothing was gained") < page.index("<table")
    assert "1 epoch in" in result.stdout and "1 epochs" not in result.stdout
    grey, _ = stripes(2, seed=3)
    one, other = (predict(network.load(path), grey) for path in (parent, tmp_path / "m.keras"))
    # Both hold weights of 16 bits; rounding a second time moves a probability by no more than the first.
    np.testing.assert_allclose(one, other, atol=5e-3)


def test_what_was_found_of_a_parents_lengths_goes_on_with_its_name(base):
    from xctrules.campaigns.training.fit import _common_error

    card = find_model(base[0].with_suffix(".tflite")).card
    known = card.model_copy(update={"common_error": CommonError(sigma_mm=0.013, source="27 drawn scans")})
    found = _common_error(known)
    assert found.sigma_mm == 0.013
    assert all(word in found.source for word in ("not evaluated", card.name, "27 drawn scans"))
    assert "assumed" in _common_error(card).source and "assumed" in _common_error(None).source


def test_a_killed_run_goes_on_where_it_was(data, tmp_path):
    out, left, log = (tmp_path / name for name in ("killed", "killed.progress.npz", "killed.csv"))
    epochs = 12
    arguments = [data, "--out", out, "--epochs", epochs, "--crops", 8, "--batch", 8, "--channels"]
    process = subprocess.Popen(
        [sys.executable, "-m", "xctrules", "train", *map(str, [*arguments, 2])],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        until = time.monotonic() + 120
        while not log.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        said = process.communicate()[1]
    assert left.exists(), said
    assert all(line.startswith("xctrules: ") for line in said.splitlines())  # nothing of TensorFlow's own
    rows = log.read_text().splitlines()
    assert 2 <= len(rows) < epochs, "the run was killed too late to show anything"

    another = run(*arguments, 4)
    assert another.exit_code == 2 and "channels" in another.stderr and "--replace" in another.stderr
    result = run(*arguments, 2)
    assert result.exit_code == 0, result.output
    after = log.read_text().splitlines()
    assert after[: len(rows)] == rows and len(after) == 1 + epochs
    assert f"epoch 1 of {epochs}," not in result.stderr and not left.exists()


def test_the_same_seed_and_epoch_give_the_same_crops(data):
    """What a resumed run sees must not depend on when it was stopped."""
    train_planes, options = read_pairs(data).train, Options(batch=4)
    one, same, later = (list(batches(train_planes, options, epoch, 2)) for epoch in (3, 3, 4))
    assert len(one) == 2 and one[0][0].shape == (4, 96, 128, 1)
    for (grey, labels), (grey_again, labels_again) in zip(one, same, strict=True):
        np.testing.assert_array_equal(grey, grey_again)
        np.testing.assert_array_equal(labels, labels_again)
    assert np.abs(one[0][0] - later[0][0]).max() > 0.1


# --- refusals --------------------------------------------------------------------------------------------


def test_the_size_of_a_model_that_is_fine_tuned_is_its_own(base, data, tmp_path):
    arguments = (data, "--out", tmp_path / "models" / "m", "--from", base[0].with_suffix(".keras"))
    result = run(*arguments, "--channels", 8)
    assert result.exit_code == 2 and "--channels" in result.stderr and "fine-tuned" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_refused_data_leave_no_folder_behind(tmp_path):
    write(tmp_path / "data", "a", *stripes(2, seed=1))
    result = run(tmp_path / "data", "--out", tmp_path / "models" / "new" / "m", *QUICK)
    assert result.exit_code == 2 and "too few planes" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("inside", [".", "deeper/still"])
def test_a_place_that_cannot_be_written_is_named_before_any_work(data, tmp_path, inside):
    (tmp_path / "file").write_text("no folder")
    out = tmp_path / "file" / inside / "m"
    result = run(data, "--out", out, *QUICK)
    assert result.exit_code == 2 and str(tmp_path / "file") in result.stderr and "--out" in result.stderr
    assert "progress" not in result.stderr and "epoch" not in result.stderr


def keras_model(path: Path, *, middle: Sequence[object] = (), classes: int = 5) -> Path:
    import keras

    x = inputs = keras.Input((None, None, 1))
    for layer in middle:
        x = layer(x)
    keras.Model(inputs, keras.layers.Conv2D(classes, 1, activation="softmax")(x)).save(path)
    return path


def test_a_model_with_code_or_foreign_layers_is_refused(tmp_path, monkeypatch):
    import keras

    class Odd(keras.layers.Layer):
        def call(self, x):
            return x

    cases = {
        "lambda.keras": ([keras.layers.Lambda(lambda x: x * 2)], 5, "Lambda"),
        "odd.keras": ([Odd()], 5, "Odd"),
        "classes.keras": ([], 3, "5 classes"),
    }
    for name, (middle, classes, words) in cases.items():
        path = keras_model(tmp_path / name, middle=middle, classes=classes)
        with pytest.raises(ModelError, match=words) as error:
            network.load(path)
        assert error.value.where == str(path)
    assert network.load(keras_model(tmp_path / "plain.keras")).count_params() == 10


@pytest.mark.parametrize("content", [b"no zip", b"PK\x03\x04 half a zip"])
def test_what_is_no_keras_file_is_refused(tmp_path, content):
    path = tmp_path / "m.keras"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="no Keras model"):
        network.load(path)


def test_a_model_that_differs_from_its_card_is_not_fine_tuned(base, data, tmp_path):
    for suffix in (".keras", ".tflite", ".json"):
        (tmp_path / f"base{suffix}").write_bytes(base[0].with_suffix(suffix).read_bytes())
    network.build(4).save(tmp_path / "base.keras")
    with pytest.raises(ModelError, match="SHA-256"):
        train(data, tmp_path / "tuned", Options(start=tmp_path / "base.keras"))


def test_a_bundled_model_is_found_by_name_unless_a_file_of_that_name_is_there(tmp_path, monkeypatch):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "cells.keras").touch()
    monkeypatch.setattr(fit, "models_folder", lambda: tmp_path / "bundle")
    monkeypatch.chdir(tmp_path)
    assert fit.starting_model(Path("cells")) == tmp_path / "bundle" / "cells.keras"
    assert fit.starting_model(Path("elsewhere/cells")) == Path("elsewhere/cells")
    assert fit.starting_model(Path("others")) == Path("others")
    Path("cells").touch()
    assert fit.starting_model(Path("cells")) == Path("cells")


# --- the pieces ------------------------------------------------------------------------------------------


def worked(channels: int, seed: int) -> object:
    """A network whose batch normalisations have seen something: means, variances and scales of their own."""
    rng = np.random.default_rng(seed)
    model = network.build(channels)
    model.set_weights(
        [
            w * rng.uniform(0.6, 1.6, w.shape) + (w.ndim == 1) * 0.1 * rng.random(w.shape)
            for w in model.get_weights()
        ]
    )
    return model


def test_rounding_to_sixteen_bits_hardly_changes_the_answers_and_export_not_at_all():
    model = worked(4, seed=2)
    grey, _ = stripes(2, width=136, seed=3)
    before = np.asarray(model(grey[..., None], training=False))
    network.settle(model)
    after = np.asarray(model(grey[..., None], training=False))
    assert before.std(axis=(0, 1, 2)).max() > 0.01  # answers that differ from pixel to pixel
    # A rounded weight is off by 2**-11 of itself; some twenty layers on, that is a few hundredths at worst.
    assert 0 < np.abs(after - before).max() < 0.05
    data = to_tflite(model)
    assert len(data) < 4_000_000
    for n, width in ((1, 64), (3, 272), (2, 136)):  # number and width of planes stay open
        assert disagreement(model, data, stripes(n, width=width, seed=n)[0]) < 1e-4


def test_dice_is_that_of_stripes_moved_by_a_known_number_of_pixels():
    labels = np.zeros((1, 96, 64), np.uint8)
    labels[:, :, 8:16] = CATHODE

    class Moved:
        """Says cathode two pixels further on, and everywhere that the labels do not know."""

        def __call__(self, grey, training):
            guess = np.zeros((*labels.shape, 5), np.float32)
            guess[..., 0] = 0.5
            guess[:, :, 10:18, CATHODE] = 1
            guess[:, :, 40:, CATHODE] = 1
            return guess

    labels[:, :, 40:] = UNKNOWN
    counts, found = counts_by_plane(Moved(), sequence(np.zeros(labels.shape, np.float32), labels))
    scores = dice_of(counts.sum(axis=0))
    assert scores[CATHODE] == pytest.approx(2 * 6 / (8 + 8))
    assert scores[0] == pytest.approx(2 * (32 - 2) / (32 + 32))
    assert np.isnan(scores[OVERHANG]) and (found[0, 0, 10:18] == CATHODE).all()


def test_outlines_are_as_long_as_the_masks_border():
    rng = np.random.default_rng(1)
    mask = rng.random((9, 13)) < 0.4
    padded = np.pad(mask, 1).astype(int)
    border = sum(np.abs(np.diff(padded, axis=axis)).sum() for axis in (0, 1))
    strokes = re.findall(r"M(-?[\d.]+) (-?[\d.]+)([hv])(\d+)", outlines(mask))
    assert sum(int(s[3]) for s in strokes) == border
    square = np.zeros((5, 6), bool)
    square[1:3, 2:5] = True
    assert set(re.findall(r"M\S+ \S+[hv]\d+", outlines(square).replace("M", " M"))) == {
        "M1.5 0.5h3", "M1.5 2.5h3", "M1.5 0.5v2", "M4.5 0.5v2",
    }  # fmt: skip


def test_the_learning_rate_rises_and_falls():
    values = [schedule(done, 0.1) for done in np.linspace(0, 1, 101)]
    assert max(values) == values[10] == pytest.approx(1.0)
    assert values[0] > 0 and (np.diff(values[:11]) > 0).all() and (np.diff(values[10:]) < 0).all()
    assert values[-1] < 0.02 and schedule(0.0, 0.0) == pytest.approx(1.0)


def test_rare_classes_weigh_more_and_the_mean_stays_one():
    grey, labels = stripes(3, seed=1)
    labels[:, :10] = UNKNOWN
    weights = class_weights([sequence(grey, labels)])
    counts = np.bincount(labels.ravel(), minlength=256)[:5]
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1.0)
    assert (np.argsort(weights) == np.argsort(-counts)).all()
