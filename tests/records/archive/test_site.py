"""The pages lie in the archive without being part of it, the same from the same log, and safe to load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from archive_examples import cell, filled, holds, small_item
from command_line import command

from xctrules.records.archive.collecting import read_item
from xctrules.records.archive.site import write_site
from xctrules.records.archive.store import append

HOSTILE = "</script>\u2028<img src=x onerror=alert(1)>"


def written(archive: Path) -> dict[str, bytes]:
    pages = [archive / "index.html", *(p for p in (archive / "pages").rglob("*") if p.is_file())]
    return {path.relative_to(archive).as_posix(): path.read_bytes() for path in pages}


def test_pages_are_no_part_of_the_archive_and_the_same_from_the_same_log(tmp_path):
    archive = filled(tmp_path, None, count=2)
    assert write_site(archive) == 2
    before = written(archive)
    assert holds(archive, None)
    checker = [sys.executable, str(archive / "verify_xctrules.py"), str(archive)]
    assert subprocess.run(checker, capture_output=True).returncode == 0
    os.utime(archive / "index.html", (0, 0))
    assert write_site(archive) == 2 and written(archive) == before
    append(archive, [read_item(cell(tmp_path / "cells", "one-more"))])
    assert write_site(archive) == 3
    assert b"one-more" in written(archive)["index.html"] and holds(archive, None)
    assert not [name for name in written(archive) if name.endswith((".new", ".tmp"))]


def test_the_data_are_plain_and_hold_what_the_records_say(tmp_path):
    archive = filled(tmp_path, None, count=0)
    append(archive, [small_item(HOSTILE), small_item("plain", verdict="FAIL", acquisition={"lot": "L1"})])
    write_site(archive)
    files = written(archive)
    data = files["pages/data.js"].decode("ascii")  # no character ends a line or a script
    head, body = data.split(" = ", 1)
    assert head == "globalThis.xctrulesArchive"
    cells = json.loads(body.rstrip(";\n"))["cells"]
    assert [name for name, *_ in cells] == ["plain", HOSTILE]
    assert cells[0][1][0][2:6] == ["FAIL", "none", "mine", "L1"]
    for name in ("index.html", "pages/list-1.html"):
        assert b"<img src=x" not in files[name] and b"&lt;img src=x" in files[name]


def test_lists_that_are_no_longer_needed_go_and_a_broken_picture_is_left_out(tmp_path):
    archive = filled(tmp_path, None, count=0)
    broken = small_item("broken")
    append(archive, [type(broken)(broken.record, {**broken.files, "images/slice.png": b"no picture"})])
    (archive / "pages").mkdir()
    (archive / "pages/list-7.html").write_text("old")
    assert command("archive", "pages", archive).returncode == 0
    assert "pages/list-7.html" not in written(archive) and "pages/list-1.html" in written(archive)
    assert not [name for name in written(archive) if name.endswith(".jpg")]
