"""How long work says how far it is, whoever listens."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the stage in words, and how much of how much of it is done (0 of 0 where that is not known)."""


def silent(stage: str, done: int, of: int) -> None:
    """A :data:`Progress` that nobody listens to."""
