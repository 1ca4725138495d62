"""Synthetic cells of any geometry, drawn by the plugin that knows how.

In: a cell format and the options that a user gave. Out: what was drawn, with its truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xctrules.core.errors import PluginError, XctrulesError
from xctrules.core.protocols import DrawnPhantom
from xctrules.engine.faults import happened
from xctrules.engine.planning import given_values
from xctrules.engine.registry import Provided, Registry


def draw_phantom(registry: Registry, format: str, given: Mapping[str, Any] | None = None) -> DrawnPhantom:
    """Draw a cell.

    Parameters
    ----------
    format
        One of the formats that a plugin can draw.
    given
        Options of that plugin's by name; values may be text, as on a command line. ``None`` leaves one out.

    Raises
    ------
    XctrulesError
        When no plugin draws this format, an option cannot be used, or the plugin breaks.
    """
    source = _source(registry, format)
    values = given_values(source.value.options, f"phantoms of {source.value.geometry} cells", given or {})
    try:
        drawn: DrawnPhantom = source.value.draw(format, values)
    except (XctrulesError, MemoryError):
        raise
    except Exception as error:
        raise PluginError(
            f"the plugin {source.plugin} broke on drawing it (it {happened(error)})", where=format
        ) from error
    if not callable(getattr(drawn, "write", None)):
        raise PluginError(f"the plugin {source.plugin} drew {type(drawn).__name__}, no phantom", where=format)
    return drawn


def _source(registry: Registry, format: str) -> Provided:
    for provided in registry.phantom_sources:
        if format in provided.value.formats:
            return provided
    known = [name for provided in registry.phantom_sources for name in provided.value.formats]
    raise XctrulesError(
        f"no plugin draws cells of the format {format!r}",
        where="--format",
        todo=f"Known formats: {', '.join(known) or 'none'}.",
    )
