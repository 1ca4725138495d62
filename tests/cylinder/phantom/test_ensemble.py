"""The ensemble of cylindrical cells: is it what it says?"""

from __future__ import annotations

import json

import numpy as np
import pytest

from xctrules.core.errors import SpecError
from xctrules.core.validation import Case, Ensemble, SpecLimit
from xctrules.cylinder.phantom import PhantomSpec, spec_from_dict
from xctrules.cylinder.phantom.ensemble import case_of, identity

DIAMETERS = (("18650", 18.40), ("21700", 21.25), ("26650", 26.0), ("26650", 26.4))
LIMITS = (
    *(SpecLimit(spec, "canister.outer_diameter", "max", limit, "mm") for spec, limit in DIAMETERS),
    SpecLimit("21700", "overhang.length.min", "min", 0.0, "mm"),
    SpecLimit("own", "canister.outer_diameter", "max", 12.0, "mm"),
)


def a_case(index: int, *, seed: int = 1, short: bool = False) -> Case:
    return case_of(Ensemble(seed, short, LIMITS), index)


def spec_of(case: Case) -> PhantomSpec:
    return spec_from_dict(case.drawn)


def test_a_case_follows_from_seed_and_index_alone() -> None:
    backwards = {i: a_case(i, seed=3) for i in reversed(range(60))}
    assert all(a_case(i, seed=3) == backwards[i] for i in range(60))
    assert a_case(0, seed=4).drawn != backwards[0].drawn


def test_the_ensemble_holds_what_a_laboratory_may_bring() -> None:
    cases = [a_case(i) for i in range(300)]
    specs = [spec_of(case) for case in cases if case.kind == "mixed"]
    assert {s.handedness for s in specs} == {1, -1}
    assert {s.slice_order for s in specs} == {"top_to_bottom", "bottom_to_top"}
    assert {s.view for s in specs} == {"top", "bottom", "both"}
    assert {s.imaging.dtype for s in specs} == {"uint8", "uint16", "float32"}
    voxels = np.array([s.voxel_size_mm for s in specs])
    assert voxels[:, 2].min() < 0.018
    assert 0.055 < voxels[:, 2].max() <= 0.060
    assert (voxels[:, 0] > 1.4 * voxels[:, 2]).any()
    for some in ("tabs", "dents", "negative_overhangs"):
        assert 0 < sum(bool(getattr(s, some)) for s in specs) < len(specs) / 2
    for some in ("pin", "buckle"):
        assert 0 < sum(getattr(s, some) is not None for s in specs) < len(specs) / 2
    for artefact in ("rings", "cupping"):
        assert 0 < sum(getattr(s.imaging, artefact) > 0 for s in specs) < len(specs)
    assert {case.unfit for case in cases} == {None, "noise", "coarse", "cut off", "saturated"}


def test_cells_near_a_diameter_limit_lie_on_both_sides_of_it() -> None:
    near = [(case.judged_by.spec, spec_of(case)) for i in range(1200) if (case := a_case(i)).kind == "limit"]
    away = [
        spec.outer_diameter_mm - limit
        for judged_by, spec in near
        for name, limit in DIAMETERS
        if name == judged_by and abs(spec.outer_diameter_mm - limit) < 0.05
    ]
    assert len(away) > 60
    assert min(away) < -0.02
    assert max(away) > 0.02


def test_repeats_are_the_same_cell_with_other_noise() -> None:
    groups: dict[int, list[Case]] = {}
    for i in range(100):
        case = a_case(i)
        if case.group is not None:
            groups.setdefault(case.group, []).append(case)
    assert len(groups[0]) == 5
    assert all(case.drawn == groups[0][0].drawn for case in groups[0])
    assert len({case.noise_seed for case in groups[0]}) == 5
    assert groups[0][0].drawn != groups[1][0].drawn


def test_short_ensembles_hold_no_whole_cell_and_no_fine_voxel() -> None:
    specs = [spec_of(a_case(i, short=True)) for i in range(96)]
    # those near a limit have the format's own diameter
    ends = [spec for spec in specs if spec.view != "roll"]
    assert max(spec.outer_diameter_mm for spec in ends) < 13
    assert min(spec.voxel_size_mm[2] for spec in specs) >= 0.028


def test_what_a_case_is_judged_by() -> None:
    cases = [a_case(i) for i in range(48)]
    for case in cases:
        judged_by = case.judged_by
        if case.kind == "limit":
            assert (judged_by.spec, judged_by.leave_out) == (case.drawn["format"], ("overhang.length.min",))
        elif case.unfit:  # nothing but the refusal stands in the way of a PASS
            assert judged_by.upper_limits["canister.outer_diameter"] > case.drawn["outer_diameter_mm"] + 0.5
        else:
            assert judged_by.leave_out == ("canister.outer_diameter",)
        assert case.nominal_mm["outer_diameter"] == case.drawn["outer_diameter_mm"]


def test_the_told_voxel_size_is_wrong_by_what_is_stated_beside_it() -> None:
    cases = [case for i in range(300) if (case := a_case(i)).scale_error]
    for case in cases:
        told = np.array(case.told_voxel_mm) / case.voxel_mm - 1
        assert told == pytest.approx(np.full(3, case.scale_error), rel=1e-6)
    stated = np.array([case.drawn["voxel_scale_relative_uncertainty"] for case in cases])
    pulls = np.array([case.scale_error for case in cases]) / stated
    assert pulls.std() == pytest.approx(1.0, abs=0.15)  # three standard errors of a deviation of 250 values


def test_other_limits_are_another_ensemble() -> None:
    whole = identity(Ensemble(limits=LIMITS))
    assert identity(Ensemble(limits=LIMITS)) == whole
    assert identity(Ensemble(limits=LIMITS[:2])) != whole
    with pytest.raises(SpecError, match="outer_diameter"):
        identity(Ensemble(limits=LIMITS[4:]))


def test_a_case_is_drawn_from_its_plain_values_alone() -> None:
    """A case goes through JSON, and to another process, and is still drawn the same."""
    for i in range(120):
        case = a_case(i)
        assert spec_from_dict(json.loads(json.dumps(case.drawn))) == spec_of(case)
        assert spec_of(case).to_dict() == case.drawn
