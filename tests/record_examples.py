"""A small record with its files, for tests of what becomes of records."""

from __future__ import annotations

import hashlib

import numpy as np

from xctrules.core.figures import ImageFigure, Polyline, Samples
from xctrules.core.following import Follows
from xctrules.core.measurement import Contribution, Measurement, Scale
from xctrules.pages.figures import figure_to_json
from xctrules.records.folder import cell_files
from xctrules.records.record import build_record
from xctrules.rules.cellspec import parse_spec

SPEC = """\
schema: xctrules.spec/1
name: mine
version: "1"
rules:
  - {id: od, measurement: canister.outer_diameter, max: 21.25, unit: mm, source: S, status: datasheet}
  - {id: overhang, measurement: overhang.length.min, min: 0, unit: mm, source: S, status: standard}
"""


IMAGE = ImageFigure(
    "slice", "A slice", "Look here.", "a grey ramp", np.arange(48, dtype=np.uint8).reshape(6, 8),
    pixel_mm=(0.1, 0.1), overlays=(Polyline(np.array([[1.234, 2.0], [np.nan, 0.0], [3.0, 4.0]]), "anode"),),
)  # fmt: skip


def example(cell_id="cell-1", diameter=21.2, stated=True, **kw):
    """A small record with its files: (record, files)."""
    measurements = [
        Measurement("canister.outer_diameter", "mm", value=diameter, n=30, worst_at={"z_mm": 6.1},
                    budget=(Contribution("noise", 0.003, degrees_of_freedom=29),
                            Contribution("voxel scale", 0.002, "B", shared=True))),
        Measurement("overhang.length.min", "mm", value=1 / 3, n=2,
                    follows=Follows("overhang", "length_mm", "min"),
                    budget=(Contribution("noise", 0.01), Contribution("voxel scale", 3e-5, "B", True))),
        Measurement("winding.pitch", "mm", value=0.384, budget=(Contribution("noise", 0.001),)),
        Measurement.absent("overhang.bottom.length.min", "mm", "the lower end is not in view"),
    ]  # fmt: skip
    figure, images = figure_to_json(IMAGE)
    table = Samples("overhang", {"turn": np.arange(3), "length_mm": np.array([1 / 3, np.nan, 2.0])})
    files = cell_files(images, [table], "00  slice_0.tif\n")
    record = build_record(
        cell_id=cell_id, spec=parse_spec(SPEC, file="mine.yaml"),
        measurements={m.name: m for m in measurements},
        scope={"ends": ["top"], "height_seen_mm": 6.8, "straight_can_mm": 2.6}, scale=Scale(1e-4, stated),
        scan={"shape": (10, 8, 8), "dtype": "uint8", "voxel_size_mm": (0.1, 0.1, 0.1), "files": 1,
              "sha256": hashlib.sha256(files["samples/scan.sha256"]).hexdigest()},
        acquisition={"instrument": None, "voxel_scale_relative_uncertainty": 1e-4 if stated else None},
        files=files,
        sections=[{"metric": "demo", "title": "Demo", "figures": [figure]}],
        run={"started": "2026-01-01T00:00:00Z", "seconds": 1.0, "host": "h", "operator": None}, **kw,
    )  # fmt: skip
    return record, files
