"""The adversarial part: what counts as a wrong pass, what as named rightly, and a tiny run of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import run as xctrules

from xctrules.campaigns.validation.adversarial import find_adversarial, named_rightly
from xctrules.campaigns.validation.adversarial_page import render_adversarial
from xctrules.campaigns.validation.campaign import Wanted, open_campaign
from xctrules.campaigns.validation.folder import SCHEMA
from xctrules.core.errors import PluginError
from xctrules.core.validation import CaseFacts
from xctrules.cylinder.phantom.targets import TARGETS

HEADER: dict[str, Any] = {
    "schema": SCHEMA,
    "ensemble": {"geometry": "cylindrical", "seed": 3, "short": False, "part": "adversarial"},
    "software": {"xctrules": "0", "source_sha256": "0"},
    "plugins": [],
}


def case(
    index: int,
    verdict: str,
    reason: str = "",
    outcome: str = "no pass",
    size: float = 0.4,
    place: dict[str, tuple[float, float]] | None = None,
) -> dict[str, Any]:
    sound = outcome == "pass"
    return {
        "index": index,
        "kind": "sound: plain" if sound else "dent",
        "expected": {
            "fault": "" if sound else "dent",
            "outcome": outcome,
            "size": None if sound else size,
            "unit": "mm",
            "stated": 0.1,
            "drawn": "dent:0.4",
            "words": ["dent", "can"],
            "scan_is_true": True,
            "place": {"theta_deg": (350.0, 20.0), "turn": (4.0, 1.5)} if place is None else place,
        },
        "judged": {"verdict": verdict, "reasons": [reason] if reason else [], "warnings": []},
        "measurements": {},
    }  # fmt: skip


def found_in(rows: list[dict[str, Any]]) -> dict[str, Any]:
    nothing = replace(TARGETS, covered=())  # these cases were never measured
    return find_adversarial(rows, HEADER, nothing, lambda row: CaseFacts("", {}, {}))


def criterion(found: dict[str, Any], name: str) -> bool | None:
    return {c["id"]: c["holds"] for c in found["criteria"]}[name]


GOOD = "The can is dented at theta 4.5°."


def many(faulty: str = "FAIL", sound: str = "PASS", n: int = 300) -> list[dict[str, Any]]:
    return [
        *(case(2 * i, sound, outcome="pass") for i in range(n)),
        *(case(2 * i + 1, faulty, GOOD) for i in range(n)),
    ]


def test_what_is_asked_holds_where_nothing_goes_wrong() -> None:
    found = found_in(many())
    assert found["holds"] and all(c["holds"] for c in found["criteria"])
    # of none in 300 the rate is below 1 - 0.05^(1/300)
    assert found["wrong_passes"]["upper"] == pytest.approx(1 - 0.05 ** (1 / 300), rel=1e-6)
    assert found["wrong_passes"]["upper"] < 0.01
    assert found["named_rightly"]["count"] == 300


@pytest.mark.parametrize("verdict", ["PASS", "CONDITIONAL_PASS"])
def test_one_wrong_pass_is_one_too_many_and_is_told(verdict: str) -> None:
    rows = many()
    rows[-1] = case(599, verdict)
    found = found_in(rows)
    assert criterion(found, "wrong passes") is False and not found["holds"]
    (told,) = found["passed_wrongly"]
    assert (told["index"], told["kind"], told["size"], told["verdict"]) == (599, "dent", 0.4, verdict)
    page = render_adversarial(found)
    assert "xctrules validate --part adversarial --seed 3 --draw 599 --out case-599" in page
    assert "1 of 300 faulty cells passed" in page.replace("\u00a0", " ")


def test_few_cases_say_nothing_but_what_is_wrong_already() -> None:
    found = found_in(many(n=20))
    assert found["holds"]
    assert criterion(found, "wrong passes") is None and criterion(found, "wrong fails") is None
    found = found_in(many(sound="INCOMPLETE", n=20))
    assert criterion(found, "sound cells without a decision") is False
    assert found["undecided"]["count"] == 20 and found["wrong_fails"]["count"] == 0
    found = found_in(many(sound="CONDITIONAL_FAIL", n=20))
    assert criterion(found, "wrong fails") is False


def test_small_faults_count_for_the_curve_alone() -> None:
    rows = [
        *(case(i, "FAIL", GOOD, size=0.2 + 0.01 * i) for i in range(8)),
        *(case(20 + i, "PASS", outcome="graded", size=0.1 + 0.03 * i) for i in range(6)),
    ]
    found = found_in(rows)
    assert found["wrong_passes"]["count"] == 0 and found["wrong_passes"]["n"] == 8
    (kind,) = found["kinds"]
    assert kind["curve"]["n"] == 14 and kind["curve"]["hits"] == 8
    assert kind["curve"]["found_90"] is not None and 0.1 < kind["curve"]["found_90"] < 0.4
    assert "curve-dent" in render_adversarial(found)


@pytest.mark.parametrize(
    ("verdict", "value", "wrong"),
    [("PASS", 1.0, False), ("PASS", 1.11, True), ("INCOMPLETE", 1.11, False), ("FAIL", 1.0, False)],
)
def test_a_sound_cell_with_spoilt_greys_may_pass_if_what_decides_is_right(
    verdict: str, value: float, wrong: bool
) -> None:
    row = case(1, verdict, "The greys are clipped.", outcome="right or refused", place={})
    row["expected"] |= {"words": ["grey"], "scan_is_true": False}  # its coverage is no matter here
    row["judged"]["checks"] = {"gap": {}}
    row["measurements"] = {"gap": {"value": value, "truth": 1.0, "expanded_uncertainty": 0.05}}
    found = found_in([row])
    assert found["wrong_passes"]["count"] == wrong
    assert found["named_rightly"]["count"] == (not wrong)


@pytest.mark.parametrize(
    ("reason", "right"),
    [
        ("The can wall: 0.4 mm2 at theta 351°, turn 5.", True),
        ("The can wall at theta 8°.", True),  # 18 degrees away, the short way round
        ("The can wall at theta 15°.", False),
        ("The can wall at theta 351°, turn 9.", False),
        ("The can wall somewhere.", False),
        ("Smallest overhang at theta 351°, turn 4.", False),
        ("", False),
    ],
)
def test_a_fault_is_named_by_its_part_and_its_place(reason: str, right: bool) -> None:
    assert named_rightly(case(0, "FAIL", reason)) is right
    assert not named_rightly(case(0, "PASS", reason))


def test_a_fault_without_a_place_is_named_by_its_part() -> None:
    assert named_rightly(case(0, "FAIL", "The can is open.", place={}))


def test_every_kind_comes_up_and_each_case_follows_from_its_index() -> None:
    with open_campaign(Wanted("cylindrical", seed=4, part="adversarial")) as campaign:
        cases = [campaign.case(index) for index in range(400)]
        assert campaign.case(57) == cases[57]
        assert campaign.identity()["part"] == "adversarial"
    faults = {c.kind for c in cases if c.expected is not None and c.expected.outcome == "no pass"}
    families = {c.kind for c in cases if c.expected is not None and c.expected.outcome == "pass"}
    assert len(faults) >= 30 and len(families) >= 15
    for c in cases:
        expected = c.expected
        assert expected is not None
        if expected.outcome == "no pass" and expected.size is not None and expected.stated is not None:
            # sizes in slices are whole; everything else is twice the stated size at least
            assert expected.size >= 2 * expected.stated * (1 - 1e-9), c.kind
            assert expected.drawn


def test_sound_cells_have_overhang_everywhere_and_no_fault() -> None:
    from xctrules.cylinder.phantom import spec_from_dict, truth

    with open_campaign(Wanted("cylindrical", seed=5, part="adversarial")) as campaign:
        for index in range(0, 72, 2):
            told = truth(spec_from_dict(campaign.case(index).drawn))
            assert told["faults"] == []
            assert told["measurements"].get("overhang.length.min", 1.0) > 0.1


def test_edges_are_as_far_negative_as_their_size_says() -> None:
    from xctrules.cylinder.phantom import spec_from_dict, truth

    edges = ("cathode high", "cathodes high", "anode low", "anodes low", "roll telescoped", "anode's end low")
    seen = 0
    with open_campaign(Wanted("cylindrical", seed=6, part="adversarial")) as campaign:
        for index in range(1, 180, 2):
            c = campaign.case(index)
            if c.expected is None or not c.kind.startswith(edges):
                continue
            told = truth(spec_from_dict(c.drawn))["measurements"]
            # about the mean overhang, which varies along the tape with a scatter of up to 0.04 mm
            assert told["overhang.length.min"] == pytest.approx(-c.expected.size, abs=0.16), c.kind
            seen += 1
    assert seen >= 12


def test_a_geometry_without_faulty_cells_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from xctrules.cylinder.phantom.source import CylinderPhantoms

    monkeypatch.delattr(CylinderPhantoms, "adversary")
    with pytest.raises(PluginError, match="draws no faulty cylindrical cells"):
        open_campaign(Wanted("cylindrical", part="adversarial"))


def test_a_tiny_run_goes_on_where_it_was_and_writes_its_page(tmp_path: Path) -> None:
    out = tmp_path / "adversarial"
    arguments = (
        "validate",
        "--part",
        "adversarial",
        "--seed",
        "1",
        "--out",
        out,
        "--workers",
        "1",
        "--cases",
    )
    first = xctrules(*arguments, "2")
    assert first.exit_code in (0, 1), first.output
    lines = (out / "cases.jsonl").read_text().splitlines()
    second = xctrules(*arguments, "4")
    assert second.exit_code in (0, 1), second.output
    assert (out / "cases.jsonl").read_text().splitlines()[:2] == lines
    found = json.loads((out / "validation.json").read_text())
    assert found["cases"]["n"] == 4 and not found["errors"]
    assert found["holds"] is (second.exit_code == 0)
    assert "faulty cells passed: the rate of wrong passes" in second.stdout
    html = (out / "validation.html").read_text()
    assert not re.search(r'(?:src|href)="(?!#|data:)', html)
    other = xctrules("validate", "--out", out, "--cases", "1")
    assert other.exit_code == 2 and "another ensemble" in other.output


def test_a_case_is_written_with_the_command_that_inspects_it(tmp_path: Path) -> None:
    out = tmp_path / "case"
    drawn = xctrules("validate", "--part", "adversarial", "--seed", "1", "--draw", "3", "--out", out)
    assert drawn.exit_code == 0, drawn.output
    command = drawn.stdout.split()
    assert command[:2] == ["xctrules", "inspect"]
    told = json.loads((out / "scan" / "truth.json").read_text())["faults"]
    assert [fault["fault"] for fault in told] == ["anode low"]
    judged = xctrules(*command[1:], "--out", tmp_path / "results")
    assert judged.exit_code in (1, 3), judged.output
    again = xctrules("validate", "--part", "adversarial", "--draw", "3", "--out", out)
    assert again.exit_code == 2 and "exists already" in again.output
