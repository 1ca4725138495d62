"""What a rule is judged from: the rule, the quantity that it is about, the circumstances of the scan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from xctrules.core import wording
from xctrules.core.names import is_length, joins_places, place_of, places_in_view
from xctrules.rules.deciding import decide, margin, within
from xctrules.rules.probability import probability_of_conformity
from xctrules.rules.quantity import Quantity


def iter_limits(rule: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(``min`` or ``max``, limit) of a resolved rule, for the limits that it has."""
    for key in ("min", "max"):
        if rule.get(key) is not None:
            yield key, rule[key]


@dataclass(frozen=True)
class Case:
    """One rule of the resolved spec beside the quantity that it is about."""

    rule: Mapping[str, Any]
    quantity: Quantity

    @classmethod
    def of(cls, rule: Mapping[str, Any], entry: Mapping[str, Any] | None) -> Case:
        """From the rule and the measurement's entry in the record; ``None`` where there is no entry."""
        name, unit = rule["measurement"], rule["unit"]
        if entry is None:
            return cls(rule, Quantity(name, unit, None, problem="no plugin measured it"))
        quantity = Quantity.of(name, entry)
        if quantity.problem is None and quantity.unit != unit:
            problem = f"its plugin gave it in {quantity.unit!r}, the limit is in {unit!r}"
            quantity = Quantity(name, unit, None, problem=problem)
        return cls(rule, quantity)

    @property
    def title(self) -> str:
        return str(self.rule["title"])

    @property
    def unit(self) -> str:
        return str(self.rule["unit"])

    @property
    def decision_rule(self) -> str:
        """The decision rule that the spec asks for."""
        return str(self.rule["decision_rule"])

    @property
    def low(self) -> float | None:
        return self._limit("min")

    @property
    def high(self) -> float | None:
        return self._limit("max")

    def _limit(self, key: str) -> float | None:
        return None if self.rule[key] is None else float(self.rule[key]["value"])

    @property
    def nearest_limit(self) -> Mapping[str, Any]:
        """The limit nearer to the value; the last one where there is no value."""
        limits = [limit for _, limit in iter_limits(self.rule)]
        value = self.quantity.value
        if value is None:
            return limits[-1]
        return min(limits, key=lambda limit: abs(float(limit["value"]) - value))

    @property
    def status(self) -> str:
        """Status of the limits: ``indicative`` as soon as one of them is."""
        statuses = [str(limit["status"]) for _, limit in iter_limits(self.rule)]
        return "indicative" if "indicative" in statuses else statuses[-1]

    @property
    def value(self) -> float:
        """The value, where there is one."""
        assert self.quantity.value is not None
        return self.quantity.value

    @property
    def stated_guard_band(self) -> float | None:
        """Width of the guard band that the rule itself states."""
        stated = self.rule.get("guard_band")
        return None if stated is None else float(stated)

    @property
    def guard_band(self) -> float:
        """Width w of the guard band: the one stated, else the expanded uncertainty."""
        stated = self.stated_guard_band
        return self.quantity.expanded_uncertainty if stated is None else stated

    @cached_property
    def probability(self) -> float:
        """Probability of conformity to this rule alone (JCGM 106)."""
        return probability_of_conformity(self.value, self.quantity.standard_uncertainty, self.low, self.high)

    @property
    def inside(self) -> bool:
        return within(self.value, self.low, self.high)

    @property
    def margin(self) -> float:
        """Distance to the nearer limit, positive inside."""
        return margin(self.value, self.low, self.high)

    def decided(self, decision_rule: str) -> str:
        """The outcome by value, limits and uncertainty alone."""
        return decide(decision_rule, self.value, self.low, self.high, self.guard_band, self.probability)


@dataclass(frozen=True)
class Circumstances:
    """What all rules of one cell have in common.

    Attributes
    ----------
    resolved
        The resolved spec.
    scope
        What was seen, as in the record.
    scale_stated
        Whether the uncertainty of the voxel scale was stated.
    open_points
        Why it is not known whether all of the cell, or the scan, is sound: one sentence each.
    calibration_lacks
        What is not told of the calibration behind a stated uncertainty of the voxel scale.
    names
        Names of all measurements.
    """

    resolved: Mapping[str, Any]
    scope: Mapping[str, Any]
    scale_stated: bool
    open_points: tuple[str, ...] = ()
    calibration_lacks: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()

    @cached_property
    def _in_view(self) -> Mapping[str, bool | None]:
        return places_in_view(self.scope)

    @property
    def missing_places(self) -> tuple[str, ...]:
        """Places that the spec wants and the scan is not known to show."""
        return tuple(place for place, seen in self._in_view.items() if not seen) if self._whole else ()

    @property
    def nothing_told(self) -> bool:
        """Whether the spec wants the whole cell, and nothing tells which places of it were seen."""
        return self._whole and not self._in_view

    def place_text(self, places: Sequence[str]) -> str:
        """Places in words: ``the bottom end``, ``the top and bottom end``."""
        return f"the {wording.joined(places)} {self.scope.get('place_noun', 'end')}"

    def left_out(self, name: str) -> str | None:
        """The place, in words, that a measurement is about and that the spec lets the scan leave out."""
        place = place_of(name, self._in_view)
        if self._whole or place is None or self._in_view[place] is not False:
            return None
        return self.place_text([place])

    def may_be_worse(self, name: str) -> bool:
        """Whether a measurement takes all places together, of which one that is wanted was not seen."""
        return bool(self.missing_places) and joins_places(name, self.names, self._in_view)

    def scale_assumed(self, case: Case) -> bool:
        """Whether a case hangs on a voxel scale whose uncertainty nobody stated."""
        return is_length(case.unit) and not self.scale_stated

    def caps(self, case: Case, decision_rule: str) -> list[str]:
        """Why a rule can do no better than CONDITIONAL_PASS: each with what would cure it."""
        caps = []
        if self.scale_assumed(case):
            caps.append(
                "the uncertainty of the voxel scale is assumed, not stated "
                "(cure: voxel_scale_relative_uncertainty in acquisition.yaml)"
            )
        if case.status == "indicative":
            caps.append("its limit is indicative (cure: a limit from a drawing, datasheet or standard)")
        if not case.quantity.has_budget and case.unit != "1" and decision_rule != "simple":
            # A guard band of zero would reward a plugin for not stating its uncertainty.
            caps.append("its plugin states no uncertainty (cure: a budget)")
        return caps

    @property
    def _whole(self) -> bool:
        return self.resolved.get("scope") == "whole"
