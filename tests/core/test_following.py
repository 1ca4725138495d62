"""Values worked out again from a table of text, against tables that the test draws."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from xctrules.core.following import Follows, is_well_formed, work_out

Z = ["1", "", "-3", "2"]
"""Three values and an empty place."""


def worked(statistic: str, cells: list[str] = Z, **how: object):
    return work_out({"x": cells}, Follows("t", "x", statistic, **how))


@pytest.mark.parametrize(
    ("statistic", "value"),
    [("count", 3.0), ("mean", 0.0), ("min", -3.0), ("max", 2.0), ("max_abs", 3.0),
     ("rms", math.sqrt(14 / 3)), ("std", math.sqrt(14 / 3)), ("share_below_zero", 1 / 3)],
)  # fmt: skip
def test_statistics_of_the_places_that_are_not_empty(statistic, value):
    found = worked(statistic)
    assert found.value == pytest.approx(value, abs=1e-12) and found.n == 3


def test_corrections_in_their_order():
    assert worked("std", degrees=1).value == pytest.approx(math.sqrt(7))
    assert worked("std", degrees=1, noise=math.sqrt(3)).value == pytest.approx(2.0)
    assert worked("std", noise=10.0).value == 0.0
    assert worked("max", bias=0.5).value == 1.5
    assert worked("max", bias=0.5, at_most=1.0).value == 1.0
    assert worked("min", bias=0.5, at_least=0.0).value == 0.0


def test_rows_of_one_end_and_the_end_that_holds_the_extreme():
    columns = {"x": ["1", "2", "5", "6"], "end": ["top", "top", "bottom", "bottom"]}
    one = work_out(columns, Follows("t", "x", "min", {"end": "bottom"}))
    assert (one.value, one.n) == (5.0, 2)
    both = work_out(columns, Follows("t", "x", "max", chosen={"end": "top"}))
    assert (both.value, both.n) == (2.0, 4)


def test_a_spread_about_each_ends_own_mean():
    columns = {"x": ["1", "3", "", "11", "13"], "end": ["top", "top", "top", "bottom", "bottom"]}
    found = work_out(columns, Follows("t", "x", "std", about="end", degrees=1))
    assert found.value == pytest.approx(math.sqrt(4 / 3)) and found.n == 4
    assert work_out(columns, Follows("t", "x", "range", chosen={"end": "top"})).value == 2.0


def test_a_running_mean_closes_each_run_and_leaves_gaps_open():
    columns = {"x": ["0", "3", "6", "9", "8", "", "0", "2"], "turn": list("00001111")}
    found = work_out(columns, Follows("t", "x", "max", along="turn", half=(1, 0)))
    assert found.value == 8.0  # turn 1 as it is; turn 0 at most (6 + 9 + 0) / 3 or (3 + 6 + 9) / 3
    alone = work_out(columns, Follows("t", "x", "max", along="turn", half=(1, 1)))
    assert alone.value == 6.0  # (3 + 6 + 9) / 3; beside the gap (8 + 2) / 2


def test_diameters_of_outlines_by_area():
    """A circle off its axis has the diameter that it has; an outline seen too little does not count."""
    theta = np.deg2rad(np.arange(360.0))
    off, radius = 0.4, 5.0
    around = off * np.cos(theta) + np.sqrt(radius**2 - (off * np.sin(theta)) ** 2)
    cells = [f"{r:.9g}" for r in around] + [f"{9.0:g}"] * 100 + [""] * 260
    columns = {"r": cells, "z": ["0"] * 360 + ["1"] * 360}
    how = Follows("t", "r", "equal_area_diameter", by="z", least_share=0.9)
    found = work_out(columns, how)
    assert found.value == pytest.approx(2 * radius, rel=1e-6) and found.n == 360
    gap = [*cells[:100], *[""] * 20, *cells[120:]]
    bridged = work_out(
        {**columns, "r": gap}, Follows("t", "r", "equal_area_diameter", by="z", least_share=0.9)
    )
    # A chord over 20 of 360 degrees lies at most off * (1 - cos 10 deg) = 0.006 from the curve.
    assert bridged.value == pytest.approx(2 * radius, abs=0.012 * 20 / 360) and bridged.n == 340


def test_what_cannot_be_worked_out_is_told():
    with pytest.raises(ValueError, match="no column"):
        work_out({"y": Z}, Follows("t", "x", "mean"))
    with pytest.raises(ValueError, match="no value"):
        worked("mean", ["", ""])
    with pytest.raises(ValueError, match="float"):
        worked("mean", ["one"])


def test_what_a_plugin_says_has_a_form():
    sound = Follows("t", "x", "mean", {"end": "top"}, along="turn", half=(1, 2), noise=0.1, at_most=1.0)
    assert is_well_formed(sound)
    for odd in (
        {"statistic": "mode"}, {"statistic": ["mean"]}, {"table": 3}, {"column": None}, {"where": 3},
        {"where": {"end": 1}}, {"chosen": []}, {"half": np.arange(3)}, {"half": 3}, {"half": (0.5,)},
        {"along": 3}, {"noise": math.nan}, {"bias": "much"}, {"at_least": math.inf}, {"degrees": 0.5},
    ):  # fmt: skip
        assert not is_well_formed(dataclasses.replace(sound, **odd)), odd
    assert not is_well_formed({"table": "t"})


def test_digits_that_the_files_do_not_hold_are_no_difference():
    rng = np.random.default_rng(3)
    values = 20.0 + 0.01 * rng.standard_normal(1000)
    cells = [f"{value:.9g}" for value in values]
    noise = 0.999 * float(values.std())
    found = worked("std", cells, noise=noise)
    exact = math.sqrt(values.var() - noise**2)
    assert found.agrees(float(f"{exact:.9g}"), noise=noise)
    assert not found.agrees(exact + 0.001, noise=noise)
    # Two thicknesses, each rounded outward by half a millionth: the spread grows by as much, noise does not.
    rounded = worked("std", ["0.2100005", "0.2059995"] * 50, noise=0.0019)
    assert rounded.agrees(math.sqrt(0.002**2 - 0.0019**2), noise=0.0019)
    mean = worked("mean", cells)
    assert mean.agrees(float(f"{values.mean():.9g}"), noise=0.0)
    assert not mean.agrees(values.mean() + 1e-4, noise=0.0)


def test_a_bias_that_a_study_found_is_taken_off_as_well() -> None:
    follows = Follows("t", "x", "mean", bias=0.25)
    assert follows.less(0.5) == Follows("t", "x", "mean", bias=0.75)
    assert Follows("t", "x", "mean", at_least=0.0).less(0.5) is None
