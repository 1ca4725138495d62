"""Measure a campaign's cases on all cores.

In: a campaign and the indexes of cases. Out: their lines, each written to ``cases.jsonl`` as it is done.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from pathlib import Path

from xctrules.campaigns.validation.campaign import Campaign, Wanted, open_campaign
from xctrules.campaigns.validation.folder import CASES_NAME, line_of
from xctrules.campaigns.validation.measuring import measure_case
from xctrules.core.errors import XctrulesError
from xctrules.core.progress import Progress, silent
from xctrules.core.validation import Row

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run_cases(
    campaign: Campaign,
    indexes: Sequence[int],
    out: Path,
    *,
    workers: int = 1,
    progress: Progress = silent,
    before: int = 0,
) -> Iterator[Row]:
    """Measure the cases of ``indexes`` and append each to ``cases.jsonl`` as it is done; yields them.

    Parameters
    ----------
    campaign, indexes, out
        Which cases of what, and the folder of :func:`~xctrules.campaigns.validation.folder.prepare`.
    workers
        Processes that measure.
    progress
        Called after each case.
    before
        Cases that an earlier run has measured: they count as done.

    Raises
    ------
    XctrulesError
        When a worker process was ended from outside, for want of memory most likely.
    """
    if not indexes:
        return
    done = 0
    with (out / CASES_NAME).open("a", encoding="utf-8") as file:
        for row in _measured(campaign, indexes, workers):
            file.write(line_of(row))
            file.flush()
            done += 1
            progress("measuring phantoms", before + done, before + len(indexes))
            yield row


def work(campaign: Campaign, index: int) -> Row:
    """One case; a bug that it strikes on becomes a line too, since the other cases are still worth having."""
    kind = "unknown"
    try:
        case = campaign.case(index)
        kind = case.kind
        return measure_case(case, campaign)
    except Exception:
        trace = traceback.format_exc(limit=-4)
        return {"index": index, "kind": kind, "error": _without_paths(trace), "measurements": {}}


def _without_paths(trace: str) -> str:
    """A traceback that names files by their last three parts, so that it tells nothing of the machine."""
    import re

    return re.sub(r'File "([^"]+)"', lambda m: f'File "{"/".join(Path(m[1]).parts[-3:])}"', trace)


# --- processes -------------------------------------------------------------------------------------------


def _measured(campaign: Campaign, indexes: Sequence[int], workers: int) -> Iterator[Row]:
    if workers <= 1:
        _single_threaded()
        for index in indexes:
            yield work(campaign, index)
        return
    import multiprocessing

    waiting = list(reversed(indexes))
    running: set[Future[Row]] = set()
    # a fresh interpreter for each worker: forking a process whose libraries have threads may hang it
    context = multiprocessing.get_context("spawn")
    with _limited_threads():
        pool = ProcessPoolExecutor(min(workers, len(indexes)), mp_context=context, initializer=_start_worker)
        try:
            while waiting or running:
                while waiting and len(running) < 2 * workers:
                    running.add(pool.submit(_work_of_process, campaign.wanted, waiting.pop()))
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
        except BrokenProcessPool as error:
            raise XctrulesError(
                "a worker process was ended from outside, most likely for want of memory",
                where="validate",
                todo="Run the same command again with fewer --workers: it goes on where it was.",
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _work_of_process(wanted: Wanted, index: int) -> Row:
    """One case in a process of its own, which loads the plugins once."""
    return work(_opened(wanted), index)


@cache
def _opened(wanted: Wanted) -> Campaign:
    """Open until the process ends."""
    return open_campaign(wanted)


def _start_worker() -> None:
    """Ctrl-C ends a worker at once and without a word: its case is drawn again. stdout is for results."""
    import signal

    signal.signal(signal.SIGINT, lambda *_: os._exit(1))
    sys.stdout = sys.stderr
    _single_threaded()


def _single_threaded() -> None:
    import cv2

    cv2.setNumThreads(1)


@contextlib.contextmanager
def _limited_threads() -> Iterator[None]:
    """Numerical libraries read these when they are loaded, so they must stand before a worker starts."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
