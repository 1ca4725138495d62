"""All plugins' processes, and a plugin in one: what a registry deals with."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from xctrules.core.errors import NotMeasurable, XctrulesError
from xctrules.engine.faults import PluginBroke, PluginProblem
from xctrules.engine.isolation.host import Host
from xctrules.engine.isolation.limits import Limits
from xctrules.engine.isolation.shown import ShownSlices
from xctrules.engine.isolation.wire import Vocabulary
from xctrules.engine.loading import Given, Loaded
from xctrules.engine.plugin_files import PluginFiles


class HostedPlugin:
    """A plugin in a process of its own, or of its distribution's own."""

    def __init__(self, files: PluginFiles, host: Host) -> None:
        self.files = files
        self.host = host

    def load(self) -> Loaded:
        """Import it over there."""
        try:
            loaded: Loaded = self._asked("load", Loaded)
            return loaded
        except PluginBroke as error:
            message = f"could not be imported: it {error.happened}"
            problem = PluginProblem(self.files.name, message, error.traceback)
            return Loaded(self.files.version, (), message, (problem,))

    def give(self, hook: str) -> Given:
        """Call one of its hooks over there."""
        try:
            given: Given = self._asked("give", Given, hook)
            return given
        except PluginBroke as error:
            problem = PluginProblem(self.files.name, f"{hook} {error.happened}", error.traceback)
            return Given((), (problem,), broke=True)

    def _asked(self, do: str, kind: type[Any], *arguments: Any) -> Any:
        try:
            answer = self.host.ask(self.files.name, do, self.files.name, *arguments)
        except (XctrulesError, NotMeasurable) as error:
            raise PluginBroke(f"raised {type(error).__name__}: {error}") from None
        if not isinstance(answer, kind):
            raise PluginBroke(f"answered with {type(answer).__name__} instead of {kind.__name__}")
        return answer


class Hosts:
    """All processes of others' plugins: one for each distribution, and for each plugin of a folder.

    Plugins of one distribution share theirs, so that each can use what another gave; nobody else's results
    go when one of them ends it.

    Parameters
    ----------
    plugins
        Those of others.
    packages
        Top-level packages that come with the engine: their frozen dataclasses are known on both sides.
    """

    def __init__(self, plugins: Sequence[PluginFiles], packages: frozenset[str], limits: Limits) -> None:
        self.limits = limits
        self._shown = ShownSlices()
        together: dict[str, list[PluginFiles]] = {}
        for files in plugins:
            key = f"distribution {files.distribution}" if files.distribution else f"file {files.target}"
            together.setdefault(key, []).append(files)
        vocabulary = Vocabulary(packages)
        self._hosts = [Host(group, vocabulary, self._shown, limits) for group in together.values()]
        of_name = {(f.name, f.target): host for host in self._hosts for f in host.plugins}
        self.plugins = tuple(HostedPlugin(files, of_name[files.name, files.target]) for files in plugins)

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array for slices that these processes will look at; an ordinary one where there are none."""
        return self._shown.empty(shape, dtype) if self._hosts else np.empty(shape, dtype)

    def start(self) -> None:
        """Start them all, so that they get ready side by side."""
        for host in self._hosts:
            with contextlib.suppress(PluginBroke):  # it is told when the plugin is loaded
                host.start(host.plugins[0].name)

    def end(self) -> dict[str, str]:
        """Have all of them end in order, and wait for that; see :meth:`Host.end`.

        Returns
        -------
        unasked
            By plugin, how its process ended while nobody asked it anything; without those that did not.
        """
        told = [(host, host.end()) for host in self._hosts]
        self._shown.clear()
        return {files.name: what for host, what in told if what is not None for files in host.plugins}

    def kill(self) -> None:
        """End them at once."""
        for host in self._hosts:
            host.kill()
        self._shown.clear()
