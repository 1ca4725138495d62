"""``xctrules specs``: what it prints can be used as it stands."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import run


def test_specs_list_and_show() -> None:
    listed = json.loads(run("specs", "list", "--json", "--no-third-party").stdout)
    assert {"18650", "21700", "26650", "4680"} <= {entry["name"] for entry in listed}
    for entry in listed:
        shown = run("specs", "show", entry["name"])
        assert shown.exit_code == 0
        assert shown.stdout == Path(entry["path"]).read_text().rstrip("\n") + "\n"
        resolved = json.loads(run("specs", "show", entry["name"], "--resolved").stdout)
        assert resolved["name"] == entry["name"]
        assert run("specs", "check", entry["path"]).exit_code == 0


def test_specs_schema_is_json_schema_and_holds_for_the_bundled_specs() -> None:
    import jsonschema
    import yaml

    schema = json.loads(run("specs", "schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(run("specs", "show", "21700").stdout), schema)
