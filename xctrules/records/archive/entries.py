"""Entries of the log: one line of JSON each, in the one way that it can be written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from xctrules.core.errors import RecordError
from xctrules.records.archive.layout import is_safe_name, is_sha256
from xctrules.records.folder import RECORD_NAME

Json = Mapping[str, Any]

SCHEMA = "xctrules.entry/1"
KINDS = frozenset({"archive", "record", "addition"})


def entry_bytes(entry: Json) -> bytes:
    """The bytes of an entry, which are hashed and written: keys sorted, nothing between them, one line."""
    text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8") + b"\n"


def record_entry(index: int, record: Json, files: Mapping[str, bytes], added: str) -> dict[str, Any]:
    """The entry of a cell's folder.

    Parameters
    ----------
    files
        Bytes by name, ``record.json`` among them.
    added
        When, as ISO 8601 in UTC.
    """
    listed = listing(files)
    sha256 = next(file["sha256"] for file in listed if file["name"] == RECORD_NAME)
    head = {"schema": SCHEMA, "kind": "record", "index": index, "added": added, "record": sha256}
    return {**head, **summary(record), "files": listed}


def addition_entry(
    index: int, record_sha256: str, files: Mapping[str, bytes], added: str, about: str
) -> dict[str, Any]:
    """The entry of files that come to a record later; ``about`` says in a word what they are."""
    head = {"schema": SCHEMA, "kind": "addition", "index": index, "added": added, "record": record_sha256}
    return {**head, "about": about, "files": listing(files)}


def listing(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Name, SHA-256 and size of files, sorted by name."""
    return [
        {"name": name, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for name, data in sorted(files.items())
    ]


def summary(record: Json) -> dict[str, Any]:
    """What an entry says of its record, so that a list of all cells takes no record to be read."""
    spec, run = record["spec"], record["run"]
    acquisition = record["acquisition"]
    return {
        "cell_id": str(record["cell_id"]),
        "verdict": str(record["verdict"]),
        "spec": {key: str(spec[key]) for key in ("name", "version", "sha256")},
        "started": None if run.get("started") is None else str(run["started"]),
        "lot": None if acquisition.get("lot") is None else str(acquisition["lot"]),
        "not_passed": [
            str(c["rule"]) for c in record["checks"] if c["outcome"] not in ("PASS", "NOT_APPLICABLE")
        ],
        **({"rejudges": str(record["rejudges"]["record_sha256"])} if record.get("rejudges") else {}),
    }


def parse_entry(data: bytes, where: object) -> dict[str, Any]:
    """An entry from its bytes.

    Raises
    ------
    RecordError
        When it is none, or not written as this program writes one.
    """
    try:
        entry = json.loads(data.decode("utf-8"))
        problem = _problem(entry)
        if problem is None and entry_bytes(entry) != data:
            problem = "it is not written as xctrules writes it"
    except (ValueError, RecursionError, TypeError) as error:
        problem = str(error)
    if problem is not None:
        todo = "It is none, or it was cut off or changed."
        raise RecordError(f"not readable as an entry of the log ({problem})", where=where, todo=todo)
    return dict(entry)


def _problem(entry: Any) -> str | None:
    """What keeps JSON from being an entry that a reader can follow without harm."""
    if not isinstance(entry, Mapping) or entry.get("schema") != SCHEMA:
        return f"its schema is not {SCHEMA}"
    if entry.get("kind") not in KINDS:
        return f"its kind {entry.get('kind')!r} is not known here"
    if type(entry.get("index")) is not int:
        return "it states no place in the log"
    if entry["kind"] != "archive" and not is_sha256(entry.get("record")):
        return "it names no record"
    if not all(isinstance(entry.get(name), str) for name in _WORDS[entry["kind"]]):
        return f"it lacks one of {', '.join(_WORDS[entry['kind']])}"
    return _problem_of_summary(entry) or _problem_of_files(entry)


_WORDS = {
    "archive": ("added", "origin"),
    "record": ("added", "cell_id", "verdict"),
    "addition": ("added", "about"),
}
"""What an entry of each kind says in words."""


def _problem_of_summary(entry: Json) -> str | None:
    if entry["kind"] != "record":
        return None
    spec, rules = entry.get("spec"), entry.get("not_passed")
    if not isinstance(spec, Mapping) or not all(
        isinstance(spec.get(key), str) for key in ("name", "version", "sha256")
    ):
        return "it does not say by which spec was judged"
    if not isinstance(rules, list) or not all(isinstance(rule, str) for rule in rules):
        return "it does not say which rules were not passed"
    if not all(isinstance(entry.get(name), str | None) for name in ("lot", "started")):
        return "its lot or time is no text"
    return None


def _problem_of_files(entry: Json) -> str | None:
    files = entry.get("files")
    if not isinstance(files, list) or not files:
        return "it lists no files"
    for file in files:
        if not (
            isinstance(file, Mapping) and is_safe_name(file.get("name")) and is_sha256(file.get("sha256"))
        ):
            return "it lists a file without a name inside its folder, or without SHA-256"
        if type(file.get("size")) is not int:
            return "it lists a file without a size"
    names = [file["name"] for file in files]
    if sorted(set(names)) != names:
        return "its files are not sorted, or one is listed twice"
    hashes = {file["name"]: file["sha256"] for file in files}
    if entry["kind"] == "record" and hashes.get(RECORD_NAME) != entry["record"]:
        return "the record that it names is not the one that it lists"
    return None
