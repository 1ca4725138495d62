"""Specs: what is refused and where it says so, what extending does, and the specs that ship."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from judging_examples import judge

from xctrules.core.errors import SpecError
from xctrules.core.measurement import Contribution, Measurement
from xctrules.rules.cellspec import bundled_folder, list_specs, load_spec, parse_spec
from xctrules.rules.spec_file import spec_schema

KNOWN = {
    "canister.outer_diameter": "mm", "canister.inner_diameter": "mm", "canister.tilt": "deg",
    "winding.turns": "1",    "overhang.length.min": "mm",
}  # fmt: skip
"""Measurements as plugins would declare them."""

HEAD = """\
schema: xctrules.spec/1
name: mine
version: "1"
"""

GOOD = """\
schema: xctrules.spec/1
name: mine
version: 1.10
nominal:
  outer_diameter: {value: 21, unit: mm}
rules:
  - id: od
    measurement: canister.outer_diameter
    min: {value: 20.9, source: "drawing A", status: drawing}
    max: 21.25
    unit: mm
    source: datasheet B
    status: datasheet
"""


def test_a_spec_is_read_with_the_line_of_each_limit():
    spec = parse_spec(GOOD, file="mine.yaml")
    (rule,) = spec.rules
    assert rule["min"] == {"value": 20.9, "source": "drawing A", "status": "drawing", "at": "mine.yaml:9"}
    assert rule["max"] == {
        "value": 21.25,
        "source": "datasheet B",
        "status": "datasheet",
        "at": "mine.yaml:10",
    }
    assert spec.version == "1.10"  # a number to YAML, and 1.1 is another version
    assert spec.nominal_mm == {"outer_diameter": 21.0}
    assert json.loads(json.dumps(spec.resolved)) == spec.resolved


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
        (changed("max: 21.25", "max: 21,25"), 10, ["21,25"]),
        (changed("max: 21.25", "max: true"), 10, ["True"]),
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


def test_plugins_add_measurements_and_geometries():
    text = HEAD + (
        "geometry: pouch\nnominal: {stack_thickness: {value: 11.5, unit: mm}}\n"
        "rules:\n  - {id: t, measurement: pouch.thickness, max: 12, unit: mm}\n"
    )
    with pytest.raises(SpecError, match=r"pouch\.thickness"):
        parse_spec(text, known=KNOWN)
    spec = parse_spec(text, known={"pouch.thickness": "mm"})
    assert spec.geometry == "pouch"
    assert spec.nominal_mm == {"stack_thickness": 11.5}
    thin = Measurement("pouch.thickness", "mm", value=11.0, budget=(Contribution("noise", 0.01),))
    checks, verdict = judge([thin], spec.resolved, {}, True)
    assert checks[0].outcome == verdict.verdict == "CONDITIONAL_PASS"  # its limit is indicative


def test_a_bare_unit_one_is_a_text():
    text = HEAD + "rules:\n  - {id: n, measurement: winding.turns, min: 19, unit: 1}\n"
    assert parse_spec(text).rules[0]["unit"] == "1"


def test_a_measurement_of_a_plugin_that_could_not_be_loaded():
    text = HEAD + "rules:\n  - {id: n, measurement: centre_pin.diameter, min: 2, unit: mm}\n"
    spec = parse_spec(text, known=KNOWN, open_ended=True)
    _, verdict = judge([], spec.resolved, {}, True)
    assert verdict.verdict == "INCOMPLETE"
    with pytest.raises(SpecError, match="outer_diametr'"):
        parse_spec(
            text.replace("centre_pin.diameter", "canister.outer_diametr"), known=KNOWN, open_ended=True
        )


def test_plain_exponents_are_numbers():
    spec = parse_spec(GOOD.replace("max: 21.25", "max: 2125e-2"))
    assert spec.rules[0]["max"]["value"] == 21.25


# --- extending ---


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_child_tightens_one_limit_and_keeps_the_rest(tmp_path):
    write(tmp_path, "parent.yaml", GOOD)
    child = write(tmp_path, "child.yaml", HEAD + (
        "extends: ./parent.yaml\nscope: whole\nrules:\n  - id: od\n"
        "    max: {value: 21.2, source: D7, status: drawing}\n"
        "  - {id: tilt, measurement: canister.tilt, max: 2, unit: deg}\n"
    ))  # fmt: skip
    spec = load_spec(child)
    od, tilt = spec.rules
    assert od["max"] == {"value": 21.2, "source": "D7", "status": "drawing", "at": "child.yaml:8"}
    assert od["min"]["at"] == "parent.yaml:9"
    assert tilt["max"]["status"] == "indicative"
    assert spec.scope == "whole"
    assert spec.nominal_mm == {"outer_diameter": 21.0}
    again = parse_spec(spec.text, file=spec.file, parents=spec.parents)
    assert again.resolved == spec.resolved


def test_a_childs_number_does_not_borrow_its_parents_source(tmp_path):
    write(tmp_path, "parent.yaml", GOOD)
    child = write(tmp_path, "child.yaml", HEAD + "extends: ./parent.yaml\nrules:\n  - {id: od, max: 21.2}\n")
    limit = load_spec(child).rules[0]["max"]
    assert (limit["source"], limit["status"]) == (None, "indicative")
    child.write_text(HEAD + "extends: ./parent.yaml\nrules:\n  - {id: od, source: X, status: drawing}\n")
    with pytest.raises(SpecError, match=r"child\.yaml:6: .*no limit"):
        load_spec(child)


def test_a_child_removes_rules_and_limits(tmp_path):
    write(tmp_path, "parent.yaml", GOOD)
    child = write(tmp_path, "child.yaml", HEAD + "extends: ./parent.yaml\nremove: [od]\n")
    assert load_spec(child).rules == []
    child.write_text(HEAD + "extends: ./parent.yaml\nrules:\n  - {id: od, min: null}\n")
    assert load_spec(child).rules[0]["min"] is None
    child.write_text(HEAD + "extends: ./parent.yaml\nremove: [o]\n")
    with pytest.raises(SpecError, match=r"child\.yaml:5: .*'od'"):
        load_spec(child)


def test_a_childs_decision_rule_holds_for_rules_that_name_none(tmp_path):
    write(tmp_path, "parent.yaml", GOOD)
    child = write(tmp_path, "child.yaml", HEAD + "extends: ./parent.yaml\ndecision_rule: iso14253\n")
    assert load_spec(child).rules[0]["decision_rule"] == "iso14253"


def test_circles_are_refused(tmp_path):
    write(tmp_path, "a.yaml", HEAD + "extends: ./b.yaml\n")
    b = write(tmp_path, "b.yaml", HEAD + "extends: ./a.yaml\n")
    with pytest.raises(SpecError, match=r"a\.yaml:4: .*back"):
        load_spec(b)
    own = write(tmp_path, "own.yaml", HEAD + "extends: ./own.yaml\n")
    with pytest.raises(SpecError, match=r"own\.yaml:4"):
        load_spec(own)


def test_names_of_bundled_specs_cannot_be_taken_over(tmp_path):
    write(tmp_path, "21700.yaml", GOOD)
    write(tmp_path, "acme.yaml", GOOD)
    write(tmp_path, "broken.yaml", "a: [")
    listed = {spec.name: spec for spec in list_specs([tmp_path])}
    assert listed["21700"].bundled
    assert not listed["acme"].bundled
    assert "broken.yaml" in (listed["broken"].error or "")
    assert load_spec("21700", folders=[tmp_path]).name == "21700"
    assert load_spec("acme", folders=[tmp_path]).name == "mine"
    child = write(tmp_path, "child.yaml", HEAD + "extends: 21700\n")
    assert load_spec(child).parents[0].name == "21700.yaml"


@pytest.mark.parametrize(
    ("name", "words"), [("2170", ["'2170'", "'21700'"]), ("./no.yaml", ["no.yaml"]), ("nothing", ["4680"])]
)
def test_a_spec_that_is_not_there(name, words):
    with pytest.raises(SpecError) as caught:
        load_spec(name)
    assert all(word in str(caught.value) for word in words)


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


# --- what ships ---

BUNDLED = sorted(path.stem for path in bundled_folder().glob("*.yaml"))


def test_the_four_formats_ship():
    assert {"18650", "21700", "26650", "4680"} <= set(BUNDLED)


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_specs_load_validate_and_hold_sourced_limits_only(name):
    spec = load_spec(name)
    assert spec.name == name
    assert spec.scope == "in_view"
    jsonschema.validate(yaml.safe_load(spec.text), spec_schema())
    overhang = [rule for rule in spec.rules if rule["measurement"].startswith("overhang.")]
    assert [(rule["measurement"], rule["min"]["value"], rule["max"]) for rule in overhang] == [
        ("overhang.length.min", 0.0, None)
    ]
    for rule in spec.rules:
        for limit in (rule["min"], rule["max"]):
            assert limit is None or (limit["status"] != "indicative" and limit["source"])


@pytest.mark.parametrize("name", BUNDLED)
def test_a_sound_cell_can_pass_each_bundled_spec(name):
    spec = load_spec(name)
    measurements = []
    for rule in spec.rules:
        low, high = (None if rule[k] is None else rule[k]["value"] for k in ("min", "max"))
        value = low + 0.2 if high is None else high - 0.1
        measurements.append(
            Measurement(rule["measurement"], "mm", value=value, budget=(Contribution("noise", 0.005),))
        )
    _, verdict = judge(measurements, spec.resolved, {"ends": ["top"]}, True)
    assert verdict.verdict == "PASS"
    _, unstated = judge(measurements, spec.resolved, {"ends": ["top"]}, False)
    assert unstated.verdict == "CONDITIONAL_PASS"


def test_schema_file_is_what_the_models_say():
    assert json.loads((bundled_folder() / "schema.json").read_text(encoding="utf-8")) == spec_schema()


def test_schema_refuses_what_the_loader_refuses():
    good = yaml.safe_load(GOOD.replace("1.10", '"1.10"'))
    jsonschema.validate(good, spec_schema())
    for change in ({"ruls": []}, {"scope": "half"}, {"rules": [{"id": "x", "mx": 1}]}, {"schema": "other"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**good, **change}, spec_schema())
