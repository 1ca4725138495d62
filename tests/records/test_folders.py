"""A folder of many: nothing is passed over, one bad thing hides no other, swapped ones are told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from record_examples import example

from xctrules.core.errors import RecordError
from xctrules.records.binding import bound_report
from xctrules.records.folder import write_cell
from xctrules.records.folders import verify_all


def cells(folder: Path, *names: str) -> list[Path]:
    written = []
    for name in names:
        record, files = example(name)
        record, page = bound_report(record, files)
        written.append(write_cell(folder, record, files, page))
    return written


def answers(folder: Path) -> dict[str, str]:
    return {result.path.name: result.answer for result in verify_all(folder)}


def told(folder: Path, name: str) -> str:
    (result,) = (r for r in verify_all(folder) if r.path.name == name)
    return "\n".join(map(str, result.findings))


def test_sound_cells_hold_at_any_depth(tmp_path):
    cells(tmp_path / "lot 1", "a", "b")
    cells(tmp_path / "lot 2" / "shift", "a")
    (tmp_path / ".a.tmp").mkdir()
    (tmp_path / "empty").mkdir()
    assert [r.answer for r in verify_all(tmp_path)] == ["holds"] * 3


def test_a_cell_without_its_record_is_not_passed_over(tmp_path):
    (a, _, _) = cells(tmp_path, "a", "b", "c")
    (a / "record.json").unlink()
    assert answers(tmp_path) == {"a": "DOES NOT HOLD", "b": "holds", "c": "holds"}
    assert answers(a) == {"a": "DOES NOT HOLD"}
    assert "the record is missing" in told(tmp_path, "a")
    assert "all 3 files that it lists are unchanged" in told(tmp_path, "a")  # by the record in the report
    shutil.rmtree(a / "samples")
    shutil.rmtree(a / "images")
    assert answers(tmp_path)["a"] == "DOES NOT HOLD"  # its name is that of the cell in the report


def test_what_is_left_without_record_and_report_is_told(tmp_path):
    (a, _) = cells(tmp_path, "a", "b")
    (a / "record.json").unlink()
    (a / "report.html").unlink()
    assert answers(tmp_path) == {"a": "DOES NOT HOLD", "b": "holds"}


@pytest.mark.parametrize("left", [0, 1, 100, -2])
def test_a_truncated_record_ends_nothing(tmp_path, left):
    (a, _) = cells(tmp_path, "a", "b")
    data = (a / "record.json").read_bytes()
    (a / "record.json").write_bytes(data[:left])
    assert answers(tmp_path) == {"a": "CANNOT BE READ", "b": "holds"}
    assert "what it shows is what was written with the record" in told(tmp_path, "a")
    report = (a / "report.html").read_bytes()
    (a / "report.html").write_bytes(report[: len(report) // 2])
    assert answers(tmp_path) == {"a": "CANNOT BE READ", "b": "holds"}


def test_loose_reports_and_records_are_each_checked(tmp_path):
    (a, b, c) = cells(tmp_path / "in", "a", "b", "c")
    loose = tmp_path / "loose"
    loose.mkdir()
    shutil.copy(a / "report.html", loose / "a.html")
    (loose / "b.html").write_bytes((b / "report.html").read_bytes().replace(b">Pass", b">Fail", 1))
    shutil.copy(c / "record.json", loose / "c.json")
    (loose / "cut.json").write_bytes((c / "record.json").read_bytes()[:99])
    (loose / "page.html").write_text("<html><h1>PASS</h1></html>")
    (loose / "truth.json").write_text("{}")
    assert answers(loose) == {
        "a.html": "holds", "b.html": "DOES NOT HOLD", "c.json": "holds", "cut.json": "CANNOT BE READ",
        "page.html": "NOT CHECKED", "truth.json": "NOT CHECKED",
    }  # fmt: skip
    assert [r.path.name for r in verify_all(loose) if not r.ok] == ["b.html", "cut.json", "page.html"]


def test_a_loose_report_may_have_any_name(tmp_path):
    (a,) = cells(tmp_path / "in", "a")
    (tmp_path / "mail").mkdir()
    shutil.copy(a / "report.html", tmp_path / "mail" / "report.html")
    assert answers(tmp_path / "mail") == {"report.html": "holds"}


def test_swapped_and_stolen_names_are_told(tmp_path):
    (a, b, c) = cells(tmp_path, "a", "b", "c")
    a.rename(tmp_path / "x")
    b.rename(a)
    (tmp_path / "x").rename(b)
    assert answers(tmp_path) == {"a": "DOES NOT HOLD", "b": "DOES NOT HOLD", "c": "holds"}
    assert "called 'a', its record is of the cell 'b'" in told(tmp_path, "a")
    c.rename(tmp_path / "d")
    assert answers(tmp_path)["d"] == "DOES NOT HOLD"


def test_a_single_folder_may_have_been_renamed_on_its_way(tmp_path):
    (a,) = cells(tmp_path, "a")
    sent = a.rename(tmp_path / "from the laboratory")
    assert answers(sent) == {"from the laboratory": "holds"}
    assert "not checked: record.json: the folder is called" in told(sent, sent.name)


def test_a_link_that_leads_back_is_not_followed(tmp_path):
    cells(tmp_path, "a")
    (tmp_path / "again").symlink_to(tmp_path)
    assert answers(tmp_path) == {"a": "holds"}


def test_a_folder_with_nothing_in_it_is_refused(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"x")
    (tmp_path / "truth.json").write_text("{}")
    with pytest.raises(RecordError, match=r"record\.json"):
        verify_all(tmp_path)
