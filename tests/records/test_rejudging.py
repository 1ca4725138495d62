"""Records judged again: the same law as the first time, nothing overwritten, and causes that say why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import record_examples
from archive_examples import cell, filled
from command_line import run
from record_examples import SPEC, example

from xctrules.core.canonical import canonical_bytes
from xctrules.core.errors import RecordError
from xctrules.core.ledger import Ledger, Place
from xctrules.records.archive.checking import verify_archive
from xctrules.records.archive.collecting import read_item
from xctrules.records.archive.log import Log
from xctrules.records.archive.store import add_to_record, append, create_archive
from xctrules.records.record import sealed
from xctrules.records.rejudging import rejudge
from xctrules.records.signing.checking import Trust
from xctrules.records.signing.keys import new_key, save_key
from xctrules.records.signing.making import sign_folder, signature_in
from xctrules.rules.cellspec import parse_spec
from xctrules.rules.deciding import DECISION_RULES
from xctrules.rules.redeciding import by_decision_rule

STRICTER = SPEC.replace("21.25", "21.1").replace('"1"', '"2"')
MORE = STRICTER + "  - {id: gone, measurement: no.such, max: 1, unit: mm, source: S, status: drawing}\n"
OTHER_RULE = SPEC.replace('"1"', '"2"').replace("rules:", "decision_rule: simple\nrules:")
WITHOUT = "\n".join(line for line in SPEC.splitlines() if "id: od" not in line)
HOLE = Ledger("can", "mm2", 100.0, 90.0, 1.0, unexplained=(Place(10.0, {"z_mm": 1.0}, "dark"),))
CASES: dict[str, dict[str, Any]] = {
    "sound": {},
    "scale not stated": {"stated": False},
    "rejected": {"rejections": ["too noisy"]},
    "unscreened": {"unscreened": ["the screen failed"]},
    "a part not looked at": {"nobody_looked": {"roll": "nobody measures it"}},
    "a hole": {"ledgers": [HOLE]},
}
JUDGED = ("verdict", "reasons", "probability_of_conformity", "verdict_under_other_rules", "checks")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("spec", [STRICTER, OTHER_RULE, WITHOUT], ids=["limit", "decision rule", "rule gone"])
def test_the_verdict_is_what_an_inspection_by_that_spec_gives(
    case: str, spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    then, _ = example(**CASES[case])
    monkeypatch.setattr(record_examples, "SPEC", spec)
    straight, _ = example(**CASES[case])
    again = rejudge(then, canonical_bytes(then), parse_spec(spec, file="mine.yaml"))
    for part in (*JUDGED, "measurements", "completeness", "spec"):
        assert again.now[part] == straight[part], part
    assert again.flipped == (then["verdict"] != straight["verdict"]) == bool(again.causes)


def test_what_was_not_measured_is_incomplete_and_the_causes_say_so() -> None:
    then, _ = example()
    again = rejudge(then, canonical_bytes(then), parse_spec(MORE, file="mine.yaml"))
    outcomes = {check["rule"]: check["outcome"] for check in again.now["checks"]}
    assert outcomes == {"od": "FAIL", "overhang": "PASS", "gone": "INCOMPLETE"}
    assert again.now["verdict"] == "FAIL" and again.now["measurements"]["no.such"]["value"] is None
    od, gone = again.causes
    assert "PASS -> FAIL" in od and "21.1 mm" in od and "was at most 21.25 mm" in od
    assert "INCOMPLETE" in gone and "measured again" in gone


def test_changed_records_and_specs_that_measuring_must_know_are_refused() -> None:
    then, _ = example()
    then["measurements"]["canister.outer_diameter"]["value"] = 21.0
    with pytest.raises(RecordError, match="does not hold"):
        rejudge(then, canonical_bytes(sealed(then)), parse_spec(STRICTER, file="mine.yaml"))
    then, _ = example()
    for more in (
        "nominal: {outer_diameter: {value: 21, unit: mm, source: S, status: datasheet}}\n",
        "segmenter: unet\n",
        "geometry: box\n",
    ):
        with pytest.raises(RecordError, match="Inspect the scan again"):
            spec = parse_spec(STRICTER.replace("rules:", more + "rules:"), file="mine.yaml")
            record = sealed({**then, "parameters": {"segmenter": "classical"}})
            rejudge(record, canonical_bytes(record), spec)


def _cell(folder: Path, name: str, diameter: float, spec: str = SPEC, **kw: Any) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record_examples, "SPEC", spec)
        return cell(folder, name, diameter, **kw)


def _contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_folder_gets_new_records_beside_it_and_keeps_the_old(tmp_path: Path) -> None:
    spec = tmp_path / "mine.yaml"
    spec.write_text(STRICTER)
    for name, diameter in (("A", 21.2), ("B", 21.0)):
        _cell(tmp_path / "cells", name, diameter)
    before = _contents(tmp_path / "cells")
    asked = ("rejudge", tmp_path / "cells", "--spec", spec)
    assert run(*asked).exit_code == 2, "nowhere to write to"
    assert run(*asked, "--dry-run").exit_code == 1 and not (tmp_path / "new").exists()
    done = run(*asked, "--out", tmp_path / "new")
    assert done.exit_code == 1 and "A: PASS -> FAIL" in done.stdout and "B:" not in done.stdout
    assert "2 records judged by mine 2: 1 flipped" in done.stdout
    assert _contents(tmp_path / "cells") == before
    assert run("verify", tmp_path / "new").exit_code == 0
    written = _contents(tmp_path / "new")
    assert run(*asked, "--out", tmp_path / "new").exit_code == 2 and _contents(tmp_path / "new") == written
    (tmp_path / "cells" / "A" / "record.json").write_bytes(before["A/record.json"][:100])
    done = run(*asked, "--dry-run")
    assert done.exit_code == 2 and "1 record judged" in done.stdout, "one that cannot be read hides no other"


def test_an_archive_gets_entries_that_point_to_the_first_ones(tmp_path: Path) -> None:
    key, spec, archive = new_key("Laboratory"), tmp_path / "mine.yaml", tmp_path / "archive"
    spec.write_text(STRICTER)
    create_archive(archive, "example.org/cells", key)
    append(archive, [read_item(_cell(tmp_path / "c", f"C{i}", 21.2)) for i in range(3)], key)
    private, _ = save_key(key, tmp_path / "keys", None)
    before, old = _contents(archive), list(Log.open(archive).entries())
    for _ in range(2):  # a second time adds nothing
        done = run("rejudge", archive, "--spec", spec, "--key", private, "--json")
        assert done.exit_code in (0, 1), done.stderr
        found = list(Log.open(archive).entries())
        assert found[: len(old)] == old and len(found) == len(old) + 3
        assert {entry["rejudges"] for entry in found[len(old) :]} == {entry["record"] for entry in old[1:]}
    after = _contents(archive)
    assert all(after[name] == data for name, data in before.items() if name != "checkpoint")
    assert all(result.ok for result in verify_archive(archive, Trust((key.public,))))
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize("decision_rule", DECISION_RULES)
def test_another_decision_rule_needs_no_spec_of_its_own(decision_rule: str, tmp_path: Path) -> None:
    """The verdict is the one that the record had stated for it, also with a guard band and rules of rules."""
    banded = SPEC.replace("max: 21.25", "decision_rule: guarded, guard_band: 0.04, max: 21.25")
    for name, diameter, stated in (("A", 21.23, True), ("B", 21.2499, True), ("C", 21.3, False)):
        _cell(tmp_path / "cells", name, diameter, spec=banded, stated=stated)
    done = run(
        "rejudge", tmp_path / "cells", "--decision-rule", decision_rule, "--out", tmp_path / "new", "--json"
    )
    assert done.exit_code in (0, 1), done.stderr
    for each in json.loads(done.stdout):
        then = json.loads((tmp_path / "cells" / each["cell_id"] / "record.json").read_bytes())
        now = json.loads((tmp_path / "new" / each["cell_id"] / "record.json").read_bytes())
        assert {check["decision_rule"] for check in now["checks"]} == {decision_rule}
        if decision_rule not in ("guarded", "four_state"):  # those of the record took U for the guard band
            assert now["verdict"] == then["verdict_under_other_rules"][decision_rule]
        bands = {rule["guard_band"] for rule in now["spec"]["resolved"]["rules"]}
        assert bands == ({0.04, None} if decision_rule in ("guarded", "four_state") else {None})
        assert now["spec"]["parents"][0]["text"] == then["spec"]["text"]
    assert run("verify", tmp_path / "new").exit_code == 0


def test_two_specs_of_one_name_stay_two_under_a_decision_rule() -> None:
    one, two = (parse_spec(text, file="mine.yaml") for text in (SPEC, SPEC.replace("21.25", "21.1")))
    assert by_decision_rule(one, "simple").sha256 != by_decision_rule(two, "simple").sha256
    long = parse_spec(SPEC.replace("name: mine", "name: " + "n" * 80), file="mine.yaml")
    assert by_decision_rule(long, "four_state").rules


def test_wrong_ways_to_ask_say_what_to_do(tmp_path: Path) -> None:
    folder = _cell(tmp_path / "cells", "A", 21.2)
    for asked in ((), ("--decision-rule", "generous")):
        done = run("rejudge", folder, "--dry-run", *asked)
        assert done.exit_code == 2 and "--decision-rule" in done.stderr and "Traceback" not in done.stderr


def test_an_archive_whose_record_or_log_was_changed_is_not_judged_again(tmp_path: Path) -> None:
    """The log stands for the bytes: a record that holds by itself but is not the one in it is refused."""
    archive, spec = filled(tmp_path, None), tmp_path / "mine.yaml"
    spec.write_text(STRICTER)
    first, second, _ = sorted((archive / "records").rglob("record.json"))
    changed, _ = example("cell-9", diameter=20.9)
    data = first.read_bytes()
    first.write_bytes(canonical_bytes(changed))
    done = run("rejudge", archive, "--spec", spec, "--dry-run")
    assert done.exit_code == 2 and "not the one in the log" in done.stderr
    assert "2 records judged" in done.stdout, "the others are"
    first.write_bytes(data)
    scan_list = second.parent / "samples" / "scan.sha256"
    scan_list.write_bytes(scan_list.read_bytes() + b"\n")
    done = run("rejudge", archive, "--spec", spec)
    assert done.exit_code == 2 and "scan.sha256" in done.stderr and "2 records judged" in done.stdout
    entry = next((archive / "log").rglob("*2.json"))
    entry.write_bytes(entry.read_bytes().replace(b"cell-1", b"cell-7"))
    before = _contents(archive)
    done = run("rejudge", archive, "--spec", spec, "--decision-rule", "simple")
    assert done.exit_code == 2 and "nothing is judged again" in done.stderr and _contents(archive) == before


def test_signatures_that_are_broken_or_nobodys_are_refused(tmp_path: Path) -> None:
    reviewer, stranger = new_key("Reviewer"), new_key("Stranger")
    cells = {name: _cell(tmp_path / "cells", name, 21.2) for name in ("good", "foreign", "broken")}
    for name, key in (("good", reviewer), ("foreign", stranger), ("broken", reviewer)):
        sign_folder(cells[name], key, "reviewed")
    signature = next((cells["broken"] / "signatures").iterdir())
    signature.write_bytes(next((cells["good"] / "signatures").iterdir()).read_bytes())
    _, public = save_key(reviewer, tmp_path / "keys", None)
    asked = ("rejudge", tmp_path / "cells", "--decision-rule", "simple", "--dry-run")
    done = run(*asked)
    assert done.exit_code == 2 and "broken" in done.stderr and "2 records judged" in done.stdout
    done = run(*asked, "--trust", public)
    assert done.exit_code == 2 and "counts for nothing" in done.stderr and "1 record judged" in done.stdout


def test_what_was_withdrawn_is_told_and_left_out(tmp_path: Path) -> None:
    archive = filled(tmp_path, None)
    folder = next((archive / "records").rglob("record.json")).parent
    name, envelope = signature_in(folder, new_key("Reviewer"), "withdrawal", reason="wrong cell")
    add_to_record(archive, folder.name, {name: envelope}, "signature")
    asked = ("rejudge", archive, "--decision-rule", "simple", "--dry-run")
    done = run(*asked)
    assert done.exit_code == 0 and "wrong cell" in done.stderr and "2 records judged" in done.stdout
    next((folder / "added").iterdir()).unlink()
    done = run(*asked)
    assert done.exit_code == 2 and "missing" in done.stderr, "taking the withdrawal away is found out"


def test_the_page_of_a_record_judged_again_shows_what_was_judged(tmp_path: Path) -> None:
    _cell(tmp_path / "cells", "A", 21.2)
    run("rejudge", tmp_path / "cells", "--decision-rule", "simple", "--out", tmp_path / "new")
    first, again = ((tmp_path / folder / "A" / "report.html").read_text() for folder in ("cells", "new"))
    shown = [page.partition('<script type="application/json"')[0] for page in (first, again)]
    assert all("overhang.<wbr>length.<wbr>min" in page for page in shown)
    assert ["winding.<wbr>pitch" in page for page in shown] == [True, False]
    assert "Judged again" in shown[1]
