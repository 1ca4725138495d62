"""The whole way on small drawn cells, and what plugins can do to it."""

from __future__ import annotations

import json
import textwrap
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import tifffile

from xctrules.core.errors import OutputError, PluginError, ScanError, XctrulesError
from xctrules.cylinder.phantom import PhantomSpec, canister_mask, draw, small
from xctrules.engine.inspection import Inspection, inspect, name_of_scan
from xctrules.engine.registry import Provided
from xctrules.engine.run_metric import run_metric
from xctrules.records.verify import verify_path

RULES = """\
schema: xctrules.spec/1
name: small
version: "1"
nominal:
  height: {value: 20.0, unit: mm}
rules:
  - {id: diameter, measurement: canister.outer_diameter, min: 7.9, max: 8.1, unit: mm,
     source: drawing 1, status: drawing}
"""

OTHERS = (
    RULES
    + """\
  - {id: theirs, measurement: theirs.length, max: 2.0, unit: mm, source: drawing 2, status: drawing}
"""
)


def short(**changes: Any) -> PhantomSpec:
    """A small cell with as little of it in view as still shows an end; the seconds go with the voxels."""
    return small(**{"roll_in_view_mm": 1.6, **changes})


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(short()).write(tmp_path_factory.mktemp("scan") / "cell")


@pytest.fixture(scope="module")
def can(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mask of the can alone: whatever a plugin does to it, the engine is done with it in no time."""
    return canister_mask(small(view="roll", roll_in_view_mm=0.4)).write(
        tmp_path_factory.mktemp("can") / "can"
    )


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "small.yaml"
    path.write_text(RULES)
    return path


@pytest.fixture(scope="module")
def sound(scan: Path, spec: Path, tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    return inspect(scan, spec, out=tmp_path_factory.mktemp("out"), third_party=False)


def with_plugin(tmp_path: Path, scan: Path, source: str, rules: str = OTHERS) -> Inspection:
    """Inspect with one more plugin, and a rule about what it measures."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "theirs.py").write_text(textwrap.dedent(source))
    spec = tmp_path / "others.yaml"
    spec.write_text(rules)
    return inspect(scan, spec, out=tmp_path / "out", angles=24, mask_of="canister", plugins_dir=folder)


def failures(result: Inspection) -> list[dict[str, Any]]:
    return [failure for failure in result.record["failures"] if failure["plugin"] == "theirs"]


THEIRS = """
import math
from xctrules import hookimpl
from xctrules import Contribution, Measurement, MetricResult

class Theirs:
    name = "theirs"
    title = "A section of theirs"
    declares = {{"theirs.length": "mm", "theirs.count": "1"}}

    def measure(self, cell):
        {body}

def good(value=1.0, unit="mm", u=0.01, follows=None):
    budget = (Contribution("own", u),)
    return Measurement("theirs.length", unit, value=value, budget=budget, follows=follows)

@hookimpl
def xctrules_metrics():
    return [Theirs()]
"""


def test_folder_holds_what_the_contract_names(sound: Inspection) -> None:
    assert sound.folder is not None
    names = {p.relative_to(sound.folder).as_posix() for p in sound.folder.rglob("*") if p.is_file()}
    assert {"record.json", "report.html", "samples/scan.sha256", "samples/overhang.csv"} <= names
    record = json.loads((sound.folder / "record.json").read_text())
    assert record["schema"] == "xctrules.record/1"
    assert sound.folder.name == record["cell_id"]
    assert {f["name"] for f in record["files"]} == names - {"record.json", "report.html"}
    for key in ("started", "seconds", "host", "operator"):
        assert key in record["run"]


def test_verdict_scope_and_measurements(sound: Inspection) -> None:
    assert sound.verdict == "PASS"
    scope = sound.record["scope"]
    assert scope["ends"] == ["top"] and scope["nominal_height_mm"] == 20.0
    drawn = short()
    # From the first slice with can in it to the end of the roll in view; a third of a mm for the rim's curve.
    seen = sound.record["scan"]["shape"][0] * drawn.voxel_size_mm[0] - drawn.border_mm
    assert scope["height_seen_mm"] == pytest.approx(seen, abs=0.35)
    assert 0 < scope["straight_can_mm"] <= scope["height_seen_mm"]
    diameter = sound.measurements["canister.outer_diameter"]
    assert diameter.value == pytest.approx(drawn.outer_diameter_mm, abs=0.1 * drawn.voxel_size_mm[2])


def test_it_shows_itself_in_a_notebook(sound: Inspection) -> None:
    html = sound._repr_html_()
    assert html.lstrip().startswith("<") and "srcdoc" in html and "PASS" in html.upper()


def test_same_bytes_outside_run(sound: Inspection, scan: Path, spec: Path, tmp_path: Path) -> None:
    again = inspect(scan, spec, out=tmp_path, third_party=False)

    def bare(inspection: Inspection) -> dict[str, Any]:
        return {key: value for key, value in inspection.record.items() if key != "run"}

    assert json.dumps(bare(again)) == json.dumps(bare(sound))
    assert again.files == sound.files


def test_nothing_is_written_without_out(
    scan: Path, spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = inspect(scan, spec, angles=24)
    assert result.folder is None and not list(tmp_path.iterdir())


def test_another_record_is_kept_unless_replaced(sound: Inspection, scan: Path, spec: Path) -> None:
    assert sound.folder is not None
    before = (sound.folder / "record.json").read_bytes()
    with pytest.raises(OutputError, match="--replace"):
        inspect(scan, spec, out=sound.folder.parent, angles=24)
    assert (sound.folder / "record.json").read_bytes() == before


def test_cell_id_option_wins(scan: Path, spec: Path, tmp_path: Path) -> None:
    assert inspect(scan, spec, out=tmp_path, angles=24, cell_id="C-7").folder == tmp_path / "C-7"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/cell.ome.tif", "cell"),
        ("b/stack.TIFF", "stack"),
        ("c/cell 7", "cell-7"),
        ("d/x.zarr", "x"),
        ("e/.tif", "tif"),
    ],
)
def test_name_of_a_scan_without_id(path: str, name: str) -> None:
    assert name_of_scan(Path(path)) == name


# --- plugins that misbehave --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ValueError('boom')", "ValueError: boom"),
        ("raise SystemExit('gone')", "SystemExit: gone"),
        ("cell.scan.slices[:][:] = 0", "read-only"),
        ("return None", "not a MetricResult"),
        ("return MetricResult([good(float('nan'))])", "no finite number"),
        ("return MetricResult([good(math.inf)])", "no finite number"),
        ("return MetricResult([good('1.0')])", "no number"),
        ("return MetricResult([good(unit='um')])", "'um'"),
        ("return MetricResult([good(u=float('nan'))])", "uncertainty"),
        ("return MetricResult([good(follows={'column': 'x'})])", "follows from samples"),
        ("return MetricResult([good(), good()])", "twice"),
        ("return MetricResult([3])", "int"),
    ],
)
def test_metric_that_fails_is_named_and_its_rule_is_incomplete(
    tmp_path: Path, can: Path, body: str, said: str
) -> None:
    result = with_plugin(tmp_path, can, THEIRS.format(body=body))
    assert result.verdict == "INCOMPLETE"
    assert result.measurements["theirs.length"].status in ("failed", "not_measured")
    assert any(said in failure["message"] for failure in failures(result))
    assert "theirs" in result.report_html and said.replace("'", "&#39;") in result.report_html
    outcomes = {check["rule"]: check["outcome"] for check in result.record["checks"]}
    assert outcomes == {"diameter": "PASS", "theirs": "INCOMPLETE"}


FOLLOWED = """
import numpy as np
from xctrules import Follows, Samples

def result(value):
    how = Follows("theirs", "length_mm", "mean", where={{"end": "top"}}, bias=0.5)
    columns = {{"end": np.array(["top", "top", "low"]), "length_mm": np.array([1.0, 2.0, 9.0])}}
    both = [good(value, follows=how), Measurement("theirs.count", "1", value=3.0)]
    return MetricResult(both, samples=[Samples("theirs", columns)])
"""


@pytest.mark.parametrize(("value", "holds"), [(1.0, True), (1.5, False)])
def test_what_a_plugin_says_of_its_samples_is_worked_out_again(
    tmp_path: Path, can: Path, value: float, holds: bool
) -> None:
    source = (THEIRS + FOLLOWED).format(body=f"return result({value})")
    result = with_plugin(tmp_path, can, source)
    assert not failures(result) and result.folder is not None
    checked = verify_path(result.folder)
    assert checked.ok == holds, checked.failures
    said = [f.what for f in checked.findings if f.holds is holds and "theirs.length" in f.what]
    assert len(said) == 1 and ("its samples give 1" in said[0]) != holds


def test_traceback_is_kept_without_paths_of_this_machine(tmp_path: Path, can: Path) -> None:
    result = with_plugin(tmp_path, can, THEIRS.format(body="return {}['missing']"))
    (failure,) = failures(result)
    assert "theirs.py" in failure["traceback"] and "KeyError" in failure["traceback"]
    assert str(tmp_path) not in failure["traceback"]


def test_not_measurable_is_no_failure(tmp_path: Path, can: Path) -> None:
    body = "from xctrules.core.errors import NotMeasurable; raise NotMeasurable('no pin in view')"
    result = with_plugin(tmp_path, can, THEIRS.format(body=body))
    assert not failures(result)
    found = result.measurements["theirs.length"]
    assert (found.status, found.reason) == ("not_measured", "no pin in view")
    assert result.verdict == "INCOMPLETE"


def test_plugin_that_cannot_be_imported_makes_its_rule_incomplete(tmp_path: Path, can: Path) -> None:
    result = with_plugin(tmp_path, can, "import no_such_module_at_all")
    assert result.verdict == "INCOMPLETE"
    assert any("no_such_module_at_all" in f["message"] for f in result.record["failures"])
    (check,) = (c for c in result.record["checks"] if c["rule"] == "theirs")
    assert check["outcome"] == "INCOMPLETE" and "theirs" in check["reason"]


def test_typo_in_a_known_family_stays_an_error_beside_a_broken_plugin(tmp_path: Path, can: Path) -> None:
    rules = RULES.replace("canister.outer_diameter", "canister.outer_diamter")
    with pytest.raises(XctrulesError, match=r"canister\.outer_diameter"):
        with_plugin(tmp_path, can, "import no_such_module_at_all", rules)


def test_good_plugin_is_judged_and_shown(tmp_path: Path, can: Path) -> None:
    body = "return MetricResult([good(), Measurement('theirs.count', '1', value=3)])"
    result = with_plugin(tmp_path, can, THEIRS.format(body=body))
    assert result.verdict == "PASS"
    assert "A section of theirs" in result.report_html
    assert not failures(result)


def test_value_without_uncertainty_does_no_better_than_a_conditional_pass(tmp_path: Path, can: Path) -> None:
    body = "return MetricResult([Measurement('theirs.length', 'mm', value=1.0)])"
    result = with_plugin(tmp_path, can, THEIRS.format(body=body))
    assert result.verdict == "CONDITIONAL_PASS"
    assert any("without an uncertainty" in w for w in result.record["warnings"])


def test_screen_can_reject_the_scan(tmp_path: Path, can: Path) -> None:
    source = THEIRS.format(body="return MetricResult([good()], rejections=['far too noisy'])")
    result = with_plugin(tmp_path, can, source.replace("xctrules_metrics", "xctrules_screens"))
    assert result.verdict == "SCAN_REJECTED"
    assert any("far too noisy" in reason for reason in result.record["reasons"])


def test_screen_that_fails_keeps_the_cell_from_passing(tmp_path: Path, can: Path) -> None:
    source = THEIRS.format(body="raise RuntimeError('lost my table')")
    result = with_plugin(tmp_path, can, source.replace("xctrules_metrics", "xctrules_screens"), RULES)
    assert {check["outcome"] for check in result.record["checks"]} == {"PASS"}
    assert result.verdict == "INCOMPLETE"
    assert result.record["unscreened"] == ["the screen theirs failed"]
    assert "not screened" in result.record["reasons"][0]


NEEDY = """
from xctrules.cylinder.surfaces import Segmentation
from xctrules import hookimpl
from xctrules import Contribution, Measurement, MetricResult

def sure(name, value):
    return Measurement(name, "1", value=value, budget=(Contribution("own", 0.01),))

class Quality:
    name, title, declares = "quality", "Quality", {{"theirs.quality": "1"}}
    def measure(self, cell):
        return MetricResult([sure("theirs.quality", 0.1)])

class Needy:
    name, title, declares = "needy", "Needy", {{"theirs.figure": "1"}}
    needs = {{"theirs.quality": (0.5, None)}}
    def measure(self, cell):
        return MetricResult([sure("theirs.figure", 1.0)])

class Own:
    name = "own"
    def segment(self, cell):
        return Segmentation(segmenter="own", waives={waives})

@hookimpl
def xctrules_screens():
    return [Quality()]
@hookimpl
def xctrules_metrics():
    return [Needy()]
@hookimpl
def xctrules_segmenters():
    return [Own()]
"""


@pytest.mark.parametrize(
    ("waives", "status"), [({}, "not_measured"), ({"theirs.quality": "seen otherwise"}, "measured")]
)
def test_a_segmenter_can_do_without_a_quality_that_metrics_need(
    tmp_path: Path, can: Path, waives: dict[str, str], status: str
) -> None:
    result = with_plugin(tmp_path, can, NEEDY.format(waives=waives), RULES + "segmenter: own\n")
    assert result.measurements["theirs.figure"].status == status


def test_rejections_of_a_metric_do_not_count(tmp_path: Path, can: Path) -> None:
    result = with_plugin(tmp_path, can, THEIRS.format(body="return MetricResult([good()], rejections=['x'])"))
    assert result.verdict == "PASS"


def test_segmenter_that_raises(tmp_path: Path, can: Path, spec: Path) -> None:
    source = """
    from xctrules import hookimpl
    class Broken:
        name = "broken"
        def segment(self, cell):
            raise RuntimeError("lost my weights")
    @hookimpl
    def xctrules_segmenters():
        return [Broken()]
    """
    (tmp_path / "broken.py").write_text(textwrap.dedent(source))
    result = inspect(can, spec, mask_of="canister", angles=24, segmenter="broken", plugins_dir=tmp_path)
    assert result.verdict == "INCOMPLETE"
    assert "lost my weights" in result.report_html
    assert any(f["plugin"] == "broken" and f["traceback"] for f in result.record["failures"])


def test_unknown_segmenter_is_refused(can: Path, spec: Path) -> None:
    with pytest.raises(PluginError, match="classical"):
        inspect(can, spec, mask_of="canister", segmenter="clasical")


def test_strict_refuses_what_a_plugin_did(tmp_path: Path, can: Path) -> None:
    (tmp_path / "theirs.py").write_text(THEIRS.format(body="raise ValueError('boom')"))
    (tmp_path / "spec.yaml").write_text(RULES)
    with pytest.raises(XctrulesError, match="boom"):
        inspect(
            can,
            tmp_path / "spec.yaml",
            mask_of="canister",
            out=tmp_path / "out",
            angles=24,
            plugins_dir=tmp_path,
            strict=True,
        )
    assert not (tmp_path / "out").exists()


# --- scans that show too little ----------------------------------------------------------------------------


def _rod() -> np.ndarray:
    y, x = np.mgrid[:120, :120] - 59.5
    rod = np.where(np.hypot(x, y) < 50, 180, 0).astype(np.uint8)
    return rod + np.random.default_rng(0).integers(0, 4, (24, 120, 120), dtype=np.uint8)


TOO_LITTLE = {
    "noise and no can": lambda cell: np.random.default_rng(0).integers(0, 40, (24, 120, 120), dtype=np.uint8),
    "half of the can": lambda cell: cell[:, :, : cell.shape[2] // 2],
    "a corner of the can": lambda cell: cell[:, : cell.shape[1] // 2, : cell.shape[2] // 2],
    "a solid rod": lambda cell: _rod(),
}


@pytest.mark.parametrize("what", TOO_LITTLE)
def test_scan_without_a_whole_can_is_never_passed(tmp_path: Path, scan: Path, what: str) -> None:
    cell = np.stack([tifffile.imread(path) for path in sorted(scan.glob("*.tif"))])
    tifffile.imwrite(tmp_path / "scan.tif", TOO_LITTLE[what](cell))
    result = inspect(tmp_path / "scan.tif", "18650", voxel_size_mm=(0.04,) * 3, angles=24)
    assert result.verdict in ("INCOMPLETE", "SCAN_REJECTED"), what
    assert result.record["reasons"]


def test_can_without_electrode_is_never_passed(tmp_path: Path) -> None:
    greys = replace(
        short().greys, copper=20.0, anode_coating=20.0, cathode_coating=20.0, aluminium=20.0, separator=20.0
    )
    empty = draw(short(greys=greys)).write(tmp_path / "empty")
    result = inspect(empty, "18650", angles=24)
    assert result.verdict in ("INCOMPLETE", "SCAN_REJECTED", "FAIL")
    assert result.measurements["overhang.length.min"].status == "not_measured"
    checks = {check["measurement"]: check["outcome"] for check in result.record["checks"]}
    assert checks["overhang.length.min"] == "INCOMPLETE"


def test_label_image_of_another_shape_is_refused(scan: Path, spec: Path, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "labels.tif", np.arange(5 * 90 * 90, dtype=np.uint16).reshape(5, 90, 90) % 4)
    with pytest.raises(ScanError, match="shape"):
        inspect(scan, spec, segmentation=tmp_path / "labels.tif")


class _Panic(BaseException):
    """What a plugin written in another language raises: no ``Exception``."""


def test_a_panic_in_a_plugin_is_that_plugins_failure_alone() -> None:
    def fail(cell: object) -> None:
        raise _Panic("index out of bounds")

    metric = SimpleNamespace(name="theirs", title="Theirs", declares={"theirs.length": "mm"}, measure=fail)
    outcome = run_metric(Provided("foreign", metric), cast(Any, None))
    assert [problem.plugin for problem in outcome.failures] == ["foreign"]
    assert "index out of bounds" in outcome.failures[0].message
