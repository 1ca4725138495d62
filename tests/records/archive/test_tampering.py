"""Archives that somebody worked on, at any byte, entry or signature: program and checker both say where."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from archive_examples import KEY, cell

from xctrules.core import version
from xctrules.core.errors import RecordError
from xctrules.records.archive import entries, layout
from xctrules.records.archive.checking import verify_archive
from xctrules.records.archive.checkpoint import Checkpoint, parse_checkpoint
from xctrules.records.archive.collecting import read_item
from xctrules.records.archive.log import Log
from xctrules.records.archive.member import verify_member
from xctrules.records.archive.merkle import grown, leaf_hash, root_of
from xctrules.records.archive.proof import InclusionProof
from xctrules.records.archive.store import add_to_record, append, create_archive
from xctrules.records.signing.checking import Trust
from xctrules.records.signing.keys import SigningKey, new_key, save_key
from xctrules.records.signing.making import sign_folder, signature_in

OTHER = new_key("Somebody else")


def build(archive: Path, cells: Path, key: SigningKey) -> None:
    """Three cells, each signed as measured, of which the second is used as it is by a concession."""
    create_archive(archive, "example.org/cells", key)
    append(archive, [read_item(folder) for folder in sorted(cells.iterdir())], key)
    sha256 = Log.open(archive).entry(2)["record"]
    folder = archive / layout.record_folder(sha256)
    name, envelope = signature_in(folder, KEY, "concession", reason="fits the holder")
    add_to_record(archive, sha256, {name: envelope}, "signature", key)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    work = tmp_path_factory.mktemp("made")
    for i in range(3):
        sign_folder(cell(work / "cells", f"cell-{i}", diameter=21.2 + 0.1 * (i == 1)), KEY, "measured")
    build(work / "archive", work / "cells", KEY)
    return work / "archive", work / "cells"


@pytest.fixture(scope="module")
def checker(made: tuple[Path, Path]) -> ModuleType:
    """The checker as it lay in the archive before anything was changed."""
    spec = importlib.util.spec_from_file_location("kept_checker", made[0] / layout.CHECKER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_key(KEY, tmp_path_factory.mktemp("keys"), None)[1]


@pytest.fixture
def archive(made: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made[0], tmp_path / "archive"))


@pytest.fixture(params=["this version", "another version"])
def any_version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program that checks is the one that wrote, or another one."""
    if request.param == "another version":
        monkeypatch.setattr(version, "__version__", "99.0")
        monkeypatch.setattr("xctrules.records.record.__version__", "99.0")
        monkeypatch.setattr("xctrules.records.record.source_sha256", lambda: "0" * 64)


def found_by_program(archive: Path, recompute: bool = False) -> list[str]:
    """Places that do not hold, each relative to the archive."""
    places = []
    for result in verify_archive(archive, Trust((KEY.public,)), recompute=recompute):
        within = result.path.relative_to(archive).as_posix()
        for finding in result.failures:
            inside = (result.path / finding.where).exists() and within != "."
            places.append(f"{within}/{finding.where}" if inside else finding.where)
    return places


def found_by_checker(checker: ModuleType, archive: Path, pub: Path) -> list[str]:
    said: list[str] = []
    faults = checker.check(archive, pub, say=said.append)
    wrong = [line.split(": ")[1] for line in said if line.startswith("DOES NOT HOLD: ")]
    assert faults == len(wrong)
    return wrong


def found_by_member(archive: Path, folder: Path) -> bool:
    """Whether the check of one record finds that something does not hold."""
    try:
        return bool(verify_member(folder, archive, Trust((KEY.public,))).failures)
    except RecordError:  # it cannot even be read; the command says so and ends with 2
        return True


def kinds(archive: Path) -> Iterator[tuple[str, Path]]:
    """Every file, with what it is."""
    for path in sorted(p for p in archive.rglob("*") if p.is_file() and p.name != "lock"):
        name = path.relative_to(archive).as_posix()
        parts = name.split("/")
        kind = parts[3] if len(parts) == 5 else parts[0] if len(parts) == 3 else parts[-1]
        yield f"{kind} {path.suffix}", path


def flips(data: bytes, rng: np.random.Generator) -> Iterator[bytes]:
    """The data with one bit flipped: in the first byte, in the last, and in four others."""
    for at in (0, len(data) - 1, *rng.integers(0, len(data), 4).tolist()):
        changed = bytearray(data)
        changed[at] ^= 1 << int(rng.integers(0, 8))
        yield bytes(changed)


def test_any_byte_of_any_file_shows_with_its_place(archive, checker, pub, any_version):
    rng, seen = np.random.default_rng(3), set()
    assert not found_by_program(archive) and not found_by_checker(checker, archive, pub)
    for kind, path in kinds(archive):
        seen.add(kind)
        data, name = path.read_bytes(), path.relative_to(archive).as_posix()
        for changed in flips(data, rng):
            path.write_bytes(changed)
            by_program = found_by_program(archive)
            by_checker = found_by_checker(checker, archive, pub)
            assert any(name in place for place in by_program), (name, by_program)
            assert name in by_checker or (name == "checkpoint" and by_checker), (name, by_checker)
        path.write_bytes(data)
    assert not found_by_program(archive)
    assert seen >= {
        "record.json .json", "report.html .html", "images .png", "samples .csv", "signatures .json",
        "added .json", "archive.tlog-proof .tlog-proof", "log .json", "log .tlog-proof", "checkpoint ",
    }  # fmt: skip


def test_a_byte_of_the_specs_text_shows_in_the_record_by_itself(archive, any_version):
    folder = archive / layout.record_folder(Log.open(archive).entry(1)["record"])
    text = (folder / "record.json").read_text(encoding="utf-8")
    assert text.count("max: 21.25") >= 1
    (folder / "record.json").write_text(text.replace("max: 21.25", "max: 21.35", 1), encoding="utf-8")
    assert any("record.json" in place for place in found_by_program(archive, recompute=True))
    assert found_by_member(archive, folder)


def test_the_check_of_one_record_finds_each_byte_of_all_that_is_its_own(archive):
    rng, log = np.random.default_rng(2), Log.open(archive)
    folder = archive / layout.record_folder(log.entry(2)["record"])
    own = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    own += [archive / layout.entry_path(i) for i in (0, 2, 4)]
    own += [archive / layout.proof_path(log.entry(4), 4), archive / layout.CHECKPOINT]
    assert not found_by_member(archive, folder) and len(own) > 10
    for path in own:
        data = path.read_bytes()
        for changed in [*flips(data, rng)][:3]:
            path.write_bytes(changed)
            assert found_by_member(archive, folder), path
        path.write_bytes(data)


def added_file(archive: Path) -> Path:
    return next(archive.glob("records/*/*/added/*.json"))


def test_one_record_is_held_against_what_the_log_says_was_added_to_it(archive):
    path = added_file(archive)
    folder, data = path.parent.parent, path.read_bytes()
    path.unlink()
    assert found_by_member(archive, folder)  # a concession that was taken away
    path.write_bytes(data)
    forged = path.with_name("0" * 64 + ".json")
    forged.write_bytes(data)
    assert found_by_member(archive, folder)  # one that was slipped in
    forged.unlink()
    other = next(p for p in archive.glob("records/*/*") if p != folder)
    shutil.copytree(path.parent, other / "added")
    assert found_by_member(archive, other)  # one that was moved to another cell
    assert not found_by_member(archive, folder)
    (archive / layout.entry_path(4)).unlink()  # its entry and both files, as if it had never been said
    (archive / layout.proof_path({"kind": "addition"}, 4)).unlink()
    path.unlink()
    told = verify_member(folder, archive, Trust((KEY.public,)))
    assert any(f.holds is None and "verify the whole archive" in f.what for f in told.findings)


def swap(archive: Path) -> None:
    a, b = (archive / layout.entry_path(i) for i in (1, 2))
    one, two = a.read_bytes(), b.read_bytes()
    a.write_bytes(two)
    b.write_bytes(one)


def swap_the_cells_folders(archive: Path) -> None:
    a, b, *_ = archive.glob("records/*/*")
    for path in (a, b):
        path.rename(path.with_name("moved-" + path.name))
    a.with_name("moved-" + a.name).rename(b)
    b.with_name("moved-" + b.name).rename(a)


def drop_the_last(archive: Path) -> None:
    (archive / layout.entry_path(4)).unlink()


def drop_one_between(archive: Path) -> None:
    (archive / layout.entry_path(2)).unlink()


def drop_one_and_move_up(archive: Path) -> None:
    for i in (2, 3):
        (archive / layout.entry_path(i + 1)).rename(archive / layout.entry_path(i))


def drop_a_cell_with_its_folder(archive: Path) -> None:
    entry = Log.open(archive).entry(3)
    shutil.rmtree(archive / layout.record_folder(entry["record"]))
    (archive / layout.entry_path(3)).unlink()


def duplicate(archive: Path) -> None:
    data = (archive / layout.entry_path(3)).read_bytes()
    (archive / layout.entry_path(5)).write_bytes(data)


def back_to_an_older_checkpoint(archive: Path) -> None:
    proof = (archive / layout.proof_path(Log.open(archive).entry(1), 1)).read_bytes()
    (archive / layout.CHECKPOINT).write_bytes(proof.partition(b"\n\n")[2])


def sign_with_another_key(archive: Path) -> None:
    head = Log.open(archive).head
    forged = Checkpoint(head.origin, head.size, head.root).signed(OTHER)
    (archive / layout.CHECKPOINT).write_text(forged.text(), encoding="utf-8")


def take_the_signature_off(archive: Path) -> None:
    head = Log.open(archive).head
    bare = Checkpoint(head.origin, head.size, head.root)
    (archive / layout.CHECKPOINT).write_text(bare.text(), encoding="utf-8")


def slip_a_file_in(archive: Path) -> None:
    next(archive.glob("records/*/*")).joinpath("note.txt").write_text("sound")


def rewrite(archive: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    """Change entries and make all hashes, proofs and checkpoints fit again, signed with another key."""
    log = Log.open(archive)
    told = [json.loads(log.entry_bytes(i)) for i in range(log.head.size)]
    for i, entry in enumerate(told):
        (archive / layout.proof_path(entry, i)).unlink()
        (archive / layout.entry_path(i)).unlink()
    change(told)
    frontier: tuple[bytes, ...] = ()
    head = log.head
    for i, entry in enumerate(told):
        data = entries.entry_bytes({**entry, "index": i})
        path = tuple(reversed(frontier))
        frontier = grown(frontier, i, leaf_hash(data))
        head = Checkpoint(head.origin, i + 1, root_of(frontier)).signed(OTHER)
        (archive / layout.entry_path(i)).write_bytes(data)
        proof = InclusionProof(data, i, path, head)
        (archive / layout.proof_path(entry, i)).write_text(proof.text(), encoding="utf-8")
    (archive / layout.CHECKPOINT).write_text(head.text(), encoding="utf-8")


def rewrite_a_verdict(archive: Path) -> None:
    rewrite(archive, lambda told: told[2].update(verdict="PASS"))


def rewrite_without_the_concession(archive: Path) -> None:
    added_file(archive).unlink()
    rewrite(archive, lambda told: told.pop())


def rewrite_in_another_order(archive: Path) -> None:
    rewrite(archive, lambda told: told.insert(1, told.pop(2)))


def rewrite_one_twice(archive: Path) -> None:
    rewrite(archive, lambda told: told.append(told[1]))


@pytest.mark.parametrize(
    "tamper",
    [
        swap, swap_the_cells_folders, drop_the_last, drop_one_between, drop_one_and_move_up,
        drop_a_cell_with_its_folder, duplicate, back_to_an_older_checkpoint, sign_with_another_key,
        take_the_signature_off, slip_a_file_in, rewrite_a_verdict, rewrite_without_the_concession,
        rewrite_in_another_order, rewrite_one_twice,
    ],
)  # fmt: skip
def test_a_log_that_was_worked_on_does_not_hold(archive, checker, pub, tamper: Callable[[Path], None]):
    tamper(archive)
    assert found_by_program(archive)
    assert found_by_checker(checker, archive, pub)


def test_all_written_anew_shows_against_the_key_and_an_earlier_checkpoint(made, checker, pub, tmp_path):
    earlier, other = Log.open(made[0]).head, new_key("Cell laboratory")
    kept = tmp_path / "kept"
    kept.write_text(earlier.text(), encoding="utf-8")
    forged = tmp_path / "forged"
    build(forged, made[1], other)
    assert found_by_program(forged) and found_by_checker(checker, forged, pub)
    own = [*verify_archive(forged, Trust((other.public,)), {"kept": earlier}, recompute=False)]
    assert not all(result.ok for result in own)  # also for who trusts the forger's key
    other_pub = save_key(other, tmp_path / "keys", None)[1]
    assert checker.check(forged, other_pub, say=lambda _: None) == 0
    assert checker.check(forged, other_pub, kept, say=lambda _: None)


def test_what_was_cut_off_whole_shows_against_an_earlier_checkpoint_alone(archive, checker, pub, tmp_path):
    earlier = Log.open(archive).head
    proof = (archive / layout.proof_path(Log.open(archive).entry(3), 3)).read_bytes()
    older = proof.partition(b"\n\n")[2]
    added_file(archive).unlink()
    (archive / layout.proof_path(Log.open(archive).entry(4), 4)).unlink()
    (archive / layout.entry_path(4)).unlink()
    (archive / layout.CHECKPOINT).write_bytes(older)
    assert parse_checkpoint(older, "older").size == 4
    assert not found_by_program(archive) and not found_by_checker(checker, archive, pub)  # it was so once
    kept = tmp_path / "kept"
    kept.write_text(earlier.text(), encoding="utf-8")
    told = [*verify_archive(archive, Trust((KEY.public,)), {"kept": earlier}, recompute=False)]
    assert any(f.where == "kept" and f.holds is False for f in told[0].findings)
    assert checker.check(archive, pub, kept, say=lambda _: None)
