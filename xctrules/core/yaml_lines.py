"""YAML with line numbers: plain values, and where each of them stands in the file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from xctrules.core.errors import XctrulesError

Location = tuple[str | int, ...]
"""Keys and list indices that lead to a value."""

_MAX_NODES = 20_000
_NULL, _TEXT = "tag:yaml.org,2002:null", "tag:yaml.org,2002:str"
_FLOAT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Yaml:
    """A YAML document.

    Attributes
    ----------
    value
        Mappings, lists and scalars; ``None`` for an empty document.
    file
        The file as the user knows it.
    lines
        Line of every key and list item, counted from 1.
    """

    value: Any
    file: str
    lines: Mapping[Location, int]

    def line(self, *location: str | int) -> int:
        """Line of a location, or of the nearest thing around it that has one."""
        for stop in range(len(location), -1, -1):
            if location[:stop] in self.lines:
                return self.lines[location[:stop]]
        return 1

    def where(self, *location: str | int) -> str:
        """``file:line`` of a location."""
        return f"{self.file}:{self.line(*location)}"


def read_yaml(
    text: str,
    file: object,
    error: type[XctrulesError],
    as_text: Callable[[Location], bool] = lambda location: False,
) -> Yaml:
    """Plain values of a YAML document, with the line of each.

    Parameters
    ----------
    file
        What the errors call the file.
    error
        Their class.
    as_text
        For which locations a scalar is the text that stands there: YAML itself reads ``012`` as ten, ``no``
        as false and a date as an object. ``null`` and nothing at all stay ``None``.

    Raises
    ------
    error
        With ``file:line``, for what is not YAML, a key that is given twice or is no text, and aliases that
        contain themselves or multiply without end.
    """
    builder = _Builder(str(file), error, as_text)
    node = builder.composed(text)
    value = None if node is None else builder.built(node, (), ())
    return Yaml(value, str(file), builder.lines)


class _Builder:
    """Builds values out of nodes and notes the lines on the way."""

    def __init__(self, file: str, error: type[XctrulesError], as_text: Callable[[Location], bool]) -> None:
        self.lines: dict[Location, int] = {}
        self._file, self._error, self._as_text = file, error, as_text
        self._count = 0

    def composed(self, text: str) -> yaml.Node | None:
        try:
            node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
        except (yaml.YAMLError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
            problem = getattr(error, "problem", None) or getattr(error, "context", None) or error
            raise self._refusal(
                f"not valid YAML: {' '.join(str(problem).split())}", mark.line + 1 if mark else 1
            ) from error
        return node

    def built(self, node: yaml.Node, location: Location, around: tuple[int, ...]) -> Any:
        line = node.start_mark.line + 1
        self._count += 1
        if id(node) in around or self._count > _MAX_NODES:
            raise self._refusal("aliases nest too deeply", line, "Write the values out.")
        self.lines.setdefault(location, line)
        inside = (*around, id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, location, inside)
        if isinstance(node, yaml.SequenceNode):
            return [self.built(item, (*location, i), inside) for i, item in enumerate(node.value)]
        return self._scalar(node, location)

    def _mapping(self, node: yaml.MappingNode, location: Location, inside: tuple[int, ...]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._refusal("a key must be plain text", line)
            key = str(key_node.value)
            if key in values:
                first = self.lines[(*location, key)]
                raise self._refusal(
                    f"the key {key!r} is given twice (first in line {first})", line, "Keep one of the two."
                )
            self.lines[(*location, key)] = line
            values[key] = self.built(value_node, (*location, key), inside)
        return values

    def _scalar(self, node: yaml.Node, location: Location) -> Any:
        if node.tag == _NULL:
            return None
        if self._as_text(location):
            return node.value
        if node.tag == _TEXT:
            # YAML 1.1 takes 1e-3 for text, since it has no dot.
            plain = getattr(node, "style", None) is None and _FLOAT.fullmatch(node.value)
            return float(node.value) if plain else node.value
        try:
            return yaml.SafeLoader("").construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError) as error:
            line = node.start_mark.line + 1
            raise self._refusal(f"the value {node.value!r} cannot be read", line) from error

    def _refusal(self, what: str, line: int, todo: str | None = None) -> XctrulesError:
        return self._error(what, where=f"{self._file}:{line}", todo=todo)
