"""Finds plugins and what they provide, and keeps one bad plugin from spoiling the rest.

A registry belongs to one run: there is no global plugin manager. Plugins come through the entry-point group
``xctrules`` (the bundled ones too) and from a folder (``--plugins-dir``). Loading is guarded one plugin at a
time, and so is every hook: pluggy alone would let one exception lose every other plugin's result.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.metadata
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pluggy

from xctrules.core import hookspecs
from xctrules.core.errors import PluginError
from xctrules.core.names import Description
from xctrules.core.protocols import Describes, PhantomSource

GROUP = "xctrules"
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("xctrules_"))
Source = Literal["bundled", "entry point", "folder"]

FAILED = object()
"""What :meth:`Registry.call` returns for a function that raised."""

_MEASUREMENT_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")


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


@dataclass(frozen=True)
class PluginInfo:
    """One plugin found, whether or not it could be loaded.

    ``sha256`` is taken over the list ``sha256  name`` of all files of its package, sorted by name.
    """

    name: str
    version: str | None
    source: Source
    sha256: str | None
    hooks: tuple[str, ...] = ()
    measurements: tuple[str, ...] = ()
    load_error: str | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Provided:
    """An object that a plugin provided, and which plugin it was."""

    plugin: str
    value: Any


def descriptions_of(provided: Sequence[Provided]) -> dict[str, Description]:
    """What screens and metrics say of their measurements, by name."""
    return {
        str(name): description
        for each in provided
        if isinstance(each.value, Describes)
        for name, description in each.value.describes.items()
        if isinstance(description, Description)
    }


@dataclass
class _Found:
    """A plugin on its way in."""

    name: str
    source: Source
    version: str | None = None
    module: Any = None
    sha256: str | None = None
    load_error: str | None = None
    hooks: tuple[str, ...] = ()


@dataclass
class Registry:
    """The plugins of one run. Make one with :func:`load_plugins`."""

    _manager: pluggy.PluginManager = field(default_factory=lambda: pluggy.PluginManager(GROUP))
    _found: dict[str, _Found] = field(default_factory=dict)
    problems: list[PluginProblem] = field(default_factory=list)
    """Everything that went wrong so far, in the order in which it did."""

    # --- what plugins provide -----------------------------------------------------------------------------

    @cached_property
    def readers(self) -> tuple[Provided, ...]:
        """Readers of scan formats."""
        return self._objects("xctrules_readers", _check_reader, lambda reader: [f"reader {reader.name!r}"])

    @cached_property
    def spec_folders(self) -> tuple[Path, ...]:
        """Folders with cell-format specs."""
        given = self._objects("xctrules_spec_folders", _check_folder, lambda folder: [])
        return tuple(Path(p.value) for p in given)

    @cached_property
    def frame_finders(self) -> tuple[Provided, ...]:
        """Frame finders, one for each geometry."""
        return self._objects("xctrules_frames", _check_frame, lambda f: [f"geometry {f.geometry!r}"])

    @cached_property
    def phantom_sources(self) -> tuple[Provided, ...]:
        """Sources of synthetic cells, one for each geometry."""
        return self._objects("xctrules_phantoms", _check_phantoms, lambda p: [f"phantoms {p.geometry!r}"])

    @cached_property
    def segmenters(self) -> tuple[Provided, ...]:
        """Segmenters, to be chosen by name."""
        return self._objects("xctrules_segmenters", _check_segmenter, lambda s: [f"segmenter {s.name!r}"])

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
        screens = self._objects("xctrules_screens", metric_fault, _metric_claims, taken)
        return screens, self._objects("xctrules_metrics", metric_fault, _metric_claims, taken)

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
                name=f.name,
                version=f.version,
                source=f.source,
                sha256=f.sha256,
                hooks=f.hooks,
                measurements=tuple(declared.get(f.name, ())),
                load_error=f.load_error,
                problems=tuple(p.message for p in self.problems if p.plugin == f.name),
            )
            for f in self._found.values()
        )

    @property
    def not_loaded(self) -> tuple[str, ...]:
        """Names of the plugins that could not be loaded."""
        return tuple(f.name for f in self._found.values() if f.load_error)

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

    # --- calling them -------------------------------------------------------------------------------------

    def call(self, plugin: str, doing: str, function: Callable[[], Any]) -> Any:
        """What ``function`` returns, or ``FAILED`` after recording that ``plugin`` raised while ``doing``."""
        try:
            return function()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin in another language may raise beside Exception
            self.record(plugin, f"{doing} raised {describe_exception(error)}", error)
            return FAILED

    def record(self, plugin: str, message: str, error: BaseException | None = None) -> None:
        """Record a problem of ``plugin``."""
        self.problems.append(PluginProblem(plugin, message, short_traceback(error) if error else None))

    def _objects(
        self,
        hook: str,
        check: Callable[[Any], str | None],
        claims: Callable[[Any], Iterable[str]],
        taken: dict[str, str] | None = None,
    ) -> tuple[Provided, ...]:
        """All objects that plugins return from ``hook``, checked; one that breaks a rule is left out.

        ``claims`` lists what only one object may have, such as its name; ``taken`` holds what earlier ones
        claimed.
        """
        taken = {} if taken is None else taken
        kept: list[Provided] = []
        for plugin, function in self._implementations(hook):
            for value in self._listed(plugin, hook, function):
                fault = self.call(plugin, hook, partial(check, value))
                if fault is FAILED:
                    continue
                if fault:
                    self.record(plugin, f"{hook} returned a {type(value).__name__} that {fault}")
                    continue
                wanted = [str(claim) for claim in claims(value)]
                clash = next((claim for claim in wanted if claim in taken), None)
                if clash is not None:
                    self.record(
                        plugin, f"{clash} is provided by plugin {taken[clash]} already and is left out"
                    )
                    continue
                taken.update(dict.fromkeys(wanted, plugin))
                kept.append(Provided(plugin, value))
        return tuple(kept)

    def _listed(self, plugin: str, hook: str, function: Callable[[], Any]) -> list[Any]:
        """What one implementation of ``hook`` returns, as a list; empty when it breaks."""
        returned = self.call(plugin, hook, function)
        if returned is FAILED:
            return []
        if isinstance(returned, str | bytes | Mapping) or not isinstance(returned, Iterable):
            self.record(plugin, f"{hook} returned {type(returned).__name__}; it must return a list")
            return []
        listed = self.call(plugin, hook, partial(list, returned))
        return [] if listed is FAILED else listed

    def _implementations(self, hook: str) -> Iterator[tuple[str, Callable[[], Any]]]:
        """(plugin, function) of every implementation of ``hook``, bundled plugins first."""
        by_plugin = {i.plugin_name: i for i in getattr(self._manager.hook, hook).get_hookimpls()}
        for name in self._found:
            if name in by_plugin:
                yield name, by_plugin[name].function

    # --- letting them in ----------------------------------------------------------------------------------

    def _admit(self, found: _Found, load: Callable[[], Any]) -> None:
        if found.name in self._found:
            other = self._found[found.name]
            both = f"{other.source} and {found.source}"
            self.record(found.name, f"there are two plugins of this name ({both}); the second is left out")
            return
        self._found[found.name] = found
        try:
            found.module = load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin in another language may raise beside Exception
            found.load_error = f"could not be imported: {describe_exception(error)}"
            self.record(found.name, found.load_error, error)
            return
        if found.version is None:
            version = getattr(found.module, "__version__", None)
            found.version = None if version is None else str(version)
        unmarked = _unmarked_hooks(found.module)
        for message in unmarked:
            self.record(found.name, message)
        try:
            self._manager.register(found.module, name=found.name)
        except Exception as error:  # wrong arguments of a hook, or the same module twice
            found.load_error = f"could not be registered: {_one_line(error)}"
            self.record(found.name, found.load_error, error)
            if self._manager.has_plugin(found.name):
                self._manager.unregister(name=found.name)
            return
        hooks = []
        for caller in self._manager.get_hookcallers(found.module) or ():
            # What pluggy's check_pending() does, except that this goes on after the first misspelt hook.
            if not caller.has_spec():
                self.record(found.name, _unknown_hook(caller.name))
                continue
            own = [i for i in caller.get_hookimpls() if i.plugin_name == found.name]
            if any(i.wrapper or i.hookwrapper for i in own):
                self.record(found.name, f"{caller.name} is a hook wrapper; hooks cannot be wrapped here")
                continue
            hooks.append(caller.name)
        found.hooks = tuple(h for h in HOOKS if h in hooks)
        if not hooks and not unmarked and not any(p.plugin == found.name for p in self.problems):
            self.record(found.name, f"provides no hook; it should have one or more of {', '.join(HOOKS)}")


def load_plugins(*, plugins_dir: str | Path | None = None, third_party: bool = True) -> Registry:
    """Find and load plugins.

    Parameters
    ----------
    plugins_dir
        A folder whose modules (``NAME.py``) and packages (``NAME/__init__.py``) are plugins too.
    third_party
        Whether plugins other than the bundled ones are taken; ``plugins_dir`` is left out as well when not.

    Raises
    ------
    PluginError
        When ``plugins_dir`` is no folder. A plugin that cannot be loaded raises nothing: it is recorded.
    """
    registry = Registry()
    registry._manager.add_hookspecs(hookspecs)
    points = list(importlib.metadata.entry_points(group=GROUP))
    order = {name: i for i, name in enumerate(_bundled_order())}
    bundled = sorted((p for p in points if _is_bundled(p)), key=lambda p: order.get(p.name, len(order)))
    others = sorted((p for p in points if not _is_bundled(p)), key=lambda p: (p.name, p.value))
    for point in [*bundled, *(others if third_party else [])]:
        source: Source = "bundled" if _is_bundled(point) else "entry point"
        version = point.dist.version if point.dist is not None else None
        registry._admit(_Found(point.name, source, version, sha256=_hash_of_module(point.module)), point.load)
    if plugins_dir is not None and third_party:
        folder = Path(plugins_dir)
        if not folder.is_dir():
            raise PluginError("is no folder", where=folder, todo="Give --plugins-dir a folder that exists.")
        for path in _plugins_in(folder):
            files = path.parent if path.name == "__init__.py" else path
            name = files.stem
            registry._admit(_Found(name, "folder", sha256=_hash_of_files(files)), partial(_import_file, path))
    return registry


def describe_exception(error: BaseException) -> str:
    """The exception's type and message on one line."""
    text = _one_line(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def short_traceback(error: BaseException) -> str:
    """The exception's traceback with file names cut to their package: the same on every machine."""
    lines = ["Traceback (most recent call last):"]
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if path.parent == Path(__file__).parent and path.name in ("registry.py", "measuring.py"):
            continue  # the engine's own guard
        lines.append(f"  {_within_package(path)}:{frame.lineno}, in {frame.name}")
        if frame.line:
            lines.append(f"    {frame.line}")
    return "\n".join([*lines, describe_exception(error)])


def _within_package(path: Path) -> str:
    parts = [path.name]
    parent = path.parent
    while (parent / "__init__.py").exists():
        parts.insert(0, parent.name)
        parent = parent.parent
    return "/".join(parts)


def _one_line(error: BaseException) -> str:
    try:
        return " ".join(str(error).split())
    except Exception:  # an exception whose own text raises
        return ""


# --- finding and importing ---------------------------------------------------------------------------------


def _is_bundled(point: importlib.metadata.EntryPoint) -> bool:
    return point.dist is not None and point.dist.name.lower() == "xctrules"


def _bundled_order() -> tuple[str, ...]:
    """The order of the report's sections; entry points themselves have none that lasts."""
    return ("cylinder", "screening", "segmentation", "overhang", "canister", "winding")


def _plugins_in(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "_")):
            continue
        if path.is_dir() and (path / "__init__.py").is_file():
            yield path / "__init__.py"
        elif path.suffix == ".py":
            yield path


def _import_file(path: Path) -> ModuleType:
    """Import a module or package from its file, under a name of its own so that it can shadow nothing."""
    package = path.name == "__init__.py"
    stem = path.parent.name if package else path.stem
    folder = path.parent.parent if package else path.parent
    tag = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]
    name = f"_xctrules_folder_{tag}_{stem}"
    for old in [m for m in sys.modules if m == name or m.startswith(f"{name}.")]:
        del sys.modules[old]
    where = [str(path.parent)] if package else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=where)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported as a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _hash_of_module(name: str) -> str | None:
    """Hash of the package that holds module ``name``, without importing it; ``None`` when it is not found."""
    try:
        top = name.partition(".")[0]
        # A part of xctrules itself that is a plugin is hashed by itself: the rest is not the plugin's.
        spec = importlib.util.find_spec(name.rpartition(".")[0] if top == "xctrules" else top)
    except Exception:
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return _hash_of_files(*(Path(p) for p in spec.submodule_search_locations))
    return _hash_of_files(Path(spec.origin)) if spec.origin else None


def _hash_of_files(*paths: Path) -> str | None:
    """SHA-256 of the list ``sha256  name`` of files, sorted by name; compiled files do not count."""
    listed: list[tuple[str, Path]] = []
    for path in paths:
        if path.is_file():
            listed.append((path.name, path))
            continue
        for file in path.rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts and file.suffix not in (".pyc", ".pyo"):
                listed.append((file.relative_to(path.parent).as_posix(), file))
    if not listed:
        return None
    try:
        hashed = [(hashlib.sha256(file.read_bytes()).hexdigest(), name) for name, file in sorted(listed)]
    except OSError:
        return None
    return hashlib.sha256("".join(f"{digest}  {name}\n" for digest, name in hashed).encode()).hexdigest()


# --- the rules of each hook --------------------------------------------------------------------------------


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


def _lacks(value: Any, *, text: Iterable[str] = (), methods: Iterable[str] = ()) -> str | None:
    if inspect.isclass(value):
        return "is a class; return an object of it"
    for name in text:
        given = getattr(value, name, None)
        if not isinstance(given, str) or not given:
            return f"has no {name} (a text)"
    for name in methods:
        if not callable(getattr(value, name, None)):
            return f"has no method {name}"
    return None


def _check_reader(value: Any) -> str | None:
    return _lacks(value, text=("name",), methods=("can_read", "open"))


def _check_segmenter(value: Any) -> str | None:
    return _lacks(value, text=("name",), methods=("segment",))


def _check_frame(value: Any) -> str | None:
    return _lacks(value, text=("geometry",), methods=("find",))


def _check_phantoms(value: Any) -> str | None:
    fault = _lacks(value, text=("geometry",), methods=("draw",))
    return fault or (None if isinstance(value, PhantomSource) else "lacks `formats` or `options`")


def _check_folder(value: Any) -> str | None:
    if not isinstance(value, str | Path):
        return "is no path"
    return None if Path(value).is_dir() else f"names no folder: {value}"


def metric_fault(value: Any) -> str | None:
    """What is wrong with the form of a metric or screen, in words; ``None`` when nothing is."""
    fault = _lacks(value, text=("name", "title"), methods=("measure",))
    if fault:
        return fault
    declares = getattr(value, "declares", None)
    if not isinstance(declares, Mapping) or not declares:
        return "declares no measurements (a mapping of name to unit)"
    for name, unit in declares.items():
        if not isinstance(name, str) or not _MEASUREMENT_NAME.fullmatch(name):
            return f"declares {name!r}, which is no measurement's name: use lower-case words joined by dots"
        if not isinstance(unit, str) or not unit:
            return f"declares {name} without a unit ('1' for counts and ratios)"
    needs = getattr(value, "needs", {})
    if not isinstance(needs, Mapping) or not all(_is_range(limits) for limits in needs.values()):
        return "needs something else than least and largest values (a mapping of name to (low, high))"
    return None


def _is_range(limits: Any) -> bool:
    """Whether it is a pair of numbers, either of which may be None."""
    if not isinstance(limits, tuple) or len(limits) != 2:
        return False
    return all(v is None or (isinstance(v, int | float) and not isinstance(v, bool)) for v in limits)


def _metric_claims(metric: Any) -> list[str]:
    return [f"metric {metric.name!r}", *(f"measurement {name!r}" for name in metric.declares)]
