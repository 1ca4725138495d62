"""xctrules: pass/fail certificates for lithium-ion cells from X-ray CT scans.

``xctrules.inspect(scan, spec)`` goes the whole way; in a notebook, its result shows itself as report. What
stands in ``__all__`` is public, for scripts and for plugins; the rooms behind it may move. Beside it,
:mod:`xctrules.cylinder` is public for plugins that measure cylindrical cells, and :mod:`xctrules.testing` for
their tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xctrules.core.version import __version__

if TYPE_CHECKING:
    from xctrules.core.cell import Cell, Frame, Settings, Surfaces
    from xctrules.core.errors import NotMeasurable, OutputError, ScanError, XctrulesError
    from xctrules.core.figures import Histogram, ImageFigure, LineChart, Polyline, Samples, Table
    from xctrules.core.following import Follows
    from xctrules.core.hookspecs import hookimpl
    from xctrules.core.ledger import Ledger, Place
    from xctrules.core.measurement import Contribution, Measurement, MetricResult, Scale
    from xctrules.core.names import Description
    from xctrules.core.protocols import Option, Prediction, Scope
    from xctrules.core.slices import ArraySlices, Scan
    from xctrules.engine.inspection import Inspection, inspect

_PUBLIC = {
    "ArraySlices": "core.slices",
    "Cell": "core.cell",
    "Contribution": "core.measurement",
    "Description": "core.names",
    "Follows": "core.following",
    "Frame": "core.cell",
    "Histogram": "core.figures",
    "ImageFigure": "core.figures",
    "Inspection": "engine.inspection",
    "Ledger": "core.ledger",
    "LineChart": "core.figures",
    "Measurement": "core.measurement",
    "MetricResult": "core.measurement",
    "NotMeasurable": "core.errors",
    "Option": "core.protocols",
    "OutputError": "core.errors",
    "Place": "core.ledger",
    "Polyline": "core.figures",
    "Prediction": "core.protocols",
    "Samples": "core.figures",
    "Scale": "core.measurement",
    "Scan": "core.slices",
    "ScanError": "core.errors",
    "Scope": "core.protocols",
    "Settings": "core.cell",
    "Surfaces": "core.cell",
    "Table": "core.figures",
    "XctrulesError": "core.errors",
    "hookimpl": "core.hookspecs",
    "inspect": "engine.inspection",
}
"""Public name, and the room that it lives in."""

__all__ = [
    "ArraySlices",
    "Cell",
    "Contribution",
    "Description",
    "Follows",
    "Frame",
    "Histogram",
    "ImageFigure",
    "Inspection",
    "Ledger",
    "LineChart",
    "Measurement",
    "MetricResult",
    "NotMeasurable",
    "Option",
    "OutputError",
    "Place",
    "Polyline",
    "Prediction",
    "Samples",
    "Scale",
    "Scan",
    "ScanError",
    "Scope",
    "Settings",
    "Surfaces",
    "Table",
    "XctrulesError",
    "__version__",
    "hookimpl",
    "inspect",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for, so that ``import xctrules`` costs nothing."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
