"""A series of numbered files: whether it is one, in which order, and whether a file is missing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xctrules.core.errors import ScanError


def natural_key(name: str) -> tuple[Any, ...]:
    """Key for sorting names with their numbers by value: im2 before im10."""
    parts = re.split(r"(\d+)", name.casefold())
    return (*((int(p), "") if k % 2 else (-1, p) for k, p in enumerate(parts)), (0, name))


def in_order(files: Sequence[Path], folder: Path) -> list[Path]:
    """The files of a folder in natural order.

    Raises
    ------
    ScanError
        When they are not one series: the running number must tell them apart.
    """
    files = sorted(files, key=lambda p: natural_key(p.name))
    if _lettered(files):
        return files
    patterns: dict[str, list[Path]] = {}
    for file in files:
        patterns.setdefault(pattern(file), []).append(file)
    if len(patterns) > 1:
        names = ", ".join(f"{found[0].name} ({len(found)})" for found in list(patterns.values())[:4])
        raise ScanError(
            f"the folder mixes {len(patterns)} series of files, beginning with {names}",
            where=folder,
            todo="Put each series into a folder of its own and give that one.",
        )
    if len(files) > 1 and not _running_numbers(files):
        raise ScanError(
            "the slices cannot be put in order: no single number in their names tells them apart "
            f"(for example {files[0].name} and {files[1].name})",
            where=folder,
            todo="Put one series into a folder of its own, named with one running number.",
        )
    for file in files:
        if "\n" in file.name or "\r" in file.name:
            raise ScanError("a slice has a line break in its name", where=folder, todo="Rename it.")
    return files


def _lettered(files: Sequence[Path]) -> bool:
    """Whether the files are a stack that ``tiffsplit`` took apart: xaaa.tif, xaab.tif and so on."""
    stems = [file.stem for file in files]
    begin = stems[0][:-3]
    return (
        len(stems) > 1
        and stems[0] == f"{begin}aaa"
        and all(s[:-3] == begin and re.fullmatch(r"[a-z]{3}", s[-3:]) for s in stems)
        and len({file.suffix for file in files}) == 1
    )


def pattern(file: Path) -> str:
    """The name with each number replaced by ``#``: the same for all files of a series."""
    return re.sub(r"\d+", "#", file.name.casefold())


def numbering_warnings(files: Sequence[Path]) -> tuple[str, ...]:
    """A warning where the running number skips: a slice that is missing shifts all that follow."""
    jumps = [
        np.flatnonzero(np.diff(column) != np.median(np.diff(column))) for column in _running_numbers(files)
    ]
    if not jumps or any(jump.size == 0 for jump in jumps):
        return ()
    before, after = files[jumps[0][0]].name, files[jumps[0][0] + 1].name
    return (
        f"the numbers of the slices do not run evenly (from {before} to {after}): "
        "if a slice is missing, heights beyond it are wrong",
    )


def _running_numbers(files: Sequence[Path]) -> list[tuple[int, ...]]:
    """The numbers in the names that differ from file to file: tuples of one value for each file."""
    if _lettered(files):
        return [tuple(_letters_value(file.stem[-3:]) for file in files)]
    rows = [[int(n) for n in re.findall(r"\d+", file.stem)] for file in files]
    return [column for column in zip(*rows, strict=True) if len(set(column)) == len(files)]


def _letters_value(letters: str) -> int:
    value = 0
    for letter in letters:
        value = 26 * value + ord(letter) - ord("a")
    return value
