"""Positions of marks: what is drawn must stand where the numbers are."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xctrules.pages import charts

ranges = st.tuples(st.floats(-1e4, 1e4, allow_nan=False), st.floats(1e-6, 1e5, allow_nan=False)).map(
    lambda pair: (pair[0], pair[0] + pair[1])
)


@given(ranges, st.integers(2, 8))
def test_ticks_are_round_even_and_inside(limits: tuple[float, float], count: int) -> None:
    low, high = limits
    found = charts.ticks(low, high, count)
    if (high - low) < 1e-9 * max(abs(low), abs(high)):
        return
    values = np.array([value for value, _ in found])
    assert 1 <= len(values) <= 3 * count
    slack = 1e-6 * (high - low)
    assert values.min() >= low - slack
    assert values.max() <= high + slack
    assert np.allclose(np.diff(values), np.diff(values)[:1], rtol=1e-6, atol=slack)
    for value, label in found:
        assert float(label.replace("−", "-")) == pytest.approx(value, abs=slack + 1e-12)
    assert len({label for _, label in found}) == len(found)


def test_ticks_of_a_falling_axis_and_of_a_point() -> None:
    assert charts.ticks(10.0, 0.0, 5) == charts.ticks(0.0, 10.0, 5)
    assert charts.ticks(3.0, 3.0) == ((3.0, "3"),)


def test_counted_things_have_whole_ticks() -> None:
    turns = np.arange(1.0, 22.0)
    chart = charts.line_chart([("error", "fit", turns, turns / 7)])
    labels = [tick.label for tick in chart.x_ticks]
    assert len(labels) >= 3
    assert all(re.fullmatch(r"\d+", label) for label in labels)
    assert [label for _, label in charts.ticks(0.0, 3.0, 8, whole=True)] == ["0", "1", "2", "3"]


def numbers(path: str) -> list[float]:
    return [float(n) for n in re.findall(r"-?[\d.]+", path)]


def test_path_breaks_where_there_is_no_value() -> None:
    xy = np.array([[0, 0], [1, 1], [np.nan, 2], [3, 3], [4, np.nan], [5, 5], [6, 6]], dtype=float)
    assert charts.path(xy) == "M0 0L1 1M3 3h.01M5 5L6 6"


def test_path_closes_only_whole_rings() -> None:
    ring = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    assert charts.path(ring, closed=True).endswith("Z")
    ring[1] = np.nan
    assert "Z" not in charts.path(ring, closed=True)


def test_markers_are_dots_of_their_own() -> None:
    assert (
        charts.path(np.array([[1.5, 2.0], [np.nan, 0], [3.0, 4.25]]), marker=True) == "M1.5 2h.01M3 4.25h.01"
    )


def test_points_take_null_for_a_gap() -> None:
    assert np.isnan(charts.points([None, [1, None], [2, 3]])).tolist() == [
        [True, True],
        [False, True],
        [False, False],
    ]
    assert charts.points([]).shape == (0, 2)


def test_bars_stand_on_their_edges_with_areas_as_their_counts() -> None:
    edges, counts = np.array([0.0, 1.0, 2.0, 3.0]), np.array([4.0, 0.0, 2.0])
    chart = charts.histogram(edges, counts)
    boxes = re.findall(r"M([\d.]+) ([\d.]+)V([\d.]+)H([\d.]+)V([\d.]+)Z", chart.bars)
    assert len(boxes) == 2  # nothing is drawn for an empty bin
    (left, foot, top, right, _), (left2, _, top2, right2, _) = (tuple(map(float, box)) for box in boxes)
    assert foot == pytest.approx(chart.bottom)
    assert right - left == pytest.approx(right2 - left2, abs=0.02)  # two decimals each
    assert (foot - top) == pytest.approx(2 * (foot - top2), abs=0.03)
    at = {tick.label: tick.at for tick in chart.x_ticks}
    assert (
        at["0"] == pytest.approx(left, abs=0.01) if "0" in at else at["0.0"] == pytest.approx(left, abs=0.01)
    )


def test_a_limit_near_the_values_stays_in_sight_and_a_far_one_does_not_squeeze_them() -> None:
    edges, counts = np.linspace(0.4, 0.8, 41), np.full(40, 5.0)
    near = charts.histogram(edges, counts, [("limit", 0.0)])
    (mark,) = near.marks
    assert near.left <= mark.at < numbers(near.bars)[0]
    assert charts.histogram(edges, counts, [("limit", 500.0)]).marks == ()


def test_labels_of_marks_do_not_touch() -> None:
    chart = charts.histogram(
        np.linspace(0, 1, 11), np.ones(10), [("first limit", 0.5), ("second limit", 0.52), ("third", 0.98)]
    )
    boxes = []
    for mark in chart.marks:
        width = 6.0 * len(mark.text)  # no narrower than the text
        start = mark.text_x - width if mark.anchor == "end" else mark.text_x
        assert chart.left <= start
        assert start + width <= charts.CHART_WIDTH
        boxes.append((start, start + width, mark.text_y))
    for i, (a0, a1, ya) in enumerate(boxes):
        for b0, b1, yb in boxes[i + 1 :]:
            assert ya != yb or a1 < b0 or b1 < a0
    assert max(mark.text_y for mark in chart.marks) < chart.top + 4


def test_lines_share_one_frame_and_stay_in_it() -> None:
    x = np.linspace(-3.0, 7.0, 50)
    chart = charts.line_chart(
        [("a", "fit", x, x**2), ("b", "can", x, np.full(50, np.nan)), ("c", "note", x, -x)]
    )
    for curve in chart.curves:
        values = np.array(numbers(curve.path.replace("h.01", ""))).reshape(-1, 2)
        if curve.label == "b":
            assert values.size == 0
            continue
        assert (values[:, 0] >= chart.left - 0.01).all()
        assert (values[:, 0] <= chart.right + 0.01).all()
        assert (values[:, 1] >= chart.top).all()
        assert (values[:, 1] <= chart.bottom).all()
    parabola = np.array(numbers(chart.curves[0].path)).reshape(-1, 2)
    assert parabola[0, 1] < parabola[25, 1]  # 9 lies higher than about 4: y grows downward on screen


@pytest.mark.parametrize(
    ("value", "low", "high"), [(5.0, 0.0, 10.0), (-2.0, 0.0, None), (21.3, None, 21.25), (4.0, 4.0, 4.0)]
)
def test_dot_lies_on_its_side_of_the_limit(value: float, low: float | None, high: float | None) -> None:
    picture = charts.limit_picture(value, 0.1, low, high, guard=0.1)
    at = iter(picture.limits)
    if low is not None:
        limit = next(at).at
        assert math.copysign(1, picture.value - limit) == math.copysign(1, value - low) or value == low
        assert picture.accept[0] == pytest.approx(limit)
    if high is not None:
        limit = next(at).at
        assert math.copysign(1, picture.value - limit) == math.copysign(1, value - high) or value == high
        assert picture.accept[1] == pytest.approx(limit)
    left, right = picture.interval
    assert 0 <= left <= picture.value <= right <= picture.width
    for start, end in picture.guards:
        assert picture.accept[0] - 1e-9 <= start <= end <= picture.accept[1] + 1e-9


def test_picture_keeps_proportions() -> None:
    picture = charts.limit_picture(6.0, 1.0, 0.0, 10.0, guard=2.0)
    low, high = (tick.at for tick in picture.limits)
    per_unit = (high - low) / 10
    assert picture.value - low == pytest.approx(6 * per_unit)
    assert picture.interval[1] - picture.interval[0] == pytest.approx(2 * per_unit)
    assert [end - start for start, end in picture.guards] == pytest.approx([2 * per_unit, 2 * per_unit])


def test_limits_are_drawn_without_a_value() -> None:
    picture = charts.limit_picture(None, None, 0.0, None)
    assert picture.value is None
    assert picture.interval is None
    assert len(picture.limits) == 1


@given(st.floats(1e-3, 1e3))
def test_scale_bar_is_true_and_of_a_useful_length(width_mm: float) -> None:
    share, label = charts.scale_bar(width_mm)
    length, unit = label.split()
    assert unit == "mm"
    assert share * width_mm == pytest.approx(float(length))
    assert 0.08 <= share <= 0.26


def test_image_ticks_stand_on_pixel_centres() -> None:
    first, *_, last = charts.image_ticks(0.0, 10.0, 11, 5)
    assert first.at == pytest.approx(0.5 / 11)
    assert last.at == pytest.approx(10.5 / 11)
    falling = charts.image_ticks(10.0, 0.0, 11, 5)
    assert {t.label: t.at for t in falling}[last.label] == pytest.approx(first.at)
