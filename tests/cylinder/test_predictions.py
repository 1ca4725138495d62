"""What uncertainty a scan of a cylindrical cell can give: simple formulas that go the right way."""

from __future__ import annotations

import dataclasses
import math

import pytest

from xctrules.core.measurement import Scale
from xctrules.cylinder.predictions import ScanQuality, quality_of
from xctrules.cylinder.surfaces import CylinderSettings

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


def test_an_edge_is_known_as_well_as_its_noise_and_blur_allow() -> None:
    # Cramer-Rao, done as a sum over samples of the derivative of a blurred step instead of in closed form.
    spacing, blur, noise = 0.034, 0.03, 0.1
    x = [spacing * i for i in range(-50, 51)]
    slope = [math.exp(-0.5 * (v / blur) ** 2) / (blur * math.sqrt(2 * math.pi)) for v in x]
    bound = noise / math.sqrt(sum(s * s for s in slope))
    assert QUALITY.edge() == pytest.approx(bound, rel=0.15)  # the sum depends on where the samples lie


def test_a_diameter_is_limited_by_the_length_scale() -> None:
    got = QUALITY.predict("canister.outer_diameter", 21.2)
    assert got is not None
    assert got.expanded == pytest.approx(2 * 21.2 * 0.002, rel=0.05)


@pytest.mark.parametrize(
    "name",
    ["canister.outer_diameter", "canister.wall_thickness.min", "canister.dent_depth", "overhang.length.mean",
     "overhang.top.length.min", "overhang.deflection.std", "winding.pitch", "winding.core_collapse"],
)  # fmt: skip
def test_worse_scans_predict_more_uncertainty(name: str) -> None:
    base = EXACT_SCALE.predict(name, 1.0)
    noisy = dataclasses.replace(EXACT_SCALE, noise=0.3, can_noise=0.15).predict(name, 1.0)
    coarse = dataclasses.replace(EXACT_SCALE, voxel_mm=(0.136, 0.068)).predict(name, 1.0)
    assert base is not None and noisy is not None and coarse is not None
    assert 0 < base.expanded < noisy.expanded
    assert base.expanded < coarse.expanded


def test_one_overhang_is_less_well_known_than_their_mean() -> None:
    mean, least = (QUALITY.predict(f"overhang.length.{s}", 0.66) for s in ("mean", "min"))
    assert mean is not None and least is not None
    assert mean.expanded < least.expanded


def test_a_mask_has_no_noise_to_predict_from() -> None:
    @dataclasses.dataclass
    class Masked:
        settings: CylinderSettings

    why = quality_of(Masked(CylinderSettings(mask_of="canister")), {})  # type: ignore[arg-type]
    assert "mask" in str(why)
