"""The example report that tests of pages look at."""

from __future__ import annotations

from typing import Any

import pytest
from html_outline import Outline
from report_examples import full_record

from xctrules.pages.report import render_report


@pytest.fixture(scope="module")
def example() -> tuple[dict[str, Any], dict[str, bytes]]:
    return full_record()


@pytest.fixture(scope="module")
def outline(example: tuple[dict[str, Any], dict[str, bytes]]) -> Outline:
    return Outline(render_report(*example))
