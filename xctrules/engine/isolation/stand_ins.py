"""An object of a plugin's own class, and what stands for it on the engine's side.

The object stays in its process. What the engine gets has the same fields where it is a dataclass, the
attributes that the protocols of :mod:`xctrules.core` name, as data, and their methods, which run over there.
It is an object of the same engine's class, such as ``Surfaces``, where the plugin's class derives from one.
"""

from __future__ import annotations

import dataclasses
import keyword
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from xctrules.core import cell, protocols, slices
from xctrules.engine.isolation.shared import place_of
from xctrules.engine.isolation.wire import Vocabulary, WireError, Writer

MOST_TEXT = 2000
"""Characters of an object's text that are handed over."""

MOST_FIELD_BYTES = 2**26
"""Of an array in a field that is handed over: a volume of its own can stay where it is."""


def _members(module: Any) -> set[str]:
    """Names that the protocols of a module give to attributes and methods."""
    return {
        name
        for kind in vars(module).values()
        if isinstance(kind, type) and getattr(kind, "_is_protocol", False) and kind is not Protocol
        for name in (*vars(kind), *vars(kind).get("__annotations__", {}))
        if not name.startswith("_")
    }


MEMBERS = tuple(sorted({*_members(cell), *_members(protocols), *_members(slices)}))
"""What the engine may ask of a plugin's object."""


# --- in the plugin's process -------------------------------------------------------------------------------


def described(value: Any, held: Any, vocabulary: Vocabulary, writer: Writer, level: int) -> dict[str, Any]:
    """What is written of an object that stays here.

    Parameters
    ----------
    held
        By which it is found again.
    """
    kind = type(value)
    known = next((base for base in kind.__mro__ if vocabulary.knows(base)), None)
    fields = None
    if dataclasses.is_dataclass(value):
        names = [f.name for f in dataclasses.fields(value) if not f.name.startswith("_")]
        fields = {name: writer.tree(_handed_over(getattr(value, name)), level + 1) for name in names}
    attributes: dict[str, Any] = {}
    methods: list[str] = []
    for name in MEMBERS:
        if name in (fields or {}):
            continue
        try:
            member = getattr(value, name)
        except Exception:  # a property may do anything; then the object does not have it
            continue
        place = place_of(member) if isinstance(member, np.ndarray) else None
        if place is not None:
            attributes[name] = {"mapped": writer.tree(place, level + 1)}
        elif callable(member):
            methods.append(name)
        else:
            attributes[name] = writer.tree(member, level + 1)
    return {
        "class": kind.__name__,
        "text": _text(value),
        "base": None if known is None else [known.__module__, known.__name__],
        "fields": fields,
        "attributes": attributes,
        "methods": methods,
        "held": held,
    }


def _handed_over(field: Any) -> Any:
    if isinstance(field, np.ndarray) and field.nbytes > MOST_FIELD_BYTES:
        return f"{' x '.join(map(str, field.shape))} {field.dtype}, in the plugin's process"
    return field


def _text(value: Any) -> str:
    try:
        return str(value)[:MOST_TEXT]
    except Exception:  # an object whose own text raises
        return f"a {type(value).__name__}"


# --- in the engine's ---------------------------------------------------------------------------------------


class StandIn:
    """Stands for an object that another process holds."""

    remote: Any
    """By which its process finds it."""
    _text: str

    def __repr__(self) -> str:
        return self._text


def stand_in(
    description: Mapping[str, Any],
    made: Callable[[Any], Any],
    vocabulary: Vocabulary,
    remote: Any,
    method: Callable[[str], Callable[..., Any]],
) -> StandIn:
    """What stands for the object that was described.

    Parameters
    ----------
    made
        Makes a value of what was written for it.
    remote
        By which the object's process finds it.
    method
        Makes what is called in the place of one of the object's methods.

    Raises
    ------
    WireError
        When the description asks for what a stand-in cannot have.
    """
    base = description["base"]
    bases: tuple[type, ...] = (StandIn, *(() if base is None else (vocabulary.find(*base),)))
    fields = description["fields"]
    names = [_checked(name) for name in fields or ()]
    members = [*description["attributes"], *description["methods"]]
    if not set(members) <= set(MEMBERS):
        raise WireError(f"no plugin's object has {', '.join(set(members) - set(MEMBERS))}")
    kind = _class(str(description["class"]), bases, None if fields is None else names)
    value = object.__new__(kind)
    given = {name: made(tree) for name, tree in (fields or {}).items()}
    given |= {name: made(tree) for name, tree in description["attributes"].items()}
    given |= {name: method(name) for name in description["methods"]}
    given |= {"remote": remote, "_text": str(description["text"])}
    for name, item in given.items():
        if not isinstance(getattr(kind, name, None), property):
            object.__setattr__(value, name, item)
    return value


def _checked(name: str) -> str:
    if not name.isidentifier() or name.startswith("_") or keyword.iskeyword(name) or name == "remote":
        raise WireError(f"{name!r} is no name of a field")
    return name


def _class(name: str, bases: tuple[type, ...], fields: list[str] | None) -> type[StandIn]:
    """A class of that name; with the fields of a dataclass, so that a record lists them."""
    if fields is None:
        return type(name, bases, {})
    inherited = {f.name for base in bases[1:] for f in dataclasses.fields(base)}
    own = [(field, Any) for field in fields if field not in inherited]
    name = name if name.isidentifier() and not keyword.iskeyword(name) else "Plugins"
    return dataclasses.make_dataclass(name, own, bases=bases, frozen=True, eq=False, repr=False, kw_only=True)
