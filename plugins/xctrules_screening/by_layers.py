"""How well the wound layers show: signal, contrast, separation, cupping, rings."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from xctrules.core.measurement import Measurement
from xctrules.core.robust import robust_sd
from xctrules.cylinder.surfaces import CylinderCell, Floats
from xctrules_screening import budget
from xctrules_screening.figures import cupping_chart, turn_chart
from xctrules_screening.findings import Findings, Judged, absent, judged
from xctrules_screening.layers import Layers, cathode_by_turn, ring_sd, separation
from xctrules_screening.levels import LEVELS
from xctrules_screening.sampling import Unrolled

LAYERED = ("screening.snr", "screening.cnr", "screening.layer_separation", "screening.cupping",
         "screening.ring_index")  # fmt: skip

LEAST_TURNS = 3
"""Turns with a cathode, of which the inner and the outer third are compared."""


def layer_figures(cell: CylinderCell, roll: Unrolled, layers: Layers, dark_grey: float) -> Findings:
    """All of :data:`LAYERED`; ``dark_grey`` is the darkest grey in the can."""
    cupping = _cupping(roll, layers, dark_grey)
    return Findings(
        (
            *_signal_and_contrast(layers, dark_grey),
            *_layer_separation(roll, layers),
            *cupping.judged,
            *_rings(cell, roll, layers),
        ),
        figures=(*cupping.figures, turn_chart(roll, layers)),
    )


def _signal_and_contrast(layers: Layers, dark_grey: float) -> tuple[Judged, ...]:
    signal, contrast = layers.cathode_grey - dark_grey, layers.cathode_grey - layers.gap_grey
    if layers.noise <= 0:
        return absent(("screening.snr", "screening.cnr"), "the scan shows no noise at all in the cathode")
    return _over_noise("screening.snr", signal, layers), _over_noise("screening.cnr", contrast, layers)


def _over_noise(name: str, height: float, layers: Layers) -> Judged:
    value = height / layers.noise
    lines = (
        budget.noise_of_single_voxels(value, layers.noise, layers.n),
        budget.choice_of_slices_and_turns(value),
    )
    return judged(Measurement(name, "1", value=value, n=layers.n, budget=lines))


def _layer_separation(roll: Unrolled, layers: Layers) -> tuple[Judged, ...]:
    name = "screening.layer_separation"
    apart = separation(roll, layers)
    if apart is None:
        return absent((name,), "no turn was located over a whole arc")
    share, n = float(apart.mean()), int(apart.size)
    return (judged(Measurement(name, "1", value=share, n=n, budget=(budget.counting(share, n),))),)


def _rings(cell: CylinderCell, roll: Unrolled, layers: Layers) -> tuple[Judged, ...]:
    name = "screening.ring_index"
    rings, radii = ring_sd(roll, layers, cell.frame)
    if math.isnan(rings) or layers.noise <= 0:
        return absent((name,), "too little of the roll is in view to tell rings from layers")
    index = rings / layers.noise
    lines = (
        budget.number_of_radii(index, radii),
        budget.noise_of_single_voxels(index, layers.noise, layers.n),
    )
    return (judged(Measurement(name, "1", value=index, n=radii, budget=lines)),)


def _cupping(roll: Unrolled, layers: Layers, dark_grey: float) -> Findings:
    """Rise of the cathode's grey from the inner to the outer third, over the outer one's height."""
    name = "screening.cupping"
    by_turn = cathode_by_turn(roll, layers)
    turns = np.flatnonzero(np.isfinite(by_turn))
    if turns.size < LEAST_TURNS or not layers.cathode_grey > dark_grey:
        reason = "fewer than three turns between the first and the last were located"
        return Findings(absent((name,), reason))
    third = turns.size // 3
    inside, outside = (float(np.median(by_turn[part])) for part in (turns[:third], turns[-third:]))
    height = outside - dark_grey
    if height <= 0:
        reason = "the outer turns are no brighter than the darkest part of the can"
        return Findings(absent((name,), reason))
    value = (outside - inside) / height
    scatter = robust_sd(np.diff(by_turn[turns])) / math.sqrt(third) / height
    lines = (budget.scatter_between_turns(scatter), budget.grey_of_the_dark_reference(value))
    # Half of the contrast: from there on one global threshold would take gap for cathode, or the reverse.
    half = 0.5 * (layers.cathode_grey - layers.gap_grey) / max(layers.cathode_grey - dark_grey, 1e-9)
    level = dataclasses.replace(LEVELS[name], warn=max(half, 0.0))
    figure = judged(
        Measurement(name, "1", value=value, n=int(turns.size), budget=lines), level, away=abs(value)
    )
    chart = cupping_chart(_radii(roll, turns), by_turn[turns], layers.gap_grey, value)
    return Findings((figure,), (chart,))


def _radii(roll: Unrolled, turns: NDArray[np.intp]) -> Floats:
    """Radius of the cathode's middle in each of some turns, half a pitch outside its foil."""
    return np.array([float(np.nanmedian(roll.radius_mm[turn])) + 0.5 * roll.pitch_mm for turn in turns])
