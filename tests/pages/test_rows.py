"""Each rule shows what it was decided from."""

from __future__ import annotations

from html_outline import Outline


def test_each_rule_shows_what_it_was_decided_from(outline: Outline) -> None:
    for wanted in ("21.210 ± 0.043 mm", "at most 21.25 mm", "21700.yaml:14", "Samsung INR21700-50S", "97.1 %",
                   "0.1 to 0.34 mm", "14.8 : 1", "guard band 0.043 mm", "no value"):  # fmt: skip
        assert wanted in outline.text, wanted
