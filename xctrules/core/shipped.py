"""What ships with the program beside its code, and one hash of all that could change a record or a page."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def shipped_folder(name: str) -> Path:
    """A folder that ships with the program: inside the installed package, or beside it in a checkout."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


@cache
def source_sha256() -> str:
    """SHA-256 over the program's own modules and templates: the list ``sha256  name``, sorted by name.

    Plugins have hashes of their own, and specs stand in the record whole.
    """
    templates = shipped_folder("templates")
    named = {f"xctrules/{file.relative_to(PACKAGE).as_posix()}": file for file in PACKAGE.rglob("*.py")}
    named |= {f"templates/{file.name}": file for file in templates.iterdir() if file.is_file()}
    lines = (f"{hashlib.sha256(named[name].read_bytes()).hexdigest()}  {name}\n" for name in sorted(named))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
