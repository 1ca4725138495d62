"""Errors that a person can act on: what is wrong, where, and what to do next."""

from __future__ import annotations


class XctrulesError(Exception):
    """Base of every error that ends a command with exit code 2.

    Parameters
    ----------
    what
        One sentence: what is wrong.
    where
        The file, ``file:line``, plugin or option that it is about.
    todo
        What the reader should do next.
    """

    def __init__(self, what: str, *, where: object = None, todo: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.todo = todo
        message = what if self.where is None else f"{self.where}: {what}"
        if todo:
            ended = message.endswith(("?", "!"))
            message = f"{message if ended else message.rstrip('.') + '.'} {todo}"
        super().__init__(message)


class ScanError(XctrulesError):
    """The scan, or the description of how it was acquired, cannot be used."""


class SpecError(XctrulesError):
    """The cell-format spec cannot be used; ``where`` is ``file:line``."""


class PluginError(XctrulesError):
    """A plugin cannot be loaded or broke the rules of its hook."""


class RecordError(XctrulesError):
    """A record or report cannot be read."""


class KeyFileError(XctrulesError):
    """A key file cannot be used: it is none, its passphrase is missing or wrong, or others may read it."""


class StudyError(XctrulesError):
    """A repeat study, or what it is made of, cannot be used; ``where`` is ``file:line`` where known."""


class ModelError(XctrulesError):
    """A trained model, or its card, cannot be used."""


class OutputError(XctrulesError):
    """The output folder cannot be written, or holds something that must not be lost."""


class NotMeasurable(Exception):
    """Raised inside a plugin when the scan does not show what is to be measured.

    This is no error of the plugin: the engine records the reason and goes on.
    """

    reason = "the plugin gave no reason"

    def __init__(self, reason: str) -> None:
        self.reason = str(reason)
        super().__init__(reason)
