"""For authors of plugins: cells with known truth, and the rules that the engine holds a metric to.

    from xctrules.cylinder.phantom import draw, small
    from xctrules.testing import assert_metric_conforms, phantom_cell

    cell, truth = phantom_cell(draw(small(overhang_mm=0.5)))
    result = assert_metric_conforms(MyMetric(), cell)

What passes here is not refused in an inspection: cells are found and segmented, and metrics run, by the same
code.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xctrules.core.cell import Cell
from xctrules.core.errors import NotMeasurable
from xctrules.core.measurement import Measurement
from xctrules.core.protocols import DrawnPhantom, Metric
from xctrules.engine.forms import metric_fault
from xctrules.engine.measuring import find_cell, segment_as_planned
from xctrules.engine.planning import plan_inspection
from xctrules.engine.registry import Provided, load_plugins
from xctrules.engine.run_metric import MetricOutcome, run_metric
from xctrules.rules.cellspec import parse_spec


def phantom_cell(
    phantom: DrawnPhantom,
    *,
    segmented: bool = True,
    nominal_mm: Mapping[str, float] | None = None,
    plugins_dir: str | Path | None = None,
    **options: Any,
) -> tuple[Cell[Any, Any, Any], Mapping[str, Any]]:
    """A drawn cell as a metric sees it.

    Parameters
    ----------
    phantom
        What was drawn; ``draw(small())`` of :mod:`xctrules.cylinder.phantom` is quick.
    segmented
        Whether the geometry's own segmenter runs; a metric that samples the frame itself needs none.
    nominal_mm
        Nominal dimensions in mm, as a cell-format spec would give them.
    plugins_dir
        Folder with further plugins, where the phantom's geometry is one of theirs and is not installed. They
        run in this process.
    options
        Of the geometry, such as ``angles=72``.

    Returns
    -------
    cell
    truth
        Value by measurement name, computed from the geometry that was drawn.

    Raises
    ------
    NotMeasurable
        When there is no cell to be found in the drawing.
    """
    lines = [f"  {name}: {{value: {float(size)!r}, unit: mm}}" for name, size in (nominal_mm or {}).items()]
    spec = parse_spec(
        "\n".join(
            [
                "schema: xctrules.spec/1",
                "name: phantom",
                'version: "1"',
                f"geometry: {phantom.geometry}",
                *(["nominal:", *lines] if lines else []),
            ]
        )
    )
    registry = load_plugins(plugins_dir=plugins_dir, apart=False)
    plan = plan_inspection(spec, registry, options=options)
    cell, no_cell = find_cell(phantom.scan(), plan)
    if cell is None:
        raise NotMeasurable(no_cell)
    return segment_as_planned(cell, plan) if segmented else cell, phantom.truth["measurements"]


def assert_metric_conforms(metric: Metric, cell: Cell[Any, Any, Any]) -> dict[str, Measurement]:
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
