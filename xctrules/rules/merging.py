"""A spec and the specs that it extends, merged into one: nominal dimensions, rules, and studies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xctrules.core.errors import SpecError, StudyError
from xctrules.core.wording import did_you_mean
from xctrules.rules.deciding import GUARDED_RULES
from xctrules.rules.spec_file import BudgetEntry, Document, LimitEntry, RuleEntry, Source
from xctrules.rules.study_files import Study

FindStudy = Callable[[BudgetEntry, Source, str], Study]
"""Gives the study that an entry of a spec names; the last argument is ``file:line`` for errors."""

_DEFAULTS = {
    "geometry": "cylindrical",
    "scope": "in_view",
    "segmenter": None,
    "decision_rule": "guarded",
    "includes_sleeve": None,
}


@dataclass(frozen=True)
class Known:
    """Measurements that may be asked for.

    ``units`` maps them to their units. ``open_ended``: a plugin could not be loaded, so that a measurement
    whose first word no known one has is taken to be that plugin's.
    """

    units: Mapping[str, str]
    open_ended: bool = False

    @classmethod
    def of(cls, units: Mapping[str, str] | None, open_ended: bool = False) -> Known:
        """From what the plugins declare; where nobody was asked, any measurement may be another plugin's."""
        return cls({}, open_ended=True) if units is None else cls(units, open_ended)

    def may_be_another_plugins(self, name: str) -> bool:
        families = {other.partition(".")[0] for other in self.units}
        return self.open_ended and name.partition(".")[0] not in families

    def refuse_unknown(self, name: str, where: str) -> None:
        """Raise SpecError for a measurement that nobody declares."""
        if name not in self.units and not self.may_be_another_plugins(name):
            raise SpecError(
                f"unknown measurement {name!r}{did_you_mean(name, self.units)}",
                where=where,
                todo="See `xctrules plugins` for what the installed plugins measure.",
            )


def merged(chain: Sequence[Document], find_study: FindStudy, known: Known) -> dict[str, Any]:
    """The resolved spec, as :class:`xctrules.rules.cellspec.CellSpec` describes it.

    Parameters
    ----------
    chain
        The spec's file and those that it extends, nearest first.
    """
    own, settings = chain[0].entry, _settings(chain)
    resolved: dict[str, Any] = {
        "name": own.name,
        "version": own.version,
        "title": own.title or own.name,
        **settings,
        "nominal": _nominal(chain),
        "rules": _rules(chain, settings["decision_rule"], known),
    }
    identity = next((d.entry.identity for d in chain if d.entry.identity is not None), None)
    if identity is not None:
        resolved["identity"] = identity
    tabs = next((d.entry.tabs for d in chain if d.entry.tabs is not None), None)
    if tabs is not None:
        resolved["tabs"] = tabs.model_dump()
    if completeness := _completeness(chain):
        resolved["completeness"] = completeness
    if budgets := _budgets(chain, find_study, known):
        resolved["budgets"] = budgets
    return resolved


def _settings(chain: Sequence[Document]) -> dict[str, Any]:
    """Each setting from the nearest spec that gives it."""
    settings: dict[str, Any] = {}
    for key, default in _DEFAULTS.items():
        given = (getattr(document.entry, key) for document in chain)
        settings[key] = next((value for value in given if value is not None), default)
    return settings


def _completeness(chain: Sequence[Document]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for document in reversed(chain):
        merged |= {part: entry.model_dump() for part, entry in document.entry.completeness.items()}
    return merged


def _nominal(chain: Sequence[Document]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for document in reversed(chain):
        for key, entry in document.entry.nominal.items():
            if entry.source is None and entry.status != "indicative":
                raise SpecError(
                    f"nominal {key!r} has status {entry.status!r} but no source",
                    where=document.where("nominal", key),
                    todo="Add `source:`, or make its status indicative.",
                )
            merged[key] = entry.model_dump()
    return merged


# --- rules -----------------------------------------------------------------------------------------------


@dataclass
class _Rule:
    """A rule while it is put together from parent and child; ``places`` holds ``file:line`` by key."""

    id: str
    where: str
    values: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, dict[str, Any] | None] = field(default_factory=lambda: {"min": None, "max": None})
    places: dict[str, str] = field(default_factory=dict)


def _rules(chain: Sequence[Document], decision_rule: str, known: Known) -> list[dict[str, Any]]:
    rules: dict[str, _Rule] = {}
    for document in reversed(chain):
        _remove(rules, document)
        _lay_over(rules, document)
    return [_checked(rule, decision_rule, known) for rule in rules.values()]


def _remove(rules: dict[str, _Rule], document: Document) -> None:
    """Leave out the parent's rules that a file does not want (``rules`` is changed)."""
    for index, identifier in enumerate(document.entry.remove):
        if identifier not in rules:
            extends = document.entry.extends is not None
            hint = did_you_mean(identifier, rules) if extends else "; this spec extends no other"
            raise SpecError(
                f"there is no rule {identifier!r} to remove{hint}", where=document.where("remove", index)
            )
        del rules[identifier]


def _lay_over(rules: dict[str, _Rule], document: Document) -> None:
    """Lay a file's rules over those of its parent (``rules`` is changed)."""
    seen: dict[str, int] = {}
    for index, entry in enumerate(document.entry.rules):
        if entry.id in seen:
            raise SpecError(
                f"the rule {entry.id!r} is given twice (first in line {seen[entry.id]})",
                where=document.where("rules", index, "id"),
                todo="Give each rule its own id; one rule may have both min and max.",
            )
        seen[entry.id] = document.line("rules", index)
        _refuse_idle_source(entry, document, index)
        where = document.where("rules", index)
        rule = rules.setdefault(entry.id, _Rule(entry.id, where))
        rule.where = where
        _take_over(rule, entry, document, index)


def _take_over(rule: _Rule, entry: RuleEntry, document: Document, index: int) -> None:
    """What an entry says, into the rule (which is changed)."""
    given = entry.model_fields_set
    for key in ("title", "measurement", "unit", "severity", "decision_rule", "guard_band"):
        if key in given:
            rule.values[key] = getattr(entry, key)
            rule.places[key] = document.where("rules", index, key)
    if "measurement" in given and "unit" not in given:
        rule.values.pop("unit", None)  # another quantity: its unit must be said
    for key in ("min", "max"):
        if key in given:
            rule.limits[key] = _limit(entry, key, document, index)
            rule.places[key] = document.where("rules", index, key)


def _refuse_idle_source(entry: RuleEntry, document: Document, index: int) -> None:
    """A child that changes a source but no limit would seem to re-source a number that it does not show."""
    if {"source", "status"} & entry.model_fields_set and not {"min", "max"} & entry.model_fields_set:
        raise SpecError(
            f"rule {entry.id!r} gives a source or status but no limit that it belongs to",
            where=document.where("rules", index),
            todo="Repeat the limit (`min:` or `max:`) beside its source.",
        )


def _limit(entry: RuleEntry, key: str, document: Document, index: int) -> dict[str, Any] | None:
    given: LimitEntry | None = getattr(entry, key)
    if given is None:
        return None
    source = given.source or entry.source
    status = given.status or entry.status or "indicative"
    if source is None and status != "indicative":
        raise SpecError(
            f"rule {entry.id!r}: the limit {key} {given.value:g} has status {status!r} but no source",
            where=document.where("rules", index, key),
            todo="Add `source:` (the drawing's number, the datasheet), or make its status indicative.",
        )
    # No limit is taken over silently from a place that the reader cannot find.
    return {
        "value": float(given.value),
        "source": source,
        "status": status,
        "at": document.at("rules", index, key),
    }


def _checked(rule: _Rule, default_rule: str, known: Known) -> dict[str, Any]:
    """The rule as the record holds it, once it is known to make sense."""
    decision_rule = rule.values.get("decision_rule") or default_rule
    _check_quantity(rule, known)
    _check_limits(rule)
    _check_guard_band(rule, decision_rule)
    return {
        "id": rule.id,
        "title": rule.values.get("title") or rule.id.replace("-", " ").replace("_", " "),
        "measurement": rule.values["measurement"],
        "unit": rule.values["unit"],
        "min": rule.limits["min"],
        "max": rule.limits["max"],
        "severity": rule.values.get("severity") or "major",
        "decision_rule": decision_rule,
        "guard_band": rule.values.get("guard_band"),
    }


def _check_quantity(rule: _Rule, known: Known) -> None:
    """Refuse a rule whose measurement nobody knows, or knows in another unit."""
    name, unit = rule.values.get("measurement"), rule.values.get("unit")
    if name is None:
        raise SpecError(
            f"rule {rule.id!r} names no measurement",
            where=rule.where,
            todo="Add `measurement:`; in a spec that extends another, check the rule's id.",
        )
    known.refuse_unknown(name, rule.places["measurement"])
    wanted = known.units.get(name, unit)
    if unit is None:
        raise SpecError(
            f"rule {rule.id!r} has no unit", where=rule.where, todo=f"Add `unit: {wanted or 'mm'}`."
        )
    if unit != wanted:
        raise SpecError(
            f"rule {rule.id!r}: {name} is measured in {wanted!r}, not in {unit!r}",
            where=rule.places["unit"],
            todo=f"Write the limits in {wanted!r}.",
        )


def _check_limits(rule: _Rule) -> None:
    low, high = rule.limits["min"], rule.limits["max"]
    if low is None and high is None:
        raise SpecError(f"rule {rule.id!r} has no limit", where=rule.where, todo="Add `min:` or `max:`.")
    if low is not None and high is not None and low["value"] > high["value"]:
        raise SpecError(
            f"rule {rule.id!r}: min {low['value']:g} is above max {high['value']:g}",
            where=rule.places["min"],
            todo="Swap or correct them.",
        )


def _check_guard_band(rule: _Rule, decision_rule: str) -> None:
    if rule.values.get("guard_band") is not None and decision_rule not in GUARDED_RULES:
        raise SpecError(
            f"rule {rule.id!r}: a guard band has no effect under the decision rule {decision_rule!r}",
            where=rule.places["guard_band"],
            todo=f"Remove it, or use {' or '.join(GUARDED_RULES)}.",
        )


# --- studies ---------------------------------------------------------------------------------------------


def _budgets(chain: Sequence[Document], find_study: FindStudy, known: Known) -> list[dict[str, Any]]:
    """The studies that a spec and its parents name, each with its whole content."""
    nearest: dict[str, tuple[Document, int, BudgetEntry]] = {}
    for document in reversed(chain):
        nearest |= {entry.measurement: (document, index, entry) for index, entry in _own_budgets(document)}
    return [_budget(*named, find_study, known) for named in nearest.values()]


def _own_budgets(document: Document) -> Iterable[tuple[int, BudgetEntry]]:
    """(index, entry) of the studies that one file names: for each measurement one at most."""
    seen: dict[str, int] = {}
    for index, entry in enumerate(document.entry.budgets):
        if entry.measurement in seen:
            raise SpecError(
                f"two studies are named for {entry.measurement} (first in line {seen[entry.measurement]})",
                where=document.where("budgets", index),
                todo="Keep one of the two.",
            )
        seen[entry.measurement] = document.line("budgets", index)
        yield index, entry


def _budget(
    document: Document, index: int, entry: BudgetEntry, find_study: FindStudy, known: Known
) -> dict[str, Any]:
    name = entry.measurement
    known.refuse_unknown(name, document.where("budgets", index, "measurement"))
    where = document.where("budgets", index, "study")
    study = _found_study(find_study, entry, document, where)
    _check_study(study, entry, known.units.get(name, study.unit), where)
    return {
        "measurement": name,
        "bias": entry.bias,
        "at": document.at("budgets", index),
        "file": entry.study,
        "study": study.content,
    }


def _found_study(find_study: FindStudy, entry: BudgetEntry, document: Document, where: str) -> Study:
    """The study, or an error with the line of the spec that names it."""
    try:
        return find_study(entry, document.source, where)
    except StudyError as error:
        what = error.what if error.where in (None, where) else f"{error.where}: {error.what}"
        raise SpecError(what, where=where, todo=error.todo) from error


def _check_study(study: Study, entry: BudgetEntry, unit: str, where: str) -> None:
    """Refuse a study of something else, or one that does not say for which scans it holds."""
    what, todo = None, None
    if study.measurement != entry.measurement:
        what = f"the study {study.name} is of {study.measurement}, not of {entry.measurement}"
    elif study.unit != unit:
        what = f"the study {study.name} is in {study.unit!r}, {entry.measurement} in {unit!r}"
    elif entry.sha256 is not None and entry.sha256 != study.sha256:
        what = f"the study {study.name} has another sha256 ({study.sha256}) than this spec asks for"
        todo = "Find the study that the spec was written for, or approve this one by its sha256."
    elif study.file.valid.voxel_size_mm is None:
        what = f"the study {study.name} does not say at which voxel size it was made"
        todo = "Make it anew with --voxel-size: its result does not hold at any voxel size."
    elif entry.bias == "correct" and study.file.kind != "calibrated":
        what = f"the study {study.name} is of no calibrated part and knows no bias to correct"
        todo = "Remove `bias:`."
    if what is not None:
        raise SpecError(what, where=where, todo=todo)
