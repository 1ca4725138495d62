"""Which cases a validation measures, with which plugins.

In: geometry, seed and plugins asked for. Out: a :class:`Campaign`, the same in every process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xctrules.core.errors import PluginError
from xctrules.core.protocols import DrawsCases, PhantomCase, PhantomEnsemble
from xctrules.core.validation import SpecLimit
from xctrules.engine.planning import spec_of
from xctrules.engine.registry import Registry, load_plugins
from xctrules.rules.case import iter_limits
from xctrules.rules.cellspec import list_specs


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
    """

    geometry: str
    seed: int = 1
    short: bool = False
    plugins_dir: Path | None = None


@dataclass(frozen=True)
class Campaign:
    """A geometry's ensemble, what its measurements are held to, and the plugins that measure it."""

    wanted: Wanted
    registry: Registry
    source: DrawsCases
    ensemble: PhantomEnsemble

    def case(self, index: int) -> PhantomCase:
        """Case ``index``; it follows from geometry, seed and index alone."""
        return self.ensemble.case(index)

    def identity(self) -> dict[str, Any]:
        """What must agree for cases to belong to the same ensemble."""
        wanted = self.wanted
        asked = {"geometry": wanted.geometry, "seed": wanted.seed, "short": wanted.short}
        return {**asked, **self.ensemble.identity()}


def open_campaign(wanted: Wanted) -> Campaign:
    """Load the plugins and find who draws such cells.

    Raises
    ------
    PluginError
        When no plugin draws cases of the geometry.
    """
    registry = _plugins_for(wanted)
    source = _source(registry, wanted.geometry)
    if source is None:
        drawn = ", ".join(geometry for geometry, _ in _sources(registry)) or "none"
        raise PluginError(
            f"no plugin draws an ensemble of {wanted.geometry} cells",
            where="--geometry",
            todo=f"Geometries that can be validated: {drawn}.",
        )
    limits = tuple(limits_of_specs(registry, wanted.geometry))
    return Campaign(wanted, registry, source, source.ensemble(wanted.seed, wanted.short, limits))


def _plugins_for(wanted: Wanted) -> Registry:
    """The bundled plugins alone where they draw such cells: of what others measure no truth is known."""
    if wanted.plugins_dir is None:
        bundled = load_plugins(third_party=False)
        if _source(bundled, wanted.geometry) is not None:
            return bundled
    return load_plugins(plugins_dir=wanted.plugins_dir)


def _sources(registry: Registry) -> Iterator[tuple[str, DrawsCases]]:
    """(geometry, source) of all that draw cases."""
    for provided in registry.phantom_sources:
        if isinstance(provided.value, DrawsCases):
            yield str(provided.value.geometry), provided.value


def _source(registry: Registry, geometry: str) -> DrawsCases | None:
    return next((source for name, source in _sources(registry) if name == geometry), None)


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
