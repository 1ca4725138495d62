"""Signatures: any change of what was signed is found, and only those count whom the reader trusts."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import pytest
from command_line import command
from record_examples import example

from xctrules.records.binding import bound_report
from xctrules.records.folder import write_cell
from xctrules.records.signing.checking import Trust
from xctrules.records.signing.dsse import pre_authentication_encoding
from xctrules.records.signing.keys import load_public_key
from xctrules.records.verify import verify_path


def cell(folder: Path, name: str) -> Path:
    record, files = example(name)
    record, page = bound_report(record, files)
    return write_cell(folder, record, files, page)


@pytest.fixture
def signed(tmp_path: Path) -> tuple[Path, Path]:
    """A signed cell's folder and the public key's file."""
    folder = cell(tmp_path / "out", "cell-1")
    assert command("keys", "new", "Inspector", cwd=tmp_path).returncode == 0
    key = next(tmp_path.glob("*.key"))
    done = command("sign", folder, "--key", key, "--meaning", "reviewed", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return folder, next(tmp_path.glob("*.pub"))


def trusting(pub: Path) -> Trust:
    return Trust((load_public_key(pub),))


def test_the_bytes_under_a_signature_are_those_of_dsse():
    # The example of the DSSE specification (secure-systems-lab/dsse, protocol.md).
    told = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert told == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_a_signature_by_a_trusted_key_counts_and_no_other(signed, tmp_path):
    folder, pub = signed
    result = verify_path(folder, trusting(pub))
    assert result.ok and [s.state for s in result.signatures] == ["trusted"]
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    command("keys", "new", "Inspector", cwd=stranger)  # of the same name
    other = verify_path(folder, trusting(next(stranger.glob("*.pub"))))
    assert not other.ok
    assert not any(s.state == "trusted" for s in other.signatures)
    assert "signed: Inspector" not in verify_path(folder).standing  # nobody is trusted unless told


def test_any_changed_file_is_found(signed):
    folder, pub = signed
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    assert len(files) >= 5
    for path in files:
        data = path.read_bytes()
        for at in (0, len(data) // 2, len(data) - 1):
            changed = bytearray(data)
            changed[at] ^= 1
            path.write_bytes(changed)
            assert not _holds(folder, pub), (path.name, at)
        path.write_bytes(data)
    assert _holds(folder, pub)


def test_a_signature_of_another_cell_or_none_does_not_do(signed, tmp_path):
    folder, pub = signed
    other = cell(tmp_path / "out", "cell-2")
    assert not _holds(other, pub)
    shutil.copytree(folder / "signatures", other / "signatures")
    assert not _holds(other, pub)
    shutil.rmtree(folder / "signatures")
    assert not _holds(folder, pub)


def test_a_meaning_is_under_the_signature(signed):
    folder, pub = signed
    path = next((folder / "signatures").iterdir())
    envelope = json.loads(path.read_bytes())
    payload = base64.b64decode(envelope["payload"])
    assert b"reviewed" in payload
    envelope["payload"] = base64.b64encode(payload.replace(b"reviewed", b"released")).decode()
    path.write_text(json.dumps(envelope))
    assert not _holds(folder, pub)


def _holds(folder: Path, pub: Path) -> bool:
    from xctrules.core.errors import XctrulesError

    try:
        return verify_path(folder, trusting(pub)).ok
    except XctrulesError:  # not even readable
        return False


def test_what_is_said_later_stands_on_top_and_the_verdict_underneath_stays(signed, tmp_path):
    folder, pub = signed
    key = next(tmp_path.glob("*.key"))
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    def said(meaning, *more):
        return command("sign", folder, "--key", key, "--meaning", meaning, *more, cwd=tmp_path).returncode

    assert (
        said("concession")
        == said("concession", "--reason", " ")
        == said("amendment", "--reason", "a\nb")
        == 2
    )
    assert said("released") == 0 and said("released") == 2
    released = Trust((load_public_key(pub),), meanings=("released",))
    assert verify_path(folder, released).ok
    assert said("amendment", "--reason", "lot 7") == said("amendment", "--reason", "lot 8") == 0
    assert verify_path(folder, released).ok
    assert said("withdrawal", "--reason", "wrong voxel size") == 0
    assert not verify_path(folder, released).ok, "withdrawn is released no more"
    result = verify_path(folder, trusting(pub))
    assert result.ok and result.verdict == json.loads(before[folder / "record.json"])["verdict"]
    places = [result.standing.index(words) for words in ("wrong voxel size", "lot 8", "lot 7", "released by")]
    assert places == sorted(places)
    assert all(path.read_bytes() == data for path, data in before.items())
    envelope = next(folder.glob("signatures/withdrawal-*"))
    told = json.loads(envelope.read_bytes())
    payload = base64.b64decode(told["payload"]).replace(b"wrong voxel size", b"wrong label here")
    envelope.write_bytes(envelope.read_bytes().replace(told["payload"].encode(), base64.b64encode(payload)))
    assert not verify_path(folder, trusting(pub)).ok, "the reason is signed as well"


def test_in_an_archive_it_is_an_entry_and_read_like_any_signature(signed, tmp_path):
    folder, pub = signed
    key = next(tmp_path.glob("*.key"))
    archive = tmp_path / "archive"
    for words in (("init", archive, "--key", key), ("add", archive, folder, "--key", key)):
        assert command("archive", *words).returncode == 0
    (kept,) = archive.glob("records/*/*")
    before = {p: p.read_bytes() for p in kept.rglob("*") if p.is_file()}
    asked = ("archive", "sign", archive, kept.name, "--sign-key", key, "--key", key)
    for words in (("--meaning", "released"), ("--meaning", "withdrawal", "--reason", "recalled")):
        done = command(*asked, *words)
        assert done.returncode == 0, done.stderr
    assert command("sign", kept, "--key", key, "--meaning", "released").returncode == 2
    done = command("verify", archive, "--trust", pub)
    assert done.returncode == 0, done.stdout
    top = next(line for line in done.stdout.splitlines() if "signed: withdrawal" in line)
    assert "recalled" in top and top.index("recalled") < top.index("released by") < top.index("reviewed by")
    assert all(path.read_bytes() == data for path, data in before.items())
