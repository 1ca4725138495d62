"""The gate before measuring: what a metric needs, and whether a scan can decide a limit."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from xctrules.core.measurement import Measurement, Scale
from xctrules.core.names import Description
from xctrules.cylinder.phantom import draw, small
from xctrules.cylinder.predictions import ScanQuality
from xctrules.engine import fit_for_purpose
from xctrules.engine.fit_for_purpose import section, unmet_needs
from xctrules.engine.inspection import inspect

QUALITY = ScanQuality(
    voxel_mm=(0.068, 0.034),
    blur_mm=0.03,
    noise=0.1,
    can_noise=0.05,
    diameter_mm=21.2,
    height_mm=3.0,
    pitch_mm=0.384,
    angles=360,
    scale=Scale(0.002, stated=False),
)
EXACT_SCALE = dataclasses.replace(QUALITY, scale=Scale(0.0, stated=True))


KNOWN = {
    "canister.outer_diameter": Description("mm", nominal="outer_diameter"),
    "canister.dent_depth": Description("mm", zero_when_good=True),
}


def assess(
    rules: Sequence[Mapping[str, Any]], nominal: Mapping[str, float], quality: ScanQuality | str
) -> list[dict[str, Any]]:
    scale = Scale(0.002, stated=False) if isinstance(quality, str) else quality.scale
    return fit_for_purpose.assess(rules, nominal, KNOWN, quality, scale)


def figure(value: float | None, unit: str = "1") -> Measurement:
    if value is None:
        return Measurement.absent("screening.cnr", unit, "nothing to see")
    return Measurement("screening.cnr", unit, value=value)


def rule(measurement: str, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    def limit(v: float | None) -> dict[str, Any] | None:
        return None if v is None else {"value": v, "source": "drawn", "status": "drawing"}

    return {"id": "r", "measurement": measurement, "unit": "mm", "min": limit(low), "max": limit(high)}


# --- what a metric needs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "value", "met"),
    [
        ((3.0, None), 2.9, False),
        ((3.0, None), 3.0, True),
        ((None, 3.0), 3.0, True),
        ((None, 3.0), 3.1, False),
        ((1.0, 3.0), 2.0, True),
        ((1.0, 3.0), None, True),
        ((None, None), 1e9, True),
    ],
)
def test_needs(limits: tuple[float | None, float | None], value: float | None, met: bool) -> None:
    reason = unmet_needs({"screening.cnr": limits}, {"screening.cnr": figure(value)})
    assert (reason is None) == met
    if reason:
        assert "screening.cnr" in reason and f"{value:.3g}" in reason and "3" in reason


def test_needs_of_a_figure_that_nobody_gives_exclude_nothing() -> None:
    assert unmet_needs({"screening.cnr": (3.0, None)}, {}) is None
    assert unmet_needs({}, {"screening.cnr": figure(0.0)}) is None


PLUGIN = """
from xctrules import hookimpl
from xctrules import Contribution, Measurement, MetricResult


class Picky:
    name, title = "picky", "Picky"
    declares = {"picky.length": "mm"}
    needs = NEEDS

    def measure(self, cell):
        found = Measurement("picky.length", "mm", value=1.0, budget=(Contribution("noise", 0.1),))
        return MetricResult([found])


@hookimpl
def xctrules_metrics():
    return [Picky()]
"""

SPEC = """\
schema: xctrules.spec/1
name: small
version: "1"
title: small cell
geometry: cylindrical
nominal:
  outer_diameter: {value: 8.0, unit: mm, source: drawn, status: drawing}
rules:
  - {id: diameter, measurement: canister.outer_diameter, min: 7.9, max: 8.1, unit: mm, severity: critical,
     source: drawn, status: drawing}
"""


@pytest.fixture(scope="module")
def cell_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(small(roll_in_view_mm=0.8)).write(tmp_path_factory.mktemp("scan") / "cell")


@pytest.mark.parametrize(
    ("needs", "status"),
    [
        ('{"screening.snr": (1e6, None)}', "not_measured"),
        ('{"screening.snr": (1.0, None), "screening.resolution": (None, 1.0)}', "measured"),
        ('{"screening.snr": 3}', None),
    ],
)
def test_a_metric_is_not_run_on_a_scan_below_its_needs(
    tmp_path: Path, cell_folder: Path, needs: str, status: str | None
) -> None:
    (tmp_path / "picky.py").write_text(PLUGIN.replace("NEEDS", needs))
    (tmp_path / "small.yaml").write_text(SPEC)
    found = inspect(cell_folder, tmp_path / "small.yaml", plugins_dir=tmp_path, angles=72, third_party=True)
    if status is None:  # it is named as wrong, and the rest stands
        assert "picky.length" not in found.measurements
        assert any("needs" in failure["message"] for failure in found.record["failures"])
    else:
        assert found.measurements["picky.length"].status == status
    if status == "not_measured":
        assert "screening.snr" in str(found.measurements["picky.length"].reason)
    (fit,) = found.record["fitness"]
    assert fit["rule"] == "diameter" and fit["can_decide"] is True
    # The prediction is of the size of the budget that was found afterwards.
    found_out = found.measurements["canister.outer_diameter"].expanded_uncertainty
    assert found_out is not None
    assert 0.2 < fit["predicted_expanded_uncertainty"] / found_out < 5
    assert "Fit for purpose" in found.report_html


# --- can it decide? ----------------------------------------------------------------------------------------


def test_a_wide_tolerance_can_be_decided_and_a_narrow_one_cannot() -> None:
    wide, narrow = assess(
        [rule("canister.outer_diameter", 20.7, 21.7), rule("canister.outer_diameter", 21.19, 21.21)],
        {},
        QUALITY,
    )
    assert wide["can_decide"] is True and wide["cure"] is None
    assert narrow["can_decide"] is False and narrow["cure"]
    assert wide["room"] == pytest.approx(0.5) and narrow["room"] == pytest.approx(0.01)


def test_a_one_sided_limit_leaves_the_room_from_the_nominal_value() -> None:
    nominal = {"outer_diameter": 21.2}
    (entry,) = assess([rule("canister.outer_diameter", high=21.25)], nominal, QUALITY)
    assert entry["room"] == pytest.approx(0.05)
    assert entry["can_decide"] is False
    assert "calibrate" in entry["cure"]
    (good,) = assess([rule("canister.outer_diameter", high=21.25)], nominal, EXACT_SCALE)
    assert good["can_decide"] is True


def test_without_a_typical_value_it_says_from_where_on_it_decides() -> None:
    (entry,) = assess([rule("overhang.length.min", low=0.0)], {}, QUALITY)
    assert entry["can_decide"] is None and entry["room"] is None
    assert entry["predicted_expanded_uncertainty"] > 0
    assert "away from the limit" in entry["reason"]


@pytest.mark.parametrize("name", ["overhang.count", "acme.own_thing", "canister.tilt"])
def test_what_no_formula_covers_is_left_open(name: str) -> None:
    (entry,) = assess([rule(name, 0.0, 1.0)], {}, QUALITY)
    assert entry["can_decide"] is None and "no formula" in entry["reason"]


def test_following_the_cure_makes_the_scan_fit() -> None:
    limit = [rule("canister.outer_diameter", high=21.25)]
    nominal = {"outer_diameter": 21.2}
    (entry,) = assess(limit, nominal, QUALITY)
    match = re.search(r"to ([\d.]+) %", entry["cure"])
    assert match
    cured = dataclasses.replace(QUALITY, scale=Scale(float(match[1]) / 100 * 0.98, stated=True))
    assert assess(limit, nominal, cured)[0]["can_decide"] is True

    thin = [rule("canister.dent_depth", high=0.02)]
    (entry,) = assess(thin, nominal, EXACT_SCALE)
    assert entry["can_decide"] is False
    match = re.search(r"voxels of ([\d.]+) um along the axis and ([\d.]+) um", entry["cure"])
    assert match
    # Two digits are given: half a unit of the last one on the safe side.
    z, inplane = (float(v) / 1000 * 0.95 for v in match.groups())
    cured = dataclasses.replace(EXACT_SCALE, voxel_mm=(z, inplane), blur_mm=0.03 * inplane / 0.034)
    assert assess(thin, nominal, cured)[0]["can_decide"] is True


def test_no_quality_no_prediction_but_the_reason() -> None:
    for why in ("the roll is not in view", "the cell was not found"):
        (entry,) = assess([rule("winding.pitch", 0.3, 0.4)], {}, why)
        assert entry["can_decide"] is None and str(why) in entry["reason"]


def test_the_reports_section_shows_each_rule() -> None:
    assert section([]) is None
    shown = section(assess([rule("winding.pitch", 0.3, 0.4), rule("acme.x", 0, 1)], {}, QUALITY))
    assert shown is not None
    (table,) = shown["figures"]
    assert len(table["rows"]) == 2
