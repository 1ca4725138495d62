"""Values as bytes and back, between the engine and a plugin's process: data alone, never code.

A pickle can call anything where it is read, and a plugin's process writes what it likes. So nothing is
unpickled: a message is JSON that says how the value is made up, and the bytes of its arrays. What can be made
of it is plain values, arrays of numbers and text, and frozen dataclasses of the engine's own; an
object of any other class is handed to the ``foreign`` function of whoever writes or reads, see
:mod:`xctrules.engine.isolation.stand_ins`.

    message = 8 bytes: length of the JSON, 8 bytes: length of the rest, JSON, rest
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
import re
import struct
import sys
from collections.abc import Callable, Container, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path, PurePath
from typing import IO, Any

import numpy as np

MOST_BYTES = 2 * 10**9
"""Of one message: ten times what the surfaces of a cell take; volumes are shared, not sent."""

MOST_LEVELS = 60
"""Of containers in one another: deeper ones are taken for a mistake, such as a list that holds itself."""

_PREFIX = struct.Struct("<QQ")
_ARRAY_KINDS = "biufcSUmM"
_DTYPE = re.compile(rf"[<>|=][{_ARRAY_KINDS}]\d+(\[\w+\])?")
_TYPES: Mapping[str, type] = {kind.__name__: kind for kind in (int, float, bool, str)}


class WireError(Exception):
    """A value that cannot be handed over, or bytes that are no message."""


@dataclass(frozen=True)
class Message:
    """A value in the form in which it is sent."""

    tree: Any
    buffers: Sequence[bytes | memoryview]


# --- which classes are known -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Vocabulary:
    """Whose frozen dataclasses are sent as what they are.

    Attributes
    ----------
    packages
        Top-level packages that come with the engine.
    importing
        Whether a module that is not loaded yet is imported for one of its classes: never at the bidding of a
        plugin's process, whose messages might run a module that way.
    """

    packages: frozenset[str]
    importing: bool = False

    def knows(self, kind: type) -> bool:
        """Whether objects of exactly this class are sent as what they are."""
        try:
            return self.find(kind.__module__, kind.__qualname__) is kind
        except WireError:
            return False

    def find(self, module: str, name: str) -> type:
        """The class of that name.

        Raises
        ------
        WireError
            When it is no frozen dataclass of these packages, or its module is not loaded.
        """
        if module.partition(".")[0] not in self.packages:
            raise WireError(f"{module}.{name} is no class of the engine's")
        if self.importing and module not in sys.modules:
            importlib.import_module(module)
        kind = getattr(sys.modules.get(module), name, None)
        if not isinstance(kind, type) or kind.__module__ != module or not _is_frozen_dataclass(kind):
            raise WireError(f"{module}.{name} is no frozen dataclass that is loaded here")
        return kind


def _is_frozen_dataclass(kind: type) -> bool:
    own = kind.__dict__.get("__dataclass_params__")
    return own is not None and bool(own.frozen)


# --- writing -----------------------------------------------------------------------------------------------


class Writer:
    """Writes values down as messages.

    Parameters
    ----------
    foreign
        Called with this writer, an object of any other class and its level; returns what to write for it.
    kept
        Objects, by their ``id``, that are foreign whatever their class.
    absolute
        Whether paths are written as absolute ones, for a reader that works in another folder.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        foreign: Callable[[Writer, Any, int], Any],
        kept: Container[int] = (),
        absolute: bool = False,
    ) -> None:
        self._vocabulary = vocabulary
        self._foreign = foreign
        self._kept = kept
        self._absolute = absolute
        self._buffers: list[bytes | memoryview] = []

    def message(self, value: Any) -> Message:
        """The whole message.

        Raises
        ------
        WireError
            When the value cannot be sent.
        """
        self._buffers = []
        return Message(self.tree(value, 0), self._buffers)

    def tree(self, value: Any, level: int) -> Any:
        """What stands in the JSON for ``value``, which lies so many levels deep."""
        if level > MOST_LEVELS:
            raise WireError(f"it holds more than {MOST_LEVELS} containers in one another")
        if value is None or value is True or value is False:
            return value
        if isinstance(value, np.generic):
            return self._array("scalar", np.asarray(value), value, level)
        if isinstance(value, str):
            return str(value)
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            return float(value)
        return self._compound(value, level)

    def _compound(self, value: Any, level: int) -> Any:
        if id(value) in self._kept:
            return self._foreign(self, value, level)
        if isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray):
            return self._array("array", np.asarray(value), value, level)
        if isinstance(value, bytes | bytearray | memoryview):
            return {"bytes": self._buffer(bytes(value))}
        if isinstance(value, complex):
            return {"complex": [value.real, value.imag]}
        if isinstance(value, list):
            return self._listed(value, level)
        if isinstance(value, tuple):
            return {"tuple": self._listed(value, level)}
        if isinstance(value, Mapping):
            return {"dict": [self._listed(pair, level) for pair in value.items()]}
        if isinstance(value, Set):
            return {"set": self._listed(value, level)}
        if isinstance(value, PurePath):
            return {"path": str(Path(value).absolute() if self._absolute else value)}
        if isinstance(value, np.dtype) and _DTYPE.fullmatch(value.str):
            return {"dtype": value.str}
        if isinstance(value, type) and _TYPES.get(value.__name__) is value:
            return {"type": value.__name__}
        if self._vocabulary.knows(type(value)):
            return {"data": [type(value).__module__, type(value).__name__, self.fields(value, level)]}
        if isinstance(value, range):
            return self._listed(value, level)
        return self._foreign(self, value, level)

    def fields(self, value: Any, level: int) -> dict[str, Any]:
        """A dataclass's fields by name, as they stand in the JSON."""
        return {
            f.name: self.tree(getattr(value, f.name), level + 1) for f in dataclasses.fields(value) if f.init
        }

    def _listed(self, values: Any, level: int) -> list[Any]:
        return [self.tree(value, level + 1) for value in values]

    def _array(self, tag: str, array: np.ndarray[Any, Any], value: Any, level: int) -> Any:
        if array.dtype.hasobject:
            return {"objects": [list(array.shape), self._listed(array.ravel().tolist(), level)]}
        if not _DTYPE.fullmatch(array.dtype.str):
            return self._foreign(self, value, level)
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data if array.size else b""
        return {tag: [array.dtype.str, list(array.shape), self._buffer(data)]}

    def _buffer(self, data: bytes | memoryview) -> int:
        self._buffers.append(data)
        return len(self._buffers) - 1


# --- reading -----------------------------------------------------------------------------------------------


class Reader:
    """Makes values of messages.

    Parameters
    ----------
    foreign
        Called with this reader and what was written for an object of another class; returns the object.
    """

    def __init__(self, vocabulary: Vocabulary, foreign: Callable[[Reader, Any], Any]) -> None:
        self._vocabulary = vocabulary
        self._foreign = foreign
        self._buffers: Sequence[bytes | memoryview] = ()

    def value(self, message: Message) -> Any:
        """The value that a message holds.

        Raises
        ------
        WireError
            When it holds none, whatever is wrong with it.
        """
        self._buffers = message.buffers
        try:
            return self.made(message.tree)
        except WireError:
            raise
        except Exception as error:  # a message can be wrong in more ways than can be listed
            raise WireError(f"no message ({type(error).__name__}: {error})") from error

    def made(self, tree: Any) -> Any:
        """The value that stands in the JSON as ``tree``."""
        if isinstance(tree, list):
            return [self.made(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        ((tag, body),) = tree.items()
        make = self._MAKERS.get(tag)
        return self._foreign(self, tree) if make is None else make(self, body)

    def _tuple(self, body: Any) -> tuple[Any, ...]:
        return tuple(self.made(item) for item in body)

    def _dict(self, body: Any) -> dict[Any, Any]:
        return {self.made(key): self.made(value) for key, value in body}

    def _data(self, body: Any) -> Any:
        module, name, fields = body
        kind = self._vocabulary.find(module, name)
        return kind(**{field: self.made(value) for field, value in fields.items()})

    def _array(self, body: Any) -> Any:
        kind, shape, index = body
        dtype = _checked_dtype(kind)
        buffer = self._buffers[index]
        if len(buffer) != math.prod(shape) * dtype.itemsize:
            raise WireError(f"{len(buffer)} bytes are no array of {shape} {dtype}")
        return np.frombuffer(buffer, dtype).reshape(shape).copy()

    def _objects(self, body: Any) -> Any:
        shape, items = body
        array = np.empty(len(items), dtype=object)
        for i, item in enumerate(items):
            array[i] = self.made(item)
        return array.reshape(shape)

    _MAKERS: Mapping[str, Callable[[Any, Any], Any]] = {
        "tuple": _tuple,
        "dict": _dict,
        "set": lambda self, body: frozenset(self._tuple(body)),
        "path": lambda self, body: Path(body),
        "bytes": lambda self, body: bytes(self._buffers[body]),
        "complex": lambda self, body: complex(*body),
        "dtype": lambda self, body: _checked_dtype(body),
        "type": lambda self, body: _TYPES[body],
        "data": _data,
        "array": _array,
        "scalar": lambda self, body: self._array(body)[()],
        "objects": _objects,
    }


def _checked_dtype(text: Any) -> np.dtype[Any]:
    if not isinstance(text, str) or not _DTYPE.fullmatch(text):
        raise WireError(f"{text!r} is no type of numbers or text")
    return np.dtype(text)


# --- bytes -------------------------------------------------------------------------------------------------


def packed(message: Message) -> list[bytes | memoryview]:
    """The message as bytes, in parts that are to be written one after the other.

    Raises
    ------
    WireError
        When it is too large.
    """
    sizes = [len(buffer) for buffer in message.buffers]
    try:
        head = json.dumps([message.tree, sizes], separators=(",", ":")).encode()
    except ValueError as error:  # a number of thousands of digits
        raise WireError(str(error)) from error
    if len(head) + sum(sizes) > MOST_BYTES:
        raise WireError(f"it takes more than {MOST_BYTES / 1e9:g} GB")
    return [_PREFIX.pack(len(head), sum(sizes)), head, *message.buffers]


def write(parts: Sequence[bytes | memoryview], stream: IO[bytes]) -> None:
    """Write a packed message to a pipe; an OSError says that nobody reads any more."""
    for part in parts:
        stream.write(part)
    stream.flush()


def receive(stream: IO[bytes]) -> Message | None:
    """Read one message from a pipe; ``None`` when the other side has closed it.

    Raises
    ------
    WireError
        When what comes is no message.
    """
    prefix = stream.read(_PREFIX.size)
    if len(prefix) < _PREFIX.size:
        return None
    length, rest = _PREFIX.unpack(prefix)
    if length + rest > MOST_BYTES:
        raise WireError(f"a message of {(length + rest) / 1e9:.1f} GB")
    head, body = stream.read(length), stream.read(rest)
    if len(head) < length or len(body) < rest:
        return None
    try:
        tree, sizes = json.loads(head)
        ends = [0, *accumulate(sizes)]
        if any(size < 0 for size in sizes) or ends[-1] != rest:
            raise ValueError("its parts do not add up")
    except (ValueError, TypeError, RecursionError) as error:
        raise WireError(f"no message ({type(error).__name__}: {error})") from error
    view = memoryview(body)
    return Message(tree, [view[a:b] for a, b in pairwise(ends)])
