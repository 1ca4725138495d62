"""A model is used by its card only: what is missing, malformed or not the card's own is refused in one
sentence."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from xctrules.core.errors import ModelError, OutputError
from xctrules.cylinder.model_card import ModelCard, ModelScope, Training, find_model, read_card, write_card


def card(**changes: Any) -> ModelCard:
    values: dict[str, Any] = {
        "name": "mini",
        "title": "A model of this test",
        "version": "1",
        "training": Training(data="ten planes", seed=3),
        "scope": ModelScope(voxel_mm=(0.015, 0.07), least_contrast=4.0, least_confidence=0.6),
        "licence": "MIT",
        "scores": {"held-out phantoms": {"dice": {"cathode": 0.97}}},
        "versions": {"tensorflow": "2.16"},
    }
    return ModelCard(**{**values, **changes})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mini.tflite").write_bytes(b"weights, small")
    (tmp_path / "mini.keras").write_bytes(b"weights, whole")
    write_card(card(), tmp_path)
    return tmp_path


def changed(folder: Path, **values: Any) -> Path:
    path = folder / "mini.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return path


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as error:
        find_model(path)
    assert str(path.parent) in str(error.value)
    return str(error.value)


def test_what_was_written_is_found_again(folder: Path) -> None:
    for given in (folder / "mini.tflite", folder / "mini.keras", folder / "mini.json", folder / "mini"):
        model = find_model(given)
        assert model.data == b"weights, small"
        assert model.sha256 == hashlib.sha256(b"weights, small").hexdigest()
        assert model.card.sha256["mini.keras"] == hashlib.sha256(b"weights, whole").hexdigest()
        assert model.card.scores == card().scores
        assert model.card.scope == card().scope


def test_a_name_without_a_dot_or_with_one(tmp_path: Path) -> None:
    (tmp_path / "mini-1.2.tflite").write_bytes(b"w")
    write_card(card(name="mini-1.2"), tmp_path)
    assert find_model(tmp_path / "mini-1.2").card.name == "mini-1.2"
    assert find_model(tmp_path / "mini-1.2.tflite").card.name == "mini-1.2"


def test_one_changed_byte_is_refused(folder: Path) -> None:
    (folder / "mini.tflite").write_bytes(b"weights, smalm")
    assert "SHA-256 differs" in refused(folder / "mini.tflite")


def test_keras_file_is_held_to_the_card_too(folder: Path) -> None:
    (folder / "mini.keras").write_bytes(b"another")
    assert "mini.keras" in refused(folder / "mini.tflite")


def test_missing_files(folder: Path) -> None:
    (folder / "mini.tflite").unlink()
    assert "missing" in refused(folder / "mini.json")
    (folder / "mini.json").unlink()
    assert "no such model" in refused(folder / "mini.tflite")


def test_a_model_that_is_nowhere_is_not_told_as_one_without_a_card(folder: Path) -> None:
    assert "no such model" in refused(folder / "nowhere" / "mini.tflite")
    (folder / "mini.json").unlink()
    told = refused(folder / "mini.tflite")
    assert "no card" in told
    assert "Copy mini.json" in told


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": "xctrules.model/2"}', "\0\0"])
def test_malformed_cards(folder: Path, text: str) -> None:
    (folder / "mini.json").write_text(text)
    assert "malformed" in refused(folder / "mini.tflite")


def test_bytes_that_are_no_text(folder: Path) -> None:
    (folder / "mini.json").write_bytes(b"\xff\xfe\x00")
    told = refused(folder / "mini.tflite")
    assert "it is no text" in told
    assert "codec" not in told


def test_an_unknown_key_is_named(folder: Path) -> None:
    changed(folder, scope={"voxel_mm": [0.01, 0.07], "least_contrast": 4, "least_confidenc": 0.5})
    assert "least_confiden" in refused(folder / "mini.tflite")


def test_a_card_cannot_point_outside(folder: Path) -> None:
    changed(folder, sha256={"../mini.tflite": "0" * 64})
    refused(folder / "mini.tflite")
    changed(folder, sha256={"other.tflite": "0" * 64})
    assert "other.tflite" in refused(folder / "mini.tflite")


def test_a_card_without_the_model_that_measures(folder: Path) -> None:
    hashes = json.loads((folder / "mini.json").read_text())["sha256"]
    changed(folder, sha256={"mini.keras": hashes["mini.keras"]})
    assert "names no mini.tflite" in refused(folder / "mini.tflite")


@pytest.mark.parametrize(
    "other",
    [{"pixel_mm": 0.05}, {"rows": 64}, {"classes": ["background", "cathode"]}, {"foil_mm": 0.2},
     {"columns_multiple_of": 1}, {"columns_multiple_of": 100_000_000}],
)  # fmt: skip
def test_a_model_of_another_input_is_refused(folder: Path, other: dict[str, Any]) -> None:
    changed(folder, **other)
    assert "the model wants planes of" in refused(folder / "mini.tflite")


@pytest.mark.parametrize("name", ["pixel_mm", "rows", "columns_multiple_of", "classes", "foil_mm"])
def test_a_card_that_leaves_open_what_the_model_takes_and_gives(folder: Path, name: str) -> None:
    path = folder / "mini.json"
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != name}))
    assert f"does not say {name}" in refused(folder / "mini.tflite")


def test_a_renamed_model_is_refused(folder: Path) -> None:
    for suffix in ("tflite", "keras", "json"):
        (folder / f"mini.{suffix}").rename(folder / f"maxi.{suffix}")
    assert "mini" in refused(folder / "maxi.tflite")


def test_unknown_name_says_which_are_known() -> None:
    with pytest.raises(ModelError, match=r"no_such: no such model\. Known models: "):
        find_model("no_such")


def test_no_card_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"mini\.tflite"):
        write_card(card(), tmp_path)


def test_scope_in_the_wrong_order() -> None:
    with pytest.raises(ValueError, match="smallest"):
        ModelScope(voxel_mm=(0.07, 0.02), least_contrast=4.0, least_confidence=0.6)


def test_an_older_card_says_nothing_of_its_lengths_and_half_a_pixel_is_assumed(folder: Path) -> None:
    path = folder / "mini.json"
    older = json.loads(path.read_text())
    del older["common_error"]
    path.write_text(json.dumps(older))
    found = find_model(path).card.common_error
    assert found.sigma_mm == pytest.approx(0.5 * 0.04)
    assert "assumed" in found.source


@pytest.mark.parametrize(
    "wrong",
    [{"sigma_mm": -0.01, "source": "s"}, {"sigma_mm": 0.01, "source": ""}, {"sigma_mm": 0.01}, 0.01,
     {"sigma_mm": "inf", "source": "s"}],
)  # fmt: skip
def test_a_common_error_that_is_none_is_refused(folder: Path, wrong: Any) -> None:
    changed(folder, common_error=wrong)
    assert "malformed at common_error" in refused(folder / "mini.tflite")


def test_the_card_says_how_its_labels_were_drawn(folder: Path) -> None:
    assert read_card(folder / "mini.json").classes == (
        "background", "can", "cathode", "copper", "overhang",
    )  # fmt: skip
