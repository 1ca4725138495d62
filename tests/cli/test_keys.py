"""``xctrules keys``: a key made and shown, and nothing secret said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import run


def test_a_key_is_made_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XCTRULES_KEY_PASSPHRASE", raising=False)
    done = run("keys", "new", "Jane Doe", "--out", tmp_path)
    assert done.exit_code == 0
    assert "NOT encrypted" in done.stdout and "whoever copies it signs as Jane Doe" in done.stderr
    secret = (tmp_path / "Jane-Doe.key").read_text().split("-----")[2].strip()
    for suffix, kind in (("key", "private"), ("pub", "public")):
        shown = run("keys", "show", tmp_path / f"Jane-Doe.{suffix}")
        assert shown.exit_code == 0 and "Jane Doe" in shown.stdout and f"{kind} Ed25519" in shown.stdout
        assert secret not in shown.output
        assert (tmp_path / "Jane-Doe.pub").read_text() in shown.stdout
    told = json.loads(run("keys", "show", tmp_path / "Jane-Doe.key", "--json").stdout)
    assert (told["name"], told["kind"], told["encrypted"]) == ("Jane Doe", "private", False)
    assert told["key_id"] in done.stdout and len(bytes.fromhex(told["public_key"])) == 32
    assert run("keys", "new", "Jane Doe", "--out", tmp_path).exit_code == 2


def test_a_passphrase_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XCTRULES_KEY_PASSPHRASE", "right")
    done = run("keys", "new", "lab", "--out", tmp_path)
    assert done.exit_code == 0 and "(encrypted;" in done.stdout and not done.stderr
    assert run("keys", "show", tmp_path / "lab.key").exit_code == 0
    for value in ("wrong", ""):
        monkeypatch.setenv("XCTRULES_KEY_PASSPHRASE", value)
        refused = run("keys", "show", tmp_path / "lab.key")
        assert refused.exit_code == 2 and "passphrase" in refused.stderr and not refused.stdout


def test_what_is_no_key_or_no_name(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("junk")
    for path in (tmp_path / "x", tmp_path / "y", tmp_path):
        assert run("keys", "show", path).exit_code == 2
    refused = run("keys", "new", "a\x1b[31m", "--out", tmp_path)
    assert refused.exit_code == 2 and "\x1b" not in refused.output
