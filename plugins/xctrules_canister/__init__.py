"""Bundled plugin: diameter, wall, form, dents and tilt of a cylindrical can."""

from __future__ import annotations

from xctrules.core.hookspecs import hookimpl
from xctrules.core.protocols import Metric


@hookimpl
def xctrules_metrics() -> list[Metric]:
    from xctrules_canister.metric import Canister

    return [Canister()]
