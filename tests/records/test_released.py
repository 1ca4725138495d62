"""Records as earlier versions wrote them, one folder for each schema: each is read, checked and judged again.

A folder here is never written anew: when the schema changes, one more is put beside it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from xctrules.records.embedded import embedded_spec
from xctrules.records.reading import read_record
from xctrules.records.record import SCHEMA
from xctrules.records.rejudging import rejudge
from xctrules.records.verify import verify_path

RELEASED = sorted(path.parent for path in (Path(__file__).parent / "released").glob("*/record.json"))


def test_there_is_one_of_todays_schema() -> None:
    assert SCHEMA in {read_record(folder)[0]["schema"] for folder in RELEASED}


@pytest.mark.parametrize("folder", RELEASED, ids=lambda path: path.name)
def test_a_record_of_an_earlier_version_is_read_checked_and_judged_again(folder: Path) -> None:
    for path in (folder, folder / "report.html", folder / "record.json"):
        result = verify_path(path)
        assert result.answer == "holds", result.failures
    record, data = read_record(folder)
    again = rejudge(record, data, embedded_spec(record["spec"]))
    assert not again.flipped and again.now["checks"] == record["checks"]
