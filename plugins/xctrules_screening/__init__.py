"""Bundled plugin: whether the scan is good enough to judge the cell by it."""

from __future__ import annotations

from typing import Any

from xctrules.core.hookspecs import hookimpl


@hookimpl
def xctrules_screens() -> list[Any]:
    """The screening; its module is imported only when an inspection asks for it."""
    from xctrules_screening.metric import Screening

    return [Screening()]
