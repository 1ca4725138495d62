"""Cases of a validation that were never measured, off by what a test asks for."""

from __future__ import annotations

from typing import Any

from xctrules.campaigns.validation.findings import find
from xctrules.campaigns.validation.folder import SCHEMA
from xctrules.campaigns.validation.scored import ScoredCase
from xctrules.core.validation import Ensemble, SpecLimit
from xctrules.cylinder.phantom.source import CylinderPhantoms
from xctrules.cylinder.phantom.targets import TARGETS

SOURCE = CylinderPhantoms()
LIMITS = (SpecLimit("21700", "canister.outer_diameter", "max", 21.25, "mm"),)


HEADER: dict[str, Any] = {
    "schema": SCHEMA,
    "ensemble": {"geometry": "cylindrical", "seed": 1, "short": False, "version": 1},
    "software": {"xctrules": "0", "source_sha256": "0"},
    "plugins": [],
}


def invented(index: int, errors: dict[str, float], u_voxels: float, **changes: Any) -> dict[str, Any]:
    """A case whose measurements are off by ``errors`` (in voxels), all with the same expanded uncertainty."""
    case = SOURCE.case(Ensemble(limits=LIMITS), 2)  # a sound cell, imaged as published
    spec = {**case.drawn, **changes.pop("spec", {})}
    scale_error = changes.pop("scale_error", 0.0)
    measurements = {}
    for name in TARGETS.covered:
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
        "spec": spec, "noted": {"straight_mm": [0.0, 2.0], "cathode_sigma_mm": 0.001},
        "measurements": measurements,
        "judged": {"verdict": "PASS", "reasons": [], "rejections": [], "checks": {}, "limits": {}},
        **changes,
    }  # fmt: skip


def scored(row: dict[str, Any]) -> ScoredCase:
    """A case beside what its geometry says of it."""
    return ScoredCase(row, SOURCE.facts(row))


def found_in(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of so many cases."""
    return find(rows, HEADER, TARGETS, SOURCE.facts)


def criterion(found: dict[str, Any], name: str) -> bool | None:
    """Whether a requirement holds."""
    return {c["id"]: c["holds"] for c in found["criteria"]}[name]
