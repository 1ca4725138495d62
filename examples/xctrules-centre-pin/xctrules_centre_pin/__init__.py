"""Example plugin for xctrules: the centre pin of a cylindrical cell."""

from __future__ import annotations

from pathlib import Path

from xctrules.core.hookspecs import hookimpl
from xctrules.core.protocols import Metric


@hookimpl
def xctrules_spec_folders() -> list[Path]:
    return [Path(__file__).parent / "specs"]


@hookimpl
def xctrules_metrics() -> list[Metric]:
    from .metric import CentrePinMetric  # imported when asked for, not when the plugin is found

    return [CentrePinMetric()]
