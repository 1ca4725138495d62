"""The folder of a cell: its record, its report, and the files beside them, written whole or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from xctrules.core.canonical import canonical_bytes
from xctrules.core.errors import OutputError
from xctrules.core.figures import Samples
from xctrules.core.files import AlreadyThere, finish_interrupted_swap, safe_file_stem, write_folder
from xctrules.records.samples import samples_csv

RECORD_NAME = "record.json"
REPORT_NAME = "report.html"
SCAN_LIST_NAME = "samples/scan.sha256"
ADDED_FOLDER = "added"
"""Where an archive puts what comes to a record later, signatures among it, by content."""
CERTIFICATE_STEM = "certificate"
CERTIFICATE_NAMES = (f"{CERTIFICATE_STEM}.html", f"{CERTIFICATE_STEM}.pdf")
"""A record's certificate, drawn from it later: not listed in it, and gone when it is replaced."""
SIGNATURES_FOLDER, SIGNATURE_SUFFIX, TIMESTAMP_SUFFIX = "signatures", ".dsse.json", ".tsr"


def cell_files(images: Mapping[str, bytes], samples: Sequence[Samples], digest_text: str) -> dict[str, bytes]:
    """All files that stand beside a record, by name: images, single values, the list of scan files."""
    files = {name: bytes(data) for name, data in images.items()}
    for table in samples:
        name = f"samples/{safe_file_stem(table.name)}.csv"
        if name in files:
            raise ValueError(f"two tables of samples would both be {name}")
        files[name] = samples_csv(table)
    files[SCAN_LIST_NAME] = digest_text.encode("utf-8")
    return files


def can_be_listed(name: str) -> bool:
    """Whether a record can list a file by this name: one that stands in its folder."""
    path = PurePosixPath(name)
    ordinary = bool(name) and name.isprintable() and "\\" not in name and len(name.encode()) < 200
    return ordinary and not path.is_absolute() and ".." not in path.parts


_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = {"con", "prn", "aux", "nul", *(f"{d}{i}" for d in ("com", "lpt") for i in range(1, 10))}


def check_cell_id(cell_id: str, where: str = "--cell-id") -> None:
    """Refuse an id that cannot name a folder on every system; ``where`` it was given.

    Raises
    ------
    OutputError
    """
    problem = None
    if not cell_id.strip():
        problem = "is empty"
    elif cell_id != cell_id.strip():
        problem = "begins or ends with a space"
    elif cell_id.startswith(".") or cell_id.endswith("."):
        problem = "begins or ends with a dot"
    elif unsafe := _UNSAFE.search(cell_id):
        problem = f"holds {unsafe.group()!r}"
    elif cell_id.split(".")[0].lower() in _RESERVED:
        problem = "is a name that Windows keeps for itself"
    elif len(cell_id.encode("utf-8", "replace")) > 150:
        problem = "is longer than 150 bytes"
    elif not cell_id.isprintable():
        problem = "holds characters that cannot be printed"
    if problem:
        raise OutputError(
            f"the cell id {cell_id!r} {problem}",
            where=where,
            todo="Give one that can be a folder's name.",
        )


def cell_folder(out_dir: Path, cell_id: str, *, replace: bool = False) -> Path:
    """The folder for a cell, once it is known that nothing would be lost in it.

    Raises
    ------
    OutputError
        For an id that is no folder name; when the folder holds a record already and ``replace`` is not set;
        when it holds anything else.
    """
    check_cell_id(cell_id)
    folder = out_dir / cell_id
    finish_interrupted_swap(folder)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise OutputError("the cell's folder is something else", where=folder, todo="Choose another --out.")
    if (folder / RECORD_NAME).exists():
        if not replace:
            raise _there_already(folder)
    elif folder.is_dir() and any(folder.iterdir()):
        raise OutputError(
            "the folder holds files that are no record",
            where=folder,
            todo="Choose another --out or --cell-id.",
        )
    return folder


def write_cell(
    out_dir: Path,
    record: Mapping[str, Any],
    files: Mapping[str, bytes],
    report_html: str,
    *,
    signatures: Mapping[str, bytes] | None = None,
    replace: bool = False,
) -> Path:
    """Write a cell's folder, whole or not at all.

    Signatures and certificate of a record that is replaced go with it: they are of nothing that is there any
    more.

    Returns
    -------
    folder
        ``<out_dir>/<cell_id>``.

    Raises
    ------
    OutputError
        As :func:`cell_folder`, and when something cannot be written.
    """
    folder = cell_folder(out_dir, str(record["cell_id"]), replace=replace)
    contents = {**files, RECORD_NAME: canonical_bytes(record), REPORT_NAME: report_html.encode("utf-8")}
    contents |= signatures or {}
    try:
        write_folder(folder, contents, replace=replace, keep=_others_files(folder, contents))
    except AlreadyThere as error:
        raise _there_already(folder) from error
    return folder


def _there_already(folder: Path) -> OutputError:
    return OutputError(
        "there is a record of this cell already",
        where=folder,
        todo="Give --replace to replace it, or another --out or --cell-id.",
    )


def _others_files(folder: Path, to_be_written: Iterable[str]) -> list[Path]:
    """Files in a cell's folder, by their path in it, of which its record knows nothing.

    Where the record cannot be read, those that are to be written count as its own.
    """
    if not folder.is_dir():
        return []
    own = {RECORD_NAME, REPORT_NAME, *CERTIFICATE_NAMES}
    try:
        record = json.loads((folder / RECORD_NAME).read_bytes())
        own |= {str(entry["name"]) for entry in record["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        own |= set(to_be_written)
    own |= {f"{SIGNATURES_FOLDER}/{path.name}" for path in _signatures(folder)}
    held = (p for p in sorted(folder.rglob("*")) if p.is_symlink() or not p.is_dir())
    return [p.relative_to(folder) for p in held if p.relative_to(folder).as_posix() not in own]


def _signatures(folder: Path) -> Iterator[Path]:
    """Signatures of the record in a cell's folder, and the time stamps beside them."""
    for ending in (SIGNATURE_SUFFIX, SIGNATURE_SUFFIX + TIMESTAMP_SUFFIX):
        yield from (folder / SIGNATURES_FOLDER).glob(f"*{ending}")
