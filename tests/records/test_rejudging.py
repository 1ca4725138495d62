"""Records judged again: the same law as the first time, nothing overwritten, and causes that say why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import record_examples
from command_line import run
from record_examples import SPEC, example

from xctrules.core.canonical import canonical_bytes
from xctrules.core.errors import RecordError
from xctrules.core.ledger import Ledger, Place
from xctrules.records.archive.checking import verify_archive
from xctrules.records.archive.collecting import read_item
from xctrules.records.archive.log import Log
from xctrules.records.archive.store import append, create_archive
from xctrules.records.binding import bound_report
from xctrules.records.folder import write_cell
from xctrules.records.record import sealed
from xctrules.records.rejudging import rejudge
from xctrules.records.signing.checking import Trust
from xctrules.records.signing.keys import new_key, save_key
from xctrules.rules.cellspec import parse_spec

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


def _cell(folder: Path, name: str, diameter: float) -> Path:
    record, files = example(name, diameter=diameter)
    record, page = bound_report(record, files)
    return write_cell(folder, record, files, page)


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
