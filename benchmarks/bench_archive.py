"""How an archive bears its age: ``python benchmarks/bench_archive.py [--count 100000] [--work DIR]``.

Small records without pages are put away in hundreds, through the code that every record goes through but
without waiting for the disk; then all that has to stay fast is done to the archive, and timed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from xctrules.core.canonical import canonical_bytes
from xctrules.core.measurement import Measurement, Scale
from xctrules.records.archive.checking import verify_archive
from xctrules.records.archive.index import Wanted, open_index
from xctrules.records.archive.layout import record_folder
from xctrules.records.archive.log import Log
from xctrules.records.archive.member import verify_member
from xctrules.records.archive.site import write_site
from xctrules.records.archive.store import Item, append, create_archive
from xctrules.records.record import build_record, sealed
from xctrules.records.signing.checking import Trust
from xctrules.records.signing.keys import SigningKey, load_private_key, new_key, save_key
from xctrules.rules.cellspec import load_spec


def item(number: int, base: dict[str, object]) -> Item:
    """One of many cells, with another lot every 500 and another verdict every 7."""
    record = sealed({
        **base, "cell_id": f"cell-{number:06d}", "verdict": "FAIL" if number % 7 == 0 else "PASS",
        "acquisition": {"lot": f"lot-{number // 500}", "voxel_scale_relative_uncertainty": 1e-4},
    })  # fmt: skip
    return Item(record, {"record.json": canonical_bytes(record), "images/slice.png": bytes(75)})


def base_record() -> dict[str, object]:
    return build_record(
        cell_id="cell", spec=load_spec("21700"), scale=Scale(1e-4, True), files={}, scope={"ends": ["top"]},
        measurements={"canister.outer_diameter": Measurement("canister.outer_diameter", "mm", value=21.2)},
        scan={"shape": (10, 8, 8), "dtype": "uint8", "voxel_size_mm": (0.1, 0.1, 0.1), "sha256": "0" * 64},
        acquisition={}, run={"started": "2026-01-01T00:00:00Z", "seconds": 1.0},
    )  # fmt: skip


def kept_key(work: Path) -> SigningKey:
    """The archive's key, made with it and kept beside it."""
    if not (work / "Benchmark.key").exists():
        save_key(new_key("Benchmark"), work, None)
    return load_private_key(work / "Benchmark.key")


def fill(archive: Path, count: int, base: dict[str, object], key: SigningKey) -> None:
    flush, os.fsync = os.fsync, lambda handle: None
    try:
        for start in range(0, count, 100):
            append(archive, [item(i, base) for i in range(start, min(start + 100, count))], key)
    finally:
        os.fsync = flush


def timed(what: str, do: Callable[[int], object], times: int = 1) -> float:
    """Print the median of how long something takes, and return it in s."""
    took = []
    for i in range(times):
        began = time.perf_counter()
        do(i)
        took.append(time.perf_counter() - began)
    print(
        f"{what}: {statistics.median(took):.3f} s (median of {times}, longest {max(took):.3f} s)", flush=True
    )
    return statistics.median(took)


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    """What writing the same files takes by itself, made to last one by one."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        handle = os.open(path.parent, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--work", type=Path, help="Where the archive is made, and kept.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.work) as temporary:
        work = given.work or Path(temporary)
        archive, base, key = work / "archive", base_record(), kept_key(work)
        if not archive.exists():
            create_archive(archive, "benchmark", key)
            timed(f"putting {given.count} records away, without waiting for the disk",
                  lambda _: fill(archive, given.count, base, key))  # fmt: skip
        size = Log.open(archive).head.size
        items = [item(1_000_000 + size + i, base) for i in range(20)]
        files = [dict(each.files) for each in items]
        alone = timed(
            "writing the files of one record",
            lambda i: write_files(Path(temporary) / str(i), files[i]),
            20,
        )
        logged = timed("putting one record away", lambda i: append(archive, [items[i]], key), 20)
        print(f"the log takes {1000 * (logged - alone):.0f} ms more than the files")
        rng, log, trust = np.random.default_rng(1), Log.open(archive), Trust((key.public,))
        some = [archive / record_folder(log.entry(int(i))["record"]) for i in rng.integers(1, size, 20)]
        timed("verifying one record of it", lambda i: verify_member(some[i], archive, trust), 20)

        timed("making the index anew", lambda _: index_anew(archive))
        timed("listing the failed ones of a lot", lambda _: list_some(archive), 5)
        timed("writing the pages", lambda _: write_site(archive))
        timed(
            "checking the whole log and all files",
            lambda _: [*verify_archive(archive, trust, recompute=False)],
        )


def index_anew(archive: Path) -> None:
    with open_index(archive, anew=True):
        pass


def list_some(archive: Path) -> int:
    with open_index(archive) as index:
        return len(index.records(Wanted(verdict="FAIL", lot="lot-1")))


if __name__ == "__main__":
    main()
