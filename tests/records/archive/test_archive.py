"""Archives: what was put away stays, and every change of it is found, by the program and by the checker."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from archive_examples import KEY, cell, filled, holds
from command_line import command

from xctrules.records.archive.collecting import read_item
from xctrules.records.archive.log import Log
from xctrules.records.archive.store import append
from xctrules.records.signing.keys import save_key


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
