"""YAML with line numbers: plain values, and where each of them stands in the file.

Scalars are read as YAML 1.2 reads them (its core schema), since that is what their writers expect: ``010``
is ten and ``no`` a word. The library that parses them follows YAML 1.1, which makes 8 of ``010``, 90 of
``1:30``, 5 of ``0_05``, a truth value of ``no`` and an object of a date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from xctrules.core.errors import XctrulesError

Location = tuple[str | int, ...]
"""Keys and list indices that lead to a value."""

_MAX_NODES, _MAX_DEPTH = 20_000, 20
_NULL, _TEXT, _BOOL, _INT, _FLOAT = (
    f"tag:yaml.org,2002:{kind}" for kind in ("null", "str", "bool", "int", "float")
)


class _TooMuch(Exception):
    """More, or more deeply nested, than anybody writes; with the line from which on it is."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.line = line


class _Loader(yaml.SafeLoader):
    """Composes nodes whose scalars are resolved as in YAML 1.2 (section 10.3.2), within bounds."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 - as the library has it

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        self._nodes += 1
        line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
        if self._depth > _MAX_DEPTH:
            raise _TooMuch(f"lists and mappings are nested more than {_MAX_DEPTH} deep", line)
        if self._nodes > _MAX_NODES:
            raise _TooMuch(f"the file holds more than {_MAX_NODES} values", line)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


for _tag, _pattern, _first in (
    (_NULL, r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    (_BOOL, r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    (_INT, r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        _FLOAT,
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
):
    _Loader.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern})\Z"), _first)


def _integer(text: str) -> int:
    """A whole number: decimal, whatever zeros it begins with, unless it begins with 0o or 0x."""
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    return int(text.replace("_", "?"), base)  # Python's underscores are not YAML's


def _decimal(text: str) -> float:
    infinite = re.fullmatch(r"([-+]?)\.(inf|nan)", text.lower())
    return float(infinite[1] + infinite[2] if infinite else text.replace("_", "?"))


_READ: Mapping[str, Callable[[str], Any]] = {
    _TEXT: str,
    _BOOL: lambda text: {"true": True, "false": False}[text.lower()],
    _INT: _integer,
    _FLOAT: _decimal,
}


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
        For which locations a scalar is the text that stands there, such as ``18650`` where it is a name.
        ``null`` and nothing at all stay ``None``.

    Raises
    ------
    error
        With ``file:line``, for what is not YAML, a key that is given twice or is no text, and aliases that
        contain themselves or multiply without end, and what is nested more deeply than anybody writes.
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
            node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
        except _TooMuch as error:
            raise self._refusal(str(error), error.line, "Is this the right file?") from error
        except yaml.YAMLError as error:
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
            if node.flow_style and key.isdigit() and value_node.value == "" and values:
                raise self._refusal(
                    f"in braces a comma ends a value, so that {key!r} stands by itself",
                    line,
                    "Write decimals with a point.",
                )
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
        line = node.start_mark.line + 1
        if node.tag not in _READ:
            raise self._refusal(f"the tag {node.tag!r} is not known", line, "Write the plain value.")
        try:
            return _READ[node.tag](node.value)
        except (ValueError, KeyError) as error:
            raise self._refusal(f"the value {node.value!r} cannot be read", line) from error

    def _refusal(self, what: str, line: int, todo: str | None = None) -> XctrulesError:
        return self._error(what, where=f"{self._file}:{line}", todo=todo)
