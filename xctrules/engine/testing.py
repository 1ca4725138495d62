"""For authors of plugins: cells with known truth, and the rules that the engine holds a metric to.

    from xctrules.phantom import small
    from xctrules.testing import assert_metric_conforms, phantom_cell

    cell, truth = phantom_cell(small(overhang_mm=0.5))
    result = assert_metric_conforms(MyMetric(), cell)

What passes here is not refused in an inspection.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xctrules.core.cell import Cell
from xctrules.core.measurement import Measurement, Metric, Scale
from xctrules.core.slices import ArraySlices, Scan
from xctrules.cylinder.frame import CylinderFinder
from xctrules.cylinder.phantom import Phantom, PhantomSpec, draw
from xctrules.cylinder.surfaces import CylinderSettings
from xctrules.engine.registry import Provided, load_plugins, metric_fault
from xctrules.engine.run_metric import MetricOutcome, run_metric


def phantom_cell(
    spec: PhantomSpec,
    *,
    angles: int = 72,
    segmented: bool = True,
    nominal: Mapping[str, float] | None = None,
) -> tuple[Cell, Mapping[str, Any]]:
    """A drawn cell as a metric sees it.

    Parameters
    ----------
    spec
        What to draw; :func:`xctrules.cylinder.phantom.small` is quick.
    segmented
        Whether the bundled segmenter runs; a metric that samples the frame itself needs none.
    nominal
        Nominal dimensions in mm, as a cell-format spec would give them.

    Returns
    -------
    cell
    truth
        Value by measurement name, computed from the geometry that was drawn.
    """
    return cell_of(draw(spec), angles=angles, segmented=segmented, nominal=nominal)


def cell_of(
    phantom: Phantom,
    *,
    angles: int = 72,
    segmented: bool = True,
    nominal: Mapping[str, float] | None = None,
) -> tuple[Cell, Mapping[str, Any]]:
    """The same for a phantom whose volume was changed after it was drawn."""
    relative = phantom.spec.voxel_scale_relative_uncertainty
    scale = Scale(0.002, stated=False) if relative is None else Scale(relative, stated=True)
    acquisition = {"voxel_scale_relative_uncertainty": relative}
    scan = Scan(Path("phantom"), ArraySlices(phantom.volume), phantom.spec.voxel_size_mm, acquisition)
    frame = CylinderFinder().find(scan, nominal or {})
    cell = Cell(scan, frame, scale, CylinderSettings("classical", angles=angles), nominal or {})
    if segmented:
        segmenters = load_plugins(third_party=False).segmenters
        segmenter = next(p.value for p in segmenters if p.value.name == cell.settings.segmenter)
        cell = dataclasses.replace(cell, segmentation=segmenter.segment(cell))
    return cell, phantom.truth["measurements"]


def assert_metric_conforms(metric: Metric, cell: Cell) -> dict[str, Measurement]:
    """Run a metric as the engine does, and fail with words where the engine would refuse anything of it.

    Returns
    -------
    measurements
        By name, all that the metric declares.

    Raises
    ------
    AssertionError
        When the metric's own form is wrong, it raises, returns what it did not declare, a wrong unit, a
        value that is no finite number, a value other than a count or ratio without an uncertainty, a figure
        that cannot be drawn, an image without alt text, or something else when it runs again.
    """
    fault = metric_fault(metric)
    assert fault is None, f"the metric {fault}"
    outcome = run_metric(Provided("under test", metric), cell)
    assert not outcome.failures, _traces(outcome)
    exact = [warning for warning in outcome.warnings if "without an uncertainty" in warning]
    assert not exact, "; ".join(exact)
    for figure in outcome.figures:
        for key in ("title", "caption") if figure["kind"] == "table" else ("title", "caption", "alt"):
            assert figure[key], f"figure {figure['id']!r} has no {key}"
    again = run_metric(Provided("under test", metric), cell)
    assert again.measurements == outcome.measurements, "running it again gives other measurements"
    assert again.images == outcome.images, "running it again gives other images"
    return {m.name: m for m in outcome.measurements}


def _traces(outcome: MetricOutcome) -> str:
    return "\n".join(f"{problem}\n{problem.traceback or ''}" for problem in outcome.failures)
