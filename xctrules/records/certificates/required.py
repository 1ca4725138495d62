"""What a certificate must state, clause by clause of ISO/IEC 17025:2017, and where each of it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from xctrules.rules.judging import CALIBRATION

Json = Mapping[str, Any]

OF_THE_LABORATORY: tuple[tuple[str, str, str], ...] = (
    ("laboratory.name", "7.8.2.1 b", "name of the laboratory"),
    ("laboratory.address", "7.8.2.1 b", "address of the laboratory"),
    ("laboratory.location", "7.8.2.1 c", "where the cell was scanned and inspected"),
    ("number_prefix", "7.8.2.1 d", "beginning of the certificate's number"),
    ("customer.name", "7.8.2.1 e", "name of the customer"),
    ("customer.contact", "7.8.2.1 e", "how to reach the customer"),
    ("method.description", "7.8.2.1 f", "the method"),
    ("item.description", "7.8.2.1 g", "description of the cell"),
    ("item.condition", "7.8.2.1 g", "condition of the cell"),
    ("item.received", "7.8.2.1 h", "date of receipt, or that it does not matter"),
    ("method.sampling", "7.8.2.1 k", "sampling plan, or that there was none"),
    ("method.deviations", "7.8.2.1 n", "deviations from the method, or that there were none"),
    ("authorised_by.name", "7.8.2.1 o", "name of who authorises the certificate"),
    ("authorised_by.role", "7.8.2.1 o", "role of who authorises the certificate"),
    ("method.external", "7.8.2.1 p", "results from external providers, or that there are none"),
    ("customer.supplied", "7.8.2.2", "what the customer supplied, or that it is nothing"),
    ("method.environment", "7.8.3.1 a", "conditions that bear on the result"),
    ("decision_rule.agreed", "7.8.6.2 c", "decision rules agreed with the customer"),
    ("decision_rule.statement", "7.8.6.1", "where the decision rule was agreed, and the risk it leaves"),
)
"""(key of the profile, clause, what it is). 7.8.2.1 a (title), l (results relate to this cell alone) and m
(results with units) always stand there; c, g, i and m are completed from the record; j is the issue."""

OF_THE_RECORD: tuple[tuple[str, str, str], ...] = (
    ("cell_id", "7.8.2.1 g", "the cell's id"),
    ("acquisition.scanned_at", "7.8.2.1 i", "day of the scan"),
    ("run.started", "7.8.2.1 i", "day of the inspection"),
    ("acquisition.instrument", "7.8.2.1 f", "the instrument"),
)
"""(key of the record, clause, what it is)."""


def lacking(profile: Json, record: Json, issued: str | None) -> Iterator[str]:
    """Each field that is missing, in words: where it belongs, what it is, and which clause asks for it.

    Parameters
    ----------
    issued
        The day of issue, wherever it comes from.
    """
    for key, clause, what in OF_THE_LABORATORY:
        if not _stated(profile, key):
            yield f"the profile lacks {key}: {what} (ISO/IEC 17025, {clause})"
    if not issued:
        yield (
            "the profile lacks issued: day of issue (ISO/IEC 17025, 7.8.2.1 j); "
            "or let somebody whose key it names sign the record as released"
        )
    for key, clause, what in OF_THE_RECORD:
        if not _stated(record, key):
            yield f"the record lacks {key}: {what} (ISO/IEC 17025, {clause})"


def without_calibration(record: Json) -> Iterator[str]:
    """What the uncertainty of the voxel scale lacks to stand on a calibration."""
    scale, acquisition = record.get("scale") or {}, record.get("acquisition") or {}
    if not scale.get("stated"):
        yield (
            "the voxel scale's uncertainty is assumed: the acquisition states no "
            "voxel_scale_relative_uncertainty, and no calibration"
        )
        return
    for key, word in CALIBRATION.items():
        if not acquisition.get(key):
            yield (
                f"the voxel scale's uncertainty has no calibration behind it: its {word} is missing "
                f"(acquisition.{key})"
            )


def indicative_limits(record: Json) -> Iterator[str]:
    """Rules whose limit no drawing, datasheet or standard backs."""
    for check in record.get("checks") or ():
        if check.get("status") == "indicative":
            yield f"the limit of {check.get('title') or check.get('rule')} is indicative ({check.get('at')})"


def rules_not_agreed(profile: Json, record: Json) -> Iterator[str]:
    """Decision rules that the record stands on and that were not agreed with the customer."""
    agreed = (profile.get("decision_rule") or {}).get("agreed")
    used = dict.fromkeys(str(check.get("decision_rule")) for check in record.get("checks") or ())
    for rule in used:
        if agreed and rule not in agreed:
            yield f"the decision rule {rule} is not among those agreed (decision_rule.agreed of the profile)"


def _stated(values: Json, dotted: str) -> bool:
    found: Any = values
    for key in dotted.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return bool(found.strip() if isinstance(found, str) else found)
