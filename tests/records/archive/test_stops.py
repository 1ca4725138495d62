"""Writers that are stopped, at any step and at any moment: what was acknowledged is there, the rest is gone.

More of the same, for who wants to be sure: ``XCTRULES_KILLS=200 XCTRULES_RECORDS=2000 pytest`` this file.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from archive_examples import cells_in_log, holds, small_item

from xctrules.core.errors import OutputError
from xctrules.records.archive.disk import Disk
from xctrules.records.archive.log import Log
from xctrules.records.archive.store import add_to_record, append, create_archive

KILLS = int(os.environ.get("XCTRULES_KILLS", "20"))
RECORDS = int(os.environ.get("XCTRULES_RECORDS", "100"))


class Off(BaseException):
    """The machine stops: no handler runs any further."""


class FailingDisk(Disk):
    """A disk on which step ``at`` goes wrong: a write by half, anything else not at all.

    Where ``fault`` is ``Off`` nothing works from then on, and :meth:`lose` then drops names that had not been
    made to last, any of them, as a file system may.
    """

    def __init__(self, at: int, fault: BaseException) -> None:
        self.at, self.fault, self.steps = at, fault, 0
        self.undo: list[tuple[Path, Callable[[], object]]] = []

    def at_once(self, do: Callable[[Any], None], of: Sequence[Any]) -> None:
        for each in of:
            do(each)

    def _step(self) -> None:
        self.steps += 1
        off = isinstance(self.fault, Off)
        if self.steps == self.at or (off and self.steps > self.at):
            raise self.fault

    def make_folder(self, path: Path) -> None:
        self._step()
        super().make_folder(path)
        self.undo.append((path.parent, lambda: shutil.rmtree(path, ignore_errors=True)))

    def create(self, path: Path, data: bytes) -> None:
        try:
            self._step()
        except BaseException:
            if self.steps == self.at and not path.exists():
                path.write_bytes(data[: len(data) // 2])
            raise
        super().create(path, data)
        self.undo.append((path.parent, lambda: path.unlink(missing_ok=True)))

    def rename(self, path: Path, target: Path) -> None:
        self._step()
        new, old = path.read_bytes(), target.read_bytes() if target.exists() else None
        super().rename(path, target)

        def back() -> None:
            path.write_bytes(new)
            if old is None:
                target.unlink(missing_ok=True)
            else:
                target.write_bytes(old)

        self.undo.append((path.parent, back))

    def remove(self, path: Path) -> None:
        self._step()
        held = {p: p.read_bytes() for p in [path, *path.rglob("*")] if p.is_file()}
        super().remove(path)

        def back() -> None:
            for file, data in held.items():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)

        self.undo.append((path.parent, back))

    def sync_folder(self, path: Path) -> None:
        self._step()
        super().sync_folder(path)
        self.undo = [(folder, back) for folder, back in self.undo if folder != path]

    def lose(self, rng: np.random.Generator) -> None:
        """Undo any of what was not made to last, the newest first."""
        for folder, back in reversed(self.undo):
            if rng.random() < 0.5 and folder.exists():
                back()


def leftovers(archive: Path) -> list[str]:
    """Names that only a writer has use for, and folders of records without a proof."""
    loose = [p.name for p in archive.iterdir() if p.name == "pending" or p.name.endswith(".new")]
    return loose + [p.name for p in archive.glob("records/*/*") if not (p / "archive.tlog-proof").exists()]


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for the real disk where what is lost is decided here."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def steps_of(work: Path, write: Callable[[Path, Disk], object]) -> int:
    """How many steps a writer takes."""
    archive = work / "counted"
    create_archive(archive, "example.org/cells", None)
    append(archive, [small_item("first")])
    disk = FailingDisk(10**9, Off())
    write(archive, disk)
    return disk.steps


def put_two(archive: Path, disk: Disk) -> None:
    append(archive, [small_item("second"), small_item("third")], disk=disk)


def say_more(archive: Path, disk: Disk) -> None:
    sha256 = Log.open(archive).entry(1)["record"]
    add_to_record(archive, sha256, {"note.json": b"{}"}, "signature", disk=disk)


@pytest.mark.parametrize("write", [put_two, say_more])
def test_a_machine_that_stops_at_any_step_leaves_the_old_archive_or_the_new_one(tmp_path, write, no_waiting):
    rng = np.random.default_rng(3)
    outcomes = set()
    for at in range(1, steps_of(tmp_path, write) + 1):
        archive = tmp_path / str(at)
        create_archive(archive, "example.org/cells", None)
        append(archive, [small_item("first")])
        for again in (at, int(rng.integers(1, 12))):  # the second one stops as it cleans up, or later
            disk = FailingDisk(again, Off())
            try:
                write(archive, disk)
            except Off:
                disk.lose(rng)
            assert holds(archive, None), (at, again)
        size = Log.open(archive).head.size
        outcomes.add(size)
        append(archive, [small_item("after")])
        assert leftovers(archive) == [] and holds(archive, None), at
        assert Log.open(archive).head.size == size + 1
        assert cells_in_log(archive)[0] == "first" and cells_in_log(archive)[-1] == "after"
    assert len(outcomes) == 2  # the old one and the new one, never anything between


@pytest.mark.parametrize("write", [put_two, say_more])
def test_a_step_that_fails_is_told_and_leaves_the_old_archive_or_the_new_one(tmp_path, write, no_waiting):
    for at in range(1, steps_of(tmp_path, write) + 1):
        archive = tmp_path / str(at)
        create_archive(archive, "example.org/cells", None)
        append(archive, [small_item("first")])
        with pytest.raises(OutputError, match="No space left"):
            write(archive, FailingDisk(at, OSError(errno.ENOSPC, "No space left on device")))
        assert holds(archive, None), at
        write(archive, Disk())  # says nothing twice, whatever the first one left
        assert leftovers(archive) == [] and holds(archive, None), at
        assert len(cells_in_log(archive)) == len(set(cells_in_log(archive)))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 KiB."""
    where = tmp_path / "disk"
    where.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=600k", "none", str(where)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("no small file system can be mounted here")
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


def test_a_disk_that_fills_up_loses_nothing_and_goes_on_once_there_is_room(small_disk):
    archive, ballast = small_disk / "archive", small_disk / "ballast"
    create_archive(archive, "example.org/cells", None)
    put, refused = [], 0
    for pages in range(12):  # free ones of 4 KiB: each lets the writer come a little further
        free = os.statvfs(small_disk)
        ballast.write_bytes(bytes((free.f_bavail - pages) * free.f_bsize))
        try:
            append(archive, [small_item(f"cell-{pages}")])
            put.append(f"cell-{pages}")
        except OutputError as error:
            assert "No space left" in str(error)
            refused += 1
        assert leftovers(archive) == [] and holds(archive, None), pages
        assert cells_in_log(archive) == put
        ballast.unlink()
    assert refused >= 4 and put
    append(archive, [small_item("after")])
    assert cells_in_log(archive) == [*put, "after"] and holds(archive, None)


def write_on(archive: Path, told: Path, names: list[str], ready: Any) -> None:
    """Put records away one by one, and acknowledge each."""
    items = [small_item(name) for name in names]
    with told.open("a", encoding="utf-8") as stream:
        ready.wait()
        for item in items:
            append(archive, [item])
            stream.write(item.record["cell_id"] + "\n")
            stream.flush()


@pytest.mark.skipif(os.name != "posix", reason="kills its writers by a signal")
def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path):
    archive, context, rng = (
        tmp_path / "archive",
        multiprocessing.get_context("fork"),
        np.random.default_rng(2),
    )
    create_archive(archive, "example.org/cells", None)
    acknowledged: set[str] = set()
    found_at_work = 0
    for attempt in range(KILLS):
        told, ready = tmp_path / f"told-{attempt}", context.Barrier(2)
        names = [f"cell-{attempt}-{i}" for i in range(60)]
        writer = context.Process(target=write_on, args=(archive, told, names, ready))
        writer.start()
        ready.wait()
        time.sleep(float(rng.uniform(0, 0.25)))
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        found_at_work += bool(leftovers(archive))
        acknowledged |= set(told.read_text(encoding="utf-8").split())
        assert acknowledged <= set(cells_in_log(archive)) and holds(archive, None), attempt
        append(archive, [small_item(f"after-{attempt}")])  # the next writer cleans up
        acknowledged.add(f"after-{attempt}")
        logged = cells_in_log(archive)
        assert acknowledged <= set(logged) and len(set(logged)) == len(logged), attempt
        assert leftovers(archive) == [] and holds(archive, None), attempt
    assert found_at_work, "no writer was killed while it wrote"
    print(f"{KILLS} writers killed, {found_at_work} of them while they wrote; {len(logged)} records")


def test_ten_writers_at_once_lose_and_double_nothing(tmp_path):
    archive, context = tmp_path / "archive", multiprocessing.get_context("fork")
    create_archive(archive, "example.org/cells", None)
    ready = context.Barrier(10)
    shares = [[f"cell-{i}" for i in range(k, RECORDS, 10)] for k in range(10)]
    writers = [
        context.Process(target=write_on, args=(archive, tmp_path / f"told-{k}", share, ready))
        for k, share in enumerate(shares)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert sorted(cells_in_log(archive)) == sorted(name for share in shares for name in share)
    assert leftovers(archive) == [] and holds(archive, None)
