"""The ``xctrules`` command: where its commands are mounted."""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated

import typer

<<<<<<< HEAD
from xctrules.cli import demo, inspect, phantom, planes, plugins, specs, study, train, validate, verify
from xctrules.cli.console import INTERRUPTED, VERDICT_CODES, group, say
=======
from xctrules.core import wording
from xctrules.core.errors import XctrulesError
from xctrules.core.redirection import redirected
>>>>>>> 7a83e11 (Judging in short steps, and numbers in words said once)
from xctrules.core.version import __version__

app = group(
    "Pass/fail certificates for lithium-ion cells from X-ray CT scans.",
    epilog="Start with `xctrules demo`: it needs no scan.",
)
app.command(epilog=VERDICT_CODES)(inspect.inspect)
app.command(epilog=VERDICT_CODES)(demo.demo)
app.command(epilog=verify.EXIT_CODES)(verify.verify)
app.add_typer(specs.app, name="specs")
app.command()(plugins.plugins)
app.command()(phantom.phantom)
app.command(epilog=validate.EXIT_CODES)(validate.validate)
app.add_typer(study.app, name="study")
app.command(epilog=planes.EXIT_CODES)(planes.planes)
app.command(epilog=train.EXIT_CODES)(train.train)


def _tell_version(asked: bool) -> None:
    if asked:
        say(f"xctrules {__version__}")
        raise typer.Exit()


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    """Hold the options that need no command."""


def main() -> None:
    """Entry point of the ``xctrules`` command."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(
            AttributeError, ValueError
        ):  # a terminal that cannot show a character shows "?"
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
<<<<<<< HEAD
=======


def command(function: Callable[P, int]) -> Callable[P, None]:
    """End the command with the exit code that ``function`` returns, and never with a traceback."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = function(*args, **kwargs)
        except XctrulesError as error:
            _complain(str(error))
            code = USAGE
        except KeyboardInterrupt:
            _complain("interrupted")
            code = INTERRUPTED
        except BrokenPipeError:
            _silence(sys.stdout)
            code = USAGE
        except MemoryError:
            _complain("there is not enough memory for this. Crop the scan, or save it with 8 bits")
            code = USAGE
        except Exception as error:
            if os.environ.get(DEBUG):
                raise
            what = " ".join(f"{type(error).__name__}: {error}".split())
            _complain(
                f"something went wrong inside xctrules {__version__} ({what}). "
                f"Please report it with the output of the same command under {DEBUG}=1"
            )
            code = USAGE
        raise typer.Exit(code)

    run.__annotations__["return"] = None
    return run


def _complain(message: str) -> None:
    print(f"xctrules: {message}", file=sys.stderr)


def _say(text: str = "") -> None:
    """Print a result. When the reader has gone (``| head``), the exit code still tells the verdict."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _silence(sys.stdout)


def _silence(stream: TextIO) -> None:
    """Let all that is still written to ``stream`` vanish, the flush at the interpreter's end included."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


# --- options that several commands share -------------------------------------------------------------------

ScanPath = Annotated[
    Path,
    typer.Argument(help="Folder of TIFF slices, TIFF file, Zarr array, or raw volume beside its header."),
]
SpecName = Annotated[
    str, typer.Option(help="Name of a cell-format spec, or its file.", metavar="NAME_OR_FILE")
]
Acquisition = Annotated[
    Path | None, typer.Option(help="An acquisition.yaml other than the scan's own.", metavar="FILE")
]
VoxelSize = Annotated[
    str | None, typer.Option(help="Voxel size in mm, z first; wins over all files.", metavar="Z,Y,X")
]
PluginsDir = Annotated[
    Path | None, typer.Option("--plugins-dir", metavar="DIR", help="Folder with further plugins.")
]
NoThirdParty = Annotated[bool, typer.Option("--no-third-party", help="Use the bundled plugins only.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def parse_voxel_size(text: str | None) -> tuple[float, float, float] | None:
    """``Z,Y,X`` in mm; one number stands for all three.

    Raises
    ------
    XctrulesError
        When it is neither.
    """
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.replace("x", ",").split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 1:
        numbers *= 3
    if len(numbers) != 3:
        raise XctrulesError(
            f"{text!r} is no voxel size",
            where="--voxel-size",
            todo="Give Z,Y,X in mm, such as 0.068,0.034,0.034, or one number for cubes.",
        )
    return numbers[0], numbers[1], numbers[2]


# --- inspect -----------------------------------------------------------------------------------------------


@app.command(epilog=EXIT_CODES)
@command
def inspect(
    scan: ScanPath,
    spec: SpecName,
    out: Annotated[
        Path, typer.Option(help="Folder in which a folder for the cell is made.", metavar="DIR")
    ] = Path("xctrules-out"),
    acquisition: Acquisition = None,
    voxel_size: VoxelSize = None,
    cell_id: Annotated[
        str | None, typer.Option(help="The cell's name in record and report.", metavar="ID")
    ] = None,
    angles: Annotated[int, typer.Option(help="Number of half-planes around the axis.", metavar="N")] = 360,
    segmenter: Annotated[
        str | None,
        typer.Option(
            help="Segmenter to use instead of the spec's; unet:MODEL for a model of your own.", metavar="NAME"
        ),
    ] = None,
    segmentation: Annotated[
        Path | None, typer.Option(help="Label image to use instead of segmenting.", metavar="FILE")
    ] = None,
    export_labels: Annotated[
        Path | None, typer.Option(help="Write what was found as a label image (TIFF).", metavar="FILE")
    ] = None,
    mask_of: Annotated[
        Literal["canister", "electrode"] | None,
        typer.Option(help="The scan (or the --segmentation given) is a two-valued image of this part."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the cell's record in DIR.")] = False,
    plugins_dir: PluginsDir = None,
    no_third_party: NoThirdParty = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the record on stdout, and nothing else.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Any warning or plugin error ends with 2.")
    ] = False,
) -> int:
    """Inspect one cell: scan in, verdict out."""
    from xctrules.engine import inspection

    with _progress() as progress:
        result = inspection.inspect(
            scan,
            spec,
            out=out,
            acquisition=acquisition,
            voxel_size_mm=parse_voxel_size(voxel_size),
            cell_id=cell_id,
            angles=angles,
            segmenter=segmenter,
            segmentation=segmentation,
            export_labels=export_labels,
            mask_of=mask_of,
            plugins_dir=plugins_dir,
            third_party=not no_third_party,
            replace=replace,
            strict=strict,
            progress=progress,
        )
    return _show(result, as_json)


def _show(result: Inspection, as_json: bool) -> int:
    """Print an inspection; returns the exit code of its verdict."""
    from xctrules.rules.deciding import EXIT_CODES as BY_VERDICT

    for complaint in (*result.record["warnings"], *map(_failure_text, result.record["failures"])):
        print(f"warning: {complaint}", file=sys.stderr)
    if as_json:
        from xctrules.core.canonical import canonical_bytes

        _say(canonical_bytes(result.record).decode("utf-8").rstrip("\n"))
    else:
        for line in summary(result.record):
            _say(line)
        if result.folder is not None:
            _say()
            _say(f"Report  {result.folder / 'report.html'}")
            _say(f"Record  {result.folder / 'record.json'}")
    return BY_VERDICT[result.verdict]


def _failure_text(failure: Mapping[str, Any]) -> str:
    metric = f", metric {failure['metric']}" if failure["metric"] else ""
    return f"plugin {failure['plugin']}{metric}: {failure['message']}"


def summary(record: Mapping[str, Any]) -> Iterator[str]:
    """A record for the terminal: verdict and scope, reasons, rules."""
    measurements = record["measurements"]
    yield f"{record['cell_id']}: {record['verdict']} {wording.scope(record['scope'])}".rstrip()
    spec = f"spec {record['spec']['name']} {record['spec']['version']}"
    probability = record["probability_of_conformity"]
    yield spec if probability is None else f"{spec}, probability of conformity {wording.percent(probability)}"
    if record["reasons"]:
        yield ""
        yield from (f"- {reason}" for reason in record["reasons"])
    rows = [("Outcome", "Rule", "Measured", "Limits", "Decision rule", "Severity", "Limit's status")]
    for check in record["checks"]:
        found = measurements.get(check["measurement"], {})
        rows.append(
            (
                check["outcome"],
                check["title"],
                wording.quantity(found.get("value"), found.get("expanded_uncertainty"), check["unit"]),
                wording.limits(check["min"], check["max"], check["unit"]),
                check["decision_rule"],
                check["severity"],
                check["status"],
            )
        )
    yield ""
    yield from aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows of text in columns two spaces apart."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


@contextlib.contextmanager
def _progress() -> Iterator[Progress | None]:
    """Shows stages on stderr while they last, where that is a terminal.

    Whatever plugins print meanwhile goes to stderr: stdout is for results.
    """
    with redirected([1], to=2), contextlib.redirect_stdout(sys.stderr):
        if not sys.stderr.isatty():
            yield None
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("starting", total=None)

            def tell(stage: str, done: int, of: int) -> None:
                bar.update(task, description=stage, completed=done, total=of or None)

            yield tell


# --- demo and phantom --------------------------------------------------------------------------------------

DEMO_VOXEL_MM = (0.05, 0.034, 0.034)
"""About that of the published scan of a 21700; coarser along the axis, to be done in seconds."""

SHOWN_IN_DEMO = (
    "canister.outer_diameter",
    "canister.inner_diameter",
    "canister.wall_thickness.mean",
    "canister.dent_depth",
    "canister.tilt",
    "overhang.length.mean",
    "overhang.length.min",
    "overhang.deflection.mean",
    "winding.turns",
    "winding.pitch",
)


@app.command(epilog=EXIT_CODES)
@command
def demo(
    out: Annotated[
        Path, typer.Option(help="Folder for the phantom's scan and the results.", metavar="DIR")
    ] = Path("xctrules-demo"),
) -> int:
    """Draw a phantom cell and inspect it: the whole way with nothing to download.

    What was drawn is printed beside what was measured. A second run replaces the first one's files.
    """
    from xctrules.cylinder import phantom
    from xctrules.engine import inspection

    with _progress() as progress:
        if progress is not None:
            progress("drawing a phantom of a 21700 cell", 0, 0)
        spec = phantom.preset("21700", voxel_size_mm=DEMO_VOXEL_MM, roll_in_view_mm=2.5, tilt_deg=0.4)
        drawn = phantom.draw(spec)
        scan = drawn.write(out / "phantom", force=True)
        result = inspection.inspect(
            scan, "21700", out=out, replace=True, third_party=False, progress=progress
        )
    _say(f"Scan    {scan} (a phantom, drawn from its geometry)")
    code = _show(result, as_json=False)
    rows = [("Measurement", "Drawn", "Measured with its 95 % interval", "Interval covers the truth")]
    for name in SHOWN_IN_DEMO:
        rows.append(
            (name, *_beside_truth(drawn.truth["measurements"].get(name), result.record["measurements"][name]))
        )
    _say()
    for line in aligned(rows):
        _say(line)
    return code


def _beside_truth(true: float | None, found: Mapping[str, Any]) -> tuple[str, str, str]:
    """Truth, value with uncertainty, and whether the one lies within the other, as text."""
    shown = wording.quantity(true, None, found["unit"])
    if found["value"] is None:
        return shown, found["reason"], "-"
    expanded = found["expanded_uncertainty"] or 0.0
    covered = "-" if true is None else "yes" if abs(found["value"] - true) <= expanded else "no"
    return shown, wording.quantity(found["value"], expanded, found["unit"]), covered


@app.command()
@command
def phantom(
    out: Annotated[
        Path, typer.Argument(help="Folder to write slices, acquisition.yaml and truth.json into.")
    ],
    format: Annotated[str, typer.Option("--format", help="Cell format.")] = "21700",
    view: Annotated[
        Literal["top", "bottom", "both", "roll", "slice"] | None,
        typer.Option(help="Part of the cell that is scanned."),
    ] = None,
    voxel_size: Annotated[
        str | None, typer.Option(help="Voxel size in mm, z first.", metavar="Z,Y,X")
    ] = None,
    turns: Annotated[float | None, typer.Option(help="Turns of the copper foil.")] = None,
    overhang: Annotated[float | None, typer.Option(help="Mean overhang, mm.", metavar="MM")] = None,
    negative_overhang: Annotated[
        float | None,
        typer.Option(help="One overhang that is negative by so much, over 20 degrees.", metavar="MM"),
    ] = None,
    dent: Annotated[float | None, typer.Option(help="Depth of one dent in the can.", metavar="MM")] = None,
    tilt: Annotated[float | None, typer.Option(help="Tilt of the cell in the scan.", metavar="DEG")] = None,
    buckle: Annotated[
        float | None, typer.Option(help="Depth of a collapse of the core.", metavar="MM")
    ] = None,
    ovality: Annotated[
        float | None, typer.Option(help="Major minus minor axis of the can.", metavar="MM")
    ] = None,
    tab: Annotated[bool, typer.Option("--tab", help="Weld a tab to the cathode.")] = False,
    pin: Annotated[bool, typer.Option("--pin", help="Put a centre pin into the core.")] = False,
    noise: Annotated[float | None, typer.Option(help="Noise, as a share of the cathode's grey.")] = None,
    blur: Annotated[
        float | None, typer.Option(help="Standard deviation of the blur, voxels.", metavar="PX")
    ] = None,
    bits: Annotated[int | None, typer.Option(help="8, 16, or 32 for floating point.")] = None,
    formation: Annotated[
        Literal["painted", "projected"],
        typer.Option(help="Paint the image, or project X-rays through the cell and reconstruct (minutes)."),
    ] = "painted",
    seed: Annotated[int | None, typer.Option(help="Seed of noise and variation.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a phantom that is there.")] = False,
) -> int:
    """Draw a synthetic cell with chosen faults, and write its truth as JSON."""
    from xctrules.cylinder.phantom import draw, spec_from_options

    spec = spec_from_options(
        format,
        view=view,
        voxel_size_mm=parse_voxel_size(voxel_size),
        turns=turns,
        overhang_mm=overhang,
        negative_overhang_mm=negative_overhang,
        dent_mm=dent,
        tilt_deg=tilt,
        buckle_mm=buckle,
        ovality_mm=ovality,
        tab=tab,
        pin=pin,
        noise=noise,
        blur_px=blur,
        bits=bits,
        formation=formation,
        seed=seed,
    )
    with _progress() as progress:
        if progress is not None:
            progress("drawing" if formation == "painted" else "projecting", 0, 0)
        folder = draw(spec).write(out, force=force)
    _say(f"Scan   {folder}")
    _say(f"Truth  {folder / 'truth.json'}")
    return 0


# --- verify ------------------------------------------------------------------------------------------------


@app.command(epilog="Exit codes: 0 everything holds; 1 something does not; 2 something cannot be read.")
@command
def verify(
    paths: Annotated[
        list[Path], typer.Argument(help="Reports, records, or folders of cells.", metavar="PATH...")
    ],
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what does not hold.")] = False,
) -> int:
    """Check reports and records offline: are they whole, and does the verdict follow from them?"""
    from xctrules.records.verify import VerifyResult, verify_all

    results: list[VerifyResult] = []
    unreadable = False
    for path in paths:
        try:
            results.extend(verify_all(path))
        except XctrulesError as error:  # the other paths are still worth checking
            _complain(str(error))
            unreadable = True
    if as_json:
        _say(json.dumps([_verified(result) for result in results], indent=1))
    for result in [] if as_json else results:
        _say(
            f"{result.path}: {result.cell_id}, {result.verdict}: {'holds' if result.ok else 'DOES NOT HOLD'}"
        )
        for finding in result.findings:
            if not quiet or finding.holds is False:
                _say(f"  {finding}")
    if unreadable:
        return USAGE
    return 0 if all(result.ok for result in results) else 1


def _verified(result: Any) -> dict[str, Any]:
    findings = [{"where": f.where, "what": f.what, "holds": f.holds} for f in result.findings]
    return {
        "path": str(result.path),
        "cell_id": result.cell_id,
        "verdict": result.verdict,
        "holds": result.ok,
        "findings": findings,
    }


# --- specs -------------------------------------------------------------------------------------------------


@specs.command("list")
@command
def specs_list(
    as_json: AsJson = False, plugins_dir: PluginsDir = None, no_third_party: NoThirdParty = False
) -> int:
    """List the specs that are known by name."""
    from xctrules.engine.registry import load_plugins
    from xctrules.rules.cellspec import list_specs

    registry = load_plugins(plugins_dir=plugins_dir, third_party=not no_third_party)
    listed = list_specs(registry.spec_folders)
    if as_json:
        entries = [
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
        _say(json.dumps(entries, indent=1))
        return 0
    rows = [("Name", "Version", "Title", "From")]
    rows += [
        (s.name, s.version or "-", s.error or s.title, "xctrules" if s.bundled else str(s.path))
        for s in listed
    ]
    for line in aligned(rows):
        _say(line)
    return 0


@specs.command("show")
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
    spec = _loaded_spec(name, plugins_dir, no_third_party)
    _say(json.dumps(spec.resolved, indent=1) if resolved else spec.text.rstrip("\n"))
    return 0


@specs.command("check", epilog="Exit codes: 0 it can be used; 2 it cannot, and why.")
@command
def specs_check(
    file: Annotated[str, typer.Argument(help="The spec's file, or its name.")],
    plugins_dir: PluginsDir = None,
    no_third_party: NoThirdParty = False,
) -> int:
    """Check a spec without a scan."""
    from xctrules.rules.case import iter_limits

    spec = _loaded_spec(file, plugins_dir, no_third_party)
    soft = sum(any(limit["status"] == "indicative" for _, limit in iter_limits(r)) for r in spec.rules)
    count = len(spec.rules)
    _say(f"{file}: {wording.counted(count, 'rule')}, {soft} with an indicative limit")
    return 0


@specs.command("schema")
@command
def specs_schema() -> int:
    """Print the JSON Schema of a spec file, for editors that complete and check YAML."""
    from xctrules.rules.cellspec import spec_schema

    _say(json.dumps(spec_schema(), indent=2))
    return 0


def _loaded_spec(name: str, plugins_dir: Path | None, no_third_party: bool) -> Any:
    from xctrules.engine.registry import load_plugins
    from xctrules.rules.cellspec import load_spec

    registry = load_plugins(plugins_dir=plugins_dir, third_party=not no_third_party)
    return load_spec(
        name,
        folders=registry.spec_folders,
        known=registry.measurements,
        open_ended=bool(registry.not_loaded),
    )


# --- plugins -----------------------------------------------------------------------------------------------


@app.command()
@command
def plugins(
    as_json: AsJson = False, plugins_dir: PluginsDir = None, no_third_party: NoThirdParty = False
) -> int:
    """List every plugin found, with what it provides and what is wrong with it."""
    import dataclasses

    from xctrules.engine.registry import load_plugins

    with contextlib.redirect_stdout(sys.stderr):
        registry = load_plugins(plugins_dir=plugins_dir, third_party=not no_third_party)
        registry.collect()
        found = registry.plugins
    if as_json:
        _say(json.dumps([dataclasses.asdict(plugin) for plugin in found], indent=1))
        return 0
    for plugin in found:
        _say(f"{plugin.name} {plugin.version or '(no version)'} ({plugin.source})")
        for label, text in (
            ("hooks", ", ".join(plugin.hooks)),
            ("measures", ", ".join(plugin.measurements)),
            ("sha256", plugin.sha256 or ""),
            *(("PROBLEM", problem) for problem in plugin.problems),
        ):
            if text:
                _say(f"  {label:<9} {text}")
    return 0


# --- commands in files of their own, which take their manners from here -------------------------------------

from xctrules.cli.study import study  # noqa: E402

app.add_typer(study, name="study")

from xctrules.cli import validate as cli_validate  # noqa: E402

cli_validate.register(app)

from xctrules.cli import train as cli_train  # noqa: E402

cli_train.register(app)

from xctrules.cli import planes as cli_planes  # noqa: E402

cli_planes.register(app)
>>>>>>> 7a83e11 (Judging in short steps, and numbers in words said once)
