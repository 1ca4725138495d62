"""A spec and those that it extends."""

from __future__ import annotations

import pytest
from spec_examples import GOOD, HEAD, write

from xctrules.core.errors import SpecError
from xctrules.rules.cellspec import load_spec, parse_spec


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
