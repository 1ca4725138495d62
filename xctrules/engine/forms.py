"""The form that an object must have to serve a hook: what is missing, in words.

What is checked here, once, when an object comes in, nobody asks again: neither whether it has what its hook
wants, nor whether an optional power that it has is of use.
"""

from __future__ import annotations

import inspect
import math
import numbers
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np

from xctrules.core.cell import Settings
from xctrules.core.names import Description
from xctrules.core.protocols import Option

_MEASUREMENT_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")
_OPTION_NAME = re.compile(r"[a-z][a-z0-9_]*")
LONGEST_SHOWN = 60
"""Characters of a plugin's value that a message shows."""

_KINDS = (int, float, str, bool)
_BETTER = get_args(get_type_hints(Description)["better"])


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


# --- the hooks -------------------------------------------------------------------------------------------


def _reader_fault(value: Any) -> str | None:
    return _lacks(value, text=("name",), methods=("can_read", "open"))


def _folder_fault(value: Any) -> str | None:
    if not isinstance(value, str | Path):
        return "is no path"
    return None if Path(value).is_dir() else f"names no folder: {value}"


def _frame_fault(value: Any) -> str | None:
    return (
        _lacks(value, text=("geometry",), methods=("find",))
        or _half(value, "options", "settings")
        or _options_fault(getattr(value, "options", ()))
        or _half(value, "mask_option", "mask_labels")
        or _masks_fault(value)
        or _no_method(value, "scope", "predictor")
    )


def _phantoms_fault(value: Any) -> str | None:
    fault = _lacks(value, text=("geometry",), methods=("draw",))
    if fault:
        return fault
    formats = getattr(value, "formats", None)
    if not is_texts(formats) or not formats:
        return "has no formats (a list of the cells' names)"
    return _options_fault(getattr(value, "options", None))


def _segmenter_fault(value: Any) -> str | None:
    return (
        _lacks(value, text=("name",), methods=("segment",))
        or _geometry_fault(value)
        or _untrue(value, "reads_labels")
        or _no_method(value, "check", "export_labels")
    )


def metric_fault(value: Any) -> str | None:
    """What is wrong with the form of a metric or screen, in words; ``None`` when nothing is."""
    return (
        _lacks(value, text=("name", "title"), methods=("measure",))
        or _geometry_fault(value)
        or _untrue(value, "about_the_scan")
        or _declares_fault(getattr(value, "declares", None))
        or _needs_fault(getattr(value, "needs", {}))
        or _describes_fault(getattr(value, "describes", {}), value.declares)
        or (None if is_texts(getattr(value, "parts", ())) else "has parts that are no list of names")
    )


_CHECKS: Mapping[str, Callable[[Any], str | None]] = {
    "xctrules_readers": _reader_fault,
    "xctrules_spec_folders": _folder_fault,
    "xctrules_frames": _frame_fault,
    "xctrules_phantoms": _phantoms_fault,
    "xctrules_segmenters": _segmenter_fault,
    "xctrules_screens": metric_fault,
    "xctrules_metrics": metric_fault,
}


# --- what several of them have ---------------------------------------------------------------------------


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


def _no_method(value: Any, *names: str) -> str | None:
    """What it has in the place of a method that it may have."""
    for name in names:
        if hasattr(value, name) and not callable(getattr(value, name)):
            return f"has something else than a method as {name}"
    return None


def _untrue(value: Any, name: str) -> str | None:
    """What it has as a mark that is True or not there."""
    given = getattr(value, name, True)
    return None if given is True else f"has {name} = {shown(given)}; give True, or leave it away"


def _half(value: Any, one: str, other: str) -> str | None:
    """Which of two it lacks that are of use together alone."""
    for there, missing in ((one, other), (other, one)):
        if hasattr(value, there) and not hasattr(value, missing):
            return f"has {there}, but no {missing}"
    return None


def _geometry_fault(value: Any) -> str | None:
    geometry = getattr(value, "geometry", "any")
    if isinstance(geometry, str) and geometry:
        return None
    return f"is for the geometry {shown(geometry)}, which is no text"


def _options_fault(options: Any) -> str | None:
    if not isinstance(options, list | tuple):
        return "has options that are no list"
    for option in options:
        fault = _option_fault(option)
        if fault:
            return f"has an option {shown(getattr(option, 'name', option))} {fault}"
    names = [option.name for option in options]
    twice = next((name for name in names if names.count(name) > 1), None)
    return f"has two options {twice!r}" if twice else None


def _option_fault(option: Any) -> str | None:
    if not isinstance(option, Option):
        return "that is no Option"
    if not isinstance(option.name, str) or not _OPTION_NAME.fullmatch(option.name):
        return "whose name is no lower-case word"
    if option.name in [field.name for field in fields(Settings)]:
        return "whose name every inspection has already"
    if option.kind not in _KINDS:
        return f"of the kind {shown(option.kind)} instead of int, float, str or bool"
    if not isinstance(option.help, str) or not isinstance(option.unit, str):
        return "whose help or unit is no text"
    if not is_texts(option.choices) or (option.choices and option.kind is not str):
        return "whose choices are no texts"
    default = (int, float) if option.kind is float else option.kind
    if option.default is not None and not isinstance(option.default, default):
        return f"whose default {shown(option.default)} is of another kind"
    limits = (option.low, option.high)
    if limits != (None, None) and (option.kind not in (int, float) or not _is_range(limits)):
        return "with limits that are no numbers"
    return None


def _masks_fault(value: Any) -> str | None:
    if not hasattr(value, "mask_option"):
        return None
    if value.mask_option not in [option.name for option in getattr(value, "options", ())]:
        return f"has the mask_option {shown(value.mask_option)}, which is none of its options"
    labels = value.mask_labels
    if not is_mapping(labels, lambda label: is_number(label) and label == int(label)):
        return "has mask_labels that map no texts to whole numbers"
    return None


def _declares_fault(declares: Any) -> str | None:
    if not isinstance(declares, Mapping) or not declares:
        return "declares no measurements (a mapping of name to unit)"
    for name, unit in declares.items():
        if not isinstance(name, str) or not _MEASUREMENT_NAME.fullmatch(name):
            return (
                f"declares {shown(name)}, which is no measurement's name: use lower-case words joined by dots"
            )
        if not isinstance(unit, str) or not unit:
            return f"declares {name} without a unit ('1' for counts and ratios)"
    return None


def _needs_fault(needs: Any) -> str | None:
    if is_mapping(needs, _is_range):
        return None
    return "needs something else than least and largest values (a mapping of name to (low, high))"


def _describes_fault(describes: Any, declares: Mapping[str, str]) -> str | None:
    if not isinstance(describes, Mapping):
        return "describes its measurements by something else than a mapping of name to Description"
    for name, described in describes.items():
        if name not in declares:
            return f"describes {shown(name)}, which it does not declare"
        if not isinstance(described, Description):
            return f"describes {name} by a {type(described).__name__}, which is no Description"
        if described.unit != declares[name]:
            return f"describes {name} in {shown(described.unit)}, but declares it in {declares[name]!r}"
        texts = (described.title, described.meaning, described.nominal)
        if not all(isinstance(text, str) for text in texts):
            return f"describes {name} with a title, meaning or nominal that is no text"
        if described.better not in _BETTER or not isinstance(described.zero_when_good, bool):
            return f"describes {name} with another better or zero_when_good than there is"
    return None


# --- values ----------------------------------------------------------------------------------------------


def shown(value: Any) -> str:
    """A value in a sentence: short, and the same in every run."""
    text = " ".join(re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value)).split())
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def is_texts(value: Any) -> bool:
    """Whether it is a list of texts; a text alone is none."""
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def is_number(value: Any) -> bool:
    """Whether it is a finite real number; a truth value is none."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False


def is_mapping(value: Any, holds: Callable[[Any], bool] = lambda item: True) -> bool:
    """Whether it is a mapping of texts to what ``holds``."""
    return isinstance(value, Mapping) and all(isinstance(k, str) and holds(v) for k, v in value.items())


def _is_range(limits: Any) -> bool:
    """Whether it is a pair of numbers, either of which may be None."""
    if not isinstance(limits, tuple) or len(limits) != 2:
        return False
    return all(limit is None or is_number(limit) for limit in limits)
