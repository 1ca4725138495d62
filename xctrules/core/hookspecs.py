"""What a plugin may provide, in the order in which an inspection asks for it.

Every hook returns objects; the engine calls those objects itself, one by one, each guarded and timed. A
plugin therefore never loses another plugin's result. Limits, decision rules, verdict, record and report are
no hooks: what an auditor relies on is the engine's own.
"""

from __future__ import annotations

from pathlib import Path

import pluggy

from xctrules.core.protocols import FrameFinder, Metric, PhantomSource, Screen, Segmenter
from xctrules.core.slices import Reader

hookspec = pluggy.HookspecMarker("xctrules")
hookimpl = pluggy.HookimplMarker("xctrules")


@hookspec
def xctrules_phantoms() -> list[PhantomSource]:
    """Sources of synthetic cells with known truth, one for each geometry.

    Called when a phantom is asked for, not in an inspection.
    """
    return []


@hookspec
def xctrules_spec_folders() -> list[Path]:
    """Folders with cell-format specs (``NAME.yaml``) that the plugin brings along.

    Called when a spec is asked for by name.
    """
    return []


@hookspec
def xctrules_frames() -> list[FrameFinder]:
    """Finders of cells, one for each geometry; also what options, scope and predictions a geometry has.

    Called once the spec is read; the one whose ``geometry`` is the spec's is used.
    """
    return []


@hookspec
def xctrules_readers() -> list[Reader]:
    """Readers of scan formats, asked before the bundled ones.

    Called when a scan is about to be opened.
    """
    return []


@hookspec
def xctrules_segmenters() -> list[Segmenter]:
    """Segmenters, chosen by name; of those, the first for the spec's geometry where none is named.

    Called before the scan is opened; they run once the frame is known.
    """
    return []


@hookspec
def xctrules_screens() -> list[Screen]:
    """Screens: metrics that judge the scan rather than the cell and may reject it.

    Called after segmentation, before the metrics, since screening compares materials and edges inside the
    cell.
    """
    return []


@hookspec
def xctrules_metrics() -> list[Metric]:
    """Metrics, all of which run that are for the spec's geometry.

    Called after screening.
    """
    return []
