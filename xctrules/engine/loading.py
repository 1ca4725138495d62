"""Imports one plugin, finds its hooks and calls them: each step guarded, what goes wrong told in words.

The same is done in the engine's own process for bundled plugins and in a process of their own for others; see
:mod:`xctrules.engine.isolation`.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.metadata
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import pluggy

from xctrules.core import hookspecs
from xctrules.engine.faults import PluginProblem, describe_exception, happened, one_line, short_traceback
from xctrules.engine.forms import fault_of
from xctrules.engine.plugin_files import GROUP, PluginFiles

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("xctrules_"))


@dataclass(frozen=True)
class Loaded:
    """What came of importing a plugin.

    Attributes
    ----------
    version
        Of the distribution, or the module's ``__version__``.
    hooks
        That it implements, in the order of :data:`HOOKS`.
    error
        Why it could not be loaded; ``None`` when it was.
    """

    version: str | None = None
    hooks: tuple[str, ...] = ()
    error: str | None = None
    problems: tuple[PluginProblem, ...] = ()


@dataclass(frozen=True)
class Given:
    """What a plugin returned from one hook.

    Attributes
    ----------
    objects
        Those that have the form that they must have.
    broke
        Whether the hook broke, so that nobody knows what it would have given.
    """

    objects: tuple[Any, ...] = ()
    problems: tuple[PluginProblem, ...] = ()
    broke: bool = False


class Plugin(Protocol):
    """A plugin, wherever it runs."""

    files: PluginFiles

    def load(self) -> Loaded:
        """Import it and find its hooks. Nothing but MemoryError is raised on the plugin's account."""
        ...

    def give(self, hook: str) -> Given:
        """Call one of the hooks that were found. Nothing but MemoryError is raised on its account."""
        ...


class InsidePlugin:
    """A plugin in the process that asks."""

    def __init__(self, files: PluginFiles) -> None:
        self.files = files
        self._implementations: dict[str, Callable[[], Any]] = {}

    def load(self) -> Loaded:
        name, version = self.files.name, self.files.version
        try:
            module = _imported(self.files)
        except (KeyboardInterrupt, MemoryError):
            raise
        except BaseException as error:  # a plugin in another language may raise beside Exception
            message = f"could not be imported: {describe_exception(error)}"
            return Loaded(version, (), message, (_problem(name, message, error),))
        if version is None:
            stated = getattr(module, "__version__", None)
            version = None if stated is None else str(stated)
        unmarked = [PluginProblem(name, message) for message in _unmarked_hooks(module)]
        manager = pluggy.PluginManager(GROUP)
        manager.add_hookspecs(hookspecs)
        try:
            manager.register(module, name=name)
        except Exception as error:  # wrong arguments of a hook
            message = f"could not be registered: {one_line(error)}"
            return Loaded(version, (), message, (*unmarked, _problem(name, message, error)))
        problems = [*unmarked, *self._take_hooks(manager, module)]
        if not self._implementations and not problems:
            message = f"provides no hook; it should have one or more of {', '.join(HOOKS)}"
            problems.append(PluginProblem(name, message))
        hooks = tuple(hook for hook in HOOKS if hook in self._implementations)
        return Loaded(version, hooks, None, tuple(problems))

    def _take_hooks(self, manager: pluggy.PluginManager, module: Any) -> list[PluginProblem]:
        """Keep the implementations of hooks that exist; as pluggy's check_pending(), but for all."""
        messages = []
        for caller in manager.get_hookcallers(module) or ():
            if not caller.has_spec():
                messages.append(_unknown_hook(caller.name))
                continue
            (implementation,) = caller.get_hookimpls()
            if implementation.wrapper or implementation.hookwrapper:
                messages.append(f"{caller.name} is a hook wrapper; hooks cannot be wrapped here")
                continue
            self._implementations[caller.name] = implementation.function
        return [PluginProblem(self.files.name, message) for message in messages]

    def give(self, hook: str) -> Given:
        name = self.files.name
        try:
            returned = self._implementations[hook]()
            if isinstance(returned, str | bytes | Mapping) or not isinstance(returned, Iterable):
                message = f"{hook} returned {type(returned).__name__}; it must return a list"
                return Given((), (PluginProblem(name, message),), broke=True)
            values = list(returned)
        except (KeyboardInterrupt, MemoryError):
            raise
        except BaseException as error:
            return Given((), (_problem(name, f"{hook} {happened(error)}", error),), broke=True)
        faults = [self._fault(hook, value) for value in values]
        return Given(
            tuple(value for value, fault in zip(values, faults, strict=True) if fault is None),
            tuple(fault for fault in faults if fault is not None),
        )

    def _fault(self, hook: str, value: Any) -> PluginProblem | None:
        """What keeps an object from serving the hook."""
        try:
            fault = fault_of(hook, value)
            kind = type(value).__name__
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a property may do anything
            return _problem(self.files.name, f"{hook} {happened(error)}", error)
        return PluginProblem(self.files.name, f"{hook} returned a {kind} that {fault}") if fault else None


def _problem(plugin: str, message: str, error: BaseException) -> PluginProblem:
    return PluginProblem(plugin, message, short_traceback(error))


# --- importing ---------------------------------------------------------------------------------------------


def _imported(files: PluginFiles) -> Any:
    if files.source == "folder":
        return _import_file(Path(files.target))
    return importlib.metadata.EntryPoint(files.name, files.target, GROUP).load()


def _import_file(path: Path) -> ModuleType:
    """Import a module or package from its file, under a name of its own so that it can shadow nothing."""
    package = path.name == "__init__.py"
    stem = path.parent.name if package else path.stem
    folder = path.parent.parent if package else path.parent
    tag = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]
    name = f"_xctrules_folder_{tag}_{stem}"
    where = [str(path.parent)] if package else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=where)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported as a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


# --- hooks -------------------------------------------------------------------------------------------------


def _unknown_hook(name: str) -> str:
    near = difflib.get_close_matches(name, HOOKS, n=1, cutoff=0.0)[0]
    return f"there is no hook {name}; did you mean {near}?"


def _unmarked_hooks(module: Any) -> list[str]:
    """Functions called like a hook without its mark: pluggy would pass them over in silence."""
    messages = []
    for name, value in list(vars(module).items()) if hasattr(module, "__dict__") else []:
        if not name.startswith("xctrules_") or not inspect.isfunction(value):
            continue
        if hasattr(value, f"{GROUP}_impl") or value.__module__ == hookspecs.__name__:
            continue
        messages.append(f"{name} is not marked with @hookimpl" if name in HOOKS else _unknown_hook(name))
    return messages
