"""Which phantoms ``xctrules validate`` measures: each case follows from the seed and its own index alone.

Cells are cropped to one end and have few turns, so that one costs seconds and hundreds fit. What is asked of
the mix: it must hold what a laboratory meets (voxel size, blur, noise, rings, cupping, tilt, offset, grey
scale, slice order, winding direction, tabs, centre pins, sleeves), and faults of graded size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from xctrules.core.errors import SpecError
from xctrules.core.validation import Case, Ensemble, JudgedBy
from xctrules.cylinder.phantom import Phantom, draw
from xctrules.cylinder.phantom.spec import (
    PRESETS,
    Buckle,
    CentrePin,
    Dent,
    Imaging,
    Layers,
    NegativeOverhang,
    PhantomSpec,
    Tab,
    Tomography,
    preset,
    spec_from_dict,
)

Kind = Literal["mixed", "published", "faults", "limit", "repeat", "full", "projected", "unfit"]
Unfit = Literal["noise", "coarse", "cut off", "saturated"]
VERSION = 1
"""Goes up when the same seed and index no longer give the same case."""

_HALF: tuple[Kind, ...] = (
    "mixed", "faults", "published", "unfit", "limit", "repeat",
    "mixed", "faults", "mixed", "repeat", "published", "faults",
    "mixed", "faults", "mixed", "full", "limit", "faults",
    "mixed", "mixed", "faults", "mixed", "repeat", "mixed",
)  # fmt: skip
_CYCLE = _HALF + tuple("projected" if kind == "full" else kind for kind in _HALF)
"""Kinds in turn, so that any number of cases holds all of them and more cases only add.

Whole 21700 ends and projected phantoms cost several times as much as the others: they share one place.
"""

REPEATS = 5
"""Scans of each cell that is scanned repeatedly."""
UNFIT: tuple[Unfit, ...] = ("noise", "coarse", "cut off", "saturated")
PUBLISHED = Imaging()
"""Blur, noise and grey scale of a published scan, which the phantom's own defaults follow."""
PUBLISHED_VOXEL_MM = 0.034

DIAMETER, SMALLEST_OVERHANG = "canister.outer_diameter", "overhang.length.min"
ANY_SPEC = "21700"
"""Whose rule on the overhang the cases are judged by; the bundled specs share it."""
ROOM_MM = 1.0
"""Room between a cell's diameter and its limit where nothing but a refusal may stand in the way of a PASS."""


def diameter_limits(ensemble: Ensemble) -> list[tuple[str, float]]:
    """Each limit (mm) on the outer diameter of a format that can be drawn, with the spec's name.

    Raises
    ------
    SpecError
        When no spec sets one.
    """
    limits = [
        (limit.spec, limit.value)
        for limit in ensemble.limits
        if limit.measurement == DIAMETER and limit.spec in PRESETS
    ]
    if not limits:
        raise SpecError(f"no spec sets a limit to {DIAMETER}", where="the ensemble of cylindrical cells")
    return limits


def identity(ensemble: Ensemble) -> dict[str, Any]:
    """What must agree, beside geometry, seed and size, for cases to belong to the same ensemble."""
    return {"version": VERSION, "diameter_limits": [list(limit) for limit in diameter_limits(ensemble)]}


def case_of(ensemble: Ensemble, index: int) -> Case:
    """Case ``index``; the same for the same ensemble, whatever was asked before."""
    kind = _CYCLE[index % len(_CYCLE)]
    rank = _rank(index)
    cell = rank // REPEATS if kind == "repeat" else index
    rng = np.random.default_rng((ensemble.seed, VERSION, cell, 1 if kind == "repeat" else 0))
    spec = _MAKERS[kind](rng, rank, ensemble)
    spec = replace(spec, seed=int(rng.integers(1, 1 << 31)))
    return Case(
        index=index,
        kind=kind,
        drawn=spec.to_dict(),
        voxel_mm=spec.voxel_size_mm,
        nominal_mm={"outer_diameter": spec.outer_diameter_mm, "wall_thickness": spec.wall_mm},
        judged_by=_judged_by(kind, spec),
        scale_error=_scale_error(rng, spec),
        noise_seed=index + 1 if kind == "repeat" else None,
        group=cell if kind == "repeat" else None,
        unfit=UNFIT[rank % len(UNFIT)] if kind == "unfit" else None,
    )


def draw_case(case: Case) -> Phantom:
    """Draw a case; the same bytes each time."""
    return draw(spec_from_dict(case.drawn), case.noise_seed)


def _judged_by(kind: Kind, spec: PhantomSpec) -> JudgedBy:
    """The overhang's rule, and the diameter's only where the cell was drawn for it.

    A scan that must be refused is judged with a diameter that its cell keeps: nothing but the refusal may
    stand in the way of a PASS.
    """
    if kind == "limit":  # a slice of the can shows no end
        return JudgedBy(spec.format, leave_out=(SMALLEST_OVERHANG,))
    if kind == "unfit":
        return JudgedBy(ANY_SPEC, upper_limits={DIAMETER: spec.outer_diameter_mm + ROOM_MM})
    return JudgedBy(ANY_SPEC, leave_out=(DIAMETER,))


def _rank(index: int) -> int:
    """How many cases of the same kind come before ``index``."""
    whole, rest = divmod(index, len(_CYCLE))
    kind = _CYCLE[rest]
    return whole * _CYCLE.count(kind) + _CYCLE[:rest].count(kind)


def _scale_error(rng: np.random.Generator, spec: PhantomSpec) -> float:
    stated = spec.voxel_scale_relative_uncertainty
    return 0.0 if stated is None else float(stated * rng.standard_normal())


# --- kinds of cases --------------------------------------------------------------------------------------


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def _sometimes(rng: np.random.Generator, share: float, low: float, high: float) -> float:
    """Zero, but in a ``share`` of cases a value from ``low`` to ``high``."""
    value = float(rng.uniform(low, high))
    return value if rng.random() < share else 0.0


def random_cell(
    rng: np.random.Generator, voxel_mm: tuple[float, float, float], imaging: Imaging
) -> PhantomSpec:
    """A sound cell of random geometry, cropped to one end.

    Fine voxels get fewer turns, which keeps the number of voxels within bounds; the wall is at least four
    voxels thick, since a thinner one has no plateau that an edge could be told from.
    """
    dx = voxel_mm[2]
    fine = dx < 0.024
    pitch = float(rng.uniform(0.32, 0.44))
    turns = float(rng.uniform(5.5, 7.0 if fine else 9.5))
    core = float(rng.uniform(0.7, 0.9 if fine else 1.2))
    wall = max(float(rng.uniform(0.15, 0.35)), 4 * dx)
    gap = float(rng.uniform(0.2, 0.5))
    inner = core + pitch * turns + gap
    overhang = float(rng.uniform(0.35, 0.9))
    tall = dx > 0.034 and rng.random() < 0.1
    view: Any = "both" if tall else str(rng.choice(["top", "bottom"]))
    lean = float(rng.uniform(-10.0, 6.0))
    return preset(
        "small",
        outer_diameter_mm=2 * (inner + wall),
        wall_mm=wall,
        height_mm=9.5,
        view=view,
        voxel_size_mm=voxel_mm,
        roll_in_view_mm=float(rng.uniform(1.2, 1.6 if fine else 2.2)),
        beyond_mm=overhang + float(rng.uniform(0.35, 0.6)),
        border_mm=float(rng.uniform(0.2, 0.4)),
        slice_order=str(rng.choice(["top_to_bottom", "bottom_to_top"])),
        tilt_deg=_sometimes(rng, 0.8, 0.0, 2.5),
        tilt_direction_deg=float(rng.uniform(0, 360)),
        offset_mm=(float(rng.uniform(-0.3, 0.3)), float(rng.uniform(-0.3, 0.3))),
        turns=turns,
        pitch_mm=pitch,
        core_radius_mm=core,
        handedness=int(rng.choice([1, -1])),
        start_deg=float(rng.uniform(0, 360)),
        layers=Layers(cathode_coating_mm=0.078 * pitch / 0.384),
        roll_offset_mm=(_sometimes(rng, 0.3, -0.08, 0.08), _sometimes(rng, 0.3, -0.08, 0.08)),
        overhang_mm=overhang,
        overhang_sd_mm=float(rng.uniform(0.005, 0.04)),
        overhang_wave_mm=_sometimes(rng, 0.3, 0.0, 0.06),
        anode_margin_mm=float(rng.uniform(0.3, 0.7)),
        telescope_mm=float(rng.uniform(-0.2, 0.2)),
        edge_wave_mm=float(rng.uniform(0.0, 0.03)),
        deflection_inner_deg=lean,
        deflection_outer_deg=lean + float(rng.uniform(-8.0, 8.0)),
        deflection_sd_deg=float(rng.uniform(0.5, 3.0)),
        wall_variation_mm=_sometimes(rng, 0.3, 0.0, 1.0) * dx,
        ovality_mm=_sometimes(rng, 0.3, 0.0, 4.0) * dx,
        ovality_deg=float(rng.uniform(0, 180)),
        voxel_scale_relative_uncertainty=float(rng.choice([0.0002, 0.0005, 0.001])),
        imaging=imaging,
    )


def _mixed(rng: np.random.Generator, rank: int, ensemble: Ensemble) -> PhantomSpec:
    """Anything that a laboratory may bring, sound or with one fault."""
    voxel = _log_uniform(rng, 0.028 if ensemble.short else 0.015, 0.060)
    ratio = float(rng.choice([1.0, 1.0, 1.5, 2.0]))
    kind = str(rng.choice(["uint8", "uint8", "uint16", "float32"]))
    grey_scale, grey_offset = {
        "uint8": (None, 0.0),
        "uint16": (float(rng.uniform(60, 200)), float(rng.uniform(0, 9000))),
        "float32": (0.004, float(rng.uniform(-0.05, 0.05))),  # attenuation in 1/mm, as reconstructed
    }[kind]
    imaging = Imaging(
        blur_px=float(rng.uniform(0.6, 1.3)),
        noise=_log_uniform(rng, 0.008, 0.08),
        noise_correlation_px=float(rng.choice([0.0, 0.5, 0.8])),
        rings=_sometimes(rng, 0.4, 0.002, 0.02),
        cupping=_sometimes(rng, 0.4, 0.02, 0.15),
        streaks=_sometimes(rng, 0.2, 0.005, 0.02),
        dtype=kind,  # type: ignore[arg-type]
        grey_offset=grey_offset,
        grey_scale=grey_scale,
        clip_outside=bool(rng.random() < 0.5),
    )
    spec = random_cell(rng, (min(voxel * ratio, 0.08), voxel, voxel), imaging)
    if rng.random() < 0.15:
        tab = Tab(
            turn=int(rng.integers(2, max(3, int(spec.turns) - 2))),
            theta_deg=float(rng.uniform(0, 360)),
            electrode="anode" if rng.random() < 0.5 else "cathode",
            end="bottom" if spec.view == "bottom" else "top",
            width_mm=float(rng.uniform(1.0, 2.5)),
        )
        # A tab lifts the turns outside it: they need the room.
        spec = replace(spec, tabs=(tab,), outer_diameter_mm=spec.outer_diameter_mm + 0.2)
    if rng.random() < 0.15:
        spec = replace(spec, pin=CentrePin(outer_diameter_mm=1.3 * spec.core_radius_mm))
    if rng.random() < 0.1:
        spec = replace(spec, sleeve_mm=0.07)
    if rng.random() < 0.3:
        spec = _with_faults(rng, spec, (rng.random() < 0.4, rng.random() < 0.4, rng.random() < 0.4))
    return spec


def _published(rng: np.random.Generator, rank: int, ensemble: Ensemble) -> PhantomSpec:
    """Sound cells, imaged as a published scan: what the limits on bias speak of."""
    imaging = replace(PUBLISHED, blur_px=float(rng.uniform(0.7, 1.3)))
    step = PUBLISHED_VOXEL_MM * (2.0 if rank % 2 else 1.0)
    spec = random_cell(rng, (step, PUBLISHED_VOXEL_MM, PUBLISHED_VOXEL_MM), imaging)
    return replace(spec, ovality_mm=0.0, wall_variation_mm=0.0)


def _faults(rng: np.random.Generator, rank: int, ensemble: Ensemble) -> PhantomSpec:
    """A dent, a short anode and a buckle in one cell, each of its own size, at a published scan's noise.

    They lie apart and different metrics look for them, so that one cell serves three detection curves. A
    sixth of each is left out: sound parts, for false alarms.
    """
    voxel = _log_uniform(rng, 0.028, 0.042)
    imaging = replace(PUBLISHED, blur_px=float(rng.uniform(0.7, 1.2)))
    spec = random_cell(rng, (voxel * float(rng.choice([1.0, 1.0, 2.0])), voxel, voxel), imaging)
    spec = replace(spec, ovality_mm=_sometimes(rng, 0.5, 0.0, 2.0) * voxel)
    return _with_faults(rng, spec, (rng.random() < 5 / 6, rng.random() < 5 / 6, rng.random() < 5 / 6))


def _with_faults(rng: np.random.Generator, spec: PhantomSpec, which: tuple[bool, bool, bool]) -> PhantomSpec:
    """``spec`` with a dent (0.2 to 4 voxels), an anode edge (2 voxels long to 4 short), a buckle."""
    dz, _, dx = spec.voxel_size_mm
    end: Any = "bottom" if spec.view == "bottom" else "top"
    dent, short_anode, buckle = which
    depth, missing, push = rng.uniform(0.2, 4.0), rng.uniform(-2.0, 4.0), rng.uniform(0.5, 8.0)
    angles = rng.uniform(0, 360, 3)
    extent = rng.uniform(0.9, 1.6), rng.uniform(2.0, 4.0), rng.uniform(60, 120)
    turn = int(rng.integers(2, max(3, int(spec.turns) - 1)))
    if dent:
        hollow = Dent(
            theta_deg=float(angles[0]),
            depth_mm=float(depth * dx),
            width_mm=float(extent[1]),
            height_mm=float(extent[0]),
            out_mm=-spec.roll_in_view_mm / 2,
            end=end,
        )
        spec = replace(spec, dents=(hollow,))
    if short_anode:
        fault = NegativeOverhang(
            end=end, turn=turn, theta_deg=float(angles[1]), length_mm=float(-missing * dz)
        )
        spec = replace(spec, negative_overhangs=(fault,))
    if buckle:
        amplitude = min(float(push * dx), 0.25)
        spec = replace(spec, buckle=Buckle(amplitude, float(angles[2]), float(extent[2])))
    return spec


def _limit(rng: np.random.Generator, rank: int, ensemble: Ensemble) -> PhantomSpec:
    """A diameter near a limit of a bundled spec, in a low scan of the whole roll: no end in view."""
    limits = diameter_limits(ensemble)
    name, limit_mm = limits[rank % len(limits)]
    voxel = float(rng.uniform(0.034, 0.05))
    return preset(
        name,
        view="roll",
        roll_in_view_mm=0.7,
        outer_diameter_mm=limit_mm + float(rng.uniform(-0.04, 0.04)),
        voxel_size_mm=(voxel, voxel, voxel),
        tilt_deg=_sometimes(rng, 0.5, 0.0, 1.0),
        tilt_direction_deg=float(rng.uniform(0, 360)),
        offset_mm=(float(rng.uniform(-0.3, 0.3)), float(rng.uniform(-0.3, 0.3))),
        handedness=int(rng.choice([1, -1])),
        start_deg=float(rng.uniform(0, 360)),
        voxel_scale_relative_uncertainty=float(rng.choice([0.0002, 0.0005, 0.001])),
        imaging=replace(PUBLISHED, blur_px=float(rng.uniform(0.7, 1.2))),
    )


def _repeat(rng: np.random.Generator, rank: int, ensemble: Ensemble) -> PhantomSpec:
    """A sound cell that is scanned several times, each time with other noise."""
    voxel = _log_uniform(rng, 0.03, 0.045)
    imaging = replace(PUBLISHED, noise=_log_uniform(rng, 0.015, 0.06), blur_px=float(rng.uniform(0.7, 1.2)))
    spec = random_cell(rng, (voxel, voxel, voxel), imaging)
    return replace(spec, view="top" if spec.view == "both" else spec.view)


def _full(rng: np.random.Generator, rank: int, ensemble: Ensemble) -> PhantomSpec:
    """A whole 21700 end as published: few of these, to tie the small cells to the real size."""
    if ensemble.short:
        return _published(rng, rank, ensemble)
    imaging = replace(PUBLISHED, blur_px=float(rng.uniform(0.8, 1.3)))
    return preset(
        "21700",
        view="bottom" if rank % 2 else "top",
        voxel_size_mm=(0.068, 0.034, 0.034),
        roll_in_view_mm=2.0,
        tilt_deg=_sometimes(rng, 0.7, 0.0, 1.5),
        tilt_direction_deg=float(rng.uniform(0, 360)),
        handedness=int(rng.choice([1, -1])),
        start_deg=float(rng.uniform(0, 360)),
        overhang_mm=float(rng.uniform(0.4, 0.8)),
        imaging=imaging,
    )


def _projected(rng: np.random.Generator, rank: int, ensemble: Ensemble) -> PhantomSpec:
    """A sound cell, projected with a polychromatic beam and reconstructed: artefacts that are not painted."""
    voxel = _log_uniform(rng, 0.036, 0.045)
    spec = random_cell(rng, (voxel, voxel, voxel), replace(PUBLISHED, blur_px=float(rng.uniform(0.7, 1.0))))
    return replace(
        spec,
        view="top" if spec.view == "both" else spec.view,
        turns=min(spec.turns, 7.0),
        outer_diameter_mm=spec.outer_diameter_mm - 2 * spec.pitch_mm * max(spec.turns - 7.0, 0.0),
        roll_in_view_mm=1.2,
        tomography=Tomography(
            linearised=bool(rng.random() < 0.5), gain_sd=_sometimes(rng, 0.5, 0.0005, 0.003)
        ),
    )


def _unfit(rng: np.random.Generator, rank: int, ensemble: Ensemble) -> PhantomSpec:
    """A scan that nobody should judge a cell by; it must be refused."""
    what = UNFIT[rank % len(UNFIT)]
    voxel = 0.12 if what == "coarse" else 0.04
    imaging = PUBLISHED
    if what == "noise":  # the step between cathode and anode is two thirds of the cathode's grey
        imaging = replace(imaging, noise=float(rng.uniform(0.9, 1.4)), dtype="uint16", grey_offset=30000.0)
    if what == "saturated":  # the cathode is some 45 % of the roll
        imaging = replace(imaging, grey_scale=float(rng.uniform(4.0, 5.0)))
    spec = random_cell(rng, (voxel, voxel, voxel), imaging)
    spec = replace(spec, view="top", wall_mm=0.25, voxel_scale_relative_uncertainty=0.0005)
    if what == "cut off":
        spec = replace(spec, field_of_view_mm=spec.outer_diameter_mm * float(rng.uniform(0.6, 0.85)))
    return spec


_MAKERS: dict[Kind, Callable[[np.random.Generator, int, Ensemble], PhantomSpec]] = {
    "mixed": _mixed,
    "published": _published,
    "faults": _faults,
    "limit": _limit,
    "repeat": _repeat,
    "full": _full,
    "projected": _projected,
    "unfit": _unfit,
}
