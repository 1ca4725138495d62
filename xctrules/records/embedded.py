"""The spec inside a record, read again: what a record is judged by, without a file beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xctrules.rules.cellspec import CellSpec, SpecText, parse_spec

Json = Mapping[str, Any]


def embedded_spec(entry: Json) -> CellSpec:
    """The spec of a record, resolved again from its text, its parents' texts and the studies inside it.

    Measurements are taken as the record knew them, so that no plugin is asked.

    Parameters
    ----------
    entry
        The record's ``spec``.

    Raises
    ------
    SpecError
        When the text is none that this version reads.
    KeyError, TypeError, AttributeError
        When parts of the entry are missing or malformed.
    """
    resolved = entry["resolved"]
    budgets = resolved.get("budgets", [])
    known = {str(rule["measurement"]): str(rule["unit"]) for rule in resolved["rules"]}
    known |= {str(each["measurement"]): str(each["study"]["unit"]) for each in budgets}
    return parse_spec(
        str(entry["text"]),
        file=str(entry["file"]),
        parents=[SpecText(str(parent["name"]), str(parent["text"])) for parent in entry["parents"]],
        known=known,
        open_ended=True,
        studies={str(each["measurement"]): each["study"] for each in budgets},
    )
