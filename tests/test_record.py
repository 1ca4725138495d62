"""The record: what it holds, its bytes, and that writing it never loses an older one."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

import xctrules.records.record as record_module
from xctrules.core.errors import OutputError
from xctrules.core.measurement import (
    Contribution,
    Histogram,
    ImageFigure,
    LineChart,
    Measurement,
    Polyline,
    Samples,
    Scale,
    Table,
)
from xctrules.records.record import (
    build_record,
    cell_files,
    check_cell_id,
    figure_to_json,
    measurement_to_json,
    plain,
    record_bytes,
    samples_csv,
    sealed,
    write_cell,
)
from xctrules.rules.cellspec import parse_spec

SPEC = """\
schema: xctrules.spec/1
name: mine
version: "1"
rules:
  - {id: od, measurement: canister.outer_diameter, max: 21.25, unit: mm, source: S, status: datasheet}
  - {id: overhang, measurement: overhang.length.min, min: 0, unit: mm, source: S, status: standard}
"""

IMAGE = ImageFigure(
    "slice", "A slice", "Look here.", "a grey ramp", np.arange(48, dtype=np.uint8).reshape(6, 8),
    pixel_mm=(0.1, 0.1), overlays=(Polyline(np.array([[1.234, 2.0], [np.nan, 0.0], [3.0, 4.0]]), "anode"),),
)  # fmt: skip


def example(cell_id="cell-1", diameter=21.2, stated=True, **kw):
    """A small record with its files: (record, files)."""
    measurements = [
        Measurement("canister.outer_diameter", "mm", value=diameter, n=30, worst_at={"z_mm": 6.1},
                    budget=(Contribution("noise", 0.003, degrees_of_freedom=29),
                            Contribution("voxel scale", 0.002, "B", shared=True))),
        Measurement("overhang.length.min", "mm", value=1 / 3,
                    budget=(Contribution("noise", 0.01), Contribution("voxel scale", 3e-5, "B", True))),
        Measurement("winding.pitch", "mm", value=0.384, budget=(Contribution("noise", 0.001),)),
        Measurement.absent("overhang.bottom.length.min", "mm", "the lower end is not in view"),
    ]  # fmt: skip
    figure, images = figure_to_json(IMAGE)
    table = Samples("overhang", {"turn": np.arange(3), "length_mm": np.array([1 / 3, np.nan, 2.0])})
    files = cell_files(images, [table], "00  slice_0.tif\n")
    record = build_record(
        cell_id=cell_id, spec=parse_spec(SPEC, file="mine.yaml"),
        measurements={m.name: m for m in measurements},
        scope={"ends": ["top"], "height_seen_mm": 6.8, "straight_can_mm": 2.6}, scale=Scale(1e-4, stated),
        scan={"shape": (10, 8, 8), "dtype": "uint8", "voxel_size_mm": (0.1, 0.1, 0.1), "files": 1,
              "sha256": hashlib.sha256(files["samples/scan.sha256"]).hexdigest()},
        acquisition={"instrument": None, "voxel_scale_relative_uncertainty": 1e-4 if stated else None},
        files=files,
        sections=[{"metric": "demo", "title": "Demo", "figures": [figure]}],
        run={"started": "2026-01-01T00:00:00Z", "seconds": 1.0, "host": "h", "operator": None}, **kw,
    )  # fmt: skip
    return record, files


def test_record_has_the_contracts_keys_and_judges_itself():
    record, _ = example()
    for key in (
        "schema", "cell_id", "verdict", "reasons", "probability_of_conformity", "scope", "spec", "scan",
        "acquisition", "measurements", "checks", "plugins", "software", "parameters", "run",
    ):  # fmt: skip
        assert key in record
    assert record["verdict"] == "PASS"
    assert {"rule", "measurement", "min", "max", "unit", "at", "status", "decision_rule", "severity",
            "outcome", "margin", "probability_of_conformity"} <= set(record["checks"][0])  # fmt: skip
    assert record["checks"][0]["at"] == "mine.yaml:5"
    assert set(record["measurements"]["overhang.bottom.length.min"]) == {"status", "value", "unit", "reason"}
    assert example(stated=False)[0]["verdict"] == "CONDITIONAL_PASS"
    assert example(diameter=21.3)[0]["verdict"] == "FAIL"
    assert example(rejections=["too noisy"])[0]["verdict"] == "SCAN_REJECTED"


def test_numbers_have_nine_significant_digits_and_none_is_nan():
    assert plain(1 / 3) == 0.333333333
    assert plain(np.float32(0.1)) == 0.100000001
    assert plain([np.nan, math.inf, -0.0, np.int64(3), np.bool_(True)]) == [None, None, 0.0, 3, True]
    assert math.copysign(1, plain(-0.0)) == 1.0
    record, _ = example()
    assert record["measurements"]["overhang.length.min"]["value"] == 0.333333333
    text = record_bytes(record).decode()
    assert "NaN" not in text
    assert "Infinity" not in text


def test_bytes_are_canonical_and_repeatable():
    record, _ = example()
    data = record_bytes(record)
    assert record_bytes(json.loads(data)) == data
    assert data.endswith(b"}\n")
    assert record_bytes(example()[0]) == data


def test_the_seal_notices_any_change_and_leaves_the_rest_repeatable():
    record, _ = example()
    assert sealed(record) == record
    for key in ("verdict", "cell_id"):
        assert sealed({**record, key: "x"})["run"] != record["run"]
    later = sealed({**record, "run": {**record["run"], "started": "2027"}})
    assert {k: v for k, v in later.items() if k != "run"} == {k: v for k, v in record.items() if k != "run"}


def test_uncertainty_in_the_record_follows_from_its_budget():
    entry = measurement_to_json(
        Measurement(
            "a",
            "mm",
            value=1.0,
            budget=(Contribution("x", 3.0, degrees_of_freedom=9), Contribution("y", 4.0)),
        )
    )
    assert entry["standard_uncertainty"] == 5.0
    # Welch-Satterthwaite: 5^4 / (3^4 / 9) = 69.4; Student's t for 69 degrees of freedom and 95 % is 1.995.
    assert entry["degrees_of_freedom"] == pytest.approx(69.4444, abs=1e-3)
    assert entry["coverage_factor"] == pytest.approx(1.995, abs=5e-4)
    assert entry["expanded_uncertainty"] == pytest.approx(5 * 1.995, abs=3e-3)
    assert entry["budget"][1]["degrees_of_freedom"] is None


@pytest.mark.parametrize(
    "line",
    [Contribution("x", 1e200), Contribution("x", math.nan), Contribution("x", 1.0, degrees_of_freedom=0)],
)
def test_a_budget_that_makes_no_sense_gives_no_uncertainty(line):
    entry = measurement_to_json(Measurement("a", "mm", value=1.0, budget=(line, Contribution("y", 1.0))))
    assert entry["standard_uncertainty"] is None
    record_bytes(entry)


def test_figures_become_json_and_png():
    import cv2

    data, images = figure_to_json(IMAGE)
    (name, png), = images.items()  # fmt: skip
    assert data["image"] == {
        "file": name, "sha256": hashlib.sha256(png).hexdigest(), "width": 8, "height": 6,
    }  # fmt: skip
    assert np.array_equal(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED), IMAGE.image)
    assert data["overlays"][0]["points"] == [[1.23, 2.0], None, [3.0, 4.0]]
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 255
    _, colour = figure_to_json(dataclasses.replace(IMAGE, image=red))
    decoded = cv2.imdecode(np.frombuffer(colour[name], np.uint8), cv2.IMREAD_COLOR)
    assert decoded[0, 0].tolist() == [0, 0, 255]  # OpenCV gives blue first
    lines, _ = figure_to_json(
        LineChart("l", "t", "c", "a", (("s", "can", np.arange(2.0), np.array([1.0, np.nan])),), "x", "y")
    )
    assert lines["series"] == [{"label": "s", "role": "can", "x": [0.0, 1.0], "y": [1.0, None]}]
    histogram, _ = figure_to_json(
        Histogram.of(
            np.array([1.0, 2.0]), id="h", title="t", caption="c", alt="a", x_label="x", unit="mm", bins=2
        )
    )
    assert histogram["counts"] == [1, 1]
    table, _ = figure_to_json(Table("t", "t", "c", ("a", "b"), ((1, None), (np.float64(0.5), "x"))))
    assert table["rows"] == [[1, None], [0.5, "x"]]
    assert {d["kind"] for d in (data, lines, histogram, table)} == {"image", "lines", "histogram", "table"}
    with pytest.raises(ValueError, match="uint8"):
        figure_to_json(dataclasses.replace(IMAGE, image=np.zeros((2, 2))))


def test_samples_are_plain_csv():
    data = samples_csv(
        Samples("s", {"turn": np.arange(2), "end": np.array(["top", 'a,"b']), "z": [0.1, np.nan]})
    )
    rows = list(csv.reader(data.decode().splitlines()))
    assert rows == [["turn", "end", "z"], ["0", "top", "0.1"], ["1", 'a,"b', ""]]
    with pytest.raises(ValueError, match="length"):
        samples_csv(Samples("s", {"a": np.arange(2), "b": np.arange(3)}))


@pytest.mark.parametrize(
    "cell_id",
    ["", " ", "..", ".", "a/b", "../x", "/etc", "a\\b", "C:", "nul", "COM1.x", "a.", ".a", "a\n", "x" * 151,
     "a\u202eb", "*"],
)  # fmt: skip
def test_ids_that_are_no_folder_names_are_refused(cell_id, tmp_path):
    with pytest.raises(OutputError, match="--cell-id"):
        check_cell_id(cell_id)
    record, files = example()
    with pytest.raises(OutputError):
        write_cell(tmp_path, sealed({**record, "cell_id": cell_id}), files, "<html>")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cell_id", ["UCL-21700-A", "Zelle 7", "prüfling_3", "console", "a.b"])
def test_ordinary_ids_are_fine(cell_id):
    check_cell_id(cell_id)


def read(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_folder_holds_what_the_contract_says(tmp_path):
    record, files = example()
    folder = write_cell(tmp_path / "new" / "out", record, files, "<html>é")
    assert folder == tmp_path / "new" / "out" / "cell-1"
    held = read(folder)
    assert set(held) == {
        "record.json", "report.html", "samples/overhang.csv", "samples/scan.sha256", "images/slice.png",
    }  # fmt: skip
    assert held["record.json"] == record_bytes(record)
    listed = {f["name"]: f["sha256"] for f in record["files"]}
    assert listed == {
        name: hashlib.sha256(data).hexdigest() for name, data in held.items() if not name.startswith("re")
    }
    assert [p.name for p in folder.parent.iterdir()] == ["cell-1"]


def test_a_record_is_replaced_only_when_asked(tmp_path):
    old, files = example()
    write_cell(tmp_path, old, files, "old")
    new, _ = example(diameter=21.3)
    with pytest.raises(OutputError, match="--replace"):
        write_cell(tmp_path, new, files, "new")
    assert (tmp_path / "cell-1" / "report.html").read_text() == "old"
    write_cell(tmp_path, new, files, "new", replace=True)
    assert json.loads((tmp_path / "cell-1" / "record.json").read_text())["verdict"] == "FAIL"
    assert [p.name for p in tmp_path.iterdir()] == ["cell-1"]


def test_other_peoples_files_are_never_replaced(tmp_path):
    record, files = example()
    (tmp_path / "cell-1").mkdir()
    (tmp_path / "cell-1" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="no record"):
        write_cell(tmp_path, record, files, "x", replace=True)
    assert (tmp_path / "cell-1" / "thesis.txt").read_text() == "mine"
    with pytest.raises(ValueError, match="leads out"):
        write_cell(tmp_path, sealed({**record, "cell_id": "other"}), {"../evil": b""}, "x")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("exchange", [True, False])
def test_a_stop_at_any_moment_leaves_the_old_record_or_the_new_one(tmp_path, monkeypatch, exchange):
    """The process is stopped (forked and killed) before each file-system step in turn."""
    old, files = example()
    new, _ = example(diameter=21.3)
    if not exchange:
        monkeypatch.setattr(record_module, "_exchange", lambda a, b: False)
    whole = []
    for name, a_record, html in (("old", old, "old"), ("new", new, "new")):
        whole.append(read(write_cell(tmp_path / name, a_record, files, html)))
    for step in range(1, 60):
        out = tmp_path / f"step{step}"
        write_cell(out, old, files, "old")
        pid = os.fork()
        if pid == 0:
            try:
                _stop_before(step)
                write_cell(out, new, files, "new", replace=True)
            finally:
                os._exit(0)
        _, status = os.waitpid(pid, 0)
        # What the next run sees: it first brings back what an interrupted swap had put aside.
        record_module._finish_interrupted_swap(out / "cell-1")
        assert read(out / "cell-1") in whole
        if os.waitstatus_to_exitcode(status) == 0:
            assert read(out / "cell-1") == whole[1]
            break
    else:
        pytest.fail("the writer took more steps than were tried")
    assert step > 8  # five files, folders, and the swap


def _stop_before(step: int) -> None:
    """Make this process die with status 9 in place of its ``step``-th change to the file system."""
    import shutil

    left = [step]

    def guarded(function):
        def call(*args, **kw):
            left[0] -= 1
            if left[0] == 0:
                os._exit(9)
            return function(*args, **kw)

        return call

    for owner, name in (
        (os, "fsync"), (Path, "rename"), (Path, "mkdir"), (shutil, "rmtree"), (record_module, "_exchange"),
    ):  # fmt: skip
        setattr(owner, name, guarded(getattr(owner, name)))


def test_a_folder_that_cannot_be_written_is_one_clear_message(tmp_path):
    record, files = example()
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        write_cell(tmp_path / "file", record, files, "x")
