"""A record judged again by another spec: the same measurements, other limits, and why the verdict flips.

In: a record that holds, and a spec. Out: a new record that points to the first one, which stays as it is.
The verdict is :func:`xctrules.rules.judging.judge`'s, the same as an inspection's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from xctrules.core import wording
from xctrules.core.canonical import EXACT_DIGITS, plain
from xctrules.core.errors import RecordError
from xctrules.core.measurement import Measurement, measurement_to_json
from xctrules.records.checks import check_record
from xctrules.records.folder import SCAN_LIST_NAME
from xctrules.records.record import judged_parts, software_versions, spec_entry
from xctrules.rules.cellspec import CellSpec

Json = Mapping[str, Any]

NOT_IN_RECORD = (
    "the record that was judged again holds no such measurement: the scan has to be measured again"
)


@dataclass(frozen=True)
class Rejudged:
    """A record judged again.

    Attributes
    ----------
    then, now
        The record as it was, and the new one, which its page seals once it is drawn
        (:func:`xctrules.records.binding.bound_report`).
    causes
        Why the verdict is another one, a sentence each; empty where it is not.
    """

    then: Json
    now: Json
    causes: tuple[str, ...]

    @property
    def flipped(self) -> bool:
        """Whether the verdict is another one."""
        return bool(self.then["verdict"] != self.now["verdict"])


def rejudge(
    record: Json, data: bytes, spec: CellSpec, when: datetime | None = None, *, logged: bool = False
) -> Rejudged:
    """Judge a record's measurements by another spec.

    The new record holds the same measurements, scope and completeness. What was drawn and every single value
    stay with the first one, to which ``rejudges`` points.

    Parameters
    ----------
    record, data
        The record and the bytes that it was read from.
    logged
        Whether a log that was checked holds the SHA-256 of these bytes.

    Raises
    ------
    RecordError
        When the record does not hold, so that a new one would make what was changed look sound; or when the
        spec asks for something of which the measuring itself would have to know, such as another nominal
        diameter.
    """
    _require_sound(record, data, logged)
    try:
        _require_measured_alike(record, spec)
        now = _judged_again(record, data, spec, when or datetime.now(UTC))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RecordError(f"parts of the record are missing or malformed ({error!r})") from error
    return Rejudged(record, now, tuple(_causes(record, now)))


def _require_sound(record: Json, data: bytes, logged: bool) -> None:
    findings = check_record(record, data, logged=logged)
    broken = next((finding for finding in findings if finding.holds is False), None)
    if broken is not None:
        raise RecordError(
            f"the record does not hold and is not judged again: {broken.what}",
            todo="See what `xctrules verify` says of it.",
        )


def _require_measured_alike(record: Json, spec: CellSpec) -> None:
    """Refuse a spec by which the scan would have been measured otherwise.

    Raises
    ------
    RecordError
    """
    old, new = record["spec"]["resolved"], spec.resolved
    asked, used = spec.segmenter, record["parameters"].get("segmenter")
    differing = [
        name
        for name, then, now in (
            ("geometry", old["geometry"], new["geometry"]),
            ("nominal dimensions", _sizes(old), _sizes(new)),
            ("tabs", old.get("tabs"), new.get("tabs")),
            ("studies as uncertainty budgets", old.get("budgets"), new.get("budgets")),
            ("segmenter", used, used if asked is None else asked.partition(":")[0]),
        )
        if plain(then, digits=EXACT_DIGITS) != plain(now, digits=EXACT_DIGITS)
    ]
    if differing:
        raise RecordError(
            f"it was measured with other {wording.joined(differing)} than those of the spec "
            f"{spec.name}: the numbers may come out otherwise, so that they are not judged by it",
            todo="Inspect the scan again with that spec.",
        )


def _sizes(resolved: Json) -> dict[str, tuple[float, str]]:
    """Nominal dimensions that measuring starts from."""
    return {key: (float(e["value"]), str(e["unit"])) for key, e in resolved["nominal"].items()}


def _judged_again(record: Json, data: bytes, spec: CellSpec, when: datetime) -> dict[str, Any]:
    asked = {str(rule["measurement"]): str(rule["unit"]) for rule in spec.rules}
    measurements = {
        **{
            name: measurement_to_json(Measurement.absent(name, unit, NOT_IN_RECORD))
            for name, unit in asked.items()
            if name not in record["measurements"]
        },
        **record["measurements"],
    }
    parts = {**record, "measurements": measurements}
    entry = spec_entry(spec)
    sha256 = hashlib.sha256(data).hexdigest()
    return {
        **parts,
        **judged_parts(parts, entry["resolved"]),
        "spec": entry,
        "warnings": [*record["warnings"], _said(record, spec, sha256)],
        "fitness": [],
        "sections": [],
        "files": [file for file in record["files"] if file["name"] == SCAN_LIST_NAME],
        "software": software_versions(),
        "rejudges": _pointer(record, sha256),
        "run": {
            "started": when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "seconds": None,
            "host": None,
            "operator": None,
        },
    }


def _said(record: Json, spec: CellSpec, sha256: str) -> str:
    """A sentence for the reader, which stands beside the verdict."""
    old = record["spec"]
    return (
        f"Judged again by the spec {spec.name} {spec.version} from the measurements of the record "
        f"{sha256[:12]}..., which was {record['verdict']} by {old['name']} {old['version']}; its page shows "
        "the pictures and all other measurements"
    )


def _pointer(record: Json, sha256: str) -> dict[str, Any]:
    """What a new record says of the one that it judges again: ``software`` is what measured."""
    before = record.get("rejudges") or {}
    return {
        "record_sha256": sha256,
        "verdict": record["verdict"],
        "spec": {key: record["spec"][key] for key in ("name", "version", "sha256")},
        "started": before.get("started", record["run"].get("started")),
        "software": before.get("software", record["software"]),
    }


# --- why -------------------------------------------------------------------------------------------------


def _causes(then: Json, now: Json) -> Iterator[str]:
    """Why a verdict is another one: rules that came out otherwise, and what stands beside the rules."""
    if then["verdict"] == now["verdict"]:
        return
    old, new = ({check["rule"]: check for check in record["checks"]} for record in (then, now))
    for rule in {**new, **old}:
        was, is_ = old.get(rule), new.get(rule)
        if (was and was["outcome"]) != (is_ and is_["outcome"]):
            yield _cause(was, is_, now["measurements"])
    told = [check.get("reason") for check in now["checks"]]
    for reason in now["reasons"]:
        if reason not in then["reasons"] and reason not in told:
            yield str(reason)


def _cause(was: Json | None, is_: Json | None, measurements: Json) -> str:
    if is_ is None:
        assert was is not None
        return f"{was['title']}: was {was['outcome']}, and the spec has no such rule"
    entry = measurements[is_["measurement"]]
    value = wording.quantity(entry.get("value"), entry.get("expanded_uncertainty"), str(is_["unit"]))
    measured = f"{value} measured" if entry.get("value") is not None else f"not measured, {entry['reason']}"
    limits = wording.limits(is_["min"], is_["max"], str(is_["unit"]))
    if was is None:
        return f"{is_['title']}: {is_['outcome']}, a rule that was not there: {measured}, {limits}"
    parts = [f"{is_['title']}: {was['outcome']} -> {is_['outcome']}: {measured}, {limits}"]
    before = wording.limits(was["min"], was["max"], str(was["unit"]))
    if before != limits:
        parts.append(f"was {before}")
    if was["decision_rule"] != is_["decision_rule"]:
        parts.append(f"decision rule {is_['decision_rule']}, was {was['decision_rule']}")
    return ", ".join(parts)
