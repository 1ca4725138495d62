"""The validation: is the ensemble what it says, are its formulas right, and does a stopped run go on?"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr

from xctrules.campaigns.validation import run
from xctrules.campaigns.validation.ensemble import Ensemble
from xctrules.campaigns.validation.findings import COVERED, covered, error, fault_found, find, half_width
from xctrules.campaigns.validation.report import render
from xctrules.campaigns.validation.statistics import Optics, fit_detection, pooled_sd, upper_bound, wilson
from xctrules.core.errors import OutputError

# --- the ensemble ------------------------------------------------------------------------------------------


def test_a_case_follows_from_seed_and_index_alone() -> None:
    backwards = {i: Ensemble(3).case(i) for i in reversed(range(60))}
    assert all(Ensemble(3).case(i) == backwards[i] for i in range(60))
    assert Ensemble(4).case(0).spec != backwards[0].spec


def test_the_ensemble_holds_what_a_laboratory_may_bring() -> None:
    cases = [Ensemble().case(i) for i in range(300)]
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
        if (case := Ensemble().case(i)).judged_by
        for name, limit in (("18650", 18.40), ("21700", 21.25), ("26650", 26.0), ("26650", 26.4))
        if name == case.judged_by and abs(case.spec.outer_diameter_mm - limit) < 0.05
    ]
    assert len(away) > 60
    assert min(away) < -0.02
    assert max(away) > 0.02


def test_repeats_are_the_same_cell_with_other_noise() -> None:
    groups: dict[int, list[Any]] = {}
    for i in range(100):
        case = Ensemble().case(i)
        if case.group is not None:
            groups.setdefault(case.group, []).append(case)
    assert len(groups[0]) == 5
    assert len({case.spec for case in groups[0]}) == 1
    assert len({case.noise_seed for case in groups[0]}) == 5
    assert groups[0][0].spec != groups[1][0].spec


# --- the formulas ------------------------------------------------------------------------------------------


def test_wilson_interval_of_a_textbook_share() -> None:
    # 81 of 263: 0.2553 to 0.3662 (Newcombe 1998, table I)
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20)[0] == 0.0
    assert wilson(20, 20)[1] == 1.0
    assert wilson(0, 0) == (0.0, 1.0)


def test_none_seen_bounds_the_rate_by_three_over_n() -> None:
    assert upper_bound(0, 200) == pytest.approx(3 / 200, rel=0.02)
    assert upper_bound(0, 30) == pytest.approx(1 - 0.05 ** (1 / 30))
    # with k seen, fewer than k + 1 would be a 5 % event at the bound
    p = upper_bound(2, 50)
    assert sum(math.comb(50, k) * p**k * (1 - p) ** (50 - k) for k in range(3)) == pytest.approx(0.05)


def test_scatter_within_groups_ignores_what_the_groups_differ_by() -> None:
    rng = np.random.default_rng(0)
    groups = [level + 0.3 * rng.standard_normal(6) for level in (0.0, 50.0, -7.0) * 40]
    sd, freedom = pooled_sd(groups)
    assert freedom == 120 * 5
    assert sd == pytest.approx(0.3, rel=0.1)  # standard error of a deviation over 600 degrees: 3 %


@pytest.mark.parametrize("correlation_px", [0.0, 0.6])
def test_bound_of_a_small_patch_is_the_information_of_its_voxels(correlation_px: float) -> None:
    """Against s' C^-1 s for one axis at a time: signal and noise are products of one-dimensional ones."""
    voxel, blur, step, noise, width = 0.034, 0.03, 50.0, 5.0, (0.17, 0.06)
    x = (np.arange(121) - 60) * voxel
    wide = math.sqrt(blur**2 + voxel**2 / 12)  # the voxel's own width, here as a Gaussian
    kernel = np.exp(-0.5 * (np.arange(-4, 5) / max(correlation_px, 1e-3)) ** 2)
    kernel /= np.linalg.norm(kernel)
    smooth = sum(weight * np.roll(np.eye(121), i, axis=1) for i, weight in enumerate(kernel, start=-4))
    covariance = smooth @ smooth.T  # closed on itself, unit variance

    def information(signal: np.ndarray) -> float:
        return float(signal @ np.linalg.solve(covariance, signal))

    across = np.exp(-0.5 * (x / wide) ** 2) / (wide * math.sqrt(2 * math.pi))
    sides = [ndtr((x + w / 2) / wide) - ndtr((x - w / 2) / wide) for w in width]
    total = (step / noise) ** 2 * information(across) * math.prod(map(information, sides))
    bound = Optics((voxel,) * 3, blur, noise, correlation_px).patch_bound_mm(step, width)
    assert bound == pytest.approx(1 / math.sqrt(total), rel=0.03)  # the voxel is no Gaussian


def test_detection_curve_is_found_again_and_its_bound_holds() -> None:
    middle, spread = 1.1, 0.35
    true_90 = middle + 1.2816 * spread
    held, sizes_found = 0, []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        size = rng.uniform(0, 4, 70)
        curve = fit_detection(size, rng.random(70) < ndtr((size - middle) / spread))
        assert curve is not None
        assert curve.found_90_upper is not None
        sizes_found.append(curve.found_90)
        held += curve.found_90_upper >= true_90
    assert np.mean(sizes_found) == pytest.approx(true_90, abs=0.15)
    assert held >= 33  # of 40 at 95 %: fewer than 35 is a 1 in 70 event, and the likelihood is asymptotic


def test_detection_without_overlap_or_without_contrast() -> None:
    size = np.linspace(0, 4, 41)
    sharp = fit_detection(size, size > 1.35)
    assert sharp is not None
    assert 1.3 <= sharp.found_90 <= 1.5
    assert sharp.found_90_upper is not None
    assert sharp.found_90_upper < 1.9
    assert fit_detection(size, np.ones(41, bool)) is None
    assert fit_detection(size, np.zeros(41, bool)) is None


def located(sigma_px: float, correlation_px: float, seeds: int) -> tuple[float, Optics, float]:
    """Scatter of a least-squares edge over noise, its optics, and the face's area: voxels of 1 mm."""
    from scipy.ndimage import gaussian_filter

    n, across, step, noise = 41, 24, 50.0, 5.0
    z = np.arange(n) - n // 2
    width = math.sqrt(sigma_px**2 + 1 / 12)  # the voxel's own width blurs as well
    slope = -step * np.exp(-0.5 * (z / width) ** 2) / (width * math.sqrt(2 * math.pi))
    shifts = []
    for seed in range(seeds):
        field = np.random.default_rng(seed).standard_normal((n, across, across))
        if correlation_px:
            field = gaussian_filter(field, correlation_px, mode="wrap")
        field *= noise / field.std()
        mean = field.mean(axis=(1, 2))
        shifts.append(float(slope @ mean / (slope @ slope)))  # one Gauss-Newton step from the truth
    return float(np.std(shifts)), Optics((1.0, 1.0, 1.0), sigma_px, noise, correlation_px), across**2 * 1.0


def test_least_squares_reaches_the_cramer_rao_bound_in_white_noise() -> None:
    scatter, scan, area = located(1.2, 0.0, 400)
    bound = scan.face_bound_mm(50.0, area, axis=0)
    # an efficient estimator; 400 draws give its scatter to 3.5 %
    assert scatter == pytest.approx(bound, rel=0.12)


def test_nothing_beats_the_bound_in_correlated_noise() -> None:
    scatter, scan, area = located(1.5, 0.8, 400)
    bound = scan.face_bound_mm(50.0, area, axis=0)
    white = Optics(scan.voxel_mm, scan.blur_mm, scan.noise).face_bound_mm(50.0, area, axis=0)
    assert 0.9 * bound < scatter < 1.6 * bound
    assert bound > 2 * white  # noise that hangs together does not average out


def test_bound_for_white_noise_has_its_closed_form() -> None:
    # u = (s / A) sqrt(2 sqrt(pi) sigma V / S) where the blur is well above the voxel
    scan = Optics((0.01, 0.02, 0.02), 0.05, 2.0)
    assert scan.face_bound_mm(80.0, 3.0, axis=0) == pytest.approx(
        2 / 80 * math.sqrt(2 * math.sqrt(math.pi) * 0.05 * 0.01 * 0.02 * 0.02 / 3), rel=0.02
    )


# --- from cases to findings --------------------------------------------------------------------------------

HEADER = {
    "schema": run.SCHEMA,
    "ensemble": Ensemble().identity(),
    "software": {},
    "engine_sha256": "0",
    "plugins": [],
}


def invented(index: int, errors: dict[str, float], u_voxels: float, **changes: Any) -> dict[str, Any]:
    """A case whose measurements are off by ``errors`` (in voxels), all with the same expanded uncertainty."""
    case = Ensemble().case(2)  # a sound cell, imaged as published
    spec = {**case.spec.to_dict(), **changes.pop("spec", {})}
    scale_error = changes.pop("scale_error", 0.0)
    measurements = {}
    for name in COVERED:
        voxel = 1.0 if "deflection" in name else spec["voxel_size_mm"][0 if "overhang" in name else 2]
        truth = 0.0 if name in ("canister.dent_depth", "winding.core_collapse") else 7.5
        value = (truth + errors.get(name, 0.0) * voxel) * (1 if "deflection" in name else 1 + scale_error)
        measurements[name] = {
            "unit": "deg" if "deflection" in name else "mm",
            "truth": truth,
            "value": value,
            "standard_uncertainty": u_voxels * voxel / 2,
            "expanded_uncertainty": u_voxels * voxel,
            "worst_at": {"theta_deg": 0.0},
            "budget": [
                {"source": "voxel scale", "contribution": 0.3 * u_voxels * voxel},
                {"source": "edge noise", "contribution": 0.4 * u_voxels * voxel},
            ],
        }
    return {
        "index": index, "kind": "published", "group": None, "unfit": None, "scale_error": scale_error,
        "spec": spec, "straight_mm": [0.0, 2.0], "cathode_sigma_mm": 0.001, "measurements": measurements,
        "judged": {"verdict": "PASS", "reasons": [], "rejections": [], "checks": {}, "limits": {}},
        **changes,
    }  # fmt: skip


def criterion(found: dict[str, Any], name: str) -> bool | None:
    return {c["id"]: c["holds"] for c in found["criteria"]}[name]


def test_error_leaves_the_told_scale_out_and_the_interval_leaves_it_in() -> None:
    row = invented(0, {"canister.outer_diameter": 0.25}, 1.0, scale_error=0.001)
    assert error("canister.outer_diameter", row) == pytest.approx(0.25)
    assert half_width("canister.outer_diameter", row) == pytest.approx(1.0)
    # 7.5 mm are off by 7.5 um for the scale and 8.5 um for the edge, against a U of 34 um
    assert covered("canister.outer_diameter", row) is True
    far = invented(0, {"canister.outer_diameter": 0.95}, 1.0, scale_error=0.001)
    assert covered("canister.outer_diameter", far) is False


@pytest.mark.parametrize(
    ("sigma", "holds"), [(0.5, True), (1.0, False), (0.1, False)], ids=["honest", "too small", "too wide"]
)
def test_coverage_is_held_against_its_range(sigma: float, holds: bool) -> None:
    rng = np.random.default_rng(1)
    names = [name for name in COVERED if name not in ("canister.dent_depth", "winding.core_collapse")]
    rows = [invented(i, {name: sigma * rng.standard_normal() for name in names}, 0.98) for i in range(300)]
    found = find(rows, HEADER)
    for name in names:
        assert criterion(found, f"coverage: {name}") is holds, found["measurements"][name]["coverage"]


def test_bias_is_held_against_its_limit() -> None:
    rng = np.random.default_rng(2)
    for bias, holds in ((0.01, True), (0.05, False)):
        rows = [
            invented(i, {"canister.outer_diameter": bias + 0.01 * rng.standard_normal()}, 1.0)
            for i in range(30)
        ]
        assert criterion(find(rows, HEADER), "bias: canister.outer_diameter") is holds


def test_one_false_alarm_is_enough() -> None:
    rows = [invented(i, {}, 0.1) for i in range(200)]
    found = find(rows, HEADER)
    assert criterion(found, "false alarms: negative overhang") is True
    assert found["false_alarms"]["negative overhang"]["upper"] == pytest.approx(0.0149, abs=1e-4)
    assert criterion(find(rows[:30], HEADER), "false alarms: negative overhang") is None  # bounds 10 %
    rows[3] = invented(3, {"overhang.length.min": -7.5 / rows[3]["spec"]["voxel_size_mm"][0] - 0.1}, 0.1)
    found = find(rows[:30], HEADER)
    assert criterion(found, "false alarms: negative overhang") is False
    assert found["false_alarms"]["negative overhang"]["cases"] == [3]
    assert found["holds"] is False


def test_the_bound_is_held_against_the_noise_alone() -> None:
    found = find([invented(i, {}, 0.1) for i in range(3)], HEADER)["bounds"]["overhang.length.mean"]
    assert found["stated"] == pytest.approx(0.1)
    assert found["noise"] == pytest.approx(1.96 * 0.04, rel=1e-3)
    assert found["without_scale"] == pytest.approx(found["noise"])  # no line but scale and noise
    assert found["ratio"] == pytest.approx(found["noise"] / found["bound"])


def test_a_dent_found_elsewhere_is_not_found() -> None:
    dent = {
        "theta_deg": 120.0,
        "depth_mm": 0.1,
        "width_mm": 3.0,
        "height_mm": 1.0,
        "out_mm": -1.0,
        "end": "top",
    }
    row = invented(0, {}, 0.1, spec={"dents": [dent]})
    entry = row["measurements"]["canister.dent_depth"]
    entry.update(truth=0.1, value=0.1, worst_at={"theta_deg": 125.0})
    assert fault_found("dent", row) == (pytest.approx(0.1 / 0.034), True)
    entry["worst_at"] = {"theta_deg": 300.0}
    assert fault_found("dent", row) == (pytest.approx(0.1 / 0.034), False)
    entry.update(value=None, U=None)
    assert fault_found("dent", row) == (pytest.approx(0.1 / 0.034), False)


def test_a_judged_scan_that_should_be_refused_does_not_hold() -> None:
    rows = [invented(i, {}, 0.1) for i in range(5)]
    rows.append(invented(5, {}, 0.1, unfit="coarse"))
    assert criterion(find(rows, HEADER), "unfit scans are refused") is False
    rows[-1]["judged"]["verdict"] = "SCAN_REJECTED"
    assert criterion(find(rows, HEADER), "unfit scans are refused") is True
    assert criterion(find(rows, HEADER), "for the right reason") is False
    rows[-1]["judged"]["rejections"] = ["voxels of 0.12 mm cannot show two layers in a turn"]
    assert criterion(find(rows, HEADER), "for the right reason") is True


def test_a_case_that_crashed_is_told_and_does_not_hold() -> None:
    rows = [invented(i, {}, 0.1) for i in range(5)]
    rows.append({"index": 5, "kind": "mixed", "error": "Traceback: <oops>", "measurements": {}})
    found = find(rows, HEADER)
    assert found["holds"] is False
    html = render(found)
    assert "&lt;oops&gt;" in html
    assert "<oops>" not in html


# --- running -----------------------------------------------------------------------------------------------


def pretend(ensemble: Ensemble, index: int) -> dict[str, Any]:
    return {"index": index, "kind": ensemble.case(index).kind}


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "work", pretend)
    ensemble, out = Ensemble(9), tmp_path / "out"
    assert run.prepare(out, HEADER) == {}
    cases = run.run_cases(ensemble, range(6), out)
    assert [next(cases)["index"] for _ in range(3)] == [0, 1, 2]
    cases.close()
    with (out / run.CASES_NAME).open("a", encoding="utf-8") as file:
        file.write('{"index": 3, "ki')  # what a kill in the middle of a line leaves
    held = run.prepare(out, HEADER)
    assert sorted(held) == [0, 1, 2]
    list(run.run_cases(ensemble, [i for i in range(6) if i not in held], out))
    assert sorted(run.prepare(out, HEADER)) == [0, 1, 2, 3, 4, 5]


def test_cases_of_another_ensemble_or_software_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run.prepare(out, HEADER)
    with pytest.raises(OutputError, match="another ensemble"):
        run.prepare(out, {**HEADER, "ensemble": Ensemble(2).identity()})
    with pytest.raises(OutputError, match="other software"):
        run.prepare(out, {**HEADER, "engine_sha256": "1"})
    assert run.prepare(out, {**HEADER, "engine_sha256": "1"}, replace=True) == {}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not lose this")
    with pytest.raises(OutputError, match="something else"):
        run.prepare(tmp_path / "mine", HEADER, replace=True)


def test_a_bug_in_one_case_does_not_lose_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from xctrules.campaigns.validation import measuring

    def broken(case: Any) -> Any:
        raise ZeroDivisionError("no such luck")

    monkeypatch.setattr(measuring, "measure_case", broken)
    row = run.work(Ensemble(), 0)
    assert "no such luck" in row["error"]
    assert str(Path.cwd()) not in row["error"]
