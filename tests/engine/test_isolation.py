"""Whatever a third party's plugin does: the record stands, names it, and no rule passes that needed it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xctrules.core.cell import Cell, Settings
from xctrules.core.errors import NotMeasurable, ScanError, XctrulesError
from xctrules.core.measurement import MetricResult
from xctrules.core.slices import ArraySlices, Scan, Slices, SlicesOnDemand
from xctrules.cylinder.phantom import CentrePin, canister_mask, draw, small
from xctrules.engine import inspection, registry
from xctrules.engine.faults import PluginBroke
from xctrules.engine.inspection import Inspection, inspect
from xctrules.engine.isolation.hosts import Hosts
from xctrules.engine.isolation.limits import Limits
from xctrules.engine.loading import InsidePlugin
from xctrules.engine.plugin_files import bundled_plugins, plugins_in_folder
from xctrules.engine.registry import Registry, load_plugins

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "xctrules-centre-pin"

SPEC = """\
schema: xctrules.spec/1
name: theirs
version: "1"
rules:
  - {id: theirs, measurement: theirs.length, max: 2.0, unit: mm, source: drawing 2, status: drawing}
"""

HEAD = """
import os, signal, sys, threading, time
from xctrules import Contribution, Measurement, MetricResult, NotMeasurable, hookimpl

def good(value=1.0):
    budget = (Contribution("own", 0.01),)
    return MetricResult([Measurement("theirs.length", "mm", value=value, budget=budget)])
"""

METRIC = (
    HEAD
    + """
class Theirs:
    name, title, declares = "theirs", "Theirs", {{"theirs.length": "mm"}}
    def measure(self, cell):
        {measure}

@hookimpl
def xctrules_metrics():
    {hook}
    return [Theirs()]
"""
)


def metric(measure: str = "return good()", hook: str = "pass", first: str = "") -> str:
    """Source of a plugin with one metric, that does so in its three places."""
    return METRIC.format(measure=measure, hook=hook) + first


@pytest.fixture(scope="module")
def can(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mask of the can alone, with which the engine is done in no time."""
    return canister_mask(small(view="roll", roll_in_view_mm=0.4)).write(
        tmp_path_factory.mktemp("can") / "can"
    )


def folder_of(tmp_path: Path, **plugins: str) -> Path:
    folder = tmp_path / "plugins"
    folder.mkdir(exist_ok=True)
    for name, source in plugins.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(source))
    (tmp_path / "theirs.yaml").write_text(SPEC)
    return folder


def inspected(tmp_path: Path, can: Path, source: str, **options: Any) -> Inspection:
    folder = folder_of(tmp_path, theirs=source)
    options = {"mask_of": "canister", "angles": 24, "out": tmp_path / "out", **options}
    return inspect(can, tmp_path / "theirs.yaml", plugins_dir=folder, **options)


def record_in(folder: Path) -> dict[str, Any]:
    (written,) = folder.glob("*/record.json")
    record: dict[str, Any] = json.loads(written.read_text())
    return record


# --- plugins that end, fill or keep their process ----------------------------------------------------------

ENDED = "ended its process with exit code 0"
FAULTS = {
    "ends the process when imported": (metric(first="os._exit(0)"), {}, ENDED),
    "ends the process in a hook": (metric(hook="os._exit(0)"), {}, ENDED),
    "ends the process while measuring": (metric("os._exit(0)"), {}, ENDED),
    "a thread ends the process": (
        metric("threading.Timer(0.3, os._exit, [0]).start(); return good()"),
        {},
        ENDED,
    ),
    "is killed": (metric("os.kill(os.getpid(), signal.SIGKILL)"), {}, "by signal SIGKILL"),
    "kills its process group": (metric("os.killpg(0, signal.SIGKILL)"), {}, "by signal SIGKILL"),
    "crashes": (metric("import ctypes; ctypes.string_at(0)"), {}, "by signal SIGSEGV"),
    "loops when imported": (metric(first="while True: pass"), {"plugin_seconds": 3}, "longer than the 3 s"),
    "loops while measuring": (metric("while True: pass"), {"plugin_seconds": 3}, "longer than the 3 s"),
    "sleeps in a thread that nobody waits for": (
        metric("threading.Thread(target=time.sleep, args=[99]).start(); return good()"),
        {"plugin_seconds": 3},
        "longer than the 3 s",
    ),
    "takes all memory": (
        metric("kept = []\n        while True: kept.append(bytearray(10**8))"),
        {"plugin_memory_gb": 2},
        "more than the 2 GB",
    ),
    "takes all memory when imported": (
        metric(first="kept = []\nwhile True: kept.append(bytearray(10**8))"),
        {"plugin_memory_gb": 2},
        "more than the 2 GB",
    ),
    "asks for slices for ever": (
        metric("""
        from xctrules.engine.isolation.serving import Server
        from xctrules.engine.isolation.wire import Message, packed
        question = b"".join(packed(Message(["asks", [0, 0]], [])))
        Server._written = lambda *_: [question] * 10**7"""),
        {"plugin_seconds": 3},
        "longer than the 3 s",
    ),
    "closes all its files": (metric("os.closerange(0, 99); return good()"), {}, "process"),
    "writes into every pipe it has": (
        metric("""
        import stat
        for n in range(3, 99):
            try:
                if stat.S_ISFIFO(os.fstat(n).st_mode): os.write(n, b"x" * 99)
            except OSError: pass
        return good()"""),
        {},
        "wrote",
    ),
    "writes a message that asks for a command": (
        metric("""
        from xctrules.engine.isolation.serving import Server
        from xctrules.engine.isolation.wire import Message, packed
        bad = {"data": ["os", "system", {"command": "touch ran"}]}
        Server._written = lambda *_: packed(Message(["returned", bad], []))"""),
        {},
        "wrote os.system is no class of the engine's",
    ),
    "writes a pickle": (
        metric("""
        class Bomb:
            def __reduce__(self): return os.system, ("touch ran",)
        return Bomb()"""),
        {},
        "returned Bomb, not a MetricResult",
    ),
    "raises the interrupt": (metric("raise KeyboardInterrupt"), {}, "raised KeyboardInterrupt"),
    "exits": (metric("sys.exit(0)"), {}, "raised SystemExit: 0"),
}  # fmt: skip


@pytest.mark.parametrize("what", FAULTS)
def test_the_record_stands_and_names_the_plugin(
    tmp_path: Path, can: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    source, options, said = FAULTS[what]
    result = inspected(tmp_path, can, source, out="out", **options)
    record = record_in(tmp_path / "out")
    assert record["verdict"] == result.verdict == "INCOMPLETE"
    told = [failure for failure in record["failures"] if failure["plugin"] == "theirs"]
    assert any(said in failure["message"] for failure in told), record["failures"]
    (check,) = record["checks"]
    assert check["outcome"] == "INCOMPLETE" and "theirs" in check["reason"]
    assert not list(tmp_path.rglob("ran"))
    (entry,) = (p for p in record["plugins"] if p["name"] == "theirs")
    assert entry["process"] == "own" and entry["sha256"] and entry["source"] == "folder"
    assert all(p["process"] == "inside" for p in record["plugins"] if p["source"] == "bundled")


def test_a_process_that_cannot_be_had(tmp_path: Path, can: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    result = inspected(tmp_path, can, metric())
    assert result.verdict == "INCOMPLETE"
    (entry,) = (p for p in result.record["plugins"] if p["name"] == "theirs")
    assert "cannot be given a process of its own" in entry["load_error"]


@pytest.mark.parametrize(
    ("measure", "verdict"),
    [
        ("os.chdir('/'); return good()", "PASS"),
        ("open('left.txt', 'w').write('x'); return good()", "PASS"),
        ("import xctrules.rules.judging as j; j.judge = j.compare = None; return good(3.0)", "FAIL"),
        ("import numpy as np; np.mean = np.median = lambda *a, **k: 0.0; return good(3.0)", "FAIL"),
        ("os.environ.clear(); sys.path.clear(); return good(3.0)", "FAIL"),
        ("print('x' * 50_000_000); os.write(1, b'y' * 50_000_000); return good()", "PASS"),
        ("sys.stdin.read(); return good()", "PASS"),
        ("sys.setrecursionlimit(60); threading.stack_size(65536); return good()", "PASS"),
        ("signal.signal(signal.SIGTERM, signal.SIG_IGN); return good()", "PASS"),
    ],
)
def test_what_it_does_to_its_process_reaches_no_other(
    tmp_path: Path,
    can: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    measure: str,
    verdict: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = inspected(tmp_path, can, metric(measure), out="out")
    assert result.verdict == verdict
    assert record_in(tmp_path / "out")["verdict"] == verdict
    assert {p.name for p in tmp_path.iterdir()} == {"out", "plugins", "theirs.yaml"}
    told = capfd.readouterr()
    assert told.out == ""
    assert len(told.err) < 100_000  # of the megabytes that one of them prints


def test_it_cannot_kill_the_engine(tmp_path: Path, can: Path) -> None:
    import ctypes

    if sys.platform != "linux" or ctypes.CDLL(None).syscall(444, None, 0, 1) < 6:
        pytest.skip("this system cannot keep a process from signalling others (Linux 6.12 can)")
    source = metric("os.kill(os.getppid(), signal.SIGKILL); return good()")
    done = ran(tmp_path, can, source)
    assert done.returncode == 3, done.stderr
    (failure,) = record_in(tmp_path / "out")["failures"]
    assert failure["plugin"] == "theirs" and "PermissionError" in failure["message"]


def test_a_metric_after_one_that_ended_the_process_still_measures(tmp_path: Path, can: Path) -> None:
    source = metric().replace("return [Theirs()]", "return [Bad(), Theirs()]") + textwrap.dedent("""
        class Bad(Theirs):
            name, title, declares = "bad", "Bad", {"theirs.other": "mm"}
            def measure(self, cell):
                os._exit(3)
    """)
    result = inspected(tmp_path, can, source)
    assert result.verdict == "PASS"
    assert result.measurements["theirs.other"].status == "failed"
    assert "exit code 3" in (result.measurements["theirs.other"].reason or "")


def test_one_plugin_takes_no_other_with_it(tmp_path: Path, can: Path) -> None:
    folder_of(tmp_path, bad=metric("os._exit(0)").replace("theirs", "bad"))
    result = inspected(tmp_path, can, metric())
    assert result.verdict == "PASS"
    assert {failure["plugin"] for failure in result.record["failures"]} == {"bad"}


def test_two_plugins_of_a_distribution_of_which_one_cannot_be_imported(
    tmp_path: Path, can: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    info = site / "both-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: both\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[xctrules]\na = both_a\nb = both_b\n")
    (site / "both_a.py").write_text("import os\nos._exit(0)")
    (site / "both_b.py").write_text(metric())
    monkeypatch.syspath_prepend(site)
    (tmp_path / "theirs.yaml").write_text(SPEC)
    result = inspect(can, tmp_path / "theirs.yaml", mask_of="canister", angles=24)
    assert result.verdict == "PASS"
    loaded = {p["name"]: p["load_error"] for p in result.record["plugins"]}
    assert loaded["b"] is None and ENDED in str(loaded["a"])


def test_a_screen_that_ends_the_process_keeps_the_cell_from_passing(tmp_path: Path, can: Path) -> None:
    source = metric("os._exit(0)").replace("xctrules_metrics", "xctrules_screens")
    folder_of(tmp_path, screen=source.replace("theirs", "screen"))
    result = inspected(tmp_path, can, metric())
    assert {check["outcome"] for check in result.record["checks"]} == {"PASS"}
    assert result.verdict == "INCOMPLETE"
    assert any("screen" in reason for reason in result.record["unscreened"])


def test_a_thread_that_ends_the_process_spoils_what_rests_on_its_surfaces(tmp_path: Path, can: Path) -> None:
    source = metric() + textwrap.dedent("""
        from xctrules import Surfaces
        class Segmenter:
            name, geometry = "own", "cylindrical"
            def segment(self, cell):
                threading.Timer(0.3, os._exit, [0]).start()
                return Surfaces(segmenter="own")
        @hookimpl
        def xctrules_segmenters():
            return [Segmenter()]
    """)
    folder_of(tmp_path, other=metric().replace("theirs", "other"))
    result = inspected(tmp_path, can, source, segmenter="own")
    assert result.verdict == "INCOMPLETE"
    other = result.measurements["other.length"]
    assert other.status == "failed" and "rests on the plugin theirs" in (other.reason or "")


def test_nothing_that_it_started_lives_on(tmp_path: Path, can: Path) -> None:
    measure = f"""
        import subprocess
        started = subprocess.Popen([{sys.executable!r}, "-c", "import time; time.sleep(600)"])
        print(os.getpid(), started.pid, file=open({str(tmp_path / "pids")!r}, "w"), flush=True)
        return good()"""
    inspected(tmp_path, can, metric(measure))
    assert all(ends(int(pid)) for pid in (tmp_path / "pids").read_text().split())


def ends(pid: int, seconds: float = 10.0) -> bool:
    """Whether a process ends in that time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":  # ended, and nobody of ours has to fetch it
            return True
        time.sleep(0.05)
    return False


# --- from the command line ---------------------------------------------------------------------------------


def command(tmp_path: Path, can: Path, source: str, *more: str) -> list[str]:
    folder = folder_of(tmp_path, theirs=source)
    spec = str(tmp_path / "theirs.yaml")
    line = ["inspect", str(can), "--spec", spec, "--plugins-dir", str(folder), "--out", "out"]
    return [sys.executable, "-m", "xctrules", *line, "--mask-of", "canister", "--angles", "24", *more]


def ran(tmp_path: Path, can: Path, source: str, *more: str) -> subprocess.CompletedProcess[str]:
    line = command(tmp_path, can, source, *more)
    return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("what", "more"),
    [
        ("ends the process when imported", ()),
        ("a thread ends the process", ()),
        ("loops while measuring", ("--plugin-seconds", "3")),
        ("takes all memory", ("--plugin-memory", "2")),
    ],
)
def test_the_exit_code_is_the_verdicts(tmp_path: Path, can: Path, what: str, more: Sequence[str]) -> None:
    source, _, said = FAULTS[what]
    done = ran(tmp_path, can, source, *more)
    assert done.returncode == 3, done.stderr
    record = record_in(tmp_path / "out")
    assert record["verdict"] == "INCOMPLETE"
    assert any(f["plugin"] == "theirs" and said in f["message"] for f in record["failures"])


def test_what_it_prints_is_no_result(tmp_path: Path, can: Path) -> None:
    done = ran(tmp_path, can, metric("print('word ' * 10**6); return good()"), "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["verdict"] == "PASS"
    assert "word word" in done.stderr and len(done.stderr) < 100_000


@pytest.mark.parametrize(
    ("option", "value"), [("--plugin-seconds", "0"), ("--plugin-memory", "-1"), ("--plugin-seconds", "nan")]
)
def test_limits_that_are_none_are_refused(tmp_path: Path, can: Path, option: str, value: str) -> None:
    done = ran(tmp_path, can, metric(), option, value)
    assert done.returncode == 2 and option in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_its_process_ends_with_the_engines(tmp_path: Path, can: Path, number: int) -> None:
    pids = tmp_path / "pids"
    source = metric(f"open({str(pids)!r}, 'w').write(str(os.getpid()) + ' '); time.sleep(600)")
    interruptible = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {RUN_MODULE}"
    line = command(tmp_path, can, source)
    with subprocess.Popen(
        [line[0], "-c", interruptible, *line[3:]], cwd=tmp_path, stderr=subprocess.PIPE
    ) as engine:
        until = time.monotonic() + 60
        while time.monotonic() < until and not (pids.exists() and pids.read_text().endswith(" ")):
            time.sleep(0.05)
        engine.send_signal(number)
        assert engine.wait(timeout=30) not in (0, 1, 3)
    assert ends(int(pids.read_text()))
    assert not list(tmp_path.glob("out/*/record.json"))


RUN_MODULE = "from xctrules.cli.main import main; main()"


# --- a plugin that behaves ---------------------------------------------------------------------------------


def test_the_same_bytes_as_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Where the package is installed as well, the folder's copy would be the second of its name.
    monkeypatch.setattr(registry, "installed_plugins", list)
    scan = draw(small(roll_in_view_mm=1.6, pin=CentrePin(1.1, 0.2))).write(tmp_path / "scan")
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC.replace("theirs.length", "centre_pin.diameter"))

    def record_and_files(process: str) -> tuple[str, Any]:
        result = inspect(scan, spec, angles=36, plugins_dir=EXAMPLE)
        assert result.measurements["centre_pin.diameter"].status == "measured"
        record = {
            key: value for key, value in result.record.items() if key not in ("run", "integrity_sha256")
        }
        plugins = [{key: p[key] for key in p if key != "process"} for p in result.record["plugins"]]
        assert {p["process"] for p in result.record["plugins"] if p["source"] == "folder"} == {process}
        return json.dumps({**record, "plugins": plugins}), result.files

    own = record_and_files("own")

    def all_inside(**_: Any) -> Registry:
        files = [*bundled_plugins(), *plugins_in_folder(EXAMPLE)]
        return Registry(map(InsidePlugin, files), Hosts([], frozenset(), Limits()))

    monkeypatch.setattr(inspection, "load_plugins", all_inside)
    assert record_and_files("inside") == own


def test_nothing_of_a_third_partys_is_imported_here(tmp_path: Path, can: Path) -> None:
    source = metric() + f"\nopen({str(tmp_path / 'pid')!r}, 'a').write(str(os.getpid()) + ' ')"
    before = set(sys.modules)
    inspected(tmp_path, can, source)
    assert str(os.getpid()) not in (tmp_path / "pid").read_text().split()
    assert not [name for name in set(sys.modules) - before if "theirs" in name]


# --- objects that stay over there --------------------------------------------------------------------------

TOY = (
    HEAD
    + """
from dataclasses import dataclass, field
import numpy as np
from xctrules import ScanError, Settings, Surfaces
from xctrules.core.protocols import Option, Scope

@dataclass(frozen=True)
class ToySettings(Settings):
    level: float = 0.0

@dataclass(frozen=True)
class ToyFrame:
    origin: tuple
    made: object = field(default_factory=object)
    warnings: tuple = ("a toy",)
    def to_voxel(self, a, b, c): return tuple(np.add(x, o) for x, o in zip((a, b, c), self.origin))
    def to_cell(self, z, y, x): return tuple(np.subtract(a, o) for a, o in zip((z, y, x), self.origin))

@dataclass(frozen=True, kw_only=True)
class ToySurfaces(Surfaces):
    bright: np.ndarray
    owner: object = None

class Toy:
    geometry = "toy"
    options = (Option("level", float, "grey of the edge", default=50.0, low=0.0),)
    def settings(self, segmenter, model, values): return ToySettings(segmenter, model, values["level"])
    def find(self, scan, nominal_mm, settings): return ToyFrame((1.0, 2.0, settings.level))
    def scope(self, cell, nominal_mm): return Scope(text="for a toy", figures={"level": cell.settings.level})

class ToySegmenter:
    name, geometry = "toys", "toy"
    def segment(self, cell):
        assert type(cell.frame) is ToyFrame and type(cell.settings) is ToySettings
        bright = np.array([(image > cell.settings.level).mean() for image in map(cell.scan.slices.__getitem__,
                           range(len(cell.scan.slices)))])
        return ToySurfaces(segmenter="toys", bright=bright, owner=cell.frame)

class Theirs:
    name, title, declares, geometry = "theirs", "Theirs", {"theirs.length": "mm"}, "toy"
    def measure(self, cell):
        assert cell.surfaces.owner is cell.frame, "another object"
        return good(float(cell.surfaces.bright.mean()))

@hookimpl
def xctrules_frames(): return [Toy()]
@hookimpl
def xctrules_segmenters(): return [ToySegmenter()]
@hookimpl
def xctrules_metrics(): return [Theirs()]
"""
)


@contextlib.contextmanager
def registry_of(tmp_path: Path, **sources: str) -> Iterator[Registry]:
    with load_plugins(plugins_dir=folder_of(tmp_path, **sources)) as registry:
        registry.collect()
        yield registry


def the(registry: Registry, kind: str, plugin: str = "theirs") -> Any:
    (found,) = [p.value for p in getattr(registry, kind) if p.plugin == plugin]
    return found


def scan_of(slices: Slices) -> Scan:
    return Scan(Path("drawn"), slices, (0.1, 0.1, 0.1), {})


VOLUME = np.random.default_rng(0).integers(0, 100, (7, 20, 30)).astype(np.uint16)


def test_frame_surfaces_and_settings_of_its_own_class(tmp_path: Path) -> None:
    with registry_of(tmp_path, theirs=TOY) as registry:
        toy, segmenter = the(registry, "frame_finders"), the(registry, "segmenters")
        settings = toy.settings("toys", None, {"level": 60.0})
        assert isinstance(settings, Settings) and settings.segmenter == "toys"
        scan = scan_of(ArraySlices(VOLUME))
        frame = toy.find(scan, {}, settings)
        assert frame.warnings == ("a toy",)
        z, _, x = frame.to_voxel(np.zeros(3), 0.0, np.arange(3))
        np.testing.assert_array_equal(z, [1.0, 1.0, 1.0])
        np.testing.assert_array_equal(x, [60.0, 61.0, 62.0])
        cell = Cell(scan, frame, scan.scale, settings, {})
        surfaces = segmenter.segment(cell)
        np.testing.assert_array_equal(surfaces.bright, (VOLUME > 60).mean(axis=(1, 2)))
        cell = Cell(scan, frame, scan.scale, settings, {}, segmentation=surfaces)
        (measured,) = the(registry, "metrics").measure(cell).measurements
        assert measured.value == pytest.approx((VOLUME > 60).mean(), rel=1e-12)
        assert toy.scope(cell, {}).figures == {"level": 60.0}


def test_a_geometry_of_its_own_goes_the_whole_way(tmp_path: Path, can: Path) -> None:
    folder = folder_of(tmp_path, theirs=TOY)
    (tmp_path / "toy.yaml").write_text(SPEC + "geometry: toy\nsegmenter: toys\n")
    result = inspect(can, tmp_path / "toy.yaml", plugins_dir=folder, level=0.0)
    assert not result.record["failures"]
    assert result.measurements["theirs.length"].status == "measured"
    assert "for a toy" in result.report_html
    assert result.record["parameters"]["frame"]["origin"] == [1.0, 2.0, 0.0]


def test_a_models_path_is_found_from_its_folder(
    tmp_path: Path, can: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.bin").write_text("weights")
    source = metric() + textwrap.dedent("""
        from xctrules import Surfaces
        class Segmenter:
            name, geometry = "own", "cylindrical"
            def check(self, settings): open(settings.model).close()
            def segment(self, cell):
                return Surfaces(segmenter="own", parameters={"read": open(cell.settings.model).read()})
        @hookimpl
        def xctrules_segmenters():
            return [Segmenter()]
    """)
    result = inspected(tmp_path, can, source, segmenter="own:net.bin")
    assert "theirs" not in [failure["plugin"] for failure in result.record["failures"]]
    assert result.record["parameters"]["segmentation"] == {"read": "weights"}
    assert result.record["parameters"]["model"] == "net.bin"


def test_what_a_lost_process_held_is_lost(tmp_path: Path) -> None:
    source = TOY.replace("assert cell.surfaces.owner", "os._exit(0)  #")
    with registry_of(tmp_path, theirs=source) as registry:
        toy, theirs = the(registry, "frame_finders"), the(registry, "metrics")
        settings = toy.settings("toys", None, {"level": 60.0})
        scan = scan_of(ArraySlices(VOLUME))
        frame = toy.find(scan, {}, settings)
        cell = Cell(scan, frame, scan.scale, settings, {})
        with pytest.raises(PluginBroke, match=ENDED):
            theirs.measure(cell)
        with pytest.raises(PluginBroke, match="ToyFrame of the plugin theirs, which has lost its process"):
            theirs.measure(cell)
        with pytest.raises(PluginBroke, match="lost its process"):
            frame.to_voxel(0, 0, 0)


def test_a_frame_of_one_plugin_in_the_process_of_another(tmp_path: Path, monkeypatch: Any) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "toy_classes.py").write_text(
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Shared:\n    size: int\n"
        "    warnings: tuple = ()\n    def to_voxel(self, a, b, c): return a, b, c\n"
    )
    monkeypatch.syspath_prepend(site)
    shared = TOY.replace("return ToyFrame(", "import toy_classes; return toy_classes.Shared(7)  #")
    other = HEAD + textwrap.dedent("""
        class Other:
            name, title, declares = "other", "Other", {"other.length": "mm"}
            def measure(self, cell): return MetricResult([], parameters={"size": cell.frame.size})
        @hookimpl
        def xctrules_metrics(): return [Other()]
    """)
    for source, importable in ((shared, True), (TOY, False)):
        with registry_of(tmp_path, theirs=source, other=other) as registry:
            toy, scan = the(registry, "frame_finders"), scan_of(ArraySlices(VOLUME))
            frame = toy.find(scan, {}, toy.settings("toys", None, {"level": 60.0}))
            cell = Cell(scan, frame, scan.scale, Settings(), {})
            measure = the(registry, "metrics", "other").measure
            if importable:
                assert measure(cell).parameters == {"size": 7}
            else:
                with pytest.raises(PluginBroke, match="_theirs"):
                    measure(cell)


SLICES = {
    "in memory": ArraySlices(VOLUME),
    "on demand": SlicesOnDemand(lambda k: VOLUME[k], VOLUME.shape, VOLUME.dtype),
}


@pytest.mark.parametrize("kind", SLICES)
def test_slices_reach_it_whole_and_cannot_be_written_to(tmp_path: Path, kind: str) -> None:
    source = metric("""
        from concurrent.futures import ThreadPoolExecutor
        slices = cell.scan.slices
        try:
            slices[0][0, 0] = 1
        except ValueError as error:
            said = str(error)
        with ThreadPoolExecutor(4) as pool:
            sums = list(pool.map(lambda k: int(slices[k].sum()), range(len(slices))))
        found = {"said": said, "sums": sums, "run": slices[2:4], "of": slices.shape}
        return MetricResult([], parameters=found)""")
    with registry_of(tmp_path, theirs=source) as registry:
        scan = scan_of(SLICES[kind])
        found: MetricResult = the(registry, "metrics").measure(Cell(scan, None, scan.scale, Settings(), {}))
    assert "read-only" in found.parameters["said"]
    assert found.parameters["sums"] == VOLUME.sum(axis=(1, 2)).tolist()
    np.testing.assert_array_equal(found.parameters["run"], VOLUME[2:4])
    assert found.parameters["of"] == VOLUME.shape


def test_a_slice_that_cannot_be_read_is_an_error_over_there(tmp_path: Path) -> None:
    def read(k: int) -> Any:
        raise OSError("the disk is gone")

    with registry_of(tmp_path, theirs=metric("return good(cell.scan.slices[1].mean())")) as registry:
        scan = scan_of(SlicesOnDemand(read, VOLUME.shape, VOLUME.dtype))
        with pytest.raises(PluginBroke, match=r"slice 2 cannot be read .*the disk is gone"):
            the(registry, "metrics").measure(Cell(scan, None, scan.scale, Settings(), {}))


READER = (
    HEAD
    + """
import hashlib
import numpy as np
from xctrules import ScanError

class Source:
    warnings = ("made up",)
    def __init__(self, path):
        self.path = path
        self.shape, self.dtype = (5, 300, 400), np.dtype(np.uint16)
        self.names, self.metadata = (path.name,), {{"voxel_size_mm": (0.02, 0.02, 0.02)}}
        {mapped}
    def slices(self):
        for k in range(5):
            {each}
            yield np.full((300, 400), k, np.uint16)
    def digests(self):
        return [(hashlib.sha256(self.path.read_bytes()).hexdigest(), self.path.name)]

class Toys:
    name = "toys"
    def can_read(self, path): return path.suffix == ".toy"
    def open(self, path): return Source(path)

@hookimpl
def xctrules_readers():
    return [Toys()]
"""
)


def opened(tmp_path: Path, each: str = "pass", mapped: str = "pass", **limits: float) -> Scan:
    from xctrules.scans.opening import open_scan

    (tmp_path / "cell.toy").write_bytes(np.repeat(np.arange(5, dtype=np.uint16), 300 * 400).tobytes())
    folder = folder_of(tmp_path, theirs=READER.format(each=each, mapped=mapped))
    with load_plugins(plugins_dir=folder, limits=Limits(**limits)) as registry:
        return open_scan(tmp_path / "cell.toy", readers=[p.value for p in registry.readers])


@pytest.mark.parametrize("mapped", ["pass", "self.mapped = np.memmap(path, self.dtype, 'r', 0, self.shape)"])
def test_a_reader_hands_slices_over(tmp_path: Path, mapped: str) -> None:
    scan = opened(tmp_path, mapped=mapped)
    assert (scan.reader, scan.shape, scan.voxel_size_mm) == ("toys", (5, 300, 400), (0.02,) * 3)
    assert [np.unique(scan.slices[k]).tolist() for k in range(5)] == [[k] for k in range(5)]
    assert len(scan.digests) == 1 and scan.warnings == ("made up",)


def test_paths_lead_to_the_same_from_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = READER.format(each="pass", mapped="path.read_bytes()") + textwrap.dedent("""
        class Drawing:
            name = "drawing"
            def segment(self, cell): raise NotMeasurable("draws only")
            def export_labels(self, cell, path): path.write_text(cell.scan.path.read_text())
        @hookimpl
        def xctrules_segmenters():
            return [Drawing()]
    """)
    monkeypatch.chdir(tmp_path)
    Path("cell.toy").write_text("toy")
    with registry_of(tmp_path, theirs=source) as registry:
        reader, segmenter = the(registry, "readers"), the(registry, "segmenters")
        assert reader.can_read(Path("cell.toy")) and reader.open(Path("cell.toy")).shape == (5, 300, 400)
        scan = Scan(Path("cell.toy"), ArraySlices(VOLUME), (0.1, 0.1, 0.1), {})
        segmenter.export_labels(Cell(scan, None, scan.scale, Settings(), {}), Path("labels.tif"))
    assert Path("labels.tif").read_text() == "toy"


@pytest.mark.parametrize(
    ("each", "said"),
    [
        ("if k == 3: raise OSError('the disk is gone')", r"slice 4 cannot be read .*the disk is gone"),
        ("if k == 2: raise ScanError('of another make', where='cell.toy')", "of another make"),
        ("if k == 2: os._exit(0)", "exit code 0"),
        ("if k == 2: time.sleep(99)", "longer than the 3 s"),
    ],
)
def test_a_reader_that_breaks_names_itself(tmp_path: Path, each: str, said: str) -> None:
    with pytest.raises(ScanError, match=said):
        opened(tmp_path, each, seconds=3.0)


def test_what_it_raises_comes_back_as_what_it_is(tmp_path: Path) -> None:
    sources = {
        "a": metric("raise NotMeasurable('no pin in view')"),
        "b": metric(
            "from xctrules import ScanError; raise ScanError('upside down', where='cell', todo='Turn it.')"
        ),
        "c": metric("return {}['missing']"),
        "d": metric("return lambda: 3"),
    }
    with registry_of(tmp_path, **{n: s.replace("theirs", n) for n, s in sources.items()}) as registry:
        scan = scan_of(ArraySlices(VOLUME))
        cell = Cell(scan, None, scan.scale, Settings(), {})
        with pytest.raises(NotMeasurable) as absent:
            the(registry, "metrics", "a").measure(cell)
        assert absent.value.reason == "no pin in view"
        with pytest.raises(ScanError) as refused:
            the(registry, "metrics", "b").measure(cell)
        assert (refused.value.what, refused.value.where, refused.value.todo) == (
            "upside down", "cell", "Turn it.",
        )  # fmt: skip
        with pytest.raises(PluginBroke, match="raised KeyError: 'missing'") as broke:
            the(registry, "metrics", "c").measure(cell)
        assert "c.py:" in (broke.value.traceback or "") and str(tmp_path) not in (broke.value.traceback or "")
        assert type(the(registry, "metrics", "d").measure(cell)).__name__ == "function"


def test_limits_are_numbers_above_zero() -> None:
    assert Limits.asked(None, None) == Limits() and Limits.asked(9.0, None).seconds == 9.0
    for wrong in ({"seconds": 0.0}, {"memory_gb": -1.0}, {"seconds": float("nan")}):
        with pytest.raises(XctrulesError, match="no limit"):
            Limits(**wrong)


def test_a_reader_and_a_metric_of_one_plugin_on_a_volume_that_is_never_whole(tmp_path: Path) -> None:
    """The metric asks for slices that only its own process can read."""
    from xctrules.scans.opening import open_scan

    again = (
        "\n    def read_slice(self, k):\n        return np.full((300, 400), k, np.uint16)\n    def digests"
    )
    reader = READER.format(each="pass", mapped="pass").replace("\n    def digests", again)
    source = reader + textwrap.dedent("""
        class Mean:
            name, title, declares = "theirs", "Theirs", {"theirs.length": "mm"}
            def measure(self, cell):
                return good(float(np.mean([cell.scan.slices[k].mean() for k in range(5)])))
        @hookimpl
        def xctrules_metrics():
            return [Mean()]
    """)
    (tmp_path / "cell.toy").write_bytes(b"toy")
    with registry_of(tmp_path, theirs=source) as registry:
        readers = [p.value for p in registry.readers]
        scan = open_scan(tmp_path / "cell.toy", readers=readers, memory_limit_bytes=1000)
        assert isinstance(scan.slices, SlicesOnDemand)
        found = the(registry, "metrics").measure(Cell(scan, None, scan.scale, Settings(), {}))
    assert found.measurements[0].value == 2.0
