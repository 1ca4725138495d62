"""How long judging many records again takes: ``python benchmarks/bench_rejudge.py CELL --spec FILE``.

CELL is the folder of an inspected cell; it is copied under other names, put into an archive without key, and
judged again there by the spec, with pages and log entries, as ``xctrules rejudge`` does it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from xctrules.core.canonical import canonical_bytes
from xctrules.records.archive.rejudging import in_batches, judged_again, kept_in, new_item
from xctrules.records.archive.store import Item, append, create_archive
from xctrules.records.folder import RECORD_NAME, SCAN_LIST_NAME
from xctrules.records.record import sealed
from xctrules.rules.cellspec import load_spec


def copies(cell: Path, numbers: Iterable[int]) -> list[Item]:
    """The cell's record under other names, with what judging again needs of its files."""
    record, scan_list = json.loads((cell / RECORD_NAME).read_bytes()), (cell / SCAN_LIST_NAME).read_bytes()
    items = []
    for number in numbers:
        named = sealed({**record, "cell_id": f"cell-{number}"})
        items.append(Item(named, {RECORD_NAME: canonical_bytes(named), SCAN_LIST_NAME: scan_list}))
    return items


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cell", type=Path)
    parser.add_argument("--spec", required=True)
    parser.add_argument("--count", type=int, default=1000)
    given = parser.parse_args()
    spec = load_spec(given.spec)
    with tempfile.TemporaryDirectory() as work:
        archive = Path(work) / "archive"
        create_archive(archive, "benchmark", None)
        for start in range(0, given.count, 100):
            append(archive, copies(given.cell, range(start, min(start + 100, given.count))))
        took, used = time.perf_counter(), time.process_time()
        shares = {"judged": 0.0, "drawn": 0.0, "put away": 0.0}
        count = flipped = 0
        for batch in in_batches(kept_in(archive)):
            with adding_to(shares, "judged"):
                judged = [(kept, judged_again(kept, lambda record: spec)) for kept in batch]
            with adding_to(shares, "drawn"):
                items = [new_item(kept, each) for kept, each in judged if each is not None]
            with adding_to(shares, "put away"):
                append(archive, items)
            count, flipped = count + len(items), flipped + sum(e.flipped for _, e in judged if e)
        took, used = time.perf_counter() - took, time.process_time() - used
    parts = ", ".join(f"{what} in {seconds:.1f} s" for what, seconds in shares.items())
    print(f"{count} records judged again ({flipped} flipped) in {took:.1f} s, {used:.1f} s of the processor:")
    print(f"{parts}; {1000 * took / count:.1f} s for 1,000 records")


@contextlib.contextmanager
def adding_to(shares: dict[str, float], what: str) -> Iterator[None]:
    """Add to ``shares`` how long what is done within takes, in s."""
    began = time.perf_counter()
    yield
    shares[what] += time.perf_counter() - began


if __name__ == "__main__":
    main()
