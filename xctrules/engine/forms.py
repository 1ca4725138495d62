"""The form that an object must have to serve a hook: what is missing, in words."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from xctrules.core.protocols import PhantomSource

_MEASUREMENT_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")


def fault_of(hook: str, value: Any) -> str | None:
    """What is wrong with the form of an object that ``hook`` returned, in words; ``None`` when nothing is."""
    return _CHECKS[hook](value)


def claims_of(hook: str, value: Any) -> list[str]:
    """What only one object of all plugins may have, such as its name, in words."""
    if hook == "xctrules_readers":
        return [f"reader {value.name!r}"]
    if hook == "xctrules_frames":
        return [f"geometry {value.geometry!r}"]
    if hook == "xctrules_phantoms":
        return [f"phantoms {value.geometry!r}"]
    if hook == "xctrules_segmenters":
        return [f"segmenter {value.name!r}"]
    if hook in ("xctrules_screens", "xctrules_metrics"):
        return [f"metric {value.name!r}", *(f"measurement {name!r}" for name in value.declares)]
    return []


def metric_fault(value: Any) -> str | None:
    """What is wrong with the form of a metric or screen, in words; ``None`` when nothing is."""
    fault = _lacks(value, text=("name", "title"), methods=("measure",))
    if fault:
        return fault
    declares = getattr(value, "declares", None)
    if not isinstance(declares, Mapping) or not declares:
        return "declares no measurements (a mapping of name to unit)"
    for name, unit in declares.items():
        if not isinstance(name, str) or not _MEASUREMENT_NAME.fullmatch(name):
            return f"declares {name!r}, which is no measurement's name: use lower-case words joined by dots"
        if not isinstance(unit, str) or not unit:
            return f"declares {name} without a unit ('1' for counts and ratios)"
    needs = getattr(value, "needs", {})
    if not isinstance(needs, Mapping) or not all(_is_range(limits) for limits in needs.values()):
        return "needs something else than least and largest values (a mapping of name to (low, high))"
    return None


def _reader_fault(value: Any) -> str | None:
    return _lacks(value, text=("name",), methods=("can_read", "open"))


def _segmenter_fault(value: Any) -> str | None:
    return _lacks(value, text=("name",), methods=("segment",))


def _frame_fault(value: Any) -> str | None:
    return _lacks(value, text=("geometry",), methods=("find",))


def _phantoms_fault(value: Any) -> str | None:
    fault = _lacks(value, text=("geometry",), methods=("draw",))
    return fault or (None if isinstance(value, PhantomSource) else "lacks `formats` or `options`")


def _folder_fault(value: Any) -> str | None:
    if not isinstance(value, str | Path):
        return "is no path"
    return None if Path(value).is_dir() else f"names no folder: {value}"


_CHECKS: Mapping[str, Callable[[Any], str | None]] = {
    "xctrules_readers": _reader_fault,
    "xctrules_spec_folders": _folder_fault,
    "xctrules_frames": _frame_fault,
    "xctrules_phantoms": _phantoms_fault,
    "xctrules_segmenters": _segmenter_fault,
    "xctrules_screens": metric_fault,
    "xctrules_metrics": metric_fault,
}


def _lacks(value: Any, *, text: Iterable[str] = (), methods: Iterable[str] = ()) -> str | None:
    if inspect.isclass(value):
        return "is a class; return an object of it"
    for name in text:
        given = getattr(value, name, None)
        if not isinstance(given, str) or not given:
            return f"has no {name} (a text)"
    for name in methods:
        if not callable(getattr(value, name, None)):
            return f"has no method {name}"
    return None


def _is_range(limits: Any) -> bool:
    """Whether it is a pair of numbers, either of which may be None."""
    if not isinstance(limits, tuple) or len(limits) != 2:
        return False
    return all(v is None or (isinstance(v, int | float) and not isinstance(v, bool)) for v in limits)
