"""Does anything faulty pass: what the adversarial part of a validation found.

In: the lines of ``cases.jsonl``. Out: the content of ``validation.json``: wrong passes first, then wrong
fails, then sound cells without a decision, each with its bound; what was named rightly; curves of detection.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from xctrules.campaigns.validation.accuracy import by_measurement
from xctrules.campaigns.validation.criteria import coverage
from xctrules.campaigns.validation.hit_miss import hit_miss
from xctrules.campaigns.validation.scored import ScoredCase
from xctrules.campaigns.validation.statistics import Share, upper_bound
from xctrules.core.canonical import plain
from xctrules.core.validation import CaseFacts, Row, Targets
from xctrules.rules.deciding import CONDITIONAL_FAIL, CONDITIONAL_PASS, FAIL, PASS

ENOUGH = 300
"""Cases of which none may go wrong: with none in 300 a rate lies below 1 % (95 % confidence)."""
NAMED_SHARE = 0.95
UNDECIDED_SHARE = 0.03
"""Share of sound cells that may be left without a decision: a tool that refuses everything is no better."""

Json = Mapping[str, Any]


def find_adversarial(
    rows: Iterable[Row], header: Json, targets: Targets, facts: Callable[[Row], CaseFacts]
) -> dict[str, Any]:
    """All figures, ready for ``validation.json``.

    Parameters
    ----------
    rows
        Lines of ``cases.jsonl``.
    header
        What they are cases of: ``ensemble.json``.
    targets
        Whose coverage is counted, over all cases whose scan shows the cell as it is.
    facts
        Says what is to be known of a case, from its line.
    """
    rows = sorted(rows, key=lambda row: row["index"])
    whole = [row for row in rows if "error" not in row]
    sound = [row for row in whole if row["expected"]["outcome"] == "pass"]
    must = [row for row in whole if row["expected"]["outcome"] in ("no pass", "right or refused")]
    passed = [row for row in must if passes_wrongly(row)]
    failed = [row for row in sound if decided(row) == "fail"]
    undecided = [row for row in sound if decided(row) == "none"]
    named = [row for row in must if named_rightly(row)]
    graded = [row for row in whole if row["expected"]["outcome"] == "graded"]
    figures: dict[str, Any] = {
        **header,
        "cases": {"n": len(rows), "sound": len(sound), "faulty": len(must), "graded": len(graded)},
        "wrong_passes": _rate(passed, must),
        "wrong_fails": _rate(failed, sound),
        "undecided": _rate(undecided, sound),
        "named_rightly": Share(len(named), len(must)).as_json(),
        "passed_wrongly": [_told(row) for row in passed],
        "failed_wrongly": [_told(row) for row in failed],
        "left_undecided": [_told(row) for row in undecided],
        "named_wrongly": [_told(r) for r in must if not passes_wrongly(r) and not named_rightly(r)],
        "kinds": [_kind(kind, must, graded) for kind in _in_order(must + graded)],
        "families": [_family(kind, sound) for kind in _in_order(sound)],
        "coverage": _coverage(whole, targets, facts),
        "errors": [{"index": row["index"], "error": row["error"]} for row in rows if "error" in row],
    }
    held = _criteria(figures, targets)
    found: dict[str, Any] = plain(
        {"holds": all(c["holds"] is not False for c in held), "criteria": held, **figures}
    )
    return found


def decided(row: Row) -> str:
    """What a verdict decides: ``pass``, ``fail``, or ``none``."""
    verdict = row["judged"]["verdict"]
    if verdict in (PASS, CONDITIONAL_PASS):
        return "pass"
    return "fail" if verdict in (FAIL, CONDITIONAL_FAIL) else "none"


BEYOND = 2.0
"""Expanded uncertainties from the truth from which a value is wrong: an interval of 95 % misses by so much
once in ten thousand."""


def passes_wrongly(row: Row) -> bool:
    """Whether a case passes that must not.

    A sound cell whose greys were spoilt may pass, if every measurement with a rule is right.
    """
    if decided(row) != "pass":
        return False
    return row["expected"]["outcome"] != "right or refused" or bool(wrong_values(row))


def wrong_values(row: Row) -> list[str]:
    """Measurements under a rule whose value lies more than :data:`BEYOND` expanded uncertainties off."""
    found = []
    for name in row["judged"]["checks"]:
        entry = row["measurements"].get(name, {})
        value, truth, half = (entry.get(key) for key in ("value", "truth", "expanded_uncertainty"))
        if value is not None and truth is not None and half and abs(value - truth) > BEYOND * half:
            found.append(name)
    return found


def named_rightly(row: Row) -> bool:
    """Whether a faulty cell does not pass and the first reason names its fault; or passes, and may.

    It must speak of the part, and give one of the fault's coordinates at least; all that it gives must be
    right.
    """
    reasons = row["judged"]["reasons"]
    if decided(row) == "pass":
        return not passes_wrongly(row)
    if not reasons:
        return False
    text, expected = reasons[0].lower(), row["expected"]
    if expected["words"] and not any(word in text for word in expected["words"]):
        return False
    given = {name: _mentioned(name, text) for name in expected["place"]}
    right = [
        any(_away(name, value, expected["place"][name][0]) <= expected["place"][name][1] for value in values)
        for name, values in given.items()
        if values
    ]
    return all(right) and (bool(right) or not expected["place"])


def _mentioned(name: str, text: str) -> list[float]:
    """The numbers that a sentence gives for a coordinate: ``theta 40.5°``, ``turn 7``."""
    label = re.escape(re.sub(r"_(deg|mm)$", "", name).replace("_", " "))
    return [float(number) for number in re.findall(rf"\b{label} (-?\d+(?:\.\d+)?)", text)]


def _away(name: str, a: float, b: float) -> float:
    return abs((a - b + 180) % 360 - 180) if name.endswith("_deg") else abs(a - b)


def _rate(wrong: Sequence[Row], of: Sequence[Row]) -> dict[str, Any]:
    return {**Share(len(wrong), len(of)).as_json(), "upper": upper_bound(len(wrong), len(of))}


def _told(row: Row) -> dict[str, Any]:
    """A case in the lists: enough to see what was said, and to draw it again."""
    judged, expected = row["judged"], row["expected"]
    return {
        "index": row["index"],
        "kind": row["kind"],
        "size": expected["size"],
        "unit": expected["unit"],
        "drawn": expected["drawn"],
        "verdict": judged["verdict"],
        "reasons": judged["reasons"][:2],
        "warnings": judged["warnings"][:3],
    }


def _in_order(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["kind"] for row in sorted(rows, key=lambda row: row["index"])))


def _kind(kind: str, must: Sequence[Row], graded: Sequence[Row]) -> dict[str, Any]:
    """One kind of fault: what became of those that must be found, and the curve over all sizes."""
    large = [row for row in must if row["kind"] == kind]
    every = large + [row for row in graded if row["kind"] == kind]
    expected = every[0]["expected"]
    sizes = [row["expected"]["size"] for row in every]
    hits = [not passes_wrongly(row) for row in every]
    verdicts: dict[str, int] = {}
    for row in large:
        verdicts[row["judged"]["verdict"]] = verdicts.get(row["judged"]["verdict"], 0) + 1
    return {
        "kind": kind,
        "unit": expected["unit"],
        "stated": expected["stated"],
        "wrong_passes": Share(sum(map(passes_wrongly, large)), len(large)).as_json(),
        "named": Share(sum(map(named_rightly, large)), len(large)).as_json(),
        "verdicts": dict(sorted(verdicts.items())),
        "curve": asdict(hit_miss(sizes, hits)),
        "sizes": [round(size, 4) for size in sizes],
        "hits": hits,
    }


def _family(kind: str, sound: Sequence[Row]) -> dict[str, Any]:
    rows = [row for row in sound if row["kind"] == kind]
    counts = {word: sum(decided(row) == word for row in rows) for word in ("pass", "fail", "none")}
    reasons = [
        row["judged"]["reasons"][0] for row in rows if decided(row) != "pass" and row["judged"]["reasons"]
    ]
    return {"kind": kind, "n": len(rows), **counts, "reason": reasons[0] if reasons else ""}


def _coverage(rows: Sequence[Row], targets: Targets, facts: Callable[[Row], CaseFacts]) -> dict[str, Any]:
    """Of each measurement that decides: errors, half-widths, and how many intervals hold the truth."""
    cases = [ScoredCase(row, facts(row)) for row in rows if row["expected"]["scan_is_true"]]
    every = by_measurement(cases, targets)
    return {name: every[name] for name in targets.covered if name in every}


# --- what is asked ---------------------------------------------------------------------------------------


def _criteria(found: Json, targets: Targets) -> list[dict[str, Any]]:
    """In the order in which a reader asks; ``holds`` is ``None`` where too few cases say so."""
    named = found["named_rightly"]
    return [
        _none_of("wrong passes", "faulty cells", found["wrong_passes"]),
        _none_of("wrong fails", "sound cells", found["wrong_fails"]),
        _at_most("sound cells without a decision", UNDECIDED_SHARE, found["undecided"]),
        {
            "id": "faults named rightly",
            "asked": f"at least {100 * NAMED_SHARE:.0f} %",
            "found": _counted(named),
            "holds": _at_least(NAMED_SHARE, named),
        },
        *(coverage(name, found["coverage"].get(name)) for name in targets.covered),
        {
            "id": "every case could be measured",
            "asked": "no error inside xctrules",
            "found": f"{len(found['errors'])} of {found['cases']['n']} ended with an error",
            "holds": not found["errors"],
        },
    ]


def _counted(c: Json) -> str:
    return f"{c['count']} of {c['n']}"


def _none_of(what: str, of: str, c: Json) -> dict[str, Any]:
    return {
        "id": what,
        "asked": f"none in {ENOUGH} {of} or more: a rate below 1 %",
        "found": f"{_counted(c)}: below {100 * c['upper']:.1f} % (95 % confidence)",
        "holds": False if c["count"] else True if c["n"] >= ENOUGH else None,
    }


def _at_most(what: str, limit: float, c: Json) -> dict[str, Any]:
    sure = c["n"] >= ENOUGH or c["low"] > limit
    within = not c["count"] or c["share"] <= limit
    return {
        "id": what,
        "asked": f"at most {100 * limit:.0f} % of {ENOUGH} or more",
        "found": f"{_counted(c)}: below {100 * c['upper']:.1f} % (95 % confidence)",
        "holds": within if sure else None,
    }


def _at_least(limit: float, c: Json) -> bool | None:
    if c["n"] >= ENOUGH:
        return bool(c["share"] >= limit)
    return False if c["n"] and c["high"] < limit else None
