"""The certificate: one or two A4 pages for the customer, drawn from a record and what was issued on it.

In: the record, its images, and ``issue``, the plain JSON that the page carries (profile of the laboratory,
signatures that counted, number, day). Out: one HTML document without script, frame or second file, a pure
function of these; ``templates/certificate.html.j2`` only arranges it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from xctrules.core import wording
from xctrules.core.canonical import canonical_text
from xctrules.core.errors import RecordError
from xctrules.pages.certificate_pictures import Picture, QrCode, pictures, qr_code
from xctrules.pages.environment import environment
from xctrules.pages.outcomes import Outcome
from xctrules.pages.rows import DECISION_RULES, LIMIT_STATUS
from xctrules.pages.typography import typeset

Json = Mapping[str, Any]

RECORD_URN = "urn:xctrules:record:sha256:"
"""What the QR code says, before the record's SHA-256."""
_CARRIED = re.compile(r'<script type="application/json" id="certificate">(.*?)</script>', re.S)
_LATER = {"concession": "Used by concession", "amendment": "Amended"}

STATEMENTS = {
    "PASS": "meets every rule of",
    "CONDITIONAL_PASS": "meets every rule, at least one of them within its uncertainty only, of",
    "CONDITIONAL_FAIL": "cannot be shown, within the uncertainty, to meet every rule of",
    "FAIL": "does not meet every rule of",
}
"""Verdicts as the statement of conformity has them (ISO/IEC 17025, 7.8.6.2)."""

TONES = {
    "PASS": "#12703f", "CONDITIONAL_PASS": "#56660a", "CONDITIONAL_FAIL": "#9a4a00", "FAIL": "#b01f2b",
}  # fmt: skip
"""Colours of the seal, as the style sheet has them: a PDF writer styles nothing inside a picture."""
_NEUTRAL = "#4b5766"
_TICK, _CROSS, _CALL = "M12 20.5l6 6L29 14.5", "M13.5 13.5l13 13M26.5 13.5l-13 13", "M20 11v11M20 28.5v.1"
_MARKS = {"PASS": _TICK, "CONDITIONAL_PASS": _TICK, "CONDITIONAL_FAIL": _CALL, "FAIL": _CROSS}


@dataclass(frozen=True)
class ResultRow:
    """One rule of the spec, as readers of a test report expect it."""

    name: str
    nominal: str
    orientation: bool
    measured: str
    deviation: str
    tolerance: str
    expanded: str
    outcome: Outcome
    decision_rule: str
    source: str
    why: str
    place: str


@dataclass(frozen=True)
class Approval:
    """A line of the approval block."""

    meaning: str
    name: str
    time: str
    key_id: str


@dataclass(frozen=True)
class CertificatePage:
    """Everything that the template shows, already as text."""

    lab: Json
    title: str
    number: str
    cell_id: str
    verdict: Outcome
    tone: str
    mark: str
    statement: str
    spec: str
    scope: str
    standing: tuple[tuple[str, str, str], ...]
    signed: str
    facts: tuple[tuple[str, str], ...]
    rows: tuple[ResultRow, ...]
    coverage: str
    pictures: tuple[Picture, ...]
    warnings: tuple[str, ...]
    terms: tuple[tuple[str, str], ...]
    approvals: tuple[Approval, ...]
    qr: QrCode
    record_sha256: str
    carried: str


def certificate_page(record: Json, images: Mapping[str, bytes], issue: Json) -> CertificatePage:
    """All that a certificate says, as text: the template adds only what stands on every one."""
    lab: Json = issue["laboratory"]
    spec = record.get("spec") or {}
    verdict = str(record.get("verdict") or "")
    digest = str(issue["record_sha256"])
    signatures = issue["signatures"]
    return CertificatePage(
        lab=lab,
        title=str(lab.get("title") or "Certificate of inspection"),
        number=str(issue["number"]),
        cell_id=str(record.get("cell_id") or ""),
        verdict=Outcome.of(verdict),
        tone=TONES.get(verdict, _NEUTRAL),
        mark=_MARKS.get(verdict, _MARKS["FAIL"]),
        statement=STATEMENTS.get(verdict, "was not decided by"),
        spec=_spec(spec),
        scope=typeset(str((record.get("scope") or {}).get("text") or "for an unknown part of the cell")),
        standing=tuple(_standing(signatures)),
        signed=_signed(signatures),
        facts=tuple(_facts(record, issue)),
        rows=tuple(_result_row(check, record) for check in record.get("checks") or ()),
        coverage=_coverage(record),
        pictures=pictures(record, images),
        warnings=tuple(typeset(str(warning)) for warning in record.get("warnings") or ()),
        terms=tuple(_terms(record, issue)),
        approvals=tuple(_approvals(signatures)),
        qr=qr_code(RECORD_URN + digest),
        record_sha256=digest,
        carried=canonical_text(issue).replace("<", "\\u003c"),
    )


def render_certificate(record: Json, images: Mapping[str, bytes], issue: Json) -> str:
    """The certificate as one HTML document: the same record, images and issue give the same text.

    Raises
    ------
    RecordError
        Where an image is missing.
    """
    page = certificate_page(record, images, issue)
    return environment().get_template("certificate.html.j2").render(page=page)


def carried_issue(html_text: str) -> dict[str, Any]:
    """What a certificate carries: the plain JSON that it was drawn from, beside the record.

    Raises
    ------
    RecordError
        When it is no certificate, or what it carries is malformed.
    """
    found = _CARRIED.findall(html_text)
    if len(found) != 1:
        raise RecordError("this is no certificate that xctrules wrote, or it was changed")
    try:
        issue = json.loads(found[0])
    except (ValueError, RecursionError) as error:
        raise RecordError(f"what the certificate carries cannot be read ({error})") from error
    if not isinstance(issue, dict):
        raise RecordError("what the certificate carries is malformed")
    return issue


# --- its parts -------------------------------------------------------------------------------------------


def _standing(signatures: Any) -> Iterator[tuple[str, str, str]]:
    """What was said of the record later, the newest first: (what, why, who and when)."""
    for said in reversed(signatures):
        if said["meaning"] in _LATER:
            yield _LATER[said["meaning"]], str(said["reason"]), f"{said['name']}, {_time(said['time'])}"


def _signed(signatures: Any) -> str:
    """What stands in the first lines where nobody has signed."""
    if signatures:
        return ""
    return f"Not signed: the record behind this certificate is {wording.UNSIGNED}."


def _facts(record: Json, issue: Json) -> Iterator[tuple[str, str]]:
    """(name, text) of what was inspected, for whom, when and on what."""
    lab, acquisition = issue["laboratory"], record.get("acquisition") or {}
    customer, item, method = (lab.get(key) or {} for key in ("customer", "item", "method"))
    yield "Customer", _lines(customer.get("name"), customer.get("contact"))
    yield "Cell", _lines(record.get("cell_id"), item.get("description"))
    yield "Condition", _lines(item.get("condition"))
    yield "Received", _lines(item.get("received"))
    yield "Scanned", f"{acquisition.get('scanned_at')}"
    yield "Inspected", str((record.get("run") or {}).get("started") or "")[:10]
    yield "Issued", str(issue.get("issued") or "")
    yield "Instrument", _lines(acquisition.get("instrument"))
    yield "Voxel size", _voxels(record)
    yield "Length scale", _calibration(acquisition)
    yield "Conditions", _lines(_temperature(acquisition), method.get("environment"))
    yield "Performed at", _lines((lab.get("laboratory") or {}).get("location"))


def _spec(spec: Json) -> str:
    return f"{spec.get('name')}, version {spec.get('version')}"


def _voxels(record: Json) -> str:
    size = (record.get("scan") or {}).get("voxel_size_mm") or ()
    return " × ".join(f"{1000 * float(v):.4g}" for v in size) + "\u00a0µm (z, y, x)" if size else wording.NONE


def _calibration(acquisition: Json) -> str:
    u = acquisition.get("voxel_scale_relative_uncertainty")
    parts = [
        f"calibrated on {acquisition.get('calibration_artefact')}",
        f"certificate {acquisition.get('calibration_certificate')}",
        f"of {acquisition.get('calibration_date')}",
    ]
    stated = f"; relative standard uncertainty {100 * float(u):.2g} %" if isinstance(u, int | float) else ""
    return typeset(", ".join(parts) + stated)


def _temperature(acquisition: Json) -> str | None:
    value = acquisition.get("temperature_c")
    return None if value is None else typeset(f"scanned at {wording.exact(value)} °C")


def _result_row(check: Json, record: Json) -> ResultRow:
    name = str(check.get("measurement") or "")
    measurement = (record.get("measurements") or {}).get(name) or {}
    unit = str(check.get("unit") or measurement.get("unit") or "")
    value, expanded = measurement.get("value"), measurement.get("expanded_uncertainty")
    places = wording.decimals_for(expanded, value)
    nominal = _nominal(name, record, unit)
    deviation = wording.NONE
    if nominal and value is not None:
        deviation = wording.with_unit(wording.signed(value - nominal["value"], places), unit)
    status, rule = str(check.get("status") or ""), str(check.get("decision_rule") or "")
    backed = (LIMIT_STATUS.get(status, status), str(check.get("source") or ""))
    return ResultRow(
        name=str(check.get("title") or check.get("rule") or name),
        nominal=wording.with_unit(wording.exact(nominal["value"]), unit) if nominal else wording.NONE,
        orientation=bool(nominal) and nominal.get("status") == "indicative",
        measured=typeset(wording.with_unit(wording.fixed(value, places), unit)),
        deviation=typeset(deviation),
        tolerance=typeset(wording.limits(check.get("min"), check.get("max"), unit)),
        expanded=typeset(wording.uncertainty(expanded, unit)) if expanded else wording.NONE,
        outcome=Outcome.of(check.get("outcome")),
        decision_rule=DECISION_RULES.get(rule, rule),
        source=": ".join(filter(None, backed)),
        why=str(measurement.get("reason") or check.get("reason") or "") if value is None else "",
        place=typeset(wording.place(measurement.get("worst_at"))),
    )


def _nominal(measurement: str, record: Json, unit: str) -> Json:
    """The nominal dimension that a measurement belongs to; empty where the spec has none in its unit."""
    named = ((record.get("descriptions") or {}).get(measurement) or {}).get("nominal")
    nominals = ((record.get("spec") or {}).get("resolved") or {}).get("nominal") or {}
    found: Json = nominals.get(named) or {} if named else {}
    return found if found.get("unit") == unit and isinstance(found.get("value"), int | float) else {}


def _coverage(record: Json) -> str:
    """What U is: the coverage factors of the measurements that have rules."""
    names = [check.get("measurement") for check in record.get("checks") or ()]
    found = [(record.get("measurements") or {}).get(name) or {} for name in names]
    factors = sorted({f"{m['coverage_factor']:.2f}" for m in found if m.get("coverage_factor")})
    k = f", coverage factor k = {wording.joined(factors)}" if factors else ""
    return typeset(f"U: expanded uncertainty for a coverage probability of 95 %{k}")


def _terms(record: Json, issue: Json) -> Iterator[tuple[str, str]]:
    """(heading, text) of the statements that ISO/IEC 17025 asks for, but for those on every certificate."""
    lab = issue["laboratory"]
    customer, method = lab.get("customer") or {}, lab.get("method") or {}
    decisions, spec = lab.get("decision_rule") or {}, record.get("spec") or {}
    rules = dict.fromkeys(str(check.get("decision_rule")) for check in record.get("checks") or ())
    named = wording.joined([DECISION_RULES.get(rule, rule) for rule in rules])
    yield (
        "Method",
        _lines(
            method.get("description"),
            f"Spec {_spec(spec)}, SHA-256 {str(spec.get('sha256'))[:16]}…",
        ),
    )
    yield "Decision rule", _lines(f"In use: {named}.", decisions.get("statement"))
    yield "Deviations from the method", _lines(method.get("deviations"))
    yield "Sampling", _lines(method.get("sampling"))
    yield "From external providers", _lines(method.get("external"))
    yield "Supplied by the customer", _lines(customer.get("supplied"))
    yield "Software", _software(record, issue)
    if lab.get("replaces"):
        yield "Replaces", _lines(lab["replaces"])
    if lab.get("remarks"):
        yield "Remarks", _lines(lab["remarks"])


def _software(record: Json, issue: Json) -> str:
    software, validation = record.get("software") or {}, issue.get("validation")
    used = f"xctrules {software.get('xctrules')}, source SHA-256 {str(software.get('source_sha256'))[:16]}…"
    if not validation:
        return f"{used} Validation: none is named."
    return f"{used} Validated: {validation['name']}, SHA-256 {validation['sha256']}"


def _approvals(signatures: Any) -> Iterator[Approval]:
    """One line for each who signed, as the block of a certificate has them: measured, reviewed, released."""
    order = ("measured", "reviewed", "released", "concession", "amendment")
    for meaning in order:
        for said in signatures:
            if said["meaning"] == meaning:
                yield Approval(meaning.capitalize(), said["name"], _time(said["time"]), said["key_id"][:16])


def _time(stamp: str) -> str:
    return str(stamp).replace("T", " ").replace("Z", " UTC")


def _lines(*texts: object) -> str:
    """Texts that are there, each on a line of its own."""
    return "\n".join(typeset(str(text).strip()) for text in texts if text)
