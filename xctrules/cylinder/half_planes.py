"""What a network is shown of a cell: half-planes through the axis, at one voxel size and on one grey scale.

A plane is an image with the axis on its left and outward (away from the roll) at its top, so that every end
of every cell looks alike: the roll at the bottom, free foils above it, the can on the right. Pixels are
``STANDARD_MM`` wide. Greys are 0 in the void above the roll and 1 where the roll is on average, which noise
and the scanner's own scale leave alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.core.robust import noise_of_second_differences
from xctrules.cylinder.frame import CellFrame, EndInView
from xctrules.cylinder.surfaces import CylinderCell, Floats

Greys = NDArray[np.float32]

STANDARD_MM = 0.04
"""Side of a pixel. The labelled foil is 2.5 of them wide, one winding of a usual cell nine to ten."""

INWARD_MM, OUTWARD_MM = 1.44, 2.40
"""A plane's height below and above the rough cathode edge: 96 rows, which three halvings divide."""

ROWS = round((INWARD_MM + OUTWARD_MM) / STANDARD_MM)

COLUMNS_MULTIPLE_OF = 8
"""Columns come in multiples of this, which three halvings divide."""

BEYOND_CAN = 4
"""Pixels beyond the can that a plane is wide: its whole blurred flank shows."""

AT_ONCE = 24
"""Half-planes that are sampled at once: what is sampled is several times as large as what is kept."""

GREYS = (-2.0, 6.0)
"""Range of the standard scale: a can of steel lies at some 4; beyond lie but noise and specks."""

_MIDDLE = (0.3, 0.85)
"""Part of the radius, from axis to can, over which levels are taken: clear of core, pin and can."""

_LEAST_ROLL_MM, _LEAST_VOID_MM = 0.4, 0.3
"""Heights that must be in view on either side of the edge."""

_ROLL_SHARE = 0.25
"""Share of ``INWARD_MM`` below the edge from which on there is roll for certain: the rough edge is known to
some tenths of a millimetre."""

_VOID_MM, _VOID_WINDOW_MM = 0.1, 0.2
"""Height above the edge from which on the void is looked for, and height of it: there is that much between
the tips of the foils and the end's other parts."""

_CALM_SHARE = 1 / 3
"""Share of the rows above the edge that are taken for noise, the calmest: caps and tips of foils are none."""


@dataclass(frozen=True)
class Planes:
    """Planes of one end of a cell.

    Attributes
    ----------
    grey : (nt, nh, nr) float32
        On the standard scale, -2 to 6. Rows that the scan does not hold repeat the last one that it holds.
    seen : (nh,) bool
        Rows that the scan holds.
    height_mm : (nh,)
        Of the rows' centres, outward of the rough cathode edge; falling, since row 0 is outermost.
    theta_deg : (nt,)
    r_mm : (nr,)
        Of the columns' centres.
    void_grey, roll_grey
        The scan's own greys that became 0 and 1.
    end
        The end that they show, of planes that were sampled from a scan.
    """

    grey: Greys
    seen: NDArray[np.bool_]
    height_mm: Floats
    theta_deg: Floats
    r_mm: Floats
    void_grey: float
    roll_grey: float
    end: EndInView | None = None


@dataclass(frozen=True)
class _Rows:
    """A plane's rows, from the roll outward: their centres' ``height_mm`` (nh,), which of them the scan holds
    (``seen``), and the heights ``z_mm`` (nh, nfine) in the cell's frame that are averaged in each."""

    height_mm: Floats
    seen: NDArray[np.bool_]
    z_mm: Floats

    @classmethod
    def of(cls, frame: CellFrame, end: EndInView) -> _Rows:
        fine = max(1, round(STANDARD_MM / (frame.voxel_mm[0] / frame.axis[2])))
        height = (np.arange(ROWS * fine) + 0.5) * (STANDARD_MM / fine) - INWARD_MM
        z: Floats = np.asarray(end.z_mm + end.outward * height, dtype=np.float64).reshape(ROWS, fine)
        grid = frame.z_grid_mm()
        seen = ((z >= grid[0]) & (z <= grid[-1])).all(axis=1)
        centres: Floats = (np.arange(ROWS, dtype=np.float64) + 0.5) * STANDARD_MM - INWARD_MM
        return cls(centres, seen, z)

    def require_both_sides(self, end: EndInView) -> None:
        if (self.seen & (self.height_mm < 0)).sum() * STANDARD_MM < _LEAST_ROLL_MM:
            raise NotMeasurable(f"too little of the roll is in view at the {end.name} end")
        if (self.seen & (self.height_mm > 0)).sum() * STANDARD_MM < _LEAST_VOID_MM:
            raise NotMeasurable(f"too little beyond the electrode edges is in view at the {end.name} end")


def standard_planes(cell: CylinderCell, end: EndInView, theta_deg: Floats) -> Planes:
    """Sample the half-planes at ``theta_deg`` around one end.

    Fine scans are averaged down to the standard pixel, not picked from, so that their noise falls as it
    should.

    Raises
    ------
    NotMeasurable
        Where the scan shows too little on either side of the edge, or no step between roll and void.
    """
    rows = _Rows.of(cell.frame, end)
    rows.require_both_sides(end)
    columns = _columns(cell.frame)
    grey = _sampled(cell, rows, theta_deg, columns)
    void, roll = levels(grey[:, rows.seen], rows.height_mm[rows.seen])
    if not roll - void > 0:
        raise NotMeasurable(f"the roll is no brighter than what lies beyond it at the {end.name} end")
    grey -= np.float32(void)
    grey /= np.float32(roll - void)
    np.clip(grey, *GREYS, out=grey)
    return Planes(
        grey=np.ascontiguousarray(grey[:, ::-1]),
        seen=rows.seen[::-1],
        height_mm=rows.height_mm[::-1].copy(),
        theta_deg=np.asarray(theta_deg, dtype=float),
        r_mm=(np.arange(columns, dtype=np.float64) + 0.5) * STANDARD_MM,
        void_grey=void,
        roll_grey=roll,
        end=end,
    )


def _columns(frame: CellFrame) -> int:
    """Pixels from the axis to beyond the can."""
    assert frame.outer_radius_mm is not None
    wide = (frame.outer_radius_mm + BEYOND_CAN * STANDARD_MM) / STANDARD_MM
    return int(np.ceil(wide / COLUMNS_MULTIPLE_OF)) * COLUMNS_MULTIPLE_OF


def _sampled(cell: CylinderCell, rows: _Rows, theta_deg: Floats, columns: int) -> Greys:
    """The scan's own greys (nt, nh, nr), from the roll outward; rows that it does not hold repeat the nearest
    one that it holds."""
    import cv2

    split = max(1, int(np.ceil(STANDARD_MM / min(cell.frame.voxel_mm[1:]))))  # samples in each column
    r = (np.arange(columns * split) + 0.5) * (STANDARD_MM / split)
    z = rows.z_mm[rows.seen].ravel()
    held = np.flatnonzero(rows.seen)
    grey = np.zeros((theta_deg.size, ROWS, columns), dtype=np.float32)
    for first in range(0, theta_deg.size, AT_ONCE):
        part = slice(first, first + AT_ONCE)
        sampled = np.nan_to_num(cell.frame.cylinder(cell.scan, z, theta_deg[part], r))
        for plane, out in zip(sampled.swapaxes(0, 1), grey[part], strict=True):
            out[held] = cv2.resize(plane, (columns, held.size), interpolation=cv2.INTER_AREA)
    nearest = held[np.argmin(np.abs(np.arange(ROWS)[:, None] - held), axis=1)]
    return np.asarray(grey[:, nearest])


def levels(grey: Greys, height_mm: Floats) -> tuple[float, float]:
    """Grey of the void and of the roll in planes (nt, nh, nr), from means over whole rows.

    The void is the darkest 0.2 mm above the edge: between the tips of the foils and the end's other parts.
    """
    low, high = (round(share * grey.shape[2]) for share in _MIDDLE)
    row = grey[:, :, low:high].mean(axis=(0, 2), dtype=np.float64)
    roll = float(row[height_mm < -_ROLL_SHARE * INWARD_MM].mean())
    above = row[height_mm > _VOID_MM]
    window = min(max(1, round(_VOID_WINDOW_MM / STANDARD_MM)), above.size)
    return float(np.convolve(above, np.full(window, 1 / window), "valid").min()), roll


def contrast(planes: Planes) -> float:
    """How many times the noise of one pixel the roll stands out of the void.

    Noise is the robust standard deviation of a pixel about its two neighbours along the radius, in the rows
    that lie clear of the roll (the calmest of them are taken: caps and tips of foils are no noise).
    """
    low, high = (round(share * planes.grey.shape[2]) for share in _MIDDLE)
    rows = planes.grey[:, planes.seen & (planes.height_mm > _VOID_MM), low:high]
    second = 2 * rows[..., 1:-1] - (rows[..., :-2] + rows[..., 2:])
    spread = np.median(np.abs(second), axis=(0, 2))
    calm = np.sort(spread)[: max(1, int(spread.size * _CALM_SHARE))]
    return 1.0 / max(noise_of_second_differences(calm), 1e-6)
