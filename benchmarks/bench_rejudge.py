"""How long judging many records again takes: ``python benchmarks/bench_rejudge.py CELL --spec FILE``.

CELL is the folder of an inspected cell; it is copied under other names, put into an archive without key, and
judged again there by the spec, with pages and log entries, as ``xctrules rejudge`` does it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from xctrules.core.canonical import canonical_bytes
from xctrules.records.archive.rejudging import put_away, to_be_judged
from xctrules.records.archive.store import Item, append, create_archive
from xctrules.records.folder import RECORD_NAME, SCAN_LIST_NAME
from xctrules.records.reading import read_record
from xctrules.records.record import sealed
from xctrules.records.rejudging import rejudge
from xctrules.rules.cellspec import load_spec


def copies(cell: Path, count: int) -> list[Item]:
    """The cell's record under other names, with what judging again needs of its files."""
    record, scan_list = json.loads((cell / RECORD_NAME).read_bytes()), (cell / SCAN_LIST_NAME).read_bytes()
    items = []
    for number in range(count):
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
        items = copies(given.cell, given.count)
        append(archive, items)
        began = time.perf_counter()
        pairs = [(folder, rejudge(*read_record(folder), spec)) for folder in to_be_judged(archive, spec)]
        judged = time.perf_counter()
        put_away(archive, pairs, None)
        done = time.perf_counter()
    flipped = sum(each.flipped for _, each in pairs)
    print(f"{len(pairs)} records judged again in {judged - began:.1f} s ({flipped} flipped), ", end="")
    print(f"drawn and put away in {done - judged:.1f} s, together {done - began:.1f} s")


if __name__ == "__main__":
    main()
