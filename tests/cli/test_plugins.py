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


def test_plugins_tells_what_is_measured_and_what_can_be_set() -> None:
    shown = run("plugins", "--no-third-party").stdout
    rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in shown.splitlines() if " mm " in line}
    assert rows["canister.wall_thickness.min"][0] == "mm" and "wall" in rows["canister.wall_thickness.min"][1]
    for option in ("angles", "mask_of", "negative_overhang"):
        assert f"    {option}: " in shown
    found = json.loads(run("plugins", "--json", "--no-third-party").stdout)
    (canister,) = (plugin for plugin in found if plugin["name"] == "canister")
    assert set(canister["descriptions"]) == set(canister["measurements"])
    assert all(each["title"] and each["meaning"] for each in canister["descriptions"].values())
