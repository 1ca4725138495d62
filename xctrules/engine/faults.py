"""What plugins do wrong: one sentence for a record, and a traceback that is the same on every machine."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_ENGINE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class PluginProblem:
    """Something that a plugin did wrong: one sentence, and the traceback where there was an exception."""

    plugin: str
    message: str
    traceback: str | None = None
    metric: str | None = None

    def __str__(self) -> str:
        where = f", metric {self.metric}" if self.metric else ""
        return f"plugin {self.plugin}{where}: {self.message}"


class PluginBroke(Exception):
    """A plugin broke: in its own process, or by what it returned.

    Parameters
    ----------
    happened
        What it did, in words that follow its name: ``raised ValueError: boom``, ``returned 3, no frame``.
    traceback
        As :func:`short_traceback` made it over there, where there was an exception.
    """

    def __init__(self, happened: str, traceback: str | None = None) -> None:
        self.happened = happened
        self.traceback = traceback
        super().__init__(happened)


@dataclass
class Notes:
    """What the reader of the report should know beside the measurements, as it comes up."""

    warnings: list[str] = field(default_factory=list)
    failures: list[PluginProblem] = field(default_factory=list)

    def guarded(
        self,
        plugin: str,
        doing: str,
        function: Callable[[], T],
        otherwise: T,
        passing: tuple[type[Exception], ...] = (),
    ) -> T:
        """What ``function`` returns; ``otherwise``, and a failure noted, where the plugin breaks.

        Exceptions of the kinds ``passing`` are no failures, and the caller's.
        """
        try:
            return function()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin in another language may raise beside Exception
            if isinstance(error, passing):
                raise
            self.failed(plugin, f"{doing} {happened(error)}", error)
            return otherwise

    def failed(self, plugin: str, message: str, error: BaseException | None = None) -> None:
        """Note what a plugin did wrong."""
        trace = None if error is None else short_traceback(error)
        self.failures.append(PluginProblem(plugin, message, trace))


def happened(error: BaseException) -> str:
    """What whoever let this exception out did, in words that follow its name, on one line."""
    if isinstance(error, PluginBroke):
        return error.happened
    return f"raised {describe_exception(error)}"


def describe_exception(error: BaseException) -> str:
    """The exception's type and message on one line."""
    text = one_line(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def short_traceback(error: BaseException) -> str | None:
    """The exception's traceback with file names cut to their package: the same on every machine.

    ``None`` where a plugin broke in its own process without an exception.
    """
    for told in (error, error.__cause__):
        if isinstance(told, PluginBroke):
            return told.traceback
    lines = ["Traceback (most recent call last):"]
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if _ENGINE in path.parents:
            continue  # whoever called the plugin
        lines.append(f"  {_within_package(path)}:{frame.lineno}, in {frame.name}")
        if frame.line:
            lines.append(f"    {frame.line}")
    return "\n".join([*lines, describe_exception(error)])


def one_line(error: BaseException) -> str:
    """The exception's message on one line; nothing where the message itself raises."""
    try:
        return " ".join(str(error).split())
    except Exception:  # an exception whose own text raises
        return ""


def _within_package(path: Path) -> str:
    parts = [path.name]
    parent = path.parent
    while (parent / "__init__.py").exists():
        parts.insert(0, parent.name)
        parent = parent.parent
    return "/".join(parts)
