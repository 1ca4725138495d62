"""The ensemble of cylindrical cells: is it what it says?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xctrules.core.errors import SpecError
from xctrules.core.validation import SpecLimit
from xctrules.cylinder.phantom.ensemble import CylinderEnsemble

DIAMETERS = (("18650", 18.40), ("21700", 21.25), ("26650", 26.0), ("26650", 26.4))
LIMITS = (
    *(SpecLimit(spec, "canister.outer_diameter", "max", limit, "mm") for spec, limit in DIAMETERS),
    SpecLimit("21700", "overhang.length.min", "min", 0.0, "mm"),
    SpecLimit("own", "canister.outer_diameter", "max", 12.0, "mm"),
)


def ensemble(seed: int = 1, *, short: bool = False) -> CylinderEnsemble:
    return CylinderEnsemble(seed, short, LIMITS)


def test_a_case_follows_from_seed_and_index_alone() -> None:
    backwards = {i: ensemble(3).case(i) for i in reversed(range(60))}
    assert all(ensemble(3).case(i) == backwards[i] for i in range(60))
    assert ensemble(4).case(0).spec != backwards[0].spec


def test_the_ensemble_holds_what_a_laboratory_may_bring() -> None:
    cases = [ensemble().case(i) for i in range(300)]
    specs = [case.spec for case in cases if case.kind == "mixed"]
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
    away = [
        case.spec.outer_diameter_mm - limit
        for i in range(1200)
        if (case := ensemble().case(i)).near_limit_of
        for name, limit in DIAMETERS
        if name == case.near_limit_of and abs(case.spec.outer_diameter_mm - limit) < 0.05
    ]
    assert len(away) > 60
    assert min(away) < -0.02
    assert max(away) > 0.02


def test_repeats_are_the_same_cell_with_other_noise() -> None:
    groups: dict[int, list[Any]] = {}
    for i in range(100):
        case = ensemble().case(i)
        if case.group is not None:
            groups.setdefault(case.group, []).append(case)
    assert len(groups[0]) == 5
    assert len({case.spec for case in groups[0]}) == 1
    assert len({case.noise_seed for case in groups[0]}) == 5
    assert groups[0][0].spec != groups[1][0].spec


def test_short_ensembles_hold_no_whole_cell_and_no_fine_voxel() -> None:
    specs = [ensemble(short=True).case(i).spec for i in range(96)]
    ends = [
        spec for spec in specs if spec.view != "roll"
    ]  # those near a limit have the format's own diameter
    assert max(spec.outer_diameter_mm for spec in ends) < 13
    assert min(spec.voxel_size_mm[2] for spec in specs) >= 0.028


def test_what_a_case_is_judged_by() -> None:
    cases = [ensemble().case(i) for i in range(48)]
    for case in cases:
        judged_by = case.judged_by
        if case.kind == "limit":
            assert (judged_by.spec, judged_by.leave_out) == (case.spec.format, ("overhang.length.min",))
        elif case.unfit:  # nothing but the refusal stands in the way of a PASS
            assert judged_by.upper_limits["canister.outer_diameter"] > case.spec.outer_diameter_mm + 0.5
        else:
            assert judged_by.leave_out == ("canister.outer_diameter",)
        assert case.nominal_mm["outer_diameter"] == case.spec.outer_diameter_mm


def test_the_told_voxel_size_is_wrong_by_what_is_stated_beside_it() -> None:
    cases = [case for i in range(300) if (case := ensemble().case(i)).scale_error]
    for case in cases:
        told = np.array(case.told_voxel_mm) / case.spec.voxel_size_mm - 1
        assert told == pytest.approx(np.full(3, case.scale_error), rel=1e-6)
    stated = np.array([case.spec.voxel_scale_relative_uncertainty for case in cases])
    pulls = np.array([case.scale_error for case in cases]) / stated
    assert pulls.std() == pytest.approx(1.0, abs=0.15)  # three standard errors of a deviation of 250 values


def test_other_limits_are_another_ensemble() -> None:
    assert ensemble().identity() == ensemble().identity()
    assert CylinderEnsemble(1, False, LIMITS[:2]).identity() != ensemble().identity()
    with pytest.raises(SpecError, match="outer_diameter"):
        CylinderEnsemble(1, False, LIMITS[4:])
