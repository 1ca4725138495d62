"""One case's values beside their truth: how far off, how wide the interval, whether it holds the truth.

In: a line of ``cases.jsonl`` and what its geometry says of it. Errors are in voxels for lengths, in the
measurement's own unit otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from xctrules.campaigns.validation.statistics import Z_95
from xctrules.core.names import LENGTH_UNIT
from xctrules.core.validation import CaseFacts, Place, Row

_UNIT_WORDS = {"1": "", "deg": "degree"}


@dataclass(frozen=True)
class ScoredCase:
    """A case that was measured."""

    row: Row
    facts: CaseFacts

    @property
    def index(self) -> int:
        """Its number in the ensemble."""
        return int(self.row["index"])

    def entry(self, name: str) -> Mapping[str, Any] | None:
        """A measurement as the record holds it, with its truth; ``None`` where the case has none of it."""
        found: Mapping[str, Any] | None = self.row["measurements"].get(name)
        return found

    def value(self, name: str) -> float | None:
        """The measured value; ``None`` where there is none."""
        entry = self.entry(name)
        return None if entry is None else entry.get("value")

    def truth(self, name: str) -> float | None:
        """What was drawn; ``None`` where the drawing has no such thing."""
        entry = self.entry(name)
        return None if entry is None else entry["truth"]

    def unit_word(self, name: str) -> str:
        """What one unit of the measurement's error is called."""
        unit = self.row["measurements"][name]["unit"]
        return "voxel" if unit == LENGTH_UNIT else _UNIT_WORDS.get(unit, str(unit))

    def one_unit(self, name: str) -> float:
        """One unit of the error, in the measurement's unit: a voxel for lengths."""
        return self.facts.voxel_mm[name] if self._is_length(name) else 1.0

    def error(self, name: str) -> float:
        """Value minus truth, without the told voxel size's own error; NaN if there is no value or truth."""
        value, truth = self.value(name), self.truth(name)
        if value is None or truth is None:
            return math.nan
        if self._is_length(name):
            value /= 1 + self.row["scale_error"]
        return float((value - truth) / self.one_unit(name))

    def half_width(self, name: str) -> float:
        """Expanded uncertainty; NaN where nothing was measured."""
        entry = self.entry(name)
        if entry is None or entry.get("value") is None or entry["expanded_uncertainty"] is None:
            return math.nan
        return float(entry["expanded_uncertainty"] / self.one_unit(name))

    def part_of_half_width(self, name: str, wanted: Callable[[str], bool]) -> float:
        """Half-width that the budget's lines from ``wanted`` sources would give by themselves."""
        lines = self.row["measurements"][name]["budget"]
        parts = [line["contribution"] for line in lines if wanted(line["source"])]
        return Z_95 * math.hypot(*parts) / self.one_unit(name)

    def covered(self, name: str) -> bool | None:
        """Whether the interval holds the truth, the told voxel size with its error left in.

        ``None`` where there is no interval: a value without uncertainty, such as a count, promises none.
        """
        entry, value, truth = self.entry(name), self.value(name), self.truth(name)
        if entry is None or value is None or truth is None or not entry["expanded_uncertainty"]:
            return None
        return bool(abs(value - truth) <= entry["expanded_uncertainty"] * (1 + 1e-9) + 1e-12)

    def lies_at(self, name: str, place: Place) -> bool:
        """Whether a measurement's worst place is where ``place`` says; anywhere will do for an empty one."""
        worst_at = (self.entry(name) or {}).get("worst_at") or {}
        return all(
            axis in worst_at and _distance(axis, worst_at[axis], middle) <= within
            for axis, (middle, within) in place.items()
        )

    def _is_length(self, name: str) -> bool:
        return bool(self.row["measurements"][name]["unit"] == LENGTH_UNIT)


def _distance(axis: str, a: float, b: float) -> float:
    """Between two values of a coordinate; those in degrees go round."""
    return abs((a - b + 180) % 360 - 180) if axis.endswith("_deg") else abs(a - b)
