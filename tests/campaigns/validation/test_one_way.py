"""What ``xctrules validate`` measures of a phantom is what ``xctrules inspect`` measures of its files.

A dozen hard scans, each drawn once: measured as a case of the validation, and written to disk and inspected
as anybody would, with the case's spec as a file and the voxel size that the case is told. Whatever the
inspection withholds, waives or rejects must be missing from the validation as well, for the same reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest

import xctrules
from xctrules.campaigns.validation import measuring
from xctrules.campaigns.validation.campaign import Campaign, Wanted, open_campaign
from xctrules.campaigns.validation.case_spec import case_spec_text
from xctrules.core.canonical import canonical_bytes
from xctrules.core.validation import Case, JudgedBy
from xctrules.cylinder.phantom import (
    Dent,
    Imaging,
    NegativeOverhang,
    Phantom,
    PhantomSpec,
    Tab,
    draw,
    small,
)
from xctrules.cylinder.phantom.source import CylinderPhantoms
from xctrules.engine.registry import Provided

Happens = Literal["measured", "withheld", "rejected", "no cell"]

low = partial(
    small,
    turns=5.0,
    outer_diameter_mm=6.5,
    roll_in_view_mm=1.0,
    beyond_mm=1.0,
    voxel_size_mm=(0.08, 0.045, 0.045),
)
"""A cell with few turns, and as little of it in view as still shows an end: seconds go with the voxels."""

HARD: dict[str, tuple[Happens, PhantomSpec]] = {
    "ring-heavy": ("withheld", low(imaging=Imaging(rings=0.04))),
    "more rings than layers": ("rejected", low(imaging=Imaging(rings=0.12))),
    "faint rings and cupping": ("measured", low(imaging=Imaging(rings=0.005, cupping=0.1))),
    "drowned in noise": (
        "rejected",
        low(imaging=Imaging(noise=1.2, dtype="uint16", grey_offset=30000.0)),
    ),
    "noisy": ("rejected", low(imaging=Imaging(noise=0.12, noise_correlation_px=0.5))),
    "coarse": ("rejected", small(roll_in_view_mm=1.2, voxel_size_mm=(0.12, 0.12, 0.12))),
    "cut off": ("no cell", low(field_of_view_mm=4.5)),
    "saturated": ("rejected", low(imaging=Imaging(grey_scale=4.5))),
    "tilted, bottom first": (
        "measured",
        low(tilt_deg=2.5, view="bottom", slice_order="bottom_to_top", ovality_mm=0.1),
    ),
    "tab, attenuation": (
        "measured",
        low(
            outer_diameter_mm=6.7,
            tabs=(Tab(turn=2, width_mm=1.0),),
            imaging=Imaging(dtype="float32", grey_scale=0.004),
        ),
    ),
    "negative overhang": (
        "measured",
        low(negative_overhangs=(NegativeOverhang(turn=3, length_mm=-0.2),)),
    ),
    "dent under a sleeve": (
        "measured",
        low(dents=(Dent(depth_mm=0.15, width_mm=3.0, height_mm=1.2, out_mm=-0.5),), sleeve_mm=0.07),
    ),
    "no end in view": ("measured", low(view="roll")),
}
SCALE_ERRORS = {"faint rings and cupping": 0.002, "saturated": -0.0015, "no end in view": 0.0012}


class OnceDrawn(CylinderPhantoms):
    """Draws the cases of this test, which were drawn before."""

    def __init__(self, phantom: Phantom) -> None:
        self.phantom = phantom

    def draw_case(self, case: Case) -> Phantom:
        return self.phantom


def case_of(index: int, spec: PhantomSpec, scale_error: float = 0.0, rules_of: str = "21700") -> Case:
    """A case that is judged by all rules of a spec."""
    return Case(
        index=index,
        kind="hard",
        drawn=spec.to_dict(),
        voxel_mm=spec.voxel_size_mm,
        nominal_mm={"outer_diameter": spec.outer_diameter_mm},
        judged_by=JudgedBy(rules_of, upper_limits={"canister.outer_diameter": spec.outer_diameter_mm + 0.02}),
        scale_error=scale_error,
    )


def happened(record: dict[str, Any]) -> Happens:
    """What became of a scan, by its record alone."""
    states = record["measurements"].values()
    if record["verdict"] == "SCAN_REJECTED":
        return "rejected"
    if not any(entry["status"] == "measured" for entry in states):
        return "no cell"
    unmet = any("the scan is not good enough" in str(entry["reason"]) for entry in states)
    return "withheld" if unmet else "measured"


def both_ways(
    case: Case, phantom: Phantom, campaign: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Measure a case and inspect its files; they must be the same, byte for byte. The inspection's record."""
    records: list[dict[str, Any]] = []

    def kept(*args: Any, **options: Any) -> dict[str, Any]:
        records.append(record_of(*args, **options))
        return records[-1]

    record_of = measuring.record_of
    monkeypatch.setattr(measuring, "record_of", kept)
    once = replace(campaign, provided=Provided("the test", OnceDrawn(phantom)))
    row = measuring.measure_case(case, once)

    spec = tmp_path / f"case-{case.index}.yaml"
    spec.write_text(case_spec_text(case, campaign.registry), encoding="utf-8")
    wanted = campaign.wanted
    shipped = dict(
        xctrules.inspect(
            phantom.write(tmp_path / "scan"),
            spec,
            voxel_size_mm=case.told_voxel_mm,
            plugins_dir=wanted.plugins_dir,
            third_party=wanted.plugins_dir is not None,
        ).record
    )
    for part in ("measurements", "checks", "verdict", "reasons", "rejections", "scope"):
        assert canonical_bytes(records[0][part]) == canonical_bytes(shipped[part]), part
    told = {
        name: {key: value for key, value in entry.items() if key != "truth"}
        for name, entry in row["measurements"].items()
    }
    assert canonical_bytes(told) == canonical_bytes(shipped["measurements"])
    assert canonical_bytes(row["judged"]) == canonical_bytes(measuring.judged(shipped))
    return shipped


@pytest.fixture(scope="module")
def campaign() -> Iterator[Campaign]:
    with open_campaign(Wanted("cylindrical")) as opened:
        yield opened


@pytest.mark.parametrize("name", HARD)
def test_validate_and_inspect_say_the_same(
    name: str, campaign: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, spec = HARD[name]
    index = list(HARD).index(name)
    case = case_of(index, spec, SCALE_ERRORS.get(name, 0.0))
    record = both_ways(case, draw(spec), campaign, tmp_path, monkeypatch)
    # a case from which nothing is withheld any more would not see a gate that the validation leaves out
    assert happened(record) == expected


def test_a_third_of_the_cases_and_more_is_withheld_or_refused() -> None:
    assert 3 * sum(expected != "measured" for expected, _ in HARD.values()) >= len(HARD)
    assert {expected for expected, _ in HARD.values()} == {"measured", "withheld", "rejected", "no cell"}


SURE = """\
from dataclasses import replace
from pathlib import Path

from xctrules import hookimpl
from xctrules_segmentation.classical import ClassicalSegmenter

class Sure(ClassicalSegmenter):
    name = "sure"

    def segment(self, cell):
        waives = {"screening.layer_separation": "the layers were told apart otherwise"}
        return replace(super().segment(cell), waives=waives)

@hookimpl
def xctrules_segmenters():
    return [Sure()]

@hookimpl
def xctrules_spec_folders():
    return [Path(__file__).parent / "specs"]
"""


def test_what_is_waived_for_the_one_is_waived_for_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = tmp_path / "plugins" / "sure"
    (plugin / "specs").mkdir(parents=True)
    (plugin / "__init__.py").write_text(SURE)
    (plugin / "specs" / "sure.yaml").write_text(
        'schema: xctrules.spec/1\nname: sure\nversion: "1"\nextends: "21700"\nsegmenter: sure\n'
    )
    spec = HARD["noisy"][1]
    with open_campaign(Wanted("cylindrical", plugins_dir=plugin.parent)) as campaign:
        record = both_ways(case_of(99, spec, rules_of="sure"), draw(spec), campaign, tmp_path, monkeypatch)
    # the same scan is rejected where its layers' separation counts, see above
    assert happened(record) == "measured"
