"""A spec with another decision rule for all of its rules, as a spec of its own that extends the first one."""

from __future__ import annotations

import json

from xctrules.rules.cellspec import CellSpec, SpecText, parse_spec
from xctrules.rules.deciding import GUARDED_RULES
from xctrules.rules.spec_file import SCHEMA


def by_decision_rule(spec: CellSpec, decision_rule: str) -> CellSpec:
    """The spec that extends ``spec`` and has every rule of it decided by ``decision_rule``.

    Its text is written out, as a person would have written it, so that a record can hold it and everybody can
    resolve it again. It names the SHA-256 of the spec that it extends: two specs of one name do not become
    one. Guard bands that have no effect under the new decision rule are left out.

    Parameters
    ----------
    decision_rule
        One of :data:`xctrules.rules.deciding.DECISION_RULES`.
    """
    rules = [
        {
            "id": rule["id"],
            "decision_rule": decision_rule,
            **(_NO_GUARD_BAND if decision_rule not in GUARDED_RULES else {}),
        }
        for rule in spec.rules
    ]
    name = f"{spec.name[:60]}-{decision_rule}"  # names are not endless
    lines = [
        f"# {_yaml(f'{spec.name} {spec.version}')} (sha256 {spec.sha256}), all decided by {decision_rule}.",
        f"schema: {SCHEMA}",
        f"name: {name}",
        f"version: {_yaml(spec.version)}",
        f"title: {_yaml(f'{spec.title}, decided by {decision_rule}')}",
        f"extends: {_yaml(spec.file)}",
        f"decision_rule: {decision_rule}",
        *(["rules:", *(f"  - {_yaml(rule)}" for rule in rules)] if rules else []),
    ]
    known = {str(rule["measurement"]): str(rule["unit"]) for rule in spec.rules}
    known |= {str(each["measurement"]): str(each["study"]["unit"]) for each in spec.budgets}
    return parse_spec(
        "\n".join(lines) + "\n",
        file=f"{name}.yaml",
        parents=[SpecText(spec.file, spec.text), *spec.parents],
        known=known,
        open_ended=True,
        studies={str(each["measurement"]): each["study"] for each in spec.budgets},
    )


_NO_GUARD_BAND = {"guard_band": None}


def _yaml(value: object) -> str:
    """A value in one line of YAML, of which JSON is a part."""
    return json.dumps(value, ensure_ascii=False)
