"""What a verdict rests on that is not firm ground."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xctrules.core import wording
from xctrules.pages.sections import failures
from xctrules.pages.typography import typeset

Json = Mapping[str, Any]

MOST_WARNINGS = 3
"""Warnings that stand beside the verdict, word for word: who reads no further must not miss that a sound
verdict comes with a foreign particle."""


def caveats(record: Json) -> tuple[str, ...]:
    """What the verdict rests on that is not firm ground."""
    found = []
    decided = record.get("verdict") != "SCAN_REJECTED"
    counted = [c for c in record.get("checks", ()) if c.get("outcome") != "NOT_APPLICABLE"]
    soft = [c for c in counted if c.get("status") == "indicative"]
    if soft and decided:
        names = list(
            dict.fromkeys(str(c.get("title") or c.get("rule") or c.get("measurement")) for c in soft)
        )
        shown = (
            wording.joined(names) if len(names) <= 6 else ", ".join(names[:5]) + f" and {len(names) - 5} more"
        )
        found.append(
            f"{len(soft)} of {len(counted)} limits in use {'is' if len(soft) == 1 else 'are'} indicative, "
            f"backed by no drawing, datasheet or standard: {shown}."
        )
    if decided and _voxel_scale_assumed(record):
        scale = record.get("scale") or {}
        u = scale.get("relative_uncertainty") if isinstance(scale, Mapping) else None
        size = (
            f" ({100 * u:.2g} % of each length, standard uncertainty)" if isinstance(u, int | float) else ""
        )
        found.append(
            f"The uncertainty of the voxel size was not stated; an assumed one is used{size}, and no rule on "
            "a length does better than a conditional pass."
        )
    broken = list(dict.fromkeys(failure.plugin for failure in failures(record)))
    if broken:
        found.append(
            f"{'A plugin' if len(broken) == 1 else f'{len(broken)} plugins'} did something wrong "
            f"({wording.joined(broken)}): what is wrong is told below, and a rule that needed it is not "
            "passed."
        )
    warnings = [str(warning) for warning in record.get("warnings") or ()]
    found += [f"Warning: {warning}" for warning in warnings[:MOST_WARNINGS]]
    if more := len(warnings[MOST_WARNINGS:]):
        found.append(
            f"{wording.counted(more, 'more warning')} {'is' if more == 1 else 'are'} listed under Scan and "
            "acquisition."
        )
    return tuple(map(typeset, found))


def _voxel_scale_assumed(record: Json) -> bool:
    scale = record.get("scale")
    if isinstance(scale, Mapping) and "stated" in scale:
        return not scale["stated"]
    acquisition = record.get("acquisition") or {}
    return (
        "voxel_scale_relative_uncertainty" in acquisition
        and acquisition["voxel_scale_relative_uncertainty"] is None
    )
