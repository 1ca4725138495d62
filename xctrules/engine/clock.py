"""Times the stages of an inspection, and tells the user of them as they begin."""

from __future__ import annotations

import contextlib
import datetime
import platform
import time
from collections.abc import Iterator
from typing import Any

from xctrules.core.progress import Progress
from xctrules.core.slices import Scan


class Clock:
    """Times stages: ``with clock("segmenting"): ...``; ``seconds`` holds what each took."""

    def __init__(self, progress: Progress | None = None) -> None:
        self.progress = progress
        self.started = time.time()
        self.seconds: dict[str, float] = {}
        self._began = time.perf_counter()

    @contextlib.contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        self.tell(stage)
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began

    def tell(self, stage: str, done: int = 0, of: int = 0) -> None:
        """Tell the user of a stage, without timing it."""
        if self.progress is not None:
            self.progress(stage, done, of)

    def as_record(self, scan: Scan, *, full_paths: bool = False) -> dict[str, Any]:
        """The record's ``run``: the only part of it that differs from run to run.

        Records and reports leave the house: they name the machine, and the folders of it, where
        ``full_paths`` asks for that, and else the scan's own name alone.
        """
        started = datetime.datetime.fromtimestamp(self.started, datetime.UTC)
        return {
            "started": started.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "seconds": round(time.perf_counter() - self._began, 3),
            "host": platform.node() if full_paths else None,
            "operator": scan.acquisition.get("operator"),
            "path": str(scan.path.absolute()) if full_paths else scan.path.resolve().name,
            "steps": {stage: round(seconds, 4) for stage, seconds in self.seconds.items()},
        }
