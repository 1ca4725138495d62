"""What all metrics found, put together: accounts of parts, and parts that nobody looked at."""

from __future__ import annotations

from xctrules.core.ledger import Ledger
from xctrules.core.measurement import Measurement
from xctrules.engine.gathering import gather
from xctrules.engine.run_metric import MetricOutcome

LID = Ledger("lid", "mm2", 10.0, 10.0, 0.5)


def outcome(name: str, *, failed: bool = False, ledgers: tuple[Ledger, ...] = ()) -> MetricOutcome:
    measurement = Measurement(f"{name}.size", "mm", value=1.0)
    if failed:
        measurement = Measurement.absent(f"{name}.size", "mm", "it raised ValueError", status="failed")
    return MetricOutcome("theirs", name, name.title(), (measurement,), ledgers=ledgers, parts=("lid",))


def test_a_part_whose_metric_failed_was_looked_at_by_nobody() -> None:
    gathered = gather([], [outcome("lid", failed=True)], ["lid.size"])
    assert "ValueError" in gathered.unaccounted["lid"]


def test_a_part_with_an_account_was_looked_at() -> None:
    gathered = gather([], [outcome("lid", ledgers=(LID,))], ["lid.size"])
    assert gathered.ledgers == [LID] and not gathered.unaccounted


def test_two_accounts_of_one_part_are_a_fault_of_the_second() -> None:
    both = [outcome("lid", ledgers=(LID,)), outcome("base", ledgers=(LID,))]
    gathered = gather([], both, ["lid.size", "base.size"])
    assert gathered.ledgers == [LID]
    assert "lid" in gathered.failures[0].message
