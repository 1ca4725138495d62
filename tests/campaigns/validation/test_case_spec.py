"""What one case is judged by."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from xctrules.campaigns.validation.case_spec import case_spec, case_spec_text
from xctrules.core.validation import Case, JudgedBy
from xctrules.engine.planning import spec_of
from xctrules.engine.registry import Registry, load_plugins
from xctrules.rules.cellspec import parse_spec

OVERHANG, DIAMETER = "overhang.length.min", "canister.outer_diameter"


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with load_plugins(third_party=False) as loaded:
        yield loaded


def case(judged_by: JudgedBy) -> Case:
    nominal = {"outer_diameter": 8.0, "wall_thickness": 0.1 + 0.2}  # no short decimal
    return Case(7, "mixed", {}, (0.04, 0.04, 0.04), nominal, judged_by)


def test_rules_are_the_bundled_ones(registry: Registry) -> None:
    spec = case_spec(case(JudgedBy("21700")), registry)
    bundled = spec_of("21700", registry)
    assert (spec.geometry, spec.scope) == (bundled.geometry, bundled.scope)
    kept = ("id", "title", "measurement", "unit", "severity", "decision_rule", "guard_band")
    assert [[rule[key] for key in kept] for rule in spec.rules] == [
        [rule[key] for key in kept] for rule in bundled.rules
    ]
    for mine, theirs in zip(spec.rules, bundled.rules, strict=True):
        for side in ("min", "max"):
            assert (mine[side] or {}).get("value") == (theirs[side] or {}).get("value")
            assert (mine[side] or {}).get("source") == (theirs[side] or {}).get("source")


def test_nominal_dimensions_are_those_of_the_cell_that_was_drawn(registry: Registry) -> None:
    assert case_spec(case(JudgedBy("21700")), registry).nominal_mm == case(JudgedBy("21700")).nominal_mm


def test_what_a_case_cannot_show_is_left_out_and_a_limit_can_be_another(registry: Registry) -> None:
    without = case_spec(case(JudgedBy("21700", leave_out=(DIAMETER,))), registry)
    assert [rule["measurement"] for rule in without.rules] == [OVERHANG]
    wider = case_spec(case(JudgedBy("21700", upper_limits={DIAMETER: 9.0})), registry)
    assert {rule["measurement"]: rule["max"] and rule["max"]["value"] for rule in wider.rules} == {
        DIAMETER: 9.0,
        OVERHANG: None,
    }


def test_the_text_is_the_spec(registry: Registry) -> None:
    judged_by = case(JudgedBy("26650"))
    text = case_spec_text(judged_by, registry)
    assert parse_spec(text, file="case-7.yaml").resolved == case_spec(judged_by, registry).resolved
