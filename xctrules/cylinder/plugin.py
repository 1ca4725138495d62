"""Bundled plugin: cylindrical cells, as the engine finds them, and as they are drawn.

What stands here comes through the same hooks as a stranger's geometry.
"""

from __future__ import annotations

from xctrules.core.hookspecs import hookimpl
from xctrules.core.protocols import FrameFinder, PhantomSource


@hookimpl
def xctrules_frames() -> list[FrameFinder]:
    from xctrules.cylinder.geometry import Cylinder

    return [Cylinder()]


@hookimpl
def xctrules_phantoms() -> list[PhantomSource]:
    from xctrules.cylinder.phantom.source import CylinderPhantoms

    return [CylinderPhantoms()]
