"""Bundled plugin: how well the roll is wound."""

from __future__ import annotations

from typing import Any

from xctrules.core.hookspecs import hookimpl


@hookimpl
def xctrules_metrics() -> list[Any]:
    """The winding metric; its module is imported only when an inspection asks for it."""
    from xctrules_winding.metric import WindingMetric

    return [WindingMetric()]
