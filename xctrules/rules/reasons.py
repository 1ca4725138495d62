"""Outcomes and verdicts in sentences: what was found, against which limit, and what would cure a doubt."""

from __future__ import annotations

from collections.abc import Sequence

from xctrules.core import wording
from xctrules.core.names import is_length
from xctrules.rules.case import Case, Circumstances
from xctrules.rules.deciding import FAIL, INCOMPLETE, PASS


def reason(case: Case, outcome: str, circumstances: Circumstances) -> str | None:
    """One sentence on a rule whose outcome is no plain PASS."""
    if outcome == PASS:
        return None
    found = _found(case)
    if outcome == INCOMPLETE:
        places = circumstances.place_text(circumstances.missing_places)
        return f"{found}, but {places} is not in view and may be worse."
    decided = case.decided(case.decision_rule)
    if decided == PASS:
        caps = circumstances.caps(case, case.decision_rule)
        return f"{found}, but can be no better than a conditional pass: {'; '.join(caps)}."
    if decided == FAIL and not case.inside:
        return f"{found}."
    return f"{found}, {_doubt(case, decided)}{_cure(case, circumstances)}."


def without_value(case: Case, left_out: str | None) -> str:
    """One sentence on a rule whose quantity has no value; ``left_out`` names what is out of view, if so."""
    if left_out is not None:
        return f"{case.title}: not applicable, since {left_out} is not in view."
    return f"{case.title}: not judged, because {case.quantity.problem}.".replace("..", ".")


def opening(
    resting: Sequence[str], nothing_judged: bool, measured: Sequence[str], circumstances: Circumstances
) -> list[str]:
    """What a reader must know before the single rules.

    Parameters
    ----------
    resting
        Titles of the rules with indicative limits on which the verdict rests.
    nothing_judged
        Whether no rule counted.
    measured
        Measurements that the rules are about.
    """
    lines = []
    if resting:
        lines.append(
            f"This verdict rests on {wording.counted(len(resting), 'indicative limit')}, backed by no "
            f"drawing, datasheet or standard: {', '.join(resting)}."
        )
    lengths = any(is_length(str(rule["unit"])) for rule in circumstances.resolved["rules"])
    if circumstances.calibration_lacks and lengths:
        lacks = wording.joined(circumstances.calibration_lacks)
        lines.append(
            f"The uncertainty of the voxel scale is stated without the {lacks} of a calibration behind it "
            "(cure: calibration in acquisition.yaml)."
        )
    if nothing_judged:
        noun = circumstances.scope.get("place_noun", "end")
        what = f"every rule is about an {noun}" if noun[0] in "aeiou" else f"every rule is about a {noun}"
        what = f"{what} that is not in view" if measured else "the spec holds no rule"
        lines.append(f"Nothing was judged: {what}.")
    if circumstances.nothing_told:
        lines.append("The spec asks for the whole cell, but nothing tells which places of it were seen.")
    if circumstances.missing_places:
        places = circumstances.place_text(circumstances.missing_places)
        lines.append(f"The spec asks for the whole cell, but {places} is not in view.")
    if circumstances.resolved.get("includes_sleeve") and any(map(_is_outer_diameter, measured)):
        lines.append(
            "The limits on the outer diameter include the insulating sleeve; the scan gives the can "
            "alone, which is smaller by twice the sleeve's thickness."
        )
    return lines


def _is_outer_diameter(name: str) -> bool:
    return name.rpartition(".")[2] == "outer_diameter"


def _found(case: Case) -> str:
    """``Outer diameter: 21.310 ± 0.039 mm (at z 6.10 mm) is outside the limit of at most 21.25 mm by …``."""
    quantity = case.quantity
    place = wording.place(quantity.worst_at)
    return (
        f"{case.title}: {wording.quantity(quantity.value, quantity.expanded_uncertainty, case.unit)}"
        f"{f' (at {place})' if place else ''} is {'inside' if case.inside else 'outside'} the limit of "
        f"{wording.limits(case.low, case.high, case.unit)} by "
        f"{wording.margin(abs(case.margin), quantity.expanded_uncertainty, case.unit)}"
    )


def _doubt(case: Case, decided: str) -> str:
    """Why a value inside the limit is no pass, or one outside no fail; up to where the cure follows."""
    if decided == FAIL:  # ISO 14253-1 with a tolerance far narrower than the uncertainty
        return f"but non-conformity has a probability of {wording.percent(1 - case.probability)}: "
    if case.decision_rule == "iso14253":
        probability = wording.percent(case.probability)
        return f"but that is not proven: the probability of conformity is {probability}; "
    band = wording.guard_band(case.guard_band, case.quantity.expanded_uncertainty, case.unit)
    if case.inside:
        return f"but within the guard band of {band}; "
    return f"though by no more than the guard band of {band}; "


def _cure(case: Case, circumstances: Circumstances) -> str:
    if circumstances.scale_assumed(case):
        return (
            "stating voxel_scale_relative_uncertainty in acquisition.yaml, or a finer scan, could settle it"
        )
    return "a smaller uncertainty could settle it"
