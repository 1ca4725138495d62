"""Bundled metric: how far the anode reaches beyond the cathode."""

from __future__ import annotations

from typing import Any

from xctrules.core.hookspecs import hookimpl


@hookimpl
def xctrules_metrics() -> list[Any]:
    from xctrules_overhang.metric import OverhangMetric

    return [OverhangMetric()]
