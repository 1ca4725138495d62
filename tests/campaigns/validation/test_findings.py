"""From cases to figures."""

from __future__ import annotations

import json
import random

from validation_examples import found_in, invented


def test_figures_do_not_depend_on_the_order_in_which_cases_came() -> None:
    rows = [invented(i, {"winding.pitch": 0.01 * i}, 1.0, group=i % 4) for i in range(20)]
    shuffled = rows[:]
    random.Random(1).shuffle(shuffled)
    assert found_in(shuffled) == found_in(rows)


def test_figures_are_plain_json() -> None:
    found = found_in([invented(i, {}, 1.0) for i in range(3)])
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_no_case_at_all_neither_holds_nor_fails() -> None:
    found = found_in([])
    undecided = {c["id"] for c in found["criteria"] if c["holds"] is None}
    assert found["holds"] is True
    assert undecided == {c["id"] for c in found["criteria"]} - {"every case could be measured"}


def test_scans_that_must_be_refused_count_for_nothing_but_refusal() -> None:
    rows = [invented(i, {"canister.outer_diameter": 0.0}, 1.0) for i in range(12)]
    clean = found_in(rows)
    rows.append(invented(12, {"canister.outer_diameter": 9.0}, 1.0, unfit="noise"))
    dirty = found_in(rows)
    assert dirty["measurements"] == clean["measurements"]
    assert len(dirty["unfit"]) == 1
