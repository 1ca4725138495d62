"""Figures as JSON and PNG."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest
from record_examples import IMAGE

from xctrules.core.figures import Histogram, LineChart, Table
from xctrules.pages.figures import figure_to_json


def test_figures_become_json_and_png():
    import cv2

    data, images = figure_to_json(IMAGE)
    (name, png), = images.items()  # fmt: skip
    assert data["image"] == {
        "file": name, "sha256": hashlib.sha256(png).hexdigest(), "width": 8, "height": 6,
    }  # fmt: skip
    assert np.array_equal(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED), IMAGE.image)
    assert data["overlays"][0]["points"] == [[1.23, 2.0], None, [3.0, 4.0]]
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 255
    _, colour = figure_to_json(dataclasses.replace(IMAGE, image=red))
    decoded = cv2.imdecode(np.frombuffer(colour[name], np.uint8), cv2.IMREAD_COLOR)
    assert decoded[0, 0].tolist() == [0, 0, 255]  # OpenCV gives blue first
    lines, _ = figure_to_json(
        LineChart("l", "t", "c", "a", (("s", "can", np.arange(2.0), np.array([1.0, np.nan])),), "x", "y")
    )
    assert lines["series"] == [{"label": "s", "role": "can", "x": [0.0, 1.0], "y": [1.0, None]}]
    histogram, _ = figure_to_json(
        Histogram.of(
            np.array([1.0, 2.0]), id="h", title="t", caption="c", alt="a", x_label="x", unit="mm", bins=2
        )
    )
    assert histogram["counts"] == [1, 1]
    table, _ = figure_to_json(Table("t", "t", "c", ("a", "b"), ((1, None), (np.float64(0.5), "x"))))
    assert table["rows"] == [[1, None], [0.5, "x"]]
    assert {d["kind"] for d in (data, lines, histogram, table)} == {"image", "lines", "histogram", "table"}
    with pytest.raises(ValueError, match="uint8"):
        figure_to_json(dataclasses.replace(IMAGE, image=np.zeros((2, 2))))
