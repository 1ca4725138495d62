"""Label images brought in: what a person made of a scan, checked, and turned into greys."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import ScanError
from xctrules.core.slices import Slices, each_slice
from xctrules.cylinder.surfaces import LABELS, CylinderCell

Labels = NDArray[np.uint8]

_GREY_OF_LABEL = np.array([20, 200, 75, 62, 62], dtype=np.uint8)
"""Greys in the order in which a steel can, a cathode and copper appear in any scan; only their order
matters."""


def checked_labels(labels: Slices) -> Slices:
    """``labels`` as bytes, if each of them is the value of a class.

    Raises
    ------
    ScanError
        When there are other values; it names them, and where a two-valued mask was meant, how to give that.
    """
    known = np.isin(np.arange(256), list(LABELS.values()))
    unknown: set[int | float] = set()
    values: set[float] = set()
    for k in range(len(labels)):
        plane = labels[k]
        with np.errstate(invalid="ignore"):
            checked = plane.astype(np.uint8)  # wraps around, or cuts a fraction off; compared with it next
        wrong = ~known[checked]
        if labels.dtype != np.uint8:
            wrong |= checked != plane
        if wrong.any():
            unknown.update(np.unique(plane[wrong])[:9].tolist())
        values.update(np.flatnonzero(np.bincount(checked.ravel(), minlength=256)).tolist())
    if unknown:
        shown = ", ".join(f"{v:g}" for v in sorted(unknown)[:5]) + (", ..." if len(unknown) > 5 else "")
        names = ", ".join(f"{v} for {k}" for k, v in LABELS.items())
        todo = f"Use {names}."
        if len(unknown) == 1 and values <= {0, *unknown}:
            todo += " For a two-valued mask say of what: --mask-of canister or electrode."
        raise ScanError(
            f"the label image holds values that stand for nothing: {shown}", where="--segmentation", todo=todo
        )
    return each_slice(labels, lambda plane: plane, np.uint8)


def as_greys(cell: CylinderCell, labels: Slices) -> CylinderCell:
    """The cell with its labels turned into a scan, so that edges in labels are found as in any scan."""
    greys = each_slice(labels, lambda image: _GREY_OF_LABEL[image], np.uint8)
    return dataclasses.replace(cell, scan=dataclasses.replace(cell.scan, slices=greys), labels=None)
