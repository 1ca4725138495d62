"""Sound cells of all kinds, and faulty ones of many: what ``xctrules validate --part adversarial`` measures.

In: the seed and an index. Out: a case with what must come of it. Sound and faulty cells take turns, and
each takes its kinds in turn, so that any number of cases holds all of them and more cases only add.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xctrules.core.validation import Case, Ensemble, Expected, JudgedBy, Place, Side, SpecLimit
from xctrules.cylinder.phantom.ensemble import (
    ANY_SPEC,
    DIAMETER,
    PUBLISHED,
    ROOM_MM,
    SMALLEST_OVERHANG,
    random_cell,
)
from xctrules.cylinder.phantom.geometry import Pose, Winding, pose
from xctrules.cylinder.phantom.named_faults import with_faults
from xctrules.cylinder.phantom.spec import (
    LFP,
    CentrePin,
    Layers,
    PhantomSpec,
    Tab,
    preset,
    scaled_layers,
)
from xctrules.cylinder.phantom.stack_faults import told_voxel_size_mm

VERSION = 1
"""Goes up when the same seed and index no longer give the same case."""

Rng = np.random.Generator

GRADED = 4
"""Of so many faults of a kind one is smaller than what must be found, for the curve of detection."""
SMALLEST, MUST, LARGEST = 0.3, 2.0, 5.0
"""Sizes over the stated detection size: of graded faults from the first to the second, of those that must be
found from the second to the third."""


def identity() -> dict[str, Any]:
    """What must agree for cases to belong to the same ensemble."""
    return {"adversaries": VERSION, "faults": list(FAULTY), "sound": list(SOUND)}


def case_of(ensemble: Ensemble, index: int) -> Case:
    """Case ``index``: even ones are sound, odd ones faulty."""
    rng = np.random.default_rng((ensemble.seed, 100 + VERSION, index))
    rank = index // 2
    if index % 2 == 0:
        family = list(SOUND)[rank % len(SOUND)]
        spec = SOUND[family](rng)
        expected = Expected("", "pass")
        nominal = spec.outer_diameter_mm
    else:
        name = list(FAULTY)[rank % len(FAULTY)]
        family = name
        spec, expected, nominal = _faulty(rng, name, rank // len(FAULTY))
    spec = replace(spec, seed=int(rng.integers(1, 1 << 31)))
    stated = spec.voxel_scale_relative_uncertainty
    return Case(
        index=index,
        kind=f"sound: {family}" if not expected.fault else family,
        drawn=spec.to_dict(),
        voxel_mm=told_voxel_size_mm(spec.voxel_size_mm, spec.stack_faults),
        nominal_mm={"outer_diameter": nominal, "wall_thickness": spec.wall_mm},
        judged_by=_judged_by(spec, nominal),
        scale_error=0.0 if stated is None else float(stated * rng.standard_normal()),
        expected=expected,
    )


# --- by what it is judged --------------------------------------------------------------------------------

DETECTED_MM = {
    "overhang": 0.1,
    "notch": 0.3,
    "foil": 0.5,
    "tall": 0.15,
    "delamination": 0.1,
    "core": 0.15,
    "particle": 0.12,
    "dent": 0.12,
    "ring": 0.1,
    "wall": 0.07,
    "opening": 0.3,
    "shift": 0.05,
}
"""Detection sizes that are stated, in mm: three voxels of 0.04 mm for what stands out of a surface or lies in
the roll, two for the wall; 0.3 mm along a foil, over which the smallest overhang is a mean. Limits are set at
these sizes, and twice as large a fault must be found."""


def _judged_by(spec: PhantomSpec, nominal: float) -> JudgedBy:
    """The bundled rules with the cell's own diameter, and a drawing's limits on what faults change.

    The limits lie at the stated detection sizes, an opening's at half the area of one twice as wide. A limit
    on a measurement that nothing makes is left out.
    """
    d = DETECTED_MM
    strip = max((tab.thickness_mm for tab in spec.tabs), default=0.0)
    wanted: tuple[tuple[str, Side, float], ...] = (
        ("canister.dent_depth", "max", d["dent"]),
        ("canister.wall_thickness.min", "min", spec.wall_mm - d["wall"]),
        ("canister.groove_depth", "max", d["ring"]),
        # half of the area that must be found: that of a small opening lies within its own uncertainty
        ("canister.opening.largest", "max", 2 * d["opening"] ** 2),
        # a tab's strip parts its neighbours by its thickness
        ("winding.delamination.largest", "max", d["delamination"] + strip),
        ("winding.core_collapse", "max", d["core"]),
        ("contamination.largest", "max", d["particle"]),
        ("overhang.length.max", "max", spec.overhang_mm + spec.overhang_wave_mm + d["tall"]),
    )
    further = tuple(
        SpecLimit("drawing", name, side, round(value, 4), "mm2" if name.endswith("opening.largest") else "mm")
        for name, side, value in wanted
    )  # fmt: skip
    upper = {DIAMETER: nominal + ROOM_MM}
    if spec.view == "roll":  # no end, and so no overhang
        further = tuple(limit for limit in further if not limit.measurement.startswith("overhang"))
        return JudgedBy(ANY_SPEC, leave_out=(SMALLEST_OVERHANG,), upper_limits=upper, further=further)
    return JudgedBy(ANY_SPEC, upper_limits=upper, further=further)


# --- sound cells -----------------------------------------------------------------------------------------


def _image(rng: Rng) -> Any:
    return replace(PUBLISHED, blur_px=float(rng.uniform(0.7, 1.1)), noise=float(rng.uniform(0.01, 0.03)))


def _plain(rng: Rng, voxel_mm: float | None = None, stretch: float = 1.0) -> PhantomSpec:
    """A sound cell at a published scan's voxel size or a little above."""
    voxel = float(rng.uniform(0.034, 0.042)) if voxel_mm is None else voxel_mm
    spec = random_cell(rng, (stretch * voxel, voxel, voxel), _image(rng))
    # one end: both of a cell cost twice the time, and have a family of their own
    view: Any = "bottom" if spec.view == "bottom" else "top"
    return replace(spec, view=view, voxel_scale_relative_uncertainty=0.0005)


def _wound(spec: PhantomSpec, **changes: Any) -> PhantomSpec:
    """The cell with another roll, in a can that leaves it as much room as before."""
    before = spec.core_radius_mm + spec.pitch_mm * spec.turns
    roll = {"core_radius_mm": spec.core_radius_mm, "pitch_mm": spec.pitch_mm, "turns": spec.turns} | {
        k: v for k, v in changes.items() if k in ("core_radius_mm", "pitch_mm", "turns")
    }
    after = roll["core_radius_mm"] + roll["pitch_mm"] * roll["turns"]
    if "pitch_mm" in changes and "layers" not in changes:
        changes["layers"] = scaled_layers(spec.layers, changes["pitch_mm"] / spec.pitch_mm)
    return replace(spec, outer_diameter_mm=spec.outer_diameter_mm + 2 * (after - before), **changes)


def _lfp(rng: Rng) -> PhantomSpec:
    return replace(_plain(rng, float(rng.uniform(0.028, 0.036))), greys=LFP)


def _pinned(rng: Rng) -> PhantomSpec:
    spec = _wound(_plain(rng), core_radius_mm=float(rng.uniform(1.2, 1.6)))
    pin = CentrePin(outer_diameter_mm=float(rng.uniform(1.2, 1.6)) * spec.core_radius_mm, wall_mm=0.2)
    return replace(spec, pin=pin)


def _thin(rng: Rng) -> PhantomSpec:
    """Electrodes of a pitch of 0.24 mm, in voxels of which some eight make a pitch."""
    spec = _plain(rng, 0.24 / float(rng.uniform(8.0, 9.5)))
    base = preset("small")
    layers = scaled_layers(base.layers, 0.24 / base.pitch_mm)
    return _wound(spec, pitch_mm=0.24, turns=float(rng.uniform(7, 11)), layers=layers)


def _thick(rng: Rng) -> PhantomSpec:
    return _wound(_plain(rng), pitch_mm=float(rng.uniform(0.5, 0.62)), turns=float(rng.uniform(4.2, 6)))


def _few(rng: Rng) -> PhantomSpec:
    return _wound(_plain(rng), turns=float(rng.uniform(4.5, 5.5)))


def _many(rng: Rng) -> PhantomSpec:
    """Twenty to thirty turns, and in one of four cases up to sixty."""
    most = rng.random() < 0.25
    spec = _plain(rng, 0.036 if most else 0.040)
    turns = float(rng.uniform(45, 60) if most else rng.uniform(20, 30))
    spec = _wound(spec, turns=turns, pitch_mm=0.30, layers=Layers(cathode_coating_mm=0.058))
    return replace(spec, roll_in_view_mm=1.2, offset_mm=(0.0, 0.0), tilt_deg=min(spec.tilt_deg, 0.5))


def _tabbed(rng: Rng) -> PhantomSpec:
    spec = _wound(_plain(rng), turns=float(rng.uniform(7.5, 9.5)))
    end: Any = "bottom" if spec.view == "bottom" else "top"
    count = int(rng.integers(1, 4))
    anode = rng.random() < 0.4
    tabs = tuple(
        Tab(
            turn=2 + i * 2, theta_deg=float(rng.uniform(0, 360)), electrode="anode" if anode else "cathode",
            end=end, width_mm=float(rng.uniform(1.0, 2.5)), grey=225.0 if anode else None,
        )
        for i in range(count)
    )  # fmt: skip
    return replace(spec, tabs=tabs, outer_diameter_mm=spec.outer_diameter_mm + 0.2 * count)


def _coarse(rng: Rng) -> PhantomSpec:
    """Seven and a half to eight and a half voxels a pitch: coarse, and clear to the eye."""
    spec = _plain(rng, 0.048)
    return _wound(spec, pitch_mm=0.048 * float(rng.uniform(7.5, 8.5)))


def _fine(rng: Rng) -> PhantomSpec:
    spec = _wound(_plain(rng, float(rng.uniform(0.013, 0.018))), turns=float(rng.uniform(4.2, 5.0)))
    return replace(spec, roll_in_view_mm=1.0, tilt_deg=min(spec.tilt_deg, 0.5), offset_mm=(0.0, 0.0))


def _noisy(rng: Rng) -> PhantomSpec:
    spec = _plain(rng)
    image = replace(spec.imaging, noise=float(rng.uniform(0.03, 0.05)), rings=float(rng.uniform(0, 0.01)))
    return replace(spec, imaging=replace(image, cupping=float(rng.uniform(0, 0.1))))


def _deep(rng: Rng) -> PhantomSpec:
    """16 bit or floating point, with an offset."""
    spec = _plain(rng)
    if rng.random() < 0.5:
        image = replace(spec.imaging, dtype="uint16", grey_scale=float(rng.uniform(60, 200)))
        return replace(spec, imaging=replace(image, grey_offset=float(rng.uniform(0, 9000))))
    return replace(spec, imaging=replace(spec.imaging, dtype="float32", grey_scale=0.004, grey_offset=-0.03))


def _both_ends(rng: Rng) -> PhantomSpec:
    spec = _wound(_plain(rng, 0.042), turns=5.5)
    return replace(spec, view="both", height_mm=9.0)


def _no_end(rng: Rng) -> PhantomSpec:
    return replace(_plain(rng), view="roll", roll_in_view_mm=1.2)


def _off_centre(rng: Rng) -> PhantomSpec:
    """Oval within what cells have, sleeved, with the roll off the can's axis, and tilted."""
    spec = _plain(rng)
    return replace(
        spec,
        ovality_mm=0.05,
        sleeve_mm=0.07,
        roll_offset_mm=(0.08, -0.05),
        tilt_deg=float(rng.uniform(1.0, 2.5)),
    )


def _conical(rng: Rng) -> PhantomSpec:
    """Wound askew: each turn a little lower than the one before, with all overhangs as they should be."""
    return replace(_plain(rng), telescope_mm=float(rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 0.8)))


def _uneven_voxels(rng: Rng) -> PhantomSpec:
    return _plain(rng, stretch=2.0)


def _whole_top(rng: Rng) -> PhantomSpec:
    """The end with its bead, crimp and cap, or with its bottom."""
    spec = _plain(rng, 0.044)
    return replace(spec, beyond_mm=None, bead_depth_mm=0.8, telescope_mm=0.12)


SOUND: dict[str, Callable[[Rng], PhantomSpec]] = {
    "plain": _plain,
    "iron phosphate": _lfp,
    "centre pin": _pinned,
    "thin electrodes": _thin,
    "thick electrodes": _thick,
    "few turns": _few,
    "many turns": _many,
    "tabs": _tabbed,
    "coarse": _coarse,
    "fine": _fine,
    "noisy": _noisy,
    "deep greys": _deep,
    "both ends": _both_ends,
    "no end": _no_end,
    "off centre": _off_centre,
    "conical": _conical,
    "uneven voxels": _uneven_voxels,
    "whole end": _whole_top,
}
"""Kinds of sound cells; each must pass."""


# --- faulty cells ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """A fault in a cell: the spec, and what to look for in the verdict.

    Attributes
    ----------
    text
        As for ``--fault``; what the options cannot say, in words.
    place
        Where it is, with how far off it may be named.
    nominal_mm
        Nominal diameter that the inspection is told, where it is not the cell's own.
    """

    spec: PhantomSpec
    text: str
    place: Place
    nominal_mm: float | None = None


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes
    ----------
    detected
        The stated detection size, in ``unit``.
    unit
        Of the sizes.
    words
        Of these the first reason must have one.
    draw
        A cell with a fault of a size.
    most
        Largest size that can be drawn.
    least
        Smallest size at which it is a fault at all.
    cell_is_sound
        Whether only the scan's greys are wrong: then a pass is right if what was measured is.
    """

    detected: float
    unit: str
    words: tuple[str, ...]
    draw: Callable[[Rng, float], Drawn]
    most: float = math.inf
    least: float = 0.0
    cell_is_sound: bool = False


def _faulty(rng: Rng, name: str, rank: int) -> tuple[PhantomSpec, Expected, float]:
    kind = FAULTY[name]
    low, high = (SMALLEST, MUST) if rank % GRADED == GRADED - 1 else (MUST, LARGEST)
    factor = math.exp(float(rng.uniform(math.log(low), math.log(high))))
    size = min(max(factor * kind.detected, kind.least), max(kind.most, MUST * kind.detected))
    if kind.unit == "slices":
        size = float(round(size))
    drawn = kind.draw(rng, size)
    must = size >= MUST * kind.detected * (1 - 1e-9)
    expected = Expected(
        fault=name,
        outcome="right or refused" if kind.cell_is_sound else "no pass" if must else "graded",
        size=size,
        unit=kind.unit,
        stated=kind.detected,
        drawn=drawn.text,
        words=kind.words,
        place=drawn.place,
        scan_is_true=not drawn.spec.stack_faults,
    )
    nominal = drawn.spec.outer_diameter_mm if drawn.nominal_mm is None else drawn.nominal_mm
    return drawn.spec, expected, nominal


def _host(rng: Rng) -> PhantomSpec:
    """A cell to draw a fault into: one in six of iron phosphate, all with a can of five voxels."""
    spec = _plain(rng)
    spec = _wound(spec, turns=float(rng.uniform(6.5, 9.0)))
    if rng.random() < 1 / 6:
        spec = replace(spec, greys=LFP)
    wall = max(spec.wall_mm, 0.22)
    return replace(
        spec, wall_mm=wall, outer_diameter_mm=spec.outer_diameter_mm + 2 * (wall - spec.wall_mm),
        wall_variation_mm=0.0, ovality_mm=0.0, overhang_wave_mm=0.0, tilt_deg=min(spec.tilt_deg, 1.0),
    )  # fmt: skip


def _on_foil(rng: Rng, spec: PhantomSpec, turns: int = 1) -> tuple[int, float]:
    """A turn that faces a cathode on both sides, with as many beyond it, and an angle."""
    first = math.ceil(spec.lead_in_turns + 1.1)
    last = math.floor(spec.turns - spec.lead_out_turns - 1.0) - (turns - 1)
    return int(rng.integers(first, max(last, first) + 1)), float(rng.uniform(0, 360))


def _degrees(spec: PhantomSpec, turn: int, theta: float, along_mm: float) -> float:
    """Angle of so many mm along the foil."""
    winding = Winding(spec)
    return math.degrees(along_mm / float(winding.nominal_radius(winding.phase(turn, theta))))


def _near(theta: float, width_deg: float, turn: int | None = None, within: float = 1.5) -> Place:
    """Within the fault's own half width and ten degrees; on its turn or the next, counts being off by one."""
    place = {"theta_deg": (theta, min(width_deg / 2 + 10.0, 180.0))}
    return place if turn is None else {**place, "turn": (float(turn), within)}


def _seen(spec: PhantomSpec, beyond_mm: float) -> PhantomSpec:
    """The scan shows at least so much beyond the nominal edge."""
    now = spec.beyond_mm
    return spec if now is None or now >= beyond_mm else replace(spec, beyond_mm=beyond_mm)


def _edge(name: str, along_mm: tuple[float, float] | None, turns: int = 1) -> Callable[[Rng, float], Drawn]:
    """A cathode too high or an anode too low, such that the overhang is so far negative.

    ``along_mm`` is from where to where its length along the foil is drawn; ``None`` is all round.
    """

    def draw(rng: Rng, size: float) -> Drawn:
        spec = _host(rng)
        turn, theta = _on_foil(rng, spec, turns)
        width = 360.0 if along_mm is None else _degrees(spec, turn, theta, float(rng.uniform(*along_mm)))
        by = spec.overhang_mm + size
        parts = [f"{name}:{by:.4f},turn={turn + i},theta={theta:.2f},width={width:.2f}" for i in range(turns)]
        text = ";".join(parts)
        spec = with_faults(_seen(spec, by + 0.4) if name == "cathode-high" else spec, text)
        return Drawn(spec, text, _near(theta, width, turn + (turns - 1) // 2, within=1.5 + turns / 2))

    return draw


def _everywhere(rng: Rng, size: float) -> Drawn:
    """Both ends in view, and the lower one negative all over."""
    spec = _wound(_plain(rng, 0.042), turns=5.5)
    spec = replace(spec, view="both", height_mm=9.0, edge_faults=())
    from xctrules.cylinder.phantom.roll_faults import EdgeFault

    winding = Winding(spec)
    middle = spec.turns / 2
    low = EdgeFault(
        "anode", -(spec.overhang_mm + size), "bottom", int(winding.turn(middle)),
        float(winding.theta_deg(middle)), 360.0 * (spec.turns + 1),
    )  # fmt: skip
    text = f"anode-low:{spec.overhang_mm + size:.4f} at the bottom, all of its turns; view both"
    return Drawn(replace(spec, edge_faults=(low,)), text, {})


def _tall(all_round: bool) -> Callable[[Rng, float], Drawn]:
    def draw(rng: Rng, size: float) -> Drawn:
        spec = replace(_host(rng), overhang_sd_mm=0.01)
        turn, theta = _on_foil(rng, spec)
        width = 360.0 if all_round else _degrees(spec, turn, theta, float(rng.uniform(1.0, 4.0)))
        text = f"anode-tall:{size:.4f},turn={turn},theta={theta:.2f},width={width:.2f}"
        spec = with_faults(_seen(spec, spec.overhang_mm + size + 0.3), text)
        return Drawn(spec, text, _near(theta, width, turn))

    return draw


def _notch(rng: Rng, size: float) -> Drawn:
    spec = _host(rng)
    turn, theta = _on_foil(rng, spec)
    depth = spec.overhang_mm + float(rng.uniform(0.2, 0.4))
    text = f"anode-notch:{size:.4f},turn={turn},theta={theta:.2f},depth={depth:.3f}"
    return Drawn(with_faults(spec, text), text, _near(theta, _degrees(spec, turn, theta, size), turn))


def _end_low(rng: Rng, size: float) -> Drawn:
    spec = _host(rng)
    degrees = _degrees(spec, int(spec.turns), 0.0, float(rng.uniform(0.8, 2.0)))
    text = f"anode-end-low:{spec.overhang_mm + size:.4f},degrees={degrees:.2f}"
    winding = Winding(spec)
    end = spec.turns - max(spec.lead_out_turns - 1.0, 0.0) - degrees / 720
    place = _near(float(winding.theta_deg(end)), degrees, int(winding.turn(end)))
    return Drawn(with_faults(spec, text), text, place)


def _ends_early(rng: Rng, size: float) -> Drawn:
    spec = _host(rng)
    radius = spec.core_radius_mm + spec.pitch_mm * spec.turns
    degrees = math.degrees(size / radius)
    text = f"anode-ends-early:{degrees:.2f}"
    end = float(Winding(spec).theta_deg(spec.turns))
    return Drawn(with_faults(spec, text), text, _near(end, degrees, int(Winding(spec).turn(spec.turns)), 2.0))


def _missing(all_round: bool) -> Callable[[Rng, float], Drawn]:
    def draw(rng: Rng, size: float) -> Drawn:
        spec = _host(rng)
        turn, theta = _on_foil(rng, spec)
        width = min(360.0 if all_round else _degrees(spec, turn, theta, size), 360.0)
        text = f"anode-missing:{width:.2f},turn={turn},theta={theta:.2f}"
        return Drawn(with_faults(spec, text), text, _near(theta, width, turn))

    return draw


def _telescoped(rng: Rng, size: float) -> Drawn:
    spec = _host(rng)
    turn, theta = _on_foil(rng, spec)
    by = spec.overhang_mm + size
    text = f"roll-telescoped:{by:.4f},turn={turn},theta={theta:.2f}"
    spec = replace(spec, roll_in_view_mm=max(spec.roll_in_view_mm, by + 0.8))
    return Drawn(with_faults(spec, text), text, {"turn": (float(turn), 1.5)})


def _delaminated(beyond: bool) -> Callable[[Rng, float], Drawn]:
    """Layers apart; or these, and beyond them an anode that is too low."""

    def draw(rng: Rng, size: float) -> Drawn:
        spec = _host(rng)
        turn, theta = _on_foil(rng, spec, turns=3 if beyond else 1)
        gap = float(rng.uniform(0.3, 0.8)) if beyond else size
        width = float(rng.uniform(80, 160))
        text = f"delamination:{gap:.4f},turn={turn},theta={theta:.2f},width={width:.1f}"
        spec = replace(spec, outer_diameter_mm=spec.outer_diameter_mm + 2 * gap)
        place = _near(theta, width, turn)
        if beyond:
            low = spec.overhang_mm + size
            along = _degrees(spec, turn + 2, theta, 1.5)
            text += f";anode-low:{low:.4f},turn={turn + 2},theta={theta:.2f},width={along:.2f}"
            place = {"theta_deg": place["theta_deg"], "turn": (turn + 1.0, 2.5)}
        return Drawn(with_faults(spec, text), text, place)

    return draw


def _crumpled(rng: Rng, size: float) -> Drawn:
    """Crumpled so far beyond the core's own radius."""
    spec = _host(rng)
    text = f"core-crumpled:{spec.core_radius_mm + size:.3f}"
    return Drawn(with_faults(spec, text), text, {})


def _buckled(rng: Rng, size: float) -> Drawn:
    spec, theta = _host(rng), float(rng.uniform(0, 360))
    width = float(rng.uniform(60, 120))
    text = f"core-buckled:{size:.4f},theta={theta:.2f},width={width:.1f}"
    return Drawn(with_faults(spec, text), text, _near(theta, width))


def _curled(bend_deg: float, inner: bool) -> Callable[[Rng, float], Drawn]:
    """The innermost foil that faces a cathode curled into the core, or one in mid-roll folded back."""

    def draw(rng: Rng, size: float) -> Drawn:
        spec = _wound(_host(rng), core_radius_mm=1.2)
        spec = replace(spec, lead_in_turns=0.1)
        turn, theta = _on_foil(rng, spec)
        if inner:
            phase = float(rng.uniform(0.25, 0.8))
            turn, theta = int(Winding(spec).turn(phase)), float(Winding(spec).theta_deg(phase))
        width = min(_degrees(spec, turn, theta, size), 180.0)
        radius = 0.1 if inner else 0.06
        text = f"foil-curled:{bend_deg:.0f},turn={turn},theta={theta:.2f},width={width:.2f},radius={radius}"
        return Drawn(with_faults(spec, text), text, _near(theta, width, turn))

    return draw


def _particle(free: bool) -> Callable[[Rng, float], Drawn]:
    def draw(rng: Rng, size: float) -> Drawn:
        spec = _host(rng)
        theta, grey = float(rng.uniform(0, 360)), float(rng.uniform(150, 235))
        if free:  # in the liquid of the core
            spec = _wound(spec, core_radius_mm=1.4)
            radius, out = float(rng.uniform(0, 0.4)), float(rng.uniform(-0.8, -0.4))
        else:
            turn, _ = _on_foil(rng, spec)
            radius = spec.core_radius_mm + spec.pitch_mm * (turn + 0.5)
            out = float(rng.uniform(-0.9, -0.3))
        text = f"particle:{size:.4f},radius={radius:.3f},theta={theta:.2f},out={out:.3f},grey={grey:.0f}"
        place: Place = {} if free else {"theta_deg": (theta, 12.0)}
        return Drawn(with_faults(spec, text), text, place)

    return draw


def _rim(spec: PhantomSpec) -> float:
    """Height of the slice deepest in the roll, outward from the nominal edge."""
    return -spec.roll_in_view_mm


def _dented(
    width: tuple[float, float], height: tuple[float, float], at_rim: bool = False
) -> Callable[[Rng, float], Drawn]:
    def draw(rng: Rng, size: float) -> Drawn:
        spec, theta = _host(rng), float(rng.uniform(0, 360))
        spec = replace(spec, outer_diameter_mm=spec.outer_diameter_mm + 2 * size)  # the roll keeps its shape
        wide, high = float(rng.uniform(*width)), float(rng.uniform(*height))
        out = _rim(spec) + 0.1 if at_rim else -spec.roll_in_view_mm / 2
        text = f"dent:{size:.4f},theta={theta:.2f},width={wide:.2f},height={high:.2f},out={out:.3f}"
        angle = math.degrees(2 * wide / spec.outer_diameter_mm)
        return Drawn(with_faults(spec, text), text, _near(theta, angle))

    return draw


def _ring(name: str) -> Callable[[Rng, float], Drawn]:
    def draw(rng: Rng, size: float) -> Drawn:
        spec = _host(rng)
        if name == "groove":
            spec = replace(spec, outer_diameter_mm=spec.outer_diameter_mm + 2 * size)
        else:
            spec = replace(spec, border_mm=spec.border_mm + size)
        height = float(rng.uniform(0.5, 0.9))
        text = f"{name}:{size:.4f},height={height:.2f}"
        return Drawn(with_faults(spec, text), text, {})

    return draw


def _thinned(along: tuple[float, float], around: tuple[float, float]) -> Callable[[Rng, float], Drawn]:
    def draw(rng: Rng, size: float) -> Drawn:
        spec, theta = _host(rng), float(rng.uniform(0, 360))
        wall = max(spec.wall_mm, size + 0.08)
        spec = replace(
            spec, wall_mm=wall, outer_diameter_mm=spec.outer_diameter_mm + 2 * (wall - spec.wall_mm)
        )
        wide, high = float(rng.uniform(*around)), float(rng.uniform(*along))
        text = f"wall-thin:{size:.4f},theta={theta:.2f},width={wide:.2f},height={high:.2f}"
        return Drawn(
            with_faults(spec, text), text, _near(theta, math.degrees(2 * wide / spec.outer_diameter_mm))
        )

    return draw


def _opened(kind: str) -> Callable[[Rng, float], Drawn]:
    """A square hole; a slit along the can; an opening over all of the height in view; one at the rim."""

    def draw(rng: Rng, size: float) -> Drawn:
        spec, theta = _host(rng), float(rng.uniform(0, 360))
        out = -spec.roll_in_view_mm / 2
        if kind == "hole":
            text = f"can-hole:{size:.4f},theta={theta:.2f},out={out:.3f}"
        elif kind == "rim":
            text = f"can-hole:{size:.4f},theta={theta:.2f},out={_rim(spec) + size / 4:.3f}"
        elif kind == "slit":
            width = float(rng.uniform(0.1, 0.2))
            text = f"can-slit:{width:.4f},theta={theta:.2f},height={2 * size:.3f},out={out:.3f}"
        else:
            text = f"can-slit:{size:.4f},theta={theta:.2f},height=12,out={out:.3f}"
        return Drawn(
            with_faults(spec, text), text, _near(theta, math.degrees(2 * size / spec.outer_diameter_mm))
        )

    return draw


def _stack(name: str, whole: bool = False, in_overhang: bool = False) -> Callable[[Rng, float], Drawn]:
    """A fault of the stack; ``in_overhang`` within the free foil, where slices differ from each other."""

    def draw(rng: Rng, size: float) -> Drawn:
        spec = replace(_host(rng), overhang_mm=float(rng.uniform(0.6, 0.9)))
        spec = _seen(spec, spec.overhang_mm + 0.4)
        n = pose(spec).shape[0]
        at = float(rng.uniform(0.25, 0.7))
        if in_overhang:
            at = _foil_slice(spec, pose(spec), size if whole else 0.0) / (n - 1)
        text = f"{name}:{round(size) if whole else round(size, 4)},at={at:.4f}"
        if name == "slices-shifted":
            text += f",towards={float(rng.uniform(0, 360)):.1f}"
        return Drawn(with_faults(spec, text), text, {})

    return draw


def _foil_slice(spec: PhantomSpec, place: Pose, count: float) -> float:
    """Index of the slice from which ``count`` slices lie in the middle of the free foil."""
    ((edge, outward),) = place.edges.values()
    middle = (edge + outward * spec.overhang_mm / 2) / spec.voxel_size_mm[0] * place.axis[2]
    return min(max(middle - count / 2, 1.0), place.shape[0] - count - 2)


def _misstated(name: str, signs: Sequence[float]) -> Callable[[Rng, float], Drawn]:
    def draw(rng: Rng, size: float) -> Drawn:
        sign = float(rng.choice(signs))
        share = size if sign > 0 else -min(size, 0.9)
        text = f"{name}:{share:.4f}"
        return Drawn(with_faults(_host(rng), text), text, {})

    return draw


def _greys(name: str, low: float, high: float, dtype: str | None = None) -> Callable[[Rng, float], Drawn]:
    """A sound cell whose greys were spoilt by ``low`` to ``high``, as the size goes from 0 to 1."""

    def draw(rng: Rng, size: float) -> Drawn:
        spec = _host(rng)
        if dtype is not None:
            image: Any = {"dtype": dtype, "grey_scale": 0.004, "clip_outside": False}
            spec = replace(spec, imaging=replace(spec.imaging, **image))
        text = f"{name}:{low + (high - low) * min(size, 1.0):.4g}"
        return Drawn(with_faults(spec, text), text, {})

    return draw


def _other_cell(rng: Rng, size: float) -> Drawn:
    spec = _host(rng)
    sign = float(rng.choice([-1.0, 1.0]))
    nominal = spec.outer_diameter_mm * (1 + sign * size)
    return Drawn(spec, f"a cell whose nominal diameter is {nominal:.2f} mm", {}, nominal)


_FOIL = ("overhang", "foil", "anode", "cathode", "edge", "roll", "layer", "end")
_ROLL = ("roll", "layer", "winding", "turn", "core", "gap", "delamination")
_CAN = ("can", "wall", "dent", "groove", "outline", "opening", "diameter")
_STACK = ("slice", "spacing", "stack", "order", "shift", "turned", "missing", "repeat", "brightness", "grey")
_DENSE = ("dense", "particle", "bod", "contamination")
_GREY = ("grey", "invert", "contrast", "clip", "saturat", "dark", "bright", "black")
_SIZE = ("voxel", "spacing", "another cell", "scale", "height", "nominal")
D = DETECTED_MM

FAULTY: dict[str, Kind] = {
    "cathode high, sector": Kind(D["overhang"], "mm", _FOIL, _edge("cathode-high", (1.0, 5.0)), 0.5),
    "anode low, sector": Kind(D["overhang"], "mm", _FOIL, _edge("anode-low", (1.0, 5.0)), 0.5),
    "can hole": Kind(D["opening"], "mm", _CAN, _opened("hole"), 1.2),
    "slices repeated": Kind(2, "slices", _STACK, _stack("slices-repeated", whole=True), least=1.0),
    "anode missing, sector": Kind(D["foil"], "mm", _FOIL, _missing(False)),
    "dent": Kind(D["dent"], "mm", _CAN, _dented((1.5, 3.0), (0.8, 1.4)), 0.5),
    "delamination": Kind(D["delamination"], "mm", _ROLL, _delaminated(False)),
    "cathode high, all round": Kind(D["overhang"], "mm", _FOIL, _edge("cathode-high", None), 0.5),
    "slices missing": Kind(2, "slices", _STACK, _stack("slices-missing", True, True), least=1.0),
    "anode notch": Kind(D["notch"], "mm", _FOIL, _notch),
    "wall thin": Kind(D["wall"], "mm", _CAN, _thinned((0.6, 1.2), (0.6, 2.0))),
    "particle in the roll": Kind(D["particle"], "mm", (*_DENSE, "roll"), _particle(False), 0.4),
    "anode missing, all round": Kind(D["foil"], "mm", _FOIL, _missing(True), least=2.0),
    "core crumpled": Kind(0.4, "mm", _ROLL, _crumpled, 1.6),
    "voxel misstated": Kind(0.03, "share", _SIZE, _misstated("voxel-misstated", (1.0, -1.0))),
    "anode low, all round": Kind(D["overhang"], "mm", _FOIL, _edge("anode-low", None), 0.5),
    "groove": Kind(D["ring"], "mm", _CAN, _ring("groove"), 0.4),
    "foil curled into the core": Kind(0.5, "mm", (*_FOIL, "fold", "curl", "bent"), _curled(120.0, True)),
    "slices shifted": Kind(D["shift"], "mm", _STACK, _stack("slices-shifted")),
    "cathodes high, four turns": Kind(
        D["overhang"], "mm", _FOIL, _edge("cathode-high", (1.5, 3.0), turns=4), 0.5),
    "anode tall, all round": Kind(D["tall"], "mm", _FOIL, _tall(True), 0.6),
    "can slit": Kind(D["opening"], "mm", _CAN, _opened("slit"), 0.8),
    "roll telescoped": Kind(D["overhang"], "mm", _FOIL, _telescoped, 0.4),
    "slices turned": Kind(0.5, "deg", _STACK, _stack("slices-turned")),
    "core buckled": Kind(D["core"], "mm", _ROLL, _buckled, 0.4),
    "anode's end low": Kind(D["overhang"], "mm", _FOIL, _end_low, 0.5),
    "can open over its height": Kind(D["opening"], "mm", _CAN, _opened("all")),
    "anodes low, four turns": Kind(D["overhang"], "mm", _FOIL, _edge("anode-low", (1.5, 3.0), turns=4), 0.5),
    "brightness step": Kind(0.05, "share", _STACK, _stack("brightness-step")),
    "delamination, anode low beyond": Kind(D["overhang"], "mm", (*_FOIL, *_ROLL), _delaminated(True), 0.5),
    "dent at the rim": Kind(D["dent"], "mm", _CAN, _dented((1.5, 3.0), (0.8, 1.4), at_rim=True), 0.5),
    "spacing misstated": Kind(0.1, "share", _SIZE, _misstated("spacing-misstated", (1.0, -1.0))),
    "anode ends early": Kind(D["foil"], "mm", _FOIL, _ends_early),
    "wall thin and wide": Kind(D["wall"], "mm", _CAN, _thinned((0.8, 1.6), (3.0, 6.0))),
    "foil folded back": Kind(0.5, "mm", (*_FOIL, "fold", "curl", "bent"), _curled(180.0, False)),
    "slices swapped": Kind(2, "slices", _STACK, _stack("slices-swapped", True, True), least=1.0),
    "narrow dent": Kind(D["dent"], "mm", _CAN, _dented((0.5, 0.9), (0.5, 0.9)), 0.5),
    "lower end negative": Kind(D["overhang"], "mm", _FOIL, _everywhere, 0.5),
    "another cell": Kind(0.03, "share", _SIZE, _other_cell, 0.15),
    "particle in the core": Kind(D["particle"], "mm", _DENSE, _particle(True), 0.4),
    "slices reversed": Kind(4, "slices", _STACK, _stack("slices-reversed", True, True), least=2.0),
    "bulge": Kind(D["ring"], "mm", _CAN, _ring("bulge"), 0.4),
    "anode tall, sector": Kind(D["tall"], "mm", _FOIL, _tall(False), 0.6),
    "hole at the rim": Kind(D["opening"], "mm", _CAN, _opened("rim"), 1.2),
    "greys inverted": Kind(0.2, "share", _GREY, _greys("greys-inverted", 1, 1), cell_is_sound=True),
    "blacks clipped": Kind(0.2, "share", _GREY, _greys("greys-blacks", 0.05, 0.3), cell_is_sound=True),
    "whites clipped": Kind(0.2, "share", _GREY, _greys("greys-whites", 0.8, 0.4), cell_is_sound=True),
    "gamma": Kind(0.2, "share", _GREY, _greys("greys-gamma", 0.9, 0.4), cell_is_sound=True),
    "hot voxels": Kind(0.2, "share", _GREY, _greys("hot-voxels", 20, 500), cell_is_sound=True),
    "sentinels beyond": Kind(
        0.2, "share", _GREY, _greys("greys-beyond", -1000, -1000, "float32"), cell_is_sound=True),
}  # fmt: skip
"""Kinds of faults, in an order in which neighbours differ. A size of an edge is how far the overhang is
negative, or the anode too tall; of what is missing or folded its length along the foil."""
