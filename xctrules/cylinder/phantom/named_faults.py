"""Faults by name and size, as ``xctrules phantom --fault`` and ensembles of faulty cells ask for them.

In: text such as ``cathode-high:1.0,turn=6,width=30``, and the spec of a cell. Out: the spec with that fault.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from xctrules.core import wording
from xctrules.core.errors import ScanError
from xctrules.cylinder.phantom.roll_faults import Crumple, Curl, EdgeFault, Gap, MissingFoil, Particle
from xctrules.cylinder.phantom.spec import Buckle, Dent, EndName, PhantomSpec, Ring, WallPatch
from xctrules.cylinder.phantom.stack_faults import StackFault, StackFaultKind

Values = Mapping[str, float]
MIDDLE = math.nan
"""Stands in the defaults for the middle turn of the roll, or for the middle of the roll in view."""


@dataclass(frozen=True)
class FaultKind:
    """A fault that can be asked for by name.

    Attributes
    ----------
    means
        What is wrong, in a few words, with what the size is of.
    unit
        Of the size: ``mm``, ``deg``, ``slices``, ``share``, or what else it counts.
    values
        ``size`` and everything else that can be chosen, with what it is unless chosen.
    add
        Gives a spec with the fault, from the sound one.
    """

    means: str
    unit: str
    values: Values
    add: Callable[[PhantomSpec, Values], PhantomSpec]


def with_fault(spec: PhantomSpec, text: str) -> PhantomSpec:
    """``spec`` with one more fault, given as ``NAME``, ``NAME:SIZE`` or ``NAME:SIZE,KEY=VALUE,...``.

    Raises
    ------
    ScanError
        When there is no such fault or key, a value is no number, or the faulty cell cannot be drawn.
    """
    name, _, rest = text.strip().partition(":")
    kind = FAULTS.get(name)
    if kind is None:
        _refuse(f"no fault {name!r}{wording.did_you_mean(name, FAULTS)}", f"Use one of {', '.join(FAULTS)}.")
        raise AssertionError
    chosen: dict[str, float] = dict(kind.values)
    for i, part in enumerate(p.strip() for p in rest.split(",") if p.strip()):
        key, equals, value = part.partition("=")
        if not equals and i == 0:
            key, value = "size", part
        if key not in chosen:
            keys = ", ".join(k for k in chosen if k != "size")
            _refuse(f"the fault {name} has no {key!r}", f"It has a size, and: {keys or 'nothing else'}.")
        chosen[key] = _number(name, key, value)
    return kind.add(spec, chosen)


def with_faults(spec: PhantomSpec, text: str) -> PhantomSpec:
    """``spec`` with all the faults of a list, separated by semicolons."""
    for part in text.split(";"):
        if part.strip():
            spec = with_fault(spec, part)
    return spec


def _number(name: str, key: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        _refuse(f"{key} of the fault {name} is {value!r}, no number", "Give a number, such as 0.5.")
    return number


def _refuse(what: str, todo: str) -> None:
    raise ScanError(what, where="--fault", todo=todo)


# --- where -----------------------------------------------------------------------------------------------


def _end(spec: PhantomSpec) -> EndName:
    return "bottom" if spec.view == "bottom" else "top"


def _turn(spec: PhantomSpec, v: Values) -> int:
    return int(spec.turns // 2) if math.isnan(v["turn"]) else round(v["turn"])


def _out(spec: PhantomSpec, v: Values) -> float:
    """Height outward from the nominal edge: the middle of the roll in view unless given."""
    if not math.isnan(v["out"]):
        return v["out"]
    return -spec.roll_in_view_mm / 2 if spec.view in ("top", "bottom", "both") else 0.0


ON_FOIL: Values = {"turn": MIDDLE, "theta": 60.0}
ON_CAN: Values = {"theta": 120.0, "out": MIDDLE}


# --- what ------------------------------------------------------------------------------------------------


def _edge(spec: PhantomSpec, **values: Any) -> PhantomSpec:
    return replace(spec, edge_faults=(*spec.edge_faults, EdgeFault(end=_end(spec), **values)))


def _edge_of(electrode: str, sign: float) -> Callable[[PhantomSpec, Values], PhantomSpec]:
    def add(spec: PhantomSpec, v: Values) -> PhantomSpec:
        at = {"turn": _turn(spec, v), "theta_deg": v["theta"], "width_deg": v["width"]}
        return _edge(spec, electrode=electrode, by_mm=sign * v["size"], **at)

    return add


def _notch(spec: PhantomSpec, v: Values) -> PhantomSpec:
    at = {"turn": _turn(spec, v), "theta_deg": v["theta"], "width_mm": v["size"]}
    return _edge(spec, electrode="anode", by_mm=-v["depth"], **at)


def _last_degrees(spec: PhantomSpec, v: Values) -> PhantomSpec:
    """The foil's end low, over so many of the last degrees that still face a cathode."""
    from xctrules.cylinder.phantom.geometry import Winding

    winding = Winding(spec)
    # the foil's last piece faces no cathode: it lies outside the cathode's own end
    beyond = max(spec.lead_out_turns - 1.0, 0.0) * 360.0
    width = v["degrees"] + beyond
    middle = spec.turns - width / 720.0
    at = {"turn": int(winding.turn(middle)), "theta_deg": float(winding.theta_deg(middle))}
    return _edge(spec, electrode="anode", by_mm=-v["size"], width_deg=width, **at)


def _telescoped(spec: PhantomSpec, v: Values) -> PhantomSpec:
    """All of the roll from a turn on lies further in at the end in view, and further out at the other."""
    from xctrules.cylinder.phantom.geometry import Winding

    winding = Winding(spec)
    begins = float(winding.phase(_turn(spec, v), v["theta"]))
    width = spec.turns + 1.0 - begins
    at = {
        "turn": int(winding.turn(begins + width / 2)),
        "theta_deg": float(winding.theta_deg(begins + width / 2)),
        "width_deg": 360.0 * width,
    }
    end = _end(spec)
    other: EndName = "top" if end == "bottom" else "bottom"
    moved = (
        EdgeFault("both", -v["size"], end, **at),  # type: ignore[arg-type]
        EdgeFault("both", v["size"], other, **at),  # type: ignore[arg-type]
    )
    return replace(spec, edge_faults=spec.edge_faults + moved)


def _missing(spec: PhantomSpec, v: Values) -> PhantomSpec:
    foil = MissingFoil(_turn(spec, v), v["theta"], v["size"])
    return replace(spec, missing_foils=(*spec.missing_foils, foil))


def _delamination(spec: PhantomSpec, v: Values) -> PhantomSpec:
    """A gap; where the can leaves too little room, the turns outside it take up what does not fit."""
    turn = _turn(spec, v)
    outside = spec.pitch_mm * max(spec.turns - turn, 1.0)
    room = spec.outer_diameter_mm / 2 - spec.wall_mm - spec.core_radius_mm - spec.pitch_mm * spec.turns
    decay = 20.0
    if v["size"] * math.exp(-outside / decay) > 0.7 * room:
        decay = outside / math.log(v["size"] / (0.7 * room))
    gap = Gap(turn, v["theta"], v["width"], v["size"], decay_mm=decay)
    return replace(spec, gaps=(*spec.gaps, gap))


def _curled(spec: PhantomSpec, v: Values) -> PhantomSpec:
    turn = round(v["turn"])
    curl = Curl(turn, v["theta"], v["width"], _end(spec), -v["size"], v["radius"], v["straight"])
    return replace(spec, curls=(*spec.curls, curl))


def _particle(spec: PhantomSpec, v: Values) -> PhantomSpec:
    radius = v["radius"]
    if math.isnan(radius):
        radius = spec.core_radius_mm + spec.pitch_mm * (spec.turns // 2 + 0.5)
    ball = Particle(v["size"], radius, v["theta"], _out(spec, v), _end(spec), v["grey"])
    return replace(spec, particles=(*spec.particles, ball))


def _dent(spec: PhantomSpec, v: Values) -> PhantomSpec:
    dent = Dent(v["theta"], v["size"], v["width"], v["height"], _out(spec, v), _end(spec))
    return replace(spec, dents=(*spec.dents, dent))


def _ring(sign: float) -> Callable[[PhantomSpec, Values], PhantomSpec]:
    def add(spec: PhantomSpec, v: Values) -> PhantomSpec:
        ring = Ring(sign * v["size"], v["height"], 0.0, _out(spec, v), _end(spec))
        return replace(spec, rings=(*spec.rings, ring))

    return add


def _patch(spec: PhantomSpec, v: Values, wall_mm: float, width: float, height: float) -> PhantomSpec:
    patch = WallPatch(v["theta"], wall_mm, width, height, _out(spec, v), _end(spec))
    return replace(spec, wall_patches=(*spec.wall_patches, patch))


def _thin(spec: PhantomSpec, v: Values) -> PhantomSpec:
    return _patch(spec, v, max(spec.wall_mm - v["size"], 0.0), v["width"], v["height"])


def _hole(spec: PhantomSpec, v: Values) -> PhantomSpec:
    return _patch(spec, v, 0.0, v["size"], v["size"])


def _slit(spec: PhantomSpec, v: Values) -> PhantomSpec:
    return _patch(spec, v, 0.0, v["size"], v["height"])


def _stack(kind: StackFaultKind) -> Callable[[PhantomSpec, Values], PhantomSpec]:
    def add(spec: PhantomSpec, v: Values) -> PhantomSpec:
        fault = StackFault(kind, v["size"], v.get("at", 0.5), v.get("towards", 0.0))
        return replace(spec, stack_faults=(*spec.stack_faults, fault))

    return add


AT: Values = {"at": 0.5}

FAULTS: Mapping[str, FaultKind] = {
    "cathode-high": FaultKind(
        "a cathode stands so far above its edge, over WIDTH degrees (360: all round, 720: two turns)",
        "mm", {"size": 1.0, **ON_FOIL, "width": 30.0}, _edge_of("cathode", +1)),
    "anode-low": FaultKind(
        "an anode's edge lies so far below where it should, over WIDTH degrees",
        "mm", {"size": 1.0, **ON_FOIL, "width": 20.0}, _edge_of("anode", -1)),
    "anode-tall": FaultKind(
        "an anode stands so far above where it should, over WIDTH degrees",
        "mm", {"size": 0.5, **ON_FOIL, "width": 360.0}, _edge_of("anode", +1)),
    "anode-notch": FaultKind(
        "a notch of so many mm along an anode's edge, DEPTH mm deep",
        "mm", {"size": 0.5, **ON_FOIL, "depth": 1.0}, _notch),
    "anode-end-low": FaultKind(
        "the anode lies so far below over the last DEGREES at which it faces a cathode",
        "mm", {"size": 1.0, "degrees": 15.0}, _last_degrees),
    "anode-ends-early": FaultKind(
        "the anode ends so many degrees before it has covered the cathode",
        "deg", {"size": 15.0}, lambda spec, v: replace(spec, lead_out_turns=1.0 - v["size"] / 360.0)),
    "anode-missing": FaultKind(
        "there is no anode over so many degrees (360: all round)",
        "deg", {"size": 360.0, **ON_FOIL}, _missing),
    "roll-telescoped": FaultKind(
        "all of the roll from TURN on lies so far further in",
        "mm", {"size": 1.0, **ON_FOIL}, _telescoped),
    "delamination": FaultKind(
        "layers stand apart by so much, over WIDTH degrees",
        "mm", {"size": 0.3, **ON_FOIL, "width": 120.0}, _delamination),
    "core-crumpled": FaultKind(
        "the layers within this radius are crumpled beyond recognition",
        "mm", {"size": 2.0, "amplitude": 0.25},
        lambda spec, v: replace(spec, crumple=Crumple(v["size"], v["amplitude"]))),
    "core-buckled": FaultKind(
        "the innermost turn is pushed inward by so much",
        "mm", {"size": 0.2, "theta": 200.0, "width": 90.0},
        lambda spec, v: replace(spec, buckle=Buckle(v["size"], v["theta"], v["width"]))),
    "foil-curled": FaultKind(
        "free foil is bent inward by so many degrees, STRAIGHT mm above the cathode, over WIDTH degrees",
        "deg", {"size": 120.0, "turn": 1.0, "theta": 100.0, "width": 60.0, "radius": 0.1, "straight": 0.1},
        _curled),
    "particle": FaultKind(
        "a ball of so many mm in diameter, RADIUS mm from the axis",
        "mm", {"size": 0.3, "radius": MIDDLE, "theta": 130.0, "out": MIDDLE, "grey": 235.0}, _particle),
    "dent": FaultKind(
        "a dent of the can so deep, WIDTH mm wide and HEIGHT mm high",
        "mm", {"size": 0.2, **ON_CAN, "width": 3.0, "height": 1.2}, _dent),
    "groove": FaultKind(
        "a groove so deep all the way round the can, HEIGHT mm high",
        "mm", {"size": 0.2, "out": MIDDLE, "height": 0.8}, _ring(+1)),
    "bulge": FaultKind(
        "a bulge so high all the way round the can",
        "mm", {"size": 0.2, "out": MIDDLE, "height": 0.8}, _ring(-1)),
    "wall-thin": FaultKind(
        "so much of the can's wall is missing on its inside, over WIDTH mm around and HEIGHT mm along",
        "mm", {"size": 0.15, **ON_CAN, "width": 2.0, "height": 1.0}, _thin),
    "can-hole": FaultKind(
        "a square hole of this side in the can", "mm", {"size": 1.0, **ON_CAN}, _hole),
    "can-slit": FaultKind(
        "a crack of this width through the can, HEIGHT mm along it",
        "mm", {"size": 0.3, **ON_CAN, "height": 2.0}, _slit),
    "can-taper": FaultKind(
        "the can's wall leans by so much", "deg", {"size": 1.0},
        lambda spec, v: replace(spec, taper_deg=v["size"])),
    "slices-repeated": FaultKind(
        "one slice stands there so many times more", "slices", {"size": 5.0, **AT}, _stack("repeated")),
    "slices-missing": FaultKind(
        "so many slices are missing, and their names do not show it", "slices", {"size": 5.0, **AT},
        _stack("missing")),
    "slices-swapped": FaultKind(
        "two slices so far apart have changed places", "slices", {"size": 4.0, **AT}, _stack("swapped")),
    "slices-reversed": FaultKind(
        "so many slices stand in reverse order", "slices", {"size": 20.0, **AT}, _stack("reversed")),
    "slices-shifted": FaultKind(
        "from a slice on the cell lies so far aside, TOWARDS an angle", "mm",
        {"size": 0.2, **AT, "towards": 0.0}, _stack("shifted")),
    "slices-turned": FaultKind(
        "from a slice on the cell is turned by so much", "deg", {"size": 5.0, **AT}, _stack("turned")),
    "brightness-step": FaultKind(
        "from a slice on the greys are larger by this share", "share", {"size": 0.1, **AT},
        _stack("brightness")),
    "spacing-misstated": FaultKind(
        "the sidecar gives the slices' spacing larger by this share; -0.5: half of it", "share",
        {"size": -0.5}, _stack("spacing")),
    "voxel-misstated": FaultKind(
        "the sidecar gives the voxel size larger by this share", "share", {"size": -0.07}, _stack("voxel")),
    "greys-inverted": FaultKind("bright is dark", "share", {"size": 1.0}, _stack("inverted")),
    "greys-blacks": FaultKind(
        "all below this share of the can's grey is clipped", "share", {"size": 0.23}, _stack("blacks")),
    "greys-whites": FaultKind(
        "all above this share of the can's grey is clipped", "share", {"size": 0.5}, _stack("whites")),
    "greys-gamma": FaultKind(
        "greys over the can's are raised to this power", "exponent", {"size": 0.5}, _stack("gamma")),
    "hot-voxels": FaultKind(
        "so many single voxels are as bright as can be", "voxels", {"size": 50.0}, _stack("hot")),
    "greys-beyond": FaultKind(
        "outside the circle that fits into a slice stands this grey", "grey", {"size": 255.0},
        _stack("beyond")),
}  # fmt: skip
"""Every fault by name. AT is a place in the stack, 0 to 1; OUT a height outward from the nominal cathode
edge;
without a place of its own a fault lies in the middle of what is in view."""
