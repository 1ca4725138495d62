"""How a spec puts a study in the place of a measurement's own uncertainty budget.

A spec may name a study file (``budgets:``); :func:`apply_budgets` then replaces the budget of that
measurement wherever the scan meets the study's conditions. All that is needed to work this out again stands
in the record: the study inside the resolved spec, the measurement's own budget among the parameters.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from xctrules.core.canonical import plain
from xctrules.core.measurement import Contribution, Measurement, measurement_to_json
from xctrules.rules.calibrated_studies import CalibratedStudy, bias_as_contribution
from xctrules.rules.gauge_studies import GaugeStudy
from xctrules.rules.study_files import Study, agree, study_from_json

BiasHandling = Literal["add", "correct"]

VOXEL_MARGIN = 0.05
"""How far, as a share, a scan's voxel size may lie outside those of the study: what the scatter of a
measurement would hardly notice, and what an instrument's magnification does not repeat exactly."""


# --- does it hold for a scan? ----------------------------------------------------------------------------


@dataclass(frozen=True)
class ScanConditions:
    """What of a scan decides whether a study holds for it.

    ``formats`` are the names of the spec and of all that it extends, and the format that the acquisition
    gives.
    """

    voxel_size_mm: Sequence[float]
    instrument: str | None
    formats: Sequence[str]
    software: str

    @classmethod
    def of(
        cls,
        spec_names: Sequence[str],
        acquisition: Mapping[str, Any],
        voxel_size_mm: Sequence[float],
        software: str,
    ) -> ScanConditions:
        """From the names of a spec's files, nearest first, and what is known of the scan."""
        formats = [str(name).removesuffix(".yaml").removesuffix(".yml") for name in spec_names]
        stated = acquisition.get("format")
        return cls(
            voxel_size_mm,
            acquisition.get("instrument"),
            [*formats, *([str(stated)] if stated else [])],
            software,
        )

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> ScanConditions:
        spec = record["spec"]
        return cls.of(
            [spec["name"], *(parent["name"] for parent in spec["parents"])],
            record["acquisition"],
            record["scan"]["voxel_size_mm"],
            str(record["software"]["xctrules"]),
        )


def unsuitable(study: Study, value: float, scan: ScanConditions) -> str | None:
    """Why a study does not hold for a measurement of a scan; ``None`` where it does."""
    valid = study.file.valid
    if valid.voxel_size_mm is not None:
        low, high = valid.voxel_size_mm.min, valid.voxel_size_mm.max
        inside = (
            a * (1 - VOXEL_MARGIN) <= size <= b * (1 + VOXEL_MARGIN)
            for a, size, b in zip(low, scan.voxel_size_mm, high, strict=True)
        )
        if not all(inside):
            return (
                f"the voxel size {_triple(scan.voxel_size_mm)} mm is not among those of the study "
                f"({_triple(low)}{'' if low == high else ' to ' + _triple(high)} mm)"
            )
    if valid.instruments and _folded(scan.instrument) not in map(_folded, valid.instruments):
        given = "is not stated" if not scan.instrument else f"is {scan.instrument}"
        return f"the scan's instrument {given}, the study's {' or '.join(valid.instruments)}"
    if valid.cell_formats and not any(
        wanted.casefold() in name.casefold() for wanted in valid.cell_formats for name in scan.formats
    ):
        return f"the spec is {scan.formats[0]}, the study is of {' and '.join(valid.cell_formats)}"
    if valid.value is not None and not valid.value.min <= value <= valid.value.max:
        return (
            f"the value {value:.6g} {study.unit} is outside the study's range "
            f"({valid.value.min:g} to {valid.value.max:g} {study.unit})"
        )
    return None


def cautions(study: Study, scan: ScanConditions) -> list[str]:
    """What does not stand against using a study, but should be known."""
    valid = study.file.valid
    found = []
    if not valid.instruments:
        found.append("it names no instrument, so that it is not known to be of this scan's")
    if study.result.judgement == "not acceptable":
        found.append("it found the measuring process not acceptable")
    if valid.software and scan.software not in valid.software:
        found.append(
            f"its values were measured by xctrules {' and '.join(valid.software)}, these by {scan.software}"
        )
    return found


def _folded(name: str | None) -> str:
    return " ".join(str(name or "").split()).casefold()


def _triple(sizes: Sequence[float]) -> str:
    return " x ".join(f"{size:g}" for size in sizes)


# --- in the place of a budget ----------------------------------------------------------------------------


def with_study(measurement: Measurement, study: Study, bias: BiasHandling) -> Measurement:
    """A measurement with its budget taken from a study.

    A calibrated part shows everything, the voxel scale included: its lines replace the whole budget. A gauge
    study shows scatter alone: its lines replace those found by statistics (type A), and what no repeat can
    show (type B, above all the voxel scale) stays.

    Parameters
    ----------
    bias
        What to do with the bias of a calibrated part: ``add`` leaves the value as it was measured and widens
        U by abs(bias); ``correct`` subtracts the bias from the value.
    """
    assert measurement.value is not None
    remark = f"uncertainty from the study {study.name} (sha256 {study.sha256[:12]})"
    value, follows = measurement.value, measurement.follows
    if isinstance(study.result, CalibratedStudy):
        budget = _calibrated_lines(study.result, study.name, bias)
        if bias == "correct":
            value -= study.result.bias
            follows = None if follows is None else follows.less(study.result.bias)
            remark += f"; corrected by {-study.result.bias:+.3g} {study.unit}, the bias found by it"
    else:
        kept = [line for line in measurement.budget if line.shared or line.type == "B"]
        budget = [*_gauge_lines(study.result, study.name), *kept]
    reason = f"{measurement.reason}; {remark}" if measurement.reason else remark
    return dataclasses.replace(measurement, value=value, follows=follows, budget=tuple(budget), reason=reason)


def _gauge_lines(result: GaugeStudy, name: str) -> list[Contribution]:
    words = {"EV": "repeatability", "AV": "reproducibility", "INT": "reproducibility, part by part"}
    return [
        Contribution(
            f"{words[key]} (study {name})",
            result.components[key].standard_deviation,
            "A",
            degrees_of_freedom=result.components[key].degrees_of_freedom,
        )
        for key in words
        if key in result.components
    ]


def _calibrated_lines(result: CalibratedStudy, name: str, bias: BiasHandling) -> list[Contribution]:
    lines = [
        Contribution(f"u_cal: calibration of the part (study {name})", result.u_cal, "B"),
        # One line for both: they come from one standard deviation and share its n - 1 degrees of freedom.
        Contribution(
            f"u_p, u_b: scatter of one scan, and of the bias found from {result.scans} (study {name})",
            math.hypot(result.u_p, result.u_b),
            "A",
            degrees_of_freedom=result.scans - 1,
        ),
        Contribution(f"u_w: workpiece, as stated (study {name})", result.u_w, "B"),
    ]
    if bias == "add":
        line, freedom = bias_as_contribution(
            result.standard_uncertainty, result.degrees_of_freedom, result.bias
        )
        what = f"b: bias of {result.bias:+.3g}, not corrected, so that U = k u + |b| (study {name})"
        lines.append(Contribution(what, line, "B", degrees_of_freedom=freedom))
    return lines


def apply_budgets(
    budgets: Sequence[Mapping[str, Any]], measurements: Mapping[str, Measurement], scan: ScanConditions
) -> tuple[dict[str, Measurement], list[dict[str, Any]], list[str]]:
    """Replace the budgets of the measurements for which a spec names a study.

    Parameters
    ----------
    budgets
        Those of the resolved spec, each with its whole study.

    Returns
    -------
    measurements
        All of them, with the budgets replaced where the studies hold.
    uses
        One entry for each of ``budgets``: whether it was used or why not, and the measurement's own value
        and budget, so that the record shows both.
    warnings
    """
    changed, uses, warnings = dict(measurements), [], []
    for entry in budgets:
        study = study_from_json(entry["study"], entry["file"])
        own = measurements.get(study.measurement)
        if own is None or own.value is None or own.unit != study.unit:
            uses.append(_use(study, entry, "it was not measured"))
            continue
        reason = unsuitable(study, own.value, scan)
        uses.append({**_use(study, entry, reason), **_as_it_was(own)})
        told = f"budget of {study.measurement} from the study {study.name}"
        if reason is None:
            changed[study.measurement] = with_study(own, study, entry["bias"])
            warnings += [f"{told}: {caution}" for caution in cautions(study, scan)]
        else:
            warnings.append(f"{told}: not used, {reason}; its own budget stands")
    return changed, uses, warnings


def _use(study: Study, entry: Mapping[str, Any], reason: str | None) -> dict[str, Any]:
    """Which study was to be used, and why it was not; without a reason it was."""
    return {
        "measurement": study.measurement,
        "study": study.name,
        "study_sha256": study.sha256,
        "bias": entry["bias"],
        "used": reason is None,
        "reason": reason,
    }


def _as_it_was(own: Measurement) -> dict[str, Any]:
    """A measurement's own value, budget and remark, before a study took their place."""
    entry = measurement_to_json(own)
    return {
        "measured_value": entry["value"],
        "own_budget": entry["budget"],
        "own_remark": entry["reason"],
    }


def check_uses(record: Mapping[str, Any]) -> Iterator[str]:
    """What in a record does not follow from the studies in its spec, in words (for ``xctrules verify``)."""
    budgets = record["spec"]["resolved"].get("budgets", [])
    uses = record["parameters"].get("budgets", [])
    if [entry["measurement"] for entry in budgets] != [use["measurement"] for use in uses]:
        yield "the budgets taken from studies are not those that the spec names"
        return
    measurements = {use["measurement"]: _as_measured(use, record) for use in uses if "own_budget" in use}
    changed, again, _ = apply_budgets(budgets, measurements, ScanConditions.of_record(record))
    for use, mine in zip(uses, again, strict=True):
        name = use["measurement"]
        if not agree(plain(mine), use):
            yield f"{name}: whether the study {use['study']} holds is stated otherwise than it follows"
        entry = record["measurements"].get(name, {})
        if name in changed:
            expected = measurement_to_json(changed[name])
            if not all(agree(expected[key], entry.get(key)) for key in ("value", "budget", "reason")):
                yield f"{name}: value or budget are not those that follow from the study {use['study']}"
        elif entry.get("status") == "measured":
            yield f"{name}: it is measured, but not held against the study {use['study']}"


def _as_measured(use: Mapping[str, Any], record: Mapping[str, Any]) -> Measurement:
    lines = tuple(
        Contribution(
            str(line["source"]),
            float(line["contribution"]),
            line["type"],
            bool(line["shared"]),
            math.inf if line["degrees_of_freedom"] is None else float(line["degrees_of_freedom"]),
        )
        for line in use["own_budget"]
    )
    unit = str(record["measurements"][use["measurement"]]["unit"])
    value = float(use["measured_value"])
    return Measurement(use["measurement"], unit, value=value, budget=lines, reason=use.get("own_remark"))
