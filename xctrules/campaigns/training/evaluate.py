"""How good a model is: on phantoms and on a scan it has not seen, and beside the classical segmenter.

Nothing here knows how a segmenter works: edges are measured as an inspection measures them, by the segmenters
``classical`` and ``unet`` and the metric that gives overhangs, as they are registered.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xctrules.campaigns.training.phantom_planes import UNKNOWN, PlaneStack, labels_in_frame, random_spec
from xctrules.campaigns.training.scan_planes import (
    Correction,
    corrections_of,
    label_ends,
    open_cell,
    split_by_angle,
)
from xctrules.campaigns.training.scores import dice_of
from xctrules.core.errors import NotMeasurable, PluginError
from xctrules.core.files import write_file
from xctrules.cylinder.half_planes import contrast, standard_planes
from xctrules.cylinder.litert import probabilities_of
from xctrules.cylinder.model_card import CommonError
from xctrules.cylinder.phantom import Greys, Imaging, PhantomSpec, draw, preset
from xctrules.cylinder.surfaces import LABELS, MEASURED, CylinderCell, EndEdges
from xctrules.engine.measuring import segment
from xctrules.engine.registry import Provided, Registry, load_plugins
from xctrules.engine.run_metric import run_metric
from xctrules.engine.testing import phantom_cell

Json = dict[str, Any]
Labels = NDArray[np.uint8]
Tell = Callable[[str], None]

SEGMENTERS = ("classical", "unet")
OVERHANG = "overhang.length.mean"

HELD_OUT_SEED = 77
"""Phantoms for scores are drawn from other seeds than those for training."""

CLASSES = ("can", "cathode", "copper", "overhang")


# --- phantoms at a published scan's quality --------------------------------------------------------------


def published_spec(index: int) -> PhantomSpec:
    """CylinderCell ``index`` of those that are scored: a random geometry, scanned as a published scan was."""
    rng = np.random.default_rng((HELD_OUT_SEED, index))
    spec = random_spec(rng)
    voxel = 0.034
    spec = replace(
        spec,
        voxel_size_mm=(voxel * (1 + index % 2), voxel, voxel),
        greys=Greys(),
        imaging=replace(Imaging(), blur_px=float(rng.uniform(0.7, 1.2))),
        roll_in_view_mm=1.6,
        beyond_mm=2.5,
        tilt_deg=float(rng.uniform(0, 1.5)),
        lead_in_turns=min(spec.lead_in_turns, 1.2),
        lead_out_turns=min(spec.lead_out_turns, 1.2),
        seed=index + 1,
    )
    spare = max(spec.turns - 9.3, 0.0)  # fewer turns show the same and cost less
    if spec.turns > 12:
        spec = replace(spec, turns=9.3, outer_diameter_mm=spec.outer_diameter_mm - 2 * spec.pitch_mm * spare)
    return spec


def published_stack(index: int, planes: int = 8) -> PlaneStack:
    """Planes of :func:`published_spec`, drawn as a volume, found and sampled as any scan is."""
    spec = published_spec(index)
    cell, _ = phantom_cell(draw(spec), angles=36, segmented=False)
    theta = np.random.default_rng((HELD_OUT_SEED, index, 1)).uniform(0, 360, planes)
    sampled = standard_planes(cell, cell.frame.ends[0], theta)
    return PlaneStack(f"published_{index:03d}", sampled.grey, labels_in_frame(spec, cell.frame, sampled))


def held_out_scores(data: bytes, first: int, count: int) -> Json:
    """Dice of each class on phantoms ``first`` to ``first + count`` at published noise."""
    counts = np.zeros((len(LABELS), 3), np.int64)
    planes = 0
    for index in range(first, first + count):
        stack = published_stack(index)
        found = predicted(data, stack.grey)
        counts += agreement(found, stack.label).sum(axis=0)
        planes += len(found)
    return {"phantoms": count, "planes": planes, "dice": _dice(counts)}


def predicted(data: bytes, grey: NDArray[np.float32]) -> Labels:
    """Labels of planes by a LiteRT model."""
    return np.asarray(probabilities_of(data, grey).argmax(axis=-1), dtype=np.uint8)


def agreement(found: Labels, label: Labels) -> NDArray[np.int64]:
    """Pixels by plane and class, (n, classes, 3): in both, found, labelled; unknown ones left out."""
    known = label != UNKNOWN
    values = LABELS.values()
    masks = [((found == v) & known, label == v) for v in values]
    return np.array(
        [[(a & b).sum(axis=(1, 2)), a.sum(axis=(1, 2)), b.sum(axis=(1, 2))] for a, b in masks]
    ).transpose(2, 0, 1)


def _dice(counts: NDArray[np.int64]) -> Json:
    scores = dice_of(counts)
    return {
        name: round(float(scores[value]), 4) if math.isfinite(scores[value]) else None
        for name, value in LABELS.items()
        if name != "background"
    }


# --- measuring with both segmenters ----------------------------------------------------------------------


@dataclass(frozen=True)
class Bench:
    """The two segmenters and the overhang metric, with the model under test in its place."""

    segmenters: Mapping[str, Provided]
    overhang: Provided

    @classmethod
    def of(cls, model: Path, registry: Registry | None = None) -> Bench:
        """
        Raises
        ------
        PluginError
            When one of them is not there.
        """
        registry = registry or load_plugins(third_party=False)
        known = {p.value.name: p for p in registry.segmenters}
        lacking = [name for name in SEGMENTERS if name not in known]
        metrics = [p for p in registry.metrics if OVERHANG in p.value.declares]
        if lacking or not metrics:
            raise PluginError(
                f"there is no {'segmenter ' + lacking[0] if lacking else 'metric for overhangs'}",
                where="evaluation",
                todo="Install the bundled plugins, or mend them.",
            )
        unet = copy.copy(known["unet"].value)
        unet.model = str(model)
        segmenters = {"classical": known["classical"], "unet": Provided(known["unet"].plugin, unet)}
        return cls(segmenters, metrics[0])

    def segmented(self, cell: CylinderCell, name: str) -> tuple[CylinderCell, str]:
        """The cell as that segmenter sees it, and why it could not, if so."""
        cell = segment(cell, self.segmenters[name])
        if cell.segmentation is None:
            return cell, cell.no_surfaces
        missing = cell.segmentation.missing.items()
        return cell, "; ".join(f"{k}: {v}" for k, v in missing if k in ("top", "bottom", "foil"))

    def lengths(self, cell: CylinderCell) -> Mapping[str, NDArray[Any]]:
        """Every overhang looked at, by column; empty where nothing was measured."""
        if cell.segmentation is None:
            return {}
        outcome = run_metric(self.overhang, cell)
        return outcome.samples[0].columns if outcome.samples else {}


def measured(bench: Bench, cell: CylinderCell, truth: Mapping[str, Any], name: str) -> Json:
    """Mean overhang against its truth in z voxels, and the share of true places that were measured."""
    cell, reason = bench.segmented(cell, name)
    columns = bench.lengths(cell)
    (end,) = (e for e in ("top", "bottom") if e in truth["samples"])
    every = 360 // cell.settings.angles
    true = np.array(truth["samples"][end]["length_mm"], dtype=float)[:, ::every]
    due = int(np.isfinite(true).sum())
    length = np.asarray(columns.get("length_mm", ()), dtype=float)
    if not np.isfinite(length).any():
        return {"share": 0.0, "error": None, "due": due, "reason": reason or "nothing was measured"}
    voxel = cell.frame.voxel_mm[0]
    error = (float(np.nanmean(length)) - float(np.nanmean(true))) / voxel
    result: Json = {
        "share": round(int(np.isfinite(length).sum()) / due, 4),
        "error": round(error, 3),
        "due": due,
    }
    edges = None if cell.segmentation is None else cell.segmentation.ends.get(end)  # type: ignore[call-overload]
    maps: Mapping[Any, Any] = {} if cell.segmentation is None else cell.segmentation.confidence
    sure = maps.get(end)
    if sure is not None and np.isfinite(sure.confidence).any():
        result["confidence"] = round(float(np.nanmedian(sure.confidence)), 3)
    if edges is not None and len(set(np.asarray(columns["end"]).tolist())) == 1:
        radius = np.array(truth["samples"][end]["radius_mm"], dtype=float)[:, ::every]
        off = _off_the_truth(edges, length.reshape(edges.state.shape), radius, true) / voxel
        if off.size:
            result["scatter"] = round(float(np.std(off)), 3)
            result["within_one"] = round(float(np.mean(np.abs(off) < 1)), 4)
    return result


def _off_the_truth(
    edges: EndEdges, length: NDArray[Any], radius: NDArray[Any], true: NDArray[Any]
) -> NDArray[Any]:
    """Measured less true length at each place, (n,); its true turn is the one of the nearest radius."""
    known = np.isfinite(edges.path_r_mm)
    foot = np.take_along_axis(edges.path_r_mm, known.argmax(axis=-1)[..., None], axis=-1)[..., 0]
    away = np.abs(foot[:, None] - np.where(np.isfinite(true), radius, np.inf)[None])
    nearest = np.take_along_axis(true, np.nan_to_num(away, nan=np.inf).argmin(axis=1), axis=0)
    off = length - nearest
    return np.asarray(off[np.isfinite(off)])


# --- where the classical segmenter fails -----------------------------------------------------------------

STEPS: tuple[tuple[str, float, float, bool], ...] = (
    ("published", 1.0, 1.0, False),
    ("noise x 3", 3.0, 1.0, False),
    ("blur 1.5 voxels", 1.0, 1.5, False),
    ("contrast halved", 1.0, 1.0, True),
    ("noise x 3, blur 1.5", 3.0, 1.5, False),
    ("noise x 3, contrast halved", 3.0, 1.0, True),
    ("blur 1.5, contrast halved", 1.0, 1.5, True),
    ("all three", 3.0, 1.5, True),
    ("noise x 5", 5.0, 1.0, False),
    ("noise x 5, blur 1.5, contrast halved", 5.0, 1.5, True),
)
"""Name, factor of the published noise, blur in voxels (1: as published), cathode/anode contrast halved."""

ALL_THREE = "all three"


def degraded(spec: PhantomSpec, noise: float, blur: float, halved: bool) -> PhantomSpec:
    """The same cell in a worse scan. Halved contrast brings cathode and aluminium half-way to the anode."""
    imaging = replace(spec.imaging, noise=spec.imaging.noise * noise, blur_px=0.9 if blur == 1.0 else blur)
    g = spec.greys
    if halved:
        g = replace(
            g,
            cathode_coating=(g.cathode_coating + g.anode_coating) / 2,
            aluminium=(g.aluminium + g.anode_coating) / 2,
        )
        # Noise is drawn as a fraction of the cathode's grey; the scanner's stays what it was.
        imaging = replace(imaging, noise=imaging.noise * spec.greys.cathode_coating / g.cathode_coating)
    return replace(spec, greys=g, imaging=imaging)


def ladder_cells() -> dict[str, PhantomSpec]:
    """Cells of different geometry that are taken down the ladder; none is in the training data."""
    return {
        "7 turns, top": preset(
            "small", view="top", voxel_size_mm=(0.04, 0.034, 0.034), beyond_mm=2.2, seed=401
        ),
        "9 turns, bottom, long overhang": preset(
            "small", view="bottom", turns=9.0, pitch_mm=0.35, core_radius_mm=1.0, outer_diameter_mm=9.6,
            overhang_mm=0.9, telescope_mm=-0.2, deflection_inner_deg=6.0, deflection_outer_deg=-12.0,
            bottom_gap_mm=1.7, voxel_size_mm=(0.068, 0.034, 0.034), beyond_mm=2.2, seed=402,
        ),
        "21700, top": preset(
            "21700", view="top", voxel_size_mm=(0.068, 0.034, 0.034), roll_in_view_mm=2.0, beyond_mm=2.4,
            seed=403,
        ),
    }  # fmt: skip


def ladder(bench: Bench, *, angles: int = 72, tell: Tell = print) -> Iterator[Json]:
    """Each cell at each step with each segmenter: one row for each cell and step."""
    for cell_name, spec in ladder_cells().items():
        for step, noise, blur, halved in STEPS:
            phantom = draw(degraded(spec, noise, blur, halved))
            cell, reason = _found(phantom, angles)
            row: Json = {"cell": cell_name, "step": step}
            for name in SEGMENTERS:
                row[name] = (
                    {"share": 0.0, "error": None, "reason": reason}
                    if cell is None
                    else measured(bench, cell, phantom.truth, name)
                )
            tell(
                f"{cell_name}, {step}: "
                + "; ".join(f"{n} {row[n]['error']} z voxels, {row[n]['share']:.3f}" for n in SEGMENTERS)
            )
            yield row


def _found(phantom: Any, angles: int) -> tuple[CylinderCell | None, str]:
    try:
        return phantom_cell(phantom, angles=angles, segmented=False)[0], ""
    except NotMeasurable as error:
        return None, error.reason


def ladder_table(rows: Sequence[Json]) -> list[Json]:
    """One line for each step: over its cells, the worst mean error, and the share measured by each segmenter.

    ``within_one`` is the share of all true places that were measured to within one z voxel.
    """
    table = []
    for step, *_ in STEPS:
        own = [row for row in rows if row["step"] == step]
        line: Json = {"step": step, "cells": len(own)}
        for name in SEGMENTERS:
            errors = [r[name]["error"] for r in own if r[name]["error"] is not None]
            near = [r[name]["within_one"] * r[name]["share"] for r in own if "within_one" in r[name]]
            near += [0.0] * (len(own) - len(errors))
            shares = [r[name]["share"] for r in own]
            line[name] = {
                "measured_cells": len(errors),
                "worst_error": max(errors, key=abs) if errors else None,
                "share": round(float(np.mean(shares)), 4) if shares else None,
                "within_one": round(float(np.mean(near)), 4) if len(near) == len(own) else None,
            }
        table.append(line)
    return table


LEAST_SHARE = 0.5
"""Share of the true places that must be measured for a cell's mean to tell of the model's error: below it the
mean is of the places that happened to be seen."""


def common_error(rows: Sequence[Json]) -> CommonError | None:
    """What is common to all lengths that the model measures in a scan: root mean square of the errors of the
    mean overhang over the cells and steps of the ladder, in mm.

    Not only their scatter, for nothing is corrected by their mean. Scans that the model refused, or of which
    it measured little, do not count; ``None`` where there are no others.
    """
    cells = ladder_cells()
    errors = [
        row["unet"]["error"] * cells[row["cell"]].voxel_size_mm[0]
        for row in rows
        if row["unet"]["error"] is not None and row["unet"]["share"] >= LEAST_SHARE
    ]
    if not errors:
        return None
    return CommonError(
        sigma_mm=round(float(np.sqrt(np.mean(np.square(errors)))), 5),
        source=f"root mean square error of the mean overhang in {len(errors)} scans of drawn cells of the "
        f"degradation ladder ({1000 * min(errors):+.0f} to {1000 * max(errors):+.0f} um)",
    )


# --- how noisy a scan may be -----------------------------------------------------------------------------

NOISES = (5.0, 8.0, 12.0, 16.0, 24.0)
"""Factors of the published noise, up to where a roll hardly shows any more."""


def ever_noisier(bench: Bench, *, angles: int = 72, tell: Tell = print) -> Iterator[Json]:
    """The two smaller cells of the ladder by the network alone, in ever more noise until it fails.

    One row for each scan, with its contrast as the model's scope means it.
    """
    for cell_name, spec in list(ladder_cells().items())[:2]:
        for noise in NOISES:
            phantom = draw(degraded(spec, noise, 1.0, False))
            cell, _ = _found(phantom, angles)
            clear = None if cell is None else _contrast(cell, phantom.truth)
            if cell is None or clear is None:
                break  # no cell, or no end of one, is seen in it: there is nothing to ask a model
            row: Json = {"cell": cell_name, "noise": noise, "contrast": round(clear, 2)}
            row["unet"] = measured(bench, cell, phantom.truth, "unet")
            tell(f"{cell_name}, noise x {noise:g}: {row['unet']['error']} z voxels, contrast {clear:.1f}")
            yield row
            if _failed(row):
                break


def _contrast(cell: CylinderCell, truth: Mapping[str, Any]) -> float | None:
    for end in cell.frame.ends:
        if end.name in truth["samples"]:
            try:
                return contrast(standard_planes(cell, end, np.arange(0.0, 360.0, 5.0)))
            except NotMeasurable:
                return None
    return None


def _failed(row: Json) -> bool:
    """Whether the mean overhang was given, and wrong by more than a z voxel."""
    error = row["unet"]["error"]
    return error is not None and abs(error) > 1


def least_contrast(rows: Sequence[Json]) -> float | None:
    """Contrast from which on the mean overhang was right to within a z voxel in every scan; ``None`` where it
    never was.

    It is that of the noisiest scan that was still measured well, not of the first that failed: what lies
    between was not looked at.
    """
    floor = max((row["contrast"] for row in rows if _failed(row)), default=0.0)
    held = [
        row["contrast"]
        for row in rows
        if row["contrast"] > floor
        and row["unet"]["error"] is not None
        and not _failed(row)
        and row["unet"]["share"] >= LEAST_SHARE
    ]
    return math.floor(10 * min(held)) / 10 if held else None


# --- voxel sizes -----------------------------------------------------------------------------------------

VOXELS_MM = (0.020, 0.034, 0.050)


def voxel_sizes(bench: Bench, *, angles: int = 72, tell: Tell = print) -> list[Json]:
    """One cell scanned with voxels of three sizes: the network's mean overhang against the truth."""
    rows = []
    for voxel in VOXELS_MM:
        spec = preset(
            "small", turns=6.0, outer_diameter_mm=7.0, view="top", roll_in_view_mm=1.5, beyond_mm=1.7,
            bead_out_mm=1.3, voxel_size_mm=(voxel,) * 3, seed=404,
        )  # fmt: skip
        phantom = draw(spec)
        cell, reason = _found(phantom, angles)
        row: Json = {"voxel_mm": voxel}
        row |= (
            measured(bench, cell, phantom.truth, "unet")
            if cell
            else {"share": 0.0, "error": None, "reason": reason}
        )
        if row["error"] is not None:
            row["length_mm"] = round(
                row["error"] * voxel + phantom.truth["measurements"]["overhang.length.mean"], 5
            )
        tell(f"voxels of {1000 * voxel:g} um: {row['error']} z voxels, {row['share']:.3f}")
        rows.append(row)
    return rows


# --- the scan --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Disagreement:
    """Neighbouring places where the model and the labels differ by more than a pixel.

    ``grey``, ``label`` and ``found`` are crops of the plane at ``theta_deg``, where the place is largest.
    """

    theta_deg: float
    first_deg: float
    last_deg: float
    planes: int
    pixels: int
    r_mm: float
    height_mm: float
    said: str
    labelled: str
    grey: NDArray[np.float32]
    label: Labels
    found: Labels


def real_scores(
    bench: Bench, data: bytes, scan: Path, spec: str, *, tell: Tell = print
) -> tuple[Json, list[Disagreement]]:
    """Scores on the third of a scan's planes that was kept for testing, and where model and labels differ."""
    registry = load_plugins(third_party=False)
    tell("labelling the scan's planes")
    cell = open_cell(scan, spec, angles=360, registry=registry)
    ends = label_ends(cell, count=360, registry=registry)
    named: Json = {}
    places: list[Disagreement] = []
    corrections = corrections_of(cell.scan)
    tell("measuring the scan with both segmenters")
    both = {name: bench.segmented(cell, name)[0] for name in SEGMENTERS}
    for end in ends:
        parts = split_by_angle(end.planes.theta_deg)
        by_part = {}
        for part, index in parts.items():
            found = predicted(data, end.planes.grey[index])
            counts = agreement(found, end.label[index])
            by_part[part] = {"planes": len(index), "dice": _dice(counts.sum(axis=0))}
            if part == "test":
                theta, height, r = end.planes.theta_deg[index], end.planes.height_mm, end.planes.r_mm
                places += disagreements(end.planes.grey[index], end.label[index], found, theta, height, r)
        named[end.end.name] = {
            **by_part["test"],
            "other_parts": {k: v for k, v in by_part.items() if k != "test"},
            "lengths": _length_scores(bench, both, end.end.name, end.end.z_mm, parts["test"], corrections),
            "disagreements": len([p for p in places]),
        }
    return named, places


def _length_scores(
    bench: Bench,
    cells: Mapping[str, CylinderCell],
    end: str,
    edge_mm: float,
    test: NDArray[np.intp],
    corrections: Sequence[Correction],
) -> Json:
    """Count and mean of the overhangs in the test planes, where labels are known, by both segmenters.

    Draft labels are the classical segmenter's surfaces, so that its single lengths are the labels'; places
    that were corrected to "unknown" count for neither.
    """
    found: Json = {}
    for name, cell in cells.items():
        surfaces = cell.segmentation
        edges = None if surfaces is None else surfaces.ends.get(end)  # type: ignore[call-overload]
        if edges is None:
            found[name] = {"count": 0, "mean_mm": None}
            continue
        columns = bench.lengths(cell)
        own = np.asarray(columns["end"]) == end
        length = np.asarray(columns["length_mm"], dtype=float)[own].reshape(edges.state.shape)
        use = np.isfinite(length) & (edges.state == MEASURED) & ~_corrected(edges, edge_mm, corrections)
        use &= np.isin(np.arange(length.shape[1]), test)
        found[name] = {
            "count": int(use.sum()),
            "mean_mm": round(float(length[use].mean()), 5) if use.any() else None,
        }
    labels, unet = found["classical"], found["unet"]
    voxel = next(iter(cells.values())).frame.voxel_mm[0]
    if labels["count"] and unet["count"]:
        found["count_off"] = round(unet["count"] / labels["count"] - 1, 5)
        found["mean_off_z_voxels"] = round((unet["mean_mm"] - labels["mean_mm"]) / voxel, 4)
    return found


def _corrected(edges: EndEdges, edge_mm: float, corrections: Sequence[Correction]) -> NDArray[np.bool_]:
    """Places (nturns, nt) whose tip lies where a correction overwrote a foil's label."""
    known = np.isfinite(edges.path_r_mm)
    last = edges.path_r_mm.shape[-1] - 1 - known[..., ::-1].argmax(axis=-1)
    r = np.take_along_axis(edges.path_r_mm, last[..., None], axis=-1)[..., 0]
    height = edges.outward * (edges.anode_z_mm - edge_mm)
    result = np.zeros(edges.state.shape, dtype=bool)
    with np.errstate(invalid="ignore"):
        for c in corrections:
            if c.only:
                continue
            here = (edges.theta_deg >= c.theta_deg[0]) & (edges.theta_deg < c.theta_deg[1])
            inside = (
                (r >= c.r_mm[0]) & (r < c.r_mm[1]) & (height >= c.height_mm[0]) & (height < c.height_mm[1])
            )
            result |= inside & here
    return result


def disagreements(
    grey: NDArray[np.float32],
    label: Labels,
    found: Labels,
    theta_deg: NDArray[Any],
    height_mm: NDArray[Any],
    r_mm: NDArray[Any],
) -> list[Disagreement]:
    """Where model and labels differ by more than a pixel; neighbours taken together, largest first."""
    from scipy.ndimage import find_objects, maximum_filter
    from scipy.ndimage import label as connected

    classes = np.array(list(LABELS))
    wrong = np.zeros(label.shape, dtype=bool)
    for value in LABELS.values():
        near = maximum_filter(label == value, size=(1, 3, 3))
        guessed = found == value
        near_guess = maximum_filter(guessed, size=(1, 3, 3))
        wrong |= (guessed & ~near) | ((label == value) & ~near_guess)
    unknown = maximum_filter(label == UNKNOWN, size=(1, 3, 3))
    wrong &= ~unknown
    group, count = connected(wrong, structure=np.ones((3, 3, 3)))
    result = []
    for number, where in enumerate(find_objects(group), start=1):
        inside = group[where] == number
        per_plane = inside.sum(axis=(1, 2))
        k = where[0].start + int(per_plane.argmax())
        rows, columns = np.nonzero(group[k] == number)
        row, column = int(rows.mean().round()), int(columns.mean().round())
        window = _window(label.shape[1:], row, column)
        at = (rows, columns)
        result.append(
            Disagreement(
                theta_deg=float(theta_deg[k]),
                first_deg=float(theta_deg[where[0].start]),
                last_deg=float(theta_deg[where[0].stop - 1]),
                planes=where[0].stop - where[0].start,
                pixels=int(inside.sum()),
                r_mm=float(r_mm[column]),
                height_mm=float(height_mm[row]),
                said=_most(classes, found[k][at]),
                labelled=_most(classes, label[k][at]),
                grey=grey[k][window],
                label=label[k][window],
                found=found[k][window],
            )
        )
    assert len(result) == count
    return sorted(result, key=lambda d: -d.pixels)


def _most(classes: NDArray[Any], values: Labels) -> str:
    return str(classes[np.bincount(values[values < len(classes)], minlength=len(classes)).argmax()])


def _window(shape: tuple[int, ...], row: int, column: int, half: int = 16) -> tuple[slice, slice]:
    top = min(max(row - half, 0), shape[0] - 2 * half)
    left = min(max(column - half, 0), shape[1] - 2 * half)
    return slice(top, top + 2 * half), slice(left, left + 2 * half)


# --- all of it -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evaluation:
    """All scores, and the pictures that go with them."""

    scores: Json
    disagreements: list[Disagreement]


def evaluate(
    model: Path,
    work: Path,
    *,
    scan: Path | None = None,
    spec: str = "21700",
    phantoms: int = 12,
    tell: Tell = print,
) -> Evaluation:
    """Evaluate ``model`` (its ``.tflite``, with card and ``.keras`` beside it).

    What was worked out before for the same model is taken from ``work``; the pictures are made anew.
    """
    from xctrules.cylinder.model_card import sha256_of

    data = model.read_bytes()
    store = _Store(work, sha256_of(model))
    bench = Bench.of(model)
    scores: Json = {}
    tell("scores on phantoms that it has not seen")
    scores["phantoms"] = store.get("phantoms", lambda: held_out_scores(data, 100, phantoms))
    rows = store.rows("ladder", lambda: ladder(bench, tell=tell))
    scores["ladder"] = {"table": ladder_table(rows), "rows": rows}
    scores["noise"] = store.rows("noise", lambda: ever_noisier(bench, tell=tell))
    scores["voxel_sizes"] = store.get("voxels", lambda: voxel_sizes(bench, tell=tell))
    places: list[Disagreement] = []
    if scan is not None:
        scores["scan"], places = real_scores(bench, data, scan, spec, tell=tell)
    scores["criteria"] = criteria(scores)
    return Evaluation(scores, places)


@dataclass(frozen=True)
class _Store:
    """Scores of one model, each kept as soon as it is known."""

    folder: Path
    model_sha256: str

    def get(self, name: str, make: Callable[[], Any]) -> Any:
        path = self.folder / f"scores_{name}_{self.model_sha256[:12]}.json"
        if path.exists():
            return json.loads(path.read_text(encoding="utf-8"))
        made = make()
        write_file(path, json.dumps(made, indent=1).encode("utf-8"))
        return made

    def rows(self, name: str, make: Callable[[], Iterator[Json]]) -> Any:
        return self.get(name, lambda: list(make()))


def criteria(scores: Json) -> list[Json]:
    """What is asked of a model, and what came out; ``holds`` is ``None`` where it was not looked at."""
    found: list[Json] = []

    def ask(name: str, asked: str, value: float | None, holds: bool | None, digits: int = 3) -> None:
        text = "not measured" if value is None else f"{value:.{digits}f}"
        found.append({"id": name, "asked": asked, "found": text, "holds": holds})

    for name, least in (("cathode", 0.95), ("copper", 0.90), ("overhang", 0.88)):
        value = scores["phantoms"]["dice"][name]
        ask(f"phantoms: Dice of {name}", f"at least {least:.2f}", value, value is not None and value >= least)
    for end, of_end in scores.get("scan", {}).items():
        dice = [of_end["dice"][name] for name in ("cathode", "copper", "overhang")]
        ask(f"scan, {end}: least Dice of the three", "at least 0.85", min(dice), min(dice) >= 0.85)
        off = of_end["lengths"].get("count_off")
        percent = None if off is None else 100 * off
        within = percent is not None and abs(percent) <= 2
        ask(f"scan, {end}: number of overhangs, %", "within 2 % of the labels", percent, within)
        mean = of_end["lengths"].get("mean_off_z_voxels")
        ask(
            f"scan, {end}: mean length",
            "within 0.5 z voxels of the labels",
            mean,
            mean is not None and abs(mean) <= 0.5,
        )
    for line in scores["ladder"]["table"]:
        if line["step"] in ("noise x 3", "blur 1.5 voxels", "contrast halved", ALL_THREE):
            unet, classical = line["unet"], line["classical"]
            whole = unet["measured_cells"] == line["cells"]
            ask(f"{line['step']}: mean overhang", "within 1 z voxel on every cell", unet["worst_error"],
                whole and abs(unet["worst_error"]) <= 1)  # fmt: skip
            if line["step"] == ALL_THREE:
                gain = unet["share"] - classical["share"]
                ask(
                    f"{line['step']}: share measured",
                    "0.1 more than the classical segmenter's",
                    gain,
                    gain >= 0.1,
                )
    errors = [row["error"] for row in scores["voxel_sizes"]]
    known = [e for e in errors if e is not None]
    worst = max(known, key=abs) if known else None
    ask("voxels of 20, 34 and 50 um: mean overhang", "within 0.5 z voxels of the truth", worst,
        len(known) == len(errors) and worst is not None and abs(worst) <= 0.5)  # fmt: skip
    return found
