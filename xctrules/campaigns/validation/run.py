"""Measure an ensemble on all cores; a run that was stopped goes on where it was.

Every finished case is a line of ``cases.jsonl`` at once, and ``ensemble.json`` says what they are cases of.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from xctrules.campaigns.validation.ensemble import Ensemble
from xctrules.core.errors import OutputError, XctrulesError
from xctrules.core.progress import Progress, silent
from xctrules.engine.registry import load_plugins
from xctrules.records.record import software_versions

CASES_NAME = "cases.jsonl"
ENSEMBLE_NAME = "ensemble.json"
RESULT_NAME, REPORT_NAME = "validation.json", "validation.html"
SCHEMA = "xctrules.validation/1"

Row = dict[str, Any]
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def header(ensemble: Ensemble) -> dict[str, Any]:
    """What the cases in a folder are cases of: the ensemble, and all software that could change a number."""
    registry = load_plugins(third_party=False)
    registry.collect()
    return {
        "schema": SCHEMA,
        "ensemble": ensemble.identity(),
        "software": software_versions(),
        "engine_sha256": _hash_of_engine(),
        "plugins": [
            {"name": p.name, "version": p.version, "sha256": p.sha256, "load_error": p.load_error}
            for p in registry.plugins
        ],
    }


def _hash_of_engine() -> str:
    """SHA-256 over the engine's source files, the validation's own figures and drawings left out."""
    import hashlib

    root = Path(__file__).resolve().parents[2]
    leave_out = {"findings.py", "statistics.py", "report.py", "run.py", "cli.py", "cli_validate.py"}
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if path.name in leave_out and (path.parent == root or path.parent.name == "validation"):
            continue
        digest.update(inside.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


# --- the folder ------------------------------------------------------------------------------------------


def prepare(out: Path, wanted: dict[str, Any], *, replace: bool = False) -> dict[int, Row]:
    """Make the folder ready and read the cases that it holds, by index.

    Raises
    ------
    OutputError
        When it holds cases of another ensemble or of other software, holds something else, or cannot be
        written.
    """
    if out.exists() and not out.is_dir():
        raise OutputError("this is a file", where=out, todo="Name a folder with --out.")
    file, cases = out / ENSEMBLE_NAME, out / CASES_NAME
    try:
        if file.exists() and not replace:
            _refuse_another(file, wanted)
            return _read_cases(cases)
        if out.is_dir() and any(out.iterdir()) and not file.exists():
            raise OutputError("this folder holds something else", where=out, todo="Name another --out.")
        out.mkdir(parents=True, exist_ok=True)
        for name in (CASES_NAME, RESULT_NAME, REPORT_NAME):  # no report may outlive its cases
            (out / name).unlink(missing_ok=True)
        file.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot be written ({error.strerror})", where=out) from error
    return {}


def _refuse_another(file: Path, wanted: dict[str, Any]) -> None:
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError):
        held = {}
    if held == wanted:
        return
    if not isinstance(held, dict) or held.get("schema") != SCHEMA:
        what = "this does not say what the cases beside it are cases of"
    elif held.get("ensemble") != wanted["ensemble"]:
        what = f"the cases here are of another ensemble ({_in_words(held.get('ensemble'))})"
    else:
        differing = [key for key in wanted if held.get(key) != wanted[key]]
        what = f"the cases here were measured by other software ({', '.join(differing)} differ)"
    raise OutputError(what, where=file, todo="Name another --out, or start afresh with --replace.")


def _in_words(identity: Any) -> str:
    if not isinstance(identity, dict):
        return "unknown"
    shown = [f"seed {identity.get('seed')}"]
    return ", ".join(shown + (["short"] if identity.get("short") else []))


def _read_cases(path: Path) -> dict[int, Row]:
    """The whole lines of ``cases.jsonl``; one that a stopped run left half written is cut off."""
    if not path.exists():
        return {}
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    try:
        rows = [json.loads(line) for line in whole.splitlines()]
        found = {int(row["index"]): row for row in rows}
    except (ValueError, TypeError, KeyError) as error:
        raise OutputError(
            "a line of this is no case", where=path, todo="Start afresh with --replace."
        ) from error
    if len(whole) < len(data):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return found


# --- the work --------------------------------------------------------------------------------------------


def run_cases(
    ensemble: Ensemble,
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
    ensemble, indexes, out
        Which cases of what, and the folder of :func:`prepare`.
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
        for row in _measured(ensemble, indexes, workers):
            file.write(json.dumps(row, separators=(",", ":")) + "\n")
            file.flush()
            done += 1
            progress("measuring phantoms", before + done, before + len(indexes))
            yield row


def _measured(ensemble: Ensemble, indexes: Sequence[int], workers: int) -> Iterator[Row]:
    if workers <= 1:
        _single_threaded()
        for index in indexes:
            yield work(ensemble, index)
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
                    running.add(pool.submit(work, ensemble, waiting.pop()))
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


def work(ensemble: Ensemble, index: int) -> Row:
    """One case; a bug that it strikes on becomes a line too, since the other cases are still worth having."""
    from xctrules.campaigns.validation.measuring import measure_case

    case = ensemble.case(index)
    try:
        return measure_case(case)
    except Exception:
        trace = traceback.format_exc(limit=-4)
        return {"index": index, "kind": case.kind, "error": _without_paths(trace), "measurements": {}}


def _without_paths(trace: str) -> str:
    """A traceback that names files by their last three parts, so that it tells nothing of the machine."""
    import re

    return re.sub(r'File "([^"]+)"', lambda m: f'File "{"/".join(Path(m[1]).parts[-3:])}"', trace)


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
