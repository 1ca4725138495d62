"""The folder of a cell: writing it never loses an older one."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from record_examples import example

from xctrules.core import files as files_module
from xctrules.core.canonical import canonical_bytes
from xctrules.core.errors import OutputError
from xctrules.records.folder import check_cell_id, write_cell
from xctrules.records.record import sealed


@pytest.mark.parametrize(
    "cell_id",
    ["", " ", "..", ".", "a/b", "../x", "/etc", "a\\b", "C:", "nul", "COM1.x", "a.", ".a", "a\n", "x" * 151,
     "a\u202eb", "*"],
)  # fmt: skip
def test_ids_that_are_no_folder_names_are_refused(cell_id, tmp_path):
    with pytest.raises(OutputError, match="--cell-id"):
        check_cell_id(cell_id)
    record, files = example()
    with pytest.raises(OutputError):
        write_cell(tmp_path, sealed({**record, "cell_id": cell_id}), files, "<html>")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cell_id", ["UCL-21700-A", "Zelle 7", "prüfling_3", "console", "a.b"])
def test_ordinary_ids_are_fine(cell_id):
    check_cell_id(cell_id)


def read(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_folder_holds_what_the_contract_says(tmp_path):
    record, files = example()
    folder = write_cell(tmp_path / "new" / "out", record, files, "<html>é")
    assert folder == tmp_path / "new" / "out" / "cell-1"
    held = read(folder)
    assert set(held) == {
        "record.json", "report.html", "samples/overhang.csv", "samples/scan.sha256", "images/slice.png",
    }  # fmt: skip
    assert held["record.json"] == canonical_bytes(record)
    listed = {f["name"]: f["sha256"] for f in record["files"]}
    assert listed == {
        name: hashlib.sha256(data).hexdigest() for name, data in held.items() if not name.startswith("re")
    }
    assert [p.name for p in folder.parent.iterdir()] == ["cell-1"]


def test_a_record_is_replaced_only_when_asked(tmp_path):
    old, files = example()
    write_cell(tmp_path, old, files, "old")
    new, _ = example(diameter=21.3)
    with pytest.raises(OutputError, match="--replace"):
        write_cell(tmp_path, new, files, "new")
    assert (tmp_path / "cell-1" / "report.html").read_text() == "old"
    write_cell(tmp_path, new, files, "new", replace=True)
    assert json.loads((tmp_path / "cell-1" / "record.json").read_text())["verdict"] == "FAIL"
    assert [p.name for p in tmp_path.iterdir()] == ["cell-1"]


def test_other_peoples_files_are_never_replaced(tmp_path):
    record, files = example()
    (tmp_path / "cell-1").mkdir()
    (tmp_path / "cell-1" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="no record"):
        write_cell(tmp_path, record, files, "x", replace=True)
    assert (tmp_path / "cell-1" / "thesis.txt").read_text() == "mine"
    with pytest.raises(ValueError, match="leads out"):
        write_cell(tmp_path, sealed({**record, "cell_id": "other"}), {"../evil": b""}, "x")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("exchange", [True, False])
def test_a_stop_at_any_moment_leaves_the_old_record_or_the_new_one(tmp_path, monkeypatch, exchange):
    """The process is stopped (forked and killed) before each file-system step in turn."""
    old, files = example()
    new, _ = example(diameter=21.3)
    if not exchange:
        monkeypatch.setattr(files_module, "_exchange", lambda a, b: False)
    whole = []
    for name, a_record, html in (("old", old, "old"), ("new", new, "new")):
        whole.append(read(write_cell(tmp_path / name, a_record, files, html)))
    for step in range(1, 60):
        out = tmp_path / f"step{step}"
        write_cell(out, old, files, "old")
        pid = os.fork()
        if pid == 0:
            try:
                _stop_before(step)
                write_cell(out, new, files, "new", replace=True)
            finally:
                os._exit(0)
        _, status = os.waitpid(pid, 0)
        # What the next run sees: it first brings back what an interrupted swap had put aside.
        files_module.finish_interrupted_swap(out / "cell-1")
        assert read(out / "cell-1") in whole
        if os.waitstatus_to_exitcode(status) == 0:
            assert read(out / "cell-1") == whole[1]
            break
    else:
        pytest.fail("the writer took more steps than were tried")
    assert step > 8  # five files, folders, and the swap


def _stop_before(step: int) -> None:
    """Make this process die with status 9 in place of its ``step``-th change to the file system."""
    import shutil

    left = [step]

    def guarded(function):
        def call(*args, **kw):
            left[0] -= 1
            if left[0] == 0:
                os._exit(9)
            return function(*args, **kw)

        return call

    for owner, name in (
        (os, "fsync"), (Path, "rename"), (Path, "write_bytes"), (Path, "mkdir"),
        (shutil, "rmtree"), (files_module, "_exchange"),
    ):  # fmt: skip
        setattr(owner, name, guarded(getattr(owner, name)))


def test_a_folder_that_cannot_be_written_is_one_clear_message(tmp_path):
    record, files = example()
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        write_cell(tmp_path / "file", record, files, "x")


def test_of_two_writers_without_replace_one_wins(tmp_path, monkeypatch):
    """Both found the place free; the second is told, and the first one's record stays."""
    old, files = example()
    new, _ = example(diameter=21.3)
    sync = files_module._sync_tree

    def meanwhile(folder):
        monkeypatch.setattr(files_module, "_sync_tree", sync)
        write_cell(tmp_path, old, files, "first")
        sync(folder)

    monkeypatch.setattr(files_module, "_sync_tree", meanwhile)
    with pytest.raises(OutputError, match=r"a record of this cell already.*--replace"):
        write_cell(tmp_path, new, files, "second")
    assert (tmp_path / "cell-1" / "report.html").read_text() == "first"
    assert json.loads((tmp_path / "cell-1" / "record.json").read_text()) == json.loads(canonical_bytes(old))
    assert [p.name for p in tmp_path.iterdir()] == ["cell-1"]


@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("links", [True, False])
def test_replacing_leaves_files_of_others_alone(tmp_path, monkeypatch, exchange, links):
    if not exchange:
        monkeypatch.setattr(files_module, "_exchange", lambda a, b: False)
    if not links:
        monkeypatch.setattr(os, "link", lambda *args, **options: (_ for _ in ()).throw(OSError))
    old, files = example()
    folder = write_cell(tmp_path, old, files, "old")
    (folder / "notes.txt").write_text("mine")
    (folder / "photos").mkdir()
    (folder / "photos" / "a.jpg").write_bytes(b"jpg")
    (folder / "samples" / "mine.csv").write_text("1")
    (folder / "link").symlink_to("elsewhere")
    new, _ = example(diameter=21.3)
    write_cell(tmp_path, new, files, "new", replace=True)
    assert (folder / "report.html").read_text() == "new"
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "photos" / "a.jpg").read_bytes() == b"jpg"
    assert (folder / "samples" / "mine.csv").read_text() == "1"
    assert (folder / "link").readlink() == Path("elsewhere")
    assert [p.name for p in tmp_path.iterdir()] == ["cell-1"]


def test_what_the_old_record_listed_goes_with_it(tmp_path):
    old, files = example()
    listed = [*old["files"], {"name": "samples/gone.csv", "sha256": "0" * 64}]
    folder = write_cell(tmp_path, {**old, "files": listed}, {**files, "samples/gone.csv": b"1"}, "old")
    write_cell(tmp_path, old, files, "new", replace=True)
    assert not (folder / "samples" / "gone.csv").exists()


def test_a_file_of_others_in_the_way_is_not_lost(tmp_path):
    old, files = example()
    folder = write_cell(tmp_path, old, files, "old")
    record = json.loads((folder / "record.json").read_text())
    name = record["files"].pop(0)["name"]
    (folder / "record.json").write_text(json.dumps(record))
    (folder / name).write_bytes(b"mine")
    with pytest.raises(OutputError, match="in the way"):
        write_cell(tmp_path, old, files, "new", replace=True)
    assert (folder / name).read_bytes() == b"mine"
    assert (folder / "report.html").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["cell-1"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_what_a_killed_run_left_behind_is_removed_and_what_a_live_one_writes_is_not(tmp_path):
    record, files = example()
    ready, go = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:  # a writer of another cell, in the midst of its work
        with files_module.whole_folder(tmp_path / "other") as temporary:
            (temporary / "half").write_bytes(b"1")
            os.write(ready[1], b".")
            os.read(go[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    write_cell(tmp_path, record, files, "x")
    left = [p for p in tmp_path.iterdir() if p.name != "cell-1"]
    assert len(left) == 1 and (left[0] / "half").read_bytes() == b"1"  # it is at work
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    (tmp_path / ".mine.tmp").mkdir()  # nobody's who writes here
    write_cell(tmp_path, record, files, "y", replace=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".mine.tmp", "cell-1"]


def test_a_writer_whose_folder_was_taken_for_left_behind_makes_another(tmp_path, monkeypatch):
    lock, taken = files_module._locked, []

    def late(folder, *, wait):
        if wait and not taken:
            taken.append(folder)
            folder.rmdir()  # by another run, before the lock was there
        return lock(folder, wait=wait)

    monkeypatch.setattr(files_module, "_locked", late)
    record, files = example()
    write_cell(tmp_path, record, files, "x")
    assert taken and [p.name for p in tmp_path.iterdir()] == ["cell-1"]


def test_a_damaged_record_can_be_replaced(tmp_path):
    record, files = example()
    folder = write_cell(tmp_path, record, files, "old")
    (folder / "record.json").write_text("{")
    (folder / "notes.txt").write_text("mine")
    write_cell(tmp_path, record, files, "new", replace=True)
    assert (folder / "report.html").read_text() == "new"
    assert json.loads((folder / "record.json").read_text())["cell_id"] == "cell-1"
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes")
def test_a_pipe_in_the_folder_stays_and_stops_nobody(tmp_path):
    record, files = example()
    folder = write_cell(tmp_path, record, files, "old")
    os.mkfifo(folder / "pipe")
    write_cell(tmp_path, record, files, "new", replace=True)
    assert (folder / "pipe").is_fifo() and (folder / "report.html").read_text() == "new"
