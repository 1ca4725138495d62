"""Where everything lies in an archive's folder.

::

    README.txt                                what this is, in plain words
    verify_xctrules.py                        checks it without xctrules
    checkpoint                                the newest state of the log
    log/000000/000000012.json                 entry 12: what was added, and the SHA-256 of its files
    records/ab/ab12.../record.json            a record, in a folder named by its own SHA-256
    records/ab/ab12.../report.html, ...       the files that belong to it, as in the folder it came from
    records/ab/ab12.../archive.tlog-proof     that it stands in the log
    records/ab/ab12.../added/cd34....json     what was said of it later

Files are written once. ``checkpoint`` alone is replaced, and by that becomes true what was written before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xctrules.records.folder import ADDED_FOLDER

CHECKPOINT, LOG, RECORDS = "checkpoint", "log", "records"
README, CHECKER = "README.txt", "verify_xctrules.py"
PROOF = "archive.tlog-proof"
ADDED = ADDED_FOLDER
PENDING, LOCK = "pending", "lock"
UNFINISHED = ".new"
"""Ending of a file that is about to take another one's place."""
TRANSIENT = frozenset({PENDING, LOCK, CHECKPOINT + UNFINISHED, PENDING + UNFINISHED})
"""What serves writers and says nothing."""
DERIVED_FILES, DERIVED_FOLDERS = (
    frozenset({"index.sqlite", "index.sqlite-journal", "index.html"}),
    frozenset({"pages"}),
)
"""What is made from the rest at any time, and proves nothing."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[^\x00-\x1f\x7f\\/:]{1,200}")


def is_archive(folder: Path) -> bool:
    """Whether a folder is an archive, or what is left of one."""
    return (folder / LOG).is_dir() and (
        (folder / CHECKPOINT).exists() or (folder / RECORDS).is_dir() or (folder / CHECKER).exists()
    )


def archive_around(path: Path) -> Path | None:
    """The archive in which a path lies; ``None`` where it lies in none."""
    return next((folder for folder in path.resolve().parents if is_archive(folder)), None)


def is_sha256(text: object) -> bool:
    return isinstance(text, str) and _SHA256.fullmatch(text) is not None


def is_safe_name(name: object) -> bool:
    """Whether a name is one of a file inside a folder, at any depth, on every system."""
    if not isinstance(name, str) or len(name.encode("utf-8", "replace")) > 400:
        return False
    return all(
        _NAME.fullmatch(part) and part not in (".", "..") and part == part.strip() for part in name.split("/")
    )


def entry_path(index: int) -> str:
    """Path of an entry, a thousand to a folder."""
    return f"{LOG}/{index // 1000:06d}/{index:09d}.json"


def record_folder(record_sha256: str) -> str:
    return f"{RECORDS}/{record_sha256[:2]}/{record_sha256}"


def proof_path(entry: Mapping[str, Any], index: int) -> str:
    """Path of an entry's proof: beside its record, or beside the entry where that brings none."""
    if entry["kind"] == "record":
        return f"{record_folder(entry['record'])}/{PROOF}"
    return entry_path(index).removesuffix(".json") + ".tlog-proof"


def file_path(entry: Mapping[str, Any], name: str) -> str:
    """Path of a file that an entry lists."""
    return name if entry["kind"] == "archive" else f"{record_folder(entry['record'])}/{name}"


def added_name(sha256: str, original: str) -> str:
    """The name of a file that comes to a record later: its content's, so that none is in another's way."""
    suffix = Path(original).suffix.lower()
    return f"{ADDED}/{sha256}{suffix if re.fullmatch(r'[.][a-z0-9]{1,12}', suffix) else ''}"
