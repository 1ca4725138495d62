"""What is asked of an inspection, checked before anything is read: spec, geometry, segmenter, options.

In: a spec and the user's wishes. Out: a :class:`Plan`, whose settings the geometry itself has made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xctrules.core.cell import Settings
from xctrules.core.errors import PluginError, XctrulesError
from xctrules.core.names import Description
from xctrules.core.protocols import (
    ChecksSettings,
    ForGeometry,
    HasOptions,
    Option,
    ReadsLabels,
    TakesMasks,
)
from xctrules.engine.faults import happened
from xctrules.engine.registry import Provided, Registry, descriptions_of
from xctrules.rules.cellspec import CellSpec, load_spec


@dataclass(frozen=True)
class Plan:
    """What is asked of an inspection, and who answers.

    Attributes
    ----------
    finder, segmenter
        Of the spec's geometry.
    settings
        As the finder made them of the options; the base class where it has none.
    options
        The geometry's options by name, as they were given or by default.
    mask_label
        Value in a label image of the part that the scan, or the label image given, is a mask of; ``None``
        where neither is a mask.
    with_labels
        Whether a label image takes the place of segmenting.
    """

    spec: CellSpec
    registry: Registry
    finder: Provided
    segmenter: Provided
    settings: Settings
    options: Mapping[str, Any]
    mask_label: int | None = None
    with_labels: bool = False

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
        When the spec, an option or the segmenter cannot be used.
    """
    cell_spec = spec if isinstance(spec, CellSpec) else spec_of(spec, registry)
    finder = _finder(cell_spec, registry)
    values = _option_values(finder.value, cell_spec.geometry, options or {})
    mask_label = None
    if isinstance(finder.value, TakesMasks):
        mask_label = finder.value.mask_labels.get(str(values.get(finder.value.mask_option)))
    chosen, model = _segmenter(segmenter, cell_spec, registry, with_labels)
    used = values
    if with_labels and isinstance(finder.value, TakesMasks):
        used = {**values, finder.value.mask_option: None}  # the label image is the mask, and the scan a scan
    settings = _settings(finder, chosen.value.name, model, used)
    _check_model(chosen.value, settings, "--segmenter" if segmenter else cell_spec.file)
    return Plan(cell_spec, registry, finder, chosen, settings, values, mask_label, with_labels)


def spec_of(name_or_path: str | Path, registry: Registry) -> CellSpec:
    """Load a spec that may name whatever the loaded plugins measure."""
    return load_spec(
        name_or_path,
        folders=registry.spec_folders,
        known=registry.measurements,
        open_ended=bool(registry.not_loaded),
    )


def for_geometry(provided: Sequence[Provided], geometry: str) -> tuple[Provided, ...]:
    """Those that are for cells of this geometry, or of any."""
    return tuple(p for p in provided if not isinstance(p.value, ForGeometry) or p.value.geometry == geometry)


def _finder(spec: CellSpec, registry: Registry) -> Provided:
    for provided in registry.frame_finders:
        if provided.value.geometry == spec.geometry:
            return provided
    known = ", ".join(str(p.value.geometry) for p in registry.frame_finders) or "none"
    raise PluginError(
        f"no plugin knows cells of the geometry {spec.geometry!r}",
        where=spec.file,
        todo=f"Known geometries: {known}.{_broken(registry)}",
    )


def _broken(registry: Registry) -> str:
    return f" Not loaded: {', '.join(registry.not_loaded)}." if registry.not_loaded else ""


# --- options ---------------------------------------------------------------------------------------------


def _option_values(finder: Any, geometry: str, given: Mapping[str, Any]) -> dict[str, Any]:
    options = finder.options if isinstance(finder, HasOptions) else ()
    checked = given_values(options, f"{geometry} cells", given)
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
    except ValueError:
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
    return kind(given)


def _settings(finder: Provided, segmenter: str, model: str | None, values: Mapping[str, Any]) -> Settings:
    if not isinstance(finder.value, HasOptions):
        return Settings(segmenter, model)
    try:
        settings = finder.value.settings(segmenter, model, values)
    except XctrulesError:
        raise
    except Exception as error:
        raise PluginError(
            f"the plugin {finder.plugin} broke on the options (it {happened(error)})",
            where=", ".join(map(flag, values)),
        ) from error
    if not isinstance(settings, Settings):
        raise PluginError(
            f"the plugin {finder.plugin} made {type(settings).__name__} of the options, no Settings"
        )
    return settings


# --- the segmenter ---------------------------------------------------------------------------------------


def _segmenter(
    asked: str | None, spec: CellSpec, registry: Registry, with_labels: bool
) -> tuple[Provided, str | None]:
    """The segmenter and the name or path of its model."""
    fitting = for_geometry(registry.segmenters, spec.geometry)
    if with_labels:
        return _label_reader(asked, fitting, spec), None
    name, colon, model = (asked or spec.segmenter or "").partition(":")
    where = "--segmenter" if asked else spec.file
    by_name = {provided.value.name: provided for provided in fitting}
    if not name and fitting:
        return fitting[0], None
    if name not in by_name:
        what = f"there is no segmenter {name!r}" if name else "there is no segmenter"
        raise PluginError(
            f"{what} for {spec.geometry} cells",
            where=where,
            todo=f"Known segmenters: {', '.join(by_name) or 'none'}.{_broken(registry)}",
        )
    if colon and not model:
        raise PluginError(
            f"there is no model after the colon of {name + colon!r}",
            where=where,
            todo=f"Give {name} alone for its own choice, or {name}:MODEL with a model's name or path.",
        )
    if model and not asked and spec.path is not None and (spec.path.parent / model).exists():
        model = str(spec.path.parent / model)  # relative to the spec, as other paths in it
    chosen = by_name[name]
    return chosen, _seen_from_anywhere(model) if model and chosen.apart else model or None


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


def _check_model(segmenter: Any, settings: Settings, where: str) -> None:
    """Refuse a model that cannot be used before a scan is read for it."""
    if settings.model and not isinstance(segmenter, ChecksSettings):
        name = segmenter.name
        raise PluginError(f"the segmenter {name} takes no model", where=where, todo=f"Give {name} alone.")
    if isinstance(segmenter, ChecksSettings):
        try:
            segmenter.check(settings)
        except XctrulesError:
            raise
        except Exception:
            pass
