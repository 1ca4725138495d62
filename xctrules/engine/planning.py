"""What is asked of an inspection, checked before anything is read: spec, geometry, segmenter, options.

In: a spec and the user's wishes. Out: a :class:`Plan`, whose settings the geometry itself has made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xctrules.core.cell import Settings
from xctrules.core.errors import PluginError, SpecError, XctrulesError
from xctrules.core.names import Description
from xctrules.core.protocols import (
    ChecksSettings,
    ForGeometry,
    HasOptions,
    Option,
    ReadsLabels,
    TakesMasks,
)
from xctrules.engine.faults import Notes, PluginProblem
from xctrules.engine.registry import Provided, Registry, descriptions_of
from xctrules.engine.returned import settings_fault, sound
from xctrules.rules.cellspec import CellSpec, load_spec


@dataclass(frozen=True)
class Plan:
    """What is asked of an inspection, and who answers.

    Attributes
    ----------
    finder, segmenter
        Of the spec's geometry; ``None`` where that is missing, and a plugin that might have it is broken. A
        geometry may also do without a segmenter.
    settings
        As the finder made them of the options; the base class where it has none.
    options
        The geometry's options by name, as they were given or by default.
    mask_label
        Value in a label image of the part that the scan, or the label image given, is a mask of; ``None``
        where neither is a mask.
    with_labels
        Whether a label image takes the place of segmenting.
    no_cell, no_surfaces
        Why no cell will be found, or no surfaces in it, whatever the scan; empty where nothing says so.
    failures
        What plugins did wrong when they were asked.
    """

    spec: CellSpec
    registry: Registry
    finder: Provided | None
    segmenter: Provided | None
    settings: Settings
    options: Mapping[str, Any]
    mask_label: int | None = None
    with_labels: bool = False
    no_cell: str = ""
    no_surfaces: str = ""
    failures: tuple[PluginProblem, ...] = ()

    @property
    def scan_is_mask(self) -> bool:
        """Whether the scan itself is a two-valued image."""
        return self.mask_label is not None and not self.with_labels

    @property
    def screens(self) -> tuple[Provided, ...]:
        """The screens for this geometry, in the order in which they run."""
        return for_geometry(self.registry.screens, self.spec.geometry)

    @property
    def metrics(self) -> tuple[Provided, ...]:
        """The metrics for this geometry, in the order in which they run."""
        return for_geometry(self.registry.metrics, self.spec.geometry)

    @property
    def descriptions(self) -> dict[str, Description]:
        """What screens and metrics say of their measurements, by name."""
        return descriptions_of((*self.screens, *self.metrics))


def plan_inspection(
    spec: str | Path | CellSpec,
    registry: Registry,
    *,
    segmenter: str | None = None,
    with_labels: bool = False,
    options: Mapping[str, Any] | None = None,
) -> Plan:
    """Check what is asked for.

    Parameters
    ----------
    spec
        Name or file of a cell-format spec, or one that was loaded before.
    segmenter
        Name of a segmenter, ``NAME:MODEL`` with a trained model; wins over the spec's.
    with_labels
        Whether a label image takes the place of segmenting.
    options
        The geometry's options that were given, by name; values may be text, as on a command line.

    Raises
    ------
    XctrulesError
        When the spec, an option or the segmenter cannot be used. What a plugin does wrong raises nothing.
    """
    cell_spec = spec if isinstance(spec, CellSpec) else spec_of(spec, registry)
    notes = Notes()
    finder, no_cell = _finder(cell_spec, registry)
    values = _option_values(finder, cell_spec, options or {})
    chosen, model, no_surfaces = _segmenter(segmenter, cell_spec, registry, with_labels)
    geometry = None if finder is None else finder.value
    mask_label, used = None, values
    if isinstance(geometry, TakesMasks):
        mask_label = geometry.mask_labels.get(str(values[geometry.mask_option]))
        if with_labels:
            used = {**values, geometry.mask_option: None}  # the label image is the mask, and the scan a scan
    named = Settings("" if chosen is None else chosen.value.name, model)
    settings = _settings(finder, named, used, notes)
    if chosen is not None and settings is not None:
        where = "--segmenter" if segmenter else cell_spec.file
        no_surfaces = no_surfaces or _unusable(chosen, settings, where, notes)
    if finder is not None and settings is None:
        no_cell = f"the plugin {finder.plugin} failed to make settings of the options"
    return Plan(
        spec=cell_spec,
        registry=registry,
        finder=finder,
        segmenter=chosen,
        settings=settings or named,
        options=values,
        mask_label=mask_label,
        with_labels=with_labels,
        no_cell=no_cell,
        no_surfaces=no_surfaces,
        failures=tuple(notes.failures),
    )


def spec_of(name_or_path: str | Path, registry: Registry) -> CellSpec:
    """Load a spec that may name whatever the loaded plugins measure.

    Raises
    ------
    SpecError
        Where it cannot be used; names the plugins that were not loaded, since it may be for want of them.
    """
    folders, known = registry.spec_folders, registry.measurements
    try:
        return load_spec(name_or_path, folders=folders, known=known, open_ended=bool(registry.not_loaded))
    except SpecError as error:
        what = error.what + not_loaded(registry)
        raise SpecError(what, where=error.where, todo=error.todo) from error


def for_geometry(provided: Sequence[Provided], geometry: str) -> tuple[Provided, ...]:
    """Those that are for cells of this geometry, or of any."""
    return tuple(p for p in provided if not isinstance(p.value, ForGeometry) or p.value.geometry == geometry)


def _finder(spec: CellSpec, registry: Registry) -> tuple[Provided | None, str]:
    """The geometry's frame finder; ``None`` and why not, where a broken plugin may have it."""
    for provided in registry.frame_finders:
        if provided.value.geometry == spec.geometry:
            return provided, ""
    what = f"no loaded plugin knows cells of the geometry {spec.geometry!r}"
    if registry.not_loaded:
        return None, what + not_loaded(registry)
    known = ", ".join(p.value.geometry for p in registry.frame_finders) or "none"
    raise PluginError(what, where=spec.file, todo=f"Known geometries: {known}.")


def not_loaded(registry: Registry) -> str:
    """The plugins that were not loaded, in brackets; nothing where there are none."""
    return f" (not loaded: {', '.join(registry.not_loaded)})" if registry.not_loaded else ""


# --- options ---------------------------------------------------------------------------------------------


def _option_values(finder: Provided | None, spec: CellSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """Each option as it was given, or its default; all that was given where nobody knows the options."""
    if finder is None:
        return {name: value for name, value in given.items() if value is not None}
    options = finder.value.options if isinstance(finder.value, HasOptions) else ()
    checked = given_values(options, f"{spec.geometry} cells", given)
    return {option.name: checked.get(option.name, option.default) for option in options}


def given_values(options: Sequence[Option], whose: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of those options that were given, checked; ``None`` counts as not given.

    Parameters
    ----------
    whose
        What has these options, for the message.

    Raises
    ------
    XctrulesError
        When there is no such option, or it cannot have such a value.
    """
    known = {option.name: option for option in options}
    there = {name: value for name, value in given.items() if value is not None}
    for name in there:
        if name not in known:
            raise XctrulesError(
                f"{whose} have no option {name!r}",
                where=flag(name),
                todo=f"Known options: {', '.join(known) or 'none'}.",
            )
    return {name: option_value(known[name], value) for name, value in there.items()}


def flag(name: str) -> str:
    """An option as it is written on the command line."""
    return f"--{name.replace('_', '-')}"


def option_value(option: Option, given: Any) -> Any:
    """The value of an option, from text where it comes from a command line.

    Raises
    ------
    XctrulesError
        When it is not of the option's kind, or outside what the option allows.
    """
    where = flag(option.name)
    try:
        value = _as_kind(option.kind, given)
    except (ValueError, TypeError, OverflowError):
        kinds = {int: "a whole number", float: "a number", bool: "yes or no", str: "text"}
        raise XctrulesError(
            f"{given!r} is not {kinds.get(option.kind, option.kind.__name__)}", where=where, todo=option.help
        ) from None
    if option.choices and value not in option.choices:
        raise XctrulesError(
            f"{value!r} cannot be chosen", where=where, todo=f"Give {' or '.join(option.choices)}."
        )
    low, high = option.low, option.high
    if (low is not None and value < low) or (high is not None and value > high):
        span = f"{low:g} to {high:g}" if low is not None and high is not None else (
            f"at least {low:g}" if low is not None else f"at most {high:g}"
        )  # fmt: skip
        raise XctrulesError(f"{value:g} is out of range", where=where, todo=f"Give {span} ({option.help}).")
    return value


def _as_kind(kind: type, given: Any) -> Any:
    if kind is bool and isinstance(given, str):
        words = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
        if given.lower() not in words:
            raise ValueError(given)
        return words[given.lower()]
    if kind is int and isinstance(given, float) and given != int(given):
        raise ValueError(given)
    value = kind(given)
    if kind is float and not math.isfinite(value):
        raise ValueError(given)
    return value


def _settings(
    finder: Provided | None, named: Settings, values: Mapping[str, Any], notes: Notes
) -> Settings | None:
    """The geometry's settings; ``None``, with what it did noted, where it breaks."""
    if finder is None or not isinstance(finder.value, HasOptions):
        return named
    geometry = finder.value

    def made() -> Settings | None:
        return sound(geometry.settings(named.segmenter, named.model, values), settings_fault)

    doing = "making settings of the options"
    return notes.guarded(finder.plugin, doing, made, None, passing=(XctrulesError,))


# --- the segmenter ---------------------------------------------------------------------------------------


def _segmenter(
    asked: str | None, spec: CellSpec, registry: Registry, with_labels: bool
) -> tuple[Provided | None, str | None, str]:
    """The segmenter, the name or path of its model, and why there is no segmenter where there is none."""
    fitting = for_geometry(registry.segmenters, spec.geometry)
    if with_labels:
        return _label_reader(asked, fitting, spec), None, ""
    name, colon, model = (asked or spec.segmenter or "").partition(":")
    where = "--segmenter" if asked else spec.file
    by_name = {provided.value.name: provided for provided in fitting}
    if not name and fitting:
        return fitting[0], None, ""
    if name not in by_name:
        called = f" {name!r}" if name else ""
        what = f"there is no segmenter{called} for {spec.geometry} cells{not_loaded(registry)}"
        if not name or (registry.not_loaded and not asked):
            return None, None, what
        known = ", ".join(by_name) or "none"
        raise PluginError(what, where=where, todo=f"Known segmenters: {known}.")
    if colon and not model:
        raise PluginError(
            f"there is no model after the colon of {name + colon!r}",
            where=where,
            todo=f"Give {name} alone for its own choice, or {name}:MODEL with a model's name or path.",
        )
    if model and not asked and spec.path is not None and (spec.path.parent / model).exists():
        model = str(spec.path.parent / model)  # relative to the spec, as other paths in it
    chosen = by_name[name]
    return chosen, _seen_from_anywhere(model) if model and chosen.apart else model or None, ""


def _seen_from_anywhere(model: str) -> str:
    """A model's path as an absolute one, for a plugin that works in another folder; its name as it is."""
    path = Path(model)
    return model if path.name == model and not path.is_file() else str(path.absolute())


def _label_reader(asked: str | None, fitting: Sequence[Provided], spec: CellSpec) -> Provided:
    readers = [p for p in fitting if isinstance(p.value, ReadsLabels)]
    if asked is not None and asked not in [p.value.name for p in readers]:
        raise XctrulesError(
            f"the segmenter {asked} does not run where a label image is brought in",
            where="--segmentation",
            todo="Give either --segmenter or --segmentation.",
        )
    if not readers:
        raise PluginError(
            f"no segmenter for {spec.geometry} cells takes label images", where="--segmentation"
        )
    return next((p for p in readers if p.value.name == asked), readers[0])


def _unusable(chosen: Provided, settings: Settings, where: str, notes: Notes) -> str:
    """Why a segmenter cannot be used with these settings; a model that cannot be raises here already."""
    segmenter, name = chosen.value, chosen.value.name
    if not isinstance(segmenter, ChecksSettings):
        if settings.model:
            raise PluginError(f"the segmenter {name} takes no model", where=where, todo=f"Give {name} alone.")
        return ""

    def why_not() -> str:
        segmenter.check(settings)
        return ""

    doing, failed = f"segmenter {name}, checking its settings,", f"the segmenter {name} failed"
    return notes.guarded(chosen.plugin, doing, why_not, failed, passing=(XctrulesError,))
