"""Which cases a validation measures, with which plugins.

In: geometry, seed and plugins asked for. Out: a :class:`Campaign`, the same in every process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from xctrules.core.errors import PluginError, XctrulesError
from xctrules.core.protocols import DrawsAdversaries, DrawsCases
from xctrules.core.validation import Case, CaseFacts, Ensemble, Part, Row, SpecLimit
from xctrules.engine.faults import happened
from xctrules.engine.planning import spec_of
from xctrules.engine.registry import Provided, Registry, load_plugins
from xctrules.rules.case import iter_limits
from xctrules.rules.cellspec import list_specs

T = TypeVar("T")


@dataclass(frozen=True)
class Wanted:
    """What a user asks for, and a worker process is told.

    Attributes
    ----------
    geometry
        The word for the cells in a cell-format spec.
    short
        Whether all cells are to be small.
    plugins_dir
        A folder with further plugins.
    part
        Whether cells are drawn to measure them, or to see whether anything faulty passes.
    """

    geometry: str
    seed: int = 1
    short: bool = False
    plugins_dir: Path | None = None
    part: Part = "accuracy"


@dataclass(frozen=True)
class Campaign:
    """A geometry's ensemble, who draws it, and the plugins that measure it.

    To be closed, or used in a ``with`` statement: others' plugins run in processes of their own.
    """

    wanted: Wanted
    registry: Registry
    provided: Provided
    ensemble: Ensemble

    def __enter__(self) -> Campaign:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.registry.close()

    @property
    def source(self) -> DrawsCases:
        """Draws the cases, and says what their measurements are held to."""
        source: DrawsCases = self.provided.value
        return source

    def case(self, index: int) -> Case:
        """Case ``index``; it follows from geometry, seed and index alone."""
        if isinstance(self.source, DrawsAdversaries) and self.ensemble.part == "adversarial":
            return self.source.adversary(self.ensemble, index)
        return self.source.case(self.ensemble, index)

    def identity(self) -> dict[str, Any]:
        """What must agree for cases to belong to the same ensemble.

        Raises
        ------
        PluginError
            When the plugin that draws them breaks.
        """
        asked = {"geometry": self.wanted.geometry, "seed": self.ensemble.seed, "short": self.ensemble.short}
        source = self.source
        if isinstance(source, DrawsAdversaries) and self.ensemble.part == "adversarial":
            told = self._told("the adversarial ensemble", source.adversaries_identity)
            return {**asked, "part": self.ensemble.part, **told}
        return {**asked, **self._told("the ensemble", lambda: self.source.identity(self.ensemble))}

    def facts(self, row: Row) -> CaseFacts:
        """What the figures need to know of a case, from its line.

        Raises
        ------
        PluginError
            When the plugin that draws them breaks.
        """
        return self._told(f"case {row['index']}", lambda: self.source.facts(row))

    def _told(self, what: str, function: Callable[[], T]) -> T:
        try:
            return function()
        except XctrulesError:
            raise
        except Exception as error:
            raise PluginError(
                f"it broke when asked about {what} of {self.wanted.geometry} cells (it {happened(error)})",
                where=self.provided.plugin,
            ) from error


def open_campaign(wanted: Wanted) -> Campaign:
    """Load the plugins and find who draws such cells.

    Raises
    ------
    XctrulesError
        When no plugin draws cases of the geometry, or a spec for it cannot be read.
    """
    registry = _plugins_for(wanted)
    try:
        provided = _source(registry, wanted.geometry)
        if provided is None:
            drawn = ", ".join(str(each.value.geometry) for each in _sources(registry)) or "none"
            raise PluginError(
                f"no plugin draws an ensemble of {wanted.geometry} cells",
                where="--geometry",
                todo=f"Geometries that can be validated: {drawn}.",
            )
        if wanted.part == "adversarial" and not isinstance(provided.value, DrawsAdversaries):
            raise PluginError(
                f"the plugin {provided.plugin} draws no faulty {wanted.geometry} cells",
                where="--part",
                todo="Use --part accuracy.",
            )
        limits = tuple(limits_of_specs(registry, wanted.geometry))
    except BaseException:
        registry.close()
        raise
    return Campaign(wanted, registry, provided, Ensemble(wanted.seed, wanted.short, limits, wanted.part))


def _plugins_for(wanted: Wanted) -> Registry:
    """The bundled plugins alone where they draw such cells: of what others measure no truth is known."""
    if wanted.plugins_dir is None:
        bundled = load_plugins(third_party=False)
        if _source(bundled, wanted.geometry) is not None:
            return bundled
        bundled.close()
    return load_plugins(plugins_dir=wanted.plugins_dir)


def _sources(registry: Registry) -> list[Provided]:
    """All phantom sources that draw cases."""
    return [provided for provided in registry.phantom_sources if isinstance(provided.value, DrawsCases)]


def _source(registry: Registry, geometry: str) -> Provided | None:
    return next((each for each in _sources(registry) if each.value.geometry == geometry), None)


def limits_of_specs(registry: Registry, geometry: str) -> Iterator[SpecLimit]:
    """Each limit that a spec for cells of ``geometry`` sets, bundled specs first."""
    for listed in list_specs(registry.spec_folders):
        if listed.error is not None:
            continue
        spec = spec_of(listed.name, registry)
        if spec.geometry == geometry:
            for rule in spec.rules:
                yield from _limits_of_rule(listed.name, rule)


def _limits_of_rule(spec: str, rule: Mapping[str, Any]) -> Iterator[SpecLimit]:
    for side, limit in iter_limits(rule):
        yield SpecLimit(
            spec,
            str(rule["measurement"]),
            "min" if side == "min" else "max",
            float(limit["value"]),
            str(rule["unit"]),
        )
