"""``xctrules study``: repeat scans and calibrated parts, for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from xctrules.cli.console import (
    DOES_NOT_HOLD,
    FINE,
    NO_DECISION,
    AsJson,
    aligned,
    command,
    group,
    say,
    say_json,
    warn,
)
from xctrules.core.errors import OutputError, StudyError
from xctrules.core.files import write_files
from xctrules.core.voxel_size import parse_voxel_size
from xctrules.core.wording import counted, exact, significant, uncertainty, with_unit

if TYPE_CHECKING:
    from xctrules.campaigns.studies.input import Inputs, Value
    from xctrules.rules.calibrated_studies import CalibratedStudy
    from xctrules.rules.gauge_studies import Component, GaugeStudy
    from xctrules.rules.study_files import Calibration, Conditions, GaugeSettings, Study

EXIT_CODES = """\b
Exit codes: 0 acceptable or conditional; 1 not acceptable;
2 something cannot be read; 3 nothing to judge by (grr of one part without --tolerance)."""

app = group("Repeat scans and calibrated parts: how well does this scanner measure?")

Files = Annotated[
    list[Path],
    typer.Argument(
        help="Tables (CSV, YAML) with the columns part, appraiser, repeat, measurement, value (or record), "
        "unit; record.json files or the folders that hold them.",
        metavar="FILE_OR_RECORD...",
    ),
]
MeasurementName = Annotated[
    str | None, typer.Option("--measurement", help="The measurement to take.", metavar="NAME")
]
Tolerance = Annotated[
    float | None, typer.Option(help="Upper minus lower limit, in the measurement's unit.", metavar="WIDTH")
]
Name = Annotated[str | None, typer.Option(help="The study's name; that of --out unless given.")]
Out = Annotated[
    Path | None,
    typer.Option(help="Write the study file, which a spec can name under `budgets:`.", metavar="FILE"),
]
Page = Annotated[Path | None, typer.Option("--html", help="Write the study as a page.", metavar="FILE")]
Replace = Annotated[bool, typer.Option("--replace", help="Replace files that are there.")]
VoxelSizes = Annotated[
    list[str] | None,
    typer.Option(
        "--voxel-size",
        help="Voxel size in mm at which the study was made; twice for a range. Known from records.",
        metavar="Z,Y,X",
    ),
]
Instruments = Annotated[
    list[str] | None,
    typer.Option("--instrument", help="The scanner, as acquisition.yaml names it. Known from records."),
]
Formats = Annotated[
    list[str] | None, typer.Option("--format", help="Cell format, such as 21700. Known from records.")
]
ValueRange = Annotated[
    str | None,
    typer.Option(help="Values for which the study holds, in the measurement's unit.", metavar="LOW,HIGH"),
]
Date = Annotated[
    str | None, typer.Option(help="Date of the study; today unless given.", metavar="YYYY-MM-DD")
]


@app.command(epilog=EXIT_CODES)
@command
def grr(
    files: Files,
    measurement: MeasurementName = None,
    tolerance: Tolerance = None,
    judge_by: Annotated[
        Literal["both", "total", "tolerance"],
        typer.Option(help="What %GRR is held against: total variation, tolerance, or the worse of both."),
    ] = "both",
    appraiser_from: Annotated[
        Literal["operator", "instrument", "software", "none"],
        typer.Option(help="What tells the appraisers of records apart that no table assigns."),
    ] = "none",
    name: Name = None,
    out: Out = None,
    html: Page = None,
    replace: Replace = False,
    voxel_size: VoxelSizes = None,
    instrument: Instruments = None,
    format: Formats = None,
    valid_range: ValueRange = None,
    date: Date = None,
    as_json: AsJson = False,
) -> int:
    """Gauge repeatability and reproducibility of repeat scans, by ANOVA (AIAG MSA 4)."""
    from xctrules.campaigns.studies.input import read_inputs
    from xctrules.rules.study_files import GaugeSettings

    _check_positive(tolerance, "--tolerance")
    inputs = read_inputs(files, measurement, appraiser_from)
    names = inputs.measurements()
    _check_one(names, out, "--out", files)
    _check_one(names, html, "--html", files)
    _check_one(names, tolerance, "--tolerance", files)
    valid = _conditions(inputs, voxel_size, instrument, format, valid_range)
    settings = GaugeSettings(tolerance=tolerance, judge_by=judge_by)
    title = name or (out.stem if out else None)
    studies = [_made(inputs, each, settings, valid, title or each, date) for each in names]
    _write(studies, out, html, replace)
    _warn(studies)
    if as_json:
        say_json([each.content for each in studies])
    else:
        for line in _gauge_text(studies[0]) if len(studies) == 1 else _summary(studies):
            say(line)
        _say_where(studies, out)
    found = {each.result.judgement for each in studies}
    if "not acceptable" in found:
        return DOES_NOT_HOLD
    return NO_DECISION if found == {"not judged"} else FINE


@app.command(
    epilog="Exit codes: 0 U is worked out and, with --tolerance, small enough; 1 it is too large; "
    "2 something cannot be read."
)
@command
def calibrated(
    files: Files,
    value: Annotated[float, typer.Option(help="The calibrated value.")],
    expanded_uncertainty: Annotated[
        float,
        typer.Option("--expanded-uncertainty", "-U", help="U of the calibration, from its certificate."),
    ],
    coverage_factor: Annotated[float, typer.Option(help="Coverage factor k of that U.")] = 2.0,
    u_workpiece: Annotated[
        float | None,
        typer.Option(help="Standard uncertainty from temperature and material of the parts to come."),
    ] = None,
    certificate: Annotated[str | None, typer.Option(help="The certificate's number, for the file.")] = None,
    measurement: MeasurementName = None,
    tolerance: Tolerance = None,
    name: Name = None,
    out: Out = None,
    html: Page = None,
    replace: Replace = False,
    voxel_size: VoxelSizes = None,
    instrument: Instruments = None,
    format: Formats = None,
    valid_range: ValueRange = None,
    date: Date = None,
    as_json: AsJson = False,
) -> int:
    """Uncertainty from repeat scans of a calibrated part (ISO 15530-3, VDI/VDE 2630-2.1)."""
    from xctrules.campaigns.studies.input import read_inputs
    from xctrules.rules.study_files import Calibration

    _check_positive(tolerance, "--tolerance")
    _check_positive(expanded_uncertainty, "--expanded-uncertainty")
    _check_positive(coverage_factor, "--coverage-factor")
    if u_workpiece is not None and not 0 <= u_workpiece < float("inf"):
        raise StudyError(f"{u_workpiece:g} is no uncertainty", where="--u-workpiece", todo="Give 0 or more.")
    if not abs(value) < float("inf"):
        raise StudyError(f"{value:g} is not a finite number", where="--value")
    inputs = read_inputs(files, measurement)
    names = inputs.measurements()
    _check_one(names, value, "--value", files)
    settings = Calibration(
        value=value,
        expanded_uncertainty=expanded_uncertainty,
        coverage_factor=coverage_factor,
        u_workpiece=u_workpiece,
        certificate=certificate,
        tolerance=tolerance,
    )
    valid = _conditions(inputs, voxel_size, instrument, format, valid_range)
    title = name or (out.stem if out else names[0])
    made = _made(inputs, names[0], settings, valid, title, date)
    _write([made], out, html, replace)
    _warn([made])
    if as_json:
        say_json([made.content])
    else:
        for line in _calibrated_text(made):
            say(line)
        _say_where([made], out)
    return DOES_NOT_HOLD if made.result.judgement == "not acceptable" else FINE


# --- what is asked ---------------------------------------------------------------------------------------


def _check_positive(number: float | None, option: str) -> None:
    if number is not None and not 0 < number < float("inf"):
        raise StudyError(f"{number:g} is not above zero", where=option)


def _check_one(names: Sequence[str], asked: object, option: str, files: Sequence[Path]) -> None:
    if asked is not None and len(names) > 1:
        shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
        raise StudyError(
            f"{option} is about one measurement, and there are {len(names)} ({shown})",
            where=", ".join(map(str, files)),
            todo="Choose one with --measurement.",
        )


def _conditions(
    inputs: Inputs,
    voxel_sizes: Sequence[str] | None,
    instruments: Sequence[str] | None,
    formats: Sequence[str] | None,
    valid_range: str | None,
) -> Conditions:
    """The conditions under which the study holds: as asked, else those of the records behind it."""
    from xctrules.rules.study_files import Conditions, VoxelRange
    from xctrules.rules.study_files import ValueRange as Values

    sizes = [size for text in voxel_sizes or () if (size := parse_voxel_size(text)) is not None]
    for size in sizes:
        if not all(0 < length < float("inf") for length in size):
            raise StudyError("a voxel size is not above zero", where="--voxel-size")
    sizes = sizes or inputs.voxel_sizes_mm
    voxels = None
    if sizes:
        z, y, x = zip(*sizes, strict=True)
        voxels = VoxelRange(min=(min(z), min(y), min(x)), max=(max(z), max(y), max(x)))
    values = None
    if valid_range is not None:
        try:
            low, high = map(float, valid_range.split(","))
        except ValueError:
            low, high = 1.0, 0.0
        if not -float("inf") < low < high < float("inf"):
            raise StudyError(f"{valid_range!r} is no range", where="--valid-range", todo="Give LOW,HIGH.")
        values = Values(min=low, max=high)
    return Conditions(
        cell_formats=tuple(formats or inputs.formats),
        instruments=tuple(instruments or inputs.instruments),
        voxel_size_mm=voxels,
        value=values,
        software=tuple(inputs.software),
    )


def _made(
    inputs: Inputs,
    measurement: str,
    settings: GaugeSettings | Calibration,
    valid: Conditions,
    name: str,
    date: str | None,
) -> Study:
    import datetime

    from xctrules.rules.study_files import InputFile, StudyValue, make_study

    try:
        day = datetime.date.fromisoformat(date) if date else datetime.date.today()
    except ValueError:
        raise StudyError(f"{date!r} is no date", where="--date", todo="Give YYYY-MM-DD.") from None
    values = inputs.of(measurement)
    try:
        return make_study(
            name=name,
            measurement=measurement,
            unit=values[0].unit,
            date=day.isoformat(),
            values=[
                StudyValue(
                    part=v.part, appraiser=v.appraiser, repeat=v.repeat or str(number), value=v.value,
                    source=v.source, sha256=v.sha256,
                )
                for number, v in enumerate(values, start=1)
            ],
            settings=settings,
            valid=valid,
            inputs=[InputFile(name=file, sha256=digest) for file, digest in inputs.files.items()],
        )  # fmt: skip
    except StudyError as error:
        where = _place(error.__cause__, values)
        raise StudyError(f"{measurement}: {error.what}", where=where, todo=error.todo) from error


def _place(cause: object, values: Sequence[Value]) -> str:
    """Where to look: the last row of a part that was not measured often enough, or the last one of all."""
    from xctrules.rules.study_files import Unbalanced

    if isinstance(cause, Unbalanced):
        of_part = [value for value in values if value.part == cause.part]
        of_both = [value for value in of_part if value.appraiser == cause.appraiser]
        return (of_both or of_part)[-1].where
    return values[-1].where


def _write(studies: Sequence[Study], out: Path | None, html: Path | None, replace: bool) -> None:
    """Write the study file and the page, as far as they are asked for; there is one study then."""
    from xctrules.rules.study_files import study_bytes

    files: dict[Path, bytes] = {}
    if out is not None:
        files[out] = study_bytes(studies[0])
    if html is not None:
        from xctrules.pages.study_page import render_study

        files[html] = render_study(studies[0].content, list(_text(studies[0]))).encode("utf-8")
    for path in files:
        if path.exists() and not replace:
            raise OutputError("there is a file already", where=path, todo="Give --replace, or another name.")
    write_files(files)


def _text(made: Study) -> Iterator[str]:
    return _gauge_text(made) if made.file.kind == "grr" else _calibrated_text(made)


# --- what is shown ---------------------------------------------------------------------------------------


def _warn(studies: Sequence[Study]) -> None:
    told: dict[str, list[str]] = {}
    for each in studies:
        for warning in each.result.warnings:
            told.setdefault(warning, []).append(each.measurement)
    for warning, names in told.items():
        about = "" if len(names) == len(studies) else f"{', '.join(names)}: "
        warn(f"{about}{warning}")


def _say_where(studies: Sequence[Study], out: Path | None) -> None:
    if out is not None:
        say()
        say(f"Study   {out}")
        say(f"sha256  {studies[0].sha256}")
        if studies[0].file.valid.voxel_size_mm is None:
            warn("no voxel size is known, and no spec can take this study as a budget: give --voxel-size")


WORDS = {
    "EV": "repeatability (EV)",
    "AV": "appraisers (AV)",
    "INT": "parts x appraisers",
    "GRR": "gauge, R&R (GRR)",
    "PV": "parts (PV)",
    "TV": "total (TV)",
}


def _gauge_text(made: Study) -> Iterator[str]:
    result: Any = made.result
    gauge: GaugeStudy = result
    yield f"Gauge repeatability and reproducibility: {made.measurement} (AIAG MSA 4, ANOVA)"
    unit = made.unit
    tolerance = "" if gauge.tolerance is None else f", tolerance {with_unit(exact(gauge.tolerance), unit)}"
    yield (
        f"{counted(gauge.parts, 'part')} x {counted(gauge.appraisers, 'appraiser')} x "
        f"{counted(gauge.repeats, 'repeat')}, "
        f"mean {with_unit(significant(gauge.mean, 6), unit)}{tolerance}"
    )
    yield ""
    rows = [("Source", "Sum of squares", "df", "Mean square", "F", "p")]
    for row in gauge.anova:
        rows.append(
            (row.source, significant(row.sum_of_squares, 5), str(row.degrees_of_freedom),
             significant(row.mean_square, 5), significant(row.f), significant(row.p, 3))
        )  # fmt: skip
    yield from aligned(rows)
    if gauge.interaction_p is not None:
        what = "is pooled with the repeats" if gauge.interaction == "pooled" else "is kept"
        yield f"The interaction of parts and appraisers (p = {significant(gauge.interaction_p, 3)}) {what}."
    yield ""
    head = (
        "Component", "s" if unit == "1" else f"s ({unit})", "95 % interval", "df",
        "% of total", "% of variance", "% of tolerance",
    )  # fmt: skip
    yield from aligned([head, *(_component_row(each) for each in gauge.components.values())])
    yield ""
    if gauge.categories is not None:
        yield f"Distinct categories (ndc)  {gauge.categories}, at least 5 wanted"
    yield f"Judgement                  {gauge.judgement} (%GRR below 10 acceptable, to 30 conditional)"
    judge_by = made.file.gauge.judge_by if made.file.gauge else "both"
    against = {"both": "total variation and tolerance, as far as known", "total": "total variation"}
    yield f"Held against               {against.get(judge_by, judge_by)}"


def _component_row(component: Component) -> tuple[str, ...]:
    return (
        WORDS[component.name],
        significant(component.standard_deviation),
        f"{significant(component.low)} to {significant(component.high)}",
        f"{component.degrees_of_freedom:.1f}",
        significant(component.percent_of_total, 3),
        significant(component.contribution_percent, 3),
        significant(component.percent_of_tolerance, 3),
    )


def _summary(studies: Iterable[Study]) -> Iterator[str]:
    rows = [("Measurement", "Unit", "Mean", "EV", "GRR", "PV", "% of total", "ndc", "Judgement")]
    for each in studies:
        result: Any = each.result
        parts = result.components.get("PV")
        gauge = result.components["GRR"]
        rows.append(
            (
                each.measurement, each.unit, significant(result.mean, 6),
                significant(result.components["EV"].standard_deviation, 3),
                significant(gauge.standard_deviation, 3),
                significant(parts.standard_deviation if parts else None, 3),
                significant(gauge.percent_of_total, 3), exact(result.categories), result.judgement,
            )
        )  # fmt: skip
    yield from aligned(rows)


def _calibrated_text(made: Study) -> Iterator[str]:
    found: Any = made.result
    result: CalibratedStudy = found
    unit = made.unit

    def shown(value: float, digits: int = 4) -> str:
        return with_unit(significant(value, digits), unit)

    yield f"Repeat scans of a calibrated part: {made.measurement} (ISO 15530-3, VDI/VDE 2630-2.1)"
    yield counted(result.scans, "scan")
    yield ""
    freedom = f"{min(result.degrees_of_freedom, 9999):.0f}"
    rows = [
        ("calibrated value", shown(result.calibrated_value, 7), ""),
        ("mean of the scans", shown(result.mean, 7), ""),
        ("bias b", with_unit(f"{result.bias:+.4g}", unit), "mean minus calibrated value"),
        ("u_cal", shown(result.u_cal), "calibration, U / k of the certificate"),
        ("u_p", shown(result.u_p), "standard deviation of a single scan"),
        ("u_w", shown(result.u_w), "workpiece: temperature, material; as stated"),
        ("u_b", shown(result.u_b), "bias, as the mean of so many scans shows it"),
        ("u", shown(result.standard_uncertainty), "root sum of squares"),
        ("k", f"{result.coverage_factor:.3f}", f"95 %, {freedom} effective degrees of freedom"),
        ("U = k u + |b|", uncertainty(result.expanded_uncorrected, unit), "values as measured (bias: add)"),
        ("U = k u", uncertainty(result.expanded_corrected, unit), "values minus b (bias: correct)"),
    ]
    yield from aligned(rows)
    if result.percent_of_tolerance is not None:
        yield ""
        yield (
            f"2 U / tolerance  {significant(result.percent_of_tolerance, 3)} %, bias left in: "
            f"{result.judgement} (at most 30 %, VDA 5)"
        )
