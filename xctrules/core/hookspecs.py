"""What a plugin may provide, in the order in which an inspection asks for it.

Every hook returns objects; the engine calls those objects itself, one by one, each guarded and timed. A
plugin therefore never loses another plugin's result. Limits, decision rules, verdict, record and report are
no hooks: what an auditor relies on is the engine's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pluggy

hookspec = pluggy.HookspecMarker("xctrules")
hookimpl = pluggy.HookimplMarker("xctrules")


@hookspec
def xctrules_readers() -> list[Any]:
    """Readers of scan formats (:class:`xctrules.core.slices.Reader`), asked before the bundled ones.

    Called when a scan is about to be opened.
    """
    return []


@hookspec
def xctrules_spec_folders() -> list[Path]:
    """Folders with cell-format specs (``NAME.yaml``) that the plugin brings along.

    Called when a spec is asked for by name.
    """
    return []


@hookspec
def xctrules_frames() -> list[Any]:
    """Frame finders (:class:`xctrules.cylinder.frame.FrameFinder`) for geometries other than cylinders.

    Called after the scan is read; the one whose ``geometry`` equals the spec's is used.
    """
    return []


@hookspec
def xctrules_screens() -> list[Any]:
    """Screens: metrics that judge the scan rather than the cell and may reject it.

    Called after segmentation, before the metrics, since screening compares materials and edges inside the
    can.
    """
    return []


@hookspec
def xctrules_segmenters() -> list[Any]:
    """Segmenters (:class:`xctrules.core.cell.Segmenter`), chosen by name.

    Called once the frame is known.
    """
    return []


@hookspec
def xctrules_metrics() -> list[Any]:
    """Metrics (:class:`xctrules.core.measurement.Metric`), all of which run.

    Called after screening.
    """
    return []
