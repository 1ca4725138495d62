"""What a phantom cell is made of: plain, frozen, and written to JSON and back without loss.

Lengths are in mm and angles in degrees throughout. Positions along the cell are given outward from an end's
nominal cathode edge (``out_mm``, positive towards the cap or the can's bottom), so that a fault stays where
it is however the cell is cut or turned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from xctrules.core.errors import ScanError
from xctrules.cylinder.phantom.roll_faults import Crumple, Curl, EdgeFault, Gap, MissingFoil, Particle
from xctrules.cylinder.phantom.stack_faults import UNITS, StackFault

View = Literal["top", "bottom", "both", "roll", "slice"]
EndName = Literal["top", "bottom"]


@dataclass(frozen=True)
class Layers:
    """Thickness of each layer; the anode's coating takes up what the pitch leaves.

    Outward from the copper's centre one pitch holds: half the copper, anode coating, separator, cathode
    coating, aluminium, cathode coating, separator, anode coating, half the copper of the next turn.
    """

    copper_mm: float = 0.012
    separator_mm: float = 0.014
    cathode_coating_mm: float = 0.078
    aluminium_mm: float = 0.014

    @property
    def cathode_mm(self) -> float:
        """Thickness of the whole cathode, both coatings and the aluminium."""
        return 2 * self.cathode_coating_mm + self.aluminium_mm


@dataclass(frozen=True)
class Greys:
    """Grey value of each material on the scale of an 8-bit scan, before blur.

    Chosen so that the drawn radial profile looks like a published 21700 scan: cathode 77, foil peak near 60,
    gap near 37, can near 197.
    """

    outside: float = 0.0
    void: float = 10.0
    electrolyte: float = 22.0
    separator: float = 24.0
    anode_coating: float = 28.0
    copper: float = 235.0
    cathode_coating: float = 78.0
    aluminium: float = 60.0
    can: float = 197.0
    cap: float = 120.0
    gasket: float = 18.0
    tab: float = 110.0
    pin: float = 190.0
    sleeve: float = 12.0


NMC = Greys()
"""Cells with layered oxides, whose cathode is the brightest of the coatings."""
LFP = Greys(cathode_coating=42.0, aluminium=37.0, anode_coating=36.0)
"""Iron phosphate: light enough that both electrodes look alike, and only copper stands out."""
CHEMISTRIES: Mapping[str, Greys] = {"nmc": NMC, "lfp": LFP}


@dataclass(frozen=True)
class NegativeOverhang:
    """A stretch of the anode's edge that ends short: over ``width_deg`` the overhang is ``length_mm`` there.

    ``length_mm`` is signed and counted from the nearer of the two cathode faces; ``shoulder_deg`` on each
    side leads back to the sound edge.
    """

    end: EndName = "top"
    turn: int = 5
    theta_deg: float = 40.0
    width_deg: float = 20.0
    length_mm: float = -0.1
    shoulder_deg: float = 5.0


@dataclass(frozen=True)
class Dent:
    """A dent of the can, a raised-cosine hollow: both surfaces move inward by up to ``depth_mm``.

    A negative depth makes a bump. ``width_mm`` (along the circumference) and ``height_mm`` are full extents.
    ``out_mm`` is the height of its deepest point, outward from the nominal cathode edge of ``end``; in a view
    of the roll alone it counts from the view's middle.
    """

    theta_deg: float = 120.0
    depth_mm: float = 0.1
    width_mm: float = 4.0
    height_mm: float = 2.0
    out_mm: float = -1.3
    end: EndName = "top"


@dataclass(frozen=True)
class Ring:
    """A ring all the way round the can where both surfaces lie further in by up to ``depth_mm``.

    A groove; with a negative depth, a bulge. Raised cosine over ``height_mm`` in all, at full depth over
    ``flat_mm`` of it. Its middle is placed like a dent's.
    """

    depth_mm: float = 0.3
    height_mm: float = 0.8
    flat_mm: float = 0.0
    out_mm: float = -1.0
    end: EndName = "top"


@dataclass(frozen=True)
class WallPatch:
    """A rectangle of the can's surface whose sheet is ``wall_mm`` thick: thinned, or open where that is 0.

    A hole, a slit along or around, a worn place. ``width_mm`` runs along the circumference, the whole of it
    where it is as long; the missing metal is ``taken_from`` one side. Its middle is placed like a dent's.
    """

    theta_deg: float = 60.0
    wall_mm: float = 0.0
    width_mm: float = 1.0
    height_mm: float = 1.0
    out_mm: float = -1.0
    end: EndName = "top"
    taken_from: Literal["inside", "outside"] = "inside"


@dataclass(frozen=True)
class Buckle:
    """Core buckling: the innermost turns are pushed inward by ``amplitude_mm`` at ``theta_deg``.

    Raised cosine of full width ``width_deg``; dies off outward as exp(-depth/decay_mm).
    """

    amplitude_mm: float = 0.2
    theta_deg: float = 200.0
    width_deg: float = 90.0
    decay_mm: float = 1.2


@dataclass(frozen=True)
class Tab:
    """A metal strip along the axis, welded to one turn's copper (``anode``) or aluminium (``cathode``).

    The turns outside it are lifted by its thickness over ``lift_deg`` of the circumference, which leaves a
    sickle of electrolyte beside the strip, as seen in real cells. The strip stands up ``beyond_mm`` past
    the cathode's nominal edge.
    """

    turn: int = 6
    theta_deg: float = 180.0
    electrode: Literal["anode", "cathode"] = "cathode"
    end: EndName = "top"
    width_mm: float = 3.0
    thickness_mm: float = 0.1
    beyond_mm: float = 1.2
    lift_deg: float = 150.0
    decay_mm: float = 2.0
    grey: float | None = None
    """Grey of the strip where it is not that of :class:`Greys`: nickel is bright, aluminium dark."""


@dataclass(frozen=True)
class CentrePin:
    """A steel tube in the core; it ends ``short_mm`` inside the nominal cathode edges (negative: beyond)."""

    outer_diameter_mm: float = 2.4
    wall_mm: float = 0.2
    short_mm: float = -0.3


@dataclass(frozen=True)
class Imaging:
    """How the drawn cell becomes a scan. Relative amplitudes are fractions of the cathode's grey."""

    blur_px: float = 0.9
    """Standard deviation of the point spread in the axial plane, in voxels."""
    blur_z_px: float | None = None
    """The same along z; ``None`` for the same length in mm as in the plane."""
    noise: float = 0.02
    noise_correlation_px: float = 0.6
    """White noise is smoothed with this sigma and brought back to the asked standard deviation."""
    rings: float = 0.0
    cupping: float = 0.0
    """Loss of grey at the axis against the can's outside, as a fraction of the local grey."""
    streaks: float = 0.0
    dtype: Literal["uint8", "uint16", "float32"] = "uint8"
    grey_scale: float | None = None
    """Grey levels per unit of :class:`Greys`; ``None``: 1, or 256 in 16 bit."""
    grey_offset: float = 0.0
    clip_outside: bool = True
    """Set what lies outside the can to zero, as published scans often have it."""


@dataclass(frozen=True)
class Tomography:
    """An X-ray tube, a detector and a reconstruction in place of painted artefacts.

    Materials then have their physical attenuation. Of :class:`Imaging`, blur, noise (in the roll, as a
    fraction of the cathode's grey), data type and clipping hold; cupping, rings and streaks come from what
    stands here. Of :class:`Greys`, those of can and cathode set the scale.
    """

    tube_voltage_kv: float = 160.0
    filter_material: Literal["aluminium", "copper"] | None = "copper"
    filter_mm: float = 0.5
    energy_kev: float | None = None
    """Energy of a monochromatic beam in place of the tube's, which has no beam hardening."""
    projections: int | None = None
    """Views over the whole turn; ``None`` for pi times the detector's pixels, which is enough."""
    gain_sd: float = 0.0
    """Relative standard deviation of the detector pixels' gains that is left after the flat field: rings."""
    bad_columns: tuple[tuple[int, float], ...] = ()
    """Detector columns (pixels from the middle, relative error of gain; -1 for a dead one)."""
    linearised: bool = False
    """Whether a polynomial corrects beam hardening, as scanners do."""

    def __post_init__(self) -> None:
        columns = tuple((int(column), float(error)) for column, error in self.bad_columns)
        object.__setattr__(self, "bad_columns", columns)  # lists, when read from JSON


@dataclass(frozen=True)
class PhantomSpec:
    """A cylindrical cell, the part of it that is scanned, and how. See the module for conventions."""

    format: str = "21700"
    outer_diameter_mm: float = 21.21
    wall_mm: float = 0.22
    height_mm: float = 70.0

    # what the scan shows
    view: View = "top"
    voxel_size_mm: tuple[float, float, float] = (0.034, 0.034, 0.034)
    roll_in_view_mm: float = 3.0
    """Height of wound roll shown inside the nominal cathode edge (one end in view), or in all (``roll``)."""
    beyond_mm: float | None = None
    """Height shown beyond the nominal cathode edge; ``None`` for all of the end and the border."""
    border_mm: float = 0.6
    field_of_view_mm: float | None = None
    """Side of the axial square that is scanned; ``None`` for the can and its border."""
    slice_order: Literal["top_to_bottom", "bottom_to_top"] = "top_to_bottom"

    # how the cell stands in the scan
    tilt_deg: float = 0.0
    tilt_direction_deg: float = 0.0
    """Azimuth towards which the axis leans as z grows."""
    offset_mm: tuple[float, float] = (0.0, 0.0)
    """(x, y) of the axis at the middle of the volume, from the volume's centre."""

    # the roll
    turns: float = 22.0
    """Turns of the copper foil."""
    pitch_mm: float = 0.384
    core_radius_mm: float = 1.8
    """Radius of the copper's centre at its inner end."""
    handedness: Literal[1, -1] = 1
    start_deg: float = 30.0
    lead_in_turns: float = 1.0
    """Turns of anode inside the first cathode."""
    lead_out_turns: float = 1.1
    """Turns of anode outside the last cathode; at least 1 in a sound cell, to face all of the cathode."""
    layers: Layers = field(default_factory=Layers)
    roll_offset_mm: tuple[float, float] = (0.0, 0.0)
    """(x, y) of the roll's axis from the can's."""
    buckle: Buckle | None = None
    tabs: tuple[Tab, ...] = ()
    pin: CentrePin | None = None

    # the electrode edges
    overhang_mm: float = 0.66
    overhang_sd_mm: float = 0.03
    """Standard deviation of a smooth random variation along the anode's edge."""
    overhang_by_turn_mm: tuple[float, ...] = ()
    """Mean overhang of each turn in place of ``overhang_mm``; the last entry holds for further turns."""
    overhang_correlation_deg: float = 60.0
    overhang_wave_mm: float = 0.0
    """Amplitude of a variation once around, on every turn: overhang + wave cos(theta - direction)."""
    overhang_wave_deg: float = 0.0
    anode_margin_mm: float = 0.6
    """Width of bare copper at the anode's edge."""
    telescope_mm: float = 0.4
    """How far the outermost turn lies below the innermost one (towards the bottom)."""
    edge_wave_mm: float = 0.02
    """Standard deviation of a smooth random shift of the wound tape along the axis."""
    deflection_inner_deg: float = 2.0
    deflection_outer_deg: float = -9.0
    """Lean of the free foil at the innermost and outermost turn, linear between; negative is inward."""
    deflection_sd_deg: float = 2.5
    negative_overhangs: tuple[NegativeOverhang, ...] = ()

    # the can
    wall_variation_mm: float = 0.0
    """Amplitude of the wall's thickness over the angle: wall + variation cos(theta - direction)."""
    wall_variation_deg: float = 0.0
    ovality_mm: float = 0.0
    ovality_deg: float = 0.0
    """Direction of the ellipse's major axis."""
    dents: tuple[Dent, ...] = ()
    rings: tuple[Ring, ...] = ()
    wall_patches: tuple[WallPatch, ...] = ()
    taper_deg: float = 0.0
    """Lean of the can's wall against its axis: the radius grows with z and is nominal in mid-view."""
    fittings: bool = True
    """Whether the ends have their bead, crimp, cap and bottom; without, the can is an open tube."""
    bead_out_mm: float = 1.2
    """Height beyond the nominal cathode edge where the bead begins, at the can's top."""
    bead_depth_mm: float = 1.6
    bottom_gap_mm: float = 1.6
    """From the nominal cathode edge to the can's inner bottom."""
    bottom_mm: float = 0.3
    sleeve_mm: float = 0.0

    greys: Greys = field(default_factory=Greys)
    imaging: Imaging = field(default_factory=Imaging)
    tomography: Tomography | None = None
    """How the cell is projected and reconstructed; ``None`` for a painted scan."""
    voxel_scale_relative_uncertainty: float | None = 0.0005
    seed: int = 1

    # what is wrong with the roll, and with the stack of slices
    edge_faults: tuple[EdgeFault, ...] = ()
    missing_foils: tuple[MissingFoil, ...] = ()
    gaps: tuple[Gap, ...] = ()
    crumple: Crumple | None = None
    curls: tuple[Curl, ...] = ()
    particles: tuple[Particle, ...] = ()
    stack_faults: tuple[StackFault, ...] = ()

    def __post_init__(self) -> None:
        _check(self)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types; :func:`spec_from_dict` reads it back."""
        return asdict(self)


def _check(s: PhantomSpec) -> None:
    """Refuse what cannot be drawn, with the reason."""

    def refuse(what: str, todo: str) -> None:
        raise ScanError(what, where="phantom", todo=todo)

    if s.view not in ("top", "bottom", "both", "roll", "slice"):
        refuse(f"unknown view {s.view!r}", "Use top, bottom, both, roll or slice.")
    if len(s.voxel_size_mm) != 3 or not all(v > 0 for v in s.voxel_size_mm):
        refuse(f"voxel size {s.voxel_size_mm} mm", "Give three positive lengths z, y, x in mm.")
    if s.turns <= 0 or s.pitch_mm <= 0 or s.core_radius_mm <= 0:
        refuse("turns, pitch and core radius must be positive", "Correct them.")
    room = s.pitch_mm - s.layers.copper_mm - 2 * s.layers.separator_mm - s.layers.cathode_mm
    if room <= 0:
        refuse(
            f"the layers are {-room:.3f} mm thicker than the pitch",
            "Make the pitch wider or the layers thinner.",
        )
    outermost = s.core_radius_mm + s.pitch_mm * s.turns
    inside = s.outer_diameter_mm / 2 - s.wall_mm
    if outermost >= inside:
        refuse(
            f"{s.turns:g} turns reach a radius of {outermost:.2f} mm in a can of {inside:.2f} mm",
            "Ask for fewer turns, a narrower pitch or a wider can.",
        )
    if s.handedness not in (1, -1):
        refuse(f"a handedness of {s.handedness}", "Use 1 or -1.")
    if not 0 <= s.tilt_deg < 30:
        refuse(f"a tilt of {s.tilt_deg:g} degrees", "Tilts from 0 to below 30 degrees can be drawn.")
    if any(patch.wall_mm < 0 or patch.width_mm <= 0 or patch.height_mm <= 0 for patch in s.wall_patches):
        refuse("a patch of the wall without size, or thinner than nothing", "Give lengths from 0.")
    if any(not 0 <= ring.flat_mm < ring.height_mm for ring in s.rings):
        refuse("a ring that is flat over more than its height", "Make it higher.")
    if not abs(s.taper_deg) < 5:
        refuse(f"a taper of {s.taper_deg:g} degrees", "Tapers below 5 degrees can be drawn.")
    pushed = sum(gap.gap_mm * math.exp(-(outermost - s.core_radius_mm) / gap.decay_mm) for gap in s.gaps)
    if outermost + pushed >= inside:
        refuse(
            f"gaps between layers push the roll {pushed:.2f} mm further, into the can", "Make the can wider."
        )
    if any(curl.width_deg > 360 or curl.bend_radius_mm <= 0 for curl in s.curls):
        refuse("a foil curled over more than one turn, or without a bend radius", "Correct it.")
    unknown = [fault.kind for fault in s.stack_faults if fault.kind not in UNITS]
    if unknown:
        refuse(f"unknown fault of the stack {unknown[0]!r}", f"Use one of {', '.join(UNITS)}.")
    if s.tomography:
        _check_tube(s.tomography, refuse)
    if s.buckle and s.buckle.amplitude_mm >= s.buckle.decay_mm:
        refuse("the buckle is deeper than its decay length, so that layers would cross", "Make it shallower.")


def _check_tube(tube: Tomography, refuse: Callable[[str, str], None]) -> None:
    if not 40 <= tube.tube_voltage_kv <= 300:
        refuse(f"a tube voltage of {tube.tube_voltage_kv:g} kV", "Voltages from 40 to 300 kV are known.")
    if tube.energy_kev is not None and not 20 <= tube.energy_kev <= 300:
        refuse(f"X-rays of {tube.energy_kev:g} keV", "Energies from 20 to 300 keV are known.")
    if tube.filter_material not in (None, "aluminium", "copper") or tube.filter_mm < 0:
        refuse(
            f"a filter of {tube.filter_mm:g} mm {tube.filter_material}",
            "Use aluminium or copper of a thickness from 0.",
        )
    if tube.projections is not None and tube.projections < 2:
        refuse(f"{tube.projections} projections", "Ask for some hundreds.")
    if tube.gain_sd < 0 or any(error < -1 for _, error in tube.bad_columns):
        refuse("a negative gain of the detector", "Give errors of gain from -1 (dead), scatter from 0.")


_NESTED: Mapping[str, type] = {
    "layers": Layers,
    "greys": Greys,
    "imaging": Imaging,
    "tomography": Tomography,
    "buckle": Buckle,
    "pin": CentrePin,
    "tabs": Tab,
    "dents": Dent,
    "rings": Ring,
    "wall_patches": WallPatch,
    "negative_overhangs": NegativeOverhang,
    "edge_faults": EdgeFault,
    "missing_foils": MissingFoil,
    "gaps": Gap,
    "crumple": Crumple,
    "curls": Curl,
    "particles": Particle,
    "stack_faults": StackFault,
}
_NAMES = frozenset(f.name for f in fields(PhantomSpec))


def spec_from_dict(values: Mapping[str, Any]) -> PhantomSpec:
    """The spec that :meth:`PhantomSpec.to_dict` wrote, also after a turn through JSON.

    Raises
    ------
    ScanError
        On an unknown key, or a value that cannot be drawn.
    """
    made: dict[str, Any] = {}
    for name, value in values.items():
        if name not in _NAMES:
            raise ScanError(f"unknown phantom field {name!r}", where="phantom", todo="Correct its name.")
        kind = _NESTED.get(name)
        if kind is not None and isinstance(value, Mapping):
            made[name] = kind(**value)
        elif kind is not None and value is not None:
            made[name] = tuple(v if isinstance(v, kind) else kind(**v) for v in value)
        elif isinstance(value, list):
            made[name] = tuple(value)
        else:
            made[name] = value
    try:
        return PhantomSpec(**made)
    except TypeError as error:
        raise ScanError(f"the phantom cannot be drawn: {error}", where="phantom") from error


# Nominal sizes only; walls and rolls are typical ones, not any maker's drawing.
_PRESETS: Mapping[str, Mapping[str, Any]] = {
    "21700": {},
    "18650": {
        "format": "18650",
        "outer_diameter_mm": 18.3,
        "wall_mm": 0.25,
        "height_mm": 65.0,
        "turns": 19.0,
        "pitch_mm": 0.362,
        "core_radius_mm": 1.75,
        "layers": Layers(cathode_coating_mm=0.072),
    },
    "26650": {
        "format": "26650",
        "outer_diameter_mm": 26.2,
        "wall_mm": 0.3,
        "height_mm": 65.2,
        "turns": 29.0,
        "pitch_mm": 0.362,
        "core_radius_mm": 2.0,
        "layers": Layers(cathode_coating_mm=0.072),
    },
    "4680": {
        "format": "4680",
        "outer_diameter_mm": 46.0,
        "wall_mm": 0.6,
        "height_mm": 80.0,
        "turns": 46.0,
        "pitch_mm": 0.43,
        "core_radius_mm": 2.2,
        "bead_depth_mm": 2.2,
        "layers": Layers(cathode_coating_mm=0.09),
        "voxel_size_mm": (0.06, 0.06, 0.06),
    },
    # Not a cell that anyone sells: as few voxels as still show everything, for tests and many draws.
    "small": {
        "format": "small",
        "outer_diameter_mm": 8.0,
        "wall_mm": 0.25,
        "height_mm": 14.0,
        "turns": 7.0,
        "core_radius_mm": 0.85,
        "lead_in_turns": 0.5,
        "voxel_size_mm": (0.04, 0.04, 0.04),
        "roll_in_view_mm": 2.0,
        "telescope_mm": 0.12,
        "bead_depth_mm": 0.8,
        "border_mm": 0.3,
    },
}

PRESETS = tuple(_PRESETS)
"""Names that :func:`preset` knows."""


def preset(name: str = "21700", **changes: Any) -> PhantomSpec:
    """A sound cell of the named format, with ``changes`` to single fields.

    Raises
    ------
    ScanError
        When there is no such preset, or the changed cell cannot be drawn.
    """
    if name not in _PRESETS:
        raise ScanError(
            f"no phantom of format {name!r}", where="phantom", todo=f"Use one of {', '.join(PRESETS)}."
        )
    return replace(PhantomSpec(**_PRESETS[name]), **changes) if changes else PhantomSpec(**_PRESETS[name])


def small(**changes: Any) -> PhantomSpec:
    """The small cell that tests and ensembles draw; ``changes`` to single fields."""
    return preset("small", **changes)


def scaled_layers(layers: Layers, factor: float) -> Layers:
    """Layers of thinner or thicker electrodes: the coatings change, foils and separator stay what they are.

    ``factor`` is that of the pitch; the anode's coating takes up what is left, and keeps its share about.
    """
    fixed = layers.copper_mm + 2 * layers.separator_mm + layers.aluminium_mm
    coated = 2 * layers.cathode_coating_mm
    # the anode's coating is about as thick as the cathode's: both share what foils and separators leave
    more = (factor - 1.0) * (fixed + 2 * coated)
    return replace(layers, cathode_coating_mm=layers.cathode_coating_mm + more / 4)


def spec_from_options(
    format: str = "21700",
    *,
    view: View | None = None,
    voxel_size_mm: Sequence[float] | float | None = None,
    roll_in_view_mm: float | None = None,
    turns: float | None = None,
    overhang_mm: float | None = None,
    negative_overhang_mm: float | None = None,
    dent_mm: float | None = None,
    tilt_deg: float | None = None,
    buckle_mm: float | None = None,
    ovality_mm: float | None = None,
    tab: bool = False,
    tabs: int | None = None,
    pin: bool = False,
    chemistry: str | None = None,
    pitch_mm: float | None = None,
    core_radius_mm: float | None = None,
    diameter_mm: float | None = None,
    handedness: int | None = None,
    noise: float | None = None,
    blur_px: float | None = None,
    bits: int | None = None,
    formation: Literal["painted", "projected"] = "painted",
    seed: int | None = None,
) -> PhantomSpec:
    """A spec from the options of ``xctrules phantom``; ``None`` leaves the preset's value.

    ``chemistry`` is one of :data:`CHEMISTRIES`. Faults take a middling place: the negative overhang on a
    middle turn over 20 degrees, the dent over the middle of the roll in view. ``bits`` is 8, 16 or 32
    (float). ``formation`` is ``painted``, or ``projected`` with the tube and detector of :class:`Tomography`.
    """
    base = preset(format)
    changes: dict[str, Any] = {}
    if pitch_mm is not None:
        changes["layers"] = scaled_layers(base.layers, pitch_mm / base.pitch_mm)
    if chemistry is not None:
        changes["greys"] = CHEMISTRIES[chemistry]
    for name, value in (
        ("pitch_mm", pitch_mm), ("core_radius_mm", core_radius_mm), ("outer_diameter_mm", diameter_mm),
        ("handedness", handedness),
        ("view", view), ("roll_in_view_mm", roll_in_view_mm), ("turns", turns),
        ("overhang_mm", overhang_mm), ("tilt_deg", tilt_deg), ("ovality_mm", ovality_mm), ("seed", seed),
    ):  # fmt: skip
        if value is not None:
            changes[name] = value
    if voxel_size_mm is not None:
        sizes = [voxel_size_mm] * 3 if isinstance(voxel_size_mm, int | float) else list(voxel_size_mm)
        changes["voxel_size_mm"] = tuple(float(v) for v in sizes)
    end: EndName = "bottom" if view == "bottom" else "top"
    middle = int((turns or base.turns) // 2)
    if negative_overhang_mm is not None:
        fault = NegativeOverhang(end=end, turn=middle, length_mm=-abs(negative_overhang_mm))
        changes["negative_overhangs"] = (fault,)
    if dent_mm is not None:
        dent = Dent(
            depth_mm=dent_mm, width_mm=base.outer_diameter_mm / 5, end=end, out_mm=-base.roll_in_view_mm / 2.3
        )
        changes["dents"] = (dent,)
    if buckle_mm is not None:
        changes["buckle"] = Buckle(amplitude_mm=buckle_mm)
    count = int(tab) if tabs is None else tabs
    if count:  # from one turn inside the middle outward, a third of a turn apart
        first = max(1, middle - 4)
        changes["tabs"] = tuple(
            Tab(turn=first + i, theta_deg=(180.0 + 120 * i) % 360, end=end) for i in range(count)
        )
    if pin:
        core = base.core_radius_mm if core_radius_mm is None else core_radius_mm
        changes["pin"] = CentrePin(outer_diameter_mm=2 * core * 0.7)
    if formation == "projected":
        changes["tomography"] = Tomography()
    imaging = base.imaging
    if noise is not None:
        imaging = replace(imaging, noise=noise)
    if blur_px is not None:
        imaging = replace(imaging, blur_px=blur_px)
    if bits is not None:
        kinds: Mapping[int, Literal["uint8", "uint16", "float32"]] = {8: "uint8", 16: "uint16", 32: "float32"}
        if bits not in kinds:
            raise ScanError(f"no phantom of {bits} bits", where="phantom", todo="Use 8, 16 or 32 (float).")
        imaging = replace(imaging, dtype=kinds[bits])
    return replace(base, imaging=imaging, **changes)
