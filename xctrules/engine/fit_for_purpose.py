"""Is this scan fit for its purpose? Two answers before anything is measured.

:func:`unmet_needs` says whether a metric gets the least quality of scan that it declares; below it, its
numbers would be no measurements. :func:`assess` predicts, for each rule of the spec, the uncertainty that
this scan can give, and says whether that is small enough to decide the rule's limit, and what would make it
so.

The formulas are the geometry's (:class:`~xctrules.core.protocols.Predicts`); the budget of the measurement
itself has the last word.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from xctrules.core.measurement import Measurement, Scale
from xctrules.core.names import Description
from xctrules.core.protocols import Prediction, Predictor
from xctrules.core.wording import limits, significant, with_unit
from xctrules.engine.returned import prediction_fault, sound

LEAST_CAPABILITY = 2.0
"""Least ratio of the room to the expanded uncertainty: at 1, the guard band takes all the room."""

MOST_CAPABILITY = 1e9
"""Where nothing is uncertain, the record holds this and not infinity, which JSON has no number for."""


def unmet_needs(
    needs: Mapping[str, tuple[float | None, float | None]], found: Mapping[str, Measurement]
) -> str | None:
    """Why a metric cannot be measured on this scan; ``None`` when all that it needs is there.

    Parameters
    ----------
    needs
        Least and largest value of screening figures, ``None`` for an open side.
    found
        The screening's measurements. A figure that was not measured excludes nothing: that a quality is
        unknown does not make it bad.
    """
    for name, (low, high) in needs.items():
        measurement = found.get(name)
        if measurement is None or measurement.status != "measured" or measurement.value is None:
            continue
        unit = measurement.unit
        shown = with_unit(significant(measurement.value, 3), unit)
        if low is not None and measurement.value < low:
            least = limits(low, None, unit)
            return f"the scan is not good enough: {name} is {shown}, {least} is needed"
        if high is not None and measurement.value > high:
            most = limits(None, high, unit)
            return f"the scan is not good enough: {name} is {shown}, {most} is allowed"
    return None


def assess(
    rules: Sequence[Mapping[str, Any]],
    nominal_mm: Mapping[str, float],
    descriptions: Mapping[str, Description],
    predictor: Predictor | str,
    scale: Scale,
) -> list[dict[str, Any]]:
    """For each rule, whether this scan can decide it.

    Parameters
    ----------
    rules
        The spec's, resolved: ``id``, ``measurement``, ``unit``, ``min``, ``max``.
    nominal_mm
        The spec's nominal lengths by name.
    descriptions
        What is known of the measurements by name: where a good cell's value lies.
    predictor
        Or a reason why there is none.
    scale
        The voxel size's uncertainty.

    Raises
    ------
    PluginBroke
        When the predictor returns what is no prediction; it may raise anything itself.

    Returns
    -------
    list of dict
        ``rule``, ``measurement``, ``unit``; ``predicted_expanded_uncertainty``; ``room``, from where a good
        cell's value lies to the limit, or half of a two-sided tolerance; ``capability``, room over
        uncertainty; ``can_decide``: ``True`` when that is at least 2, ``None`` where not known; ``reason`` in
        words; ``cure``, ``None`` where none is needed.
    """
    nothing_known = Description("1")
    return [
        _assess(rule, nominal_mm, descriptions.get(str(rule["measurement"]), nothing_known), predictor, scale)
        for rule in rules
    ]


def _assess(
    rule: Mapping[str, Any],
    nominal_mm: Mapping[str, float],
    description: Description,
    predictor: Predictor | str,
    scale: Scale,
) -> dict[str, Any]:
    name, unit = str(rule["measurement"]), str(rule["unit"])
    entry: dict[str, Any] = {
        "rule": str(rule["id"]),
        "measurement": name,
        "unit": unit,
        "predicted_expanded_uncertainty": None,
        "room": None,
        "capability": None,
        "can_decide": None,
        "reason": "",
        "cure": None,
    }
    if isinstance(predictor, str):
        return {**entry, "reason": f"no prediction: {predictor}"}
    low, high = (_limit(rule.get(side)) for side in ("min", "max"))
    typical = 0.0 if description.zero_when_good else nominal_mm.get(description.nominal)
    size = next((v for v in (typical, high, low) if v), predictor.usual_mm)
    prediction = sound(predictor.predict(name, size), prediction_fault)
    if prediction is None:
        return {**entry, "reason": "no formula predicts this measurement's uncertainty"}
    expanded = prediction.expanded
    entry["predicted_expanded_uncertainty"] = expanded
    room = _room(low, high, typical)
    if room is None:
        entry["reason"] = (
            f"the spec does not say where a good cell's value lies: this scan decides cells whose value is "
            f"at least {with_unit(significant(expanded, 2), unit)} away from the limit"
        )
        return entry
    capability = room / expanded if expanded > 0 else math.inf
    shown = with_unit(significant(room, 2), unit)
    entry |= {
        "room": room,
        "capability": min(capability, MOST_CAPABILITY),
        "can_decide": capability >= LEAST_CAPABILITY,
    }
    if entry["can_decide"]:
        entry["reason"] = f"the room of {shown} is {capability:.1f} times the uncertainty"
    else:
        entry["reason"] = (
            f"the room of {shown} is only {capability:.1f} times the uncertainty, "
            f"at least {LEAST_CAPABILITY:g} times is needed"
        )
        entry["cure"] = _cure(prediction, _allowed(room), predictor, scale, size)
    return entry


def _limit(value: Any) -> float | None:
    if isinstance(value, Mapping):
        value = value.get("value")
    return None if value is None else float(value)


def _room(low: float | None, high: float | None, typical: float | None) -> float | None:
    """Half of a two-sided tolerance; else from where a good cell lies to the limit, if that is inside it."""
    if low is not None and high is not None:
        return 0.5 * (high - low)
    if typical is None:
        return None
    room = high - typical if high is not None else typical - low if low is not None else 0.0
    return room if room > 0 else None


def _cure(prediction: Prediction, allowed: float, predictor: Predictor, scale: Scale, size: float) -> str:
    """What would bring the standard uncertainty down to ``allowed``, the largest cause first."""
    cures = []
    others = math.hypot(prediction.voxel, prediction.noise)
    # Half of the variance for each of the two, unless one of them can be left as it is.
    for_scale = math.sqrt(max(allowed**2 - others**2, 0.5 * allowed**2))
    for_image = math.sqrt(max(allowed**2 - prediction.scale**2, 0.5 * allowed**2))
    if prediction.scale > for_scale and size > 0:
        verb = "calibrate" if scale.stated else "calibrate and state"
        cures.append(
            f"{verb} the voxel size to {100 * for_scale / size:.2g} % (standard uncertainty; now "
            f"{100 * scale.relative_uncertainty:.2g} %)"
        )
    if others > for_image:
        share = for_image / others
        if prediction.voxel >= prediction.noise:
            cures.append(f"scan with voxels of {_voxels(predictor.voxel_um, share)} or less")
        else:
            cures.append(f"lower the noise to {100 * share:.2g} % of what it is (or the voxels' size)")
    return "; ".join(cures) or "lower noise and voxel size together"


def _allowed(room: float) -> float:
    """Standard uncertainty at which the room is just enough: the expanded one is twice as large."""
    return room / LEAST_CAPABILITY / 2.0


def _voxels(voxel_um: Sequence[tuple[str, float]], share: float) -> str:
    """``17 um``, or ``34 um along the axis and 17 um across,`` where the directions differ."""
    sizes = [f"{share * size:.2g} um {direction}".rstrip() for direction, size in voxel_um]
    return sizes[0] if len(sizes) == 1 else f"{' and '.join(sizes)},"


def section(assessed: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The assessment as a section of the report; ``None`` when there is nothing to show."""
    from xctrules.core.figures import Table
    from xctrules.pages.figures import figure_to_json

    if not assessed:
        return None
    words = {True: "yes", False: "no", None: "depends on the value"}
    rows = tuple(
        (
            entry["rule"],
            entry["unit"],
            entry["predicted_expanded_uncertainty"],
            entry["room"],
            words[entry["can_decide"]]
            if entry["predicted_expanded_uncertainty"] is not None
            else "not known",
            entry["reason"],
            entry["cure"] or "",
        )
        for entry in assessed
    )
    table, _ = figure_to_json(
        Table(
            id="fitness-rules",
            title="Can this scan decide each limit?",
            caption="Predicted before measuring, from voxel size, blur, noise and length scale. Room is the "
            "distance from the nominal value to the limit, or half of a two-sided tolerance; a scan "
            "decides well when its uncertainty is at most half of the room.",
            columns=("rule", "unit", "expected ± (95 %)", "room", "can decide", "why", "what would help"),
            rows=rows,
        )
    )
    return {
        "metric": "fitness",
        "title": "Fit for purpose",
        "plugin": "xctrules",
        "measurements": [],
        "figures": [table],
    }
