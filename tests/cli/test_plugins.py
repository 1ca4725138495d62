"""``xctrules plugins``: what was found, and what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import run


def test_plugins_json() -> None:
    found = json.loads(run("plugins", "--json", "--no-third-party").stdout)
    assert {"canister", "overhang", "segmentation", "winding"} <= {plugin["name"] for plugin in found}
    for plugin in found:
        assert {"name", "version", "source", "hooks", "measurements", "load_error"} <= set(plugin)


def test_plugins_names_a_broken_one(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import no_such_module_here\n")
    result = run("plugins", "--plugins-dir", tmp_path)
    assert result.exit_code == 0
    assert "broken" in result.stdout and "no_such_module_here" in result.stdout
