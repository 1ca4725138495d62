"""Bundled plugin: whether the scan is good enough to judge the cell by it."""

from __future__ import annotations

from xctrules.core.hookspecs import hookimpl
from xctrules.core.protocols import Screen


@hookimpl
def xctrules_screens() -> list[Screen]:
    """The screening; its module is imported only when an inspection asks for it."""
    from xctrules_screening.metric import Screening

    return [Screening()]
