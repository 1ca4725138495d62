"""How plain text is set on a page."""

from __future__ import annotations

import re

_HELD = re.compile(r"(?<=[\d±<>]) (?=\S)|(?<=\S) (?=±)")
_MINUS = re.compile(r"(?<![\w.)\]-])-(?=\d)")


def typeset(text: str) -> str:
    """Text with true minus signs, and spaces that hold a number to its unit and its uncertainty."""
    return _HELD.sub("\u00a0", _MINUS.sub("−", text))
