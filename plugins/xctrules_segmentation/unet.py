"""The segmenter ``unet``: a trained network says what every pixel of a half-plane is, and the electrode edges
are then located in its answer as in a scan.

The network takes noise, blur and weak contrast off the half-planes: what is left are greys as an ideal
scanner would show them, with the network's own doubt as their blur. In these the edges are found by the same
code as in a scan's own greys (:func:`xctrules_segmentation.ends.find_end`), below the pixel. The can, which
any scan shows well, comes from the scan itself; so does the foil's path through the roll, unless the
network's copper contradicts it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import ModelError, NotMeasurable
from xctrules.cylinder.frame import GEOMETRY, End, EndInView
from xctrules.cylinder.half_planes import STANDARD_MM, Planes, contrast, standard_planes
from xctrules.cylinder.litert import Probabilities, probabilities_of
from xctrules.cylinder.model_card import FoundModel, ModelCard, find_model
from xctrules.cylinder.surfaces import (
    LABELS,
    MEASURED,
    NO_FACING_CATHODE,
    UNCLEAR,
    Agreement,
    ConfidenceMap,
    CylinderCell,
    CylinderSettings,
    EndEdges,
    Floats,
    FoilTrace,
    Followed,
    Segmentation,
)
from xctrules_segmentation.classical import ClassicalSegmenter
from xctrules_segmentation.ends import find_end
from xctrules_segmentation.faces import CathodeFaces
from xctrules_segmentation.layout import Layout, layout_near
from xctrules_segmentation.plane_labels import NOT_KNOWN, label_planes
from xctrules_segmentation.second_opinion import contradicted
from xctrules_segmentation.unet_layout import Fit, faced, fit_of, trace_in
from xctrules_segmentation.window import Window

MODEL = "overhang_unet"
"""The bundled model."""

LEAST_PLANES = 72
"""Half-planes on which the network is asked, at least: the foil is followed from one to the next."""

MOST_PLANES = 1440
"""Half-planes, at most. At 9 mm from the axis these lie one pixel of the network apart: more show nothing
new, and the network's answers take some 0.6 MB each for a cell 21 mm wide."""

IDEAL_GREYS = {"background": 0.0, "can": 2.0, "cathode": 1.0, "copper": 1.0, "overhang": 1.0}
"""Grey of each class in restored half-planes. Only differences across edges matter, and no two bright classes
touch that have an edge to be found between them."""

GOOD_FIT, BETTER_FIT, LEAST_FIT = 0.97, 0.02, 0.6
"""Share of the foil that must lie on the network's copper, and of the copper on the foil: from the first on
the foil followed in the greys is taken without further question; followed in the copper it must fit better by
the second; below the third neither way is right."""

LAYERS_TOLD_APART = 0.9
"""Share of the foil on the network's copper, and of the copper on the foil, from which on the network is
taken to tell the layers apart: one spiral through all turns is nothing that noise would show."""

_AROUND_MM = 0.1
"""So far around an edge the network's confidence is averaged: it is always in doubt in the pixels of the edge
itself."""

AGREEMENT_CLASSES = ("cathode", "copper", "overhang")

RunNetwork = Callable[[Planes], Probabilities]
FollowedIn = Literal["scan", "network"]


class UnetSegmenter:
    """Finds the electrode edges by a trained model; see the module.

    Parameters
    ----------
    model
        Name of a bundled model, or path of one.
    run_network
        What gives the class probabilities of planes, in place of the model's own file.
    """

    geometry = GEOMETRY
    name = "unet"

    def __init__(self, model: str = MODEL, run_network: RunNetwork | None = None) -> None:
        self.model = model
        self.run_network = run_network

    def check(self, settings: CylinderSettings) -> None:
        """Find the model, or raise ModelError; so too for more half-planes than it is asked on."""
        find_model(settings.model or self.model)
        if settings.angles > MOST_PLANES and settings.mask_of is None:
            raise ModelError(
                f"the segmenter {self.name} looks at no more than {MOST_PLANES} half-planes, and "
                f"{settings.angles} are asked for: they would lie closer together than its pixels",
                where="--angles",
                todo=f"Give {MOST_PLANES} or fewer, or use --segmenter classical.",
            )

    def segment(self, cell: CylinderCell) -> Segmentation:
        model = find_model(cell.settings.model or self.model)
        if cell.settings.mask_of is not None:
            return ClassicalSegmenter().segment(cell)  # two values: there is nothing for a network to see
        run = self.run_network or (lambda planes: probabilities_of(model.data, planes.grey, model.tflite))
        looked = {}
        unseen: dict[str, str] = {}
        # Neither needs the other, and both leave Python for most of their time.
        with ThreadPoolExecutor(1) as pool:
            later = pool.submit(ClassicalSegmenter().segment_with_cathodes, cell)
            # One end after the other: the network's answer is by far the largest thing held.
            for end in cell.frame.ends:
                try:
                    answer = _ask(cell, end, model.card, run)
                    looked[end.name] = _look(cell, answer, model.card, *later.result())
                    del answer
                except NotMeasurable as absent:
                    unseen[end.name] = absent.reason
            found, faces = later.result()
        missing = {name: reason for name, reason in found.missing.items() if name not in ("top", "bottom")}
        missing |= unseen
        for name in ("top", "bottom"):
            if name not in looked and name not in missing:
                missing[name] = found.missing.get(name, f"the {name} end is not in view")
        foils = [seen.foil for seen in looked.values()]
        if foils:
            missing.pop("foil", None)
            missing.pop("faces", None)
        agreement = None
        try:
            agreement = _agreement(cell, found, faces, looked)
        except NotMeasurable as absent:
            missing["agreement"] = absent.reason
        return Segmentation(
            segmenter=self.name,
            can=found.can,
            foil=foils[0] if foils else found.foil,
            ends={name: seen.edges for name, seen in looked.items()},
            missing=missing,
            separability=found.separability,
            parameters=_parameters(model, looked),
            warnings=(*found.warnings, *(w for seen in looked.values() for w in seen.warnings)),
            confidence={name: seen.confidence for name, seen in looked.items()},
            agreement=agreement,
            waives=_waived(model.card, looked, len(cell.frame.ends)),
        )


@dataclass(frozen=True)
class _Answer:
    """What the network says of one end's half-planes, of which every ``every``-th is measured."""

    end: EndInView
    planes: Planes
    probabilities: Probabilities
    every: int
    contrast: float


@dataclass(frozen=True)
class _Looked:
    """What the network showed at one end."""

    planes: Planes
    labels: NDArray[np.uint8]
    foil: FoilTrace
    foil_from: FollowedIn
    fit: float
    contrast: float
    edges: EndEdges
    confidence: ConfidenceMap
    warnings: tuple[str, ...]


def _ask(cell: CylinderCell, end: EndInView, card: ModelCard, run: RunNetwork) -> _Answer:
    """Have the network look at an end, if that is within the model's scope."""
    if cell.frame.outer_radius_mm is None:
        raise NotMeasurable("the can is not in view, and the model was trained on cells in their can")
    angles = cell.settings.angles
    every = -(-LEAST_PLANES // angles) if angles < LEAST_PLANES else 1
    theta: Floats = np.arange(angles * every, dtype=np.float64) * (360.0 / (angles * every))
    _check_voxel(cell, card)
    planes = standard_planes(cell, end, theta)
    clear = contrast(planes)
    if clear < card.scope.least_contrast:
        raise NotMeasurable(
            f"the scan is outside the model's scope at the {end.name} end: the roll stands out of the void "
            f"by {clear:.1f} times the noise of a pixel of {STANDARD_MM:g} mm, and the model {card.name} "
            f"asks for {card.scope.least_contrast:g}"
        )
    return _Answer(end, planes, run(planes), every, clear)


def _look(
    cell: CylinderCell, answer: _Answer, card: ModelCard, found: Segmentation, faces: CathodeFaces | None
) -> _Looked:
    """Locate the edges in the network's answer."""
    end, planes, probabilities, every = answer.end, answer.planes, answer.probabilities, answer.every
    layout, foil, fit, source = _layout(cell, end, planes, probabilities, found, faces, every)
    window = restored(planes, probabilities, every)
    edges = find_end(cell, end, layout, window)
    # A cathode that the network half believes in makes too small a step to be one.
    faint = (edges.state == NO_FACING_CATHODE) & faced(layout, planes, probabilities, every)
    edges = _without(edges, faint | ((edges.state == MEASURED) & ~fit.there))
    sure = _around_edges(planes, probabilities, every, end, edges, layout)
    with np.errstate(invalid="ignore"):
        doubtful = sure < card.scope.least_confidence
    edges = dataclasses.replace(_without(edges, doubtful), model_sigma_mm=card.common_error.sigma_mm)
    warnings = []
    if end.name in found.ends:
        state = contradicted(edges, found.ends[end.name], cell.frame.voxel_mm[0])
        differ = state != edges.state
        if differ.any():
            edges = dataclasses.replace(_without(edges, differ), state=state)
            warnings.append(
                f"{end.name} end: {int(differ.sum())} overhangs were not measured, since there the model and "
                "the scan's own greys do not say the same"
            )
    if doubtful.any():
        warnings.append(
            f"{end.name} end: {int(doubtful.sum())} overhangs were not measured, since there the model's "
            f"confidence lies below the {card.scope.least_confidence:g} that its card asks for"
        )
    labels = probabilities.argmax(axis=-1).astype(np.uint8)
    return _Looked(
        planes=planes,
        labels=labels,
        foil=foil,
        foil_from=source,
        fit=fit.worse,
        contrast=answer.contrast,
        edges=edges,
        confidence=_map(planes, labels, every, sure, edges, card.scope.least_confidence),
        warnings=tuple(warnings),
    )


def _waived(card: ModelCard, looked: Mapping[End, _Looked], ends: int) -> dict[str, str]:
    """Layers need not show apart in the greys where the network tells them apart at every end in view."""
    worst = min((seen.fit for seen in looked.values()), default=0.0)
    if not ends or len(looked) < ends or worst < LAYERS_TOLD_APART:
        return {}
    reason = f"the model {card.name} tells copper and cathode apart, {worst:.0%} of the foil on its copper"
    return {"screening.layer_separation": reason}


def _check_voxel(cell: CylinderCell, card: ModelCard) -> None:
    low, high = card.scope.voxel_mm
    sides = cell.frame.voxel_mm
    if min(sides) < 0.999 * low or max(sides) > 1.001 * high:
        shown = " x ".join(f"{1000 * side:.3g}" for side in sides)
        raise NotMeasurable(
            f"the scan is outside the model's scope: its voxels of {shown} um are not between "
            f"{1000 * low:g} and {1000 * high:g} um, for which the model {card.name} was validated"
        )


def _layout(
    cell: CylinderCell,
    end: EndInView,
    planes: Planes,
    probabilities: Probabilities,
    found: Segmentation,
    faces: CathodeFaces | None,
    every: int,
) -> tuple[Layout, FoilTrace, Fit, FollowedIn]:
    """The layers at this end, the foil they come from, how well it fits the network's copper, and in what it
    was followed."""
    angles = cell.settings.angles
    measured = dataclasses.replace(planes, grey=planes.grey[::every], theta_deg=planes.theta_deg[::every])
    answers = probabilities[::every]
    best: tuple[Layout, FoilTrace, Fit, FollowedIn] | None = None
    reason = found.missing.get("foil", "the foil cannot be followed")
    if found.foil is not None and found.foil.followed is Followed.COPPER and faces is not None:
        try:
            layout = layout_near(found.foil, faces, end.z_mm, angles)
            best = layout, found.foil, fit_of(layout, measured, answers), "scan"
        except NotMeasurable as absent:
            reason = absent.reason
    if best is None or best[2].worse < GOOD_FIT:
        try:
            foil, own_faces = trace_in(cell, planes, probabilities, found.can)
            layout = layout_near(foil, own_faces, end.z_mm, angles)
            fit = fit_of(layout, measured, answers)
            if best is None or fit.worse > best[2].worse + BETTER_FIT:
                best = layout, foil, fit, "network"
        except NotMeasurable as absent:
            reason = absent.reason
    if best is None or best[2].worse < LEAST_FIT:
        contradicts = (
            "" if best is None else "; what was followed does not lie on the copper that the model sees"
        )
        raise NotMeasurable(f"the winding cannot be followed at the {end.name} end ({reason}{contradicts})")
    return best


def restored(planes: Planes, probabilities: Probabilities, every: int = 1) -> Window:
    """Greys as an ideal scanner would show them: their expectation over the classes, on every ``every``-th
    half-plane and the rows that the scan holds."""
    ideal = np.array([IDEAL_GREYS[name] for name in LABELS], dtype=np.float32)
    return _window(planes, probabilities[::every] @ ideal, every)


def _window(planes: Planes, values: NDArray[np.float32], every: int) -> Window:
    """``values`` (nt, nh, nr) of planes, ordered outward and cut to the rows that the scan holds."""
    held = np.flatnonzero(planes.seen)[::-1]
    return Window(
        np.ascontiguousarray(values.swapaxes(0, 1)[held]),
        planes.height_mm[held],
        planes.theta_deg[::every],
        planes.r_mm,
        STANDARD_MM,
    )


# --- confidence --------------------------------------------------------------------------------------------


def _around_edges(
    planes: Planes,
    probabilities: Probabilities,
    every: int,
    end: EndInView,
    edges: EndEdges,
    layout: Layout,
) -> Floats:
    """Mean of the largest class probability around tip and cathode edge, (nturns, nt); the less sure of them.

    Where an edge was not clear it is looked for where it usually is. NaN where none was due.
    """
    window = _window(planes, probabilities[::every].max(axis=-1), every)
    steps = np.arange(-_AROUND_MM, _AROUND_MM + 0.5 * STANDARD_MM, STANDARD_MM)
    due = np.isin(edges.state, (MEASURED, UNCLEAR))
    places = [(edges.anode_z_mm, _last_known(edges.path_r_mm, layout.foil_mm))]
    places += [(z, r) for z, r in zip(edges.cathode_z_mm, (layout.inner_mm, layout.outer_mm), strict=True)]
    found = []
    for z_mm, r_mm in places:
        height = end.outward * (z_mm - end.z_mm)
        height = np.where(np.isnan(height) & (edges.state == UNCLEAR), _usual(height), height)
        found.append(_mean_around(window, height, np.where(due, r_mm, np.nan), steps))
    return np.asarray(np.fmin(found[0], np.fmin(found[1], found[2])))


def _usual(height_mm: Floats) -> Floats:
    """Median of each turn (nturns, 1), or of all where a turn has none; NaN where there are none at all."""
    known = height_mm[np.isfinite(height_mm)]
    otherwise = float(np.median(known)) if known.size else float("nan")
    turns = [row[np.isfinite(row)] for row in height_mm]
    return np.array([[float(np.median(row)) if row.size else otherwise] for row in turns])


def _last_known(path_r_mm: Floats, otherwise: Floats) -> Floats:
    """Radius (nturns, nt) at the outermost known place of each path (nturns, nt, npath)."""
    known = np.isfinite(path_r_mm)
    # Paths are stored outward.
    index = path_r_mm.shape[-1] - 1 - known[..., ::-1].argmax(axis=-1)
    value = np.take_along_axis(path_r_mm, index[..., None], axis=-1)[..., 0]
    return np.where(known.any(axis=-1), value, otherwise)


def _mean_around(window: Window, height_mm: Floats, r_mm: Floats, steps: Floats) -> Floats:
    """Mean of a window over a square around (nturns, nt) places; NaN where a place is not known."""
    rows = (height_mm[..., None] + steps - window.height_mm[0]) / window.step_mm
    rows = np.clip(np.rint(np.nan_to_num(rows)), 0, window.height_mm.size - 1).astype(np.intp)
    total = np.zeros(height_mm.shape)
    for shift in steps:
        values = window.at(r_mm + shift)  # (nh, nturns, nt)
        total += np.take_along_axis(values, np.moveaxis(rows, -1, 0), axis=0).mean(axis=0)
    known = np.isfinite(height_mm) & np.isfinite(r_mm)
    return np.where(known, total / steps.size, np.nan)


def _without(edges: EndEdges, doubtful: NDArray[np.bool_]) -> EndEdges:
    """``edges`` with some places (nturns, nt) not measured, since they are not clear."""
    return dataclasses.replace(
        edges,
        state=np.where(doubtful, np.int8(UNCLEAR), edges.state),
        anode_z_mm=np.where(doubtful, np.nan, edges.anode_z_mm),
        cathode_z_mm=np.where(doubtful, np.nan, edges.cathode_z_mm),
        path_z_mm=np.where(doubtful[..., None], np.nan, edges.path_z_mm),
        path_r_mm=np.where(doubtful[..., None], np.nan, edges.path_r_mm),
    )


def _map(
    planes: Planes,
    labels: NDArray[np.uint8],
    every: int,
    sure: Floats,
    edges: EndEdges,
    least: float,
) -> ConfidenceMap:
    """With the half-plane of the least mean confidence as an example: where to look first."""
    known = np.isfinite(sure)
    mean = np.where(known, sure, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    example = int(np.argmin(np.where(known.any(axis=0), mean, np.inf)))
    return ConfidenceMap(
        theta_deg=edges.theta_deg,
        confidence=sure,
        least=least,
        example_deg=float(edges.theta_deg[example]),
        grey=planes.grey[example * every],
        labels=labels[example * every],
        pixel_mm=STANDARD_MM,
    )


# --- what is told of it ------------------------------------------------------------------------------------


def _agreement(
    cell: CylinderCell, classical: Segmentation, faces: CathodeFaces | None, looked: dict[End, _Looked]
) -> Agreement:
    """Dice scores between the network's classes and the classical segmenter's, where that measured."""
    both = [name for name in looked if name in classical.ends]
    if not both:
        raise NotMeasurable("the classical segmenter found no edges to compare with")
    values = [LABELS[name] for name in AGREEMENT_CLASSES]
    counts = []
    for name in both:
        seen = looked[name]
        drawn = label_planes(cell, seen.planes, classical, faces)
        known = drawn != NOT_KNOWN
        for mine, theirs, use in zip(seen.labels, drawn, known, strict=True):
            a, b = mine[use], theirs[use]
            counts.append([((a == v) & (b == v), a == v, b == v) for v in values])
    table = np.array([[[part.sum() for part in parts] for parts in plane] for plane in counts], dtype=float)
    total = table.sum(axis=0)
    dice = _dice(total)
    return Agreement(dict(zip(AGREEMENT_CLASSES, dice.tolist(), strict=True)), _dice(table).mean(axis=1))


def _dice(counts: Floats) -> Floats:
    """Dice scores from counts (..., 3) of pixels: in both, in one, in the other. 1 where neither has any."""
    size = counts[..., 1] + counts[..., 2]
    return np.asarray(np.where(size > 0, 2 * counts[..., 0] / np.maximum(size, 1), 1.0))


def _parameters(model: FoundModel, looked: dict[End, _Looked]) -> dict[str, object]:
    """What the record says of the model and how it was used."""
    card = model.card
    return {
        "model": card.name,
        "model_version": card.version,
        "model_sha256": model.sha256,
        "scope": card.scope.model_dump(),
        "common_error": card.common_error.model_dump(),
        "ends": {
            name: {
                "planes": int(seen.planes.theta_deg.size),
                "contrast": round(seen.contrast, 2),
                "foil_followed_in": seen.foil_from,
                "foil_on_copper": round(seen.fit, 4),
            }
            for name, seen in looked.items()
        },
    }
