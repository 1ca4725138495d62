"""``xctrules study`` from table or records to study file, and from there into a spec, a record and verify."""

from __future__ import annotations

import copy
import hashlib
import html
import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import run as xctrules
from typer.testing import Result

from xctrules import inspect
from xctrules.core.canonical import canonical_bytes
from xctrules.core.errors import SpecError
from xctrules.cylinder.phantom import canister_mask, small
from xctrules.records.record import sealed
from xctrules.records.verify import verify_path
from xctrules.rules.cellspec import load_spec

DIAMETER = "canister.outer_diameter"
SPEC = """\
schema: xctrules.spec/1
name: tube
version: "1"
rules:
  - {id: d, measurement: canister.outer_diameter, min: 7.9, max: 8.1, unit: mm, source: drawing 1,
     status: drawing}
"""


def run(*args: object) -> Result:
    return xctrules("study", *args)


def table(path: Path, shape=(10, 2, 2), parts=1.0, repeats=0.01, seed=0, name=DIAMETER, unit="mm") -> Path:
    """A crossed study as CSV, drawn with a known scatter."""
    rng = np.random.default_rng(seed)
    lines = ["part,appraiser,repeat,measurement,value,unit"]
    for i in range(shape[0]):
        true = 20 + parts * rng.standard_normal()
        for j in range(shape[1]):
            for k in range(shape[2]):
                value = true + repeats * rng.standard_normal()
                lines.append(f"P{i},{'ABC'[j]},{k + 1},{name},{value:.6f},{unit}")
    path.write_text("\n".join(lines) + "\n")
    return path


# --- the commands ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("repeats", "tolerance", "code", "words"),
    [
        (0.01, None, 0, "acceptable"),
        (0.2, None, 0, "conditional"),
        (1.0, None, 1, "not acceptable"),
        (0.01, 0.1, 1, "not acceptable"),
        (0.01, 10, 0, "acceptable"),
    ],
)
def test_exit_code_follows_the_judgement(tmp_path, repeats, tolerance, code, words):
    options = [] if tolerance is None else ["--tolerance", tolerance]
    result = run("grr", table(tmp_path / "t.csv", (15, 2, 3), repeats=repeats), *options)
    assert result.exit_code == code, result.output
    assert f"  {words} (" in result.stdout
    for shown in ("repeatability (EV)", "gauge, R&R (GRR)", "Sum of squares", "95 % interval"):
        assert shown in result.stdout


def test_one_part_without_tolerance_is_no_decision(tmp_path):
    path = table(tmp_path / "t.csv", (1, 2, 5))
    result = run("grr", path)
    assert result.exit_code == 3
    assert "no ndc" in result.stderr
    assert run("grr", path, "--tolerance", 1).exit_code == 0


def test_json_is_the_study(tmp_path):
    path = table(tmp_path / "t.csv")
    (study,) = json.loads(run("grr", path, "--json", "--date", "2026-05-01").stdout)
    values = [float(line.split(",")[4]) for line in path.read_text().splitlines()[1:]]
    assert [v["value"] for v in study["values"]] == values
    assert study["date"] == "2026-05-01"
    assert study["inputs"] == [{"name": "t.csv", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}]
    pairs = np.reshape(values, (-1, 2))
    within = np.mean(pairs.var(axis=1, ddof=1))
    if study["results"]["interaction"] == "kept":
        assert study["results"]["components"]["EV"]["standard_deviation"] == pytest.approx(math.sqrt(within))
    again = run("grr", path, "--json", "--date", "2026-05-01").stdout
    assert json.loads(again) == [study]


def test_csv_and_yaml_in_any_of_their_forms_say_the_same(tmp_path):
    path = table(tmp_path / "t.csv")
    rows = [line.split(",") for line in path.read_text().splitlines()]
    (tmp_path / "semi.csv").write_text("# a comment\n" + "\r\n".join(";".join(row) for row in rows))
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    listed = [f"- {{part: {p}, appraiser: {a}, value: {v}}}" for p, a, _, _, v, _ in rows[1:]]
    (tmp_path / "list.yaml").write_text(
        f"measurement: {DIAMETER}\nunit: mm\nrows:\n" + "\n".join(f"  {row}" for row in listed)
    )
    (tmp_path / "bare.yaml").write_text("\n".join(listed))
    expected = run("grr", path).stdout
    for name in ("semi.csv", "bom.csv", "list.yaml"):
        assert run("grr", tmp_path / name).stdout == expected, name
    assert run("grr", tmp_path / "bare.yaml", "--measurement", DIAMETER).stdout == expected


def test_several_measurements_are_told_in_a_line_each(tmp_path):
    one, two = table(tmp_path / "a.csv"), table(tmp_path / "b.csv", name="winding.pitch", repeats=2)
    result = run("grr", one, two)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["Measurement", DIAMETER, "winding.pitch"]
    refused = run("grr", one, two, "--tolerance", 1)
    assert refused.exit_code == 2
    assert "--measurement" in refused.stderr
    assert run("grr", one, two, "--measurement", DIAMETER, "--tolerance", 1).exit_code == 0


HEAD = "part,appraiser,repeat,measurement,value,unit\n"
ROW = f"1,A,1,{DIAMETER},21.2,mm\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", None, "no rows"),
        (HEAD, None, "no rows"),
        ("part,apraiser,value\n1,A,2\n", 1, "'appraiser'"),
        ("part,part,value\n1,A,2\n", 1, "twice"),
        ("part,appraiser\n1,A\n", 1, "`value`"),
        (HEAD + ROW + ROW.replace("21.2", "abc"), 3, "'abc' is not a number"),
        (HEAD + ROW + ROW.replace("21.2", "nan"), 3, "finite"),
        (HEAD + ROW.replace("21.2", "21,2"), 2, "7 cells"),
        (HEAD.replace(",", ";") + ROW.replace(",", ";").replace("21.2", "21,2"), 2, "after a point"),
        (HEAD + ROW + "\n# note\n" + ROW, 5, "given twice"),
        (HEAD + ROW + ROW.replace("A,1", "A,2").replace("mm", "um"), 3, "'mm'"),
        (HEAD + ROW.replace("1,A", ",A"), 2, "part is empty"),
        (HEAD + ROW.replace("21.2", ""), 2, "needs a value"),
        (HEAD + ROW.replace(f"{DIAMETER}", ""), 2, "no measurement"),
        (HEAD + ROW.replace(DIAMETER, "my.own").replace(",mm", ","), 2, "unit of my.own"),
        (HEAD + ROW, 2, "nothing is repeated"),
        (HEAD + ROW + ROW.replace("A,1", "A,2") + ROW.replace("1,A", "2,A", 1), 4, "measured once"),
        (HEAD + ROW + ROW.replace("A,1", "B,1") + ROW.replace("1,A", "2,A", 1), 4, "never"),
        (HEAD + ROW + ROW.replace("21.2", '"21.2'), None, "CSV"),
    ],
)  # fmt: skip
def test_a_bad_table_is_refused_with_its_line(tmp_path, text, line, words):
    path = tmp_path / "t.csv"
    path.write_text(text)
    result = run("grr", path)
    assert result.exit_code == 2, result.output
    where = f"{path}:{line}: " if line else f"{path}"
    assert result.stderr.startswith(f"xctrules: {where}"), result.stderr
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("rows: 3", 1, "list of rows"),
        ("- 3", 1, "mapping"),
        ("- {part: 1, value: 1}\n- {part: 1, vale: 1}", 2, "'value'"),
        ("- {part: 1, value: 1}\n- {part: [1], value: 1}", 2, "plain"),
        ("- {part: 1, part: 1, value: 1}", 1, "twice"),
        ("- {part: 1", 1, "YAML"),
        ("", 1, "list of rows"),
    ],
)
def test_a_bad_yaml_table_is_refused_with_its_line(tmp_path, text, line, words):
    path = tmp_path / "t.yaml"
    path.write_text(text)
    result = run("grr", path, "--measurement", DIAMETER)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith(f"xctrules: {path}:{line}: "), result.stderr
    assert words in result.stderr


def test_yaml_takes_names_as_they_stand(tmp_path):
    (tmp_path / "t.yaml").write_text(
        "".join(f"- {{part: 010, appraiser: no, value: {v}}}\n" for v in (1, 2, 3))
    )
    (study,) = json.loads(run("grr", tmp_path / "t.yaml", "--measurement", DIAMETER, "--json").stdout)
    assert {(v["part"], v["appraiser"]) for v in study["values"]} == {("010", "no")}


def test_wrong_options_and_paths_are_one_message(tmp_path):
    path = table(tmp_path / "t.csv", (1, 1, 3))
    cal = ("calibrated", path, "--value", 20, "-U")
    for args in (
        ("grr", tmp_path / "none.csv"), ("grr", path, "--tolerance", -1), ("grr", path, "--date", "5/1"),
        ("grr", path, "--measurement", "winding.pitch"), ("grr", path, "--voxel-size", "0,0,0"),
        ("grr", path, "--voxel-size", "a"), ("grr", path, "--valid-range", "3,2"), (*cal, 0),
        (*cal, 1, "--u-workpiece", -1), (*cal, 1, "--coverage-factor", 0), ("grr", tmp_path),
        ("calibrated", table(tmp_path / "u.csv", (2, 1, 3)), "--value", 20, "-U", 1),
    ):  # fmt: skip
        result = run(*args)
        assert result.exit_code == 2, args
        assert result.stderr.startswith("xctrules: "), args
        assert "went wrong inside" not in result.stderr, args


def test_a_study_file_is_not_overwritten_unasked(tmp_path):
    path, out = table(tmp_path / "t.csv"), tmp_path / "studies" / "od.json"
    assert run("grr", path, "--out", out).exit_code == 0
    before = out.read_bytes()
    assert run("grr", path, "--out", out, "--name", "other").exit_code == 2
    assert out.read_bytes() == before
    assert run("grr", path, "--out", out, "--name", "other", "--replace").exit_code == 0
    assert json.loads(out.read_text())["name"] == "other"
    assert [p.name for p in out.parent.iterdir()] == ["od.json"]


def test_calibrated_prints_what_its_file_holds(tmp_path):
    (tmp_path / "c.csv").write_text("value\n" + "\n".join(f"{10 + 0.01 * i}" for i in range(1, 6)))
    args = ("calibrated", tmp_path / "c.csv", "--measurement", DIAMETER, "--value", 10, "-U", 0.004)
    (study,) = json.loads(run(*args, "--json", "--certificate", "PTB 1").stdout)
    assert study["results"]["bias"] == pytest.approx(0.03)
    assert study["calibration"]["certificate"] == "PTB 1"
    shown = run(*args)
    assert "+0.03 mm" in shown.stdout
    assert "at least 20" in shown.stderr
    assert run(*args, "--tolerance", 10).exit_code == 0
    assert run(*args, "--tolerance", 0.1).exit_code == 1


@pytest.mark.parametrize("kind", ["grr", "calibrated"])
def test_the_page_stands_alone_and_shows_every_value(tmp_path, kind):
    path, page = tmp_path / "t.csv", tmp_path / "page.html"
    rows = [f"<b>{i}</b>,A&{j},{20 + i + 0.01 * k}" for i in range(3) for j in range(2) for k in range(2)]
    if kind == "calibrated":
        rows = [f"<b>0</b>,A&0,{20 + 0.01 * k}" for k in range(12)]
    path.write_text("part,appraiser,value\n" + "\n".join(rows))
    options = ("--value", 20, "-U", 0.01) if kind == "calibrated" else ()
    args = (kind, path, *options, "--measurement", DIAMETER, "--html", page)
    result = run(*args)
    assert result.exit_code == 0, result.output
    text = page.read_text()
    drawing = re.search(r"<svg class=\"dots\".*?</svg>", text, re.S).group()
    assert drawing.count("<title>") == len(rows)
    heights = [float(y) for y in re.findall(r'<circle cx="[^"]+" cy="([^"]+)"', drawing)]
    assert len(heights) == (len(rows) if kind == "calibrated" else len(rows) / 2)
    box = [float(number) for number in re.search(r'viewBox="([^"]+)"', drawing).group(1).split()]
    assert all(box[1] < y < box[3] for y in heights)
    assert "<b>" not in text
    assert "&lt;b&gt;" in text
    assert "<script" not in text
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", text)
    for line in filter(str.strip, result.stdout.splitlines()):
        assert line.strip() in html.unescape(text)
    assert run(*args).exit_code == 2
    assert run(*args, "--replace").exit_code == 0


# --- records as input ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mask of a can 8 mm wide, whose sidecar names an instrument."""
    folder = tmp_path_factory.mktemp("scan") / "can"
    canister_mask(small(view="roll", roll_in_view_mm=0.4)).write(folder)
    sidecar = folder / "acquisition.yaml"
    text = "\n".join(line for line in sidecar.read_text().splitlines() if not line.startswith("instrument"))
    sidecar.write_text(f"{text}\ninstrument: CT one\n")
    return folder


@pytest.fixture(scope="module")
def record(scan: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    spec = tmp_path_factory.mktemp("spec") / "tube.yaml"
    spec.write_text(SPEC)
    return dict(inspect(scan, spec, mask_of="canister", third_party=False).record)


def repeat_record(folder: Path, record: dict, cell: str, value: float, **acquisition: str) -> Path:
    """A record as another scan of a cell might have given it, sealed like any other."""
    other = copy.deepcopy(record)
    other["cell_id"] = cell
    other["measurements"][DIAMETER]["value"] = value
    other["acquisition"] |= acquisition
    other["scan"]["sha256"] = hashlib.sha256(str(folder).encode()).hexdigest()
    folder.mkdir(parents=True)
    (folder / "record.json").write_bytes(canonical_bytes(sealed(other)))
    return folder


def test_records_are_read_with_their_conditions(tmp_path, record):
    folders = [
        repeat_record(tmp_path / f"{cell}{who}{i}", record, cell, 8 + c + 0.001 * i, operator=who)
        for c, cell in enumerate("abcdefghij")
        for who in ("Ann", "Bob")
        for i in range(2)
    ]
    args = ("--measurement", DIAMETER, "--appraiser-from", "operator", "--json")
    result = run("grr", *folders, *args)
    assert result.exit_code == 0, result.output
    (study,) = json.loads(result.stdout)
    results = study["results"]
    assert (results["parts"], results["appraisers"], results["repeats"]) == (10, 2, 2)
    assert results["components"]["AV"]["standard_deviation"] == 0
    assert study["valid"]["instruments"] == ["CT one"]
    assert study["valid"]["voxel_size_mm"]["min"] == record["scan"]["voxel_size_mm"]
    assert len(study["inputs"]) == len(folders)
    first = study["values"][0]
    assert first["sha256"] == hashlib.sha256((folders[0] / "record.json").read_bytes()).hexdigest()
    # The same through a manifest, which may assign records as it likes.
    rows = [f"{f.name[0]},{f.name[1:4]},{f.name[4:]},{f.name}" for f in folders]
    (tmp_path / "m.csv").write_text("part,appraiser,repeat,record\n" + "\n".join(rows))
    (other,) = json.loads(run("grr", tmp_path / "m.csv", "--measurement", DIAMETER, "--json").stdout)
    assert other["results"] == results
    # Without a name, all that every record measured.
    every = json.loads(run("grr", tmp_path / "m.csv", "--json").stdout)
    measured = {n for n, m in record["measurements"].items() if m["status"] == "measured"}
    assert {s["measurement"] for s in every} == measured


def test_records_that_are_no_repeats_are_refused(tmp_path, record):
    one = repeat_record(tmp_path / "one", record, "c", 8.0)
    two = repeat_record(tmp_path / "two", record, "c", 8.1)
    shutil.copytree(one, tmp_path / "copy")
    same = run("grr", one, tmp_path / "copy", "--measurement", DIAMETER)
    assert same.exit_code == 2
    assert "same scan" in same.stderr
    data = json.loads((two / "record.json").read_text())
    data["measurements"][DIAMETER]["value"] = 8.2
    (two / "record.json").write_bytes(canonical_bytes(data))
    changed = run("grr", one, two, "--measurement", DIAMETER)
    assert changed.exit_code == 2
    assert "was changed" in changed.stderr
    missing = run("grr", one, "--measurement", "winding.pitch")
    assert missing.exit_code == 2
    assert str(one) in missing.stderr
    anonymous = run("grr", one, "--appraiser-from", "operator")
    assert anonymous.exit_code == 2
    assert "no operator" in anonymous.stderr
    (tmp_path / "x.json").write_text("{}")
    assert run("grr", tmp_path / "x.json").exit_code == 2


# --- a study as a budget ---------------------------------------------------------------------------------


def calibrated_file(folder: Path, record: dict, *options: object, bias: float = 0.004, n: int = 20) -> Path:
    """A study of the scan's own diameter with a known bias and a scatter of 0.001 mm."""
    value = record["measurements"][DIAMETER]["value"]
    steps = np.linspace(-1, 1, n)
    steps *= 0.001 / steps.std(ddof=1)
    (folder / "c.csv").write_text("value\n" + "\n".join(f"{value + float(step)!r}" for step in steps))
    out = folder / "od.json"
    voxel = ",".join(map(str, record["scan"]["voxel_size_mm"]))
    given = options if "--voxel-size" in options else (*options, "--voxel-size", voxel)
    result = run(
        "calibrated", folder / "c.csv", "--measurement", DIAMETER, "--value", repr(value - bias),
        "-U", 0.002, "--u-workpiece", 0.0005, "--out", out, *given,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return out


def spec_with(folder: Path, entry: str) -> Path:
    path = folder / "tube.yaml"
    path.write_text(f"{SPEC}budgets:\n  - {entry}\n")
    return path


def inspected(scan: Path, folder: Path, spec: Path) -> dict:
    result = inspect(
        scan, spec, mask_of="canister", third_party=False, out=folder / "out", replace=True, cell_id="c"
    )
    assert verify_path(folder / "out" / "c").ok, verify_path(folder / "out" / "c").failures
    return dict(result.record)


def test_a_calibrated_part_becomes_the_budget(tmp_path, scan, record):
    """u^2 = 0.001^2 (calibration) + 0.001^2 (1 + 1/20) + 0.0005^2; |b| = 0.004 is added or corrected."""
    study = calibrated_file(tmp_path, record, "--instrument", "CT one")
    own = record["measurements"][DIAMETER]
    u = math.sqrt(0.001**2 * (2 + 1 / 20) + 0.0005**2)

    added = inspected(scan, tmp_path, spec_with(tmp_path, f"{{measurement: {DIAMETER}, study: od.json}}"))
    entry = added["measurements"][DIAMETER]
    k = entry["coverage_factor"]
    assert entry["value"] == own["value"]
    assert entry["expanded_uncertainty"] == pytest.approx(k * u + 0.004, rel=1e-4)
    content = json.loads(study.read_text())
    assert content["sha256"][:12] in entry["reason"]
    assert content["results"]["expanded_uncorrected"] == pytest.approx(
        entry["expanded_uncertainty"], rel=1e-3
    )
    assert added["spec"]["resolved"]["budgets"][0]["study"] == content
    assert not any(line["shared"] for line in entry["budget"])
    (use,) = added["parameters"]["budgets"]
    assert use["used"]
    assert use["own_budget"] == own["budget"]
    assert use["study_sha256"] == content["sha256"]

    spec = spec_with(tmp_path, f"{{measurement: {DIAMETER}, study: od.json, bias: correct}}")
    corrected = inspected(scan, tmp_path, spec)["measurements"][DIAMETER]
    assert corrected["value"] == pytest.approx(own["value"] - 0.004, abs=1e-8)
    assert corrected["expanded_uncertainty"] == pytest.approx(k * u, rel=1e-4)
    assert "corrected by -0.004 mm" in corrected["reason"]


def test_a_gauge_study_replaces_what_repeats_can_show(tmp_path, scan, record):
    path = table(tmp_path / "t.csv", (10, 2, 3), repeats=0.02, seed=2)
    out, voxel = tmp_path / "g.json", ",".join(map(str, record["scan"]["voxel_size_mm"]))
    assert run("grr", path, "--out", out, "--voxel-size", voxel, "--instrument", "ct ONE").exit_code == 0
    found = inspected(scan, tmp_path, spec_with(tmp_path, f"{{measurement: {DIAMETER}, study: g.json}}"))
    components = json.loads(out.read_text())["results"]["components"]
    gauge = components["GRR"]["standard_deviation"]
    own = record["measurements"][DIAMETER]["budget"]
    kept = [line for line in own if line["type"] == "B"]
    entry = found["measurements"][DIAMETER]
    assert [line for line in entry["budget"] if line["type"] == "B"] == kept
    expected = math.sqrt(gauge**2 + sum(line["contribution"] ** 2 for line in kept))
    assert entry["standard_uncertainty"] == pytest.approx(expected, rel=1e-6)
    assert not any(DIAMETER in warning for warning in found["warnings"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--voxel-size", "0.1"), "voxel size"),
        (("--voxel-size", "0.02", "--voxel-size", "0.03"), "voxel size"),
        (("--instrument", "CT two"), "instrument"),
        (("--format", "4680"), "spec is tube"),
        (("--valid-range", "20,22"), "outside the study's range"),
    ],
)
def test_a_study_of_other_conditions_is_not_used(tmp_path, scan, record, options, words):
    calibrated_file(tmp_path, record, *options)
    found = inspected(scan, tmp_path, spec_with(tmp_path, f"{{measurement: {DIAMETER}, study: od.json}}"))
    assert found["measurements"][DIAMETER] == record["measurements"][DIAMETER]
    (told,) = [w for w in found["warnings"] if "not used" in w]
    assert words in told
    (use,) = found["parameters"]["budgets"]
    assert not use["used"]


def test_a_study_of_records_holds_for_scans_like_theirs(tmp_path, scan, record):
    """Instrument, format and voxel size come from the records: nothing has to be typed in."""
    folders = [repeat_record(tmp_path / f"r{i}", record, "c", 8 + 0.001 * (i % 3)) for i in range(6)]
    out = tmp_path / "g.json"
    result = run("grr", *folders, "--measurement", DIAMETER, "--tolerance", 0.2, "--out", out)
    assert result.exit_code == 0, result.output
    found = inspected(scan, tmp_path, spec_with(tmp_path, f"{{measurement: {DIAMETER}, study: g.json}}"))
    assert found["parameters"]["budgets"][0]["used"]
    assert not any(DIAMETER in warning for warning in found["warnings"])


def test_a_range_of_voxel_sizes_is_one(tmp_path, scan, record):
    calibrated_file(tmp_path, record, "--voxel-size", "0.03", "--voxel-size", "0.05")
    found = inspected(scan, tmp_path, spec_with(tmp_path, f"{{measurement: {DIAMETER}, study: od.json}}"))
    assert found["parameters"]["budgets"][0]["used"]
    assert any("names no instrument" in warning for warning in found["warnings"])


def test_an_unmeasured_quantity_takes_no_budget(tmp_path, scan, record):
    path = table(tmp_path / "t.csv", name="winding.pitch")
    assert run("grr", path, "--out", tmp_path / "p.json", "--voxel-size", "0.04").exit_code == 0
    found = inspected(scan, tmp_path, spec_with(tmp_path, "{measurement: winding.pitch, study: p.json}"))
    (use,) = found["parameters"]["budgets"]
    assert not use["used"]
    assert found["measurements"]["winding.pitch"]["value"] is None


def test_tampering_with_a_study_inside_a_record_is_found(tmp_path, scan, record):
    calibrated_file(tmp_path, record)
    good = inspected(scan, tmp_path, spec_with(tmp_path, f"{{measurement: {DIAMETER}, study: od.json}}"))
    path = tmp_path / "record.json"

    def wrong(change) -> str:
        other = copy.deepcopy(good)
        change(other)
        path.write_bytes(canonical_bytes(sealed(other)))
        return " ".join(finding.what for finding in verify_path(path).failures)

    assert wrong(lambda r: None) == ""

    def softer_calibration(r):
        r["spec"]["resolved"]["budgets"][0]["study"]["calibration"]["expanded_uncertainty"] = 1e-6

    def narrower_line(r):
        r["measurements"][DIAMETER]["budget"][0]["contribution"] /= 2

    def other_value(r):
        r["parameters"]["budgets"][0]["measured_value"] += 0.01

    assert "sha256" in wrong(softer_calibration)
    assert "do not" in wrong(narrower_line) or "not those" in wrong(narrower_line)
    assert "not those that follow" in wrong(other_value)
    assert "not those that the spec names" in wrong(lambda r: r["parameters"].pop("budgets"))
    assert wrong(lambda r: r["spec"]["resolved"].pop("budgets"))
    assert wrong(lambda r: r["scan"].update(voxel_size_mm=[0.2, 0.2, 0.2]))


def test_a_changed_study_is_refused_even_with_a_new_checksum(tmp_path, record):
    from xctrules.rules.study_files import _checksum

    out = calibrated_file(tmp_path, record)
    spec = spec_with(tmp_path, f"{{measurement: {DIAMETER}, study: od.json}}")
    content = json.loads(out.read_text())
    content["results"]["bias"] = 0.0
    out.write_text(json.dumps(content))
    with pytest.raises(SpecError, match=r"tube\.yaml:8: .*od\.json: the study was changed"):
        load_spec(spec)
    content["sha256"] = _checksum(content)
    out.write_text(json.dumps(content))
    with pytest.raises(SpecError, match="do not follow from its values"):
        load_spec(spec)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{measurement: canister.outer_diameter, study: none.json}", "none.json cannot be read"),
        ("{measurement: canister.outer_diameter, study: tube.yaml}", "not readable as a study"),
        ("{measurement: canister.inner_diameter, study: od.json}", "is of canister.outer_diameter"),
        ("{measurement: canister.outer_diametr, study: od.json}", "did you mean"),
        ("{measurement: canister.outer_diameter, study: od.json, bias: ad}", "'add'"),
        ("{measurement: canister.outer_diameter, study: od.json, sha256: abc}", "sha256"),
        (f"{{measurement: canister.outer_diameter, study: od.json, sha256: {'0' * 64}}}", "another sha256"),
        ("{measurement: canister.outer_diameter, studdy: od.json}", "'study'"),
        ("{measurement: canister.outer_diameter}", "'study' is missing"),
    ],
)
def test_a_budget_that_cannot_be_used_is_refused_with_its_line(tmp_path, record, entry, words):
    calibrated_file(tmp_path, record)
    path = spec_with(tmp_path, entry)
    with pytest.raises(SpecError) as caught:
        load_spec(path, known={"canister.outer_diameter": "mm", "canister.inner_diameter": "mm"})
    assert str(caught.value).startswith(f"{path}:8: ")
    assert words in str(caught.value)


def test_a_budget_needs_a_voxel_size_and_a_bias_to_correct(tmp_path):
    path = table(tmp_path / "t.csv")
    spec = spec_with(tmp_path, f"{{measurement: {DIAMETER}, study: g.json, bias: correct}}")
    result = run("grr", path, "--out", tmp_path / "g.json")
    assert "give --voxel-size" in result.stderr
    with pytest.raises(SpecError, match="at which voxel size"):
        load_spec(spec)
    run("grr", path, "--out", tmp_path / "g.json", "--replace", "--voxel-size", "0.04")
    with pytest.raises(SpecError, match="no bias to correct"):
        load_spec(spec)


def test_the_nearest_spec_s_study_counts(tmp_path, record):
    (tmp_path / "base").mkdir()
    calibrated_file(tmp_path / "base", record, bias=0.001)
    spec_with(tmp_path / "base", f"{{measurement: {DIAMETER}, study: od.json}}")
    child = tmp_path / "child.yaml"
    head = "schema: xctrules.spec/1\nname: child\nversion: '1'\nextends: base/tube.yaml\n"
    child.write_text(head)
    (inherited,) = load_spec(child).budgets
    assert inherited["study"]["results"]["bias"] == pytest.approx(0.001)
    assert inherited["at"] == "tube.yaml:8"
    calibrated_file(tmp_path, record, bias=0.002)
    child.write_text(f"{head}budgets: [{{measurement: {DIAMETER}, study: od.json}}]\n")
    (own,) = load_spec(child).budgets
    assert own["study"]["results"]["bias"] == pytest.approx(0.002)
    assert "budgets" not in load_spec("21700").resolved
