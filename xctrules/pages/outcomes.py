"""Outcomes and verdicts in words, each with the symbol that goes beside it: colour is never all there is."""

from __future__ import annotations

from dataclasses import dataclass

VERDICTS: dict[str, tuple[str, str, str]] = {
    # code: (word, symbol, what it means)
    "PASS": ("Pass", "✓", "Every rule is met with its decision rule."),
    "CONDITIONAL_PASS": (
        "Conditional pass",
        "✓",
        "Every rule is met, but at least one not beyond the doubt named below.",
    ),
    "INCOMPLETE": ("Incomplete", "?", "A quantity that a rule needs was not measured."),
    "CONDITIONAL_FAIL": (
        "Conditional fail",
        "!",
        "At least one rule cannot be shown to be met within the uncertainty.",
    ),
    "FAIL": ("Fail", "✗", "At least one limit is broken."),
    "SCAN_REJECTED": ("Scan rejected", "⊘", "This scan cannot carry a decision about the cell."),
    "NOT_APPLICABLE": ("Not applicable", "–", "The part is out of view, and the spec allows that."),
}


@dataclass(frozen=True)
class Outcome:
    """A verdict or outcome in words, with the symbol that goes beside it."""

    code: str
    word: str
    symbol: str
    meaning: str
    css: str

    @classmethod
    def of(cls, code: str | None) -> Outcome:
        word, symbol, meaning = VERDICTS.get(
            code or "", ((code or "none").replace("_", " ").capitalize(), "·", "")
        )
        known = code if code in VERDICTS else "NOT_APPLICABLE"
        return cls(code or "", word, symbol, meaning, "is-" + str(known).lower().replace("_", "-"))
