"""What the objects of plugins return, held against what their protocols promise.

Each is checked where it comes in, by :func:`sound`; whoever gets it from there can rely on it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from xctrules.core.canonical import plain
from xctrules.core.cell import Frame, Settings, Surfaces
from xctrules.core.ledger import ledger_fault
from xctrules.core.measurement import MetricResult
from xctrules.core.protocols import Prediction, Scope
from xctrules.engine.faults import PluginBroke, describe_exception
from xctrules.engine.forms import is_mapping, is_number, is_texts, shown

LARGEST = 1e60
"""No length, angle or ratio of a cell is larger; the fourth power of what is smaller still is a number."""

T = TypeVar("T")


def sound(value: T, fault: Callable[[Any], str | None]) -> T:
    """``value``, where ``fault`` finds none.

    Raises
    ------
    PluginBroke
        With the fault in words that follow the plugin's name: ``returned …``.
    """
    found = fault(value)
    if found is not None:
        raise PluginBroke(f"returned {found}")
    return value


def settings_fault(value: Any) -> str | None:
    """What is wrong with settings that a frame finder made; ``None`` when nothing is."""
    if not isinstance(value, Settings):
        return f"{_kind(value)}, which is no Settings"
    return _unrecordable(value)


def frame_fault(value: Any) -> str | None:
    """What is wrong with a frame; ``None`` when nothing is."""
    lacking = [name for name in ("to_voxel", "to_cell") if not callable(getattr(value, name, None))]
    if inspect.isclass(value) or lacking or not isinstance(value, Frame):
        what = f": it has no {' and no '.join(lacking)}" if lacking else ""
        return f"{_kind(value)}, which is no frame{what}"
    if not is_texts(value.warnings):
        return "a frame whose warnings are no list of sentences"
    return _unrecordable(value)


def surfaces_fault(value: Any) -> str | None:
    """What is wrong with the surfaces that a segmenter found; ``None`` when nothing is."""
    if not isinstance(value, Surfaces):
        return f"{_kind(value)}, which are no surfaces"
    if not isinstance(value.segmenter, str):
        return "surfaces whose segmenter has no name"
    for name in ("missing", "waives"):
        if not is_mapping(getattr(value, name), _is_text):
            return f"surfaces whose {name} is no mapping of names to reasons"
    if not is_texts(value.warnings):
        return "surfaces whose warnings are no list of sentences"
    if not isinstance(value.parameters, Mapping):
        return "surfaces whose parameters are no mapping"
    return _unrecordable(value.parameters)


def scope_fault(value: Any) -> str | None:
    """What is wrong with what a geometry tells of its scope; ``None`` when nothing is."""
    if not isinstance(value, Scope):
        return f"{_kind(value)}, which is no Scope"
    if not is_mapping(value.places, lambda seen: seen is None or isinstance(seen, bool | np.bool_)):
        return "a Scope whose places are no mapping of names to True, False or None"
    if not _is_text(value.noun) or not _is_text(value.text):
        return "a Scope whose noun or text is no text"
    if not isinstance(value.figures, Mapping):
        return "a Scope whose figures are no mapping"
    return _unrecordable(value.figures)


def predictor_fault(value: Any) -> str | None:
    """What is wrong with formulas for uncertainties, or the reason for none; ``None`` when nothing is."""
    if isinstance(value, str):
        return None
    if inspect.isclass(value) or not callable(getattr(value, "predict", None)):
        return f"{_kind(value)}, which predicts nothing"
    if not is_number(getattr(value, "usual_mm", None)):
        return "formulas whose usual_mm is no number"
    sizes = getattr(value, "voxel_um", None)
    if not isinstance(sizes, list | tuple) or not sizes or not all(map(_is_named_size, sizes)):
        return "formulas whose voxel_um lists no sizes with their directions"
    return None


def prediction_fault(value: Any) -> str | None:
    """What is wrong with one prediction; ``None`` when nothing is, or nothing is predicted."""
    if value is None:
        return None
    if not isinstance(value, Prediction):
        return f"{_kind(value)}, which is no Prediction"
    parts = (value.scale, value.voxel, value.noise)
    if not all(is_number(part) and 0 <= part < LARGEST for part in parts):
        return f"a Prediction of {shown(parts)}, which are no uncertainties"
    return None


def result_fault(value: Any) -> str | None:
    """What is wrong with the form of a metric's result, its single parts aside; ``None`` when nothing is."""
    if not isinstance(value, MetricResult):
        return f"{_kind(value)}, not a MetricResult"
    for name in ("measurements", "figures", "samples", "ledgers"):
        if not isinstance(getattr(value, name), list | tuple):
            return f"a MetricResult whose {name} are no list"
    for name in ("rejections", "warnings"):
        if not is_texts(getattr(value, name)):
            return f"a MetricResult whose {name} are no list of sentences"
    account = next(filter(None, map(ledger_fault, value.ledgers)), None)
    if account is not None:
        return f"a MetricResult in which {account}"
    if not isinstance(value.parameters, Mapping):
        return "a MetricResult whose parameters are no mapping"
    return _unrecordable(value.parameters)


def _unrecordable(value: Any) -> str | None:
    """Why a value cannot be written into the record."""
    try:
        plain(value)
    except Exception as error:  # it holds itself, or something whose own text raises
        return f"{_kind(value)}, which cannot be recorded ({describe_exception(error)})"
    return None


def _kind(value: Any) -> str:
    if inspect.isclass(value):
        return f"the class {value.__name__}"
    return type(value).__name__


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_named_size(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and _is_text(value[0]) and is_number(value[1])
