"""The classical segmenter: can, foil and electrode edges by fits to what a scanner shows of them, without
training.

A label image brought in by the user takes the same way: its classes are turned into grey values of their
own, so that there is one method for finding edges and not two.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from xctrules.core.errors import NotMeasurable
from xctrules.core.slices import Slices, each_slice
from xctrules.cylinder.frame import GEOMETRY, End
from xctrules.cylinder.half_planes import Planes
from xctrules.cylinder.surfaces import (
    LABELS,
    CanSurface,
    CylinderCell,
    EndEdges,
    FoilTrace,
    Followed,
    Segmentation,
)
from xctrules_segmentation.can import can_from_labels, segment_can
from xctrules_segmentation.ends import find_end
from xctrules_segmentation.faces import CathodeFaces
from xctrules_segmentation.label_images import write_label_image
from xctrules_segmentation.labels import Labels, as_greys, checked_labels
from xctrules_segmentation.layout import layout_near
from xctrules_segmentation.roll import facing_cathodes, trace_from_labels, trace_with_cathodes
from xctrules_segmentation.separability import separability

T = TypeVar("T")


class ClassicalSegmenter:
    """Finds every surface below the voxel, each as far as the scan shows it."""

    geometry = GEOMETRY
    reads_labels: Literal[True] = True
    name = "classical"

    def segment(self, cell: CylinderCell) -> Segmentation:
        return self.segment_with_cathodes(cell)[0]

    def segment_with_cathodes(self, cell: CylinderCell) -> tuple[Segmentation, CathodeFaces | None]:
        """:meth:`segment`, and the cathodes facing the foil where they were found on the way."""
        missing: dict[str, str] = {}

        def part(name: str, find: Callable[[], T]) -> T | None:
            try:
                return find()
            except NotMeasurable as absent:
                missing[name] = absent.reason
                return None

        if cell.labels is None:
            seen = cell
            import scipy.ndimage  # noqa: F401  two threads that import it first may break each other

            # Neither needs the other, and both leave Python for most of their time.
            with ThreadPoolExecutor(1) as pool:
                later = pool.submit(part, "can", lambda: segment_can(cell))
                foil, faces = part("foil", lambda: _foil(cell)) or (None, None)
                can = later.result()
        else:
            labels = checked_labels(cell.labels)
            seen = as_greys(cell, labels)
            can = part("can", lambda: can_from_labels(cell, labels))
            foil, faces = part("foil", lambda: _foil_in_labels(cell, labels, can)), None
            if not any((labels[k] == LABELS["cathode"]).any() for k in range(len(labels))):
                missing["faces"] = "the label image has no voxel of the class cathode (2)"
        ends = {} if "faces" in missing else self._ends(seen, foil, faces, can, part)
        for end in ("top", "bottom"):
            if end not in ends and end not in missing:
                missing[end] = _why_no_end(cell, end, foil, missing)
        found = Segmentation(
            segmenter=self.name if cell.labels is None else "labels",
            can=can,
            foil=foil,
            ends=ends,
            missing=missing,
            separability=separability(cell),
        )
        return found, faces

    def export_labels(self, cell: CylinderCell, path: Path) -> None:
        """Draw what was found into the scan's voxels, as a TIFF file; for ``--export-labels``."""
        write_label_image(path, cell)

    def label_planes(self, cell: CylinderCell, planes: Planes) -> Labels:
        """Draft labels (nt, nh, nr) of ``planes`` of that cell; 255 where nothing was measured.

        Raises
        ------
        NotMeasurable
            When that end could not be segmented.
        """
        from xctrules_segmentation.plane_labels import label_planes

        surfaces = cell.segmentation
        if surfaces is None or surfaces.segmenter not in (self.name, "labels"):
            surfaces = self.segment(cell)
        return label_planes(cell, planes, surfaces)

    @staticmethod
    def _ends(
        cell: CylinderCell,
        foil: FoilTrace | None,
        faces: CathodeFaces | None,
        can: CanSurface | None,
        part: Callable[[str, Callable[[], Any]], Any],
    ) -> dict[End, EndEdges]:
        if foil is None or foil.followed is not Followed.COPPER or not cell.frame.ends:
            return {}
        if faces is None:
            faces = part("faces", lambda: facing_cathodes(cell, foil, can))
        if faces is None:
            return {}
        found: dict[End, EndEdges] = {}
        for end in cell.frame.ends:
            layout = layout_near(foil, faces, end.z_mm, cell.settings.angles)
            edges = part(end.name, lambda end=end, layout=layout: find_end(cell, end, layout))  # type: ignore[misc]
            if edges is not None:
                found[end.name] = edges
        return found


def _foil(cell: CylinderCell) -> tuple[FoilTrace, CathodeFaces]:
    if cell.settings.mask_of == "canister":
        raise NotMeasurable("the scan is a mask of the can: it shows no winding")
    if cell.settings.mask_of is None and cell.frame.roll_mm is None:
        raise NotMeasurable("no electrode roll is in view")
    return trace_with_cathodes(cell)


def _foil_in_labels(cell: CylinderCell, labels: Slices, can: CanSurface | None) -> FoilTrace:
    """Copper and overhang are one foil."""
    if cell.frame.roll_mm is None:
        raise NotMeasurable("no electrode roll is in view")
    foil = each_slice(labels, lambda image: image >= LABELS["copper"], np.uint8)
    if not any(foil[k].any() for k in range(len(foil))):
        raise NotMeasurable("the label image has no voxel of the classes copper (3) and overhang (4)")
    return trace_from_labels(cell, foil, 1, can)


def _why_no_end(cell: CylinderCell, end: str, foil: FoilTrace | None, missing: dict[str, str]) -> str:
    if cell.settings.mask_of:
        return f"a mask of the {cell.settings.mask_of} shows no electrode edges"
    if cell.frame.roll_mm is None:
        return "no electrode roll is in view"
    if end not in {e.name for e in cell.frame.ends}:
        return f"the {'upper' if end == 'top' else 'lower'} end is not in view"
    if foil is None:
        return missing["foil"]
    return missing.get("faces", f"the {end} end could not be segmented")
