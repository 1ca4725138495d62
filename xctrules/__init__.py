"""xctrules: pass/fail certificates for lithium-ion cells from X-ray CT scans.

``xctrules.inspect(scan, spec)`` goes the whole way; in a notebook, its result shows itself as the report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Inspection", "XctrulesError", "__version__", "inspect"]

if TYPE_CHECKING:
    from xctrules.core.errors import XctrulesError
    from xctrules.engine.inspection import Inspection, inspect


def __getattr__(name: str) -> Any:
    """Import the public names when they are asked for, so that ``import xctrules`` costs nothing."""
    if name in ("inspect", "Inspection"):
        from xctrules.engine import inspection

        return getattr(inspection, name)
    if name == "XctrulesError":
        from xctrules.core.errors import XctrulesError

        return XctrulesError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
