"""Bundled plugin: how well the roll is wound."""

from __future__ import annotations

from xctrules.core.hookspecs import hookimpl
from xctrules.core.protocols import Metric


@hookimpl
def xctrules_metrics() -> list[Metric]:
    """The winding metric; its module is imported only when an inspection asks for it."""
    from xctrules_winding.metric import WindingMetric

    return [WindingMetric()]
