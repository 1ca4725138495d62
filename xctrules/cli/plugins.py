"""``xctrules plugins``: everything that can read, segment, screen or measure, and what is wrong with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xctrules.cli.console import (
    FINE,
    AsJson,
    NoThirdParty,
    PluginsDir,
    aligned,
    command,
    plugins_asked_for,
    say,
    say_json,
)

if TYPE_CHECKING:
    from xctrules.core.names import Description
    from xctrules.core.protocols import Option
    from xctrules.engine.registry import PluginInfo, Registry


@command
def plugins(
    as_json: AsJson = False, plugins_dir: PluginsDir = None, no_third_party: NoThirdParty = False
) -> int:
    """List every plugin found, with what it provides and what is wrong with it."""
    from xctrules.engine.registry import descriptions_of

    registry = plugins_asked_for(plugins_dir, no_third_party)
    described = descriptions_of((*registry.screens, *registry.metrics))
    if as_json:
        say_json([_as_json(plugin, described) for plugin in registry.plugins])
    else:
        for plugin in registry.plugins:
            for line in _text(plugin, registry, described):
                say(line)
    return FINE


def _as_json(plugin: PluginInfo, described: Mapping[str, Description]) -> dict[str, Any]:
    own = {name: dataclasses.asdict(described[name]) for name in plugin.measurements if name in described}
    return {**dataclasses.asdict(plugin), "descriptions": own}


def _text(plugin: PluginInfo, registry: Registry, described: Mapping[str, Description]) -> Iterator[str]:
    apart = ", in a process of its own" if plugin.process == "own" else ""
    yield f"{plugin.name} {plugin.version or '(no version)'} ({plugin.source}{apart})"
    units = registry.measurements
    measured = [
        (name, units[name], described[name].meaning if name in described else "")
        for name in plugin.measurements
    ]
    for label, lines in (
        ("hooks", [", ".join(plugin.hooks)]),
        ("measures", list(aligned(measured)) if measured else []),
        ("options", list(_options(plugin, registry))),
        ("sha256", [plugin.sha256 or ""]),
        ("PROBLEM", list(plugin.problems)),
    ):
        for number, line in enumerate(line for line in lines if line):
            yield f"  {label if number == 0 or label == 'PROBLEM' else '':<9} {line}"


def _options(plugin: PluginInfo, registry: Registry) -> Iterator[str]:
    """What ``--set`` takes, for inspections of this plugin's cells and for its phantoms."""
    from xctrules.core.protocols import HasOptions

    for each in registry.frame_finders:
        geometry = each.value.geometry
        if each.plugin == plugin.name and isinstance(each.value, HasOptions):
            yield f"of an inspection of {geometry} cells:"
            yield from _shown(each.value.options)
    for each in registry.phantom_sources:
        if each.plugin == plugin.name:
            yield f"of phantoms of {each.value.geometry} cells ({', '.join(each.value.formats)}):"
            yield from _shown(each.value.options)


def _shown(options: Sequence[Option]) -> Iterator[str]:
    for option in options:
        what = option.help if not option.choices else f"{option.help}: {', '.join(option.choices)}"
        yield f"  {option.name}: {what}" + (f", {option.unit}" if option.unit else "")
