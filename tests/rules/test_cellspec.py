"""Cell-format specs: found, loaded, and those that ship."""

from __future__ import annotations

import json

import jsonschema
import pytest
import yaml
from judging_examples import judge
from spec_examples import GOOD, HEAD, KNOWN, write

from xctrules.core.cell import Tabs
from xctrules.core.errors import SpecError
from xctrules.core.measurement import Contribution, Measurement
from xctrules.rules.cellspec import bundled_folder, list_specs, load_spec, parse_spec
from xctrules.rules.spec_file import spec_schema


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


def test_tabs_are_those_of_the_spec_and_cautious_where_it_says_nothing():
    assert parse_spec(GOOD).tabs == Tabs(width_mm=10.0, number=3)
    assert parse_spec(GOOD + "tabs: {width_mm: 6, number: 1}\n").tabs == Tabs(width_mm=6, number=1)
    for wrong in ("{width_mm: 0, number: 1}", "{width_mm: 6}", "{width_mm: 6, number: 1.5}", "6"):
        with pytest.raises(SpecError, match=r"spec\.yaml:14"):
            parse_spec(GOOD + f"tabs: {wrong}\n")


def test_a_measurement_of_a_plugin_that_could_not_be_loaded():
    text = HEAD + "rules:\n  - {id: n, measurement: centre_pin.diameter, min: 2, unit: mm}\n"
    spec = parse_spec(text, known=KNOWN, open_ended=True)
    _, verdict = judge([], spec.resolved, {}, True)
    assert verdict.verdict == "INCOMPLETE"
    with pytest.raises(SpecError, match="outer_diametr'"):
        parse_spec(
            text.replace("centre_pin.diameter", "canister.outer_diametr"), known=KNOWN, open_ended=True
        )


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
