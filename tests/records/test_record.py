"""The record: what it holds, and that a change to it is noticed."""

from __future__ import annotations

from record_examples import example

from xctrules.records.record import sealed


def test_record_has_the_contracts_keys_and_judges_itself():
    record, _ = example()
    for key in (
        "schema", "cell_id", "verdict", "reasons", "probability_of_conformity", "scope", "spec", "scan",
        "acquisition", "measurements", "checks", "plugins", "software", "parameters", "run",
    ):  # fmt: skip
        assert key in record
    assert record["verdict"] == "PASS"
    assert {"rule", "measurement", "min", "max", "unit", "at", "status", "decision_rule", "severity",
            "outcome", "margin", "probability_of_conformity"} <= set(record["checks"][0])  # fmt: skip
    assert record["checks"][0]["at"] == "mine.yaml:5"
    assert set(record["measurements"]["overhang.bottom.length.min"]) == {"status", "value", "unit", "reason"}
    assert example(stated=False)[0]["verdict"] == "CONDITIONAL_PASS"
    assert example(diameter=21.3)[0]["verdict"] == "FAIL"
    assert example(rejections=["too noisy"])[0]["verdict"] == "SCAN_REJECTED"


def test_the_seal_notices_any_change_and_leaves_the_rest_repeatable():
    record, _ = example()
    assert sealed(record) == record
    for key in ("verdict", "cell_id"):
        assert sealed({**record, key: "x"})["run"] != record["run"]
    later = sealed({**record, "run": {**record["run"], "started": "2027"}})
    assert {k: v for k, v in later.items() if k != "run"} == {k: v for k, v in record.items() if k != "run"}
