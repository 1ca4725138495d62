"""The index finds what records say, follows the log, can be made again at any time, and proves nothing."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from archive_examples import KEY, cell, filled, holds, small_item
from command_line import command

from xctrules.core.errors import OutputError
from xctrules.records.archive import indexing
from xctrules.records.archive.collecting import read_item
from xctrules.records.archive.index import Wanted, open_index
from xctrules.records.archive.layout import record_folder
from xctrules.records.archive.log import Log
from xctrules.records.archive.store import add_to_record, append, create_archive
from xctrules.records.signing.keys import new_key
from xctrules.records.signing.making import sign_folder, signature_in


def say(archive: Path, sha256: str, meaning: str, reason: str | None = None) -> None:
    folder = archive / record_folder(sha256)
    name, envelope = signature_in(folder, new_key(f"who said {meaning}"), meaning, reason=reason)
    add_to_record(archive, sha256, {name: envelope}, "signature", KEY)


def mixed(work: Path) -> tuple[Path, list[str]]:
    """Five cells, of which every other one fails, one with hostile words; and their records' hashes."""
    archive = filled(work, count=0)
    for i in range(5):
        folder = cell(work / "cells", f"cell-{i}", diameter=21.3 if i % 2 else 21.2)
        if i == 0:
            sign_folder(folder, KEY, "measured")
        append(archive, [read_item(folder)], KEY)
    append(archive, [small_item("x'; DROP TABLE", acquisition={"lot": "B\x00'%"})], KEY)
    return archive, [e["record"] for e in Log.open(archive).entries() if e["kind"] == "record"]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def programs() -> Path | None:
    """Where PostgreSQL's own programs lie."""
    found = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return Path(found).resolve().parent if found else debian[-1].parent if debian else None


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a database of a cluster that is there for this test alone."""
    where, work = programs(), tmp_path_factory.mktemp("postgresql")
    if where is None:
        pytest.skip("PostgreSQL is not installed on this machine (Debian: apt-get install postgresql)")
    root = os.name == "posix" and os.geteuid() == 0
    if root and subprocess.run(["id", "postgres"], capture_output=True).returncode:
        pytest.skip("PostgreSQL refuses to run as root, and there is no user postgres")
    if root:  # its user has to get through the folders above, which are the tests' own
        work = Path(subprocess.check_output(["mktemp", "-d", "/tmp/xctrules-pg-XXXXXX"], text=True).strip())
        shutil.chown(work, "postgres")
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if root else []
    port = free_port()

    def run(*words: str) -> None:
        subprocess.run([*as_user, *words], check=True, cwd=work, stdout=subprocess.DEVNULL)

    run(str(where / "initdb"), "-D", str(work / "data"), "-U", "tester", "-A", "trust", "-E", "UTF8", "-N")
    options = f"-p {port} -k {work} -c listen_addresses=127.0.0.1 -c fsync=off"
    run(
        str(where / "pg_ctl"), "-D", str(work / "data"), "-l", str(work / "log"), "-w", "-o", options, "start"
    )
    yield f"postgresql://tester@127.0.0.1:{port}/postgres"
    run(str(where / "pg_ctl"), "-D", str(work / "data"), "-w", "-m", "immediate", "stop")
    shutil.rmtree(work, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "sqlite" else request.getfixturevalue("postgresql")


def ids(archive: Path, url: str | None, **wanted: str) -> list[str]:
    with open_index(archive, url) as index:
        return [row["cell_id"] for row in index.records(Wanted(**wanted))]


def test_what_the_records_say_is_found_and_what_is_said_later_follows(tmp_path, url):
    archive, hashes = mixed(tmp_path)
    assert ids(archive, url, verdict="FAIL") == ["cell-1", "cell-3"]
    assert ids(archive, url, failed="od") == ["cell-1", "cell-3"]
    assert ids(archive, url, failed="od' OR '1'='1") == []
    assert ids(archive, url, lot="B\ufffd'%") == ["x'; DROP TABLE"]
    assert ids(archive, url, spec="mine", since="2026-01-01T00:00:00Z")[:2] == ["cell-0", "cell-1"]
    assert ids(archive, url, since="2026-01-01T00:00:01Z") == []
    assert ids(archive, url, state="measured") == ["cell-0"]
    say(archive, hashes[1], "concession", "fits the holder")
    say(archive, hashes[0], "released")
    say(archive, hashes[0], "withdrawal", "wrong scan")
    append(archive, [small_item("late")], KEY)
    assert ids(archive, url, state="concession") == ["cell-1"]
    assert ids(archive, url, state="withdrawal") == ["cell-0"]
    assert ids(archive, url)[-1] == "late"
    with open_index(archive, url) as index:
        before, said = index.records(), index.said()
    assert [row["meaning"] for row in said[hashes[0]]] == ["withdrawal", "released", "measured"]
    assert said[hashes[1]][0]["reason"] == "fits the holder"
    with open_index(archive, url, anew=True) as index:
        assert index.records() == before and index.said() == said
    assert holds(archive)


def test_an_index_of_another_log_is_not_gone_on_with(tmp_path, url):
    archive, other = filled(tmp_path / "a", count=0), tmp_path / "b"
    if url is not None:  # a database of its own for this test
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE another")
        url = url.removesuffix("postgres") + "another"
    append(archive, [small_item("mine")], KEY)
    assert ids(archive, url) == ["mine"]
    forged = filled(other, None, count=0)  # of the same name and size
    append(forged, [small_item("theirs")])
    if url is None:
        shutil.copy(archive / "index.sqlite", forged / "index.sqlite")
    assert ids(forged, url) == ["theirs"]
    stranger = tmp_path / "c"
    create_archive(stranger, "example.org/others", None)
    if url is None:
        shutil.copy(archive / "index.sqlite", stranger / "index.sqlite")
    with pytest.raises(OutputError, match="another archive"), open_index(stranger, url):
        pass


def test_a_damaged_index_is_made_anew_and_never_asked_by_verify(tmp_path):
    archive, _ = mixed(tmp_path)
    wanted = ids(archive, None)
    (archive / "index.sqlite").write_bytes(b"no database at all" * 1000)
    assert holds(archive) and ids(archive, None) == wanted
    with sqlite3.connect(archive / "index.sqlite") as connection:
        connection.execute("UPDATE xctrules_records SET verdict = 'PASS'")
    assert holds(archive)
    assert command("archive", "list", archive, "--verdict", "FAIL", "--json").stdout.strip() == "[]"
    assert command("archive", "index", archive).returncode == 0
    assert ids(archive, None, verdict="FAIL") == ["cell-1", "cell-3"]


def test_one_record_is_read_for_each_spec_and_none_twice(tmp_path, monkeypatch):
    archive, read = filled(tmp_path, None, count=0), []
    append(archive, [small_item(f"cell-{i}") for i in range(6)])
    honest = indexing.read_record
    monkeypatch.setattr(indexing, "read_record", lambda path: read.append(path) or honest(path))
    assert len(ids(archive, None)) == 6 and len(read) == 1
    append(archive, [small_item("more")])
    assert len(ids(archive, None)) == 7 and len(read) == 1


def test_the_format_is_the_last_spec_that_was_extended(tmp_path):
    archive, parents = filled(tmp_path, None, count=0), [{"name": "ours.yaml"}, {"name": "21700.yaml"}]
    spec = {**small_item("any").record["spec"], "name": "acme", "sha256": "1" * 64, "parents": parents}
    append(archive, [small_item("plain"), small_item("extended", spec=spec)])
    assert ids(archive, None, format="21700") == ["extended"]
    assert ids(archive, None, format="mine") == ["plain"]
    assert ids(archive, None, spec="acme") == ["extended"]


def test_the_commands_say_what_is_wrong(tmp_path):
    archive, _ = mixed(tmp_path)
    done = command("archive", "list", archive, "--failed", "od")
    assert done.returncode == 0 and "cell-1" in done.stdout and "cell-2" not in done.stdout
    for words, said in (
        (["--since", "yesterday"], "is no date"),
        (["--index", "nonsense"], "no address of a database"),
        (["--index", "postgresql://me:secret@127.0.0.1:1/x"], "cannot be used"),
    ):
        done = command("archive", "list", archive, *words)
        assert done.returncode == 2 and said in done.stderr, done.stderr
        assert "secret" not in done.stderr and "Traceback" not in done.stderr
