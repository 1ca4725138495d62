"""A spec's own file: every complaint names its line."""

from __future__ import annotations

import json

import jsonschema
import pytest
import yaml
from spec_examples import GOOD, HEAD, KNOWN

from xctrules.core.errors import SpecError
from xctrules.rules.cellspec import bundled_folder, load_spec, parse_spec
from xctrules.rules.spec_file import spec_schema


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (changed("max: 21.25", "mx: 21.25"), 10, ["'mx'", "'max'"]),
        (changed("rules:", "ruls:"), 6, ["'ruls'", "'rules'"]),
        (changed("unit: mm}", "unti: mm}"), 5, ["'unti'", "'unit'"]),
        (changed("source: \"drawing A\"", "sorce: \"drawing A\""), 9, ["'sorce'", "'source'"]),
        (changed("outer_diameter\n", "outer_diametr\n"), 8, ["outer_diametr'", "canister.outer_diameter"]),
        (changed("    unit: mm\n", "    unit: um\n"), 11, ["'mm'", "'um'"]),
        (changed("    unit: mm\n", ""), 7, ["no unit"]),
        (changed("value: 20.9", "value: 22"), 9, ["min 22", "max 21.25"]),
        (changed("max: 21.25", "max: .nan"), 10, ["finite number"]),
        (changed("max: 21.25", "max: -.inf"), 10, ["finite number"]),
        (changed("max: 21.25", "max: 21,25"), 10, ["'21,25'", "decimals with a point"]),
        (changed("max: 21.25", "max: {value: 21,25}"), 10, ["'25'", "decimals with a point"]),
        (changed("max: 21.25", "max: 1:30"), 10, ["'1:30' is not a number"]),
        (changed("max: 21.25", "max: 0_21"), 10, ["'0_21' is not a number"]),
        (changed("max: 21.25", "max: yes"), 10, ["'yes' is not a number"]),
        (changed("max: 21.25", "max: 21.25 mm"), 10, ["'21.25 mm' is not a number"]),
        (changed("max: 21.25", "tolerance: 21.25"), 10, ["'tolerance'; limits are `min:` and `max:`"]),
        (changed("max: 21.25", "colour: red"), 10, ["'colour'; known are id, title"]),
        (changed("canister.outer_diameter", "outer_diameter"), 8, ["'canister.outer_diameter'? See"]),
        (changed("max: 21.25", "max: true"), 10, ["'true' is not a number"]),
        (changed("max: 21.25", "max: 2001-01-01"), 10, ["max"]),
        (changed("    source: datasheet B\n", ""), 10, ["no source", "datasheet"]),
        (changed("status: datasheet", "status: datashet"), 13, ["datashet", "datasheet"]),
        (changed("    max: 21.25\n", "    max: 21.25\n    max: 21.3\n"), 11, ["'max'", "twice", "line 10"]),
        (changed("  - id: od\n", "  - id: od\n    decision_rule: guardd\n"), 8, ["guardd", "guarded"]),
        (changed("- id: od", "- id: od\n    decision_rule: simple\n    guard_band: 0.1"), 9, ["no effect"]),
        (changed("  - id: od\n", "  - id: od\n    guard_band: -0.1\n"), 8, ["-0.1"]),
        (changed("  - id: od\n", "  - id: od/1\n"), 7, ["od/1"]),
        (changed("spec/1", "spec/9"), 1, ["spec/9"]),
        (changed("name: mine\n", ""), 1, ["'name' is missing"]),
        (changed("name: mine", "name: [mine"), 3, ["YAML"]),
        (changed("schema:", "shema:"), 1, ["'schema'", "'shema'"]),
        (HEAD + "remove: [od]\n", 4, ["'od'"]),
        (HEAD + "rules:\n  - {id: a, measurement: canister.tilt, unit: deg}\n", 5, ["no limit"]),
        (HEAD + "rules:\n  - {id: a, max: 1, unit: deg}\n", 5, ["no measurement"]),
        (HEAD + "rules: &a\n  - *a\n", 4, ["alias"]),
        (HEAD + "rules:\n" + "  - {id: a, measurement: canister.tilt, max: 1}\n" * 2, 6, ["twice"]),
        (HEAD + "rules: 3\n", 4, ["not a list"]),
        ("- 1\n", 1, ["mapping"]),
        ("", 1, ["empty"]),
        ("a: \x00", 1, ["YAML"]),
    ],
)  # fmt: skip
def test_every_complaint_names_file_line_and_cause(text, line, words):
    with pytest.raises(SpecError) as caught:
        parse_spec(text, file="mine.yaml", known=KNOWN)
    assert str(caught.value).startswith(f"mine.yaml:{line}: ")
    for word in words:
        assert word in str(caught.value)


def test_all_complaints_of_a_file_are_told_at_once():
    with pytest.raises(SpecError) as caught:
        parse_spec(
            GOOD.replace("max:", "mx:").replace("unit: mm}", "unti: mm}"), file="mine.yaml", known=KNOWN
        )
    assert "mine.yaml:5:" in str(caught.value)
    assert "mine.yaml:10:" in str(caught.value)


def test_a_bare_unit_one_is_a_text():
    text = HEAD + "rules:\n  - {id: n, measurement: winding.turns, min: 19, unit: 1}\n"
    assert parse_spec(text).rules[0]["unit"] == "1"


def test_numbers_that_begin_with_zero_are_decimal():
    assert parse_spec(GOOD.replace("max: 21.25", "max: 022")).rules[0]["max"]["value"] == 22


def test_plain_exponents_are_numbers():
    spec = parse_spec(GOOD.replace("max: 21.25", "max: 2125e-2"))
    assert spec.rules[0]["max"]["value"] == 21.25


def test_files_that_are_no_text(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: Größe\n".encode("latin-1"))
    with pytest.raises(SpecError, match="UTF-8"):
        load_spec(path)
    windows = tmp_path / "windows.yaml"
    windows.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    spec = load_spec(windows)
    assert spec.rules[0]["max"]["at"] == "windows.yaml:10"
    import hashlib

    assert spec.sha256 == hashlib.sha256(windows.read_bytes()).hexdigest()


def test_schema_file_is_what_the_models_say():
    assert json.loads((bundled_folder() / "schema.json").read_text(encoding="utf-8")) == spec_schema()


def test_schema_refuses_what_the_loader_refuses():
    good = yaml.safe_load(GOOD.replace("1.10", '"1.10"'))
    jsonschema.validate(good, spec_schema())
    for change in ({"ruls": []}, {"scope": "half"}, {"rules": [{"id": "x", "mx": 1}]}, {"schema": "other"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**good, **change}, spec_schema())
