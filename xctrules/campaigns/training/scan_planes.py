"""Half-planes of a scan with draft labels, to look at, correct and train on.

Drafts are what a segmenter found, drawn into the planes; 255 stands where it found nothing. A person corrects
them in any annotation tool, or, where one rectangle says it for many planes, in a file of
:class:`Correction` lines for that scan.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import yaml
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable, OutputError, PluginError, ScanError
from xctrules.core.files import whole_file
from xctrules.core.progress import Progress, silent
from xctrules.core.slices import Scan
from xctrules.cylinder.frame import EndInView
from xctrules.cylinder.half_planes import Planes, standard_planes
from xctrules.cylinder.surfaces import LABELS, CylinderCell
from xctrules.engine.inspection import open_for
from xctrules.engine.measuring import find_cell, segment
from xctrules.engine.planning import plan_inspection
from xctrules.engine.registry import Provided, Registry, load_plugins
from xctrules.rules.cellspec import CellSpec

Labels = NDArray[np.uint8]

UNKNOWN = 255
GUARD_DEG = 3.0
"""Left out on either side of a border between parts of the split: neighbours are all but the same."""

PARTS = ("train", "test", "validation")
"""Thirds of a full turn, in this order from 0 degrees."""


@runtime_checkable
class DraftsPlanes(Protocol):
    """A segmenter that can draw what it found into planes."""

    name: str

    def segment(self, cell: CylinderCell) -> Any: ...

    def label_planes(self, cell: CylinderCell, planes: Planes) -> Labels: ...


@dataclass(frozen=True)
class LabelledPlanes:
    """Planes of one end, (n, nh, nr), with their draft labels."""

    end: EndInView
    planes: Planes
    label: Labels


# --- a scan's planes -------------------------------------------------------------------------------------


def open_cell(
    path: str | Path,
    spec: str | Path | CellSpec,
    *,
    acquisition: str | Path | None = None,
    voxel_size_mm: Sequence[float] | None = None,
    angles: int = 360,
    registry: Registry,
) -> CylinderCell:
    """Read a scan and find the cell in it.

    Raises
    ------
    ScanError
        When the scan cannot be read, or holds no can.
    """
    plan = plan_inspection(spec, registry, options={"angles": angles})
    cell, no_cell = find_cell(open_for(path, acquisition, voxel_size_mm, plan), plan)
    if cell is None:
        raise ScanError(no_cell, where=path, todo="Give a scan that shows a cell's end.")
    return cell


def label_ends(
    cell: CylinderCell, *, count: int, registry: Registry, corrected: bool = True
) -> list[LabelledPlanes]:
    """``count`` planes around each end in view, with draft labels.

    Parameters
    ----------
    corrected
        Whether corrections that are known for this very scan are applied to the drafts.

    Raises
    ------
    ScanError
        When no end of the roll could be segmented; its reason says why.
    """
    drafter = _drafter(registry)
    segmenter = drafter.value
    theta = np.arange(count, dtype=np.float64) * (360.0 / count)
    cell = segment(cell, drafter)
    found, reasons = [], []
    for end in cell.frame.ends:
        try:
            planes = standard_planes(cell, end, theta)
            label = segmenter.label_planes(cell, planes)
        except NotMeasurable as error:
            reasons.append(error.reason)
            continue
        if corrected:
            for correction in corrections_of(cell.scan):
                correction.apply(label, planes)
        found.append(LabelledPlanes(end, planes, label))
    if not found:
        why = "; ".join(dict.fromkeys(reasons)) or "no end of the roll is in view"
        raise ScanError(
            f"there is nothing to label: {why}", where=cell.scan.path, todo="Give a scan of a cell's end."
        )
    return found


def _drafter(registry: Registry) -> Provided:
    for provided in registry.segmenters:
        if isinstance(provided.value, DraftsPlanes):
            return provided
    raise PluginError(
        "no plugin can label planes", where="segmenters", todo="Install the bundled plugins, or mend them."
    )


# --- corrections -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Correction:
    """What a person saw in a stretch of a scan's planes.

    ``only`` names the labels that are overwritten; empty for all but the can.
    """

    theta_deg: tuple[float, float]
    r_mm: tuple[float, float]
    height_mm: tuple[float, float]
    label: int
    only: tuple[int, ...] = ()

    def apply(self, label: Labels, planes: Planes) -> None:
        """Correct ``label`` (nt, nh, nr) in place."""
        here = (
            _within(planes.theta_deg, self.theta_deg)[:, None, None]
            & _within(planes.height_mm, self.height_mm)[None, :, None]
            & _within(planes.r_mm, self.r_mm)[None, None, :]
        )
        free = np.isin(label, self.only) if self.only else label != LABELS["can"]
        label[here & free] = self.label


def _within(values: NDArray[Any], limits: tuple[float, float]) -> NDArray[np.bool_]:
    return np.asarray((values >= limits[0]) & (values < limits[1]))


def corrections_of(scan: Scan) -> tuple[Correction, ...]:
    """Corrections for exactly this scan, known by its files; none for any other."""
    text = files("xctrules.campaigns.training").joinpath("corrections.yaml").read_text(encoding="utf-8")
    known: Mapping[str, Any] = yaml.safe_load(text)
    digest = scan_sha256(scan)
    lines = [line for entry in known["scans"] if entry["sha256"] == digest for line in entry["corrections"]]
    return tuple(_correction(line) for line in lines)


def _correction(line: Mapping[str, Any]) -> Correction:
    values = {**LABELS, "unknown": UNKNOWN}
    names = ("theta_deg", "r_mm", "height_mm")
    pairs = {name: (float(line[name][0]), float(line[name][1])) for name in names}
    only = tuple(values[name] for name in line.get("only", ()))
    return Correction(**pairs, label=values[line["is"]], only=only)


def scan_sha256(scan: Scan) -> str:
    """Hash over the grey values, whatever files hold them."""
    sha = hashlib.sha256()
    for k in range(len(scan.slices)):
        sha.update(np.ascontiguousarray(scan.slices[k]).data)
    return sha.hexdigest()


# --- the split -------------------------------------------------------------------------------------------


def split_by_angle(theta_deg: NDArray[Any], guard_deg: float = GUARD_DEG) -> dict[str, NDArray[np.intp]]:
    """Indices of the planes in each third of the turn, none within ``guard_deg`` of another third."""
    third = 360.0 / len(PARTS)
    theta = np.mod(theta_deg, 360.0)
    offset = np.mod(theta, third)
    inside = (offset >= guard_deg) & (offset <= third - guard_deg)
    return {
        part: np.flatnonzero(inside & (theta >= k * third) & (theta < (k + 1) * third))
        for k, part in enumerate(PARTS)
    }


# --- on disk ---------------------------------------------------------------------------------------------


def write_pair(folder: Path, name: str, grey: NDArray[Any], label: Labels) -> None:
    """Write ``folder/images/NAME.tif`` and ``folder/labels/NAME.tif``; the image last, whole or not at all.

    Raises
    ------
    OutputError
        When a file cannot be written.
    """
    from tifffile import imwrite

    for kind, data in (("labels", label), ("images", np.asarray(grey, dtype=np.float32))):
        with whole_file(folder / kind / f"{name}.tif") as part:
            imwrite(part, data, photometric="minisblack", compression="zlib" if kind == "labels" else None)


def write_planes(
    path: str | Path,
    spec: str | Path,
    out: Path,
    *,
    count: int,
    acquisition: str | Path | None = None,
    voxel_size_mm: Sequence[float] | None = None,
    progress: Progress = silent,
) -> list[Path]:
    """Planes of a scan with draft labels as TIFF files, one for each plane; the images' paths.

    Raises
    ------
    OutputError
        When there is something in ``out``'s folders already that would be replaced.
    """
    with load_plugins() as registry:
        progress("reading the scan", 0, 0)
        cell = open_cell(path, spec, acquisition=acquisition, voxel_size_mm=voxel_size_mm, registry=registry)
        progress("segmenting", 0, 0)
        ends = label_ends(cell, count=count, registry=registry)
    stem = str(cell.scan.acquisition.get("cell_id") or Path(path).stem).replace("/", "-")
    written = []
    progress("writing", 0, 0)
    for found in ends:
        for theta, grey, label in zip(found.planes.theta_deg, found.planes.grey, found.label, strict=True):
            name = f"{stem}_{found.end.name}_{theta:07.3f}"
            target = out / "images" / f"{name}.tif"
            if target.exists() or (out / "labels" / f"{name}.tif").exists():
                raise OutputError(
                    "this plane is there already, and its labels may have been corrected",
                    where=target,
                    todo="Name another folder, or move these away.",
                )
            write_pair(out, name, grey, label)
            written.append(target)
    return written
