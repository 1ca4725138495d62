"""Whether a record is whole, and whether its verdict follows from it: all that needs the record alone."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xctrules.core.canonical import EXACT_DIGITS, canonical_bytes, plain
from xctrules.core.errors import SpecError
from xctrules.core.measurement import combined_uncertainty
from xctrules.core.shipped import source_sha256
from xctrules.core.version import __version__
from xctrules.core.wording import visible
from xctrules.records.embedded import embedded_spec
from xctrules.records.folder import RECORD_NAME, SCAN_LIST_NAME
from xctrules.records.record import judge_record, sealed_bytes
from xctrules.rules.stated_budgets import check_uses

Json = Mapping[str, Any]

#: What differs between processors in the last digits of a normal distribution must not count as tampering.
_RELATIVE, _ABSOLUTE = 1e-6, 1e-9
#: Fields of a check that every version writes; further ones are compared only within the same version.
_CONTRACT_FIELDS = (
    "rule", "measurement", "min", "max", "unit", "at", "status", "decision_rule", "severity", "outcome",
    "margin", "probability_of_conformity",
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One thing that was checked.

    Attributes
    ----------
    where, what
        The file or part, and what is said of it.
    holds
        ``None`` for what could not be checked; ``what`` then says why.
    needed
        Whether nothing may be said to hold as long as this is unchecked: what a reader goes by.
    """

    where: str
    what: str
    holds: bool | None
    needed: bool = False

    def __str__(self) -> str:
        word = {True: "holds", False: "DOES NOT HOLD", None: "not checked"}[self.holds]
        return visible(f"{word}: {self.where}: {self.what}")


def check_record(
    record: Json, data: bytes, where: str = RECORD_NAME, *, logged: bool = False
) -> list[Finding]:
    """All checks that need the record alone.

    Parameters
    ----------
    record, data
        The record and the bytes that it was read from.
    where
        What the findings call it.
    logged
        Whether a log that was checked holds the SHA-256 of these very bytes: they are then not written
        anew to be compared with their own checksum, which says less.
    """
    checks: Sequence[tuple[str, Callable[[Json], Iterator[str]]]] = (
        *([] if logged else [("the record's bytes match its own checksum", lambda r: _check_seal(r, data))]),
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
    if not same_source(record):
        what = f"wording of the reasons: {made_by(record)}"
        findings.append(Finding(where, what, None))
    return findings


def same_source(record: Json) -> bool:
    """Whether this very program wrote the record: only then are wordings and pages the same to the byte."""
    return bool(_software(record, "source_sha256") == source_sha256())


def made_by(record: Json) -> str:
    """Which program made the record, and which one this is, in words."""
    made, this = _software(record, "xctrules"), __version__
    if made == this:
        return f"other source of xctrules {made} made it than that of this program"
    return f"xctrules {made} made it, this is {this}"


def _software(record: Json, key: str) -> Any:
    software = record.get("software")
    return software.get(key) if isinstance(software, Mapping) else None


def _check_seal(record: Json, data: bytes) -> Iterator[str]:
    again, written = sealed_bytes(record)
    if written == data:
        return  # the same to the byte, its checksum included
    if canonical_bytes(record) != data:
        yield "its bytes are not as xctrules writes them: it was edited or formatted anew"
    stated = record["run"].get("integrity_sha256")
    if stated is None:
        yield "its checksum (run.integrity_sha256) is missing"
    elif again["run"]["integrity_sha256"] != stated:
        yield "its contents do not match its checksum (run.integrity_sha256): it was changed"


def _check_spec(record: Json) -> Iterator[str]:
    yield from _wrong_in_spec(json.dumps(record["spec"]))


@functools.lru_cache(maxsize=64)
def _wrong_in_spec(entry: str) -> tuple[str, ...]:
    """What is wrong in a record's ``spec``, given as JSON: that of many records is one and the same."""
    return tuple(_faults_of_spec(json.loads(entry)))


def _faults_of_spec(spec: Json) -> Iterator[str]:
    if sha256_of(spec["text"]) != spec["sha256"]:
        yield "the text of the spec does not match its SHA-256"
    again = embedded_spec(spec)
    for parent, entry in zip(again.parents, spec["parents"], strict=True):
        if parent.sha256 != entry["sha256"]:
            yield f"the text of the spec's parent {parent.name} does not match its SHA-256"
    if (again.name, again.version) != (spec["name"], spec["version"]):
        yield "name or version of the spec is not that of its text"
    resolved = plain(again.resolved, digits=EXACT_DIGITS)
    if resolved["segmenter"] is None:  # a default, which the version that wrote the record may have chosen
        resolved["segmenter"] = spec["resolved"]["segmenter"]
    yield from _differences("resolved spec", resolved, spec["resolved"])


def _names_studies(record: Json) -> bool:
    """Whether the spec takes budgets from studies, or the record says that some were."""
    spec = record.get("spec")
    parts = (spec.get("resolved") if isinstance(spec, Mapping) else None, record.get("parameters"))
    return any(isinstance(part, Mapping) and "budgets" in part for part in parts)


def _check_studies(record: Json) -> Iterator[str]:
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
    if listed.get(SCAN_LIST_NAME) != record["scan"]["sha256"]:
        yield f"the scan's SHA-256 is not that of the list of its files ({SCAN_LIST_NAME})"
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
    checks, verdict = judge_record(record, record["spec"]["resolved"])
    yield from _check_checks([plain(check) for check in checks], record)
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
    if same_source(record) and list(verdict.reasons) != record["reasons"]:
        yield "the reasons stated are not those that follow from the measurements and the spec"


def _check_checks(expected: Sequence[Json], record: Json) -> Iterator[str]:
    """What differs between the outcomes worked out again and those stated, rule by rule."""
    if [check["rule"] for check in expected] != [check["rule"] for check in record["checks"]]:
        yield "the rules checked are not those of the spec"
        return
    same = same_source(record)
    for mine, stated in zip(expected, record["checks"], strict=True):
        fields = list(mine) if same else list(_CONTRACT_FIELDS)
        if same and list(stated) != fields:
            yield f"the check of rule {mine['rule']} has other fields than it should have"
        for key in fields:
            yield from _differences(f"rule {mine['rule']}: {key}", mine[key], stated.get(key))


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


def sha256_of(data: str | bytes) -> str:
    return hashlib.sha256(data.encode("utf-8") if isinstance(data, str) else data).hexdigest()
