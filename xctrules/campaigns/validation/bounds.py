"""Stated uncertainties beside what noise and blur allow (the Cramér-Rao bound): medians over the cases.

In: scored cases and a geometry's targets. Out: plain figures for ``validation.json``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from xctrules.campaigns.validation.scored import ScoredCase
from xctrules.campaigns.validation.statistics import Z_95
from xctrules.core.measurement import VOXEL_SCALE
from xctrules.core.validation import Targets


def beside_bounds(cases: Sequence[ScoredCase], targets: Targets) -> dict[str, Any]:
    """What was stated, what of it is not the voxel scale, what is noise, and what noise and blur allow."""
    measurements = {name: _of_measurement(name, cases, targets) for name in targets.bounded}
    noise = {name: _of_noise(name, what, cases) for name, what in targets.bounded_noise.items()}
    return {**measurements, **noise}


def _of_measurement(name: str, cases: Sequence[ScoredCase], targets: Targets) -> dict[str, Any]:
    measured = [case for case in cases if math.isfinite(case.half_width(name))]
    noise = [case.part_of_half_width(name, targets.noise_lines.__contains__) for case in measured]
    return {
        "what": "half-width of the 95 % interval, voxels",
        "n": len(measured),
        "stated": _median([case.half_width(name) for case in measured]),
        "without_scale": _median(
            [case.part_of_half_width(name, lambda source: source != VOXEL_SCALE) for case in measured]
        ),
        **_noise_against(noise, [Z_95 * case.facts.least_voxels[name] for case in measured]),
    }


def _of_noise(name: str, what: str, cases: Sequence[ScoredCase]) -> dict[str, Any]:
    told = [case.facts for case in cases if name in case.facts.noise_voxels]
    noise = [facts.noise_voxels[name] for facts in told]
    return {
        "what": what,
        "n": len(told),
        "stated": None,
        "without_scale": None,
        **_noise_against(noise, [facts.least_voxels[name] for facts in told]),
    }


def _noise_against(noise: Sequence[float], bound: Sequence[float]) -> dict[str, Any]:
    ratios = [stated / least for stated, least in zip(noise, bound, strict=True)]
    return {"noise": _median(noise), "bound": _median(bound), "ratio": _median(ratios)}


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None
