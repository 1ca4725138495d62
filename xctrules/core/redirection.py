"""What compiled libraries write past Python, straight to the process's file descriptors."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def redirected(numbers: Sequence[int], to: int | None = None) -> Iterator[None]:
    """Send what is written to the file descriptors ``numbers`` (1 stdout, 2 stderr) to another, or nowhere.

    A descriptor that the process does not have is left alone. Python's own streams write to the same
    descriptors: they are flushed before and after.
    """
    _flush()
    with contextlib.ExitStack() as undo:
        if to is None:
            to = os.open(os.devnull, os.O_WRONLY)
            undo.callback(os.close, to)
        for number in numbers:
            with contextlib.suppress(OSError):  # not there
                kept = os.dup(number)
                undo.callback(os.close, kept)
                undo.callback(os.dup2, kept, number)
                os.dup2(to, number)
        undo.callback(_flush)
        yield


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
