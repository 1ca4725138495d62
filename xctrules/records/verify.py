"""Checks a record, a report or a cell's folder offline: is it whole, and does the verdict follow from it?

Nothing but the files themselves is needed: no scan, no plugin, no network. Hashes show whether a part was
changed; the verdict is worked out again, by the code that judged it, from the measurements and the spec's
text inside.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from xctrules.core.canonical import canonical_bytes, plain
from xctrules.core.errors import RecordError, SpecError
from xctrules.core.measurement import combined_uncertainty
from xctrules.core.version import __version__
from xctrules.records.folder import RECORD_NAME, REPORT_NAME
from xctrules.records.record import SCHEMA, sealed

Json = Mapping[str, Any]

_EXACT_DIGITS = 17
#: What differs between processors in the last digits of a normal distribution must not count as tampering.
_RELATIVE, _ABSOLUTE = 1e-6, 1e-9
#: Fields of a check that every version writes; further ones are compared only within the same version.
_CONTRACT_FIELDS = (
    "rule", "measurement", "min", "max", "unit", "at", "status", "decision_rule", "severity", "outcome",
    "margin", "probability_of_conformity",
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One thing that was checked; ``holds`` is ``None`` for what could not be, and ``what`` says why."""

    where: str
    what: str
    holds: bool | None

    def __str__(self) -> str:
        word = {True: "holds", False: "DOES NOT HOLD", None: "not checked"}[self.holds]
        return f"{word}: {self.where}: {self.what}"


@dataclass(frozen=True)
class VerifyResult:
    """All findings on one path."""

    path: Path
    cell_id: str
    verdict: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing that was checked failed."""
        return all(finding.holds is not False for finding in self.findings)

    @property
    def failures(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.holds is False)


def verify_path(path: str | Path) -> VerifyResult:
    """Check a ``record.json``, a ``report.html``, or the folder of a cell.

    Raises
    ------
    RecordError
        When there is nothing that could be checked: no such path, not a record, of an unknown schema.
    """
    path = Path(path)
    if path.is_dir():
        return _verify_folder(path)
    data = _read(path)
    if data.lstrip()[:1] == b"<":
        return _verify_report(path, data)
    record = parse_record(data, path)
    findings = [*check_record(record, data, path.name), *_check_files(record, path.parent, alone=True)]
    return _result(path, record, findings)


def verify_all(path: str | Path) -> list[VerifyResult]:
    """Check a path, or every cell in a folder of cells' folders (what ``inspect --out`` fills)."""
    path = Path(path)
    if path.is_dir() and not (path / RECORD_NAME).exists():
        cells = sorted(p.parent for p in path.glob(f"*/{RECORD_NAME}") if not p.parent.name.startswith("."))
        if cells:
            return [verify_path(cell) for cell in cells]
    return [verify_path(path)]


# --- reading ---------------------------------------------------------------------------------------------


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise RecordError("there is no such file or folder", where=path, todo="Check the path.") from error
    except OSError as error:
        raise RecordError(f"cannot be read ({error.strerror or error})", where=path) from error


def parse_record(data: bytes, where: object) -> dict[str, Any]:
    """A record from its bytes; strictly JSON, no key twice, of a schema that this version knows.

    Raises
    ------
    RecordError
    """

    def no_constant(text: str) -> Any:
        raise ValueError(f"{text} is no JSON number")

    def no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
            raise ValueError(f"the key {twice!r} is given twice")
        return values

    try:
        record = json.loads(data.decode("utf-8"), parse_constant=no_constant, object_pairs_hook=no_twins)
    except (ValueError, RecursionError) as error:
        todo = "It is no record, or it was cut off or changed."
        raise RecordError(f"not readable as a record ({error})", where=where, todo=todo) from error
    if not isinstance(record, dict) or "schema" not in record:
        raise RecordError("the file is no xctrules record", where=where)
    if record["schema"] != SCHEMA:
        raise RecordError(
            f"the record has the schema {record['schema']!r}, this version reads {SCHEMA!r}",
            where=where,
            todo="Use the version of xctrules that wrote it.",
        )
    return record


def _result(path: Path, record: Json, findings: Iterable[Finding]) -> VerifyResult:
    return VerifyResult(path, str(record.get("cell_id")), str(record.get("verdict")), tuple(findings))


# --- the record ------------------------------------------------------------------------------------------


def check_record(record: Json, data: bytes, where: str = RECORD_NAME) -> list[Finding]:
    """All checks that need the record alone.

    Parameters
    ----------
    record, data
        The record and the bytes that it was read from.
    where
        What the findings call it.
    """
    checks: Sequence[tuple[str, Callable[[Json], Iterator[str]]]] = (
        ("the record's bytes match its own checksum", lambda r: _check_seal(r, data)),
        ("spec texts match their checksums and give the resolved spec", _check_spec),
        ("standard and expanded uncertainties follow from their budgets", _check_uncertainties),
        ("scan, voxel scale and figures agree with the rest of the record", _check_consistency),
        ("outcomes, verdict, reasons and probabilities follow from measurements and spec", _check_verdict),
    )
    if _names_studies(record):
        checks = [*checks, ("budgets taken from studies follow from them", _check_studies)]
    findings = []
    for claim, check in checks:
        try:
            wrong = list(check(record))
        except SpecError as error:
            wrong = [f"the spec inside cannot be read again: {error}"]
        except Exception as error:  # whatever a changed record holds, it must end as a finding
            wrong = [f"cannot be worked out, part of the record is missing or malformed ({error!r})"]
        findings += [Finding(where, what, False) for what in wrong] or [Finding(where, claim, True)]
    if not _same_version(record):
        what = f"wording of the reasons: xctrules {_made_by(record)} made it, this is {__version__}"
        findings.append(Finding(where, what, None))
    return findings


def _same_version(record: Json) -> bool:
    return bool(_made_by(record) == __version__)


def _made_by(record: Json) -> Any:
    software = record.get("software")
    return software.get("xctrules") if isinstance(software, Mapping) else None


def _check_seal(record: Json, data: bytes) -> Iterator[str]:
    if canonical_bytes(record) != data:
        yield "its bytes are not as xctrules writes them: it was edited or formatted anew"
    stated = record["run"].get("integrity_sha256")
    if stated is None:
        yield "its checksum (run.integrity_sha256) is missing"
    elif sealed(record)["run"]["integrity_sha256"] != stated:
        yield "its contents do not match its checksum (run.integrity_sha256): it was changed"


def _check_spec(record: Json) -> Iterator[str]:
    from xctrules.rules.cellspec import SpecText, parse_spec

    spec = record["spec"]
    if _sha256(spec["text"]) != spec["sha256"]:
        yield "the text of the spec does not match its SHA-256"
    parents = [SpecText(str(parent["name"]), str(parent["text"])) for parent in spec["parents"]]
    for parent, entry in zip(parents, spec["parents"], strict=True):
        if parent.sha256 != entry["sha256"]:
            yield f"the text of the spec's parent {parent.name} does not match its SHA-256"
    known = {str(rule["measurement"]): str(rule["unit"]) for rule in spec["resolved"]["rules"]}
    budgets = spec["resolved"].get("budgets", [])
    known |= {str(entry["measurement"]): str(entry["study"]["unit"]) for entry in budgets}
    studies = {str(entry["measurement"]): entry["study"] for entry in budgets}
    again = parse_spec(
        str(spec["text"]), file=str(spec["file"]), parents=parents, known=known, open_ended=True,
        studies=studies,
    )  # fmt: skip
    if (again.name, again.version) != (spec["name"], spec["version"]):
        yield "name or version of the spec is not that of its text"
    resolved = plain(again.resolved, digits=_EXACT_DIGITS)
    if resolved["segmenter"] is None:  # a default, which the version that wrote the record may have chosen
        resolved["segmenter"] = spec["resolved"]["segmenter"]
    yield from _differences("resolved spec", resolved, spec["resolved"])


def _names_studies(record: Json) -> bool:
    """Whether the spec takes budgets from studies, or the record says that some were."""
    spec = record.get("spec")
    parts = (spec.get("resolved") if isinstance(spec, Mapping) else None, record.get("parameters"))
    return any(isinstance(part, Mapping) and "budgets" in part for part in parts)


def _check_studies(record: Json) -> Iterator[str]:
    from xctrules.rules.stated_budgets import check_uses

    return check_uses(record)


def _check_uncertainties(record: Json) -> Iterator[str]:
    for name, entry in record["measurements"].items():
        if entry["status"] != "measured":
            if entry.get("value") is not None:
                yield f"{name} has a value although its status is {entry['status']!r}"
            continue
        for key, expected in combined_uncertainty(entry["budget"]).items():
            yield from _differences(f"{name}.{key}", expected, entry[key])


def _check_consistency(record: Json) -> Iterator[str]:
    listed = {entry["name"]: entry["sha256"] for entry in record["files"]}
    if listed.get("samples/scan.sha256") != record["scan"]["sha256"]:
        yield "the scan's SHA-256 is not that of the list of its files (samples/scan.sha256)"
    acquisition, scale = record["acquisition"], record["scale"]
    stated = acquisition.get("voxel_scale_relative_uncertainty")
    if (stated is not None) != scale["stated"]:
        yield "whether the voxel scale's uncertainty is stated differs between acquisition and scale"
    elif stated is not None:
        yield from _differences("uncertainty of the voxel scale", stated, scale["relative_uncertainty"])
    for image in figure_images(record):
        if listed.get(image["file"]) != image["sha256"]:
            yield f"the image {image['file']} in a figure is not the one in the list of files"


def figure_images(record: Json) -> Iterator[Json]:
    """``{"file", "sha256", ...}`` of every image that a figure of the record shows."""
    for section in record["sections"]:
        for figure in section["figures"]:
            if figure["kind"] == "image":
                yield figure["image"]


def _check_verdict(record: Json) -> Iterator[str]:
    from xctrules.rules.judging import judge

    checks, verdict = judge(
        record["measurements"],
        record["spec"]["resolved"],
        record["scope"],
        record["scale"]["stated"],
        rejections=record["rejections"],
        unscreened=record["unscreened"],
    )
    expected = [plain(check) for check in checks]
    same_version = _same_version(record)
    if [c["rule"] for c in expected] != [c["rule"] for c in record["checks"]]:
        yield "the rules checked are not those of the spec"
    else:
        for mine, stated in zip(expected, record["checks"], strict=True):
            fields = list(mine) if same_version else list(_CONTRACT_FIELDS)
            if same_version and list(stated) != fields:
                yield f"the check of rule {mine['rule']} has other fields than it should have"
            for key in fields:
                yield from _differences(f"rule {mine['rule']}: {key}", mine[key], stated.get(key))
    if verdict.verdict != record["verdict"]:
        yield f"the verdict stated is {record['verdict']}, measurements and spec give {verdict.verdict}"
    yield from _differences(
        "probability of conformity",
        plain(verdict.probability_of_conformity),
        record["probability_of_conformity"],
    )
    yield from _differences(
        "verdict under the other rules", dict(verdict.by_decision_rule), record["verdict_under_other_rules"]
    )
    if same_version and list(verdict.reasons) != record["reasons"]:
        yield "the reasons stated are not those that follow from the measurements and the spec"


def _differences(what: str, expected: Any, stated: Any) -> Iterator[str]:
    """Where two JSON values differ by more than the last digits, in words."""
    if isinstance(expected, Mapping) and isinstance(stated, Mapping):
        for key in sorted(expected.keys() | stated.keys(), key=str):
            if key not in stated or key not in expected:
                yield f"{what}: {key!r} is {'missing' if key not in stated else 'not part of it'}"
            else:
                yield from _differences(f"{what}, {key}", expected[key], stated[key])
    elif isinstance(expected, list) and isinstance(stated, list) and len(expected) == len(stated):
        for number, (a, b) in enumerate(zip(expected, stated, strict=True), start=1):
            yield from _differences(f"{what}, entry {number}", a, b)
    elif _is_number(expected) and _is_number(stated):
        if not math.isclose(expected, stated, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE):
            yield f"{what} is stated as {stated:.9g}, but {expected:.9g} follows from the record"
    elif type(expected) is not type(stated) or expected != stated:
        yield f"{what} is stated as {_short(stated)}, but {_short(expected)} follows from the record"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 120 else text[:117] + "..."


def _sha256(data: str | bytes) -> str:
    return hashlib.sha256(data.encode("utf-8") if isinstance(data, str) else data).hexdigest()


# --- files beside the record -----------------------------------------------------------------------------


def _check_files(record: Json, folder: Path, *, alone: bool) -> list[Finding]:
    """Whether the files that the record lists stand beside it unchanged.

    ``alone``: the record may have been sent without them.
    """
    try:
        listed = {str(entry["name"]): str(entry["sha256"]) for entry in record["files"]}
    except (KeyError, TypeError):
        return [Finding(RECORD_NAME, "its list of files is missing or malformed", False)]
    if alone and not any((folder / name).exists() for name in listed if _is_inside(name)):
        return [Finding(RECORD_NAME, f"the {len(listed)} files that it lists are not beside it", None)]
    findings = []
    for name, digest in listed.items():
        path = folder / name
        if not _is_inside(name):
            findings.append(Finding(name, "the record lists a file outside its folder", False))
        elif not path.is_file():
            findings.append(Finding(name, "the file is missing", False))
        elif _sha256(_read(path)) != digest:
            findings.append(Finding(name, "the file was changed: its SHA-256 is not the recorded one", False))
    if not findings:
        findings.append(Finding(RECORD_NAME, f"all {len(listed)} files that it lists are unchanged", True))
    return findings


def _is_inside(name: str) -> bool:
    """Whether a listed name can be that of a file in the record's folder."""
    path = PurePosixPath(name)
    ordinary = bool(name) and name.isprintable() and "\\" not in name and len(name.encode()) < 200
    return ordinary and not path.is_absolute() and ".." not in path.parts


def _verify_folder(folder: Path) -> VerifyResult:
    path = folder / RECORD_NAME
    if not path.exists():
        raise RecordError(f"the folder holds no {RECORD_NAME}", where=folder, todo="Give a cell's folder.")
    data = _read(path)
    record = parse_record(data, path)
    findings = [*check_record(record, data), *_check_files(record, folder, alone=False)]
    report = folder / REPORT_NAME
    if not report.is_file():
        findings.append(Finding(REPORT_NAME, "the report is missing", False))
    else:
        findings += _check_report_of(record, data, _read(report))
    listed = {entry["name"] for entry in record["files"]} if _listable(record) else set()
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    for name in sorted(present - listed - {RECORD_NAME, REPORT_NAME}):
        findings.append(Finding(name, "the record does not list this file", None))
    return _result(folder, record, findings)


def _listable(record: Json) -> bool:
    files = record.get("files")
    return isinstance(files, list) and all(isinstance(f, Mapping) and "name" in f for f in files)


# --- the report ------------------------------------------------------------------------------------------


def _verify_report(path: Path, data: bytes) -> VerifyResult:
    from xctrules.pages.embedding import embedded_record

    text = _report_text(data, path)
    record_data, stated = embedded_record(text)
    record = parse_record(record_data, path)
    findings = [
        _check_stated(record_data, stated),
        *check_record(record, record_data, "record inside the report"),
        *_check_drawing(record, text),
    ]
    return _result(path, record, findings)


def _check_report_of(record: Json, record_data: bytes, report: bytes) -> list[Finding]:
    """The report in a cell's folder: it must carry that very record, and be drawn from it."""
    from xctrules.pages.embedding import embedded_record

    try:
        text = _report_text(report, REPORT_NAME)
        inside, stated = embedded_record(text)
    except RecordError as error:
        return [Finding(REPORT_NAME, str(error), False)]
    findings = [_check_stated(inside, stated)]
    if inside != record_data:
        findings.append(Finding(REPORT_NAME, f"the record inside it is not {RECORD_NAME}", False))
        try:
            record = parse_record(inside, REPORT_NAME)
        except RecordError as error:
            return [*findings, Finding(REPORT_NAME, str(error), False)]
    return [*findings, *_check_drawing(record, text)]


def _report_text(data: bytes, where: object) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecordError("the report is not UTF-8 text", where=where) from error


def _check_stated(record_data: bytes, stated: str) -> Finding:
    if _sha256(record_data) == stated:
        return Finding(REPORT_NAME, "the record inside it matches its SHA-256", True)
    return Finding(REPORT_NAME, "the record inside it does not match the SHA-256 stated for it", False)


def _check_drawing(record: Json, text: str) -> list[Finding]:
    """Whether a report shows the record and its images, and nothing else."""
    from xctrules.pages.embedding import embedded_images
    from xctrules.pages.report import render_report

    try:
        wanted = {str(image["file"]): str(image["sha256"]) for image in figure_images(record)}
        images = embedded_images(text)
    except (RecordError, KeyError, TypeError) as error:
        return [Finding(REPORT_NAME, f"its images cannot be checked ({error})", False)]
    findings = []
    for name in sorted(wanted.keys() | images.keys()):
        if name not in images:
            findings.append(Finding(REPORT_NAME, f"the image {name} is missing", False))
        elif name not in wanted:
            findings.append(Finding(REPORT_NAME, f"the image {name} does not belong to the record", False))
        elif _sha256(images[name]) != wanted[name]:
            findings.append(Finding(REPORT_NAME, f"the image {name} was changed", False))
    if findings:
        return findings
    findings.append(Finding(REPORT_NAME, f"its {len(images)} images are those of the record", True))
    if not _same_version(record):
        what = (
            f"xctrules {_made_by(record)} drew it, this is {__version__}: it cannot be drawn again, and "
            "only the record and the images inside were checked, not the text and pictures around them"
        )
        return [*findings, Finding(REPORT_NAME, what, None)]
    try:
        same = render_report(record, images) == text
    except Exception as error:  # a changed record may break the drawing anywhere
        return [*findings, Finding(REPORT_NAME, f"it cannot be drawn again ({error!r})", False)]
    what = (
        "drawn again from the record and its images, it is the same to the byte"
        if same
        else "what it shows is not what the record and its images give: its text was changed"
    )
    return [*findings, Finding(REPORT_NAME, what, same)]
