"""``xctrules plugins``: everything that can read, segment, screen or measure, and what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xctrules.cli.console import (
    AsJson,
    NoThirdParty,
    PluginsDir,
    command,
    plugins_asked_for,
    say,
    say_json,
)

if TYPE_CHECKING:
    from xctrules.engine.registry import PluginInfo


@command
def plugins(
    as_json: AsJson = False, plugins_dir: PluginsDir = None, no_third_party: NoThirdParty = False
) -> int:
    """List every plugin found, with what it provides and what is wrong with it."""
    import dataclasses

    found = plugins_asked_for(plugins_dir, no_third_party).plugins
    if as_json:
        say_json([dataclasses.asdict(plugin) for plugin in found])
    else:
        for plugin in found:
            _show(plugin)
    return 0


def _show(plugin: PluginInfo) -> None:
    say(f"{plugin.name} {plugin.version or '(no version)'} ({plugin.source})")
    for label, text in (
        ("hooks", ", ".join(plugin.hooks)),
        ("measures", ", ".join(plugin.measurements)),
        ("sha256", plugin.sha256 or ""),
        *(("PROBLEM", problem) for problem in plugin.problems),
    ):
        if text:
            say(f"  {label:<9} {text}")
