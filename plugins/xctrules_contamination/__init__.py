"""Bundled plugin: dense foreign bodies inside the can."""

from __future__ import annotations

from xctrules.core.hookspecs import hookimpl
from xctrules.core.protocols import Metric


@hookimpl
def xctrules_metrics() -> list[Metric]:
    """The contamination metric; its module is imported only when an inspection asks for it."""
    from xctrules_contamination.metric import Contamination

    return [Contamination()]
