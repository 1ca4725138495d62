"""The outline's form at its worst height: ovality, eccentricity, roundness."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from xctrules.core.measurement import Measurement
from xctrules.cylinder.surfaces import CylinderCell
from xctrules_canister import budget
from xctrules_canister.extremes import freed
from xctrules_canister.form import (
    CLEAR_SIGMAS,
    Corrected,
    Floats,
    about_least_squares_circle,
    eccentricity,
    filled,
    garrote,
    sound_ellipses,
)
from xctrules_canister.maps import WHOLE, Maps

STRICTER = 2.0
"""Scales from which on points count as dented when it is tried out what that matters; else 3."""

CLEAR_AMPLITUDES = 1.5
"""Mean and standard deviation together, so often, that an ellipse's amplitude must exceed to be form."""


def outline(maps: Maps, cell: CylinderCell) -> list[Measurement]:
    """``canister.eccentricity``, ``canister.ovality`` and ``canister.roundness``."""
    axes = maps.ellipses.semi_axes
    fitted = np.isfinite(axes).all(axis=1) & maps.whole
    if not fitted.any():
        reason = "no ellipse fits the can's outer surface at any height"
        units = {"canister.eccentricity": "1", "canister.ovality": "mm", "canister.roundness": "mm"}
        return [Measurement.absent(name, unit, reason) for name, unit in units.items()]
    worst = int(np.argmax(np.where(fitted, 2 * (axes[:, 0] - axes[:, 1]), -np.inf)))
    ovality = _ovality(maps, cell, fitted, worst)
    return [_eccentricity(ovality, float(axes[worst].mean())), ovality, _roundness(maps, cell)]


def _ovality(maps: Maps, cell: CylinderCell, fitted: NDArray[np.bool_], worst: int) -> Measurement:
    """Long minus short axis of the robust ellipse, freed of noise; ``worst`` is its row."""
    found = _ovality_free_of_noise(maps, fitted)
    value = max(found.value, 0.0)
    radius = float(maps.ellipses.semi_axes[worst].mean())
    lines = (
        cell.scale.contribution(value),
        budget.noise_of_ovality(found.sd),
        budget.correction_for_noise(found.bias),
        budget.model_in_ovality(maps.voxel_mm),
        budget.robust_fit_of_the_ellipse(_change_with_a_stricter_fit(maps, worst)),
        budget.tilt_in_ovality(radius, cell.frame.tilt_sigma_deg),
    )
    where = {"z_mm": float(maps.z_mm[worst]), "theta_deg": float(maps.ellipses.angle_deg[worst])}
    return Measurement(
        "canister.ovality", "mm", value=value, budget=lines, n=int(fitted.sum()), worst_at=where
    )


def _ovality_free_of_noise(maps: Maps, fitted: NDArray[np.bool_]) -> Corrected:
    """The worst height's ovality less what noise adds to an amplitude and to the worst of many."""
    axes, angle = maps.ellipses.semi_axes[fitted], np.deg2rad(2 * maps.ellipses.angle_deg[fitted])
    vector = 2 * (axes[:, 0] - axes[:, 1]) * np.exp(1j * angle)
    theta = np.deg2rad(maps.theta_deg)
    # Radius r0 + c cos 2(theta - phi) has axes that differ by 4 c.
    noise = 4 * maps.outer_sigma * 2 * (maps.noise[:, fitted] * np.exp(2j * theta)).mean(axis=2)
    sd = float(np.abs(noise).std()) + float(np.abs(noise).mean())
    base = vector * garrote(np.abs(vector), CLEAR_AMPLITUDES * sd) / np.maximum(np.abs(vector), 1e-12)
    drawn = np.abs(base + noise).max(axis=1)
    bias = float(drawn.mean() - np.abs(base).max())
    return Corrected(float(np.abs(vector).max()) - bias, bias, float(drawn.std()))


def _change_with_a_stricter_fit(maps: Maps, row: int) -> float:
    """Change of one height's ovality when points count as dented from fewer scales on."""
    one = slice(row, row + 1)
    stricter, _ = sound_ellipses(
        maps.outer[one], maps.theta_deg, maps.scale_floor, maps.whole[one], tukey=STRICTER
    )
    change = np.diff(stricter.semi_axes[0] - maps.ellipses.semi_axes[row])
    return 2 * abs(float(change[0])) if np.isfinite(change).all() else 0.0


def _eccentricity(ovality: Measurement, radius: float) -> Measurement:
    """Of the ellipse with that ovality and mean semi-axis."""
    long_less_short = ovality.value or 0.0
    line = budget.ovality_in_eccentricity(long_less_short, ovality.standard_uncertainty or 0.0, radius)
    return dataclasses.replace(
        ovality,
        name="canister.eccentricity",
        unit="1",
        value=eccentricity(long_less_short, radius),
        budget=(line,),
    )


def _roundness(maps: Maps, cell: CylinderCell) -> Measurement:
    """Peak-to-valley deviation from the least-squares circle, worst height (ISO 12181-1)."""
    whole = np.isfinite(maps.outer).mean(axis=1) >= WHOLE
    if not whole.any():
        return Measurement.absent(
            "canister.roundness", "mm", "no height shows nine tenths of the can's outline"
        )
    form = about_least_squares_circle(filled(maps.outer[whole]), maps.theta_deg)
    found, doubt = freed(form, maps.noise[:, whole], maps, peak_to_valley)
    flattened = _flattened(form, maps)
    value = max(found.value + flattened, 0.0)
    worst = int(np.argmax(np.ptp(form, axis=1)))
    lines = (
        cell.scale.contribution(value),
        budget.noise_of_peak_and_valley(found.sd),
        budget.correction_for_noise(found.bias),
        budget.roughness_or_pattern(doubt),
        budget.model_in_roundness(maps.voxel_mm),
        budget.pooling_window_of_form(flattened),
        budget.tilt_in_roundness(float(np.nanmean(maps.outer)), cell.frame.tilt_sigma_deg),
    )
    where = maps.place(int(np.flatnonzero(whole)[worst]), int(np.argmax(np.abs(form[worst]))))
    return Measurement(
        "canister.roundness", "mm", value=value, n=int(whole.sum()), budget=lines, worst_at=where
    )


def peak_to_valley(form: Floats) -> float:
    """Largest over the heights of a map (nz, nt)."""
    return float(np.ptp(form, axis=1).max())


def _flattened(form: Floats, maps: Maps) -> float:
    """What pooling took off the outline's peaks and valleys.

    What it took off a narrow dent it would take again; off noise it took what is no form.
    """
    clear = garrote(form, CLEAR_SIGMAS * maps.outer_sigma * maps.noise_sd)
    return max(peak_to_valley(clear) - peak_to_valley(maps.pooling.pool(clear)), 0.0)
