"""Synthetic cylindrical cells as the engine asks for them: by the options of ``xctrules phantom``, or as the
cases of ``xctrules validate``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xctrules.core.protocols import DrawnPhantom, Option
from xctrules.core.validation import Case, CaseFacts, Ensemble, Row
from xctrules.core.voxel_size import parse_voxel_size
from xctrules.cylinder.frame import GEOMETRY
from xctrules.cylinder.phantom import Phantom, adversaries, case_facts, draw, spec_from_options
from xctrules.cylinder.phantom import ensemble as cases
from xctrules.cylinder.phantom.named_faults import with_faults
from xctrules.cylinder.phantom.spec import CHEMISTRIES, PRESETS
from xctrules.cylinder.phantom.targets import TARGETS
from xctrules.cylinder.surfaces import Segmentation


class CylinderPhantoms:
    """Draws cylindrical cells with chosen faults, and ensembles of them."""

    geometry = GEOMETRY
    targets = TARGETS
    formats: Sequence[str] = tuple(PRESETS)
    options: Sequence[Option] = (
        Option(
            "view", str, "part of the cell that is scanned",
            choices=("top", "bottom", "both", "roll", "slice"),
        ),
        Option("voxel_size", str, "voxel size in mm, z first: Z,Y,X"),
        Option("roll_in_view", float, "height of roll that is in view", unit="mm"),
        Option("turns", float, "turns of the copper foil"),
        Option("overhang", float, "mean overhang", unit="mm"),
        Option(
            "negative_overhang", float, "one overhang that is negative by so much, over 20 degrees", unit="mm"
        ),
        Option("dent", float, "depth of one dent in the can", unit="mm"),
        Option("tilt", float, "tilt of the cell in the scan", unit="deg"),
        Option("buckle", float, "depth of a collapse of the core", unit="mm"),
        Option("ovality", float, "major minus minor axis of the can", unit="mm"),
        Option("tab", bool, "weld a tab to the cathode", default=False),
        Option("pin", bool, "put a centre pin into the core", default=False),
        Option("tabs", int, "tabs welded to the cathode, each a turn further out", low=0, high=20),
        Option("chemistry", str, "greys of layered oxides, or of iron phosphate", choices=tuple(CHEMISTRIES)),
        Option("pitch", float, "radial advance of each turn; the coatings follow", unit="mm"),
        Option("core_radius", float, "radius of the copper's inner end", unit="mm"),
        Option("diameter", float, "outer diameter of the can", unit="mm"),
        Option("handedness", int, "1: wound outward with growing angle; -1: the other way", low=-1, high=1),
        Option(
            "fault", str, "faults, separated by semicolons: NAME:SIZE,KEY=VALUE (docs/phantoms.md lists them)"
        ),
        Option("noise", float, "noise, as a share of the cathode's grey"),
        Option("blur", float, "standard deviation of the blur", unit="voxels"),
        Option("bits", int, "8, 16, or 32 for floating point"),
        Option(
            "formation", str, "paint the image, or project X-rays through the cell and reconstruct (minutes)",
            default="painted", choices=("painted", "projected"),
        ),
        Option("seed", int, "seed of noise and variation"),
    )  # fmt: skip

    def draw(self, format: str, values: Mapping[str, Any]) -> Phantom:
        """Draw a cell of one of :attr:`formats`; faults take a middling place."""
        units = {
            "overhang": "overhang_mm", "negative_overhang": "negative_overhang_mm", "dent": "dent_mm",
            "tilt": "tilt_deg", "buckle": "buckle_mm", "ovality": "ovality_mm", "blur": "blur_px",
            "voxel_size": "voxel_size_mm", "roll_in_view": "roll_in_view_mm", "pitch": "pitch_mm",
            "core_radius": "core_radius_mm", "diameter": "diameter_mm",
        }  # fmt: skip
        faults = str(values.get("fault") or "")
        values = {name: value for name, value in values.items() if name != "fault"}
        named = {units.get(name, name): value for name, value in values.items()}
        named["voxel_size_mm"] = parse_voxel_size(values.get("voxel_size"))
        return draw(with_faults(spec_from_options(format, **named), faults))

    def identity(self, ensemble: Ensemble) -> dict[str, Any]:
        """What must agree for cases to belong to the same ensemble."""
        return cases.identity(ensemble)

    def case(self, ensemble: Ensemble, index: int) -> Case:
        """Case ``index`` of an ensemble."""
        return cases.case_of(ensemble, index)

    def adversary(self, ensemble: Ensemble, index: int) -> Case:
        """Case ``index`` of the adversarial ensemble."""
        return adversaries.case_of(ensemble, index)

    def adversaries_identity(self) -> dict[str, Any]:
        """What must agree for adversarial cases to belong to the same ensemble."""
        return adversaries.identity()

    def draw_case(self, case: Case) -> Phantom:
        """Draw a case."""
        return cases.draw_case(case)

    def noted(self, phantom: DrawnPhantom, found: Segmentation | None) -> dict[str, Any]:
        """What :meth:`facts` needs beside what was drawn."""
        return case_facts.noted(phantom, found)

    def facts(self, row: Row) -> CaseFacts:
        """What the validation's figures need to know of a case."""
        return case_facts.facts(row)
