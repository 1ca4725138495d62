"""Many cases: a stopped run goes on, and one bug does not lose the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from validation_examples import HEADER

from xctrules.campaigns.validation import run
from xctrules.campaigns.validation.campaign import Campaign, Wanted, open_campaign
from xctrules.campaigns.validation.folder import CASES_NAME, prepare


@pytest.fixture(scope="module")
def campaign() -> Iterator[Campaign]:
    with open_campaign(Wanted("cylindrical", seed=9)) as opened:
        yield opened


def pretend(campaign: Campaign, index: int) -> dict[str, Any]:
    return {"index": index, "kind": campaign.case(index).kind}


def test_a_stopped_run_goes_on_where_it_was(
    campaign: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "work", pretend)
    out = tmp_path / "out"
    assert prepare(out, HEADER) == {}
    cases = run.run_cases(campaign, range(6), out)
    assert [next(cases)["index"] for _ in range(3)] == [0, 1, 2]
    cases.close()
    with (out / CASES_NAME).open("a", encoding="utf-8") as file:
        file.write('{"index": 3, "ki')  # what a kill in the middle of a line leaves
    held = prepare(out, HEADER)
    assert sorted(held) == [0, 1, 2]
    list(run.run_cases(campaign, [i for i in range(6) if i not in held], out))
    assert sorted(prepare(out, HEADER)) == [0, 1, 2, 3, 4, 5]


def test_a_bug_in_one_case_does_not_lose_the_others(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(case: Any, campaign: Any) -> Any:
        raise ZeroDivisionError("no such luck")

    monkeypatch.setattr(run, "measure_case", broken)
    row = run.work(campaign, 0)
    assert "no such luck" in row["error"]
    assert str(Path.cwd()) not in row["error"]
