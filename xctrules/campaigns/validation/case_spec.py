"""What one case is judged by: the nominal dimensions of the cell that was drawn, and a bundled spec's rules.

In: a case. Out: a cell-format spec, or its text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from xctrules.core.validation import Case, SpecLimit
from xctrules.engine.planning import spec_of
from xctrules.engine.registry import Registry
from xctrules.rules.case import iter_limits
from xctrules.rules.cellspec import CellSpec, parse_spec

_KEPT = ("id", "title", "measurement", "unit", "severity", "decision_rule", "guard_band")
"""What a rule keeps, beside its limits."""


def case_spec(case: Case, registry: Registry) -> CellSpec:
    """The spec of a case, read as a file of its text would be."""
    return parse_spec(
        case_spec_text(case, registry),
        file=f"case-{case.index}.yaml",
        known=registry.measurements,
        open_ended=bool(registry.not_loaded),
    )


def case_spec_text(case: Case, registry: Registry) -> str:
    """The same as the text of a spec file, for whoever inspects the case from outside.

    Raises
    ------
    SpecError
        When the spec whose rules judge the case cannot be read.
    """
    spec = spec_of(case.judged_by.spec, registry)
    values = {
        "schema": "xctrules.spec/1",
        "name": f"case-{case.index}",
        "version": "1",
        "geometry": spec.geometry,
        "scope": spec.scope,
        **({} if spec.segmenter is None else {"segmenter": spec.segmenter}),
        "nominal": {name: {"value": float(size), "unit": "mm"} for name, size in case.nominal_mm.items()},
        "rules": [
            *(_rule_entry(rule) for rule in _rules_for(case, spec)),
            *(
                _own_rule(limit)
                for limit in case.judged_by.further
                if limit.measurement in registry.measurements
            ),
        ],
    }
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _own_rule(limit: SpecLimit) -> dict[str, Any]:
    """A limit of the case's own as a rule."""
    drawn = {"value": limit.value, "source": "the cell as it was drawn", "status": "drawing"}
    return {
        "id": f"own-{limit.measurement.replace('.', '-').replace('_', '-')}",
        "title": limit.measurement,
        "measurement": limit.measurement,
        "unit": limit.unit,
        limit.side: drawn,
    }


def _rules_for(case: Case, spec: CellSpec) -> Iterator[Mapping[str, Any]]:
    judged_by = case.judged_by
    for rule in spec.rules:
        name = str(rule["measurement"])
        if name in judged_by.leave_out:
            continue
        if name in judged_by.upper_limits:
            yield {**rule, "max": {**rule["max"], "value": judged_by.upper_limits[name]}}
        else:
            yield rule


def _rule_entry(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved rule as a spec file writes it."""
    limits = {
        side: {key: limit[key] for key in ("value", "source", "status") if limit[key] is not None}
        for side, limit in iter_limits(rule)
    }
    return {**{key: rule[key] for key in _KEPT if rule[key] is not None}, **limits}
