"""Archives: what was put away stays, and every change of it is found, by the program and by the checker."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from archive_examples import KEY, cell, filled, holds
from command_line import command

from xctrules.records.archive.checking import verify_archive
from xctrules.records.archive.checkpoint import parse_checkpoint
from xctrules.records.archive.collecting import read_item
from xctrules.records.archive.log import Log
from xctrules.records.archive.store import append
from xctrules.records.signing.checking import Trust
from xctrules.records.signing.keys import new_key, save_key


def checker_holds(archive: Path, pub: Path, checker: Path) -> bool:
    done = subprocess.run(
        [sys.executable, str(checker), str(archive), "--key", str(pub)], capture_output=True, text=True
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.returncode == 0


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Path, Path, Path]:
    """An archive, the public key, and the checker as it lay outside of it before anything was changed."""
    archive = filled(tmp_path)
    _, pub = save_key(KEY, tmp_path / "keys", None)
    checker = tmp_path / "checker.py"
    checker.write_bytes((archive / "verify_xctrules.py").read_bytes())
    return archive, pub, checker


def test_an_untouched_archive_holds_and_adding_twice_adds_nothing(kept, tmp_path):
    archive, pub, checker = kept
    assert holds(archive) and checker_holds(archive, pub, checker)
    before = Log.open(archive).head
    (again,) = append(archive, [read_item(tmp_path / "cells" / "cell-1")], KEY)
    assert again.was_there and Log.open(archive).head == before


def test_any_changed_byte_of_any_file_is_found_by_both(kept):
    archive, _, _ = kept
    sys.path.insert(0, str(archive))
    try:
        import verify_xctrules as checker
    finally:
        sys.path.pop(0)
    pub = archive.parent / "keys" / next(p.name for p in (archive.parent / "keys").glob("*.pub"))
    rng = np.random.default_rng(1)
    files = sorted(p for p in archive.rglob("*") if p.is_file() and p.name != "lock")
    assert len(files) > 20
    for path in files:
        data = path.read_bytes()
        for at in {0, len(data) - 1, *rng.integers(0, len(data), 3).tolist()}:
            changed = bytearray(data)
            changed[at] ^= 1
            path.write_bytes(changed)
            assert not holds(archive), (path, at)
            assert checker.check(archive, pub, say=lambda _: None), (path, at)
        path.write_bytes(data)
    assert holds(archive)


def swap(archive: Path) -> None:
    a, b = (archive / f"log/000000/00000000{i}.json" for i in (1, 2))
    one, two = a.read_bytes(), b.read_bytes()
    a.write_bytes(two)
    b.write_bytes(one)


def drop_last(archive: Path) -> None:
    (archive / "log/000000/000000003.json").unlink()


def duplicate(archive: Path) -> None:
    text = (archive / "log/000000/000000003.json").read_bytes()
    (archive / "log/000000/000000004.json").write_bytes(text)


def back_to_an_older_checkpoint(archive: Path) -> None:
    proof = next(archive.glob("records/*/*/archive.tlog-proof")).read_bytes()
    older = proof.partition(b"\n\n")[2]
    if parse_checkpoint(older, "proof").size == Log.open(archive).head.size:
        older = (archive / "log/000000/000000000.tlog-proof").read_bytes().partition(b"\n\n")[2]
    (archive / "checkpoint").write_bytes(older)


def sign_with_another_key(archive: Path) -> None:
    head = Log.open(archive).head
    forged = type(head)(head.origin, head.size, head.root).signed(new_key("Somebody else"))
    (archive / "checkpoint").write_text(forged.text(), encoding="utf-8")


def slip_in(archive: Path) -> None:
    next(archive.glob("records/*/*")).joinpath("note.txt").write_text("sound")


@pytest.mark.parametrize(
    "tamper", [swap, drop_last, duplicate, back_to_an_older_checkpoint, sign_with_another_key, slip_in]
)
def test_a_log_that_was_worked_on_does_not_hold(kept, tamper: Callable[[Path], None]):
    archive, pub, checker = kept
    tamper(archive)
    assert not holds(archive)
    assert not checker_holds(archive, pub, checker)


def test_all_written_anew_with_another_key_shows_against_the_key_and_an_earlier_checkpoint(kept, tmp_path):
    archive, pub, checker = kept
    earlier = Log.open(archive).head
    other = new_key("Cell laboratory")
    forged = filled(tmp_path / "forged", other, count=2)
    assert not holds(forged) and not checker_holds(forged, pub, checker)
    own = [*verify_archive(forged, Trust((other.public,)), {"kept": earlier}, recompute=False)]
    assert not all(result.ok for result in own)  # also for who trusts the forger's key


def test_a_record_that_does_not_hold_is_not_put_away(kept, tmp_path):
    archive, _, _ = kept
    folder = cell(tmp_path / "cells", "changed")
    text = (folder / "record.json").read_text()
    (folder / "record.json").write_text(text.replace("21.2", "21.1", 1))
    done = command("archive", "add", archive, folder, "--key", next((tmp_path / "keys").glob("*.key")))
    assert done.returncode == 1 and "not put away" in done.stderr
    assert Log.open(archive).head.size == 4


def test_the_commands_from_key_to_check(tmp_path):
    cell(tmp_path / "out", "cell-7")
    run = lambda *words: command(*words, cwd=tmp_path)  # noqa: E731
    assert run("keys", "new", "Laboratory").returncode == 0
    key = next(tmp_path.glob("*.key"))
    assert run("archive", "init", "cells", "--key", key).returncode == 0
    done = run("archive", "add", "cells", "out", "--key", key)
    assert done.returncode == 0 and "added, entry 1" in done.stdout
    assert "cell-7" in run("archive", "list", "cells").stdout
    assert "record.json" in run("archive", "show", "cells", "cell-7").stdout
    assert run("archive", "checkpoint", "cells").stdout == (tmp_path / "cells/checkpoint").read_text()
    done = run("verify", "cells")
    assert done.returncode == 0 and "holds" in done.stdout
    pub = next(tmp_path.glob("*.pub"))
    kept = tmp_path / "kept"
    kept.write_bytes((tmp_path / "cells/checkpoint").read_bytes())
    done = run("verify", "cells", "--trust", pub, "--earlier", kept)
    assert done.returncode == 0 and "not checked: log" not in done.stdout, done.stdout
    record = next((tmp_path / "cells/records").glob("*/*"))
    member = run("verify", record, "--trust", pub)
    assert member.returncode == 0 and "stands in the newest checkpoint" in member.stdout
    sent = tmp_path / "sent"
    shutil.copytree(record, sent)  # one cell's folder alone, with the proof that lies in it
    done = run("verify", sent, "--trust", pub)
    assert done.returncode == 0 and "stands in the log cells" in done.stdout, done.stdout
    (sent / "report.html").write_bytes((sent / "report.html").read_bytes() + b" ")
    assert run("verify", sent, "--trust", pub).returncode == 1
    assert run("archive", "add", "cells", "out").returncode == 2  # without its key
    assert run("archive", "init", "out").returncode == 2  # there is something already
