"""Finds plugins and what they provide, and keeps one bad plugin from spoiling the rest.

A registry belongs to one run: there is no global plugin manager. Bundled plugins run in this process; a third
party's (from the entry points of other distributions, or from a folder) run in processes of their own, see
:mod:`xctrules.engine.isolation`, and nothing of theirs is imported here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from numpy.typing import DTypeLike, NDArray

from xctrules.core.errors import PluginError
from xctrules.core.names import Description
from xctrules.core.protocols import Describes
from xctrules.engine.faults import PluginProblem, happened, short_traceback
from xctrules.engine.forms import claims_of, fault_of
from xctrules.engine.isolation.hosts import HostedPlugin, Hosts
from xctrules.engine.isolation.limits import Limits
from xctrules.engine.loading import InsidePlugin, Loaded, Plugin
from xctrules.engine.plugin_files import (
    PluginFiles,
    Source,
    bundled_plugins,
    installed_plugins,
    plugins_in_folder,
)


@dataclass(frozen=True)
class PluginInfo:
    """One plugin found, whether or not it could be loaded.

    Attributes
    ----------
    process
        ``inside`` the engine's own, or in its ``own``.
    sha256
        Over the list ``sha256  name`` of all files of its package, sorted by name.
    """

    name: str
    version: str | None
    source: Source
    sha256: str | None
    process: Literal["inside", "own"]
    hooks: tuple[str, ...] = ()
    measurements: tuple[str, ...] = ()
    load_error: str | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Provided:
    """An object that a plugin provided, and which plugin it was.

    Attributes
    ----------
    apart
        Whether it runs in a process, and a folder, of its own.
    """

    plugin: str
    value: Any
    apart: bool = False


def descriptions_of(provided: Sequence[Provided]) -> dict[str, Description]:
    """What screens and metrics say of their measurements, by name."""
    return {
        name: description
        for each in provided
        if isinstance(each.value, Describes)
        for name, description in each.value.describes.items()
    }


class Registry:
    """The plugins of one run. Make one with :func:`load_plugins`, and close it: it may have processes.

    Parameters
    ----------
    inside
        Plugins that run in this process.
    hosts
        Those that run in their own, and these processes.
    """

    def __init__(self, inside: Iterable[Plugin], hosts: Hosts) -> None:
        self.problems: list[PluginProblem] = []
        """Everything that went wrong so far, in the order in which it did."""
        self._hosts = hosts
        self._plugins: dict[str, Plugin] = {}
        self._loaded: dict[str, Loaded] = {}
        self._broke: set[str] = set()
        hosts.start()  # first, so that they get ready while the bundled ones are loaded
        for plugin in (*inside, *hosts.plugins):
            self._admit(plugin)

    @property
    def limits(self) -> Limits:
        """What each of the others' processes may take."""
        return self._hosts.limits

    def __enter__(self) -> Registry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- what plugins provide -----------------------------------------------------------------------------

    @cached_property
    def readers(self) -> tuple[Provided, ...]:
        """Readers of scan formats."""
        return self._objects("xctrules_readers", {})

    @cached_property
    def spec_folders(self) -> tuple[Path, ...]:
        """Folders with cell-format specs."""
        return tuple(Path(p.value) for p in self._objects("xctrules_spec_folders", {}))

    @cached_property
    def frame_finders(self) -> tuple[Provided, ...]:
        """Frame finders, one for each geometry."""
        return self._objects("xctrules_frames", {})

    @cached_property
    def phantom_sources(self) -> tuple[Provided, ...]:
        """Sources of synthetic cells, one for each geometry."""
        return self._objects("xctrules_phantoms", {})

    @cached_property
    def segmenters(self) -> tuple[Provided, ...]:
        """Segmenters, to be chosen by name."""
        return self._objects("xctrules_segmenters", {})

    @cached_property
    def screens(self) -> tuple[Provided, ...]:
        """Screens, in the order in which they run."""
        return self._metrics_and_screens[0]

    @cached_property
    def metrics(self) -> tuple[Provided, ...]:
        """Metrics, in the order in which they run."""
        return self._metrics_and_screens[1]

    @cached_property
    def _metrics_and_screens(self) -> tuple[tuple[Provided, ...], tuple[Provided, ...]]:
        # Both fill the same record, so that names must be unique over the two together.
        taken: dict[str, str] = {}
        screens = self._objects("xctrules_screens", taken)
        return screens, self._objects("xctrules_metrics", taken)

    @property
    def measurements(self) -> dict[str, str]:
        """Every measurement that screens and metrics declare, with its unit."""
        return {
            str(name): str(unit)
            for provided in (*self.screens, *self.metrics)
            for name, unit in provided.value.declares.items()
        }

    @property
    def plugins(self) -> tuple[PluginInfo, ...]:
        """Every plugin found: bundled ones first, then by name."""
        declared: dict[str, list[str]] = {}
        for provided in (*self.screens, *self.metrics):
            declared.setdefault(provided.plugin, []).extend(str(name) for name in provided.value.declares)
        return tuple(
            PluginInfo(
                name=name,
                version=loaded.version,
                source=plugin.files.source,
                sha256=plugin.files.sha256,
                process="own" if isinstance(plugin, HostedPlugin) else "inside",
                hooks=loaded.hooks,
                measurements=tuple(declared.get(name, ())),
                load_error=loaded.error,
                problems=tuple(p.message for p in self.problems if p.plugin == name),
            )
            for name, plugin, loaded in self._admitted()
        )

    @property
    def not_loaded(self) -> tuple[str, ...]:
        """Names of the plugins that could not be loaded, or not all of what they meant to provide."""
        return tuple(name for name, _, loaded in self._admitted() if loaded.error or name in self._broke)

    def collect(self) -> None:
        """Call every hook once, so that :attr:`problems` is complete."""
        for name in (
            "readers",
            "spec_folders",
            "frame_finders",
            "phantom_sources",
            "segmenters",
            "screens",
            "metrics",
        ):
            getattr(self, name)

    # --- their processes ----------------------------------------------------------------------------------

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array for a scan's slices, in memory that plugins' processes can look at where there are any."""
        return self._hosts.empty(shape, dtype)

    def end_processes(self) -> dict[str, str]:
        """Have all plugins' own processes end in order, and wait for them.

        A process is over when its threads are, as any Python program's. One that ended without being asked,
        or does not end in time, spoils what its plugins gave: whether it was before or after the last
        value is chance. A plugin that is called again afterwards gets a new process.

        Returns
        -------
        spoilt
            By plugin, what happened to its process, in words that follow its name. Those of plugins with
            nothing to complain of are left out.
        """
        return {name: what for name, what in self._hosts.end().items() if name in self._plugins}

    def close(self) -> None:
        """Kill all plugins' own processes, whatever they are at."""
        self._hosts.kill()

    # --- letting them in ----------------------------------------------------------------------------------

    def _admitted(self) -> Iterator[tuple[str, Plugin, Loaded]]:
        for name, plugin in self._plugins.items():
            yield name, plugin, self._loaded[name]

    def _admit(self, plugin: Plugin) -> None:
        name, source = plugin.files.name, plugin.files.source
        if name in self._plugins:
            both = f"{self._plugins[name].files.source} and {source}"
            message = f"there are two plugins of this name ({both}); the second is left out"
            self.problems.append(PluginProblem(name, message))
            return
        self._plugins[name] = plugin
        self._loaded[name] = plugin.load()
        self.problems.extend(self._loaded[name].problems)

    def _objects(self, hook: str, taken: dict[str, str]) -> tuple[Provided, ...]:
        """All objects that plugins return from ``hook``; one that claims what is ``taken`` is left out."""
        kept: list[Provided] = []
        for name, plugin, loaded in self._admitted():
            if hook not in loaded.hooks:
                continue
            given = plugin.give(hook)
            self.problems.extend(given.problems)
            claimed = [value for value in given.objects if self._claim(name, hook, value, taken)]
            apart = isinstance(plugin, HostedPlugin)
            kept.extend(Provided(name, value, apart) for value in claimed)
            if given.problems or len(claimed) < len(given.objects):
                self._broke.add(name)
        return tuple(kept)

    def _claim(self, plugin: str, hook: str, value: Any, taken: dict[str, str]) -> bool:
        """Whether ``value`` may serve the hook; its form is checked here, whatever its process says of it."""
        try:
            fault = fault_of(hook, value)
            wanted = [] if fault else claims_of(hook, value)
        except Exception as error:  # a property may do anything
            message = f"{hook} {happened(error)}"
            self.problems.append(PluginProblem(plugin, message, short_traceback(error)))
            return False
        if fault:
            self.problems.append(PluginProblem(plugin, f"{hook} returned an object that {fault}"))
            return False
        clash = next((claim for claim in wanted if claim in taken), None)
        if clash is not None:
            message = f"{clash} is provided by plugin {taken[clash]} already and is left out"
            self.problems.append(PluginProblem(plugin, message))
            return False
        taken.update(dict.fromkeys(wanted, plugin))
        return True


def load_plugins(
    *,
    plugins_dir: str | Path | None = None,
    third_party: bool = True,
    limits: Limits | None = None,
    apart: bool = True,
) -> Registry:
    """Find and load plugins.

    Parameters
    ----------
    plugins_dir
        A folder whose modules (``NAME.py``) and packages (``NAME/__init__.py``) are plugins too.
    third_party
        Whether plugins other than the bundled ones are taken; ``plugins_dir`` is left out as well when not.
    limits
        Time and memory that each of the others' processes may take; the default limits where not given.
    apart
        Whether others' plugins run in processes of their own. In an inspection they do; in their authors'
        tests that would be in the way.

    Returns
    -------
    registry
        To be closed, or used in a ``with`` statement, since others' plugins run in processes of their own.

    Raises
    ------
    PluginError
        When ``plugins_dir`` is no folder. A plugin that cannot be loaded raises nothing: it is recorded.
    """
    bundled = bundled_plugins()
    others: list[PluginFiles] = []
    if third_party:
        others.extend(installed_plugins())
        if plugins_dir is not None:
            others.extend(_in_folder(Path(plugins_dir)))
    packages = frozenset({"xctrules", *(files.package for files in bundled)})
    inside, hosted = (bundled, others) if apart else ([*bundled, *others], [])
    return Registry(map(InsidePlugin, inside), Hosts(hosted, packages, limits or Limits()))


def _in_folder(folder: Path) -> list[PluginFiles]:
    if not folder.is_dir():
        raise PluginError("is no folder", where=folder, todo="Give --plugins-dir a folder that exists.")
    return plugins_in_folder(folder)
