"""``xctrules replay``: the record's scan measured again, and what is said when something is not as it was."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tifffile
from command_line import run
from conftest import shared_data

from xctrules.core.canonical import canonical_bytes
from xctrules.records.comparing import compare
from xctrules.records.record import sealed

Arguments = Callable[..., tuple[object, ...]]
FINE_VOXEL = "0.0400000001234567"  # more digits than a record keeps


@pytest.fixture(scope="module")
def scan(can: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copied = tmp_path_factory.mktemp("scan") / "can"
    shutil.copytree(can, copied)
    sidecar = copied / "acquisition.yaml"
    sidecar.write_text(sidecar.read_text().replace("0.04\n", f"{FINE_VOXEL}\n"))
    assert sidecar.read_text().count(FINE_VOXEL) == 3
    return copied


@pytest.fixture
def cell(scan: Path, tube: Arguments, tmp_path: Path) -> Path:
    """The folder of a cell that was inspected with an option that is not the default one."""
    _, _, *rest = tube()
    assert run("inspect", scan, *rest, "--cell-id", "C-1", "--angles", 48).exit_code == 0
    (tmp_path / "tube.yaml").unlink()  # the record has its own
    return tmp_path / "out" / "C-1"


def replayed(cell: Path, scan: Path) -> tuple[int, dict[str, Any]]:
    done = run("replay", cell, scan, "--json")
    return done.exit_code, json.loads(done.stdout) if done.exit_code < 2 else {}


def rewritten(cell: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The record alone, changed and sealed anew, as a forger or another day would have it."""
    record = json.loads((cell / "record.json").read_bytes())
    change(record)
    path = cell.parent / "changed.json"
    path.write_bytes(canonical_bytes(sealed(record)))
    return path


def test_the_same_software_gives_the_same_numbers_to_the_byte(cell: Path, scan: Path) -> None:
    code, found = replayed(cell, scan)
    assert code == 0 and found["answer"] == "identical" and found["same_to_the_byte"]
    assert not found["software"] and not found["outcomes"]
    record = json.loads((cell / "record.json").read_bytes())
    measured = {name for name, entry in record["measurements"].items() if entry["status"] == "measured"}
    states = {number["name"]: number["state"] for number in found["numbers"]}
    assert measured and {name for name, state in states.items() if state == "identical"} == measured
    for path in (cell / "record.json", cell / "report.html"):
        assert run("replay", path, scan).exit_code == 0
    assert "canister.outer_diameter" in run("replay", cell, scan).stdout


def test_what_stands_beside_the_scan_today_is_not_what_counts(cell: Path, scan: Path, tmp_path: Path) -> None:
    """The record's voxel size is used; where no file has its further digits, the last one may turn."""
    other = tmp_path / "other"
    shutil.copytree(scan, other)
    sidecar = other / "acquisition.yaml"
    sidecar.write_text(sidecar.read_text().replace(FINE_VOXEL, "0.05").replace("phantom\n", "phantom 2\n"))
    done = run("replay", cell, other, "--quiet")
    assert done.exit_code == 0
    assert "otherwise than the record of instrument and voxel_size_mm" in done.stderr
    sidecar.unlink()
    assert run("replay", cell, other).exit_code == 0


def test_another_scan_is_refused_with_the_name_of_what_differs(
    cell: Path, scan: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(scan, other)
    image = tifffile.imread(other / "slice_0003.tif")
    image[0, 0] = image.max()
    tifffile.imwrite(other / "slice_0003.tif", image)
    done = run("replay", cell, other)
    assert done.exit_code == 2 and not done.stdout
    assert (
        "not the scan of the record" in done.stderr
        and "1 file changed, such as slice_0003.tif" in done.stderr
    )
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for path in scan.glob("slice_*.tif"):
        shutil.copy(path, renamed / path.name.replace("slice", "image"))
    assert "the same contents" in run("replay", cell, renamed).stderr


def test_software_that_differs_is_named(cell: Path, scan: Path) -> None:
    def older(record: dict[str, Any]) -> None:
        record["software"]["numpy"] = "1.0.0"
        record["plugins"][0]["version"] = "0.0.1"
        record["plugins"].append({**record["plugins"][0], "name": "lost"})

    done = run("replay", rewritten(cell, older), scan)
    assert done.exit_code == 0
    name = json.loads((cell / "record.json").read_bytes())["plugins"][0]["name"]
    for words in ("software: numpy: 1.0.0 then", f"software: plugin {name}: 0.0.1", "plugin lost"):
        assert words in done.stdout


def test_a_record_whose_numbers_are_not_the_scans_does_not_hold(cell: Path, scan: Path) -> None:
    def shifted(by: float) -> Callable[[dict[str, Any]], None]:
        def change(record: dict[str, Any]) -> None:
            entry = record["measurements"]["canister.outer_diameter"]
            entry["value"] += by * entry["expanded_uncertainty"]

        return change

    for by, state in ((0.5, "within uncertainty"), (1.5, "DIFFERENT"), (-1.5, "DIFFERENT")):
        code, found = replayed(rewritten(cell, shifted(by)), scan)
        states = {number["name"]: number["state"] for number in found["numbers"]}
        assert states.pop("canister.outer_diameter") == state
        assert not {"within uncertainty", "DIFFERENT"} & set(states.values())
        assert code == 1, "the changed record itself does not hold either"


def test_malformed_records_end_with_a_sentence(cell: Path, scan: Path) -> None:
    for part in ("spec", "plugins", "scan", "measurements"):
        done = run(
            "replay", rewritten(cell, lambda record, part=part: record.update({part: {"x": []}})), scan
        )
        assert done.exit_code in (1, 2) and "inside xctrules" not in done.stderr, (part, done.stderr)


def test_a_verdict_that_comes_out_otherwise_is_never_within() -> None:
    from record_examples import example

    then, _ = example()
    now = copy.deepcopy(then)
    now["checks"][0]["outcome"], now["verdict"] = "FAIL", "FAIL"
    found = compare(then, now)
    assert not found.holds and found.answer == "DIFFERENT" and found.count("DIFFERENT") == 0
    assert {each.name for each in found.outcomes} == {"verdict", "rule od"}
    del now["measurements"]["winding.pitch"]
    assert compare(then, now).count("DIFFERENT") == 1
    assert compare(now, then).count("new") == 1


def test_the_real_scan_gives_the_same_numbers_again(tmp_path: Path) -> None:
    scan = shared_data("cell_21700_top")
    assert run("inspect", scan, "--spec", "21700", "--out", tmp_path, "--no-third-party").exit_code == 0
    (cell,) = tmp_path.iterdir()
    code, found = replayed(cell, scan)
    assert code == 0 and found["same_to_the_byte"] and not found["software"]
    assert sum(number["state"] == "identical" for number in found["numbers"]) > 60
