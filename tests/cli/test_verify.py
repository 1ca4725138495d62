"""``xctrules verify``: exit codes for what holds, what does not, and what is not there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from command_line import run

Arguments = Callable[..., tuple[object, ...]]


def test_verify_holds_and_does_not_hold(tube: Arguments, tmp_path: Path) -> None:
    done = run(*tube(), "--cell-id", "C-1")
    assert done.exit_code == 0
    folder = tmp_path / "out" / "C-1"
    for path in (folder, folder / "report.html", folder / "record.json", tmp_path / "out"):
        assert run("verify", path).exit_code == 0
    assert run("verify", folder, tmp_path / "nothing-here").exit_code == 2
    digest = hashlib.sha256((folder / "record.json").read_bytes()).hexdigest()
    for path in (folder, folder / "report.html", folder / "record.json"):  # to compare with a copy elsewhere
        assert "not signed: unchanged by accident only" in run("verify", path).stdout
        assert digest in run("verify", path).stdout
    record = (folder / "record.json").read_text()
    (folder / "record.json").write_text(record.replace('"PASS"', '"FAIL"', 1))
    spoilt = run("verify", folder, "--json")
    assert spoilt.exit_code == 1
    assert any(finding["holds"] is False for finding in json.loads(spoilt.stdout)[0]["findings"])


def test_one_bad_record_hides_no_other(tube: Arguments, tmp_path: Path) -> None:
    for name in ("A", "B"):
        assert run(*tube(), "--cell-id", name).exit_code == 0
    record = tmp_path / "out" / "A" / "record.json"
    record.write_bytes(record.read_bytes()[:1000])
    done = run("verify", tmp_path / "out")
    assert done.exit_code == 2
    assert "CANNOT BE READ" in done.stdout and "B, PASS: holds" in done.stdout
    record.unlink()
    done = run("verify", tmp_path / "out", "--json")
    assert done.exit_code == 1
    assert [result["answer"] for result in json.loads(done.stdout)] == ["DOES NOT HOLD", "holds"]
