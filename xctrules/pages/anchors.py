"""Element ids."""

from __future__ import annotations

import re


class Anchors:
    """Element ids that are safe in HTML and never given twice."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def new(self, text: str) -> str:
        stem = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "part"
        candidate, number = stem, 2
        while candidate in self._given:
            candidate, number = f"{stem}-{number}", number + 1
        self._given.add(candidate)
        return candidate
