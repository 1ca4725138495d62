"""Bundled plugin: diameter, wall, form, dents and tilt of a cylindrical can."""

from __future__ import annotations

from typing import Any

from xctrules.core.hookspecs import hookimpl


@hookimpl
def xctrules_metrics() -> list[Any]:
    from xctrules_canister.metric import Canister

    return [Canister()]
