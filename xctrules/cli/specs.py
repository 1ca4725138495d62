"""``xctrules specs``: what is accepted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xctrules.cli.console import (
    FINE,
    AsJson,
    NoThirdParty,
    PluginsDir,
    command,
    group,
    plugins_asked_for,
    say,
    say_json,
    say_table,
)

if TYPE_CHECKING:
    from xctrules.rules.cellspec import CellSpec

app = group("Cell-format specs: what is accepted.")


@app.command("list")
@command
def specs_list(
    as_json: AsJson = False, plugins_dir: PluginsDir = None, no_third_party: NoThirdParty = False
) -> int:
    """List the specs that are known by name."""
    from xctrules.rules.cellspec import list_specs

    listed = list_specs(plugins_asked_for(plugins_dir, no_third_party).spec_folders)
    if as_json:
        say_json(
            [
                {
                    "name": s.name,
                    "title": s.title,
                    "version": s.version,
                    "bundled": s.bundled,
                    "path": str(s.path),
                    "error": s.error,
                }
                for s in listed
            ]
        )
    else:
        rows = [
            (s.name, s.version or "-", s.error or s.title, "xctrules" if s.bundled else str(s.path))
            for s in listed
        ]
        say_table([("Name", "Version", "Title", "From"), *rows])
    return FINE


@app.command("show")
@command
def specs_show(
    name: Annotated[str, typer.Argument(help="Name of a spec, or its file.")],
    resolved: Annotated[
        bool,
        typer.Option("--resolved", help="With its parents merged in, as JSON: what a cell is judged by."),
    ] = False,
    plugins_dir: PluginsDir = None,
    no_third_party: NoThirdParty = False,
) -> int:
    """Print a spec as it stands in its file: the start of one of your own."""
    spec = _loaded(name, plugins_dir, no_third_party)
    if resolved:
        say_json(spec.resolved)
    else:
        say(spec.text.rstrip("\n"))
    return FINE


@app.command("check", epilog="Exit codes: 0 it can be used; 2 it cannot, and why.")
@command
def specs_check(
    file: Annotated[str, typer.Argument(help="The spec's file, or its name.")],
    plugins_dir: PluginsDir = None,
    no_third_party: NoThirdParty = False,
) -> int:
    """Check a spec without a scan."""
    from xctrules.core.wording import counted
    from xctrules.rules.case import iter_limits

    spec = _loaded(file, plugins_dir, no_third_party)
    soft = sum(any(limit["status"] == "indicative" for _, limit in iter_limits(r)) for r in spec.rules)
    count = len(spec.rules)
    say(f"{file}: {counted(count, 'rule')}, {soft} with an indicative limit")
    return FINE


@app.command("schema")
@command
def specs_schema() -> int:
    """Print the JSON Schema of a spec file, for editors that complete and check YAML."""
    from xctrules.rules.spec_file import spec_schema

    say(json.dumps(spec_schema(), indent=2))
    return FINE


def _loaded(name: str, plugins_dir: Path | None, no_third_party: bool) -> CellSpec:
    from xctrules.engine.planning import spec_of

    return spec_of(name, plugins_asked_for(plugins_dir, no_third_party))
