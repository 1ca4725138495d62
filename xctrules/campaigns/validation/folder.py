"""The folder of a validation: which cases it holds, and what they are cases of.

In: a campaign and a folder. Out: the cases that are there already, or a refusal. Every finished case is a
line of ``cases.jsonl`` at once, and ``ensemble.json`` says what they are cases of.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xctrules.campaigns.validation.campaign import Campaign
from xctrules.core.canonical import canonical_bytes, plain
from xctrules.core.errors import OutputError
from xctrules.core.files import write_file
from xctrules.core.validation import Row
from xctrules.records.record import software_versions

CASES_NAME = "cases.jsonl"
ENSEMBLE_NAME = "ensemble.json"
RESULT_NAME, REPORT_NAME = "validation.json", "validation.html"
SCHEMA = "xctrules.validation/2"


def header(campaign: Campaign) -> dict[str, Any]:
    """What the cases in a folder are cases of: the ensemble, and all software that could change a number."""
    registry = campaign.registry
    registry.collect()
    told: dict[str, Any] = plain(
        {
            "schema": SCHEMA,
            "ensemble": campaign.identity(),
            "software": software_versions(),
            "plugins": [
                {"name": p.name, "version": p.version, "sha256": p.sha256, "load_error": p.load_error}
                for p in registry.plugins
            ],
        }
    )
    return told


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
    except OSError as error:
        raise OutputError(f"cannot be written ({error.strerror})", where=out) from error
    write_file(file, canonical_bytes(wanted))
    return {}


def line_of(row: Row) -> str:
    """A case as a line of ``cases.jsonl``."""
    return json.dumps(row, separators=(",", ":"), ensure_ascii=False, allow_nan=False) + "\n"


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
    shown = [f"{identity.get('geometry')} cells", f"seed {identity.get('seed')}"]
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
