"""Bundled metric: how far the anode reaches beyond the cathode."""

from __future__ import annotations

from xctrules.core.hookspecs import hookimpl
from xctrules.core.protocols import Metric


@hookimpl
def xctrules_metrics() -> list[Metric]:
    from xctrules_overhang.metric import OverhangMetric

    return [OverhangMetric()]
